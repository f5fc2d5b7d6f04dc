//! A whole file: dims, blocks, one model, perhaps a train section.

use super::body::Gen;
use super::size::{Size, Ty};
use std::collections::BTreeMap;
use wythe::tensor::DType;

/// A generated file, and what its author knows of it.
pub struct Written {
    pub text: String,
    /// The inputs in order.
    pub inputs: Vec<(String, Ty)>,
    /// The outputs in order.
    pub outputs: Vec<Ty>,
    /// For each dim, the least and the most that it may be.
    pub ranges: BTreeMap<&'static str, (i64, i64)>,
    /// … and what must divide it.
    pub steps: BTreeMap<&'static str, i64>,
}

/// The file of a seed.
pub fn write(seed: u64) -> Written {
    let mut made = Gen::new(seed);
    let dims: Vec<_> = ["batch", "seq", "h", "w"].map(|name| made.dim(name)).to_vec();
    let (x, from) = made.input();
    let mut inputs = vec![(x, from.clone())];
    if made.rng.percent(30) {
        inputs.push(made.second_input(&from));
    }
    made.env.dims.clone_from(&dims);
    made.env.scope.clone_from(&inputs);
    let mut params = vec![];
    for name in ["d", "width", "depth"] {
        if made.rng.percent(40) {
            let n = made.width();
            params.push(format!("{name} = {n}"));
            made.env.nums.push((name.into(), n));
        }
    }
    if made.rng.percent(30) {
        params.push("act = gelu".into());
        made.env.stages.push(("act".into(), false));
    }
    let depth = made.rng.below(4) as u32;
    let (mut lines, to) = made.lines(&from, None, depth, 7);
    if inputs.len() > 1 {
        lines.insert(0, format!("v0 = {} |> identity", inputs[0].0));
    }
    let mut outputs = vec![to.clone()];
    let mut result = made.result_text(&to);
    if made.rng.percent(20) {
        lines.push(
            "return (it, it |> relu)"
                .replace("it |> relu", if to.dtype == DType::F32 { "it |> relu" } else { "it |> identity" }),
        );
        result = format!("(a: {result}, b: {})", to.text());
        outputs.push(to);
    } else if made.rng.percent(10) {
        result = "[...]".into();
        if outputs[0].dtype != DType::F32 {
            result = format!("{}[...]", outputs[0].dtype);
        }
    }
    let mut ranges: BTreeMap<&'static str, (i64, i64)> = BTreeMap::new();
    for dim in &dims {
        let least = made.least.get(dim.name).copied().unwrap_or(1).max(if dim.name == "batch" { 2 } else { 1 });
        ranges.insert(dim.name, (least, least + 3));
    }
    let (mut facts, mut steps) = (vec![], BTreeMap::new());
    let used = |name: &str| {
        inputs.iter().any(|(_, ty)| ty.sizes.iter().any(|size| size.sym.is_some_and(|sym| sym.name == name)))
    };
    if used("seq") && made.rng.percent(40) {
        facts.push(format!("seq <= {}", ranges["seq"].1));
    }
    if used("seq") && made.rng.percent(20) {
        facts.push("seq % 2 == 0".into());
        steps.insert("seq", 2);
    }
    let facts = if facts.is_empty() { String::new() } else { format!(" where {}", facts.join(", ")) };
    let ports: Vec<String> = inputs.iter().map(|(name, ty)| format!("{name}: {}", ty.text())).collect();
    let params = if params.is_empty() { String::new() } else { format!("({})", params.join(", ")) };
    let result = if made.rng.percent(90) { format!(" -> {result}") } else { String::new() };
    let model = format!("model m{params} : ({}){result}{facts} {}\n", ports.join(", "), made.braces(&lines));
    let train = made.train(&inputs, &outputs);
    let mut parts: Vec<String> = made.blocks.iter().map(|block| block.text.clone()).collect();
    let at = made.rng.below(parts.len() + 1);
    parts.insert(at, model);
    parts.extend(train);
    let text = format!("dim batch, seq, h, w\n\n{}", parts.join("\n"));
    Written { text, inputs, outputs, ranges, steps }
}

impl Gen {
    fn input(&mut self) -> (String, Ty) {
        let [batch, seq, h, w] = ["batch", "seq", "h", "w"].map(|name| Size::of(self.dim(name)));
        let width = Size::num(self.width());
        let side = Size::num(self.rng.between(5, 9));
        let sizes = match self.rng.below(8) {
            0 | 1 => vec![batch, width],
            2 | 3 => vec![batch, seq, width],
            4 => vec![batch, width, side, side],
            5 => vec![batch, width, h, w],
            6 => vec![batch, width, seq],
            _ => return ("tokens".into(), Ty { dtype: DType::I64, ..Ty::float(vec![batch, seq]) }),
        };
        ("x".into(), Ty::float(sizes))
    }

    fn second_input(&mut self, from: &Ty) -> (String, Ty) {
        let [batch, seq] = ["batch", "seq"].map(|name| Size::of(self.dim(name)));
        match self.rng.below(5) {
            0 => ("mask".into(), Ty { dtype: DType::Bool, ..Ty::float(vec![batch, seq]) }),
            1 => ("ids".into(), Ty { dtype: DType::I64, ..Ty::float(vec![batch]) }),
            2 => ("y".into(), Ty::float(vec![batch, seq, Size::num(self.width())])),
            3 if from.rank() > 1 => ("scale".into(), Ty { dtype: DType::F32, ..Ty::float(from.sizes[1..].to_vec()) }),
            _ => ("y".into(), Ty { dtype: DType::F32, ..from.clone() }),
        }
    }
}
