//! Tests of elaboration as a whole: text in, graph or reports out.

use super::{Elaborated, Request, elaborate};
use crate::ir::attr::Attr;
use crate::ir::params;
use crate::ir::structured::{Item, OpItem, Region, Structured};
use crate::syntax::parse;
use crate::text::{Source, Sources};

fn run(text: &str, sets: &[(&str, &str)]) -> (Elaborated, Sources) {
    let mut sources = Sources::default();
    sources.add(Source::new("m.model", text));
    let parsed = parse(0, text);
    assert!(parsed.diagnostics.is_empty(), "{:#?}", parsed.diagnostics);
    let sets = sets.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let request = Request { sets, model: None };
    (elaborate(&[parsed.file], &sources, &request), sources)
}

/// The one model of a text that checks.
fn model(text: &str) -> Structured {
    let (mut done, sources) = run(text, &[]);
    let reports = crate::diagnostic::render::human(&done.diagnostics, &sources, &Default::default());
    assert!(done.diagnostics.is_empty(), "{reports}");
    done.models.remove(0)
}

/// `code@line` of every report.
fn codes(text: &str) -> Vec<String> {
    let (done, sources) = run(text, &[]);
    let line = |span: crate::text::Span| sources.of(span).position(span.start).0;
    done.diagnostics.iter().map(|d| format!("{}@{}", d.code, line(d.labels[0].span))).collect()
}

fn example(name: &str) -> String {
    let text = include_str!("examples.txt");
    let start = text.find(&format!("// {name}.model")).expect("the example stands in examples.txt");
    text[start..].split("\n====\n").next().expect("a text has a first part").to_string()
}

fn ops(region: &Region) -> Vec<&OpItem> {
    let inside = |item| match item {
        &Item::Op(ref op) => vec![op],
        Item::Scope(scope) => ops(&scope.region),
        Item::Repeat(repeat) => repeat.runs.iter().flat_map(|run| ops(&run.region)).collect(),
    };
    region.items.iter().flat_map(inside).collect()
}

fn paths(model: &Structured) -> Vec<String> {
    params::parameters(model).map(|param| param.shown()).collect()
}

#[test]
fn the_examples_have_exactly_these_parameters() {
    let counts =
        [("mlp", 2307082), ("gpt", 124439808), ("resnet18", 11689512), ("deepnet", 331885570), ("twotower", 29782240)];
    for (name, count) in counts {
        assert_eq!(params::count(&model(&example(name))), Some(count), "{name}");
    }
}

#[test]
fn paths_are_those_of_the_language() {
    let has = |name: &str, wanted: &[&str]| {
        let model = model(&example(name));
        let paths = paths(&model);
        for path in wanted {
            assert!(paths.iter().any(|p| p == path), "{name}: {path} not in {paths:#?}");
        }
    };
    has("mlp", &["stem.weight", "blocks.*.norm.weight", "blocks.*.ffn.up.weight", "rmsnorm.weight", "head.bias"]);
    has(
        "gpt",
        &[
            "wte.weight",
            "h.*.attn.norm.weight",
            "h.*.attn.attention.in_proj_weight",
            "h.*.mlp.linear.weight",
            "h.*.mlp.linear_2.bias",
            "ln_f.weight",
        ],
    );
    has("deepnet", &["repeat.*.attention.in_proj_weight", "repeat.*.norm_2.bias"]);
    has("twotower", &["img.conv.weight", "img.conv_2.weight", "img.conv_5.bias", "img.linear.weight", "words.weight"]);
    has("resnet18", &["layer1.*.conv.weight", "for.*.down.conv_3.weight", "fc.bias", "for.*.basic.batchnorm_2.bias"]);
}

#[test]
fn deep_norm_takes_its_constants_from_the_stack() {
    let model = model(&example("deepnet"));
    let items = ops(&model.body);
    let add = items.iter().find(|op| op.op.name.starts_with("residual")).expect("a residual");
    let Attr::Float(alpha) = add.attrs.get("alpha") else { panic!("{:?}", add.attrs) };
    assert!((alpha - 3.7606).abs() < 1e-4, "{alpha}");
    let gain = items.iter().find(|op| op.op.name == "attention").and_then(|op| op.gain);
    assert!((gain.expect("a gain") - 0.1880).abs() < 1e-4);
    let linears: Vec<Option<f64>> = items.iter().filter(|op| op.op.name == "linear").map(|op| op.gain).collect();
    assert_eq!(linears.iter().filter(|gain| gain.is_some()).count(), 2, "the head is in no branch: {linears:?}");
}

#[test]
fn classic_mistakes_have_one_report_each() {
    let width = "dim batch\nblock tower(w) { a = linear(2 * w); gelu; b = linear(w) }\nmodel m(w = 64) : (x: f32[batch, 64]) -> f32[batch, 7] {\n\
        t = repeat 12 { residual pre rmsnorm { tower(w) } }\nmid = linear(128)\ngelu\ndropout(0.1)\nhead = linear(64 -> 7)\n}\n";
    assert_eq!(codes(width), ["shape::pin@8"]);
    let branch = "dim batch\nblock leg(d) { up = linear(4 * d); gelu; down = linear(d - 4) }\nmodel m(d = 64) : (x: f32[batch, 64]) -> f32[batch, 64] {\n\
        h = repeat 12 {\nresidual pre rmsnorm { leg(d) }\n}\n}\n";
    assert_eq!(codes(branch), ["shape::residual@2"]);
    let heads = "dim batch, seq\nmodel m : (x: f32[batch, seq, 65]) -> f32[batch, seq, 65] {\nrepeat 4 { residual pre layernorm { attention(8) } }\n}\n";
    assert_eq!(codes(heads), ["shape::heads@3"]);
    let one = "dim batch\nmodel m : (x: f32[batch, 64]) -> f32[batch, 64] {\nresidual { linear(1) }\n}\n";
    assert_eq!(codes(one), ["shape::residual@3"]);
}
