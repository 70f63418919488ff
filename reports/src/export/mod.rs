//! Files that appear whole or not at all, and the texts that go into an exported bundle.

mod atomic;
mod model_card;

pub use atomic::{create_folder, write};
pub use model_card::model_card;
