//! Layouts of feature maps.

use striae_spaces::Shape;

use super::{Grid, Spacing};

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
    const fn cells(self) -> usize {
        self.side * self.side
    }

    /// Slots from a map's own pixel to a cell.
    const fn cell_offset(self, cell: usize, pitch: usize) -> usize {
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

/// Which planes share a ciphertext.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PlaneOrder {
    /// Neighbours: plane `c` stands in ciphertext `c / capacity`, neighbours in neighbouring blocks.
    #[default]
    Blocks,
    /// Neighbours share a ciphertext and stand in one gap.
    Gaps,
    /// Those of equal remainder: of `n` ciphertexts, plane `c` stands in ciphertext `c mod n` at position `c / n`.
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
    /// Which planes share a ciphertext.
    pub order: PlaneOrder,
    /// Each plane has its own ciphertext and stands in all its blocks; only the client can pack so.
    pub replicated: bool,
    /// `S`: every channel is split into `S * S` planes, one for the pixels `(y, x)` of each `(y mod S, x mod S)`.
    pub phases: usize,
    /// Values stand again at every multiple of this; the slots of an image where they stand once.
    pub period: usize,
    /// Groups of ciphertexts, each with other images.
    pub groups: usize,
}

impl MapLayout {
    /// One image as the client packs it.
    pub fn input(grid: Grid, shape: Shape, replicated: bool) -> Self {
        let (height, width) = shape.spatial();
        Self {
            grid,
            channels: shape.channels(),
            height,
            width,
            gaps: Vec::new(),
            order: PlaneOrder::default(),
            replicated,
            phases: 1,
            period: grid.slots,
            groups: 1,
        }
    }

    /// Planes of one image.
    pub fn planes(&self) -> usize {
        self.channels * self.phases * self.phases
    }

    /// Planes one ciphertext holds of each image.
    pub fn capacity(&self) -> usize {
        if self.replicated { 1 } else { self.positions() }
    }

    /// Positions a ciphertext has for planes.
    fn positions(&self) -> usize {
        let cells = |gap: &Gap| if gap.fill == Fill::Channels { gap.cells() } else { 1 };
        self.grid.blocks() * self.gaps.iter().map(cells).product::<usize>()
    }

    /// Ciphertexts of one group.
    pub fn group_ciphertexts(&self) -> usize {
        self.planes().div_ceil(self.capacity())
    }

    /// Ciphertexts the maps take.
    pub fn ciphertexts(&self) -> usize {
        self.groups * self.group_ciphertexts()
    }

    /// Distance of neighbouring pixels of a plane.
    pub fn gap(&self) -> usize {
        self.gaps.iter().map(|g| g.side).product()
    }

    /// How far apart pixels are.
    pub fn spacing(&self) -> Spacing {
        Spacing { gap: self.gap(), phases: self.phases }
    }

    /// Plane of a channel's pixels `(y, x)`.
    pub fn plane(&self, channel: usize, (y, x): (usize, usize)) -> usize {
        let s = self.phases;
        (channel * s + y % s) * s + x % s
    }

    /// Ciphertext of a plane, within its group, and the slot of its first pixel. A replicated plane is taken from `block`.
    pub fn plane_offset(&self, plane: usize, block: usize) -> (usize, usize) {
        if self.replicated {
            (plane, block * self.grid.block)
        } else {
            let (ciphertext, position) = self.place(plane);
            (ciphertext, self.position_offset(position))
        }
    }

    /// Ciphertext and position of a plane that is not replicated.
    fn place(&self, plane: usize) -> (usize, usize) {
        match self.order {
            PlaneOrder::Blocks | PlaneOrder::Gaps => (plane / self.capacity(), plane % self.capacity()),
            PlaneOrder::Across => (plane % self.group_ciphertexts(), plane / self.group_ciphertexts()),
        }
    }

    /// The planes of a ciphertext, ascending.
    pub fn planes_of(&self, ciphertext: usize) -> impl Iterator<Item = usize> + use<> {
        let (capacity, planes) = (self.capacity(), self.planes());
        let (first, end, step) = match self.order {
            PlaneOrder::Blocks | PlaneOrder::Gaps => (ciphertext * capacity, (ciphertext + 1) * capacity, 1),
            PlaneOrder::Across => (ciphertext, planes, self.group_ciphertexts()),
        };
        (first..end.min(planes)).step_by(step)
    }

    /// Slot of the first pixel of the plane at a position.
    fn position_offset(&self, position: usize) -> usize {
        let blocks = self.grid.blocks();
        let (mut offset, mut rest) = (0, position);
        if self.order != PlaneOrder::Gaps {
            (offset, rest) = (position % blocks * self.grid.block, position / blocks);
        }
        for gap in self.gaps.iter().filter(|g| g.fill == Fill::Channels) {
            offset += gap.cell_offset(rest % gap.cells(), self.grid.pitch);
            rest /= gap.cells();
        }
        // What is left is the block where gaps come first, and nothing where blocks do.
        offset + rest * self.grid.block
    }

    /// Block of a plane.
    pub fn block_of(&self, plane: usize) -> usize {
        self.plane_offset(plane, 0).1 / self.grid.block
    }

    /// Slots from a plane's first pixel to that of pixel `(y, x)` of the map, on the plane of those pixels.
    pub fn pixel_offset(&self, y: usize, x: usize) -> usize {
        self.gap() * (y / self.phases * self.grid.pitch + x / self.phases)
    }

    /// Signed slots of a kernel offset between pixels of planes.
    pub fn tap_offset(&self, (dy, dx): (i32, i32)) -> i64 {
        self.gap() as i64 * (i64::from(dy) * self.grid.pitch as i64 + i64::from(dx))
    }

    /// Ciphertext and slot of an element of the first image, of its first copy.
    pub fn slot(&self, channel: usize, y: usize, x: usize) -> (usize, usize) {
        let (ciphertext, offset) = self.plane_offset(self.plane(channel, (y, x)), 0);
        (ciphertext, offset + self.pixel_offset(y, x))
    }

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
    use std::collections::BTreeSet;

    use super::*;

    fn grid(pitch: usize, slots: usize) -> Grid {
        Grid { slots, pitch, block: (pitch * pitch).next_power_of_two() }
    }

    fn elements(layout: &MapLayout) -> BTreeSet<(usize, usize)> {
        let pixels = |c: usize| (0..layout.height).flat_map(move |y| (0..layout.width).map(move |x| (c, y, x)));
        (0..layout.channels).flat_map(pixels).map(|(c, y, x)| layout.slot(c, y, x)).collect()
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

    #[test]
    fn a_replicated_image_has_a_ciphertext_for_each_channel() {
        let image = MapLayout::input(grid(32, 16384), Shape::map(3, 32, 32), true);
        assert_eq!((image.capacity(), image.ciphertexts()), (1, 3));
        assert_eq!(image.plane_offset(2, 5), (2, 5 * 1024));
    }

    #[test]
    fn elements_never_share_a_slot() {
        for order in [PlaneOrder::Blocks, PlaneOrder::Gaps, PlaneOrder::Across] {
            for phases in [1, 2, 4] {
                let image = MapLayout::input(grid(32, 4096), Shape::map(5, 28, 28), false);
                check_elements(MapLayout { order, phases, ..image }, order != PlaneOrder::Gaps);
            }
        }
    }

    fn check_elements(mut layout: MapLayout, fill: bool) {
        for (channels, side) in [(5, 28), (70, 14), (130, 7), (600, 4)] {
            if side < 28 {
                layout = layout.strided(Shape::map(channels, side, side), 2).filled(fill);
                layout = if fill { layout } else { layout.gathered() };
            }
            let slots = elements(&layout);
            assert_eq!(slots.len(), channels * side * side, "{channels}x{side}x{side}");
            assert!(slots.iter().all(|(ct, slot)| *ct < layout.ciphertexts() && *slot < 4096));
            for ciphertext in 0..layout.ciphertexts() {
                assert!(layout.planes_of(ciphertext).all(|plane| layout.plane_offset(plane, 0).0 == ciphertext));
            }
        }
    }
}
