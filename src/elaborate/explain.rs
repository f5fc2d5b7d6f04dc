//! A failed shape rule in words: both culprits, in the user's names.

use super::Elab;
use super::apply::Use;
use crate::diagnostic::Diagnostic;
use crate::ir::attr::Attr;
use crate::ir::dim::Dim;
use crate::ir::op::{Condition, Elements, Misfit, MisfitKind, Need, Why};
use crate::ir::structured::ValueId;
use crate::text::Span;

/// How a mistake is told: its code, its sentence, what stands under the stage.
struct Told {
    code: &'static str,
    message: String,
    label: String,
}

fn told(code: &'static str, message: impl Into<String>, label: impl Into<String>) -> Told {
    Told { code, message: message.into(), label: label.into() }
}

impl Elab<'_> {
    /// Reports a failed shape rule.
    pub(super) fn report_misfit(&mut self, use_: &Use<'_>, misfit: Misfit) {
        let operand = misfit.operand.and_then(|index| use_.operands.get(index).copied().flatten());
        let operand = operand.or_else(|| use_.operands.first().copied().flatten());
        if let MisfitKind::Elements(wanted) = misfit.kind {
            if let Some(value) = operand {
                let index = misfit.operand.unwrap_or(0);
                let name = use_.op.operands.get(index).or(use_.op.operands.last()).map_or("x", |schema| schema.name);
                self.report_elements(use_.word, use_.span, name, wanted, value);
            }
            return;
        }
        let Told { code, message, label } = self.tell(use_, &misfit, operand);
        let named =
            use_.given.iter().find(|arg| arg.name.as_ref().is_some_and(|name| Some(&*name.text) == misfit.attr));
        if let (MisfitKind::Attribute(_), Some(arg)) = (&misfit.kind, named) {
            return self.report(Diagnostic::error(code, message, arg.span, label));
        }
        let mut report = Diagnostic::error(code, message, use_.span, label);
        report = self.with_culprits(report, use_, &misfit, operand);
        report = self.with_table(report, use_, &misfit);
        report = self.with_misfit_fix(report, use_, &misfit);
        match operand {
            Some(value) => self.report_flow(report, value),
            None => self.report(report),
        }
    }

    /// The stages that made what does not fit.
    fn with_culprits(
        &mut self,
        mut report: Diagnostic,
        use_: &Use<'_>,
        misfit: &Misfit,
        operand: Option<ValueId>,
    ) -> Diagnostic {
        let mut values: Vec<ValueId> = operand.into_iter().collect();
        if misfit.operand.is_some_and(|index| index > 0) {
            values.extend(use_.operands.first().copied().flatten());
        }
        let mut places = vec![use_.span];
        for value in values {
            let Some(place) = self.culprit(value).filter(|place| !places.contains(place)) else { continue };
            places.push(place);
            let text = self.shown_type(self.ty(value));
            let verb = if self.is_input(place) { "comes in as" } else { "makes it" };
            report = report.label(place, format!("{verb} {text}"));
        }
        report
    }

    /// The declared layer whose table does not fit.
    fn with_table(&self, report: Diagnostic, use_: &Use<'_>, misfit: &Misfit) -> Diagnostic {
        let layer = use_.attrs.values().iter().find_map(|attr| match attr {
            Attr::Layer(layer) if misfit.kind == MisfitKind::Size(Why::Table) => Some(layer.index as usize),
            _ => None,
        });
        let Some(layer) = layer.and_then(|index| self.layers.get(index)) else { return report };
        let Some(bound) = self.inst.lookup(&layer.name) else { return report };
        let wide = misfit.wanted.map(|dim| self.shapes.dims.show(dim)).unwrap_or_default();
        report.label(bound.span, format!("a row of its table is {wide} wide"))
    }

    fn tell(&mut self, use_: &Use<'_>, misfit: &Misfit, operand: Option<ValueId>) -> Told {
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
                        format!("`{word}` joins values of equally many axes: {axes} come first, and then {gets}")
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
            MisfitKind::Size(why) => self.tell_size(word, *why, &found, &wanted),
            MisfitKind::Divides(Why::Pairs) => self.tell_pairs(use_, misfit, operand),
            MisfitKind::Divides(why) => self.tell_divides(word, *why, &found, &wanted),
            MisfitKind::TooSmall(why) => self.tell_small(word, *why, &found, &wanted, &gets),
            MisfitKind::Axis { axis, rank } => {
                let message = format!("`{word}` names axis {axis}, and {gets} has {rank} axes");
                told("shape::axis", message, format!("axis {axis} of {rank}"))
            }
            MisfitKind::AxisTwice { axis } => {
                told("shape::axis_twice", format!("`{word}` names axis {axis} twice"), "an axis twice")
            }
            MisfitKind::Shapes => self.tell_shapes(use_, misfit),
            MisfitKind::Count => {
                let message = format!("`{word}` keeps the number of elements: {wanted} flow in, {found} are asked for");
                let label = match self.reduced_counts(misfit) {
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

    fn tell_size(&self, word: &str, why: Why, found: &str, wanted: &str) -> Told {
        let differ = format!("{found} against {wanted}");
        match why {
            Why::Pin => told(
                "shape::pin",
                format!("`{word}` is pinned to an input of {wanted}, and {found} flows in"),
                format!("wants {wanted}, gets {found}"),
            ),
            Why::Inner => told("shape::inner", format!("the inner sizes of `{word}` differ: {differ}"), differ),
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
                told("shape::size", format!("`{word}` wants a size of {wanted}, and gets {found}"), differ)
            }
        }
    }

    fn tell_concat(&self, use_: &Use<'_>, misfit: &Misfit, found: &str, wanted: &str) -> Told {
        let word = use_.word;
        let differ = format!("{found} against {wanted}");
        let axis = misfit.axis.map_or(String::new(), |axis| format!(" of axis {axis}"));
        let joined = match use_.attrs.get("axis") {
            Attr::Int(along) if use_.op.name == "concat" => {
                format!("`{word}` joins along axis {along}, and all others must be equal: the sizes{axis} are {differ}")
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
        let shown = |atoms: &[_], factor: i64| {
            let words: Vec<String> = atoms.iter().map(|atom| self.shapes.dims.show_atom(*atom)).collect();
            let factor = if factor == 1 && !words.is_empty() { vec![] } else { vec![factor.to_string()] };
            [factor, words].concat().join(" * ")
        };
        Some((shown(&left, *p), shown(&right, *q)))
    }

    fn tell_divides(&self, word: &str, why: Why, found: &str, wanted: &str) -> Told {
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
            | Why::Other => told("shape::divides", format!("`{word}`: {wanted} does not divide {found}"), rest),
        }
    }

    fn tell_small(&self, word: &str, why: Why, found: &str, wanted: &str, gets: &str) -> Told {
        match why {
            Why::Window => told(
                "shape::window",
                format!("the window of `{word}` spans {wanted}, and only {found} come in, padding counted"),
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
                format!("`{word}` wants at least {wanted}, and gets {found}"),
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

    /// Whether a place is a type in a signature or of a target.
    pub(super) fn is_input(&self, place: Span) -> bool {
        self.written(place).ends_with(']') && !self.written(place).contains('(')
    }

    /// Two different declared dims never match.
    pub(super) fn different(&self, misfit: &Misfit) -> Option<String> {
        let (found, wanted) = (misfit.found?, misfit.wanted?);
        let (a, b) = (self.shapes.dims.show(found), self.shapes.dims.show(wanted));
        let both = self.declared().contains_key(&a) && self.declared().contains_key(&b) && a != b;
        both.then(|| format!("`{a}` and `{b}` are different dims: they never match"))
    }

    /// A requirement that is neither proved nor refuted: the fact that would decide it.
    pub(super) fn report_undecided(&mut self, use_: &Use<'_>, need: Need) {
        let operand = need.misfit.operand.and_then(|index| use_.operands.get(index).copied().flatten());
        let fact = self.prover.missing(&mut self.shapes.dims, need.condition);
        let fact = fact.filter(|_| self.different(&need.misfit).is_none());
        let Some(fact) = fact else { return self.report_misfit(use_, need.misfit) };
        let told = self.tell(use_, &need.misfit, operand);
        let asks = match need.condition {
            Condition::Equal(a, b) => format!("{} == {}", self.shapes.dims.show(a), self.shapes.dims.show(b)),
            Condition::Divides { .. } | Condition::AtLeast(..) => fact.clone(),
        };
        let message = format!("`{}` needs `{asks}`, which is not known", use_.word);
        let report = Diagnostic::error("where::undecided", message, use_.span, told.label);
        let report = self.with_culprits(report, use_, &need.misfit, operand);
        let report = self.with_fact_fix(report, &fact).note(format!("say so: `where {fact}`"));
        match operand {
            Some(value) => self.report_flow(report, value),
            None => self.report(report),
        }
    }

    /// Elements of another type than an operand takes.
    pub(super) fn report_elements(&mut self, word: &str, span: Span, name: &str, wanted: Elements, value: ValueId) {
        let ty = self.ty(value);
        let (words, cast) = match wanted {
            Elements::Float => ("floats", "f32"),
            Elements::Int => ("integers", "i64"),
            Elements::Bool => ("true and false", "bool"),
            Elements::Number => ("numbers", "f32"),
            Elements::Any => ("anything", "f32"),
        };
        let message = format!("`{name}` of `{word}` must be {words}, and is {}", self.shapes.show(ty));
        let mut report = Diagnostic::error("type::elements", message, span, format!("gets {}", ty.dtype));
        if let Some(place) = self.culprit(value).filter(|place| *place != span) {
            let verb = if self.is_input(place) { "comes in as" } else { "makes it" };
            report = report.label(place, format!("{verb} {}", self.shapes.show(ty)));
            let end = place.start + ty.dtype.word().len() as u32;
            let word = Span { end, ..place };
            if self.is_input(place) && self.written(word) == ty.dtype.word() {
                report = report.fix(word, cast, self.mended(word, cast));
            }
        }
        let note = format!("nothing is cast silently: `cast(\"{cast}\")`");
        self.report_flow(report.note(note), value);
    }
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
