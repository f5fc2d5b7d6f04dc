//! Other languages' spellings, told in ours: the sentences around what [`super::python`] translates.

use super::python::{Ours, known, translated};
use crate::diagnostic::Diagnostic;
use crate::ops::foreign;
use crate::text::{Sources, Span};

/// Reports of the parser on another library's spelling, with ours: it knows no operator.
pub(crate) fn sharpen(reports: &mut Vec<Diagnostic>, sources: &Sources) {
    // A setting that has another name here, or none, is told by whoever knows the settings.
    reports.retain(|report| {
        let span = report.labels[0].span;
        let source = sources.0.get(usize::from(span.file));
        let line = source.map_or("", |source| line_of(&source.text, span).0.trim());
        let known = foreign::listed(foreign::SETTINGS, line).or(foreign::listed(foreign::ELSEWHERE, line));
        report.code != "syntax::setting_sign" || known.is_none()
    });
    for report in reports {
        let span = report.labels[0].span;
        let Some(source) = sources.0.get(usize::from(span.file)) else { continue };
        match report.code {
            "syntax::method" if matches!(line_of(&source.text, span).0.trim(), "data" | "valid") => {
                retell_file(report, span, &source.text)
            }
            "syntax::method" if line_of(&source.text, span).0.trim_start().starts_with("data ") => {
                let written = &source.text[span.start as usize..span.end as usize];
                let fixed = format!("\"{written}\"");
                report.message = format!("a file's name stands in quotes: `{fixed}`");
                report.labels[0].text = "a file's name".into();
                report.notes.clear();
                report.fixes.clear();
                let (before, rest) = (line_of(&source.text, span).0.trim_start(), rest_of_line(&source.text, span));
                let shown = format!("{before}{fixed}{rest}");
                *report = report.clone().fix(span, fixed, shown);
            }
            "syntax::framework_name" | "syntax::method" | "syntax::called" => retell(report, span, &source.text),
            "syntax::self" => retell_self(report, span, &source.text),
            _ => {}
        }
    }
}

/// What stands on the line of a place: before it, and the line's code from there on.
fn line_of(text: &str, span: Span) -> (&str, &str) {
    let (start, end) = (span.start as usize, span.end as usize);
    let from = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let to = text[end..].find(['\n', ';', '}']).map_or(text.len(), |at| end + at);
    let code = text[start..to].split("//").next().unwrap_or("");
    (&text[from..start], code.trim_end())
}

/// The code that follows a place on its line.
fn rest_of_line(text: &str, span: Span) -> &str {
    let rest = &text[span.end as usize..];
    let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
    line.split("//").next().unwrap_or("").trim_end()
}

/// A name that is bound again by what only goes on with it: `x = F.relu(x)` is `x |> relu`.
pub(super) fn rebinds<'t>(before: &'t str, ours: &str) -> Option<&'t str> {
    let name = before.trim().strip_suffix('=')?.trim();
    let first = ours.split(" |>").next().filter(|first| first.len() < ours.len())?;
    (first == name).then_some(before.trim_start())
}

fn retell(report: &mut Diagnostic, span: Span, text: &str) {
    let written = &text[span.start as usize..span.end as usize];
    let word = last_word(written);
    let Some(Ours { text: ours, planned, .. }) = translated(written) else {
        if written.contains(".shape") || written.contains(".size(") {
            report.message = format!("`{}` reads a size: sizes have names, and are written by them", short(written));
            report.labels[0].text = "no size can be read from a value".into();
            report.notes =
                vec!["declare `dim batch`, name the axis so in the signature, and write `reshape(batch, -1)`".into()];
            report.fixes.clear();
            return;
        }
        if let Some(advice) = foreign::advice(word) {
            report.message = format!("there is no `{}` here: {advice}", short(written));
            report.labels[0].text = "not written here".into();
            report.fixes.clear();
            report.notes.clear();
            if advice.ends_with("leave the line out") || advice.ends_with("leave it out") {
                *report = without(report.clone(), span, text);
            }
        }
        return;
    };
    let (before, _) = line_of(text, span);
    report.message = match report.code {
        "syntax::framework_name" => format!("`{}` is another library's spelling: here it is `{ours}`", short(written)),
        "syntax::called" => format!("a stage is not called on a value: what it works on flows in, `{ours}`"),
        _ => format!("a value has no methods: it is sent through a stage, `{ours}`"),
    };
    report.notes.clear();
    report.fixes.clear();
    if let Some(planned) = planned {
        report.notes.push(format!("this version does not have `{planned}` yet"));
        return;
    }
    let place = match rebinds(before, &ours) {
        Some(head) => Span { start: span.start - head.len() as u32, ..span },
        None => span,
    };
    let kept = if place.start < span.start { "" } else { before.trim_start() };
    if written.contains("in_features") || dropped_input(written, &ours) {
        report.notes.push("only outputs are written, the input is inferred; `784 -> 256` pins it".into());
    }
    let shown = format!("{kept}{ours}{}", rest_of_line(text, span));
    *report = std::mem::replace(report, Diagnostic::error("", "", span, "")).fix(place, ours, shown);
}

/// `data train.csv`.
fn retell_file(report: &mut Diagnostic, span: Span, text: &str) {
    let written = &text[span.start as usize..span.end as usize];
    let reader =
        written.rsplit('.').next().filter(|end| matches!(*end, "csv" | "npz" | "safetensors")).unwrap_or("text");
    let fixed = format!("{reader}(\"{written}\")");
    report.message = format!("a file stands in quotes, in the words of its kind: `data {fixed}`");
    report.labels[0].text = "a file's name".into();
    report.notes.clear();
    report.fixes.clear();
    *report = report.clone().fix(span, fixed.clone(), format!("data {fixed}"));
}

/// Whether the size of an input was left out.
fn dropped_input(theirs: &str, ours: &str) -> bool {
    let numbers = |text: &str| text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).count();
    let layer = ours.starts_with("linear(") || ours.starts_with("conv(");
    layer && numbers(theirs) > numbers(ours)
}

/// `self.fc = nn.Linear(784, 10)` declares a layer; `self.fc(x)` applies it.
fn retell_self(report: &mut Diagnostic, span: Span, text: &str) {
    let (before, rest) = line_of(text, span);
    let written = &text[span.start as usize..span.end as usize];
    if let Some((name, value)) = rest.split_once('=').filter(|(_, value)| !value.starts_with('=')) {
        let name = name.trim().trim_start_matches("self.");
        let whole = Span { end: span.start + rest.len() as u32, ..span };
        report.fixes.clear();
        report.message = "there is no `self`: a layer that is used later is declared, `layer fc = linear(10)`".into();
        report.labels[0].text = "its name stands alone".into();
        if let Some(Ours { text: ours, planned: None, stage: true }) = translated(value.trim())
            && before.trim().is_empty()
        {
            let line = format!("layer {name} = {ours}");
            report.message = format!("there is no `self`: a layer that is used later is declared, `{line}`");
            *report = report.clone().fix(whole, line.clone(), line);
        }
        return;
    }
    let Some(Ours { text: ours, planned: None, .. }) = translated(written) else { return };
    if ours.contains("|>") {
        report.message = format!("there is no `self`, and a layer is not called: `{ours}`");
        report.labels[0].text = "what it works on flows in".into();
    }
    report.fixes.clear();
    let place = match rebinds(before, &ours) {
        Some(head) => Span { start: span.start - head.len() as u32, ..span },
        None => span,
    };
    let kept = if place.start < span.start { "" } else { before.trim_start() };
    let shown = format!("{kept}{ours}{}", rest_of_line(text, span));
    *report = report.clone().fix(place, ours, shown);
}

/// With the fix that leaves a line out, if nothing else stands on it.
pub(super) fn without(report: Diagnostic, span: Span, text: &str) -> Diagnostic {
    let (before, rest) = line_of(text, span);
    let alone = before.trim().is_empty() && rest.len() <= span.len();
    let end = span.end as usize + text[span.end as usize..].find('\n').map_or(0, |at| at + 1);
    if !alone || !text[span.end as usize..end].trim().is_empty() {
        return report;
    }
    let line = Span { start: span.start - before.len() as u32, end: end as u32, ..span };
    report.fix(line, "", "leave the line out")
}

/// The word that says what is called: `Linear` of `nn.Linear(784, 256)`.
fn last_word(written: &str) -> &str {
    let head = written.rsplit_once('(').map_or(written, |(head, _)| head);
    head.rsplit('.').next().unwrap_or("").trim()
}

/// A short quotation.
fn short(written: &str) -> String {
    let line = written.lines().next().unwrap_or("").trim();
    if line.chars().count() <= 48 { line.to_string() } else { line.chars().take(47).chain(['…']).collect() }
}

impl super::Elab<'_> {
    /// A stage that is unknown here and known elsewhere: how it is written here.
    pub(super) fn report_foreign(&mut self, call: &crate::syntax::ast::Call) -> bool {
        let word = call.name.text.as_str();
        let written = self.written(call.span);
        let text = match self.sources.0.get(usize::from(call.span.file)) {
            Some(source) => source.text.as_str(),
            None => return false,
        };
        let Some(name) = foreign::ours(word) else {
            let Some(advice) = foreign::advice(word) else { return false };
            let (told, more) = match advice.split_once(": ").filter(|_| advice.len() > 90) {
                Some((told, more)) => (told, Some(more)),
                None => (advice, None),
            };
            let message = format!("there is no `{}` here: {told}", short(written));
            let mut report = Diagnostic::error("name::foreign", message, call.span, "another language's word");
            report.notes.extend(more.map(str::to_string));
            let stage = written
                .split('"')
                .nth(1)
                .filter(|stage| word.contains("ctivation") && crate::ops::find(stage).is_some());
            if let Some(stage) = stage {
                let shown = self.mended(call.span, stage);
                report.message = report.message.replace("`relu`", &format!("`{stage}`"));
                return {
                    self.report(report.fix(call.span, stage, shown));
                    true
                };
            }
            let out = advice.ends_with("leave the line out") || matches!(word, "print" | "pass" | "end");
            self.report(if out { without(report, call.span, text) } else { report });
            return true;
        };
        let bare = || Ours { text: name.to_string(), planned: None, stage: true };
        let ours = if call.args.is_some() { translated(written) } else { Some(bare()) };
        let planned = match &ours {
            Some(ours) if call.args.is_some() => ours.planned,
            _ => (!known(name)).then_some(name),
        };
        let message = match (&ours, planned) {
            (None, None) => format!("`{word}` is `{}` here", name),
            (Some(ours), None) => format!("`{}` is written `{}` here", short(written), ours.text),
            (_, Some(planned)) if planned == word => format!("`{planned}` is not in this version yet"),
            (_, Some(planned)) => format!("`{word}` is `{planned}` here, which is not in this version yet"),
        };
        let label = if planned.is_some() { "planned" } else { "another library's spelling" };
        let mut report = Diagnostic::error("name::foreign", message, call.span, label);
        if let (Some(Ours { text: ours, planned: None, .. }), None) = (ours, planned) {
            if dropped_input(written, &ours) {
                report = report.note("only outputs are written, the input is inferred; `784 -> 256` pins it");
            }
            let shown = self.mended(call.span, &ours);
            report = report.fix(call.span, ours, shown);
        }
        self.report(report);
        true
    }
}
