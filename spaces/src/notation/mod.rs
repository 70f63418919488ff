//! The one-line text notation of networks; [`Display`](std::fmt::Display) and [`FromStr`](std::str::FromStr) of
//! [`TypedGraph`](crate::TypedGraph) are inverses.
//!
//! ```text
//! network := shape ":" item*            1x28x28: conv(64,k5,s2) bn quad flatten linear(10,bias)
//! shape   := C "x" H "x" W | F
//! item    := op [ "@n" NODE ]           reads the item before it, or the named node (the image is n0)
//! op      := conv(C, kK, ...)           options in any order; defaults are not written:
//!                                         full|cross|row|column|alternating   kernel mask      (full)
//!                                         sS                                  stride           (s1)
//!                                         same|valid                          padding          (same)
//!                                         gG                                  groups           (g1)
//!                                         contiguous|interleaved|shiftedB     grouping         (contiguous)
//!                                         bias                                with a bias      (without)
//!          | linear(F) | linear(F,bias)
//!          | pool(K) | pool(K,sS)       average pooling; the stride defaults to the window
//!          | bn | quad | relu | flatten
//!          | add(nI)                    the item before plus node I
//!          | add(nI,nJ)
//! ```
//!
//! Items are numbered from n1. Spaces may be added anywhere between tokens.
//!
//! ```
//! use striae_spaces::TypedGraph;
//! let net: TypedGraph = "1x8x8: conv(4, k3, s2) quad conv(4,k1) add(n2) flatten linear(10)".parse()?;
//! assert_eq!(net.to_string(), "1x8x8: conv(4,k3,s2) quad conv(4,k1) add(n2) flatten linear(10)");
//! # Ok::<(), striae_spaces::NotationError>(())
//! ```

mod cursor;
mod display;
mod parse;

pub use cursor::NotationError;
