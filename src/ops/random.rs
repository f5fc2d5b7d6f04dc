//! What draws random numbers in training.

use super::arithmetic::elementwise;
use super::source::INPUT;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Domain};
use crate::ir::build::Var;
use crate::ir::graph::Source;
use crate::ir::op::{Body, Facts, Gradient, OpDef, Operand};
use crate::kernels::map;

const P: &[AttrDef] = &[AttrDef::new("p", &[AttrKind::Number], AttrDefault::Float(0.5), "the share that becomes zero")
    .within(Domain::Probability)];

/// Dropout of a value in train mode.
pub(super) fn dropped<'g>(x: Var<'g>, p: f64) -> Var<'g> {
    let (seed, step) = (x.builder.host(&INPUT, Source::Seed), x.builder.host(&INPUT, Source::Step));
    let attrs = crate::ir::attr::Attrs::with(DROP.attrs, &[("p", Attr::Float(p))]);
    x.builder.one(&DROP, attrs, &[x, seed, step])
}

ops! { OPS;

/// In train each element becomes zero with probability p, and what stays is scaled by 1 / (1 - p); in eval nothing.
///
/// The mask is keyed by seed, path of the application, step and element: it does not depend on threads, resumes, or on
/// layers elsewhere, and it is drawn again on the way back, not kept. p = 1 gives zeros.
DROPOUT = OpDef {
    name: "dropout",
    formula: "x * mask / (1 - p)",
    source: "Srivastava et al. 2014",
    torch: "nn.Dropout",
    example: "x: f32[2] = [1, 2] -> [1, 2]",
    attrs: P,
    facts: Facts { by_mode: true, random: true, ..Facts::NONE },
    body: Body::Expand(|cx| {
        let p = cx.attrs.float("p").unwrap_or(0.5);
        vec![if cx.train() && p > 0.0 { dropped(cx.x(0), p) } else { cx.x(0) }]
    }),
    ..OpDef::DEFAULT
};

/// Dropout by seed and step.
DROP = OpDef {
    name: "random.dropout",
    attrs: P,
    operands: &[Operand::float("x"), Operand::int("seed"), Operand::int("step")],
    rule: elementwise,
    facts: Facts { random: true, ..Facts::NONE },
    body: Body::Map { op: &map::ops::DROPOUT, imm: |attrs| [attrs.float("p").unwrap_or(0.5), 0.0] },
    gradient: Gradient::Formula(|cx| vec![Some(cx.builder.one(&DROP, cx.attrs.clone(), &[cx.dy(), cx.x(1), cx.x(2)]))]),
    ..OpDef::DEFAULT
};

}
