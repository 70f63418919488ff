//! The model card of an exported bundle, in Markdown.

use askama::Template;

use crate::error::ReportError;
use crate::format::{MISSING, number};
use crate::table;
use crate::view::BundleView;

/// What a bundle is, how good it is, what it costs, and where its limits are.
pub fn model_card(bundle: &BundleView) -> Result<String, ReportError> {
    let network = &bundle.network;
    let versions: Vec<String> = bundle.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let card = ModelCard {
        name: if network.label.is_empty() { "network" } else { &network.label },
        bundle,
        warning: network
            .parameters
            .as_ref()
            .filter(|p| p.insecure)
            .map(|p| format!("About {} bits of security instead of 128.", number(p.security_bits, 0))),
        // The notation has a block of its own.
        facts: table::facts(network)
            .into_iter()
            .filter(|(name, _)| !matches!(*name, "architecture" | "network"))
            .collect(),
        versions: if versions.is_empty() { MISSING.to_owned() } else { versions.join(", ") },
    };
    card.render().map_err(|source| ReportError::Template { template: "model_card.md", source })
}

#[derive(Template)]
#[template(path = "model_card.md", escape = "none")]
struct ModelCard<'a> {
    name: &'a str,
    bundle: &'a BundleView,
    warning: Option<String>,
    facts: Vec<(&'static str, String)>,
    versions: String,
}

/// Text that cannot break out of a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { MISSING } else { text }
}
