//! What the networks of a space cost, one by one.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use striae_cost_model::{Agenda, SpaceEstimator, Sweep};

use super::{Distribution, Front};

/// How often a survey reports its progress.
const REPORT_EVERY: Duration = Duration::from_millis(20);

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// Networks that were estimated.
    pub visited: u64,
    /// Those of them that no ring holds.
    pub unplannable: u64,
    /// Those slower than the limit.
    pub too_slow: u64,
    /// Latencies in seconds of all others.
    pub latencies: Distribution,
    /// The best of those.
    pub front: Front,
    /// Whether every network of the agenda was visited.
    pub complete: bool,
}

impl Survey {
    /// Estimates every network of `agenda` on `threads` threads, each with a clone of `estimator`. Only networks within
    /// `limit` seconds are kept. `progress` is told now and then how many networks are done; `stop` ends the survey early,
    /// which keeps what is known.
    pub fn run(
        estimator: &SpaceEstimator<'_>,
        agenda: &Agenda,
        limit: f64,
        threads: usize,
        stop: &AtomicBool,
        mut progress: impl FnMut(u64),
    ) -> Self {
        let starts = agenda.starts(estimator.trellis());
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        let worker = || {
            let mut estimator = estimator.clone();
            let mut sweep = Sweep::new(&mut estimator, agenda);
            let mut found = Self::default();
            while !stop.load(Ordering::Relaxed)
                && let Some(start) = starts.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let before = found.visited;
                sweep.run(start, &mut |network| found.note(network.latency, network.capacity, network.branches, limit));
                done.fetch_add(found.visited - before, Ordering::Relaxed);
            }
            found
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            while !workers.iter().all(ScopedJoinHandle::is_finished) {
                progress(done.load(Ordering::Relaxed));
                thread::sleep(REPORT_EVERY);
            }
            let mut all = Self { complete: !stop.load(Ordering::Relaxed), ..Self::default() };
            for worker in workers {
                #[expect(clippy::expect_used, reason = "a panic of a worker is one of ours")]
                all.merge(&worker.join().expect("workers do not panic"));
            }
            all
        })
    }

    fn note(&mut self, latency: f64, capacity: u64, branches: &[u32], limit: f64) {
        self.visited += 1;
        if latency.is_infinite() {
            self.unplannable += 1;
        } else if latency > limit {
            self.too_slow += 1;
        } else {
            self.latencies.add(latency);
            self.front.add(latency, capacity, branches);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.visited += other.visited;
        self.unplannable += other.unplannable;
        self.too_slow += other.too_slow;
        self.latencies.merge(&other.latencies);
        self.front.merge(&other.front);
    }
}
