use super::*;
use crate::kernels::call::Args;
use crate::kernels::twin::{Buffer, Element, close, every_way, lanes, noise, same_bits};

const SHAPES: [(usize, usize); 8] = [(0, 5), (2, 0), (1, 1), (3, 1), (2, 7), (5, 64), (7, 131), (2, 1025)];

fn twin<T: Float + Element>(rows: usize, d: usize) {
    let (x, dy): (Vec<T>, Vec<T>) = (noise(rows * d, 1), noise(rows * d, 3));
    let (xs, dys) = (Buffer::of(&[rows, d], &x), Buffer::of(&[rows, d], &dy));
    let out = [Some((T::DTYPE, vec![rows, d]))];
    let each = |f: &dyn Fn(usize) -> T| (0..rows * d).map(f).collect::<Vec<T>>();
    let rows_of = |f: &dyn Fn(usize) -> T| (0..rows).map(f).collect::<Vec<T>>();
    let max = rows_of(&|r| x[r * d..][..d].iter().fold(T::NEG_INF, |a, &b| a.maximum(b)));
    let total = rows_of(&|r| lanes(d, |s, j| s + (x[r * d + j] - max[r]).exp()));

    let y = every_way::<T>(&SOFTMAX, &[xs.view()], &out, Args::default());
    same_bits(&y[0], &each(&|i| (x[i] - max[i / d]).exp() * (T::ONE / total[i / d])));
    let dx = every_way::<T>(&SOFTMAX_GRAD, &[y[0].view(), dys.view()], &out, Args::default());
    let y = y[0].elements::<T>();
    let dot = rows_of(&|r| lanes(d, |s, j| y[r * d + j].mul_add(dy[r * d + j], s)));
    same_bits(&dx[0], &each(&|i| y[i] * (dy[i] - dot[i / d])));

    let y = every_way::<T>(&LOG_SOFTMAX, &[xs.view()], &out, Args::default());
    same_bits(&y[0], &each(&|i| (x[i] - max[i / d]) - total[i / d].ln()));
    let dx = every_way::<T>(&LOG_SOFTMAX_GRAD, &[y[0].view(), dys.view()], &out, Args::default());
    let y = y[0].elements::<T>();
    let sum = rows_of(&|r| lanes(d, |s, j| s + dy[r * d + j]));
    same_bits(&dx[0], &each(&|i| (-y[i].exp()).mul_add(sum[i / d], dy[i])));
}

#[test]
fn softmax_is_its_twin() {
    for (rows, d) in SHAPES {
        twin::<f32>(rows, d);
        twin::<f64>(rows, d);
    }
}

/// Numbers from PyTorch.
#[test]
fn extreme_rows_are_pytorch_s() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let x = [1000.0, 999.0, -inf, -inf, -inf, -inf, inf, 0.0, 0.0, nan, 0.0, 0.0];
    let x = Buffer::of(&[4, 3], &x);
    let out = [Some((f32::DTYPE, vec![4, 3]))];
    let y = every_way::<f32>(&SOFTMAX, &[x.view()], &out, Args::default());
    close(&y[0].elements::<f32>()[..3], &[0.7310585786300049, 0.2689414213699951, 0.0], 1e-6);
    assert!(y[0].elements::<f32>()[3..].iter().all(|y| y.is_nan()));
    let y = every_way::<f32>(&LOG_SOFTMAX, &[x.view()], &out, Args::default());
    close(&y[0].elements::<f32>()[..2], &[-0.31326168751822286, -1.3132616875182228], 1e-6);
    assert_eq!(y[0].elements::<f32>()[2], -inf);
    assert!(y[0].elements::<f32>()[3..].iter().all(|y| y.is_nan()));
}
