//! What the two worlds are made of: [`Static`] in the number world, [`Val`] in the tensor world.

use crate::ir::attr::Init;
use crate::ir::dim::Dim;
use crate::ir::op::OpDef;
use crate::ir::structured::ValueId;
use crate::syntax::ast::Name;
use crate::text::Span;
use std::rc::Rc;

/// A value of the number world: what a hyperparameter may hold.
#[derive(Clone, Debug)]
pub(super) enum Static {
    /// An integer.
    Int(i64),
    /// An exact fraction, reduced, its denominator above 1.
    Ratio(i64, i64),
    /// A float.
    Float(f64),
    /// `true`, `false`.
    Bool(bool),
    /// A string.
    Str(String),
    /// `none`.
    None,
    /// `[3, 2]`.
    List(Vec<Static>),
    /// `...` in a list.
    Rest,
    /// A declared dim by its bare name (even where it is bound to a number), or a size made of some.
    Dim(Dim),
    /// An operator or block, perhaps with some arguments.
    Stage(Rc<StageValue>),
    /// An initialiser.
    Init(Init),
    /// A declared layer, by its index.
    Layer(usize),
    /// A bare word that names nothing; an option without its quotes, perhaps.
    Word(String),
    /// A mistake that was reported, or cannot be known: silent.
    Unknown,
}

/// A stage as a value.
#[derive(Clone, Debug)]
pub(super) struct StageValue {
    /// What is applied.
    pub target: Target,
    /// Its arguments so far.
    pub args: Vec<Given>,
}

/// What can be applied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// An operator of the catalogue.
    Op(&'static OpDef),
    /// A block, by its index.
    Block(usize),
}

/// An argument, evaluated.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// `pad = …`.
    pub name: Option<Name>,
    /// Its value, or what stands before the arrow.
    pub value: Static,
    /// What stands after the arrow.
    pub pin: Option<Static>,
    /// The whole argument.
    pub span: Span,
    /// The value alone.
    pub value_span: Span,
    /// The items of a list, where it is written as one.
    pub items: Vec<Span>,
    /// It is written as the bare name of a hyperparameter.
    pub hyper: bool,
}

impl Given {
    /// One item of a list, as if it stood alone.
    pub(super) fn item(&self, value: Static, span: Span) -> Given {
        Given { value, pin: None, span, value_span: span, items: vec![], hyper: false, name: self.name.clone() }
    }
}

/// A value of the tensor world.
#[derive(Clone, Debug)]
pub(super) enum Val {
    /// After a mistake: silent.
    Unknown,
    /// A tensor.
    One(ValueId),
    /// An operator's outputs: the first flows on, a pattern may name all.
    Multi(Vec<ValueId>, &'static OpDef),
    /// Several values.
    Tuple(Vec<Elem>),
}

/// An element of a tuple.
#[derive(Clone, Debug)]
pub(super) struct Elem {
    /// `mask = …`.
    pub name: Option<String>,
    /// The value.
    pub val: Val,
    /// Where it is written.
    pub span: Span,
}

impl StageValue {
    /// The same stage with more arguments; one that is named again replaces the old.
    pub(super) fn with(&self, more: Vec<Given>) -> StageValue {
        let again = |old: &Given| {
            old.name
                .as_ref()
                .is_some_and(|name| more.iter().any(|new| new.name.as_ref().is_some_and(|n| n.text == name.text)))
        };
        let args = self.args.iter().filter(|old| !again(old)).cloned().chain(more.iter().cloned()).collect();
        StageValue { target: self.target, args }
    }
}

impl Val {
    /// The tensor that flows on, if it is one.
    pub(super) fn single(&self) -> Option<ValueId> {
        match self {
            Val::One(id) => Some(*id),
            Val::Multi(ids, _) => ids.first().copied(),
            Val::Tuple(elems) if elems.len() == 1 => elems[0].val.single(),
            Val::Unknown | Val::Tuple(_) => None,
        }
    }

    /// Whether something in it is not known.
    pub(super) fn is_unknown(&self) -> bool {
        match self {
            Val::Unknown => true,
            Val::Tuple(elems) => elems.iter().any(|elem| elem.val.is_unknown()),
            Val::One(_) | Val::Multi(..) => false,
        }
    }

    /// All tensors in it, in order.
    pub(super) fn leaves(&self) -> Vec<ValueId> {
        match self {
            Val::Unknown => vec![],
            Val::One(id) => vec![*id],
            Val::Multi(ids, _) => ids.first().copied().into_iter().collect(),
            Val::Tuple(elems) => elems.iter().flat_map(|elem| elem.val.leaves()).collect(),
        }
    }

    /// The same structure over other tensors, given in the order of [`Val::leaves`].
    pub(super) fn rebuilt(&self, leaves: &mut impl Iterator<Item = ValueId>) -> Val {
        match self {
            Val::Unknown => Val::Unknown,
            Val::One(_) | Val::Multi(..) => leaves.next().map_or(Val::Unknown, Val::One),
            Val::Tuple(elems) => {
                Val::Tuple(elems.iter().map(|elem| Elem { val: elem.val.rebuilt(leaves), ..elem.clone() }).collect())
            }
        }
    }
}

impl Static {
    /// An exact fraction in lowest terms; an integer where it is one. `None` on overflow or division by 0.
    pub(super) fn ratio(numerator: i128, denominator: i128) -> Option<Static> {
        if denominator == 0 {
            return None;
        }
        let (mut a, mut b) = (numerator.unsigned_abs(), denominator.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = i128::try_from(a.max(1)).ok()?;
        let sign = if denominator < 0 { -1 } else { 1 };
        let numerator = i64::try_from(sign * numerator / divisor).ok()?;
        let denominator = i64::try_from(sign * denominator / divisor).ok()?;
        Some(if denominator == 1 { Static::Int(numerator) } else { Static::Ratio(numerator, denominator) })
    }

    /// As a fraction, where it is exact.
    pub(super) fn exact(&self) -> Option<(i64, i64)> {
        match self {
            Static::Int(value) => Some((*value, 1)),
            Static::Ratio(numerator, denominator) => Some((*numerator, *denominator)),
            _ => None,
        }
    }

    /// As a float, where it is a number.
    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Static::Int(value) => Some(*value as f64),
            Static::Ratio(numerator, denominator) => Some(*numerator as f64 / *denominator as f64),
            Static::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// What kind of thing it is, in a user's words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Static::Int(_) => "an integer",
            Static::Ratio(..) => "a fraction",
            Static::Float(_) => "a float",
            Static::Bool(_) => "true or false",
            Static::Str(_) => "a string",
            Static::None => "none",
            Static::List(_) => "a list",
            Static::Rest => "`...`",
            Static::Dim(_) => "a symbolic size",
            Static::Stage(_) => "a stage",
            Static::Init(_) => "an initialiser",
            Static::Layer(_) => "a layer",
            Static::Word(_) => "a word that names nothing",
            Static::Unknown => "unknown",
        }
    }
}
