//! An encrypted session: fresh keys, a compiled circuit, and images through it. It plays both roles in one process, to prove
//! a prediction; a deployment keeps the client's half on the client.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use striae_cost_model::{CkksParams, HeProgram, OpCounts};
use striae_spaces::{TypedGraph, WeightStore};

use crate::circuit::TrackedRun;
use crate::{
    ActivationBounds, Circuit, CircuitError, ClearBackend, ErrorEstimate, HeBackend, HeClient, HeError, RnsBackend,
    Seed, StepTime, WeightSpace, pack, unpack,
};

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
        Self::new_in(WeightSpace::memory(), params, program, graph, weights, seed)
    }

    /// The same with the encoded weights in `space`.
    pub fn new_in(
        space: WeightSpace,
        params: &CkksParams,
        program: Arc<HeProgram>,
        graph: &TypedGraph,
        weights: &WeightStore,
        seed: Seed,
    ) -> Result<Self, SessionError> {
        let start = Instant::now();
        let roles = B::keygen(params, &program.keys(), seed)?;
        Self::with_keys(space, (roles, start.elapsed()), program, graph, weights)
    }

    fn with_keys(
        space: WeightSpace,
        ((client, backend), keys): ((B::Client, B), Duration),
        program: Arc<HeProgram>,
        graph: &TypedGraph,
        weights: &WeightStore,
    ) -> Result<Self, SessionError> {
        let start = Instant::now();
        let circuit = Circuit::compile_in(space, &backend, program, graph, weights)?;
        let setup = SetupTime { keys, encoding: start.elapsed() };
        Ok(Self { client, backend, circuit, setup })
    }

    /// Packs and encrypts an image.
    fn encrypt(&self, image: &[f32]) -> Result<Vec<B::Ciphertext>, SessionError> {
        let program = self.circuit.program();
        let (level, scale) = (program.depth(), self.circuit.input_scale());
        let encrypted = pack(program, image)?.into_iter().map(|s| self.client.encrypt(&s, level, scale));
        Ok(encrypted.collect::<Result<_, HeError>>()?)
    }

    /// Decrypts a result.
    fn decrypt(&self, output: &[B::Ciphertext]) -> Result<Vec<f64>, SessionError> {
        let slots = output.iter().map(|ct| self.client.decrypt(ct)).collect::<Result<Vec<_>, HeError>>()?;
        Ok(unpack(self.circuit.program(), &slots))
    }

    /// What the set-up took.
    pub fn setup(&self) -> SetupTime {
        self.setup
    }

    /// Encrypts a normalised image, evaluates the network and decrypts the result.
    pub fn infer(&self, image: &[f32]) -> Result<Inference, SessionError> {
        let start = Instant::now();
        let input = self.encrypt(image)?;
        let encrypt = start.elapsed();
        self.backend.reset_counts();
        let start = Instant::now();
        let (output, steps) = self.circuit.run(&self.backend, input)?;
        let latency = start.elapsed();
        let start = Instant::now();
        let logits = self.decrypt(&output)?;
        let counts = self.backend.counts();
        Ok(Inference { logits, encrypt, latency, decrypt: start.elapsed(), steps, counts })
    }
}

impl Session<RnsBackend> {
    /// Bytes of all evaluation keys.
    pub fn key_bytes(&self) -> usize {
        self.backend.key_bytes()
    }

    /// Bytes of all encoded diagonals, and of those that are held in memory.
    pub fn weight_bytes(&self) -> (usize, usize) {
        self.circuit.weight_bytes()
    }
}

/// What an encrypted run should give, and how far it may be off.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The circuit's exact result.
    pub logits: Vec<f64>,
    /// Error of the logits.
    pub error: ErrorEstimate,
    /// Error of every step's value, over the slots that hold an element.
    pub steps: Vec<ErrorEstimate>,
}

impl Expected {
    /// Largest difference of a decrypted logit from the exact one.
    pub fn measured(&self, logits: &[f64]) -> f64 {
        self.logits.iter().zip(logits).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    /// Whether the order of the two largest logits survives the estimated error.
    pub fn decided(&self) -> bool {
        let mut sorted = self.logits.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        sorted.len() < 2 || sorted[0] - sorted[1] > 2.0 * self.error.bound()
    }
}

impl Session<ClearBackend> {
    /// A session in the clear that tracks the errors its encrypted twin has.
    pub fn with_errors(
        params: &CkksParams,
        program: Arc<HeProgram>,
        graph: &TypedGraph,
        weights: &WeightStore,
    ) -> Result<Self, SessionError> {
        let start = Instant::now();
        let roles = ClearBackend::with_errors(params, &program.keys())?;
        Self::with_keys(WeightSpace::memory(), (roles, start.elapsed()), program, graph, weights)
    }

    /// What an encrypted session should compute for an image.
    pub fn expect(&self, image: &[f32]) -> Result<Expected, SessionError> {
        self.expected(image, None)
    }

    /// The errors of any image with pixels up to `pixel` whose activations stay within `bounds`: no image is needed, and
    /// values that would not fit their modulus are refused. The logits are of no image in particular.
    pub fn estimate(&self, pixel: f32, bounds: &[ActivationBounds]) -> Result<Expected, SessionError> {
        let pixels = self.circuit.program().values[0].layout.len();
        self.expected(&vec![pixel; pixels], Some(bounds))
    }

    fn expected(&self, image: &[f32], bounds: Option<&[ActivationBounds]>) -> Result<Expected, SessionError> {
        let TrackedRun { output, steps, error } = self.circuit.track(&self.backend, self.encrypt(image)?, bounds)?;
        Ok(Expected { logits: self.decrypt(&output)?, error, steps })
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
