//! Groups of ciphertexts: an encrypted image or an encrypted result.

use std::fmt;
use std::io::{Read, Write};

use crate::rns::context::Context;
use crate::rns::keys::masks;
use crate::rns::pool::Poly;
use crate::rns::{parallel, sampling};
use crate::{FreshCiphertext, RnsBackend, RnsCiphertext, RnsClient};

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

/// Hash of a program and of the network it is of; the formats give it no further meaning.
pub type CircuitHash = [u8; 32];

/// What a reader of ciphertexts can know of them without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupLabel {
    /// What they are made for.
    pub circuit: CircuitHash,
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

/// Bytes of form, level and scale.
const NUMBERS: u64 = 1 + 4 + 8;
/// Form of a ciphertext of which both polynomials stand in the file.
const WHOLE: u8 = 0;
/// Form of a ciphertext with the seed of c1 behind c0.
const SEEDED: u8 = 1;
/// Bytes of that seed.
const MASK_SEED: u64 = 32;

/// A ciphertext to be written, with the seed of c1 where that is known.
#[derive(Clone, Copy)]
struct Written<'a> {
    ciphertext: &'a RnsCiphertext,
    mask_seed: Option<&'a [u8; 32]>,
}

impl Written<'_> {
    fn bytes(self, ctx: &Context) -> u64 {
        let poly = poly_bytes(ctx, self.ciphertext.level);
        NUMBERS + poly + if self.mask_seed.is_some() { MASK_SEED } else { poly }
    }

    fn write(self, ctx: &Context, writer: &mut Writer<'_>) -> Result<(), SerialError> {
        let Self { ciphertext: RnsCiphertext { parts: [c0, c1], level, scale }, mask_seed } = self;
        writer.bytes(&[if mask_seed.is_some() { SEEDED } else { WHOLE }])?;
        writer.number(*level)?;
        writer.bytes(&scale.to_le_bytes())?;
        write_poly(ctx, writer, c0)?;
        match mask_seed {
            Some(seed) => writer.bytes(seed),
            None => write_poly(ctx, writer, c1),
        }
    }
}

fn write_group(
    ctx: &Context,
    identity: Identity,
    label: &GroupLabel,
    ciphertexts: &[Written<'_>],
    out: &mut dyn Write,
) -> Result<(), SerialError> {
    let sizes: u64 = ciphertexts.iter().map(|ct| ct.bytes(ctx)).sum();
    let header = Header { kind: FileKind::Ciphertexts, identity, payload: 32 + 1 + 4 + sizes };
    stream::write(out, &header, |writer| {
        writer.bytes(&label.circuit)?;
        writer.bytes(&[label.content as u8])?;
        writer.number(ciphertexts.len())?;
        ciphertexts.iter().try_for_each(|ct| ct.write(ctx, writer))
    })
}

impl CiphertextGroup {
    fn write(&self, ctx: &Context, identity: Identity, out: &mut dyn Write) -> Result<(), SerialError> {
        let whole = |ciphertext| Written { ciphertext, mask_seed: None };
        let written: Vec<_> = self.ciphertexts.iter().map(whole).collect();
        write_group(ctx, identity, &self.label, &written, out)
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
    /// Writes ciphertexts as this client encrypted them: half the size, since seeds stand in place of the polynomials c1.
    pub fn write_fresh(
        &self,
        label: &GroupLabel,
        ciphertexts: &[FreshCiphertext],
        out: &mut dyn Write,
    ) -> Result<(), SerialError> {
        let written: Vec<_> = ciphertexts
            .iter()
            .map(|fresh| Written { ciphertext: &fresh.ciphertext, mask_seed: Some(&fresh.mask_seed) })
            .collect();
        write_group(&self.ctx, self.identity, label, &written, out)
    }

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

/// Bytes of a polynomial.
fn poly_bytes(ctx: &Context, level: usize) -> u64 {
    let per_coefficient: usize = ctx.tables[..=level].iter().map(|t| residue_bytes(t.modulus.value())).sum();
    (per_coefficient * ctx.n) as u64
}

/// Reads a circuit's hash, which must be `expected`.
pub(super) fn check_circuit(
    reader: &mut Reader<'_>,
    what: &'static str,
    expected: &CircuitHash,
) -> Result<(), SerialError> {
    let circuit: CircuitHash = reader.array("network")?;
    if circuit == *expected {
        return Ok(());
    }
    let short = |hash: CircuitHash| format!("network {}", &blake3::Hash::from(hash).to_hex()[..16]);
    Err(SerialError::Label { what, field: "network", found: short(circuit), expected: short(*expected) })
}

fn check_label(reader: &mut Reader<'_>, expected: &GroupLabel) -> Result<(), SerialError> {
    const WHAT: &str = "ciphertexts";
    check_circuit(reader, WHAT, &expected.circuit)?;
    let [content] = reader.array("content")?;
    let Some(found) = [Content::Image, Content::Result].into_iter().find(|&c| c as u8 == content) else {
        return Err(SerialError::value("content", &content, "1 (an image) or 2 (a result)"));
    };
    if found != expected.content {
        let (found, expected) = (found.to_string(), expected.content.to_string());
        return Err(SerialError::Label { what: WHAT, field: "content", found, expected });
    }
    Ok(())
}

fn write_poly(ctx: &Context, writer: &mut Writer<'_>, poly: &Poly) -> Result<(), SerialError> {
    let mut limbs = ctx.tables.iter().zip(poly.chunks_exact(ctx.n));
    limbs.try_for_each(|(table, limb)| writer.residues(table.modulus.value(), limb))
}

fn read_one(ctx: &Context, reader: &mut Reader<'_>) -> Result<RnsCiphertext, SerialError> {
    let [form] = reader.array("form")?;
    if form != WHOLE && form != SEEDED {
        return Err(SerialError::value("form", &form, "0 (whole) or 1 (seeded)"));
    }
    let level = reader.number("level")? as usize;
    if level >= ctx.q_count {
        return Err(SerialError::value("level", &level, format!("at most {}", ctx.q_count - 1)));
    }
    let scale = f64::from_le_bytes(reader.array("scale")?);
    if !(scale.is_finite() && scale > 0.0) {
        return Err(SerialError::value("scale", &scale, "a positive finite number"));
    }
    let poly = poly_bytes(ctx, level);
    reader.require("ciphertext", poly + if form == SEEDED { MASK_SEED } else { poly })?;
    let mut parts = [(); 2].map(|()| ctx.pool.take((level + 1) * ctx.n));
    let [c0, c1] = &mut parts;
    read_poly(ctx, reader, c0)?;
    if form == SEEDED {
        let seed = reader.array("ciphertext")?;
        parallel::each_limb(ctx.n, c1, |i, limb| {
            sampling::uniform(&mut masks(seed, i), ctx.tables[i].modulus.value(), limb);
        });
    } else {
        read_poly(ctx, reader, c1)?;
    }
    Ok(RnsCiphertext { parts, level, scale })
}

fn read_poly(ctx: &Context, reader: &mut Reader<'_>, poly: &mut Poly) -> Result<(), SerialError> {
    let mut limbs = ctx.tables.iter().zip(poly.chunks_exact_mut(ctx.n));
    limbs.try_for_each(|(table, limb)| reader.residues("ciphertext", table.modulus.value(), limb))
}
