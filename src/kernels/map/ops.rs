//! The instructions.
//!
//! Each is one loop over slices, compiled for every instruction set; `p` and `q` are its immediate numbers.
//! Comparisons and logic give 1 and 0 and take everything but 0 (NaN too) for true.

use super::{MapOp, TileCx};
use crate::kernels::float::Float;
use crate::kernels::random::{self, Purpose, Stream};

/// Defines instructions: documentation, static, name, function, operands and immediate numbers, formula.
macro_rules! ops {
    () => {};
    ($(#[$doc:meta])* $NAME:ident $name:literal $f:ident |$x:ident; $p:ident, $q:ident| $body:expr; $($rest:tt)*) => {
        multiversion! {
            fn $f<T: Float>(cx: &TileCx, dst: &mut [T], a: &[T], _b: &[T], _c: &[T]) {
                let ($p, $q) = (T::of(cx.imm[0]), T::of(cx.imm[1]));
                let _ = ($p, $q);
                for (dst, &$x) in dst.iter_mut().zip(a) { *dst = $body; }
            }
        }
        $(#[$doc])*
        pub static $NAME: MapOp = MapOp { name: $name, arity: 1, raw: 0, f32: $f::<f32>, f64: $f::<f64> };
        ops! { $($rest)* }
    };
    ($(#[$doc:meta])* $NAME:ident $name:literal $f:ident |$x:ident, $y:ident| $body:expr; $($rest:tt)*) => {
        multiversion! {
            fn $f<T: Float>(_cx: &TileCx, dst: &mut [T], a: &[T], b: &[T], _c: &[T]) {
                for ((dst, &$x), &$y) in dst.iter_mut().zip(a).zip(b) { *dst = $body; }
            }
        }
        $(#[$doc])*
        pub static $NAME: MapOp = MapOp { name: $name, arity: 2, raw: 0, f32: $f::<f32>, f64: $f::<f64> };
        ops! { $($rest)* }
    };
    ($(#[$doc:meta])* $NAME:ident $name:literal $f:ident |$x:ident, $y:ident, $z:ident| $body:expr; $($rest:tt)*) => {
        multiversion! {
            fn $f<T: Float>(_cx: &TileCx, dst: &mut [T], a: &[T], b: &[T], c: &[T]) {
                for (((dst, &$x), &$y), &$z) in dst.iter_mut().zip(a).zip(b).zip(c) { *dst = $body; }
            }
        }
        $(#[$doc])*
        pub static $NAME: MapOp = MapOp { name: $name, arity: 3, raw: 0, f32: $f::<f32>, f64: $f::<f64> };
        ops! { $($rest)* }
    };
}

/// 1 or 0.
#[inline(always)]
fn truth<T: Float>(holds: bool) -> T {
    if holds { T::ONE } else { T::ZERO }
}

ops! {
    /// x.
    COPY "copy" copy |x; _p, _q| x;
    /// x + y.
    ADD "add" add |x, y| x + y;
    /// x - y.
    SUB "sub" sub |x, y| x - y;
    /// x y.
    MUL "mul" mul |x, y| x * y;
    /// x / y.
    DIV "div" div |x, y| x / y;
    /// -x.
    NEG "neg" neg |x; _p, _q| -x;
    /// |x|.
    ABS "abs" abs |x; _p, _q| x.abs();
    /// 1, 0 or -1; 0 for NaN, as PyTorch has it.
    SIGN "sign" sign |x; _p, _q| truth::<T>(x > T::ZERO) - truth::<T>(x < T::ZERO);
    /// x².
    SQUARE "square" square |x; _p, _q| x * x;
    /// 1 / x.
    RECIPROCAL "reciprocal" reciprocal |x; _p, _q| T::ONE / x;
    /// The square root.
    SQRT "sqrt" sqrt |x; _p, _q| x.sqrt();
    /// 1 / sqrt(x), rounded twice.
    RSQRT "rsqrt" rsqrt |x; _p, _q| T::ONE / x.sqrt();
    /// e^x.
    EXP "exp" exp |x; _p, _q| x.exp();
    /// The natural logarithm.
    LN "ln" ln |x; _p, _q| x.ln();
    /// ln(1 + x), exact for small x.
    LN1P "ln1p" ln1p |x; _p, _q| log1p(x);
    /// The hyperbolic tangent.
    TANH "tanh" tanh |x; _p, _q| x.tanh();
    /// 1 / (1 + e^-x).
    SIGMOID "sigmoid" sigmoid |x; _p, _q| x.sigmoid();
    /// The error function.
    ERF "erf" erf |x; _p, _q| x.erf();
    /// The sine.
    SIN "sin" sin |x; _p, _q| x.sin();
    /// The cosine.
    COS "cos" cos |x; _p, _q| x.cos();
    /// max(x, 0); NaN stays.
    RELU "relu" relu |x; _p, _q| if x <= T::ZERO { T::ZERO } else { x };
    /// Of x and dy: dy where x > 0, else 0 (dy where x is NaN, as PyTorch has it).
    RELU_GATE "relu_gate" relu_gate |x, dy| if x <= T::ZERO { T::ZERO } else { dy };
    /// x Φ(x), exact.
    GELU "gelu" gelu |x; _p, _q| x * normal_cdf(x);
    /// The derivative of `GELU`: Φ(x) + x φ(x).
    GELU_DERIVATIVE "gelu_derivative" gelu_derivative |x; _p, _q| {
        let density = (x * x * T::of(-0.5)).exp() * T::of(0.398_942_280_401_432_7);
        x.mul_add(density, normal_cdf(x))
    };
    /// x (1 + tanh u) / 2 = x sigmoid(2 u), u = sqrt(2/π) (x + 0.044715 x³).
    GELU_TANH "gelu_tanh" gelu_tanh |x; _p, _q| x * gelu_gate(x).0;
    /// The derivative of `GELU_TANH`: s + x s (1 - s) 2 u', s = sigmoid(2 u).
    GELU_TANH_DERIVATIVE "gelu_tanh_derivative" gelu_tanh_derivative |x; _p, _q| {
        let (s, rest, slope) = gelu_gate(x);
        (s * rest * x).mul_add(slope, s)
    };
    /// x sigmoid(1.702 x).
    GELU_SIGMOID "gelu_sigmoid" gelu_sigmoid |x; _p, _q| x * (x * T::of(1.702)).sigmoid();
    /// The derivative of `GELU_SIGMOID`.
    GELU_SIGMOID_DERIVATIVE "gelu_sigmoid_derivative" gelu_sigmoid_derivative |x; _p, _q| {
        let z = x * T::of(1.702);
        let (s, rest) = sigmoids(z);
        (s * rest).mul_add(z, s)
    };
    /// x sigmoid(x).
    SILU "silu" silu |x; _p, _q| x * x.sigmoid();
    /// ln(1 + e^x), without overflow.
    SOFTPLUS "softplus" softplus |x; _p, _q| {
        let above = if x > T::ZERO { x } else { T::ZERO };
        above + log1p((-x.abs()).exp())
    };
    /// The derivative of `SILU`: s + x s (1 - s), s = sigmoid(x).
    SILU_DERIVATIVE "silu_derivative" silu_derivative |x; _p, _q| {
        let (s, rest) = sigmoids(x);
        (s * rest).mul_add(x, s)
    };
    /// The larger; NaN wins.
    MAXIMUM "maximum" maximum |x, y| x.maximum(y);
    /// The smaller; NaN wins.
    MINIMUM "minimum" minimum |x, y| x.minimum(y);
    /// x = y.
    EQ "eq" eq |x, y| truth(x == y);
    /// x ≠ y.
    NE "ne" ne |x, y| truth(x != y);
    /// x < y.
    LT "lt" lt |x, y| truth(x < y);
    /// x ≤ y.
    LE "le" le |x, y| truth(x <= y);
    /// x > y.
    GT "gt" gt |x, y| truth(x > y);
    /// x ≥ y.
    GE "ge" ge |x, y| truth(x >= y);
    /// Of a condition and two values: the first where it holds, else the second.
    SELECT "select" select |x, y, z| if x != T::ZERO { y } else { z };
    /// Both.
    AND "and" and |x, y| truth((x != T::ZERO) & (y != T::ZERO));
    /// One or both.
    OR "or" or |x, y| truth((x != T::ZERO) | (y != T::ZERO));
    /// Not.
    NOT "not" not |x; _p, _q| truth(x == T::ZERO);
    /// x p + q, rounded twice, as `MUL` and `ADD` would.
    AFFINE "affine" affine |x; p, q| x * p + q;
    /// The largest integer not above x.
    FLOOR "floor" floor |x; _p, _q| x.floor();
    /// The remainder with the sign of y, as Python has it.
    REM "rem" rem |x, y| remainder(x, y);
    /// Neither NaN nor infinite.
    ISFINITE "isfinite" isfinite |x; _p, _q| truth(x.finite());
    /// Whether it is NaN.
    ISNAN "isnan" isnan |x; _p, _q| truth(x.nan());
    /// Whether it is infinite.
    ISINF "isinf" isinf |x; _p, _q| truth(!x.finite() & !x.nan());
    /// The tangent.
    TAN "tan" tan |x; _p, _q| x.sin() / x.cos();
    /// The smallest integer not below x.
    CEIL "ceil" ceil |x; _p, _q| -(-x).floor();
    /// The integer towards 0.
    TRUNC "trunc" trunc |x; _p, _q| x.abs().floor().copysign(x);
    /// The nearest integer; of two, the even one.
    ROUND "round" round |x; _p, _q| {
        let below = x.floor();
        let (rest, half) = (x - below, below * T::of(0.5));
        let odd = half.floor() != half;
        if (rest > T::of(0.5)) | ((rest == T::of(0.5)) & odd) { below + T::ONE } else { below }
    };
    /// 2^x, through f64.
    EXP2 "exp2" exp2 |x; _p, _q| T::of(Float::exp(x.to_f64() * std::f64::consts::LN_2));
    /// The logarithm to base 2, through f64.
    LOG2 "log2" log2 |x; _p, _q| T::of(Float::ln(x.to_f64()) * std::f64::consts::LOG2_E);
    /// The logarithm to base 10, through f64.
    LOG10 "log10" log10 |x; _p, _q| T::of(Float::ln(x.to_f64()) * std::f64::consts::LOG10_E);
    /// e^x - 1, exact for small x.
    EXPM1 "expm1" expm1_of |x; _p, _q| expm1(x);
    /// sin(πx) / (πx), 1 at 0.
    SINC "sinc" sinc |x; _p, _q| {
        let u = x * T::of(std::f64::consts::PI);
        if u == T::ZERO { T::ONE } else { u.sin() / u }
    };
    /// The derivative of `SINC`, through f64; near 0 its series.
    SINC_DERIVATIVE "sinc_derivative" sinc_derivative |x; _p, _q| {
        let u = x.to_f64() * std::f64::consts::PI;
        let s = u * u;
        let near = u * (-1.0 / 3.0 + s * (1.0 / 30.0 + s * (-1.0 / 840.0 + s * (1.0 / 45_360.0))));
        let far = (u * Float::cos(u) - Float::sin(u)) / s;
        T::of(std::f64::consts::PI * if s < 0.01 { near } else { far })
    };
    /// x where it is positive, p x elsewhere.
    LEAKY "leaky" leaky |x; p, _q| if x > T::ZERO { x } else { x * p };
    /// The derivative of `LEAKY`: 1 or p.
    LEAKY_DERIVATIVE "leaky_derivative" leaky_derivative |x; p, _q| if x > T::ZERO { T::ONE } else { p };
    /// x where it is positive, p (e^(q x) - 1) elsewhere.
    ELU "elu" elu |x; p, q| if x > T::ZERO { x } else { p * expm1(x * q) };
    /// The derivative of `ELU`: 1, or p q e^(q x).
    ELU_DERIVATIVE "elu_derivative" elu_derivative |x; p, q| if x > T::ZERO { T::ONE } else { p * q * (x * q).exp() };
    /// ln(1 + e^(p x)) / p; x where p x is above q.
    SOFTPLUS_SCALED "softplus_scaled" softplus_scaled |x; p, q| {
        let z = x * p;
        let above = if z > T::ZERO { z } else { T::ZERO };
        if z > q { x } else { (above + log1p((-z.abs()).exp())) / p }
    };
    /// The derivative of `SOFTPLUS_SCALED`.
    SOFTPLUS_SCALED_DERIVATIVE "softplus_scaled_derivative" softplus_scaled_derivative |x; p, q| {
        let z = x * p;
        if z > q { T::ONE } else { z.sigmoid() }
    };
    /// 1 where p <= x <= q, else 0.
    BETWEEN "between" between |x; p, q| truth((x >= p) & (x <= q));
    /// q where x <= p, else x.
    THRESHOLD "threshold" threshold |x; p, q| if x <= p { q } else { x };
    /// x between p and q; NaN stays.
    CLAMP "clamp" clamp |x; p, q| {
        let x = if x < p { p } else { x };
        if x > q { q } else { x }
    };
    /// p for NaN.
    NAN_TO "nan_to" nan_to |x; p, _q| if x.nan() { p } else { x };
    /// p for infinity, q for minus infinity.
    INF_TO "inf_to" inf_to |x; p, q| {
        let x = if x == -T::NEG_INF { p } else { x };
        if x == T::NEG_INF { q } else { x }
    };
    /// The larger; NaN loses.
    FMAX "fmax" fmax |x, y| if (x >= y) | y.nan() { x } else { y };
    /// The smaller; NaN loses.
    FMIN "fmin" fmin |x, y| if (x <= y) | y.nan() { x } else { y };
    /// The remainder with the sign of x, as C has it.
    FMOD "fmod" fmod |x, y| remainder_of_sizes(x, y).copysign(x);
    /// sqrt(x² + y²), without overflow.
    HYPOT "hypot" hypot |x, y| {
        let (a, b) = (x.abs(), y.abs());
        let large = a.maximum(b);
        let ratio = a.minimum(b) / large;
        if (large == T::ZERO) | (large == -T::NEG_INF) { large } else { large * ratio.mul_add(ratio, T::ONE).sqrt() }
    };
    /// ln(e^x + e^y), without overflow.
    LOGADDEXP "logaddexp" logaddexp |x, y| {
        let large = x.maximum(y);
        if x == y { x + T::of(std::f64::consts::LN_2) } else { large + log1p((-(x - y).abs()).exp()) }
    };
    /// x where it is positive, x y elsewhere.
    PRELU "prelu" prelu |x, y| if x > T::ZERO { x } else { x * y };
    /// The derivative of `PRELU` for x: 1 or y.
    PRELU_DERIVATIVE "prelu_derivative" prelu_derivative |x, y| if x > T::ZERO { T::ONE } else { y };
    /// x / y, and 0 where y is 0.
    DIV_OR_0 "div_or_0" div_or_0 |x, y| if y == T::ZERO { T::ZERO } else { x / y };
    /// x^y, through f64.
    POW_OF "pow_of" pow_of |x, y| T::of(power(x.to_f64(), y.to_f64()));
    /// The derivative of `POW_OF` for x.
    POW_BASE "pow_base" pow_base |x, y| {
        let (x, y) = (x.to_f64(), y.to_f64());
        T::of(if y == 0.0 { 0.0 } else { y * power(x, y - 1.0) })
    };
    /// The derivative of `POW_OF` for y; 0 where x is 0 and y is not negative.
    POW_EXPONENT "pow_exponent" pow_exponent |x, y| {
        let (x, y) = (x.to_f64(), y.to_f64());
        T::of(if (x == 0.0) & (y >= 0.0) { 0.0 } else { power(x, y) * Float::ln(x) })
    };
    /// -(y ln x + (1 - y) ln(1 - x)), the logarithms not below -100.
    BCE "bce" bce |x, y| {
        let least = T::of(-100.0);
        -(y * x.ln().maximum(least) + (T::ONE - y) * log1p(-x).maximum(least))
    };
    /// The derivative of `BCE` for x.
    BCE_DERIVATIVE "bce_derivative" bce_derivative |x, y| (x - y) / ((T::ONE - x) * x).maximum(T::of(f64::from(1e-12_f32)));
    /// The derivative of `BCE` for y.
    BCE_TARGET "bce_target" bce_target |x; _p, _q| {
        let least = T::of(-100.0);
        log1p(-x).maximum(least) - x.ln().maximum(least)
    };
    /// |x|^p, through f64.
    ABS_POW "abs_pow" abs_pow |x; p, _q| T::of(power(Float::abs(x.to_f64()), p.to_f64()));
    /// The derivative of `ABS_POW`, 0 at 0.
    ABS_POW_DERIVATIVE "abs_pow_derivative" abs_pow_derivative |x; p, _q| {
        let size = Float::abs(x.to_f64());
        let slope = p.to_f64() * power(size, p.to_f64() - 1.0);
        if x == T::ZERO { T::ZERO } else { T::of(slope).copysign(x) * T::of(1.0f64.copysign(p.to_f64())) }
    };
}

/// e^x - 1 by the hyperbolic tangent where the difference would cancel.
#[inline(always)]
fn expm1<T: Float>(x: T) -> T {
    let t = (x * T::of(0.5)).tanh();
    let near = (t + t) / (T::ONE - t);
    if x.abs() < T::ONE { near } else { x.exp() - T::ONE }
}

/// x^y in f64; a negative x has whole powers only.
#[inline(always)]
fn power(x: f64, y: f64) -> f64 {
    let whole = y.floor() == y;
    let odd = whole & ((y * 0.5).floor() != y * 0.5);
    let size = Float::exp(y * Float::ln(Float::abs(x)));
    let signed = if odd { Float::copysign(size, x) } else { size };
    let undefined = ((x < 0.0) & !whole) | x.is_nan();
    let power = if undefined { f64::NAN } else { signed };
    if (y == 0.0) | (x == 1.0) { 1.0 } else { power }
}

/// Φ(x).
#[inline(always)]
fn normal_cdf<T: Float>(x: T) -> T {
    (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf() * T::of(0.5) + T::of(0.5)
}

/// sigmoid(x) and 1 - sigmoid(x), both without cancellation.
#[inline(always)]
fn sigmoids<T: Float>(x: T) -> (T, T) {
    let e = (-x.abs()).exp();
    let large = T::ONE / (T::ONE + e);
    let small = e * large;
    if x < T::ZERO { (small, large) } else { (large, small) }
}

/// sigmoid(2 u), 1 - sigmoid(2 u) and 2 u' for the tanh form of GELU. Beyond ±1000 the gate is 0 or 1 in any precision.
#[inline(always)]
fn gelu_gate<T: Float>(x: T) -> (T, T, T) {
    let far = T::of(1e3);
    let x = if x > far { far } else { x };
    let x = if x < -far { -far } else { x };
    let (linear, cubic) = (1.595_769_121_605_730_8, 0.044_715 * 1.595_769_121_605_730_8);
    let square = x * x;
    let (gate, rest) = sigmoids(square.mul_add(T::of(cubic), T::of(linear)) * x);
    (gate, rest, square.mul_add(T::of(3.0 * cubic), T::of(linear)))
}

/// ln(1 + x) from the logarithm of the rounded sum, corrected by what the rounding took.
#[inline(always)]
fn log1p<T: Float>(x: T) -> T {
    let sum = T::ONE + x;
    let exact = sum - T::ONE;
    let y = if exact == T::ZERO { x } else { sum.ln() * (x / exact) };
    if sum.finite() { y } else { sum.ln() }
}

/// The exact remainder of the sizes while the quotient is below 2^24 (2^53).
#[inline(always)]
fn remainder_of_sizes<T: Float>(x: T, y: T) -> T {
    let (a, b) = (x.abs(), y.abs());
    let quotient = (a / b).floor();
    let r = if quotient == T::ZERO { a } else { (-quotient).mul_add(b, a) };
    if r < T::ZERO { r + b } else { r } // the quotient was rounded up to the next integer
}

/// That remainder, then the signs.
#[inline(always)]
fn remainder<T: Float>(x: T, y: T) -> T {
    let r = remainder_of_sizes(x, y).copysign(x);
    if (r != T::ZERO) & ((r < T::ZERO) != (y < T::ZERO)) { r + y } else { r }
}

multiversion! {
    fn pow<T: Float>(cx: &TileCx, dst: &mut [T], a: &[T], _b: &[T], _c: &[T]) {
        let y = cx.imm[0];
        let each = dst.iter_mut().zip(a);
        if y == 0.0 {
            each.for_each(|(dst, _)| *dst = T::ONE);
        } else if y == 0.5 {
            each.for_each(|(dst, x)| *dst = x.sqrt());
        } else if y == -0.5 {
            each.for_each(|(dst, x)| *dst = T::ONE / x.sqrt());
        } else if y == 1.0 {
            each.for_each(|(dst, x)| *dst = *x);
        } else if y == 2.0 {
            each.for_each(|(dst, x)| *dst = *x * *x);
        } else if y == 3.0 {
            each.for_each(|(dst, x)| *dst = *x * *x * *x);
        } else if y == -1.0 {
            each.for_each(|(dst, x)| *dst = T::ONE / *x);
        } else if y == -2.0 {
            each.for_each(|(dst, x)| *dst = T::ONE / (*x * *x));
        } else {
            each.for_each(|(dst, x)| *dst = T::of(power(x.to_f64(), y)));
        }
    }
}

/// x^p for a fixed exponent; through f64, but for the exponents 0, ±1/2, ±1, ±2 and 3, which are products.
pub static POW: MapOp = MapOp { name: "pow", arity: 1, raw: 0, f32: pow::<f32>, f64: pow::<f64> };

fn dropout<T: Float>(cx: &TileCx, dst: &mut [T], a: &[T], _b: &[T], _c: &[T]) {
    let stream = Stream::new(cx.raw[0], cx.key, cx.raw[1], Purpose::Dropout);
    random::dropout(dst, a, cx.start, stream, cx.imm[0]);
}

/// x / (1 - p) or 0, by a mask of the seed, the step, the key and the element's index; p = 1 gives 0.
pub static DROPOUT: MapOp = MapOp { name: "dropout", arity: 1, raw: 2, f32: dropout::<f32>, f64: dropout::<f64> };

fn uniform<T: Float>(cx: &TileCx, dst: &mut [T], _a: &[T], _b: &[T], _c: &[T]) {
    random::uniform(dst, cx.start, Stream::new(cx.raw[0], cx.key, cx.raw[1], Purpose::Uniform));
}

/// Uniform numbers in 0 <= u < 1 of the seed, the step, the key and the element's index.
pub static UNIFORM: MapOp = MapOp { name: "uniform", arity: 0, raw: 2, f32: uniform::<f32>, f64: uniform::<f64> };

fn normal<T: Float>(cx: &TileCx, dst: &mut [T], _a: &[T], _b: &[T], _c: &[T]) {
    random::normal(dst, cx.start, Stream::new(cx.raw[0], cx.key, cx.raw[1], Purpose::Normal));
}

/// Normal numbers of the seed, the step, the key and the element's index; mean 0, deviation 1.
pub static NORMAL: MapOp = MapOp { name: "normal", arity: 0, raw: 2, f32: normal::<f32>, f64: normal::<f64> };
