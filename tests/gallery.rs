//! The gallery: one mistake a file, named by the mistake; the snapshot is the source and the rendered report.
//!
//! Read a snapshot as the person who made the mistake before accepting it.

mod support;

use wythe::diagnostic::{Diagnostic, Fix, Severity};

#[test]
fn every_mistake_has_its_report() {
    let wrong = std::cell::RefCell::new(vec![]);
    insta::glob!("diagnostics/*.model", |path| {
        let text = std::fs::read_to_string(path).expect("a gallery file is text");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a gallery file has a plain name");
        let (diagnostics, sources) = support::check(name, &text);
        wrong.borrow_mut().extend(unexpected_number(name, &diagnostics));
        for report in &diagnostics {
            wrong.borrow_mut().extend(report.fixes.first().and_then(|fix| unmended(name, &text, report, fix)));
        }
        let report = support::report(&diagnostics, &sources);
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("{}\n----\n{report}", text.trim_end()));
        });
    });
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file shows one mistake, unless it is called `several_…`.
fn unexpected_number(name: &str, diagnostics: &[Diagnostic]) -> Option<String> {
    let errors: Vec<_> = diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| &d.message).collect();
    let several = name.starts_with("several_");
    let right = !diagnostics.is_empty() && (several || errors.len() <= 1);
    (!right).then(|| format!("{name} has {} errors: {errors:#?}", errors.len()))
}

/// The first fix, applied, removes its report and brings no other in its place.
fn unmended(name: &str, text: &str, report: &Diagnostic, fix: &Fix) -> Option<String> {
    let mended = fix.applied(0, text).expect("the edits of a fix lie in the text, apart");
    let (before, _) = support::check(name, text);
    let (after, sources) = support::check(name, &mended);
    let count = |all: &[Diagnostic]| all.iter().filter(|d| d.code == report.code).count();
    // What is read or known for the first time may be seen to be wrong for the first time, and a file without errors is
    // looked at by lints.
    let seen_first = ["syntax::", "name::", "attr::"].iter().any(|family| report.code.starts_with(family));
    let lints = report.code.starts_with("lint::");
    let left = after.iter().filter(|d| lints || !d.code.starts_with("lint::")).count();
    let gone = count(&after) < count(&before) && (seen_first || left < before.len());
    (!gone).then(|| format!("{name}: the fix does not mend:\n{mended}\n{}", support::report(&after, &sources)))
}

/// Codes that no text alone can bring about: the parser is first to miss a signature.
const WITHOUT_A_TEXT: &[&str] = &["type::signature"];

#[test]
#[allow(clippy::print_stdout)] // the count is for whoever looks with --nocapture
fn every_code_has_its_picture() {
    let pictures = texts("tests/snapshots", "snap");
    let source = texts("src/syntax/errors", "rs") + &texts("src/elaborate", "rs") + &texts("src/pipeline", "rs");
    let source = source + &texts("src/lints", "rs");
    let codes: std::collections::BTreeSet<_> = source.split('"').filter(|text| is_code(text)).collect();
    let shown = |code: &&&str| pictures.contains(&format!("[{code}]"));
    println!("{} of {} codes are shown", codes.iter().filter(shown).count(), codes.len());
    let missing: Vec<_> = codes.iter().filter(|code| !shown(code) && !WITHOUT_A_TEXT.contains(code)).collect();
    assert!(missing.is_empty(), "no gallery file shows {missing:#?}");
    let idle: Vec<_> = WITHOUT_A_TEXT.iter().filter(|code| shown(code) || !codes.contains(*code)).collect();
    assert!(idle.is_empty(), "these need no exception: {idle:?}");
}

#[test]
fn every_code_belongs_to_a_family() {
    let source = texts("src/syntax/errors", "rs") + &texts("src/elaborate", "rs") + &texts("src/pipeline", "rs");
    for code in source.split('"').filter(|text| is_code(text)) {
        let known = wythe::diagnostic::FAMILIES.iter().any(|(name, _)| code.split("::").next() == Some(name));
        assert!(known, "{code}: FAMILIES says nothing of it");
    }
}

/// `shape::residual`.
fn is_code(text: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    text.split_once("::").is_some_and(|(family, name)| word(family) && word(name))
}

/// The files of a folder with this ending, one after the other.
fn texts(folder: &str, end: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join(folder)).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == end));
    paths.map(|path| std::fs::read_to_string(path).expect("it is text")).collect()
}

#[test]
fn no_report_names_a_rule_of_the_grammar() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let grammar = std::fs::read_to_string(root.join("grammar/model.pest")).expect("the grammar is there");
    let rules: Vec<_> = grammar.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim()).collect();
    let inner: Vec<_> = rules.into_iter().filter(|name| name.contains('_') || name.ends_with("junk")).collect();
    assert!(inner.len() > 30);
    insta::glob!("diagnostics/*.model", |path| {
        let text = std::fs::read_to_string(path).expect("a gallery file is text");
        for report in support::check("a.model", &text).0 {
            let words = format!("{} {:?} {:?}", report.message, report.labels, report.notes);
            let words: Vec<_> = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
            assert!(!inner.iter().any(|name| words.contains(name)), "{}: {}", path.display(), report.message);
        }
    });
}

#[test]
fn every_mistake_of_the_list_has_its_file() {
    let list = std::fs::read_to_string("tests/diagnostics/README.md").expect("the list is there");
    let rows: Vec<&str> = list.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() > 40, "the table has {} rows", rows.len());
    for row in rows {
        let files = row.trim_end_matches([' ', '|']).rsplit(" | ").next().expect("a row has two columns");
        let names: Vec<&str> = files.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no file stands in `{row}`");
        for name in names {
            let there = std::path::Path::new(&format!("tests/diagnostics/{name}.model")).exists();
            assert!(there, "`{name}` of `{row}` is not in the gallery");
        }
    }
}
