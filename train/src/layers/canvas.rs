//! Canvases: maps with their channels side by side, 16 to a block, and zeros around the pixels.
//!
//! A canvas holds, block of channels by block and image by image, one row of [`BLOCK`] values per position. Loops over it
//! need no shuffles and no care about image borders.
#![expect(clippy::inline_always, reason = "a call would cost more than the few shuffles")]

#[cfg(target_arch = "x86_64")]
use pulp::{bytemuck, core_arch::x86::Sse};

/// Channels side by side: a vector of 16 lanes, or two of 8.
pub(super) const BLOCK: usize = 16;

/// Pixels turned at once, and channels.
const QUAD: usize = 4;

/// Geometry of the canvas of one image.
#[derive(Clone, Debug)]
pub(super) struct Canvas {
    /// Positions of an image.
    pub(super) size: usize,
    /// Position of every pixel.
    pixels: Vec<usize>,
    /// Positions of no pixel.
    border: Vec<usize>,
    /// Stands for the channels that a last block lacks.
    absent: Vec<f32>,
}

impl Canvas {
    /// Maps of `height` by `width` pixels on `rows` by `cols` positions, the first pixel at `before`.
    pub(super) fn new((height, width): (usize, usize), before: (usize, usize), (rows, cols): (usize, usize)) -> Self {
        let mut border = vec![true; rows * cols];
        let pixels: Vec<usize> =
            (0..height * width).map(|p| (p / width + before.0) * cols + p % width + before.1).collect();
        pixels.iter().for_each(|&p| border[p] = false);
        let border = (0..border.len()).filter(|&p| border[p]).collect();
        Self { size: rows * cols, absent: vec![0.0; pixels.len()], pixels, border }
    }

    /// Writes the `channels` of an image, of which `image` has more, onto a canvas. `block` is the distance between blocks.
    pub(super) fn insert(&self, image: &[f32], channels: &[usize], canvas: &mut [f32], block: usize) {
        let (n, turn) = (self.pixels.len(), Turn::new());
        for (channels, canvas) in channels.chunks(BLOCK).zip(canvas.chunks_mut(block)) {
            let mut maps = [self.absent.as_slice(); BLOCK];
            for (map, &c) in maps.iter_mut().zip(channels) {
                *map = &image[c * n..][..n];
            }
            let (rows, _) = canvas.as_chunks_mut::<BLOCK>();
            for &p in &self.border {
                rows[p] = [0.0; BLOCK];
            }
            let quads = maps.map(|map| map.as_chunks::<QUAD>().0);
            for (q, &[i, j, k, l]) in self.pixels.as_chunks::<QUAD>().0.iter().enumerate() {
                for (c, [u, v, x, y]) in quads.as_chunks::<QUAD>().0.iter().enumerate() {
                    let turned = turn.square([u[q], v[q], x[q], y[q]]);
                    for (pixel, values) in [i, j, k, l].into_iter().zip(turned) {
                        rows[pixel].as_chunks_mut::<QUAD>().0[c] = values;
                    }
                }
            }
            for (p, &pixel) in self.pixels.iter().enumerate().skip(n / QUAD * QUAD) {
                rows[pixel] = maps.map(|map| map[p]);
            }
        }
    }

    /// The reverse of [`Self::insert`].
    pub(super) fn extract(&self, canvas: &[f32], block: usize, channels: &[usize], image: &mut [f32]) {
        let (n, turn) = (self.pixels.len(), Turn::new());
        for (channels, canvas) in channels.chunks(BLOCK).zip(canvas.chunks(block)) {
            let (rows, _) = canvas.as_chunks::<BLOCK>();
            for (q, &[i, j, k, l]) in self.pixels.as_chunks::<QUAD>().0.iter().enumerate() {
                let quads = [&rows[i], &rows[j], &rows[k], &rows[l]].map(|row| row.as_chunks::<QUAD>().0);
                for (c, channels) in channels.chunks(QUAD).enumerate() {
                    for (&channel, values) in channels.iter().zip(turn.square(quads.map(|row| row[c]))) {
                        image[channel * n + q * QUAD..].as_chunks_mut::<QUAD>().0[0] = values;
                    }
                }
            }
            for (p, &pixel) in self.pixels.iter().enumerate().skip(n / QUAD * QUAD) {
                for (&channel, value) in channels.iter().zip(rows[pixel]) {
                    image[channel * n + p] = value;
                }
            }
        }
    }
}

/// Transposes squares. Compilers make a mess of it, a load and a store per value.
#[derive(Clone, Copy)]
struct Turn {
    #[cfg(target_arch = "x86_64")]
    sse: Option<Sse>,
}

impl Turn {
    fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            sse: Sse::try_new(),
        }
    }

    #[inline(always)]
    fn square(self, rows: [[f32; QUAD]; QUAD]) -> [[f32; QUAD]; QUAD] {
        #[cfg(target_arch = "x86_64")]
        if let Some(sse) = self.sse {
            let [a, b, c, d] = rows.map(bytemuck::cast);
            let (ab, cd) = (sse._mm_unpacklo_ps(a, b), sse._mm_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (sse._mm_unpackhi_ps(a, b), sse._mm_unpackhi_ps(c, d));
            let low = [sse._mm_movelh_ps(ab, cd), sse._mm_movehl_ps(cd, ab)];
            let high = [sse._mm_movelh_ps(ab_high, cd_high), sse._mm_movehl_ps(cd_high, ab_high)];
            return [low[0], low[1], high[0], high[1]].map(bytemuck::cast);
        }
        let [a, b, c, d] = rows;
        [0, 1, 2, 3].map(|i| [a[i], b[i], c[i], d[i]])
    }
}
