//! What a network takes under a hybrid protocol: operations, seconds, bytes, rounds.
//!
//! Homomorphic time is that of our own evaluator: the calibrated times of its primitives in the standard ring of the protocol's degree,
//! at the level of as many primes as the protocol's modulus has. BFV multiplies by plaintexts, rotates and switches
//! moduli by the same transforms and pointwise products as CKKS.
//!
//! | | N | primes (and special ones) | bits | where |
//! |---|---|---|---|---|
//! | SCI | 8192 | 3 (1) | 60 + 60 + 60 (38) | inputs, internal rotations, multiplications |
//! | | | 2 (1) | 60 + 60 | partial sums: external rotations, swaps, folds |
//! | | | 1 | 60 | results |
//! | Cheetah | 4096 | 2 (0) | 49 + 49 | inputs, multiplications |
//! | | | 1 | 49 | results |
//!
//! SCI rotates each ciphertext on its own, without hoisting, and switches each partial sum to the next modulus before it rotates it. It
//! writes 64-bit words. Cheetah writes the bits of its modulus, sends a seed for one of the two polynomials of a fresh ciphertext, and
//! of a result's second polynomial only the coefficients that hold values.
//!
//! Server and client work one after the other, and nothing overlaps with the network.

use serde::Serialize;
use striae_spaces::{NodeId, Op, TypedGraph};

use super::chains::{Chain, Fusion, chains};
use super::sums::linear_layers;
use super::two_party::{Exchange, VALUE_BITS, feeds_activation, relu, truncation};
use super::{HybridError, LinearCounts, LinearLayer, NetworkLink, Protocol, cheetah, cryptflow2};
use crate::calibration::{Primitive, Ring};
use crate::{Bytes, Calibration, RingType, Seconds};

/// Bytes of a seed that stands for a polynomial.
const SEED: u64 = 32;

/// What a network, a layer or an activation takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HybridStep {
    /// Homomorphic operations.
    pub counts: LinearCounts,
    /// The server's homomorphic time on one thread.
    pub server: Seconds,
    /// The client's time to encrypt and decrypt on one thread.
    pub client: Seconds,
    /// Bytes of ciphertexts the client sends.
    pub upload: Bytes,
    /// Bytes of ciphertexts the client receives.
    pub download: Bytes,
    /// Bytes of two-party computation, both directions.
    pub two_party: Bytes,
    /// Rounds: messages with their answers.
    pub rounds: u64,
}

impl HybridStep {
    /// Everything that travels.
    pub fn bytes(&self) -> Bytes {
        self.upload + self.download + self.two_party
    }

    /// Time from start to end over a network.
    pub fn latency(&self, link: &NetworkLink) -> Seconds {
        self.server + self.client + link.seconds(self.bytes(), self.rounds)
    }

    fn and(self, o: &Self) -> Self {
        Self {
            counts: self.counts + o.counts,
            server: self.server + o.server,
            client: self.client + o.client,
            upload: self.upload + o.upload,
            download: self.download + o.download,
            two_party: self.two_party + o.two_party,
            rounds: self.rounds + o.rounds,
        }
    }

    fn exchange(&mut self, values: usize, exchange: Exchange) {
        self.two_party = self.two_party + Bytes((values as u64).saturating_mul(exchange.bits).div_ceil(8));
        self.rounds += exchange.rounds;
    }
}

/// A linear layer or an activation with what it takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HybridLayer {
    /// Its nodes: several where convolutions are fused.
    pub nodes: Vec<NodeId>,
    /// What it takes, the truncation of a linear layer included.
    pub step: HybridStep,
}

/// What a network takes under a protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HybridEstimate {
    /// The protocol.
    pub protocol: Protocol,
    /// Linear layers and activations, in the order of the network.
    pub layers: Vec<HybridLayer>,
}

impl HybridEstimate {
    /// Counts and estimates every layer of `network` for one image.
    ///
    /// # Errors
    /// Where the protocol has no packing for a layer.
    pub fn of(
        network: &TypedGraph,
        protocol: Protocol,
        fusion: Fusion,
        calibration: &Calibration,
    ) -> Result<Self, HybridError> {
        let estimator =
            Estimator { network, protocol, consumers: network.consumers(), times: Times::of(protocol, calibration) };
        let mut layers = Vec::new();
        for chain in chains(network, linear_layers(network)) {
            layers.extend(estimator.chain(&chain, fusion)?);
        }
        for id in network.ids().filter(|&id| matches!(network.node(id).op, Op::Activation(_))) {
            let mut step = HybridStep::default();
            step.exchange(network.shape(id).len(), relu(protocol, VALUE_BITS));
            layers.push(HybridLayer { nodes: vec![id], step });
        }
        layers.sort_by_key(|layer| layer.nodes[0]);
        Ok(Self { protocol, layers })
    }

    /// All steps together.
    pub fn total(&self) -> HybridStep {
        self.layers.iter().fold(HybridStep::default(), |sum, layer| sum.and(&layer.step))
    }

    /// Time from start to end over a network.
    pub fn latency(&self, link: &NetworkLink) -> Seconds {
        self.total().latency(link)
    }
}

impl LinearLayer {
    /// Its operations under `protocol`.
    pub fn counts(&self, protocol: Protocol) -> Result<LinearCounts, HybridError> {
        match protocol {
            Protocol::CrypTFlow2 => cryptflow2::counts(self),
            Protocol::Cheetah => cheetah::counts(self),
        }
    }
}

struct Estimator<'a> {
    network: &'a TypedGraph,
    protocol: Protocol,
    consumers: Vec<Vec<NodeId>>,
    times: Times,
}

impl Estimator<'_> {
    /// The layers of a chain: one if they are fused, else all of them.
    fn chain(&self, chain: &Chain, fusion: Fusion) -> Result<Vec<HybridLayer>, HybridError> {
        let parts = || chain.parts.iter().map(|part| self.layer(part, vec![part.node])).collect::<Result<Vec<_>, _>>();
        let whole = || self.layer(&chain.whole, chain.parts.iter().map(|part| part.node).collect());
        let time = |layers: &[HybridLayer]| layers.iter().map(|l| l.step.latency(&NetworkLink::LAN).0).sum::<f64>();
        match fusion {
            Fusion::Never => parts(),
            Fusion::Always => Ok(vec![whole()?]),
            Fusion::Cheapest => {
                let (parts, whole) = (parts()?, vec![whole()?]);
                Ok(if time(&whole) <= time(&parts) { whole } else { parts })
            }
        }
    }

    fn layer(&self, layer: &LinearLayer, nodes: Vec<NodeId>) -> Result<HybridLayer, HybridError> {
        let mut step = self.times.step(self.protocol, layer)?;
        if layer.result != self.network.output() {
            let sign_known = feeds_activation(self.network, &self.consumers, layer.result);
            step.exchange(layer.output.len(), truncation(self.protocol, sign_known));
        }
        Ok(HybridLayer { nodes, step })
    }
}

/// Seconds of each operation of a protocol.
struct Times {
    /// Rotation of an input.
    rotation: f64,
    /// Rotation of a partial sum.
    rotation_of_sum: f64,
    multiplication: f64,
    addition: f64,
    /// A partial sum to the next modulus.
    switch: f64,
    /// A result to the last modulus.
    last_switch: f64,
    encryption: f64,
    decryption: f64,
}

impl Times {
    fn of(protocol: Protocol, calibration: &Calibration) -> Self {
        let (log_n, top) = match protocol {
            Protocol::CrypTFlow2 => (13, 2),
            Protocol::Cheetah => (12, 1),
        };
        let at = |level| Ring { ring_type: RingType::Standard, log_n, level, special: 1 };
        let time = |primitive, level| calibration.seconds(primitive, at(level));
        Self {
            rotation: time(Primitive::RotationFull, top),
            rotation_of_sum: time(Primitive::RotationFull, 1),
            multiplication: time(Primitive::PlainMult, top),
            addition: time(Primitive::Add, 1),
            switch: time(Primitive::Rescale, top),
            // Cheetah's first switch is its last.
            last_switch: if top > 1 { time(Primitive::Rescale, 1) } else { 0.0 },
            encryption: time(Primitive::Encrypt, top),
            decryption: time(Primitive::Decrypt, 0),
        }
    }

    fn step(&self, protocol: Protocol, layer: &LinearLayer) -> Result<HybridStep, HybridError> {
        let counts = layer.counts(protocol)?;
        let n = |count: u64| count as f64;
        let server = n(counts.internal + counts.dense) * self.rotation
            + n(counts.moving()) * self.rotation_of_sum
            + n(counts.multiplications) * self.multiplication
            + n(counts.products.saturating_sub(counts.outputs)) * self.addition
            + n(counts.products) * self.switch
            + n(counts.outputs) * self.last_switch;
        let client = n(counts.inputs) * self.encryption + n(counts.outputs) * self.decryption;
        let (up, down) = match protocol {
            Protocol::CrypTFlow2 => (counts.inputs * 2 * 3 * 8192 * 8, counts.outputs * 2 * 8192 * 8),
            Protocol::Cheetah => {
                let values = (layer.output.len() as u64 * 49).div_ceil(8);
                (counts.inputs * (4096 * 98 / 8 + SEED), counts.outputs * 4096 * 49 / 8 + values)
            }
        };
        Ok(HybridStep {
            counts,
            server: Seconds(server),
            client: Seconds(client),
            upload: Bytes(up),
            download: Bytes(down),
            two_party: Bytes(0),
            rounds: 1,
        })
    }
}
