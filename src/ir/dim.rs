//! Symbolic sizes: polynomials with integer coefficients over symbols and floor quotients, in one normal form.
//!
//! A [`Dim`] is an interned id: two dims are the same size for all bindings if their ids are equal. (The converse needs
//! facts, and is the prover's business.)

use indexmap::IndexSet;

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

/// The longest size, in symbols: nobody writes such a one, and products of longer ones would grow without bound.
const LONGEST: u32 = 1000;

/// How the symbol of a size that is too long begins.
const TOO_LONG: &str = "…";

/// The interner of sizes.
#[derive(Clone, Debug)]
pub struct Dims {
    atoms: IndexSet<Atom>,
    polys: IndexSet<Poly>,
    /// How long each atom and each polynomial is, written out; `u32::MAX`: too long.
    atom_lengths: Vec<u32>,
    lengths: Vec<u32>,
    /// How many sizes were too long: each is a symbol of its own, equal to nothing.
    too_long: u32,
}

impl Default for Dims {
    fn default() -> Dims {
        let mut dims =
            Dims { atoms: IndexSet::new(), polys: IndexSet::new(), atom_lengths: vec![], lengths: vec![], too_long: 0 };
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

    fn atom(&mut self, atom: Atom) -> Dim {
        let length = match &atom {
            Atom::Symbol(name) if name.starts_with(TOO_LONG) => u32::MAX,
            Atom::Symbol(_) => 1,
            Atom::Floor(a, b) => self.length(*a).saturating_add(self.length(*b)),
        };
        let (id, new) = self.atoms.insert_full(atom);
        if new {
            self.atom_lengths.push(length);
        }
        self.intern(vec![(Box::from([id as u32]), 1)])
    }

    fn intern(&mut self, terms: Vec<Term>) -> Dim {
        let of_term = |(atoms, _): &Term| {
            let atoms = atoms.iter().map(|&id| self.atom_lengths[id as usize]);
            atoms.fold(1, u32::saturating_add)
        };
        let length = terms.iter().map(of_term).fold(0, u32::saturating_add);
        let (id, new) = self.polys.insert_full(terms.into_boxed_slice());
        if new {
            self.lengths.push(length);
        }
        Dim(id as u32)
    }

    fn length(&self, dim: Dim) -> u32 {
        self.lengths[dim.0 as usize]
    }

    /// Whether a size is too long to calculate with: a limit refuses it.
    pub fn is_too_long(&self, dim: Dim) -> bool {
        self.length(dim) > LONGEST
    }

    /// In place of a size that is too long: a symbol that is equal to nothing else.
    fn instead(&mut self) -> Dim {
        self.too_long += 1;
        self.symbol(&format!("{TOO_LONG}{}", self.too_long))
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

    /// `a + b`; saturates at the ends of i64, which every limit refuses.
    pub fn add(&mut self, a: Dim, b: Dim) -> Dim {
        if self.is_too_long(a) || self.is_too_long(b) {
            return self.instead();
        }
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
        let terms = self.terms(a).iter().map(|(atoms, c)| (atoms.clone(), c.saturating_mul(k))).collect();
        self.collect(terms)
    }

    /// `a * b`.
    pub fn mul(&mut self, a: Dim, b: Dim) -> Dim {
        if self.is_too_long(a) || self.is_too_long(b) || self.length(a).saturating_mul(self.length(b)) > 4 * LONGEST {
            return self.instead();
        }
        let mut terms = vec![];
        for (left, c) in self.terms(a) {
            for (right, d) in self.terms(b) {
                let mut atoms = [left.as_ref(), right.as_ref()].concat();
                atoms.sort_unstable();
                terms.push((atoms.into_boxed_slice(), c.saturating_mul(*d)));
            }
        }
        self.collect(terms)
    }

    /// The product of several.
    pub fn product(&mut self, dims: &[Dim]) -> Dim {
        dims.iter().fold(Dims::ONE, |product, &dim| self.mul(product, dim))
    }

    /// `floor(a / b)`: multiples of `b` are taken out of `a` first, so that `floor((2 * h - 1) / 2)` is `h - 1`.
    pub fn floor_div(&mut self, a: Dim, b: Dim) -> Dim {
        if let Some(exact) = self.exact_div(a, b) {
            return exact;
        }
        if self.length(a).saturating_add(self.length(b)) > LONGEST {
            return self.instead();
        }
        if let (Some(x), Some(y)) = (self.as_const(a), self.as_const(b)) {
            return if y == 0 { Dims::ZERO } else { self.constant(x.div_euclid(y)) };
        }
        if let Some(k) = self.as_const(b).filter(|&k| k > 0) {
            let (mut whole, mut rest) = (vec![], vec![]);
            for (atoms, c) in self.terms(a).to_vec() {
                whole.push((atoms.clone(), c.div_euclid(k)));
                rest.push((atoms, c.rem_euclid(k)));
            }
            let (whole, rest) = (self.collect(whole), self.collect(rest));
            let rest = match self.as_const(rest) {
                Some(r) => self.constant(r.div_euclid(k)),
                None => self.atom(Atom::Floor(rest, b)),
            };
            return self.add(whole, rest);
        }
        self.atom(Atom::Floor(a, b))
    }

    /// `a / b` where it divides term by term.
    pub fn exact_div(&mut self, a: Dim, b: Dim) -> Option<Dim> {
        let [(divisor, k)] = self.terms(b) else {
            return (a == b).then_some(Dims::ONE);
        };
        let (divisor, k) = (divisor.clone(), *k);
        let mut terms = vec![];
        for (atoms, c) in self.terms(a) {
            let mut left = atoms.to_vec();
            for atom in &divisor {
                left.remove(left.iter().position(|x| x == atom)?);
            }
            if c % k != 0 {
                return None;
            }
            terms.push((left.into_boxed_slice(), c / k));
        }
        Some(self.collect(terms))
    }

    fn collect(&mut self, mut terms: Vec<Term>) -> Dim {
        terms.sort();
        let mut merged: Vec<Term> = Vec::with_capacity(terms.len());
        for (atoms, c) in terms {
            match merged.last_mut() {
                Some((last, sum)) if *last == atoms => *sum = sum.saturating_add(c),
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

    fn show_atom(&self, id: u32) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_without_bound_ends() {
        let mut dims = Dims::default();
        let (h, w) = (dims.symbol("h"), dims.symbol("w"));
        let mut size = dims.add(h, w);
        for _ in 0..100 {
            size = dims.mul(size, size);
        }
        assert!(dims.is_too_long(size) && !dims.is_too_long(h));
        let (again, less) = (dims.mul(size, h), dims.sub(size, size));
        assert!(dims.is_too_long(again) && dims.is_too_long(less), "it is equal to nothing, not even to itself");
        let mut nested = dims.symbol("n");
        for _ in 0..100 {
            let square = dims.mul(nested, nested);
            let sum = dims.add(square, nested);
            nested = dims.floor_div(sum, h);
        }
        assert!(dims.show(nested).len() < 20_000, "it can be written out");
    }

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
