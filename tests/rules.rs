//! The second part of `grammar/README.md`, "The rules": every line is checked by elaboration, and does what it says.

use std::path::PathBuf;
use wythe::diagnostic::Fix;
use wythe::elaborate::Request;
use wythe::ir::params;
use wythe::ir::structured::Structured;
use wythe::pipeline::{Checked, check};
use wythe::text::{FileError, Files, Source};

/// What stands before a line that is a body, or a signature with a body.
const DIMS: &str = "dim batch, seq, src, h, w\n";
const MODEL: &str = "model m(d = 8, heads = 2) : ";

/// A line of the page.
struct Line {
    rule: String,
    /// Of a rejected line: the codes of its reports.
    code: Option<String>,
    text: String,
    /// After `⇒`: the model's outputs, or the paths of all its parameters; of a rejected line: its fix.
    gives: Option<String>,
}

fn page() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("grammar/README.md");
    std::fs::read_to_string(path).expect("the grammar's folder is there")
}

/// The rules: what follows the second title of the page.
fn rules() -> String {
    page().split("\n# The rules").nth(1).expect("the page has two parts").to_string()
}

fn lines() -> Vec<Line> {
    let mut rule = String::new();
    let mut found = vec![];
    for line in rules().lines() {
        if let Some(name) = line.strip_prefix("### ") {
            rule = name.to_string();
        }
        let (code, text) = match (line.strip_prefix("+ "), line.strip_prefix("- [")) {
            (Some(text), _) => (None, text),
            (None, Some(rest)) => {
                let (code, text) = rest.split_once("] ").expect("a rejected line opens with its code");
                (Some(code.to_string()), text)
            }
            (None, None) => continue,
        };
        let (text, gives) =
            text.split_once(" ⇒ ").map_or((text, None), |(text, gives)| (text, Some(gives.to_string())));
        found.push(Line { rule: rule.clone(), code, text: text.replace('⏎', "\n"), gives });
    }
    found
}

/// The file that a line stands for.
fn whole(text: &str) -> String {
    let sized = text.starts_with("dim ") && text.split([';', '\n']).next().is_some_and(|line| line.contains('='));
    let entry = ["block ", "model ", "dim ", "use ", "train "].iter().any(|word| text.starts_with(word)) && !sized;
    match text {
        _ if entry && text.contains("dim batch") => text.into(),
        _ if entry => format!("{DIMS}{text}\n"),
        _ if text.starts_with('[') || text.starts_with("(x: ") || text.starts_with("i64[") => {
            format!("{DIMS}{MODEL}{text}\n")
        }
        _ => format!("{DIMS}{MODEL}(x: [batch, d]) {{\n{text}\n}}\n"),
    }
}

/// The file `lib.model` of the page.
struct Lib;

impl Files for Lib {
    fn read(&self, path: &str, _limit: u64) -> Result<Vec<u8>, FileError> {
        let rules = rules();
        let mut texts = rules.split("```text\n// lib.model\n").skip(1);
        match (path, texts.next()) {
            ("lib.model", Some(text)) => Ok(text.split("```").next().unwrap_or("").into()),
            _ => Err(FileError { path: path.into(), reason: "there is no such file".into() }),
        }
    }

    fn write(&self, path: &str, _bytes: &[u8]) -> Result<(), FileError> {
        panic!("{path} is written")
    }

    fn append(&self, path: &str, _bytes: &[u8]) -> Result<(), FileError> {
        panic!("{path} is written")
    }

    fn exists(&self, path: &str) -> bool {
        path == "lib.model"
    }
}

fn checked(text: &str) -> Checked {
    without_lints(check(Source::new("a.model", whole(text)), &Request::default(), Some(&Lib)))
}

/// What is only improbable is no matter of the rules.
fn without_lints(mut checked: Checked) -> Checked {
    checked.diagnostics.retain(|report| !report.code.starts_with("lint::"));
    checked
}

/// The outputs of a model, or the paths of its parameters: whichever is asked for.
fn given(model: &Structured, asked: &str) -> String {
    let found: Vec<String> = match asked.contains('[') {
        true => {
            let ty = |value: wythe::ir::structured::ValueId| model.values[value.0 as usize].ty;
            model.outputs.iter().map(|port| model.shapes.show(ty(port.value))).collect()
        }
        false => params::parameters(model).map(|param| param.shown()).collect(),
    };
    found.join(", ")
}

/// The file with a fix applied, checked.
fn mended(checked: &Checked, fix: &Fix) -> Checked {
    let text = fix.applied(0, &checked.sources.0[0].text).expect("a fix lies in the text");
    without_lints(check(Source::new("a.model", text), &Request::default(), Some(&Lib)))
}

/// What a line does otherwise than it says.
fn wrong(line: &Line) -> Option<String> {
    let checked = checked(&line.text);
    let codes: Vec<&str> = checked.diagnostics.iter().map(|report| report.code).collect();
    let told = || format!("{}: `{}`\n{}", line.rule, line.text, checked.render());
    match (&line.code, &line.gives) {
        (None, _) if !codes.is_empty() => Some(format!("is rejected: {}", told())),
        (Some(code), _) if codes.join(", ") != *code => Some(format!("gives {codes:?} and not {code}: {}", told())),
        (Some(_), Some(fix)) => {
            let found = checked.diagnostics[0].fixes.first();
            let mended = found.map(|fix| self::mended(&checked, fix));
            let right = found.is_some_and(|found| found.replacement.trim() == fix);
            let accepted = mended.is_some_and(|mended| mended.diagnostics.is_empty());
            (!right || !accepted).then(|| format!("has not the fix `{fix}`, or it is not enough: {}", told()))
        }
        (None, Some(gives)) => {
            let model = checked.models.last()?;
            let found = given(model, gives);
            (found != *gives).then(|| format!("{}: `{}` gives {found}, and not {gives}", line.rule, line.text))
        }
        _ => None,
    }
}

#[test]
fn every_line_of_the_rules_does_what_it_says() {
    let lines = lines();
    assert!(lines.len() > 150, "{}", lines.len());
    let wrong: Vec<String> = lines.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
}

#[test]
fn every_rule_has_its_accepted_and_its_rejected_line() {
    let lines = lines();
    for name in rules().lines().filter_map(|line| line.strip_prefix("### ").map(str::to_string)) {
        for rejected in [false, true] {
            let there = lines.iter().any(|line| line.rule == name && line.code.is_some() == rejected);
            assert!(there, "`{name}` has no line with `{}`", if rejected { '-' } else { '+' });
        }
    }
}
