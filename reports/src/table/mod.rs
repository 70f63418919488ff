//! The facts of a report for a terminal, and as CSV for whatever reads a pipe.
//!
//! A [`Table`] is a heading and rows of text. Whether it is drawn with [`Table::to_text`] or [`Table::to_csv`] is the caller's choice.

mod compare;
mod csv;
mod network;
mod study;
mod value;

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};

pub use compare::compare;
pub(crate) use network::facts;
pub use network::{layers, parameters, summary};
pub use study::{headline, predictions, trials};
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
        Self { columns: columns.into_iter().map(|(name, side)| (name.to_owned(), side)).collect(), rows: Vec::new() }
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

    /// The table with ruled borders, long cells wrapped to `width` characters; `None` leaves them as they are.
    pub fn to_text(&self, width: Option<u16>) -> String {
        self.draw(width, false)
    }

    /// As [`Table::to_text`], with bold headings and totals for a terminal that shows them.
    pub fn to_styled_text(&self, width: Option<u16>) -> String {
        self.draw(width, true)
    }

    fn draw(&self, width: Option<u16>, styled: bool) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        if styled {
            // The caller has decided; do not look at stdout again.
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let bold = |cell: Cell, strong: bool| if strong && styled { cell.add_attribute(Attribute::Bold) } else { cell };
        table.set_header(self.columns.iter().map(|(name, _)| bold(Cell::new(name), true)));
        for (index, row) in self.rows.iter().enumerate() {
            // Without bold type, a rule sets a total apart.
            if row.strong && index > 0 && index + 1 == self.rows.len() && !styled {
                table.add_row(self.columns.iter().map(|_| Cell::new("─────")));
            }
            table.add_row(row.cells.iter().map(|text| bold(Cell::new(&text.text), row.strong)));
        }
        for (index, (_, side)) in self.columns.iter().enumerate() {
            let Some(column) = table.column_mut(index) else { continue };
            if *side == Side::Right {
                column.set_cell_alignment(CellAlignment::Right);
                // Numbers are never broken over lines.
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
            if *side == Side::Left {
                // Words wrap but do not break; the first column names the row and stays whole.
                column.set_constraint(if index == 0 {
                    ColumnConstraint::ContentWidth
                } else {
                    ColumnConstraint::LowerBoundary(Width::Fixed(self.longest_word(index) + 2))
                });
            }
        }
        table.trim_fmt()
    }

    /// Characters of the longest word of a column, within reason: notations have no spaces.
    fn longest_word(&self, column: usize) -> u16 {
        const MOST: usize = 16;
        let cells = self.rows.iter().map(|row| row.cells[column].text.as_str());
        let words = cells.chain([self.columns[column].0.as_str()]).flat_map(str::split_whitespace);
        words.map(|word| word.chars().count()).max().unwrap_or(0).min(MOST) as u16
    }

    /// The table as CSV (RFC 4180, with plain line feeds): times in seconds, sizes in bytes, percentages as fractions.
    pub fn to_csv(&self) -> String {
        csv::write(self)
    }
}
