//! The constructs that a flow passes through: residual, repeat, for, if, parallel.

use super::super::ast::*;
use super::super::errors;
use super::super::grammar::Rule;
use super::{Kids, Tree};
use crate::text::Span;
use pest::iterators::Pair;

/// More `else if` than this in a row are refused.
const MAX_ELSE: usize = 64;

impl Tree<'_> {
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

    pub(super) fn residual(&mut self, pair: Pair<'_, Rule>) -> StageKind {
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

    pub(super) fn repeat(&mut self, pair: Pair<'_, Rule>) -> StageKind {
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

    pub(super) fn for_loop(&mut self, pair: Pair<'_, Rule>) -> StageKind {
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

    pub(super) fn if_stage(&mut self, pair: Pair<'_, Rule>) -> StageKind {
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
        let told = self.diagnostics.len();
        let junk = self.head_junk(kids, whole);
        if junk && conds.is_empty() {
            // That nothing was read is the fault of what stands there.
            self.diagnostics.drain(before..told);
        }
        let told = junk || told > before;
        let body = kids.take(Rule::body);
        let head = match &body {
            Some(body) => self.head(whole, Some(body)),
            None => conds.last().map_or(whole, |cond| Span { end: cond.span.end, ..whole }),
        };
        (head, conds, self.body_or_miss(body, head, told))
    }

    pub(super) fn parallel(&mut self, pair: Pair<'_, Rule>) -> StageKind {
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
}
