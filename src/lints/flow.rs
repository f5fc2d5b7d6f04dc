//! Who makes a value, who reads it, and what happens on the way: the one view of a graph that all lints share.
//!
//! The structured graph keeps repeats folded and blocks nested. A [`Flow`] looks through both: what a copy hands on is
//! what the next one takes in, so the maker of a copy's input is the stage before the repeat *and* the last stage of the
//! copy itself. Scopes only group. The loss of a train section follows its model, over the same values.
//!
//! Everything is built in one walk; a question looks at the neighbours of one value, or goes a bounded number of steps.

mod ask;

use crate::ir::structured::{Item, OpItem, Part, Region, RepeatItem, Run, ScopeItem, Structured, ValueId};
use crate::ir::training::Training;
use std::cell::OnceCell;
use std::collections::HashMap;

/// A lint does not look further than this through stages that change nothing it cares for.
const FAR: usize = 64;

/// One use of an operator: an index into the sites of a [`Flow`], in the order of the text's flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site(u32);

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// An input of the model, or a target.
    Input(ValueId),
    /// A stage.
    Op(Site),
}

/// Who reads a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A stage, as this operand.
    Op(Site, usize),
    /// The model hands it out.
    Output,
}

/// What is known of the way a value came to be.
#[derive(Clone, Copy)]
enum Origin {
    /// An input, or nobody.
    Given,
    /// A stage.
    Op(Site),
    /// The input of a copy: what enters the first one, and what each hands to the next.
    Carried { enters: ValueId, loops: ValueId },
}

/// Someone who takes a value: a stage, the next copy of a repeat, or the world.
#[derive(Clone, Copy)]
enum Taker {
    Op(Site, usize),
    Copy(ValueId),
    Output,
}

/// What stands around a site.
#[derive(Clone, Copy)]
enum Frame<'m> {
    Scope(&'m ScopeItem),
    Copies(&'m RepeatItem, &'m Run),
}

struct Use<'m> {
    op: &'m OpItem,
    /// An index into the frames; the model itself has none.
    frame: Option<u32>,
    in_loss: bool,
}

/// The order in which values are made, scopes flattened.
pub(super) enum Step<'m> {
    Op(Site),
    Repeat(&'m RepeatItem, Vec<Vec<Step<'m>>>),
}

/// What tells the parameters of two sites apart: their path, and the run whose number stands in it.
type Owner<'m> = (&'m [Part], Option<u32>);

/// A graph, seen by who makes and who reads.
pub struct Flow<'m> {
    /// The graph.
    pub model: &'m Structured,
    /// The train section, where one is looked at: its loss is part of the flow.
    pub training: Option<&'m Training>,
    sites: Vec<Use<'m>>,
    frames: Vec<(Option<u32>, Frame<'m>)>,
    pub(super) steps: Vec<Step<'m>>,
    /// Behind which value a value hides: what only passes a repeat's door is the same value.
    root: Vec<ValueId>,
    origin: Vec<Origin>,
    /// The takers of each root, one root after the other, and where each one's begin.
    takers: Vec<Taker>,
    takers_from: Vec<u32>,
    /// The sites of each operator.
    by_name: HashMap<&'static str, Vec<Site>>,
    /// How many sites have the same parameters, once that is asked.
    owners: OnceCell<HashMap<Owner<'m>, u32>>,
}

impl<'m> Flow<'m> {
    /// The flow of a model alone.
    pub fn of_model(model: &'m Structured) -> Flow<'m> {
        Flow::build(model, None)
    }

    /// The flow of a model and the loss of a train section.
    pub fn of_training(training: &'m Training) -> Flow<'m> {
        Flow::build(&training.model, Some(training))
    }

    fn build(model: &'m Structured, training: Option<&'m Training>) -> Flow<'m> {
        let count = model.values.len();
        let mut flow = Flow {
            model,
            training,
            sites: vec![],
            frames: vec![],
            steps: vec![],
            root: (0..count as u32).map(ValueId).collect(),
            origin: vec![Origin::Given; count],
            takers: vec![],
            takers_from: vec![],
            by_name: HashMap::new(),
            owners: OnceCell::new(),
        };
        let mut steps = flow.walk(&model.body, None, false);
        if let Some(training) = training {
            steps.extend(flow.walk(&training.loss.region, None, true));
        }
        flow.steps = steps;
        flow.settle();
        flow
    }

    fn walk(&mut self, region: &'m Region, frame: Option<u32>, in_loss: bool) -> Vec<Step<'m>> {
        let mut steps = vec![];
        for item in &region.items {
            match item {
                Item::Op(op) => {
                    let site = Site(self.sites.len() as u32);
                    self.sites.push(Use { op, frame, in_loss });
                    self.by_name.entry(op.op.name).or_default().push(site);
                    op.outs.iter().for_each(|out| self.origin[out.0 as usize] = Origin::Op(site));
                    steps.push(Step::Op(site));
                }
                Item::Scope(scope) => {
                    let inner = self.frame(frame, Frame::Scope(scope));
                    steps.extend(self.walk(&scope.region, inner, in_loss));
                }
                Item::Repeat(repeat) => steps.push(self.repeat(repeat, frame, in_loss)),
            }
        }
        steps
    }

    fn frame(&mut self, parent: Option<u32>, frame: Frame<'m>) -> Option<u32> {
        self.frames.push((parent, frame));
        Some(self.frames.len() as u32 - 1)
    }

    /// A run of several copies takes in what enters and what it hands to itself; all other doors are open.
    fn repeat(&mut self, repeat: &'m RepeatItem, frame: Option<u32>, in_loss: bool) -> Step<'m> {
        let mut carried = repeat.ins.clone();
        let mut runs = vec![];
        for run in &repeat.runs {
            let inner = self.frame(frame, Frame::Copies(repeat, run));
            if run.count == 1 {
                run.params.iter().zip(&carried).for_each(|(param, &from)| self.root[param.0 as usize] = from);
            }
            runs.push(self.walk(&run.region, inner, in_loss));
            if run.count > 1 {
                for ((&param, &enters), &loops) in run.params.iter().zip(&carried).zip(&run.results) {
                    match self.find(loops) == param {
                        // Handed on untouched.
                        true => self.root[param.0 as usize] = enters,
                        false => self.origin[param.0 as usize] = Origin::Carried { enters, loops },
                    }
                }
            }
            carried.clone_from(&run.results);
        }
        repeat.outs.iter().zip(&carried).for_each(|(out, &from)| self.root[out.0 as usize] = from);
        Step::Repeat(repeat, runs)
    }

    /// The value behind a value, the way there shortened.
    fn find(&mut self, value: ValueId) -> ValueId {
        let mut at = value;
        while self.root[at.0 as usize] != at {
            let next = self.root[at.0 as usize];
            self.root[at.0 as usize] = self.root[next.0 as usize];
            at = next;
        }
        at
    }

    /// All doors are known: every value gets its root, and every root its takers.
    fn settle(&mut self) {
        for value in 0..self.root.len() as u32 {
            self.root[value as usize] = self.find(ValueId(value));
        }
        let mut found: Vec<(ValueId, Taker)> = vec![];
        for (index, used) in self.sites.iter().enumerate() {
            for (position, value) in used.op.operands.iter().enumerate() {
                found.extend(value.map(|value| (self.root(value), Taker::Op(Site(index as u32), position))));
            }
        }
        for (param, origin) in self.origin.iter().enumerate() {
            if let Origin::Carried { enters, loops } = *origin {
                found.extend([enters, loops].map(|from| (self.root(from), Taker::Copy(ValueId(param as u32)))));
            }
        }
        found.extend(self.model.outputs.iter().map(|output| (self.root(output.value), Taker::Output)));
        found.sort_by_key(|(root, _)| *root);
        let mut from = vec![0; self.root.len() + 1];
        found.iter().for_each(|(root, _)| from[root.0 as usize + 1] += 1);
        for root in 1..from.len() {
            from[root] += from[root - 1];
        }
        self.takers = found.into_iter().map(|(_, taker)| taker).collect();
        self.takers_from = from;
    }

    /// Who takes a root.
    fn takers(&self, root: ValueId) -> &[Taker] {
        let at = root.0 as usize;
        &self.takers[self.takers_from[at] as usize..self.takers_from[at + 1] as usize]
    }

    /// How many sites have the same parameters.
    fn owners(&self) -> &HashMap<Owner<'m>, u32> {
        self.owners.get_or_init(|| {
            let mut owners = HashMap::new();
            self.sites().for_each(|site| *owners.entry(self.owner(site)).or_insert(0) += 1);
            owners
        })
    }
}
