//! Small products in place: a register tile over strided operands, for convolution and attention.
//!
//! Unlike the large product it packs nothing: B is read row by row where it lies (`b_k` apart, columns contiguous).
//! Each element is one FMA chain over k; how rows and columns are tiled does not show in the bits.

use super::float::Float;
use super::simd::{Level, level};

/// The length of a chain; longer sums add the results of such blocks in order.
pub(super) const BLOCK: usize = 512;

/// What becomes of the old contents of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Overwritten: k in blocks of 512, each a chain from 0, added in order.
    Store,
    /// Added to: the same blocks, the old value first.
    Add,
    /// Each chain goes on from the old value (no blocks).
    Chain,
}

/// `C[i][j] (mode) Σ_k A[i][k] · B[k][j]`, k counted over two levels (outer, inner).
#[derive(Clone, Copy)]
pub(super) struct Product<T> {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Terms: outer times inner.
    pub k: [usize; 2],
    /// A.
    pub a: *const T,
    /// Distance of two rows of A.
    pub a_row: usize,
    /// Distance of two terms of A: outer, inner.
    pub a_k: [usize; 2],
    /// B, its columns contiguous.
    pub b: *const T,
    /// Distance of two terms of B: outer, inner.
    pub b_k: [usize; 2],
    /// C, its columns contiguous.
    pub c: *mut T,
    /// Distance of two rows of C.
    pub c_row: usize,
    /// What becomes of the old C.
    pub mode: Mode,
}

/// Computes a product. In modes Store and Add with more than 512 terms, k must have one level (`k[0]` = 1).
///
/// # Safety
/// All of A and B may be read and all of C written and nothing else touches C; C overlaps neither A nor B.
pub(super) unsafe fn product<T: Float>(p: Product<T>) {
    debug_assert!(p.mode == Mode::Chain || p.k[0] <= 1 || p.k[0] * p.k[1] <= BLOCK);
    // SAFETY: the level was detected on this processor; the rest is promised by the caller.
    unsafe {
        match (level(), T::SIZE) {
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, 4) => avx512::<T, 8, 32, 16, 8>(p),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, _) => avx512::<T, 8, 16, 8, 4>(p),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, 4) => avx2::<T, 4, 16, 8, 4>(p),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, _) => avx2::<T, 4, 8, 4, 2>(p),
            _ => blocks::<T, 4, 8, 4, 2>(p),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn avx512<T: Float, const M: usize, const N0: usize, const N1: usize, const N2: usize>(p: Product<T>) {
    // SAFETY: promised by the caller.
    unsafe { blocks::<T, M, N0, N1, N2>(p) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Float, const M: usize, const N0: usize, const N1: usize, const N2: usize>(p: Product<T>) {
    // SAFETY: promised by the caller.
    unsafe { blocks::<T, M, N0, N1, N2>(p) }
}

/// Cuts k into blocks.
#[inline(always)]
unsafe fn blocks<T: Float, const M: usize, const N0: usize, const N1: usize, const N2: usize>(p: Product<T>) {
    // SAFETY: promised by the caller; every block's terms are among the product's.
    unsafe {
        if p.mode == Mode::Chain || p.k[0] * p.k[1] <= BLOCK {
            return columns::<T, M, N0, N1, N2>(p);
        }
        let mut from = 0;
        while from < p.k[1] {
            let len = BLOCK.min(p.k[1] - from);
            let mode = if from == 0 { p.mode } else { Mode::Add };
            let (a, b) = (p.a.add(from * p.a_k[1]), p.b.add(from * p.b_k[1]));
            columns::<T, M, N0, N1, N2>(Product { a, b, k: [1, len], mode, ..p });
            from += len;
        }
    }
}

/// Cuts the columns into tiles; the rows run inside, so that a panel of B stays in cache.
#[inline(always)]
unsafe fn columns<T: Float, const M: usize, const N0: usize, const N1: usize, const N2: usize>(p: Product<T>) {
    let mut j = 0;
    // SAFETY: the columns j .. j + N are columns of the product.
    unsafe {
        while p.n - j >= N0 {
            rows::<T, M, N0>(&p, j);
            j += N0;
        }
        if p.n - j >= N1 {
            rows::<T, M, N1>(&p, j);
            j += N1;
        }
        if p.n - j >= N2 {
            rows::<T, M, N2>(&p, j);
            j += N2;
        }
        while j < p.n {
            rows::<T, M, 1>(&p, j);
            j += 1;
        }
    }
}

#[inline(always)]
unsafe fn rows<T: Float, const M: usize, const N: usize>(p: &Product<T>, j: usize) {
    let mut i = 0;
    // SAFETY: the rows i .. i + M are rows of the product.
    unsafe {
        while p.m - i >= M {
            tile::<T, M, N>(p, i, j);
            i += M;
        }
        if M > 4 && p.m - i >= 4 {
            tile::<T, 4, N>(p, i, j);
            i += 4;
        }
        if p.m - i >= 2 {
            tile::<T, 2, N>(p, i, j);
            i += 2;
        }
        if p.m > i {
            tile::<T, 1, N>(p, i, j);
        }
    }
}

/// One tile: M·N chains held in registers.
#[inline(always)]
unsafe fn tile<T: Float, const M: usize, const N: usize>(p: &Product<T>, i: usize, j: usize) {
    let mut sums = [[T::ZERO; N]; M];
    // SAFETY: rows i .. i + M and columns j .. j + N lie inside the product, and [T; N] is aligned as T.
    unsafe {
        let c = p.c.add(i * p.c_row + j);
        if p.mode == Mode::Chain {
            for (r, row) in sums.iter_mut().enumerate() {
                *row = *c.add(r * p.c_row).cast::<[T; N]>();
            }
        }
        for outer in 0..p.k[0] {
            let mut a = p.a.add(i * p.a_row + outer * p.a_k[0]);
            let mut b = p.b.add(j + outer * p.b_k[0]);
            for _ in 0..p.k[1] {
                let line = *b.cast::<[T; N]>();
                for (r, row) in sums.iter_mut().enumerate() {
                    let left = *a.add(r * p.a_row);
                    for (sum, right) in row.iter_mut().zip(line) {
                        *sum = left.mul_add(right, *sum);
                    }
                }
                a = a.wrapping_add(p.a_k[1]);
                b = b.wrapping_add(p.b_k[1]);
            }
        }
        for (r, row) in sums.iter_mut().enumerate() {
            let c = c.add(r * p.c_row).cast::<[T; N]>();
            if p.mode == Mode::Add {
                let old = *c;
                for (sum, old) in row.iter_mut().zip(old) {
                    *sum = old + *sum;
                }
            }
            *c = *row;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::{best, force};
    use crate::kernels::spatial::testing::values;

    fn naive<T: Float>(m: usize, n: usize, k: usize, a: &[T], b: &[T], c: &mut [T], mode: Mode) {
        for i in 0..m {
            for j in 0..n {
                let term = |t: usize, sum: T| a[i * k + t].mul_add(b[t * n + j], sum);
                let old = c[i * n + j];
                if mode == Mode::Chain {
                    c[i * n + j] = (0..k).fold(old, |sum, t| term(t, sum));
                    continue;
                }
                let mut total = (mode == Mode::Add).then_some(old);
                for from in (0..k.max(1)).step_by(BLOCK) {
                    let block = (from..k.min(from + BLOCK)).fold(T::ZERO, |sum, t| term(t, sum));
                    total = Some(total.map_or(block, |total| total + block));
                }
                c[i * n + j] = total.unwrap_or(T::ZERO);
            }
        }
    }

    fn check<T: Float>() {
        for (m, n, k) in [(1, 1, 1), (3, 5, 0), (8, 32, 16), (13, 71, 530), (17, 47, 7), (2, 33, 1100), (0, 4, 4)] {
            let (a, b, c) = (values::<T>(m * k, 1), values::<T>(k * n, 2), values::<T>(m * n, 3));
            let _turn = crate::kernels::twin::turn();
            for mode in [Mode::Store, Mode::Add, Mode::Chain] {
                let mut wanted = c.clone();
                naive(m, n, k, &a, &b, &mut wanted, mode);
                for level in [Level::Portable, Level::Avx2, Level::Avx512] {
                    force(level);
                    let mut found = c.clone();
                    // SAFETY: the three vectors have the sizes said.
                    unsafe {
                        product(Product {
                            m,
                            n,
                            k: [1, k],
                            a: a.as_ptr(),
                            a_row: k,
                            a_k: [0, 1],
                            b: b.as_ptr(),
                            b_k: [0, n],
                            c: found.as_mut_ptr(),
                            c_row: n,
                            mode,
                        })
                    };
                    assert_eq!(found, wanted, "{m}×{n}×{k} {mode:?} {level:?}");
                }
                force(best());
            }
        }
    }

    #[test]
    fn a_product_is_its_naive_twin_bit_for_bit() {
        check::<f32>();
        check::<f64>();
    }
}
