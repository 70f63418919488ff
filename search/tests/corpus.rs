//! The inputs that the fuzz targets start from, and those that once found something, are read or refused as they should be.

use std::fs;
use std::path::{Path, PathBuf};

#[expect(unreachable_pub, reason = "it is public in the crate of the fuzz targets")]
#[path = "../../fuzz/src/memory.rs"]
mod memory;
#[expect(unreachable_pub, reason = "it is public in the crate of the fuzz targets")]
#[path = "../../fuzz/src/readers.rs"]
mod readers;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

fn corpus(reader: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(reader)
}

/// One test for all, since the allocator counts for the whole process.
#[test]
fn every_input_is_read_or_refused() {
    for reader in &readers::READERS {
        let inputs = fs::read_dir(corpus(reader.name)).expect("a reader has a corpus");
        let accepted = |input: std::io::Result<fs::DirEntry>| {
            readers::check(reader.name, &fs::read(input.expect("listed").path()).expect("readable"))
        };
        // Or the target would try no more than the first lines of the reader. CIFAR-10 has no small files.
        let accepted = inputs.map(accepted).filter(|accepted| *accepted).count();
        assert!(accepted > 0 || reader.name == "cifar", "{}: no input is accepted, renew the corpus", reader.name);
    }
}

#[test]
#[ignore = "writes the inputs in our own formats anew, for when those have changed"]
fn renew() {
    for (reader, name, input) in readers::seeds() {
        fs::create_dir_all(corpus(reader)).expect("created");
        fs::write(corpus(reader).join(name), input).expect("written");
    }
}
