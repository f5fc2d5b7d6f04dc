//! Recurrent layers: for every layer and direction one matrix product over all steps, then a kernel that walks them.
//!
//! The number of steps is a symbol until a plan is made, so a loop over time cannot be written out in the graph; the walk is
//! a primitive with saved gates, whose gradient gives that of every gate's sum. What follows from those (weights,
//! biases, inputs) are products again.

use super::linear::{MATMUL_2, affine, check_pin};
use super::movement::concat;
use super::parts::{ask, part};
use super::random::dropped;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    ArgsCx, Body, CostCx, Facts, Gradient, Misfit, MisfitKind, OpDef, Operand, Output, ParamCx, ParamDef, RuleCx, Why,
    size_of,
};
use crate::ir::shape::Shapes;
use crate::kernels::call::{Args, Kernel};
use crate::kernels::recurrent;

/// More layers than anyone stacks: what says so is a slip.
const MOST_LAYERS: i64 = 1000;

const LAYERS: AttrDef =
    AttrDef::new("layers", &[AttrKind::Size], AttrDefault::Int(1), "how many, each on the last one's y")
        .torch("num_layers");
const BIDIRECTIONAL: AttrDef = AttrDef::new(
    "bidirectional",
    &[AttrKind::Bool],
    AttrDefault::Bool(false),
    "a second walk from the end; y has both",
);
pub(super) const BIAS: AttrDef =
    AttrDef::new("bias", &[AttrKind::Bool], AttrDefault::Bool(true), "whether both products have a bias");
const DROPOUT: AttrDef = AttrDef::new(
    "dropout",
    &[AttrKind::Number],
    AttrDefault::Float(0.0),
    "the share of y that becomes zero between two layers, in training",
)
.within(Domain::Probability);
const PROJ: AttrDef =
    AttrDef::new("proj", &[AttrKind::Int], AttrDefault::Int(0), "the width that h is projected to; 0: none")
        .within(Domain::NonNegative)
        .torch("proj_size");
pub(super) const HIDDEN: AttrDef =
    AttrDef::required("hidden", &[AttrKind::Size], "the width of the state; `in -> hidden` checks the input")
        .torch("hidden_size");
pub(super) const NONLINEARITY: AttrDef =
    AttrDef::new("nonlinearity", &[AttrKind::Choice(&["tanh", "relu"])], AttrDefault::Str("tanh"), "of the new state");
const INIT: AttrDef = AttrDef::new("init", &[AttrKind::Init], AttrDefault::None, "of the weights").named();
const BIAS_INIT: AttrDef = AttrDef::new("bias_init", &[AttrKind::Init], AttrDefault::None, "of the biases").named();
const IN: AttrDef =
    AttrDef::new("in", &[AttrKind::Size], AttrDefault::None, "the pinned input").named().torch("input_size");

/// What every recurrent layer ends its attributes with.
pub(super) const REST: [AttrDef; 3] = [INIT, BIAS_INIT, IN];

/// What tells the three layers apart.
#[derive(Clone, Copy)]
struct Kind {
    /// The rows of a weight, in hidden sizes.
    gates: i64,
    /// The primitive that walks.
    walk: &'static OpDef,
}

const RNN_KIND: Kind = Kind { gates: 1, walk: &RNN_WALK };
const LSTM_KIND: Kind = Kind { gates: 4, walk: &LSTM_WALK };
const GRU_KIND: Kind = Kind { gates: 3, walk: &GRU_WALK };

impl Kind {
    /// How many states it carries: h, or h and c.
    fn states(self) -> usize {
        if self.gates == 4 { 2 } else { 1 }
    }
}

/// The sizes of a recurrent layer.
struct Net {
    layers: usize,
    directions: usize,
    hidden: Dim,
    /// The width of h.
    out: Dim,
    /// The rows of a weight.
    rows: Dim,
}

impl Net {
    fn of(shapes: &mut Shapes, attrs: &Attrs, kind: Kind) -> Option<Net> {
        let layers = attrs.int("layers").filter(|layers| (1..=MOST_LAYERS).contains(layers))?;
        let hidden = size_of(shapes, attrs.get("hidden"))?;
        let out = match attrs.int("proj") {
            Some(proj) if proj > 0 => shapes.dims.constant(proj),
            _ => hidden,
        };
        let directions = 1 + usize::from(attrs.flag("bidirectional"));
        Some(Net { layers: layers as usize, directions, hidden, out, rows: shapes.dims.scale(hidden, kind.gates) })
    }

    /// The width of y, and of what layers above the first get.
    fn width(&self, dims: &mut Dims) -> Dim {
        dims.scale(self.out, self.directions as i64)
    }

    /// Layers and directions: what stands behind the names of their parameters (`l1_reverse`), and how wide their input is.
    fn walks(&self, dims: &mut Dims, input: Dim) -> Vec<(String, Dim)> {
        let width = self.width(dims);
        let name = |layer: usize, way: usize| format!("l{layer}{}", if way == 0 { "" } else { "_reverse" });
        let wide = |layer: usize| if layer == 0 { input } else { width };
        let of = |layer: usize| (0..self.directions).map(move |way| (name(layer, way), wide(layer)));
        (0..self.layers).flat_map(of).collect()
    }

    fn projects(&self) -> bool {
        self.out != self.hidden
    }
}

/// The net, or what is wrong with its attributes.
fn net(cx: &mut RuleCx<'_>, kind: Kind) -> Result<Net, Misfit> {
    if cx.attrs.int("layers").is_none_or(|layers| !(1..=MOST_LAYERS).contains(&layers)) {
        return Err(cx.bad_attr("layers", format!("must be a number from 1 to {MOST_LAYERS}")));
    }
    let net = Net::of(cx.shapes, cx.attrs, kind).ok_or_else(|| cx.bad_attr("hidden", "must be given"))?;
    match (cx.attrs.int("proj"), cx.attrs.int("hidden")) {
        (Some(proj), Some(hidden)) if proj >= hidden => {
            Err(cx.bad_attr("proj", format!("must be smaller than the state, which is {hidden} wide")))
        }
        _ => Ok(net),
    }
}

/// `[B, seq, in]`, states `[layers * D, B, width]`, lengths `[B]`.
fn net_rule(cx: &mut RuleCx<'_>, kind: Kind) -> Result<(), Misfit> {
    let dims = cx.rank(0, 3, 3)?;
    check_pin(cx, 2, dims[2])?;
    let net = net(cx, kind)?;
    let walks = cx.shapes.dims.constant((net.layers * net.directions) as i64);
    let widths = [net.out, net.hidden];
    let given = [0, 1, 2, 3].map(|index| cx.ins.get(index).copied().flatten().is_some());
    if kind.states() == 2 && given[1] != given[2] {
        let (have, lack) = if given[1] { ("h", "c") } else { ("c", "h") };
        let text =
            format!("an lstm begins with two states, and `{lack}` is missing beside `{have}`: give both or none");
        return Err(Misfit { operand: Some(if given[1] { 1 } else { 2 }), ..Misfit::of(MisfitKind::Sentence(text)) });
    }
    for state in (0..kind.states()).filter(|state| given[1 + state]) {
        let own = cx.rank(1 + state, 3, 3)?;
        for (axis, wanted) in [walks, dims[0], widths[state]].into_iter().enumerate() {
            cx.equal(1 + state, axis, own[axis], wanted, Why::State)?;
        }
    }
    let lengths = 1 + kind.states();
    if given[lengths] {
        let own = cx.rank(lengths, 1, 1)?;
        cx.equal(lengths, 0, own[0], dims[0], Why::Lengths)?;
    }
    let width = net.width(&mut cx.shapes.dims);
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &[dims[0], dims[1], width]);
    for width in widths.into_iter().take(kind.states()) {
        cx.out_of(dtype, &[walks, dims[0], width]);
    }
    Ok(())
}

/// U(±1/√hidden), biases too: PyTorch's default for everything recurrent.
pub(super) fn recurrent_init(cx: &ParamCx<'_>, hidden: Dim) -> (Init, Init) {
    let plain = Init::UniformFan(cx.shapes.dims.as_const(hidden).unwrap_or(1));
    (cx.init("init", plain.clone()), cx.init("bias_init", plain))
}

fn net_params(cx: &mut ParamCx<'_>, kind: Kind) -> Vec<ParamDef> {
    let (Some(&input), Some(net)) = (cx.dims(0).last(), Net::of(cx.shapes, cx.attrs, kind)) else { return vec![] };
    let (weight, bias) = recurrent_init(cx, net.hidden);
    let mut params = vec![];
    for (walk, input) in net.walks(&mut cx.shapes.dims, input) {
        params.push(ParamDef::weight(&format!("weight_ih_{walk}"), &[net.rows, input], weight.clone()));
        params.push(ParamDef::weight(&format!("weight_hh_{walk}"), &[net.rows, net.out], weight.clone()));
        if cx.attrs.flag("bias") {
            params.push(ParamDef::other(&format!("bias_ih_{walk}"), &[net.rows], bias.clone()));
            params.push(ParamDef::other(&format!("bias_hh_{walk}"), &[net.rows], bias.clone()));
        }
        if net.projects() {
            params.push(ParamDef::weight(&format!("weight_hr_{walk}"), &[net.out, net.hidden], weight.clone()));
        }
    }
    params
}

/// State number `walk` of an operand `[walks, B, width]`.
fn state_of<'g>(cx: &ExpandCx<'_, 'g>, operand: usize, walk: usize) -> Option<Var<'g>> {
    let all = cx.maybe(operand)?;
    let [from, to] = {
        let table = &mut cx.builder.graph.borrow_mut().shapes.dims;
        [walk, walk + 1].map(|at| table.constant(at as i64))
    };
    let dims = all.dims();
    Some(part(all, 0, from, to).reshape(&dims[1..]))
}

/// One layer in one direction: y and the last states.
fn walk<'g>(cx: &ExpandCx<'_, 'g>, kind: Kind, x: Var<'g>, number: usize, name: &str) -> Vec<Var<'g>> {
    let param = |what: &str| cx.param(&format!("{what}_{name}"));
    let weight = |what: &str| param(what).expect("a recurrent layer declares its weights");
    let backwards = ("backwards", Attr::Bool(name.ends_with("_reverse")));
    let lengths = cx.maybe(1 + kind.states());
    let states = [1, 2].map(|operand| if operand > kind.states() { None } else { state_of(cx, operand, number) });
    let (own, other) = (param("bias_ih"), param("bias_hh"));
    // What both products add may be added once; a gru's reset comes between them.
    let bias = if kind.gates == 3 { own } else { own.zip(other).map(|(own, other)| own + other) };
    let sums = Some(affine(x, weight("weight_ih"), bias));
    let weight = Some(weight("weight_hh"));
    let [h, c] = states;
    match kind.gates {
        1 => {
            let relu = ("relu", Attr::Bool(cx.attrs.str("nonlinearity") == Some("relu")));
            cx.builder.apply(kind.walk, Attrs::with(kind.walk.attrs, &[backwards, relu]), &[sums, weight, h, lengths])
        }
        3 => {
            cx.builder.apply(kind.walk, Attrs::with(kind.walk.attrs, &[backwards]), &[sums, weight, other, h, lengths])
        }
        _ => {
            let ins = [sums, weight, h, c, lengths, param("weight_hr")];
            cx.builder.apply(kind.walk, Attrs::with(kind.walk.attrs, &[backwards]), &ins)
        }
    }
}

/// All layers and directions.
fn expand<'g>(cx: &mut ExpandCx<'_, 'g>, kind: Kind) -> Vec<Var<'g>> {
    let net = ask(cx, |rule| net(rule, kind));
    let mut x = cx.x(0);
    let input = x.dims()[2];
    let names = net.walks(&mut cx.builder.graph.borrow_mut().shapes.dims, input);
    let mut last: Vec<Vec<Var<'g>>> = vec![vec![]; kind.states()];
    for layer in 0..net.layers {
        let mut ways = vec![];
        for way in 0..net.directions {
            let number = layer * net.directions + way;
            let outs = walk(cx, kind, x, number, &names[number].0);
            ways.push(outs[0]);
            for (all, &state) in last.iter_mut().zip(&outs[1..]) {
                let dims = state.dims();
                all.push(state.reshape(&[Dims::ONE, dims[0], dims[1]]));
            }
        }
        x = concat(&ways, 2);
        let p = cx.attrs.float("dropout").unwrap_or(0.0);
        if cx.train() && p > 0.0 && layer + 1 < net.layers {
            // Every layer draws a mask of its own: masks are keyed by paths.
            let origin = cx.builder.origin();
            cx.builder.at(&format!("{}.l{layer}", origin.path), origin.span);
            x = dropped(x, p);
            cx.builder.at_origin(origin);
        }
    }
    std::iter::once(x).chain(last.iter().map(|all| concat(all, 0))).collect()
}

/// The products of a net: those with the inputs, and those of every step.
fn net_flops(cx: &mut CostCx<'_>, kind: Kind) -> Dim {
    let (Some(x), Some(net)) = (cx.ins[0], Net::of(cx.shapes, cx.attrs, kind)) else { return Dims::ZERO };
    let dims = cx.shapes.dims(x).to_vec();
    let table = &mut cx.shapes.dims;
    let steps = table.mul(dims[0], dims[1]);
    let mut all = Dims::ZERO;
    for (_, input) in net.walks(table, dims[2]) {
        let read = table.add(input, net.out);
        let gates = table.mul(net.rows, read);
        let projection = if net.projects() { table.mul(net.out, net.hidden) } else { Dims::ZERO };
        let each = table.add(gates, projection);
        all = table.add(all, each);
    }
    let all = table.mul(all, steps);
    table.scale(all, 2)
}

/// The product of every step, or the one back: with w `[rows, p]` and, where h is projected, `[p, n]`.
fn walk_flops(cx: &mut CostCx<'_>, steps: usize, weight: usize, projection: Option<usize>) -> Dim {
    let dims = |cx: &CostCx<'_>, index: usize| cx.ins[index].map_or(vec![], |ty| cx.shapes.dims(ty).to_vec());
    let (y, w) = (dims(cx, steps), dims(cx, weight));
    let projection = projection.map_or(vec![], |index| dims(cx, index));
    let table = &mut cx.shapes.dims;
    let gates = table.product(&w);
    let projected = if projection.is_empty() { Dims::ZERO } else { table.product(&projection) };
    let each = table.add(gates, projected);
    let steps = table.mul(y[0], y[1]);
    let all = table.mul(steps, each);
    table.scale(all, 2)
}

const WAY: AttrDef = AttrDef::new("backwards", &[AttrKind::Bool], AttrDefault::Bool(false), "from the end");
const RELU: AttrDef = AttrDef::new("relu", &[AttrKind::Bool], AttrDefault::Bool(false), "relu in place of tanh");
const H: Operand = Operand::float("h").optional();
const C: Operand = Operand::float("c").optional();
const LENGTHS: Operand = Operand::int("lengths").optional();
const X: Operand = Operand::float("x");
const W: Operand = Operand::float("w");

fn walk_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.ints[0] = i32::from(cx.attrs.flag("backwards"));
    args.ints[1] = i32::from(cx.attrs.flag("relu"));
    args
}

const fn kernel(kernel: &'static Kernel) -> Body {
    Body::Kernel { kernel, args: walk_args }
}

/// Sizes of a walk from the sums `[B, T, rows]` and w `[rows, p]`: B, T, p.
fn walk_sizes(cx: &mut RuleCx<'_>) -> Result<[Dim; 3], Misfit> {
    let (x, w) = (cx.rank(0, 3, 3)?, cx.rank(1, 2, 2)?);
    cx.equal(0, 2, x[2], w[0], Why::Inner)?;
    Ok([x[0], x[1], w[1]])
}

/// Outputs of floats of these sizes.
fn outs(cx: &mut RuleCx<'_>, all: &[&[Dim]]) -> Result<(), Misfit> {
    let dtype = cx.operand(0)?.dtype;
    all.iter().for_each(|dims| cx.out_of(dtype, dims));
    Ok(())
}

/// Whether something is given, and the gradient of an output where there is one.
fn arriving<'g>(cx: &GradCx<'_, 'g>, output: usize) -> Option<Var<'g>> {
    cx.grads.get(output).copied().flatten()
}

/// The gradient of weights from those of their product's rows and what it read.
fn of_weight<'g>(rows: Var<'g>, read: Var<'g>) -> Var<'g> {
    rows.as_rows().t().with(read.as_rows(), &MATMUL_2, &[])
}

fn rnn_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let ins = [Some(cx.x(1)), cx.maybe(2), cx.maybe(3), Some(cx.y(0)), Some(cx.dy()), arriving(cx, 1)];
    let back = cx.builder.apply(&RNN_BACK, cx.attrs.clone(), &ins);
    vec![Some(back[0]), cx.when(1, || of_weight(back[0], back[2])), Some(back[1]), None]
}

fn lstm_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let [h, c, lengths, projection] = [2, 3, 4, 5].map(|index| cx.maybe(index));
    let [y, gates, cells] = [0, 3, 4].map(|index| Some(cx.y(index)));
    let ins =
        [Some(cx.x(1)), h, c, lengths, projection, y, gates, cells, Some(cx.dy()), arriving(cx, 1), arriving(cx, 2)];
    let back = cx.builder.apply(&LSTM_BACK, cx.attrs.clone(), &ins);
    let weight = cx.when(1, || of_weight(back[0], back[3]));
    vec![Some(back[0]), weight, Some(back[1]), Some(back[2]), None, cx.when(5, || of_weight(back[4], back[5]))]
}

fn gru_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let [h, lengths] = [3, 4].map(|index| cx.maybe(index));
    let ins = [Some(cx.x(1)), h, lengths, Some(cx.y(0)), Some(cx.y(2)), Some(cx.dy()), arriving(cx, 1)];
    let back = cx.builder.apply(&GRU_BACK, cx.attrs.clone(), &ins);
    let bias = cx.when(2, || back[3].as_rows().sum(&[0], false));
    vec![Some(back[0]), cx.when(1, || of_weight(back[3], back[2])), bias, Some(back[1]), None]
}

/// Sizes that the gradients read off y `[B, T, p]` and w `[rows, p]`, operand 0: the sums, the state, y.
fn back_sizes(cx: &RuleCx<'_>, y: usize) -> Result<[Vec<Dim>; 3], Misfit> {
    let (w, y) = (cx.dims(0)?, cx.dims(y)?);
    Ok([vec![y[0], y[1], w[0]], vec![y[0], y[2]], y])
}

const BY_MODE: Facts = Facts { by_mode: true, random: true, ..Facts::NONE };

ops! { OPS;

/// The plain recurrent layer (Elman's): a state that each step makes of the last one and of its input.
///
/// `(y, h) = x |> rnn(64)`: y has the state of every step, h `[layers * D, B, hidden]` the last of every layer and direction
/// (D = 2 if bidirectional: y has both side by side). Batch first, always (**differs**). `(x, h0) |> rnn(64)` begins from
/// a state of h's shape, else from 0. `lengths` ends each sequence at its own step, as PyTorch's packed sequences do:
/// beyond it y is 0, h is the state there, and the way from the end begins there; a length of 0 leaves the state as it
/// began. Over long sequences gradients vanish or explode: see `lstm`.
RNN = OpDef {
    name: "rnn",
    formula: "h_t = tanh(weight_ih x_t + bias_ih + weight_hh h_(t-1) + bias_hh)",
    derivative: "dh_(t-1) = weight_hhᵀ (dh_t (1 - h_t^2))",
    shape: "(x [B, seq, in][, h][, lengths: i64[B]]) -> (y [B, seq, D * hidden], h [layers * D, B, hidden])",
    source: "Elman 1990",
    torch: "nn.RNN",
    example: "x: f32[1, 3, 1] = [1, 0, 0], hidden = 1, nonlinearity = \"relu\", bias = false, init = constant(0.5) -> [0.5, 0.25, 0.125]",
    attrs: &[HIDDEN, LAYERS, BIDIRECTIONAL, NONLINEARITY, BIAS, DROPOUT, REST[0], REST[1], REST[2]],
    operands: &[X, H, LENGTHS],
    outputs: &[Output::main("y"), Output::main("h")],
    rule: |cx| net_rule(cx, RNN_KIND),
    params: |cx| net_params(cx, RNN_KIND),
    facts: BY_MODE,
    body: Body::Expand(|cx| expand(cx, RNN_KIND)),
    flops: Some(|cx| net_flops(cx, RNN_KIND)),
    ..OpDef::DEFAULT
};

/// Long short-term memory: beside the state h a cell c that is added to, so that gradients survive many steps.
///
/// `(y, h, c) = x |> lstm(64)`; `layer enc = lstm(3 -> 64, layers = 2)` names its parameters. The rows of the weights are
/// the gates i, f, g, o. y, h, directions, first states (`(x, h0, c0) |> lstm(64)`, both or none) and `lengths` as for
/// `rnn`. `proj` projects h to fewer numbers, c keeps its width (Sak 2014). In training `dropout` acts on y between layers.
/// A forget bias of 1 is `bias_init = constant(0.5)`, since two biases are added.
LSTM = OpDef {
    name: "lstm",
    formula: "(i, f, g, o) = (σ, σ, tanh, σ)(weight_ih x_t + bias_ih + weight_hh h_(t-1) + bias_hh), c_t = f c_(t-1) + i g, h_t = o tanh(c_t)",
    derivative: "dc_(t-1) = f (dc_t + dh_t o (1 - tanh(c_t)^2))",
    shape: "(x [B, seq, in][, h, c][, lengths: i64[B]]) -> (y [B, seq, D * hidden], h [layers * D, B, hidden], c)",
    source: "Hochreiter and Schmidhuber 1997; Gers 1999 (forget gate)",
    torch: "nn.LSTM",
    example: "x: f32[1, 2, 1] = [1, 2], hidden = 1, bias = false, init = constant(0.5) -> [0.17426972, 0.50085938]",
    attrs: &[HIDDEN, LAYERS, BIDIRECTIONAL, BIAS, DROPOUT, PROJ, REST[0], REST[1], REST[2]],
    operands: &[X, H, C, LENGTHS],
    outputs: &[Output::main("y"), Output::main("h"), Output::main("c")],
    rule: |cx| net_rule(cx, LSTM_KIND),
    params: |cx| net_params(cx, LSTM_KIND),
    facts: BY_MODE,
    body: Body::Expand(|cx| expand(cx, LSTM_KIND)),
    flops: Some(|cx| net_flops(cx, LSTM_KIND)),
    ..OpDef::DEFAULT
};

/// The gated recurrent unit: one state, and two gates that say how much of it is kept and how much of it is seen.
///
/// The reset acts behind the product (PyTorch's and cuDNN's form; the paper's is before it), so the two biases of the new
/// state differ. The rows of the weights are the gates r, z, n. The rest is as for `rnn`.
GRU = OpDef {
    name: "gru",
    formula: "r, z = σ(weight_i x_t + bias_i + weight_h h_(t-1) + bias_h), n = tanh(weight_in x_t + bias_in + r (weight_hn h_(t-1) + bias_hn)), h_t = (1 - z) n + z h_(t-1)",
    derivative: "dh_(t-1) = z dh_t + what flows through the gates",
    shape: "(x [B, seq, in][, h][, lengths: i64[B]]) -> (y [B, seq, D * hidden], h [layers * D, B, hidden])",
    source: "Cho et al. 2014",
    torch: "nn.GRU",
    example: "x: f32[1, 2, 1] = [1, 2], hidden = 1, bias = false, init = constant(0.5) -> [0.17446802, 0.32907811]",
    attrs: &[HIDDEN, LAYERS, BIDIRECTIONAL, BIAS, DROPOUT, REST[0], REST[1], REST[2]],
    operands: &[X, H, LENGTHS],
    outputs: &[Output::main("y"), Output::main("h")],
    rule: |cx| net_rule(cx, GRU_KIND),
    params: |cx| net_params(cx, GRU_KIND),
    facts: BY_MODE,
    body: Body::Expand(|cx| expand(cx, GRU_KIND)),
    flops: Some(|cx| net_flops(cx, GRU_KIND)),
    ..OpDef::DEFAULT
};

/// The steps of a plain layer.
RNN_WALK = OpDef {
    name: "recurrent.rnn",
    attrs: &[WAY, RELU],
    operands: &[X, W, H, LENGTHS],
    outputs: &[Output::main("y"), Output::main("h")],
    rule: |cx| {
        let [b, t, n] = walk_sizes(cx)?;
        outs(cx, &[&[b, t, n], &[b, n]])
    },
    body: kernel(&recurrent::RNN),
    gradient: Gradient::Formula(rnn_gradient),
    flops: Some(|cx| walk_flops(cx, 0, 1, None)),
    ..OpDef::DEFAULT
};

/// Its gradient.
RNN_BACK = OpDef {
    name: "recurrent.rnn'",
    attrs: &[WAY, RELU],
    operands: &[W, H, LENGTHS, Operand::float("y"), Operand::float("dy"), Operand::float("dh").optional()],
    outputs: &[Output::main("dx"), Output::main("dh"), Output::main("before")],
    rule: |cx| {
        let [sums, state, y] = back_sizes(cx, 3)?;
        outs(cx, &[&sums, &state, &y])
    },
    body: kernel(&recurrent::RNN_GRAD),
    gradient: Gradient::Zero,
    flops: Some(|cx| walk_flops(cx, 3, 0, None)),
    ..OpDef::DEFAULT
};

/// The steps of a long short-term memory.
LSTM_WALK = OpDef {
    name: "recurrent.lstm",
    attrs: &[WAY],
    operands: &[X, W, H, C, LENGTHS, Operand::float("projection").optional()],
    outputs: &[Output::main("y"), Output::main("h"), Output::main("c"), Output::saved("gates"), Output::saved("cells")],
    rule: |cx| {
        let ([b, t, p], x) = (walk_sizes(cx)?, cx.dims(0)?);
        let four = cx.shapes.dims.constant(4);
        let n = cx.shapes.dims.floor_div(x[2], four);
        outs(cx, &[&[b, t, p], &[b, p], &[b, n], &x, &[b, t, n]])
    },
    body: kernel(&recurrent::LSTM),
    gradient: Gradient::Formula(lstm_gradient),
    flops: Some(|cx| walk_flops(cx, 0, 1, Some(5))),
    ..OpDef::DEFAULT
};

/// Its gradient.
LSTM_BACK = OpDef {
    name: "recurrent.lstm'",
    attrs: &[WAY],
    operands: &[
        W, H, C, LENGTHS, Operand::float("projection").optional(), Operand::float("y"), Operand::float("gates"),
        Operand::float("cells"), Operand::float("dy"), Operand::float("dh").optional(), Operand::float("dc").optional(),
    ],
    outputs: &[
        Output::main("dx"), Output::main("dh"), Output::main("dc"), Output::main("before"), Output::main("dy"),
        Output::main("open"),
    ],
    rule: |cx| {
        let [sums, state, y] = back_sizes(cx, 5)?;
        let cells = cx.dims(7)?;
        outs(cx, &[&sums, &state, &[cells[0], cells[2]], &y, &y, &cells])
    },
    body: kernel(&recurrent::LSTM_GRAD),
    gradient: Gradient::Zero,
    flops: Some(|cx| walk_flops(cx, 5, 0, Some(4))),
    ..OpDef::DEFAULT
};

/// The steps of gated recurrent units.
GRU_WALK = OpDef {
    name: "recurrent.gru",
    attrs: &[WAY],
    operands: &[X, W, Operand::float("bias").optional(), H, LENGTHS],
    outputs: &[Output::main("y"), Output::main("h"), Output::saved("gates")],
    rule: |cx| {
        let [b, t, n] = walk_sizes(cx)?;
        let four = cx.shapes.dims.scale(n, 4);
        outs(cx, &[&[b, t, n], &[b, n], &[b, t, four]])
    },
    body: kernel(&recurrent::GRU),
    gradient: Gradient::Formula(gru_gradient),
    flops: Some(|cx| walk_flops(cx, 0, 1, None)),
    ..OpDef::DEFAULT
};

/// Its gradient.
GRU_BACK = OpDef {
    name: "recurrent.gru'",
    attrs: &[WAY],
    operands: &[
        W, H, LENGTHS, Operand::float("y"), Operand::float("gates"), Operand::float("dy"), Operand::float("dh").optional(),
    ],
    outputs: &[Output::main("dx"), Output::main("dh"), Output::main("before"), Output::main("da")],
    rule: |cx| {
        let [sums, state, y] = back_sizes(cx, 3)?;
        outs(cx, &[&sums, &state, &y, &sums])
    },
    body: kernel(&recurrent::GRU_GRAD),
    gradient: Gradient::Zero,
    flops: Some(|cx| walk_flops(cx, 3, 0, None)),
    ..OpDef::DEFAULT
};

}
