//! Comparisons, logic, and choices between two values. Bools hold 1 and 0; nothing flows back through them.

use super::arithmetic::{NUMBER, elementwise, pair_or_number, plain};
use super::source::FILL;
use crate::ir::attr::{Attr, AttrDef, AttrKind, Attrs};
use crate::ir::build::{Builder, ExpandCx, Var, shape_attr};
use crate::ir::op::{Body, Elements, Gradient, Misfit, MisfitKind, OpDef, Operand, RuleCx};
use crate::kernels::map::{self, MapOp};
use crate::tensor::DType;

const CHOICE: &[Operand] = &[Operand::bool("cond"), Operand::any("a"), Operand::any("b")];

const NUMBERS: &[Operand] = &[Operand::number("a"), Operand::number("b").optional()];
const BOOLS: &[Operand] = &[Operand::bool("a"), Operand::bool("b")];

/// The same rule, with bools for elements.
fn truth(cx: &mut RuleCx<'_>, rule: fn(&mut RuleCx<'_>) -> Result<(), Misfit>) -> Result<(), Misfit> {
    rule(cx)?;
    cx.outs.iter_mut().for_each(|ty| ty.dtype = DType::Bool);
    Ok(())
}

/// Both operands hold the same elements: floats and integers are never compared silently.
fn compared(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    same_elements(cx, 0, 1)?;
    truth(cx, pair_or_number)
}

fn same_elements(cx: &RuleCx<'_>, first: usize, second: usize) -> Result<(), Misfit> {
    let (a, b) = (cx.operand(first)?, cx.ins.get(second).copied().flatten());
    let wanted = match a.dtype {
        DType::F32 | DType::F64 => Elements::Float,
        DType::I64 => Elements::Int,
        DType::Bool => Elements::Bool,
    };
    match b {
        Some(b) if b.dtype != a.dtype => {
            Err(Misfit { operand: Some(second), ..Misfit::of(MisfitKind::Elements(wanted)) })
        }
        _ => Ok(()),
    }
}

/// A comparison: its word, and the instruction.
const fn comparison(name: &'static str, formula: &'static str, op: &'static MapOp) -> OpDef {
    OpDef {
        name,
        formula,
        shape: "([..], [..]) -> bool[..]",
        attrs: NUMBER,
        operands: NUMBERS,
        rule: compared,
        body: Body::Map { op, imm: plain },
        gradient: Gradient::Zero,
        ..OpDef::DEFAULT
    }
}

const fn logical(name: &'static str, formula: &'static str, op: &'static MapOp) -> OpDef {
    OpDef {
        name,
        formula,
        shape: "(bool[..], bool[..]) -> bool[..]",
        operands: BOOLS,
        rule: |cx| truth(cx, elementwise),
        body: Body::Map { op, imm: plain },
        gradient: Gradient::Zero,
        ..OpDef::DEFAULT
    }
}

/// A number as a value without axes.
pub(super) fn number<'g>(builder: &'g Builder, dtype: DType, value: f64) -> Var<'g> {
    let given = [("shape", shape_attr(&[])), ("value", Attr::Float(value)), ("dtype", Attr::Str(dtype.word().into()))];
    builder.apply(&FILL, Attrs::with(FILL.attrs, &given), &[])[0]
}

/// `a` where `cond` holds, else `b`.
pub(super) fn choose<'g>(cond: Var<'g>, a: Var<'g>, b: Var<'g>) -> Var<'g> {
    cond.builder.one(&MAP_SELECT, Attrs::with(&[], &[]), &[cond, a, b])
}

/// The shape of a choice: that of the three with the most axes, of which the others may lack leading ones.
fn choice(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dtype = cx.operand(1)?.dtype;
    same_elements(cx, 1, 2)?;
    elementwise(cx)?;
    cx.outs.iter_mut().for_each(|ty| ty.dtype = dtype);
    Ok(())
}

fn filled<'g>(cx: &ExpandCx<'_, 'g>) -> Var<'g> {
    let (x, value) = (cx.x(0), cx.attrs.float("value").unwrap_or(0.0));
    choose(cx.x(1), number(cx.builder, x.dtype(), value), x)
}

ops! { OPS;

/// Whether two values are equal, element by element; or a value and a number: `tokens |> eq(0)`.
EQ = OpDef {
    torch: "torch.eq",
    example: "a: f32[2] = [1, 2], value = 2 -> [0, 1]",
    ..comparison("eq", "a = b", &map::ops::EQ)
};

/// Whether two values differ; `ids |> ne(0)` is the mask of what is no padding.
NE = OpDef {
    torch: "torch.ne",
    example: "a: f32[2] = [1, 2], value = 2 -> [1, 0]",
    ..comparison("ne", "a ≠ b", &map::ops::NE)
};

/// Whether the first is smaller.
LT = OpDef {
    torch: "torch.lt",
    example: "a: f32[3] = [1, 2, 3], value = 2 -> [1, 0, 0]",
    ..comparison("lt", "a < b", &map::ops::LT)
};

/// Whether the first is not larger.
LE = OpDef {
    torch: "torch.le",
    example: "a: f32[3] = [1, 2, 3], value = 2 -> [1, 1, 0]",
    ..comparison("le", "a ≤ b", &map::ops::LE)
};

/// Whether the first is larger.
GT = OpDef {
    torch: "torch.gt",
    example: "a: f32[3] = [1, 2, 3], value = 2 -> [0, 0, 1]",
    ..comparison("gt", "a > b", &map::ops::GT)
};

/// Whether the first is not smaller.
GE = OpDef {
    torch: "torch.ge",
    example: "a: f32[3] = [1, 2, 3], value = 2 -> [0, 1, 1]",
    ..comparison("ge", "a ≥ b", &map::ops::GE)
};

/// Both hold.
AND = OpDef {
    torch: "torch.logical_and",
    example: "a: bool[2] = [1, 1], b: bool[2] = [0, 1] -> [0, 1]",
    ..logical("logical_and", "a and b", &map::ops::AND)
};

/// One or both hold.
OR = OpDef {
    torch: "torch.logical_or",
    example: "a: bool[2] = [0, 1], b: bool[2] = [0, 0] -> [0, 1]",
    ..logical("logical_or", "a or b", &map::ops::OR)
};

/// Just one of the two holds.
XOR = OpDef {
    torch: "torch.logical_xor",
    example: "a: bool[2] = [1, 1], b: bool[2] = [0, 1] -> [1, 0]",
    ..logical("logical_xor", "a ≠ b", &map::ops::NE)
};

/// It does not hold.
NOT = OpDef {
    name: "logical_not",
    formula: "not x",
    shape: "bool[..] -> bool[..]",
    torch: "torch.logical_not",
    example: "x: bool[2] = [0, 1] -> [1, 0]",
    operands: &[Operand::bool("x")],
    body: Body::Map { op: &map::ops::NOT, imm: plain },
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// The first of two values where a condition holds, the second elsewhere; leading axes may be missing.
WHERE = OpDef {
    derivative: "da = dy if cond, else 0; db = 0 if cond, else dy",
    name: "where",
    formula: "a if cond, else b",
    shape: "(cond: bool[..], a [..], b [..]) -> [..]",
    torch: "torch.where",
    example: "cond: bool[2] = [1, 0], a: f32[2] = [1, 2], b: f32[2] = [3, 4] -> [1, 4]",
    operands: CHOICE,
    rule: choice,
    body: Body::Expand(|cx| vec![choose(cx.x(0), cx.x(1), cx.x(2))]),
    ..OpDef::DEFAULT
};

/// A number where a mask holds, the value elsewhere. (A mask of attention is the other way round: true = may be looked
/// at.)
MASKED_FILL = OpDef {
    derivative: "dx = 0 if mask, else dy",
    name: "masked_fill",
    formula: "value if mask, else x",
    shape: "(x [..], mask: bool[..]) -> [..]",
    torch: "Tensor.masked_fill",
    example: "x: f32[2] = [1, 2], mask: bool[2] = [1, 0], value = 9 -> [9, 2]",
    attrs: &[AttrDef::required("value", &[AttrKind::Number], "what is put there")],
    operands: &[Operand::number("x"), Operand::bool("mask")],
    rule: elementwise,
    body: Body::Expand(|cx| vec![filled(cx)]),
    ..OpDef::DEFAULT
};

/// A choice, one instruction.
MAP_SELECT = OpDef {
    name: "map.select",
    operands: CHOICE,
    rule: choice,
    body: Body::Map { op: &map::ops::SELECT, imm: plain },
    gradient: Gradient::Formula(|cx| {
        let none = || number(cx.builder, cx.dy().dtype(), 0.0);
        vec![
            None,
            cx.when(1, || choose(cx.x(0), cx.dy(), none())),
            cx.when(2, || choose(cx.x(0), none(), cx.dy())),
        ]
    }),
    ..OpDef::DEFAULT
};

}
