//! A network and its plan as a [`NetworkView`].

use striae_cost_model::packing::Layout;
use striae_cost_model::{
    CkksParams, HeProgram, LinearStep, Plan, Security, SecurityLevel, Source, SourceOp, StepEstimate, StepKind,
    Strategy, max_log_qp,
};
use striae_reports::view::{CostParts, Interval, LayerView, MemoryView, NetworkView, ParametersView};
use striae_spaces::{NodeId, TypedGraph};

/// What `plan` says about `graph`; accuracies and measurements are for the caller to add.
pub fn network(label: &str, graph: &TypedGraph, plan: &Plan) -> NetworkView {
    let estimate = &plan.estimate;
    let memory = &estimate.memory;
    NetworkView {
        label: label.to_owned(),
        arch_id: graph.arch_id().to_string(),
        notation: graph.to_string(),
        weights: graph.parameters(),
        parameters: Some(parameters(&plan.params)),
        levels: plan.program.depth() as u32,
        latency_predicted: estimate.latency.0,
        latency_interval: Some(Interval { low: estimate.interval.0.0, high: estimate.interval.1.0 }),
        memory: MemoryView { ciphertexts: memory.ciphertexts.0, weights: memory.weights.0, keys: memory.keys.0 },
        upload_bytes: estimate.upload.0,
        download_bytes: estimate.download.0,
        layers: (0..plan.program.steps.len()).map(|step| layer(graph, plan, step)).collect(),
        ..NetworkView::default()
    }
}

/// Encryption parameters. Below 128 bits, security is these, scaled by how far log QP lies over their bound: a rule of thumb
/// that is good enough to warn with.
pub fn parameters(params: &CkksParams) -> ParametersView {
    let log_qp = f64::from(params.log_qp());
    let bound = f64::from(max_log_qp(params.log_n()).unwrap_or(0));
    let level = SecurityLevel::of(params);
    ParametersView {
        log_n: params.log_n(),
        log_qp,
        q_bits: params.log_q().to_vec(),
        p_bits: params.log_p().to_vec(),
        log_scale: f64::from(params.log_scale()),
        security_bits: level.map_or((128.0 * bound / log_qp).floor(), |level| level.bits().into()),
        insecure: params.security() == Security::Insecure,
    }
}

fn layer(graph: &TypedGraph, plan: &Plan, step: usize) -> LayerView {
    let estimate = &plan.estimate.steps[step];
    LayerView {
        predicted: estimate.latency.0,
        share: estimate.latency.0 / plan.estimate.latency.0.max(f64::MIN_POSITIVE),
        parts: parts(estimate),
        ..counted(graph, &plan.program, step)
    }
}

/// A step of the program of `graph` without times.
pub fn counted(graph: &TypedGraph, program: &HeProgram, step: usize) -> LayerView {
    let (counts, kinds) = (program.step_counts(step), program.step_rotation_kinds(step));
    let (inputs, level_in) = inputs(program, step);
    let output = program.output_of(step);
    let node = program.steps[step].node;
    LayerView {
        name: format!("{} {node}", step + 1),
        description: description(graph, program, step),
        packing: packing(&output.layout),
        strategy: strategy(&program.steps[step].kind),
        ciphertexts_in: inputs,
        ciphertexts_out: output.layout.ciphertexts() as u64,
        rotations_internal: kinds.internal,
        rotations_external: kinds.external,
        rotations_other: kinds.mixing + kinds.merge + kinds.dense,
        multiplications: counts.plain_mults,
        squares: counts.squares,
        relinearisations: counts.squares,
        rescales: counts.rescales + counts.squares,
        level_in: level_in as u32,
        level_out: output.level as u32,
        slots_wasted: wasted(&output.layout),
        ..LayerView::default()
    }
}

/// Ciphertexts a step reads, and the level it reads them at.
fn inputs(program: &HeProgram, step: usize) -> (u64, usize) {
    match &program.steps[step].kind {
        StepKind::Linear(linear) => (linear.plan.inputs as u64, linear.level),
        StepKind::Square { input, .. } | StepKind::WindowSum { input, .. } => {
            let value = program.value(*input);
            (value.layout.ciphertexts() as u64, value.level)
        }
    }
}

/// What a step computes; parts that were fused are joined by dots.
pub fn description(graph: &TypedGraph, program: &HeProgram, step: usize) -> String {
    let node = program.steps[step].node;
    match &program.steps[step].kind {
        StepKind::Linear(LinearStep { sources, .. }) => {
            sources.iter().map(|s| source(graph, program, s)).collect::<Vec<_>>().join(" + ")
        }
        StepKind::Square { .. } | StepKind::WindowSum { .. } => op_text(graph, node),
    }
}

/// An operation in the words of the notation, without what every layer says (`bias`) or what follows from the groups
/// (`interleaved`).
pub fn op_text(graph: &TypedGraph, node: NodeId) -> String {
    graph.node(node).op.to_string().replace(",bias", "").replace(",interleaved", "")
}

fn source(graph: &TypedGraph, program: &HeProgram, source: &Source) -> String {
    let op = |id| op_text(graph, id);
    match &source.op {
        SourceOp::Conv(chain) => chain.iter().map(|&id| op(id)).collect::<Vec<_>>().join(" · "),
        SourceOp::Pool(node) | SourceOp::Dense { linear: node, pool: None } => op(*node),
        SourceOp::Dense { linear, pool: Some(pool) } => format!("{} · {}", op(*pool), op(*linear)),
        // Value 0 is the image, value i + 1 the result of step i.
        SourceOp::Identity => match source.input.index().checked_sub(1) {
            Some(step) => program.steps[step].node.to_string(),
            None => "input".to_owned(),
        },
    }
}

/// How a value stands in its ciphertexts: planes in each, their size, the gap that strides have left, images in gaps of each
/// other, and groups of further images.
pub fn packing(layout: &Layout) -> String {
    match layout {
        Layout::Map(map) => {
            let copies = if map.replicated { " repeated" } else { "" };
            let gap = if map.gap() > 1 { format!(" gap {}", map.gap()) } else { String::new() };
            let (height, width) = (map.height.div_ceil(map.phases), map.width.div_ceil(map.phases));
            let images = if map.group_images() > 1 { format!(" images {}", map.group_images()) } else { String::new() };
            let groups = if map.groups > 1 { format!(" groups {}", map.groups) } else { String::new() };
            format!("{} of {height}x{width}{gap}{copies}{images}{groups}", map.capacity())
        }
        Layout::Vector(vector) => format!("vector {} of {}", vector.features, vector.period),
    }
}

/// How the rotations of a step are arranged.
pub fn strategy(kind: &StepKind) -> String {
    match kind {
        StepKind::Linear(linear) => match linear.strategy {
            Strategy::InputSide => "input-side".to_owned(),
            Strategy::OutputSide => "output-side".to_owned(),
            Strategy::BabyGiant { babies } => format!("BSGS {babies}"),
        },
        StepKind::Square { .. } => "square".to_owned(),
        StepKind::WindowSum { .. } => "window sum".to_owned(),
    }
}

/// Share of the channel positions that no channel fills.
fn wasted(layout: &Layout) -> f64 {
    match layout {
        Layout::Map(map) => 1.0 - map.planes() as f64 / (map.group_ciphertexts() * map.capacity()).max(1) as f64,
        Layout::Vector(_) => 0.0,
    }
}

fn parts(estimate: &StepEstimate) -> CostParts {
    let part = |name: &str| estimate.parts.iter().filter(|(n, _)| *n == name).map(|(_, s)| s.0).sum();
    CostParts {
        rotations: part("rotations"),
        multiplications: part("multiplications"),
        squares: part("squares"),
        rescale: part("rescaling"),
        other: part("additions"),
        ..CostParts::default()
    }
}
