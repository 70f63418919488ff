//! The steps that a calibration measures: a few canonical shapes that between them do everything steps do, in different
//! proportions.

use std::{fmt, str::FromStr};

use crate::step_work::Feature;
use crate::{LinearPlan, StepWork, Term};

/// Rotations that keys are needed for at most.
pub const PROBE_ROTATIONS: u32 = 8;

/// A step that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// A linear step whose outputs read every input as it is and in every rotation, in every partial sum.
    Linear {
        /// Input ciphertexts.
        inputs: usize,
        /// Rotations of each.
        rotations: u32,
        /// Rotated partial sums of each output.
        giants: u32,
        /// Output ciphertexts.
        outputs: usize,
    },
    /// Squares of so many ciphertexts.
    Squares(usize),
    /// A sum of each ciphertext and its rotations.
    Window {
        /// Ciphertexts.
        ciphertexts: usize,
        /// Rotations of each.
        rotations: u32,
    },
    /// Encoding of a diagonal.
    Encode,
    /// Encryption.
    Encrypt,
    /// Decryption.
    Decrypt,
}

impl Probe {
    /// Those of a calibration.
    pub const ALL: [Self; 19] = [
        Self::linear(1, 8, 0, 1),
        Self::linear(1, 8, 0, 8),
        Self::linear(4, 4, 0, 4),
        Self::linear(3, 7, 0, 6),
        Self::linear(6, 7, 0, 2),
        Self::linear(1, 1, 4, 2),
        Self::linear(1, 0, 8, 1),
        Self::linear(8, 0, 0, 8),
        Self::linear(8, 1, 0, 1),
        Self::linear(2, 2, 0, 24),
        Self::Squares(1),
        Self::Squares(4),
        Self::Squares(8),
        Self::Window { ciphertexts: 1, rotations: 1 },
        Self::Window { ciphertexts: 4, rotations: 1 },
        Self::Window { ciphertexts: 1, rotations: 3 },
        Self::Encode,
        Self::Encrypt,
        Self::Decrypt,
    ];

    /// A selection that still does everything, for a quick calibration.
    pub const FEW: [Self; 13] = [
        Self::linear(1, 8, 0, 1),
        Self::linear(2, 2, 0, 24),
        Self::linear(3, 7, 0, 6),
        Self::linear(4, 4, 0, 4),
        Self::linear(1, 1, 4, 2),
        Self::linear(8, 0, 0, 8),
        Self::linear(8, 1, 0, 1),
        Self::Squares(1),
        Self::Squares(4),
        Self::Window { ciphertexts: 1, rotations: 1 },
        Self::Encode,
        Self::Encrypt,
        Self::Decrypt,
    ];

    const fn linear(inputs: usize, rotations: u32, giants: u32, outputs: usize) -> Self {
        Self::Linear { inputs, rotations, giants, outputs }
    }

    /// The plan of a linear step.
    pub fn plan(self) -> Option<LinearPlan> {
        let Self::Linear { inputs, rotations, giants, outputs } = self else { return None };
        let babies: Vec<u32> = (0..=rotations).collect();
        // So far apart that no two terms have the same rotation in total.
        let giants: Vec<u32> = (0..=giants).map(|g| g * (rotations + 1)).collect();
        let mut terms = Vec::new();
        for output in 0..outputs as u16 {
            for giant in 0..giants.len() as u16 {
                for input in 0..inputs as u16 {
                    terms.extend((0..babies.len() as u16).map(|baby| Term { output, giant, input, baby }));
                }
            }
        }
        Some(LinearPlan { inputs, outputs, babies: vec![babies; inputs], giants, terms, folds: vec![] })
    }

    /// Ciphertexts that it reads.
    pub const fn ciphertexts(self) -> usize {
        match self {
            Self::Linear { inputs, .. } => inputs,
            Self::Squares(ciphertexts) | Self::Window { ciphertexts, .. } => ciphertexts,
            Self::Encode | Self::Encrypt | Self::Decrypt => 1,
        }
    }

    /// What it does at its level, and one level lower.
    pub fn work(self) -> (StepWork, StepWork) {
        match self {
            Self::Linear { .. } => {
                let plan = self.plan().unwrap_or_default();
                (StepWork::linear(&plan), StepWork::behind(&plan))
            }
            Self::Squares(ciphertexts) => (StepWork::squares(ciphertexts, false), StepWork::default()),
            Self::Window { ciphertexts, rotations } => {
                (StepWork::windows(ciphertexts, [rotations as usize]), StepWork::default())
            }
            Self::Encode => (StepWork::of(Feature::Encode), StepWork::default()),
            Self::Encrypt => (StepWork::of(Feature::Encrypt), StepWork::default()),
            Self::Decrypt => (StepWork::of(Feature::Decrypt), StepWork::default()),
        }
    }
}

/// `linear 4x4x0x4`, `squares 8`, `window 1x3`, `encode`; inputs, rotations, rotated sums, outputs.
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear { inputs, rotations, giants, outputs } => {
                write!(f, "linear {inputs}x{rotations}x{giants}x{outputs}")
            }
            Self::Squares(ciphertexts) => write!(f, "squares {ciphertexts}"),
            Self::Window { ciphertexts, rotations } => write!(f, "window {ciphertexts}x{rotations}"),
            Self::Encode => f.write_str("encode"),
            Self::Encrypt => f.write_str("encrypt"),
            Self::Decrypt => f.write_str("decrypt"),
        }
    }
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|probe| probe.to_string() == text);
        known.ok_or_else(|| format!("unknown probe `{}`", text.escape_debug().take(40).collect::<String>()))
    }
}
