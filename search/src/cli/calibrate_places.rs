//! Where `striae calibrate` measures: for each ring and degree, chains of different lengths, numbers of special primes and
//! word sizes. Whether a chain is secure does not matter to its times.

use striae_cost_model::{CkksParams, CkksParamsLiteral, RingType};

use super::failure::Failure;

/// Bits of q0 above the scale.
const HEADROOM: u32 = 10;
/// Scales, in bits: words of four bytes and of five.
const SCALES: [u32; 2] = [36, 28];

/// A chain whose highest level is measured, and about how long.
pub(super) struct Place {
    pub(super) params: CkksParams,
    pub(super) seconds: f64,
}

/// Levels that are measured at a degree, as deep as networks there are.
const fn levels(log_n: u32, quick: bool) -> &'static [usize] {
    match log_n {
        15 if quick => &[1, 2, 4, 7, 10],
        16 if quick => &[1, 2, 3, 4, 6],
        ..=12 => &[1, 2, 3, 4, 5],
        13 => &[1, 2, 3, 4, 6],
        14 => &[1, 2, 4, 7, 10],
        15 => &[1, 3, 6, 10, 15],
        _ => &[1, 3, 6, 10, 16],
    }
}

/// Numbers of special primes at the `place`-th level: one and several at low and high levels, and more than there are limbs,
/// as the last levels of deep chains have;
/// the first alone if quick.
const SPECIALS: [&[usize]; 5] = [&[2, 4, 1], &[1, 4, 2], &[3, 1, 5], &[1, 3, 5], &[4, 2, 6]];

/// Seconds that measuring one place may take beside its keys.
fn seconds(log_n: u32, quick: bool) -> f64 {
    let full = match log_n {
        ..=13 => 3.0,
        14 => 5.0,
        15 => 8.0,
        _ => 16.0,
    };
    if quick { full / 4.0 } else { full }
}

/// All places; of N = 2^11 and 2^16 in the standard ring, which alone is planned there.
pub(super) fn places(log_n: &[u32], quick: bool) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    for &log_n in log_n {
        let rings = if (12..=15).contains(&log_n) { &RingType::ALL[..] } else { &[RingType::Standard] };
        for &ring in rings {
            for (i, (&level, specials)) in levels(log_n, quick).iter().zip(SPECIALS).enumerate() {
                let most = match log_n {
                    _ if quick => 1,
                    11 | 16 => 1,
                    15 => 2,
                    _ => specials.len(),
                };
                for (j, &special) in specials.iter().take(most).enumerate() {
                    let params = params(ring, log_n, level, special, SCALES[(i + j) % 2])?;
                    places.push(Place { params, seconds: seconds(log_n, quick) });
                }
            }
        }
    }
    Ok(places)
}

fn params(ring: RingType, log_n: u32, level: usize, special: usize, log_scale: u32) -> Result<CkksParams, Failure> {
    let q0 = log_scale + HEADROOM;
    let digit = q0 + (special as u32 - 1) * log_scale;
    let literal = CkksParamsLiteral {
        log_n,
        log_q: std::iter::once(q0).chain(std::iter::repeat_n(log_scale, level)).collect(),
        log_p: vec![(digit + 1).div_ceil(special as u32); special],
        log_scale,
        ring,
        insecure: true,
    };
    literal.try_into().map_err(Failure::unexpected)
}
