//! The prover: what follows from `where` and from sizes being at least 1.
//!
//! Its reach is a closed list: normal forms of polynomials with exact and floor division, substitution of equalities,
//! divisibility (`h % 2 == 0` writes h as twice `h / 2`), and intervals.

use crate::ir::dim::{Atom, Dim, Dims};
use crate::ir::op::Condition;
use indexmap::IndexMap;

/// What is known of the sizes.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Symbols that are another size.
    equal: IndexMap<String, Dim>,
    /// Least and greatest values of symbols.
    bounds: IndexMap<String, (i64, Option<i64>)>,
    /// Sizes that are not negative.
    not_negative: Vec<Dim>,
    /// Multiples that could not be written as a substitution.
    multiples: Vec<(Dim, Dim)>,
}

impl Facts {
    /// Learns a condition.
    pub(super) fn learn(&mut self, dims: &mut Dims, condition: Condition) {
        match condition {
            Condition::Equal(a, b) => self.learn_equal(dims, a, b),
            Condition::Divides { what, by } => self.learn_multiple(dims, what, by),
            Condition::AtLeast(a, b) => self.learn_at_least(dims, a, b),
        }
    }

    fn learn_equal(&mut self, dims: &mut Dims, a: Dim, b: Dim) {
        let (a, b) = (self.simplify(dims, a), self.simplify(dims, b));
        let difference = dims.sub(a, b);
        let Some((name, sign)) = lone_symbol(dims, difference) else { return };
        let symbol = dims.symbol(&name);
        // difference = sign * symbol + rest = 0.
        let term = dims.scale(symbol, sign);
        let rest = dims.sub(difference, term);
        let value = dims.scale(rest, -sign);
        self.equal.insert(name, value);
    }

    fn learn_multiple(&mut self, dims: &mut Dims, what: Dim, by: Dim) {
        let (what, by) = (self.simplify(dims, what), self.simplify(dims, by));
        if dims.exact_div(what, by).is_some() {
            return;
        }
        let by = match (dims.terms(what), dims.as_const(by)) {
            ([(_, factor)], Some(k)) if k != 0 => {
                let k = k / gcd(*factor, k);
                dims.constant(k)
            }
            _ => by,
        };
        let factor = match dims.terms(what) {
            [(atoms, factor)] if atoms.len() == 1 => Some((atoms[0], *factor)),
            _ => None,
        };
        match factor.map(|(atom, factor)| (dims.atom_of(atom).clone(), factor)) {
            Some((Atom::Symbol(name), factor)) if factor == 1 || dims.as_const(by).is_some() => {
                let quotient = dims.symbol(&format!("{name} / {}", dims.show(by)));
                let product = dims.mul(by, quotient);
                self.equal.insert(name.into(), product);
            }
            _ => self.multiples.push((what, by)),
        }
    }

    fn learn_at_least(&mut self, dims: &mut Dims, a: Dim, b: Dim) {
        let (a, b) = (self.simplify(dims, a), self.simplify(dims, b));
        let difference = dims.sub(a, b);
        self.not_negative.push(difference);
        let constant = dims.terms(difference).iter().find(|(atoms, _)| atoms.is_empty()).map_or(0, |(_, c)| *c);
        let symbols: Vec<_> = dims.terms(difference).iter().filter(|(atoms, _)| !atoms.is_empty()).collect();
        let [(atoms, factor)] = symbols[..] else { return };
        let (1, Atom::Symbol(name)) = (atoms.len(), dims.atom_of(atoms[0])) else { return };
        let bound = self.bounds.entry(name.to_string()).or_insert((1, None));
        // factor * symbol + constant >= 0.
        if *factor > 0 {
            bound.0 = bound.0.max((-constant).div_euclid(*factor) + i64::from((-constant).rem_euclid(*factor) != 0));
        } else {
            let most = constant.div_euclid(-*factor);
            bound.1 = Some(bound.1.map_or(most, |old| old.min(most)));
        }
    }

    /// The same size with everything known put in.
    pub(super) fn simplify(&self, dims: &mut Dims, mut dim: Dim) -> Dim {
        if self.equal.is_empty() || !dims.is_symbolic(dim) {
            return dim;
        }
        // Each substitution removes a symbol, so that the chain is no longer than the list.
        for _ in 0..=self.equal.len() {
            let next = dims.substitute(dim, &|name| self.equal.get(name).copied());
            if next == dim {
                return dim;
            }
            dim = next;
        }
        dim
    }

    /// Proved, refuted, or undecided.
    pub(super) fn decide(&self, dims: &mut Dims, condition: Condition) -> Option<bool> {
        match condition {
            Condition::Equal(a, b) => {
                let difference = self.difference(dims, a, b);
                match self.range(dims, difference) {
                    (Some(0), Some(0)) => Some(true),
                    (Some(least), _) if least > 0 => Some(false),
                    (_, Some(most)) if most < 0 => Some(false),
                    _ => None,
                }
            }
            Condition::Divides { what, by } => self.divides(dims, what, by),
            Condition::AtLeast(a, b) => {
                let difference = self.difference(dims, a, b);
                if self.is_not_negative(dims, difference) {
                    return Some(true);
                }
                self.range(dims, difference).1.filter(|&most| most < 0).map(|_| false)
            }
        }
    }

    fn difference(&self, dims: &mut Dims, a: Dim, b: Dim) -> Dim {
        let difference = dims.sub(a, b);
        self.simplify(dims, difference)
    }

    fn is_not_negative(&self, dims: &mut Dims, difference: Dim) -> bool {
        let known = |facts: &Facts, dims: &mut Dims, dim: Dim| facts.range(dims, dim).0.is_some_and(|least| least >= 0);
        known(self, dims, difference)
            || self.not_negative.iter().any(|&fact| {
                let fact = self.simplify(dims, fact);
                let rest = dims.sub(difference, fact);
                known(self, dims, rest)
            })
    }

    fn divides(&self, dims: &mut Dims, what: Dim, by: Dim) -> Option<bool> {
        let (what, by) = (self.simplify(dims, what), self.simplify(dims, by));
        if let (Some(x), Some(y)) = (dims.as_const(what), dims.as_const(by)) {
            return Some(y != 0 && x % y == 0);
        }
        if dims.exact_div(what, by).is_some() || self.multiples.contains(&(what, by)) {
            return Some(true);
        }
        let k = dims.as_const(by).filter(|&k| k > 1)?;
        let remainders: Vec<(bool, i64)> =
            dims.terms(what).iter().map(|(atoms, c)| (atoms.is_empty(), c.rem_euclid(k))).collect();
        let symbols_vanish = remainders.iter().all(|(constant, r)| *constant || *r == 0);
        symbols_vanish.then_some(remainders.iter().all(|(_, r)| *r == 0))
    }

    /// The least and the greatest value of a size, as far as they are known.
    fn range(&self, dims: &Dims, dim: Dim) -> (Option<i64>, Option<i64>) {
        let (mut least, mut most) = (Some(0i64), Some(0i64));
        for (atoms, factor) in dims.terms(dim) {
            let (mut low, mut high) = (Some(1i64), Some(1i64));
            for atom in atoms {
                let (l, h) = self.atom_range(dims, dims.atom_of(*atom));
                // All atoms that matter are not negative; others are not bounded.
                let l = l.filter(|&l| l >= 0);
                low = low.zip(l).and_then(|(a, b)| a.checked_mul(b));
                high = high.zip(h).filter(|_| l.is_some()).and_then(|(a, b)| a.checked_mul(b));
            }
            if *factor < 0 {
                (low, high) = (high, low);
            }
            least = least.zip(low).and_then(|(sum, x)| sum.checked_add(x.checked_mul(*factor)?));
            most = most.zip(high).and_then(|(sum, x)| sum.checked_add(x.checked_mul(*factor)?));
        }
        (least, most)
    }

    fn atom_range(&self, dims: &Dims, atom: &Atom) -> (Option<i64>, Option<i64>) {
        match atom {
            Atom::Symbol(name) => match self.bounds.get(name.as_ref()) {
                Some((least, most)) => (Some(*least), *most),
                None => (Some(1), None),
            },
            Atom::Floor(a, b) => {
                let Some(k) = dims.as_const(*b).filter(|&k| k > 0) else {
                    // A size that is not negative, over one that is at least 1.
                    let least = self.range(dims, *a).0.filter(|&least| least >= 0);
                    return (least.map(|_| 0), None);
                };
                let (least, most) = self.range(dims, *a);
                (least.map(|x| x.div_euclid(k)), most.map(|x| x.div_euclid(k)))
            }
        }
    }

    /// The fact that would prove an undecided condition, as a user would write it.
    pub(super) fn missing(&self, dims: &mut Dims, condition: Condition) -> Option<String> {
        match condition {
            Condition::Divides { what, by } => Some(format!("{} % {} == 0", grouped(dims, what), grouped(dims, by))),
            Condition::AtLeast(a, b) => Some(format!("{} >= {}", dims.show(a), dims.show(b))),
            Condition::Equal(a, b) => {
                let difference = self.difference(dims, a, b);
                let mut candidates = vec![];
                floors(dims, difference, &mut candidates);
                candidates.into_iter().find_map(|(symbol, by)| {
                    let symbol = dims.symbol(&symbol);
                    let fact = Condition::Divides { what: symbol, by };
                    let mut facts = self.clone();
                    facts.learn(dims, fact);
                    let decided = facts.decide(dims, condition) == Some(true);
                    decided.then(|| format!("{} % {} == 0", dims.show(symbol), dims.show(by)))
                })
            }
        }
    }
}

/// The symbol and divisor of every floor in a size.
fn floors(dims: &Dims, dim: Dim, found: &mut Vec<(String, Dim)>) {
    for id in dims.terms(dim).iter().flat_map(|(atoms, _)| atoms.iter()) {
        if let Atom::Floor(a, b) = dims.atom_of(*id) {
            found.extend(dims.symbols(*a).into_iter().map(|symbol| (symbol, *b)));
            floors(dims, *a, found);
        }
    }
}

fn grouped(dims: &Dims, dim: Dim) -> String {
    let text = dims.show(dim);
    if dims.terms(dim).len() > 1 || text.contains(' ') { format!("({text})") } else { text }
}

/// A symbol that occurs once, alone in its term, with factor ±1.
fn lone_symbol(dims: &Dims, dim: Dim) -> Option<(String, i64)> {
    dims.terms(dim).iter().find_map(|(atoms, factor)| {
        let [atom] = atoms.as_ref() else { return None };
        let Atom::Symbol(name) = dims.atom_of(*atom) else { return None };
        let elsewhere = dims.terms(dim).iter().filter(|(other, _)| other != atoms).any(|(other, _)| {
            other.iter().any(|id| match dims.atom_of(*id) {
                Atom::Symbol(symbol) => symbol == name,
                Atom::Floor(a, b) => [a, b].iter().any(|d| dims.symbols(**d).contains(name.as_ref())),
            })
        });
        (factor.abs() == 1 && !elsewhere).then(|| (name.to_string(), *factor))
    })
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a.max(1)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strided_window_halves_an_even_size() {
        let mut dims = Dims::default();
        let (h, two) = (dims.symbol("h"), dims.constant(2));
        let less = dims.sub(h, Dims::ONE);
        let windows = dims.floor_div(less, two);
        let windows = dims.add(windows, Dims::ONE);
        let half = dims.floor_div(h, two);
        let equal = Condition::Equal(windows, half);
        let mut facts = Facts::default();
        assert_eq!(facts.decide(&mut dims, equal), None);
        assert_eq!(facts.missing(&mut dims, equal).as_deref(), Some("h % 2 == 0"));
        facts.learn(&mut dims, Condition::Divides { what: h, by: two });
        assert_eq!(facts.decide(&mut dims, equal), Some(true));
    }

    #[test]
    fn sizes_are_at_least_one_and_facts_chain() {
        let mut dims = Dims::default();
        let (d, k) = (dims.symbol("d"), dims.symbol("k"));
        let twice = dims.scale(d, 2);
        let facts = Facts::default();
        assert_eq!(facts.decide(&mut dims, Condition::Equal(twice, d)), Some(false));
        let mut facts = Facts::default();
        let (four, six) = (dims.constant(4), dims.constant(6));
        facts.learn(&mut dims, Condition::Divides { what: d, by: four });
        facts.learn(&mut dims, Condition::Divides { what: d, by: six });
        let twelve = dims.constant(12);
        assert_eq!(facts.decide(&mut dims, Condition::Divides { what: d, by: twelve }), Some(true));
        facts.learn(&mut dims, Condition::AtLeast(k, d));
        assert_eq!(facts.decide(&mut dims, Condition::AtLeast(k, twelve)), Some(true));
    }
}
