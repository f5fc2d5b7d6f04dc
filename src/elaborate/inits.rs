//! Initialisers as a user writes them: `normal(0.02)`.

use super::Elab;
use super::bind::Called;
use super::value::Given;
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init};
use crate::ops;
use crate::text::Span;

const GAIN: &[AttrDef] = &[number("gain", 1.0)];

const KAIMING: &[AttrDef] = &[
    AttrDef::new(
        "nonlinearity",
        &[AttrKind::Choice(&["leaky_relu", "relu", "tanh", "selu", "linear", "sigmoid"])],
        AttrDefault::Str("leaky_relu"),
        "what follows",
    ),
    number("a", 0.0),
    AttrDef::new("mode", &[AttrKind::Choice(&["fan_in", "fan_out"])], AttrDefault::Str("fan_in"), "which fan"),
];

/// The initialisers and their arguments.
const INITS: &[(&str, &[AttrDef])] = &[
    ("zeros", &[]),
    ("ones", &[]),
    ("constant", &[AttrDef::required("value", &[AttrKind::Number], "the number")]),
    ("uniform", &[number("a", 0.0), number("b", 1.0)]),
    ("normal", &[number("std", 1.0).within(Domain::NonNegative), number("mean", 0.0)]),
    ("trunc_normal", &[number("std", 1.0).within(Domain::NonNegative), number("a", -2.0), number("b", 2.0)]),
    ("xavier_uniform", GAIN),
    ("xavier_normal", GAIN),
    ("kaiming_uniform", KAIMING),
    ("kaiming_normal", KAIMING),
    ("lecun_normal", &[]),
    ("lecun_uniform", &[]),
    ("orthogonal", GAIN),
    ("eye", &[]),
    ("dirac", &[AttrDef::new("groups", &[AttrKind::Size], AttrDefault::Int(1), "groups of filters, each an identity")]),
    (
        "sparse",
        &[
            AttrDef::required("sparsity", &[AttrKind::Number], "the share of zeros in each column")
                .within(Domain::Probability),
            number("std", 0.01).within(Domain::NonNegative),
        ],
    ),
];

impl<'a> Elab<'a> {
    /// An initialiser by name; `None` if it is none. Wrong arguments are reported.
    pub(super) fn initialiser(&mut self, word: &str, given: &[Given]) -> Option<Init> {
        let defs = init_attrs(word)?;
        if given.is_empty() && (word == "constant" || ops::find(word).is_some() && word != "zeros" && word != "ones") {
            return None;
        }
        let span = given.iter().fold(None, |span: Option<Span>, arg| Some(span.map_or(arg.span, |s| s.to(arg.span))));
        let called = Called { defs, word: static_word(word), span: span.unwrap_or_default() };
        let attrs = match self.bind(called, given, None) {
            Some(call) => call.attrs,
            None => return Some(Init::Zeros),
        };
        let number = |name: &str| attrs.float(name).unwrap_or(0.0);
        Some(match word {
            "zeros" => Init::Zeros,
            "ones" => Init::Ones,
            "constant" => Init::Constant(number("value")),
            "uniform" => Init::Uniform(number("a"), number("b")),
            "normal" => Init::Normal(number("std"), number("mean")),
            "trunc_normal" => Init::TruncNormal(number("std"), number("a"), number("b")),
            "xavier_uniform" => Init::XavierUniform(number("gain")),
            "xavier_normal" => Init::XavierNormal(number("gain")),
            "kaiming_uniform" => Init::KaimingUniform(kaiming_gain(&attrs), attrs.str("mode") == Some("fan_out")),
            "kaiming_normal" => Init::KaimingNormal(kaiming_gain(&attrs), attrs.str("mode") == Some("fan_out")),
            "lecun_normal" => Init::KaimingNormal(1.0, false),
            "lecun_uniform" => Init::KaimingUniform(1.0, false),
            "orthogonal" => Init::Orthogonal(number("gain")),
            "dirac" => Init::Dirac(attrs.int("groups").unwrap_or(1)),
            "sparse" => Init::Sparse(number("sparsity"), number("std")),
            _ => Init::Eye,
        })
    }
}

fn kaiming_gain(attrs: &Attrs) -> f64 {
    use crate::kernels::float::Float;
    let a = attrs.float("a").unwrap_or(0.0);
    match attrs.str("nonlinearity") {
        Some("relu") => Float::sqrt(2.0f64),
        Some("leaky_relu") => Float::sqrt(2.0 / (1.0 + a * a)),
        Some("tanh") => 5.0 / 3.0,
        Some("selu") => 0.75,
        _ => 1.0,
    }
}

const fn number(name: &'static str, default: f64) -> AttrDef {
    AttrDef::new(name, &[AttrKind::Number], AttrDefault::Float(default), "a number")
}

fn init_attrs(word: &str) -> Option<&'static [AttrDef]> {
    INITS.iter().find(|(name, _)| *name == word).map(|(_, attrs)| *attrs)
}

fn static_word(word: &str) -> &'static str {
    INITS.iter().find(|(name, _)| *name == word).map_or("", |(name, _)| name)
}
