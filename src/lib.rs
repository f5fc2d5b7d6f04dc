//! wythe: a small language for neural networks, and the program that checks, runs and trains them.
//!
//! A `.model` file says what a network is and how it is trained. This crate turns such a text into a graph whose every
//! shape is known, the graph into a plan of kernel calls in one block of memory, and runs the plan on the CPU. The
//! program `wythe` is one way in ([`cli`]); the other is the handful of types below.
//!
//! # The picture
//!
//! ```text
//!   grammar/model.pest          models/*.model                     data, weights (files)
//!         |                          |                                   |
//!         v                          v                                   |
//!   +-----------+   text   +--------------------+                        |
//!   |  syntax   |<---------|        cli         |------------------------+
//!   +-----------+          | one file a command |   the only place with files, exit codes, printing
//!         | ast            +--------------------+
//!         v                +-----------+
//!   +-----------+  names,  |    ops    |  expansions, gradients:   read by passes
//!   | elaborate |<---------| (catalog) |  kernels:                 read by exec
//!   +-----------+  shapes  +-----------+
//!         |                      | refers to
//!         |                      v
//!         |                +-----------+
//!         |                |  kernels  |  numbers only: views in, views out
//!         |                +-----------+
//!         |   structured graph + diagnostics (repeats kept, composites kept)   --> lints, summary, reports
//!         v
//!   +---------------------------------------------------+
//!   | passes: expand(mode) -> autodiff -> update        |   each: graph -> graph
//!   |         -> simplify -> fuse -> plan               |
//!   +---------------------------------------------------+
//!         | plan (steps, buffers)
//!         v
//!   +-----------+        +---------+
//!   |   exec    |<-------|  train  |  batches, schedules, metrics, checkpoints
//!   +-----------+        +---------+
//! ```
//!
//! # The rooms, in the order of the pipeline
//!
//! | room | what it does, and what it refuses to know |
//! | --- | --- |
//! | [`pipeline`] | the whole way, a stage a line: the file to read first |
//! | [`text`], [`diagnostic`], [`tensor`] | sources and places in them, reports as data, arrays at the edge |
//! | [`syntax`] | text to tree; never fails: a tree and reports. Knows no operator |
//! | [`elaborate`] | what was written becomes what was meant: names found, shapes inferred and proved. The only place where tree and graph meet |
//! | [`lints`] | what runs and is probably a mistake: a catalogue that reads the structured graph. Changes nothing |
//! | [`ir`] | graphs, shapes, symbolic sizes: data that the rooms below and above hand on |
//! | [`ops`] | the catalogue: each operator once, with signature, parameters, shape rule, gradient, kernel |
//! | [`optim`], [`data`] | catalogues of the same pattern: optimizers and schedules; sources of rows, readers of files |
//! | [`passes`] | graph to graph, one idea each; no operator by name |
//! | [`kernels`] | numbers only, nothing allocated; has never heard of a graph |
//! | [`exec`] | arena, threads, session: walks a plan; has no notion of gradient, optimizer or syntax |
//! | [`export`] | the summary, weights as files, graphs as text and pictures |
//! | [`train`] | the loop, its log, its checkpoints |
//! | [`embed`] | the types below |
//! | [`mod@reference`] | a page for each operator, optimizer, schedule and question |
//! | [`cli`] | the program; one file a command |
//!
//! A room uses only rooms that stand lower; `tests/architecture.rs` holds the table and reports every arrow that points
//! up. Nothing outside [`cli`] prints, ends the process or opens a file: what must be read or written goes through
//! [`text::Files`].
//!
//! # From Rust
//!
//! Check a text. A mistake comes back as data, and drawn at a fixed width:
//!
//! ```
//! use wythe::Model;
//!
//! let reports = Model::check("dim batch\nmodel m : (x: f32[batch, 4]) -> f32[batch, 4] {\n  residual { linear(3) }\n}\n")
//!     .expect_err("3 is not 4");
//! assert_eq!(reports.diagnostics[0].code, "shape::residual");
//! assert!(reports.render(80).contains("the branch ends as f32[batch, 3]"));
//! ```
//!
//! Change a hyperparameter, draw or load weights, run on views of `ndarray`, in the order of the signature or by name:
//!
//! ```
//! use ndarray::Array2;
//! use wythe::{Model, Options};
//!
//! let text = "dim batch\nmodel m(d = 8) : (x: f32[batch, 4]) -> f32[batch, 3] { linear(d); relu; linear(3) }\n";
//! let model = Model::check(text)?.with("d", 64)?;
//! let mut session = model.session(&Options::default())?; // weights are drawn from a seed; `load` takes a file's bytes
//! let x = Array2::<f32>::ones((2, 4));
//! let by_order = session.run(&[(&x).into()])?;
//! let by_name = session.run_by_name(&[("x", (&x).into())])?;
//! assert_eq!(by_order[0], by_name["out"]);
//! assert_eq!(by_order[0].shape(), [2, 3]);
//! # Ok::<(), wythe::Error>(())
//! ```
//!
//! Where every microsecond counts, a [plan is prepared once](Session::prepare) and its memory filled in place. Gradients
//! come from [`Session::gradients`]. Training on arrays is [`Model::train_on`], step by step or [all of
//! it](Trainer::run); `examples/embed.rs` is a whole program.
//!
//! # Glossary
//!
//! * **source**, **span**: a text, and a range of its bytes.
//! * **ast**: what was written. **elaborate**: turn what was written into what was meant.
//! * **block**: user-defined. **stage**: one link of a flow. **path**: `h.3.attn.norm.weight`.
//! * **op**: an entry of the catalogue. **node**: one use of it in a graph. **port**: one of a node's outputs.
//! * **primitive**: an op with a kernel and a gradient. **composite**: an op that is written in others.
//! * **attr**: a static argument. **operand**: a tensor argument. **param**: learned. **state**: a running statistic.
//! * **dim**, **symbol**: a size, perhaps by name. **shape**: sizes. **type**: element type and shape.
//! * **signature**: the types of inputs and outputs. **rule**: how an op's output shapes follow from its operands'.
//!   **misfit**: a rule that failed, as data. **precondition**: what a block needs of its callers.
//! * **lint**: an entry of the catalogue of probable mistakes. **flow** (in lints): who makes and who reads each value.
//! * **diagnostic**: one mistake. **code**: `family::name`. **label**: an underlined place. **fix**: an edit that was tried.
//! * **structured graph**: the user's, checked. **flat graph**: for one mode, written out. **plan**: **steps** over
//!   **slots** of one arena, with the sizes bound; a **split** says how a step's work is cut among threads.
//! * **pass**: graph to graph. **kernel**: numbers only. **mode**: train or eval, chosen when a graph is made.
//! * **session**: weights and plans. In gradient rules `y` is an output, `dy` its gradient, `x` an input, `dx` its gradient.

#[macro_use]
pub mod kernels;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod diagnostic;
pub mod elaborate;
pub mod embed;
pub mod exec;
pub mod export;
pub mod ir;
pub mod lints;
pub mod ops;
pub mod optim;
pub mod passes;
pub mod pipeline;
pub mod reference;
pub mod syntax;
pub mod tensor;
pub mod text;
pub mod train;

pub use embed::{Error, Gradients, Model, Options, PlanId, Reports, Session, TrainOptions, Trainer};
pub use ir::build::Mode;
pub use tensor::{DType, Tensor, View};
pub use text::NoFiles;
