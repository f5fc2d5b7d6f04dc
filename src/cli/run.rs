//! `wythe run`: numbers in, numbers out.

use super::input::Given;
use super::model::{Mode, ModelArgs, SetArgs, ThreadArgs, Width, seed};
use super::open::{self, Opened};
use super::{Failure, Verdict, World, memory, table};
use crate::data::near_or_all;
use crate::elaborate::{Request, expression_text};
use crate::exec::bind::{Binding, bind, bind_types};
use crate::exec::session::{COTANGENT, Host, RunError, Session};
use crate::export::weights;
use crate::ir::graph::Output;
use crate::ir::op::Role;
use crate::ir::shape::Type;
use crate::ir::structured::{PortDef, Structured};
use crate::pipeline::{self, Stage, check};
use crate::tensor::{DType, Tensor};
use crate::text::Source;
use crate::train::weights::load_weights;

/// Runs a model, or an expression, on numbers
///
/// A VALUE is an array's file (x.npy, d.npz:KEY, d.safetensors:KEY), a table of numbers (rows.csv), numbers
/// ('[[1, 2, 3]]'), or normal, ones, zeros, range, with sizes where no signature gives them (normal[2,5]). Without
/// --weights the parameters are drawn from --seed. Without -o a table of values is shown; with it the file holds out.NAME
/// for each output (out where it has no name), with --grad also grad.in.NAME and grad.par.PATH, in train mode state.PATH
/// for the running statistics.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe run -e 'rmsnorm |> gelu' --input '[[1, 2, 3]]' --grad --cotangent ones\n  wythe run models/mlp.model --input 'normal[2,784]' --seed 7"
)]
pub struct Args {
    /// The .model file; FILE#NAME where it holds several models, - for standard input
    #[arg(value_name = "FILE", required_unless_present = "expression", conflicts_with = "expression")]
    pub file: Option<String>,

    /// Stages instead of a file, over the inputs x, x2, …: 'rmsnorm |> gelu'
    #[arg(short = 'e', value_name = "EXPR")]
    pub expression: Option<String>,

    /// A value for an input, in order or by name (x=x.npy); repeatable
    #[arg(short = 'i', long, value_name = "[NAME=]VALUE", value_parser = Given::parse, allow_negative_numbers = true)]
    pub input: Vec<Given>,

    /// Parameters and state (.safetensors)
    #[arg(long, value_name = "PATH")]
    pub weights: Option<String>,

    /// Decides initial weights, dropout and normal
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,

    /// Whether dropout acts and statistics are the batch's
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Mode::Eval)]
    pub mode: Mode,

    /// Also the gradients of float inputs and parameters
    #[arg(long)]
    pub grad: bool,

    /// The gradient that flows into an output (scalar outputs: 1); repeatable
    #[arg(long, value_name = "[NAME=]VALUE", value_parser = Given::parse, requires = "grad", allow_negative_numbers = true)]
    pub cotangent: Vec<Given>,

    /// The width of floats
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = Width::F32)]
    pub dtype: Width,

    #[command(flatten)]
    pub set: SetArgs,

    #[command(flatten)]
    pub threads: ThreadArgs,

    /// Writes a .safetensors file (- for standard output) instead of the table
    #[arg(short = 'o', long = "out", value_name = "PATH")]
    pub out: Option<String>,

    /// One JSON object instead of the table
    #[arg(long, conflicts_with = "out")]
    pub json: bool,
}

/// Reads the inputs, runs, shows or writes.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let mut notes = vec![];
    let (opened, given) = match &args.expression {
        Some(expression) => expressed(args, expression, world, &mut notes)?,
        None => {
            let model = ModelArgs { file: args.file.clone().unwrap_or_default(), set: args.set.clone() };
            (open::open(world, &model)?, args.input.clone())
        }
    };
    let model = opened.model()?;
    let float = args.dtype.float();
    let ports = named_types(model, &model.inputs);
    let inputs = tensors(model, &ports, &given, ("input", float), args.seed, &mut notes)?;
    let graph = match args.grad {
        true => pipeline::gradients(model, args.mode.graph(), float, Stage::Fused),
        false => pipeline::forward(model, args.mode.graph(), float, Stage::Fused),
    };
    // Gradients of parameters, and the bytes of a file of them.
    let copies = |bytes: u64| if args.grad { 2 * bytes } else { 0 };
    let mut session = Session::within(memory::available(), vec![graph], float, args.threads.count(world)?, copies)?;
    let binding = bound(&session, &inputs)?;
    open::check_needs(model, &binding)?;
    if args.mode == Mode::Train {
        open::check_statistics(model, &binding)?;
    }
    session.prepare(0, &binding)?;
    session.init(args.seed);
    if let Some(path) = &args.weights {
        notes.extend(load_weights(&mut session, 0, weights::load(&world.files, path)?)?);
    }
    let cotangents = if args.grad { cotangents(model, args, &binding, float, &mut notes)? } else { vec![] };
    open::tell_notes(world, &notes)?;
    let all: Vec<(&str, &Tensor)> =
        inputs.iter().chain(&cotangents).map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let host = Host { seed: args.seed, step: 0, hypers: vec![] };
    let outputs = session.run(0, &all, &Binding::new(), &host).map_err(|error| with_id(error, &inputs))?;
    let named = named(&session, outputs, args.mode == Mode::Train);
    match &args.out {
        Some(path) => open::write_tensors(world, path, &named, None)?,
        None if args.json => world.out.line(&table::json(&named))?,
        None => {
            let shown = inputs.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).chain(named);
            for (name, tensor) in shown {
                world.out.line(&table::show(&name, &tensor, world.out.unicode))?;
            }
        }
    }
    Ok(Verdict::Well)
}

/// An expression as a model: the types of its inputs are those of the values. Whole numbers are tried as floats first,
/// then as ids.
fn expressed(
    args: &Args,
    expression: &str,
    world: &mut World,
    notes: &mut Vec<String>,
) -> Result<(Opened, Vec<Given>), Failure> {
    let request = Request { sets: args.set.set.clone(), model: None };
    let mut given = args.input.clone();
    for (index, value) in given.iter_mut().enumerate() {
        let name = if index == 0 { "x".to_string() } else { format!("x{}", index + 1) };
        value.name.get_or_insert(name);
    }
    let mut first = None;
    let whole: Vec<usize> = (0..given.len()).filter(|&index| given[index].is_whole()).take(4).collect();
    for ids in 0..1usize << whole.len() {
        let (mut ports, mut said) = (vec![], vec![]);
        for (index, value) in given.iter().enumerate() {
            let as_ids = whole.iter().position(|&own| own == index).is_some_and(|bit| ids >> bit & 1 == 1);
            let (dtype, shape) = value.look(as_ids, &mut said)?;
            ports.push((
                value.name.clone().unwrap_or_default(),
                dtype.word(),
                shape.iter().map(|&n| n as u64).collect(),
            ));
        }
        if ids == 0 {
            notes.extend(said);
        }
        let source = Source::new("<expression>", expression_text(expression, &ports));
        let checked = check(source, &request, None);
        if !checked.has_errors() {
            return Ok((Opened { checked, name: None, file: "<expression>".into() }, given));
        }
        first.get_or_insert(checked);
    }
    if let Some(checked) = first {
        let empty = |report: &crate::diagnostic::Diagnostic| report.code == "flow::no_value";
        if given.is_empty() && checked.diagnostics.iter().any(empty) {
            let help = "give it a value: -i 'x=[[1, 2, 3]]', -i 'x=normal[2,5]', -i x=data.npy";
            return Err(Failure::usage(format!("nothing flows into `{expression}`")).help(help));
        }
        super::check::tell(world, &checked.diagnostics, &checked.sources)?;
    }
    Err(Failure::Told)
}

/// A port's name and type.
pub(super) type Typed = (String, Type);

pub(super) fn named_types(model: &Structured, ports: &[PortDef]) -> Vec<Typed> {
    let name = |port: &PortDef| port.name.clone().unwrap_or_else(|| "x".into());
    ports.iter().map(|port| (name(port), model.values[port.value.0 as usize].ty)).collect()
}

/// The tensors for ports, by name or in order; those that say their sizes first, since they bind dims for the others.
fn tensors(
    model: &Structured,
    ports: &[Typed],
    given: &[Given],
    asked: (&str, DType),
    seed: u64,
    notes: &mut Vec<String>,
) -> Result<Vec<(String, Tensor)>, Failure> {
    tensors_within(model, ports, given, asked, (seed, &Binding::new()), notes)
}

/// The same where some dims have sizes already.
pub(super) fn tensors_within(
    model: &Structured,
    ports: &[Typed],
    given: &[Given],
    (what, float): (&str, DType),
    (seed, known): (u64, &Binding),
    notes: &mut Vec<String>,
) -> Result<Vec<(String, Tensor)>, Failure> {
    let mut chosen: Vec<Option<&Given>> = vec![None; ports.len()];
    for value in given {
        let place = match &value.name {
            Some(name) => ports.iter().position(|(own, _)| own == name).ok_or_else(|| {
                let names: Vec<&str> = ports.iter().map(|(name, _)| name.as_str()).collect();
                Failure::usage(format!("there is no {what} `{name}`: {}", near_or_all(name, &names)))
            })?,
            None => chosen.iter().position(Option::is_none).unwrap_or(usize::MAX),
        };
        match chosen.get_mut(place) {
            Some(free @ None) => *free = Some(value),
            Some(Some(_)) => return Err(Failure::usage(format!("the {what} `{}` is given twice", ports[place].0))),
            None => return Err(Failure::usage(format!("there are only {} {what}s", ports.len()))),
        }
    }
    let (mut binding, mut bound) = (known.clone(), vec![]);
    let mut out: Vec<Option<(String, Tensor)>> = vec![None; ports.len()];
    for sized in [true, false] {
        for (index, (name, ty)) in ports.iter().enumerate() {
            let Some(value) = chosen[index] else {
                let ty = model.shapes.show(*ty);
                return Err(Failure::usage(format!("the {what} `{name}` ({ty}) is not given"))
                    .help(format!("--{what} {name}=VALUE")));
            };
            if out[index].is_some() || (sized && !value.says_sizes()) {
                continue;
            }
            let shape = model.shapes.eval(ty.shape, &|dim| binding.get(dim).copied());
            let dtype = if ty.dtype.is_float() { float } else { ty.dtype };
            let tensor = value.tensor(name, dtype, shape.as_deref(), seed, notes)?;
            bound.push((name.as_str(), *ty));
            out[index] = Some((name.clone(), tensor));
            // All that is there so far: a size that does not fit is told with where the first came from.
            let given = out.iter().flatten().map(|(name, tensor)| (name.as_str(), tensor.dtype(), tensor.shape()));
            let given: Vec<_> = given.collect();
            binding = bind_types(&model.shapes, &bound, &given, known).map_err(|error| match what {
                "cotangent" => {
                    let text = error.to_string().replace("the input", "the gradient of the output");
                    Failure::usage(text).help(format!("--cotangent {name}=ones"))
                }
                _ => Failure::from(RunError::from(error)),
            })?;
        }
    }
    Ok(out.into_iter().flatten().collect())
}

pub(super) fn bound(session: &Session, inputs: &[(String, Tensor)]) -> Result<Binding, Failure> {
    let given: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.dtype(), tensor.shape())).collect();
    bind(&session.graphs()[0], &given, &Binding::new()).map_err(|error| RunError::from(error).into())
}

/// The id among the inputs that a table does not have.
fn with_id(error: RunError, inputs: &[(String, Tensor)]) -> Failure {
    let rows = match &error {
        RunError::Fault(fault) => fault.rows.and_then(|rows| i64::try_from(rows).ok()),
        _ => None,
    };
    let outside = rows.and_then(|rows| {
        inputs.iter().find_map(|(name, tensor)| match tensor {
            Tensor::I64(ids) => ids.iter().find(|id| !(0..rows).contains(id)).map(|id| (name, *id, rows)),
            Tensor::F32(_) | Tensor::F64(_) | Tensor::Bool(_) => None,
        })
    });
    let failure = Failure::from(error);
    match outside {
        Some((name, id, rows)) => failure.help(format!("`{name}` holds {id}, and ids go from 0 to {}", rows - 1)),
        None => failure,
    }
}

/// The gradients that flow into the outputs: 1 for a scalar, else as given.
fn cotangents(
    model: &Structured,
    args: &Args,
    binding: &Binding,
    float: DType,
    notes: &mut Vec<String>,
) -> Result<Vec<(String, Tensor)>, Failure> {
    let types = model.outputs.iter().map(|port| model.values[port.value.0 as usize].ty);
    let ports: Vec<Typed> =
        pipeline::output_names(model).into_iter().zip(types).filter(|(_, ty)| ty.dtype.is_float()).collect();
    let mut given = args.cotangent.clone();
    let names: Vec<&str> = ports.iter().map(|(name, _)| name.as_str()).collect();
    if let Some(wrong) =
        given.iter().filter_map(|value| value.name.as_ref()).find(|name| !names.contains(&name.as_str()))
    {
        let told = near_or_all(wrong, &names);
        return Err(Failure::usage(format!("there is no float output `{wrong}`: {told}")));
    }
    for (name, ty) in &ports {
        let said = given.iter().any(|value| value.name.as_ref() == Some(name));
        let unnamed = given.iter().any(|value| value.name.is_none());
        if model.shapes.rank(*ty) == 0 && !said && !unnamed {
            given.push(Given::ones(name));
        } else if !said && !unnamed {
            let message = format!("the output `{name}` is no scalar: say the gradient that flows into it");
            return Err(Failure::usage(message).help(format!("--cotangent {name}=ones, or a file of its shape")));
        }
    }
    let mut fixed = model.clone();
    for (_, ty) in &ports {
        let numbers = fixed.shapes.eval(ty.shape, &|dim| binding.get(dim).copied()).unwrap_or_default();
        let dims: Vec<_> = numbers.iter().map(|&n| fixed.shapes.dims.constant(n as i64)).collect();
        let _ = fixed.shapes.shape(&dims);
    }
    let concrete: Vec<Typed> = ports
        .iter()
        .map(|(name, ty)| {
            let numbers = fixed.shapes.eval(ty.shape, &|dim| binding.get(dim).copied()).unwrap_or_default();
            let dims: Vec<_> = numbers.iter().map(|&n| fixed.shapes.dims.constant(n as i64)).collect();
            (name.clone(), Type { shape: fixed.shapes.shape(&dims), ..*ty })
        })
        .collect();
    let tensors = tensors(&fixed, &concrete, &given, ("cotangent", float), args.seed.wrapping_add(1), notes)?;
    Ok(tensors.into_iter().map(|(name, tensor)| (format!("{COTANGENT}{name}"), tensor)).collect())
}

/// The tensors under the names of the output file.
fn named(session: &Session, outputs: Vec<(Output, Tensor)>, train: bool) -> Vec<(String, Tensor)> {
    let params = &session.graphs()[0].params;
    let name = |output: Output| match output {
        Output::Out(name) if name == "out" => name,
        Output::Out(name) => format!("out.{name}"),
        Output::GradInput(name) => format!("grad.in.{name}"),
        Output::GradParam(index) => format!("grad.par.{}", params[index as usize].path),
        Output::Loss => "loss".into(),
        Output::Term(name) | Output::Metric(name) => name,
        Output::GradNorm => "grad_norm".into(),
        Output::GradNormOf(pattern) => format!("grad_norms.{pattern}"),
    };
    let states = params.iter().filter(|param| train && param.role == Role::State);
    let states = states.filter_map(|param| Some((format!("state.{}", param.path), session.get(&param.path)?)));
    outputs.into_iter().map(|(output, tensor)| (name(output), tensor)).chain(states).collect()
}
