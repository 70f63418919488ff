//! Laws of the lowering: the structured diagonals are those that a count over all pixel pairs finds, a fully connected layer
//! covers each weight once, plans are well-formed, and removing weights never adds work.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use striae_cost_model::{
    Calibration, CkksParams, CkksParamsLiteral, HeProgram, InputPacking, LinearPlan, LowerOptions, Lowerer, OpCounts,
    RingType, StepKind, Strategy as Split, StrategyChoice,
    lower::{
        convs::ConvDesc,
        dense::{DenseLinks, Embedding, dense_links},
        diagonals::conv_links,
    },
    packing::{Fill, Gap, Grid, Layout, MapLayout, PlaneOrder, Spacing, VectorLayout},
};
use striae_spaces::{Activation, Conv2d, GraphBuilder, Grouping, Kernel, KernelMask, Op, Padding, Shape, TypedGraph};

const MASKS: [KernelMask; 5] =
    [KernelMask::Full, KernelMask::Cross, KernelMask::Row, KernelMask::Column, KernelMask::Alternating];

const SPLITS: [Split; 4] =
    [Split::InputSide, Split::OutputSide, Split::BabyGiant { babies: 2 }, Split::BabyGiant { babies: 4 }];

const EMBEDDINGS: [Embedding; 3] = [Embedding::Cheapest, Embedding::Wrapped, Embedding::Square];

/// A convolution whose groups divide `channels`, which are a multiple of 8 unless the groups are 1.
fn conv(channels: usize) -> impl Strategy<Value = Conv2d> {
    let groups =
        prop::sample::select(vec![1, 2, 4, 8]).prop_map(move |g| if channels.is_multiple_of(g) { g } else { 1 });
    let sizes = prop::sample::select(vec![1usize, 2, 3, 5]);
    let masks = prop::sample::select(MASKS.to_vec());
    let outs = prop::sample::select(vec![8usize, 16, 24]);
    (groups, sizes, masks, outs, 1..=2usize, 0..3u8, any::<bool>()).prop_map(
        |(groups, size, mask, out_channels, stride, grouping, same)| {
            let grouping = match grouping {
                0 => Grouping::Contiguous,
                1 => Grouping::Interleaved,
                _ => Grouping::Shifted { blocks: groups.min(2) },
            };
            let padding = if same { Padding::Same } else { Padding::Valid };
            Conv2d { out_channels, kernel: Kernel { size, mask }, stride, padding, groups, grouping, bias: false }
        },
    )
}

/// An image and two convolutions.
fn network() -> impl Strategy<Value = TypedGraph> {
    let images = (1..=3usize, 6..=9usize, 6..=9usize);
    let first = conv(1);
    (images, first)
        .prop_flat_map(|(image, first)| (Just(image), conv(first.out_channels), Just(first)))
        .prop_filter_map("it type-checks", |((channels, height, width), second, first)| {
            let mut builder = GraphBuilder::new(Shape::map(channels, height, width)).ok()?;
            builder.then(Op::Conv2d(first)).ok()?;
            builder.then(Op::Activation(Activation::Quadratic)).ok()?;
            builder.then(Op::Conv2d(second)).ok()?;
            builder.build().ok()
        })
}

fn desc(graph: &TypedGraph, node: usize) -> ConvDesc {
    let node = &graph.nodes()[node];
    let Op::Conv2d(conv) = &node.op else { panic!("node is a convolution") };
    ConvDesc { input: graph.shape(node.inputs[0]), output: node.shape, conv: conv.clone() }
}

/// Every (output ciphertext, input ciphertext, rotation) that some weight needs, pixel by pixel and image by image.
fn enumerate(desc: &ConvDesc, input: &MapLayout, output: &MapLayout) -> BTreeSet<(usize, usize, usize)> {
    let conv = &desc.conv;
    let slots = input.grid.slots;
    let mut triples = BTreeSet::new();
    let (in_images, out_images) = (input.image_offsets(), output.image_offsets());
    let pixels = || (0..output.height).flat_map(|y| (0..output.width).map(move |x| (y, x)));
    let images = || out_images.iter().enumerate();
    for ((out_channel, j), (image, out_moved)) in (0..conv.out_channels)
        .flat_map(|o| (0..input.channels / conv.groups).map(move |j| (o, j)))
        .flat_map(|pair| images().map(move |image| (pair, image)))
    {
        let in_channel = conv.input_channel(input.channels, out_channel, j);
        // The image among those of its group, and which of the groups that are merged.
        let (group, in_moved) = (image / in_images.len(), in_images[image % in_images.len()]);
        for ((dy, dx), (y, x)) in conv.taps(j).into_iter().flat_map(|tap| pixels().map(move |pixel| (tap, pixel))) {
            let row = (y * conv.stride) as i64 + i64::from(dy);
            let column = (x * conv.stride) as i64 + i64::from(dx);
            if (0..input.height as i64).contains(&row) && (0..input.width as i64).contains(&column) {
                let (row, column) = (row as usize, column as usize);
                let block = output.block_of(output.plane(out_channel, (y, x)));
                let (in_ct, in_at) = input.plane_offset(input.plane(in_channel, (row, column)), block);
                let from = in_at + input.pixel_offset(row, column) + in_moved;
                let (out_ct, to) = output.slot(out_channel, y, x);
                assert!(from < slots && to + out_moved < slots, "slots stay inside the ciphertext");
                let rotation = (from + slots - to - out_moved) % output.period;
                triples.insert((out_ct, group * input.group_ciphertexts() + in_ct, rotation));
            }
        }
    }
    triples
}

fn triples(desc: &ConvDesc, input: &MapLayout, output: &MapLayout) -> BTreeSet<(usize, usize, usize)> {
    let links = conv_links(desc, input, output, 0);
    let of_link = |link: striae_cost_model::lower::diagonals::Link| {
        let taps: Vec<usize> =
            link.taps.iter().map(|t| (*t as usize + link.position as usize) % output.period).collect();
        taps.into_iter().map(move |rotation| (link.output as usize, link.input as usize, rotation))
    };
    links.into_iter().flat_map(of_link).collect()
}

/// A matrix product on slots: garbage everywhere but at the elements, one weight per (output, element).
fn check_dense(input: &Layout, slots: usize, outputs: usize, embedding: Embedding) -> Result<(), TestCaseError> {
    let DenseLinks { rule, rotations, folds, output } = dense_links(input, slots, outputs, embedding);
    let (d, period) = (rule.classes_of, rule.period);
    prop_assert_eq!(d, if embedding == Embedding::Square { slots } else { outputs.next_power_of_two() });
    let value = |i: usize| (7 * i % 13) as i64 + 1;
    let weight = |o: usize, i: usize| (3 * o + 5 * i) as i64 % 11 - 5;
    let mut used: BTreeMap<(usize, u32, usize), (usize, usize)> = BTreeMap::new();
    let mut sums = vec![0i64; slots];
    for i in 0..input.len() {
        let (ciphertext, j) = input.slot(i);
        for o in 0..outputs {
            let r = rule.rotation(j, o);
            prop_assert!(rotations[ciphertext].binary_search(&r).is_ok(), "rotation {} of input {}", r, ciphertext);
            // The slots at which the rotated input holds the element and output `o` is summed.
            let first = if d >= period { o } else { (j + slots - r as usize) % period };
            prop_assert_eq!(first % d, o % d);
            for t in (first..slots).step_by(d.max(period)) {
                let clash = used.insert((ciphertext, r, t), (i, o));
                prop_assert_eq!(clash, None, "slot {} of diagonal {} has two weights", t, r);
                sums[t] += weight(o, i) * value(i);
            }
        }
    }
    let needed: BTreeSet<(usize, u32)> = used.keys().map(|&(ciphertext, r, _)| (ciphertext, r)).collect();
    prop_assert_eq!(needed.len(), rotations.iter().map(Vec::len).sum::<usize>(), "no diagonal is empty");
    for fold in folds {
        sums = (0..slots).map(|t| sums[t] + sums[(t + fold as usize) % slots]).collect();
    }
    prop_assert_eq!(output.features, outputs);
    for o in 0..outputs {
        let expected: i64 = (0..input.len()).map(|i| weight(o, i) * value(i)).sum();
        for t in (o..slots).step_by(output.period) {
            prop_assert_eq!(sums[t], expected, "output {} at slot {}", o, t);
        }
    }
    Ok(())
}

fn lower(graph: &TypedGraph, split: Split, input: InputPacking) -> HeProgram {
    let literal = CkksParamsLiteral {
        log_n: 10,
        log_q: vec![45; 14],
        log_p: vec![46],
        log_scale: 30,
        ring: RingType::Standard,
        insecure: true,
    };
    let params = CkksParams::try_from(literal).unwrap();
    let options = LowerOptions { strategy: StrategyChoice::Always(split), input, ..LowerOptions::default() };
    Lowerer::new(&Calibration::generic()).lower(graph, &params, &options).unwrap()
}

fn check_plan(plan: &LinearPlan, slots: usize) -> Result<(), TestCaseError> {
    prop_assert!(plan.terms.windows(2).all(|t| t[0] < t[1]), "terms are sorted and distinct");
    prop_assert!(plan.giants.windows(2).all(|g| g[0] < g[1]));
    prop_assert!(plan.babies.iter().all(|b| b.windows(2).all(|b| b[0] < b[1])));
    prop_assert!(plan.rotations().all(|r| (r as usize) < slots));
    prop_assert_eq!(plan.babies.len(), plan.inputs);
    let mut totals = BTreeSet::new();
    for term in &plan.terms {
        let (input, giant) = (term.input as usize, plan.giants[term.giant as usize]);
        let total = (giant + plan.babies[input][term.baby as usize]) as usize % slots;
        prop_assert!((term.output as usize) < plan.outputs);
        prop_assert!(totals.insert((term.output, term.input, total)), "two terms of one pair rotate by {}", total);
    }
    Ok(())
}

/// Whether no operation is more frequent in `a` than in `b`.
fn at_most(a: &OpCounts, b: &OpCounts) -> bool {
    let fields = |c: &OpCounts| {
        let rotations = [c.hoists, c.rotations_hoisted, c.giant_steps, c.rotations_full];
        let others = [c.plain_mults, c.plain_mults_extended, c.mod_downs, c.rescales, c.squares, c.adds, c.plain_adds];
        rotations.into_iter().chain(others).collect::<Vec<_>>()
    };
    fields(a).iter().zip(fields(b)).all(|(a, b)| *a <= b)
}

fn one_conv(channels: usize, conv: Conv2d) -> TypedGraph {
    let mut builder = GraphBuilder::new(Shape::map(channels, 8, 8)).unwrap();
    builder.then(Op::Conv2d(conv)).unwrap();
    builder.build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn diagonals_are_those_of_all_pixel_pairs(
        graph in network(), replicated in any::<bool>(), channels in any::<bool>(), log_slots in 8..11u32,
        order in prop::sample::select(vec![PlaneOrder::Blocks, PlaneOrder::Across, PlaneOrder::Gaps]),
        phases in prop::sample::select(vec![1, 2, 3]), groups in prop::sample::select(vec![1, 2, 8]),
    ) {
        let (first, second) = (desc(&graph, 1), desc(&graph, 3));
        // Gaps come first in single-shot layouts alone, which have no planes and merge no groups.
        let single_shot = order == PlaneOrder::Gaps;
        let (phases, groups) = if single_shot { (1, 1) } else { (phases, groups) };
        let image = Spacing::image(phases);
        let middle = image.strided(first.conv.stride);
        let maps = [(first.input, image), (first.output, middle), (second.output, middle.strided(second.conv.stride))];
        let Ok(grid) = Grid::fit(&maps, 1 << log_slots) else { return Ok(()) };
        let image = MapLayout { order, phases, groups, ..MapLayout::input(grid, first.input, replicated) };
        let after = |input: &MapLayout, desc: &ConvDesc| {
            let strided = input.strided(desc.output, desc.conv.stride);
            if single_shot { strided.gathered() } else { strided.filled(channels) }
        };
        let middle = after(&image, &first);
        let last = after(&middle, &second);
        prop_assert_eq!(triples(&first, &image, &middle), enumerate(&first, &image, &middle));
        prop_assert_eq!(triples(&second, &middle, &last), enumerate(&second, &middle, &last));
    }

    #[test]
    fn dense_layers_on_maps_cover_every_weight(
        channels in 1..20usize, side in 1..7usize, gap in 1..3usize, filled in any::<bool>(), outputs in 1..40usize,
        phases in 1..3usize, embedding in prop::sample::select(EMBEDDINGS.to_vec()),
    ) {
        let pitch = side.div_ceil(phases) * gap;
        let grid = Grid { slots: 512, pitch, block: (pitch * pitch).next_power_of_two() };
        let fill = if filled { Fill::Channels } else { Fill::Empty };
        let gaps = if gap > 1 { vec![Gap { unit: 1, side: gap, fill }] } else { Vec::new() };
        let map = MapLayout { gaps, phases, ..MapLayout::input(grid, Shape::map(channels, side, side), false) };
        check_dense(&Layout::Map(map), 512, outputs, embedding)?;
    }

    #[test]
    fn dense_layers_on_vectors_cover_every_weight(
        features in 1..65usize, more in 0..3u32, outputs in 1..200usize,
        embedding in prop::sample::select(EMBEDDINGS.to_vec()),
    ) {
        let period = (features.next_power_of_two() << more).min(256);
        check_dense(&Layout::Vector(VectorLayout { features, period, groups: 1 }), 256, outputs, embedding)?;
    }

    #[test]
    fn plans_of_all_strategies_are_well_formed(graph in network(), packed in any::<bool>()) {
        let input = if packed { InputPacking::Packed } else { InputPacking::Replicated };
        for split in SPLITS {
            let program = lower(&graph, split, input);
            for step in &program.steps {
                if let StepKind::Linear(step) = &step.kind {
                    check_plan(&step.plan, program.slots)?;
                }
            }
            prop_assert_eq!(program.rotation_kinds().total(), program.counts().rotations());
        }
    }

    #[test]
    fn masks_and_groups_only_remove_work(
        size in prop::sample::select(vec![3usize, 5]), mask in prop::sample::select(MASKS.to_vec()),
        groups in prop::sample::select(vec![2usize, 4, 8, 16]), split in prop::sample::select(SPLITS[..2].to_vec()),
    ) {
        let full = Conv2d::dense(32, size);
        let masked = Conv2d { kernel: Kernel { size, mask }, ..full.clone() };
        let grouped = Conv2d { groups, grouping: Grouping::Interleaved, ..masked.clone() };
        let [full, masked, grouped] =
            [full, masked, grouped].map(|conv| lower(&one_conv(32, conv), split, InputPacking::Packed).counts());
        prop_assert!(at_most(&masked, &full), "{:?} {:?}", masked, full);
        prop_assert!(at_most(&grouped, &masked), "{:?} {:?}", grouped, masked);
    }

    #[test]
    fn counts_grow_with_depth(layers in prop::collection::vec(conv(8), 1..4), split in prop::sample::select(SPLITS.to_vec())) {
        let mut before = OpCounts::default();
        for depth in 1..=layers.len() {
            let mut builder = GraphBuilder::new(Shape::map(8, 8, 8)).unwrap();
            for conv in &layers[..depth] {
                let conv = Conv2d { out_channels: 8, stride: 1, padding: Padding::Same, ..conv.clone() };
                builder.then(Op::Conv2d(conv)).unwrap();
                builder.then(Op::Activation(Activation::Quadratic)).unwrap();
            }
            let now = lower(&builder.build().unwrap(), split, InputPacking::Packed).counts();
            prop_assert!(at_most(&before, &now), "{:?} {:?}", before, now);
            before = now;
        }
    }
}
