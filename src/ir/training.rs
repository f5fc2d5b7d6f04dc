//! A train section, checked: the model with its overrides, and everything that its settings say.

use super::attr::Attrs;
use super::structured::{PortDef, Structured, Tail};
use crate::text::Span;

/// A train section.
#[derive(Clone, Debug)]
pub struct Training {
    /// Its label, if it has one.
    pub label: Option<String>,
    /// The model, with the section's overrides; its value table also holds targets and losses.
    pub model: Structured,
    /// The targets that come from the data, by name.
    pub targets: Vec<PortDef>,
    /// The loss: its result is `f32[]`. Derived targets (`y = tokens |> next`) are in its region.
    pub loss: Tail,
    /// The metrics.
    pub metrics: Vec<(String, Tail)>,
    /// The optimizers: the first whose pattern fits a parameter's path has it; one without pattern fits all.
    pub optimizers: Vec<Group>,
    /// Patterns of paths without gradient and update.
    pub freeze: Vec<String>,
    /// Patterns of paths whose gradients' norm is logged.
    pub watch: Vec<String>,
    /// `a |> b |> c`.
    pub schedule: Vec<Call>,
    /// Where the data comes from (`digits`, `csv("iris.csv")`).
    pub data: Option<Call>,
    /// A fraction to hold out, or another source.
    pub valid: Option<Valid>,
    /// The dims that are bound: `batch` (the first axis of all inputs) and others.
    pub sizes: Vec<(String, u64)>,
    /// Rows a step.
    pub batch: u64,
    /// How long.
    pub length: Option<Length>,
    /// Gradient clipping.
    pub clip: Option<Clip>,
    /// Whether the order is drawn anew each epoch.
    pub shuffle: bool,
    /// Whether the last, smaller batch is left out.
    pub drop_last: bool,
    /// The seed.
    pub seed: u64,
    /// A checkpoint every so many steps.
    pub save: Option<u64>,
    /// An evaluation every so many steps.
    pub eval_every: Option<u64>,
    /// Where it stands.
    pub span: Span,
}

/// A use of an entry of a catalogue that is not the operators' (optimizers, schedules, sources).
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The entry's name.
    pub name: String,
    /// Its attributes, bound.
    pub attrs: Attrs,
    /// Where.
    pub span: Span,
}

/// An optimizer and the paths it works on.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// `"head.*"`; `*` matches dots too.
    pub pattern: Option<String>,
    /// Which optimizer.
    pub optimizer: Call,
}

/// What is held out for validation.
#[derive(Clone, Debug, PartialEq)]
pub enum Valid {
    /// This share of the rows.
    Fraction(f64),
    /// Another source.
    Source(Call),
}

/// How long a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many steps.
    Steps(u64),
    /// So many passes over the data.
    Epochs(u64),
}

/// Gradient clipping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// All gradients together to this p-norm: max, p.
    Norm(f64, f64),
    /// Each element to ±this.
    Value(f64),
}
