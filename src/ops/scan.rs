//! Running sums, products and extremes along an axis.

use super::index::scattered;
use super::reduce::{AXIS, along, along_rule};
use crate::ir::attr::Attr;
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::op::{ArgsCx, Body, Facts, Gradient, Misfit, OpDef, Operand, Output, RuleCx, same_as_first};
use crate::kernels::call::{Args, Kernel};
use crate::kernels::scan;
use crate::tensor::DType;

const BOTH: &[Output] = &[Output::main("values"), Output::main("indices")];
const X_Y_DY: &[Operand] = &[Operand::float("x"), Operand::float("y"), Operand::float("dy")];
const WAY: &[AttrDef] = &[
    AttrDef::new("backwards", &[AttrKind::Bool], AttrDefault::Bool(false), "whether from the end"),
    AttrDef::new("exclusive", &[AttrKind::Bool], AttrDefault::Bool(false), "whether without the element itself"),
];

const OTHERS: &[AttrDef] = &[WAY[0], AttrDef { default: AttrDefault::Bool(true), ..WAY[1] }];

fn way(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.ints[0] = i32::from(cx.attrs.flag("backwards"));
    args.ints[1] = i32::from(cx.attrs.flag("exclusive"));
    args
}

/// An operator with two outputs along an axis, made of a primitive along the last.
pub(super) fn both_along<'g>(cx: &ExpandCx<'_, 'g>, last: &'static OpDef, given: &[(&str, Attr)]) -> Vec<Var<'g>> {
    let axis = super::parts::axis_of(cx);
    let attrs = crate::ir::attr::Attrs::with(last.attrs, given);
    let both = cx.builder.apply(last, attrs, &[Some(cx.x(0).axis_last(axis))]);
    both.into_iter().map(|value| value.last_to(axis)).collect()
}

/// Values, and indices of the same shape.
pub(super) fn with_indices(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    same_as_first(cx)?;
    let indices = crate::ir::shape::Type { dtype: DType::I64, ..cx.outs[0] };
    cx.out(indices);
    Ok(())
}

/// Along the last axis, all gradient to where the values come from.
pub(super) fn to_indices<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let dims = cx.x(0).dims();
    vec![Some(scattered(cx.y(1), cx.dy(), dims.len() - 1, &dims))]
}

const fn running(name: &'static str, formula: &'static str) -> OpDef {
    OpDef { name, formula, attrs: AXIS, rule: along_rule, ..OpDef::DEFAULT }
}

const fn last(name: &'static str, kernel: &'static Kernel) -> OpDef {
    OpDef { name, attrs: WAY, body: Body::Kernel { kernel, args: way }, gradient: Gradient::Zero, ..OpDef::DEFAULT }
}

const fn extremes(name: &'static str, kernel: &'static Kernel) -> OpDef {
    OpDef {
        name,
        outputs: BOTH,
        rule: with_indices,
        body: super::reduce::bare(kernel),
        gradient: Gradient::Formula(to_indices),
        ..OpDef::DEFAULT
    }
}

ops! { OPS;

/// Running sums along an axis, one after another.
CUMSUM = OpDef {
    derivative: "dx = suffix_sum(dy); dx_i = dy_i + dy_(i + 1) + …",
    torch: "torch.cumsum",
    example: "x: f32[3] = [1, 2, 3] -> [1, 3, 6]",
    body: Body::Expand(|cx| along(cx, &CUMSUM_LAST)),
    ..running("cumsum", "y_i = x_0 + … + x_i")
};

/// Running products along an axis, one after another. Zeros do not spoil its gradient.
CUMPROD = OpDef {
    derivative: "dx_i = sum_(j >= i) dy_j * x_0 * … * x_j without x_i, which zeros do not spoil",
    torch: "torch.cumprod",
    example: "x: f32[3] = [1, 2, 3] -> [1, 2, 6]",
    // A product of many large numbers is no float any more.
    facts: Facts { domain: (-4.0, 4.0), ..Facts::NONE },
    body: Body::Expand(|cx| along(cx, &CUMPROD_LAST)),
    ..running("cumprod", "y_i = x_0 * … * x_i")
};

/// The logarithm of running sums of exponentials along an axis, without overflow.
LOGCUMSUMEXP = OpDef {
    derivative: "dx = e^x * suffix_sum(dy * e^-y); dx_i = sum_(j >= i) dy_j e^(x_i - y_j)",
    torch: "torch.logcumsumexp",
    example: "x: f32[2] = [0, 0] -> [0, 0.6931472]",
    body: Body::Expand(|cx| along(cx, &LOGCUMSUMEXP_LAST)),
    ..running("logcumsumexp", "y_i = ln(e^x_0 + … + e^x_i)")
};

/// The largest so far along an axis, and where it is: of equals the last. Not-a-number wins from where it stands.
CUMMAX = OpDef {
    derivative: "each dy_i goes to the element that was the largest up to i: of equals the last",
    torch: "torch.cummax",
    example: "x: f32[3] = [2, 1, 3] -> [2, 2, 3]",
    outputs: BOTH,
    rule: |cx| { along_rule(cx)?; cx.outs.clear(); with_indices(cx) },
    body: Body::Expand(|cx| both_along(cx, &CUMMAX_LAST, &[])),
    ..running("cummax", "y_i = max(x_0, …, x_i)")
};

/// The smallest so far along an axis, and where it is: of equals the last. Not-a-number wins from where it stands.
CUMMIN = OpDef {
    derivative: "each dy_i goes to the element that was the smallest up to i: of equals the last",
    torch: "torch.cummin",
    example: "x: f32[3] = [2, 3, 1] -> [2, 2, 1]",
    outputs: BOTH,
    rule: |cx| { along_rule(cx)?; cx.outs.clear(); with_indices(cx) },
    body: Body::Expand(|cx| both_along(cx, &CUMMIN_LAST, &[])),
    ..running("cummin", "y_i = min(x_0, …, x_i)")
};

/// Running sums along the last axis.
CUMSUM_LAST = OpDef {
    gradient: Gradient::Formula(|cx| {
        let way = [("backwards", Attr::Bool(!cx.attrs.flag("backwards"))), ("exclusive", cx.attrs.get("exclusive").clone())];
        vec![Some(cx.dy().then(&CUMSUM_LAST, &way))]
    }),
    ..last("scan.sum", &scan::CUMSUM)
};

/// Running products along the last axis.
CUMPROD_LAST = OpDef {
    gradient: Gradient::Formula(|cx| vec![Some(cx.builder.one(&CUMPROD_GRAD, no_attrs(), &[cx.x(0), cx.y(0), cx.dy()]))]),
    ..last("scan.prod", &scan::CUMPROD)
};

/// Running products without the element itself: for the gradient of a product.
PRODUCT_OF_OTHERS = OpDef {
    attrs: OTHERS,
    ..last("scan.prod_exclusive", &scan::CUMPROD)
};

/// The gradient of running products.
CUMPROD_GRAD = OpDef { operands: X_Y_DY, attrs: &[], ..last("scan.prod'", &scan::CUMPROD_GRAD) };

/// Running log-sum-exp along the last axis.
LOGCUMSUMEXP_LAST = OpDef {
    gradient: Gradient::Formula(|cx| vec![Some(cx.builder.one(&LOGCUMSUMEXP_GRAD, no_attrs(), &[cx.x(0), cx.y(0), cx.dy()]))]),
    ..last("scan.logsumexp", &scan::LOGCUMSUMEXP)
};

/// Its gradient.
LOGCUMSUMEXP_GRAD = OpDef { operands: X_Y_DY, attrs: &[], ..last("scan.logsumexp'", &scan::LOGCUMSUMEXP_GRAD) };

/// The largest so far, along the last axis.
CUMMAX_LAST = OpDef { ..extremes("scan.max", &scan::CUMMAX) };

/// The smallest so far, along the last axis.
CUMMIN_LAST = OpDef { ..extremes("scan.min", &scan::CUMMIN) };

}

fn no_attrs() -> crate::ir::attr::Attrs {
    crate::ir::attr::Attrs::with(&[], &[])
}
