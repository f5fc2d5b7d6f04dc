//! The sentence of a failed shape rule: its code, its message, what stands under the stage.

use super::Elab;
use super::apply::Use;
use crate::ir::attr::Attr;
use crate::ir::dim::Dim;
use crate::ir::op::{Misfit, MisfitKind, Why};
use crate::ir::structured::ValueId;

/// How a mistake is told: its code, its sentence, what stands under the stage.
pub(super) struct Told {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) label: String,
}

fn told(code: &'static str, message: impl Into<String>, label: impl Into<String>) -> Told {
    Told { code, message: message.into(), label: label.into() }
}

impl Elab<'_> {
    pub(super) fn tell(&mut self, use_: &Use<'_>, misfit: &Misfit, operand: Option<ValueId>) -> Told {
        let word = use_.word;
        let gets = operand.map_or_else(String::new, |value| self.shapes.show(self.ty(value)));
        let found = misfit.found.map(|dim| self.shapes.dims.show(dim)).unwrap_or_default();
        let wanted = misfit.wanted.map(|dim| self.shapes.dims.show(dim)).unwrap_or_default();
        match &misfit.kind {
            MisfitKind::Missing => {
                let name =
                    misfit.operand.and_then(|index| use_.op.operands.get(index)).map_or("b", |schema| schema.name);
                let message = format!("`{word}` needs `{name}`, and nothing flows in for it");
                told("type::operand_missing", message, format!("`{name}` is missing"))
            }
            MisfitKind::Rank { least, most } => {
                let axes = match (least, most) {
                    (1, 1) => "1 axis".to_string(),
                    (a, b) if a == b => format!("{a} axes"),
                    (a, b) => format!("{a} to {b} axes"),
                };
                let index = misfit.operand.unwrap_or(0);
                let message = match use_.op.operands.get(index).or(use_.op.operands.last()) {
                    Some(schema) if schema.many => {
                        format!("`{word}` joins values of equally many axes: the first has {least}, another is {gets}")
                    }
                    Some(schema) if index > 0 => {
                        format!("`{}` of `{word}` must have {axes} here, and is {gets}", schema.name)
                    }
                    _ => format!("`{word}` works on {axes}, and gets {gets}"),
                };
                told("shape::rank", message, format!("wants {axes}"))
            }
            MisfitKind::Size(Why::Concat) => self.tell_concat(use_, misfit, &found, &wanted),
            MisfitKind::Size(Why::State) => tell_state(use_, misfit, &found, &wanted),
            MisfitKind::Size(Why::Classes) if misfit.operand == Some(2) => told(
                "shape::classes",
                format!("`{word}` takes one weight for each class: {found} weights, and {wanted} classes"),
                format!("{found} against {wanted}"),
            ),
            MisfitKind::Size(Why::Other) if matches!(use_.op.name, "squeeze" | "expand") => {
                let what = if use_.op.name == "squeeze" { "drops" } else { "repeats" };
                let message = format!("`{word}` {what} an axis of size 1, and this one is {found}");
                told("shape::size", message, format!("{found}, not 1"))
            }
            MisfitKind::Size(why) => self.tell_size(use_, misfit, *why, &found, &wanted),
            MisfitKind::Divides(Why::Pairs) => self.tell_pairs(use_, misfit, operand),
            MisfitKind::Divides(why) => self.tell_divides(word, misfit, *why, &found, &wanted),
            MisfitKind::TooSmall(why) => self.tell_small(use_, misfit, *why, &found, &wanted),
            MisfitKind::Axis { axis, rank } => {
                let message = format!("`{word}` names axis {axis}, and {gets} has {rank} axes");
                told("shape::axis", message, format!("there is no axis {axis}"))
            }
            MisfitKind::AxisTwice { axis } => {
                told("shape::axis_twice", format!("`{word}` names axis {axis} twice"), "an axis twice")
            }
            MisfitKind::Shapes => self.tell_shapes(use_, misfit),
            MisfitKind::Count => {
                let message = format!("`{word}` keeps the number of elements: {wanted} flow in, {found} are asked for");
                let label = match self.reduced_counts(misfit) {
                    Some((wanted, found)) if found == "1" => format!("{wanted} is missing"),
                    Some((wanted, found)) if wanted == "1" => format!("{found} is too many"),
                    Some((wanted, found)) => format!("{found} where {wanted} are"),
                    None => format!("{found} elements"),
                };
                told("shape::count", message, label)
            }
            MisfitKind::Elements(_) => told("type::elements", format!("`{word}` gets other elements"), gets),
            MisfitKind::Attribute(clause) => {
                let attr = misfit.attr.unwrap_or("this");
                told("attr::value", format!("`{attr}` of `{word}` {clause}"), "does not work here")
            }
            MisfitKind::Sentence(text) => told("shape::rule", text.clone(), "does not fit"),
        }
    }

    fn tell_size(&self, use_: &Use<'_>, misfit: &Misfit, why: Why, found: &str, wanted: &str) -> Told {
        let word = use_.word;
        let along = misfit.axis.map_or(String::new(), |axis| format!(" along axis {axis}"));
        // Losses of numbers, and distances, compare without classes.
        let classes = use_.op.attrs.iter().any(|def| def.name == "ignore_index" || def.name == "weight");
        let differ = format!("{found} against {wanted}");
        match why {
            Why::Pin => told(
                "shape::pin",
                format!("`{word}` is pinned to an input of {wanted}, and {found} flows in"),
                format!("wants {wanted}, gets {found}"),
            ),
            Why::Inner => told("shape::inner", format!("the inner sizes of `{word}` differ: {differ}"), differ),
            Why::Leading if !use_.op.name.starts_with("matmul") && self.is_width(use_, misfit) => {
                told("shape::leading", format!("`{word}` compares rows of one width: {differ}"), differ)
            }
            Why::Rows if !classes => {
                told("shape::rows", format!("`{word}` compares values of one shape{along}: {differ}"), differ)
            }
            Why::Leading => told("shape::leading", format!("the leading axes of `{word}` differ: {differ}"), differ),
            Why::Table => told(
                "shape::table",
                format!("`{word}` has a table of width {wanted}, and {found} flows in"),
                format!("wants {wanted}, gets {found}"),
            ),
            Why::Concat => told("shape::concat", format!("the values that `{word}` joins differ: {differ}"), differ),
            Why::Rows => {
                told("shape::rows", format!("`{word}` wants one target for each row of its input: {differ}"), differ)
            }
            Why::Classes => told("shape::classes", format!("the classes of `{word}` differ: {differ}"), differ),
            Why::Mask => told("shape::mask", format!("the mask of `{word}` has another size: {differ}"), differ),
            Why::Keys => told("shape::keys", format!("keys and values of `{word}` differ: {differ}"), differ),
            Why::Lengths => told(
                "shape::lengths",
                format!("`{word}` takes one length for each sequence: {found} lengths, and {wanted} sequences"),
                differ,
            ),
            Why::Heads | Why::KeyHeads | Why::Groups | Why::Window | Why::Pairs | Why::State | Why::Other => {
                told("shape::size", format!("`{word}` wants a size of {wanted}{along}, and gets {found}"), differ)
            }
        }
    }

    /// Whether it is the last axis that does not fit.
    fn is_width(&self, use_: &Use<'_>, misfit: &Misfit) -> bool {
        let value = misfit.operand.and_then(|index| use_.operands.get(index).copied().flatten());
        value.is_some_and(|value| misfit.axis == Some(self.shapes.rank(self.ty(value)).saturating_sub(1)))
    }

    fn tell_concat(&self, use_: &Use<'_>, misfit: &Misfit, found: &str, wanted: &str) -> Told {
        let word = use_.word;
        let differ = format!("{found} against {wanted}");
        let axis = misfit.axis.map_or(String::new(), |axis| format!(" of axis {axis}"));
        let joined = match use_.attrs.get("axis") {
            Attr::Int(along) if use_.op.name == "concat" => {
                format!(
                    "`{word}` joins along axis {along}, and all others must be equal: those{axis} are {found} and {wanted}"
                )
            }
            _ => format!("`{word}` joins values of one shape: the sizes{axis} are {differ}"),
        };
        told("shape::concat", joined, format!("axis {}: {differ}", misfit.axis.unwrap_or(0)))
    }

    /// Rotary positions over an odd width: of a head, where heads share it.
    fn tell_pairs(&self, use_: &Use<'_>, misfit: &Misfit, operand: Option<ValueId>) -> Told {
        let word = use_.word;
        let size = |dim: Option<Dim>| dim.and_then(|dim| self.shapes.dims.as_const(dim));
        let found = misfit.found.map(|dim| self.shapes.dims.show(dim)).unwrap_or_default();
        let width = operand.and_then(|value| self.shapes.dims(self.ty(value)).last().copied());
        let heads = match use_.attrs.get("heads") {
            Attr::Int(heads) => Some(*heads),
            _ => None,
        };
        match (size(width), heads, size(misfit.found)) {
            (Some(width), Some(heads), Some(head)) if heads > 0 && width == heads * head => told(
                "shape::pairs",
                format!("rotary positions turn pairs, and a head is {width} / {heads} = {head} wide"),
                format!("{head} is odd: one number of each head has no partner"),
            ),
            _ => told(
                "shape::pairs",
                format!("`{word}` turns pairs of numbers, and a row has {found} of them"),
                format!("{found} is odd"),
            ),
        }
    }

    /// The numbers of elements without the sizes that both have: `h * w` and `784`.
    pub(super) fn reduced_counts(&self, misfit: &Misfit) -> Option<(String, String)> {
        let ([(a, p)], [(b, q)]) = (self.shapes.dims.terms(misfit.wanted?), self.shapes.dims.terms(misfit.found?))
        else {
            return None;
        };
        let (mut left, mut right) = (a.to_vec(), b.to_vec());
        left.retain(|atom| match right.iter().position(|other| other == atom) {
            Some(at) => {
                right.remove(at);
                false
            }
            None => true,
        });
        // Plain numbers are told as they are.
        let plain = left.is_empty() && right.is_empty();
        let common = if plain { 1 } else { gcd(*p, *q).max(1) };
        let shown = |atoms: &[_], factor: i64| {
            let words: Vec<String> = atoms.iter().map(|atom| self.shapes.dims.show_atom(*atom)).collect();
            let factor = if factor == 1 && !words.is_empty() { vec![] } else { vec![factor.to_string()] };
            [factor, words].concat().join(" * ")
        };
        Some((shown(&left, *p / common), shown(&right, *q / common)))
    }

    fn tell_divides(&self, word: &str, misfit: &Misfit, why: Why, found: &str, wanted: &str) -> Told {
        let axis = misfit.axis.map_or(String::new(), |axis| format!("axis {axis}, which is "));
        let rest = match (found.parse::<i64>(), wanted.parse::<i64>()) {
            (Ok(x), Ok(y)) if y != 0 => format!("{found} / {wanted} leaves {}", x.rem_euclid(y)),
            _ => format!("{found} / {wanted}"),
        };
        match why {
            Why::Heads => told(
                "shape::heads",
                format!("{wanted} heads do not divide a width of {found}"),
                format!("`{word}`: {rest}"),
            ),
            Why::KeyHeads => told("shape::key_heads", format!("{wanted} key heads do not divide {found} heads"), rest),
            Why::Groups => told("shape::groups", format!("{wanted} groups do not divide {found} channels"), rest),
            Why::Pairs => {
                told("shape::pairs", format!("`{word}` turns pairs, and {found} is no multiple of {wanted}"), rest)
            }
            Why::Pin
            | Why::Inner
            | Why::Leading
            | Why::Window
            | Why::Table
            | Why::Concat
            | Why::Rows
            | Why::Classes
            | Why::Mask
            | Why::Keys
            | Why::State
            | Why::Lengths
            | Why::Other => told("shape::divides", format!("`{word}`: {wanted} does not divide {axis}{found}"), rest),
        }
    }

    fn tell_small(&self, use_: &Use<'_>, misfit: &Misfit, why: Why, found: &str, wanted: &str) -> Told {
        let word = use_.word;
        let gets =
            use_.operands.first().copied().flatten().map_or_else(String::new, |value| self.shapes.show(self.ty(value)));
        let along = misfit.axis.map_or(String::new(), |axis| format!(" along axis {axis}"));
        match why {
            Why::Window if use_.op.name == "pad" => told(
                "shape::window",
                format!(
                    "`{word}` repeats what stands inside: it wants at least {wanted}{along}, and there are {found}"
                ),
                format!("gets {gets}"),
            ),
            Why::Window => told(
                "shape::window",
                format!("the window of `{word}` spans {wanted}, and its input, padding counted, only {found}"),
                format!("gets {gets}"),
            ),
            Why::Table => told(
                "shape::positions",
                format!("the table of `{word}` has {found} rows, and {wanted} positions are looked up in it"),
                format!("{found} rows"),
            ),
            Why::Pin
            | Why::Inner
            | Why::Leading
            | Why::Heads
            | Why::KeyHeads
            | Why::Groups
            | Why::Pairs
            | Why::Concat
            | Why::Rows
            | Why::Classes
            | Why::Mask
            | Why::Keys
            | Why::State
            | Why::Lengths
            | Why::Other => told(
                "shape::small",
                format!("`{word}` wants at least {wanted}{along}, and gets {found}"),
                format!("gets {gets}"),
            ),
        }
    }

    fn tell_shapes(&mut self, use_: &Use<'_>, misfit: &Misfit) -> Told {
        let shown: Vec<String> =
            use_.operands.iter().flatten().map(|&value| self.shapes.show(self.ty(value))).collect();
        let message = format!("the shapes of `{}` differ: {}", use_.word, shown.join(" against "));
        let label = match (misfit.found, misfit.wanted) {
            (Some(found), Some(wanted)) => {
                format!("{} against {}", self.shapes.dims.show(found), self.shapes.dims.show(wanted))
            }
            _ => "not the same".into(),
        };
        told("shape::elementwise", message, label)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

/// The state that a recurrent layer begins from: `[layers * D, B, width]`, of a cell `[.., width]`.
fn tell_state(use_: &Use<'_>, misfit: &Misfit, found: &str, wanted: &str) -> Told {
    let word = use_.word;
    let name = misfit.operand.and_then(|index| use_.op.operands.get(index)).map_or("h", |schema| schema.name);
    let layered = use_.attrs.defs().iter().any(|def| def.name == "layers");
    let message = match misfit.axis {
        Some(0) if layered => {
            format!("`{name}` of `{word}` begins with a state for each layer and direction: {wanted} here, not {found}")
        }
        Some(1) if layered => {
            format!("the second axis of `{name}` of `{word}` is that of the batch: {wanted}, not {found}")
        }
        _ => format!("`{name}` of `{word}` is {wanted} wide, and {found} comes in"),
    };
    told("shape::state", message, format!("wants {wanted}, gets {found}"))
}
