//! Equalities as rules: a symbol, or a product of symbols, is another size.

use crate::ir::dim::{Atom, Dim, Dims, Term};
use indexmap::IndexMap;

/// How often rules are applied before giving up: each application makes a size smaller, in the order of the rules.
const ROUNDS: usize = 24;
/// Sizes of more terms are left as they are.
const TERMS: usize = 200;

/// The rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Rewriter {
    /// Symbols that are another size.
    symbols: IndexMap<String, Dim>,
    /// Products that are another size: `h * w` is 784.
    products: Vec<(Box<[u32]>, Dim)>,
    /// Sizes that are 0 and of which no rule could be made.
    zeros: Vec<Dim>,
}

impl Rewriter {
    /// How many rules there are.
    pub(super) fn count(&self) -> usize {
        self.symbols.len() + self.products.len() + self.zeros.len()
    }

    /// The same size with everything known put in.
    pub(super) fn apply(&self, dims: &mut Dims, mut dim: Dim) -> Dim {
        if !dims.is_symbolic(dim) || self.symbols.is_empty() && self.products.is_empty() {
            return dim;
        }
        for _ in 0..ROUNDS {
            let next = dims.substitute(dim, &|name| self.symbols.get(name).copied());
            let next = self.products(dims, next);
            if next == dim || dims.terms(next).len() > TERMS {
                return dim;
            }
            dim = next;
        }
        dim
    }

    /// Products replaced, once each.
    fn products(&self, dims: &mut Dims, dim: Dim) -> Dim {
        if self.products.is_empty() {
            return dim;
        }
        let mut sum = Dims::ZERO;
        for (atoms, factor) in dims.terms(dim).to_vec() {
            let rule = self.products.iter().find_map(|(product, value)| Some((without(&atoms, product)?, *value)));
            let (atoms, value) = rule.unwrap_or((atoms.to_vec(), Dims::ONE));
            let mut term = dims.scale(value, factor);
            for id in atoms {
                let atom = match dims.atom_of(id).clone() {
                    Atom::Symbol(_) => dims.term(&[id], 1),
                    Atom::Floor(a, b) => {
                        let (a, b) = (self.products(dims, a), self.products(dims, b));
                        dims.floor_div(a, b)
                    }
                };
                term = dims.mul(term, atom);
            }
            sum = dims.add(sum, term);
        }
        sum
    }

    /// Learns that a size is 0; gives sizes that are not negative because of it.
    pub(super) fn learn(&mut self, dims: &mut Dims, zero: Dim) -> Vec<Dim> {
        let Some((zero, _)) = dims.reduced(zero, 0) else { return vec![] };
        let zero = dims.without_common_symbols(zero);
        if !dims.is_symbolic(zero) {
            return vec![];
        }
        if let Some((name, sign)) = lone_symbol(dims, zero) {
            let symbol = dims.symbol(&name);
            // zero = sign * symbol + rest.
            let term = dims.scale(symbol, sign);
            let rest = dims.sub(zero, term);
            let value = dims.scale(rest, -sign);
            self.symbols.insert(name, value);
            return vec![dims.sub(value, Dims::ONE)];
        }
        let order = |(a, _): &&Term, (b, _): &&Term| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        match dims.terms(zero).iter().max_by(order).cloned() {
            Some((atoms, factor)) if matches!(factor, 1 | -1) && atoms.len() > 1 => {
                let product = dims.term(&atoms, factor);
                let rest = dims.sub(zero, product);
                let value = dims.scale(rest, -factor);
                self.products.push((atoms, value));
            }
            _ => self.zeros.push(zero),
        }
        vec![]
    }

    /// Whether a size is a multiple of one that is 0.
    pub(super) fn is_zero(&self, dims: &mut Dims, dim: Dim) -> bool {
        let leading = |dims: &Dims, dim: Dim| dims.terms(dim).last().map(|(_, factor)| *factor);
        self.zeros.iter().any(|&zero| {
            let zero = self.apply(dims, zero);
            let (Some(a), Some(b)) = (leading(dims, dim), leading(dims, zero)) else { return false };
            dims.scale(dim, b) == dims.scale(zero, a) && a.checked_mul(b).is_some()
        })
    }
}

/// A product without some of its factors.
fn without(atoms: &[u32], factors: &[u32]) -> Option<Vec<u32>> {
    let mut left = atoms.to_vec();
    for factor in factors {
        left.remove(left.iter().position(|atom| atom == factor)?);
    }
    Some(left)
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
        (matches!(factor, 1 | -1) && !elsewhere).then(|| (name.to_string(), *factor))
    })
}
