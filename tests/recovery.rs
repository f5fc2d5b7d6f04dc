//! One mistake does not hide another: any three of the gallery in one file are reported, and nothing else.
//!
//! Texts of the gallery are joined at random, their blocks and models renamed so that they do not clash, the dims that
//! they share declared once. What is reported of the three together must be what is reported of each alone.

use std::collections::{BTreeMap, BTreeSet};
use wythe::diagnostic::Severity;
use wythe::elaborate::Request;
use wythe::text::Source;

/// Texts that are another mistake, or none, beside others.
const NOT_JOINED: &[(&str, &str)] = &[
    ("assign_in_train", "trains a model that it does not have"),
    ("colon_in_train", "trains a model that it does not have"),
    ("double_assign_in_train", "trains a model that it does not have"),
    ("setting_that_is_a_number", "trains a model that it does not have"),
    ("two_settings_on_a_line", "trains a model that it does not have"),
    ("dim_declared_twice", "is about the dims of the file"),
    ("dim_with_a_type", "is about the dims of the file"),
    ("dims_end_in_a_comma", "is about the dims of the file"),
    ("dims_without_comma", "is about the dims of the file"),
    ("undeclared_dims", "is about the dims of the file"),
    ("keyword_as_block_name", "is about the name of its block"),
    ("json", "begins with a brace, which goes on with the entry before it"),
    ("too_deep", "leaves the brackets of the whole file unpaired"),
    ("missing_opening_brace_of_a_block", "leaves what follows its braces untold, up to the next entry"),
    ("missing_closing_brace_of_an_inner_body", "takes what follows as a part of its body"),
];

/// A text without the dims that it declares on a line, and these.
fn parts(text: &str) -> (Vec<String>, String) {
    let name = |part: &str| !part.trim().is_empty() && part.trim().chars().all(|c| c.is_alphanumeric() || c == '_');
    let dims_of = |line: &str| -> Option<Vec<String>> {
        let names: Vec<&str> = line.strip_prefix("dim ")?.split(',').collect();
        names.iter().all(|part| name(part)).then(|| names.iter().map(|part| part.trim().to_string()).collect())
    };
    let dims = text.lines().filter_map(dims_of).flatten().collect();
    let rest: Vec<&str> = text.lines().filter(|line| dims_of(line).is_none()).collect();
    (dims, format!("{}\n", rest.join("\n").trim_matches('\n')))
}

/// The text with `_k` behind the names of its blocks and models, wherever they stand.
fn renamed(text: &str, k: usize) -> String {
    let header = |line: &str| {
        let rest = line.strip_prefix("block ").or(line.strip_prefix("model "))?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        (end > 0).then(|| rest[..end].to_string())
    };
    let names: BTreeSet<String> = text.lines().filter_map(header).collect();
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        out.push_str(&word);
        if names.contains(&word) {
            out.push_str(&format!("_{k}"));
        }
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

fn with_dims(dims: &[String], text: &str) -> String {
    let mut seen = BTreeSet::new();
    let dims: Vec<&str> = dims.iter().map(String::as_str).filter(|dim| seen.insert(*dim)).collect();
    if dims.is_empty() { text.to_string() } else { format!("dim {}\n\n{text}", dims.join(", ")) }
}

/// The codes of the errors in a text.
fn errors(text: &str) -> Vec<&'static str> {
    let found = wythe::pipeline::check(Source::new("a.model", text), &Request::default(), None);
    let mut codes: Vec<_> =
        found.diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| d.code).collect();
    codes.sort_unstable();
    codes
}

#[test]
fn any_three_mistakes_are_reported_and_nothing_else() {
    let mut texts: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for entry in std::fs::read_dir("tests/diagnostics").expect("the gallery is there") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_stem().expect("a file has a name").to_string_lossy().to_string();
        let text = std::fs::read_to_string(&path).expect("a gallery file is text");
        let joined = NOT_JOINED.iter().all(|(other, _)| *other != name);
        if joined && !name.starts_with("several_") && !name.starts_with("lint_") && !text.starts_with("// --set") {
            texts.insert(name, parts(&text));
        }
    }
    let alone: BTreeMap<&String, Vec<&str>> =
        texts.iter().map(|(name, (dims, text))| (name, errors(&with_dims(dims, text)))).collect();
    let names: Vec<&String> = texts.keys().filter(|name| alone[name].len() == 1).collect();
    assert!(names.len() > 300, "only {} texts have one error", names.len());
    let mut state = 7u64;
    let mut any = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        names[(state >> 33) as usize % names.len()]
    };
    let mut wrong = vec![];
    for _ in 0..300 {
        let three = [any(), any(), any()];
        if three[0] == three[1] || three[1] == three[2] || three[0] == three[2] {
            continue;
        }
        let dims: Vec<String> = three.iter().flat_map(|name| texts[*name].0.clone()).collect();
        let bodies: Vec<String> = three.iter().enumerate().map(|(k, name)| renamed(&texts[*name].1, k)).collect();
        let mut wanted: Vec<&str> = three.iter().flat_map(|name| alone[name].clone()).collect();
        wanted.sort_unstable();
        let found = errors(&with_dims(&dims, &bodies.join("\n")));
        if found != wanted {
            wrong.push(format!("{three:?}: wanted {wanted:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of 300:\n{}", wrong.len(), wrong.join("\n"));
}

/// What a text gives after a mistake is another shape than the one that the checker goes on with.
fn model(lines: &str) -> String {
    format!(
        "dim batch\n\nblock f(d) : [batch, d] -> [batch, d] {{\n  linear(48)\n}}\n\n\
         model m : (x: f32[batch, 64]) -> f32[batch, 10] {{\n{lines}\n}}\n"
    )
}

#[test]
fn what_agrees_with_the_text_is_no_mistake_after_one() {
    let cases: [(&str, &[&str]); 6] = [
        ("residual { linear(60) }; linear(60 -> 10)", &["shape::residual"]),
        ("residual { linear(60) }; linear(64 -> 10)", &["shape::residual"]),
        ("residual { linear(60) }; relu; linear(60 -> 10)", &["shape::residual"]),
        ("f(64); linear(48 -> 10)", &["shape::contract"]),
        ("f(64); relu; linear(48 -> 10)", &["shape::contract"]),
        // A third size is a mistake of its own.
        ("residual { linear(60) }; linear(31 -> 10)", &["shape::pin", "shape::residual"]),
    ];
    for (lines, wanted) in cases {
        let text = model(lines);
        let text = if lines.contains("f(64)") { text } else { text.replace("linear(48)", "linear(d)") };
        assert_eq!(errors(&text), wanted, "{text}");
    }
}

/// A slip, an unknown name and a shape mistake, each in a block of its own.
const THREE: &str = "dim batch\n\nmodel a : (x: f32[batch, 64]) -> f32[batch, 10] {\n    lineer(32) // 1\n    linear(10)\n}\n\n\
    model b : (x: f32[batch, 64]) -> f32[batch, 10] {\n    residual { linear(60) } // 2\n    linear(10)\n}\n\n\
    model c : (x: f32[batch, 64]) -> f32[batch, 10] {\n    x -> linear(10) // 3\n}\n";

/// Code, line, and the underlined words of every report.
fn seen(text: &str) -> Vec<(String, usize, Vec<String>)> {
    let found = wythe::pipeline::check(Source::new("a.model", text), &Request::default(), None);
    let one = |d: &wythe::diagnostic::Diagnostic| {
        let said = d.labels.iter().map(|label| found.sources.text(label.span).to_string()).collect();
        (d.code.to_string(), found.sources.of(d.labels[0].span).position(d.labels[0].span.start).0, said)
    };
    found.diagnostics.iter().map(one).collect()
}

#[test]
fn a_text_in_other_clothes_has_the_same_reports() {
    let wanted = seen(THREE);
    assert_eq!(
        wanted.iter().map(|(code, ..)| code.as_str()).collect::<Vec<_>>(),
        ["name::stage", "shape::residual", "syntax::arrow"]
    );
    let clothes = [
        ("CRLF", THREE.replace('\n', "\r\n")),
        ("a byte order mark", format!("\u{feff}{THREE}")),
        ("tabs", THREE.replace("    ", "\t")),
        ("CJK comments", THREE.replace("// ", "// 残差ネットワーク ")),
        ("combining characters", THREE.replace("// ", "// e\u{301}a\u{308} 👩‍👩‍👧 ")),
        ("no newline at the end", THREE.trim_end().to_string()),
        ("white space at the ends of lines", THREE.replace('\n', "  \t\n")),
    ];
    for (name, text) in clothes {
        assert_eq!(seen(&text), wanted, "{name}");
    }
}

#[test]
fn what_no_text_should_hold_is_told_beside_the_mistakes() {
    let wanted = seen(THREE);
    for (name, c) in [("NUL", '\0'), ("a bidi control", '\u{202e}'), ("an escape", '\u{1b}')] {
        for place in ["// 1", "// 2", "// 3"] {
            let text = THREE.replace(place, &format!("// {c}"));
            let mut found = seen(&text);
            let told: Vec<_> = found.iter().filter(|(code, ..)| code == "syntax::control_character").cloned().collect();
            found.retain(|(code, ..)| code != "syntax::control_character");
            assert_eq!(told.len(), 1, "{name} at {place}: {told:?}");
            assert_eq!(told[0].2, [c.to_string()], "{name} at {place}");
            assert_eq!(found, wanted, "{name} at {place}");
        }
    }
}
