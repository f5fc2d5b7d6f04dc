//! A page as data, and as text.

use super::plot::Curve;
use serde::Serialize;

/// What is said of a topic.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// Its name.
    pub name: String,
    /// What it is: `activation`, `optimizer`, `question`.
    pub kind: String,
    /// The first sentence.
    pub lead: String,
    /// In a few words each: label and text.
    pub facts: Vec<(&'static str, String)>,
    /// The arguments.
    pub attributes: Vec<Attribute>,
    /// The paragraphs after the first sentence.
    pub text: Vec<String>,
    /// What can be tried.
    pub examples: Vec<Example>,
    /// The function and its derivative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Curve>,
}

/// An argument.
#[derive(Clone, Debug, Serialize)]
pub struct Attribute {
    /// As it is written with its default: `bias = true`.
    pub written: String,
    /// What it says.
    pub doc: String,
    /// PyTorch's name, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torch: Option<&'static str>,
}

/// Something to try or to look at.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// What it shows.
    pub says: String,
    /// As it is written.
    pub text: String,
    /// What it is.
    pub kind: ExampleKind,
}

/// The kinds of example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExampleKind {
    /// A command of the shell.
    Command,
    /// A `.model` text.
    Model,
    /// What the program answers.
    Report,
}

/// A doc comment as its first sentence and the paragraphs after it.
pub fn lead(doc: &str) -> (String, Vec<String>) {
    let paragraphs: Vec<String> = doc.split("\n\n").map(joined).filter(|text| !text.is_empty()).collect();
    let Some((first, rest)) = paragraphs.split_first() else { return Default::default() };
    // A sentence ends in a full stop before a space and a capital: not in "e.g. this" or "0.5".
    let end = first.match_indices(". ").map(|(at, _)| at + 1).find(|&at| {
        first[at..].trim_start().starts_with(|sign: char| sign.is_uppercase() || sign == '`' || sign == '(')
    });
    let (sentence, after) = first.split_at(end.unwrap_or(first.len()));
    let after = Some(after.trim().to_string()).filter(|text| !text.is_empty());
    (sentence.trim().to_string(), after.into_iter().chain(rest.iter().cloned()).collect())
}

fn joined(paragraph: &str) -> String {
    paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_string()
}

impl Page {
    /// As a person reads it, without its curve.
    pub fn show(&self, width: usize) -> String {
        let mut out = format!("{} ({})\n{}", self.name, self.kind, filled(&self.lead, "  ", "  ", width));
        let label = self.facts.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        for (index, (name, text)) in self.facts.iter().enumerate() {
            out.push_str(if index == 0 { "\n" } else { "" });
            out.push_str(&hung(text, &format!("  {name:label$}  "), width));
        }
        let written = self.attributes.iter().map(|attribute| attribute.written.chars().count()).max().unwrap_or(0);
        for (index, attribute) in self.attributes.iter().enumerate() {
            out.push_str(if index == 0 { "\n  arguments\n" } else { "" });
            out.push_str(&hung(&attribute.says(), &format!("    {:written$}  ", attribute.written), width));
        }
        for paragraph in &self.text {
            out.push('\n');
            out.push_str(&filled(paragraph, "  ", "  ", width));
        }
        for example in &self.examples {
            out.push('\n');
            out.push_str(&filled(&example.says, "  ", "  ", width));
            for line in example.text.lines() {
                out.push_str(format!("    {line}").trim_end());
                out.push('\n');
            }
        }
        out
    }
}

impl Attribute {
    fn says(&self) -> String {
        match self.torch {
            Some(name) => format!("{} (PyTorch: {name})", self.doc),
            None => self.doc.clone(),
        }
    }
}

/// Text whose later lines stand below its first word.
fn hung(text: &str, first: &str, width: usize) -> String {
    filled(text, first, &" ".repeat(textwrap::core::display_width(first)), width)
}

fn filled(text: &str, first: &str, then: &str, width: usize) -> String {
    let options = textwrap::Options::new(width.clamp(40, 110)).initial_indent(first).subsequent_indent(then);
    textwrap::fill(text, options.break_words(false)) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_of_a_manual() {
        let (first, rest) = lead(" Halves x, e.g. 0.5 of 1. It keeps\n the sign. Etc.\n\n More.\n\n");
        assert_eq!(first, "Halves x, e.g. 0.5 of 1.");
        assert_eq!(rest, ["It keeps the sign. Etc.", "More."]);
        assert_eq!(lead("").0, "");
    }
}
