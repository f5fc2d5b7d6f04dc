//! What a name in a flow means: a value, a declared layer, a stage.

use super::scope::{Meaning, WORDS};
use super::value::{Given, StageValue, Static, Target, Val};
use super::{EXPRESSION, Elab};
use crate::diagnostic::Diagnostic;
use crate::ops;
use crate::syntax::ast::Call;
use crate::text::Span;

/// What a word in a flow stands for.
pub(super) enum Resolved {
    /// A value: it restarts the flow.
    Value(Val),
    /// A declared layer.
    Layer(usize),
    /// A stage with its arguments.
    Stage(Target, Vec<Given>),
    /// A mistake, reported.
    Broken,
}

impl<'a> Elab<'a> {
    /// What a name in a flow means.
    pub(super) fn resolve(&mut self, call: &'a Call) -> Resolved {
        let word = call.name.text.as_str();
        match &call.args {
            None => self.resolve_bare(call, word),
            Some(args) => {
                if self.tensors_in_arguments(call, args) {
                    return Resolved::Broken;
                }
                let given = self.given(args);
                self.resolve_called(call, word, given)
            }
        }
    }

    pub(super) fn resolve_bare(&mut self, call: &'a Call, word: &str) -> Resolved {
        if let Some(bound) = self.inst.lookup(word).cloned() {
            return match bound.what {
                Meaning::Value(_) | Meaning::Layer(_) if ops::find(word).is_some() => {
                    self.report_shadowed(call, word, bound.span);
                    Resolved::Broken
                }
                Meaning::Value(val) => Resolved::Value(val),
                Meaning::Layer(layer) => Resolved::Layer(layer),
                Meaning::Static(value) => self.resolve_static(call, value, vec![]),
            };
        }
        if let Some((value, _)) = self.inst.hypers.get(word).cloned() {
            return self.resolve_static(call, value, vec![]);
        }
        self.resolve_named(call, word, vec![])
    }

    pub(super) fn resolve_called(&mut self, call: &'a Call, word: &str, given: Vec<Given>) -> Resolved {
        let scoped = self.inst.lookup(word).map(|bound| bound.what.clone());
        if let Some(Meaning::Static(value @ Static::Stage(_))) = scoped {
            return self.resolve_static(call, value, given);
        }
        if let Some((value @ Static::Stage(_), _)) = self.inst.hypers.get(word).cloned() {
            return self.resolve_static(call, value, given);
        }
        if self.block_names.contains_key(word) || ops::find(word).is_some() {
            return self.resolve_named(call, word, given);
        }
        let bound =
            self.inst.lookup(word).map(|bound| bound.span).or(self.inst.hypers.get(word).map(|(_, span)| *span));
        if let Some(span) = bound {
            let text = format!("`{word}` takes no arguments: it is no stage");
            self.report(
                Diagnostic::error("name::not_a_stage", text, call.span, "called here").label(span, "bound here"),
            );
            return Resolved::Broken;
        }
        self.resolve_named(call, word, given)
    }

    pub(super) fn resolve_static(&mut self, call: &'a Call, value: Static, given: Vec<Given>) -> Resolved {
        match value {
            Static::Stage(stage) => {
                let StageValue { target, args } = stage.with(given);
                Resolved::Stage(target, args)
            }
            Static::Layer(layer) => Resolved::Layer(layer),
            Static::Unknown => Resolved::Broken,
            other if self.is_open(&other) => Resolved::Broken,
            other => {
                let text = format!("`{}` is {}, and does not flow", call.name.text, other.kind());
                let report = Diagnostic::error("type::number_in_flow", text, call.span, "not a stage or value");
                self.report(
                    report.note("a line of a body is a value or a stage; numbers stand in parentheses after a name"),
                );
                Resolved::Broken
            }
        }
    }

    pub(super) fn resolve_named(&mut self, call: &'a Call, word: &str, given: Vec<Given>) -> Resolved {
        if self.blocks_twice.contains(word) {
            return Resolved::Broken;
        }
        if let Some(&block) = self.block_names.get(word) {
            return Resolved::Stage(Target::Block(block), given);
        }
        if let Some(op) = ops::find(word) {
            return Resolved::Stage(Target::Op(op), given);
        }
        if self.inst.dims.contains_key(word) || self.declared().contains_key(word) {
            let value = Static::Dim(self.shapes.dims.symbol(word));
            return self.resolve_static(call, value, given);
        }
        if self.lost_name(word) {
            return Resolved::Broken;
        }
        if self.meant_own(word).is_none() && self.report_foreign(call) {
            return Resolved::Broken;
        }
        let text = format!("there is no operator, block or value `{word}`");
        if self.told_again("name::stage", &text, &text, call.name.span) {
            return Resolved::Broken;
        }
        let mut report = Diagnostic::error("name::stage", text, call.name.span, "unknown");
        if WORDS.contains(&word) {
            report.message = format!("`{word}` is no stage");
        } else if let Some(meant) = self.meant_stage(word) {
            report = self.meant_name(report, call.name.span, &meant);
        } else if call.args.is_none() {
            let names = self.inst.scopes.iter().flat_map(|scope| scope.keys());
            let names: Vec<String> = names.take(8).map(|name| format!("`{name}`")).collect();
            if self.inst.model && self.inst.name == EXPRESSION {
                report = report.note(format!("an input is named so: `--input {word}=[[1, 2]]`"));
            } else if !names.is_empty() {
                report = report.note(format!("the names of this body: {}", names.join(", ")));
            }
        }
        self.report(report);
        Resolved::Broken
    }

    pub(super) fn report_shadowed(&mut self, call: &Call, word: &str, bound: Span) {
        let text = format!("`{word}` alone is ambiguous: a name of this body, and an operator");
        let report = Diagnostic::error("name::ambiguous", text, call.span, "which of the two?");
        let report = report.label(bound, format!("`{word}` is bound here"));
        let report =
            report.note(format!("rename the one bound here; `path = \"{word}\"` keeps its place in the checkpoint"));
        self.report(report.fix(call.span, format!("{word}()"), format!("{word}()   which is always the operator")));
    }
}
