//! `striae cost` under a hybrid protocol.

use striae_cost_model::Calibration;
use striae_cost_model::hybrid::{FRACTION_BITS, Fusion, NetworkLink, Protocol, VALUE_BITS};
use striae_reports::format::{bytes, count, number, percent, seconds};
use striae_search::counterpart::Counterpart;
use striae_search::hybrid::{Comparison, Costed};

use super::super::arch::Arch;
use super::super::calibration::Chosen;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::output::Output;
use super::against::Other;
use super::hybrid_json::Document;
use super::hybrid_table::{comparison, layers};

/// What is asked for.
pub(super) struct Question {
    pub(super) arch: Arch,
    pub(super) others: Vec<Other>,
    pub(super) protocol: Protocol,
    pub(super) fusion: Fusion,
    /// Networks to give times for.
    pub(super) links: Vec<NetworkLink>,
}

/// A network under its name.
pub(super) struct Named {
    pub(super) label: String,
    pub(super) costed: Costed,
    /// The replaced blocks, if it is the plain counterpart.
    pub(super) blocks: Option<Counterpart>,
}

impl Named {
    fn new(arch: Arch, protocol: Protocol, fusion: Fusion, calibration: &Calibration) -> Result<Self, Failure> {
        let Arch { label, graph } = arch;
        let costed = Costed::new(graph, protocol, fusion, calibration).map_err(|e| Failure::from(e).named(&label))?;
        Ok(Self { label, costed, blocks: None })
    }
}

/// Estimates the network and those it is compared with.
pub(super) fn run(question: Question, chosen: &Chosen, output: Output) -> Outcome {
    let Question { arch, others, protocol, fusion, links } = question;
    let network = Named::new(arch, protocol, fusion, &chosen.calibration)?;
    let other = |Other { arch, blocks }| {
        Ok::<Named, Failure>(Named { blocks, ..Named::new(arch, protocol, fusion, &chosen.calibration)? })
    };
    let others: Vec<Named> = others.into_iter().map(other).collect::<Result<_, _>>()?;
    if output.json {
        output.value(&Document::new(&network, &others, &links, chosen))?;
    } else {
        print(&network, &others, &links, chosen, output)?;
    }
    Ok(Exit::Success)
}

fn print(
    network: &Named,
    others: &[Named],
    links: &[NetworkLink],
    chosen: &Chosen,
    output: Output,
) -> Result<(), Failure> {
    print_one(network, links, &chosen.threads(), output)?;
    if !others.is_empty() {
        output.table(&comparison(network, others, links))?;
        for other in others {
            print_comparison(network, other, links, output)?;
        }
        print_terms(network, output)?;
    }
    output.line(format_args!("calibration: {}", chosen.describe()))
}

fn print_one(network: &Named, links: &[NetworkLink], threads: &str, output: Output) -> Result<(), Failure> {
    let Costed { graph, total, .. } = &network.costed;
    output.line(format_args!("{} ({})\n{graph}", network.label, graph.arch_id()))?;
    output.table(&layers(&network.costed))?;
    output.line(format_args!("protocol    {}", describe(network.costed.estimate.protocol)))?;
    output.line(format_args!(
        "size        {} multiply-accumulates, {} parameters",
        count(graph.macs()),
        count(graph.parameters())
    ))?;
    output.line(format_args!(
        "linear      {} on the server, {} on the client, {threads} each",
        seconds(total.server.0),
        seconds(total.client.0)
    ))?;
    output.line(format_args!(
        "traffic     ciphertexts {} up, {} down; two-party computation {}; {} rounds",
        bytes(total.upload.0),
        bytes(total.download.0),
        bytes(total.two_party.0),
        count(total.rounds)
    ))?;
    for link in links {
        output.line(format_args!(
            "{:<11} {} ({} MB/s, {})",
            link.name,
            seconds(total.latency(link).0),
            number(link.bytes_per_second / 1e6, 0),
            seconds(link.round_trip.0)
        ))?;
    }
    output.line("")
}

fn describe(protocol: Protocol) -> String {
    let he = match protocol {
        Protocol::CrypTFlow2 => "BFV in slots, N = 8192",
        Protocol::Cheetah => "BFV in coefficients, N = 4096",
    };
    format!("{protocol}: {he}; ReLU and truncation on shares of {VALUE_BITS} bits, {FRACTION_BITS} of them fraction")
}

fn print_comparison(network: &Named, other: &Named, links: &[NetworkLink], output: Output) -> Result<(), Failure> {
    let c = Comparison::of(&network.costed, &other.costed, links);
    output.line(format_args!(
        "against {}: {}x in linear HE time ({}x per multiply-accumulate), {}x in communication ({} {})",
        other.label,
        number(c.linear_time, 2),
        number(c.linear_time_per_mac, 2),
        number(c.communication, 2),
        percent(c.communication_saved.abs(), 1),
        if c.communication_saved < 0.0 { "more" } else { "less" }
    ))?;
    let Some(blocks) = &other.blocks else { return Ok(()) };
    let (ours, theirs) = (network.costed.counts_of(&blocks.replaced), other.costed.counts_of(&blocks.plain));
    output.line(format_args!(
        "  in the {} StriaBlocks alone: internal rotations {} of {} ({}), external {} of {}",
        blocks.plain.len(),
        ours.internal,
        theirs.internal,
        percent(ours.internal as f64 / theirs.internal as f64, 1),
        ours.moving(),
        theirs.moving()
    ))
}

/// What was held equal, so that nobody has to guess what a ratio is of.
fn print_terms(network: &Named, output: Output) -> Result<(), Failure> {
    let graph = &network.costed.graph;
    output.line(format_args!(
        "held equal: images {}, {} results, protocol, ring, bits of values, calibrated times. Not held equal: widths, depth, \
         multiply-accumulates (ratios per multiply-accumulate take them out), accuracy",
        graph.input_shape(),
        graph.output_shape().len()
    ))
}
