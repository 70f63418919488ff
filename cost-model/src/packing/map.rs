//! Row-major and multiplexed layouts of feature maps.

use striae_spaces::{Node, Shape, TypedGraph};

use crate::CostError;

/// The physical grid of a network's maps, in slots; every map lies in it at the gap its strides have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Slots of one ciphertext.
    pub slots: usize,
    /// Slots from one row to the next.
    pub pitch: usize,
    /// Slots of one block, a power of two.
    pub block: usize,
}

impl Grid {
    /// The smallest grid that holds every map of `graph` at its gap. Sides that a stride does not divide are rounded up,
    /// so that the gaps of the last pixels stay inside the grid.
    pub fn fit(graph: &TypedGraph, gaps: &[usize], slots: usize) -> Result<Self, CostError> {
        let extent = |side: fn((usize, usize)) -> usize| {
            let of_node = |(node, gap): (&Node, &usize)| side(node.shape.spatial()).saturating_mul(*gap);
            graph.nodes().iter().zip(gaps).map(of_node).max().unwrap_or(1)
        };
        let (rows, pitch) = (extent(|s| s.0), extent(|s| s.1));
        let block = rows.checked_mul(pitch).and_then(usize::checked_next_power_of_two).unwrap_or(usize::MAX);
        if block > slots {
            return Err(CostError::MapTooLarge { shape: graph.input_shape(), block, slots });
        }
        Ok(Self { slots, pitch, block })
    }

    /// Blocks in a ciphertext.
    pub fn blocks(&self) -> usize {
        self.slots / self.block
    }
}

/// One stride's gap: pixels stand `side * unit` apart where they stood `unit` apart before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gap {
    /// Distance of neighbouring pixels before the stride.
    pub unit: usize,
    /// The stride.
    pub side: usize,
    /// Whether channels are multiplexed into it.
    pub filled: bool,
}

/// Which channels share a ciphertext.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChannelOrder {
    /// Neighbours: channel `c` stands in ciphertext `c / capacity`.
    #[default]
    Within,
    /// Those of equal remainder: of `n` ciphertexts, channel `c` stands in ciphertext `c mod n` at position `c / n`.
    Across,
}

/// Layout of feature maps; see the module documentation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MapLayout {
    /// The physical grid.
    pub grid: Grid,
    /// Channels.
    pub channels: usize,
    /// Rows of a map.
    pub height: usize,
    /// Columns of a map.
    pub width: usize,
    /// Gaps, in the order of the strides that left them.
    pub gaps: Vec<Gap>,
    /// Which channels share a ciphertext.
    pub order: ChannelOrder,
    /// Each channel has its own ciphertext and stands in all its blocks; only the client can pack so.
    pub replicated: bool,
}

impl MapLayout {
    /// The image as the client packs it.
    pub fn input(grid: Grid, shape: Shape, replicated: bool, order: ChannelOrder) -> Self {
        let (height, width) = shape.spatial();
        Self { grid, channels: shape.channels(), height, width, gaps: Vec::new(), order, replicated }
    }

    /// Channels one ciphertext holds.
    pub fn capacity(&self) -> usize {
        if self.replicated { 1 } else { self.positions() }
    }

    /// Positions a ciphertext has for channels.
    fn positions(&self) -> usize {
        self.grid.blocks() * self.gaps.iter().filter(|g| g.filled).map(|g| g.side * g.side).product::<usize>()
    }

    /// Ciphertexts the maps take.
    pub fn ciphertexts(&self) -> usize {
        self.channels.div_ceil(self.capacity())
    }

    /// Distance of neighbouring pixels of a map.
    pub fn gap(&self) -> usize {
        self.gaps.iter().map(|g| g.side).product()
    }

    /// Ciphertext of a channel and the slot of its first pixel. A replicated channel is taken from `block`.
    pub fn channel_offset(&self, channel: usize, block: usize) -> (usize, usize) {
        if self.replicated {
            (channel, block * self.grid.block)
        } else {
            let (ciphertext, position) = self.place(channel);
            (ciphertext, self.position_offset(position))
        }
    }

    /// Ciphertext and position of a channel that is not replicated.
    fn place(&self, channel: usize) -> (usize, usize) {
        match self.order {
            ChannelOrder::Within => (channel / self.capacity(), channel % self.capacity()),
            ChannelOrder::Across => (channel % self.ciphertexts(), channel / self.ciphertexts()),
        }
    }

    /// The channels of a ciphertext, ascending.
    pub fn channels_of(&self, ciphertext: usize) -> impl Iterator<Item = usize> + use<> {
        let (capacity, ciphertexts) = (self.capacity(), self.ciphertexts());
        let (first, end, step) = match self.order {
            ChannelOrder::Within => (ciphertext * capacity, (ciphertext + 1) * capacity, 1),
            ChannelOrder::Across => (ciphertext, self.channels, ciphertexts),
        };
        (first..end.min(self.channels)).step_by(step)
    }

    /// Slot of the first pixel of the channel at a position.
    pub fn position_offset(&self, position: usize) -> usize {
        let blocks = self.grid.blocks();
        let (mut offset, mut rest) = (position % blocks * self.grid.block, position / blocks);
        for gap in self.gaps.iter().filter(|g| g.filled) {
            let digit = rest % (gap.side * gap.side);
            rest /= gap.side * gap.side;
            offset += gap.unit * (digit / gap.side * self.grid.pitch + digit % gap.side);
        }
        offset
    }

    /// Block of the channel at a position.
    pub fn block_of(&self, channel: usize) -> usize {
        self.place(channel).1 % self.grid.blocks()
    }

    /// Slots from a channel's first pixel to pixel `(y, x)`.
    pub fn pixel_offset(&self, y: usize, x: usize) -> usize {
        self.gap() * (y * self.grid.pitch + x)
    }

    /// Signed slots of a kernel offset.
    pub fn tap_offset(&self, (dy, dx): (i32, i32)) -> i64 {
        self.gap() as i64 * (i64::from(dy) * self.grid.pitch as i64 + i64::from(dx))
    }

    /// Layout after a stride, before any channel is multiplexed into the new gap. A single pixel has no neighbours for a
    /// stride to move apart.
    #[must_use]
    pub fn strided(&self, shape: Shape, stride: usize) -> Self {
        let mut layout = self.clone();
        let stride = if (self.height, self.width) == (1, 1) { 1 } else { stride };
        if stride > 1 {
            layout.gaps.push(Gap { unit: self.gap(), side: stride, filled: false });
        }
        (layout.channels, (layout.height, layout.width)) = (shape.channels(), shape.spatial());
        layout.replicated = false;
        layout
    }

    /// Fills gaps, oldest first, as long as that saves ciphertexts.
    #[must_use]
    pub fn filled(mut self) -> Self {
        for i in 0..self.gaps.len() {
            if self.gaps[i].filled {
                continue;
            }
            let before = self.ciphertexts();
            self.gaps[i].filled = true;
            if self.ciphertexts() == before {
                self.gaps[i].filled = false;
                break;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use striae_spaces::{Conv2d, GraphBuilder, Op};

    use super::*;

    /// Convolutions of these strides on a map, in a ciphertext of these slots: the grid and the gap at each node.
    fn grid(side: usize, strides: &[usize], slots: usize) -> Result<Grid, CostError> {
        let mut builder = GraphBuilder::new(Shape::map(1, side, side)).unwrap();
        let mut gaps = vec![1];
        for &stride in strides {
            builder.then(Op::Conv2d(Conv2d { stride, ..Conv2d::dense(1, 3) })).unwrap();
            gaps.push(gaps[gaps.len() - 1] * stride);
        }
        Grid::fit(&builder.build().unwrap(), &gaps, slots)
    }

    fn elements(layout: &MapLayout) -> BTreeSet<(usize, usize)> {
        let of_channel = |channel| {
            let (ciphertext, first) = layout.channel_offset(channel, 0);
            let pixels = (0..layout.height).flat_map(|y| (0..layout.width).map(move |x| (y, x)));
            pixels.map(move |(y, x)| (ciphertext, first + layout.pixel_offset(y, x))).collect::<Vec<_>>()
        };
        (0..layout.channels).flat_map(of_channel).collect()
    }

    #[test]
    fn a_side_that_strides_do_not_divide_is_rounded_up() {
        // 28 / 8 = 3.5: four pixels of gap 8 need 32 slots.
        assert_eq!(grid(28, &[2, 2, 2], 4096), Ok(Grid { slots: 4096, pitch: 32, block: 1024 }));
        assert_eq!(grid(28, &[2], 4096), Ok(Grid { slots: 4096, pitch: 28, block: 1024 }));
        assert_eq!(grid(32, &[2, 2], 16384).unwrap().blocks(), 16);
    }

    #[test]
    fn a_map_larger_than_a_ciphertext_is_refused() {
        let error = grid(64, &[1], 2048).unwrap_err();
        let shape = Shape::map(1, 64, 64);
        assert_eq!(error, CostError::MapTooLarge { shape, block: 4096, slots: 2048 });
        // Strides whose product no integer holds.
        let huge = [255usize; 9].iter().fold(vec![1usize], |mut gaps, s| {
            gaps.push(gaps[gaps.len() - 1].saturating_mul(*s));
            gaps
        });
        let mut builder = GraphBuilder::new(Shape::map(1, 8, 8)).unwrap();
        for _ in 0..9 {
            builder.then(Op::Conv2d(Conv2d { stride: 255, ..Conv2d::dense(1, 1) })).unwrap();
        }
        let error = Grid::fit(&builder.build().unwrap(), &huge, 2048).unwrap_err();
        assert!(matches!(error, CostError::MapTooLarge { block: usize::MAX, .. }));
    }

    #[test]
    fn capacity_grows_with_filled_gaps_only() {
        let grid = grid(28, &[2, 2], 4096).unwrap();
        let image = MapLayout::input(grid, Shape::map(64, 28, 28), false, ChannelOrder::Within);
        assert_eq!((image.capacity(), image.ciphertexts(), image.gap()), (4, 16, 1));
        let half = image.strided(Shape::map(64, 14, 14), 2);
        assert_eq!((half.capacity(), half.ciphertexts(), half.gap()), (4, 16, 2));
        let filled = half.filled();
        assert_eq!((filled.capacity(), filled.ciphertexts(), filled.gap()), (16, 4, 2));
        let quarter = filled.strided(Shape::map(64, 7, 7), 2);
        assert_eq!((quarter.capacity(), quarter.gap()), (16, 4));
        assert_eq!((quarter.clone().filled().capacity(), quarter.filled().ciphertexts()), (64, 1));
    }

    #[test]
    fn gaps_stay_empty_where_filling_saves_nothing() {
        let grid = grid(28, &[2], 4096).unwrap();
        let image = MapLayout::input(grid, Shape::map(4, 28, 28), false, ChannelOrder::Within);
        let half = image.strided(Shape::map(4, 14, 14), 2);
        assert_eq!(half.clone().filled(), half);
    }

    #[test]
    fn a_replicated_image_has_a_ciphertext_for_each_channel() {
        let image = MapLayout::input(grid(32, &[1], 16384).unwrap(), Shape::map(3, 32, 32), true, ChannelOrder::Within);
        assert_eq!((image.capacity(), image.ciphertexts()), (1, 3));
        assert_eq!(image.channel_offset(2, 5), (2, 5 * 1024));
    }

    #[test]
    fn elements_never_share_a_slot() {
        [ChannelOrder::Within, ChannelOrder::Across].into_iter().for_each(check_elements);
    }

    fn check_elements(order: ChannelOrder) {
        let grid = grid(28, &[2, 2, 2], 4096).unwrap();
        let mut layout = MapLayout::input(grid, Shape::map(5, 28, 28), false, order);
        for (channels, side) in [(5, 28), (70, 14), (130, 7), (600, 4)] {
            if side < 28 {
                layout = layout.strided(Shape::map(channels, side, side), 2).filled();
            }
            let slots = elements(&layout);
            assert_eq!(slots.len(), channels * side * side, "{channels}x{side}x{side}");
            assert!(slots.iter().all(|(ct, slot)| *ct < layout.ciphertexts() && *slot < 4096));
        }
        assert_eq!(layout.capacity(), 256);
    }
}
