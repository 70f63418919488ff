//! The part that all files have.

use std::fmt;
use std::io::Read;

use striae_cost_model::CkksParams;

use crate::HeError;
use crate::rns::primes::PrimeChain;

use super::SerialError;
use super::stream::fill;

/// Version of the format.
pub(super) const VERSION: u8 = 2;
/// Bytes of a header.
pub(super) const HEADER: usize = 64;
/// Bytes of the checksum.
pub(super) const CHECKSUM: usize = 32;
const MAGIC: &[u8; 6] = b"STRIAE";

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FileKind {
    /// Encryption parameters.
    Parameters = 1,
    /// A secret key.
    SecretKey = 2,
    /// Evaluation keys.
    EvaluationKeys = 3,
    /// Ciphertexts of one image or one result.
    Ciphertexts = 4,
    /// Encoded weights of one network.
    EncodedWeights = 5,
}

impl FileKind {
    const ALL: [Self; 5] =
        [Self::Parameters, Self::SecretKey, Self::EvaluationKeys, Self::Ciphertexts, Self::EncodedWeights];

    /// The kind of a file, from its first bytes alone.
    pub fn peek(input: &mut dyn Read) -> Result<Self, SerialError> {
        let mut start = [0; 8];
        fill(input, "header", &mut start)?;
        Self::from_start(start)
    }

    fn from_start(start: [u8; 8]) -> Result<Self, SerialError> {
        let [magic @ .., kind, version] = start;
        if &magic != MAGIC {
            return Err(SerialError::Magic);
        }
        // Before the kind: a later version may have more of them.
        if version != VERSION {
            return Err(SerialError::Version { found: version });
        }
        Self::ALL.into_iter().find(|&k| k as u8 == kind).ok_or(SerialError::UnknownKind { found: kind })
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameters => "parameters",
            Self::SecretKey => "a secret key",
            Self::EvaluationKeys => "evaluation keys",
            Self::Ciphertexts => "ciphertexts",
            Self::EncodedWeights => "encoded weights",
        })
    }
}

/// Hash of a parameter set and its primes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(super) [u8; 32]);

impl Fingerprint {
    /// That of `params`.
    pub fn of(params: &CkksParams) -> Result<Self, HeError> {
        let chain = PrimeChain::of(params)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(params.to_string().as_bytes());
        hasher.update(&[0]);
        chain.q.iter().chain(&chain.p).for_each(|p| {
            hasher.update(&p.to_le_bytes());
        });
        Ok(Self(hasher.finalize().into()))
    }
}

/// Which key pair something belongs to: random, and no part of any secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 16]);

macro_rules! shown_in_hexadecimal {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
shown_in_hexadecimal!(Fingerprint, KeyId);

/// What everything made under one key shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Of the parameters.
    pub(crate) fingerprint: Fingerprint,
    /// Of the key.
    pub(crate) key: KeyId,
}

/// What a reader insists on.
pub(super) struct Expected {
    pub(super) kind: FileKind,
    /// `None` where the payload says what the parameters are.
    pub(super) fingerprint: Option<Fingerprint>,
    /// `None` where the file says what the key is.
    pub(super) key: Option<KeyId>,
}

/// The first bytes of a file.
pub(super) struct Header {
    pub(super) kind: FileKind,
    pub(super) identity: Identity,
    pub(super) payload: u64,
}

impl Header {
    pub(super) fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..6].copy_from_slice(MAGIC);
        bytes[6] = self.kind as u8;
        bytes[7] = VERSION;
        bytes[8..40].copy_from_slice(&self.identity.fingerprint.0);
        bytes[40..56].copy_from_slice(&self.identity.key.0);
        bytes[56..].copy_from_slice(&self.payload.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER]) -> Result<Self, SerialError> {
        let part = |from: usize| &bytes[from..];
        let kind = FileKind::from_start(array(part(0)))?;
        let identity = Identity { fingerprint: Fingerprint(array(part(8))), key: KeyId(array(part(40))) };
        Ok(Self { kind, identity, payload: u64::from_le_bytes(array(part(56))) })
    }

    /// Reads a header, and checks it against a file of `len` bytes and against what is expected.
    pub(super) fn read(
        input: &mut dyn Read,
        len: u64,
        expected: &Expected,
    ) -> Result<(Self, [u8; HEADER]), SerialError> {
        let frame = (HEADER + CHECKSUM) as u64;
        if len < 8 {
            return Err(SerialError::Truncated { field: "header", needed: frame, left: len });
        }
        let mut bytes = [0; HEADER];
        let (start, rest) = bytes.split_at_mut(8);
        fill(input, "header", start)?;
        let found = FileKind::from_start(array(start))?;
        if found != expected.kind {
            return Err(SerialError::Kind { found, expected: expected.kind });
        }
        if len < frame {
            return Err(SerialError::Truncated { field: "header", needed: frame, left: len });
        }
        fill(input, "header", rest)?;
        let header = Self::from_bytes(&bytes)?;
        header.check(len - frame, expected)?;
        Ok((header, bytes))
    }

    fn check(&self, payload: u64, expected: &Expected) -> Result<(), SerialError> {
        let Identity { fingerprint, key } = self.identity;
        if let Some(expected) = expected.fingerprint.filter(|&f| f != fingerprint) {
            return Err(SerialError::Parameters { found: fingerprint, expected });
        }
        if let Some(expected) = expected.key.filter(|&k| k != key) {
            return Err(SerialError::Key { found: key, expected });
        }
        if payload < self.payload {
            return Err(SerialError::Truncated { field: "payload", needed: self.payload, left: payload });
        }
        if payload > self.payload {
            return Err(SerialError::TooLong { field: "file", extra: payload - self.payload });
        }
        Ok(())
    }
}

/// The first `N` bytes.
pub(super) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}
