//! Bodies, statements, flows and the constructs that a flow passes through.

use super::super::ast::*;
use super::super::errors;
use super::super::grammar::Rule;
use super::expr::poisoned;
use super::{Kids, Tree};
use crate::text::Span;
use pest::iterators::Pair;

impl Tree<'_> {
    /// A body, or the report that one is missing after `head` (unless the head itself was reported).
    pub(super) fn body_or_miss(&mut self, pair: Option<Pair<'_, Rule>>, head: Span, told: bool) -> Body {
        if let Some(pair) = pair {
            return self.body(pair);
        }
        if !told {
            self.report(errors::missing_body(self.text, head));
        }
        let span = self.after(head);
        Body { stmts: vec![Stmt { kind: StmtKind::Broken, span }], span }
    }

    pub(super) fn body(&mut self, pair: Pair<'_, Rule>) -> Body {
        let span = self.span(&pair);
        let (mut stmts, mut broken) = (vec![], false);
        for kid in pair.into_inner() {
            match kid.as_rule() {
                Rule::lead => {
                    let lead = self.span(&kid);
                    self.report(errors::leading_separator(self.text, lead));
                }
                Rule::stmt => {
                    let told = self.diagnostics.len();
                    let stmt = self.stmt(kid);
                    // A line that is the rest of the head before it is no line of its own.
                    let kind = if broken { StmtKind::Broken } else { stmt.kind };
                    broken = self.diagnostics[told..].iter().any(|report| {
                        report
                            .fixes
                            .first()
                            .is_some_and(|fix| fix.replacement == " " && self.said(fix.span).contains('\n'))
                    });
                    stmts.push(Stmt { kind, span: stmt.span });
                }
                _ => {}
            }
        }
        if stmts.is_empty() {
            self.report(errors::empty_body(self.text, span));
        }
        Body { stmts, span }
    }

    fn stmt(&mut self, pair: Pair<'_, Rule>) -> Stmt {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let Some(first) = kids.next() else { return Stmt { kind: StmtKind::Broken, span } };
        let good = self.span(&first);
        let junk = kids.take(Rule::junk).map(|junk| self.span(&junk));
        let other_way =
            junk.is_some_and(|junk| self.said(junk).contains('{')) && self.said(good).starts_with("residual");
        let mut told = false;
        if let Some(junk) = junk {
            self.report(errors::in_statement(self.text, good, junk));
            told = true;
        }
        let kind = match first.as_rule() {
            Rule::dim_stmt => self.dim_stmt(first, told),
            Rule::layer_stmt => self.layer_stmt(first, told),
            Rule::return_stmt => self.return_stmt(first, told),
            Rule::bound => {
                let (lhs, flow) = self.bound(first, told);
                StmtKind::Flow(lhs, if told { poisoned(flow) } else { flow })
            }
            Rule::flow => {
                if first.as_str().starts_with('-') && !told {
                    self.report(errors::leading_sign(self.text, good));
                }
                let mut flow = self.flow(first);
                if let (true, Some(StageKind::Residual { skip: skip @ None, .. })) =
                    (other_way, flow.stages.last_mut().map(|stage| &mut stage.kind))
                {
                    // What was meant to be its skip cannot be read: the branch may end as it will.
                    let span = self.after(good);
                    *skip = Some(Body { stmts: vec![Stmt { kind: StmtKind::Broken, span }], span });
                }
                StmtKind::Flow(None, if told { poisoned(flow) } else { flow })
            }
            _ => {
                self.report(errors::unreadable_statement(self.text, good));
                StmtKind::Broken
            }
        };
        Stmt { kind, span }
    }

    fn dim_stmt(&mut self, pair: Pair<'_, Rule>, mut told: bool) -> StmtKind {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        kids.take(Rule::kw_dim);
        let name = kids.take(Rule::name_any).map(|name| self.name(name, errors::Role::Dim));
        let assign = kids.take(Rule::assign).is_some();
        let value = kids.take(Rule::expr).map(|value| self.expr(value));
        match (name, value) {
            (Some(name), Some(value)) if assign => StmtKind::Dim(name, value),
            (name, _) => {
                if !std::mem::replace(&mut told, true) {
                    self.report(errors::dim_in_body(self.text, span, name.as_ref()));
                }
                StmtKind::Broken
            }
        }
    }

    fn layer_stmt(&mut self, pair: Pair<'_, Rule>, told: bool) -> StmtKind {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        kids.take(Rule::kw_layer);
        let name = kids.take(Rule::name_any).map(|name| self.name(name, errors::Role::Layer));
        let assign = kids.take(Rule::assign).is_some();
        let call = kids.take(Rule::call).map(|call| self.call(call, errors::Role::Value));
        match (name, call) {
            (Some(name), Some(call)) if assign => StmtKind::Layer(name, call),
            _ => {
                if !told {
                    self.report(errors::layer_form(self.text, span));
                }
                StmtKind::Broken
            }
        }
    }

    fn return_stmt(&mut self, pair: Pair<'_, Rule>, told: bool) -> StmtKind {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        kids.take(Rule::kw_return);
        match kids.take(Rule::flow) {
            Some(flow) => {
                let flow = self.flow(flow);
                StmtKind::Return(if told { poisoned(flow) } else { flow })
            }
            None => {
                if !told {
                    self.report(errors::empty_return(span));
                }
                StmtKind::Broken
            }
        }
    }

    /// `lhs = flow`.
    pub(super) fn bound(&mut self, pair: Pair<'_, Rule>, told: bool) -> (Option<Lhs>, Flow) {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let lhs = kids.take(Rule::lhs).map(|lhs| self.lhs(lhs));
        let mut assigns = 0;
        let mut sign = span;
        while let Some(assign) = kids.take(Rule::assign) {
            sign = self.span(&assign);
            assigns += 1;
            if assigns == 2 {
                self.report(errors::double_assign(self.text, sign));
            }
        }
        if let Some(update) = kids.take(Rule::op_assign) {
            sign = self.span(&update);
            self.report(errors::update_sign(self.text, span, sign));
        }
        let flow = match kids.take(Rule::flow) {
            Some(flow) => self.flow(flow),
            None => {
                if !told && assigns < 2 {
                    self.report(errors::missing_value(self.text, sign));
                }
                Flow { stages: vec![], span: self.after(sign) }
            }
        };
        (lhs, if flow.stages.is_empty() { poisoned(flow) } else { flow })
    }

    pub(super) fn lhs(&mut self, pair: Pair<'_, Rule>) -> Lhs {
        let span = self.span(&pair);
        let Some(inner) = pair.into_inner().next() else {
            return Lhs::Name(Name { text: String::new(), span });
        };
        match inner.as_rule() {
            Rule::pattern => {
                let names = inner.into_inner().map(|name| self.name(name, errors::Role::Value)).collect();
                Lhs::Pattern(names, span)
            }
            _ => Lhs::Name(self.name(inner, errors::Role::Value)),
        }
    }

    pub(super) fn flow(&mut self, pair: Pair<'_, Rule>) -> Flow {
        let span = self.span(&pair);
        let mut stages = vec![];
        let mut pipe: Option<Span> = None;
        for kid in pair.into_inner() {
            let here = self.span(&kid);
            if kid.as_rule() == Rule::pipe {
                if let Some(pipe) = pipe {
                    self.report(errors::missing_stage(self.text, pipe));
                }
                pipe = Some(here);
            } else {
                pipe = None;
                stages.push(self.stage(kid));
            }
        }
        let flow = Flow { stages, span };
        match pipe {
            Some(pipe) => {
                self.report(errors::missing_stage(self.text, pipe));
                poisoned(flow)
            }
            None => flow,
        }
    }

    fn stage(&mut self, pair: Pair<'_, Rule>) -> Stage {
        let span = self.span(&pair);
        let broken = StageKind::Expr(Expr { kind: ExprKind::Broken, span });
        let Some(inner) = pair.into_inner().next() else { return Stage { kind: broken, span } };
        let kind = match inner.as_rule() {
            Rule::residual => self.residual(inner),
            Rule::repeat => self.repeat(inner),
            Rule::for_loop => self.for_loop(inner),
            Rule::if_stage => self.if_stage(inner),
            Rule::parallel => self.parallel(inner),
            Rule::expr => StageKind::Expr(self.expr(inner)),
            _ => broken,
        };
        Stage { kind, span }
    }

    pub(super) fn branches(&mut self, pair: Pair<'_, Rule>) -> Vec<(Option<Name>, Flow)> {
        let whole = self.span(&pair);
        let mut branches = vec![];
        let (mut bare, mut commas) = (vec![], vec![]);
        for kid in pair.into_inner() {
            let span = self.span(&kid);
            match kid.as_rule() {
                Rule::lead => self.report(errors::leading_separator(self.text, span)),
                Rule::branch => branches.extend(self.branch(kid, &mut bare, &mut commas)),
                _ => {}
            }
        }
        if let Some(report) = errors::missing_bars(self.text, &bare, &commas) {
            self.report(report);
        }
        if branches.is_empty() && self.said(whole).trim_matches(['{', '}', ' ', '\n']).is_empty() {
            self.report(errors::no_branches(whole));
        }
        branches
    }

    /// One branch; a missing bar and a comma at its end are told with those of the others.
    fn branch(
        &mut self,
        pair: Pair<'_, Rule>,
        bare: &mut Vec<Span>,
        commas: &mut Vec<Span>,
    ) -> Option<(Option<Name>, Flow)> {
        let mut kids = Kids::of(pair);
        let bar = kids.take(Rule::bar).map(|bar| self.span(&bar));
        let flow = kids.take(Rule::branch_flow).and_then(|flow| flow.into_inner().next());
        let junk = kids.take(Rule::branch_junk).map(|junk| self.span(&junk));
        let comma = junk.filter(|&junk| flow.is_some() && self.said(junk) == ",");
        let junk = junk.filter(|_| comma.is_none());
        commas.extend(comma);
        if let Some(junk) = junk {
            let good = flow.as_ref().map_or(junk, |flow| self.span(flow));
            self.report(errors::in_branch(self.text, good, junk));
        } else if let (None, Some(flow)) = (bar, &flow) {
            bare.push(self.span(flow));
        } else if let (Some(bar), None) = (bar, &flow) {
            self.report(errors::empty_branch(self.text, bar));
        }
        let flow = flow?;
        let (name, flow) = if flow.as_rule() == Rule::bound {
            match self.bound(flow, junk.is_some()) {
                (Some(Lhs::Name(name)), flow) => (Some(name), flow),
                (Some(Lhs::Pattern(_, pattern)), flow) => {
                    self.report(errors::pattern_in_branch(pattern));
                    (None, flow)
                }
                (None, flow) => (None, flow),
            }
        } else {
            (None, self.flow(flow))
        };
        Some((name, if junk.is_some() { poisoned(flow) } else { flow }))
    }
}
