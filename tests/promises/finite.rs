//! NaN and infinity end a run at the first step that has them, wherever they come from, and are named.

use super::world::{Memory, table, training};
use wythe::data::source_of_path;
use wythe::export::weights;
use wythe::ir::training::Length;
use wythe::tensor::Tensor;
use wythe::text::Files;
use wythe::train::error::TrainError;
use wythe::train::fit::{Options, Report, Trainer, load_data};

fn options(steps: u64) -> Options {
    Options { out: Some("r".into()), length: Some(Length::Steps(steps)), threads: 1, ..Options::default() }
}

fn fit(text: &str, files: &Memory, options: &Options) -> Result<Report, TrainError> {
    let training = training(text);
    let data = load_data(&training, Some(&source_of_path("d.csv").expect("known")), "", files, &[])?;
    Trainer::new(&training, data, options, files)?.fit(options, files, &mut ())
}

/// The step, what is not finite, and the whole sentence.
fn diverged(text: &str, files: &Memory) -> (u64, String, String) {
    let error = fit(text, files, &options(40)).expect_err("it diverges");
    let said = error.to_string();
    let TrainError::Diverged { step, what, .. } = error else { panic!("{said}") };
    for path in files.files.borrow().keys().filter(|path| path.ends_with(".safetensors")) {
        for (name, tensor) in &weights::load(files, path).expect("whole").tensors {
            let Tensor::F32(a) = tensor else { continue };
            assert!(a.iter().all(|x| x.is_finite()), "{path}: {name}");
        }
    }
    (step, what, said)
}

fn text(body: &str, settings: &str) -> String {
    format!(
        "dim batch\nmodel m : (x: f32[batch, 6]) -> f32[batch, 3] {{ {body} }}\n\
         train m {{ target y: i64[batch]; loss cross_entropy; shuffle false; batch 8; save 1; {settings} }}\n"
    )
}

/// A table whose row `row` (from 1) has this number in its third column.
fn with(number: &str, row: usize) -> Memory {
    let mut lines: Vec<String> = table(40, 6).lines().map(String::from).collect();
    let mut cells: Vec<&str> = lines[row].split(',').collect();
    cells[2] = number;
    lines[row] = cells.join(",");
    Memory::with("d.csv", lines.join("\n"))
}

const PLAIN: &str = "a = linear(8); relu; head = linear(3)";

#[test]
fn data_that_are_not_finite_never_reach_a_step() {
    for number in ["nan", "inf", "-inf", "1e400", "1e39", "NaN"] {
        let files = with(number, 20);
        let error = fit(&text(PLAIN, ""), &files, &options(9)).expect_err("refused");
        assert_eq!(error.code(), "data::value");
        assert!(error.to_string().starts_with("d.csv, line 21: `c2` is "), "{error}");
        assert!(!files.exists("r/metrics.jsonl"), "it has begun");
    }
}

#[test]
fn data_that_overflow_are_named_at_the_step_that_reads_them() {
    // Row 20 is in the third batch; its square is none in f32.
    let files = with("1e30", 20);
    let (step, what, said) = diverged(&text("a = linear(8); square; relu; head = linear(3)", ""), &files);
    assert_eq!((step, what.as_str()), (3, "square.out, the output of square,"));
    assert!(said.contains("the last good checkpoint is r/last/model.safetensors"), "{said}");
    let last = weights::load(&files, "r/last/model.safetensors").expect("whole");
    assert_eq!(last.about.step, Some(2));
    // In the first step nothing was learned yet: a smaller rate would not help, and is not proposed.
    let (step, _, said) = diverged(&text("a = linear(8); square; head = linear(3)", ""), &with("1e30", 2));
    assert!(step == 1 && said.contains("nothing was learned yet") && !said.contains("`lr`"), "{said}");
}

#[test]
fn a_rate_that_is_too_large_is_named_at_the_first_step() {
    // Whatever layer comes behind: a relu of minus infinity is 0, and the loss is finite again.
    for body in [PLAIN, "a = linear(8); tanh; head = linear(3)", "a = linear(8); batchnorm; relu; head = linear(3)"] {
        for optimizer in ["sgd(lr = 3e38)", "sgd(lr = 3e38, momentum = 0.9)", "adamw(lr = 3e38)", "lion(lr = 3.4e38)"] {
            let clipped = format!("optimizer {optimizer}; clip norm(1e9)");
            for settings in [format!("optimizer {optimizer}"), clipped] {
                let (step, what, said) = diverged(&text(body, &settings), &Memory::with("d.csv", table(40, 6)));
                assert!(step <= 2, "{body}, {settings}: step {step}, {what}");
                assert!(said.contains("a smaller `lr`"), "{said}");
            }
        }
    }
}

#[test]
fn a_parameter_becomes_infinite_in_the_step_that_is_named() {
    // 20 times the rate of one step is beyond f32; the bias of a relu that is shut has no gradient to tell it.
    let body = "a = linear(8); relu; head = linear(3)";
    let settings = "optimizer sgd(lr = 1e38, weight_decay = 30, decay = \"all\")";
    let text = text(body, settings).replace("save 1; ", "");
    let (step, what, said) = diverged(&text, &Memory::with("d.csv", table(40, 6)));
    assert!(step == 1 && what.starts_with("the parameter "), "step {step}: {what}");
    assert!(said.contains("a smaller `lr`"), "{said}");
}

#[test]
fn what_an_optimizer_keeps_is_looked_at_too() {
    // Squares of gradients of 1e25 are none in f32: Adam would divide by infinity, and stand still for ever.
    let text = "dim batch
model m : (x: f32[batch, 6]) -> f32[batch, 3] { a = linear(8); tanh; head = linear(3) }
train m { target y: i64[batch]; loss { ce = (out, y) |> cross_entropy; ce * 1e26 }; optimizer adamw(lr = 1e-3); batch 8 }
";
    let (step, what, _) = diverged(text, &Memory::with("d.csv", table(40, 6)));
    assert_eq!(step, 1);
    assert!(what.starts_with("exp_avg_sq of ") && what.ends_with("which the optimizer keeps,"), "{what}");
}

#[test]
fn a_running_statistic_is_looked_at_too() {
    // The variance of 1e25 is none in f32; the norm divides by it, gives 0, and the loss is finite.
    let text = text("batchnorm; head = linear(3)", "optimizer sgd(lr = 1e-3)").replace("save 1; ", "");
    let (step, what, said) = diverged(&text, &with("1e25", 12));
    assert_eq!((step, what.as_str()), (2, "the running statistic batchnorm.running_var"), "{said}");
}

#[test]
fn weights_that_are_not_finite_never_reach_a_step() {
    let text = text("a = linear(8); relu; head = linear(3)", "freeze \"a.*\"");
    let files = Memory::with("d.csv", table(40, 6));
    fit(&text, &files, &options(2)).expect("it trains");
    for (path, bad) in [("a.bias", f32::NEG_INFINITY), ("a.weight", f32::NAN), ("head.weight", f32::INFINITY)] {
        let mut begun = weights::load(&files, "r/last/model.safetensors").expect("whole");
        if let Some(Tensor::F32(a)) = begun.tensors.get_mut(path) {
            a.iter_mut().last().into_iter().for_each(|x| *x = bad);
        }
        let given = Options { weights: Some(begun), out: Some("other".into()), ..options(4) };
        let error = fit(&text, &files, &given).expect_err("refused");
        assert_eq!(error.code(), "weights::value");
        let said = error.to_string();
        assert!(said.starts_with(&format!("r/last/model.safetensors: `{path}` holds a value")), "{said}");
        assert!(!files.exists("other/metrics.jsonl"), "it has begun");
    }
}
