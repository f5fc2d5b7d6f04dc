//! Written things in one spelling, for labels: the same however the file is laid out.

use super::Elab;
use super::value::{Static, Target};
use crate::ir::attr::Init;
use crate::syntax::ast::{Arg, BinOp, Call, Cmp, Cond, Expr, ExprKind, Item, Lhs, StageKind};

impl<'a> Elab<'a> {
    /// A value of the number world, as a user reads it.
    pub(super) fn shown(&self, value: &Static) -> String {
        match value {
            Static::Int(n) => n.to_string(),
            Static::Ratio(n, d) => {
                let text = format!("{:.2}", *n as f64 / *d as f64);
                text.trim_end_matches('0').trim_end_matches('.').to_string()
            }
            Static::Float(x) => shown_float(*x),
            Static::Bool(b) => b.to_string(),
            Static::Str(text) => format!("\"{text}\""),
            Static::None => "none".into(),
            Static::List(items) => {
                format!("[{}]", items.iter().map(|item| self.shown(item)).collect::<Vec<_>>().join(", "))
            }
            Static::Rest => "...".into(),
            Static::Dim(dim) => self.shapes.dims.show(*dim),
            Static::Stage(stage) => {
                let word = match stage.target {
                    Target::Op(op) => op.name,
                    Target::Block(block) => self.blocks[block].name.text.as_str(),
                };
                let args = stage.args.iter().map(|arg| match &arg.name {
                    Some(name) => format!("{} = {}", name.text, self.shown(&arg.value)),
                    None => self.shown(&arg.value),
                });
                let args: Vec<String> = args.collect();
                if args.is_empty() { word.into() } else { format!("{word}({})", args.join(", ")) }
            }
            Static::Init(init) => shown_init(init),
            Static::Layer(layer) => self.layers.get(*layer).map_or_else(String::new, |layer| layer.name.clone()),
            Static::Word(word) => word.clone(),
            Static::Unknown => "?".into(),
        }
    }
}

/// An expression: `4 * d`.
pub(super) fn expr(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Int(digits) => digits.clone(),
        ExprKind::Float(value) => shown_float(*value),
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

/// A float as short as it reads back.
pub(super) fn shown_float(x: f64) -> String {
    if x == f64::INFINITY {
        return "inf".into();
    }
    let rounded = (x * 1e12).round() / 1e12;
    let x = if rounded != 0.0 && (rounded - x).abs() < 1e-13 { rounded } else { x };
    if x != 0.0 && !(1e-4..1e16).contains(&x.abs()) { format!("{x:e}") } else { format!("{x}") }
}

pub(super) fn shown_init(init: &Init) -> String {
    match init {
        Init::Zeros => "zeros".into(),
        Init::Ones => "ones".into(),
        Init::Constant(value) => format!("constant({value})"),
        Init::Uniform(a, b) => format!("uniform({a}, {b})"),
        Init::Normal(std, mean) => format!("normal({std}, {mean})"),
        Init::TruncNormal(std, a, b) => format!("trunc_normal({std}, {a}, {b})"),
        Init::XavierUniform(gain) => format!("xavier_uniform({gain})"),
        Init::XavierNormal(gain) => format!("xavier_normal({gain})"),
        Init::KaimingUniform(..) => "kaiming_uniform".into(),
        Init::KaimingNormal(..) => "kaiming_normal".into(),
        Init::UniformFan(fan) => format!("uniform_fan({fan})"),
        Init::Orthogonal(gain) => format!("orthogonal({gain})"),
        Init::Eye => "eye".into(),
        Init::Sparse(share, std) => format!("sparse({share}, {std})"),
        Init::Dirac(groups) => format!("dirac({groups})"),
        Init::NormsOf(name, ..) => format!("norms of {name}"),
        Init::Blocks(blocks) => blocks.first().map_or_else(String::new, |(_, init)| shown_init(init)),
    }
}
