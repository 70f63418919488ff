//! A position in the text, and the errors that name it.

use std::ops::Range;

use thiserror::Error;

use crate::GraphError;

/// Text that is not a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotationError {
    /// Not the notation.
    #[error("notation, character {position}: found {found}, expected {expected}")]
    Syntax {
        /// Where, counted from 1.
        position: usize,
        /// The offending text.
        found: String,
        /// What could stand there.
        expected: String,
    },
    /// An option that appears twice.
    #[error("notation, character {position}: {what} is given twice")]
    Twice {
        /// Where, counted from 1.
        position: usize,
        /// Which option.
        what: &'static str,
    },
    /// Well-formed but ill-typed.
    #[error("notation, character {position}: {}{source}", .item.as_ref().map(|i| format!("`{i}`: ")).unwrap_or_default())]
    Graph {
        /// Where, counted from 1.
        position: usize,
        /// The item, if it is one item's fault.
        item: Option<String>,
        /// What is wrong with it.
        source: GraphError,
    },
}

/// Longest piece of the text that an error repeats.
const QUOTED: usize = 40;

/// Reads the text token by token; spaces between tokens do not matter.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut cursor = Self { text, at: 0 };
        cursor.skip_space();
        cursor
    }

    /// Byte offset of the next token.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// Takes `token` if it is next.
    pub(super) fn eat(&mut self, token: char) -> bool {
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len_utf8();
            self.skip_space();
        }
        found
    }

    /// Takes `token` or fails.
    pub(super) fn expect(&mut self, token: char) -> Result<(), NotationError> {
        if self.eat(token) { Ok(()) } else { Err(self.unexpected(self.at, &format!("`{token}`"))) }
    }

    /// Takes letters and digits, perhaps none.
    pub(super) fn word(&mut self) -> &'a str {
        self.take(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    /// Takes letters, perhaps none, and leaves the digits after them.
    pub(super) fn letters(&mut self) -> &'a str {
        self.take(|c| c.is_ascii_alphabetic())
    }

    /// Takes a number.
    pub(super) fn number(&mut self, expected: &str) -> Result<usize, NotationError> {
        let start = self.at;
        self.take(|c| c.is_ascii_digit()).parse().map_err(|_| self.unexpected(start, expected))
    }

    fn take(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        self.skip_space();
        &rest[..end]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
    }

    /// Error at byte `start`: something other than `expected`.
    pub(super) fn unexpected(&self, start: usize, expected: &str) -> NotationError {
        let rest = &self.text[start..];
        let mut end = rest.find(|c: char| c.is_whitespace() || ",()@:".contains(c)).unwrap_or(rest.len());
        if end == 0 {
            end = rest.chars().next().map_or(0, char::len_utf8);
        }
        let found = if rest.is_empty() { "the end".to_owned() } else { format!("`{}`", quote(&rest[..end])) };
        NotationError::Syntax { position: self.position(start), found, expected: expected.to_owned() }
    }

    /// Error at byte `start`: the option `what` for the second time.
    pub(super) fn twice(&self, start: usize, what: &'static str) -> NotationError {
        NotationError::Twice { position: self.position(start), what }
    }

    /// Error of the item in this range of bytes.
    pub(super) fn ill_typed(&self, item: Range<usize>, source: GraphError) -> NotationError {
        let position = self.position(item.start);
        let text = self.text[item].trim_end();
        NotationError::Graph { position, item: (!text.is_empty()).then(|| quote(text)), source }
    }

    fn position(&self, byte: usize) -> usize {
        self.text[..byte].chars().count() + 1
    }
}

/// The text on one line, shortened.
fn quote(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTED).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED).is_some() {
        quoted.push_str("...");
    }
    quoted
}
