//! What the tests of reports know of the crate: `check`, from a text to its diagnostics.

use wythe::diagnostic::Diagnostic;
use wythe::diagnostic::render::{RenderOptions, human};
use wythe::text::{Source, Sources};

/// Checks a text under a name.
pub fn check(name: &str, text: &str) -> (Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let file = sources.add(Source::new(name, text));
    // The one line to change when the pipeline stands: `wythe::pipeline::check`.
    let diagnostics = wythe::syntax::parse(file, text).diagnostics;
    (diagnostics, sources)
}

/// The rendered report at width 100, without colour.
pub fn report(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    human(diagnostics, sources, &RenderOptions::default())
}
