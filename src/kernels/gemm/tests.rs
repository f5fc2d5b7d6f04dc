//! Against a naive loop with the same bits, and against the clock.

// The timings are read by whoever runs them.
#![allow(clippy::print_stderr)]

use super::vector::Vector;
use super::*;
use crate::kernels::call::Fault;
use crate::kernels::simd::{self, Level};
use crate::tensor::DType;
use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};
use std::ptr::NonNull;

/// Numbers between -1 and 1 without a pattern.
fn numbers<T: Float>(n: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            T::of((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
        })
        .collect()
}

/// 64-byte aligned scratch memory, full of NaN.
fn scratch(bytes: usize) -> (Vec<u8>, usize) {
    let memory = vec![0xff; bytes + 64];
    let skip = memory.as_ptr().align_offset(64);
    (memory, skip)
}

/// The defined order of sums, spelled out.
fn naive<T: Float>(a: impl Fn(usize) -> T, b: impl Fn(usize) -> T, k: usize, start: Option<T>) -> T {
    let mut total = start;
    for k0 in (0..k).step_by(BLOCK) {
        let block = (k0..k.min(k0 + BLOCK)).fold(T::ZERO, |acc, p| a(p).mul_add(b(p), acc));
        total = Some(total.map_or(block, |sum| sum + block));
    }
    total.unwrap_or(T::ZERO)
}

fn dtype<T: Float>() -> DType {
    if T::SIZE == 4 { DType::F32 } else { DType::F64 }
}

fn view<T: Float>(data: &[T], shape: &[usize], strides: &[i32]) -> View {
    let ptr = NonNull::from(data).cast();
    let mut view = View::dense(ptr, dtype::<T>(), shape);
    view.strides[..strides.len()].copy_from_slice(strides);
    view
}

fn run(kernel: &Kernel, call: &Call, index: usize, cut: &[usize]) {
    let (mut memory, skip) = scratch((kernel.work)(call));
    let end = skip + (kernel.work)(call);
    let fault = Fault::default();
    let units = (kernel.units)(call);
    let mut start = 0;
    for end_unit in cut.iter().copied().filter(|&c| c < units).chain([units]) {
        let mut worker = Worker { work: &mut memory[skip..end], fault: &fault, step: 0 };
        // SAFETY: the views are those of live vectors of these shapes.
        unsafe { (kernel.run[index])(call, &mut worker, start..end_unit) };
        start = end_unit;
    }
}

fn call(ins: Vec<Option<View>>, out: View) -> Call {
    Call { ins: ins.into(), outs: Box::new([Some(out)]), args: Default::default(), program: None }
}

const SHAPES: [(usize, usize, usize); 14] = [
    (1, 1, 1),
    (1, 784, 10),
    (2, 3, 5),
    (3, 513, 33),
    (5, 17, 64),
    (7, 1031, 31),
    (8, 512, 32),
    (13, 64, 47),
    (64, 100, 10),
    (33, 16, 96),
    (129, 20, 35),
    (4, 0, 9),
    (0, 5, 3),
    (3, 4, 0),
];

fn products<T: Float>(level: Level) {
    simd::force(level);
    let index = usize::from(T::SIZE == 8);
    for (m, k, n) in SHAPES {
        let (a, b, bias) = (numbers::<T>(m * k, 1), numbers::<T>(k * n, 2), numbers::<T>(n, 3));
        for (a_t, b_t) in [(false, false), (false, true), (true, false), (true, true)] {
            let (sa, sb) =
                (if a_t { [1, m as i32] } else { [k as i32, 1] }, if b_t { [1, k as i32] } else { [n as i32, 1] });
            let at = |i: usize, p: usize| a[i * sa[0] as usize + p * sa[1] as usize];
            let bt = |p: usize, j: usize| b[p * sb[0] as usize + j * sb[1] as usize];
            let want: Vec<T> = (0..m * n).map(|e| naive(|p| at(e / n, p), |p| bt(p, e % n), k, None)).collect();
            for cut in [&[][..], &[1, 4, 5, 77]] {
                let mut y = vec![T::of(f64::NAN); m * n];
                let out = view(&y, &[m, n], &[]);
                run(&MATMUL, &call(vec![Some(view(&a, &[m, k], &sa)), Some(view(&b, &[k, n], &sb))], out), index, cut);
                y = std::hint::black_box(y);
                assert_eq!(y, want, "matmul {m} {k} {n} {a_t} {b_t} {level:?}");
                if a_t {
                    continue;
                }
                for with_bias in [false, true] {
                    let mut y = vec![T::of(f64::NAN); m * n];
                    let w = view(&b, &[n, k], &[sb[1], sb[0]]);
                    let ins = vec![Some(view(&a, &[m, k], &[])), Some(w), with_bias.then(|| view(&bias, &[n], &[]))];
                    run(&LINEAR, &call(ins, view(&y, &[m, n], &[])), index, cut);
                    y = std::hint::black_box(y);
                    let add = |(e, &x): (usize, &T)| if with_bias { x + bias[e % n] } else { x };
                    assert_eq!(y, want.iter().enumerate().map(add).collect::<Vec<T>>(), "linear {m} {k} {n}");
                }
            }
        }
    }
}

#[test]
fn every_layout_and_level_gives_the_bits_of_the_naive_loop() {
    for level in [Level::Portable, Level::Avx2, Level::Avx512] {
        products::<f32>(level);
        products::<f64>(level);
    }
}

#[test]
fn strided_rows_and_general_strides() {
    let (m, k, n) = (9, 70, 37);
    let (a, b) = (numbers::<f32>(m * k * 6, 1), numbers::<f32>(k * n * 6, 2));
    // Column slices of a wider matrix; then every second column as well.
    for (step, wide) in [(1, 3 * k), (2, 2 * k + 1)] {
        let y = vec![0f32; m * n];
        let sa = [wide as i32, step as i32];
        let sb = [(2 * n + 1) as i32, 2];
        let c = call(vec![Some(view(&a, &[m, k], &sa)), Some(view(&b, &[k, n], &sb))], view(&y, &[m, n], &[]));
        run(&MATMUL, &c, 0, &[2]);
        for e in 0..m * n {
            let want = naive(|p| a[e / n * wide + p * step], |p| b[p * (2 * n + 1) + 2 * (e % n)], k, None);
            assert_eq!(std::hint::black_box(&y)[e], want);
        }
    }
}

#[test]
fn batches_may_be_expanded_and_transposed() {
    let (batch, heads, n, k, m) = (2, 3, 5, 19, 34);
    // a: [batch, n, heads, k] seen as [batch, heads, n, k]; b: [heads, m, k] seen as [batch (0), heads, k, m].
    let (a, b) = (numbers::<f64>(batch * n * heads * k, 1), numbers::<f64>(heads * m * k, 2));
    let sa = [(n * heads * k) as i32, k as i32, (heads * k) as i32, 1];
    let sb = [0, (m * k) as i32, 1, k as i32];
    for cut in [&[][..], &[3, 5, 11, 29]] {
        let y = vec![0f64; batch * heads * n * m];
        let out = view(&y, &[batch, heads, n, m], &[]);
        let ins = vec![Some(view(&a, &[batch, heads, n, k], &sa)), Some(view(&b, &[batch, heads, k, m], &sb))];
        run(&BMM, &call(ins, out), 1, cut);
        for (e, &got) in std::hint::black_box(&y).iter().enumerate() {
            let (j, i, h, x) = (e % m, e / m % n, e / m / n % heads, e / m / n / heads);
            let want = naive(|p| a[((x * n + i) * heads + h) * k + p], |p| b[(h * m + j) * k + p], k, None);
            assert_eq!(got, want);
        }
    }
}

#[test]
fn blocks_are_added_to_the_destination() {
    let (m, k, n) = (11, 1100, 50);
    let (a, b, start) = (numbers::<f32>(m * k, 1), numbers::<f32>(k * n, 2), numbers::<f32>(m * 64, 3));
    let (mut memory, skip) = scratch(gemm_work::<f32>(k, n));
    let work = &mut memory[skip..skip + gemm_work::<f32>(k, n)];
    for (sa, ka) in [(k, 1), (1, m)] {
        let mut y = start.clone();
        let left = MatRef { ptr: a.as_ptr(), stride: sa as isize, k: ka as isize };
        let right = MatRef { ptr: b.as_ptr(), stride: 1, k: n as isize };
        // SAFETY: the sizes are those of the vectors.
        unsafe { gemm_block(y.as_mut_ptr(), 64, left, right, m, n, k, Acc::AddBlocks, work) };
        for e in 0..m * 64 {
            let (i, j) = (e / 64, e % 64);
            let want =
                if j < n { naive(|p| a[i * sa + p * ka], |p| b[p * n + j], k, Some(start[e])) } else { start[e] };
            assert_eq!(y[e], want);
        }
    }
}

#[inline(always)]
/// The best of several timings, in seconds.
fn best(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..15 {
        let start = std::time::Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

/// N independent chains of fused multiply-adds, as many as hide their latency: GFLOP/s at the peak.
#[inline(always)]
unsafe fn chains<V: Vector, const N: usize>() -> f64 {
    const TIMES: usize = 100_000;
    let seconds = best(
        #[inline(always)]
        || {
            // SAFETY: the caller has the instructions; the array has a vector's lanes.
            unsafe {
                let mut out = [V::T::ZERO; 16];
                let (a, b) = (std::hint::black_box(V::T::of(0.999)), std::hint::black_box(V::T::of(0.001)));
                let (a, b) = (V::splat(a), V::splat(b));
                let mut acc = [b; N];
                for _ in 0..TIMES {
                    for x in &mut acc {
                        *x = x.mul_add(a, b);
                    }
                }
                for x in acc {
                    x.store(out.as_mut_ptr());
                    std::hint::black_box(&out);
                }
            }
        },
    );
    (2 * TIMES * N * V::LANES) as f64 / seconds / 1e9
}

#[target_feature(enable = "avx512f")]
unsafe fn chains_avx512<V: Vector>() -> f64 {
    // SAFETY: handed on.
    unsafe { chains::<V, 16>() }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn chains_avx2<V: Vector>() -> f64 {
    // SAFETY: handed on.
    unsafe { chains::<V, 12>() }
}

fn speed<T: Float>(level: Level, floor: bool) {
    // SAFETY: the level is this processor's.
    let peak = unsafe {
        match (level, T::SIZE) {
            (Level::Avx512, 4) => chains_avx512::<__m512>(),
            (Level::Avx512, _) => chains_avx512::<__m512d>(),
            (_, 4) => chains_avx2::<__m256>(),
            _ => chains_avx2::<__m256d>(),
        }
    };
    eprintln!("{level:?} {:?}: FMA loop {peak:.1} GFLOP/s", dtype::<T>());
    let shapes = [
        ("nt", 512, 512, 512),
        ("nn", 512, 512, 512),
        ("nt", 128, 784, 512),
        ("nn", 128, 512, 512),
        ("tn", 784, 128, 512),
        ("tn", 512, 128, 784),
        ("tn", 384, 1024, 1536),
        ("nt", 1024, 384, 1536),
        ("nt", 32, 64, 64),
        ("nn", 32, 64, 64),
        ("tn", 64, 32, 64),
        ("nt", 1, 768, 3072),
        ("nn", 1, 768, 3072),
        ("nt", 128, 512, 10),
    ];
    let mut slowest = f64::INFINITY;
    for (kind, m, k, n) in shapes {
        let (a, b) = (numbers::<T>(m * k, 1), numbers::<T>(k * n, 2));
        let mut y = vec![T::ZERO; m * n];
        let (mut memory, skip) = scratch(gemm_work::<T>(k, n));
        let work = &mut memory[skip..];
        let (sa, ka) = if kind == "tn" { (1, m) } else { (k, 1) };
        let (sb, kb) = if kind == "nt" { (k, 1) } else { (1, n) };
        let left = MatRef { ptr: a.as_ptr(), stride: sa as isize, k: ka as isize };
        let right = MatRef { ptr: b.as_ptr(), stride: sb as isize, k: kb as isize };
        let times = (20_000_000 / (m * k * n)).max(1);
        let seconds = best(|| {
            for _ in 0..times {
                // SAFETY: the sizes are those of the vectors.
                unsafe { gemm_block(y.as_mut_ptr(), n, left, right, m, n, k, Acc::Store, work) };
            }
        }) / times as f64;
        let rate = (2 * m * k * n) as f64 / seconds / 1e9;
        eprintln!("  {kind} {m}x{k}x{n}: {rate:.1} GFLOP/s, {:.2} us, {:.0} %", seconds * 1e6, 100.0 * rate / peak);
        if m == 512 && k == 512 {
            slowest = slowest.min(rate);
        }
    }
    assert!(!floor || slowest >= 0.8 * peak, "512 x 512 x 512 runs at {slowest:.1} of {peak:.1} GFLOP/s");
}

#[test]
#[ignore = "a timing: cargo test --release kernels::gemm -- --ignored --nocapture"]
fn the_tile_reaches_four_fifths_of_the_peak() {
    for level in [Level::Avx2, Level::Avx512] {
        if level <= simd::best() {
            simd::force(level);
            speed::<f32>(level, true);
            speed::<f64>(level, true);
        }
    }
}
