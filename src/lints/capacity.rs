//! Layers that hold less, or more, than their sizes say.

use super::{Check, Cx, Flow, Lint, Maker, Site};
use crate::diagnostic::Severity;
use crate::ir::attr::Attr;
use crate::ir::op::Role;
use crate::ir::params;

lints! { LINTS;

/// Two linear layers with nothing nonlinear between are one.
///
/// The product of two matrices is a matrix: where the width between them is not smaller than both ends, the pair computes
/// nothing that one layer of `in · out` weights could not. (It may train along another path.) A narrow middle is a
/// low-rank factorisation, as in LoRA or a bottleneck, and is only remarked on.
COLLAPSE = Lint {
    code: "lint::collapse",
    why: "a product of two matrices is a matrix: the pair is of the same function class as one layer",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32)
  linear(3)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32)
  relu
  linear(3)
}
",
    check: Check::Flow(collapse),
    ..Lint::DEFAULT
};

/// A window that steps further than it reaches: some of its input is never read.
///
/// Told as an info where the kernel is 1: a strided 1x1 projection on a shortcut does so on purpose.
STRIDE_SKIPS = Lint {
    code: "lint::stride_skips",
    why: "rows between two windows are never read; their pixels cannot matter, whatever is learned",
    fires: "dim batch
model m : (x: f32[batch, 3, 32, 32]) -> f32[batch, 8, 8, 8] {
  conv(8, 3, stride = 4, pad = 1)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 3, 32, 32]) -> f32[batch, 8, 8, 8] {
  conv(8, 4, stride = 4)
}
",
    check: Check::Flow(stride_skips),
    ..Lint::DEFAULT
};

/// A transposed convolution whose kernel is no multiple of its stride.
///
/// Neighbouring outputs are then sums of different numbers of weights, which shows as a checkerboard in pictures. A kernel
/// that the stride divides, or upsampling before a plain convolution, has no such pattern to unlearn.
CHECKERBOARD = Lint {
    code: "lint::checkerboard",
    severity: Severity::Info,
    why: "neighbouring outputs are sums of different numbers of weights: pictures begin with a checkerboard",
    source: "Odena et al. 2016",
    fires: "dim batch
model m : (x: f32[batch, 8, 8, 8]) -> f32[batch, 3, 17, 17] {
  conv_transpose(3, 3, stride = 2)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 8, 8, 8]) -> f32[batch, 3, 16, 16] {
  conv_transpose(3, 4, stride = 2, pad = 1)
}
",
    check: Check::Flow(checkerboard),
    ..Lint::DEFAULT
};

/// The width of a head is no multiple of 8.
///
/// It computes the same; what stands behind the last full vector goes element by element.
HEAD_SIZE = Lint {
    code: "lint::head_size",
    severity: Severity::Info,
    why: "vector units work on 8 or 16 numbers at once: widths are multiples of 8 by convention",
    fires: "dim batch, seq
model m : (x: f32[batch, seq, 60]) -> f32[batch, seq, 60] {
  attention(6, causal = true)
}
",
    quiet: "dim batch, seq
model m : (x: f32[batch, seq, 64]) -> f32[batch, seq, 64] {
  attention(8, causal = true)
}
",
    check: Check::Flow(head_size),
    ..Lint::DEFAULT
};

/// One linear layer behind a flatten holds nearly all parameters.
///
/// Pooling before the flatten (or `avgpool_global` in its place) makes it small, and the model indifferent to shifts.
GIANT_FLATTEN = Lint {
    code: "lint::giant_flatten",
    severity: Severity::Info,
    why: "a weight for every pixel and channel: pool before the flatten, or take `avgpool_global` in its place",
    fires: "dim batch
model m : (x: f32[batch, 3, 32, 32]) -> f32[batch, 64] {
  conv(32, 3, pad = 1)
  relu
  flatten
  linear(64)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 3, 32, 32]) -> f32[batch, 64] {
  conv(32, 3, pad = 1)
  relu
  avgpool_global
  linear(64)
}
",
    check: Check::Flow(giant_flatten),
    ..Lint::DEFAULT
};

}

/// The axis along which a plain matrix acts: the last of a linear, the channels of a 1x1 convolution.
fn matrix_axis(flow: &Flow<'_>, site: Site) -> Option<usize> {
    let op = flow.op(site);
    let rank = flow.dims_in(site).len();
    let all_one =
        |name: &str| flow.per_axis(site, name, rank.saturating_sub(2)).is_some_and(|n| n.iter().all(|&n| n == 1));
    match op.op.name {
        "linear" if *op.attrs.get("rank") == Attr::None => rank.checked_sub(1),
        "conv" => {
            let plain = all_one("kernel") && all_one("stride") && op.attrs.int("groups") == Some(1);
            let padded = op.attrs.int("pad").is_none_or(|pad| pad != 0);
            (plain && !padded).then_some(1)
        }
        _ => None,
    }
}

/// Whether a stage keeps the axis on which both layers act: dropout, or a view that leaves it where it is.
fn keeps(flow: &Flow<'_>, site: Site, last: bool) -> bool {
    let (before, after) = (flow.dims_in(site), flow.dims_out(site));
    if flow.drops(site).is_some() || before == after {
        return flow.is_plain(site) && !flow.is(site, &["permute", "transpose", "detach"]);
    }
    last && flow.is(site, &["flatten", "reshape", "squeeze", "unsqueeze"]) && before.last() == after.last()
}

fn collapse(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for second in flow.sites_of(&["linear", "conv"]) {
        let (Some(axis), Some(value)) = (matrix_axis(flow, second), flow.operand(second, 0)) else { continue };
        let last = flow.op(second).op.name == "linear";
        for maker in flow.makers_through(value, |site| keeps(flow, site, last)) {
            let Maker::Op(first) = maker else { continue };
            let same = std::ptr::eq(flow.op(first).op, flow.op(second).op);
            let Some(from) = matrix_axis(flow, first).filter(|_| same) else { continue };
            if flow.shared(first) || flow.shared(second) || !only_through(flow, first, second, last) {
                continue;
            }
            let sizes = [flow.dims_in(first)[from], flow.dims_out(first)[from], flow.dims_out(second)[axis]];
            let [Some(input), Some(width), Some(output)] = sizes.map(|dim| flow.size(dim)) else { continue };
            report_collapse(cx, first, second, [input, width, output]);
        }
    }
}

/// Whether nobody else reads what stands between two sites.
fn only_through(flow: &Flow<'_>, first: Site, second: Site, last: bool) -> bool {
    if first == second {
        // The last copy hands its result out of the repeat, the others to the next copy.
        return flow.after(first).len() <= 2;
    }
    let mut at = first;
    for _ in 0..8 {
        match flow.after(at).as_slice() {
            [super::Reader::Op(next, 0)] if *next == second => return true,
            [super::Reader::Op(next, 0)] if keeps(flow, *next, last) => at = *next,
            _ => return false,
        }
    }
    false
}

fn report_collapse(cx: &mut Cx<'_>, first: Site, second: Site, [input, width, output]: [i64; 3]) {
    let narrow = width < input.min(output);
    let text = match first == second {
        true => "each copy's linear layer feeds the next copy's, and nothing nonlinear stands between".to_string(),
        false if narrow => format!("a product of two factors of rank {width}"),
        false => "two linear layers with nothing nonlinear between are one".to_string(),
    };
    let (pair, one) = (input * width + width * output, input * output);
    let report = match first == second {
        true => cx.at(second, text, "takes what it made one copy before"),
        false => cx
            .at(second, text, "reads it as it is")
            .label(cx.flow.span(first), format!("makes {width} sums of {input}")),
    };
    let way =
        if first == second { "put an activation into the copy" } else { "put an activation between, or leave one out" };
    let mut report = report.note(match narrow {
        true => format!(
            "{} weights in the place of {}: a low-rank factorisation, if it is meant",
            grouped(pair),
            grouped(one)
        ),
        false => format!("{} weights where {} express the same: {way}", grouped(pair), grouped(one)),
    });
    if narrow {
        report.severity = Severity::Info;
    }
    cx.found(report);
}

fn stride_skips(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites_of(&["conv", "maxpool", "avgpool"]) {
        let axes = flow.dims_in(site).len().saturating_sub(2);
        let [Some(kernel), Some(stride)] = ["kernel", "stride"].map(|name| flow.per_axis(site, name, axes)) else {
            continue;
        };
        let dilation = flow.per_axis(site, "dilation", axes).unwrap_or(vec![1; axes]);
        let reach = |axis: usize| (kernel[axis] - 1) * dilation[axis] + 1;
        let Some(axis) = (0..axes).find(|&axis| stride[axis] > reach(axis)) else { continue };
        let (reach, stride) = (reach(axis), stride[axis]);
        let (gap, verb) = (stride - reach, if stride - reach == 1 { "is" } else { "are" });
        let text = format!("a window of {reach} moves by {stride}: of {stride} rows {gap} {verb} never read");
        let mut report = cx.at(site, text, format!("reaches {reach}, moves by {stride}"));
        if kernel.iter().all(|&size| size == 1) {
            report.severity = Severity::Info;
        }
        cx.found(report);
    }
}

fn checkerboard(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites_of(&["conv_transpose"]) {
        let axes = flow.dims_in(site).len().saturating_sub(2);
        let [Some(kernel), Some(stride)] = ["kernel", "stride"].map(|name| flow.per_axis(site, name, axes)) else {
            continue;
        };
        if let Some(axis) = (0..axes).find(|&axis| kernel[axis] % stride[axis].max(1) != 0) {
            let (kernel, stride) = (kernel[axis], stride[axis]);
            let text = format!(
                "a transposed convolution of {kernel} by stride {stride}: the stride does not divide the kernel"
            );
            cx.found(cx.at(site, text, format!("{kernel} is no multiple of {stride}")));
        }
    }
}

fn head_size(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites_of(&["attention"]) {
        let attrs = &flow.op(site).attrs;
        let width = flow.dims_in(site).get(2).and_then(|&dim| flow.size(dim));
        let heads = attrs.int("heads").filter(|&heads| heads > 0);
        let size = attrs.int("head_dim").or(width.zip(heads).map(|(width, heads)| width / heads));
        // Heads of one number are told by another lint.
        if let Some(size) = size.filter(|size| size % 8 != 0 && *size > 1) {
            cx.found(cx.at(site, format!("heads of width {size}, no multiple of 8"), format!("{size} wide")));
        }
    }
}

fn giant_flatten(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    let mut flat = flow.sites_of(&["linear"]).filter(|&site| {
        flow.before(site)
            .is_some_and(|before| flow.is(before, &["flatten", "reshape"]) && flow.dims_out(before).len() == 2)
    });
    let Some(_) = flat.next() else { return };
    let all: Vec<params::Param> = params::parameters(flow.model).filter(|p| p.def.role != Role::State).collect();
    let total: u64 = all.iter().filter_map(|param| param.count).fold(0, u64::saturating_add);
    let large = all.iter().find(|param| param.count.is_some_and(|n| total > 1_000_000 && n / 9 > (total - n).max(1)));
    let Some(large) = large else { return };
    for site in flow.sites_of(&["linear"]) {
        let behind = flow.before(site).filter(|&before| flow.is(before, &["flatten", "reshape"]));
        let Some(flatten) = behind.filter(|_| flow.op(site).path == large.path) else { continue };
        let share = 100.0 * large.count.unwrap_or(0) as f64 / total as f64;
        let text =
            format!("one layer behind a flatten holds {:.0} % of {} parameters", share.floor(), grouped(total as i64));
        cx.found(cx.at(site, text, "reads every pixel").label(flow.span(flatten), "flattened here"));
    }
}

/// A number with its thousands apart: 33,558,154.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
