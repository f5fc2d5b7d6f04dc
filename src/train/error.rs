//! Why a run did not happen, or ended early.

use crate::data::DataError;
use crate::exec::session::RunError;
use crate::export::weights::WeightsError;
use crate::text::FileError;

/// Why a run did not happen, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A run of the graph.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A number is not finite any more.
    #[error("step {step}: {what} is not finite{}\n  help: {}", .saved.as_ref().map(|path| format!("; the last good checkpoint is {path}")).unwrap_or_default(), way_out(*.updated))]
    Diverged {
        /// In which step, from 1.
        step: u64,
        /// Layer and tensor.
        what: String,
        /// Whether an update came before, or made it: else the run began with it.
        updated: bool,
        /// The last good checkpoint.
        saved: Option<String>,
    },
    /// A batch of one row would reach a layer that needs at least two.
    #[error("a batch of one row would reach {path}, which needs at least two\n  help: {way_out}")]
    OneRow {
        /// Its path.
        path: String,
        /// What leaves no such batch.
        way_out: &'static str,
    },
    /// A dim of the model is bound by nothing.
    #[error(
        "the size of `{0}` is not known\n  help: say it in the train section, `{0} 128`, or with --set train.{0}=128"
    )]
    Size(String),
    /// The sizes of the batches break a fact of the model.
    #[error("{0}\n  help: another size in the train section, or another hyperparameter: --set NAME=VALUE")]
    Sizes(#[from] crate::pipeline::Unmet),
    /// A pattern of paths that fits no parameter.
    #[error("`{setting} \"{pattern}\"` fits no parameter\n  help: {near}")]
    Pattern {
        /// `freeze`, `watch` or `optimizer`.
        setting: &'static str,
        /// As written.
        pattern: String,
        /// What it could mean.
        near: String,
    },
    /// Every parameter is frozen.
    #[error("every parameter is frozen: there is nothing to learn\n  help: `freeze` fewer paths")]
    Frozen,
    /// What is watched has no gradient.
    #[error(
        "`watch \"{0}\"` fits frozen parameters only, which have no gradient\n  help: watch others, or `freeze` fewer paths"
    )]
    Still(String),
    /// A resumed run has the seed that it began with.
    #[error(
        "the run in {out} was begun with the seed {begun}, and cannot go on with {asked}\n  help: leave --seed out, or begin anew in another folder"
    )]
    Seed {
        /// The run's folder.
        out: String,
        /// Its seed.
        begun: u64,
        /// What was asked for.
        asked: u64,
    },
}

/// What to do about numbers that grow without bound, and about those that the run began with.
fn way_out(updated: bool) -> &'static str {
    match updated {
        true => "a smaller `lr`, a longer `warmup`, or `clip norm(1.0)`",
        false => {
            "nothing was learned yet: bring the data to a size of about 1, begin with smaller weights, or look for a root, \
             a logarithm or a division of 0 there"
        }
    }
}

impl TrainError {
    /// `train::diverged`, as in a diagnostic.
    pub fn code(&self) -> &'static str {
        match self {
            TrainError::Data(error) => error.code,
            TrainError::File(_) => "file",
            TrainError::Weights(_) => "weights::fit",
            TrainError::Run(error) => error.code(),
            TrainError::Diverged { .. } => "train::diverged",
            TrainError::OneRow { .. } => "train::batch",
            TrainError::Size(_) | TrainError::Sizes(_) => "train::size",
            TrainError::Pattern { .. } => "train::pattern",
            TrainError::Frozen | TrainError::Still(_) => "train::frozen",
            TrainError::Seed { .. } => "train::seed",
        }
    }
}
