//! Contracts: what a body gives against what its signature says, and blocks checked once for all sizes.

use super::Elab;
use super::chain::Producer;
use super::residual::Tail;
use super::signature::{Fit, dim_names};
use super::value::{Elem, Static, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::dim::Dim;
use crate::ir::op::Condition;
use crate::ir::structured::ValueId;
use crate::syntax::ast::{Axis, ExprKind, Port, Typed};
use crate::text::Span;

impl<'a> Elab<'a> {
    /// The outputs of a model or block against its signature; `None` if they do not fit (reported).
    pub(super) fn check_outputs(
        &mut self,
        ports: &'a [Port],
        parts: &[Elem],
        span: Span,
        tail: Option<&Tail>,
    ) -> Option<()> {
        if parts.len() != ports.len() {
            let text = format!(
                "the signature promises {}, and the body ends with {}",
                values(ports.len()),
                values(parts.len())
            );
            let first = parts.first();
            let place = first.and_then(|elem| self.origin(elem.val.single()?)).or(first.map(|elem| elem.span));
            let place = place.unwrap_or(span);
            let span = match (ports.first(), ports.last()) {
                (Some(first), Some(last)) => first.ty.span.to(last.ty.span),
                _ => span,
            };
            let report = Diagnostic::error("type::outputs", text, place, format!("ends with {}", values(parts.len())));
            let report = report.label(span, format!("promises {}", values(ports.len())));
            let names: Vec<&str> = ports.iter().filter_map(|port| Some(port.name.as_ref()?.text.as_str())).collect();
            self.report(match names.len() == ports.len() && names.len() > 1 {
                true => report.note(format!("several values are given back as `return ({})`", names.join(", "))),
                false => report,
            });
            return None;
        }
        let mut sound = Some(());
        for (port, elem) in ports.iter().zip(parts) {
            let Some(value) = elem.val.single() else {
                sound = None;
                continue;
            };
            if !self.check_output(port, value, tail) {
                sound = None;
            }
        }
        sound
    }

    fn check_output(&mut self, port: &'a Port, value: ValueId, tail: Option<&Tail>) -> bool {
        let ty = self.ty(value);
        let open = match self.fit(&port.ty, ty, true) {
            Fit::Yes => return true,
            Fit::Silent => return false,
            Fit::Open(condition) => Some(condition),
            Fit::No => None,
        };
        if let (Some(condition), true) = (open, self.symbolic)
            && !self.speaks_of_contract(condition)
        {
            return true;
        }
        if let Some(tail) = tail {
            let tail = tail.clone();
            self.report_branch(tail.head, tail.skip, value, ty, None);
            return false;
        }
        self.report_output(port, value, open);
        false
    }

    /// Whether an undecided contract is the contract's own fault: only sizes of the signature occur in it.
    fn speaks_of_contract(&self, condition: Condition) -> bool {
        let (a, b) = match condition {
            Condition::Equal(a, b) | Condition::AtLeast(a, b) | Condition::Divides { what: a, by: b } => (a, b),
        };
        let mut symbols = self.shapes.dims.symbols(a);
        symbols.extend(self.shapes.dims.symbols(b));
        symbols.iter().all(|name| self.declared().contains_key(name) || self.contract_names.contains(name))
    }

    fn report_output(&mut self, port: &'a Port, value: ValueId, open: Option<Condition>) {
        let ty = self.ty(value);
        let wanted = self.wanted_dims(&port.ty, self.shapes.dims(ty).len());
        let width = wanted.as_ref().is_some_and(|wanted| wanted.last() != self.shapes.dims(ty).last());
        let made = if width { self.sizer(value) } else { self.culprit(value) };
        let place = made.or_else(|| self.origin(value)).unwrap_or(port.ty.span);
        let (pattern, found) = (self.shown_wanted(&port.ty), self.shapes.show(ty));
        let name = &self.inst.name;
        let kind = if self.inst.model { "model" } else { "block" };
        let text = format!("the {kind} `{name}` promises {pattern}, and ends with {found}");
        let report = Diagnostic::error(
            if self.inst.model { "shape::output" } else { "shape::contract" },
            text,
            place,
            format!("ends as {}", self.shown_type(ty)),
        );
        let mut report = report.label(port.ty.span, format!("promises {pattern}"));
        let dims = self.shapes.dims(ty).to_vec();
        if let Some(note) = wanted.as_ref().and_then(|wanted| self.different_dims(wanted, &dims)) {
            report = report.note(note);
        } else if let Some(fact) = open.and_then(|condition| self.prover.missing(&mut self.shapes.dims, condition)) {
            report = report.note(format!("equal where `{fact}`: add `where {fact}`"));
            report = self.with_fact_fix(report, &fact);
        } else if let Some(wanted) = wanted {
            report = self.with_written_fix(report, place, &port.ty, &wanted, &dims);
        } else {
            report = self.with_rank_fix(report, port, value, place);
        }
        self.report_flow(report, value);
    }

    /// Proposes to drop the axis that is too many, or to make rows of images.
    fn with_rank_fix(&mut self, report: Diagnostic, port: &'a Port, value: ValueId, place: Span) -> Diagnostic {
        let dims = self.shapes.dims(self.ty(value)).to_vec();
        let Some(wanted) = self.wanted_dims(&port.ty, port.ty.axes.len()) else { return report };
        if dims.len() <= wanted.len() || self.origin(value).is_none_or(|origin| origin != place) {
            return report;
        }
        let end = Span { start: place.end, ..place };
        let dropped = |at: usize| {
            dims.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, dim)| *dim).eq(wanted.iter().copied())
        };
        if let Some(at) = (0..dims.len()).rev().find(|&at| dims.len() == wanted.len() + 1 && dropped(at)) {
            let name = self.shapes.dims.show(dims[at]);
            let axis = if at + 1 == dims.len() { "-1".to_string() } else { at.to_string() };
            let one = self.shapes.dims.as_const(dims[at]) == Some(1);
            let stage = match self.declared().contains_key(&name) {
                _ if one => format!("squeeze({axis})"),
                true => format!("mean({name})"),
                false => format!("mean({axis})"),
            };
            let report = report.note(format!("there is one axis too many, axis {at} of size {name}"));
            let fixed = format!(" |> {stage}");
            return report.fix(end, fixed.clone(), self.mended(end, &fixed));
        }
        if self.written(place).starts_with("linear") && dims.len() > 2 && wanted.len() == 2 {
            let start = Span { end: place.start, ..place };
            let report = report.note("`linear` works on the last axis alone: `flatten` makes one row of an image");
            return report.fix(start, "flatten |> ", self.mended(start, "flatten |> "));
        }
        report
    }

    /// Two different declared dims never match, even when their numbers agree.
    fn different_dims(&self, wanted: &[Dim], found: &[Dim]) -> Option<String> {
        wanted.iter().zip(found).filter(|(a, b)| a != b).find_map(|(&a, &b)| {
            let (a, b) = (self.shapes.dims.show(a), self.shapes.dims.show(b));
            let declared = |name: &String| self.declared().contains_key(name);
            (declared(&a) && declared(&b)).then(|| format!("`{a}` and `{b}` are different dims: they never match"))
        })
    }

    /// The sizes that a pattern asks for, where it says them; the found rank fills `...`.
    pub(super) fn wanted_dims(&mut self, typed: &'a Typed, rank: usize) -> Option<Vec<Dim>> {
        let rest = self.inst.rest.clone().unwrap_or_default();
        let mut dims = vec![];
        for axis in &typed.axes {
            match axis {
                Axis::Rest(_) => dims.extend(&rest),
                Axis::Any(_) => return None,
                Axis::Size(expr) if !self.unbound(expr).is_empty() && !self.inst.model => return None,
                Axis::Size(expr) => {
                    let value = self.eval(expr);
                    let value = self.plain(&value);
                    dims.push(self.as_dim(&value)?);
                }
            }
        }
        (dims.len() == rank).then_some(dims)
    }

    /// A pattern with its sizes: `[batch, d]`, and the numbers where they are known.
    pub(super) fn shown_wanted(&mut self, typed: &'a Typed) -> String {
        let written = self.shown_pattern(typed);
        let known: Vec<String> = typed
            .axes
            .iter()
            .filter_map(|axis| match axis {
                Axis::Size(expr) if !matches!(expr.kind, ExprKind::Int(_)) => {
                    let mut names = vec![];
                    dim_names(expr, &mut names);
                    let bound = names
                        .iter()
                        .all(|name| self.inst.hypers.contains_key(name) || self.inst.dims.contains_key(name));
                    let value = if bound { self.eval(expr) } else { Static::Unknown };
                    let size = self.as_int(&value)?;
                    Some(format!("{} = {size}", self.written(expr.span)))
                }
                Axis::Size(_) | Axis::Rest(_) | Axis::Any(_) => None,
            })
            .collect();
        if known.is_empty() { written } else { format!("{written} ({})", known.join(", ")) }
    }

    /// A block's result under its contract; after a mistake the declared type flows on.
    pub(super) fn contract(&mut self, ports: &'a [Port], result: Val, span: Span, tail: Option<Tail>) -> Val {
        if result.is_unknown() {
            return self.declared_value(ports, span, tail.as_ref()).unwrap_or(Val::Unknown);
        }
        let parts = match &result {
            Val::Tuple(elems) if ports.len() != 1 => elems.clone(),
            other => vec![Elem { name: None, val: other.clone(), span }],
        };
        let tail = tail.filter(|tail| self.breaks_residual(tail, &parts));
        if self.check_outputs(ports, &parts, span, tail.as_ref()).is_some() {
            return result;
        }
        let declared = self.declared_value(ports, span, tail.as_ref()).unwrap_or(Val::Unknown);
        if let [Elem { val, .. }] = parts.as_slice()
            && let Some(said) = val.single()
        {
            self.assume(&declared, said);
        }
        declared
    }

    /// A broken contract at the end of a residual's branch is told as the residual's mistake, if it is one.
    fn breaks_residual(&self, tail: &Tail, parts: &[Elem]) -> bool {
        match parts {
            [elem] => elem.val.single().is_some_and(|value| self.ty(value) != tail.skip),
            _ => false,
        }
    }

    /// What the signature promises, as a value.
    fn declared_value(&mut self, ports: &'a [Port], span: Span, tail: Option<&Tail>) -> Option<Val> {
        let [port] = ports else { return None };
        let dtype = self.dtype(port.ty.dtype.as_ref())?;
        let rank = port.ty.axes.len() + self.inst.rest.as_ref().map_or(0, |rest| rest.len());
        let has_rest = port.ty.axes.iter().any(|axis| matches!(axis, Axis::Rest(_)));
        let rank = if has_rest { rank - 1 } else { port.ty.axes.len() };
        let unbound = port.ty.axes.iter().any(|axis| match axis {
            Axis::Size(expr) => {
                let mut names = vec![];
                dim_names(expr, &mut names);
                names.iter().any(|name| {
                    self.declared().contains_key(name)
                        && !self.inst.dims.contains_key(name)
                        && !self.inst.hypers.contains_key(name)
                })
            }
            Axis::Rest(_) | Axis::Any(_) => false,
        });
        if unbound && !self.inst.model {
            return None;
        }
        let dims = self.wanted_dims(&port.ty, rank)?;
        let ty = self.shapes.ty(dtype, &dims);
        if tail.is_some_and(|tail| tail.skip != ty) {
            return None;
        }
        let word = self.inst.name.clone();
        Some(Val::One(self.value(ty, Some(Producer { word, from: None, span, alias: false, block: None }))))
    }
}

fn values(count: usize) -> String {
    if count == 1 { "1 value".into() } else { format!("{count} values") }
}
