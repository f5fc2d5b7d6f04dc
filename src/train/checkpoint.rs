//! Checkpoints: the folders `last`, `best` and `step-000500` of a run, each with two files.
//!
//! `model.safetensors` holds what others want: parameters and running statistics. `resume.safetensors` holds all that a
//! run needs to go on, *the same tensors included*, so that it never depends on another file. Each file is replaced as
//! a whole (`Files::write` renames), `resume` first. Whenever the program is killed, both files are whole and `resume`
//! is a state of the run; at worst `model` is one checkpoint older, and the next resume brings it up to date.

use crate::data::DataError;
use crate::data::tensors::Metadata;
use crate::export::weights::{self, About, Weights};
use crate::tensor::Tensor;
use crate::text::{FileError, Files};

/// What decides a run's bits, but data, seed and length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// The hash of it all: model, sizes, optimizer, schedule.
    pub hash: String,
    /// The parts that have names, as a user reads them.
    pub settings: Vec<(String, String)>,
}

impl Program {
    /// Which settings differ from those of a run that was begun with `begun`: `d = 9 (was 8)`.
    fn differences(&self, begun: &Program) -> Vec<String> {
        let old = |name: &str| begun.settings.iter().find(|(own, _)| own == name).map(|(_, value)| value);
        let differs = |(name, value): &(String, String)| match old(name) {
            Some(was) if was != value => Some(format!("{name} = {value} (was {was})")),
            Some(_) => None,
            None => Some(format!("{name} = {value} (was not there)")),
        };
        self.settings.iter().filter_map(differs).collect()
    }
}

/// Everything that a run is, between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// How many steps were made; data order, schedule and dropout are functions of it and the seed.
    pub step: u64,
    /// The run's seed.
    pub seed: u64,
    /// The last loss.
    pub loss: Option<f64>,
    /// The best validation loss so far, by which `best` is chosen, and after which step.
    pub best: Option<(f64, u64)>,
    /// What the schedule `plateau` has seen.
    pub plateau: Option<String>,
    /// What is logged of the last step, where its evaluation was interrupted and is still to be made.
    pub pending: Option<String>,
    /// Model, sizes, optimizer, schedule.
    pub program: Program,
    /// The fingerprint of the training data.
    pub data: String,
    /// What ids stand for, where the data say so.
    pub vocabulary: Vec<String>,
    /// Parameters and running statistics by path.
    pub weights: Vec<(String, Tensor)>,
    /// The optimizer's state: path, slot (`exp_avg`), tensor.
    pub slots: Vec<(String, String, Tensor)>,
}

/// What to do where the state of a run cannot be gone on from.
pub const ANOTHER: &str =
    "copy the files of another checkpoint of the run over it, such as best/ or step-N/, or begin anew with --anew";

/// `DIR/last`.
pub fn last(dir: &str) -> String {
    format!("{dir}/last")
}

/// `DIR/best`.
pub fn best(dir: &str) -> String {
    format!("{dir}/best")
}

/// `DIR/step-000500`.
pub fn at_step(dir: &str, step: u64) -> String {
    format!("{dir}/step-{step:06}")
}

/// The weights of a checkpoint folder.
pub fn model_path(folder: &str) -> String {
    format!("{folder}/model.safetensors")
}

/// What a resume reads.
pub fn resume_path(folder: &str) -> String {
    format!("{folder}/resume.safetensors")
}

impl Snapshot {
    fn about(&self) -> About {
        About {
            program: Some(self.program.hash.clone()),
            step: Some(self.step),
            seed: Some(self.seed),
            loss: self.loss,
            vocabulary: self.vocabulary.clone(),
            more: Metadata::new(),
        }
    }

    fn save_model(&self, files: &dyn Files, folder: &str) -> Result<(), FileError> {
        let named: Vec<(&str, &Tensor)> = self.weights.iter().map(|(path, tensor)| (path.as_str(), tensor)).collect();
        weights::save(files, &model_path(folder), &named, &self.about())
    }

    fn save_resume(&self, files: &dyn Files, folder: &str) -> Result<(), FileError> {
        let weights = self.weights.iter().map(|(path, tensor)| (format!("weight.{path}"), tensor));
        let slots = self.slots.iter().map(|(path, slot, tensor)| (format!("slot.{slot}.{path}"), tensor));
        let named: Vec<(String, &Tensor)> = weights.chain(slots).collect();
        let named: Vec<(&str, &Tensor)> = named.iter().map(|(name, tensor)| (name.as_str(), *tensor)).collect();
        let mut about = self.about();
        about.more.insert("data".into(), self.data.clone());
        // Serialising strings into memory cannot fail.
        about.more.insert("settings".into(), serde_json::to_string(&self.program.settings).unwrap_or_default());
        if let Some((best, step)) = self.best {
            about.more.insert("best".into(), format!("{best:?}"));
            about.more.insert("best_step".into(), step.to_string());
        }
        for (key, word) in [("plateau", &self.plateau), ("pending", &self.pending)] {
            if let Some(word) = word {
                about.more.insert(key.into(), word.clone());
            }
        }
        weights::save(files, &resume_path(folder), &named, &about)
    }

    fn of(found: Weights) -> Option<Snapshot> {
        let about = found.about;
        let mut snapshot = Snapshot {
            step: about.step?,
            seed: about.seed?,
            loss: about.loss,
            best: number(&about, "best").zip(number(&about, "best_step").map(|step| step as u64)),
            plateau: about.more.get("plateau").cloned(),
            pending: about.more.get("pending").cloned(),
            program: Program {
                hash: about.program.clone()?,
                settings: about.more.get("settings").and_then(|text| serde_json::from_str(text).ok())?,
            },
            data: about.more.get("data")?.clone(),
            vocabulary: about.vocabulary,
            weights: vec![],
            slots: vec![],
        };
        for (name, tensor) in found.tensors {
            if let Some(path) = name.strip_prefix("weight.") {
                snapshot.weights.push((path.into(), tensor));
            } else {
                let (slot, path) = name.strip_prefix("slot.")?.split_once('.')?;
                snapshot.slots.push((path.into(), slot.into(), tensor));
            }
        }
        Some(snapshot)
    }
}

fn number(about: &About, key: &str) -> Option<f64> {
    about.more.get(key).and_then(|text| text.parse().ok())
}

/// Writes both files of a checkpoint folder.
pub fn save(files: &dyn Files, folder: &str, snapshot: &Snapshot) -> Result<(), FileError> {
    snapshot.save_resume(files, folder)?;
    snapshot.save_model(files, folder)
}

/// What a run of this program on these data goes on from; `None` where there is nothing yet.
///
/// If a kill came between the two files, `model.safetensors` is brought up to date.
pub fn resume(files: &dyn Files, folder: &str, program: &Program, data: &str) -> Result<Option<Snapshot>, DataError> {
    let path = resume_path(folder);
    if !files.exists(&path) {
        return Ok(None);
    }
    let refuse = |reason: String, help: String| Err(DataError::new("train::resume", &path, reason).help(help));
    let anew = format!("`--weights {}` without --resume starts anew from its weights", model_path(folder));
    let found = weights::load(files, &path).map_err(|error| error.help(ANOTHER))?;
    let Some(snapshot) = Snapshot::of(found) else {
        return refuse("is not the state of a run".into(), "give the folder that --out named".into());
    };
    if snapshot.program.hash != program.hash {
        let differences = program.differences(&snapshot.program);
        let reason = match differences.is_empty() {
            true => "belongs to another model: its text differs".to_string(),
            false => format!("belongs to another model or other settings: {}", differences.join("; ")),
        };
        return refuse(reason, anew);
    }
    if snapshot.data != data {
        return refuse("was trained on other data".into(), anew);
    }
    let model = weights::load(files, &model_path(folder)).ok();
    if model.and_then(|model| model.about.step) != Some(snapshot.step) {
        snapshot.save_model(files, folder)?;
    }
    Ok(Some(snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::memory::Memory;
    use ndarray::array;

    fn program(hash: &str) -> Program {
        Program { hash: hash.into(), settings: vec![("d".into(), hash.len().to_string())] }
    }

    /// The state after so many steps; every tensor tells the step.
    fn after(step: u64) -> Snapshot {
        let tensor = |shift: f32| Tensor::F32(array![step as f32 + shift, 1.0, 2.0].into_dyn());
        Snapshot {
            step,
            seed: 3,
            loss: Some(1.0 / (step + 1) as f64),
            best: Some((0.25, 2)),
            program: program("program"),
            plateau: Some("0.5 1 0 2".into()),
            pending: Some("{\"step\":5".into()),
            data: "data".into(),
            vocabulary: vec!["a".into()],
            weights: vec![("h.0.weight".into(), tensor(0.0)), ("n".into(), Tensor::I64(ndarray::arr0(7).into_dyn()))],
            slots: vec![("h.0.weight".into(), "exp_avg".into(), tensor(0.5))],
        }
    }

    /// The same, whatever the order of tensors in a file.
    fn sorted(mut snapshot: Snapshot) -> Snapshot {
        snapshot.weights.sort_by(|a, b| a.0.cmp(&b.0));
        snapshot
    }

    #[test]
    fn a_resume_has_everything() {
        let files = Memory::default();
        assert_eq!(resume(&files, "r/last", &program("program"), "data"), Ok(None));
        save(&files, "r/last", &after(5)).expect("written");
        let back = resume(&files, "r/last", &program("program"), "data").expect("whole").expect("there");
        assert_eq!(sorted(back), sorted(after(5)));
        let model = weights::load(&files, "r/last/model.safetensors").expect("whole");
        assert_eq!((model.tensors.len(), model.about.step, model.about.seed), (2, Some(5), Some(3)));
    }

    #[test]
    fn whichever_write_fails_the_run_goes_on() {
        // Checkpoints at steps 1 to 4, in three folders each; the k-th write fails, and all that follow (a full disk).
        let run = |files: &Memory| {
            for step in 1..=4 {
                for folder in [last("r"), best("r"), at_step("r", step)] {
                    save(files, &folder, &after(step))?;
                }
            }
            Ok::<(), FileError>(())
        };
        let whole = Memory::default();
        run(&whole).expect("nothing fails");
        for k in 0..whole.writes.get() {
            let files = Memory::default();
            files.fail_at.set(Some(k));
            let error = run(&files).expect_err("the write that fails is told");
            assert!(error.to_string().contains("no space left"), "{error}");
            files.fail_at.set(None);
            let done = (k / 6) as u64; // Whole checkpoints before this one.
            for folder in [last("r"), best("r")] {
                let state = resume(&files, &folder, &program("program"), "data").expect("never torn");
                let step = state.as_ref().map_or(0, |state| state.step);
                assert!((done..=done + 1).contains(&step), "write {k}: {folder} is at step {step}");
                let Some(state) = state else { continue };
                assert_eq!(sorted(state), sorted(after(step)), "write {k}: of one step");
                let model = weights::load(&files, &model_path(&folder)).expect("never torn");
                assert_eq!(model.about.step, Some(step), "write {k}: brought up to date");
            }
        }
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let files = Memory::default();
        save(&files, "r", &after(5)).expect("written");
        let said = |hash, data| resume(&files, "r", &program(hash), data).expect_err("refused").to_string();
        assert!(said("another", "data").contains("another model: its text differs"), "{}", said("another", "data"));
        assert!(
            said("other", "data").contains("other settings: d = 5 (was 7)")
                && said("other", "data").contains("--weights")
        );
        assert!(said("program", "other").contains("other data"));
        *files.files.borrow_mut().get_mut("r/resume.safetensors").and_then(|bytes| bytes.last_mut()).expect("there") ^=
            1;
        assert!(said("program", "data").contains("damaged"), "{}", said("program", "data"));
        files.put("r/resume.safetensors", weights::encode(&[], &About::default()));
        assert!(said("program", "data").contains("not the state of a run"));
    }
}
