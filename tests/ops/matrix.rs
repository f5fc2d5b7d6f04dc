//! The matrix of operators and laws: every law is tried on every sample once, and each has a test of its own.

use crate::laws::{LAWS, Verdict};
use crate::samples::{Sample, samples};
use crate::vectors;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;
use wythe::ir::build::Mode;
use wythe::ir::op::OpDef;
use wythe::ops;
use wythe::pipeline::{self, Stage};
use wythe::tensor::DType;

use Verdict::{Broken, Holds, Silent};

/// All public operators with their samples.
pub fn catalogue() -> &'static [(&'static OpDef, Vec<Sample>)] {
    static ALL: OnceLock<Vec<(&'static OpDef, Vec<Sample>)>> = OnceLock::new();
    let tried = |op: &&OpDef| op.is_public() && meant(op.name);
    ALL.get_or_init(|| ops::all().filter(tried).map(|op| (op, samples(op))).collect())
}

/// Whether an operator is to be tried now: all of them, or those that `ONLY=mish,topk` names while one works on them.
pub fn meant(name: &str) -> bool {
    static ONLY: OnceLock<Option<Vec<String>>> = OnceLock::new();
    let only = ONLY.get_or_init(|| Some(std::env::var("ONLY").ok()?.split(',').map(str::to_string).collect()));
    only.as_ref().is_none_or(|names| names.iter().any(|own| own == name))
}

/// What a law found: for each operator how often it holds, why it is silent, and where it is broken.
#[derive(Default)]
struct Findings {
    holds: BTreeMap<&'static str, usize>,
    silent: BTreeMap<&'static str, BTreeSet<&'static str>>,
    broken: Vec<String>,
    /// Primitives that took part where it holds.
    primitives: BTreeMap<&'static str, usize>,
}

/// The primitives that a sample comes down to, gradients included.
fn primitives(sample: &Sample) -> &'static BTreeSet<&'static str> {
    static KNOWN: OnceLock<HashMap<String, BTreeSet<&'static str>>> = OnceLock::new();
    let all = KNOWN.get_or_init(|| {
        let one = |sample: &Sample| {
            let names = || {
                let graph = |mode| pipeline::gradients(&sample.model, mode, DType::F32, Stage::Gradient);
                let graphs = [Mode::Eval, Mode::Train].map(graph);
                graphs.iter().flat_map(|graph| graph.ids().map(|id| graph.node(id).op.name)).collect()
            };
            (sample.shown.clone(), std::panic::catch_unwind(std::panic::AssertUnwindSafe(names)).unwrap_or_default())
        };
        catalogue().iter().flat_map(|(_, samples)| samples).map(one).collect()
    });
    &all[&sample.shown]
}

fn findings(law: usize) -> &'static Findings {
    static ALL: [OnceLock<Findings>; 16] = [const { OnceLock::new() }; 16];
    ALL[law].get_or_init(|| {
        let mut found = Findings::default();
        for (op, samples) in catalogue() {
            for sample in samples {
                let judge = || (LAWS[law].judge)(sample);
                let verdict = std::panic::catch_unwind(std::panic::AssertUnwindSafe(judge)).unwrap_or_else(|panic| {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".into());
                    Broken(text)
                });
                match verdict {
                    Holds => {
                        *found.holds.entry(op.name).or_insert(0) += 1;
                        for name in primitives(sample) {
                            *found.primitives.entry(name).or_insert(0) += 1;
                        }
                    }
                    Silent(why) => drop(found.silent.entry(op.name).or_default().insert(why)),
                    Broken(how) => found.broken.push(format!("{}: {how}", sample.shown)),
                }
            }
        }
        found
    })
}

fn obey(name: &str) {
    let law = LAWS.iter().position(|law| law.name == name).expect("a law of this name");
    let broken = &findings(law).broken;
    assert!(broken.is_empty(), "{} samples\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn outputs_have_the_promised_shapes() {
    obey("shape");
}

#[test]
fn rules_on_symbols_are_rules_on_numbers() {
    obey("symbols");
}

#[test]
fn gradients_equal_central_differences() {
    obey("gradient");
}

#[test]
fn f32_equals_f64_but_for_rounding() {
    obey("width");
}

#[test]
fn values_and_gradients_are_finite_at_plus_and_minus_a_hundred() {
    obey("finite");
}

#[test]
fn fused_equals_unfused_bit_for_bit() {
    obey("fusion");
}

#[test]
fn one_two_and_eight_threads_give_the_same_bits() {
    obey("threads");
}

#[test]
fn a_row_alone_equals_the_row_in_a_batch() {
    obey("row");
}

#[test]
fn declared_flops_equal_those_of_the_expansion() {
    obey("flops");
}

/// Why a law says nothing at all of an operator: law, operator, reason. What is not here must have been judged.
const EMPTY: &[(&str, &str, &str)] = &[
    ("symbols", "parameter", "parameters have numbers for sizes"),
    ("threads", "parameter", "it is handed on as it is"),
    ("threads", "constant", "what is written out is short"),
];

#[test]
fn the_matrix_has_no_empty_cell_without_a_reason() {
    let some = ops::all().any(|op| op.is_public() && !meant(op.name));
    let (files, mut faults) = (vectors::files(), vec![]);
    let head: Vec<String> = LAWS.iter().map(|law| format!("{:>9}", law.name)).collect();
    let mut text = format!("{:<16}{}  vectors\n", "operator", head.concat());
    let mut reasons: BTreeSet<String> = BTreeSet::new();
    for (op, samples) in catalogue() {
        text.push_str(&format!("{:<16}", op.name));
        if samples.is_empty() {
            faults.push(format!("{}: no use of it could be made; add one to MORE", op.name));
        }
        for (law, name) in LAWS.iter().map(|law| law.name).enumerate() {
            let found = findings(law);
            match found.holds.get(op.name) {
                Some(count) => text.push_str(&format!("{count:>9}")),
                None => {
                    text.push_str(&format!("{:>9}", "-"));
                    let told = EMPTY.iter().find(|(l, o, _)| (*l, *o) == (name, op.name)).map(|(.., why)| *why);
                    let silent = found.silent.get(op.name);
                    let why = silent.filter(|why| why.len() == 1).and_then(|why| why.first().copied());
                    // A view is never computed, whatever else some of its uses lack.
                    let idle = silent.filter(|why| op.facts.view && why.contains("nothing is computed"));
                    let why = why.or(idle.map(|_| "nothing is computed"));
                    match told.or(why.filter(|why| STANDING.contains(why))) {
                        Some(why) => drop(reasons.insert(format!("{} of {}: {why}", name, op.name))),
                        None => faults.push(format!("{} of {}: {:?}", name, op.name, found.silent.get(op.name))),
                    }
                }
            }
        }
        text.push_str(if vectors::has_vectors(op, &files) { "      yes\n" } else { "       no\n" });
    }
    text.push_str("\nprimitives, in how many of these uses\n");
    for op in ops::all().filter(|op| !op.is_public()) {
        text.push_str(&format!("{:<22}", op.name));
        let counts = (0..LAWS.len()).map(|law| findings(law).primitives.get(op.name).copied().unwrap_or(0));
        let counts: Vec<usize> = counts.collect();
        counts.iter().for_each(|count| text.push_str(&format!("{count:>7}")));
        text.push('\n');
        if !some && counts.iter().all(|&count| count == 0) && !UNREACHED.iter().any(|(name, _)| *name == op.name) {
            faults.push(format!("{}: no use of a public operator leads to it", op.name));
        }
    }
    text.push_str("\nempty cells\n");
    reasons.iter().for_each(|reason| text.push_str(&format!("  {reason}\n")));
    // The matrix is what this test is for: `cargo test --test ops matrix -- --nocapture`.
    #[allow(clippy::print_stdout)]
    {
        println!("{text}");
    }
    assert!(faults.is_empty(), "{} cells\n{}", faults.len(), faults.join("\n"));
}

/// Reasons that are good for any operator where they are the only one.
const STANDING: &[&str] = &[
    "its domain is declared",
    "it mixes rows",
    "nothing to differentiate",
    "it declares none",
    "nothing is computed",
    "nothing flows in",
];

/// Primitives that no use of a single operator has: which, and who tries them.
const UNREACHED: &[(&str, &str)] = &[
    ("residual.add", "vectors: residual"),
    ("reduce.largest", "clipping by the largest gradient, in tests/promises/resume.rs"),
    ("reduce.sum_squares", "clipping, in tests/no_alloc.rs and tests/training.rs"),
    ("loss.guard", "training steps, in tests/no_alloc.rs and tests/training.rs"),
];
