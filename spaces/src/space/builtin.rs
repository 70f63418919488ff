//! The spaces that come with Striae.

use super::{SpaceError, StriaSpace};

const SPACES: [(&str, &str); 5] = [
    ("strianet-glyphs", include_str!("builtin/strianet-glyphs.toml")),
    ("strianet-mnist", include_str!("builtin/strianet-mnist.toml")),
    ("strianet-cifar10", include_str!("builtin/strianet-cifar10.toml")),
    ("strianet-tiny-imagenet", include_str!("builtin/strianet-tiny-imagenet.toml")),
    ("strianet-imagenet", include_str!("builtin/strianet-imagenet.toml")),
];

/// Names of the built-in spaces.
pub fn builtin_names() -> Vec<&'static str> {
    SPACES.iter().map(|(name, _)| *name).collect()
}

/// The file of a built-in space, for instance as the start of one's own.
pub fn builtin_toml(name: &str) -> Option<&'static str> {
    SPACES.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// A built-in space.
pub fn builtin(name: &str) -> Result<StriaSpace, SpaceError> {
    builtin_toml(name).map_or_else(|| Err(unknown(name)), StriaSpace::from_toml)
}

fn unknown(name: &str) -> SpaceError {
    let hint = crate::suggest::nearest(name, builtin_names());
    SpaceError::Unknown {
        name: name.escape_debug().take(40).collect(),
        hint: hint.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default(),
        known: builtin_names().join(", "),
    }
}
