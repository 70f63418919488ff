//! The facts of a report for a terminal, and as CSV for whatever reads a pipe.
//!
//! A [`Table`] is a heading and rows of text. Whether it is drawn with [`Table::to_text`] or [`Table::to_csv`] is the caller's choice.

mod compare;
mod csv;
mod curve;
mod draw;
mod hybrid;
mod network;
mod study;
mod value;

pub use compare::compare;
pub use curve::curve;
pub(crate) use network::facts;
pub use network::{layers, parameters, summary};
pub use study::{headline, precision, predictions, trials};
pub use value::Value;

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of text under headings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(String, Side)>,
    rows: Vec<Row>,
    /// Columns a narrow terminal can do without, the least important first.
    expendable: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    cells: Vec<Value>,
    /// A total or a chosen row.
    strong: bool,
}

impl Table {
    /// An empty table with these headings.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Side)>) -> Self {
        Self {
            columns: columns.into_iter().map(|(name, side)| (name.to_owned(), side)).collect(),
            rows: Vec::new(),
            expendable: Vec::new(),
        }
    }

    /// Names columns that a narrow terminal can do without, the least important first. CSV always has them.
    #[must_use]
    pub fn expendable(mut self, headings: &[&str]) -> Self {
        let place = |heading: &&str| self.columns.iter().position(|(name, _)| name == heading);
        self.expendable = headings.iter().filter_map(place).collect();
        self
    }

    /// Adds a row; missing cells are empty, cells beyond the last column are dropped.
    pub fn push(&mut self, cells: impl IntoIterator<Item = Value>) {
        self.add(cells, false);
    }

    /// Adds a row that stands out, such as a total.
    pub fn push_strong(&mut self, cells: impl IntoIterator<Item = Value>) {
        self.add(cells, true);
    }

    fn add(&mut self, cells: impl IntoIterator<Item = Value>, strong: bool) {
        let mut cells: Vec<Value> = cells.into_iter().take(self.columns.len()).collect();
        cells.resize(self.columns.len(), Value::default());
        self.rows.push(Row { cells, strong });
    }

    /// Headings.
    pub fn headings(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Rows, top to bottom.
    pub fn rows(&self) -> impl Iterator<Item = &[Value]> {
        self.rows.iter().map(|row| row.cells.as_slice())
    }

    /// For each column, whether it holds numbers.
    pub(crate) fn is_numeric(&self) -> impl Iterator<Item = bool> {
        self.columns.iter().map(|(_, side)| *side == Side::Right)
    }

    /// For each row, whether it stands out.
    pub(crate) fn strong(&self) -> impl Iterator<Item = bool> {
        self.rows.iter().map(|row| row.strong)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table with ruled borders for a terminal `width` characters wide: long cells wrap, and columns it can do without are left out if
    /// that is not enough. `None` shows everything as it is.
    pub fn to_text(&self, width: Option<u16>) -> String {
        draw::draw(self, width, false)
    }

    /// As [`Table::to_text`], with bold headings and totals for a terminal that shows them.
    pub fn to_styled_text(&self, width: Option<u16>) -> String {
        draw::draw(self, width, true)
    }

    /// The table as CSV (RFC 4180, with plain line feeds): times in seconds, sizes in bytes, percentages as fractions.
    pub fn to_csv(&self) -> String {
        csv::write(self)
    }
}
