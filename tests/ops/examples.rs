//! The example of each entry gives the numbers that its documentation says.

use crate::model::{Given, array, compile, model, numbers, tensor};
use wythe::ir::attr::AttrKind;
use wythe::ir::build::Mode;
use wythe::ir::op::OpDef;
use wythe::ops;
use wythe::tensor::{DType, Tensor};

/// A text cut at commas that stand in no bracket.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut all) = (0, 0, vec![]);
    for (at, sign) in text.char_indices() {
        match sign {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            ',' if depth == 0 => {
                all.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(text[from..].trim());
    all.into_iter().filter(|part| !part.is_empty()).collect()
}

/// All numbers of a text.
fn values(text: &str) -> Vec<f64> {
    let numbers = text.split(['[', ']', ',']).map(str::trim);
    numbers.filter(|word| !word.is_empty()).map(|word| word.parse().expect("a number in an example")).collect()
}

/// An example as a model's text, its inputs, and what must come out.
fn read(op: &OpDef) -> (String, Given, Vec<f64>) {
    let (left, right) = op.example.rsplit_once("->").unwrap_or_else(|| panic!("{} has no example", op.name));
    let (mut ports, mut names, mut attrs, mut layer): (Vec<String>, _, _, _) = (vec![], vec![], vec![], String::new());
    let mut given = Given::default();
    for part in parts(left) {
        let (head, value) = part.split_once('=').expect("an example's item is `name: type = value` or `name = value`");
        match head.split_once(':') {
            Some((name, ty)) => {
                let (name, ty) = (name.trim(), ty.trim());
                let (word, sizes) = ty.split_once('[').expect("a type has axes");
                let shape: Vec<usize> = values(sizes).iter().map(|&n| n as usize).collect();
                let tensor = match word {
                    "i64" => {
                        let ids = values(value).iter().map(|&x| x as i64).collect();
                        Tensor::I64(array(&shape, ids))
                    }
                    "bool" => Tensor::Bool(array(&shape, values(value).iter().map(|&x| x != 0.0).collect())),
                    _ => tensor(&shape, values(value)),
                };
                given.inputs.insert(name.into(), tensor);
                ports.push(format!("{name}: {ty}"));
                names.push(name);
            }
            None => {
                let (name, value) = (head.trim(), value.trim());
                let tied = op.attrs.iter().any(|def| def.name == name && def.kinds.contains(&AttrKind::Layer));
                if tied {
                    layer = format!("layer tied = {value}\n");
                }
                attrs.push(format!("{name} = {}", if tied { "tied" } else { value }));
            }
        }
    }
    let call = format!("{}({})", op.name, attrs.join(", "));
    let body = if names.is_empty() { call } else { format!("({}) |> {call}", names.join(", ")) };
    // A model has an input, also where nothing flows from it.
    let ports = if ports.is_empty() { "nothing: f32[1]".into() } else { ports.join(", ") };
    (format!("model m : ({ports}) {{\n{layer}{body}\n}}\n"), given, values(right))
}

#[test]
fn every_example_gives_its_numbers() {
    let mut faults = vec![];
    for op in ops::all().filter(|op| op.is_public()) {
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
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * b.abs().max(1e-6);
        if got.len() != want.len() || !got.iter().zip(&want).all(near) {
            faults.push(format!("{}: {} gives {got:?}", op.name, op.example));
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
