//! A line of Python as a flow: `F.relu(self.fc1(x))` is `x |> fc1 |> relu` here.
//!
//! It works on tokens and knows no sizes: a class (`nn.Linear(784, 256)`) is a stage, and what it is called on flows
//! in; a function (`F.relu(x)`) is a stage with what flows in as its first argument; so is a method. Where it cannot
//! tell it says nothing, and whatever it says is tried like any other fix.

use crate::ir::attr::{AttrDefault, AttrKind};
use crate::ir::op::OpDef;
use crate::ops;
use crate::ops::foreign::{self, Fate};
use crate::optim;
use crate::syntax::lex::{Kind, Token, lex};

/// Names under which other libraries are imported.
const LIBRARIES: &[&str] =
    &["nn", "F", "torch", "tf", "keras", "layers", "jnp", "jax", "np", "mx", "flax", "eqx", "einops", "functional"];

/// Methods that change nothing here: where a value lies, and how, is not said.
const KEEPS: &[&str] = &["to", "cuda", "cpu", "contiguous", "clone", "numpy", "requires_grad_", "half", "eval"];

/// What a piece of text is in our terms.
#[derive(Clone, Debug)]
enum Piece {
    /// Something that flows.
    Value(String),
    /// A stage, or several joined by `|>`.
    Stage(String),
    /// Something of the number world.
    Number(String),
    /// `[a, b]` or `(a, b)`.
    List(Vec<Piece>),
}

type Args = Vec<(Option<String>, Piece)>;

struct Reader<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    /// A word of ours that this version does not have yet.
    planned: Option<&'static str>,
}

/// A text of another library in our spelling.
pub(super) struct Ours {
    /// As it is written here.
    pub text: String,
    /// The operator that this version does not have yet.
    pub planned: Option<&'static str>,
    /// Whether it is a stage, not a whole flow.
    pub stage: bool,
}

/// The whole of a text, translated.
pub(super) fn translated(text: &str) -> Option<Ours> {
    let tokens = lex(text).into_iter().filter(|token| token.kind != Kind::Newline && !token.is_comment()).collect();
    let mut reader = Reader { text, tokens, at: 0, planned: None };
    let piece = reader.expression(0)?;
    if reader.at < reader.tokens.len() {
        return None;
    }
    let stage = matches!(&piece, Piece::Stage(text) if !text.contains("|>"));
    Some(Ours { text: piece.text(), planned: reader.planned, stage })
}

impl Piece {
    fn text(self) -> String {
        match self {
            Piece::Value(text) | Piece::Stage(text) | Piece::Number(text) => text,
            Piece::List(items) => {
                let numbers = items.iter().all(|item| matches!(item, Piece::Number(_)));
                let items: Vec<String> = items.into_iter().map(Piece::text).collect();
                if numbers { format!("[{}]", items.join(", ")) } else { format!("({})", items.join(", ")) }
            }
        }
    }

    /// As an operand of an infix sign.
    fn operand(self) -> String {
        let text = self.text();
        if text.contains("|>") { format!("({text})") } else { text }
    }
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<(Kind, &'t str)> {
        self.tokens.get(self.at).map(|token| (token.kind, token.text(self.text)))
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = self.peek().is_some_and(|(_, text)| text == sign);
        self.at += usize::from(found);
        found
    }

    fn expression(&mut self, depth: usize) -> Option<Piece> {
        let mut left = self.postfix(depth)?;
        while let Some((Kind::Sign, sign @ ("+" | "-" | "*" | "/" | "%" | "//" | "**"))) = self.peek() {
            self.at += 1;
            let right = self.postfix(depth)?;
            let numbers = matches!((&left, &right), (Piece::Number(_), Piece::Number(_)));
            let sign = if sign == "**" { "^" } else { sign };
            let text = format!("{} {sign} {}", left.operand(), right.operand());
            left = if numbers { Piece::Number(text) } else { Piece::Value(text) };
        }
        Some(left)
    }

    fn postfix(&mut self, depth: usize) -> Option<Piece> {
        let mut piece = self.primary(depth)?;
        loop {
            match self.peek() {
                Some((Kind::Open, "(")) => {
                    let args = self.args(depth)?;
                    let Piece::Stage(stage) = piece else { return None };
                    piece =
                        Piece::Value(if args.is_empty() { stage } else { format!("{} |> {stage}", flowing(args)?) });
                }
                Some((Kind::Sign, ".")) => {
                    self.at += 1;
                    let (Kind::Word, method) = self.peek()? else { return None };
                    self.at += 1;
                    piece = self.method(piece, method, depth)?;
                }
                Some((Kind::Open, _)) => return None,
                _ => return Some(piece),
            }
        }
    }

    /// `x.view(-1, 784)`.
    fn method(&mut self, value: Piece, method: &str, depth: usize) -> Option<Piece> {
        let called = self.peek().is_some_and(|(_, text)| text == "(");
        let args = if called { self.args(depth)? } else { vec![] };
        if KEEPS.contains(&method) {
            return Some(value);
        }
        if !called && !matches!(method, "T" | "mT") {
            return None;
        }
        let stage = self.stage(method, args)?;
        let text = format!("{} |> {stage}", value.clone().text());
        Some(if matches!(value, Piece::Stage(_)) { Piece::Stage(text) } else { Piece::Value(text) })
    }

    fn primary(&mut self, depth: usize) -> Option<Piece> {
        let (kind, text) = self.peek()?;
        if depth > 32 {
            return None;
        }
        match (kind, text) {
            (Kind::Word, "lambda" | "for" | "if" | "not" | "await") => None,
            (Kind::Word, "True" | "False") => self.number(&text.to_lowercase()),
            (Kind::Word, "None") => self.number("none"),
            (Kind::Word, _) => self.named(text, depth),
            (Kind::Number, _) => self.number(text),
            (Kind::Str | Kind::QuotedStr, _) => self.number(&format!("\"{}\"", text.trim_matches(['"', '\'']))),
            (Kind::Sign, "-") => {
                self.at += 1;
                let (Kind::Number, digits) = self.peek()? else { return None };
                self.number(&format!("-{digits}"))
            }
            (Kind::Open, "(" | "[") => {
                let args = self.args(depth)?;
                if args.iter().any(|(name, _)| name.is_some()) {
                    return None;
                }
                let mut items: Vec<Piece> = args.into_iter().map(|(_, piece)| piece).collect();
                Some(if items.len() == 1 && text == "(" { items.swap_remove(0) } else { Piece::List(items) })
            }
            _ => None,
        }
    }

    fn number(&mut self, text: &str) -> Option<Piece> {
        self.at += 1;
        Some(Piece::Number(text.to_string()))
    }

    /// A name, with the names after its dots: of a library, of `self`, or of a value.
    fn named(&mut self, root: &'t str, depth: usize) -> Option<Piece> {
        self.at += 1;
        let mut path = vec![root];
        let library = LIBRARIES.contains(&root);
        while (library || root == "self") && self.takes(".") {
            let (Kind::Word, part) = self.peek()? else { return None };
            self.at += 1;
            path.push(part);
        }
        let last = path[path.len() - 1];
        if path.len() == 1 && library {
            return None;
        }
        let called = self.peek().is_some_and(|(_, text)| text == "(");
        if root == "self" {
            return match (path.len(), called) {
                (2, true) => Some(Piece::Value(format!("{} |> {last}", flowing(self.args(depth)?)?))),
                (2, false) => Some(Piece::Value(last.to_string())),
                _ => None,
            };
        }
        let class = last.starts_with(|c: char| c.is_ascii_uppercase());
        if !called {
            return Some(if library || class {
                Piece::Stage(self.stage(last, vec![])?)
            } else {
                Piece::Value(last.into())
            });
        }
        let mut args = self.args(depth)?;
        let first = args.first().filter(|(name, _)| name.is_none()).map(|(_, piece)| piece.clone());
        let of_values = match &first {
            Some(Piece::List(items)) => items.iter().any(|item| !matches!(item, Piece::Number(_))),
            Some(Piece::Value(text)) => library || text.contains("|>") || takes_nothing(last),
            Some(Piece::Stage(_) | Piece::Number(_)) | None => false,
        };
        if class || !of_values {
            return Some(Piece::Stage(self.stage(last, args)?));
        }
        let count = operands(last).min(args.iter().take_while(|(name, _)| name.is_none()).count());
        let value = flowing(args.drain(..count.max(1)).collect())?;
        Some(Piece::Value(format!("{value} |> {}", self.stage(last, args)?)))
    }

    /// What stands in a bracket.
    fn args(&mut self, depth: usize) -> Option<Args> {
        let (_, open) = self.peek()?;
        let close = if open == "(" { ")" } else { "]" };
        self.at += 1;
        let mut args = vec![];
        while !self.takes(close) {
            let mut name = None;
            if let (Some((Kind::Word, word)), Some(next)) = (self.peek(), self.tokens.get(self.at + 1))
                && next.text(self.text) == "="
            {
                name = Some(word.to_string());
                self.at += 2;
            }
            args.push((name, self.expression(depth + 1)?));
            if !self.takes(",") && self.peek().is_none_or(|(_, text)| text != close) {
                return None;
            }
        }
        Some(args)
    }

    /// A layer or function of theirs as our stage.
    fn stage(&mut self, name: &str, args: Args) -> Option<String> {
        let own = ops::find(name).map(|op| op.name);
        let entry = foreign::find(name).filter(|_| own.is_none());
        let ours = own.or_else(|| foreign::ours(name))?;
        if ours.ends_with(')') {
            return Some(ours.to_string());
        }
        let op = ops::find(ours);
        if !known(ours) {
            self.planned = Some(ours);
        }
        let mut params: Vec<(&str, Fate)> = entry.map(|entry| entry.params().collect()).unwrap_or_default();
        let all = params.clone();
        let inferred = params.iter().take_while(|(_, fate)| *fate == Fate::Dropped).count();
        let named = |attr: &str| {
            let theirs = params
                .iter()
                .find(|(_, fate)| matches!(fate, Fate::Named(ours) if *ours == attr))
                .map_or(attr, |(theirs, _)| theirs);
            args.iter().any(|(name, _)| name.as_deref().is_some_and(|name| name == theirs || name == attr))
        };
        let required = op.map_or(0, |op| {
            op.attrs.iter().filter(|def| def.default == AttrDefault::Required && !named(def.name)).count()
        });
        if args.iter().filter(|(name, _)| name.is_none()).count() <= required {
            // No more sizes than must be said here: the output was meant, as it is written here.
            params.drain(..inferred);
        }
        let mut made = Made { given: vec![], stages: vec![] };
        let mut position = 0;
        for (word, piece) in args {
            let value = argument(piece);
            let fate = match &word {
                Some(word) => all.iter().find(|(theirs, _)| theirs == word).map(|(_, fate)| *fate),
                None => {
                    let at = position.min(params.len().saturating_sub(1));
                    position += 1;
                    // A shape may be written without brackets.
                    let spread = params.len() == 1 || position <= params.len();
                    params.get(at).filter(|_| spread).map(|(_, fate)| *fate)
                }
            };
            made.add(op, word, value, fate)?;
        }
        for (name, value) in entry.into_iter().flat_map(|entry| entry.always()) {
            made.given.push((name.into(), value.into(), true));
        }
        if matches!(ours, "adaptive_avgpool" | "adaptive_maxpool")
            && made.given.first().is_some_and(|(_, value, _)| value == "1")
        {
            let global = if ours == "adaptive_avgpool" { "avgpool_global" } else { "maxpool_global" };
            self.planned = ops::find(global).is_none().then_some(global);
            return Some(global.to_string());
        }
        Some(made.written(ours, op))
    }
}

/// A call of ours under construction.
struct Made {
    /// Attribute, value, and whether it was named.
    given: Vec<(String, String, bool)>,
    /// Stages that follow.
    stages: Vec<String>,
}

impl Made {
    fn add(&mut self, op: Option<&OpDef>, word: Option<String>, value: String, fate: Option<Fate>) -> Option<()> {
        let has = |name: &str| op.is_none_or(|op| op.attrs.iter().any(|def| def.name == name));
        let named = word.is_some();
        let attr = match (fate, word) {
            (Some(Fate::Dropped), _) => return Some(()),
            (Some(Fate::Stage), _) => {
                self.stages.push(value.trim_matches('"').to_string());
                return Some(());
            }
            (Some(Fate::Named(ours)), _) => ours.to_string(),
            (None, Some(word)) if foreign::listed(foreign::NEVER, &word).is_some() => return Some(()),
            (None, Some(word)) => foreign::attr(&word, has).map_or(word, str::to_string),
            // An operator of ours under its own name, by position.
            (None, None) => {
                let positional: Vec<_> = op?.attrs.iter().filter(|def| def.positional).collect();
                // A list that is the only such attribute may be written without brackets.
                let at = if positional.len() == 1 { 0 } else { self.given.len() };
                positional.get(at)?.name.to_string()
            }
        };
        let value = if attr == "amount" { in_axis_order(value) } else { option(op, &attr, value) };
        self.given.push((attr, value, named));
        Some(())
    }

    fn written(self, ours: &str, op: Option<&OpDef>) -> String {
        let mut args: Vec<String> = vec![];
        let mut rest = self.given;
        // By position as far as there is no gap.
        for def in op.map_or(&[][..], |op| op.attrs).iter().filter(|def| def.positional) {
            let required = def.default == AttrDefault::Required;
            let before = args.len();
            while let Some(at) = rest.iter().position(|(name, _, named)| name == def.name && (required || !named)) {
                args.push(rest.remove(at).1);
            }
            if args.len() == before {
                break;
            }
        }
        args.extend(rest.into_iter().map(|(name, value, named)| match op {
            None if !named => value,
            _ => format!("{name} = {value}"),
        }));
        let call = if args.is_empty() { ours.to_string() } else { format!("{ours}({})", args.join(", ")) };
        std::iter::once(call).chain(self.stages).collect::<Vec<_>>().join(" |> ")
    }
}

/// A flat list of paddings, last axis first, as pairs in axis order.
fn in_axis_order(value: String) -> String {
    let numbers: Option<Vec<i64>> = value
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .and_then(|text| text.split(',').map(|number| number.trim().parse().ok()).collect());
    numbers.and_then(|numbers| ops::parts::in_axis_order(&numbers)).unwrap_or(value)
}

/// `"nearest-exact"` of theirs is `"nearest_exact"`, where we have such an option.
fn option(op: Option<&OpDef>, attr: &str, value: String) -> String {
    let ours = value.replace('-', "_");
    let known = |kind: &AttrKind| matches!(kind, AttrKind::Choice(all) if all.contains(&ours.trim_matches('"')));
    let def = op.and_then(|op| op.attrs.iter().find(|def| def.name == attr));
    if def.is_some_and(|def| def.kinds.iter().any(known)) { ours } else { value }
}

/// Whether this version has an operator, optimizer or schedule of that name.
pub(super) fn known(ours: &str) -> bool {
    ops::find(ours).is_some() || optim::find_optimizer(ours).is_some() || optim::find_schedule(ours).is_some()
}

/// How many tensors a function of theirs takes in its parentheses.
fn operands(name: &str) -> usize {
    let ours = foreign::find(name).map_or(name, |entry| entry.ours);
    let Some(op) = ops::find(ours).filter(|op| op.operands.iter().all(|operand| !operand.many)) else { return 1 };
    op.operands.iter().filter(|operand| !operand.optional).count().max(1)
}

/// What a call is made on, as the beginning of a flow.
fn flowing(args: Args) -> Option<String> {
    if args.is_empty() || args.iter().any(|(name, _)| name.is_some()) {
        return None;
    }
    let mut items: Vec<Piece> = args.into_iter().map(|(_, piece)| piece).collect();
    Some(if items.len() == 1 { items.swap_remove(0) } else { Piece::List(items) }.text())
}

/// Whether an operator's parentheses are always empty.
fn takes_nothing(word: &str) -> bool {
    ops::find(word).is_some_and(|op| op.attrs.iter().all(|def| !def.positional))
}

/// A value of theirs between our parentheses.
fn argument(piece: Piece) -> String {
    if let Piece::List(items) = &piece {
        let texts: Vec<String> = items.iter().map(|item| item.clone().text()).collect();
        let square = texts.len() > 1 && texts.iter().all(|text| *text == texts[0]);
        if square && texts[0].parse::<i64>().is_ok() {
            return texts[0].clone();
        }
        return format!("[{}]", texts.join(", "));
    }
    let text = piece.text();
    let shouted = text.starts_with('"') && text.chars().any(char::is_alphabetic) && text.to_uppercase() == text;
    if shouted { text.to_lowercase() } else { text }
}
