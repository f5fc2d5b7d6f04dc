//! Edits that are proposed; whether they are true is tried by the caller.

use super::Elab;
use crate::diagnostic::Diagnostic;
use crate::ir::dim::Dim;
use crate::ir::op::Condition;
use crate::ops;
use crate::syntax::ast::{Axis, Block, Expr, ExprKind, Typed};
use crate::text::Span;

impl<'a> Elab<'a> {
    /// Proposes to write a fact into the header of the model or block that it belongs to.
    pub(super) fn with_fact_fix(&self, report: Diagnostic, fact: &str) -> Diagnostic {
        let (header, has_where) = self.fact_home;
        if header.is_empty() || fact.is_empty() {
            return report;
        }
        let written = self.written(header);
        let end = header.start + written.trim_end().len() as u32;
        let span = Span { start: end, end, ..header };
        let (text, clause) = match has_where {
            true => (format!(", {fact}"), format!("`{fact}` beside the facts")),
            false => (format!(" where {fact}"), format!("`where {fact}`")),
        };
        // The word and the name that the header begins with.
        let entry: Vec<&str> = written.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').take(2).collect();
        report.fix(span, text, format!("{clause} in the header of `{}`", entry.join(" ")))
    }

    /// The fact that would make two shapes equal, if one alone is open.
    pub(super) fn deciding_fact(&mut self, wanted: &[Dim], found: &[Dim]) -> Option<String> {
        if wanted.len() != found.len() {
            return None;
        }
        let mut fact = None;
        for (&a, &b) in wanted.iter().zip(found) {
            let condition = Condition::Equal(a, b);
            match self.prover.decide(&mut self.shapes.dims, condition) {
                Some(true) => {}
                Some(false) => return None,
                None if fact.is_some() => return None,
                None => fact = Some(self.prover.missing(&mut self.shapes.dims, condition)?),
            }
        }
        fact
    }

    /// Proposes the size that a signature asks for, as it is written there, then as any fix of a size.
    pub(super) fn with_written_fix(
        &self,
        mut report: Diagnostic,
        place: Span,
        typed: &Typed,
        wanted: &[Dim],
        found: &[Dim],
    ) -> Diagnostic {
        let last = match typed.axes.last() {
            Some(Axis::Size(expr)) if wanted.last() != found.last() => Some(expr),
            _ => None,
        };
        if let (Some(Expr { span, .. }), Some((arg, _))) = (last, self.out_argument(place)) {
            let text = self.written(*span).to_string();
            report = report.fix(arg, text.clone(), self.mended(arg, &text));
        }
        self.with_size_fix(report, place, wanted, found)
    }

    /// Proposes another size at the stage that went wrong: a parameter of its block, or the number.
    pub(super) fn with_size_fix(
        &self,
        mut report: Diagnostic,
        place: Span,
        wanted: &[Dim],
        found: &[Dim],
    ) -> Diagnostic {
        let differs: Vec<usize> = (0..wanted.len().min(found.len())).filter(|&i| wanted[i] != found[i]).collect();
        let (true, [axis]) = (wanted.len() == found.len(), differs.as_slice()) else { return report };
        let Some((arg, channel)) = self.out_argument(place) else { return report };
        if channel.unwrap_or(wanted.len() - 1) != *axis {
            return report;
        }
        let size = self.shapes.dims.show(wanted[*axis]);
        let mut candidates: Vec<String> = self.params_at(place, self.shapes.dims.as_const(wanted[*axis]));
        candidates.push(size);
        for text in candidates {
            if report.fixes.len() < 3 && report.fixes.iter().all(|fix| fix.replacement != text) {
                report = report.fix(arg, text.clone(), self.mended(arg, &text));
            }
        }
        report
    }

    /// Proposes padding at a window that shrinks what it slides over.
    pub(super) fn with_pad_fix(&self, report: Diagnostic, place: Span, wanted: &[Dim], found: &[Dim]) -> Diagnostic {
        let written = self.written(place);
        let slides = wanted.len() > 2 && wanted.len() == found.len() && wanted[2..] != found[2..];
        if !slides || !written.starts_with("conv(") || !written.ends_with(')') || written.contains("pad") {
            return report;
        }
        let end = Span { start: place.end - 1, end: place.end - 1, ..place };
        report.fix(end, ", pad = \"same\"", self.mended(end, ", pad = \"same\""))
    }

    /// Proposes a projection on the skip, where the branch is meant to change the shape.
    pub(super) fn with_projection_fix(
        &self,
        report: Diagnostic,
        place: Span,
        wanted: &[Dim],
        found: &[Dim],
    ) -> Diagnostic {
        let Some(end) = self.residual_end.filter(|_| wanted.len() == found.len() && wanted.len() > 1) else {
            return report;
        };
        let written = self.written(place);
        let image = wanted.len() > 2 && written.starts_with("conv(");
        let channels = self.shapes.dims.as_const(found[if image { 1 } else { found.len() - 1 }]);
        let Some(channels) = channels.filter(|&n| n > 1) else { return report };
        let param = self.params_at(end, Some(channels)).into_iter().next();
        let out = param.unwrap_or_else(|| channels.to_string());
        let projection = match written.split_once("stride = ") {
            Some((_, rest)) if image => {
                let stride: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
                format!(" skip {{ conv({out}, 1, stride = {stride}) }}")
            }
            None if image => format!(" skip {{ conv({out}, 1) }}"),
            _ => format!(" skip {{ linear({out}) }}"),
        };
        let shown = format!("residual {{ … }}{projection}");
        report.fix(end, projection, shown)
    }

    /// The argument that says the width of a stage, and the axis that it is (the last one, if none is said).
    pub(super) fn out_argument(&self, place: Span) -> Option<(Span, Option<usize>)> {
        let written = self.written(place);
        let (word, rest) = written.split_once('(')?;
        let op = ops::find(word.trim())?;
        let first = op.attrs.iter().find(|def| def.positional)?;
        if first.name != "out" {
            return None;
        }
        let mut depth = 0;
        let length = rest.char_indices().find_map(|(i, c)| match c {
            '(' | '[' => {
                depth += 1;
                None
            }
            ')' | ']' if depth > 0 => {
                depth -= 1;
                None
            }
            ',' | ')' if depth == 0 => Some(i),
            _ => None,
        })?;
        let text = &rest[..length];
        let skipped = text.rfind("->").map_or(0, |at| at + 2);
        let text = &text[skipped..];
        if text.contains('=') || text.trim().is_empty() {
            return None;
        }
        let lead = text.len() - text.trim_start().len();
        let start = place.start + (word.len() + 1 + skipped + lead) as u32;
        let arg = Span { start, end: start + text.trim().len() as u32, ..place };
        Some((arg, op.shape.starts_with("[B, c").then_some(1)))
    }

    /// The hyperparameters of the block or model around a place that could be meant by a size.
    pub(super) fn params_at(&self, place: Span, size: Option<i64>) -> Vec<String> {
        let inside = |block: &&&Block| {
            block.span.file == place.file && block.span.start <= place.start && place.end <= block.span.end
        };
        let models = self.files.iter().flat_map(|file| &file.entries).filter_map(|entry| match entry {
            crate::syntax::ast::Entry::Model(model) => Some(model),
            _ => None,
        });
        let models: Vec<&Block> = models.collect();
        let block = self.blocks.iter().find(inside).copied().or_else(|| models.iter().find(inside).copied());
        let Some(block) = block else { return vec![] };
        let own = block.name.text == self.inst.name;
        let fits = |name: &str| match self.inst.hypers.get(name) {
            Some((value, _)) if own => size.is_some() && self.as_int(value) == size,
            _ => !own,
        };
        let numeric = |param: &&crate::syntax::ast::Param| match &param.default {
            None => true,
            Some(default) => own && matches!(default.kind, ExprKind::Int(_)),
        };
        let names = block.params.iter().filter(numeric).map(|param| param.name.text.clone());
        names.filter(|name| fits(name)).take(2).collect()
    }

    /// The statement around a place, with it replaced.
    pub(super) fn mended(&self, place: Span, replacement: &str) -> String {
        let text = &self.sources.of(place).text;
        let (start, end) = (place.start as usize, place.end as usize);
        let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) else { return replacement.into() };
        let from = before.rfind([';', '{', '\n']).map_or(0, |at| at + 1);
        let to = after.find([';', '}', '\n']).unwrap_or(after.len());
        let after = after[..to].split("//").next().unwrap_or("");
        let line = format!("{}{replacement}{after}", &before[from..]);
        let whole = line.matches('{').count() == line.matches('}').count();
        let line = if whole { line.as_str() } else { line.split('{').next().unwrap_or("") };
        line.trim().to_string()
    }
}
