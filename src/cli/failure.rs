//! How a command ends: an answer, or why there is none; and the exit code of each.

use super::streams::Stream;
use crate::data::DataError;
use crate::exec::session::RunError;
use crate::export::weights::WeightsError;
use crate::text::FileError;
use crate::train::fit::TrainError;
use std::process::ExitCode;

/// What was asked was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// And all is well: 0.
    Well,
    /// And found wanting: 1. What is wanting has been said.
    Wanting,
    /// Up to an interrupt, and what was done is saved: 130.
    Interrupted,
}

impl Verdict {
    /// The exit code.
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Verdict::Well => 0,
            Verdict::Wanting => 1,
            Verdict::Interrupted => 130,
        })
    }
}

/// Why something could not be done: exit code 2.
#[derive(Debug)]
pub enum Failure {
    /// Arguments that do not fit together, or a limit.
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// A file that cannot be read or written.
    File(FileError),
    /// Malformed or unfit data.
    Data(DataError),
    /// Weights that do not fit.
    Weights(WeightsError),
    /// The text is wrong, and that has been said: exit code 1.
    Told,
    /// A run ended badly (exit code 1), or could not be made (exit code 2): code, words, which.
    Run {
        /// `train::diverged`.
        code: &'static str,
        /// What happened.
        message: String,
        /// It was done, and found wanting.
        wanting: bool,
    },
    /// The reader of our output has gone: nothing is left to say, and nothing was wrong.
    Closed,
}

impl Failure {
    /// A sentence about the arguments.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::Usage { message: message.into(), help: None }
    }

    /// A text that checks, and is refused for what it says: exit code 1.
    pub fn refused(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::Run { code, message: message.into(), wanting: true }
    }

    /// With a way out.
    pub fn help(self, help: impl Into<String>) -> Failure {
        match self {
            Failure::Run { code, message, wanting } => {
                Failure::Run { code, message: format!("{message}\n  help: {}", help.into()), wanting }
            }
            Failure::Usage { message, .. } => Failure::Usage { message, help: Some(help.into()) },
            other => other,
        }
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Closed => 0,
            Failure::Told | Failure::Run { wanting: true, .. } => 1,
            Failure::Usage { .. } | Failure::File(_) | Failure::Data(_) | Failure::Weights(_) | Failure::Run { .. } => {
                2
            }
        })
    }

    /// Says it on standard error, in the form of a diagnostic.
    pub fn tell(&self, err: &mut Stream) {
        let (code, text) = match self {
            Failure::Usage { message, help } => {
                let help = help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
                ("usage", format!("{message}{help}"))
            }
            Failure::File(error) => ("file", error.to_string()),
            Failure::Data(error) => (error.code, error.to_string()),
            Failure::Weights(error) => ("weights::fit", error.to_string()),
            Failure::Run { code, message, .. } => (*code, message.clone()),
            Failure::Closed | Failure::Told => return,
        };
        let (red, plain) = if err.color { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        // Where even this cannot be written there is nobody to tell.
        let _ = err.line(&format!("{red}error[{code}]{plain} {text}"));
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        let help = match &error {
            RunError::TooMuch { .. } | RunError::Memory(_) => {
                "\n  help: a smaller batch or a smaller model; `wythe summary` shows what takes how much"
            }
            _ => "",
        };
        Failure::Run { code: error.code(), message: format!("{error}{help}"), wanting: false }
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Failure {
        match error {
            TrainError::Data(error) => Failure::Data(error),
            TrainError::File(error) => Failure::File(error),
            TrainError::Weights(error) => Failure::Weights(error),
            TrainError::Run(error) => error.into(),
            error => {
                let wanting = matches!(error, TrainError::Diverged { .. });
                Failure::Run { code: error.code(), message: error.to_string(), wanting }
            }
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Failure {
        Failure::File(error)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Failure {
        Failure::Data(error)
    }
}

impl From<WeightsError> for Failure {
    fn from(error: WeightsError) -> Failure {
        Failure::Weights(error)
    }
}
