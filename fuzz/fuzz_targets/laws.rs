//! What must hold of any text at all. The targets feed texts that a fuzzer finds; `tests/fuzzed.rs` runs the same laws
//! on damaged examples, so that they are tried wherever the tests are.

use wythe::data::literal::Literal;
use wythe::elaborate::{Request, expression_text};
use wythe::pipeline::{Checked, check};
use wythe::syntax::{format, parse};
use wythe::text::Source;

/// Longer texts find nothing that shorter ones do not.
const LONGEST: usize = 4096;

/// No panic; a few reports, each at places inside the text; drawn at any width.
pub fn checks(text: &str) {
    if text.len() <= LONGEST {
        judged(&check(Source::new("fuzz.model", text), &Request::default(), None));
    }
}

fn judged(found: &Checked) {
    assert!(found.diagnostics.len() <= 100, "{} reports", found.diagnostics.len());
    for report in &found.diagnostics {
        assert!(!report.labels.is_empty() && !report.message.is_empty(), "{report:?}");
        let spans = report.labels.iter().map(|label| label.span).chain(report.fixes.iter().map(|fix| fix.span));
        for span in spans {
            let text = found.sources.0.get(usize::from(span.file)).map_or("", |source| &source.text);
            assert!(text.get(span.start as usize..span.end as usize).is_some(), "outside of the text: {report:?}");
        }
    }
    let _ = found.render();
}

/// The layout is done once, changes no meaning and keeps every comment.
pub fn lays_out(text: &str) {
    if text.len() > LONGEST {
        return;
    }
    let Ok(once) = format(text) else { return };
    let (before, after) = (parse(0, text), parse(0, &once));
    assert_eq!(format(&once).ok().as_deref(), Some(once.as_str()), "a second layout differs");
    assert_eq!(without_places(&before.file), without_places(&after.file), "the layout has another meaning");
    assert_eq!(before.comments.len(), after.comments.len(), "a comment is lost or made:\n{once}");
}

fn without_places(tree: &wythe::syntax::ast::File) -> String {
    let tree = format!("{tree:?}");
    let mut parts = tree.split("Span {");
    let first = parts.next().unwrap_or("").to_string();
    parts.fold(first, |all, part| all + part.split_once('}').map_or("", |(_, rest)| rest))
}

/// What is typed on the command line: values, settings, expressions.
pub fn reads_words(text: &str) {
    if text.len() > LONGEST {
        return;
    }
    if let Some(Ok(literal)) = Literal::parse(text) {
        let small = literal.shape().is_some_and(|shape| shape.iter().product::<usize>() < 10_000);
        if small {
            let _ = literal.make("x", wythe::DType::F32, None, 0);
        }
    }
    let model = "dim batch\nmodel m(d = 4, act = relu, w = [1, 2], s = \"a\", b = true) : (x: f32[batch, 4]) { linear(d); act }\n\
                 train m { target y: f32[batch, 4]; loss mse; optimizer adamw(lr = 1e-3); batch 4 }\n";
    for key in ["d", "act", "w", "s", "b", "train.lr", "train.batch", text] {
        let request = Request { sets: vec![(key.into(), text.into())], model: None };
        judged(&check(Source::new("fuzz.model", model), &request, None));
    }
    let expression = expression_text(text, &[("x".into(), "f32", vec![2, 4])]);
    judged(&check(Source::new("<expression>", expression), &Request::default(), None));
}
