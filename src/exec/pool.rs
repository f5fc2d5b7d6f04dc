//! Threads that walk one plan together, and the barrier where they meet.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Threads of a session: the caller's own, and those of a rayon pool that wait for work as long as the session lives.
///
/// Rayon's `broadcast` would allocate at each call, and a steady step allocates nothing.
pub struct Pool {
    threads: usize,
    shared: Arc<Shared>,
    /// Where the others live; they leave when `shared` says so.
    others: Option<rayon::ThreadPool>,
}

/// What the caller and the others tell each other.
#[derive(Default)]
struct Shared {
    /// The number of the call, also without the lock: for those who look before they sleep.
    call: AtomicU64,
    state: Mutex<State>,
    begun: Condvar,
    ended: Condvar,
    /// One call at a time.
    turn: Mutex<()>,
}

#[derive(Default)]
struct State {
    call: u64,
    job: Option<Job>,
    /// How many of the others are not through yet.
    left: usize,
    leave: bool,
    panic: Option<Box<dyn Any + Send>>,
}

/// The work of a call, which waits until all are through with it.
#[derive(Clone, Copy)]
struct Job(*const (dyn Fn(usize) + Sync));

// SAFETY: what it points to is `Sync`, and lives until the call that made it ends.
unsafe impl Send for Job {}

/// How often one of the others looks for a next call before it sleeps: steps follow each other closely.
const LOOKS: usize = 2000;

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of one of the others.
    fn serve(&self, thread: usize) {
        let mut seen = 0;
        loop {
            for _ in 0..LOOKS {
                if self.call.load(Ordering::Acquire) != seen {
                    break;
                }
                std::hint::spin_loop();
            }
            let mut state = self.state();
            while state.call == seen && !state.leave {
                state = self.begun.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.leave {
                return;
            }
            seen = state.call;
            let Some(job) = state.job else { continue };
            drop(state);
            // SAFETY: the call waits for this thread before its work goes.
            let result = catch_unwind(AssertUnwindSafe(|| unsafe { (*job.0)(thread) }));
            let mut state = self.state();
            if let Err(panic) = result {
                state.panic.get_or_insert(panic);
            }
            state.left -= 1;
            if state.left == 0 {
                self.ended.notify_one();
            }
        }
    }
}

impl Pool {
    /// `threads` threads; one needs no pool. Where the system refuses threads, one is used.
    pub fn new(threads: usize) -> Pool {
        let threads = threads.max(1);
        let shared = Arc::new(Shared::default());
        if threads == 1 {
            return Pool { threads, shared, others: None };
        }
        match rayon::ThreadPoolBuilder::new().num_threads(threads - 1).build() {
            Ok(others) => {
                let theirs = shared.clone();
                others.spawn_broadcast(move |context| theirs.serve(context.index() + 1));
                Pool { threads, shared, others: Some(others) }
            }
            Err(_) => Pool { threads: 1, shared, others: None },
        }
    }

    /// How many.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work(thread)` on every thread at once, and waits for all.
    pub fn broadcast(&self, work: impl Fn(usize) + Sync) {
        if self.others.is_none() {
            return work(0);
        }
        let shared = &*self.shared;
        let _turn = shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let work: &(dyn Fn(usize) + Sync) = &work;
        // SAFETY: only the lifetime is given up; this call ends after all are through with it, also if one panics.
        let job = Job(unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) });
        let mut state = shared.state();
        state.job = Some(job);
        state.left = self.threads - 1;
        state.call += 1;
        shared.call.store(state.call, Ordering::Release);
        drop(state);
        shared.begun.notify_all();
        let own = catch_unwind(AssertUnwindSafe(|| work(0)));
        let mut state = shared.state();
        while state.left > 0 {
            state = shared.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.job = None;
        let panic = own.err().or(state.panic.take());
        drop(state);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state().leave = true;
        self.shared.begun.notify_all();
    }
}

/// A meeting of all threads: spins a few microseconds, then sleeps politely.
#[derive(Debug, Default)]
pub struct Barrier {
    arrived: AtomicUsize,
    round: AtomicUsize,
    broken: AtomicBool,
}

/// How often a waiting thread looks before it yields, and then sleeps.
const SPINS: usize = 2000;
const YIELDS: usize = 200;

impl Barrier {
    /// Waits until all `threads` have come; false if one of them will not come (it panicked).
    pub fn wait(&self, threads: usize) -> bool {
        if threads == 1 {
            return true;
        }
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == threads {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return !self.broken.load(Ordering::Acquire);
        }
        let mut looks = 0;
        while self.round.load(Ordering::Acquire) == round {
            if self.broken.load(Ordering::Acquire) {
                return false;
            }
            looks += 1;
            if looks < SPINS {
                std::hint::spin_loop();
            } else if looks < SPINS + YIELDS {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        true
    }

    /// Nobody waits any more.
    pub fn break_up(&self) {
        self.broken.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_any_thread_comes_back_and_the_pool_goes_on() {
        let pool = Pool::new(3);
        for bad in 0..3 {
            let work = |thread: usize| assert!(thread != bad, "thread {bad}");
            assert!(catch_unwind(AssertUnwindSafe(|| pool.broadcast(work))).is_err());
            let seen = AtomicUsize::new(0);
            pool.broadcast(|thread| {
                seen.fetch_add(1 << (8 * thread), Ordering::SeqCst);
            });
            assert_eq!(seen.load(Ordering::SeqCst), 0x10101, "each thread once");
        }
    }

    #[test]
    fn nobody_passes_before_all_have_come() {
        let (pool, barrier, count) = (Pool::new(4), Barrier::default(), AtomicUsize::new(0));
        pool.broadcast(|_| {
            for round in 1..200 {
                count.fetch_add(1, Ordering::SeqCst);
                barrier.wait(4);
                assert_eq!(count.load(Ordering::SeqCst), 4 * round);
                barrier.wait(4);
            }
        });
    }
}
