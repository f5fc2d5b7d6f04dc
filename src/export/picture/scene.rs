//! What a picture shows: boxes and edges, and frames that hold such scenes. Where they stand is said elsewhere.

mod words;

use crate::ir::graph::{Graph, NodeId};
use crate::ir::structured::{Item, OpItem, Part, Region, RepeatItem, Run, ScopeItem, ScopeKind, Structured, ValueId};
use indexmap::{IndexMap, IndexSet};
use std::ops::Range;
use words::Words;

/// Boxes, in the order of the text, and what flows between them. In a frame the first boxes are its entries and the
/// last ones its exits.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    pub boxes: Vec<Piece>,
    pub edges: Vec<Edge>,
}

/// One thing that is drawn.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub what: What,
    /// What is said when a pointer rests on it.
    pub tip: String,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// Where a value enters a frame.
    Entry,
    /// Where one leaves it.
    Exit,
    /// An input or output of the model: its name and type.
    Port { name: String, ty: String },
    /// A use of an operator.
    Node(Node),
    /// An operator between two values, written as a sign; deep norm's alpha beside it.
    Sign { sign: String, aside: String },
    /// A group.
    Frame(Box<Frame>),
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The name the user gave it.
    pub name: String,
    /// `linear(256)`.
    pub text: String,
    /// `200,960`: its parameters, or that they are counted elsewhere.
    pub count: String,
    /// Whether it owns parameters.
    pub learned: bool,
    /// Whether it acts differently in eval.
    pub by_mode: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub kind: FrameKind,
    /// The first line is its name, the others say more.
    pub lines: Vec<String>,
    /// How many copies it stands for.
    pub copies: u64,
    pub scene: Scene,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Repeat,
    Block,
    Residual,
    Flow,
}

/// A value on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    /// From which box,
    pub from: usize,
    /// and which of its outputs (of a frame: which exit).
    pub from_port: usize,
    pub to: usize,
    /// Which of its operands (of a frame: which entry).
    pub to_port: usize,
    /// Its type, where that has changed.
    pub label: String,
}

impl Scene {
    fn add(&mut self, what: What, tip: String) -> usize {
        self.boxes.push(Piece { what, tip });
        self.boxes.len() - 1
    }
}

/// The scene of a model.
pub(super) fn of_model(model: &Structured) -> Scene {
    let mut maker = Maker { words: Words::new(model), alias: IndexMap::new() };
    let mut scene = Scene::default();
    let mut made = IndexMap::new();
    for port in &model.inputs {
        let (name, ty) = (port.name.clone().unwrap_or_else(|| "x".into()), maker.words.typed(port.value));
        let tip = format!("input {name}: {ty}");
        made.insert(port.value, (scene.add(What::Port { name, ty }, tip), 0));
    }
    let outputs: Vec<ValueId> = model.outputs.iter().map(|port| port.value).collect();
    maker.region(&model.body, &outputs, &mut scene, &mut made, &[]);
    for port in &model.outputs {
        let (name, ty) = (port.name.clone().unwrap_or_else(|| "out".into()), maker.words.typed(port.value));
        let tip = format!("output {name}: {ty}");
        let at = scene.add(What::Port { name, ty }, tip);
        maker.edge(port.value, at, 0, &mut scene, &made, false);
    }
    scene
}

/// The scene of a flat graph: a box a node.
pub(super) fn of_graph(graph: &Graph) -> Scene {
    let mut scene = Scene::default();
    let mut at: IndexMap<NodeId, usize> = IndexMap::new();
    for id in graph.ids() {
        let (text, path) = (graph.show_word(id), graph.origin_of(id).path.clone());
        let tip = if path.is_empty() { text.clone() } else { format!("{text} at {path}") };
        let node = Node { name: String::new(), text, count: String::new(), learned: false, by_mode: false };
        let to = scene.add(What::Node(node), tip);
        at.insert(id, to);
        for (to_port, port) in graph.ins(id).iter().enumerate().filter(|(_, port)| !port.is_none()) {
            let label = graph.shapes.show(graph.ty(*port));
            let from = at[&port.node];
            scene.edges.push(Edge { from, from_port: port.index as usize, to, to_port, label });
        }
    }
    for (output, port) in &graph.outputs {
        let (name, ty) = (format!("{output:?}"), graph.shapes.show(graph.ty(*port)));
        let to = scene.add(What::Port { name: name.clone(), ty: ty.clone() }, format!("output {name}: {ty}"));
        let (from, from_port) = (at[&port.node], port.index as usize);
        scene.edges.push(Edge { from, from_port, to, to_port: 0, label: String::new() });
    }
    scene
}

/// A value's names on both sides of a frame's border, the one that comes first in the flow first.
type Renamed = (ValueId, ValueId);

/// Which box, and which of its outputs, gives a value.
type Made = IndexMap<ValueId, (usize, usize)>;

struct Maker<'m> {
    words: Words<'m>,
    /// What a repeat of no copies gives back is what flowed into it.
    alias: IndexMap<ValueId, ValueId>,
}

impl Maker<'_> {
    /// Adds the boxes of a region; `exits` are the values of it that are wanted afterwards, `outer` the path around it.
    fn region(&mut self, region: &Region, exits: &[ValueId], scene: &mut Scene, made: &mut Made, outer: &[Part]) {
        let mut items = vec![];
        flatten(region, &mut items);
        // What is wanted after each item.
        let mut wanted: Vec<IndexSet<ValueId>> = vec![exits.iter().copied().collect()];
        for item in items.iter().rev() {
            let mut set = wanted[wanted.len() - 1].clone();
            set.extend(uses(item));
            wanted.push(set);
        }
        wanted.reverse();
        for (item, wanted) in items.into_iter().zip(&wanted[1..]) {
            match item {
                Item::Op(op) => self.op(op, scene, made),
                Item::Repeat(repeat) => self.repeat(repeat, scene, made),
                Item::Scope(scope) => self.scope(scope, wanted, scene, made, outer),
            }
        }
    }

    fn op(&mut self, op: &OpItem, scene: &mut Scene, made: &mut Made) {
        let given: Vec<ValueId> = op.operands.iter().flatten().map(|&value| self.resolve(value)).collect();
        let (what, tip) = self.words.op(op);
        let at = scene.add(what, tip);
        for (port, &value) in given.iter().enumerate() {
            if !given[..port].contains(&value) {
                self.edge(value, at, port, scene, made, true);
            }
        }
        // A label says only what is new.
        for (port, &value) in op.outs.iter().enumerate() {
            made.insert(value, (at, port));
            let same = given.first().is_some_and(|&first| self.words.same_type(first, value));
            self.words.labelled(value, !same);
        }
    }

    fn repeat(&mut self, repeat: &RepeatItem, scene: &mut Scene, made: &mut Made) {
        let mut flowing = repeat.ins.clone();
        let left_out = left_out(repeat);
        for (index, run) in repeat.runs.iter().enumerate() {
            if left_out.contains(&index) {
                if index + 1 == left_out.end {
                    self.more(repeat, &left_out, &flowing, scene, made);
                    flowing.clone_from(&run.results);
                }
                continue;
            }
            let last = index + 1 == repeat.runs.len();
            let free = free_of(&run.region, &run.params);
            let entries = run.params.iter().zip(&flowing).map(|(&inner, &outer)| (outer, inner));
            let entries: Vec<_> = entries.chain(free.into_iter().map(|value| (value, value))).collect();
            let outs = if last { &repeat.outs } else { &run.results };
            let exits: Vec<_> = run.results.iter().copied().zip(outs.iter().copied()).collect();
            let lines = self.words.run(repeat, run);
            let tip = lines.join("  ");
            let frame = Frame { kind: FrameKind::Repeat, lines, copies: run.count, scene: Scene::default() };
            self.words.begin_run(repeat.id, run.first);
            self.frame(frame, (&run.region, &repeat.path), (&entries, &exits), tip, (scene, made));
            flowing.clone_from(&run.results);
        }
        if repeat.runs.is_empty() {
            self.alias.extend(repeat.outs.iter().copied().zip(repeat.ins.iter().copied()));
        }
    }

    /// One box for copies that differ from the first in nothing but their sizes.
    fn more(
        &mut self,
        repeat: &RepeatItem,
        runs: &Range<usize>,
        flowing: &[ValueId],
        scene: &mut Scene,
        made: &mut Made,
    ) {
        let runs = &repeat.runs[runs.clone()];
        let (node, tip) = self.words.more(repeat, runs);
        let at = scene.add(What::Node(node), tip);
        let free = runs.iter().flat_map(|run| free_of(&run.region, &run.params));
        let ins: IndexSet<ValueId> = flowing.iter().copied().chain(free).collect();
        for (port, &value) in ins.iter().enumerate() {
            self.edge(value, at, port, scene, made, true);
        }
        for (port, &value) in runs.last().map(|run| &run.results[..]).unwrap_or_default().iter().enumerate() {
            made.insert(value, (at, port));
            self.words.labelled(value, true);
        }
    }

    fn scope(
        &mut self,
        scope: &ScopeItem,
        wanted: &IndexSet<ValueId>,
        scene: &mut Scene,
        made: &mut Made,
        outer: &[Part],
    ) {
        let kind = match scope.kind {
            ScopeKind::Block => FrameKind::Block,
            ScopeKind::Residual => FrameKind::Residual,
            ScopeKind::Flow | ScopeKind::Skip | ScopeKind::Parallel | ScopeKind::Branch | ScopeKind::If => {
                FrameKind::Flow
            }
        };
        let defined = defined_in(&scope.region);
        let entries: Vec<_> = free_of(&scope.region, &[]).into_iter().map(|value| (value, value)).collect();
        let exits: Vec<_> =
            defined.iter().filter(|value| wanted.contains(*value)).map(|&value| (value, value)).collect();
        let lines = self.words.scope(scope, outer);
        let tip = lines.join("  ");
        let frame = Frame { kind, lines, copies: 1, scene: Scene::default() };
        self.frame(frame, (&scope.region, &scope.path), (&entries, &exits), tip, (scene, made));
    }

    /// Adds a frame; entries are named outside and inside, exits inside and outside.
    fn frame(
        &mut self,
        mut frame: Frame,
        (region, path): (&Region, &[Part]),
        (entries, exits): (&[Renamed], &[Renamed]),
        tip: String,
        (scene, made): (&mut Scene, &mut Made),
    ) {
        let mut inner = Made::new();
        for &(_, value) in entries {
            inner.insert(value, (frame.scene.add(What::Entry, String::new()), 0));
            self.words.labelled(value, false);
        }
        let results: Vec<ValueId> = exits.iter().map(|&(value, _)| value).collect();
        self.region(region, &results, &mut frame.scene, &mut inner, path);
        for &value in &results {
            let at = frame.scene.add(What::Exit, String::new());
            self.edge(value, at, 0, &mut frame.scene, &inner, true);
        }
        let frame = folded(frame, entries.len(), exits.len());
        let at = scene.add(What::Frame(Box::new(frame)), tip);
        for (port, &(value, _)) in entries.iter().enumerate() {
            self.edge(value, at, port, scene, made, true);
        }
        for (port, &(_, value)) in exits.iter().enumerate() {
            made.insert(value, (at, port));
            self.words.labelled(value, false);
        }
    }

    fn edge(&self, value: ValueId, to: usize, to_port: usize, scene: &mut Scene, made: &Made, labelled: bool) {
        let Some(&(from, from_port)) = made.get(&self.resolve(value)) else { return };
        let told = scene.edges.iter().any(|edge| (edge.from, edge.from_port) == (from, from_port));
        let label = if labelled && !told { self.words.label(value) } else { String::new() };
        scene.edges.push(Edge { from, from_port, to, to_port, label });
    }

    fn resolve(&self, mut value: ValueId) -> ValueId {
        while let Some(&other) = self.alias.get(&value) {
            value = other;
        }
        value
    }
}

/// Which runs of a repeat need no frame of their own: all but the first and the last where they are many and alike.
fn left_out(repeat: &RepeatItem) -> Range<usize> {
    let form = |run: &Run| {
        let mut form = String::new();
        form_of(&run.region, &mut form);
        form
    };
    let many = !repeat.is_for && repeat.runs.len() > 3;
    let alike = || {
        let first = form(&repeat.runs[0]);
        repeat.runs.iter().all(|run| form(run) == first)
    };
    if many && alike() { 1..repeat.runs.len() - 1 } else { 0..0 }
}

/// What a region is made of, sizes left out.
fn form_of(region: &Region, form: &mut String) {
    for item in &region.items {
        match item {
            Item::Op(op) => form.push_str(&op.word),
            Item::Scope(scope) => {
                form.extend(scope.label.chars().take_while(|c| *c != '('));
                form_of(&scope.region, form);
            }
            Item::Repeat(repeat) => repeat.runs.iter().for_each(|run| form_of(&run.region, form)),
        }
        form.push(';');
    }
}

/// A repeat around a single frame is one frame with the words of both.
fn folded(mut frame: Frame, entries: usize, exits: usize) -> Frame {
    let boxes = &frame.scene.boxes;
    if frame.kind != FrameKind::Repeat || boxes.len() != entries + exits + 1 {
        return frame;
    }
    let straight = |edge: &Edge| {
        edge.to == entries && edge.to_port == edge.from
            || edge.from == entries && edge.from_port + entries + 1 == edge.to
    };
    let What::Frame(inner) = &boxes[entries].what else { return frame };
    if !frame.scene.edges.iter().all(straight) || frame.scene.edges.len() != entries + exits || inner.copies != 1 {
        return frame;
    }
    let inner = (**inner).clone();
    frame.lines.extend(inner.lines);
    frame.scene = inner.scene;
    frame
}

/// The items of a region, with those of groups that are not drawn in their places.
fn flatten<'r>(region: &'r Region, items: &mut Vec<&'r Item>) {
    for item in &region.items {
        match item {
            Item::Scope(scope) if !is_drawn(scope) => flatten(&scope.region, items),
            Item::Op(_) | Item::Repeat(_) | Item::Scope(_) => items.push(item),
        }
    }
}

/// Whether a group has a frame: branches and skips show themselves.
fn is_drawn(scope: &ScopeItem) -> bool {
    match scope.kind {
        ScopeKind::Block | ScopeKind::Residual => !scope.region.items.is_empty(),
        ScopeKind::Flow => scope.region.items.len() > 1,
        ScopeKind::Skip | ScopeKind::Parallel | ScopeKind::Branch | ScopeKind::If => false,
    }
}

/// The values that an item takes from outside.
fn uses(item: &Item) -> IndexSet<ValueId> {
    let (mut defined, mut used) = (IndexSet::new(), IndexSet::new());
    walk(item, &mut defined, &mut used);
    used
}

/// The values that a region takes from outside, beside those that are handed in.
fn free_of(region: &Region, params: &[ValueId]) -> IndexSet<ValueId> {
    let (mut defined, mut used) = (params.iter().copied().collect(), IndexSet::new());
    region.items.iter().for_each(|item| walk(item, &mut defined, &mut used));
    used
}

/// The values that a region makes.
fn defined_in(region: &Region) -> IndexSet<ValueId> {
    let (mut defined, mut used) = (IndexSet::new(), IndexSet::new());
    region.items.iter().for_each(|item| walk(item, &mut defined, &mut used));
    defined
}

fn walk(item: &Item, defined: &mut IndexSet<ValueId>, used: &mut IndexSet<ValueId>) {
    match item {
        Item::Op(op) => {
            used.extend(op.operands.iter().flatten().filter(|value| !defined.contains(*value)));
            defined.extend(&op.outs);
        }
        Item::Scope(scope) => scope.region.items.iter().for_each(|item| walk(item, defined, used)),
        Item::Repeat(repeat) => {
            used.extend(repeat.ins.iter().filter(|value| !defined.contains(*value)));
            for run in &repeat.runs {
                let free = free_of(&run.region, &run.params);
                used.extend(free.iter().filter(|value| !defined.contains(*value)));
            }
            defined.extend(&repeat.outs);
        }
    }
}
