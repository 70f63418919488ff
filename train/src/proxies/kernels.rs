//! Kernels over the images of a batch: which of them a network tells apart.
//!
//! The values of a layer are `[images, units]`.

use candle_core::{Result, Tensor};

use crate::layers::{LinearOp, apply2};

/// Added to the diagonal of normalised kernels, so that equal images give a small determinant and not none.
const JITTER: f64 = 1e-3;

/// A symmetric matrix with one row per image.
type Kernel = Vec<Vec<f64>>;

/// Log-determinant of the share of equal signs of each pair of images, over the units of all layers.
pub(super) fn sign_patterns(layers: &[Tensor]) -> Result<f64> {
    let (mut sum, mut units) = (Kernel::new(), 0);
    for layer in layers {
        // Zero counts as negative.
        let positive = layer.gt(0.0)?.to_dtype(layer.dtype())?;
        add(&mut sum, gram(&((positive * 2.0)? - 1.0)?)?);
        units += layer.dim(1)?;
    }
    // The product of signs is those that are equal less those that differ.
    Ok(log_determinant(map(&sum, |v| f64::midpoint(v / units as f64, 1.0))))
}

/// Log-determinant of the cosine of each pair of images, averaged over the layers.
pub(super) fn cosine(layers: &[Tensor]) -> Result<f64> {
    let mut sum = Kernel::new();
    for layer in layers {
        add(&mut sum, normalised(&gram(layer)?));
    }
    Ok(log_determinant(map(&sum, |v| v / layers.len() as f64)))
}

/// Cosine between the centred kernel of a layer and that of the labels; 1 if equal labels mean equal values.
pub(super) fn alignment(layer: &Tensor, labels: &[u8]) -> Result<f64> {
    let same = |a: &u8| labels.iter().map(|b| f64::from(u8::from(a == b))).collect();
    let (layer, labels) = (centred(&gram(layer)?), centred(&labels.iter().map(same).collect()));
    let product = |a: &Kernel, b: &Kernel| a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| a * b).sum::<f64>();
    let norms = (product(&layer, &layer) * product(&labels, &labels)).sqrt();
    Ok(if norms > 0.0 { product(&layer, &labels) / norms } else { 0.0 })
}

/// Products of all pairs of rows.
fn gram(rows: &Tensor) -> Result<Kernel> {
    let products = apply2(rows, rows, &LinearOp { need_input: false })?.to_vec2::<f32>()?;
    Ok(products.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect())
}

fn add(sum: &mut Kernel, kernel: Kernel) {
    if sum.is_empty() {
        *sum = kernel;
    } else {
        sum.iter_mut().flatten().zip(kernel.iter().flatten()).for_each(|(s, k)| *s += k);
    }
}

fn map(kernel: &Kernel, f: impl Fn(f64) -> f64) -> Kernel {
    kernel.iter().map(|row| row.iter().map(|v| f(*v)).collect()).collect()
}

/// With ones on the diagonal.
fn normalised(kernel: &Kernel) -> Kernel {
    let scale: Vec<f64> = (0..kernel.len()).map(|i| 1.0 / kernel[i][i].sqrt().max(f64::MIN_POSITIVE)).collect();
    let row = |(row, a): (&Vec<f64>, &f64)| row.iter().zip(&scale).map(|(v, b)| v * a * b).collect();
    kernel.iter().zip(&scale).map(row).collect()
}

/// With rows and columns that add up to zero.
fn centred(kernel: &Kernel) -> Kernel {
    let n = kernel.len() as f64;
    let means: Vec<f64> = kernel.iter().map(|row| row.iter().sum::<f64>() / n).collect();
    let all = means.iter().sum::<f64>() / n;
    let row = |(row, a): (&Vec<f64>, &f64)| row.iter().zip(&means).map(|(v, b)| v - a - b + all).collect();
    kernel.iter().zip(&means).map(row).collect()
}

/// By Cholesky's decomposition of the kernel plus a little of the identity.
fn log_determinant(mut kernel: Kernel) -> f64 {
    let mut sum = 0.0;
    for i in 0..kernel.len() {
        let pivot = kernel[i][i] + JITTER - (0..i).map(|k| kernel[i][k].powi(2)).sum::<f64>();
        // Rounding may push a vanishing pivot below zero.
        let root = pivot.max(f64::EPSILON).sqrt();
        kernel[i][i] = root;
        sum += 2.0 * root.ln();
        for j in i + 1..kernel.len() {
            let inner: f64 = (0..i).map(|k| kernel[j][k] * kernel[i][k]).sum();
            kernel[j][i] = (kernel[j][i] - inner) / root;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn determinants_are_those_of_the_kernel() {
        let kernel = vec![vec![2.0, 1.0, 0.5], vec![1.0, 3.0, 0.0], vec![0.5, 0.0, 1.0]];
        let [a, b, c] = [2.0, 3.0, 1.0].map(|v| v + JITTER);
        let expected: f64 = a * b * c - 0.25 * b - c;
        assert!((log_determinant(kernel) - expected.ln()).abs() < 1e-12);
    }

    fn layer(rows: &[[f32; 3]; 4]) -> Tensor {
        Tensor::new(rows, &Device::Cpu).unwrap()
    }

    #[test]
    fn kernels_tell_images_apart() {
        let equal = [layer(&[[1.0, -2.0, 3.0]; 4])];
        let different = [layer(&[[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])];
        for kernel in [sign_patterns, cosine] {
            assert!(kernel(&different).unwrap() > kernel(&equal).unwrap() + 1.0);
        }
    }

    #[test]
    fn alignment_is_one_where_labels_explain_everything() {
        let rows = layer(&[[1.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]);
        assert!((alignment(&rows, &[0, 0, 1, 1]).unwrap() - 1.0).abs() < 1e-12);
        assert!(alignment(&rows, &[0, 1, 0, 1]).unwrap() < 0.1);
        assert_eq!(alignment(&layer(&[[1.0; 3]; 4]), &[0, 0, 1, 1]).unwrap(), 0.0);
    }
}
