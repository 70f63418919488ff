//! Row-major and multiplexed layouts of feature maps.

use striae_spaces::{Shape, TypedGraph};

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
            graph.nodes().iter().zip(gaps).map(|(node, gap)| side(node.shape.spatial()) * gap).max().unwrap_or(1)
        };
        let (rows, pitch) = (extent(|s| s.0), extent(|s| s.1));
        let block = (rows * pitch).next_power_of_two();
        if block > slots {
            let log_n = slots.ilog2() + 1;
            return Err(CostError::MapTooLarge { shape: graph.input_shape(), block, log_n, slots });
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
    /// Each channel has its own ciphertext and stands in all its blocks; only the client can pack so.
    pub replicated: bool,
}

impl MapLayout {
    /// The image as the client packs it.
    pub fn input(grid: Grid, shape: Shape, replicated: bool) -> Self {
        let (height, width) = shape.spatial();
        Self { grid, channels: shape.channels(), height, width, gaps: Vec::new(), replicated }
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
            let capacity = self.capacity();
            (channel / capacity, self.position_offset(channel % capacity))
        }
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
        channel % self.capacity() % self.grid.blocks()
    }

    /// Slots from a channel's first pixel to pixel `(y, x)`.
    pub fn pixel_offset(&self, y: usize, x: usize) -> usize {
        self.gap() * (y * self.grid.pitch + x)
    }

    /// Signed slots of a kernel offset.
    pub fn tap_offset(&self, (dy, dx): (i32, i32)) -> i64 {
        self.gap() as i64 * (i64::from(dy) * self.grid.pitch as i64 + i64::from(dx))
    }

    /// Layout after a stride, before any channel is multiplexed into the new gap.
    pub fn strided(&self, shape: Shape, stride: usize) -> Self {
        let mut layout = self.clone();
        if stride > 1 {
            layout.gaps.push(Gap { unit: self.gap(), side: stride, filled: false });
        }
        (layout.channels, (layout.height, layout.width)) = (shape.channels(), shape.spatial());
        layout.replicated = false;
        layout
    }

    /// Fills gaps, oldest first, as long as that saves ciphertexts.
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
