//! Multiplexed parallel convolution: Lee et al., *Low-Complexity Deep Convolutional Neural Networks on Fully Homomorphic
//! Encryption Using Multiplexed Parallel Convolutions*, ICML 2022.
//!
//! Maps are multiplexed as ours are; copies of the input in the free slots compute several output channels at once, which
//! are summed by rotate-and-add and selected into place by masks. That takes two levels for every convolution and a
//! rotation for every output channel, where [`Packing::Multiplexed`](crate::Packing::Multiplexed) takes one level.

/// A value: `channels` maps of `side` x `side` pixels, `gap` apart, in ciphertexts of `slots` slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maps {
    /// `n`: slots of the ciphertext.
    pub slots: usize,
    /// `c`: channels.
    pub channels: usize,
    /// `h = w`: side of a map.
    pub side: usize,
    /// `k`: distance of its pixels.
    pub gap: usize,
}

impl Maps {
    /// `t = ceil(c / k^2)`: blocks of multiplexed maps.
    pub const fn blocks(&self) -> usize {
        self.channels.div_ceil(self.gap * self.gap)
    }

    /// `p = 2^floor(log2(n / (k^2 h w t)))`: copies.
    pub const fn copies(&self) -> usize {
        1 << (self.slots / (self.gap * self.gap * self.side * self.side * self.blocks())).ilog2()
    }
}

/// Rotations to sum `n` values that stand regularly: `log2 n`, or `n - 1` where `n` is no power of two.
const fn sum(n: usize) -> usize {
    if n.is_power_of_two() { n.ilog2() as usize } else { n - 1 }
}

/// A convolution with a `kernel` x `kernel` kernel; a stride shows in the output's side and gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// What it reads.
    pub input: Maps,
    /// What it makes.
    pub output: Maps,
    /// `f_h = f_w`.
    pub kernel: usize,
}

impl Conv {
    /// Levels it takes.
    pub const LEVELS: usize = 2;

    /// `q = ceil(c_o / p_i)`: passes.
    pub const fn passes(&self) -> usize {
        self.output.channels.div_ceil(self.input.copies())
    }

    /// `(f_h f_w - 1) + q (2 log2 k_i + log2 t_i) + (c_o - 1) + (p_o - 1)`.
    pub const fn rotations(&self) -> usize {
        let sums = 2 * sum(self.input.gap) + sum(self.input.blocks());
        let taps = self.kernel * self.kernel;
        (taps - 1) + self.passes() * sums + (self.output.channels - 1) + (self.output.copies() - 1)
    }

    /// Plaintext multiplications, `q f_h f_w + c_o`.
    pub const fn multiplications(&self) -> usize {
        self.passes() * self.kernel * self.kernel + self.output.channels
    }

    /// Rotations of the down-sampling shortcut beside it, `k_i t_i + (p_o - 1)`; no shift of the networks below is zero.
    pub const fn shortcut_rotations(&self) -> usize {
        self.input.gap * self.input.blocks() + self.output.copies() - 1
    }
}

/// Rotations of average pooling over whole maps, `log2 w + log2 h + k t - 1`.
pub const fn pool_rotations(input: &Maps) -> usize {
    2 * sum(input.side) + input.gap * input.blocks() - 1
}

/// Rotations of a fully connected layer: `r + q - 1` diagonals of a `r` x `q` matrix, the first in place.
pub const fn dense_rotations(outputs: usize, inputs: usize) -> usize {
    outputs + inputs - 2
}
