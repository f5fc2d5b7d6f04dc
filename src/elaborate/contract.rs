//! Contracts: what a body gives against what its signature says, and blocks checked once for all sizes.

use super::Elab;
use super::chain::{Frame, Producer};
use super::number::Truth;
use super::residual::Tail;
use super::scope::{Bound, Inst, Meaning};
use super::signature::{Fit, dim_names};
use super::value::{Elem, Static, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::dim::Dim;
use crate::ir::op::Condition;
use crate::ir::structured::{Region, ValueId};
use crate::ops;
use crate::syntax::ast::{Axis, Block, Expr, ExprKind, Port, Typed};
use crate::text::Span;
use indexmap::IndexMap;

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
            let place = parts.first().map_or(span, |elem| elem.span);
            let report = Diagnostic::error("type::outputs", text, place, format!("ends with {}", values(parts.len())));
            self.report(report.label(span, format!("promises {}", values(ports.len()))));
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
        symbols.iter().all(|name| self.declared.contains_key(name) || self.contract_names.contains(name))
    }

    fn report_output(&mut self, port: &'a Port, value: ValueId, open: Option<Condition>) {
        let ty = self.ty(value);
        let place = self.culprit(value).or_else(|| self.origin(value)).unwrap_or(port.ty.span);
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
        let wanted = self.wanted_dims(&port.ty, self.shapes.dims(ty).len());
        let dims = self.shapes.dims(ty).to_vec();
        if let Some(note) = wanted.as_ref().and_then(|wanted| self.different_dims(wanted, &dims)) {
            report = report.note(note);
        } else if let Some(fact) = open.and_then(|condition| self.prover.missing(&mut self.shapes.dims, condition)) {
            report = report.note(format!("equal where `{fact}`: add `where {fact}`"));
            report = self.with_fact_fix(report, &fact);
        } else if let Some(wanted) = wanted {
            report = self.with_written_fix(report, place, &port.ty, &wanted, &dims);
        }
        self.report_flow(report, value);
    }

    /// Two different declared dims never match, even when their numbers agree.
    fn different_dims(&self, wanted: &[Dim], found: &[Dim]) -> Option<String> {
        wanted.iter().zip(found).filter(|(a, b)| a != b).find_map(|(&a, &b)| {
            let (a, b) = (self.shapes.dims.show(a), self.shapes.dims.show(b));
            let declared = |name: &String| self.declared.contains_key(name);
            (declared(&a) && declared(&b)).then(|| format!("`{a}` and `{b}` are different dims: they never match"))
        })
    }

    /// The sizes that a pattern asks for, where it says them; the found rank fills `...`.
    fn wanted_dims(&mut self, typed: &'a Typed, rank: usize) -> Option<Vec<Dim>> {
        let rest = self.inst.rest.clone().unwrap_or_default();
        let mut dims = vec![];
        for axis in &typed.axes {
            match axis {
                Axis::Rest(_) => dims.extend(&rest),
                Axis::Any(_) => return None,
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
        self.declared_value(ports, span, tail.as_ref()).unwrap_or(Val::Unknown)
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
                    self.declared.contains_key(name)
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

    /// Checks a block with a signature once, its sizes being symbols: its contract must hold for all of them.
    pub(super) fn check_for_all_sizes(&mut self, index: usize) {
        let block: &'a Block = self.blocks[index];
        let Some(sig) = &block.sig else {
            if !self.called.contains(&index) {
                self.read_alone(block);
            }
            return;
        };
        if self.faulty(block.header) {
            return;
        }
        self.fresh();
        let before = self.reports.len();
        self.symbolic = true;
        self.fact_home = (block.header, !block.conds.is_empty());
        self.inst = Inst { name: block.name.text.clone(), ..Inst::default() };
        self.chain.push(Frame::Block(block.name.text.clone(), vec![]));
        self.contract_names = signature_names(block);
        let ports = || sig.ins.iter().chain(sig.outs.iter().flatten());
        self.open_rank = ports().any(|port| port.ty.axes.iter().any(|axis| matches!(axis, Axis::Rest(_))));
        self.symbolic_hypers(block);
        self.symbolic_dims(block);
        for cond in &block.conds {
            if let Truth::Open(condition) = self.truth(cond) {
                self.prover.learn(&mut self.shapes.dims, condition);
            }
        }
        self.regions.push(Region::default());
        if let Some((scope, it)) = self.symbolic_inputs(&sig.ins) {
            self.inst.scopes.push(scope);
            let result = self.body(&block.body, it, true);
            if let (Some(ports), false) = (&sig.outs, result.is_unknown()) {
                self.contract(ports, result, sig.span, None);
            }
        }
        (self.symbolic, self.open_rank) = (false, false);
        self.contract_names.clear();
        self.keep_new_reports(before);
        self.settle_reports();
    }

    /// A block without a signature that nobody calls: its names and arguments are looked at, its shapes are not known.
    fn read_alone(&mut self, block: &'a Block) {
        if self.faulty(block.header) {
            return;
        }
        self.fresh();
        let before = self.reports.len();
        (self.symbolic, self.open_rank) = (true, true);
        self.inst = Inst { name: block.name.text.clone(), ..Inst::default() };
        self.chain.push(Frame::Block(block.name.text.clone(), vec![]));
        self.symbolic_hypers(block);
        self.regions.push(Region::default());
        self.body(&block.body, Some(Val::Unknown), true);
        (self.symbolic, self.open_rank) = (false, false);
        self.keep_new_reports(before);
        self.settle_reports();
    }

    /// Hyperparameters of number kind as symbols: those of the signature, and those without a default.
    fn symbolic_hypers(&mut self, block: &'a Block) {
        for param in &block.params {
            let name = param.name.text.clone();
            let default = param.default.as_ref().map(|default| self.eval(default));
            let value = match default {
                Some(Static::Int(_)) | None if self.contract_names.contains(&name) => {
                    Static::Dim(self.shapes.dims.symbol(&name))
                }
                Some(default) => default,
                None => Static::Dim(self.shapes.dims.symbol(&name)),
            };
            if let Some((_, first)) = self.inst.hypers.get(&name) {
                let first = *first;
                self.report_param_twice(&name, param.name.span, first);
            }
            self.inst.hypers.insert(name, (value, param.name.span));
        }
    }

    fn symbolic_dims(&mut self, block: &Block) {
        let Some(sig) = &block.sig else { return };
        let mut names = vec![];
        for port in sig.ins.iter().chain(sig.outs.iter().flatten()) {
            for axis in &port.ty.axes {
                if let Axis::Size(expr) = axis {
                    dim_names(expr, &mut names);
                }
            }
        }
        for name in names {
            if self.declared.contains_key(&name) && !self.inst.hypers.contains_key(&name) {
                let symbol = self.shapes.dims.symbol(&name);
                self.inst.dims.insert(name, symbol);
            }
        }
    }

    #[allow(clippy::type_complexity)]
    fn symbolic_inputs(&mut self, ports: &'a [Port]) -> Option<(IndexMap<String, Bound>, Option<Val>)> {
        let mut scope = IndexMap::new();
        let mut vals = vec![];
        for port in ports {
            let ty = self.port_type(&port.ty, Some("any"))?;
            if let Some(at) = port.ty.axes.iter().position(|axis| matches!(axis, Axis::Rest(_))) {
                self.inst.rest = Some(vec![self.shapes.dims(ty)[at]]);
            }
            let producer = Producer { word: String::new(), from: None, span: port.ty.span, alias: false, block: None };
            let id = self.value(ty, Some(producer));
            if let Some(name) = &port.name {
                let what = Meaning::Value(Val::One(id));
                scope.insert(name.text.clone(), Bound { what, span: name.span });
            }
            vals.push(Val::One(id));
        }
        let it = if vals.len() == 1 { vals.pop() } else { None };
        Some((scope, it))
    }

    /// A mistake that an instance has shown already is not told again.
    fn keep_new_reports(&mut self, before: usize) {
        let new = self.reports.split_off(before);
        for report in new {
            let span = report.diagnostic.labels[0].span;
            if !self.reported_at(span) {
                self.reports.push(report);
            }
        }
    }

    /// Proposes to write a fact into the header of the model or block that it belongs to.
    pub(super) fn with_fact_fix(&self, report: Diagnostic, fact: &str) -> Diagnostic {
        let (header, has_where) = self.fact_home;
        if header.is_empty() || fact.is_empty() {
            return report;
        }
        let written = self.written(header);
        let end = header.start + written.trim_end().len() as u32;
        let span = Span { start: end, end, ..header };
        let text = if has_where { format!(", {fact}") } else { format!(" where {fact}") };
        report.fix(span, text.clone(), text.trim_start_matches([',', ' ']).to_string())
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
    fn with_written_fix(
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

    /// The argument that says the width of a stage, and the axis that it is (the last one, if none is said).
    fn out_argument(&self, place: Span) -> Option<(Span, Option<usize>)> {
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
    fn params_at(&self, place: Span, size: Option<i64>) -> Vec<String> {
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
        format!("{}{replacement}{after}", &before[from..]).trim().to_string()
    }
}

/// The names that stand in a block's signature and facts.
fn signature_names(block: &Block) -> Vec<String> {
    let mut names = vec![];
    let Some(sig) = &block.sig else { return names };
    for port in sig.ins.iter().chain(sig.outs.iter().flatten()) {
        for axis in &port.ty.axes {
            if let Axis::Size(expr) = axis {
                dim_names(expr, &mut names);
            }
        }
    }
    names
}

fn values(count: usize) -> String {
    if count == 1 { "1 value".into() } else { format!("{count} values") }
}
