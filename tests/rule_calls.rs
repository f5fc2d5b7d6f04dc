//! The grammar's cost is linear in the depth of nesting, also on damaged text.
//!
//! The engine's limit on calls is one for the process, so this test has its own.

use std::num::NonZeroUsize;
use wythe::syntax::rule_calls_suffice;

/// Nesting rules: how a level opens and closes.
const NESTING: [(&str, &str); 10] = [
    ("residual { ", " }"),
    ("residual pre rmsnorm { relu } skip { ", " }"),
    ("repeat 2 { ", " }"),
    ("for c in [1] { ", " }"),
    ("if d > 1 { ", " }"),
    ("if d > 1 { relu } else { ", " }"),
    ("parallel join sum { | relu | ", " }"),
    ("(relu, ", ")"),
    ("f(", ")"),
    ("f[", "]"),
];

/// The least limit under which the text is read.
fn calls(text: &str) -> usize {
    let (mut low, mut high) = (1, 1 << 22);
    while low < high {
        let middle = (low + high) / 2;
        pest::set_call_limit(NonZeroUsize::new(middle));
        if rule_calls_suffice(text) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    pest::set_call_limit(None);
    low
}

/// A body of `depth` levels, damaged in one way.
fn nested(open: &str, close: &str, depth: usize, damage: &str) -> String {
    let (inner, tail): (String, String) = match damage {
        "whole" => ("x".into(), close.repeat(depth)),
        "unclosed" => ("x".into(), String::new()),
        "junk after close" => ("x".into(), format!("{close} @ ").repeat(depth)),
        "missing after `|>`" => ("x |>".into(), format!("{close} |> ").repeat(depth)),
        "skip" => ("x".into(), format!("{close} skip {{ ").repeat(depth)),
        "else" => ("x".into(), format!("{close} else ").repeat(depth)),
        _ => ("x,".into(), format!("{close}, ").repeat(depth)),
    };
    format!("block f(d) {{\n{}{inner}{tail}\n}}\n", open.repeat(depth))
}

#[test]
fn rule_calls_stay_linear() {
    let mut wrong = vec![];
    assert!(calls(&nested("repeat 2 { ", " }", 8, "whole")) > 100, "the engine counts nothing");
    for (open, close) in NESTING {
        for damage in ["whole", "unclosed", "junk after close", "missing after `|>`", "skip", "else", ","] {
            let [shallow, deep] = [8, 16].map(|depth| calls(&nested(open, close, depth, damage)));
            // Twice the depth, a little more than twice the calls: anything exponential is 256 times as many.
            if deep > 3 * shallow {
                wrong.push(format!("`{open}` × {damage}: {shallow} calls at depth 8, {deep} at 16"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
