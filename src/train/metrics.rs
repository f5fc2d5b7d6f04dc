//! `metrics.jsonl`: one line a step, in shortest digits that read back the same.

use crate::text::{FileError, Files};
use std::fmt::Write;

/// The largest log that is read back.
const LIMIT: u64 = 4 << 30;

/// So much may wait between two checkpoints: whoever follows the file sees a run that is alive.
const WAIT: usize = 16 << 10;

/// A number of the run's own width: 0.1f32 is written `0.1`, not `0.10000000149011612`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Real {
    /// f32.
    Single(f32),
    /// f64.
    Double(f64),
}

impl Real {
    /// As f64.
    pub fn value(self) -> f64 {
        match self {
            Real::Single(value) => f64::from(value),
            Real::Double(value) => value,
        }
    }
}

impl Default for Real {
    fn default() -> Real {
        Real::Single(0.0)
    }
}

/// What is logged of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The number of the step, from 1.
    pub step: u64,
    /// The loss before the step.
    pub loss: Real,
    /// The learning rate of the step.
    pub lr: f64,
    /// The norm of all gradients before clipping.
    pub grad_norm: Option<Real>,
    /// The same of each pattern that is watched.
    pub grad_norms: Vec<(String, Real)>,
    /// The loss's named parts.
    pub terms: Vec<(String, Real)>,
    /// Results on the held-out rows, if they were evaluated after this step.
    pub valid: Vec<(String, f64)>,
}

impl Row {
    /// Appends the line, with its end.
    pub fn write(&self, text: &mut String) {
        self.begin(text);
        self.end(text);
    }

    /// Appends what is known after the step.
    pub(super) fn begin(&self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{{\"step\":{},\"loss\":{},\"lr\":{:?}", self.step, self.loss, self.lr);
        if let Some(norm) = self.grad_norm {
            let _ = write!(text, ",\"grad_norm\":{norm}");
        }
        object(text, "grad_norms", self.grad_norms.iter().map(|(name, value)| (name, *value)));
        object(text, "terms", self.terms.iter().map(|(name, value)| (name, *value)));
    }

    /// Appends what is known after the evaluation, and the line's end.
    pub(super) fn end(&self, text: &mut String) {
        object(text, "valid", self.valid.iter().map(|(name, value)| (name, Real::Double(*value))));
        text.push_str("}\n");
    }
}

/// `,"terms":{"kl":0.5}`; nothing where there is no part.
fn object<'a>(text: &mut String, key: &str, parts: impl Iterator<Item = (&'a String, Real)>) {
    let mut sign = '{';
    for (name, value) in parts {
        if sign == '{' {
            let _ = write!(text, ",\"{key}\":");
        }
        let _ = write!(text, "{sign}{}:{value}", serde_json::Value::from(name.as_str()));
        sign = ',';
    }
    if sign == ',' {
        text.push('}');
    }
}

/// Shortest digits; JSON has no NaN and no infinity.
impl std::fmt::Display for Real {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Real::Single(value) if value.is_finite() => write!(f, "{value:?}"),
            Real::Double(value) if value.is_finite() => write!(f, "{value:?}"),
            Real::Single(_) | Real::Double(_) => f.write_str("null"),
        }
    }
}

/// The log of a run.
#[derive(Debug)]
pub struct Log {
    path: String,
    waiting: String,
}

impl Log {
    /// Starts the log of a run that goes on from `step` (0: begins): lines of later steps, and a line that a kill cut
    /// short, go.
    pub fn start(files: &dyn Files, path: &str, step: u64) -> Result<Log, FileError> {
        let kept = if step > 0 && files.exists(path) { keep(&files.read(path, LIMIT)?, step) } else { String::new() };
        files.write(path, kept.as_bytes())?;
        Ok(Log { path: path.into(), waiting: String::new() })
    }

    /// Adds a row; it reaches the file with the next `flush`.
    pub fn add(&mut self, row: &Row) {
        row.write(&mut self.waiting);
    }

    /// Adds a row whose beginning was written before.
    pub(super) fn add_begun(&mut self, begun: &str, row: &Row) {
        self.waiting.push_str(begun);
        row.end(&mut self.waiting);
    }

    /// Writes what waits, if it is much.
    pub fn relieve(&mut self, files: &dyn Files) -> Result<(), FileError> {
        if self.waiting.len() < WAIT { Ok(()) } else { self.flush(files) }
    }

    /// Writes what waits: before a checkpoint, so that the log is never behind it.
    pub fn flush(&mut self, files: &dyn Files) -> Result<(), FileError> {
        if !self.waiting.is_empty() {
            files.append(&self.path, self.waiting.as_bytes())?;
            self.waiting.clear();
        }
        Ok(())
    }
}

/// The whole lines up to a step.
fn keep(bytes: &[u8], step: u64) -> String {
    let text = String::from_utf8_lossy(bytes);
    let belongs = |line: &&str| {
        let row: Option<serde_json::Value> = serde_json::from_str(line).ok();
        row.and_then(|row| row["step"].as_u64()).is_some_and(|at| at <= step)
    };
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).take_while(belongs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::memory::Memory;

    fn row(step: u64) -> Row {
        Row {
            step,
            loss: Real::Single(0.1),
            lr: 3e-4,
            grad_norm: Some(Real::Single(1e-7)),
            grad_norms: vec![],
            terms: vec![],
            valid: vec![],
        }
    }

    fn line(row: &Row) -> String {
        let mut text = String::new();
        row.write(&mut text);
        text
    }

    #[test]
    fn shortest_digits() {
        assert_eq!(line(&row(1)), "{\"step\":1,\"loss\":0.1,\"lr\":0.0003,\"grad_norm\":1e-7}\n");
        let terms = vec![("k\"l".to_string(), Real::Double(0.1 + 0.2))];
        let grad_norms = vec![("head.*".to_string(), Real::Double(0.25))];
        let full =
            Row { loss: Real::Double(f64::NAN), grad_norms, terms, valid: vec![("accuracy".into(), 1.0)], ..row(2) };
        let json: serde_json::Value = serde_json::from_str(&line(&full)).expect("JSON");
        assert_eq!(json["terms"]["k\"l"].as_f64(), Some(0.1 + 0.2));
        assert_eq!(json["grad_norms"]["head.*"].as_f64(), Some(0.25));
        assert!(json["loss"].is_null() && json["valid"]["accuracy"] == 1.0);
    }

    #[test]
    fn a_resume_cuts_what_came_after() {
        let files = Memory::default();
        let mut log = Log::start(&files, "m", 0).expect("begun");
        (1..=5).for_each(|step| log.add(&row(step)));
        log.flush(&files).expect("written");
        files.append("m", b"{\"step\":6,\"lo").expect("a kill");
        let mut log = Log::start(&files, "m", 3).expect("resumed");
        log.add(&row(4));
        log.flush(&files).expect("written");
        let text = String::from_utf8(files.read("m", 1 << 20).expect("there")).expect("text");
        assert_eq!(text, (1..=4).map(|step| line(&row(step))).collect::<String>());
        Log::start(&files, "m", 0).expect("anew");
        assert_eq!(files.read("m", 1 << 20).expect("there"), b"");
    }
}
