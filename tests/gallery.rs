//! The gallery: one mistake a file, named by the mistake; the snapshot is the source and the rendered report.
//!
//! Read a snapshot as the person who made the mistake before accepting it.

mod support;

use std::path::Path;
use wythe::diagnostic::{Diagnostic, Fix, Severity};
use wythe::text::Sources;

#[test]
fn every_mistake_has_its_report() {
    insta::glob!("diagnostics/*.model", |path| {
        let text = std::fs::read_to_string(path).expect("a gallery file is text");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a gallery file has a plain name");
        let (diagnostics, sources) = support::check(name, &text);
        expect_one_error(path, &diagnostics);
        for fix in diagnostics.iter().filter_map(|d| d.fixes.first().map(|fix| (d, fix))) {
            expect_mended(name, &text, fix, &sources);
        }
        let report = support::report(&diagnostics, &sources);
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("{}\n----\n{report}", text.trim_end()));
        });
    });
}

/// A file shows one mistake, unless it is called `several_…`.
fn expect_one_error(path: &Path, diagnostics: &[Diagnostic]) {
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let several = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("several_"));
    assert!(!diagnostics.is_empty(), "{} shows nothing", path.display());
    assert!(several || errors <= 1, "{} has {errors} errors: {diagnostics:#?}", path.display());
}

/// The first fix, applied, removes its report and brings no other in its place.
fn expect_mended(name: &str, text: &str, (report, fix): (&Diagnostic, &Fix), sources: &Sources) {
    let mended = format!("{}{}{}", &text[..fix.span.start as usize], fix.replacement, &text[fix.span.end as usize..]);
    let before = support::check(name, text).0;
    let (after, _) = support::check(name, &mended);
    let count = |all: &[Diagnostic]| all.iter().filter(|d| d.code == report.code).count();
    let said = support::report(&after, sources);
    assert!(count(&after) < count(&before), "{name}: the fix leaves its error:\n{mended}\n{said}");
    assert!(after.len() < before.len(), "{name}: the fix brings another error:\n{mended}\n{said}");
}
