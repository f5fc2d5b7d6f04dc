//! Moving elements from one layout to another.

use super::axes::Axes;
use super::call::{Access, Call, Kernel, Layout, MAX_RANK, View, Worker, no_work};
use std::ops::Range;

/// The same elements in another layout.
///
/// Operand: x, any strides, any element type. Output: y of the same shape and type, any strides (a window on a larger
/// buffer, for concat); a unit is a row of y (an element, if it has one axis).
pub static COPY: Kernel = Kernel {
    name: "copy",
    run: [copy, copy],
    units,
    work: no_work,
    reads: &[(Layout::Any, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The number of axes along which the units are cut: the last one is not, unless it is the only one.
fn cut_axes(y: &View) -> usize {
    if y.rank() == 1 { 1 } else { y.rank().saturating_sub(1) }
}

fn units(call: &Call) -> usize {
    let y = call.output(0);
    y.shape()[..cut_axes(y)].iter().map(|&size| size as usize).product()
}

unsafe fn copy(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let (x, y) = (call.input(0), call.output(0));
    if y.is_empty() || range.is_empty() {
        return;
    }
    // SAFETY: x and y are of one shape and type, the rows of y are this range's, as the caller promises.
    unsafe {
        match x.dtype.size() {
            1 => copy_rows::<u8>(x, y, range),
            4 => copy_rows::<u32>(x, y, range),
            _ => copy_rows::<u64>(x, y, range),
        }
    }
}

/// Cuts a range of rows into boxes.
///
/// # Safety
/// As `Kernel::run`, with elements of the size of E.
unsafe fn copy_rows<E: Bits>(x: &View, y: &View, range: Range<usize>) {
    let inner = cut_axes(y);
    let (mut first, mut last) = ([0; MAX_RANK], [1; MAX_RANK]);
    if y.rank() > inner {
        last[inner] = y.last();
    }
    // SAFETY: promised by the caller.
    unsafe { cut::<E>(x, y, 0, inner, range, &mut first, &mut last) }
}

/// Copies the rows `range` of the sub-block given by the indices of the axes before `axis`.
///
/// # Safety
/// As `copy_rows`.
unsafe fn cut<E: Bits>(
    x: &View,
    y: &View,
    axis: usize,
    inner: usize,
    range: Range<usize>,
    first: &mut [usize; MAX_RANK],
    last: &mut [usize; MAX_RANK],
) {
    if range.is_empty() {
        return;
    }
    let block: usize = (axis + 1..inner).map(|axis| y.dim(axis)).product();
    let mut boxed = |indices: Range<usize>, rows: Option<Range<usize>>| {
        (first[axis], last[axis]) = (indices.start, indices.end);
        match rows {
            // SAFETY: promised by the caller.
            Some(rows) => unsafe { cut::<E>(x, y, axis + 1, inner, rows, first, last) },
            None => {
                for axis in axis + 1..inner {
                    (first[axis], last[axis]) = (0, y.dim(axis));
                }
                // SAFETY: promised by the caller.
                unsafe { copy_box::<E>(x, y, first, last) }
            }
        }
    };
    if axis >= inner {
        // No axis is left to cut: one row.
        // SAFETY: promised by the caller.
        return unsafe { copy_box::<E>(x, y, first, last) };
    }
    let (from, to) = (range.start.div_ceil(block), range.end / block);
    if from > to {
        // Inside one index.
        return boxed(to..to + 1, Some(range.start - to * block..range.end - to * block));
    }
    if range.start < from * block {
        boxed(from - 1..from, Some(range.start - (from - 1) * block..block));
    }
    if from < to {
        boxed(from..to, None);
    }
    if to * block < range.end {
        boxed(to..to + 1, Some(0..range.end - to * block));
    }
}

/// One axis of a box: its size and the strides in x and y.
#[derive(Clone, Copy, Default)]
struct Both {
    size: usize,
    x: isize,
    y: isize,
}

/// Copies the elements with indices between `first` and `last`.
///
/// # Safety
/// As `copy_rows`.
unsafe fn copy_box<E: Bits>(x: &View, y: &View, first: &[usize; MAX_RANK], last: &[usize; MAX_RANK]) {
    let (mut from, mut to) = (x.as_ptr::<E>().cast_const(), y.as_ptr::<E>());
    let mut axes = [Both::default(); MAX_RANK];
    let mut rank = 0;
    for axis in 0..y.rank() {
        from = from.wrapping_offset(first[axis] as isize * x.stride(axis));
        to = to.wrapping_offset(first[axis] as isize * y.stride(axis));
        let next = Both { size: last[axis] - first[axis], x: x.stride(axis), y: y.stride(axis) };
        if next.size == 1 {
            continue;
        }
        match axes[..rank].last_mut() {
            Some(outer) if outer.x == next.x * next.size as isize && outer.y == next.y * next.size as isize => {
                *outer = Both { size: outer.size * next.size, ..next };
            }
            _ => {
                axes[rank] = next;
                rank += 1;
            }
        }
    }
    // The innermost loops: along y's contiguous axis (else the last), and across it along x's.
    let along = take(&mut axes, &mut rank, |axis| axis.y == 1).or_else(|| take(&mut axes, &mut rank, |_| true));
    let along = along.unwrap_or(Both { size: 1, x: 1, y: 1 });
    let across = if along.x == 1 { None } else { take(&mut axes, &mut rank, |axis| axis.x == 1) };
    let across = across.or_else(|| take(&mut axes, &mut rank, |_| true)).unwrap_or(Both { size: 1, x: 0, y: 0 });
    let (mut outer_x, mut outer_y) = (Axes::default(), Axes::default());
    for (at, axis) in axes[..rank].iter().enumerate() {
        (outer_x.sizes[at], outer_x.strides[at]) = (axis.size, axis.x);
        (outer_y.sizes[at], outer_y.strides[at]) = (axis.size, axis.y);
    }
    (outer_x.rank, outer_y.rank) = (rank, rank);
    for (x, y) in outer_x.walk().zip(outer_y.walk()) {
        // SAFETY: the plane lies in the box.
        unsafe { copy_plane::<E>(from.wrapping_offset(x), to.wrapping_offset(y), across, along) }
    }
}

/// Takes out the last axis that is so.
fn take(axes: &mut [Both; MAX_RANK], rank: &mut usize, is_so: impl Fn(&Both) -> bool) -> Option<Both> {
    let at = axes[..*rank].iter().rposition(is_so)?;
    let axis = axes[at];
    axes.copy_within(at + 1..*rank, at);
    *rank -= 1;
    Some(axis)
}

/// Copies a plane.
///
/// # Safety
/// The elements of the plane lie in x and in y, which do not overlap.
unsafe fn copy_plane<E: Bits>(x: *const E, y: *mut E, across: Both, along: Both) {
    let rows = (0..across.size as isize).map(|r| (x.wrapping_offset(r * across.x), y.wrapping_offset(r * across.y)));
    // SAFETY (all): promised by the caller.
    match (along.x, along.y) {
        (1, 1) => rows.for_each(|(x, y)| unsafe { std::ptr::copy_nonoverlapping(x, y, along.size) }),
        (0, 1) => rows.for_each(|(x, y)| unsafe { std::slice::from_raw_parts_mut(y, along.size).fill(*x) }),
        (_, 1) if across.x == 1 => unsafe { transpose::<E>(x, y, across, along) },
        _ => rows.for_each(|(x, y)| {
            for i in 0..along.size as isize {
                unsafe { *y.offset(i * along.y) = *x.offset(i * along.x) };
            }
        }),
    }
}

/// Transposes in blocks of some cache lines: `across` is contiguous in x, `along` in y.
///
/// # Safety
/// As `copy_plane`.
unsafe fn transpose<E: Bits>(x: *const E, y: *mut E, across: Both, along: Both) {
    const BLOCK: usize = 64;
    let tile = E::TILE;
    for r in (0..across.size).step_by(BLOCK) {
        let rows = BLOCK.min(across.size - r);
        for c in (0..along.size).step_by(BLOCK) {
            let columns = BLOCK.min(along.size - c);
            let x = x.wrapping_offset(r as isize + c as isize * along.x);
            let y = y.wrapping_offset(r as isize * across.y + c as isize);
            let (whole_rows, whole_columns) = (rows - rows % tile, columns - columns % tile);
            for i in (0..whole_rows).step_by(tile) {
                for j in (0..whole_columns).step_by(tile) {
                    let x = x.wrapping_offset(i as isize + j as isize * along.x);
                    let y = y.wrapping_offset(i as isize * across.y + j as isize);
                    // SAFETY: a whole tile of both.
                    unsafe { E::tile(x, along.x, y, across.y) };
                }
            }
            for i in 0..rows {
                let from = if i < whole_rows { whole_columns } else { 0 };
                for j in from..columns {
                    // SAFETY: an element of the block.
                    unsafe {
                        *y.offset(i as isize * across.y + j as isize) = *x.offset(i as isize + j as isize * along.x);
                    }
                }
            }
        }
    }
}

/// A number of bytes that moves as one.
trait Bits: Copy {
    /// The edge of a tile.
    const TILE: usize;
    /// `y[i][j] = x[j][i]` for a tile, rows at these distances.
    ///
    /// # Safety
    /// A whole tile of both.
    unsafe fn tile(x: *const Self, x_row: isize, y: *mut Self, y_row: isize);
}

/// # Safety
/// A whole tile of both.
#[inline(always)]
unsafe fn scalar_tile<E: Bits>(x: *const E, x_row: isize, y: *mut E, y_row: isize) {
    for i in 0..E::TILE as isize {
        for j in 0..E::TILE as isize {
            // SAFETY: promised by the caller.
            unsafe { *y.offset(i * y_row + j) = *x.offset(i + j * x_row) };
        }
    }
}

impl Bits for u8 {
    const TILE: usize = 8;
    unsafe fn tile(x: *const u8, x_row: isize, y: *mut u8, y_row: isize) {
        // SAFETY: promised by the caller.
        unsafe { scalar_tile(x, x_row, y, y_row) }
    }
}

impl Bits for u32 {
    const TILE: usize = 8;
    unsafe fn tile(x: *const u32, x_row: isize, y: *mut u32, y_row: isize) {
        // SAFETY: promised by the caller; the level was detected.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if super::simd::level() >= super::simd::Level::Avx2 {
                return avx::tile32(x.cast(), x_row, y.cast(), y_row);
            }
            scalar_tile(x, x_row, y, y_row)
        }
    }
}

impl Bits for u64 {
    const TILE: usize = 4;
    unsafe fn tile(x: *const u64, x_row: isize, y: *mut u64, y_row: isize) {
        // SAFETY: promised by the caller; the level was detected.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if super::simd::level() >= super::simd::Level::Avx2 {
                return avx::tile64(x.cast(), x_row, y.cast(), y_row);
            }
            scalar_tile(x, x_row, y, y_row)
        }
    }
}

/// Tiles through registers: left to itself the compiler moves element by element.
#[cfg(target_arch = "x86_64")]
mod avx {
    use std::arch::x86_64::*;

    /// # Safety
    /// 8 rows of 8 elements of both; AVX.
    #[target_feature(enable = "avx2")]
    pub unsafe fn tile32(x: *const f32, x_row: isize, y: *mut f32, y_row: isize) {
        // SAFETY: promised by the caller.
        let rows: [__m256; 8] = std::array::from_fn(|i| unsafe { _mm256_loadu_ps(x.offset(i as isize * x_row)) });
        let pair = |i: usize| (_mm256_unpacklo_ps(rows[i], rows[i + 1]), _mm256_unpackhi_ps(rows[i], rows[i + 1]));
        let (pairs, mut out) = ([pair(0), pair(2), pair(4), pair(6)], [_mm256_setzero_ps(); 8]);
        let four = |a: (__m256, __m256), b: (__m256, __m256)| {
            [
                _mm256_shuffle_ps::<0x44>(a.0, b.0),
                _mm256_shuffle_ps::<0xEE>(a.0, b.0),
                _mm256_shuffle_ps::<0x44>(a.1, b.1),
                _mm256_shuffle_ps::<0xEE>(a.1, b.1),
            ]
        };
        let (upper, lower) = (four(pairs[0], pairs[1]), four(pairs[2], pairs[3]));
        for i in 0..4 {
            out[i] = _mm256_permute2f128_ps::<0x20>(upper[i], lower[i]);
            out[i + 4] = _mm256_permute2f128_ps::<0x31>(upper[i], lower[i]);
        }
        for (i, row) in out.into_iter().enumerate() {
            // SAFETY: promised by the caller.
            unsafe { _mm256_storeu_ps(y.offset(i as isize * y_row), row) };
        }
    }

    /// # Safety
    /// 4 rows of 4 elements of both; AVX.
    #[target_feature(enable = "avx2")]
    pub unsafe fn tile64(x: *const f64, x_row: isize, y: *mut f64, y_row: isize) {
        // SAFETY: promised by the caller.
        let [a, b, c, d] = std::array::from_fn(|i| unsafe { _mm256_loadu_pd(x.offset(i as isize * x_row)) });
        let (ab, ab_odd) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        let (cd, cd_odd) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
        let out = [
            _mm256_permute2f128_pd::<0x20>(ab, cd),
            _mm256_permute2f128_pd::<0x20>(ab_odd, cd_odd),
            _mm256_permute2f128_pd::<0x31>(ab, cd),
            _mm256_permute2f128_pd::<0x31>(ab_odd, cd_odd),
        ];
        for (i, row) in out.into_iter().enumerate() {
            // SAFETY: promised by the caller.
            unsafe { _mm256_storeu_pd(y.offset(i as isize * y_row), row) };
        }
    }
}

#[cfg(test)]
mod tests;
