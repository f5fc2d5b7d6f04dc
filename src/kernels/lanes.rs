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
    for j in 0..N {
        // A masked load, where there is one: a copy of unknown length would be a call.
        // SAFETY: promised by the caller.
        chunk[j] = if j < len { unsafe { *from.add(j) } } else { pad };
    }
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
    for j in 0..N {
        if j < len {
            // SAFETY: promised by the caller.
            unsafe { *to.add(j) = chunk[j] };
        }
    }
}

/// The tree over the lanes; the last four levels from memory: else the compiler sees scalars all the way and joins them
/// one by one.
#[inline(always)]
pub fn tree<T: Copy + Default>(lanes: [T; LANES], join: impl Fn(T, T) -> T) -> T {
    /// In one cache line, that a part can be read while the whole is being written.
    #[repr(align(64))]
    struct Line<T>([T; 16]);
    let mut sixteen = Line([T::default(); 16]);
    for j in 0..16 {
        sixteen.0[j] = join(join(lanes[j], lanes[j + 32]), join(lanes[j + 16], lanes[j + 48]));
    }
    let Line(sixteen) = std::hint::black_box(&sixteen);
    let mut four = [T::default(); 4];
    for j in 0..4 {
        four[j] = join(join(sixteen[j], sixteen[j + 8]), join(sixteen[j + 4], sixteen[j + 12]));
    }
    join(join(four[0], four[2]), join(four[1], four[3]))
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

/// `to[i] = f(from[..][i])`; `to` may be the first or the last source.
///
/// # Safety
/// Each source has `n` readable elements, `to` `n` writable ones. It is the first source or the last (not both), or
/// overlaps none.
#[inline(always)]
pub unsafe fn map<T: Float, const K: usize>(from: [*const T; K], to: *mut T, n: usize, f: impl Fn([T; K]) -> T) {
    // SAFETY: promised by the caller. A source that is `to` itself is read through it only.
    unsafe {
        let to = std::slice::from_raw_parts_mut(to, n);
        if std::ptr::eq(from[0], to.as_ptr()) {
            map_apart::<T, K, 0>(from, to, &f);
        } else if K > 1 && std::ptr::eq(from[K - 1], to.as_ptr()) {
            map_apart::<T, K, 1>(from, to, &f);
        } else {
            map_apart::<T, K, 2>(from, to, &f);
        }
    }
}

/// `map`, where `to` is the first source (`SAME` = 0), the last (1) or none (2). A loop over two pointers to the same
/// would run element by element.
///
/// # Safety
/// As many readable elements in the other sources, which do not overlap `to`.
#[inline(always)]
unsafe fn map_apart<T: Float, const K: usize, const SAME: usize>(
    from: [*const T; K],
    to: &mut [T],
    f: impl Fn([T; K]) -> T,
) {
    let whole = to.len() - to.len() % LANES;
    let (to, rest) = to.split_at_mut(whole);
    for i in 0..whole {
        let mut elements = [T::ZERO; K];
        for k in 0..K {
            // SAFETY: promised by the caller.
            elements[k] = if [0, K - 1, K][SAME] == k { to[i] } else { unsafe { *from[k].add(i) } };
        }
        to[i] = f(elements);
    }
    if rest.is_empty() {
        return;
    }
    let (n, to) = (rest.len(), rest.as_mut_ptr());
    for j in 0..LANES {
        // Masked vectors, where there are some.
        if j < n {
            let mut elements = [T::ZERO; K];
            for k in 0..K {
                // SAFETY: n elements are left.
                elements[k] = unsafe { if [0, K - 1, K][SAME] == k { *to.add(j) } else { *from[k].add(whole + j) } };
            }
            // SAFETY: as above.
            unsafe { *to.add(j) = f(elements) };
        }
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
