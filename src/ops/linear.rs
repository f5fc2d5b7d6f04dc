//! Linear algebra: linear layers, matrix products, the tied output.

use super::reduce::bare;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Domain, Init};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{Body, CostCx, Gradient, Misfit, MisfitKind, OpDef, Operand, ParamCx, ParamDef, RuleCx, Why};
use crate::kernels::gemm;

const LINEAR_ATTRS: &[AttrDef] = &[
    AttrDef::required("out", &[AttrKind::Size], "the width of the result; `in -> out` checks the input")
        .torch("out_features"),
    AttrDef::new("bias", &[AttrKind::Bool], AttrDefault::Bool(true), "whether a bias is added"),
    AttrDef::new("gain", &[AttrKind::Number], AttrDefault::None, "1: stand aside from deep norm's initial gain")
        .within(Domain::Unit)
        .named(),
    AttrDef::new("init", &[AttrKind::Init], AttrDefault::None, "of the weight").named(),
    AttrDef::new("bias_init", &[AttrKind::Init], AttrDefault::None, "of the bias").named(),
    AttrDef::new("rank", &[AttrKind::Size], AttrDefault::None, "two factors of this rank in place of one matrix")
        .named(),
    super::reparam::REPARAM,
    AttrDef::new("in", &[AttrKind::Size], AttrDefault::None, "the pinned input").named().torch("in_features"),
];

/// The pinned input width must be the one that flows in.
pub(super) fn check_pin(cx: &mut RuleCx<'_>, axis: usize, found: Dim) -> Result<(), Misfit> {
    match cx.size("in") {
        Some(pinned) => cx.equal(0, axis, found, pinned, Why::Pin),
        None => Ok(()),
    }
}

fn linear_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let mut dims = cx.rank(0, 1, 7)?;
    let last = dims.len() - 1;
    check_pin(cx, last, dims[last])?;
    if *cx.attrs.get("reparam") != Attr::None && *cx.attrs.get("rank") != Attr::None {
        return Err(
            cx.bad_attr("reparam", "is of one weight, and `rank` makes two factors of it: leave one of both out")
        );
    }
    dims[last] = cx.size("out").ok_or_else(|| cx.bad_attr("out", "must be given"))?;
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &dims);
    Ok(())
}

/// PyTorch's default for linear and convolution: U(±1/sqrt(fan_in)); in a deep stack Xavier-normal with its gain.
pub(super) fn weight_init(cx: &ParamCx<'_>, fan_in: Option<i64>) -> Init {
    let default = match cx.gain {
        Some(gain) if *cx.attrs.get("gain") == Attr::None => Init::XavierNormal(gain),
        _ => Init::UniformFan(fan_in.unwrap_or(1)),
    };
    cx.init("init", default)
}

/// Biases are 0 in a deep stack.
pub(super) fn bias_init(cx: &ParamCx<'_>, fan_in: Option<i64>) -> Init {
    let deep = cx.gain.is_some() && *cx.attrs.get("gain") == Attr::None;
    cx.init("bias_init", if deep { Init::Zeros } else { Init::UniformFan(fan_in.unwrap_or(1)) })
}

fn linear_params(cx: &mut ParamCx<'_>) -> Vec<ParamDef> {
    let (Some(&input), Some(out)) = (cx.dims(0).last(), crate::ir::op::size_of(cx.shapes, cx.attrs.get("out"))) else {
        return vec![];
    };
    let fan = cx.shapes.dims.as_const(input);
    let mut params = vec![];
    let mut bias_fan = fan;
    match crate::ir::op::size_of(cx.shapes, cx.attrs.get("rank")) {
        None => {
            let init = weight_init(cx, fan);
            params.extend(super::reparam::weight_params(cx, &[out, input], init, 0));
        }
        Some(rank) => {
            bias_fan = cx.shapes.dims.as_const(rank);
            params.push(ParamDef::weight("down.weight", &[rank, input], weight_init(cx, fan)));
            params.push(ParamDef::weight("up.weight", &[out, rank], weight_init(cx, bias_fan)));
        }
    }
    if cx.attrs.flag("bias") {
        let name = if *cx.attrs.get("rank") == Attr::None { "bias" } else { "up.bias" };
        params.push(ParamDef::other(name, &[out], bias_init(cx, bias_fan)));
    }
    params
}

/// `x · wᵀ + b` as one node.
pub(super) fn affine<'g>(x: Var<'g>, weight: Var<'g>, bias: Option<Var<'g>>) -> Var<'g> {
    let attrs = crate::ir::attr::Attrs::new(&[], vec![]);
    x.builder.apply(&AFFINE, attrs, &[Some(x), Some(weight), bias])[0]
}

fn linear<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let need = |name: &str| cx.param(name).expect("a linear layer declares its parameters");
    if *cx.attrs.get("rank") != Attr::None {
        let low = affine(cx.x(0), need("down.weight"), None);
        return vec![affine(low, need("up.weight"), cx.param("up.bias"))];
    }
    vec![affine(cx.x(0), super::reparam::weight(cx, 0), cx.param("bias"))]
}

fn affine_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let mut dims = cx.rank(0, 1, 7)?;
    let weight = cx.rank(1, 2, 2)?;
    let last = dims.len() - 1;
    cx.equal(0, last, dims[last], weight[1], Why::Inner)?;
    dims[last] = weight[0];
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &dims);
    Ok(())
}

fn affine_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let dy = cx.dy();
    let rows = || dy.as_rows();
    vec![
        cx.when(0, || affine(dy, cx.x(1).t(), None)),
        cx.when(1, || rows().t().with(cx.x(0).as_rows(), &MATMUL_2, &[])),
        cx.when(2, || rows().sum(&[0], false)),
    ]
}

/// Twice the product of the result's size and the inner size.
fn product_flops(cx: &mut CostCx<'_>, inner: impl Fn(&[Dim]) -> Dim) -> Dim {
    let count = cx.shapes.count(cx.outs[0]);
    let dims = cx.ins[0].map_or(vec![], |ty| cx.shapes.dims(ty).to_vec());
    let twice = cx.shapes.dims.scale(count, 2);
    let inner = inner(&dims);
    cx.shapes.dims.mul(twice, inner)
}

fn last_flops(cx: &mut CostCx<'_>) -> Dim {
    product_flops(cx, |dims| dims.last().copied().unwrap_or(crate::ir::dim::Dims::ONE))
}

/// One product, or the two of low rank.
fn linear_flops(cx: &mut CostCx<'_>) -> Dim {
    let Some(rank) = crate::ir::op::size_of(cx.shapes, cx.attrs.get("rank")) else { return last_flops(cx) };
    let (ins, outs) = (cx.ins[0].map_or(vec![], |ty| cx.shapes.dims(ty).to_vec()), cx.shapes.dims(cx.outs[0]).to_vec());
    let (Some((&input, rows)), Some(&out)) = (ins.split_last(), outs.last()) else { return Dims::ZERO };
    let table = &mut cx.shapes.dims;
    let (rows, widths) = (table.product(rows), table.add(input, out));
    let product = table.product(&[rows, rank, widths]);
    table.scale(product, 2)
}

/// The leading (batch) axes of a product, broadcast as in NumPy, and both operands spread to them.
fn broadcast_leading(cx: &mut RuleCx<'_>, a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, Misfit> {
    let (lead_a, lead_b) = (&a[..a.len() - 2], &b[..b.len() - 2]);
    let rank = lead_a.len().max(lead_b.len());
    let mut lead = vec![];
    for i in 0..rank {
        let at = |lead: &[Dim]| (i + lead.len()).checked_sub(rank).map(|i| lead[i]);
        lead.push(match (at(lead_a), at(lead_b)) {
            (Some(x), Some(y)) if x == y => x,
            (Some(x), Some(crate::ir::dim::Dims::ONE)) | (Some(x), None) => x,
            (Some(crate::ir::dim::Dims::ONE), Some(y)) | (None, Some(y)) => y,
            (Some(x), Some(y)) => {
                cx.equal(1, i + lead_b.len() - rank, y, x, Why::Leading)?;
                x
            }
            (None, None) => unreachable!("one of the two has this axis"),
        });
    }
    Ok(lead)
}

/// Both shapes as matrices, rank-1 operands as a row and a column.
fn matrices(a: &[Dim], b: &[Dim], transposed: bool) -> (Vec<Dim>, Vec<Dim>) {
    let one = crate::ir::dim::Dims::ONE;
    let a = if a.len() == 1 { vec![one, a[0]] } else { a.to_vec() };
    let b = match (b.len(), transposed) {
        (1, true) => vec![one, b[0]],
        (1, false) => vec![b[0], one],
        _ => b.to_vec(),
    };
    (a, b)
}

fn matmul_rule(cx: &mut RuleCx<'_>, transposed: bool) -> Result<(), Misfit> {
    let (left, right) = (cx.rank(0, 1, 7)?, cx.rank(1, 1, 7)?);
    let (a, b) = matrices(&left, &right, transposed);
    let (n, m) = (a.len(), b.len());
    let (inner, width) = if transposed { (m - 1, m - 2) } else { (m - 2, m - 1) };
    let inner_axis = if right.len() == 1 { 0 } else { inner };
    cx.equal(1, inner_axis, b[inner], a[n - 1], Why::Inner)?;
    let mut out = broadcast_leading(cx, &a, &b)?;
    if left.len() > 1 {
        out.push(a[n - 2]);
    }
    if right.len() > 1 {
        out.push(b[width]);
    }
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &out);
    Ok(())
}

fn spread_leading<'g>(x: Var<'g>, lead: &[Dim]) -> Var<'g> {
    let dims = x.dims();
    let own = dims.len() - 2;
    let shape: Vec<Dim> = lead.iter().copied().chain(dims[own..].iter().copied()).collect();
    // Axes of size 1 that meet a larger one are dropped, then all missing ones are spread.
    let stretched = |i: usize| i + own < lead.len() || dims[i + own - lead.len()] != lead[i];
    let axes: Vec<usize> = (0..lead.len()).filter(|&i| stretched(i)).collect();
    let kept: Vec<Dim> = (0..shape.len()).filter(|i| !axes.contains(i)).map(|i| shape[i]).collect();
    x.reshape(&kept).spread(&shape, &axes)
}

fn matmul<'g>(cx: &mut ExpandCx<'_, 'g>, transposed: bool) -> Vec<Var<'g>> {
    let (left, right) = (cx.x(0).dims(), cx.x(1).dims());
    let (a, b) = matrices(&left, &right, transposed);
    let (x, y) = (cx.x(0).reshape(&a), cx.x(1).reshape(&b));
    let y = if transposed { y.t() } else { y };
    let product = match (a.len(), b.len()) {
        (2, 2) => x.with(y, &MATMUL_2, &[]),
        (_, 2) => affine(x, y.t(), None),
        _ => {
            let lead = lead_of(&a, &b);
            spread_leading(x, &lead).with(spread_leading(y, &lead), &BMM, &[])
        }
    };
    let mut out = product.dims();
    if right.len() == 1 {
        out.pop();
    }
    if left.len() == 1 {
        out.remove(out.len() - usize::from(right.len() > 1) - 1);
    }
    vec![product.reshape(&out)]
}

/// The broadcast leading axes, for shapes that the rule has accepted.
fn lead_of(a: &[Dim], b: &[Dim]) -> Vec<Dim> {
    let (a, b) = (&a[..a.len() - 2], &b[..b.len() - 2]);
    let rank = a.len().max(b.len());
    let at = |lead: &[Dim], i: usize| (i + lead.len()).checked_sub(rank).map(|i| lead[i]);
    let wider = |i| match (at(a, i), at(b, i)) {
        (Some(crate::ir::dim::Dims::ONE), Some(y)) | (None, Some(y)) => y,
        (Some(x), _) => x,
        (None, None) => crate::ir::dim::Dims::ONE,
    };
    (0..rank).map(wider).collect()
}

const A_B: &[Operand] = &[Operand::float("a"), Operand::float("b")];

const UNEMBED_ATTRS: &[AttrDef] = &[
    AttrDef::required("table", &[AttrKind::Layer], "the declared embedding whose transpose it is"),
    AttrDef::new("bias", &[AttrKind::Bool], AttrDefault::Bool(false), "whether a bias is added"),
    AttrDef::new("vocab", &[AttrKind::Size], AttrDefault::None, "rows of the table; filled in from it").named(),
    AttrDef::new("d", &[AttrKind::Size], AttrDefault::None, "width of the table; filled in from it").named(),
];

ops! { OPS;

/// Every output is a weighted sum of all inputs, plus a bias.
///
/// `linear(256)` infers its input; `linear(784 -> 256)` checks it; `linear(out, rank = r)` is two factors.
///
/// `reparam = "weight_norm"` makes the weight of a length for each output, `weight_g`, and a direction, `weight_v` (Salimans
/// and Kingma 2016); `"spectral_norm"` divides `weight_orig` by its largest singular value, which a step of power iteration
/// follows in training, in the running vectors `weight_u` and `weight_v` (Miyato et al. 2018).
LINEAR = OpDef {
    derivative: "dx = dy · weight; dweight = dyᵀ · x; the bias gets the sum of dy over all rows",
    name: "linear",
    formula: "x · weightᵀ + bias",
    shape: "[.., in] -> [.., out]",
    torch: "nn.Linear",
    example: "x: f32[2] = [1, 2], out = 1, bias = false, init = constant(0.5) -> [1.5]",
    attrs: LINEAR_ATTRS,
    rule: linear_rule,
    params: linear_params,
    body: Body::Expand(linear),
    flops: Some(linear_flops),
    ..OpDef::DEFAULT
};

/// The matrix product of two values; leading axes broadcast as in NumPy, from 1 too, and so do vectors.
MATMUL = OpDef {
    derivative: "da = dy · bᵀ; db = aᵀ · dy; summed over leading axes that were broadcast",
    name: "matmul",
    formula: "y_ij = sum_k a_ik b_kj",
    shape: "(a [.., n, k], b [.., k, m]) -> [.., n, m]",
    torch: "torch.matmul",
    example: "a: f32[1, 2] = [1, 2], b: f32[2, 1] = [3, 4] -> [11]",
    operands: A_B,
    rule: |cx| matmul_rule(cx, false),
    body: Body::Expand(|cx| matmul(cx, false)),
    flops: Some(last_flops),
    ..OpDef::DEFAULT
};

/// The matrix product with the second value transposed: all dot products of rows.
MATMUL_NT = OpDef {
    derivative: "da = dy · b; db = dyᵀ · a",
    name: "matmul_nt",
    formula: "y_ij = sum_k a_ik b_jk",
    shape: "(a [.., n, k], b [.., m, k]) -> [.., n, m]",
    torch: "a @ b.mT",
    example: "a: f32[1, 2] = [1, 2], b: f32[1, 2] = [3, 4] -> [11]",
    operands: A_B,
    rule: |cx| matmul_rule(cx, true),
    body: Body::Expand(|cx| matmul(cx, true)),
    flops: Some(last_flops),
    ..OpDef::DEFAULT
};

/// The tied transpose of a declared embedding: logits over its vocabulary, without parameters of their own.
UNEMBED = OpDef {
    derivative: "x gets dy · weight; the tied table gets dyᵀ · x, added to what comes from its lookups; the bias the \
        sum of dy over rows",
    name: "unembed",
    formula: "x · weightᵀ (+ bias)",
    shape: "[.., d] -> [.., vocab]",
    source: "Press and Wolf 2016",
    example: "x: f32[2] = [3, 4], table = embedding(2, 2, init = eye) -> [3, 4]",
    attrs: UNEMBED_ATTRS,
    rule: |cx| {
        let mut dims = cx.rank(0, 1, 7)?;
        let last = dims.len() - 1;
        let (Some(vocab), Some(d)) = (cx.size("vocab"), cx.size("d")) else {
            return Err(cx.bad_attr("table", "must be a declared embedding"));
        };
        cx.equal(0, last, dims[last], d, Why::Table)?;
        dims[last] = vocab;
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    params: |cx| {
        let vocab = crate::ir::op::size_of(cx.shapes, cx.attrs.get("vocab"));
        let bias = vocab.filter(|_| cx.attrs.flag("bias"));
        bias.map(|vocab| ParamDef::other("bias", &[vocab], cx.init("bias_init", Init::Zeros))).into_iter().collect()
    },
    body: Body::Expand(|cx| {
        let table = cx.param("table.weight").expect("expand hands the table of a tied output over");
        vec![affine(cx.x(0), table, cx.param("bias"))]
    }),
    flops: Some(last_flops),
    ..OpDef::DEFAULT
};

/// `x · wᵀ + b` over any leading axes.
AFFINE = OpDef {
    name: "linear.affine",
    operands: &[Operand::float("x"), Operand::float("weight"), Operand::float("bias").optional()],
    rule: affine_rule,
    body: bare(&gemm::LINEAR),
    gradient: Gradient::Formula(affine_gradient),
    flops: Some(last_flops),
    ..OpDef::DEFAULT
};

/// A matrix product of two matrices.
MATMUL_2 = OpDef {
    name: "linear.matmul",
    operands: A_B,
    rule: |cx| {
        let (a, b) = (cx.rank(0, 2, 2)?, cx.rank(1, 2, 2)?);
        cx.equal(1, 0, b[0], a[1], Why::Inner)?;
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &[a[0], b[1]]);
        Ok(())
    },
    body: bare(&gemm::MATMUL),
    gradient: Gradient::Formula(|cx| {
        let (a, b) = (cx.x(0), cx.x(1));
        vec![cx.when(0, || cx.dy().with(b.t(), &MATMUL_2, &[])), cx.when(1, || a.t().with(cx.dy(), &MATMUL_2, &[]))]
    }),
    flops: Some(last_flops),
    ..OpDef::DEFAULT
};

/// Matrix products over equal leading axes.
BMM = OpDef {
    name: "linear.bmm",
    operands: A_B,
    rule: |cx| {
        let (a, b) = (cx.rank(0, 3, 8)?, cx.rank(1, 3, 8)?);
        if a.len() != b.len() {
            return Err(Misfit { operand: Some(1), ..Misfit::of(MisfitKind::Shapes) });
        }
        let n = a.len();
        cx.equal(1, n - 2, b[n - 2], a[n - 1], Why::Inner)?;
        let mut out = a[..n - 1].to_vec();
        out.push(b[n - 1]);
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &out);
        Ok(())
    },
    body: bare(&gemm::BMM),
    gradient: Gradient::Formula(|cx| {
        let (a, b) = (cx.x(0), cx.x(1));
        vec![cx.when(0, || cx.dy().with(b.t(), &BMM, &[])), cx.when(1, || a.t().with(cx.dy(), &BMM, &[]))]
    }),
    flops: Some(last_flops),
    ..OpDef::DEFAULT
};

}
