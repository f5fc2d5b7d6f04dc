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
    // What alpha_dropout keeps is mean 0 and variance 1, not the mean of minus ones.
    let random = catalogue().iter().filter(|(op, _)| op.facts.random && !op.name.starts_with("alpha_dropout"));
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

/// The output of a stage over `f32[B, 3, 5]` for these numbers, in train.
fn trained(stage: &str, rows: usize, values: Vec<f64>) -> Vec<f64> {
    let text = format!("dim B\nmodel m : (x0: f32[B, 3, 5]) {{ {stage} }}");
    let model = model(&text).unwrap_or_else(|report| panic!("{report}"));
    let graph = forward(&model, Mode::Train, DType::F32, Stage::Fused);
    let mut session = Session::new(vec![graph], DType::F32, 1).expect("there is memory for a test");
    let known: Binding = [("B".to_string(), rows as i64)].into_iter().collect();
    let host = Host { seed: 1, step: 0, hypers: vec![] };
    numbers(&session.run(0, &[("x0", &tensor(&[rows, 3, 5], values))], &known, &host).expect("it runs")[0].1)
}

#[test]
fn parts_are_dropped_as_wholes_and_in_their_share() {
    let rows = 10_007;
    // Stage, elements of a part, share, what stays of a 2 and what becomes of it where it goes.
    let f = 1.758_099_340_847_376_6_f64;
    let alpha = |p: f64| {
        let a = ((1.0 - p) * (1.0 + p * f * f)).powf(-0.5);
        (a * (2.0 + p * f), a * (p * f - f))
    };
    let cases = [
        ("dropout_channels(0.25)", 5, 0.25, (2.0 / 0.75, 0.0)),
        ("drop_path(0.25)", 15, 0.25, (2.0 / 0.75, 0.0)),
        ("alpha_dropout(0.25)", 1, 0.25, alpha(0.25)),
        ("alpha_dropout_channels(0.5)", 5, 0.5, alpha(0.5)),
    ];
    for (stage, part, share, (stays, goes)) in cases {
        let found = trained(stage, rows, vec![2.0; rows * 15]);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let whole = |part: &[f64]| part.iter().all(|&x| x == part[0]) && (near(part[0], stays) || near(part[0], goes));
        let parts: Vec<&[f64]> = found.chunks(part).collect();
        assert!(parts.iter().all(|part| whole(part)), "{stage}");
        let gone = parts.iter().filter(|part| near(part[0], goes)).count() as f64 / parts.len() as f64;
        let allowed = 6.0 * (share * (1.0 - share) / parts.len() as f64).sqrt();
        assert!((gone - share).abs() < allowed, "{stage}: {gone} is dropped");
    }
}

#[test]
fn alpha_dropout_keeps_mean_0_and_variance_1_and_noise_has_its_deviation() {
    let rows = 10_007;
    // Numbers of mean 0 and variance 1: a line of them, scaled.
    let n = rows * 15;
    let line = |i: usize| (2.0 * i as f64 / (n - 1) as f64 - 1.0) * 3f64.sqrt();
    for (stage, variance) in [
        ("alpha_dropout(0.25)", 1.0),
        ("alpha_dropout_channels(0.5)", 1.0),
        ("gaussian_noise(0.5)", 1.25),
        ("dropout(0.5)", 2.0),
        ("drop_path(0.5)", 2.0),
    ] {
        let found = trained(stage, rows, (0..n).map(line).collect());
        let mean = found.iter().sum::<f64>() / n as f64;
        let second = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.05, "{stage}: the mean is {mean}");
        assert!((second - variance).abs() < 0.05, "{stage}: the variance is {second}");
    }
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
