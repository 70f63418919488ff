//! An encrypted session: fresh keys, a compiled circuit, and images through it. It plays both roles in one process, to prove
//! a prediction; a deployment keeps the client's half on the client.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use striae_cost_model::{CkksParams, HeProgram, OpCounts};
use striae_spaces::{TypedGraph, WeightStore};

use crate::{Circuit, CircuitError, HeBackend, HeClient, HeError, RnsBackend, Seed, StepTime, pack, unpack};

/// Keys and circuit of one network.
pub struct Session<B: HeBackend> {
    client: B::Client,
    backend: B,
    circuit: Circuit<B>,
    setup: SetupTime,
}

/// What a session takes before its first image.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetupTime {
    /// Key generation.
    pub keys: Duration,
    /// Encoding of the weights.
    pub encoding: Duration,
}

/// One image through a session.
#[derive(Clone, Debug)]
pub struct Inference {
    /// The network's result.
    pub logits: Vec<f64>,
    /// Packing and encryption, on the client.
    pub encrypt: Duration,
    /// From encrypted image to encrypted result, on the server.
    pub latency: Duration,
    /// Decryption, on the client.
    pub decrypt: Duration,
    /// Time of every step.
    pub steps: Vec<StepTime>,
    /// Operations executed.
    pub counts: OpCounts,
}

impl<B: HeBackend> Session<B> {
    /// Generates keys for the program's rotations and encodes the weights of the folded network.
    pub fn new(
        params: &CkksParams,
        program: Arc<HeProgram>,
        graph: &TypedGraph,
        weights: &WeightStore,
        seed: Seed,
    ) -> Result<Self, SessionError> {
        let start = Instant::now();
        let (client, backend) = B::keygen(params, &program.rotations(), seed)?;
        let keys = start.elapsed();
        let start = Instant::now();
        let circuit = Circuit::compile(&backend, program, graph, weights)?;
        let setup = SetupTime { keys, encoding: start.elapsed() };
        Ok(Self { client, backend, circuit, setup })
    }

    /// What the set-up took.
    pub fn setup(&self) -> SetupTime {
        self.setup
    }

    /// Encrypts a normalised image, evaluates the network and decrypts the result.
    pub fn infer(&self, image: &[f32]) -> Result<Inference, SessionError> {
        let program = self.circuit.program();
        let start = Instant::now();
        let slots = pack(program, image)?;
        let scale = self.circuit.input_scale();
        let encrypted = slots.iter().map(|s| self.client.encrypt(s, program.depth(), scale));
        let input = encrypted.collect::<Result<Vec<_>, HeError>>()?;
        let encrypt = start.elapsed();
        self.backend.reset_counts();
        let start = Instant::now();
        let (output, steps) = self.circuit.run(&self.backend, input)?;
        let latency = start.elapsed();
        let start = Instant::now();
        let slots = output.iter().map(|ct| self.client.decrypt(ct)).collect::<Result<Vec<_>, HeError>>()?;
        let logits = unpack(program, &slots);
        let counts = self.backend.counts();
        Ok(Inference { logits, encrypt, latency, decrypt: start.elapsed(), steps, counts })
    }
}

impl Session<RnsBackend> {
    /// Bytes of all evaluation keys.
    pub fn key_bytes(&self) -> usize {
        self.backend.key_bytes()
    }

    /// Bytes of all encoded diagonals.
    pub fn weight_bytes(&self) -> usize {
        self.circuit.weight_bytes()
    }
}

/// A session that cannot be set up or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Keys, encryption or decryption.
    #[error(transparent)]
    He(#[from] HeError),
    /// The circuit.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
}
