//! The gaps that strides leave between pixels, and what fills them.

use striae_spaces::Shape;

use super::{MapLayout, PlaneOrder};

/// One stride's gap: pixels stand `side * unit` apart where they stood `unit` apart before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gap {
    /// Distance of neighbouring pixels before the stride.
    pub unit: usize,
    /// The stride.
    pub side: usize,
    /// What stands in it.
    pub fill: Fill,
}

impl Gap {
    /// Pixels of other maps that fit between those of one.
    pub(super) const fn cells(self) -> usize {
        self.side * self.side
    }

    /// Slots from a map's own pixel to a cell.
    pub(super) const fn cell_offset(self, cell: usize, pitch: usize) -> usize {
        self.unit * (cell / self.side * pitch + cell % self.side)
    }
}

/// What a gap holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fill {
    /// Nothing.
    Empty,
    /// Other channels of the same image.
    Channels,
    /// The same channel of so many images.
    Images(usize),
}

impl MapLayout {
    /// Slots from the first image's pixels to those of each image of a group, in the order of the images.
    pub fn image_offsets(&self) -> Vec<usize> {
        let mut offsets = vec![0];
        for gap in &self.gaps {
            if let Fill::Images(images) = gap.fill {
                let cells = (0..images).map(|cell| gap.cell_offset(cell, self.grid.pitch));
                offsets = cells.flat_map(|cell| offsets.iter().map(move |o| o + cell)).collect();
            }
        }
        offsets
    }

    /// Whether images stand in gaps, so that no slot period tells channels from images.
    pub fn has_images_in_gaps(&self) -> bool {
        self.gaps.iter().any(|gap| matches!(gap.fill, Fill::Images(_)))
    }

    /// Images of one group.
    pub fn group_images(&self) -> usize {
        self.gaps.iter().map(|gap| if let Fill::Images(images) = gap.fill { images } else { 1 }).product()
    }

    /// Layout after a stride, before anything fills the new gap. A single pixel has no neighbours for a stride to move
    /// apart, and one that is left of a map no gap wider than the map.
    #[must_use]
    pub fn strided(&self, shape: Shape, stride: usize) -> Self {
        let mut layout = self.clone();
        let (before, after) = (self.spacing(), self.spacing().strided(stride));
        let mut side = after.gap / before.gap;
        if shape.spatial() == (1, 1) {
            side = side.min(self.height.max(self.width).div_ceil(self.phases));
            layout.phases = 1;
        } else {
            layout.phases = after.phases;
        }
        if side > 1 && (self.height, self.width) != (1, 1) {
            layout.gaps.push(Gap { unit: before.gap, side, fill: Fill::Empty });
        }
        (layout.channels, (layout.height, layout.width)) = (shape.channels(), shape.spatial());
        (layout.replicated, layout.period) = (false, layout.grid.slots);
        layout
    }

    /// Fills gaps, oldest first: with images as long as there are several groups, then, if `channels`, with channels as
    /// long as that saves ciphertexts.
    #[must_use]
    pub fn filled(mut self, channels: bool) -> Self {
        for i in 0..self.gaps.len() {
            if self.gaps[i].fill != Fill::Empty {
                continue;
            }
            if self.groups > 1 {
                // Groups are a power of two.
                let images = self.groups.min(1 << self.gaps[i].cells().ilog2());
                self.gaps[i].fill = Fill::Images(images);
                self.groups /= images;
                continue;
            }
            let before = self.ciphertexts();
            self.gaps[i].fill = Fill::Channels;
            if !channels || self.ciphertexts() == before {
                self.gaps[i].fill = Fill::Empty;
                break;
            }
        }
        self
    }

    /// The maps alone in a fresh layout that repeats in as few slots as they take: gaps first, all of them filled.
    #[must_use]
    pub fn gathered(&self) -> Self {
        let side = self.gap();
        let fill = Fill::Channels;
        let gaps = if side > 1 { vec![Gap { unit: 1, side, fill }] } else { Vec::new() };
        let mut layout = Self { gaps, order: PlaneOrder::Gaps, replicated: false, ..self.clone() };
        layout.period = self.grid.slots;
        if layout.group_ciphertexts() == 1 {
            let blocks = layout.planes().div_ceil(side * side);
            layout.period = (blocks * self.grid.block).next_power_of_two();
        }
        layout
    }
}

#[cfg(test)]
mod tests {
    use super::super::Grid;
    use super::*;

    fn grid(pitch: usize, slots: usize) -> Grid {
        Grid { slots, pitch, block: (pitch * pitch).next_power_of_two() }
    }

    #[test]
    fn capacity_grows_with_filled_gaps_only() {
        let image = MapLayout::input(grid(28, 4096), Shape::map(64, 28, 28), false);
        assert_eq!((image.capacity(), image.ciphertexts(), image.gap()), (4, 16, 1));
        let half = image.strided(Shape::map(64, 14, 14), 2);
        assert_eq!((half.capacity(), half.ciphertexts(), half.gap()), (4, 16, 2));
        let filled = half.filled(true);
        assert_eq!((filled.capacity(), filled.ciphertexts(), filled.gap()), (16, 4, 2));
        let quarter = filled.strided(Shape::map(64, 7, 7), 2);
        assert_eq!((quarter.capacity(), quarter.gap()), (16, 4));
        assert_eq!((quarter.clone().filled(true).capacity(), quarter.filled(true).ciphertexts()), (64, 1));
    }

    #[test]
    fn gaps_stay_empty_where_filling_saves_nothing() {
        let image = MapLayout::input(grid(28, 4096), Shape::map(4, 28, 28), false);
        let half = image.strided(Shape::map(4, 14, 14), 2);
        assert_eq!(half.clone().filled(true), half);
    }

    /// Of 8 groups, four fill the first gap, two half of the second; channels come after all images.
    #[test]
    fn images_fill_gaps_before_channels_do() {
        let image = MapLayout { groups: 8, ..MapLayout::input(grid(32, 1024), Shape::map(16, 32, 32), false) };
        assert_eq!((image.ciphertexts(), image.group_ciphertexts(), image.group_images()), (128, 16, 1));
        let half = image.strided(Shape::map(16, 16, 16), 2).filled(true);
        assert_eq!((half.groups, half.group_images(), half.capacity()), (2, 4, 1));
        let quarter = half.strided(Shape::map(16, 8, 8), 2).filled(true);
        assert_eq!((quarter.groups, quarter.group_images(), quarter.capacity()), (1, 8, 1));
        assert_eq!(quarter.image_offsets(), [0, 1, 32, 33, 2, 3, 34, 35]);
        let eighth = quarter.strided(Shape::map(16, 4, 4), 2);
        assert_eq!((eighth.clone().filled(true).capacity(), eighth.filled(false).capacity()), (4, 1));
    }
}
