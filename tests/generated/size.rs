//! Sizes as the generator knows them: `mul * symbol + add`. Nothing of the checker is used to calculate with them.

use std::collections::BTreeMap;
use wythe::ir::dim::{Atom, Dim};
use wythe::ir::shape::Shapes;
use wythe::tensor::DType;

/// A name for a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sym {
    pub name: &'static str,
    /// It stands for a number (a hyperparameter, a bound dim, the variable of a `for`): parameters may depend on it.
    pub number: bool,
}

/// A size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub sym: Option<Sym>,
    pub mul: i64,
    pub add: i64,
}

impl Size {
    pub fn num(n: i64) -> Size {
        Size { sym: None, mul: 0, add: n }
    }

    pub fn of(sym: Sym) -> Size {
        Size { sym: Some(sym), mul: 1, add: 0 }
    }

    pub fn as_num(self) -> Option<i64> {
        self.sym.is_none().then_some(self.add)
    }

    /// The symbol, where it is nothing else.
    pub fn as_sym(self) -> Option<Sym> {
        self.sym.filter(|_| self.mul == 1 && self.add == 0)
    }

    /// Whether parameters may have it.
    pub fn is_number(self) -> bool {
        self.sym.is_none_or(|sym| sym.number)
    }

    pub fn times(self, k: i64) -> Size {
        Size { mul: self.mul * k, add: self.add * k, ..self }
    }

    pub fn plus(self, other: Size) -> Option<Size> {
        let sym = match (self.sym, other.sym) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.or(b),
        };
        Some(Size { sym, mul: self.mul + other.mul, add: self.add + other.add })
    }

    /// With other sizes for some names.
    pub fn with(self, known: &[(Sym, Size)]) -> Size {
        match self.sym.and_then(|sym| known.iter().find(|(name, _)| *name == sym)) {
            Some((_, size)) => Size { add: self.add + self.mul * size.add, mul: self.mul * size.mul, sym: size.sym },
            None => self,
        }
    }

    pub fn eval(self, bound: &BTreeMap<String, i64>) -> Option<i64> {
        match self.sym {
            None => Some(self.add),
            Some(sym) => Some(self.mul * bound.get(sym.name)? + self.add),
        }
    }

    /// As it is written in a type.
    pub fn text(self) -> String {
        let Some(sym) = self.sym else { return self.add.to_string() };
        let product = if self.mul == 1 { sym.name.to_string() } else { format!("{} * {}", self.mul, sym.name) };
        match self.add {
            0 => product,
            n if n > 0 => format!("{product} + {n}"),
            n => format!("{product} - {}", -n),
        }
    }

    /// For the operators' own rules.
    pub fn dim(self, shapes: &mut Shapes) -> Dim {
        let constant = shapes.dims.constant(self.add);
        let Some(sym) = self.sym else { return constant };
        let symbol = shapes.dims.symbol(sym.name);
        let product = shapes.dims.scale(symbol, self.mul);
        shapes.dims.add(product, constant)
    }

    /// From what an operator's own rule says; none where it is no line in one symbol.
    pub fn from_dim(dim: Dim, shapes: &Shapes, known: &[Sym]) -> Option<Size> {
        let mut size = Size::num(0);
        for (atoms, factor) in shapes.dims.terms(dim) {
            match atoms.as_ref() {
                [] => size.add += factor,
                [atom] => match shapes.dims.atom_of(*atom) {
                    Atom::Symbol(name) => {
                        let sym = *known.iter().find(|sym| *sym.name == **name)?;
                        size = size.plus(Size::of(sym).times(*factor))?;
                    }
                    Atom::Floor(..) => return None,
                },
                _ => return None,
            }
        }
        Some(size)
    }
}

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub struct Ty {
    pub dtype: DType,
    /// Any number of axes stand in front (`...`).
    pub rest: bool,
    pub sizes: Vec<Size>,
}

impl Ty {
    pub fn float(sizes: Vec<Size>) -> Ty {
        Ty { dtype: DType::F32, rest: false, sizes }
    }

    pub fn rank(&self) -> usize {
        self.sizes.len()
    }

    pub fn last(&self) -> Option<Size> {
        self.sizes.last().copied()
    }

    /// With another last axis.
    pub fn ending(&self, size: Size) -> Ty {
        let mut ty = self.clone();
        *ty.sizes.last_mut().expect("it has a last axis") = size;
        ty
    }

    pub fn with(&self, known: &[(Sym, Size)]) -> Ty {
        Ty { sizes: self.sizes.iter().map(|size| size.with(known)).collect(), ..*self }
    }

    /// `f32[batch, 4]`.
    pub fn text(&self) -> String {
        let rest = self.rest.then(|| "...".to_string());
        let axes: Vec<String> = rest.into_iter().chain(self.sizes.iter().map(|size| size.text())).collect();
        format!("{}[{}]", self.dtype, axes.join(", "))
    }

    /// The most elements, symbols taken for 4.
    pub fn elements(&self) -> i64 {
        self.sizes.iter().map(|size| size.mul * 4 + size.add).product()
    }
}
