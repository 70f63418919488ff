//! Payloads as streams: nothing is held twice, and every byte goes through the checksum.

use std::io::{ErrorKind, Read, Write};

use blake3::Hasher;
use zeroize::{Zeroize, Zeroizing};

use super::SerialError;
use super::header::{CHECKSUM, Expected, Header, Identity};

/// Residues converted at a time.
const CHUNK: usize = 1 << 13;

/// Bytes of a residue below `prime`.
pub(super) const fn residue_bytes(prime: u64) -> usize {
    (u64::BITS - prime.leading_zeros()).div_ceil(8) as usize
}

/// Fills `out`; an early end is the file's fault.
pub(super) fn fill(input: &mut dyn Read, field: &'static str, out: &mut [u8]) -> Result<(), SerialError> {
    input.read_exact(out).map_err(|e| {
        if e.kind() == ErrorKind::UnexpectedEof {
            SerialError::Truncated { field, needed: out.len() as u64, left: 0 }
        } else {
            e.into()
        }
    })
}

/// Writes a payload.
pub(super) struct Writer<'w> {
    out: &'w mut dyn Write,
    hasher: Hasher,
    left: u64,
}

/// The hasher holds the last bytes it saw, and those may be a secret key's.
impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.hasher.zeroize();
    }
}

impl Writer<'_> {
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), SerialError> {
        self.hasher.update(bytes);
        self.left -= bytes.len() as u64;
        Ok(self.out.write_all(bytes)?)
    }

    /// A count, level or rotation.
    pub(super) fn number(&mut self, value: usize) -> Result<(), SerialError> {
        self.bytes(&(value as u32).to_le_bytes())
    }

    /// Residues below `prime`.
    pub(super) fn residues(&mut self, prime: u64, residues: &[u64]) -> Result<(), SerialError> {
        let width = residue_bytes(prime);
        let mut bytes = Vec::with_capacity(width * CHUNK.min(residues.len()));
        for chunk in residues.chunks(CHUNK) {
            bytes.clear();
            chunk.iter().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes()[..width]));
            self.bytes(&bytes)?;
        }
        Ok(())
    }
}

/// Writes a file whose payload, made by `body`, has `header.payload` bytes.
pub(super) fn write(
    out: &mut dyn Write,
    header: &Header,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), SerialError>,
) -> Result<(), SerialError> {
    let bytes = header.to_bytes();
    let mut hasher = Hasher::new();
    hasher.update(&bytes);
    out.write_all(&bytes)?;
    let mut writer = Writer { out, hasher, left: header.payload };
    body(&mut writer)?;
    assert_eq!(writer.left, 0, "the length of a payload is known before it is written");
    let checksum = writer.hasher.finalize();
    Ok(writer.out.write_all(checksum.as_bytes())?)
}

/// Reads a payload.
pub(super) struct Reader<'r> {
    input: &'r mut dyn Read,
    hasher: Hasher,
    left: u64,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.hasher.zeroize();
    }
}

impl Reader<'_> {
    /// Whether `needed` bytes are left: to be asked before memory is taken for them.
    pub(super) fn require(&self, field: &'static str, needed: u64) -> Result<(), SerialError> {
        if needed > self.left { Err(SerialError::Truncated { field, needed, left: self.left }) } else { Ok(()) }
    }

    /// Bytes left.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn bytes(&mut self, field: &'static str, out: &mut [u8]) -> Result<(), SerialError> {
        self.require(field, out.len() as u64)?;
        fill(self.input, field, out)?;
        self.hasher.update(out);
        self.left -= out.len() as u64;
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], SerialError> {
        let mut bytes = [0; N];
        self.bytes(field, &mut bytes)?;
        Ok(bytes)
    }

    /// A count, level or rotation.
    pub(super) fn number(&mut self, field: &'static str) -> Result<u32, SerialError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// Residues below `prime`.
    pub(super) fn residues(&mut self, field: &'static str, prime: u64, out: &mut [u64]) -> Result<(), SerialError> {
        let width = residue_bytes(prime);
        self.require(field, (width * out.len()) as u64)?;
        let mut bytes = vec![0; width * CHUNK.min(out.len())];
        for (k, chunk) in out.chunks_mut(CHUNK).enumerate() {
            let bytes = &mut bytes[..width * chunk.len()];
            self.bytes(field, bytes)?;
            for (i, (x, bytes)) in chunk.iter_mut().zip(bytes.chunks_exact(width)).enumerate() {
                *x = bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
                if *x >= prime {
                    return Err(SerialError::Residue { field, index: k * CHUNK + i, value: *x, prime });
                }
            }
        }
        Ok(())
    }

    /// Passes over what is left.
    fn drain(&mut self) -> Result<(), SerialError> {
        let mut bytes = Zeroizing::new([0; 1 << 12]);
        while self.left > 0 {
            let take = self.left.min(bytes.len() as u64) as usize;
            self.bytes("payload", &mut bytes[..take])?;
        }
        Ok(())
    }
}

/// Reads a file of `len` bytes; `body` takes the payload apart. Damage anywhere is reported as such, even where the payload
/// happens to be refused for what the damage made of it.
pub(super) fn read<T>(
    input: &mut dyn Read,
    len: u64,
    expected: &Expected,
    body: impl FnOnce(&mut Reader<'_>, Identity) -> Result<T, SerialError>,
) -> Result<T, SerialError> {
    let (header, bytes) = Header::read(input, len, expected)?;
    let mut hasher = Hasher::new();
    hasher.update(&bytes);
    let mut reader = Reader { input, hasher, left: header.payload };
    let result = match body(&mut reader, header.identity) {
        Err(e @ SerialError::Io(_)) => return Err(e),
        result => result,
    };
    let extra = reader.left();
    reader.drain()?;
    let mut found = [0; CHECKSUM];
    fill(reader.input, "checksum", &mut found)?;
    let intact = reader.hasher.finalize() == blake3::Hash::from(found);
    match result {
        _ if !intact => Err(SerialError::Checksum),
        Ok(_) if extra > 0 => Err(SerialError::TooLong { field: "payload", extra }),
        result => result,
    }
}
