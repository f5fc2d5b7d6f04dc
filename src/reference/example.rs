//! The example of an operator: `x: f32[3] = [-1, 0, 2] -> [0, 0, 2]`, read as a model with its inputs, or as a command.

use crate::ir::attr::AttrKind;
use crate::ir::op::OpDef;
use crate::tensor::DType;

/// An example, taken apart.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The inputs, in order.
    pub inputs: Vec<SampleInput>,
    /// The arguments, as written: name and value.
    pub arguments: Vec<(String, String)>,
    /// The declaration of the layer that an argument ties.
    pub layer: Option<String>,
    /// The numbers that come out, row by row.
    pub gives: Vec<f64>,
    name: &'static str,
}

/// An input of an example.
#[derive(Clone, Debug)]
pub struct SampleInput {
    /// Its name.
    pub name: String,
    /// Its elements.
    pub dtype: DType,
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its values, row by row.
    pub values: Vec<f64>,
}

/// Reads the example of an operator; none where it has none or it is not written in the form.
pub fn sample(op: &OpDef) -> Option<Sample> {
    let (left, right) = op.example.rsplit_once("->")?;
    let mut sample = Sample { inputs: vec![], arguments: vec![], layer: None, gives: numbers(right)?, name: op.name };
    for part in parts(left) {
        let (head, value) = part.split_once('=')?;
        let value = value.trim();
        match head.split_once(':') {
            Some((name, ty)) => {
                let (word, sizes) = ty.trim().split_once('[')?;
                let shape = numbers(sizes)?.iter().map(|&n| n as usize).collect();
                let dtype = DType::of_word(word)?;
                let values = numbers(value)?;
                sample.inputs.push(SampleInput { name: name.trim().into(), dtype, shape, values });
            }
            None => {
                let name = head.trim();
                let tied = op.attrs.iter().any(|def| def.name == name && def.kinds.contains(&AttrKind::Layer));
                if tied {
                    sample.layer = Some(value.into());
                }
                sample.arguments.push((name.into(), if tied { "tied".into() } else { value.into() }));
            }
        }
    }
    Some(sample)
}

impl Sample {
    /// The stage: `(q, k, v) |> sdpa(causal = true)`; of a single input, without it.
    pub fn stage(&self) -> String {
        let written: Vec<String> = self.arguments.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let call = if written.is_empty() { self.name.into() } else { format!("{}({})", self.name, written.join(", ")) };
        let names: Vec<&str> = self.inputs.iter().map(|input| input.name.as_str()).collect();
        match names.len() {
            0 | 1 => call,
            _ => format!("({}) |> {call}", names.join(", ")),
        }
    }

    /// A whole model of it.
    pub fn model(&self) -> String {
        let port = |input: &SampleInput| {
            let sizes: Vec<String> = input.shape.iter().map(usize::to_string).collect();
            format!("{}: {}[{}]", input.name, input.dtype.word(), sizes.join(", "))
        };
        let ports: Vec<String> = self.inputs.iter().map(port).collect();
        // A model has an input, also where nothing flows from it.
        let ports = if ports.is_empty() { "nothing: f32[1]".into() } else { ports.join(", ") };
        let layer = self.layer.as_ref().map(|layer| format!("  layer tied = {layer}\n")).unwrap_or_default();
        format!("model m : ({ports}) {{\n{layer}  {}\n}}\n", self.stage())
    }

    /// The command that runs it; none where an expression cannot say it.
    pub fn command(&self) -> Option<String> {
        if self.layer.is_some() || self.inputs.is_empty() {
            return None;
        }
        let several = self.inputs.len() > 1;
        let given = self.inputs.iter().map(|input| {
            let name = if several { format!("{}=", input.name) } else { String::new() };
            format!(" --input '{name}{}'", nested(&input.shape, &input.values, input.dtype))
        });
        Some(format!("wythe run -e '{}'{}", self.stage(), given.collect::<String>()))
    }
}

/// Values in the brackets of their shape.
fn nested(shape: &[usize], values: &[f64], dtype: DType) -> String {
    let Some((&size, inner)) = shape.split_first() else {
        let value = values.first().copied().unwrap_or(0.0);
        return if dtype == DType::Bool { (value != 0.0).to_string() } else { value.to_string() };
    };
    let each: usize = inner.iter().product();
    let items = (0..size).map(|i| nested(inner, values.get(i * each..).unwrap_or(&[]), dtype));
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A text cut at commas that stand in no bracket and no string.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut from, mut all) = (0, false, 0, vec![]);
    for (at, sign) in text.char_indices() {
        match sign {
            '"' => quoted = !quoted,
            '[' | '(' if !quoted => depth += 1,
            ']' | ')' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => {
                all.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(text[from..].trim());
    all.into_iter().filter(|part| !part.is_empty()).collect()
}

/// All numbers of a text; `true` is 1.
fn numbers(text: &str) -> Option<Vec<f64>> {
    let words = text.split(['[', ']', ',']).map(str::trim).filter(|word| !word.is_empty());
    let number = |word: &str| match word {
        "true" => Some(1.0),
        "false" => Some(0.0),
        _ => word.parse().ok(),
    };
    words.map(number).collect()
}
