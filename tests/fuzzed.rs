//! The laws of the fuzz targets, on damaged examples: pieces cut, doubled, and put elsewhere.

#[path = "../fuzz/fuzz_targets/laws.rs"]
mod laws;
#[path = "generated/rng.rs"]
#[allow(dead_code)]
mod rng;

use rng::Rng;
use std::path::PathBuf;

/// All `.model` files of the repository.
fn texts() -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![];
    for folder in ["models", "models/lib", "tests/diagnostics"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("the examples are there") {
            let path = entry.expect("a folder can be listed").path();
            if path.extension().is_some_and(|end| end == "model") {
                found.extend(std::fs::read_to_string(&path));
            }
        }
    }
    found.sort();
    assert!(found.len() > 100);
    found
}

/// A piece of a text, from one character to another.
fn piece<'t>(text: &'t str, rng: &mut Rng, longest: usize) -> (usize, &'t str) {
    let at = |wanted: usize| (wanted..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    let start = at(rng.below(text.len() + 1));
    let end = at((start + rng.below(longest)).min(text.len()));
    (start, &text[start..end])
}

/// How many texts are tried: `WYTHE_FUZZED=100000 cargo test --release --test fuzzed`.
fn tries() -> u64 {
    std::env::var("WYTHE_FUZZED").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// A damaged text.
fn damaged(texts: &[String], seed: u64) -> String {
    let mut rng = Rng::new(seed);
    let mut text = rng.pick(texts).clone();
    for _ in 0..rng.between(1, 4) {
        let (at, cut) = piece(&text, &mut rng, 30);
        let end = at + cut.len();
        let other = rng.pick(texts).clone();
        let (_, put) = piece(&other, &mut rng, 30);
        let put = if rng.percent(30) { "" } else { put };
        text = match rng.below(3) {
            0 => format!("{}{}", &text[..at], &text[end..]),
            1 => format!("{}{put}{}", &text[..at], &text[at..]),
            _ => format!("{}{put}{}", &text[..at], &text[end..]),
        };
    }
    text
}

#[test]
fn damaged_texts_are_judged() {
    let texts = texts();
    (0..tries()).for_each(|seed| laws::checks(&damaged(&texts, seed)));
}

#[test]
fn damaged_texts_are_laid_out() {
    let texts = texts();
    (0..10 * tries()).for_each(|seed| laws::lays_out(&damaged(&texts, seed)));
}

#[test]
fn damaged_lines_are_read_as_words() {
    let texts = texts();
    for seed in 0..tries() {
        let mut rng = Rng::new(!seed);
        let text = rng.pick(&texts).clone();
        let (_, line) = piece(&text, &mut rng, 40);
        laws::reads_words(line);
    }
}
