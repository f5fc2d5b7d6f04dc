//! Where we are and how a value came to be: the `where:` and `flow:` lines of a report.

use super::Elab;
use crate::ir::structured::ValueId;
use crate::text::Span;
use std::rc::Rc;

/// How a value came to be.
#[derive(Clone, Debug)]
pub(super) struct Producer {
    /// The stage's word.
    pub word: String,
    /// What flowed into it; none for sources.
    pub from: Option<ValueId>,
    /// Where it stands.
    pub span: Span,
    /// The block that it stands in, where it does.
    pub block: Option<Rc<Frame>>,
    /// A boundary: what flowed in here (a residual's skip, a copy's input) came from `from` unchanged.
    pub alias: bool,
}

/// A step of the path from the model to a stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Frame {
    /// The model.
    Model(String),
    /// A copy of a repeat: its name, number, the first copy, whether it is shared.
    Copy(String, u32, u64, bool),
    /// A residual.
    Residual(ValueId),
    /// A block: its name and arguments.
    Block(String, Vec<(String, String)>),
}

impl Elab<'_> {
    /// The `where:` line: `mlp › blocks[0..3] › residual › ffn(d = 256)        same in all 4 copies`.
    pub(super) fn shown_chain(&self, chain: &[Frame]) -> Option<String> {
        if chain.len() < 2 {
            return None;
        }
        let mut copies = 1u64;
        let mut parts = vec![];
        for frame in chain {
            parts.push(match frame {
                Frame::Model(name) => name.clone(),
                Frame::Residual(_) => "residual".into(),
                Frame::Block(name, args) if args.is_empty() => name.clone(),
                Frame::Block(name, args) => {
                    let args: Vec<String> = args.iter().map(|(name, value)| format!("{name} = {value}")).collect();
                    format!("{name}({})", args.join(", "))
                }
                Frame::Copy(name, _, _, true) => name.clone(),
                Frame::Copy(name, repeat, first, false) => {
                    let count = self.run_counts.get(&(*repeat, *first)).copied().unwrap_or(1);
                    copies = copies.saturating_mul(count);
                    match count {
                        0 | 1 => format!("{name}[{first}]"),
                        n => format!("{name}[{first}..{}]", first + n - 1),
                    }
                }
            });
        }
        let line = parts.join(" › ");
        Some(if copies > 1 { format!("{line}        same in all {copies} copies") } else { line })
    }

    /// The `flow:` line: the chain of shapes that led to a value.
    pub(super) fn shown_flow(&self, value: ValueId) -> Option<String> {
        let start = self.chain.iter().rev().find_map(|frame| match frame {
            Frame::Residual(start) => Some(*start),
            Frame::Model(_) | Frame::Copy(..) | Frame::Block(..) => None,
        });
        let mut steps = vec![];
        let mut at = value;
        while steps.len() < 6 && Some(at) != start {
            let Some(producer) = &self.producers[at.0 as usize] else { break };
            let Some(from) = producer.from else { break };
            if producer.alias {
                if !steps.is_empty() && producer.word == "|" {
                    break;
                }
                at = from;
                continue;
            }
            let word = self.values[at.0 as usize].name.clone().unwrap_or_else(|| producer.word.clone());
            steps.push((from, word, at));
            at = from;
        }
        let (first, ..) = steps.last()?;
        let mut line = self.shown_dims(*first);
        let mut shown = self.ty(*first);
        for (i, (_, word, to)) in steps.iter().rev().enumerate() {
            line.push_str(&format!(" ─{word}→"));
            let ty = self.ty(*to);
            if ty != shown || i + 1 == steps.len() {
                line.push(' ');
                line.push_str(&self.shown_dims(*to));
            }
            shown = ty;
        }
        Some(line)
    }

    fn shown_dims(&self, value: ValueId) -> String {
        self.shapes.show_dims(self.shapes.dims(self.ty(value)))
    }

    /// The stage that gave a value the type it has: followers that kept it are passed over.
    pub(super) fn culprit(&self, value: ValueId) -> Option<Span> {
        let mut at = value;
        let mut span = None;
        for _ in 0..10_000 {
            let Some(producer) = &self.producers[at.0 as usize] else { break };
            if !producer.alias {
                span = Some(producer.span);
            }
            match producer.from {
                Some(from) if producer.alias || self.ty(from) == self.ty(at) => at = from,
                _ => return Some(producer.span),
            }
        }
        span.or_else(|| self.producers[at.0 as usize].as_ref().map(|producer| producer.span))
    }

    /// The stage that decided the width of a value: the last one that says one, even if it is the same as before.
    pub(super) fn sizer(&self, value: ValueId) -> Option<Span> {
        let mut at = value;
        for _ in 0..1_000 {
            let Some(producer) = &self.producers[at.0 as usize] else { break };
            if let (false, Some((_, None))) = (producer.alias, self.out_argument(producer.span)) {
                return Some(producer.span);
            }
            match producer.from {
                Some(from) if producer.alias || self.ty(from) == self.ty(at) => at = from,
                _ => break,
            }
        }
        self.culprit(value)
    }

    /// Where the stage stands that made a value.
    pub(super) fn origin(&self, value: ValueId) -> Option<Span> {
        let mut at = value;
        for _ in 0..1_000 {
            match &self.producers[at.0 as usize] {
                Some(producer) if producer.alias => at = producer.from?,
                Some(producer) => return Some(producer.span),
                None => return None,
            }
        }
        None
    }

    /// The block that is being read, for the values that it makes.
    pub(super) fn enclosing(&self) -> Option<Rc<Frame>> {
        match self.chain.last() {
            Some(frame @ Frame::Block(..)) => Some(Rc::new(frame.clone())),
            Some(Frame::Model(_) | Frame::Copy(..) | Frame::Residual(_)) | None => None,
        }
    }

    /// The block that a value was made in, if it is not one that is being read.
    pub(super) fn made_in(&self, value: ValueId) -> Option<Frame> {
        let mut at = value;
        loop {
            let producer = self.producers[at.0 as usize].as_ref()?;
            match (&producer.block, producer.from) {
                (Some(block), _) if !self.chain.contains(block) => return Some(block.as_ref().clone()),
                (None, Some(from)) if producer.alias => at = from,
                _ => return None,
            }
        }
    }

    /// A shape with the hyperparameters of its numbers: `f32[batch, 256]   (d = 256)`.
    pub(super) fn shown_type(&self, ty: crate::ir::shape::Type) -> String {
        let text = self.shapes.show(ty);
        let mut known = vec![];
        for &dim in self.shapes.dims(ty) {
            let Some(size) = self.shapes.dims.as_const(dim).filter(|&n| n > 4) else { continue };
            for (name, (value, _)) in &self.inst.hypers {
                let fact = format!("{name} = {size}");
                if self.as_int(value) == Some(size) && !known.contains(&fact) && known.len() < 2 {
                    known.push(fact);
                }
            }
        }
        if known.is_empty() { text } else { format!("{text}   ({})", known.join(", ")) }
    }
}
