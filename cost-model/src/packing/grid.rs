//! The physical grid of a network's maps.

use striae_spaces::Shape;

use crate::CostError;

/// The physical grid of a network's maps, in slots of one image; every plane lies in it at the gap its strides have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Slots a ciphertext has for one image.
    pub slots: usize,
    /// Slots from one row to the next.
    pub pitch: usize,
    /// Slots of one block, a power of two.
    pub block: usize,
}

/// How far apart the pixels of a map are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spacing {
    /// Distance of neighbouring pixels of a plane.
    pub gap: usize,
    /// Side of the square of phases that a map is split into; see [`MapLayout::phases`](super::MapLayout::phases).
    pub phases: usize,
}

impl Spacing {
    /// That of an image in `phases` x `phases` planes.
    pub const fn image(phases: usize) -> Self {
        Self { gap: 1, phases }
    }

    /// Behind a stride: it first joins phases, and what is left of it moves the pixels of the planes apart.
    #[must_use]
    pub const fn strided(self, stride: usize) -> Self {
        let joined = gcd(self.phases, stride);
        Self { gap: self.gap.saturating_mul(stride / joined), phases: self.phases / joined }
    }
}

/// Greatest common divisor.
pub(super) const fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Grid {
    /// The smallest grid that holds every map at its spacing, in ciphertexts of `slots` slots; the image is the first.
    /// Sides that a stride does not divide are rounded up, so that the gaps of the last pixels stay inside the grid.
    pub fn fit(maps: &[(Shape, Spacing)], slots: usize) -> Result<Self, CostError> {
        let extent = |side: fn((usize, usize)) -> usize| {
            let of_map =
                |(shape, at): &(Shape, Spacing)| side(shape.spatial()).div_ceil(at.phases).saturating_mul(at.gap);
            maps.iter().map(of_map).max().unwrap_or(1)
        };
        let (rows, pitch) = (extent(|s| s.0), extent(|s| s.1));
        let block = rows.checked_mul(pitch).and_then(usize::checked_next_power_of_two).unwrap_or(usize::MAX);
        if block > slots {
            let shape = maps.first().map_or(Shape::vector(0), |m| m.0);
            return Err(CostError::MapTooLarge { shape, block, slots });
        }
        Ok(Self { slots, pitch, block })
    }

    /// Blocks in a ciphertext.
    pub fn blocks(&self) -> usize {
        self.slots / self.block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strides on a map, in a ciphertext of these slots.
    fn grid(side: usize, phases: usize, strides: &[usize], slots: usize) -> Result<Grid, CostError> {
        let mut maps = vec![(Shape::map(1, side, side), Spacing::image(phases))];
        for &stride in strides {
            let (shape, at) = maps[maps.len() - 1];
            let side = shape.spatial().0.div_ceil(stride);
            maps.push((Shape::map(1, side, side), at.strided(stride)));
        }
        Grid::fit(&maps, slots)
    }

    #[test]
    fn a_side_that_strides_do_not_divide_is_rounded_up() {
        // 28 / 8 = 3.5: four pixels of gap 8 need 32 slots.
        assert_eq!(grid(28, 1, &[2, 2, 2], 4096), Ok(Grid { slots: 4096, pitch: 32, block: 1024 }));
        assert_eq!(grid(28, 1, &[2], 4096), Ok(Grid { slots: 4096, pitch: 28, block: 1024 }));
        assert_eq!(grid(32, 1, &[2, 2], 16384).unwrap().blocks(), 16);
    }

    #[test]
    fn strides_join_phases_before_they_leave_gaps() {
        assert_eq!(Spacing::image(4).strided(2), Spacing { gap: 1, phases: 2 });
        assert_eq!(Spacing::image(4).strided(2).strided(4), Spacing { gap: 2, phases: 1 });
        assert_eq!(Spacing::image(4).strided(3), Spacing { gap: 3, phases: 4 });
        assert_eq!(grid(224, 4, &[2, 2, 2, 2, 2], 4096), Ok(Grid { slots: 4096, pitch: 56, block: 4096 }));
    }

    #[test]
    fn a_map_larger_than_a_ciphertext_is_refused() {
        let error = grid(64, 1, &[1], 2048).unwrap_err();
        let shape = Shape::map(1, 64, 64);
        assert_eq!(error, CostError::MapTooLarge { shape, block: 4096, slots: 2048 });
        // Strides whose product no integer holds.
        let error = grid(8, 1, &[255; 9], 2048).unwrap_err();
        assert!(matches!(error, CostError::MapTooLarge { block: usize::MAX, .. }));
    }
}
