//! One way to write numbers, for tables, plots and pages alike.

use crate::view::Seconds;

/// Shown for anything that was not measured.
pub const MISSING: &str = "–";

/// A narrow no-break space groups thousands: "12 345".
const THIN_SPACE: char = '\u{202f}';

/// Writes a duration with three significant digits and the unit that suits it: "812 µs", "41.3 ms", "2.50 s", "3 min 20 s".
pub fn seconds(value: Seconds) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    let size = value.abs();
    // Bounds are where rounding to three digits would otherwise give "1000".
    if size == 0.0 {
        "0 s".to_owned()
    } else if size < 0.9995e-6 {
        format!("{} ns", three_digits(value * 1e9))
    } else if size < 0.9995e-3 {
        format!("{} µs", three_digits(value * 1e6))
    } else if size < 0.9995 {
        format!("{} ms", three_digits(value * 1e3))
    } else if size < 119.5 {
        format!("{} s", three_digits(value))
    } else if size < 7199.5 {
        let whole = value.round() as i64;
        format!("{} min {} s", whole / 60, (whole % 60).abs())
    } else {
        let minutes = (value / 60.0).round() as i64;
        format!("{} h {} min", minutes / 60, (minutes % 60).abs())
    }
}

/// [`seconds`] of an optional duration.
pub fn maybe_seconds(value: Option<Seconds>) -> String {
    value.map_or_else(|| MISSING.to_owned(), seconds)
}

/// Writes a size in binary units with three significant digits: "512 B", "2.10 MiB".
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    let mut scaled = value as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 999.5 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(scaled), UNITS[unit])
}

/// Writes a count with its thousands set apart: "1 234 567".
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        // Four-digit numbers read well without a gap.
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            out.push(THIN_SPACE);
        }
        out.push(digit);
    }
    out
}

/// Writes a fraction as a percentage: `percent(0.98765, 2)` is "98.77 %".
pub fn percent(fraction: f64, decimals: usize) -> String {
    if fraction.is_finite() { format!("{:.decimals$} %", fraction * 100.0) } else { MISSING.to_owned() }
}

/// [`percent`] of an optional fraction.
pub fn maybe_percent(fraction: Option<f64>, decimals: usize) -> String {
    fraction.map_or_else(|| MISSING.to_owned(), |f| percent(f, decimals))
}

/// Writes a relative change with its sign: "+3.2 %", "−12.0 %".
pub fn signed_percent(fraction: f64) -> String {
    if !fraction.is_finite() {
        return MISSING.to_owned();
    }
    let rounded = (fraction * 1000.0).round() / 10.0;
    let sign = if rounded < 0.0 { "−" } else { "+" };
    format!("{sign}{:.1} %", rounded.abs())
}

/// Writes a number with `decimals` decimals, or a dash.
pub fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { MISSING.to_owned() }
}

/// [`number`] of an optional value.
pub fn maybe_number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| MISSING.to_owned(), |v| number(v, decimals))
}

/// Cuts a text to `width` characters, the last of them an ellipsis.
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

fn three_digits(value: f64) -> String {
    let size = value.abs();
    if size < 9.995 {
        format!("{value:.2}")
    } else if size < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits_at_every_boundary() {
        let cases = [
            (0.0, "0 s"),
            (9.9996e-7, "1.00 µs"),
            (8.123e-4, "812 µs"),
            (9.9996e-4, "1.00 ms"),
            (0.0413, "41.3 ms"),
            (0.99949, "999 ms"),
            (0.9996, "1.00 s"),
            (2.5, "2.50 s"),
            (200.0, "3 min 20 s"),
            (7260.0, "2 h 1 min"),
        ];
        for (value, text) in cases {
            assert_eq!(seconds(value), text, "{value}");
        }
        assert_eq!(seconds(f64::NAN), MISSING);
        assert_eq!(maybe_seconds(None), MISSING);
    }

    #[test]
    fn sizes_and_counts() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1024), "1.00 KiB");
        assert_eq!(bytes(1023 * 1024), "1.00 MiB");
        assert_eq!(bytes(2_200_000), "2.10 MiB");
        assert_eq!(bytes(u64::MAX), "16384 PiB");
        assert_eq!(count(0), "0");
        assert_eq!(count(1234), "1234");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn percentages_and_cuts() {
        assert_eq!(percent(0.98765, 2), "98.77 %");
        assert_eq!(percent(f64::NAN, 1), MISSING);
        assert_eq!(signed_percent(-0.12), "−12.0 %");
        assert_eq!(signed_percent(-0.00001), "+0.0 %");
        assert_eq!(ellipsis("striae", 6), "striae");
        assert_eq!(ellipsis("striae", 4), "str…");
    }
}
