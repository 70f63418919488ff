//! Cells: a text for people and, where that rounds or adds a unit, the plain number for machines.

use crate::format;

/// The contents of one cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Value {
    /// What a person reads: "41.3 ms".
    pub text: String,
    /// What goes into CSV instead: "0.0413". Times are in seconds, sizes in bytes, percentages as fractions; empty if not measured.
    pub raw: Option<String>,
}

impl Value {
    /// A cell whose number people read in another form.
    pub fn new(text: impl Into<String>, raw: &impl ToString) -> Self {
        Self { text: text.into(), raw: Some(raw.to_string()) }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self { text, raw: None }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

fn raw(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

fn missing() -> Value {
    Value { text: format::MISSING.to_owned(), raw: Some(String::new()) }
}

pub(super) fn seconds(value: f64) -> Value {
    Value { text: format::seconds(value), raw: Some(raw(value)) }
}

pub(super) fn maybe_seconds(value: Option<f64>) -> Value {
    value.map_or_else(missing, seconds)
}

pub(super) fn bytes(value: u64) -> Value {
    Value { text: format::bytes(value), raw: Some(value.to_string()) }
}

pub(super) fn maybe_bytes(value: Option<u64>) -> Value {
    value.map_or_else(missing, bytes)
}

pub(super) fn count(value: u64) -> Value {
    Value { text: format::count(value), raw: Some(value.to_string()) }
}

pub(super) fn percent(fraction: f64, decimals: usize) -> Value {
    Value { text: format::percent(fraction, decimals), raw: Some(raw(fraction)) }
}

pub(super) fn maybe_percent(fraction: Option<f64>, decimals: usize) -> Value {
    fraction.map_or_else(missing, |f| percent(f, decimals))
}

pub(super) fn signed_percent(fraction: f64) -> Value {
    Value { text: format::signed_percent(fraction), raw: Some(raw(fraction)) }
}

pub(super) fn number(value: f64, decimals: usize) -> Value {
    Value { text: format::number(value, decimals), raw: Some(raw(value)) }
}

pub(super) fn maybe_number(value: Option<f64>, decimals: usize) -> Value {
    value.map_or_else(missing, |v| number(v, decimals))
}

/// "2^14", and 14 for machines.
pub(super) fn power_of_two(exponent: Option<u32>) -> Value {
    exponent.map_or_else(missing, |e| Value { text: format!("2^{e}"), raw: Some(e.to_string()) })
}
