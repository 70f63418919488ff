//! Encoded weights outside of memory: the same results, bit for bit, and files that are refused unless they fit.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use common::{folded, image, relative_error, rng};
use proptest::prelude::*;
use proptest::sample::Index;
use striae_cost_model::{Bytes, Calibration, CkksParams, HeProgram, Lowerer, MemoryEstimate, PlanOptions};
use striae_he_eval::{
    Circuit, HeBackend, HeClient, HeError, RnsBackend, RnsClient, Seed, SerialError, WeightIdentity, WeightSpace, pack,
    reference, unpack,
};
use striae_spaces::{TypedGraph, WeightStore};

const NETWORK: &str = "1x12x12: conv(4,k3) quad conv(4,k3,s2) quad flatten linear(10)";

/// A network, its weights and both roles.
struct Case {
    graph: TypedGraph,
    store: WeightStore,
    params: CkksParams,
    program: Arc<HeProgram>,
    client: RnsClient,
    backend: RnsBackend,
}

static CASE: LazyLock<Case> = LazyLock::new(|| Case::new("N=2^11 Q=40,30,30,30,30,30 P=41 scale=2^30 insecure"));

impl Case {
    fn new(params: &str) -> Self {
        let graph = folded(&NETWORK.parse().unwrap());
        let params: CkksParams = params.parse().unwrap();
        let options = PlanOptions { params: Some(params.clone()), ..PlanOptions::default() };
        let program = Lowerer::new(&Calibration::generic()).plan(&graph, &options).unwrap().program;
        let (client, backend) = RnsBackend::keygen(&params, &program.keys(), Seed::Fixed(5)).unwrap();
        Self {
            store: WeightStore::random(&graph, &mut rng(1)),
            graph,
            params,
            program: Arc::new(program),
            client,
            backend,
        }
    }

    fn identity(&self) -> WeightIdentity {
        WeightIdentity::of(&self.params, &self.program, &self.graph, &self.store).unwrap()
    }

    fn compile(&self, space: WeightSpace) -> Circuit<RnsBackend> {
        Circuit::compile_in(space, &self.backend, Arc::clone(&self.program), &self.graph, &self.store).unwrap()
    }

    /// Bytes of what the network makes of one encrypted image.
    fn logits(&self, circuit: &Circuit<RnsBackend>) -> Vec<f64> {
        static IMAGE: LazyLock<Vec<striae_he_eval::RnsCiphertext>> = LazyLock::new(|| {
            let slots = pack(&CASE.program, &image(&CASE.graph, &mut rng(2))).unwrap();
            let scale = f64::from(CASE.params.log_scale()).exp2();
            slots.iter().map(|s| CASE.client.encrypt(s, CASE.program.depth(), scale).unwrap()).collect()
        });
        let (output, _) = circuit.run(&self.backend, IMAGE.clone()).unwrap();
        let slots: Vec<_> = output.iter().map(|ct| self.client.decrypt(ct).unwrap()).collect();
        unpack(&self.program, &slots)
    }

    fn estimate(&self) -> MemoryEstimate {
        MemoryEstimate::of(&self.program, &self.params)
    }

    fn within(&self, budget: u64, folder: &Path) -> Result<WeightSpace, HeError> {
        WeightSpace::within(Bytes(budget), folder, &self.program, &self.params)
    }
}

#[test]
fn a_budget_moves_the_largest_steps_out_of_memory() {
    let (case, folder) = (&*CASE, tempfile::tempdir().unwrap());
    let in_memory = case.compile(WeightSpace::memory());
    let expected = case.logits(&in_memory);
    let (all, held) = in_memory.weight_bytes();
    assert_eq!(all, held);
    let total = case.estimate().total().0;
    assert_eq!(case.compile(case.within(total, folder.path()).unwrap()).weight_bytes(), (all, all));
    let largest = (0..case.program.steps.len())
        .map(|i| striae_cost_model::diagonal_memory(&case.program, i, &case.params).0)
        .max()
        .unwrap();
    let tight = total - all as u64;
    for (budget, held) in [(total - 1, all - largest as usize), (tight, 0)] {
        let circuit = case.compile(case.within(budget, folder.path()).unwrap());
        assert_eq!(circuit.weight_bytes(), (all, held), "a budget of {budget}");
        assert_eq!(case.logits(&circuit), expected);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the temporary file has no name");
    let refusal = case.within(tight - 1, folder.path()).unwrap_err();
    assert_eq!(refusal, HeError::MemoryBudget { budget: Bytes(tight - 1), needed: Bytes(tight) });
    let missing = case.within(tight, &folder.path().join("missing")).unwrap_err();
    assert!(missing.to_string().contains("cannot be made in"), "{missing}");
}

#[test]
fn a_file_is_made_once_and_used_again() {
    let (case, folder) = (&*CASE, tempfile::tempdir().unwrap());
    let path = folder.path().join("weights");
    let abandoned = WeightSpace::file(&path, case.identity()).unwrap();
    drop(abandoned);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of an unfinished file");
    let expected = case.logits(&case.compile(WeightSpace::memory()));
    let clear = reference::logits(&case.graph, &case.store, &image(&case.graph, &mut rng(2))).unwrap();
    assert!(relative_error(&expected, &clear) < 1e-2);
    for encoded in [false, true] {
        let space = WeightSpace::file(&path, case.identity()).unwrap();
        assert_eq!(space.is_encoded(), encoded);
        let circuit = case.compile(space);
        assert_eq!(circuit.weight_bytes().1, 0);
        assert_eq!(case.logits(&circuit), expected);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_of_something_else_is_refused() {
    let (case, folder) = (&*CASE, tempfile::tempdir().unwrap());
    let path = folder.path().join("weights");
    case.compile(WeightSpace::file(&path, case.identity()).unwrap());
    let refused = |identity| WeightSpace::file(&path, identity).unwrap_err();
    let mut other = case.store.clone();
    let (name, mut tensor) = other.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).next().unwrap();
    tensor.data[0] += 1.0;
    other.insert(name, tensor);
    let identity = WeightIdentity::of(&case.params, &case.program, &case.graph, &other).unwrap();
    assert!(matches!(refused(identity), SerialError::Network));
    for params in [
        "N=2^11 Q=40,31,31,31,31,31 P=41 scale=2^30 insecure",
        "N=2^11 Q=40,30,30,30,30,30 P=41 scale=2^30 ring=conjugate-invariant insecure",
    ] {
        assert!(matches!(refused(Case::new(params).identity()), SerialError::Parameters { .. }), "{params}");
    }
}

/// A whole file of encoded weights, and a place to damage it.
static FILE: LazyLock<(Vec<u8>, tempfile::TempDir)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    CASE.compile(WeightSpace::file(&path, CASE.identity()).unwrap());
    (fs::read(path).unwrap(), folder)
});

fn reads(bytes: &[u8]) -> Result<WeightSpace, SerialError> {
    let path: PathBuf = FILE.1.path().join("damaged");
    fs::write(&path, bytes).unwrap();
    WeightSpace::file(&path, CASE.identity())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn damage_is_refused(at: Index, early in 0usize..512, bit in 0u8..8, cut: Index, extra in 1usize..100) {
        let bytes = &FILE.0;
        for at in [at.index(bytes.len()), early] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            prop_assert!(reads(&flipped).is_err(), "bit {} of byte {}", bit, at);
        }
        for cut in [cut.index(bytes.len()), early] {
            prop_assert!(reads(&bytes[..cut]).is_err(), "cut at {}", cut);
        }
        prop_assert!(reads(&[bytes.as_slice(), &vec![0; extra]].concat()).is_err());
    }
}
