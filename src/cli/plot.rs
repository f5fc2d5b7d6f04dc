//! `wythe plot`: the curves of runs as a picture, or as a table.

use super::{Failure, Verdict, World};
use crate::data::near_or_all;
use crate::export::chart::{Chart, Curve, Point};
use crate::text::Files;
use crate::train::history::History;
use indexmap::IndexSet;

/// Draws the curves of runs as SVG, or writes them as a table
///
/// Each run is its folder, or its metrics.jsonl. Without --value the loss is drawn, and dashed the loss on held-out rows.
/// Several runs share one picture. Values are those of the log: loss, lr, grad_norm, terms.NAME, valid.NAME.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe plot runs/digits -o loss.svg\n  wythe plot runs/digits --value grad_norm --csv metrics.csv -o norms.svg"
)]
pub struct Args {
    /// Folders of runs, or their logs
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<String>,

    /// The picture
    #[arg(short, long, value_name = "PATH", required_unless_present = "csv")]
    pub output: Option<String>,

    /// What is drawn: loss, lr, grad_norm, terms.NAME, valid.NAME; repeatable
    #[arg(long, value_name = "NAME")]
    pub value: Vec<String>,

    /// Also writes everything that was logged as a table
    #[arg(long, value_name = "PATH")]
    pub csv: Option<String>,

    /// One JSON object about what was written
    #[arg(long)]
    pub json: bool,
}

/// The largest log that is read.
const LIMIT: u64 = 4 << 30;

/// Reads the logs, writes what was asked for.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let mut histories = vec![];
    for run in &args.runs {
        let path =
            if run.ends_with(".jsonl") { run.clone() } else { format!("{}/metrics.jsonl", run.trim_end_matches('/')) };
        histories
            .push((run.trim_end_matches('/').to_string(), History::read(&world.files.read(&path, LIMIT)?, &path)?));
    }
    if let Some(path) = &args.output {
        let chart = chart(&histories, &args.value)?;
        world.files.write(path, chart.svg().as_bytes())?;
    }
    if let Some(path) = &args.csv {
        world.files.write(path, table(&histories).as_bytes())?;
    }
    let written: Vec<&String> = args.output.iter().chain(&args.csv).collect();
    if args.json {
        let steps: Vec<usize> = histories.iter().map(|(_, history)| history.rows().len()).collect();
        world.out.line(&serde_json::json!({ "version": 1, "files": written, "steps": steps }).to_string())?;
    } else {
        written.iter().try_for_each(|path| world.out.line(path))?;
    }
    Ok(Verdict::Well)
}

fn chart(histories: &[(String, History)], asked: &[String]) -> Result<Chart, Failure> {
    let usual = ["loss".to_string(), "valid.loss".to_string()];
    let values = if asked.is_empty() { &usual[..] } else { asked };
    let mut curves = vec![];
    for (color, (run, history)) in histories.iter().enumerate() {
        for (i, value) in values.iter().enumerate() {
            let points: Vec<Point> =
                history.curve(value).iter().map(|&(step, y)| Point { x: step as f64, y, reach: None }).collect();
            if points.is_empty() {
                if asked.is_empty() && i > 0 {
                    continue;
                }
                let names: Vec<&str> = history.names().collect();
                let message = format!("{run} has no value `{value}`");
                return Err(Failure::usage(message).help(near_or_all(value, &names)));
            }
            let name = match (histories.len(), values.len()) {
                (1, _) => value.clone(),
                (_, 1) => run.clone(),
                _ => format!("{run} {value}"),
            };
            let color = if histories.len() == 1 && !asked.is_empty() { i } else { color };
            curves.push(Curve { name, color, dashed: value.starts_with("valid."), points });
        }
    }
    let words = if asked.is_empty() { "loss".to_string() } else { values.join(", ") };
    let runs: Vec<&str> = histories.iter().map(|(run, _)| run.as_str()).collect();
    let all = runs.join(", ");
    let title = if all.len() > 60 { format!("{words} of {} runs", runs.len()) } else { format!("{words}: {all}") };
    Ok(Chart { title, x: "optimizer steps".into(), y: words, curves })
}

/// A line for each step of each run; what a step has no value of is empty.
fn table(histories: &[(String, History)]) -> String {
    let names: IndexSet<&str> = histories.iter().flat_map(|(_, history)| history.names()).collect();
    let quote = |text: &str| {
        if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
    };
    let mut text = format!("run,step,{}\n", names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(","));
    for (run, history) in histories {
        for (step, values) in history.rows() {
            let mut cells = vec![String::new(); names.len()];
            for (name, value) in values {
                if let Some(place) = names.get_index_of(name) {
                    cells[place] = format!("{value:?}");
                }
            }
            text.push_str(&format!("{},{step},{}\n", quote(run), cells.join(",")));
        }
    }
    text
}
