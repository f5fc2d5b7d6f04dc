//! What a model is, in a table: layers with shapes, parameters, operations, memory; repeats folded.

use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{CostCx, Role};
use crate::ir::params;
use crate::ir::shape::{Shapes, Type};
use crate::ir::structured::{
    Item, OpItem, Part, Region, RepeatId, RepeatItem, Run, ScopeKind, Structured, ValueId, show_path,
};
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;

/// Bytes of a float in these figures.
const FLOAT: i64 = 4;

/// A model's table.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The schema's version.
    pub version: u32,
    /// The model's name, and its hyperparameters as shown.
    pub model: String,
    /// Hyperparameters and their values.
    pub hyperparameters: IndexMap<String, String>,
    /// Sizes that were bound.
    pub bound: IndexMap<String, i64>,
    /// Inputs and their types.
    pub inputs: Vec<(String, String)>,
    /// Outputs and their types.
    pub outputs: Vec<(String, String)>,
    /// The rows, in the order of the text; indented by `depth`.
    pub layers: Vec<Layer>,
    /// The totals.
    pub totals: Totals,
    /// What is checked when sizes are bound.
    pub conditions: Vec<String>,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// How deep it stands.
    pub depth: usize,
    /// The word, or the construct: `linear`, `residual pre rmsnorm`, `repeat 12`.
    pub name: String,
    /// The name that the user gave it; empty where it has none.
    pub called: String,
    /// Below it stand the parameters.
    pub path: String,
    /// The type of its output; empty for a group.
    pub output: String,
    /// Learned elements of one copy, each parameter where it is first used.
    pub parameters: Option<u64>,
    /// Operations of one copy, as a number or a formula; empty for groups and views.
    pub flops: String,
    /// How many copies (a repeat's row).
    pub copies: u64,
    /// `shared`, `view`, `acts differently in eval`.
    pub notes: Vec<String>,
}

/// The totals.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Learned elements.
    pub parameters: u64,
    /// Elements of running statistics.
    pub state: u64,
    /// Operations of a forward pass.
    pub flops: String,
    /// Bytes of the values that layers put out (what backward may need), symbolic unless bound.
    pub activation_bytes: String,
    /// Bytes of all parameters.
    pub parameter_bytes: u64,
    /// Bytes of all gradients.
    pub gradient_bytes: u64,
    /// Bytes of the optimizer's state.
    pub optimizer_bytes: u64,
    /// Which optimizer that is.
    pub optimizer: String,
    /// Layers that act differently in eval, by path.
    pub by_mode: Vec<String>,
}

/// Makes the table. `bound` gives sizes to dims; `optimizer` is a name and how many tensors it keeps a parameter.
pub fn summarize(model: &Structured, bound: &IndexMap<String, i64>, optimizer: (&str, u64)) -> Summary {
    let mut table = Table {
        model,
        shapes: model.shapes.clone(),
        bound,
        rows: vec![],
        seen: IndexSet::new(),
        flops: Dims::ZERO,
        activations: Dims::ZERO,
        by_mode: IndexSet::new(),
        firsts: IndexMap::new(),
        around: String::new(),
        read: model.outputs.iter().map(|port| port.value).collect(),
    };
    reads(&model.body, &mut table.read);
    table.region(&model.body, 0, 1);
    let mut totals = Totals { optimizer: optimizer.0.into(), ..Totals::default() };
    for param in params::parameters(model) {
        match param.def.role {
            Role::State => totals.state += param.count.unwrap_or(0),
            Role::Weight | Role::Other => totals.parameters += param.count.unwrap_or(0),
        }
    }
    totals.parameter_bytes = totals.parameters.saturating_mul(FLOAT as u64);
    totals.gradient_bytes = totals.parameter_bytes;
    totals.optimizer_bytes = totals.parameter_bytes.saturating_mul(optimizer.1);
    totals.flops = table.number(table.flops);
    let bytes = table.shapes.dims.scale(table.activations, FLOAT);
    totals.activation_bytes = table.number(bytes);
    totals.by_mode = table.by_mode.iter().cloned().collect();
    let ports = |ports: &[crate::ir::structured::PortDef], single: &str| {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| single.to_string());
        ports.iter().map(|port| (name(&port.name), table.show(model.values[port.value.0 as usize].ty))).collect()
    };
    Summary {
        version: 1,
        model: model.name.clone(),
        hyperparameters: model.hypers.iter().cloned().collect(),
        bound: bound.clone(),
        inputs: ports(&model.inputs, "x"),
        outputs: ports(&model.outputs, "out"),
        conditions: model.facts.iter().chain(&model.needs).map(|(need, _)| need.show(&model.shapes.dims)).collect(),
        layers: table.rows,
        totals,
    }
}

struct Table<'m> {
    model: &'m Structured,
    shapes: Shapes,
    bound: &'m IndexMap<String, i64>,
    rows: Vec<Layer>,
    seen: IndexSet<String>,
    flops: Dim,
    activations: Dim,
    by_mode: IndexSet<String>,
    /// The first copy of the run of each repeat around.
    firsts: IndexMap<RepeatId, u64>,
    /// The path of the group around.
    around: String,
    /// The values that something reads.
    read: IndexSet<ValueId>,
}

/// Adds the values that a region reads.
fn reads(region: &Region, read: &mut IndexSet<ValueId>) {
    for item in &region.items {
        match item {
            Item::Op(op) => read.extend(op.operands.iter().flatten()),
            Item::Scope(scope) => reads(&scope.region, read),
            Item::Repeat(repeat) => {
                read.extend(&repeat.ins);
                for run in &repeat.runs {
                    read.extend(&run.results);
                    reads(&run.region, read);
                }
            }
        }
    }
}

impl Table<'_> {
    fn region(&mut self, region: &Region, depth: usize, copies: u64) {
        for item in &region.items {
            match item {
                Item::Op(op) => self.op(op, depth, copies),
                Item::Repeat(repeat) => self.repeat(repeat, depth, copies),
                Item::Scope(scope) => {
                    let plain = matches!(scope.kind, ScopeKind::Flow | ScopeKind::If | ScopeKind::Branch);
                    if !plain {
                        self.group(depth, &scope.label, &show_path(&scope.path), 1);
                    }
                    if let (ScopeKind::Residual, Some(row)) = (scope.kind, self.rows.last_mut()) {
                        row.notes.extend(deep_numbers(&scope.region));
                    }
                    let around = std::mem::replace(&mut self.around, show_path(&scope.path));
                    self.region(&scope.region, depth + usize::from(!plain), copies);
                    self.around = around;
                }
            }
        }
    }

    fn group(&mut self, depth: usize, name: &str, path: &str, copies: u64) {
        let called = if path == self.around { String::new() } else { called(path, name) };
        let (name, path) = (name.into(), path.into());
        self.rows.push(Layer {
            depth,
            name,
            called,
            path,
            output: String::new(),
            parameters: None,
            flops: String::new(),
            copies,
            notes: vec![],
        });
    }

    fn repeat(&mut self, repeat: &RepeatItem, depth: usize, copies: u64) {
        self.group(depth, &repeat.label, &show_path(&repeat.path), repeat.runs.iter().map(|run| run.count).sum());
        if repeat.shared
            && let Some(row) = self.rows.last_mut()
        {
            row.notes.push("shared".into());
        }
        let several = repeat.runs.len() > 1;
        let around = std::mem::replace(&mut self.around, show_path(&repeat.path));
        for run in &repeat.runs {
            self.firsts.insert(repeat.id, run.first);
            if several {
                self.group(depth + 1, &run_label(run, repeat.is_for), "", run.count);
            }
            self.region(&run.region, depth + 1 + usize::from(several), copies.saturating_mul(run.count));
        }
        self.around = around;
    }

    fn op(&mut self, op: &OpItem, depth: usize, copies: u64) {
        let ty = |value: &ValueId| self.model.values[value.0 as usize].ty;
        let ins: Vec<Option<Type>> = op.operands.iter().map(|value| value.as_ref().map(ty)).collect();
        let outs: Vec<Type> = op.outs.iter().map(ty).collect();
        let path = show_path(&op.path);
        let defs = params::defs(op, &op.attrs, &ins, &mut self.shapes);
        let mut notes = vec![];
        let mut count = (!defs.is_empty()).then_some(0u64);
        for def in defs.iter().filter(|def| def.role != Role::State) {
            let sizes = def.dims.iter().map(|&dim| self.shapes.dims.as_const(dim).unwrap_or(0) as u64);
            if self.seen.insert(format!("{}.{}", self.place(&op.path), def.name)) {
                count = count.map(|n| n.saturating_add(sizes.product::<u64>()));
            } else if !notes.contains(&"shared".to_string()) {
                notes.push("shared".into());
            }
        }
        let flops = self.cost(op, &ins, &outs);
        if op.op.facts.view {
            notes.push("a view".into());
        } else {
            let total = self.shapes.dims.scale(flops, copies as i64);
            self.flops = self.shapes.dims.add(self.flops, total);
            // What nobody reads beside the main output is never computed.
            let kept =
                outs.iter().zip(&op.outs).enumerate().filter(|(i, (_, value))| *i == 0 || self.read.contains(*value));
            let kept: Vec<Type> = kept.map(|(_, (&out, _))| out).filter(|out| out.dtype.is_float()).collect();
            for out in kept {
                let size = self.shapes.count(out);
                let size = self.shapes.dims.scale(size, copies as i64);
                self.activations = self.shapes.dims.add(self.activations, size);
            }
        }
        if op.op.acts_by_mode(&op.attrs) {
            notes.push("acts differently in eval".into());
            self.by_mode.insert(path.clone());
        }
        let flops = if op.op.facts.view { String::new() } else { self.number(flops) };
        let output = outs.first().map(|&out| self.show(out)).unwrap_or_default();
        // The operator's own word, also of a declared layer; a sign is said as it was written.
        let spoken = op.op.is_public() && op.word.starts_with(char::is_alphabetic);
        let name = if spoken { op.op.name.to_string() } else { op.word.clone() };
        let called = if spoken { called(&path, &name) } else { String::new() };
        self.rows.push(Layer { depth, name, called, path, output, parameters: count, flops, copies: 1, notes });
    }

    /// A path that tells the runs of a repeat apart: they have parameters of their own.
    fn place(&self, path: &[Part]) -> String {
        let parts = path.iter().map(|part| match part {
            Part::Name(name) => name.clone(),
            Part::Copy(id) => self.firsts.get(id).map_or_else(String::new, u64::to_string),
        });
        parts.collect::<Vec<_>>().join(".")
    }

    /// Operations of one use: as the operator says, else one an output element.
    fn cost(&mut self, op: &OpItem, ins: &[Option<Type>], outs: &[Type]) -> Dim {
        match (op.op.flops, outs.first()) {
            (Some(flops), _) => flops(&mut CostCx { shapes: &mut self.shapes, attrs: &op.attrs, ins, outs }),
            (None, Some(&out)) => self.shapes.count(out),
            (None, None) => Dims::ZERO,
        }
    }

    /// A type with bound sizes as numbers: `[2, 64, 768]`, with its element type where that is not a float.
    fn show(&self, ty: Type) -> String {
        let dims = self.shapes.dims(ty).iter().map(|&dim| match self.value(dim) {
            Some(value) => value.to_string(),
            None => self.shapes.dims.show(dim),
        });
        let dims = dims.collect::<Vec<_>>().join(", ");
        let word = if ty.dtype.is_float() { "" } else { ty.dtype.word() };
        format!("{word}[{dims}]")
    }

    fn value(&self, dim: Dim) -> Option<i64> {
        self.shapes.dims.eval(dim, &|name| self.bound.get(name).copied())
    }

    /// A number, or a formula with short numbers: `1.2 M * batch * seq`.
    fn number(&self, dim: Dim) -> String {
        if let Some(value) = self.value(dim) {
            return value.to_string();
        }
        let terms = self.shapes.dims.terms(dim).iter().map(|(atoms, c)| {
            let mut one = Vec::from([short(*c as f64)]);
            let mut bound = *c as f64;
            let mut names = vec![];
            for &atom in atoms.iter() {
                let shown = match self.shapes.dims.atom_of(atom) {
                    crate::ir::dim::Atom::Symbol(name) => name.to_string(),
                    crate::ir::dim::Atom::Floor(a, b) => {
                        format!("floor(({}) / {})", self.shapes.dims.show(*a), self.shapes.dims.show(*b))
                    }
                };
                match self.bound.get(&shown) {
                    Some(value) => bound *= *value as f64,
                    None => names.push(shown),
                }
            }
            one[0] = short(bound);
            one.extend(names);
            one.join(" * ")
        });
        terms.collect::<Vec<_>>().join(" + ")
    }
}

/// The last name of a path, where it says more than the word does (`conv_2` does not).
fn called(path: &str, name: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or("");
    let word = name.split(['(', ' ']).next().unwrap_or("");
    let numbered = |rest: &str| rest.strip_prefix('_').is_some_and(|n| n.bytes().all(|c| c.is_ascii_digit()));
    let counted = last.strip_prefix(word).is_some_and(|rest| rest.is_empty() || numbered(rest));
    if counted || last == "*" { String::new() } else { last.into() }
}

/// Deep norm's alpha, and the gain of what stands in its branch: `alpha = 3.761, beta = 0.188`.
fn deep_numbers(region: &Region) -> Option<String> {
    fn gain(region: &Region) -> Option<f64> {
        region.items.iter().find_map(|item| match item {
            Item::Op(op) => op.gain,
            Item::Scope(scope) => gain(&scope.region),
            Item::Repeat(repeat) => repeat.runs.iter().find_map(|run| gain(&run.region)),
        })
    }
    let alpha = region.items.iter().find_map(|item| match item {
        Item::Op(op) => op.attrs.float("alpha").filter(|alpha| op.word == "residual" && *alpha != 1.0),
        Item::Scope(_) | Item::Repeat(_) => None,
    })?;
    let beta = gain(region).map(|beta| format!(", beta = {beta:.3}")).unwrap_or_default();
    Some(format!("alpha = {alpha:.3}{beta}"))
}

fn run_label(run: &Run, is_for: bool) -> String {
    match (is_for, run.count) {
        (true, _) => run.shown.clone(),
        (false, 1) => format!("[{}]", run.first),
        (false, count) => format!("[{}..{})", run.first, run.first + count),
    }
}

/// `1.5 k`, `2.31 M`.
pub fn short(value: f64) -> String {
    let units = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    for (unit, name) in units {
        if value.abs() >= unit {
            let digits = format!("{:.2}", value / unit);
            return format!("{}{name}", digits.trim_end_matches('0').trim_end_matches('.'));
        }
    }
    format!("{value}")
}

/// `2,307,082`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1.2 MB`, or a formula with its unit.
fn bytes(text: &str) -> String {
    match text.parse::<u64>() {
        Ok(value) => show_bytes(value),
        Err(_) => format!("{text} bytes"),
    }
}

/// `1.2 MB`.
pub fn show_bytes(value: u64) -> String {
    if value < 1000 { format!("{value} bytes") } else { format!("{}B", short(value as f64)) }
}

impl Summary {
    /// The table as text, for a terminal of any width (columns are as wide as they must be).
    pub fn show(&self, ascii: bool) -> String {
        let times = if ascii { "x" } else { "×" };
        let hypers: Vec<String> =
            self.hyperparameters.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let ports = |ports: &[(String, String)]| {
            ports.iter().map(|(name, ty)| format!("{name}: {ty}")).collect::<Vec<_>>().join(", ")
        };
        let hypers = if hypers.is_empty() { String::new() } else { format!("({})", hypers.join(", ")) };
        let mut text = format!("{}{hypers}\n", self.model);
        text.push_str(&format!("  in   {}\n  out  {}\n\n", ports(&self.inputs), ports(&self.outputs)));
        let mut cells = vec![["layer", "output", "parameters", "FLOPs", ""].map(String::from)];
        cells.extend(self.layers.iter().map(|layer| row(layer, times)));
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2), width(3)];
        for (index, row) in cells.iter().enumerate() {
            let line = format!(
                "{:<w0$}  {:<w1$}  {:>w2$}  {:>w3$}  {}",
                row[0],
                row[1],
                row[2],
                row[3],
                row[4],
                w0 = widths[0],
                w1 = widths[1],
                w2 = widths[2],
                w3 = widths[3]
            );
            text.push_str(line.trim_end());
            text.push('\n');
            if index == 0 {
                text.push_str(&if ascii { "-" } else { "─" }.repeat(widths.iter().sum::<usize>() + 6));
                text.push('\n');
            }
        }
        text.push('\n');
        text.push_str(&self.totals.show());
        for condition in &self.conditions {
            text.push_str(&format!("needs               {condition}   (checked when sizes are bound)\n"));
        }
        text
    }
}

fn row(layer: &Layer, times: &str) -> [String; 5] {
    let copies = if layer.copies > 1 { format!("  {times}{}", layer.copies) } else { String::new() };
    let name = match layer.called.is_empty() {
        true => layer.name.clone(),
        false => format!("{} = {}", layer.called, layer.name),
    };
    let flops = layer.flops.parse::<f64>().map(short).unwrap_or_else(|_| layer.flops.clone());
    [
        format!("{}{name}{copies}", "  ".repeat(layer.depth)),
        layer.output.clone(),
        layer.parameters.map(grouped).unwrap_or_default(),
        flops,
        layer.notes.join(", "),
    ]
}

impl Totals {
    fn show(&self) -> String {
        let flops = self.flops.parse::<f64>().map(short).unwrap_or_else(|_| self.flops.clone());
        let mut text = format!("parameters          {}", grouped(self.parameters));
        text.push_str(&format!("   ({} in f32)\n", show_bytes(self.parameter_bytes)));
        if self.state > 0 {
            text.push_str(&format!("running statistics  {}\n", grouped(self.state)));
        }
        text.push_str(&format!("FLOPs, forward      {flops}\n"));
        text.push_str(&format!("activations         {}\n", bytes(&self.activation_bytes)));
        text.push_str(&format!("gradients           {}\n", show_bytes(self.gradient_bytes)));
        text.push_str(&format!("optimizer state     {}   ({})\n", show_bytes(self.optimizer_bytes), self.optimizer));
        let by_mode = match self.by_mode.is_empty() {
            true => "no layer acts differently".to_string(),
            false => format!("{} act differently", self.by_mode.join(", ")),
        };
        text.push_str(&format!("in eval             {by_mode}\n"));
        text
    }
}
