//! Writing the notation.

use std::fmt;

use crate::{Activation, Conv2d, Grouping, KernelMask, NodeId, Op, Padding, TypedGraph};

impl KernelMask {
    /// Every mask.
    pub const ALL: [Self; 5] = [Self::Full, Self::Cross, Self::Row, Self::Column, Self::Alternating];

    /// Its word in the notation and in space files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Cross => "cross",
            Self::Row => "row",
            Self::Column => "column",
            Self::Alternating => "alternating",
        }
    }
}

impl fmt::Display for Conv2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conv({},k{}", self.out_channels, self.kernel.size)?;
        if self.kernel.mask != KernelMask::Full {
            write!(f, ",{}", self.kernel.mask.word())?;
        }
        if self.stride != 1 {
            write!(f, ",s{}", self.stride)?;
        }
        if self.padding == Padding::Valid {
            f.write_str(",valid")?;
        }
        if self.groups != 1 {
            write!(f, ",g{}", self.groups)?;
        }
        match self.grouping {
            Grouping::Contiguous => {}
            Grouping::Interleaved => f.write_str(",interleaved")?,
            Grouping::Shifted { blocks } => write!(f, ",shifted{blocks}")?,
        }
        f.write_str(if self.bias { ",bias)" } else { ")" })
    }
}

impl fmt::Display for Op {
    /// The operation as the notation writes it, without its inputs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("input"),
            Self::Conv2d(conv) => conv.fmt(f),
            Self::Linear(linear) => {
                write!(f, "linear({}{})", linear.out_features, if linear.bias { ",bias" } else { "" })
            }
            Self::AvgPool(pool) if pool.size == pool.stride => write!(f, "pool({})", pool.size),
            Self::AvgPool(pool) => write!(f, "pool({},s{})", pool.size, pool.stride),
            Self::Activation(Activation::Quadratic) => f.write_str("quad"),
            Self::Activation(Activation::Relu) => f.write_str("relu"),
            Self::Add => f.write_str("add"),
            Self::Flatten => f.write_str("flatten"),
            Self::BatchNorm => f.write_str("bn"),
        }
    }
}

impl fmt::Display for TypedGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.input_shape())?;
        for id in self.ids().skip(1) {
            let node = self.node(id);
            let previous = NodeId(id.0 - 1);
            write!(f, " {}", node.op)?;
            match *node.inputs.as_slice() {
                [first, second] if first == previous => write!(f, "({second})")?,
                [first, second] => write!(f, "({first},{second})")?,
                [input] if input != previous => write!(f, "@{input}")?,
                _ => {}
            }
        }
        Ok(())
    }
}
