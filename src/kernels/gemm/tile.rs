//! The loops of a product: rows in blocks, k in blocks, panels of columns, tiles.

use super::pack;
use super::{Acc, BLOCK, MatRef, Product};
use crate::kernels::float::Float;
use crate::kernels::simd::{Level, level};
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
    // SAFETY: handed on; the level was detected on this processor.
    unsafe {
        match (level(), T::SIZE) {
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, 4) => avx512::<T, 32>(product, work),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, _) => avx512::<T, 16>(product, work),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, 4) => avx2::<T, 16>(product, work),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, _) => avx2::<T, 8>(product, work),
            _ => drive::<T, 4, 8, { Level::Portable as u8 }>(product, work),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn avx512<T: Float, const NR: usize>(product: &Product<T>, work: &mut [u8]) {
    // SAFETY: handed on.
    unsafe { drive::<T, 8, NR, { Level::Avx512 as u8 }>(product, work) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Float, const NR: usize>(product: &Product<T>, work: &mut [u8]) {
    // SAFETY: handed on.
    unsafe { drive::<T, 6, NR, { Level::Avx2 as u8 }>(product, work) }
}

/// What happens to one tile of results.
#[derive(Clone, Copy)]
struct Finish<T> {
    add: bool,
    bias: *const T,
}

#[inline(always)]
unsafe fn drive<T: Float, const MR: usize, const NR: usize, const L: u8>(p: &Product<T>, work: &mut [u8]) {
    let panel_bytes = pack::panel_bytes::<T>(p.k);
    let packs_left = p.a.k != 1 && p.k > 1;
    let row_block = if packs_left { pack::left_rows(T::SIZE, p.m, p.k) } else { LEFT_ROWS };
    let need = panel_bytes + if packs_left { pack::left_bytes::<T>(p.m, p.k) } else { 0 };
    assert!(work.len() >= need && work.as_ptr().addr().is_multiple_of(T::SIZE), "the workspace was planned too small");
    let panel: *mut T = work.as_mut_ptr().cast();
    let left: *mut T = work.as_mut_ptr().wrapping_add(panel_bytes).cast();
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
                unsafe { pack::left::<T, L>(a, m, k, left, stride) };
                a = MatRef { ptr: left, stride: stride as isize, k: 1 };
            }
            for j0 in (0..p.n).step_by(NR) {
                let columns = NR.min(p.n - j0);
                let mut b = p.b.at(j0, k0);
                if p.m > FEW_ROWS || b.stride != 1 || columns < NR {
                    // SAFETY: the workspace holds a panel.
                    unsafe { pack::right::<T, NR, L>(b, columns, k, panel) };
                    b = MatRef { ptr: panel, stride: 1, k: NR as isize };
                }
                let bias = if last && !p.bias.is_null() { p.bias.wrapping_add(j0) } else { std::ptr::null() };
                let finish = Finish { add: k0 > 0 || p.acc == Acc::AddBlocks, bias };
                let dst = p.dst.wrapping_add(i0 * p.dst_stride + j0);
                // SAFETY: m rows and `columns` columns of dst are ours; a and b have k elements each.
                unsafe { panel_rows::<T, MR, NR>(a, b, m, columns, k, dst, p.dst_stride, finish) };
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
unsafe fn panel_rows<T: Float, const MR: usize, const NR: usize>(
    a: MatRef<T>,
    b: MatRef<T>,
    m: usize,
    columns: usize,
    k: usize,
    dst: *mut T,
    stride: usize,
    finish: Finish<T>,
) {
    let mut spare = MaybeUninit::<[[T; NR]; MR]>::uninit();
    let whole = Finish { add: false, bias: std::ptr::null() };
    let mut i = 0;
    while i < m {
        let rows = (m - i).min(if m - i > 4 { MR } else { 4 });
        let (from, out) = (a.at(i, 0), dst.wrapping_add(i * stride));
        let (to, to_stride, how) =
            if columns == NR { (out, stride, finish) } else { (spare.as_mut_ptr().cast::<T>(), NR, whole) };
        // SAFETY: rows i .. i + rows are below m; `to` is dst with all columns, or the spare tile.
        unsafe {
            if rows > 4 {
                tile::<T, MR, NR>(from, b, rows, k, to, to_stride, how);
            } else if rows > 2 {
                tile::<T, 4, NR>(from, b, rows, k, to, to_stride, how);
            } else {
                tile::<T, 2, NR>(from, b, rows, k, to, to_stride, how);
            }
            if columns < NR {
                copy_out(to, NR, rows, columns, out, stride, finish);
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

/// One tile of NR columns: `rows` of its MR rows count, the others repeat the last.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // constant trip counts: the accumulators stay in registers
unsafe fn tile<T: Float, const MR: usize, const NR: usize>(
    a: MatRef<T>,
    b: MatRef<T>,
    rows: usize,
    k: usize,
    dst: *mut T,
    stride: usize,
    finish: Finish<T>,
) {
    let mut acc = [[T::ZERO; NR]; MR];
    let from: [*const T; MR] = std::array::from_fn(|i| a.at(i.min(rows - 1), 0).ptr);
    // SAFETY: a has `rows` rows and b has NR columns of k elements; dst has rows × NR elements, the bias has NR.
    unsafe {
        let mut row = b.ptr;
        for p in 0..k {
            let y = row.cast::<[T; NR]>().read();
            for i in 0..MR {
                let x = *from[i].add(p);
                for j in 0..NR {
                    acc[i][j] = x.mul_add(y[j], acc[i][j]);
                }
            }
            row = row.wrapping_offset(b.k);
        }
        for i in 0..MR {
            if i < rows {
                let to = dst.add(i * stride).cast::<[T; NR]>();
                let mut out = acc[i];
                if finish.add {
                    let old = to.read();
                    for j in 0..NR {
                        out[j] = old[j] + out[j];
                    }
                }
                if !finish.bias.is_null() {
                    let bias = finish.bias.cast::<[T; NR]>().read();
                    for j in 0..NR {
                        out[j] += bias[j];
                    }
                }
                to.write(out);
            }
        }
    }
}
