//! Bodies: the flow runs downwards, names are bound, nothing is dropped.

use super::Elab;
use super::apply::{Application, Layer};
use super::path::{Adds, placeholder};
use super::scope::{Meaning, WORDS};
use super::value::{Elem, Given, StageValue, Static, Target, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::structured::{Item, LayerDef, ScopeItem, ScopeKind};
use crate::ops;
use crate::syntax::ast::{Body, Call, Cond, Expr, ExprKind, Flow, Lhs, Name, Stage, StageKind, Stmt, StmtKind};
use crate::text::Span;

/// The value that flows in.
#[derive(Clone, Debug)]
pub(super) struct It {
    /// It.
    pub val: Val,
    /// Whether it was used.
    pub used: bool,
}

/// The current value of a body.
struct Current {
    val: Val,
    /// Named, or an input: a line need not use it.
    kept: bool,
    span: Span,
}

/// What a word in a flow stands for.
pub(super) enum Resolved {
    /// A value: it restarts the flow.
    Value(Val),
    /// A declared layer.
    Layer(usize),
    /// A stage with its arguments.
    Stage(Target, Vec<Given>),
    /// A mistake, reported.
    Broken,
}

impl<'a> Elab<'a> {
    /// Reads a body. `top`: the body of a model or block, which may `return`.
    pub(super) fn body(&mut self, body: &'a Body, input: Option<Val>, top: bool) -> Val {
        let outer = self.it.take();
        let tail = self.tail.take();
        self.inst.scopes.push(Default::default());
        let mut current = input.map(|val| Current { val, kept: true, span: body.span });
        let mut returned = None;
        for (i, stmt) in body.stmts.iter().enumerate() {
            if let Some(span) = returned {
                let text = "nothing can follow `return`";
                self.report(
                    Diagnostic::error("flow::after_return", text, stmt.span, "never reached").label(span, "ends here"),
                );
                break;
            }
            let last = i + 1 == body.stmts.len();
            self.tail = tail.clone().filter(|_| last);
            if self.is_slip(stmt) {
                self.bind_unknown(stmt);
                current = Some(Current { val: Val::Unknown, kept: true, span: stmt.span });
                continue;
            }
            match &stmt.kind {
                StmtKind::Dim(name, expr) => {
                    let value = self.eval(expr);
                    self.bind_name(name, Meaning::Static(value));
                }
                StmtKind::Layer(name, call) => self.declare_layer(name, call),
                StmtKind::Return(flow) => {
                    if !top {
                        let text = "`return` belongs at the end of a model or block";
                        self.report(Diagnostic::error("flow::return", text, stmt.span, "inside another body"));
                    }
                    returned = Some(stmt.span);
                    self.line(&mut current, None, flow);
                }
                StmtKind::Flow(lhs, flow) => self.line(&mut current, lhs.as_ref(), flow),
                StmtKind::Broken => current = Some(Current { val: Val::Unknown, kept: true, span: stmt.span }),
            }
        }
        self.tail = None;
        self.last_scope = self.inst.scopes.pop().unwrap_or_default();
        self.it = outer;
        match current {
            Some(current) => current.val,
            None => Val::Unknown,
        }
    }

    /// Whether a line of its own (not one in a body within it) has a syntax error.
    fn is_slip(&self, stmt: &Stmt) -> bool {
        let (StmtKind::Flow(_, flow) | StmtKind::Return(flow)) = &stmt.kind else {
            return self.faulty(stmt.span);
        };
        let mut heads = vec![];
        let mut plain = true;
        for stage in &flow.stages {
            match &stage.kind {
                StageKind::Residual { head, .. }
                | StageKind::Repeat { head, .. }
                | StageKind::For { head, .. }
                | StageKind::If { head, .. }
                | StageKind::Parallel { head, .. } => {
                    plain = false;
                    heads.push(*head);
                }
                StageKind::Expr(expr) => heads.push(expr.span),
            }
        }
        if plain { self.faulty(stmt.span) } else { heads.into_iter().any(|head| self.faulty(head)) }
    }

    /// The names of a line that could not be read.
    fn bind_unknown(&mut self, stmt: &'a Stmt) {
        match &stmt.kind {
            StmtKind::Dim(name, _) => self.bind_name(name, Meaning::Static(Static::Unknown)),
            StmtKind::Layer(name, _) => self.bind_name(name, Meaning::Value(Val::Unknown)),
            StmtKind::Flow(Some(lhs), _) => {
                self.bind_lhs(lhs, Val::Unknown);
            }
            StmtKind::Flow(None, _) | StmtKind::Return(_) | StmtKind::Broken => {}
        }
    }

    /// A line: a flow, perhaps with a name.
    fn line(&mut self, current: &mut Option<Current>, lhs: Option<&'a Lhs>, flow: &'a Flow) {
        self.it = current.as_ref().map(|current| It { val: current.val.clone(), used: false });
        let name = match lhs {
            Some(Lhs::Name(name)) if name.text != "_" => Some(name),
            _ => None,
        };
        let errors = self.reports.len();
        let idle = lhs.is_none() && self.is_current(flow, current.as_ref());
        let val = self.flow(flow, name);
        let used = self.it.take().is_some_and(|it| it.used);
        if let Some(current) = current.as_ref() {
            if idle && self.reports.len() == errors {
                let text = "this line does nothing: the name is the current value already";
                self.report(Diagnostic::error("flow::idle", text, flow.span, "already what flows here"));
            } else if !used && !current.kept && !current.val.is_unknown() && self.reports.len() == errors {
                self.report_dropped(current, flow);
            }
        }
        let val = match lhs {
            Some(lhs) => self.bind_lhs(lhs, val),
            None => val,
        };
        *current = Some(Current { val, kept: lhs.is_some(), span: flow.span });
    }

    fn is_current(&self, flow: &Flow, current: Option<&Current>) -> bool {
        let ([Stage { kind: StageKind::Expr(expr), .. }], Some(current)) = (flow.stages.as_slice(), current) else {
            return false;
        };
        let ExprKind::Call(Call { name, args: None, .. }) = &expr.kind else { return false };
        let bound = match self.inst.lookup(&name.text).map(|bound| &bound.what) {
            Some(Meaning::Value(val)) => val.single(),
            _ => None,
        };
        bound.is_some() && bound == current.val.single()
    }

    fn report_dropped(&mut self, current: &Current, flow: &Flow) {
        let text = "what flows in here is dropped: this line does not use it";
        let report = Diagnostic::error("flow::dropped", text, flow.span, "starts anew");
        let mut report = report.label(current.span, "this value is neither used nor named");
        if let Some(name) = self.starts_with_value(flow) {
            report = report.note(format!(
                "`{name}` is a value: its name alone gives it again; to use a layer twice declare it: `layer {name} = …`"
            ));
        }
        self.report(report);
    }

    fn starts_with_value<'f>(&self, flow: &'f Flow) -> Option<&'f str> {
        let StageKind::Expr(Expr { kind: ExprKind::Call(call), .. }) = &flow.stages.first()?.kind else { return None };
        let bound = self.inst.lookup(&call.name.text)?;
        matches!(bound.what, Meaning::Value(_)).then_some(call.name.text.as_str())
    }

    /// Binds what stands left of `=`; what flows on is returned.
    fn bind_lhs(&mut self, lhs: &'a Lhs, val: Val) -> Val {
        match lhs {
            Lhs::Name(name) => {
                let single = val.single().map_or_else(|| val.clone(), Val::One);
                if let Some(id) = single.single() {
                    let info = &mut self.values[id.0 as usize];
                    info.name.get_or_insert_with(|| name.text.clone());
                }
                self.bind_name(name, Meaning::Value(single));
                val
            }
            Lhs::Pattern(names, span) => self.bind_pattern(names, *span, val),
        }
    }

    fn bind_pattern(&mut self, names: &'a [Name], span: Span, val: Val) -> Val {
        let parts: Vec<Val> = match &val {
            Val::Unknown => vec![Val::Unknown; names.len()],
            Val::One(_) => vec![val.clone()],
            Val::Multi(ids, _) => ids.iter().map(|&id| Val::One(id)).collect(),
            Val::Tuple(elems) => elems.iter().map(|elem| elem.val.clone()).collect(),
        };
        if parts.len() != names.len() {
            let outputs = match &val {
                Val::Multi(_, op) => {
                    let names: Vec<&str> = op.outputs.iter().filter(|o| !o.saved).map(|o| o.name).collect();
                    format!(": {}", names.join(", "))
                }
                Val::Unknown | Val::One(_) | Val::Tuple(_) => String::new(),
            };
            let values = if parts.len() == 1 { "1 value".into() } else { format!("{} values", parts.len()) };
            let text = format!(
                "the pattern names {}, and there {} {values}{outputs}",
                names.len(),
                if parts.len() == 1 { "is" } else { "are" }
            );
            let report = Diagnostic::error("type::pattern", text, span, format!("{} names", names.len()));
            self.report(report.note("a pattern names all of them; `_` stands for what is not wanted"));
        }
        for (i, name) in names.iter().enumerate() {
            let part = parts.get(i).cloned().filter(|_| parts.len() == names.len()).unwrap_or(Val::Unknown);
            if let Some(id) = part.single() {
                self.values[id.0 as usize].name.get_or_insert_with(|| name.text.clone());
            }
            self.bind_name(name, Meaning::Value(part));
        }
        val
    }

    fn declare_layer(&mut self, name: &'a Name, call: &'a Call) {
        let node = self.paths.add(self.scope, Adds::Written(name.text.clone(), name.span));
        let Resolved::Stage(target, given) = self.resolve(call) else {
            self.bind_name(name, Meaning::Value(Val::Unknown));
            return;
        };
        let (mut op, mut attrs) = (None, None);
        if let Target::Op(def) = target {
            let called = super::bind::Called { defs: def.attrs, word: &call.name.text, span: call.span };
            let Some(bound) = self.bind(called, &given, None) else {
                self.bind_name(name, Meaning::Value(Val::Unknown));
                return;
            };
            if let Some((path, span)) = bound.path {
                self.paths.set(node, Adds::Written(path, span));
            }
            (op, attrs) = (Some(def), Some(bound.attrs));
        }
        let def = LayerDef { path: placeholder(node), op, attrs, ins: vec![], span: name.span };
        let index = self.layers.len();
        self.layers.push(Layer { name: name.text.clone(), def, target, given, node, params: None });
        self.bind_name(name, Meaning::Layer(index));
    }

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
    fn name_owner(&mut self, node: super::path::PathNode, calls: &[(Option<super::path::PathNode>, bool)]) {
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

    fn stages(&mut self, flow: &'a Flow, name: Option<&String>) -> Val {
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
                let text = "there is no current value here: several flow in";
                let report = Diagnostic::error("flow::no_value", text, span, "nothing flows in here");
                self.report(report.note("a model or block with several inputs starts with one: `x |> …`"));
                self.it = Some(It { val: Val::Unknown, used: true });
                Val::Unknown
            }
        }
    }

    fn stage(&mut self, stage: &'a Stage, first: bool, name: Option<&String>) -> Val {
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

    fn stage_expr(&mut self, expr: &'a Expr, first: bool) -> Val {
        match &expr.kind {
            ExprKind::Call(call) => self.stage_call(call, first),
            ExprKind::Tuple(elems) => match elems.as_slice() {
                [elem] if elem.name.is_none() => self.flow(&elem.flow, None),
                _ => {
                    self.tail = None;
                    let mut parts = vec![];
                    for elem in elems {
                        if self.reports.last().is_some_and(|last| last.diagnostic.code == "type::number_in_flow") {
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

    /// What a name in a flow means.
    pub(super) fn resolve(&mut self, call: &'a Call) -> Resolved {
        let word = call.name.text.as_str();
        match &call.args {
            None => self.resolve_bare(call, word),
            Some(args) => {
                let given = self.given(args);
                self.resolve_called(call, word, given)
            }
        }
    }

    fn resolve_bare(&mut self, call: &'a Call, word: &str) -> Resolved {
        if let Some(bound) = self.inst.lookup(word).cloned() {
            return match bound.what {
                Meaning::Value(_) | Meaning::Layer(_) if ops::find(word).is_some() => {
                    self.report_shadowed(call, word, bound.span);
                    Resolved::Broken
                }
                Meaning::Value(val) => Resolved::Value(val),
                Meaning::Layer(layer) => Resolved::Layer(layer),
                Meaning::Static(value) => self.resolve_static(call, value, vec![]),
            };
        }
        if let Some((value, _)) = self.inst.hypers.get(word).cloned() {
            return self.resolve_static(call, value, vec![]);
        }
        self.resolve_named(call, word, vec![])
    }

    fn resolve_called(&mut self, call: &'a Call, word: &str, given: Vec<Given>) -> Resolved {
        let scoped = self.inst.lookup(word).map(|bound| bound.what.clone());
        if let Some(Meaning::Static(value @ Static::Stage(_))) = scoped {
            return self.resolve_static(call, value, given);
        }
        if let Some((value @ Static::Stage(_), _)) = self.inst.hypers.get(word).cloned() {
            return self.resolve_static(call, value, given);
        }
        if self.block_names.contains_key(word) || ops::find(word).is_some() {
            return self.resolve_named(call, word, given);
        }
        let bound =
            self.inst.lookup(word).map(|bound| bound.span).or(self.inst.hypers.get(word).map(|(_, span)| *span));
        if let Some(span) = bound {
            let text = format!("`{word}` takes no arguments: it is no stage");
            self.report(
                Diagnostic::error("name::not_a_stage", text, call.span, "called here").label(span, "bound here"),
            );
            return Resolved::Broken;
        }
        self.resolve_named(call, word, given)
    }

    fn resolve_static(&mut self, call: &'a Call, value: Static, given: Vec<Given>) -> Resolved {
        match value {
            Static::Stage(stage) => {
                let StageValue { target, args } = stage.with(given);
                Resolved::Stage(target, args)
            }
            Static::Layer(layer) => Resolved::Layer(layer),
            Static::Unknown => Resolved::Broken,
            other if self.is_open(&other) => Resolved::Broken,
            other => {
                let text = format!("`{}` is {}, and does not flow", call.name.text, other.kind());
                let report = Diagnostic::error("type::number_in_flow", text, call.span, "not a stage or value");
                self.report(
                    report.note("a line of a body is a value or a stage; numbers stand in parentheses after a name"),
                );
                Resolved::Broken
            }
        }
    }

    fn resolve_named(&mut self, call: &'a Call, word: &str, given: Vec<Given>) -> Resolved {
        if let Some(&block) = self.block_names.get(word) {
            return Resolved::Stage(Target::Block(block), given);
        }
        if let Some(op) = ops::find(word) {
            return Resolved::Stage(Target::Op(op), given);
        }
        if self.inst.dims.contains_key(word) || self.declared.contains_key(word) {
            let value = Static::Dim(self.shapes.dims.symbol(word));
            return self.resolve_static(call, value, given);
        }
        let text = format!("there is no operator, block or value `{word}`");
        let mut report = Diagnostic::error("name::stage", text, call.name.span, "unknown");
        if WORDS.contains(&word) {
            report.message = format!("`{word}` is no stage");
        } else if let Some(meant) = self.meant_stage(word) {
            report = self.meant_name(report, call.name.span, &meant);
        }
        self.report(report);
        Resolved::Broken
    }

    fn report_shadowed(&mut self, call: &Call, word: &str, bound: Span) {
        let text = format!("`{word}` alone is ambiguous: a name of this body, and an operator");
        let report = Diagnostic::error("name::ambiguous", text, call.span, "which of the two?");
        let report = report.label(bound, format!("`{word}` is bound here"));
        let report =
            report.note(format!("rename the one bound here; `path = \"{word}\"` keeps its place in the checkpoint"));
        self.report(report.fix(call.span, format!("{word}()"), format!("{word}()   which is always the operator")));
    }

    /// `if`: the branch that is taken.
    fn branch(&mut self, head: Span, conds: &'a [Cond], body: &'a Body, otherwise: Option<&'a Body>) -> Val {
        let mut holds = true;
        for cond in conds {
            match self.truth(cond) {
                super::number::Truth::Known(known) => holds &= known,
                super::number::Truth::Silent => return self.unknown_stage(),
                super::number::Truth::Open(_) | super::number::Truth::Opaque => {
                    if !self.symbolic {
                        let text = "a branch cannot depend on a size that is not known";
                        let report =
                            Diagnostic::error("type::symbolic_branch", text, cond.span, "true for some sizes only");
                        self.report(report.note("a symbolic size may stand in shapes, size lists and facts"));
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
    fn parallel(&mut self, join: &'a Call, branches: &'a [(Option<Name>, Flow)], span: Span) -> Val {
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
        let outer = self.it.take();
        self.it = Some(It { val: Val::Tuple(parts), used: false });
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
