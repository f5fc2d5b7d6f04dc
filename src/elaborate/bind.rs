//! Arguments to attributes: by position and by name, checked against the operator's schema.

use super::Elab;
use super::coerce::takes_list;
use super::scope::near;
use super::value::{Given, Static};
use super::words::shown_float;
use crate::diagnostic::Diagnostic;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, default};
use crate::ir::shape::Type;
use crate::ops::foreign;
use crate::syntax::lex::is_keyword;
use crate::text::Span;

/// A call with its attributes.
pub(super) struct Call {
    /// In schema order.
    pub attrs: Attrs,
    /// `path = "…"`.
    pub path: Option<(String, Span)>,
}

/// The words of the thing that is called, for reports.
#[derive(Clone, Copy)]
pub(super) struct Called<'w> {
    /// The schema.
    pub defs: &'static [AttrDef],
    /// The word as written.
    pub word: &'w str,
    /// The whole call.
    pub span: Span,
}

impl<'a> Elab<'a> {
    /// Binds arguments to a schema. `None` where a required one is missing or wrong (reported).
    pub(super) fn bind(&mut self, called: Called<'_>, given: &[Given], input: Option<Type>) -> Option<Call> {
        let mut slots: Vec<Option<Attr>> = vec![None; called.defs.len()];
        let mut seen: Vec<Option<Span>> = vec![None; called.defs.len()];
        let mut sound = true;
        let mut path = None;
        let given = self.spread(called, given);
        let mut position = 0;
        for arg in given.iter() {
            if arg.name.as_ref().is_some_and(|name| name.text == "path")
                && !called.defs.iter().any(|def| def.name == "path")
            {
                match &arg.value {
                    Static::Str(text) if !text.is_empty() => path = Some((text.clone(), arg.value_span)),
                    _ => self.report_kind(called, "path", "a string", &arg.value.clone(), arg.value_span),
                }
                continue;
            }
            let known = self.slot(called, arg, &given, &mut position);
            if known.is_none()
                && let Some(slot) = meant_slot(called.defs, arg).filter(|&slot| seen[slot].is_none())
            {
                // It is read as what it was meant to be: one mistake, one report.
                seen[slot] = Some(arg.span);
                slots[slot] = self.coerce(&called.defs[slot], arg, input).ok();
                sound &= slots[slot].is_some() || keeps_shape(&called.defs[slot]);
                continue;
            }
            let Some(slot) = known else {
                sound &=
                    arg.name.as_ref().is_some_and(|name| name.text == "inplace" || called.defs.iter().all(keeps_shape));
                continue;
            };
            if let Some(first) = seen[slot] {
                let text = format!("`{}` of `{}` is given twice", called.defs[slot].name, called.word);
                let (place, shown) = self.without_argument(called, arg, &given);
                let report = Diagnostic::error("attr::twice", text, arg.span, "again here").label(first, "first here");
                self.report(report.fix(place, "", shown));
                continue;
            }
            seen[slot] = Some(arg.span);
            // What stands before an arrow is an input, which may be several.
            let before = called.defs.iter().find(|def| arg.pin.is_some() && def.name == "in");
            match self.coerce(before.unwrap_or(&called.defs[slot]), arg, input) {
                Ok(attr) => slots[slot] = Some(attr),
                Err(wrong) => {
                    let def = &called.defs[slot];
                    // What may decide the shape leaves it unknown.
                    sound &= def.default != AttrDefault::Required && arg.name.is_some() && keeps_shape(def);
                    if slot > 0 && self.report_in_and_out(called, &given, arg) {
                        continue;
                    }
                    self.explain_wrong(called, slot, arg, wrong);
                }
            }
            if let Some(pin) = &arg.pin {
                sound &= self.bind_pin(called, arg, pin.clone(), &mut slots);
            }
        }
        self.fill_from_layer(called.defs, &mut slots);
        self.fill_defaults(called, &seen, slots, sound).map(|attrs| Call { attrs, path })
    }

    /// A list that is the only positional attribute may be written without brackets.
    fn spread(&self, called: Called<'_>, given: &[Given]) -> Vec<Given> {
        let mut positional = called.defs.iter().filter(|def| def.positional);
        let (first, second, rest) = (positional.next(), positional.next(), positional.count());
        let unnamed: Vec<&Given> = given.iter().filter(|arg| arg.name.is_none() && arg.pin.is_none()).collect();
        let is_list = |arg: &&Given| matches!(arg.value, Static::List(_));
        let is_number = |arg: &&Given| {
            matches!(arg.value, Static::Int(_) | Static::Dim(_) | Static::Rest | Static::Unknown | Static::Float(_))
        };
        let flags = |def: &AttrDef| def.kinds.iter().all(|kind| matches!(kind, AttrKind::Bool | AttrKind::Choice(_)));
        // More than there are places for: whatever they are, they are the items.
        let meant = if unnamed.len() > usize::from(first.is_some()) + usize::from(second.is_some()) + rest {
            !unnamed.iter().any(is_list)
        } else {
            second.is_some_and(flags) && unnamed.iter().all(is_number)
        };
        let spread = unnamed.len() > 1 && meant && first.is_some_and(|def| def.kinds.iter().any(takes_list));
        if !spread {
            return given.to_vec();
        }
        let (unnamed, named): (Vec<Given>, Vec<Given>) = given.iter().cloned().partition(|arg| arg.name.is_none());
        let span = unnamed.iter().fold(unnamed[0].span, |span, arg| span.to(arg.span));
        let items = unnamed.iter().map(|arg| arg.value_span).collect();
        let list = Static::List(unnamed.into_iter().map(|arg| arg.value).collect());
        let list = Given { name: None, value: list, pin: None, span, value_span: span, items, hyper: false };
        std::iter::once(list).chain(named).collect()
    }

    /// `linear(784, 256)`, as other libraries have it.
    fn report_in_and_out(&mut self, called: Called<'_>, given: &[Given], second: &Given) -> bool {
        let Some(first) = given.first().filter(|first| first.name.is_none() && first.pin.is_none()) else {
            return false;
        };
        let pins = called.defs.iter().any(|def| def.name == "in");
        if !pins || second.name.is_some() || self.as_int(&second.value).is_none() {
            return false;
        }
        if self.report_comma(called, first, second) {
            return true;
        }
        let (a, b) = (self.written(first.span), self.written(second.span));
        let text = format!("`{}` takes the size of its output only: the input is inferred", called.word);
        let span = first.span.to(second.span);
        let report = Diagnostic::error("attr::input", text, span, "two sizes");
        let (pinned, alone) = (format!("{a} -> {b}"), b.to_string());
        let report = report.fix(span, pinned.clone(), self.mended(span, &pinned));
        let report = report.fix(span, alone.clone(), self.mended(span, &alone));
        self.report(
            report.note(format!(
                "write `{}({b})`, or `{}({pinned})` to have the input checked",
                called.word, called.word
            )),
        );
        true
    }

    /// Which attribute an argument is meant for.
    fn slot(&mut self, called: Called<'_>, arg: &Given, all: &[Given], position: &mut usize) -> Option<usize> {
        let Some(name) = &arg.name else {
            let positional: Vec<usize> = (0..called.defs.len()).filter(|&i| called.defs[i].positional).collect();
            let slot = positional.get(*position).copied();
            *position += 1;
            if slot.is_none() && !matches!(arg.value, Static::Unknown) {
                let before = all.iter().take_while(|other| other.span != arg.span).last();
                if !before.is_some_and(|before| self.report_comma(called, before, arg)) {
                    self.report_too_many(called, positional.len(), arg);
                }
            }
            return slot;
        };
        if let Some(slot) = called.defs.iter().position(|def| def.name == name.text) {
            return Some(slot);
        }
        self.report_unknown_attr(called, arg, all);
        None
    }

    /// `dropout(0,5)`, `linear(1,024)`: one number, written with another country's comma.
    fn report_comma(&mut self, called: Called<'_>, first: &Given, second: &Given) -> bool {
        let place = first.span.to(second.span);
        let (a, b) = (self.written(first.span), self.written(second.span));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(a) || !digits(b) || self.written(place).len() != a.len() + b.len() + 1 {
            return false;
        }
        let (fixed, what) = match b.len() == 3 && a != "0" {
            true => (format!("{a}_{b}"), "no sign, or `_`, stands between thousands"),
            false if a == "0" => (format!("{a}.{b}"), "a fraction is written with a point"),
            false => return false,
        };
        let text = format!("`{a},{b}` is two numbers of `{}`: {what}", called.word);
        let report = Diagnostic::error("attr::too_many", text, place, "two numbers");
        self.report(report.fix(place, fixed.clone(), self.mended(place, &fixed)));
        true
    }

    fn report_too_many(&mut self, called: Called<'_>, most: usize, arg: &Given) {
        let text = match most {
            0 => format!("`{}` takes no argument by position", called.word),
            1 => format!("`{}` takes 1 argument by position, not more", called.word),
            n => format!("`{}` takes {n} arguments by position, not more", called.word),
        };
        let mut report = Diagnostic::error("attr::too_many", text, arg.span, "one too many");
        if !called.defs.is_empty() {
            report = report.note(format!("`{}` is called so: {}", called.word, call_form(called)));
        }
        self.report(report);
    }

    fn report_unknown_attr(&mut self, called: Called<'_>, arg: &Given, all: &[Given]) {
        let Some(name) = &arg.name else { return };
        if is_keyword(&name.text) {
            // The parser has told what this option is called.
            return;
        }
        let word = called.word;
        let text = format!("`{word}` has no attribute `{}`", name.text);
        let report = Diagnostic::error("attr::unknown", text, name.span, "unknown");
        let report = match name.text.as_str() {
            "momentum" if called.defs.iter().any(|def| def.name == "update") => self.tell_momentum(report, word, arg),
            "activation" | "act" | "activation_fn" | "nonlinearity" => self.tell_activation(report, called, arg, all),
            "name" | "scope" => self.meant_name(report, name.span, "path"),
            other => match meant_slot(called.defs, arg).map(|slot| called.defs[slot].name) {
                Some("in") => self.tell_input(report, called, arg, all),
                Some(meant) => self.meant_name(report, name.span, meant),
                None if other == "mask"
                    && self.written(arg.value_span).contains("causal")
                    && called.defs.iter().any(|def| def.name == "causal") =>
                {
                    report
                        .note(
                            "a causal mask is an option, any other mask flows in: `(it, mask = keep) |> attention(8)`",
                        )
                        .fix(arg.span, "causal = true", self.mended(arg.span, "causal = true"))
                }
                None => match foreign::listed(foreign::NEVER, other) {
                    Some(why) if why.ends_with("leave it out") => {
                        let (place, shown) = self.without_argument(called, arg, all);
                        report.note(why).fix(place, "", shown)
                    }
                    Some(why) => report.note(why),
                    None if called.defs.is_empty() => report.note(format!("`{word}` has no attributes")),
                    None => report.note(format!("`{word}` is called so: {}", call_form(called))),
                },
            },
        };
        self.report(report);
    }

    fn tell_momentum(&self, mut report: Diagnostic, word: &str, arg: &Given) -> Diagnostic {
        report.code = "attr::momentum";
        report.message = format!("`{word}` has no `momentum`: it has `update`, the weight of the new value");
        let report = report.note("PyTorch's momentum is the weight of the new value, Keras' that of the old one");
        let fixed = match arg.value.float() {
            Some(x) => format!("update = {}", shown_float(1.0 - x)),
            None => return report,
        };
        report.fix(arg.span, fixed.clone(), self.mended(arg.span, &fixed))
    }

    /// `linear(256, activation = relu)`.
    fn tell_activation(&self, report: Diagnostic, called: Called<'_>, arg: &Given, all: &[Given]) -> Diagnostic {
        let stage = self.written(arg.value_span).trim_matches('"').to_string();
        let report = report.note(format!("an activation is a stage of its own, after `{}`", called.word));
        let Some(op) = crate::ops::find(&stage) else { return report };
        let (place, left) = self.without_argument(called, arg, all);
        let end = Span { start: called.span.end, ..called.span };
        let after = format!(" |> {}", op.name);
        report.fix(place, "", format!("{left}{after}")).also(end, after)
    }

    /// `in_features = 784`.
    fn tell_input(&self, report: Diagnostic, called: Called<'_>, arg: &Given, all: &[Given]) -> Diagnostic {
        let (place, shown) = self.without_argument(called, arg, all);
        report.note("the input is inferred; `784 -> 256` in the first place pins it").fix(place, "", shown)
    }

    /// The place of an argument with its comma, and the call without it.
    fn without_argument(&self, called: Called<'_>, arg: &Given, all: &[Given]) -> (Span, String) {
        let at = all.iter().position(|other| other.span == arg.span).unwrap_or(0);
        let place = match (at.checked_sub(1).and_then(|before| all.get(before)), all.get(at + 1)) {
            (Some(before), _) => Span { start: before.span.end, ..arg.span },
            (None, Some(next)) => Span { end: next.span.start, ..arg.span },
            (None, None) => arg.span,
        };
        let written = self.written(called.span);
        let (from, to) = ((place.start - called.span.start) as usize, (place.end - called.span.start) as usize);
        let call = match (written.get(..from), written.get(to..)) {
            (Some(head), Some(tail)) => format!("{head}{tail}"),
            _ => called.word.to_string(),
        };
        (place, call.strip_suffix("()").map_or(call.clone(), str::to_string))
    }

    /// `in -> out`: what stands before the arrow is the input, what stands behind it the attribute itself.
    fn bind_pin(&mut self, called: Called<'_>, arg: &Given, pin: Static, slots: &mut [Option<Attr>]) -> bool {
        let first = called.defs.iter().position(|def| def.positional);
        let Some((first, slot)) = first.zip(called.defs.iter().position(|def| def.name == "in")) else {
            let text = format!("`{}` has no input to pin", called.word);
            self.report(Diagnostic::error("attr::pin", text, arg.span, "`->` is for `in -> out` of layers"));
            return true;
        };
        slots[slot] = slots[first].take();
        let out = Given { value: pin, pin: None, ..arg.clone() };
        match self.coerce(&called.defs[first], &out, None) {
            Ok(attr) => slots[first] = Some(attr),
            Err(wrong) => {
                self.explain_wrong(called, first, &out, wrong);
                return false;
            }
        }
        true
    }

    /// An attribute that is a layer hands its own attributes over: `unembed(wte)` has the table's `vocab` and `d`.
    fn fill_from_layer(&self, defs: &[AttrDef], slots: &mut [Option<Attr>]) {
        let layer = slots.iter().flatten().find_map(|attr| match attr {
            Attr::Layer(layer) => Some(layer.index as usize),
            _ => None,
        });
        let Some(attrs) = layer.and_then(|layer| self.layers.get(layer)).and_then(|layer| layer.def.attrs.clone())
        else {
            return;
        };
        for (slot, def) in slots.iter_mut().zip(defs) {
            if slot.is_none() && !def.positional && attrs.defs().iter().any(|other| other.name == def.name) {
                *slot = Some(attrs.get(def.name).clone());
            }
        }
    }

    fn fill_defaults(
        &mut self,
        called: Called<'_>,
        seen: &[Option<Span>],
        slots: Vec<Option<Attr>>,
        mut sound: bool,
    ) -> Option<Attrs> {
        let mut values: Vec<Attr> = vec![];
        for (i, slot) in slots.into_iter().enumerate() {
            let def = &called.defs[i];
            if slot.is_none() && def.default == AttrDefault::Required && seen[i].is_none() {
                let text = format!("`{}` needs `{}`: {}", called.word, def.name, def.doc);
                let report =
                    Diagnostic::error("attr::missing", text, called.span, format!("`{}` is missing", def.name));
                self.report(report.note(format!("it is called so: {}", call_form(called))));
                sound = false;
            }
            let same = |name: &str| {
                called.defs.iter().position(|other| other.name == name).and_then(|at| values.get(at).cloned())
            };
            values.push(slot.unwrap_or_else(|| default(def.default, same)));
        }
        sound.then(|| Attrs::new(called.defs, values))
    }
}

/// The attribute that an unknown name was meant to be: by another library's word, or a near one.
fn meant_slot(defs: &[AttrDef], arg: &Given) -> Option<usize> {
    let name = arg.name.as_ref()?.text.as_str();
    if matches!(name, "momentum" | "activation" | "act" | "name") || is_keyword(name) {
        return None;
    }
    let at = |word: &str| defs.iter().position(|def| def.name == word);
    let torch = defs.iter().position(|def| !def.torch.is_empty() && def.torch == name);
    let listed = || foreign::attr(name, |word| at(word).is_some()).and_then(at);
    let close = || near(name, defs.iter().map(|def| def.name).filter(|word| !word.starts_with('.'))).and_then(at);
    torch.or_else(listed).or_else(close)
}

/// Whether an attribute cannot change the shape of a result.
fn keeps_shape(def: &AttrDef) -> bool {
    let shapeless = |kind: &AttrKind| {
        matches!(
            kind,
            AttrKind::Bool | AttrKind::Bools | AttrKind::Number | AttrKind::Init | AttrKind::Stage | AttrKind::Nothing
        ) || matches!(kind, AttrKind::Choice(_)) && def.kinds.len() == 1 && def.name != "reduction"
    };
    def.kinds.iter().all(shapeless)
}

/// How something is called: `linear(out, bias = true)`.
fn call_form(called: Called<'_>) -> String {
    let shown = |def: &AttrDef| match def.default {
        AttrDefault::Required => def.name.to_string(),
        AttrDefault::None => format!("{} = none", def.name),
        AttrDefault::Bool(value) => format!("{} = {value}", def.name),
        AttrDefault::Int(value) => format!("{} = {value}", def.name),
        AttrDefault::Float(value) => format!("{} = {}", def.name, shown_float(value)),
        AttrDefault::Str(value) => format!("{} = \"{value}\"", def.name),
        AttrDefault::Floats(values) => format!("{} = {values:?}", def.name),
        AttrDefault::Same(other) => format!("{} = {other}", def.name),
    };
    let args: Vec<String> = called.defs.iter().filter(|def| worth_showing(def)).map(shown).collect();
    format!("{}({})", called.word, args.join(", "))
}

/// Attributes that a short form of a call names: not those that are rarely wanted.
fn worth_showing(def: &AttrDef) -> bool {
    def.positional || (def.default != AttrDefault::None && !def.name.starts_with('.'))
}
