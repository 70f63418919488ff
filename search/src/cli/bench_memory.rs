//! Memory of a network that is measured: where its encoded weights go, and what its process held.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use striae_cost_model::{Bytes, Plan};
use striae_search::verify::MemoryLimit;

use super::memory::MemoryArgs;

/// Memory a run takes over what the cost model counts, 1.17 to 1.26 times as measured: the network's own weights, and buffers.
const HEADROOM: f64 = 1.25;
/// Time between two looks at the memory: a thousandth of it is spent looking.
const PERIOD: Duration = Duration::from_millis(20);

/// The limit the user set; otherwise this machine's memory, if the network would not fit it.
pub(crate) fn limit(plan: &Plan, args: &MemoryArgs) -> Option<MemoryLimit> {
    args.limit().or_else(|| {
        let memory = sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::everything());
        let available = sysinfo::System::new_with_specifics(memory).available_memory();
        let budget = Bytes((available as f64 / HEADROOM) as u64);
        let exceeded = available > 0 && plan.estimate.memory.total() > budget;
        exceeded.then(|| MemoryLimit { budget, folder: std::env::temp_dir() })
    })
}

/// Watches the memory that this process holds and that the system cannot take back: all but pages of mapped files.
pub(crate) struct Watch {
    end: Sender<()>,
    thread: JoinHandle<Option<u64>>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let (end, ended) = mpsc::channel();
        let watch = move || {
            let mut most = status("RssAnon:");
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                most = most.max(status("RssAnon:"));
            }
            most
        };
        Self { end, thread: thread::spawn(watch) }
    }

    /// The most that was seen, where the system tells it.
    pub(crate) fn finish(self) -> Option<u64> {
        drop(self.end);
        self.thread.join().ok().flatten()
    }
}

/// Largest memory of this process so far but for pages of mapped files, which the system can take back, where it tells it.
pub(crate) fn peak() -> Option<u64> {
    Some(status("VmHWM:")?.saturating_sub(status("RssFile:")?))
}

/// Bytes that the system tells of this process in a field.
fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}
