//! `striae infer`: the server's part, which sees neither the image nor the result.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;
use striae_he_eval::{CiphertextGroup, Circuit, Content, FileKind, RnsBackend, WeightIdentity, WeightSpace};
use striae_search::verify::MemoryLimit;
use striae_spaces::WeightStore;

use super::files::{Target, read, refusal, refuse_secret};
use super::network::Network;
use crate::cli::bundle::Bundle;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::memory::MemoryArgs;
use crate::cli::output::Output;

#[derive(Args, Debug)]
pub(crate) struct InferArgs {
    /// Folder that `striae export` wrote
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Evaluation keys that `striae keygen` wrote; a secret key is refused
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Encrypted image that `striae encrypt` wrote
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// Encrypted result to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// File of encoded weights: made if it does not exist, read instead of encoding if it does
    #[arg(long, value_name = "FILE", conflicts_with = "memory")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    memory: MemoryArgs,
    /// Replace an existing file of ciphertexts
    #[arg(long)]
    force: bool,
}

/// Runs `striae infer`.
pub(crate) fn run(args: &InferArgs, output: Output) -> Outcome {
    refuse_secret(&args.keys)?;
    refuse_secret(&args.input)?;
    let target = Target { path: &args.out, kind: FileKind::Ciphertexts, force: args.force };
    target.check()?;
    let Bundle { manifest, graph, weights } = Bundle::load(&args.bundle)?;
    let network = Network::lower(manifest, graph, output).map_err(|e| e.in_file(&args.bundle))?;
    let Network { params, circuit, .. } = &network;
    let backend = read(&args.keys, |file, len| RnsBackend::read_evaluation_keys(params, circuit, file, len))?;
    let label = network.label(Content::Image);
    let input = read(&args.input, |file, len| backend.read_ciphertexts(&label, file, len))?.ciphertexts;
    network.check(Content::Image, &input, &args.input)?;
    let space = space(args, &network, &weights)?;
    let circuit = Circuit::compile_in(space, &backend, network.program.clone(), &network.graph, &weights)?;
    check_scale(args, &input, circuit.input_scale())?;
    let start = Instant::now();
    let (ciphertexts, _) = circuit.run(&backend, input)?;
    let latency = start.elapsed();
    let group = CiphertextGroup { label: network.label(Content::Result), ciphertexts };
    target.write(|out| backend.write_ciphertexts(&group, out))?.publish()?;
    if output.json {
        output.value(&json!({ "result": args.out, "latency_ms": latency.as_secs_f64() * 1e3 }))?;
    } else {
        output.line(format_args!("encrypted result: {}", args.out.display()))?;
        output.note(format_args!("evaluated in {:.1} ms", latency.as_secs_f64() * 1e3));
    }
    Ok(Exit::Success)
}

/// Where the encoded weights are or go.
fn space(args: &InferArgs, network: &Network, weights: &WeightStore) -> Result<WeightSpace, Failure> {
    let Some(path) = &args.weights else {
        return Ok(MemoryLimit::space(args.memory.limit().as_ref(), &network.program, &network.params)?);
    };
    let identity = WeightIdentity::of(&network.params, &network.program, &network.graph, weights)?;
    WeightSpace::file(path, identity).map_err(|e| refusal(path, &e))
}

/// A result at another scale would be read as other values.
fn check_scale(args: &InferArgs, input: &[striae_he_eval::RnsCiphertext], expected: f64) -> Result<(), Failure> {
    match input.iter().find(|ct| ct.scale() != expected) {
        None => Ok(()),
        Some(ct) => {
            let path = args.input.display();
            let message = format!("{path}: scale: is {:e}, the network needs {expected:e}", ct.scale());
            Err(Failure::bad_input(message, "encrypt the image again with this bundle"))
        }
    }
}
