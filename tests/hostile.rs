//! Texts that mean harm: none panics, aborts or takes long.

use proptest::prelude::*;
use std::time::{Duration, Instant};
use wythe::syntax::{format, parse};

#[test]
fn endless_texts_are_read_in_time() {
    let much = 20_000;
    for unit in [
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "{(}",
        "(]",
        "-",
        "^",
        "a+",
        "a^",
        "a[",
        "a.b",
        "\n",
        ";",
        "|",
        "|>",
        "=",
        "a=",
        "1e",
        "'",
        "\"",
        "#\n",
        "/*",
        "//\n",
        "f(d // 2)\n",
        "dim a = d // 2\n",
        "block f {\n",
        "block f\n}\n",
        "repeat 2\n",
        "residual {",
        "if a { b } else ",
        "if a {} else if b {} ",
        "train {\n",
        "train m {\na 1\n",
        "é",
        "\u{202e}",
        "\0",
        "\r",
        "a, ",
        "a b ",
        "@",
        "skip {",
        "else {",
        "parallel join a {|",
        "x |>\n",
        "(a, b) = ",
        "a = = ",
        ", ",
        ".5",
        "nn.A ",
        "a ? b : c ",
        "block ",
    ] {
        for text in [unit.repeat(much), format!("block f(d) {{\n{}", unit.repeat(much))] {
            let start = Instant::now();
            let parsed = parse(0, &text);
            assert!(parsed.diagnostics.len() <= 100, "{unit:?} gives {} reports", parsed.diagnostics.len());
            let _ = format(&text);
            assert!(start.elapsed() < Duration::from_secs(2), "{unit:?} took {:?}", start.elapsed());
        }
    }
}

/// Models whose check would take for ever if it did more than look: nested repeats, many facts, long sizes.
#[test]
fn hard_models_are_checked_in_time() {
    let names: Vec<String> = (0..200).map(|i| format!("a{i}")).collect();
    let dims = format!("dim batch, {}\n", names.join(", "));
    let model = |given: &str, body: &str| format!("{dims}model m : [batch, 8] {given} {{\n{body}\n}}\n");
    let facts = |fact: &dyn Fn(usize) -> String| {
        let facts: Vec<String> = (0..190).map(fact).collect();
        model(&format!("where {}", facts.join(", ")), "relu")
    };
    let sum = format!("({})", names[..30].join(" + "));
    let deep = "residual deep layernorm { linear(8) }";
    let texts = [
        model("", &format!("{}{deep}{}", "repeat 2 { ".repeat(18), " }".repeat(18))),
        model("", &format!("{}{deep}{}", "repeat 1 { ".repeat(60), " }".repeat(60))),
        facts(&|i| format!("a{i} % {} == 0", i % 7 + 2)),
        facts(&|i| format!("a{i} <= a{}", i + 1)),
        facts(&|i| format!("a{i} == a{} + a{}", i + 1, i + 2)),
        facts(&|i| format!("a{i} * a{} == {}", i + 1, i + 100)),
        format!("{dims}model m : [batch, {sum}^8] {{\n  relu\n}}\n"),
        format!("{dims}model m : [batch, {}] {{\n  relu\n}}\n", [sum.as_str(); 8].join(" * ")),
        format!("{dims}model m : [batch, floor({sum} / a31) * floor({sum} / a32)] where a1 >= a2 {{\n  relu\n}}\n"),
    ];
    for text in texts {
        let start = Instant::now();
        let source = wythe::text::Source::new("m.model", text.as_str());
        wythe::pipeline::check(source, &wythe::elaborate::Request::default(), None);
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}: {}",
            start.elapsed(),
            &text[dims.len()..dims.len() + 200]
        );
    }
}

/// Pieces of the language and of others, from which any text may be made.
const PIECES: [&str; 67] = [
    "block", "model", "train", "dim", "use", "layer", "residual", "repeat", "parallel", "for", "if", "else", "return",
    "pre", "skip", "shared", "join", "in", "where", "it", "relu", "x", "_", "(", ")", "[", "]", "{", "}", ",", ";",
    "\n", "\n", "|>", "|", "->", "=", "==", "<=", "+", "-", "*", "/", "%", "^", ":", ".", "...", "1", "2.5", ".5",
    "64x", "\"a\"", "\"", "'b'", "#", "// c\n", "/*", "*/", "?", "and", "+=", "é", "\u{202e}", "…", "“", "─",
];

/// The tree without its places.
fn tree(text: &str) -> String {
    let tree = format!("{:?}", parse(0, text).file);
    let mut parts = tree.split("Span {");
    let first = parts.next().unwrap_or("").to_string();
    parts.fold(first, |all, part| all + part.split_once('}').map_or("", |(_, rest)| rest))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(pieces in proptest::collection::vec((0..PIECES.len(), any::<bool>()), 0..16)) {
        let text: String = pieces.iter().map(|&(at, space)| format!("{}{}", PIECES[at], if space { " " } else { "" })).collect();
        for text in [text.clone(), format!("block f(d) {{\n{text}\n}}\n")] {
            let parsed = parse(0, &text);
            for report in &parsed.diagnostics {
                for label in &report.labels {
                    prop_assert!(text.get(label.span.start as usize..label.span.end as usize).is_some(), "{:?}", report);
                }
                for fix in &report.fixes {
                    prop_assert!(text.get(fix.span.start as usize..fix.span.end as usize).is_some(), "{:?}", report);
                }
            }
            if let Ok(once) = format(&text) {
                prop_assert_eq!(tree(&once), tree(&text));
                prop_assert_eq!(format(&once).expect("a layout can be read"), once);
            }
        }
    }
}
