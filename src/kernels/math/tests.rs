//! The tests of `math`.

// The timings and errors are read by whoever runs the ignored tests.
#![allow(clippy::print_stderr)]

use crate::kernels::float::Float;

/// The distance to the true value in units of the true value's last place.
fn ulps(got: f32, want: f64) -> f64 {
    if got.is_nan() || want.is_nan() {
        return if got.is_nan() && want.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let nearest = want as f32;
    if nearest.is_infinite() || nearest == 0.0 || got.is_infinite() {
        let tail = (got == nearest) || (got - nearest).abs() <= f32::from_bits(1);
        return if tail { 0.0 } else { f64::INFINITY };
    }
    let exponent = (want.abs().log2().floor()).max(-126.0) as i32;
    (f64::from(got) - want).abs() / 2f64.powi(exponent - 23)
}

type Case = (&'static str, fn(f32) -> f32, fn(f64) -> f64, f64);

fn cases() -> [Case; 7] {
    [
        ("exp", |x| Float::exp(x), f64::exp, 1.0),
        ("ln", |x| Float::ln(x), f64::ln, 1.0),
        ("tanh", |x| Float::tanh(x), f64::tanh, 3.0),
        ("sigmoid", |x| Float::sigmoid(x), |x| 1.0 / (1.0 + (-x).exp()), 3.0),
        ("erf", |x| Float::erf(x), |x| Float::erf(x), 1.7),
        ("sin", |x| Float::sin(x), |x| if x.abs() < 1_125_899_906_842_624.0 { x.sin() } else { x * 0.0 }, 2.0),
        ("cos", |x| Float::cos(x), |x| if x.abs() < 1_125_899_906_842_624.0 { x.cos() } else { 1.0 + x * 0.0 }, 2.0),
    ]
}

multiversion! {
    /// One of the functions over a chunk, as fast as the kernels have it.
    fn chunk<T: Float>(case: usize, x: &mut [T]) {
        match case {
            0 => x.iter_mut().for_each(|x| *x = x.exp()),
            1 => x.iter_mut().for_each(|x| *x = x.ln()),
            2 => x.iter_mut().for_each(|x| *x = x.tanh()),
            3 => x.iter_mut().for_each(|x| *x = x.sigmoid()),
            4 => x.iter_mut().for_each(|x| *x = x.erf()),
            5 => x.iter_mut().for_each(|x| *x = x.sin()),
            _ => x.iter_mut().for_each(|x| *x = x.cos()),
        }
    }
}

/// The largest error over every `step`th bit pattern, and where it is.
fn worst(index: usize, case: &Case, step: u64) -> (f64, f32) {
    let mut worst = (0.0, 0.0);
    for first in (0..1 << 32).step_by(4096 * step as usize) {
        let bits = |i: usize| f32::from_bits((first + i as u64 * step).min(0xffff_ffff) as u32);
        let x: [f32; 4096] = std::array::from_fn(bits);
        let (mut got, mut erf) = (x, x.map(f64::from));
        chunk(index, &mut got);
        if index == 4 {
            chunk(index, &mut erf); // checked against mpmath below
        }
        for (i, &got) in got.iter().enumerate() {
            let want = if index == 4 { erf[i] } else { case.2(f64::from(x[i])) };
            let error = ulps(got, want);
            if error > worst.0 {
                worst = (error, x[i]);
            }
        }
    }
    worst
}

#[test]
fn single_precision_is_within_a_few_ulp() {
    for (index, case) in cases().iter().enumerate() {
        let (error, x) = worst(index, case, 40_961);
        assert!(error <= case.3, "{} is {error} ulp off at {x:e}", case.0);
        // Alone and in a vector the bits are the same.
        let mut one = [x; 17];
        chunk(index, &mut one);
        assert!(one.iter().all(|y| y.to_bits() == case.1(x).to_bits() || y.is_nan()));
    }
}

#[test]
#[ignore = "all 2^32 bit patterns of seven functions: minutes in release mode"]
fn single_precision_over_all_bit_patterns() {
    for (index, case) in cases().iter().enumerate() {
        let (error, x) = worst(index, case, 1);
        eprintln!("{}: {error:.3} ulp at {x:e}", case.0);
        assert!(error <= case.3, "{} is {error} ulp off at {x:e}", case.0);
    }
}

#[test]
fn double_precision_agrees_with_the_system() {
    type Case = (&'static str, fn(f64) -> f64, fn(f64) -> f64, f64, f64, f64);
    let cases: [Case; 6] = [
        ("exp", |x| Float::exp(x), f64::exp, -745.0, 709.7, 2.5e-16),
        ("ln", |x| Float::ln(x), f64::ln, 1e-300, 3.0, 2.5e-16),
        ("ln", |x| Float::ln(x), f64::ln, 0.0, 1e300, 2.5e-16),
        ("tanh", |x| Float::tanh(x), f64::tanh, -25.0, 25.0, 4.5e-16),
        ("sin", |x| Float::sin(x), f64::sin, -1e5, 1e5, 2.5e-16),
        ("cos", |x| Float::cos(x), f64::cos, -1e5, 1e5, 2.5e-16),
    ];
    for (name, ours, system, lo, hi, bound) in cases {
        for i in 1..200_000 {
            let share = f64::from(i) / 199_999.0;
            let x = lo + (hi - lo) * share;
            let (got, want) = (ours(x), system(x));
            let allowed = bound * want.abs() + 5e-324;
            assert!((got - want).abs() <= allowed, "{name}({x:e}) = {got:e}, not {want:e}");
        }
    }
}

#[test]
fn double_precision_erf_and_small_arguments() {
    // mpmath, 40 digits.
    let table = ERF;
    for (x, want) in table {
        let got = Float::erf(x);
        assert!((got - want).abs() <= 2.3e-16 * want.abs(), "erf({x}) = {got:e}, not {want:e}");
        assert_eq!(Float::erf(-x), -got);
    }
    for x in [1e-300, 1e-20, 1e-9, 1e-5, 1e-3] {
        assert!((Float::tanh(x) - f64::tanh(x)).abs() <= 4.5e-16 * x);
        assert!((Float::sin(x) - f64::sin(x)).abs() <= 2.3e-16 * x);
    }
}

#[test]
fn limits_and_special_values() {
    fn check<T: Float>() {
        let inf = -T::NEG_INF;
        let nan = inf - inf;
        let same = |a: T, b: f64| a.to_f64().to_bits() == b.to_bits();
        assert!(same(inf.exp(), f64::INFINITY) && same((-inf).exp(), 0.0) && same(T::ZERO.exp(), 1.0));
        assert!(same(T::ZERO.ln(), f64::NEG_INFINITY) && same(inf.ln(), f64::INFINITY) && (-T::ONE).ln().nan());
        assert!(same(T::ONE.ln(), 0.0));
        assert!(same(inf.tanh(), 1.0) && same((-inf).tanh(), -1.0) && same((-T::ZERO).tanh(), -0.0));
        assert!(same(inf.erf(), 1.0) && same((-inf).erf(), -1.0) && same((-T::ZERO).erf(), -0.0));
        assert!(same(inf.sigmoid(), 1.0) && same((-inf).sigmoid(), 0.0) && same(T::ZERO.sigmoid(), 0.5));
        assert!(inf.sin().nan() && inf.cos().nan() && same(T::ZERO.cos(), 1.0) && same((-T::ZERO).sin(), -0.0));
        for f in [T::exp, T::ln, T::tanh, T::erf, T::sigmoid, T::sin, T::cos] {
            assert!(f(nan).nan());
        }
    }
    check::<f32>();
    check::<f64>();
}

/// x and erf(x).
const ERF: [(f64, f64); 24] = [
    (1e-300, 1.1283791670955126e-300),
    (1e-10, 1.1283791670955126e-10),
    (0.01, 0.011283415555849618),
    (0.1, 0.1124629160182849),
    (0.25, 0.27632639016823696),
    (0.3, 0.3286267594591274),
    (0.5, 0.5204998778130465),
    (0.7, 0.6778011938374184),
    (0.9, 0.7969082124228322),
    (0.99, 0.8385080695553698),
    (1.0, 0.8427007929497149),
    (1.0000001, 0.8427008344604605),
    (1.1, 0.8802050695740817),
    (1.25, 0.9229001282564583),
    (1.5, 0.9661051464753108),
    (1.75, 0.9866716712191824),
    (2.0, 0.9953222650189527),
    (2.5, 0.999593047982555),
    (3.0, 0.9999779095030014),
    (3.5, 0.9999992569016276),
    (4.0, 0.9999999845827421),
    (5.0, 0.9999999999984626),
    (5.9, 0.9999999999999999),
    (6.5, 1.0),
];
