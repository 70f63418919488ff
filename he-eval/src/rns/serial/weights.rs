//! Encoded weights. The payload is
//!
//! ```text
//! network [32] | sections u32 | { level u32 | scale f64 | bytes u64 | checksum [32] } .. | section ..
//! ```
//!
//! with the file's checksum, which covers what stands before it, between the table and the sections: those have their own,
//! and are read through a memory map. A section holds the limbs of one linear step as they lie in memory, so whatever
//! changes that layout changes the version.

use std::io::{Read, Write};

use striae_cost_model::{CkksParams, HeProgram, LinearPlan, StepKind};
use striae_spaces::{TypedGraph, WeightStore};

use crate::HeError;

use super::SerialError;
use super::header::{CHECKSUM, Expected, FileKind, Fingerprint, HEADER, Header, Identity, KeyId, array};
use super::stream::fill;

/// Bytes of the payload before the entries, and of one entry.
const START: usize = 32 + 4;
const ENTRY: usize = 4 + 8 + 8 + 32;

/// What encoded weights belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightIdentity {
    fingerprint: Fingerprint,
    network: [u8; 32],
    steps: usize,
}

impl WeightIdentity {
    /// Of a network with these weights, lowered to `program`.
    pub fn of(
        params: &CkksParams,
        program: &HeProgram,
        graph: &TypedGraph,
        weights: &WeightStore,
    ) -> Result<Self, HeError> {
        let mut hasher = blake3::Hasher::new();
        let mut put = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        put(graph.to_string().as_bytes());
        let mut steps = 0;
        for (i, step) in program.steps.iter().enumerate() {
            if let StepKind::Linear(linear) = &step.kind {
                steps += 1;
                put(&plan_bytes(i, linear.level, &linear.plan));
            }
        }
        for (name, tensor) in weights.iter() {
            put(name.as_bytes());
            put(&tensor.shape.iter().flat_map(|&d| (d as u64).to_le_bytes()).collect::<Vec<u8>>());
            put(&tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
        }
        Ok(Self { fingerprint: Fingerprint::of(params)?, network: hasher.finalize().into(), steps })
    }

    /// Linear steps, which is the number of sections.
    pub(in crate::rns) const fn steps(&self) -> usize {
        self.steps
    }
}

/// All that the layout of a plan's weights depends on.
fn plan_bytes(step: usize, level: usize, plan: &LinearPlan) -> Vec<u8> {
    let LinearPlan { inputs, outputs, babies, giants, terms, folds } = plan;
    let mut words: Vec<u32> = [step, level, *inputs, *outputs, terms.len()].map(|x| x as u32).to_vec();
    for list in babies.iter().chain([giants, folds]) {
        words.push(list.len() as u32);
        words.extend(list);
    }
    words.extend(terms.iter().flat_map(|t| [t.output, t.giant, t.input, t.baby].map(u32::from)));
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// One linear step's limbs.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rns) struct Section {
    pub(in crate::rns) level: usize,
    /// Scale of the diagonals.
    pub(in crate::rns) scale: f64,
    pub(in crate::rns) bytes: u64,
    pub(in crate::rns) checksum: blake3::Hash,
}

/// Where the first of `count` sections begins.
pub(in crate::rns) const fn sections_start(count: usize) -> u64 {
    (HEADER + START + count * ENTRY + CHECKSUM) as u64
}

/// Writes what stands before the sections.
pub(in crate::rns) fn write_sections(
    identity: &WeightIdentity,
    sections: &[Section],
    out: &mut dyn Write,
) -> Result<(), SerialError> {
    let identity_bytes = Identity { fingerprint: identity.fingerprint, key: KeyId([0; 16]) };
    let payload = (START + sections.len() * ENTRY) as u64 + sections.iter().map(|s| s.bytes).sum::<u64>();
    let header = Header { kind: FileKind::EncodedWeights, identity: identity_bytes, payload };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(&identity.network);
    bytes.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    for section in sections {
        bytes.extend_from_slice(&(section.level as u32).to_le_bytes());
        bytes.extend_from_slice(&section.scale.to_le_bytes());
        bytes.extend_from_slice(&section.bytes.to_le_bytes());
        bytes.extend_from_slice(section.checksum.as_bytes());
    }
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    Ok(out.write_all(&bytes)?)
}

/// Reads what stands before the sections of a file of `len` bytes, and checks that they fill the rest of it. Their
/// checksums are left to whoever maps them.
pub(in crate::rns) fn read_sections(
    input: &mut dyn Read,
    len: u64,
    identity: &WeightIdentity,
) -> Result<Vec<Section>, SerialError> {
    let kind = FileKind::EncodedWeights;
    let expected = Expected { kind, fingerprint: Some(identity.fingerprint), key: Some(KeyId([0; 16])) };
    let (header, bytes) = Header::read(input, len, &expected)?;
    let truncated = |needed| SerialError::Truncated { field: "table", needed, left: header.payload };
    if header.payload < START as u64 {
        return Err(truncated(START as u64));
    }
    let mut table = [bytes.as_slice(), &[0; START]].concat();
    fill(input, "table", &mut table[HEADER..])?;
    let count = u32::from_le_bytes(array(&table[HEADER + 32..]));
    let length = START as u64 + u64::from(count) * ENTRY as u64;
    if header.payload < length {
        return Err(truncated(length));
    }
    table.resize(HEADER + length as usize, 0);
    fill(input, "table", &mut table[HEADER + START..])?;
    let mut checksum = [0; CHECKSUM];
    fill(input, "checksum", &mut checksum)?;
    if blake3::hash(&table) != blake3::Hash::from(checksum) {
        return Err(SerialError::Checksum);
    }
    if table[HEADER..][..32] != identity.network || count as usize != identity.steps {
        return Err(SerialError::Network);
    }
    let sections: Vec<Section> = table[HEADER + START..].chunks_exact(ENTRY).map(section).collect();
    let total = sections.iter().try_fold(0u64, |sum, s| sum.checked_add(s.bytes));
    match total.map(|total| total.cmp(&(header.payload - length))) {
        Some(std::cmp::Ordering::Equal) => Ok(sections),
        _ => Err(SerialError::value("bytes", &"another sum", "that of the sections")),
    }
}

fn section(entry: &[u8]) -> Section {
    Section {
        level: u32::from_le_bytes(array(entry)) as usize,
        scale: f64::from_le_bytes(array(&entry[4..])),
        bytes: u64::from_le_bytes(array(&entry[12..])),
        checksum: blake3::Hash::from(array::<32>(&entry[20..])),
    }
}
