//! Attributes: the static arguments of an operator, their kinds and defaults.

use super::dim::Dim;
use super::op::OpDef;
use std::sync::Arc;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attr {
    /// `none`, or not given and without default.
    None,
    /// `true`, `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float (a fraction is one, too).
    Float(f64),
    /// An option.
    Str(String),
    /// A symbolic size; a size that is a number is an `Int`.
    Dim(Dim),
    /// `[3, 2]`.
    List(Vec<Attr>),
    /// `...` in a shape.
    Rest,
    /// A stage: an operator with some of its attributes bound (`qk_norm = rmsnorm`).
    Stage(Stage),
    /// An initialiser: a word and its arguments (`normal(0.02)`).
    Init(Init),
    /// A declared layer (`unembed(wte)`): its path and the shape of its parameters stand in the structured graph.
    Layer(LayerRef),
}

/// An operator with bound attributes, given as a value.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The operator.
    pub op: &'static OpDef,
    /// All its attributes, bound.
    pub attrs: Attrs,
}

impl PartialEq for Stage {
    fn eq(&self, other: &Stage) -> bool {
        std::ptr::eq(self.op, other.op) && self.attrs == other.attrs
    }
}

/// An initialiser of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All the same.
    Constant(f64),
    /// U(a, b).
    Uniform(f64, f64),
    /// N(mean, std): std, mean.
    Normal(f64, f64),
    /// N(mean, std) cut to [a, b]: std, a, b.
    TruncNormal(f64, f64, f64),
    /// U(±gain·sqrt(6 / (fan_in + fan_out))) (Glorot 2010).
    XavierUniform(f64),
    /// N(0, gain·sqrt(2 / (fan_in + fan_out))) (Glorot 2010).
    XavierNormal(f64),
    /// U(±gain·sqrt(3 / fan)) (He 2015): gain, whether fan is fan_out.
    KaimingUniform(f64, bool),
    /// N(0, gain / sqrt(fan)) (He 2015): gain, whether fan is fan_out.
    KaimingNormal(f64, bool),
    /// U(±1/sqrt(fan)) with the fan given: PyTorch's default for linear and convolution, bias included.
    UniformFan(i64),
    /// An (also rectangular) orthogonal matrix times a gain (Saxe 2013).
    Orthogonal(f64),
    /// The identity matrix.
    Eye,
    /// N(0, std) with a share of zeros in each column (Martens 2010): share, std.
    Sparse(f64, f64),
    /// Of each of so many groups of filters the i-th hands on channel i.
    Dirac(i64),
    /// The length of each row of another parameter as it begins: its name, how it is drawn, its sizes.
    NormsOf(&'static str, Box<Init>, Vec<i64>),
    /// Rows by blocks, each initialised as a matrix of its own (queries, keys, values).
    Blocks(Vec<(i64, Init)>),
}

/// A declared layer as a value of the number world.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRef {
    /// Its index among the structured graph's layers.
    pub index: u32,
}

/// What an attribute may be given; several kinds are alternatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttrKind {
    /// A positive integer, or a symbolic size where no parameter depends on it.
    Size,
    /// An integer of either sign.
    Int,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// Any string.
    Text,
    /// `n` or `[n…]`: a positive integer for every spatial axis.
    PerAxis,
    /// `n` or `[n…]`: a non-negative integer for every spatial axis.
    PerAxisZero,
    /// An axis: an integer, or a declared dim's name that occurs once in the shape.
    Axis,
    /// Axes: one or a list.
    Axes,
    /// A shape: a list of sizes, perhaps with `-1` and `...`.
    Shape,
    /// A list of numbers, also nested.
    Numbers,
    /// A list of `true` and `false`.
    Bools,
    /// An initialiser.
    Init,
    /// A stage: an operator, perhaps with arguments.
    Stage,
    /// A declared layer.
    Layer,
    /// The word `none`.
    Nothing,
}

/// What an attribute is when it is not written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttrDefault {
    /// It must be written.
    Required,
    /// [`Attr::None`]: the operator's rule knows what that means.
    None,
    /// A bool.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Str(&'static str),
    /// Floats.
    Floats(&'static [f64]),
    /// The value of another attribute.
    Same(&'static str),
}

/// The values that a number may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Whatever its kind allows.
    Any,
    /// x > 0.
    Positive,
    /// x ≥ 0.
    NonNegative,
    /// 0 ≤ x ≤ 1.
    Probability,
    /// 0 ≤ x < 1.
    HalfOpen,
    /// x = 1: what opts out of deep norm's gain.
    Unit,
}

/// The schema of an attribute.
#[derive(Clone, Copy, Debug)]
pub struct AttrDef {
    /// Its name.
    pub name: &'static str,
    /// What it may be given.
    pub kinds: &'static [AttrKind],
    /// What it is otherwise.
    pub default: AttrDefault,
    /// Where a number must lie.
    pub domain: Domain,
    /// Whether it may be given by position (in the order of the schema).
    pub positional: bool,
    /// PyTorch's name of it where that differs, for a fix (`kernel_size`).
    pub torch: &'static str,
    /// One clause for the reference.
    pub doc: &'static str,
}

impl AttrDef {
    /// An attribute of this kind that must be given.
    pub const fn required(name: &'static str, kinds: &'static [AttrKind], doc: &'static str) -> AttrDef {
        AttrDef { name, kinds, default: AttrDefault::Required, domain: Domain::Any, positional: true, torch: "", doc }
    }

    /// An attribute with a default.
    pub const fn new(
        name: &'static str,
        kinds: &'static [AttrKind],
        default: AttrDefault,
        doc: &'static str,
    ) -> AttrDef {
        AttrDef { name, kinds, default, domain: Domain::Any, positional: true, torch: "", doc }
    }

    /// Confined to a domain.
    pub const fn within(mut self, domain: Domain) -> AttrDef {
        self.domain = domain;
        self
    }

    /// Called otherwise in PyTorch.
    pub const fn torch(mut self, name: &'static str) -> AttrDef {
        self.torch = name;
        self
    }

    /// Only by name.
    pub const fn named(mut self) -> AttrDef {
        self.positional = false;
        self
    }
}

/// The bound attributes of one use of an operator, in the order of its schema.
#[derive(Clone, Debug)]
pub struct Attrs {
    defs: &'static [AttrDef],
    values: Arc<[Attr]>,
}

impl PartialEq for Attrs {
    fn eq(&self, other: &Attrs) -> bool {
        std::ptr::eq(self.defs, other.defs) && self.values == other.values
    }
}

impl Attrs {
    /// From values in schema order.
    pub fn new(defs: &'static [AttrDef], values: Vec<Attr>) -> Attrs {
        debug_assert_eq!(defs.len(), values.len(), "one value for each attribute");
        Attrs { defs, values: values.into() }
    }

    /// All defaults, but for those named. Meant for code; names must exist.
    pub fn with(defs: &'static [AttrDef], given: &[(&str, Attr)]) -> Attrs {
        let mut values: Vec<Attr> = vec![];
        for def in defs {
            let value = given.iter().find(|(name, _)| *name == def.name).map(|(_, value)| value.clone());
            let same = |name: &str| defs.iter().position(|d| d.name == name).map(|i| values[i].clone());
            values.push(value.unwrap_or_else(|| default(def.default, same)));
        }
        Attrs::new(defs, values)
    }

    /// The schema.
    pub fn defs(&self) -> &'static [AttrDef] {
        self.defs
    }

    /// The values in schema order.
    pub fn values(&self) -> &[Attr] {
        &self.values
    }

    /// The value of an attribute; `None` for a name that is not in the schema.
    pub fn get(&self, name: &str) -> &Attr {
        match self.defs.iter().position(|def| def.name == name) {
            Some(i) => &self.values[i],
            None => &Attr::None,
        }
    }

    /// An integer.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Attr::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// A number as f64.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Attr::Int(value) => Some(*value as f64),
            Attr::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// A flag; what is not `true` is false.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Attr::Bool(true))
    }

    /// The number that stands in place of a second operand, and whether it stands first: `1 - x`.
    pub fn number_beside(&self) -> Option<(f64, bool)> {
        Some((self.float("value")?, self.flag("number_first")))
    }

    /// A string.
    pub fn str(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Attr::Str(value) => Some(value),
            _ => None,
        }
    }

    /// A list of integers; a single one is a list of one.
    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        match self.get(name) {
            Attr::Int(value) => Some(vec![*value]),
            Attr::List(items) => {
                items.iter().map(|item| if let Attr::Int(value) = item { Some(*value) } else { None }).collect()
            }
            _ => None,
        }
    }

    /// The same attributes with one replaced.
    pub fn replaced(&self, name: &str, value: Attr) -> Attrs {
        let values = self.defs.iter().zip(self.values.iter());
        let values = values.map(|(def, old)| if def.name == name { value.clone() } else { old.clone() });
        Attrs { defs: self.defs, values: values.collect() }
    }
}

/// The value of a default; `same` looks another attribute up.
pub fn default(default: AttrDefault, same: impl Fn(&str) -> Option<Attr>) -> Attr {
    match default {
        AttrDefault::Required | AttrDefault::None => Attr::None,
        AttrDefault::Bool(value) => Attr::Bool(value),
        AttrDefault::Int(value) => Attr::Int(value),
        AttrDefault::Float(value) => Attr::Float(value),
        AttrDefault::Str(value) => Attr::Str(value.into()),
        AttrDefault::Floats(values) => Attr::List(values.iter().map(|&value| Attr::Float(value)).collect()),
        AttrDefault::Same(name) => same(name).unwrap_or(Attr::None),
    }
}
