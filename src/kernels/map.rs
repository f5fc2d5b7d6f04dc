//! Elementwise programs: a tile bytecode in which one instruction is one slice kernel over a tile.
//!
//! A program reads operands that were broadcast to one shape, runs its instructions over tiles of 256 elements that
//! stay in the first-level cache, and stores values. The fuse pass builds it (`Program`), the kernel `MAP` runs it.

mod load;
pub mod ops;
mod store;

use super::call::{Access, Call, Kernel, Layout, Worker};
use super::float::Float;
use load::Source;
use std::ops::Range;

/// Elements of a tile. Tiles begin at multiples of it (the first of a range at the range's begin).
pub const TILE: usize = 256;
/// The most operands of a program.
pub const MAX_OPERANDS: usize = 16;
/// The most outputs of a program.
pub const MAX_OUTPUTS: usize = 8;
/// The most different constants of a program.
pub const MAX_CONSTS: usize = 16;
/// The most values of a program that live at the same time, stored ones included.
pub const MAX_REGISTERS: usize = 16;
/// The most instructions of a program.
pub const MAX_INSTRS: usize = 96;

const MAX_SLOTS: usize = MAX_OPERANDS + MAX_CONSTS + MAX_REGISTERS;

/// What an instruction knows besides its operands.
#[derive(Clone, Copy, Debug, Default)]
pub struct TileCx {
    /// The row-major index of the tile's first element in the output.
    pub start: u64,
    /// Immediate numbers; each instruction says what they mean.
    pub imm: [f64; 2],
    /// The hash of a path, for randomness.
    pub key: u64,
    /// Integer operands: seed, step.
    pub raw: [u64; 2],
}

/// A slice kernel: `dst` and the operands that the instruction has are equally long, the other operands are empty.
pub type TileFn<T> = fn(&TileCx, &mut [T], &[T], &[T], &[T]);

/// An instruction of the bytecode.
pub struct MapOp {
    /// For printed plans.
    pub name: &'static str,
    /// How many operands are tiles.
    pub arity: usize,
    /// How many operands after those are i64 scalars, handed over in `TileCx::raw`.
    pub raw: usize,
    /// The kernel in single precision.
    pub f32: TileFn<f32>,
    /// The kernel in double precision.
    pub f64: TileFn<f64>,
}

impl std::fmt::Debug for MapOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A value in a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reg {
    /// An operand: the entry of `Call::ins`.
    Load(usize),
    /// A constant.
    Const(f64),
    /// The result of an instruction.
    Value(usize),
}

/// An instruction as it was pushed.
#[derive(Clone, Debug)]
struct Node {
    op: &'static MapOp,
    args: [Reg; 3],
    raw: [usize; 2],
    imm: [f64; 2],
    key: u64,
}

/// An instruction as it runs. Slots: the operands, then the constants, then the registers.
#[derive(Clone, Copy, Debug)]
struct Instr {
    op: &'static MapOp,
    dst: u8,
    args: [u8; 3],
    raw: [u8; 2],
    imm: [f64; 2],
    key: u64,
}

/// A fused elementwise program.
///
/// ```ignore
/// let mut program = Program::new(2);
/// let sum = program.push(&ops::ADD, &[Reg::Load(0), Reg::Load(1)], [0.0; 2], 0);
/// let y = program.push(&ops::GELU_TANH, &[sum], [0.0; 2], 0);
/// program.store(y); // output 0
/// assert!(program.fits());
/// ```
#[derive(Clone, Debug)]
pub struct Program {
    operands: usize,
    nodes: Vec<Node>,
    stores: Vec<usize>,
    // What follows is made from that by `allocate`.
    instrs: Vec<Instr>,
    consts: Vec<f64>,
    registers: usize,
    /// The slot of each output.
    outputs: Vec<u8>,
    /// Which operands are read as tiles.
    tiles: Vec<u8>,
}

impl Program {
    /// A program over the first so many entries of `Call::ins`.
    pub fn new(operands: usize) -> Program {
        Program {
            operands,
            nodes: Vec::new(),
            stores: Vec::new(),
            instrs: Vec::new(),
            consts: Vec::new(),
            registers: 0,
            outputs: Vec::new(),
            tiles: Vec::new(),
        }
    }

    /// Adds an instruction. `args` are its tiles, then its integer scalars (`Reg::Load`s of i64 scalars).
    pub fn push(&mut self, op: &'static MapOp, args: &[Reg], imm: [f64; 2], key: u64) -> Reg {
        assert_eq!(args.len(), op.arity + op.raw, "{} takes {} tiles and {} integers", op.name, op.arity, op.raw);
        let mut node = Node { op, args: [Reg::Const(0.0); 3], raw: [0; 2], imm, key };
        node.args[..op.arity].copy_from_slice(&args[..op.arity]);
        for (raw, arg) in node.raw.iter_mut().zip(&args[op.arity..]) {
            let Reg::Load(operand) = *arg else { panic!("an integer of {} is an operand", op.name) };
            *raw = operand;
        }
        self.nodes.push(node);
        Reg::Value(self.nodes.len() - 1)
    }

    /// Stores a value in the next output, and makes the program ready to run.
    pub fn store(&mut self, value: Reg) {
        let value = match value {
            Reg::Value(value) => Reg::Value(value),
            other => self.push(&ops::COPY, &[other], [0.0; 2], 0),
        };
        if let Reg::Value(value) = value {
            self.stores.push(value);
        }
        self.allocate();
    }

    /// Whether the program is within the machine's limits; a program that is not must be cut.
    pub fn fits(&self) -> bool {
        self.operands <= MAX_OPERANDS
            && self.stores.len() <= MAX_OUTPUTS
            && self.consts.len() <= MAX_CONSTS
            && self.registers <= MAX_REGISTERS
            && self.instrs.len() <= MAX_INSTRS
    }

    /// The instructions' names, in order, for printed plans.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.instrs.iter().map(|instr| instr.op.name)
    }

    /// Gives slots to constants and values. A register is free again after its value's last use; a stored value keeps
    /// its own, so that it may be computed right where it is stored.
    fn allocate(&mut self) {
        let mut last = vec![0; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            for arg in &node.args[..node.op.arity] {
                if let Reg::Value(value) = *arg {
                    last[value] = at;
                }
            }
        }
        (self.instrs, self.consts, self.tiles) = (Vec::new(), Vec::new(), Vec::new());
        let mut slots = vec![usize::MAX; self.nodes.len()];
        self.registers = 0;
        for &value in &self.stores {
            if slots[value] == usize::MAX {
                slots[value] = self.registers;
                self.registers += 1;
            }
        }
        for node in &self.nodes {
            for arg in &node.args[..node.op.arity] {
                if let Reg::Const(x) = arg
                    && !self.consts.iter().any(|c| c.to_bits() == x.to_bits())
                {
                    self.consts.push(*x);
                }
            }
        }
        let first_register = self.operands + self.consts.len();
        let mut free: Vec<usize> = Vec::new();
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            if slots[at] == usize::MAX {
                slots[at] = free.pop().unwrap_or_else(|| {
                    self.registers += 1;
                    self.registers - 1
                });
                if last[at] <= at && !free.contains(&slots[at]) {
                    free.push(slots[at]); // never read
                }
            }
            let mut instr = Instr {
                op: node.op,
                dst: (first_register + slots[at]) as u8,
                args: [0; 3],
                raw: node.raw.map(|operand| operand as u8),
                imm: node.imm,
                key: node.key,
            };
            for (slot, arg) in instr.args.iter_mut().zip(&node.args[..node.op.arity]) {
                *slot = match *arg {
                    Reg::Load(operand) => {
                        assert!(operand < self.operands, "operand {operand} of {}", self.operands);
                        if !self.tiles.contains(&(operand as u8)) {
                            self.tiles.push(operand as u8);
                        }
                        operand as u8
                    }
                    Reg::Const(x) => {
                        let at = self.consts.iter().position(|c| c.to_bits() == x.to_bits());
                        (self.operands + at.unwrap_or_default()) as u8
                    }
                    Reg::Value(value) => {
                        if last[value] == at && !self.stores.contains(&value) && !free.contains(&slots[value]) {
                            free.push(slots[value]);
                        }
                        (first_register + slots[value]) as u8
                    }
                };
            }
            self.instrs.push(instr);
        }
        self.outputs = self.stores.iter().map(|&value| (first_register + slots[value]) as u8).collect();
    }
}

/// Runs a `Program` over a shape.
///
/// * ins: what the program's `Reg::Load`s name: floats, i64 or bool, already broadcast to the shape of the outputs
///   (equal rank, stride 0 on expanded axes), any strides; i64 scalars (any shape, element 0 counts) for the seeds and
///   steps of random instructions
/// * outs: a store of the program each, all of one shape: floats, bool (value is not 0), i64 (cut towards 0; NaN and
///   what is outside of i64 report `CastOutOfRange` and give 0)
///
/// Units: rows of output 0 if it has two axes or more, else elements. The arithmetic is in the precision of the entry
/// of `run` that is called, whatever the operands' types. An output may share memory with an operand of its type that
/// is dense and not expanded, where no other operand overlaps it. An expanded operand is read by every thread.
pub static MAP: Kernel = Kernel {
    name: "map",
    run: [run::<f32>, run::<f64>],
    units,
    work,
    reads: &[(Layout::Any, Access::Unit)],
    writes: &[Access::Unit],
    inplace: &PAIRS,
};

static PAIRS: [(usize, usize); MAX_OPERANDS * MAX_OUTPUTS] = {
    let mut pairs = [(0, 0); MAX_OPERANDS * MAX_OUTPUTS];
    let mut i = 0;
    while i < pairs.len() {
        pairs[i] = (i % MAX_OPERANDS, i / MAX_OPERANDS);
        i += 1;
    }
    pairs
};

/// A type of registers.
trait Register: Float {
    fn kernel(op: &MapOp) -> TileFn<Self>;
}
impl Register for f32 {
    fn kernel(op: &MapOp) -> TileFn<f32> {
        op.f32
    }
}
impl Register for f64 {
    fn kernel(op: &MapOp) -> TileFn<f64> {
        op.f64
    }
}

/// Elements of a unit.
fn width(call: &Call) -> usize {
    let y = call.output(0);
    if y.rank() >= 2 { y.last() } else { 1 }
}

fn units(call: &Call) -> usize {
    let y = call.output(0);
    if y.rank() >= 2 { y.rows() } else { y.len() }
}

/// Bytes from one slot's buffer to the next: an operand has two tiles' room, to hold a short cycle twice.
fn skew(tiles: usize) -> usize {
    tiles * TILE * 8 + 64
}

fn work(call: &Call) -> usize {
    let program = program(call);
    program.operands * skew(2) + (program.consts.len() + program.registers) * skew(1)
}

fn program(call: &Call) -> &Program {
    call.program.as_deref().expect("a map is planned with its program")
}

unsafe fn run<T: Register>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let program = program(call);
    let (start, end) = (range.start * width(call), range.end * width(call));
    if start >= end {
        return;
    }
    assert!(program.fits() && worker.work.len() >= work(call), "the planner keeps to the limits");
    let longest = (end - start).min(TILE);
    let y = call.output(0);
    let mut slots: [*mut T; MAX_SLOTS] = [std::ptr::null_mut(); MAX_SLOTS];
    let mut sources = [Source::default(); MAX_OPERANDS];
    let base = worker.work.as_mut_ptr();
    for &operand in &program.tiles {
        let view = call.input(operand as usize);
        let buffer: *mut T = base.wrapping_add(operand as usize * skew(2)).cast();
        // SAFETY: the buffer has room for two tiles and is this thread's; operands are valid by the kernel's contract.
        sources[operand as usize] = unsafe { Source::prepare(view, y, buffer, longest) };
        slots[operand as usize] = buffer;
    }
    let rest = base.wrapping_add(program.operands * skew(2));
    let last_register = program.operands + program.consts.len() + program.registers;
    for (index, slot) in slots[program.operands..last_register].iter_mut().enumerate() {
        *slot = rest.wrapping_add(index * skew(1)).cast();
    }
    for (slot, &x) in slots[program.operands..].iter().zip(&program.consts) {
        // SAFETY: the slot has room for a tile and is this thread's.
        unsafe { std::slice::from_raw_parts_mut(*slot, longest) }.fill(T::of(x));
    }
    // A value is computed where it is stored, unless an instruction might still read what lies there.
    let mut direct: [*mut T; MAX_OUTPUTS] = [std::ptr::null_mut(); MAX_OUTPUTS];
    for (index, out) in call.outs.iter().enumerate().take(program.outputs.len()) {
        let Some(out) = out else { continue };
        let shared = program.tiles.iter().any(|&operand| call.input(operand as usize).ptr == out.ptr);
        let again = program.outputs[..index].contains(&program.outputs[index]);
        if out.dtype == store::dtype::<T>() && !shared && !again {
            direct[index] = out.as_ptr();
        }
    }
    let mut at = start;
    while at < end {
        let n = (TILE - at % TILE).min(end - at);
        for &operand in &program.tiles {
            let operand = operand as usize;
            let buffer = base.wrapping_add(operand * skew(2)).cast();
            // SAFETY: as for `prepare`; at + n is inside the outputs.
            slots[operand] = unsafe { sources[operand].tile(call.input(operand), y, buffer, at, n) };
        }
        for (index, &slot) in program.outputs.iter().enumerate() {
            if !direct[index].is_null() {
                slots[slot as usize] = direct[index].wrapping_add(at);
            }
        }
        for instr in &program.instrs {
            let mut cx = TileCx { start: at as u64, imm: instr.imm, key: instr.key, raw: [0; 2] };
            for (raw, &operand) in cx.raw.iter_mut().zip(&instr.raw[..instr.op.raw]) {
                // SAFETY: the operand is an i64 scalar that nobody writes meanwhile.
                *raw = unsafe { call.input(operand as usize).scalar::<i64>() } as u64;
            }
            // SAFETY: a slot holds n values; an instruction's own slot is none of its operands' (see `allocate`), and
            // no output that is written directly overlaps an operand.
            unsafe {
                let dst = std::slice::from_raw_parts_mut(slots[instr.dst as usize], n);
                let arg = |index: usize| -> &[T] {
                    if index < instr.op.arity {
                        std::slice::from_raw_parts(slots[instr.args[index] as usize].cast_const(), n)
                    } else {
                        &[]
                    }
                };
                T::kernel(instr.op)(&cx, dst, arg(0), arg(1), arg(2));
            }
        }
        for (index, out) in call.outs.iter().enumerate().take(program.outputs.len()) {
            let Some(out) = out else { continue };
            if direct[index].is_null() {
                // SAFETY: the slot holds n values; the outputs' elements at .. at + n are this thread's.
                unsafe {
                    let values = std::slice::from_raw_parts(slots[program.outputs[index] as usize].cast_const(), n);
                    store::tile(values, out, at, worker);
                }
            }
        }
        at += n;
    }
}

#[cfg(test)]
mod tests;
