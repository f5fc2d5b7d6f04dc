//! Positions: fixed waves, rotations, learned biases of distances, and the masks that go with them.

use super::arithmetic::{ABS, COS, EXP, SIN};
use super::embedding::LOOKUP;
use super::index::counted;
use super::logic::{EQ, GE, GT};
use super::movement::concat;
use super::source::RANGE;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init};
use crate::ir::build::{Builder, ExpandCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    ArgsCx, Body, Condition, Gradient, Misfit, MisfitKind, OpDef, Operand, ParamDef, RuleCx, Why, size_of,
};
use crate::kernels::attention;
use crate::kernels::call::Args;
use crate::kernels::float::Float;
use crate::tensor::DType;

const ROPE: &[AttrDef] = &[
    AttrDef::new("base", &[AttrKind::Number], AttrDefault::Float(10000.0), "of the geometric series of angles")
        .within(Domain::Positive),
    AttrDef::new(
        "pairing",
        &[AttrKind::Choice(&["half", "interleaved"])],
        AttrDefault::Str("half"),
        "which two are rotated together",
    ),
    AttrDef::new("dims", &[AttrKind::Size], AttrDefault::None, "how many of the last axis are rotated; all otherwise"),
    AttrDef::new("offset", &[AttrKind::Int], AttrDefault::Int(0), "the first position"),
    AttrDef::new("inverse", &[AttrKind::Bool], AttrDefault::Bool(false), "rotates back").named(),
];

fn rope_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.nums[0] = cx.attrs.float("base").unwrap_or(10000.0);
    args.ints[0] = i32::from(cx.attrs.str("pairing") == Some("interleaved"));
    args.ints[1] = cx.attrs.int("dims").unwrap_or(0) as i32;
    args.ints[2] = cx.attrs.int("offset").unwrap_or(0) as i32;
    args.ints[3] = i32::from(cx.attrs.flag("inverse"));
    args
}

/// Angles by position and column, then sine and cosine side by side.
fn sinusoids<'g>(cx: &ExpandCx<'_, 'g>) -> Var<'g> {
    let (positions, base) = (cx.x(0).to(DType::F64), cx.attrs.float("base").unwrap_or(10000.0));
    let d = cx.attrs.int("d").unwrap_or(2);
    let half = cx.builder.graph.borrow_mut().shapes.dims.constant(d / 2);
    let columns = Attrs::with(RANGE.attrs, &[("from", Attr::Dim(half))]);
    let columns = cx.builder.one(&RANGE, columns, &[]).to(DType::F64);
    let rates = (columns * (-2.0 * Float::ln(base) / d as f64)).op(&EXP);
    let mut dims = positions.dims();
    let axis = dims.len();
    dims.push(half);
    let angles = positions.spread(&dims, &[axis]) * rates;
    dims.push(Dims::ONE);
    let pair = [angles.op(&SIN), angles.op(&COS)].map(|wave| wave.reshape(&dims));
    concat(&pair, axis + 1).fold_from(axis).to(cx.builder.float)
}

/// A size that an attribute tells, in an expansion.
fn told(cx: &ExpandCx<'_, '_>, name: &str) -> Dim {
    let graph = &mut cx.builder.graph.borrow_mut();
    size_of(&mut graph.shapes, cx.attrs.get(name)).expect("elaborate refuses a use without its sizes")
}

/// Sines, then cosines, of the numbers below a size at `width` wavelengths: [side, 2 · width], f64.
fn side_waves(builder: &Builder, side: Dim, width: Dim) -> Var<'_> {
    let column = counted(builder, width).to(DType::F64);
    let rates = (column * -Float::ln(10000.0) / column.size(width)).op(&EXP);
    let angles = counted(builder, side).to(DType::F64).spread(&[side, width], &[1]) * rates;
    concat(&[angles.op(&SIN), angles.op(&COS)], 1)
}

/// The table of a square: columns in the first half of a row, rows in the second, as in MAE.
fn square_waves<'g>(cx: &ExpandCx<'_, 'g>) -> Var<'g> {
    let (side, d) = (told(cx, "side"), told(cx, "d"));
    let (quarter, half, all) = {
        let table = &mut cx.builder.graph.borrow_mut().shapes.dims;
        let (four, two) = (table.constant(4), table.constant(2));
        (table.floor_div(d, four), table.floor_div(d, two), table.mul(side, side))
    };
    let waves = side_waves(cx.builder, side, quarter);
    let full = [side, side, half];
    concat(&[waves.spread(&full, &[0]), waves.spread(&full, &[1])], 2).reshape(&[all, d]).to(cx.builder.float)
}

const Q: AttrDef = AttrDef::required("q", &[AttrKind::Size], "the number of queries");
const K: AttrDef = AttrDef::new("k", &[AttrKind::Size], AttrDefault::Same("q"), "the number of keys");
const HEADS: AttrDef = AttrDef::required("heads", &[AttrKind::Size], "the number of heads").torch("num_heads");
const BIAS_INIT: AttrDef = AttrDef::new("init", &[AttrKind::Init], AttrDefault::None, "normal(0.02) otherwise").named();

const RELATIVE: &[AttrDef] = &[
    HEADS,
    Q,
    K,
    AttrDef::new("buckets", &[AttrKind::Size], AttrDefault::Int(32), "the number of rows").torch("num_buckets"),
    AttrDef::new("max_distance", &[AttrKind::Size], AttrDefault::Int(128), "from where on all distances are one"),
    AttrDef::new("causal", &[AttrKind::Bool], AttrDefault::Bool(false), "all buckets are for keys behind the query"),
    BIAS_INIT,
];

/// Buckets of one direction: how many, and how many of them hold a single distance.
fn buckets(attrs: &Attrs) -> (i64, i64) {
    let all = attrs.int("buckets").unwrap_or(32);
    let own = if attrs.flag("causal") { all } else { all / 2 };
    (own, own / 2)
}

/// The distances at which the buckets behind the exact ones begin: a geometric series up to `max_distance`.
fn thresholds(attrs: &Attrs) -> Vec<i64> {
    let (own, exact) = buckets(attrs);
    let far = attrs.int("max_distance").unwrap_or(128) as f64;
    let at = |step: i64| {
        let share = step as f64 / (own - exact) as f64;
        let begin = exact as f64 * Float::exp(share * Float::ln(far / exact as f64));
        // A whole number that rounding has lifted is still that number.
        (begin - 1e-9 * begin).ceil() as i64
    };
    (1..own - exact).map(at).collect()
}

/// The bucket of the distance of each query and key: `i64[q, k]`.
fn bucket_of<'g>(cx: &ExpandCx<'_, 'g>, queries: Dim, keys: Dim) -> Var<'g> {
    let (own, exact) = buckets(cx.attrs);
    let rows = counted(cx.builder, queries).spread(&[queries, keys], &[1]);
    let ahead = (counted(cx.builder, keys).spread(&[queries, keys], &[0]) - rows).to(DType::F64);
    let at_most = |x: Var<'g>, most: f64| super::activation::at_most(x, most);
    let distance = match cx.attrs.flag("causal") {
        true => super::activation::at_least(-ahead, 0.0),
        false => ahead.op(&ABS),
    };
    let near = at_most(distance, exact as f64);
    let reached = |at: i64| distance.then(&GE, &[("value", Attr::Int(at))]).to(DType::F64);
    let far = thresholds(cx.attrs).into_iter().fold(near, |sum, at| sum + reached(at));
    let far = match cx.attrs.flag("causal") {
        true => far,
        false => far + ahead.then(&GT, &[("value", Attr::Float(0.0))]).to(DType::F64) * own as f64,
    };
    far.to(DType::I64)
}

/// Rows of a table of biases at numbers [q, k], heads in front: [heads, q, k].
fn heads_first<'g>(cx: &ExpandCx<'_, 'g>, numbers: Var<'g>) -> Var<'g> {
    let table = cx.param("weight").expect("a bias declares its table");
    cx.builder.one(&LOOKUP, Attrs::with(LOOKUP.attrs, &[]), &[numbers, table]).permute(&[2, 0, 1])
}

/// Row and column of each place of a window: `i64[window²]`, f64.
fn places<'g>(builder: &'g Builder, window: Dim) -> [Var<'g>; 2] {
    let all = builder.graph.borrow_mut().shapes.dims.mul(window, window);
    let line = counted(builder, window);
    [1, 0].map(|axis| line.spread(&[window, window], &[axis]).reshape(&[all]))
}

/// The number of the offset between two places of a window: `i64[n, n]`.
fn offsets<'g>(cx: &ExpandCx<'_, 'g>, window: Dim) -> Var<'g> {
    let [row, column] = places(cx.builder, window);
    let n = row.dims()[0];
    let apart = |place: Var<'g>| place.spread(&[n, n], &[1]) - place + place.size(window) - 1.0;
    let line = row.size(window) * 2.0 - 1.0;
    apart(row) * line + apart(column)
}

/// Which of the three bands of an axis a place is in, once the picture has been rolled: `i64[size]`.
fn bands<'g>(cx: &ExpandCx<'_, 'g>, name: &str) -> Var<'g> {
    let (size, window, shift) = (told(cx, name), told(cx, "window"), cx.attrs.int("shift").unwrap_or(0));
    let place = counted(cx.builder, size);
    let from_end = |places: Var<'g>| {
        let first = place.size(size) - places;
        place.with(first, &GE, &[]).to(DType::I64)
    };
    let shift = if shift == 0 { place.size(size) * 0.0 } else { place.size(size) * 0.0 + shift as f64 };
    from_end(place.size(window)) + from_end(shift)
}

fn window_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let need =
        |cx: &mut RuleCx<'_>, name: &'static str| cx.size(name).ok_or_else(|| cx.bad_attr(name, "must be a size"));
    let (h, w, window) = (need(cx, "h")?, need(cx, "w")?, need(cx, "window")?);
    for (name, size) in [("h", h), ("w", w)] {
        if let (Some(size), Some(window)) = (cx.shapes.dims.as_const(size), cx.shapes.dims.as_const(window))
            && size % window != 0
        {
            return Err(cx.bad_attr(name, format!("must hold whole windows: {size} is no multiple of {window}")));
        }
        let misfit = Misfit {
            attr: Some(name),
            wanted: Some(window),
            found: Some(size),
            ..Misfit::of(MisfitKind::Divides(Why::Other))
        };
        cx.need(Condition::Divides { what: size, by: window }, misfit)?;
    }
    if let (Some(shift), Some(window)) = (cx.attrs.int("shift"), cx.shapes.dims.as_const(window))
        && !(0..window).contains(&shift)
    {
        return Err(cx.bad_attr("shift", format!("must lie in 0 … {}: less than a window", window - 1)));
    }
    let table = &mut cx.shapes.dims;
    let (n, all) = (table.mul(window, window), table.mul(h, w));
    let windows = table.floor_div(all, n);
    cx.out_of(DType::Bool, &[windows, n, n]);
    Ok(())
}

/// The bands of a picture cut into windows: places of one window in one band see each other.
fn window_mask<'g>(cx: &ExpandCx<'_, 'g>) -> Var<'g> {
    let (h, w, window) = (told(cx, "h"), told(cx, "w"), told(cx, "window"));
    let (rows, columns, n, windows) = {
        let table = &mut cx.builder.graph.borrow_mut().shapes.dims;
        let (rows, columns) = (table.floor_div(h, window), table.floor_div(w, window));
        (rows, columns, table.mul(window, window), table.mul(rows, columns))
    };
    let band = bands(cx, "h").spread(&[h, w], &[1]) * 3.0 + bands(cx, "w");
    let cut = band.reshape(&[rows, window, columns, window]).permute(&[0, 2, 1, 3]).reshape(&[windows, n]);
    let full = [windows, n, n];
    cut.spread(&full, &[2]).with(cut.spread(&full, &[1]), &EQ, &[])
}

/// What two sizes of an attribute list give: queries and keys.
fn queries_keys(cx: &mut RuleCx<'_>) -> Result<[Dim; 2], Misfit> {
    let q = cx.size("q").ok_or_else(|| cx.bad_attr("q", "must be a size"))?;
    let k = cx.size("k").unwrap_or(q);
    Ok([q, k])
}

ops! { OPS;

/// Fixed positions: sines in the even columns, cosines in the odd ones, at wavelengths from 2π to 2π·base.
///
/// Of positions, not added to anything: `x + (range(seq) |> sinusoidal(d))`. Computed in f64 and rounded once.
SINUSOIDAL = OpDef {
    derivative: "positions of floats: p gets sum_i f_i * (dy_(p, 2i) cos(p f_i) - dy_(p, 2i+1) sin(p f_i)), f_i = \
        base^(-2i/d)",
    name: "sinusoidal",
    formula: "y_(p, 2i) = sin(p / base^(2i/d)), y_(p, 2i+1) = cos(p / base^(2i/d))",
    shape: "[..] -> f32[.., d]",
    source: "Vaswani et al. 2017",
    example: "p: i64[2] = [0, 1], d = 2 -> [0, 1, 0.841471, 0.5403023]",
    attrs: &[
        AttrDef::required("d", &[AttrKind::Size], "the width"),
        AttrDef::new("base", &[AttrKind::Number], AttrDefault::Float(10000.0), "of the geometric series of wavelengths")
            .within(Domain::Positive),
    ],
    operands: &[Operand::number("positions")],
    rule: |cx| {
        let mut dims = cx.rank(0, 0, 6)?;
        let d = cx.size("d").ok_or_else(|| cx.bad_attr("d", "must be given"))?;
        let two = cx.shapes.dims.constant(2);
        let misfit = Misfit { attr: Some("d"), wanted: Some(two), found: Some(d), ..Misfit::of(MisfitKind::Divides(Why::Pairs)) };
        cx.need(Condition::Divides { what: d, by: two }, misfit)?;
        dims.push(d);
        cx.out_of(DType::F32, &dims);
        Ok(())
    },
    body: Body::Expand(|cx| vec![sinusoids(cx)]),
    ..OpDef::DEFAULT
};

/// Rotary positions: pairs of the last axis are rotated by angles that grow with the position.
///
/// Products of two rotated vectors depend on the distance of their positions only. `pairing = "half"`: (x_i, x_{i + d/2}),
/// LLaMA's; `"interleaved"`: (x_2i, x_{2i+1}), the paper's.
ROPE_OP = OpDef {
    derivative: "dy, turned back by the same angles",
    name: "rope",
    formula: "pair i at position p turns by p·base^(-2i/d)",
    shape: "[.., seq, head_dim] -> same",
    source: "Su et al. 2021",
    example: "x: f32[1, 2] = [1, 2] -> [1, 2]",
    attrs: ROPE,
    rule: |cx| {
        let dims = cx.rank(0, 2, 8)?;
        let last = dims.len() - 1;
        let two = cx.shapes.dims.constant(2);
        let turned = cx.size("dims").unwrap_or(dims[last]);
        cx.divides(0, last, turned, two, Why::Pairs)?;
        cx.at_least(0, last, dims[last], turned, Why::Pairs)?;
        crate::ir::op::same_as_first(cx)
    },
    body: Body::Kernel { kernel: &attention::ROPE, args: rope_args },
    gradient: Gradient::Formula(|cx| {
        let back = !cx.attrs.flag("inverse");
        vec![Some(cx.builder.one(&ROPE_OP, cx.attrs.replaced("inverse", Attr::Bool(back)), &[cx.dy()]))]
    }),
    ..OpDef::DEFAULT
};

/// Fixed positions of a square of patches: waves of the column in the first half of a row, of the row in the second.
///
/// Row i · side + j stands for the patch in row i and column j, as a picture that was cut into patches has them. Each half
/// is sines, then cosines (not in turn, as `sinusoidal` has them). Computed in f64 and rounded once.
SINCOS_2D = OpDef {
    name: "sincos_2d",
    formula: "[sin(j r_m), cos(j r_m), sin(i r_m), cos(i r_m)], r_m = 10000^(-4m/d), m < d / 4",
    shape: "-> f32[side², d]",
    source: "He et al. 2021 (MAE)",
    example: "side = 1, d = 4 -> [0, 1, 0, 1]",
    attrs: &[
        AttrDef::required("side", &[AttrKind::Size], "patches in a row and in a column"),
        AttrDef::required("d", &[AttrKind::Size], "the width, a multiple of 4"),
    ],
    operands: &[],
    rule: |cx| {
        let need = |cx: &mut RuleCx<'_>, name: &'static str| cx.size(name).ok_or_else(|| cx.bad_attr(name, "must be a size"));
        let (side, d) = (need(cx, "side")?, need(cx, "d")?);
        if cx.shapes.dims.as_const(d).is_some_and(|d| d % 4 != 0) {
            return Err(cx.bad_attr("d", "must be a multiple of 4: sine and cosine, of the column and of the row"));
        }
        let four = cx.shapes.dims.constant(4);
        let misfit = Misfit { attr: Some("d"), wanted: Some(four), found: Some(d), ..Misfit::of(MisfitKind::Divides(Why::Other)) };
        cx.need(Condition::Divides { what: d, by: four }, misfit)?;
        let all = cx.shapes.dims.mul(side, side);
        cx.out_of(DType::F32, &[all, d]);
        Ok(())
    },
    body: Body::Expand(|cx| vec![square_waves(cx)]),
    ..OpDef::DEFAULT
};

/// Whether query i may look at key j ≤ i: the mask of what is written from left to right.
///
/// `attention(8, causal = true)` needs none; this is for attention that is written out, or for a mask with more to it.
CAUSAL_MASK = OpDef {
    name: "causal_mask",
    formula: "j ≤ i",
    shape: "-> bool[q, k]",
    torch: "torch.ones(q, k, dtype = torch.bool).tril()",
    example: "q = 2 -> [1, 0, 1, 1]",
    attrs: &[Q, K],
    operands: &[],
    rule: |cx| {
        let full = queries_keys(cx)?;
        cx.out_of(DType::Bool, &full);
        Ok(())
    },
    body: Body::Expand(|cx| {
        let full = [told(cx, "q"), told(cx, "k")];
        vec![counted(cx.builder, full[0]).spread(&full, &[1]).with(counted(cx.builder, full[1]), &GE, &[])]
    }),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// A learned bias of the scores by the distance of query and key, each head its own: T5's positions.
///
/// To be handed to attention: `b = relative_bias(8, seq)`, then `(x, bias = b) |> attention(8)`. Distances share buckets:
/// the near ones have one each, the far ones are shared the wider the further, and all beyond `max_distance` are one. Keys
/// ahead of the query have the second half of the buckets; with `causal` all buckets are for those behind.
RELATIVE_BIAS = OpDef {
    name: "relative_bias",
    formula: "y_hij = weight[bucket(j - i), h]",
    shape: "-> f32[heads, q, k]",
    source: "Raffel et al. 2019 (T5)",
    example: "heads = 1, q = 2, init = constant(0.5) -> [0.5, 0.5, 0.5, 0.5]",
    attrs: RELATIVE,
    operands: &[],
    rule: |cx| {
        let heads = cx.size("heads").ok_or_else(|| cx.bad_attr("heads", "must be a size"))?;
        let (_, exact) = buckets(cx.attrs);
        let (all, least) = (cx.attrs.int("buckets").unwrap_or(32), if cx.attrs.flag("causal") { 2 } else { 4 });
        if all < least || (all % 2 != 0 && !cx.attrs.flag("causal")) {
            let even = if least == 4 { " and even: half are for keys ahead" } else { "" };
            return Err(cx.bad_attr("buckets", format!("must be at least {least}{even}")));
        }
        if cx.attrs.int("max_distance").is_some_and(|far| far <= exact) {
            return Err(cx.bad_attr("max_distance", format!("must be more than {exact}: so many distances have a bucket each")));
        }
        let [q, k] = queries_keys(cx)?;
        cx.out_of(DType::F32, &[heads, q, k]);
        Ok(())
    },
    params: |cx| {
        let (buckets, heads) = (size_of(cx.shapes, cx.attrs.get("buckets")), size_of(cx.shapes, cx.attrs.get("heads")));
        let (Some(buckets), Some(heads)) = (buckets, heads) else { return vec![] };
        vec![ParamDef::weight("weight", &[buckets, heads], cx.init("init", Init::Normal(0.02, 0.0)))]
    },
    body: Body::Expand(|cx| {
        let (q, k) = (told(cx, "q"), told(cx, "k"));
        let numbers = bucket_of(cx, q, k);
        vec![heads_first(cx, numbers)]
    }),
    ..OpDef::DEFAULT
};

/// A learned bias of the scores by the offset of two places of a window, each head its own: Swin's positions.
WINDOW_BIAS = OpDef {
    name: "window_bias",
    formula: "y_hij = weight[(r_i - r_j + w - 1)(2w - 1) + c_i - c_j + w - 1, h], r and c the row and column of a place",
    shape: "-> f32[heads, n, n], n = window²",
    source: "Liu et al. 2021 (Swin)",
    example: "heads = 1, window = 1, init = constant(0.5) -> [0.5]",
    attrs: &[HEADS, AttrDef::required("window", &[AttrKind::Size], "the side of a window"), BIAS_INIT],
    operands: &[],
    rule: |cx| {
        let need = |cx: &mut RuleCx<'_>, name: &'static str| cx.size(name).ok_or_else(|| cx.bad_attr(name, "must be a size"));
        let (heads, window) = (need(cx, "heads")?, need(cx, "window")?);
        let n = cx.shapes.dims.mul(window, window);
        cx.out_of(DType::F32, &[heads, n, n]);
        Ok(())
    },
    params: |cx| {
        let (heads, window) = (size_of(cx.shapes, cx.attrs.get("heads")), cx.attrs.int("window"));
        let (Some(heads), Some(window)) = (heads, window) else { return vec![] };
        let rows = cx.shapes.dims.constant((2 * window - 1) * (2 * window - 1));
        vec![ParamDef::weight("weight", &[rows, heads], cx.init("init", Init::Normal(0.02, 0.0)))]
    },
    body: Body::Expand(|cx| {
        let numbers = offsets(cx, told(cx, "window"));
        vec![heads_first(cx, numbers)]
    }),
    ..OpDef::DEFAULT
};

/// Which places of a window may look at each other where the picture was rolled by `shift`: Swin's shifted windows.
///
/// What was rolled in from the other side is no neighbour: a window at the edge falls into up to four parts. With
/// `shift = 0` all may.
WINDOW_MASK = OpDef {
    name: "window_mask",
    formula: "two places of a window came from one part of the picture",
    shape: "-> bool[h·w/n, n, n], n = window²",
    source: "Liu et al. 2021 (Swin)",
    example: "h = 2, w = 2, window = 2, shift = 1 -> [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]",
    attrs: &[
        AttrDef::required("h", &[AttrKind::Size], "the height of the picture"),
        AttrDef::required("w", &[AttrKind::Size], "its width"),
        AttrDef::required("window", &[AttrKind::Size], "the side of a window"),
        AttrDef::required("shift", &[AttrKind::Int], "how far the picture was rolled"),
    ],
    operands: &[],
    rule: window_rule,
    body: Body::Expand(|cx| vec![window_mask(cx)]),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

}
