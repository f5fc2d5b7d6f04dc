//! Writing graphs as formulas: a [`Var`] is a Copy handle on a value, with operators; expansions and gradients are
//! written in it.

use super::attr::{Attr, Attrs};
use super::graph::{Graph, Origin, Port, Source};
use super::op::{Body, OpDef, Role};
use super::shape::Type;
use crate::ir::dim::Dim;
use crate::tensor::DType;
use crate::text::Span;
use std::cell::RefCell;

/// Train or eval: chosen when a model is compiled; the graphs differ, nothing asks at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Dropout acts, batch statistics are taken and running ones move.
    Train,
    /// What one serves.
    Eval,
}

/// A graph under construction.
pub struct Builder {
    /// The graph.
    pub graph: RefCell<Graph>,
    /// The mode.
    pub mode: Mode,
    /// The width of floats.
    pub float: DType,
    origin: RefCell<Origin>,
    /// Gives (path, definition) its parameter; set by `expand`.
    params: RefCell<Params>,
}

/// How the parameters of the layer that is being expanded are found.
#[derive(Default)]
struct Params {
    /// Names below the layer's path, and the ports that read them.
    ports: Vec<(String, u32, Port)>,
}

/// A value under construction.
#[derive(Clone, Copy)]
pub struct Var<'g> {
    /// Where it lives.
    pub builder: &'g Builder,
    /// Which value.
    pub port: Port,
}

impl Builder {
    /// A builder on a graph.
    pub fn new(graph: Graph, mode: Mode, float: DType) -> Builder {
        Builder {
            graph: RefCell::new(graph),
            mode,
            float,
            origin: RefCell::new(Origin::default()),
            params: RefCell::default(),
        }
    }

    /// The finished graph.
    pub fn finish(self) -> Graph {
        self.graph.into_inner()
    }

    /// From here on, nodes come from there.
    pub fn at(&self, path: &str, span: Span) {
        *self.origin.borrow_mut() = Origin { path: path.into(), span };
    }

    /// From here on, nodes come from where this one does.
    pub fn at_origin(&self, origin: Origin) {
        *self.origin.borrow_mut() = origin;
    }

    /// Where nodes come from now.
    pub fn origin(&self) -> Origin {
        self.origin.borrow().clone()
    }

    /// The parameters of the layer that is expanded next: (name below its path, index, port).
    pub fn with_params(&self, ports: Vec<(String, u32, Port)>) {
        *self.params.borrow_mut() = Params { ports };
    }

    /// Builds with the parameters below a name only, as if the layer that is expanded stood there.
    pub fn below<T>(&self, name: &str, build: impl FnOnce() -> T) -> T {
        let own = std::mem::take(&mut self.params.borrow_mut().ports);
        let short = |own: &str| own.strip_prefix(name)?.strip_prefix('.').map(str::to_string);
        self.with_params(own.iter().filter_map(|(own, index, port)| Some((short(own)?, *index, *port))).collect());
        let built = build();
        self.with_params(own);
        built
    }

    /// A handle on a value.
    pub fn var(&self, port: Port) -> Var<'_> {
        Var { builder: self, port }
    }

    /// Uses an operator: a primitive becomes a node, a composite its expansion.
    pub fn apply<'g>(&'g self, op: &'static OpDef, attrs: Attrs, ins: &[Option<Var<'g>>]) -> Vec<Var<'g>> {
        if let Body::Expand(expand) = op.body {
            return expand(&mut ExpandCx { builder: self, op, attrs: &attrs, ins });
        }
        let ports: Vec<Port> = ins.iter().map(|var| var.map_or(Port::NONE, |var| var.port)).collect();
        let origin = self.origin();
        let mut graph = self.graph.borrow_mut();
        let origin = graph.origin(origin);
        let node = match graph.add(op, attrs, &ports, origin) {
            Ok(node) => node,
            Err(misfit) => panic!("{} was built with operands that do not fit: {misfit:?}", op.name),
        };
        let outs = graph.outs(node).len() as u32;
        drop(graph);
        (0..outs).map(|index| self.var(Port { node, index })).collect()
    }

    /// The seed of the run, or the number of the step: `i64[]`, from the host.
    pub fn host(&self, op: &'static OpDef, source: Source) -> Var<'_> {
        let mut graph = self.graph.borrow_mut();
        let found = graph.sources.iter().find(|(_, known)| **known == source).map(|(node, _)| *node);
        let port = match found {
            Some(node) => Port { node, index: 0 },
            None => {
                let ty = graph.shapes.ty(DType::I64, &[]);
                graph.add_source(op, source, ty, 0)
            }
        };
        drop(graph);
        self.var(port)
    }

    /// Uses an operator with one output.
    pub fn one<'g>(&'g self, op: &'static OpDef, attrs: Attrs, ins: &[Var<'g>]) -> Var<'g> {
        let ins: Vec<Option<Var<'g>>> = ins.iter().copied().map(Some).collect();
        self.apply(op, attrs, &ins)[0]
    }
}

impl<'g> Var<'g> {
    /// Its type.
    pub fn ty(self) -> Type {
        self.builder.graph.borrow().ty(self.port)
    }

    /// Its sizes.
    pub fn dims(self) -> Vec<Dim> {
        let graph = self.builder.graph.borrow();
        graph.shapes.dims(graph.ty(self.port)).to_vec()
    }

    /// The number of its axes.
    pub fn rank(self) -> usize {
        self.dims().len()
    }

    /// Its element type.
    pub fn dtype(self) -> DType {
        self.ty().dtype
    }

    /// One operator on it.
    pub fn then(self, op: &'static OpDef, given: &[(&str, Attr)]) -> Var<'g> {
        self.builder.one(op, Attrs::with(op.attrs, given), &[self])
    }

    /// One operator on it and another.
    pub fn with(self, other: Var<'g>, op: &'static OpDef, given: &[(&str, Attr)]) -> Var<'g> {
        self.builder.one(op, Attrs::with(op.attrs, given), &[self, other])
    }
}

/// A list attribute of sizes.
pub fn shape_attr(dims: &[Dim]) -> Attr {
    Attr::List(dims.iter().map(|&dim| Attr::Dim(dim)).collect())
}

/// A list attribute of integers.
pub fn ints_attr(values: impl IntoIterator<Item = usize>) -> Attr {
    Attr::List(values.into_iter().map(|value| Attr::Int(value as i64)).collect())
}

/// What an expansion sees.
pub struct ExpandCx<'a, 'g> {
    /// Where to build.
    pub builder: &'g Builder,
    /// The operator that is expanded.
    pub op: &'static OpDef,
    /// Its attributes.
    pub attrs: &'a Attrs,
    /// Its operands.
    pub ins: &'a [Option<Var<'g>>],
}

impl<'g> ExpandCx<'_, 'g> {
    /// An operand that must be there.
    pub fn x(&self, index: usize) -> Var<'g> {
        self.ins[index].expect("elaborate refuses a use without its operands")
    }

    /// An optional operand.
    pub fn maybe(&self, index: usize) -> Option<Var<'g>> {
        self.ins.get(index).copied().flatten()
    }

    /// Whether this is the train graph.
    pub fn train(&self) -> bool {
        self.builder.mode == Mode::Train
    }

    /// A parameter or running statistic of this layer, where it has one of that name.
    pub fn param(&self, name: &str) -> Option<Var<'g>> {
        let params = self.builder.params.borrow();
        params.ports.iter().find(|(own, ..)| own == name).map(|(_, _, port)| self.builder.var(*port))
    }

    /// The value of a running statistic after this step; a second use in the same graph starts from it.
    pub fn set_state(&self, name: &str, value: Var<'g>) {
        let role = self.set(name, value);
        debug_assert_eq!(role, Role::State, "a learned parameter is moved by the optimizer");
    }

    /// The same of any parameter: a learned one is so before the optimizer moves it.
    pub fn set(&self, name: &str, value: Var<'g>) -> Role {
        let mut params = self.builder.params.borrow_mut();
        let entry = params.ports.iter_mut().find(|(own, ..)| own == name);
        let (_, index, port) = entry.expect("a layer moves only statistics that it declares");
        *port = value.port;
        let mut graph = self.builder.graph.borrow_mut();
        let param = &mut graph.params[*index as usize];
        param.next = Some(value.port);
        param.role
    }
}

/// What a gradient formula sees: `x` operands, `y` outputs, `dy` their gradients.
pub struct GradCx<'a, 'g> {
    /// Where to build.
    pub builder: &'g Builder,
    /// The attributes of the node.
    pub attrs: &'a Attrs,
    /// Its operands.
    pub ins: &'a [Option<Var<'g>>],
    /// Its outputs.
    pub outs: &'a [Var<'g>],
    /// The gradients of its outputs, where there are any.
    pub grads: &'a [Option<Var<'g>>],
    /// Which operands want a gradient.
    pub wanted: &'a [bool],
}

impl<'g> GradCx<'_, 'g> {
    /// An operand.
    pub fn x(&self, index: usize) -> Var<'g> {
        self.ins[index].expect("a gradient asks only for operands that are there")
    }

    /// An optional operand.
    pub fn maybe(&self, index: usize) -> Option<Var<'g>> {
        self.ins.get(index).copied().flatten()
    }

    /// An output.
    pub fn y(&self, index: usize) -> Var<'g> {
        self.outs[index]
    }

    /// The gradient of the main output.
    pub fn dy(&self) -> Var<'g> {
        self.grads[0].expect("a node without gradient of its main output is skipped")
    }

    /// Whether an operand wants a gradient (and is there).
    pub fn wants(&self, index: usize) -> bool {
        self.wanted.get(index).copied().unwrap_or(false)
    }

    /// A formula for an operand, if it is wanted.
    pub fn when(&self, index: usize, formula: impl FnOnce() -> Var<'g>) -> Option<Var<'g>> {
        self.wants(index).then(formula)
    }
}
