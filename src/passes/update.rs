//! The optimizer as nodes of the same graph: clipping, one update a parameter, the norm of all gradients.

use crate::ir::attr::{Attr, Attrs};
use crate::ir::build::{Builder, Var};
use crate::ir::dim::Dims;
use crate::ir::graph::{Output, Source};
use crate::ir::op::Role;
use crate::ir::training::{Clip, Group};
use crate::ops::arithmetic::{ABS, EXP, LOG, MAP_MAXIMUM, SQRT};
use crate::ops::movement::concat;
use crate::ops::reduce::{LARGEST, SUM_SQUARES};
use crate::ops::source::INPUT;
use crate::optim::{HYPERS, OptimizerDef, find_optimizer};
use crate::tensor::DType;

/// Operands of an update: parameter, gradient, three slots or fewer; then the host's numbers.
const SLOTS_END: usize = 5;
/// The output with the gradient's partial sums of squares.
const SQUARES: usize = 4;

/// The optimizer of a parameter: the first group whose pattern fits its path, else the one without a pattern, wherever
/// it stands.
pub fn group_of(groups: &[Group], path: &str) -> Option<usize> {
    let fits = |group: &Group| group.pattern.as_ref().is_some_and(|pattern| crate::ir::params::matches(pattern, path));
    let rest = || groups.iter().position(|group| group.pattern.is_none());
    groups.iter().position(fits).or_else(rest)
}

/// Adds the updates of `learned` parameters (indices and gradients), and the outputs `GradNorm`.
pub fn update<'g>(builder: &'g Builder, groups: &[Group], clip: Option<Clip>, learned: &[(u32, Var<'g>)]) {
    let (scaled, norm) = match clip {
        Some(clip) => clipped(builder, clip, learned),
        None => (learned.to_vec(), None),
    };
    let hypers = hypers(builder, groups);
    let mut partials = vec![];
    for (index, grad) in scaled {
        let path = builder.graph.borrow().params[index as usize].path.clone();
        let Some(group) = group_of(groups, &path) else { continue };
        let Some(def) = find_optimizer(&groups[group].optimizer.name) else { continue };
        partials.push(one(builder, def, &groups[group].optimizer.attrs, hypers[group], index, grad));
    }
    if let Some(norm) = norm.or_else(|| total_norm(&partials)) {
        builder.graph.borrow_mut().outputs.push((Output::GradNorm, norm.port));
    }
}

/// Adds an output `GradNormOf` for each pattern: the norm of those gradients of `learned` whose paths fit.
pub fn watch<'g>(builder: &'g Builder, patterns: &[String], learned: &[(u32, Var<'g>)]) {
    let fits = |pattern: &str, index: u32| {
        crate::ir::params::matches(pattern, &builder.graph.borrow().params[index as usize].path)
    };
    for pattern in patterns {
        let fitting: Vec<_> = learned.iter().copied().filter(|&(index, _)| fits(pattern, index)).collect();
        if let Some(norm) = norm_of(&fitting, 2.0) {
            builder.graph.borrow_mut().outputs.push((Output::GradNormOf(pattern.clone()), norm.port));
        }
    }
}

/// The root of the sum of all partial sums of squares.
fn total_norm<'g>(partials: &[Var<'g>]) -> Option<Var<'g>> {
    (!partials.is_empty()).then(|| concat(partials, 0).sum(&[0], false).op(&SQRT))
}

/// The p-norm of all gradients together, in f64.
fn norm_of<'g>(grads: &[(u32, Var<'g>)], p: f64) -> Option<Var<'g>> {
    if grads.is_empty() {
        return None;
    }
    if p == 2.0 {
        return total_norm(&grads.iter().map(|(_, grad)| grad.op(&SUM_SQUARES)).collect::<Vec<_>>());
    }
    if p.is_infinite() {
        let largest = concat(&grads.iter().map(|(_, grad)| grad.op(&LARGEST)).collect::<Vec<_>>(), 0);
        let row = [&[Dims::ONE], largest.dims().as_slice()].concat();
        return Some(largest.reshape(&row).op(&LARGEST).reshape(&[]));
    }
    // |g|^p = exp(p log |g|): the logarithm of 0 is -inf, and its power 0.
    let powers = grads.iter().map(|(_, grad)| (grad.to(DType::F64).op(&ABS).op(&LOG) * p).op(&EXP).sum_all());
    let sum = powers.reduce(|sum, power| sum + power)?;
    Some((sum.op(&LOG) / p).op(&EXP))
}

/// Gradients after clipping, and their norm before it.
fn clipped<'g>(builder: &'g Builder, clip: Clip, learned: &[(u32, Var<'g>)]) -> (Vec<(u32, Var<'g>)>, Option<Var<'g>>) {
    match clip {
        Clip::Value(limit) => {
            let cap = |grad: Var<'g>| {
                -(-grad.then(&MAP_MAXIMUM, &[("value", Attr::Float(-limit))]))
                    .then(&MAP_MAXIMUM, &[("value", Attr::Float(-limit))])
            };
            let norm = norm_of(learned, 2.0);
            (learned.iter().map(|&(index, grad)| (index, cap(grad))).collect(), norm)
        }
        Clip::Norm(most, p) => {
            let Some(norm) = norm_of(learned, p) else { return (vec![], None) };
            // min(1, most / (norm + 1e-6)), torch's clip_grad_norm_.
            let scale = most / (norm + 1e-6);
            let scale = -(-scale).then(&MAP_MAXIMUM, &[("value", Attr::Float(-1.0))]);
            let scale = scale.to(builder.float);
            (learned.iter().map(|&(index, grad)| (index, grad * scale)).collect(), Some(norm))
        }
    }
}

/// The update of one parameter; gives its gradient's partial sums of squares.
fn one<'g>(
    builder: &'g Builder,
    def: &'static OptimizerDef,
    attrs: &Attrs,
    hyper: Var<'g>,
    index: u32,
    grad: Var<'g>,
) -> Var<'g> {
    let (param, ty, path, role) = {
        let mut graph = builder.graph.borrow_mut();
        let param = &mut graph.params[index as usize];
        // What the step itself has made of it (rows cut to their longest length) is what is moved.
        (param.next.take().unwrap_or(param.port), param.ty, param.path.clone(), param.role)
    };
    builder.at(&path, crate::text::Span::default());
    let slots = (def.slots)(attrs).len() as u32;
    let mut ins = vec![Some(builder.var(param)), Some(grad)];
    for slot in 0..slots {
        let source = builder.graph.borrow_mut().add_source(&INPUT, Source::Slot(index, slot), ty, 0);
        ins.push(Some(builder.var(source)));
    }
    ins.resize(SLOTS_END, None);
    ins.push(Some(hyper));
    let decays = role == Role::Weight || attrs.str("decay") == Some("all");
    let outs = builder.apply(def.op, attrs.replaced(".decays", Attr::Bool(decays)), &ins);
    let mut graph = builder.graph.borrow_mut();
    graph.writes.push((outs[0].port, Source::Param(index)));
    for slot in 0..slots {
        graph.writes.push((outs[1 + slot as usize].port, Source::Slot(index, slot)));
    }
    drop(graph);
    outs[SQUARES]
}

/// The host scalars of each group.
fn hypers<'g>(builder: &'g Builder, groups: &[Group]) -> Vec<Var<'g>> {
    let one = |group: u32| {
        let mut graph = builder.graph.borrow_mut();
        let size = graph.shapes.dims.constant(HYPERS as i64);
        let ty = graph.shapes.ty(DType::F64, &[size]);
        let port = graph.add_source(&INPUT, Source::Hyper(group), ty, 0);
        drop(graph);
        builder.var(port)
    };
    (0..groups.len() as u32).map(one).collect()
}
