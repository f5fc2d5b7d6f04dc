//! wythe as a library: the example runs, sessions move between threads, every way of running gives the same bits.

#[path = "../examples/embed.rs"]
mod example;

use ndarray::{Array, Array2, Axis, array, s};
use wythe::train::error::TrainError;
use wythe::{Error, Mode, Model, NoFiles, Options, Session, Tensor, TrainOptions, View};

const MLP: &str = "dim batch
model m(d = 33) : (x: f32[batch, 7]) -> f32[batch, 5] { linear(d); gelu; rmsnorm; linear(5) }
";

fn f32s(tensor: Tensor) -> ndarray::ArrayD<f32> {
    tensor.into_array().expect("floats")
}

fn numbers(rows: usize, columns: usize) -> Array2<f32> {
    Array::from_shape_fn((rows, columns), |(i, j)| ((i * 31 + j * 17) % 23) as f32 / 11.0 - 1.0)
}

fn session(text: &str, options: &Options) -> Session {
    let model = Model::check(text).unwrap_or_else(|reports| panic!("{reports}"));
    model.session(options).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_example_trains_and_predicts() {
    let (accuracy, logits) = example::learn().expect("it runs");
    assert!(accuracy > 0.95, "{accuracy}");
    assert!(logits[[0, 1]] > logits[[0, 0]], "the centre is inside: {logits}");
    assert!(logits[[1, 0]] > logits[[1, 1]], "the corner is outside: {logits}");
}

#[test]
fn the_example_runs_as_a_program() {
    example::main().expect("it ends well");
}

/// What a whole run of a model leaves, as bytes.
fn learned(width: usize, rows: usize, threads: usize) -> Vec<u8> {
    let text = format!(
        "dim batch
model m(d = {width}) : (x: f32[batch, 7]) -> f32[batch, 5] {{ linear(d); batchnorm; relu; dropout(0.2); linear(5) }}
train m {{ target y: i64[batch]; loss cross_entropy; batch 16; steps 20; seed {width} }}
"
    );
    let model = Model::check(&text).unwrap_or_else(|reports| panic!("{reports}"));
    let (x, y) = (numbers(rows, 7), Array::from_shape_fn(rows, |i| (i % 5) as i64));
    let options = TrainOptions { threads, ..TrainOptions::default() };
    let mut trainer = model.train_on(&[("x", (&x).into()), ("y", (&y).into())], &options).expect("they fit");
    trainer.run().expect("it trains");
    trainer.weights().expect("there is memory")
}

#[test]
fn runs_on_several_threads_at_once_have_the_bits_of_each_alone() {
    let alone = [(33, 60), (65, 61), (129, 62)].map(|(width, rows)| (width, rows, learned(width, rows, 1)));
    for _ in 0..4 {
        std::thread::scope(|scope| {
            let runs = alone.each_ref().map(|(width, rows, _)| scope.spawn(move || learned(*width, *rows, 2)));
            for (run, (width, _, bytes)) in runs.into_iter().zip(&alone) {
                assert!(run.join().expect("no panic") == *bytes, "width {width} differs beside others");
            }
        });
    }
}

#[test]
fn errors_of_a_run_are_data() {
    let text = "dim batch
model m : (x: f32[batch, 2]) -> f32[batch, 3] { linear(64); square; linear(3) }
train m { target y: i64[batch]; loss cross_entropy; optimizer sgd(lr = 3e38); batch 4; steps 20 }
";
    let model = Model::check(text).unwrap_or_else(|reports| panic!("{reports}"));
    let (x, y) = (numbers(8, 2), Array::from_shape_fn(8, |i| (i % 3) as i64));
    let run = |x: &Array2<f32>, y: &ndarray::Array1<i64>| {
        let mut trainer = model.train_on(&[("x", x.into()), ("y", y.into())], &TrainOptions::default())?;
        trainer.run().map(|_| ())
    };
    match run(&x, &y) {
        Err(Error::Train(TrainError::Diverged { step, what, .. })) => assert!(step <= 2 && !what.is_empty(), "{what}"),
        other => panic!("{other:?}"),
    }
    let place = |x: &Array2<f32>, y: &ndarray::Array1<i64>| match run(x, y) {
        Err(Error::Data(error)) => (error.code, error.place.unwrap_or_default()),
        other => panic!("{other:?}"),
    };
    let mut bad = x.clone();
    bad[[5, 1]] = f32::NAN;
    assert_eq!(place(&bad, &y), ("data::value", "row 6".to_string()));
    let mut bad = y.clone();
    bad[2] = 3;
    assert_eq!(place(&x, &bad), ("data::label", "row 3".to_string()));
}

#[test]
fn a_parameter_takes_numbers_of_its_own_kind() {
    let mut session = session(MLP, &Options::default());
    let said = |found: Result<(), Error>| found.expect_err("refused").to_string();
    let ids = Tensor::I64(ndarray::ArrayD::zeros(ndarray::IxDyn(&[33])));
    assert_eq!(said(session.set("linear.bias", &ids)), "`linear.bias` is f32, and what is given is i64");
    let wide = Tensor::F64(ndarray::ArrayD::ones(ndarray::IxDyn(&[33])));
    session.set("linear.bias", &wide).expect("floats of either width");
    assert_eq!(session.get("linear.bias"), Some(Tensor::F32(ndarray::ArrayD::ones(ndarray::IxDyn(&[33])))));
}

#[test]
fn a_session_may_be_sent_to_another_thread() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let mut here = session(MLP, &Options::default());
    let mut there = is_send(session(MLP, &Options::default()));
    let x = numbers(9, 7);
    let elsewhere = std::thread::scope(|scope| {
        scope.spawn(|| there.run(&[(&x).into()]).expect("it runs")).join().expect("no panic")
    });
    assert_eq!(here.run(&[(&x).into()]).expect("it runs"), elsewhere);
}

#[test]
fn by_order_by_name_and_by_plan_have_the_same_bits() {
    let mut session = session(MLP, &Options { threads: 2, ..Options::default() });
    let x = numbers(64, 7);
    let by_order = session.run(&[(&x).into()]).expect("it runs").remove(0);
    let by_name = session.run_by_name(&[("x", (&x).into())]).expect("it runs");
    assert_eq!(by_name["out"], by_order);
    let plan = session.prepare(&[("batch", 64)]).expect("a plan");
    session.input::<f32>(plan, 0).expect("the input").assign(&x);
    session.execute(plan).expect("it runs");
    let by_plan = session.output::<f32>(plan, 0).expect("the output").to_owned();
    assert_eq!(Tensor::F32(by_plan), by_order);
    // A view that is not contiguous.
    let wide = numbers(64, 14);
    let every_second = wide.slice(s![.., ..;2]);
    let dense = every_second.to_owned();
    let (a, b) = (session.run(&[every_second.into()]), session.run(&[(&dense).into()]));
    assert_eq!(a.expect("it runs"), b.expect("it runs"));
}

#[test]
fn a_row_alone_is_the_row_in_the_batch() {
    let mut session = session(MLP, &Options::default());
    let x = numbers(17, 7);
    let all = f32s(session.run(&[(&x).into()]).expect("it runs").remove(0));
    for row in 0..17 {
        let alone = x.slice(s![row..row + 1, ..]);
        let alone = f32s(session.run(&[alone.into()]).expect("it runs").remove(0));
        assert_eq!(alone.index_axis(Axis(0), 0), all.index_axis(Axis(0), row), "row {row}");
    }
}

#[test]
fn several_inputs_and_outputs_keep_their_order() {
    let text = "dim batch
model m : (a: f32[batch, 2], b: i64[batch]) -> (total: f32[batch, 2], same: f32[batch, 2]) {
  e = b |> embedding(4, 2, init = ones)
  total = a + e
  return (total, a)
}
";
    let mut session = session(text, &Options { gradients: true, ..Options::default() });
    let (a, b) = (array![[1f32, 2.0], [3.0, 4.0]], array![3i64, 0]);
    let outputs = session.run(&[(&a).into(), (&b).into()]).expect("it runs");
    assert_eq!(outputs[0], Tensor::F32((&a + 1.0).into_dyn()));
    assert_eq!(outputs[1], Tensor::F32(a.clone().into_dyn()));
    let ones = Array2::<f32>::ones((2, 2));
    let found = session.gradients(&[(&a).into(), (&b).into()], &[(&ones).into(), (&ones).into()]).expect("they flow");
    assert_eq!(found.outputs, outputs);
    assert_eq!(found.inputs["a"], Tensor::F32((&ones * 2.0).into_dyn()));
    let table = f32s(found.parameters["e.weight"].clone());
    assert_eq!(table, array![[1f32, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]].into_dyn());
}

#[test]
fn what_does_not_fit_is_said_in_a_sentence() {
    let said = |result: Result<Vec<Tensor>, Error>| result.expect_err("refused").to_string();
    let mut mlp = session(MLP, &Options::default());
    let (x, narrow, ids) = (numbers(2, 7), numbers(2, 6), array![1i64, 2]);
    assert_eq!(said(mlp.run(&[])), "the model takes (x: f32[batch, 7]), and 0 arrays are given");
    assert_eq!(
        said(mlp.run(&[(&narrow).into()])),
        "axis 1 of the input `x` (f32[batch, 7]) is 7, and what is given has 6"
    );
    assert_eq!(said(mlp.run(&[(&ids).into()])), "the input `x` is f32[batch, 7], and what is given holds i64");
    let named = mlp.run_by_name(&[("y", (&x).into())]).expect_err("refused").to_string();
    assert!(named.starts_with("there is no input `y`"), "{named}");
    let text = "dim batch, seq
model m : (x: f32[batch, seq, 8]) -> f32[batch, seq, 8] where seq <= 16 { linear(8) }
";
    let long = ndarray::Array3::<f32>::zeros((1, 17, 8));
    let said = said(session(text, &Options::default()).run(&[(&long).into()]));
    assert!(said.contains("seq") && said.contains("16") && said.contains("17"), "{said}");
    let wrong = mlp.gradients(&[(&x).into()], &[]).map(|_| ()).expect_err("refused").to_string();
    assert!(wrong.contains("Options::gradients"), "{wrong}");
}

#[test]
fn weights_come_back_as_they_were_and_others_are_refused() {
    let options = |seed| Options { seed, ..Options::default() };
    let (mut one, mut two) = (session(MLP, &options(1)), session(MLP, &options(2)));
    let x = numbers(3, 7);
    let first = one.run(&[(&x).into()]).expect("it runs");
    assert_ne!(first, two.run(&[(&x).into()]).expect("it runs"));
    let bytes = one.save();
    assert_eq!(two.load(&bytes).expect("they fit"), Vec::<String>::new());
    assert_eq!(first, two.run(&[(&x).into()]).expect("it runs"));
    let other = Model::check(MLP).and_then(|model| model.with("d", 32)).expect("it checks");
    let mut other = other.session(&Options::default()).expect("it compiles");
    assert!(other.load(&bytes).expect_err("refused").to_string().contains("of another shape"));
    let mut damaged = bytes.clone();
    *damaged.last_mut().expect("bytes") ^= 1;
    assert!(one.load(&damaged).expect_err("refused").to_string().contains("damaged"));
}

#[test]
fn reports_are_data() {
    let reports = Model::check("dim batch\nmodel m : (x: f32[batch, 4]) -> f32[batch, 4] { residual { linear(5) } }\n");
    let reports = reports.expect_err("5 is not 4");
    assert_eq!(reports.diagnostics.len(), 1);
    assert_eq!(reports.diagnostics[0].code, "shape::residual");
    assert!(reports.to_string().contains("<text>:2:"), "{reports}");
    let several = "model a : (x: f32[1]) -> f32[1] { relu }\nmodel b : (x: f32[1]) -> f32[1] { relu; relu }\n";
    let several = Model::check(several).expect("it checks");
    assert!(several.structured().expect_err("two").to_string().contains("several models"));
    assert_eq!(several.named("b").expect("it checks").structured().expect("one").name, "b");
}

#[test]
fn dropout_is_a_function_of_seed_and_step() {
    let text = "dim batch\nmodel m : (x: f32[batch, 64]) -> f32[batch, 64] { dropout(0.5) }\n";
    let mut session = session(text, &Options { mode: Mode::Train, ..Options::default() });
    let x = Array2::<f32>::ones((4, 64));
    let mut at = |step| {
        session.set_step(step);
        session.run(&[(&x).into()]).expect("it runs")
    };
    let (first, second) = (at(0), at(1));
    assert_ne!(first, second);
    assert_eq!(first, at(0));
}

#[test]
fn training_stays_in_memory_and_is_the_same_on_two_threads() {
    let text = "dim batch
model m : (x: f32[batch, 7]) -> f32[batch, 5] { linear(64); gelu; dropout(0.2); linear(5) }
train m { target y: i64[batch]; loss cross_entropy; valid 0.25; batch 16; steps 12 }
";
    let model = Model::check(text).unwrap_or_else(|reports| panic!("{reports}"));
    let (x, y) = (numbers(60, 7), Array::from_shape_fn(60, |i| (i % 5) as i64));
    let rows: [(&str, View<'_>); 2] = [("x", (&x).into()), ("y", (&y).into())];
    let train = |threads| {
        let mut trainer =
            model.train_on(&rows, &TrainOptions { threads, ..TrainOptions::default() }).expect("they fit");
        let report = trainer.run().expect("it trains");
        assert_eq!((report.steps, report.checkpoint), (12, None));
        assert!(report.valid.iter().any(|(name, _)| name == "accuracy"), "a quarter is held out");
        trainer.weights().expect("there is memory")
    };
    assert_eq!(train(1), train(2));
    let error = model.train_on(&rows[..1], &TrainOptions::default()).map(|_| ()).expect_err("no targets");
    assert!(error.to_string().contains("`y`"), "{error}");
    let error = model.train(&NoFiles, &TrainOptions::default()).map(|_| ()).expect_err("no data");
    assert!(error.to_string().contains("names no data"), "{error}");
}

#[test]
fn a_run_that_diverges_ends_on_two_threads() {
    let text = "dim batch
model m : (x: f32[batch, 256]) -> f32[batch, 8] { linear(256); relu; linear(8) }
train m { target y: f32[batch, 8]; loss mse; optimizer sgd(lr = 1e30); batch 64; steps 20 }
";
    let model = Model::check(text).unwrap_or_else(|reports| panic!("{reports}"));
    let (x, y) = (numbers(64, 256), numbers(64, 8));
    for _ in 0..40 {
        let options = TrainOptions { threads: 2, ..TrainOptions::default() };
        let mut trainer = model.train_on(&[("x", (&x).into()), ("y", (&y).into())], &options).expect("they fit");
        let error = trainer.run().map(|_| ()).expect_err("it diverges").to_string();
        assert!(error.contains("is not finite"), "{error}");
    }
}

/// Written by PyTorch with the README's script, wrapped in `module.`, the tied head under a second name: `vectors/tiny.py`.
#[test]
fn weights_of_pytorch_give_pytorch_s_numbers() {
    let text = "model tiny : (ids: i64[2, 3]) -> f32[2, 3, 5] {
  layer tok = embedding(5, 4)
  ids |> tok
  norm = layernorm
  fc = linear(8)
  gelu
  proj = linear(4)
  unembed(tok)
}
";
    let model = Model::check(text).unwrap_or_else(|reports| panic!("{reports}"));
    let mut session = model.session(&Options::default()).expect("it compiles");
    let notes = session.load(include_bytes!("fixtures/torch_tiny.safetensors")).expect("they fit");
    assert!(notes.iter().any(|note| note.contains("`module.`")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("`head.weight` is another name of `tok.weight`")), "{notes:?}");
    let ids = array![[0_i64, 1, 2], [4, 3, 0]];
    let outputs = session.run(&[(&ids).into()]).expect("it runs");
    let Tensor::F32(out) = &outputs[0] else { panic!("floats") };
    // Golden numbers: PyTorch's.
    let want = [
        -0.362229, -0.245192, -0.081112, 0.424655, 0.09079, -0.479213, -0.456582, -0.134813, 0.488226, 0.075357,
        -0.809111, -0.251253, -0.009676, 1.279535, 0.046101, 0.154026, 0.379626, 0.066012, -0.06379, 0.396969,
        -0.50262, 0.107344, 0.094029, 1.012056, 0.266328, -0.362229, -0.245192, -0.081112, 0.424655, 0.09079,
    ];
    assert_eq!(out.len(), want.len());
    for (own, want) in out.iter().zip(want) {
        assert!((f64::from(*own) - want).abs() < 2e-6, "{own} {want}");
    }
}

#[test]
fn rows_that_are_too_long_are_cut_before_the_optimizer_moves_them() {
    let text = "dim batch
model m : (ids: i64[batch]) -> f32[batch, 3] { embedding(5, 3, max_norm = 0.5, init = ones) }
train m { loss sum; optimizer sgd(lr = 0.5); batch 2; shuffle false; epochs 1 }
";
    let model = Model::check(text).unwrap_or_else(|reports| panic!("{reports}"));
    let ids = array![1i64, 1, 1, 4];
    let mut trainer = model.train_on(&[("ids", (&ids).into())], &TrainOptions::default()).expect("it fits");
    // PyTorch's embedding cuts what is asked for in place; then each use counts -lr: by hand.
    let cut = |row: f64| row.signum() * 0.5 / 3f64.sqrt();
    let first = cut(1.0) - 2.0 * 0.5;
    for rows in [[1.0, first, 1.0, 1.0, 1.0], [1.0, cut(first) - 0.5, 1.0, 1.0, cut(1.0) - 0.5]] {
        trainer.step().expect("a step");
        let mut session = model.session(&Options::default()).expect("a session");
        session.load(&trainer.weights().expect("weights")).expect("they fit");
        let table = f32s(session.get("embedding.weight").expect("the table"));
        for (row, wanted) in table.axis_iter(Axis(0)).zip(rows) {
            assert!(row.iter().all(|x| (f64::from(*x) - wanted).abs() < 1e-6), "{table}, wanted {rows:?}");
        }
    }
}
