//! The catalogue: every operator, defined once.

/// Defines operators: the doc comment is the manual (field `doc`), and the list names them all.
macro_rules! ops {
    ($list:ident; $($(#[doc = $doc:expr])* $name:ident = $def:expr;)*) => {
        $($(#[doc = $doc])* pub static $name: OpDef = OpDef { doc: concat!($($doc, "\n"),*), ..$def };)*
        /// The operators of this file.
        pub(super) static $list: &[&OpDef] = &[$(&$name),*];
    };
}

pub mod activation;
pub mod arithmetic;
pub mod attention;
pub mod cell;
pub mod conv;
pub mod ctc;
pub mod distance;
pub mod einops;
pub mod einsum;
pub mod embedding;
mod expr;
pub mod extreme;
pub mod foreign;
pub mod function;
pub mod grid;
pub mod index;
pub mod linear;
pub mod logic;
pub mod loss;
pub mod margin;
pub mod movement;
pub mod norm;
pub mod norm_groups;
pub mod order;
pub mod parts;
pub mod pool;
pub mod pool_size;
pub mod position;
pub mod random;
pub mod rectifier;
pub mod recurrent;
pub mod reduce;
pub mod regression;
pub mod reparam;
pub mod resample;
pub mod scan;
pub mod sdpa;
pub mod shuffle;
pub mod source;
pub mod statistic;
pub mod window;

use crate::ir::op::OpDef;

/// The families, in the order of the reference.
pub static FAMILIES: &[Family] = &[
    Family { title: "Activations", ops: activation::OPS },
    Family { title: "Activations made of pieces", ops: rectifier::OPS },
    Family { title: "Arithmetic", ops: arithmetic::OPS },
    Family { title: "Functions", ops: function::OPS },
    Family { title: "Comparisons and logic", ops: logic::OPS },
    Family { title: "Along an axis", ops: reduce::OPS },
    Family { title: "Extremes and truth along axes", ops: extreme::OPS },
    Family { title: "Variance, norms and counts", ops: statistic::OPS },
    Family { title: "Running sums", ops: scan::OPS },
    Family { title: "Order", ops: order::OPS },
    Family { title: "Linear algebra", ops: linear::OPS },
    Family { title: "Products by letters", ops: einsum::OPS },
    Family { title: "Convolution", ops: conv::OPS },
    Family { title: "Pooling", ops: pool::OPS },
    Family { title: "Pooling to a size", ops: pool_size::OPS },
    Family { title: "Windows", ops: window::OPS },
    Family { title: "Resampling", ops: resample::OPS },
    Family { title: "Sampling at points", ops: grid::OPS },
    Family { title: "Normalisation", ops: norm::OPS },
    Family { title: "Normalisation in groups", ops: norm_groups::OPS },
    Family { title: "Embedding", ops: embedding::OPS },
    Family { title: "Position", ops: position::OPS },
    Family { title: "Attention", ops: attention::OPS },
    Family { title: "Recurrence", ops: recurrent::OPS },
    Family { title: "Recurrent cells", ops: cell::OPS },
    Family { title: "Attention without projections", ops: sdpa::OPS },
    Family { title: "Randomness", ops: random::OPS },
    Family { title: "Shape", ops: movement::OPS },
    Family { title: "Parts of a value", ops: parts::OPS },
    Family { title: "Repeating and reordering", ops: shuffle::OPS },
    Family { title: "Axes by name", ops: einops::OPS },
    Family { title: "Elements by number", ops: index::OPS },
    Family { title: "Losses and metrics", ops: loss::OPS },
    Family { title: "Losses of values", ops: regression::OPS },
    Family { title: "Losses with margins", ops: margin::OPS },
    Family { title: "Losses of sequences", ops: ctc::OPS },
    Family { title: "Distances", ops: distance::OPS },
    Family { title: "Sources", ops: source::OPS },
];

/// Operators of a kind.
pub struct Family {
    /// Its title in the reference.
    pub title: &'static str,
    /// Its operators.
    pub ops: &'static [&'static OpDef],
}

/// All operators, primitives of expansions included.
pub fn all() -> impl Iterator<Item = &'static OpDef> {
    FAMILIES.iter().flat_map(|family| family.ops.iter().copied())
}

/// The operator of a name that a `.model` file may use.
pub fn find(name: &str) -> Option<&'static OpDef> {
    all().find(|op| op.name == name && op.is_public())
}

/// The family that an operator belongs to.
pub fn family(op: &OpDef) -> &'static str {
    let holds = |family: &&Family| family.ops.iter().any(|&other| std::ptr::eq(other, op));
    FAMILIES.iter().find(holds).map_or("", |family| family.title)
}
