//! `striae encrypt`: one image for the server.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde_json::json;
use striae_he_eval::{Content, FileKind, HeError, RnsClient, pack};
use striae_train::{DatasetName, SeedTree, load};

use super::files::{Target, read};
use super::network::Network;
use crate::cli::arch::read_text;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::Output;

/// Share of the training images that is held out; it does not touch the test images.
const VALIDATION: f64 = 0.1;

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("source").required(true).args(["image", "dataset"]))]
pub(crate) struct EncryptArgs {
    /// Folder that `striae export` wrote; bundle.json and architecture.json are enough
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Secret key that `striae keygen` wrote
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Normalised image: a JSON list of numbers (.json), or little-endian 32-bit floats
    ///
    /// Values stand channel by channel and row by row. A pixel p of 0 to 255 becomes (p / 255 - mean) / std with the `normalisation` of bundle.json, per channel.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Take a test image of the bundle's data set, normalised as in training
    #[arg(long, value_name = "NAME", requires = "index")]
    dataset: Option<String>,
    /// Number of the test image, from 0
    #[arg(long, value_name = "N", requires = "dataset")]
    index: Option<usize>,
    /// Folder of the data set's files
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Encrypted image to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace an existing file of ciphertexts
    #[arg(long)]
    force: bool,
}

/// Runs `striae encrypt`.
pub(crate) fn run(args: &EncryptArgs, output: Output) -> Outcome {
    let target = Target { path: &args.out, kind: FileKind::Ciphertexts, force: args.force };
    target.check()?;
    let network = Network::load(&args.bundle, output)?;
    let client = read(&args.key, |file, len| RnsClient::read_secret_key(&network.params, file, len))?;
    let image = image(args, &network)?;
    let (level, scale) = (network.program.depth(), network.input_scale());
    let slots = pack(&network.program, &image)?;
    let fresh = slots.iter().map(|s| client.encrypt_fresh(s, level, scale)).collect::<Result<Vec<_>, HeError>>()?;
    let label = network.label(Content::Image);
    target.write(|out| client.write_fresh(&label, &fresh, out))?.publish()?;
    if output.json {
        output.value(&json!({ "image": args.out, "ciphertexts": fresh.len() }))?;
    } else {
        output.line(format_args!("encrypted image: {}", args.out.display()))?;
    }
    Ok(Exit::Success)
}

/// The normalised image.
fn image(args: &EncryptArgs, network: &Network) -> Result<Vec<f32>, Failure> {
    match (&args.image, &args.dataset, args.index) {
        (Some(path), _, _) => of_file(path, network),
        (None, Some(name), Some(index)) => of_dataset(args, name, index, network),
        _ => unreachable!("clap asks for --image, or for --dataset and --index"),
    }
}

fn of_dataset(args: &EncryptArgs, name: &str, index: usize, network: &Network) -> Result<Vec<f32>, Failure> {
    let name: DatasetName = name.parse()?;
    let trained_on = network.manifest.dataset;
    if name != trained_on {
        let message = format!("--dataset: is {name}, the bundle's network was trained on {trained_on}");
        return Err(Failure::bad_input(message, format!("give `--dataset {trained_on}`, or --image FILE")));
    }
    let seed = SeedTree::new(network.manifest.data_seed);
    let splits = load(name, args.data_dir.as_deref(), VALIDATION, &seed)?;
    let test = splits.normalised(network.manifest.normalisation.scope).test;
    if index >= test.len() {
        let message = format!("--index: is {index}, {name} has {} test images", test.len());
        return Err(Failure::bad_input(message, "the first image has number 0"));
    }
    Ok(test.image(index))
}

fn of_file(path: &Path, network: &Network) -> Result<Vec<f32>, Failure> {
    let shape = network.graph.input_shape();
    let bad = |what: String| {
        let hint = format!("give {} normalised values, channel by channel: the input is {shape}", shape.len());
        Failure::bad_input(format!("{}: {what}", path.display()), hint)
    };
    let values: Vec<f32> = if path.extension().is_some_and(|e| e == "json") {
        serde_json::from_str(&read_text(path)?).map_err(|e| bad(e.to_string()))?
    } else {
        let meta = std::fs::metadata(path).map_err(|e| Failure::unreadable(path, &e))?;
        let expected = 4 * shape.len() as u64;
        if meta.is_file() && meta.len() != expected {
            return Err(bad(format!("image: has {} bytes, expected {expected}", meta.len())));
        }
        let bytes = std::fs::read(path).map_err(|e| Failure::unreadable(path, &e))?;
        bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
    };
    if values.len() != shape.len() {
        return Err(bad(format!("image: has {} values, expected {}", values.len(), shape.len())));
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(bad(format!("image: value {i} is {}", values[i]))),
        None => Ok(values),
    }
}
