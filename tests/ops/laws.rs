//! The laws, one function each.

use crate::matrix::catalogue;
use crate::model::{Given, Named, largest, numbers, tensor, worst};
use crate::samples::{Sample, outcome};
use crate::trial::{Draw, Numbers, different, given, go, run};
use ndarray::{ArrayD, Slice};
use std::collections::BTreeMap;
use wythe::exec::bind::{Binding, inputs};
use wythe::exec::session::Session;
use wythe::ir::attr::{Attr, AttrKind};
use wythe::ir::build::Mode;
use wythe::ir::graph::Graph;
use wythe::ir::op::{Condition, CostCx, Gradient, OpDef, Role, resolve_axis};
use wythe::ir::shape::{Shapes, Type};
use wythe::ir::structured::Structured;
use wythe::passes::fuse::{fuse, unfused};
use wythe::pipeline::{self, Stage};
use wythe::tensor::{DType, Tensor};

/// What a law says of one sample.
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not speak of this sample; why not.
    Silent(&'static str),
    /// It is broken; how.
    Broken(String),
}

use Verdict::{Broken, Holds, Silent};

/// A law: its name in the matrix, and what it says of a sample.
pub struct Law {
    /// Its column.
    pub name: &'static str,
    /// What it says.
    pub judge: fn(&Sample) -> Verdict,
}

/// The laws that speak of single uses.
pub static LAWS: &[Law] = &[
    Law { name: "shape", judge: shapes_are_as_promised },
    Law { name: "symbols", judge: symbols_then_numbers },
    Law { name: "gradient", judge: gradients_are_differences },
    Law { name: "width", judge: f32_is_f64_rounded },
    Law { name: "finite", judge: finite_at_a_hundred },
    Law { name: "fusion", judge: fused_is_unfused },
    Law { name: "threads", judge: threads_change_no_bit },
    Law { name: "row", judge: a_row_alone },
    Law { name: "flops", judge: declared_flops_are_counted },
];

/// The modes that a use tells apart.
fn modes(sample: &Sample) -> &'static [Mode] {
    if sample.op.facts.by_mode || sample.op.acts_by_mode(&sample.attrs) {
        &[Mode::Eval, Mode::Train]
    } else {
        &[Mode::Eval]
    }
}

const WIDTHS: [DType; 2] = [DType::F64, DType::F32];

fn gradients(model: &Structured, mode: Mode, float: DType) -> Graph {
    pipeline::gradients(model, mode, float, Stage::Fused)
}

/// One value a channel has no variance.
fn too_few(sample: &Sample, mode: Mode) -> bool {
    let sizes = sample.sizes();
    let rows = || {
        sizes
            .first()
            .and_then(Option::as_ref)
            .is_some_and(|shape| shape.iter().enumerate().filter(|(i, _)| *i != 1).map(|(_, n)| n).product::<i64>() < 2)
    };
    mode == Mode::Train && sample.op.facts.by_mode && !sample.op.facts.random && rows()
}

macro_rules! check {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Broken(error.to_string()),
        }
    };
}

// (1)
fn shapes_are_as_promised(sample: &Sample) -> Verdict {
    let mut shapes = sample.model.shapes.clone();
    let (outs, _) = outcome(sample.op, &mut shapes, &sample.attrs, &sample.types()).expect("samples are accepted");
    let promised: Vec<Vec<usize>> = outs.iter().map(|ty| shapes.eval(ty.shape, &|_| None).expect("numbers")).collect();
    for &mode in modes(sample) {
        for float in WIDTHS {
            let graph = gradients(&sample.model, mode, float);
            let given = given(&graph, sample.op, &Binding::new(), Numbers::Ordinary, 1);
            let (got, _) = check!(run(&graph, float, 1, &given, &Binding::new()));
            let main: Vec<&Tensor> = got.iter().filter(|(name, _)| name.starts_with("Out(")).map(|(_, x)| x).collect();
            for (index, (value, promised)) in main.iter().zip(&promised).enumerate() {
                if value.shape() != promised {
                    return Broken(format!("output {index} is {:?}, promised {promised:?}", value.shape()));
                }
                let right = if value.dtype().is_float() { float } else { value.dtype() };
                if value.dtype() != right || value.dtype().is_float() != outs[index].dtype.is_float() {
                    return Broken(format!("output {index} holds {}", value.dtype()));
                }
            }
            for (name, value) in &given.inputs {
                if let Some(grad) = got.get(&format!("GradInput({name:?})"))
                    && grad.shape() != value.shape()
                {
                    return Broken(format!("the gradient of {name} is {:?}, it is {:?}", grad.shape(), value.shape()));
                }
            }
        }
    }
    Holds
}

// (2)
fn symbols_then_numbers(sample: &Sample) -> Verdict {
    let mut shapes = sample.model.shapes.clone();
    let (numeric, _) = outcome(sample.op, &mut shapes, &sample.attrs, &sample.types()).expect("samples are accepted");
    let numeric: Vec<Vec<usize>> =
        numeric.iter().map(|ty| shapes.eval(ty.shape, &|_| None).expect("numbers")).collect();
    let sizes = sample.sizes();
    if !sizes.is_empty() && sizes.iter().flatten().flatten().all(|&n| n < 2) {
        return Silent("no size to be a symbol");
    }
    let name = |size: i64| (size > 1).then(|| format!("n{size}"));
    let bind = |name: &str| name.strip_prefix('n').and_then(|size| size.parse::<i64>().ok());
    let attempts: [&dyn Fn(usize, usize, i64) -> Option<String>; 4] = [
        &|_, _, size| name(size),
        &|_, axis, size| if axis == 0 { name(size) } else { None },
        &|operand, axis, size| if axis == 0 && operand == 0 { name(size) } else { None },
        &|_, axis, size| if axis == 1 { name(size) } else { None },
    ];
    let mut accepted = 0;
    for symbol in attempts {
        let Ok(symbolic) = sample.symbolic(symbol) else { continue };
        let mut shapes = symbolic.model.shapes.clone();
        let (outs, needs) = outcome(sample.op, &mut shapes, &sample.attrs, &symbolic.types()).expect("it was accepted");
        accepted += 1;
        for (out, numeric) in outs.iter().zip(&numeric) {
            let bound = shapes.eval(out.shape, &bind);
            if bound.as_ref() != Some(numeric) {
                return Broken(format!("{} becomes {bound:?}, and the numbers give {numeric:?}", shapes.show(*out)));
            }
        }
        for need in needs {
            if !holds(&need.condition, &mut shapes, &bind) {
                return Broken(format!("{:?} does not hold of numbers that are accepted", need.condition));
            }
        }
    }
    let (operands, params) = (sample.sizes().is_empty(), !sample.model_params().is_empty());
    if operands && !params {
        return symbolic_attributes(sample, &numeric, &bind);
    }
    if accepted == 0 { Silent("its attributes fix every size") } else { Holds }
}

/// A source has its sizes from its attributes: those as symbols.
fn symbolic_attributes(sample: &Sample, numeric: &[Vec<usize>], bind: &dyn Fn(&str) -> Option<i64>) -> Verdict {
    let mut shapes = sample.model.shapes.clone();
    let attrs = sample.op.attrs.iter().fold(sample.attrs.clone(), |attrs, def| match *attrs.get(def.name) {
        Attr::Int(size) if size > 1 && def.kinds.contains(&AttrKind::Size) => {
            let symbol = shapes.dims.symbol(&format!("n{size}"));
            attrs.replaced(def.name, Attr::Dim(symbol))
        }
        _ => attrs,
    });
    let (outs, _) = check!(outcome(sample.op, &mut shapes, &attrs, &[]).map_err(|misfit| format!("{misfit:?}")));
    let bound: Vec<_> = outs.iter().map(|out| shapes.eval(out.shape, bind)).collect();
    let wanted: Vec<_> = numeric.iter().cloned().map(Some).collect();
    if bound == wanted { Holds } else { Broken(format!("symbols give {bound:?}, numbers {wanted:?}")) }
}

fn holds(condition: &Condition, shapes: &mut Shapes, bind: &dyn Fn(&str) -> Option<i64>) -> bool {
    use Condition::{AtLeast, Divides, Equal};
    let mut number = |dim| {
        let value = shapes.dims.eval(dim, bind).expect("every symbol is bound");
        shapes.dims.constant(value)
    };
    let bound = match *condition {
        Equal(a, b) => Equal(number(a), number(b)),
        AtLeast(a, b) => AtLeast(number(a), number(b)),
        Divides { what, by } => Divides { what: number(what), by: number(by) },
    };
    bound.decide(&mut shapes.dims) == Some(true)
}

/// The step of central differences, and how far they may be off, in units of what the terms of the sum are worth.
const STEP: f64 = 1e-5;
const OFF: f64 = 1e-7;

/// What has no gradient by definition: operator, operand, why.
const EXEMPT: &[(&str, &str, &str)] = &[
    ("detach", "x0", "that is what it is for"),
    ("gaussian_nll", "x2", "a variance below eps is lifted to it, and its gradient is that of eps, as in PyTorch"),
];

/// Uses with a slope that no difference can follow.
const ROUGH: &[(&str, Which, &str)] = &[
    ("cdist", |sample, _| sample.attrs.float("p").is_some_and(|p| p < 1.0), "its slope is not bounded"),
    (
        "cosine_similarity",
        |sample, _| sample.attrs.float("eps").is_some_and(|eps| eps > 0.1),
        "a length below eps is lifted to it, and its gradient is that of the length, as in PyTorch",
    ),
];

// (3)
fn gradients_are_differences(sample: &Sample) -> Verdict {
    if let Some((.., why)) = ROUGH.iter().find(|(op, which, _)| *op == sample.op.name && which(sample, 0)) {
        return Silent(why);
    }
    // A kink between two operands (a jump of a remainder) may be hit once, not three times.
    match gradients_from(sample, 2) {
        Broken(how) if ![12, 22].iter().any(|&seed| matches!(gradients_from(sample, seed), Holds)) => Broken(how),
        Broken(_) => Holds,
        other => other,
    }
}

fn gradients_from(sample: &Sample, seed: u64) -> Verdict {
    let mut judged = false;
    for &mode in modes(sample) {
        // The step of power iteration is a constant for the way back, as in PyTorch; the vectors compare it.
        let iterates = mode == Mode::Train && !sample.op.facts.by_mode;
        if too_few(sample, mode) || iterates {
            continue;
        }
        let graph = gradients(&sample.model, mode, DType::F64);
        let none = Binding::new();
        let base = given(&graph, sample.op, &none, Numbers::Ordinary, seed);
        let (got, _) = check!(run(&graph, DType::F64, 1, &base, &none));
        let mut session = Session::new(vec![graph.clone()], DType::F64, 1).expect("memory");
        let mut loss = |given: &Given| -> Result<f64, String> {
            for (path, value) in &given.weights {
                session.set(path, value).map_err(|error| error.to_string())?;
            }
            let (out, _) = go(&mut session, &graph, given, &none)?;
            let cotangents = given.cotangents.iter().flatten();
            Ok(cotangents.map(|(name, c)| dot(&numbers(&out[&format!("Out({name:?})")]), &numbers(c))).sum())
        };
        let inputs = base.inputs.iter().filter(|(_, value)| value.dtype().is_float());
        let inputs: Vec<(String, bool, String)> =
            inputs.map(|(name, _)| (name.clone(), true, format!("GradInput({name:?})"))).collect();
        let learned = graph.params.iter().enumerate().filter(|(_, param)| param.role != Role::State);
        let learned = learned.map(|(index, param)| (param.path.clone(), false, format!("GradParam({index})")));
        let exempt = |name: &str| EXEMPT.iter().any(|(op, own, _)| (*op, *own) == (sample.op.name, name));
        for (name, is_input, grad) in inputs.into_iter().chain(learned.collect::<Vec<_>>()) {
            let Some(grad) = got.get(&grad).map(numbers) else { return Broken(format!("no gradient of {name}")) };
            let at = if is_input { base.inputs[&name].clone() } else { base.weights[&name].clone() };
            if at.is_empty() || sample.op.gradient_is_zero() || exempt(&name) {
                continue;
            }
            let told = |name: &str| *sample.attrs.get(name) != Attr::None;
            if told("padding_index") || told("max_norm") || sample.attrs.flag("scale_grad_by_freq") {
                return Silent("what flows back to its table is no derivative by definition");
            }
            let mut draw = Draw(3);
            let direction: Vec<f64> = (0..at.len()).map(|_| draw.value()).collect();
            let mut moved = |by: f64| {
                let values = numbers(&at).iter().zip(&direction).map(|(x, u)| x + by * u).collect();
                let mut given = base.clone();
                let place = if is_input { &mut given.inputs } else { &mut given.weights };
                place.insert(name.clone(), tensor(at.shape(), values));
                loss(&given)
            };
            let want = (check!(moved(STEP)) - check!(moved(-STEP))) / (2.0 * STEP);
            let have = dot(&grad, &direction);
            let worth: f64 = grad.iter().zip(&direction).map(|(g, u)| (g * u).abs()).sum();
            judged = true;
            if (have - want).abs() > OFF * (worth + 1.0) * (1.0 + (at.len() as f64).sqrt()) {
                return Broken(format!("{mode:?}: the gradient of {name} is {have}, differences say {want}"));
            }
        }
    }
    if judged { Holds } else { Silent("nothing to differentiate") }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Whether gradients are zero by definition (steps, integers).
trait ZeroGradient {
    fn gradient_is_zero(&self) -> bool;
}

impl ZeroGradient for OpDef {
    fn gradient_is_zero(&self) -> bool {
        matches!(self.gradient, Gradient::Zero)
    }
}

/// How far f32 may be from f64, in units of the largest value.
const ROUNDED: f64 = 64.0 * f32::EPSILON as f64;

// f32 against f64: every output, gradient and statistic.
fn f32_is_f64_rounded(sample: &Sample) -> Verdict {
    for &mode in modes(sample) {
        if too_few(sample, mode) {
            continue;
        }
        let none = Binding::new();
        let wide = gradients(&sample.model, mode, DType::F64);
        let given = given(&wide, sample.op, &none, Numbers::Ordinary, 4);
        let (want, _) = check!(run(&wide, DType::F64, 1, &given, &none));
        let narrow = gradients(&sample.model, mode, DType::F32);
        let (got, _) = check!(run(&narrow, DType::F32, 1, &given, &none));
        for (name, want) in &want {
            let (want, got) = (numbers(want), numbers(&got[name]));
            let (off, at) = worst(&got, &want);
            if off > ROUNDED * largest(&want).max(1.0) {
                return Broken(format!("{mode:?}: {name}[{at}] is {:e} in f32 and {:e} in f64", got[at], want[at]));
            }
        }
    }
    Holds
}

// (4)
fn finite_at_a_hundred(sample: &Sample) -> Verdict {
    if sample.op.facts.domain != (f64::NEG_INFINITY, f64::INFINITY) {
        return Silent("its domain is declared");
    }
    for &mode in modes(sample) {
        if too_few(sample, mode) {
            continue;
        }
        for float in WIDTHS {
            let graph = gradients(&sample.model, mode, float);
            for form in 0..3 {
                let given = given(&graph, sample.op, &Binding::new(), Numbers::Hundreds(form), 5);
                let (got, _) = check!(run(&graph, float, 1, &given, &Binding::new()));
                for (name, value) in &got {
                    if !value.is_empty() && !empty(sample) && numbers(value).iter().any(|x| !x.is_finite()) {
                        return Broken(format!("{mode:?} {float}, form {form}: {name} is not finite"));
                    }
                }
            }
        }
    }
    Holds
}

/// Whether an operand has no element: a mean over nothing is no number.
fn empty(sample: &Sample) -> bool {
    sample.sizes().iter().flatten().any(|shape| shape.contains(&0))
}

// (5)
fn fused_is_unfused(sample: &Sample) -> Verdict {
    for &mode in modes(sample) {
        for float in WIDTHS {
            let graph = pipeline::gradients(&sample.model, mode, float, Stage::Gradient);
            let (joined, alone) = (fuse(&graph), unfused(&graph));
            let given = given(&joined, sample.op, &Binding::new(), Numbers::Ordinary, 6);
            let (a, _) = check!(run(&joined, float, 1, &given, &Binding::new()));
            let (b, _) = check!(run(&alone, float, 1, &given, &Binding::new()));
            if let Some(found) = different(&a, &b) {
                return Broken(format!("{mode:?} {float}: fused and unfused differ: {found}"));
            }
        }
    }
    Holds
}

/// The largest batch that is tried: a plan that is still too small for two threads then is small for good.
const MOST_ROWS: i64 = 1 << 21;

// (6)
fn threads_change_no_bit(sample: &Sample) -> Verdict {
    if empty(sample) {
        return Silent("no axis to make it large along");
    }
    let grown = sample.along_batch(false);
    if grown.is_some() && !chosen(sample) {
        return Silent("others of this operator are large enough");
    }
    let model = grown.as_ref().map_or(&sample.model, |grown| &grown.model);
    let mut why = Silent("nothing is computed");
    for &mode in modes(sample) {
        let float = DType::F32;
        let graph = gradients(model, mode, float);
        let look = Session::new(vec![graph.clone()], float, 1).expect("memory");
        let bind = |rows: i64| -> Binding { [("B".to_string(), rows)].into_iter().collect() };
        let mut rows = 131;
        let small = |rows: i64| look.plan(0, &bind(rows)).is_ok_and(|plan| plan.single);
        while grown.is_some() && rows < MOST_ROWS && small(rows) {
            rows = rows * 2 + 1;
        }
        if small(rows) {
            why = Silent(if grown.is_some() { "nothing is computed" } else { "no axis to make it large along" });
            continue;
        }
        let given = given(&graph, sample.op, &bind(rows), Numbers::Ordinary, 7);
        let (one, _) = check!(run(&graph, float, 1, &given, &bind(rows)));
        for threads in [2, 8] {
            let (many, workers) = check!(run(&graph, float, threads, &given, &bind(rows)));
            if let Some(found) = different(&one, &many) {
                return Broken(format!("{mode:?}, {rows} rows: 1 and {threads} threads differ: {found}"));
            }
            why = match workers {
                0 => Silent("nothing is computed"),
                1 => Silent("its work is one share"),
                _ => Holds,
            };
        }
    }
    why
}

/// A few samples of each operator are made large: the first of each rank, and all that were written by hand.
fn chosen(sample: &Sample) -> bool {
    let rank = |sample: &Sample| sample.sizes()[0].as_ref().map_or(0, Vec::len);
    let same = |other: &&Sample| rank(other) == rank(sample) && other.along_batch(false).is_some() && !empty(other);
    let first =
        catalogue().iter().find(|(op, _)| std::ptr::eq(*op, sample.op)).and_then(|(_, all)| all.iter().find(same));
    !sample.model.inputs.is_empty()
        && (first.is_some_and(|first| first.shown == sample.shown)
            || !sample.shown.contains(" |> ")
            || sample.shown.contains('{'))
}

/// Says which uses are meant, by the sample and the number of its axes.
type Which = fn(&Sample, usize) -> bool;

/// Uses whose first axis is not one of samples: operator, which, why.
const NO_BATCH: &[(&str, Which, &str)] = &[
    (
        "batchnorm",
        |sample, _| !sample.attrs.flag("track"),
        "without running statistics it takes the batch's in eval too",
    ),
    ("alibi", |_, rank| rank == 3, "the first of three axes holds heads"),
    ("layernorm", |_, rank| rank == 1, "a vector is one row"),
    (
        "reshape",
        |sample, _| matches!(sample.attrs.ints("shape").as_deref(), Some([first, rest @ ..]) if *first > 0 && rest.contains(&-1)),
        "where -1 stands for it, the batch does not come first any more",
    ),
    ("rmsnorm", |_, rank| rank == 1, "a vector is one row"),
    ("rope", |_, rank| rank == 2, "the first of two axes holds positions"),
    ("tril", |_, rank| rank == 2, "the first of two axes is one of the matrix"),
    ("triu", |_, rank| rank == 2, "the first of two axes is one of the matrix"),
];

// (7)
fn a_row_alone(sample: &Sample) -> Verdict {
    if sample.op.facts.mixes_rows {
        return Silent("it mixes rows");
    }
    if sample.sizes().first().is_none_or(Option::is_none) {
        return Silent("nothing flows in");
    }
    let rank = sample.sizes()[0].as_ref().map_or(0, Vec::len);
    let first_axis = sample.op.attrs.iter().any(|def| {
        let is_axis = def.kinds.contains(&AttrKind::Axis) || def.kinds.contains(&AttrKind::Axes);
        let axes = if is_axis { sample.attrs.ints(def.name) } else { None }.unwrap_or_default();
        let axes: Vec<_> = axes.into_iter().map(|axis| resolve_axis(axis, rank)).collect();
        // An order of all axes may leave the first where it is.
        let stays = def.name == "axes" && axes.len() > 1 && axes.len() == rank && axes[0] == Some(0);
        axes.contains(&Some(0)) && !stays
    });
    let Some(batched) = sample.along_batch(true).filter(|_| !first_axis) else {
        return Silent("its first axis is no batch");
    };
    let rank = sample.sizes()[0].as_ref().map_or(0, Vec::len);
    if let Some((.., why)) =
        NO_BATCH.iter().find(|(name, no_batch, _)| *name == sample.op.name && no_batch(sample, rank))
    {
        return Silent(why);
    }
    for float in WIDTHS {
        let graph = pipeline::forward(&batched.model, Mode::Eval, float, Stage::Fused);
        let bind = |rows: i64| -> Binding { [("B".to_string(), rows)].into_iter().collect() };
        let rows = 5;
        let mut all = given(&graph, sample.op, &bind(rows), Numbers::Ordinary, 8);
        all.cotangents = None;
        let (together, _) = check!(run(&graph, float, 1, &all, &bind(rows)));
        let batch = |ty: Type| graph.shapes.dims(ty).iter().position(|dim| graph.shapes.dims.show(*dim) == "B");
        let names: BTreeMap<String, usize> =
            inputs(&graph).into_iter().filter_map(|(name, ty)| Some((name.to_string(), batch(ty)?))).collect();
        let outs = graph.outputs.iter().filter_map(|(out, port)| Some((format!("{out:?}"), batch(graph.ty(*port))?)));
        let outs: BTreeMap<String, usize> = outs.collect();
        for row in 0..rows as usize {
            let mut one = all.clone();
            for (name, &axis) in &names {
                one.inputs.insert(name.clone(), slice(&all.inputs[name], axis, row));
            }
            let (alone, _) = check!(run(&graph, float, 1, &one, &bind(1)));
            let share: Named = together
                .iter()
                .filter(|(name, _)| name.starts_with("Out"))
                .map(|(name, x)| (name.clone(), slice(x, outs[name], row)))
                .collect();
            if let Some(found) = different(&share, &alone) {
                return Broken(format!("{float}: row {row} in a batch and alone: {found}"));
            }
        }
    }
    Holds
}

fn slice(value: &Tensor, axis: usize, row: usize) -> Tensor {
    let of_axis = (ndarray::Axis(axis), Slice::from(row..row + 1));
    fn of<T: Clone>(a: &ArrayD<T>, (axis, row): (ndarray::Axis, Slice)) -> ArrayD<T> {
        a.slice_axis(axis, row).to_owned()
    }
    match value {
        Tensor::F32(a) => Tensor::F32(of(a, of_axis)),
        Tensor::F64(a) => Tensor::F64(of(a, of_axis)),
        Tensor::I64(a) => Tensor::I64(of(a, of_axis)),
        Tensor::Bool(a) => Tensor::Bool(of(a, of_axis)),
    }
}

/// Counts from the sizes of operands and result.
type Count = fn(&[Vec<i64>], &[i64]) -> i64;

/// Of the steps of a recurrent layer, forward or back: the recurrent weights, and those that project.
fn steps_of(y: &[i64], w: &[i64], gates: i64) -> i64 {
    let (n, p) = (w[0] / gates, w[1]);
    2 * y[0] * y[1] * (w[0] * p + if n == p { 0 } else { n * p })
}

/// The multiplications and additions of the primitives that multiply.
const PRODUCTS: &[(&str, Count)] = &[
    ("linear.affine", |ins, out| 2 * out.iter().product::<i64>() * ins[1][1]),
    ("linear.matmul", |ins, out| 2 * out.iter().product::<i64>() * ins[1][0]),
    ("linear.bmm", |ins, out| 2 * out.iter().product::<i64>() * ins[1][ins[1].len() - 2]),
    ("conv.plain", |ins, out| 2 * out.iter().product::<i64>() * ins[1][1..].iter().product::<i64>()),
    ("conv.plain'x", |ins, _| 2 * ins[0].iter().product::<i64>() * ins[1][1..].iter().product::<i64>()),
    ("conv.plain'weight", |ins, out| 2 * ins[1].iter().product::<i64>() * out[1..].iter().product::<i64>()),
    ("attention.sdpa", |ins, _| 2 * ins[0][..3].iter().product::<i64>() * ins[1][2] * (ins[0][3] + ins[2][3])),
    // No product, but work: some operations for each step and place of a path.
    ("loss.ctc", |ins, _| 16 * ins[0][0] * ins[0][1] * (2 * ins[1][1] + 1)),
    ("loss.ctc'", |ins, _| 16 * ins[0][0] * ins[0][1] * (2 * ins[1][1] + 1)),
    ("recurrent.rnn", |ins, out| steps_of(out, &ins[1], 1)),
    ("recurrent.lstm", |ins, out| steps_of(out, &ins[1], 4)),
    ("recurrent.gru", |ins, out| steps_of(out, &ins[1], 3)),
    ("recurrent.rnn'", |ins, out| steps_of(out, &ins[0], 1)),
    ("recurrent.lstm'", |ins, out| steps_of(out, &ins[0], 4)),
    ("recurrent.gru'", |ins, out| steps_of(out, &ins[0], 3)),
    ("attention.sdpa'", |ins, _| 5 * ins[0][..3].iter().product::<i64>() * ins[1][2] * (ins[0][3] + ins[2][3])),
];

// (9)
fn declared_flops_are_counted(sample: &Sample) -> Verdict {
    let number = |shapes: &Shapes, ty: Type| -> Vec<i64> {
        shapes.eval(ty.shape, &|_| None).expect("numbers").iter().map(|&n| n as i64).collect()
    };
    // The whole graph with its gradients: what each primitive declares.
    let graph = pipeline::gradients(&sample.model, Mode::Eval, DType::F32, Stage::Gradient);
    for id in graph.ids() {
        let op = graph.node(id).op;
        let counted = PRODUCTS.iter().find(|(name, _)| *name == op.name).map(|(_, count)| count);
        let ins: Vec<Vec<i64>> = graph
            .ins(id)
            .iter()
            .filter(|port| !port.is_none())
            .map(|&port| number(&graph.shapes, graph.ty(port)))
            .collect();
        let counted = counted.map(|count| count(&ins, &number(&graph.shapes, graph.outs(id)[0])));
        let mut shapes = graph.shapes.clone();
        let types: Vec<_> = graph.ins(id).iter().map(|&port| (!port.is_none()).then(|| graph.ty(port))).collect();
        let declared = op.flops.map(|flops| {
            let dim =
                flops(&mut CostCx { shapes: &mut shapes, attrs: graph.attrs(id), ins: &types, outs: graph.outs(id) });
            shapes.dims.eval(dim, &|_| None).expect("numbers")
        });
        if declared != counted {
            return Broken(format!("{} declares {declared:?} FLOPs, counted are {counted:?}", op.name));
        }
    }
    // The operator itself against its expansion.
    let Some(flops) = sample.op.flops else { return Silent("it declares none") };
    // What is declared is the cost of the main output.
    let mut main = sample.model.clone();
    main.outputs.truncate(1);
    let flat = pipeline::forward(&main, Mode::Eval, DType::F32, Stage::Flat);
    let mut counted = 0;
    for id in flat.ids() {
        if let Some((_, count)) = PRODUCTS.iter().find(|(name, _)| *name == flat.node(id).op.name) {
            let ins: Vec<Vec<i64>> = flat
                .ins(id)
                .iter()
                .filter(|port| !port.is_none())
                .map(|&port| number(&flat.shapes, flat.ty(port)))
                .collect();
            counted += count(&ins, &number(&flat.shapes, flat.outs(id)[0]));
        }
    }
    let mut shapes = sample.model.shapes.clone();
    let types = sample.types();
    let (outs, _) = outcome(sample.op, &mut shapes, &sample.attrs, &types).expect("samples are accepted");
    let dim = flops(&mut CostCx { shapes: &mut shapes, attrs: &sample.attrs, ins: &types, outs: &outs });
    let declared = shapes.dims.eval(dim, &|_| None).expect("numbers");
    if declared == counted {
        Holds
    } else {
        Broken(format!("it declares {declared} FLOPs, its expansion has {counted}"))
    }
}
