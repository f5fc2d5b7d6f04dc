//! What must hold of a text.

use super::file::Written;
use super::rng::Rng;
use super::slip::disordered;
use std::collections::BTreeMap;
use wythe::diagnostic::{Diagnostic, Severity};
use wythe::elaborate::Request;
use wythe::exec::session::RunError;
use wythe::ir::op::Role;
use wythe::ir::params;
use wythe::ir::shape::Type;
use wythe::ir::structured::Structured;
use wythe::pipeline::{Checked, check, check_sizes};
use wythe::syntax::{format, parse};
use wythe::text::Source;
use wythe::{DType, Mode, Model, Options, Session, Tensor, TrainOptions, View};

/// A law that was broken, in words.
pub type Broken = String;

fn checked(text: &str) -> Checked {
    check(Source::new("generated.model", text), &Request::default(), None)
}

/// Errors; what a lint says of a net that runs is not one.
fn errors(reports: &[Diagnostic]) -> usize {
    reports.iter().filter(|report| report.severity == Severity::Error && !report.code.starts_with("lint::")).count()
}

/// A text that its author holds for valid: it checks, runs, trains, and is laid out without harm.
pub fn valid(written: &Written, rng: &mut Rng) -> Result<(), Broken> {
    let found = checked(&written.text);
    if errors(&found.diagnostics) > 0 {
        return Err(format!("a valid text is refused:\n{}", found.render()));
    }
    let model = found.models.first().ok_or("a valid text gives no model")?;
    let sizes: BTreeMap<String, i64> = written
        .ranges
        .iter()
        .map(|(name, (least, most))| {
            let size = rng.between(*least, *most);
            let step = written.steps.get(name).copied().unwrap_or(1);
            let below = size - size % step;
            (name.to_string(), if below >= *least { below } else { below + step })
        })
        .collect();
    let bound = sizes.iter().map(|(name, size)| (name.clone(), *size)).collect();
    check_sizes(model, &bound).map_err(|unmet| format!("sizes that obey the facts are refused: {unmet}"))?;
    let wanted: Vec<Vec<usize>> = written
        .outputs
        .iter()
        .map(|ty| ty.sizes.iter().map(|size| size.eval(&sizes).expect("all dims are bound") as usize).collect())
        .collect();
    counts(model)?;
    if let Ok(whole) = Model::check(&written.text) {
        runs(&whole, &sizes, Some(&wanted), rng)?;
        if let Ok(training) = whole.training() {
            let mut sizes = sizes.clone();
            sizes.extend(training.sizes.iter().map(|(name, size)| (name.clone(), *size as i64)));
            trains(&whole, written, &sizes, rng)?;
        }
    }
    laid_out(&written.text, rng)
}

/// A text with one slip: one to three reports, or none, and then it runs.
pub fn broken(text: &str, rng: &mut Rng) -> Result<bool, Broken> {
    let found = checked(text);
    for report in &found.diagnostics {
        for label in &report.labels {
            let (start, end) = (label.span.start as usize, label.span.end as usize);
            text.get(start..end).ok_or_else(|| format!("a place outside of the text: {report:?}"))?;
        }
    }
    let count = errors(&found.diagnostics);
    if count > 3 {
        return Err(format!("one slip gives {count} reports:\n{}", found.render()));
    }
    if let Ok(once) = format(text)
        && format(&once).ok().as_deref() != Some(&once)
    {
        return Err(format!("a second layout differs from the first:\n{once}"));
    }
    let Ok(whole) = Model::check(text) else { return Ok(count > 0) };
    let Ok(model) = whole.structured() else { return Ok(false) };
    counts(model)?;
    if let Some(sizes) = fitting(model, rng).filter(|sizes| small(model, sizes)) {
        runs(&whole, &sizes, None, rng)?;
    }
    Ok(false)
}

/// Sizes that a model's facts allow, if some are found.
fn fitting(model: &Structured, rng: &mut Rng) -> Option<BTreeMap<String, i64>> {
    let mut names = vec![];
    for port in &model.inputs {
        let ty = model.values[port.value.0 as usize].ty;
        for dim in model.shapes.dims(ty) {
            names.extend(model.shapes.dims.symbols(*dim));
        }
    }
    for most in [4, 6, 8, 12, 16, 20] {
        let sizes: BTreeMap<String, i64> = names.iter().map(|name| (name.clone(), rng.between(2, most))).collect();
        let bound = sizes.iter().map(|(name, size)| (name.clone(), *size)).collect();
        if check_sizes(model, &bound).is_ok() {
            return Some(sizes);
        }
    }
    None
}

/// Whether a test has the time and memory to run it.
fn small(model: &Structured, sizes: &BTreeMap<String, i64>) -> bool {
    params::count(model).unwrap_or(u64::MAX) < 1_000_000 && elements(model, sizes) < 10_000_000
}

/// How many numbers all its values have.
pub fn elements(model: &Structured, sizes: &BTreeMap<String, i64>) -> usize {
    let elements = |ty: Type| {
        let shape = model.shapes.eval(ty.shape, &|name| sizes.get(name).copied())?;
        shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))
    };
    let values = model.values.iter().map(|value| elements(value.ty).unwrap_or(usize::MAX));
    values.fold(0usize, usize::saturating_add)
}

/// The number of parameters is the number of values that a session holds.
fn counts(model: &Structured) -> Result<(), Broken> {
    let all: Option<u64> = params::parameters(model).map(|param| param.count).sum();
    let learned = params::parameters(model).filter(|param| param.def.role != Role::State);
    let learned: Option<u64> = learned.map(|param| param.count).sum();
    if params::count(model) != learned || all.is_none() {
        return Err(format!("the count {:?} is not the sum {learned:?}", params::count(model)));
    }
    Ok(())
}

/// An array of a type, with values that every operator takes.
pub fn filled(model: &Structured, port: usize, sizes: &BTreeMap<String, i64>, rng: &mut Rng) -> Option<Tensor> {
    let ty = model.values[model.inputs[port].value.0 as usize].ty;
    let shape = model.shapes.eval(ty.shape, &|name| sizes.get(name).copied())?;
    Some(array(ty.dtype, &shape, rng))
}

pub fn array(dtype: DType, shape: &[usize], rng: &mut Rng) -> Tensor {
    let shape = ndarray::IxDyn(shape);
    match dtype {
        DType::F32 | DType::F64 => Tensor::F32(ndarray::ArrayD::from_shape_simple_fn(shape, || rng.unit())),
        // A label or id that every table has.
        DType::I64 => Tensor::I64(ndarray::ArrayD::zeros(shape)),
        DType::Bool => Tensor::Bool(ndarray::ArrayD::from_shape_simple_fn(shape, || rng.percent(70))),
    }
}

/// What passes `check` never fails on shapes when run: forward, backward, both modes.
fn runs(
    whole: &Model,
    sizes: &BTreeMap<String, i64>,
    wanted: Option<&[Vec<usize>]>,
    rng: &mut Rng,
) -> Result<(), Broken> {
    let model = whole.structured().map_err(|error| error.to_string())?;
    let inputs: Option<Vec<Tensor>> = (0..model.inputs.len()).map(|port| filled(model, port, sizes, rng)).collect();
    let inputs = inputs.ok_or("the sizes of an input cannot be worked out")?;
    let views: Vec<View<'_>> = inputs.iter().map(View::from).collect();
    let declared: Option<Vec<Vec<usize>>> = model
        .outputs
        .iter()
        .map(|port| model.shapes.eval(model.values[port.value.0 as usize].ty.shape, &|name| sizes.get(name).copied()))
        .collect();
    let declared = declared.ok_or("the sizes of an output cannot be worked out")?;
    if let Some(wanted) = wanted
        && wanted != declared
    {
        return Err(format!("the checker says {declared:?}, the author {wanted:?} with {sizes:?}"));
    }
    for mode in [Mode::Eval, Mode::Train] {
        let options = Options { mode, gradients: true, threads: 1, ..Options::default() };
        let mut session = whole.session(&options).map_err(|error| format!("no session with {sizes:?}: {error}"))?;
        holds(model, &session)?;
        let said = |error: wythe::Error| format!("it fails when run with {sizes:?} in {mode:?}: {error}");
        let outputs = match session.run(&views) {
            // What is computed may be no id of a table, or no number: a fault of values, not of shapes.
            Err(wythe::Error::Run(RunError::Fault(_))) => return Ok(()),
            outputs => outputs.map_err(said)?,
        };
        let shapes: Vec<Vec<usize>> = outputs.iter().map(|output| output.shape().to_vec()).collect();
        if shapes != declared {
            return Err(format!("the run gives {shapes:?}, the checker said {declared:?} with {sizes:?}"));
        }
        let float = outputs.iter().filter(|output| output.dtype().is_float());
        let ones: Vec<Tensor> =
            float.map(|output| Tensor::F32(ndarray::ArrayD::ones(ndarray::IxDyn(output.shape())))).collect();
        let cotangents: Vec<View<'_>> = ones.iter().map(View::from).collect();
        let found = session.gradients(&views, &cotangents).map_err(said)?;
        for (port, input) in model.inputs.iter().zip(&inputs).filter(|(_, input)| input.dtype().is_float()) {
            let name = port.name.as_deref().unwrap_or("x");
            let gradient = found.inputs.get(name).ok_or_else(|| format!("no gradient of {name}"))?;
            if gradient.shape() != input.shape() {
                return Err(format!("the gradient of {name} is {:?}, it is {:?}", gradient.shape(), input.shape()));
            }
        }
        for (path, gradient) in &found.parameters {
            let value = session.get(path).ok_or_else(|| format!("no parameter {path}"))?;
            if value.shape() != gradient.shape() {
                return Err(format!("the gradient of {path} is {:?}, it is {:?}", gradient.shape(), value.shape()));
            }
        }
    }
    Ok(())
}

/// The summary's count is what the session holds.
fn holds(model: &Structured, session: &Session) -> Result<(), Broken> {
    let held: u64 = session.paths().filter_map(|path| Some(session.get(path)?.len() as u64)).sum();
    let counted: Option<u64> = params::parameters(model).map(|param| param.count).sum();
    if counted != Some(held) {
        return Err(format!("{counted:?} parameters and statistics are counted, and the session holds {held}"));
    }
    Ok(())
}

/// Two steps of training on arrays.
fn trains(whole: &Model, written: &Written, sizes: &BTreeMap<String, i64>, rng: &mut Rng) -> Result<(), Broken> {
    let training = whole.training().map_err(|error| error.to_string())?;
    let mut sizes = sizes.clone();
    sizes.insert("batch".into(), 8);
    let mut rows: Vec<(String, Tensor)> = vec![];
    for (port, (name, _)) in written.inputs.iter().enumerate() {
        rows.push((name.clone(), filled(&training.model, port, &sizes, rng).ok_or("an input without sizes")?));
    }
    for target in &training.targets {
        let Some(name) = &target.name else { continue };
        let ty = training.model.values[target.value.0 as usize].ty;
        let shape =
            training.model.shapes.eval(ty.shape, &|name| sizes.get(name).copied()).ok_or("a target without sizes")?;
        rows.push((name.clone(), array(ty.dtype, &shape, rng)));
    }
    let views: Vec<(&str, View<'_>)> = rows.iter().map(|(name, tensor)| (name.as_str(), tensor.into())).collect();
    let options = TrainOptions { threads: 1, steps: Some(2), ..TrainOptions::default() };
    let said = |error: wythe::Error| format!("it cannot be trained with {sizes:?}: {error}");
    let mut trainer = whole.train_on(&views, &options).map_err(said)?;
    for _ in 0..2 {
        match trainer.step() {
            // Random weights may well be driven to infinity; that is told, and no mistake of shapes.
            Err(error) if error.to_string().contains("finite") => return Ok(()),
            step => drop(step.map_err(said)?),
        }
    }
    Ok(())
}

/// The tree without its places.
fn tree(text: &str) -> String {
    without_places(&format!("{:?}", parse(0, text).file))
}

fn without_places(debug: &str) -> String {
    let mut parts = debug.split("Span {");
    let first = parts.next().unwrap_or("").to_string();
    parts.fold(first, |all, part| all + part.split_once('}').map_or("", |(_, rest)| rest))
}

/// The layout changes no meaning, loses no comment, and is done once.
fn laid_out(text: &str, rng: &mut Rng) -> Result<(), Broken> {
    let (crooked, comments) = disordered(text, rng);
    let once = format(&crooked).map_err(|_| format!("it is not laid out:\n{crooked}"))?;
    if tree(&once) != tree(&crooked) || tree(&once) != tree(text) {
        return Err(format!("the layout has another meaning:\n{once}"));
    }
    if format(&once).ok().as_deref() != Some(&once) {
        return Err(format!("a second layout differs from the first:\n{once}"));
    }
    for n in 0..comments {
        let said = format!("// comment {n}");
        let found = once.lines().filter(|line| line.trim_end().ends_with(&said)).count();
        if found != 1 {
            return Err(format!("`{said}` stands there {found} times:\n{once}"));
        }
    }
    let graph = |text: &str| without_places(&format!("{:?}", checked(text).models));
    if graph(&once) != graph(text) {
        return Err(format!("the layout gives another graph:\n{once}"));
    }
    Ok(())
}
