//! One run of one sample: numbers drawn from a seed, everything that comes out, and what differs.

use crate::model::{Given, Named, array, numbers, tensor};
use wythe::exec::bind::{Binding, inputs};
use wythe::exec::session::{COTANGENT, Host, Session};
use wythe::ir::graph::{Graph, Output};
use wythe::ir::op::{OpDef, Role};
use wythe::tensor::{DType, Tensor};

/// Numbers drawn from a seed: splitmix64.
pub struct Draw(pub u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 ≤ x < 1, exact in f32.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 40) as f64 / (1u64 << 24) as f64
    }

    /// Away from 0: ±0.3 … ±1.8, exact in f32.
    pub fn value(&mut self) -> f64 {
        let size = f64::from((0.3 + 1.5 * self.unit()) as f32);
        if self.bits() & 1 == 0 { size } else { -size }
    }
}

/// Which numbers are handed in.
#[derive(Clone, Copy, PartialEq)]
pub enum Numbers {
    /// Ordinary ones, inside the domain and away from kinks.
    Ordinary,
    /// ±100 in turn, all 100, all -100.
    Hundreds(usize),
}

fn element(op: &OpDef, numbers: Numbers, at: usize, draw: &mut Draw) -> f64 {
    match numbers {
        Numbers::Hundreds(0) => {
            if at.is_multiple_of(2) {
                100.0
            } else {
                -100.0
            }
        }
        Numbers::Hundreds(1) => 100.0,
        Numbers::Hundreds(_) => -100.0,
        Numbers::Ordinary => loop {
            let x = draw.value();
            let x = if op.facts.domain.0 >= 0.0 { x.abs() } else { x };
            if (op.facts.domain.0..=op.facts.domain.1).contains(&x)
                && op.facts.kinks.iter().all(|kink| (x - kink).abs() > 0.01)
            {
                return x;
            }
        },
    }
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Inputs, parameters, statistics and cotangents for a graph.
pub fn given(graph: &Graph, op: &OpDef, binding: &Binding, kind: Numbers, seed: u64) -> Given {
    let mut draw = Draw(seed);
    let sizes = |ty| graph.shapes.eval(ty, &|name| binding.get(name).copied()).expect("every size is bound");
    let mut given = Given { cotangents: Some(Named::new()), ..Given::default() };
    // Labels and ids are below every size in sight.
    let own = inputs(graph).into_iter().flat_map(|(_, ty)| sizes(ty.shape));
    let params = graph.params.iter().flat_map(|param| param.shape.clone());
    let outs = graph.outputs.iter().flat_map(|(_, port)| sizes(graph.ty(*port).shape));
    let below = own.chain(params).chain(outs).filter(|&n| n > 0).min().unwrap_or(1).min(3) as u64;
    for (name, ty) in inputs(graph) {
        let shape = sizes(ty.shape);
        let n = count(&shape);
        let value = match ty.dtype {
            DType::I64 => Tensor::I64(array(&shape, (0..n).map(|_| (draw.bits() % below) as i64).collect())),
            DType::Bool => Tensor::Bool(array(&shape, (0..n).map(|_| !draw.bits().is_multiple_of(4)).collect())),
            _ => tensor(&shape, (0..n).map(|at| element(op, kind, at, &mut draw)).collect()),
        };
        given.inputs.insert(name.into(), value);
    }
    for param in &graph.params {
        let n = count(&param.shape);
        let value = match (param.ty.dtype, param.role) {
            (DType::I64, _) => Tensor::I64(array(&param.shape, vec![3; n])),
            (_, Role::State) => tensor(&param.shape, (0..n).map(|_| draw.value().abs()).collect()),
            _ => tensor(&param.shape, (0..n).map(|_| draw.value() / 2.0).collect()),
        };
        given.weights.insert(param.path.clone(), value);
    }
    let cotangents = given.cotangents.as_mut().expect("just made");
    for (output, port) in &graph.outputs {
        if let (Output::Out(name), ty) = (output, graph.ty(*port))
            && ty.dtype.is_float()
        {
            let shape = sizes(ty.shape);
            cotangents.insert(name.clone(), tensor(&shape, (0..count(&shape)).map(|_| draw.value()).collect()));
        }
    }
    given
}

/// Outputs, gradients and statistics of one run, and how many threads had a share of it.
pub fn run(
    graph: &Graph,
    float: DType,
    threads: usize,
    given: &Given,
    binding: &Binding,
) -> Result<(Named, usize), String> {
    let mut session = Session::new(vec![graph.clone()], float, threads).map_err(|error| error.to_string())?;
    for (path, value) in &given.weights {
        session.set(path, value).map_err(|error| error.to_string())?;
    }
    go(&mut session, graph, given, binding)
}

/// The same in a session that has its weights.
pub fn go(session: &mut Session, graph: &Graph, given: &Given, binding: &Binding) -> Result<(Named, usize), String> {
    let cotangents: Vec<(String, &Tensor)> =
        given.cotangents.iter().flatten().map(|(name, value)| (format!("{COTANGENT}{name}"), value)).collect();
    let own = given.inputs.iter().map(|(name, value)| (name.as_str(), value));
    let all: Vec<(&str, &Tensor)> = own.chain(cotangents.iter().map(|(name, value)| (name.as_str(), *value))).collect();
    let host = Host { seed: 1, step: 0, hypers: vec![] };
    let plan = session.prepare(0, binding).map_err(|error| error.to_string())?;
    session.feed(plan, &all, &host);
    session.execute(0, plan).map_err(|error| error.to_string())?;
    let outputs = session.outputs(plan);
    let named = outputs.into_iter().map(|(output, value)| (format!("{output:?}"), value));
    let states = graph.params.iter().filter(|param| param.role == Role::State);
    let states = states.filter_map(|param| Some((format!("State({})", param.path), session.get(&param.path)?)));
    let named = named.chain(states).collect();
    Ok((named, session.workers(plan)))
}

/// The first tensor whose bits differ.
pub fn different(a: &Named, b: &Named) -> Option<String> {
    let bits = |tensor: &Tensor| numbers(tensor).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let unequal = |(name, value): (&String, &Tensor)| {
        let other = b.get(name).map(bits).unwrap_or_default();
        let own = bits(value);
        if own == other {
            return None;
        }
        let at = own.iter().zip(&other).position(|(a, b)| a != b).unwrap_or(0);
        let show = |bits: &[u64]| bits.get(at).map_or("nothing".into(), |&bits| format!("{:e}", f64::from_bits(bits)));
        Some(format!("{name}[{at}] is {} and {}", show(&own), show(&other)))
    };
    a.iter().find_map(unequal)
}
