//! Models that nobody wrote: valid ones, and ones with a slip.
//!
//! A text comes from a seed (`generated/file.rs`); its author works the shapes out without the checker. What must hold
//! stands in `generated/laws.rs`. `WYTHE_GENERATED=100000 cargo test --release --test generated` tries more of them,
//! `WYTHE_SEED=17` one.

#[path = "generated/block.rs"]
mod block;
#[path = "generated/body.rs"]
mod body;
#[path = "generated/file.rs"]
mod file;
#[path = "generated/laws.rs"]
mod laws;
#[path = "generated/operators.rs"]
mod operators;
#[path = "generated/rng.rs"]
mod rng;
#[cfg(feature = "cli")]
#[path = "generated/same.rs"]
mod same;
#[path = "generated/size.rs"]
mod size;
#[path = "generated/slip.rs"]
mod slip;

use rng::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The seeds that are tried.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    match number("WYTHE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WYTHE_GENERATED").unwrap_or(1000),
    }
}

/// A broken law with the text that broke it.
struct Failure {
    seed: u64,
    text: String,
    said: String,
}

/// Tries a law on all seeds; the shortest texts that break it are shown.
fn try_all(law: impl Fn(u64) -> Result<(), (String, String)>) {
    let mut failures: Vec<Failure> = vec![];
    for seed in seeds() {
        if let Err((text, said)) = law(seed) {
            failures.push(Failure { seed, text, said });
        }
    }
    // The shortest text of each kind of failure.
    failures.sort_by_key(|failure| failure.text.len());
    let mut kinds = std::collections::HashSet::new();
    let kind = |said: &str| said.lines().take(2).collect::<String>().chars().take(70).collect::<String>();
    let first = failures.iter().filter(|failure| kinds.insert(kind(&failure.said)));
    let shown = first.take(8).map(|Failure { seed, text, said }| format!("seed {seed}: {said}\n{text}"));
    let shown: Vec<String> = shown.collect();
    assert!(
        failures.is_empty(),
        "{} of {} texts break a law\n{}",
        failures.len(),
        seeds().count(),
        shown.join("\n----\n")
    );
}

/// A law on a text, panics caught.
fn held(text: &str, law: impl FnOnce() -> Result<(), String>) -> Result<(), (String, String)> {
    let outcome = catch_unwind(AssertUnwindSafe(law)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| said.to_string()));
        Err(format!("a panic: {}", said.unwrap_or_default()))
    });
    outcome.map_err(|said| (text.to_string(), said))
}

#[test]
fn a_valid_text_checks_runs_and_is_laid_out() {
    try_all(|seed| {
        let written = file::write(seed);
        held(&written.text, || laws::valid(&written, &mut Rng::new(!seed)))
    });
}

#[test]
fn one_slip_gives_one_to_three_reports() {
    try_all(|seed| {
        let mut rng = Rng::new(!seed);
        let (text, what) = slip::slip(&file::write(seed).text, &mut rng);
        held(&text, || laws::broken(&text, &mut rng).map(|_| ()).map_err(|said| format!("{what}: {said}")))
    });
}

/// Of how many models: 6, or as many as `WYTHE_SAME` says (the promise was tried with 100).
#[cfg(feature = "cli")]
#[test]
fn a_model_trains_to_the_same_bytes_on_any_threads_from_any_folder_each_time() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    let (wanted, folder) = (number("WYTHE_SAME").unwrap_or(6), same::folder());
    let (mut tried, mut shared, mut ended) = (0, 0, 0);
    for seed in 0.. {
        let Some(case) = same::Case::of(seed) else { continue };
        match case.same(&folder) {
            Err(said) => panic!("seed {seed}: {said}\n{}", file::write(seed).text),
            Ok((workers, whole)) => {
                (tried, shared, ended) = (tried + 1, shared + usize::from(workers > 1), ended + usize::from(whole));
            }
        }
        let _ = std::fs::remove_dir_all(&folder);
        if tried == wanted {
            break;
        }
    }
    // Several threads must have been at work, and most must have come to their end, or this says nothing.
    assert!(3 * shared >= wanted && 3 * ended >= 2 * wanted, "of {tried}: {shared} on several threads, {ended} ended");
}
