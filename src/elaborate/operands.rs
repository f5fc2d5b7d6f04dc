//! What flows in, as the operands of an operator.

use super::Elab;
use super::apply::Application;
use super::elements::Taken;
use super::scope::near;
use super::value::Val;
use crate::diagnostic::Diagnostic;
use crate::ir::op::OpDef;
use crate::ir::structured::ValueId;
use crate::text::Span;

impl<'a> Elab<'a> {
    /// What flows in, as operands in the order of the schema.
    pub(super) fn operands(&mut self, op: &'static OpDef, app: &Application<'_>) -> Option<Vec<Option<ValueId>>> {
        if app.incoming.is_unknown() {
            return None;
        }
        let mut operands: Vec<Option<ValueId>> = vec![None; op.operands.len()];
        let elems = match &app.incoming {
            Val::Tuple(elems) => elems.clone(),
            other => vec![super::value::Elem { name: None, val: other.clone(), span: app.span }],
        };
        if op.operands.is_empty() {
            return Some(vec![]);
        }
        let mut position = 0;
        for elem in &elems {
            let Some(value) = elem.val.single() else {
                let text = format!("`{}` takes tensors, and gets a tuple within a tuple", app.word);
                self.report(Diagnostic::error("type::nested", text, elem.span, "several values"));
                return None;
            };
            let slot = match &elem.name {
                Some(name) => match op.operands.iter().position(|operand| operand.name == name) {
                    Some(slot) => slot,
                    None => return self.unknown_operand(op, app, name, elem.span),
                },
                None if position >= op.operands.len() && op.operands.last().is_some_and(|last| last.many) => {
                    operands.push(Some(value));
                    position += 1;
                    continue;
                }
                None if position >= op.operands.len() => return self.too_many_operands(op, app, elem.span),
                None => {
                    position += 1;
                    position - 1
                }
            };
            if operands[slot].is_some() {
                let text = format!("`{}` of `{}` is given twice", op.operands[slot].name, app.word);
                let report = Diagnostic::error("type::operand_twice", text, elem.span, "again here");
                let first = elems.iter().find(|other| other.name == elem.name && other.span != elem.span);
                self.report(match first {
                    Some(first) => report.label(first.span, "first here"),
                    None => report,
                });
                return None;
            }
            operands[slot] = Some(value);
        }
        let missing = op.operands.iter().zip(&operands).find(|(schema, given)| !schema.optional && given.is_none());
        if let Some((schema, _)) = missing {
            let form = operand_form(op);
            let text = format!("`{}` needs `{}`, and nothing flows in for it", app.word, schema.name);
            let report =
                Diagnostic::error("type::operand_missing", text, app.span, format!("`{}` is missing", schema.name));
            let target = match schema.name {
                "target" => self.with_target(&report, op, app, &operands),
                _ => None,
            };
            self.report(match target {
                Some(report) => report,
                None => report.note(format!("it is written so: {form} |> {}", app.word)),
            });
            return None;
        }
        while operands.len() > 1 && operands.last() == Some(&None) {
            operands.pop();
        }
        self.check_elements(op, app, &operands).then_some(operands)
    }

    /// A loss of a train section that has no target: told with the line that is missing.
    fn with_target(
        &self,
        report: &Diagnostic,
        op: &'static OpDef,
        app: &Application<'_>,
        operands: &[Option<ValueId>],
    ) -> Option<Diagnostic> {
        let source = self.sources.0.get(usize::from(app.span.file))?;
        let start = source.text[..app.span.start as usize].rfind('\n').map_or(0, |at| at + 1);
        let before = &source.text[start..app.span.start as usize];
        if !matches!(before.trim(), "loss" | "metric") {
            return None;
        }
        let mut report = report.clone();
        report.message = format!("`{}` compares with a target, and this section has none", app.word);
        report.labels[0].text = "the target is missing".into();
        let Some(value) = operands.first().copied().flatten() else { return Some(report) };
        let ty = self.ty(value);
        let dims = self.shapes.dims(ty);
        let classes = op.attrs.iter().any(|def| def.name == "ignore_index");
        let dims = if classes { &dims[..dims.len().saturating_sub(1)] } else { dims };
        let sizes: Vec<String> = dims.iter().map(|&dim| self.shapes.dims.show(dim)).collect();
        let line = format!("target y: {}[{}]", if classes { "i64" } else { "f32" }, sizes.join(", "));
        let margin = &before[..before.len() - before.trim_start().len()];
        let place = Span { start: start as u32, end: start as u32, ..app.span };
        Some(report.fix(place, format!("{margin}{line}\n"), line))
    }

    pub(super) fn unknown_operand(
        &mut self,
        op: &'static OpDef,
        app: &Application<'_>,
        name: &str,
        span: Span,
    ) -> Option<Vec<Option<ValueId>>> {
        let text = format!("`{}` has no operand `{name}`", app.word);
        let mut report = Diagnostic::error("type::operand_name", text, span, "unknown");
        let names: Vec<&str> = op.operands.iter().map(|operand| operand.name).collect();
        let report = match near(name, names.iter().copied()) {
            Some(meant) => {
                report.labels[0].text = format!("did you mean `{meant}`?");
                let place = Span { end: span.start + name.len() as u32, ..span };
                match self.written(place) == name {
                    true => report.fix(place, meant, self.mended(place, meant)),
                    false => report,
                }
            }
            None => report.note(format!("its operands are {}", names.join(", "))),
        };
        self.report(report);
        None
    }

    pub(super) fn too_many_operands(
        &mut self,
        op: &'static OpDef,
        app: &Application<'_>,
        span: Span,
    ) -> Option<Vec<Option<ValueId>>> {
        let count = match op.operands.len() {
            1 => "1 value".to_string(),
            n => format!("{n} values"),
        };
        let text = format!("`{}` takes {count}, and more flow in", app.word);
        let report = Diagnostic::error("type::operands", text, app.span, format!("takes {}", operand_form(op)));
        self.report(report.label(span, "one too many"));
        None
    }

    pub(super) fn check_elements(
        &mut self,
        op: &'static OpDef,
        app: &Application<'_>,
        operands: &[Option<ValueId>],
    ) -> bool {
        for (i, value) in operands.iter().enumerate() {
            let Some(value) = value else { continue };
            let Some(schema) = op.operands.get(i).or(op.operands.last()) else { continue };
            let ty = self.ty(*value);
            if !schema.dtype.allow(ty.dtype) {
                let taken = Taken { op, word: app.word, span: app.span, operands };
                self.report_operand(taken, i, schema.dtype, *value);
                return false;
            }
        }
        true
    }
}

/// How operands are written: `(q, k, v)`.
pub(super) fn operand_form(op: &OpDef) -> String {
    let names: Vec<String> = op
        .operands
        .iter()
        .map(|operand| match (operand.optional, operand.many) {
            (_, true) => format!("{}, …", operand.name),
            (true, false) => format!("[{}]", operand.name),
            (false, false) => operand.name.into(),
        })
        .collect();
    format!("({})", names.join(", "))
}
