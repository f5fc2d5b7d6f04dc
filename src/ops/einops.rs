//! Axes by name: einops' `rearrange` and `reduce` (Rogozhnikov 2022).
//!
//! A pattern is read into elementary axes: the left side says which axes of x they are made of, the right side in which
//! order and groups they come out.

use super::extreme::{largest, smallest};
use super::parts::ask;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{Body, Facts, Misfit, MisfitKind, OpDef, Operand, RuleCx, Why, size_of};

/// One place of a side: what stands between brackets, or alone; `...` is any number of axes.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    Axes(Vec<String>),
    Rest,
}

/// Reads one side of a pattern; 1 is a place of no axis.
fn side(text: &str) -> Result<Vec<Place>, String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let (mut places, mut group) = (vec![], None::<Vec<String>>);
    for word in spaced.split_whitespace() {
        match (word, &mut group) {
            ("(", None) => group = Some(vec![]),
            ("(", Some(_)) => return Err("has a bracket within a bracket".into()),
            (")", _) => places.push(Place::Axes(group.take().ok_or("closes a bracket that is not open")?)),
            ("...", None) => places.push(Place::Rest),
            ("...", Some(_)) => return Err("has `...` within brackets".into()),
            ("1", None) => places.push(Place::Axes(vec![])),
            ("1", Some(_)) => {}
            (name, _)
                if !name.chars().all(|c| c.is_alphanumeric() || c == '_')
                    || name.starts_with(|c: char| c.is_numeric()) =>
            {
                return Err(format!("has `{name}`, which is no name of an axis"));
            }
            (name, Some(group)) => group.push(name.into()),
            (name, None) => places.push(Place::Axes(vec![name.into()])),
        }
    }
    match group {
        Some(_) => Err("has a bracket that is not closed".into()),
        None if places.iter().filter(|place| **place == Place::Rest).count() > 1 => {
            Err("has `...` twice on one side".into())
        }
        None => Ok(places),
    }
}

/// What a pattern does to a shape.
struct Plan {
    /// The elementary axes of x.
    split: Vec<Dim>,
    /// Which of them remain, in their new order.
    order: Vec<usize>,
    /// The sizes of the result.
    out: Vec<Dim>,
}

impl Plan {
    /// The elementary axes that go.
    fn gone(&self) -> Vec<usize> {
        (0..self.split.len()).filter(|axis| !self.order.contains(axis)).collect()
    }
}

/// The elementary axes of x by name.
fn elementary(cx: &mut RuleCx<'_>, left: &[Place]) -> Result<Vec<(String, Dim)>, Misfit> {
    let dims = cx.dims(0)?;
    let rest = left.contains(&Place::Rest);
    let fixed = left.len() - usize::from(rest);
    if dims.len() < fixed || (!rest && dims.len() > fixed) {
        let most = if rest { 8 } else { fixed };
        return Err(Misfit { operand: Some(0), ..Misfit::of(MisfitKind::Rank { least: fixed, most }) });
    }
    let (mut axes, mut at) = (vec![], 0);
    for place in left {
        let Place::Axes(names) = place else {
            for i in 0..dims.len() - fixed {
                axes.push((format!("...{i}"), dims[at + i]));
            }
            at += dims.len() - fixed;
            continue;
        };
        let (mut known, mut open) = (Dims::ONE, None);
        for name in names {
            let told = size_of(cx.shapes, &cx.attrs.get(name).clone());
            match told {
                Some(size) => known = cx.shapes.dims.product(&[known, size]),
                None if open.is_none() => open = Some(axes.len()),
                None => {
                    return Err(
                        cx.bad_attr("pattern", format!("leaves the size of `{name}` open: say it, `{name} = …`"))
                    );
                }
            }
            axes.push((name.clone(), told.unwrap_or(Dims::ONE)));
        }
        match open {
            Some(open) => {
                cx.divides(0, at, dims[at], known, Why::Other)?;
                axes[open].1 = cx.shapes.dims.floor_div(dims[at], known);
            }
            None => cx.equal(0, at, dims[at], known, Why::Other)?,
        }
        at += 1;
    }
    Ok(axes)
}

/// Reads the pattern against the shape of x.
fn plan(cx: &mut RuleCx<'_>, reduces: bool) -> Result<Plan, Misfit> {
    let text = cx.attrs.str("pattern").unwrap_or_default().to_string();
    let Some((left, right)) = text.split_once("->") else { return Err(cx.bad_attr("pattern", "must hold a `->`")) };
    let left = side(left).map_err(|clause| cx.bad_attr("pattern", clause))?;
    let right = side(right).map_err(|clause| cx.bad_attr("pattern", clause))?;
    let axes = elementary(cx, &left)?;
    for (i, (name, _)) in axes.iter().enumerate() {
        if axes[..i].iter().any(|(other, _)| other == name) {
            return Err(cx.bad_attr("pattern", format!("has `{name}` twice on the left")));
        }
    }
    let stray = |name: &&str| cx.attrs.int(name).is_some() && !axes.iter().any(|(own, _)| own == name);
    if let Some(name) = LETTERS.iter().map(|def| def.name).find(stray) {
        return Err(cx.bad_attr("pattern", format!("has no `{name}` on the left, and its size is given")));
    }
    let mut plan = Plan { split: axes.iter().map(|(_, size)| *size).collect(), order: vec![], out: vec![] };
    for place in right {
        let names = match place {
            Place::Axes(names) => vec![names],
            Place::Rest if !left.contains(&Place::Rest) => {
                return Err(cx.bad_attr("pattern", "has `...` on the right only"));
            }
            Place::Rest => {
                axes.iter().filter(|(name, _)| name.starts_with("...")).map(|(name, _)| vec![name.clone()]).collect()
            }
        };
        for group in names {
            let mut sizes = vec![];
            for name in group {
                match axes.iter().position(|(own, _)| *own == name) {
                    Some(axis) if plan.order.contains(&axis) => {
                        return Err(cx.bad_attr("pattern", format!("has `{name}` twice on the right")));
                    }
                    Some(axis) => {
                        plan.order.push(axis);
                        sizes.push(plan.split[axis]);
                    }
                    None => return Err(cx.bad_attr("pattern", format!("has no `{name}` on the left"))),
                }
            }
            let size = cx.shapes.dims.product(&sizes);
            plan.out.push(size);
        }
    }
    match plan.gone().first() {
        Some(&axis) if !reduces => {
            let name = axes[axis].0.trim_end_matches(char::is_numeric);
            Err(cx.bad_attr("pattern", format!("drops `{name}`: all axes must be on the right (or `reduce` them)")))
        }
        _ => Ok(plan),
    }
}

/// What `reduce` does with the axes that go: a word.
fn how(attrs: &Attrs) -> &str {
    match attrs.get("how") {
        Attr::Str(word) => word,
        Attr::Stage(stage) => stage.op.name,
        _ => "",
    }
}

fn reduced<'g>(cx: &ExpandCx<'_, 'g>, x: Var<'g>, gone: &[usize]) -> Var<'g> {
    if gone.is_empty() {
        return x;
    }
    let product = || {
        let given = [("axes", crate::ir::build::ints_attr(gone.iter().copied()))];
        x.then(&super::extreme::REDUCE_PROD, &given)
    };
    match how(cx.attrs) {
        "sum" => x.sum(gone, false),
        "max" => largest(x, gone),
        "min" => smallest(x, gone),
        "prod" => product(),
        _ => x.mean(gone, false),
    }
}

/// A size by a letter of the pattern.
const fn letter(name: &'static str) -> AttrDef {
    AttrDef::new(name, &[AttrKind::Size], AttrDefault::None, "the size of this axis").named()
}

const PATTERN: AttrDef = AttrDef::required("pattern", &[AttrKind::Text], "`\"axes of x -> axes of the result\"`");
const HOW: AttrDef = AttrDef::required(
    "how",
    &[AttrKind::Choice(&["mean", "sum", "max", "min", "prod"]), AttrKind::Stage],
    "mean, sum, max, min, prod",
);

macro_rules! letters {
    ($($first:ident,)* ; $($name:literal)*) => { &[$($first,)* $(letter($name)),*] };
}
const LETTERS: &[AttrDef] =
    letters![; "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t" "u" "v" "w" "x" "y" "z"];
const REARRANGE_ATTRS: &[AttrDef] = letters![PATTERN,; "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t" "u" "v" "w" "x" "y" "z"];
const REDUCE_ATTRS: &[AttrDef] = letters![PATTERN, HOW,; "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t" "u" "v" "w" "x" "y" "z"];

ops! { OPS;

/// Axes taken apart, reordered and joined, by names: `rearrange("b s (h e) -> b h s e", h = 8)`.
///
/// Names are local to the pattern; brackets join axes (the first is the outermost); `...` is any number of axes, `1` an
/// axis of size 1, made or dropped. A size that does not follow is given by its letter. Views where strides allow it.
REARRANGE = OpDef {
    derivative: "dy with its axes put back",
    name: "rearrange",
    formula: "the same elements under named axes",
    shape: "[..] -> [..], as the pattern says",
    source: "Rogozhnikov 2022",
    torch: "einops.rearrange",
    example: "x: f32[1, 4] = [1, 2, 3, 4], pattern = \"b (h e) -> b e h\", h = 2 -> [1, 3, 2, 4]",
    attrs: REARRANGE_ATTRS,
    operands: &[Operand::any("x")],
    rule: |cx| {
        let plan = plan(cx, false)?;
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &plan.out);
        Ok(())
    },
    facts: Facts { view: true, ..Facts::NONE },
    body: Body::Expand(|cx| {
        let plan = ask(cx, |rule| plan(rule, false));
        vec![cx.x(0).reshape(&plan.split).permute(&plan.order).reshape(&plan.out)]
    }),
    ..OpDef::DEFAULT
};

/// Axes reduced by name: what stands on the left of the pattern only is averaged, summed, …:
/// `reduce("b c h w -> b c", mean)`, or 2 × 2 pooling, `reduce("b c (h i) (w j) -> b c h w", max, i = 2, j = 2)`.
REDUCE = OpDef {
    derivative: "that of the reduction: mean, sum, max, min or prod over what the right side lacks",
    name: "reduce",
    formula: "the mean (sum, max, min, prod) over what the right side lacks",
    shape: "[..] -> [..], as the pattern says",
    source: "Rogozhnikov 2022",
    torch: "einops.reduce",
    example: "x: f32[2, 2] = [1, 2, 3, 4], pattern = \"a b -> b\", how = mean -> [2, 3]",
    attrs: REDUCE_ATTRS,
    rule: |cx| {
        let plan = plan(cx, true)?;
        if !["mean", "sum", "max", "min", "prod"].contains(&how(cx.attrs)) {
            return Err(cx.bad_attr("how", "must be mean, sum, max, min or prod"));
        }
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &plan.out);
        Ok(())
    },
    facts: Facts { mixes_rows: true, ..Facts::NONE },
    body: Body::Expand(|cx| {
        let plan = ask(cx, |rule| plan(rule, true));
        let gone = plan.gone();
        let left = reduced(cx, cx.x(0).reshape(&plan.split), &gone);
        let order: Vec<usize> =
            plan.order.iter().map(|&axis| axis - gone.iter().filter(|&&other| other < axis).count()).collect();
        vec![left.permute(&order).reshape(&plan.out)]
    }),
    ..OpDef::DEFAULT
};

}
