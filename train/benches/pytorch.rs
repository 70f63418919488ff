//! Training speed against PyTorch on the CPU, both sides in turns in one run.
//!
//! `STRIAE_PYTORCH=<python with torch> cargo bench -p striae-train --bench pytorch`; `pytorch.sh` installs PyTorch into a
//! folder of its own and runs this. Prints medians of images per second (forward, backward, SGD; batch 64, f32) and the
//! ratio to the better of PyTorch's two memory layouts.

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

mod networks;

/// A step allocates and frees megabytes per layer; the system's allocator returns them to the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 3;

/// The other side: answers each line `network layout steps` with the seconds taken.
struct PyTorch {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl PyTorch {
    fn start(python: &str) -> Result<Self, Box<dyn Error>> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pytorch.py");
        let threads = rayon::current_num_threads().to_string();
        let mut command = Command::new(python);
        command.args([script, &threads]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let input = process.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(process.stdout.take().ok_or("no standard output")?);
        Ok(Self { process, input, output })
    }

    fn time(&mut self, network: &str, layout: &str, steps: usize) -> Result<f64, Box<dyn Error>> {
        writeln!(self.input, "{network} {layout} {steps}")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        Ok(answer.trim().parse()?)
    }
}

impl Drop for PyTorch {
    fn drop(&mut self) {
        // It is idle or gone; either way nothing is lost.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut pytorch = env::var("STRIAE_PYTORCH").ok().map(|python| PyTorch::start(&python)).transpose()?;
    if pytorch.is_none() {
        println!("Striae alone: STRIAE_PYTORCH names no Python with PyTorch (see pytorch.sh)");
    }
    println!("{:12} {:>8} {:>11} {:>13} {:>7}", "network", "striae", "contiguous", "channels-last", "ratio");
    let wanted: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    for (name, graph, steps) in networks::all() {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            let mut speeds: [Vec<f64>; 3] = Default::default();
            for round in 0..=ROUNDS {
                let mut seconds = vec![networks::time(&graph, steps).as_secs_f64()];
                if let Some(pytorch) = &mut pytorch {
                    seconds.push(pytorch.time(name, "contiguous", steps)?);
                    seconds.push(pytorch.time(name, "channels-last", steps)?);
                }
                // The first round warms caches, pools and code.
                if round > 0 {
                    speeds.iter_mut().zip(seconds).for_each(|(s, t)| s.push((steps * networks::BATCH) as f64 / t));
                }
            }
            let [striae, contiguous, last] = speeds.map(median);
            let ratio = striae / contiguous.max(last);
            println!("{name:12} {striae:8.0} {contiguous:11.0} {last:13.0} {ratio:6.2}x");
        }
    }
    Ok(())
}
