//! `wythe sweep`: one file with several settings and seeds, as a table and a picture.

use super::model::{ModelArgs, SetArgs, ThreadArgs, pair};
use super::{Failure, Verdict, World, memory, open};
use crate::data::near_or_all;
use crate::export::chart::{Chart, Curve, Point};
use crate::ir::training::Length;
use crate::text::Files;
use crate::train::error::TrainError;
use crate::train::fit::{Options, Trainer, Watch};
use crate::train::metrics::{Real, Row as Logged};

/// Trains a model with every combination of settings, and compares
///
/// --set KEY=A,B,… gives the values of a hyperparameter (or train.KEY of a training setting); every combination is trained
/// with each seed. A row of the table shows the median over seeds and how far they reach, of the loss (the mean over the
/// last tenth of the steps) and, where rows are held out, of the loss and metrics on them (valid.NAME); further of the loss
/// before the first step (start.loss) and the norms of the gradients that the train section watches (start.grad_norms.PATTERN),
/// before anything was learned. A run that diverges is counted, and the others go on. Each run's log stands in its own
/// folder below --out.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe sweep models/digits.model --set depth=1,2 --set train.lr=1e-3,4e-3 --steps 20\n  wythe sweep models/digits.model --set d=16,32 --seeds 2 --steps 20 --csv sweep.csv -o sweep.svg"
)]
pub struct Args {
    /// The .model file; FILE#NAME where it holds several train sections
    #[arg(value_name = "FILE")]
    pub file: String,

    /// The values of a hyperparameter or training setting: depth=6,24; repeatable
    #[arg(long = "set", value_name = "KEY=A,B,…", value_parser = pair, required = true, allow_hyphen_values = true)]
    pub set: Vec<(String, String)>,

    /// How many seeds each combination is trained with
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,

    /// Steps of each run (default: the train section's)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,

    /// The rows (default: the train section's)
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,

    /// The folder of the runs (default: runs/NAME-sweep)
    #[arg(long, value_name = "DIR")]
    pub out: Option<String>,

    /// Also writes the table as CSV
    #[arg(long, value_name = "PATH")]
    pub csv: Option<String>,

    /// Also draws medians and reaches as SVG
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<String>,

    /// What is drawn: a column of the table (default: valid.loss, or loss where no rows are held out); repeatable
    #[arg(long, value_name = "NAME", requires = "output")]
    pub value: Vec<String>,

    #[command(flatten)]
    pub threads: ThreadArgs,

    /// One JSON object instead of the table
    #[arg(long)]
    pub json: bool,
}

/// What one combination gave.
struct Row {
    /// A value for each key.
    values: Vec<String>,
    /// For each result its values, one a seed that ended well.
    results: Vec<(String, Vec<f64>)>,
    diverged: u64,
}

/// The middle of some values, the least and the largest.
fn spread(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
    Some((median, low, high))
}

/// `6,24` as two values: a comma inside brackets or quotes belongs to its value.
fn values_of(text: &str) -> Vec<String> {
    let (mut values, mut depth, mut quoted) = (vec![String::new()], 0, false);
    for sign in text.chars() {
        match sign {
            '"' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth -= 1,
            _ => {}
        }
        match values.last_mut() {
            Some(_) if sign == ',' && depth == 0 && !quoted => values.push(String::new()),
            Some(last) => last.push(sign),
            None => {}
        }
    }
    values.iter().map(|value| value.trim().to_string()).collect()
}

/// Every combination, the last key changing fastest.
fn combinations(keys: &[(String, Vec<String>)]) -> Vec<Vec<String>> {
    keys.iter().fold(vec![vec![]], |all, (_, values)| {
        all.iter()
            .flat_map(|head| values.iter().map(|value| [head.as_slice(), std::slice::from_ref(value)].concat()))
            .collect()
    })
}

/// Trains them all, and tells.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let keys: Vec<(String, Vec<String>)> = args.set.iter().map(|(key, text)| (key.clone(), values_of(text))).collect();
    if let Some((key, _)) = keys.iter().find(|(_, values)| values.iter().any(String::is_empty)) {
        return Err(Failure::usage(format!("a value of `{key}` is empty")).help("write --set depth=6,24"));
    }
    let all = combinations(&keys);
    if all.len() as u64 * args.seeds > MOST {
        return Err(Failure::usage(format!("{} runs, over the limit of {MOST}", all.len() as u64 * args.seeds)));
    }
    let out = args.out.clone().unwrap_or_else(|| format!("runs/{}-sweep", open::stem(&args.file)));
    let mut rows = vec![];
    let runs = all.len() as u64 * args.seeds;
    for (at, values) in (0..).zip(all) {
        let count = Count { before: at * args.seeds, runs };
        rows.push(one(args, world, &keys, values, &out, &count)?);
    }
    if let Some(path) = &args.csv {
        world.files.write(path, csv(&keys, &rows).as_bytes())?;
    }
    if let Some(path) = &args.output {
        world.files.write(path, chart(args, &keys, &rows)?.svg().as_bytes())?;
    }
    if args.json {
        world.out.line(&json(&keys, &rows).to_string())?;
    } else {
        world.out.line(shown(&keys, &rows).trim_end())?;
    }
    Ok(if rows.iter().all(|row| row.diverged == args.seeds) { Verdict::Wanting } else { Verdict::Well })
}

/// The most runs of a sweep.
const MOST: u64 = 10_000;

/// How many runs were made before a combination, and of how many.
struct Count {
    before: u64,
    runs: u64,
}

/// The first step of a run, of which nothing was learned yet.
#[derive(Default)]
struct Start {
    results: Vec<(String, f64)>,
}

impl Watch for Start {
    fn step(&mut self, row: &Logged) {
        if row.step == 1 {
            self.results.push(("start.loss".into(), row.loss.value()));
            let norm = |(pattern, norm): &(String, Real)| (format!("start.grad_norms.{pattern}"), norm.value());
            self.results.extend(row.grad_norms.iter().map(norm));
        }
    }
}

/// The mean over the last tenth of the steps.
fn last_tenth(losses: &[f64]) -> f64 {
    let last = &losses[losses.len() - losses.len().div_ceil(10)..];
    last.iter().sum::<f64>() / last.len().max(1) as f64
}

/// One combination with every seed.
fn one(
    args: &Args,
    world: &mut World,
    keys: &[(String, Vec<String>)],
    values: Vec<String>,
    out: &str,
    count: &Count,
) -> Result<Row, Failure> {
    let sets: Vec<(String, String)> = keys.iter().map(|(key, _)| key.clone()).zip(values.iter().cloned()).collect();
    let model = ModelArgs { file: args.file.clone(), set: SetArgs { set: sets.clone() } };
    let opened = open::open(world, &model)?;
    let training = opened.training()?;
    let data = open::data(world, &opened, training, args.data.as_deref(), &[])?;
    let mut row = Row { values, results: vec![], diverged: 0 };
    let name: Vec<String> = sets.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let name = name.join(",").replace(['/', ' ', '"'], "");
    for nth in 0..args.seeds {
        let seed = training.seed + nth;
        let options = Options {
            out: Some(format!("{out}/{name},seed={seed}")),
            length: args.steps.map(Length::Steps),
            seed: Some(seed),
            threads: args.threads.count(world)?,
            memory: memory::available(),
            ..Options::default()
        };
        let mut start = Start::default();
        let trained = Trainer::new(training, data.clone(), &options, &world.files)
            .and_then(|mut trainer| trainer.fit(&options, &world.files, &mut start));
        let told = match trained {
            Ok(report) => {
                let loss = last_tenth(&report.losses);
                let valid = report.valid.iter().map(|(name, value)| (format!("valid.{name}"), *value));
                let found = std::iter::once(("loss".to_string(), loss)).chain(valid).chain(start.results);
                for (name, value) in found {
                    match row.results.iter_mut().find(|(own, _)| *own == name) {
                        Some((_, values)) => values.push(value),
                        None => row.results.push((name, vec![value])),
                    }
                }
                format!("loss {loss:.4}")
            }
            Err(TrainError::Diverged { step, what, .. }) => {
                row.diverged += 1;
                format!("diverged at step {step}: {what} is not finite")
            }
            Err(other) => return Err(other.into()),
        };
        // A sweep goes on when nobody reads its progress.
        let (run, runs) = (count.before + nth + 1, count.runs);
        let _ = world.err.line(&format!("run {run} of {runs}: {name}, seed {seed}: {told}"));
    }
    Ok(row)
}

/// The names of all results, in the order in which they came.
fn results(rows: &[Row]) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for (name, _) in rows.iter().flat_map(|row| &row.results) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn found(row: &Row, name: &str) -> Option<(f64, f64, f64)> {
    row.results.iter().find(|(own, _)| own == name).and_then(|(_, values)| spread(values))
}

/// Four digits that count: norms of gradients differ by powers of ten.
fn number(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) {
        return format!("{value:.2e}");
    }
    let whole = [10.0, 100.0, 1000.0].iter().filter(|&&power| value.abs() >= power).count();
    format!("{value:.*}", 4 - whole)
}

fn shown(keys: &[(String, Vec<String>)], rows: &[Row]) -> String {
    let names = results(rows);
    let head = keys.iter().map(|(key, _)| key.clone()).chain(["seeds".into(), "diverged".into()]).chain(names.clone());
    let mut lines: Vec<Vec<String>> = vec![head.collect()];
    for row in rows {
        let seeds = row.results.first().map_or(0, |(_, values)| values.len() as u64) + row.diverged;
        let cell = |name: &String| match found(row, name) {
            Some((median, low, high)) if low < high => {
                format!("{} ({} … {})", number(median), number(low), number(high))
            }
            Some((median, ..)) => number(median),
            None => "-".into(),
        };
        let cells = row.values.iter().cloned().chain([seeds.to_string(), row.diverged.to_string()]);
        lines.push(cells.chain(names.iter().map(cell)).collect());
    }
    let widths: Vec<usize> =
        (0..lines[0].len()).map(|i| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0)).collect();
    let line = |cells: &Vec<String>| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
    };
    lines.iter().map(line).collect()
}

fn csv(keys: &[(String, Vec<String>)], rows: &[Row]) -> String {
    let names = results(rows);
    let quote = |text: &str| {
        if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
    };
    let heads = names.iter().flat_map(|name| ["median", "low", "high"].map(|part| format!("{name}.{part}")));
    let head: Vec<String> = keys.iter().map(|(key, _)| quote(key)).chain(["diverged".into()]).chain(heads).collect();
    let mut text = head.join(",") + "\n";
    for row in rows {
        let numbers = names.iter().flat_map(|name| match found(row, name) {
            Some((median, low, high)) => [median, low, high].map(|value| format!("{value:?}")),
            None => [const { String::new() }; 3],
        });
        let cells: Vec<String> =
            row.values.iter().map(|value| quote(value)).chain([row.diverged.to_string()]).chain(numbers).collect();
        text += &(cells.join(",") + "\n");
    }
    text
}

fn json(keys: &[(String, Vec<String>)], rows: &[Row]) -> serde_json::Value {
    let one = |row: &Row| {
        let sets: serde_json::Map<String, serde_json::Value> =
            keys.iter().zip(&row.values).map(|((key, _), value)| (key.clone(), value.clone().into())).collect();
        let results: serde_json::Map<String, serde_json::Value> =
            row.results.iter().map(|(name, values)| (name.clone(), values.clone().into())).collect();
        serde_json::json!({ "set": sets, "diverged": row.diverged, "results": results })
    };
    serde_json::json!({ "version": 1, "rows": rows.iter().map(one).collect::<Vec<_>>() })
}

/// Over the first key whose values are numbers, a curve for each combination of the others; of several results the
/// second and those that follow are dashed.
fn chart(args: &Args, keys: &[(String, Vec<String>)], rows: &[Row]) -> Result<Chart, Failure> {
    let names = results(rows);
    let usual = if names.iter().any(|name| name == "valid.loss") { "valid.loss" } else { "loss" };
    let drawn = if args.value.is_empty() { vec![usual.to_string()] } else { args.value.clone() };
    if let Some(unknown) = drawn.iter().find(|name| !args.value.is_empty() && !names.contains(name)) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        return Err(Failure::usage(format!("the table has no column `{unknown}`")).help(near_or_all(unknown, &names)));
    }
    let along = along(keys);
    // A colour for each combination of the other keys.
    let (mut curves, mut combinations): (Vec<Curve>, Vec<Vec<String>>) = (vec![], vec![]);
    for (nth, measure) in drawn.iter().enumerate() {
        for (at, row) in rows.iter().enumerate() {
            let Some((median, low, high)) = found(row, measure) else { continue };
            let x = along.and_then(|along| row.values[along].parse().ok()).unwrap_or(at as f64 + 1.0);
            let others = keys.iter().zip(&row.values).enumerate().filter(|(i, _)| Some(*i) != along);
            let words: Vec<String> = others.map(|(_, ((key, _), value))| format!("{key} = {value}")).collect();
            let several = (drawn.len() > 1 || words.is_empty()).then(|| measure.clone());
            let name = words.iter().cloned().chain(several).collect::<Vec<_>>().join(", ");
            let point = Point { x, y: median, reach: Some((low, high)) };
            match curves.iter_mut().find(|curve| curve.name == name) {
                Some(curve) => curve.points.push(point),
                None => {
                    let color = combinations.iter().position(|own| *own == words).unwrap_or_else(|| {
                        combinations.push(words);
                        combinations.len() - 1
                    });
                    curves.push(Curve { name, color, dashed: nth > 0, points: vec![point] });
                }
            }
        }
    }
    curves.iter_mut().for_each(|curve| curve.points.sort_by(|a, b| a.x.total_cmp(&b.x)));
    let x = along.map_or("combination".into(), |along| keys[along].0.clone());
    let y = drawn.join(", ");
    let title = format!("{}: {y}, median and reach of {} seeds", open::stem(&args.file), args.seeds);
    Ok(Chart { title, x, y, curves })
}

/// The first key with several values that are all numbers.
fn along(keys: &[(String, Vec<String>)]) -> Option<usize> {
    let number = |values: &[String]| values.iter().all(|value| value.parse::<f64>().is_ok());
    keys.iter().position(|(_, values)| number(values) && values.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_combinations() {
        assert_eq!(values_of("6, 24"), ["6", "24"]);
        assert_eq!(
            values_of("[1, 2],layernorm(eps = 1e-5, bias = false),\"a,b\""),
            ["[1, 2]", "layernorm(eps = 1e-5, bias = false)", "\"a,b\""]
        );
        let keys = [("a".to_string(), values_of("1,2")), ("b".to_string(), values_of("x,y"))];
        let all: Vec<String> = combinations(&keys).iter().map(|values| values.join("")).collect();
        assert_eq!(all, ["1x", "1y", "2x", "2y"]);
    }

    #[test]
    fn medians() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0)));
        assert_eq!(spread(&[3.0, 1.0]), Some((2.0, 1.0, 3.0)));
        assert_eq!(spread(&[]), None);
    }
}
