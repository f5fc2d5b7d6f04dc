//! Laws of the catalogue of lints, and what silences them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use wythe::diagnostic::{Diagnostic, Severity};
use wythe::elaborate::Request;
use wythe::lints;
use wythe::pipeline::{Checked, check};
use wythe::text::Source;

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

#[test]
fn the_models_check_in_silence() {
    struct Disk;
    impl wythe::text::Files for Disk {
        fn read(&self, path: &str, _: u64) -> Result<Vec<u8>, wythe::text::FileError> {
            std::fs::read(path).map_err(|e| wythe::text::FileError { path: path.into(), reason: e.to_string() })
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
    let mut found = vec![];
    files(&root().join("models"), &mut found);
    assert!(found.len() >= 8);
    for path in found {
        let text = std::fs::read_to_string(&path).expect("it is text");
        let source = Source::new(path.to_string_lossy(), text);
        let checked = check(source, &Request::default(), Some(&Disk));
        assert!(checked.diagnostics.is_empty(), "{}\n{}", path.display(), checked.render());
    }
}

#[test]
fn an_error_of_a_lint_is_no_error_of_the_text() {
    let found = checked(lints::find("nll_needs_log").expect("there is such a lint").fires);
    assert!(!found.has_errors() && found.diagnostics[0].severity == Severity::Error);
    assert!(!lints::may_train(&found.diagnostics) && found.models.len() == 1 && found.trainings.len() == 1);
}
