//! Made-up views that look like a real study's, for snapshots and for the gallery.

use striae_reports::view::{
    BundleView, CostAxis, CostParts, FileView, HybridView, Interval, LayerPrediction, LayerView, MachineView,
    MemoryView, NetworkPrediction, NetworkView, ParametersView, ParetoPoint, ParetoView, PointKind, PredictionView,
    StudyView, TrafficView, TrialCounts, TrialState, TrialView, VerificationView,
};

/// Numbers in [0, 1) that look random and never change.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1_u64 << 24) as f64
    }
}

fn point(label: &str, latency: f64, accuracy: f64, kind: PointKind) -> ParetoPoint {
    let arch_id = format!("{:012x}", (latency * 1e12) as u64);
    ParetoPoint { label: label.to_owned(), arch_id, cost: latency, accuracy, kind, on_front: false, verified: false }
}

/// A study of 60 searched and 40 random networks beside four references.
pub(crate) fn pareto() -> ParetoView {
    let mut dice = Dice(7);
    let mut points = Vec::new();
    for index in 0..100 {
        let latency = 0.06 * (3.2 * dice.roll()).exp();
        let lift = if index < 60 { 0.004 } else { -0.006 };
        let accuracy = 0.992 + lift - 0.022 / (latency / 0.06).sqrt() - 0.03 * dice.roll().powi(2);
        let kind = if index < 60 { PointKind::Search } else { PointKind::RandomBaseline };
        points.push(point(&format!("#{index}"), latency, accuracy, kind));
    }
    points[17].accuracy = 0.114;
    points[71].accuracy = f64::NAN;
    mark_front(&mut points);
    points.push(point("lenet-like", 0.81, 0.9868, PointKind::Reference));
    points.push(point("vgg5", 1.9, 0.9931, PointKind::Reference));
    points.push(point("hefnet", 0.44, 0.9905, PointKind::Reference));
    points.push(point("strianet-mnist", 0.15, 0.9899, PointKind::Reference));
    ParetoView {
        title: "MNIST: accuracy against encrypted latency".to_owned(),
        accuracy_label: "validation accuracy".to_owned(),
        axis: CostAxis::Latency,
        cost_label: "predicted latency per image".to_owned(),
        budget: Some(0.5),
        points,
    }
}

fn mark_front(points: &mut [ParetoPoint]) {
    for index in 0..points.len() {
        let own = points[index].clone();
        let beaten = points.iter().any(|p| {
            p.kind == own.kind && p.cost <= own.cost && p.accuracy >= own.accuracy && p.arch_id != own.arch_id
        });
        points[index].on_front = !beaten && own.accuracy.is_finite();
        points[index].verified = points[index].on_front && own.kind == PointKind::Search && index % 3 == 0;
    }
}

/// Five networks, one of them 22 % off, with four layers each.
pub(crate) fn prediction() -> PredictionView {
    let mut dice = Dice(3);
    let networks = [
        ("#12", 0.082, 0.03),
        ("#31", 0.145, -0.05),
        ("#44", 0.151, 0.08),
        ("#52", 0.47, -0.02),
        ("lenet-like", 0.81, 0.22),
    ]
    .into_iter()
    .map(|(label, measured, error): (&str, f64, f64)| {
        let layers = (0..4)
            .map(|index| {
                let measured = measured * (0.05 + 0.4 * dice.roll());
                let predicted = measured * (1.0 + error + 0.2 * (dice.roll() - 0.5));
                LayerPrediction { name: format!("conv{index}"), predicted, measured }
            })
            .collect();
        let predicted = measured * (1.0 + error);
        let interval = Some(Interval { low: predicted * 0.9, high: predicted * 1.12 });
        NetworkPrediction { label: label.to_owned(), predicted, interval, measured, layers }
    })
    .collect();
    PredictionView { title: "MNIST: predicted against measured latency".to_owned(), tolerance: 0.15, networks }
}

fn layer(
    name: &str,
    description: &str,
    counts: [u64; 6],
    levels: (u32, u32),
    parts: CostParts,
    measured: Option<f64>,
) -> LayerView {
    let [ciphertexts_in, ciphertexts_out, internal, external, multiplications, squares] = counts;
    LayerView {
        name: name.to_owned(),
        description: description.to_owned(),
        packing: if squares > 0 { "as before".to_owned() } else { "row-major 32x32".to_owned() },
        strategy: if squares > 0 { String::new() } else { "input-side".to_owned() },
        ciphertexts_in,
        ciphertexts_out,
        rotations_internal: internal,
        rotations_external: external,
        multiplications,
        squares,
        relinearisations: squares,
        rescales: ciphertexts_out,
        level_in: levels.0,
        level_out: levels.1,
        slots_wasted: 0.21,
        predicted: parts.rotations + parts.multiplications + parts.squares + parts.rescale + parts.other,
        measured,
        parts,
        ..LayerView::default()
    }
}

/// A small network with every kind of layer.
pub(crate) fn network(label: &str) -> NetworkView {
    let parts = |rotations, multiplications, squares, rescale, other| CostParts {
        rotations,
        multiplications,
        squares,
        rescale,
        other,
        ..CostParts::default()
    };
    let mut layers = vec![
        layer(
            "stem",
            "cross 5x5, 1 -> 16",
            [1, 2, 8, 0, 18, 0],
            (7, 6),
            parts(0.0093, 0.0031, 0.0, 0.0011, 0.0004),
            Some(0.0151),
        ),
        layer(
            "stem.act",
            "a x² + b x + c",
            [2, 2, 0, 0, 0, 2],
            (6, 5),
            parts(0.0, 0.0, 0.0071, 0.0012, 0.0),
            Some(0.0079),
        ),
        layer(
            "block1.reduce",
            "point, 16 -> 8",
            [2, 1, 0, 0, 2, 0],
            (5, 4),
            parts(0.0, 0.0004, 0.0, 0.0005, 0.0001),
            Some(0.0011),
        ),
        layer(
            "block1.cross",
            "cross 3x3, 8 -> 8",
            [1, 1, 4, 0, 5, 0],
            (4, 3),
            parts(0.0042, 0.0007, 0.0, 0.0004, 0.0001),
            Some(0.0057),
        ),
        layer(
            "block1.expand",
            "point, 8 -> 16",
            [1, 2, 0, 0, 2, 0],
            (3, 2),
            parts(0.0, 0.0004, 0.0, 0.0006, 0.0002),
            Some(0.0010),
        ),
        layer(
            "head.fc",
            "linear 784 -> 10",
            [2, 1, 0, 13, 64, 0],
            (2, 1),
            parts(0.0212, 0.0068, 0.0, 0.0002, 0.0009),
            Some(0.0288),
        ),
    ];
    layers[5].strategy = String::from("BSGS 8 x 8");
    let total: f64 = layers.iter().map(|l| l.predicted).sum();
    for layer in &mut layers {
        layer.share = layer.predicted / total;
    }
    NetworkView {
        label: label.to_owned(),
        arch_id: "9f2c41d07ab3".to_owned(),
        notation: "in 1x28x28; conv cross5 16; quad; stria 16/8 cross3; quad; fc 10".to_owned(),
        accuracy_validation: Some(0.9912),
        accuracy_test: Some(0.9897),
        weights: 8_762,
        parameters: Some(ParametersView {
            log_n: 14,
            log_qp: 430.0,
            q_bits: vec![50, 40, 40, 40, 40, 40, 40, 40],
            p_bits: vec![50, 50],
            log_scale: 40.0,
            security_bits: 128.4,
            insecure: false,
        }),
        levels: 7,
        precision_bits: Some(20.0),
        latency_predicted: total,
        latency_interval: Some(Interval { low: total * 0.91, high: total * 1.1 }),
        verification: Some(VerificationView {
            images: 64,
            argmax_agrees: 64,
            latency: 0.0596,
            threads: 1,
            precision_bits: Some(21.3),
            precision_bits_estimated: Some(18.2),
            logit_error: Some(3.1e-6),
        }),
        memory: MemoryView { ciphertexts: 9_400_000, weights: 130_000_000, keys: 71_000_000 },
        upload_bytes: 2_097_152,
        download_bytes: 262_144,
        layers,
        hybrid: None,
    }
}

/// The machine of the samples.
pub(crate) fn machine() -> MachineView {
    MachineView {
        cpu: "Example CPU 9000".to_owned(),
        features: "avx512f avx512ifma".to_owned(),
        cores: 2,
        threads: 1,
        memory: 16 << 30,
        os: "Linux".to_owned(),
    }
}

fn versions() -> Vec<(String, String)> {
    [("striae", "0.1.0"), ("rustc", "1.95.0")].map(|(name, version)| (name.to_owned(), version.to_owned())).to_vec()
}

/// A finished study.
pub(crate) fn study() -> StudyView {
    let pareto = pareto();
    let trials = pareto
        .points
        .iter()
        .filter(|p| p.kind != PointKind::Reference)
        .enumerate()
        .map(|(number, p)| trial(number, p))
        .collect();
    let mut second = network("#31");
    second.arch_id = String::from("03be77aa9021");
    second.verification = None;
    StudyView {
        name: "mnist-half-second".to_owned(),
        dataset: "mnist".to_owned(),
        space: "strianet".to_owned(),
        sampler: "nsga2".to_owned(),
        protocol: "ckks".to_owned(),
        estimated_only: false,
        seed: 42,
        started: "2026-11-21 10:00 UTC".to_owned(),
        duration: Some(4321.0),
        command: "striae search examples/mnist.toml".to_owned(),
        calibration: "example-cpu-2026-11-20, 1 thread, median error 3.1 %".to_owned(),
        machine: machine(),
        versions: versions(),
        counts: TrialCounts { total: 100, estimated: 100, trained: 99, verified: 4, failed: 1 },
        chosen: Some(0),
        networks: vec![network("#12"), second],
        trials,
        pareto,
        prediction: prediction(),
    }
}

fn trial(number: usize, point: &ParetoPoint) -> TrialView {
    let failed = !point.accuracy.is_finite();
    TrialView {
        number: number as u64,
        arch_id: point.arch_id.clone(),
        notation: "in 1x28x28; conv cross5 16; quad; stria 16/8 cross3; quad; fc 10".to_owned(),
        kind: point.kind,
        state: match (failed, point.verified) {
            (true, _) => TrialState::Failed,
            (false, true) => TrialState::Verified,
            (false, false) => TrialState::Trained,
        },
        latency: Some(point.cost),
        communication: Some(900_000),
        accuracy: Some(point.accuracy).filter(|a| a.is_finite()),
        on_front: point.on_front,
        reason: if failed { "loss is not finite after 3 epochs".to_owned() } else { String::new() },
    }
}

/// An exported bundle.
pub(crate) fn bundle() -> BundleView {
    let file = |name: &str, purpose: &str, bytes| FileView {
        name: name.to_owned(),
        purpose: purpose.to_owned(),
        bytes,
        hash: "af1349b9f5f9a1a6a0404dea36dcc949".to_owned(),
    };
    BundleView {
        network: network("#12"),
        study: "mnist-half-second".to_owned(),
        trial: Some(12),
        dataset: "mnist".to_owned(),
        preprocessing: "pixel / 255, then (x - 0.1307) / 0.3081".to_owned(),
        input_shape: "1 x 28 x 28".to_owned(),
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        seed: 42,
        created: "2026-11-21 12:00 UTC".to_owned(),
        machine: machine(),
        versions: versions(),
        files: vec![
            file("architecture.json", "architecture", 2_311),
            file("weights.safetensors", "folded weights", 36_120),
        ],
    }
}

/// A hybrid protocol with its network.
const CHEETAH: &str = "cheetah over lan (384 MB/s, 0.3 ms)";

/// A study under it.
pub(crate) fn hybrid_study() -> StudyView {
    let networks = vec![hybrid_network("#7")];
    StudyView { protocol: CHEETAH.to_owned(), estimated_only: true, networks, ..study() }
}

/// A small network under it.
fn hybrid_network(label: &str) -> NetworkView {
    let layer = |name: &str, description: &str, [inputs, outputs, mults]: [u64; 3], bytes, times: [f64; 3]| LayerView {
        name: name.to_owned(),
        description: description.to_owned(),
        ciphertexts_in: inputs,
        ciphertexts_out: outputs,
        multiplications: mults,
        predicted: times.iter().sum(),
        parts: CostParts { server: times[0], client: times[1], network: times[2], ..CostParts::default() },
        traffic: Some(TrafficView { bytes, rounds: 3 }),
        ..LayerView::default()
    };
    let mut layers = vec![
        layer("n1", "conv(16,k5,s2)", [1, 16, 16], 466_000, [0.0032, 0.0021, 0.0021]),
        layer("n2", "relu", [0, 0, 0], 189_000, [0.0, 0.0, 0.0026]),
        layer("n4", "linear(10)", [1, 8, 8], 251_000, [0.0018, 0.0012, 0.0013]),
    ];
    let total: f64 = layers.iter().map(|l| l.predicted).sum();
    layers.iter_mut().for_each(|l| l.share = l.predicted / total);
    let time = |part: fn(&CostParts) -> f64| layers.iter().map(|l| part(&l.parts)).sum();
    NetworkView {
        label: label.to_owned(),
        arch_id: "77aa03be9021".to_owned(),
        notation: "1x28x28: conv(16,k5,s2) relu flatten linear(10)".to_owned(),
        accuracy_validation: Some(0.981),
        accuracy_test: Some(0.978),
        weights: 31_770,
        latency_predicted: total,
        upload_bytes: 100_000,
        download_bytes: 617_000,
        hybrid: Some(HybridView {
            protocol: CHEETAH.to_owned(),
            server: time(|p| p.server),
            client: time(|p| p.client),
            network: time(|p| p.network),
            two_party_bytes: 189_000,
            rounds: 9,
        }),
        layers,
        ..NetworkView::default()
    }
}
