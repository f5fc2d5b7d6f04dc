//! A register of floats, for the one loop that must not depend on the compiler's mood.
//!
//! Auto-vectorised, the same tile is as fast in most shapes and falls to 2 % of the peak in some (f64 8 × 16 is one).

use crate::kernels::float::Float;

/// A vector register.
///
/// # Safety
/// `load` and `store` touch `LANES` neighbours. The methods may only be called where the processor has the
/// instructions, inside a function compiled for them.
pub unsafe trait Vector: Copy {
    /// A lane.
    type T: Float;
    /// How many lanes.
    const LANES: usize;
    /// Equal lanes.
    ///
    /// # Safety
    /// See the trait, here and below.
    unsafe fn splat(x: Self::T) -> Self;
    /// From memory, unaligned.
    #[allow(clippy::missing_safety_doc)]
    unsafe fn load(from: *const Self::T) -> Self;
    /// To memory, unaligned.
    #[allow(clippy::missing_safety_doc)]
    unsafe fn store(self, to: *mut Self::T);
    /// `self * a + b`, rounded once.
    #[allow(clippy::missing_safety_doc)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// The sum.
    #[allow(clippy::missing_safety_doc)]
    unsafe fn add(self, b: Self) -> Self;
}

/// Four numbers, where there are no vectors.
#[derive(Clone, Copy)]
pub struct Plain<T>([T; 4]);

// SAFETY: plain arithmetic on four neighbours.
unsafe impl<T: Float> Vector for Plain<T> {
    type T = T;
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Plain([x; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: promised by the caller.
        unsafe { Plain(from.cast::<[T; 4]>().read()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: promised by the caller.
        unsafe { to.cast::<[T; 4]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i].mul_add(a.0[i], b.0[i])))
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + b.0[i]))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($v:ident, $t:ident, $lanes:literal, $splat:ident, $load:ident, $store:ident, $fma:ident, $add:ident) => {
            // SAFETY: the intrinsics do what their names say, on this many lanes.
            unsafe impl Vector for $v {
                type T = $t;
                const LANES: usize = $lanes;
                #[inline(always)]
                unsafe fn splat(x: $t) -> $v {
                    // SAFETY: the caller has the instructions, here and below.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load(from: *const $t) -> $v {
                    // SAFETY: as above, and the memory is valid.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $t) {
                    // SAFETY: as above, and the memory is valid.
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn mul_add(self, a: $v, b: $v) -> $v {
                    // SAFETY: as above.
                    unsafe { $fma(self, a, b) }
                }
                #[inline(always)]
                unsafe fn add(self, b: $v) -> $v {
                    // SAFETY: as above.
                    unsafe { $add(self, b) }
                }
            }
        };
    }
    vector!(__m512, f32, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_add_ps);
    vector!(__m512d, f64, 8, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, _mm512_add_pd);
    vector!(__m256, f32, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_add_ps);
    vector!(__m256d, f64, 4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, _mm256_add_pd);
}
