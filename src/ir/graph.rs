//! The flat graph: one mode, primitives only, everything that a run does as nodes (gradients, updates, statistics too).
//!
//! Nodes are small and `Copy`; attributes, types and edges live in tables beside them.

use super::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, default};
use super::op::{Body, Misfit, OpDef, Role, RuleCx};
use super::shape::{Shapes, Type};
use crate::text::Span;
use indexmap::IndexMap;

/// A node's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// An output of a node; edges are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// The node.
    pub node: NodeId,
    /// Which output.
    pub index: u32,
}

impl Port {
    /// An absent optional operand.
    pub const NONE: Port = Port { node: NodeId(u32::MAX), index: 0 };

    /// Whether it stands for an absent operand.
    pub fn is_none(self) -> bool {
        self == Port::NONE
    }
}

/// A use of a primitive.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// The primitive.
    pub op: &'static OpDef,
    /// Index of its attributes.
    attrs: u32,
    /// Where its edges begin.
    ins: u32,
    /// Where its output types begin.
    outs: u32,
    /// How many edges.
    ins_len: u16,
    /// How many outputs.
    outs_len: u16,
    /// Index of its origin.
    pub origin: u32,
}

// Graphs of 60,000 nodes are walked by every pass.
const _: () = assert!(size_of::<Node>() <= 32);

/// Where a node comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Origin {
    /// The path of the application, copies resolved: `h.3.attn.dropout`.
    pub path: String,
    /// The place in the text.
    pub span: Span,
}

/// What a source node stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// An input of the model, or a target.
    Input(String),
    /// The cotangent of an output.
    Cotangent(String),
    /// A parameter or running statistic: an index into [`Graph::params`].
    Param(u32),
    /// A slot of an optimizer's state: parameter index and slot number.
    Slot(u32, u32),
    /// `i64[]`: the seed of the run.
    Seed,
    /// `i64[]`: the number of the step.
    Step,
    /// `f64[8]`: the host scalars of an optimizer group (learning rate and what the update says).
    Hyper(u32),
}

/// A parameter or running statistic of the flat graph.
#[derive(Clone, Debug)]
pub struct Param {
    /// `h.3.attn.attention.in_proj_weight`.
    pub path: String,
    /// Its sizes (always numbers).
    pub shape: Vec<usize>,
    /// Its type in this graph.
    pub ty: Type,
    /// How it begins.
    pub init: super::attr::Init,
    /// What it is.
    pub role: Role,
    /// The node that reads it.
    pub port: Port,
    /// For a running statistic: its value after the step.
    pub next: Option<Port>,
}

/// What a graph gives back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// An output of the model, by name (`out` for a single unnamed one).
    Out(String),
    /// The gradient of an input.
    GradInput(String),
    /// The gradient of a parameter, by index.
    GradParam(u32),
    /// The loss.
    Loss,
    /// A named term of the loss.
    Term(String),
    /// A metric, by name.
    Metric(String),
    /// The norm of all gradients before clipping.
    GradNorm,
    /// The norm before clipping of the gradients whose paths fit a pattern.
    GradNormOf(String),
}

/// A fused elementwise body: steps over operands and earlier steps.
#[derive(Clone, Debug)]
pub struct Fused {
    /// In order; the last is the result.
    pub steps: Vec<FusedStep>,
}

/// One instruction of a fused body.
#[derive(Clone, Debug)]
pub struct FusedStep {
    /// A primitive of class Map.
    pub op: &'static OpDef,
    /// Its attributes.
    pub attrs: Attrs,
    /// Its operands.
    pub args: Vec<FusedArg>,
    /// Its origin (randomness is keyed by its path).
    pub origin: u32,
}

/// An operand of a fused instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FusedArg {
    /// The node's operand of this number.
    Operand(u32),
    /// The result of an earlier step.
    Step(u32),
}

/// The flat graph.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Sizes and shapes.
    pub shapes: Shapes,
    nodes: Vec<Node>,
    edges: Vec<Port>,
    types: Vec<Type>,
    attrs: Vec<Attrs>,
    origins: Vec<Origin>,
    /// What the source nodes stand for.
    pub sources: IndexMap<NodeId, Source>,
    /// Parameters and statistics, in the order of their first use.
    pub params: Vec<Param>,
    /// What is given back.
    pub outputs: Vec<(Output, Port)>,
    /// The bodies of fused nodes: their attribute `body` is an index into this.
    pub fused: Vec<Fused>,
    /// Updates of parameters and slots that happen in place: (node, what it writes).
    pub writes: Vec<(Port, Source)>,
}

impl Default for Graph {
    fn default() -> Graph {
        Graph {
            shapes: Shapes::default(),
            nodes: vec![],
            edges: vec![],
            types: vec![],
            attrs: vec![],
            // Number 0 is nowhere: where inputs come from.
            origins: vec![Origin::default()],
            sources: IndexMap::new(),
            params: vec![],
            outputs: vec![],
            fused: vec![],
            writes: vec![],
        }
    }
}

impl Graph {
    /// An empty graph over these sizes.
    pub fn over(shapes: Shapes) -> Graph {
        Graph { shapes, ..Graph::default() }
    }

    /// Interns an origin; nodes added with it carry it.
    pub fn origin(&mut self, origin: Origin) -> u32 {
        if self.origins.last() != Some(&origin) {
            self.origins.push(origin);
        }
        (self.origins.len() - 1) as u32
    }

    /// Where a node comes from.
    pub fn origin_of(&self, node: NodeId) -> &Origin {
        &self.origins[self.node(node).origin as usize]
    }

    /// An origin by its number.
    pub fn origin_at(&self, origin: u32) -> &Origin {
        &self.origins[origin as usize]
    }

    /// Adds a node; its shape rule gives the types of its outputs. Undecided needs are the caller's (sizes were checked
    /// before; `verify` asks again).
    pub fn add(&mut self, op: &'static OpDef, attrs: Attrs, ins: &[Port], origin: u32) -> Result<NodeId, Misfit> {
        let types: Vec<Option<Type>> = ins.iter().map(|&port| self.type_or_none(port)).collect();
        let mut cx = RuleCx::new(&mut self.shapes, &attrs, &types);
        (op.rule)(&mut cx)?;
        let outs = cx.outs;
        Ok(self.push(op, attrs, ins, &outs, origin))
    }

    /// Adds a node of known output types (sources, fused nodes).
    pub fn push(&mut self, op: &'static OpDef, attrs: Attrs, ins: &[Port], outs: &[Type], origin: u32) -> NodeId {
        if self.origins.is_empty() {
            self.origins.push(Origin::default());
        }
        let node = Node {
            op,
            attrs: self.attrs.len() as u32,
            ins: self.edges.len() as u32,
            outs: self.types.len() as u32,
            ins_len: ins.len() as u16,
            outs_len: outs.len() as u16,
            origin,
        };
        self.attrs.push(attrs);
        self.edges.extend_from_slice(ins);
        self.types.extend_from_slice(outs);
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// Adds a source node.
    pub fn add_source(&mut self, op: &'static OpDef, source: Source, ty: Type, origin: u32) -> Port {
        let node = self.push(op, Attrs::new(&[], vec![]), &[], &[ty], origin);
        self.sources.insert(node, source);
        Port { node, index: 0 }
    }

    /// The parameter or statistic that stands at a port.
    pub fn param_of(&self, port: Port) -> Option<&Param> {
        match self.sources.get(&port.node) {
            Some(Source::Param(index)) if !port.is_none() => self.params.get(*index as usize),
            _ => None,
        }
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All nodes in order; operands come before their users.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The attributes of a node.
    pub fn attrs(&self, id: NodeId) -> &Attrs {
        &self.attrs[self.node(id).attrs as usize]
    }

    /// The operands of a node.
    pub fn ins(&self, id: NodeId) -> &[Port] {
        let node = self.node(id);
        &self.edges[node.ins as usize..node.ins as usize + node.ins_len as usize]
    }

    /// The types of a node's outputs.
    pub fn outs(&self, id: NodeId) -> &[Type] {
        let node = self.node(id);
        &self.types[node.outs as usize..node.outs as usize + node.outs_len as usize]
    }

    /// The type of a value.
    pub fn ty(&self, port: Port) -> Type {
        self.outs(port.node)[port.index as usize]
    }

    fn type_or_none(&self, port: Port) -> Option<Type> {
        (!port.is_none()).then(|| self.ty(port))
    }

    /// The output of that kind.
    pub fn output(&self, wanted: &Output) -> Option<Port> {
        self.outputs.iter().find(|(output, _)| output == wanted).map(|(_, port)| *port)
    }

    /// Values that must be computed: outputs, statistics, in-place updates.
    pub fn roots(&self) -> Vec<Port> {
        let states = self.params.iter().filter_map(|param| param.next);
        self.outputs
            .iter()
            .map(|(_, port)| *port)
            .chain(states)
            .chain(self.writes.iter().map(|(port, _)| *port))
            .collect()
    }

    /// As text: a line a node, what `graph --stage flat` prints.
    pub fn show(&self) -> String {
        let mut text = String::new();
        for id in self.ids() {
            text.push_str(&self.show_node(id));
            text.push('\n');
        }
        for (output, port) in &self.outputs {
            text.push_str(&format!("{output:?} = {}\n", show_port(*port)));
        }
        for (param, next) in self.params.iter().filter_map(|param| Some((param, param.next?))) {
            text.push_str(&format!("{} <- {}\n", param.path, show_port(next)));
        }
        for (port, source) in &self.writes {
            text.push_str(&format!("{} <- {}\n", self.show_source(source), show_port(*port)));
        }
        text
    }

    fn show_source(&self, source: &Source) -> String {
        match source {
            Source::Input(name) => format!("input {name}"),
            Source::Cotangent(name) => format!("cotangent {name}"),
            Source::Param(index) => format!("param {}", self.params[*index as usize].path),
            Source::Slot(index, slot) => format!("slot {slot} of {}", self.params[*index as usize].path),
            Source::Seed => "seed".into(),
            Source::Step => "step".into(),
            Source::Hyper(group) => format!("hyper {group}"),
        }
    }

    /// What a node does, without its operands: `linear(out = 256)`, `param stem.weight`, `map[gelu mul]`.
    pub fn show_word(&self, id: NodeId) -> String {
        match (self.sources.get(&id), self.attrs(id).int("body")) {
            (Some(source), _) => self.show_source(source),
            (None, Some(body)) => {
                let steps = &self.fused[body as usize].steps;
                format!("map[{}]", steps.iter().map(|step| step.op.name).collect::<Vec<_>>().join(" "))
            }
            (None, None) => format!("{}{}", self.node(id).op.name, show_attrs(self.attrs(id), &self.shapes)),
        }
    }

    fn show_node(&self, id: NodeId) -> String {
        let types: Vec<String> = self.outs(id).iter().map(|&ty| self.shapes.show(ty)).collect();
        let word = self.show_word(id);
        let ins: Vec<String> = self.ins(id).iter().map(|&port| show_port(port)).collect();
        // A source says itself what it is.
        let at = if self.sources.contains_key(&id) { "" } else { &self.origin_of(id).path };
        let at = if at.is_empty() { String::new() } else { format!("   // {at}") };
        format!("%{} = {word} {} -> {}{at}", id.0, ins.join(" "), types.join(", "))
    }

    /// Whether a node's class is elementwise.
    pub fn is_map(&self, id: NodeId) -> bool {
        matches!(self.node(id).op.body, Body::Map { .. })
    }
}

/// `%3`, `%3.1`, `_` for an absent operand.
fn show_port(port: Port) -> String {
    match port.index {
        _ if port.is_none() => "_".into(),
        0 => format!("%{}", port.node.0),
        index => format!("%{}.{index}", port.node.0),
    }
}

/// The attributes that are not left to their defaults: `(out = 256)`; empty where there are none.
pub fn show_attrs(attrs: &Attrs, shapes: &Shapes) -> String {
    let shown: Vec<String> =
        given(attrs).map(|(def, value)| format!("{} = {}", def.name, show_attr(value, shapes))).collect();
    if shown.is_empty() { String::new() } else { format!("({})", shown.join(", ")) }
}

/// The same as a user would write them, initialisers left out: `256`, `stride = 2`. A size that must be given stands
/// without its name.
pub fn shown_given(attrs: &Attrs, shapes: &Shapes) -> Vec<String> {
    let named = |(def, value): (&AttrDef, &Attr)| {
        let value = show_attr(value, shapes);
        let axis = def.kinds.iter().any(|kind| matches!(kind, AttrKind::Axis | AttrKind::Axes));
        let plain = def.positional && def.default == AttrDefault::Required && !axis;
        if plain { value } else { format!("{} = {value}", def.name) }
    };
    given(attrs).filter(|(_, value)| !matches!(value, Attr::Init(_))).map(named).collect()
}

fn given(attrs: &Attrs) -> impl Iterator<Item = (&AttrDef, &Attr)> {
    let same = |name: &str| Some(attrs.get(name).clone());
    let all = attrs.defs().iter().zip(attrs.values());
    all.filter(move |(def, value)| **value != Attr::None && **value != default(def.default, same))
}

/// One attribute as a user writes it.
pub fn show_attr(value: &Attr, shapes: &Shapes) -> String {
    match value {
        Attr::None => "none".into(),
        Attr::Bool(value) => value.to_string(),
        Attr::Int(value) => value.to_string(),
        Attr::Float(value) => format!("{value:?}"),
        Attr::Str(value) => format!("{value:?}"),
        Attr::Dim(dim) => shapes.dims.show(*dim),
        Attr::List(items) => {
            format!("[{}]", items.iter().map(|item| show_attr(item, shapes)).collect::<Vec<_>>().join(", "))
        }
        Attr::Rest => "...".into(),
        Attr::Stage(stage) => format!("{}{}", stage.op.name, show_attrs(&stage.attrs, shapes)),
        Attr::Init(init) => format!("{init:?}"),
        Attr::Layer(layer) => format!("layer {}", layer.index),
    }
}
