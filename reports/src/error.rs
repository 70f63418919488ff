//! What can go wrong while a report is made.

use std::path::PathBuf;

/// Why a report could not be drawn or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The bundled font did not load.
    #[error("the bundled font `{name}` is not a readable TrueType font")]
    Font {
        /// File name of the font.
        name: &'static str,
    },
    /// The drawing backend refused a shape.
    #[error("cannot draw `{figure}`: {reason}")]
    Draw {
        /// The figure being drawn.
        figure: String,
        /// What the backend said.
        reason: String,
    },
    /// The picture could not be compressed.
    #[error("cannot encode a PNG of {width} x {height} pixels")]
    Png {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The encoder's reason.
        source: png::EncodingError,
    },
    /// A template could not be filled.
    #[error("cannot fill the template `{template}`")]
    Template {
        /// File name of the template.
        template: &'static str,
        /// askama's reason.
        source: askama::Error,
    },
    /// A file could not be put in place; whatever was there before is untouched.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file that was to appear.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}
