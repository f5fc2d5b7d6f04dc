//! Elements of another type than an operand takes: what was meant, and the cast where it was not that.

use super::Elab;
use crate::diagnostic::Diagnostic;
use crate::ir::op::{Elements, OpDef};
use crate::ir::structured::ValueId;
use crate::tensor::DType;
use crate::text::Span;

/// What an operator is about to work on.
#[derive(Clone, Copy)]
pub(super) struct Taken<'t> {
    /// The operator.
    pub op: &'static OpDef,
    /// Its word.
    pub word: &'t str,
    /// Where it stands.
    pub span: Span,
    /// Its operands.
    pub operands: &'t [Option<ValueId>],
}

impl Elab<'_> {
    /// Reports an operand of other elements, with what it was meant to be.
    pub(super) fn report_operand(&mut self, taken: Taken<'_>, index: usize, wanted: Elements, value: ValueId) {
        let name = taken.op.operands.get(index).or(taken.op.operands.last()).map_or("x", |schema| schema.name);
        let hint = self.meant_operand(taken, index, value);
        self.report_elements(taken, name, wanted, value, hint);
    }

    /// What an operand of other elements was meant to be: a mask without its name, or one in another's place.
    fn meant_operand(&mut self, taken: Taken<'_>, index: usize, value: ValueId) -> Option<Diagnostic> {
        let Taken { op, word, span, operands } = taken;
        let dtype = self.ty(value).dtype;
        let blank = || Diagnostic::error("type::elements", "", span, "");
        let given = |at: usize| operands.get(at).copied().flatten();
        let named = op.operands.iter().enumerate().find(|(at, schema)| {
            schema.name == "mask" && schema.dtype.allow(dtype) && dtype == DType::Bool && given(*at).is_none()
        });
        if let (Some(_), Some(name)) = (named, self.values[value.0 as usize].name.clone()) {
            let report = blank().note(format!("a mask flows in by its name: `mask = {name}`"));
            let text = self.sources.of(span).text.as_str();
            let line = text[..span.start as usize].rfind('\n').map_or(0, |at| at + 1);
            let before = &text[line..span.start as usize];
            let at = before.rfind(&format!(", {name}")).map(|at| (line + at + 2) as u32);
            return Some(match at {
                Some(start) => {
                    let place = Span { start, end: start, ..span };
                    report.fix(place, "mask = ", self.mended(place, "mask = "))
                }
                None => report,
            });
        }
        let fits = |at: usize, value: ValueId| {
            op.operands.get(at).is_some_and(|schema| schema.dtype.allow(self.ty(value).dtype))
        };
        let swapped = (0..operands.len()).any(|at| {
            at != index && given(at).is_some_and(|other| fits(index, other)) && fits(at, value) && !fits(index, value)
        });
        let class = op.operands.get(index).is_some_and(|schema| schema.name == "target") && dtype == DType::I64;
        if class && self.written(span) == word {
            let report = blank().note("numbers of classes are i64, and their loss is `cross_entropy`");
            let place =
                self.culprit(value).filter(|place| self.is_input(*place) && self.written(*place).starts_with("i64"));
            let report = match place {
                Some(place) => {
                    let word = Span { end: place.start + 3, ..place };
                    report.fix(word, "f32", self.mended(word, "f32"))
                }
                None => report,
            };
            return Some(report.fix(span, "cross_entropy", self.mended(span, "cross_entropy")));
        }
        swapped.then(|| {
            let names: Vec<&str> = op.operands.iter().filter(|schema| !schema.optional).map(|s| s.name).collect();
            blank().note(format!("the order is `({}) |> {}`", names.join(", "), op.name))
        })
    }

    /// Elements of another type than an operand takes.
    fn report_elements(
        &mut self,
        taken: Taken<'_>,
        name: &str,
        wanted: Elements,
        value: ValueId,
        hint: Option<Diagnostic>,
    ) {
        let Taken { word, span, .. } = taken;
        let ty = self.ty(value);
        let (words, cast) = match wanted {
            Elements::Float => ("floats", "f32"),
            Elements::Int => ("integers", "i64"),
            Elements::Bool => ("true and false", "bool"),
            Elements::Number => ("numbers", "f32"),
            Elements::Any => ("anything", "f32"),
        };
        let message = format!("`{name}` of `{word}` must be {words}, and is {}", self.shapes.show(ty));
        let mut report = Diagnostic::error("type::elements", message, span, format!("gets {}", ty.dtype));
        if let Some(place) = self.culprit(value).filter(|place| *place != span) {
            let verb = if self.is_input(place) { "comes in as" } else { "makes it" };
            report = report.label(place, format!("{verb} {}", self.shapes.show(ty)));
            let end = place.start + ty.dtype.word().len() as u32;
            let word = Span { end, ..place };
            if hint.is_none() && self.is_input(place) && self.written(word) == ty.dtype.word() {
                report = report.fix(word, cast, self.mended(word, cast));
            }
        }
        if let Some(hint) = hint {
            report.notes.extend(hint.notes);
            report.fixes.extend(hint.fixes);
            return self.report_flow(report, value);
        }
        let note = format!("nothing is cast silently: `cast(\"{cast}\")`");
        self.report_flow(report.note(note), value);
    }
}
