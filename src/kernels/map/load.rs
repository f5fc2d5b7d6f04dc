//! From operands to registers: in place where the elements lie as they are read, else into a buffer.

use super::TILE;
use super::store::dtype;
use crate::kernels::call::{MAX_RANK, View};
use crate::kernels::float::Float;
use crate::tensor::DType;

/// How an operand is read, found once a call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Source {
    /// Dense, of the registers' type: where it lies.
    #[default]
    Same,
    /// Dense, of another type.
    Convert,
    /// One value: the buffer holds it.
    Scalar,
    /// The index modulo n, n small: the buffer holds the cycle, and as much more as a tile needs.
    Cycle(usize),
    /// The index modulo n, of the registers' type: where it lies, unless the tile wraps.
    Suffix(usize),
    /// The index divided by the first, times the second.
    Prefix(usize, isize),
    /// Whatever else.
    General,
}

/// Axes after those that can be read as one have been joined.
#[derive(Clone, Copy)]
struct Axes {
    rank: usize,
    dims: [usize; MAX_RANK],
    strides: [isize; MAX_RANK],
}

impl Axes {
    fn of(view: &View, y: &View) -> Axes {
        let mut axes = Axes { rank: 0, dims: [1; MAX_RANK], strides: [0; MAX_RANK] };
        for axis in 0..y.rank() {
            let (dim, stride) = (y.dim(axis), view.stride(axis));
            if dim == 1 {
                continue;
            }
            if axes.rank > 0 && axes.strides[axes.rank - 1] == stride * dim as isize {
                axes.dims[axes.rank - 1] *= dim;
                axes.strides[axes.rank - 1] = stride;
            } else {
                axes.dims[axes.rank] = dim;
                axes.strides[axes.rank] = stride;
                axes.rank += 1;
            }
        }
        axes
    }
}

impl Source {
    /// Finds how `view` is read for the output `y`, and fills the buffer if its contents do not change from tile to
    /// tile. `longest` is the length of the longest tile.
    ///
    /// # Safety
    /// The buffer has room for two tiles; nobody writes the operand meanwhile.
    pub unsafe fn prepare<T: Float>(view: &View, y: &View, buffer: *mut T, longest: usize) -> Source {
        let axes = Axes::of(view, y);
        let own = view.dtype == dtype::<T>();
        let source = match (axes.rank, axes.strides[0], axes.strides[1]) {
            (0, ..) | (1, 0, _) => Source::Scalar,
            (1, 1, _) if own => Source::Same,
            (1, 1, _) => Source::Convert,
            (2, 0, 1) if axes.dims[1] <= TILE => Source::Cycle(axes.dims[1]),
            (2, 0, 1) if own => Source::Suffix(axes.dims[1]),
            (2, stride, 0) => Source::Prefix(axes.dims[1], stride),
            _ => Source::General,
        };
        // SAFETY: the buffer has room for two tiles, and a cycle is no longer than one.
        unsafe {
            match source {
                Source::Scalar => fill(view, y, source, 0, std::slice::from_raw_parts_mut(buffer, longest)),
                Source::Cycle(n) => {
                    let buffer = std::slice::from_raw_parts_mut(buffer, n + longest);
                    fill(view, y, Source::General, 0, &mut buffer[..n]);
                    for i in n..buffer.len() {
                        buffer[i] = buffer[i - n];
                    }
                }
                _ => {}
            }
        }
        source
    }

    /// Where the values of the elements `at .. at + n` stand, after filling the buffer if need be.
    ///
    /// # Safety
    /// As for `prepare`, with the same view, output and buffer; the elements exist.
    #[inline]
    pub unsafe fn tile<T: Float>(self, view: &View, y: &View, buffer: *mut T, at: usize, n: usize) -> *mut T {
        match self {
            Source::Same => view.as_ptr::<T>().wrapping_add(at),
            Source::Scalar => buffer,
            Source::Cycle(cycle) => buffer.wrapping_add(at % cycle),
            Source::Suffix(cycle) if at % cycle + n <= cycle => view.as_ptr::<T>().wrapping_add(at % cycle),
            _ => {
                // SAFETY: the buffer has room for a tile; the rest is promised by the caller.
                unsafe { fill(view, y, self, at, std::slice::from_raw_parts_mut(buffer, n)) };
                buffer
            }
        }
    }
}

/// Converts the elements `at ..` of the operand, whatever its type.
unsafe fn fill<T: Float>(view: &View, y: &View, source: Source, at: usize, dst: &mut [T]) {
    // SAFETY: promised by the caller, for the type that the view names; a bool is a byte.
    unsafe {
        match view.dtype {
            DType::F32 => fill_from::<f32, T>(view, y, source, at, dst),
            DType::F64 => fill_from::<f64, T>(view, y, source, at, dst),
            DType::I64 => fill_from::<i64, T>(view, y, source, at, dst),
            DType::Bool => fill_from::<u8, T>(view, y, source, at, dst),
        }
    }
}

/// An element of an operand.
trait Element: Copy {
    fn convert<T: Float>(self) -> T;
}
impl Element for f32 {
    #[inline(always)]
    fn convert<T: Float>(self) -> T {
        T::of(f64::from(self))
    }
}
impl Element for f64 {
    #[inline(always)]
    fn convert<T: Float>(self) -> T {
        T::of(self)
    }
}
impl Element for i64 {
    #[inline(always)]
    fn convert<T: Float>(self) -> T {
        // Rounded once: an f32 does not take the way through f64.
        if T::SIZE == 4 { T::of(f64::from(self as f32)) } else { T::of(self as f64) }
    }
}
impl Element for u8 {
    #[inline(always)]
    fn convert<T: Float>(self) -> T {
        T::of(f64::from(self))
    }
}

unsafe fn fill_from<S: Element, T: Float>(view: &View, y: &View, source: Source, at: usize, dst: &mut [T]) {
    let src: *const S = view.as_ptr();
    // SAFETY: every address is that of an element of the view.
    unsafe {
        match source {
            Source::Same | Source::Convert => copy(src.add(at), 1, dst),
            Source::Scalar => copy(src, 0, dst),
            Source::Cycle(n) | Source::Suffix(n) => pieces(at, n, dst, |_, index, dst| copy(src.add(index), 1, dst)),
            Source::Prefix(n, stride) => {
                pieces(at, n, dst, |row, _, dst| copy(src.offset(row as isize * stride), 0, dst));
            }
            Source::General => {
                let axes = Axes::of(view, y);
                let Some(inner) = axes.rank.checked_sub(1) else { return copy(src, 0, dst) };
                pieces(at, axes.dims[inner], dst, |row, index, dst| {
                    let (mut rest, mut offset) = (row, index as isize * axes.strides[inner]);
                    for axis in (0..inner).rev() {
                        offset += (rest % axes.dims[axis]) as isize * axes.strides[axis];
                        rest /= axes.dims[axis];
                    }
                    copy(src.offset(offset), axes.strides[inner], dst);
                });
            }
        }
    }
}

/// Cuts the elements `at ..` into pieces of rows of `n`: the row, the first index in it, the piece.
#[inline(always)]
fn pieces<T>(at: usize, n: usize, dst: &mut [T], mut each: impl FnMut(usize, usize, &mut [T])) {
    let (mut row, mut index, mut done) = (at / n, at % n, 0);
    while done < dst.len() {
        let len = (n - index).min(dst.len() - done);
        each(row, index, &mut dst[done..done + len]);
        done += len;
        (row, index) = (row + 1, 0);
    }
}

#[inline(always)]
unsafe fn copy<S: Element, T: Float>(src: *const S, stride: isize, dst: &mut [T]) {
    let len = dst.len();
    // SAFETY: promised by the caller: dst.len() elements from `src` at this stride.
    unsafe {
        if stride == 0 {
            dst.fill((*src).convert());
        } else if stride == 1 {
            for (dst, x) in dst.iter_mut().zip(std::slice::from_raw_parts(src, len)) {
                *dst = x.convert();
            }
        } else {
            for (i, dst) in dst.iter_mut().enumerate() {
                *dst = (*src.offset(i as isize * stride)).convert();
            }
        }
    }
}
