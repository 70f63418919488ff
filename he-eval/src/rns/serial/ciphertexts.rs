//! Groups of ciphertexts: an encrypted image or an encrypted result.

use std::fmt;
use std::io::{Read, Write};

use crate::rns::context::Context;
use crate::rns::pool::Poly;
use crate::{RnsBackend, RnsCiphertext, RnsClient};

use super::header::{Expected, FileKind, Header, Identity};
use super::stream::{Reader, Writer, residue_bytes};
use super::{SerialError, stream};

/// What ciphertexts are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Content {
    /// The network's input.
    Image = 1,
    /// The network's output.
    Result = 2,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "an image",
            Self::Result => "a result",
        })
    }
}

/// What a reader of ciphertexts can know of them without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupLabel {
    /// Hash of the network and of the layout of its input and output; the format gives it no further meaning.
    pub circuit: [u8; 32],
    /// Which of the two.
    pub content: Content,
}

/// Ciphertexts that belong together.
#[derive(Clone, Debug)]
pub struct CiphertextGroup {
    /// What they are.
    pub label: GroupLabel,
    /// In the order of the layout.
    pub ciphertexts: Vec<RnsCiphertext>,
}

/// Bytes of level and scale.
const NUMBERS: u64 = 4 + 8;

impl CiphertextGroup {
    fn write(&self, ctx: &Context, identity: Identity, out: &mut dyn Write) -> Result<(), SerialError> {
        let sizes: u64 = self.ciphertexts.iter().map(|ct| NUMBERS + poly_bytes(ctx, ct.level)).sum();
        let header = Header { kind: FileKind::Ciphertexts, identity, payload: 32 + 1 + 4 + sizes };
        stream::write(out, &header, |writer| {
            writer.bytes(&self.label.circuit)?;
            writer.bytes(&[self.label.content as u8])?;
            writer.number(self.ciphertexts.len())?;
            self.ciphertexts.iter().try_for_each(|ct| write_one(ctx, writer, ct))
        })
    }

    fn read(
        ctx: &Context,
        identity: Identity,
        label: &GroupLabel,
        (input, len): (&mut dyn Read, u64),
    ) -> Result<Self, SerialError> {
        let Identity { fingerprint, key } = identity;
        let expected = Expected { kind: FileKind::Ciphertexts, fingerprint: Some(fingerprint), key: Some(key) };
        stream::read(input, len, &expected, |reader, _| {
            check_label(reader, label)?;
            let count = reader.number("number of ciphertexts")?;
            let ciphertexts = (0..count).map(|_| read_one(ctx, reader)).collect::<Result<_, _>>()?;
            Ok(Self { label: *label, ciphertexts })
        })
    }
}

impl RnsClient {
    /// Writes ciphertexts of this client.
    pub fn write_ciphertexts(&self, group: &CiphertextGroup, out: &mut dyn Write) -> Result<(), SerialError> {
        group.write(&self.ctx, self.identity, out)
    }

    /// Reads ciphertexts of this client's key from a file of `len` bytes.
    pub fn read_ciphertexts(
        &self,
        label: &GroupLabel,
        input: &mut dyn Read,
        len: u64,
    ) -> Result<CiphertextGroup, SerialError> {
        CiphertextGroup::read(&self.ctx, self.identity, label, (input, len))
    }
}

impl RnsBackend {
    /// Writes ciphertexts under the key these evaluation keys are of.
    pub fn write_ciphertexts(&self, group: &CiphertextGroup, out: &mut dyn Write) -> Result<(), SerialError> {
        group.write(&self.ctx, self.identity, out)
    }

    /// Reads ciphertexts under the key these evaluation keys are of from a file of `len` bytes.
    pub fn read_ciphertexts(
        &self,
        label: &GroupLabel,
        input: &mut dyn Read,
        len: u64,
    ) -> Result<CiphertextGroup, SerialError> {
        CiphertextGroup::read(&self.ctx, self.identity, label, (input, len))
    }
}

/// Bytes of both polynomials.
fn poly_bytes(ctx: &Context, level: usize) -> u64 {
    let per_coefficient: usize = ctx.tables[..=level].iter().map(|t| residue_bytes(t.modulus.value())).sum();
    2 * (per_coefficient * ctx.n) as u64
}

fn check_label(reader: &mut Reader<'_>, expected: &GroupLabel) -> Result<(), SerialError> {
    let circuit: [u8; 32] = reader.array("network")?;
    let [content] = reader.array("content")?;
    if circuit != expected.circuit {
        let short = |hash: [u8; 32]| format!("network {}", &blake3::Hash::from(hash).to_hex()[..16]);
        let (found, expected) = (short(circuit), short(expected.circuit));
        return Err(SerialError::Label { field: "network", found, expected });
    }
    let Some(found) = [Content::Image, Content::Result].into_iter().find(|&c| c as u8 == content) else {
        return Err(SerialError::value("content", &content, "1 (an image) or 2 (a result)"));
    };
    if found != expected.content {
        let (found, expected) = (found.to_string(), expected.content.to_string());
        return Err(SerialError::Label { field: "content", found, expected });
    }
    Ok(())
}

fn write_one(ctx: &Context, writer: &mut Writer<'_>, ct: &RnsCiphertext) -> Result<(), SerialError> {
    writer.number(ct.level)?;
    writer.bytes(&ct.scale.to_le_bytes())?;
    for part in &ct.parts {
        for (table, limb) in ctx.tables.iter().zip(part.chunks_exact(ctx.n)) {
            writer.residues(table.modulus.value(), limb)?;
        }
    }
    Ok(())
}

fn read_one(ctx: &Context, reader: &mut Reader<'_>) -> Result<RnsCiphertext, SerialError> {
    let level = reader.number("level")? as usize;
    if level >= ctx.q_count {
        return Err(SerialError::value("level", &level, format!("at most {}", ctx.q_count - 1)));
    }
    let scale = f64::from_le_bytes(reader.array("scale")?);
    if !(scale.is_finite() && scale > 0.0) {
        return Err(SerialError::value("scale", &scale, "a positive finite number"));
    }
    reader.require("ciphertext", poly_bytes(ctx, level))?;
    let mut parts = [0, 1].map(|_| ctx.pool.take((level + 1) * ctx.n));
    for part in &mut parts {
        read_poly(ctx, reader, part)?;
    }
    Ok(RnsCiphertext { parts, level, scale })
}

fn read_poly(ctx: &Context, reader: &mut Reader<'_>, poly: &mut Poly) -> Result<(), SerialError> {
    let limbs = ctx.tables.iter().zip(poly.chunks_exact_mut(ctx.n));
    limbs.into_iter().try_for_each(|(table, limb)| reader.residues("ciphertext", table.modulus.value(), limb))
}
