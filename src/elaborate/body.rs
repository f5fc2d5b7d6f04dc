//! Bodies: the flow runs downwards, names are bound, nothing is dropped.

use super::Elab;
use super::apply::Layer;
use super::bind::Called;
use super::flow::It;
use super::path::{Adds, placeholder};
use super::resolve::Resolved;
use super::scope::Meaning;
use super::value::{Static, Target, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::structured::LayerDef;
use crate::syntax::ast::{Body, Call, Expr, ExprKind, Flow, Lhs, Name, Stage, StageKind, Stmt, StmtKind};
use crate::text::Span;

/// The current value of a body.
pub(super) struct Current {
    val: Val,
    /// Named, or an input: a line need not use it.
    kept: bool,
    span: Span,
    /// Something was dropped before: what flows since then was hardly meant.
    lost: bool,
}

impl<'a> Elab<'a> {
    /// Reads a body. `top`: the body of a model or block, which may `return`.
    pub(super) fn body(&mut self, body: &'a Body, input: Option<Val>, top: bool) -> Val {
        let outer = self.it.take();
        let tail = self.tail.take();
        self.inst.scopes.push(Default::default());
        let mut current = input.map(|val| Current { val, kept: true, span: body.span, lost: false });
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
                current = Some(Current { val: Val::Unknown, kept: true, span: stmt.span, lost: false });
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
                    // `return h` may repeat what flows.
                    let kept = current.as_ref().is_some_and(|current| self.is_current(flow, Some(current)));
                    if !kept {
                        self.line(&mut current, None, flow);
                    }
                }
                StmtKind::Flow(lhs, flow) => self.line(&mut current, lhs.as_ref(), flow),
                StmtKind::Broken => {
                    current = Some(Current { val: Val::Unknown, kept: true, span: stmt.span, lost: false })
                }
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
                // The brace belongs to the head: one that is never closed has swallowed what follows.
                StageKind::Residual { head, branch: body, .. }
                | StageKind::Repeat { head, body, .. }
                | StageKind::For { head, body, .. }
                | StageKind::If { head, body, .. } => {
                    plain = false;
                    heads.push(Span { end: head.end.max(body.span.start + 1), ..*head });
                }
                StageKind::Parallel { head, .. } => {
                    plain = false;
                    let brace = self.written(stage.span).find('{').map_or(0, |at| stage.span.start + at as u32 + 1);
                    heads.push(Span { end: head.end.max(brace), ..*head });
                }
                StageKind::Expr(expr) => heads.push(expr.span),
            }
        }
        if plain {
            self.faulty(stmt.span)
        } else {
            heads.into_iter().any(|head| self.faulty(head)) || self.braceless(stmt.span)
        }
    }

    /// Whether a brace that is missing within this line has swallowed what follows, or let go what belongs to it.
    fn braceless(&self, span: Span) -> bool {
        let inside = |fault: &&Span| fault.file == span.file && (span.start..=span.end + 1).contains(&fault.start);
        self.faults.iter().filter(inside).any(|fault| matches!(self.written(*fault), "{" | "skip"))
    }

    /// The names of a line that could not be read.
    fn bind_unknown(&mut self, stmt: &'a Stmt) {
        match &stmt.kind {
            StmtKind::Dim(name, _) => self.bind_name(name, Meaning::Static(Static::Unknown)),
            StmtKind::Layer(name, _) => self.bind_name(name, Meaning::Value(Val::Unknown)),
            StmtKind::Flow(Some(Lhs::Name(name)), _) if self.inst.lookup(&name.text).is_some() => {}
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
        let mut lost = current.as_ref().is_some_and(|current| current.lost);
        let idle = lhs.is_none() && self.is_current(flow, current.as_ref());
        let val = self.flow(flow, name);
        let used = self.it.take().is_some_and(|it| it.used);
        if let Some(name) = name.filter(|_| self.reports.len() == errors + 1)
            && self.named_number(name, flow)
        {
            return;
        }
        if let Some(current) = current.as_ref() {
            if idle && self.reports.len() == errors {
                let text = "this line does nothing: the name is the current value already";
                let report = Diagnostic::error("flow::idle", text, flow.span, "already what flows here");
                let source = self.sources.0.get(usize::from(flow.span.file));
                self.report(match source {
                    Some(source) => super::foreign::without(report, flow.span, &source.text),
                    None => report,
                });
            } else if !used && !current.kept && !current.val.is_unknown() && self.reports.len() == errors {
                self.report_dropped(current, flow);
                lost = true;
            }
        }
        let val = match lhs {
            Some(lhs) => self.bind_lhs(lhs, val),
            None => val,
        };
        let val = if lost { Val::Unknown } else { val };
        *current = Some(Current { val, kept: lhs.is_some(), span: flow.span, lost });
    }

    /// `n = width / 4` where `dim n = width / 4` was meant: tells so, and binds the number. Then nothing has flowed.
    fn named_number(&mut self, name: &'a Name, flow: &'a Flow) -> bool {
        let ([Stage { kind: StageKind::Expr(expr), .. }], Some(last)) =
            (flow.stages.as_slice(), self.reports.last_mut())
        else {
            return false;
        };
        let report = &mut last.diagnostic;
        if report.code != "type::number_in_flow" || report.labels[0].span != expr.span {
            return false;
        }
        if let ExprKind::List(items) = &expr.kind {
            let whole = name.span.to(flow.span);
            let stages: Vec<&str> = items.iter().map(|item| self.sources.text(item.span())).collect();
            let called = |text: &&str| text.starts_with(|c: char| c.is_ascii_alphabetic());
            if stages.iter().all(called) {
                let line = stages.join("; ");
                *report = report.clone().fix(whole, line.clone(), line);
            }
            return false;
        }
        if matches!(expr.kind, ExprKind::Str(_) | ExprKind::Broken) {
            return false;
        }
        let line = format!("dim {} = {}", name.text, self.sources.text(flow.span));
        report.message = format!("a number with a name is a `dim`: `{line}`");
        report.labels[0].text = "a number, which does not flow".into();
        report.notes.clear();
        *report = report.clone().fix(Span { end: name.span.start, ..name.span }, "dim ", line);
        let value = self.eval(expr);
        self.bind_name(name, Meaning::Static(value));
        true
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
        if self.faulty(current.span.to(flow.span)) {
            return;
        }
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
            let called = Called { defs: def.attrs, word: &call.name.text, span: call.span };
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
}
