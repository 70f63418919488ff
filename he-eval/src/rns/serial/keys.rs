//! Secret keys and evaluation keys.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use striae_cost_model::CkksParams;
use zeroize::Zeroizing;

use crate::backend::Tally;
use crate::rns::context::Context;
use crate::rns::keys::{EvaluationKeys, SecretKey, SeededKey, SwitchKey};
use crate::rns::simd::Simd;
use crate::{HeError, RnsBackend, RnsClient, Seed};

use super::ciphertexts::{CircuitHash, check_circuit};
use super::header::{Expected, FileKind, Fingerprint, Header, Identity, KeyId};
use super::stream::{Reader, Writer, residue_bytes};
use super::{SerialError, stream};

fn context(params: &CkksParams) -> Result<Arc<Context>, HeError> {
    Context::new(params, Simd::detect()).map(Arc::new)
}

fn expected(kind: FileKind, params: &CkksParams) -> Result<Expected, SerialError> {
    Ok(Expected { kind, fingerprint: Some(Fingerprint::of(params)?), key: None })
}

impl RnsClient {
    /// Which key pair this is.
    pub fn key_id(&self) -> KeyId {
        self.identity.key
    }

    /// Writes the secret key, in the clear: whoever can read the file can decrypt.
    pub fn write_secret_key(&self, out: &mut dyn Write) -> Result<(), SerialError> {
        // A coefficient -1, 0 or 1 is kept as 0, 1 or 2.
        let bytes = Zeroizing::new(self.secret.coefficients().iter().map(|&c| (c + 1) as u8).collect::<Vec<_>>());
        let header = Header { kind: FileKind::SecretKey, identity: self.identity, payload: bytes.len() as u64 };
        stream::write(out, &header, |writer| writer.bytes(&bytes))
    }

    /// Reads a secret key from a file of `len` bytes. New encryptions take their randomness from the operating system.
    pub fn read_secret_key(params: &CkksParams, input: &mut dyn Read, len: u64) -> Result<Self, SerialError> {
        let n = 1usize << params.log_n();
        let (coefficients, identity) =
            stream::read(input, len, &expected(FileKind::SecretKey, params)?, |reader, identity| {
                const FIELD: &str = "secret key";
                reader.require(FIELD, n as u64)?;
                let mut bytes = Zeroizing::new(vec![0; n]);
                reader.bytes(FIELD, &mut bytes)?;
                if bytes.iter().any(|&b| b > 2) {
                    return Err(SerialError::value(FIELD, &"not ternary", "coefficients of -1, 0 and 1"));
                }
                let coefficients: Vec<i64> = bytes.iter().map(|&b| i64::from(b) - 1).collect();
                Ok((Zeroizing::new(coefficients), identity))
            })?;
        let ctx = context(params)?;
        let secret = SecretKey::from_coefficients(&ctx, coefficients);
        Ok(Self { ctx, secret, rng: Mutex::new(Seed::Entropy.rng()?), identity })
    }
}

impl RnsBackend {
    /// Which key pair the keys are of.
    pub fn key_id(&self) -> KeyId {
        self.identity.key
    }

    /// Writes the evaluation keys, labelled with the hash of the circuit that they are for.
    pub fn write_evaluation_keys(&self, circuit: &CircuitHash, out: &mut dyn Write) -> Result<(), SerialError> {
        let payload = 32 + 4 + self.keys.all().map(|(_, key)| key_bytes(&self.ctx, key.level())).sum::<u64>();
        let header = Header { kind: FileKind::EvaluationKeys, identity: self.identity, payload };
        stream::write(out, &header, |writer| {
            writer.bytes(circuit)?;
            writer.number(self.keys.all().count())?;
            self.keys.all().try_for_each(|(rotation, key)| write_key(&self.ctx, writer, rotation, key))
        })
    }

    /// Reads the evaluation keys for a circuit from a file of `len` bytes.
    pub fn read_evaluation_keys(
        params: &CkksParams,
        circuit: &CircuitHash,
        input: &mut dyn Read,
        len: u64,
    ) -> Result<Self, SerialError> {
        stream::read(input, len, &expected(FileKind::EvaluationKeys, params)?, |reader, identity| {
            check_circuit(reader, "evaluation keys", circuit)?;
            let ctx = context(params)?;
            let keys = read_keys(&ctx, reader)?;
            Ok(Self::from_parts(params.clone(), ctx, keys, identity))
        })
    }

    fn from_parts(params: CkksParams, ctx: Arc<Context>, keys: EvaluationKeys, identity: Identity) -> Self {
        Self { params, ctx, keys, tally: Tally::default(), identity }
    }
}

/// Bytes of the seed of a key's uniform halves.
const KEY_SEED: u64 = 32;

/// Bytes of the other halves of a key for levels up to `level`.
fn body_bytes(ctx: &Context, level: usize) -> u64 {
    let primes = (0..ctx.extended_limbs(level)).map(|t| ctx.modulus(level, t).value());
    let per_coefficient: usize = primes.map(residue_bytes).sum();
    (per_coefficient * SwitchKey::digits(ctx, level) * ctx.n) as u64
}

/// Bytes of a key with its rotation and level.
fn key_bytes(ctx: &Context, level: usize) -> u64 {
    8 + KEY_SEED + body_bytes(ctx, level)
}

/// Writes a key; that of squares stands for rotation 0.
fn write_key(ctx: &Context, writer: &mut Writer<'_>, rotation: u32, key: &SwitchKey) -> Result<(), SerialError> {
    writer.number(rotation as usize)?;
    writer.number(key.level())?;
    writer.bytes(key.mask_seed())?;
    let mut body = vec![0; ctx.n];
    for t in 0..ctx.extended_limbs(key.level()) {
        for digit in 0..SwitchKey::digits(ctx, key.level()) {
            key.body(t, digit, &mut body);
            writer.residues(ctx.modulus(key.level(), t).value(), &body)?;
        }
    }
    Ok(())
}

fn read_key(ctx: &Context, reader: &mut Reader<'_>, rotation: u32) -> Result<SwitchKey, SerialError> {
    let field = if rotation == 0 { "relinearisation key" } else { "rotation key" };
    let level = reader.number("level of a key")? as usize;
    if level >= ctx.q_count {
        return Err(SerialError::value("level of a key", &level, format!("at most {}", ctx.q_count - 1)));
    }
    reader.require(field, KEY_SEED + body_bytes(ctx, level))?;
    let mask_seed = reader.array(field)?;
    let limb_words = SwitchKey::digits(ctx, level) * ctx.n;
    let mut bodies = vec![0; ctx.extended_limbs(level) * limb_words];
    for (t, limb) in bodies.chunks_exact_mut(limb_words).enumerate() {
        reader.residues(field, ctx.modulus(level, t).value(), limb)?;
    }
    Ok(SwitchKey::expand(ctx, &SeededKey { level, mask_seed, bodies }))
}

fn read_keys(ctx: &Context, reader: &mut Reader<'_>) -> Result<EvaluationKeys, SerialError> {
    const FIELD: &str = "rotation";
    let count = reader.number("number of keys")?;
    let (mut relinearisation, mut rotations) = (None, Vec::new());
    let mut least = 0;
    for _ in 0..count {
        let rotation = reader.number(FIELD)?;
        if rotation < least || rotation as usize >= ctx.slots() {
            return Err(SerialError::value(FIELD, &rotation, format!("ascending rotations in 0..{}", ctx.slots())));
        }
        least = rotation + 1;
        let key = read_key(ctx, reader, rotation)?;
        if rotation == 0 {
            relinearisation = Some(key);
        } else {
            rotations.push((rotation, key));
        }
    }
    Ok(EvaluationKeys::from_keys(ctx, relinearisation, rotations))
}
