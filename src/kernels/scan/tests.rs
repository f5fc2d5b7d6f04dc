use super::*;
use crate::kernels::call::Args;
use crate::kernels::twin::{Buffer, Element, every_way, noise, same_bits};
use crate::tensor::DType;

const SHAPES: [(usize, usize); 6] = [(0, 5), (2, 0), (1, 1), (3, 1), (5, 67), (7, 131)];

fn twin<T: Float + Element>(rows: usize, d: usize) {
    let x: Vec<T> = noise(rows * d, 1);
    let xs = Buffer::of(&[rows, d], &x);
    let out = [Some((T::DTYPE, vec![rows, d]))];
    let mut args = Args::default();
    let sums = every_way::<T>(&CUMSUM, &[xs.view()], &out, args);
    let mut want = x.clone();
    for i in 0..rows * d {
        want[i] = if i % d == 0 { T::ZERO + x[i] } else { want[i - 1] + x[i] };
    }
    same_bits(&sums[0], &want);
    args.ints[0] = 1;
    args.ints[1] = 1;
    let products = every_way::<T>(&CUMPROD, &[xs.view()], &out, args);
    for i in (0..rows * d).rev() {
        want[i] = if i % d == d - 1 { T::ONE } else { want[i + 1] * x[i + 1] };
    }
    same_bits(&products[0], &want);
    let both = [Some((T::DTYPE, vec![rows, d])), Some((DType::I64, vec![rows, d]))];
    let sorted = every_way::<T>(&SORT, &[xs.view()], &both, Args::default());
    let (values, indices) = (sorted[0].elements::<T>(), sorted[1].elements::<i64>());
    for i in 0..rows * d {
        assert_eq!(values[i].to_f64(), x[i / d * d + indices[i] as usize].to_f64());
        assert!(i % d == 0 || values[i - 1] <= values[i]);
    }
}

#[test]
fn scans_and_sorts_are_their_twins() {
    for (rows, d) in SHAPES {
        twin::<f32>(rows, d);
        twin::<f64>(rows, d);
    }
}

#[test]
fn equal_elements_keep_their_order_and_nan_is_the_largest() {
    let x = Buffer::of(&[1, 5], &[1.0f32, f32::NAN, 0.0, 1.0, -0.0]);
    let both = [None, Some((DType::I64, vec![1, 5]))];
    let mut args = Args::default();
    let up = every_way::<f32>(&SORT, &[x.view()], &both, args);
    assert_eq!(up[0].elements::<i64>(), [2, 4, 0, 3, 1]);
    args.ints[0] = 1;
    let down = every_way::<f32>(&SORT, &[x.view()], &both, args);
    assert_eq!(down[0].elements::<i64>(), [1, 0, 3, 2, 4]);
}
