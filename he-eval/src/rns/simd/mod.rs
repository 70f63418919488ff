//! The inner loops, each as a portable twin and as an AVX-512 IFMA kernel that gives the same words; transforms also with
//! AVX2, where they gain most.
//!
//! Which twin runs is decided once per context by [`Simd::detect`]; setting `STRIAE_SIMD` to `portable` or `avx2` forces
//! that one. All slices hold whole vectors (a multiple of [`LANES`] words), residues are reduced unless a function says
//! otherwise, and sums of products are accumulated without reducing in between.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod dot;
#[cfg(target_arch = "x86_64")]
mod ifma;
#[cfg(target_arch = "x86_64")]
mod ifma_dot;
#[cfg(target_arch = "x86_64")]
mod ifma_fold;
#[cfg(target_arch = "x86_64")]
mod ifma_key;
#[cfg(target_arch = "x86_64")]
mod ifma_ntt;
#[cfg(target_arch = "x86_64")]
mod ifma_widen;
mod key;
mod packed;
mod portable;
#[cfg(target_arch = "x86_64")]
mod sum;
#[cfg(target_arch = "x86_64")]
mod vector;

pub(crate) use dot::{OPERAND_TILE, Tiling, dot};
pub(crate) use key::{KeyLayout, KeyLimb, key_dot};

use super::modulus::{Modulus, Shoup};
use super::ntt::NttTables;

/// Words of a vector.
pub(crate) const LANES: usize = 8;
/// Words of each polynomial of a key that stand together.
pub(crate) const KEY_BLOCK: usize = 4 * LANES;
/// Words left free between polynomials that are read side by side: at a distance of a power of two they would all fall
/// into the same few sets of the caches.
pub(crate) const PADDING: usize = 9 * LANES;
/// The instruction set the kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simd(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Portable,
    /// Constructed only by [`Simd::available`], after the CPU was asked: the safety of every dispatch rests on this.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// As above.
    #[cfg(target_arch = "x86_64")]
    Ifma,
}

impl Simd {
    /// The best this CPU can do, or what `STRIAE_SIMD` names if the CPU can do it.
    pub fn detect() -> Self {
        let named = std::env::var_os("STRIAE_SIMD");
        let named = named.and_then(|name| Self::available().into_iter().find(|simd| *name == *simd.name()));
        named.unwrap_or_else(Self::fastest)
    }

    /// The best this CPU can do.
    pub fn fastest() -> Self {
        Self::available()[0]
    }

    /// All that this CPU can do, the fastest first. No CPU has IFMA without the other features of its kernels.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512ifma")
                && std::arch::is_x86_feature_detected!("avx512dq")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512vbmi")
            {
                found.push(Self(Level::Ifma));
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                found.push(Self(Level::Avx2));
            }
        }
        found.push(Self::portable());
        found
    }

    /// The portable twin.
    pub const fn portable() -> Self {
        Self(Level::Portable)
    }

    /// Name for provenance headers.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Ifma => "avx512ifma",
        }
    }
}

/// What a basis conversion sums.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// Limbs, with words below 2^61.
    pub(crate) ys: &'a [&'a [u64]],
    /// Whether all words are below 2^50.
    pub(crate) narrow: bool,
}

/// What the AVX-512 twin of a kernel serves: `any` modulus alike, or each by its `width`, as a `transform` does.
#[cfg(target_arch = "x86_64")]
macro_rules! ifma_twin {
    (any, $name:ident($($arg:ident),*)) => { ifma::$name($($arg),*) };
    ($kind:ident($m:expr), $name:ident($($arg:ident),*)) => {
        if $m.is_narrow() { ifma::$name::<false>($($arg),*) } else { ifma::$name::<true>($($arg),*) }
    };
}

/// With AVX2 only transforms of narrow primes have twins.
#[cfg(target_arch = "x86_64")]
macro_rules! avx2_twin {
    (transform($m:expr), $name:ident($($arg:ident),*)) => {
        if $m.is_narrow() {
            #[expect(unsafe_code, reason = "the CPU features were detected when `simd` was made")]
            // SAFETY: `Level::Avx2` exists only after `Simd::available` found the features these functions need.
            unsafe {
                avx2::$name($($arg),*);
            }
        } else {
            portable::$name($($arg),*);
        }
    };
    ($kind:ident$(($m:expr))?, $name:ident($($arg:ident),*)) => { portable::$name($($arg),*) };
}

macro_rules! kernels {
    ($($(#[$doc:meta])* $kind:ident$(($m:expr))? fn $name:ident($($arg:ident: $ty:ty),* $(,)?);)*) => {
        $($(#[$doc])*
        pub(crate) fn $name(simd: Simd, $($arg: $ty),*) {
            match simd.0 {
                Level::Portable => portable::$name($($arg),*),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => avx2_twin!($kind$(($m))?, $name($($arg),*)),
                #[cfg(target_arch = "x86_64")]
                #[expect(unsafe_code, reason = "the CPU features were detected when `simd` was made")]
                Level::Ifma => {
                    // SAFETY: `Level::Ifma` exists only after `Simd::available` found the features these functions need.
                    unsafe { ifma_twin!($kind$(($m))?, $name($($arg),*)) }
                }
            }
        })*
    };
}

/// The factors of a transform, by node, in the form its vector kernels read beside the plain one.
pub(crate) fn lane_rows(simd: Simd, m: &Modulus, factors: &[Shoup]) -> Vec<[u64; 8]> {
    match simd.0 {
        Level::Portable => Vec::new(),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2::lane_rows(m, factors),
        #[cfg(target_arch = "x86_64")]
        Level::Ifma => ifma_ntt::lane_rows(m, factors),
    }
}

kernels! {
    /// Forward negacyclic transform in place; output in bit-reversed order.
    transform(tables.modulus) fn ntt_forward(tables: &NttTables, x: &mut [u64]);
    /// Inverse transform in place, without the factor 1/N.
    transform(tables.modulus) fn ntt_inverse(tables: &NttTables, x: &mut [u64]);
    /// x_i <- x_i - root x_(n-i) for i > 0; the first level of a conjugate-invariant transform (see `ntt`).
    width(m) fn fold(m: &Modulus, root: Shoup, x: &mut [u64]);
    /// x_i <- x_i + root x_(n-i) for i > 0, and x_0 <- 2 x_0: the inverse of [`fold`], times two.
    width(m) fn unfold(m: &Modulus, root: Shoup, x: &mut [u64]);
    /// x <- x factor + add.
    width(m) fn scale_add(m: &Modulus, x: &mut [u64], factor: Shoup, add: u64);
    /// out <- floor(sum_i y_i inverse_i), in floating point: how often the basis product fits into sum_i y_i hat_i.
    any fn overflow(ys: &[&[u64]], inverses: &[f64], out: &mut [u64]);
    /// out <- sum_i y_i coefficient_i - subtract; the y_i are not reduced modulo m.
    width(m) fn convert(m: &Modulus, sources: Sources<'_>, coefficients: &[u64], subtract: u64, out: &mut [u64]);
    /// out <- (u - v) factor.
    width(m) fn sub_scale(m: &Modulus, u: &[u64], v: &[u64], factor: Shoup, out: &mut [u64]);
    /// x <- x + y.
    any fn add_assign(m: &Modulus, x: &mut [u64], y: &[u64]);
    /// x <- x + y factor.
    width(m) fn add_scaled(m: &Modulus, x: &mut [u64], y: &[u64], factor: Shoup);
    /// (a0, a1, out2) <- (a0^2, 2 a0 a1, a1^2).
    width(m) fn square(m: &Modulus, a0: &mut [u64], a1: &mut [u64], out2: &mut [u64]);
    /// out <- c mod p for signed c.
    width(m) fn lift(m: &Modulus, coefficients: &[i64], out: &mut [u64]);
    /// out <- automorphism of x (see `automorphism`).
    any fn permute(map: &[u32], lanes: &[[u64; LANES]; LANES], x: &[u64], out: &mut [u64]);
    /// out <- out + automorphism of x.
    any fn permute_add(m: &Modulus, map: &[u32], lanes: &[[u64; LANES]; LANES], x: &[u64], out: &mut [u64]);
}

#[cfg(test)]
mod tests;
