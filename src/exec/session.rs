//! A session: weights, plans and threads of one model.

use super::arena::{Arena, OutOfMemory};
use super::bind::{BindError, Binding, bind};
use super::init::fill;
use super::pool::Pool;
use super::run::Bound;
use crate::ir::graph::{Graph, Output, Source};
use crate::kernels::call::{FaultKind, View};
use crate::passes::plan::{Persistent, Place, Plan, PlanError, plan};
use crate::tensor::{self, DType, SliceMut, Tensor};
use crate::text::size_words;
use indexmap::IndexMap;
use ndarray::{ArrayBase, ArrayD, ArrayViewD, ArrayViewMutD, Data, Dimension, IxDyn, ShapeBuilder};

/// Numbers that the host hands in at each run.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The seed of all randomness.
    pub seed: u64,
    /// The number of the step, from 0.
    pub step: u64,
    /// For each optimizer group: learning rate, update number from 1, and what else its kernel says.
    pub hypers: Vec<Vec<f64>>,
}

/// Why a run did not happen, or did not end well.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// Inputs do not fit.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Sizes cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Not enough memory.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// More memory than there may be.
    #[error("{}, and {} can be had", .needed.show(), size_words(*.available))]
    TooMuch {
        /// What would be needed.
        needed: Memory,
        /// How many bytes there may be.
        available: u64,
    },
    /// Something happened on the way.
    #[error("{}", show_fault(.0))]
    Fault(FaultReport),
    /// A tensor does not fit its parameter.
    #[error("`{name}` is {wanted:?}, and what is given is {found:?}")]
    Weight {
        /// Which.
        name: String,
        /// Its shape.
        wanted: Vec<usize>,
        /// What was given.
        found: Vec<usize>,
    },
    /// A tensor holds other elements than its parameter.
    #[error("`{name}` is {wanted}, and what is given is {found}")]
    WeightType {
        /// Which.
        name: String,
        /// Its elements.
        wanted: DType,
        /// Those that were given.
        found: DType,
    },
    /// There is no such parameter.
    #[error("there is no parameter `{0}`")]
    NoWeight(String),
}

impl RunError {
    /// `data::input`, as in a diagnostic.
    pub fn code(&self) -> &'static str {
        match self {
            RunError::Bind(_) => "data::input",
            RunError::Plan(_) => "data::sizes",
            RunError::Memory(_) | RunError::TooMuch { .. } => "limit::memory",
            RunError::Fault(_) => "data::value",
            RunError::Weight { .. } | RunError::WeightType { .. } | RunError::NoWeight(_) => "weights::fit",
        }
    }
}

/// A fault of a run, with the place of the node.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultReport {
    /// What happened.
    pub kind: FaultKind,
    /// The path of the layer (or parameter).
    pub path: String,
    /// The place in the text.
    pub span: crate::text::Span,
    /// How many rows the table has that was looked up in.
    pub rows: Option<usize>,
}

fn show_fault(fault: &FaultReport) -> String {
    let path = if fault.path.is_empty() { "the model" } else { &fault.path };
    match fault.kind {
        FaultKind::IndexOutOfRange => match fault.rows {
            Some(rows) => format!("{path}: an id lies outside its table of {rows} rows"),
            None => format!("{path}: an id or label lies outside its table"),
        },
        FaultKind::LossNotFinite => "the loss is not finite".into(),
        FaultKind::GradientNotFinite => format!("the gradient of {path} is not finite"),
        FaultKind::UpdateNotFinite => format!("{path} or what its optimizer keeps is not finite after the update"),
        FaultKind::CastOutOfRange => format!("{path}: a value that is no integer was cast to one"),
        FaultKind::LengthOutOfRange => format!("{path}: a length is negative, or larger than its sequence"),
    }
}

/// What a session takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Parameters, statistics and optimizer state.
    pub persistent: u64,
    /// Values between the steps of the largest plan.
    pub scratch: u64,
    /// Workspaces of all threads.
    pub work: u64,
    /// Copies that the caller makes: results, checkpoints.
    pub copies: u64,
}

impl Memory {
    /// All together.
    pub fn total(&self) -> u64 {
        [self.scratch, self.work, self.copies].iter().fold(self.persistent, |all, part| all.saturating_add(*part))
    }

    /// `12.0 GB of memory are needed (weights and state 8.0 GB, values 4.0 GB)`.
    pub fn show(&self) -> String {
        let parts = [
            ("weights and state", self.persistent),
            ("values", self.scratch),
            ("workspace", self.work),
            ("copies", self.copies),
        ];
        let parts = parts.iter().filter(|(_, bytes)| *bytes > self.total() / 100);
        let parts: Vec<String> = parts.map(|(name, bytes)| format!("{name} {}", size_words(*bytes))).collect();
        format!("{} of memory are needed ({})", size_words(self.total()), parts.join(", "))
    }
}

/// Weights, plans and threads. It owns all its memory, and may be sent to another thread.
pub struct Session {
    graphs: Vec<Graph>,
    float: DType,
    pool: Pool,
    layout: Persistent,
    persistent: Arena,
    scratch: Arena,
    /// One a thread.
    work: Vec<Arena>,
    memory: Memory,
    limit: Option<u64>,
    plans: IndexMap<(usize, Vec<(String, i64)>), Bound>,
}

/// What is handed in under `cotangent NAME` is the gradient of the output NAME.
pub const COTANGENT: &str = "cotangent ";

/// The graph of a session that is meant: an index in the order given to [`Session::new`].
pub type Which = usize;

impl Session {
    /// A session over compiled graphs that share parameters by path. Parameters are zero until set or initialised.
    pub fn new(graphs: Vec<Graph>, float: DType, threads: usize) -> Result<Session, RunError> {
        Session::within(None, graphs, float, threads, |_| 0)
    }

    /// The same, within a limit of bytes: what would go over it is refused before anything is allocated. `copies` says
    /// how many bytes the caller will take for copies, given those of parameters and state.
    pub fn within(
        limit: Option<u64>,
        graphs: Vec<Graph>,
        float: DType,
        threads: usize,
        copies: impl Fn(u64) -> u64,
    ) -> Result<Session, RunError> {
        let mut layout = Persistent::default();
        for graph in &graphs {
            layout.add(graph);
        }
        let persistent = layout.len as u64;
        let memory = Memory { persistent, copies: copies(persistent), ..Memory::default() };
        allow(limit, memory)?;
        let (persistent, scratch, work) = (Arena::new(layout.len)?, Arena::new(1)?, vec![]);
        let plans = IndexMap::new();
        Ok(Session { graphs, float, pool: Pool::new(threads), layout, persistent, scratch, work, memory, limit, plans })
    }

    /// The graphs.
    pub fn graphs(&self) -> &[Graph] {
        &self.graphs
    }

    /// The width of floats.
    pub fn float(&self) -> DType {
        self.float
    }

    /// Parameters and statistics by path, optimizer slots as `path@0`, in a fixed order.
    pub fn places(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.layout.places.iter().map(|(name, place)| (name.as_str(), place))
    }

    /// What it takes, with the plans that were made.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// How many plans were made.
    pub fn plans(&self) -> usize {
        self.plans.len()
    }

    /// Initialises all parameters and statistics; optimizer slots become zero.
    pub fn init(&mut self, seed: u64) {
        let params: Vec<_> = self.graphs.iter().flat_map(|graph| graph.params.iter().cloned()).collect();
        for (name, place) in self.layout.places.clone() {
            let view = self.view(&place);
            let init = params.iter().find(|param| param.path == name).map(|param| param.init.clone());
            let init = init.unwrap_or(crate::ir::attr::Init::Zeros);
            // SAFETY: the session is borrowed mutably, so no plan runs; the view lies in its arena.
            unsafe {
                match place.dtype {
                    DType::F32 => fill(view.slice_mut::<f32>(0, view.len()), &place.shape, &init, seed, &name),
                    DType::F64 => fill(view.slice_mut::<f64>(0, view.len()), &place.shape, &init, seed, &name),
                    DType::I64 => view.slice_mut::<i64>(0, view.len()).fill(0),
                    DType::Bool => view.slice_mut::<u8>(0, view.len()).fill(0),
                }
            }
        }
    }

    fn view(&self, place: &Place) -> View {
        // SAFETY: every place lies inside the persistent arena.
        let ptr = unsafe { std::ptr::NonNull::new_unchecked(self.persistent.start().as_ptr().add(place.offset)) };
        View::dense(ptr, place.dtype, &place.shape)
    }

    /// Sets a parameter, statistic or slot; floats of either width are taken.
    pub fn set(&mut self, name: &str, value: &Tensor) -> Result<(), RunError> {
        let place = self.layout.places.get(name).ok_or_else(|| RunError::NoWeight(name.into()))?;
        if place.shape != value.shape() {
            let (wanted, found) = (place.shape.clone(), value.shape().to_vec());
            return Err(RunError::Weight { name: name.into(), wanted, found });
        }
        let (wanted, found) = (place.dtype, value.dtype());
        if wanted != found && !(wanted.is_float() && found.is_float()) {
            return Err(RunError::WeightType { name: name.into(), wanted, found });
        }
        write(&self.view(place), value);
        Ok(())
    }

    /// A copy of a parameter, statistic or slot.
    pub fn get(&self, name: &str) -> Option<Tensor> {
        self.layout.places.get(name).map(|place| read(&self.view(place)))
    }

    /// Whether all numbers of a parameter, statistic or slot are finite. Allocates nothing.
    pub fn is_finite(&self, name: &str) -> bool {
        let Some(place) = self.layout.places.get(name) else { return true };
        let view = self.view(place);
        // SAFETY: places are dense, live and of this type; no plan runs while the session is borrowed.
        unsafe {
            match place.dtype {
                DType::F32 => view.slice::<f32>(0, view.len()).iter().all(|x| x.is_finite()),
                DType::F64 => view.slice::<f64>(0, view.len()).iter().all(|x| x.is_finite()),
                DType::I64 | DType::Bool => true,
            }
        }
    }

    /// Makes the plan of a graph for these sizes, if there is none yet.
    pub fn prepare(&mut self, which: Which, binding: &Binding) -> Result<usize, RunError> {
        let key = (which, binding.iter().map(|(name, size)| (name.clone(), *size)).collect::<Vec<_>>());
        if let Some(index) = self.plans.get_index_of(&key) {
            return Ok(index);
        }
        let plan = self.plan(which, binding)?;
        self.reserve(&plan)?;
        let bound = Bound::new(plan, &self.persistent, &self.scratch);
        Ok(self.plans.insert_full(key, bound).0)
    }

    /// Makes room for one more plan: all plans share one scratch arena and a workspace a thread.
    fn reserve(&mut self, plan: &Plan) -> Result<(), RunError> {
        let (scratch, each) = (plan.scratch.max(1) as u64, plan.work as u64 + 64);
        let work = each.saturating_mul(self.pool.threads() as u64);
        let (scratch, work) = (scratch.max(self.memory.scratch), work.max(self.memory.work));
        let needed = Memory { scratch, work, ..self.memory };
        allow(self.limit, needed)?;
        if plan.scratch > self.scratch.len() {
            let scratch = Arena::new(plan.scratch)?;
            for bound in self.plans.values_mut() {
                bound.rebase(&self.scratch, &scratch);
            }
            self.scratch = scratch;
        }
        if self.work.first().is_none_or(|work| work.len() < plan.work + 64) {
            self.work = (0..self.pool.threads()).map(|_| Arena::new(plan.work + 64)).collect::<Result<_, _>>()?;
        }
        self.memory = needed;
        Ok(())
    }

    /// A plan of a graph for these sizes, not bound to memory: to look at, or to know what it needs.
    pub fn plan(&self, which: Which, binding: &Binding) -> Result<Plan, RunError> {
        Ok(plan(&self.graphs[which], &|name| binding.get(name).copied(), &self.layout, self.float)?)
    }

    /// Runs a graph on these inputs; the sizes follow from their shapes, and from `known`.
    pub fn run(
        &mut self,
        which: Which,
        inputs: &[(&str, &Tensor)],
        known: &Binding,
        host: &Host,
    ) -> Result<Vec<(Output, Tensor)>, RunError> {
        let own = inputs.iter().filter(|(name, _)| !name.starts_with(COTANGENT));
        let given: Vec<_> = own.map(|(name, tensor)| (*name, tensor.dtype(), tensor.shape())).collect();
        let binding = bind(&self.graphs[which], &given, known)?;
        let index = self.prepare(which, &binding)?;
        self.feed(index, inputs, host);
        self.execute(which, index)?;
        Ok(self.outputs(index))
    }

    /// Writes the inputs of a prepared plan: by name, without looking at their shapes again.
    pub fn feed(&mut self, plan: usize, inputs: &[(&str, &Tensor)], host: &Host) {
        for (source, view) in &self.plans[plan].plan.inputs {
            let given = match source {
                Source::Input(name) => inputs.iter().find(|(given, _)| given == name),
                Source::Cotangent(name) => {
                    inputs.iter().find(|(given, _)| given.strip_prefix(COTANGENT) == Some(name.as_str()))
                }
                Source::Seed | Source::Step | Source::Hyper(_) | Source::Param(_) | Source::Slot(..) => None,
            };
            if let Some((_, tensor)) = given {
                write(view, tensor);
            }
        }
        self.feed_host(plan, host);
    }

    /// Writes the host's numbers of a prepared plan.
    pub fn feed_host(&mut self, plan: usize, host: &Host) {
        for (source, view) in &self.plans[plan].plan.inputs {
            match source {
                Source::Seed => write_scalar(view, host.seed as i64),
                Source::Step => write_scalar(view, host.step as i64),
                Source::Hyper(group) => {
                    if let Some(hyper) = host.hypers.get(*group as usize) {
                        // SAFETY: no plan runs while the session is borrowed mutably; the view is f64 and this long.
                        let target = unsafe { view.slice_mut::<f64>(0, view.len()) };
                        target.iter_mut().zip(hyper).for_each(|(to, from)| *to = *from);
                    }
                }
                Source::Input(_) | Source::Cotangent(_) | Source::Param(_) | Source::Slot(..) => {}
            }
        }
    }

    /// The number of a prepared plan's input of that name, if the plan reads it.
    pub fn input(&self, plan: usize, name: &str) -> Option<usize> {
        let wanted = |(source, _): &(Source, View)| matches!(source, Source::Input(own) if own == name);
        self.plans[plan].plan.inputs.iter().position(wanted)
    }

    /// The memory of a prepared plan's input, by its number: to fill in place, before each run.
    pub fn input_mut(&mut self, plan: usize, input: usize) -> SliceMut<'_> {
        let view = &self.plans[plan].plan.inputs[input].1;
        // SAFETY: no plan runs while the session is borrowed mutably; inputs are dense, and of the type that they say.
        unsafe {
            match view.dtype {
                DType::F32 => SliceMut::F32(view.slice_mut(0, view.len())),
                DType::F64 => SliceMut::F64(view.slice_mut(0, view.len())),
                DType::I64 => SliceMut::I64(view.slice_mut(0, view.len())),
                DType::Bool => SliceMut::Bool(view.slice_mut(0, view.len())),
            }
        }
    }

    /// Copies an array into an input, by its place in the plan.
    pub fn feed_at(&mut self, plan: usize, place: usize, value: &tensor::View<'_>) {
        let view = self.plans[plan].plan.inputs[place].1;
        let len = view.len().min(value.shape().iter().product());
        // SAFETY: as in `write`.
        unsafe {
            match (view.dtype, value) {
                (DType::F32, tensor::View::F32(a)) => copy(view.slice_mut(0, len), a, |x| x),
                (DType::F32, tensor::View::F64(a)) => copy(view.slice_mut(0, len), a, |x| x as f32),
                (DType::F64, tensor::View::F64(a)) => copy(view.slice_mut(0, len), a, |x| x),
                (DType::F64, tensor::View::F32(a)) => copy(view.slice_mut(0, len), a, f64::from),
                (DType::I64, tensor::View::I64(a)) => copy(view.slice_mut(0, len), a, |x| x),
                (DType::Bool, tensor::View::Bool(a)) => copy(view.slice_mut(0, len), a, u8::from),
                _ => {}
            }
        }
    }

    /// Copies an array into the gradient of an output; the sentence says what does not fit.
    pub fn feed_cotangent(&mut self, plan: usize, output: &str, value: &tensor::View<'_>) -> Result<(), String> {
        let wanted = |(source, _): &(Source, View)| matches!(source, Source::Cotangent(own) if own == output);
        let Some(place) = self.plans[plan].plan.inputs.iter().position(wanted) else { return Ok(()) };
        let shape = sizes(&self.plans[plan].plan.inputs[place].1);
        if shape.slice() != value.shape() || !value.dtype().is_float() {
            let found = value.shape();
            return Err(format!("the cotangent of `{output}` has the shape {found:?}, the output {:?}", shape.slice()));
        }
        self.feed_at(plan, place, value);
        Ok(())
    }

    /// The memory of an input, by its place in the plan: to be filled. `None` for another element type.
    pub fn input_array<T: Number>(&mut self, plan: usize, place: usize) -> Option<ArrayViewMutD<'_, T>> {
        let view = self.plans[plan].plan.inputs[place].1;
        let shape: IxDyn = sizes(&view);
        // SAFETY: no plan runs while the session is borrowed mutably; the view is dense and of this type.
        let slice = (view.dtype == T::DTYPE).then(|| unsafe { view.slice_mut::<T>(0, view.len()) })?;
        ArrayViewMutD::from_shape(shape, slice).ok()
    }

    /// The memory of an output after a run, by its place in the plan. `None` for another element type.
    pub fn output<T: Number>(&self, plan: usize, place: usize) -> Option<ArrayViewD<'_, T>> {
        let view = self.plans[plan].plan.outputs[place].1;
        if view.dtype != T::DTYPE {
            return None;
        }
        let mut strides = sizes(&view);
        (0..view.rank()).for_each(|axis| strides[axis] = view.stride(axis) as usize);
        // SAFETY: outputs are live and of this type, and no plan runs while the session is borrowed.
        Some(unsafe { ArrayViewD::from_shape_ptr(sizes(&view).strides(strides), view.as_ptr::<T>()) })
    }

    /// Runs a prepared plan on what was fed.
    pub fn execute(&mut self, which: Which, plan: usize) -> Result<(), RunError> {
        match self.plans[plan].run(&self.pool, &self.work) {
            None => Ok(()),
            Some((step, kind)) => {
                let node = self.plans[plan].plan.steps[step as usize].node;
                let graph = &self.graphs[which];
                let origin = graph.origin_of(node);
                // A table that several places look up in is known by its own name.
                let table = graph.ins(node).iter().find_map(|port| graph.param_of(*port));
                let table = table.filter(|_| kind == FaultKind::IndexOutOfRange);
                let path = table.and_then(|param| param.path.strip_suffix(".weight")).unwrap_or(&origin.path).into();
                let rows = table.and_then(|param| param.shape.first().copied());
                Err(RunError::Fault(FaultReport { kind, path, span: origin.span, rows }))
            }
        }
    }

    /// How many threads had a share of a plan's last run.
    pub fn workers(&self, plan: usize) -> usize {
        self.plans[plan].workers()
    }

    /// Copies of a plan's outputs after a run.
    pub fn outputs(&self, plan: usize) -> Vec<(Output, Tensor)> {
        self.plans[plan].plan.outputs.iter().map(|(output, view)| (output.clone(), read(view))).collect()
    }

    /// A scalar output of the last run, as f64.
    pub fn scalar(&self, plan: usize, wanted: &Output) -> Option<f64> {
        let (_, view) = self.plans[plan].plan.outputs.iter().find(|(output, _)| output == wanted)?;
        // SAFETY: outputs are live scalars of this type, and no plan runs while the session is borrowed.
        unsafe {
            match view.dtype {
                DType::F32 => Some(f64::from(view.scalar::<f32>())),
                DType::F64 => Some(view.scalar::<f64>()),
                DType::I64 => Some(view.scalar::<i64>() as f64),
                DType::Bool => None,
            }
        }
    }
}

/// Elements that can be lent as they lie in memory.
pub trait Number: tensor::Element {}
impl Number for f32 {}
impl Number for f64 {}
impl Number for i64 {}

/// The sizes of a view.
fn sizes(view: &View) -> IxDyn {
    let mut sizes = IxDyn::zeros(view.rank());
    (0..view.rank()).for_each(|axis| sizes[axis] = view.dim(axis));
    sizes
}

/// Refuses what goes over a limit.
fn allow(limit: Option<u64>, needed: Memory) -> Result<(), RunError> {
    match limit {
        Some(available) if needed.total() > available => Err(RunError::TooMuch { needed, available }),
        _ => Ok(()),
    }
}

fn write_scalar(view: &View, value: i64) {
    // SAFETY: host scalars are live i64 scalars; the session is borrowed mutably.
    unsafe { *view.as_ptr::<i64>() = value }
}

/// Copies a tensor into a dense view; floats are converted to its width.
fn write(view: &View, tensor: &Tensor) {
    let len = view.len().min(tensor.len());
    // SAFETY: the view is dense and live, of this type, and nobody else touches it: the session is borrowed mutably.
    unsafe {
        match (view.dtype, tensor) {
            (DType::F32, Tensor::F32(a)) => copy(view.slice_mut(0, len), a, |x| x),
            (DType::F32, Tensor::F64(a)) => copy(view.slice_mut(0, len), a, |x| x as f32),
            (DType::F64, Tensor::F64(a)) => copy(view.slice_mut(0, len), a, |x| x),
            (DType::F64, Tensor::F32(a)) => copy(view.slice_mut(0, len), a, f64::from),
            (DType::I64, Tensor::I64(a)) => copy(view.slice_mut(0, len), a, |x| x),
            (DType::Bool, Tensor::Bool(a)) => copy(view.slice_mut(0, len), a, u8::from),
            _ => {}
        }
    }
}

fn copy<S: Copy, R: Data<Elem = S>, D>(to: &mut [D], from: &ArrayBase<R, IxDyn>, convert: impl Fn(S) -> D) {
    match from.as_slice() {
        Some(slice) => to.iter_mut().zip(slice).for_each(|(to, &from)| *to = convert(from)),
        None => to.iter_mut().zip(from.iter()).for_each(|(to, &from)| *to = convert(from)),
    }
}

/// A copy of a view's elements.
fn read(view: &View) -> Tensor {
    let shape: Vec<usize> = view.shape().iter().map(|&dim| dim as usize).collect();
    // SAFETY: outputs and places are live and of this type; no plan runs while the session is borrowed.
    unsafe {
        match view.dtype {
            DType::F32 => Tensor::F32(array(&shape, gather::<f32>(view))),
            DType::F64 => Tensor::F64(array(&shape, gather::<f64>(view))),
            DType::I64 => Tensor::I64(array(&shape, gather::<i64>(view))),
            DType::Bool => Tensor::Bool(array(&shape, gather::<u8>(view).into_iter().map(|x| x != 0).collect())),
        }
    }
}

fn array<T: Clone + Default>(shape: &[usize], values: Vec<T>) -> ArrayD<T> {
    ArrayD::from_shape_vec(IxDyn(shape), values).unwrap_or_else(|_| ArrayD::default(IxDyn(&[0])))
}

/// The elements of any view, row-major.
///
/// # Safety
/// The view is live, of this type, and nobody writes to it.
unsafe fn gather<T: Copy>(view: &View) -> Vec<T> {
    // SAFETY: promised by the caller.
    unsafe {
        if view.is_dense() {
            return view.slice::<T>(0, view.len()).to_vec();
        }
        let mut out = Vec::with_capacity(view.len());
        let mut index = vec![0usize; view.rank()];
        for _ in 0..view.len() {
            let at: isize = index.iter().enumerate().map(|(axis, &i)| i as isize * view.stride(axis)).sum();
            out.push(*view.as_ptr::<T>().offset(at));
            for axis in (0..view.rank()).rev() {
                index[axis] += 1;
                if index[axis] < view.dim(axis) {
                    break;
                }
                index[axis] = 0;
            }
        }
        out
    }
}
