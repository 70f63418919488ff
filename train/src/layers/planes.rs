//! Convolution over shifted planes, for every grouping, mask, stride and padding.
//!
//! A [`Planes`] turns a convolution once into lists of shifted planes (see `flat`) for the loops of `kernel`. Work is split into chunks of a fixed number of images and partial weight
//! gradients are added in chunk order, so results do not depend on the number of threads.

use std::cell::RefCell;

use pulp::Arch;
use rayon::prelude::*;
use striae_spaces::{Conv2d, Shape, Tap};

use super::{
    buffers,
    conv::{ConvGrads, Group},
    flat::{Axis, Flat},
    kernel::{Correlate, GradTask, LANES, MAX_DESTS, MAX_OUTS, MAX_SOURCES, Sweep, Task, blocks},
};

/// Values per plane a chunk aims at: enough to pay for the horizontal sums of the weight gradient.
const CHUNK_VALUES: usize = 1024;
/// Most images per chunk; a batch of 64 then has work for at least four threads.
const MAX_CHUNK: usize = 16;

/// Least values of a map that is worth using in place, without gathering several images into one plane.
const MIN_DIRECT: usize = 256;

/// A convolution of one input shape, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Planes {
    channels: usize,
    outputs: usize,
    flat: Flat,
    /// Whether maps are planes as they stand: point kernels on maps of whole vectors.
    direct: bool,
    /// Images per chunk.
    images: usize,
    /// Distance between planes.
    plane: usize,
    /// Zeros before the gradient planes, which are read at negative shifts.
    margin: usize,
    weights: usize,
    forward: Vec<Task>,
    input_grad: Vec<Task>,
    weight_grad: Vec<GradTask>,
}

impl Planes {
    pub(super) fn new(conv: &Conv2d, groups: &[Group], input: Shape, output: Shape) -> Self {
        let pixels = input.len() / input.channels();
        let direct = conv.kernel.is_point() && conv.stride == 1 && pixels >= MIN_DIRECT && pixels.is_multiple_of(LANES);
        let (channels, outputs) = (input.channels(), output.channels());
        let per_group = channels / conv.groups;
        let taps: Vec<Vec<Tap>> = (0..per_group).map(|j| conv.taps(j)).collect();
        let all = taps.iter().flatten();
        let ((h, w), (ho, wo)) = (input.spatial(), output.spatial());
        let rows = Axis::new(h, ho, conv.stride, all.clone().map(|t| t.0));
        let cols = Axis::new(w, wo, conv.stride, all.clone().map(|t| t.1));
        let flat = Flat::new(rows, cols, all.clone().copied());
        // A power of two, so that the chunks of usual batches are equal and keep two threads equally busy.
        let images = if direct { 1 } else { 1 << CHUNK_VALUES.div_ceil(flat.len()).min(MAX_CHUNK).ilog2() };
        let plane = (images * flat.len()).next_multiple_of(LANES);
        let margin = all.map(|&t| flat.tap(t).1).max().unwrap_or(0).next_multiple_of(LANES);
        let weights = outputs * per_group * conv.kernel.tap_count();
        let mut planned = Self {
            channels,
            outputs,
            flat,
            direct,
            images,
            plane,
            margin,
            weights,
            forward: Vec::new(),
            input_grad: Vec::new(),
            weight_grad: Vec::new(),
        };
        for group in groups {
            planned.plan_group(group, &taps, conv.kernel.tap_count());
        }
        planned
    }

    fn plan_group(&mut self, group: &Group, taps: &[Vec<Tap>], tap_count: usize) {
        let Group { outputs, inputs } = group;
        let row = inputs.len() * tap_count;
        let sources: Vec<usize> = inputs
            .iter()
            .zip(taps)
            .flat_map(|(&c, taps)| taps.iter().map(move |&t| (c, t)))
            .map(|(c, t)| {
                let (phase, shift) = self.flat.tap(t);
                (c * self.flat.phases.len() + phase) * self.plane + shift
            })
            .collect();
        for (start, size) in blocks(outputs.len(), MAX_DESTS) {
            let dests = outputs[start..start + size].to_vec();
            let weights = (0..sources.len()).flat_map(|k| dests.iter().map(move |o| o * row + k)).collect();
            self.forward.push(Task { dests, sources: sources.clone(), weights });
        }
        for (start, size) in blocks(outputs.len(), MAX_OUTS) {
            let block = &outputs[start..start + size];
            let parts = sources.len().div_ceil(MAX_SOURCES);
            for part in 0..parts {
                let (from, to) = (part * sources.len() / parts, (part + 1) * sources.len() / parts);
                self.weight_grad.push(GradTask {
                    outs: block.iter().map(|o| self.margin + o * self.plane).collect(),
                    sources: sources[from..to].to_vec(),
                    weights: block.iter().map(|o| o * row + from).collect(),
                });
            }
        }
        // Input channels with the same taps have the same sources and can be computed together.
        let mut classes: Vec<Vec<usize>> = Vec::new();
        for j in 0..inputs.len() {
            match classes.iter_mut().find(|class| taps[class[0]] == taps[j]) {
                Some(class) => class.push(j),
                None => classes.push(vec![j]),
            }
        }
        for class in classes {
            for (start, size) in blocks(class.len(), MAX_DESTS) {
                self.plan_input_grad(group, &class[start..start + size], &taps[class[0]], row);
            }
        }
    }

    fn plan_input_grad(&mut self, group: &Group, js: &[usize], taps: &[Tap], row: usize) {
        let phases = self.flat.phases.len();
        for phase in 0..phases {
            let (mut sources, mut weights) = (Vec::new(), Vec::new());
            for &o in &group.outputs {
                for (t, &tap) in taps.iter().enumerate() {
                    let (tap_phase, shift) = self.flat.tap(tap);
                    if tap_phase == phase {
                        sources.push(self.margin + o * self.plane - shift);
                        weights.extend(js.iter().map(|j| o * row + j * taps.len() + t));
                    }
                }
            }
            let dests = js.iter().map(|&j| group.inputs[j] * phases + phase).collect();
            self.input_grad.push(Task { dests, sources, weights });
        }
    }

    fn input_len(&self) -> usize {
        self.channels * self.flat.rows.input * self.flat.cols.input
    }

    fn output_len(&self) -> usize {
        self.outputs * self.flat.rows.output * self.flat.cols.output
    }

    /// The convolution of the images in `x`, all stored one after the other.
    pub(super) fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let batch = x.len() / self.input_len();
        let packed = pack(&self.forward, weight);
        let mut y = buffers::take(batch * self.output_len());
        let chunks =
            x.par_chunks(self.images * self.input_len()).zip(y.par_chunks_mut(self.images * self.output_len()));
        chunks.for_each(|(x, y)| {
            if self.direct {
                return self.sweep(&self.forward, &packed, x, y, self.plane);
            }
            SCRATCH.with_borrow_mut(|[src, dst, _]| {
                let len = self.insert_inputs(x, src);
                grow(dst, self.outputs * self.plane);
                self.sweep(&self.forward, &packed, src, dst, len);
                for (i, image) in y.chunks_exact_mut(self.output_len()).enumerate() {
                    let pixels = image.len() / self.outputs;
                    for (o, map) in image.chunks_exact_mut(pixels).enumerate() {
                        self.flat.extract_output(&dst[o * self.plane + i * self.flat.len()..], map);
                    }
                }
            });
        });
        y
    }

    /// The gradients, given the input, the weights and the gradient of the output.
    pub(super) fn backward(&self, x: &[f32], weight: &[f32], grad: &[f32], need_input: bool) -> ConvGrads {
        let (xs, gs) = (self.images * self.input_len(), self.images * self.output_len());
        let partials: Vec<Vec<f32>>;
        let mut input = need_input.then(|| buffers::take(x.len()));
        if let Some(dx) = &mut input {
            let packed = pack(&self.input_grad, weight);
            let chunks = x.par_chunks(xs).zip(grad.par_chunks(gs)).zip(dx.par_chunks_mut(xs));
            partials = chunks.map(|((x, g), dx)| self.chunk_grads(x, g, Some((dx, &packed)))).collect();
        } else {
            partials = x.par_chunks(xs).zip(grad.par_chunks(gs)).map(|(x, g)| self.chunk_grads(x, g, None)).collect();
        }
        let mut sum = vec![0.0; self.weights];
        for partial in &partials {
            sum.iter_mut().zip(partial).for_each(|(s, p)| *s += p);
        }
        ConvGrads { input, weight: sum }
    }

    fn chunk_grads(&self, x: &[f32], grad: &[f32], input: Option<(&mut [f32], &[f32])>) -> Vec<f32> {
        let mut dw = vec![0.0; self.weights];
        if self.direct {
            self.correlate(x, grad, &mut dw, self.plane);
            if let Some((dx, packed)) = input {
                self.sweep(&self.input_grad, packed, grad, dx, self.plane);
            }
            return dw;
        }
        SCRATCH.with_borrow_mut(|[src, dst, grads]| {
            let len = self.insert_inputs(x, src);
            self.insert_grads(grad, grads);
            self.correlate(src, grads, &mut dw, len);
            let Some((dx, packed)) = input else { return };
            let phases = self.flat.phases.len();
            grow(dst, self.channels * phases * self.plane);
            self.sweep(&self.input_grad, packed, grads, dst, len);
            if !self.flat.covers_input() {
                dx.fill(0.0);
            }
            for (i, image) in dx.chunks_exact_mut(self.input_len()).enumerate() {
                let pixels = image.len() / self.channels;
                for (c, map) in image.chunks_exact_mut(pixels).enumerate() {
                    for (p, &phase) in self.flat.phases.iter().enumerate() {
                        let start = (c * phases + p) * self.plane + i * self.flat.len();
                        self.flat.extract_input(phase, &dst[start..], map);
                    }
                }
            }
        });
        dw
    }

    fn sweep(&self, tasks: &[Task], packed: &[f32], src: &[f32], dst: &mut [f32], len: usize) {
        Arch::new().dispatch(Sweep { tasks, packed, src, dst, plane: self.plane, len });
    }

    fn correlate(&self, src: &[f32], grad: &[f32], dw: &mut [f32], len: usize) {
        Arch::new().dispatch(Correlate { tasks: &self.weight_grad, grad, src, dw, len });
    }

    /// Lays a chunk's images out as flat planes; returns how many values of each plane count.
    fn insert_inputs(&self, x: &[f32], buffer: &mut Vec<f32>) -> usize {
        let (phases, len) = (self.flat.phases.len(), self.flat.len());
        let planes = self.channels * phases * self.plane;
        grow(buffer, planes + self.margin + LANES);
        for (i, image) in x.chunks_exact(self.input_len()).enumerate() {
            let pixels = image.len() / self.channels;
            for (c, map) in image.chunks_exact(pixels).enumerate() {
                for (p, &phase) in self.flat.phases.iter().enumerate() {
                    let start = (c * phases + p) * self.plane + i * len;
                    self.flat.insert_input(phase, map, &mut buffer[start..]);
                }
            }
        }
        let used = x.len() / self.input_len() * len;
        // Sums run over whole vectors, and old numbers there may be infinite.
        buffer[..planes].chunks_exact_mut(self.plane).for_each(|plane| plane[used..].fill(0.0));
        buffer[planes..planes + self.margin + LANES].fill(0.0);
        used.next_multiple_of(LANES)
    }

    fn insert_grads(&self, grad: &[f32], buffer: &mut Vec<f32>) {
        let (len, planes) = (self.flat.len(), self.outputs * self.plane);
        grow(buffer, self.margin + planes + LANES);
        buffer[..self.margin].fill(0.0);
        let (inner, rest) = buffer[self.margin..].split_at_mut(planes);
        for (i, image) in grad.chunks_exact(self.output_len()).enumerate() {
            let pixels = image.len() / self.outputs;
            for (map, plane) in image.chunks_exact(pixels).zip(inner.chunks_exact_mut(self.plane)) {
                self.flat.insert_output(map, &mut plane[i * len..]);
            }
        }
        let used = grad.len() / self.output_len() * len;
        inner.chunks_exact_mut(self.plane).for_each(|plane| plane[used..].fill(0.0));
        rest[..LANES].fill(0.0);
    }
}

thread_local! {
    /// Source, destination and gradient planes, kept between calls: fresh pages cost as much as the copy into them.
    static SCRATCH: RefCell<[Vec<f32>; 3]> = const { RefCell::new([const { Vec::new() }; 3]) };
}

fn grow(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
}

fn pack(tasks: &[Task], weight: &[f32]) -> Vec<f32> {
    tasks.iter().flat_map(|t| &t.weights).map(|&i| weight[i]).collect()
}
