//! Tensors between a call's parentheses, where numbers belong: `relu(x)` is `x |> relu`.

use super::Elab;
use super::foreign;
use super::scope::Meaning;
use crate::diagnostic::Diagnostic;
use crate::ops;
use crate::syntax::ast::{Arg, Call, Expr, ExprKind, Item, StageKind};
use crate::text::Span;

impl<'a> Elab<'a> {
    /// Reports the tensors among the arguments of a call, once, with the flow that was meant.
    pub(super) fn tensors_in_arguments(&mut self, call: &'a Call, args: &'a [Arg]) -> bool {
        let Some(first) = args.iter().find(|arg| self.is_tensor(&arg.value)) else { return false };
        let word = call.name.text.as_str();
        if let Some(Meaning::Value(_)) = self.inst.lookup(word).map(|bound| &bound.what) {
            self.report_called_value(call, args);
            return true;
        }
        let known = self.is_known(word);
        if !known && ops::foreign::ours(word).is_none() && ops::foreign::advice(word).is_none() {
            return false;
        }
        if !known && ops::foreign::advice(word).is_some() {
            return self.report_foreign(call);
        }
        if self.report_table(call, first) {
            return true;
        }
        if let ExprKind::Call(Call { name, args: Some(inner), .. }) = &first.value.kind
            && let ("len", [one]) = (name.text.as_str(), inner.as_slice())
        {
            let value = self.written(one.span);
            let text = format!("the length of `{value}` is not read from it: its axes have names");
            let report = Diagnostic::error("type::tensor_as_number", text, first.value.span, "a size has a name");
            let axes = match self.inst.lookup(value).map(|bound| bound.what.clone()) {
                Some(Meaning::Value(val)) => val.single().map(|value| self.shapes.dims(self.ty(value)).to_vec()),
                _ => None,
            };
            let named: Vec<String> = axes.unwrap_or_default().iter().map(|&dim| self.shapes.dims.show(dim)).collect();
            let report = match named.get(1).or(named.first()) {
                Some(axis) => report.fix(first.value.span, axis.clone(), self.mended(first.value.span, axis)),
                None => report,
            };
            self.report(report);
            return true;
        }
        let flow = self.call_as_flow(call, args);
        let message = format!("a tensor is no argument: what `{word}` works on flows in");
        let report = Diagnostic::error("type::tensor_as_number", message, first.value.span, "a value of the flow");
        let report = match flow {
            Some(flow) => {
                let place = self.with_rebound_name(call.span, &flow);
                let shown = self.mended(place, &flow);
                report.fix(place, flow, shown)
            }
            None => report,
        };
        self.report(report.note("parentheses after a name hold numbers and options, tensors come by the flow"));
        true
    }

    /// `unembed(e)`, where `e` is what an embedding has made and not the embedding.
    fn report_table(&mut self, call: &Call, arg: &Arg) -> bool {
        let word = call.name.text.as_str();
        let layer = |def: &&crate::ir::attr::AttrDef| def.kinds.contains(&crate::ir::attr::AttrKind::Layer);
        let Some(attr) = ops::find(word).and_then(|op| op.attrs.iter().find(layer)) else { return false };
        let ExprKind::Call(Call { name, args: None, .. }) = &arg.value.kind else { return false };
        let Some(bound) = self.inst.lookup(&name.text).map(|bound| bound.span) else { return false };
        let name = &name.text;
        let text = format!("`{}` of `{word}` is a declared layer, and `{name}` is what one has made", attr.name);
        let report = Diagnostic::error("type::tensor_as_number", text, arg.value.span, "a value of the flow");
        let report = report.label(bound, "made here");
        let text = &self.sources.of(bound).text;
        let end =
            text[bound.end as usize..].find(['\n', ';', '}']).map_or(text.len(), |at| bound.end as usize + at) as u32;
        let line = self.written(Span { end, ..bound }).trim_end();
        let start = Span { end: bound.start, ..bound };
        let end = Span { start: bound.start + line.len() as u32, end: bound.start + line.len() as u32, ..bound };
        let shown = format!("layer {line}; {name}");
        self.report(report.fix(start, "layer ", shown).also(end, format!("; {name}")));
        true
    }

    /// Whether an argument is a value of the flow, or made of some.
    pub(super) fn is_tensor(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Call(call) => match &call.args {
                None if call.name.text == "it" => true,
                None => matches!(self.inst.lookup(&call.name.text).map(|bound| &bound.what), Some(Meaning::Value(_))),
                Some(args) => args.iter().any(|arg| self.is_tensor(&arg.value)),
            },
            ExprKind::Neg(inner) => self.is_tensor(inner),
            ExprKind::Binary(_, left, right) => self.is_tensor(left) || self.is_tensor(right),
            ExprKind::List(items) => items.iter().any(|item| match item {
                Item::Expr(inner) => self.is_tensor(inner),
                Item::Rest(_) => false,
            }),
            ExprKind::Tuple(elems) => elems.iter().any(|elem| match elem.flow.stages.as_slice() {
                [stage] => matches!(&stage.kind, StageKind::Expr(inner) if self.is_tensor(inner)),
                _ => true,
            }),
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) | ExprKind::Index(..) | ExprKind::Broken => false,
        }
    }

    /// Whether a word is a stage, or bound in this body.
    fn is_known(&self, word: &str) -> bool {
        ops::find(word).is_some()
            || self.block_names.contains_key(word)
            || self.inst.hypers.contains_key(word)
            || self.inst.lookup(word).is_some()
    }

    /// `concat(a, b, axis = 1)` as `(a, b) |> concat(axis = 1)`.
    fn call_as_flow(&self, call: &Call, args: &[Arg]) -> Option<String> {
        let mut values = vec![];
        let mut rest = vec![];
        for arg in args {
            if !self.is_tensor(&arg.value) {
                rest.push(self.written(arg.span).to_string());
                continue;
            }
            let texts = self.values_as_flows(&arg.value)?;
            match &arg.name {
                Some(name) => values.extend(texts.into_iter().map(|text| format!("{} = {text}", name.text))),
                None => values.extend(texts),
            }
        }
        let word = call.name.text.as_str();
        let sign = match word {
            "add" => Some("+"),
            "sub" => Some("-"),
            "mul" => Some("*"),
            "div" => Some("/"),
            _ => None,
        };
        if let (Some(sign), [a, b], true) = (sign, values.as_slice(), rest.is_empty()) {
            return Some(format!("{a} {sign} {b}"));
        }
        let stage = if rest.is_empty() { word.to_string() } else { format!("{word}({})", rest.join(", ")) };
        let stage = match !self.is_known(word) && ops::foreign::ours(word).is_some() {
            true => {
                super::python::translated(&format!("{word}({})", rest.join(", ")))
                    .filter(|ours| ours.planned.is_none())?
                    .text
            }
            false => stage,
        };
        let values = if values.len() == 1 && !values[0].contains(" = ") {
            values.swap_remove(0)
        } else {
            format!("({})", values.join(", "))
        };
        Some(format!("{values} |> {stage}"))
    }

    fn values_as_flows(&self, expr: &Expr) -> Option<Vec<String>> {
        let one = |expr: &Expr| match &expr.kind {
            ExprKind::Call(call) => match &call.args {
                Some(args) => self.call_as_flow(call, args),
                None => Some(call.name.text.clone()),
            },
            _ => Some(format!("({})", self.written(expr.span))),
        };
        match &expr.kind {
            ExprKind::List(items) => items
                .iter()
                .map(|item| match item {
                    Item::Expr(inner) => one(inner),
                    Item::Rest(_) => None,
                })
                .collect(),
            ExprKind::Tuple(_) => {
                let inner = self.written(expr.span).trim();
                Some(vec![inner.strip_prefix('(')?.strip_suffix(')')?.to_string()])
            }
            _ => Some(vec![one(expr)?]),
        }
    }

    /// A place, from the beginning of its line where that only binds anew the name that the flow begins with.
    pub(super) fn with_rebound_name(&self, span: Span, flow: &str) -> Span {
        let Some(source) = self.sources.0.get(usize::from(span.file)) else { return span };
        let before = &source.text[..span.start as usize];
        let from = before.rfind(['\n', ';', '{']).map_or(0, |at| at + 1);
        match foreign::rebinds(&before[from..], flow) {
            Some(head) => Span { start: span.start - head.len() as u32, ..span },
            None => span,
        }
    }

    /// `fc(x)`, where `fc` is what a layer has made already.
    fn report_called_value(&mut self, call: &'a Call, args: &'a [Arg]) {
        let word = call.name.text.as_str();
        let Some(bound) = self.inst.lookup(word).map(|bound| bound.span) else { return };
        let text = format!("`{word}` is a value, not a layer: it was made where it is named");
        let mut report = Diagnostic::error("name::not_a_stage", text, call.span, "called here");
        let input = self.is_port(bound);
        report = report.label(bound, if input { "comes in here" } else { "made here" });
        if let (Some(flow), false) = (self.call_as_flow(call, args), input) {
            report = report.note(format!("a layer that is applied later, or twice, is declared: `layer {word} = …`"));
            let start = Span { end: bound.start, ..bound };
            let shown = format!("layer {word} = …, then {}", self.mended(call.span, &flow));
            report = report.fix(start, "layer ", shown).also(call.span, flow);
        }
        self.report(report);
    }

    /// Whether a name was bound by a signature.
    fn is_port(&self, bound: Span) -> bool {
        let Some(source) = self.sources.0.get(usize::from(bound.file)) else { return false };
        source.text[bound.end as usize..].trim_start().starts_with(':')
    }
}
