//! Measuring along a stream: what is known of each value, from what was known of those it was made of.

use super::flow::{Flow, Site, Step};
use crate::ir::structured::ValueId;

/// Repeats within each other whose growth is measured; deeper ones count as one copy.
const NESTED: usize = 4;

/// What is known of the values so far, before a site.
pub struct Known<'k, 'm, S> {
    flow: &'k Flow<'m>,
    site: Site,
    all: &'k [S],
}

impl<S: Clone + Default> Known<'_, '_, S> {
    /// What is known of an operand; nothing, where it is absent.
    pub fn operand(&self, index: usize) -> S {
        self.flow.operand(self.site, index).map_or_else(S::default, |value| self.all[value.0 as usize].clone())
    }

    /// What is known of all operands that are there.
    pub fn operands(&self) -> impl Iterator<Item = &S> {
        self.flow.op(self.site).operands.iter().flatten().map(|value| &self.all[value.0 as usize])
    }
}

/// Follows the streams of a graph. `step` says what is known behind a site; `grow` what holds after `more` further copies
/// of a repeat, from what one copy and the next one made. The result is indexed by value; within a repeat it is that of
/// the second copy.
///
/// A repeat is walked twice whatever its count, so that the walk is linear in the text and a thousand copies count as a
/// thousand.
pub fn follow<S: Clone + Default + PartialEq>(
    flow: &Flow<'_>,
    step: impl FnMut(Site, &Known<'_, '_, S>) -> S,
    grow: impl Fn(&S, &S, u64) -> S,
) -> Vec<S> {
    let known = vec![S::default(); flow.model.values.len()];
    let mut walk = Walk { flow, known, step, grow };
    walk.steps(&flow.steps, 0);
    walk.known
}

struct Walk<'k, 'm, S, F, G> {
    flow: &'k Flow<'m>,
    known: Vec<S>,
    step: F,
    grow: G,
}

impl<'m, S, F, G> Walk<'_, 'm, S, F, G>
where
    S: Clone + Default + PartialEq,
    F: FnMut(Site, &Known<'_, '_, S>) -> S,
    G: Fn(&S, &S, u64) -> S,
{
    fn steps(&mut self, steps: &[Step<'m>], depth: usize) {
        for step in steps {
            match step {
                Step::Op(site) => {
                    let made = (self.step)(*site, &Known { flow: self.flow, site: *site, all: &self.known });
                    self.set(&self.flow.op(*site).outs, vec![made; self.flow.op(*site).outs.len()]);
                }
                Step::Repeat(repeat, runs) => {
                    let mut carried = self.get(&repeat.ins);
                    for (run, inner) in repeat.runs.iter().zip(runs) {
                        let one = self.copy(run, inner, carried.clone(), depth);
                        carried = match run.count {
                            0 | 1 => one,
                            _ if one == carried || depth >= NESTED => one,
                            count => {
                                let two = self.copy(run, inner, one.clone(), depth);
                                let grown = |(one, two): (&S, &S)| (self.grow)(one, two, count - 2);
                                if count == 2 { two } else { one.iter().zip(&two).map(grown).collect() }
                            }
                        };
                    }
                    self.set(&repeat.outs, carried);
                }
            }
        }
    }

    /// What a copy makes of what flows in.
    fn copy(&mut self, run: &crate::ir::structured::Run, inner: &[Step<'m>], carried: Vec<S>, depth: usize) -> Vec<S> {
        self.set(&run.params, carried);
        self.steps(inner, depth + 1);
        self.get(&run.results)
    }

    fn get(&self, values: &[ValueId]) -> Vec<S> {
        values.iter().map(|value| self.known[value.0 as usize].clone()).collect()
    }

    fn set(&mut self, values: &[ValueId], known: Vec<S>) {
        values.iter().zip(known).for_each(|(value, known)| self.known[value.0 as usize] = known);
    }
}
