//! The structured graph: what the user wrote, checked. Repeats are kept folded, composites whole, names the user's.
//!
//! Summary, lints, pictures and errors read this one; `expand` makes the flat graph of it.

use super::attr::Attrs;
use super::op::{Need, OpDef};
use super::shape::{Shapes, Type};
use crate::text::Span;

/// A value: an index into [`Structured::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// A repeat (or `for`): an index that paths refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepeatId(pub u32);

/// What is known of a value.
#[derive(Clone, Debug)]
pub struct ValueInfo {
    /// Its type.
    pub ty: Type,
    /// The name the user gave it.
    pub name: Option<String>,
}

/// A piece of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// `attn`; it may hold dots (`path = "…"`).
    Name(String),
    /// The number of the copy of this repeat.
    Copy(RepeatId),
}

/// A path with the copies' numbers still open: `h.{copy}.attn`.
pub type Path = Vec<Part>;

/// Shows a path, copies folded: `h.*.attn`.
pub fn show_path(path: &[Part]) -> String {
    let parts = path.iter().map(|part| match part {
        Part::Name(name) => name.as_str(),
        Part::Copy(_) => "*",
    });
    parts.collect::<Vec<_>>().join(".")
}

/// A checked model.
#[derive(Clone, Debug)]
pub struct Structured {
    /// The model's name.
    pub name: String,
    /// Its hyperparameters and their values as shown.
    pub hypers: Vec<(String, String)>,
    /// Sizes and shapes.
    pub shapes: Shapes,
    /// All values.
    pub values: Vec<ValueInfo>,
    /// The declared layers (`layer wte = …`), which `Attr::Layer` refers to.
    pub layers: Vec<LayerDef>,
    /// The number of repeats.
    pub repeats: u32,
    /// The inputs.
    pub inputs: Vec<PortDef>,
    /// The outputs; a single unnamed one has no name.
    pub outputs: Vec<PortDef>,
    /// What it does.
    pub body: Region,
    /// What must hold of the sizes that are bound later, with the place that needs it.
    pub needs: Vec<(Need, Span)>,
    /// Facts of the model's `where` (and dims ≥ 1), to be checked when sizes are bound.
    pub facts: Vec<(Need, Span)>,
}

/// An input or output of a model.
#[derive(Clone, Debug)]
pub struct PortDef {
    /// Its name.
    pub name: Option<String>,
    /// Its value.
    pub value: ValueId,
    /// Where its type is written.
    pub span: Span,
}

/// A declared layer.
#[derive(Clone, Debug)]
pub struct LayerDef {
    /// Its path, below which its parameters stand.
    pub path: Path,
    /// The operator (none: a block).
    pub op: Option<&'static OpDef>,
    /// The operator's attributes.
    pub attrs: Option<Attrs>,
    /// The types of the operands of its first use, which fix its parameters (an embedding has none: its attributes do).
    pub ins: Vec<Option<Type>>,
    /// Where it is declared.
    pub span: Span,
}

/// A sequence of items.
#[derive(Clone, Debug, Default)]
pub struct Region {
    /// In order.
    pub items: Vec<Item>,
}

/// One item of a region.
#[derive(Clone, Debug)]
pub enum Item {
    /// A use of an operator.
    Op(OpItem),
    /// A repeat or for.
    Repeat(RepeatItem),
    /// A named or unnamed group: block call, residual, parallel, if. It only groups.
    Scope(ScopeItem),
}

/// One use of an operator.
#[derive(Clone, Debug)]
pub struct OpItem {
    /// The operator.
    pub op: &'static OpDef,
    /// Its attributes.
    pub attrs: Attrs,
    /// Its operands; `None`: absent.
    pub operands: Vec<Option<ValueId>>,
    /// Its outputs that users see, one for each of `op.outputs` that is not saved.
    pub outs: Vec<ValueId>,
    /// Below it stand its parameters: of a declared layer, the declaration's path.
    pub path: Path,
    /// The path of this application: the key of its randomness. Differs from `path` for shared layers.
    pub application: Path,
    /// Deep norm's initial gain.
    pub gain: Option<f64>,
    /// The word as the user sees it (`norm` for a hyperparameter that holds one).
    pub word: String,
    /// Where it stands.
    pub span: Span,
}

/// A repeat: runs of equal copies.
#[derive(Clone, Debug)]
pub struct RepeatItem {
    /// Which one.
    pub id: RepeatId,
    /// One copy used n times: parameters have no index (applications have).
    pub shared: bool,
    /// Whether it is a `for`.
    pub is_for: bool,
    /// The values that flow in.
    pub ins: Vec<ValueId>,
    /// The values that flow out.
    pub outs: Vec<ValueId>,
    /// Copies that look alike, in order.
    pub runs: Vec<Run>,
    /// The path, without the copies' numbers.
    pub path: Path,
    /// As written: `repeat depth`.
    pub label: String,
    /// Where its head stands.
    pub span: Span,
}

/// Equal copies in a row.
#[derive(Clone, Debug)]
pub struct Run {
    /// How many.
    pub count: u64,
    /// The number of the first.
    pub first: u64,
    /// What flows into a copy.
    pub params: Vec<ValueId>,
    /// What flows out of a copy: into the next one.
    pub results: Vec<ValueId>,
    /// What a copy does.
    pub region: Region,
    /// For a `for`: what is bound, as shown (`c = 128`).
    pub shown: String,
}

/// A group.
#[derive(Clone, Debug)]
pub struct ScopeItem {
    /// What it is.
    pub kind: ScopeKind,
    /// As shown: `decoder(d = 768)`, `residual pre layernorm`.
    pub label: String,
    /// Its path.
    pub path: Path,
    /// What stands in it.
    pub region: Region,
    /// Where.
    pub span: Span,
}

/// The kinds of group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// A block call.
    Block,
    /// A residual.
    Residual,
    /// A residual's skip.
    Skip,
    /// A parallel.
    Parallel,
    /// A branch of a parallel.
    Branch,
    /// An if that was taken.
    If,
    /// A named flow of several stages.
    Flow,
}

/// A loss, metric or derived target: a region of its own over the same values.
#[derive(Clone, Debug)]
pub struct Tail {
    /// What it does.
    pub region: Region,
    /// Its result.
    pub result: ValueId,
    /// Its named values, logged as terms.
    pub terms: Vec<(String, ValueId)>,
    /// As shown: `cross_entropy`.
    pub label: String,
    /// Where.
    pub span: Span,
}
