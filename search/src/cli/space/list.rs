//! `striae space list`.

use serde_json::json;
use striae_reports::format::count;
use striae_reports::table::{Side, Table};
use striae_spaces::space::{self, StriaSpace};
use striae_spaces::{TypedGraph, zoo};

use super::super::failure::Failure;
use super::super::output::Output;
use super::{network_json, size, space_json};

/// Runs `striae space list`.
pub(super) fn run(output: Output) -> Result<(), Failure> {
    let networks: Vec<(&str, TypedGraph)> =
        zoo::names().into_iter().map(|n| Ok((n, zoo::build(n)?))).collect::<Result<_, Failure>>()?;
    let spaces: Vec<StriaSpace> = space::builtin_names().into_iter().map(space::builtin).collect::<Result<_, _>>()?;
    if output.json {
        let networks: Vec<_> = networks.iter().map(|(name, net)| network_json(name, net)).collect();
        let spaces: Vec<_> = spaces.iter().map(space_json).collect();
        return output.value(&json!({ "networks": networks, "spaces": spaces }));
    }
    let mut table = Table::new([
        ("network", Side::Left),
        ("input", Side::Left),
        ("weights", Side::Right),
        ("MACs", Side::Right),
        ("levels", Side::Right),
        ("source", Side::Left),
    ]);
    for (name, net) in &networks {
        let source = zoo::source(name).unwrap_or_default();
        table.push([
            (*name).into(),
            net.input_shape().to_string().into(),
            count(net.parameters()).into(),
            count(net.macs()).into(),
            net.levels().to_string().into(),
            source.into(),
        ]);
    }
    output.table(&table)?;
    let headings = ["networks", "levels", "taps", "ext. rotations", "ciphertexts"].map(|h| (h, Side::Right));
    let mut table =
        Table::new([("space", Side::Left), ("input", Side::Left), ("slots", Side::Right)].into_iter().chain(headings));
    for space in &spaces {
        let (literal, bounds) = (space.literal(), space.literal().bounds);
        let at_most = |n: usize| format!("<= {n}").into();
        table.push([
            space.name().into(),
            literal.input.map(|n| n.to_string()).join("x").into(),
            literal.slots.to_string().into(),
            size(space).into(),
            at_most(bounds.max_levels),
            at_most(bounds.max_taps),
            at_most(bounds.max_external_rotations),
            at_most(bounds.max_ciphertexts),
        ]);
    }
    output.table(&table)
}
