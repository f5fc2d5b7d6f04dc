//! Facts of `where`: learned by a model, proved at the call of a block.

use super::Elab;
use super::condition::Truth;
use super::value::Static;
use crate::diagnostic::Diagnostic;
use crate::ir::op::{Condition, Misfit, MisfitKind, Need};
use crate::syntax::ast::{BinOp, Block, Cond, ExprKind};
use crate::text::Span;

impl<'a> Elab<'a> {
    /// A fact of a model's `where`: known from here on, checked when sizes are bound.
    pub(super) fn learn_fact(&mut self, cond: &'a Cond) {
        match self.truth(cond) {
            Truth::Known(true) | Truth::Silent => {}
            Truth::Opaque => self.report_opaque(cond, cond.span),
            Truth::Known(false) => self.report_false(cond, None),
            Truth::Open(condition) => {
                self.prover.learn(&mut self.shapes.dims, condition);
                let misfit = Misfit::of(MisfitKind::Sentence(self.written(cond.span).to_string()));
                self.facts.push((Need { condition, misfit }, cond.span));
            }
        }
    }

    /// A block's facts, proved at the call.
    pub(super) fn check_facts(&mut self, block: &'a Block, span: Span) -> bool {
        let mut sound = true;
        for cond in &block.conds {
            match self.truth(cond) {
                Truth::Known(true) => {}
                Truth::Known(false) => {
                    self.report_false(cond, Some(span));
                    sound = false;
                }
                Truth::Silent => sound = false,
                Truth::Open(_) | Truth::Opaque if self.symbolic => {}
                Truth::Open(condition) => sound &= self.leave_open(condition, cond, span),
                Truth::Opaque => {
                    self.report_opaque(cond, span);
                    sound = false;
                }
            }
        }
        sound
    }

    /// A condition on sizes of a kind that cannot be proved, nor checked later.
    pub(super) fn report_opaque(&mut self, cond: &'a Cond, span: Span) {
        let text = format!("`{}` is no fact that can be proved or checked", self.written(cond.span));
        let report = Diagnostic::error("where::opaque", text, span, "speaks of a dim, which stands for any size");
        self.report(report.note("facts on sizes are `==`, `<`, `<=`, `>`, `>=`, and `a % b == 0`"));
    }

    pub(super) fn leave_open(&mut self, condition: Condition, cond: &'a Cond, span: Span) -> bool {
        let text = self.written(cond.span).to_string();
        if let Condition::AtLeast(..) = condition {
            let misfit = Misfit::of(MisfitKind::Sentence(text));
            self.needs.push((Need { condition, misfit }, span));
            return true;
        }
        let fact = self.prover.missing(&mut self.shapes.dims, condition).unwrap_or_else(|| text.clone());
        let message = format!("whether `{text}` holds is not known");
        let report = Diagnostic::error("where::undecided", message, span, "must be proved for this call");
        let report = report.label(cond.span, "asked for here").note(format!("say so: `where {fact}`"));
        let report = self.with_fact_fix(report, &fact);
        self.report(report);
        false
    }

    /// A fact that does not hold.
    pub(super) fn report_false(&mut self, cond: &'a Cond, call: Option<Span>) {
        let written = self.written(cond.span).to_string();
        let mut names = vec![];
        super::signature::dim_names(&cond.left, &mut names);
        if let Some((_, right)) = &cond.right {
            super::signature::dim_names(right, &mut names);
        }
        names.dedup();
        let mut known = vec![];
        for name in names {
            let value = self.inst.hypers.get(&name).map(|(value, _)| value.clone());
            let value = value.or_else(|| self.inst.dims.get(&name).map(|&dim| Static::Dim(dim)));
            if let Some(value) = value {
                known.push(format!("{name} = {}", self.shown(&value)));
            }
        }
        let values = if known.is_empty() { String::new() } else { format!(" for {}", known.join(", ")) };
        let text = format!("`{written}` does not hold{values}");
        let (place, label) = match call {
            Some(span) if known.is_empty() => (span, "called so".to_string()),
            Some(span) => (span, format!("called with {}", known.join(", "))),
            None => (cond.span, "asked for here".to_string()),
        };
        let mut report = Diagnostic::error("where::false", text, place, label);
        if let ExprKind::Binary(BinOp::Rem, what, _) = &cond.left.kind {
            let what = self.eval(what);
            if let Some(size) = self.as_int(&what).filter(|size| (1..100_000).contains(size)) {
                report = report.note(super::explain::divided_by(size));
            }
        }
        self.report(if call.is_some() { report.label(cond.span, "asked for here") } else { report });
    }
}
