//! `striae keygen`: the client's keys for one bundle.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use striae_he_eval::{FileKind, HeBackend, RnsBackend, Seed};

use super::files::{Target, Written};
use super::network::Network;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::Output;

#[derive(Args, Debug)]
pub(crate) struct KeygenArgs {
    /// Folder that `striae export` wrote; bundle.json and architecture.json are enough
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Secret key to write; it stays with the client
    #[arg(long, value_name = "FILE")]
    out_secret: PathBuf,
    /// Evaluation keys to write, for the server: squaring, and exactly the rotations the network uses
    #[arg(long, value_name = "FILE")]
    out_keys: PathBuf,
    /// Replace existing keys; results under the old secret key can then no longer be decrypted
    #[arg(long)]
    force: bool,
}

/// Runs `striae keygen`.
pub(crate) fn run(args: &KeygenArgs, output: Output) -> Outcome {
    if args.out_secret == args.out_keys {
        let message = format!("{}: --out-secret and --out-keys are the same file", args.out_keys.display());
        return Err(Failure::bad_input(message, "give two names: the server must not get the secret key"));
    }
    let target = |path, kind| Target { path, kind, force: args.force };
    let secret = target(&args.out_secret, FileKind::SecretKey);
    let keys = target(&args.out_keys, FileKind::EvaluationKeys);
    secret.check()?;
    keys.check()?;
    let network = Network::load(&args.bundle, output)?;
    let (client, server) = RnsBackend::keygen(&network.params, &network.program.keys(), Seed::Entropy)?;
    let secret = secret.write(|out| client.write_secret_key(out))?;
    let keys = keys.write(|out| server.write_evaluation_keys(&network.circuit, out))?;
    // A secret key without the keys that belong to it is of no use, and half of the command.
    Written::publish_all([secret, keys])?;
    let (id, rotations) = (client.key_id().to_string(), server.key_plan().rotations.len());
    if output.json {
        let files = json!({ "secret": args.out_secret, "keys": args.out_keys });
        output.value(&json!({ "files": files, "key_id": id, "rotation_keys": rotations }))?;
    } else {
        output.line(format_args!("secret key: {} (keep it; key id {id})", args.out_secret.display()))?;
        output.line(format_args!("evaluation keys: {} (for the server)", args.out_keys.display()))?;
    }
    Ok(Exit::Success)
}
