//! `--memory`: what encrypted evaluation may hold.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use striae_cost_model::Bytes;
use striae_search::verify::MemoryLimit;

/// A limit on memory.
#[derive(Args, Clone, Debug)]
pub(crate) struct MemoryArgs {
    /// Memory for keys, ciphertexts and encoded weights, such as 8GiB; weights beyond it are read from a temporary file.
    /// Buffers take up to 0.5 GiB more
    #[arg(long, value_name = "SIZE")]
    memory: Option<Bytes>,
    /// Folder of that file [default: the system's temporary folder]
    #[arg(long, value_name = "DIR", requires = "memory")]
    weights_dir: Option<PathBuf>,
}

impl MemoryArgs {
    /// The limit, if there is one.
    pub(crate) fn limit(&self) -> Option<MemoryLimit> {
        let folder = || self.weights_dir.clone().unwrap_or_else(std::env::temp_dir);
        self.memory.map(|budget| MemoryLimit { budget, folder: folder() })
    }

    /// The same limit for another process.
    pub(crate) fn pass_on(&self, child: &mut Command) {
        if let Some(MemoryLimit { budget, folder }) = self.limit() {
            child.arg("--memory").arg(budget.0.to_string()).arg("--weights-dir").arg(folder);
        }
    }
}
