//! Slot layouts: where each value of a feature map or vector stands in a group of ciphertexts.
//!
//! A map is laid out row-major in a *block* of `pad2(rows * pitch)` slots of a physical grid that stays the same through
//! the network. A stride leaves gaps between the pixels of a map; other maps may be multiplexed into them. Channel `c`
//! stands in ciphertext `c / capacity` at position `c mod capacity`, and a position is a block index (least significant)
//! followed by one digit for each filled gap. So channels equal modulo a smaller capacity keep their block when maps
//! shrink, which is what makes a strided ExRot-Free convolution free of external rotations. [`PlaneOrder`] has the other
//! orders.
//!
//! **Block packing** splits every channel into `S * S` *planes*, one for each phase `(y mod S, x mod S)` of its pixels; planes
//! are packed as channels are, and a stride joins phases before it leaves gaps. Elsewhere a channel is one plane.
//!
//! **Batches**: images stand interleaved in neighbouring slots ([`HeProgram::interleaved`](crate::HeProgram::interleaved)),
//! which multiplies every rotation; layouts speak of the slots of one image. Where a batch holds more images than that
//! leaves room for, there are several *groups* of ciphertexts; where strides leave gaps, groups merge into them, before
//! channels do.

mod gaps;
mod grid;
mod kind;
mod map;
mod vector;

pub use gaps::{Fill, Gap};
pub use grid::{Grid, Spacing};
pub use kind::{Packing, UnknownPacking};
pub use map::{MapLayout, PlaneOrder};
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
            Self::Vector(vector) => vector.groups,
        }
    }

    /// Groups of ciphertexts, each with other images; steps treat them alike, one after the other.
    pub fn groups(&self) -> usize {
        match self {
            Self::Map(map) => map.groups,
            Self::Vector(vector) => vector.groups,
        }
    }

    /// Ciphertexts of one group.
    pub fn group_ciphertexts(&self) -> usize {
        self.ciphertexts() / self.groups()
    }

    /// Images of one group that stand in gaps of each other.
    pub fn group_images(&self) -> usize {
        match self {
            Self::Map(map) => map.group_images(),
            Self::Vector(_) => 1,
        }
    }

    /// Number of elements of one image.
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

    /// Ciphertext, within its group, and slot of element `i` of a group's first image, in channel-row-column order; of the
    /// first copy where there are several.
    pub fn slot(&self, i: usize) -> (usize, usize) {
        match self {
            Self::Map(map) => {
                let (pixels, width) = (map.height * map.width, map.width);
                let (channel, pixel) = (i / pixels, i % pixels);
                map.slot(channel, pixel / width, pixel % width)
            }
            Self::Vector(_) => (0, i),
        }
    }

    /// Slots from the elements of a group's first image to those of each of its images.
    pub fn image_offsets(&self) -> Vec<usize> {
        match self {
            Self::Map(map) => map.image_offsets(),
            Self::Vector(_) => vec![0],
        }
    }

    /// Share of an image's slots that hold an element.
    pub fn utilisation(&self, slots: usize) -> f64 {
        (self.len() * self.group_images()) as f64 / (self.group_ciphertexts() * slots) as f64
    }
}
