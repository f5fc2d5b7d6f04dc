//! Bodies, statements, flows and the constructs that a flow passes through.

use super::super::ast::*;
use super::super::errors;
use super::super::grammar::Rule;
use super::expr::poisoned;
use super::{Kids, Tree};
use crate::text::Span;
use pest::iterators::Pair;

/// More `else if` than this in a row are refused.
const MAX_ELSE: usize = 64;

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
        let mut stmts = vec![];
        for kid in pair.into_inner() {
            match kid.as_rule() {
                Rule::lead => {
                    let lead = self.span(&kid);
                    self.report(errors::leading_separator(self.text, lead));
                }
                Rule::stmt => stmts.push(self.stmt(kid)),
                _ => {}
            }
        }
        if stmts.is_empty() {
            self.report(errors::empty_body(self.text, span));
        }
        // A vector that grows has room for four: most bodies, flows and calls hold one or two.
        stmts.shrink_to_fit();
        Body { stmts, span }
    }

    fn stmt(&mut self, pair: Pair<'_, Rule>) -> Stmt {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let Some(first) = kids.next() else { return Stmt { kind: StmtKind::Broken, span } };
        let good = self.span(&first);
        let junk = kids.take(Rule::junk).map(|junk| self.span(&junk));
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
                let flow = self.flow(first);
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
        stages.shrink_to_fit();
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

    /// The construct's head: from its keyword to before its body.
    fn head(&self, whole: Span, body: Option<&Pair<'_, Rule>>) -> Span {
        let end = body.map_or(whole.end as usize, |body| body.as_span().start());
        self.trimmed(Span::new(self.file, whole.start as usize, end))
    }

    /// Tells what stands between a head and its body; returns whether there was something.
    fn head_junk(&mut self, kids: &mut Kids<'_>, whole: Span) -> bool {
        let Some(junk) = kids.take(Rule::head_junk) else { return false };
        let (junk, body) = (self.span(&junk), kids.peek().is_some());
        let head = Span { end: junk.end, ..whole };
        self.report(errors::in_header(self.text, head, junk, body));
        true
    }

    fn residual(&mut self, pair: Pair<'_, Rule>) -> StageKind {
        let whole = self.span(&pair);
        let mut kids = Kids::of(pair);
        kids.take(Rule::kw_residual);
        let placement = kids.take(Rule::placement).map(|placement| {
            let mut kids = Kids::of(placement);
            let name = kids.next().map(|name| self.name(name, errors::Role::Value));
            let args = kids.take(Rule::args).map(|args| self.args(args)).unwrap_or_default();
            (name.unwrap_or(Name { text: String::new(), span: whole }), args)
        });
        let norm = kids.take(Rule::norm).and_then(|norm| norm.into_inner().next());
        let norm = norm.map(|norm| self.call(norm, errors::Role::Value));
        let told = self.head_junk(&mut kids, whole);
        let body = kids.take(Rule::body);
        let head = self.head(whole, body.as_ref());
        // `residual relu }`: the place of a norm is not what is missing.
        let open = body.is_none() && self.text[head.end as usize..].trim_start_matches([' ', '\t']).starts_with('}');
        if let (Some((word, _)), None, false, false) = (&placement, &norm, told, open) {
            let word = Name { text: word.text.clone(), span: Span { end: head.end, ..word.span } };
            self.report(errors::residual_head(self.text, &word));
        }
        let told = told || (placement.is_some() && norm.is_none() && !open);
        let branch = self.body_or_miss(body, head, told);
        let skip = kids.take(Rule::kw_skip).map(|skip| {
            let skip = self.span(&skip);
            let body = kids.take(Rule::body);
            self.body_or_miss(body, skip, false)
        });
        StageKind::Residual { head, placement, norm, branch, skip }
    }

    fn repeat(&mut self, pair: Pair<'_, Rule>) -> StageKind {
        let whole = self.span(&pair);
        let mut kids = Kids::of(pair);
        kids.take(Rule::kw_repeat);
        let count = kids.take(Rule::expr).map(|count| self.expr(count));
        let shared = kids.take(Rule::shared).is_some();
        let told = self.head_junk(&mut kids, whole);
        let body = kids.take(Rule::body);
        let head = self.head(whole, body.as_ref());
        if count.is_none() && !told {
            self.report(errors::repeat_count(self.text, head));
        }
        let told = told || count.is_none();
        let count = count.unwrap_or(Expr { kind: ExprKind::Broken, span: head });
        StageKind::Repeat { head, count, shared, body: self.body_or_miss(body, head, told) }
    }

    fn for_loop(&mut self, pair: Pair<'_, Rule>) -> StageKind {
        let whole = self.span(&pair);
        let mut kids = Kids::of(pair);
        kids.take(Rule::kw_for);
        let vars = kids.take(Rule::lhs).map(|vars| self.lhs(vars));
        let inside = kids.take(Rule::kw_in).is_some();
        let list = kids.take(Rule::expr).map(|list| self.expr(list));
        let mut told = self.head_junk(&mut kids, whole);
        let body = kids.take(Rule::body);
        let head = self.head(whole, body.as_ref());
        if (vars.is_none() || !inside || list.is_none()) && !told {
            self.report(errors::for_form(self.text, head));
            told = true;
        }
        let vars = vars.unwrap_or(Lhs::Name(Name { text: "_".to_string(), span: head }));
        let list = list.unwrap_or(Expr { kind: ExprKind::Broken, span: head });
        StageKind::For { head, vars, list, body: self.body_or_miss(body, head, told) }
    }

    fn if_stage(&mut self, pair: Pair<'_, Rule>) -> StageKind {
        let whole = self.span(&pair);
        let mut kids = Kids::of(pair);
        kids.take(Rule::kw_if);
        let first = self.arm(&mut kids, whole);
        let mut arms = vec![];
        let mut many = false;
        while let Some(arm) = kids.take(Rule::else_if) {
            let span = self.span(&arm);
            if arms.len() == MAX_ELSE && !std::mem::replace(&mut many, true) {
                self.report(errors::too_many_else(span, MAX_ELSE));
            }
            if arms.len() >= MAX_ELSE {
                continue;
            }
            let mut kids = Kids::of(arm);
            kids.take(Rule::kw_else);
            let start = kids.take(Rule::kw_if).map_or(span, |word| self.span(&word));
            let whole = start.to(span);
            arms.push((self.arm(&mut kids, whole), Span { start: start.start, ..span }));
        }
        let last = kids.take(Rule::otherwise).map(|last| {
            let whole = self.span(&last);
            let mut kids = Kids::of(last);
            kids.take(Rule::kw_else);
            let told = self.head_junk(&mut kids, whole);
            let body = kids.take(Rule::body);
            let head = self.head(whole, body.as_ref());
            self.body_or_miss(body, head, told)
        });
        let otherwise = arms.into_iter().rev().fold(last, |rest, ((head, conds, body), span)| {
            let span = rest.as_ref().map_or(span, |rest| span.to(rest.span));
            let stage = Stage { kind: StageKind::If { head, conds, body, otherwise: rest }, span };
            let flow = Flow { stages: vec![stage], span };
            Some(Body { stmts: vec![Stmt { kind: StmtKind::Flow(None, flow), span }], span })
        });
        let (head, conds, body) = first;
        StageKind::If { head, conds, body, otherwise }
    }

    /// Conditions and body of one `if`.
    fn arm(&mut self, kids: &mut Kids<'_>, whole: Span) -> (Span, Vec<Cond>, Body) {
        let before = self.diagnostics.len();
        let conds = kids.take(Rule::conds).map(|conds| self.conds(conds)).unwrap_or_default();
        let told = self.diagnostics.len() > before;
        let told = self.head_junk(kids, whole) || told;
        let body = kids.take(Rule::body);
        let head = match &body {
            Some(body) => self.head(whole, Some(body)),
            None => conds.last().map_or(whole, |cond| Span { end: cond.span.end, ..whole }),
        };
        (head, conds, self.body_or_miss(body, head, told))
    }

    fn parallel(&mut self, pair: Pair<'_, Rule>) -> StageKind {
        let whole = self.span(&pair);
        let mut kids = Kids::of(pair);
        kids.take(Rule::kw_parallel);
        let join = kids.take(Rule::join).and_then(|join| join.into_inner().find(|kid| kid.as_rule() == Rule::call));
        let join = join.map(|join| self.call(join, errors::Role::Value));
        let mut told = self.head_junk(&mut kids, whole);
        let branches = kids.take(Rule::branches);
        let head = self.head(whole, branches.as_ref());
        if join.is_none() && !told {
            self.report(errors::parallel_join(self.text, head));
            told = true;
        }
        let branches = match branches {
            Some(branches) => self.branches(branches),
            None => {
                if !told {
                    self.report(errors::missing_body(self.text, head));
                }
                vec![]
            }
        };
        match join {
            Some(join) => StageKind::Parallel { head, join, branches },
            None => StageKind::Expr(Expr { kind: ExprKind::Broken, span: whole }),
        }
    }

    fn branches(&mut self, pair: Pair<'_, Rule>) -> Vec<(Option<Name>, Flow)> {
        let whole = self.span(&pair);
        let mut branches = vec![];
        let mut missing_bar = false;
        for kid in pair.into_inner() {
            let span = self.span(&kid);
            match kid.as_rule() {
                Rule::lead => self.report(errors::leading_separator(self.text, span)),
                Rule::branch => branches.extend(self.branch(kid, &mut missing_bar)),
                _ => {}
            }
        }
        if branches.is_empty() && self.said(whole).trim_matches(['{', '}', ' ', '\n']).is_empty() {
            self.report(errors::no_branches(whole));
        }
        branches
    }

    fn branch(&mut self, pair: Pair<'_, Rule>, missing_bar: &mut bool) -> Option<(Option<Name>, Flow)> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let bar = kids.take(Rule::bar).map(|bar| self.span(&bar));
        let flow = kids.take(Rule::branch_flow).and_then(|flow| flow.into_inner().next());
        let junk = kids.take(Rule::branch_junk).map(|junk| self.span(&junk));
        if let Some(junk) = junk {
            let good = flow.as_ref().map_or(junk, |flow| self.span(flow));
            self.report(errors::in_branch(self.text, good, junk));
        } else if bar.is_none() && !std::mem::replace(missing_bar, true) {
            self.report(errors::missing_bar(self.text, span));
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
