//! Variance, norms, counts and the logarithm of a sum of exponentials, over axes.

use super::activation::at_least;
use super::arithmetic::{ABS, DETACH, EXP, LOG, SQUARE};
use super::extreme::{kept, largest, smallest};
use super::function::{INF_TO, MAP_EQ, ROOT, nan_to, size_power, with_numbers};
use super::reduce::{AXES, AXIS, SOFTMAX, along_rule, axes_of, reduce_rule};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::Dim;
use crate::ir::op::{Body, Condition, Facts, Gradient, Misfit, OpDef, Operand, RuleCx};
use crate::kernels::float::Float;
use crate::tensor::DType;

const CORRECTION: AttrDef = AttrDef::new(
    "correction",
    &[AttrKind::Number],
    AttrDefault::Float(1.0),
    "taken from the number of elements that divides; 0: of the elements themselves",
)
.named();
const DEVIATION: &[AttrDef] = &[AXES[0], AXES[1], CORRECTION];
const ORDER: &[AttrDef] = &[
    AttrDef::new("p", &[AttrKind::Number], AttrDefault::Float(2.0), "the order; also inf, -inf, 0").torch("ord"),
    AXES[0],
    AXES[1],
];
const COUNTED: &[AttrDef] = &[AXES[0]];
const MIXES: Facts = Facts { mixes_rows: true, ..Facts::NONE };

const fn over_axes(name: &'static str, formula: &'static str) -> OpDef {
    let shape = "[..] -> [..] without axis";
    OpDef { name, formula, shape, attrs: AXES, rule: |cx| reduce_rule(cx, "axis"), facts: MIXES, ..OpDef::DEFAULT }
}

/// The variance over axes, in two passes: the mean, then the squares of what is left.
pub(super) fn variance<'g>(x: Var<'g>, axes: &[usize], correction: f64) -> Var<'g> {
    let dims = x.dims();
    let sizes: Vec<Dim> = axes.iter().map(|&axis| dims[axis]).collect();
    let count = x.size(x.product(&sizes));
    let rest = x - x.mean(axes, false).spread(&dims, axes);
    let squares = rest.op(&SQUARE).sum(axes, false);
    squares / if correction == 0.0 { count } else { at_least(count - correction, 0.0) }
}

/// There must be more elements than the correction takes away.
fn deviation_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.dims(0)?;
    let axes = cx.axes("axis", dims.len())?;
    let sizes: Vec<Dim> = axes.iter().map(|&axis| dims[axis]).collect();
    let count = cx.shapes.dims.product(&sizes);
    let least = Float::floor(cx.attrs.float("correction").unwrap_or(1.0)) as i64 + 1;
    let least = cx.shapes.dims.constant(least);
    let shown = cx.shapes.dims.show(count);
    let misfit = cx.bad_attr("correction", format!("must be smaller than the number of elements, which is {shown}"));
    cx.need(Condition::AtLeast(count, least), misfit)?;
    reduce_rule(cx, "axis")
}

fn deviation<'g>(cx: &ExpandCx<'_, 'g>, root: bool) -> Vec<Var<'g>> {
    let axes = axes_of(cx, "axis");
    let var = variance(cx.x(0), &axes, cx.attrs.float("correction").unwrap_or(1.0));
    vec![kept(cx, if root { var.op(&ROOT) } else { var }, &axes)]
}

/// The norm of order p over axes; its gradient at 0 is 0.
pub(super) fn norm<'g>(x: Var<'g>, p: f64, axes: &[usize]) -> Var<'g> {
    match p {
        2.0 => x.op(&SQUARE).sum(axes, false).op(&ROOT),
        1.0 => x.op(&ABS).sum(axes, false),
        0.0 => (1.0 - x.then(&MAP_EQ, &[("value", Attr::Float(0.0))])).sum(axes, false),
        f64::INFINITY => largest(x.op(&ABS), axes),
        f64::NEG_INFINITY => smallest(x.op(&ABS), axes),
        p => size_power(size_power(x, p).sum(axes, false), 1.0 / p),
    }
}

/// ln of the sum of exponentials, the largest set apart.
pub(super) fn logsumexp<'g>(x: Var<'g>, axes: &[usize]) -> Var<'g> {
    let dims = x.dims();
    let largest = with_numbers(largest(x, axes).op(&DETACH), &INF_TO, [0.0, 0.0]);
    let rest = x - largest.spread(&dims, axes);
    rest.op(&EXP).sum(axes, false).op(&LOG) + largest
}

ops! { OPS;

/// The variance over axes, by default unbiased (divided by n - 1); in two passes, so that a large mean costs no digits.
///
/// **Careful**: norms divide by n (`correction = 0`).
VAR = OpDef {
    derivative: "dx = 2 * dy * (x - mean(x)) / (n - correction)",
    torch: "torch.var",
    example: "x: f32[3] = [1, 2, 6] -> 7",
    attrs: DEVIATION,
    rule: deviation_rule,
    body: Body::Expand(|cx| deviation(cx, false)),
    ..over_axes("var", "sum (x - mean)^2 / (n - correction)")
};

/// The standard deviation over axes: the root of `var`. Its gradient is 0 where the deviation is.
STD = OpDef {
    derivative: "dx = dy * (x - mean(x)) / (y * (n - correction)) if y > 0, else 0",
    torch: "torch.std",
    example: "x: f32[3] = [1, 2, 6] -> 2.6457512",
    attrs: DEVIATION,
    rule: deviation_rule,
    body: Body::Expand(|cx| deviation(cx, true)),
    ..over_axes("std", "sqrt(sum (x - mean)^2 / (n - correction))")
};

/// The norm of order p over axes: 2 the Euclidean length, 1 the sum of sizes, inf the largest size, 0 the number of
/// elements that are not 0. Its gradient at 0 is 0.
NORM = OpDef {
    derivative: "dx = dy * sign(x) * (|x| / y)^(p - 1) if x ≠ 0, else 0; p = inf: to the largest in size, equals \
        sharing it; p = 0: none",
    torch: "torch.linalg.vector_norm",
    example: "x: f32[2] = [3, 4] -> 5",
    attrs: ORDER,
    facts: Facts { kinks: &[0.0], ..MIXES },
    body: Body::Expand(|cx| {
        let axes = axes_of(cx, "axis");
        vec![kept(cx, norm(cx.x(0), cx.attrs.float("p").unwrap_or(2.0), &axes), &axes)]
    }),
    ..over_axes("norm", "(sum |x|^p)^(1/p)")
};

/// The logarithm of the sum of exponentials over axes, without overflow: a smooth maximum. Its gradient is softmax.
LOGSUMEXP = OpDef {
    derivative: "dx = dy * e^(x - y); that is dy * softmax(x)",
    torch: "torch.logsumexp",
    example: "x: f32[2] = [0, 0] -> 0.6931472",
    rule: |cx| {
        let dims = cx.dims(0)?;
        for axis in cx.axes("axis", dims.len())? {
            cx.at_least(0, axis, dims[axis], crate::ir::dim::Dims::ONE, crate::ir::op::Why::Other)?;
        }
        reduce_rule(cx, "axis")
    },
    body: Body::Expand(|cx| {
        let axes = axes_of(cx, "axis");
        vec![kept(cx, logsumexp(cx.x(0), &axes), &axes)]
    }),
    ..over_axes("logsumexp", "ln sum_i e^x_i")
};

/// The sum over axes of what is a number; not-a-number counts as 0, and nothing flows back to it.
NANSUM = OpDef {
    derivative: "dx = dy if x = x, else 0",
    torch: "torch.nansum",
    example: "x: f32[3] = [1, nan, 3] -> 4",
    body: Body::Expand(|cx| vec![nan_to(cx.x(0), 0.0).sum(&axes_of(cx, "axis"), cx.attrs.flag("keep"))]),
    ..over_axes("nansum", "sum of x_i that are numbers")
};

/// How many elements are not 0, over axes.
COUNT_NONZERO = OpDef {
    torch: "torch.count_nonzero",
    shape: "[..] -> i64[..] without axis",
    example: "x: f32[3] = [1, 0, 3] -> 2",
    attrs: COUNTED,
    operands: &[Operand::any("x")],
    rule: |cx| { reduce_rule(cx, "axis")?; cx.outs[0].dtype = DType::I64; Ok(()) },
    gradient: Gradient::Zero,
    body: Body::Expand(|cx| {
        let ones = cx.x(0).to(DType::Bool).to(DType::F64);
        vec![ones.sum(&axes_of(cx, "axis"), false).to(DType::I64)]
    }),
    ..over_axes("count_nonzero", "sum [x_i ≠ 0]")
};

/// Softmax of -x: small values weigh most.
SOFTMIN = OpDef {
    derivative: "dx = -y * (dy - sum(dy * y)); sums along the axis",
    name: "softmin",
    formula: "softmax(-x)",
    torch: "nn.Softmin",
    example: "x: f32[3] = [1, 2, 3] -> [0.66524094, 0.24472848, 0.09003057]",
    attrs: AXIS,
    rule: along_rule,
    body: Body::Expand(|cx| {
        let attrs = Attrs::with(SOFTMAX.attrs, &[("axis", cx.attrs.get("axis").clone())]);
        vec![cx.builder.one(&SOFTMAX, attrs, &[-cx.x(0)])]
    }),
    ..OpDef::DEFAULT
};

}
