//! The reference as pages of Markdown: a page a family, written by `wythe explain --markdown DIR`.
//!
//! Those in `pages/` are rustdoc's; a test compares them with what is written now. Codes and lints are left to
//! `wythe explain`, whose reports change with every word of a message.

use super::page::{Attribute, Example, ExampleKind, Page};
use super::plot::Drawing;
use super::torch::{CATEGORIES, Category, LEAD};
use super::{Section, Topic, sections};

/// A page: the name of its file without an ending, and its text.
pub struct Chapter {
    /// `along_an_axis`.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Markdown.
    pub text: String,
}

/// Titles in Chinese.
#[rustfmt::skip]
pub static CHINESE: &[(&str, &str)] = &[
    ("Activations", "激活函数"), ("Activations made of pieces", "分段激活函数"), ("Arithmetic", "算术运算"),
    ("Functions", "初等函数"), ("Comparisons and logic", "比较与逻辑"), ("Along an axis", "沿轴运算"),
    ("Extremes and truth along axes", "沿轴最值与逻辑"), ("Variance, norms and counts", "方差、范数与计数"),
    ("Running sums", "累积运算"), ("Order", "排序"), ("Linear algebra", "线性代数"), ("Convolution", "卷积"),
    ("Pooling", "池化"), ("Pooling to a size", "自适应池化"), ("Windows", "滑动窗口"), ("Resampling", "上采样与重采样"),
    ("Sampling at points", "网格采样"), ("Normalisation", "归一化"), ("Normalisation in groups", "分组归一化"),
    ("Embedding and position", "嵌入与位置编码"), ("Embedding", "嵌入"), ("Position", "位置编码"),
    ("Attention", "注意力"), ("Attention without projections", "无投影的注意力"), ("Recurrence", "循环网络"),
    ("Randomness", "随机性与 Dropout"), ("Dropout", "Dropout"), ("Shape", "形状"), ("Parts of a value", "切分与填充"),
    ("Repeating and reordering", "重复与重排"), ("Axes by name", "按名称操作轴"), ("Elements by number", "按索引取元素"),
    ("Losses and metrics", "损失与指标"), ("Losses of values", "数值损失"), ("Losses with margins", "间隔损失"),
    ("Distances", "距离"), ("Sources", "数据源算子"), ("Optimizers", "优化器"), ("Schedules", "学习率调度"),
    ("Questions", "问题"), ("torch.nn, class by class", "torch.nn 对照表"),
    ("formula", "公式"), ("derivative", "导数"), ("shapes", "形状"), ("parameters", "参数"), ("state", "状态"),
    ("train, eval", "训练与推理"), ("memory", "内存"), ("seen in", "用例"), ("source", "出处"), ("PyTorch", "PyTorch"),
    ("stands in", "位置"), ("arguments", "参数项"),
];

/// A title or label, with its Chinese one where there is one.
fn both(title: &str) -> String {
    let chinese = CHINESE.iter().find(|(own, _)| *own == title).map(|(_, chinese)| *chinese);
    chinese.filter(|chinese| *chinese != title).map_or(title.into(), |chinese| format!("{title} · {chinese}"))
}

/// All pages, in the order of the reference.
pub fn chapters() -> Vec<Chapter> {
    let told = |topic: &Topic| !matches!(topic, Topic::Code(_) | Topic::Lint(_) | Topic::Torch);
    let whole = |section: &Section| !section.topics.is_empty() && section.topics.iter().all(told);
    let mut all: Vec<Chapter> = sections().iter().filter(|section| whole(section)).map(chapter).collect();
    all.push(classes());
    all
}

/// `Along an axis` as a file and a module are called.
fn file_name(title: &str) -> String {
    let words = title.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

fn head(title: &str) -> String {
    format!("# {}\n\n<!-- Written by `wythe explain --markdown`, from the texts in the source. -->\n", both(title))
}

fn chapter(section: &Section) -> Chapter {
    let mut text = head(section.title);
    for topic in &section.topics {
        text.push('\n');
        text.push_str(&entry(&topic.page()));
    }
    Chapter { name: file_name(section.title), title: section.title.into(), text }
}

fn entry(page: &Page) -> String {
    let mut out = match page.kind.as_str() {
        "question" => format!("## {}\n", prose(&page.lead)),
        _ => format!("## `{}`\n\n{}\n", page.name, prose(&page.lead)),
    };
    for (index, (label, text)) in page.facts.iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { "" });
        out.push_str(&format!("* {}: {}\n", both(label), fact(label, text)));
    }
    if !page.attributes.is_empty() {
        out.push_str(&format!("\n| {} | |\n| --- | --- |\n", both("arguments")));
        page.attributes.iter().for_each(|attribute| out.push_str(&argument(attribute)));
    }
    for paragraph in &page.text {
        out.push_str(&format!("\n{}\n", prose(paragraph)));
    }
    page.examples.iter().for_each(|example| out.push_str(&shown(example)));
    if let Some(curve) = &page.curve {
        let drawn = curve.draw(&Drawing { width: 72, color: false, unicode: true });
        out.push_str(&format!("\n```text\n{drawn}```\n"));
    }
    out
}

/// Formulas as code, clause by clause; anything else as prose.
fn fact(label: &str, text: &str) -> String {
    match label {
        "shapes" if !text.contains('[') => prose(text),
        "formula" | "shapes" | "parameters" | "state" => code(text),
        "derivative" => {
            let clause = |clause: &str| if clause.contains(" = ") { code(clause) } else { prose(clause) };
            text.split("; ").map(clause).collect::<Vec<_>>().join("; ")
        }
        _ => prose(text),
    }
}

fn code(text: &str) -> String {
    if text.contains('`') { prose(text) } else { format!("`{text}`") }
}

fn argument(attribute: &Attribute) -> String {
    let torch = attribute.torch.map(|name| format!(" (PyTorch: `{name}`)")).unwrap_or_default();
    format!("| `{}` | {}{torch} |\n", attribute.written, prose(&attribute.doc))
}

fn shown(example: &Example) -> String {
    let (language, sign) = if example.kind == ExampleKind::Command { ("console", "$ ") } else { ("text", "") };
    format!("\n{}\n\n```{language}\n{sign}{}\n```\n", prose(&example.says), example.text.trim_end())
}

/// Words in which Markdown is to see no more than was meant: code between backticks and **strong** words.
fn prose(text: &str) -> String {
    let signs: Vec<char> = text.chars().collect();
    let (mut out, mut code) = (String::new(), false);
    for (at, &sign) in signs.iter().enumerate() {
        code ^= sign == '`';
        let strong = sign == '*' && (signs.get(at + 1) == Some(&'*') || (at > 0 && signs[at - 1] == '*'));
        if !code && "[]<>*_|".contains(sign) && !strong {
            out.push('\\');
        }
        out.push(sign);
    }
    out
}

/// torch.nn as tables.
fn classes() -> Chapter {
    let title = "torch.nn, class by class";
    let table = |category: &Category| {
        let rows = category.rows.iter().map(|row| {
            let theirs: Vec<String> = row.theirs.iter().map(|name| format!("`{name}`")).collect();
            format!("| {} | {} |\n", theirs.join(" "), prose(&row.says()))
        });
        format!("\n## {}\n\n| class | here |\n| --- | --- |\n{}", category.title, rows.collect::<String>())
    };
    let tables: String = CATEGORIES.iter().map(table).collect();
    Chapter { name: "torch_nn".into(), title: title.into(), text: format!("{}\n{LEAD}\n{tables}", head(title)) }
}

/// The page that names the others.
pub fn index() -> String {
    let line = |chapter: &Chapter| format!("* [{}]({}.md)\n", both(&chapter.title), chapter.name);
    let lines: String = chapters().iter().map(line).collect();
    format!("# The reference · 参考手册\n\n{lines}\nCodes of reports and lints: `wythe explain CODE`.\n")
}

/// The module that shows the pages to rustdoc.
pub fn module() -> String {
    let one = |chapter: &Chapter| format!("#[doc = include_str!(\"{0}.md\")]\npub mod {0} {{}}\n", chapter.name);
    let all: String = chapters().iter().map(one).collect();
    format!("//! The pages of the reference, one a family; written by `wythe explain --markdown`.\n\n{all}")
}
