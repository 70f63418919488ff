//! Maps larger than the slots they must fit, cut into strips of rows.

/// A map cut into strips. Neighbouring strips share the rows that the kernel reads beyond a strip (the halo); since the client
/// encrypts each layer's input anew, it can repeat them at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strips {
    /// How many there are.
    pub(super) count: usize,
    /// Slots of one: the next power of two of its pixels, halo included.
    pub(super) block: usize,
}

impl Strips {
    /// The fewest strips of a `height x width` map that fit `slots`, where `out_height` rows come out and each reads `halo` rows
    /// more than its own. A map that fits whole needs no halo: masks zero what lies beyond its border. `None` if not even one
    /// row of output fits.
    pub(super) fn of(height: usize, width: usize, out_height: usize, halo: usize, slots: usize) -> Option<Self> {
        let whole = (height * width).next_power_of_two();
        if whole <= slots {
            return Some(Self { count: 1, block: whole });
        }
        let rows = (slots / width).checked_sub(halo).filter(|&rows| rows > 0)?;
        let count = out_height.div_ceil(rows);
        let block = ((out_height.div_ceil(count) + halo) * width).next_power_of_two();
        Some(Self { count, block })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_are_balanced_and_carry_their_halo() {
        assert_eq!(Strips::of(56, 56, 56, 2, 4096), Some(Strips { count: 1, block: 4096 }));
        // 36 rows of 112 fit 4096 slots, 34 of them make output: 28 in each of four strips.
        assert_eq!(Strips::of(112, 112, 112, 2, 4096), Some(Strips { count: 4, block: 4096 }));
        assert_eq!(Strips::of(112, 112, 112, 0, 4096), Some(Strips { count: 4, block: 4096 }));
        assert_eq!(Strips::of(224, 224, 224, 2, 4096), Some(Strips { count: 14, block: 4096 }));
        assert_eq!(Strips::of(2000, 2000, 2000, 2, 4096), None);
    }
}
