//! Reports for code scanning: SARIF 2.1.0, the OASIS standard (`docs.oasis-open.org/sarif/sarif/v2.1.0`).
//!
//! One run; a rule for each code that occurs; a result for each diagnostic. The first label is its location, the others
//! are related locations; a fix is a replacement in one file. Columns count UTF-16 code units from 1, as `columnKind`
//! says, and the end is one past the last.

use super::{Diagnostic, Fix, Label, Severity, family};
use crate::text::{Source, Sources, Span};
use indexmap::{IndexMap, IndexSet};
use serde_json::{Value, json};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The diagnostics as one SARIF log.
pub fn sarif(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let codes: IndexSet<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    let results: Vec<Value> = diagnostics.iter().map(|diagnostic| result(diagnostic, &codes, sources)).collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    let driver = json!({ "name": "wythe", "version": env!("CARGO_PKG_VERSION"), "rules": rules });
    let run = json!({ "tool": { "driver": driver }, "columnKind": "utf16CodeUnits", "results": results });
    // Serialising strings and numbers into memory cannot fail.
    serde_json::to_string_pretty(&json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] })).unwrap_or_default()
}

/// `shape::residual`: the family says what kind of mistake it is.
fn rule(code: &str) -> Value {
    json!({ "id": code, "name": name(code), "shortDescription": { "text": family(code) } })
}

/// `ShapeResidual`: what a viewer shows beside the id.
fn name(code: &str) -> String {
    let capital = |word: &str| word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect();
    code.split([':', '_']).map(capital).collect::<Vec<String>>().concat()
}

fn result(d: &Diagnostic, codes: &IndexSet<&str>, sources: &Sources) -> Value {
    let mut labels = d.labels.iter();
    let first: Vec<Value> = labels.next().map(|label| location(label, None, sources)).into_iter().collect();
    let others: Vec<Value> = labels.enumerate().map(|(id, label)| location(label, Some(id), sources)).collect();
    let level = match d.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    };
    let mut result = json!({
        "ruleId": d.code, "ruleIndex": codes.get_index_of(d.code), "level": level,
        "message": { "text": message(d) }, "locations": first,
    });
    if !others.is_empty() {
        result["relatedLocations"] = others.into();
    }
    if !d.fixes.is_empty() {
        result["fixes"] = d.fixes.iter().map(|fix| mending(fix, sources)).collect();
    }
    result
}

/// The sentence, and what the report says below its snippet.
fn message(d: &Diagnostic) -> String {
    let mut text = d.message.clone();
    d.path.iter().for_each(|path| text.push_str(&format!("\nwhere: {path}")));
    d.flow.iter().for_each(|flow| text.push_str(&format!("\nflow: {flow}")));
    d.notes.iter().for_each(|note| text.push_str(&format!("\nnote: {note}")));
    text
}

fn location(label: &Label, id: Option<usize>, sources: &Sources) -> Value {
    let source = sources.of(label.span);
    let mut location = json!({
        "physicalLocation": { "artifactLocation": { "uri": uri(&source.name) }, "region": region(source, label.span) },
    });
    if let Some(id) = id {
        location["id"] = id.into();
    }
    if !label.text.is_empty() {
        location["message"] = json!({ "text": label.text });
    }
    location
}

fn mending(fix: &Fix, sources: &Sources) -> Value {
    let also = fix.also.iter().map(|(span, by)| (*span, by));
    let mut files: IndexMap<u16, Vec<Value>> = IndexMap::new();
    for (span, by) in std::iter::once((fix.span, &fix.replacement)).chain(also) {
        let region = region(sources.of(span), span);
        let replacement = json!({ "deletedRegion": region, "insertedContent": { "text": by } });
        files.entry(span.file).or_default().push(replacement);
    }
    let change = |(file, replacements): (u16, Vec<Value>)| {
        let uri = uri(&sources.of(Span { file, ..Span::default() }).name);
        json!({ "artifactLocation": { "uri": uri }, "replacements": replacements })
    };
    let changes: Vec<Value> = files.into_iter().map(change).collect();
    json!({ "description": { "text": fix.shown }, "artifactChanges": changes })
}

fn region(source: &Source, span: Span) -> Value {
    let (line, column) = source.position_utf16(span.start);
    let (end_line, end_column) = source.position_utf16(span.end);
    json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column })
}

/// A path as a URI reference: what such a reference cannot hold is written as `%20`.
fn uri(path: &str) -> String {
    let path = if cfg!(windows) { path.replace('\\', "/") } else { path.to_string() };
    let mut out = String::new();
    if path.starts_with('/') {
        out.push_str("file://");
    } else if path.as_bytes().get(1) == Some(&b':') {
        out.push_str("file:///");
    }
    for &byte in path.as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(diagnostics: &[Diagnostic], sources: &Sources) -> Value {
        let log = serde_json::from_str(&sarif(diagnostics, sources)).expect("it is JSON");
        fits(&log, "log");
        log
    }

    /// The part of the standard's schema that we write: for each object its keys, those it must have marked `!`, and
    /// what stands below them. The schema allows no other keys.
    const KEYS: [(&str, &str); 18] = [
        ("log", "$schema:text version!:text runs!:[run"),
        ("run", "tool!:tool columnKind:text results:[result"),
        ("tool", "driver!:driver"),
        ("driver", "name!:text version:text rules:[rule"),
        ("rule", "id!:text name:text shortDescription:message"),
        (
            "result",
            "ruleId:text ruleIndex:count level:text message!:message locations:[location relatedLocations:[location \
             fixes:[fix",
        ),
        ("message", "text!:text"),
        ("location", "id:count physicalLocation:physical message:message"),
        ("physical", "artifactLocation:artifact region:region"),
        ("artifact", "uri:text"),
        ("region", "startLine:place startColumn:place endLine:place endColumn:place"),
        ("fix", "description:message artifactChanges!:[change"),
        ("change", "artifactLocation!:artifact replacements!:[replacement"),
        ("replacement", "deletedRegion!:region insertedContent:content"),
        ("content", "text:text"),
        ("text", ""),
        ("count", ""),
        ("place", ""),
    ];

    fn fits(value: &Value, kind: &str) {
        if let Some(one) = kind.strip_prefix('[') {
            return value.as_array().unwrap_or_else(|| panic!("{value} is no list")).iter().for_each(|v| fits(v, one));
        }
        let (_, keys) = KEYS.iter().find(|(name, _)| *name == kind).unwrap_or_else(|| panic!("no kind {kind}"));
        match kind {
            "text" => assert!(value.is_string(), "{value} is no text"),
            "count" => assert!(value.is_u64(), "{value} is no count"),
            "place" => assert!(value.as_u64().is_some_and(|n| n >= 1), "{value} does not count from 1"),
            _ => {
                let object = value.as_object().unwrap_or_else(|| panic!("{value} is no {kind}"));
                let keys: Vec<(&str, bool, &str)> = keys
                    .split_whitespace()
                    .map(|key| {
                        let (name, kind) = key.split_once(':').expect("a kind");
                        (name.trim_end_matches('!'), name.ends_with('!'), kind)
                    })
                    .collect();
                for (key, value) in object {
                    let known = keys.iter().find(|(name, ..)| name == key);
                    fits(value, known.unwrap_or_else(|| panic!("a {kind} has no {key}")).2);
                }
                for (key, ..) in keys.iter().filter(|(_, must, _)| *must) {
                    assert!(object.contains_key(*key), "a {kind} must have {key}");
                }
            }
        }
    }

    #[test]
    fn a_log_says_what_the_report_says() {
        let mut sources = Sources::default();
        let file = sources.add(Source::new("a b/ä.model", "one\ntwo\n"));
        let other = sources.add(Source::new("/lib/x.model", "three\n"));
        let span = Span::new(file, 4, 7);
        let first = Diagnostic::error("shape::residual", "no", span, "here").label(Span::new(other, 0, 5), "there");
        let mut first = first.note("a note").fix(span, "2", "two becomes 2");
        first.fixes[0].also = vec![(Span::new(file, 0, 3), "1".into()), (Span::new(other, 0, 5), "3".into())];
        let second = Diagnostic::error("lint::x_y", "hm", span, "here").warning();
        let log = log(&[first.clone(), second, first], &sources);
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        assert_eq!(run["columnKind"], "utf16CodeUnits");
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        assert_eq!(rules.iter().map(|rule| &rule["id"]).collect::<Vec<_>>(), ["shape::residual", "lint::x_y"]);
        assert_eq!(rules.iter().map(|rule| &rule["name"]).collect::<Vec<_>>(), ["ShapeResidual", "LintXY"]);
        let results = run["results"].as_array().expect("results");
        assert_eq!(results.iter().map(|r| r["ruleIndex"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(1), Some(0)]);
        assert_eq!(results.iter().map(|r| &r["level"]).collect::<Vec<_>>(), ["error", "warning", "error"]);
        assert_eq!(results[0]["message"]["text"], "no\nnote: a note");
        let at = |location: &Value| location["physicalLocation"]["artifactLocation"]["uri"].clone();
        assert_eq!(at(&results[0]["locations"][0]), "a%20b/%C3%A4.model");
        assert_eq!(at(&results[0]["relatedLocations"][0]), "file:///lib/x.model");
        assert_eq!(results[0]["relatedLocations"][0]["message"]["text"], "there");
        let change = &results[0]["fixes"][0]["artifactChanges"][0];
        assert_eq!(change["replacements"][0]["insertedContent"]["text"], "2");
        assert_eq!(change["replacements"][0]["deletedRegion"]["endColumn"], 4);
        // What else the fix replaces, in this file and the other.
        assert_eq!(change["replacements"][1]["insertedContent"]["text"], "1");
        let other = &results[0]["fixes"][0]["artifactChanges"][1];
        assert_eq!(other["artifactLocation"]["uri"], "file:///lib/x.model");
        assert_eq!(other["replacements"][0]["insertedContent"]["text"], "3");
    }

    #[test]
    fn nothing_to_say_is_a_log_too() {
        assert_eq!(log(&[], &Sources::default())["runs"][0]["results"], json!([]));
    }

    #[test]
    fn columns_count_utf16_code_units() {
        for (text, span, place) in [
            ("日本 x\n", (7, 8), [1, 4, 1, 5]),
            ("\tx\n", (1, 2), [1, 2, 1, 3]),
            ("a\r\nb xy\r\n", (5, 7), [2, 3, 2, 5]),
            ("𝒳 y\n", (5, 6), [1, 4, 1, 5]),
            ("e\u{301} y\n", (4, 5), [1, 4, 1, 5]),
            ("a {\n}\n", (2, 5), [1, 3, 2, 2]),
            ("", (0, 0), [1, 1, 1, 1]),
        ] {
            let mut sources = Sources::default();
            let file = sources.add(Source::new("a.model", text));
            let report = Diagnostic::error("shape::residual", "no", Span::new(file, span.0, span.1), "here");
            let log = log(&[report], &sources);
            let region = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"];
            let found = ["startLine", "startColumn", "endLine", "endColumn"].map(|key| region[key].as_u64());
            assert_eq!(found, place.map(Some), "{text:?}");
        }
    }
}
