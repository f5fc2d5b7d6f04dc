//! What is taken for something else: numbers in another library's order, axes in another order, a name twice.

use super::report::Subject;
use super::{Check, Cx, Lint, Maker, Site};
use crate::diagnostic::Diagnostic;
use crate::ir::attr::Attr;
use crate::syntax::ast::Entry;
use crate::text::Span;

lints! { LINTS;

/// The numbers of a call stand in another library's order.
///
/// `attention(64, 8)` on a width of 64 is PyTorch's (embed_dim, num_heads): here it says 64 heads, each one number wide,
/// and 8 key heads. `conv(3, 16, 5)` on 3 channels is (in, out, kernel): here 3 channels, a window of 16, a stride of 5.
/// Only outputs are written, inputs are inferred.
ARGUMENT_ORDER = Lint {
    code: "lint::argument_order",
    why: "only outputs are written here: what flows in says the first of those numbers",
    fires: "dim batch, seq
model m : (x: f32[batch, seq, 64]) -> f32[batch, seq, 64] {
  attention(64, 8, causal = true)
}
",
    quiet: "dim batch, seq
model m : (x: f32[batch, seq, 64]) -> f32[batch, seq, 64] {
  attention(8, 2, causal = true)
}
",
    check: Check::Flow(argument_order),
    ..Lint::DEFAULT
};

/// Pictures whose channels come last flow into a convolution.
///
/// A convolution takes the axis beside the batch as channels. Of `[batch, 32, 32, 3]` it would see 32 channels of
/// pictures 32 by 3, and learn something else than was meant. `permute(0, 3, 1, 2)` turns such pictures.
CHANNELS_LAST = Lint {
    code: "lint::channels_last",
    why: "channels stand beside the batch, `[batch, c, h, w]`, as in PyTorch",
    fires: "dim batch
model m : (image: f32[batch, 32, 32, 3]) -> f32[batch, 16] {
  conv(16, 3, pad = 1)
  avgpool_global
}
",
    quiet: "dim batch
model m : (image: f32[batch, 32, 32, 3]) -> f32[batch, 16] {
  permute(0, 3, 1, 2)
  conv(16, 3, pad = 1)
  avgpool_global
}
",
    check: Check::Flow(channels_last),
    ..Lint::DEFAULT
};

/// A hyperparameter has the name of a declared dim.
///
/// Within its block or model that name is the number: a size that is written so is fixed, where a dim would have stood
/// for any size.
SHADOWED_DIM = Lint {
    code: "lint::shadowed_dim",
    why: "a size of that name is the hyperparameter's number, and no longer any size",
    fires: "dim batch, seq
model m(seq = 128) : (x: f32[batch, seq, 8]) -> f32[batch, seq, 8] {
  linear(8)
}
",
    quiet: "dim batch, seq
model m(length = 128) : (x: f32[batch, seq, 8]) -> f32[batch, seq, 8] where seq <= length {
  linear(8)
}
",
    check: Check::File(shadowed_dim),
    ..Lint::DEFAULT
};

}

/// The arguments of a call that stand there without a name, as far as they are plain, with their places.
fn unnamed(cx: &Cx<'_>, span: Span) -> Vec<(String, Span)> {
    let text = cx.written(span);
    let Some(open) = text.find('(') else { return vec![] };
    let inner = &text[open + 1..text.rfind(')').unwrap_or(text.len())];
    if inner.contains(['(', '[', '"', '>']) {
        return vec![];
    }
    let mut at = span.start + open as u32 + 1;
    let mut found = vec![];
    for part in inner.split(',') {
        let lead = (part.len() - part.trim_start().len()) as u32;
        let place = Span { start: at + lead, end: at + lead + part.trim().len() as u32, ..span };
        if part.contains('=') {
            break;
        }
        found.push((part.trim().to_string(), place));
        at += part.len() as u32 + 1;
    }
    found
}

fn argument_order(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites_of(&["attention", "conv"]) {
        let report = match flow.op(site).op.name {
            "attention" => heads_of_one(cx, site),
            _ => in_out_kernel(cx, site),
        };
        if let Some(report) = report {
            cx.found(report);
        }
    }
}

/// As many heads as the width has numbers.
fn heads_of_one(cx: &Cx<'_>, site: Site) -> Option<Diagnostic> {
    let (flow, attrs) = (cx.flow, &cx.flow.op(site).attrs);
    let width = flow.size(*flow.dims_in(site).get(2)?)?;
    let one_wide = attrs.int("heads") == Some(width) && *attrs.get("head_dim") == Attr::None;
    let given = unnamed(cx, flow.span(site));
    let (first, place) = given.first().filter(|_| one_wide && width > 1)?;
    let text = format!("{width} heads of a width of {width}: each is one number wide");
    let report = cx.at(site, text, "its first number is the number of heads");
    match given.get(1) {
        Some((heads, second)) => {
            let cut = Span { end: second.start, ..*place };
            let call = cx.written(flow.span(site)).replacen(&format!("{first}, {heads}"), heads, 1);
            Some(report.fix(cut, "", call))
        }
        None => Some(report),
    }
}

/// Three numbers, of which the first is the number of channels that flow in, and the second no size of a window.
fn in_out_kernel(cx: &Cx<'_>, site: Site) -> Option<Diagnostic> {
    let (flow, attrs) = (cx.flow, &cx.flow.op(site).attrs);
    let channels = flow.size(*flow.dims_in(site).get(1)?)?;
    let axes = flow.dims_in(site).len().checked_sub(2)?;
    let [kernel, stride] = ["kernel", "stride"].map(|name| flow.per_axis(site, name, axes));
    let (kernel, stride) = (*kernel?.first()?, *stride?.first()?);
    let given = unnamed(cx, flow.span(site));
    let meant = attrs.int("out") == Some(channels) && kernel >= 8 && stride > 1 && stride < kernel && stride % 2 == 1;
    let [(_, first), (out, second), (window, _), ..] = given.as_slice() else { return None };
    if !meant {
        return None;
    }
    let text =
        format!("{channels} channels flow in, and `conv` makes {channels} by windows of {kernel}, {stride} apart");
    let label = "its numbers are the channels it makes, the window, the stride";
    let report = cx.at(site, text, label);
    Some(report.fix(Span { end: second.start, ..*first }, "", format!("conv({out}, {window})")))
}

fn channels_last(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites_of(&["conv"]) {
        let Some(value) = flow.operand(site, 0) else { continue };
        let [Maker::Input(input)] = flow.makers(value)[..] else { continue };
        let sizes: Vec<Option<i64>> = flow.dims(input).iter().map(|&dim| flow.size(dim)).collect();
        let [_, Some(h), Some(w), Some(c)] = sizes[..] else { continue };
        if !matches!(c, 1 | 3 | 4) || h < 8 || w < 8 {
            continue;
        }
        let text = format!("this convolution sees {h} channels of pictures {w} by {c}");
        let place = flow.span(site);
        let mut report = cx.at(site, text, format!("takes axis 1 as channels: {h}"));
        let port = flow.model.inputs.iter().find(|port| port.value == input);
        if let Some(port) = port {
            report = report.label(port.span, format!("the last axis, {c}, looks like channels"));
        }
        let start = Span { end: place.start, ..place };
        cx.found(report.fix(start, "permute(0, 3, 1, 2) |> ", "`permute(0, 3, 1, 2) |>` before it"));
    }
}

fn shadowed_dim(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let mut found = vec![];
    for file in subject.files {
        let dims = file.entries.iter().filter_map(|entry| match entry {
            Entry::Dim(names, _) => Some(names),
            Entry::Use(..) | Entry::Block(_) | Entry::Model(_) | Entry::Train(_) => None,
        });
        let dims: Vec<_> = dims.flatten().collect();
        for entry in &file.entries {
            let (Entry::Block(block) | Entry::Model(block)) = entry else { continue };
            for param in &block.params {
                let Some(dim) = dims.iter().find(|dim| dim.text == param.name.text) else { continue };
                let text = format!("the hyperparameter `{}` hides the dim of that name", dim.text);
                let report = SHADOWED_DIM.report(param.name.span, text, "a number from here on");
                found.push(report.label(dim.span, "declared as a dim here"));
            }
        }
    }
    found
}
