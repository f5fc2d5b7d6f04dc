//! Arithmetic of the number world: exact integers and fractions, floats where written, sizes as polynomials.

use super::Elab;
use super::value::Static;
use crate::diagnostic::Diagnostic;
use crate::ir::dim::Dims;
use crate::ir::op::Condition;
use crate::kernels::float::Float;
use crate::syntax::ast::{Arg, BinOp, Expr, ExprKind};
use crate::text::Span;

/// What can go wrong with exact numbers.
pub(super) enum Broken {
    Overflow,
    Zero,
    Fraction,
}

impl<'a> Elab<'a> {
    /// `a op b`.
    pub(super) fn arithmetic(&mut self, op: BinOp, a: Static, b: Static, span: Span) -> Static {
        let (a, b) = (self.plain(&a), self.plain(&b));
        if matches!(a, Static::Unknown) || matches!(b, Static::Unknown) {
            return Static::Unknown;
        }
        if matches!(a, Static::Dim(_)) || matches!(b, Static::Dim(_)) {
            return self.dim_arithmetic(op, &a, &b, span);
        }
        let result = match (a.exact(), b.exact()) {
            (Some(x), Some(y)) => exact(op, x, y),
            _ => match (a.float(), b.float()) {
                (Some(x), Some(y)) => Ok(Static::Float(float(op, x, y))),
                (None, _) => return self.need_number(&a, span),
                (_, None) => return self.need_number(&b, span),
            },
        };
        match result {
            Ok(value) => value,
            Err(Broken::Overflow) => self.refuse_overflow(span),
            Err(Broken::Zero) => {
                let text = format!("`{}` divides by 0", self.written(span));
                self.report(Diagnostic::error("limit::zero", text, span, "the divisor is 0"));
                Static::Unknown
            }
            Err(Broken::Fraction) => {
                let text = "`%` is for integers";
                self.report(Diagnostic::error("type::remainder", text, span, "a fraction"));
                Static::Unknown
            }
        }
    }

    pub(super) fn dim_arithmetic(&mut self, op: BinOp, a: &Static, b: &Static, span: Span) -> Static {
        let (Some(x), Some(y)) = (self.as_dim(a), self.as_dim(b)) else {
            if let Some((n, d)) = a.exact().or_else(|| b.exact()).filter(|_| op == BinOp::Mul) {
                // `h * (1 / 2)` is `h / 2`.
                let dim = if matches!(a, Static::Dim(_)) { a } else { b };
                let scaled = self.arithmetic(BinOp::Mul, dim.clone(), Static::Int(n), span);
                return self.arithmetic(BinOp::Div, scaled, Static::Int(d), span);
            }
            return self.need_number(if matches!(a, Static::Dim(_)) { a } else { b }, span);
        };
        if op == BinOp::Rem && !self.divides_by_a_size(y, span) {
            return Static::Unknown;
        }
        if op == BinOp::Mul && !self.shapes.dims.allow_product(x, y) {
            return self.refuse_size(span, "a size of more than 10,000 terms");
        }
        let dims = &mut self.shapes.dims;
        dims.overflowed();
        let value = match op {
            BinOp::Add => dims.add(x, y),
            BinOp::Sub => dims.sub(x, y),
            BinOp::Mul => dims.mul(x, y),
            BinOp::Div => return self.dim_quotient(x, y, span),
            BinOp::Rem => {
                let quotient = dims.floor_div(x, y);
                let multiple = dims.mul(quotient, y);
                dims.sub(x, multiple)
            }
            BinOp::Pow => match dims.as_const(y) {
                Some(k) if (0..=8).contains(&k) => (0..k).fold(Dims::ONE, |power, _| dims.mul(power, x)),
                _ => return self.need_number(&Static::Dim(x), span),
            },
        };
        if self.shapes.dims.overflowed() {
            return self.refuse_overflow(span);
        }
        Static::Dim(value)
    }

    /// A size is divided by something that is surely at least 1.
    fn divides_by_a_size(&mut self, by: crate::ir::dim::Dim, span: Span) -> bool {
        if self.symbolic || self.prover.least(&mut self.shapes.dims, by).is_some_and(|least| least >= 1) {
            return true;
        }
        let shown = self.shapes.dims.show(by);
        if self.shapes.dims.as_const(by) == Some(0) {
            let text = format!("`{}` divides by 0", self.written(span));
            self.report(Diagnostic::error("limit::zero", text, span, "the divisor is 0"));
            return false;
        }
        let fact = format!("{shown} >= 1");
        let text = format!("`{}` divides by `{shown}`, which is perhaps 0", self.written(span));
        let report = Diagnostic::error("where::divisor", text, span, "the divisor must be at least 1");
        let report = self.with_fact_fix(report, &fact);
        self.report(report);
        false
    }

    pub(super) fn dim_quotient(&mut self, x: crate::ir::dim::Dim, y: crate::ir::dim::Dim, span: Span) -> Static {
        if !self.divides_by_a_size(y, span) {
            return Static::Unknown;
        }
        let condition = Condition::Divides { what: x, by: y };
        if self.prover.decide(&mut self.shapes.dims, condition) == Some(true) {
            return Static::Dim(self.shapes.dims.floor_div(x, y));
        }
        let dims = &mut self.shapes.dims;
        let fact = self.prover.missing(dims, condition).unwrap_or_default();
        let text = format!("`{} / {}` is a size only where `{fact}`", dims.show(x), dims.show(y));
        let quotient = dims.floor_div(x, y);
        // From here on it is taken to hold: one mistake, one report.
        self.prover.learn(dims, condition);
        let report = Diagnostic::error("where::fraction", text, span, "perhaps a fraction");
        let written = self.written(span).to_string();
        let report = self.with_fact_fix(report, &fact).fix(
            span,
            format!("floor({written})"),
            self.mended(span, &format!("floor({written})")),
        );
        self.report(report.note(format!("say so: `where {fact}`; or cut it off: `floor({written})`")));
        Static::Dim(quotient)
    }

    /// `floor(a / b)` and `ceil(a / b)` of sizes need no proof.
    pub(super) fn quotient_of_sizes(&mut self, word: &str, args: &'a [Arg], span: Span) -> Option<Static> {
        let [Arg { value: Expr { kind: ExprKind::Binary(BinOp::Div, left, right), .. }, .. }] = args else {
            return None;
        };
        if !matches!(word, "floor" | "ceil") {
            return None;
        }
        let (left, right) = (self.eval(left), self.eval(right));
        let (left, right) = (self.plain(&left), self.plain(&right));
        if !matches!(left, Static::Dim(_)) && !matches!(right, Static::Dim(_)) {
            return None;
        }
        let (x, y) = (self.as_dim(&left)?, self.as_dim(&right)?);
        if !self.divides_by_a_size(y, span) {
            return Some(Static::Unknown);
        }
        let dims = &mut self.shapes.dims;
        if word == "floor" {
            return Some(Static::Dim(dims.floor_div(x, y)));
        }
        let less = dims.sub(y, Dims::ONE);
        let padded = dims.add(x, less);
        Some(Static::Dim(dims.floor_div(padded, y)))
    }

    pub(super) fn refuse_overflow(&mut self, span: Span) -> Static {
        let text = "this number is too large: integers end at 9,223,372,036,854,775,807";
        self.report(Diagnostic::error("limit::integer", text, span, "overflows"));
        Static::Unknown
    }
}

fn exact(op: BinOp, (a, b): (i64, i64), (c, d): (i64, i64)) -> Result<Static, Broken> {
    let wide = |x: i64, y: i64| i128::from(x) * i128::from(y);
    let sum = |x: i128, y: i128| x.checked_add(y).ok_or(Broken::Overflow);
    let (numerator, denominator) = match op {
        BinOp::Add => (sum(wide(a, d), wide(c, b))?, wide(b, d)),
        BinOp::Sub => (sum(wide(a, d), -wide(c, b))?, wide(b, d)),
        BinOp::Mul => (wide(a, c), wide(b, d)),
        BinOp::Div if c == 0 => return Err(Broken::Zero),
        BinOp::Div => (wide(a, d), wide(b, c)),
        BinOp::Rem if b != 1 || d != 1 => return Err(Broken::Fraction),
        BinOp::Rem if c == 0 => return Err(Broken::Zero),
        BinOp::Rem => (i128::from(a).rem_euclid(i128::from(c).abs()), 1),
        BinOp::Pow => return power((a, b), (c, d)),
    };
    Static::ratio(numerator, denominator).ok_or(Broken::Overflow)
}

fn power((a, b): (i64, i64), (c, d): (i64, i64)) -> Result<Static, Broken> {
    if d != 1 || b != 1 {
        return Ok(Static::Float(float(BinOp::Pow, a as f64 / b as f64, c as f64 / d as f64)));
    }
    let exponent = u32::try_from(c.unsigned_abs()).map_err(|_| Broken::Overflow)?;
    let value = i128::from(a).checked_pow(exponent).ok_or(Broken::Overflow)?;
    let (numerator, denominator) = if c < 0 { (1, value) } else { (value, 1) };
    if denominator == 0 {
        return Err(Broken::Zero);
    }
    Static::ratio(numerator, denominator).ok_or(Broken::Overflow)
}

fn float(op: BinOp, a: f64, b: f64) -> f64 {
    match op {
        BinOp::Add => a + b,
        BinOp::Sub => a - b,
        BinOp::Mul => a * b,
        BinOp::Div => a / b,
        BinOp::Rem => a.rem_euclid(b),
        BinOp::Pow => pow(a, b),
    }
}

/// a to the power b, with the functions of our own kernels: the same bits on every machine.
pub(super) fn pow(a: f64, b: f64) -> f64 {
    let root = Float::sqrt(a);
    if b == 0.5 {
        root
    } else if b == -0.5 {
        1.0 / root
    } else if b == 0.25 {
        Float::sqrt(root)
    } else if b == -0.25 {
        1.0 / Float::sqrt(root)
    } else if b.fract() == 0.0 && b.abs() <= 64.0 {
        let value = (0..b.abs() as u32).fold(1.0, |product, _| product * a);
        if b < 0.0 { 1.0 / value } else { value }
    } else {
        Float::exp(b * Float::ln(a))
    }
}
