//! An operator as data: what the catalogue's entries are made of.
//!
//! Two kinds only. A *primitive* has a way to compute and a gradient written as a formula. A *composite* is an
//! expression over others: shape, gradient, cost and export follow. A layer is a composite that owns parameters.

use super::attr::{Attr, AttrDef, Attrs, Init};
use super::build::{ExpandCx, GradCx, Var};
use super::dim::{Dim, Dims};
use super::shape::{Shapes, Type};
use crate::kernels::call::{Args, Kernel, View};
use crate::kernels::map::MapOp;
use crate::tensor::DType;

/// One entry of the catalogue.
pub struct OpDef {
    /// The word in a `.model` file. Primitives that only expansions use have a word with a dot (`norm.rms`).
    pub name: &'static str,
    /// The manual: the first sentence stands alone in lists.
    pub doc: &'static str,
    /// The definition, as a formula.
    pub formula: &'static str,
    /// The derivative, in clauses with `; ` between them: formulas (`dx = dy * (1 - y^2)`, of operands and parameters),
    /// names of their parts (`s = sigmoid(x)`), the option that a formula is for (`tanh: dx = …`), and words. A law
    /// computes the formulas. Empty: nothing flows back.
    pub derivative: &'static str,
    /// What flows in and out, for readers: `[.., in] -> [.., out]`.
    pub shape: &'static str,
    /// Where the definition comes from: paper and year.
    pub source: &'static str,
    /// PyTorch's class or function.
    pub torch: &'static str,
    /// `x: f32[3] = [-1, 0, 0.5] -> [-0.30340, 0, 0.37525]`; a law computes it.
    pub example: &'static str,
    /// The attributes, positional ones first.
    pub attrs: &'static [AttrDef],
    /// The operands; the first is what flows in.
    pub operands: &'static [Operand],
    /// The outputs; the first flows on.
    pub outputs: &'static [Output],
    /// The shape rule.
    pub rule: fn(&mut RuleCx<'_>) -> Result<(), Misfit>,
    /// Parameters and running statistics.
    pub params: fn(&mut ParamCx<'_>) -> Vec<ParamDef>,
    /// The way to compute it.
    pub body: Body,
    /// The way back.
    pub gradient: Gradient,
    /// What laws, lints and the summary want to know.
    pub facts: Facts,
    /// Floating-point operations of one use; default: none for views, one an output element else.
    pub flops: Option<fn(&mut CostCx<'_>) -> Dim>,
}

impl std::fmt::Debug for OpDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl OpDef {
    /// What most entries share.
    pub const DEFAULT: OpDef = OpDef {
        name: "",
        doc: "",
        formula: "",
        derivative: "",
        shape: "[..] -> [..]",
        source: "",
        torch: "",
        example: "",
        attrs: &[],
        operands: &[Operand::float("x")],
        outputs: &[Output::main("y")],
        rule: same_as_first,
        params: no_params,
        body: Body::Expand(never),
        gradient: Gradient::ByExpansion,
        facts: Facts::NONE,
        flops: None,
    };

    /// Whether a use with these attributes acts differently in train and eval: not where nothing is dropped.
    pub fn acts_by_mode(&self, attrs: &Attrs) -> bool {
        let drops = || ["dropout", "p", "std"].iter().all(|rate| attrs.float(rate) != Some(0.0));
        // Power iteration goes on in training only.
        self.facts.by_mode && drops() || attrs.str("reparam") == Some("spectral_norm")
    }

    /// Whether a `.model` file may use it.
    pub fn is_public(&self) -> bool {
        !self.name.contains('.')
    }
}

fn never<'g>(_: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    unreachable!("every composite says what it expands to")
}

/// No parameters.
pub fn no_params(_: &mut ParamCx<'_>) -> Vec<ParamDef> {
    vec![]
}

/// The rule of what keeps type and shape of its first operand.
pub fn same_as_first(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let ty = cx.operand(0)?;
    cx.out(ty);
    Ok(())
}

/// The schema of an operand.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// Its name.
    pub name: &'static str,
    /// What elements it may have.
    pub dtype: Elements,
    /// Whether it may be absent.
    pub optional: bool,
    /// Whether any number of values may stand in its place (then it is the last).
    pub many: bool,
}

impl Operand {
    /// A float tensor.
    pub const fn float(name: &'static str) -> Operand {
        Operand { name, dtype: Elements::Float, optional: false, many: false }
    }

    /// An integer tensor.
    pub const fn int(name: &'static str) -> Operand {
        Operand { name, dtype: Elements::Int, optional: false, many: false }
    }

    /// A bool tensor.
    pub const fn bool(name: &'static str) -> Operand {
        Operand { name, dtype: Elements::Bool, optional: false, many: false }
    }

    /// A tensor of floats or integers.
    pub const fn number(name: &'static str) -> Operand {
        Operand { name, dtype: Elements::Number, optional: false, many: false }
    }

    /// A tensor of any elements.
    pub const fn any(name: &'static str) -> Operand {
        Operand { name, dtype: Elements::Any, optional: false, many: false }
    }

    /// It may be absent.
    pub const fn optional(mut self) -> Operand {
        self.optional = true;
        self
    }

    /// Any number of them.
    pub const fn many(mut self) -> Operand {
        self.many = true;
        self
    }
}

/// What elements an operand may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elements {
    /// Floats.
    Float,
    /// Integers.
    Int,
    /// Bools.
    Bool,
    /// Floats or integers.
    Number,
    /// Anything.
    Any,
}

impl Elements {
    /// Whether this element type is one of them.
    pub fn allow(self, dtype: DType) -> bool {
        match self {
            Elements::Float => dtype.is_float(),
            Elements::Int => dtype == DType::I64,
            Elements::Bool => dtype == DType::Bool,
            Elements::Number => dtype != DType::Bool,
            Elements::Any => true,
        }
    }
}

/// The schema of an output.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Its name.
    pub name: &'static str,
    /// Only for the way back: no user sees it, and it is dead in eval.
    pub saved: bool,
}

impl Output {
    /// An output that users see.
    pub const fn main(name: &'static str) -> Output {
        Output { name, saved: false }
    }

    /// What only the way back needs.
    pub const fn saved(name: &'static str) -> Output {
        Output { name, saved: true }
    }
}

/// The closed set of ways to compute.
pub enum Body {
    /// Something from outside: an input, a parameter, a scalar of the host.
    Source,
    /// Elementwise over operands of equal shape, of fewer leading axes, or scalars: one instruction of the tile bytecode.
    /// An absent second operand stands for the number in attribute `value`; attribute `number_first` exchanges the two.
    Map {
        /// The instruction.
        op: &'static MapOp,
        /// Its immediates.
        imm: fn(&Attrs) -> [f64; 2],
    },
    /// Other strides on the same memory; `None`: the operand must first be copied to dense rows.
    View(fn(&ViewCx<'_>) -> Option<View>),
    /// Operands laid one behind the other along an axis (attribute `axis`, not negative).
    Concat,
    /// A kernel of its own.
    Kernel {
        /// Which one.
        kernel: &'static Kernel,
        /// Its numbers.
        args: fn(&mut ArgsCx<'_>) -> Args,
    },
    /// An expression over other operators; several outputs give several values.
    Expand(for<'a, 'g> fn(&'a mut ExpandCx<'_, 'g>) -> Vec<Var<'g>>),
}

/// The way back.
#[derive(Clone, Copy)]
pub enum Gradient {
    /// It never reaches autodiff: it was expanded.
    ByExpansion,
    /// Nothing flows back (integer outputs, steps).
    Zero,
    /// A formula: for each operand its gradient, where one is wanted.
    Formula(for<'a, 'g> fn(&'a GradCx<'_, 'g>) -> Vec<Option<Var<'g>>>),
}

/// What laws, lints and the summary want to know of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Where it has no derivative: the laws stay away from these values of x.
    pub kinks: &'static [f64],
    /// The values of x for which it is defined.
    pub domain: (f64, f64),
    /// It acts differently in train and eval.
    pub by_mode: bool,
    /// It draws random numbers.
    pub random: bool,
    /// It mixes rows: a row's result may depend on its batch even in eval (losses, sums over the batch).
    pub mixes_rows: bool,
    /// It only changes metadata.
    pub view: bool,
    /// The run may end here: every thread waits for it.
    pub stops: bool,
    /// Its results lie in this interval, ends included.
    pub range: (f64, f64),
    /// It gives back what lies in this interval unchanged.
    pub fixed: Option<(f64, f64)>,
}

impl Facts {
    /// Nothing special.
    pub const NONE: Facts = Facts {
        kinks: &[],
        domain: (f64::NEG_INFINITY, f64::INFINITY),
        by_mode: false,
        random: false,
        mixes_rows: false,
        view: false,
        stops: false,
        range: (f64::NEG_INFINITY, f64::INFINITY),
        fixed: None,
    };

    /// The interval of the numbers that are not negative.
    pub const NOT_NEGATIVE: (f64, f64) = (0.0, f64::INFINITY);
}

/// What a shape rule sees and says.
pub struct RuleCx<'a> {
    /// Sizes and shapes.
    pub shapes: &'a mut Shapes,
    /// The bound attributes.
    pub attrs: &'a Attrs,
    /// The operands' types; `None`: absent.
    pub ins: &'a [Option<Type>],
    /// The outputs, in order: the rule pushes them.
    pub outs: Vec<Type>,
    /// What must hold and is not decided by the numbers alone.
    pub needs: Vec<Need>,
}

impl<'a> RuleCx<'a> {
    /// A context for one use.
    pub fn new(shapes: &'a mut Shapes, attrs: &'a Attrs, ins: &'a [Option<Type>]) -> RuleCx<'a> {
        RuleCx { shapes, attrs, ins, outs: vec![], needs: vec![] }
    }

    /// The type of an operand that must be there.
    pub fn operand(&self, index: usize) -> Result<Type, Misfit> {
        self.ins.get(index).copied().flatten().ok_or(Misfit { operand: Some(index), ..Misfit::of(MisfitKind::Missing) })
    }

    /// The sizes of an operand.
    pub fn dims(&self, index: usize) -> Result<Vec<Dim>, Misfit> {
        Ok(self.shapes.dims(self.operand(index)?).to_vec())
    }

    /// Says an output.
    pub fn out(&mut self, ty: Type) {
        self.outs.push(ty);
    }

    /// Says an output of these elements and sizes.
    pub fn out_of(&mut self, dtype: DType, dims: &[Dim]) {
        let ty = self.shapes.ty(dtype, dims);
        self.outs.push(ty);
    }

    /// The rank of an operand must lie in `least..=most`.
    pub fn rank(&self, index: usize, least: usize, most: usize) -> Result<Vec<Dim>, Misfit> {
        let dims = self.dims(index)?;
        if dims.len() < least || dims.len() > most {
            return Err(Misfit { operand: Some(index), ..Misfit::of(MisfitKind::Rank { least, most }) });
        }
        Ok(dims)
    }

    /// Two sizes must be equal: `found` on this axis of this operand, against what is `wanted`.
    pub fn equal(&mut self, operand: usize, axis: usize, found: Dim, wanted: Dim, why: Why) -> Result<(), Misfit> {
        let misfit = Misfit {
            operand: Some(operand),
            axis: Some(axis),
            wanted: Some(wanted),
            found: Some(found),
            ..Misfit::of(MisfitKind::Size(why))
        };
        self.need(Condition::Equal(found, wanted), misfit)
    }

    /// `by` must divide `what`.
    pub fn divides(&mut self, operand: usize, axis: usize, what: Dim, by: Dim, why: Why) -> Result<(), Misfit> {
        let misfit = Misfit {
            operand: Some(operand),
            axis: Some(axis),
            wanted: Some(by),
            found: Some(what),
            ..Misfit::of(MisfitKind::Divides(why))
        };
        self.need(Condition::Divides { what, by }, misfit)
    }

    /// `what` must be at least `least`.
    pub fn at_least(&mut self, operand: usize, axis: usize, what: Dim, least: Dim, why: Why) -> Result<(), Misfit> {
        let misfit = Misfit {
            operand: Some(operand),
            axis: Some(axis),
            wanted: Some(least),
            found: Some(what),
            ..Misfit::of(MisfitKind::TooSmall(why))
        };
        self.need(Condition::AtLeast(what, least), misfit)
    }

    /// A requirement: decided by numbers where it can be, recorded where it cannot.
    pub fn need(&mut self, condition: Condition, misfit: Misfit) -> Result<(), Misfit> {
        match condition.decide(&mut self.shapes.dims) {
            Some(true) => Ok(()),
            Some(false) => Err(misfit),
            None => {
                self.needs.push(Need { condition, misfit });
                Ok(())
            }
        }
    }

    /// An axis attribute as an index into `rank` axes; -1 is the last.
    pub fn axis(&self, name: &'static str, rank: usize) -> Result<usize, Misfit> {
        let axis = self.attrs.int(name).unwrap_or(-1);
        resolve_axis(axis, rank).ok_or(Misfit { attr: Some(name), ..Misfit::of(MisfitKind::Axis { axis, rank }) })
    }

    /// A list of axes as sorted indices; absent: all.
    pub fn axes(&self, name: &'static str, rank: usize) -> Result<Vec<usize>, Misfit> {
        let Some(list) = self.attrs.ints(name) else {
            return Ok((0..rank).collect());
        };
        let mut axes = vec![];
        for axis in list {
            let index = resolve_axis(axis, rank);
            let index = index.ok_or(Misfit { attr: Some(name), ..Misfit::of(MisfitKind::Axis { axis, rank }) })?;
            if axes.contains(&index) {
                return Err(Misfit { attr: Some(name), ..Misfit::of(MisfitKind::AxisTwice { axis }) });
            }
            axes.push(index);
        }
        axes.sort_unstable();
        Ok(axes)
    }

    /// A size attribute as a dim.
    pub fn size(&mut self, name: &str) -> Option<Dim> {
        size_of(self.shapes, self.attrs.get(name))
    }

    /// A misfit of an attribute, in words: `clause` completes "`attr` …".
    pub fn bad_attr(&self, attr: &'static str, clause: impl Into<String>) -> Misfit {
        Misfit { attr: Some(attr), ..Misfit::of(MisfitKind::Attribute(clause.into())) }
    }
}

/// An axis as an index; none if it lies outside.
pub fn resolve_axis(axis: i64, rank: usize) -> Option<usize> {
    let index = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(index).ok().filter(|&i| i < rank)
}

/// A size attribute as a dim.
pub fn size_of(shapes: &mut Shapes, attr: &Attr) -> Option<Dim> {
    match attr {
        Attr::Int(value) => Some(shapes.dims.constant(*value)),
        Attr::Dim(dim) => Some(*dim),
        _ => None,
    }
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// What.
    pub condition: Condition,
    /// What to say if it does not.
    pub misfit: Misfit,
}

impl Need {
    /// The fact as it was written; else as a user would write it, with the number behind: `seq <= 64`.
    pub fn show(&self, dims: &Dims) -> String {
        if let MisfitKind::Sentence(written) = &self.misfit.kind {
            return written.clone();
        }
        self.condition.show(dims)
    }
}

impl Condition {
    /// As a user would write it, with the number behind: `seq <= 64`.
    pub fn show(self, dims: &Dims) -> String {
        let show = |dim: Dim| dims.show(dim);
        let number = |dim: Dim| dims.as_const(dim).is_some();
        match self {
            Condition::Equal(a, b) if number(a) => format!("{} == {}", show(b), show(a)),
            Condition::Equal(a, b) => format!("{} == {}", show(a), show(b)),
            Condition::AtLeast(a, b) if number(a) => format!("{} <= {}", show(b), show(a)),
            Condition::AtLeast(a, b) => format!("{} >= {}", show(a), show(b)),
            Condition::Divides { what, by } => {
                let part = |dim: Dim| if dims.terms(dim).len() > 1 { format!("({})", show(dim)) } else { show(dim) };
                format!("{} % {} == 0", part(what), part(by))
            }
        }
    }
}

/// A relation between sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// They are equal.
    Equal(Dim, Dim),
    /// `what % by == 0`.
    Divides {
        /// The multiple.
        what: Dim,
        /// The divisor.
        by: Dim,
    },
    /// The first is at least the second.
    AtLeast(Dim, Dim),
}

impl Condition {
    /// Decides it by normal forms and numbers alone, without facts; dims are ≥ 1.
    pub fn decide(self, dims: &mut Dims) -> Option<bool> {
        match self {
            Condition::Equal(a, b) => {
                let difference = dims.sub(a, b);
                dims.as_const(difference).map(|d| d == 0)
            }
            Condition::Divides { what, by } => match (dims.as_const(what), dims.as_const(by)) {
                (Some(x), Some(y)) => Some(y != 0 && x % y == 0),
                _ => dims.exact_div(what, by).map(|_| true),
            },
            Condition::AtLeast(a, b) => {
                let difference = dims.sub(a, b);
                dims.as_const(difference).map(|d| d >= 0)
            }
        }
    }
}

/// A failed shape rule, as data; the sentence is made where the spans are.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// What kind.
    pub kind: MisfitKind,
    /// Which operand.
    pub operand: Option<usize>,
    /// Which axis of it.
    pub axis: Option<usize>,
    /// Which attribute.
    pub attr: Option<&'static str>,
    /// The size that was wanted.
    pub wanted: Option<Dim>,
    /// The size that was found.
    pub found: Option<Dim>,
    /// What may have been meant as the value of `attr`, as it is written.
    pub meant: Option<String>,
}

impl Misfit {
    /// A misfit of this kind, its details to be filled in.
    pub fn of(kind: MisfitKind) -> Misfit {
        Misfit { kind, operand: None, axis: None, attr: None, wanted: None, found: None, meant: None }
    }
}

/// The kinds of misfit.
#[derive(Clone, Debug, PartialEq)]
pub enum MisfitKind {
    /// An operand is absent.
    Missing,
    /// An operand has too few or too many axes.
    Rank {
        /// At least.
        least: usize,
        /// At most.
        most: usize,
    },
    /// A size is not the one that is wanted.
    Size(Why),
    /// A size is not divisible.
    Divides(Why),
    /// A size is too small.
    TooSmall(Why),
    /// An axis outside the shape.
    Axis {
        /// As written.
        axis: i64,
        /// The number of axes.
        rank: usize,
    },
    /// An axis named twice.
    AxisTwice {
        /// As written.
        axis: i64,
    },
    /// Two values whose shapes must be equal (or, with leading axes missing, a suffix) are not.
    Shapes,
    /// The numbers of elements differ: a reshape.
    Count,
    /// The elements of an operand are of the wrong type.
    Elements(Elements),
    /// An attribute has a value that makes no sense here: the clause completes "`attr` …".
    Attribute(String),
    /// What is given makes no sense together: a whole sentence.
    Sentence(String),
}

/// Why a size must be what it must be: the words are chosen by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The input was pinned: `linear(784 -> 256)`.
    Pin,
    /// The inner sizes of a matrix product.
    Inner,
    /// Leading axes of two operands.
    Leading,
    /// Heads divide the width.
    Heads,
    /// Key heads divide the heads.
    KeyHeads,
    /// Groups divide the channels.
    Groups,
    /// A window must fit in the padded input.
    Window,
    /// Rotation needs pairs.
    Pairs,
    /// A table's width.
    Table,
    /// All other axes of things that are concatenated.
    Concat,
    /// Targets against rows.
    Rows,
    /// Classes.
    Classes,
    /// A mask or bias.
    Mask,
    /// Keys and values.
    Keys,
    /// The state that a recurrent layer begins from.
    State,
    /// The lengths of sequences, one a sample.
    Lengths,
    /// Anything else: the operator's own text says it.
    Other,
}

/// What a parameter list sees.
pub struct ParamCx<'a> {
    /// Sizes and shapes.
    pub shapes: &'a mut Shapes,
    /// The bound attributes.
    pub attrs: &'a Attrs,
    /// The operands' types.
    pub ins: &'a [Option<Type>],
    /// Deep norm's initial gain, where the layer stands in a deep residual: weights are then Xavier-normal with it.
    pub gain: Option<f64>,
}

impl ParamCx<'_> {
    /// The sizes of an operand.
    pub fn dims(&self, index: usize) -> Vec<Dim> {
        self.ins.get(index).copied().flatten().map_or(vec![], |ty| self.shapes.dims(ty).to_vec())
    }

    /// The initialiser of attribute `name`, else this one.
    pub fn init(&self, name: &str, otherwise: Init) -> Init {
        match self.attrs.get(name) {
            Attr::Init(init) => init.clone(),
            _ => otherwise,
        }
    }
}

/// A parameter, or a running statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamDef {
    /// Below the path of its layer: `weight`, `out_proj.weight`; empty for `parameter`, whose path is the name itself.
    pub name: String,
    /// Its sizes.
    pub dims: Vec<Dim>,
    /// Its elements.
    pub dtype: DType,
    /// How it begins.
    pub init: Init,
    /// What it is.
    pub role: Role,
}

/// What a parameter is for: decides weight decay and who learns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A learned matrix, kernel or table: weight decay acts on it.
    Weight,
    /// A learned bias, gain, slope: by default no weight decay.
    Other,
    /// A running statistic.
    State,
}

impl ParamDef {
    /// A learned weight.
    pub fn weight(name: &str, dims: &[Dim], init: Init) -> ParamDef {
        ParamDef { name: name.into(), dims: dims.into(), dtype: DType::F32, init, role: Role::Weight }
    }

    /// A bias, gain or slope.
    pub fn other(name: &str, dims: &[Dim], init: Init) -> ParamDef {
        ParamDef { role: Role::Other, ..ParamDef::weight(name, dims, init) }
    }

    /// A running statistic.
    pub fn state(name: &str, dims: &[Dim], dtype: DType, init: Init) -> ParamDef {
        ParamDef { role: Role::State, dtype, ..ParamDef::weight(name, dims, init) }
    }
}

/// What a cost rule sees.
pub struct CostCx<'a> {
    /// Sizes and shapes.
    pub shapes: &'a mut Shapes,
    /// The bound attributes.
    pub attrs: &'a Attrs,
    /// The operands' types.
    pub ins: &'a [Option<Type>],
    /// The outputs' types.
    pub outs: &'a [Type],
}

/// What chooses a kernel's numbers: attributes (symbolic sizes already replaced by numbers) and concrete views. The
/// views may be permuted here into the order that the kernel speaks of; their pointers are not to be moved.
pub struct ArgsCx<'a> {
    /// The bound attributes.
    pub attrs: &'a Attrs,
    /// The operands.
    pub ins: &'a mut [Option<View>],
    /// The outputs.
    pub outs: &'a mut [Option<View>],
}

/// What a view sees: its operand, and the shape that the rule promised.
pub struct ViewCx<'a> {
    /// The bound attributes.
    pub attrs: &'a Attrs,
    /// The operand; the result keeps its pointer, or moves it.
    pub input: View,
    /// Which output.
    pub index: usize,
    /// Its promised sizes.
    pub shape: &'a [usize],
}
