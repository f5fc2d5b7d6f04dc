//! `use`: blocks of other files, and reports that speak of the right one.

use std::collections::BTreeMap;
use wythe::elaborate::Request;
use wythe::pipeline::{Checked, check};
use wythe::text::{FileError, Files, Source};

/// Files in memory, by their paths.
struct Folder(BTreeMap<&'static str, String>);

impl Files for Folder {
    fn read(&self, path: &str, _limit: u64) -> Result<Vec<u8>, FileError> {
        let missing = || FileError { path: path.into(), reason: "no such file".into() };
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or_else(missing)
    }

    fn write(&self, path: &str, _bytes: &[u8]) -> Result<(), FileError> {
        panic!("{path} is written")
    }

    fn append(&self, path: &str, _bytes: &[u8]) -> Result<(), FileError> {
        panic!("{path} is written")
    }

    fn exists(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}

/// Checks the first of some files.
fn checked(files: &[(&'static str, &str)]) -> Checked {
    let folder = Folder(files.iter().map(|(path, text)| (*path, text.to_string())).collect());
    let (path, text) = files[0];
    let mut checked = check(Source::new(path, text), &Request::default(), Some(&folder));
    checked.diagnostics.retain(|report| !report.code.starts_with("lint::"));
    checked
}

/// `code@file:line` of each report.
fn places(checked: &Checked) -> Vec<String> {
    let place = |report: &wythe::diagnostic::Diagnostic| {
        let span = report.labels[0].span;
        let source = checked.sources.of(span);
        format!("{}@{}:{}", report.code, source.name, source.position(span.start).0)
    };
    checked.diagnostics.iter().map(place).collect()
}

const MODEL: &str = "dim batch\nmodel m : [batch, 8] { wide(4) }\n";
const WIDE: &str = "dim batch, w\nblock wide(c) : [batch, w] -> [batch, c] { linear(2 * w); linear(c) }\n";

fn using(paths: &[&str], rest: &str) -> String {
    let uses: String = paths.iter().map(|path| format!("use \"{path}\"\n")).collect();
    format!("{uses}{rest}")
}

#[test]
fn blocks_come_from_files_that_use_files() {
    let own = using(&["lib/a.model"], MODEL);
    let between = using(&["deep/b.model"], "dim batch\nmodel other : [batch, 3] { linear(2) }\n");
    let found = checked(&[("x/m.model", &own), ("x/lib/a.model", &between), ("x/lib/deep/b.model", WIDE)]);
    assert!(found.diagnostics.is_empty(), "{}", found.render());
    let names: Vec<&str> = found.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["m"], "models of a used file are its own");
}

#[test]
fn a_file_is_read_once_however_it_is_reached() {
    let diamond = [
        ("m.model", using(&["a.model", "./b.model"], MODEL)),
        ("a.model", using(&["wide.model", "b.model"], "")),
        ("b.model", using(&["./wide.model", ".//a.model", "m.model"], "")),
        ("wide.model", WIDE.to_string()),
    ];
    let files: Vec<(&'static str, &str)> = diamond.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let found = checked(&files);
    assert!(found.diagnostics.is_empty(), "{}", found.render());
    assert_eq!(found.sources.0.len(), 4);
    let own = using(&["m.model"], "dim batch\nmodel m : [batch, 8] { relu }\n");
    assert!(checked(&[("m.model", &own)]).diagnostics.is_empty(), "a file may use itself");
}

#[test]
fn a_file_outside_of_the_folder_is_refused() {
    for path in ["../wide.model", "lib/../../wide.model", "/wide.model", "lib\\wide.model", "", "none.model"] {
        let own = using(&[path], "dim batch\nmodel m : [batch, 8] { relu }\n");
        let found = checked(&[("x/m.model", &own), ("wide.model", WIDE)]);
        assert_eq!(places(&found), ["name::use@x/m.model:1"], "{path}");
    }
}

#[test]
fn a_block_of_two_files_is_told_with_both() {
    let own = using(&["wide.model"], &format!("{MODEL}block wide(c) {{ linear(c) }}\n"));
    let found = checked(&[("m.model", &own), ("wide.model", WIDE)]);
    assert_eq!(found.diagnostics.len(), 1, "{}", found.render());
    assert_eq!(found.diagnostics[0].code, "name::block_twice");
    let files: Vec<u16> = found.diagnostics[0].labels.iter().map(|label| label.span.file).collect();
    assert_eq!(files.len(), 2);
    assert_ne!(files[0], files[1]);
}

#[test]
fn a_file_declares_its_own_dims() {
    let own = using(&["wide.model"], MODEL);
    let bare = "block wide(c) : [batch, w] -> [batch, c] { linear(c) }\n";
    let found = checked(&[("m.model", &own), ("wide.model", bare)]);
    assert!(places(&found).contains(&"name::dim@wide.model:1".to_string()), "{}", found.render());
    let own = using(&["wide.model"], "model m : [batch, 8] { wide(4) }\n");
    let found = checked(&[("m.model", &own), ("wide.model", WIDE)]);
    assert_eq!(places(&found), ["name::dim@m.model:2"], "{}", found.render());
    let fix = &found.diagnostics[0].fixes[0];
    assert_eq!((fix.span.file, fix.replacement.as_str()), (0, "dim batch\n"));
}

#[test]
fn a_report_underlines_both_files_and_mends_the_one_that_is_wrong() {
    // A mistake at the call: the call and what is asked for.
    let own = using(&["wide.model"], "dim batch, seq\nmodel m : [batch, seq, 8] { wide(4) }\n");
    let found = checked(&[("m.model", &own), ("wide.model", WIDE)]);
    assert_eq!(places(&found), ["shape::input@m.model:3"]);
    let drawn = found.render();
    assert!(drawn.contains("─[m.model:3:") && drawn.contains("─[wide.model:2:"), "{drawn}");
    // A mistake in the block: it is told in its own file, and mended there.
    let own = using(&["wide.model"], MODEL);
    let wrong = WIDE.replace("linear(c)", "liner(c)");
    let found = checked(&[("m.model", &own), ("wide.model", &wrong)]);
    assert_eq!(places(&found), ["name::stage@wide.model:2"]);
    let fix = found.diagnostics[0].fixes.first().expect("the near name");
    assert_eq!((fix.span.file, fix.replacement.as_str()), (1, "linear"));
    let mended = format!("{}linear{}", &wrong[..fix.span.start as usize], &wrong[fix.span.end as usize..]);
    assert!(checked(&[("m.model", &own), ("wide.model", &mended)]).diagnostics.is_empty());
    // A contract that is broken: both places lie in the used file.
    let wrong = WIDE.replace("linear(c)", "linear(c + 1)");
    let found = checked(&[("m.model", &own), ("wide.model", &wrong)]);
    assert_eq!(places(&found), ["shape::contract@wide.model:2"]);
    assert_eq!(found.diagnostics[0].fixes.first().map(|fix| fix.replacement.as_str()), Some("c"), "{}", found.render());
}

#[test]
fn a_slip_in_a_used_file_is_told_there() {
    let own = using(&["wide.model"], MODEL);
    let slip = WIDE.replace("linear(2 * w);", "linear(2 * w)) ;");
    let found = checked(&[("m.model", &own), ("wide.model", &slip)]);
    assert_eq!(found.diagnostics.len(), 1, "{}", found.render());
    assert!(places(&found)[0].ends_with("@wide.model:2"), "{}", found.render());
    let drawn = found.render();
    assert!(!drawn.contains("m.model:2"), "{drawn}");
}

#[test]
fn a_chain_of_files_ends() {
    let texts: Vec<(String, String)> =
        (0..400).map(|i| (format!("f{i}.model"), using(&[&format!("f{}.model", i + 1)], ""))).collect();
    let folder = Folder(texts.iter().map(|(path, text)| (&*path.clone().leak(), text.clone())).collect());
    let own = Source::new("f0.model", texts[0].1.clone());
    let found = check(own, &Request::default(), Some(&folder));
    assert_eq!(found.diagnostics.len(), 1, "{}", found.render());
    assert_eq!(found.diagnostics[0].code, "name::use");
}
