//! Arguments that several commands share, and the text of a `.model` file.

use super::{Failure, World};
use crate::text::{FileError, Files, Source};
use clap::ValueEnum;
use std::io::Read;

/// The longest `.model` text.
const LIMIT: u64 = 16 << 20;

/// A model's file and what is changed of it.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// The .model file; FILE#NAME where it holds several models, - for standard input
    #[arg(value_name = "FILE")]
    pub file: String,

    #[command(flatten)]
    pub set: SetArgs,
}

/// `--set`.
#[derive(Clone, Debug, clap::Args)]
pub struct SetArgs {
    /// Changes a hyperparameter (d=512) or a training setting (train.lr=3e-4); repeatable
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair, allow_hyphen_values = true)]
    pub set: Vec<(String, String)>,
}

/// `--threads`.
#[derive(Debug, clap::Args)]
pub struct ThreadArgs {
    /// How many threads compute (default: one a core); never changes a result
    #[arg(long, value_name = "N", value_parser = threads, allow_negative_numbers = true)]
    pub threads: Option<u16>,
}

/// `--mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Dropout off, stored statistics.
    #[default]
    Eval,
    /// Dropout on, the batch's own statistics.
    Train,
}

impl Mode {
    /// The library's word for it.
    pub fn graph(self) -> crate::ir::build::Mode {
        match self {
            Mode::Eval => crate::ir::build::Mode::Eval,
            Mode::Train => crate::ir::build::Mode::Train,
        }
    }
}

/// `--dtype`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Width {
    /// 32-bit floats.
    #[default]
    F32,
    /// 64-bit floats.
    F64,
}

impl Width {
    /// The element type of floats.
    pub fn float(self) -> crate::tensor::DType {
        match self {
            Width::F32 => crate::tensor::DType::F32,
            Width::F64 => crate::tensor::DType::F64,
        }
    }
}

impl ThreadArgs {
    /// As asked, or one a core; says so where there are fewer cores.
    pub fn count(&self, world: &mut World) -> Result<usize, Failure> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = self.threads.map_or(cores, usize::from);
        if count > cores {
            let have = if cores == 1 { "one core".to_string() } else { format!("{cores} cores") };
            let text = format!("{count} threads share {have}: they wait for each other, and the result is the same");
            super::open::tell_notes(world, &[text])?;
        }
        Ok(count)
    }
}

/// `--threads`.
fn threads(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err("from 1 to 1024 threads can compute; one a core is best".into()),
    }
}

/// `--seed`.
pub fn seed(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| {
        "a seed is a whole number of at least 0: the same seed draws the same numbers, another one others".into()
    })
}

/// `KEY=VALUE`, spaces around either taken off.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() && !value.trim().is_empty() => {
            Ok((key.trim().into(), value.trim().into()))
        }
        _ => Err("write KEY=VALUE, such as d=512".into()),
    }
}

/// `batch=32,seq=128` as sizes.
pub fn binding(text: &str) -> Result<(String, u64), String> {
    let (key, value) = pair(text).map_err(|_| "write DIM=SIZE, such as batch=32".to_string())?;
    match value.replace('_', "").parse::<u64>() {
        Ok(size) if size > 0 => Ok((key, size)),
        _ => Err(format!("`{value}` is no size: a whole number of at least 1 is")),
    }
}

/// Splits `FILE#NAME`.
pub fn split_name(file: &str) -> (&str, Option<&str>) {
    match file.rsplit_once('#') {
        Some((path, name)) if !path.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            (path, Some(name).filter(|name| !name.is_empty()))
        }
        _ => (file, None),
    }
}

/// The folder of a model's file, from which its data are read; empty for the current one.
pub fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| if folder.is_empty() { "/" } else { folder })
}

/// Reads the text of a `.model` file (`-`: standard input).
pub fn read(world: &World, file: &str) -> Result<Source, Failure> {
    let (name, bytes) = if file == "-" {
        let mut bytes = vec![];
        let failed = |error: std::io::Error| FileError { path: "<stdin>".into(), reason: error.to_string() };
        std::io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
        ("<stdin>", bytes)
    } else {
        (file, world.files.read(file, LIMIT)?)
    };
    let fail = |reason: String| Failure::File(FileError { path: name.into(), reason });
    if bytes.len() as u64 > LIMIT {
        return Err(fail("more than 16 MB: no .model text".into()));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text.strip_prefix('\u{feff}').unwrap_or(&text))),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
                return Err(fail("is UTF-16: save it as UTF-8".into()));
            }
            let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = String::from_utf8_lossy(&bytes[..at]).chars().rev().take_while(|c| *c != '\n').count() + 1;
            Err(Failure::File(FileError {
                path: format!("{name}:{line}:{column}"),
                reason: format!("byte 0x{:02x} is not UTF-8: save it as UTF-8", bytes[at]),
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_folders() {
        assert_eq!(split_name("a/b.model#small"), ("a/b.model", Some("small")));
        assert_eq!(split_name("a#b/c.model"), ("a#b/c.model", None));
        assert_eq!((folder("a/b.model"), folder("b.model"), folder("/b.model")), ("a", "", "/"));
    }

    #[test]
    fn pairs() {
        assert_eq!(pair("d = 512"), Ok(("d".into(), "512".into())));
        assert!(pair("d").is_err() && pair("=3").is_err() && pair("d=").is_err());
        assert_eq!(binding("batch=1_024"), Ok(("batch".into(), 1024)));
        assert!(binding("batch=0").is_err() && binding("batch=x").expect_err("refused").contains("`x`"));
    }
}
