//! Recurrent layers over whole sequences.
//!
//! The product with the inputs is done beforehand, one matrix product for all steps. What is left of a step is the
//! product of the state with the recurrent weights (in the order of sums of every product: k in blocks of 512) and one
//! pass over the gates. The weights are laid out for it once a call. A unit is a sequence: some are walked together,
//! which does not show in the bits.
//!
//! A sequence ends at its length: beyond it outputs and gradients are 0, and the state stays what it was.

mod gru;
mod lstm;
mod rnn;
#[cfg(test)]
mod tests;

pub use gru::{GRU, GRU_GRAD};
pub use lstm::{LSTM, LSTM_GRAD};
pub use rnn::{RNN, RNN_GRAD};

use super::call::{Access, Call, FaultKind, Layout, View, Worker};
use super::float::Float;
use super::gemm::transpose;
use super::lanes::Rows;
use super::spatial::room_of;
use super::tile::{Mode, Product, product};
use std::ops::Range;

/// The most sequences that are walked together.
const TOGETHER: usize = 64;
/// The columns of a panel of weights.
const PANEL: usize = 32;

/// Sequences and states, row by row.
const ROWS: (Layout, Access) = (Layout::Rows, Access::Unit);
/// Lengths, and what the forward kernel wrote.
const DENSE: (Layout, Access) = (Layout::Dense, Access::Unit);
/// Weights and biases.
const WEIGHTS: (Layout, Access) = (Layout::Dense, Access::All);

/// In which order the steps are taken, and which of them belong to a sequence.
#[derive(Clone, Copy)]
struct Walk {
    steps: usize,
    backwards: bool,
    lengths: Option<*const i64>,
}

impl Walk {
    /// Of a call whose operand of this number holds the lengths; ints: whether from the end.
    fn of(call: &Call, lengths: usize, steps: usize) -> Walk {
        let lengths = call.ins[lengths].as_ref().map(|view| view.as_ptr::<i64>().cast_const());
        Walk { steps, backwards: call.args.ints[0] != 0, lengths }
    }

    /// Reports lengths that are none.
    ///
    /// # Safety
    /// Nobody writes the lengths of these sequences meanwhile.
    unsafe fn check(self, worker: &Worker<'_>, units: Range<usize>) {
        let Some(lengths) = self.lengths else { return };
        // SAFETY: a length of these sequences.
        if units.into_iter().any(|b| !(0..=self.steps as i64).contains(unsafe { &*lengths.add(b) })) {
            worker.report(FaultKind::LengthOutOfRange);
        }
    }

    /// The steps of a sequence.
    ///
    /// # Safety
    /// As `check`.
    unsafe fn length(self, b: usize) -> usize {
        // SAFETY: promised by the caller.
        self.lengths.map_or(self.steps, |lengths| unsafe { *lengths.add(b) }.clamp(0, self.steps as i64) as usize)
    }

    /// Which step is taken as number `n`.
    fn at(self, n: usize) -> usize {
        if self.backwards { self.steps - 1 - n } else { n }
    }

    /// Whether a step belongs to a sequence.
    ///
    /// # Safety
    /// As `check`.
    unsafe fn has(self, b: usize, t: usize) -> bool {
        // SAFETY: promised by the caller.
        t < unsafe { self.length(b) }
    }

    /// The step that a sequence takes before this one of its own.
    ///
    /// # Safety
    /// As `check`.
    unsafe fn before(self, b: usize, t: usize) -> Option<usize> {
        // SAFETY: promised by the caller.
        if self.backwards { Some(t + 1).filter(|&t| unsafe { self.has(b, t) }) } else { t.checked_sub(1) }
    }
}

/// A right factor `[k, n]` in panels of 32 columns.
struct Factor<'a, T> {
    panels: &'a [T],
    k: usize,
    n: usize,
}

impl<'a, T: Float> Factor<'a, T> {
    /// The numbers that it holds.
    fn len(k: usize, n: usize) -> usize {
        k * n.next_multiple_of(PANEL)
    }

    /// `wᵀ` of w `[n, k]`.
    ///
    /// # Safety
    /// All of w may be read.
    unsafe fn transposed(w: &View, room: &'a mut [T]) -> Factor<'a, T> {
        let (n, k) = (w.dim(0), w.dim(1));
        for first in (0..n).step_by(PANEL) {
            let panel = room[first * k..].as_mut_ptr();
            // SAFETY: rows of w that are there; a panel has room for 32 of them.
            unsafe {
                transpose((w.as_ptr::<T>().add(first * k), k as isize), (PANEL.min(n - first), k), (panel, PANEL))
            };
        }
        Factor { panels: room, k, n }
    }

    /// w `[k, n]` as it stands.
    ///
    /// # Safety
    /// All of w may be read.
    unsafe fn straight(w: &View, room: &'a mut [T]) -> Factor<'a, T> {
        let (k, n) = (w.dim(0), w.dim(1));
        for first in (0..n).step_by(PANEL) {
            let columns = PANEL.min(n - first);
            for (row, to) in room[first * k..].chunks_exact_mut(PANEL).take(k).enumerate() {
                // SAFETY: elements of w.
                to[..columns].copy_from_slice(unsafe { w.slice::<T>(row * n + first, columns) });
            }
        }
        Factor { panels: room, k, n }
    }

    /// `c[i] = a[i] · self` for m rows, so far apart.
    ///
    /// # Safety
    /// The rows of a may be read, those of c written, and they do not overlap.
    unsafe fn times(&self, m: usize, (a, a_row): (*const T, usize), (c, c_row): (*mut T, usize)) {
        for first in (0..self.n).step_by(PANEL) {
            let panel = &self.panels[first * self.k..];
            // SAFETY: promised by the caller; the panel has k rows of 32.
            unsafe {
                product(Product {
                    m,
                    n: PANEL.min(self.n - first),
                    k: [1, self.k],
                    a,
                    a_row,
                    a_k: [0, 1],
                    b: panel.as_ptr(),
                    b_k: [0, PANEL],
                    c: c.add(first),
                    c_row,
                    mode: Mode::Store,
                });
            }
        }
    }
}

/// A dense output `[B, T, len]` or `[B, len]` that may be dead.
#[derive(Clone, Copy)]
struct Out<T> {
    ptr: Option<*mut T>,
    len: usize,
}

impl<T: Float> Out<T> {
    fn of(call: &Call, index: usize) -> Out<T> {
        let view = call.outs.get(index).and_then(Option::as_ref);
        Out { ptr: view.map(View::as_ptr), len: view.map_or(0, View::last) }
    }

    /// A row to write, where anyone wants it.
    ///
    /// # Safety
    /// Nobody else touches the row while the slice lives.
    unsafe fn row<'a>(self, at: usize) -> Option<&'a mut [T]> {
        // SAFETY: promised by the caller.
        self.ptr.map(|ptr| unsafe { std::slice::from_raw_parts_mut(ptr.add(at * self.len), self.len) })
    }

    /// Writes a row; none: zeros.
    ///
    /// # Safety
    /// As `row`.
    unsafe fn write(self, at: usize, from: Option<&[T]>) {
        // SAFETY: promised by the caller.
        match (unsafe { self.row(at) }, from) {
            (Some(to), Some(from)) => to.copy_from_slice(from),
            (Some(to), None) => to.fill(T::ZERO),
            (None, _) => {}
        }
    }
}

/// A row of an operand.
///
/// # Safety
/// Nobody writes it while the slice lives.
unsafe fn row<'a, T: Copy>(rows: Rows<T>, at: usize) -> &'a [T] {
    // SAFETY: promised by the caller.
    unsafe { std::slice::from_raw_parts(rows.row(at), rows.len) }
}

/// States as they begin: those given, or 0.
///
/// # Safety
/// Nobody writes the given ones meanwhile.
unsafe fn begin<T: Float>(state: &mut [T], given: Option<Rows<T>>, sequences: Range<usize>) {
    state.fill(T::ZERO);
    let Some(given) = given.filter(|given| given.len > 0) else { return };
    for (to, b) in state.chunks_exact_mut(given.len).zip(sequences) {
        // SAFETY: promised by the caller.
        to.copy_from_slice(unsafe { row(given, b) });
    }
}

/// An operand row by row, where it is given.
fn given<T: Copy>(call: &Call, index: usize) -> Option<Rows<T>> {
    Rows::maybe(&call.ins[index])
}

/// How many sequences are walked together in this call.
fn together(call: &Call, operand: usize) -> usize {
    call.input(operand).dim(0).min(TOGETHER)
}

/// The bytes of some buffers of a float type of this size.
fn bytes(size: usize, lens: &[usize]) -> usize {
    lens.iter().map(|&len| room_of(size, len)).sum()
}

/// The next sequences that are walked together.
fn groups(units: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    units.clone().step_by(TOGETHER).map(move |first| first..units.end.min(first + TOGETHER))
}

multiversion! {
    /// `to += from`.
    fn add<T: Float>(to: &mut [T], from: &[T]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += *from;
        }
    }
}
