//! Reading the notation.

use std::str::FromStr;

use super::cursor::{Cursor, NotationError};
use crate::{
    Activation, AvgPool, Conv2d, GraphBuilder, GraphError, Grouping, Kernel, KernelMask, Linear, NodeId, Op, Padding,
    Shape, TypedGraph,
};

const OPS: &str = "one of conv(..), linear(..), pool(..), bn, quad, relu, flatten, add(..)";
const CONV_OPTIONS: &str = "one of k3, s2, g4, full, cross, row, column, alternating, same, valid, contiguous, \
                            interleaved, shifted4, bias";

impl FromStr for TypedGraph {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let mut cursor = Cursor::new(text);
        let start = cursor.at();
        let shape = shape(&mut cursor)?;
        // Where each node stands in the text.
        let mut spans = vec![(start, cursor.at())];
        let mut builder = GraphBuilder::new(shape).map_err(|e| cursor.ill_typed(start..cursor.at(), e))?;
        cursor.expect(':')?;
        while !cursor.is_at_end() {
            let start = cursor.at();
            let (op, inputs) = item(&mut cursor, builder.last())?;
            builder.push(op, &inputs).map_err(|e| cursor.ill_typed(start..cursor.at(), e))?;
            spans.push((start, cursor.at()));
        }
        builder.build().map_err(|error| {
            let end = (cursor.at(), cursor.at());
            let (from, to) = if let GraphError::Unused { node } = error { spans[node.index()] } else { end };
            cursor.ill_typed(from..to, error)
        })
    }
}

fn shape(cursor: &mut Cursor<'_>) -> Result<Shape, NotationError> {
    const EXPECTED: &str = "an input shape such as 1x28x28 or 784";
    let first = cursor.number(EXPECTED)?;
    if !cursor.eat('x') {
        return Ok(Shape::vector(first));
    }
    let height = cursor.number(EXPECTED)?;
    if !cursor.eat('x') {
        return Err(cursor.unexpected(cursor.at(), "`x` and the width of the map"));
    }
    Ok(Shape::map(first, height, cursor.number(EXPECTED)?))
}

fn item(cursor: &mut Cursor<'_>, previous: NodeId) -> Result<(Op, Vec<NodeId>), NotationError> {
    let start = cursor.at();
    let op = match cursor.word() {
        "conv" => Op::Conv2d(conv(cursor)?),
        "linear" => Op::Linear(linear(cursor)?),
        "pool" => Op::AvgPool(pool(cursor)?),
        "bn" => Op::BatchNorm,
        "quad" => Op::Activation(Activation::Quadratic),
        "relu" => Op::Activation(Activation::Relu),
        "flatten" => Op::Flatten,
        "add" => return Ok((Op::Add, add_inputs(cursor, previous)?)),
        _ => return Err(cursor.unexpected(start, OPS)),
    };
    let input = if cursor.eat('@') { node(cursor)? } else { previous };
    Ok((op, vec![input]))
}

fn add_inputs(cursor: &mut Cursor<'_>, previous: NodeId) -> Result<Vec<NodeId>, NotationError> {
    cursor.expect('(')?;
    let first = node(cursor)?;
    let inputs = if cursor.eat(',') { vec![first, node(cursor)?] } else { vec![previous, first] };
    cursor.expect(')')?;
    Ok(inputs)
}

fn node(cursor: &mut Cursor<'_>) -> Result<NodeId, NotationError> {
    const EXPECTED: &str = "a node such as n3";
    let start = cursor.at();
    if cursor.letters() != "n" {
        return Err(cursor.unexpected(start, EXPECTED));
    }
    let index = cursor.number(EXPECTED)?;
    u32::try_from(index).map(NodeId).map_err(|_| cursor.unexpected(start, EXPECTED))
}

/// What follows a value in brackets: another one, or the end.
fn another(cursor: &mut Cursor<'_>) -> Result<bool, NotationError> {
    if cursor.eat(',') {
        Ok(true)
    } else if cursor.eat(')') {
        Ok(false)
    } else {
        Err(cursor.unexpected(cursor.at(), "`,` or `)`"))
    }
}

fn linear(cursor: &mut Cursor<'_>) -> Result<Linear, NotationError> {
    cursor.expect('(')?;
    let out_features = cursor.number("a number of features")?;
    let mut bias = false;
    while another(cursor)? {
        let start = cursor.at();
        match cursor.word() {
            "bias" => flag(&mut bias, cursor, start, "bias")?,
            _ => return Err(cursor.unexpected(start, "bias")),
        }
    }
    Ok(Linear { out_features, bias })
}

fn pool(cursor: &mut Cursor<'_>) -> Result<AvgPool, NotationError> {
    cursor.expect('(')?;
    let size = cursor.number("the side of the window")?;
    let mut stride = None;
    while another(cursor)? {
        let start = cursor.at();
        match cursor.letters() {
            "s" => {
                let value = cursor.number("a stride")?;
                set(&mut stride, value, cursor, start, "the stride")?;
            }
            _ => return Err(cursor.unexpected(start, "a stride such as s2")),
        }
    }
    Ok(AvgPool { size, stride: stride.unwrap_or(size) })
}

/// Options of a convolution as they are found.
#[derive(Default)]
struct ConvOptions {
    size: Option<usize>,
    mask: Option<KernelMask>,
    stride: Option<usize>,
    padding: Option<Padding>,
    groups: Option<usize>,
    grouping: Option<Grouping>,
    bias: bool,
}

fn conv(cursor: &mut Cursor<'_>) -> Result<Conv2d, NotationError> {
    cursor.expect('(')?;
    let out_channels = cursor.number("a number of channels")?;
    let mut options = ConvOptions::default();
    while another(cursor)? {
        conv_option(cursor, &mut options)?;
    }
    let size =
        options.size.ok_or_else(|| cursor.unexpected(cursor.at(), "a kernel side such as k3 in the brackets"))?;
    Ok(Conv2d {
        out_channels,
        kernel: Kernel { size, mask: options.mask.unwrap_or(KernelMask::Full) },
        stride: options.stride.unwrap_or(1),
        padding: options.padding.unwrap_or(Padding::Same),
        groups: options.groups.unwrap_or(1),
        grouping: options.grouping.unwrap_or(Grouping::Contiguous),
        bias: options.bias,
    })
}

fn conv_option(cursor: &mut Cursor<'_>, options: &mut ConvOptions) -> Result<(), NotationError> {
    let start = cursor.at();
    let word = cursor.letters();
    match word {
        "k" => {
            let value = cursor.number("a kernel side such as k3")?;
            set(&mut options.size, value, cursor, start, "the kernel side")
        }
        "s" => {
            let value = cursor.number("a stride such as s2")?;
            set(&mut options.stride, value, cursor, start, "the stride")
        }
        "g" => {
            let value = cursor.number("a number of groups such as g4")?;
            set(&mut options.groups, value, cursor, start, "the number of groups")
        }
        "shifted" => {
            let blocks = cursor.number("the blocks of a ciphertext such as shifted4")?;
            set(&mut options.grouping, Grouping::Shifted { blocks }, cursor, start, "the grouping")
        }
        "same" => set(&mut options.padding, Padding::Same, cursor, start, "the padding"),
        "valid" => set(&mut options.padding, Padding::Valid, cursor, start, "the padding"),
        "contiguous" => set(&mut options.grouping, Grouping::Contiguous, cursor, start, "the grouping"),
        "interleaved" => set(&mut options.grouping, Grouping::Interleaved, cursor, start, "the grouping"),
        "bias" => flag(&mut options.bias, cursor, start, "bias"),
        _ => match KernelMask::ALL.into_iter().find(|m| m.word() == word) {
            Some(mask) => set(&mut options.mask, mask, cursor, start, "the mask"),
            None => Err(cursor.unexpected(start, CONV_OPTIONS)),
        },
    }
}

fn set<T>(
    slot: &mut Option<T>,
    value: T,
    cursor: &Cursor<'_>,
    start: usize,
    what: &'static str,
) -> Result<(), NotationError> {
    if slot.replace(value).is_some() { Err(cursor.twice(start, what)) } else { Ok(()) }
}

fn flag(slot: &mut bool, cursor: &Cursor<'_>, start: usize, what: &'static str) -> Result<(), NotationError> {
    if std::mem::replace(slot, true) { Err(cursor.twice(start, what)) } else { Ok(()) }
}
