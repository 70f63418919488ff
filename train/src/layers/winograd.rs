//! Winograd's convolution F(2x2, 3x3): 16 products instead of 36 for every four output pixels of a channel pair.
//!
//! With the matrices of Lavin and Gray (CVPR 2016), every 2 x 2 tile of the output is `A' [(G w G') * (B' d B)] A`, where
//! `d` is the 4 x 4 window of the input and `*` is per element. Collected over tiles, each of the 16 elements is a point
//! convolution for the loops of `kernel`. The input gradient is the same convolution of the output's gradient with turned
//! kernels. The weight gradient stays direct: in tiles its sums are a quarter as long, too short to pay for adding up the
//! lanes of each, which the loops of `kernel` do once per weight and chunk.
//!
//! Sums differ from the direct ones by rounding only; the tests compare both with the definition in f64.
#![expect(clippy::inline_always, reason = "the loops must be compiled with the instructions that dispatch enables")]

use std::cell::RefCell;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use striae_spaces::{Conv2d, Kernel, KernelMask, Padding, Shape};

use super::{
    buffers,
    conv::Conv,
    kernel::{LANES, Sweep, Task},
};

/// Elements of a transformed tile.
pub(super) const PARTS: usize = 16;
/// Tiles a chunk of images aims at.
const CHUNK_TILES: usize = 128;
/// Fewest tiles in a row or column: one more in each row means nothing.
const MIN_TILES: usize = 3;
/// Most tiles of a map; the planes of larger ones would leave the caches.
const MAX_TILES: usize = 1024;
/// Fewest channels on either side of a group for which the transforms pay.
const MIN_CHANNELS: usize = 16;

/// A 3 x 3 convolution planned in tiles.
#[derive(Clone, Debug)]
pub(super) struct Winograd {
    tiles: Tiles,
    /// Images per chunk.
    images: usize,
    /// Distance between planes: the tiles of a chunk, and what vectors write beyond.
    plane: usize,
    channels: usize,
    outputs: usize,
    /// The convolution of one element of all tiles.
    point: Box<Conv>,
}

impl Winograd {
    /// None where the direct convolution is the better one.
    pub(super) fn new(conv: &Conv2d, input: Shape, output: Shape) -> Option<Self> {
        let ((height, width), groups) = (input.spatial(), conv.groups);
        let (rows, cols) = (height / 2, width / 2);
        let tiles = Tiles { rows, cols };
        let square = conv.kernel == Kernel { size: 3, mask: KernelMask::Full };
        let dense = (input.channels() / groups).min(output.channels() / groups) >= MIN_CHANNELS;
        let tiled = height % 2 == 0 && width % 2 == 0 && rows.min(cols) >= MIN_TILES && rows * cols <= MAX_TILES;
        if !(square && conv.stride == 1 && conv.padding == Padding::Same && dense && tiled) {
            return None;
        }
        let images = CHUNK_TILES.div_ceil(rows * cols);
        let plane = (images * tiles.count()).next_multiple_of(LANES) + LANES;
        let point = Conv2d { kernel: Kernel { size: 1, mask: KernelMask::Full }, ..conv.clone() };
        let (channels, outputs) = (input.channels(), output.channels());
        let point = Conv::in_place(&point, Shape::map(channels, 1, plane), Shape::map(outputs, 1, plane));
        Some(Self { tiles, images, plane, channels, outputs, point: Box::new(point) })
    }

    /// The convolution of the images in `x`.
    pub(super) fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let packed = pack(self.point.forward_tasks(), weight, false);
        self.run(x, self.point.forward_tasks(), &packed, self.channels, self.outputs)
    }

    /// The gradient of the input, given that of the output.
    pub(super) fn input_grad(&self, grad: &[f32], weight: &[f32]) -> Vec<f32> {
        let packed = pack(self.point.input_grad_tasks(), weight, true);
        self.run(grad, self.point.input_grad_tasks(), &packed, self.outputs, self.channels)
    }

    fn run(&self, x: &[f32], tasks: &[Task], packed: &[Vec<f32>], from: usize, to: usize) -> Vec<f32> {
        let plane = self.plane;
        let mut y = buffers::take(x.len() / from * to);
        let chunks = y
            .par_chunks_mut(self.images * to * self.tiles.pixels())
            .zip(x.par_chunks(self.images * from * self.tiles.pixels()));
        chunks.for_each(|(y, x)| {
            SCRATCH.with_borrow_mut(|[phases, sources, sums]| {
                grow(phases, 4 * self.tiles.phase());
                grow(sources, PARTS * from * plane);
                grow(sums, PARTS * to * plane);
                let (tiles, len) = (self.tiles, x.len() / (from * self.tiles.pixels()) * self.tiles.count());
                Arch::new().dispatch(ToTiles { tiles, plane, channels: from, maps: x, parts: sources, phases });
                for (part, packed) in packed.iter().enumerate() {
                    let src = &sources[part * from * plane..][..from * plane];
                    let dst = &mut sums[part * to * plane..][..to * plane];
                    Arch::new().dispatch(Sweep { tasks, packed, src, dst, plane, len: len.next_multiple_of(LANES) });
                }
                Arch::new().dispatch(FromTiles { tiles, plane, channels: to, parts: sums, maps: y, phases });
            });
        });
        y
    }
}

thread_local! {
    /// Phases of a map, planes of input tiles, planes of output tiles.
    static SCRATCH: RefCell<[Vec<f32>; 3]> = const { RefCell::new([const { Vec::new() }; 3]) };
}

fn grow(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
}

/// The transformed kernels in the tasks' order, by element; `turned` by half a circle for the input gradient.
fn pack(tasks: &[Task], weight: &[f32], turned: bool) -> Vec<Vec<f32>> {
    let (kernels, _) = weight.as_chunks::<9>();
    let transformed: Vec<[f32; PARTS]> = kernels
        .par_iter()
        .with_min_len(512)
        .map(|kernel| {
            let mut kernel = *kernel;
            if turned {
                kernel.reverse();
            }
            transform_kernel(&kernel)
        })
        .collect();
    let gather = |part: usize| tasks.iter().flat_map(|t| &t.weights).map(|&i| transformed[i][part]).collect();
    (0..PARTS).into_par_iter().map(gather).collect()
}

/// `G w G'`.
fn transform_kernel(w: &[f32; 9]) -> [f32; PARTS] {
    let line = |a: f32, b: f32, c: f32| [a, 0.5 * (a + b + c), 0.5 * (a - b + c), c];
    let columns = [0, 1, 2].map(|x| line(w[x], w[3 + x], w[6 + x]));
    let mut parts = [0.0; PARTS];
    for y in 0..4 {
        parts[4 * y..4 * y + 4].copy_from_slice(&line(columns[0][y], columns[1][y], columns[2][y]));
    }
    parts
}

/// Tiles of a map. They are counted row by row, with one that means nothing after each row: then the element `(y, x)` of all
/// windows is the phase `(y % 2, x % 2)` of the map, shifted by a constant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Tiles {
    fn pitch(self) -> usize {
        self.cols + 1
    }

    pub(super) fn count(self) -> usize {
        self.rows * self.pitch()
    }

    pub(super) fn pixels(self) -> usize {
        4 * self.rows * self.cols
    }

    /// Length of a phase with its border, and what vectors read beyond.
    pub(super) fn phase(self) -> usize {
        (self.count() + self.pitch() + 1 + LANES).next_multiple_of(LANES)
    }
}

/// `B' d B` of all windows of all maps.
pub(super) struct ToTiles<'a> {
    pub(super) tiles: Tiles,
    pub(super) plane: usize,
    pub(super) channels: usize,
    pub(super) maps: &'a [f32],
    pub(super) parts: &'a mut [f32],
    pub(super) phases: &'a mut [f32],
}

impl WithSimd for ToTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiles, plane, channels, maps, parts, phases } = self;
        let (pitch, phase) = (tiles.pitch(), tiles.phase());
        let vectors = tiles.count().div_ceil(S::F32_LANES);
        phases.fill(0.0);
        for (m, map) in maps.chunks_exact(tiles.pixels()).enumerate() {
            for (y, row) in map.chunks_exact(2 * tiles.cols).enumerate() {
                // Rows 2 t - 1 lie in the first two phases at t, rows 2 t in the others; columns likewise.
                let (block, at) = ((y + 1) % 2, y.div_ceil(2) * pitch);
                let (odd, even) = phases[2 * block * phase..][..2 * phase].split_at_mut(phase);
                split(row, &mut even[at..at + tiles.cols], &mut odd[at + 1..at + pitch]);
            }
            let mut windows: [&[S::f32s]; PARTS] = [&[]; PARTS];
            for (part, window) in windows.iter_mut().enumerate() {
                let (y, x) = (part / 4, part % 4);
                let start = (2 * (y % 2) + x % 2) * phase + y / 2 * pitch + x / 2;
                *window = &S::as_simd_f32s(&phases[start..][..vectors * S::F32_LANES]).0[..vectors];
            }
            let start = m % channels * plane + m / channels * tiles.count();
            for v in 0..vectors {
                let mut d = [simd.splat_f32s(0.0); PARTS];
                for part in 0..PARTS {
                    d[part] = windows[part][v];
                }
                let line = |[a, b, c, d]: [S::f32s; 4]| {
                    [simd.sub_f32s(a, c), simd.add_f32s(b, c), simd.sub_f32s(c, b), simd.sub_f32s(b, d)]
                };
                for x in 0..4 {
                    [d[x], d[4 + x], d[8 + x], d[12 + x]] = line([d[x], d[4 + x], d[8 + x], d[12 + x]]);
                }
                for y in 0..4 {
                    let row = line([d[4 * y], d[4 * y + 1], d[4 * y + 2], d[4 * y + 3]]);
                    for x in 0..4 {
                        let at = (4 * y + x) * channels * plane + start + v * S::F32_LANES;
                        S::as_mut_simd_f32s(&mut parts[at..at + S::F32_LANES]).0[0] = row[x];
                    }
                }
            }
        }
    }
}

/// `A' m A` of all tiles of all maps.
pub(super) struct FromTiles<'a> {
    pub(super) tiles: Tiles,
    pub(super) plane: usize,
    pub(super) channels: usize,
    pub(super) parts: &'a [f32],
    pub(super) maps: &'a mut [f32],
    pub(super) phases: &'a mut [f32],
}

impl WithSimd for FromTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiles, plane, channels, parts, maps, phases } = self;
        let phase = tiles.phase();
        let vectors = tiles.count().div_ceil(S::F32_LANES);
        let line =
            |[a, b, c, d]: [S::f32s; 4]| [simd.add_f32s(simd.add_f32s(a, b), c), simd.sub_f32s(simd.sub_f32s(b, c), d)];
        for (m, map) in maps.chunks_exact_mut(tiles.pixels()).enumerate() {
            let start = m % channels * plane + m / channels * tiles.count();
            let mut elements: [&[S::f32s]; PARTS] = [&[]; PARTS];
            for (part, element) in elements.iter_mut().enumerate() {
                let values = &parts[part * channels * plane + start..][..vectors * S::F32_LANES];
                *element = &S::as_simd_f32s(values).0[..vectors];
            }
            for v in 0..vectors {
                let mut rows = [[simd.splat_f32s(0.0); 4]; 2];
                for x in 0..4 {
                    [rows[0][x], rows[1][x]] =
                        line([elements[x][v], elements[4 + x][v], elements[8 + x][v], elements[12 + x][v]]);
                }
                for (y, row) in rows.into_iter().enumerate() {
                    for (x, value) in line(row).into_iter().enumerate() {
                        let at = (2 * y + x) * phase + v * S::F32_LANES;
                        S::as_mut_simd_f32s(&mut phases[at..at + S::F32_LANES]).0[0] = value;
                    }
                }
            }
            for (y, row) in map.chunks_exact_mut(2 * tiles.cols).enumerate() {
                let (even, odd) = phases[2 * (y % 2) * phase..][..2 * phase].split_at(phase);
                let at = y / 2 * tiles.pitch();
                merge(&even[at..at + tiles.cols], &odd[at..at + tiles.cols], row);
            }
        }
    }
}

/// Even and odd values of a row, by blocks that become shuffles.
#[inline(always)]
fn split(row: &[f32], even: &mut [f32], odd: &mut [f32]) {
    let (rows, rest) = row.as_chunks::<8>();
    let ((evens, even), (odds, odd)) = (even.as_chunks_mut::<4>(), odd.as_chunks_mut::<4>());
    for ((row, even), odd) in rows.iter().zip(evens).zip(odds) {
        *even = [row[0], row[2], row[4], row[6]];
        *odd = [row[1], row[3], row[5], row[7]];
    }
    for ((row, even), odd) in rest.as_chunks::<2>().0.iter().zip(even).zip(odd) {
        [*even, *odd] = *row;
    }
}

/// The reverse of [`split`].
#[inline(always)]
fn merge(even: &[f32], odd: &[f32], row: &mut [f32]) {
    let (rows, rest) = row.as_chunks_mut::<8>();
    let ((evens, even), (odds, odd)) = (even.as_chunks::<4>(), odd.as_chunks::<4>());
    for ((row, e), o) in rows.iter_mut().zip(evens).zip(odds) {
        *row = [e[0], o[0], e[1], o[1], e[2], o[2], e[3], o[3]];
    }
    for ((row, even), odd) in rest.as_chunks_mut::<2>().0.iter_mut().zip(even).zip(odd) {
        *row = [*even, *odd];
    }
}
