//! Networks under real encryption against the same circuit in the clear: classes, and errors within the estimate.

mod common;

use std::sync::Arc;

use common::{folded, image, relative_error, rng};
use striae_cost_model::{
    Calibration, CkksParams, CkksParamsLiteral, HeProgram, LowerOptions, Lowerer, Packing, PlanOptions, RingType,
    Security,
};
use striae_he_eval::{
    ActivationBounds, Circuit, CircuitError, ClearBackend, Expected, HeBackend, HeClient, HeError, RnsBackend, Seed,
    Session, SessionError, pack_batch, reference, unpack_batch,
};
use striae_spaces::{NodeId, Op, TypedGraph, WeightStore, zoo};

/// A network on both backends.
struct Twins {
    graph: TypedGraph,
    store: WeightStore,
    program: Arc<HeProgram>,
    encrypted: Session<RnsBackend>,
    clear: Session<ClearBackend>,
}

impl Twins {
    fn new(graph: TypedGraph, store: WeightStore, params: &CkksParams, program: HeProgram) -> Self {
        let program = Arc::new(program);
        let encrypted = Session::new(params, Arc::clone(&program), &graph, &store, Seed::Fixed(1)).unwrap();
        let clear = Session::with_errors(params, Arc::clone(&program), &graph, &store).unwrap();
        Self { graph, store, program, encrypted, clear }
    }

    /// Runs an image on both; gives the largest error of a logit and what was expected.
    fn check(&self, image: &[f32]) -> (f64, Expected) {
        let run = self.encrypted.infer(image).unwrap();
        assert_eq!(run.counts, self.program.counts());
        let expected = self.clear.expect(image).unwrap();
        assert_eq!(expected.steps.len(), self.program.steps.len());
        let direct = reference::logits(&self.graph, &self.store, image).unwrap();
        assert!(relative_error(&expected.logits, &direct) < 1e-9);
        let (measured, bound) = (expected.measured(&run.logits), expected.error.bound());
        assert!(measured <= bound, "logits are off by {measured:e}, the bound is {bound:e}");
        assert_eq!(argmax(&run.logits), argmax(&direct));
        (measured, expected)
    }

    /// Ranges of the activations' inputs over some images, a little widened.
    fn bounds(&self, images: &[Vec<f32>]) -> Vec<ActivationBounds> {
        let values: Vec<_> = images.iter().map(|x| reference::evaluate(&self.graph, &self.store, x).unwrap()).collect();
        let bounds = |node: NodeId| {
            let input = self.graph.node(node).inputs[0].index();
            let of_images = || values.iter().flat_map(|v| v[input].iter().copied());
            let (low, high) = (of_images().fold(0.0, f64::min), of_images().fold(0.0, f64::max));
            ActivationBounds { node, low: 1.1 * low, high: 1.1 * high }
        };
        self.graph.ids().filter(|&id| matches!(self.graph.node(id).op, Op::Activation(_))).map(bounds).collect()
    }
}

fn argmax(values: &[f64]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
}

fn strianet_mnist() -> Twins {
    let graph = folded(&zoo::build("strianet-mnist").unwrap());
    let store = WeightStore::random(&graph, &mut rng(3));
    let plan = Lowerer::new(&Calibration::generic()).plan(&graph, &PlanOptions::default()).unwrap();
    assert_eq!((plan.params.log_n(), plan.params.security()), (13, Security::Bits128));
    Twins::new(graph, store, &plan.params, plan.program)
}

#[test]
fn strianet_mnist_agrees_with_the_clear() {
    let twins = strianet_mnist();
    let mut rng = rng(4);
    let images: Vec<Vec<f32>> = (0..4).map(|_| image(&twins.graph, &mut rng)).collect();
    let (mut measured, mut bound) = (0f64, 0f64);
    for image in &images {
        let (error, expected) = twins.check(image);
        (measured, bound) = (error.max(measured), expected.error.bound().max(bound));
    }
    assert!(bound < 30.0 * measured, "bound {bound:e}, measured {measured:e}");
    // The estimate that knows only the ranges of the activations covers every image, and no more than a few bits worse.
    let ranges = twins.bounds(&images);
    let any = twins.clear.estimate(1.0, &ranges).unwrap();
    // Where key switching dominates, both are the same up to the sampling error of the probes.
    assert!(any.error.bound() > 0.999 * bound, "{:e} for any image, {bound:e} for these", any.error.bound());
    assert!(any.error.bound() < 300.0 * measured, "{:e} for any image, {measured:e} measured", any.error.bound());
}

#[test]
fn ranges_that_do_not_fit_are_refused() {
    let twins = strianet_mnist();
    let mut ranges = twins.bounds(&[vec![0.5; 784]]);
    let missing = twins.clear.estimate(1.0, &ranges[1..]);
    assert!(matches!(missing, Err(SessionError::Circuit(CircuitError::NoRange { node })) if node == ranges[0].node));
    ranges.last_mut().unwrap().high = 1e6;
    let refused = twins.clear.estimate(1.0, &ranges);
    let Err(SessionError::Circuit(CircuitError::Backend { source, .. })) = refused else { panic!("{refused:?}") };
    assert!(matches!(source, HeError::TooLarge { log_value, log_q, .. } if log_value > log_q - 1.0), "{source}");
    assert!(source.to_string().contains("does not fit level"), "{source}");
}

#[test]
fn errors_come_only_from_a_backend_that_tracks_them() {
    let graph: TypedGraph = "1x4x4: conv(2,k3) flatten linear(3,bias)".parse().unwrap();
    let graph = folded(&graph);
    let store = WeightStore::random(&graph, &mut rng(1));
    let literal = CkksParamsLiteral {
        log_n: 11,
        log_q: vec![46, 36, 36],
        log_p: vec![48],
        log_scale: 36,
        ring: RingType::Standard,
        insecure: true,
    };
    let params = CkksParams::try_from(literal).unwrap();
    let options = LowerOptions::default();
    let program = Arc::new(Lowerer::new(&Calibration::generic()).lower(&graph, &params, &options).unwrap());
    let untracked: Session<ClearBackend> = Session::new(&params, program, &graph, &store, Seed::Fixed(1)).unwrap();
    let refused = untracked.expect(&[0.5; 16]);
    assert!(matches!(refused, Err(SessionError::Circuit(CircuitError::ErrorsNotTracked))), "{refused:?}");
}

#[test]
fn classes_of_256_random_inputs() {
    let graph: TypedGraph =
        "1x12x12: conv(8,k3,s2) quad conv(8,k3,cross,g4,interleaved) quad pool(2) flatten linear(10,bias)"
            .parse()
            .unwrap();
    let graph = folded(&graph);
    let mut rng = rng(9);
    let store = WeightStore::random(&graph, &mut rng);
    let options = LowerOptions::default();
    let depth = Lowerer::depth(&graph, options.fuse).unwrap();
    // A ring this small is far from secure with such a chain; the arithmetic does not care.
    let log_q = std::iter::once(46).chain(std::iter::repeat_n(36, depth)).collect();
    let literal = CkksParamsLiteral {
        log_n: 11,
        log_q,
        log_p: vec![48],
        log_scale: 36,
        ring: RingType::Standard,
        insecure: true,
    };
    let params = CkksParams::try_from(literal).unwrap();
    let program = Lowerer::new(&Calibration::generic()).lower(&graph, &params, &options).unwrap();
    let twins = Twins::new(graph, store, &params, program);
    for _ in 0..256 {
        let (_, expected) = twins.check(&image(&twins.graph, &mut rng));
        assert!(expected.decided(), "{:?} are too close", expected.logits);
    }
}

/// All packings, and batches whose images fill slots, gaps and further ciphertexts.
#[test]
fn packings_and_batches() {
    let graph: TypedGraph =
        "2x8x8: conv(8,k3,s2) quad conv(16,k3,s2) quad conv(16,k3,g4) quad pool(2) flatten linear(5,bias)"
            .parse()
            .unwrap();
    let graph = folded(&graph);
    let mut rng = rng(21);
    let store = WeightStore::random(&graph, &mut rng);
    let packings = Packing::PLAIN.into_iter().chain([Packing::Block(2)]).map(|packing| (packing, 1));
    let batches = [(Packing::RowMajor, 64), (Packing::Multiplexed, 64), (Packing::Block(2), 4)];
    for (packing, batch) in packings.chain(batches) {
        let options = LowerOptions { packing, batch, ..LowerOptions::default() };
        let images: Vec<Vec<f32>> = (0..batch).map(|_| image(&graph, &mut rng)).collect();
        check_batch(&graph, &store, &options, &images);
    }
}

/// Runs a batch encrypted in 1024 slots, 16 maps of it.
fn check_batch(graph: &TypedGraph, store: &WeightStore, options: &LowerOptions, images: &[Vec<f32>]) {
    let literal = CkksParamsLiteral {
        log_n: 11,
        log_q: std::iter::once(46).chain(std::iter::repeat_n(36, options.depth(graph).unwrap())).collect(),
        log_p: vec![48],
        log_scale: 36,
        ring: RingType::Standard,
        insecure: true,
    };
    let params = CkksParams::try_from(literal).unwrap();
    let program = Arc::new(Lowerer::new(&Calibration::generic()).lower(graph, &params, options).unwrap());
    let (client, backend) = RnsBackend::keygen(&params, &program.keys(), Seed::Fixed(2)).unwrap();
    let circuit = Circuit::compile(&backend, Arc::clone(&program), graph, store).unwrap();
    let slots = pack_batch(&program, &images.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    let encrypt = |s: &Vec<f64>| client.encrypt(s, program.depth(), circuit.input_scale()).unwrap();
    backend.reset_counts();
    let (output, _) = circuit.run(&backend, slots.iter().map(encrypt).collect()).unwrap();
    assert_eq!(backend.counts(), program.counts(), "{options:?}");
    let decrypted: Vec<Vec<f64>> = output.iter().map(|ct| client.decrypt(ct).unwrap()).collect();
    for (logits, image) in unpack_batch(&program, &decrypted).iter().zip(images) {
        let error = relative_error(logits, &reference::logits(graph, store, image).unwrap());
        assert!(error < 1e-3, "relative error {error:e} under {options:?}");
    }
    let too_many = vec![images[0].as_slice(); images.len() + 1];
    assert!(matches!(pack_batch(&program, &too_many), Err(CircuitError::Batch { got, .. }) if got == images.len() + 1));
}
