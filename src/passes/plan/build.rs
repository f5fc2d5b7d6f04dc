//! Nodes to steps: where each value lives, which strides it has, what is copied, what happens in place.

use super::{MOST_ELEMENTS, PERSISTENT, Persistent, PlanError, Step, address, slot_name};
use crate::ir::attr::{Attr, Attrs};
use crate::ir::graph::{FusedArg, Graph, NodeId, Output, Port, Source};
use crate::ir::op::{ArgsCx, Body, CostCx, ViewCx};
use crate::ir::shape::{Shapes, Type};
use crate::kernels::call::{Args, Call, Kernel, Layout, View};
use crate::kernels::copy::COPY;
use crate::kernels::map::{MAP, Program, Reg};
use crate::kernels::random::path_key;
use indexmap::{IndexMap, IndexSet};

/// While planning, an address is a root's number and an offset in it.
const ROOT: usize = 1 << 62;
const OFFSET_BITS: usize = 36;

/// A buffer under planning.
#[derive(Clone, Debug)]
pub(super) struct Root {
    /// Its size.
    pub bytes: usize,
    /// The first and last step that touches it.
    pub life: Option<(usize, usize)>,
    /// Its address, where that is given: persistent memory.
    pub fixed: Option<usize>,
}

/// Steps whose addresses are still roots.
pub(super) struct Built {
    pub roots: Vec<Root>,
    pub steps: Vec<Step>,
    pub inputs: Vec<(Source, View)>,
    pub outputs: Vec<(Output, View)>,
    pub group: usize,
    pub flops: f64,
    /// Which steps gather rows of all threads, or update what these have made.
    pub gathering: Vec<bool>,
}

/// The address of an offset in a root.
fn root_address(root: usize, offset: usize) -> usize {
    ROOT + (root << OFFSET_BITS) + offset
}

/// The root and offset of an address.
pub(super) fn root_of(view: &View) -> (usize, usize) {
    let at = view.ptr.as_ptr().addr() - ROOT;
    (at >> OFFSET_BITS, at & ((1 << OFFSET_BITS) - 1))
}

struct Builder<'a> {
    graph: &'a Graph,
    shapes: Shapes,
    bind: &'a dyn Fn(&str) -> Option<i64>,
    persistent: &'a Persistent,
    out: Built,
    placed: IndexMap<Port, View>,
    dense: IndexMap<Port, View>,
    used: IndexSet<Port>,
    /// For each port that owns memory: how many uses are still to come (views' uses are their owner's).
    left: IndexMap<Port, usize>,
    /// The number of the node among the updates' conditions.
    node: NodeId,
}

/// Builds the steps of a fused graph.
pub(super) fn build(
    graph: &Graph,
    bind: &dyn Fn(&str) -> Option<i64>,
    persistent: &Persistent,
) -> Result<Built, PlanError> {
    let out = Built {
        roots: vec![],
        steps: vec![],
        inputs: vec![],
        outputs: vec![],
        group: 0,
        flops: 0.0,
        gathering: vec![],
    };
    let (used, left) = uses(graph);
    let mut builder = Builder {
        graph,
        shapes: graph.shapes.clone(),
        bind,
        persistent,
        out,
        placed: IndexMap::new(),
        dense: IndexMap::new(),
        used,
        left,
        node: NodeId(0),
    };
    builder.sources()?;
    builder.writes();
    builder.joins()?;
    let updates: IndexSet<NodeId> = graph.writes.iter().map(|(port, _)| port.node).collect();
    for id in order(graph) {
        builder.node = id;
        builder.emit(id)?;
        let gathering = updates.contains(&id) || gathers(graph, id);
        builder.out.gathering.resize(builder.out.steps.len(), gathering);
    }
    builder.finish();
    builder.out.gathering.resize(builder.out.steps.len(), false);
    Ok(builder.out)
}

/// The port that owns the memory of a value: through views to what they look at.
fn owner(graph: &Graph, port: Port) -> Port {
    let mut port = port;
    while let (Body::View(_), Some(&first)) = (&graph.node(port.node).op.body, graph.ins(port.node).first()) {
        port = first;
    }
    port
}

/// Which ports anyone reads, and how often each owner of memory is read by a step.
fn uses(graph: &Graph) -> (IndexSet<Port>, IndexMap<Port, usize>) {
    let (mut used, mut left) = (IndexSet::new(), IndexMap::new());
    for id in graph.ids() {
        let is_view = matches!(graph.node(id).op.body, Body::View(_));
        for &port in graph.ins(id).iter().filter(|port| !port.is_none()) {
            used.insert(port);
            if !is_view {
                *left.entry(owner(graph, port)).or_insert(0) += 1;
            }
        }
    }
    for port in graph.roots() {
        used.insert(port);
        *left.entry(owner(graph, port)).or_insert(0) += 1_000_000;
    }
    (used, left)
}

/// How many steps that read other threads' rows are gathered before they run: one meeting of threads serves them all.
const GATHERED: usize = 6;

/// The order of the steps.
///
/// The nodes in their own order, but for two things. Weight gradients (which sum over rows that all threads have written)
/// wait until a few can run behind one meeting, or until someone needs them. An update runs right behind its gradient,
/// while that is in the cache, but not before the last reader of what it changes.
fn order(graph: &Graph) -> Vec<NodeId> {
    let updates = updates(graph);
    let mut order =
        Order { ready: vec![vec![]; graph.len()], waiting: vec![], late: vec![false; graph.len()], out: vec![] };
    for (&update, &last) in &updates {
        order.ready[last.0 as usize].push(update);
        order.late[update.0 as usize] = true;
    }
    let mut held = 0;
    for id in graph.ids().filter(|id| !updates.contains_key(id)) {
        let gathers = gathers(graph, id);
        let needs_late = graph.ins(id).iter().any(|port| !port.is_none() && order.late[port.node.0 as usize]);
        if gathers || (needs_late && graph.node(id).op.facts.view) {
            held += usize::from(gathers);
            order.late[id.0 as usize] = true;
            order.waiting.push(id);
        } else {
            if needs_late || !order.ready[id.0 as usize].is_empty() {
                order.flush();
                held = 0;
            }
            order.emit(id);
        }
        if held >= GATHERED {
            order.flush();
            held = 0;
        }
    }
    order.flush();
    order.out
}

/// The state of `order`.
struct Order {
    /// The updates that may run behind each node.
    ready: Vec<Vec<NodeId>>,
    /// What waits to be gathered.
    waiting: Vec<NodeId>,
    /// Which nodes have not run though their turn has come.
    late: Vec<bool>,
    out: Vec<NodeId>,
}

impl Order {
    fn emit(&mut self, id: NodeId) {
        self.out.push(id);
        self.late[id.0 as usize] = false;
        for update in std::mem::take(&mut self.ready[id.0 as usize]) {
            self.out.push(update);
            self.late[update.0 as usize] = false;
        }
    }

    fn flush(&mut self) {
        for id in std::mem::take(&mut self.waiting) {
            self.emit(id);
        }
    }
}

/// Whether a node is a kernel that reads rows of all threads to make something of another shape (a weight's gradient).
fn gathers(graph: &Graph, id: NodeId) -> bool {
    let Body::Kernel { kernel, .. } = &graph.node(id).op.body else { return false };
    let several = !graph.outs(id).is_empty() && graph.shapes.rank(graph.outs(id)[0]) > 0;
    let first = graph.ins(id).first().is_some_and(|port| !port.is_none() && !is_kept(graph, *port));
    let all = kernel.reads.first().is_some_and(|read| read.1 == crate::kernels::call::Access::All);
    let turned = graph.ins(id).first().is_some_and(|port| {
        !port.is_none()
            && matches!(graph.node(port.node).op.body, Body::View(_))
            && graph.shapes.rank(graph.ty(*port)) == 2
    });
    let constant = |ty: &Type| graph.shapes.dims(*ty).iter().all(|&dim| graph.shapes.dims.as_const(dim).is_some());
    several && first && (all || turned) && graph.outs(id).iter().all(constant)
}

/// Whether a value is a parameter or a view of one.
fn is_kept(graph: &Graph, port: Port) -> bool {
    matches!(graph.sources.get(&owner(graph, port).node), Some(Source::Param(_) | Source::Slot(..)))
}

/// For each update the node behind which it may run: its gradient, or the last reader of what it changes.
fn updates(graph: &Graph) -> IndexMap<NodeId, NodeId> {
    let owners: IndexMap<Source, NodeId> = graph.sources.iter().map(|(id, source)| (source.clone(), *id)).collect();
    let mut written: IndexMap<Port, NodeId> = IndexMap::new();
    let mut last: IndexMap<NodeId, NodeId> = IndexMap::new();
    for (port, source) in &graph.writes {
        if let Some(&node) = owners.get(source) {
            written.insert(Port { node, index: 0 }, port.node);
        }
        let operands = graph.ins(port.node).iter().filter(|port| !port.is_none());
        let computed = operands.map(|port| port.node).filter(|node| !graph.sources.contains_key(node));
        last.insert(port.node, computed.max().unwrap_or(NodeId(0)));
    }
    for id in graph.ids().filter(|id| !last.contains_key(id)).collect::<Vec<_>>() {
        for &port in graph.ins(id).iter().filter(|port| !port.is_none()) {
            if let Some(update) = written.get(&owner(graph, port)) {
                let at = &mut last[update];
                *at = (*at).max(id);
            }
        }
    }
    last
}

impl Builder<'_> {
    fn shape(&self, ty: Type) -> Result<Vec<usize>, PlanError> {
        let shape = self.shapes.eval(ty.shape, self.bind).ok_or_else(|| self.unbound(ty))?;
        let count = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        match count {
            Some(count) if count <= MOST_ELEMENTS => Ok(shape),
            _ => Err(PlanError::TooLarge(self.shapes.show(ty))),
        }
    }

    fn unbound(&self, ty: Type) -> PlanError {
        let symbols = self.shapes.dims(ty).iter().flat_map(|&dim| self.shapes.dims.symbols(dim));
        let unknown = symbols.into_iter().find(|name| (self.bind)(name).is_none());
        PlanError::Unbound(unknown.unwrap_or_else(|| self.shapes.show(ty)))
    }

    fn root(&mut self, bytes: usize, fixed: Option<usize>) -> usize {
        self.out.roots.push(Root { bytes, life: None, fixed });
        self.out.roots.len() - 1
    }

    /// A new dense buffer.
    fn buffer(&mut self, ty: Type) -> Result<View, PlanError> {
        let shape = self.shape(ty)?;
        let bytes = shape.iter().product::<usize>() * ty.dtype.size();
        let root = self.root(bytes, None);
        Ok(View::dense(address(root_address(root, 0)), ty.dtype, &shape))
    }

    fn sources(&mut self) -> Result<(), PlanError> {
        for (id, source) in &self.graph.sources {
            let port = Port { node: *id, index: 0 };
            let ty = self.graph.ty(port);
            let kept = match source {
                Source::Param(index) => Some(self.graph.params[*index as usize].path.clone()),
                Source::Slot(index, slot) => Some(slot_name(&self.graph.params[*index as usize].path, *slot)),
                Source::Input(_) | Source::Cotangent(_) | Source::Seed | Source::Step | Source::Hyper(_) => None,
            };
            let view = match kept.and_then(|name| self.persistent.places.get(&name).cloned()) {
                Some(place) => {
                    let root = self.root(place.bytes(), Some(PERSISTENT + place.offset));
                    View::dense(address(root_address(root, 0)), place.dtype, &place.shape)
                }
                None => {
                    let view = self.buffer(ty)?;
                    self.touch(&view, 0);
                    if let (Source::Input(_), 0, Some(&rows)) = (source, self.out.group, view.shape().first()) {
                        self.out.group = rows as usize;
                    }
                    self.out.inputs.push((source.clone(), view));
                    view
                }
            };
            self.placed.insert(port, view);
        }
        if self.out.group < 4 {
            self.out.group = 0;
        }
        Ok(())
    }

    /// Updates write where their parameter stands.
    fn writes(&mut self) {
        let nodes: IndexMap<&Source, NodeId> = self.graph.sources.iter().map(|(id, source)| (source, *id)).collect();
        for (port, source) in &self.graph.writes {
            if let Some(view) = nodes.get(source).and_then(|&node| self.placed.get(&Port { node, index: 0 })) {
                self.placed.insert(*port, *view);
            }
        }
    }

    /// What is laid one behind the other along the outermost axis is computed in its place.
    fn joins(&mut self) -> Result<(), PlanError> {
        for id in self.graph.ids().filter(|&id| matches!(self.graph.node(id).op.body, Body::Concat)) {
            let axis = self.graph.attrs(id).int("axis").unwrap_or(0) as usize;
            let whole = self.buffer(self.graph.outs(id)[0])?;
            self.placed.insert(Port { node: id, index: 0 }, whole);
            if whole.shape()[..axis].iter().any(|&dim| dim != 1) {
                continue;
            }
            let mut at = 0;
            for &port in self.graph.ins(id) {
                let shape = self.shape(self.graph.ty(port))?;
                let part = part_of(&whole, axis, at, shape[axis]);
                at += shape[axis];
                let fresh = matches!(self.graph.node(port.node).op.body, Body::Kernel { .. });
                if fresh && !self.placed.contains_key(&port) {
                    self.placed.insert(port, part);
                }
            }
        }
        Ok(())
    }

    fn touch(&mut self, view: &View, step: usize) {
        let (root, _) = root_of(view);
        let life = &mut self.out.roots[root].life;
        *life = Some(life.map_or((step, step), |(first, last)| (first.min(step), last.max(step))));
    }

    fn emit(&mut self, id: NodeId) -> Result<(), PlanError> {
        self.count_flops(id);
        match &self.graph.node(id).op.body {
            Body::Source if self.graph.sources.contains_key(&id) => Ok(()),
            Body::Source => self.map(id),
            Body::View(view) => self.view(id, *view),
            Body::Concat => self.concat(id),
            Body::Kernel { kernel, args } => self.kernel(id, kernel, *args),
            Body::Map { .. } | Body::Expand(_) => unreachable!("elementwise nodes are fused, composites expanded"),
        }
    }

    /// An estimate of the work, to tell plans that are too small for two threads.
    fn count_flops(&mut self, id: NodeId) {
        let op = self.graph.node(id).op;
        let (outs, ins) = (self.graph.outs(id), self.graph.ins(id));
        let Some(&first) = outs.first() else { return };
        let work = match op.flops {
            Some(flops) => {
                let types: Vec<Option<Type>> = ins.iter().map(|&p| (!p.is_none()).then(|| self.graph.ty(p))).collect();
                let attrs = self.graph.attrs(id);
                let dim = flops(&mut CostCx { shapes: &mut self.shapes, attrs, ins: &types, outs });
                self.shapes.dims.eval(dim, self.bind)
            }
            None if op.facts.view => None,
            None => self.shapes.eval(first.shape, self.bind).map(|dims| 8 * dims.iter().product::<usize>() as i64),
        };
        self.out.flops += work.unwrap_or(0) as f64;
    }

    fn view(&mut self, id: NodeId, rule: fn(&ViewCx<'_>) -> Option<View>) -> Result<(), PlanError> {
        let port = self.graph.ins(id)[0];
        let attrs = self.concrete(id);
        for index in 0..self.graph.outs(id).len() {
            let shape = self.shape(self.graph.outs(id)[index])?;
            let input = self.placed[&port];
            let seen = rule(&ViewCx { attrs: &attrs, input, index, shape: &shape });
            let view = match seen {
                Some(view) => view,
                None => {
                    let input = self.dense_copy(port)?;
                    rule(&ViewCx { attrs: &attrs, input, index, shape: &shape }).unwrap_or(input)
                }
            };
            self.placed.insert(Port { node: id, index: index as u32 }, view);
        }
        Ok(())
    }

    /// The attributes of a node with symbolic sizes as numbers.
    fn concrete(&self, id: NodeId) -> Attrs {
        let attrs = self.graph.attrs(id);
        Attrs::new(attrs.defs(), attrs.values().iter().map(|value| self.number(value)).collect())
    }

    fn number(&self, value: &Attr) -> Attr {
        match value {
            Attr::Dim(dim) => self.shapes.dims.eval(*dim, self.bind).map_or(Attr::None, Attr::Int),
            Attr::List(items) => Attr::List(items.iter().map(|item| self.number(item)).collect()),
            other => other.clone(),
        }
    }

    /// A dense copy of a value, made once.
    fn dense_copy(&mut self, port: Port) -> Result<View, PlanError> {
        if let Some(view) = self.dense.get(&port) {
            return Ok(*view);
        }
        let source = self.placed[&port];
        let target = self.buffer(self.graph.ty(port))?;
        self.copy(source, target);
        self.dense.insert(port, target);
        Ok(target)
    }

    fn copy(&mut self, from: View, to: View) {
        self.push(&COPY, vec![Some(from)], vec![Some(to)], Args::default(), None);
    }

    fn push(
        &mut self,
        kernel: &'static Kernel,
        ins: Vec<Option<View>>,
        outs: Vec<Option<View>>,
        args: Args,
        program: Option<Box<Program>>,
    ) {
        let step = self.out.steps.len();
        for view in ins.iter().chain(&outs).flatten() {
            self.touch(view, step);
        }
        let call = Call { ins: ins.into(), outs: outs.into(), args, program };
        let units = (kernel.units)(&call);
        self.out.steps.push(Step { kernel, call, units, barrier: false, node: self.node, width: 0 });
    }

    fn concat(&mut self, id: NodeId) -> Result<(), PlanError> {
        let axis = self.graph.attrs(id).int("axis").unwrap_or(0) as usize;
        let whole = self.placed[&Port { node: id, index: 0 }];
        let mut at = 0;
        for &port in self.graph.ins(id) {
            let source = self.placed[&port];
            let part = part_of(&whole, axis, at, source.dim(axis));
            at += source.dim(axis);
            self.consume(port);
            if source.ptr != part.ptr {
                self.copy(source, part);
            }
        }
        Ok(())
    }

    /// One use of a value is over.
    fn consume(&mut self, port: Port) {
        if let Some(left) = self.left.get_mut(&owner(self.graph, port)) {
            *left -= 1;
        }
    }

    /// Whether nobody reads a value's memory any more, and it may be written.
    fn dies(&self, port: Port, view: &View) -> bool {
        let (root, offset) = root_of(view);
        let owner = owner(self.graph, port);
        self.left.get(&owner) == Some(&0)
            && offset == 0
            && self.out.roots[root].fixed.is_none()
            && !self.graph.sources.contains_key(&owner.node)
    }

    fn kernel(
        &mut self,
        id: NodeId,
        kernel: &'static Kernel,
        args: fn(&mut ArgsCx<'_>) -> Args,
    ) -> Result<(), PlanError> {
        let ports = self.graph.ins(id).to_vec();
        let mut ins = vec![];
        for (index, &port) in ports.iter().enumerate() {
            ins.push(if port.is_none() { None } else { Some(self.operand(kernel, index, port)?) });
        }
        for &port in ports.iter().filter(|port| !port.is_none()) {
            self.consume(port);
        }
        let mut outs = vec![];
        for index in 0..self.graph.outs(id).len() {
            outs.push(self.output(id, index, kernel.inplace, &ports, &ins)?);
        }
        let attrs = self.concrete(id);
        let mut numbers = args(&mut ArgsCx { attrs: &attrs, ins: &mut ins, outs: &mut outs });
        numbers.key = path_key(&self.graph.origin_of(id).path);
        self.push(kernel, ins, outs, numbers, None);
        Ok(())
    }

    /// An operand in strides that the kernel can read.
    fn operand(&mut self, kernel: &Kernel, index: usize, port: Port) -> Result<View, PlanError> {
        let view = self.placed[&port];
        let layout = kernel.reads.get(index).or(kernel.reads.last()).map_or(Layout::Dense, |read| read.0);
        let fits = match layout {
            Layout::Any => true,
            Layout::Rows => view.row_stride().is_some(),
            Layout::Dense => view.is_dense(),
        };
        if fits { Ok(view) } else { self.dense_copy(port) }
    }

    /// Where an output goes: given by an update or a concat, the memory of a dying operand, or a new buffer; none: dead.
    fn output(
        &mut self,
        id: NodeId,
        index: usize,
        inplace: &[(usize, usize)],
        ports: &[Port],
        ins: &[Option<View>],
    ) -> Result<Option<View>, PlanError> {
        let port = Port { node: id, index: index as u32 };
        if let Some(view) = self.placed.get(&port) {
            return Ok(Some(*view));
        }
        if !self.used.contains(&port) {
            return (index == 0).then(|| self.buffer(self.graph.outs(id)[0])).transpose();
        }
        let ty = self.graph.outs(id)[index];
        let shape = self.shape(ty)?;
        let candidates = inplace.iter().filter(|(_, output)| *output == index).map(|(operand, _)| *operand);
        for operand in candidates {
            let (Some(Some(view)), Some(&from)) = (ins.get(operand), ports.get(operand)) else { continue };
            let bytes = shape.iter().product::<usize>() * ty.dtype.size();
            let alone = ports
                .iter()
                .filter(|other| !other.is_none() && owner(self.graph, **other) == owner(self.graph, from))
                .count()
                == 1;
            let same = view.is_dense() && view.dtype == ty.dtype && self.out.roots[root_of(view).0].bytes == bytes;
            if same && alone && self.dies(from, view) && !self.dense.contains_key(&from) {
                let view = View::dense(view.ptr, ty.dtype, &shape);
                self.placed.insert(port, view);
                return Ok(Some(view));
            }
        }
        let view = self.buffer(ty)?;
        self.placed.insert(port, view);
        Ok(Some(view))
    }

    /// A fused elementwise node.
    fn map(&mut self, id: NodeId) -> Result<(), PlanError> {
        let ports = self.graph.ins(id).to_vec();
        let shape = self.shape(self.graph.outs(id)[0])?;
        let mut ins = vec![];
        for &port in &ports {
            ins.push(Some(broadcast(&self.placed[&port], &shape)));
        }
        for &port in &ports {
            self.consume(port);
        }
        let pairs: Vec<(usize, usize)> = (0..ports.len()).filter(|&i| full(&ins[i], &shape)).map(|i| (i, 0)).collect();
        let out = self.output(id, 0, &pairs, &ports, &ins)?;
        let body = self.graph.attrs(id).int("body").unwrap_or(0) as usize;
        let program = self.program(body, ports.len());
        self.push(&MAP, ins, vec![out], Args::default(), Some(Box::new(program)));
        Ok(())
    }

    fn program(&self, body: usize, operands: usize) -> Program {
        let mut program = Program::new(operands);
        let mut results: Vec<Reg> = vec![];
        for step in &self.graph.fused[body].steps {
            let Body::Map { op, imm } = step.op.body else { unreachable!("only elementwise nodes are fused") };
            let mut args: Vec<Reg> = step
                .args
                .iter()
                .map(|arg| match arg {
                    FusedArg::Operand(index) => Reg::Load(*index as usize),
                    FusedArg::Step(index) => results[*index as usize],
                })
                .collect();
            if let (1, 2, Some((value, first))) = (args.len(), op.arity, step.attrs.number_beside()) {
                args.insert(usize::from(!first), Reg::Const(value));
            }
            let key = path_key(&self.graph.origin_at(step.origin).path);
            results.push(program.push(op, &args, imm(&step.attrs), key));
        }
        if let Some(&last) = results.last() {
            program.store(last);
        }
        program
    }

    /// Statistics move, and outputs live to the end.
    fn finish(&mut self) {
        for param in &self.graph.params {
            let Some(next) = param.next else { continue };
            let (from, to) = (self.placed[&next], self.placed[&param.port]);
            self.node = next.node;
            self.copy(from, to);
        }
        let end = self.out.steps.len();
        for (output, port) in self.graph.outputs.clone() {
            let view = self.placed[&port];
            self.touch(&view, end);
            self.out.outputs.push((output, view));
        }
    }
}

/// A window on part of an axis.
fn part_of(whole: &View, axis: usize, at: usize, size: usize) -> View {
    let mut part = *whole;
    part.dims[axis] = size as u32;
    let offset = at * whole.stride(axis) as usize * whole.dtype.size();
    part.ptr = address(whole.ptr.as_ptr().addr() + offset);
    part
}

/// A view with missing leading axes as stride 0.
fn broadcast(view: &View, shape: &[usize]) -> View {
    let mut out = View::dense(view.ptr, view.dtype, shape);
    let missing = shape.len() - view.rank();
    for axis in 0..shape.len() {
        out.strides[axis] = axis.checked_sub(missing).map_or(0, |own| view.strides[own]);
    }
    out
}

/// Whether an operand has every element of the result.
fn full(view: &Option<View>, shape: &[usize]) -> bool {
    view.as_ref().is_some_and(|view| view.is_dense() && view.len() == shape.iter().product::<usize>())
}
