//! `wythe explain`: the reference.

use super::{Failure, Verdict, World};
use crate::reference::{Drawing, Page, Topic, book, find, nearest, sections};
use crate::text::Files;

/// Explains an operator, an optimizer, a schedule, a code or a question
///
/// Without a topic everything is listed by family. PyTorch's names work, too: `wythe explain nn.GELU`. A curve on a page is
/// computed by the operator's own kernel and gradient.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  wythe explain gelu\n  wythe explain shape::residual")]
pub struct Args {
    /// What is to be explained
    #[arg(value_name = "TOPIC")]
    pub topic: Option<String>,

    /// Writes the curve of the function and its derivative as a picture
    #[arg(long, value_name = "PATH", requires = "topic", conflicts_with = "json")]
    pub svg: Option<String>,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,

    /// Writes the whole reference as pages of Markdown, one a family
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["topic", "json"])]
    pub markdown: Option<String>,
}

/// Finds the topic and shows its page.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    if let Some(folder) = &args.markdown {
        return write(folder, world);
    }
    let Some(word) = &args.topic else { return list(args, world) };
    let topics = find(word);
    if topics.is_empty() {
        let near = nearest(word).map(|name| format!("did you mean `{name}`?"));
        let help = near.unwrap_or_else(|| "`wythe explain` lists everything".into());
        return Err(Failure::usage(format!("nothing is called `{word}`")).help(help));
    }
    let pages: Vec<Page> = topics.iter().map(Topic::page).collect();
    if let Some(path) = &args.svg {
        return draw(path, word, &pages, world);
    }
    if args.json {
        let object = serde_json::json!({ "version": 1, "pages": pages });
        world.out.line(&serde_json::to_string_pretty(&object).unwrap_or_default())?;
        return Ok(Verdict::Well);
    }
    for (index, page) in pages.iter().enumerate() {
        if index > 0 {
            world.out.line("")?;
        }
        let text = page.show(world.out.width);
        let (title, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let title = if world.out.color { format!("\u{1b}[1m{title}\u{1b}[0m") } else { title.into() };
        world.out.line(&title)?;
        world.out.put(rest)?;
        if let Some(curve) = &page.curve {
            let how = Drawing { width: world.out.width, color: world.out.color, unicode: world.out.unicode };
            world.out.line("")?;
            world.out.put(&curve.draw(&how))?;
        }
    }
    Ok(Verdict::Well)
}

/// The reference as pages; beside a `mod.rs` that shows them to rustdoc, that one as well.
fn write(folder: &str, world: &mut World) -> Result<Verdict, Failure> {
    let chapters = book::chapters();
    let place = |name: &str| format!("{}/{name}", folder.trim_end_matches('/'));
    for chapter in &chapters {
        world.files.write(&place(&format!("{}.md", chapter.name)), chapter.text.as_bytes())?;
    }
    world.files.write(&place("README.md"), book::index().as_bytes())?;
    if world.files.read(&place("mod.rs"), 1 << 20).is_ok() {
        world.files.write(&place("mod.rs"), book::module().as_bytes())?;
    }
    world.err.line(&format!("wrote {} pages into {folder}", chapters.len() + 1))?;
    Ok(Verdict::Well)
}

/// Everything, by family.
fn list(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    if args.json {
        let topics = |topics: &[Topic]| -> Vec<_> {
            topics.iter().map(|topic| serde_json::json!({ "name": topic.name(), "lead": topic.lead() })).collect()
        };
        let all: Vec<_> = sections()
            .iter()
            .map(|section| serde_json::json!({ "title": section.title, "topics": topics(&section.topics) }))
            .collect();
        let object = serde_json::json!({ "version": 1, "sections": all });
        world.out.line(&serde_json::to_string_pretty(&object).unwrap_or_default())?;
        return Ok(Verdict::Well);
    }
    for (index, section) in sections().iter().enumerate() {
        if index > 0 {
            world.out.line("")?;
        }
        world.out.line(section.title)?;
        let width = section.topics.iter().map(|topic| topic.name().len()).max().unwrap_or(0);
        for topic in &section.topics {
            let room = world.out.width.saturating_sub(width + 4);
            world.out.line(&format!("  {:width$}  {}", topic.name(), cut(&topic.lead(), room)))?;
        }
    }
    Ok(Verdict::Well)
}

/// The words of a text that fit.
fn cut(text: &str, room: usize) -> String {
    match textwrap::wrap(text, room.saturating_sub(2).max(20)).as_slice() {
        [] => String::new(),
        [whole] => whole.to_string(),
        [first, ..] => format!("{first} …"),
    }
}

fn draw(path: &str, word: &str, pages: &[Page], world: &mut World) -> Result<Verdict, Failure> {
    let Some(curve) = pages.iter().find_map(|page| page.curve.as_ref()) else {
        let message = format!("`{word}` is no function of one number: it has no curve");
        return Err(Failure::usage(message).help("activations have one: `wythe explain gelu --svg gelu.svg`"));
    };
    let written = world.files.write(path, curve.svg().as_bytes());
    written.map_err(|error| Failure::usage(format!("{path} cannot be written: {}", error.reason)))?;
    world.out.line(&format!("wrote {path}"))?;
    Ok(Verdict::Well)
}
