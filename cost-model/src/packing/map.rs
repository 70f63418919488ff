//! Layouts of feature maps.

use striae_spaces::Shape;

use super::{Fill, Gap, Grid, Spacing};

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
