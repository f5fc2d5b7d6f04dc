//! Laws of the catalogue of lints, and what silences them.

use ndarray::ArrayD;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use wythe::diagnostic::{Diagnostic, Severity};
use wythe::elaborate::Request;
use wythe::lints;
use wythe::pipeline::{Checked, check};
use wythe::text::Source;
use wythe::{Model, Options, Tensor};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn checked(text: &str) -> Checked {
    check(Source::new("a.model", text), &Request::default(), None)
}

/// All that is said of a text, infos too, as `severity code`.
fn said(text: &str) -> Vec<String> {
    let found = checked(text);
    let all = found.diagnostics.iter().chain(&found.remarks);
    all.map(|report| format!("{:?} {}", report.severity, report.code)).collect()
}

#[test]
fn every_lint_fires_on_its_example_and_on_nothing_else() {
    for lint in lints::all() {
        let wanted = vec![format!("{:?} {}", lint.severity, lint.code)];
        assert_eq!(said(lint.fires), wanted, "{}: {}\n{}", lint.code, lint.fires, checked(lint.fires).render());
        assert_eq!(said(lint.quiet), Vec::<String>::new(), "{}: {}", lint.code, lint.quiet);
    }
}

#[test]
fn every_lint_says_what_why_and_how_grave() {
    let mut codes = BTreeSet::new();
    for lint in lints::all() {
        let name = lint.name();
        assert!(codes.insert(lint.code), "{} is there twice", lint.code);
        assert!(
            lint.code == format!("lint::{name}") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{name}"
        );
        let first = lint.doc.trim().split("\n\n").next().unwrap_or("");
        assert!(first.ends_with('.') && lint.doc.trim().contains("\n\n"), "{name}: a sentence, then the rest");
        assert!(!lint.why.is_empty() && !lint.why.ends_with('.'), "{name}: why");
        for text in [lint.fires, lint.quiet] {
            assert!(text.ends_with("}\n") && !text.contains('\t'), "{name}: a whole text");
            assert_eq!(wythe::syntax::format(text).ok().as_deref(), Some(text), "{name}: as the formatter has it");
        }
    }
}

#[test]
fn the_readme_lists_them() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let (_, section) = readme.split_once("\n## Lints\n").expect("it has a section on lints");
    let section = section.split("\n## ").next().unwrap_or("");
    let listed: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |lint: &lints::Lint| {
        let first: Vec<&str> = lint.doc.trim().split("\n\n").next().unwrap_or("").lines().map(str::trim).collect();
        format!("| `{}` | {} | {} |", lint.name(), format!("{:?}", lint.severity).to_lowercase(), first.join(" "))
    };
    assert_eq!(listed, lints::all().map(row).collect::<Vec<_>>());
}

#[test]
fn a_report_shows_both_culprits_and_the_reason() {
    let wants_two = ["softmax_before_ce", "nll_needs_log", "collapse", "missing_final_norm"];
    for lint in lints::all() {
        let found = checked(lint.fires);
        let report = found.diagnostics.iter().chain(&found.remarks).next().expect("it fires");
        assert!(report.notes.iter().any(|note| note.starts_with(lint.why)), "{}: {:?}", lint.code, report.notes);
        assert!(!wants_two.contains(&lint.name()) || report.labels.len() == 2, "{}", lint.code);
    }
}

fn with_comment(at: usize, comment: &str, alone: bool) -> String {
    let text = "dim batch\n\
        block pair(d) {\n\
        \x20 residual {\n\
        \x20   linear(32)\n\
        \x20   linear(d)\n\
        \x20 }\n\
        }\n\
        model m : (x: f32[batch, 16])\n\
        \x20 -> f32[batch, 16] {\n\
        \x20 pair(16)\n\
        }\n";
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    match alone {
        true => lines.insert(at - 1, format!("// {comment}")),
        false => lines[at - 1] += &format!("   // {comment}"),
    }
    lines.join("\n") + "\n"
}

#[test]
fn allow_speaks_for_its_line_its_body_or_the_next_line() {
    let silent = |at: usize, comment: &str, alone: bool| said(&with_comment(at, comment, alone)).is_empty();
    assert!(!silent(1, "nothing", false), "the text has a lint");
    // The lines of both culprits, the residual, the block; not the model that calls it, nor a line beside.
    for (line, holds) in [(2, true), (3, true), (4, true), (5, true), (6, false), (8, false), (10, false)] {
        assert_eq!(silent(line, "allow(collapse)", false), holds, "on line {line}");
    }
    for (line, holds) in [(2, true), (3, true), (4, true), (5, true), (6, false), (7, false)] {
        assert_eq!(silent(line, "allow(collapse)", true), holds, "alone before line {line}");
    }
    for spelled in ["allow(lint::collapse)", "why not  // allow(collapse): as in the paper", "allow( collapse )"] {
        assert!(silent(4, spelled, false), "{spelled}");
    }
    assert!(!silent(4, "we allow(collapse)", false), "prose allows nothing");
}

#[test]
fn allow_in_a_header_of_several_lines_and_in_a_train_section() {
    let text = |model: &str, train: &str, loss: &str| {
        format!(
            "dim batch\nmodel m{model}\n  : (x: f32[batch, 4]) -> f32[batch, 3] {{\n  linear(3)\n}}\n\
             train m {{{train}\n  target y: i64[batch]\n  loss nll{loss}\n}}\n"
        )
    };
    let allow = "   // allow(nll-needs-log)";
    assert_eq!(said(&text("", "", "")), ["Error lint::nll_needs_log"]);
    for text in [text(allow, "", ""), text("", allow, ""), text("", "", allow)] {
        assert_eq!(said(&text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn several_codes_and_what_they_silence() {
    let two = "allow(collapse, head_size)";
    assert_eq!(said(&with_comment(4, two, false)), ["Warning lint::unused_allow"], "one of two is idle");
    let found = checked(&with_comment(4, "allow(colapse)", false));
    let unknown = found.diagnostics.iter().find(|report| report.code == "lint::unknown_code").expect("it is told");
    assert_eq!(unknown.fixes[0].replacement, "collapse");
    // An idle allow is not told where something is chosen from outside.
    let text = "dim batch\nmodel m(d = 4) : (x: f32[batch, 4]) -> f32[batch, 3] {\n  linear(d)   // allow(collapse)\n  relu\n  linear(3)\n}\n";
    let set = Request { sets: vec![("d".into(), "8".into())], model: None };
    assert!(check(Source::new("a.model", text), &set, None).diagnostics.is_empty());
    assert_eq!(said(text), ["Warning lint::unused_allow"]);
}

#[test]
fn a_file_with_an_error_gets_no_lints() {
    let text = lints::find("collapse").expect("there is such a lint").fires.replace("linear(3)", "linear(4)");
    assert_eq!(said(&text), ["Error shape::output"]);
    let sound = lints::find("collapse").expect("there is such a lint").fires;
    let other = "model other : (x: f32[batch, 4]) -> f32[batch, 4] { linear(3) }\n";
    assert_eq!(said(&format!("{sound}{other}")), ["Error shape::output"], "also where another model is whole");
}

#[test]
fn instances_of_one_place_are_one_report() {
    let text = "dim batch\nblock pair(d) {\n  linear(64)\n  linear(d)\n}\n\
        model m : (x: f32[batch, 16]) -> f32[batch, 3] {\n  repeat 3 { pair(16); relu }\n  pair(8)\n  relu\n  pair(3)\n}\n";
    let found = checked(text);
    let reports: Vec<&Diagnostic> = found.diagnostics.iter().collect();
    assert_eq!(reports.len(), 1, "{}", found.render());
    assert_eq!(reports[0].path.as_deref(), Some("m › repeat[0..2] › pair(d = 16)        same in all 3 copies"));
    assert!(
        reports[0].notes.contains(&"also at m › pair(d = 8), m › pair(d = 3)".to_string()),
        "{:?}",
        reports[0].notes
    );
}

/// Every `.model` file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder can be listed") {
        let path = entry.expect("an entry can be read").path();
        match path.is_dir() {
            true => files(&path, found),
            false if path.extension().is_some_and(|end| end == "model") => found.push(path),
            false => {}
        }
    }
}

struct Disk;

impl wythe::text::Files for Disk {
    fn read(&self, path: &str, _: u64) -> Result<Vec<u8>, wythe::text::FileError> {
        std::fs::read(path).map_err(|error| wythe::text::FileError { path: path.into(), reason: error.to_string() })
    }
    fn write(&self, path: &str, _: &[u8]) -> Result<(), wythe::text::FileError> {
        panic!("{path} is written")
    }
    fn append(&self, path: &str, _: &[u8]) -> Result<(), wythe::text::FileError> {
        panic!("{path} is written")
    }
    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }
}

/// All files of a folder, checked; no warning and no error is told.
fn silent(folder: &str, least: usize) -> Vec<Checked> {
    let mut found = vec![];
    files(&root().join(folder), &mut found);
    assert!(found.len() >= least);
    let look = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("it is text");
        let checked = check(Source::new(path.to_string_lossy(), text), &Request::default(), Some(&Disk));
        assert!(checked.diagnostics.is_empty(), "{}\n{}", path.display(), checked.render());
        checked
    };
    found.into_iter().map(look).collect()
}

#[test]
fn the_models_check_in_silence() {
    silent("models", 8);
}

/// Patterns of published models that look like what lints are after: linear bottlenecks, gates, two heads, tied tables,
/// pre-activation, a deep plain stack with its initialiser, an encoder and a decoder. Not even an info is told.
#[test]
fn common_practice_is_no_mistake() {
    for checked in silent("tests/fixtures/silent", 9) {
        assert!(!checked.models.is_empty());
        let told: Vec<&str> = checked.remarks.iter().map(|report| report.message.as_str()).collect();
        assert_eq!(told, Vec::<&str>::new(), "{}", checked.sources.0[0].name);
    }
}

#[test]
fn an_error_of_a_lint_is_no_error_of_the_text() {
    let found = checked(lints::find("nll_needs_log").expect("there is such a lint").fires);
    assert!(!found.has_errors() && found.diagnostics[0].severity == Severity::Error);
    assert!(!lints::may_train(&found.diagnostics) && found.models.len() == 1 && found.trainings.len() == 1);
}

// What lints claim, computed --------------------------------------------------------------------------------------

/// The outputs of a text's model for float inputs in order; its parameters are set first.
fn run(text: &str, mode: wythe::Mode, set: &[(&str, ArrayD<f32>)], inputs: &[Tensor]) -> Vec<f32> {
    let model = Model::check(text).unwrap_or_else(|reports| panic!("{reports}"));
    let mut session = model.session(&Options { mode, threads: 1, ..Options::default() }).expect("it compiles");
    for (path, value) in set {
        session.set(path, &Tensor::F32(value.clone())).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let views: Vec<_> = inputs.iter().map(wythe::View::from).collect();
    match session.run(&views).expect("it runs").remove(0) {
        Tensor::F32(array) => array.iter().copied().collect(),
        other => panic!("{other:?}"),
    }
}

/// Numbers that look random and are the same every time.
fn numbers(shape: &[usize], seed: u64) -> ArrayD<f32> {
    let count: usize = shape.iter().product();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    ArrayD::from_shape_vec(shape.to_vec(), (0..count).map(|_| next()).collect()).expect("the sizes agree")
}

/// The largest difference of two results.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// softmax_before_ce: for 10 classes the loss lies in 1.46115 … 2.46115, and both ends are reached.
#[test]
fn cross_entropy_of_a_softmax_is_confined() {
    let text = "model m : (z: f32[1, 10], y: i64[1]) -> f32[] {\n  (z |> softmax, y) |> cross_entropy\n}\n";
    let loss = |sure_of: usize, truth: i64| {
        let mut z = ArrayD::zeros(vec![1, 10]);
        z[[0, sure_of]] = 100.0;
        let y = ArrayD::from_elem(vec![1], truth);
        run(text, wythe::Mode::Eval, &[], &[Tensor::F32(z), Tensor::I64(y)])[0]
    };
    assert!((loss(3, 3) - 1.46115).abs() < 1e-5 && (loss(3, 4) - 2.46115).abs() < 1e-5);
    for seed in 1..50 {
        let z = numbers(&[1, 10], seed) * 20.0;
        let y = ArrayD::from_elem(vec![1], (seed % 10) as i64);
        let loss = run(text, wythe::Mode::Eval, &[], &[Tensor::F32(z), Tensor::I64(y)])[0];
        assert!((1.46114..=2.46116).contains(&loss), "{loss}");
    }
    let report = &checked(lints::find("softmax_before_ce").expect("it exists").fires).diagnostics[0];
    assert!(
        report.notes.iter().any(|note| note == "of 3 classes the loss can only lie in 0.551 … 1.551"),
        "{report:?}"
    );
}

/// dead_bias: a bias before batch norm changes nothing, in training; before layer norm, or behind a relu, it does.
#[test]
fn a_bias_before_batchnorm_changes_nothing_and_elsewhere_it_does() {
    let difference = |between: &str, norm: &str| {
        let text = format!("dim batch\nmodel m : (x: f32[batch, 4, 5, 5]) -> f32[batch, 6, _, _] {{\n  c = conv(6, 3)\n  {between}\n  {norm}\n}}\n")
            .replace("-> f32[batch, 6, _, _] ", if between.starts_with("avgpool") { "-> f32[batch, 6, 2, 2] " } else { "-> f32[batch, 6, 3, 3] " });
        let weight = numbers(&[6, 4, 3, 3], 3);
        let x = Tensor::F32(numbers(&[8, 4, 5, 5], 5));
        let with = |bias: ArrayD<f32>| {
            run(&text, wythe::Mode::Train, &[("c.weight", weight.clone()), ("c.bias", bias)], std::slice::from_ref(&x))
        };
        apart(&with(ArrayD::zeros(vec![6])), &with(numbers(&[6], 9) * 3.0))
    };
    assert!(difference("identity", "batchnorm") < 1e-5);
    assert!(difference("avgpool(2, stride = 1)", "batchnorm") < 1e-5);
    assert!(difference("identity", "instancenorm") < 1e-5 && difference("identity", "groupnorm(6)") < 1e-5);
    assert!(difference("relu", "batchnorm") > 0.1);
    assert!(difference("identity", "groupnorm(2)") > 0.1);
    assert!(difference("identity", "layernorm(axes = 3)") > 0.1);
}

/// collapse: a pair of layers is one, whose weight is their product.
#[test]
fn two_linear_layers_are_one() {
    let text = "dim batch\nmodel m : (x: f32[batch, 5]) -> f32[batch, 3] {\n  a = linear(8)\n  b = linear(3)\n}\n";
    let one = "dim batch\nmodel m : (x: f32[batch, 5]) -> f32[batch, 3] {\n  c = linear(3)\n}\n";
    let matrix = |shape: &[usize], seed| numbers(shape, seed).into_dimensionality::<ndarray::Ix2>().expect("a matrix");
    let (a, b) = (matrix(&[8, 5], 1), matrix(&[3, 8], 2));
    let (p, q) = (numbers(&[8], 3), numbers(&[3], 4));
    let bias = b.dot(&p.clone().into_dimensionality::<ndarray::Ix1>().expect("a vector")) + &q;
    let x = [Tensor::F32(numbers(&[7, 5], 6))];
    let c = b.dot(&a).into_dyn();
    let pair = [("a.weight", a.into_dyn()), ("a.bias", p), ("b.weight", b.into_dyn()), ("b.bias", q)];
    let pair = run(text, wythe::Mode::Eval, &pair, &x);
    let one = run(one, wythe::Mode::Eval, &[("c.weight", c), ("c.bias", bias.into_dyn())], &x);
    assert!(apart(&pair, &one) < 1e-5);
}

/// order_blind: attention and a mean give the same for every order of the tokens; with positions they do not.
#[test]
fn attention_alone_does_not_know_an_order() {
    let moved = |text: &str| {
        let tokens = |ids: Vec<i64>| [Tensor::I64(ArrayD::from_shape_vec(vec![1, 6], ids).expect("six ids"))];
        let forth = run(text, wythe::Mode::Eval, &[], &tokens(vec![1, 2, 3, 4, 5, 6]));
        apart(&forth, &run(text, wythe::Mode::Eval, &[], &tokens(vec![6, 3, 1, 5, 2, 4])))
    };
    let lint = lints::find("order_blind").expect("it exists");
    assert!(moved(lint.fires) < 1e-5 && moved(lint.quiet) > 1e-3);
}

/// What is said of an operator's range, and of where it changes nothing, is true of its kernel.
#[test]
fn ranges_and_fixed_points_of_operators_are_true() {
    let points: Vec<f32> = (-400..=400).map(|i| i as f32 * 0.05).chain([-100.0, 100.0, 1e-3, -1e-3]).collect();
    let (mut ranges, mut fixed) = (0, 0);
    for op in wythe::ops::all().filter(|op| op.is_public()) {
        let (low, high) = op.facts.range;
        if low.is_infinite() && high.is_infinite() && op.facts.fixed.is_none() {
            continue;
        }
        let (from, to) = op.facts.domain;
        let inside: Vec<f32> = points.iter().copied().filter(|&x| (from..=to).contains(&f64::from(x))).collect();
        let text = format!(
            "model m : (x: f32[{n}]) -> f32[{n}] {{\n  {}   // allow(idempotent)\n}}\n",
            op.name,
            n = inside.len()
        );
        let x = Tensor::F32(ArrayD::from_shape_vec(vec![inside.len()], inside.clone()).expect("one axis"));
        let y = run(&text, wythe::Mode::Eval, &[], &[x]);
        for (x, y) in inside.iter().zip(&y) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            assert!((low..=high).contains(&y), "{}({x}) = {y}, outside of {low} … {high}", op.name);
            if op.facts.fixed.is_some_and(|(from, to)| from <= x && x <= to) {
                assert_eq!(x, y, "{} is said to keep {x}", op.name);
            }
        }
        ranges += usize::from(low.is_finite() || high.is_finite());
        fixed += usize::from(op.facts.fixed.is_some());
    }
    assert!(ranges >= 12 && fixed >= 3, "{ranges} ranges, {fixed} fixed");
}
