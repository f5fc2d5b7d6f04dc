//! `wythe gradcheck`: a model's gradients against finite differences.

use super::input::Given;
use super::model::{Mode, ModelArgs, ThreadArgs, binding, seed};
use super::run::{bound, named_types, tensors_within};
use super::{Failure, Verdict, World, memory, open};
use crate::data::literal::Maker;
use crate::exec::bind::{Binding, bind_types};
use crate::exec::session::{RunError, Session};
use crate::export::weights;
use crate::ir::params::matches;
use crate::ir::structured::{Structured, show_path};
use crate::tensor::{DType, Tensor};
use crate::train::gradcheck::{self as check, Pair, Report, Settings};
use crate::train::weights::load_weights;

/// Compares a model's gradients with finite differences
///
/// In f64, for each parameter and float input: some elements one by one, then all of them at once. The function is the sum
/// of the float outputs, each element times a number of its own. Where backward and differences disagree the step is made
/// smaller twice, which tells kinks from mistakes. Inputs that are not given are drawn from --seed (ids are 0 or 1), dims
/// that nothing says are small; parameters are the initial ones, moved a little. Ends with 1 where something is wrong.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe gradcheck models/digits.model --set depth=1 --elements 4\n  wythe gradcheck models/digits.model --param 'head.*'"
)]
pub struct Args {
    #[command(flatten)]
    pub model: ModelArgs,

    /// Only the parameters whose path fits (* stands for anything); repeatable
    #[arg(long, value_name = "PATTERN")]
    pub param: Vec<String>,

    /// A value for an input, in order or by name (x=x.npy), as for run; repeatable
    #[arg(short = 'i', long, value_name = "[NAME=]VALUE", value_parser = Given::parse, allow_negative_numbers = true)]
    pub input: Vec<Given>,

    /// Sizes for dims: batch=4,seq=8
    #[arg(long, value_name = "DIM=SIZE", value_delimiter = ',', value_parser = binding)]
    pub bind: Vec<(String, u64)>,

    /// Parameters and state (.safetensors)
    #[arg(long, value_name = "PATH")]
    pub weights: Option<String>,

    /// How far each number is moved
    #[arg(long, value_name = "STEP", default_value_t = 1e-5, value_parser = positive)]
    pub eps: f64,

    /// How far the two may differ, as a share of the larger
    #[arg(long, value_name = "SHARE", default_value_t = 1e-5, value_parser = positive)]
    pub tolerance: f64,

    /// The most elements of a tensor that are moved one by one
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub elements: usize,

    /// Decides inputs, weights, dropout, and which elements are moved
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,

    /// Whether dropout acts and statistics are the batch's
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Mode::Eval)]
    pub mode: Mode,

    #[command(flatten)]
    pub threads: ThreadArgs,

    /// One JSON object instead of the table
    #[arg(long)]
    pub json: bool,
}

/// `--eps`, `--tolerance`.
fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err(format!("`{text}` must be a number between 0 and 1, such as 1e-5")),
    }
}

/// Compiles twice, checks tensor by tensor, says what is wrong.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let opened = open::open(world, &args.model)?;
    let model = opened.model()?;
    let float = |ports: &[crate::ir::structured::PortDef]| {
        ports.iter().any(|port| model.values[port.value.0 as usize].ty.dtype.is_float())
    };
    if !float(&model.outputs) {
        let message = format!("`{}` has no gradient: all its outputs are integers or bools", model.name);
        return Err(Failure::usage(message).help("end it with what is differentiated: logits, a loss"));
    }
    if let ([], [item, ..]) = (args.param.as_slice(), check::barriers(model).as_slice()) {
        let message = format!("`{}` lets nothing flow back, by definition: differences see what passes it", item.word);
        return Err(Failure::usage(message).help("check what does not pass it: --param PATTERN"));
    }
    let mut notes = vec![];
    let inputs = inputs(model, args, &mut notes)?;
    let copies = |bytes: u64| 3 * bytes;
    let graphs = check::graphs(model, args.mode.graph());
    let mut session = Session::within(memory::available(), graphs, DType::F64, args.threads.count(world)?, copies)?;
    let sizes = bound(&session, &inputs)?;
    open::check_needs(model, &sizes)?;
    if args.mode == Mode::Train {
        open::check_statistics(model, &sizes)?;
    }
    session.init(args.seed);
    match &args.weights {
        Some(path) => notes.extend(load_weights(&mut session, 0, weights::load(&world.files, path)?)?),
        None => check::shake(&mut session, args.seed)?,
    }
    open::tell_notes(world, &notes)?;
    let paths: Vec<&str> = session.graphs()[0].params.iter().map(|param| param.path.as_str()).collect();
    for pattern in &args.param {
        if !paths.iter().any(|path| matches(pattern, path)) {
            let near = crate::data::near_or_all(pattern, &paths);
            return Err(Failure::usage(format!("`{pattern}` fits no parameter: {near}")));
        }
    }
    if !float(&model.inputs) && paths.is_empty() {
        return Err(Failure::usage(format!(
            "`{}` has no parameter and no float input to differentiate by",
            model.name
        )));
    }
    let otherwise = check::defined_otherwise(model);
    let excluded = |name: &str| otherwise.iter().find(|(path, _)| matches(&format!("{path}.*"), name));
    for (path, why) in paths.iter().filter_map(|path| excluded(path).map(|(_, why)| (path, why))) {
        let note = format!("{path} is not checked: {why}, by definition");
        open::tell_notes(world, &[note])?;
    }
    let chosen = |name: &str, input: bool| match args.param.as_slice() {
        [] => input || excluded(name).is_none(),
        patterns => !input && excluded(name).is_none() && patterns.iter().any(|pattern| matches(pattern, name)),
    };
    let settings =
        Settings { step: args.eps, tolerance: args.tolerance, elements: args.elements.max(1), seed: args.seed };
    let reports = check::check(&mut session, &inputs, &settings, &chosen)?;
    let wrong = reports.iter().filter(|report| report.is_wrong()).count();
    if args.json {
        let object = serde_json::json!({
            "version": 1, "step": args.eps, "tolerance": args.tolerance, "wrong": wrong, "tensors": reports,
        });
        world.out.line(&serde_json::to_string_pretty(&object).unwrap_or_default())?;
    } else {
        show(&reports, model, world)?;
    }
    Ok(if wrong > 0 { Verdict::Wanting } else { Verdict::Well })
}

/// The inputs: as given; the others drawn, with small sizes where nothing says them.
fn inputs(model: &Structured, args: &Args, notes: &mut Vec<String>) -> Result<Vec<(String, Tensor)>, Failure> {
    let ports = named_types(model, &model.inputs);
    let known: Binding = args.bind.iter().map(|(name, size)| (name.clone(), *size as i64)).collect();
    let dims = open::dims(model);
    if let Some(name) = known.keys().find(|name| !dims.contains(*name)) {
        let names: Vec<&str> = dims.iter().map(String::as_str).collect();
        return Err(Failure::usage(format!(
            "the model has no dim `{name}`: {}",
            crate::data::near_or_all(name, &names)
        )));
    }
    // In order, those without a name take the places that are free.
    let mut given = args.input.clone();
    let mut free = ports
        .iter()
        .map(|(name, _)| name.clone())
        .filter(|name| args.input.iter().all(|value| value.name.as_ref() != Some(name)));
    given.iter_mut().filter(|value| value.name.is_none()).for_each(|value| value.name = free.next());
    // What the values say of dims.
    let (mut typed, mut shapes) = (vec![], vec![]);
    for value in given.iter().filter(|value| value.says_sizes()) {
        if let Some((name, ty)) = ports.iter().find(|(name, _)| value.name.as_ref() == Some(name)) {
            typed.push((name.as_str(), *ty));
            shapes.push((name.as_str(), ty.dtype, value.look(false, &mut vec![])?.1));
        }
    }
    let shown: Vec<_> = shapes.iter().map(|(name, dtype, shape)| (*name, *dtype, shape.as_slice())).collect();
    let mut sizes = bind_types(&model.shapes, &typed, &shown, &known).map_err(RunError::from)?;
    for (index, dim) in dims.iter().filter(|dim| !sizes.contains_key(*dim)).cloned().enumerate().collect::<Vec<_>>() {
        sizes.insert(dim, 2 + index as i64);
    }
    let mut drawn = vec![];
    for (name, ty) in &ports {
        if given.iter().any(|value| value.name.as_ref() == Some(name)) {
            continue;
        }
        match ty.dtype {
            DType::I64 | DType::Bool => drawn.push(Given::made(name, Maker::Range)),
            DType::F32 | DType::F64 => drawn.push(Given::made(name, Maker::Normal)),
        }
    }
    // A range, then as ids of the smallest table: 0 and 1 in turn.
    let bools: Vec<String> =
        ports.iter().filter(|(_, ty)| ty.dtype == DType::Bool).map(|(name, _)| name.clone()).collect();
    for value in drawn.iter_mut().filter(|value| value.name.as_ref().is_some_and(|name| bools.contains(name))) {
        *value = Given::ones(value.name.as_deref().unwrap_or_default());
    }
    let ids: Vec<String> = drawn.iter().filter_map(|value| value.name.clone()).collect();
    given.extend(drawn);
    let mut all = tensors_within(model, &ports, &given, ("input", DType::F64), (args.seed, &sizes), notes)?;
    for (name, value) in &mut all {
        if let (Tensor::I64(values), true) = (value, ids.contains(name)) {
            values.mapv_inplace(|id| id % 2);
        }
    }
    Ok(all)
}

fn show(reports: &[Report], model: &Structured, world: &mut World) -> Result<(), Failure> {
    let sizes = |report: &Report| {
        let sizes: Vec<String> = report.shape.iter().map(usize::to_string).collect();
        format!("[{}]", sizes.join(", "))
    };
    let named = |report: &Report| if report.input { format!("input {}", report.name) } else { report.name.clone() };
    let width = reports.iter().map(|report| named(report).chars().count()).max().unwrap_or(0);
    let wide = reports.iter().map(|report| sizes(report).len()).max().unwrap_or(0);
    let mut bent = false;
    for report in reports {
        let tried = report.pairs.iter().filter(|pair| pair.at.is_some()).count();
        let count: usize = report.shape.iter().product();
        let tried =
            if tried == count { format!("all {count}") } else { format!("{tried} of {count}, and all at once") };
        let worst = report.worst().map_or(String::new(), |pair| format!("{:.1e} at {}", pair.error, place(pair)));
        let said = match () {
            () if report.is_wrong() => "WRONG",
            () if report.is_still() => "nothing flows back to it",
            () => "agrees",
        };
        world.out.line(&format!(
            "{:width$}  {:wide$}  {said}: {tried}; worst {worst}",
            named(report),
            sizes(report)
        ))?;
        let told = |pair: &&Pair| pair.verdict != check::Verdict::Agrees;
        for pair in report.pairs.iter().filter(told).take(3) {
            bent |= pair.verdict != check::Verdict::Wrong;
            world.out.line(&format!("  {}: {}", place(pair), explained(pair)))?;
        }
    }
    if bent {
        let kinked: Vec<String> =
            check::kinked(model).iter().map(|item| format!("`{}`", show_path(&item.application))).collect();
        if !kinked.is_empty() {
            world.out.line(&format!("kinks can lie in {}", listed(kinked)))?;
        }
    }
    let count = reports.iter().filter(|report| report.is_wrong()).count();
    world.out.line(&match count {
        0 => format!("backward and differences agree, of {}", tensors(reports.len())),
        _ => format!("backward and differences disagree, of {count} of {}", tensors(reports.len())),
    })
}

fn tensors(count: usize) -> String {
    if count == 1 { "1 tensor".into() } else { format!("{count} tensors") }
}

/// The first few of many.
fn listed(mut names: Vec<String>) -> String {
    names.dedup();
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}

fn place(pair: &Pair) -> String {
    match &pair.at {
        Some(at) => format!("[{}]", at.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
        None => "all at once".into(),
    }
}

fn explained(pair: &Pair) -> String {
    let (below, above) = pair.sides;
    match pair.verdict {
        check::Verdict::Agrees => "they agree".into(),
        check::Verdict::NearKink => format!("beside a kink; with a smaller step both are {:.6}", pair.gradient),
        check::Verdict::Kink => {
            format!("a kink: {below:.6} from below, {above:.6} from above; backward takes {:.6}", pair.gradient)
        }
        check::Verdict::Jump => format!("the function jumps here; backward takes {:.6}", pair.gradient),
        check::Verdict::Wrong => {
            let sides = format!("from below {below:.6}, from above {above:.6}");
            format!("backward says {:.6}, differences say {:.6} ({sides})", pair.gradient, pair.difference)
        }
    }
}
