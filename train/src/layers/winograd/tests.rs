//! Every loop over tiles without vectors against the vectors of this machine.

use rand_chacha::ChaCha8Rng;

use super::{
    BLOCK,
    product::{Correlate, Matrices, Product},
    tiles::{FromKernels, FromTiles, Lot, Spread, ToKernels, ToTiles},
};
use crate::{
    SeedTree,
    layers::tests::{check_portable, dispatch, random},
};

/// Five tiles of 20 channels on a canvas 10 wide, and kernels for 36 output channels.
struct Setting {
    lot: Lot<'static>,
    from: Matrices,
    kernel: Matrices,
    rng: ChaCha8Rng,
}

fn setting() -> Setting {
    let lot = Lot { origins: &[0, 4, 40, 44, 60], width: 10, block: 120 * BLOCK };
    Setting { lot, from: Matrices::new(5, 20), kernel: Matrices::new(20, 36).spread(), rng: SeedTree::new(3).rng() }
}

#[test]
fn portable_transforms_agree_with_vectors() {
    let Setting { lot, from: matrices, kernel, mut rng, .. } = setting();
    let canvas = random(&mut rng, 2 * lot.block);
    let parts = random(&mut rng, matrices.len());
    check_portable(matrices.len(), |parts, portable| {
        dispatch(ToTiles { lot, canvas: &canvas, parts, matrices }, portable);
    });
    check_portable(matrices.len(), |parts, portable| {
        dispatch(Spread { lot, canvas: &canvas, parts, matrices }, portable);
    });
    check_portable(canvas.len(), |canvas, portable| {
        dispatch(FromTiles { lot, parts: &parts, matrices, canvas }, portable);
    });
    let taps = random(&mut rng, 9 * kernel.cols);
    check_portable(4 * taps.len(), |parts, portable| {
        dispatch(ToKernels { taps: &taps, parts, cols: kernel.cols }, portable);
    });
    let sums = [random(&mut rng, kernel.len()), random(&mut rng, kernel.len())];
    let sums = sums.each_ref().map(Vec::as_slice);
    check_portable(taps.len(), |taps, portable| {
        dispatch(FromKernels { sums: &sums, taps, matrices: kernel, row: 7 }, portable);
    });
}

#[test]
fn portable_products_agree_with_vectors() {
    for outputs in [12, 36, 64] {
        let Setting { from, mut rng, .. } = setting();
        let (to, kernel) = (Matrices::new(5, outputs), Matrices::new(20, outputs).spread());
        let (tiles, kernels) = (random(&mut rng, from.len()), random(&mut rng, kernel.len()));
        let grads = random(&mut rng, to.len());
        check_portable(to.len(), |out, portable| {
            let product = Product { tiles: &tiles, kernels: &kernels, out, from, kernel, to, depth: 20, count: 5 };
            dispatch(product, portable);
        });
        check_portable(kernel.len(), |sums, portable| {
            let correlate = Correlate { tiles: &tiles, grads: &grads, sums, from, to, kernel, count: 5 };
            dispatch(correlate, portable);
        });
    }
}
