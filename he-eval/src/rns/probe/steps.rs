//! Whole steps, timed through the very functions that run a circuit, and what the client does.

use std::hint::black_box;
use std::time::Instant;

use striae_cost_model::calibration::{PROBE_ROTATIONS, Probe};
use striae_cost_model::{CkksParams, KeyPlan, LinearPlan, Term};

use crate::backend::{HeBackend, HeClient};
use crate::bench::Sweep;
use crate::circuit::{linear_step, window_step};
use crate::rns::ciphertext::{RnsCiphertext, RnsPlain};
use crate::rns::client::RnsClient;
use crate::rns::evaluator::RnsBackend;
use crate::rns::linear::RnsLinear;
use crate::{HeError, Seed};

/// Diagonals that are encoded together: encoding is parallel over them.
const ENCODED: u32 = 8;
/// Largest ring whose tables of transforms stay in caches from step to step.
const TABLES_STAY: u32 = 14;
/// A rotation that no probe uses.
const OTHER: u32 = PROBE_ROTATIONS + 1;

/// Keys and operands of the probes, at the highest level of a chain.
pub(crate) struct StepProbe {
    client: RnsClient,
    backend: RnsBackend,
    values: Vec<f64>,
    cts: Vec<RnsCiphertext>,
    steps: Vec<Step>,
}

struct Step {
    probe: Probe,
    linear: Option<(LinearPlan, RnsLinear, Vec<RnsPlain>)>,
}

impl StepProbe {
    /// Makes keys, ciphertexts and weights for these probes.
    pub(crate) fn new(params: &CkksParams, probes: &[Probe]) -> Result<Self, HeError> {
        let level = params.max_level();
        let (client, backend) = RnsBackend::keygen(params, &KeyPlan::up_to(level, 1..=OTHER), Seed::Fixed(0))?;
        let scale = f64::from(params.log_scale()).exp2();
        let values: Vec<f64> = (0..params.slots()).map(|i| (i as f64).sin()).collect();
        let most = probes.iter().map(|p| p.ciphertexts()).max().unwrap_or(1);
        let cts = (0..most).map(|_| client.encrypt(&values, level, scale)).collect::<Result<Vec<_>, _>>()?;
        let fill = |_: usize, slots: &mut [f64]| slots.copy_from_slice(&values);
        let step = |&probe: &Probe| {
            let Some(plan) = probe.plan() else { return Ok(Step { probe, linear: None }) };
            let weights = backend.encode_linear(&plan, level, scale, &fill)?;
            let bias = backend.encode(&values, level - 1, scale * scale / backend.modulus(level))?;
            let biases = vec![bias; plan.outputs];
            Ok(Step { probe, linear: Some((plan, weights, biases)) })
        };
        let steps = probes.iter().map(step).collect::<Result<_, HeError>>()?;
        Ok(Self { client, backend, values, cts, steps })
    }

    /// Seconds of one execution of probe number `index`, whose keys and diagonals come from memory if `cold`. Operands are as
    /// recent as those of a program, whose step before has just used them, and so are the tables of rings so small that they
    /// stay in caches meanwhile.
    pub(crate) fn time(&self, index: usize, cold: bool, sweep: &Sweep) -> Result<f64, HeError> {
        let step = &self.steps[index];
        if cold {
            sweep.caches();
            if self.backend.params().log_n() <= TABLES_STAY {
                black_box(self.backend.rotate(&self.cts[0], OTHER)?);
            }
        } else {
            black_box(self.run(step, &self.operands(step))?);
        }
        let operands = self.operands(step);
        match step.probe {
            Probe::Encode => self.encode(),
            Probe::Encrypt => {
                let (level, scale) = (self.backend.params().max_level(), self.cts[0].scale);
                timed(|| self.client.encrypt(&self.values, level, scale))
            }
            Probe::Decrypt => timed(|| self.client.decrypt(&operands[0])),
            Probe::Linear { .. } | Probe::Squares(_) | Probe::Window { .. } => timed(|| self.run(step, &operands)),
        }
    }

    fn operands(&self, step: &Step) -> Vec<RnsCiphertext> {
        self.cts[..step.probe.ciphertexts()].to_vec()
    }

    fn run(&self, step: &Step, operands: &[RnsCiphertext]) -> Result<Vec<RnsCiphertext>, HeError> {
        let backend = &self.backend;
        match (step.probe, &step.linear) {
            (Probe::Window { rotations, .. }, _) => window_step(backend, operands, &[(1..=rotations).collect()]),
            (Probe::Linear { .. }, Some((plan, weights, bias))) => {
                let operands: Vec<&RnsCiphertext> = operands.iter().collect();
                linear_step(backend, (plan, weights, bias), weights.level(), &operands)
            }
            (Probe::Squares(_), _) => backend.square_all(operands),
            (Probe::Linear { .. } | Probe::Encode | Probe::Encrypt | Probe::Decrypt, _) => Ok(Vec::new()),
        }
    }

    fn encode(&self) -> Result<f64, HeError> {
        let babies: Vec<u32> = (1..=ENCODED).collect();
        let terms = (0..ENCODED as u16).map(|baby| Term { output: 0, giant: 0, input: 0, baby }).collect();
        let plan = LinearPlan { inputs: 1, outputs: 1, babies: vec![babies], giants: vec![0], terms, folds: vec![] };
        let fill = |_: usize, slots: &mut [f64]| slots.copy_from_slice(&self.values);
        let (level, scale) = (self.backend.params().max_level(), self.cts[0].scale);
        Ok(timed(|| self.backend.encode_linear(&plan, level, scale, &fill))? / f64::from(ENCODED))
    }
}

fn timed<T>(f: impl FnOnce() -> Result<T, HeError>) -> Result<f64, HeError> {
    let start = Instant::now();
    let result = black_box(f()?);
    let seconds = start.elapsed().as_secs_f64();
    drop(result);
    Ok(seconds)
}
