//! Why data could not be had.

use crate::text::FileError;

/// Malformed, missing or unfit data: which file, where in it, what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataError {
    /// `data::name`, as in a diagnostic.
    pub code: &'static str,
    /// The file as the user gave it (or the source: `digits`, `--input x`).
    pub file: String,
    /// Where in it: `line 12`, `byte 128`, `entry x.npy`.
    pub place: Option<String>,
    /// What is wrong: a lower-case clause.
    pub reason: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl DataError {
    /// An error about a file.
    pub fn new(code: &'static str, file: impl Into<String>, reason: impl Into<String>) -> DataError {
        DataError { code, file: file.into(), place: None, reason: reason.into(), help: None }
    }

    /// With its place in the file.
    pub fn at(mut self, place: impl Into<String>) -> DataError {
        self.place = Some(place.into());
        self
    }

    /// With a way out.
    pub fn help(mut self, help: impl Into<String>) -> DataError {
        self.help = Some(help.into());
        self
    }
}

impl std::fmt::Display for DataError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = &self.place {
            write!(f, ", {place}")?;
        }
        write!(f, ": {}", self.reason)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DataError {}

impl From<FileError> for DataError {
    fn from(error: FileError) -> DataError {
        DataError::new("data::file", error.path, error.reason)
    }
}

/// The sentence with the nearest of `names`, if one is near: `, did you mean …?`; else what there is.
pub fn near_or_all(name: &str, names: &[&str]) -> String {
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "there is none".into(),
        None => {
            let shown = names.iter().take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let rest = if names.len() > 8 { format!(" and {} more", names.len() - 8) } else { String::new() };
            format!("there are {shown}{rest}")
        }
    }
}

/// The nearest of some names, if it is near enough to be meant.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = names.map(|other| (strsim::jaro_winkler(name, other), other)).filter(|(score, _)| *score > 0.8);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other)
}
