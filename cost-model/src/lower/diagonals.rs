//! The block-sparse diagonals of a convolution.
//!
//! A convolution links input plane at offset `i` and output plane at offset `o` by the rotations `(i - o) + tap offset`, the
//! same for all pixels: the first part is its *position*, the second its *tap*. Kernel masks, groups and strides only
//! remove such links. Where channels are split into planes, `stride * (S_out Y + p) + d = S_in (v Y + t) + q` says which
//! phase `q` of the input, at which offset `t` between pixels of planes, a tap `d` reads for phase `p` of the output.
//!
//! Single-shot layouts ([`PlaneOrder::Gaps`]) do not tell positions from taps, and wrap their sum at the period `D` of the
//! result: a product whose rotation is `r = (i - o) mod D` stands at a slot that is `o` modulo `D`, and rotate-and-add folds
//! bring it home.

use striae_spaces::{Grouping, KernelMask, Tap};

use crate::packing::{Fill, MapLayout, PlaneOrder};

use super::{bit_set::BitSet, convs::ConvDesc};

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

/// A tap of a kernel between pixels of one phase of the output and one of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseTap {
    /// Index of the tap in the kernel.
    pub index: usize,
    /// Phase it reads.
    pub phase: (usize, usize),
    /// Offset between pixels of the planes.
    pub offset: Tap,
}

/// The taps that the output's pixels of phase `(y, x)` read of input channels of weight index `j`; taps that reach no pixel
/// inside the map are left out.
pub fn phase_taps(
    desc: &ConvDesc,
    (input, output): (&MapLayout, &MapLayout),
    phase: (usize, usize),
    j: usize,
) -> Vec<PhaseTap> {
    let (stride, s) = (desc.conv.stride as i64, input.phases as i64);
    let split = |p: usize, d: i32| {
        let at = stride * p as i64 + i64::from(d);
        (at.rem_euclid(s) as usize, at.div_euclid(s) as i32)
    };
    let taps = desc.conv.taps(j).into_iter().enumerate();
    let used = taps.filter(|(_, tap)| tap_is_used(desc, *tap, phase, output.phases));
    used.map(|(index, (dy, dx))| {
        let ((qy, ty), (qx, tx)) = (split(phase.0, dy), split(phase.1, dx));
        PhaseTap { index, phase: (qy, qx), offset: (ty, tx) }
    })
    .collect()
}

/// Whether some output pixel of the phase reads inside the map at this tap.
fn tap_is_used(desc: &ConvDesc, (dy, dx): Tap, phase: (usize, usize), phases: usize) -> bool {
    let ((in_h, in_w), (out_h, out_w)) = (desc.input.spatial(), desc.output.spatial());
    let used = |d: i32, first: usize, inside: usize, outside: usize| {
        let mut pixels = (first..outside).step_by(phases);
        pixels.any(|o| (0..inside as i64).contains(&((o * desc.conv.stride) as i64 + i64::from(d))))
    };
    used(dy, phase.0, in_h, out_h) && used(dx, phase.1, in_w, out_w)
}

/// Whether one rotation moves every pixel of an input plane onto those of the output: the distances of pixels agree.
pub(super) fn aligned(desc: &ConvDesc, input: &MapLayout, output: &MapLayout) -> bool {
    let single = (output.height, output.width) == (1, 1);
    single || input.gap() * desc.conv.stride * output.phases == output.gap() * input.phases
}

/// Groups of `input` that meet in one of `output`.
pub fn merged_groups(input: usize, output: usize) -> Option<usize> {
    input.is_multiple_of(output).then_some(input / output)
}

/// For each group that is merged into one, the slots that its maps move by: a rotation by as much to the right.
pub fn merge_offsets(input: &MapLayout, output: &MapLayout) -> Vec<usize> {
    output.image_offsets().into_iter().step_by(input.group_images()).collect()
}

/// Links of a convolution whose input ciphertexts start at `first` among those of the step.
pub fn conv_links(desc: &ConvDesc, input: &MapLayout, output: &MapLayout, first: usize) -> Vec<Link> {
    let merges = merge_offsets(input, output);
    let kernels = Kernels::new(desc, input, output);
    let offsets = PlaneOffsets::new(input, output);
    let planes = input.group_ciphertexts();
    let classes = kernels.taps.len();
    let single_shot = output.order == PlaneOrder::Gaps;
    let mut keys = KeySet::new(planes * merges.len() * output.period * classes, desc, output);
    let merge = merge_positions(input, output);
    let mut links = Vec::new();
    for out_ct in 0..output.group_ciphertexts() {
        for out_plane in output.planes_of(out_ct) {
            let (out_channel, phase) = (out_plane / kernels.phases, out_plane % kernels.phases);
            for j in 0..desc.input.channels() / desc.conv.groups {
                let in_channel = desc.conv.input_channel(desc.input.channels(), out_channel, j);
                for &(in_phase, class) in kernels.of(phase, j) {
                    let (in_ct, slot) = offsets.input[in_channel * input.phases * input.phases + in_phase];
                    for (group, moved) in merges.iter().enumerate() {
                        let position = slot - offsets.output[out_plane] - *moved as i64;
                        let group_ct = group * planes + in_ct;
                        let mut insert = |position: i64, class: usize| {
                            let position = rotation(position, output.period) as usize;
                            keys.insert((group_ct * output.period + position) * classes + class);
                        };
                        if single_shot {
                            kernels.taps[class].iter().for_each(|tap| insert(position + tap, 0));
                        } else {
                            insert(position, class);
                        }
                    }
                }
            }
        }
        keys.drain(|key| {
            let (class, place) = (key % classes, key / classes);
            let position = (place % output.period) as u32;
            let taps = kernels.taps[class].iter().map(|tap| rotation(*tap, input.grid.slots));
            links.push(Link {
                output: out_ct as u16,
                input: (first + place / output.period) as u16,
                position,
                cause: cause(desc, position, &merge),
                unit: if single_shot { 1 } else { input.grid.block as u32 },
                taps: if single_shot { vec![0] } else { taps.collect() },
            });
        });
    }
    links
}

/// The folds that bring the sums of a layer home whose result repeats with a period.
pub(super) fn conv_folds(output: &MapLayout) -> Vec<u32> {
    let times = (output.grid.slots / output.period).ilog2();
    (0..times).map(|k| (output.period << k) as u32).collect()
}

/// Which taps link which phases; equal sets of taps are one class.
struct Kernels {
    /// Phases of the output.
    phases: usize,
    /// For each phase of the output and each parity of the weight index, phases of the input with the class of their taps.
    links: Vec<[Vec<(usize, usize)>; 2]>,
    /// For each class, signed slots of its taps.
    taps: Vec<Vec<i64>>,
    alternates: bool,
}

impl Kernels {
    fn new(desc: &ConvDesc, input: &MapLayout, output: &MapLayout) -> Self {
        let mut classes: Vec<Vec<i64>> = Vec::new();
        let phases = output.phases * output.phases;
        let mut link = |phase: usize, j: usize| {
            let phase = (phase / output.phases, phase % output.phases);
            let taps = phase_taps(desc, (input, output), phase, j);
            let mut sets: Vec<(usize, Vec<i64>)> = Vec::new();
            for PhaseTap { phase: (y, x), offset, .. } in taps {
                let (from, offset) = (y * input.phases + x, input.tap_offset(offset));
                match sets.iter_mut().find(|(phase, _)| *phase == from) {
                    Some((_, set)) => set.push(offset),
                    None => sets.push((from, vec![offset])),
                }
            }
            let class = |(from, set): (usize, Vec<i64>)| {
                let known = classes.iter().position(|class| *class == set);
                let class = known.unwrap_or(classes.len());
                if known.is_none() {
                    classes.push(set);
                }
                (from, class)
            };
            sets.into_iter().map(class).collect::<Vec<_>>()
        };
        let alternates = desc.conv.kernel.mask == KernelMask::Alternating;
        let links = (0..phases).map(|p| [link(p, 0), if alternates { link(p, 1) } else { Vec::new() }]).collect();
        Self { phases, links, taps: classes, alternates }
    }

    fn of(&self, phase: usize, j: usize) -> &[(usize, usize)] {
        &self.links[phase][if self.alternates { j % 2 } else { 0 }]
    }
}

/// Keys of the links of an output ciphertext, sorted and distinct: bits where there are many, a list where they would leave
/// most bits zero.
enum KeySet {
    Bits(BitSet),
    List(Vec<usize>),
}

impl KeySet {
    fn new(bound: usize, desc: &ConvDesc, output: &MapLayout) -> Self {
        let planes = output.capacity().min(output.planes());
        let inserts = planes * (desc.input.channels() / desc.conv.groups) * desc.conv.kernel.tap_count();
        if bound / 64 <= 16 * inserts { Self::Bits(BitSet::new(bound)) } else { Self::List(Vec::new()) }
    }

    fn insert(&mut self, key: usize) {
        match self {
            Self::Bits(bits) => bits.insert(key),
            Self::List(list) => list.push(key),
        }
    }

    fn drain(&mut self, take: impl FnMut(usize)) {
        match self {
            Self::Bits(bits) => bits.drain(take),
            Self::List(list) => {
                list.sort_unstable();
                list.dedup();
                list.drain(..).for_each(take);
            }
        }
    }
}

/// Where the planes of both sides stand, looked up once per plane instead of once per pair.
struct PlaneOffsets {
    /// Ciphertext and first slot of each input plane; of its copy in block 0 where it is replicated.
    input: Vec<(usize, i64)>,
    /// For each output plane its first slot, less that of its block where the input is replicated.
    output: Vec<i64>,
}

impl PlaneOffsets {
    fn new(input: &MapLayout, output: &MapLayout) -> Self {
        let of_output = |plane| {
            let block = if input.replicated { output.block_of(plane) * input.grid.block } else { 0 };
            output.plane_offset(plane, 0).1 as i64 - block as i64
        };
        let of_input = |plane| input.plane_offset(plane, 0);
        Self {
            input: (0..input.planes()).map(of_input).map(|(ct, slot)| (ct, slot as i64)).collect(),
            output: (0..output.planes()).map(of_output).collect(),
        }
    }
}

fn cause(desc: &ConvDesc, position: u32, merge: &[u32]) -> Cause {
    match desc.conv.grouping {
        _ if merge.contains(&position) => Cause::Merge,
        Grouping::Shifted { .. } => Cause::Mixing,
        Grouping::Interleaved | Grouping::Contiguous => Cause::Sum,
    }
}

/// Positions that only move a map into a gap filled by this step.
fn merge_positions(input: &MapLayout, output: &MapLayout) -> Vec<u32> {
    let mut offsets = vec![0i64];
    for (i, gap) in output.gaps.iter().enumerate() {
        if gap.fill == Fill::Empty || input.gaps.get(i).is_some_and(|g| g.fill != Fill::Empty) {
            continue;
        }
        let cells = (0..gap.side).flat_map(|y| (0..gap.side).map(move |x| (y, x)));
        let steps: Vec<i64> = cells.map(|(y, x)| (gap.unit * (y * output.grid.pitch + x)) as i64).collect();
        offsets = offsets.iter().flat_map(|o| steps.iter().map(move |s| o - s)).collect();
    }
    offsets.into_iter().filter(|&o| o != 0).map(|o| rotation(o, output.grid.slots)).collect()
}
