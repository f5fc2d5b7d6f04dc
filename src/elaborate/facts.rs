//! Facts of `where`: learned by a model, proved at the call of a block.

use super::Elab;
use super::condition::Truth;
use super::value::Static;
use crate::diagnostic::Diagnostic;
use crate::ir::op::{Condition, Misfit, MisfitKind, Need};
use crate::syntax::ast::{BinOp, Block, Cond, Entry, ExprKind};
use crate::text::Span;

impl<'a> Elab<'a> {
    /// A fact of a model's `where`: known from here on, checked when sizes are bound.
    pub(super) fn learn_fact(&mut self, cond: &'a Cond) {
        match self.truth(cond) {
            Truth::Known(true) | Truth::Silent => {}
            Truth::Opaque => self.report_opaque(cond, cond.span),
            Truth::Known(false) if self.speaks_of_sizes(cond) => self.report_never(cond),
            Truth::Known(false) => self.report_false(cond, None),
            Truth::Open(condition) => {
                self.prover.learn(&mut self.shapes.dims, condition);
                let misfit = Misfit::of(MisfitKind::Sentence(self.written(cond.span).to_string()));
                self.facts.push((Need { condition, misfit }, cond.span));
            }
        }
    }

    /// Whether a dim stands in a condition.
    pub(super) fn speaks_of_sizes(&self, cond: &Cond) -> bool {
        let mut names = vec![];
        super::signature::dim_names(&cond.left, &mut names);
        if let Some((_, right)) = &cond.right {
            super::signature::dim_names(right, &mut names);
        }
        let symbol = |name: &String| match self.inst.hypers.get(name) {
            Some((value, _)) => matches!(value, Static::Dim(_)),
            None => self.declared().contains_key(name),
        };
        names.iter().any(symbol)
    }

    /// A fact that no sizes fulfil, by itself or beside those before it.
    pub(super) fn report_never(&mut self, cond: &'a Cond) {
        // A call of a block that can never be called was told as another mistake.
        self.retain_reports(|report| {
            let diagnostic = &report.diagnostic;
            diagnostic.code != "where::false" || diagnostic.labels.iter().all(|label| label.span != cond.span)
        });
        let written = self.written(cond.span);
        let owner = if self.symbolic { self.block_names.get(&self.inst.name).map(|&at| self.blocks[at]) } else { None };
        let model = self.files.iter().flat_map(|file| &file.entries).find_map(|entry| match entry {
            Entry::Model(model) if model.name.text == self.inst.name => Some(model),
            _ => None,
        });
        let conds = owner.or(model).map_or(&[][..], |block| &block.conds);
        let before = conds.iter().filter(|other| other.span < cond.span && self.speaks_of_sizes(other));
        let text = match before.clone().count() {
            0 => format!("no sizes fulfil `{written}`: a dim is at least 1"),
            _ => format!("no sizes fulfil `{written}` beside the facts before it"),
        };
        let mut report = Diagnostic::error("where::never", text, cond.span, "never true");
        for other in self.contradicting(cond, before.collect()) {
            report = report.label(other.span, "asked for here");
        }
        self.report(report);
    }

    /// The facts without which a condition would not be refuted: none of them can be left out.
    fn contradicting(&mut self, cond: &'a Cond, before: Vec<&'a Cond>) -> Vec<&'a Cond> {
        let known = std::mem::take(&mut self.prover);
        let mut needed = before.clone();
        let refuted = |elab: &mut Self, facts: &[&'a Cond]| {
            elab.prover = Default::default();
            for fact in facts {
                if let Truth::Open(condition) = elab.truth(fact) {
                    elab.prover.learn(&mut elab.shapes.dims, condition);
                }
            }
            matches!(elab.truth(cond), Truth::Known(false))
        };
        // A long list is shown as it is: trying costs its square.
        if before.len() <= 32 && refuted(self, &needed) {
            let mut at = 0;
            while at < needed.len() {
                let mut fewer = needed.clone();
                fewer.remove(at);
                if refuted(self, &fewer) {
                    needed = fewer;
                } else {
                    at += 1;
                }
            }
        }
        self.prover = known;
        needed
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
        let fact = self.prover.missing(&mut self.shapes.dims, condition).unwrap_or_else(|| match condition {
            Condition::Equal(a, b) => format!("{} == {}", self.shapes.dims.show(a), self.shapes.dims.show(b)),
            Condition::AtLeast(..) | Condition::Divides { .. } => text.clone(),
        });
        let message = format!("whether `{text}` holds is not known");
        let report = Diagnostic::error("where::undecided", message, span, "must be proved for this call");
        let report = report.label(cond.span, "asked for here");
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
        let mut known = vec![];
        for name in names.into_iter().collect::<indexmap::IndexSet<_>>() {
            let value = self.inst.hypers.get(&name).map(|(value, _)| value.clone());
            let value = value.or_else(|| self.inst.dims.get(&name).map(|&dim| Static::Dim(dim)));
            if let Some(value) = value {
                let fact = format!("{name} = {}", self.shown(&value));
                known.extend(Some(fact).filter(|fact| *fact != format!("{name} = {name}")));
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
                report = report.note(super::remedy::divided_by(size));
            }
        }
        self.report(if call.is_some() { report.label(cond.span, "asked for here") } else { report });
    }
}
