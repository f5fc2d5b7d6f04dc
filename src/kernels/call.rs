//! How a kernel is called: fixed-size views and arguments, a range of units, a workspace from outside.

use crate::tensor::DType;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The most axes that a view has.
pub const MAX_RANK: usize = 8;

/// A strided window on a planned buffer. Strides count elements and may be 0 (expanded axes).
///
/// A view is plain data: whoever reads through it says in an `unsafe` block why nobody writes there meanwhile (the
/// planner's barriers see to it).
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The first element.
    pub ptr: NonNull<u8>,
    /// The element type.
    pub dtype: DType,
    /// The number of axes.
    pub rank: u8,
    /// The sizes of the first `rank` axes; 1 beyond.
    pub dims: [u32; MAX_RANK],
    /// The strides of the first `rank` axes, in elements; 0 beyond.
    pub strides: [i32; MAX_RANK],
}

// SAFETY: a view is an address with sizes; every access through it is an unsafe act with its own reason.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// A dense row-major view.
    pub fn dense(ptr: NonNull<u8>, dtype: DType, shape: &[usize]) -> View {
        let mut view = View { ptr, dtype, rank: shape.len() as u8, dims: [1; MAX_RANK], strides: [0; MAX_RANK] };
        let mut stride = 1;
        for axis in (0..shape.len()).rev() {
            view.dims[axis] = shape[axis] as u32;
            view.strides[axis] = stride as i32;
            stride *= shape[axis];
        }
        view
    }

    /// The size of an axis.
    pub fn dim(&self, axis: usize) -> usize {
        self.dims[axis] as usize
    }

    /// The stride of an axis, in elements.
    pub fn stride(&self, axis: usize) -> isize {
        self.strides[axis] as isize
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// The sizes.
    pub fn shape(&self) -> &[u32] {
        &self.dims[..self.rank as usize]
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape().iter().map(|&d| d as usize).product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of the last axis (1 for a scalar).
    pub fn last(&self) -> usize {
        if self.rank == 0 { 1 } else { self.dim(self.rank() - 1) }
    }

    /// The number of rows: the product of all axes but the last.
    pub fn rows(&self) -> usize {
        self.shape().iter().rev().skip(1).map(|&d| d as usize).product()
    }

    /// Whether the elements lie row-major without gaps.
    pub fn is_dense(&self) -> bool {
        let mut expected = 1;
        (0..self.rank()).rev().all(|axis| {
            let fits = self.dims[axis] == 1 || self.strides[axis] as usize == expected;
            expected *= self.dim(axis);
            fits
        })
    }

    /// If the last axis is contiguous and all leading axes fold into one: the distance between two rows, in elements.
    pub fn row_stride(&self) -> Option<usize> {
        let rank = self.rank();
        if rank == 0 {
            return Some(1);
        }
        if self.strides[rank - 1] != 1 && self.dims[rank - 1] != 1 {
            return None;
        }
        let mut folded: Option<(usize, usize)> = None; // (stride of the innermost leading axis, expected next)
        for axis in (0..rank - 1).rev() {
            if self.dims[axis] == 1 {
                continue;
            }
            let stride = self.strides[axis] as usize;
            match folded {
                None => folded = Some((stride, stride * self.dim(axis))),
                Some((first, next)) if stride == next => folded = Some((first, next * self.dim(axis))),
                Some(_) => return None,
            }
        }
        Some(folded.map_or(self.last(), |(stride, _)| stride))
    }

    /// The address of the first element as `T`.
    pub fn as_ptr<T>(&self) -> *mut T {
        self.ptr.as_ptr().cast()
    }

    /// The elements from `at`, `len` of them, as a slice.
    ///
    /// # Safety
    /// They lie inside the buffer, are `T`s, and nobody writes them while the slice lives.
    pub unsafe fn slice<'a, T>(&self, at: usize, len: usize) -> &'a [T] {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts(self.as_ptr::<T>().add(at), len) }
    }

    /// The elements from `at`, `len` of them, as a slice to write.
    ///
    /// # Safety
    /// They lie inside the buffer, are `T`s, and nobody else touches them while the slice lives.
    pub unsafe fn slice_mut<'a, T>(&self, at: usize, len: usize) -> &'a mut [T] {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.as_ptr::<T>().add(at), len) }
    }

    /// Element 0 as `T`: for scalars.
    ///
    /// # Safety
    /// It is a `T` and nobody writes it meanwhile.
    pub unsafe fn scalar<T: Copy>(&self) -> T {
        // SAFETY: promised by the caller.
        unsafe { *self.as_ptr::<T>() }
    }
}

/// The static arguments of a kernel: small numbers, meaning fixed by each kernel's documentation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Args {
    /// Integers: strides, pads, groups, flags.
    pub ints: [i32; 16],
    /// Floats: eps, scales, probabilities.
    pub nums: [f64; 4],
    /// A key: the hash of an application's path, for randomness.
    pub key: u64,
}

/// One call: what a planned step hands to its kernel.
#[derive(Debug)]
pub struct Call {
    /// The operands; absent optional ones are `None`.
    pub ins: Box<[Option<View>]>,
    /// The outputs; dead ones are `None` and must not be computed.
    pub outs: Box<[Option<View>]>,
    /// Static arguments.
    pub args: Args,
    /// For a fused map: its program.
    pub program: Option<Box<super::map::Program>>,
}

impl Call {
    /// An operand that must be there.
    pub fn input(&self, index: usize) -> &View {
        self.ins[index].as_ref().expect("a required operand is always bound")
    }

    /// An output that is never dead.
    pub fn output(&self, index: usize) -> &View {
        self.outs[index].as_ref().expect("a kernel runs only while its main output lives")
    }
}

/// What one thread brings to a call.
pub struct Worker<'a> {
    /// Scratch memory of at least `Kernel::work` bytes, 64-byte aligned, contents undefined.
    pub work: &'a mut [u8],
    /// Where run-time faults go.
    pub fault: &'a Fault,
    /// The index of the step that runs, for fault reports.
    pub step: u32,
}

impl Worker<'_> {
    /// The scratch memory as `len` values of `T` (a float or integer type), starting at byte `at`.
    pub fn scratch<T: Copy>(&mut self, at: usize, len: usize) -> &mut [T] {
        let size = std::mem::size_of::<T>();
        assert!(at.is_multiple_of(size) && at + len * size <= self.work.len(), "the workspace was planned too small");
        // SAFETY: in bounds by the assertion, aligned to 64 bytes as a whole and to T at `at`; any bits are a number.
        unsafe { std::slice::from_raw_parts_mut(self.work.as_mut_ptr().add(at).cast(), len) }
    }

    /// Reports a run-time fault of this step; the earliest step's is kept.
    pub fn report(&self, kind: FaultKind) {
        self.fault.report(self.step, kind);
    }
}

/// What can go wrong while a plan runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FaultKind {
    /// An id or label outside its table; the kernel used 0 instead.
    IndexOutOfRange = 1,
    /// The loss is not finite: the plan stops before its gradients.
    LossNotFinite = 2,
    /// A gradient is not finite: that element was not updated.
    GradientNotFinite = 3,
    /// A cast of NaN, or of a value outside the integers.
    CastOutOfRange = 4,
    /// A parameter, or a slot of its optimizer, is not finite any more.
    UpdateNotFinite = 5,
    /// A length of a sequence that is negative, or beyond its steps; the kernel used the nearest.
    LengthOutOfRange = 6,
}

/// The first fault of a run, and whether the run must stop.
#[derive(Debug, Default)]
pub struct Fault {
    /// (step << 8 | kind) + 1 of the earliest fault; 0: none.
    first: AtomicU64,
    /// Every thread leaves the plan at its next barrier.
    pub stop: AtomicBool,
}

impl Fault {
    /// Keeps the fault of the lowest step.
    pub fn report(&self, step: u32, kind: FaultKind) {
        let code = (u64::from(step) << 8 | kind as u64) + 1;
        let _ = self
            .first
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| (old == 0 || code < old).then_some(code));
    }

    /// The earliest fault: its step and kind.
    pub fn first(&self) -> Option<(u32, FaultKind)> {
        let code = self.first.load(Ordering::Acquire).checked_sub(1)?;
        let kind = match code & 0xff {
            1 => FaultKind::IndexOutOfRange,
            2 => FaultKind::LossNotFinite,
            3 => FaultKind::GradientNotFinite,
            4 => FaultKind::CastOutOfRange,
            5 => FaultKind::UpdateNotFinite,
            _ => FaultKind::LengthOutOfRange,
        };
        Some(((code >> 8) as u32, kind))
    }

    /// Forgets everything, for the next run.
    pub fn clear(&self) {
        self.first.store(0, Ordering::Release);
        self.stop.store(false, Ordering::Release);
    }
}

/// What a thread that computes some units of the output reads of an operand, or writes of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Just the same share: of `units` equal parts of the buffer in memory order, those with the unit's number.
    Unit,
    /// Just the same indices of axis 0 (a whole image, a whole sequence), when the units are cut along axis 0.
    Batch,
    /// Anything.
    All,
}

/// What strides a kernel can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Any strides.
    Any,
    /// The last axis contiguous, the leading axes folding into rows of one distance (`View::row_stride` is `Some`).
    Rows,
    /// Row-major without gaps.
    Dense,
}

/// A compute kernel.
///
/// `units` is the number of independent shares of the work, in memory order of output 0 (rows, images × heads, columns
/// of a reduction); a kernel for one thread has one. `run` computes the units of its range and nothing else.
pub struct Kernel {
    /// For printed plans.
    pub name: &'static str,
    /// For f32 and for f64 plans.
    ///
    /// # Safety
    /// Views point into live buffers of the declared types, layouts and sizes; no other thread touches what this range
    /// reads or writes, as `reads` and `writes` declare it.
    pub run: [unsafe fn(&Call, &mut Worker<'_>, Range<usize>); 2],
    /// How many shares (pointers are not read).
    pub units: fn(&Call) -> usize,
    /// Bytes of scratch memory that one thread needs.
    pub work: fn(&Call) -> usize,
    /// For each operand (the last entry repeats): layout and access.
    pub reads: &'static [(Layout, Access)],
    /// For each output (the last entry repeats). Outputs are dense.
    pub writes: &'static [Access],
    /// Pairs (operand, output) that may share memory, if the operand dies here.
    pub inplace: &'static [(usize, usize)],
}

/// No scratch memory.
pub fn no_work(_: &Call) -> usize {
    0
}

/// One share: the whole, by one thread.
pub fn one_unit(_: &Call) -> usize {
    1
}

/// A share a row of output 0.
pub fn output_rows(call: &Call) -> usize {
    call.output(0).rows()
}
