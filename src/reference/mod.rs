//! The reference: a page for each operator, optimizer, schedule, code and question, of the same data that the program runs on.
//!
//! A [`Page`] is data. `wythe explain` shows it on a terminal or as JSON; a curve on it is computed by the operator's own
//! kernels and gradients when it is asked for.

pub mod book;
mod code;
mod codes;
pub mod example;
mod lint;
mod operator;
mod page;
pub mod pages;
mod plot;
mod questions;
mod torch;
mod training;

pub use codes::{CODE_FAMILIES, CODES, Code};
pub use page::{Attribute, Example, ExampleKind, Page};
pub use plot::{Curve, Drawing};
pub use questions::{QUESTIONS, Question};
pub use torch::{CATEGORIES, Category, Row};

use crate::ir::op::OpDef;
use crate::lints::{self, Lint};
use crate::ops::FAMILIES;
use crate::optim::{OPTIMIZERS, OptimizerDef, SCHEDULES, ScheduleDef};

/// What can be explained.
#[derive(Clone, Copy)]
pub enum Topic {
    /// An operator.
    Operator(&'static OpDef),
    /// An optimizer of a train section.
    Optimizer(&'static OptimizerDef),
    /// A schedule of a train section.
    Schedule(&'static ScheduleDef),
    /// The code of a report.
    Code(&'static Code),
    /// A lint, by the code of its reports.
    Lint(&'static Lint),
    /// A question that learners ask.
    Question(&'static Question),
    /// The table of torch.nn's classes.
    Torch,
}

impl Topic {
    /// The word that asks for it.
    pub fn name(&self) -> &'static str {
        match self {
            Topic::Operator(op) => op.name,
            Topic::Optimizer(def) => def.name,
            Topic::Schedule(def) => def.name,
            Topic::Code(code) => code.code,
            Topic::Lint(lint) => lint.code,
            Topic::Question(question) => question.name,
            Topic::Torch => "torch.nn",
        }
    }

    /// The first sentence of its page.
    pub fn lead(&self) -> String {
        match self {
            Topic::Operator(op) => page::lead(op.doc).0,
            Topic::Optimizer(def) => page::lead(def.doc).0,
            Topic::Schedule(def) => page::lead(def.doc).0,
            Topic::Code(code) => page::lead(code.means).0,
            Topic::Lint(lint) => page::lead(lint.doc).0,
            Topic::Question(question) => question.asks.to_string(),
            Topic::Torch => torch::LEAD.into(),
        }
    }

    /// Its page.
    pub fn page(&self) -> Page {
        match self {
            Topic::Operator(op) => operator::page(op),
            Topic::Optimizer(def) => training::optimizer(def),
            Topic::Schedule(def) => training::schedule(def),
            Topic::Code(code) => code::page(code),
            Topic::Lint(lint) => lint::page(lint),
            Topic::Question(question) => question.page(),
            Topic::Torch => torch::page(),
        }
    }
}

/// Topics of a kind.
pub struct Section {
    /// The title.
    pub title: &'static str,
    /// In the order of the reference.
    pub topics: Vec<Topic>,
}

/// Everything, by family.
pub fn sections() -> Vec<Section> {
    let family = |family: &'static crate::ops::Family| Section {
        title: family.title,
        topics: family.ops.iter().copied().filter(|op| op.is_public()).map(Topic::Operator).collect(),
    };
    let mut all: Vec<Section> = FAMILIES.iter().map(family).collect();
    all.push(Section { title: "Optimizers", topics: OPTIMIZERS.iter().copied().map(Topic::Optimizer).collect() });
    all.push(Section { title: "Schedules", topics: SCHEDULES.iter().copied().map(Topic::Schedule).collect() });
    all.extend(CODE_FAMILIES.iter().map(|(family, title)| Section {
        title,
        topics: CODES.iter().filter(|code| code::family(code) == *family).map(Topic::Code).collect(),
    }));
    all.push(Section { title: "Lints", topics: lints::all().map(Topic::Lint).collect() });
    all.push(Section { title: "Questions", topics: QUESTIONS.iter().map(Topic::Question).collect() });
    all.push(Section { title: "PyTorch", topics: vec![Topic::Torch] });
    all
}

/// The topics of a word: its own name, else PyTorch's (`GELU`, `nn.GELU`, `functional.gelu`), else those of the table of
/// torch.nn's classes (`nn.Softmax2d`), else none.
///
/// A word may name several things: `linear` is an operator and a schedule.
pub fn find(word: &str) -> Vec<Topic> {
    let all: Vec<Topic> = sections().into_iter().flat_map(|section| section.topics).collect();
    let own: Vec<Topic> = all.iter().copied().filter(|topic| topic.name() == word).collect();
    if !own.is_empty() {
        return own;
    }
    let last = |path: &str| path.trim().rsplit('.').next().unwrap_or("").to_ascii_lowercase();
    let wanted = last(word);
    let torch = |topic: &Topic| match topic {
        Topic::Operator(op) => op.torch.split(',').any(|name| !name.trim().is_empty() && last(name) == wanted),
        _ => topic.name().to_ascii_lowercase() == wanted,
    };
    let found: Vec<Topic> = all.iter().copied().filter(torch).collect();
    if !found.is_empty() {
        return found;
    }
    // A class of torch.nn that is something here, under another name or with an argument.
    let names: Vec<&str> = torch::of_class(word).into_iter().flat_map(Row::names).collect();
    all.into_iter().filter(|topic| matches!(topic, Topic::Operator(op) if names.contains(&op.name))).collect()
}

/// The names nearest to a word that is none.
pub fn nearest(word: &str) -> Option<&'static str> {
    let names: Vec<&'static str> =
        sections().iter().flat_map(|section| section.topics.iter().map(Topic::name)).collect();
    let word = word.to_ascii_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(name, &word);
    names.into_iter().min_by_key(|name| distance(name)).filter(|name| distance(name) <= 1 + word.chars().count() / 4)
}
