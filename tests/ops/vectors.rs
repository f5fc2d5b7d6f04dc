//! Reference vectors (`tests/vectors`): what PyTorch computed in f64, against this project in f64 and f32.

use crate::matrix::meant;
use crate::model::{Given, Named, array, compile, largest, model, numbers, tensor, training, worst};
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use wythe::exec::bind::Binding;
use wythe::exec::session::{Host, Session};
use wythe::export::weights::{About, Weights};
use wythe::ir::build::Mode;
use wythe::ir::op::OpDef;
use wythe::ir::training::Training;
use wythe::ops;
use wythe::optim::{HYPERS, OPTIMIZERS, Plateau, SCHEDULES, Schedule, find_optimizer, find_schedule};
use wythe::pipeline::{self, Stage, output_names};
use wythe::tensor::{DType, Tensor};
use wythe::text::{FileError, Files};
use wythe::train::fit::{Options, Trainer, load_data};

/// How far a value may be off, in units of the largest value of its tensor (of a gradient: or of what flowed in, since
/// it is a product with that, and may be a difference of two). One number a width, for every case.
fn tolerance(float: DType) -> f64 {
    if float == DType::F64 { 1e-12 } else { 16.0 * f64::from(f32::EPSILON) }
}

/// A number; JSON has none that is not finite.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Number<'a> {
    Finite(f64),
    Word(&'a str),
}

impl Number<'_> {
    fn value(self) -> f64 {
        match self {
            Number::Finite(value) => value,
            Number::Word("inf") => f64::INFINITY,
            Number::Word("-inf") => f64::NEG_INFINITY,
            Number::Word(_) => f64::NAN,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Packed<'a> {
    #[serde(default)]
    name: &'a str,
    #[serde(default)]
    dtype: &'a str,
    shape: Vec<usize>,
    #[serde(borrow)]
    data: Vec<Number<'a>>,
}

impl Packed<'_> {
    fn numbers(&self) -> Vec<f64> {
        self.data.iter().map(|number| number.value()).collect()
    }

    fn tensor(&self) -> Tensor {
        self.tensor_of(self.numbers())
    }

    fn tensor_of(&self, data: Vec<f64>) -> Tensor {
        match self.dtype {
            "i64" => Tensor::I64(array(&self.shape, data.into_iter().map(|x| x as i64).collect())),
            "bool" => Tensor::Bool(array(&self.shape, data.into_iter().map(|x| x != 0.0).collect())),
            _ => tensor(&self.shape, data),
        }
    }
}

#[derive(Debug, Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    cases: Vec<Case<'a>>,
}

#[derive(Debug, Deserialize)]
struct Case<'a> {
    name: String,
    /// Files below `models/lib` whose blocks the body uses.
    #[serde(default)]
    library: Vec<String>,
    body: String,
    mode: &'a str,
    #[serde(borrow)]
    inputs: Vec<Packed<'a>>,
    #[serde(borrow)]
    params: BTreeMap<String, Packed<'a>>,
    #[serde(borrow)]
    state: BTreeMap<String, Packed<'a>>,
    #[serde(borrow)]
    outputs: Vec<Packed<'a>>,
    #[serde(borrow, default)]
    cotangents: Vec<Packed<'a>>,
    #[serde(borrow, default)]
    grad_inputs: BTreeMap<String, Packed<'a>>,
    #[serde(borrow, default)]
    grad_params: BTreeMap<String, Packed<'a>>,
    #[serde(borrow, default)]
    state_after: BTreeMap<String, Packed<'a>>,
    #[serde(borrow, default)]
    steps: Vec<Vec<Number<'a>>>,
    #[serde(default = "yes")]
    grad: bool,
}

fn yes() -> bool {
    true
}

impl Case<'_> {
    /// The case as a `.model` file.
    fn text(&self) -> String {
        let input = |x: &Packed<'_>| {
            let sizes: Vec<String> = x.shape.iter().map(usize::to_string).collect();
            format!("{}: {}[{}]", x.name, x.dtype, sizes.join(", "))
        };
        let inputs: Vec<String> = self.inputs.iter().map(input).collect();
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/lib");
        let read = |name: &String| std::fs::read_to_string(folder.join(name)).expect("a block library can be read");
        // One text: what a file of the library uses stands before it.
        let blocks: String = self.library.iter().map(read).collect();
        let mut declared = false;
        let once = |line: &&str| {
            !line.starts_with("use ") && (!line.starts_with("dim ") || !std::mem::replace(&mut declared, true))
        };
        let blocks = blocks.lines().filter(once).collect::<Vec<_>>().join("\n");
        format!("{blocks}\nmodel m : ({}) {{\n{}\n}}\n", inputs.join(", "), self.body)
    }

    /// What is handed in, where the model's outputs have these names.
    fn given(&self, names: &[String]) -> Given {
        let weights = self.params.iter().chain(&self.state);
        let floats = names.iter().zip(&self.outputs).filter(|(_, x)| x.dtype == "f32");
        let cotangents = floats.zip(&self.cotangents).map(|((name, _), x)| (name.clone(), x.tensor()));
        Given {
            inputs: self.inputs.iter().map(|x| (x.name.to_string(), x.tensor())).collect(),
            weights: weights.map(|(path, x)| (path.clone(), x.tensor())).collect(),
            cotangents: self.grad.then(|| cotangents.collect()),
        }
    }

    /// What must come out, under the names of [`Compiled::run`](crate::model::Compiled::run).
    fn wanted(&self, names: &[String]) -> Vec<(String, &Packed<'_>)> {
        let outputs = names.iter().cloned().zip(&self.outputs);
        let inputs = self.grad_inputs.iter().map(|(name, x)| (format!("grad.in.{name}"), x));
        let params = self.grad_params.iter().map(|(path, x)| (format!("grad.par.{path}"), x));
        let states = self.state_after.iter().map(|(path, x)| (format!("state.{path}"), x));
        outputs.chain(inputs).chain(params).chain(states).collect()
    }

    /// The names of the outputs, and what comes out.
    fn run(&self, float: DType) -> Result<(Vec<String>, Named), String> {
        let mode = if self.mode == "train" { Mode::Train } else { Mode::Eval };
        let model = model(&self.text())?;
        let names = output_names(&model);
        let mut compiled = compile(&model, mode, float, 1, self.grad);
        let mut given = self.given(&names);
        compiled.set(&given.weights)?;
        for step in self.steps.iter().take(self.steps.len().saturating_sub(1)) {
            let values = step.iter().map(|number| number.value()).collect();
            given.inputs.insert(self.inputs[0].name.to_string(), self.inputs[0].tensor_of(values));
            compiled.run(&given)?;
        }
        let got = compiled.run(&self.given(&names))?;
        Ok((names, got))
    }

    /// What is wrong with this case in this width.
    fn faults(&self, float: DType) -> Vec<String> {
        let (names, got) = match self.run(float) {
            Ok(got) => got,
            Err(report) => return vec![report.lines().next().unwrap_or_default().to_string()],
        };
        let flowing = self.cotangents.iter().map(|x| largest(&x.numbers())).fold(0.0, f64::max);
        let fault = |(name, want): (String, &Packed<'_>)| {
            let Some(found) = got.get(&name) else { return Some(format!("{name} is missing")) };
            if found.shape() != want.shape {
                return Some(format!("{name} has the shape {:?}, wanted {:?}", found.shape(), want.shape));
            }
            let (found, want) = (numbers(found), want.numbers());
            let (off, at) = worst(&found, &want);
            let scale = if name.starts_with("grad.") { largest(&want).max(flowing) } else { largest(&want) };
            let (allowed, share) = (tolerance(float) * scale, off / scale);
            (off > allowed)
                .then(|| format!("{name}[{at}] is {:e}, wanted {:e} ({share:.1e} of the largest)", found[at], want[at]))
        };
        self.wanted(&names).into_iter().filter_map(fault).collect()
    }
}

/// All files of vectors: the name, and the text.
pub fn files() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let entries = std::fs::read_dir(folder).expect("the vectors lie in tests/vectors");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).expect("a vector file can be read"))).collect()
}

/// Cases of attributes that come later: file, case, what is missing. One that starts to work must leave this list.
const NOT_YET: &[(&str, &str, &str)] = &[];

#[test]
fn operators_give_what_pytorch_gives() {
    let (mut faults, mut waiting) = (vec![], NOT_YET.to_vec());
    for (name, text) in files() {
        if name.starts_with("optim_") || name.starts_with("schedule_") {
            continue;
        }
        if !meant(&name) && !(name.starts_with("library") && meant("library")) {
            waiting.retain(|(file, ..)| *file != name);
            continue;
        }
        let file: File<'_> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}.json: {error}"));
        for case in &file.cases {
            let found: Vec<String> = [DType::F64, DType::F32]
                .into_iter()
                .flat_map(|float| case.faults(float).into_iter().map(move |fault| format!("{float}: {fault}")))
                .collect();
            match waiting.iter().position(|(file, own, _)| (*file, *own) == (name.as_str(), case.name.as_str())) {
                Some(at) if found.is_empty() => {
                    faults.push(format!(
                        "{name} [{}]: works now; take it off the list of what is not yet there",
                        case.name
                    ));
                    waiting.remove(at);
                }
                Some(at) => drop(waiting.remove(at)),
                None => faults.extend(found.iter().map(|fault| format!("{name} [{}] {fault}", case.name))),
            }
        }
    }
    faults.extend(waiting.iter().map(|(file, case, _)| format!("{file} [{case}]: not yet there, and no such case")));
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

/// Files that are not named for one operator.
const OTHER_FILES: &[&str] = &[
    "library_blocks",
    "library_layers",
    "library_mixture",
    "library_stacks",
    "library_transformer",
    "library_vision",
    "pool_1d_3d",
    "residual",
];

/// Whether an operator has reference vectors.
pub fn has_vectors(op: &OpDef, files: &[(String, String)]) -> bool {
    files.iter().any(|(name, _)| name == op.name)
}

#[test]
fn every_public_operator_has_vectors_and_every_file_an_owner() {
    let files = files();
    let without: Vec<&str> =
        ops::all().filter(|op| op.is_public() && !has_vectors(op, &files)).map(|op| op.name).collect();
    assert!(without.is_empty(), "no file in tests/vectors for {without:?}");
    let owned = |name: &str| {
        // Several operators may share a file; what follows an underscore says which cases of it.
        let starts = |own: &str| name.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
        ops::all().any(|op| op.is_public() && starts(op.name))
            || name.strip_prefix("optim_").is_some_and(|own| find_optimizer(own).is_some())
            || name.strip_prefix("schedule_").is_some_and(|own| find_schedule(own).is_some())
            || OTHER_FILES.contains(&name)
    };
    let lost: Vec<&String> = files.iter().map(|(name, _)| name).filter(|name| !owned(name)).collect();
    assert!(lost.is_empty(), "files that belong to nothing: {lost:?}");
    let tested = |kind: &str, name: &str| files.iter().any(|(file, _)| *file == format!("{kind}_{name}"));
    let untested: Vec<&str> = OPTIMIZERS.iter().map(|def| def.name).filter(|name| !tested("optim", name)).collect();
    assert!(untested.is_empty(), "optimizers without vectors: {untested:?}");
    let untested: Vec<&str> = SCHEDULES.iter().map(|def| def.name).filter(|name| !tested("schedule", name)).collect();
    assert!(untested.is_empty(), "schedules without vectors: {untested:?}");
}

#[derive(Debug, Deserialize)]
struct Plain {
    shape: Vec<usize>,
    data: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct OptimizerCase {
    call: String,
    param: Plain,
    grads: Vec<Vec<f64>>,
    after: Vec<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
struct ScheduleCase {
    call: String,
    base: f64,
    lr: Vec<f64>,
    /// What a plateau sees after each step.
    #[serde(default)]
    losses: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Cases<T> {
    cases: Vec<T>,
}

/// The cases of all files whose names begin so.
fn cases<T: for<'a> Deserialize<'a>>(prefix: &str) -> Vec<T> {
    let files = files().into_iter().filter(|(name, _)| name.starts_with(prefix));
    let read = |(name, text): (String, String)| {
        let file: Cases<T> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}.json: {error}"));
        file.cases
    };
    files.flat_map(read).collect()
}

/// A model whose gradient is the row of the step: the loss is the sum of w ⊙ x.
fn linear_in_its_parameter(setting: &str, shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let sizes = sizes.join(", ");
    format!(
        "dim batch\nmodel m : (x: f32[batch, {sizes}]) {{\n  w = parameter([{sizes}])\n  y = x * w\n}}\n\
         train m {{\n  data safetensors(\"rows\")\n  loss sum\n  {setting}\n  batch 1\n  shuffle false\n}}\n"
    )
}

/// One file in memory, whatever its name.
struct Memory(Vec<u8>);

impl Files for Memory {
    fn read(&self, _: &str, _: u64) -> Result<Vec<u8>, FileError> {
        Ok(self.0.clone())
    }
    fn write(&self, path: &str, _: &[u8]) -> Result<(), FileError> {
        Err(FileError { path: path.into(), reason: "is only to be read".into() })
    }
    fn append(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.write(path, bytes)
    }
    fn exists(&self, _: &str) -> bool {
        true
    }
}

/// The gradients of a case as a data set of its own: a row a step.
fn rows(case: &OptimizerCase) -> Memory {
    let shape = std::iter::once(case.grads.len()).chain(case.param.shape.iter().copied()).collect();
    let bytes: Vec<u8> = case.grads.iter().flatten().flat_map(|&x| (x as f32).to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape, &bytes).expect("a shape fits its data");
    Memory(serialize([("x", view)], None).expect("a tensor can be written"))
}

/// The parameter after each step of a run in f32: the training loop with its data, batches and schedule.
fn trained(case: &OptimizerCase, training: &Training) -> Result<Vec<Vec<f64>>, String> {
    let file = rows(case);
    let data = load_data(training, None, "", &file, &[]).map_err(|error| error.to_string())?;
    let param = tensor(&case.param.shape, case.param.data.clone());
    let tensors = [("w".to_string(), param)].into_iter().collect();
    let weights = Weights { file: "case".into(), tensors, about: About::default(), notes: vec![] };
    let options = Options { weights: Some(weights), threads: 1, ..Options::default() };
    let mut trainer = Trainer::new(training, data, &options, &file).map_err(|error| error.to_string())?;
    let step = |_: &Vec<f64>| {
        trainer.advance().map_err(|error| error.to_string())?;
        Ok(numbers(&trainer.session().get("w").expect("the parameter is there")))
    };
    case.grads.iter().map(step).collect()
}

/// The parameter after each step in f64: the step's graph alone.
fn stepped(case: &OptimizerCase, training: &Training) -> Result<Vec<Vec<f64>>, String> {
    let graph = pipeline::step(training, DType::F64, Stage::Fused);
    let mut session = Session::new(vec![graph], DType::F64, 1).map_err(|error| error.to_string())?;
    session.init(0);
    session.set("w", &tensor(&case.param.shape, case.param.data.clone())).map_err(|error| error.to_string())?;
    let attrs = &training.optimizers[0].optimizer.attrs;
    let def = find_optimizer(&training.optimizers[0].optimizer.name).expect("it was checked");
    let mut hyper = vec![0.0; HYPERS];
    hyper[0] = attrs.float("lr").expect("every optimizer has a rate");
    hyper[2] = 1.0;
    let shape: Vec<usize> = std::iter::once(1).chain(case.param.shape.iter().copied()).collect();
    let step = |(step, grad): (usize, &Vec<f64>)| {
        hyper[1] = (step + 1) as f64;
        (def.host)(attrs, &mut hyper);
        let host = Host { seed: 0, step: step as u64, hypers: vec![hyper.clone()] };
        let row = tensor(&shape, grad.clone());
        session.run(0, &[("x", &row)], &Binding::new(), &host).map_err(|error| error.to_string())?;
        Ok(numbers(&session.get("w").expect("the parameter is there")))
    };
    case.grads.iter().enumerate().map(step).collect()
}

#[test]
fn optimizers_go_where_pytorch_goes() {
    let mut faults = vec![];
    for case in cases::<OptimizerCase>("optim_") {
        let text = linear_in_its_parameter(&format!("optimizer {}", case.call), &case.param.shape);
        let training = training(&text).unwrap_or_else(|report| panic!("{}: {report}", case.call));
        for (float, got) in [(DType::F64, stepped(&case, &training)), (DType::F32, trained(&case, &training))] {
            let got = got.unwrap_or_else(|error| panic!("{}: {error}", case.call));
            for (step, (got, want)) in got.iter().zip(&case.after).enumerate() {
                let (off, at) = worst(got, want);
                if off > tolerance(float) * largest(want) {
                    faults.push(format!(
                        "{} {float}, step {step}: [{at}] is {}, wanted {}",
                        case.call, got[at], want[at]
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn schedules_give_pytorch_s_rates() {
    let mut faults = vec![];
    for case in cases::<ScheduleCase>("schedule_") {
        let text = linear_in_its_parameter(&format!("schedule {}", case.call), &[2]);
        let training = training(&text).unwrap_or_else(|report| panic!("{}: {report}", case.call));
        let schedule = Schedule::new(&training.schedule, case.base, 1);
        let mut plateau = Plateau::new(&training.schedule, 1);
        let mut got = vec![];
        for step in 0..case.lr.len() {
            got.push(schedule.rate_after(step as u64, plateau.as_ref().map_or(0, Plateau::drops)));
            plateau.iter_mut().for_each(|plateau| plateau.tick(case.losses[step]));
        }
        let (off, at) = worst(&got, &case.lr);
        if off > tolerance(DType::F64) * largest(&case.lr) {
            faults.push(format!("{}: step {at} is {}, wanted {}", case.call, got[at], case.lr[at]));
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
