//! Elementwise neighbours become one pass over memory.
//!
//! Walking backwards, an elementwise node joins its users' group if all of its users are in that one group and its shape
//! is the group's: then no path leaves the group and comes back, and the group's only result is its last node. Norms,
//! softmax and attention were never taken apart, so nothing has to be found again.

use crate::ir::attr::{Attr, AttrDef, AttrKind, Attrs};
use crate::ir::graph::{Fused, FusedArg, FusedStep, Graph, NodeId, Port};
use crate::ir::op::{Body, OpDef, Operand};
use indexmap::IndexMap;

/// The most operands and instructions of one group: what a tile's registers hold.
const MOST_OPERANDS: usize = 12;
const MOST_STEPS: usize = 24;

const BODY: &[AttrDef] = &[AttrDef::required("body", &[AttrKind::Int], "index of the fused body")];

/// A fused group: its attribute `body` names its instructions.
pub static FUSED: OpDef = OpDef {
    name: "map.fused",
    doc: "Elementwise instructions in one pass over memory.",
    attrs: BODY,
    operands: &[Operand::any("x").many()],
    body: Body::Source,
    ..OpDef::DEFAULT
};

/// The same graph with every elementwise node in a group (often of one).
pub fn fuse(graph: &Graph) -> Graph {
    grouped(graph, &groups(graph))
}

/// The same graph with every elementwise node alone: what the joined ones are compared with.
pub fn unfused(graph: &Graph) -> Graph {
    let alone = |id: NodeId| graph.is_map(id).then_some(id);
    grouped(graph, &graph.ids().map(alone).collect::<Vec<_>>())
}

fn grouped(graph: &Graph, groups: &[Option<NodeId>]) -> Graph {
    let mut members: IndexMap<NodeId, Vec<NodeId>> = IndexMap::new();
    for id in graph.ids() {
        if let Some(root) = groups[id.0 as usize] {
            members.entry(root).or_default().push(id);
        }
    }
    rebuild(graph, groups, &members)
}

/// For each elementwise node the last node of its group.
fn groups(graph: &Graph) -> Vec<Option<NodeId>> {
    let mut users: Vec<Vec<NodeId>> = vec![vec![]; graph.len()];
    for id in graph.ids() {
        for port in graph.ins(id).iter().filter(|port| !port.is_none()) {
            users[port.node.0 as usize].push(id);
        }
    }
    let mut kept = vec![false; graph.len()];
    for port in graph.roots() {
        kept[port.node.0 as usize] = true;
    }
    let mut groups: Vec<Option<NodeId>> = vec![None; graph.len()];
    let mut sizes: IndexMap<NodeId, (usize, usize)> = IndexMap::new();
    for id in graph.ids().rev().filter(|&id| graph.is_map(id)) {
        let index = id.0 as usize;
        let first = users[index].first().and_then(|user| groups[user.0 as usize]);
        let operands = graph.ins(id).len();
        let joins = first.filter(|&root| {
            let same = users[index].iter().all(|user| groups[user.0 as usize] == Some(root));
            let (steps, inputs) = sizes[&root];
            let fits = steps < MOST_STEPS && inputs + operands <= MOST_OPERANDS;
            let shaped = graph.outs(id)[0].shape == graph.outs(root)[0].shape;
            same && fits && shaped && !kept[index] && float(graph, id) && float(graph, root)
        });
        let root = joins.unwrap_or(id);
        groups[index] = Some(root);
        let size = sizes.entry(root).or_insert((0, 1));
        *size = (size.0 + 1, size.1 + operands.saturating_sub(1));
    }
    groups
}

/// Registers hold the run's floats: what has other elements stands alone.
fn float(graph: &Graph, id: NodeId) -> bool {
    graph.outs(id)[0].dtype.is_float()
        && graph.ins(id).iter().filter(|port| !port.is_none()).take(1).all(|&port| graph.ty(port) == graph.ty(port))
}

fn rebuild(graph: &Graph, groups: &[Option<NodeId>], members: &IndexMap<NodeId, Vec<NodeId>>) -> Graph {
    let mut out = Graph::over(graph.shapes.clone());
    let mut moved: Vec<NodeId> = vec![NodeId(u32::MAX); graph.len()];
    let port = |moved: &[NodeId], port: Port| match port.is_none() {
        true => Port::NONE,
        false => Port { node: moved[port.node.0 as usize], index: port.index },
    };
    for id in graph.ids() {
        let index = id.0 as usize;
        let origin = out.origin(graph.origin_of(id).clone());
        match groups[index] {
            Some(root) if root == id => {
                let (body, operands) = body(graph, &members[&root], &mut out);
                let ins: Vec<Port> = operands.iter().map(|&operand| port(&moved, operand)).collect();
                out.fused.push(body);
                let attrs = Attrs::new(BODY, vec![Attr::Int(out.fused.len() as i64 - 1)]);
                moved[index] = out.push(&FUSED, attrs, &ins, graph.outs(id), origin);
            }
            Some(_) => {}
            None => {
                let ins: Vec<Port> = graph.ins(id).iter().map(|&operand| port(&moved, operand)).collect();
                moved[index] = out.push(graph.node(id).op, graph.attrs(id).clone(), &ins, graph.outs(id), origin);
            }
        }
    }
    out.sources = graph.sources.iter().map(|(id, source)| (moved[id.0 as usize], source.clone())).collect();
    out.params = graph.params.clone();
    for param in &mut out.params {
        param.port = port(&moved, param.port);
        param.next = param.next.map(|next| port(&moved, next));
    }
    out.outputs = graph.outputs.iter().map(|(output, value)| (output.clone(), port(&moved, *value))).collect();
    out.writes = graph.writes.iter().map(|(value, source)| (port(&moved, *value), source.clone())).collect();
    out
}

/// The instructions of a group, and the operands from outside, each once.
fn body(graph: &Graph, members: &[NodeId], out: &mut Graph) -> (Fused, Vec<Port>) {
    let mut operands: Vec<Port> = vec![];
    let mut steps: Vec<FusedStep> = vec![];
    let mut place: IndexMap<NodeId, u32> = IndexMap::new();
    for &id in members {
        let args = graph.ins(id).iter().filter(|port| !port.is_none()).map(|&port| match place.get(&port.node) {
            Some(&step) => FusedArg::Step(step),
            None => {
                let known = operands.iter().position(|&operand| operand == port);
                FusedArg::Operand(known.unwrap_or_else(|| {
                    operands.push(port);
                    operands.len() - 1
                }) as u32)
            }
        });
        let args = args.collect();
        let origin = out.origin(graph.origin_of(id).clone());
        place.insert(id, steps.len() as u32);
        steps.push(FusedStep { op: graph.node(id).op, attrs: graph.attrs(id).clone(), args, origin });
    }
    (Fused { steps }, operands)
}
