//! Block packing as published: FEnc2 (ISCA 2026).
//!
//! `rotations = BS / alpha * (inner * Ci + (alpha S^2 / BS - 1) * Co)` with `inner = ceil(K / S)^2 - 1` if `K > S`, else 0. Our
//! [`Packing::Block`](crate::Packing::Block) comes to the same where `S` divides `K - 1` and the kernel is not centred. It
//! needs more where the formula is short of a neighbouring block: a kernel of at most `S` rows, or a centred one, reads
//! pixels of it too.

/// A convolution in block packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// `Ci`: input channels.
    pub inputs: usize,
    /// `Co`: output channels.
    pub outputs: usize,
    /// `K`: side of the kernel.
    pub kernel: usize,
    /// `alpha = ceil(N / (2 H W))`: maps in a ciphertext.
    pub capacity: usize,
    /// `BS`: images in a ciphertext.
    pub batch: usize,
    /// `S`: side of a block.
    pub side: usize,
}

impl Conv {
    /// Rotations for a batch; a fraction where `BS` images fill no whole number of ciphertexts.
    pub fn rotations(&self) -> f64 {
        let Self { inputs, outputs, kernel, capacity, batch, side } = *self;
        let inner = if kernel > side { kernel.div_ceil(side).pow(2) - 1 } else { 0 };
        let outer = (capacity * side * side) as f64 / batch as f64 - 1.0;
        batch as f64 / capacity as f64 * ((inner * inputs) as f64 + outer * outputs as f64)
    }
}
