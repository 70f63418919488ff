//! Tables, plots and HTML pages from plain values.
//!
//! Everything this crate shows comes in through [`view`]: structs of numbers and strings, filled by the caller. It opens no store,
//! runs no network and never prints: every function returns a string or bytes, and [`export`] puts files in place by rename.
//!
//! | module | gives |
//! |---|---|
//! | [`view`] | the plain values that go in |
//! | [`mod@format`] | one way to write seconds, bytes, counts and percentages |
//! | [`plot`] | Pareto front, predicted against measured, cost per layer; each as SVG and PNG |
//! | [`table`] | the same facts for a terminal, and as CSV |
//! | [`html`] | one self-contained page per study |
//! | [`export`] | atomic files, model card |

pub mod error;
pub mod export;
pub mod format;
pub mod html;
pub mod plot;
pub mod table;
pub mod view;

pub use error::ReportError;
