//! The course of a training, epoch by epoch.

use super::{Side, Table, Value};
use crate::view::CurveView;

/// A row per epoch.
pub fn curve(view: &CurveView) -> Table {
    let headings = ["epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"];
    let mut table = Table::new(headings.map(|heading| (heading, Side::Right)));
    for p in &view.points {
        let numbers = [p.train_loss, p.train_accuracy, p.validation_loss, p.validation_accuracy];
        let cells = std::iter::once(p.epoch.to_string()).chain(numbers.map(|v| format!("{v:.5}")));
        table.push(cells.map(Value::from));
    }
    table
}
