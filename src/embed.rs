//! The few functions that a Rust program needs: check a text, run it, train it. Built on the rooms below only.
//!
//! A [`Model`] is a checked text, a [`Session`] its weights and plans, a [`Trainer`] a run of its train section. Nothing
//! here prints, ends the process or opens a file: texts, arrays and weights come and go as values.

use crate::data::{self, DataError, Loaded};
use crate::diagnostic::Diagnostic;
use crate::diagnostic::render::{RenderOptions, human};
use crate::elaborate::Request;
use crate::exec::bind::{Binding, bind_types};
use crate::exec::session::{Host, Number, RunError, Session as Engine};
use crate::export::summary::{Summary, summarize};
use crate::export::weights::{self, About};
use crate::ir::build::Mode;
use crate::ir::graph::Output;
use crate::ir::params;
use crate::ir::shape::Type;
use crate::ir::structured::{PortDef, Structured};
use crate::ir::training::{Length, Training};
use crate::pipeline::{self, Checked, Stage, Unmet};
use crate::tensor::{DType, Tensor, View};
use crate::text::{FileError, Files, NoFiles, Source, Sources};
use crate::train::fit::{self, Report, TrainError};
use crate::train::metrics::Row;
use crate::train::weights::load_weights;
use indexmap::IndexMap;
use ndarray::{ArrayViewD, ArrayViewMutD};
use std::fmt;

/// Why something did not happen; each kind says it in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is wrong.
    #[error(transparent)]
    Check(#[from] Reports),
    /// The text holds no model or train section, or several.
    #[error("{0}")]
    Which(String),
    /// What was handed in does not fit the signature.
    #[error("{0}")]
    Input(String),
    /// The sizes break a fact that the model needs.
    #[error(transparent)]
    Sizes(#[from] Unmet),
    /// A run was refused or went wrong.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Data or weights are malformed.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Training was refused or went wrong; weights that do not fit.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// What is wrong with a text, or probably wrong: data for tools, and a picture for people.
///
/// ```
/// let text = "dim batch\nmodel m : (x: f32[batch, 4]) -> f32[batch, 3] { linear(2) }\n";
/// let reports = wythe::Model::check(text).expect_err("3 is not 2");
/// assert_eq!(reports.diagnostics[0].code, "shape::output");
/// assert!(reports.render(80).starts_with("error[shape::output]"));
/// ```
#[derive(Clone, Debug)]
pub struct Reports {
    /// In the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// The text, and what it uses.
    pub sources: Sources,
}

impl Reports {
    /// As people read them: at this width, without colour.
    pub fn render(&self, width: usize) -> String {
        human(&self.diagnostics, &self.sources, &RenderOptions { width, color: false, unicode: true })
    }
}

impl fmt::Display for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(100))
    }
}

impl std::error::Error for Reports {}

/// A checked `.model` text.
///
/// ```
/// use wythe::Model;
///
/// let text = "dim batch\nmodel m(d = 8) : (x: f32[batch, 4]) -> f32[batch, 3] { linear(d); relu; linear(3) }\n";
/// let model = Model::check(text)?.with("d", 64)?;
/// assert_eq!(model.parameters()?, 64 * 4 + 64 + 3 * 64 + 3);
/// # Ok::<(), wythe::Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    source: Source,
    request: Request,
    checked: Checked,
}

/// The files of a model that was checked: what it uses is not read a second time.
struct Kept(Sources);

impl Files for Kept {
    fn read(&self, path: &str, _limit: u64) -> Result<Vec<u8>, FileError> {
        let found = self.0.0.iter().find(|source| source.name == path);
        let missing = || FileError { path: path.into(), reason: "was not there when the model was checked".into() };
        found.map(|source| source.text.clone().into_bytes()).ok_or_else(missing)
    }

    fn write(&self, path: &str, _bytes: &[u8]) -> Result<(), FileError> {
        Err(FileError { path: path.into(), reason: "is only read".into() })
    }

    fn append(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.write(path, bytes)
    }

    fn exists(&self, path: &str) -> bool {
        self.0.0.iter().any(|source| source.name == path)
    }
}

impl Model {
    /// Checks a text that uses no other file.
    pub fn check(text: &str) -> Result<Model, Reports> {
        Model::check_source(Source::new("<text>", text), Request::default(), None)
    }

    /// Checks a text under a name of its own, with hyperparameters set; `files` reads what it uses.
    pub fn check_source(source: Source, request: Request, files: Option<&dyn Files>) -> Result<Model, Reports> {
        let checked = pipeline::check(source.clone(), &request, files);
        match checked.has_errors() {
            true => Err(Reports { diagnostics: checked.diagnostics, sources: checked.sources }),
            false => Ok(Model { source, request, checked }),
        }
    }

    /// The same text with another value of a hyperparameter (`d`) or of a training setting (`train.lr`), checked again.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Result<Model, Reports> {
        self.request.sets.push((key.into(), value.to_string()));
        self.again()
    }

    /// Of several models in a text, the one of that name.
    pub fn named(mut self, name: &str) -> Result<Model, Reports> {
        self.request.model = Some(name.into());
        self.again()
    }

    /// Checks again, with the files as they were read.
    fn again(self) -> Result<Model, Reports> {
        Model::check_source(self.source, self.request, Some(&Kept(self.checked.sources)))
    }

    /// What is probably wrong although it checks: warnings and lints, whatever their gravity.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.checked.diagnostics
    }

    /// The structured graph.
    pub fn structured(&self) -> Result<&Structured, Error> {
        match self.checked.models.as_slice() {
            [model] => Ok(model),
            [] => Err(Error::Which("the text holds no model".into())),
            _ => Err(Error::Which("the text holds several models: choose one with `named`".into())),
        }
    }

    /// The train section.
    pub fn training(&self) -> Result<&Training, Error> {
        match self.checked.trainings.as_slice() {
            [training] => Ok(training),
            [] => Err(Error::Which("the text holds no train section".into())),
            _ => Err(Error::Which("the text holds several train sections: choose one with `named`".into())),
        }
    }

    /// How many learned numbers there are.
    pub fn parameters(&self) -> Result<u64, Error> {
        let limit = || Error::Which("the number of parameters is too large to count".into());
        params::count(self.structured()?).ok_or_else(limit)
    }

    /// The table of layers, with these sizes: what `wythe summary` shows. `.show(false)` draws it.
    pub fn summary(&self, sizes: &[(&str, i64)]) -> Result<Summary, Error> {
        let bound = sizes.iter().map(|(name, size)| (name.to_string(), *size)).collect();
        Ok(summarize(self.structured()?, &bound, ("adamw", 2)))
    }

    /// Compiles, and draws the weights from the seed of the options.
    pub fn session(&self, options: &Options) -> Result<Session, Error> {
        Session::new(self.structured()?, options)
    }

    /// Training on arrays in memory: one for each input and target, by name, the first axis the row.
    pub fn train_on(&self, rows: &[(&str, View<'_>)], options: &TrainOptions) -> Result<Trainer<'_>, Error> {
        let training = self.training()?;
        let (inputs, targets) = crate::train::ports::ports(training);
        let rows = rows.iter().map(|(name, view)| (name.to_string(), view.to_tensor())).collect();
        Trainer::new(training, data::in_memory(rows, training.valid.as_ref(), &inputs, &targets)?, options)
    }

    /// Training on what the train section names: `files` reads it. With [`NoFiles`], that is `digits` only.
    pub fn train(&self, files: &dyn Files, options: &TrainOptions) -> Result<Trainer<'_>, Error> {
        let training = self.training()?;
        Trainer::new(training, fit::load_data(training, None, "", files, &[])?, options)
    }
}

/// How a session computes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Train or eval: eval unless said.
    pub mode: Mode,
    /// f32 or f64.
    pub float: DType,
    /// How many threads compute; never changes a bit. One a core unless said.
    pub threads: usize,
    /// Decides initial weights and dropout.
    pub seed: u64,
    /// Whether [`Session::gradients`] is wanted.
    pub gradients: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { mode: Mode::Eval, float: DType::F32, threads: cores(), seed: 0, gradients: false }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A model that runs: weights, plans for the sizes seen so far, threads. It may be sent to another thread.
///
/// ```
/// use ndarray::array;
/// use wythe::{Model, Options};
///
/// let model = Model::check("dim batch\nmodel m : (x: f32[batch, 2]) -> f32[batch, 2] { relu }\n")?;
/// let mut session = model.session(&Options::default())?;
/// let outputs = session.run(&[(&array![[1f32, -2.0]]).into()])?;
/// assert_eq!(outputs[0], wythe::Tensor::F32(array![[1.0, 0.0]].into_dyn()));
/// # Ok::<(), wythe::Error>(())
/// ```
pub struct Session {
    model: Structured,
    engine: Engine,
    host: Host,
    gradients: bool,
}

/// The graphs of a session.
const FORWARD: usize = 0;
const GRADIENTS: usize = 1;

/// A plan of a session, for the sizes it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanId(usize);

/// Outputs, and the gradients of inputs and parameters.
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    /// In the order of the signature.
    pub outputs: Vec<Tensor>,
    /// Of each float input, by name.
    pub inputs: IndexMap<String, Tensor>,
    /// Of each parameter, by path.
    pub parameters: IndexMap<String, Tensor>,
}

impl Session {
    fn new(model: &Structured, options: &Options) -> Result<Session, Error> {
        let mut graphs = vec![pipeline::forward(model, options.mode, options.float, Stage::Fused)];
        if options.gradients {
            graphs.push(pipeline::gradients(model, options.mode, options.float, Stage::Fused));
        }
        let mut engine = Engine::new(graphs, options.float, options.threads.max(1))?;
        engine.init(options.seed);
        let host = Host { seed: options.seed, step: 0, hypers: vec![] };
        Ok(Session { model: model.clone(), engine, host, gradients: options.gradients })
    }

    /// Draws all weights anew.
    pub fn init(&mut self, seed: u64) {
        self.engine.init(seed);
        self.host.seed = seed;
    }

    /// Takes the weights of a `.safetensors` file, given as bytes: every parameter and statistic, and nothing else. Says
    /// what was converted on the way.
    pub fn load(&mut self, bytes: &[u8]) -> Result<Vec<String>, Error> {
        let found = weights::decode(bytes, "<weights>")?;
        Ok(load_weights(&mut self.engine, FORWARD, found)?)
    }

    /// The weights as the bytes of a `.safetensors` file.
    pub fn save(&self) -> Vec<u8> {
        let tensors: Vec<(String, Tensor)> =
            self.paths().filter_map(|path| Some((path.into(), self.get(path)?))).collect();
        let named: Vec<(&str, &Tensor)> = tensors.iter().map(|(path, tensor)| (path.as_str(), tensor)).collect();
        weights::encode(&named, &About { seed: Some(self.host.seed), ..About::default() })
    }

    /// The paths of all parameters and statistics.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.engine.places().map(|(path, _)| path)
    }

    /// A copy of a parameter or statistic.
    pub fn get(&self, path: &str) -> Option<Tensor> {
        self.engine.get(path)
    }

    /// Sets a parameter or statistic.
    pub fn set(&mut self, path: &str, value: &Tensor) -> Result<(), Error> {
        Ok(self.engine.set(path, value)?)
    }

    /// The number of the next run: in train mode, dropout is a function of it and the seed.
    pub fn set_step(&mut self, step: u64) {
        self.host.step = step;
    }

    /// Runs on arrays in the order of the signature; gives the outputs in its order.
    pub fn run(&mut self, inputs: &[View<'_>]) -> Result<Vec<Tensor>, Error> {
        let plan = self.plan(FORWARD, inputs)?;
        self.feed(plan, inputs);
        self.engine.execute(FORWARD, plan)?;
        let outputs = self.engine.outputs(plan).into_iter();
        Ok(outputs.filter(|(output, _)| matches!(output, Output::Out(_))).map(|(_, tensor)| tensor).collect())
    }

    /// Runs on arrays by name; gives the outputs by name (`out` where it has none).
    pub fn run_by_name(&mut self, inputs: &[(&str, View<'_>)]) -> Result<IndexMap<String, Tensor>, Error> {
        let ports = self.ports();
        if let Some((name, _)) = inputs.iter().find(|(name, _)| ports.iter().all(|(known, _)| known != name)) {
            let names: Vec<&str> = ports.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::Input(format!("there is no input `{name}`: {}", data::near_or_all(name, &names))));
        }
        let find = |(name, _): &(String, Type)| {
            let found = inputs.iter().find(|(known, _)| known == name).map(|(_, view)| view.clone());
            found.ok_or_else(|| Error::Input(format!("the input `{name}` is not given")))
        };
        let ordered: Vec<View<'_>> = ports.iter().map(find).collect::<Result<_, _>>()?;
        let outputs = self.run(&ordered)?;
        Ok(pipeline::output_names(&self.model).into_iter().zip(outputs).collect())
    }

    /// Outputs and gradients, for gradients that flow into the float outputs, in their order. Wants
    /// [`Options::gradients`].
    ///
    /// ```
    /// use ndarray::array;
    /// use wythe::{Model, Options, Tensor};
    ///
    /// let model = Model::check("dim batch\nmodel m : (x: f32[batch, 2]) -> f32[batch, 2] { square }\n")?;
    /// let mut session = model.session(&Options { gradients: true, ..Options::default() })?;
    /// let found = session.gradients(&[(&array![[3f32, -1.0]]).into()], &[(&array![[1f32, 10.0]]).into()])?;
    /// assert_eq!(found.inputs["x"], Tensor::F32(array![[6.0, -20.0]].into_dyn()));
    /// # Ok::<(), wythe::Error>(())
    /// ```
    pub fn gradients(&mut self, inputs: &[View<'_>], cotangents: &[View<'_>]) -> Result<Gradients, Error> {
        if !self.gradients {
            return Err(Error::Input("the session was made without gradients: set `Options::gradients`".into()));
        }
        let plan = self.plan(GRADIENTS, inputs)?;
        self.feed(plan, inputs);
        self.feed_cotangents(plan, cotangents)?;
        self.engine.execute(GRADIENTS, plan)?;
        let mut found = Gradients::default();
        for (output, tensor) in self.engine.outputs(plan) {
            match output {
                Output::Out(_) => found.outputs.push(tensor),
                Output::GradInput(name) => drop(found.inputs.insert(name, tensor)),
                Output::GradParam(index) => {
                    let path = self.engine.graphs()[GRADIENTS].params[index as usize].path.clone();
                    found.parameters.insert(path, tensor);
                }
                Output::Loss | Output::Term(_) | Output::Metric(_) | Output::GradNorm | Output::GradNormOf(_) => {}
            }
        }
        Ok(found)
    }

    /// A plan for these sizes of the dims that the inputs name, made beforehand: for runs without names and copies.
    ///
    /// ```
    /// use wythe::{Model, Options};
    ///
    /// let model = Model::check("dim batch\nmodel m : (x: f32[batch, 2]) -> f32[batch, 2] { relu }\n")?;
    /// let mut session = model.session(&Options::default())?;
    /// let plan = session.prepare(&[("batch", 32)])?;
    /// for step in 0..3 {
    ///     session.input::<f32>(plan, 0)?.fill(step as f32 - 1.0);
    ///     session.execute(plan)?;
    ///     assert_eq!(session.output::<f32>(plan, 0)?[[31, 1]], if step == 2 { 1.0 } else { 0.0 });
    /// }
    /// # Ok::<(), wythe::Error>(())
    /// ```
    pub fn prepare(&mut self, sizes: &[(&str, i64)]) -> Result<PlanId, Error> {
        let binding: Binding = sizes.iter().map(|(name, size)| (name.to_string(), *size)).collect();
        if let Some((name, size)) = binding.iter().find(|(_, size)| **size < 0) {
            return Err(Error::Input(format!("`{name}` cannot be {size}")));
        }
        pipeline::check_sizes(&self.model, &binding)?;
        Ok(PlanId(self.engine.prepare(FORWARD, &binding)?))
    }

    /// The memory of an input, to be filled: by its place in the signature.
    pub fn input<T: Number>(&mut self, plan: PlanId, index: usize) -> Result<ArrayViewMutD<'_, T>, Error> {
        let refused = Error::Input(format!("input {index} is none of {}s that this model reads", T::DTYPE));
        let Some(name) = self.model.inputs.get(index).map(input_name) else { return Err(refused) };
        match self.engine.input(plan.0, name) {
            Some(place) => self.engine.input_array(plan.0, place).ok_or(refused),
            None => Err(refused),
        }
    }

    /// Runs a prepared plan on what its inputs hold. Allocates nothing.
    pub fn execute(&mut self, plan: PlanId) -> Result<(), Error> {
        self.engine.feed(plan.0, &[], &self.host);
        Ok(self.engine.execute(FORWARD, plan.0)?)
    }

    /// The memory of an output after a run: by its place in the signature.
    pub fn output<T: Number>(&self, plan: PlanId, index: usize) -> Result<ArrayViewD<'_, T>, Error> {
        let known = index < self.model.outputs.len();
        let found = known.then(|| self.engine.output(plan.0, index)).flatten();
        found.ok_or_else(|| Error::Input(format!("output {index} is none of {}s", T::DTYPE)))
    }

    /// Names and types of the inputs.
    fn ports(&self) -> Vec<(String, Type)> {
        let ty = |port: &PortDef| self.model.values[port.value.0 as usize].ty;
        self.model.inputs.iter().map(|port| (input_name(port).to_string(), ty(port))).collect()
    }

    /// The plan for the sizes of these inputs.
    fn plan(&mut self, which: usize, inputs: &[View<'_>]) -> Result<usize, Error> {
        let ports = self.ports();
        if ports.len() != inputs.len() {
            let names = ports.iter().map(|(name, ty)| format!("{name}: {}", self.model.shapes.show(*ty)));
            let names = names.collect::<Vec<_>>().join(", ");
            return Err(Error::Input(format!("the model takes ({names}), and {} arrays are given", inputs.len())));
        }
        let wanted: Vec<(&str, Type)> = ports.iter().map(|(name, ty)| (name.as_str(), *ty)).collect();
        let given: Vec<_> =
            wanted.iter().zip(inputs).map(|((name, _), view)| (*name, view.dtype(), view.shape())).collect();
        let binding = bind_types(&self.model.shapes, &wanted, &given, &Binding::new()).map_err(RunError::from)?;
        pipeline::check_sizes(&self.model, &binding)?;
        Ok(self.engine.prepare(which, &binding)?)
    }

    fn feed(&mut self, plan: usize, inputs: &[View<'_>]) {
        self.engine.feed(plan, &[], &self.host);
        for (port, value) in self.model.inputs.iter().zip(inputs) {
            if let Some(place) = self.engine.input(plan, input_name(port)) {
                self.engine.feed_at(plan, place, value);
            }
        }
    }

    fn feed_cotangents(&mut self, plan: usize, cotangents: &[View<'_>]) -> Result<(), Error> {
        let float = |port: &PortDef| self.model.values[port.value.0 as usize].ty.dtype.is_float();
        let names = pipeline::output_names(&self.model).into_iter().zip(&self.model.outputs);
        let names: Vec<String> = names.filter(|(_, port)| float(port)).map(|(name, _)| name).collect();
        if names.len() != cotangents.len() {
            let (wanted, given) = (names.len(), cotangents.len());
            return Err(Error::Input(format!(
                "the model has {wanted} float outputs, and {given} cotangents are given"
            )));
        }
        for (name, value) in names.iter().zip(cotangents) {
            self.engine.feed_cotangent(plan, name, value).map_err(Error::Input)?;
        }
        Ok(())
    }
}

/// The name of an input: a single unnamed one is `x`.
fn input_name(port: &PortDef) -> &str {
    port.name.as_deref().unwrap_or("x")
}

/// What a training run is asked to do beside its train section.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// In place of the section's length.
    pub steps: Option<u64>,
    /// In place of the section's seed.
    pub seed: Option<u64>,
    /// How many threads compute; never changes a bit. One a core unless said.
    pub threads: usize,
    /// Begins from these weights: the bytes of a `.safetensors` file.
    pub weights: Option<Vec<u8>>,
}

impl Default for TrainOptions {
    fn default() -> TrainOptions {
        TrainOptions { steps: None, seed: None, threads: cores(), weights: None }
    }
}

/// A training run: step by step, or all of it.
///
/// ```
/// use ndarray::{Array, Array2};
/// use wythe::{Model, Options, TrainOptions};
///
/// let model = Model::check(
///     "dim batch
///      model line : (x: f32[batch, 1]) -> f32[batch, 1] { linear(1) }
///      train line {
///        target y: f32[batch, 1]
///        loss mse
///        optimizer sgd(lr = 0.5)
///        batch 16
///        steps 200
///      }
///     ",
/// )?;
/// let x: Array2<f32> = Array::linspace(-1.0, 1.0, 64).into_shape_with_order((64, 1)).expect("64 rows");
/// let y = x.mapv(|x| 3.0 * x - 1.0);
/// let mut trainer = model.train_on(&[("x", (&x).into()), ("y", (&y).into())], &TrainOptions::default())?;
/// let first = trainer.step()?.loss.value();
/// let report = trainer.run()?;
/// assert!(first > 1.0 && report.losses.last().is_some_and(|loss| *loss < 1e-6));
///
/// let mut session = model.session(&Options::default())?;
/// session.load(&trainer.weights()?)?;
/// # Ok::<(), wythe::Error>(())
/// ```
pub struct Trainer<'m> {
    inner: fit::Trainer<'m>,
    options: fit::Options,
}

impl<'m> Trainer<'m> {
    fn new(training: &'m Training, data: Loaded, options: &TrainOptions) -> Result<Trainer<'m>, Error> {
        let options = fit::Options {
            length: options.steps.map(Length::Steps),
            seed: options.seed,
            threads: options.threads,
            weights: options.weights.as_ref().map(|bytes| weights::decode(bytes, "<weights>")).transpose()?,
            ..fit::Options::default()
        };
        Ok(Trainer { inner: fit::Trainer::new(training, data, &options, &NoFiles)?, options })
    }

    /// How many steps were made, and of how many.
    pub fn progress(&self) -> (u64, u64) {
        (self.inner.steps(), self.inner.total())
    }

    /// One step; what is to be logged of it. Steps may be made beyond the length.
    pub fn step(&mut self) -> Result<Row, Error> {
        Ok(self.inner.advance()?.clone())
    }

    /// All steps that are left, with evaluations on the way.
    pub fn run(&mut self) -> Result<Report, Error> {
        Ok(self.inner.fit(&self.options, &NoFiles, &mut ())?)
    }

    /// Loss and metrics on the rows held out; nothing where none are.
    pub fn evaluate(&mut self) -> Result<IndexMap<String, f64>, Error> {
        Ok(self.inner.evaluate()?.into_iter().collect())
    }

    /// The weights as the bytes of a `.safetensors` file, for [`Session::load`] and everyone else.
    pub fn weights(&self) -> Result<Vec<u8>, Error> {
        let snapshot = self.inner.snapshot()?;
        let named: Vec<(&str, &Tensor)> =
            snapshot.weights.iter().map(|(path, tensor)| (path.as_str(), tensor)).collect();
        let about = About {
            program: Some(snapshot.program.hash),
            step: Some(snapshot.step),
            seed: Some(snapshot.seed),
            loss: snapshot.loss,
            vocabulary: snapshot.vocabulary,
            ..About::default()
        };
        Ok(weights::encode(&named, &about))
    }
}
