//! A steady step allocates nothing: whole training steps under an allocator that counts, tail batch included.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use wythe::elaborate::Request;
use wythe::exec::bind::Binding;
use wythe::exec::session::{Host, Session};
use wythe::ir::training::Training;
use wythe::pipeline::{Stage, check, evaluation, step};
use wythe::tensor::{DType, Tensor};
use wythe::text::Source;

/// The system's allocator, and how often it was asked.
struct Counting;

static ASKED: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: promised by the caller.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MODELS: &[(&str, &str)] = &[
    (
        "convolution, batchnorm, dropout, clipping by norm, adamw",
        "dim batch
model m : (x: f32[batch, 3, 12, 12]) -> f32[batch, 5] {
  conv(16, 3, pad = 1)
  batchnorm
  relu
  maxpool(2)
  dropout(0.3)
  conv(24, 3, groups = 2)
  avgpool_global
  linear(5)
}
train m {
  target    y: i64[batch]
  loss      cross_entropy(label_smoothing = 0.1)
  optimizer adamw(lr = 1e-3)
  clip      norm(1.0)
  batch     16
}",
    ),
    (
        "attention, norms, tied output, clipping by value, sgd",
        "dim batch, seq
model m : (tokens: i64[batch, seq]) -> f32[batch, seq, 50] {
  layer e = embedding(50, 24)
  tokens |> e
  repeat 2 {
    residual pre layernorm { attention(4, kv_heads = 2, causal = true, rope = rope); dropout(0.1) }
    residual pre rmsnorm { linear(48); gelu; linear(24) }
  }
  dyt
  unembed(e)
}
train m {
  target    y = tokens |> next
  loss      cross_entropy
  optimizer sgd(lr = 0.1, momentum = 0.9)
  clip      value(0.5)
  batch     16
  seq       12
}",
    ),
];

fn training(text: &str) -> Training {
    let mut checked = check(Source::new("case", text), &Request::default(), None);
    assert!(!checked.has_errors(), "{}", checked.render());
    checked.trainings.pop().expect("a train section")
}

/// Numbers for an input of that name: labels and ids below 5, or floats.
fn input(dtype: DType, shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    let array = |data| ndarray::ArrayD::from_shape_vec(shape.to_vec(), data).expect("a shape fits its data");
    match dtype {
        DType::I64 => {
            let data = (0..n).map(|i| (i * 7 % 5) as i64).collect();
            Tensor::I64(ndarray::ArrayD::from_shape_vec(shape.to_vec(), data).expect("a shape fits its data"))
        }
        _ => Tensor::F32(array((0..n).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect())),
    }
}

/// Allocations of ten rounds of two training steps (a whole batch, a tail) and an evaluation, after one round.
fn allocations(text: &str, threads: usize) -> u64 {
    let training = training(text);
    let graphs = vec![step(&training, DType::F32, Stage::Fused), evaluation(&training, DType::F32)];
    let mut session = Session::new(graphs, DType::F32, threads).expect("there is memory for a test");
    session.init(1);
    let mut rounds = vec![];
    for (which, rows) in [(0, 16), (0, 5), (1, 16)] {
        let mut binding: Binding = training.sizes.iter().map(|(name, size)| (name.clone(), *size as i64)).collect();
        binding.insert("batch".into(), rows);
        let graph = &session.graphs()[which];
        let wanted = wythe::exec::bind::inputs(graph);
        let inputs: Vec<(String, Tensor)> = wanted
            .iter()
            .map(|(name, ty)| {
                let shape = graph.shapes.eval(ty.shape, &|dim| binding.get(dim).copied()).expect("every size is bound");
                (name.to_string(), input(ty.dtype, &shape))
            })
            .collect();
        let plan = session.prepare(which, &binding).expect("it can be planned");
        rounds.push((which, plan, inputs));
    }
    #[allow(clippy::type_complexity)] // which graph, which plan, what is fed
    let named: Vec<(usize, usize, Vec<(&str, &Tensor)>)> = rounds
        .iter()
        .map(|(which, plan, inputs)| (*which, *plan, inputs.iter().map(|(name, x)| (name.as_str(), x)).collect()))
        .collect();
    let mut host = Host { seed: 3, step: 0, hypers: vec![vec![1e-3, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]] };
    let mut before = 0;
    for round in 0..11 {
        if round == 1 {
            before = ASKED.load(Ordering::Relaxed);
        }
        for (which, plan, inputs) in &named {
            host.hypers[0][1] = (host.step + 1) as f64;
            session.feed(*plan, inputs, &host);
            session.execute(*which, *plan).expect("it runs");
            host.step += u64::from(*which == 0);
        }
    }
    let asked = ASKED.load(Ordering::Relaxed) - before;
    if threads > 1 {
        assert!(session.workers(named[0].1) > 1, "the whole batch is work for more than one thread");
    }
    asked
}

// One test: another one beside it would be counted, too.
#[test]
fn a_steady_step_allocates_nothing() {
    for (name, text) in MODELS {
        for threads in [1, 2] {
            assert_eq!(allocations(text, threads), 0, "{name}, {threads} threads");
        }
    }
}
