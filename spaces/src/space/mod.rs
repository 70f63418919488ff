//! Search spaces: which StriaNets a search may try.
//!
//! A [`StriaSpace`] comes from a TOML file ([`StriaSpaceLiteral`]). Its networks are
//!
//! ```text
//! image    C x H x W
//! stem     dense convolution, norm, quadratic                        1 + 1 levels
//! stage i  (left out with its transition if its depth is 0)
//!   transition   strided conv3 or point, norm, quadratic             1 + 1 levels
//!                or average pooling, then a point convolution        none, or 1 + 1 levels
//!                only where the width changes
//!   depth times  StriaBlock(M, kernel, mask)                         fusable 1 + 1, inner activations 3 + 3 levels
//! head     average pooling, flatten, linear                          1 level
//! ```
//!
//! *Channel Packing-Aware Scaling*: at maps of `h x w` a ciphertext holds `c_n = slots / pad2(h w)` channels, four times
//! as many after each stride of 2. Widths are given in ciphertexts, `C = n c_n`, bottlenecks too, `M = m c_n` with
//! `m <= n`; a file may list widths in channels instead, which may leave ciphertexts part-filled. All convolutions but
//! the stem are ExRot-Free (`c_n` interleaved groups), slot-shifted, or dense, as the stage's `mixing` says.
//!
//! *Focused Constraint*: [`Bounds`] limit the taps of a kernel, the external rotations, the ciphertexts of a stage and the
//! levels; they are computed from a genotype in about a microsecond ([`HeSize`]), before anything is built or trained.
//!
//! ```
//! use rand::SeedableRng;
//! let space = striae_spaces::space::builtin("strianet-mnist")?;
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! let genotype = space.sample(&mut rng);
//! let network = space.build(&genotype).expect("genotypes are well-typed");
//! assert_eq!(network.levels(), space.he_size(&genotype).levels);
//! # Ok::<(), striae_spaces::space::SpaceError>(())
//! ```

mod builtin;
mod check;
mod error;
mod literal;
mod operators;
mod parameter;
mod piece;
mod plan;
mod size;
mod stria;
mod trellis;

pub use builtin::{builtin, builtin_names, builtin_toml};
pub use error::{BoundViolation, ParamError, SpaceError};
pub use literal::{Bounds, HeadLiteral, MixingChoice, StageLiteral, StemLiteral, StriaSpaceLiteral, Transition};
pub use parameter::{Choice, Genotype, Parameter};
pub use piece::{Maps, Piece};
pub use size::HeSize;
pub use stria::StriaSpace;
pub use trellis::{Branch, Column, State, Trellis};
