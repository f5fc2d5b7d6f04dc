//! Hand-built graphs through all passes: the pipeline without a front end.

use crate::exec::session::{Host, Session};
use crate::ir::attr::{Attr, Attrs, Init};
use crate::ir::build::{Builder, Mode, Var};
use crate::ir::graph::{Graph, Output, Param, Port, Source};
use crate::ir::op::Role;
use crate::ops::source::INPUT;
use crate::ops::{activation, linear, loss, norm, random};
use crate::passes::{autodiff, fuse::fuse, simplify::simplify, update::update};
use crate::tensor::{DType, Tensor};
use ndarray::{ArrayD, IxDyn};

fn param<'g>(b: &'g Builder, path: &str, shape: &[usize], init: Init) -> (u32, Var<'g>) {
    let mut graph = b.graph.borrow_mut();
    let dims: Vec<_> = shape.iter().map(|&n| graph.shapes.dims.constant(n as i64)).collect();
    let ty = graph.shapes.ty(b.float, &dims);
    let index = graph.params.len() as u32;
    let port = graph.add_source(&INPUT, Source::Param(index), ty, 0);
    graph.params.push(Param { path: path.into(), shape: shape.into(), ty, init, role: Role::Weight, port, next: None });
    drop(graph);
    (index, b.var(port))
}

fn input<'g>(b: &'g Builder, name: &str, dtype: DType, tail: &[i64]) -> Var<'g> {
    let mut graph = b.graph.borrow_mut();
    let mut dims = vec![graph.shapes.dims.symbol("batch")];
    dims.extend(tail.iter().map(|&n| graph.shapes.dims.constant(n)));
    let ty = graph.shapes.ty(dtype, &dims);
    let port = graph.add_source(&INPUT, Source::Input(name.into()), ty, 0);
    drop(graph);
    b.var(port)
}

fn mlp(float: DType, train: bool) -> Graph {
    let b = Builder::new(Graph::default(), Mode::Train, float);
    let x = input(&b, "x", float, &[7]);
    let y = input(&b, "y", DType::I64, &[]);
    let (i0, w0) = param(&b, "a.weight", &[16, 7], Init::Normal(0.3, 0.0));
    let (i1, b0) = param(&b, "a.bias", &[16], Init::Zeros);
    let (i2, g) = param(&b, "n.weight", &[16], Init::Ones);
    let (i3, w1) = param(&b, "h.weight", &[3, 16], Init::Normal(0.3, 0.0));
    b.at("a", Default::default());
    let h = b.apply(&linear::AFFINE, Attrs::new(&[], vec![]), &[Some(x), Some(w0), Some(b0)])[0];
    let n = b.apply(&norm::RMS, Attrs::with(norm::RMS.attrs, &[]), &[Some(h), Some(g)])[0];
    let a = n.op(&activation::GELU);
    b.at("drop", Default::default());
    let a = a.then(&random::DROPOUT, &[("p", Attr::Float(0.2))]);
    let z = b.apply(&linear::AFFINE, Attrs::new(&[], vec![]), &[Some(a), Some(w1), None])[0];
    let l = z.with(y, &loss::CROSS_ENTROPY, &[]).op(&loss::GUARD);
    let seed = b.apply(
        &crate::ops::source::FILL,
        Attrs::with(
            crate::ops::source::FILL.attrs,
            &[("shape", Attr::List(vec![])), ("value", Attr::Float(1.0)), ("dtype", Attr::Str(float.word().into()))],
        ),
        &[],
    )[0];
    let ports: Vec<Port> = [w0, b0, g, w1].iter().map(|v| v.port).collect();
    let grads = autodiff::gradients(&b, &[(l.port, seed)], &ports);
    b.graph.borrow_mut().outputs.push((Output::Loss, l.port));
    let learned: Vec<_> = [i0, i1, i2, i3].into_iter().zip(grads).filter_map(|(i, g)| Some((i, g?))).collect();
    if train {
        let def = crate::optim::find_optimizer("adamw").expect("adamw");
        let groups = [crate::ir::training::Group {
            pattern: None,
            optimizer: crate::ir::training::Call {
                name: "adamw".into(),
                attrs: Attrs::with(def.attrs, &[]),
                span: Default::default(),
            },
        }];
        update(&b, &groups, Some(crate::ir::training::Clip::Norm(1.0, 2.0)), &learned);
    } else {
        for (i, g) in learned {
            b.graph.borrow_mut().outputs.push((Output::GradParam(i), g.port));
        }
    }
    fuse(&simplify(&b.finish()))
}

fn batch(rows: usize) -> (Tensor, Tensor) {
    let x: Vec<f64> = (0..rows * 7).map(|i| ((i * 37 % 101) as f64 - 50.0) / 25.0).collect();
    let y: Vec<i64> = (0..rows).map(|i| (i % 3) as i64).collect();
    (
        Tensor::F64(ArrayD::from_shape_vec(IxDyn(&[rows, 7]), x).expect("fits")),
        Tensor::I64(ArrayD::from_shape_vec(IxDyn(&[rows]), y).expect("fits")),
    )
}

#[test]
fn a_training_step_lowers_the_loss_with_the_same_bits_for_any_threads() {
    let mut all = vec![];
    for threads in [1, 2, 8] {
        let mut s = Session::new(vec![mlp(DType::F32, true)], DType::F32, threads).expect("memory");
        s.init(3);
        let (x, y) = batch(640);
        let mut losses = vec![];
        for step in 0..20 {
            let host =
                Host { seed: 1, step, hypers: vec![vec![0.05, step as f64 + 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]] };
            let out = s.run(0, &[("x", &x), ("y", &y)], &Default::default(), &host).expect("runs");
            let Tensor::F32(l) = &out[0].1 else { panic!("f32") };
            losses.push(l.iter().next().copied().expect("scalar").to_bits());
        }
        if threads == 1 {
            println!("{}", s.graphs()[0].show());
            println!(
                "{}",
                s.plan(0, &[("batch".to_string(), 640)].into_iter().collect()).expect("plans").show(&s.graphs()[0])
            );
        }
        println!("{:?}", losses.iter().map(|b| f32::from_bits(*b)).collect::<Vec<_>>());
        let w: Vec<_> =
            s.places().map(|(n, _)| n.to_string()).collect::<Vec<_>>().into_iter().map(|n| s.get(&n)).collect();
        all.push((losses, w));
    }
    assert!(f32::from_bits(all[0].0[19]) < f32::from_bits(all[0].0[0]));
    assert!(all[0] == all[1] && all[0] == all[2]);
}

#[test]
fn gradients_equal_differences() {
    let mut s = Session::new(vec![mlp(DType::F64, false)], DType::F64, 1).expect("memory");
    s.init(3);
    let (x, y) = batch(5);
    let host = Host { seed: 1, step: 0, hypers: vec![] };
    let out = s.run(0, &[("x", &x), ("y", &y)], &Default::default(), &host).expect("runs");
    for (i, name) in ["a.weight", "a.bias", "n.weight", "h.weight"].iter().enumerate() {
        let Some((_, Tensor::F64(g))) = out.iter().find(|(o, _)| *o == Output::GradParam(i as u32)) else {
            panic!("no grad")
        };
        let Some(Tensor::F64(w)) = s.get(name) else { panic!("no weight") };
        for at in [0, w.len() / 2, w.len() - 1] {
            let mut f = |d: f64| {
                let mut m = w.clone();
                m.as_slice_mut().expect("dense")[at] += d;
                s.set(name, &Tensor::F64(m)).expect("fits");
                let out = s.run(0, &[("x", &x), ("y", &y)], &Default::default(), &host).expect("runs");
                let Tensor::F64(l) = &out[0].1 else { panic!("f64") };
                l.iter().next().copied().expect("scalar")
            };
            let want = (f(1e-5) - f(-1e-5)) / 2e-5;
            s.set(name, &Tensor::F64(w.clone())).expect("fits");
            let got = g.as_slice().expect("dense")[at];
            assert!((got - want).abs() < 1e-8 * (1.0 + want.abs()), "{name}[{at}]: {got} against {want}");
        }
    }
}
