//! The example of each entry gives the numbers that its documentation says.

use crate::model::{Given, array, compile, model, numbers, tensor};
use wythe::ir::build::Mode;
use wythe::ir::op::OpDef;
use wythe::ops;
use wythe::reference::example::sample;
use wythe::tensor::{DType, Tensor};

/// An example as a model's text, its inputs, and what must come out.
fn read(op: &OpDef) -> (String, Given, Vec<f64>) {
    let sample = sample(op).unwrap_or_else(|| panic!("{} has no example that can be read: {}", op.name, op.example));
    let mut given = Given::default();
    for input in &sample.inputs {
        let value = match input.dtype {
            DType::I64 => Tensor::I64(array(&input.shape, input.values.iter().map(|&x| x as i64).collect())),
            DType::Bool => Tensor::Bool(array(&input.shape, input.values.iter().map(|&x| x != 0.0).collect())),
            _ => tensor(&input.shape, input.values.clone()),
        };
        given.inputs.insert(input.name.clone(), value);
    }
    if sample.inputs.is_empty() {
        given.inputs.insert("nothing".into(), tensor(&[1], vec![0.0]));
    }
    (sample.model(), given, sample.gives)
}

#[test]
fn every_example_gives_its_numbers() {
    let mut faults = vec![];
    for op in ops::all().filter(|op| op.is_public() && crate::matrix::meant(op.name)) {
        if op.example.is_empty() {
            faults.push(format!("{} has no example", op.name));
            continue;
        }
        let (text, given, want) = read(op);
        let model = match model(&text) {
            Ok(model) => model,
            Err(report) => {
                faults.push(format!("{}: {report}", op.example));
                continue;
            }
        };
        let mut compiled = compile(&model, Mode::Eval, DType::F32, 1, false);
        compiled.init();
        let got = compiled.run(&given).unwrap_or_else(|error| panic!("{}: {error}", op.example));
        let got = numbers(&got[0]);
        // Examples are written with the digits that an f32 has.
        let near =
            |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * b.abs().max(1e-6);
        if got.len() != want.len() || !got.iter().zip(&want).all(near) {
            faults.push(format!("{}: {} gives {got:?}", op.name, op.example));
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
