//! What the documentation says of derivatives, against the gradients that the kernels compute.
//!
//! A derivative is a list of clauses. `dx = dy * (1 - y^2)` is a formula of an operand or parameter, and is computed;
//! `s = sigmoid(x)` names a part; `tanh: dx = …` holds where an option has that value; everything else is words. The
//! values tried lie anywhere, and on every kink and tie as well.

use crate::formula::{Array, Formula, Values, read, spread};
use crate::matrix::catalogue;
use crate::model::{Given, Named, array, numbers, tensor, worst};
use crate::samples::{Sample, last_use};
use crate::trial::{Numbers, given, run};
use ndarray::{Axis, IxDyn, concatenate};
use std::collections::{BTreeMap, BTreeSet};
use wythe::exec::bind::Binding;
use wythe::ir::attr::{Attr, AttrDefault, AttrKind, default};
use wythe::ir::build::Mode;
use wythe::ir::graph::Graph;
use wythe::ir::op::{Body, Elements, OpDef, Operand, Role};
use wythe::ir::structured::ValueId;
use wythe::pipeline::{self, Stage};
use wythe::tensor::DType;

/// How far a formula may be from the gradient.
const OFF: f64 = 1e-9;

/// A part of a derivative's text.
struct Clause {
    /// The option that it speaks of.
    option: Option<&'static str>,
    /// What stands on the left: `dx`, `s`.
    name: String,
    /// What stands on the right; none: the clause is in words.
    formula: Option<Result<Formula, String>>,
}

fn clauses(op: &OpDef, text: &'static str) -> Vec<Clause> {
    let choices = op.attrs.iter().flat_map(|def| def.kinds).flat_map(|kind| match kind {
        AttrKind::Choice(words) => words.to_vec(),
        _ => vec![],
    });
    let choices: Vec<&str> = choices.collect();
    let one = |clause: &'static str| {
        let labelled = clause.split_once(": ").filter(|(label, _)| choices.contains(label));
        let (option, rest) = labelled.map_or((None, clause), |(label, rest)| (Some(label), rest));
        let word = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        match rest.split_once(" = ").filter(|(name, _)| word(name)) {
            Some((name, right)) => Clause { option, name: name.into(), formula: Some(read(right)) },
            None => Clause { option, name: String::new(), formula: None },
        }
    };
    text.split("; ").map(one).collect()
}

/// The names of what has gradients: operands, and parameters below the operator's path.
fn targets(op: &OpDef, sample: &Sample) -> Vec<String> {
    let operands = op.operands.iter().map(|operand| operand.name.to_string());
    operands.chain(sample.model_params()).collect()
}

/// Whether every step of the operator, written out, works element by element.
fn elementwise(sample: &Sample) -> bool {
    let graph = pipeline::forward(&sample.model, Mode::Eval, DType::F64, Stage::Flat);
    let bodies = graph.ids().map(|id| &graph.node(id).op.body);
    let mut bodies = bodies.filter(|body| !matches!(body, Body::Source)).peekable();
    bodies.peek().is_some() && bodies.all(|body| matches!(body, Body::Map { .. }))
}

/// Whether a formula speaks of a whole row, or of matrices.
fn along_a_row(formula: &Formula) -> bool {
    ["sum", "mean", "n", "i", "softmax", "first", "suffix_sum"].iter().any(|name| formula.names(name))
}

fn of_matrices(formula: &Formula) -> bool {
    formula.names("·") || formula.names("ᵀ")
}

/// Whether an attribute is as if nothing had been said of it, or says only what the sample's shape shows.
fn as_usual(sample: &Sample, formulas: &[&Formula], options: bool) -> bool {
    // A number in the place of the second operand.
    let number = |name: &str| name == "value" && sample.types().get(1).is_none_or(Option::is_none);
    sample.op.attrs.iter().all(|def| {
        let usual = default(def.default, |name| Some(sample.attrs.get(name).clone()));
        let told = formulas.iter().any(|formula| formula.names(def.name)) || number(def.name);
        let shape = def.kinds.iter().any(|kind| matches!(kind, AttrKind::Axis | AttrKind::Axes | AttrKind::Shape));
        let chosen = def.kinds.iter().any(|kind| matches!(kind, AttrKind::Choice(_))) && options;
        // A flag may bring parameters, which are formulas' names.
        let flag = def.kinds.contains(&AttrKind::Bool) && !sample.model_params().is_empty();
        def.default == AttrDefault::Required || *sample.attrs.get(def.name) == usual || told || shape || chosen || flag
    })
}

fn told_options(sample: &Sample) -> bool {
    clauses(sample.op, sample.op.derivative).iter().any(|clause| clause.option.is_some())
}

/// One run of a sample: what went in, what came out.
struct Trial {
    graph: Graph,
    given: Given,
    got: Named,
}

/// Numbers of all kinds, then numbers on the corners: kinks, the attributes themselves, 0, and ties between operands.
fn trials(sample: &Sample) -> Vec<Trial> {
    let graph = pipeline::gradients(&sample.model, Mode::Eval, DType::F64, Stage::Fused);
    let none = Binding::new();
    let plain = given(&graph, sample.op, &none, Numbers::Ordinary, 11);
    let mut corners = plain.clone();
    let (low, high) = sample.op.facts.domain;
    let told = sample.op.attrs.iter().filter_map(|def| sample.attrs.float(def.name));
    let values = sample.op.facts.kinks.iter().copied().chain(told.flat_map(|x| [x, -x])).chain([0.0, 1.0, -1.0]);
    let values: Vec<f64> = values.chain([3.0, -3.0, 6.0]).filter(|&x| x >= low && x <= high).collect();
    let mut first: Vec<f64> = vec![];
    for (place, value) in corners.inputs.values_mut().filter(|value| value.dtype().is_float()).enumerate() {
        let own = numbers(value).into_iter().enumerate();
        let cornered = own.map(|(at, x)| match (place, at % 2) {
            (0, 0) => values.get(at / 2 % values.len().max(1)).copied().unwrap_or(x),
            (1.., 1) => first.get(at).copied().unwrap_or(x),
            _ => x,
        });
        let cornered: Vec<f64> = cornered.collect();
        *value = tensor(value.shape(), cornered.clone());
        if place == 0 {
            first = cornered;
        }
    }
    [plain, corners]
        .into_iter()
        .map(|given| {
            let (got, _) = run(&graph, DType::F64, 1, &given, &none).expect("it runs");
            Trial { graph: graph.clone(), given, got }
        })
        .collect()
}

fn arrayed(value: &wythe::tensor::Tensor) -> Array {
    array(value.shape(), numbers(value))
}

/// The gradient of a target in a trial.
fn gradient(trial: &Trial, sample: &Sample, target: &str) -> Option<Array> {
    let input = inputs_of(sample).into_iter().find(|(name, _)| name == target).map(|(_, input)| input);
    let place = input.map(|input| format!("GradInput({input:?})")).or_else(|| {
        let own = |path: &str| path.rsplit('.').next() == Some(target);
        let index = trial.graph.params.iter().position(|param| own(&param.path) && param.role != Role::State)?;
        Some(format!("GradParam({index})"))
    });
    trial.got.get(&place?).map(arrayed)
}

/// The operands that are there: their names, and those of the model's inputs.
fn inputs_of(sample: &Sample) -> Vec<(String, String)> {
    let item = last_use(&sample.model.body).expect("a sample uses its operator");
    let input = |value: &ValueId| sample.model.inputs.iter().find(|port| port.value == *value)?.name.clone();
    let operands = sample.op.operands.iter().zip(&item.operands);
    operands.filter_map(|(operand, value)| Some((operand.name.to_string(), input(value.as_ref()?)?))).collect()
}

/// What a formula may speak of.
fn values(trial: &Trial, sample: &Sample, parts: Vec<(String, Formula)>) -> Values {
    let op = sample.op;
    let mut values = Values { parts: parts.into_iter().collect(), ..Values::default() };
    let number = |x: f64| Array::from_elem(IxDyn(&[]), x);
    for def in op.attrs {
        let told = sample.attrs.float(def.name);
        let absent = (*sample.attrs.get(def.name) == Attr::None).then_some(match def.name {
            "min" => f64::NEG_INFINITY,
            "max" => f64::INFINITY,
            _ => 0.0,
        });
        if let Some(x) = told.or(absent) {
            values.arrays.insert(def.name.into(), number(x));
        }
    }
    if let (Some(x), Some(second)) = (values.arrays.get("value").cloned(), op.operands.get(1)) {
        values.arrays.insert(second.name.into(), x);
    }
    for (name, input) in inputs_of(sample) {
        values.arrays.insert(name, arrayed(&trial.given.inputs[&input]));
    }
    for (path, value) in &trial.given.weights {
        values.arrays.insert(path.rsplit('.').next().unwrap_or("").into(), arrayed(value));
    }
    let outs = trial.got.iter().filter(|(name, _)| name.starts_with("Out("));
    if let Some((_, value)) = outs.into_iter().next() {
        // An operand may have that name, too.
        values.arrays.entry("y".into()).or_insert_with(|| arrayed(value));
    }
    if let Some(value) = trial.given.cotangents.iter().flatten().map(|(_, value)| value).next() {
        values.arrays.insert("dy".into(), arrayed(value));
    }
    if let Some(first) = inputs_of(sample).first() {
        let n = values.arrays[&first.0].len();
        values.arrays.insert("n".into(), number(n as f64));
        values.arrays.insert("i".into(), array(&[n], (0..n).map(|i| i as f64).collect()));
    }
    values
}

/// A gradient in the shape of what it is for: spread where it is the same, summed over axes that were missing.
fn fitted(found: Array, shape: &[usize]) -> Array {
    let mut found = found;
    while found.ndim() > shape.len() {
        found = found.sum_axis(Axis(0));
    }
    spread(&found, shape)
}

/// Formulas with the names on their left.
type Formulas = Vec<(String, Formula)>;

/// Compares the derivatives that an operator says with its gradients on one sample: how often each was computed, or what
/// differs.
fn compare(sample: &Sample, counts: &mut BTreeMap<String, usize>) -> Result<(), String> {
    let op = sample.op;
    let all = clauses(op, op.derivative);
    let targets = targets(op, sample);
    let chosen = |option: &str| {
        op.attrs.iter().any(|def| matches!(sample.attrs.get(def.name), Attr::Str(word) if &**word == option))
    };
    let special = all.iter().any(|clause| clause.option.is_some_and(chosen));
    let own = |name: &str| {
        let name = name.strip_prefix('d').unwrap_or("");
        targets.iter().any(|target| target == name) || (is_halved(op) && (name == "a" || name == "b"))
    };
    // Parts are for all options; derivatives for the one that they name, or for where no other is.
    let speaks = |clause: &&Clause| clause.option.map_or(!special || !own(&clause.name), chosen);
    let mine: Vec<&Clause> = all.iter().filter(speaks).collect();
    let read = |clause: &&Clause| Some((clause.name.clone(), clause.formula.as_ref()?.as_ref().ok()?.clone()));
    let (formulas, parts) = mine.iter().filter_map(read).partition(|(name, _)| own(name));
    computed(sample, &formulas, parts, counts)
}

/// Whether a unit takes its input apart: `x = [a, b]`.
fn is_halved(op: &OpDef) -> bool {
    op.formula.ends_with(", x = [a, b]")
}

/// Whether the formulas speak of a sample: of its attributes, of as many operands, of its shape.
fn speak_of(sample: &Sample, formulas: &Formulas, everything: &[&Formula]) -> bool {
    let op = sample.op;
    let sizes: Vec<Vec<i64>> = sample.sizes().into_iter().flatten().collect();
    let whole = everything.iter().any(|formula| along_a_row(formula)) || is_halved(op);
    let matrices = everything.iter().any(|formula| of_matrices(formula));
    let fits = |shape: &Vec<i64>| !shape.contains(&0) && (!whole || shape.len() < 2) && (!matrices || shape.len() == 2);
    // A tuple where a row is meant, and more values than have names.
    let folded = whole && sizes.len() > 1 && op.operands.iter().any(|operand| operand.many);
    let several = sizes.len() > op.operands.len() || folded;
    // Of an operand that may hold anything, and of one that may be a number, the ids and the number are meant, unless it
    // has a formula of its own.
    let types = sample.types();
    let other = op.operands.iter().zip(&types).skip(1).any(|(operand, ty)| {
        let told = formulas.iter().any(|(own, _)| own[1..] == *operand.name);
        let number = operand.optional && op.attrs.iter().any(|def| def.name == operand.name);
        let ids = operand.dtype == Elements::Any && !op.formula.contains(operand.name);
        ty.is_some_and(|ty| ty.dtype.is_float() && !told && (ids || number))
    });
    !formulas.is_empty()
        && !several
        && !other
        && sizes.iter().all(fits)
        && as_usual(sample, everything, formulas[0].0 != "y" && told_options(sample))
}

/// Computes formulas, of gradients or of the output (`y`), beside what the kernels give.
fn computed(
    sample: &Sample,
    formulas: &Formulas,
    parts: Formulas,
    counts: &mut BTreeMap<String, usize>,
) -> Result<(), String> {
    let everything: Vec<&Formula> = formulas.iter().chain(&parts).map(|(_, formula)| formula).collect();
    if !speak_of(sample, formulas, &everything) {
        return Ok(());
    }
    let first = sample.sizes().first().and_then(|size| Some(size.as_ref()?.len())).unwrap_or(0);
    let matrices = everything.iter().any(|formula| of_matrices(formula));
    for trial in trials(sample) {
        let mut values = values(&trial, sample, parts.clone());
        let Some(y) = values.arrays.get("y").cloned() else { continue };
        if !values.arrays.contains_key("dy") && formulas[0].0 != "y" {
            continue;
        }
        // A row's number belongs to its row: told apart where there is one row.
        if !matrices && y.ndim() > 0 && y.ndim() < first {
            continue;
        }
        if is_halved(sample.op) {
            let x = values.arrays["x"].clone();
            let (a, b) = x.view().split_at(Axis(0), x.len() / 2);
            values.arrays.insert("a".into(), a.to_owned());
            values.arrays.insert("b".into(), b.to_owned());
        }
        let value = |(name, formula): &(String, Formula)| {
            formula.value(&values).map(|value| (name.clone(), value)).map_err(|why| format!("{name}: {why}"))
        };
        let mut found = formulas.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        if let ([(a, da), (b, db)], true) = (&found[..], is_halved(sample.op)) {
            assert_eq!((a.as_str(), b.as_str()), ("da", "db"));
            let half = [values.arrays["a"].len()];
            let both = [fitted(da.clone(), &half), fitted(db.clone(), &half)];
            let joined = concatenate(Axis(0), &[both[0].view(), both[1].view()]).expect("two halves");
            counts.extend([("da".to_string(), 1), ("db".to_string(), 1)]);
            found = vec![("dx".into(), joined)];
        }
        for (name, value) in found {
            let have = if name == "y" { Some(y.clone()) } else { gradient(&trial, sample, &name[1..]) };
            let Some(have) = have else { continue };
            let want: Vec<f64> = fitted(value, have.shape()).iter().copied().collect();
            let have: Vec<f64> = have.iter().copied().collect();
            let scale = 1.0 + want.iter().filter(|x| x.is_finite()).fold(0.0_f64, |most, x| most.max(x.abs()));
            let (off, at) = worst(&have, &want);
            if have.len() != want.len() || off > OFF * scale {
                let given = trial.given.inputs.values().map(|x| format!("{:?}", numbers(x).get(at)));
                let given: Vec<String> = given.collect();
                let (have, want) = (have.get(at), want.get(at));
                let shown = &sample.shown;
                return Err(format!(
                    "{shown}: {name}[{at}] is {have:?}, its formula gives {want:?} (inputs {given:?})"
                ));
            }
            *counts.entry(name).or_default() += 1;
        }
    }
    Ok(())
}

/// Whether some gradient of some use is not 0.
fn flows_back(samples: &[Sample]) -> bool {
    samples.iter().any(|sample| {
        let mode = if sample.op.facts.by_mode { Mode::Train } else { Mode::Eval };
        let graph = pipeline::gradients(&sample.model, mode, DType::F64, Stage::Fused);
        let given = given(&graph, sample.op, &Binding::new(), Numbers::Ordinary, 11);
        let Ok((got, _)) = run(&graph, DType::F64, 1, &given, &Binding::new()) else { return false };
        let grads = got.iter().filter(|(name, _)| name.starts_with("Grad"));
        grads.into_iter().any(|(_, value)| numbers(value).iter().any(|&x| x != 0.0))
    })
}

#[test]
fn every_derivative_is_said_and_its_formulas_are_the_gradients() {
    let (mut wrong, mut computed) = (vec![], 0);
    for (op, samples) in catalogue() {
        if op.derivative.is_empty() {
            if flows_back(samples) {
                wrong.push(format!("{}: says no derivative, and something flows back", op.name));
            }
            continue;
        }
        if !flows_back(samples) {
            wrong.push(format!("{}: says a derivative, and nothing flows back", op.name));
        }
        let mut counts = BTreeMap::new();
        for sample in samples {
            if let Err(why) = compare(sample, &mut counts) {
                wrong.push(format!("{}: {why}", op.name));
                break;
            }
        }
        computed += counts.len();
        let said = clauses(op, op.derivative);
        let names: BTreeSet<String> = samples.iter().flat_map(|sample| targets(op, sample)).collect();
        for clause in
            said.iter().filter(|clause| clause.name.strip_prefix('d').is_some_and(|name| names.contains(name)))
        {
            match &clause.formula {
                Some(Err(why)) => wrong.push(format!("{}: {} cannot be read: {why}", op.name, clause.name)),
                _ if !counts.contains_key(&clause.name) => {
                    wrong.push(format!("{}: {} was never computed", op.name, clause.name));
                }
                _ => {}
            }
        }
        let random = op.facts.random || op.facts.by_mode;
        if !random && samples.iter().all(elementwise) {
            // What is called y has a gradient that is called like that of the output: its formula is in words.
            let named =
                |operand: &&Operand| operand.dtype.allow(DType::F32) && !operand.optional && operand.name != "y";
            for operand in op.operands.iter().filter(named) {
                let own = format!("d{}", operand.name);
                if !counts.contains_key(&own) {
                    wrong
                        .push(format!("{}: works element by element, and no formula `{own} = …` is computed", op.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{} derivatives", wrong.join("\n"), wrong.len());
    assert!(computed > 100 || std::env::var("ONLY").is_ok(), "{computed}");
}

/// Operators that work element by element and whose formula is said in words.
const IN_WORDS: &[&str] = &["erf", "round", "fmax", "fmin", "logical_not"];

#[test]
fn formulas_of_elementwise_operators_give_what_the_kernels_give() {
    let (mut wrong, mut tried) = (vec![], 0);
    for (op, samples) in catalogue() {
        let random = op.facts.random || op.facts.by_mode;
        let text = op.formula.split(", x = [").next().unwrap_or("");
        let alone = !samples.is_empty() && samples.iter().all(elementwise);
        // Two ways to say a number; of a comparison the sign is meant.
        let truth = op.shape.contains("bool[..]") || op.name.len() == 2;
        let formulas = match read(text) {
            Ok(Formula::Call(sign, sides)) if sign == "=" && !truth => sides,
            Ok(formula) => vec![formula],
            Err(why) => {
                if alone && !random && !IN_WORDS.contains(&op.name) {
                    wrong.push(format!("{}: {text} cannot be read: {why}", op.name));
                }
                continue;
            }
        };
        if random || !(alone || is_halved(op)) {
            continue;
        }
        let mut counts = BTreeMap::new();
        for sample in samples {
            let formulas = formulas.iter().map(|formula| ("y".to_string(), formula.clone())).collect();
            let part = |clause: Clause| Some((clause.name, clause.formula?.ok()?));
            let parts = clauses(op, op.derivative).into_iter().filter_map(part);
            let parts = parts.filter(|(name, _)| !name.starts_with('d')).collect();
            if let Err(why) = computed(sample, &formulas, parts, &mut counts) {
                wrong.push(format!("{}: {why}", op.name));
                break;
            }
        }
        if counts.is_empty() {
            wrong.push(format!("{}: its formula was never computed", op.name));
        }
        tried += counts.len();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 50 || std::env::var("ONLY").is_ok(), "{tried}");
}
