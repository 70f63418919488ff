//! Slot layouts: where each value of a feature map or vector stands in a group of ciphertexts.
//!
//! A map is laid out row-major in a *block* of `pad2(rows * pitch)` slots of a physical grid that stays the same through
//! the network. A stride leaves gaps between the pixels of a map; channels may be multiplexed into them. Channel `c`
//! stands in ciphertext `c / capacity` at position `c mod capacity`, and a position is a block index (least significant)
//! followed by one digit for each filled gap. So channels equal modulo a smaller capacity keep their block when maps
//! shrink, which is what makes a strided ExRot-Free convolution free of external rotations.

mod kind;
mod map;
mod vector;

pub use kind::{Packing, UnknownPacking};
pub use map::{ChannelOrder, Gap, Grid, MapLayout};
pub use vector::VectorLayout;

/// Layout of one value of a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Feature maps.
    Map(MapLayout),
    /// A flat vector.
    Vector(VectorLayout),
}

impl Layout {
    /// Ciphertexts the value takes.
    pub fn ciphertexts(&self) -> usize {
        match self {
            Self::Map(map) => map.ciphertexts(),
            Self::Vector(_) => 1,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Map(map) => map.channels * map.height * map.width,
            Self::Vector(vector) => vector.features,
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ciphertext and slot of element `i`, in channel-row-column order; of the first copy where there are several.
    pub fn slot(&self, i: usize) -> (usize, usize) {
        match self {
            Self::Map(map) => {
                let (pixels, width) = (map.height * map.width, map.width);
                let (channel, pixel) = (i / pixels, i % pixels);
                let (ciphertext, offset) = map.channel_offset(channel, 0);
                (ciphertext, offset + map.pixel_offset(pixel / width, pixel % width))
            }
            Self::Vector(_) => (0, i),
        }
    }

    /// Share of the slots that hold an element.
    pub fn utilisation(&self, slots: usize) -> f64 {
        self.len() as f64 / (self.ciphertexts() * slots) as f64
    }
}
