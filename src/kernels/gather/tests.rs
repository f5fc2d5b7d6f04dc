use super::*;
use crate::kernels::call::Args;
use crate::kernels::twin::{Buffer, Element, every_way, every_way_fault, noise, same_bits};

fn embed<T: Float + Element>(ids: &[i64], vocab: usize, d: usize) {
    let (table, dy): (Vec<T>, Vec<T>) = (noise(vocab * d, 1), noise(ids.len() * d, 2));
    let (table, dys) = (Buffer::of(&[vocab, d], &table), Buffer::of(&[ids.len(), d], &dy));
    let id_buffer = Buffer::of(&[ids.len()], ids);
    let wild = ids.iter().any(|&id| within(id, vocab).is_none());
    let ins = [id_buffer.view(), table.view()];
    let (y, fault) = every_way_fault::<T>(&EMBEDDING, &ins, &[Some((T::DTYPE, vec![ids.len(), d]))], Args::default());
    assert_eq!(fault, wild.then_some(FaultKind::IndexOutOfRange));
    let rows = ids.iter().flat_map(|&id| match within(id, vocab) {
        Some(id) => table.elements::<T>()[id * d..][..d].to_vec(),
        None => vec![T::ZERO; d],
    });
    same_bits(&y[0], &rows.collect::<Vec<T>>());

    for padding in [-1, 2] {
        let mut args = Args::default();
        args.ints[0] = padding;
        let out = [Some((T::DTYPE, vec![vocab, d]))];
        let got = every_way::<T>(&EMBEDDING_GRAD, &[id_buffer.view(), dys.view()], &out, args);
        let mut twin = vec![T::ZERO; vocab * d];
        for (i, &id) in ids.iter().enumerate() {
            if id != i64::from(padding) && within(id, vocab).is_some() {
                for j in 0..d {
                    twin[id as usize * d + j] += dy[i * d + j];
                }
            }
        }
        same_bits(&got[0], &twin);
    }
}

#[test]
fn embedding_is_its_twin() {
    let many: Vec<i64> = (0..700).map(|i| i * i % 5).collect();
    for d in [1, 7, 64] {
        embed::<f32>(&[], 3, d);
        embed::<f64>(&[2, 0, 2, 2, 1], 3, d);
        embed::<f32>(&[2, -1, 3, i64::MAX, i64::MIN, 1], 3, d);
        embed::<f32>(&many, 7, d);
    }
    embed::<f32>(&[0], 0, 4);
}

#[test]
fn one_hot_rows_of_every_type() {
    let ids = Buffer::of(&[2, 2], &[1i64, 0, 2, 9]);
    fn twin<E: Element>(ids: &Buffer, no: E, yes: E) {
        let out = [Some((E::DTYPE, vec![2, 2, 3]))];
        let (y, fault) = every_way_fault::<f32>(&ONE_HOT, &[ids.view()], &out, Args::default());
        same_bits(&y[0], &[no, yes, no, yes, no, no, no, no, yes, no, no, no]);
        assert_eq!(fault, Some(FaultKind::IndexOutOfRange));
    }
    twin(&ids, 0i64, 1);
    twin(&ids, 0u8, 1);
    twin(&ids, 0.0f32, 1.0);
    twin(&ids, 0.0f64, 1.0);
}

#[test]
fn ranges_and_constants() {
    let mut args = Args::default();
    args.ints[..2].copy_from_slice(&[5, -2]);
    args.nums[0] = 3.0;
    for n in [0, 1, 100] {
        let y = every_way::<f32>(&RANGE, &[], &[Some((DType::I64, vec![n]))], args);
        same_bits(&y[0], &(0..n as i64).map(|i| 5 - 2 * i).collect::<Vec<_>>());
        fn twin<E: Element>(n: usize, args: Args, three: E) {
            let y = every_way::<f32>(&FILL, &[], &[Some((E::DTYPE, vec![n, 2]))], args);
            same_bits(&y[0], &vec![three; 2 * n]);
        }
        twin(n, args, 3.0f32);
        twin(n, args, 3.0f64);
        twin(n, args, 3i64);
        twin(n, args, 1u8);
    }
}
