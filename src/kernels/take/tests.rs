use super::*;
use crate::kernels::call::Args;
use crate::kernels::twin::{Buffer, every_way, noise, same_bits};
use crate::tensor::DType;

/// Along each axis of three, against loops over all elements.
#[test]
fn taking_and_giving_are_their_twins() {
    let (shape, x) = ([3, 4, 5], noise::<f32>(60, 1));
    for axis in 0..3 {
        let mut small = [2, 3, 4];
        small[axis] = 6;
        let count: usize = small.iter().product();
        let ids: Vec<i64> = (0..count).map(|i| (i * 7 % shape[axis]) as i64).collect();
        let mut args = Args::default();
        args.ints[0] = axis as i32;
        let (xs, index) = (Buffer::of(&shape, &x), Buffer::of(&small, &ids));
        let place = |i: usize| {
            let mut at = [i / small[2] / small[1], i / small[2] % small[1], i % small[2]];
            at[axis] = ids[i] as usize;
            (at[0] * shape[1] + at[1]) * shape[2] + at[2]
        };
        let taken = every_way::<f32>(&TAKE, &[xs.view(), index.view()], &[Some((DType::F32, small.to_vec()))], args);
        same_bits(&taken[0], &(0..count).map(|i| x[place(i)]).collect::<Vec<f32>>());
        let dy = noise::<f32>(count, 2);
        let dys = Buffer::of(&small, &dy);
        let given =
            every_way::<f32>(&TAKE_GRAD, &[index.view(), dys.view()], &[Some((DType::F32, shape.to_vec()))], args);
        let mut want = vec![0.0f32; 60];
        (0..count).for_each(|i| want[place(i)] += dy[i]);
        same_bits(&given[0], &want);
    }
}
