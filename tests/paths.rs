//! Every path of the examples, written by hand from the rules of `grammar/README.md` ("Paths"), in both directions:
//! a checkpoint holds these and no others.

use std::collections::BTreeSet;
use wythe::ir::structured::{Item, Region, Structured, show_path};
use wythe::pipeline::{Stage, forward};
use wythe::{DType, Mode, Model};

const LINEAR: [&str; 2] = ["weight", "bias"];
const NORM: [&str; 5] = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"];
const ATTENTION: [&str; 4] = ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"];

/// The paths of some layers, each with these parameters.
fn of(layers: &[&str], parameters: &[&str]) -> Vec<String> {
    layers.iter().flat_map(|layer| parameters.iter().map(move |name| format!("{layer}.{name}"))).collect()
}

/// The same below every copy of a repeat.
fn copies(name: &str, count: usize, below: &[String]) -> Vec<String> {
    (0..count).flat_map(|i| below.iter().map(move |path| format!("{name}.{i}.{path}"))).collect()
}

fn wanted(model: &str) -> BTreeSet<String> {
    let parts: Vec<Vec<String>> = match model {
        "mlp" => {
            let block = [of(&["norm"], &["weight"]), of(&["ffn.up", "ffn.down"], &LINEAR)].concat();
            vec![of(&["stem", "head"], &LINEAR), of(&["rmsnorm"], &["weight"]), copies("blocks", 4, &block)]
        }
        "digits" => {
            let block = [of(&["norm"], &["weight"]), of(&["ffn.linear", "ffn.linear_2"], &LINEAR)].concat();
            vec![of(&["stem", "head"], &LINEAR), of(&["rmsnorm"], &["weight"]), copies("blocks", 2, &block)]
        }
        "gpt" => {
            let linears = ["attn.norm", "mlp.norm", "mlp.linear", "mlp.linear_2"];
            let block = [of(&linears, &LINEAR), of(&["attn.attention"], &ATTENTION)].concat();
            vec![of(&["wte", "wpe"], &["weight"]), of(&["ln_f"], &LINEAR), copies("h", 12, &block)]
        }
        "deepnet" => {
            let linears = ["norm", "linear", "linear_2", "norm_2"];
            let block = [of(&linears, &LINEAR), of(&["attention"], &ATTENTION)].concat();
            vec![of(&["wte", "wpe"], &["weight"]), of(&["linear"], &LINEAR), copies("repeat", 100, &block)]
        }
        "twotower" => {
            let convs = ["img.conv", "img.conv_2", "img.conv_3", "img.conv_4", "img.conv_5", "img.linear", "words"];
            vec![of(&["txt"], &["weight"]), of(&convs, &LINEAR)]
        }
        "resnet18" => {
            let two = [of(&["conv", "conv_2"], &["weight"]), of(&["batchnorm", "batchnorm_2"], &NORM)].concat();
            let skip = [of(&["conv_3"], &["weight"]), of(&["batchnorm_3"], &NORM)].concat();
            let below =
                |scope: &str, paths: &[String]| paths.iter().map(|path| format!("{scope}.{path}")).collect::<Vec<_>>();
            let stage = [below("down", &[two.clone(), skip].concat()), below("basic", &two)].concat();
            let stem = [of(&["conv"], &["weight"]), of(&["batchnorm"], &NORM), of(&["fc"], &LINEAR)].concat();
            vec![stem, copies("layer1", 2, &two), copies("for", 3, &stage)]
        }
        other => panic!("{other}"),
    };
    parts.concat().into_iter().collect()
}

#[test]
fn the_examples_have_these_paths_and_no_others() {
    for name in ["mlp", "digits", "gpt", "deepnet", "twotower", "resnet18"] {
        let file = format!("{}/models/{name}.model", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).expect("the model is there");
        let model = Model::check(&text).unwrap_or_else(|reports| panic!("{reports}"));
        let graph = forward(model.structured().expect("one model"), Mode::Eval, DType::F32, Stage::Flat);
        let found: BTreeSet<String> = graph.params.iter().map(|param| param.path.clone()).collect();
        assert_eq!(found.len(), graph.params.len(), "{name}: a path twice");
        let wanted = wanted(name);
        let missing: Vec<_> = wanted.difference(&found).collect();
        let more: Vec<_> = found.difference(&wanted).collect();
        assert!(missing.is_empty() && more.is_empty(), "{name}: missing {missing:#?}, unexpected {more:#?}");
    }
}

/// The paths of all applications of an operator: what its randomness is keyed by.
fn applications(model: &Structured, op: &str) -> Vec<String> {
    fn walk(region: &Region, op: &str, found: &mut Vec<String>) {
        for item in &region.items {
            match item {
                Item::Op(item) if item.op.name == op => found.push(show_path(&item.application)),
                Item::Op(_) => {}
                Item::Scope(scope) => walk(&scope.region, op, found),
                Item::Repeat(repeat) => repeat.runs.iter().for_each(|run| walk(&run.region, op, found)),
            }
        }
    }
    let mut found = vec![];
    walk(&model.body, op, &mut found);
    found
}

#[test]
fn a_shared_layer_has_one_path_and_an_application_for_each_use() {
    let text = "dim batch\nblock f(c) { linear(c); dropout(0.5) }\n\
        model m : (x: f32[batch, 8]) -> f32[batch, 8] {\nlayer g = f(8)\ng; relu; g\nlayer drop = dropout(0.1)\ndrop; drop\n\
        h = repeat 3 shared { linear(8); dropout(0.5) }\n}\n";
    let model = Model::check(text).unwrap_or_else(|reports| panic!("{reports}"));
    let model = model.structured().expect("one model");
    let graph = forward(model, Mode::Eval, DType::F32, Stage::Flat);
    let paths: Vec<&str> = graph.params.iter().map(|param| param.path.as_str()).collect();
    assert_eq!(paths, ["g.linear.weight", "g.linear.bias", "h.linear.weight", "h.linear.bias"]);
    let draws = applications(model, "dropout");
    assert_eq!(draws.iter().collect::<BTreeSet<_>>().len(), 5, "each use draws its own mask: {draws:?}");
    assert!(draws.contains(&"h.*.dropout".to_string()), "{draws:?}");
}
