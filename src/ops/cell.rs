//! Recurrent cells: one step, written in products and gates.

use super::activation::{RELU, SIGMOID, TANH};
use super::linear::{affine, check_pin};
use super::movement::split;
use super::recurrent::{BIAS, HIDDEN, NONLINEARITY, REST, recurrent_init};
use crate::ir::attr::AttrDef;
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    Body, CostCx, Misfit, MisfitKind, OpDef, Operand, Output, ParamCx, ParamDef, RuleCx, Why, size_of,
};

/// x `[.., in]` and states `[.., hidden]`; the states come out again.
fn cell_rule(cx: &mut RuleCx<'_>, states: usize) -> Result<(), Misfit> {
    let mut dims = cx.rank(0, 1, 7)?;
    let last = dims.len() - 1;
    check_pin(cx, last, dims[last])?;
    dims[last] = cx.size("hidden").ok_or_else(|| cx.bad_attr("hidden", "must be given"))?;
    for state in 1..=states {
        let own = cx.dims(state)?;
        if own.len() != dims.len() {
            let rank = MisfitKind::Rank { least: dims.len(), most: dims.len() };
            return Err(Misfit { operand: Some(state), ..Misfit::of(rank) });
        }
        for (axis, (&found, &wanted)) in own.iter().zip(&dims).enumerate() {
            cx.equal(state, axis, found, wanted, if axis == last { Why::State } else { Why::Leading })?;
        }
    }
    let dtype = cx.operand(0)?.dtype;
    (0..states).for_each(|_| cx.out_of(dtype, &dims));
    Ok(())
}

fn cell_params(cx: &mut ParamCx<'_>, gates: i64) -> Vec<ParamDef> {
    let (Some(&input), Some(hidden)) = (cx.dims(0).last(), size_of(cx.shapes, cx.attrs.get("hidden"))) else {
        return vec![];
    };
    let rows = cx.shapes.dims.scale(hidden, gates);
    let (weight, bias) = recurrent_init(cx, hidden);
    let mut params = vec![
        ParamDef::weight("weight_ih", &[rows, input], weight.clone()),
        ParamDef::weight("weight_hh", &[rows, hidden], weight),
    ];
    if cx.attrs.flag("bias") {
        params.push(ParamDef::other("bias_ih", &[rows], bias.clone()));
        params.push(ParamDef::other("bias_hh", &[rows], bias));
    }
    params
}

/// The two products, each with its bias.
fn sums<'g>(cx: &ExpandCx<'_, 'g>) -> [Var<'g>; 2] {
    let weight = |name: &str| cx.param(name).expect("a cell declares its weights");
    let own = affine(cx.x(0), weight("weight_ih"), cx.param("bias_ih"));
    [own, affine(cx.x(1), weight("weight_hh"), cx.param("bias_hh"))]
}

/// A value in equal parts along its last axis, one a gate.
fn gates<'g>(sums: Var<'g>, state: Var<'g>, count: usize) -> Vec<Var<'g>> {
    let last = sums.rank() - 1;
    split(sums, last, &vec![state.dims()[last]; count])
}

fn cell_flops(cx: &mut CostCx<'_>, gates: i64) -> Dim {
    let (Some(x), Some(hidden)) = (cx.ins[0], size_of(cx.shapes, cx.attrs.get("hidden"))) else { return Dims::ZERO };
    let dims = cx.shapes.dims(x).to_vec();
    let Some((&input, lead)) = dims.split_last() else { return Dims::ZERO };
    let table = &mut cx.shapes.dims;
    let (rows, read) = (table.product(lead), table.add(input, hidden));
    let all = table.product(&[rows, hidden, read]);
    table.scale(all, 2 * gates)
}

const ATTRS: &[AttrDef] = &[HIDDEN, BIAS, REST[0], REST[1], REST[2]];
const X_H: &[Operand] = &[Operand::float("x"), Operand::float("h")];

ops! { OPS;

/// One step of `rnn`: a new state from the last one and an input.
RNN_CELL = OpDef {
    name: "rnn_cell",
    formula: "tanh(weight_ih x + bias_ih + weight_hh h + bias_hh)",
    shape: "(x [.., in], h [.., hidden]) -> h [.., hidden]",
    source: "Elman 1990",
    torch: "nn.RNNCell",
    example: "x: f32[1] = [1], h: f32[1] = [1], hidden = 1, nonlinearity = \"relu\", bias = false, init = constant(0.5) -> 1",
    attrs: &[HIDDEN, BIAS, NONLINEARITY, REST[0], REST[1], REST[2]],
    operands: X_H,
    outputs: &[Output::main("h")],
    rule: |cx| cell_rule(cx, 1),
    params: |cx| cell_params(cx, 1),
    body: Body::Expand(|cx| {
        let [x, h] = sums(cx);
        vec![(x + h).op(if cx.attrs.str("nonlinearity") == Some("relu") { &RELU } else { &TANH })]
    }),
    flops: Some(|cx| cell_flops(cx, 1)),
    ..OpDef::DEFAULT
};

/// One step of `lstm`: `(h, c) = (x, h0, c0) |> lstm_cell(64)`. The rows of the weights are the gates i, f, g, o.
LSTM_CELL = OpDef {
    name: "lstm_cell",
    formula: "(i, f, g, o) = (σ, σ, tanh, σ)(weight_ih x + bias_ih + weight_hh h + bias_hh), c' = f c + i g, h' = o tanh(c')",
    shape: "(x [.., in], h [.., hidden], c [.., hidden]) -> (h, c)",
    source: "Hochreiter and Schmidhuber 1997",
    torch: "nn.LSTMCell",
    example: "x: f32[1] = [1], h: f32[1] = [0], c: f32[1] = [0], hidden = 1, bias = false, init = constant(0.5) -> 0.17426972",
    attrs: ATTRS,
    operands: &[Operand::float("x"), Operand::float("h"), Operand::float("c")],
    outputs: &[Output::main("h"), Output::main("c")],
    rule: |cx| cell_rule(cx, 2),
    params: |cx| cell_params(cx, 4),
    body: Body::Expand(|cx| {
        let [x, h] = sums(cx);
        let parts = gates(x + h, cx.x(2), 4);
        let (i, f, g, o) = (parts[0].op(&SIGMOID), parts[1].op(&SIGMOID), parts[2].op(&TANH), parts[3].op(&SIGMOID));
        let c = f * cx.x(2) + i * g;
        vec![o * c.op(&TANH), c]
    }),
    flops: Some(|cx| cell_flops(cx, 4)),
    ..OpDef::DEFAULT
};

/// One step of `gru`. The rows of the weights are the gates r, z, n; the reset acts behind the product.
GRU_CELL = OpDef {
    name: "gru_cell",
    formula: "r, z = σ(weight_i x + bias_i + weight_h h + bias_h), n = tanh(weight_in x + bias_in + r (weight_hn h + bias_hn)), h' = n + z (h - n)",
    shape: "(x [.., in], h [.., hidden]) -> h [.., hidden]",
    source: "Cho et al. 2014",
    torch: "nn.GRUCell",
    example: "x: f32[1] = [1], h: f32[1] = [0], hidden = 1, bias = false, init = constant(0.5) -> 0.17446802",
    attrs: ATTRS,
    operands: X_H,
    outputs: &[Output::main("h")],
    rule: |cx| cell_rule(cx, 1),
    params: |cx| cell_params(cx, 3),
    body: Body::Expand(|cx| {
        let ([x, a], h) = (sums(cx), cx.x(1));
        let (x, a) = (gates(x, h, 3), gates(a, h, 3));
        let (r, z) = ((x[0] + a[0]).op(&SIGMOID), (x[1] + a[1]).op(&SIGMOID));
        let n = (x[2] + r * a[2]).op(&TANH);
        vec![n + z * (h - n)]
    }),
    flops: Some(|cx| cell_flops(cx, 3)),
    ..OpDef::DEFAULT
};

}
