//! The same file, data and seed give the same bytes: on any number of threads, from any folder, each time.

use super::laws::{array, filled};
use super::rng::Rng;
use super::{file, laws};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wythe::data::source_of_path;
use wythe::elaborate::Request;
use wythe::export::weights::{About, encode};
use wythe::ir::training::{Length, Training};
use wythe::lints::may_train;
use wythe::pipeline::check;
use wythe::tensor::Tensor;
use wythe::text::Source;
use wythe::text::memory::Memory;
use wythe::train::fit::{Options, Trainer, load_data};

const STEPS: u64 = 3;

/// What a run leaves, by path, or how it ended; and how many threads had a share of a step.
type Left = (Result<BTreeMap<String, Vec<u8>>, String>, usize);

/// A generated model with rows to train it on.
pub struct Case {
    text: String,
    batch: i64,
    rows: Vec<u8>,
}

impl Case {
    /// The case of a seed; none where its text has no train section, or one that a lint stops, or is too large to try.
    pub fn of(seed: u64) -> Option<Case> {
        let (written, mut rng) = (file::write(seed), Rng::new(!seed));
        let plain = check(Source::new("m.model", written.text.as_str()), &Request::default(), None);
        let [training] = plain.trainings.as_slice() else { return None };
        if !may_train(&plain.diagnostics) {
            return None;
        }
        let mut sizes: BTreeMap<String, i64> = written
            .ranges
            .iter()
            .map(|(name, (least, _))| {
                let step = written.steps.get(name).copied().unwrap_or(1);
                (name.to_string(), (least + step - 1) / step * step)
            })
            .collect();
        sizes.extend(training.sizes.iter().map(|(name, size)| (name.clone(), *size as i64)));
        // As many rows as make work for several threads, and not too much.
        let batch = [2048, 512, 128, 32].into_iter().find(|&batch| {
            sizes.insert("batch".into(), batch);
            laws::elements(&training.model, &sizes) < 1_500_000
        })?;
        sizes.insert("batch".into(), 2 * batch + 5);
        let rows = rows(training, &written, &sizes, &mut rng)?;
        Some(Case { text: written.text, batch, rows })
    }

    fn training(&self) -> Training {
        let sets = vec![("train.batch".to_string(), self.batch.to_string())];
        let mut checked = check(Source::new("m.model", self.text.as_str()), &Request { sets, model: None }, None);
        checked.trainings.remove(0)
    }

    /// A run of three steps in memory.
    fn run(&self, threads: usize) -> Left {
        let (files, training) = (Memory::with("d.safetensors", &self.rows), self.training());
        let mut workers = 0;
        let mut train = || {
            let data = load_data(&training, Some(&source_of_path("d.safetensors")?), "", &files, &[])?;
            let length = Some(Length::Steps(STEPS));
            let options = Options { out: Some("r".into()), length, threads, ..Options::default() };
            let mut trainer = Trainer::new(&training, data, &options, &files)?;
            let done = trainer.fit(&options, &files, &mut ());
            workers = (0..trainer.session().plans()).map(|plan| trainer.session().workers(plan)).max().unwrap_or(0);
            done.map(|_| ())
        };
        let ended: Result<(), wythe::train::error::TrainError> = train();
        let left = files.files.take().into_iter().filter(|(path, _)| path != "d.safetensors").collect();
        (ended.map(|()| left).map_err(|error| error.to_string()), workers)
    }

    /// The same run by the program, from another folder than the model's.
    fn run_elsewhere(&self, folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let model = folder.join("models");
        std::fs::create_dir_all(&model).expect("a folder");
        std::fs::write(model.join("m.model"), &self.text).expect("written");
        std::fs::write(model.join("d.safetensors"), &self.rows).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_wythe"));
        let batch = format!("train.batch={}", self.batch);
        command.args(["train", "models/m.model", "--data", "models/d.safetensors", "--out", "r", "--threads", "2"]);
        command.args(["--steps", &STEPS.to_string(), "--set", &batch, "--anew"]).current_dir(folder);
        let ran = command.stdin(Stdio::null()).output().expect("the program starts");
        if !ran.status.success() {
            return Err(String::from_utf8_lossy(&ran.stderr).into_owned());
        }
        let mut left = BTreeMap::new();
        collect(&folder.join("r"), "r", &mut left);
        Ok(left)
    }

    /// Runs on 1, 2 and 8 threads, once more, and by the program: what differs, or how many threads took part, and
    /// whether it came to its end.
    pub fn same(&self, folder: &Path) -> Result<(usize, bool), String> {
        let (one, _) = self.run(1);
        let mut most = 0;
        for threads in [1, 2, 8] {
            let (other, workers) = self.run(threads);
            most = most.max(workers);
            different(&one, &other).map_or(Ok(()), |what| Err(format!("{threads} threads: {what}")))?;
        }
        match (&one, self.run_elsewhere(folder)) {
            // The program says it in its own frame.
            (Err(said), Err(told)) if told.contains(said.split("; the last").next().unwrap_or(said)) => {}
            (own, other) => different(own, &other).map_or(Ok(()), |what| Err(format!("from elsewhere: {what}")))?,
        }
        Ok((most, one.is_ok()))
    }
}

fn collect(folder: &Path, name: &str, left: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), format!("{name}/{}", entry.file_name().to_string_lossy()));
        match path.is_dir() {
            true => collect(&path, &name, left),
            false => drop(left.insert(name, std::fs::read(path).expect("a file"))),
        }
    }
}

type Files = Result<BTreeMap<String, Vec<u8>>, String>;

fn different(one: &Files, other: &Files) -> Option<String> {
    match (one, other) {
        (Ok(one), Ok(other)) if one.keys().ne(other.keys()) => Some(format!("{:?} and {:?}", one.keys(), other.keys())),
        (Ok(one), Ok(other)) => one.iter().find(|(path, bytes)| other[*path] != **bytes).map(|(path, _)| path.clone()),
        (Err(one), Err(other)) if one == other => None,
        (one, other) => Some(format!("{:?} and {:?}", one.as_ref().err(), other.as_ref().err())),
    }
}

/// Rows for every input and target, as a file of tensors.
fn rows(training: &Training, written: &file::Written, sizes: &BTreeMap<String, i64>, rng: &mut Rng) -> Option<Vec<u8>> {
    let mut rows: Vec<(String, Tensor)> = vec![];
    for (port, (name, _)) in written.inputs.iter().enumerate() {
        rows.push((name.clone(), filled(&training.model, port, sizes, rng)?));
    }
    for target in &training.targets {
        let ty = training.model.values[target.value.0 as usize].ty;
        let shape = training.model.shapes.eval(ty.shape, &|name| sizes.get(name).copied())?;
        rows.push((target.name.clone()?, array(ty.dtype, &shape, rng)));
    }
    let named: Vec<(&str, &Tensor)> = rows.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    Some(encode(&named, &About::default()))
}

/// A folder of its own.
pub fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("wythe-same-{}", std::process::id()))
}
