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

/// One block for every ResNet, in one file.
const BOTTLENECK: &str = "dim batch, cin, h, w

block bottleneck(c, stride = 1) : [batch, cin, h, w] -> [batch, 4 * c, _, _] {
  residual {
    conv(c, 1, bias = false); batchnorm; relu
    conv(c, 3, stride = stride, pad = 1, bias = false); batchnorm; relu
    conv(4 * c, 1, bias = false); batchnorm
  } skip {
    if cin != 4 * c { conv(4 * c, 1, stride = stride, bias = false); batchnorm }
  }
  relu
}
";

const EXAMPLES: &[(&str, &str)] = &[
    ("mlp", include_str!("../../models/mlp.model")),
    ("gpt", include_str!("../../models/gpt.model")),
    ("resnet18", include_str!("../../models/resnet18.model")),
    ("deepnet", include_str!("../../models/deepnet.model")),
    ("twotower", include_str!("../../models/twotower.model")),
    ("bottleneck", BOTTLENECK),
    ("decoder", include_str!("../../models/lib/transformer_decoder.model")),
];

fn example(name: &str) -> &'static str {
    EXAMPLES.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}

fn ops(region: &Region) -> Vec<&OpItem> {
    fn inside(item: &Item) -> Vec<&OpItem> {
        match item {
            Item::Op(op) => vec![op],
            Item::Scope(scope) => ops(&scope.region),
            Item::Repeat(repeat) => repeat.runs.iter().flat_map(|run| ops(&run.region)).collect(),
        }
    }
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
        assert_eq!(params::count(&model(example(name))), Some(count), "{name}");
    }
}

#[test]
fn paths_are_those_of_the_language() {
    let has = |name: &str, wanted: &[&str]| {
        let model = model(example(name));
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
    let model = model(example("deepnet"));
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

/// A model of one input and output of these sizes.
fn small(input: &str, output: &str, body: &str) -> String {
    format!("dim batch, seq, h\nmodel m(d = 8) : (x: f32[{input}]) -> f32[{output}] {{\n{body}\n}}\n")
}

fn wrong(body: &str) -> Vec<String> {
    codes(&small("batch, 8", "batch, 8", body))
}

#[test]
fn slips_have_a_code_of_their_own() {
    let cases: &[(&str, &str)] = &[
        ("liner(8)", "name::stage@3"),
        ("linear(8, biass = false)", "attr::unknown@3"),
        ("linear(\"eight\")", "attr::kind@3"),
        ("dropout(0.1, 0.2)", "attr::too_many@3"),
        ("linear", "attr::missing@3"),
        ("a = linear(8)\na = linear(8)", "name::twice@4"),
        ("dropout(1.5)", "attr::domain@3"),
        ("linear(-8)\nlinear(8)", "attr::positive@3"),
        ("batchnorm(momentum = 0.9)", "attr::momentum@3"),
        ("linear(7 / 2)\nlinear(8)", "attr::fraction@3"),
        ("linear(4 / 0)", "limit::zero@3"),
        ("linear(99999999999999999999999)", "limit::integer@3"),
        ("linear(9223372036854775807 * 2)", "limit::integer@3"),
        ("linear(1000000000000)\nlinear(8)", "limit::tensor@3"),
        ("unsqueeze(0, 1, 2, 3, 4, 5, 6)", "limit::tensor@3"),
        ("repeat 1000000000 { linear(8) }", "limit::stages@3"),
        ("repeat 100000 { repeat 100000 { linear(8) } }", "limit::stages@3"),
        ("repeat -1 { linear(8) }", "type::count@3"),
        ("gelu(form = tanh)", "attr::choice@3"),
        ("softmax(axis = d)", "attr::axis_name@3"),
        ("softmax(axis = seq)", "attr::axis_dim@3"),
        ("softmax(axis = 5)", "shape::axis@3"),
        ("linear(x)", "type::tensor_as_number@3"),
        ("d", "type::number_in_flow@3"),
        ("x + relu", "type::bare_operand@3"),
        ("it ^ 2", "type::power@3"),
        ("x |> linear(8) |> x", "flow::value@3"),
        ("linear(8)\nrelu\nx", "flow::dropped@5"),
        ("a = linear(8)\na", "flow::idle@4"),
        ("relu = linear(8)\nrelu", "name::ambiguous@4"),
        ("(a, b) = linear(8)\na", "type::pattern@3"),
        ("x |> (x + 1)", "flow::unused@3"),
        ("residual { f = linear(8) }\nresidual { f = linear(8) }", "path::twice@4"),
        ("repeat 2 shared { linear(9) }", "shape::shared_repeat@3"),
        ("linear(seq)\nlinear(8)", "attr::domain@3"),
    ];
    for (body, code) in cases.iter().take(cases.len() - 1) {
        assert_eq!(wrong(body), [*code], "{body}");
    }
    assert_eq!(
        codes(&small("batch, seq, 8", "batch, seq, 8", "linear(seq); linear(8)")),
        ["type::symbolic_parameter@3"]
    );
    assert_eq!(codes(&small("batch, seq, 8", "batch, seq, 8", "repeat seq { relu }")), ["type::symbolic@3"]);
    assert_eq!(codes(&small("bacth, 8", "batch, 8", "linear(8)")), ["name::dim@2"]);
}

#[test]
fn facts_are_used_and_missing_ones_named() {
    let conv = |output: &str, fact: &str| {
        let body = "conv(8, 3, stride = 2, pad = 1)";
        small("batch, 3, h, h", output, body).replace(" {\nconv", &format!("{fact} {{\nconv"))
    };
    assert!(codes(&conv("batch, 8, h / 2, h / 2", " where h % 2 == 0")).is_empty());
    let (done, _) = run(&conv("batch, 8, h / 2, h / 2", ""), &[]);
    assert_eq!(done.diagnostics.len(), 1);
    assert_eq!(done.diagnostics[0].fixes[0].replacement, " where h % 2 == 0");
    assert_eq!(codes(&small("batch, seq, 8", "seq, batch, 8", "linear(8)")), ["shape::output@2"]);
    let block = |body: &str, call: &str| {
        format!(
            "dim batch\nblock b(d) : [batch, d] -> [batch, d] {{ {body} }}\nmodel m : (x: f32[batch, 256]) -> f32[batch, 256] {{ {call} }}\n"
        )
    };
    assert_eq!(codes(&block("linear(2 * d)", "b(256)")), ["shape::contract@2"]);
    assert_eq!(codes(&block("linear(256)", "b(256)")), ["shape::contract@2"], "a contract holds for all sizes");
    assert!(codes(&block("linear(3 * d); linear(d)", "b(256)")).is_empty());
    let half = "dim batch\nblock half(d) : [batch, d] -> [batch, d / 2] where d % 2 == 0 { linear(d / 2) }\n\
        model m : (x: f32[batch, 9]) -> f32[batch, 4] { half(9); linear(4) }\n";
    assert_eq!(codes(half), ["where::false@3"]);
}

#[test]
fn a_lower_bound_that_is_not_known_is_recorded() {
    let model = model(&small("batch, 3, h, h", "batch, 8, _, _", "conv(8, 3)"));
    assert_eq!(model.needs.len(), 2);
}

#[test]
fn the_chain_and_both_places_are_told() {
    let text = example("mlp").replace("down = linear(d)", "down = linear(60)");
    let (done, _) = run(&text, &[]);
    assert_eq!(done.diagnostics.len(), 1);
    let report = &done.diagnostics[0];
    assert_eq!(report.code, "shape::residual");
    assert_eq!(report.labels.len(), 2);
    let path = report.path.as_deref().expect("a path");
    assert_eq!(path, "mlp › blocks[0..3] › residual › ffn(d = 256)        same in all 4 copies");
    let flow = "[batch, 256] ─rmsnorm→ ─up→ [batch, 1024] ─gelu→ ─dropout→ ─down→ [batch, 60]";
    assert_eq!(report.flow.as_deref(), Some(flow));
    assert_eq!(report.fixes[0].shown, "down = linear(d)");
}

#[test]
fn sets_reach_hyperparameters_and_settings() {
    let count = |sets: &[(&str, &str)]| {
        let (done, _) = run(example("mlp"), sets);
        (done.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), done.models.first().and_then(params::count))
    };
    assert_eq!(count(&[("depth", "8")]), (vec![], Some(4410378)));
    assert_eq!(count(&[("deph", "8")]).0, ["name::set"]);
    assert_eq!(count(&[("d", "x")]).0, ["attr::set"]);
    assert_eq!(count(&[("train.lrr", "1e-3")]).0, ["name::set"]);
    let (done, _) = run(example("mlp"), &[("train.batch", "8"), ("train.lr", "1e-2"), ("train.steps", "3")]);
    let training = &done.trainings[0];
    assert_eq!((training.batch, training.optimizers[0].optimizer.attrs.float("lr")), (8, Some(1e-2)));
    assert_eq!(training.length, Some(crate::ir::training::Length::Steps(3)));
}

#[test]
fn a_train_section_has_its_parts() {
    let (done, _) = run(example("gpt"), &[]);
    let training = &done.trainings[0];
    assert_eq!(training.metrics.len(), 1);
    assert_eq!(training.schedule.len(), 2);
    assert_eq!(training.sizes, [("batch".to_string(), 8), ("seq".to_string(), 128)]);
    assert!(training.targets.is_empty(), "the target is made of the tokens");
    let words: Vec<&str> = ops(&training.loss.region).iter().map(|op| op.op.name).collect();
    assert_eq!(words, ["next", "cross_entropy"]);
}

#[test]
fn stages_are_values_and_each_use_has_its_own_parameters() {
    let text = "dim batch\nblock f(d, act = gelu, norm = layernorm(eps = 1e-6)) { norm; linear(d); act; norm(eps = 1e-3) }\n\
        model m(act = relu, d = 8) : (x: f32[batch, 8]) -> f32[batch, 8] {\nlayer fc = linear(d)\nfc; act; fc\n\
        a = f(d, act)\nfor (w, k) in [(8, 1), (16, 2)] { linear(w * k); act() }\n\
        parallel join sum { | linear(d) | it |> linear(d) | base = linear(d) |> relu }\n\
        (p, q) = (it |> linear(4), it |> linear(4))\n(p, q) |> concat(axis = -1)\n}\n";
    let model = model(text);
    let paths = paths(&model);
    for path in ["fc.weight", "a.norm.weight", "a.norm_2.bias", "for.*.linear.weight", "linear_2.weight", "base.weight"]
    {
        assert!(paths.iter().any(|p| p == path), "{path} not in {paths:#?}");
    }
    assert_eq!(paths.iter().filter(|p| *p == "fc.weight").count(), 1, "a layer used twice is shared");
}

#[test]
fn copies_that_change_the_shape_are_runs() {
    let text =
        "dim batch\nmodel m : (x: f32[batch, 64]) -> f32[batch, 64] {\nlinear(8); h = repeat 1000 { linear(64) }\n}\n";
    let model = model(text);
    let repeat = model.body.items.iter().find_map(|item| match item {
        Item::Scope(scope) => scope.region.items.iter().find_map(|item| match item {
            Item::Repeat(repeat) => Some(repeat),
            Item::Op(_) | Item::Scope(_) => None,
        }),
        Item::Repeat(repeat) => Some(repeat),
        Item::Op(_) => None,
    });
    let runs: Vec<(u64, u64)> = repeat.expect("a repeat").runs.iter().map(|run| (run.first, run.count)).collect();
    assert_eq!(runs, [(0, 1), (1, 999)]);
}

#[test]
fn encoder_and_decoder_have_the_constants_of_the_paper() {
    let text = "dim batch, src, seq\nblock enc(d, heads) : [batch, seq, d] -> [batch, seq, d] {\n\
        residual deep(encoder = 6, decoder = 6) layernorm { attention(heads) }\n\
        residual deep(encoder = 6, decoder = 6) layernorm { linear(4 * d); gelu; linear(d) }\n}\n\
        block dec(d, heads) : (x: [batch, seq, d], memory: [batch, src, d]) -> [batch, seq, d] {\n\
        x |> residual deep layernorm { attention(heads, causal = true) }\n\
        residual deep layernorm { (it, memory) |> attention(heads) }\n\
        residual deep layernorm { linear(4 * d); gelu; linear(d, gain = 1) }\n}\n\
        model m(d = 64, heads = 4) : (a: f32[batch, src, d], b: f32[batch, seq, d]) -> f32[batch, seq, d] {\n\
        memory = a |> repeat 6 { enc(d, heads) }\nb |> repeat 6 { (it, memory) |> dec(d, heads) }\n}\n";
    let model = model(text);
    let items = ops(&model.body);
    let alphas: Vec<f64> =
        items.iter().filter(|op| op.op.name.starts_with("residual")).filter_map(|op| op.attrs.float("alpha")).collect();
    let wanted = [1.418, 1.418, 2.060, 2.060, 2.060];
    assert!(alphas.len() == 5 && alphas.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-3), "{alphas:?}");
    let gains: Vec<Option<f64>> = items.iter().filter(|op| op.op.name == "linear").map(|op| op.gain).collect();
    assert_eq!(gains.iter().filter(|gain| gain.is_none()).count(), 1, "gain = 1 opts out: {gains:?}");
}

#[test]
fn recursion_ends_or_is_refused() {
    let tree = "dim batch\nblock tree(n, d) { if n > 0 { tree(n - 1, d); tree(n - 1, d) } else { linear(d) } }\n\
        model m : (x: f32[batch, 8]) -> f32[batch, 8] { tree(DEPTH, 8) }\n";
    assert_eq!(params::count(&model(&tree.replace("DEPTH", "3"))), Some(8 * 72));
    assert_eq!(codes(&tree.replace("DEPTH", "40")), ["limit::stages@2"]);
    let endless = "dim batch\nblock b(d) { b(d) }\nmodel m : (x: f32[batch, 8]) -> f32[batch, 8] { b(8) }\n";
    assert_eq!(codes(endless), ["limit::recursion@2"]);
    let blocks: String = (0..60).map(|i| format!("block b{i} {{ b{}; b{} }}\n", i + 1, i + 1)).collect();
    let doubled = format!(
        "dim batch\n{blocks}block b60 {{ linear(4) }}\nmodel m : (x: f32[batch, 4]) -> f32[batch, 4] {{\nb0\n}}\n"
    );
    assert_eq!(codes(&doubled), ["limit::stages@64"]);
}

#[test]
fn a_thousand_layers_are_looked_at_once() {
    let start = std::time::Instant::now();
    let (done, _) = run(example("deepnet"), &[("depth", "1000")]);
    assert!(done.diagnostics.is_empty());
    assert!(done.models[0].values.len() < 200, "equal copies are looked at once");
    assert!(start.elapsed().as_millis() < 100);
}

#[test]
fn a_token_too_few_or_too_many_never_panics() {
    for (name, text) in EXAMPLES {
        for token in crate::syntax::lex::lex(text) {
            let (start, end) = (token.start, token.end);
            let without = format!("{}{}", &text[..start], &text[end..]);
            let twice = format!("{} {}", &text[..end], &text[start..]);
            for text in [&without, &twice, &text[..end].to_string()] {
                let mut sources = Sources::default();
                sources.add(Source::new("m.model", text.as_str()));
                let parsed = parse(0, text);
                let faults: Vec<_> = parsed.diagnostics.iter().map(|d| d.labels[0].span).collect();
                let done = super::elaborate_around(&[parsed.file], &sources, &Request::default(), &faults);
                let count = parsed.diagnostics.len() + done.diagnostics.len();
                assert!(count <= 12, "{name}: {count} reports on\n{text}");
            }
        }
    }
}

#[test]
fn a_block_for_all_sizes_is_silent_on_what_it_cannot_know() {
    let text = "dim batch, seq\nblock f(d, act, place, norm, n, flag, list) : [..., d] -> [..., d] {\n\
        residual place norm { linear(n * d); act; linear(d) }\nif flag { relu }\nfor c in list { linear(c); act }\nlinear(d)\n}\n\
        block g(d, k) : [..., seq, d] -> [..., seq, d] { attention(k); repeat k { relu } }\n\
        block alone(d) { liner(d); linear(d, biass = true) }\n";
    assert_eq!(codes(text), ["name::stage@9", "attr::unknown@9"]);
}

#[test]
fn blocks_come_from_other_files_and_reports_from_the_right_one() {
    let own = "use \"b.model\"\ndim batch\nmodel m : (x: f32[batch, 8]) -> f32[batch, 9] { wide(9) }\n";
    let other = "block wide(d) { linear(d); gelu }\nblock bad(d) { liner(d) }\n";
    let mut sources = Sources::default();
    sources.add(Source::new("a.model", own));
    sources.add(Source::new("b.model", other));
    let files = [parse(0, own).file, parse(1, other).file];
    assert_eq!(super::uses(&files[0]).iter().map(|(path, _)| *path).collect::<Vec<_>>(), ["b.model"]);
    let done = elaborate(&files, &sources, &Request::default());
    assert_eq!(done.models.len(), 1);
    let places: Vec<_> = done.diagnostics.iter().map(|d| (d.code, d.labels[0].span.file)).collect();
    assert_eq!(places, [("name::stage", 1)]);
}

#[test]
fn an_expression_is_a_model() {
    let text = super::expression_text("rmsnorm |> gelu", &[("x".into(), "f32", vec![1, 3])]);
    let model = model(&text);
    assert_eq!(ops(&model.body).iter().map(|op| op.op.name).collect::<Vec<_>>(), ["rmsnorm", "gelu"]);
    assert_eq!((model.inputs.len(), model.outputs.len()), (1, 1));
}

#[test]
fn train_sections_have_errors_of_their_own() {
    let section = |settings: &str| {
        codes(&format!(
            "dim batch\nmodel m(d = 8) : (x: f32[batch, 4]) -> f32[batch, 3] {{ fc = linear(3) }}\ntrain m {{\ntarget y: i64[batch]; loss cross_entropy\n{settings}\n}}\n"
        ))
    };
    assert!(
        section("optimizer \"fc.*\" sgd(lr = 0.1); freeze \"*.bias\"; clip norm(1.0); valid 0.1; shuffle false")
            .is_empty()
    );
    for (settings, code) in [
        ("optimizer adamm(lr = 1e-3)", "train::optimizer@5"),
        ("optimizer adamw(lr = -1)", "attr::domain@5"),
        ("schedule constant |> cosine(10)", "train::endless@5"),
        ("schedule cosin(10)", "train::schedule@5"),
        ("data digit", "train::source@5"),
        ("batch 0", "train::number@5"),
        ("steps 3; epochs 2", "train::length@5"),
        ("clip nrm(1.0)", "train::value@5"),
        ("lr 3", "train::setting@5"),
        ("seed 1; seed 2", "train::twice@5"),
        ("freeze \"fd.*\"", "train::pattern@5"),
        ("metric { (out, y) |> cross_entropy(reduction = \"none\") }", "train::metric_shape@5"),
    ] {
        assert_eq!(section(settings), [code], "{settings}");
    }
}
