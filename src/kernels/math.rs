//! The transcendental functions as straight-line code: polynomials, selects, no branch and no table.
//!
//! Every step is an IEEE operation (`+ - * /`, fused multiply-add, square root, integer arithmetic on the bits), so the
//! bits are the same on every processor, and the loops that call these functions vectorise.

/// The polynomial with these coefficients, highest power first, by Horner's rule.
macro_rules! poly {
    ($x:expr; $first:expr $(, $c:expr)*) => {{
        let x = $x;
        let sum = $first;
        $(let sum = sum.mul_add(x, $c);)*
        sum
    }};
}

/// Not above `hi`, not below `lo`; NaN stays.
macro_rules! clamp {
    ($x:expr, $lo:expr, $hi:expr) => {{
        let x = if $x > $hi { $hi } else { $x };
        if x < $lo { $lo } else { x }
    }};
}

/// The functions for f32: a few ulp; see the tests for the largest errors over all bit patterns.
pub mod f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const LN_2: f32 = std::f32::consts::LN_2;
    const LN_2_LOW: f32 = -1.904_654_3e-9;

    /// x = n ln 2 + r with |r| <= ln 2 / 2; gives n and e^r - 1.
    #[inline(always)]
    fn reduce(x: f32) -> (i32, f32) {
        let rounded = x.mul_add(LOG2_E, ROUND);
        let n = rounded - ROUND;
        let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2, x));
        let q = poly!(r; 0.000_198_527_62_f32, 0.001_393_043_6, 0.008_333_361, 0.041_666_485, 0.166_666_67, 0.5);
        let int = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
        (int, (r * r).mul_add(q, r))
    }

    /// 2^n, where that is a normal number.
    #[inline(always)]
    fn power_of_two(n: i32) -> f32 {
        f32::from_bits((n.wrapping_add(127) as u32) << 23)
    }

    /// e to the power.
    #[inline(always)]
    pub fn exp(x: f32) -> f32 {
        let (n, p) = reduce(clamp!(x, -104.0, 89.0));
        let half = n >> 1; // in two steps, so that subnormal results are rounded once and large ones reach infinity
        (1.0 + p) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
    }

    /// The natural logarithm.
    #[inline(always)]
    pub fn ln(x: f32) -> f32 {
        let tiny = x < f32::MIN_POSITIVE;
        let scaled = if tiny { x * 8_388_608.0 } else { x };
        let base = if tiny { -23.0 } else { 0.0_f32 };
        let bits = scaled.to_bits() as i32;
        let exponent = bits.wrapping_sub(0x3f2a_aaab) & 0xff80_0000_u32 as i32;
        let f = f32::from_bits(bits.wrapping_sub(exponent) as u32) - 1.0; // -1/3 ..= 1/3
        let n = (exponent as f32).mul_add(1.192_092_9e-7, base);
        let s = f * f;
        let odd = poly!(s; 0.140_869_14_f32, 0.139_814_85, 0.200_120_34);
        let even = poly!(s; -0.130_187_99_f32, -0.121_483_51, -0.166_846_13, -0.249_996_2);
        let r = odd.mul_add(f, even);
        let r = poly!(f; r, 0.333_331_97, -0.5);
        let y = n.mul_add(LN_2, r.mul_add(s, f));
        let y = if x > f32::MAX { f32::INFINITY } else { y };
        let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
        if x >= 0.0 { y } else { f32::NAN }
    }

    /// The hyperbolic tangent, from e^2|x| - 1.
    #[inline(always)]
    pub fn tanh(x: f32) -> f32 {
        let a = x.abs();
        let (n, p) = reduce(if a > 10.0 { 20.0 } else { a + a });
        let scale = power_of_two(n);
        let e = p.mul_add(scale, scale - 1.0);
        (e / (e + 2.0)).copysign(x)
    }

    /// 1 / (1 + e^-x), with full relative precision on both sides.
    #[inline(always)]
    pub fn sigmoid(x: f32) -> f32 {
        let e = exp(-x.abs());
        let above = if x < 0.0 { e } else { 1.0 };
        above / (1.0 + e)
    }

    /// The error function: a polynomial below 0.93, 1 - e^(polynomial) above.
    #[inline(always)]
    pub fn erf(x: f32) -> f32 {
        let a = x.abs();
        let s = x * x;
        let high =
            poly!(a; -1.728_534_7e-5_f32, 3.831_972e-4).mul_add(s, poly!(a; -3.883_964_4e-3_f32, 2.425_462_2e-2));
        let high = poly!(a; high, -0.106_777_88, -0.634_846_9, -0.128_717_51);
        let high = 1.0 - exp(high.mul_add(a, -a));
        let low =
            poly!(s; -5.967_617e-4_f32, 4.991_194_2e-3, -2.676_813_5e-2, 0.112_819_925, -0.376_125_34, 0.128_379_17);
        let low = low.mul_add(a, a);
        (if a > 0.927_734_4 { high } else { low }).copysign(x)
    }

    /// The sine and cosine of x - n pi/2 in -pi/4 ..= pi/4, and n modulo 4. Beyond 2^50 the angle counts as 0.
    #[inline(always)]
    fn quadrant(x: f32) -> (f32, f32, u32) {
        let (r, n) = super::f64::quarter(f64::from(x));
        let r = r as f32;
        let s = r * r;
        let sin = poly!(s; 2.865_679_6e-6_f32, -1.985_599_2e-4, 8.333_386e-3, -0.166_666_67);
        let cos = poly!(s; 2.446_770_7e-5_f32, -1.388_773e-3, 4.166_665_7e-2, -0.5, 1.0);
        ((sin * s).mul_add(r, r).copysign(r), cos, n as u32)
    }

    /// The sine; 0 beyond 2^50.
    #[inline(always)]
    pub fn sin(x: f32) -> f32 {
        let (sin, cos, n) = quadrant(x);
        let y = if n & 1 == 0 { sin } else { cos };
        f32::from_bits(y.to_bits() ^ ((n & 2) << 30))
    }

    /// The cosine; 1 beyond 2^50.
    #[inline(always)]
    pub fn cos(x: f32) -> f32 {
        let (sin, cos, n) = quadrant(x);
        let y = if n & 1 == 0 { cos } else { sin };
        f32::from_bits(y.to_bits() ^ ((n.wrapping_add(1) & 2) << 30))
    }
}

/// The functions for f64: about 1e-16 relative to the result, at most a few ulp.
pub mod f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    const LN_2: f64 = std::f64::consts::LN_2;
    const LN_2_LOW: f64 = 2.319_046_813_846_299_6e-17;

    /// x = n ln 2 + r with |r| <= ln 2 / 2; gives n and e^r - 1.
    #[inline(always)]
    fn reduce(x: f64) -> (i64, f64) {
        let rounded = x.mul_add(LOG2_E, ROUND);
        let n = rounded - ROUND;
        let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2, x));
        let q = poly!(r; 1.0 / 6_227_020_800.0_f64, 1.0 / 479_001_600.0, 1.0 / 39_916_800.0, 1.0 / 3_628_800.0,
            1.0 / 362_880.0, 1.0 / 40_320.0, 1.0 / 5_040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5);
        let int = (rounded.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64);
        (int, (r * r).mul_add(q, r))
    }

    /// 2^n, where that is a normal number.
    #[inline(always)]
    fn power_of_two(n: i64) -> f64 {
        f64::from_bits((n.wrapping_add(1023) as u64) << 52)
    }

    /// e to the power.
    #[inline(always)]
    pub fn exp(x: f64) -> f64 {
        let (n, p) = reduce(clamp!(x, -746.0, 710.0));
        // A logical shift of a number made positive: AVX2 has no arithmetic one.
        let half = ((n.wrapping_add(4096) as u64 >> 1) as i64).wrapping_sub(2048);
        (1.0 + p) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
    }

    /// The natural logarithm (the form of fdlibm's `log`).
    #[inline(always)]
    pub fn ln(x: f64) -> f64 {
        let tiny = x < f64::MIN_POSITIVE;
        let scaled = if tiny { x * 18_014_398_509_481_984.0 } else { x };
        let base = if tiny { 54.0 } else { 0.0 };
        let bits = scaled.to_bits();
        // The exponent is taken so that the mantissa lies in sqrt(1/2) ..= sqrt(2).
        let shifted = bits.wrapping_add(0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd);
        let mantissa = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff).wrapping_add(0x3fe6_a09e_667f_3bcd));
        let biased = f64::from_bits((shifted >> 52) | 0x4330_0000_0000_0000) - 4_503_599_627_370_496.0;
        let n = biased - 1023.0 - base;
        let f = mantissa - 1.0;
        let half_square = 0.5 * f * f;
        let s = f / (2.0 + f);
        let z = s * s;
        let r = z * poly!(z; 0.147_981_986_051_165_86_f64, 0.153_138_376_992_093_73, 0.181_835_721_616_180_5,
            0.222_221_984_321_497_84, 0.285_714_287_436_623_9, 0.399_999_999_994_094_2,
            0.666_666_666_666_673_5);
        let low = s.mul_add(half_square + r, n * 1.908_214_929_270_587_7e-10);
        let y = n.mul_add(0.693_147_180_369_123_8, f - (half_square - low));
        let y = if x > f64::MAX { f64::INFINITY } else { y };
        let y = if x == 0.0 { f64::NEG_INFINITY } else { y };
        if x >= 0.0 { y } else { f64::NAN }
    }

    /// The hyperbolic tangent, from e^2|x| - 1.
    #[inline(always)]
    pub fn tanh(x: f64) -> f64 {
        let a = x.abs();
        let (n, p) = reduce(if a > 22.0 { 44.0 } else { a + a });
        let scale = power_of_two(n);
        let e = p.mul_add(scale, scale - 1.0);
        (e / (e + 2.0)).copysign(x)
    }

    /// 1 / (1 + e^-x), with full relative precision on both sides.
    #[inline(always)]
    pub fn sigmoid(x: f64) -> f64 {
        let e = exp(-x.abs());
        let above = if x < 0.0 { e } else { 1.0 };
        above / (1.0 + e)
    }

    /// The error function: Chebyshev fits of erf(x)/x below 1, of e^(x^2) erfc(x) in (x-2)/(x+2) on 1 ..= 6.
    #[inline(always)]
    pub fn erf(x: f64) -> f64 {
        let a = x.abs();
        let z = x * x;
        let low = poly!(z; 5.957_176_147_748_911e-11_f64, -1.137_284_885_679_167_4e-09, 1.465_977_527_404_743_6e-08,
            -1.635_031_270_105_469_5e-07, 1.646_100_048_412_136_8e-06, -1.492_559_526_683_118_2e-05,
            1.205_533_111_164_271e-4, -8.548_326_980_833_79e-4, 0.005_223_977_624_818_014_5, -0.026_866_170_645_076_792,
            0.112_837_916_709_548_79, -3.761_263_890_318_375e-1, 1.283_791_670_955_126e-1);
        let low = low.mul_add(a, a);
        let b = if a > 6.0 { 6.0 } else { a };
        let t = (b - 2.0) / (b + 2.0);
        let high = poly!(t; -2.228_129_576_372_35e-7_f64, 4.146_302_183_268_488e-6, 1.859_427_387_429_402e-6,
            -1.416_633_906_911_710_8e-05, -2.764_072_782_191_285_2e-05, 2.756_035_275_667_831_3e-05,
            0.000_174_364_772_572_567_38, 4.355_265_359_817_883e-5, -9.819_771_114_740_715e-4,
            -8.471_431_229_215_333e-4, 6.997_461_739_200_575e-3, 0.003_732_892_401_656_448_4,
            -7.897_858_101_571_269e-2, 0.241_658_194_242_487_63, -4.271_858_474_139_585e-1,
            2.553_956_763_105_057e-1);
        let high = 1.0 - exp(-(b * b)) * high;
        (if a > 1.0 { high } else { low }).copysign(x)
    }

    /// x - n pi/2 in -pi/4 ..= pi/4, and n in the low bits. Beyond 2^50, where half a turn or more lies between a float
    /// and the next, the angle counts as 0; infinity and NaN give NaN.
    #[inline(always)]
    pub fn quarter(x: f64) -> (f64, u64) {
        let rounded = x.mul_add(std::f64::consts::FRAC_2_PI, ROUND);
        let n = rounded - ROUND;
        let r = n.mul_add(-std::f64::consts::FRAC_PI_2, x);
        let r = n.mul_add(-6.123_233_995_736_766e-17, r);
        let far = x.abs() >= 1_125_899_906_842_624.0;
        let r = if far { x * 0.0 } else { r };
        let n = if far { 0 } else { rounded.to_bits() };
        (r, n)
    }

    #[inline(always)]
    fn quadrant(x: f64) -> (f64, f64, u64) {
        let (r, n) = quarter(x);
        let s = r * r;
        let sin = poly!(s; 1.0 / 355_687_428_096_000.0_f64, -1.0 / 1_307_674_368_000.0, 1.0 / 6_227_020_800.0,
            -1.0 / 39_916_800.0, 1.0 / 362_880.0, -1.0 / 5_040.0, 1.0 / 120.0, -1.0 / 6.0);
        let cos = poly!(s; 1.0 / 20_922_789_888_000.0_f64, -1.0 / 87_178_291_200.0, 1.0 / 479_001_600.0,
            -1.0 / 3_628_800.0, 1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5, 1.0);
        ((sin * s).mul_add(r, r).copysign(r), cos, n)
    }

    /// The sine; 0 beyond 2^50.
    #[inline(always)]
    pub fn sin(x: f64) -> f64 {
        let (sin, cos, n) = quadrant(x);
        let y = if n & 1 == 0 { sin } else { cos };
        f64::from_bits(y.to_bits() ^ ((n & 2) << 62))
    }

    /// The cosine; 1 beyond 2^50.
    #[inline(always)]
    pub fn cos(x: f64) -> f64 {
        let (sin, cos, n) = quadrant(x);
        let y = if n & 1 == 0 { cos } else { sin };
        f64::from_bits(y.to_bits() ^ ((n.wrapping_add(1) & 2) << 62))
    }

    /// The sine and cosine of a whole turn times x, 0 <= x < 1.
    #[inline(always)]
    pub fn turn(x: f64) -> (f64, f64) {
        let quarters = x * 4.0;
        let rounded = quarters + ROUND;
        let n = rounded.to_bits();
        let r = (quarters - (rounded - ROUND)) * std::f64::consts::FRAC_PI_2;
        let s = r * r;
        let sin = poly!(s; -1.0 / 1_307_674_368_000.0_f64, 1.0 / 6_227_020_800.0,
            -1.0 / 39_916_800.0, 1.0 / 362_880.0, -1.0 / 5_040.0, 1.0 / 120.0, -1.0 / 6.0);
        let cos = poly!(s; 1.0 / 20_922_789_888_000.0_f64, -1.0 / 87_178_291_200.0, 1.0 / 479_001_600.0,
            -1.0 / 3_628_800.0, 1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5, 1.0);
        let sin = (sin * s).mul_add(r, r);
        let (a, b) = if n & 1 == 0 { (sin, cos) } else { (cos, sin) };
        (f64::from_bits(a.to_bits() ^ ((n & 2) << 62)), f64::from_bits(b.to_bits() ^ ((n.wrapping_add(1) & 2) << 62)))
    }
}

#[cfg(test)]
mod tests;
