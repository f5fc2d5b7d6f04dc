//! For tests: buffers, and a call made in every way in which the bits must not differ.

use super::call::{Args, Call, Fault, FaultKind, Kernel, View, Worker};
use super::float::Float;
use super::simd::{self, Level};
use crate::tensor::DType;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A level holds for the whole process; tests that force one take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Waits for the turn to force a level.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An element type.
pub trait Element: Copy + PartialEq + std::fmt::Debug + 'static {
    const DTYPE: DType;
}
impl Element for f32 {
    const DTYPE: DType = DType::F32;
}
impl Element for f64 {
    const DTYPE: DType = DType::F64;
}
impl Element for i64 {
    const DTYPE: DType = DType::I64;
}
impl Element for u8 {
    const DTYPE: DType = DType::Bool;
}

/// An owned dense tensor, 8-byte aligned.
#[derive(Clone, Debug)]
pub struct Buffer {
    pub dtype: DType,
    pub shape: Vec<usize>,
    words: Vec<u64>,
}

impl Buffer {
    pub fn of<E: Element>(shape: &[usize], elements: &[E]) -> Buffer {
        let mut buffer = Buffer::garbage(E::DTYPE, shape);
        buffer.elements_mut::<E>().copy_from_slice(elements);
        buffer
    }

    /// Filled with bits that nobody computes by chance.
    pub fn garbage(dtype: DType, shape: &[usize]) -> Buffer {
        let bytes = shape.iter().product::<usize>() * dtype.size();
        Buffer { dtype, shape: shape.to_vec(), words: vec![0xA5A5_A5A5_A5A5_A5A5; bytes.div_ceil(8) + 1] }
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: words have no padding, and there are enough of them.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.len() * self.dtype.size()) }
    }

    pub fn elements<E: Element>(&self) -> &[E] {
        assert_eq!(E::DTYPE, self.dtype);
        // SAFETY: the type is right, the words are aligned for it and enough.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.len()) }
    }

    pub fn elements_mut<E: Element>(&mut self) -> &mut [E] {
        assert_eq!(E::DTYPE, self.dtype);
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.len()) }
    }

    pub fn view(&self) -> Option<View> {
        Some(View::dense(self.at(0), self.dtype, &self.shape))
    }

    /// A window from element `first` on.
    pub fn window(&self, first: usize, shape: &[usize], strides: &[i32]) -> Option<View> {
        let mut view = View::dense(self.at(first), self.dtype, shape);
        view.strides[..strides.len()].copy_from_slice(strides);
        Some(view)
    }

    fn at(&self, element: usize) -> NonNull<u8> {
        let bytes = self.words.as_ptr().cast::<u8>().cast_mut();
        NonNull::new(bytes.wrapping_add(element * self.dtype.size())).expect("a buffer has an address")
    }
}

/// Numbers between -2 and 2, the same every time.
pub fn noise<T: Float>(len: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let draw = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::of((state >> 11) as f64 / (1u64 << 51) as f64 - 2.0)
    };
    (0..len).map(draw).collect()
}

/// Runs a kernel once on these units.
pub fn run_units(kernel: &Kernel, which: usize, call: &Call, units: Range<usize>) -> Option<FaultKind> {
    let fault = Fault::default();
    let mut work = vec![0xA5A5_A5A5_A5A5_A5A5u64; ((kernel.work)(call)).div_ceil(8) + 8];
    // SAFETY: words may be read as bytes; 64-byte alignment is reached inside the slack.
    let bytes = unsafe { work.align_to_mut::<u8>().1 };
    let skip = bytes.as_ptr().align_offset(64);
    let mut worker = Worker { work: &mut bytes[skip..], fault: &fault, step: 7 };
    // SAFETY: the tests bind buffers of the declared types and sizes.
    unsafe { kernel.run[which](call, &mut worker, units) };
    fault.first().map(|(step, kind)| {
        assert_eq!(step, 7);
        kind
    })
}

/// Which of `Kernel::run` computes in this type.
pub fn which<T: Float>() -> usize {
    usize::from(T::SIZE == 8)
}

/// The outputs of a call, which must be the same bits at every level, for every cut of the units, and in place.
pub fn every_way<T: Float>(
    kernel: &Kernel,
    ins: &[Option<View>],
    outs: &[Option<(DType, Vec<usize>)>],
    args: Args,
) -> Vec<Buffer> {
    every_way_fault::<T>(kernel, ins, outs, args).0
}

/// `every_way`, and the fault.
pub fn every_way_fault<T: Float>(
    kernel: &Kernel,
    ins: &[Option<View>],
    outs: &[Option<(DType, Vec<usize>)>],
    args: Args,
) -> (Vec<Buffer>, Option<FaultKind>) {
    let _turn = turn();
    simd::force(Level::Avx512);
    let (expected, fault) = run_cut::<T>(kernel, ins, outs, args, usize::MAX, None);
    let same = |got: &[Buffer], how: String| {
        for (k, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert!(got.bytes() == expected.bytes(), "{}: output {k} differs {how}", kernel.name);
        }
    };
    for level in [Level::Portable, Level::Avx2, Level::Avx512] {
        simd::force(level);
        for step in [1, 3, 65, usize::MAX] {
            let (got, again) = run_cut::<T>(kernel, ins, outs, args, step, None);
            same(&got, format!("at {level:?} in steps of {step}"));
            assert_eq!(again, fault, "{}", kernel.name);
        }
        for &pair in kernel.inplace {
            if ins[pair.0].is_some_and(|view| view.is_dense()) && outs[pair.1].is_some() {
                let (got, _) = run_cut::<T>(kernel, ins, outs, args, 3, Some(pair));
                same(&got, format!("at {level:?} in place of operand {pair:?}"));
            }
        }
    }
    simd::force(simd::best());
    (expected, fault)
}

fn run_cut<T: Float>(
    kernel: &Kernel,
    ins: &[Option<View>],
    outs: &[Option<(DType, Vec<usize>)>],
    args: Args,
    step: usize,
    inplace: Option<(usize, usize)>,
) -> (Vec<Buffer>, Option<FaultKind>) {
    let mut ins = ins.to_vec();
    let buffers: Vec<Option<Buffer>> =
        outs.iter().map(|out| out.as_ref().map(|(dtype, shape)| Buffer::garbage(*dtype, shape))).collect();
    if let Some((operand, output)) = inplace {
        let (from, to) = (&mut ins[operand], buffers[output].as_ref().expect("checked by the caller"));
        let from = from.as_mut().expect("checked by the caller");
        assert_eq!((from.len(), from.dtype), (to.len(), to.dtype));
        // SAFETY: both are dense and as long; the output is a fresh buffer.
        unsafe { std::ptr::copy_nonoverlapping(from.ptr.as_ptr(), to.at(0).as_ptr(), to.bytes().len()) };
        from.ptr = to.at(0);
    }
    let views = buffers.iter().map(|buffer| buffer.as_ref().and_then(Buffer::view)).collect();
    let call = Call { ins: ins.into(), outs: views, args, program: None };
    let units = (kernel.units)(&call);
    let mut fault = None;
    let mut at = 0;
    while at < units {
        let end = units.min(at.saturating_add(step));
        fault = run_units(kernel, which::<T>(), &call, at..end).or(fault);
        at = end;
    }
    (buffers.into_iter().flatten().collect(), fault)
}

/// A row's sum in the documented order: lane i % 64, then the tree. `step(chain, i)` adds element i.
pub fn lanes<T: Float>(n: usize, step: impl Fn(T, usize) -> T) -> T {
    lanes_from(n, T::ZERO, step, |a, b| a + b)
}

/// `lanes` for another operation than the sum.
pub fn lanes_from<T: Float>(n: usize, start: T, step: impl Fn(T, usize) -> T, join: impl Fn(T, T) -> T) -> T {
    let mut lanes = [start; 64];
    for i in 0..n {
        lanes[i % 64] = step(lanes[i % 64], i);
    }
    for width in [32, 16, 8, 4, 2, 1] {
        for j in 0..width {
            lanes[j] = join(lanes[j], lanes[j + width]);
        }
    }
    lanes[0]
}

/// A sum down the rows in the documented order: chains over blocks of 512, added in order.
pub fn down<T: Float>(rows: usize, step: impl Fn(T, usize) -> T) -> T {
    down_from(rows, T::ZERO, step, |a, b| a + b)
}

/// `down` for another operation than the sum.
pub fn down_from<T: Float>(rows: usize, start: T, step: impl Fn(T, usize) -> T, join: impl Fn(T, T) -> T) -> T {
    (0..rows).step_by(512).fold(start, |total, block| join(total, (block..rows.min(block + 512)).fold(start, &step)))
}

/// Asserts equal bits.
#[track_caller]
pub fn same_bits<E: Element>(got: &Buffer, twin: &[E]) {
    let twin = Buffer::of(&got.shape, twin);
    if let Some(at) = got.bytes().iter().zip(twin.bytes()).position(|(a, b)| a != b) {
        let at = at / got.dtype.size();
        panic!("element {at}: {:?}, the twin says {:?}", got.elements::<E>()[at], twin.elements::<E>()[at]);
    }
}

/// Asserts that all differences are below `tolerance * (1 + |expected|)`.
#[track_caller]
pub fn close<T: Float>(got: &[T], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got.to_f64() - expected).abs();
        assert!(error <= tolerance * (1.0 + expected.abs()), "element {i}: {got:?}, expected {expected}");
    }
}
