//! A failed shape rule in words: both culprits, in the user's names.

use super::Elab;
use super::apply::Use;
use super::elements::Taken;
use super::sentences::Told;
use super::value::Given;
use crate::diagnostic::Diagnostic;
use crate::ir::attr::Attr;
use crate::ir::op::{Condition, Misfit, MisfitKind, Need, Why};
use crate::ir::structured::ValueId;
use crate::text::Span;

impl Elab<'_> {
    /// Reports a failed shape rule.
    pub(super) fn report_misfit(&mut self, use_: &Use<'_>, misfit: Misfit) {
        let operand = misfit.operand.and_then(|index| use_.operands.get(index).copied().flatten());
        let operand = operand.or_else(|| use_.operands.first().copied().flatten());
        if let MisfitKind::Elements(wanted) = misfit.kind {
            if let Some(value) = operand {
                let index = misfit.operand.unwrap_or(0);
                let Use { op, word, span, .. } = *use_;
                self.report_operand(Taken { op, word, span, operands: &use_.operands }, index, wanted, value);
            }
            return;
        }
        let Told { code, message, label } = self.tell(use_, &misfit, operand);
        let place = self.argument_of(use_, &misfit);
        if let (MisfitKind::Attribute(clause), Some(place)) = (&misfit.kind, place) {
            let report = Diagnostic::error(code, message, place, label);
            let report = self.with_stride(report, use_, &misfit);
            let shown = self.speaks_of_operand(clause, operand);
            let report = if shown { self.with_culprits(report, use_, &misfit, operand) } else { report };
            let report = self.with_misfit_fix(report, use_, &misfit);
            return match operand.filter(|_| shown) {
                Some(value) => self.report_flow(report, value),
                None => self.report(report),
            };
        }
        let mut report = Diagnostic::error(code, message, use_.span, label);
        let made = misfit.kind == MisfitKind::Divides(Why::Groups) && self.divides_what_is_made(use_, &misfit, operand);
        if made {
            let found = misfit.found.map(|dim| self.shapes.dims.show(dim)).unwrap_or_default();
            let wanted = misfit.wanted.map(|dim| self.shapes.dims.show(dim)).unwrap_or_default();
            report.message = format!("{wanted} groups do not divide the {found} channels that `{}` makes", use_.word);
        } else {
            report = self.with_culprits(report, use_, &misfit, operand);
        }
        report = self.with_table(report, use_, &misfit);
        report = self.with_misfit_fix(report, use_, &misfit);
        match operand {
            Some(value) => self.report_flow(report, value),
            None => self.report(report),
        }
    }

    /// Whether what is wrong with an argument is so for the shape that flows in: a size or axis of it is spoken of.
    fn speaks_of_operand(&self, clause: &str, operand: Option<ValueId>) -> bool {
        // A clause that counts speaks of it, too.
        let counts = clause.contains(char::is_numeric);
        if counts || ["axes", "axis", "image", "channel", "window"].iter().any(|word| clause.contains(word)) {
            return true;
        }
        let dims = operand.map_or(&[][..], |value| self.shapes.dims(self.ty(value)));
        let words: Vec<&str> = clause.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        dims.iter().any(|&dim| words.contains(&self.shapes.dims.show(dim).as_str()))
    }

    /// The argument that an attribute was given by, by name or by position.
    fn argument_of(&self, use_: &Use<'_>, misfit: &Misfit) -> Option<Span> {
        let attr = misfit.attr?;
        let named = use_.given.iter().find(|arg| arg.name.as_ref().is_some_and(|name| name.text == attr));
        if let Some(arg) = named {
            return Some(arg.span);
        }
        let mut positional = use_.op.attrs.iter().filter(|def| def.positional);
        let at = positional.position(|def| def.name == attr)?;
        let unnamed: Vec<&Given> = use_.given.iter().filter(|arg| arg.name.is_none()).collect();
        let places = use_.op.attrs.iter().filter(|def| def.positional).count();
        let alone = places == 1 || unnamed.len() > places;
        match (unnamed.first(), unnamed.last()) {
            // A list that may be written without brackets.
            (Some(first), Some(last)) if alone => Some(first.span.to(last.span)),
            _ => unnamed.get(at).map(|arg| arg.span),
        }
    }

    /// `pad = "same"` beside a stride.
    fn with_stride(&self, report: Diagnostic, use_: &Use<'_>, misfit: &Misfit) -> Diagnostic {
        let stride = use_.given.iter().find(|arg| arg.name.as_ref().is_some_and(|name| name.text == "stride"));
        match (misfit.attr, stride) {
            (Some("pad"), Some(stride)) => report.label(stride.span, "a stride"),
            _ => report,
        }
    }

    /// Whether it is the channels of the result that groups do not divide.
    fn divides_what_is_made(&self, use_: &Use<'_>, misfit: &Misfit, operand: Option<ValueId>) -> bool {
        let out = match use_.attrs.values().first() {
            Some(Attr::Int(out)) => Some(*out),
            _ => None,
        };
        let found = misfit.found.and_then(|dim| self.shapes.dims.as_const(dim));
        let flows = operand.and_then(|value| self.shapes.dims(self.ty(value)).get(1).copied());
        found.is_some() && found == out && flows != misfit.found
    }

    /// The stages that made what does not fit.
    fn with_culprits(
        &mut self,
        mut report: Diagnostic,
        use_: &Use<'_>,
        misfit: &Misfit,
        operand: Option<ValueId>,
    ) -> Diagnostic {
        let mut values: Vec<ValueId> = operand.into_iter().collect();
        if misfit.operand.is_some_and(|index| index > 0) {
            values.extend(use_.operands.first().copied().flatten());
        }
        let mut places = vec![use_.span];
        for value in values {
            // Of two widths that differ each was decided by the last stage that says one.
            let made = if misfit.kind == MisfitKind::Shapes { self.sizer(value) } else { self.culprit(value) };
            let Some(place) = made.filter(|place| !places.contains(place)) else { continue };
            places.push(place);
            let text = self.shown_type(self.ty(value));
            let verb = if self.is_input(place) { "comes in as" } else { "makes it" };
            report = report.label(place, format!("{verb} {text}"));
        }
        report
    }

    /// The declared layer whose table does not fit.
    fn with_table(&self, report: Diagnostic, use_: &Use<'_>, misfit: &Misfit) -> Diagnostic {
        let layer = use_.attrs.values().iter().find_map(|attr| match attr {
            Attr::Layer(layer) if misfit.kind == MisfitKind::Size(Why::Table) => Some(layer.index as usize),
            _ => None,
        });
        let Some(layer) = layer.and_then(|index| self.layers.get(index)) else { return report };
        let Some(bound) = self.inst.lookup(&layer.name) else { return report };
        let wide = misfit.wanted.map(|dim| self.shapes.dims.show(dim)).unwrap_or_default();
        report.label(bound.span, format!("a row of its table is {wide} wide"))
    }

    /// Whether a place is a type in a signature or of a target.
    pub(super) fn is_input(&self, place: Span) -> bool {
        self.written(place).ends_with(']') && !self.written(place).contains('(')
    }

    /// Two different declared dims never match.
    pub(super) fn different(&self, misfit: &Misfit) -> Option<String> {
        let (found, wanted) = (misfit.found?, misfit.wanted?);
        let (a, b) = (self.shapes.dims.show(found), self.shapes.dims.show(wanted));
        let both = self.declared().contains_key(&a) && self.declared().contains_key(&b) && a != b;
        both.then(|| format!("`{a}` and `{b}` are different dims: they never match"))
    }

    /// A requirement that is neither proved nor refuted: the fact that would decide it.
    pub(super) fn report_undecided(&mut self, use_: &Use<'_>, need: Need) {
        let operand = need.misfit.operand.and_then(|index| use_.operands.get(index).copied().flatten());
        let fact = self.prover.missing(&mut self.shapes.dims, need.condition);
        let fact = fact.filter(|_| self.different(&need.misfit).is_none());
        let Some(fact) = fact else { return self.report_misfit(use_, need.misfit) };
        let told = self.tell(use_, &need.misfit, operand);
        let asks = match need.condition {
            Condition::Equal(a, b) if need.misfit.kind != MisfitKind::Count => {
                format!("{} == {}", self.shapes.dims.show(a), self.shapes.dims.show(b))
            }
            Condition::Equal(..) | Condition::Divides { .. } | Condition::AtLeast(..) => fact.clone(),
        };
        let message = format!("`{}` needs `{asks}`, which is not known", use_.word);
        let report = Diagnostic::error("where::undecided", message, use_.span, told.label);
        let report = self.with_culprits(report, use_, &need.misfit, operand);
        let report = self.with_fact_fix(report, &fact);
        match operand {
            Some(value) => self.report_flow(report, value),
            None => self.report(report),
        }
    }
}
