//! How fast a text is checked: `cargo bench --bench checker -- [NAME] [SECONDS]`.
//!
//! A JSON line each: the least and the median of the timed checks in milliseconds, and what is asked of it. The least
//! says what the machine can do; the median says what else it did meanwhile. A check is everything that `wythe check`
//! does with a text but reading the file and drawing the reports.

#![allow(clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};
use wythe::elaborate::Request;
use wythe::pipeline::check;
use wythe::text::Source;

/// Name, most milliseconds, whether it is right, text.
type Case = (&'static str, u64, bool, String);

fn model(body: &str) -> String {
    format!("dim batch, seq\n\nmodel m : (x: f32[batch, seq, 64]) -> f32[batch, seq, 64] {{\n{body}}}\n")
}

/// A line of each kind, over and over.
fn long(lines: usize) -> String {
    let kinds = [
        "  residual pre rmsnorm { linear(256); gelu; linear(64) }\n",
        "  linear(64) |> relu  // a comment\n",
        "  it * 0.5 + x\n",
        "  repeat 3 { residual { linear(64) } }\n",
        "  parallel join sum { | relu | linear(64) }\n",
        "\n",
    ];
    let body: String = kinds.iter().cycle().take(lines).copied().collect();
    model(&body)
}

fn cases() -> Vec<Case> {
    let sublayer = "residual pre rmsnorm { linear(256); gelu; linear(64) }";
    let block =
        "block layer_(d) : [..., d] -> [..., d] {\n  residual pre rmsnorm { linear(4 * d); gelu; linear(d) }\n}\n";
    let blocks: String = (0..1000).map(|i| block.replace("layer_", &format!("layer_{i}"))).collect();
    let calls: String = (0..1000).map(|i| format!("  layer_{i}(64)\n")).collect();
    vec![
        ("gpt of twelve layers", 10, true, include_str!("../models/gpt.model").into()),
        ("1,000 sublayers by repeat", 50, true, model(&format!("  repeat 1000 {{ {sublayer} }}\n"))),
        ("1,000 sublayers written flat", 50, true, model(&format!("  {sublayer}\n").repeat(1000))),
        ("1,000 blocks, each called", 200, true, model(&calls) + &blocks),
        ("100,000 lines", 2000, true, long(100_000)),
        ("100,000 lines with a mistake each", 2000, false, model(&"  residual { linear(5) }\n".repeat(100_000))),
    ]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let seconds = args.get(1).and_then(|s| s.parse().ok()).unwrap_or(2.0);
    for (name, most, right, text) in cases() {
        if args.first().is_none_or(|wanted| name.contains(wanted.as_str())) {
            bench(name, most, right, &text, Duration::from_secs_f64(seconds));
        }
    }
}

fn bench(name: &str, most: u64, right: bool, text: &str, time: Duration) {
    let (begin, mut times) = (Instant::now(), vec![]);
    while begin.elapsed() < time || times.len() < 3 {
        let source = Source::new("bench.model", text);
        let start = Instant::now();
        let checked = check(source, &Request::default(), None);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(checked.has_errors(), !right, "{name}: {}", checked.render());
    }
    times.sort_by(f64::total_cmp);
    let (least, median) = (times[0], times[times.len() / 2]);
    println!(
        "{{\"check\":\"{name}\",\"lines\":{},\"least_ms\":{least:.2},\"median_ms\":{median:.2},\"asked_ms\":{most},\"n\":{}}}",
        text.lines().count(),
        times.len()
    );
}
