//! Wrong arguments, in the form of every other error: one line, and a hint.
#![expect(clippy::wildcard_enum_match_arm, reason = "clap's enums are non-exhaustive")]

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::exit::Exit;
use super::failure::{Failure, Outcome};

/// What clap found: help and version go to stdout, everything else is bad input.
pub(crate) fn report(error: &clap::Error) -> Outcome {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe is no reason to complain.
            let _ = error.print();
            Ok(Exit::Success)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Ok(Exit::BadInput)
        }
        _ => Err(failure(error)),
    }
}

fn failure(error: &clap::Error) -> Failure {
    let text = error.to_string();
    // clap writes `error: ...`, perhaps with a list below it, then tips and the usage, parted by empty lines.
    let first = text.split("\n\n").next().unwrap_or(&text);
    let message = first.strip_prefix("error: ").unwrap_or(first);
    let hint = suggestion(error)
        .unwrap_or_else(|| "`striae --help` lists the commands, `striae COMMAND --help` their options".to_owned());
    Failure::bad_input(message, hint)
}

fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let names: Vec<String> = kinds
        .into_iter()
        .filter_map(|kind| error.get(kind))
        .flat_map(|value| match value {
            ContextValue::String(name) => vec![name.clone()],
            ContextValue::Strings(names) => names.clone(),
            _ => Vec::new(),
        })
        .collect();
    (!names.is_empty()).then(|| format!("did you mean `{}`?", names.join("` or `")))
}
