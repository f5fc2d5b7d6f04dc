//! Signatures: types from their axes, and the dims of a block bound by what flows in.

use super::Elab;
use super::scope::near;
use super::value::Static;
use crate::diagnostic::Diagnostic;
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::Condition;
use crate::ir::shape::Type;
use crate::syntax::ast::{Axis, Expr, ExprKind, Item, Name, StageKind, Typed};
use crate::tensor::DType;
use crate::text::Span;

/// How a type fits a pattern.
pub(super) enum Fit {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It does under this condition, which is not decided.
    Open(Condition),
    /// A mistake in the pattern was reported.
    Silent,
}

impl<'a> Elab<'a> {
    /// The element type that a signature says.
    pub(super) fn dtype(&mut self, word: Option<&Name>) -> Option<DType> {
        let Some(name) = word else { return Some(DType::F32) };
        match name.text.as_str() {
            "f32" => Some(DType::F32),
            "i64" => Some(DType::I64),
            "bool" => Some(DType::Bool),
            other => {
                let text = format!("there is no element type `{other}`: it is f32, i64 or bool");
                let report = Diagnostic::error("type::dtype", text, name.span, "unknown");
                let meant = match other {
                    "f64" | "f16" | "bf16" | "float" | "float32" | "double" | "Tensor" | "Float" | "tensor" => {
                        Some("f32")
                    }
                    "u8" | "uint8" | "i8" | "i16" | "u32" | "Int" | "int" | "int64" | "i32" | "int32" | "long" => {
                        Some("i64")
                    }
                    _ => near(other, ["f32", "i64", "bool"]),
                };
                let report = match meant {
                    Some(meant) => self.meant_everywhere(self.meant_name(report, name.span, meant), name, meant),
                    None => report,
                };
                self.report(if other == "f64" {
                    report.note("`--dtype f64` makes every float one of 64 bits")
                } else {
                    report
                });
                None
            }
        }
    }

    /// With the fix made at every type that begins with the same word.
    fn meant_everywhere(&self, mut report: Diagnostic, name: &Name, meant: &str) -> Diagnostic {
        let Some(source) = self.sources.0.get(usize::from(name.span.file)) else { return report };
        let (text, word) = (source.text.as_str(), name.text.as_str());
        for (at, _) in text.match_indices(word) {
            let begins = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let other = at as u32 != name.span.start;
            if begins && other && text[at + word.len()..].starts_with('[') {
                report = report.also(Span::new(name.span.file, at, at + word.len()), meant);
            }
        }
        report
    }

    /// A type whose axes are all known: a model's input, a target. `open`: what `...` and `_` stand for.
    pub(super) fn port_type(&mut self, typed: &'a Typed, open: Option<&str>) -> Option<Type> {
        let dtype = self.dtype(typed.dtype.as_ref())?;
        let mut dims = vec![];
        let mut sound = true;
        for (i, axis) in typed.axes.iter().enumerate() {
            match axis {
                Axis::Size(expr) => match self.axis_size(expr) {
                    Some(dim) => dims.push(dim),
                    None => sound = false,
                },
                Axis::Rest(span) | Axis::Any(span) => match open {
                    Some(word) => dims.push(self.shapes.dims.symbol(&format!("{word}{i}"))),
                    None => {
                        let text = "a size must be known here: name a dim, or write a number";
                        self.report(Diagnostic::error("type::open_axis", text, *span, "stands for any size"));
                        sound = false;
                    }
                },
            }
        }
        let ty = self.shapes.ty(dtype, &dims);
        (sound && self.allow_tensor(ty, typed.span)).then_some(ty)
    }

    /// An axis of a signature as a size.
    fn axis_size(&mut self, expr: &'a Expr) -> Option<Dim> {
        let value = self.eval(expr);
        match self.plain(&value) {
            Static::Int(n) if n < 0 => {
                let text = format!("a size is at least 0, and this is {n}");
                self.report(Diagnostic::error("type::negative_size", text, expr.span, format!("= {n}")));
                None
            }
            Static::Int(n) => Some(self.shapes.dims.constant(n)),
            Static::Dim(dim) => Some(dim),
            Static::Unknown => None,
            Static::Word(word) => {
                self.report_unknown_dim(&word, expr);
                None
            }
            Static::Ratio(..) => {
                let (shown, written) = (self.shown(&value), self.written(expr.span).to_string());
                let text = format!("a size is never a fraction, and this is {shown}");
                let report = Diagnostic::error("type::fraction", text, expr.span, format!("= {shown}"));
                self.report(report.fix(expr.span, format!("floor({written})"), format!("floor({written})")));
                None
            }
            other => {
                let text = format!("a size is a number or a dim, and this is {}", other.kind());
                self.report(Diagnostic::error("type::size", text, expr.span, "not a size"));
                None
            }
        }
    }

    fn report_unknown_dim(&mut self, word: &str, expr: &Expr) {
        self.unknown_dims.push(word.to_string());
        if self.lost_name(word) {
            return;
        }
        if word == "None" {
            let text = "a size that is not fixed has a name: declare `dim batch`, and write `batch`";
            let mut report = Diagnostic::error("name::dim", text, expr.span, "no size");
            report = report.fix(expr.span, "batch", "dim batch, and `batch` for `None`");
            let text = self.sources.0.get(usize::from(expr.span.file)).map_or("", |source| &source.text);
            for (at, _) in text.match_indices("None") {
                let size = text[..at].ends_with(['[', ' ', ',']) && text[at + 4..].starts_with([',', ']', ' ']);
                if size && at as u32 != expr.span.start {
                    report = report.also(Span::new(expr.span.file, at, at + 4), "batch");
                }
            }
            if !self.declared().contains_key("batch") {
                report = report.also(Span { start: 0, end: 0, ..expr.span }, "dim batch\n\n");
            }
            return self.report(report);
        }
        let text = format!("there is no dim `{word}`");
        let report = Diagnostic::error("name::dim", text, expr.span, "not declared");
        let names = self.declared().keys().chain(self.inst.hypers.keys()).map(String::as_str);
        let report = match near(word, names) {
            Some(meant) => self.meant_name(report, expr.span, meant),
            None => report.note("dims are declared at the top of the file"),
        };
        self.report(report);
    }

    /// Matches a type with a pattern; dims that are not bound yet are bound by it.
    pub(super) fn fit(&mut self, typed: &'a Typed, ty: Type, output: bool) -> Fit {
        let Some(dtype) = self.dtype(typed.dtype.as_ref()) else { return Fit::Silent };
        let dims = self.shapes.dims(ty).to_vec();
        let rest = typed.axes.iter().position(|axis| matches!(axis, Axis::Rest(_)));
        let fixed = typed.axes.len() - usize::from(rest.is_some());
        let fits = match rest {
            Some(_) => dims.len() >= fixed,
            None => dims.len() == fixed,
        };
        if dtype != ty.dtype || !fits {
            return Fit::No;
        }
        let skipped = dims.len() - fixed;
        let mut pairs = vec![];
        for (i, axis) in typed.axes.iter().enumerate() {
            match rest {
                Some(at) if i == at => {
                    if let Some(fit) = self.fit_rest(&dims[at..at + skipped], output) {
                        return fit;
                    }
                }
                Some(at) if i > at => pairs.push((axis, dims[i + skipped - 1])),
                _ => pairs.push((axis, dims[i])),
            }
        }
        // Bare names first: they bind what the others need.
        pairs.sort_by_key(|(axis, _)| !matches!(axis, Axis::Size(expr) if self.bare_dim(expr).is_some()));
        let mut open = None;
        for (axis, dim) in pairs {
            match self.fit_axis(axis, dim) {
                Fit::Yes => {}
                Fit::No => return Fit::No,
                Fit::Silent => return Fit::Silent,
                Fit::Open(condition) => open = Some(condition),
            }
        }
        open.map_or(Fit::Yes, Fit::Open)
    }

    fn fit_rest(&mut self, found: &[Dim], output: bool) -> Option<Fit> {
        match (self.inst.rest.clone(), output) {
            (Some(bound), _) => {
                if bound.len() != found.len() {
                    return Some(Fit::No);
                }
                let mut open = None;
                for (&a, &b) in bound.iter().zip(found) {
                    let condition = Condition::Equal(a, b);
                    match self.prover.decide(&mut self.shapes.dims, condition) {
                        Some(true) => {}
                        Some(false) => return Some(Fit::No),
                        None => open = Some(Fit::Open(condition)),
                    }
                }
                open
            }
            (None, false) => {
                self.inst.rest = Some(found.to_vec());
                None
            }
            (None, true) => None,
        }
    }

    fn fit_axis(&mut self, axis: &'a Axis, dim: Dim) -> Fit {
        let expr = match axis {
            Axis::Rest(_) | Axis::Any(_) => return Fit::Yes,
            Axis::Size(expr) => expr,
        };
        let unbound = if self.inst.model || self.symbolic_rigid() { vec![] } else { self.unbound(expr) };
        match unbound.as_slice() {
            [] => {}
            [name] => return self.solve(name.clone(), expr, dim),
            [first, ..] => {
                let text = format!("`{first}` cannot be bound: this axis holds several unknown dims");
                self.report(Diagnostic::error("type::unbound_axis", text, expr.span, "write one dim an axis"));
                return Fit::Silent;
            }
        }
        let Some(wanted) = self.axis_size(expr) else { return Fit::Silent };
        let condition = Condition::Equal(dim, wanted);
        match self.prover.decide(&mut self.shapes.dims, condition) {
            Some(true) => Fit::Yes,
            Some(false) => Fit::No,
            None => Fit::Open(condition),
        }
    }

    /// In a check for all sizes every dim of the signature is a symbol already.
    fn symbolic_rigid(&self) -> bool {
        self.symbolic && self.chain.len() <= 1
    }

    fn bare_dim<'e>(&self, expr: &'e Expr) -> Option<&'e str> {
        match &expr.kind {
            ExprKind::Call(call) if call.args.is_none() && !self.inst.hypers.contains_key(&call.name.text) => {
                Some(call.name.text.as_str()).filter(|name| self.declared().contains_key(*name))
            }
            _ => None,
        }
    }

    /// Declared dims in an expression that are not bound yet.
    pub(super) fn unbound(&self, expr: &Expr) -> Vec<String> {
        let mut names = vec![];
        dim_names(expr, &mut names);
        names.retain(|name| {
            self.declared().contains_key(name)
                && !self.inst.hypers.contains_key(name)
                && !self.inst.dims.contains_key(name)
        });
        names.dedup();
        names
    }

    /// Binds a dim so that the expression has this size.
    fn solve(&mut self, name: String, expr: &'a Expr, dim: Dim) -> Fit {
        if self.bare_dim(expr) == Some(name.as_str()) {
            self.inst.dims.insert(name, dim);
            return Fit::Yes;
        }
        let symbol = self.shapes.dims.symbol(&format!("{name}?"));
        self.inst.dims.insert(name.clone(), symbol);
        let size = self.axis_size(expr);
        self.inst.dims.shift_remove(&name);
        let Some(size) = size else { return Fit::Silent };
        // size = factor * symbol + rest.
        let dims = &mut self.shapes.dims;
        let zero = dims.substitute(size, &|found| (found == format!("{name}?")).then_some(Dims::ZERO));
        let one = dims.substitute(size, &|found| (found == format!("{name}?")).then_some(Dims::ONE));
        let factor = dims.sub(one, zero);
        let product = dims.mul(factor, symbol);
        let linear = dims.add(product, zero);
        if linear != size || dims.as_const(factor) == Some(0) {
            let text = format!("`{name}` cannot be found from this axis");
            self.report(Diagnostic::error(
                "type::unbound_axis",
                text,
                expr.span,
                "only sums and multiples can be solved",
            ));
            return Fit::Silent;
        }
        let left = dims.sub(dim, zero);
        let condition = Condition::Divides { what: left, by: factor };
        match self.prover.decide(&mut self.shapes.dims, condition) {
            Some(false) => Fit::No,
            decided => {
                let value = self.shapes.dims.floor_div(left, factor);
                self.inst.dims.insert(name, value);
                if decided.is_some() { Fit::Yes } else { Fit::Open(condition) }
            }
        }
    }

    /// A signature as a user reads it, with the sizes put in: `[batch, d]` where d = 256.
    pub(super) fn shown_pattern(&self, typed: &Typed) -> String {
        self.written(typed.span).to_string()
    }
}

/// The bare names in an expression.
pub(super) fn dim_names(expr: &Expr, names: &mut Vec<String>) {
    match &expr.kind {
        ExprKind::Call(call) => match &call.args {
            None => names.push(call.name.text.clone()),
            Some(args) => args.iter().for_each(|arg| dim_names(&arg.value, names)),
        },
        ExprKind::Neg(inner) => dim_names(inner, names),
        ExprKind::Binary(_, a, b) | ExprKind::Index(a, b) => {
            dim_names(a, names);
            dim_names(b, names);
        }
        ExprKind::Tuple(elems) => {
            for stage in elems.iter().flat_map(|elem| &elem.flow.stages) {
                if let StageKind::Expr(expr) = &stage.kind {
                    dim_names(expr, names);
                }
            }
        }
        ExprKind::List(items) => {
            for item in items {
                if let Item::Expr(expr) = item {
                    dim_names(expr, names);
                }
            }
        }
        ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) | ExprKind::Broken => {}
    }
}
