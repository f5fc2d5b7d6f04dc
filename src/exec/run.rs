//! One run: every thread walks the steps and computes its share of each.

use super::arena::Arena;
use super::pool::{Barrier, Pool};
use crate::kernels::call::{Fault, FaultKind, View, Worker};
use crate::passes::plan::{PERSISTENT, Plan, SCRATCH, cut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A plan whose views point into memory.
pub struct Bound {
    /// The plan.
    pub plan: Plan,
    /// How many threads had a share of any step in the last run.
    busy: AtomicUsize,
    fault: Fault,
}

impl Bound {
    /// Points every view into these arenas.
    pub fn new(mut plan: Plan, persistent: &Arena, scratch: &Arena) -> Bound {
        let settle = |view: &mut View| {
            let at = view.ptr.as_ptr().addr();
            let (arena, offset) =
                if at >= SCRATCH { (scratch, at - SCRATCH) } else { (persistent, at.saturating_sub(PERSISTENT)) };
            debug_assert!(offset <= arena.len(), "the plan was made for these arenas");
            // SAFETY: the offset lies inside the arena (or one past it, for a view without elements).
            view.ptr = unsafe { NonNull::new_unchecked(arena.start().as_ptr().add(offset)) };
        };
        for step in &mut plan.steps {
            step.call.ins.iter_mut().chain(step.call.outs.iter_mut()).flatten().for_each(settle);
        }
        plan.inputs.iter_mut().for_each(|(_, view)| settle(view));
        plan.outputs.iter_mut().for_each(|(_, view)| settle(view));
        Bound { plan, busy: AtomicUsize::new(0), fault: Fault::default() }
    }

    /// How many threads had a share of any step in the last run.
    pub fn workers(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// Points every view of one scratch arena into another.
    pub fn rebase(&mut self, old: &Arena, new: &Arena) {
        let (start, end) = (old.start().as_ptr().addr(), old.start().as_ptr().addr() + old.len());
        let move_view = |view: &mut View| {
            let at = view.ptr.as_ptr().addr();
            if (start..end).contains(&at) {
                // SAFETY: the new arena is larger.
                view.ptr = unsafe { NonNull::new_unchecked(new.start().as_ptr().add(at - start)) };
            }
        };
        for step in &mut self.plan.steps {
            step.call.ins.iter_mut().chain(step.call.outs.iter_mut()).flatten().for_each(move_view);
        }
        self.plan.inputs.iter_mut().for_each(|(_, view)| move_view(view));
        self.plan.outputs.iter_mut().for_each(|(_, view)| move_view(view));
    }

    /// Runs all steps, each thread with a workspace of its own; the first fault, if there was one.
    pub fn run(&self, pool: &Pool, work: &[Arena]) -> Option<(u32, FaultKind)> {
        self.fault.clear();
        self.busy.store(0, Ordering::Relaxed);
        if self.plan.single || pool.threads() == 1 {
            self.walk(0, 1, &Barrier::default(), &work[0]);
        } else {
            let barrier = Barrier::default();
            let threads = pool.threads();
            pool.broadcast(|thread| self.walk(thread, threads, &barrier, &work[thread]));
        }
        self.fault.first()
    }

    fn walk(&self, thread: usize, threads: usize, barrier: &Barrier, arena: &Arena) {
        let _leaving = BreakOnPanic(barrier);
        debug_assert!(self.plan.work <= arena.len(), "workspaces are as large as the largest plan wants");
        // SAFETY: each thread has a workspace of its own, and takes one slice of it a run.
        let work = unsafe { std::slice::from_raw_parts_mut(arena.start().as_ptr(), self.plan.work) };
        let mut worker = Worker { work, fault: &self.fault, step: 0 };
        let group = if threads == 1 { 0 } else { self.plan.group };
        let mut busy = false;
        for (index, step) in self.plan.steps.iter().enumerate() {
            if step.barrier {
                if !barrier.wait(threads) {
                    return;
                }
                if self.fault.stop.load(Ordering::Acquire) {
                    // Another thread may have passed this meeting before the fault was told: it must not wait at the next.
                    barrier.break_up();
                    return;
                }
            }
            if threads == 1 && self.fault.stop.load(Ordering::Relaxed) {
                return;
            }
            let range = cut(step.units, group, thread, threads);
            if !range.is_empty() {
                busy = true;
                worker.step = index as u32;
                // SAFETY: the plan placed live buffers of the right types and sizes, and its barriers keep other
                // threads from what this range touches.
                unsafe { step.kernel.run[step.width](&step.call, &mut worker, range) };
            }
        }
        self.busy.fetch_add(usize::from(busy), Ordering::Relaxed);
    }
}

/// Lets the other threads go if this one panics.
struct BreakOnPanic<'a>(&'a Barrier);

impl Drop for BreakOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.break_up();
        }
    }
}
