//! The fact that would decide what is undecided, as a user would write it.

use super::prove::{Facts, unit_factor};
use crate::ir::dim::{Atom, Dim, Dims};
use crate::ir::op::Condition;

/// How many facts are tried.
const TRIED: usize = 60;

impl Facts {
    /// The fact that would prove an undecided condition.
    pub(super) fn missing(&self, dims: &mut Dims, condition: Condition) -> Option<String> {
        let fact = self.deciding(dims, condition);
        fact.filter(|_| !dims.overflowed())
    }

    fn deciding(&self, dims: &mut Dims, condition: Condition) -> Option<String> {
        match condition {
            Condition::Divides { what, by } => Some(multiple(dims, what, by)),
            Condition::AtLeast(a, b) => Some(format!("{} >= {}", dims.show(a), dims.show(b))),
            Condition::Equal(a, b) => self.missing_remainder(dims, condition).or_else(|| self.missing_size(dims, a, b)),
        }
    }

    /// What remainders of the sizes under floors would make both sides equal: `h % 2 == 0`, or of several sizes.
    fn missing_remainder(&self, dims: &mut Dims, condition: Condition) -> Option<String> {
        let Condition::Equal(a, b) = condition else { return None };
        let (mut symbols, mut divisors) = (vec![], vec![]);
        for dim in [a, b] {
            floors(dims, dim, &mut symbols, &mut divisors);
        }
        divisors.sort_unstable();
        let mut tried = 0;
        for &by in &divisors {
            for remainder in 0..by.min(4) {
                let facts: Vec<(Dim, i64)> = symbols.iter().map(|&symbol| (symbol, remainder)).collect();
                let alone = facts.iter().map(std::slice::from_ref);
                for some in alone.chain([facts.as_slice()].into_iter().filter(|_| facts.len() > 1)) {
                    tried += 1;
                    if tried > TRIED {
                        return None;
                    }
                    if self.proves_with(dims, some, by, condition) {
                        let shown =
                            some.iter().map(|(symbol, rest)| format!("{} % {by} == {rest}", grouped(dims, *symbol)));
                        return Some(shown.collect::<Vec<_>>().join(", "));
                    }
                }
            }
        }
        None
    }

    fn proves_with(&self, dims: &mut Dims, facts: &[(Dim, i64)], by: i64, condition: Condition) -> bool {
        let mut more = self.clone();
        for &(symbol, remainder) in facts {
            let (remainder, by) = (dims.constant(remainder), dims.constant(by));
            let fact = Condition::Divides { what: dims.sub(symbol, remainder), by };
            if more.decide(dims, fact) == Some(false) {
                return false;
            }
            more.learn(dims, fact);
        }
        more.decide(dims, condition) == Some(true)
    }

    /// A product of sizes that must be a number: `h * w == 784`.
    fn missing_size(&self, dims: &mut Dims, a: Dim, b: Dim) -> Option<String> {
        let difference = dims.sub(a, b);
        let difference = dims.without_common_symbols(difference);
        let (difference, _) = dims.reduced(difference, 0)?;
        let numbers = dims.terms(difference).iter().filter(|(atoms, _)| atoms.is_empty()).count();
        let products = dims.terms(difference).iter().filter(|(atoms, _)| atoms.len() > 1).count();
        if (numbers, products, dims.terms(difference).len()) != (1, 1, 2) {
            return None;
        }
        let (atoms, factor) = dims.terms(difference).last()?.clone();
        let product = dims.term(&atoms, factor.checked_abs()?);
        let value = dims.term(&[], dims.terms(difference).first()?.1.checked_abs()?);
        let fact = Condition::Equal(product, value);
        let mut more = self.clone();
        if more.decide(dims, fact).is_some() {
            return None;
        }
        more.learn(dims, fact);
        let shown = format!("{} == {}", dims.show(product), dims.show(value));
        (more.decide(dims, Condition::Equal(a, b)) == Some(true)).then_some(shown)
    }
}

/// That one size is a multiple of another, as short as it can be said: `h % 4 == 1`.
fn multiple(dims: &mut Dims, what: Dim, by: Dim) -> String {
    let (what, by) = dims.cancelled(what, by);
    let reduced = dims.as_const(by).filter(|&k| k > 1).and_then(|k| dims.reduced(what, k));
    let (what, by) = match reduced {
        Some((what, k)) if dims.is_symbolic(what) && k > 1 => (unit_factor(dims, what, k), dims.constant(k)),
        _ => (what, by),
    };
    let number = dims.terms(what).iter().find(|(atoms, _)| atoms.is_empty()).map(|(_, number)| *number);
    match (number, dims.as_const(by)) {
        (Some(number), Some(k)) if dims.terms(what).len() == 2 => {
            let number = dims.constant(number);
            let symbol = dims.sub(what, number);
            let rest = dims.as_const(number).unwrap_or(0);
            format!("{} % {k} == {}", grouped(dims, symbol), (-rest).rem_euclid(k))
        }
        _ => format!("{} % {} == 0", grouped(dims, what), grouped(dims, by)),
    }
}

/// The symbols under floors, or their products, and the numbers that they are divided by, floors within floors multiplied.
fn floors(dims: &mut Dims, dim: Dim, symbols: &mut Vec<Dim>, divisors: &mut Vec<i64>) {
    let atoms: Vec<u32> = dims.terms(dim).iter().flat_map(|(atoms, _)| atoms.iter().copied()).collect();
    for id in atoms {
        let Atom::Floor(a, b) = *dims.atom_of(id) else { continue };
        for (atoms, _) in dims.terms(a).to_vec().into_iter().filter(|(atoms, _)| !atoms.is_empty()) {
            let plain = atoms.iter().all(|atom| matches!(dims.atom_of(*atom), Atom::Symbol(_)));
            let product = dims.term(&atoms, 1);
            symbols.extend(Some(product).filter(|product| plain && !symbols.contains(product)));
        }
        if let Some(k) = dims.as_const(b).filter(|&k| (2..1 << 20).contains(&k) && !divisors.contains(&k)) {
            divisors.push(k);
        }
        floors(dims, a, symbols, divisors);
    }
}

fn grouped(dims: &Dims, dim: Dim) -> String {
    let text = dims.show(dim);
    if dims.terms(dim).len() > 1 || text.contains(' ') { format!("({text})") } else { text }
}
