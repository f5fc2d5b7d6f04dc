use super::*;
use crate::kernels::call::{Args, Kernel};
use crate::kernels::spatial::testing::{Array, run_all_ways, values};
use crate::kernels::tile::BLOCK;

/// Sequences, steps, size, projected size (0: none); whether states and lengths are given.
struct Case(usize, usize, usize, usize, bool);

const CASES: &[Case] = &[
    Case(3, 4, 5, 0, true),
    Case(1, 1, 1, 0, false),
    Case(67, 3, 33, 0, true),
    Case(2, 2, 64, 0, false),
    Case(2, 0, 3, 0, true),
    Case(0, 3, 3, 0, true),
    Case(5, 3, 35, 2, true),
    Case(1, 2, 530, 3, false),
];

fn of<T: Float>(shape: &[usize], seed: u64) -> Array<T> {
    Array::new(shape, values::<T>(shape.iter().product(), seed))
}

/// `x · rows`, in blocks of 512.
fn times<T: Float>(x: &[T], row: impl Fn(usize) -> T) -> T {
    let block = |from: usize| (from..x.len().min(from + BLOCK)).fold(T::ZERO, |sum, i| x[i].mul_add(row(i), sum));
    (BLOCK..x.len()).step_by(BLOCK).fold(block(0), |sum, from| sum + block(from))
}

/// The values of a case of an operator with so many gates.
struct Given<T> {
    x: Array<T>,
    w: Array<T>,
    bias: Option<Array<T>>,
    h: Option<Array<T>>,
    c: Option<Array<T>>,
    lengths: Option<Array<i64>>,
    projection: Option<Array<T>>,
    dims: [usize; 4],
}

impl<T: Float> Given<T> {
    fn new(&Case(b, t, n, p, all): &Case, gates: usize) -> Given<T> {
        let (out, projected) = (if p > 0 { p } else { n }, (p > 0).then(|| of(&[p, n], 4)));
        let lengths: Vec<i64> = (0..b).map(|b| (b * 7 % (t + 1)) as i64).collect();
        Given {
            x: of(&[b, t, gates * n], 1),
            w: of(&[gates * n, out], 2),
            bias: all.then(|| of(&[gates * n], 3)),
            h: all.then(|| of(&[b, out], 5)),
            c: all.then(|| of(&[b, n], 6)),
            lengths: all.then(|| Array::new(&[b], lengths)),
            projection: projected,
            dims: [b, t, n, out],
        }
    }

    /// Walks one sequence: `step(t, h, c)` gives what is added to h wᵀ and the new state; y and the last states.
    fn walk(&self, backwards: bool, step: impl Fn(&[T], &[T], &mut [T]) -> Vec<T>) -> [Array<T>; 3] {
        let [b, t, n, p] = self.dims;
        let (mut y, mut hs, mut cs) = (Array::zeros(&[b, t, p]), Array::zeros(&[b, p]), Array::zeros(&[b, n]));
        let gates = self.w.shape[0];
        for b in 0..b {
            let row = |given: &Option<Array<T>>, n: usize| {
                given.as_ref().map_or(vec![T::ZERO; n], |given| given.data[b * n..][..n].to_vec())
            };
            let (mut h, mut c) = (row(&self.h, p), row(&self.c, n));
            let length = self.lengths.as_ref().map_or(t, |lengths| lengths.data[b] as usize);
            for nth in 0..length {
                let at = b * t + if backwards { length - 1 - nth } else { nth };
                let product: Vec<T> = (0..gates).map(|g| times(&h, |i| self.w.data[g * p + i])).collect();
                let mut both = [h.clone(), c.clone()].concat();
                let x = &self.x.data[at * gates..][..gates];
                let open = step(x, &product, &mut both);
                c = both[p..].to_vec();
                h = match &self.projection {
                    Some(w) => (0..p).map(|g| times(&open, |i| w.data[g * n + i])).collect(),
                    None => open,
                };
                y.data[at * p..][..p].copy_from_slice(&h);
            }
            hs.data[b * p..][..p].copy_from_slice(&h);
            cs.data[b * n..][..n].copy_from_slice(&c);
        }
        [y, hs, cs]
    }

    fn check(&self, kernel: &Kernel, ins: &[Option<View>], flags: [i32; 2], want: &[Array<T>], saved: &[Array<T>]) {
        let mut args = Args::default();
        args.ints[..2].copy_from_slice(&flags);
        let outs: Vec<Array<T>> = want.iter().map(|want| Array::zeros(&want.shape)).collect();
        let views: Vec<Option<View>> = outs.iter().chain(saved).map(|out| Some(out.view())).collect();
        run_all_ways::<T>(kernel, ins, &views, args, || {
            assert_eq!(outs, want, "{} {:?} {flags:?}", kernel.name, self.dims)
        });
    }
}

fn rnn<T: Float>(case: &Case, backwards: bool, relu: bool) {
    let given = Given::<T>::new(case, 1);
    let [y, h, _] = given.walk(backwards, |x, product, _| {
        let act = |(x, a): (&T, &T)| if relu { (*x + *a).maximum(T::ZERO) } else { (*x + *a).tanh() };
        x.iter().zip(product).map(act).collect()
    });
    let ins = [
        Some(given.x.view()),
        Some(given.w.view()),
        given.h.as_ref().map(Array::view),
        given.lengths.as_ref().map(Array::view),
    ];
    given.check(&RNN, &ins, [i32::from(backwards), i32::from(relu)], &[y, h], &[]);
}

fn lstm<T: Float>(case: &Case, backwards: bool) {
    let given = Given::<T>::new(case, 4);
    let [b, t, n, p] = given.dims;
    let want = given.walk(backwards, |x, product, state| {
        let gate = |nth: usize, j: usize| x[nth * n + j] + product[nth * n + j];
        let one = |j: usize| {
            let (i, f, g, o) = (gate(0, j).sigmoid(), gate(1, j).sigmoid(), gate(2, j).tanh(), gate(3, j).sigmoid());
            state[p + j] = f.mul_add(state[p + j], i * g);
            o * state[p + j].tanh()
        };
        (0..n).map(one).collect()
    });
    let ins = [
        Some(given.x.view()),
        Some(given.w.view()),
        given.h.as_ref().map(Array::view),
        given.c.as_ref().map(Array::view),
        given.lengths.as_ref().map(Array::view),
        given.projection.as_ref().map(Array::view),
    ];
    given.check(
        &LSTM,
        &ins,
        [i32::from(backwards), 0],
        &want,
        &[Array::zeros(&[b, t, 4 * n]), Array::zeros(&[b, t, n])],
    );
}

fn gru<T: Float>(case: &Case, backwards: bool) {
    let given = Given::<T>::new(case, 3);
    let [b, t, n, _] = given.dims;
    let [y, h, _] = given.walk(backwards, |x, product, state| {
        let bias = |j: usize| given.bias.as_ref().map_or(T::ZERO, |bias| bias.data[j]);
        let one = |j: usize| {
            let gate = |nth: usize| product[nth * n + j] + bias(nth * n + j);
            let (r, z) = ((x[j] + gate(0)).sigmoid(), (x[n + j] + gate(1)).sigmoid());
            let new = r.mul_add(gate(2), x[2 * n + j]).tanh();
            z.mul_add(state[j] - new, new)
        };
        (0..n).map(one).collect()
    });
    let ins = [
        Some(given.x.view()),
        Some(given.w.view()),
        given.bias.as_ref().map(Array::view),
        given.h.as_ref().map(Array::view),
        given.lengths.as_ref().map(Array::view),
    ];
    given.check(&GRU, &ins, [i32::from(backwards), 0], &[y, h], &[Array::zeros(&[b, t, 4 * n])]);
}

#[test]
fn sequences_are_their_naive_twins_bit_for_bit() {
    for case in CASES {
        for backwards in [false, true] {
            lstm::<f32>(case, backwards);
            lstm::<f64>(case, backwards);
            if case.3 == 0 {
                rnn::<f32>(case, backwards, false);
                rnn::<f64>(case, backwards, true);
                gru::<f32>(case, backwards);
                gru::<f64>(case, backwards);
            }
        }
    }
}
