//! What both roles know: the network of a bundle, lowered for its parameters.

use std::path::Path;
use std::sync::Arc;

use striae_cost_model::{CkksParams, HeProgram, Security};
use striae_he_eval::{CircuitHash, Content, GroupLabel, RnsCiphertext};
use striae_search::bundle::Manifest;
use striae_spaces::TypedGraph;

use crate::cli::bundle::Bundle;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// A bundle's network, without weights.
pub(super) struct Network {
    pub(super) manifest: Manifest,
    pub(super) graph: TypedGraph,
    pub(super) params: CkksParams,
    pub(super) program: Arc<HeProgram>,
    /// What keys and ciphertexts of this network are labelled with.
    pub(super) circuit: CircuitHash,
}

impl Network {
    /// Reads what is public in a bundle.
    pub(super) fn load(folder: &Path, output: Output) -> Result<Self, Failure> {
        let (manifest, graph) = Bundle::load_network(folder)?;
        Self::lower(manifest, graph, output).map_err(|e| e.in_file(folder))
    }

    /// Lowers a network as its bundle records it, so that both roles get the same program.
    pub(super) fn lower(manifest: Manifest, graph: TypedGraph, output: Output) -> Result<Self, Failure> {
        let params: CkksParams = manifest.parameters.parse()?;
        if params.security() == Security::Insecure {
            output.warn("INSECURE parameters, below 128 bits of security");
        }
        let program = manifest.lower(&graph, &params)?;
        let circuit = hash(&graph, &program);
        Ok(Self { manifest, graph, params, program: Arc::new(program), circuit })
    }

    /// What ciphertexts of this network are labelled with.
    pub(super) fn label(&self, content: Content) -> GroupLabel {
        GroupLabel { circuit: self.circuit, content }
    }

    /// Scale of an encrypted image.
    pub(super) fn input_scale(&self) -> f64 {
        f64::from(self.params.log_scale()).exp2()
    }

    /// Checks that ciphertexts from the file `path` are as many, and at the level, as the network says.
    pub(super) fn check(&self, content: Content, ciphertexts: &[RnsCiphertext], path: &Path) -> Result<(), Failure> {
        let value = match content {
            Content::Image => &self.program.values[0],
            Content::Result => self.program.result(),
        };
        let bad = |field: &str, is: usize, expected: usize| {
            let message = format!("{}: {field}: is {is}, the network needs {expected}", path.display());
            Err(Failure::bad_input(message, "make the file again with this bundle and this version of striae"))
        };
        let expected = value.layout.ciphertexts();
        if ciphertexts.len() != expected {
            return bad("number of ciphertexts", ciphertexts.len(), expected);
        }
        match ciphertexts.iter().find(|ct| ct.level() != value.level) {
            Some(ct) => bad("level", ct.level(), value.level),
            None => Ok(()),
        }
    }
}

/// Hash of all that the two roles have to agree on: the network and the program it becomes.
fn hash(graph: &TypedGraph, program: &HeProgram) -> CircuitHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&program.fingerprint()).update(graph.to_string().as_bytes());
    hasher.finalize().into()
}
