//! What the fuzz targets share. `search/tests/corpus.rs` replays their corpora through the same two modules.

pub mod memory;
pub mod readers;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;
