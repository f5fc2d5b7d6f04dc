//! Places in the scratch arena, from lifetimes.

use super::build::{Built, root_of};
use super::{SCRATCH, address};
use crate::kernels::call::View;

/// Buffers begin at multiples of this.
const ALIGN: usize = 64;
/// Larger buffers are skewed against each other, so that streams do not meet in the same cache sets.
const SKEW: usize = 320;

/// Rounded up to the alignment, with the skew for large buffers.
pub(super) fn aligned(bytes: usize) -> usize {
    let rounded = bytes.div_ceil(ALIGN) * ALIGN;
    if rounded >= 4096 { rounded + SKEW } else { rounded }
}

/// A hole of the arena.
#[derive(Clone, Copy, Debug)]
struct Hole {
    at: usize,
    len: usize,
}

/// Gives every root its address, and every view; returns the arena's size.
pub(super) fn assign(built: &mut Built) -> usize {
    hold(built);
    let steps = built.steps.len() + 1;
    let (mut born, mut dead): (Vec<Vec<usize>>, Vec<Vec<usize>>) = (vec![vec![]; steps], vec![vec![]; steps]);
    for (index, root) in built.roots.iter().enumerate() {
        if let (Some((first, last)), None) = (root.life, root.fixed) {
            born[first].push(index);
            dead[last].push(index);
        }
    }
    let (mut holes, mut top): (Vec<Hole>, usize) = (vec![], 0);
    let mut place = vec![0; built.roots.len()];
    for step in 0..steps {
        for &root in &born[step] {
            place[root] = take(&mut holes, &mut top, aligned(built.roots[root].bytes.max(1)));
        }
        for &root in &dead[step] {
            give(&mut holes, Hole { at: place[root], len: aligned(built.roots[root].bytes.max(1)) });
        }
    }
    let fixed: Vec<Option<usize>> = built.roots.iter().map(|root| root.fixed).collect();
    let settle = |view: &mut View| {
        let (root, offset) = root_of(view);
        view.ptr = address(fixed[root].unwrap_or(SCRATCH + place[root]) + offset);
    };
    for step in &mut built.steps {
        step.call.ins.iter_mut().chain(step.call.outs.iter_mut()).flatten().for_each(settle);
    }
    built.inputs.iter_mut().for_each(|(_, view)| settle(view));
    built.outputs.iter_mut().for_each(|(_, view)| settle(view));
    top
}

/// What gathering steps have read stays until the next gathering begins: its bytes would else be written by rows of the
/// steps in between, and the threads would have to meet once more.
fn hold(built: &mut Built) {
    let mut next = built.steps.len();
    let mut behind = false;
    for index in (0..built.steps.len()).rev() {
        if !built.gathering[index] {
            behind = false;
            continue;
        }
        if !behind {
            // The last step of a run of gathering steps: find where the run begins, for the run before it.
            let begin = (0..index).rev().take_while(|&i| built.gathering[i]).last().unwrap_or(index);
            for held in begin..=index {
                for view in built.steps[held].call.ins.iter().flatten() {
                    let root = &mut built.roots[root_of(view).0];
                    if let (Some((_, last)), None) = (&mut root.life, root.fixed) {
                        *last = (*last).max(next);
                    }
                }
            }
            next = begin;
            behind = true;
        }
    }
}

/// The smallest hole that fits, or new room at the top.
fn take(holes: &mut Vec<Hole>, top: &mut usize, len: usize) -> usize {
    let best = (0..holes.len()).filter(|&i| holes[i].len >= len).min_by_key(|&i| (holes[i].len, holes[i].at));
    match best {
        Some(i) => {
            let at = holes[i].at;
            holes[i] = Hole { at: at + len, len: holes[i].len - len };
            if holes[i].len == 0 {
                holes.remove(i);
            }
            at
        }
        None => {
            // A hole at the very top grows.
            let last = holes.last().copied().filter(|hole| hole.at + hole.len == *top);
            let at = last.map_or(*top, |hole| hole.at);
            if last.is_some() {
                holes.pop();
            }
            *top = at + len;
            at
        }
    }
}

/// Returns room, merged with its neighbours.
fn give(holes: &mut Vec<Hole>, hole: Hole) {
    let at = holes.partition_point(|other| other.at < hole.at);
    holes.insert(at, hole);
    if at + 1 < holes.len() && holes[at].at + holes[at].len == holes[at + 1].at {
        holes[at].len += holes.remove(at + 1).len;
    }
    if at > 0 && holes[at - 1].at + holes[at - 1].len == holes[at].at {
        holes[at - 1].len += holes.remove(at).len;
    }
}
