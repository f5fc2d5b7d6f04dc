//! Written things in one spelling, for labels: the same however the file is laid out.

use crate::syntax::ast::{Arg, BinOp, Call, Cmp, Cond, Expr, ExprKind, Item, Lhs, StageKind};

/// An expression: `4 * d`.
pub(super) fn expr(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Int(digits) => digits.clone(),
        ExprKind::Float(value) => super::bind::shown_float(*value),
        ExprKind::Str(text) => format!("\"{text}\""),
        ExprKind::Call(inner) => call(inner),
        ExprKind::Neg(inner) => format!("-{}", self::expr(inner)),
        ExprKind::Binary(op, a, b) => {
            let (a, b) = (self::expr(a), self::expr(b));
            match op {
                BinOp::Add => format!("{a} + {b}"),
                BinOp::Sub => format!("{a} - {b}"),
                BinOp::Mul => format!("{a} * {b}"),
                BinOp::Div => format!("{a} / {b}"),
                BinOp::Rem => format!("{a} % {b}"),
                BinOp::Pow => format!("{a}^{b}"),
            }
        }
        ExprKind::Index(list, index) => format!("{}[{}]", self::expr(list), self::expr(index)),
        ExprKind::Tuple(elems) => {
            let parts = elems.iter().map(|elem| match elem.flow.stages.as_slice() {
                [stage] => match &stage.kind {
                    StageKind::Expr(inner) => self::expr(inner),
                    _ => "…".into(),
                },
                _ => "…".into(),
            });
            format!("({})", parts.collect::<Vec<_>>().join(", "))
        }
        ExprKind::List(items) => {
            let parts = items.iter().map(|item| match item {
                Item::Rest(_) => "...".into(),
                Item::Expr(inner) => self::expr(inner),
            });
            format!("[{}]", parts.collect::<Vec<_>>().join(", "))
        }
        ExprKind::Broken => "…".into(),
    }
}

/// A call: `concat(axis = 1)`.
pub(super) fn call(call: &Call) -> String {
    let Some(args) = &call.args else { return call.name.text.clone() };
    let args: Vec<String> = args.iter().map(arg).collect();
    format!("{}({})", call.name.text, args.join(", "))
}

fn arg(arg: &Arg) -> String {
    let pin = arg.pin.as_ref().map_or_else(String::new, |pin| format!(" -> {}", expr(pin)));
    match &arg.name {
        Some(name) => format!("{} = {}{pin}", name.text, expr(&arg.value)),
        None => format!("{}{pin}", expr(&arg.value)),
    }
}

/// A condition: `cin != 4 * c`.
pub(super) fn cond(cond: &Cond) -> String {
    let Some((cmp, right)) = &cond.right else { return expr(&cond.left) };
    let sign = match cmp {
        Cmp::Eq => "==",
        Cmp::Ne => "!=",
        Cmp::Lt => "<",
        Cmp::Le => "<=",
        Cmp::Gt => ">",
        Cmp::Ge => ">=",
    };
    format!("{} {sign} {}", expr(&cond.left), expr(right))
}

/// What stands left of `=` or `in`.
pub(super) fn lhs(lhs: &Lhs) -> String {
    match lhs {
        Lhs::Name(name) => name.text.clone(),
        Lhs::Pattern(names, _) => {
            format!("({})", names.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(", "))
        }
    }
}
