//! The number world: expressions over hyperparameters and sizes, exact where they can be.

use super::Elab;
use super::scope::{FUNCTIONS, Meaning};
use super::value::{Given, StageValue, Static, Target};
use crate::diagnostic::Diagnostic;
use crate::ir::dim::Dims;
use crate::ir::op::Condition;
use crate::kernels::float::Float;
use crate::ops;
use crate::syntax::ast::{Arg, BinOp, Call, Cmp, Cond, Expr, ExprKind, Item, StageKind};
use crate::text::Span;
use std::rc::Rc;

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
    /// Evaluates an expression.
    pub(super) fn eval(&mut self, expr: &'a Expr) -> Static {
        match &expr.kind {
            ExprKind::Int(digits) => match digits.parse() {
                Ok(value) => Static::Int(value),
                Err(_) => self.refuse_overflow(expr.span),
            },
            ExprKind::Float(value) => Static::Float(*value),
            ExprKind::Str(text) => Static::Str(text.clone()),
            ExprKind::Call(call) => match &call.args {
                None => self.word(call),
                Some(args) => self.call(call, args),
            },
            ExprKind::Neg(inner) => {
                let value = self.eval(inner);
                self.arithmetic(BinOp::Mul, Static::Int(-1), value, expr.span)
            }
            ExprKind::Binary(op, left, right) => {
                let (left, right) = (self.eval(left), self.eval(right));
                self.arithmetic(*op, left, right, expr.span)
            }
            ExprKind::Index(list, index) => self.index(list, index, expr.span),
            // An empty parenthesis was reported by the parser.
            ExprKind::Tuple(elems) if elems.is_empty() => Static::Unknown,
            ExprKind::Tuple(elems) => {
                let mut values = vec![];
                for elem in elems {
                    match elem.flow.stages.as_slice() {
                        [stage] if elem.name.is_none() => match &stage.kind {
                            StageKind::Expr(inner) => values.push(self.eval(inner)),
                            _ => return self.tensor_here(elem.flow.span),
                        },
                        _ => return self.tensor_here(elem.flow.span),
                    }
                }
                if values.len() == 1 { values.swap_remove(0) } else { Static::List(values) }
            }
            ExprKind::List(items) => {
                let values = items.iter().map(|item| match item {
                    Item::Rest(_) => Static::Rest,
                    Item::Expr(expr) => self.eval(expr),
                });
                Static::List(values.collect())
            }
            ExprKind::Broken => Static::Unknown,
        }
    }

    /// A tensor where a number is wanted.
    fn tensor_here(&mut self, span: Span) -> Static {
        let report = Diagnostic::error(
            "type::tensor_as_number",
            "a tensor stands where a number is wanted",
            span,
            "this is a value of the flow",
        );
        self.report(report.note("parentheses after a name hold numbers; tensors come by the flow: `(q, k) |> matmul`"));
        Static::Unknown
    }

    /// A bare word that is a number.
    pub(super) fn eval_word(&mut self, call: &Call) -> Static {
        self.word(call)
    }

    /// A call that is a number function.
    pub(super) fn eval_call(&mut self, call: &'a Call) -> Static {
        match &call.args {
            Some(args) => self.call(call, args),
            None => self.word(call),
        }
    }

    /// A bare word.
    fn word(&mut self, call: &Call) -> Static {
        let word = call.name.text.as_str();
        match word {
            "true" => return Static::Bool(true),
            "false" => return Static::Bool(false),
            "none" => return Static::None,
            "inf" => return Static::Float(f64::INFINITY),
            "it" => return self.tensor_here(call.span),
            _ => {}
        }
        match self.inst.lookup(word).map(|bound| bound.what.clone()) {
            Some(Meaning::Static(value)) => return value,
            Some(Meaning::Layer(layer)) => return Static::Layer(layer),
            Some(Meaning::Value(_)) | None => {}
        }
        if let Some((value, _)) = self.inst.hypers.get(word) {
            return value.clone();
        }
        if let Some(dim) = self.inst.dims.get(word) {
            return Static::Dim(*dim);
        }
        if self.declared.contains_key(word) {
            return self.declared_dim(call);
        }
        if self.inst.lookup(word).is_some() {
            return self.tensor_here(call.span);
        }
        self.stage_named(word, vec![]).unwrap_or_else(|| Static::Word(word.into()))
    }

    /// A dim of the file: a symbol in a model, an error in a block that does not bind it.
    fn declared_dim(&mut self, call: &Call) -> Static {
        let word = call.name.text.as_str();
        if self.inst.model || self.symbolic {
            return Static::Dim(self.shapes.dims.symbol(word));
        }
        let report = Diagnostic::error(
            "name::unbound_dim",
            format!("the block `{}` does not know the size of `{word}`", self.inst.name),
            call.span,
            "not bound by the block's signature",
        );
        let note =
            format!("a block sees its own parameters and dims only: write `{word}` in its input shape, or hand it in");
        self.report(report.note(note));
        Static::Unknown
    }

    /// A stage or an initialiser of that name, if there is one.
    fn stage_named(&mut self, word: &str, args: Vec<Given>) -> Option<Static> {
        if let Some(&block) = self.block_names.get(word) {
            return Some(Static::Stage(Rc::new(StageValue { target: Target::Block(block), args })));
        }
        if let Some(op) = ops::find(word) {
            return Some(Static::Stage(Rc::new(StageValue { target: Target::Op(op), args })));
        }
        self.initialiser(word, &args).map(Static::Init)
    }

    /// A call in the number world: a function, an initialiser, or a stage with arguments.
    fn call(&mut self, call: &'a Call, args: &'a [Arg]) -> Static {
        let word = call.name.text.as_str();
        let function = FUNCTIONS.contains(&word) && args.iter().all(|arg| arg.name.is_none() && arg.pin.is_none());
        if function && !self.inst.hypers.contains_key(word) && !self.block_names.contains_key(word) {
            if let Some(value) = self.quotient_of_sizes(word, args) {
                return value;
            }
            let values: Vec<Static> = args.iter().map(|arg| self.eval(&arg.value)).collect();
            return self.function(call, word, &values);
        }
        let given = self.given(args);
        if let Some((Static::Stage(stage), _)) = self.inst.hypers.get(word) {
            return Static::Stage(Rc::new(stage.with(given)));
        }
        if let Some(init) = self.initialiser(word, &given) {
            return Static::Init(init);
        }
        if let Some(stage) = self.stage_named(word, given) {
            return stage;
        }
        let mut report = Diagnostic::error(
            "name::function",
            format!("there is no function, initialiser or stage `{word}`"),
            call.name.span,
            "unknown",
        );
        let meant = self.meant_stage(word).or_else(|| self.meant_number(word));
        if let Some(meant) = meant {
            report = self.meant_name(report, call.name.span, &meant);
        }
        self.report(report);
        Static::Unknown
    }

    /// The arguments of a call, evaluated.
    pub(super) fn given(&mut self, args: &'a [Arg]) -> Vec<Given> {
        let mut given = vec![];
        for arg in args {
            let hyper = match &arg.value.kind {
                ExprKind::Call(call) if call.args.is_none() => self.inst.hypers.contains_key(&call.name.text),
                _ => false,
            };
            let value = self.eval(&arg.value);
            let pin = arg.pin.as_ref().map(|pin| self.eval(pin));
            given.push(Given { name: arg.name.clone(), value, pin, span: arg.span, value_span: arg.value.span, hyper });
        }
        given
    }

    fn function(&mut self, call: &Call, word: &str, values: &[Static]) -> Static {
        if values.iter().any(|value| matches!(value, Static::Unknown)) {
            return Static::Unknown;
        }
        if matches!(word, "len" | "range") && values.iter().any(|value| self.is_open(value)) {
            return Static::Unknown;
        }
        let span = call.span;
        match (word, values) {
            ("floor" | "ceil" | "round", [value]) => self.rounded(word, value, span),
            ("min" | "max", [Static::List(items)]) if !items.is_empty() => self.extreme(word, items, span),
            ("min" | "max", [_, _, ..]) => self.extreme(word, values, span),
            ("len", [Static::List(items)]) => Static::Int(items.len() as i64),
            ("range", _) => self.range(values, span),
            ("sqrt", [value]) => self.real(value, span, Float::sqrt),
            ("log", [value]) => self.real(value, span, Float::ln),
            _ => {
                let kinds: Vec<&str> = values.iter().map(Static::kind).collect();
                let text = format!("`{word}` does not take {}", kinds.join(", "));
                self.report(Diagnostic::error("type::function", text, span, "not a use of this function"));
                Static::Unknown
            }
        }
    }

    fn real(&mut self, value: &Static, span: Span, apply: fn(f64) -> f64) -> Static {
        match value.float() {
            Some(x) => Static::Float(apply(x)),
            None => self.need_number(value, span),
        }
    }

    fn rounded(&mut self, word: &str, value: &Static, span: Span) -> Static {
        if let Some((n, d)) = value.exact() {
            let floor = n.div_euclid(d);
            return Static::Int(match word {
                "floor" => floor,
                "ceil" => floor + i64::from(n.rem_euclid(d) != 0),
                _ => {
                    let twice = 2 * i128::from(n.rem_euclid(d));
                    let up = twice > i128::from(d) || (twice == i128::from(d) && floor % 2 != 0);
                    floor + i64::from(up)
                }
            });
        }
        match value {
            Static::Float(x) => {
                let x = match word {
                    "floor" => x.floor(),
                    "ceil" => x.ceil(),
                    _ => x.round_ties_even(),
                };
                if x.abs() < 9e18 { Static::Int(x as i64) } else { self.refuse_overflow(span) }
            }
            Static::Dim(_) => value.clone(),
            other => self.need_number(&other.clone(), span),
        }
    }

    fn extreme(&mut self, word: &str, values: &[Static], span: Span) -> Static {
        let mut best: Option<(f64, Static)> = None;
        for value in values {
            let value = self.plain(value);
            let Some(x) = value.float() else { return self.need_number(&value, span) };
            if best.as_ref().is_none_or(|(b, _)| if word == "min" { x < *b } else { x > *b }) {
                best = Some((x, value));
            }
        }
        best.map_or(Static::Unknown, |(_, value)| value)
    }

    fn range(&mut self, values: &[Static], span: Span) -> Static {
        let numbers: Option<Vec<i64>> = values.iter().map(|value| self.as_int(value)).collect();
        let (from, to, step) = match numbers.as_deref() {
            Some([n]) => (0, *n, 1),
            Some([from, to]) => (*from, *to, 1),
            Some([from, to, step]) if *step != 0 => (*from, *to, *step),
            _ => {
                let text = "`range` takes one to three integers";
                self.report(Diagnostic::error("type::function", text, span, "range(n), range(from, to, step)"));
                return Static::Unknown;
            }
        };
        let count = (i128::from(to) - i128::from(from)).div_euclid(i128::from(step));
        if count > 1_000_000 {
            return self.refuse_size(span, "a list of more than 1,000,000 numbers");
        }
        let mut list = vec![];
        let mut at = from;
        while if step > 0 { at < to } else { at > to } {
            list.push(Static::Int(at));
            at = at.saturating_add(step);
        }
        Static::List(list)
    }

    fn index(&mut self, list: &'a Expr, index: &'a Expr, span: Span) -> Static {
        let (list, index) = (self.eval(list), self.eval(index));
        match (&list, self.as_int(&index)) {
            (Static::Unknown, _) => Static::Unknown,
            (list, _) if self.is_open(list) || self.is_open(&index) => Static::Unknown,
            (Static::List(items), Some(i)) => {
                let at = if i < 0 { i + items.len() as i64 } else { i };
                match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                    Some(item) => item.clone(),
                    None => {
                        let text = format!("index {i} lies outside a list of {}", items.len());
                        self.report(Diagnostic::error("type::index", text, span, "outside"));
                        Static::Unknown
                    }
                }
            }
            _ => {
                let text = format!("an index needs a list and an integer, this is {}", list.kind());
                self.report(Diagnostic::error("type::index", text, span, "not a list with an integer"));
                Static::Unknown
            }
        }
    }

    /// A dim that is a number is a number.
    pub(super) fn plain(&self, value: &Static) -> Static {
        match value {
            Static::Dim(dim) => self.shapes.dims.as_const(*dim).map_or_else(|| value.clone(), Static::Int),
            other => other.clone(),
        }
    }

    /// While a block is checked for all sizes, a hyperparameter without a default stands for anything.
    pub(super) fn is_open(&self, value: &Static) -> bool {
        self.symbolic && matches!(self.plain(value), Static::Dim(_))
    }

    /// As an integer.
    pub(super) fn as_int(&self, value: &Static) -> Option<i64> {
        match self.plain(value) {
            Static::Int(value) => Some(value),
            _ => None,
        }
    }

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
                let text = "a division by 0";
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

    fn dim_arithmetic(&mut self, op: BinOp, a: &Static, b: &Static, span: Span) -> Static {
        let (Some(x), Some(y)) = (self.as_dim(a), self.as_dim(b)) else {
            if let Some((n, d)) = a.exact().or_else(|| b.exact()).filter(|_| op == BinOp::Mul) {
                // `h * (1 / 2)` is `h / 2`.
                let dim = if matches!(a, Static::Dim(_)) { a } else { b };
                let scaled = self.arithmetic(BinOp::Mul, dim.clone(), Static::Int(n), span);
                return self.arithmetic(BinOp::Div, scaled, Static::Int(d), span);
            }
            return self.need_number(if matches!(a, Static::Dim(_)) { a } else { b }, span);
        };
        let dims = &mut self.shapes.dims;
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
        Static::Dim(value)
    }

    fn dim_quotient(&mut self, x: crate::ir::dim::Dim, y: crate::ir::dim::Dim, span: Span) -> Static {
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
        let report =
            self.with_fact_fix(report, &fact).fix(span, format!("floor({written})"), format!("floor({written})"));
        self.report(report.note(format!("say so: `where {fact}`; or cut it off: `floor({written})`")));
        Static::Dim(quotient)
    }

    /// `floor(a / b)` and `ceil(a / b)` of sizes need no proof.
    fn quotient_of_sizes(&mut self, word: &str, args: &'a [Arg]) -> Option<Static> {
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
        let dims = &mut self.shapes.dims;
        if dims.as_const(y) == Some(0) {
            return None;
        }
        if word == "floor" {
            return Some(Static::Dim(dims.floor_div(x, y)));
        }
        let less = dims.sub(y, Dims::ONE);
        let padded = dims.add(x, less);
        Some(Static::Dim(dims.floor_div(padded, y)))
    }

    /// As a size, where it is an integer or symbolic.
    pub(super) fn as_dim(&mut self, value: &Static) -> Option<crate::ir::dim::Dim> {
        match value {
            Static::Int(value) => Some(self.shapes.dims.constant(*value)),
            Static::Dim(dim) => Some(*dim),
            _ => None,
        }
    }

    /// Whether a condition holds.
    pub(super) fn truth(&mut self, cond: &'a Cond) -> Truth {
        let Some((cmp, right)) = &cond.right else {
            return match self.eval(&cond.left) {
                Static::Bool(value) => Truth::Known(value),
                Static::Unknown => Truth::Silent,
                other if self.is_open(&other) => Truth::Opaque,
                other => {
                    let text = format!("a condition is true or false, this is {}", other.kind());
                    self.report(Diagnostic::error("type::condition", text, cond.span, "compare it with something"));
                    Truth::Silent
                }
            };
        };
        if let (ExprKind::Binary(BinOp::Rem, what, by), Cmp::Eq | Cmp::Ne) = (&cond.left.kind, cmp) {
            let zero = self.eval(right);
            if self.as_int(&zero) == Some(0) {
                let (what, by) = (self.eval(what), self.eval(by));
                return self.remainder_truth(&what, &by, *cmp == Cmp::Eq, cond.span);
            }
        }
        let (left, right) = (self.eval(&cond.left), self.eval(right));
        self.compare(*cmp, &left, &right, cond.span)
    }

    fn remainder_truth(&mut self, what: &Static, by: &Static, divides: bool, span: Span) -> Truth {
        if matches!(what, Static::Unknown) || matches!(by, Static::Unknown) {
            return Truth::Silent;
        }
        let (what, by) = (self.plain(what), self.plain(by));
        if let (Some(x), Some(y)) = (self.as_dim(&what), self.as_dim(&by)) {
            if self.shapes.dims.as_const(y) == Some(0) {
                let _ = self.arithmetic(BinOp::Rem, what, by, span);
                return Truth::Silent;
            }
            let condition = Condition::Divides { what: x, by: y };
            return match self.prover.decide(&mut self.shapes.dims, condition) {
                Some(holds) => Truth::Known(holds == divides),
                None if divides => Truth::Open(condition),
                None => Truth::Opaque,
            };
        }
        let rest = self.arithmetic(BinOp::Rem, what, by, span);
        let cmp = if divides { Cmp::Eq } else { Cmp::Ne };
        self.compare(cmp, &rest, &Static::Int(0), span)
    }

    fn compare(&mut self, cmp: Cmp, left: &Static, right: &Static, span: Span) -> Truth {
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

    fn compare_dims(&mut self, cmp: Cmp, left: &Static, right: &Static, span: Span) -> Truth {
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

    /// A number is wanted, and this is none; symbolic sizes are silent while a block is checked for all sizes.
    pub(super) fn need_number(&mut self, value: &Static, span: Span) -> Static {
        match value {
            Static::Unknown => {}
            Static::Dim(_) if self.symbolic => {}
            Static::Dim(dim) => {
                let text = format!("`{}` is a symbolic size: it has no number yet", self.shapes.dims.show(*dim));
                let report = Diagnostic::error("type::symbolic", text, span, "a number is wanted here");
                self.report(report.note("a symbolic size may stand in shapes, size lists and facts"));
            }
            Static::Word(word) => self.unknown_word(&word.clone(), span),
            other => {
                let text = format!("a number is wanted, this is {}", other.kind());
                self.report(Diagnostic::error("type::number", text, span, "not a number"));
            }
        }
        Static::Unknown
    }

    /// A bare word that names nothing.
    pub(super) fn unknown_word(&mut self, word: &str, span: Span) {
        if self.unknown_dims.iter().any(|dim| dim == word) {
            return;
        }
        let mut report = Diagnostic::error(
            "name::unknown",
            format!("there is no hyperparameter, dim or stage `{word}`"),
            span,
            "unknown",
        );
        if let Some(meant) = self.meant_number(word).or_else(|| self.meant_stage(word)) {
            report = self.meant_name(report, span, &meant);
        }
        self.report(report);
    }

    fn refuse_overflow(&mut self, span: Span) -> Static {
        let text = "this number is too large: integers end at 9,223,372,036,854,775,807";
        self.report(Diagnostic::error("limit::integer", text, span, "overflows"));
        Static::Unknown
    }
}

/// What can go wrong with exact numbers.
enum Broken {
    Overflow,
    Zero,
    Fraction,
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
