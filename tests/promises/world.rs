//! What the promises are tested with: memory that is counted, a model and its rows.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use wythe::elaborate::Request;
use wythe::ir::training::Training;
use wythe::pipeline::check;
use wythe::text::Source;
pub use wythe::text::memory::Memory;

/// Counts what each thread holds.
pub struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that this thread holds at once while it does something, beside those that it had.
pub fn most<T>(of: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    MOST.set(before);
    let result = of();
    (result, (MOST.get() - before).max(0) as usize)
}

/// The first train section of a text.
pub fn training(text: &str) -> Training {
    let mut checked = check(Source::new("m.model", text), &Request::default(), None);
    assert!(!checked.has_errors(), "{}", checked.render());
    checked.trainings.remove(0)
}

/// A table of `rows` rows with `width` columns and a label of three classes that they tell.
pub fn table(rows: usize, width: usize) -> String {
    let mut text = (0..width).map(|i| format!("c{i},")).collect::<String>() + "y\n";
    let mut draws = Draws(8);
    for row in 0..rows {
        for column in 0..width {
            let noise = draws.below(1 << 20) as f64 / f64::from(1 << 20) - 0.5;
            let signal = if column % 3 == row % 3 { 1.0 } else { 0.0 };
            text += &format!("{:.5},", signal + noise);
        }
        text += &format!("{}\n", row % 3);
    }
    text
}

/// The same as `d.csv`.
pub fn csv(rows: usize, width: usize) -> Memory {
    Memory::with("d.csv", table(rows, width))
}

/// Numbers that are drawn from a seed.
pub struct Draws(pub u64);

impl Draws {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}
