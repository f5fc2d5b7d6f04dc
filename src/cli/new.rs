//! `wythe new`: a model to begin with.

use super::{Failure, Verdict, World};
use crate::data::near_or_all;
use crate::elaborate::Request;
use crate::pipeline::check;
use crate::text::{Files, Source};

/// Writes NAME.model, a copy of a template to begin with
///
/// The templates are the example models, each with its paper. What is there already is never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  wythe new --list\n  wythe new first --template digits")]
pub struct Args {
    /// The model's name, and its file's; a folder may stand before it
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Which model to begin with (--list shows all)
    #[arg(short = 't', long, value_name = "TEMPLATE", default_value = "digits")]
    pub template: String,

    /// Lists the templates
    #[arg(long, conflicts_with = "name")]
    pub list: bool,

    /// One JSON object about the file, or the list
    #[arg(long)]
    pub json: bool,
}

/// A model of the folder `models`, which can stand alone.
struct Template {
    /// The name of its file.
    name: &'static str,
    /// What else one might call it.
    also: &'static [&'static str],
    text: &'static str,
}

macro_rules! templates {
    ($($name:literal $(or $also:literal)*;)*) => {
        &[$(Template {
            name: $name,
            also: &[$($also),*],
            text: include_str!(concat!("../../models/", $name, ".model")),
        }),*]
    };
}

/// Every model in `models/` that uses no other file; a test holds the two together.
const TEMPLATES: &[Template] = templates! {
    "digits";
    "mlp";
    "gpt" or "transformer" or "decoder";
    "resnet18" or "resnet" or "conv" or "cnn";
    "twotower" or "clip";
    "deepnet" or "encoder";
    "densenet121" or "densenet";
    "fashion_mlp" or "fashion";
    "placement" or "norms";
    "vae";
    "chars" or "text";
    "charlstm" or "lstm" or "rnn" or "gru";
};

impl Template {
    /// What its first line says of it, behind the dash.
    fn about(&self) -> &str {
        let first = self.text.lines().next().unwrap_or("");
        first.split_once(" — ").map_or(first, |(_, about)| about).trim_end_matches('.')
    }

    /// The name that its model has there.
    fn model(&self) -> &str {
        let line = self.text.lines().find_map(|line| line.strip_prefix("model ")).unwrap_or("");
        line.split(|c: char| !is_word(c)).next().unwrap_or("")
    }

    /// Whether it trains without data of the user's.
    fn has_data(&self) -> bool {
        self.text.lines().any(|line| line.trim_start().starts_with("data ") && line.contains("digits"))
    }

    /// The text under another name, and where its file is.
    fn named(&self, name: &str, file: &str) -> String {
        let text = self.text.replace(&format!("models/{}.model", self.name), file);
        let text = text.replacen(&format!("{}.model", self.name), &format!("{name}.model"), 1);
        let heads = ["model ", "train ", ": "].map(|head| format!("{head}{}", self.model()));
        let line = |line: &str| {
            let head = heads.iter().find(|head| {
                let entry = line.starts_with("model ") || line.starts_with("train ");
                entry && line.find(head.as_str()).is_some_and(|at| !line[at + head.len()..].starts_with(is_word))
            });
            match head {
                Some(head) => {
                    line.replacen(head.as_str(), &format!("{}{name}", &head[..head.len() - self.model().len()]), 1)
                }
                None => line.to_string(),
            }
        };
        text.lines().map(|own| line(own) + "\n").collect()
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Writes the file and says what comes next.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let name = match args.name.as_deref() {
        Some(name) => name,
        None if args.list => return list(args, world),
        None => return Err(taught()),
    };
    let template = find(&args.template)?;
    let file = format!("{}.model", name.strip_suffix(".model").unwrap_or(name));
    let name = super::open::stem(&file);
    let text = template.named(name, &file);
    if world.files.exists(&file) {
        let help = format!("take another name, or move it away: `wythe new {name}_2 --template {}`", template.name);
        return Err(Failure::usage(format!("{file} is there already, and is left as it is")).help(help));
    }
    if check(Source::new(file.as_str(), text.as_str()), &Request::default(), None).has_errors() {
        let help = "a name is made of letters, digits and `_`, begins with a letter, and is no word of the language";
        return Err(Failure::usage(format!("`{name}` cannot name a model")).help(help));
    }
    world.files.write(&file, text.as_bytes())?;
    if args.json {
        let object = serde_json::json!({ "version": 1, "file": file, "model": name, "template": template.name });
        world.out.line(&object.to_string())?;
        return Ok(Verdict::Well);
    }
    world.out.line(&format!("wrote {file}, from {}: {}", template.name, template.about()))?;
    world.out.line(&format!("  wythe check {file}      proves its shapes, as often as you change it"))?;
    world.out.line(&format!("  wythe summary {file}    shows its layers and parameters"))?;
    let data = if template.has_data() { "" } else { " --data FILE" };
    if text.lines().any(|line| line.starts_with("train ")) {
        world.out.line(&format!("  wythe train {file}{data}      trains it"))?;
    }
    Ok(Verdict::Well)
}

/// What somebody wants to know who says only `wythe new`.
fn taught() -> Failure {
    let width = TEMPLATES.iter().map(|template| template.name.len()).max().unwrap_or(0);
    let lines = TEMPLATES.iter().map(|template| format!("\n    {:<width$}  {}", template.name, template.about()));
    let help = format!(
        "`wythe new first` writes first.model, which trains at once: `wythe train first.model`\n  others, by --template:{}",
        lines.collect::<String>()
    );
    Failure::usage("a new model wants a name").help(help)
}

fn find(asked: &str) -> Result<&'static Template, Failure> {
    let found = TEMPLATES.iter().find(|template| template.name == asked || template.also.contains(&asked));
    found.ok_or_else(|| {
        let names: Vec<&str> =
            TEMPLATES.iter().flat_map(|t| std::iter::once(t.name).chain(t.also.iter().copied())).collect();
        let near = near_or_all(asked, &names);
        Failure::usage(format!("there is no template `{asked}`: {near}")).help("`wythe new --list` shows them all")
    })
}

fn list(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    if args.json {
        let all: Vec<_> = TEMPLATES
            .iter()
            .map(|t| serde_json::json!({ "name": t.name, "also": t.also, "about": t.about() }))
            .collect();
        world.out.line(&serde_json::json!({ "version": 1, "templates": all }).to_string())?;
        return Ok(Verdict::Well);
    }
    let width = TEMPLATES.iter().map(|template| template.name.len()).max().unwrap_or(0);
    for template in TEMPLATES {
        let also = if template.also.is_empty() { String::new() } else { format!("   ({})", template.also.join(", ")) };
        world.out.line(&format!("{:<width$}  {}{also}", template.name, template.about()))?;
    }
    Ok(Verdict::Well)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_checks_in_silence_under_another_name() {
        for template in TEMPLATES {
            let text = template.named("my_net", "nets/my_net.model");
            let checked = check(Source::new("my_net.model", text.as_str()), &Request::default(), None);
            assert!(checked.diagnostics.is_empty(), "{}: {}", template.name, checked.render());
            assert_eq!(checked.models[0].name, "my_net", "{}", template.name);
            assert!(text.starts_with("// my_net.model — "), "{text}");
            let left = [format!("{}.model", template.name), format!("train {}", template.model())];
            for word in left {
                assert!(!text.contains(&word), "{}: {word} is left\n{text}", template.name);
            }
        }
    }

    #[test]
    fn every_model_that_can_stand_alone_is_a_template() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            if path.extension().is_none_or(|end| end != "model") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("it is text");
            let alone = !text.lines().any(|line| line.starts_with("use "));
            assert_eq!(alone, TEMPLATES.iter().any(|template| template.name == name), "{name}");
        }
        let mut names: Vec<&str> =
            TEMPLATES.iter().flat_map(|t| std::iter::once(t.name).chain(t.also.iter().copied())).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name twice");
    }
}
