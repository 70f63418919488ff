//! The two roles of a scheme.

use striae_cost_model::{CkksParams, KeyPlan, LinearPlan, OpCounts};

use crate::{HeError, Seed, WeightSpace};

/// The owner of the secret key.
pub trait HeClient: Send + Sync {
    /// An encrypted vector.
    type Ciphertext;

    /// Encrypts one value per slot.
    fn encrypt(&self, values: &[f64], level: usize, scale: f64) -> Result<Self::Ciphertext, HeError>;

    /// The values behind a ciphertext, one per slot.
    fn decrypt(&self, ct: &Self::Ciphertext) -> Result<Vec<f64>, HeError>;
}

/// The evaluator: holds evaluation keys, sees no secret, counts what it executes.
///
/// Every operation takes ciphertexts by reference and gives a new one. Levels and scales must fit; nothing is adjusted
/// behind the caller's back. Rotations are to the left, `rot_r(x)[j] = x[(j + r) mod slots]`.
pub trait HeBackend: Send + Sync + Sized {
    /// An encrypted vector.
    type Ciphertext: Clone + Send + Sync;
    /// The diagonals of a linear plan, ready to multiply.
    type EncodedLinear: Send + Sync;
    /// A vector ready to be added.
    type EncodedPlain: Send + Sync;
    /// The other role.
    type Client: HeClient<Ciphertext = Self::Ciphertext>;

    /// Fresh keys: the secret for the client, exactly the planned keys for the evaluator.
    fn keygen(params: &CkksParams, plan: &KeyPlan, seed: Seed) -> Result<(Self::Client, Self), HeError>;

    /// The parameters.
    fn params(&self) -> &CkksParams;

    /// q_level, the prime that rescaling from `level` divides by.
    fn modulus(&self, level: usize) -> f64;

    /// Rescalings a ciphertext has left.
    fn level(&self, ct: &Self::Ciphertext) -> usize;

    /// Scale of a ciphertext.
    fn scale(&self, ct: &Self::Ciphertext) -> f64;

    /// Encodes a vector for [`Self::add_plain`].
    fn encode(&self, values: &[f64], level: usize, scale: f64) -> Result<Self::EncodedPlain, HeError>;

    /// Encodes the diagonals of a plan for inputs at `level`. `fill(i, slots)` writes the diagonal of term i into slots
    /// that hold zeros; it is called once per term, from any thread, and the values are not kept.
    fn encode_linear(
        &self,
        plan: &LinearPlan,
        level: usize,
        plain_scale: f64,
        fill: &(dyn Fn(usize, &mut [f64]) + Sync),
    ) -> Result<Self::EncodedLinear, HeError>;

    /// The same into the next place of `space`. A backend whose weights are always in memory needs no other than this one.
    fn encode_linear_in(
        &self,
        space: &mut WeightSpace,
        plan: &LinearPlan,
        (level, plain_scale): (usize, f64),
        fill: &(dyn Fn(usize, &mut [f64]) + Sync),
    ) -> Result<Self::EncodedLinear, HeError> {
        let _ = space;
        self.encode_linear(plan, level, plain_scale, fill)
    }

    /// Executes a plan, folds included. The results are rescaled: one level lower, with scale
    /// `input scale * plain_scale / q_level`.
    fn linear(
        &self,
        plan: &LinearPlan,
        weights: &Self::EncodedLinear,
        inputs: &[Self::Ciphertext],
    ) -> Result<Vec<Self::Ciphertext>, HeError>;

    /// The squares of ciphertexts, relinearised and rescaled, in order.
    fn square_all(&self, cts: &[Self::Ciphertext]) -> Result<Vec<Self::Ciphertext>, HeError>;

    /// ct^2, relinearised and rescaled.
    fn square(&self, ct: &Self::Ciphertext) -> Result<Self::Ciphertext, HeError> {
        self.square_all(std::slice::from_ref(ct)).map(|mut squares| squares.remove(0))
    }

    /// rot_r(ct).
    fn rotate(&self, ct: &Self::Ciphertext, rotation: u32) -> Result<Self::Ciphertext, HeError>;

    /// ct + rot_r(ct), with one rounding less than in two operations.
    fn rotate_add(&self, ct: &Self::Ciphertext, rotation: u32) -> Result<Self::Ciphertext, HeError>;

    /// ct + sum of rot_r(ct) over `rotations`, which share one decomposition.
    fn rotate_sum(&self, ct: &Self::Ciphertext, rotations: &[u32]) -> Result<Self::Ciphertext, HeError>;

    /// a + b, of equal level and scale.
    fn add(&self, a: &Self::Ciphertext, b: &Self::Ciphertext) -> Result<Self::Ciphertext, HeError>;

    /// ct + plain, of equal level and scale.
    fn add_plain(&self, ct: &Self::Ciphertext, plain: &Self::EncodedPlain) -> Result<Self::Ciphertext, HeError>;

    /// The same vector at a lower level.
    fn drop_to_level(&self, ct: &Self::Ciphertext, level: usize) -> Result<Self::Ciphertext, HeError>;

    /// The same ciphertext read at another scale, so that its values change by the ratio of the two; costs nothing.
    fn with_scale(&self, ct: &Self::Ciphertext, scale: f64) -> Result<Self::Ciphertext, HeError>;

    /// Operations executed since the last reset.
    fn counts(&self) -> OpCounts;

    /// Starts counting anew.
    fn reset_counts(&self);
}
