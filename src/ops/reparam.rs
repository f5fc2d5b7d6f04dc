//! Weights that are made of other parameters: a length and a direction, or one whose largest stretch is 1.

use super::arithmetic::DETACH;
use super::statistic::norm;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Init};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{ParamCx, ParamDef};
use crate::tensor::DType;

/// What a layer takes.
pub(super) const REPARAM: AttrDef = AttrDef::new(
    "reparam",
    &[AttrKind::Choice(&["weight_norm", "spectral_norm"]), AttrKind::Nothing],
    AttrDefault::None,
    "what the weight is made of: a length and a direction, or one divided by its largest singular value",
)
.named();

/// How the parts of a layer's text say it: shared by all that take it.
const WEIGHT_NORM: &str = "weight_norm";
const SPECTRAL_NORM: &str = "spectral_norm";

/// The weight of these sizes, or what it is made of. `axis` is the one that power iteration takes for the rows.
pub(super) fn weight_params(cx: &mut ParamCx<'_>, dims: &[Dim], init: Init, axis: usize) -> Vec<ParamDef> {
    let number = |cx: &ParamCx<'_>, dim: Dim| cx.shapes.dims.as_const(dim).unwrap_or(0);
    match cx.attrs.str("reparam") {
        Some(WEIGHT_NORM) => {
            let sizes = dims.iter().map(|&dim| number(cx, dim)).collect();
            let lengths: Vec<Dim> =
                dims.iter().enumerate().map(|(i, &dim)| if i == 0 { dim } else { Dims::ONE }).collect();
            let begin = Init::NormsOf("weight_v", Box::new(init.clone()), sizes);
            vec![ParamDef::other("weight_g", &lengths, begin), ParamDef::weight("weight_v", dims, init)]
        }
        Some(SPECTRAL_NORM) => {
            let others: Vec<Dim> = dims.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, &dim)| dim).collect();
            let others = cx.shapes.dims.product(&others);
            let unit = |name: &str, dim: Dim| ParamDef::state(name, &[dim], DType::F32, Init::Orthogonal(1.0));
            vec![ParamDef::weight("weight_orig", dims, init), unit("weight_u", dims[axis]), unit("weight_v", others)]
        }
        _ => vec![ParamDef::weight("weight", dims, init)],
    }
}

/// The weight that a layer works with.
pub(super) fn weight<'g>(cx: &ExpandCx<'_, 'g>, axis: usize) -> Var<'g> {
    let own = |name: &str| cx.param(name).expect("a layer declares what its weight is made of");
    match cx.attrs.str("reparam") {
        Some(WEIGHT_NORM) => {
            let (g, v) = (own("weight_g"), own("weight_v"));
            let dims = v.dims();
            let length = norm(v.fold_from(1), 2.0, &[1]);
            let factor = g.reshape(&dims[..1]) / length;
            v * factor.spread(&dims, &(1..dims.len()).collect::<Vec<_>>())
        }
        Some(SPECTRAL_NORM) => spectral(cx, axis, own("weight_orig"), own("weight_u"), own("weight_v")),
        _ => own("weight"),
    }
}

/// The weight divided by uᵀ W v; in training u and v are first moved by one step of power iteration.
fn spectral<'g>(cx: &ExpandCx<'_, 'g>, axis: usize, orig: Var<'g>, u: Var<'g>, v: Var<'g>) -> Var<'g> {
    let order: Vec<usize> = std::iter::once(axis).chain((0..orig.rank()).filter(|&other| other != axis)).collect();
    let matrix = orig.permute(&order).fold_from(1);
    let dims = matrix.dims();
    let (mut u, mut v) = (u, v);
    if cx.train() {
        let fixed = matrix.op(&DETACH);
        v = unit((fixed * u.spread(&dims, &[1])).sum(&[0], false));
        u = unit((fixed * v).sum(&[1], false));
        cx.set_state("weight_u", u);
        cx.set_state("weight_v", v);
    }
    let stretch = (u.op(&DETACH) * (matrix * v.op(&DETACH)).sum(&[1], false)).sum_all();
    orig / stretch
}

/// A vector of length 1.
fn unit(x: Var<'_>) -> Var<'_> {
    x / super::activation::at_least(norm(x, 2.0, &[0]), 1e-12)
}

/// Whether train and eval differ for it.
pub fn moves(attrs: &Attrs) -> bool {
    *attrs.get("reparam") == Attr::Str(SPECTRAL_NORM.into())
}
