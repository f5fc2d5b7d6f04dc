//! Batches of images, whatever their strides: what convolution, pooling and batch norm share.

use super::call::{Args, View};
use super::float::Float;

/// A tensor `[B, c]` or `[B, c, S…]`, its spatial axes padded in front to three.
#[derive(Clone, Copy)]
pub(super) struct Images<T> {
    /// The first element.
    pub ptr: *mut T,
    /// Images.
    pub batch: usize,
    /// Channels of each.
    pub channels: usize,
    /// The three spatial sizes (1 in front).
    pub size: [usize; 3],
    /// Distance of two images.
    pub batch_step: isize,
    /// Distance of two channels.
    pub channel_step: isize,
    /// Distances along the spatial axes.
    pub step: [isize; 3],
}

impl<T: Float> Images<T> {
    /// Reads the sizes of a view of rank 2 to 5.
    pub fn of(view: &View) -> Images<T> {
        let (mut size, mut step) = ([1; 3], [0; 3]);
        let axes = view.rank().saturating_sub(2).min(3);
        for axis in 0..axes {
            size[3 - axes + axis] = view.dim(2 + axis);
            step[3 - axes + axis] = view.stride(2 + axis);
        }
        Images {
            ptr: view.as_ptr(),
            batch: view.dim(0),
            channels: view.dim(1),
            size,
            batch_step: view.stride(0),
            channel_step: view.stride(1),
            step,
        }
    }

    /// Elements of a plane (one channel of one image).
    pub fn plane_len(&self) -> usize {
        self.size.iter().product()
    }

    /// Whether the elements of a plane lie next to each other, in order.
    pub fn contiguous(&self) -> bool {
        let mut expected = 1;
        (0..3).rev().all(|axis| {
            let fits = self.size[axis] == 1 || self.step[axis] == expected;
            expected *= self.size[axis] as isize;
            fits
        })
    }

    /// Where a plane begins.
    pub fn plane(&self, image: usize, channel: usize) -> *mut T {
        self.ptr.wrapping_offset(image as isize * self.batch_step + channel as isize * self.channel_step)
    }

    /// A plane as a slice: in place if it is contiguous, else copied to `buffer` first.
    ///
    /// # Safety
    /// The plane may be read, and nobody writes it while the slice lives; `buffer` holds a plane if it is needed.
    pub unsafe fn load<'a>(&self, image: usize, channel: usize, buffer: &'a mut [T]) -> &'a [T] {
        let plane = self.plane(image, channel);
        let len = self.plane_len();
        if self.contiguous() {
            // SAFETY: promised by the caller.
            return unsafe { std::slice::from_raw_parts(plane, len) };
        }
        let row = self.size[2];
        for (line, dst) in buffer[..len].chunks_exact_mut(row.max(1)).enumerate() {
            let (d, h) = (line / self.size[1], line % self.size[1]);
            let src = plane.wrapping_offset(d as isize * self.step[0] + h as isize * self.step[1]);
            for (i, dst) in dst.iter_mut().enumerate() {
                // SAFETY: an element of the plane.
                *dst = unsafe { *src.wrapping_offset(i as isize * self.step[2]) };
            }
        }
        &buffer[..len]
    }

    /// Elements that `load` needs as a buffer.
    pub fn buffer(&self) -> usize {
        if self.contiguous() { 0 } else { self.plane_len() }
    }
}

/// Three spatial arguments of `args.ints` from `at`; the axes that are padded in front take `default`.
pub(super) fn triple(args: &Args, at: usize, rank: usize, default: i32) -> [usize; 3] {
    let axes = rank.saturating_sub(2).min(3);
    std::array::from_fn(|axis| {
        let value = if axis + axes < 3 { default } else { args.ints[at + axis + axes - 3] };
        value.max(0) as usize
    })
}

/// Cuts scratch memory into slices that begin at multiples of 64 bytes.
pub(super) struct Carver<'a>(&'a mut [u8]);

impl<'a> Carver<'a> {
    /// Begins with all of it.
    pub fn new(work: &'a mut [u8]) -> Carver<'a> {
        Carver(work)
    }

    /// The next `len` numbers, contents undefined.
    pub fn take<T: Copy>(&mut self, len: usize) -> &'a mut [T] {
        if len == 0 {
            return &mut [];
        }
        let bytes = room::<T>(len);
        let work = std::mem::take(&mut self.0);
        assert!(bytes <= work.len(), "the workspace was planned too small");
        let (taken, rest) = work.split_at_mut(bytes);
        self.0 = rest;
        // SAFETY: in bounds, aligned to 64 bytes; the callers take floats, integers and structs of them: any bits will do.
        unsafe { std::slice::from_raw_parts_mut(taken.as_mut_ptr().cast(), len) }
    }
}

/// The bytes that `Carver::take` uses up.
pub(super) fn room<T>(len: usize) -> usize {
    (len * std::mem::size_of::<T>()).next_multiple_of(64)
}

/// The same, for a float type known only by its size.
pub(super) fn room_of(size: usize, len: usize) -> usize {
    (len * size).next_multiple_of(64)
}

#[cfg(test)]
pub(super) mod testing {
    //! Views on vectors, and calls with ranges cut in different ways.

    use crate::kernels::call::{Args, Call, Fault, Kernel, MAX_RANK, View, Worker};
    use crate::kernels::float::Float;
    use crate::kernels::simd::{Level, best, force};
    use crate::tensor::DType;
    use std::ptr::NonNull;

    /// Numbers in about -1 .. 1 with full mantissas.
    pub fn values<T: Float>(len: usize, seed: u64) -> Vec<T> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                T::of((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
            })
            .collect()
    }

    /// An operand or output in a test: a vector with a strided window on it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Array<E> {
        pub data: Vec<E>,
        pub shape: Vec<usize>,
        pub strides: Vec<isize>,
    }

    impl<E: Copy + Default + 'static> Array<E> {
        pub fn new(shape: &[usize], data: Vec<E>) -> Array<E> {
            let mut strides = vec![1; shape.len()];
            for axis in (1..shape.len()).rev() {
                strides[axis - 1] = strides[axis] * shape[axis] as isize;
            }
            assert_eq!(data.len(), shape.iter().product::<usize>());
            Array { data, shape: shape.to_vec(), strides }
        }

        pub fn zeros(shape: &[usize]) -> Array<E> {
            Array::new(shape, vec![E::default(); shape.iter().product()])
        }

        /// The same values in a memory whose axes lie in another order, with a gap after the innermost.
        pub fn laid(&self, order: &[usize], gap: usize) -> Array<E> {
            let mut strides = vec![0; self.shape.len()];
            let mut step = 1;
            for (nth, &axis) in order.iter().rev().enumerate() {
                strides[axis] = step;
                step *= (self.shape[axis] + if nth == 0 { gap } else { 0 }) as isize;
            }
            let mut other = Array { data: vec![E::default(); step as usize + 1], shape: self.shape.clone(), strides };
            for index in indices(&self.shape) {
                let at = other.at(&index);
                other.data[at] = self.get(&index);
            }
            other
        }

        pub fn at(&self, index: &[usize]) -> usize {
            index.iter().zip(&self.strides).map(|(&i, &s)| i as isize * s).sum::<isize>() as usize
        }

        pub fn get(&self, index: &[usize]) -> E {
            self.data[self.at(index)]
        }

        pub fn view(&self) -> View {
            let dtype = match (std::mem::size_of::<E>(), std::any::type_name::<E>()) {
                (4, _) => DType::F32,
                (1, _) => DType::Bool,
                (_, "i64") => DType::I64,
                _ => DType::F64,
            };
            let ptr = NonNull::new(self.data.as_ptr().cast_mut().cast()).unwrap_or(NonNull::dangling());
            let mut view =
                View { ptr, dtype, rank: self.shape.len() as u8, dims: [1; MAX_RANK], strides: [0; MAX_RANK] };
            for axis in 0..self.shape.len() {
                view.dims[axis] = self.shape[axis] as u32;
                view.strides[axis] = self.strides[axis] as i32;
            }
            view
        }
    }

    /// Every index of a shape, row-major.
    pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
        let len = shape.iter().product::<usize>();
        (0..len)
            .map(|mut flat| {
                let mut index = vec![0; shape.len()];
                for axis in (0..shape.len()).rev() {
                    index[axis] = flat % shape[axis];
                    flat /= shape[axis];
                }
                index
            })
            .collect()
    }

    /// Runs a kernel whole, once.
    pub fn run<T: Float>(kernel: &Kernel, ins: &[Option<View>], outs: &[Option<View>], args: Args) {
        run_cut::<T>(kernel, ins, outs, args, usize::MAX);
    }

    /// Runs a kernel in shares of `share` units, the last first, on memory full of NaN.
    pub fn run_cut<T: Float>(kernel: &Kernel, ins: &[Option<View>], outs: &[Option<View>], args: Args, share: usize) {
        let call = Call { ins: ins.into(), outs: outs.into(), args, program: None };
        let (units, bytes) = ((kernel.units)(&call), (kernel.work)(&call));
        let mut memory = vec![[0xffu8; 64]; bytes.div_ceil(64) + 1];
        let start = memory.as_ptr().cast::<u8>().align_offset(64);
        let fault = Fault::default();
        let flat = memory.as_flattened_mut();
        let mut worker = Worker { work: &mut flat[start..start + bytes], fault: &fault, step: 0 };
        let share = share.min(units.max(1));
        for from in (0..units).step_by(share).rev() {
            let range = from..units.min(from + share);
            // SAFETY: the views are on vectors of the test, in the kernel's layouts.
            unsafe { kernel.run[usize::from(T::SIZE == 8)](&call, &mut worker, range) };
        }
        assert_eq!(fault.first(), None);
    }

    /// Runs with every level and several cuts, hands each result to `check`.
    pub fn run_all_ways<T: Float>(
        kernel: &Kernel,
        ins: &[Option<View>],
        outs: &[Option<View>],
        args: Args,
        mut check: impl FnMut(),
    ) {
        let _turn = crate::kernels::twin::turn();
        for level in [Level::Portable, Level::Avx2, Level::Avx512] {
            for share in [usize::MAX, 1, 3] {
                force(level);
                run_cut::<T>(kernel, ins, outs, args, share);
                force(best());
                check();
            }
        }
    }
}
