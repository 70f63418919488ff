//! Every reader of a file that may come from elsewhere: none panics, and none takes more memory than the file may claim.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{Calibration, CkksParams, HeProgram, KeyPlan, Lowerer, PlanOptions};
use striae_he_eval::{
    Circuit, CircuitError, Content, FileKind, GroupLabel, HeBackend, RnsBackend, RnsClient, Seed, SerialError,
    WeightIdentity, WeightSpace, read_params, write_params,
};
use striae_search::Study;
use striae_search::bundle::{self, Manifest};
use striae_spaces::space::StriaSpace;
use striae_spaces::{TypedGraph, WeightStore};
use striae_train::{DatasetName, Normalisation, NormalisationScope, SeedTree};

use crate::memory;

/// A reader and what it may take: `base + factor * length` bytes, the base for what does not depend on the file.
pub struct Reader {
    /// Of the fuzz target and of its corpus.
    pub name: &'static str,
    base: usize,
    factor: usize,
    read: fn(&[u8]) -> bool,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// All of them. Keys and ciphertexts are widened to words, and seeds in them drawn. The tree of a parsed text takes some
/// dozens of bytes for each of its own. Deflate expands up to thousandfold, and CIFAR-10 has the size it has.
pub const READERS: [Reader; 15] = [
    Reader { name: "parameters", base: 64 * KIB, factor: 16, read: parameters },
    Reader { name: "secret_key", base: MIB, factor: 64, read: secret_key },
    Reader { name: "evaluation_keys", base: MIB, factor: 32, read: evaluation_keys },
    Reader { name: "ciphertexts", base: MIB, factor: 16, read: ciphertexts },
    Reader { name: "encoded_weights", base: MIB, factor: 4, read: encoded_weights },
    Reader { name: "bundle", base: MIB, factor: 256, read: bundle },
    Reader { name: "calibration", base: 64 * KIB, factor: 256, read: calibration },
    Reader { name: "notation", base: 64 * KIB, factor: 256, read: notation },
    Reader { name: "architecture", base: 64 * KIB, factor: 256, read: architecture },
    Reader { name: "study", base: 64 * KIB, factor: 256, read: study },
    Reader { name: "space", base: 64 * KIB, factor: 256, read: space },
    Reader { name: "weights", base: 64 * KIB, factor: 256, read: weights },
    Reader { name: "idx", base: 64 * KIB, factor: 32, read: idx },
    Reader { name: "idx_gz", base: MIB, factor: 16_384, read: idx_gz },
    Reader { name: "cifar", base: 512 * MIB, factor: 4, read: cifar },
];

/// Reads an input with a reader, and panics where that takes too much memory. Whether the input was accepted.
pub fn check(name: &str, input: &[u8]) -> bool {
    let reader = READERS.iter().find(|r| r.name == name).expect("a target has the name of its reader");
    LazyLock::force(&HEADERS);
    LazyLock::force(&NETWORK);
    LazyLock::force(&FOLDER);
    let mut accepted = false;
    let taken = memory::peak(|| accepted = (reader.read)(input));
    let most = reader.base + reader.factor * input.len();
    assert!(taken <= most, "{name} took {taken} bytes for {} of input, at most {most} are right", input.len());
    accepted
}

/// The smallest ring and a chain of one prime, so that inputs are short.
const PARAMS: &str = "N=2^11 Q=18 P=19 scale=2^10 insecure";
const LABEL: GroupLabel = GroupLabel { circuit: [7; 32], content: Content::Image };
const HEADER: usize = 64;
const CHECKSUM: usize = 32;

/// What a manifest is tried with: its network and its parameters.
const SMALL: &str = "1x28x28: conv(4,k5,s2,bias) quad flatten linear(10,bias)";
const SMALL_PARAMS: &str = "N=2^13 Q=45,35,35,35 P=46 scale=2^35";
static NETWORK: LazyLock<(TypedGraph, CkksParams)> =
    LazyLock::new(|| (SMALL.parse().expect("notation"), SMALL_PARAMS.parse().expect("parameters")));

struct Keys {
    params: CkksParams,
    client: RnsClient,
    server: RnsBackend,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let params: CkksParams = PARAMS.parse().expect("parameters");
    let (client, server) = RnsBackend::keygen(&params, &KeyPlan::up_to(0, [1]), Seed::Fixed(1)).expect("keys");
    Keys { params, client, server }
});

/// The smallest network with encoded weights: one diagonal.
struct Encoded {
    graph: TypedGraph,
    store: WeightStore,
    program: Arc<HeProgram>,
    server: RnsBackend,
}

static ENCODED: LazyLock<Encoded> = LazyLock::new(|| {
    let graph: TypedGraph = "1x1x1: flatten linear(1)".parse().expect("notation");
    let params: CkksParams = "N=2^11 Q=30,20 P=31 scale=2^20 insecure".parse().expect("parameters");
    let options = PlanOptions { params: Some(params.clone()), ..PlanOptions::default() };
    let program = Lowerer::new(&Calibration::generic()).plan(&graph, &options).expect("planned").program;
    let (_, server) = RnsBackend::keygen(&params, &program.keys(), Seed::Fixed(1)).expect("keys");
    let store = WeightStore::random(&graph, &mut ChaCha8Rng::seed_from_u64(1));
    Encoded { graph, store, program: Arc::new(program), server }
});

impl Encoded {
    fn identity(&self) -> WeightIdentity {
        WeightIdentity::of(self.server.params(), &self.program, &self.graph, &self.store).expect("primes")
    }

    fn circuit(&self, space: WeightSpace) -> Result<Circuit<RnsBackend>, CircuitError> {
        Circuit::compile_in(space, &self.server, Arc::clone(&self.program), &self.graph, &self.store)
    }

    /// The file of its weights.
    fn encoded(&self) -> Vec<u8> {
        let path = FOLDER.join("made");
        self.circuit(WeightSpace::file(&path, self.identity()).expect("made")).expect("encoded");
        let bytes = fs::read(&path).expect("read");
        fs::remove_file(path).expect("removed");
        bytes
    }
}

/// A valid file of a kind.
fn valid(kind: FileKind) -> Vec<u8> {
    let Keys { params, client, server } = &*KEYS;
    let mut bytes = Vec::new();
    let written: Result<(), SerialError> = match kind {
        FileKind::Parameters => write_params(params, &mut bytes),
        FileKind::SecretKey => client.write_secret_key(&mut bytes),
        FileKind::EvaluationKeys => server.write_evaluation_keys(&LABEL.circuit, &mut bytes),
        FileKind::Ciphertexts => {
            let fresh = client.encrypt_fresh(&[0.5; 1024], 0, 1024.0).expect("encrypted");
            client.write_fresh(&LABEL, &[fresh], &mut bytes)
        }
        FileKind::EncodedWeights => return ENCODED.encoded(),
    };
    written.expect("written");
    bytes
}

static HEADERS: LazyLock<[[u8; HEADER]; 5]> =
    LazyLock::new(|| KINDS.map(|(_, kind)| valid(kind)[..HEADER].try_into().expect("a file has a header")));

/// Readers of our own files.
const KINDS: [(&str, FileKind); 5] = [
    ("parameters", FileKind::Parameters),
    ("secret_key", FileKind::SecretKey),
    ("evaluation_keys", FileKind::EvaluationKeys),
    ("ciphertexts", FileKind::Ciphertexts),
    ("encoded_weights", FileKind::EncodedWeights),
];

/// Where the checksum of a payload stands: at its end, but with encoded weights behind the table before them.
fn checksum_at(kind: FileKind, payload: &[u8]) -> usize {
    let count = match payload.get(32..36) {
        Some(count) if kind == FileKind::EncodedWeights => u32::from_le_bytes(count.try_into().expect("four bytes")),
        _ => return payload.len(),
    };
    (36 + 52 * count as usize).min(payload.len())
}

/// Most inputs are a payload, which gets the header and the checksum that it needs to be looked at; after an `F` they are
/// the whole file.
fn file(kind: FileKind, input: &[u8]) -> Vec<u8> {
    if let [b'F', file @ ..] = input {
        return file.to_vec();
    }
    let mut bytes = HEADERS[kind as usize - 1].to_vec();
    bytes[HEADER - 8..].copy_from_slice(&(input.len() as u64).to_le_bytes());
    let (covered, rest) = input.split_at(checksum_at(kind, input));
    bytes.extend_from_slice(covered);
    let checksum = blake3::hash(&bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

/// Inputs that are accepted, or begin so, in the formats that are our own to change: reader, name of the input, input.
pub fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (network, params) = &*NETWORK;
    let options = PlanOptions { params: Some(params.clone()), ..PlanOptions::default() };
    let plan = Lowerer::new(&Calibration::generic()).plan(network, &options).expect("planned");
    let manifest = Manifest {
        format: bundle::FORMAT,
        study: "s".to_owned(),
        trial: None,
        trained_arch_id: "0123456789abcdef".to_owned(),
        dataset: DatasetName::Glyphs,
        data_seed: 1,
        normalisation: Normalisation { mean: vec![0.1], std: vec![0.3], scope: NormalisationScope::PerImage },
        parameters: SMALL_PARAMS.to_owned(),
        insecure: false,
        lowering: plan.recipe(),
        calibration: String::new(),
        program: Manifest::fingerprint(&plan.program),
        created: String::new(),
    };
    let manifest = serde_json::to_vec(&manifest).expect("no maps in it");
    let mut seeds = vec![("architecture", "small", network.to_json().into_bytes()), ("bundle", "manifest", manifest)];
    for (reader, kind) in KINDS {
        let file = valid(kind);
        let payload = &file[HEADER..];
        let (covered, rest) = payload.split_at(checksum_at(kind, payload).min(payload.len() - CHECKSUM));
        seeds.push((reader, "payload", [covered, &rest[CHECKSUM..]].concat()));
        seeds.push((reader, "file", [b"F", &file[..2 * HEADER]].concat()));
    }
    seeds
}

fn parameters(input: &[u8]) -> bool {
    let bytes = file(FileKind::Parameters, input);
    let notation = std::str::from_utf8(input).is_ok_and(|text| text.parse::<CkksParams>().is_ok());
    read_params(&mut &*bytes, bytes.len() as u64).is_ok() || notation
}

fn secret_key(input: &[u8]) -> bool {
    let bytes = file(FileKind::SecretKey, input);
    RnsClient::read_secret_key(&KEYS.params, &mut &*bytes, bytes.len() as u64).is_ok()
}

fn evaluation_keys(input: &[u8]) -> bool {
    let bytes = file(FileKind::EvaluationKeys, input);
    RnsBackend::read_evaluation_keys(&KEYS.params, &LABEL.circuit, &mut &*bytes, bytes.len() as u64).is_ok()
}

fn ciphertexts(input: &[u8]) -> bool {
    let bytes = file(FileKind::Ciphertexts, input);
    KEYS.server.read_ciphertexts(&LABEL, &mut &*bytes, bytes.len() as u64).is_ok()
}

/// The file, and what a circuit makes of its sections.
fn encoded_weights(input: &[u8]) -> bool {
    let path = FOLDER.join("encoded");
    fs::write(&path, file(FileKind::EncodedWeights, input)).expect("written");
    let read = WeightSpace::file(&path, ENCODED.identity()).is_ok_and(|space| ENCODED.circuit(space).is_ok());
    fs::remove_file(path).expect("removed");
    read
}

/// Reads the input where it is a text.
fn text<T, E>(input: &[u8], read: impl FnOnce(&str) -> Result<T, E>) -> bool {
    std::str::from_utf8(input).is_ok_and(|text| read(text).is_ok())
}

/// The manifest, and the lowering that it records.
fn bundle(input: &[u8]) -> bool {
    let (network, params) = &*NETWORK;
    std::str::from_utf8(input)
        .ok()
        .and_then(|text| Manifest::from_json(text).ok())
        .is_some_and(|manifest| manifest.lower(network, params).is_ok())
}

fn calibration(input: &[u8]) -> bool {
    text(input, |t| Calibration::from_toml(t, Path::new("calibration.toml")))
}

fn notation(input: &[u8]) -> bool {
    text(input, str::parse::<TypedGraph>)
}

fn architecture(input: &[u8]) -> bool {
    text(input, TypedGraph::from_json)
}

fn study(input: &[u8]) -> bool {
    text(input, |t| Study::from_toml(t, Path::new("study.toml")))
}

fn space(input: &[u8]) -> bool {
    text(input, StriaSpace::from_toml)
}

fn weights(input: &[u8]) -> bool {
    WeightStore::from_safetensors(input, Path::new("weights.safetensors")).is_ok()
}

/// A folder in memory where there is one.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = parent.join(format!("striae-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("created");
    folder
});

fn dataset(name: DatasetName, files: &[(String, &[u8])]) -> bool {
    for (file, bytes) in files {
        fs::write(FOLDER.join(file), bytes).expect("written");
    }
    let read = striae_train::load(name, Some(&FOLDER), 0.1, &SeedTree::new(1)).is_ok();
    for (file, _) in files {
        fs::remove_file(FOLDER.join(file)).expect("removed");
    }
    read
}

fn idx(input: &[u8]) -> bool {
    idx_files(input, "")
}

fn idx_gz(input: &[u8]) -> bool {
    idx_files(input, ".gz")
}

/// The length of the images in two bytes, the images and the labels.
fn idx_files(input: &[u8], suffix: &str) -> bool {
    let [high, low, rest @ ..] = input else { return false };
    let (images, labels) = rest.split_at(rest.len().min(usize::from(*high) << 8 | usize::from(*low)));
    let parts = ["train", "t10k"].map(|part| {
        [(format!("{part}-images-idx3-ubyte{suffix}"), images), (format!("{part}-labels-idx1-ubyte{suffix}"), labels)]
    });
    dataset(DatasetName::Mnist, parts.as_flattened())
}

/// First byte: how it is compressed; then the archive.
fn cifar(input: &[u8]) -> bool {
    let [form, archive @ ..] = input else { return false };
    let suffix = if form & 1 == 1 { "gz" } else { "xz" };
    dataset(DatasetName::Cifar10, &[(format!("cifar-10-binary.tar.{suffix}"), archive)])
}
