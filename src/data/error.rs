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
        DataError { code, file: file.into(), place: None, reason: plain(&reason.into()), help: None }
    }

    /// With its place in the file.
    pub fn at(mut self, place: impl Into<String>) -> DataError {
        self.place = Some(place.into());
        self
    }

    /// With a way out.
    pub fn help(mut self, help: impl Into<String>) -> DataError {
        self.help = Some(plain(&help.into()));
        self
    }
}

/// The longest clause: what a file calls its columns may be longer than any screen.
const LONGEST: usize = 600;

/// A clause for a terminal: what a file says in it cannot move the cursor, nor fill the screen.
fn plain(text: &str) -> String {
    beginning(text, LONGEST)
}

/// The beginning of a word that stands in a file.
pub fn clip(word: &str) -> String {
    beginning(word, 40)
}

fn beginning(text: &str, most: usize) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let short: String = text.chars().take(most).map(escape).collect();
    if text.chars().nth(most).is_some() { short + "…" } else { short }
}

/// A shape that a file claims: the first sizes of it.
pub fn clip_shape(shape: &[usize]) -> String {
    match shape {
        [first @ .., _] if first.len() >= 8 => {
            let sizes: Vec<String> = shape.iter().take(8).map(usize::to_string).collect();
            format!("[{}, …] of {} axes", sizes.join(", "), shape.len())
        }
        _ => format!("{shape:?}"),
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
        Some(near) => format!("did you mean `{}`?", clip(near)),
        None if names.is_empty() => "there is none".into(),
        None => {
            let shown = names.iter().take(8).map(|name| format!("`{}`", clip(name))).collect::<Vec<_>>().join(", ");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_neither_moves_the_cursor_nor_fills_the_screen() {
        let error = DataError::new("data::csv", "d.csv", format!("`\u{1b}[2J\r{}` is none", "x".repeat(5000)));
        let said = error.help("a\tb").to_string();
        assert!(said.starts_with("d.csv: `\\u{1b}[2J\\rxxx") && said.ends_with("x…\n  help: a\\tb"), "{said}");
        assert!(said.len() < 700);
        assert_eq!(near_or_all("", &["y".repeat(50).as_str()]), format!("there are `{}…`", "y".repeat(40)));
        assert_eq!(clip_shape(&[3; 8]), "[3, 3, 3, 3, 3, 3, 3, 3]");
        assert_eq!(clip_shape(&[3; 9]), "[3, 3, 3, 3, 3, 3, 3, 3, …] of 9 axes");
    }
}
