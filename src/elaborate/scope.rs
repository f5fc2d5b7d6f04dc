//! Names: what a word means where it stands, and which word was probably meant.

use super::Elab;
use super::value::{Static, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::dim::Dim;
use crate::ops;
use crate::ops::foreign;
use crate::syntax::ast::{Block, Name};
use crate::text::Span;
use indexmap::IndexMap;

/// An instance of a model or block: its parameters, dims and the names of its bodies.
#[derive(Clone, Debug, Default)]
pub(super) struct Inst {
    /// The model or block's name.
    pub name: String,
    /// The file that it stands in: its dims are those that the file declares.
    pub file: usize,
    /// Whether it is the model: its dims are rigid, its undecided equalities are errors.
    pub model: bool,
    /// Hyperparameters.
    pub hypers: IndexMap<String, (Static, Span)>,
    /// Dims of the signature, as bound.
    pub dims: IndexMap<String, Dim>,
    /// What `...` in the inputs stands for.
    pub rest: Option<Vec<Dim>>,
    /// Names of the bodies, innermost last.
    pub scopes: Vec<IndexMap<String, Bound>>,
}

/// A name's meaning.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// What it is.
    pub what: Meaning,
    /// Where it was bound.
    pub span: Span,
}

/// What a name of a body can be.
#[derive(Clone, Debug)]
pub(super) enum Meaning {
    /// A value.
    Value(Val),
    /// A declared layer.
    Layer(usize),
    /// A number: a `for`'s variable, a `dim` of the body.
    Static(Static),
}

/// Words that are values of the number world, or `it`.
pub(super) const WORDS: &[&str] = &["it", "true", "false", "none", "inf"];

/// The number functions.
pub(super) const FUNCTIONS: &[&str] = &["floor", "ceil", "round", "min", "max", "len", "range", "sqrt", "log"];

impl Inst {
    /// A model or block about to be read.
    pub(super) fn of(block: &Block) -> Inst {
        Inst { name: block.name.text.clone(), file: usize::from(block.name.span.file), ..Inst::default() }
    }

    /// The meaning of a name in the bodies, innermost first.
    pub(super) fn lookup(&self, name: &str) -> Option<&Bound> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }
}

impl Elab<'_> {
    /// Binds a name in the innermost body: once, and hiding nothing.
    pub(super) fn bind_name(&mut self, name: &Name, what: Meaning) {
        if name.text == "_" {
            return;
        }
        if WORDS.contains(&name.text.as_str()) {
            let text = format!("`{}` is a word of the language and cannot be bound", name.text);
            self.report(Diagnostic::error("name::word", text, name.span, "choose another name"));
            return;
        }
        let earlier = self.inst.lookup(&name.text).map(|bound| bound.span);
        let hyper = self.inst.hypers.get(&name.text).map(|(_, span)| *span);
        if let Some(first) = earlier.or(hyper) {
            let report = Diagnostic::error(
                "name::twice",
                format!("`{}` is bound twice", name.text),
                name.span,
                "bound again here",
            );
            let kind = if earlier.is_some() { "bound here already" } else { "a hyperparameter" };
            let report = report.label(first, kind);
            let report = self.without_name(report, name);
            self.report(report.note("a name is bound once: what a line makes flows on without one"));
            return;
        }
        if let Some(scope) = self.inst.scopes.last_mut() {
            scope.insert(name.text.clone(), Bound { what, span: name.span });
        }
    }

    /// With the fix that leaves out the name before a `=`.
    fn without_name(&self, report: Diagnostic, name: &Name) -> Diagnostic {
        let Some(source) = self.sources.0.get(usize::from(name.span.file)) else { return report };
        let after = &source.text[name.span.end as usize..];
        let Some(rest) = after.trim_start_matches(' ').strip_prefix('=').filter(|rest| !rest.starts_with('=')) else {
            return report;
        };
        let rest = rest.trim_start_matches(' ');
        let end = name.span.end + (after.len() - rest.len()) as u32;
        let shown = rest.lines().next().unwrap_or("").split("//").next().unwrap_or("").trim().to_string();
        report.fix(Span { end, ..name.span }, "", shown)
    }

    /// With the place where the dim that is written there was declared.
    pub(super) fn with_declaration(&self, report: Diagnostic, span: Span) -> Diagnostic {
        match self.declared().get(self.written(span).trim()) {
            Some(&declared) => report.label(declared, "declared as a dim here"),
            None => report,
        }
    }

    /// A report on an unknown name, with the one that was probably meant.
    pub(super) fn meant_name(&self, mut report: Diagnostic, span: Span, meant: &str) -> Diagnostic {
        report.labels[0].text = format!("did you mean `{meant}`?");
        let mended = self.mended(span, meant);
        report.fix(span, meant, mended)
    }

    /// What an unknown stage was probably meant to be: an operator by another library's name, or a near word.
    pub(super) fn meant_stage(&self, word: &str) -> Option<String> {
        if self.told_enough() {
            return None;
        }
        if let Some(own) = self.meant_own(word) {
            return Some(own);
        }
        if let Some(ours) = foreign::ours(word).filter(|ours| ops::find(ours).is_some()) {
            return Some(ours.to_string());
        }
        near(word, ops::all().filter(|op| op.is_public()).map(|op| op.name)).map(str::to_string)
    }

    /// The name of this file that an unknown one is near.
    pub(super) fn meant_own(&self, word: &str) -> Option<String> {
        let values = self.inst.scopes.iter().flat_map(|scope| scope.keys().map(String::as_str));
        let stages = self.inst.hypers.keys().map(String::as_str);
        let blocks = self.block_names.keys().map(String::as_str);
        near(word, values.chain(stages).chain(blocks)).map(str::to_string)
    }

    /// The names a number could have been meant to be.
    pub(super) fn meant_number(&self, word: &str) -> Option<String> {
        if self.told_enough() {
            return None;
        }
        let scoped = self.inst.scopes.iter().flatten().filter(|(_, bound)| matches!(bound.what, Meaning::Static(_)));
        let names = scoped.map(|(name, _)| name.as_str()).chain(self.inst.hypers.keys().map(String::as_str));
        let dims = self.declared().keys().map(String::as_str);
        near(word, names.chain(dims).chain(FUNCTIONS.iter().copied())).map(str::to_string)
    }
}

/// The nearest of some words, if it is near enough to be meant.
pub(super) fn near<'w>(word: &str, candidates: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let length = word.chars().take(100).count();
    if length == 100 {
        return None;
    }
    // Any two letters are near each other: such a guess helps nobody.
    let allowed = if length < 3 { 0 } else { (length / 3).max(1) };
    let distance = |candidate: &&str| strsim::damerau_levenshtein(word, candidate);
    let best = candidates.into_iter().filter(|c| *c != word).min_by_key(distance)?;
    (distance(&best) <= allowed).then_some(best)
}
