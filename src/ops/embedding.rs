//! Tables of learned rows: one row an id, or one a bag of ids.

use super::activation::at_least;
use super::arithmetic::elementwise;
use super::extreme::largest;
use super::index::{counted, scattered, taken};
use super::logic::{AND, EQ, GE, GT, NE, choose, number};
use super::parts::filled;
use super::statistic::norm;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init};
use crate::ir::build::{ExpandCx, Var, shape_attr};
use crate::ir::dim::Dim;
use crate::ir::op::{
    ArgsCx, Body, Gradient, Misfit, MisfitKind, OpDef, Operand, ParamCx, ParamDef, RuleCx, Why, size_of,
};
use crate::kernels::call::Args;
use crate::kernels::gather;
use crate::kernels::map;
use crate::tensor::DType;

pub(super) const PAD: AttrDef =
    AttrDef::new("padding_index", &[AttrKind::Int], AttrDefault::None, "an id whose row gets no gradient")
        .torch("padding_idx");

const ATTRS: &[AttrDef] = &[
    AttrDef::required("vocab", &[AttrKind::Size], "the number of rows").torch("num_embeddings"),
    AttrDef::required("d", &[AttrKind::Size], "the width of a row").torch("embedding_dim"),
    PAD,
    MAX_NORM,
    NORM_TYPE,
    FREQUENCY,
    INIT,
];

const VOCAB: AttrDef = ATTRS[0];
const WIDTH: AttrDef = ATTRS[1];
const INIT: AttrDef = AttrDef::new("init", &[AttrKind::Init], AttrDefault::None, "normal(1) otherwise").named();

const MAX_NORM: AttrDef = AttrDef::new(
    "max_norm",
    &[AttrKind::Number, AttrKind::Nothing],
    AttrDefault::None,
    "rows that are asked for and longer than this are made as long as this, in training in the table itself",
)
.within(Domain::Positive);

const NORM_TYPE: AttrDef = AttrDef::new(
    "norm_type",
    &[AttrKind::Number],
    AttrDefault::Float(2.0),
    "the order of the norm that `max_norm` is of",
);

const BAG: &[AttrDef] = &[
    VOCAB,
    WIDTH,
    AttrDef::new(
        "mode",
        &[AttrKind::Choice(&["mean", "sum", "max"])],
        AttrDefault::Str("mean"),
        "how the rows of a bag become one",
    ),
    AttrDef { doc: "an id that stands for nothing: it counts in no bag", ..PAD },
    MAX_NORM,
    NORM_TYPE,
    INIT,
];

const FREQUENCY: AttrDef = AttrDef::new(
    "scale_grad_by_freq",
    &[AttrKind::Bool],
    AttrDefault::Bool(false),
    "whether a row's gradient is divided by how often its id stands there",
)
.named();

const PLAIN: &[AttrDef] =
    &[PAD, AttrDef::new("shape", &[AttrKind::Shape], AttrDefault::None, "of the table, for the gradient"), FREQUENCY];

/// A table's gradient, each row divided by how often its id was asked for.
fn by_frequency<'g>(ids: Var<'g>, grad: Var<'g>) -> Var<'g> {
    let (dims, flat) = (grad.dims(), ids.fold_from(0));
    let ones = filled(grad, &flat.dims(), 1.0);
    let counts = at_least(scattered(flat, ones, 0, &dims[..1]), 1.0);
    grad / counts.spread(&dims, &[1])
}

fn pad_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.ints[0] = cx.attrs.int("padding_index").unwrap_or(-1) as i32;
    args
}

/// A padding index from the end counts from 0 here.
fn padding(attrs: &Attrs) -> Option<i64> {
    let index = attrs.int("padding_index")?;
    Some(if index < 0 { index + attrs.int("vocab").unwrap_or(0) } else { index })
}

/// The padding index lies in the table; gives the width.
fn table_rule(cx: &mut RuleCx<'_>) -> Result<Dim, Misfit> {
    let d = cx.size("d").ok_or_else(|| cx.bad_attr("d", "must be given"))?;
    if let (Some(index), Some(vocab)) = (cx.attrs.int("padding_index"), cx.attrs.int("vocab"))
        && !(-vocab..vocab).contains(&index)
    {
        return Err(
            cx.bad_attr("padding_index", format!("must lie in 0 … {}, or from the end in -{vocab} … -1", vocab - 1))
        );
    }
    Ok(d)
}

fn table_params(cx: &mut ParamCx<'_>) -> Vec<ParamDef> {
    let size = |cx: &mut ParamCx<'_>, name: &str| size_of(cx.shapes, cx.attrs.get(name));
    let (Some(vocab), Some(d)) = (size(cx, "vocab"), size(cx, "d")) else { return vec![] };
    vec![ParamDef::weight("weight", &[vocab, d], cx.init("init", Init::Normal(1.0, 0.0)))]
}

/// The rows of some ids.
fn rows<'g>(cx: &ExpandCx<'_, 'g>, ids: Var<'g>) -> Var<'g> {
    let mut given: Vec<(&str, Attr)> =
        padding(cx.attrs).map(|index| ("padding_index", Attr::Int(index))).into_iter().collect();
    given.push(("scale_grad_by_freq", Attr::Bool(cx.attrs.flag("scale_grad_by_freq"))));
    cx.builder.one(&LOOKUP, Attrs::with(PLAIN, &given), &[ids, table(cx, ids)])
}

/// The table, with the rows that are asked for cut to their longest length; in training it stays so.
fn table<'g>(cx: &ExpandCx<'_, 'g>, ids: Var<'g>) -> Var<'g> {
    let table = cx.param("weight").expect("an embedding declares its table");
    let Some(most) = cx.attrs.float("max_norm") else { return table };
    let (dims, flat) = (table.dims(), ids.fold_from(0));
    let above = |x: Var<'g>, least: f64| x.then(&GT, &[("value", Attr::Float(least))]);
    let asked = above(scattered(flat, filled(table, &flat.dims(), 1.0), 0, &dims[..1]), 0.0);
    let length = norm(table, cx.attrs.float("norm_type").unwrap_or(2.0), &[1]);
    let long = asked.with(above(length, most), &AND, &[]);
    let factor = choose(long, most / (length + 1e-7), number(cx.builder, table.dtype(), 1.0));
    let held = table.with(factor.spread(&dims, &[1]), &HELD, &[]);
    if cx.train() {
        cx.set("weight", held);
    }
    held
}

/// Ids of one axis with offsets, or of two; weights beside them.
fn bag_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let d = table_rule(cx)?;
    let given = |index: usize| cx.ins.get(index).copied().flatten().is_some();
    let (weights, offsets) = (given(1), given(2));
    let rank = if offsets { 1 } else { 2 };
    if !offsets && cx.dims(0)?.len() == 1 {
        let text = "ids of one axis are bags only with `offsets`, where each bag begins: `(ids, offsets = at) |> embedding_bag(…)`";
        return Err(Misfit { operand: Some(0), ..Misfit::of(MisfitKind::Sentence(text.into())) });
    }
    let ids = cx.rank(0, rank, rank)?;
    if weights {
        let dims = cx.rank(1, rank, rank)?;
        for axis in 0..rank {
            cx.equal(1, axis, dims[axis], ids[axis], Why::Rows)?;
        }
        if cx.attrs.str("mode") != Some("sum") {
            return Err(cx.bad_attr("mode", "must be \"sum\" where weights flow in: only a sum is weighted"));
        }
    }
    let bags = if offsets { cx.rank(2, 1, 1)?[0] } else { ids[0] };
    cx.out_of(DType::F32, &[bags, d]);
    Ok(())
}

/// The ids of a use of bags, their rows, which of them count, and what each counts.
struct Bag<'g> {
    rows: Var<'g>,
    counts: Option<Var<'g>>,
    bags: Dim,
}

fn bag<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let ids = cx.x(0);
    let rows = rows(cx, ids);
    let over = |factor: Var<'g>| factor.spread(&rows.dims(), &[rows.rank() - 1]);
    let rows = cx.maybe(1).map_or(rows, |weights| rows * over(weights));
    let counts = padding(cx.attrs).map(|index| ids.then(&NE, &[("value", Attr::Int(index))]));
    let mode = cx.attrs.str("mode").unwrap_or("mean");
    vec![match cx.maybe(2) {
        None => of_rows(Bag { rows, counts, bags: ids.dims()[0] }, mode),
        Some(offsets) => of_parts(Bag { rows, counts, bags: offsets.dims()[0] }, offsets, mode),
    }]
}

/// A bag a row of ids: [B, n, d] to [B, d].
fn of_rows<'g>(bag: Bag<'g>, mode: &str) -> Var<'g> {
    let (rows, dims) = (bag.rows, bag.rows.dims());
    let empty = || rows.builder.graph.borrow().shapes.dims.as_const(dims[1]) == Some(0);
    if mode == "max" {
        let none = || filled(rows, &[dims[0], dims[2]], 0.0);
        return if empty() { none() } else { largest_of(rows, bag.counts) };
    }
    let zero = number(rows.builder, rows.dtype(), 0.0);
    let kept = bag.counts.map_or(rows, |counts| choose(counts.spread(&dims, &[2]), rows, zero));
    let sum = kept.sum(&[1], false);
    if mode == "sum" {
        return sum;
    }
    match bag.counts {
        Some(counts) => sum / at_least(counts.to(rows.dtype()).sum(&[1], false), 1.0).spread(&sum.dims(), &[1]),
        None => sum / at_least(rows.size(dims[1]), 1.0),
    }
}

/// The largest of those that count over the middle axis; 0 where none does.
fn largest_of<'g>(rows: Var<'g>, counts: Option<Var<'g>>) -> Var<'g> {
    let Some(counts) = counts else { return largest(rows, &[1]) };
    let dims = rows.dims();
    let constant = |value: f64| number(rows.builder, rows.dtype(), value);
    let seen = choose(counts.spread(&dims, &[2]), rows, constant(f64::NEG_INFINITY));
    let some = counts.to(rows.dtype()).sum(&[1], false).then(&GT, &[("value", Attr::Float(0.0))]);
    choose(some.spread(&[dims[0], dims[2]], &[1]), largest(seen, &[1]), constant(0.0))
}

/// Bags that lie one behind the other, each from its offset to the next: [n, d] to [B, d].
fn of_parts<'g>(bag: Bag<'g>, offsets: Var<'g>, mode: &str) -> Var<'g> {
    let (rows, dims) = (bag.rows, bag.rows.dims());
    let (n, d, all) = (dims[0], dims[1], bag.bags);
    // The number of offsets that are not behind an id, less one, is the bag of it.
    let begun = counted(rows.builder, n).spread(&[n, all], &[1]).with(offsets, &GE, &[]);
    let own = begun.to(DType::F64).sum(&[1], false).to(DType::I64) - 1.0;
    // An id in front of the first bag is in none: that it is looked for is what reports it.
    let ones = taken(filled(rows, &[all], 1.0), own, 0);
    let share = bag.counts.map_or(ones, |counts| choose(counts, ones, number(rows.builder, rows.dtype(), 0.0)));
    if mode == "max" {
        let members = own.spread(&[all, n], &[0]).with(counted(rows.builder, all).spread(&[all, n], &[1]), &EQ, &[]);
        let counting = share.then(&GT, &[("value", Attr::Float(0.0))]);
        return largest_of(rows.spread(&[all, n, d], &[0]), Some(members.with(counting, &AND, &[])));
    }
    let sum = scattered(own.spread(&dims, &[1]), rows * share.spread(&dims, &[1]), 0, &[all, d]);
    match mode {
        "sum" => sum,
        _ => sum / at_least(scattered(own, share, 0, &[all]), 1.0).spread(&[all, d], &[1]),
    }
}

ops! { OPS;

/// A table of learned rows, one an id.
///
/// An id outside 0 … vocab - 1 is an error at run time. `unembed(layer)` is its tied transpose. The row of `padding_index`
/// gets no gradient. With `max_norm` the table changes in training before the optimizer sees it, as PyTorch's does, and
/// the gradient is that of the changed table.
EMBEDDING = OpDef {
    derivative: "each row of weight gets the sum of dy over the places that asked for it; none to the padding row",
    name: "embedding",
    formula: "y_i = weight[id_i]",
    shape: "i64[..] -> f32[.., d]",
    torch: "nn.Embedding",
    example: "ids: i64[2] = [1, 0], vocab = 2, d = 2, init = eye -> [0, 1, 1, 0]",
    attrs: ATTRS,
    operands: &[Operand::int("ids")],
    rule: |cx| {
        let mut dims = cx.rank(0, 0, 7)?;
        dims.push(table_rule(cx)?);
        cx.out_of(DType::F32, &dims);
        Ok(())
    },
    params: table_params,
    body: Body::Expand(|cx| vec![rows(cx, cx.x(0))]),
    flops: Some(|cx| cx.shapes.dims.constant(0)),
    ..OpDef::DEFAULT
};

/// The rows of a bag of ids, made one: their mean, their sum, or the largest of each column.
///
/// Ids `[B, n]` are B bags of n; ids `[n]` with `offsets = i64[B]` are B bags one behind the other, each from its offset
/// to the next: ascending, the first of them 0. `weights`, beside the ids, only with `mode = "sum"`. An id that is
/// `padding_index` counts in no bag. An empty bag gives 0.
EMBEDDING_BAG = OpDef {
    name: "embedding_bag",
    formula: "y_b = mean_i weight[id_bi]",
    shape: "(ids i64[B, n][, weights [B, n]]) or (ids i64[n], offsets = i64[B][, weights = [n]]) -> f32[B, d]",
    torch: "nn.EmbeddingBag",
    example: "ids: i64[1, 2] = [1, 0], vocab = 2, d = 2, init = eye -> [0.5, 0.5]",
    attrs: BAG,
    operands: &[Operand::int("ids"), Operand::float("weights").optional(), Operand::int("offsets").optional()],
    rule: bag_rule,
    params: table_params,
    body: Body::Expand(bag),
    flops: Some(|cx| cx.shapes.dims.constant(0)),
    ..OpDef::DEFAULT
};

/// A product with a factor that the first operand already has for whoever asks for its gradient.
HELD = OpDef {
    name: "embedding.held",
    operands: &[Operand::float("table"), Operand::float("factor")],
    rule: elementwise,
    body: Body::Map { op: &map::ops::MUL, imm: super::arithmetic::plain },
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy()), None]),
    ..OpDef::DEFAULT
};

/// Rows of a table.
LOOKUP = OpDef {
    name: "gather.rows",
    attrs: PLAIN,
    operands: &[Operand::int("ids"), Operand::float("table")],
    rule: |cx| {
        let (mut dims, table) = (cx.dims(0)?, cx.rank(1, 2, 2)?);
        dims.push(table[1]);
        let dtype = cx.operand(1)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    body: Body::Kernel { kernel: &gather::EMBEDDING, args: pad_args },
    gradient: Gradient::Formula(|cx| {
        let shape = shape_attr(&cx.x(1).dims());
        let back = || cx.builder.one(&LOOKUP_GRAD, cx.attrs.replaced("shape", shape), &[cx.x(0), cx.dy()]);
        let by = |grad| if cx.attrs.flag("scale_grad_by_freq") { by_frequency(cx.x(0), grad) } else { grad };
        vec![None, cx.when(1, || by(back()))]
    }),
    ..OpDef::DEFAULT
};

/// The gradient of the table: rows added in the order of their ids.
LOOKUP_GRAD = OpDef {
    name: "gather.rows'",
    attrs: PLAIN,
    operands: &[Operand::int("ids"), Operand::float("dy")],
    rule: super::conv::told_shape,
    body: Body::Kernel { kernel: &gather::EMBEDDING_GRAD, args: pad_args },
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

}
