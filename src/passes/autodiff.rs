//! Reverse mode: every node's formula, applied from the loss back to what wants a gradient.
//!
//! The pass walks the nodes once, last to first. A value used twice has its gradients added in the order of that walk; an
//! operand with fewer leading axes than the result (a bias, a scalar) has its gradient summed over them, here and
//! nowhere else. What no wanted value depends on is never visited.

use crate::ir::build::{Builder, GradCx, Var};
use crate::ir::graph::{NodeId, Port};
use crate::ir::op::Gradient;
use crate::ops::movement::zeros_like;
use indexmap::IndexMap;

/// The gradients of `wanted` (none: it does not matter), from seeds: values and the gradients that flow into them.
pub fn gradients<'g>(builder: &'g Builder, seeds: &[(Port, Var<'g>)], wanted: &[Port]) -> Vec<Option<Var<'g>>> {
    let forward = builder.graph.borrow().len();
    let needed = needed(builder, forward, wanted);
    let mut grads: IndexMap<Port, Var<'g>> = IndexMap::new();
    for &(port, seed) in seeds {
        add(&mut grads, port, seed);
    }
    for id in (0..forward as u32).rev().map(NodeId) {
        if needed[id.0 as usize] {
            step(builder, id, &needed, &mut grads);
        }
    }
    wanted.iter().map(|port| grads.get(port).copied()).collect()
}

/// Which nodes depend on a wanted value.
fn needed(builder: &Builder, forward: usize, wanted: &[Port]) -> Vec<bool> {
    let graph = builder.graph.borrow();
    let mut needed = vec![false; forward];
    for port in wanted {
        needed[port.node.0 as usize] = true;
    }
    for id in graph.ids().take(forward) {
        let from_operand = graph.ins(id).iter().any(|port| !port.is_none() && needed[port.node.0 as usize]);
        let flows = !matches!(graph.node(id).op.gradient, Gradient::Zero);
        needed[id.0 as usize] |= from_operand && flows;
    }
    needed
}

fn add<'g>(grads: &mut IndexMap<Port, Var<'g>>, port: Port, grad: Var<'g>) {
    match grads.get_mut(&port) {
        Some(sum) => *sum = *sum + grad,
        None => {
            grads.insert(port, grad);
        }
    }
}

/// One node's formula.
fn step<'g>(builder: &'g Builder, id: NodeId, needed: &[bool], grads: &mut IndexMap<Port, Var<'g>>) {
    let (op, attrs, ports, outputs, origin) = {
        let graph = builder.graph.borrow();
        let outputs = graph.outs(id).len() as u32;
        (graph.node(id).op, graph.attrs(id).clone(), graph.ins(id).to_vec(), outputs, graph.origin_of(id).clone())
    };
    let Gradient::Formula(formula) = op.gradient else { return };
    let outs: Vec<Var<'g>> = (0..outputs).map(|index| builder.var(Port { node: id, index })).collect();
    let mut arriving: Vec<Option<Var<'g>>> = outs.iter().map(|out| grads.get(&out.port).copied()).collect();
    if arriving.iter().all(Option::is_none) {
        return;
    }
    builder.at_origin(origin);
    arriving[0] = arriving[0].or_else(|| Some(zeros_like(outs[0])));
    let ins: Vec<Option<Var<'g>>> = ports.iter().map(|&port| (!port.is_none()).then(|| builder.var(port))).collect();
    let wanted: Vec<bool> = ports.iter().map(|port| !port.is_none() && needed[port.node.0 as usize]).collect();
    let cx = GradCx { builder, attrs: &attrs, ins: &ins, outs: &outs, grads: &arriving, wanted: &wanted };
    for (index, grad) in formula(&cx).into_iter().enumerate() {
        if let Some(grad) = grad.filter(|_| wanted[index]) {
            add(grads, ports[index], sum_back(grad, builder.var(ports[index])));
        }
    }
}

/// A gradient summed over the leading axes that its operand lacks.
fn sum_back<'g>(grad: Var<'g>, operand: Var<'g>) -> Var<'g> {
    let missing = grad.rank() - operand.rank();
    let axes: Vec<usize> = (0..missing).collect();
    grad.sum(&axes, false)
}
