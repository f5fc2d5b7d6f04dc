//! Conditions: of `where`, of `if`.

use super::Elab;
use super::value::{Static, Target};
use crate::diagnostic::Diagnostic;
use crate::ir::dim::Dims;
use crate::ir::op::Condition;
use crate::syntax::ast::{BinOp, Cmp, Cond, ExprKind};
use crate::text::Span;

/// What a condition turned out to be.
#[derive(Clone, Debug)]
pub(super) enum Truth {
    /// It holds, or not.
    Known(bool),
    /// It depends on sizes that are not known.
    Open(Condition),
    /// It depends on sizes, and is of no kind that the prover knows.
    Opaque,
    /// A mistake was reported.
    Silent,
}

impl<'a> Elab<'a> {
    /// Whether a condition holds.
    pub(super) fn truth(&mut self, cond: &'a Cond) -> Truth {
        let Some((cmp, right)) = &cond.right else {
            return match self.eval(&cond.left) {
                Static::Bool(value) => Truth::Known(value),
                Static::Unknown => Truth::Silent,
                other if self.is_open(&other) => Truth::Opaque,
                other => {
                    let text = format!("a condition is true or false, this is {}", other.kind());
                    let report = Diagnostic::error("type::condition", text, cond.span, "compare it with something");
                    let fixed = format!("{} > 0", self.written(cond.span));
                    self.report(match other {
                        Static::Int(_) => report.fix(cond.span, fixed.clone(), self.mended(cond.span, &fixed)),
                        _ => report,
                    });
                    Truth::Silent
                }
            };
        };
        if let (ExprKind::Binary(BinOp::Rem, what, by), Cmp::Eq | Cmp::Ne) = (&cond.left.kind, cmp) {
            let rest = self.eval(right);
            if let Some(rest) = self.as_int(&rest) {
                let (what, by) = (self.eval(what), self.eval(by));
                if let Some(truth) = self.remainder_truth(&what, &by, rest, *cmp == Cmp::Eq, cond.span) {
                    return truth;
                }
            }
        }
        let (left, right) = (self.eval(&cond.left), self.eval(right));
        self.compare(*cmp, &left, &right, cond.span)
    }

    /// `what % by == rest`, which is `(what - rest) % by == 0` for a rest that is one; `None` where it must be worked out.
    fn remainder_truth(&mut self, what: &Static, by: &Static, rest: i64, equal: bool, span: Span) -> Option<Truth> {
        if matches!(what, Static::Unknown) || matches!(by, Static::Unknown) {
            return Some(Truth::Silent);
        }
        let (what, by) = (self.plain(what), self.plain(by));
        let (x, y) = (self.as_dim(&what)?, self.as_dim(&by)?);
        let dims = &mut self.shapes.dims;
        match dims.as_const(y) {
            Some(0) => {
                let _ = self.arithmetic(BinOp::Rem, what, by, span);
                return Some(Truth::Silent);
            }
            Some(k) if !(0..k.saturating_abs()).contains(&rest) => return Some(Truth::Known(!equal)),
            None if rest != 0 => return None,
            _ => {}
        }
        let rest = dims.constant(rest);
        let condition = Condition::Divides { what: dims.sub(x, rest), by: y };
        Some(match self.prover.decide(dims, condition) {
            Some(holds) => Truth::Known(holds == equal),
            None if equal => Truth::Open(condition),
            None => Truth::Opaque,
        })
    }

    pub(super) fn compare(&mut self, cmp: Cmp, left: &Static, right: &Static, span: Span) -> Truth {
        let (left, right) = (self.plain(left), self.plain(right));
        if matches!(left, Static::Unknown) || matches!(right, Static::Unknown) {
            return Truth::Silent;
        }
        if let (Some(a), Some(b)) = (left.float(), right.float()) {
            let order = match (left.exact(), right.exact()) {
                (Some((n, d)), Some((m, e))) => {
                    Some((i128::from(n) * i128::from(e)).cmp(&(i128::from(m) * i128::from(d))))
                }
                _ => a.partial_cmp(&b),
            };
            return Truth::Known(order.is_some_and(|order| holds(cmp, order)));
        }
        if matches!(left, Static::Dim(_)) || matches!(right, Static::Dim(_)) {
            return self.compare_dims(cmp, &left, &right, span);
        }
        if let (Static::Word(word), other) | (other, Static::Word(word)) = (&left, &right)
            && !matches!(other, Static::Str(_) | Static::Word(_))
        {
            self.unknown_word(&word.clone(), span);
            return Truth::Silent;
        }
        let equal = match (&left, &right) {
            (Static::Str(a) | Static::Word(a), Static::Str(b) | Static::Word(b)) => a == b,
            (Static::Bool(a), Static::Bool(b)) => a == b,
            (Static::None, Static::None) => true,
            (Static::Stage(a), Static::Stage(b)) => match (a.target, b.target) {
                (Target::Op(a), Target::Op(b)) => std::ptr::eq(a, b),
                (Target::Block(a), Target::Block(b)) => a == b,
                (Target::Op(_), Target::Block(_)) | (Target::Block(_), Target::Op(_)) => false,
            },
            (Static::List(a), Static::List(b)) => {
                let equal =
                    |(x, y): (&Static, &Static)| matches!(self.compare(Cmp::Eq, x, y, span), Truth::Known(true));
                a.len() == b.len() && a.iter().zip(b).all(equal)
            }
            _ => false,
        };
        match cmp {
            Cmp::Eq => Truth::Known(equal),
            Cmp::Ne => Truth::Known(!equal),
            Cmp::Lt | Cmp::Le | Cmp::Gt | Cmp::Ge => {
                let text = format!("{} and {} have no order", left.kind(), right.kind());
                self.report(Diagnostic::error("type::condition", text, span, "compare numbers"));
                Truth::Silent
            }
        }
    }

    pub(super) fn compare_dims(&mut self, cmp: Cmp, left: &Static, right: &Static, span: Span) -> Truth {
        let (Some(a), Some(b)) = (self.as_dim(left), self.as_dim(right)) else {
            if self.symbolic {
                return Truth::Opaque;
            }
            self.need_number(left, span);
            return Truth::Silent;
        };
        let one = Dims::ONE;
        let condition = match cmp {
            Cmp::Eq | Cmp::Ne => Condition::Equal(a, b),
            Cmp::Le => Condition::AtLeast(b, a),
            Cmp::Ge => Condition::AtLeast(a, b),
            Cmp::Lt => Condition::AtLeast(b, self.shapes.dims.add(a, one)),
            Cmp::Gt => Condition::AtLeast(a, self.shapes.dims.add(b, one)),
        };
        match (self.prover.decide(&mut self.shapes.dims, condition), cmp) {
            (Some(holds), Cmp::Ne) => Truth::Known(!holds),
            (Some(holds), _) => Truth::Known(holds),
            (None, Cmp::Ne) => Truth::Opaque,
            (None, _) => Truth::Open(condition),
        }
    }
}

fn holds(cmp: Cmp, order: std::cmp::Ordering) -> bool {
    match cmp {
        Cmp::Eq => order.is_eq(),
        Cmp::Ne => order.is_ne(),
        Cmp::Lt => order.is_lt(),
        Cmp::Le => order.is_le(),
        Cmp::Gt => order.is_gt(),
        Cmp::Ge => order.is_ge(),
    }
}
