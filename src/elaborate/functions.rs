//! The functions of the number world: floor, ceil, round, min, max, len, range, sqrt, log.

use super::Elab;
use super::value::Static;
use crate::diagnostic::Diagnostic;
use crate::kernels::float::Float;
use crate::syntax::ast::Call;
use crate::text::Span;

impl<'a> Elab<'a> {
    pub(super) fn function(&mut self, call: &Call, word: &str, values: &[Static]) -> Static {
        if values.iter().any(|value| matches!(value, Static::Unknown)) {
            return Static::Unknown;
        }
        if matches!(word, "len" | "range") && values.iter().any(|value| self.is_open(value)) {
            return Static::Unknown;
        }
        let span = call.span;
        match (word, values) {
            ("floor" | "ceil" | "round", [value]) => self.rounded(word, value, span),
            ("min" | "max", [Static::List(items)]) if !items.is_empty() => self.extreme(word, items, span),
            ("min" | "max", [_, _, ..]) => self.extreme(word, values, span),
            ("len", [Static::List(items)]) => Static::Int(items.len() as i64),
            ("range", _) => self.range(values, span),
            ("sqrt", [value]) => self.real(value, span, Float::sqrt),
            ("log", [value]) => self.real(value, span, Float::ln),
            _ => {
                let kinds: Vec<&str> = values.iter().map(Static::kind).collect();
                let wants = match word {
                    "min" | "max" => "two or more numbers, or a list",
                    "len" => "one list",
                    _ => "one number",
                };
                let text = format!("`{word}` takes {wants}, and gets {}", kinds.join(" and "));
                let report = Diagnostic::error("type::function", text, span, format!("wants {wants}"));
                let args = call.args.as_deref().unwrap_or_default();
                self.report(match (word, args) {
                    ("floor" | "ceil" | "round", [a, b]) => {
                        let fixed = format!("{word}({} / {})", self.written(a.span), self.written(b.span));
                        report.fix(span, fixed.clone(), self.mended(span, &fixed))
                    }
                    _ => report,
                });
                Static::Unknown
            }
        }
    }

    fn real(&mut self, value: &Static, span: Span, apply: fn(f64) -> f64) -> Static {
        match value.float() {
            Some(x) => Static::Float(apply(x)),
            None => self.need_number(value, span),
        }
    }

    fn rounded(&mut self, word: &str, value: &Static, span: Span) -> Static {
        if let Some((n, d)) = value.exact() {
            let floor = n.div_euclid(d);
            return Static::Int(match word {
                "floor" => floor,
                "ceil" => floor + i64::from(n.rem_euclid(d) != 0),
                _ => {
                    let twice = 2 * i128::from(n.rem_euclid(d));
                    let up = twice > i128::from(d) || (twice == i128::from(d) && floor % 2 != 0);
                    floor + i64::from(up)
                }
            });
        }
        match value {
            Static::Float(x) => {
                let x = match word {
                    "floor" => x.floor(),
                    "ceil" => x.ceil(),
                    _ => x.round_ties_even(),
                };
                if x.abs() < 9e18 { Static::Int(x as i64) } else { self.refuse_overflow(span) }
            }
            Static::Dim(_) => value.clone(),
            other => self.need_number(&other.clone(), span),
        }
    }

    fn extreme(&mut self, word: &str, values: &[Static], span: Span) -> Static {
        let mut best: Option<(f64, Static)> = None;
        for value in values {
            let value = self.plain(value);
            let Some(x) = value.float() else { return self.need_number(&value, span) };
            if best.as_ref().is_none_or(|(b, _)| if word == "min" { x < *b } else { x > *b }) {
                best = Some((x, value));
            }
        }
        best.map_or(Static::Unknown, |(_, value)| value)
    }

    fn range(&mut self, values: &[Static], span: Span) -> Static {
        let numbers: Option<Vec<i64>> = values.iter().map(|value| self.as_int(value)).collect();
        let (from, to, step) = match numbers.as_deref() {
            Some([n]) => (0, *n, 1),
            Some([from, to]) => (*from, *to, 1),
            Some([from, to, step]) if *step != 0 => (*from, *to, *step),
            _ => {
                let text = "`range` takes one to three integers";
                self.report(Diagnostic::error("type::function", text, span, "range(n), range(from, to, step)"));
                return Static::Unknown;
            }
        };
        let count = (i128::from(to) - i128::from(from)).div_euclid(i128::from(step));
        if count > 1_000_000 {
            return self.refuse_size(span, "a list of more than 1,000,000 numbers");
        }
        let mut list = vec![];
        let mut at = from;
        while if step > 0 { at < to } else { at > to } {
            list.push(Static::Int(at));
            at = at.saturating_add(step);
        }
        Static::List(list)
    }
}
