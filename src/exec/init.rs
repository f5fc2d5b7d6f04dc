//! Initial values of parameters: a function of the seed, the parameter's path and the element, nothing else.

use crate::ir::attr::Init;
use crate::kernels::float::Float;
use crate::kernels::random::{fill_normal, fill_uniform, path_key};

/// Fills a parameter of these sizes.
pub fn fill<T: Float>(dst: &mut [T], shape: &[usize], init: &Init, seed: u64, path: &str) {
    if let Init::NormsOf(name, other, sizes) = init {
        let sizes: Vec<usize> = sizes.iter().map(|&size| size.max(0) as usize).collect();
        let own = path.rfind('.').map_or("", |dot| &path[..=dot]);
        return norms(dst, &sizes, other, seed, &format!("{own}{name}"));
    }
    fill_part(dst, 0, shape, init, seed, path_key(path));
}

/// The lengths of the rows of a parameter beside this one.
fn norms<T: Float>(dst: &mut [T], sizes: &[usize], init: &Init, seed: u64, path: &str) {
    let mut values = vec![0f64; sizes.iter().product()];
    fill(&mut values, sizes, init, seed, path);
    let row = sizes.iter().skip(1).product::<usize>().max(1);
    for (to, row) in dst.iter_mut().zip(values.chunks_exact(row)) {
        *to = T::of(row.iter().map(|x| x * x).sum::<f64>().sqrt());
    }
}

/// Fills the elements from `first` on, of a matrix of these sizes.
fn fill_part<T: Float>(dst: &mut [T], first: u64, shape: &[usize], init: &Init, seed: u64, key: u64) {
    let (fan_in, fan_out) = fans(shape);
    let uniform = |dst: &mut [T], low: f64, high: f64| {
        fill_uniform(dst, first, seed, key);
        dst.iter_mut().for_each(|x| *x = T::of(low + (high - low) * x.to_f64()));
    };
    let normal = |dst: &mut [T], std: f64, mean: f64| {
        fill_normal(dst, first, seed, key);
        dst.iter_mut().for_each(|x| *x = T::of(mean + std * x.to_f64()));
    };
    match init {
        Init::Zeros => dst.fill(T::ZERO),
        Init::Ones => dst.fill(T::ONE),
        Init::Constant(value) => dst.fill(T::of(*value)),
        Init::Uniform(low, high) => uniform(dst, *low, *high),
        Init::Normal(std, mean) => normal(dst, *std, *mean),
        Init::TruncNormal(std, low, high) => truncated(dst, first, (*std, *low, *high), seed, key),
        Init::XavierUniform(gain) => {
            let bound = gain * (6.0 / (fan_in + fan_out)).sqrt();
            uniform(dst, -bound, bound);
        }
        Init::XavierNormal(gain) => normal(dst, gain * (2.0 / (fan_in + fan_out)).sqrt(), 0.0),
        Init::KaimingUniform(gain, out) => {
            let bound = gain * (3.0 / if *out { fan_out } else { fan_in }).sqrt();
            uniform(dst, -bound, bound);
        }
        Init::KaimingNormal(gain, out) => normal(dst, gain / (if *out { fan_out } else { fan_in }).sqrt(), 0.0),
        Init::UniformFan(fan) => {
            let bound = 1.0 / (*fan as f64).max(1.0).sqrt();
            uniform(dst, -bound, bound);
        }
        Init::Orthogonal(gain) => orthogonal(dst, shape, *gain, seed, key),
        Init::Eye => {
            let columns = shape.last().copied().unwrap_or(1).max(1);
            dst.iter_mut()
                .enumerate()
                .for_each(|(i, x)| *x = if i / columns == i % columns { T::ONE } else { T::ZERO });
        }
        Init::Sparse(share, std) => {
            normal(dst, *std, 0.0);
            thin_out(dst, shape, *share, seed, key);
        }
        Init::Dirac(groups) => dirac(dst, shape, (*groups).max(1) as usize),
        Init::NormsOf(..) => dst.fill(T::ONE),
        Init::Blocks(blocks) => {
            let row: usize = shape.iter().skip(1).product();
            let mut at = 0;
            for (rows, init) in blocks {
                let len = (*rows as usize * row).min(dst.len() - at);
                let own: Vec<usize> = [*rows as usize].iter().chain(&shape[1..]).copied().collect();
                fill_part(&mut dst[at..at + len], first + at as u64, &own, init, seed, key);
                at += len;
            }
        }
    }
}

/// Inputs and outputs of a weight: `[out, in, window…]`.
fn fans(shape: &[usize]) -> (f64, f64) {
    let window: usize = shape.iter().skip(2).product();
    let (out, input) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
    ((input * window).max(1) as f64, (out * window).max(1) as f64)
}

/// A normal draw again until it lies within the limits, each try from a stream of its own.
fn truncated<T: Float>(dst: &mut [T], first: u64, (std, low, high): (f64, f64, f64), seed: u64, key: u64) {
    fill_normal(dst, first, seed, key);
    for (i, x) in dst.iter_mut().enumerate() {
        let mut value = x.to_f64() * std;
        let mut tries = 0u64;
        while !(low..=high).contains(&value) && tries < 1000 {
            tries += 1;
            let mut one = [T::ZERO];
            fill_normal(&mut one, first + i as u64, seed, key.wrapping_add(tries));
            value = one[0].to_f64() * std;
        }
        *x = T::of(value.clamp(low, high));
    }
}

/// Zeros in a share of the rows, of each column other ones.
fn thin_out<T: Float>(dst: &mut [T], shape: &[usize], share: f64, seed: u64, key: u64) {
    let rows = shape.first().copied().unwrap_or(1);
    let columns = dst.len() / rows.max(1);
    let zeros = (share * rows as f64).ceil() as usize;
    let mut draws = vec![0f64; dst.len()];
    fill_uniform(&mut draws, 0, seed, key);
    for column in 0..columns {
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by(|&a, &b| draws[a * columns + column].total_cmp(&draws[b * columns + column]));
        order.iter().take(zeros).for_each(|row| dst[row * columns + column] = T::ZERO);
    }
}

/// Filters that hand channels on: 1 in the middle of the window of channel i for the i-th filter of each group.
fn dirac<T: Float>(dst: &mut [T], shape: &[usize], groups: usize) {
    dst.fill(T::ZERO);
    let (out, input) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
    let window = shape.get(2..).unwrap_or(&[]);
    let middle = window.iter().fold(0, |at, &size| at * size + size / 2);
    let (each, size) = (out / groups, window.iter().product::<usize>());
    for (group, i) in (0..groups).flat_map(|group| (0..each.min(input)).map(move |i| (group, i))) {
        dst[((group * each + i) * input + i) * size + middle] = T::ONE;
    }
}

/// Rows (or columns, whichever are fewer) made orthonormal, one after the other, in f64.
fn orthogonal<T: Float>(dst: &mut [T], shape: &[usize], gain: f64, seed: u64, key: u64) {
    let rows = shape.first().copied().unwrap_or(1);
    let columns: usize = shape.iter().skip(1).product();
    let (short, long) = (rows.min(columns), rows.max(columns));
    let mut draw = vec![0f64; short * long];
    fill_normal(&mut draw, 0, seed, key);
    for i in 0..short {
        for _ in 0..2 {
            for j in 0..i {
                let dot: f64 = (0..long).map(|k| draw[i * long + k] * draw[j * long + k]).sum();
                (0..long).for_each(|k| draw[i * long + k] -= dot * draw[j * long + k]);
            }
        }
        let length = (0..long).map(|k| draw[i * long + k] * draw[i * long + k]).sum::<f64>().sqrt();
        (0..long).for_each(|k| draw[i * long + k] /= length);
    }
    for (at, x) in dst.iter_mut().enumerate() {
        let (row, column) = (at / columns.max(1), at % columns.max(1));
        let value = if rows <= columns { draw[row * long + column] } else { draw[column * long + row] };
        *x = T::of(gain * value);
    }
}
