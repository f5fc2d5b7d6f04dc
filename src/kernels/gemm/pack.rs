//! Copies of the factors in the order in which the tile reads them.

use super::vector::Vector;
use super::{BLOCK, MatRef};
use crate::kernels::float::Float;
use crate::kernels::simd::Level;

/// Bytes of packed left rows that stay in the second-level cache.
const LEFT_BYTES: usize = 512 << 10;
/// A multiple of every tile height and of every transposed block.
const LEFT_STEP: usize = 48;

/// Bytes of one panel of the right factor: 128 bytes of columns for each k of a block.
pub fn panel_bytes<T: Float>(k: usize) -> usize {
    panel_bytes_of(T::SIZE, k)
}

/// As above, for an element size.
pub fn panel_bytes_of(_size: usize, k: usize) -> usize {
    k.min(BLOCK) * 128
}

/// The distance of packed left rows: whole vectors, and no power of two.
pub fn left_stride(k: usize) -> usize {
    k.min(BLOCK).next_multiple_of(16) + 16
}

/// How many left rows are packed at once.
pub fn left_rows(size: usize, m: usize, k: usize) -> usize {
    let fit = LEFT_BYTES / (left_stride(k) * size);
    (fit / LEFT_STEP * LEFT_STEP).max(LEFT_STEP).min(m)
}

/// Bytes of the packed left rows of a product with m rows.
pub fn left_bytes<T: Float>(m: usize, k: usize) -> usize {
    left_bytes_of(T::SIZE, m, k)
}

/// As above, for an element size.
pub fn left_bytes_of(size: usize, m: usize, k: usize) -> usize {
    left_rows(size, m, k) * left_stride(k) * size
}

/// Packs `k` × `columns` of the right factor into rows of two vectors; what stands beyond `columns` is of no account.
///
/// # Safety
/// The elements are valid; `dst` has room for k such rows; the processor has the level `L`.
#[inline(always)]
pub unsafe fn right<V: Vector, const L: u8>(b: MatRef<V::T>, columns: usize, k: usize, dst: *mut V::T) {
    let nr = 2 * V::LANES;
    // SAFETY: all addresses are those of valid elements, or inside dst.
    unsafe {
        if b.stride == 1 && columns == nr {
            for p in 0..k {
                let row = b.ptr.offset(p as isize * b.k);
                V::load(row).store(dst.add(p * nr));
                V::load(row.add(V::LANES)).store(dst.add(p * nr + V::LANES));
            }
        } else if b.k == 1 {
            transpose::<V::T, L>(b.ptr, b.stride, columns, k, dst, nr);
        } else {
            for p in 0..k {
                for j in 0..columns {
                    *dst.add(p * nr + j) = *b.ptr.offset(p as isize * b.k + j as isize * b.stride);
                }
            }
        }
    }
}

/// Packs `m` × `k` of the left factor into rows of `stride`.
///
/// # Safety
/// The elements are valid; `dst` has room for m rows of `stride`, at least k rounded up to 16; the processor has the
/// level `L`.
#[inline(always)]
pub unsafe fn left<T: Float, const L: u8>(a: MatRef<T>, m: usize, k: usize, dst: *mut T, stride: usize) {
    // SAFETY: all addresses are those of valid elements, or inside dst.
    unsafe {
        if a.stride == 1 {
            transpose::<T, L>(a.ptr, a.k, k, m, dst, stride);
        } else {
            for i in 0..m {
                for p in 0..k {
                    *dst.add(i * stride + p) = *a.ptr.offset(i as isize * a.stride + p as isize * a.k);
                }
            }
        }
    }
}

/// `dst[c * dst_stride + r] = src[r * src_stride + c]`.
///
/// # Safety
/// rows × cols elements are valid; the rows of `dst` have room for `rows` rounded up to 16 (at most the block width of
/// the level); the processor has the level `L`.
#[inline(always)]
pub unsafe fn transpose<T: Float, const L: u8>(
    src: *const T,
    src_stride: isize,
    rows: usize,
    cols: usize,
    dst: *mut T,
    dst_stride: usize,
) {
    let width = width::<T, L>();
    let whole = if width == 1 { 0 } else { cols / width * width };
    // SAFETY: rows are clamped to the last, columns end at a whole block, the rest is copied one by one; rows of dst
    // have room for a whole block.
    unsafe {
        if whole > 0 {
            for r in (0..rows).step_by(width) {
                let row = |i: usize| src.offset((r + i).min(rows - 1) as isize * src_stride);
                for c in (0..whole).step_by(width) {
                    block::<T, L>(|i| row(i).add(c), dst.add(c * dst_stride + r), dst_stride);
                }
            }
        }
        for r in 0..rows {
            for c in whole..cols {
                *dst.add(c * dst_stride + r) = *src.offset(r as isize * src_stride + c as isize);
            }
        }
    }
}

/// The side of a transposed block: one vector, or 1 where there are no vectors.
#[inline(always)]
const fn width<T: Float, const L: u8>() -> usize {
    if L == Level::Avx512 as u8 {
        64 / T::SIZE
    } else if L == Level::Avx2 as u8 {
        32 / T::SIZE
    } else {
        1
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
unsafe fn block<T: Float, const L: u8>(_: impl Fn(usize) -> *const T, _: *mut T, _: usize) {}

/// Transposes one square block: row i of the source becomes column i.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn block<T: Float, const L: u8>(row: impl Fn(usize) -> *const T, dst: *mut T, stride: usize) {
    // SAFETY: a block of rows and of dst is valid by the caller; the level says which instructions there are.
    unsafe {
        if L == Level::Avx512 as u8 && T::SIZE == 4 {
            x86::block_16(std::array::from_fn(|i| row(i).cast()), dst.cast(), stride);
        } else if L == Level::Avx512 as u8 {
            x86::block_8_wide(std::array::from_fn(|i| row(i).cast()), dst.cast(), stride);
        } else if T::SIZE == 4 {
            x86::block_8(std::array::from_fn(|i| row(i).cast()), dst.cast(), stride);
        } else {
            x86::block_4(std::array::from_fn(|i| row(i).cast()), dst.cast(), stride);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::array::from_fn;

    /// 16 × 16 of 4 bytes.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub unsafe fn block_16(rows: [*const f32; 16], dst: *mut f32, stride: usize) {
        // SAFETY: 16 values can be read at each pointer and written at each row of dst, by the caller.
        unsafe {
            let r: [__m512; 16] = from_fn(|i| _mm512_loadu_ps(rows[i]));
            // Pairs, then quadruples of rows, inside the 128-bit lanes.
            let t: [__m512; 16] = from_fn(|i| {
                let (a, b) = (r[i & !1], r[i | 1]);
                if i & 1 == 0 { _mm512_unpacklo_ps(a, b) } else { _mm512_unpackhi_ps(a, b) }
            });
            let u: [__m512; 16] = from_fn(|i| {
                let base = i & !3;
                let half = (i >> 1) & 1;
                let a = _mm512_castps_pd(t[base + half]);
                let b = _mm512_castps_pd(t[base + 2 + half]);
                _mm512_castpd_ps(if i & 1 == 0 { _mm512_unpacklo_pd(a, b) } else { _mm512_unpackhi_pd(a, b) })
            });
            // u[4 g + c], lane l: rows 4 g .. 4 g + 4 of column 4 l + c. Then the lanes themselves are transposed.
            for c in 0..4 {
                let low = _mm512_shuffle_f32x4::<0x44>(u[c], u[4 + c]);
                let high = _mm512_shuffle_f32x4::<0xee>(u[c], u[4 + c]);
                let low2 = _mm512_shuffle_f32x4::<0x44>(u[8 + c], u[12 + c]);
                let high2 = _mm512_shuffle_f32x4::<0xee>(u[8 + c], u[12 + c]);
                _mm512_storeu_ps(dst.add(c * stride), _mm512_shuffle_f32x4::<0x88>(low, low2));
                _mm512_storeu_ps(dst.add((4 + c) * stride), _mm512_shuffle_f32x4::<0xdd>(low, low2));
                _mm512_storeu_ps(dst.add((8 + c) * stride), _mm512_shuffle_f32x4::<0x88>(high, high2));
                _mm512_storeu_ps(dst.add((12 + c) * stride), _mm512_shuffle_f32x4::<0xdd>(high, high2));
            }
        }
    }

    /// 8 × 8 of 8 bytes.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub unsafe fn block_8_wide(rows: [*const f64; 8], dst: *mut f64, stride: usize) {
        // SAFETY: 8 values can be read at each pointer and written at each row of dst, by the caller.
        unsafe {
            let r: [__m512d; 8] = from_fn(|i| _mm512_loadu_pd(rows[i]));
            let t: [__m512d; 8] = from_fn(|i| {
                let (a, b) = (r[i & !1], r[i | 1]);
                if i & 1 == 0 { _mm512_unpacklo_pd(a, b) } else { _mm512_unpackhi_pd(a, b) }
            });
            // t[2 g + c], lane l: rows 2 g, 2 g + 1 of column 2 l + c.
            for c in 0..2 {
                let low = _mm512_shuffle_f64x2::<0x44>(t[c], t[2 + c]);
                let high = _mm512_shuffle_f64x2::<0xee>(t[c], t[2 + c]);
                let low2 = _mm512_shuffle_f64x2::<0x44>(t[4 + c], t[6 + c]);
                let high2 = _mm512_shuffle_f64x2::<0xee>(t[4 + c], t[6 + c]);
                _mm512_storeu_pd(dst.add(c * stride), _mm512_shuffle_f64x2::<0x88>(low, low2));
                _mm512_storeu_pd(dst.add((2 + c) * stride), _mm512_shuffle_f64x2::<0xdd>(low, low2));
                _mm512_storeu_pd(dst.add((4 + c) * stride), _mm512_shuffle_f64x2::<0x88>(high, high2));
                _mm512_storeu_pd(dst.add((6 + c) * stride), _mm512_shuffle_f64x2::<0xdd>(high, high2));
            }
        }
    }

    /// 8 × 8 of 4 bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn block_8(rows: [*const f32; 8], dst: *mut f32, stride: usize) {
        // SAFETY: 8 values can be read at each pointer and written at each row of dst, by the caller.
        unsafe {
            let r: [__m256; 8] = from_fn(|i| _mm256_loadu_ps(rows[i]));
            let t: [__m256; 8] = from_fn(|i| {
                let (a, b) = (r[i & !1], r[i | 1]);
                if i & 1 == 0 { _mm256_unpacklo_ps(a, b) } else { _mm256_unpackhi_ps(a, b) }
            });
            let u: [__m256; 8] = from_fn(|i| {
                let base = i & !3;
                let half = (i >> 1) & 1;
                let a = _mm256_castps_pd(t[base + half]);
                let b = _mm256_castps_pd(t[base + 2 + half]);
                _mm256_castpd_ps(if i & 1 == 0 { _mm256_unpacklo_pd(a, b) } else { _mm256_unpackhi_pd(a, b) })
            });
            for c in 0..4 {
                _mm256_storeu_ps(dst.add(c * stride), _mm256_permute2f128_ps::<0x20>(u[c], u[4 + c]));
                _mm256_storeu_ps(dst.add((4 + c) * stride), _mm256_permute2f128_ps::<0x31>(u[c], u[4 + c]));
            }
        }
    }

    /// 4 × 4 of 8 bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn block_4(rows: [*const f64; 4], dst: *mut f64, stride: usize) {
        // SAFETY: 4 values can be read at each pointer and written at each row of dst, by the caller.
        unsafe {
            let r: [__m256d; 4] = from_fn(|i| _mm256_loadu_pd(rows[i]));
            for c in 0..2 {
                let pair = |a, b| if c == 0 { _mm256_unpacklo_pd(a, b) } else { _mm256_unpackhi_pd(a, b) };
                let (low, high) = (pair(r[0], r[1]), pair(r[2], r[3]));
                _mm256_storeu_pd(dst.add(c * stride), _mm256_permute2f128_pd::<0x20>(low, high));
                _mm256_storeu_pd(dst.add((2 + c) * stride), _mm256_permute2f128_pd::<0x31>(low, high));
            }
        }
    }
}
