//! The whole way, a stage a line: text to tree to structured graph to flat graph to a session that runs.
//!
//! ```text
//! check       text -> tree -> structured graph + diagnostics
//! forward     structured -> flat graph (one mode) -> simplified, fused
//! gradients   ... with the gradients of inputs and parameters for given cotangents
//! step        ... with loss, gradients and updates: a whole training step
//! evaluation  ... with loss and metrics, in eval mode
//! ```

mod check;
mod sizes;

pub use check::{Checked, check};
pub use sizes::{Unmet, check_sizes};

use crate::ir::attr::{Attr, Attrs};
use crate::ir::build::{Builder, Mode, Var};
use crate::ir::graph::{Graph, Output, Port, Source};
use crate::ir::structured::{Structured, Tail};
use crate::ir::training::Training;
use crate::ops::loss::GUARD;
use crate::ops::source::{FILL, INPUT};
use crate::passes::autodiff::gradients as reverse;
use crate::passes::expand::{Expander, builder};
use crate::passes::fuse::fuse;
use crate::passes::simplify::simplify;
use crate::passes::update::{update, watch};
use crate::tensor::DType;

/// The stages of a graph that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// One mode, composites written out.
    Flat,
    /// With gradients (and updates).
    Gradient,
    /// Elementwise neighbours joined: what is planned.
    Fused,
}

/// The outputs of a model, `Out(name)`, in one mode.
pub fn forward(model: &Structured, mode: Mode, float: DType, stage: Stage) -> Graph {
    let builder = builder(model, mode, float);
    let expander = Expander::new(model, &builder);
    outputs(model, &expander);
    lower(builder, stage)
}

/// Outputs, and the gradients of all float inputs and parameters for cotangents that are handed in beside the inputs.
pub fn gradients(model: &Structured, mode: Mode, float: DType, stage: Stage) -> Graph {
    let builder = builder(model, mode, float);
    let expander = Expander::new(model, &builder);
    outputs(model, &expander);
    let mut seeds = vec![];
    for (name, var) in named_outputs(model, &expander) {
        if var.dtype().is_float() {
            let ty = var.ty();
            let source = builder.graph.borrow_mut().add_source(&INPUT, Source::Cotangent(name), ty, 0);
            seeds.push((var.port, builder.var(source)));
        }
    }
    let mut wanted = vec![];
    for (index, port) in model.inputs.iter().enumerate() {
        let var = expander.get(port.value);
        if var.dtype().is_float() {
            let name = port.name.clone().unwrap_or_else(|| format!("x{index}").trim_end_matches('0').to_string());
            wanted.push((Output::GradInput(name), var.port));
        }
    }
    for index in expander.learned(&[]) {
        let port = builder.graph.borrow().params[index as usize].port;
        wanted.push((Output::GradParam(index), port));
    }
    let ports: Vec<_> = wanted.iter().map(|(_, port)| *port).collect();
    let grads = reverse(&builder, &seeds, &ports);
    for ((output, port), grad) in wanted.into_iter().zip(grads) {
        let grad = grad.unwrap_or_else(|| crate::ops::movement::zeros_like(builder.var(port)));
        builder.graph.borrow_mut().outputs.push((output, grad.port));
    }
    lower(builder, stage)
}

/// A whole training step: loss, its terms, gradients, updates, running statistics.
pub fn step(training: &Training, float: DType, stage: Stage) -> Graph {
    let builder = builder(&training.model, Mode::Train, float);
    let mut expander = Expander::new(&training.model, &builder);
    expander.inputs(&training.targets);
    let loss = expander.tail(&training.loss).op(&GUARD);
    push(&builder, Output::Loss, loss);
    terms(&builder, &expander, &training.loss);
    if stage != Stage::Flat {
        let learned = expander.learned(&training.freeze);
        let ports: Vec<_> = learned.iter().map(|&index| builder.graph.borrow().params[index as usize].port).collect();
        let seed = ones_like(&builder, loss);
        let grads = reverse(&builder, &[(loss.port, seed)], &ports);
        let learned: Vec<_> = learned.into_iter().zip(grads).filter_map(|(index, grad)| Some((index, grad?))).collect();
        watch(&builder, &training.watch, &learned);
        update(&builder, &training.optimizers, training.clip, &learned);
    }
    lower(builder, stage)
}

/// Outputs, loss and metrics in eval mode.
pub fn evaluation(training: &Training, float: DType) -> Graph {
    let builder = builder(&training.model, Mode::Eval, float);
    let mut expander = Expander::new(&training.model, &builder);
    expander.inputs(&training.targets);
    let loss = expander.tail(&training.loss);
    push(&builder, Output::Loss, loss);
    terms(&builder, &expander, &training.loss);
    for (name, metric) in &training.metrics {
        let value = expander.tail(metric);
        push(&builder, Output::Metric(name.clone()), value);
    }
    lower(builder, Stage::Fused)
}

/// The forward pass of a training step with every value as an output, in order: to find the first that is not finite.
/// Each is a `Term` with the path of its layer.
pub fn probe(training: &Training, float: DType) -> Graph {
    let mut graph = step(training, float, Stage::Flat);
    graph.outputs.clear();
    // Not what is handed in: a statistic would be looked at after its update.
    let nodes = graph.ids().filter(|id| !graph.node(*id).op.facts.stops && !graph.sources.contains_key(id));
    let ports = |id| (0..graph.outs(id).len()).map(move |index| Port { node: id, index: index as u32 });
    let values = nodes.flat_map(ports).map(|port| (Output::Term(graph.origin_of(port.node).path.clone()), port));
    graph.outputs = values.collect();
    // The guard goes: it would stop the run that looks for the culprit.
    fuse(&simplify(&graph))
}

fn lower(builder: Builder, stage: Stage) -> Graph {
    let graph = simplify(&builder.finish());
    if stage == Stage::Fused { fuse(&graph) } else { graph }
}

fn push(builder: &Builder, output: Output, var: Var<'_>) {
    builder.graph.borrow_mut().outputs.push((output, var.port));
}

fn terms(builder: &Builder, expander: &Expander<'_>, tail: &Tail) {
    for (name, value) in &tail.terms {
        push(builder, Output::Term(name.clone()), expander.get(*value));
    }
}

/// The names of a model's outputs: a single unnamed one is `out`.
pub fn output_names(model: &Structured) -> Vec<String> {
    let alone = model.outputs.len() == 1;
    let name = |(index, name): (usize, &Option<String>)| match name {
        Some(name) => name.clone(),
        None if alone => "out".into(),
        None => format!("out{index}"),
    };
    model.outputs.iter().map(|port| &port.name).enumerate().map(name).collect()
}

fn named_outputs<'a>(model: &Structured, expander: &Expander<'a>) -> Vec<(String, Var<'a>)> {
    output_names(model).into_iter().zip(model.outputs.iter().map(|port| expander.get(port.value))).collect()
}

fn outputs(model: &Structured, expander: &Expander<'_>) {
    for (name, var) in named_outputs(model, expander) {
        push(expander.builder, Output::Out(name), var);
    }
}

/// 1, as a gradient of a scalar.
fn ones_like<'g>(builder: &'g Builder, var: Var<'g>) -> Var<'g> {
    let given = [
        ("shape", crate::ir::build::shape_attr(&var.dims())),
        ("value", Attr::Float(1.0)),
        ("dtype", Attr::Str(var.dtype().word().into())),
    ];
    builder.apply(&FILL, Attrs::with(FILL.attrs, &given), &[])[0]
}
