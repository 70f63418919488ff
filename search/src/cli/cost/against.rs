//! `--against`: the networks that a network is compared with.

use striae_search::counterpart::{self, Counterpart};
use striae_search::resize::resized;

use super::super::arch::Arch;
use super::super::failure::Failure;

/// A network to compare with.
pub(super) struct Other {
    pub(super) arch: Arch,
    /// The replaced blocks, if it is the plain counterpart.
    pub(super) blocks: Option<Counterpart>,
}

impl Other {
    /// All that the values of `--against` name.
    pub(super) fn resolve_all(values: &[String], of: &Arch) -> Result<Vec<Self>, Failure> {
        values.iter().flat_map(|text| names(text)).map(|text| Self::resolve(text, of)).collect()
    }

    fn resolve(text: &str, of: &Arch) -> Result<Self, Failure> {
        if text != "plain" {
            return Self::at_the_size_of(Arch::resolve(text)?, of);
        }
        let counterpart = counterpart::plain(&of.graph).map_err(|e| {
            Failure::bad_input(
                format!("--against plain: {}: {e}", of.label),
                "give a StriaNet, or name another network",
            )
        })?;
        let arch = Arch { label: format!("{} plain", of.label), graph: counterpart.graph.clone() };
        Ok(Self { arch, blocks: Some(counterpart) })
    }

    /// A network made for other images or classes is compared at those of `of`, and its label says so.
    fn at_the_size_of(arch: Arch, of: &Arch) -> Result<Self, Failure> {
        let (input, classes) = (of.graph.input_shape(), of.graph.output_shape().len());
        if arch.graph.input_shape() == input && arch.graph.output_shape().len() == classes {
            return Ok(Self { arch, blocks: None });
        }
        let graph = resized(&arch.graph, input, classes).map_err(|e| {
            let message =
                format!("--against {}: as a network of {input} images and {classes} classes: {e}", arch.label);
            Failure::bad_input(message, "compare it with a network for images of its own size")
        })?;
        let label = format!("{} at {input}, {classes} classes", arch.label);
        Ok(Self { arch: Arch { label, graph }, blocks: None })
    }
}

/// Parts a value at its commas, but for those within the notation's parentheses.
fn names(text: &str) -> Vec<&str> {
    let mut depth = 0usize;
    let parts = text.split(move |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn commas_part_names_but_not_the_notation() {
        assert_eq!(names("vgg16, resnet50,,plain"), ["vgg16", "resnet50", "plain"]);
        assert_eq!(names("1x8x8: conv(4,k3) quad,lola"), ["1x8x8: conv(4,k3) quad", "lola"]);
    }
}
