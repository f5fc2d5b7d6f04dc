//! NaN goes on: what an operator swallowed, no training would ever be stopped by.

use crate::matrix::{catalogue, meant};
use crate::model::{numbers, tensor};
use crate::samples::Sample;
use crate::trial::{Numbers, given, run};
use std::collections::BTreeSet;
use wythe::exec::bind::Binding;
use wythe::ir::build::Mode;
use wythe::ir::op::Role;
use wythe::pipeline::{self, Stage};
use wythe::tensor::{DType, Tensor};

/// Operators that give numbers although one of their operands is NaN, and why that is meant.
const SWALLOW: &[(&str, &str)] = &[
    ("alpha_dropout", "as dropout"),
    ("accuracy", "it counts; nothing is learned by it"),
    ("constant", "nothing flows in"),
    ("cosine_embedding", "its target is 1, or anything else: a choice, not a number"),
    ("dropout", "what it drops is gone, whatever it was"),
    ("embedding_bag", "an empty bag is 0"),
    ("fmax", "it takes the other operand: that is what it is for"),
    ("fmin", "as fmax"),
    ("full", "nothing flows in"),
    ("hinge_embedding", "as cosine_embedding"),
    ("masked_fill", "what it replaces is gone, whatever it was"),
    ("meshgrid", "each of its outputs is of one operand, and the first flows on"),
    ("multi_margin", "of one class there is no other to compare with"),
    ("nan_to_num", "that is what it is for"),
    ("nansum", "that is what it is for"),
    ("ones", "nothing flows in"),
    ("parameter", "nothing flows in"),
    ("rand", "nothing flows in"),
    ("randn", "nothing flows in"),
    ("relative_bias", "nothing flows in"),
    ("sign", "NaN is neither above nor below 0, as PyTorch has it"),
    ("sincos_2d", "nothing flows in"),
    ("step", "as sign"),
    ("window_bias", "nothing flows in"),
    ("zeros", "nothing flows in"),
];

/// Which operands and parameters of a sample, filled with NaN, leave no trace in what comes out.
fn swallowed(sample: &Sample, mode: Mode) -> Vec<String> {
    let graph = pipeline::forward(&sample.model, mode, DType::F32, Stage::Fused);
    let sound = given(&graph, sample.op, &Binding::new(), Numbers::Ordinary, 11);
    // Of sequences that are all empty nothing is read.
    let empty = |tensor: &Tensor| tensor.dtype() == DType::I64 && numbers(tensor).iter().all(|&length| length == 0.0);
    if sample.op.operands.iter().any(|operand| operand.name == "lengths") && sound.inputs.values().any(empty) {
        return vec![];
    }
    let floats = |tensor: &Tensor| tensor.dtype().is_float() && !tensor.is_empty();
    let inputs = sound.inputs.iter().filter(|(_, value)| floats(value)).map(|(name, _)| (name.clone(), true));
    let learned = |path: &str| graph.params.iter().any(|param| param.path == path && param.role != Role::State);
    let weights = sound.weights.iter().filter(|(path, value)| floats(value) && learned(path));
    let mut quiet = vec![];
    for (name, input) in inputs.chain(weights.map(|(path, _)| (path.clone(), false))) {
        let mut poisoned = sound.clone();
        let place = if input { poisoned.inputs.get_mut(&name) } else { poisoned.weights.get_mut(&name) };
        let place = place.expect("it was there");
        *place = tensor(place.shape(), vec![f64::NAN; place.len()]);
        // A run that ends in a fault has told it.
        let Ok((got, _)) = run(&graph, DType::F32, 1, &poisoned, &Binding::new()) else { continue };
        let outs: Vec<&Tensor> = got
            .iter()
            .filter(|(name, value)| name.starts_with("Out(") && floats(value))
            .map(|(_, value)| value)
            .collect();
        if !outs.is_empty() && outs.iter().all(|out| numbers(out).iter().all(|x| x.is_finite())) {
            quiet.push(name);
        }
    }
    quiet
}

#[test]
fn nan_goes_on_through_every_operator() {
    let (mut faults, mut used, mut tried) = (vec![], BTreeSet::new(), 0);
    for (op, samples) in catalogue() {
        for sample in samples {
            for mode in [Mode::Eval, Mode::Train] {
                tried += 1;
                let quiet = swallowed(sample, mode);
                if quiet.is_empty() {
                    continue;
                }
                match SWALLOW.iter().find(|(name, _)| *name == op.name) {
                    Some((name, _)) => drop(used.insert(*name)),
                    None => faults.push(format!("{} in {mode:?} swallows NaN of {}", sample.shown, quiet.join(", "))),
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of {tried}\n{}", faults.len(), faults.join("\n"));
    let idle: Vec<&str> =
        SWALLOW.iter().map(|(name, _)| *name).filter(|name| meant(name) && !used.contains(name)).collect();
    assert!(idle.is_empty(), "these swallow nothing: {idle:?}");
}
