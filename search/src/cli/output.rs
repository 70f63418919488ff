//! What commands print: data on stdout, everything else on stderr.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use serde::Serialize;
use striae_reports::table::Table;

use super::failure::Failure;

/// Where and how a command prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Data as JSON instead of text.
    pub(crate) json: bool,
    /// No progress and no notes.
    pub(crate) quiet: bool,
}

impl Output {
    /// A line of data.
    #[expect(clippy::unused_self, reason = "all that a command prints goes through its output")]
    pub(crate) fn line(self, text: impl Display) -> Result<(), Failure> {
        write_line(&mut std::io::stdout().lock(), &text)
    }

    /// Data as indented JSON.
    pub(crate) fn value(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(Failure::unexpected)?;
        self.line(text)
    }

    /// A table: drawn to the terminal's width, or whole where stdout is a file or a pipe.
    pub(crate) fn table(self, table: &Table) -> Result<(), Failure> {
        let terminal = console::Term::stdout();
        let width = if terminal.is_term() { terminal.size_checked().map(|(_, columns)| columns) } else { None };
        let styled = std::io::stdout().is_terminal() && colours();
        self.line(if styled { table.to_styled_text(width) } else { table.to_text(width) })
    }

    /// A remark beside the data.
    pub(crate) fn note(self, text: impl Display) {
        if !self.quiet {
            say(&text);
        }
    }

    /// A remark that `--quiet` does not silence.
    #[expect(clippy::unused_self, reason = "all that a command prints goes through its output")]
    pub(crate) fn warn(self, text: impl Display) {
        say(&format_args!("warning: {text}"));
    }
}

/// Whether text may be coloured or bold (no-color.org).
pub(crate) fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A line on stderr. If that is closed, nobody listens.
pub(crate) fn say(text: &impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn write_line(out: &mut impl Write, text: &impl Display) -> Result<(), Failure> {
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // The reader of the pipe has seen enough, as in `striae space list | head -1`.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Failure::unexpected(format!("standard output: {e}"))),
        Ok(()) => Ok(()),
    }
}
