//! Reports of the scan and of the tree together: in order, each once, none that only follows from another.

use super::super::scan::{MAX_REPORTS, Scan};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// Brings the reports of the scan and of the tree together: in order, each once, none that only repeats another.
pub(super) fn settle(scan: &mut Scan, text: &str, of_tree: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut all = std::mem::take(&mut scan.faults);
    if scan.too_deep {
        all.retain(|fault| fault.code == "limit::depth");
        return all;
    }
    let muted = |d: &Diagnostic| {
        let at = d.labels[0].span.start as usize;
        scan.muted.iter().any(|&(start, end)| (start..=end).contains(&at))
    };
    all.extend(of_tree.into_iter().filter(|d| !muted(d)));
    all.sort_by_key(|d| (d.labels[0].span.start, d.code));
    all.dedup_by(|a, b| a.code == b.code && a.labels[0].span == b.labels[0].span);
    forgive_parts(&mut all);
    forgive_broken_heads(text, &mut all);
    forgive_braces(text, &mut all);
    forgive_lines_outside(text, &mut all);
    forgive_after_commas(text, &mut all);
    forgive_open_lists(text, &mut all);
    all.truncate(MAX_REPORTS);
    all
}

/// Codes of what tells all of its place: what is wrong with a part of it is not told.
const WHOLE: &[&str] = &["syntax::for_form", "syntax::list", "syntax::update", "syntax::inside"];

fn forgive_parts(all: &mut Vec<Diagnostic>) {
    let wholes = all.iter().filter(|d| WHOLE.contains(&d.code)).map(|d| (d.labels[0].span, d.code));
    let mut wholes = wholes.collect::<Vec<(Span, &str)>>().into_iter().peekable();
    // Those that hold the place that is looked at; both are in the order of the text.
    let mut around: Vec<(Span, &str)> = vec![];
    all.retain(|d| {
        let at = d.labels[0].span.start;
        around.extend(std::iter::from_fn(|| wholes.next_if(|(place, _)| place.start <= at)));
        around.retain(|(place, _)| at < place.end);
        !around.iter().any(|(_, code)| *code != d.code)
    });
}

/// A head that goes on in the next line (its fix joins the two): what is wrong with the next line follows from that.
fn forgive_broken_heads(text: &str, all: &mut Vec<Diagnostic>) {
    let heads = ["syntax::repeat_count", "syntax::residual_norm", "syntax::missing_condition", "syntax::for_form"];
    let joined = |d: &Diagnostic| {
        let place = d.fixes.first().filter(|_| heads.contains(&d.code))?.span;
        let broken = text.get(place.start as usize..place.end as usize)?.contains('\n');
        let end = place.end as usize;
        broken.then(|| (end, text[end..].find('\n').map_or(text.len(), |at| end + at)))
    };
    let lines: Vec<(usize, usize)> = all.iter().filter_map(joined).collect();
    all.retain(|d| {
        let at = d.labels[0].span.start as usize;
        !lines.iter().any(|&(start, end)| start <= at && at <= end)
    });
}

/// Where a `{` is missing, the braces of its entry no longer pair: what only follows from that is not told.
fn forgive_braces(text: &str, all: &mut Vec<Diagnostic>) {
    let mut until = 0;
    all.retain(|d| {
        let at = d.labels[0].span.start as usize;
        if d.code == "syntax::missing_body" && at >= until {
            let next = ["\nblock ", "\nmodel ", "\ntrain "].iter().filter_map(|word| text[at..].find(word)).min();
            until = next.map_or(text.len() + 1, |next| at + next);
        }
        let follows =
            matches!(d.code, "syntax::outside" | "syntax::after_entry" | "syntax::stray_bracket" | "syntax::dim_value");
        !(follows && at < until)
    });
}

/// Where a list of dims breaks off at a comma, what stands behind it in its line is no second mistake.
fn forgive_after_commas(text: &str, all: &mut Vec<Diagnostic>) {
    let at = |d: &Diagnostic| d.labels[0].span.start as usize;
    let mut broken = None;
    all.retain(|d| {
        if d.code == "syntax::trailing_comma" {
            broken = Some(at(d));
        }
        d.code != "syntax::after_entry" || broken.is_none_or(|comma| text[comma..at(d)].contains('\n'))
    });
}

/// Where an entry has a `}` too many (or a `{` too few), what stands behind its early end is outside of it: the brace that
/// closes nothing tells that, and shows the one that came too early.
fn forgive_lines_outside(text: &str, all: &mut Vec<Diagnostic>) {
    let at = |d: &Diagnostic| d.labels[0].span.start as usize;
    let stray = |d: &Diagnostic| d.code == "syntax::stray_bracket" && text[at(d)..].starts_with('}');
    let braces: Vec<usize> = all.iter().filter(|d| stray(d)).map(at).collect();
    all.retain(|d| {
        let next = braces.partition_point(|&brace| brace < at(d));
        let follows = matches!(d.code, "syntax::outside" | "syntax::after_entry" | "syntax::dim_value");
        let one_entry = |&&brace: &&usize| {
            let between = &text[at(d)..brace];
            !["\nblock ", "\nmodel ", "\ntrain "].iter().any(|word| between.contains(word))
        };
        !follows || braces.get(next).filter(one_entry).is_none()
    });
}

/// Behind a bracket that is never closed the names and types of a signature look like sizes of its list.
fn forgive_open_lists(text: &str, all: &mut Vec<Diagnostic>) {
    let mut until = 0;
    all.retain(|d| {
        let at = d.labels[0].span.start as usize;
        if d.code == "syntax::unclosed_bracket" && at >= until {
            until = text[at..].find('{').map_or(text.len(), |brace| at + brace);
        }
        d.code != "syntax::any_size" || at >= until
    });
}
