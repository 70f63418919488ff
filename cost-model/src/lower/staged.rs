//! The stages of a network with their multiplicative depths.

use striae_spaces::{NodeId, TypedGraph};

use crate::CostError;

use super::stages::{Stage, Staging, stages};

/// The stages of a network with their multiplicative depths.
#[derive(PartialEq, Eq)]
pub(crate) struct Staged {
    pub(super) stages: Vec<Stage>,
    /// Of every value, the input first.
    pub(super) depths: Vec<usize>,
}

impl Staged {
    /// Splits `graph` into stages.
    pub(crate) fn new(graph: &TypedGraph, staging: Staging) -> Result<Self, CostError> {
        let stages = stages(graph, staging)?;
        let mut depths = vec![0];
        for stage in &stages {
            let depth = match stage {
                Stage::Linear { sources, .. } => 1 + sources.iter().map(|s| depths[s.input.index()]).max().unwrap_or(0),
                Stage::Square { input, .. } => 1 + depths[input.index()],
                Stage::WindowSum { input, .. } => depths[input.index()],
            };
            depths.push(depth);
        }
        Ok(Self { stages, depths })
    }

    /// Stages that become linear steps.
    pub(super) fn linear_steps(&self) -> usize {
        self.stages.iter().filter(|stage| matches!(stage, Stage::Linear { .. })).count()
    }

    /// For each of some nodes in order, the depth of the last value made up to it, and how many stages there are up to it.
    pub(super) fn depths_at(&self, nodes: &[NodeId]) -> Vec<(usize, usize)> {
        let stages = |node: &NodeId| self.stages.partition_point(|stage| stage.node() <= *node);
        nodes.iter().map(stages).map(|count| (self.depths[count], count)).collect()
    }

    /// Levels of the whole network.
    pub(crate) fn depth(&self) -> usize {
        self.depths.last().copied().unwrap_or(0)
    }
}
