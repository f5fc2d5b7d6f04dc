//! What draws random numbers: right in the mean, another draw each step and place, the same draw again.

use crate::matrix::{catalogue, meant};
use crate::model::{model, numbers, tensor};
use wythe::exec::bind::Binding;
use wythe::exec::session::{Host, Session};
use wythe::ir::build::Mode;
use wythe::ir::structured::Structured;
use wythe::pipeline::{Stage, forward};
use wythe::tensor::DType;

/// Elements of a draw: a share is known to about 0.002.
const MANY: usize = 100_003;

/// The output for minus ones: what is random about a rectifier is its negative side.
fn draw(model: &Structured, mode: Mode, seed: u64, step: u64) -> Vec<f64> {
    let graph = forward(model, mode, DType::F32, Stage::Fused);
    let mut session = Session::new(vec![graph], DType::F32, 1).expect("there is memory for a test");
    let known: Binding = [("B".to_string(), MANY as i64)].into_iter().collect();
    let values = tensor(&[MANY], vec![-1.0; MANY]);
    let host = Host { seed, step, hypers: vec![] };
    numbers(&session.run(0, &[("x0", &values)], &known, &host).expect("it runs")[0].1)
}

#[test]
fn random_operators_are_right_in_the_mean_and_draw_anew() {
    let random = catalogue().iter().filter(|(op, _)| op.facts.random);
    let mut tried = 0;
    for sample in random.flat_map(|(_, samples)| samples) {
        // A use over one axis, of any length.
        let Some(long) = sample.along_batch(true).filter(|_| sample.sizes()[0].as_ref().is_some_and(|s| s.len() == 1))
        else {
            continue;
        };
        let (train, eval) = (draw(&long.model, Mode::Train, 1, 0), draw(&long.model, Mode::Eval, 1, 0));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / MANY as f64;
        let (found, wanted) = (mean(&train), mean(&eval));
        let deviation = (train.iter().map(|x| (x - found).powi(2)).sum::<f64>() / MANY as f64).sqrt();
        let allowed = 6.0 * deviation / (MANY as f64).sqrt();
        assert!(deviation > 0.0, "{}: nothing is drawn", sample.shown);
        assert!((found - wanted).abs() < allowed, "{}: the mean is {found}, in eval {wanted}", sample.shown);
        assert_eq!(train, draw(&long.model, Mode::Train, 1, 0), "{}: the same draw again", sample.shown);
        for (seed, step) in [(2, 0), (1, 1)] {
            let other = draw(&long.model, Mode::Train, seed, step);
            let equal = train.iter().zip(&other).filter(|(a, b)| a == b).count() as f64 / MANY as f64;
            // Independent draws agree as often as their values are the same by chance.
            let mut sorted = train.clone();
            sorted.sort_by(f64::total_cmp);
            let share = |same: &[f64]| (same.len() as f64 / MANY as f64).powi(2);
            let chance: f64 = sorted.chunk_by(|a, b| a == b).map(share).sum();
            assert!((equal - chance).abs() < 0.01, "{}: another step draws {equal} alike, not {chance}", sample.shown);
        }
        tried += 1;
    }
    assert!(tried > 0 || !meant("dropout"), "dropout at least can be tried");
}

#[test]
fn random_sources_draw_anew_at_each_step_and_seed_and_the_same_again() {
    let sources = catalogue().iter().filter(|(op, _)| op.facts.random && op.operands.is_empty());
    let mut tried = 0;
    for (op, _) in sources {
        let source = model(&format!("dim B\nmodel m : (x0: f32[B]) {{ x0 * {}([B]) }}", op.name));
        let source = source.unwrap_or_else(|report| panic!("{report}"));
        for mode in [Mode::Train, Mode::Eval] {
            let first = draw(&source, mode, 1, 0);
            assert_eq!(first, draw(&source, mode, 1, 0), "{}: the same draw again", op.name);
            for (seed, step) in [(2, 0), (1, 1)] {
                let other = draw(&source, mode, seed, step);
                let equal = first.iter().zip(&other).filter(|(a, b)| a == b).count();
                assert!(equal < MANY / 1000, "{}: another seed or step draws {equal} of {MANY} alike", op.name);
            }
        }
        tried += 1;
    }
    assert!(tried > 0 || !meant("rand"), "there are sources of random numbers");
}
