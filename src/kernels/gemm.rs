//! Matrix products: one tile, every layout, one order of sums.
//!
//! An element of a product is summed over k in blocks of 512 from 0: inside a block one chain of fused multiply-adds
//! that starts at 0, block results added in order, the bias last. Neither the number of rows, nor the range of rows,
//! nor the tile shows in the bits.

mod pack;
mod tile;
mod vector;

use super::call::{Access, Call, Kernel, Layout, View, Worker};
use super::float::Float;
use super::simd::{Level, level};
use std::ops::Range;

/// A summation block of k.
pub const BLOCK: usize = 512;

/// A factor of a product: element (i, k) stands at `ptr + i * stride + k * k_stride`, where i is a row of the left
/// factor or a column of the right one.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<T> {
    /// The element (0, 0).
    pub ptr: *const T,
    /// The distance between rows of the left factor, or columns of the right one.
    pub stride: isize,
    /// The distance between neighbours along the summed axis.
    pub k: isize,
}

impl<T> MatRef<T> {
    /// The factor from row (or column) `i` and summed index `k` on.
    fn at(self, i: usize, k: usize) -> MatRef<T> {
        MatRef { ptr: self.ptr.wrapping_offset(i as isize * self.stride + k as isize * self.k), ..self }
    }
}

/// What happens to the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acc {
    /// It is overwritten: block 0 is stored, the others are added in order.
    Store,
    /// Every block is added to it, in order.
    AddBlocks,
}

/// `dst[i, j] (+)= sum over k of a[i, k] b[k, j]`, in the order of sums of this module.
///
/// Element (i, j) of the destination stands at `dst + i * dst_stride + j`. `work` is 64-byte aligned and has at least
/// `gemm_work::<T>(k, n)` bytes.
///
/// # Safety
/// All m × k, k × n and m × n elements are valid, and nobody else touches the destination, nor writes the factors.
#[allow(clippy::too_many_arguments)]
pub unsafe fn gemm_block<T: Float>(
    dst: *mut T,
    dst_stride: usize,
    a: MatRef<T>,
    b: MatRef<T>,
    m: usize,
    n: usize,
    k: usize,
    acc: Acc,
    work: &mut [u8],
) {
    let product = Product { dst, dst_stride, a, b, bias: std::ptr::null(), m, n, k, acc };
    // SAFETY: promised by the caller.
    unsafe { tile::run(&product, work) }
}

/// Bytes of scratch memory that `gemm_block` needs for any m, whatever the strides.
pub fn gemm_work<T: Float>(k: usize, n: usize) -> usize {
    let _ = n;
    pack::panel_bytes::<T>(k) + pack::left_bytes::<T>(usize::MAX, k)
}

/// A transposed copy: `dst[c * dst_stride + r] = src[r * src_stride + c]`.
///
/// # Safety
/// rows × cols elements are valid; the rows of `dst` have room for `rows` rounded up to 16, and nobody else touches them.
pub(super) unsafe fn transpose<T: Float>(
    (src, src_stride): (*const T, isize),
    (rows, cols): (usize, usize),
    (dst, dst_stride): (*mut T, usize),
) {
    // SAFETY: promised by the caller; the level is this processor's.
    unsafe {
        match level() {
            Level::Avx512 => {
                pack::transpose::<T, { Level::Avx512 as u8 }>(src, src_stride, rows, cols, dst, dst_stride)
            }
            Level::Avx2 => pack::transpose::<T, { Level::Avx2 as u8 }>(src, src_stride, rows, cols, dst, dst_stride),
            _ => pack::transpose::<T, { Level::Portable as u8 }>(src, src_stride, rows, cols, dst, dst_stride),
        }
    }
}

/// One product, as the tile loop takes it.
struct Product<T> {
    dst: *mut T,
    dst_stride: usize,
    a: MatRef<T>,
    b: MatRef<T>,
    /// n values, or null.
    bias: *const T,
    m: usize,
    n: usize,
    k: usize,
    acc: Acc,
}

/// `y = x wᵀ + bias`.
///
/// * ins: x `[.., in]` in rows, w `[out, in]` with any strides, bias `[out]` dense (optional)
/// * outs: y `[.., out]`
///
/// Units are rows. Sums: as every product (see the module), the bias last.
pub static LINEAR: Kernel = Kernel {
    name: "linear",
    run: [linear::<f32>, linear::<f64>],
    units: super::call::output_rows,
    work: linear_work,
    reads: &[(Layout::Rows, Access::Unit), (Layout::Any, Access::All), (Layout::Dense, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// `y = a b`.
///
/// * ins: a `[n, k]`, b `[k, m]`, both with any strides: `nt` and `tn` products are transposed views
/// * outs: y `[n, m]`
///
/// Units are rows. A unit reads one row of the *view* a; where a is a transposed view, that is a column of the buffer,
/// so the planner must then take its access for `All`. Sums: as every product (see the module).
pub static MATMUL: Kernel = Kernel {
    name: "matmul",
    run: [matmul::<f32>, matmul::<f64>],
    units: super::call::output_rows,
    work: matmul_work,
    reads: &[(Layout::Any, Access::Unit), (Layout::Any, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// `y = a b` for every index of the leading axes.
///
/// * ins: a `[.., n, k]`, b `[.., k, m]`, any strides (0 for expanded leading axes), equal leading axes
/// * outs: y `[.., n, m]`
///
/// Units are rows over all leading indices. As for `MATMUL`, a transposed view is read across units, within its index
/// of the leading axes; an expanded leading axis is read by everyone. Sums: as every product (see the module).
pub static BMM: Kernel = Kernel {
    name: "bmm",
    run: [bmm::<f32>, bmm::<f64>],
    units: super::call::output_rows,
    work: matmul_work,
    reads: &[(Layout::Any, Access::Unit), (Layout::Any, Access::Batch)],
    writes: &[Access::Unit],
    inplace: &[],
};

fn size(view: &View) -> usize {
    view.dtype.size()
}

fn linear_work(call: &Call) -> usize {
    pack::panel_bytes_of(size(call.input(1)), call.input(0).last())
}

fn matmul_work(call: &Call) -> usize {
    let a = call.input(0);
    let (m, k) = (a.dim(a.rank() - 2), a.last());
    let left = if a.stride(a.rank() - 1) == 1 { 0 } else { pack::left_bytes_of(size(a), m, k) };
    pack::panel_bytes_of(size(a), k) + left
}

unsafe fn linear<T: Float>(call: &Call, worker: &mut Worker<'_>, rows: Range<usize>) {
    let (x, w, y) = (call.input(0), call.input(1), call.output(0));
    let stride = x.row_stride().expect("the planner supplies x in rows");
    let product = Product {
        dst: y.as_ptr::<T>().wrapping_add(rows.start * y.last()),
        dst_stride: y.last(),
        a: MatRef { ptr: x.as_ptr::<T>().wrapping_add(rows.start * stride), stride: stride as isize, k: 1 },
        b: MatRef { ptr: w.as_ptr(), stride: w.stride(0), k: w.stride(1) },
        bias: call.ins.get(2).copied().flatten().map_or(std::ptr::null(), |bias| bias.as_ptr::<T>()),
        m: rows.len(),
        n: y.last(),
        k: x.last(),
        acc: Acc::Store,
    };
    // SAFETY: the views are live and of these sizes, and these rows of y are this thread's (the kernel's contract).
    unsafe { tile::run(&product, worker.work) }
}

unsafe fn matmul<T: Float>(call: &Call, worker: &mut Worker<'_>, rows: Range<usize>) {
    // SAFETY: handed on; there are no leading axes, so the units are rows of one matrix.
    unsafe { bmm::<T>(call, worker, rows) }
}

unsafe fn bmm<T: Float>(call: &Call, worker: &mut Worker<'_>, rows: Range<usize>) {
    let (a, b, y) = (call.input(0), call.input(1), call.output(0));
    let lead = y.rank() - 2;
    let (n, m) = (y.dim(lead), y.dim(lead + 1));
    let mut row = rows.start;
    while row < rows.end {
        let (matrix, first) = (row / n, row % n);
        let count = (n - first).min(rows.end - row);
        let (mut rest, mut at_a, mut at_b) = (matrix, 0, 0);
        for axis in (0..lead).rev() {
            let index = (rest % y.dim(axis)) as isize;
            rest /= y.dim(axis);
            at_a += index * a.stride(axis);
            at_b += index * b.stride(axis);
        }
        let left = MatRef {
            ptr: a.as_ptr::<T>().wrapping_offset(at_a).cast_const(),
            stride: a.stride(lead),
            k: a.stride(lead + 1),
        };
        let product = Product {
            dst: y.as_ptr::<T>().wrapping_add(row * m),
            dst_stride: m,
            a: left.at(first, 0),
            b: MatRef { ptr: b.as_ptr::<T>().wrapping_offset(at_b), stride: b.stride(lead + 1), k: b.stride(lead) },
            bias: std::ptr::null(),
            m: count,
            n: m,
            k: a.last(),
            acc: Acc::Store,
        };
        // SAFETY: the views are live and of these sizes, and these rows of y are this thread's (the kernel's contract).
        unsafe { tile::run(&product, worker.work) }
        row += count;
    }
}

#[cfg(test)]
mod tests;
