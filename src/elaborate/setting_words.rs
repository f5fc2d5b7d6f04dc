//! Settings that are none: another library's name, a value in quotes, what belongs elsewhere.

use super::Elab;
use super::scope::near;
use super::settings::{NO_VALUE, SETTINGS};
use crate::diagnostic::Diagnostic;
use crate::ops::foreign;
use crate::syntax::ast::{self, SettingValue};
use crate::text::Span;

impl Elab<'_> {
    pub(super) fn report_setting(&mut self, setting: &ast::Setting) {
        let name = &setting.name;
        let text = format!("a train section has no setting `{}`", name.text);
        let report = Diagnostic::error("train::setting", text, name.span, "unknown");
        let dims = self.declared().keys().map(String::as_str);
        let listed = foreign::listed(foreign::SETTINGS, &name.text);
        let elsewhere = foreign::listed(foreign::ELSEWHERE, &name.text);
        let near = || near(&name.text, SETTINGS.iter().copied().chain(dims));
        let report = match (listed, elsewhere) {
            (Some(meant), _) => self.setting_by_other_name(report, setting, meant),
            (None, Some(where_)) => self.setting_elsewhere(report, setting, where_),
            (None, None) => match near() {
                Some(meant) => self.meant_name(report, name.span, meant),
                None => report.note(format!("its settings are {}, and any declared dim", SETTINGS.join(", "))),
            },
        };
        self.report(report);
    }

    /// What a setting is given, without a sign, brackets and quotes that only other languages write.
    fn plain_value(&self, setting: &ast::Setting) -> String {
        let written = self.written(setting.span);
        let value = written.get(setting.name.text.len()..).unwrap_or("").trim_start_matches([' ', '=', ':']).trim();
        let inner = value.trim_matches(['[', ']', '"', '\'', ' ']);
        let word = !inner.is_empty() && inner.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if word { inner.to_string() } else { value.to_string() }
    }

    fn setting_by_other_name(&self, mut report: Diagnostic, setting: &ast::Setting, meant: &str) -> Diagnostic {
        let value = self.plain_value(setting);
        report.labels[0].text = format!("here it is `{meant}`");
        let line = format!("{meant} {value}");
        report.fix(setting.span, line.trim_end(), line.trim_end())
    }

    fn setting_elsewhere(&self, report: Diagnostic, setting: &ast::Setting, told: &str) -> Diagnostic {
        let report = report.note(told);
        if told.ends_with("leave it out") {
            let text = self.sources.0.get(usize::from(setting.span.file)).map_or("", |source| &source.text);
            return super::foreign::without(report, setting.span, text);
        }
        let value = self.plain_value(setting);
        if told.starts_with("it belongs to the optimizer") && value.parse::<f64>().is_ok() {
            return self.with_rate(report, setting, &value);
        }
        if told.contains("clip norm(1.0)") && value.parse::<f64>().is_ok() {
            let line = format!("clip norm({value})");
            return report.fix(setting.span, line.clone(), line);
        }
        report
    }

    /// Proposes the rate where it belongs: in the call of the optimizer of this section.
    fn with_rate(&self, report: Diagnostic, setting: &ast::Setting, value: &str) -> Diagnostic {
        let entries = self.files.iter().flat_map(|file| &file.entries);
        let mut section = entries.filter_map(|entry| match entry {
            ast::Entry::Train(train) if train.settings.iter().any(|other| other.span == setting.span) => Some(train),
            _ => None,
        });
        let Some(section) = section.next_back() else { return report };
        let Some(optimizer) = section.settings.iter().find(|other| other.name.text == "optimizer") else {
            let line = format!("optimizer adamw(lr = {value})");
            return report.fix(setting.span, line.clone(), line);
        };
        let written = self.written(optimizer.span);
        if written.contains("lr") {
            return report;
        }
        let (at, text) = match written.strip_suffix(')') {
            Some(inner) if inner.ends_with('(') => (optimizer.span.end - 1, format!("lr = {value}")),
            Some(_) => (optimizer.span.end - 1, format!(", lr = {value}")),
            None => (optimizer.span.end, format!("(lr = {value})")),
        };
        let place = Span { start: at, end: at, ..optimizer.span };
        let source = &self.sources.of(setting.span).text;
        let line = source[..setting.span.start as usize].rfind('\n').map_or(0, |at| at + 1) as u32;
        let gone = super::foreign::without(Diagnostic::error("", "", setting.span, ""), setting.span, source);
        let gone =
            gone.fixes.first().map_or(Span { start: line.min(setting.span.start), ..setting.span }, |fix| fix.span);
        report.fix(place, text.clone(), self.mended(place, &text)).also(gone, "")
    }

    pub(super) fn report_value(&mut self, setting: &ast::Setting, wants: &str) {
        if !matches!(setting.value, SettingValue::Broken) {
            let text = format!("`{}` takes {wants}", setting.name.text);
            let report = Diagnostic::error("train::value", text, setting.span, "does not fit");
            let report = self.without_quotes(report, setting);
            self.report(match self.flag_meant(setting) {
                Some(line) => report.fix(setting.span, line.clone(), line),
                None => report,
            });
        }
    }

    /// `drop_last true`, where it stands alone or with a 1.
    fn flag_meant(&self, setting: &ast::Setting) -> Option<String> {
        const FLAGS: &[&str] = &["shuffle", "drop_last"];
        let name = setting.name.text.as_str();
        let value = match self.plain_value(setting).as_str() {
            "" | "1" | "True" | "yes" | "on" => "true",
            "0" | "False" | "no" | "off" => "false",
            _ => return None,
        };
        FLAGS.contains(&name).then(|| format!("{name} {value}"))
    }

    /// With the fix for a name, or a file, that stands in quotes where a call is wanted.
    pub(super) fn without_quotes(&self, report: Diagnostic, setting: &ast::Setting) -> Diagnostic {
        if NO_VALUE.contains(&setting.name.text.as_str()) && setting.pattern.is_none() {
            let word = self.plain_value(setting);
            let fixed = format!("{} \"{word}.*\"", setting.name.text);
            return if word.is_empty() { report } else { report.fix(setting.span, fixed.clone(), fixed) };
        }
        if setting.name.text == "clip" {
            let value = self.plain_value(setting);
            let inner = value.find('(').map_or(value.as_str(), |at| value[at + 1..].trim_end_matches(')'));
            let kind = if value.starts_with('v') { "value" } else { "norm" };
            let fixed = format!("clip {kind}({inner})");
            return if inner.parse::<f64>().is_ok() { report.fix(setting.span, fixed.clone(), fixed) } else { report };
        }
        let (Some((text, span)), SettingValue::None) = (&setting.pattern, &setting.value) else { return report };
        let reader = match text.rsplit_once('.').map(|(_, end)| end) {
            Some("csv") => "csv",
            Some("npz") => "npz",
            Some("safetensors") => "safetensors",
            Some("txt") => "text",
            Some(_) | None => "",
        };
        let ours = foreign::find(text).map_or(text.to_lowercase(), |entry| entry.ours.to_string());
        let fixed = match (setting.name.text.as_str(), reader) {
            ("data" | "valid", "") => ours,
            ("data" | "valid", reader) => format!("{reader}(\"{text}\")"),
            ("loss" | "metric" | "optimizer" | "schedule", _) => ours,
            _ => return report,
        };
        report.fix(*span, fixed.clone(), format!("{} {fixed}", setting.name.text))
    }
}
