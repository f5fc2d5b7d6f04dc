//! The optimizer as nodes of the same graph: clipping, one update a parameter, the norm of all gradients.

use crate::ir::attr::{Attr, Attrs};
use crate::ir::build::{Builder, Var};
use crate::ir::graph::{Output, Port, Source};
use crate::ir::op::Role;
use crate::ir::training::{Clip, Group};
use crate::ops::arithmetic::{MAP_MAXIMUM, SQRT};
use crate::ops::movement::concat;
use crate::ops::reduce::SUM_SQUARES;
use crate::ops::source::INPUT;
use crate::optim::{HYPERS, OptimizerDef, find_optimizer};
use crate::tensor::DType;

/// Operands of an update: parameter, gradient, three slots or fewer; then the host's numbers.
const SLOTS_END: usize = 5;
/// The output with the gradient's partial sums of squares.
const SQUARES: usize = 4;

/// The optimizer of a parameter: the first group whose pattern fits its path.
pub fn group_of(groups: &[Group], path: &str) -> Option<usize> {
    groups.iter().position(|group| group.pattern.as_ref().is_none_or(|pattern| crate::ir::params::matches(pattern, path)))
}

/// Adds the updates of `learned` parameters (indices and gradients), and the outputs `GradNorm`.
pub fn update<'g>(builder: &'g Builder, groups: &[Group], clip: Option<Clip>, learned: &[(u32, Var<'g>)]) {
    let mut squares = vec![];
    let scaled = match clip {
        Some(clip) => clipped(builder, clip, learned, &mut squares),
        None => learned.to_vec(),
    };
    let mut partials = vec![];
    for (index, grad) in scaled {
        let path = builder.graph.borrow().params[index as usize].path.clone();
        let Some(group) = group_of(groups, &path) else { continue };
        let Some(def) = find_optimizer(&groups[group].optimizer.name) else { continue };
        partials.push(one(builder, def, &groups[group].optimizer.attrs, group as u32, index, grad));
    }
    let norm = match clip {
        Some(Clip::Norm(..)) => squares.first().copied(),
        _ => total_norm(&partials),
    };
    if let Some(norm) = norm {
        builder.graph.borrow_mut().outputs.push((Output::GradNorm, norm.port));
    }
}

/// The root of the sum of all partial sums of squares.
fn total_norm<'g>(partials: &[Var<'g>]) -> Option<Var<'g>> {
    (!partials.is_empty()).then(|| concat(partials, 0).sum(&[0], false).op(&SQRT))
}

/// Gradients after clipping; `squares` receives the norm before it.
fn clipped<'g>(
    builder: &'g Builder,
    clip: Clip,
    learned: &[(u32, Var<'g>)],
    squares: &mut Vec<Var<'g>>,
) -> Vec<(u32, Var<'g>)> {
    match clip {
        Clip::Value(limit) => {
            let cap = |grad: Var<'g>| {
                -(-grad.then(&MAP_MAXIMUM, &[("value", Attr::Float(-limit))]))
                    .then(&MAP_MAXIMUM, &[("value", Attr::Float(-limit))])
            };
            learned.iter().map(|&(index, grad)| (index, cap(grad))).collect()
        }
        Clip::Norm(most, _) => {
            let partials: Vec<Var<'g>> = learned.iter().map(|(_, grad)| grad.op(&SUM_SQUARES)).collect();
            let Some(norm) = total_norm(&partials) else { return vec![] };
            squares.push(norm);
            // min(1, most / (norm + 1e-6)), torch's clip_grad_norm_.
            let scale = most / (norm + 1e-6);
            let scale = -(-scale).then(&MAP_MAXIMUM, &[("value", Attr::Float(-1.0))]);
            let scale = scale.to(builder.float);
            learned.iter().map(|&(index, grad)| (index, grad * scale)).collect()
        }
    }
}

/// The update of one parameter; gives its gradient's partial sums of squares.
fn one<'g>(
    builder: &'g Builder,
    def: &'static OptimizerDef,
    attrs: &Attrs,
    group: u32,
    index: u32,
    grad: Var<'g>,
) -> Var<'g> {
    let (param, ty, path, role) = {
        let graph = builder.graph.borrow();
        let param = &graph.params[index as usize];
        (param.port, param.ty, param.path.clone(), param.role)
    };
    builder.at(&path, crate::text::Span::default());
    let slots = (def.slots)(attrs).len() as u32;
    let mut ins = vec![Some(builder.var(param)), Some(grad)];
    for slot in 0..slots {
        let source = builder.graph.borrow_mut().add_source(&INPUT, Source::Slot(index, slot), ty, 0);
        ins.push(Some(builder.var(source)));
    }
    ins.resize(SLOTS_END, None);
    ins.push(Some(hyper(builder, group)));
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

/// The host scalars of a group.
fn hyper(builder: &Builder, group: u32) -> Var<'_> {
    let source = Source::Hyper(group);
    let found = {
        let graph = builder.graph.borrow();
        graph.sources.iter().find(|(_, known)| **known == source).map(|(node, _)| *node)
    };
    let port = found.map(|node| Port { node, index: 0 }).unwrap_or_else(|| {
        let mut graph = builder.graph.borrow_mut();
        let size = graph.shapes.dims.constant(HYPERS as i64);
        let ty = graph.shapes.ty(DType::F64, &[size]);
        graph.add_source(&INPUT, source, ty, 0)
    });
    builder.var(port)
}
