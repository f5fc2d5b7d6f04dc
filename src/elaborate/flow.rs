//! Flows: stages one after the other, tuples, branches.

use super::Elab;
use super::apply::Application;
use super::condition::Truth;
use super::path::{Adds, placeholder};
use super::resolve::Resolved;
use super::value::{Elem, Target, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::structured::{Item, ScopeItem, ScopeKind};
use crate::syntax::ast::{Body, Call, Cond, Expr, ExprKind, Flow, Name, Stage, StageKind};
use crate::text::Span;

/// The value that flows in.
#[derive(Clone, Debug)]
pub(super) struct It {
    /// It.
    pub val: Val,
    /// Whether it was used.
    pub used: bool,
}

impl<'a> Elab<'a> {
    /// A flow. With a name, its stages' parameters stand under that name.
    pub(super) fn flow(&mut self, flow: &'a Flow, name: Option<&Name>) -> Val {
        let Some(name) = name else { return self.stages(flow, None) };
        let node = self.paths.add(self.scope, Adds::Written(name.text.clone(), name.span));
        let scope = std::mem::replace(&mut self.scope, node);
        let calls = std::mem::take(&mut self.calls);
        let several = flow.stages.len() > 1;
        if several {
            self.regions.push(Default::default());
        }
        let val = self.stages(flow, Some(&name.text).filter(|_| !several));
        self.scope = scope;
        let inner = std::mem::replace(&mut self.calls, calls);
        self.name_owner(node, &inner);
        if several && let Some(region) = self.regions.pop() {
            let label = name.text.clone();
            let item = ScopeItem { kind: ScopeKind::Flow, label, path: placeholder(node), region, span: flow.span };
            self.emit(Item::Scope(item));
        }
        let owns = inner.iter().any(|(_, owns)| *owns);
        self.calls.push((None, owns));
        val
    }

    /// If one stage of a named flow owns parameters it takes the name; if several do, the name is their scope.
    pub(super) fn name_owner(&mut self, node: super::path::PathNode, calls: &[(Option<super::path::PathNode>, bool)]) {
        let mut owners = calls.iter().filter(|(_, owns)| *owns);
        let one = match (owners.next(), owners.next()) {
            (Some((one, _)), None) => *one,
            (None, _) if calls.len() == 1 => calls[0].0,
            _ => None,
        };
        let Some(one) = one else { return };
        match self.paths.adds(one) {
            // `path = "…"` replaces the name that it would have taken.
            Adds::Written(..) => self.paths.set(node, Adds::Nothing),
            Adds::Word(_) => self.paths.set(one, Adds::Nothing),
            Adds::Nothing | Adds::Copy(_) | Adds::SharedCopy(_) | Adds::Layer { .. } => {}
        }
    }

    pub(super) fn stages(&mut self, flow: &'a Flow, name: Option<&String>) -> Val {
        let outer = self.it.clone();
        let tail = self.tail.take();
        let mut used = outer.as_ref().is_some_and(|it| it.used);
        let mut val = Val::Unknown;
        for (i, stage) in flow.stages.iter().enumerate() {
            self.tail = tail.clone().filter(|_| i + 1 == flow.stages.len());
            let first = i == 0;
            if !first {
                self.it = Some(It { val: val.clone(), used: false });
            }
            let errors = self.reports.len();
            let result = self.stage(stage, first, name);
            let uses = self.it.as_ref().is_some_and(|it| it.used);
            if first {
                used |= uses;
            } else if !uses && self.reports.len() == errors && !self.limits.over && !val.is_unknown() {
                let text = "this stage does not use what flows into it";
                let report = Diagnostic::error("flow::unused", text, stage.span, "starts anew");
                self.report(report.note("a stage after `|>` must use the value before it: by itself, or as `it`"));
            }
            val = result;
        }
        self.tail = None;
        self.it = outer.map(|it| It { used, ..it });
        val
    }

    /// The value that flows in, used.
    pub(super) fn use_it(&mut self, span: Span) -> Val {
        match &mut self.it {
            Some(it) => {
                it.used = true;
                it.val.clone()
            }
            None => {
                let inputs = self.inst.scopes.first().map_or(0, |scope| scope.len());
                let (text, note) = match inputs {
                    0 if self.inst.name == super::EXPRESSION => {
                        ("nothing flows into the expression", "give it an input: `--input '[[1, 2, 3]]'`")
                    }
                    0 => ("nothing flows in here", "a body without inputs starts with a source: `range(8) |> …`"),
                    _ => (
                        "there is no current value here: several flow in",
                        "a model or block with several inputs starts with one: `x |> …`",
                    ),
                };
                let mut report = Diagnostic::error("flow::no_value", text, span, "nothing flows in here");
                let first = self.inst.scopes.first().and_then(|scope| scope.keys().next()).cloned();
                match first.filter(|_| inputs > 1) {
                    Some(first) => {
                        for bound in self.inst.scopes[0].values().take(3) {
                            report = report.label(bound.span, "comes in here");
                        }
                        report = report
                            .note(format!("where several flow in the first line begins with one: `{first} |> …`"));
                        let start = Span { end: span.start, ..span };
                        let flow = format!("{first} |> ");
                        report = report.fix(start, flow.clone(), self.mended(start, &flow));
                    }
                    None => report = report.note(note),
                }
                self.report(report);
                self.it = Some(It { val: Val::Unknown, used: true });
                Val::Unknown
            }
        }
    }

    pub(super) fn stage(&mut self, stage: &'a Stage, first: bool, name: Option<&String>) -> Val {
        if self.limits.over {
            self.it.iter_mut().for_each(|it| it.used = true);
            return Val::Unknown;
        }
        match &stage.kind {
            StageKind::Residual { head, placement, norm, branch, skip } => {
                self.tail = None;
                self.residual(super::residual::Written {
                    head: *head,
                    placement: placement.as_ref(),
                    norm: norm.as_ref(),
                    branch,
                    skip: skip.as_ref(),
                    span: stage.span,
                })
            }
            StageKind::Repeat { head, count, shared, body } => {
                self.tail = None;
                self.repeat(*head, count, *shared, body, name)
            }
            StageKind::For { head, vars, list, body } => {
                self.tail = None;
                self.for_each(*head, vars, list, body, name)
            }
            StageKind::If { head, conds, body, otherwise } => self.branch(*head, conds, body, otherwise.as_ref()),
            StageKind::Parallel { head: _, join, branches } => {
                self.tail = None;
                self.parallel(join, branches, stage.span)
            }
            StageKind::Expr(expr) => self.stage_expr(expr, first),
        }
    }

    pub(super) fn stage_expr(&mut self, expr: &'a Expr, first: bool) -> Val {
        match &expr.kind {
            ExprKind::Call(call) => self.stage_call(call, first),
            ExprKind::Tuple(elems) => match elems.as_slice() {
                [elem] if elem.name.is_none() => self.flow(&elem.flow, None),
                _ => {
                    self.tail = None;
                    let mut parts = vec![];
                    let before = self.reports.len();
                    for elem in elems {
                        if self.reports[before..]
                            .last()
                            .is_some_and(|last| last.diagnostic.code == "type::number_in_flow")
                        {
                            // Numbers where tensors are wanted: the name before the parenthesis is missing.
                            return self.unknown_stage();
                        }
                        let val = self.flow(&elem.flow, None);
                        let name = elem.name.as_ref().map(|name| name.text.clone());
                        parts.push(Elem { name, val, span: elem.flow.span });
                    }
                    Val::Tuple(parts)
                }
            },
            ExprKind::List(items) if self.is_tensor(expr) => {
                let inner: Vec<&str> = items.iter().map(|item| self.written(item.span())).collect();
                let fixed = format!("({})", inner.join(", "));
                let text = format!("several values stand in parentheses: `{fixed}`");
                let report = Diagnostic::error("type::list_of_values", text, expr.span, "brackets are for numbers");
                self.report(report.fix(expr.span, fixed.clone(), self.mended(expr.span, &fixed)));
                self.unknown_stage()
            }
            ExprKind::Broken => {
                self.it.iter_mut().for_each(|it| it.used = true);
                Val::Unknown
            }
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Str(_)
            | ExprKind::Neg(_)
            | ExprKind::Binary(..)
            | ExprKind::Index(..)
            | ExprKind::List(_) => self.arithmetic_stage(expr),
        }
    }

    /// A name, or a name with arguments, as a stage.
    pub(super) fn stage_call(&mut self, call: &'a Call, first: bool) -> Val {
        if call.name.text == "it" && call.args.is_none() {
            return self.use_it(call.span);
        }
        match self.resolve(call) {
            Resolved::Value(val) if first => val,
            Resolved::Value(Val::Unknown) => self.unknown_stage(),
            Resolved::Value(_) => {
                let text = format!("the value `{}` cannot stand after `|>`", call.name.text);
                let report = Diagnostic::error("flow::value", text, call.span, "a value restarts the flow");
                let note = format!("hand it in beside what flows: `(it, {}) |> …`", call.name.text);
                self.report(report.note(note));
                self.it.iter_mut().for_each(|it| it.used = true);
                Val::Unknown
            }
            Resolved::Layer(layer) => {
                let incoming = match self.layers[layer].target {
                    Target::Op(op) if op.operands.is_empty() => Val::Tuple(vec![]),
                    Target::Op(_) | Target::Block(_) => self.use_it(call.span),
                };
                self.apply_layer(layer, incoming, call.span)
            }
            Resolved::Stage(target, given) => {
                let source = matches!(target, Target::Op(op) if op.operands.is_empty());
                let incoming = if source { Val::Tuple(vec![]) } else { self.use_it(call.span) };
                let (word, span) = (call.name.text.as_str(), call.span);
                self.apply(Application { target, given: &given, incoming, word, span, node: None, layer: None })
            }
            Resolved::Broken => {
                self.it.iter_mut().for_each(|it| it.used = true);
                Val::Unknown
            }
        }
    }

    /// `if`: the branch that is taken.
    pub(super) fn branch(&mut self, head: Span, conds: &'a [Cond], body: &'a Body, otherwise: Option<&'a Body>) -> Val {
        let mut holds = true;
        for cond in conds {
            if self.is_tensor(&cond.left) || cond.right.as_ref().is_some_and(|(_, right)| self.is_tensor(right)) {
                let text = "`if` is decided when the file is checked: it cannot look at a tensor";
                let report = Diagnostic::error("type::branch_on_tensor", text, cond.span, "a value of the flow");
                let note = "a choice for each element is a stage: `(mask, a, b) |> where`, or an activation";
                self.report(report.note(note));
                return self.unknown_stage();
            }
            match self.truth(cond) {
                Truth::Known(known) => holds &= known,
                Truth::Silent => return self.unknown_stage(),
                Truth::Open(_) | Truth::Opaque => {
                    if !self.symbolic {
                        let written = self.written(cond.span);
                        let text = format!("`if` cannot depend on `{written}`: a dim stands for any size");
                        let report =
                            Diagnostic::error("type::symbolic_branch", text, cond.span, "true for some sizes only");
                        self.report(report.note(super::number::ONLY_IN_SHAPES));
                    }
                    return self.unknown_stage();
                }
            }
        }
        let input = self.it.as_mut().map(|it| {
            it.used = true;
            it.val.clone()
        });
        let taken = if holds { Some(body) } else { otherwise };
        let Some(taken) = taken else { return input.unwrap_or(Val::Unknown) };
        let calls = std::mem::take(&mut self.calls);
        let (owners, scope) = (self.owners, self.scope);
        self.regions.push(Default::default());
        let val = self.body(taken, input, false);
        let region = self.regions.pop().unwrap_or_default();
        let shown: Vec<String> = conds.iter().map(super::words::cond).collect();
        let label = format!("if {}", shown.join(", "));
        let item = ScopeItem { kind: ScopeKind::If, label, path: placeholder(scope), region, span: head };
        self.emit(Item::Scope(item));
        self.calls = calls;
        self.calls.push((None, self.owners > owners));
        val
    }

    /// A stage that could not be read: it uses what flows in, and gives nothing known.
    pub(super) fn unknown_stage(&mut self) -> Val {
        self.it.iter_mut().for_each(|it| it.used = true);
        Val::Unknown
    }

    /// `parallel join J { | a | b }` is `(a, b) |> J`.
    pub(super) fn parallel(&mut self, join: &'a Call, branches: &'a [(Option<Name>, Flow)], span: Span) -> Val {
        let calls = std::mem::take(&mut self.calls);
        let owners = self.owners;
        let scope = self.scope;
        self.regions.push(Default::default());
        let mut parts = vec![];
        for (name, flow) in branches {
            self.regions.push(Default::default());
            let val = self.flow(flow, name.as_ref());
            let region = self.regions.pop().unwrap_or_default();
            let label = name.as_ref().map_or_else(|| "|".into(), |name| name.text.clone());
            let kind = ScopeKind::Branch;
            self.emit(Item::Scope(ScopeItem { kind, label, path: placeholder(scope), region, span: flow.span }));
            parts.push(Elem { name: None, val, span: flow.span });
        }
        let unread = branches.is_empty() || self.faulty(span);
        let outer = self.it.take();
        self.it = Some(It { val: if unread { Val::Unknown } else { Val::Tuple(parts) }, used: false });
        let val = self.stage_call(join, false);
        self.it = outer.map(|it| It { used: true, ..it });
        let region = self.regions.pop().unwrap_or_default();
        let label = format!("parallel join {}", super::words::call(join));
        self.emit(Item::Scope(ScopeItem { kind: ScopeKind::Parallel, label, path: placeholder(scope), region, span }));
        self.calls = calls;
        self.calls.push((None, self.owners > owners));
        val
    }
}
