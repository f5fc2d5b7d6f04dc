//! What these tests know of the crate: from a model's text and tensors to the tensors that come out.

use indexmap::IndexMap;
use ndarray::{ArrayD, IxDyn};
use wythe::elaborate::Request;
use wythe::exec::bind::{Binding, inputs};
use wythe::exec::session::{COTANGENT, Host, Session};
use wythe::ir::build::Mode;
use wythe::ir::graph::Output;
use wythe::ir::op::Role;
use wythe::ir::shape::Type;
use wythe::ir::structured::Structured;
use wythe::ir::training::Training;
use wythe::pipeline::{self, Stage, check};
use wythe::tensor::{DType, Tensor};
use wythe::text::Source;

/// Tensors by name, in a fixed order.
pub type Named = IndexMap<String, Tensor>;

/// Checks the text of one model; the report if it has errors.
pub fn model(text: &str) -> Result<Structured, String> {
    let mut checked = check(Source::new("case", text), &Request::default(), None);
    match (checked.has_errors(), checked.models.pop()) {
        (false, Some(model)) => Ok(model),
        _ => Err(checked.render()),
    }
}

/// Checks the text of a model with a train section; the report if it has errors.
pub fn training(text: &str) -> Result<Training, String> {
    let mut checked = check(Source::new("case", text), &Request::default(), None);
    match (checked.has_errors(), checked.trainings.pop()) {
        (false, Some(training)) => Ok(training),
        _ => Err(checked.render()),
    }
}

/// What is handed to a model.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Inputs by name.
    pub inputs: Named,
    /// Parameters and running statistics by path.
    pub weights: Named,
    /// Gradients of outputs by the outputs' names; none: no gradients are computed.
    pub cotangents: Option<Named>,
}

/// A compiled model.
pub struct Compiled {
    session: Session,
    train: bool,
}

/// Compiles a model, with its gradients if they are wanted.
pub fn compile(model: &Structured, mode: Mode, float: DType, threads: usize, gradients: bool) -> Compiled {
    let graph = match gradients {
        true => pipeline::gradients(model, mode, float, Stage::Fused),
        false => pipeline::forward(model, mode, float, Stage::Fused),
    };
    let session = Session::new(vec![graph], float, threads).expect("there is memory for a test");
    Compiled { session, train: mode == Mode::Train }
}

impl Compiled {
    /// Sets parameters and statistics: all of them, and no others.
    pub fn set(&mut self, weights: &Named) -> Result<(), String> {
        for (path, tensor) in weights {
            self.session.set(path, tensor).map_err(|error| error.to_string())?;
        }
        let missing = self.session.places().find(|(name, _)| !weights.contains_key(*name));
        missing.map_or(Ok(()), |(name, _)| Err(format!("the model has a parameter `{name}` that is not given")))
    }

    /// The inputs and their sizes, where these are numbers.
    pub fn inputs(&self) -> Vec<(String, Vec<usize>)> {
        let graph = &self.session.graphs()[0];
        let sizes = |ty: Type| graph.shapes.eval(ty.shape, &|_| None).expect("sizes are numbers");
        inputs(graph).into_iter().map(|(name, ty)| (name.to_string(), sizes(ty))).collect()
    }

    /// Parameters and statistics, and their sizes.
    pub fn weights(&self) -> Vec<(String, Vec<usize>)> {
        self.session.places().map(|(name, place)| (name.to_string(), place.shape.clone())).collect()
    }

    /// The float outputs and their sizes, where these are numbers.
    pub fn outputs(&self) -> Vec<(String, Vec<usize>)> {
        let graph = &self.session.graphs()[0];
        let outputs = graph.outputs.iter().filter_map(|(output, port)| match output {
            Output::Out(name) if graph.ty(*port).dtype.is_float() => Some((name.clone(), graph.ty(*port))),
            _ => None,
        });
        outputs.map(|(name, ty)| (name, graph.shapes.eval(ty.shape, &|_| None).expect("sizes are numbers"))).collect()
    }

    /// Draws parameters and statistics as the model says.
    pub fn init(&mut self) {
        self.session.init(0);
    }

    /// Parameters and statistics as they are.
    pub fn parameters(&self) -> Named {
        let names: Vec<String> = self.session.places().map(|(name, _)| name.to_string()).collect();
        names.into_iter().filter_map(|name| Some((name.clone(), self.session.get(&name)?))).collect()
    }

    /// One run: `out`, `grad.in.NAME`, `grad.par.PATH`, in train mode `state.PATH`.
    pub fn run(&mut self, given: &Given) -> Result<Named, String> {
        let cotangents = given.cotangents.iter().flatten();
        let cotangents: Vec<(String, &Tensor)> =
            cotangents.map(|(name, x)| (format!("{COTANGENT}{name}"), x)).collect();
        let own = given.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor));
        let all: Vec<(&str, &Tensor)> = own.chain(cotangents.iter().map(|(name, x)| (name.as_str(), *x))).collect();
        let host = Host { seed: 1, step: 0, hypers: vec![] };
        let outputs = self.session.run(0, &all, &Binding::new(), &host).map_err(|error| error.to_string())?;
        let params = &self.session.graphs()[0].params;
        let name = |output: Output| match output {
            Output::Out(name) => name,
            Output::GradInput(name) => format!("grad.in.{name}"),
            Output::GradParam(index) => format!("grad.par.{}", params[index as usize].path),
            other => format!("{other:?}"),
        };
        let moves = |param: &&wythe::ir::graph::Param| param.role == Role::State || param.next.is_some();
        let states = params.iter().filter(|param| self.train && moves(param));
        let states = states.filter_map(|param| Some((format!("state.{}", param.path), self.session.get(&param.path)?)));
        Ok(outputs.into_iter().map(|(output, tensor)| (name(output), tensor)).chain(states).collect())
    }
}

/// An array of this shape.
pub fn array<T>(shape: &[usize], data: Vec<T>) -> ArrayD<T> {
    ArrayD::from_shape_vec(IxDyn(shape), data).expect("a shape fits its data")
}

/// A tensor of f64.
pub fn tensor(shape: &[usize], data: Vec<f64>) -> Tensor {
    Tensor::F64(array(shape, data))
}

/// The elements as f64, row-major.
pub fn numbers(tensor: &Tensor) -> Vec<f64> {
    match tensor {
        Tensor::F32(a) => a.iter().map(|&x| f64::from(x)).collect(),
        Tensor::F64(a) => a.iter().copied().collect(),
        Tensor::I64(a) => a.iter().map(|&x| x as f64).collect(),
        Tensor::Bool(a) => a.iter().map(|&x| f64::from(u8::from(x))).collect(),
    }
}

/// The largest absolute value among those that are finite.
pub fn largest(values: &[f64]) -> f64 {
    values.iter().filter(|x| x.is_finite()).fold(0.0, |most, x| most.max(x.abs()))
}

/// How far off the worst element is, with its place; infinities and NaN must be where they are wanted.
pub fn worst(got: &[f64], want: &[f64]) -> (f64, usize) {
    let off = |(a, b): (&f64, &f64)| match (a.is_finite(), b.is_finite()) {
        (true, true) => (a - b).abs(),
        _ if a == b || (a.is_nan() && b.is_nan()) => 0.0,
        _ => f64::INFINITY,
    };
    let all = got.iter().zip(want).map(off).enumerate();
    all.fold((0.0, 0), |worst, (at, off)| if off > worst.0 { (off, at) } else { worst })
}
