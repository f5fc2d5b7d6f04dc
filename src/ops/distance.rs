//! Distances and similarities of vectors. Never by a² + b² - 2ab, whose difference cancels.

use super::activation::at_least;
use super::arithmetic::{SQRT, SQUARE};
use super::index::{counted, scattered};
use super::logic::{GT, choose, number};
use super::loss::equal_rows;
use super::parts::part;
use super::statistic::norm;
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind, Domain};
use crate::ir::build::Var;
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{Body, Facts, Misfit, MisfitKind, OpDef, Operand, RuleCx, Why};
use crate::tensor::DType;

const PAIR: &[Operand] = &[Operand::float("a"), Operand::float("b")];
const P: AttrDef =
    AttrDef::new("p", &[AttrKind::Number], AttrDefault::Float(2.0), "the order of the norm; also inf, 0");
const EPS: AttrDef = AttrDef::new("eps", &[AttrKind::Number], AttrDefault::Float(1e-6), "added to each difference")
    .within(Domain::NonNegative);
const KEEP: AttrDef =
    AttrDef::new("keep", &[AttrKind::Bool], AttrDefault::Bool(false), "whether the axis stays with size 1")
        .named()
        .torch("keepdim");

/// The norm of a difference along the last axis.
pub(super) fn distance<'g>(a: Var<'g>, b: Var<'g>, p: f64, eps: f64) -> Var<'g> {
    let rest = a - b;
    let rest = if eps == 0.0 { rest } else { rest + eps };
    norm(rest, p, &[rest.rank() - 1])
}

/// The cosine of two rows, as the loss of that name has it: 1e-12 on both squares.
pub(super) fn cosine_of<'g>(a: Var<'g>, b: Var<'g>) -> Var<'g> {
    let last = [a.rank() - 1];
    let square = |x: Var<'g>| x.op(&SQUARE).sum(&last, false) + 1e-12;
    (a * b).sum(&last, false) / (square(a) * square(b)).op(&SQRT)
}

fn without(cx: &mut RuleCx<'_>, axis: usize, keep: bool) -> Result<(), Misfit> {
    let mut dims = cx.dims(0)?;
    equal_rows(cx, 1, &dims)?;
    if keep {
        dims[axis] = Dims::ONE;
    } else {
        dims.remove(axis);
    }
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &dims);
    Ok(())
}

/// The sizes [.., n, m, d] of all differences.
fn all_pairs(cx: &mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit> {
    let (a, b) = (cx.rank(0, 2, 7)?, cx.rank(1, 2, 7)?);
    let lead = a.len() - 2;
    if b.len() != a.len() {
        let rank = MisfitKind::Rank { least: a.len(), most: a.len() };
        return Err(Misfit { operand: Some(1), ..Misfit::of(rank) });
    }
    for axis in (0..lead).chain([lead + 1]) {
        cx.equal(1, axis, b[axis], a[axis], Why::Leading)?;
    }
    Ok([&a[..lead], &[a[lead], b[lead], a[lead + 1]]].concat())
}

/// The number of pairs of n rows.
fn pairs(dims: &mut Dims, n: Dim) -> Dim {
    let (two, less) = (dims.constant(2), dims.constant(-1));
    let less = dims.add(n, less);
    let twice = dims.mul(n, less);
    dims.floor_div(twice, two)
}

/// Of `[n, n]` what lies right of the diagonal, row by row: each goes to its place, the others to one behind the last.
fn right_of_diagonal<'g>(square: Var<'g>) -> Var<'g> {
    let (plane, builder) = (square.dims(), square.builder);
    let n = plane[0];
    let (count, places) = {
        let table = &mut builder.graph.borrow_mut().shapes.dims;
        let count = pairs(table, n);
        (count, table.add(count, Dims::ONE))
    };
    let whole = |dim: Dim| square.size(dim).to(DType::I64);
    let (i, j) = (counted(builder, n).spread(&plane, &[1]), counted(builder, n).spread(&plane, &[0]));
    // i rows lie above, with n - 1, n - 2, … pairs.
    let above = (i * (whole(n) * 2.0 - i - 1.0)) / 2.0;
    let place = above + (j - i - 1.0);
    let right = j.with(i, &GT, &[]);
    let flat = |x: Var<'g>| x.fold_from(0);
    let (place, value) =
        (choose(right, place, whole(count)), choose(right, square, number(builder, square.dtype(), 0.0)));
    part(scattered(flat(place), flat(value), 0, &[places]), 0, Dims::ZERO, count)
}

ops! { OPS;

/// The cosine of the angle between two vectors along an axis. Each length is kept above eps, and its gradient is then 0
/// (**differs**: PyTorch's flows as if nothing had been done).
COSINE_SIMILARITY = OpDef {
    derivative: "da = dy * (b / (u * v) - y * a / u^2); db = dy * (a / (u * v) - y * b / v^2); u = sqrt(sum(a^2)); v \
        = sqrt(sum(b^2)); a length below eps counts as eps, and is constant",
    name: "cosine_similarity",
    formula: "sum(a b) / (max(|a|, eps) max(|b|, eps))",
    shape: "([.., d, ..], [.., d, ..]) -> [.., ..]",
    torch: "nn.CosineSimilarity",
    example: "a: f32[1, 2] = [3, 4], b: f32[1, 2] = [4, 3] -> 0.96",
    attrs: &[
        AttrDef::new("axis", &[AttrKind::Axis], AttrDefault::Int(1), "along which").torch("dim"),
        AttrDef::new("eps", &[AttrKind::Number], AttrDefault::Float(1e-8), "the smallest length").within(Domain::Positive),
    ],
    operands: PAIR,
    rule: |cx| {
        let rank = cx.dims(0)?.len();
        let axis = cx.axis("axis", rank)?;
        without(cx, axis, false)
    },
    body: Body::Expand(|cx| {
        let axis = [super::parts::axis_of(cx)];
        let eps = cx.attrs.float("eps").unwrap_or(1e-8);
        let length = |index: usize| at_least(norm(cx.x(index), 2.0, &axis), eps);
        vec![(cx.x(0) * cx.x(1)).sum(&axis, false) / (length(0) * length(1))]
    }),
    ..OpDef::DEFAULT
};

/// The distance of two vectors along the last axis; eps is added to each difference.
PAIRWISE_DISTANCE = OpDef {
    derivative: "da = dy * sign(r) * (|r| / y)^(p - 1) if r ≠ 0, else 0; db = -dy * sign(r) * (|r| / y)^(p - 1) if r \
        ≠ 0, else 0; r = a - b + eps",
    name: "pairwise_distance",
    formula: "(sum |a - b + eps|^p)^(1/p)",
    shape: "([.., d], [.., d]) -> [..]",
    torch: "nn.PairwiseDistance",
    example: "a: f32[1, 2] = [3, 4], b: f32[1, 2] = [0, 0], eps = 0 -> 5",
    attrs: &[P, EPS, KEEP],
    operands: PAIR,
    rule: |cx| {
        let dims = cx.rank(0, 1, 8)?;
        let keep = cx.attrs.flag("keep");
        without(cx, dims.len() - 1, keep)
    },
    body: Body::Expand(|cx| {
        let (p, eps) = (cx.attrs.float("p").unwrap_or(2.0), cx.attrs.float("eps").unwrap_or(1e-6));
        let found = distance(cx.x(0), cx.x(1), p, eps);
        let mut dims = found.dims();
        dims.push(Dims::ONE);
        vec![if cx.attrs.flag("keep") { found.reshape(&dims) } else { found }]
    }),
    ..OpDef::DEFAULT
};

/// The distance of every row of a from every row of b; gradient 0 where it is 0. Takes n·m·d numbers of memory.
CDIST = OpDef {
    derivative: "that of each distance: dy_ij * (a_i - b_j) / y_ij for p = 2, summed over the pairs; 0 where a \
        distance is 0",
    name: "cdist",
    formula: "y_ij = (sum_k |a_ik - b_jk|^p)^(1/p)",
    shape: "(a [.., n, d], b [.., m, d]) -> [.., n, m]",
    torch: "torch.cdist",
    example: "a: f32[1, 2] = [3, 4], b: f32[2, 2] = [0, 0, 3, 0] -> [5, 4]",
    attrs: &[P],
    operands: PAIR,
    rule: |cx| {
        let dims = all_pairs(cx)?;
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims[..dims.len() - 1]);
        Ok(())
    },
    facts: Facts { mixes_rows: true, ..Facts::NONE },
    body: Body::Expand(|cx| {
        let dims = super::parts::ask(cx, all_pairs);
        let last = dims.len() - 1;
        let (a, b) = (cx.x(0).spread(&dims, &[last - 1]), cx.x(1).spread(&dims, &[last - 2]));
        vec![distance(a, b, cx.attrs.float("p").unwrap_or(2.0), 0.0)]
    }),
    ..OpDef::DEFAULT
};

/// The distance of every two rows, each pair once: of row 0 to all later ones, of row 1, …; gradient 0 where it is 0.
///
/// It is what lies right of the diagonal of `cdist` of a value with itself, and takes its memory: n·n·d numbers.
PDIST = OpDef {
    name: "pdist",
    formula: "y_(i<j) = (sum_k |x_ik - x_jk|^p)^(1/p)",
    shape: "[n, d] -> [n (n - 1) / 2]",
    torch: "F.pdist",
    example: "x: f32[3, 1] = [1, 3, 8] -> [2, 7, 5]",
    attrs: &[P],
    rule: |cx| {
        let dims = cx.rank(0, 2, 2)?;
        let count = pairs(&mut cx.shapes.dims, dims[0]);
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &[count]);
        Ok(())
    },
    facts: Facts { mixes_rows: true, ..Facts::NONE },
    body: Body::Expand(|cx| {
        let (x, dims) = (cx.x(0), cx.x(0).dims());
        let all = [dims[0], dims[0], dims[1]];
        let square = distance(x.spread(&all, &[1]), x.spread(&all, &[0]), cx.attrs.float("p").unwrap_or(2.0), 0.0);
        vec![right_of_diagonal(square)]
    }),
    ..OpDef::DEFAULT
};

}
