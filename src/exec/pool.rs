//! Threads that walk one plan together, and the barrier where they meet.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Threads of a session.
pub struct Pool {
    threads: usize,
    pool: Option<rayon::ThreadPool>,
}

impl Pool {
    /// `threads` threads; one needs no pool. Where the system refuses threads, one is used.
    pub fn new(threads: usize) -> Pool {
        let threads = threads.max(1);
        if threads == 1 {
            return Pool { threads, pool: None };
        }
        match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => Pool { threads, pool: Some(pool) },
            Err(_) => Pool { threads: 1, pool: None },
        }
    }

    /// How many.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work(thread)` on every thread at once, and waits for all.
    pub fn broadcast(&self, work: impl Fn(usize) + Sync) {
        match &self.pool {
            Some(pool) => {
                pool.broadcast(|context| work(context.index()));
            }
            None => work(0),
        }
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
