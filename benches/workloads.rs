//! Whole training steps of the workloads, timed: `cargo bench --bench workloads -- [W1|W3] [THREADS] [SECONDS] [STEPS]`.
//!
//! A JSON line each: the median, least and most of the timed steps in milliseconds, the loss before and after, the peak
//! of resident memory. With STEPS just so many are made: what a step takes is then counted from outside
//! (`benches/checks.sh`). The same batch every step; compilation, weights and inputs are made outside.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use ndarray::{ArrayD, IxDyn};
use std::time::{Duration, Instant};
use wythe::elaborate::Request;
use wythe::exec::bind::Binding;
use wythe::exec::session::{Host, Session};
use wythe::ir::graph::Output;
use wythe::kernels::random::fill_normal;
use wythe::pipeline::{self, Stage, check};
use wythe::tensor::{DType, Tensor};
use wythe::text::Source;

fn normal(shape: &[usize], key: u64) -> Tensor {
    let mut values = vec![0f32; shape.iter().product()];
    fill_normal(&mut values, 0, 1, key);
    Tensor::F32(ArrayD::from_shape_vec(IxDyn(shape), values).unwrap())
}

fn labels(rows: usize, classes: i64) -> Tensor {
    Tensor::I64(ArrayD::from_shape_vec(IxDyn(&[rows]), (0..rows as i64).map(|i| i * 7 % classes).collect()).unwrap())
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let seconds = args.get(2).and_then(|s| s.parse().ok()).unwrap_or(3.0);
    let threads: Vec<usize> = args.get(1).and_then(|t| t.parse().ok()).map_or(vec![1, 2], |t| vec![t]);
    if args.first().is_none_or(|wanted| wanted == "W8:512x512x512" || wanted == "all") {
        threads.iter().for_each(|&threads| product(512, threads, seconds));
    }
    for workload in ["W1", "W3"] {
        if args.first().is_none_or(|wanted| wanted == workload || wanted == "all") {
            for &threads in &threads {
                bench(workload, threads, seconds, args.get(3).and_then(|steps| steps.parse().ok()));
            }
        }
    }
}

fn bench(workload: &str, threads: usize, seconds: f64, steps: Option<usize>) {
    let (file, text, x, y, lr) = match workload {
        "W1" => ("w1.model", include_str!("models/w1.model"), normal(&[128, 784], 1), labels(128, 10), 1e-3),
        _ => ("w3.model", include_str!("models/w3.model"), normal(&[32, 64], 1), normal(&[32, 64], 2), 0.01),
    };
    let begin = Instant::now();
    let checked = check(Source::new(file, text), &Request::default(), None);
    assert!(!checked.has_errors(), "{}", checked.render());
    let parsed = begin.elapsed();
    let graph = pipeline::step(&checked.trainings[0], DType::F32, Stage::Fused);
    let compiled = begin.elapsed();
    let mut session = Session::new(vec![graph], DType::F32, threads).unwrap();
    session.init(1);
    let drawn = begin.elapsed();
    let inputs = [("x", &x), ("y", &y)];
    let binding: Binding = [("batch".to_string(), x.shape()[0] as i64)].into_iter().collect();
    let before = Instant::now();
    drop(session.plan(0, &binding).unwrap());
    let planning = before.elapsed();
    let plan = session.prepare(0, &binding).unwrap();
    if std::env::var_os("SHOW_PLAN").is_some() {
        println!("{}", session.plan(0, &binding).unwrap().show(&session.graphs()[0]));
    }
    let mut step = 0u64;
    let mut one = |session: &mut Session| {
        let hyper = vec![lr, (step + 1) as f64, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        session.feed(plan, &inputs, &Host { seed: 1, step, hypers: vec![hyper] });
        session.execute(0, plan).unwrap();
        step += 1;
        session.scalar(plan, &Output::Loss).unwrap()
    };
    let first = one(&mut session);
    if let Some(steps) = steps {
        return (1..steps).for_each(|_| drop(one(&mut session)));
    }
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_secs(1) {
        one(&mut session);
    }
    let (mut times, begin) = (vec![], Instant::now());
    let mut last = first;
    while begin.elapsed().as_secs_f64() < seconds || times.len() < 9 {
        let start = Instant::now();
        last = one(&mut session);
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{{\"peer\":\"wythe\",\"version\":\"{}\",\"workload\":\"{workload}\",\"threads\":{threads},\"median_ms\":{:.3},\"min_ms\":{:.3},\"max_ms\":{:.3},\"runs\":{},\"peak_rss_mb\":{:.1},\"note\":\"check {:.1} ms, compile {:.1} ms, memory and weights {:.1} ms, plan {:.1} ms; loss {first:.4} to {last:.4}\"}}",
        env!("CARGO_PKG_VERSION"),
        times[times.len() / 2],
        times[0],
        times[times.len() - 1],
        times.len(),
        peak_mb(),
        parsed.as_secs_f64() * 1e3,
        (compiled - parsed).as_secs_f64() * 1e3,
        (drawn - compiled).as_secs_f64() * 1e3,
        planning.as_secs_f64() * 1e3,
    );
}

/// A square product as a one-layer model's forward pass.
fn product(n: usize, threads: usize, seconds: f64) {
    let text =
        format!("dim batch\nmodel m : (x: f32[batch, {n}]) -> f32[batch, {n}] {{ linear({n}, bias = false) }}\n");
    let checked = check(Source::new("product.model", text), &Request::default(), None);
    let graph = pipeline::forward(&checked.models[0], wythe::ir::build::Mode::Eval, DType::F32, Stage::Fused);
    let mut session = Session::new(vec![graph], DType::F32, threads).unwrap();
    session.init(1);
    let binding: Binding = [("batch".to_string(), n as i64)].into_iter().collect();
    let plan = session.prepare(0, &binding).unwrap();
    let x = normal(&[n, n], 1);
    session.feed(plan, &[("x", &x)], &Host::default());
    let (mut times, begin) = (vec![], Instant::now());
    while begin.elapsed().as_secs_f64() < seconds || times.len() < 9 {
        let start = Instant::now();
        session.execute(0, plan).unwrap();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!(
        "{{\"peer\":\"wythe\",\"workload\":\"W8:{n}x{n}x{n}\",\"threads\":{threads},\"median_ms\":{median:.3},\"min_ms\":{:.3},\"gflops\":{:.0}}}",
        times[0],
        2e-6 * (n * n * n) as f64 / times[0],
    );
}

/// The most memory that was resident, in MB; 0 where the system does not tell.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kb: Option<f64> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kb.unwrap_or(0.0) / 1024.0
}
