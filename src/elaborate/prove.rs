//! The prover: what follows from `where` and from sizes being at least 1.
//!
//! Its reach is a closed list, which `grammar/README.md` ("Proofs") tells the user: normal forms of polynomials with
//! exact and floor division, equalities put in (`rewrite`), divisibility (`h % 2 == 0` writes h as twice a quotient),
//! remainders, and intervals with facts added up (`order`). Proved means: for all sizes that the facts allow; refuted:
//! for none of them. `missing` names the fact that would decide what is open.

use super::order::Order;
use super::rewrite::Rewriter;
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::Condition;
use indexmap::IndexSet;

/// How many facts about the same sizes are looked at again.
const NEAR: usize = 16;

/// What is known of the sizes.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// As they were learned, with their symbols.
    learned: Vec<(Condition, IndexSet<String>)>,
    /// Equalities, as rules.
    rules: Rewriter,
    /// Inequalities.
    order: Order,
    /// Multiples, with their symbols.
    multiples: Vec<(Dim, Dim, IndexSet<String>)>,
}

impl Facts {
    /// Learns a condition. What speaks of the same sizes is looked at anew: an equality may change what it says.
    pub(super) fn learn(&mut self, dims: &mut Dims, condition: Condition) {
        let rules = self.rules.count();
        let symbols = symbols_of(dims, condition);
        let before = self.clone();
        self.learned.push((condition, symbols.clone()));
        self.read(dims, condition);
        if self.rules.count() != rules {
            self.read_again(dims, symbols);
        }
        if dims.overflowed() {
            *self = before;
        }
    }

    /// What was learned of these sizes, and of those beside them, once more.
    fn read_again(&mut self, dims: &mut Dims, symbols: IndexSet<String>) {
        let mut near = symbols;
        let mut again = vec![];
        for (earlier, symbols) in self.learned.iter().rev() {
            if symbols.iter().any(|symbol| near.contains(symbol)) {
                near.extend(symbols.iter().cloned());
                again.push(*earlier);
            }
        }
        again.truncate(NEAR);
        // What bounds a size is said again in the words of what is known now.
        for condition in again.into_iter().rev() {
            self.read(dims, condition);
        }
    }

    fn read(&mut self, dims: &mut Dims, condition: Condition) {
        match condition {
            Condition::Equal(a, b) => {
                let difference = dims.sub(a, b);
                self.learn_zero(dims, difference);
            }
            Condition::Divides { what, by } => self.learn_multiple(dims, what, by),
            Condition::AtLeast(a, b) => {
                let difference = self.difference(dims, a, b);
                self.order.learn(dims, difference);
            }
        }
    }

    /// Learns that a size is 0. The symbol that a rule takes away is still at least 1.
    fn learn_zero(&mut self, dims: &mut Dims, zero: Dim) {
        let zero = self.rules.apply(dims, zero);
        for least in self.rules.learn(dims, zero) {
            self.order.learn(dims, least);
        }
    }

    fn learn_multiple(&mut self, dims: &mut Dims, what: Dim, by: Dim) {
        let (what, by) = (self.rules.apply(dims, what), self.rules.apply(dims, by));
        let (what, by) = dims.cancelled(what, by);
        if !self.multiples.iter().any(|known| (known.0, known.1) == (what, by)) {
            self.multiples.push((what, by, symbols_of(dims, Condition::Divides { what, by })));
        }
        let (what, by) = match dims.as_const(by) {
            Some(0 | 1 | -1 | i64::MIN) => return,
            Some(k) => match dims.reduced(what, k.abs()) {
                // A rest that is a number is no fact about sizes.
                Some((what, k)) if dims.is_symbolic(what) && k > 1 => (unit_factor(dims, what, k), dims.constant(k)),
                _ => return,
            },
            None if dims.exact_div(what, by).is_some() => return,
            None => (what, by),
        };
        // what = by * quotient, which is a size again if both are.
        let sizes = [what, by].into_iter().all(|dim| self.order.range(dims, dim).0.is_some_and(|least| least >= 1));
        if sizes {
            let quotient = dims.symbol(&format!("{} / {}", dims.show(what), dims.show(by)));
            let product = dims.mul(by, quotient);
            let zero = dims.sub(what, product);
            self.learn_zero(dims, zero);
        }
    }

    /// Proved, refuted, or undecided.
    pub(super) fn decide(&self, dims: &mut Dims, condition: Condition) -> Option<bool> {
        let verdict = self.verdict(dims, condition);
        // A number that did not fit proves nothing.
        if dims.overflowed() { None } else { verdict }
    }

    fn verdict(&self, dims: &mut Dims, condition: Condition) -> Option<bool> {
        match condition {
            Condition::Equal(a, b) => {
                let difference = self.difference(dims, a, b);
                self.is_zero(dims, difference)
            }
            Condition::Divides { what, by } => self.divides(dims, what, by),
            Condition::AtLeast(a, b) => {
                let difference = self.difference(dims, a, b);
                if self.order.at_least(dims, difference, 0) {
                    return Some(true);
                }
                let less = dims.scale(difference, -1);
                self.order.at_least(dims, less, 1).then_some(false)
            }
        }
    }

    fn difference(&self, dims: &mut Dims, a: Dim, b: Dim) -> Dim {
        let difference = dims.sub(a, b);
        self.rules.apply(dims, difference)
    }

    fn is_zero(&self, dims: &mut Dims, difference: Dim) -> Option<bool> {
        if let Some(value) = dims.as_const(difference) {
            return Some(value == 0);
        }
        if self.rules.is_zero(dims, difference) {
            return Some(true);
        }
        // 2 * h + 1 is never 0: what all factors divide, the number must be divided by, too.
        if dims.reduced(difference, 0).is_none() {
            return Some(false);
        }
        let less = dims.scale(difference, -1);
        if self.order.at_least(dims, difference, 1) || self.order.at_least(dims, less, 1) {
            return Some(false);
        }
        (self.order.at_least(dims, difference, 0) && self.order.at_least(dims, less, 0)).then_some(true)
    }

    fn divides(&self, dims: &mut Dims, what: Dim, by: Dim) -> Option<bool> {
        let (what, by) = (self.rules.apply(dims, what), self.rules.apply(dims, by));
        let (what, by) = dims.cancelled(what, by);
        if let (Some(x), Some(y)) = (dims.as_const(what), dims.as_const(by)) {
            return Some(y != 0 && x.checked_rem(y).unwrap_or(0) == 0);
        }
        if dims.exact_div(what, by).is_some() {
            return Some(true);
        }
        let symbols = symbols_of(dims, Condition::Divides { what, by });
        let known = |dims: &mut Dims, what| {
            self.multiples.iter().any(|(multiple, divisor, own)| {
                if self.rules.count() == 0 && !own.iter().any(|symbol| symbols.contains(symbol)) {
                    return false;
                }
                let (multiple, divisor) = (*multiple, *divisor);
                let multiple = self.rules.apply(dims, multiple);
                let (divisor, difference) = (self.rules.apply(dims, divisor), dims.sub(what, multiple));
                divisor == by && dims.exact_div(difference, by).is_some()
            })
        };
        if known(dims, what) {
            return Some(true);
        }
        let k = dims.as_const(by).filter(|&k| k > 1)?;
        match dims.reduced(what, k) {
            None => Some(false),
            Some((rest, k)) => (k == 1 || dims.as_const(rest) == Some(0)).then_some(true),
        }
    }

    /// The least value of a size, where it is known.
    pub(super) fn least(&self, dims: &mut Dims, dim: Dim) -> Option<i64> {
        let dim = self.rules.apply(dims, dim);
        let least = self.order.range(dims, dim).0.or_else(|| {
            let more = dims.sub(dim, Dims::ONE);
            self.order.at_least(dims, more, 0).then_some(1)
        });
        least.filter(|_| !dims.overflowed())
    }
}

/// The symbols that a condition speaks of.
fn symbols_of(dims: &Dims, condition: Condition) -> IndexSet<String> {
    let (a, b) = match condition {
        Condition::Equal(a, b) | Condition::AtLeast(a, b) | Condition::Divides { what: a, by: b } => (a, b),
    };
    let mut symbols = dims.symbols(a);
    symbols.extend(dims.symbols(b));
    symbols
}

/// What is a multiple of k, times a number that makes one factor 1: where `2 * q` is a multiple of 3, q is one.
pub(super) fn unit_factor(dims: &mut Dims, what: Dim, k: i64) -> Dim {
    let mut factors: Vec<_> = dims.terms(what).iter().filter(|(atoms, _)| !atoms.is_empty()).cloned().collect();
    factors.sort_by_key(|(atoms, _)| atoms.len());
    let inverse = factors.iter().find_map(|(_, c)| inverse(*c, k));
    match inverse {
        Some(1) | None => what,
        Some(by) => {
            let scaled = dims.scale(what, by);
            let terms = dims.terms(scaled).to_vec();
            terms.iter().fold(Dims::ZERO, |sum, (atoms, c)| {
                let term = dims.term(atoms, c.rem_euclid(k));
                dims.add(sum, term)
            })
        }
    }
}

/// The number by which c becomes 1 modulo k, if there is one.
fn inverse(c: i64, k: i64) -> Option<i64> {
    let (mut a, mut b) = (i128::from(c.rem_euclid(k)), i128::from(k));
    let (mut x, mut y) = (1i128, 0i128);
    while b != 0 {
        let quotient = a / b;
        (a, b) = (b, a - quotient * b);
        (x, y) = (y, x - quotient * y);
    }
    // Larger ones would overflow where they are used.
    (a == 1 && k < 1 << 31).then(|| i64::try_from(x.rem_euclid(i128::from(k))).ok()).flatten()
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
    fn what_does_not_fit_proves_nothing() {
        let mut dims = Dims::default();
        let (h, w, much) = (dims.symbol("h"), dims.symbol("w"), dims.constant(1 << 40));
        let (long, product) = (dims.mul(w, much), dims.mul(h, much));
        let mut facts = Facts::default();
        facts.learn(&mut dims, Condition::Equal(h, long));
        let claim = Condition::Equal(product, long);
        assert_eq!(facts.decide(&mut dims, claim), None, "2^80 * w against 2^40 * w");
        let twice = dims.mul(product, much);
        assert!(dims.overflowed() && dims.terms(twice).len() == 1);
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
