//! Counts of the hybrid protocols: the published ones, each with its source, and laws.

use striae_cost_model::Calibration;
use striae_cost_model::hybrid::{
    Fusion, HybridError, HybridEstimate, LinearCounts, LinearLayer, NetworkLink, Protocol,
};
use striae_spaces::{
    Conv2d, GraphBuilder, Grouping, Kernel, KernelMask, Linear, NodeId, Op, Padding, Shape, TypedGraph, zoo,
};

fn graph(input: Shape, op: Op) -> TypedGraph {
    let mut builder = GraphBuilder::new(input).unwrap();
    builder.then(op).unwrap();
    builder.build().unwrap()
}

fn counts(protocol: Protocol, input: Shape, op: Op) -> LinearCounts {
    let graph = graph(input, op);
    LinearLayer::of(&graph, NodeId(1)).expect("a linear layer").counts(protocol).unwrap()
}

fn sci(input: Shape, conv: Conv2d) -> LinearCounts {
    counts(Protocol::CrypTFlow2, input, Op::Conv2d(conv))
}

fn cheetah(input: Shape, conv: Conv2d) -> LinearCounts {
    counts(Protocol::Cheetah, input, Op::Conv2d(conv))
}

fn grouped(channels: usize, kernel: usize, groups: usize) -> Conv2d {
    Conv2d { groups, grouping: Grouping::Interleaved, ..Conv2d::dense(channels, kernel) }
}

/// SCI, the public code of CrypTFlow2 (Rathee et al., CCS 2020), `conv-field.cpp`, N = 8192: filter rotations, row rotations and
/// column swaps.
#[test]
fn sci_rotations() {
    let published = [
        (3, 64, 3, 32, [8, 48, 8]),
        (64, 64, 3, 32, [64, 48, 8]),
        (64, 64, 3, 16, [16, 60, 2]),
        // ResNet-20.
        (16, 16, 3, 32, [16, 12, 2]),
        (32, 32, 3, 16, [8, 30, 1]),
        // The first layer of an MNIST network.
        (1, 5, 5, 28, [24, 6, 1]),
    ];
    for (ins, outs, kernel, side, rotations) in published {
        let counts = sci(Shape::map(ins, side, side), Conv2d::dense(outs, kernel));
        assert_eq!([counts.internal, counts.external, counts.swaps], rotations, "{ins} -> {outs} @ {side}");
        assert_eq!((counts.rotations(), counts.dense), (rotations.iter().sum(), 0));
    }
    let totals = published.map(|(.., rotations)| rotations.iter().sum::<u64>());
    assert_eq!(totals, [64, 120, 78, 30, 39, 31]);
}

/// The same source: `half_perms half_rots inp_ct K^2` multiplications; ciphertexts each way.
#[test]
fn sci_multiplications_and_ciphertexts() {
    let counts = sci(Shape::map(64, 32, 32), Conv2d::dense(64, 3));
    assert_eq!((counts.multiplications, counts.inputs, counts.outputs), (16 * 4 * 8 * 9, 8, 8));
    // An output that fits one half while the input does not takes one swap; an odd number of halves is made even.
    let one_half = sci(Shape::map(64, 32, 32), Conv2d::dense(4, 3));
    assert_eq!((one_half.external, one_half.swaps, one_half.multiplications), (3, 1, 4 * 8 * 9));
    let odd = sci(Shape::map(4, 32, 32), Conv2d::dense(12, 3));
    assert_eq!((odd.external, odd.swaps, odd.multiplications), (4 * 4 - 4, 2, 4 * 4 * 9));
}

/// SCI, `fc-field.cpp`: one ciphertext in and out, `ceil(pad2(rows) / (N / pad2(columns)))` diagonals, their rotations and the folds.
#[test]
fn sci_fully_connected() {
    let dense = |rows, columns| {
        let op = Op::Linear(Linear { out_features: rows, bias: true });
        let counts = counts(Protocol::CrypTFlow2, Shape::vector(columns), op);
        (counts.dense, counts.multiplications, counts.inputs, counts.outputs)
    };
    // 1000 x 2048: four copies of the vector, 256 diagonals, three folds.
    assert_eq!(dense(1000, 2048), (255 + 3, 256, 1, 1));
    // 10 x 64: the 16 padded rows fit one diagonal.
    assert_eq!(dense(10, 64), (6, 1, 1, 1));
    // A convolution of single pixels.
    let pixels = sci(Shape::map(2048, 1, 1), Conv2d::dense(1000, 3));
    assert_eq!((pixels.dense, pixels.moving(), pixels.multiplications), (255 + 3, 0, 256));
    // 4096 x 25088 in four parts of at most 8192 inputs.
    assert_eq!(dense(4096, 25088), (4 * 4095 + 1, 4 * 4096, 4, 1));
}

/// Cheetah (Huang et al., USENIX Security 2022), section 3 and its public code, N = 4096: ciphertexts in, out, multiplications.
#[test]
fn cheetah_coefficient_packing() {
    let published = [(3, 16, 32, [1, 16, 16]), (16, 16, 32, [6, 16, 96]), (32, 32, 16, [3, 32, 96])];
    for (ins, outs, side, expected) in published {
        let counts = cheetah(Shape::map(ins, side, side), Conv2d::dense(outs, 3));
        assert_eq!([counts.inputs, counts.outputs, counts.multiplications], expected, "{ins} -> {outs} @ {side}");
        assert_eq!(counts.rotations(), 0);
    }
    // A strided point convolution reads its sub-sampled input: 16 maps of 16x16 to a polynomial.
    let strided = cheetah(Shape::map(64, 32, 32), Conv2d { stride: 2, ..Conv2d::dense(32, 1) });
    assert_eq!((strided.inputs, strided.multiplications), (4, 4 * 32));
}

/// StriaNet (Cai et al., SaTML 2026): no external rotations, internal ones only under the taps, once as many groups as the channel
/// capacity; their order does not matter.
#[test]
fn exrot_free_convolutions_rotate_under_their_taps_only() {
    // 2h = 8 channels of 32x32.
    let input = Shape::map(64, 32, 32);
    let free = sci(input, grouped(64, 3, 8));
    assert_eq!((free.internal, free.moving(), free.multiplications), (8 * 8, 0, 8 * 8 * 9));
    for grouping in [Grouping::Contiguous, Grouping::Shifted { blocks: 8 }] {
        assert_eq!(sci(input, Conv2d { grouping, ..grouped(64, 3, 8) }), free);
    }
    let cross = Kernel { size: 5, mask: KernelMask::Cross };
    assert_eq!(sci(input, Conv2d { kernel: cross, ..grouped(64, 5, 8) }).internal, 8 * 8);
    // Depthwise: every ciphertext on its own.
    let depthwise = sci(input, grouped(64, 3, 64));
    assert_eq!((depthwise.internal, depthwise.moving(), depthwise.multiplications), (8 * 8, 0, 8 * 9));
    // Two groups: one per row of slots, each with four positions.
    let two = sci(input, grouped(64, 3, 2));
    assert_eq!((two.external, two.swaps, two.multiplications), (8 * 3, 0, 8 * 4 * 8 * 9));
}

#[test]
fn strides_cost_what_their_phases_cost() {
    // Four phases of 16x16, thirty-two channels to a ciphertext: 1, 2, 2 and 4 taps of the nine.
    let strided = sci(Shape::map(64, 32, 32), Conv2d { stride: 2, ..Conv2d::dense(64, 3) });
    assert_eq!((strided.inputs, strided.outputs), (4 * 2, 2));
    assert_eq!((strided.internal, strided.external, strided.swaps), (2 * (9 - 4), 60, 2));
    assert_eq!(strided.multiplications, 4 * 16 * 2 * 9);
    // Kernels that do not overlap read every phase once: 3 * 49 channels of 32x32.
    let patches = sci(Shape::map(3, 224, 224), Conv2d { stride: 7, ..Conv2d::dense(64, 7) });
    assert_eq!(patches, sci(Shape::map(147, 32, 32), Conv2d::dense(64, 1)));
    // A point reads one phase: a point convolution of the smaller map.
    let point = sci(Shape::map(64, 32, 32), Conv2d { stride: 2, ..Conv2d::dense(64, 1) });
    assert_eq!(point, sci(Shape::map(64, 16, 16), Conv2d::dense(64, 1)));
}

#[test]
fn large_maps_are_cut_into_strips() {
    // 224x224: fourteen strips of sixteen rows and two of halo, one channel to each row of slots.
    let large = sci(Shape::map(64, 224, 224), Conv2d::dense(64, 3));
    assert_eq!((large.inputs, large.outputs), (14 * 32, 14 * 32));
    assert_eq!((large.internal, large.external, large.swaps), (14 * 32 * 8, 0, 14 * 32));
    assert_eq!(large.multiplications, 14 * 64 * 32 * 9);
    // Cheetah: windows of 64x64 that overlap by two: four times four of them cover 226x226.
    let windows = cheetah(Shape::map(64, 224, 224), Conv2d::dense(64, 3));
    assert_eq!((windows.inputs, windows.multiplications), (16 * 64, 16 * 64 * 64));
}

#[test]
fn cheetah_uses_groups_and_narrow_windows() {
    let input = Shape::map(64, 16, 16);
    let dense = cheetah(input, Conv2d::dense(64, 3));
    let eight = cheetah(input, grouped(64, 3, 8));
    assert_eq!((dense.multiplications, eight.multiplications), (64 * 6, 64));
    // 12 maps of 18x18 to a polynomial: one whole group of eight, or twelve channels of a depthwise convolution.
    assert_eq!((dense.inputs, eight.inputs, cheetah(input, grouped(64, 3, 64)).inputs), (6, 8, 6));
    // A cross spans the whole window, a stripe does not: 14 maps of 16x18.
    let masked = |mask| Conv2d { kernel: Kernel { size: 3, mask }, ..Conv2d::dense(64, 3) };
    assert_eq!(cheetah(input, masked(KernelMask::Cross)), dense);
    assert_eq!(cheetah(input, masked(KernelMask::Row)).inputs, 5);
}

#[test]
fn what_a_protocol_has_no_packing_for_is_refused() {
    let conv = Op::Conv2d(Conv2d::dense(1, 3));
    let wide = graph(Shape::map(1, 8, 2048), conv);
    let refused =
        HybridEstimate::of(&wide, Protocol::CrypTFlow2, Fusion::Cheapest, &Calibration::generic()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "node n1: 3 rows of a 1x8x2048 map do not fit the 4096 slots of a row under cryptflow2"
    );
    assert!(HybridEstimate::of(&wide, Protocol::Cheetah, Fusion::Cheapest, &Calibration::generic()).is_ok());
    let kernel = Op::Conv2d(Conv2d { padding: Padding::Same, ..Conv2d::dense(1, 65) });
    let refused = HybridEstimate::of(
        &graph(Shape::map(1, 8, 8), kernel),
        Protocol::Cheetah,
        Fusion::Cheapest,
        &Calibration::generic(),
    );
    assert!(matches!(refused, Err(HybridError::KernelTooLarge { height: 65, width: 65, .. })));
}

#[test]
fn every_network_of_the_zoo_is_estimated() {
    let calibration = Calibration::generic();
    for name in zoo::names() {
        let network = zoo::build(name).unwrap();
        for protocol in Protocol::ALL {
            let estimate = HybridEstimate::of(&network, protocol, Fusion::Cheapest, &calibration).unwrap();
            let total = estimate.total();
            let seconds = [total.server.0, total.client.0];
            assert!(seconds.iter().all(|s| s.is_finite() && *s > 0.0), "{name} {protocol}: {seconds:?}");
            assert!(total.two_party.0 > 0 && total.upload.0 > 0 && total.download.0 > 0, "{name} {protocol}");
            assert_eq!(total.counts.rotations() == 0, protocol == Protocol::Cheetah, "{name}");
            let sent = total.bytes().0 as f64 / 44e6 + total.rounds as f64 * 0.04;
            let wan = estimate.latency(&NetworkLink::WAN).0;
            assert!((wan - sent - total.server.0 - total.client.0).abs() < 1e-9 * wan, "{name} {protocol}");
        }
    }
}

/// Fused, a block of two ciphertexts rotates both under the taps of a cross and is truncated once; factored, one and three times.
#[test]
fn bottlenecks_are_fused_or_kept() {
    let block = "16x32x32: conv(8,k1,g8,shifted8) bn conv(8,k5,cross,g8,interleaved) bn conv(16,k1,g8,interleaved) bn add(n0) quad \
                 flatten linear(4)";
    let network: TypedGraph = block.parse().unwrap();
    let total =
        |fusion| HybridEstimate::of(&network, Protocol::CrypTFlow2, fusion, &Calibration::generic()).unwrap().total();
    let (fused, factored, cheapest) = (total(Fusion::Always), total(Fusion::Never), total(Fusion::Cheapest));
    assert_eq!((fused.counts.internal, factored.counts.internal), (2 * 8, 8));
    assert_eq!((fused.counts.moving(), factored.counts.moving()), (0, 0));
    let values = 8 * 1024 * 15_142 / 8;
    assert_eq!(factored.two_party.0 - fused.two_party.0, 2 * values);
    assert_eq!(factored.rounds - fused.rounds, 2 * 17);
    let lan = [fused, factored, cheapest].map(|step| step.latency(&NetworkLink::LAN));
    assert_eq!(lan[2], lan[0]);
    assert!(lan[0] < lan[1]);
}

/// CrypTFlow2 (CCS 2020, section 6) measures 32.43 GB for ResNet-50 with homomorphic linear layers. Ours are upper bounds per value,
/// at values of a few bits less.
#[test]
fn resnet50_communicates_as_much_as_published() {
    let network = zoo::build("resnet50").unwrap();
    let estimate =
        HybridEstimate::of(&network, Protocol::CrypTFlow2, Fusion::Cheapest, &Calibration::generic()).unwrap();
    let gigabytes = estimate.total().bytes().0 as f64 / 1e9;
    assert!((25.0..42.0).contains(&gigabytes), "{gigabytes} GB");
}
