//! A study's TOML and what belongs to it: the store beside it, and the folder of its weights and reports.

use std::path::{Path, PathBuf};

use clap::Args;
use striae_cost_model::hybrid::Protocol;
use striae_search::run::Pick;
use striae_search::storage::Store;
use striae_search::summary::{CostSummary, PlanSummary};
use striae_search::{Costing, SpaceRef, Study};
use striae_spaces::{Shape, space::StriaSpace, zoo};
use striae_train::DatasetName;

use super::failure::Failure;
use super::space;

/// Which study.
#[derive(Args, Clone, Debug)]
pub(crate) struct StudyArgs {
    /// The study's TOML file
    #[arg(value_name = "STUDY.toml")]
    pub(crate) study: PathBuf,
    /// The study's store [default: STUDY.striae.sqlite3 beside the TOML file]
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
    /// Folder of the data set's files, in place of the study's `data_dir`
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// A checked study and its files.
#[derive(Clone, Debug)]
pub(crate) struct StudyFiles {
    /// The study.
    pub(crate) study: Study,
    /// Its store.
    pub(crate) store: PathBuf,
    /// Folder of weights and reports.
    pub(crate) folder: PathBuf,
}

impl StudyArgs {
    /// Reads the study and checks all it names, before anything is written.
    pub(crate) fn open(&self) -> Result<StudyFiles, Failure> {
        let mut study = Study::from_file(&self.study)?;
        if let Some(dir) = &self.data_dir {
            // Relative to where the command runs, not to the study's file.
            let dir = std::path::absolute(dir).map_err(|e| Failure::unreadable(dir, &e))?;
            let config = striae_search::StudyConfig { data_dir: Some(dir), ..study.config().clone() };
            study = Study::from_config(config, &self.study)?;
        }
        check(&study)?;
        let store = self.store.clone().unwrap_or_else(|| self.study.with_extension("striae.sqlite3"));
        Ok(StudyFiles { study, store, folder: self.study.with_extension("striae") })
    }
}

impl StudyFiles {
    /// Refuses what runs networks or prepares them to be run, for a protocol that is only estimated.
    pub(crate) fn must_be_runnable(&self) -> Result<(), Failure> {
        match self.study.costing() {
            Costing::Ckks { .. } => Ok(()),
            Costing::Hybrid { protocol, .. } => Err(self.not_run(*protocol)),
        }
    }

    /// How a pick is run.
    pub(crate) fn plan_of<'p>(&self, pick: &'p Pick) -> Result<&'p PlanSummary, Failure> {
        match &pick.cost {
            CostSummary::Ckks(plan) => Ok(plan),
            CostSummary::Hybrid(hybrid) => Err(self.not_run(hybrid.protocol)),
        }
    }

    fn not_run(&self, protocol: Protocol) -> Failure {
        let study = self.study.path().display();
        let message =
            format!("{study}: protocol: {protocol} is estimated, not run: there is nothing to verify or to export");
        let hint = format!(
            "`striae report {study}` shows the estimates, {} holds the trained weights; a study with `protocol = \"ckks\"` is run",
            self.folder.display()
        );
        Failure::bad_input(message, hint)
    }

    /// The store of a study that has been run.
    pub(crate) fn open_store(&self) -> Result<Store, Failure> {
        if !self.store.exists() {
            let message = format!("{}: cannot be read: no such file", self.store.display());
            let hint = format!("run the study first: `striae search {}`", self.study.path().display());
            return Err(Failure::bad_input(message, hint));
        }
        Ok(Store::open(&self.store)?)
    }
}

/// Names are checked where they are read, so that a misspelt reference does not end a search after an hour.
fn check(study: &Study) -> Result<(), Failure> {
    let file = study.path();
    let in_field = |e: Failure, field: &str| Failure { message: format!("{field}: {}", e.message), ..e }.in_file(file);
    let dataset: DatasetName =
        study.dataset().parse().map_err(|e: striae_train::DataError| in_field(e.into(), "dataset"))?;
    for name in &study.config().references {
        zoo::build(name).map_err(|e| in_field(e.into(), "references"))?;
    }
    let space = load_space(study).map_err(|e| in_field(e, "space"))?;
    let ([channels, height, width], images) = (space.literal().input, shape(dataset));
    let input = Shape::map(channels, height, width);
    if input != images {
        let message = format!("space: {} takes {input}, the images of {dataset} are {images}", space.name());
        return Err(Failure::bad_input(message, "choose a space for these images, or another data set").in_file(file));
    }
    Ok(())
}

fn load_space(study: &Study) -> Result<StriaSpace, Failure> {
    match study.space() {
        SpaceRef::Builtin(name) => space::load(&name),
        SpaceRef::File(path) => space::load_file(&path),
    }
}

/// Shape of the images of a data set.
pub(crate) fn shape(name: DatasetName) -> Shape {
    match name {
        DatasetName::Glyphs | DatasetName::Mnist | DatasetName::FashionMnist => Shape::map(1, 28, 28),
        DatasetName::Cifar10 => Shape::map(3, 32, 32),
    }
}

/// A path for messages: as the user gave it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
