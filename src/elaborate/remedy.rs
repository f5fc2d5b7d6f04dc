//! What a teacher would propose where a shape rule failed; whether it is true is tried by the caller.

use super::Elab;
use super::apply::Use;
use super::value::Given;
use crate::diagnostic::Diagnostic;
use crate::ir::attr::Attr;
use crate::ir::dim::Dim;
use crate::ir::op::{Misfit, MisfitKind, Why};
use crate::tensor::DType;
use crate::text::Span;

impl Elab<'_> {
    /// The note and the fix that belong to a misfit.
    pub(super) fn with_misfit_fix(&mut self, report: Diagnostic, use_: &Use<'_>, misfit: &Misfit) -> Diagnostic {
        match &misfit.kind {
            MisfitKind::Size(Why::Pin) => {
                let found = misfit.found.map(|dim| self.shapes.dims.show(dim)).unwrap_or_default();
                match use_.given.iter().find(|arg| arg.pin.is_some()) {
                    Some(arg) => report.fix(arg.value_span, found.clone(), self.mended(arg.value_span, &found)),
                    None => report,
                }
            }
            MisfitKind::Axis { rank, .. } if *rank > 0 => {
                let report = report.note(format!("axes count from 0, or back from -1: the last one is {}", rank - 1));
                let named = |arg: &&Given| arg.name.as_ref().is_none_or(|name| name.text == "axis");
                match use_.given.iter().find(named) {
                    Some(arg) => report.fix(arg.value_span, "-1", self.mended(arg.value_span, "-1")),
                    None => report,
                }
            }
            MisfitKind::Size(Why::Inner) if use_.op.name == "matmul" => {
                let report = report.note("`matmul_nt` multiplies with the transpose of its second value");
                if self.written(use_.span) != use_.word {
                    return report;
                }
                report.fix(use_.span, "matmul_nt", self.mended(use_.span, "matmul_nt"))
            }
            MisfitKind::Rank { .. } => match use_.op.operands.get(misfit.operand.unwrap_or(0)) {
                Some(schema)
                    if schema.name == "target" && !use_.op.attrs.iter().any(|def| def.name == "ignore_index") =>
                {
                    self.with_equal_target(report, use_, misfit)
                }
                Some(schema) if schema.name == "target" && use_.op.name != "ctc" => {
                    let report = self.with_target_fix(report, use_, misfit);
                    match schema.dtype.allow(DType::I64) {
                        true => report.note(
                            "classes are i64, one number for each row; floats are one probability for each class",
                        ),
                        false => report.note("a target of floats has the shape of what it is compared with"),
                    }
                }
                _ if self.lacks_batch(use_, misfit) => report
                    .note("its first axis is the batch: `dim batch` at the top, and `[batch, …]` in the signature"),
                _ => report.note(format!("the shapes of `{}`: {}", use_.word, use_.op.shape)),
            },
            MisfitKind::TooSmall(Why::Table) => {
                let arg = use_.given.iter().find(|arg| arg.name.as_ref().is_none_or(|name| name.text == "vocab"));
                match (arg, misfit.wanted.and_then(|dim| self.shapes.dims.as_const(dim))) {
                    (Some(arg), Some(rows)) => {
                        report.fix(arg.value_span, rows.to_string(), self.mended(arg.value_span, &rows.to_string()))
                    }
                    _ => report,
                }
            }
            MisfitKind::Attribute(_) => match (misfit.meant.clone(), place_of(use_, misfit)) {
                (Some(meant), Some(place)) => report.fix(place, meant.clone(), self.mended(place, &meant)),
                _ => report,
            },
            MisfitKind::Count => self.with_count_fix(report, use_, misfit),
            MisfitKind::Size(Why::Other) if use_.op.name == "squeeze" => self.with_squeezed_axis(report, use_),
            MisfitKind::Size(Why::Concat) => self.with_axis_fix(report, use_, misfit),
            MisfitKind::Divides(Why::Pairs) => match self.even_heads(use_) {
                Some(note) => report.note(note),
                None => report,
            },
            MisfitKind::Divides(Why::Heads | Why::KeyHeads | Why::Groups) => match self.divisors(misfit) {
                Some(note) => report.note(note),
                None => report,
            },
            _ if self.different(misfit).is_some() => {
                let note = self.different(misfit).unwrap_or_default();
                report.note(note)
            }
            MisfitKind::Size(Why::Table) => {
                let value = use_.operands.first().copied().flatten();
                let Some((value, wanted)) = value.zip(misfit.wanted) else { return report };
                let found = self.shapes.dims(self.ty(value)).to_vec();
                let mut meant = found.clone();
                meant.iter_mut().rev().take(1).for_each(|last| *last = wanted);
                match self.culprit(value) {
                    Some(place) => self.with_size_fix(report, place, &meant, &found),
                    None => report,
                }
            }
            MisfitKind::Shapes => {
                let one = |dim: Option<Dim>| dim.and_then(|dim| self.shapes.dims.as_const(dim)) == Some(1);
                match one(misfit.found) || one(misfit.wanted) {
                    true => report.note("a size of 1 is never stretched by itself: say `expand`"),
                    false => report.note("only missing leading axes are filled in"),
                }
            }
            MisfitKind::Size(Why::Classes) if misfit.operand == Some(2) => report,
            MisfitKind::Size(Why::Rows | Why::Classes) if use_.op.attrs.iter().any(|def| def.name == "axis") => {
                let report =
                    report.note("classes stand on the last axis; `axis = 1` where they stand beside the batch");
                if self.written(use_.span) != use_.word {
                    return report;
                }
                let fixed = format!("{}(axis = 1)", use_.word);
                report.fix(use_.span, fixed.clone(), self.mended(use_.span, &fixed))
            }
            _ => report,
        }
    }

    /// Whether what flows in has one axis too few for an operator that begins with a batch.
    fn lacks_batch(&self, use_: &Use<'_>, misfit: &Misfit) -> bool {
        let MisfitKind::Rank { least, .. } = misfit.kind else { return false };
        let value = use_.operands.first().copied().flatten();
        // Where the first axis is a dim it is the batch already.
        let few = |value| {
            let dims = self.shapes.dims(self.ty(value));
            dims.len() + 1 == least && dims.first().is_none_or(|&first| self.shapes.dims.as_const(first).is_some())
        };
        misfit.operand.unwrap_or(0) == 0 && use_.op.shape.starts_with("[B, c") && value.is_some_and(few)
    }

    /// Proposes to drop the axis of size 1.
    fn with_squeezed_axis(&self, report: Diagnostic, use_: &Use<'_>) -> Diagnostic {
        let Some(value) = use_.operands.first().copied().flatten() else { return report };
        let dims = self.shapes.dims(self.ty(value));
        let Some(at) = dims.iter().rposition(|&dim| self.shapes.dims.as_const(dim) == Some(1)) else { return report };
        let axis = if at + 1 == dims.len() { -1 } else { at as i64 };
        let fixed = format!("{}({axis})", use_.word);
        report.fix(use_.span, fixed.clone(), self.mended(use_.span, &fixed))
    }

    /// Proposes a target of the shape that the loss compares it with.
    fn with_equal_target(&self, report: Diagnostic, use_: &Use<'_>, misfit: &Misfit) -> Diagnostic {
        let report = report.note(format!("`{}` compares two values of one shape", use_.word));
        let target = misfit.operand.and_then(|index| use_.operands.get(index).copied().flatten());
        let place = target.and_then(|value| self.culprit(value)).filter(|place| self.is_input(*place));
        match (place, use_.operands.first().copied().flatten()) {
            (Some(place), Some(value)) => {
                let fixed = self.shapes.show(self.ty(value));
                report.fix(place, fixed.clone(), self.mended(place, &fixed))
            }
            _ => report,
        }
    }

    /// Proposes to join along the axis in which the values differ.
    fn with_axis_fix(&self, report: Diagnostic, use_: &Use<'_>, misfit: &Misfit) -> Diagnostic {
        let named = |arg: &&Given| arg.name.as_ref().is_none_or(|name| name.text == "axis");
        let (Some(axis), Some(arg)) = (misfit.axis, use_.given.iter().find(named)) else { return report };
        let fixed = axis.to_string();
        report.fix(arg.value_span, fixed.clone(), self.mended(arg.value_span, &fixed))
    }

    /// The numbers of heads whose width is even.
    fn even_heads(&self, use_: &Use<'_>) -> Option<String> {
        let value = use_.operands.first().copied().flatten()?;
        let width = self.shapes.dims.as_const(*self.shapes.dims(self.ty(value)).last()?)?;
        matches!(use_.attrs.get("heads"), Attr::Int(_)).then_some(())?;
        let some = some((1..=width.min(4096)).filter(|n| width % (2 * n) == 0));
        (!some.is_empty()).then(|| format!("heads of an even width come of {some}"))
    }

    /// Proposes a target of classes, or one without its last axis of size 1.
    fn with_target_fix(&self, report: Diagnostic, use_: &Use<'_>, misfit: &Misfit) -> Diagnostic {
        let value = misfit.operand.and_then(|index| use_.operands.get(index).copied().flatten());
        let Some(place) = value.and_then(|value| self.culprit(value)).filter(|place| self.is_input(*place)) else {
            return report;
        };
        let written = self.written(place).to_string();
        let classes = written.strip_prefix("f32").map(|rest| format!("i64{rest}"));
        let shorter = written.rfind(',').map(|at| format!("{}]", &written[..at]));
        let compared = use_.operands.first().copied().flatten().map(|value| self.shapes.show(self.ty(value)));
        let fixes = classes.into_iter().chain(shorter).chain(compared);
        fixes.fold(report, |report, fixed| report.fix(place, fixed.clone(), self.mended(place, &fixed)))
    }

    /// Which numbers would have divided.
    fn divisors(&self, misfit: &Misfit) -> Option<String> {
        let size = self.shapes.dims.as_const(misfit.found?).filter(|n| (1..100_000).contains(n))?;
        Some(divided_by(size))
    }

    /// The fact under which a reshape keeps the number of elements, or the size that it should have.
    fn with_count_fix(&self, report: Diagnostic, use_: &Use<'_>, misfit: &Misfit) -> Diagnostic {
        let Some((wanted, found)) = self.reduced_counts(misfit) else { return report };
        let (Ok(flows), Ok(asked)) = (wanted.parse::<i64>(), found.parse::<i64>()) else {
            if wanted == "1" || found == "1" {
                return report.note("`-1` stands for what is left: `reshape([-1, 64])` joins all axes before the last");
            }
            let fact = format!("{wanted} == {found}");
            let report = report.note(format!("it fits where `{fact}`, which is not known"));
            return self.with_fact_fix(report, &fact);
        };
        let Some(arg) = use_.given.first() else { return report };
        let written = self.written(arg.value_span);
        let mut numbers = vec![];
        let mut at = 0;
        for part in written.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if let Ok(number) = part.parse::<i64>() {
                numbers.push((at, part.len(), number));
            }
            at += part.len() + 1;
        }
        let mut fits = numbers.iter().filter(|(_, _, n)| *n > 0 && asked != 0 && (flows * n) % asked == 0);
        let Some(&(at, length, number)) = fits.next_back() else { return report };
        let start = arg.value_span.start + at as u32;
        let span = Span { start, end: start + length as u32, ..arg.value_span };
        let fixed = (flows * number / asked).to_string();
        report.fix(span, fixed.clone(), self.mended(span, &fixed))
    }
}

/// The numbers that divide a size, the first nine.
pub(super) fn divided_by(size: i64) -> String {
    format!("{size} is divided by {}", some((1..=size).filter(|n| size % n == 0)))
}

/// Some numbers in a row, the rest as `…`.
fn some(numbers: impl Iterator<Item = i64>) -> String {
    let all: Vec<String> = numbers.take(10).map(|n| n.to_string()).collect();
    if all.len() > 9 { format!("{}, …", all[..8].join(", ")) } else { all.join(", ") }
}

/// Where the value of the attribute stands that does not fit: by its name, or in front, perhaps without its brackets.
fn place_of(use_: &Use<'_>, misfit: &Misfit) -> Option<Span> {
    let name = misfit.attr?;
    let named = use_.given.iter().find(|arg| arg.name.as_ref().is_some_and(|own| own.text == name));
    let first = use_.op.attrs.iter().find(|def| def.positional).is_some_and(|def| def.name == name);
    let front: Vec<&Given> = use_.given.iter().take_while(|arg| arg.name.is_none()).filter(|_| first).collect();
    let items = |attr: &Attr| if let Attr::List(items) = attr { items.len() } else { 1 };
    let ends = match front[..] {
        [one] => Some((one, one)),
        [first, .., last] if front.len() == items(use_.attrs.get(name)) => Some((first, last)),
        _ => None,
    };
    named.map(|arg| arg.value_span).or(ends.map(|(first, last)| first.value_span.to(last.value_span)))
}
