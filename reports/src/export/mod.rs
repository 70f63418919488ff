//! Files that appear whole or not at all, and the texts that go into an exported bundle.

mod atomic;

pub use atomic::{create_folder, write};
