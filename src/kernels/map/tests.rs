//! Programs against the formulas, element by element.

// The timings are read by whoever runs them.
#![allow(clippy::print_stderr)]

use super::*;
use crate::kernels::call::{Fault, FaultKind, View};
use crate::kernels::random;
use crate::kernels::simd::{self, Level};
use crate::tensor::DType;
use std::ptr::NonNull;

/// Zeros of a type, as a view can point to them.
fn buffer(dtype: DType, n: usize) -> Vec<u64> {
    vec![0; (n * dtype.size()).div_ceil(8) + 1]
}

fn write(memory: &mut [u64], dtype: DType, i: usize, x: f64) {
    let base = memory.as_mut_ptr();
    // SAFETY: the memory was made for more than i elements of this type.
    unsafe {
        match dtype {
            DType::F32 => *base.cast::<f32>().add(i) = x as f32,
            DType::F64 => *base.cast::<f64>().add(i) = x,
            DType::I64 => *base.cast::<i64>().add(i) = x as i64,
            DType::Bool => *base.cast::<u8>().add(i) = u8::from(x != 0.0),
        }
    }
}

fn read(memory: &[u64], dtype: DType, i: usize) -> f64 {
    let base = std::hint::black_box(memory).as_ptr();
    // SAFETY: the memory was made for more than i elements of this type.
    unsafe {
        match dtype {
            DType::F32 => f64::from(*base.cast::<f32>().add(i)),
            DType::F64 => *base.cast::<f64>().add(i),
            DType::I64 => *base.cast::<i64>().add(i) as f64,
            DType::Bool => f64::from(*base.cast::<u8>().add(i)),
        }
    }
}

fn values(dtype: DType, n: usize, f: impl Fn(usize) -> f64) -> Vec<u64> {
    let mut memory = buffer(dtype, n);
    for i in 0..n {
        write(&mut memory, dtype, i, f(i));
    }
    memory
}

fn view(memory: &[u64], dtype: DType, shape: &[usize], strides: Option<&[i32]>) -> View {
    let mut view = View::dense(NonNull::from(memory).cast(), dtype, shape);
    if let Some(strides) = strides {
        view.strides[..strides.len()].copy_from_slice(strides);
    }
    view
}

fn call(ins: Vec<View>, outs: Vec<Option<View>>, program: &Program) -> Call {
    assert!(program.fits());
    Call {
        ins: ins.into_iter().map(Some).collect(),
        outs: outs.into(),
        args: Default::default(),
        program: Some(Box::new(program.clone())),
    }
}

/// Runs the units in ranges that end at `cuts`; gives the first fault.
fn run_map(call: &Call, index: usize, cuts: &[usize]) -> Option<FaultKind> {
    let bytes = (MAP.work)(call);
    let mut memory = vec![0xffu8; bytes + 64];
    let skip = memory.as_ptr().align_offset(64);
    let fault = Fault::default();
    let units = (MAP.units)(call);
    let mut start = 0;
    for end in cuts.iter().copied().filter(|&c| c < units).chain([units]) {
        let mut worker = Worker { work: &mut memory[skip..skip + bytes], fault: &fault, step: 0 };
        // SAFETY: the views are those of live buffers of these sizes.
        unsafe { (MAP.run[index])(call, &mut worker, start..end) };
        start = end;
    }
    fault.first().map(|(_, kind)| kind)
}

const LEVELS: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];
const FLOATS: [DType; 2] = [DType::F32, DType::F64];

fn sample(i: usize) -> f64 {
    let special = [0.0, -0.0, 1.0, -1.0, 0.5, 7.25, -3.0, 1e-3, 88.0, -104.0, 1e10];
    special.get(i).copied().unwrap_or((i as f64 * 0.618_033_988_75).fract() * 12.0 - 6.0)
}

/// One instruction on its own: the same bits on all levels, near the formula.
fn check(op: &'static MapOp, imm: [f64; 2], tolerance: f64, formula: impl Fn(f64, f64, f64) -> f64) {
    let n = 601;
    for (index, dtype) in FLOATS.into_iter().enumerate() {
        let ins: Vec<Vec<u64>> = (0..3).map(|k| values(dtype, n, |i| sample(i * (2 * k + 1) % 997))).collect();
        let mut program = Program::new(3);
        let args: Vec<Reg> = (0..op.arity).map(Reg::Load).collect();
        let y = program.push(op, &args, imm, 0);
        program.store(y);
        let mut first: Option<Vec<u64>> = None;
        for level in LEVELS {
            simd::force(level);
            let out = buffer(dtype, n);
            let views = ins.iter().map(|m| view(m, dtype, &[n], None)).collect();
            assert_eq!(
                run_map(&call(views, vec![Some(view(&out, dtype, &[n], None))], &program), index, &[3, 300]),
                None
            );
            for i in 0..n {
                let [x, y, z] = [0, 1, 2].map(|k: usize| read(&ins[k], dtype, i));
                let (got, want) = (read(&out, dtype, i), formula(x, y, z));
                let epsilon = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
                let allowed = tolerance * epsilon * want.abs().max(if tolerance > 4.0 { 1.0 } else { 0.0 });
                let near = (got - want).abs() <= allowed + 1e-44;
                let same = got == want || (got.is_nan() && want.is_nan()) || got == f64::from(want as f32);
                assert!(near || same, "{}({x}, {y}, {z}) = {got}, not {want} ({dtype})", op.name);
            }
            let bits = std::hint::black_box(out);
            if let Some(first) = &first {
                for i in 0..n {
                    let (a, b) = (read(first, dtype, i), read(&bits, dtype, i));
                    assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{} on {level:?}", op.name);
                }
            }
            first.get_or_insert(bits);
        }
    }
}

#[test]
fn arithmetic() {
    let truth = |b: bool| f64::from(u8::from(b));
    check(&ops::COPY, [0.0; 2], 0.0, |x, _, _| x);
    check(&ops::ADD, [0.0; 2], 8.0, |x, y, _| x + y);
    check(&ops::SUB, [0.0; 2], 8.0, |x, y, _| x - y);
    check(&ops::MUL, [0.0; 2], 1.0, |x, y, _| x * y);
    check(&ops::DIV, [0.0; 2], 1.0, |x, y, _| x / y);
    check(&ops::NEG, [0.0; 2], 0.0, |x, _, _| -x);
    check(&ops::ABS, [0.0; 2], 0.0, |x, _, _| x.abs());
    check(&ops::SIGN, [0.0; 2], 0.0, |x, _, _| if x == 0.0 { 0.0 } else { x.signum() });
    check(&ops::SQUARE, [0.0; 2], 1.0, |x, _, _| x * x);
    check(&ops::RECIPROCAL, [0.0; 2], 1.0, |x, _, _| 1.0 / x);
    check(&ops::SQRT, [0.0; 2], 1.0, |x, _, _| x.sqrt());
    check(&ops::RSQRT, [0.0; 2], 2.0, |x, _, _| 1.0 / x.sqrt());
    check(&ops::AFFINE, [1.5, -0.25], 16.0, |x, _, _| x * 1.5 - 0.25);
    check(&ops::FLOOR, [0.0; 2], 0.0, |x, _, _| x.floor());
    check(&ops::MAXIMUM, [0.0; 2], 0.0, f64_max);
    check(&ops::MINIMUM, [0.0; 2], 0.0, |x, y, _| x.min(y));
    check(&ops::SELECT, [0.0; 2], 0.0, |x, y, z| if x == 0.0 { z } else { y });
    check(&ops::EQ, [0.0; 2], 0.0, |x, y, _| truth(x == y));
    check(&ops::NE, [0.0; 2], 0.0, |x, y, _| truth(x != y));
    check(&ops::LT, [0.0; 2], 0.0, |x, y, _| truth(x < y));
    check(&ops::LE, [0.0; 2], 0.0, |x, y, _| truth(x <= y));
    check(&ops::GT, [0.0; 2], 0.0, |x, y, _| truth(x > y));
    check(&ops::GE, [0.0; 2], 0.0, |x, y, _| truth(x >= y));
    check(&ops::AND, [0.0; 2], 0.0, |x, y, _| truth(x != 0.0 && y != 0.0));
    check(&ops::OR, [0.0; 2], 0.0, |x, y, _| truth(x != 0.0 || y != 0.0));
    check(&ops::NOT, [0.0; 2], 0.0, |x, _, _| truth(x == 0.0));
    check(&ops::ISFINITE, [0.0; 2], 0.0, |x, _, _| truth(x.is_finite()));
}

fn f64_max(x: f64, y: f64, _: f64) -> f64 {
    x.max(y)
}

#[test]
fn functions() {
    check(&ops::EXP, [0.0; 2], 2.0, |x, _, _| x.exp());
    check(&ops::LN, [0.0; 2], 2.0, |x, _, _| x.ln());
    check(&ops::LN1P, [0.0; 2], 4.0, |x, _, _| x.ln_1p());
    check(&ops::TANH, [0.0; 2], 3.0, |x, _, _| x.tanh());
    check(&ops::SIGMOID, [0.0; 2], 3.0, |x, _, _| 1.0 / (1.0 + (-x).exp()));
    check(&ops::ERF, [0.0; 2], 2.0, |x, _, _| Float::erf(x));
    check(&ops::SIN, [0.0; 2], 2.0, |x, _, _| x.sin());
    check(&ops::COS, [0.0; 2], 2.0, |x, _, _| x.cos());
    for p in [0.0, 0.5, -0.5, 1.0, 2.0, 3.0, -1.0, -2.0, 4.0, 5.0, -3.0, 1.7, -0.3] {
        check(&ops::POW, [p, 0.0], 64.0, |x, _, _| x.powf(p));
    }
}

#[test]
fn activations_and_their_derivatives() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let cdf = |x: f64| 0.5 * (1.0 + Float::erf(x * std::f64::consts::FRAC_1_SQRT_2));
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let c = (2.0 / std::f64::consts::PI).sqrt();
    let u = |x: f64| c * (x + 0.044715 * x * x * x);
    check(&ops::RELU, [0.0; 2], 0.0, |x, _, _| x.max(0.0));
    check(&ops::RELU_GATE, [0.0; 2], 0.0, |x, dy, _| if x > 0.0 { dy } else { 0.0 });
    check(&ops::GELU, [0.0; 2], 8.0, |x, _, _| x * cdf(x));
    check(&ops::GELU_DERIVATIVE, [0.0; 2], 8.0, |x, _, _| cdf(x) + x * density(x));
    check(&ops::GELU_TANH, [0.0; 2], 8.0, |x, _, _| 0.5 * x * (1.0 + u(x).tanh()));
    check(&ops::GELU_TANH_DERIVATIVE, [0.0; 2], 16.0, |x, _, _| {
        let t = u(x).tanh();
        let slope = if t.abs() == 1.0 { 0.0 } else { (1.0 - t * t) * c * (1.0 + 3.0 * 0.044715 * x * x) };
        0.5 * (1.0 + t) + 0.5 * x * slope
    });
    check(&ops::GELU_SIGMOID, [0.0; 2], 8.0, |x, _, _| x * sigmoid(1.702 * x));
    check(&ops::GELU_SIGMOID_DERIVATIVE, [0.0; 2], 16.0, |x, _, _| {
        let s = sigmoid(1.702 * x);
        s + 1.702 * x * s * (1.0 - s)
    });
    check(&ops::SILU, [0.0; 2], 8.0, |x, _, _| x * sigmoid(x));
    check(&ops::SILU_DERIVATIVE, [0.0; 2], 16.0, |x, _, _| {
        let s = sigmoid(x);
        s + x * s * (1.0 - s)
    });
}

#[test]
fn remainders_have_the_sign_of_the_divisor() {
    let x = [5.0, -1e-20, -5.0, 5.0, -5.0, 5.0, -5.0, 1e6, 6.0, -6.0, f64::INFINITY, 1.0];
    let y = [3.0, 3.0, 3.0, -3.0, -3.0, f64::INFINITY, f64::INFINITY, 7.0, 3.0, 3.0, 2.0, 0.0];
    let want = [2.0, 3.0, 1.0, -1.0, -2.0, 5.0, f64::INFINITY, 1.0, 0.0, 0.0, f64::NAN, f64::NAN];
    for (index, dtype) in FLOATS.into_iter().enumerate() {
        let (a, b) = (values(dtype, 12, |i| x[i]), values(dtype, 12, |i| y[i]));
        let out = buffer(dtype, 12);
        let mut program = Program::new(2);
        let r = program.push(&ops::REM, &[Reg::Load(0), Reg::Load(1)], [0.0; 2], 0);
        program.store(r);
        let views = vec![view(&a, dtype, &[12], None), view(&b, dtype, &[12], None)];
        run_map(&call(views, vec![Some(view(&out, dtype, &[12], None))], &program), index, &[]);
        for i in 0..12 {
            let got = read(&out, dtype, i);
            assert!(got == want[i] || got.is_nan() && want[i].is_nan(), "{} % {} = {got}", x[i], y[i]);
        }
    }
}

#[test]
fn nan_is_not_lost() {
    let nan = values(DType::F32, 3, |_| f64::NAN);
    for op in [&ops::RELU, &ops::MAXIMUM, &ops::MINIMUM, &ops::GELU, &ops::GELU_TANH, &ops::SILU, &ops::EXP, &ops::LN1P]
    {
        for swap in [false, true] {
            let mut program = Program::new(1);
            let pair = if swap { [Reg::Const(0.5), Reg::Load(0)] } else { [Reg::Load(0), Reg::Const(0.5)] };
            let y = program.push(op, if op.arity == 1 { &[Reg::Load(0)] } else { &pair }, [0.0; 2], 0);
            program.store(y);
            let out = buffer(DType::F32, 3);
            let views = vec![view(&nan, DType::F32, &[3], None)];
            run_map(&call(views, vec![Some(view(&out, DType::F32, &[3], None))], &program), 0, &[]);
            assert!(read(&out, DType::F32, 1).is_nan(), "{}", op.name);
        }
    }
}

#[test]
fn every_pattern_of_every_type() {
    let types = [DType::F32, DType::F64, DType::I64, DType::Bool];
    let shapes: [&[usize]; 9] =
        [&[], &[1], &[700], &[3, 5], &[7, 300], &[4, 1, 129], &[2, 3, 5, 31], &[3, 0, 2], &[1, 513, 2]];
    for shape in shapes {
        let rank = shape.len();
        let total: usize = shape.iter().product();
        for mask in 0..1u32 << rank {
            // Axes in the mask are expanded; the others are dense, or transposed, or every second element is read.
            for (twist, dtype) in (0..3).flat_map(|twist| types.map(|dtype| (twist, dtype))) {
                let mut strides = vec![0i32; rank];
                let mut next = if twist == 2 { 2 } else { 1 };
                let order: Vec<usize> = if twist == 1 { (0..rank).collect() } else { (0..rank).rev().collect() };
                for axis in order {
                    if mask >> axis & 1 == 0 {
                        strides[axis] = next;
                        next *= shape[axis] as i32;
                    }
                }
                let memory = values(dtype, next.max(1) as usize, |i| ((i * 37) % 101) as f64 - 30.0);
                for (index, register) in FLOATS.into_iter().enumerate() {
                    let mut program = Program::new(1);
                    program.store(Reg::Load(0));
                    let neg = program.push(&ops::NEG, &[Reg::Load(0)], [0.0; 2], 0);
                    program.store(neg);
                    let (copy, negative) = (buffer(DType::F64, total), buffer(register, total));
                    let outs =
                        vec![Some(view(&copy, DType::F64, shape, None)), Some(view(&negative, register, shape, None))];
                    let ins = vec![view(&memory, dtype, shape, Some(&strides))];
                    run_map(&call(ins, outs, &program), index, &[1, 2, 290]);
                    for e in 0..total {
                        let (mut rest, mut at) = (e, 0);
                        for axis in (0..rank).rev() {
                            at += rest % shape[axis] * strides[axis] as usize;
                            rest /= shape[axis];
                        }
                        let want = read(&memory, dtype, at);
                        assert_eq!(read(&copy, DType::F64, e), want, "{shape:?} {strides:?} {dtype} element {e}");
                        assert_eq!(read(&negative, register, e), -want);
                    }
                }
            }
        }
    }
}

#[test]
fn outputs_of_every_type_and_faults() {
    let x = [0.0, 2.9, -2.9, 1e18, -0.5, f64::NAN, 9.3e18, -9.3e18];
    let memory = values(DType::F64, 8, |i| x[i]);
    for (n, fault) in [(5, None), (8, Some(FaultKind::CastOutOfRange))] {
        let mut program = Program::new(1);
        for _ in 0..3 {
            program.store(Reg::Load(0));
        }
        let (bools, ints, singles) = (buffer(DType::Bool, n), buffer(DType::I64, n), buffer(DType::F32, n));
        let outs = vec![
            Some(view(&bools, DType::Bool, &[n], None)),
            Some(view(&ints, DType::I64, &[n], None)),
            Some(view(&singles, DType::F32, &[n], None)),
        ];
        assert_eq!(run_map(&call(vec![view(&memory, DType::F64, &[n], None)], outs, &program), 1, &[]), fault);
        for (i, &x) in x[..n].iter().enumerate() {
            assert_eq!(read(&bools, DType::Bool, i), f64::from(u8::from(x != 0.0)));
            let cut = if x.abs() < 9.2e18 { x.trunc() } else { 0.0 };
            assert_eq!(read(&ints, DType::I64, i), cut);
            assert!(x.is_nan() || read(&singles, DType::F32, i) == f64::from(x as f32));
        }
    }
}

/// A chain that needs few registers, in place on its first operand, with a second output and a dead one.
#[test]
fn long_programs_in_place() {
    for (dead, n) in [(false, 1000), (true, 257)] {
        let mut x = values(DType::F32, n, |i| sample(i % 50 + 11));
        let before = x.clone();
        let bias = values(DType::F32, 5, |i| i as f64);
        let mut program = Program::new(2);
        let mut sum = program.push(&ops::ADD, &[Reg::Load(0), Reg::Load(1)], [0.0; 2], 0);
        let early = sum;
        for i in 0..40 {
            let twice = program.push(&ops::MUL, &[sum, Reg::Const(0.5)], [0.0; 2], 0);
            sum = program.push(&ops::ADD, &[twice, Reg::Const(f64::from(i % 3))], [0.0; 2], 0);
        }
        let late = program.push(&ops::SUB, &[sum, Reg::Load(0)], [0.0; 2], 0);
        program.store(late);
        program.store(early);
        assert!(program.registers <= 5, "{} registers", program.registers);
        let second = buffer(DType::F32, n);
        let y = view(&x, DType::F32, &[n / 5, 5], None);
        let other = (!dead).then(|| view(&second, DType::F32, &[n / 5, 5], None));
        let ins = vec![y, view(&bias, DType::F32, &[n / 5, 5], Some(&[0, 1]))];
        let c = call(ins, vec![Some(y), other], &program);
        run_map(&c, 0, &[7, 100]);
        x = std::hint::black_box(x);
        for i in 0..n / 5 * 5 {
            let start = read(&before, DType::F32, i) as f32;
            let early = start + (i % 5) as f32;
            let sum = (0..40).fold(early, |sum, k| sum * 0.5 + (k % 3) as f32);
            assert_eq!(read(&x, DType::F32, i) as f32, sum - start);
            assert_eq!(read(&second, DType::F32, i) as f32, if dead { 0.0 } else { early });
        }
    }
}

#[test]
fn limits_are_told() {
    let mut program = Program::new(1);
    let wide: Vec<Reg> =
        (0..20).map(|i| program.push(&ops::ADD, &[Reg::Load(0), Reg::Const(f64::from(i))], [0.0; 2], 0)).collect();
    program.store(wide[0]);
    assert!(!program.fits()); // too many constants
    let mut program = Program::new(1);
    let wide: Vec<Reg> = (0..20).map(|_| program.push(&ops::NEG, &[Reg::Load(0)], [0.0; 2], 0)).collect();
    let sum = wide.iter().skip(1).fold(wide[0], |sum, &x| program.push(&ops::ADD, &[sum, x], [0.0; 2], 0));
    program.store(sum);
    assert!(!program.fits() && program.registers > MAX_REGISTERS);
}

#[test]
fn random_instructions_draw_by_element() {
    let n = 7 * 111;
    let x = values(DType::F32, n, |i| i as f64 + 1.0);
    let (seed, step) = (values(DType::I64, 1, |_| 11.0), values(DType::I64, 1, |_| 4.0));
    let key = random::path_key("block.2.drop");
    let mut program = Program::new(3);
    let args = [Reg::Load(0), Reg::Load(1), Reg::Load(2)];
    let dropped = program.push(&ops::DROPOUT, &args, [0.1, 0.0], key);
    let normal = program.push(&ops::NORMAL, &args[1..], [0.0; 2], key);
    let uniform = program.push(&ops::UNIFORM, &args[1..], [0.0; 2], key);
    for y in [dropped, normal, uniform] {
        program.store(y);
    }
    let draw = |purpose| random::Stream::new(11, key, 4, purpose);
    let (mut a, mut b, mut c) = (vec![0f32; n], vec![0f32; n], vec![0f32; n]);
    let ones: Vec<f32> = (0..n).map(|i| i as f32 + 1.0).collect();
    random::dropout(&mut a, &ones, 0, draw(random::Purpose::Dropout), 0.1);
    random::normal(&mut b, 0, draw(random::Purpose::Normal));
    random::uniform(&mut c, 0, draw(random::Purpose::Uniform));
    for cuts in [&[][..], &[1, 3, 4]] {
        let out: Vec<Vec<u64>> = (0..3).map(|_| buffer(DType::F32, n)).collect();
        let scalar = |m: &[u64]| view(m, DType::I64, &[], None);
        let ins = vec![view(&x, DType::F32, &[7, 111], None), scalar(&seed), scalar(&step)];
        let outs = out.iter().map(|m| Some(view(m, DType::F32, &[7, 111], None))).collect();
        run_map(&call(ins, outs, &program), 0, cuts);
        for i in 0..n {
            for (out, want) in out.iter().zip([&a, &b, &c]) {
                assert_eq!(read(out, DType::F32, i) as f32, want[i]);
            }
        }
    }
}

#[test]
#[ignore = "a timing: cargo test --release kernels::map -- --ignored --nocapture"]
fn speed() {
    let time = |call: &Call, n: usize| {
        let bytes = (MAP.work)(call);
        let mut memory = vec![0u8; bytes + 64];
        let skip = memory.as_ptr().align_offset(64);
        let fault = Fault::default();
        let mut worker = Worker { work: &mut memory[skip..skip + bytes], fault: &fault, step: 0 };
        let units = (MAP.units)(call);
        let times = (400_000 / n).max(1);
        let mut best = f64::INFINITY;
        for _ in 0..20 {
            let start = std::time::Instant::now();
            for _ in 0..times {
                // SAFETY: the views are those of live buffers of these sizes.
                unsafe { (MAP.run[0])(call, &mut worker, 0..units) };
            }
            best = best.min(start.elapsed().as_secs_f64() / times as f64);
        }
        best * 1e9
    };
    for level in [Level::Avx2, Level::Avx512] {
        simd::force(level);
        let (rows, row) = (64, 512);
        let n = rows * row;
        let (x, y) = (values(DType::F32, n, |i| sample(i % 900 + 11)), buffer(DType::F32, n));
        let singles = [
            &ops::COPY,
            &ops::ADD,
            &ops::DIV,
            &ops::EXP,
            &ops::LN,
            &ops::TANH,
            &ops::SIGMOID,
            &ops::ERF,
            &ops::SIN,
            &ops::GELU,
            &ops::GELU_DERIVATIVE,
            &ops::GELU_TANH,
            &ops::GELU_TANH_DERIVATIVE,
            &ops::SILU,
            &ops::POW,
            &ops::REM,
        ];
        for op in singles {
            let mut program = Program::new(1);
            let args = [Reg::Load(0), Reg::Const(0.7)];
            let r = program.push(op, &args[..op.arity], [1.7, 0.0], 0);
            program.store(r);
            let shape = [rows, row];
            let c = call(
                vec![view(&x, DType::F32, &shape, None)],
                vec![Some(view(&y, DType::F32, &shape, None))],
                &program,
            );
            eprintln!("{level:?} {}: {:.3} ns an element", op.name, time(&c, n) / n as f64);
        }
        let (bias, seed) = (buffer(DType::F32, row), buffer(DType::I64, 1));
        for (rows, row) in [(64, 512), (1, 512), (1, 5), (5, 1)] {
            let shape = [rows, row];
            let scalar = view(&seed, DType::I64, &[], None);
            let strided = view(&bias, DType::F32, &shape, Some(&[0, 1]));
            let ins = vec![view(&x, DType::F32, &shape, None), strided, scalar, scalar];
            let mut program = Program::new(4);
            let mut last = program.push(&ops::ADD, &[Reg::Load(0), Reg::Load(1)], [0.0; 2], 0);
            let mut line = format!("{level:?} {rows}x{row}:");
            for (op, more) in [
                (&ops::ADD, &[Reg::Const(1.0)][..]),
                (&ops::GELU_TANH, &[]),
                (&ops::DROPOUT, &[Reg::Load(2), Reg::Load(3)]),
            ] {
                last = program.push(op, &[&[last], more].concat(), [0.1, 0.0], 5);
                let mut stored = program.clone();
                stored.store(last);
                let ns = time(&call(ins.clone(), vec![Some(view(&y, DType::F32, &shape, None))], &stored), rows * row);
                line += &format!(" + {} {ns:.0} ns ({:.3} an element)", op.name, ns / (rows * row) as f64);
            }
            eprintln!("{line}");
        }
    }
}
