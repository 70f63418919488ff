//! Tables for a terminal.

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};

use super::{Side, Table};

/// Draws the table, wrapped to `width` characters.
pub(super) fn draw(source: &Table, width: Option<u16>, styled: bool) -> String {
    let columns = kept_columns(source, width);
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
    table.set_header(columns.iter().map(|&c| bold(Cell::new(&source.columns[c].0), true)));
    for (index, row) in source.rows.iter().enumerate() {
        // Without bold type, a rule sets a total apart.
        if row.strong && index > 0 && index + 1 == source.rows.len() && !styled {
            table.add_row(columns.iter().map(|_| Cell::new("─────")));
        }
        table.add_row(columns.iter().map(|&c| bold(Cell::new(&row.cells[c].text), row.strong)));
    }
    for (place, &index) in columns.iter().enumerate() {
        let Some(column) = table.column_mut(place) else { continue };
        if source.columns[index].1 == Side::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
        column.set_constraint(if is_rigid(source, index) {
            ColumnConstraint::ContentWidth
        } else {
            ColumnConstraint::LowerBoundary(Width::Fixed(longest(source, index, true) + 2))
        });
    }
    table.trim_fmt()
}

/// Numbers are never broken over lines, nor is the first column, which names the row. Other words wrap between words.
fn is_rigid(source: &Table, column: usize) -> bool {
    column == 0 || source.columns[column].1 == Side::Right
}

/// The columns that are shown: expendable ones go, least important first, until the rest fits.
fn kept_columns(source: &Table, width: Option<u16>) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..source.columns.len()).collect();
    let needed = |kept: &[usize]| {
        // Two blanks around each cell, one character between cells, a border on each side.
        let cells: usize = kept.iter().map(|&c| usize::from(longest(source, c, !is_rigid(source, c))) + 2).sum();
        cells + kept.len().saturating_sub(1) + 2
    };
    for &candidate in &source.expendable {
        if width.is_none_or(|width| needed(&kept) <= usize::from(width)) {
            break;
        }
        kept.retain(|&c| c != candidate);
    }
    kept
}

/// Characters of a column's longest cell, or of its longest word (within reason: a notation may have no blanks).
fn longest(source: &Table, column: usize, words: bool) -> u16 {
    const LONGEST_WORD: usize = 16;
    let cells =
        source.rows.iter().map(|row| row.cells[column].text.as_str()).chain([source.columns[column].0.as_str()]);
    let length = |text: &str| text.chars().count();
    let most = if words {
        cells.flat_map(str::split_whitespace).map(length).max().unwrap_or(0).min(LONGEST_WORD)
    } else {
        cells.map(length).max().unwrap_or(0)
    };
    most as u16
}
