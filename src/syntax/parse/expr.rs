//! Expressions: precedence, calls, parentheses, lists.

use super::super::ast::*;
use super::super::errors;
use super::super::grammar::Rule;
use super::{Kids, Tree, unquoted};
use crate::text::Span;
use pest::iterators::Pair;
use pest::pratt_parser::{Assoc, Op, PrattParser};
use std::sync::LazyLock;

/// More signs than this in one expression are refused: the tree would be too deep to walk.
const MAX_SIGNS: usize = 256;

static PRECEDENCE: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    PrattParser::new()
        .op(Op::infix(Rule::add, Assoc::Left) | Op::infix(Rule::sub, Assoc::Left))
        .op(Op::infix(Rule::mul, Assoc::Left) | Op::infix(Rule::div, Assoc::Left) | Op::infix(Rule::rem, Assoc::Left))
        .op(Op::prefix(Rule::neg))
        .op(Op::infix(Rule::pow, Assoc::Right))
});

impl Tree<'_> {
    pub(super) fn expr(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        let mut kids = pair.into_inner();
        if let (1, Some(Rule::postfix)) = (kids.len(), kids.peek().map(|only| only.as_rule())) {
            return kids.next().map_or(Expr { kind: ExprKind::Broken, span }, |only| self.postfix(only));
        }
        let parts: Vec<_> = kids.collect();
        if parts.len() > 2 * MAX_SIGNS {
            self.report(errors::too_many_signs(span, MAX_SIGNS));
            return Expr { kind: ExprKind::Broken, span };
        }
        let dangling = parts.iter().position(|part| part.as_rule() == Rule::dangling);
        let mut tree = Vec::with_capacity(parts.len());
        for part in parts {
            match part.as_rule() {
                Rule::dangling => {
                    let sign = self.span(&part);
                    self.report(errors::missing_operand(self.text, sign));
                }
                Rule::pow if part.as_str() == "**" => {
                    let sign = self.span(&part);
                    self.report(errors::double_star(self.text, sign));
                    tree.push(part);
                }
                _ => tree.push(part),
            }
        }
        if dangling.is_some() {
            return Expr { kind: ExprKind::Broken, span };
        }
        self.climb(tree)
    }

    /// Applies the precedences to a list of postfixes and signs.
    fn climb(&mut self, parts: Vec<Pair<'_, Rule>>) -> Expr {
        let file = self.file;
        // Two closures of the climber need the signs' places only; the tree is lent to the one for operands.
        PRECEDENCE
            .map_primary(|operand| self.postfix(operand))
            .map_prefix(|sign, right| {
                let span = Span::new(file, sign.as_span().start(), right.span.end as usize);
                Expr { kind: ExprKind::Neg(Box::new(right)), span }
            })
            .map_infix(|left, sign, right| {
                let span = left.span.to(right.span);
                Expr { kind: ExprKind::Binary(sign_of(sign.as_rule()), Box::new(left), Box::new(right)), span }
            })
            .parse(parts.into_iter())
    }

    /// An atom with its `[…]` and, as a mistake, its `.word`.
    fn postfix(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let whole = self.span(&pair);
        let mut kids = Kids::of(pair);
        let Some(atom) = kids.next() else { return Expr { kind: ExprKind::Broken, span: whole } };
        if kids.pairs.clone().any(|kid| kid.as_rule() == Rule::member) {
            let first = kids.pairs.clone().find(|kid| kid.as_rule() == Rule::member).map(|kid| self.span(&kid));
            self.report(errors::member(self.text, self.span(&atom), first.unwrap_or(whole), whole));
            return Expr { kind: ExprKind::Broken, span: whole };
        }
        if kids.pairs.clone().count() > MAX_SIGNS {
            self.report(errors::too_many_signs(whole, MAX_SIGNS));
            return Expr { kind: ExprKind::Broken, span: whole };
        }
        let mut value = self.atom(atom);
        while let Some(index) = kids.next() {
            let span = value.span.to(self.span(&index));
            let at = self.index(index, value.span);
            value = Expr { kind: ExprKind::Index(Box::new(value), Box::new(at)), span };
        }
        value
    }

    fn index(&mut self, pair: Pair<'_, Rule>, base: Span) -> Expr {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let first = kids.take(Rule::expr);
        match (first, kids.next()) {
            (Some(index), None) => self.expr(index),
            (None, None) => {
                self.report(errors::empty_index(span));
                Expr { kind: ExprKind::Broken, span }
            }
            _ => {
                self.report(errors::slice(self.text, base, span));
                Expr { kind: ExprKind::Broken, span }
            }
        }
    }

    fn atom(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::number => self.number(pair.as_str(), span),
            Rule::string => ExprKind::Str(unquoted(pair.as_str())),
            Rule::call => ExprKind::Call(self.call(pair, errors::Role::Value)),
            Rule::paren => ExprKind::Tuple(self.elems(pair)),
            Rule::list => ExprKind::List(self.items(pair)),
            _ => ExprKind::Broken,
        };
        Expr { kind, span }
    }

    fn number(&mut self, said: &str, span: Span) -> ExprKind {
        let digits = said.replace('_', "");
        if digits.bytes().all(|b| b.is_ascii_digit()) && !said.ends_with('_') {
            return ExprKind::Int(digits);
        }
        match well_formed(&digits).then(|| digits.parse::<f64>().ok()).flatten() {
            Some(value) if value.is_finite() => ExprKind::Float(value),
            Some(_) => {
                self.report(errors::number_too_large(span, said));
                ExprKind::Broken
            }
            None => {
                self.report(errors::malformed_number(self.text, span, said));
                ExprKind::Broken
            }
        }
    }

    /// A name, perhaps with arguments.
    pub(super) fn call(&mut self, pair: Pair<'_, Rule>, role: errors::Role) -> Call {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let name = match kids.next() {
            Some(name) => self.name(name, role),
            None => Name { text: String::new(), span },
        };
        let args = kids.take(Rule::args).map(|args| self.args(args));
        Call { name, args, span }
    }

    pub(super) fn args(&mut self, pair: Pair<'_, Rule>) -> Vec<Arg> {
        let whole = self.span(&pair);
        let list: Vec<_> = pair.into_inner().collect();
        let count = list.len();
        let mut args = Vec::with_capacity(count);
        for (at, arg) in list.into_iter().enumerate() {
            let empty = arg.as_str().trim().is_empty();
            if empty && (at + 1 < count) {
                let span = self.span(&arg);
                self.report(errors::empty_item(self.text, span, whole));
            } else if !empty {
                args.push(self.arg(arg));
            }
        }
        args
    }

    fn arg(&mut self, pair: Pair<'_, Rule>) -> Arg {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let name = kids.take(Rule::arg_name).and_then(|name| name.into_inner().next());
        let name = name.map(|name| self.name(name, errors::Role::Option));
        let value = kids.take(Rule::expr).map(|value| self.expr(value));
        let arrow = kids.take(Rule::arrow).map(|arrow| self.span(&arrow));
        let pin = kids.take(Rule::expr).map(|pin| self.expr(pin));
        let junk = kids.take(Rule::item_junk).map(|junk| self.span(&junk));
        match (junk, arrow, &name) {
            (Some(junk), _, _) => self.report(errors::in_args(self.text, span, junk)),
            (None, Some(arrow), _) if pin.is_none() || value.is_none() => {
                self.report(errors::missing_pin(self.text, arrow));
            }
            (None, None, Some(name)) if value.is_none() => self.report(errors::missing_value(self.text, name.span)),
            _ => {}
        }
        let broken = junk.is_some() || value.is_none();
        let value = value.filter(|_| !broken).unwrap_or(Expr { kind: ExprKind::Broken, span });
        Arg { name, value, pin, span }
    }

    fn elems(&mut self, pair: Pair<'_, Rule>) -> Vec<Elem> {
        let whole = self.span(&pair);
        let list: Vec<_> = pair.into_inner().collect();
        let count = list.len();
        let mut elems = Vec::with_capacity(count);
        for (at, elem) in list.into_iter().enumerate() {
            let span = self.span(&elem);
            let mut kids = Kids::of(elem);
            let name = kids.take(Rule::arg_name).and_then(|name| name.into_inner().next());
            let name = name.map(|name| self.name(name, errors::Role::Option));
            let flow = kids.take(Rule::flow);
            let junk = kids.take(Rule::item_junk).map(|junk| self.span(&junk));
            if let Some(junk) = junk {
                self.report(errors::in_tuple(self.text, span, junk));
            } else if let (Some(name), None) = (&name, &flow) {
                self.report(errors::missing_value(self.text, name.span));
            } else if flow.is_none() && (count == 1 || at + 1 < count) {
                self.report(errors::empty_item(self.text, span, whole));
            }
            let Some(flow) = flow else { continue };
            let flow = self.flow(flow);
            elems.push(Elem { name, flow: if junk.is_some() { poisoned(flow) } else { flow } });
        }
        elems
    }

    fn items(&mut self, pair: Pair<'_, Rule>) -> Vec<Item> {
        let whole = self.span(&pair);
        let list: Vec<_> = pair.into_inner().collect();
        let count = list.len();
        let mut items = vec![];
        for (at, item) in list.into_iter().enumerate() {
            let span = self.span(&item);
            let mut kids = Kids::of(item);
            if let Some(rest) = kids.take(Rule::rest) {
                items.push(Item::Rest(self.span(&rest)));
            } else if let Some(value) = kids.take(Rule::expr) {
                items.push(Item::Expr(self.expr(value)));
            } else if span.is_empty() && at + 1 < count {
                self.report(errors::empty_item(self.text, span, whole));
            }
            if let Some(junk) = kids.take(Rule::item_junk) {
                let junk = self.span(&junk);
                self.report(errors::in_args(self.text, span, junk));
            }
        }
        items
    }
}

/// The same flow, with an end that could not be read: its value is unknown, its names are still bound.
pub(super) fn poisoned(mut flow: Flow) -> Flow {
    let span = Span { start: flow.span.end, ..flow.span };
    flow.stages.push(Stage { kind: StageKind::Expr(Expr { kind: ExprKind::Broken, span }), span });
    flow
}

/// Whether it is digits, with digits after a point, with an exponent of digits.
fn well_formed(number: &str) -> bool {
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], Some(number[at + 1..].trim_start_matches(['+', '-']))),
        None => (number, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mantissa = match mantissa.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(mantissa),
    };
    mantissa && exponent.is_none_or(digits)
}

fn sign_of(rule: Rule) -> BinOp {
    match rule {
        Rule::sub => BinOp::Sub,
        Rule::mul => BinOp::Mul,
        Rule::div => BinOp::Div,
        Rule::rem => BinOp::Rem,
        Rule::pow => BinOp::Pow,
        _ => BinOp::Add,
    }
}
