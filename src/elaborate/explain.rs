//! A failed shape rule in words: both culprits, in the user's names.

use super::Elab;
use super::apply::Use;
use super::elements::Taken;
use super::value::Given;
use crate::diagnostic::Diagnostic;
use crate::ir::attr::Attr;
use crate::ir::dim::Dim;
use crate::ir::op::{Condition, Misfit, MisfitKind, Need, Why};
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
                let Use { op, word, span, .. } = *use_;
                self.report_operand(Taken { op, word, span, operands: &use_.operands }, index, wanted, value);
            }
            return;
        }
        let Told { code, message, label } = self.tell(use_, &misfit, operand);
        let place = self.argument_of(use_, &misfit);
        if let (MisfitKind::Attribute(clause), Some(place)) = (&misfit.kind, place) {
            let report = Diagnostic::error(code, message, place, label);
            let report = self.with_pad_of_stride(report, use_, &misfit, place);
            let axes = clause.contains("axes") || clause.contains("axis");
            let report = if axes { self.with_culprits(report, use_, &misfit, operand) } else { report };
            return self.report(report);
        }
        let mut report = Diagnostic::error(code, message, use_.span, label);
        let made = misfit.kind == MisfitKind::Divides(Why::Groups) && self.divides_what_is_made(use_, &misfit, operand);
        if made {
            let found = misfit.found.map(|dim| self.shapes.dims.show(dim)).unwrap_or_default();
            let wanted = misfit.wanted.map(|dim| self.shapes.dims.show(dim)).unwrap_or_default();
            report.message = format!("{wanted} groups do not divide the {found} channels that `{}` makes", use_.word);
        } else {
            report = self.with_culprits(report, use_, &misfit, operand);
        }
        report = self.with_table(report, use_, &misfit);
        report = self.with_misfit_fix(report, use_, &misfit);
        match operand {
            Some(value) => self.report_flow(report, value),
            None => self.report(report),
        }
    }

    /// The argument that an attribute was given by, by name or by position.
    fn argument_of(&self, use_: &Use<'_>, misfit: &Misfit) -> Option<Span> {
        let attr = misfit.attr?;
        let named = use_.given.iter().find(|arg| arg.name.as_ref().is_some_and(|name| name.text == attr));
        if let Some(arg) = named {
            return Some(arg.span);
        }
        let mut positional = use_.op.attrs.iter().filter(|def| def.positional);
        let at = positional.position(|def| def.name == attr)?;
        let unnamed: Vec<&Given> = use_.given.iter().filter(|arg| arg.name.is_none()).collect();
        let alone = use_.op.attrs.iter().filter(|def| def.positional).count() == 1;
        match (unnamed.first(), unnamed.last()) {
            // A list that may be written without brackets.
            (Some(first), Some(last)) if alone => Some(first.span.to(last.span)),
            _ => unnamed.get(at).map(|arg| arg.span),
        }
    }

    /// `pad = "same"` beside a stride: what halves is half of the kernel.
    fn with_pad_of_stride(&self, report: Diagnostic, use_: &Use<'_>, misfit: &Misfit, place: Span) -> Diagnostic {
        let stride = use_.given.iter().find(|arg| arg.name.as_ref().is_some_and(|name| name.text == "stride"));
        let (Some("pad"), Some(stride), Some(kernel)) = (misfit.attr, stride, use_.given.get(1)) else { return report };
        let report = report.label(stride.span, "a stride");
        match self.as_int(&kernel.value) {
            Some(kernel) if kernel % 2 == 1 && kernel > 1 => {
                let fixed = format!("pad = {}", kernel / 2);
                report.fix(place, fixed.clone(), self.mended(place, &fixed))
            }
            _ => report,
        }
    }

    /// Whether it is the channels of the result that groups do not divide.
    fn divides_what_is_made(&self, use_: &Use<'_>, misfit: &Misfit, operand: Option<ValueId>) -> bool {
        let out = match use_.attrs.values().first() {
            Some(Attr::Int(out)) => Some(*out),
            _ => None,
        };
        let found = misfit.found.and_then(|dim| self.shapes.dims.as_const(dim));
        let flows = operand.and_then(|value| self.shapes.dims(self.ty(value)).get(1).copied());
        found.is_some() && found == out && flows != misfit.found
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
            // Of two widths that differ each was decided by the last stage that says one.
            let made = if misfit.kind == MisfitKind::Shapes { self.sizer(value) } else { self.culprit(value) };
            let Some(place) = made.filter(|place| !places.contains(place)) else { continue };
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
            Why::Leading if !use_.op.name.starts_with("matmul") => {
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
            Why::Heads | Why::KeyHeads | Why::Groups | Why::Window | Why::Pairs | Why::Other => {
                told("shape::size", format!("`{word}` wants a size of {wanted}{along}, and gets {found}"), differ)
            }
        }
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
            Condition::Equal(a, b) if need.misfit.kind != MisfitKind::Count => {
                format!("{} == {}", self.shapes.dims.show(a), self.shapes.dims.show(b))
            }
            Condition::Equal(..) | Condition::Divides { .. } | Condition::AtLeast(..) => fact.clone(),
        };
        let message = format!("`{}` needs `{asks}`, which is not known", use_.word);
        let report = Diagnostic::error("where::undecided", message, use_.span, told.label);
        let report = self.with_culprits(report, use_, &need.misfit, operand);
        let report = self.with_fact_fix(report, &fact);
        match operand {
            Some(value) => self.report_flow(report, value),
            None => self.report(report),
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}
