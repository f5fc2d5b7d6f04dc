//! Quotients of sizes: exact and floor division in normal form, and what divides all of a size.

use super::dim::{Atom, Dim, Dims, Term};

impl Dims {
    /// `floor(a / b)`: multiples of `b` are taken out of `a` first, so that `floor((2 * h - 1) / 2)` is `h - 1`; what
    /// divides both is left out, and floors of floors are joined.
    pub fn floor_div(&mut self, a: Dim, b: Dim) -> Dim {
        if let Some(exact) = self.exact_div(a, b) {
            return exact;
        }
        match (self.as_const(a), self.as_const(b)) {
            (_, Some(0)) => Dims::ZERO,
            (Some(x), Some(y)) => self.constant(x.checked_div_euclid(y).unwrap_or(i64::MAX)),
            (_, Some(k)) if k > 0 => self.floor_by(a, k),
            _ => self.floor_by_size(a, b),
        }
    }

    /// `floor(a / k)` for a number that is above 0.
    fn floor_by(&mut self, a: Dim, k: i64) -> Dim {
        let (mut whole, mut rest) = (vec![], vec![]);
        for (atoms, c) in self.terms(a).to_vec() {
            whole.push((atoms.clone(), c.div_euclid(k)));
            rest.push((atoms, c.rem_euclid(k)));
        }
        let (whole, rest) = (self.collect(whole), self.collect(rest));
        let rest = self.floor_of_rest(rest, k);
        self.add(whole, rest)
    }

    /// The same where all factors lie in `0..k`.
    fn floor_of_rest(&mut self, rest: Dim, k: i64) -> Dim {
        if let Some(r) = self.as_const(rest) {
            return self.constant(r.div_euclid(k));
        }
        let factors = self.terms(rest).iter().filter(|(atoms, _)| !atoms.is_empty());
        let common = factors.fold(k, |common, (_, c)| gcd(common, *c));
        if common > 1 {
            // floor((g * r + c) / (g * k)) is floor((r + floor(c / g)) / k).
            let terms = self.terms(rest).iter().map(|(atoms, c)| (atoms.clone(), c.div_euclid(common))).collect();
            let less = self.collect(terms);
            return self.floor_by(less, k / common);
        }
        // floor((floor(a / b) + r) / k) is floor((a + b * r) / (b * k)).
        let inner = self.terms(rest).iter().find_map(|(atoms, c)| match (atoms.as_ref(), c) {
            ([atom], 1) => match *self.atom_of(*atom) {
                Atom::Floor(a, b) => Some((*atom, a, self.as_const(b)?)),
                Atom::Symbol(_) => None,
            },
            _ => None,
        });
        match inner.and_then(|(atom, a, b)| Some((atom, a, b, b.checked_mul(k)?))) {
            Some((atom, a, b, by)) => {
                let floor = self.term(&[atom], 1);
                let others = self.sub(rest, floor);
                let others = self.scale(others, b);
                let joined = self.add(a, others);
                self.floor_by(joined, by)
            }
            None => {
                let by = self.constant(k);
                self.atom(Atom::Floor(rest, by))
            }
        }
    }

    /// `floor(a / b)` for a size that is at least 1.
    fn floor_by_size(&mut self, a: Dim, b: Dim) -> Dim {
        let (mut whole, mut rest) = (Dims::ZERO, vec![]);
        for (atoms, c) in self.terms(a).to_vec() {
            let term = self.term(&atoms, c);
            match self.exact_div(term, b) {
                Some(quotient) => whole = self.add(whole, quotient),
                None => rest.push((atoms, c)),
            }
        }
        let rest = self.collect(rest);
        // A symbol that divides all of both is left out.
        let shared = self.common_symbols(&[rest, b]);
        let quotient = match shared.is_empty() || self.terms(rest).is_empty() {
            true if self.terms(rest).is_empty() => Dims::ZERO,
            true => self.atom(Atom::Floor(rest, b)),
            false => {
                let (rest, b) = (self.without(rest, &shared), self.without(b, &shared));
                self.floor_div(rest, b)
            }
        };
        self.add(whole, quotient)
    }

    /// The symbols that divide every term of all these sizes, with repetition.
    fn common_symbols(&self, dims: &[Dim]) -> Vec<u32> {
        let mut terms = dims.iter().flat_map(|&dim| self.terms(dim)).map(|(atoms, _)| atoms);
        let first = terms.next().map(|atoms| atoms.to_vec()).unwrap_or_default();
        let symbols: Vec<u32> = first.into_iter().filter(|id| matches!(self.atom_of(*id), Atom::Symbol(_))).collect();
        terms.fold(symbols, |common, atoms| {
            let mut left = atoms.to_vec();
            let shared = |id: &u32| left.iter().position(|other| other == id).map(|at| left.remove(at)).is_some();
            common.into_iter().filter(shared).collect()
        })
    }

    /// A size without factors that divide all of its terms.
    fn without(&mut self, dim: Dim, symbols: &[u32]) -> Dim {
        let terms = self.terms(dim).iter().map(|(atoms, c)| {
            let mut left = atoms.to_vec();
            for symbol in symbols {
                if let Some(at) = left.iter().position(|id| id == symbol) {
                    left.remove(at);
                }
            }
            (left.into_boxed_slice(), *c)
        });
        let terms = terms.collect();
        self.collect(terms)
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
            if c.checked_rem(k)? != 0 {
                return None;
            }
            terms.push((left.into_boxed_slice(), c / k));
        }
        Some(self.collect(terms))
    }

    /// Two sizes without what divides both, symbols and numbers: their quotient is the same.
    pub fn cancelled(&mut self, a: Dim, b: Dim) -> (Dim, Dim) {
        let shared = self.common_symbols(&[a, b]);
        let (a, b) = if shared.is_empty() { (a, b) } else { (self.without(a, &shared), self.without(b, &shared)) };
        let common = self.terms(a).iter().chain(self.terms(b)).fold(0, |common, (_, c)| gcd(common, *c));
        if common <= 1 || !self.is_symbolic(a) {
            return (a, b);
        }
        let mut divided = |dim: Dim| {
            let terms = self.terms(dim).iter().map(|(atoms, c)| (atoms.clone(), c / common)).collect();
            self.collect(terms)
        };
        (divided(a), divided(b))
    }

    /// A size divided by the symbols that all of its terms share: it is 0, or negative, exactly where the other is.
    pub fn without_common_symbols(&mut self, dim: Dim) -> Dim {
        match self.common_symbols(&[dim]).as_slice() {
            [] => dim,
            shared => self.without(dim, shared),
        }
    }

    /// A size modulo k (0: of the size itself) with what divides all of it left out, k too: whether `4 * h + 2` is a
    /// multiple of 6 is whether `2 * h + 1` is one of 3. `None` where it never is one.
    pub fn reduced(&mut self, dim: Dim, k: i64) -> Option<(Dim, i64)> {
        let left = |c: i64| if k == 0 { c } else { c.rem_euclid(k) };
        let terms: Vec<Term> = self.terms(dim).iter().map(|(atoms, c)| (atoms.clone(), left(*c))).collect();
        let factors = terms.iter().filter(|(atoms, _)| !atoms.is_empty());
        let common = factors.fold(k, |common, (_, c)| if *c == 0 { common } else { gcd(common, *c) });
        if common <= 1 {
            return Some((self.collect(terms), k));
        }
        let number = terms.iter().find(|(atoms, _)| atoms.is_empty()).map_or(0, |(_, c)| *c);
        if number % common != 0 {
            return None;
        }
        let terms = terms.into_iter().map(|(atoms, c)| (atoms, c / common)).collect();
        Some((self.collect(terms), k / common))
    }
}

/// The greatest common divisor; at least 1 where one of the two is not 0.
fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a).unwrap_or(1)
}
