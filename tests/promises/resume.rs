//! A run that was cut and goes on ends with the bytes of one that was never cut: every file of it, the optimizer's too.

use super::world::{Memory, csv, table, training};
use wythe::data::source_of_path;
use wythe::ir::training::Length;
use wythe::optim::{OPTIMIZERS, SCHEDULES};
use wythe::train::fit::{Options, Report, Trainer, Watch, load_data};
use wythe::train::metrics::Row;

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

fn fit(text: &str, files: &Memory, steps: u64, resume: bool, watch: &mut dyn Watch) -> Report {
    let training = training(text);
    let data = load_data(&training, Some(&source_of_path("d.csv").expect("known")), "", files, &[]).expect("good rows");
    let length = Some(Length::Steps(steps));
    let options = Options { out: Some("r".into()), resume, length, threads: 1, ..Options::default() };
    let trainer = Trainer::new(&training, data, &options, files);
    let report = trainer.and_then(|mut trainer| trainer.fit(&options, files, watch));
    report.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Batch norm, dropout and a residual over 6 numbers.
fn text(settings: &str) -> String {
    format!(
        "dim batch
model m(d = 8) : (x: f32[batch, 6]) -> f32[batch, 3] {{
  linear(d); batchnorm; relu; dropout(0.2)
  residual pre rmsnorm {{ linear(d); gelu }}
  head = linear(3)
}}
train m {{ target y: i64[batch]; loss cross_entropy; batch 8; seed 3; {settings} }}
"
    )
}

/// Cuts a run of `steps` steps at every one of them.
fn at_every_step(settings: &str, steps: u64) {
    let text = text(settings);
    let whole = csv(23, 6);
    fit(&text, &whole, steps, false, &mut ());
    for k in 1..steps {
        let cut = csv(23, 6);
        let report = fit(&text, &cut, steps, false, &mut StopAt(k, 0));
        assert!(report.stopped && report.steps == k, "{settings}: stopped at {}", report.steps);
        let report = fit(&text, &cut, steps, true, &mut ());
        assert_eq!((report.steps, report.made), (steps, steps - k), "{settings}");
        let (whole, cut) = (whole.files.borrow(), cut.files.borrow());
        assert_eq!(whole.keys().collect::<Vec<_>>(), cut.keys().collect::<Vec<_>>(), "{settings}, cut at {k}");
        for (path, bytes) in whole.iter() {
            assert!(cut[path] == *bytes, "{settings}: {path} differs after a cut at step {k}");
        }
    }
}

#[test]
fn a_resume_at_every_step_with_every_optimizer() {
    let more = [
        "sgd(lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 0.01)",
        "adam(lr = 0.01, amsgrad = true)",
        "rmsprop(lr = 0.01, momentum = 0.9, centered = true, weight_decay = 0.01)",
        "rmsprop(lr = 0.01, centered = true)",
        "adagrad(lr = 0.1, lr_decay = 0.1, initial_accumulator = 0.5)",
        "nadam(lr = 0.01, momentum_decay = 0.1, decay = \"all\")",
        "asgd(lr = 0.1, lambd = 0.1, t0 = 2)",
    ];
    let all = OPTIMIZERS.iter().map(|def| def.name).chain(more);
    all.for_each(|optimizer| at_every_step(&format!("optimizer {optimizer}; valid 0.2; save 4"), 7));
}

#[test]
fn a_resume_at_every_step_with_every_schedule() {
    let calls = [
        "constant",
        "step(2)",
        "multistep([2, 4])",
        "exponential(0.9)",
        "linear(0.1, steps = 4)",
        "polynomial(8)",
        "cosine(8)",
        "cosine_restarts(3)",
        "warmup(3) |> cosine(4)",
        "one_cycle(0.1, 7)",
        "cyclic(0.01, 0.1, 2, 3)",
        "noam(64, 4)",
        "plateau(factor = 0.5, patience = 0)",
        "plateau(factor = 0.5, patience = 0, threshold = 0.5, every = \"step\")",
        "warmup(2) |> plateau(factor = 0.5, patience = 1, threshold = 0.5, cooldown = 1, every = \"step\")",
    ];
    for def in SCHEDULES {
        assert!(calls.iter().any(|call| call.contains(def.name)), "no case for the schedule {}", def.name);
    }
    for call in calls {
        at_every_step(&format!("schedule {call}; eval_every 2; valid 0.2"), 7);
        at_every_step(&format!("schedule {call}; optimizer sgd(lr = 0.1); drop_last true"), 7);
    }
}

#[test]
fn a_resume_at_every_step_with_every_setting() {
    for settings in [
        "shuffle false; clip norm(0.5)",
        "clip norm(0.5, p = 1); drop_last true",
        "clip norm(0.01, p = inf); save 1",
        "clip value(0.01); eval_every 1; valid 0.3",
        "freeze \"head.*\"; optimizer lion(lr = 1e-3)",
        "optimizer \"head.*\" rprop; optimizer nadam",
        "metric cross_entropy; metric accuracy; valid 0.3; eval_every 3",
    ] {
        at_every_step(settings, 7);
    }
}

#[test]
fn a_plateau_lowers_the_rate_of_a_run() {
    let files = csv(23, 6);
    // No epoch brings the loss to a tenth.
    let text = text(
        "optimizer sgd(lr = 0.5); clip norm(1e-6); \
         schedule plateau(factor = 0.5, patience = 1, threshold = 0.9); valid 0.5; epochs 8",
    );
    fit(&text, &files, 16, false, &mut ());
    let log = String::from_utf8(files.files.borrow()["r/metrics.jsonl"].clone()).expect("text");
    let rates: Vec<f64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["lr"].as_f64().expect("a rate"))
        .collect();
    // Two steps an epoch; the first epoch is the best, two bad ones follow, and so on.
    let by_hand = [1, 1, 1, 2, 2, 3, 3, 4].map(|drops| 0.5f64.powi(drops));
    let of_epochs: Vec<f64> = rates.iter().step_by(2).copied().collect();
    assert_eq!(of_epochs, by_hand, "{rates:?}");
    assert!(rates.chunks(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_norm_of_infinity_is_the_largest_gradient() {
    let norms = |clip: &str| {
        let files = Memory::with("d.csv", table(6, 6).as_bytes());
        let text = text(&format!("optimizer sgd(lr = 0.1); shuffle false; {clip}")).replace("; dropout(0.2)", "");
        fit(&text, &files, 3, false, &mut ());
        let log = String::from_utf8(files.files.borrow()["r/metrics.jsonl"].clone()).expect("text");
        let norm = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["grad_norm"].as_f64();
        log.lines().filter_map(norm).collect::<Vec<f64>>()
    };
    // With p growing the norm comes down to the largest size.
    let (plain, p8, p64, inf) =
        (norms(""), norms("clip norm(1e9, p = 8)"), norms("clip norm(1e9, p = 64)"), norms("clip norm(1e9, p = inf)"));
    assert!(
        inf[0] > 0.0 && inf[0] <= p64[0] * 1.0001 && p64[0] < p8[0] && p8[0] < plain[0],
        "{plain:?} {p8:?} {inf:?}"
    );
    assert!(p64[0] < 1.15 * inf[0], "{p64:?} {inf:?}");
    // Clipped to a thousandth of it, the second step begins almost where the first did.
    let small = norms(&format!("clip norm({}, p = inf)", inf[0] / 1000.0));
    assert!((small[1] - inf[0]).abs() < 0.01 * inf[0] && (inf[1] - inf[0]).abs() > 0.01 * inf[0], "{small:?} {inf:?}");
}

/// Asks to stop while it is looked at for the n-th time.
struct StopAtLook(std::cell::Cell<u64>);

impl Watch for StopAtLook {
    fn stop(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}

#[test]
fn a_resume_after_an_interrupt_at_every_batch_of_an_evaluation() {
    let text = text("valid 0.6; eval_every 2; schedule plateau(patience = 0, threshold = 0.5); save 3");
    let whole = csv(40, 6);
    fit(&text, &whole, 6, false, &mut ());
    let mut inside = 0;
    for look in 1..60 {
        let cut = csv(40, 6);
        let report = fit(&text, &cut, 6, false, &mut StopAtLook(look.into()));
        inside += u64::from(report.stopped && report.steps.is_multiple_of(2));
        // Once more, at the first look: what is pending stays pending.
        fit(&text, &cut, 6, true, &mut StopAtLook(1.into()));
        fit(&text, &cut, 6, true, &mut ());
        for (path, bytes) in whole.files.borrow().iter() {
            assert!(cut.files.borrow()[path] == *bytes, "{path} differs after a stop at look {look}");
        }
    }
    assert!(inside > 6, "{inside} interrupts fell into an evaluation");
}

#[test]
fn a_resume_after_an_interrupted_evaluation_whose_writes_failed() {
    let text = text("valid 0.6; eval_every 2; save 1");
    let whole = csv(40, 6);
    fit(&text, &whole, 4, false, &mut ());
    let training = training(&text);
    let mut pending = 0;
    // The looks of the evaluation after the second step.
    for look in 2..8 {
        for failing in 0.. {
            let cut = csv(40, 6);
            fit(&text, &cut, 4, false, &mut StopAtLook(look.into()));
            // It goes on, and the disk is full at some moment of that.
            cut.fail_at.set(Some(cut.writes.get() + failing));
            let data =
                load_data(&training, Some(&source_of_path("d.csv").expect("known")), "", &cut, &[]).expect("rows");
            let length = Some(Length::Steps(4));
            let options = Options { out: Some("r".into()), resume: true, length, threads: 1, ..Options::default() };
            let went = Trainer::new(&training, data, &options, &cut).and_then(|mut t| t.fit(&options, &cut, &mut ()));
            cut.fail_at.set(None);
            fit(&text, &cut, 4, true, &mut ());
            for (path, bytes) in whole.files.borrow().iter() {
                assert!(cut.files.borrow()[path] == *bytes, "{path} differs: look {look}, write {failing} failed");
            }
            if went.is_ok() {
                break;
            }
            pending += 1;
        }
    }
    assert!(pending > 20, "{pending} writes failed");
}
