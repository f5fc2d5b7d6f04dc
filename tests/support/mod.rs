//! What the tests of reports know of the crate: `check`, from a text to its diagnostics.

use wythe::diagnostic::Diagnostic;
use wythe::diagnostic::render::{RenderOptions, human};
use wythe::elaborate::Request;
use wythe::text::{Source, Sources};

/// Checks a text under a name. What its first line says, `// --set d=8`, is set from outside; `// --info` tells remarks.
pub fn check(name: &str, text: &str) -> (Vec<Diagnostic>, Sources) {
    let set = text.strip_prefix("// --set ").and_then(|rest| rest.lines().next()?.split_once('='));
    let sets = set.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let found = wythe::pipeline::check(Source::new(name, text), &Request { sets, model: None }, None);
    let remarks = if text.starts_with("// --info\n") { found.remarks } else { vec![] };
    (found.diagnostics.into_iter().chain(remarks).collect(), found.sources)
}

/// The rendered report at width 100, without colour.
pub fn report(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    human(diagnostics, sources, &RenderOptions::default())
}
