//! A value of the number world as an attribute: kind, domain, options, axes; and the words where it does not fit.

use super::Elab;
use super::bind::Called;
use super::value::{Given, Static, Target};
use crate::ir::attr::{Attr, AttrDef, AttrKind, Domain, LayerRef, Stage};
use crate::ir::shape::Type;

/// Why a value does not fit an attribute.
pub(super) enum Wrong {
    /// It is of another kind.
    Kind,
    /// A fraction is never a size.
    Fraction,
    /// A size is at least 1 (0 for a padding): the least.
    Small(i64),
    /// Outside its domain: what it must be.
    Domain(&'static str),
    /// Not one of the options.
    Choice(Option<String>),
    /// A symbolic size where a number is wanted.
    Symbolic,
    /// A hyperparameter's name as an axis.
    HyperAxis,
    /// A dim that does not occur once in the shape: how often it does.
    DimAxis(usize),
    /// A word that names nothing.
    Word(String),
    /// An item of a list is wrong: which, and how.
    Item(usize, Box<Wrong>),
    /// Reported already.
    Silent,
}

impl<'a> Elab<'a> {
    /// One attribute alone, checked; what is wrong is reported.
    pub(super) fn one_attr(&mut self, defs: &'static [AttrDef], word: &str, arg: Given) -> Option<Attr> {
        let name = arg.name.as_ref()?.text.clone();
        let slot = defs.iter().position(|def| def.name == name)?;
        match self.coerce(&defs[slot], &arg, None) {
            Ok(attr) => Some(attr),
            Err(wrong) => {
                self.explain_wrong(Called { defs, word, span: arg.span }, slot, &arg, wrong);
                None
            }
        }
    }

    /// A value as an attribute of some kind.
    pub(super) fn coerce(&mut self, def: &AttrDef, arg: &Given, input: Option<Type>) -> Result<Attr, Wrong> {
        let axes = def.kinds.iter().any(|kind| matches!(kind, AttrKind::Axis | AttrKind::Axes));
        if axes && arg.hyper {
            return Err(Wrong::HyperAxis);
        }
        let value = if axes { arg.value.clone() } else { self.plain(&arg.value) };
        if let Static::Unknown = value {
            return Err(Wrong::Silent);
        }
        let mut wrong = Wrong::Kind;
        for &kind in def.kinds {
            match self.coerce_kind(kind, &value, arg, input) {
                Ok(attr) => return within(def.domain, attr),
                // The most telling reason wins over "of another kind".
                Err(Wrong::Kind) => {}
                Err(other) => wrong = other,
            }
        }
        if let Some((at, wrong)) = self.wrong_item(def, &value, arg, input) {
            return Err(if let Wrong::Silent = wrong { wrong } else { Wrong::Item(at, Box::new(wrong)) });
        }
        match (wrong, value) {
            (Wrong::Kind, Static::Word(word)) => Err(Wrong::Word(word)),
            (Wrong::Kind, Static::Dim(_)) if self.symbolic => Err(Wrong::Silent),
            (Wrong::Symbolic, _) if self.symbolic => Err(Wrong::Silent),
            (wrong, _) => Err(wrong),
        }
    }

    /// The first item of a list that is wrong by itself.
    fn wrong_item(&mut self, def: &AttrDef, list: &Static, arg: &Given, input: Option<Type>) -> Option<(usize, Wrong)> {
        let Static::List(items) = list else { return None };
        if items.len() != arg.items.len() || !def.kinds.iter().any(takes_list) {
            return None;
        }
        items.iter().zip(&arg.items).enumerate().find_map(|(at, (item, &span))| {
            let item = arg.item(item.clone(), span);
            self.coerce(def, &item, input).err().map(|wrong| (at, wrong))
        })
    }

    pub(super) fn coerce_kind(
        &mut self,
        kind: AttrKind,
        value: &Static,
        arg: &Given,
        input: Option<Type>,
    ) -> Result<Attr, Wrong> {
        match (kind, value) {
            (AttrKind::Size, Static::Int(n)) if *n < 1 => Err(Wrong::Small(1)),
            (AttrKind::Size | AttrKind::Int | AttrKind::Number, Static::Int(n)) => Ok(Attr::Int(*n)),
            (AttrKind::Size, Static::Dim(dim)) => Ok(Attr::Dim(*dim)),
            (AttrKind::Size | AttrKind::Int | AttrKind::PerAxis | AttrKind::PerAxisZero, Static::Ratio(..)) => {
                Err(Wrong::Fraction)
            }
            (AttrKind::Number, Static::Ratio(..) | Static::Float(_)) => Ok(Attr::Float(value.float().unwrap_or(0.0))),
            (AttrKind::Bool, Static::Bool(value)) => Ok(Attr::Bool(*value)),
            (AttrKind::Choice(options), Static::Str(text)) => {
                if options.contains(&text.as_str()) {
                    Ok(Attr::Str(text.clone()))
                } else {
                    Err(Wrong::Choice(None))
                }
            }
            (AttrKind::Choice(options), Static::Word(word)) if options.contains(&word.as_str()) => {
                Err(Wrong::Choice(Some(word.clone())))
            }
            (AttrKind::Choice(options), Static::Stage(_) | Static::Init(_)) => {
                let written = self.written(arg.value_span);
                if options.contains(&written) { Err(Wrong::Choice(Some(written.into()))) } else { Err(Wrong::Kind) }
            }
            (AttrKind::Text, Static::Str(text)) => Ok(Attr::Str(text.clone())),
            (AttrKind::PerAxis, _) => self.per_axis(value, 1),
            (AttrKind::PerAxisZero, _) => self.per_axis(value, 0),
            (AttrKind::Axis, _) => self.axis(value, input),
            (AttrKind::Axes, Static::List(items)) => {
                let axes: Result<Vec<Attr>, Wrong> = items.iter().map(|item| self.axis(item, input)).collect();
                Ok(Attr::List(axes?))
            }
            (AttrKind::Axes, _) => self.axis(value, input),
            (AttrKind::Shape, _) => self.shape(value),
            (AttrKind::Numbers, Static::List(items)) => {
                let numbers: Result<Vec<Attr>, Wrong> = items
                    .iter()
                    .map(|item| match item {
                        Static::List(_) => self.coerce_kind(AttrKind::Numbers, item, arg, input),
                        _ => self.coerce_kind(AttrKind::Number, &self.plain(item), arg, input),
                    })
                    .collect();
                Ok(Attr::List(numbers?))
            }
            (AttrKind::Bools, Static::List(items)) => {
                let flags = items.iter().map(|item| self.coerce_kind(AttrKind::Bool, &self.plain(item), arg, input));
                Ok(Attr::List(flags.collect::<Result<_, _>>()?))
            }
            (AttrKind::Init, Static::Init(init)) => Ok(Attr::Init(init.clone())),
            (AttrKind::Init, Static::Stage(stage)) => match stage.target {
                Target::Op(op) => self.initialiser(op.name, &stage.args).map(Attr::Init).ok_or(Wrong::Kind),
                Target::Block(_) => Err(Wrong::Kind),
            },
            (AttrKind::Stage, Static::Stage(stage)) => match stage.target {
                Target::Op(op) => {
                    let called = Called { defs: op.attrs, word: op.name, span: arg.value_span };
                    let call = self.bind(called, &stage.args, None).ok_or(Wrong::Silent)?;
                    Ok(Attr::Stage(Stage { op, attrs: call.attrs }))
                }
                Target::Block(_) => Err(Wrong::Kind),
            },
            (AttrKind::Stage, Static::Init(_)) => Err(Wrong::Kind),
            (AttrKind::Layer, Static::Layer(index)) => Ok(Attr::Layer(LayerRef { index: *index as u32 })),
            (AttrKind::Nothing, Static::None) => Ok(Attr::None),
            (AttrKind::Int | AttrKind::Number, Static::Dim(_)) => Err(Wrong::Symbolic),
            (
                AttrKind::Size
                | AttrKind::Int
                | AttrKind::Number
                | AttrKind::Bool
                | AttrKind::Choice(_)
                | AttrKind::Text
                | AttrKind::Numbers
                | AttrKind::Bools
                | AttrKind::Init
                | AttrKind::Stage
                | AttrKind::Layer
                | AttrKind::Nothing,
                _,
            ) => Err(Wrong::Kind),
        }
    }

    pub(super) fn per_axis(&mut self, value: &Static, least: i64) -> Result<Attr, Wrong> {
        match self.plain(value) {
            Static::Int(n) if n < least => Err(Wrong::Small(least)),
            Static::Int(n) if n > 1 << 31 => Err(Wrong::Domain("less than 2^31")),
            Static::Int(n) => Ok(Attr::Int(n)),
            Static::Ratio(..) => Err(Wrong::Fraction),
            Static::Dim(_) => Err(Wrong::Symbolic),
            Static::List(items) => {
                let list: Result<Vec<Attr>, Wrong> = items.iter().map(|item| self.per_axis(item, least)).collect();
                Ok(Attr::List(list?))
            }
            _ => Err(Wrong::Kind),
        }
    }

    /// An integer, or a dim that occurs once in the shape.
    pub(super) fn axis(&mut self, value: &Static, input: Option<Type>) -> Result<Attr, Wrong> {
        match value {
            Static::Int(n) => Ok(Attr::Int(*n)),
            Static::Dim(dim) => {
                // A declared layer is bound before anything flows in; the axis is found when it is applied.
                let Some(input) = input else { return Ok(Attr::Int(-1)) };
                let dims = self.shapes.dims(input);
                let found: Vec<usize> = (0..dims.len()).filter(|&i| dims[i] == *dim).collect();
                match found[..] {
                    [one] => Ok(Attr::Int(one as i64)),
                    _ if self.symbolic && self.open_rank => Err(Wrong::Silent),
                    _ => Err(Wrong::DimAxis(found.len())),
                }
            }
            _ => Err(Wrong::Kind),
        }
    }

    pub(super) fn shape(&mut self, value: &Static) -> Result<Attr, Wrong> {
        let items = match value {
            Static::List(items) => items.clone(),
            other => vec![other.clone()],
        };
        let mut sizes = vec![];
        for item in items {
            sizes.push(match self.plain(&item) {
                Static::Int(n) if n < -1 => return Err(Wrong::Small(0)),
                Static::Int(n) => Attr::Int(n),
                Static::Dim(dim) => Attr::Dim(dim),
                Static::Rest => Attr::Rest,
                Static::Ratio(..) => return Err(Wrong::Fraction),
                Static::Unknown => return Err(Wrong::Silent),
                Static::Word(word) => return Err(Wrong::Word(word)),
                _ => return Err(Wrong::Kind),
            });
        }
        Ok(Attr::List(sizes))
    }
}

/// A number within its domain.
fn within(domain: Domain, attr: Attr) -> Result<Attr, Wrong> {
    let inside = |x: f64| match domain {
        Domain::Any => true,
        Domain::Positive => x > 0.0,
        Domain::NonNegative => x >= 0.0,
        Domain::Probability => (0.0..=1.0).contains(&x),
        Domain::HalfOpen => (0.0..1.0).contains(&x),
        Domain::Unit => x == 1.0,
    };
    let must = match domain {
        Domain::Any => "a number",
        Domain::Positive => "above 0",
        Domain::NonNegative => "at least 0",
        Domain::Probability => "between 0 and 1",
        Domain::HalfOpen => "at least 0 and below 1",
        Domain::Unit => "1, which opts out of deep norm (another gain is `init = xavier_normal(gain)`)",
    };
    let sound = match &attr {
        Attr::Int(n) => inside(*n as f64),
        Attr::Float(x) => inside(*x),
        Attr::List(items) => items.iter().all(|item| match item {
            Attr::Int(n) => inside(*n as f64),
            Attr::Float(x) => inside(*x),
            _ => true,
        }),
        _ => true,
    };
    if sound { Ok(attr) } else { Err(Wrong::Domain(must)) }
}

/// Whether an attribute of this kind may be written as a list.
pub(super) fn takes_list(kind: &AttrKind) -> bool {
    matches!(kind, AttrKind::Axes | AttrKind::Shape | AttrKind::Numbers | AttrKind::PerAxis | AttrKind::PerAxisZero)
}
