//! `striae decrypt`: the result, for the client's eyes.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use striae_he_eval::{Content, HeClient, HeError, RnsClient, unpack};

use super::files::read;
use super::network::Network;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::Output;

/// What the user has to know before sharing anything; see the module documentation of `roles`.
const SHARING: &str = "\
Do not share what this prints with the server, or with anyone who may have seen the ciphertexts: the last digits of
decrypted logits depend on the secret key, and enough of them give it away (CKKS is not IND-CPA^D secure). The class
alone tells far less. To publish logits, encrypt those images under a key of their own, count them as public, and
delete the key afterwards.";

#[derive(Args, Debug)]
#[command(after_help = SHARING)]
pub(crate) struct DecryptArgs {
    /// Folder that `striae export` wrote; bundle.json and architecture.json are enough
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Secret key that `striae keygen` wrote
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Encrypted result that `striae infer` wrote
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
}

/// Runs `striae decrypt`.
pub(crate) fn run(args: &DecryptArgs, output: Output) -> Outcome {
    let network = Network::load(&args.bundle, output)?;
    let client = read(&args.key, |file, len| RnsClient::read_secret_key(&network.params, file, len))?;
    let label = network.label(Content::Result);
    let result = read(&args.input, |file, len| client.read_ciphertexts(&label, file, len))?.ciphertexts;
    network.check(Content::Result, &result, &args.input)?;
    let slots = result.iter().map(|ct| client.decrypt(ct)).collect::<Result<Vec<_>, HeError>>()?;
    let logits = unpack(&network.program, &slots);
    let best = logits.iter().enumerate().filter(|(_, v)| v.is_finite()).max_by(|a, b| a.1.total_cmp(b.1));
    let Some((class, _)) = best else {
        let message = format!("{}: logits: none is a number", args.input.display());
        return Err(Failure::bad_input(message, "the result is not that of an image like those of training"));
    };
    if output.json {
        output.value(&json!({ "class": class, "logits": logits }))?;
    } else {
        output.line(format_args!("class: {class}"))?;
        let list: Vec<String> = logits.iter().map(|v| format!("{v:.4}")).collect();
        output.line(format_args!("logits: {}", list.join(" ")))?;
    }
    Ok(Exit::Success)
}
