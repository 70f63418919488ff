//! Progress on stderr: a bar with the time left on a terminal, else a plain line now and then.

use std::fmt::Display;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::{Output, colours, say};

/// Shortest time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often a bar is redrawn while nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// The progress of one long piece of work.
pub(crate) struct Progress {
    kind: Kind,
    total: u64,
}

enum Kind {
    Silent,
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Progress {
    /// Work of `total` units.
    pub(crate) fn new(output: Output, total: u64) -> Self {
        let kind = if output.quiet {
            Kind::Silent
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(total).with_style(style());
            bar.enable_steady_tick(TICK);
            Kind::Bar(bar)
        } else {
            Kind::Lines { last: Instant::now() }
        };
        Self { kind, total }
    }

    /// `done` units are finished; `left` is the time the rest will take, `what` what is being done.
    pub(crate) fn set(&mut self, done: u64, left: Option<Duration>, what: impl Display) {
        let left = left.map(|left| format!(", {} left", rough(left))).unwrap_or_default();
        match &mut self.kind {
            Kind::Silent => {}
            Kind::Bar(bar) => {
                bar.set_position(done);
                bar.set_message(format!("{what}{left}"));
            }
            Kind::Lines { last } => {
                if last.elapsed() >= LINE_EVERY {
                    *last = Instant::now();
                    let share = 100 * done / self.total.max(1);
                    say(&format_args!("{share:3} % {what}{left}"));
                }
            }
        }
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: impl Display) {
        match &self.kind {
            Kind::Silent => {}
            Kind::Bar(bar) => bar.println(text.to_string()),
            Kind::Lines { .. } => say(&text),
        }
    }

    /// The work is over; the bar goes.
    pub(crate) fn finish(&self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn style() -> ProgressStyle {
    let template = if colours() { "{bar:30.cyan/blue} {percent:>3} % {msg}" } else { "{bar:30} {percent:>3} % {msg}" };
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─")
}

/// A duration as a person would say it.
pub(crate) fn rough(duration: Duration) -> String {
    match duration.as_secs() {
        s @ 0..=99 => format!("{s} s"),
        s @ 100..=5_999 => format!("{} min", s.div_ceil(60)),
        s => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rough() {
        let said = |s| rough(Duration::from_secs(s));
        assert_eq!([said(0), said(99), said(100), said(6000)], ["0 s", "99 s", "2 min", "1 h 40 min"]);
    }
}
