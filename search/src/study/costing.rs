//! The protocol that candidates of a study are costed under, and which of its fields mean something there.

use std::fmt;

use serde::{Deserialize, Serialize};
use striae_cost_model::Packing;
use striae_cost_model::hybrid::{NetworkLink, Protocol};

use super::{StudyConfig, StudyErrorKind, TrainingStage};

/// Largest ring degree, as a power of two, of a study that names none.
const MAX_LOG_N: u32 = 15;

/// Who computes what, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolName {
    /// The server alone, under CKKS.
    #[default]
    Ckks,
    /// SCI's homomorphic convolutions, CrypTFlow2's two-party activations.
    CrypTFlow2,
    /// Cheetah.
    Cheetah,
}

/// What connects client and server, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkName {
    /// [`NetworkLink::LAN`].
    Lan,
    /// [`NetworkLink::WAN`].
    Wan,
}

impl LinkName {
    /// Its rate and its delay.
    pub const fn link(self) -> NetworkLink {
        match self {
            Self::Lan => NetworkLink::LAN,
            Self::Wan => NetworkLink::WAN,
        }
    }
}

/// How candidates are costed.
#[derive(Clone, Debug, PartialEq)]
pub enum Costing {
    /// The server alone, under CKKS: what is estimated can be run.
    Ckks {
        /// How candidates may be packed; empty for the default packing.
        packings: Vec<Packing>,
        /// Largest ring degree, as a power of two.
        max_log_n: u32,
    },
    /// Homomorphic linear layers, two-party rectifiers. Striae estimates them and does not run them.
    Hybrid {
        /// The protocol.
        protocol: Protocol,
        /// What connects client and server.
        link: LinkName,
    },
}

impl Costing {
    /// The one that `config` asks for, its packings known.
    pub(super) fn of(config: &StudyConfig) -> Result<Self, StudyErrorKind> {
        let protocol = match config.protocol {
            ProtocolName::Ckks => return Self::ckks(config),
            ProtocolName::CrypTFlow2 => Protocol::CrypTFlow2,
            ProtocolName::Cheetah => Protocol::Cheetah,
        };
        for (field, given, why) in foreign_to_hybrid(config) {
            refuse(given, field, protocol.name(), why)?;
        }
        let why = "its latencies depend on the network between client and server: it must be lan or wan";
        let absent = || StudyErrorKind::Field { field: "link", value: "absent".to_owned(), why };
        Ok(Self::Hybrid { protocol, link: config.link.ok_or_else(absent)? })
    }

    fn ckks(config: &StudyConfig) -> Result<Self, StudyErrorKind> {
        refuse(config.link.is_some(), "link", "ckks", "the server works alone, no network is part of the estimate")?;
        let packings = config.packings.iter().filter_map(|name| name.parse().ok()).collect();
        Ok(Self::Ckks { packings, max_log_n: config.limits.max_log_n.unwrap_or(MAX_LOG_N) })
    }

    /// How candidates may be packed; empty for the default packing.
    pub fn packings(&self) -> &[Packing] {
        match self {
            Self::Ckks { packings, .. } => packings,
            Self::Hybrid { .. } => &[],
        }
    }
}

/// `ckks`, or a hybrid protocol with its network: `cheetah over lan (384 MB/s, 0.3 ms)`.
impl fmt::Display for Costing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ckks { .. } => f.write_str("ckks"),
            Self::Hybrid { protocol, link } => {
                let NetworkLink { name, bytes_per_second, round_trip } = link.link();
                write!(f, "{protocol} over {name} ({} MB/s, {} ms)", bytes_per_second / 1e6, round_trip.0 * 1e3)
            }
        }
    }
}

/// Fields without a meaning under a hybrid protocol: which are given, and why they have none.
fn foreign_to_hybrid(config: &StudyConfig) -> [(&'static str, bool, &'static str); 6] {
    let StudyConfig { packings, limits, training, verify, .. } = config;
    let penalised = |stage: &TrainingStage| stage.range_penalty != 0.0;
    let rectifiers = "it is for quadratic activations, and two-party computation has rectifiers";
    [
        ("packings", !packings.is_empty(), "it has a packing of its own"),
        ("limits.max_log_n", limits.max_log_n.is_some(), "its ring is fixed"),
        ("limits.memory_gib", limits.memory_gib.is_some(), "its estimates have no memory"),
        ("verify.images", verify.images.is_some(), "its networks are estimated, not run encrypted"),
        ("training.short.range_penalty", penalised(&training.short), rectifiers),
        ("training.full.range_penalty", penalised(&training.full), rectifiers),
    ]
}

fn refuse(given: bool, field: &'static str, protocol: &'static str, why: &'static str) -> Result<(), StudyErrorKind> {
    if given { Err(StudyErrorKind::Foreign { field, protocol, why }) } else { Ok(()) }
}
