//! Heads of blocks and models: hyperparameters, inputs and outputs, facts.

use super::super::ast::*;
use super::super::errors;
use super::super::grammar::Rule;
use super::{Kids, Tree};
use crate::tensor::DType;
use crate::text::Span;
use pest::iterators::Pair;

impl Tree<'_> {
    pub(super) fn params(&mut self, pair: Pair<'_, Rule>) -> Vec<Param> {
        let mut params = vec![];
        let whole = self.span(&pair);
        let mut inputs = false;
        let list: Vec<_> = pair.into_inner().collect();
        let count = list.len();
        for (at, param) in list.into_iter().enumerate() {
            let span = self.span(&param);
            let mut kids = Kids::of(param);
            let name = kids.take(Rule::name_any);
            let assign = kids.take(Rule::assign).map(|assign| self.span(&assign));
            let value = kids.take(Rule::expr);
            if let Some(junk) = kids.take(Rule::item_junk) {
                let junk = self.span(&junk);
                let typed =
                    self.said(junk).starts_with(':') && (self.said(junk).contains('[') || self.arrow_follows(whole));
                if typed && !std::mem::replace(&mut inputs, true) {
                    let arrow = self.arrow_follows(whole);
                    self.report(errors::typed_inputs(self.text, whole, junk, arrow));
                } else if !typed {
                    self.report(errors::in_params(self.text, junk));
                }
            } else if let (Some(assign), None) = (assign, &value) {
                self.report(errors::missing_value(self.text, assign));
            }
            let Some(name) = name else {
                if span.is_empty() && (at + 1 < count) {
                    self.report(errors::empty_item(self.text, span, whole));
                }
                continue;
            };
            let name = self.name(name, errors::Role::Param);
            let default = value.map(|value| self.expr(value));
            params.push(Param { name, default });
        }
        params
    }

    /// Whether `->` follows: then a parenthesis was meant to be a signature.
    fn arrow_follows(&self, params: Span) -> bool {
        self.text[params.end as usize..].trim_start().starts_with("->")
    }

    pub(super) fn sig(&mut self, pair: Pair<'_, Rule>) -> Option<Sig> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let ins = kids.take(Rule::ports).map(|ports| self.ports(ports))?;
        let arrow = kids.take(Rule::arrow).map(|arrow| self.span(&arrow));
        let outs = kids.take(Rule::ports).map(|ports| self.ports(ports));
        if let (Some(arrow), None) = (arrow, &outs) {
            self.report(errors::missing_outputs(arrow));
        }
        Some(Sig { ins, outs, span })
    }

    fn ports(&mut self, pair: Pair<'_, Rule>) -> Vec<Port> {
        let whole = self.span(&pair);
        let list: Vec<_> = pair.into_inner().collect();
        let count = list.len();
        let mut ports = vec![];
        let said = self.said(whole);
        if said.starts_with('(') && count > 1 && !said.contains([':', '[', '<', '{']) && said.ends_with(')') {
            self.report(errors::sizes_in_parentheses(self.text, whole));
            return vec![];
        }
        let (mut angle, mut lost) = (false, false);
        for (at, kid) in list.into_iter().enumerate() {
            if kid.as_rule() == Rule::typed {
                ports.push(Port { name: None, ty: self.typed(kid) });
                continue;
            }
            let span = self.span(&kid);
            let mut kids = Kids::of(kid);
            let name = kids.take(Rule::name_any).map(|name| self.name(name, errors::Role::Value));
            kids.take(Rule::colon);
            let ty = kids.take(Rule::typed);
            if let (None, Some(ty)) = (&name, &ty)
                && !ty.as_str().contains('[')
            {
                let word = self.span(ty);
                if !lost {
                    self.report(errors::missing_type(self.text, word));
                }
                continue;
            }
            let junk = kids.take(Rule::item_junk).map(|junk| self.span(&junk));
            let sizes = junk.map_or("", |junk| self.said(junk));
            let opened = ty.as_ref().is_some_and(|ty| !ty.as_str().contains('[')) && sizes.starts_with(['(', '<']);
            // `x: batch, seq, d]`: what follows a type without its bracket are sizes.
            lost |= name.is_some()
                && ty.as_ref().is_some_and(|ty| DType::of_word(ty.as_str()).is_none() && !ty.as_str().contains('['));
            let inner = angle;
            angle = (opened || angle) && !sizes.contains('>');
            match (&name, &ty, junk) {
                // The type itself tells that its sizes stand in other brackets.
                (_, _, Some(_)) if opened || inner => {}
                (_, _, Some(junk)) => self.report(errors::in_type(self.text, junk)),
                (Some(_), None, None) if lost => {}
                (Some(name), None, None) => self.report(errors::missing_type(self.text, name.span)),
                (None, Some(ty), None) => {
                    let ty = self.span(ty);
                    self.report(errors::unnamed_port(self.text, ty));
                }
                (None, None, None) if at + 1 < count => self.report(errors::empty_item(self.text, span, whole)),
                _ => {}
            }
            if let Some(ty) = ty {
                ports.push(Port { name, ty: self.typed(ty) });
            }
        }
        ports
    }

    /// `f32[batch, d]`.
    pub(super) fn typed(&mut self, pair: Pair<'_, Rule>) -> Typed {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let dtype =
            kids.take(Rule::name_any).map(|dtype| Name { text: dtype.as_str().to_string(), span: self.span(&dtype) });
        let Some(axes) = kids.take(Rule::axes) else {
            self.report(errors::missing_axes(self.text, span));
            return Typed { dtype, axes: vec![], span };
        };
        Typed { dtype, axes: self.axes(axes), span }
    }

    fn axes(&mut self, pair: Pair<'_, Rule>) -> Vec<Axis> {
        let whole = self.span(&pair);
        let list: Vec<_> = pair.into_inner().collect();
        let count = list.len();
        let mut axes = vec![];
        for (at, axis) in list.into_iter().enumerate() {
            let span = self.span(&axis);
            let mut kids = Kids::of(axis);
            if let Some(rest) = kids.take(Rule::rest) {
                axes.push(Axis::Rest(self.span(&rest)));
            } else if let Some(size) = kids.take(Rule::expr) {
                axes.push(if self.span(&size).len() == 1 && size.as_str().trim() == "_" {
                    Axis::Any(self.span(&size))
                } else {
                    Axis::Size(self.expr(size))
                });
            } else if span.is_empty() && at + 1 < count {
                self.report(errors::empty_item(self.text, span, whole));
            }
            if let Some(junk) = kids.take(Rule::item_junk) {
                let junk = self.span(&junk);
                self.report(errors::in_type(self.text, junk));
            }
        }
        axes
    }

    /// The facts of `where` and `if`.
    pub(super) fn conds(&mut self, pair: Pair<'_, Rule>) -> Vec<Cond> {
        let mut conds = vec![];
        for kid in pair.into_inner() {
            match kid.as_rule() {
                Rule::and_word => {
                    let word = self.span(&kid);
                    self.report(errors::and_word(self.text, word));
                }
                Rule::cond => conds.extend(self.cond(kid)),
                _ => {}
            }
        }
        conds
    }

    fn cond(&mut self, pair: Pair<'_, Rule>) -> Option<Cond> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let left = kids.take(Rule::expr).map(|left| self.expr(left));
        let sign = kids.take(Rule::cmp);
        let Some(sign) = sign else {
            if left.is_none() {
                self.report(errors::missing_condition(self.text, span));
            }
            return left.map(|left| Cond { left, right: None, span });
        };
        let sign_span = self.span(&sign);
        let cmp = comparison(sign.as_str());
        let right = kids.take(Rule::expr).map(|right| self.expr(right));
        if left.is_none() || right.is_none() {
            self.report(errors::missing_operand(self.text, sign_span));
        }
        if let (Some(second), Some(right)) = (kids.take(Rule::cmp), &right) {
            let second = self.span(&second);
            self.report(errors::chain(self.text, span, right.span, second));
        }
        let broken = Expr { kind: ExprKind::Broken, span: sign_span };
        let left = left.unwrap_or_else(|| broken.clone());
        Some(Cond { left, right: Some((cmp, right.unwrap_or(broken))), span })
    }
}

fn comparison(sign: &str) -> Cmp {
    match sign {
        "!=" => Cmp::Ne,
        "<" => Cmp::Lt,
        "<=" => Cmp::Le,
        ">" => Cmp::Gt,
        ">=" => Cmp::Ge,
        _ => Cmp::Eq,
    }
}
