//! Layout of a flat vector.

/// Feature `i` stands at slot `i` and again at every multiple of `period` behind it; one ciphertext in each group. Slots between
/// `features` and `period` hold values nobody may read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VectorLayout {
    /// Number of features, at most `period`.
    pub features: usize,
    /// Distance of the copies; a power of two, at most the number of slots.
    pub period: usize,
    /// Groups of images.
    pub groups: usize,
}
