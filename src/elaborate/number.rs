//! The number world: expressions over hyperparameters and sizes, exact where they can be.

use super::Elab;
use super::scope::{FUNCTIONS, Meaning};
use super::value::{Given, StageValue, Static, Target};
use crate::diagnostic::Diagnostic;
use crate::ops;
use crate::syntax::ast::{Arg, BinOp, Call, Expr, ExprKind, Item, StageKind};
use crate::text::Span;
use std::rc::Rc;

/// Where a dim that stands for any size may be used.
pub(super) const ONLY_IN_SHAPES: &str =
    "a dim may stand in shapes, lists of sizes and `where`; what counts or sizes weights is a hyperparameter";

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
                let value = self.eval_operand(inner);
                self.arithmetic(BinOp::Mul, Static::Int(-1), value, expr.span)
            }
            ExprKind::Binary(op, left, right) => {
                let (left, right) = (self.eval_operand(left), self.eval_operand(right));
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
        if self.declared().contains_key(word) {
            return self.declared_dim(call);
        }
        match self.inst.lookup(word).map(|bound| &bound.what) {
            // What it should have been is told already.
            Some(Meaning::Value(super::value::Val::Unknown)) => return Static::Unknown,
            Some(_) => return self.tensor_here(call.span),
            None => {}
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
            if let Some(value) = self.quotient_of_sizes(word, args, call.span) {
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
        if matches!(word, "int" | "long") && args.len() == 1 {
            let report = Diagnostic::error(
                "name::function",
                format!("`{word}(…)` is written `floor(…)` here"),
                call.name.span,
                "unknown",
            );
            return self.report_unknown_function(self.meant_name(report, call.name.span, "floor"));
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
        self.report_unknown_function(report)
    }

    fn report_unknown_function(&mut self, report: Diagnostic) -> Static {
        self.report(report);
        Static::Unknown
    }

    /// The arguments of a call, evaluated.
    pub(super) fn given(&mut self, args: &'a [Arg]) -> Vec<Given> {
        let (mut given, first) = (vec![], self.reports.len());
        for arg in args {
            let hyper = match &arg.value.kind {
                ExprKind::Call(call) if call.args.is_none() => self.inst.hypers.contains_key(&call.name.text),
                _ => false,
            };
            let before = self.reports.len();
            let value = self.eval(&arg.value);
            // `log (it, x)`: several tensors in one list are one mistake.
            let tensor = |report: &super::report::Report| report.diagnostic.code == "type::tensor_as_number";
            if before > first && tensor(&self.reports[before - 1]) && self.reports[before..].iter().all(tensor) {
                self.reports.truncate(before);
            }
            let pin = arg.pin.as_ref().map(|pin| self.eval(pin));
            let items = items(&arg.value);
            let (name, value_span) = (arg.name.clone(), arg.value.span);
            given.push(Given { name, value, pin, span: arg.span, value_span, items, hyper });
        }
        given
    }

    fn index(&mut self, list: &'a Expr, index: &'a Expr, span: Span) -> Static {
        let index = self.eval(index);
        // A long list is not copied for one of its items.
        if let (ExprKind::Call(call), Some(i)) = (&list.kind, self.as_int(&index))
            && call.args.is_none()
            && self.inst.lookup(&call.name.text).is_none()
            && let Some((Static::List(items), _)) = self.inst.hypers.get(&call.name.text)
        {
            let at = if i < 0 { i + items.len() as i64 } else { i };
            if let Some(item) = usize::try_from(at).ok().and_then(|at| items.get(at)) {
                return item.clone();
            }
        }
        let list = self.eval(list);
        match (&list, self.as_int(&index)) {
            (Static::Unknown, _) => Static::Unknown,
            (list, _) if self.is_open(list) || self.is_open(&index) => Static::Unknown,
            (Static::List(items), Some(i)) => {
                let at = if i < 0 { i + items.len() as i64 } else { i };
                match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                    Some(item) => item.clone(),
                    None => {
                        let text = format!("a list of {} has no item {i}: the first is 0", items.len());
                        self.report(Diagnostic::error("type::index", text, span, "outside of the list"));
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

    /// As a size, where it is an integer or symbolic.
    pub(super) fn as_dim(&mut self, value: &Static) -> Option<crate::ir::dim::Dim> {
        match value {
            Static::Int(value) => Some(self.shapes.dims.constant(*value)),
            Static::Dim(dim) => Some(*dim),
            _ => None,
        }
    }

    /// An operand of `+ - * / % ^`; what is none is told in its own place.
    fn eval_operand(&mut self, expr: &'a Expr) -> Static {
        match self.eval(expr) {
            value @ (Static::Word(_) | Static::Str(_) | Static::None) => self.need_number(&value, expr.span),
            value => value,
        }
    }

    /// A number is wanted, and this is none; symbolic sizes are silent while a block is checked for all sizes.
    pub(super) fn need_number(&mut self, value: &Static, span: Span) -> Static {
        match value {
            Static::Unknown => {}
            Static::Dim(_) if self.symbolic => {}
            Static::Dim(dim) => {
                let text = format!("`{}` is no number here: it stands for any size", self.shapes.dims.show(*dim));
                let report = Diagnostic::error("type::symbolic", text, span, "a number is wanted here");
                let report = self.with_declaration(report.note(ONLY_IN_SHAPES), span);
                self.report(report);
            }
            Static::Word(word) => self.unknown_word(&word.clone(), span),
            other => {
                let text = format!("a number is wanted, this is {}", other.kind());
                self.report(Diagnostic::error("type::number", text, span, "not a number"));
            }
        }
        Static::Unknown
    }
}

/// The items of a list that is written as one.
fn items(expr: &Expr) -> Vec<Span> {
    match &expr.kind {
        ExprKind::List(items) => items.iter().map(Item::span).collect(),
        _ => vec![],
    }
}
