//! One scalar source, three instruction sets: the compiler vectorises it for each, the process chooses once.

use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whatever the target guarantees; `mul_add` may be a library call: right, and slow.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, VL, BW, DQ.
    Avx512,
}

static LEVEL: AtomicU8 = AtomicU8::new(u8::MAX);

/// The best level of this processor, found once a process. The bits do not depend on it.
#[inline]
pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        0 => Level::Portable,
        1 => Level::Avx2,
        2 => Level::Avx512,
        _ => detect(),
    }
}

#[cold]
fn detect() -> Level {
    let found = best();
    LEVEL.store(found as u8, Ordering::Relaxed);
    found
}

/// The best level that this processor has.
pub fn best() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("fma")
        {
            return Level::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Level::Avx2;
        }
    }
    Level::Portable
}

/// For tests: pretend to be a lesser processor.
pub fn force(level: Level) {
    LEVEL.store(level.min(best()) as u8, Ordering::Relaxed);
}

/// Compiles a function for every level and calls the one for this processor.
///
/// ```ignore
/// multiversion! {
///     /// Adds.
///     pub fn add<T: Float>(dst: &mut [T], a: &[T]) { for (d, a) in dst.iter_mut().zip(a) { *d = *d + *a } }
/// }
/// ```
/// The body is inlined into each version, so everything it calls must be `#[inline(always)]` to be vectorised with it.
#[macro_export]
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$t:ident: $bound:path $(, const $n:ident: $nt:ty)*>)?
        ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name$(<$t: $bound $(, const $n: $nt)*>)?($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body$(<$t: $bound $(, const $n: $nt)*>)?($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx512$(<$t: $bound $(, const $n: $nt)*>)?($($arg: $ty),*) $(-> $ret)? { body$(::<$t $(, $n)*>)?($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx2$(<$t: $bound $(, const $n: $nt)*>)?($($arg: $ty),*) $(-> $ret)? { body$(::<$t $(, $n)*>)?($($arg),*) }
            match $crate::kernels::simd::level() {
                // SAFETY: the level was detected on this processor.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::simd::Level::Avx512 => unsafe { avx512$(::<$t $(, $n)*>)?($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::simd::Level::Avx2 => unsafe { avx2$(::<$t $(, $n)*>)?($($arg),*) },
                _ => body$(::<$t $(, $n)*>)?($($arg),*),
            }
        }
    };
}
