//! Arguments that an attribute cannot have, in words.

use super::Elab;
use super::bind::Called;
use super::coerce::{Wrong, takes_list};
use super::scope::near;
use super::value::{Given, Static};
use crate::diagnostic::Diagnostic;
use crate::ir::attr::{AttrDef, AttrKind};
use crate::text::Span;

impl Elab<'_> {
    pub(super) fn report_kind(&mut self, called: Called<'_>, attr: &str, wanted: &str, value: &Static, span: Span) {
        if matches!(value, Static::Unknown) {
            return;
        }
        let text = format!("`{attr}` of `{}` is {wanted}, not {}", called.word, value.kind());
        let report = Diagnostic::error("attr::kind", text, span, format!("{wanted} is wanted"));
        self.report(match value {
            Static::Str(text) if text.parse::<f64>().is_ok() => report.fix(span, text.clone(), self.mended(span, text)),
            Static::Float(x) if *x == x.trunc() && x.abs() < 1e15 => {
                report.fix(span, format!("{x}"), self.mended(span, &format!("{x}")))
            }
            // `rope = 10000` for `rope = rope(10000)`.
            Static::Int(_) | Static::Float(_)
                if wanted.starts_with("an operator") && crate::ops::find(attr).is_some() =>
            {
                let fixed = format!("{attr}({})", self.written(span));
                report.fix(span, fixed.clone(), self.mended(span, &fixed))
            }
            _ => report,
        });
    }

    pub(super) fn explain_wrong(&mut self, called: Called<'_>, slot: usize, arg: &Given, wrong: Wrong) {
        let def = &called.defs[slot];
        let (name, word, span) = (def.name, called.word, arg.value_span);
        let shown = self.shown(&arg.value);
        let written = self.written(span).to_string();
        let report = match wrong {
            Wrong::Silent => return,
            Wrong::Item(at, wrong) => {
                let Static::List(items) = &arg.value else { return };
                let item = arg.item(items[at].clone(), arg.items[at]);
                if !matches!(*wrong, Wrong::Kind) {
                    return self.explain_wrong(called, slot, &item, *wrong);
                }
                let (wanted, given) = (wanted_item(def), item.value.kind());
                let text = format!("each of the `{name}` of `{word}` is {wanted}, not {given}");
                Diagnostic::error("attr::kind", text, item.span, format!("{wanted} is wanted"))
            }
            Wrong::Word(unknown) => return self.unknown_word(&unknown, span),
            Wrong::Kind => return self.report_kind(called, name, &wanted(def), &arg.value.clone(), span),
            Wrong::Fraction => {
                let text = format!("`{name}` of `{word}` is {shown}: a fraction is never a size");
                let report = Diagnostic::error("attr::fraction", text, span, format!("= {shown}"));
                let fixed = format!("floor({written})");
                report.fix(span, fixed.clone(), self.mended(span, &fixed))
            }
            Wrong::Small(least) => {
                let text = format!("`{name}` of `{word}` must be at least {least}, and is {shown}");
                Diagnostic::error("attr::positive", text, span, format!("this is {shown}"))
            }
            Wrong::Domain(must) => {
                let text = format!("`{name}` of `{word}` must be {must}, and is {shown}");
                Diagnostic::error("attr::domain", text, span, format!("this is {shown}"))
            }
            Wrong::Choice(bare) => {
                let options: Vec<&str> = choices(def).collect();
                let list: Vec<String> = options.iter().map(|option| format!("\"{option}\"")).collect();
                let text = format!("`{name}` of `{word}` is one of {}", list.join(", "));
                let label = if bare.is_some() { "options are strings" } else { "not one of them" };
                let report = Diagnostic::error("attr::choice", text, span, label);
                match bare {
                    Some(bare) => {
                        let quoted = format!("\"{bare}\"");
                        report.fix(span, quoted.clone(), self.mended(span, &quoted))
                    }
                    None => match meant_option(written.trim_matches('"'), &options) {
                        Some(meant) => {
                            report.fix(span, format!("\"{meant}\""), self.mended(span, &format!("\"{meant}\"")))
                        }
                        None => report,
                    },
                }
            }
            Wrong::Symbolic => {
                // Whether it is a fraction does not matter, where a dim has no place.
                self.forget("where::fraction", span);
                let text = format!("`{name}` of `{word}` needs a number, and `{shown}` stands for any size");
                let report = Diagnostic::error("type::symbolic", text, span, "a number is wanted here");
                self.with_declaration(report.note(super::number::ONLY_IN_SHAPES), span)
            }
            Wrong::HyperAxis => {
                let text = format!("`{written}` is a hyperparameter, and cannot name an axis");
                let report = Diagnostic::error("attr::axis_name", text, span, "not an axis");
                let report = report.note("an axis is an integer (negative from the end) or a declared dim's name");
                match self.axis_of_size(&arg.value) {
                    Some(axis) => report.fix(span, axis.clone(), self.mended(span, &axis)),
                    None => report,
                }
            }
            Wrong::DimAxis(times) => {
                let text = match times {
                    0 => format!("the dim `{written}` does not occur in what flows into `{word}`"),
                    n => format!("the dim `{written}` occurs {n} times in what flows into `{word}`"),
                };
                let report = Diagnostic::error("attr::axis_dim", text, span, "write the axis as an integer");
                let value = self.it.as_ref().and_then(|it| it.val.single());
                match value.and_then(|value| Some((value, self.culprit(value)?))) {
                    Some((value, place)) => {
                        let verb = if self.is_input(place) { "comes in as" } else { "makes it" };
                        report.label(place, format!("{verb} {}", self.shown_type(self.ty(value))))
                    }
                    None => report,
                }
            }
        };
        self.report(report);
    }

    /// The one axis of what flows in that has this size.
    fn axis_of_size(&self, size: &Static) -> Option<String> {
        let (size, value) = (self.as_int(size)?, self.it.as_ref()?.val.single()?);
        let dims = self.shapes.dims(self.ty(value));
        let mut axes = (0..dims.len()).filter(|&at| self.shapes.dims.as_const(dims[at]) == Some(size));
        let (Some(at), None) = (axes.next(), axes.next()) else { return None };
        Some(if at + 1 == dims.len() { "-1".into() } else { at.to_string() })
    }
}

fn choices(def: &AttrDef) -> impl Iterator<Item = &'static str> {
    def.kinds.iter().flat_map(|kind| match kind {
        AttrKind::Choice(options) => options.iter().copied(),
        _ => [].iter().copied(),
    })
}

/// The option that was meant: in other case, by another library's word, or a near one.
fn meant_option<'o>(word: &str, options: &[&'o str]) -> Option<&'o str> {
    let lower = word.to_lowercase();
    let same = options.iter().copied().find(|option| *option == lower);
    same.or_else(|| near(&lower, options.iter().copied()))
}

/// What an attribute wants, in words.
fn wanted(def: &AttrDef) -> String {
    let words: Vec<&str> = def
        .kinds
        .iter()
        .map(|kind| match kind {
            AttrKind::Size => "a size",
            AttrKind::Int => "an integer",
            AttrKind::Number => "a number",
            AttrKind::Bool => "true or false",
            AttrKind::Choice(_) | AttrKind::Text => "a string",
            AttrKind::PerAxis | AttrKind::PerAxisZero => "an integer, or one an axis",
            AttrKind::Axis => "an axis",
            AttrKind::Axes => "an axis or a list of axes",
            AttrKind::Shape => "a list of sizes",
            AttrKind::Numbers => "a list of numbers",
            AttrKind::Bools => "a list of them",
            AttrKind::Init => "an initialiser",
            AttrKind::Stage => "an operator",
            AttrKind::Layer => "a declared layer",
            AttrKind::Nothing => "none",
        })
        .collect();
    words.join(" or ")
}

/// What an attribute that is a list wants in each place, in words.
fn wanted_item(def: &AttrDef) -> &'static str {
    match def.kinds.iter().find(|kind| takes_list(kind)) {
        Some(AttrKind::Axes) => "an axis",
        Some(AttrKind::Shape) => "a size",
        Some(AttrKind::PerAxis | AttrKind::PerAxisZero) => "an integer",
        _ => "a number",
    }
}
