//! Tensors as a person reads them, and as JSON.

use crate::tensor::Tensor;

/// The most rows and columns of a tensor that are shown.
const ROWS: usize = 12;
const COLUMNS: usize = 10;

/// A name, a type, and the values in rows.
pub fn show(name: &str, tensor: &Tensor, unicode: bool) -> String {
    let shape = tensor.shape();
    let dims = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let more = if unicode { "…" } else { "..." };
    let mut text = format!("{name}  {}[{dims}]", tensor.dtype());
    let columns = shape.last().copied().unwrap_or(1);
    let rows = tensor.len().checked_div(columns).unwrap_or(0);
    let cells: Vec<Vec<String>> = (0..rows.min(ROWS)).map(|row| line(tensor, row, columns, more)).collect();
    let width = cells.iter().flatten().map(|cell| cell.chars().count()).max().unwrap_or(0);
    for (row, cells) in cells.iter().enumerate() {
        let cells = cells.iter().map(|cell| format!("{cell:>width$}")).collect::<Vec<_>>().join("  ");
        text.push_str(&format!("\n  {}{cells}", label(shape, row)));
    }
    if rows > ROWS {
        text.push_str(&format!("\n  {more} {} more rows", rows - ROWS));
    }
    text
}

/// The leading indices of a row, where there are any that tell rows apart.
fn label(shape: &[usize], row: usize) -> String {
    if shape.len() < 3 {
        return String::new();
    }
    let mut rest = row;
    let mut index = vec![];
    for &size in shape[..shape.len() - 1].iter().rev() {
        index.push((rest % size.max(1)).to_string());
        rest /= size.max(1);
    }
    index.reverse();
    format!("[{}]  ", index.join(", "))
}

fn line(tensor: &Tensor, row: usize, columns: usize, more: &str) -> Vec<String> {
    let shown = columns.min(COLUMNS);
    let mut cells: Vec<String> = (0..shown).map(|column| cell(tensor, row * columns + column)).collect();
    if columns > shown {
        cells.push(more.into());
    }
    cells
}

fn cell(tensor: &Tensor, at: usize) -> String {
    match tensor {
        Tensor::F32(a) => a.iter().nth(at).map(|&x| number(f64::from(x))),
        Tensor::F64(a) => a.iter().nth(at).map(|&x| number(x)),
        Tensor::I64(a) => a.iter().nth(at).map(i64::to_string),
        Tensor::Bool(a) => a.iter().nth(at).map(bool::to_string),
    }
    .unwrap_or_default()
}

/// Six digits behind the point, or powers of ten where that would hide the number.
fn number(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 || !x.is_finite() {
        return if x == 0.0 { "0.000000".into() } else { x.to_string() };
    }
    if (1e-4..1e7).contains(&size) { format!("{x:.6}") } else { format!("{x:.5e}") }
}

/// `{"version": 1, "tensors": {name: {dtype, shape, data}}}`; what is not finite is a string.
pub fn json(tensors: &[(String, Tensor)]) -> String {
    use serde_json::{Map, Value, json};
    let float = |x: f64| if x.is_finite() { json!(x) } else { json!(x.to_string()) };
    let single = |x: f32| x.to_string().parse().map_or(Value::Null, float);
    let data = |tensor: &Tensor| -> Vec<Value> {
        match tensor {
            Tensor::F32(a) => a.iter().map(|&x| single(x)).collect(),
            Tensor::F64(a) => a.iter().map(|&x| float(x)).collect(),
            Tensor::I64(a) => a.iter().map(|&x| json!(x)).collect(),
            Tensor::Bool(a) => a.iter().map(|&x| json!(x)).collect(),
        }
    };
    let one = |tensor: &Tensor| json!({"dtype": tensor.dtype(), "shape": tensor.shape(), "data": data(tensor)});
    let all: Map<String, Value> = tensors.iter().map(|(name, tensor)| (name.clone(), one(tensor))).collect();
    json!({"version": 1, "tensors": all}).to_string()
}
