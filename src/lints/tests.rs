//! Who makes and who reads, through scopes and repeats; and streams that are measured.

use super::*;
use crate::elaborate::Request;
use crate::ir::structured::Structured;
use crate::pipeline;
use crate::text::Source;

fn model(body: &str) -> Structured {
    let text = format!(
        "dim batch\nblock pair(d) {{ linear(d); relu }}\nmodel m : (x: f32[batch, 8]) -> f32[batch, 8] {{\n{body}\n}}\n"
    );
    let mut found = pipeline::check(Source::new("a.model", text.clone()), &Request::default(), None);
    assert!(!found.has_errors(), "{text}\n{}", found.render());
    found.models.remove(0)
}

/// The words of what makes each operand of a site.
fn made_by(flow: &Flow<'_>, site: Site) -> Vec<String> {
    let word = |maker: Maker| match maker {
        Maker::Input(_) => "input".to_string(),
        Maker::Op(site) => flow.op(site).word.clone(),
    };
    let operands = flow.op(site).operands.iter().flatten();
    operands.flat_map(|&value| flow.makers(value).into_iter().map(word)).collect()
}

/// The words of what reads a site.
fn read_by(flow: &Flow<'_>, site: Site) -> Vec<String> {
    let word = |reader: Reader| match reader {
        Reader::Output => "output".to_string(),
        Reader::Op(site, index) => format!("{} {index}", flow.op(site).word),
    };
    let mut words: Vec<String> = flow.after(site).into_iter().map(word).collect();
    words.sort();
    words
}

/// The only site of a word.
fn site(flow: &Flow<'_>, word: &str) -> Site {
    let mut sites = flow.sites().filter(|&site| flow.op(site).word == word);
    let found = sites.next().expect("it stands there");
    assert!(sites.next().is_none(), "{word} stands there twice");
    found
}

#[test]
fn a_copy_takes_what_the_copy_before_it_made() {
    let model = model("tanh\nrepeat 3 { sigmoid; linear(8) }\nrelu");
    let flow = Flow::of_model(&model);
    assert_eq!(made_by(&flow, site(&flow, "sigmoid")), ["tanh", "linear"]);
    assert_eq!(read_by(&flow, site(&flow, "linear")), ["relu 0", "sigmoid 0"]);
    assert_eq!(made_by(&flow, site(&flow, "relu")), ["linear"]);
    assert_eq!(read_by(&flow, site(&flow, "tanh")), ["sigmoid 0"]);
    assert_eq!((flow.copies(site(&flow, "linear")), flow.copies(site(&flow, "relu"))), (3, 1));
}

#[test]
fn one_copy_is_an_open_door_and_so_is_an_empty_repeat() {
    let model = model("tanh\nrepeat 1 { sigmoid }\nrepeat 4 { it * 1 }\nrepeat 0 { linear(8) }\nrelu");
    let flow = Flow::of_model(&model);
    assert_eq!(made_by(&flow, site(&flow, "sigmoid")), ["tanh"]);
    assert_eq!(read_by(&flow, site(&flow, "sigmoid")).len(), 1);
    assert_eq!(made_by(&flow, site(&flow, "relu")).len(), 1);
}

#[test]
fn what_a_repeat_hands_on_untouched_is_the_same_value() {
    let model = model(
        "m = tanh\n(y, z) = (m |> sigmoid, m) |> repeat 5 { (a, b) = it\n (a, b) |> add |> silu\n (it, b) }\n(y, z) |> mul",
    );
    let flow = Flow::of_model(&model);
    let add = site(&flow, "add");
    assert_eq!(made_by(&flow, add), ["sigmoid", "silu", "tanh"]);
    let product = flow.sites_of(&["mul"]).next().expect("a product");
    assert_eq!(made_by(&flow, product), ["silu", "tanh"], "z is m itself");
    let readers = read_by(&flow, site(&flow, "tanh"));
    assert_eq!(readers.len(), 3, "sigmoid, the copies' add, the product: {readers:?}");
}

#[test]
fn runs_of_changing_width_follow_each_other() {
    let model = model("repeat 3 { linear(16) }\ntanh\nlinear(8)");
    let flow = Flow::of_model(&model);
    let linears: Vec<Site> = flow.sites_of(&["linear"]).collect();
    assert_eq!(linears.len(), 3, "the first copy, the two others, the last layer");
    assert_eq!(linears.iter().map(|&site| flow.copies(site)).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(made_by(&flow, linears[1]), ["linear", "linear"], "the first copy and itself");
    assert!(linears.iter().all(|&site| !flow.shared(site)), "each has weights of its own");
}

#[test]
fn declared_layers_and_shared_repeats_are_shared() {
    let model = model("layer a = linear(8)\na\ntanh\na\nrepeat 2 shared { pair(8) }\nfor d in [8, 8] { linear(d) }");
    let flow = Flow::of_model(&model);
    let shared: Vec<bool> = flow.sites_of(&["linear"]).map(|site| flow.shared(site)).collect();
    assert_eq!(shared, [true, true, true, false, false]);
}

#[test]
fn the_path_of_a_site_is_that_of_the_reports() {
    let model = model("h = repeat 4 {\n  residual { repeat 2 { pair(8) }; linear(8) }\n}");
    let flow = Flow::of_model(&model);
    let relu = site(&flow, "relu");
    let path = flow.path(relu).expect("it stands in something");
    assert_eq!(path, "m › h[0..3] › residual › repeat[0..1] › pair(d = 8)        same in all 8 copies");
}

/// The number of these stages along the stream to the output.
fn counted(body: &str, names: &[&str]) -> u64 {
    let model = model(body);
    let flow = Flow::of_model(&model);
    let known = follow(
        &flow,
        |site, known| known.operands().max().copied().unwrap_or(0) + u64::from(flow.is(site, names)),
        |one, two, more| two + (two - one) * more,
    );
    known[model.outputs[0].value.0 as usize]
}

#[test]
fn a_stream_counts_its_copies() {
    let residual = &["residual.add"];
    assert_eq!(counted("residual { linear(8) }\nresidual { linear(8) }", residual), 2);
    assert_eq!(counted("repeat 12 { residual { linear(8) }; residual { linear(8) } }", residual), 24);
    assert_eq!(counted("repeat 3 { repeat 4 { residual { linear(8) } }; residual { linear(8) } }", residual), 15);
    assert_eq!(counted("repeat 1000 { residual { linear(8) } }", residual), 1000);
    assert_eq!(counted("repeat 1 { residual { linear(8) } }\nrepeat 2 { residual { linear(8) } }", residual), 3);
    assert_eq!(counted("repeat 3 { linear(16); tanh }\nlinear(8)", &["linear"]), 4, "runs add up");
    assert_eq!(counted("residual { residual { linear(8) } }", residual), 2, "one within the other");
    let six = "repeat 2 { repeat 2 { repeat 2 { repeat 2 { repeat 2 { repeat 2 { tanh } } } } } }";
    assert!(counted(six, &["tanh"]) >= 16, "very deep nests count less, and end");
}
