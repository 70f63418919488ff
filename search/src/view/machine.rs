//! The machine that this runs on.

use striae_he_eval::Simd;
use striae_reports::view::MachineView;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// Processor, memory and system; `threads` are those of an encrypted run.
pub fn machine(threads: usize) -> MachineView {
    let what = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()).with_memory(MemoryRefreshKind::everything());
    let system = System::new_with_specifics(what);
    let cpu = system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()).filter(|brand| !brand.is_empty());
    MachineView {
        cpu: cpu.unwrap_or_else(|| "unknown processor".to_owned()),
        features: Simd::detect().name().to_owned(),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u32,
        threads: threads as u32,
        memory: system.total_memory(),
        os: System::long_os_version().unwrap_or_else(|| std::env::consts::OS.to_owned()),
    }
}

/// Names and versions of the software, Striae first.
pub fn versions() -> Vec<(String, String)> {
    vec![("striae".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]
}
