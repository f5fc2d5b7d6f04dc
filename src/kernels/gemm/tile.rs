//! The loops of a product: rows in blocks, k in blocks, panels of columns, tiles.

use super::pack;
use super::vector::{Plain, Vector};
use super::{Acc, BLOCK, MatRef, Product};
use crate::kernels::float::Float;
use crate::kernels::simd::{Level, level};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};
use std::mem::MaybeUninit;

/// Up to this many rows, the right factor is read where it lies, if its columns are neighbours.
const FEW_ROWS: usize = 16;
/// How many unpacked left rows go with one pass over the right factor.
const LEFT_ROWS: usize = 960;

/// Computes a product with the tile of this processor.
///
/// # Safety
/// The product's addresses and sizes are right; `work` has the bytes that `pack` asks for and is 64-byte aligned.
pub unsafe fn run<T: Float>(product: &Product<T>, work: &mut [u8]) {
    // SAFETY: handed on; the level was detected on this processor. Among the floats, f32 alone has 4 bytes.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        match (level(), T::SIZE) {
            (Level::Avx512, 4) => return avx512::<__m512>(cast(product), work),
            (Level::Avx512, _) => return avx512::<__m512d>(cast(product), work),
            (Level::Avx2, 4) => return avx2::<__m256>(cast(product), work),
            (Level::Avx2, _) => return avx2::<__m256d>(cast(product), work),
            _ => {}
        }
        drive::<Plain<T>, 4, { Level::Portable as u8 }>(product, work);
    }
}

/// The same product, its element type spelled out.
#[cfg(target_arch = "x86_64")]
unsafe fn cast<T: Float, U: Float>(product: &Product<T>) -> &Product<U> {
    // SAFETY: T and U are the same type, by the caller.
    unsafe { &*std::ptr::from_ref(product).cast() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn avx512<V: Vector>(product: &Product<V::T>, work: &mut [u8]) {
    // SAFETY: handed on.
    unsafe { drive::<V, 8, { Level::Avx512 as u8 }>(product, work) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<V: Vector>(product: &Product<V::T>, work: &mut [u8]) {
    // SAFETY: handed on.
    unsafe { drive::<V, 6, { Level::Avx2 as u8 }>(product, work) }
}

/// What happens to one tile of results.
#[derive(Clone, Copy)]
struct Finish<T> {
    add: bool,
    bias: *const T,
}

/// The columns of a panel: two vectors.
const fn columns<V: Vector>() -> usize {
    2 * V::LANES
}

#[inline(always)]
unsafe fn drive<V: Vector, const MR: usize, const L: u8>(p: &Product<V::T>, work: &mut [u8]) {
    let nr = columns::<V>();
    let panel_bytes = pack::panel_bytes::<V::T>(p.k);
    let packs_left = p.a.k != 1 && p.k > 1;
    let row_block = if packs_left { pack::left_rows(V::T::SIZE, p.m, p.k) } else { LEFT_ROWS };
    let need = panel_bytes + if packs_left { pack::left_bytes::<V::T>(p.m, p.k) } else { 0 };
    assert!(
        work.len() >= need && work.as_ptr().addr().is_multiple_of(V::T::SIZE),
        "the workspace was planned too small"
    );
    let panel: *mut V::T = work.as_mut_ptr().cast();
    let left: *mut V::T = work.as_mut_ptr().wrapping_add(panel_bytes).cast();
    for i0 in (0..p.m).step_by(row_block) {
        let m = row_block.min(p.m - i0);
        let mut k0 = 0;
        loop {
            let k = BLOCK.min(p.k - k0);
            let last = k0 + k == p.k;
            let mut a = p.a.at(i0, k0);
            if packs_left {
                let stride = pack::left_stride(p.k);
                // SAFETY: the workspace holds left_rows rows of this stride.
                unsafe { pack::left::<V::T, L>(a, m, k, left, stride) };
                a = MatRef { ptr: left, stride: stride as isize, k: 1 };
            }
            for j0 in (0..p.n).step_by(nr) {
                let columns = nr.min(p.n - j0);
                let mut b = p.b.at(j0, k0);
                if p.m > FEW_ROWS || b.stride != 1 || columns < nr {
                    // SAFETY: the workspace holds a panel.
                    unsafe { pack::right::<V, L>(b, columns, k, panel) };
                    b = MatRef { ptr: panel, stride: 1, k: nr as isize };
                }
                let bias = if last && !p.bias.is_null() { p.bias.wrapping_add(j0) } else { std::ptr::null() };
                let finish = Finish { add: k0 > 0 || p.acc == Acc::AddBlocks, bias };
                let dst = p.dst.wrapping_add(i0 * p.dst_stride + j0);
                // SAFETY: m rows and `columns` columns of dst are ours; a and b have k elements each.
                unsafe { panel_rows::<V, MR>(a, b, m, columns, k, dst, p.dst_stride, finish) };
            }
            k0 += k;
            if last {
                break;
            }
        }
    }
}

/// All rows against one panel.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn panel_rows<V: Vector, const MR: usize>(
    a: MatRef<V::T>,
    b: MatRef<V::T>,
    m: usize,
    columns: usize,
    k: usize,
    dst: *mut V::T,
    stride: usize,
    finish: Finish<V::T>,
) {
    let mut spare = MaybeUninit::<[[V; 2]; MR]>::uninit();
    let nr = self::columns::<V>();
    let whole = Finish { add: false, bias: std::ptr::null() };
    let mut i = 0;
    while i < m {
        let rows = (m - i).min(if m - i > 4 { MR } else { 4 });
        let (from, out) = (a.at(i, 0), dst.wrapping_add(i * stride));
        // SAFETY: rows i .. i + rows are below m; a tile goes to dst with all columns, or to the spare one.
        unsafe {
            if columns == nr {
                tiles::<V, MR, 2>(from, b, rows, k, out, stride, finish);
            } else {
                let to = spare.as_mut_ptr().cast();
                if columns > V::LANES {
                    tiles::<V, MR, 2>(from, b, rows, k, to, nr, whole);
                } else {
                    tiles::<V, MR, 1>(from, b, rows, k, to, nr, whole);
                }
                copy_out(to, nr, rows, columns, out, stride, finish);
            }
        }
        i += rows;
    }
}

/// The columns that exist, from a whole tile to the destination.
#[inline(never)]
unsafe fn copy_out<T: Float>(
    tile: *const T,
    width: usize,
    rows: usize,
    columns: usize,
    dst: *mut T,
    stride: usize,
    finish: Finish<T>,
) {
    for i in 0..rows {
        for j in 0..columns {
            // SAFETY: the tile has this row and column, dst and the bias too.
            unsafe {
                let mut out = *tile.add(i * width + j);
                let to = dst.add(i * stride + j);
                if finish.add {
                    out = *to + out;
                }
                if !finish.bias.is_null() {
                    out += *finish.bias.add(j);
                }
                to.write(out);
            }
        }
    }
}

/// Few rows in a lower tile.
#[inline(always)]
unsafe fn tiles<V: Vector, const MR: usize, const NV: usize>(
    a: MatRef<V::T>,
    b: MatRef<V::T>,
    rows: usize,
    k: usize,
    dst: *mut V::T,
    stride: usize,
    finish: Finish<V::T>,
) {
    // SAFETY: handed on.
    unsafe {
        match rows {
            1 => tile::<V, 1, NV>(a, b, rows, k, dst, stride, finish),
            2 => tile::<V, 2, NV>(a, b, rows, k, dst, stride, finish),
            3 | 4 => tile::<V, 4, NV>(a, b, rows, k, dst, stride, finish),
            _ => tile::<V, MR, NV>(a, b, rows, k, dst, stride, finish),
        }
    }
}

/// One tile of NV vectors of columns: `rows` of its MR rows count, the others repeat the last.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // constant trip counts: the accumulators stay in registers
unsafe fn tile<V: Vector, const MR: usize, const NV: usize>(
    a: MatRef<V::T>,
    b: MatRef<V::T>,
    rows: usize,
    k: usize,
    dst: *mut V::T,
    stride: usize,
    finish: Finish<V::T>,
) {
    let from: [*const V::T; MR] = std::array::from_fn(|i| a.at(i.min(rows - 1), 0).ptr);
    // SAFETY: a has `rows` rows and b NV vectors of columns, of k elements; dst has rows × NV vectors, the bias has NV.
    unsafe {
        let mut acc = [[V::splat(V::T::ZERO); NV]; MR];
        let mut row = b.ptr;
        for p in 0..k {
            let mut y = [V::splat(V::T::ZERO); NV];
            for j in 0..NV {
                y[j] = V::load(row.add(j * V::LANES));
            }
            for i in 0..MR {
                let x = V::splat(*from[i].add(p));
                for j in 0..NV {
                    acc[i][j] = x.mul_add(y[j], acc[i][j]);
                }
            }
            row = row.wrapping_offset(b.k);
        }
        for i in 0..MR {
            if i < rows {
                for j in 0..NV {
                    let to = dst.add(i * stride + j * V::LANES);
                    let mut out = acc[i][j];
                    if finish.add {
                        out = V::load(to).add(out);
                    }
                    if !finish.bias.is_null() {
                        out = out.add(V::load(finish.bias.add(j * V::LANES)));
                    }
                    out.store(to);
                }
            }
        }
    }
}
