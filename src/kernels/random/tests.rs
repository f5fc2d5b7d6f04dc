//! The tests of `random`.

// The timings and errors are read by whoever runs the ignored tests.
#![allow(clippy::print_stderr)]

use super::*;
use crate::kernels::simd::{self, Level};

/// The published algorithm, one block.
fn philox(counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let mut c = counter;
    for _ in 0..ROUNDS {
        let (p, q) = (u64::from(c[0]) * MULTIPLY[0], u64::from(c[2]) * MULTIPLY[1]);
        c = [(q >> 32) as u32 ^ c[1] ^ key[0], q as u32, (p >> 32) as u32 ^ c[3] ^ key[1], p as u32];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    c
}

#[test]
fn the_published_answers() {
    let cases = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (counter, key, want) in cases {
        assert_eq!(philox(counter, key), want);
        let stream = Stream { key, high: [counter[2], counter[3]] };
        let words = stream.blocks(u64::from(counter[0]) | u64::from(counter[1]) << 32);
        assert_eq!(words.map(|word| word[0] as u32), want);
    }
}

fn word(stream: Stream, block: u64, index: usize) -> u32 {
    philox([block as u32, (block >> 32) as u32, stream.high[0], stream.high[1]], stream.key)[index]
}

#[test]
fn an_element_depends_on_its_index_alone() {
    for level in [Level::Portable, Level::Avx2, Level::Avx512] {
        simd::force(level);
        let base = (1 << 34) - 300; // the block's high word changes on the way
        for (first, n) in [(0, 1), (0, 1000), (3, 700), (base, 1201), (17, 64), (5, 0)] {
            let stream = Stream::new(7, path_key("mlp.drop"), 3, Purpose::Dropout);
            let x: Vec<f32> = (0..n).map(|i| i as f32 + 1.0).collect();
            let mut y = vec![0.0; n];
            dropout(&mut y, &x, first, stream, 0.3);
            let (mut u, mut z, mut z32) = (vec![0f64; n], vec![0f64; n], vec![0f32; n]);
            uniform(&mut u, first, stream);
            normal(&mut z, first, stream);
            normal(&mut z32, first, stream);
            for i in 0..n {
                let e = first + i as u64;
                let draw = word(stream, e / 8, (e % 8 / 2) as usize) >> (16 * (e % 2)) & 0xffff;
                let kept = x[i] * (1.0f64 / 0.7) as f32;
                assert_eq!(y[i], if draw >= threshold(0.3) { kept } else { 0.0 });
                assert_eq!(u[i], f64::from(word(stream, e / 4, (e % 4) as usize) >> 8) / 16_777_216.0);
                let half = (e % 4 / 2 * 2) as usize;
                let r = (f64::from(word(stream, e / 4, half)) + 0.5) / 4_294_967_296.0;
                let angle = f64::from(word(stream, e / 4, half + 1)) / 4_294_967_296.0 * std::f64::consts::TAU;
                let want = (-2.0 * r.ln()).sqrt() * if e.is_multiple_of(2) { angle.cos() } else { angle.sin() };
                assert!((z[i] - want).abs() < 4e-15, "{} {want}", z[i]);
                assert_eq!(z32[i], z[i] as f32);
            }
        }
    }
}

#[test]
fn moments_and_independence() {
    let n = 400_000;
    let key = path_key("a");
    let (mut z, mut other, mut u) = (vec![0f32; n], vec![0f32; n], vec![0f32; n]);
    fill_normal(&mut z, 0, 1, key);
    fill_uniform(&mut u, 0, 1, key);
    let mean = |v: &[f32], f: fn(f64) -> f64| v.iter().map(|&x| f(f64::from(x))).sum::<f64>() / n as f64;
    assert!(mean(&z, |x| x).abs() < 0.006 && (mean(&z, |x| x * x) - 1.0).abs() < 0.01);
    assert!(mean(&z, |x| x * x * x).abs() < 0.02 && (mean(&z, |x| x * x * x * x) - 3.0).abs() < 0.08);
    assert!((mean(&u, |x| x) - 0.5).abs() < 0.002 && (mean(&u, |x| x * x) - 1.0 / 3.0).abs() < 0.002);
    assert!(u.iter().all(|&x| (0.0..1.0).contains(&x)));
    for (seed, key) in [(2, key), (1, path_key("b"))] {
        fill_normal(&mut other, 0, seed, key);
        let product: f64 = z.iter().zip(&other).map(|(&a, &b)| f64::from(a * b)).sum::<f64>() / n as f64;
        assert!(product.abs() < 0.006, "seed {seed}: correlation {product}");
    }
    let kept = |p: f64, step: u64| {
        let mut y = vec![0f32; n];
        dropout(&mut y, &vec![1.0; n], 0, Stream::new(1, key, step, Purpose::Dropout), p);
        y
    };
    let (a, b) = (kept(0.25, 0), kept(0.25, 1));
    assert!((mean(&a, |x| x) - 1.0).abs() < 0.005);
    let both = a.iter().zip(&b).filter(|(x, y)| **x > 0.0 && **y > 0.0).count() as f64 / n as f64;
    assert!((both - 0.5625).abs() < 0.004, "{both}");
    assert!(kept(1.0, 0).iter().all(|&x| x == 0.0) && kept(0.0, 0).iter().all(|&x| x == 1.0));
}

#[test]
fn the_hash_of_a_path_is_fixed() {
    assert_eq!(path_key(""), mix(0xcbf2_9ce4_8422_2325));
    assert_eq!(path_key("a"), mix(0xaf63_dc4c_8601_ec8c)); // FNV's published value for "a"
    assert_eq!(mix(0), 0);
}

#[test]
#[ignore = "a timing: cargo test --release kernels::random -- --ignored --nocapture"]
fn speed() {
    for level in [Level::Avx2, Level::Avx512] {
        simd::force(level);
        let n = 670_000;
        let (mut z, x) = (vec![0f32; n], vec![1f32; n]);
        let mut times = [f64::INFINITY; 3];
        for _ in 0..20 {
            let start = std::time::Instant::now();
            fill_normal(&mut z, 0, 1, 2);
            times[0] = times[0].min(start.elapsed().as_secs_f64());
            let start = std::time::Instant::now();
            fill_uniform(&mut z, 0, 1, 2);
            times[1] = times[1].min(start.elapsed().as_secs_f64());
            let start = std::time::Instant::now();
            for (dst, x) in z[..65_536].chunks_exact_mut(256).zip(x.chunks_exact(256)) {
                dropout(dst, x, 0, Stream::new(1, 2, 3, Purpose::Dropout), 0.1);
            }
            times[2] = times[2].min(start.elapsed().as_secs_f64());
        }
        let [normal, uniform, drop] = times;
        eprintln!(
            "{level:?}: normal {:.2} ns, uniform {:.2} ns, dropout {:.2} ns an element",
            normal * 1e9 / n as f64,
            uniform * 1e9 / n as f64,
            drop * 1e9 / 65_536.0
        );
        assert!(normal < 2e-3);
    }
}
