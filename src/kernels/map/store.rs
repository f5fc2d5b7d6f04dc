//! From registers to outputs.

use crate::kernels::call::{FaultKind, View, Worker};
use crate::kernels::float::Float;
use crate::tensor::DType;

/// The type of T.
pub fn dtype<T: Float>() -> DType {
    if T::SIZE == 4 { DType::F32 } else { DType::F64 }
}

/// Stores values as the elements `at ..` of an output.
///
/// # Safety
/// Those elements exist, are of the view's type, and are this thread's.
pub unsafe fn tile<T: Float>(values: &[T], out: &View, at: usize, worker: &Worker<'_>) {
    // SAFETY: promised by the caller, for the type that the view names.
    unsafe {
        match out.dtype {
            DType::F32 => each(values, out.slice_mut::<f32>(at, values.len()), |x| x.to_f64() as f32),
            DType::F64 => each(values, out.slice_mut::<f64>(at, values.len()), T::to_f64),
            DType::Bool => each(values, out.slice_mut::<u8>(at, values.len()), |x| u8::from(x != T::ZERO)),
            DType::I64 => {
                // -2^63 <= x < 2^63; NaN is not.
                let fits = |x: f64| (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x);
                if values.iter().any(|x| !fits(x.to_f64())) {
                    worker.report(FaultKind::CastOutOfRange);
                }
                let cut = |x: T| if fits(x.to_f64()) { x.to_f64() as i64 } else { 0 };
                each(values, out.slice_mut::<i64>(at, values.len()), cut);
            }
        }
    }
}

fn each<T: Copy, U>(values: &[T], out: &mut [U], convert: impl Fn(T) -> U) {
    for (out, &x) in out.iter_mut().zip(values) {
        *out = convert(x);
    }
}
