//! The parameters of a structured graph: each once, with how many copies there are of it.

use super::attr::Attrs;
use super::op::{ParamCx, ParamDef, Role};
use super::shape::{Shapes, Type};
use super::structured::{Item, OpItem, Part, Path, Region, RepeatId, Structured};
use indexmap::IndexMap;

/// A parameter (or running statistic) of a model, copies folded.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The path of its layer: `h.{copy}.attn`.
    pub path: Path,
    /// Its name below the path, sizes, initialiser, role.
    pub def: ParamDef,
    /// The copies that each `{copy}` of the path runs over: which repeat, the first, how many.
    pub copies: Vec<(RepeatId, u64, u64)>,
    /// Elements, all copies counted; `None` where a size is symbolic or the count overflows.
    pub count: Option<u64>,
}

impl Param {
    /// The whole path, copies folded: `h.*.attn.in_proj_weight`.
    pub fn shown(&self) -> String {
        let path = super::structured::show_path(&self.path);
        match (path.is_empty(), self.def.name.is_empty()) {
            (true, _) => self.def.name.clone(),
            (_, true) => path,
            _ => format!("{path}.{}", self.def.name),
        }
    }
}

/// All parameters and running statistics of a model, in the order of the text; a shared one once.
pub fn parameters(model: &Structured) -> impl Iterator<Item = Param> {
    let mut walk = Walk { model, shapes: model.shapes.clone(), copies: vec![], found: IndexMap::new() };
    walk.region(&model.body);
    walk.found.into_values()
}

/// The number of learned elements, running statistics left out; `None` on overflow or symbolic sizes.
pub fn count(model: &Structured) -> Option<u64> {
    let learned = parameters(model).filter(|param| param.def.role != Role::State);
    learned.map(|param| param.count).try_fold(0u64, |sum, count| sum.checked_add(count?))
}

/// What tells two parameters apart: path, name, copies.
type Key = (Path, String, Vec<(RepeatId, u64, u64)>);

struct Walk<'m> {
    model: &'m Structured,
    shapes: Shapes,
    /// The runs around the item: which repeat, the first copy, how many.
    copies: Vec<(RepeatId, u64, u64)>,
    found: IndexMap<Key, Param>,
}

impl Walk<'_> {
    fn region(&mut self, region: &Region) {
        for item in &region.items {
            match item {
                Item::Op(op) => self.op(op),
                Item::Scope(scope) => self.region(&scope.region),
                Item::Repeat(repeat) => {
                    for run in &repeat.runs {
                        self.copies.push((repeat.id, run.first, run.count));
                        self.region(&run.region);
                        self.copies.pop();
                    }
                }
            }
        }
    }

    fn op(&mut self, op: &OpItem) {
        let ins: Vec<Option<Type>> =
            op.operands.iter().map(|value| value.map(|value| self.model.values[value.0 as usize].ty)).collect();
        for def in defs(op, &op.attrs, &ins, &mut self.shapes) {
            let copies: Vec<_> =
                self.copies.iter().copied().filter(|(id, ..)| op.path.contains(&Part::Copy(*id))).collect();
            let key = (op.path.clone(), def.name.clone(), copies.clone());
            if !self.found.contains_key(&key) {
                let count = self.elements(&def, &copies);
                self.found.insert(key, Param { path: op.path.clone(), def, copies, count });
            }
        }
    }

    fn elements(&self, def: &ParamDef, copies: &[(RepeatId, u64, u64)]) -> Option<u64> {
        let sizes = def.dims.iter().map(|&dim| u64::try_from(self.shapes.dims.as_const(dim)?).ok());
        let one = sizes.into_iter().try_fold(1u64, |product, size| product.checked_mul(size?))?;
        copies.iter().try_fold(one, |product, (.., count)| product.checked_mul(*count))
    }
}

/// The parameters of one use of an operator.
pub fn defs(op: &OpItem, attrs: &Attrs, ins: &[Option<Type>], shapes: &mut Shapes) -> Vec<ParamDef> {
    (op.op.params)(&mut ParamCx { shapes, attrs, ins, gain: op.gain })
}
