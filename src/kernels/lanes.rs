//! The order of sums: along a row 64 lanes and a tree, down the rows blocks of 512; and rows walked in chunks.
//!
//! *Along a row*: element i goes to lane i % 64; each lane is a chain from 0 in order; then lane j += lane j + 32, then
//! 16, 8, 4, 2, 1. *Down the rows*: a chain from 0 over each block of 512 rows, the blocks added in order. Every
//! instruction set has room for 64 lanes, so that the bits are those of a scalar machine.
//!
//! Everything here is inlined into its caller, to be vectorised for the caller's instruction set.

// Loops over the indices of several arrays of one length are the ones that vectorise.
#![allow(clippy::needless_range_loop)]

use super::call::View;
use super::float::Float;
use std::ops::Range;

/// The lanes of a row's sum.
pub const LANES: usize = 64;
/// The rows that one chain adds up in a sum down the rows.
pub const BLOCK: usize = 512;
/// The elements that `map` holds in registers: enough for any vector width, few enough for two operands of f64.
const CHUNK: usize = 32;

/// A matrix of rows at one distance.
#[derive(Clone, Copy, Debug)]
pub struct Rows<T> {
    /// Row 0.
    ptr: *mut T,
    /// From one row to the next, in elements.
    stride: usize,
    /// The length of a row.
    pub len: usize,
}

impl<T> Rows<T> {
    /// The rows of a view with `Layout::Rows`.
    pub fn of(view: &View) -> Rows<T> {
        let stride = view.row_stride().expect("the planner binds operands of the declared layout");
        Rows { ptr: view.as_ptr(), stride, len: view.last() }
    }

    /// The same, of an operand or output that may be absent.
    pub fn maybe(view: &Option<View>) -> Option<Rows<T>> {
        view.as_ref().map(Rows::of)
    }

    /// The address of a row.
    #[inline(always)]
    pub fn row(self, index: usize) -> *mut T {
        self.ptr.wrapping_add(index * self.stride)
    }
}

/// The address of the elements of a dense operand that may be absent.
pub fn vector<T>(view: &Option<View>) -> Option<*mut T> {
    view.as_ref().map(View::as_ptr)
}

/// A chunk by value: what follows may write where it was.
///
/// # Safety
/// `N` readable elements.
#[inline(always)]
pub unsafe fn load<T: Copy, const N: usize>(from: *const T) -> [T; N] {
    // SAFETY: promised by the caller; an array is aligned as its element.
    unsafe { from.cast::<[T; N]>().read() }
}

/// The first `len` elements of a chunk, the others `pad`.
///
/// # Safety
/// `len <= N` readable elements.
#[inline(always)]
pub unsafe fn load_part<T: Copy, const N: usize>(from: *const T, len: usize, pad: T) -> [T; N] {
    let mut chunk = [pad; N];
    // SAFETY: promised by the caller; the chunk is a local.
    unsafe { std::ptr::copy_nonoverlapping(from, chunk.as_mut_ptr(), len) };
    chunk
}

/// Writes a chunk.
///
/// # Safety
/// `N` writable elements.
#[inline(always)]
pub unsafe fn store<T: Copy, const N: usize>(to: *mut T, chunk: [T; N]) {
    // SAFETY: promised by the caller.
    unsafe { to.cast::<[T; N]>().write(chunk) }
}

/// Writes the first `len` elements of a chunk.
///
/// # Safety
/// `len <= N` writable elements.
#[inline(always)]
pub unsafe fn store_part<T: Copy, const N: usize>(to: *mut T, chunk: [T; N], len: usize) {
    // SAFETY: promised by the caller; the chunk is a local.
    unsafe { std::ptr::copy_nonoverlapping(chunk.as_ptr(), to, len) }
}

/// The tree over the lanes.
#[inline(always)]
pub fn tree<T: Copy>(mut lanes: [T; LANES], join: impl Fn(T, T) -> T) -> T {
    macro_rules! halve {
        ($($width:literal)*) => { $(for j in 0..$width { lanes[j] = join(lanes[j], lanes[j + $width]); })* };
    }
    halve!(32 16 8 4 2 1);
    lanes[0]
}

/// Runs `S` chains a lane over `K` rows of `n` elements: `step(chains, elements)`.
///
/// # Safety
/// Each source has `n` readable elements.
#[inline(always)]
pub unsafe fn fold<T: Float, const K: usize, const S: usize>(
    from: [*const T; K],
    n: usize,
    start: T,
    step: impl Fn([T; S], [T; K]) -> [T; S],
) -> [[T; LANES]; S] {
    let mut lanes = [[start; LANES]; S];
    let whole = n - n % LANES;
    let mut at = 0;
    while at < whole {
        for j in 0..LANES {
            let (mut chains, mut elements) = ([T::ZERO; S], [T::ZERO; K]);
            for s in 0..S {
                chains[s] = lanes[s][j];
            }
            for k in 0..K {
                // SAFETY: at + j < n.
                elements[k] = unsafe { *from[k].add(at + j) };
            }
            let chains = step(chains, elements);
            for s in 0..S {
                lanes[s][j] = chains[s];
            }
        }
        at += LANES;
    }
    if whole == n {
        return lanes;
    }
    let mut part = [[T::ZERO; LANES]; K];
    for k in 0..K {
        // SAFETY: n - whole elements are left.
        part[k] = unsafe { load_part(from[k].add(whole), n - whole, T::ZERO) };
    }
    for j in 0..LANES {
        let (mut chains, mut elements) = ([T::ZERO; S], [T::ZERO; K]);
        for s in 0..S {
            chains[s] = lanes[s][j];
        }
        for k in 0..K {
            elements[k] = part[k][j];
        }
        let chains = step(chains, elements);
        for s in 0..S {
            lanes[s][j] = if j < n - whole { chains[s] } else { lanes[s][j] };
        }
    }
    lanes
}

/// The sum of a row, in lanes.
///
/// # Safety
/// As `fold`.
#[inline(always)]
pub unsafe fn sum<T: Float, const K: usize>(from: [*const T; K], n: usize, step: impl Fn(T, [T; K]) -> T) -> T {
    // SAFETY: promised by the caller.
    let [lanes] = unsafe { fold(from, n, T::ZERO, |[chain], elements| [step(chain, elements)]) };
    tree(lanes, |a, b| a + b)
}

/// Two sums of a row, in lanes.
///
/// # Safety
/// As `fold`.
#[inline(always)]
pub unsafe fn sums<T: Float, const K: usize>(
    from: [*const T; K],
    n: usize,
    step: impl Fn([T; 2], [T; K]) -> [T; 2],
) -> [T; 2] {
    // SAFETY: promised by the caller.
    let [first, second] = unsafe { fold(from, n, T::ZERO, step) };
    [tree(first, |a, b| a + b), tree(second, |a, b| a + b)]
}

/// The largest of a row; NaN is passed over. Any order gives the same number.
///
/// # Safety
/// `n` readable elements.
#[inline(always)]
pub unsafe fn largest<T: Float>(from: *const T, n: usize) -> T {
    let larger = |a: T, b: T| if b > a { b } else { a };
    // SAFETY: promised by the caller.
    let [lanes] = unsafe { fold([from], n, T::NEG_INF, |[chain], [x]| [larger(chain, x)]) };
    tree(lanes, larger)
}

/// `to[i] = f(from[..][i])`; `to` may be one of the sources.
///
/// # Safety
/// Each source has `n` readable elements, `to` `n` writable ones; it is a source itself or overlaps none.
#[inline(always)]
pub unsafe fn map<T: Float, const K: usize>(from: [*const T; K], to: *mut T, n: usize, f: impl Fn([T; K]) -> T) {
    let whole = n - n % CHUNK;
    let mut at = 0;
    while at < whole {
        let mut chunk = [[T::ZERO; CHUNK]; K];
        for k in 0..K {
            // SAFETY: at + CHUNK <= n.
            chunk[k] = unsafe { load(from[k].add(at)) };
        }
        let y = apply(&chunk, &f);
        // SAFETY: as above.
        unsafe { store(to.add(at), y) };
        at += CHUNK;
    }
    if whole < n {
        let mut chunk = [[T::ZERO; CHUNK]; K];
        for k in 0..K {
            // SAFETY: n - whole elements are left.
            chunk[k] = unsafe { load_part(from[k].add(whole), n - whole, T::ZERO) };
        }
        // SAFETY: as above.
        unsafe { store_part(to.add(whole), apply(&chunk, &f), n - whole) };
    }
}

#[inline(always)]
fn apply<T: Float, const N: usize, const K: usize>(chunk: &[[T; N]; K], f: impl Fn([T; K]) -> T) -> [T; N] {
    let mut y = [T::ZERO; N];
    for j in 0..N {
        let mut elements = [T::ZERO; K];
        for k in 0..K {
            elements[k] = chunk[k][j];
        }
        y[j] = f(elements);
    }
    y
}

/// `map` of one row, and the sum of what was written, in lanes.
///
/// # Safety
/// As `map`.
#[inline(always)]
pub unsafe fn map_sum<T: Float>(from: *const T, to: *mut T, n: usize, f: impl Fn(T) -> T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let whole = n - n % LANES;
    let mut at = 0;
    while at < whole {
        // SAFETY: at + LANES <= n.
        let y = apply(&[unsafe { load::<T, LANES>(from.add(at)) }], |[x]| f(x));
        for j in 0..LANES {
            lanes[j] += y[j];
        }
        // SAFETY: as above.
        unsafe { store(to.add(at), y) };
        at += LANES;
    }
    if whole < n {
        // SAFETY: n - whole elements are left.
        let y = apply(&[unsafe { load_part::<T, LANES>(from.add(whole), n - whole, T::ZERO) }], |[x]| f(x));
        for j in 0..LANES {
            lanes[j] = if j < n - whole { lanes[j] + y[j] } else { lanes[j] };
        }
        // SAFETY: as above.
        unsafe { store_part(to.add(whole), y, n - whole) };
    }
    tree(lanes, |a, b| a + b)
}

/// For each column of a range a chain down the rows, in blocks: `step(chain, row, column)` from `start`, the blocks
/// combined by `join`; `write(column, results)` gets them, up to 512 columns at once.
#[inline(always)]
pub fn columns<T: Float, R: Copy, I: Iterator<Item = R>>(
    columns: Range<usize>,
    rows: impl Fn() -> I,
    (start, join): (T, impl Fn(T, T) -> T),
    step: impl Fn(T, R, usize) -> T,
    mut write: impl FnMut(usize, &[T]),
) {
    const WIDTH: usize = 512;
    let mut first = columns.start;
    while first < columns.end {
        let width = WIDTH.min(columns.end - first);
        let (mut total, mut chain) = ([start; WIDTH], [start; WIDTH]);
        let (mut rows, mut in_block) = (rows(), 0);
        loop {
            // Four rows at a time: the chains are loaded and stored once for them. A block is a whole number of fours.
            let four = [rows.next(), rows.next(), rows.next(), rows.next()];
            if let [Some(a), Some(b), Some(c), Some(d)] = four {
                for (j, chain) in chain[..width].iter_mut().enumerate() {
                    let column = first + j;
                    *chain = step(step(step(step(*chain, a, column), b, column), c, column), d, column);
                }
                in_block += 4;
            } else {
                for row in four.into_iter().flatten() {
                    for (j, chain) in chain[..width].iter_mut().enumerate() {
                        *chain = step(*chain, row, first + j);
                    }
                    in_block += 1;
                }
            }
            let ended = four[3].is_none();
            if in_block == BLOCK || ended {
                for (total, chain) in total[..width].iter_mut().zip(&mut chain[..width]) {
                    *total = join(*total, *chain);
                    *chain = start;
                }
                in_block = 0;
            }
            if ended {
                break;
            }
        }
        write(first, &total[..width]);
        first += width;
    }
}

/// The sum of the squares of `n` elements in f64: in lanes of `fma(x, x, chain)`.
///
/// # Safety
/// `n` readable elements.
#[inline(always)]
pub unsafe fn sum_squares<T: Float>(from: *const T, n: usize) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let whole = n - n % LANES;
    let mut at = 0;
    while at < whole {
        // SAFETY: at + LANES <= n.
        square_chunk(&mut lanes, &unsafe { load(from.add(at)) });
        at += LANES;
    }
    if whole < n {
        // SAFETY: n - whole elements are left. The square of a padding 0 leaves its lane, which is never -0, as it is.
        square_chunk(&mut lanes, &unsafe { load_part(from.add(whole), n - whole, T::ZERO) });
    }
    tree(lanes, |a, b| a + b)
}

/// Adds the squares of a chunk to the lanes.
#[inline(always)]
pub fn square_chunk<T: Float>(lanes: &mut [f64; LANES], chunk: &[T; LANES]) {
    for j in 0..LANES {
        lanes[j] = f64::mul_add(chunk[j].to_f64(), chunk[j].to_f64(), lanes[j]);
    }
}
