//! Lints: what runs and is probably a mistake. What cannot run, or cannot mean what is written, is an error instead.
//!
//! The same catalogue pattern as operators: a lint is one static with its words, a text that it fires on, one that it must
//! be silent about, and a function over the [`Flow`] of a graph. A wrong lint costs more than a missing one: none fires on
//! a pattern whose exception is common practice. Lints look only at files without errors.

/// Defines lints: the doc comment is the manual (field `doc`), and the list names them all.
macro_rules! lints {
    ($list:ident; $($(#[doc = $doc:expr])* $name:ident = $def:expr;)*) => {
        $($(#[doc = $doc])* pub static $name: Lint = Lint { doc: concat!($($doc, "\n"),*), ..$def };)*
        /// The lints of this file.
        pub(super) static $list: &[&Lint] = &[$(&$name),*];
    };
}

mod activations;
mod allow;
mod capacity;
mod confused;
mod edit;
mod flow;
mod kinds;
mod losses;
mod norms;
mod report;
mod residual;
mod sequence;
mod trail;
mod training;
mod unused;

pub use flow::{Flow, Maker, Reader, Site};
pub use report::{Cx, Subject, check, is_lint, may_train};
pub use trail::{Known, follow};

use crate::diagnostic::Severity;

/// One entry of the catalogue.
pub struct Lint {
    /// `lint::softmax_before_ce`.
    pub code: &'static str,
    /// How grave: an error ends `check` with 1 and stops `train`; an info is told only when asked for.
    pub severity: Severity,
    /// The manual: the first sentence stands alone in tables.
    pub doc: &'static str,
    /// Why it matters, in a sentence: the `note:` of every report.
    pub why: &'static str,
    /// Where that is known from.
    pub source: &'static str,
    /// A text that it fires on, once, and nothing else does.
    pub fires: &'static str,
    /// A text that looks alike, about which all lints are silent.
    pub quiet: &'static str,
    /// Looks for it.
    pub check: Check,
}

/// What a lint looks at.
pub enum Check {
    /// A graph: of each train section with its loss, and of each model that has none.
    Flow(fn(&mut Cx<'_>)),
    /// The file as a whole.
    File(fn(&Subject<'_>) -> Vec<crate::diagnostic::Diagnostic>),
    /// Comments: told where they are read.
    Comment,
}

impl Lint {
    /// What most entries share.
    const DEFAULT: Lint = Lint {
        code: "",
        severity: Severity::Warning,
        doc: "",
        why: "",
        source: "",
        fires: "",
        quiet: "",
        check: Check::Comment,
    };

    /// `softmax_before_ce`.
    pub fn name(&self) -> &'static str {
        self.code.trim_start_matches("lint::")
    }
}

/// All lints, by theme.
pub fn all() -> impl Iterator<Item = &'static Lint> {
    [
        losses::LINTS,
        norms::LINTS,
        training::LINTS,
        residual::LINTS,
        activations::LINTS,
        capacity::LINTS,
        confused::LINTS,
        sequence::LINTS,
        unused::LINTS,
        allow::LINTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The lint that a user names: `softmax_before_ce`, `softmax-before-ce`, `lint::softmax_before_ce`.
pub fn find(name: &str) -> Option<&'static Lint> {
    let name = name.trim_start_matches("lint::").replace('-', "_");
    all().find(|lint| lint.name() == name)
}

#[cfg(test)]
mod tests;
