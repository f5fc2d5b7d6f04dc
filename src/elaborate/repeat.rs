//! `repeat` and `for`: copies are read until the type that is carried repeats, and kept as runs.

use super::Elab;
use super::chain::{Frame, Producer};
use super::path::{Adds, PathNode, placeholder};
use super::scope::Meaning;
use super::value::{Static, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::shape::Type;
use crate::ir::structured::{Item, RepeatId, RepeatItem, Run, ValueId};
use crate::syntax::ast::{Body, Expr, ExprKind, Lhs, Stage, StageKind, StmtKind};
use crate::text::Span;

/// What all copies share.
struct Loop<'a> {
    id: RepeatId,
    node: PathNode,
    name: String,
    label: String,
    head: Span,
    shared: bool,
    body: &'a Body,
    /// The body is one block call, which then adds nothing to paths.
    call_alone: bool,
    /// Counts outside of the copies.
    nodes: u64,
    parameters: u128,
    runs: Vec<Run>,
}

/// What a copy made of what flowed in.
struct Copied {
    params: Vec<ValueId>,
    result: Val,
    region: crate::ir::structured::Region,
}

impl<'a> Elab<'a> {
    /// `repeat n { … }`.
    pub(super) fn repeat(
        &mut self,
        head: Span,
        expr: &'a Expr,
        shared: bool,
        body: &'a Body,
        name: Option<&String>,
    ) -> Val {
        let value = self.eval(expr);
        let Some(count) = self.copies(&value, expr.span) else { return self.unknown_stage() };
        let input = self.use_it(head);
        if count == 0 || input.is_unknown() {
            return if count == 0 { input } else { Val::Unknown };
        }
        let owners = self.owners;
        let label = format!("repeat {}{}", super::words::expr(expr), if shared { " shared" } else { "" });
        let mut copies = self.open_loop("repeat", head, shared, body, name, label);
        let mut at = 0;
        let mut current = input.clone();
        let mut leaves = input.leaves();
        while at < count && !self.limits.over {
            let before: Vec<Type> = leaves.iter().map(|&id| self.ty(id)).collect();
            let copy = self.copy(&copies, at, &current, &leaves, |_| {});
            let results = copy.result.leaves();
            let after: Vec<Type> = results.iter().map(|&id| self.ty(id)).collect();
            let known = !copy.result.is_unknown();
            let settled = !known || before == after;
            if shared && count > 1 && known && before != after {
                self.report_shared(head, &before, &after);
                current = Val::Unknown;
                break;
            }
            let run = if settled { count - at } else { 1 };
            current = copy.result.clone();
            leaves = self.close_run(&mut copies, copy, at, run, String::new());
            at += run;
            if !known {
                break;
            }
        }
        self.close_loop(copies, &input, current, leaves, false, owners)
    }

    fn copies(&mut self, value: &Static, span: Span) -> Option<u64> {
        match self.plain(value) {
            Static::Int(n) => match u64::try_from(n) {
                Ok(n) => Some(n),
                Err(_) => {
                    let text = format!("`repeat` wants a count of at least 0, and gets {n}");
                    self.report(Diagnostic::error("type::count", text, span, format!("this is {n}")));
                    None
                }
            },
            Static::Ratio(..) | Static::Float(_) => {
                let shown = self.shown(value);
                let text = format!("`repeat` wants an integer, and gets {shown}");
                self.report(Diagnostic::error("type::count", text, span, format!("this is {shown}")));
                None
            }
            other => {
                self.need_number(&other, span);
                None
            }
        }
    }

    /// `for c in list { … }`.
    pub(super) fn for_each(
        &mut self,
        head: Span,
        vars: &'a Lhs,
        list: &'a Expr,
        body: &'a Body,
        name: Option<&String>,
    ) -> Val {
        let items = match self.eval(list) {
            Static::List(items) => items,
            Static::Unknown => return self.unknown_stage(),
            other if self.is_open(&other) => return self.unknown_stage(),
            other => {
                let text = format!("`for` walks over a list, and this is {}", other.kind());
                let report = Diagnostic::error("type::for_list", text, list.span, "not a list");
                let report = report.note("`for i in range(n)` counts; `repeat n` makes equal copies");
                let fixed = format!("range({})", self.written(list.span));
                self.report(match other {
                    Static::Int(_) => report.fix(list.span, fixed.clone(), self.mended(list.span, &fixed)),
                    _ => report,
                });
                return self.unknown_stage();
            }
        };
        let input = self.use_it(head);
        if items.is_empty() || input.is_unknown() {
            return input;
        }
        let owners = self.owners;
        let label = format!("for {} in {}", super::words::lhs(vars), super::words::expr(list));
        let mut copies = self.open_loop("for", head, false, body, name, label);
        let mut current = input.clone();
        let mut leaves = input.leaves();
        for (at, item) in items.iter().enumerate() {
            if self.limits.over {
                break;
            }
            let shown = format!("{} = {}", super::words::lhs(vars), self.shown(item));
            let at = at as u64;
            let copy = self.copy(&copies, at, &current, &leaves, |elab| elab.bind_for(vars, item));
            let known = !copy.result.is_unknown();
            current = copy.result.clone();
            leaves = self.close_run(&mut copies, copy, at, 1, shown);
            if !known {
                break;
            }
        }
        self.close_loop(copies, &input, current, leaves, true, owners)
    }

    fn bind_for(&mut self, vars: &'a Lhs, item: &Static) {
        match vars {
            Lhs::Name(name) => self.bind_name(name, Meaning::Static(item.clone())),
            Lhs::Pattern(names, span) => {
                let parts = match item {
                    Static::List(parts) => parts.clone(),
                    other => vec![other.clone()],
                };
                if parts.len() != names.len() {
                    let text = format!(
                        "the pattern names {} values, and an item of the list has {}",
                        names.len(),
                        parts.len()
                    );
                    self.report(Diagnostic::error("type::for_pattern", text, *span, format!("{} names", names.len())));
                }
                for (i, name) in names.iter().enumerate() {
                    let part = parts.get(i).cloned().unwrap_or(Static::Unknown);
                    self.bind_name(name, Meaning::Static(part));
                }
            }
        }
    }

    fn open_loop(
        &mut self,
        word: &str,
        head: Span,
        shared: bool,
        body: &'a Body,
        name: Option<&String>,
        label: String,
    ) -> Loop<'a> {
        let id = RepeatId(self.repeats);
        self.repeats += 1;
        let node = self.paths.add(self.scope, Adds::Word(word.into()));
        Loop {
            id,
            node,
            name: name.cloned().unwrap_or_else(|| word.into()),
            label,
            head,
            shared,
            body,
            call_alone: self.is_block_call(body),
            nodes: std::mem::take(&mut self.limits.nodes),
            parameters: std::mem::take(&mut self.limits.parameters),
            runs: vec![],
        }
    }

    /// Whether a body is one unnamed call of a block, perhaps with values handed in: `(it, memory) |> decoder(d)`.
    fn is_block_call(&self, body: &Body) -> bool {
        let [stmt] = body.stmts.as_slice() else { return false };
        let StmtKind::Flow(None, flow) = &stmt.kind else { return false };
        let stage = match flow.stages.as_slice() {
            [stage] => stage,
            [values, stage] if is_plain(values) => stage,
            _ => return false,
        };
        let StageKind::Expr(expr) = &stage.kind else { return false };
        let ExprKind::Call(call) = &expr.kind else { return false };
        let word = call.name.text.as_str();
        match self.inst.hypers.get(word) {
            Some((Static::Stage(stage), _)) => matches!(stage.target, super::value::Target::Block(_)),
            Some(_) => false,
            None => self.block_names.contains_key(word),
        }
    }

    /// Reads one copy.
    fn copy(
        &mut self,
        copies: &Loop<'a>,
        at: u64,
        current: &Val,
        leaves: &[ValueId],
        bind: impl FnOnce(&mut Self),
    ) -> Copied {
        let params: Vec<ValueId> = leaves
            .iter()
            .map(|&from| {
                let ty = self.ty(from);
                let producer =
                    Producer { word: "|".into(), from: Some(from), span: copies.head, alias: true, block: None };
                self.value(ty, Some(producer))
            })
            .collect();
        let input = current.rebuilt(&mut params.iter().copied());
        let adds = if copies.shared { Adds::SharedCopy(copies.id) } else { Adds::Copy(copies.id) };
        let node = self.paths.add(copies.node, adds);
        let scope = std::mem::replace(&mut self.scope, node);
        let calls = std::mem::take(&mut self.calls);
        self.chain.push(Frame::Copy(copies.name.clone(), copies.id.0, at, copies.shared));
        self.regions.push(Default::default());
        self.inst.scopes.push(Default::default());
        (self.limits.nodes, self.limits.parameters) = (0, 0);
        bind(self);
        let result = self.body(copies.body, Some(input), false);
        self.inst.scopes.pop();
        let region = self.close_region();
        self.chain.pop();
        let inner = std::mem::replace(&mut self.calls, calls);
        if let (true, [(Some(block), _)]) = (copies.call_alone, inner.as_slice())
            && matches!(self.paths.adds(*block), Adds::Word(_))
        {
            self.paths.set(*block, Adds::Nothing);
        }
        self.scope = scope;
        Copied { params, result, region }
    }

    /// Takes a copy in, and gives the values that flow out of its run.
    fn close_run(
        &mut self,
        copies: &mut Loop<'a>,
        copy: Copied,
        first: u64,
        count: u64,
        shown: String,
    ) -> Vec<ValueId> {
        let times = count.max(1);
        copies.nodes = copies.nodes.saturating_add(self.limits.nodes.saturating_mul(times));
        let sharing = if copies.shared { 1 } else { u128::from(times) };
        copies.parameters = copies.parameters.saturating_add(self.limits.parameters.saturating_mul(sharing));
        self.run_counts.insert((copies.id.0, first), count);
        let results = copy.result.leaves();
        let Copied { params, region, .. } = copy;
        copies.runs.push(Run { count, first, params, results: results.clone(), region, shown });
        results
    }

    fn close_loop(
        &mut self,
        copies: Loop<'a>,
        input: &Val,
        current: Val,
        leaves: Vec<ValueId>,
        is_for: bool,
        owners: u64,
    ) -> Val {
        (self.limits.nodes, self.limits.parameters) = (copies.nodes, copies.parameters);
        self.check_stages(copies.head);
        self.check_parameters(copies.head);
        let outs: Vec<ValueId> = leaves
            .iter()
            .map(|&from| {
                let ty = self.ty(from);
                let producer = Producer {
                    word: copies.name.clone(),
                    from: Some(from),
                    span: copies.head,
                    alias: true,
                    block: None,
                };
                self.value(ty, Some(producer))
            })
            .collect();
        self.emit(Item::Repeat(RepeatItem {
            id: copies.id,
            shared: copies.shared,
            is_for,
            ins: input.leaves(),
            outs: outs.clone(),
            runs: copies.runs,
            path: placeholder(copies.node),
            label: copies.label,
            span: copies.head,
        }));
        self.calls.push((Some(copies.node), self.owners > owners));
        current.rebuilt(&mut outs.into_iter())
    }

    fn report_shared(&mut self, head: Span, before: &[Type], after: &[Type]) {
        let show = |elab: &Self, types: &[Type]| {
            let shown: Vec<String> = types.iter().map(|&ty| elab.shapes.show(ty)).collect();
            shown.join(", ")
        };
        let text = "a shared repeat must end with the shape it started with: one copy is used every time";
        let label = format!("starts with {}, ends with {}", show(self, before), show(self, after));
        self.report(Diagnostic::error("shape::shared_repeat", text, head, label));
    }
}

/// Whether a stage is a name, or several in parentheses.
fn is_plain(stage: &Stage) -> bool {
    let StageKind::Expr(expr) = &stage.kind else { return false };
    match &expr.kind {
        ExprKind::Call(call) => call.args.is_none(),
        ExprKind::Tuple(elems) => {
            elems.iter().all(|elem| matches!(elem.flow.stages.as_slice(), [one] if is_plain(one)))
        }
        _ => false,
    }
}
