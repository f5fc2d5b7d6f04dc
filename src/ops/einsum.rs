//! Products by letters: einsum, and what it says of one layer, bilinear.
//!
//! Values are taken two at a time, from the left: letters that both have and that nobody needs later are summed by a matrix
//! product, over the letters that both keep as its leading axes. What no product sums is multiplied element by element.

use super::linear::{BMM, MATMUL_2, affine};
use super::parts::ask;
use super::shuffle::DIAGONAL_OP as DIAGONAL;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Init};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    Body, Condition, CostCx, Facts, Misfit, MisfitKind, OpDef, Operand, ParamCx, ParamDef, RuleCx, Why, size_of,
};
use crate::kernels::call::MAX_RANK;

/// An axis: a letter, or the n-th axis of `...`, counted from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Named(char),
    Rest(usize),
}

/// One side of an equation: letters, and where `...` stands among them.
#[derive(Debug)]
struct Side {
    letters: Vec<char>,
    rest: Option<usize>,
}

impl Side {
    fn read(text: &str) -> Result<Side, String> {
        let mut side = Side { letters: vec![], rest: None };
        let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut left = dense.as_str();
        while let Some(first) = left.chars().next() {
            if let Some(behind) = left.strip_prefix("...") {
                if side.rest.replace(side.letters.len()).is_some() {
                    return Err(format!("has `...` twice in `{dense}`"));
                }
                left = behind;
            } else if first.is_alphabetic() {
                side.letters.push(first);
                left = &left[first.len_utf8()..];
            } else {
                return Err(format!("has `{first}`, which is no letter"));
            }
        }
        Ok(side)
    }

    /// Its axes, of a value with so many of `...`.
    fn axes(&self, rest: usize) -> Vec<Letter> {
        let mut axes: Vec<Letter> = self.letters.iter().copied().map(Letter::Named).collect();
        if let Some(at) = self.rest {
            axes.splice(at..at, (0..rest).rev().map(Letter::Rest));
        }
        axes
    }
}

/// An equation read against values.
struct Plan {
    values: Vec<Vec<Letter>>,
    out: Vec<Letter>,
    sizes: Vec<(Letter, Dim)>,
}

impl Plan {
    fn size(&self, letter: Letter) -> Dim {
        self.sizes.iter().find(|(own, _)| *own == letter).map_or(Dims::ONE, |(_, size)| *size)
    }

    fn dims(&self, letters: &[Letter]) -> Vec<Dim> {
        letters.iter().map(|&letter| self.size(letter)).collect()
    }

    /// Letters that the result or a value from number `next` on has.
    fn needed(&self, next: usize, letter: Letter) -> bool {
        self.out.contains(&letter)
            || self.values[next.min(self.values.len())..].iter().any(|value| value.contains(&letter))
    }

    /// The letters of a value alone that nobody else needs.
    fn own(&self, number: usize, letters: &[Letter]) -> Vec<Letter> {
        let elsewhere =
            |letter| self.values.iter().enumerate().any(|(i, value)| i != number && value.contains(&letter));
        letters.iter().copied().filter(|&letter| !self.out.contains(&letter) && !elsewhere(letter)).collect()
    }

    /// A value's letters as they enter the products: each once, those of its own summed.
    fn entering(&self, number: usize) -> Vec<Letter> {
        let mut letters: Vec<Letter> = vec![];
        let all = &self.values[number];
        for (i, &letter) in all.iter().enumerate() {
            // A diagonal is put behind the others.
            if !all[i + 1..].contains(&letter) {
                letters.push(letter);
            }
        }
        let own = self.own(number, &letters);
        letters.retain(|letter| !own.contains(letter));
        letters
    }

    /// What becomes of the letters of two values, before value `next`.
    fn meet(&self, a: &[Letter], b: &[Letter], next: usize) -> Meeting {
        let both = a.iter().copied().filter(|letter| b.contains(letter));
        let (batch, inner) = both.partition(|&letter| self.needed(next, letter));
        let only = |a: &[Letter], b: &[Letter]| a.iter().copied().filter(|letter| !b.contains(letter)).collect();
        Meeting { batch, inner, left: only(a, b), right: only(b, a) }
    }

    /// The meetings in their order.
    fn meetings(&self) -> Vec<Meeting> {
        let mut letters = self.entering(0);
        let mut all = vec![];
        for number in 1..self.values.len() {
            let meeting = self.meet(&letters, &self.entering(number), number + 1);
            letters = meeting.result();
            all.push(meeting);
        }
        all
    }
}

/// The letters of two values that meet.
struct Meeting {
    batch: Vec<Letter>,
    inner: Vec<Letter>,
    left: Vec<Letter>,
    right: Vec<Letter>,
}

impl Meeting {
    fn result(&self) -> Vec<Letter> {
        [&self.batch[..], &self.left, &self.right].concat()
    }

    /// Whether it is a matrix product; else it is multiplied, and what is inner summed.
    fn multiplies(&self) -> bool {
        !self.inner.is_empty() && !(self.left.is_empty() && self.right.is_empty())
    }
}

/// Reads the equation against the shapes.
fn plan(cx: &mut RuleCx<'_>) -> Result<Plan, Misfit> {
    let text = cx.attrs.str("equation").unwrap_or_default().to_string();
    let Some((left, right)) = text.split_once("->") else {
        let once = |c: &char| c.is_alphabetic() && text.matches(*c).count() == 1;
        let mut left: Vec<char> = text.chars().filter(once).collect();
        left.sort_unstable();
        let left: String = left.into_iter().collect();
        return Err(cx.bad_attr("equation", format!("must say which axes are left: `{} -> {left}`", text.trim())));
    };
    let read = |text: &str| Side::read(text);
    let sides: Vec<Side> =
        left.split(',').map(read).collect::<Result<_, _>>().map_err(|clause| cx.bad_attr("equation", clause))?;
    let right = read(right).map_err(|clause| cx.bad_attr("equation", clause))?;
    let values = cx.ins.iter().flatten().count();
    if sides.len() != values {
        let count = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
        let clause = format!(
            "is of {}, and {} in",
            count(sides.len(), "value"),
            match values {
                1 => "1 comes".to_string(),
                n => format!("{n} come"),
            }
        );
        return Err(cx.bad_attr("equation", clause));
    }
    let mut plan = Plan { values: vec![], out: vec![], sizes: vec![] };
    let mut rests = 0;
    for (number, side) in sides.iter().enumerate() {
        let dims = cx.dims(number)?;
        let named = side.letters.len();
        if dims.len() < named || (side.rest.is_none() && dims.len() > named) {
            let letters: String = side.letters.iter().collect();
            let axes = if named == 1 { "1 axis".to_string() } else { format!("{named} axes") };
            let clause = format!("names {axes} of value {} (`{letters}`), which has {}", number + 1, dims.len());
            return Err(Misfit { operand: Some(number), ..cx.bad_attr("equation", clause) });
        }
        rests = rests.max(dims.len() - named);
        let letters = side.axes(dims.len() - named);
        for (axis, (&letter, &size)) in letters.iter().zip(&dims).enumerate() {
            place(cx, &mut plan, (number, axis), letter, size)?;
        }
        plan.values.push(letters);
    }
    plan.out = right.axes(rests);
    answers(cx, &plan, &sides, &right)?;
    let wide = plan.meetings().iter().map(|meeting| meeting.result().len() + meeting.inner.len()).max().unwrap_or(0);
    if wide.max(plan.out.len()) > MAX_RANK {
        return Err(cx.bad_attr("equation", format!("makes a value of more than {MAX_RANK} axes on the way")));
    }
    Ok(plan)
}

/// A letter has one size wherever it stands.
fn place(
    cx: &mut RuleCx<'_>,
    plan: &mut Plan,
    (number, axis): (usize, usize),
    letter: Letter,
    size: Dim,
) -> Result<(), Misfit> {
    let Some(&(_, known)) = plan.sizes.iter().find(|(own, _)| *own == letter) else {
        plan.sizes.push((letter, size));
        return Ok(());
    };
    let name = match letter {
        Letter::Named(name) => format!("`{name}`"),
        Letter::Rest(_) => "an axis of `...`".into(),
    };
    let (first, second) = (cx.shapes.dims.show(known), cx.shapes.dims.show(size));
    let clause = format!("gives {name} two sizes: {first}, and {second} in value {}", number + 1);
    let misfit = Misfit {
        operand: Some(number),
        axis: Some(axis),
        wanted: Some(known),
        found: Some(size),
        ..cx.bad_attr("equation", clause)
    };
    cx.need(Condition::Equal(size, known), misfit)
}

/// What the right side says must come from the left.
fn answers(cx: &RuleCx<'_>, plan: &Plan, sides: &[Side], right: &Side) -> Result<(), Misfit> {
    for (i, name) in right.letters.iter().enumerate() {
        if right.letters[..i].contains(name) {
            return Err(cx.bad_attr("equation", format!("has `{name}` twice on the right")));
        }
        if !plan.sizes.iter().any(|(letter, _)| *letter == Letter::Named(*name)) {
            return Err(cx.bad_attr("equation", format!("has no `{name}` on the left")));
        }
    }
    match (right.rest.is_some(), sides.iter().any(|side| side.rest.is_some())) {
        (true, false) => Err(cx.bad_attr("equation", "has `...` on the right only")),
        (false, true) => Err(cx.bad_attr("equation", "drops `...`: it must be on the right")),
        _ => Ok(()),
    }
}

/// A value as it enters: diagonals taken, letters of its own summed.
fn enter<'g>(plan: &Plan, number: usize, value: Var<'g>) -> Var<'g> {
    let (mut value, mut letters) = (value, plan.values[number].clone());
    while let Some((a, b)) = repeated(&letters) {
        value = value.then(&DIAGONAL, &[("a", Attr::Int(a as i64)), ("b", Attr::Int(b as i64))]);
        let letter = letters.remove(b);
        letters.remove(a);
        letters.push(letter);
    }
    let own = plan.own(number, &letters);
    let axes: Vec<usize> = (0..letters.len()).filter(|&axis| own.contains(&letters[axis])).collect();
    value = value.sum(&axes, false);
    letters.retain(|letter| !own.contains(letter));
    ordered(value, &letters, &plan.entering(number))
}

/// Two places of one letter.
fn repeated(letters: &[Letter]) -> Option<(usize, usize)> {
    (0..letters.len()).find_map(|b| letters[..b].iter().position(|letter| *letter == letters[b]).map(|a| (a, b)))
}

/// The axes in another order of their letters.
fn ordered<'g>(value: Var<'g>, letters: &[Letter], wanted: &[Letter]) -> Var<'g> {
    let at = |letter| letters.iter().position(|own| own == letter).expect("the same letters");
    value.permute(&wanted.iter().map(at).collect::<Vec<_>>())
}

/// Letters joined to one size.
fn joined(value: Var<'_>, plan: &Plan, letters: &[Letter]) -> Dim {
    let dims = plan.dims(letters);
    value.product(&dims)
}

fn product<'g>(
    plan: &Plan,
    meeting: &Meeting,
    (a, la): (Var<'g>, &[Letter]),
    (b, lb): (Var<'g>, &[Letter]),
) -> Var<'g> {
    let Meeting { batch, inner, left, right } = meeting;
    if !meeting.multiplies() {
        let all = [&batch[..], left, right, inner].concat();
        let dims = plan.dims(&all);
        let spread = |value: Var<'g>, letters: &[Letter]| {
            let own: Vec<Letter> = all.iter().copied().filter(|letter| letters.contains(letter)).collect();
            let new: Vec<usize> = (0..all.len()).filter(|&axis| !letters.contains(&all[axis])).collect();
            ordered(value, letters, &own).spread(&dims, &new)
        };
        let summed: Vec<usize> = (all.len() - inner.len()..all.len()).collect();
        return (spread(a, la) * spread(b, lb)).sum(&summed, false);
    }
    let [n, rows, k, columns] = [batch, left, inner, right].map(|letters| joined(a, plan, letters));
    let a = ordered(a, la, &[&batch[..], left, inner].concat());
    let b = ordered(b, lb, &[&batch[..], inner, right].concat());
    let out = if batch.is_empty() {
        a.reshape(&[rows, k]).with(b.reshape(&[k, columns]), &MATMUL_2, &[])
    } else {
        a.reshape(&[n, rows, k]).with(b.reshape(&[n, k, columns]), &BMM, &[])
    };
    out.reshape(&plan.dims(&meeting.result()))
}

fn einsum<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let plan = ask(cx, plan);
    let (mut value, mut letters) = (enter(&plan, 0, cx.x(0)), plan.entering(0));
    for (number, meeting) in (1..).zip(plan.meetings()) {
        value =
            product(&plan, &meeting, (value, &letters), (enter(&plan, number, cx.x(number)), &plan.entering(number)));
        letters = meeting.result();
    }
    vec![ordered(value, &letters, &plan.out)]
}

fn einsum_flops(cx: &mut CostCx<'_>) -> Dim {
    let mut rule = RuleCx::new(cx.shapes, cx.attrs, cx.ins);
    let Ok(plan) = plan(&mut rule) else { return Dims::ZERO };
    let mut all = Dims::ZERO;
    for meeting in plan.meetings().iter().filter(|meeting| meeting.multiplies()) {
        let sizes = plan.dims(&[&meeting.result()[..], &meeting.inner].concat());
        let each = cx.shapes.dims.product(&sizes);
        all = cx.shapes.dims.add(all, each);
    }
    cx.shapes.dims.scale(all, 2)
}

const EQUATION: &[AttrDef] =
    &[AttrDef::required("equation", &[AttrKind::Text], "`\"axes of each value, … -> axes of the result\"`")];

fn bilinear_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let mut dims = cx.rank(0, 1, 7)?;
    let other = cx.dims(1)?;
    if other.len() != dims.len() {
        let rank = MisfitKind::Rank { least: dims.len(), most: dims.len() };
        return Err(Misfit { operand: Some(1), ..Misfit::of(rank) });
    }
    let last = dims.len() - 1;
    for axis in 0..last {
        cx.equal(1, axis, other[axis], dims[axis], Why::Leading)?;
    }
    match cx.attrs.get("in").clone() {
        Attr::None => {}
        Attr::List(pins) if pins.len() == 2 => {
            for (operand, (pin, found)) in pins.iter().zip([dims[last], other[last]]).enumerate() {
                let pinned = size_of(cx.shapes, pin).ok_or_else(|| cx.bad_attr("in", "must be two sizes"))?;
                cx.equal(operand, last, found, pinned, Why::Pin)?;
            }
        }
        _ => return Err(cx.bad_attr("in", "must be two sizes: `[3, 4] -> 5`")),
    }
    dims[last] = cx.size("out").ok_or_else(|| cx.bad_attr("out", "must be given"))?;
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &dims);
    Ok(())
}

fn bilinear_params(cx: &mut ParamCx<'_>) -> Vec<ParamDef> {
    let (Some(&a), Some(&b)) = (cx.dims(0).last(), cx.dims(1).last()) else { return vec![] };
    let Some(out) = size_of(cx.shapes, cx.attrs.get("out")) else { return vec![] };
    let plain = Init::UniformFan(cx.shapes.dims.as_const(a).unwrap_or(1));
    let mut params = vec![ParamDef::weight("weight", &[out, a, b], cx.init("init", plain.clone()))];
    if cx.attrs.flag("bias") {
        params.push(ParamDef::other("bias", &[out], cx.init("bias_init", plain)));
    }
    params
}

ops! { OPS;

/// Products and sums by letters: `(a, b) |> einsum("ij, jk -> ik")` is a matrix product.
///
/// Every axis has a letter; what is not on the right is summed. A letter twice in one value is its diagonal (`"ii -> i"`,
/// the trace is `"ii ->"`); `...` is any number of axes, of which values may lack leading ones. A letter has one size
/// (**differs**: no size 1 is stretched), and `->` must stand (**differs**). Values meet two at a time from the left, so
/// the order in which they are written decides the cost.
EINSUM = OpDef {
    name: "einsum",
    formula: "y[letters on the right] = sum over the others of the product of all values",
    shape: "([..], …) -> [..], as the equation says",
    torch: "torch.einsum",
    example: "a: f32[1, 2] = [1, 2], b: f32[2, 1] = [3, 4], equation = \"ij, jk -> ik\" -> [11]",
    attrs: EQUATION,
    operands: &[Operand::float("x"), Operand::float("more").optional().many()],
    rule: |cx| {
        let plan = plan(cx)?;
        let dims = plan.dims(&plan.out);
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    facts: Facts { mixes_rows: false, ..Facts::NONE },
    body: Body::Expand(einsum),
    flops: Some(einsum_flops),
    ..OpDef::DEFAULT
};

/// A form in two values: every output is a weighted sum of all products of an element of one and one of the other.
///
/// `(q, k) |> bilinear(8)`; `bilinear([3, 4] -> 8)` checks both inputs. The products are one row, and the rest is a linear
/// layer, so it takes a·b numbers of memory a row.
BILINEAR = OpDef {
    name: "bilinear",
    formula: "y_o = sum_ab x1_a weight_oab x2_b + bias_o",
    shape: "(x1 [.., a], x2 [.., b]) -> [.., out]",
    torch: "nn.Bilinear",
    example: "x1: f32[2] = [1, 2], x2: f32[2] = [3, 4], out = 1, bias = false, init = ones -> 21",
    attrs: &[
        AttrDef::required("out", &[AttrKind::Size], "the width of the result; `[a, b] -> out` checks the inputs")
            .torch("out_features"),
        AttrDef::new("bias", &[AttrKind::Bool], AttrDefault::Bool(true), "whether a bias is added"),
        AttrDef::new("init", &[AttrKind::Init], AttrDefault::None, "of the weight").named(),
        AttrDef::new("bias_init", &[AttrKind::Init], AttrDefault::None, "of the bias").named(),
        AttrDef::new("in", &[AttrKind::Shape], AttrDefault::None, "the pinned inputs").named(),
    ],
    operands: &[Operand::float("x1"), Operand::float("x2")],
    rule: bilinear_rule,
    params: bilinear_params,
    body: Body::Expand(|cx| {
        let (x1, x2) = (cx.x(0), cx.x(1));
        let (dims, last) = (x1.dims(), x1.rank() - 1);
        let all = [&dims[..], &[x2.dims()[last]]].concat();
        let rows = (x1.spread(&all, &[last + 1]) * x2.spread(&all, &[last])).fold_from(last);
        let weight = cx.param("weight").expect("a bilinear layer declares its weight").fold_from(1);
        vec![affine(rows, weight, cx.param("bias"))]
    }),
    flops: Some(|cx| {
        let last = |cx: &CostCx<'_>, index: usize| cx.ins[index].and_then(|ty| cx.shapes.dims(ty).last().copied());
        let (Some(a), Some(b)) = (last(cx, 0), last(cx, 1)) else { return Dims::ZERO };
        let count = cx.shapes.count(cx.outs[0]);
        let all = cx.shapes.dims.product(&[count, a, b]);
        cx.shapes.dims.scale(all, 2)
    }),
    ..OpDef::DEFAULT
};

}
