//! Where all threads must meet.
//!
//! Every thread walks the same steps and computes its share of each. A meeting is needed only where a step touches memory
//! that another thread may have written since the last one (or writes what another may still read): also where the arena
//! has given the same bytes to a buffer with other rows. Two accesses get along if both are *shares* of the same bytes
//! cut at the same places.

use super::Step;
use crate::ir::graph::Graph;
use crate::kernels::call::{Access, View};
use std::ops::Range;

/// The units of thread `t` of `n`. With a group (the batch size) every tensor whose rows are a multiple of it is cut at
/// the same samples, so that rows stay with their thread.
pub fn cut(units: usize, group: usize, t: usize, n: usize) -> Range<usize> {
    if group > 0 && units.is_multiple_of(group) {
        let each = units / group;
        each * (group * t / n)..each * (group * (t + 1) / n)
    } else {
        units * t / n..units * (t + 1) / n
    }
}

/// Who touches which part of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Thread t the t-th share, cut at samples.
    Samples,
    /// Thread t the t-th share of so many units.
    Units(usize),
    /// The thread that computes all that is not cut.
    One,
    /// Any thread anything.
    Any,
}

/// An access to bytes `start..end`.
#[derive(Clone, Copy, Debug)]
struct Touch {
    start: usize,
    end: usize,
    part: Part,
    write: bool,
}

impl Touch {
    fn conflicts(&self, other: &Touch) -> bool {
        let overlap = self.start < other.end && other.start < self.end;
        let together = match self.part == other.part {
            true if self.part == Part::One => true,
            true => self.part != Part::Any && (self.start, self.end) == (other.start, other.end),
            false => false,
        };
        overlap && (self.write || other.write) && !together
    }
}

/// The most accesses that are remembered between two meetings.
const MOST: usize = 384;

/// Marks the steps before which all threads meet.
pub(super) fn insert(graph: &Graph, steps: &mut [Step], group: usize, single: bool) {
    if single {
        return;
    }
    let mut since: Vec<Touch> = vec![];
    let mut stopped = false;
    for step in steps.iter_mut() {
        let touches = touches(step, group);
        let clash = touches.iter().any(|touch| since.iter().any(|other| touch.conflicts(other)));
        step.barrier = stopped || clash || since.len() > MOST;
        if step.barrier {
            since.clear();
        }
        since.extend(touches);
        stopped = graph.node(step.node).op.facts.stops;
    }
}

fn touches(step: &Step, group: usize) -> Vec<Touch> {
    let kernel = step.kernel;
    let read = |index: usize| kernel.reads.get(index).or(kernel.reads.last()).map_or(Access::All, |read| read.1);
    let write = |index: usize| kernel.writes.get(index).or(kernel.writes.last()).copied().unwrap_or(Access::All);
    let ins = step.call.ins.iter().enumerate().filter_map(|(i, view)| Some((view.as_ref()?, read(i), false)));
    let outs = step.call.outs.iter().enumerate().filter_map(|(i, view)| Some((view.as_ref()?, write(i), true)));
    let all = ins.chain(outs).filter(|(view, ..)| !view.is_empty());
    all.map(|(view, access, write)| touch(view, access, step.units, group, write)).collect()
}

fn touch(view: &View, access: Access, units: usize, group: usize, write: bool) -> Touch {
    let start = view.ptr.as_ptr().addr();
    let size = view.dtype.size();
    let extent: usize =
        (0..view.rank()).map(|axis| (view.dim(axis) - 1) * view.strides[axis].unsigned_abs() as usize).sum();
    let end = start + (extent + 1) * size;
    let samples = group > 0 && units.is_multiple_of(group);
    let part = match access {
        _ if units == 1 => Part::One,
        Access::Unit if view.is_dense() && samples => Part::Samples,
        Access::Unit if view.is_dense() => Part::Units(units),
        Access::Unit | Access::Batch if samples => return by_sample(view, group, (start, end), size, write),
        Access::Unit | Access::Batch | Access::All => Part::Any,
    };
    Touch { start, end, part, write }
}

/// A strided view, or whole samples of a dense one: a share of the bytes if the outermost axis holds the samples and the
/// others lie within one of its steps.
fn by_sample(view: &View, group: usize, bytes: (usize, usize), size: usize, write: bool) -> Touch {
    let any = Touch { start: bytes.0, end: bytes.1, part: Part::Any, write };
    if view.rank() == 0 || !view.dim(0).is_multiple_of(group) || view.strides[0] <= 0 {
        return any;
    }
    let inner: usize =
        (1..view.rank()).map(|axis| (view.dim(axis) - 1) * view.strides[axis].unsigned_abs() as usize).sum();
    let step = view.stride(0) as usize;
    if inner >= step {
        return any;
    }
    // A column window of wider rows touches its own bytes only, but shares rows with its neighbours: whole rows count
    // where the window begins at a row's first element; elsewhere the rows begin before it, at the same samples.
    let len = view.dim(0) * step * size;
    let dense = view.is_dense();
    Touch { start: bytes.0, end: if dense { bytes.1 } else { bytes.0 + len }, part: Part::Samples, write }
}
