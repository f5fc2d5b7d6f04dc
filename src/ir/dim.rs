//! Symbolic sizes: polynomials with integer coefficients over symbols and floor quotients, in one normal form.
//!
//! A [`Dim`] is an interned id: two dims are the same size for all bindings if their ids are equal. (The converse needs
//! facts, and is the prover's business.)

use indexmap::IndexSet;

/// The most terms of a product.
const TERMS: usize = 10_000;

/// An interned size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim(u32);

/// What a polynomial is built of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// A declared dim.
    Symbol(Box<str>),
    /// `floor(a / b)` that does not reduce further.
    Floor(Dim, Dim),
}

/// A product of atoms (sorted, with repetition) and its coefficient.
pub type Term = (Box<[u32]>, i64);

/// A sum of terms, sorted by their atoms; no term has coefficient 0.
type Poly = Box<[Term]>;

/// The interner of sizes.
#[derive(Clone, Debug)]
pub struct Dims {
    atoms: IndexSet<Atom>,
    polys: IndexSet<Poly>,
    /// A factor has passed the end of the integers.
    overflowed: bool,
}

impl Default for Dims {
    fn default() -> Dims {
        let mut dims = Dims { atoms: IndexSet::new(), polys: IndexSet::new(), overflowed: false };
        for value in [0, 1] {
            dims.constant(value);
        }
        dims
    }
}

impl Dims {
    /// The size 0, in every table.
    pub const ZERO: Dim = Dim(0);
    /// The size 1, in every table.
    pub const ONE: Dim = Dim(1);

    /// A number.
    pub fn constant(&mut self, value: i64) -> Dim {
        let terms = if value == 0 { vec![] } else { vec![(Box::from([]), value)] };
        self.intern(terms)
    }

    /// A declared dim.
    pub fn symbol(&mut self, name: &str) -> Dim {
        self.atom(Atom::Symbol(name.into()))
    }

    pub(super) fn atom(&mut self, atom: Atom) -> Dim {
        let (id, _) = self.atoms.insert_full(atom);
        self.intern(vec![(Box::from([id as u32]), 1)])
    }

    fn intern(&mut self, terms: Vec<Term>) -> Dim {
        Dim(self.polys.insert_full(terms.into_boxed_slice()).0 as u32)
    }

    /// The terms of the normal form.
    pub fn terms(&self, dim: Dim) -> &[Term] {
        &self.polys[dim.0 as usize]
    }

    /// The atom behind an id that stands in a term.
    pub fn atom_of(&self, id: u32) -> &Atom {
        &self.atoms[id as usize]
    }

    /// The number, where it is one.
    pub fn as_const(&self, dim: Dim) -> Option<i64> {
        match self.terms(dim) {
            [] => Some(0),
            [(atoms, value)] if atoms.is_empty() => Some(*value),
            _ => None,
        }
    }

    /// `a + b`; where it passes the ends of i64, [`Dims::overflowed`] says so.
    pub fn add(&mut self, a: Dim, b: Dim) -> Dim {
        let terms = self.terms(a).iter().chain(self.terms(b)).cloned().collect();
        self.collect(terms)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: Dim, b: Dim) -> Dim {
        let minus = self.scale(b, -1);
        self.add(a, minus)
    }

    /// `k * a`.
    pub fn scale(&mut self, a: Dim, k: i64) -> Dim {
        let mut over = false;
        let terms = self.terms(a).iter().map(|(atoms, c)| (atoms.clone(), times(*c, k, &mut over))).collect();
        self.overflowed |= over;
        self.collect(terms)
    }

    /// `a * b`.
    pub fn mul(&mut self, a: Dim, b: Dim) -> Dim {
        if !self.allow_product(a, b) {
            // Nobody means such a size: it is refused as one that is too large.
            self.overflowed = true;
            return self.constant(i64::MAX);
        }
        let (mut terms, mut over) = (vec![], false);
        for (left, c) in self.terms(a) {
            for (right, d) in self.terms(b) {
                let mut atoms = [left.as_ref(), right.as_ref()].concat();
                atoms.sort_unstable();
                terms.push((atoms.into_boxed_slice(), times(*c, *d, &mut over)));
            }
        }
        self.overflowed |= over;
        self.collect(terms)
    }

    /// Whether a product has a number of terms that someone may mean.
    pub fn allow_product(&self, a: Dim, b: Dim) -> bool {
        self.terms(a).len().saturating_mul(self.terms(b).len()) <= TERMS
    }

    /// The product of several.
    pub fn product(&mut self, dims: &[Dim]) -> Dim {
        dims.iter().fold(Dims::ONE, |product, &dim| self.mul(product, dim))
    }

    /// One product.
    pub fn term(&mut self, atoms: &[u32], factor: i64) -> Dim {
        self.collect(vec![(atoms.into(), factor)])
    }

    /// Whether a factor has passed the end of the integers since this was asked last: what came of it is not to be
    /// trusted.
    pub fn overflowed(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }

    pub(super) fn collect(&mut self, mut terms: Vec<Term>) -> Dim {
        terms.sort();
        let mut merged: Vec<Term> = Vec::with_capacity(terms.len());
        for (atoms, c) in terms {
            match merged.last_mut() {
                Some((last, sum)) if *last == atoms => {
                    self.overflowed |= sum.checked_add(c).is_none();
                    *sum = sum.saturating_add(c);
                }
                _ => merged.push((atoms, c)),
            }
        }
        merged.retain(|(_, c)| *c != 0);
        self.intern(merged)
    }

    /// Whether a symbol occurs in it.
    pub fn is_symbolic(&self, dim: Dim) -> bool {
        self.as_const(dim).is_none()
    }

    /// The declared dims in it, each once.
    pub fn symbols(&self, dim: Dim) -> IndexSet<String> {
        let mut found = IndexSet::new();
        self.collect_symbols(dim, &mut found);
        found
    }

    fn collect_symbols(&self, dim: Dim, found: &mut IndexSet<String>) {
        for id in self.terms(dim).iter().flat_map(|(atoms, _)| atoms.iter()) {
            match self.atom_of(*id) {
                Atom::Symbol(name) => {
                    found.insert(name.to_string());
                }
                Atom::Floor(a, b) => {
                    self.collect_symbols(*a, found);
                    self.collect_symbols(*b, found);
                }
            }
        }
    }

    /// Its value under a binding; none where a symbol is not bound, or on overflow.
    pub fn eval(&self, dim: Dim, bind: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
        let mut sum = 0i64;
        for (atoms, c) in self.terms(dim) {
            let mut product = *c;
            for id in atoms {
                let factor = match self.atom_of(*id) {
                    Atom::Symbol(name) => bind(name)?,
                    Atom::Floor(a, b) => {
                        let divisor = self.eval(*b, bind)?;
                        self.eval(*a, bind)?.checked_div_euclid(divisor)?
                    }
                };
                product = product.checked_mul(factor)?;
            }
            sum = sum.checked_add(product)?;
        }
        Some(sum)
    }

    /// The same size with symbols replaced.
    pub fn substitute(&mut self, dim: Dim, replace: &dyn Fn(&str) -> Option<Dim>) -> Dim {
        let mut sum = Dims::ZERO;
        for (atoms, c) in self.terms(dim).to_vec() {
            let mut product = self.constant(c);
            for id in atoms {
                let factor = match self.atom_of(id).clone() {
                    Atom::Symbol(name) => match replace(&name) {
                        Some(dim) => dim,
                        None => self.symbol(&name),
                    },
                    Atom::Floor(a, b) => {
                        let (a, b) = (self.substitute(a, replace), self.substitute(b, replace));
                        self.floor_div(a, b)
                    }
                };
                product = self.mul(product, factor);
            }
            sum = self.add(sum, product);
        }
        sum
    }

    /// As a user writes it: `4 * d`, `floor((h - 1) / 2) + 1`.
    pub fn show(&self, dim: Dim) -> String {
        let terms = self.terms(dim);
        if terms.is_empty() {
            return "0".into();
        }
        let mut text = String::new();
        // Constants last: `h + 1`, not `1 + h`.
        let ordered = terms.iter().filter(|(a, _)| !a.is_empty()).chain(terms.iter().filter(|(a, _)| a.is_empty()));
        for (i, (atoms, c)) in ordered.enumerate() {
            let sign = if *c < 0 { "-" } else { "+" };
            match (i, *c < 0) {
                (0, false) => {}
                (0, true) => text.push('-'),
                _ => text.push_str(&format!(" {sign} ")),
            }
            let mut factors: Vec<String> = atoms.iter().map(|id| self.show_atom(*id)).collect();
            if c.unsigned_abs() != 1 || factors.is_empty() {
                factors.insert(0, c.unsigned_abs().to_string());
            }
            text.push_str(&factors.join(" * "));
        }
        text
    }

    /// An atom in words.
    pub fn show_atom(&self, id: u32) -> String {
        match self.atom_of(id) {
            Atom::Symbol(name) => name.to_string(),
            Atom::Floor(a, b) => {
                let wrap = |dim: Dim| match self.terms(dim) {
                    [(atoms, c)] if atoms.len() + usize::from(*c != 1) <= 1 => self.show(dim),
                    _ => format!("({})", self.show(dim)),
                };
                format!("floor({} / {})", wrap(*a), wrap(*b))
            }
        }
    }
}

/// A product that ends with the integers, and says so.
fn times(a: i64, b: i64, over: &mut bool) -> i64 {
    *over |= a.checked_mul(b).is_none();
    a.saturating_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms_are_equal_where_the_sizes_are() {
        let mut dims = Dims::default();
        let h = dims.symbol("h");
        let (two, three) = (dims.constant(2), dims.constant(3));
        let twice = dims.mul(two, h);
        let sum = dims.add(h, h);
        assert_eq!(twice, sum);
        let padded = dims.sub(twice, Dims::ONE);
        let half = dims.floor_div(padded, two);
        assert_eq!(dims.show(half), "h - 1");
        let third = dims.floor_div(padded, three);
        assert_eq!(dims.show(third), "floor((2 * h + 2) / 3) - 1");
        assert_eq!(dims.eval(third, &|_| Some(5)), Some(3));
        let back = dims.exact_div(twice, two);
        assert_eq!(back, Some(h));
    }
}
