//! The prover against brute force: what is proved holds for all small sizes that the facts allow, what is refuted for
//! none of them. Undecided is always allowed here; what must be decided stands in `tests/proofs.rs`.

use super::prove::Facts;
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::Condition;
use proptest::prelude::*;

const NAMES: [&str; 3] = ["h", "w", "d"];
/// The largest size of each that is tried.
const SIZES: [i64; 3] = [40, 24, 7];

/// An expression over three sizes.
#[derive(Clone, Debug)]
enum Expr {
    Size(usize),
    Number(i64),
    Add(Box<Expr>, Box<Expr>),
    Sub(Box<Expr>, Box<Expr>),
    Mul(Box<Expr>, Box<Expr>),
    /// By a number that is above 0.
    Floor(Box<Expr>, i64),
    /// By a size.
    Over(Box<Expr>, usize),
    /// What a window leaves: floor((h + room) / stride) + 1.
    Window(Box<Expr>, i64, i64),
}

/// A claim or fact.
#[derive(Clone, Debug)]
enum Claim {
    Equal(Expr, Expr),
    AtLeast(Expr, Expr),
    Multiple(Expr, i64),
    MultipleOf(Expr, usize),
}

impl Expr {
    fn dim(&self, dims: &mut Dims) -> Dim {
        match self {
            Expr::Size(at) => dims.symbol(NAMES[*at]),
            Expr::Number(n) => dims.constant(*n),
            Expr::Add(a, b) => {
                let (a, b) = (a.dim(dims), b.dim(dims));
                dims.add(a, b)
            }
            Expr::Sub(a, b) => {
                let (a, b) = (a.dim(dims), b.dim(dims));
                dims.sub(a, b)
            }
            Expr::Mul(a, b) => {
                let (a, b) = (a.dim(dims), b.dim(dims));
                dims.mul(a, b)
            }
            Expr::Floor(a, k) => {
                let (a, k) = (a.dim(dims), dims.constant(*k));
                dims.floor_div(a, k)
            }
            Expr::Over(a, at) => {
                let (a, by) = (a.dim(dims), dims.symbol(NAMES[*at]));
                dims.floor_div(a, by)
            }
            Expr::Window(a, room, stride) => {
                let (a, room, stride) = (a.dim(dims), dims.constant(*room), dims.constant(*stride));
                let room = dims.add(a, room);
                let steps = dims.floor_div(room, stride);
                dims.add(steps, Dims::ONE)
            }
        }
    }

    /// Its value, by the definition of each.
    fn value(&self, sizes: &[i64; 3]) -> i64 {
        match self {
            Expr::Size(at) => sizes[*at],
            Expr::Number(n) => *n,
            Expr::Add(a, b) => a.value(sizes) + b.value(sizes),
            Expr::Sub(a, b) => a.value(sizes) - b.value(sizes),
            Expr::Mul(a, b) => a.value(sizes) * b.value(sizes),
            Expr::Floor(a, k) => a.value(sizes).div_euclid(*k),
            Expr::Over(a, at) => a.value(sizes).div_euclid(sizes[*at]),
            Expr::Window(a, room, stride) => (a.value(sizes) + room).div_euclid(*stride) + 1,
        }
    }
}

impl Claim {
    fn condition(&self, dims: &mut Dims) -> Condition {
        match self {
            Claim::Equal(a, b) => Condition::Equal(a.dim(dims), b.dim(dims)),
            Claim::AtLeast(a, b) => Condition::AtLeast(a.dim(dims), b.dim(dims)),
            Claim::Multiple(a, k) => Condition::Divides { what: a.dim(dims), by: dims.constant(*k) },
            Claim::MultipleOf(a, at) => Condition::Divides { what: a.dim(dims), by: dims.symbol(NAMES[*at]) },
        }
    }

    fn holds(&self, sizes: &[i64; 3]) -> bool {
        match self {
            Claim::Equal(a, b) => a.value(sizes) == b.value(sizes),
            Claim::AtLeast(a, b) => a.value(sizes) >= b.value(sizes),
            Claim::Multiple(a, k) => a.value(sizes).rem_euclid(*k) == 0,
            Claim::MultipleOf(a, at) => a.value(sizes).rem_euclid(sizes[*at]) == 0,
        }
    }
}

fn size() -> impl Strategy<Value = Expr> {
    (0..3usize).prop_map(Expr::Size)
}

fn boxed(expr: Expr) -> Box<Expr> {
    Box::new(expr)
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![4 => size(), 1 => (-3..9i64).prop_map(Expr::Number)];
    leaf.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Expr::Add(boxed(a), boxed(b))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Expr::Sub(boxed(a), boxed(b))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Expr::Mul(boxed(a), boxed(b))),
            (inner.clone(), 1..7i64).prop_map(|(a, k)| Expr::Floor(boxed(a), k)),
            (inner.clone(), 0..3usize).prop_map(|(a, at)| Expr::Over(boxed(a), at)),
            (inner, -3..4i64, 1..4i64).prop_map(|(a, room, stride)| Expr::Window(boxed(a), room, stride)),
        ]
    })
}

/// A fact as users write them.
fn fact() -> impl Strategy<Value = Claim> {
    let number = |n: i64| Expr::Number(n);
    let product = (size(), size()).prop_map(|(a, b)| Expr::Mul(boxed(a), boxed(b)));
    let sum = (size(), size(), -2..3i64).prop_map(move |(a, b, c)| {
        let b = Expr::Mul(boxed(b), boxed(Expr::Number(c)));
        Expr::Add(boxed(a), boxed(b))
    });
    let simple = prop_oneof![4 => size(), 1 => product, 1 => sum];
    prop_oneof![
        (simple.clone(), 2..7i64, 0..3i64)
            .prop_map(move |(a, k, r)| Claim::Multiple(Expr::Sub(boxed(a), boxed(number(r % k))), k)),
        (simple.clone(), 0..3usize).prop_map(|(a, at)| Claim::MultipleOf(a, at)),
        (simple.clone(), prop_oneof![size(), (1..40i64).prop_map(Expr::Number)]).prop_map(|(a, b)| Claim::Equal(a, b)),
        (simple.clone(), prop_oneof![size(), (1..20i64).prop_map(Expr::Number)])
            .prop_map(|(a, b)| Claim::AtLeast(a, b)),
        (prop_oneof![size(), (1..30i64).prop_map(Expr::Number)], simple).prop_map(|(a, b)| Claim::AtLeast(a, b)),
        (expr(), expr()).prop_map(|(a, b)| Claim::Equal(a, b)),
    ]
}

fn claim() -> impl Strategy<Value = Claim> {
    // The same in another form, so that there is something to prove.
    let turned = (expr(), 1..5i64, 0..4i64).prop_map(|(a, k, r)| {
        let times = |a: Expr, k: i64| Expr::Mul(boxed(a), boxed(Expr::Number(k)));
        let more = Expr::Add(boxed(times(a.clone(), k)), boxed(Expr::Number(r)));
        Claim::Equal(Expr::Floor(boxed(more), k), Expr::Add(boxed(a), boxed(Expr::Number(r / k))))
    });
    let whole = (expr(), 2..5i64).prop_map(|(a, k)| {
        let floor = Expr::Floor(boxed(a.clone()), k);
        Claim::Equal(Expr::Mul(boxed(floor), boxed(Expr::Number(k))), a)
    });
    prop_oneof![
        turned,
        whole,
        fact(),
        (expr(), expr()).prop_map(|(a, b)| Claim::Equal(a, b)),
        (expr(), expr()).prop_map(|(a, b)| Claim::AtLeast(a, b)),
        (expr(), 2..7i64).prop_map(|(a, k)| Claim::Multiple(a, k)),
        (expr(), 0..3usize).prop_map(|(a, at)| Claim::MultipleOf(a, at)),
    ]
}

/// All sizes that are tried and that some facts allow.
fn allowed(facts: &[Claim]) -> Vec<[i64; 3]> {
    let mut found = vec![];
    for h in 1..=SIZES[0] {
        for w in 1..=SIZES[1] {
            for d in 1..=SIZES[2] {
                let sizes = [h, w, d];
                if facts.iter().all(|fact| fact.holds(&sizes)) {
                    found.push(sizes);
                }
            }
        }
    }
    found
}

fn agree(verdict: Option<bool>, claim: &Claim, sizes: &[[i64; 3]]) -> Result<(), TestCaseError> {
    let Some(verdict) = verdict else { return Ok(()) };
    let other = sizes.iter().find(|sizes| claim.holds(sizes) != verdict);
    prop_assert!(other.is_none(), "told {verdict}, and with {NAMES:?} = {other:?} it is not so: {claim:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_proved_holds_and_what_is_refuted_never_does(
        given in proptest::collection::vec(fact(), 0..4),
        claims in proptest::collection::vec(claim(), 4),
    ) {
        let mut dims = Dims::default();
        let mut facts = Facts::default();
        let mut known: Vec<Claim> = vec![];
        for fact in given {
            let condition = fact.condition(&mut dims);
            let verdict = facts.decide(&mut dims, condition);
            agree(verdict, &fact, &allowed(&known))?;
            if verdict.is_none() {
                facts.learn(&mut dims, condition);
                known.push(fact);
            }
        }
        let sizes = allowed(&known);
        for claim in claims {
            let condition = claim.condition(&mut dims);
            agree(facts.decide(&mut dims, condition), &claim, &sizes)?;
        }
    }

    #[test]
    fn normal_forms_have_the_value_of_what_they_stand_for(expr in expr()) {
        let mut dims = Dims::default();
        let dim = expr.dim(&mut dims);
        for sizes in allowed(&[]).into_iter().step_by(7) {
            let bind = |name: &str| NAMES.iter().position(|known| *known == name).map(|at| sizes[at]);
            prop_assert_eq!(dims.eval(dim, &bind), Some(expr.value(&sizes)), "{} with {:?}", dims.show(dim), sizes);
        }
    }
}
