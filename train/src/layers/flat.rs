//! Flat planes: images laid out so that every tap of a convolution is one constant shift.
//!
//! A plane of an image is stored row by row with zeros around the data, and a stride of `s` splits it into `s * s`
//! *phase* planes. Output pixel `(y, x)` then reads position `y * width + x + shift` of one phase, for every tap. The zero
//! columns before a row double as those after the previous one, the zero rows before an image as those after the previous
//! one. Positions that are no output pixel hold garbage that nobody extracts.

use striae_spaces::Tap;

/// One spatial direction.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Input pixels.
    pub(super) input: usize,
    /// Output pixels.
    pub(super) output: usize,
    stride: usize,
    /// Zeros before the first input pixel.
    before: usize,
    /// Positions in a phase.
    pub(super) size: usize,
}

impl Axis {
    pub(super) fn new(input: usize, output: usize, stride: usize, offsets: impl Iterator<Item = i32> + Clone) -> Self {
        let before = offsets.clone().map(|d| (-d).max(0)).max().unwrap_or(0) as usize;
        let reach = offsets.map(|d| (d + before as i32) as usize / stride).max().unwrap_or(0);
        // Every phase starts with at least this many zeros, which serve the row before as well.
        let lead = before / stride;
        let data_end = (input - 1 + before) / stride + 1;
        let size = data_end.max((output + reach).saturating_sub(lead)).max(output);
        Self { input, output, stride, before, size }
    }

    /// Phase and shift of an offset.
    fn place(&self, offset: i32) -> (usize, usize) {
        let at = (offset + self.before as i32) as usize;
        (at % self.stride, at / self.stride)
    }

    /// First position of a phase that holds an input pixel, that pixel, and how many there are.
    fn span(&self, phase: usize) -> (usize, usize, usize) {
        let first = self.before.saturating_sub(phase).div_ceil(self.stride);
        let pixel = first * self.stride + phase - self.before;
        (first, pixel, self.input.saturating_sub(pixel).div_ceil(self.stride))
    }
}

/// Geometry of the planes of one convolution.
#[derive(Clone, Debug)]
pub(super) struct Flat {
    pub(super) rows: Axis,
    pub(super) cols: Axis,
    /// Phases that some tap reads.
    pub(super) phases: Vec<(usize, usize)>,
}

impl Flat {
    pub(super) fn new(rows: Axis, cols: Axis, taps: impl Iterator<Item = Tap>) -> Self {
        let mut flat = Self { rows, cols, phases: Vec::new() };
        for (dy, dx) in taps {
            let phase = (flat.rows.place(dy).0, flat.cols.place(dx).0);
            if !flat.phases.contains(&phase) {
                flat.phases.push(phase);
            }
        }
        flat
    }

    /// Positions of one image in one plane.
    pub(super) fn len(&self) -> usize {
        self.rows.size * self.cols.size
    }

    /// Whether every input pixel lies in some phase.
    pub(super) fn covers_input(&self) -> bool {
        self.phases.len() == self.rows.stride * self.cols.stride
    }

    /// Index of the phase a tap reads, and its shift.
    pub(super) fn tap(&self, (dy, dx): Tap) -> (usize, usize) {
        let ((py, sy), (px, sx)) = (self.rows.place(dy), self.cols.place(dx));
        let phase = self.phases.iter().position(|&p| p == (py, px)).expect("the phase of every tap is listed");
        (phase, sy * self.cols.size + sx)
    }

    /// Writes one image's pixels into one phase of a plane, and zeros around them.
    pub(super) fn insert_input(&self, phase: (usize, usize), image: &[f32], plane: &mut [f32]) {
        let (row, y, height) = self.rows.span(phase.0);
        let (col, x, width) = self.cols.span(phase.1);
        let (size, stride) = (self.cols.size, self.cols.stride);
        if width == 0 {
            return plane[..self.len()].fill(0.0);
        }
        plane[..row * size].fill(0.0);
        for i in 0..height {
            let source = &image[(y + i * self.rows.stride) * self.cols.input..][..self.cols.input];
            let target = &mut plane[(row + i) * size..][..size];
            target[..col].fill(0.0);
            let (target, rest) = target[col..].split_at_mut(width);
            if stride == 1 {
                copy(&source[x..x + width], target);
            } else {
                target.iter_mut().zip(source[x..].iter().step_by(stride)).for_each(|(t, s)| *t = *s);
            }
            rest.fill(0.0);
        }
        plane[(row + height) * size..self.len()].fill(0.0);
    }

    /// The reverse of [`Self::insert_input`].
    pub(super) fn extract_input(&self, phase: (usize, usize), plane: &[f32], image: &mut [f32]) {
        let (row, y, height) = self.rows.span(phase.0);
        let (col, x, width) = self.cols.span(phase.1);
        let stride = self.cols.stride;
        if width == 0 {
            return;
        }
        for i in 0..height {
            let target = &mut image[(y + i * self.rows.stride) * self.cols.input..][..self.cols.input];
            let source = &plane[(row + i) * self.cols.size + col..][..width];
            if stride == 1 {
                copy(source, &mut target[x..x + width]);
            } else {
                target[x..].iter_mut().step_by(stride).zip(source).for_each(|(t, s)| *t = *s);
            }
        }
    }

    /// Writes one image's output pixels into a plane, and zeros around them.
    pub(super) fn insert_output(&self, image: &[f32], plane: &mut [f32]) {
        let (width, size) = (self.cols.output, self.cols.size);
        for (source, target) in image.chunks_exact(width).zip(plane.chunks_mut(size)) {
            let (target, rest) = target.split_at_mut(width);
            copy(source, target);
            rest.fill(0.0);
        }
        plane[image.len() / width * size..self.len()].fill(0.0);
    }

    /// Reads one image's output pixels out of a plane.
    pub(super) fn extract_output(&self, plane: &[f32], image: &mut [f32]) {
        let width = self.cols.output;
        for (target, source) in image.chunks_exact_mut(width).zip(plane.chunks(self.cols.size)) {
            copy(&source[..width], target);
        }
    }
}

/// Copies a short row; a call of `memcpy` would cost more than the copy.
#[inline]
fn copy(source: &[f32], target: &mut [f32]) {
    let ((sources, source), (targets, target)) = (source.as_chunks::<8>(), target.as_chunks_mut::<8>());
    targets.iter_mut().zip(sources).for_each(|(t, s)| *t = *s);
    target.iter_mut().zip(source).for_each(|(t, s)| *t = *s);
}
