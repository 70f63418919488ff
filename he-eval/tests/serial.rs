//! Files of keys and ciphertexts: what was written is read back, and everything else is refused without a panic.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use striae_cost_model::{CkksParams, KeyPlan};
use striae_he_eval::{
    CiphertextGroup, CircuitHash, Content, FileKind, GroupLabel, HeBackend, HeClient, RnsBackend, RnsClient, Seed,
    SerialError, read_params, write_params,
};

const PARAMS: &str = "N=2^11 Q=40,30,30 P=41 scale=2^30 insecure";
const SCALE: f64 = (1 << 30) as f64;
const CIRCUIT: CircuitHash = [7; 32];
const LABEL: GroupLabel = GroupLabel { circuit: CIRCUIT, content: Content::Image };
/// Bytes of a polynomial at the two levels of the test's ciphertexts.
const FRESH: [usize; 2] = [2048 * (5 + 4 + 4), 2048 * (5 + 4)];
/// Bytes of header and checksum.
const HEADER: usize = 64;
const CHECKSUM: usize = 32;

/// One file of every kind, of one key pair.
struct Files {
    params: CkksParams,
    parameters: Vec<u8>,
    secret: Vec<u8>,
    keys: Vec<u8>,
    ciphertexts: Vec<u8>,
}

/// One key for fewer levels than the others.
fn key_plan() -> KeyPlan {
    KeyPlan::new(Some(2), vec![(1, 1), (5, 2)])
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), SerialError>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes).unwrap();
    bytes
}

impl Files {
    fn new(seed: u64) -> Self {
        let params: CkksParams = PARAMS.parse().unwrap();
        let (client, server) = RnsBackend::keygen(&params, &key_plan(), Seed::Fixed(seed)).unwrap();
        let fresh: Vec<_> = (0..2).map(|i| client.encrypt_fresh(&values(i), 2 - i, SCALE).unwrap()).collect();
        Self {
            parameters: written(|out| write_params(&params, out)),
            secret: written(|out| client.write_secret_key(out)),
            keys: written(|out| server.write_evaluation_keys(&CIRCUIT, out)),
            ciphertexts: written(|out| client.write_fresh(&LABEL, &fresh, out)),
            params,
        }
    }

    fn client(&self) -> RnsClient {
        read_secret(&self.params, &self.secret).unwrap()
    }

    fn server(&self) -> RnsBackend {
        read_keys(&self.params, &self.keys).unwrap()
    }

    fn of(&self, kind: FileKind) -> &[u8] {
        match kind {
            FileKind::Parameters => &self.parameters,
            FileKind::SecretKey => &self.secret,
            FileKind::EvaluationKeys => &self.keys,
            FileKind::Ciphertexts => &self.ciphertexts,
            FileKind::EncodedWeights => unreachable!("see the tests of weights"),
        }
    }

    /// Reads `bytes` as a file of a kind.
    fn read(&self, kind: FileKind, bytes: &[u8]) -> Result<(), SerialError> {
        match kind {
            FileKind::Parameters => read_params(&mut &*bytes, bytes.len() as u64).map(drop),
            FileKind::SecretKey => read_secret(&self.params, bytes).map(drop),
            FileKind::EvaluationKeys => read_keys(&self.params, bytes).map(drop),
            FileKind::Ciphertexts => read_group(&SERVER, bytes).map(drop),
            FileKind::EncodedWeights => unreachable!("see the tests of weights"),
        }
    }
}

static FILES: LazyLock<Files> = LazyLock::new(|| Files::new(1));
static SERVER: LazyLock<RnsBackend> = LazyLock::new(|| FILES.server());
const KINDS: [FileKind; 4] =
    [FileKind::Parameters, FileKind::SecretKey, FileKind::EvaluationKeys, FileKind::Ciphertexts];

fn values(seed: usize) -> Vec<f64> {
    (0..1024).map(|i| ((i * 37 + seed * 11) % 101) as f64 / 101.0 - 0.5).collect()
}

fn read_secret(params: &CkksParams, bytes: &[u8]) -> Result<RnsClient, SerialError> {
    RnsClient::read_secret_key(params, &mut &*bytes, bytes.len() as u64)
}

fn read_keys(params: &CkksParams, bytes: &[u8]) -> Result<RnsBackend, SerialError> {
    RnsBackend::read_evaluation_keys(params, &CIRCUIT, &mut &*bytes, bytes.len() as u64)
}

fn read_group(server: &RnsBackend, bytes: &[u8]) -> Result<CiphertextGroup, SerialError> {
    server.read_ciphertexts(&LABEL, &mut &*bytes, bytes.len() as u64)
}

/// The file with its payload length and checksum made right again.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - CHECKSUM;
    bytes[56..HEADER].copy_from_slice(&((end - HEADER) as u64).to_le_bytes());
    let checksum = blake3::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(checksum.as_bytes());
    bytes
}

/// The file with other bytes at a place of its payload.
fn patched(bytes: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[HEADER + at..][..with.len()].copy_from_slice(with);
    sealed(bytes)
}

#[track_caller]
fn refused<T>(result: Result<T, SerialError>, words: &str) {
    let message = result.err().expect("refused").to_string();
    assert!(message.contains(words), "`{words}` is missing in: {message}");
}

#[test]
fn written_is_read_back() {
    let files = &*FILES;
    let (client, server) = (files.client(), files.server());
    assert_eq!(read_params(&mut &*files.parameters, files.parameters.len() as u64).unwrap(), files.params);
    assert_eq!(client.key_id(), server.key_id());
    assert_eq!(server.key_plan(), key_plan());
    assert_eq!(written(|out| client.write_secret_key(out)), files.secret);
    assert_eq!(written(|out| server.write_evaluation_keys(&CIRCUIT, out)), files.keys);
    let group = read_group(&server, &files.ciphertexts).unwrap();
    // Once with the seed of c1 and once with c1 itself, the same ciphertexts.
    let whole = written(|out| server.write_ciphertexts(&group, out));
    assert_eq!(whole.len() - files.ciphertexts.len(), FRESH[0] + FRESH[1] - 2 * 32);
    let again = read_group(&server, &whole).unwrap();
    assert_eq!(written(|out| server.write_ciphertexts(&again, out)), whole);
    for (i, ct) in group.ciphertexts.iter().enumerate() {
        assert_eq!((server.level(ct), server.scale(ct)), (2 - i, SCALE));
        close(&client.decrypt(ct).unwrap(), &values(i), 1e-4);
    }
}

#[test]
fn read_keys_compute_what_the_written_ones_do() {
    let params: CkksParams = PARAMS.parse().unwrap();
    let (_, before) = RnsBackend::keygen(&params, &key_plan(), Seed::Fixed(1)).unwrap();
    let (client, after) = (FILES.client(), &*SERVER);
    let input = &read_group(after, &FILES.ciphertexts).unwrap().ciphertexts[0];
    let evaluate = |server: &RnsBackend| {
        let square = server.square(input).unwrap();
        client.decrypt(&server.rotate_sum(&square, &[1, 5]).unwrap()).unwrap()
    };
    assert_eq!(evaluate(&before), evaluate(after));
    let x = values(0);
    let expected: Vec<f64> =
        (0..x.len()).map(|i| [0, 1, 5].iter().map(|r| x[(i + r) % x.len()].powi(2)).sum()).collect();
    close(&evaluate(after), &expected, 1e-3);
}

#[test]
fn a_read_client_encrypts_afresh() {
    let client = FILES.client();
    let group = |ct| CiphertextGroup { label: LABEL, ciphertexts: vec![ct] };
    let encrypt = || group(client.encrypt(&values(3), 1, SCALE).unwrap());
    let files = [encrypt(), encrypt()].map(|g| written(|out| client.write_ciphertexts(&g, out)));
    assert_ne!(files[0], files[1]);
}

#[track_caller]
fn close(got: &[f64], expected: &[f64], tolerance: f64) {
    let error = got.iter().zip(expected).map(|(g, e)| (g - e).abs()).fold(0.0, f64::max);
    assert!(error < tolerance, "error {error:e}");
}

#[test]
fn evaluation_keys_take_half_their_size() {
    assert!(FILES.keys.len() * 100 < SERVER.key_bytes() * 51);
}

#[test]
fn headers_are_checked() {
    let files = &*FILES;
    for kind in KINDS {
        let file = files.of(kind);
        assert_eq!(FileKind::peek(&mut &*file).unwrap(), kind);
        for other in KINDS.into_iter().filter(|&k| k != kind) {
            refused(files.read(kind, files.of(other)), &format!("kind: the file holds {other}, expected {kind}"));
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = file.to_vec();
            bytes[at] = byte;
            files.read(kind, &bytes)
        };
        refused(with(0, b'X'), "magic");
        refused(with(6, 99), "kind: 99 is unknown");
        refused(with(7, 1), "version: is 1, this version of Striae reads 2");
        refused(with(HEADER - 1, 255), "payload: truncated");
        refused(files.read(kind, &[]), "header: truncated");
        refused(files.read(kind, &file[..file.len() - 1]), "payload: truncated");
        refused(files.read(kind, &[file, &[0]].concat()), "file: has 1 bytes too many");
        let longer = sealed([file, &[0; 3]].concat());
        assert!(files.read(kind, &longer).is_err(), "{kind}: a longer payload");
        // A source that ends before the length it was announced with.
        let mut short = &file[..file.len() / 2];
        if kind == FileKind::SecretKey {
            refused(RnsClient::read_secret_key(&files.params, &mut short, file.len() as u64), "truncated");
        }
    }
}

#[test]
fn keys_and_parameters_do_not_mix() {
    let other = Files::new(2);
    refused(read_group(&SERVER, &other.ciphertexts), "key id");
    refused(
        other.client().read_ciphertexts(&LABEL, &mut &*FILES.ciphertexts, FILES.ciphertexts.len() as u64),
        "key id",
    );
    for notation in
        ["N=2^11 Q=40,30,30 P=42 scale=2^30 insecure", "N=2^11 Q=40,30,30 P=41 scale=2^29 insecure"].map(str::parse)
    {
        let params: CkksParams = notation.unwrap();
        refused(read_secret(&params, &FILES.secret), "fingerprint");
        refused(read_keys(&params, &FILES.keys), "fingerprint");
    }
    // The text of other parameters under the fingerprint of these.
    refused(FILES.read(FileKind::Parameters, &patched(&FILES.parameters, 21, b"2")), "fingerprint");
    refused(FILES.read(FileKind::Parameters, &patched(&FILES.parameters, 0, b"M")), "parameters: is M=2^11");
    refused(FILES.read(FileKind::Parameters, &patched(&FILES.parameters, 0, b"\xff")), "parameters");
}

#[test]
fn values_are_checked() {
    let secret = |at, with: &[u8]| read_secret(&FILES.params, &patched(&FILES.secret, at, with));
    refused(secret(2047, &[3]), "secret key: is not ternary");
    let keys = |at, with: &[u8]| read_keys(&FILES.params, &patched(&FILES.keys, at, with));
    // The network and the count come first. A key is its rotation, its level, its seed, and 5, 4 (or 5), 4 (or 5) and 6 bytes for each
    // coefficient of each of three digits; the second serves one level less, and has two digits without the third prime.
    refused(keys(0, &[8]), "network: the evaluation keys are of network 0807");
    refused(keys(32, &u32::MAX.to_le_bytes()), "rotation: truncated");
    refused(keys(32, &1u32.to_le_bytes()), "payload: has");
    refused(keys(40, &3u32.to_le_bytes()), "level of a key: is 3, expected at most 2");
    refused(keys(36 + 8 + 32, &[255; 5]), "relinearisation key: residue 0 is 1099511627775, not below its prime");
    let second = 8 + 32 + 2 * 2048 * (5 + 4 + 6);
    let second_at = 36 + (FILES.keys.len() - HEADER - CHECKSUM - 36 - second) / 2;
    refused(keys(second_at, &0u32.to_le_bytes()), "rotation: is 0");
    refused(keys(second_at, &1024u32.to_le_bytes()), "rotation: is 1024, expected ascending rotations in 0..1024");
    refused(keys(second_at, &5u32.to_le_bytes()), "rotation: is 5");
    let group = |at, with: &[u8]| read_group(&SERVER, &patched(&FILES.ciphertexts, at, with));
    refused(group(0, &[8]), "network: the ciphertexts are of network 0807");
    refused(group(32, &[2]), "content: the ciphertexts are of a result, expected an image");
    refused(group(32, &[0]), "content: is 0");
    refused(group(33, &u32::MAX.to_le_bytes()), "form: truncated");
    refused(group(37, &[2]), "form: is 2, expected 0 (whole) or 1 (seeded)");
    refused(group(37, &[0]), "ciphertext: truncated");
    refused(group(38, &3u32.to_le_bytes()), "level: is 3, expected at most 2");
    for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
        refused(group(42, &bad.to_le_bytes()), "scale: is");
    }
    refused(group(50, &[255; 5]), "ciphertext: residue 0");
}

fn kind() -> impl Strategy<Value = FileKind> {
    prop::sample::select(KINDS.to_vec())
}

proptest! {
    #[test]
    fn a_flipped_bit_is_refused(kind in kind(), at: Index, bit in 0u8..8) {
        let mut bytes = FILES.of(kind).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        prop_assert!(FILES.read(kind, &bytes).is_err());
    }

    #[test]
    fn a_flipped_header_bit_is_refused(kind in kind(), at in 0..HEADER, bit in 0u8..8) {
        let mut bytes = FILES.of(kind).to_vec();
        bytes[at] ^= 1u8 << bit;
        prop_assert!(FILES.read(kind, &bytes).is_err());
    }

    #[test]
    fn a_cut_file_is_refused(kind in kind(), at: Index) {
        let bytes = FILES.of(kind);
        prop_assert!(FILES.read(kind, &bytes[..at.index(bytes.len())]).is_err());
    }

    /// With the checksum made right, so that what lies behind it is reached: refused or read, never a panic.
    #[test]
    fn resealed_files_never_panic(
        kind in kind(),
        edits in prop::collection::vec((any::<Index>(), any::<u8>()), 0..8),
        early in prop::collection::vec((0usize..64, any::<u8>()), 0..4),
        cut: Option<Index>,
    ) {
        let mut bytes = FILES.of(kind).to_vec();
        let payload = bytes.len() - HEADER - CHECKSUM;
        if let Some(cut) = cut {
            bytes.drain(HEADER + cut.index(payload)..HEADER + payload);
        }
        let payload = bytes.len() - HEADER - CHECKSUM;
        for (at, byte) in edits.iter().filter(|_| payload > 0).map(|(at, byte)| (at.index(payload), byte)) {
            bytes[HEADER + at] = *byte;
        }
        for (at, byte) in early.into_iter().filter(|e| e.0 < payload) {
            bytes[HEADER + at] = byte;
        }
        let _ = FILES.read(kind, &sealed(bytes));
    }

    #[test]
    fn noise_is_refused(kind in kind(), bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        prop_assert!(FILES.read(kind, &bytes).is_err());
    }
}
