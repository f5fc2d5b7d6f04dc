use super::*;
use crate::kernels::call::Args;
use crate::kernels::twin::{Buffer, Element, close, every_way, every_way_fault, lanes, noise, same_bits};
use crate::tensor::DType;

fn args(ints: [i32; 3], nums: [f64; 4]) -> Args {
    let mut args = Args { nums, ..Args::default() };
    args.ints[..3].copy_from_slice(&ints);
    args
}

fn hyper(lr: f64, t: u64, scale: f64, limit: f64) -> Buffer {
    Buffer::of(&[8], &[lr, t as f64, scale, limit, 0.0, 0.0, 0.0, 0.0])
}

/// One element's new p and slots, by the documented formulas.
fn sgd_twin<T: Float>(args: Args, h: &[f64], p: T, g: T, slots: [T; 3]) -> (T, [T; 3]) {
    let [momentum, dampening, decay, _] = args.nums.map(T::of);
    let g = decay.mul_add(p, g);
    let mut b = slots[0];
    let mut d = g;
    if args.ints[2] == 1 {
        b = if h[1] == 1.0 { g } else { (T::of(1.0 - dampening.to_f64())).mul_add(g, b * momentum) };
        d = if args.ints[0] == 1 { momentum.mul_add(b, g) } else { b };
    }
    ((-T::of(h[0])).mul_add(d, p), [b, slots[1], slots[2]])
}

fn adam_twin<T: Float>(args: Args, h: &[f64], p: T, g: T, slots: [T; 3]) -> (T, [T; 3]) {
    let [b1, b2, eps, decay] = args.nums;
    let [mut m, mut v, mut largest] = slots;
    let decoupled = args.ints[0] == 1;
    let g = if decoupled { g } else { T::of(decay).mul_add(p, g) };
    m = T::of(1.0 - b1).mul_add(g - m, m);
    v = (T::of(1.0 - b2) * g).mul_add(g, v * T::of(b2));
    if args.ints[1] == 1 {
        largest = if v > largest { v } else { largest };
    }
    let v_used = if args.ints[1] == 1 { largest } else { v };
    let (mut c1, mut c2) = (1.0, 1.0);
    for _ in 0..h[1] as u64 {
        (c1, c2) = (c1 * b1, c2 * b2);
    }
    let d = v_used.sqrt().mul_add(T::of(1.0 / (1.0 - c2).sqrt()), T::of(eps));
    let p = if decoupled { p * T::of(1.0 - h[0] * decay) } else { p };
    (T::of(-(h[0] / (1.0 - c1))).mul_add(m / d, p), [m, v, largest])
}

type Twin<T> = fn(Args, &[f64], T, T, [T; 3]) -> (T, [T; 3]);

fn twin<T: Float + Element>(
    kernel: &Kernel,
    one: Twin<T>,
    slots: usize,
    args: Args,
    maximize: usize,
    clip: (f64, f64),
) {
    for (rows, d) in [(0, 3), (3, 0), (1, 1), (5, 3), (3, 70), (2, 16), (1, 517)] {
        for t in [1, 3] {
            let n = rows * d;
            let p: Vec<T> = noise(n, 1);
            let mut g: Vec<T> = noise(n, 2);
            for (i, g) in g.iter_mut().enumerate() {
                match i % 97 {
                    50 => *g = T::NEG_INF,
                    90 => *g = T::of(f64::NAN),
                    _ => {}
                }
            }
            let olds: Vec<Vec<T>> = (0..3).map(|k| noise::<T>(n, 3 + k).iter().map(|x| x.abs()).collect()).collect();
            let h = hyper(0.1, t, clip.0, clip.1);
            let buffers: Vec<Buffer> =
                [&p, &g, &olds[0], &olds[1], &olds[2]].map(|x| Buffer::of(&[rows, d], x.as_slice())).into();
            let shape = || Some((T::DTYPE, vec![rows, d]));
            let ins: Vec<Option<View>> =
                (0..5).map(|k| if k < 2 + slots { buffers[k].view() } else { None }).chain([h.view()]).collect();

            let mut sum = vec![T::ZERO; n];
            let mut news = vec![vec![T::ZERO; n]; 3];
            let mut bad = false;
            for i in 0..n {
                let old = [olds[0][i], olds[1][i], olds[2][i]];
                let scale = if args.ints[maximize] == 1 { -clip.0 } else { clip.0 };
                let clipped = g[i] * T::of(scale);
                let limit = T::of(clip.1);
                let (new, slots) = if !clipped.finite() {
                    bad = true;
                    (p[i], old)
                } else if clip.1 > 0.0 && clipped.abs() > limit {
                    one(args, h.elements(), p[i], if clipped > T::ZERO { limit } else { -limit }, old)
                } else {
                    one(args, h.elements(), p[i], clipped, old)
                };
                sum[i] = new;
                (0..3).for_each(|k| news[k][i] = slots[k]);
            }
            let fault = bad.then_some(FaultKind::GradientNotFinite);
            for parts in [None, Some(rows), Some(1)] {
                let mut outs = vec![shape()];
                outs.extend((0..3).map(|k| if k < slots { shape() } else { None }));
                outs.push(parts.map(|parts| (DType::F64, vec![parts])));
                let (got, found) = every_way_fault::<T>(kernel, &ins, &outs, args);
                assert_eq!(found, if parts == Some(0) { None } else { fault });
                same_bits(&got[0], &sum);
                (0..slots).for_each(|k| same_bits(&got[1 + k], &news[k]));
                let Some(parts) = parts.filter(|&parts| parts > 0) else { continue };
                let n = n / parts;
                let square = |part: usize| {
                    lanes(n, |chain: f64, i| {
                        let g = g[part * n + i].to_f64();
                        g.mul_add(g, chain)
                    })
                };
                let sums = got[1 + slots].elements::<f64>();
                for part in 0..parts {
                    let twin = square(part);
                    assert!(sums[part].to_bits() == twin.to_bits() || sums[part].is_nan() && twin.is_nan());
                }
            }
        }
    }
}

#[test]
fn sgd_is_its_twin() {
    twin::<f32>(&SGD, sgd_twin, 0, args([0, 0, 0], [0.0, 0.0, 0.0, 0.0]), 1, (1.0, 0.0));
    twin::<f64>(&SGD, sgd_twin, 0, args([0, 1, 0], [0.0, 0.0, 0.1, 0.0]), 1, (0.5, 0.0));
    twin::<f32>(&SGD, sgd_twin, 1, args([0, 0, 1], [0.9, 0.1, 0.1, 0.0]), 1, (1.0, 0.75));
    twin::<f64>(&SGD, sgd_twin, 1, args([1, 1, 1], [0.9, 0.0, 0.0, 0.0]), 1, (1.0, 0.0));
}

#[test]
fn adam_is_its_twin() {
    twin::<f32>(&ADAM, adam_twin, 2, args([1, 0, 0], [0.9, 0.999, 1e-8, 0.01]), 2, (1.0, 0.0));
    twin::<f64>(&ADAM, adam_twin, 2, args([0, 0, 1], [0.9, 0.999, 1e-8, 0.01]), 2, (0.5, 0.75));
    twin::<f32>(&ADAM, adam_twin, 3, args([0, 1, 0], [0.8, 0.95, 1e-8, 0.0]), 2, (1.0, 0.75));
    twin::<f64>(&ADAM, adam_twin, 3, args([1, 1, 1], [0.8, 0.95, 1e-8, 0.1]), 2, (1.0, 0.0));
}

/// Five steps from the same start as in PyTorch 2 (f64).
fn pytorch(kernel: &Kernel, slots: usize, args: Args, expected: [[f64; 3]; 5]) {
    let grads = [[0.5, -0.25, 2.0], [0.1, 0.3, -1.0], [-0.7, 0.2, 0.01], [0.0, 0.0, 0.0], [1.5, -1.0, 0.3]];
    let mut state = vec![Buffer::of(&[3], &[1.0, -2.0, 0.5])];
    state.extend((0..slots).map(|_| Buffer::of(&[3], &[0.0; 3])));
    for (t, (g, expected)) in grads.iter().zip(expected).enumerate() {
        let (g, h) = (Buffer::of(&[3], g), hyper(0.1, t as u64 + 1, 1.0, 0.0));
        let mut ins = vec![state[0].view(), g.view(), None, None, None, h.view()];
        (0..slots).for_each(|k| ins[2 + k] = state[1 + k].view());
        let outs: Vec<_> = (0..5).map(|k| (k <= slots).then(|| (DType::F64, vec![3]))).collect();
        state = every_way::<f64>(kernel, &ins, &outs, args);
        close(state[0].elements::<f64>(), &expected, 1e-15);
    }
}

#[test]
fn sgd_is_pytorch_s() {
    let plain = [
        [0.95, -1.975, 0.3],
        [0.94, -2.005, 0.4],
        [1.01, -2.025, 0.399],
        [1.01, -2.025, 0.399],
        [0.86, -1.9249999999999998, 0.369],
    ];
    pytorch(&SGD, 0, args([0, 0, 0], [0.0; 4]), plain);
    let decay = [
        [0.949, -1.973, 0.2995],
        [0.938051, -2.001027, 0.3992005],
        [1.007112949, -2.019025973, 0.39780129950000004],
        [1.006105836051, -2.0170069470270002, 0.3974034982005],
        [0.855099730214949, -1.9149899400799733, 0.3670060947022995],
    ];
    pytorch(&SGD, 0, args([0, 0, 0], [0.0, 0.0, 0.01, 0.0]), decay);
    let dampened = [
        [0.949, -1.973, 0.2995],
        [0.8932458999999999, -1.9739243000000002, 0.20878044999999998],
        [0.90526328869, -1.9909796381300002, 0.12604495259499998],
        [0.9152642015511789, -2.0045375607726834, 0.05146956447316448],
        [0.788441285344844, -1.9249356073464028, -0.04269460744451332],
    ];
    pytorch(&SGD, 1, args([0, 0, 1], [0.9, 0.1, 0.01, 0.0]), dampened);
    let nesterov_up = [
        [1.095, -2.0475, 0.88],
        [1.1545, -2.01075, 0.852],
        [1.0660500000000002, -1.9666749999999997, 0.9187],
        [1.0494450000000002, -1.9450074999999998, 0.97783],
        [1.3195005000000002, -2.1155067499999998, 1.088047],
    ];
    pytorch(&SGD, 1, args([1, 1, 1], [0.9, 0.0, 0.0, 0.0]), nesterov_up);
}

#[test]
fn adam_is_pytorch_s() {
    let coupled = [
        [0.9000000016666666, -1.900000002222222, 0.4000000004878049],
        [0.8136483454297575, -1.8525905496385555, 0.37089514609880114],
        [0.8108698948154819, -1.8179951805697663, 0.3470720706904236],
        [0.8032811346156794, -1.7703713408561206, 0.32666798559380644],
        [0.7525521131748468, -1.7044607667603615, 0.3016621271935171],
    ];
    pytorch(&ADAM, 2, args([0, 0, 0], [0.9, 0.999, 1e-8, 0.1]), coupled);
    let decoupled = [
        [0.890000002, -1.8800000039999998, 0.3950000005],
        [0.8007959063646517, -1.875494476507747, 0.36441629669743153],
        [0.8079146757855139, -1.8957090599893938, 0.33989846916831373],
        [0.8122264245309988, -1.908673435511937, 0.3194010486107957],
        [0.7620788909090539, -1.8504478440055052, 0.2946167785249776],
    ];
    pytorch(&ADAM, 2, args([1, 0, 0], [0.9, 0.999, 1e-8, 0.1]), decoupled);
    let amsgrad_up = [
        [1.0899999980000001, -2.079999996, 0.5949999995],
        [1.1566791072076055, -2.039127294564876, 0.6102959140095533],
        [1.1207264712455995, -1.9732940460500235, 0.6196739351769945],
        [1.0911297845836017, -1.9192932069616384, 0.6251514388476644],
        [1.1287821225883623, -1.9482354578033503, 0.6366213351308772],
    ];
    pytorch(&ADAM, 3, args([1, 1, 1], [0.8, 0.95, 1e-8, 0.1]), amsgrad_up);
}

#[test]
fn powers_are_rounded_once() {
    assert_eq!(power(0.9, 0), 1.0);
    assert_eq!(power(0.9, 1), 0.9);
    // Python's pow.
    for (b, t, expected) in [
        (0.9, 10, 0.3486784401000001),
        (0.999, 1000, 0.36769542477096373),
        (0.9999999, 10_000_000, 0.367879422971105),
        (0.5, 1074, 5e-324),
        (0.999, 10_000_000, 0.0),
    ] {
        assert_eq!(power(b, t), expected, "{b}^{t}");
    }
}
