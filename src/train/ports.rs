//! What a model wants of its data: types of inputs and targets, and the ranges of ids.

use crate::data::Port;
use crate::exec::bind::Binding;
use crate::ir::op::resolve_axis;
use crate::ir::structured::{Item, OpItem, PortDef, Region, Structured, ValueId};
use crate::ir::training::Training;

/// The inputs and targets of a train section, as the data must fill them.
pub fn ports(training: &Training) -> (Vec<Port>, Vec<Port>) {
    let of = |ports: &[PortDef]| ports.iter().map(|port| port_of(training, port)).collect();
    (of(&training.model.inputs), of(&training.targets))
}

fn port_of(training: &Training, def: &PortDef) -> Port {
    let model = &training.model;
    let ty = model.values[def.value.0 as usize].ty;
    let known = bound_dims(training);
    let size =
        |dim| model.shapes.dims.eval(dim, &|name| known.get(name).copied()).and_then(|n| usize::try_from(n).ok());
    let axes = model.shapes.dims(ty).iter().skip(1).map(|&dim| size(dim)).collect();
    let mut regions = vec![&model.body, &training.loss.region];
    regions.extend(training.metrics.iter().map(|(_, tail)| &tail.region));
    let (below, ignored) = regions.into_iter().find_map(|region| limit(region, model, def.value)).unzip();
    Port {
        name: def.name.clone().unwrap_or_else(|| "x".into()),
        dtype: ty.dtype,
        axes,
        below,
        ignored: ignored.flatten(),
    }
}

/// Dims that the train section binds, but the first axis of the inputs: that is the batch's own.
pub fn bound_dims(training: &Training) -> Binding {
    let model = &training.model;
    let first = model.inputs.first().and_then(|port| {
        let ty = model.values[port.value.0 as usize].ty;
        model.shapes.dims(ty).first().map(|&dim| model.shapes.dims.show(dim))
    });
    let sizes = training.sizes.iter().filter(|(name, _)| Some(name) != first.as_ref());
    sizes.map(|(name, size)| (name.clone(), *size as i64)).collect()
}

/// The bound below which the ids of a value must lie: rows of the table that reads them, or classes of a loss; and one
/// beside them that the loss leaves out.
fn limit(region: &Region, model: &Structured, value: ValueId) -> Option<(i64, Option<i64>)> {
    region.items.iter().find_map(|item| match item {
        Item::Op(op) => limit_of(op, model, value),
        Item::Scope(scope) => limit(&scope.region, model, value),
        Item::Repeat(repeat) => repeat.runs.iter().find_map(|run| limit(&run.region, model, value)),
    })
}

fn limit_of(op: &OpItem, model: &Structured, value: ValueId) -> Option<(i64, Option<i64>)> {
    match op.operands.iter().position(|operand| *operand == Some(value))? {
        0 => Some((op.attrs.int("vocab")?, None)),
        // Labels beside logits.
        1 => {
            let logits = model.values[op.operands[0]?.0 as usize].ty;
            let dims = model.shapes.dims(logits);
            let target = model.shapes.dims(model.values[value.0 as usize].ty).len();
            let axis = resolve_axis(op.attrs.int("axis")?, dims.len()).filter(|_| target + 1 == dims.len())?;
            Some((model.shapes.dims.as_const(dims[axis])?, op.attrs.int("ignore_index")))
        }
        _ => None,
    }
}

/// The path of a layer that would take statistics of a single value in train mode, under these sizes.
pub fn one_value_a_statistic(model: &Structured, bound: &Binding) -> Option<String> {
    fn find(region: &Region, model: &Structured, bound: &Binding) -> Option<String> {
        region.items.iter().find_map(|item| match item {
            Item::Op(op) if op.op.facts.by_mode && !op.op.facts.random => {
                let ty = model.values[op.operands.first().copied().flatten()?.0 as usize].ty;
                let sizes = model.shapes.eval(ty.shape, &|name| bound.get(name).copied())?;
                let values: usize =
                    sizes.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, size)| size).product();
                (values == 1).then(|| crate::ir::structured::show_path(&op.path))
            }
            Item::Op(_) => None,
            Item::Scope(scope) => find(&scope.region, model, bound),
            Item::Repeat(repeat) => repeat.runs.iter().find_map(|run| find(&run.region, model, bound)),
        })
    }
    find(&model.body, model, bound)
}
