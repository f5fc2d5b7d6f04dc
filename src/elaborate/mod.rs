//! Turns what was written into what was meant: names found, sizes inferred and proved, blocks instantiated.
//!
//! The only place where the tree of [`crate::syntax`] and the graph of [`crate::ir`] meet. Two worlds are evaluated:
//! numbers (`number`, `bind`) and tensors (`body`, `apply`, `repeat`, `residual`). Facts are proved by `prove`, paths
//! are given at the end by `path`, deep norm's constants by `deep`. It never stops at a mistake: the value becomes
//! unknown, which silences its followers.

mod all_sizes;
mod apply;
mod arith;
mod bind;
mod block;
mod body;
mod chain;
mod clashes;
mod coerce;
mod condition;
mod contract;
mod deep;
mod elements;
mod exact;
mod explain;
mod facts;
mod fixes;
mod flow;
mod foreign;
mod functions;
mod inits;
mod limits;
mod losses;
mod missing;
mod model;
mod number;
mod operands;
mod order;
mod path;
mod prove;
mod python;
mod remedy;
mod repeat;
mod report;
mod residual;
mod resolve;
mod rewrite;
mod scope;
mod sentences;
mod sets;
mod setting_sets;
mod setting_words;
mod settings;
mod signature;
mod tensor_arguments;
mod train;
mod unknown;
mod value;
mod words;
mod wrong;

pub(crate) use foreign::sharpen;

use crate::diagnostic::Diagnostic;
use crate::ir::structured::{Item, LayerDef, Region, Structured, ValueId, ValueInfo};
use crate::ir::training::Training;
use crate::syntax::ast::{self, Entry};
use crate::text::{Sources, Span};
use indexmap::IndexMap;
use std::collections::HashMap;

/// What is asked for beside the text.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `--set key=value`, in order: `depth=24` for hyperparameters, `train.lr=3e-4` for the train section.
    pub sets: Vec<(String, String)>,
    /// Only this model (and train sections of it, or with this label); all otherwise.
    pub model: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Elaborated {
    /// The models that are whole; one with an error is not among them.
    pub models: Vec<Structured>,
    /// The train sections that are whole.
    pub trainings: Vec<Training>,
    /// What is wrong, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks a file, with the files that it uses (`files[0]` is the one that was asked for).
///
/// Models and train sections of the first file are elaborated; of the others only blocks and dims count. Blocks with
/// a signature are also checked once for all sizes.
pub fn elaborate(files: &[ast::File], sources: &Sources, request: &Request) -> Elaborated {
    elaborate_around(files, sources, request, &[])
}

/// The same beside syntax errors: headers, lines and settings with such a fault are not judged, so that a slip of the
/// pen has no consequences. `faults` are the main places of the parser's reports.
pub fn elaborate_around(files: &[ast::File], sources: &Sources, request: &Request, faults: &[Span]) -> Elaborated {
    let sets = sets::read(&request.sets, sources.0.len() as u16);
    let mut elab = Elab::new(files, sources, request, &sets);
    elab.faults = faults;
    elab.file()
}

/// The paths that a file `use`s, with the places where it says so.
pub fn uses(file: &ast::File) -> Vec<(&str, Span)> {
    let uses = file.entries.iter().filter_map(|entry| match entry {
        Entry::Use(path, span) => Some((path.as_str(), *span)),
        Entry::Dim(..) | Entry::Block(_) | Entry::Model(_) | Entry::Train(_) => None,
    });
    uses.collect()
}

/// The name of the model that an expression of the command line stands in.
const EXPRESSION: &str = "expression";

/// The text of a file whose one model computes an expression: `rmsnorm |> gelu` over inputs of these types.
///
/// An input is a name, a dtype word and its sizes; a single one flows in, several are used by name. The expression
/// stands alone on its lines, so that reports show it as it was typed.
pub fn expression_text(expression: &str, inputs: &[(String, &str, Vec<u64>)]) -> String {
    let ports = inputs.iter().map(|(name, dtype, sizes)| {
        let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
        format!("{name}: {dtype}[{}]", sizes.join(", "))
    });
    let ports: Vec<String> = ports.collect();
    format!("model {EXPRESSION} : ({}) {{\n{expression}\n}}\n", ports.join(", "))
}

/// The state of elaboration: what the files hold, and the model that is being made.
struct Elab<'a> {
    files: &'a [ast::File],
    sources: &'a Sources,
    request: &'a Request,
    /// Places of syntax errors.
    faults: &'a [Span],
    /// Names of several blocks: which one a call means is not known.
    blocks_twice: std::collections::HashSet<String>,
    /// Words that were reported as dims that nobody declared.
    unknown_dims: Vec<String>,
    /// `--set`, read, and which of them reached something.
    sets: &'a [sets::Set],
    used_sets: std::collections::HashSet<usize>,
    /// Attributes that train sections use, for near names.
    train_attrs: indexmap::IndexSet<String>,
    /// The names of the body that was read last.
    last_scope: IndexMap<String, scope::Bound>,
    /// All blocks, of all files.
    blocks: Vec<&'a ast::Block>,
    block_names: IndexMap<String, usize>,
    /// The dims that each file declares.
    declared: Vec<IndexMap<String, Span>>,
    /// What was reported.
    reports: Vec<report::Report>,
    /// Where something was reported, and which unknown names.
    told: HashMap<Span, Vec<usize>>,
    told_names: HashMap<(&'static str, String), usize>,
    /// So many reports have their path line.
    settled: usize,
    /// Everything is reported there: the place of a hyperparameter that `--set` changes.
    report_at: Option<Span>,
    /// How often something was reported, also what was told before.
    mistakes: u64,
    /// Where a residual without a skip ends, while its branch is reported.
    residual_end: Option<Span>,
    /// How many stages a block surely expands to, once counted.
    least_sizes: HashMap<usize, u64>,
    /// While a block is checked for all sizes.
    symbolic: bool,
    /// … and its signature holds `...`: ranks are not known.
    open_rank: bool,
    /// Blocks that were called.
    called: std::collections::HashSet<usize>,

    // The model that is being made.
    shapes: crate::ir::shape::Shapes,
    values: Vec<ValueInfo>,
    /// Values whose type was assumed after a mistake, with the type that the text gives them.
    actual: HashMap<ValueId, crate::ir::shape::Type>,
    /// How each value came to be.
    producers: Vec<Option<chain::Producer>>,
    layers: Vec<apply::Layer>,
    repeats: u32,
    paths: path::Paths,
    /// Open regions, the innermost last.
    regions: Vec<Region>,
    needs: Vec<(crate::ir::op::Need, Span)>,
    facts: Vec<(crate::ir::op::Need, Span)>,
    prover: prove::Facts,
    inst: scope::Inst,
    /// Where we are: model, repeats, blocks.
    chain: Vec<chain::Frame>,
    /// How many equal copies there are of the run that begins at this copy.
    run_counts: HashMap<(u32, u64), u64>,
    /// The value that flows in, and whether it was used.
    it: Option<flow::It>,
    /// The scope of paths.
    scope: path::PathNode,
    /// The calls of the named flow that is being read: their nodes, and whether they own parameters.
    calls: Vec<(Option<path::PathNode>, bool)>,
    /// Stages that own parameters, so far.
    owners: u64,
    limits: limits::Limits,
    /// Deep residuals, by the value they make.
    deeps: HashMap<ValueId, deep::Deep>,
    /// The header that a missing fact belongs to, and whether it has a `where`.
    fact_home: (Span, bool),
    /// The names in the signature of the block that is checked for all sizes.
    contract_names: Vec<String>,
    /// The paths of the model that was closed last.
    resolved: Option<path::Resolved>,
    /// The residual whose branch ends with what is being read: a broken contract there is told as its mistake.
    tail: Option<residual::Tail>,
}

impl<'a> Elab<'a> {
    fn new(files: &'a [ast::File], sources: &'a Sources, request: &'a Request, sets: &'a [sets::Set]) -> Elab<'a> {
        Elab {
            files,
            sources,
            request,
            sets,
            faults: &[],
            blocks_twice: Default::default(),
            unknown_dims: vec![],
            used_sets: Default::default(),
            train_attrs: Default::default(),
            last_scope: Default::default(),
            blocks: vec![],
            block_names: IndexMap::new(),
            declared: vec![IndexMap::new(); files.len().max(1)],
            reports: vec![],
            told: HashMap::new(),
            told_names: HashMap::new(),
            settled: 0,
            report_at: None,
            residual_end: None,
            mistakes: 0,
            least_sizes: HashMap::new(),
            symbolic: false,
            open_rank: false,
            called: Default::default(),
            shapes: Default::default(),
            values: vec![],
            actual: HashMap::new(),
            producers: vec![],
            layers: vec![],
            repeats: 0,
            paths: path::Paths::new(),
            regions: vec![],
            needs: vec![],
            facts: vec![],
            prover: Default::default(),
            inst: Default::default(),
            chain: vec![],
            run_counts: HashMap::new(),
            it: None,
            scope: path::Paths::ROOT,
            calls: vec![],
            owners: 0,
            limits: Default::default(),
            deeps: HashMap::new(),
            fact_home: Default::default(),
            contract_names: vec![],
            resolved: None,
            tail: None,
        }
    }

    /// Forgets the model that was made.
    fn fresh(&mut self) {
        self.shapes = Default::default();
        self.values.clear();
        self.actual.clear();
        self.producers.clear();
        self.layers.clear();
        self.repeats = 0;
        self.paths = path::Paths::new();
        self.regions.clear();
        self.needs.clear();
        self.facts.clear();
        self.prover = Default::default();
        self.inst = Default::default();
        self.chain.clear();
        self.run_counts.clear();
        self.it = None;
        self.scope = path::Paths::ROOT;
        self.calls.clear();
        self.owners = 0;
        self.limits = Default::default();
        self.deeps.clear();
        self.tail = None;
    }

    /// The whole file: declarations, models, train sections, then blocks for all sizes.
    fn file(&mut self) -> Elaborated {
        self.declare();
        let mut done = Elaborated::default();
        let entries = self.files.first().map_or(&[][..], |file| &file.entries);
        let mut models: IndexMap<&str, (&'a ast::Block, bool)> = IndexMap::new();
        for entry in entries {
            if let Entry::Model(model) = entry {
                let before = self.reports.len();
                let whole = !self.faulty(model.header);
                let made = if whole { self.model(model, &[]) } else { None };
                let sound = self.reports.len() == before && !self.faulty(model.span);
                models.insert(&model.name.text, (model, sound));
                if sound && self.asked_model(&model.name.text, entries) {
                    done.models.extend(made);
                }
            }
        }
        self.check_labels(entries);
        for entry in entries {
            if let Entry::Train(train) = entry {
                let known = models.get(train.model.name.text.as_str()).copied();
                let training = self.train(train, known);
                let label = train.label.as_ref().map(|label| label.text.as_str());
                if self.asked(&train.model.name.text, label) {
                    done.trainings.extend(training);
                }
            }
        }
        self.unused_sets();
        for block in 0..self.blocks.len() {
            self.check_for_all_sizes(block);
        }
        done.diagnostics = self.finished_reports();
        done
    }

    /// Whether a syntax error stands there.
    fn faulty(&self, span: Span) -> bool {
        let inside = |fault: &&Span| fault.file == span.file && span.start <= fault.start && fault.start < span.end;
        self.faults.iter().any(|fault| inside(&fault))
    }

    /// Whether a line that could not be read holds this word: it may have bound it.
    fn lost_name(&self, word: &str) -> bool {
        self.faults.iter().any(|fault| {
            let Some(source) = self.sources.0.get(usize::from(fault.file)) else { return false };
            let at = fault.start as usize;
            let (Some(before), Some(after)) = (source.text.get(..at), source.text.get(at..)) else { return false };
            let from = before.rfind('\n').map_or(0, |at| at + 1);
            let to = at + after.find('\n').unwrap_or(after.len());
            source.text[from..to].split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
        })
    }

    /// Whether the caller wants this model or label.
    fn asked(&self, model: &str, label: Option<&str>) -> bool {
        self.request.model.as_deref().is_none_or(|asked| asked == model || Some(asked) == label)
    }

    /// Whether a model is wanted: by its name, or by the label of one of its train sections.
    fn asked_model(&self, model: &str, entries: &[Entry]) -> bool {
        let labels = entries.iter().filter_map(|entry| match entry {
            Entry::Train(train) if train.model.name.text == model => train.label.as_ref(),
            _ => None,
        });
        self.asked(model, None) || labels.into_iter().any(|label| self.asked(model, Some(&label.text)))
    }

    /// Collects dims, blocks and the names of models.
    fn declare(&mut self) {
        let files: &'a [ast::File] = self.files;
        let mut models: IndexMap<&str, Span> = IndexMap::new();
        for (i, file) in files.iter().enumerate() {
            for entry in &file.entries {
                match entry {
                    Entry::Dim(names, _) => names.iter().for_each(|name| self.declare_dim(name, i)),
                    Entry::Block(block) => self.declare_block(block),
                    Entry::Model(model) if i == 0 => {
                        let name = &model.name;
                        if let Some(first) = models.insert(&name.text, name.span) {
                            let text = format!("there are two models `{}`", name.text);
                            let report = Diagnostic::error("name::model_twice", text, name.span, "again here");
                            self.report(report.label(first, "first here"));
                        }
                    }
                    Entry::Use(..) | Entry::Model(_) | Entry::Train(_) => {}
                }
            }
        }
    }

    fn declare_dim(&mut self, name: &ast::Name, file: usize) {
        match self.declared[file].get(&name.text).copied() {
            Some(first) => {
                let text = format!("the dim `{}` is declared twice", name.text);
                let report = Diagnostic::error("name::dim_twice", text, name.span, "again here");
                self.report(report.label(first, "first here"));
            }
            None => {
                self.declared[file].insert(name.text.clone(), name.span);
            }
        }
    }

    /// The dims of the file whose model or block is being read.
    fn declared(&self) -> &IndexMap<String, Span> {
        &self.declared[self.inst.file]
    }

    fn declare_block(&mut self, block: &'a ast::Block) {
        let name = &block.name;
        if let Some(&first) = self.block_names.get(&name.text) {
            let first = self.blocks[first].name.span;
            let text = format!("there are two blocks `{}`", name.text);
            let report = Diagnostic::error("name::block_twice", text, name.span, "again here");
            self.report(report.label(first, "first here"));
            self.blocks_twice.insert(name.text.clone());
            return;
        }
        self.block_names.insert(name.text.clone(), self.blocks.len());
        self.blocks.push(block);
    }

    /// A new value of a type.
    fn value(&mut self, ty: crate::ir::shape::Type, producer: Option<chain::Producer>) -> ValueId {
        self.values.push(ValueInfo { ty, name: None });
        self.producers.push(producer);
        ValueId(self.values.len() as u32 - 1)
    }

    /// The type of a value.
    fn ty(&self, value: ValueId) -> crate::ir::shape::Type {
        self.values[value.0 as usize].ty
    }

    /// Adds an item to the innermost region.
    fn emit(&mut self, item: Item) {
        if let Some(region) = self.regions.last_mut() {
            region.items.push(item);
        }
    }

    /// The declared layers as the graph wants them.
    fn layer_defs(&self) -> Vec<LayerDef> {
        self.layers.iter().map(|layer| layer.def.clone()).collect()
    }
}

#[cfg(test)]
mod proofs;
#[cfg(test)]
mod tests;
