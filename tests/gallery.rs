//! The gallery: one mistake a file, named by the mistake; the snapshot is the source and the rendered report.
//!
//! Read a snapshot as the person who made the mistake before accepting it.

mod support;

use wythe::diagnostic::{Diagnostic, Fix, Severity};

#[test]
fn every_mistake_has_its_report() {
    let wrong = std::cell::RefCell::new(vec![]);
    insta::glob!("diagnostics/*.model", |path| {
        let text = std::fs::read_to_string(path).expect("a gallery file is text");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a gallery file has a plain name");
        let (diagnostics, sources) = support::check(name, &text);
        wrong.borrow_mut().extend(unexpected_number(name, &diagnostics));
        for report in &diagnostics {
            wrong.borrow_mut().extend(report.fixes.first().and_then(|fix| unmended(name, &text, report, fix)));
        }
        let report = support::report(&diagnostics, &sources);
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("{}\n----\n{report}", text.trim_end()));
        });
    });
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file shows one mistake, unless it is called `several_…`.
fn unexpected_number(name: &str, diagnostics: &[Diagnostic]) -> Option<String> {
    let errors: Vec<_> = diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| &d.message).collect();
    let several = name.starts_with("several_");
    let right = !diagnostics.is_empty() && (several || errors.len() <= 1);
    (!right).then(|| format!("{name} has {} errors: {errors:#?}", errors.len()))
}

/// The first fix, applied, removes its report and brings no other in its place.
fn unmended(name: &str, text: &str, report: &Diagnostic, fix: &Fix) -> Option<String> {
    let mended = format!("{}{}{}", &text[..fix.span.start as usize], fix.replacement, &text[fix.span.end as usize..]);
    let (before, _) = support::check(name, text);
    let (after, sources) = support::check(name, &mended);
    let count = |all: &[Diagnostic]| all.iter().filter(|d| d.code == report.code).count();
    let gone = count(&after) < count(&before) && after.len() < before.len();
    (!gone).then(|| format!("{name}: the fix does not mend:\n{mended}\n{}", support::report(&after, &sources)))
}
