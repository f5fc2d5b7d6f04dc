//! Arithmetic on values: `x + y`, `it * d^0.5`, `1 - x`.

use super::Elab;
use super::apply::Application;
use super::apply::Use;
use super::elements::Taken;
use super::path::Adds;
use super::resolve::Resolved;
use super::scope::{FUNCTIONS, Meaning};
use super::value::{Static, Target, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::attr::{Attr, Attrs};
use crate::ir::op::OpDef;
use crate::ir::structured::ValueId;
use crate::ops;
use crate::syntax::ast::{BinOp, Call, Expr, ExprKind, StageKind};
use crate::text::Span;

/// An operand of an infix sign.
enum Operand {
    Number(Static),
    Tensor(Val),
}

/// The operators that infix signs stand for.
fn infix(op: BinOp) -> Option<&'static OpDef> {
    let find = |names: &[&str]| names.iter().find_map(|name| ops::find(name));
    match op {
        BinOp::Add => find(&["add"]),
        BinOp::Sub => find(&["sub"]),
        BinOp::Mul => find(&["mul"]),
        BinOp::Div => find(&["div"]),
        BinOp::Rem => find(&["rem", "remainder"]),
        BinOp::Pow => None,
    }
}

/// Any operator by its word, those of expansions included.
pub(super) fn internal(word: &str) -> Option<&'static OpDef> {
    ops::all().find(|op| op.name == word)
}

impl<'a> Elab<'a> {
    /// A stage that is arithmetic.
    pub(super) fn arithmetic_stage(&mut self, expr: &'a Expr) -> Val {
        match self.operand(expr) {
            Operand::Tensor(val) => val,
            Operand::Number(Static::Unknown) => self.unknown_stage(),
            Operand::Number(value) => {
                let text = format!("{} does not flow: this line has no tensor in it", value.kind());
                let report = Diagnostic::error("type::number_in_flow", text, expr.span, value.kind());
                self.report(match &value {
                    Static::Str(word) if ops::find(word).is_some() => {
                        report.note("a stage is a bare word").fix(expr.span, word.clone(), self.mended(expr.span, word))
                    }
                    Static::Str(_) => report.note("strings are options, between the parentheses of a stage"),
                    Static::List(_) => report.note("a body is the list of its stages: one a line"),
                    _ => report.note("to add something to what flows: `it + 1`; a number with a name is `dim n = 10`"),
                });
                self.unknown_stage()
            }
        }
    }

    fn operand(&mut self, expr: &'a Expr) -> Operand {
        match &expr.kind {
            ExprKind::Neg(inner) => match self.operand(inner) {
                Operand::Number(value) => {
                    Operand::Number(self.arithmetic(BinOp::Mul, Static::Int(-1), value, expr.span))
                }
                Operand::Tensor(val) => Operand::Tensor(self.negated(val, expr.span)),
            },
            ExprKind::Binary(op, left, right) => {
                let (a, b) = (self.operand(left), self.operand(right));
                self.combined(*op, a, b, expr)
            }
            ExprKind::Call(call) => self.named_operand(call),
            ExprKind::Tuple(elems) => match elems.as_slice() {
                [elem] if elem.name.is_none() => match elem.flow.stages.as_slice() {
                    [stage] => match &stage.kind {
                        StageKind::Expr(inner) if !matches!(inner.kind, ExprKind::Call(_)) => self.operand(inner),
                        StageKind::Expr(Expr { kind: ExprKind::Call(call), .. }) if self.is_number(call) => {
                            Operand::Number(self.eval(match &stage.kind {
                                StageKind::Expr(inner) => inner,
                                _ => expr,
                            }))
                        }
                        _ => Operand::Tensor(self.flow(&elem.flow, None)),
                    },
                    _ => Operand::Tensor(self.flow(&elem.flow, None)),
                },
                _ => Operand::Number(self.eval(expr)),
            },
            ExprKind::Index(list, index) => self.indexed(list, index, expr),
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) | ExprKind::List(_) | ExprKind::Broken => {
                Operand::Number(self.eval(expr))
            }
        }
    }

    /// Whether a name means a number where an infix sign stands beside it.
    fn is_number(&self, call: &Call) -> bool {
        let word = call.name.text.as_str();
        if call.args.is_some() {
            return FUNCTIONS.contains(&word) && word != "range";
        }
        match self.inst.lookup(word).map(|bound| &bound.what) {
            Some(Meaning::Static(value)) => !matches!(value, Static::Stage(_)),
            Some(Meaning::Value(_) | Meaning::Layer(_)) => false,
            None => match self.inst.hypers.get(word) {
                Some((value, _)) => !matches!(value, Static::Stage(_) | Static::Layer(_)),
                None => self.inst.dims.contains_key(word) || self.declared().contains_key(word) || word == "inf",
            },
        }
    }

    fn named_operand(&mut self, call: &'a Call) -> Operand {
        let word = call.name.text.as_str();
        if word == "it" && call.args.is_none() {
            return Operand::Tensor(self.use_it(call.span));
        }
        if self.is_number(call) {
            return Operand::Number(match &call.args {
                None => self.eval_word(call),
                Some(_) => self.eval_call(call),
            });
        }
        match self.resolve(call) {
            Resolved::Value(val) => Operand::Tensor(val),
            Resolved::Stage(Target::Op(op), given) if op.operands.is_empty() => {
                let incoming = Val::Tuple(vec![]);
                let (span, target) = (call.span, Target::Op(op));
                let app = Application { target, given: &given, incoming, word, span, node: None, layer: None };
                Operand::Tensor(self.apply(app))
            }
            Resolved::Layer(layer) if self.is_source(layer) => {
                Operand::Tensor(self.apply_layer(layer, Val::Tuple(vec![]), call.span))
            }
            Resolved::Stage(..) | Resolved::Layer(_) => {
                let written = self.written(call.span).to_string();
                let text = format!("`{word}` is a stage: alone it has no value to calculate with");
                let report = Diagnostic::error("type::bare_operand", text, call.span, "what should flow into it?");
                let fixed = format!("(it |> {written})");
                let shown = self.mended(call.span, &fixed);
                self.report(report.fix(call.span, fixed, shown));
                self.it.iter_mut().for_each(|it| it.used = true);
                Operand::Tensor(Val::Unknown)
            }
            Resolved::Broken => {
                self.it.iter_mut().for_each(|it| it.used = true);
                Operand::Tensor(Val::Unknown)
            }
        }
    }

    fn is_source(&self, layer: usize) -> bool {
        matches!(self.layers[layer].target, Target::Op(op) if op.operands.is_empty())
    }

    fn indexed(&mut self, list: &'a Expr, index: &'a Expr, expr: &'a Expr) -> Operand {
        let ExprKind::Call(call) = &list.kind else { return Operand::Number(self.eval(expr)) };
        if self.is_number(call) {
            return Operand::Number(self.eval(expr));
        }
        if let (None, Resolved::Stage(..)) = (&call.args, self.resolve(call)) {
            let (word, inner) = (self.written(call.span), self.written(index.span));
            let fixed = format!("{word}({inner})");
            let text = format!("the numbers of a stage stand in parentheses: `{fixed}`");
            let report = Diagnostic::error("type::bare_operand", text, expr.span, "brackets are for lists");
            self.report(report.fix(expr.span, fixed.clone(), self.mended(expr.span, &fixed)));
            self.it.iter_mut().for_each(|it| it.used = true);
            return Operand::Tensor(Val::Unknown);
        }
        let Operand::Tensor(val) = self.named_operand(call) else { return Operand::Number(self.eval(expr)) };
        let index = self.eval(index);
        match (&val, self.as_int(&index).and_then(|i| usize::try_from(i).ok())) {
            (Val::Unknown, _) => Operand::Tensor(Val::Unknown),
            (Val::Tuple(elems), Some(i)) if i < elems.len() => Operand::Tensor(elems[i].val.clone()),
            _ => {
                self.report_index(call, &index, expr.span);
                Operand::Tensor(Val::Unknown)
            }
        }
    }

    /// `x[0]` of a tensor.
    fn report_index(&mut self, call: &Call, index: &Static, span: Span) {
        let code = "type::tensor_index";
        let Some(at) = self.as_int(index) else {
            let text = "a part of a value is taken by a stage, not by brackets";
            let report = Diagnostic::error(code, text, span, "no brackets after a value");
            let note = "`x |> select(axis, index)` takes one place, `x |> slice(axis, from, to)` some in a row";
            return self.report(report.note(note));
        };
        let flow = format!("{} |> select(0, {at})", call.name.text);
        let text = format!("a part of a value is taken by a stage: `{flow}`");
        let source = self.sources.0.get(usize::from(span.file)).map_or("", |source| source.text.as_str());
        let before = source[..span.start as usize].trim_end();
        let after = source[span.end as usize..].trim_start_matches(' ');
        let sign = ['+', '-', '*', '/', '%'];
        let fixed = if before.ends_with(sign) || after.starts_with(sign) { format!("({flow})") } else { flow };
        let report = Diagnostic::error(code, text, span, "no brackets after a value");
        self.report(report.fix(span, fixed.clone(), self.mended(span, &fixed)));
    }

    fn combined(&mut self, op: BinOp, a: Operand, b: Operand, expr: &'a Expr) -> Operand {
        match (a, b) {
            (Operand::Number(a), Operand::Number(b)) => Operand::Number(self.arithmetic(op, a, b, expr.span)),
            (a, b) => {
                if let Operand::Tensor(val) = &a
                    && op == BinOp::Pow
                {
                    return Operand::Tensor(self.refuse_power(val.clone(), expr));
                }
                Operand::Tensor(self.infix_values(op, a, b, self.sign_of(expr)))
            }
        }
    }

    /// Where the sign itself stands: both sides are culprits of their own.
    fn sign_of(&self, expr: &Expr) -> Span {
        let ExprKind::Binary(_, left, right) = &expr.kind else { return expr.span };
        let between = Span { start: left.span.end, end: right.span.start, ..expr.span };
        let written = self.written(between);
        let start = between.start + (written.len() - written.trim_start().len()) as u32;
        let sign = Span { start, end: start + written.trim().len() as u32, ..between };
        if self.written(sign).len() == 1 { sign } else { expr.span }
    }

    fn refuse_power(&mut self, val: Val, expr: &Expr) -> Val {
        if !val.is_unknown() {
            let text = "`^` is for numbers, and this is a tensor";
            let report = Diagnostic::error("type::power", text, expr.span, "a tensor to a power");
            let report = match &expr.kind {
                ExprKind::Binary(_, base, exponent) => {
                    let (base, exponent) = (self.written(base.span), self.written(exponent.span));
                    let product = if exponent == "2" { format!("{base} * {base}") } else { String::new() };
                    let fixed = match ops::find("pow") {
                        Some(_) => format!("({base} |> pow({exponent}))"),
                        None => product,
                    };
                    if fixed.is_empty() {
                        report
                    } else {
                        report.fix(expr.span, fixed.clone(), self.mended(expr.span, &fixed))
                    }
                }
                _ => report,
            };
            self.report(report);
        }
        Val::Unknown
    }

    fn infix_values(&mut self, op: BinOp, a: Operand, b: Operand, span: Span) -> Val {
        let Some(def) = infix(op) else { return Val::Unknown };
        let sign = match op {
            BinOp::Add => "+",
            BinOp::Sub => "-",
            BinOp::Mul => "*",
            BinOp::Div => "/",
            BinOp::Rem => "%",
            BinOp::Pow => "^",
        };
        let (operands, number, flip) = match (a, b) {
            (Operand::Tensor(a), Operand::Tensor(b)) => (vec![a, b], None, false),
            (Operand::Tensor(a), Operand::Number(b)) => (vec![a], Some(b), false),
            (Operand::Number(a), Operand::Tensor(b)) => (vec![b], Some(a), true),
            (Operand::Number(_), Operand::Number(_)) => return Val::Unknown,
        };
        let mut values = vec![];
        for val in operands {
            if val.is_unknown() {
                return Val::Unknown;
            }
            let Some(value) = val.single() else {
                let text = format!("`{sign}` stands between tensors, and one of these is several values");
                self.report(Diagnostic::error("type::tuple_operand", text, span, "several values"));
                return Val::Unknown;
            };
            values.push(value);
        }
        let mut attrs = Attrs::with(def.attrs, &[]);
        if let Some(number) = number {
            let number = self.plain(&number);
            if matches!(number, Static::Unknown) {
                return Val::Unknown;
            }
            let Some(value) = number.float() else {
                self.need_number(&number, span);
                return Val::Unknown;
            };
            attrs = attrs.replaced("value", Attr::Float(value)).replaced("number_first", Attr::Bool(flip));
        }
        self.internal_op(def, attrs, &values, sign, span)
    }

    fn negated(&mut self, val: Val, span: Span) -> Val {
        let (Some(value), Some(op)) = (val.single(), ops::find("neg")) else { return Val::Unknown };
        self.internal_op(op, Attrs::with(op.attrs, &[]), &[value], "-", span)
    }

    /// An operator that the user wrote as a sign, or did not write at all.
    pub(super) fn internal_op(
        &mut self,
        op: &'static OpDef,
        attrs: Attrs,
        values: &[ValueId],
        word: &str,
        span: Span,
    ) -> Val {
        for (i, &value) in values.iter().enumerate() {
            let Some(schema) = op.operands.get(i).or(op.operands.last()) else { continue };
            if !schema.dtype.allow(self.ty(value).dtype) {
                let operands: Vec<Option<ValueId>> = values.iter().map(|&value| Some(value)).collect();
                self.report_operand(Taken { op, word, span, operands: &operands }, i, schema.dtype, value);
                return Val::Unknown;
            }
        }
        let node = self.paths.add(self.scope, Adds::Word(op.name.rsplit('.').next().unwrap_or(op.name).into()));
        let operands = values.iter().map(|&value| Some(value)).collect();
        self.build(Use { op, attrs, operands, word, span, node, given: &[], layer: None })
    }
}
