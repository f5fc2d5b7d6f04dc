//! The examples, poked: they parse, they are laid out as the formatter lays them out, and a damaged one gives few
//! reports and never a panic.

use std::path::PathBuf;
use wythe::syntax::lex::{Kind, lex};
use wythe::syntax::parse;

/// Every model of the repository, with its text.
fn models() -> Vec<(PathBuf, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut found = vec![];
    for folder in [root.clone(), root.join("lib")] {
        for entry in std::fs::read_dir(folder).expect("the models are there") {
            let path = entry.expect("a folder can be listed").path();
            if path.extension().is_some_and(|end| end == "model") {
                let text = std::fs::read_to_string(&path).expect("a model is text");
                found.push((path, text));
            }
        }
    }
    found.sort();
    assert!(found.len() >= 7);
    found
}

#[test]
fn every_example_parses_without_a_report() {
    for (path, text) in models() {
        let parsed = parse(0, &text);
        assert!(parsed.diagnostics.is_empty(), "{}: {:#?}", path.display(), parsed.diagnostics);
    }
}

#[test]
fn every_prefix_of_every_example_parses() {
    for (_, text) in models() {
        for (end, _) in text.char_indices() {
            parse(0, &text[..end]);
        }
    }
}

#[test]
fn an_example_without_one_token_gives_at_most_three_reports() {
    for (path, text) in models() {
        for token in lex(&text).into_iter().filter(|token| token.kind != Kind::Newline && !token.is_comment()) {
            let cut = format!("{}{}", &text[..token.start], &text[token.end..]);
            let reports = parse(0, &cut).diagnostics;
            let said = token.text(&text);
            let told: Vec<_> = reports.iter().map(|report| (report.code, &report.message)).collect();
            assert!(told.len() <= 3, "{} without `{said}` at {}: {told:#?}", path.display(), token.start);
        }
    }
}
