//! Promises of training, each by test: exact resumes, the same bits for any threads, steps as computed by hand, nothing
//! that is not finite in a checkpoint, nothing planned or allocated once a run has begun.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use wythe::data::{Loaded, source_of_path};
use wythe::elaborate::Request;
use wythe::exec::session::RunError;
use wythe::export::weights;
use wythe::ir::training::{Length, Training};
use wythe::pipeline::check;
use wythe::tensor::Tensor;
use wythe::text::memory::Memory;
use wythe::text::{Files, Source};
use wythe::train::error::TrainError;
use wythe::train::evaluate::evaluate;
use wythe::train::fit::{Options, Report, Trainer, Watch, load_data};
use wythe::train::metrics::Row;

// ------------------------------------------------------------------------------------------------- the test's own world

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What stands in a file.
fn get(files: &Memory, path: &str) -> Vec<u8> {
    files.get(path).unwrap_or_else(|| panic!("no {path} among {:?}", files.files.borrow().keys()))
}

fn text_of(files: &Memory, path: &str) -> String {
    String::from_utf8(get(files, path)).expect("text")
}

/// Stops a run after so many steps in all.
struct StopAt(u64, u64);

impl Watch for StopAt {
    fn step(&mut self, row: &Row) {
        self.1 = row.step;
    }
    fn stop(&self) -> bool {
        self.1 >= self.0
    }
}

fn training(text: &str) -> Training {
    let mut checked = check(Source::new("m.model", text), &Request::default(), None);
    assert!(!checked.has_errors(), "{}", checked.render());
    checked.trainings.remove(0)
}

/// The rows of `d.csv`, or of `t.txt`.
fn data(training: &Training, files: &Memory) -> Loaded {
    let path = if files.exists("t.txt") { "t.txt" } else { "d.csv" };
    load_data(training, Some(&source_of_path(path).expect("known")), "", files, &[]).expect("good data")
}

/// So many steps in all, with everything written to `r`.
fn options(steps: u64) -> Options {
    Options { out: Some("r".into()), length: Some(Length::Steps(steps)), threads: 1, ..Options::default() }
}

fn fit(text: &str, files: &Memory, options: &Options, watch: &mut dyn Watch) -> Result<Report, TrainError> {
    let training = training(text);
    Trainer::new(&training, data(&training, files), options, files)?.fit(options, files, watch)
}

fn refused(text: &str, files: &Memory) -> TrainError {
    let training = training(text);
    let found = Trainer::new(&training, data(&training, files), &options(3), files);
    found.err().unwrap_or_else(|| panic!("not refused: {text}"))
}

/// A table of `rows` rows with `width` columns and a label of three classes that they tell.
fn table(rows: usize, width: usize) -> String {
    let mut text = (0..width).map(|i| format!("c{i},")).collect::<String>() + "y\n";
    let mut state = 8u64;
    for row in 0..rows {
        for column in 0..width {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
            let signal = if column % 3 == row % 3 { 1.0 } else { 0.0 };
            text += &format!("{:.5},", signal + noise);
        }
        text += &format!("{}\n", row % 3);
    }
    text
}

fn csv(rows: usize, width: usize) -> Memory {
    Memory::with("d.csv", table(rows, width))
}

const MLP: &str = "dim batch
model m(d = 16) : (x: f32[batch, 6]) -> f32[batch, 3] {
  a = linear(d); batchnorm; relu; dropout(0.2)
  repeat 2 { residual pre rmsnorm { linear(2 * d); gelu; linear(d) } }
  rmsnorm
  head = linear(3)
}
";

const CONV: &str = "dim batch
model m : (x: f32[batch, 1, 6, 6]) -> f32[batch, 3] {
  conv(8, 3, pad = 1, bias = false); batchnorm; relu
  residual { conv(8, 3, pad = 1); batchnorm; silu }
  maxpool(2); avgpool_global; linear(3)
}
";

const ATTENTION: &str = "dim batch, seq
model m(d = 16) : (tokens: i64[batch, seq]) -> f32[batch, seq, 27] {
  layer wte = embedding(27, d)
  tokens |> wte
  repeat 2 {
    residual pre layernorm { attention(2, causal = true); dropout(0.1) }
    residual pre layernorm { linear(2 * d); gelu; linear(d) }
  }
  layernorm
  unembed(wte)
}
train m { target y = tokens |> next; loss cross_entropy; optimizer adamw(lr = 1e-2); batch 8; seq 16; seed 5 }
";

fn mlp(settings: &str) -> String {
    format!("{MLP}train m {{\n  target y: i64[batch]\n  loss cross_entropy\n  batch 8\n  seed 3\n  {settings}\n}}\n")
}

fn text_data() -> Memory {
    let letters = "the quick brown fox jumps over the lazy dog and runs away ";
    Memory::with("t.txt", letters.repeat(30))
}

// ------------------------------------------------------------------------------------------------------------- promises

#[test]
fn a_resume_at_every_step_equals_never_having_stopped() {
    let settings = [
        "optimizer adamw(lr = 1e-2); schedule warmup(5) |> cosine(20); clip norm(1.0); valid 0.2; save 4",
        "optimizer sgd(lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 1e-3); clip value(0.05); drop_last true",
        "optimizer adam(lr = 1e-2, amsgrad = true); valid 0.3; eval_every 3; batch 8",
        "optimizer sgd(lr = 0.05, momentum = 0.5, dampening = 0.1); shuffle false; clip norm(0.5, p = 1)",
        "optimizer sgd(lr = 0.05); optimizer \"head.*\" adamw(lr = 1e-2); freeze \"a.*\"; watch \"head.*\"; schedule step(3)",
    ];
    const STEPS: u64 = 14;
    for settings in settings {
        // `batch 8` stands in every section.
        let text = mlp(&settings.replace("; batch 8", ""));
        let whole = csv(45, 6);
        fit(&text, &whole, &options(STEPS), &mut ()).expect("trains");
        for k in 1..STEPS {
            let cut = csv(45, 6);
            let report = fit(&text, &cut, &options(STEPS), &mut StopAt(k, 0)).expect("trains");
            assert!(report.stopped && report.steps == k, "{settings}: stopped at {}", report.steps);
            let resumed = Options { resume: true, ..options(STEPS) };
            let report = fit(&text, &cut, &resumed, &mut ()).expect("goes on");
            assert_eq!((report.steps, report.made), (STEPS, STEPS - k));
            for (path, bytes) in whole.files.borrow().iter() {
                assert!(get(&cut, path) == *bytes, "{settings}: {path} differs after a stop at step {k}");
            }
        }
    }
}

#[test]
fn a_resume_is_exact_for_text_and_attention_too() {
    let whole = text_data();
    fit(ATTENTION, &whole, &options(20), &mut ()).expect("trains");
    for k in [1, 7, 13, 19] {
        let cut = text_data();
        fit(ATTENTION, &cut, &options(k), &mut ()).expect("trains");
        fit(ATTENTION, &cut, &Options { resume: true, ..options(20) }, &mut ()).expect("goes on");
        assert!(get(&cut, "r/last/model.safetensors") == get(&whole, "r/last/model.safetensors"), "stopped at {k}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let large =
        mlp("optimizer adamw(lr = 1e-2); valid 0.2").replace("d = 16", "d = 64").replace("batch 8", "batch 200");
    let conv =
        format!("{CONV}train m {{ target y: i64[batch]; loss cross_entropy; batch 50; seed 1; clip norm(1.0) }}\n");
    for (text, width, rows) in [(large, 6, 500), (conv, 36, 120)] {
        let run = |threads| {
            let files = csv(rows, width);
            fit(&text, &files, &Options { threads, ..options(5) }, &mut ()).expect("trains");
            files.files.take()
        };
        let one = run(1);
        assert!(one == run(2) && one == run(8));
    }
}

#[test]
fn whichever_write_fails_the_run_goes_on() {
    let text = mlp("optimizer adamw(lr = 1e-2); valid 0.2; save 3; eval_every 2");
    let whole = csv(45, 6);
    fit(&text, &whole, &options(8), &mut ()).expect("trains");
    assert!(whole.writes.get() > 15);
    for k in 0..whole.writes.get() {
        let files = csv(45, 6);
        files.fail_at.set(Some(k));
        let error = fit(&text, &files, &options(8), &mut ()).expect_err("the write that fails is told");
        assert!(error.to_string().contains("no space left"), "{error}");
        files.fail_at.set(None);
        fit(&text, &files, &Options { resume: true, ..options(8) }, &mut ()).expect("goes on");
        assert!(
            get(&files, "r/last/model.safetensors") == get(&whole, "r/last/model.safetensors")
                && text_of(&files, "r/metrics.jsonl") == text_of(&whole, "r/metrics.jsonl"),
            "after write {k} failed"
        );
    }
}

#[test]
fn a_steady_step_plans_and_allocates_nothing() {
    let conv =
        format!("{CONV}train m {{ target y: i64[batch]; loss cross_entropy; batch 8; clip value(1.0); valid 0.2 }}\n");
    let cases = [
        (mlp("optimizer adamw(lr = 1e-2); clip norm(1.0); valid 0.2"), csv(45, 6)),
        (conv, csv(45, 36)),
        (ATTENTION.into(), text_data()),
    ];
    for (text, files) in cases {
        let training = training(&text);
        let mut trainer = Trainer::new(&training, data(&training, &files), &options(40), &files).expect("starts");
        let plans = trainer.session().plans();
        trainer.advance().expect("a first step");
        let before = ALLOCATIONS.get();
        // Several epochs, with their smaller last batches.
        (0..30).for_each(|_| assert!(trainer.advance().is_ok()));
        assert_eq!(ALLOCATIONS.get(), before, "allocations in 30 steps of {text}");
        trainer.evaluate().expect("evaluates");
        assert_eq!(trainer.session().plans(), plans, "plans made after the start of {text}");
    }
}

// -------------------------------------------------------------------------------------------------------- steps by hand

const LINE: &str = "dim batch
model m : (x: f32[batch, 2]) -> f32[batch, 1] { linear(1) }
";
const ROWS: [([f64; 2], f64); 3] = [([0.5, -1.0], 0.25), ([1.5, 0.75], -1.0), ([-0.25, 2.0], 0.5)];

/// w0, w1, b after each of three steps of an optimizer, and the losses before them.
fn three_steps(optimizer: &str) -> (Vec<[f64; 3]>, Vec<f64>) {
    let rows: String = ROWS.iter().map(|(x, y)| format!("{},{},{y}\n", x[0], x[1])).collect();
    let files = Memory::with("d.csv", format!("a,b,y\n{rows}"));
    let section =
        format!("train m {{ target y: f32[batch, 1]; loss mse; optimizer {optimizer}; batch 3; schedule constant }}\n");
    let training = training(&format!("{LINE}{section}"));
    let mut trainer = Trainer::new(&training, data(&training, &files), &options(3), &files).expect("starts");
    let look = |trainer: &Trainer<'_>| {
        let get = |name: &str| match trainer.session().get(name) {
            Some(Tensor::F32(a)) => a.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(),
            other => panic!("{name}: {other:?}"),
        };
        let (w, b) = (get("linear.weight"), get("linear.bias"));
        [w[0], w[1], b[0]]
    };
    let (mut states, mut losses) = (vec![look(&trainer)], vec![]);
    for _ in 0..3 {
        let row = trainer.advance().expect("a step");
        losses.push(row.loss.to_string().parse().expect("a number"));
        states.push(look(&trainer));
    }
    (states, losses)
}

/// Loss and gradient of the mean squared error.
fn by_hand(p: [f64; 3]) -> (f64, [f64; 3]) {
    let (mut loss, mut grad) = (0.0, [0.0; 3]);
    for (x, y) in ROWS {
        let error = p[0] * x[0] + p[1] * x[1] + p[2] - y;
        loss += error * error / 3.0;
        for (grad, x) in grad.iter_mut().zip([x[0], x[1], 1.0]) {
            *grad += 2.0 * error * x / 3.0;
        }
    }
    (loss, grad)
}

/// Compares three steps with `update(t, element, p, g, its two slots)`.
fn compare(optimizer: &str, update: impl Fn(i32, usize, f64, f64, &mut [f64; 2]) -> f64) {
    let (states, losses) = three_steps(optimizer);
    let (mut p, mut slots) = (states[0], [[0.0; 2]; 3]);
    for step in 0..3 {
        let (loss, grad) = by_hand(p);
        assert!((losses[step] - loss).abs() < 1e-6 * loss.max(1.0), "{optimizer}: loss {} is {loss}", losses[step]);
        for i in 0..3 {
            p[i] = update(step as i32 + 1, i, p[i], grad[i], &mut slots[i]);
            let found = states[step + 1][i];
            assert!((found - p[i]).abs() < 2e-6, "{optimizer}, step {step}: element {i} is {found}, not {}", p[i]);
        }
    }
}

#[test]
fn three_steps_of_each_optimizer_are_those_by_hand() {
    compare("sgd(lr = 0.1)", |_, _, p, g, _| p - 0.1 * g);
    compare("sgd(lr = 0.1, momentum = 0.9, weight_decay = 0.01)", |t, i, p, g, s| {
        let g = if i < 2 { g + 0.01 * p } else { g };
        s[0] = if t == 1 { g } else { 0.9 * s[0] + g };
        p - 0.1 * s[0]
    });
    compare("sgd(lr = 0.1, momentum = 0.9, nesterov = true)", |t, _, p, g, s| {
        s[0] = if t == 1 { g } else { 0.9 * s[0] + g };
        p - 0.1 * (g + 0.9 * s[0])
    });
    let adam = |t: i32, p: f64, g: f64, s: &mut [f64; 2]| {
        s[0] = 0.9 * s[0] + 0.1 * g;
        s[1] = 0.999 * s[1] + 0.001 * g * g;
        let (m, v) = (s[0] / (1.0 - 0.9f64.powi(t)), s[1] / (1.0 - 0.999f64.powi(t)));
        p - 0.01 * m / (v.sqrt() + 1e-8)
    };
    compare("adam(lr = 0.01, weight_decay = 0.1)", |t, i, p, g, s| adam(t, p, if i < 2 { g + 0.1 * p } else { g }, s));
    compare("adamw(lr = 0.01, weight_decay = 0.1)", |t, i, p, g, s| {
        adam(t, if i < 2 { p * (1.0 - 0.01 * 0.1) } else { p }, g, s)
    });
    compare("adamw(lr = 0.01, weight_decay = 0.1, decay = \"all\")", |t, _, p, g, s| adam(t, p * (1.0 - 0.001), g, s));
}

#[test]
fn the_loss_falls() {
    let conv =
        format!("{CONV}train m {{ target y: i64[batch]; loss cross_entropy; optimizer adamw(lr = 1e-2); batch 16 }}\n");
    let cases = [(mlp("optimizer adamw(lr = 1e-2)"), csv(90, 6)), (conv, csv(90, 36)), (ATTENTION.into(), text_data())];
    for (text, files) in cases {
        let losses = fit(&text, &files, &options(60), &mut ()).expect("trains").losses;
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        assert!(mean(&losses[50..]) < 0.6 * mean(&losses[..5]), "{losses:?} of {text}");
    }
}

// ---------------------------------------------------------------------------------------------------------- evaluations

#[test]
fn an_evaluation_weighs_batches_by_their_rows() {
    let section = |batch| {
        format!("{MLP}train m {{ target y: i64[batch]; loss cross_entropy; metric accuracy; batch {batch}; seed 3 }}\n")
    };
    let files = csv(11, 6);
    let results = [1, 4, 11, 64].map(|batch| {
        let training = training(&section(batch));
        let loaded = data(&training, &files);
        let graph = wythe::pipeline::evaluation(&training, wythe::tensor::DType::F32);
        let mut session =
            wythe::exec::session::Session::new(vec![graph], wythe::tensor::DType::F32, 1).expect("memory");
        session.init(9);
        let names: Vec<String> = session.places().map(|(name, _)| name.to_string()).collect();
        let tensors: Vec<(String, Tensor)> =
            names.iter().map(|n| (n.clone(), session.get(n).expect("there"))).collect();
        let named: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let bytes = weights::encode(&named, &weights::About::default());
        let found = evaluate(&training, &loaded, weights::decode(&bytes, "w").expect("whole"), 1, None).expect("runs");
        assert_eq!(found.rows, 11);
        found.results
    });
    for result in &results {
        assert_eq!((result[0].0.as_str(), result[1].0.as_str()), ("loss", "accuracy"));
        assert!((result[0].1 - results[2][0].1).abs() < 1e-6, "{results:?}");
        assert!((result[1].1 * 11.0 - (result[1].1 * 11.0).round()).abs() < 1e-5, "a share of 11 rows: {results:?}");
        assert!((result[1].1 - results[2][1].1).abs() < 1e-6, "{results:?}");
    }
}

#[test]
fn rows_are_held_out_as_a_share_or_from_another_source() {
    let files = csv(45, 6);
    let report = fit(&mlp("valid 0.2"), &files, &options(7), &mut ()).expect("trains");
    assert_eq!(report.valid.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["loss", "accuracy"]);
    files.files.borrow_mut().insert("v.csv".into(), table(9, 6).into_bytes());
    let other = training(&mlp("valid csv(\"v.csv\")"));
    let loaded = data(&other, &files);
    assert_eq!((loaded.train.rows, loaded.valid.map(|set| set.rows)), (45, Some(9)));
}

#[test]
fn checkpoints_and_the_log_are_as_documented() {
    let files = csv(45, 6);
    let text = mlp("optimizer sgd(lr = 0.1); schedule warmup(4) |> constant; valid 0.2; save 4; eval_every 3");
    fit(&text, &files, &options(10), &mut ()).expect("trains");
    let folders: Vec<String> = files
        .files
        .borrow()
        .keys()
        .filter_map(|path| Some(path.strip_suffix("/model.safetensors")?.to_string()))
        .collect();
    assert_eq!(folders, ["r/best", "r/last", "r/step-000004", "r/step-000008"]);
    let step = |folder: &str| weights::load(&files, &format!("{folder}/model.safetensors")).expect("whole").about.step;
    assert_eq!([step("r/last"), step("r/step-000004"), step("r/step-000008")], [Some(10), Some(4), Some(8)]);

    let log = text_of(&files, "r/metrics.jsonl");
    let rows: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.iter().map(|row| row["step"].as_u64()).collect::<Vec<_>>(), (1..=10).map(Some).collect::<Vec<_>>());
    let evaluated = rows.iter().filter(|row| !row["valid"].is_null());
    let mut losses: Vec<(u64, f64)> = evaluated
        .map(|row| (row["step"].as_u64().expect("a step"), row["valid"]["loss"].as_f64().expect("a loss")))
        .collect();
    assert_eq!(losses.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [3, 6, 9, 10]);
    losses.sort_by(|a, b| a.1.total_cmp(&b.1));
    assert_eq!(step("r/best"), Some(losses[0].0));
    let lr: Vec<f64> = rows.iter().map(|row| row["lr"].as_f64().expect("a rate")).collect();
    assert!(lr[0] < lr[1] && lr[3] <= 0.1 && lr[9] == 0.1, "{lr:?}");
    for (row, line) in rows.iter().zip(log.lines()) {
        let loss = row["loss"].as_f64().expect("a number") as f32;
        assert!(line.contains(&format!("\"loss\":{loss:?},")), "shortest digits that read back: {line}");
        assert!(row["grad_norm"].as_f64().is_some_and(|norm| norm > 0.0));
    }
}

#[test]
fn the_norm_in_the_log_is_that_before_clipping() {
    let norms = |clip: &str| {
        let files = csv(45, 6);
        fit(&mlp(&format!("optimizer sgd(lr = 0.0); shuffle false; {clip}")), &files, &options(2), &mut ())
            .expect("trains");
        let line = text_of(&files, "r/metrics.jsonl").lines().next().map(String::from).expect("a line");
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON")["grad_norm"].as_f64().expect("a norm")
    };
    let plain = norms("");
    for clip in ["clip norm(1e-3)", "clip value(1e-5)"] {
        assert!((norms(clip) - plain).abs() < 1e-6 * plain, "{clip}: {} is not {plain}", norms(clip));
    }
    let (one, three) = (norms("clip norm(1.0, p = 1)"), norms("clip norm(1.0, p = 3)"));
    assert!(one > plain && three < plain, "{one} {plain} {three}");
}

#[test]
fn terms_of_a_loss_are_logged() {
    let files = csv(45, 6);
    let text = format!(
        "{MLP}train m {{\n  target y: i64[batch]\n  loss {{\n    ce = (out, y) |> cross_entropy\n    size = out |> square |> mean\n    ce + 0.01 * size\n  }}\n  batch 8\n}}\n"
    );
    fit(&text, &files, &options(3), &mut ()).expect("trains");
    for line in text_of(&files, "r/metrics.jsonl").lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let number = |value: &serde_json::Value| value.as_f64().expect("a number");
        let sum = number(&row["terms"]["ce"]) + 0.01 * number(&row["terms"]["size"]);
        assert!((number(&row["loss"]) - sum).abs() < 1e-5, "{line}");
    }
}

// ------------------------------------------------------------------------------------------------- groups, and refusals

/// Plain descent at rate 1 moves each parameter by its gradient: so long is the way that the watched ones went.
#[test]
fn what_is_watched_is_the_length_of_the_gradients_and_changes_nothing() {
    let patterns = ["head.*", "repeat.1.*", "*.bias", "*"];
    let watch: String = patterns.iter().map(|pattern| format!("; watch {pattern:?}")).collect();
    for clip in ["", "; clip value(1e-3)", "; clip norm(1e-3)", "; clip norm(1e-3, p = 1)"] {
        let start = |settings: &str| {
            let (training, files) = (training(&mlp(settings)), csv(45, 6));
            let mut trainer = Trainer::new(&training, data(&training, &files), &options(3), &files).expect("starts");
            let weights = |trainer: &Trainer<'_>| -> Vec<(String, Tensor)> {
                let names = trainer.session().places().map(|(name, _)| name.to_string());
                let learned = names.filter(|name| !name.contains("running") && !name.contains("num_batches"));
                learned.map(|name| (name.clone(), trainer.session().get(&name).expect("there"))).collect()
            };
            let before = weights(&trainer);
            let row = trainer.advance().expect("a step").clone();
            (before, weights(&trainer), row)
        };
        let (before, after, plain) = start("optimizer sgd(lr = 1.0)");
        let (_, _, row) = start(&format!("optimizer sgd(lr = 1.0){watch}{clip}"));
        assert_eq!(row.loss, plain.loss);
        for (pattern, (name, found)) in patterns.iter().zip(&row.grad_norms) {
            assert_eq!(pattern, name);
            let inner: Vec<&str> = pattern.split('*').collect();
            let fits = |name: &str| name.starts_with(inner[0]) && name.ends_with(inner[inner.len() - 1]);
            let moved = before.iter().zip(&after).filter(|((name, _), _)| fits(name));
            let squares = moved.flat_map(|((_, before), (_, after))| {
                let (Tensor::F32(before), Tensor::F32(after)) = (before, after) else { panic!("{pattern}: no floats") };
                before.iter().zip(after).map(|(a, b)| f64::from(a - b).powi(2)).collect::<Vec<f64>>()
            });
            let want = squares.sum::<f64>().sqrt();
            assert!((found.value() - want).abs() < 1e-5 * want, "{pattern}{clip}: {} and {want}", found.value());
        }
        if clip.is_empty() {
            let (_, seen, _) = start(&format!("optimizer sgd(lr = 1.0){watch}"));
            assert_eq!(seen, after);
        }
    }
    assert_eq!(refused(&mlp("freeze \"a.*\"; watch \"a.*\""), &csv(45, 6)).code(), "train::frozen");
}

#[test]
fn patterns_choose_what_is_learned_and_how() {
    let text = mlp("optimizer adamw(lr = 1e-2); optimizer \"head.*\" sgd(lr = 0.0); freeze \"repeat.*.linear.weight\"");
    let files = csv(45, 6);
    let training = training(&text);
    let mut trainer = Trainer::new(&training, data(&training, &files), &options(3), &files).expect("starts");
    let look = |trainer: &Trainer<'_>, name: &str| trainer.session().get(name).expect("there");
    let still = ["head.weight", "head.bias", "repeat.0.linear.weight", "repeat.1.linear.weight"];
    let moving =
        ["a.weight", "repeat.0.linear.bias", "repeat.1.linear_2.weight", "rmsnorm.weight", "batchnorm.running_mean"];
    let before: Vec<Tensor> = still.iter().chain(&moving).map(|name| look(&trainer, name)).collect();
    (0..3).for_each(|_| assert!(trainer.advance().is_ok()));
    for (name, before) in still.iter().chain(&moving).zip(before) {
        assert_eq!(look(&trainer, name) == before, still.contains(name), "{name}");
    }
    assert!(trainer.session().places().all(|(name, _)| !name.starts_with("head.weight@")), "sgd has no state");

    assert_eq!(refused(&mlp("freeze \"*\""), &csv(45, 6)).code(), "train::frozen");
}

#[test]
fn a_single_row_for_batchnorm_is_refused_before_the_start() {
    let said = refused(&mlp(""), &csv(41, 6));
    assert!(said.code() == "train::batch" && said.to_string().contains("batchnorm"), "{said}");
    fit(&mlp("drop_last true"), &csv(41, 6), &options(6), &mut ()).expect("the last row is left out");
}

#[test]
fn what_is_wrong_with_the_data_is_said_with_its_place() {
    let no_data = training(&mlp(""));
    let said = load_data(&no_data, None, "", &csv(9, 6), &[]).expect_err("none");
    assert!(said.code() == "train::data" && said.to_string().contains("--data"), "{said}");

    let mut rows: Vec<String> = table(45, 6).lines().map(String::from).collect();
    let last = rows[20].rfind(',').expect("a comma");
    rows[20].replace_range(last.., ",7");
    let files = Memory::with("d.csv", rows.join("\n") + "\n");
    let load = |text: &str| load_data(&training(text), Some(&source_of_path("d.csv").expect("known")), "", &files, &[]);
    let said = load(&mlp("")).expect_err("a label of 7");
    assert!(said.code() == "data::label" && said.to_string().contains("d.csv, line 21"), "{said}");
    // Also where one of the classes is left out.
    let said =
        load(&mlp("").replace("loss cross_entropy", "loss cross_entropy(ignore_index = 0)")).expect_err("a label of 7");
    assert!(said.code() == "data::label" && said.to_string().contains("d.csv, line 21"), "{said}");
    // Where the labels go through an operator the range is known only when the loss is computed.
    let text = mlp("").replace("loss cross_entropy", "loss { (out, y |> identity) |> cross_entropy }");
    let said = fit(&text, &files, &options(9), &mut ()).expect_err("a label of 7");
    assert!(said.code() == "data::label" && said.to_string().contains("d.csv, line 21"), "{said}");
}

#[test]
fn what_does_not_fit_into_memory_is_refused() {
    let text = mlp("").replace("d = 16", "d = 20_000");
    let training = training(&text);
    let files = csv(45, 6);
    let loaded = data(&training, &files);
    let go = |memory| Trainer::new(&training, loaded.clone(), &Options { memory: Some(memory), ..options(1) }, &files);
    for memory in [0, 1 << 20, 1 << 30] {
        match go(memory).err() {
            Some(TrainError::Run(RunError::TooMuch { needed, available })) => {
                assert!(available == memory && needed.total() > 10 << 30, "{needed:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    let said = go(1 << 20).err().expect("refused").to_string();
    assert!(said.contains("GB of memory are needed") && said.contains("can be had"), "{said}");
}

#[test]
fn a_resume_belongs_to_its_run() {
    let files = csv(45, 6);
    fit(&mlp("optimizer adamw(lr = 1e-2)"), &files, &options(6), &mut ()).expect("trains");
    let before = files.files.borrow().clone();
    let resumed = |steps| Options { resume: true, ..options(steps) };
    // Beyond the total nothing is done.
    for steps in [6, 3] {
        let report = fit(&mlp("optimizer adamw(lr = 1e-2)"), &files, &resumed(steps), &mut ()).expect("nothing to do");
        assert_eq!((report.made, report.steps), (0, 6));
        assert_eq!(report.checkpoint.as_deref(), Some("r/last/model.safetensors"));
        assert!(*files.files.borrow() == before);
    }
    let said = |text: &str, options: &Options| fit(text, &files, options, &mut ()).expect_err("refused");
    let text = mlp("optimizer adamw(lr = 1e-2)");
    assert_eq!(said(&text, &Options { seed: Some(4), ..resumed(9) }).code(), "train::seed");
    fit(&text, &files, &Options { seed: Some(3), ..resumed(7) }, &mut ()).expect("its own seed");
    assert_eq!(said(&mlp("optimizer adamw(lr = 2e-2)"), &resumed(9)).code(), "train::resume");
    files.files.borrow_mut().insert("d.csv".into(), table(44, 6).into_bytes());
    assert_eq!(said(&text, &resumed(9)).code(), "train::resume");
}

// ----------------------------------------------------------------------------------------------------------- divergence

fn diverged(error: TrainError) -> (u64, String, Option<String>) {
    assert_eq!(error.code(), "train::diverged");
    match error {
        TrainError::Diverged { step, what, saved, .. } => (step, what, saved),
        other => panic!("{other}"),
    }
}

/// No checkpoint holds a number that is not finite.
fn all_finite(files: &Memory) {
    for path in files.files.borrow().keys().filter(|path| path.ends_with(".safetensors")) {
        for (name, tensor) in &weights::load(files, path).expect("whole").tensors {
            if let Tensor::F32(a) = tensor {
                assert!(a.iter().all(|x| x.is_finite()), "{path}: {name}");
            }
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_names_layer_and_tensor() {
    let files = csv(45, 6);
    let text = mlp("optimizer sgd(lr = 1e30); schedule constant; save 1");
    let (step, what, saved) = diverged(fit(&text, &files, &options(20), &mut ()).expect_err("diverges"));
    assert!(step <= 3 && what.contains(".out, the output of"), "step {step}: {what}");
    assert_eq!(saved.as_deref(), Some("r/last/model.safetensors"));
    assert!(text_of(&files, "r/metrics.jsonl").lines().count() as u64 >= step - 1, "the log goes up to there");
    all_finite(&files);
}

#[test]
fn a_parameter_that_is_not_finite_is_never_saved() {
    let files = csv(45, 6);
    let text = mlp("optimizer sgd(lr = 3e38, weight_decay = 1e3); schedule constant; save 1; clip norm(1e9)");
    let (_, what, _) = diverged(fit(&text, &files, &options(20), &mut ()).expect_err("diverges"));
    assert!(what.starts_with("the ") || what.contains(".out"), "{what}");
    all_finite(&files);
}

#[test]
fn a_gradient_that_is_not_finite_names_its_parameter() {
    // The root of 0 is 0, and its slope infinite.
    let text = "dim batch
model m : (x: f32[batch, 6]) -> f32[batch, 3] { a = linear(4, init = zeros, bias = false); sqrt; head = linear(3) }
train m { target y: i64[batch]; loss cross_entropy; optimizer sgd(lr = 0.1); batch 8 }
";
    let (step, what, saved) = diverged(fit(text, &csv(45, 6), &options(5), &mut ()).expect_err("diverges"));
    assert_eq!((step, what.as_str(), saved), (1, "the gradient of a.weight", None));
}

#[test]
fn weights_that_are_not_finite_are_named() {
    let files = csv(45, 6);
    let text = mlp("");
    fit(&text, &files, &options(2), &mut ()).expect("trains");
    let mut begun = weights::load(&files, "r/last/model.safetensors").expect("whole");
    if let Some(Tensor::F32(a)) = begun.tensors.get_mut("repeat.1.linear.bias") {
        a.fill(f32::NAN);
    }
    let options = Options { weights: Some(begun), out: Some("other".into()), ..options(2) };
    let said = fit(&text, &files, &options, &mut ()).expect_err("refused before the start");
    assert_eq!(said.code(), "weights::value");
    assert!(said.to_string().starts_with("r/last/model.safetensors: `repeat.1.linear.bias` holds a value"), "{said}");
    assert!(!files.exists("other/metrics.jsonl"), "it has begun");
}
