//! The train section: each setting has its own errors, losses and metrics reach over several outputs, hyperparameters are
//! checked wherever they stand.

use super::world::{Memory, table, training};
use wythe::data::source_of_path;
use wythe::elaborate::Request;
use wythe::ir::attr::{AttrKind, Domain};
use wythe::ir::training::Length;
use wythe::optim::{OPTIMIZERS, SCHEDULES};
use wythe::pipeline::check;
use wythe::text::Source;
use wythe::train::fit::{Options, Trainer, load_data};

/// The codes of a section's reports.
fn codes(section: &str) -> Vec<String> {
    let text = format!(
        "dim batch, seq\nmodel m : (x: f32[batch, 6]) -> f32[batch, 3] {{\n  linear(3)\n}}\ntrain m {{\n{section}\n}}\n"
    );
    let checked = check(Source::new("m.model", text), &Request::default(), None);
    checked.diagnostics.iter().map(|report| report.code.to_string()).collect()
}

const SOUND: &str = "  target y: i64[batch]\n  loss cross_entropy\n";

#[test]
fn every_setting_has_its_own_error() {
    assert!(codes(SOUND).is_empty());
    let mut faults = vec![];
    for (setting, code) in [
        ("batch 0", "train::number"),
        ("batch 2.5", "train::number"),
        ("batch \"many\"", "train::value"),
        ("batch \"a.*\" 8", "train::value"),
        ("batch 8; batch 9", "train::twice"),
        ("bacth 8", "train::setting"),
        ("seq 0", "train::number"),
        ("steps -1", "train::number"),
        ("steps 0", "train::number"),
        ("epochs 0", "train::number"),
        ("seq 4", "train::setting"),
        ("steps 3; epochs 4", "train::length"),
        ("epochs inf", "train::number"),
        ("shuffle 3", "train::value"),
        ("drop_last 1", "train::value"),
        ("drop_last", "train::value"),
        ("shuffle \"yes\"", "train::value"),
        ("seed 1.5", "train::number"),
        ("seed", "train::value"),
        ("save \"often\"", "train::value"),
        ("eval_every 2.5", "train::number"),
        ("seed -1", "train::number"),
        ("save 0", "train::number"),
        ("eval_every 0", "train::number"),
        ("valid 2", "train::value"),
        ("valid 0", "train::value"),
        ("valid", "train::value"),
        ("valid \"held_out.csv\"", "train::value"),
        ("valid { relu }", "train::value"),
        ("valid csv(\"a.csv\", lable = \"b\")", "attr::unknown"),
        ("data", "train::value"),
        ("data idx(\"images\")", "attr::missing"),
        ("metric \"accuracy\"", "train::loss"),
        ("valid -0.5", "train::value"),
        ("valid cvs(\"a.csv\")", "train::source"),
        ("data cvs(\"a.csv\")", "train::source"),
        ("data csv", "attr::missing"),
        ("data csv(\"a.csv\", lable = \"b\")", "attr::unknown"),
        ("data text(\"a.txt\", unit = \"word\")", "attr::choice"),
        ("clip 3", "train::value"),
        ("clip norm(0)", "attr::domain"),
        ("clip norm(1, p = -1)", "attr::domain"),
        ("clip norm(inf)", "attr::domain"),
        ("clip value(-1)", "attr::domain"),
        ("optimizer sdg", "train::optimizer"),
        ("optimizer sgd(learning_rate = 1)", "attr::unknown"),
        ("optimizer \"haed.*\" sgd", "train::pattern"),
        ("freeze \"haed.*\"", "train::pattern"),
        ("freeze 3", "train::value"),
        ("watch \"haed.*\"", "train::pattern"),
        ("watch 3", "train::value"),
        ("batch \"head.*\" 3", "train::value"),
        ("schedule cosin(3)", "train::schedule"),
        ("schedule cosine", "attr::missing"),
        ("schedule constant |> cosine(3)", "train::endless"),
        ("schedule plateau |> cosine(3)", "train::endless"),
        ("metric { out |> softmax }", "train::metric_shape"),
        ("target 3", "train::target"),
    ] {
        let found = codes(&format!("{SOUND}  {setting}"));
        if found != [code] {
            faults.push(format!("{setting}: {found:?}, not {code}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(codes("  target y: i64[batch]"), ["train::no_loss"]);
    assert_eq!(codes("  target y: f32[batch, 3]\n  loss mse(reduction = \"none\")"), ["train::loss_shape"]);
    // (4, 1) beside (4) is refused, and never stretched.
    assert_eq!(codes("  target y: f32[batch, 1]\n  loss mse").len(), 1);
    assert_eq!(codes("  target y: f32[batch]\n  loss { (out, y) |> sub |> square |> mean }").len(), 1);
}

#[test]
fn every_number_of_an_optimizer_and_a_schedule_has_a_domain() {
    let lists = OPTIMIZERS.iter().map(|def| ("optimizer", def.name, def.attrs));
    let lists = lists.chain(SCHEDULES.iter().map(|def| ("schedule", def.name, def.attrs)));
    let mut tried = 0;
    for (kind, name, attrs) in lists {
        let required: Vec<String> = attrs
            .iter()
            .filter(|attr| matches!(attr.default, wythe::ir::attr::AttrDefault::Required))
            .map(|attr| format!("{} = {}", attr.name, if attr.kinds == [AttrKind::Numbers] { "[1]" } else { "1" }))
            .collect();
        for attr in attrs.iter().filter(|attr| !attr.name.starts_with('.')) {
            let bad: &[&str] = match (attr.kinds, attr.domain) {
                ([AttrKind::Number | AttrKind::Int], Domain::Any) => panic!("{name}: `{}` has no domain", attr.name),
                ([AttrKind::Number | AttrKind::Int], _) => &["-1", "inf", "\"much\""],
                ([AttrKind::Size], _) => &["0", "-3", "1.5", "batch"],
                ([AttrKind::Numbers], _) if kind == "optimizer" => {
                    &["[0.5]", "[0.5, 0.5, 0.5]", "[-1, 2]", "[0.5, inf]"]
                }
                ([AttrKind::Bool], _) => &["1"],
                ([AttrKind::Choice(_)], _) => &["\"other\""],
                _ => &[],
            };
            for value in bad {
                let others = required.iter().filter(|given| !given.starts_with(&format!("{} =", attr.name)));
                let given: Vec<String> = others.cloned().chain([format!("{} = {value}", attr.name)]).collect();
                let setting = format!("{kind} {name}({})", given.join(", "));
                let found = codes(&format!("{SOUND}  {setting}"));
                assert!(found.len() == 1 && found[0].starts_with("attr::"), "{setting}: {found:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried}");
}

#[test]
fn losses_and_metrics_reach_over_several_outputs() {
    let text = "dim batch
model m : (x: f32[batch, 6]) -> (class: f32[batch, 3], size: f32[batch, 1]) {
  h = linear(8)
  class = h |> linear(3)
  size = h |> linear(1)
  return (class, size)
}
train m {
  target y: i64[batch], z: f32[batch, 1]
  loss {
    ce = (class, y) |> cross_entropy
    off = (size, z) |> mse
    ce + 0.5 * off
  }
  metric { (class, y) |> accuracy }
  metric { (class, y) |> accuracy }
  metric { (size, z) |> mse }
  metric (class, y) |> cross_entropy
  metric { (class, y) |> cross_entropy(label_smoothing = 0.1) }
  batch 5
  valid 0.4
}
";
    // The sixth column is also what the second output must tell.
    let rows = table(20, 6);
    let mut lines = rows.lines().map(String::from);
    let mut out = format!("{},z\n", lines.next().expect("a header"));
    lines.for_each(|line| out += &format!("{line},{}\n", line.split(',').nth(5).expect("six columns")));
    let files = Memory::with("d.csv", out.as_bytes());
    let training = training(text);
    let data = load_data(&training, Some(&source_of_path("d.csv").expect("known")), "", &files, &[]).expect("rows");
    let options = Options { out: Some("r".into()), length: Some(Length::Steps(8)), threads: 1, ..Options::default() };
    let report = Trainer::new(&training, data, &options, &files).and_then(|mut t| t.fit(&options, &files, &mut ()));
    let report = report.unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&str> = report.valid.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["loss", "accuracy", "accuracy_2", "mse", "cross_entropy", "cross_entropy_2"]);
    let log = String::from_utf8(files.files.borrow()["r/metrics.jsonl"].clone()).expect("text");
    for line in log.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let sum = row["terms"]["ce"].as_f64().expect("ce") + 0.5 * row["terms"]["off"].as_f64().expect("off");
        assert!((row["loss"].as_f64().expect("a loss") - sum).abs() < 1e-5, "{line}");
    }
}

#[test]
fn what_a_section_does_not_say_is_as_documented() {
    let text =
        format!("dim batch\nmodel m : (x: f32[batch, 6]) -> f32[batch, 3] {{ linear(3) }}\ntrain m {{\n{SOUND}}}\n");
    let found = training(&text);
    assert_eq!((found.batch, found.seed, found.shuffle, found.drop_last), (32, 0, true, false));
    assert_eq!((found.save, found.eval_every, found.clip, found.length), (None, None, None, None));
    assert!(found.schedule.is_empty() && found.freeze.is_empty() && found.data.is_none() && found.valid.is_none());
    let [group] = found.optimizers.as_slice() else { panic!("{:?}", found.optimizers) };
    assert_eq!((group.optimizer.name.as_str(), group.optimizer.attrs.float("lr")), ("adamw", Some(1e-3)));
    assert_eq!(group.optimizer.attrs.str("decay"), Some("weights"));
    assert_eq!(found.metrics.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["accuracy"]);
    // Ten epochs, where nothing says how long.
    let files = Memory::with("d.csv", table(40, 6));
    let data = load_data(&found, Some(&source_of_path("d.csv").expect("known")), "", &files, &[]).expect("rows");
    let trainer = Trainer::new(&found, data, &Options { threads: 1, ..Options::default() }, &files).expect("it begins");
    assert_eq!(trainer.total(), 10 * 2);
}

/// Why a run of a text on a table does not begin, if it does not.
fn begins(text: &str, table: String) -> Result<u64, (String, String)> {
    let training = training(text);
    let files = Memory::with("d.csv", table);
    let options = Options { threads: 1, length: Some(Length::Steps(4)), ..Options::default() };
    let run = || {
        let data = load_data(&training, Some(&source_of_path("d.csv")?), "", &files, &[])?;
        Trainer::new(&training, data, &options, &files)?.fit(&options, &files, &mut ())
    };
    let ended: Result<_, wythe::train::error::TrainError> = run();
    ended.map(|report| report.steps).map_err(|error| (error.code().to_string(), error.to_string()))
}

#[test]
fn a_dim_is_bound_by_a_setting_of_its_name_and_missed_where_it_is_not() {
    let text = |setting: &str| {
        format!(
            "dim batch, k
model m : (x: f32[batch, 6]) -> f32[batch, 3] {{ noise = rand([k]); x |> linear(3); it + (noise |> mean(0)) }}
train m {{ target y: i64[batch]; loss cross_entropy; {setting} }}
"
        )
    };
    let (code, said) = begins(&text(""), table(40, 6)).expect_err("nothing says how large k is");
    assert_eq!(code, "train::size");
    assert!(said.contains("the size of `k` is not known") && said.contains("`k 128`"), "{said}");
    assert_eq!(begins(&text("k 5"), table(40, 6)), Ok(4));
}

#[test]
fn one_row_that_is_left_is_refused_only_where_it_has_one_value_a_channel() {
    let text = |body: &str, settings: &str| {
        format!(
            "dim batch\nmodel m : (x: f32[batch, 6]) -> f32[batch, 3] {{ {body} }}\n\
             train m {{ target y: i64[batch]; loss cross_entropy; {settings} }}\n"
        )
    };
    let flat = "linear(4); batchnorm; relu; linear(3)";
    // One row of six places has six values a channel.
    let images = "reshape(batch, 1, 2, 3); conv(4, 1); batchnorm; relu; avgpool_global; linear(3)";
    let pixels = "reshape(batch, 6, 1, 1); conv(4, 1); batchnorm; relu; avgpool_global; linear(3)";
    for (body, settings, rows, way_out) in [
        (flat, "batch 8", 41, "`drop_last true`"),
        (pixels, "batch 8", 41, "`drop_last true`"),
        (flat, "batch 1", 5, "a larger `batch`"),
        (flat, "batch 8; drop_last true", 1, "one row only"),
    ] {
        let (code, said) = begins(&text(body, settings), table(rows, 6)).expect_err(settings);
        assert!(code == "train::batch" && said.contains("batchnorm") && said.contains(way_out), "{settings}: {said}");
    }
    for (body, settings, rows) in [
        (flat, "batch 8; drop_last true", 41),
        (pixels, "batch 8; drop_last true", 41),
        (images, "batch 8", 41),
        (images, "batch 1", 5),
        (flat, "batch 8", 42),
        // The row that is held out is only evaluated.
        (flat, "batch 8; valid 0.1", 11),
    ] {
        assert_eq!(begins(&text(body, settings), table(rows, 6)), Ok(4), "{body}; {settings}; {rows} rows");
    }
}

#[test]
fn a_label_that_the_loss_leaves_out_may_stand_in_the_data() {
    let text = |loss: &str| {
        format!(
            "dim batch\nmodel m : (x: f32[batch, 6]) -> f32[batch, 3] {{ linear(3) }}\n\
             train m {{ target y: i64[batch]; loss {loss}; batch 8 }}\n"
        )
    };
    let with = |label: &str| {
        let rows = table(20, 6);
        let mut lines: Vec<&str> = rows.lines().collect();
        let changed = format!("{}{label}", lines[9].trim_end_matches(|c: char| c.is_ascii_digit()));
        lines[9] = &changed;
        lines.join("\n")
    };
    assert_eq!(begins(&text("cross_entropy(ignore_index = -1)"), with("-1")), Ok(4));
    assert_eq!(begins(&text("cross_entropy(ignore_index = 255)"), with("255")), Ok(4));
    assert_eq!(begins(&text("cross_entropy"), with("-100")), Ok(4));
    for (loss, label, way_out) in [
        ("cross_entropy(ignore_index = -1)", "-2", "may say -1"),
        ("cross_entropy(ignore_index = 255)", "254", "255 classes"),
        ("cross_entropy", "-1", "may say -100"),
        ("cross_entropy", "3", "give the model 4 classes"),
    ] {
        let (code, said) = begins(&text(loss), with(label)).expect_err("refused");
        assert!(code == "data::label" && said.starts_with("d.csv, line 10: `y` is "), "{said}");
        assert!(said.contains(way_out), "{said}");
    }
}
