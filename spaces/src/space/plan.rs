//! From a genotype to the pieces of its network, with the sizes that the bounds are about.
//!
//! A genotype is made of parts, each with genes of its own: the stem, the stages, the head. All that a part knows of those
//! before it are the maps they leave.

use super::piece::{Maps, Piece};
use super::{HeSize, MixingChoice, StageLiteral, StriaSpaceLiteral, Transition};
use crate::blocks::{Mixing, POINT, StriaBlock};
use crate::{Conv2d, Grouping, Kernel, KernelMask};

/// The pieces of a network or of a part of it.
pub(super) struct Plan {
    pub(super) pieces: Vec<Piece>,
    pub(super) size: HeSize,
    /// The maps behind it.
    pub(super) maps: Maps,
}

/// Number of parts of the genotypes of a space.
pub(super) fn parts(space: &StriaSpaceLiteral) -> usize {
    space.stages.len() + 2
}

/// Plans the network of `genes`, and first gives every gene without effect its canonical value.
pub(super) fn plan(space: &StriaSpaceLiteral, genes: &mut [u16]) -> Plan {
    let mut planner = Planner::new(space, Maps::of_image(space), genes);
    for part in 0..parts(space) {
        planner.part(space, part);
    }
    planner.finish()
}

/// The same for one part alone, of whose `genes` it is, behind `maps`.
pub(super) fn plan_part(space: &StriaSpaceLiteral, part: usize, maps: Maps, genes: &mut [u16]) -> Plan {
    let mut planner = Planner::new(space, maps, genes);
    planner.part(space, part);
    planner.finish()
}

/// Reads genes in the order of [`parameters`](super::check::parameters).
struct Genes<'a> {
    genes: &'a mut [u16],
    next: usize,
}

impl Genes<'_> {
    fn take<T: Copy>(&mut self, choices: &[T]) -> T {
        self.next += 1;
        choices[self.genes[self.next - 1] as usize]
    }

    /// Replaces the gene read last.
    fn rewrite(&mut self, choice: usize) {
        self.genes[self.next - 1] = choice as u16;
    }

    fn skip(&mut self, count: usize) {
        self.genes[self.next..self.next + count].fill(0);
        self.next += count;
    }
}

/// How a stage joins what is before it.
struct Link {
    transition: Option<Transition>,
    stride: usize,
    /// Channels that one ciphertext held before, or holds now where they are packed anew.
    capacity: usize,
    /// Channels before.
    inputs: usize,
    /// Channels of the stage.
    outputs: usize,
}

impl Link {
    fn pools(&self) -> bool {
        self.transition == Some(Transition::Pool)
    }

    fn has_conv(&self) -> bool {
        self.inputs != self.outputs || (self.stride > 1 && !self.pools())
    }

    /// Channels that one ciphertext holds where the convolution reads, which is before the stride unless a pooling came
    /// first.
    fn conv_capacity(&self, after: usize) -> usize {
        if self.pools() { after } else { self.capacity }
    }
}

struct Planner<'a> {
    genes: Genes<'a>,
    slots: usize,
    repacked: bool,
    /// Blocks of the physical grid in one ciphertext, the same in every layer.
    blocks: usize,
    side: (usize, usize),
    channels: usize,
    pieces: Vec<Piece>,
    size: HeSize,
}

impl<'a> Planner<'a> {
    fn new(space: &StriaSpaceLiteral, maps: Maps, genes: &'a mut [u16]) -> Self {
        let [_, height, width] = space.input;
        Self {
            genes: Genes { genes, next: 0 },
            slots: space.slots,
            repacked: space.repacked,
            blocks: space.slots / (height * width).next_power_of_two(),
            side: maps.side,
            channels: maps.channels,
            pieces: Vec::with_capacity(2 * space.stages.len() + 2),
            size: HeSize::default(),
        }
    }

    fn finish(self) -> Plan {
        Plan { pieces: self.pieces, size: self.size, maps: Maps { side: self.side, channels: self.channels } }
    }

    fn part(&mut self, space: &StriaSpaceLiteral, part: usize) {
        match part.checked_sub(1) {
            None => self.stem(space),
            Some(i) => match space.stages.get(i) {
                Some(stage) => self.stage(stage),
                None => self.head(space),
            },
        }
    }

    /// Channels that one ciphertext holds at the current map size.
    fn capacity(&self) -> usize {
        self.slots / (self.side.0 * self.side.1).next_power_of_two()
    }

    fn shrink(&mut self, stride: usize) {
        self.side = (self.side.0 / stride, self.side.1 / stride);
    }

    /// Reads a width given in ciphertexts or channels; `None` where the literal has neither.
    fn width(&mut self, ciphertexts: Option<&Vec<usize>>, channels: Option<&Vec<usize>>) -> Option<usize> {
        match (ciphertexts, channels) {
            (Some(list), _) => Some(self.genes.take(list) * self.capacity()),
            (None, Some(list)) => Some(self.genes.take(list)),
            (None, None) => None,
        }
    }

    fn note_width(&mut self) {
        let ciphertexts = self.channels.div_ceil(self.capacity());
        self.size.ciphertexts = self.size.ciphertexts.max(ciphertexts);
        self.size.channels += self.channels;
        self.size.channel_room += ciphertexts * self.capacity();
    }

    fn stem(&mut self, space: &StriaSpaceLiteral) {
        let stem = &space.stem;
        let kernel = self.genes.take(&stem.kernels);
        self.shrink(stem.stride);
        self.channels = self.width(stem.ciphertexts.as_ref(), stem.widths.as_ref()).unwrap_or(self.channels);
        self.pieces.push(Piece::Conv(Conv2d { stride: stem.stride, ..Conv2d::dense(self.channels, kernel) }));
        self.size.levels += 2;
        self.note_width();
    }

    fn stage(&mut self, stage: &StageLiteral) {
        let depth = self.genes.take(&stage.depths);
        let keeps_width = stage.ciphertexts.is_none() && stage.widths.is_none();
        if depth == 0 {
            self.genes.skip(5 + usize::from(!keeps_width) + usize::from(stage.transitions.is_some()));
            return;
        }
        let (mut capacity, inputs) = (self.capacity(), self.channels);
        self.shrink(stage.stride);
        if self.repacked {
            capacity = self.capacity();
        }
        let outputs = self.width(stage.ciphertexts.as_ref(), stage.widths.as_ref()).unwrap_or(inputs);
        let transition = stage.transitions.as_ref().map(|list| self.genes.take(list));
        let link = Link { transition, stride: stage.stride, capacity, inputs, outputs };
        let middle = self.bottleneck(stage, outputs);
        let size = self.genes.take(&stage.kernels);
        let mut mask = self.genes.take(&stage.masks);
        if size == 1 {
            // Every mask of a point is the point.
            self.genes.rewrite(0);
            mask = stage.masks[0];
        }
        let mixing = self.mixing(stage, &link, middle);
        let inner = self.genes.take(&stage.inner);
        self.transition(&link, mixing);
        self.note_width();
        // A dense layer comes once per stage, a shift in every block.
        let mixed = match mixing {
            MixingChoice::None | MixingChoice::Shift => depth,
            MixingChoice::Dense => usize::from(!link.has_conv()),
        };
        let plain = self.block(middle, Kernel { size, mask }, MixingChoice::None, inner);
        let first = self.block(middle, Kernel { size, mask }, mixing, inner);
        self.add_blocks(&first, mixed);
        self.add_blocks(&plain, depth - mixed);
    }

    /// Reads the bottleneck; one wider than the stage becomes the widest that fits.
    fn bottleneck(&mut self, stage: &StageLiteral, channels: usize) -> usize {
        let unit = if stage.bottlenecks.is_some() { self.capacity() } else { 1 };
        let list = stage.bottlenecks.as_ref().or(stage.bottleneck_widths.as_ref()).map_or(&[][..], Vec::as_slice);
        let taken = self.genes.take(list);
        if taken * unit <= channels {
            return taken * unit;
        }
        let fitting = list.iter().enumerate().filter(|&(_, m)| m * unit <= channels);
        if let Some((index, widest)) = fitting.max_by_key(|&(_, m)| m) {
            self.genes.rewrite(index);
            return widest * unit;
        }
        self.size.misfit = Some((taken * unit, channels));
        taken * unit
    }

    /// Reads the mixing; a shift that moves nothing becomes none, if that is a choice.
    fn mixing(&mut self, stage: &StageLiteral, link: &Link, middle: usize) -> MixingChoice {
        let mixing = self.genes.take(&stage.mixing);
        let shifts = |mix: Mixing| matches!(mix.grouping, Grouping::Shifted { .. });
        let (capacity, shift) = (self.capacity(), MixingChoice::Shift);
        let moves = shifts(self.mix(shift, capacity, link.outputs, middle))
            || (link.has_conv() && shifts(self.mix(shift, link.conv_capacity(capacity), link.inputs, link.outputs)));
        if mixing == shift
            && !moves
            && let Some(none) = stage.mixing.iter().position(|&m| m == MixingChoice::None)
        {
            self.genes.rewrite(none);
            return MixingChoice::None;
        }
        mixing
    }

    /// Adds what leads from the shape before the stage to its own.
    fn transition(&mut self, link: &Link, mixing: MixingChoice) {
        if link.pools() {
            self.pieces.push(Piece::Pool(link.stride));
        }
        self.channels = link.outputs;
        if !link.has_conv() {
            return;
        }
        let wide = link.transition == Some(Transition::Conv3);
        let kernel = if wide { Kernel { size: 3, mask: KernelMask::Full } } else { POINT };
        let capacity = link.conv_capacity(self.capacity());
        let mix = self.mix(mixing, capacity, link.inputs, link.outputs);
        self.pieces.push(Piece::Conv(mix.conv(link.outputs, kernel, if link.pools() { 1 } else { link.stride })));
        self.size.levels += 2;
        // Behind a pooling the channels still lie at the positions they had before it, until they are merged.
        self.note_conv(link.inputs, link.outputs, link.capacity, kernel, mix);
    }

    /// A block on the current width whose squeeze mixes as told. Its three parts have the same groups, so that they fuse.
    fn block(&self, middle: usize, kernel: Kernel, squeeze: MixingChoice, inner: bool) -> StriaBlock {
        let mix = |mixing| self.mix(mixing, self.capacity(), self.channels, middle);
        let plain = mix(MixingChoice::None);
        StriaBlock { middle, kernel, mixing: [mix(squeeze), plain, plain], inner }
    }

    fn add_blocks(&mut self, block: &StriaBlock, count: usize) {
        let (channels, capacity, middle) = (self.channels, self.capacity(), block.middle);
        for _ in 0..count {
            self.size.levels += if block.inner { 6 } else { 2 };
            self.note_conv(channels, middle, capacity, POINT, block.mixing[0]);
            self.note_conv(middle, middle, capacity, block.kernel, block.mixing[1]);
            self.note_conv(middle, channels, capacity, POINT, block.mixing[2]);
            self.pieces.push(Piece::Block(block.clone()));
        }
    }

    fn head(&mut self, space: &StriaSpaceLiteral) {
        let window = match self.genes.take(&space.head.pools) {
            0 => self.side.0,
            window => window,
        };
        self.pieces.push(Piece::Head(window));
        self.size.levels += 1;
    }

    /// The groups of a convolution from `inputs` to `outputs` channels: as many as the capacity where whole ciphertexts
    /// allow it, else as many as both widths allow.
    fn mix(&self, mixing: MixingChoice, capacity: usize, inputs: usize, outputs: usize) -> Mixing {
        let groups = gcd(capacity, gcd(inputs, outputs));
        let blocks = if self.repacked { groups } else { self.blocks };
        match mixing {
            MixingChoice::Dense => Mixing::DENSE,
            // A shift rotates whole ciphertexts, so it needs them filled; with one there is nothing to rotate.
            MixingChoice::Shift if groups == capacity && inputs > capacity && blocks > 1 => {
                Mixing::shifted(groups, blocks)
            }
            MixingChoice::Shift | MixingChoice::None => Mixing::interleaved(groups),
        }
    }

    fn note_conv(&mut self, inputs: usize, outputs: usize, in_capacity: usize, kernel: Kernel, mix: Mixing) {
        let taps = kernel.tap_count();
        self.size.taps = self.size.taps.max(taps);
        let offsets = in_capacity.min(inputs.max(outputs)).div_ceil(mix.groups);
        let moved = outputs.div_ceil(self.capacity()).min(taps * inputs.div_ceil(in_capacity));
        self.size.external_rotations += (offsets - 1) * moved;
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
