//! The quantities that the Focused Constraint bounds.

use super::{BoundViolation, Bounds};

/// What a network asks of HE, computed without building it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeSize {
    /// Levels: one per linear part and one per activation; the three parts of a fusable block count as one.
    pub levels: usize,
    /// External rotations of the convolutions after the stem: with `a` position offsets per group,
    /// `(a - 1) * min(ciphertexts out, taps * ciphertexts in)`, output-side or input-side, whichever is less. ExRot-Free
    /// convolutions have none. Slot shifts, merges into the gaps of a stride (at most 3 per ciphertext made by a stride
    /// of 2) and the classifier are not counted; where the planner fuses a dense part into a kernel it may take more, hoisted,
    /// to save levels.
    pub external_rotations: usize,
    /// Ciphertexts of the widest stage.
    pub ciphertexts: usize,
    /// Taps of the largest kernel after the stem.
    pub taps: usize,
    /// Channels of the stem's output and of every stage's, together.
    pub channels: usize,
    /// Channels that their ciphertexts could hold.
    pub channel_room: usize,
    /// Channels of a bottleneck wider than its stage, and of that stage.
    pub(super) misfit: Option<(usize, usize)>,
}

impl HeSize {
    /// Share of the slots of its stages' ciphertexts that hold no channel; 0 where widths are whole ciphertexts.
    pub fn waste(&self) -> f64 {
        1.0 - self.channels as f64 / self.channel_room.max(1) as f64
    }

    /// Of a network whose parts have these sizes: `self` the earlier ones, `next` the one behind them.
    #[inline]
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self {
            levels: self.levels + next.levels,
            external_rotations: self.external_rotations + next.external_rotations,
            ciphertexts: self.ciphertexts.max(next.ciphertexts),
            taps: self.taps.max(next.taps),
            channels: self.channels + next.channels,
            channel_room: self.channel_room + next.channel_room,
            misfit: next.misfit.or(self.misfit),
        }
    }

    /// Channels of a bottleneck wider than its stage, and of that stage: no network of the space.
    pub fn misfit(&self) -> Option<(usize, usize)> {
        self.misfit
    }

    /// The first bound it breaks.
    #[inline]
    pub fn check(&self, bounds: &Bounds) -> Result<(), BoundViolation> {
        if let Some((middle, channels)) = self.misfit {
            return Err(BoundViolation::Bottleneck { middle, channels });
        }
        if self.taps > bounds.max_taps {
            return Err(BoundViolation::Taps { taps: self.taps, limit: bounds.max_taps });
        }
        if self.ciphertexts > bounds.max_ciphertexts {
            return Err(BoundViolation::Ciphertexts { ciphertexts: self.ciphertexts, limit: bounds.max_ciphertexts });
        }
        if self.levels > bounds.max_levels {
            return Err(BoundViolation::Levels { levels: self.levels, limit: bounds.max_levels });
        }
        if self.external_rotations > bounds.max_external_rotations {
            let (rotations, limit) = (self.external_rotations, bounds.max_external_rotations);
            return Err(BoundViolation::ExternalRotations { rotations, limit });
        }
        Ok(())
    }

    /// How far outside the bounds it lies, relative to each; 0 within.
    pub(super) fn excess(&self, bounds: &Bounds) -> f64 {
        let over = |value: usize, limit: usize| value.saturating_sub(limit) as f64 / limit.max(1) as f64;
        over(self.taps, bounds.max_taps)
            + over(self.ciphertexts, bounds.max_ciphertexts)
            + over(self.levels, bounds.max_levels)
            + over(self.external_rotations, bounds.max_external_rotations)
            + self.misfit.map_or(0.0, |(middle, channels)| middle as f64 / channels as f64)
    }
}
