//! Reference networks, buildable by name, each with its source. All use quadratic activations.
//!
//! Every convolution is followed by batch normalisation, which lowering folds away, also where the source has none: it
//! changes no count of homomorphic operations and lets quadratic networks train.

mod densenet;
mod lola;
mod mobilenet;
mod resnet;
mod spencnn;
mod strianet;
mod vgg;

use resnet::Block;
use thiserror::Error;

use crate::{GraphError, TypedGraph};

type Build = fn() -> Result<TypedGraph, GraphError>;

/// Name, one line on where it is from, builder.
const NETWORKS: [(&str, &str, Build); 26] = [
    ("lola", "Brutzkus et al. (ICML 2019), LoLa-MNIST, the network of CryptoNets", lola::mnist),
    ("lenet-like", "SpENCNN (ICML 2023), Table 2: MNIST", || spencnn::lenet_like(1)),
    ("lenet-like-g4", "SpENCNN (ICML 2023), Table 3: MNIST, G = 4, alpha at 2^12 slots", || spencnn::lenet_like(4)),
    ("lenet-like-g8", "SpENCNN (ICML 2023), Table 3: MNIST, G = 8, alpha at 2^13 slots", || spencnn::lenet_like(8)),
    ("lenet-like-g32", "lenet-like with G = 32, alpha of 14x14 maps multiplexed in 2^13 slots", || {
        spencnn::lenet_like(32)
    }),
    ("vgg5", "SpENCNN (ICML 2023), Table 2: CIFAR-10; widths from its sub-block counts", || spencnn::vgg5(1)),
    ("vgg5-g8", "SpENCNN (ICML 2023), Table 3: CIFAR-10, G = 8, alpha at 2^13 slots", || spencnn::vgg5(8)),
    ("hefnet", "SpENCNN (ICML 2023), Table 2: CIFAR-10; widths derived from its rotation shares", || {
        spencnn::hefnet(1)
    }),
    ("hefnet-g8", "SpENCNN (ICML 2023), Table 3: CIFAR-10, G = 8, alpha at 2^13 slots", || spencnn::hefnet(8)),
    ("resnet20", "He et al. (CVPR 2016), section 4.2: CIFAR-10, option B shortcuts", || resnet::cifar(3)),
    ("resnet32", "He et al. (CVPR 2016), section 4.2: CIFAR-10, option B shortcuts", || resnet::cifar(5)),
    ("resnet44", "He et al. (CVPR 2016), section 4.2: CIFAR-10, option B shortcuts", || resnet::cifar(7)),
    ("resnet56", "He et al. (CVPR 2016), section 4.2: CIFAR-10, option B shortcuts", || resnet::cifar(9)),
    ("resnet110", "He et al. (CVPR 2016), section 4.2: CIFAR-10, option B shortcuts", || resnet::cifar(18)),
    ("resnet18", "He et al. (CVPR 2016), Table 1: ImageNet", || resnet::imagenet(Block::Basic, [2, 2, 2, 2])),
    ("resnet34", "He et al. (CVPR 2016), Table 1: ImageNet", || resnet::imagenet(Block::Basic, [3, 4, 6, 3])),
    ("resnet50", "He et al. (CVPR 2016), Table 1: ImageNet, stride in the 3x3", || {
        resnet::imagenet(Block::Bottleneck, [3, 4, 6, 3])
    }),
    ("vgg11", "Simonyan and Zisserman (ICLR 2015), configuration A: ImageNet", || vgg::vgg(vgg::VGG11)),
    ("vgg16", "Simonyan and Zisserman (ICLR 2015), configuration D: ImageNet", || vgg::vgg(vgg::VGG16)),
    ("densenet121", "Huang et al. (CVPR 2017), Table 1: ImageNet", densenet::densenet121),
    ("mobilenetv2", "Sandler et al. (CVPR 2018), Table 2: ImageNet, width 1", mobilenet::v2),
    ("strianet-mnist", "StriaNet (SaTML 2026) scaled to 1x28x28 and 8192 slots", strianet::mnist),
    ("strianet-cifar10", "after StriaNet (SaTML 2026), for accuracy on 3x32x32 in 32768 slots", strianet::cifar10),
    (
        "strianet-cifar10-exrot-free",
        "StriaNet (SaTML 2026) scaled to 3x32x32 and 32768 slots",
        strianet::cifar10_exrot_free,
    ),
    (
        "strianet-tiny-imagenet",
        "StriaNet (SaTML 2026) for 3x64x64 and hybrid protocols of 8192 slots",
        strianet::tiny_imagenet,
    ),
    ("strianet-imagenet", "StriaNet (SaTML 2026) for 3x224x224 and hybrid protocols of 8192 slots", strianet::imagenet),
];

/// A name that the zoo does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ZooError {
    /// Not a network of the zoo.
    #[error("unknown network `{name}`{}; the zoo holds {}", nearest_hint(.name), names().join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// The network does not type-check: a bug.
    #[error("zoo network {name}: {source}")]
    Graph {
        /// The network.
        name: &'static str,
        /// What is wrong.
        source: GraphError,
    },
}

/// Names of the networks.
pub fn names() -> Vec<&'static str> {
    NETWORKS.iter().map(|(name, ..)| *name).collect()
}

/// Where a network is from, in one line.
pub fn source(name: &str) -> Option<&'static str> {
    NETWORKS.iter().find(|(n, ..)| *n == name).map(|(_, source, _)| *source)
}

/// Builds a network by name.
///
/// ```
/// let net = striae_spaces::zoo::build("lenet-like")?;
/// assert_eq!(net.output_shape().len(), 10);
/// # Ok::<(), striae_spaces::zoo::ZooError>(())
/// ```
pub fn build(name: &str) -> Result<TypedGraph, ZooError> {
    match NETWORKS.iter().find(|(n, ..)| *n == name) {
        Some((name, _, build)) => build().map_err(|source| ZooError::Graph { name, source }),
        None => Err(ZooError::Unknown { name: name.escape_debug().take(40).collect() }),
    }
}

fn nearest_hint(name: &str) -> String {
    match crate::suggest::nearest(name, names()) {
        Some(near) => format!(", did you mean `{near}`?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_builds_and_survives_its_notation() {
        for name in names() {
            let net = build(name).unwrap();
            assert_eq!(net.to_string().parse::<TypedGraph>().unwrap(), net, "{name}");
            let classes = match net.input_shape().spatial() {
                (224, 224) => 1000,
                (64, 64) => 200,
                _ => 10,
            };
            assert_eq!(net.output_shape(), crate::Shape::vector(classes), "{name}");
            assert!(source(name).is_some(), "{name}");
        }
    }

    #[test]
    fn unknown_names_are_answered_with_the_nearest() {
        let message = build("resnet-20").unwrap_err().to_string();
        assert!(
            message
                .starts_with("unknown network `resnet-20`, did you mean `resnet20`?; the zoo holds lola, lenet-like,")
        );
        assert!(!build("zzzzzzzzzzzzzzzz").unwrap_err().to_string().contains("did you mean"));
    }
}
