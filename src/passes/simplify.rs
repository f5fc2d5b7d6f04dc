//! What is not used goes: nodes that no output, statistic or update needs.

use crate::ir::graph::{Graph, NodeId, Port, Source};
use indexmap::IndexMap;

/// The same graph without dead nodes.
pub fn simplify(graph: &Graph) -> Graph {
    let live = live(graph);
    let mut out = Graph::over(graph.shapes.clone());
    out.fused = graph.fused.clone();
    let mut moved: Vec<Option<NodeId>> = vec![None; graph.len()];
    let move_port = |moved: &[Option<NodeId>], port: Port| match port.is_none() {
        true => Some(Port::NONE),
        false => moved[port.node.0 as usize].map(|node| Port { node, index: port.index }),
    };
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        let node = graph.node(id);
        let origin = out.origin(graph.origin_of(id).clone());
        let ins: Vec<Port> = graph.ins(id).iter().filter_map(|&port| move_port(&moved, port)).collect();
        moved[id.0 as usize] = Some(out.push(node.op, graph.attrs(id).clone(), &ins, graph.outs(id), origin));
    }
    out.sources = graph
        .sources
        .iter()
        .filter_map(|(id, source)| Some((moved[id.0 as usize]?, source.clone())))
        .collect::<IndexMap<_, _>>();
    let port = |port: Port| move_port(&moved, port).unwrap_or(Port::NONE);
    out.params = graph.params.clone();
    for param in &mut out.params {
        param.port = port(param.port);
        param.next = param.next.map(port);
    }
    out.outputs = graph.outputs.iter().map(|(output, value)| (output.clone(), port(*value))).collect();
    out.writes = graph.writes.iter().map(|(value, source)| (port(*value), source.clone())).collect();
    out
}

/// Which nodes something needs; an input is part of the signature, used or not.
pub fn live(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.len()];
    let inputs = graph.sources.iter().filter(|(_, source)| matches!(source, Source::Input(_)));
    inputs.for_each(|(node, _)| live[node.0 as usize] = true);
    for port in graph.roots() {
        live[port.node.0 as usize] = true;
    }
    // What moves has a place, also where nobody reads what stood there.
    let moving = graph.params.iter().filter(|param| param.next.is_some());
    moving.for_each(|param| live[param.port.node.0 as usize] = true);
    for id in graph.ids().rev() {
        if live[id.0 as usize] {
            for port in graph.ins(id).iter().filter(|port| !port.is_none()) {
                live[port.node.0 as usize] = true;
            }
        }
    }
    live
}
