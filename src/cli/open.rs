//! What commands do with a `.model` file before their own work: read, check, choose the model.

use super::model::{ModelArgs, folder, read, split_name};
use super::{Failure, World, check};
use crate::data::{Loaded, source_of_path};
use crate::elaborate::Request;
use crate::exec::bind::Binding;
use crate::export::weights::{self, About};
use crate::ir::structured::Structured;
use crate::ir::training::Training;
use crate::pipeline::{self, Checked};
use crate::syntax::ast::{Entry, Name};
use crate::syntax::parse;
use crate::tensor::Tensor;
use crate::train::fit::load_data;
use crate::train::ports::one_value_a_statistic;
use indexmap::IndexSet;

/// A checked file, and which of its models is meant.
pub struct Opened {
    /// The file.
    pub checked: Checked,
    /// `FILE#name`.
    pub name: Option<String>,
    /// As given.
    pub file: String,
}

/// Reads and checks; tells what is wrong, and fails if that is an error.
pub fn open(world: &mut World, args: &ModelArgs) -> Result<Opened, Failure> {
    let (file, name) = split_name(&args.file);
    let source = read(world, file)?;
    let request = Request { sets: args.set.set.clone(), model: name.map(String::from) };
    let checked = pipeline::check(source, &request, Some(&world.files));
    check::tell(world, &checked.diagnostics, &checked.sources)?;
    if checked.has_errors() {
        return Err(Failure::Told);
    }
    known_name(&checked, file, name)?;
    Ok(Opened { checked, name: name.map(String::from), file: file.into() })
}

/// Refuses `FILE#NAME` where there is nothing of that name: a check of nothing would be all well.
pub fn known_name(checked: &Checked, file: &str, name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name.filter(|name| checked.names.iter().all(|own| own != name)) else { return Ok(()) };
    let names: Vec<&str> = checked.names.iter().map(String::as_str).collect();
    let failure = Failure::usage(format!("{file}: there is no model or train section `{name}`"));
    let near = crate::data::nearest(name, names.iter().copied());
    let all = || names.iter().map(|name| format!("{file}#{name}")).collect::<Vec<_>>().join(", ");
    Err(match (near, names.is_empty()) {
        (_, true) => failure.help("the file holds blocks only"),
        (Some(near), _) if names.len() > 1 => failure.help(format!("did you mean {file}#{near}? There are {}", all())),
        (Some(near), _) => failure.help(format!("did you mean {file}#{near}?")),
        (None, _) => failure.help(format!("there is {}", all())),
    })
}

impl Opened {
    /// The model: the only one, or the one that is named.
    pub fn model(&self) -> Result<&Structured, Failure> {
        let (models, trainings) = (&self.checked.models, &self.checked.trainings);
        let named = |name: &str| {
            let labelled = trainings.iter().find(|t| t.label.as_deref() == Some(name)).map(|t| &t.model);
            models.iter().find(|model| model.name == name).or(labelled)
        };
        match (&self.name, models.as_slice()) {
            (Some(name), _) => named(name).ok_or_else(|| self.choose(&format!("`{name}` is no model"))),
            (None, [model]) => Ok(model),
            (None, []) => Err(Failure::usage(format!("{} holds no model", self.file))),
            (None, _) => Err(self.choose("the file holds several models")),
        }
    }

    fn choose(&self, message: &str) -> Failure {
        let names = self.names(|entry| match entry {
            Entry::Model(model) => Some(&model.name),
            Entry::Dim(..) | Entry::Use(..) | Entry::Block(_) | Entry::Train(_) => None,
        });
        Failure::usage(format!("{}: {message}", self.file)).help(format!("say one of {names}"))
    }

    /// The train section: the only one, or the one that is named (by its label, or its model).
    pub fn training(&self) -> Result<&Training, Failure> {
        let trainings = &self.checked.trainings;
        let own = |t: &Training| t.label.clone().unwrap_or_else(|| t.model.name.clone());
        match (&self.name, trainings.as_slice()) {
            (None, [training]) => Ok(training),
            (None, []) => Err(Failure::usage(format!("{} has no train section", self.file))
                .help("add one: `train NAME { target …; loss …; data … }`")),
            (None, _) => Err(self.choose_training("the file holds several train sections")),
            (Some(name), _) => {
                // A section's own name; a model's, if it has one section.
                let mut of_model = trainings.iter().filter(|t| t.model.name == *name);
                let alone = of_model.next().filter(|_| of_model.next().is_none());
                let found = trainings.iter().find(|t| own(t) == *name).or(alone);
                found.ok_or_else(|| self.choose_training(&format!("there is no train section `{name}`")))
            }
        }
    }

    fn choose_training(&self, message: &str) -> Failure {
        let names = self.names(|entry| match entry {
            Entry::Train(train) => Some(train.label.as_ref().unwrap_or(&train.model.name)),
            Entry::Dim(..) | Entry::Use(..) | Entry::Block(_) | Entry::Model(_) => None,
        });
        Failure::usage(format!("{}: {message}", self.file)).help(format!("say one of {names}"))
    }

    /// Some names of the text as it stands: one that fits nothing has left none of the models.
    fn names(&self, pick: fn(&Entry) -> Option<&Name>) -> String {
        let text = self.checked.sources.0.first().map_or("", |source| source.text.as_str());
        let entries = parse(0, text).file.entries;
        let names = entries.iter().filter_map(pick).map(|name| format!("{}#{}", self.file, name.text));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// The dims that a model's inputs name.
pub fn dims(model: &Structured) -> IndexSet<String> {
    let types = model.inputs.iter().map(|port| model.values[port.value.0 as usize].ty);
    let dims = types.flat_map(|ty| model.shapes.dims(ty).to_vec());
    dims.flat_map(|dim| model.shapes.dims.symbols(dim)).collect()
}

/// Refuses sizes for dims that the model does not have.
pub fn known_dims(model: &Structured, bound: &Binding) -> Result<(), Failure> {
    let known = dims(model);
    match bound.keys().find(|name| !known.contains(*name)) {
        None => check_needs(model, bound),
        Some(name) => {
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            let near = crate::data::near_or_all(name, &names);
            Err(Failure::usage(format!("the model has no dim `{name}`: {near}")))
        }
    }
}

/// What the checker could not decide before sizes were known, and the facts of `where`.
pub fn check_needs(model: &Structured, bound: &Binding) -> Result<(), Failure> {
    pipeline::check_sizes(model, bound).map_err(|unmet| Failure::Run {
        code: "data::sizes",
        message: unmet.to_string(),
        wanting: false,
    })
}

/// A statistic of one value has no variance: batch norm in train mode needs more.
pub fn check_statistics(model: &Structured, bound: &Binding) -> Result<(), Failure> {
    match one_value_a_statistic(model, bound) {
        None => Ok(()),
        Some(path) => {
            let message = format!("{path} would take the statistics of one value a channel");
            let message = format!("{message}\n  help: give it more rows, or run it with --mode eval");
            Err(Failure::Run { code: "data::sizes", message, wanting: false })
        }
    }
}

/// The data of a train section, or those of `--data`. `known`: what ids stand for in the weights.
pub fn data(
    world: &World,
    opened: &Opened,
    training: &Training,
    given: Option<&str>,
    known: &[String],
) -> Result<Loaded, Failure> {
    let source = given.map(source_of_path).transpose()?;
    let base = if source.is_some() { "" } else { folder(&opened.file) };
    Ok(load_data(training, source.as_ref(), base, &world.files, known)?)
}

/// Says what was converted on the way.
pub fn tell_notes(world: &mut World, notes: &[String]) -> Result<(), Failure> {
    let once: IndexSet<&String> = notes.iter().collect();
    once.into_iter().try_for_each(|note| world.err.line(&format!("note: {note}")))
}

/// The name of a file without folder and ending.
pub fn stem(file: &str) -> &str {
    let name = file.split('#').next().unwrap_or(file).rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".model").unwrap_or(name)
}

/// `accuracy 97.8 %`, `loss 0.0832`.
pub fn shown_result(name: &str, value: f64) -> String {
    if name.contains("accuracy") { format!("{name} {:.1} %", 100.0 * value) } else { format!("{name} {value:.4}") }
}

/// Writes tensors to a file, or to standard output for `-`.
pub fn write_tensors(
    world: &mut World,
    path: &str,
    tensors: &[(String, Tensor)],
    seed: Option<u64>,
) -> Result<(), Failure> {
    if path.ends_with(".model") {
        let message = format!("{path} would be overwritten by numbers, and is called like a model's text");
        return Err(Failure::usage(message).help("call the file .safetensors"));
    }
    let named: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let about = About { seed, ..About::default() };
    if path == "-" {
        return world.out.bytes(&weights::encode(&named, &about));
    }
    Ok(weights::save(&world.files, path, &named, &about)?)
}
