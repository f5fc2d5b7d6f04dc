//! Who makes a value, who reads it, and what happens on the way: the one view of a graph that all lints share.
//!
//! The structured graph keeps repeats folded and blocks nested. A [`Flow`] looks through both: what a copy hands on is
//! what the next one takes in, so the maker of a copy's input is the stage before the repeat *and* the last stage of the
//! copy itself. Scopes only group. The loss of a train section follows its model, over the same values.
//!
//! Everything is built in one walk; a question looks at the neighbours of one value, or goes a bounded number of steps.

use crate::ir::dim::Dim;
use crate::ir::structured::{Item, OpItem, Part, Region, RepeatItem, Run, ScopeItem, ScopeKind, Structured, ValueId};
use crate::ir::training::Training;
use crate::text::Span;
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
    takers: Vec<Vec<Taker>>,
    /// How many sites have the same parameters.
    owners: HashMap<Owner<'m>, u32>,
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
            takers: vec![vec![]; count],
            owners: HashMap::new(),
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
                    *self.owners.entry(self.owner(site)).or_insert(0) += 1;
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
        for (index, used) in self.sites.iter().enumerate() {
            for (position, value) in used.op.operands.iter().enumerate() {
                if let Some(value) = value {
                    let root = self.root[value.0 as usize];
                    self.takers[root.0 as usize].push(Taker::Op(Site(index as u32), position));
                }
            }
        }
        for param in 0..self.origin.len() {
            if let Origin::Carried { enters, loops } = self.origin[param] {
                for from in [enters, loops] {
                    let root = self.root[from.0 as usize];
                    self.takers[root.0 as usize].push(Taker::Copy(ValueId(param as u32)));
                }
            }
        }
        for output in &self.model.outputs {
            self.takers[self.root[output.value.0 as usize].0 as usize].push(Taker::Output);
        }
    }

    /// All sites, in order.
    pub fn sites(&self) -> impl Iterator<Item = Site> + use<> {
        (0..self.sites.len() as u32).map(Site)
    }

    /// The sites of an operator.
    pub fn sites_of<'f>(&'f self, names: &'f [&str]) -> impl Iterator<Item = Site> + use<'f, 'm> {
        self.sites().filter(move |&site| names.contains(&self.op(site).op.name))
    }

    /// The use of an operator that stands at a site.
    pub fn op(&self, site: Site) -> &'m OpItem {
        self.sites[site.0 as usize].op
    }

    /// Whether a site belongs to the loss.
    pub fn in_loss(&self, site: Site) -> bool {
        self.sites[site.0 as usize].in_loss
    }

    /// Where a site stands in the text.
    pub fn span(&self, site: Site) -> Span {
        self.op(site).span
    }

    /// The sizes of a value.
    pub fn dims(&self, value: ValueId) -> &'m [Dim] {
        self.model.shapes.dims(self.model.values[value.0 as usize].ty)
    }

    /// A size as a number.
    pub fn size(&self, dim: Dim) -> Option<i64> {
        self.model.shapes.dims.as_const(dim)
    }

    /// The sizes of what flows into a site; empty for a source.
    pub fn dims_in(&self, site: Site) -> &'m [Dim] {
        self.op(site).operands.first().copied().flatten().map_or(&[], |value| self.dims(value))
    }

    /// The sizes of what a site makes.
    pub fn dims_out(&self, site: Site) -> &'m [Dim] {
        self.op(site).outs.first().map_or(&[], |&value| self.dims(value))
    }

    /// What an operand of a site is, as a value.
    pub fn operand(&self, site: Site, index: usize) -> Option<ValueId> {
        self.op(site).operands.get(index).copied().flatten()
    }

    /// The value behind a value: equal for what only passes the door of a repeat.
    pub fn root(&self, value: ValueId) -> ValueId {
        self.root[value.0 as usize]
    }

    /// Who makes a value: one stage, or two where a repeat hands it from copy to copy.
    pub fn makers(&self, value: ValueId) -> Vec<Maker> {
        let mut found = vec![];
        let mut doors = vec![];
        self.behind(value, &mut found, &mut doors);
        found
    }

    fn behind(&self, value: ValueId, found: &mut Vec<Maker>, doors: &mut Vec<ValueId>) {
        let root = self.root(value);
        let maker = match self.origin[root.0 as usize] {
            Origin::Given => Maker::Input(root),
            Origin::Op(site) => Maker::Op(site),
            Origin::Carried { enters, loops } => {
                if !doors.contains(&root) && doors.len() < FAR {
                    doors.push(root);
                    self.behind(enters, found, doors);
                    self.behind(loops, found, doors);
                }
                return;
            }
        };
        if !found.contains(&maker) {
            found.push(maker);
        }
    }

    /// Who makes a value, seen through stages that let it `pass` along their first operand.
    pub fn makers_through(&self, value: ValueId, pass: impl Fn(Site) -> bool) -> Vec<Maker> {
        let (mut open, mut found, mut seen) = (self.makers(value), vec![], vec![]);
        while let Some(maker) = open.pop() {
            match maker {
                Maker::Op(site) if pass(site) && seen.len() < FAR => {
                    if !seen.contains(&site) {
                        seen.push(site);
                        open.extend(self.operand(site, 0).into_iter().flat_map(|value| self.makers(value)));
                    }
                }
                _ if found.contains(&maker) => {}
                _ => found.push(maker),
            }
        }
        found
    }

    /// The one stage that makes a value.
    pub fn maker(&self, value: ValueId) -> Option<Site> {
        match self.makers(value).as_slice() {
            [Maker::Op(site)] => Some(*site),
            _ => None,
        }
    }

    /// The one stage that makes what flows into a site.
    pub fn before(&self, site: Site) -> Option<Site> {
        self.maker(self.operand(site, 0)?)
    }

    /// Who reads a value, in whatever copy.
    pub fn readers(&self, value: ValueId) -> Vec<Reader> {
        let mut found = vec![];
        let mut doors = vec![];
        self.ahead(value, &mut found, &mut doors);
        found
    }

    fn ahead(&self, value: ValueId, found: &mut Vec<Reader>, doors: &mut Vec<ValueId>) {
        for taker in &self.takers[self.root(value).0 as usize] {
            let reader = match *taker {
                Taker::Op(site, operand) => Reader::Op(site, operand),
                Taker::Output => Reader::Output,
                Taker::Copy(param) => {
                    if !doors.contains(&param) && doors.len() < FAR {
                        doors.push(param);
                        self.ahead(param, found, doors);
                    }
                    continue;
                }
            };
            if !found.contains(&reader) {
                found.push(reader);
            }
        }
    }

    /// Who reads what a site makes first.
    pub fn after(&self, site: Site) -> Vec<Reader> {
        self.op(site).outs.first().map_or(vec![], |&out| self.readers(out))
    }

    /// Whether what a site makes has one reader only.
    pub fn read_once(&self, site: Site) -> bool {
        self.after(site).len() == 1
    }

    /// Whether the parameters of a site serve elsewhere, too: a declared layer, a shared repeat.
    pub fn shared(&self, site: Site) -> bool {
        let op = self.op(site);
        op.path != op.application || self.owners.get(&self.owner(site)).is_some_and(|&count| count > 1)
    }

    fn owner(&self, site: Site) -> Owner<'m> {
        let path: &'m [Part] = &self.op(site).path;
        let mut at = self.sites[site.0 as usize].frame;
        while let Some(index) = at {
            match self.frames[index as usize] {
                (_, Frame::Copies(repeat, _)) if path.contains(&Part::Copy(repeat.id)) => return (path, Some(index)),
                (parent, _) => at = parent,
            }
        }
        (path, None)
    }

    /// How many copies of a site there are.
    pub fn copies(&self, site: Site) -> u64 {
        let counts = self.around(site).filter_map(|frame| match frame {
            Frame::Copies(_, run) => Some(run.count),
            Frame::Scope(_) => None,
        });
        counts.fold(1, u64::saturating_mul)
    }

    /// The scope in which a site stands, if nothing stands between.
    pub fn scope(&self, site: Site) -> Option<&'m ScopeItem> {
        match self.around(site).next() {
            Some(Frame::Scope(scope)) => Some(scope),
            Some(Frame::Copies(..)) | None => None,
        }
    }

    /// What stands around a site, the innermost first.
    fn around(&self, site: Site) -> impl Iterator<Item = Frame<'m>> {
        let mut at = self.sites[site.0 as usize].frame;
        std::iter::from_fn(move || {
            let (parent, frame) = self.frames[at? as usize];
            at = parent;
            Some(frame)
        })
    }

    /// The `where:` line of a site: `mlp › blocks[0..3] › residual › ffn(d = 256)        same in all 4 copies`.
    pub fn path(&self, site: Site) -> Option<String> {
        let mut parts: Vec<String> = self.around(site).filter_map(shown).collect();
        if parts.is_empty() || self.in_loss(site) {
            return None;
        }
        parts.push(self.model.name.clone());
        parts.reverse();
        let line = parts.join(" › ");
        Some(match self.copies(site) {
            1 => line,
            copies => format!("{line}        same in all {copies} copies"),
        })
    }
}

/// What a scope or repeat adds to a `where:` line.
fn shown(frame: Frame<'_>) -> Option<String> {
    match frame {
        Frame::Scope(scope) => match scope.kind {
            ScopeKind::Block => Some(scope.label.clone()),
            ScopeKind::Residual => Some("residual".into()),
            ScopeKind::Skip | ScopeKind::Parallel | ScopeKind::Branch | ScopeKind::If | ScopeKind::Flow => None,
        },
        Frame::Copies(repeat, run) => {
            let name = repeat.path.iter().rev().find_map(|part| match part {
                Part::Name(name) => Some(name.as_str()),
                Part::Copy(_) => None,
            });
            let name = name.unwrap_or("repeat");
            Some(match (repeat.shared, run.count) {
                (true, _) => name.to_string(),
                (false, 0 | 1) => format!("{name}[{}]", run.first),
                (false, n) => format!("{name}[{}..{}]", run.first, run.first + n - 1),
            })
        }
    }
}
