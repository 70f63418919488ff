//! What a running study works with.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use striae_cost_model::Calibration;
use striae_spaces::space::{StriaSpace, builtin};
use striae_train::{DatasetName, SeedTree, Splits, load};

use super::RunError;
use crate::{
    SearchEvent, SpaceRef, StopReason, Study,
    candidate::Candidates,
    coster::Coster,
    storage::{Store, StoredStudy},
    verify::MemoryLimit,
};

/// Share of the training images that the search validates on.
const VALIDATION: f64 = 0.1;
/// Study attribute that holds the configuration.
pub(crate) const CONFIG_KEY: &str = "striae:config";

/// How to run a study.
#[derive(Clone, Debug)]
pub struct StudyRunOptions {
    /// The store's file.
    pub store: PathBuf,
    /// Folder of checkpoints and weights.
    pub folder: PathBuf,
    /// Candidates evaluated at once.
    pub threads: usize,
    /// Times that estimates use.
    pub calibration: Calibration,
    /// Limit on the memory of the encrypted check, if there is one; for studies whose networks are run.
    pub memory: Option<MemoryLimit>,
}

/// A study with all it needs to run.
pub struct StudyRun<'a> {
    pub(super) study: &'a Study,
    pub(super) candidates: Candidates,
    pub(super) splits: Splits,
    pub(super) store: Store,
    pub(super) options: StudyRunOptions,
    listener: &'a (dyn Fn(&SearchEvent) + Sync),
    stop: &'a AtomicBool,
}

impl<'a> StudyRun<'a> {
    /// Loads space and data and opens the store, all before anything is evaluated. `listener` hears what happens; a true
    /// `stop` ends the run at the next safe point.
    pub fn open(
        study: &'a Study,
        options: StudyRunOptions,
        listener: &'a (dyn Fn(&SearchEvent) + Sync),
        stop: &'a AtomicBool,
    ) -> Result<Self, RunError> {
        let candidates = Candidates::new(load_space(study)?, study.costing().packings());
        let splits = load_data(study)?;
        // A store that is refused must leave no folder behind.
        let store = Store::open_or_create(&options.store)?;
        fs_err::create_dir_all(&options.folder)
            .map_err(|source| RunError::Io { path: options.folder.clone(), source })?;
        Ok(Self { study, candidates, splits, store, options, listener, stop })
    }

    /// Runs or resumes every phase; `Some` is why it ended early.
    pub fn run(&self) -> Result<Option<StopReason>, RunError> {
        let _lock = self.store.lock()?;
        let main = self.stored(self.study.name())?;
        let phases: [&dyn Fn() -> Result<(), RunError>; 4] = [
            &|| self.trials(&main, self.study.sampler().kind, self.study.budget().trials),
            &|| self.baseline(),
            &|| self.references(&main),
            &|| self.picks(&main),
        ];
        for phase in phases {
            phase()?;
            if self.stopped() {
                self.emit(&SearchEvent::Stopped { reason: StopReason::Interrupted });
                return Ok(Some(StopReason::Interrupted));
            }
        }
        Ok(None)
    }

    /// The study's row in the store, created on first use; refuses one that was begun with other settings.
    pub(super) fn stored(&self, name: &str) -> Result<StoredStudy, RunError> {
        let config = serde_json::to_value(self.study.config()).unwrap_or_default();
        let attrs = BTreeMap::from([(CONFIG_KEY.to_owned(), config)]);
        let stored = self.store.create_or_load_study(name, &self.study.directions(), &attrs)?;
        if let Some(config) = stored.user_attrs.get(CONFIG_KEY) {
            self.study.check_resumes(config)?;
        }
        Ok(stored)
    }

    /// Estimates networks under the study's protocol.
    pub(super) fn coster(&self) -> Coster<'_> {
        Coster::new(self.study.costing(), &self.options.calibration)
    }

    pub(super) fn emit(&self, event: &SearchEvent) {
        (self.listener)(event);
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Tells a training or a check whether to go on.
    pub(super) fn flow(&self) -> ControlFlow<()> {
        if self.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub(super) fn read_attr<T: DeserializeOwned>(&self, name: &str, key: &'static str) -> Result<Option<T>, RunError> {
        read_attr(&self.store.load_study(name)?, key)
    }

    pub(super) fn write_attr<T: Serialize>(
        &self,
        stored: &StoredStudy,
        key: &'static str,
        value: &T,
    ) -> Result<(), RunError> {
        let value = serde_json::to_value(value).map_err(|e| RunError::Attribute { key, reason: e.to_string() })?;
        Ok(self.store.set_study_attr(stored.id, key, &value)?)
    }

    /// Folder of one network's files.
    pub(super) fn network_folder(&self, arch_id: &str) -> Result<PathBuf, RunError> {
        let path = self.options.folder.join(arch_id);
        fs_err::create_dir_all(&path).map_err(|source| RunError::Io { path: path.clone(), source })?;
        Ok(path)
    }
}

/// A typed study attribute.
pub(super) fn read_attr<T: DeserializeOwned>(stored: &StoredStudy, key: &'static str) -> Result<Option<T>, RunError> {
    let parse = |value: &Value| {
        serde_json::from_value(value.clone()).map_err(|e| RunError::Attribute { key, reason: e.to_string() })
    };
    stored.user_attrs.get(key).map(parse).transpose()
}

fn load_space(study: &Study) -> Result<StriaSpace, RunError> {
    let named = |path: &Path, source| RunError::Space { path: path.to_owned(), source };
    match study.space() {
        SpaceRef::Builtin(name) => builtin(&name).map_err(|e| named(study.path(), e)),
        SpaceRef::File(path) => {
            let text = fs_err::read_to_string(&path).map_err(|source| RunError::Io { path: path.clone(), source })?;
            StriaSpace::from_toml(&text).map_err(|e| named(&path, e))
        }
    }
}

/// The study's data set in its three parts.
pub fn load_data(study: &Study) -> Result<Splits, RunError> {
    let name: DatasetName = study.dataset().parse()?;
    let seed = SeedTree::new(study.seed().named("data").0);
    let splits = load(name, study.data_dir().as_deref(), VALIDATION, &seed)?;
    Ok(splits.normalised(study.config().normalisation))
}
