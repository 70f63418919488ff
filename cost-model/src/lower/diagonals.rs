//! The block-sparse diagonals of a linear operator.
//!
//! A convolution links input channel at offset `i` and output channel at offset `o` by the rotations
//! `(i - o) + tap offset`, the same for all pixels: the first part is its *position*, the second its *tap*. Kernel masks,
//! groups and strides only remove such links. A fully connected layer with `n` outputs, `D = pad2(n)`, on inputs that
//! repeat with period `E` (all slots for maps) uses the rotations `r = (j - o) mod D` for input slot `j` and output `o`; its
//! products stand at slots `t = j - r = o (mod D)` and are summed over the `E / D` classes by rotate-and-add folds.

use crate::packing::{Layout, MapLayout, VectorLayout};

use super::{bit_set::BitSet, stages::ConvDesc};

/// All taps between one output and one input ciphertext at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Output ciphertext.
    pub output: u16,
    /// Input ciphertext among all of the step.
    pub input: u16,
    /// Rotation that moves the input channels onto the output channels.
    pub position: u32,
    /// What the position rotation is for, where it is not zero.
    pub cause: Cause,
    /// Slots of one step of a baby-step giant-step split of positions.
    pub unit: u32,
    /// Rotations of the kernel's taps.
    pub taps: Vec<u32>,
}

/// Why channels move inside a ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// To be summed with others.
    Sum,
    /// Slot-shift mixing.
    Mixing,
    /// Into the gap of a stride.
    Merge,
    /// A fully connected layer.
    Dense,
}

/// `value mod slots` as a rotation.
pub fn rotation(value: i64, slots: usize) -> u32 {
    value.rem_euclid(slots as i64) as u32
}

/// Links of a convolution whose input ciphertexts start at `first` among those of the step.
pub fn conv_links(desc: &ConvDesc, input: &MapLayout, output: &MapLayout, first: usize) -> Vec<Link> {
    let slots = input.grid.slots;
    let alternates = desc.conv.kernel.mask == striae_spaces::KernelMask::Alternating;
    let mut keys: Vec<(usize, usize, u32, usize)> = Vec::new();
    // One bit for each parity, input ciphertext and position of an output ciphertext: they come out sorted and distinct.
    let inputs = input.ciphertexts();
    let offsets = ChannelOffsets::new(input, output);
    let mut seen = BitSet::new(inputs * slots * 2);
    for out_ct in 0..output.ciphertexts() {
        for out_channel in output.channels_of(out_ct) {
            for j in 0..desc.input.channels() / desc.conv.groups {
                let (in_ct, position) = offsets.position(desc, out_channel, j);
                let parity = if alternates { j % 2 } else { 0 };
                seen.insert((in_ct * slots + rotation(position, slots) as usize) * 2 + parity);
            }
        }
        let split = |bit: usize| (out_ct, bit / 2 / slots, (bit / 2 % slots) as u32, bit % 2);
        seen.drain(|bit| keys.push(split(bit)));
    }
    let taps = [0, 1].map(|j| {
        let offsets = desc.conv.taps(j).into_iter().filter(|&tap| tap_is_used(desc, tap));
        offsets.map(|tap| rotation(input.tap_offset(tap), slots)).collect::<Vec<u32>>()
    });
    let merge = merge_positions(input, output);
    keys.into_iter()
        .map(|(out_ct, in_ct, position, parity)| Link {
            output: out_ct as u16,
            input: (first + in_ct) as u16,
            position,
            cause: cause(desc, position, &merge),
            unit: input.grid.block as u32,
            taps: taps[parity].clone(),
        })
        .collect()
}

/// One pair of connected channels.
pub struct ChannelPair {
    /// Ciphertext of the output channel.
    pub output: usize,
    /// Slot of its first pixel.
    pub output_offset: usize,
    /// Ciphertext of the input channel.
    pub input: usize,
    /// The input channel.
    pub in_channel: usize,
    /// Slots from the output channel's first pixel to the input channel's.
    pub position: i64,
}

/// Where the channels of weight `[out_channel, j, _]` stand.
pub fn channel_pair(
    desc: &ConvDesc,
    input: &MapLayout,
    output: &MapLayout,
    out_channel: usize,
    j: usize,
) -> ChannelPair {
    let in_channel = desc.conv.input_channel(desc.input.channels(), out_channel, j);
    let (out_ct, output_offset) = output.channel_offset(out_channel, 0);
    let (in_ct, input_offset) = input.channel_offset(in_channel, output.block_of(out_channel));
    let position = input_offset as i64 - output_offset as i64;
    ChannelPair { output: out_ct, output_offset, input: in_ct, in_channel, position }
}

/// Where the channels of both sides stand, looked up once per channel instead of once per pair.
struct ChannelOffsets {
    /// Ciphertext and first slot of each input channel; of its copy in block 0 where it is replicated.
    input: Vec<(usize, i64)>,
    /// For each output channel its first slot, less that of its block where the input is replicated.
    output: Vec<i64>,
}

impl ChannelOffsets {
    fn new(input: &MapLayout, output: &MapLayout) -> Self {
        let of_input = |c| input.channel_offset(c, 0);
        let of_output = |c| {
            let block = if input.replicated { output.block_of(c) * input.grid.block } else { 0 };
            output.channel_offset(c, 0).1 as i64 - block as i64
        };
        Self {
            input: (0..input.channels).map(of_input).map(|(ct, slot)| (ct, slot as i64)).collect(),
            output: (0..output.channels).map(of_output).collect(),
        }
    }

    /// Ciphertext and position of the input channel of weight `[out_channel, j, _]`.
    fn position(&self, desc: &ConvDesc, out_channel: usize, j: usize) -> (usize, i64) {
        let (ciphertext, slot) = self.input[desc.conv.input_channel(self.input.len(), out_channel, j)];
        (ciphertext, slot - self.output[out_channel])
    }
}

/// Whether some output pixel reads inside the map at this tap.
fn tap_is_used(desc: &ConvDesc, (dy, dx): (i32, i32)) -> bool {
    let ((in_h, in_w), (out_h, out_w)) = (desc.input.spatial(), desc.output.spatial());
    let used = |d: i32, inside: usize, outside: usize| {
        (0..outside).any(|o| (0..inside as i64).contains(&((o * desc.conv.stride) as i64 + i64::from(d))))
    };
    used(dy, in_h, out_h) && used(dx, in_w, out_w)
}

fn cause(desc: &ConvDesc, position: u32, merge: &[u32]) -> Cause {
    match desc.conv.grouping {
        _ if merge.contains(&position) => Cause::Merge,
        striae_spaces::Grouping::Shifted { .. } => Cause::Mixing,
        striae_spaces::Grouping::Interleaved | striae_spaces::Grouping::Contiguous => Cause::Sum,
    }
}

/// Positions that only move a map into a gap filled by this step.
fn merge_positions(input: &MapLayout, output: &MapLayout) -> Vec<u32> {
    let mut offsets = vec![0i64];
    for (i, gap) in output.gaps.iter().enumerate() {
        if !gap.filled || input.gaps.get(i).is_some_and(|g| g.filled) {
            continue;
        }
        let cells = (0..gap.side).flat_map(|y| (0..gap.side).map(move |x| (y, x)));
        let steps: Vec<i64> = cells.map(|(y, x)| (gap.unit * (y * output.grid.pitch + x)) as i64).collect();
        offsets = offsets.iter().flat_map(|o| steps.iter().map(move |s| o - s)).collect();
    }
    offsets.into_iter().filter(|&o| o != 0).map(|o| rotation(o, output.grid.slots)).collect()
}

/// A fully connected layer's diagonals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenseLinks {
    /// Which diagonal a weight belongs to.
    pub rule: DenseRule,
    /// For each input ciphertext, the rotations it is needed at, ascending.
    pub rotations: Vec<Vec<u32>>,
    /// Rotate-and-add steps after the sum.
    pub folds: Vec<u32>,
    /// Layout of the result.
    pub output: VectorLayout,
}

/// Assigns the weight between input slot `j` and output `o` to a diagonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenseRule {
    /// Slots of a ciphertext.
    pub slots: usize,
    /// `D`: outputs, padded to a power of two.
    pub classes_of: usize,
    /// `E`: period of the input.
    pub period: usize,
    /// Whether rotations wrap modulo `D`, which makes them few, or keep a product in the class of its input slot, which
    /// can spare folds.
    pub wrapped: bool,
}

impl DenseRule {
    /// Rotation of the diagonal that holds the weight of input slot `j` and output `o`.
    pub fn rotation(&self, j: usize, o: usize) -> u32 {
        let modulus = self.classes_of.min(self.period);
        if self.wrapped || self.classes_of >= self.period {
            ((j + self.classes_of - o % self.classes_of) % modulus) as u32
        } else {
            rotation((j % self.classes_of) as i64 - o as i64, self.slots)
        }
    }
}

/// Slots that hold the elements of `input`, ascending, by ciphertext, within one period.
pub fn occupied(input: &Layout) -> Vec<Vec<usize>> {
    let map = match input {
        Layout::Vector(vector) => return vec![(0..vector.features).collect()],
        Layout::Map(map) => map,
    };
    let pixels: Vec<usize> = (0..map.height)
        .flat_map(|y| (0..map.width).map(move |x| (y, x)))
        .map(|(y, x)| map.pixel_offset(y, x))
        .collect();
    let mut seen = BitSet::new(map.ciphertexts() * map.grid.slots);
    for channel in 0..map.channels {
        let (ciphertext, first) = map.channel_offset(channel, 0);
        pixels.iter().for_each(|pixel| seen.insert(ciphertext * map.grid.slots + first + pixel));
    }
    let mut slots = vec![Vec::new(); map.ciphertexts()];
    seen.drain(|bit| slots[bit / map.grid.slots].push(bit % map.grid.slots));
    slots
}

/// Diagonals of a layer with `outputs` outputs, by the rule that needs fewer rotations in all.
pub fn dense_links(input: &Layout, slots: usize, outputs: usize) -> DenseLinks {
    let occupied = occupied(input);
    let work = |links: &DenseLinks| {
        let diagonals: usize = links.rotations.iter().map(Vec::len).sum();
        // Baby-step giant-step brings the rotations of the diagonals to about twice their square root.
        2.0 * (diagonals as f64).sqrt() + links.folds.len() as f64
    };
    let [wrapped, open] = [true, false].map(|wrapped| links_by(input, &occupied, slots, outputs, wrapped));
    if work(&open) < work(&wrapped) { open } else { wrapped }
}

fn links_by(input: &Layout, occupied: &[Vec<usize>], slots: usize, outputs: usize, wrapped: bool) -> DenseLinks {
    let period = match input {
        Layout::Map(_) => slots,
        Layout::Vector(vector) => vector.period,
    };
    let d = outputs.next_power_of_two();
    let rule = DenseRule { slots, classes_of: d, period, wrapped };
    let class_count = (period / d).max(1);
    let mut classes = BitSet::new(class_count);
    let mut rotations = Vec::with_capacity(occupied.len());
    let mut seen = BitSet::new(slots);
    for slots in occupied {
        let mut residues = vec![false; d.min(period)];
        let modulus = residues.len();
        for j in slots {
            residues[j % modulus] = true;
            let (class, low) = (j / d, j % d);
            classes.insert(class);
            if wrapped && low + 1 < outputs {
                classes.insert((class + class_count - 1) % class_count);
            }
        }
        let used = residues.iter().enumerate().filter(|(_, used)| **used).map(|(j, _)| j);
        used.for_each(|j| (0..outputs).for_each(|o| seen.insert(rule.rotation(j, o) as usize)));
        let mut needed = Vec::new();
        seen.drain(|rotation| needed.push(rotation as u32));
        rotations.push(needed);
    }
    let stride = class_stride(classes, class_count);
    let folds = (0..class_count.ilog2()).map(|k| 1 << k).filter(|&k| k >= stride).map(|k| (k * d) as u32).collect();
    let output = VectorLayout { features: outputs, period: (d * stride).min(slots) };
    DenseLinks { rule, rotations, folds, output }
}

/// Largest power of two, at most `count`, that divides every class: folds below it would add zeros.
fn class_stride(mut classes: BitSet, count: usize) -> usize {
    let mut stride = count;
    classes.drain(|class| {
        if class != 0 {
            stride = stride.min(1 << class.trailing_zeros());
        }
    });
    stride
}
