//! The page `grammar/README.md`, run line by line, and decisions about newlines that it lists.

use std::path::PathBuf;
use wythe::syntax::parse;

fn page(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("grammar").join(name);
    std::fs::read_to_string(path).expect("the grammar's folder is there")
}

fn reports(text: &str) -> Vec<String> {
    parse(0, text).diagnostics.into_iter().map(|report| format!("[{}] {}", report.code, report.message)).collect()
}

/// The page's examples: rule, sign, text.
fn examples() -> Vec<(String, char, String)> {
    let mut rule = String::new();
    let mut found = vec![];
    let page = page("README.md");
    let reading = page.split("\n# The rules").next().unwrap_or("");
    for line in reading.lines() {
        if let Some(name) = line.strip_prefix("### `") {
            rule = name.trim_end_matches('`').to_string();
        } else if let (false, Some(text)) = (rule.is_empty(), line.strip_prefix("+ ")) {
            found.push((rule.clone(), '+', text.replace('⏎', "\n")));
        } else if let (false, Some(text)) = (rule.is_empty(), line.strip_prefix("- ")) {
            found.push((rule.clone(), '-', text.replace('⏎', "\n")));
        }
    }
    found
}

#[test]
fn every_line_of_the_page_is_accepted_or_rejected_as_it_says() {
    let mut wrong = vec![];
    assert!(examples().len() > 100);
    for (rule, sign, text) in examples() {
        let reports = reports(&text);
        match sign {
            '+' if !reports.is_empty() => wrong.push(format!("{rule}: `{text}` is rejected: {reports:?}")),
            '-' if reports.is_empty() => wrong.push(format!("{rule}: `{text}` is accepted")),
            '-' if reports.len() > 1 => wrong.push(format!("{rule}: `{text}` gives more than one report: {reports:?}")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_its_two_lines() {
    let grammar = page("model.pest");
    let constructs = grammar.split("// ---- What cannot be read").next().unwrap_or("");
    let rules =
        constructs.lines().filter_map(|line| line.split_once('=')).map(|(name, rest)| (name.trim(), rest.trim()));
    let signs = ["add", "sub", "mul", "div", "rem", "pow", "neg", "dot_word", "stray"];
    let named = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let examples = examples();
    for (name, _) in rules.filter(|(name, rest)| named(name) && !rest.starts_with("_{") && !signs.contains(name)) {
        for sign in ['+', '-'] {
            let there = examples.iter().any(|(rule, s, _)| rule == name && *s == sign);
            assert!(there, "`{name}` has no line with `{sign}` in grammar/README.md");
        }
    }
}

#[test]
fn a_newline_ends_a_statement_only_where_one_can_end() {
    for text in [
        "block f(\n  d,\n  p = 0.1,\n)\n  : [..., d]\n  -> [..., d]\n  where d > 1,\n    d < 9\n{\n  relu\n}",
        "block f { x =\n relu |>\n gelu\n |> relu }",
        "block f { residual\n{ relu }\n\n// why\nskip\n{ it } }",
        "block f(d) { if d > 1 { relu }\n else { gelu }\n\n }",
        "block f { parallel\n join sum\n {\n | relu\n\n | gelu } |> relu }",
        "block f { it +\n // more\n 1; ; \n relu; }",
        "block f { skip = relu\n skip\n |> gelu }",
        "block f { join = relu\n join |> gelu }",
    ] {
        assert!(reports(text).is_empty(), "{text}\n{:?}", reports(text));
    }
    assert_eq!(parse(0, "block f { relu\n\n;gelu }").diagnostics.len(), 0, "runs of separators count once");
}

#[test]
fn keywords_end_at_word_boundaries() {
    let text = "block f(dims, iff, layer1) { layers = relu; repeated; for_2 = gelu; returned }";
    assert!(reports(text).is_empty(), "{:?}", reports(text));
}

#[test]
fn after_a_slip_the_rest_is_read() {
    let text = "block f { relu @ x\n h = linear(4)\n }\n\nblok g { }\nblock h { relu }";
    let parsed = parse(0, text);
    let names = parsed.file.entries.iter().filter_map(|entry| match entry {
        wythe::syntax::ast::Entry::Block(block) => Some((block.name.text.as_str(), block.body.stmts.len())),
        _ => None,
    });
    assert_eq!(names.collect::<Vec<_>>(), [("f", 2), ("h", 1)]);
    assert_eq!(parsed.diagnostics.len(), 2, "{:?}", reports(text));
}
