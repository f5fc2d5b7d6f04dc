//! The page of an operator.

use super::example::{Sample, sample};
use super::page::{Attribute, Example, ExampleKind, Page, lead};
use super::plot::Curve;
use crate::elaborate::Request;
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind};
use crate::ir::build::Mode;
use crate::ir::op::{Body, Elements, OpDef, Operand, Role};
use crate::ir::params;
use crate::ops::FAMILIES;
use crate::pipeline::{Stage, check, forward};
use crate::tensor::DType;
use crate::text::Source;

pub(super) fn page(op: &'static OpDef) -> Page {
    let (first, text) = lead(op.doc);
    let sample = sample(op);
    let said = [
        ("formula", op.formula.to_string()),
        ("derivative", derivative(op)),
        ("shapes", shapes(op)),
        ("parameters", sample.as_ref().map(|sample| parameters(sample, false)).unwrap_or_default()),
        ("state", sample.as_ref().map(|sample| parameters(sample, true)).unwrap_or_default()),
        ("train, eval", modes(op).to_string()),
        ("memory", memory(op, sample.as_ref())),
        ("seen in", seen(op.name)),
        ("source", op.source.to_string()),
        ("PyTorch", op.torch.to_string()),
    ];
    let family = FAMILIES.iter().find(|family| family.ops.iter().any(|other| std::ptr::eq(*other, op)));
    Page {
        name: op.name.into(),
        kind: family.map_or("", |family| family.title).to_lowercase(),
        lead: first,
        facts: said.into_iter().filter(|(_, text)| !text.is_empty()).collect(),
        attributes: op.attrs.iter().filter(|def| !def.name.starts_with('.')).map(attribute).collect(),
        text,
        examples: sample.iter().map(example).collect(),
        curve: Curve::of(op),
    }
}

/// The example models, in which a use of an operator can be looked up.
macro_rules! models {
    ($($name:literal)*) => { &[$((concat!("models/", $name, ".model"), include_str!(concat!("../../models/", $name, ".model")))),*] };
}
static MODELS: &[(&str, &str)] = models! {
    "mlp" "gpt" "llama" "bert" "transformer" "vit" "resnet18" "mobilenet_v2" "densenet121" "unet" "vae" "deepnet"
    "twotower" "digits" "lib/transformer" "lib/transformer_decoder" "lib/convolution" "lib/bottleneck" "lib/llama"
};

/// The first few example models that use an operator.
fn seen(name: &str) -> String {
    let uses = |text: &str| {
        let lines = text.lines().map(|line| line.split("//").next().unwrap_or(""));
        let sign = |c: char| !(c.is_alphanumeric() || c == '_');
        // Called, or a stage of its own; not a value or a hyperparameter of that name.
        // What a dim is computed by is no operator.
        let lines = lines.filter(|line| !line.trim_start().starts_with("dim "));
        lines.flat_map(|line| line.split([';', '{', '}', '|'])).any(|stage| {
            let stage = stage.trim_start_matches('>').trim();
            let stage = stage.rsplit(" = ").next().unwrap_or(stage);
            stage.split_once(sign).map_or(stage, |(word, _)| word) == name && !stage.contains(" : ")
        })
    };
    let found = MODELS.iter().filter(|(_, text)| uses(text)).map(|(file, _)| *file).take(3);
    found.collect::<Vec<_>>().join(", ")
}

/// As it is said; where nothing is, there is none (a law tries it).
fn derivative(op: &OpDef) -> String {
    let float = |operand: &Operand| matches!(operand.dtype, Elements::Float | Elements::Number | Elements::Any);
    match op.derivative {
        "" if op.operands.iter().any(float) => "0 everywhere: nothing flows back".into(),
        said => said.into(),
    }
}

fn shapes(op: &OpDef) -> String {
    let plain = op.operands.len() == 1 && op.shape == OpDef::DEFAULT.shape;
    if plain { "any; the output has the input's".into() } else { op.shape.into() }
}

/// Parameters or running statistics, with their shapes in the example.
fn parameters(sample: &Sample, state: bool) -> String {
    let checked = check(Source::new("<example>", sample.model()), &Request::default(), None);
    let Some(model) = checked.models.first() else { return String::new() };
    let mine = |role: Role| (role == Role::State) == state;
    let shown = params::parameters(model).filter(|param| mine(param.def.role)).map(|param| {
        let sizes: Vec<String> = param.def.dims.iter().map(|&dim| model.shapes.dims.show(dim)).collect();
        let name = if param.def.name.is_empty() { param.shown() } else { param.def.name.clone() };
        format!("{name} {}[{}]", param.def.dtype, sizes.join(", "))
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { String::new() } else { format!("{} (in the example)", shown.join(", ")) }
}

fn modes(op: &OpDef) -> &'static str {
    match (op.facts.by_mode, op.facts.random) {
        (true, true) => "random in train, fixed in eval",
        (true, false) => "differs: see below",
        (false, true) => "random in both",
        (false, false) => "the same",
    }
}

/// What it does to memory: its own way to compute, or those of what it is written in, in eval.
fn memory(op: &OpDef, sample: Option<&Sample>) -> String {
    let own = |bodies: &[&Body], class: fn(&Body) -> bool| !bodies.is_empty() && bodies.iter().all(|body| class(body));
    let graph = sample.and_then(|sample| {
        let checked = check(Source::new("<example>", sample.model()), &Request::default(), None);
        Some(forward(checked.models.first()?, Mode::Eval, DType::F32, Stage::Flat))
    });
    let inner: Vec<&Body> = match (&op.body, &graph) {
        (Body::Expand(_), Some(graph)) => graph.ids().map(|id| &graph.node(id).op.body).collect(),
        (body, _) => vec![body],
    };
    let bodies: Vec<&Body> = inner.into_iter().filter(|body| !matches!(body, Body::Source)).collect();
    let kernels = bodies.iter().filter(|body| matches!(body, Body::Kernel { .. })).count();
    match bodies.as_slice() {
        [] => "nothing is computed",
        all if own(all, |body| matches!(body, Body::View(_))) => {
            "a view: other strides on the same memory, copied only where no strides can say it"
        }
        all if own(all, |body| matches!(body, Body::Map { .. })) => {
            "elementwise: one pass with its neighbours, in place where nobody else reads the input"
        }
        [Body::Concat] => "its parts are written into one buffer from the start",
        [Body::Kernel { kernel, .. }] if !kernel.inplace.is_empty() => {
            "a kernel of its own, in place where nobody else reads the input"
        }
        _ if kernels == 1 => "one kernel, into a new tensor",
        _ => "several kernels, into new tensors; where its values live is the plan's choice",
    }
    .into()
}

pub(super) fn attribute(def: &AttrDef) -> Attribute {
    let default = match def.default {
        AttrDefault::Required => String::new(),
        AttrDefault::None => " = none".into(),
        AttrDefault::Bool(value) => format!(" = {value}"),
        AttrDefault::Int(value) => format!(" = {value}"),
        AttrDefault::Float(value) => format!(" = {value:?}"),
        AttrDefault::Str(value) => format!(" = \"{value}\""),
        AttrDefault::Floats(values) => format!(" = {values:?}"),
        AttrDefault::Same(name) => format!(" = {name}"),
    };
    let choices = def.kinds.iter().find_map(|kind| match kind {
        AttrKind::Choice(words) => Some(words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")),
        _ => None,
    });
    let choices = choices.map(|words| format!(": {words}")).unwrap_or_default();
    Attribute {
        written: format!("{}{default}", def.name),
        doc: format!("{}{choices}", def.doc),
        torch: Some(def.torch).filter(|name| !name.is_empty()),
    }
}

fn example(sample: &Sample) -> Example {
    let gives: Vec<String> = sample.gives.iter().map(f64::to_string).collect();
    let says = format!("gives {}", gives.join(", "));
    match sample.command() {
        Some(text) => Example { says: format!("To try; it {says}:"), text, kind: ExampleKind::Command },
        None => Example { says: format!("As a model, which {says}:"), text: sample.model(), kind: ExampleKind::Model },
    }
}
