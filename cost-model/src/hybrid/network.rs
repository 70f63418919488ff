//! The network between client and server.

use serde::Serialize;

use crate::{Bytes, Seconds};

/// A network by its rate and its delay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NetworkLink {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// Bytes per second, of both directions together.
    pub bytes_per_second: f64,
    /// Time of a message and its answer.
    pub round_trip: Seconds,
}

impl NetworkLink {
    /// 384 MB/s and 0.3 ms (CrypTFlow2, section 6).
    pub const LAN: Self = Self { name: "lan", bytes_per_second: 384e6, round_trip: Seconds(0.3e-3) };
    /// 44 MB/s and 40 ms (CrypTFlow2, section 6).
    pub const WAN: Self = Self { name: "wan", bytes_per_second: 44e6, round_trip: Seconds(40e-3) };
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::LAN, Self::WAN];

    /// Time to send `bytes` in `rounds` rounds, one after the other.
    pub fn seconds(&self, bytes: Bytes, rounds: u64) -> Seconds {
        Seconds(bytes.0 as f64 / self.bytes_per_second + rounds as f64 * self.round_trip.0)
    }
}
