//! Names: what a word means where it stands, and which word was probably meant.

use super::Elab;
use super::value::{Static, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::dim::Dim;
use crate::ops;
use crate::syntax::ast::Name;
use crate::text::Span;
use indexmap::IndexMap;

/// An instance of a model or block: its parameters, dims and the names of its bodies.
#[derive(Clone, Debug, Default)]
pub(super) struct Inst {
    /// The model or block's name.
    pub name: String,
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
            self.report(report.label(first, kind).note("a name is bound once, and hides nothing of an enclosing body"));
            return;
        }
        if let Some(scope) = self.inst.scopes.last_mut() {
            scope.insert(name.text.clone(), Bound { what, span: name.span });
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
        if let Some(op) = by_torch(word) {
            return Some(op.to_string());
        }
        let values = self.inst.scopes.iter().flat_map(|scope| scope.keys().map(String::as_str));
        let stages = self.inst.hypers.keys().map(String::as_str);
        let blocks = self.block_names.keys().map(String::as_str);
        let ops = ops::all().filter(|op| op.is_public()).map(|op| op.name);
        near(word, values.chain(stages).chain(blocks).chain(ops)).map(str::to_string)
    }

    /// The names a number could have been meant to be.
    pub(super) fn meant_number(&self, word: &str) -> Option<String> {
        if self.told_enough() {
            return None;
        }
        let scoped = self.inst.scopes.iter().flatten().filter(|(_, bound)| matches!(bound.what, Meaning::Static(_)));
        let names = scoped.map(|(name, _)| name.as_str()).chain(self.inst.hypers.keys().map(String::as_str));
        let dims = self.declared.keys().map(String::as_str);
        near(word, names.chain(dims).chain(FUNCTIONS.iter().copied())).map(str::to_string)
    }
}

/// The operator that another library calls so: `ReLU`, `nn.Linear`, `Conv2d`, `dense`.
pub(super) fn by_torch(word: &str) -> Option<&'static str> {
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let wanted = plain(word);
    let stem = wanted.trim_end_matches(['1', '2', '3', 'd']);
    let known: &[(&str, &str)] = &[
        ("dense", "linear"),
        ("fc", "linear"),
        ("fullyconnected", "linear"),
        ("conv1d", "conv"),
        ("conv2d", "conv"),
        ("conv3d", "conv"),
        ("convolution", "conv"),
        ("maxpool2d", "maxpool"),
        ("cat", "concat"),
        ("swiss", "swish"),
        ("multiheadattention", "attention"),
        ("batchnorm2d", "batchnorm"),
        ("leakyrelu", "leaky_relu"),
        ("globalaveragepooling2d", "avgpool_global"),
    ];
    if let Some((_, op)) = known.iter().find(|(name, op)| *name == wanted && ops::find(op).is_some()) {
        return Some(op);
    }
    let named = |op: &&'static crate::ir::op::OpDef| {
        let classes = op.torch.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(plain);
        plain(op.name) == wanted
            || (!stem.is_empty() && plain(op.name) == stem && wanted.ends_with('d'))
            || (!wanted.is_empty() && classes.into_iter().any(|class| class == wanted))
    };
    ops::all().filter(|op| op.is_public()).find(named).map(|op| op.name)
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
