//! Gradients against finite differences, in f64: each parameter and float input of a model, element by element.
//!
//! What is differentiated is one number: the sum of all float outputs, each element times a fixed number of its own, so
//! that no two errors cancel. Where backward and differences disagree the step is made smaller twice: a kink that lies
//! within the first step is passed by then, a kink at the very place stays, and a wrong gradient is wrong at every step.

use crate::exec::bind::Binding;
use crate::exec::session::{COTANGENT, Host, RunError, Session};
use crate::ir::attr::Attr;
use crate::ir::build::Mode;
use crate::ir::graph::{Graph, Output};
use crate::ir::op::{Gradient, Role};
use crate::ir::structured::{Item, OpItem, Region, Structured, show_path};
use crate::kernels::random::{fill_normal, path_key};
use crate::pipeline::{self, Stage};
use crate::tensor::{DType, Tensor};
use ndarray::{ArrayD, IxDyn};
use serde::Serialize;

/// How it is checked.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How far a number is moved.
    pub step: f64,
    /// How far backward and differences may differ, as a share of the larger.
    pub tolerance: f64,
    /// The most elements of a tensor that are moved one by one; all together are moved once more.
    pub elements: usize,
    /// Decides weights, cotangents and which elements are moved.
    pub seed: u64,
}

/// A gradient beside its difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// Which element; none: all at once, in a direction drawn by the seed.
    pub at: Option<Vec<usize>>,
    /// What backward says.
    pub gradient: f64,
    /// What the difference of both sides says.
    pub difference: f64,
    /// The differences of each side: from below, from above.
    pub sides: (f64, f64),
    /// How far off, as a share of the larger.
    pub error: f64,
    /// What that is.
    pub verdict: Verdict,
}

/// What a gradient beside its difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same.
    Agrees,
    /// The same once the step is small enough: a kink lies beside it.
    NearKink,
    /// The function bends here, and the gradient is one of its slopes or lies between them.
    Kink,
    /// The function jumps here: no difference says anything.
    Jump,
    /// Another number.
    Wrong,
}

/// What was found of one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Its path, or the input's name.
    pub name: String,
    /// Whether it is an input.
    pub input: bool,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What was tried.
    pub pairs: Vec<Pair>,
}

impl Report {
    /// The pair that is farthest off, kinks left out where anything else was tried.
    pub fn worst(&self) -> Option<&Pair> {
        let plain = |pair: &&Pair| !matches!(pair.verdict, Verdict::Kink | Verdict::Jump);
        let farthest = |a: &&Pair, b: &&Pair| a.error.total_cmp(&b.error);
        self.pairs.iter().filter(plain).max_by(farthest).or_else(|| self.pairs.iter().max_by(farthest))
    }

    /// Whether backward and every difference say that nothing flows back.
    pub fn is_still(&self) -> bool {
        !self.pairs.is_empty() && self.pairs.iter().all(|pair| pair.gradient == 0.0 && pair.verdict == Verdict::Agrees)
    }

    /// Whether something is wrong.
    pub fn is_wrong(&self) -> bool {
        self.pairs.iter().any(|pair| pair.verdict == Verdict::Wrong)
    }
}

/// The two graphs of a check, over the same weights: with gradients, and without.
pub fn graphs(model: &Structured, mode: Mode) -> Vec<Graph> {
    vec![
        pipeline::gradients(model, mode, DType::F64, Stage::Fused),
        pipeline::forward(model, mode, DType::F64, Stage::Fused),
    ]
}

/// Moves every learned number a little: initial zeros hide mistakes, and lie on kinks.
pub fn shake(session: &mut Session, seed: u64) -> Result<(), RunError> {
    let learned: Vec<String> = learned(&session.graphs()[0]).map(|(_, path)| path.to_string()).collect();
    for path in learned {
        let Some(Tensor::F64(mut values)) = session.get(&path) else { continue };
        let moved = drawn(values.len(), seed, &format!("shake {path}"));
        values.iter_mut().zip(moved).for_each(|(value, by)| *value += 0.1 * by);
        session.set(&path, &Tensor::F64(values))?;
    }
    Ok(())
}

fn learned(graph: &Graph) -> impl Iterator<Item = (usize, &str)> {
    let params = graph.params.iter().enumerate().filter(|(_, param)| param.role != Role::State);
    params.map(|(index, param)| (index, param.path.as_str()))
}

fn drawn(count: usize, seed: u64, what: &str) -> Vec<f64> {
    let mut values = vec![0.0_f64; count];
    fill_normal(&mut values, 0, seed, path_key(what));
    values
}

/// Checks every tensor that `wanted` says (its name, and whether it is an input), in a session over [`graphs`].
pub fn check(
    session: &mut Session,
    inputs: &[(String, Tensor)],
    settings: &Settings,
    wanted: &dyn Fn(&str, bool) -> bool,
) -> Result<Vec<Report>, RunError> {
    let mut trial = Trial::new(session, inputs.to_vec(), settings)?;
    let gradients = trial.gradients()?;
    let mut reports = vec![];
    for (name, input, gradient) in gradients {
        if wanted(&name, input) && !gradient.is_empty() {
            reports.push(trial.tensor(name, input, &gradient)?);
        }
    }
    Ok(reports)
}

/// One function of all its inputs and weights.
struct Trial<'a> {
    session: &'a mut Session,
    settings: &'a Settings,
    inputs: Vec<(String, Tensor)>,
    cotangents: Vec<(String, Tensor)>,
    /// The function's value here, and the sum of the sizes of its terms.
    here: (f64, f64),
}

impl<'a> Trial<'a> {
    fn new(
        session: &'a mut Session,
        inputs: Vec<(String, Tensor)>,
        settings: &'a Settings,
    ) -> Result<Trial<'a>, RunError> {
        let mut trial = Trial { session, settings, inputs, cotangents: vec![], here: (0.0, 0.0) };
        for (name, value) in trial.outputs()? {
            let draws = drawn(value.len(), settings.seed, &format!("cotangent {name}"));
            // Between 0.5 and 1.5 in size, so that every output counts.
            let near_one = draws.iter().map(|x| (0.5 + (x.abs() % 1.0)).copysign(*x));
            let near_one: Vec<f64> = if value.ndim() == 0 { vec![1.0] } else { near_one.collect() };
            if let Ok(values) = ArrayD::from_shape_vec(IxDyn(value.shape()), near_one) {
                trial.cotangents.push((format!("{COTANGENT}{name}"), Tensor::F64(values)));
            }
        }
        trial.here = trial.value()?;
        Ok(trial)
    }

    fn host(&self) -> Host {
        Host { seed: self.settings.seed, step: 0, hypers: vec![] }
    }

    /// The float outputs.
    fn outputs(&mut self) -> Result<Vec<(String, ArrayD<f64>)>, RunError> {
        let host = self.host();
        let given: Vec<(&str, &Tensor)> = self.inputs.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let outputs = self.session.run(1, &given, &Binding::new(), &host)?;
        let float = |(output, value): (Output, Tensor)| match (output, value) {
            (Output::Out(name), Tensor::F64(value)) => Some((name, value)),
            _ => None,
        };
        Ok(outputs.into_iter().filter_map(float).collect())
    }

    /// The sum of outputs times cotangents, and of the sizes of its terms.
    fn value(&mut self) -> Result<(f64, f64), RunError> {
        let (mut sum, mut size) = (0.0, 0.0);
        for (name, value) in self.outputs()? {
            let own = self.cotangents.iter().find(|(own, _)| own.strip_prefix(COTANGENT) == Some(&name));
            let Some((_, Tensor::F64(cotangent))) = own else { continue };
            for term in value.iter().zip(cotangent).map(|(y, c)| y * c) {
                sum += term;
                size += f64::abs(term);
            }
        }
        Ok((sum, size))
    }

    /// What backward says: name, whether it is an input, gradient.
    fn gradients(&mut self) -> Result<Vec<(String, bool, ArrayD<f64>)>, RunError> {
        let host = self.host();
        let given = self.inputs.iter().chain(&self.cotangents);
        let given: Vec<(&str, &Tensor)> = given.map(|(name, value)| (name.as_str(), value)).collect();
        let outputs = self.session.run(0, &given, &Binding::new(), &host)?;
        let paths: Vec<String> = self.session.graphs()[0].params.iter().map(|param| param.path.clone()).collect();
        let named = |(output, value): (Output, Tensor)| match (output, value) {
            (Output::GradInput(name), Tensor::F64(value)) => Some((name, true, value)),
            (Output::GradParam(index), Tensor::F64(value)) => Some((paths[index as usize].clone(), false, value)),
            _ => None,
        };
        Ok(outputs.into_iter().filter_map(named).collect())
    }

    fn tensor(&mut self, name: String, input: bool, gradient: &ArrayD<f64>) -> Result<Report, RunError> {
        let values: Vec<f64> = gradient.iter().copied().collect();
        let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let own = match input {
            true => self.inputs.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone()),
            false => self.session.get(&name),
        };
        let Some(Tensor::F64(base)) = own else {
            return Ok(Report { name, input, shape: gradient.shape().to_vec(), pairs: vec![] });
        };
        let mut pairs = vec![];
        for flat in places(&values, self.settings, &name) {
            let mut probe = |trial: &mut Trial<'_>, by: f64| {
                let mut moved = base.clone();
                if let Some(value) = moved.iter_mut().nth(flat) {
                    *value += by;
                }
                trial.moved(&name, input, moved)
            };
            let at = Some(index_of(flat, gradient.shape()));
            pairs.push(self.pair(at, values[flat], 1e-3 * largest, &mut probe)?);
        }
        if pairs.len() < values.len() {
            let direction = drawn(values.len(), self.settings.seed, &format!("direction {name}"));
            let length = direction.iter().map(|u| u * u).sum::<f64>().sqrt();
            let slope = values.iter().zip(&direction).map(|(g, u)| g * u).sum::<f64>() / length;
            let steep = values.iter().map(|g| g * g).sum::<f64>().sqrt();
            let mut probe = |trial: &mut Trial<'_>, by: f64| {
                let mut moved = base.clone();
                moved.iter_mut().zip(&direction).for_each(|(value, u)| *value += by * u / length);
                trial.moved(&name, input, moved)
            };
            pairs.push(self.pair(None, slope, 1e-2 * steep, &mut probe)?);
        }
        // As it was.
        self.moved(&name, input, base)?;
        Ok(Report { name, input, shape: gradient.shape().to_vec(), pairs })
    }

    /// The function's value with one tensor exchanged.
    fn moved(&mut self, name: &str, input: bool, value: ArrayD<f64>) -> Result<f64, RunError> {
        if input {
            if let Some((_, own)) = self.inputs.iter_mut().find(|(own, _)| own == name) {
                *own = Tensor::F64(value);
            }
        } else {
            self.session.set(name, &Tensor::F64(value))?;
        }
        Ok(self.value()?.0)
    }

    /// Compares one slope with differences; `scale`: what counts as nothing.
    fn pair(
        &mut self,
        at: Option<Vec<usize>>,
        gradient: f64,
        scale: f64,
        probe: &mut dyn FnMut(&mut Trial<'_>, f64) -> Result<f64, RunError>,
    ) -> Result<Pair, RunError> {
        let (here, size) = self.here;
        let settings = *self.settings;
        let mut value = |by: f64| probe(self, by);
        judge((at, gradient), (here, 64.0 * f64::EPSILON * size.max(1.0)), scale, &settings, &mut value)
    }
}

/// Compares a slope with differences at three steps; `noise`: how exact the function's values are.
fn judge(
    (at, gradient): (Option<Vec<usize>>, f64),
    (here, noise): (f64, f64),
    scale: f64,
    settings: &Settings,
    value: &mut dyn FnMut(f64) -> Result<f64, RunError>,
) -> Result<Pair, RunError> {
    let mut tried: Vec<(f64, f64, f64)> = vec![];
    let mut pair = Pair { at, gradient, difference: 0.0, sides: (0.0, 0.0), error: 0.0, verdict: Verdict::Wrong };
    for shrink in [1.0, 8.0, 64.0] {
        let step = settings.step / shrink;
        let (up, down) = (value(step)?, value(-step)?);
        let (above, below) = ((up - here) / step, (here - down) / step);
        let difference = (up - down) / (2.0 * step);
        let larger = gradient.abs().max(difference.abs()).max(scale).max(f64::MIN_POSITIVE);
        let off = (difference - gradient).abs();
        let agrees = off <= settings.tolerance * larger + noise / step;
        if agrees || tried.is_empty() {
            pair = Pair { difference, sides: (below, above), error: off / larger, ..pair };
        }
        if agrees {
            let verdict = if tried.is_empty() { Verdict::Agrees } else { Verdict::NearKink };
            return Ok(Pair { verdict, ..pair });
        }
        tried.push((step, below, above));
    }
    let [_, (wide, wide_below, wide_above), (step, below, above)] = tried[..] else { return Ok(pair) };
    pair.sides = (below, above);
    let (gap, wide_gap) = (above - below, wide_above - wide_below);
    let slack = settings.tolerance * gradient.abs().max(scale) + noise / step;
    let (low, high) = (below.min(above) - slack, below.max(above) + slack);
    // A bend stays as sharp however close one looks, and a jump as high; everything smooth becomes straight and flat.
    let (rise, wide_rise) = ((above + below) * step, (wide_above + wide_below) * wide);
    let seen = |number: f64, unit: f64| number.abs() > 100.0 * noise / unit;
    if seen(rise, 1.0) && rise.abs() > 0.5 * wide_rise.abs() {
        pair.verdict = Verdict::Jump;
    } else if seen(gap, step) && gap.abs() > 0.5 * wide_gap.abs() && (low..=high).contains(&gradient) {
        pair.verdict = Verdict::Kink;
    }
    Ok(pair)
}

/// Which elements are moved one by one: all, or the one of the largest gradient and others drawn by the seed.
fn places(gradient: &[f64], settings: &Settings, name: &str) -> Vec<usize> {
    if gradient.len() <= settings.elements {
        return (0..gradient.len()).collect();
    }
    let steepest = (0..gradient.len()).max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs()));
    let mut places: Vec<usize> = steepest.into_iter().take(settings.elements).collect();
    let share = gradient.len() as f64 / settings.elements as f64;
    let within = drawn(settings.elements, settings.seed, &format!("places {name}"));
    for (index, draw) in within.iter().enumerate().take(settings.elements.saturating_sub(1)) {
        places.push((((index as f64 + draw.abs() % 1.0) * share) as usize).min(gradient.len() - 1));
    }
    places.sort_unstable();
    places.dedup();
    places
}

fn index_of(flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = flat;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let at = rest % size.max(1);
            rest /= size.max(1);
            at
        })
        .collect();
    index.reverse();
    index
}

/// The stages through which nothing flows back though they pass their value on: no difference is their gradient.
pub fn barriers(model: &Structured) -> Vec<&OpItem> {
    let closed = |item: &&OpItem| item.op.facts.view && matches!(item.op.gradient, Gradient::Zero);
    stages(model).into_iter().filter(closed).collect()
}

/// The paths (with `*` for copies) below which what flows back is no derivative by definition, and why.
pub fn defined_otherwise(model: &Structured) -> Vec<(String, &'static str)> {
    let why = |item: &OpItem| match () {
        () if *item.attrs.get("padding_index") != Attr::None => Some("nothing flows to its padding row"),
        () if item.attrs.flag("scale_grad_by_freq") => {
            Some("what flows to a row is divided by how often it is asked for")
        }
        () => None,
    };
    stages(model).into_iter().filter_map(|item| Some((show_path(&item.path), why(item)?))).collect()
}

/// The stages of a model that have no derivative somewhere, as the catalogue says.
pub fn kinked(model: &Structured) -> Vec<&OpItem> {
    stages(model).into_iter().filter(|item| !item.op.facts.kinks.is_empty()).collect()
}

/// Every stage of a model, blocks and one copy of each repeat opened.
pub fn stages(model: &Structured) -> Vec<&OpItem> {
    fn walk<'m>(region: &'m Region, all: &mut Vec<&'m OpItem>) {
        for item in &region.items {
            match item {
                Item::Op(op) => all.push(op),
                Item::Scope(scope) => walk(&scope.region, all),
                Item::Repeat(repeat) => repeat.runs.iter().for_each(|run| walk(&run.region, all)),
            }
        }
    }
    let mut all = vec![];
    walk(&model.body, &mut all);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { step: 1e-5, tolerance: 1e-5, elements: 8, seed: 0 };

    fn verdict(gradient: f64, f: impl Fn(f64) -> f64) -> Verdict {
        let noise = 64.0 * f64::EPSILON * f(0.0).abs().max(1.0);
        let pair = judge((None, gradient), (f(0.0), noise), 0.0, &SETTINGS, &mut |by| Ok(f(by)));
        pair.expect("nothing runs").verdict
    }

    #[test]
    fn smooth_bent_and_broken_functions_are_told_apart() {
        assert_eq!(verdict(2.0, |x| 2.0 * x + 50.0 * x * x), Verdict::Agrees);
        assert_eq!(verdict(2.01, |x| 2.0 * x + 50.0 * x * x), Verdict::Wrong);
        assert_eq!(verdict(-2.0, |x| 2.0 * x), Verdict::Wrong);
        assert_eq!(verdict(0.0, |x| 1e-3 * x), Verdict::Wrong);
        // A kink here: any slope between the two will do, and no other.
        assert_eq!(verdict(0.0, |x| x.max(0.0)), Verdict::Kink);
        assert_eq!(verdict(1.0, |x| x.max(0.0)), Verdict::Kink);
        assert_eq!(verdict(1.5, |x| x.max(0.0)), Verdict::Wrong);
        // A kink beside it.
        assert_eq!(verdict(0.0, |x| (x - 3e-6).max(0.0)), Verdict::NearKink);
        assert_eq!(verdict(0.0, |x| if x < 0.0 { 0.0 } else { 1.0 }), Verdict::Jump);
    }

    #[test]
    fn elements_are_chosen_all_or_spread() {
        let gradient: Vec<f64> = (0..1000).map(|i| if i == 321 { 9.0 } else { 1.0 }).collect();
        let places = places(&gradient, &SETTINGS, "w");
        assert!(places.contains(&321) && places.len() <= 8 && places.len() > 5, "{places:?}");
        assert_eq!(super::places(&gradient[..8], &SETTINGS, "w"), (0..8).collect::<Vec<_>>());
        assert_eq!(index_of(7, &[2, 3, 2]), [1, 0, 1]);
    }
}
