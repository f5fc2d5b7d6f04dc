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

impl Param {
    /// Whether some copy's path fits a pattern; numbers that stand in the pattern are tried.
    pub fn fits(&self, pattern: &str) -> bool {
        let written = pattern.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<u64>().ok());
        let written: Vec<u64> = written.collect();
        let mut paths = vec![String::new()];
        for part in &self.path {
            let words: Vec<String> = match part {
                Part::Name(name) => vec![name.clone()],
                Part::Copy(id) => {
                    let run = self.copies.iter().find(|(repeat, ..)| repeat == id);
                    let (first, count) = run.map_or((0, 1), |(_, first, count)| (*first, *count));
                    let last = first.saturating_add(count.saturating_sub(1));
                    let tried = written.iter().copied().filter(|n| (first..=last).contains(n));
                    tried.chain([first, last]).map(|n| n.to_string()).collect()
                }
            };
            let longer = |path: &String| {
                let join = |word: &String| if path.is_empty() { word.clone() } else { format!("{path}.{word}") };
                words.iter().map(join).collect::<Vec<_>>()
            };
            paths = paths.iter().flat_map(longer).take(4096).collect();
        }
        let whole = |path: String| match (path.is_empty(), self.def.name.is_empty()) {
            (true, _) => self.def.name.clone(),
            (_, true) => path,
            _ => format!("{path}.{}", self.def.name),
        };
        paths.into_iter().any(|path| matches(pattern, &whole(path)))
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

/// Whether a path fits a pattern, in which `*` stands for any characters, dots too.
pub fn matches(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pattern.rfind('*') else { return rest.is_empty() };
    let tail = &pattern[last + 1..];
    let middle: Vec<&str> = parts.collect();
    for part in &middle[..middle.len().saturating_sub(1)] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= tail.len() && rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_matches_dots_too() {
        assert!(matches("head.*", "head.weight"));
        assert!(matches("*.base.*", "h.0.base.weight"));
        assert!(matches("*", "a.b"));
        assert!(!matches("head.*", "heads.weight"));
        assert!(!matches("head", "head.weight"));
        assert!(matches("a*b*c", "axxbyybc"));
        assert!(!matches("a*b*c", "axxc"));
    }
}
