//! The plan: sizes bound, every buffer placed, every step a kernel call.
//!
//! Values are windows on *roots* (buffers). A root lives from its first to its last access and gets its place in the
//! scratch arena from that; parameters, statistics and optimizer slots stand in the persistent arena, at the same
//! addresses in all plans. What the graph calls a view costs nothing here; where a kernel needs other strides a visible
//! `copy` step is inserted. Barriers are put where a thread would touch what another one wrote (`barriers`).

mod arena;
mod barriers;
mod build;
mod show;

pub use barriers::cut;

use crate::ir::graph::{Graph, NodeId, Output, Param, Source};
use crate::kernels::call::{Call, Kernel, View};
use crate::tensor::DType;
use indexmap::IndexMap;
use std::ptr::NonNull;

/// Addresses in the persistent arena begin here, until a plan is bound to memory.
pub const PERSISTENT: usize = 1 << 60;
/// Addresses in the scratch arena begin here.
pub const SCRATCH: usize = 1 << 61;

/// The largest number of elements that one tensor of a plan may have: strides are 32 bits wide.
pub const MOST_ELEMENTS: usize = i32::MAX as usize;

/// Where a parameter, statistic or optimizer slot stands in the persistent arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// In bytes.
    pub offset: usize,
    /// The sizes.
    pub shape: Vec<usize>,
    /// The elements.
    pub dtype: DType,
}

impl Place {
    /// In bytes.
    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }
}

/// The layout of the persistent arena: shared by all plans of a session.
#[derive(Clone, Debug, Default)]
pub struct Persistent {
    /// By path; slots as `path@0`.
    pub places: IndexMap<String, Place>,
    /// In bytes.
    pub len: usize,
}

impl Persistent {
    /// Adds everything that a graph keeps and that has no place yet.
    pub fn add(&mut self, graph: &Graph) {
        for param in &graph.params {
            self.place(param.path.clone(), param, graph.shapes_dtype(param));
        }
        for source in graph.sources.values() {
            if let Source::Slot(index, slot) = source {
                let param = &graph.params[*index as usize];
                self.place(slot_name(&param.path, *slot), param, graph.shapes_dtype(param));
            }
        }
    }

    fn place(&mut self, name: String, param: &Param, dtype: DType) {
        if self.places.contains_key(&name) {
            return;
        }
        let place = Place { offset: self.len, shape: param.shape.clone(), dtype };
        self.len = arena::aligned(self.len + place.bytes());
        self.places.insert(name, place);
    }
}

/// The name of an optimizer slot in the persistent arena.
pub fn slot_name(path: &str, slot: u32) -> String {
    format!("{path}@{slot}")
}

impl Graph {
    fn shapes_dtype(&self, param: &Param) -> DType {
        param.ty.dtype
    }
}

/// A kernel call with its place among the others.
#[derive(Debug)]
pub struct Step {
    /// Which kernel.
    pub kernel: &'static Kernel,
    /// Its operands and outputs; addresses are in [`PERSISTENT`] or [`SCRATCH`] until bound.
    pub call: Call,
    /// How many shares its work has.
    pub units: usize,
    /// All threads meet before it.
    pub barrier: bool,
    /// The node of the graph that it computes, for reports.
    pub node: NodeId,
    /// The floats that it computes with: 0 for f32, 1 for f64. Norms of gradients are f64 in every plan.
    pub width: usize,
}

impl Step {
    /// The floats of a call: those of the result for elementwise programs, which convert what they read; else those of
    /// the first operand; those of the plan where there are none. Integers that meet no float are read as f64, which
    /// holds them exactly up to 2^53.
    fn floats(call: &Call, plan: DType) -> usize {
        let float =
            |views: &[Option<View>]| views.first()?.as_ref().map(|view| view.dtype).filter(|dtype| dtype.is_float());
        let integers = |call: &Call| {
            let all = || call.ins.iter().chain(&call.outs).flatten().map(|view| view.dtype);
            (all().any(|dtype| dtype == DType::I64) && !all().any(DType::is_float)).then_some(DType::F64)
        };
        let (ins, outs) = (float(&call.ins), float(&call.outs));
        let dtype = if call.program.is_some() { outs.or(ins).or(integers(call)) } else { ins.or(outs) };
        usize::from(dtype.unwrap_or(plan) == DType::F64)
    }
}

/// What one run does, for one binding of sizes.
#[derive(Debug)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// Rows are cut among threads at multiples of `units / group`; 0: anywhere.
    pub group: usize,
    /// Too little work for a second thread.
    pub single: bool,
    /// Bytes of the scratch arena.
    pub scratch: usize,
    /// Bytes of workspace a thread.
    pub work: usize,
    /// What must be written before a run.
    pub inputs: Vec<(Source, View)>,
    /// What can be read after it.
    pub outputs: Vec<(Output, View)>,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Why sizes cannot be planned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A dim has no size.
    #[error("the size of `{0}` is not known: bind it")]
    Unbound(String),
    /// A tensor is too large for this machine.
    #[error("a tensor of {0} would have more than 2^31 elements")]
    TooLarge(String),
}

/// Plans a fused graph under a binding of sizes.
pub fn plan(
    graph: &Graph,
    bind: &dyn Fn(&str) -> Option<i64>,
    persistent: &Persistent,
    float: DType,
) -> Result<Plan, PlanError> {
    let mut built = build::build(graph, bind, persistent)?;
    let scratch = arena::assign(&mut built);
    let group = built.group;
    let single = built.flops < 2.5e6;
    let (inputs, outputs) = (built.inputs, built.outputs);
    let mut steps = built.steps;
    barriers::insert(graph, &mut steps, group, single);
    let work = steps.iter().map(|step| (step.kernel.work)(&step.call)).max().unwrap_or(0);
    steps.iter_mut().for_each(|step| step.width = Step::floats(&step.call, float));
    Ok(Plan { steps, group, single, scratch, work, inputs, outputs })
}

/// A pointer that is only a number.
pub(crate) fn address(at: usize) -> NonNull<u8> {
    NonNull::new(std::ptr::without_provenance_mut(at)).unwrap_or(NonNull::dangling())
}
