//! Sequences: what may be looked at, what carries the order, and the tables at both ends.

use super::{Check, Cx, Flow, Lint, Maker, Site, follow};
use crate::diagnostic::Severity;
use crate::ir::attr::{Attr, Init};
use crate::ir::dim::Dim;
use crate::ir::structured::ValueId;
use crate::tensor::DType;

lints! { LINTS;

/// The model sees the tokens that it is to predict.
///
/// The target is the next token, and some stage lets a position look at later ones: the answer is in its input, the loss
/// falls to nearly 0, and nothing is learned that helps where the next token is not known.
FUTURE_LEAK = Lint {
    code: "lint::future_leak",
    severity: Severity::Error,
    why: "the target is the next token, and a position that sees later ones need only copy it",
    fires: "dim batch, seq
model m : (tokens: i64[batch, seq]) -> f32[batch, seq, 64] {
  (tokens |> embedding(64, 32)) + (range(seq) |> embedding(128, 32))
  attention(4)
  linear(64)
}
train m {
  target y = tokens |> next
  loss   cross_entropy
  seq    32
}
",
    quiet: "dim batch, seq
model m : (tokens: i64[batch, seq]) -> f32[batch, seq, 64] {
  (tokens |> embedding(64, 32)) + (range(seq) |> embedding(128, 32))
  attention(4, causal = true)
  linear(64)
}
train m {
  target y = tokens |> next
  loss   cross_entropy
  seq    32
}
",
    check: Check::Flow(future_leak),
    ..Lint::DEFAULT
};

/// Attention without causal mask over tokens that nothing has given a position.
///
/// Such attention is the same function for every order of the tokens: a sentence is a bag of words. A table of positions
/// added to the embedding, rotary positions, a bias by distance, a convolution or a causal mask carry the order. Where the
/// tokens are a set, say so: `// allow(order_blind)`.
ORDER_BLIND = Lint {
    code: "lint::order_blind",
    why: "attention alone is equivariant to permutations: without positions a sentence is a bag of words",
    source: "Vaswani et al. 2017, section 3.5",
    fires: "dim batch, seq
model m : (tokens: i64[batch, seq]) -> f32[batch, 2] {
  embedding(1000, 32)
  attention(4)
  mean(seq)
  linear(2)
}
",
    quiet: "dim batch, seq
model m : (tokens: i64[batch, seq]) -> f32[batch, 2] {
  (tokens |> embedding(1000, 32)) + (range(seq) |> embedding(128, 32))
  attention(4)
  mean(seq)
  linear(2)
}
",
    check: Check::Flow(order_blind),
    ..Lint::DEFAULT
};

/// Logits of a tied table begin far too large.
///
/// Behind a norm a row has d elements of size 1, and a logit is their product with a row of the table: its standard
/// deviation is std · sqrt(d). With N(0, 1) tables of width 512 that is 22.6, and the first loss is an order of magnitude
/// above ln(vocab). `init = normal(0.02)` (GPT-2), `normal(d^-0.5)`, or a scaled output mend it.
TIED_SCALE = Lint {
    code: "lint::tied_scale",
    why: "behind a norm the logits of a tied table have a standard deviation of std · sqrt(d): the first loss is far above ln(vocab)",
    source: "mlx-examples#591",
    fires: "dim batch, seq
model m : (tokens: i64[batch, seq]) -> f32[batch, seq, 1000] {
  layer wte = embedding(1000, 512)
  wte
  residual pre layernorm { attention(8, causal = true) }
  layernorm
  unembed(wte)
}
",
    quiet: "dim batch, seq
model m : (tokens: i64[batch, seq]) -> f32[batch, seq, 1000] {
  layer wte = embedding(1000, 512, init = normal(0.02))
  wte
  residual pre layernorm { attention(8, causal = true) }
  layernorm
  unembed(wte)
}
",
    check: Check::Flow(tied_scale),
    ..Lint::DEFAULT
};

}

/// What is known of a value on its way to the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    /// It was made of the tokens.
    tokens: bool,
    /// It was made of the next tokens.
    next: bool,
    /// A stage has let its positions see later ones.
    leak: Option<Site>,
    /// Such a value was compared with the next tokens.
    spoiled: Option<Site>,
}

fn future_leak(cx: &mut Cx<'_>) {
    let (flow, Some(training)) = (cx.flow, cx.training()) else { return };
    for next in flow.sites_of(&["next"]).filter(|&site| flow.in_loss(site)) {
        let Some(tokens) = flow.operand(next, 0).map(|value| flow.root(value)) else { continue };
        let Some(&seq) = flow.dims(tokens).last() else { continue };
        let of_tokens =
            |site: Site, index: usize| flow.operand(site, index).is_some_and(|value| flow.root(value) == tokens);
        let known = follow(
            flow,
            |site, known| -> Seen {
                let before = |index: usize| -> Seen { known.operand(index) };
                let here = |index: usize| before(index).tokens || of_tokens(site, index);
                let count = flow.op(site).operands.len();
                let mut leak = (0..count).find_map(|index| before(index).leak);
                let compared = flow.in_loss(site) && (0..count).any(|index| before(index).next);
                let spoiled = (0..count).find_map(|index| before(index).spoiled).or(leak.filter(|_| compared));
                if !flow.in_loss(site) && leak.is_none() {
                    leak = looks_ahead(flow, site, seq, here).then_some(site);
                }
                // What only says where something is true holds no tokens.
                let says = flow
                    .op(site)
                    .outs
                    .first()
                    .is_some_and(|&out| flow.model.values[out.0 as usize].ty.dtype == DType::Bool);
                let tokens = (0..count).any(here) && site != next && !says;
                Seen { tokens, next: site == next || (0..count).any(|index| before(index).next), leak, spoiled }
            },
            |_, two, _| *two,
        );
        if let Some(leak) = known[training.loss.result.0 as usize].spoiled {
            let word = flow.op(leak).op.name;
            let text =
                format!("`{word}` lets a position see the tokens that follow it, and the target is the next one");
            let report = cx.at(leak, text, "sees later positions").label(flow.span(next), "predicts the next token");
            let report = match word {
                "attention" | "sdpa" => cx.with_argument(report, leak, "causal", "true"),
                "rnn" | "lstm" | "gru" => cx.with_argument(report, leak, "bidirectional", "false"),
                "conv" if flow.op(leak).attrs.int("dilation").is_some() => {
                    cx.with_argument(report, leak, "pad", "\"causal\"")
                }
                _ if flow.op(leak).attrs.flag("bidirectional") => {
                    cx.with_argument(report, leak, "bidirectional", "false")
                }
                _ => report,
            };
            cx.found(report);
        }
    }
}

/// Stages that make one number, or another order, of all places along their axes.
const ALONG: &[&str] = &[
    "sum",
    "mean",
    "prod",
    "max",
    "min",
    "var",
    "std",
    "norm",
    "logsumexp",
    "median",
    "argmax",
    "argmin",
    "softmax",
    "log_softmax",
    "softmin",
    "sort",
    "argsort",
    "topk",
    "topk_mask",
    "flip",
];

/// Whether a stage lets a position along `seq` see later ones, of an operand that was made of the tokens.
fn looks_ahead(flow: &Flow<'_>, site: Site, seq: Dim, made_of_tokens: impl Fn(usize) -> bool) -> bool {
    let attrs = &flow.op(site).attrs;
    let rank = |index: usize| flow.operand(site, index).map(|value| flow.dims(value).len());
    let along = |index: usize, axis: usize| {
        flow.operand(site, index).is_some_and(|value| flow.dims(value).get(axis) == Some(&seq)) && made_of_tokens(index)
    };
    // Where two axes have one size, which of them is the sequence is not known.
    let dims = flow.dims_in(site);
    let only = || dims.iter().position(|dim| *dim == seq).filter(|at| !dims[at + 1..].contains(&seq));
    match flow.op(site).op.name {
        "attention" => {
            let keys = if rank(1).is_some() { 1 } else { 0 };
            // A mask of two axes marks padding; one with an axis of queries may be causal, and so may a bias.
            let masked = rank(3).is_some_and(|rank| rank > 2) || rank(4).is_some();
            along(keys, 1) && !attrs.flag("causal") && !masked
        }
        "rnn" | "lstm" | "gru" => along(0, 1) && attrs.flag("bidirectional"),
        "sdpa" => along(1, 2) && !attrs.flag("causal") && rank(3).is_none() && rank(4).is_none(),
        "conv" => {
            let same = flow.dims_out(site).get(2) == Some(&seq) && flow.dims_out(site).len() == 3;
            same && along(0, 2) && reach_ahead(flow, site).is_some_and(|ahead| ahead > 0)
        }
        "avgpool_global" | "maxpool_global" => only().is_some_and(|at| at >= 2 && along(0, at)),
        name if ALONG.contains(&name) => only().is_some_and(|at| along(0, at) && axes(flow, site).contains(&at)),
        _ => attrs.flag("bidirectional") && only().is_some_and(|at| along(0, at)),
    }
}

/// The axes that a stage names, from the first; all of them where it names none.
fn axes(flow: &Flow<'_>, site: Site) -> Vec<usize> {
    let (attrs, rank) = (&flow.op(site).attrs, flow.dims_in(site).len());
    let named = if *attrs.get("axis") == Attr::None { attrs.get("axes") } else { attrs.get("axis") };
    let one = |attr: &Attr| match attr {
        Attr::Int(axis) if *axis < 0 => usize::try_from(*axis + rank as i64).ok(),
        Attr::Int(axis) => usize::try_from(*axis).ok(),
        _ => None,
    };
    match named {
        Attr::None => (0..rank).collect(),
        Attr::List(items) => items.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}

/// How many positions after its own a convolution over one axis reads.
fn reach_ahead(flow: &Flow<'_>, site: Site) -> Option<i64> {
    let attrs = &flow.op(site).attrs;
    let of = |name: &str| flow.per_axis(site, name, 1).map(|sizes| sizes[0]);
    let reach = (of("kernel")? - 1) * of("dilation")?;
    Some(match attrs.str("pad") {
        Some("causal") => 0,
        Some("same") => reach - reach / 2,
        Some(_) => reach,
        None => reach - of("pad")?,
    })
}

/// Tokens on their way: of which input, and whether something has told their order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Order {
    /// None: not known, or made of something else.
    tokens: Option<ValueId>,
    told: bool,
}

fn order_blind(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    let mut blind: Option<Site> = None;
    follow(
        flow,
        |site, known| -> Order {
            let op = flow.op(site);
            let first: Order = known.operand(0);
            match op.op.name {
                "embedding" => embedded(flow, site),
                "attention" => {
                    let plain = flow.operand(site, 1).is_none() && flow.operand(site, 4).is_none();
                    let none = |name: &str| *op.attrs.get(name) == Attr::None;
                    let near = op.attrs.flag("causal") || op.attrs.flag("alibi") || !none("window");
                    let bare = !near && none("rope") && plain;
                    if bare && first.tokens.is_some() && !first.told {
                        blind = blind.or(Some(site));
                    }
                    Order { told: first.told || !bare, ..first }
                }
                "linear" | "identity" | "dropout" => first,
                "residual.add" | "add" | "mul" | "sub" | "div" => joined(known.operands().copied()),
                _ if flow.is_norm(site) || flow.is_activation(site) => first,
                _ => Order::default(),
            }
        },
        |_, two, _| *two,
    );
    if let Some(site) = blind {
        let text = "nothing tells this attention the order of its tokens";
        cx.found(cx.at(site, text, "the same for every order of the tokens"));
    }
}

/// Tokens looked up in a table.
fn embedded(flow: &Flow<'_>, site: Site) -> Order {
    let makers = flow.operand(site, 0).map_or(vec![], |value| flow.makers(value));
    let input = match makers.as_slice() {
        [Maker::Input(input)] => Some(*input).filter(|&input| flow.dims(input).len() == 2),
        _ => None,
    };
    Order { tokens: input, told: false }
}

/// Two values in one: a second input, or what is made of none, may hold positions.
fn joined(mut parts: impl Iterator<Item = Order>) -> Order {
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |sum, part| Order {
        tokens: sum.tokens.or(part.tokens),
        told: sum.told || part.told || sum.tokens != part.tokens,
    })
}

/// Logits that spread more than this begin too large.
const WIDE: f64 = 2.0;

fn tied_scale(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites_of(&["unembed"]) {
        let Attr::Layer(table) = flow.op(site).attrs.get("table") else { continue };
        let Some(layer) = flow.model.layers.get(table.index as usize) else { continue };
        let std = match layer.attrs.as_ref().map(|attrs| attrs.get("init")) {
            Some(Attr::None) => 1.0,
            Some(Attr::Init(Init::Normal(std, _) | Init::TruncNormal(std, ..))) => *std,
            _ => continue,
        };
        let (Some(norm), Some(&dim)) = (flow.before(site), flow.dims_in(site).last()) else { continue };
        let Some(width) = flow.size(dim).filter(|_| flow.is(norm, &["layernorm", "rmsnorm"])) else { continue };
        let spread = std * (width as f64).sqrt();
        if spread > WIDE {
            let text = format!("the logits begin with a standard deviation of about {spread:.1}");
            let label = format!("rows of {width} elements against a table with std {std}");
            let report = cx.at(site, text, label).label(layer.span, format!("begins at N(0, {std}²)"));
            cx.found(match cx.call_of(layer.span) {
                Some(call) => cx.with_call_argument(report, call, "init", "normal(0.02)"),
                None => report,
            });
        }
    }
}
