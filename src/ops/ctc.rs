//! Connectionist temporal classification.

use super::activation::at_least;
use super::loss::{MIXES, REDUCTION, reduced};
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::dim::Dim;
use crate::ir::op::{
    ArgsCx, Body, Condition, CostCx, Gradient, Misfit, MisfitKind, OpDef, Operand, Output, RuleCx, Why,
};
use crate::kernels::call::{Args, Kernel};
use crate::kernels::ctc;

const BLANK: AttrDef =
    AttrDef::new("blank", &[AttrKind::Int], AttrDefault::Int(0), "the class that stands for nothing")
        .within(Domain::NonNegative);
const ZERO_INFINITY: AttrDef = AttrDef::new(
    "zero_infinity",
    &[AttrKind::Bool],
    AttrDefault::Bool(false),
    "targets that do not fit in their input cost 0, not infinity",
);

/// `[T, B, C]`, targets `[B, S]`, two lengths `[B]`: B is given back.
fn ctc_rule(cx: &mut RuleCx<'_>) -> Result<Dim, Misfit> {
    let (dims, target) = (cx.rank(0, 3, 3)?, cx.rank(1, 2, 2)?);
    if target[0] == dims[0] && target[0] != dims[1] {
        let text = "`ctc` takes its log-probabilities with time in front, [T, B, C], and here the batch stands there: \
                    `permute(1, 0, 2)` before it";
        return Err(Misfit { operand: Some(0), ..Misfit::of(MisfitKind::Sentence(text.into())) });
    }
    cx.equal(1, 0, target[0], dims[1], Why::Rows)?;
    for operand in [2, 3] {
        let lengths = cx.rank(operand, 1, 1)?;
        cx.equal(operand, 0, lengths[0], dims[1], Why::Lengths)?;
    }
    let least = cx.shapes.dims.constant(cx.attrs.int("blank").unwrap_or(0) + 1);
    let shown = cx.shapes.dims.show(dims[2]);
    let misfit = cx.bad_attr("blank", format!("lies outside of the classes, of which there are {shown}"));
    cx.need(Condition::AtLeast(dims[2], least), misfit)?;
    Ok(dims[1])
}

fn expand<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let given = ["blank", "zero_infinity"].map(|name| (name, cx.attrs.get(name).clone()));
    let rows = cx.builder.apply(
        &ROWS,
        Attrs::with(ROWS.attrs, &given),
        &[Some(cx.x(0).swap(0, 1)), Some(cx.x(1)), Some(cx.x(2)), Some(cx.x(3))],
    )[0];
    vec![match cx.attrs.str("reduction") {
        Some("none") => rows,
        Some("sum") => rows.sum_all(),
        _ => (rows / at_least(cx.x(3).to(rows.dtype()), 1.0)).mean(&[0], false),
    }]
}

fn gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let ins = [cx.x(0), cx.x(1), cx.x(2), cx.x(3), cx.y(1), cx.dy()];
    vec![cx.when(0, || cx.builder.one(&ROWS_GRAD, cx.attrs.clone(), &ins)), None, None, None]
}

fn args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.ints[0] = cx.attrs.int("blank").unwrap_or(0) as i32;
    args.ints[1] = i32::from(cx.attrs.flag("zero_infinity"));
    args
}

/// Some operations for each step and place of a path: exponentials and their sums.
fn flops(cx: &mut CostCx<'_>) -> Dim {
    let dims = |cx: &CostCx<'_>, index: usize| cx.ins[index].map_or(vec![], |ty| cx.shapes.dims(ty).to_vec());
    let (x, target) = (dims(cx, 0), dims(cx, 1));
    let places = places(&mut cx.shapes.dims, target[1]);
    let all = cx.shapes.dims.product(&[x[0], x[1], places]);
    cx.shapes.dims.scale(all, 16)
}

/// The labels of a target with a blank before, between and behind them.
fn places(dims: &mut crate::ir::dim::Dims, labels: Dim) -> Dim {
    let (twice, one) = (dims.scale(labels, 2), dims.constant(1));
    dims.add(twice, one)
}

const INS: [Operand; 4] =
    [Operand::float("logprobs"), Operand::int("target"), Operand::int("input_lengths"), Operand::int("target_lengths")];

const fn kernel(kernel: &'static Kernel) -> Body {
    Body::Kernel { kernel, args }
}

ops! { OPS;

/// The cost of a sequence of labels that nobody has aligned: minus the logarithm of the probability of all paths that
/// spell the target, where repeated classes count once and the blank class separates them.
///
/// Takes *log*-probabilities, time first: `(x |> log_softmax, target, n, m) |> ctc`, with the steps of each input and the
/// labels of each target (padded to S; the padding is not read). A target longer than its input, repeats needing a blank
/// between them, costs infinity, with gradient 0; `zero_infinity` makes it 0. The mean divides each row by the length of
/// its target (at least 1) and is over rows. The gradient is the derivative itself (**differs**: PyTorch's has e^logprobs
/// in addition, which log_softmax before it takes away again, so that the logits get the same).
CTC = OpDef {
    name: "ctc",
    formula: "-ln sum over paths π that spell the target of prod_t e^logprobs[t, π_t]",
    derivative: "dlogprobs[t, k] = -P(π_t = k | the target)",
    shape: "(logprobs [T, B, C], target i64[B, S], input_lengths i64[B], target_lengths i64[B]) -> []",
    source: "Graves et al. 2006",
    torch: "nn.CTCLoss",
    example: "logprobs: f32[2, 1, 2] = [-0.6931472, -0.6931472, -0.6931472, -0.6931472], target: i64[1, 1] = [1], input_lengths: i64[1] = [2], target_lengths: i64[1] = [1] -> 0.28768209",
    attrs: &[BLANK, ZERO_INFINITY, REDUCTION],
    operands: &INS,
    rule: |cx| {
        let rows = ctc_rule(cx)?;
        reduced(cx, &[rows]);
        Ok(())
    },
    facts: MIXES,
    body: Body::Expand(expand),
    ..OpDef::DEFAULT
};

/// The cost of each row, batch first, and the logarithms of the probabilities of all beginnings of paths.
ROWS = OpDef {
    name: "loss.ctc",
    attrs: &[BLANK, ZERO_INFINITY],
    operands: &INS,
    outputs: &[Output::main("loss"), Output::saved("alpha")],
    rule: |cx| {
        let (dims, target) = (cx.rank(0, 3, 3)?, cx.rank(1, 2, 2)?);
        let places = places(&mut cx.shapes.dims, target[1]);
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims[..1]);
        cx.out_of(dtype, &[dims[0], dims[1], places]);
        Ok(())
    },
    body: kernel(&ctc::CTC),
    gradient: Gradient::Formula(gradient),
    flops: Some(flops),
    ..OpDef::DEFAULT
};

/// Its gradient.
ROWS_GRAD = OpDef {
    name: "loss.ctc'",
    attrs: &[BLANK, ZERO_INFINITY],
    operands: &[INS[0], INS[1], INS[2], INS[3], Operand::float("alpha"), Operand::float("dloss")],
    body: kernel(&ctc::CTC_GRAD),
    gradient: Gradient::Zero,
    flops: Some(flops),
    ..OpDef::DEFAULT
};

}
