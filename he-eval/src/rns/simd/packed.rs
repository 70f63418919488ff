//! Residues packed into the whole bytes their prime needs, for what is read from memory once and used once.

/// Bytes of a packed residue modulo `prime`; narrower words than four bytes are of no prime that fits a ring.
pub(crate) const fn word_bytes(prime: u64) -> usize {
    let bytes = (u64::BITS - prime.leading_zeros()).div_ceil(8) as usize;
    if bytes < 4 { 4 } else { bytes }
}

/// Packs words into `width` bytes each.
pub(crate) fn pack(words: &[u64], width: usize, out: &mut [u8]) {
    for (word, out) in words.iter().zip(out.chunks_exact_mut(width)) {
        out.copy_from_slice(&word.to_le_bytes()[..width]);
    }
}

/// Undoes [`pack`].
pub(crate) fn unpack(packed: &[u8], width: usize) -> impl Iterator<Item = u64> {
    packed.chunks_exact(width).map(|bytes| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
}
