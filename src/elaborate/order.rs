//! Inequalities: intervals of sizes, and facts added up.
//!
//! To show that a size is at least 0 (or 1), its least value is worked out from those of its symbols; where a term has
//! none, a fact that bounds this term is added, as Fourier and Motzkin do. The floors in it bring their own facts:
//! a - b + 1 <= b * floor(a / b) <= a.

use crate::ir::dim::{Atom, Dim, Dims};
use indexmap::{IndexMap, IndexSet};

/// How many facts are added up.
const DEPTH: usize = 4;
/// How many facts are looked at.
const FACTS: usize = 48;
/// Longer sums are not looked at.
const TERMS: usize = 24;
/// How many sums are looked at.
const STEPS: usize = 400;

/// What is known of the order of sizes.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// Least and greatest values of symbols.
    bounds: IndexMap<String, (i64, Option<i64>)>,
    /// Sizes that are not negative.
    not_negative: IndexSet<Dim>,
}

impl Order {
    /// Learns that a size is not negative.
    pub(super) fn learn(&mut self, dims: &Dims, difference: Dim) {
        if !dims.is_symbolic(difference) || !self.not_negative.insert(difference) {
            return;
        }
        let constant = dims.terms(difference).iter().find(|(atoms, _)| atoms.is_empty()).map_or(0, |(_, c)| *c);
        let symbols: Vec<_> = dims.terms(difference).iter().filter(|(atoms, _)| !atoms.is_empty()).collect();
        let [(atoms, factor)] = symbols[..] else { return };
        let (1, Atom::Symbol(name)) = (atoms.len(), dims.atom_of(atoms[0])) else { return };
        let bound = self.bounds.entry(name.to_string()).or_insert((1, None));
        // factor * symbol + constant >= 0.
        let (factor, constant) = (i128::from(*factor), i128::from(constant));
        if factor > 0 {
            let least = (-constant).div_euclid(factor) + i128::from((-constant).rem_euclid(factor) != 0);
            bound.0 = bound.0.max(i64::try_from(least).unwrap_or(1));
        } else if let Ok(most) = i64::try_from(constant.div_euclid(-factor)) {
            bound.1 = Some(bound.1.map_or(most, |old| old.min(most)));
        }
    }

    /// The least and the greatest value of a size, as far as they are known.
    pub(super) fn range(&self, dims: &Dims, dim: Dim) -> (Option<i64>, Option<i64>) {
        let (mut least, mut most) = (Some(0i64), Some(0i64));
        for (atoms, factor) in dims.terms(dim) {
            let (mut low, mut high) = self.product_range(dims, atoms);
            if *factor < 0 {
                (low, high) = (high, low);
            }
            least = least.zip(low).and_then(|(sum, x)| sum.checked_add(x.checked_mul(*factor)?));
            most = most.zip(high).and_then(|(sum, x)| sum.checked_add(x.checked_mul(*factor)?));
        }
        (least, most)
    }

    fn product_range(&self, dims: &Dims, atoms: &[u32]) -> (Option<i64>, Option<i64>) {
        if let [atom] = atoms {
            return self.atom_range(dims, dims.atom_of(*atom));
        }
        let (mut low, mut high) = (Some(1i64), Some(1i64));
        for atom in atoms {
            let (l, h) = self.atom_range(dims, dims.atom_of(*atom));
            // Atoms of a product that matter are not negative; others are not bounded.
            let l = l.filter(|&l| l >= 0);
            low = low.zip(l).and_then(|(a, b)| a.checked_mul(b));
            high = high.zip(h).filter(|_| l.is_some()).and_then(|(a, b)| a.checked_mul(b));
        }
        (low, high)
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
                    let (least, most) = self.range(dims, *a);
                    let (least, most) =
                        if least.is_some_and(|least| least >= 0) { (Some(0), most) } else { (None, None) };
                    let positive = self.range(dims, *b).0.is_some_and(|least| least >= 1);
                    return if positive { (least, most) } else { (None, None) };
                };
                let (least, most) = self.range(dims, *a);
                (least.map(|x| x.div_euclid(k)), most.map(|x| x.div_euclid(k)))
            }
        }
    }

    /// Whether a size is at least `least`, which is 0 or 1.
    pub(super) fn at_least(&self, dims: &mut Dims, dim: Dim, least: i64) -> bool {
        if let Some(value) = dims.as_const(dim) {
            return value >= least;
        }
        // A common factor is at least 1, and changes no sign.
        let dim = dims.without_common_symbols(dim);
        if self.range(dims, dim).0.is_some_and(|low| low >= least) {
            return true;
        }
        let mut facts = self.near(dims, dim);
        self.floor_facts(dims, dim, &mut facts);
        for fact in facts.clone() {
            self.floor_facts(dims, fact, &mut facts);
        }
        let mut steps = STEPS;
        !facts.is_empty() && self.search(dims, dim, least, &facts, DEPTH, &mut steps)
    }

    /// The facts that speak of a size, then those that speak of what these speak of.
    fn near(&self, dims: &Dims, dim: Dim) -> Vec<Dim> {
        let mut known = dims.symbols(dim);
        let mut found = vec![];
        for _ in 0..DEPTH {
            let before = found.len();
            for &fact in &self.not_negative {
                let symbols = dims.symbols(fact);
                if found.len() < FACTS && symbols.iter().any(|name| known.contains(name)) && !found.contains(&fact) {
                    known.extend(symbols);
                    found.push(fact);
                }
            }
            if found.len() == before {
                break;
            }
        }
        found
    }

    /// Whether `dim` is at least `least` when facts are taken from it.
    fn search(&self, dims: &mut Dims, dim: Dim, least: i64, facts: &[Dim], depth: usize, steps: &mut usize) -> bool {
        if self.range(dims, dim).0.is_some_and(|low| low >= least) {
            return true;
        }
        if depth == 0 {
            return false;
        }
        let terms = dims.terms(dim).to_vec();
        // What pulls it down first, then what does not lift it enough.
        let (down, up): (Vec<_>, Vec<_>) =
            terms.iter().filter(|(atoms, _)| !atoms.is_empty()).partition(|(_, factor)| *factor < 0);
        for (atoms, factor) in down.into_iter().chain(up) {
            for &fact in facts {
                let Some((times, more)) = self.cancelling(dims, fact, atoms, *factor) else { continue };
                if *steps == 0 {
                    return false;
                }
                *steps -= 1;
                // times * dim - more * fact >= least shows times * dim >= least, and so dim >= least.
                let (scaled, fact) = (dims.scale(dim, times), dims.mul(fact, more));
                let rest = dims.sub(scaled, fact);
                if dims.overflowed() || dims.terms(rest).len() > TERMS {
                    continue;
                }
                if self.search(dims, rest, least, facts, depth - 1, steps) {
                    return true;
                }
            }
        }
        false
    }

    /// By what to multiply a size and a fact, so that their difference has no such term.
    fn cancelling(&self, dims: &mut Dims, fact: Dim, atoms: &[u32], factor: i64) -> Option<(i64, Dim)> {
        let terms = dims.terms(fact).to_vec();
        terms.iter().filter(|(_, own)| (*own < 0) == (factor < 0)).find_map(|(own_atoms, own)| {
            let mut left = atoms.to_vec();
            for atom in own_atoms {
                left.remove(left.iter().position(|x| x == atom)?);
            }
            // What a fact is multiplied with must not be negative.
            let (low, _) = self.product_range(dims, &left);
            low.filter(|&low| low >= 0 && !own_atoms.is_empty())?;
            let common = gcd(factor, *own);
            let more = factor.checked_div(common)?.checked_abs()?;
            Some((own.checked_div(common)?.checked_abs()?, dims.term(&left, more)))
        })
    }

    /// What is known of the floors in a size.
    fn floor_facts(&self, dims: &mut Dims, dim: Dim, facts: &mut Vec<Dim>) {
        let atoms: Vec<u32> = dims.terms(dim).iter().flat_map(|(atoms, _)| atoms.iter().copied()).collect();
        for id in atoms {
            let Atom::Floor(a, b) = *dims.atom_of(id) else { continue };
            if self.range(dims, b).0.is_none_or(|least| least < 1) {
                continue;
            }
            let floor = dims.term(&[id], 1);
            let whole = dims.mul(b, floor);
            let rest = dims.sub(a, whole);
            let less = dims.sub(b, rest);
            let below = dims.sub(less, Dims::ONE);
            for fact in [rest, below] {
                if !facts.contains(&fact) {
                    facts.push(fact);
                }
            }
            self.floor_facts(dims, a, facts);
        }
    }
}

/// The greatest common divisor; of 0 and 0: 1.
pub(super) fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a.max(1)).unwrap_or(1)
}
