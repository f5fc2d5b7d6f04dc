//! Bodies: lines, flows and the constructs of the language, with the type that flows through them.

use super::block::Block;
use super::rng::Rng;
use super::size::{Size, Sym, Ty};
use std::collections::BTreeMap;
use wythe::tensor::DType;

/// A text with what flows on behind it.
pub type Made = Option<(String, Ty)>;

/// The most elements of a tensor, symbols taken for 4.
const ELEMENTS: i64 = 2048;

/// What can be said where a stage stands.
#[derive(Clone, Default)]
pub struct Env {
    /// The text must hold for all numbers: nothing may be left undecided.
    pub strict: bool,
    /// Dims that may be named.
    pub dims: Vec<Sym>,
    /// Names of numbers, with their values.
    pub nums: Vec<(String, i64)>,
    /// Hyperparameters that hold a stage which keeps every type, or a norm of the last axis.
    pub stages: Vec<(String, bool)>,
    /// Hyperparameters that hold a placement.
    pub placements: Vec<String>,
    /// Named values.
    pub scope: Vec<(String, Ty)>,
    /// Declared layers: name, input's last axis, output's.
    pub layers: Vec<(String, Size, Size)>,
    /// Declared tables: name, width, rows.
    pub tables: Vec<(String, i64, i64)>,
    /// Blocks of two inputs and two outputs.
    pub twos: Vec<String>,
}

/// The generator: randomness, what was written so far, and where it stands.
pub struct Gen {
    pub rng: Rng,
    pub env: Env,
    pub blocks: Vec<Block>,
    /// Every symbol that was made.
    pub known: Vec<Sym>,
    /// The least sizes of dims that windows need.
    pub least: BTreeMap<&'static str, i64>,
    /// How many stages may still be written.
    pub budget: i32,
    names: u32,
}

impl Gen {
    pub fn new(seed: u64) -> Gen {
        let mut rng = Rng::new(seed);
        let budget = rng.between(1, 24) as i32;
        Gen { rng, env: Env::default(), blocks: vec![], known: vec![], least: BTreeMap::new(), budget, names: 0 }
    }

    /// A new name.
    pub fn name(&mut self, stem: &str) -> String {
        self.names += 1;
        format!("{stem}{}", self.names)
    }

    /// A new name for a number that is not known where it is used.
    pub fn number_sym(&mut self, stem: &str) -> Sym {
        let sym = Sym { name: Box::leak(self.name(stem).into_boxed_str()), number: true };
        self.known.push(sym);
        sym
    }

    /// A declared dim.
    pub fn dim(&mut self, name: &'static str) -> Sym {
        let sym = Sym { name, number: false };
        if !self.known.contains(&sym) {
            self.known.push(sym);
        }
        sym
    }

    /// A number as it may be written: plainly, or by a name that has it.
    pub fn num(&mut self, n: i64) -> String {
        let plain = n.to_string();
        match self.rng.below(10) {
            0 if n >= 0 => format!("{} + {}", n / 2, n - n / 2),
            1 if n > 0 && n % 2 == 0 => format!("2 * {}", n / 2),
            2 => format!("({plain})"),
            3 if n > 1 => format!("floor({} / 2)", 2 * n + 1),
            4 if n > 0 => format!("max({plain}, {})", n - 1),
            _ => {
                let nums = self.env.nums.clone();
                let fits = |(name, value): &(String, i64)| match (n, *value) {
                    (n, value) if n == value => Some(name.clone()),
                    (n, value) if value > 0 && n > 0 && n % value == 0 => Some(format!("{} * {name}", n / value)),
                    // `m` has no default: alone its block does not know whether that is a fraction.
                    (n, value) if n > 0 && value > 0 && value % n == 0 && name != "m" => {
                        Some(format!("{name} / {}", value / n))
                    }
                    _ => None,
                };
                let named: Vec<String> = nums.iter().filter_map(fits).collect();
                if named.is_empty() { plain } else { self.rng.pick(&named).clone() }
            }
        }
    }

    /// A size as it may be written.
    pub fn size(&mut self, size: Size) -> String {
        match size.as_num() {
            Some(n) => self.num(n),
            None => size.text(),
        }
    }

    /// An axis as it may be written.
    pub fn axis(&mut self, ty: &Ty, axis: usize) -> String {
        let sym = ty.sizes[axis].as_sym().filter(|sym| !sym.number && self.env.dims.contains(sym));
        let once = sym.filter(|sym| ty.sizes.iter().filter(|size| size.as_sym() == Some(*sym)).count() == 1);
        match (once, self.rng.below(3)) {
            (Some(sym), 0) => sym.name.into(),
            (_, 1) => (axis as i64 - ty.rank() as i64).to_string(),
            _ => axis.to_string(),
        }
    }

    /// A width for a layer.
    pub fn width(&mut self) -> i64 {
        *self.rng.pick(&[1, 2, 3, 4, 6, 8, 12, 16])
    }

    /// Statements from `cur` on. With a goal, they end with it.
    pub fn lines(&mut self, cur: &Ty, goal: Option<&Ty>, depth: u32, most: usize) -> (Vec<String>, Ty) {
        let (scope, layers, nums) = (self.env.scope.len(), self.env.layers.len(), self.env.nums.len());
        let tables = self.env.tables.len();
        let (mut lines, mut cur, mut kept) = (vec![], cur.clone(), true);
        for _ in 0..self.rng.below(most) + 1 {
            if self.rng.percent(8) {
                lines.extend(self.declaration(&cur));
            }
            if goal.is_none() && self.rng.percent(10) && self.budget > 0 {
                let made = match self.table(&cur) {
                    Some((text, ty)) => Some((text.lines().map(String::from).collect(), ty)),
                    None => self.apart(&cur),
                };
                if let Some((taken, ty)) = made.filter(|(_, ty)| ty.elements() <= ELEMENTS) {
                    lines.extend(taken);
                    self.budget -= 2;
                    (cur, kept) = (ty, false);
                    continue;
                }
            }
            // A value restarts the flow, where nothing is dropped by that.
            let restart = if kept && self.rng.percent(12) { self.value(&cur, goal) } else { None };
            let start = restart.as_ref().map_or(cur.clone(), |(_, ty)| ty.clone());
            let stages = 1 + self.rng.below(3) * self.rng.below(2);
            let Some((flow, ty)) = self.flow(&start, goal, depth, stages) else { continue };
            let flow = match &restart {
                Some((value, _)) => format!("{value} |> {flow}"),
                None => flow,
            };
            kept = self.rng.percent(25);
            if kept {
                let name = self.name("v");
                lines.push(format!("{name} = {flow}"));
                self.env.scope.push((name, ty.clone()));
            } else {
                lines.push(flow);
            }
            cur = ty;
        }
        if let Some(goal) = goal
            && cur != *goal
        {
            lines.push(self.linear(&cur, goal.last().expect("a goal with another last axis has one")).0);
            cur = goal.clone();
        }
        if lines.is_empty() {
            lines.push("it".into());
        }
        self.env.scope.truncate(scope);
        self.env.layers.truncate(layers);
        self.env.tables.truncate(tables);
        self.env.nums.truncate(nums);
        (lines, cur)
    }

    /// A line that names a number or a layer.
    fn declaration(&mut self, cur: &Ty) -> Option<String> {
        if self.rng.percent(50) {
            let (n, name) = (self.width(), self.name("n"));
            let text = self.num(n);
            self.env.nums.push((name.clone(), n));
            return Some(format!("dim {name} = {text}"));
        }
        let last = cur.last().filter(|size| size.is_number() && cur.dtype == DType::F32)?;
        let (name, out) = (self.name("layer_"), self.width());
        let text = self.num(out);
        self.env.layers.push((name.clone(), last, Size::num(out)));
        Some(format!("layer {name} = linear({text})"))
    }

    /// A named value from which a flow can start.
    fn value(&mut self, cur: &Ty, goal: Option<&Ty>) -> Made {
        let fits = |(_, ty): &&(String, Ty)| ty.dtype == DType::F32 && goal.is_none_or(|goal| reaches(ty, goal));
        let found: Vec<(String, Ty)> = self.env.scope.iter().filter(fits).cloned().collect();
        if found.is_empty() || cur.dtype != DType::F32 { None } else { Some(self.rng.pick(&found).clone()) }
    }

    /// Stages one after the other; none where not even one was found.
    pub fn flow(&mut self, cur: &Ty, goal: Option<&Ty>, depth: u32, stages: usize) -> Made {
        let (mut parts, mut cur) = (vec![], cur.clone());
        for i in 0..stages {
            if let Some((text, ty)) = self.stage(&cur, goal, depth, i == 0) {
                parts.push(text);
                cur = ty;
            }
        }
        if parts.is_empty() {
            return None;
        }
        let broken = self.rng.percent(10);
        Some((parts.join(if broken { "\n  |> " } else { " |> " }), cur))
    }

    /// A flow that ends with the goal.
    fn flow_to(&mut self, cur: &Ty, goal: &Ty, depth: u32) -> String {
        let stages = self.rng.below(3);
        match self.flow(cur, Some(goal), depth, stages) {
            Some((text, ty)) if ty == *goal => text,
            Some((text, ty)) => {
                let last = goal.last().expect("a goal with another last axis has one");
                format!("{text} |> {}", self.linear(&ty, last).0)
            }
            None if cur == goal => "it".into(),
            None => self.linear(cur, goal.last().expect("a goal with another last axis has one")).0,
        }
    }

    /// One stage.
    fn stage(&mut self, cur: &Ty, goal: Option<&Ty>, depth: u32, first: bool) -> Made {
        for _ in 0..12 {
            let made = if depth > 0 && self.budget > 0 && self.rng.percent(45) {
                self.construct(cur, goal, depth - 1)
            } else if first && self.rng.percent(12) {
                self.arithmetic(cur)
            } else {
                self.operator(cur, goal)
            };
            if let Some((text, ty)) = made
                && goal.is_none_or(|goal| reaches(&ty, goal))
                && ty.elements() <= ELEMENTS
                && ty.rank() <= 6
            {
                self.budget -= 1;
                return Some((text, ty));
            }
        }
        None
    }

    fn construct(&mut self, cur: &Ty, goal: Option<&Ty>, depth: u32) -> Made {
        if cur.dtype != DType::F32 {
            return None;
        }
        match self.rng.below(12) {
            0..=2 => self.residual(cur, depth),
            3 | 4 => self.repeat(cur, depth),
            5 => self.for_loop(cur, goal, depth),
            6 => self.branch(cur, goal, depth),
            7 | 8 => self.parallel(cur, depth),
            9 => self.layer(cur),
            _ => self.call_block(cur, depth),
        }
    }

    /// `{ a; b }`, on one line or several.
    pub fn braces(&mut self, lines: &[String]) -> String {
        let short = lines.iter().all(|line| !line.contains('\n')) && lines.iter().map(String::len).sum::<usize>() < 60;
        if short && self.rng.percent(70) {
            return format!("{{ {} }}", lines.join("; "));
        }
        let inner: Vec<String> = lines.iter().flat_map(|line| line.lines()).map(|line| format!("  {line}\n")).collect();
        format!("{{\n{}}}", inner.concat())
    }

    fn body(&mut self, cur: &Ty, goal: Option<&Ty>, depth: u32, most: usize) -> (String, Ty) {
        let (lines, ty) = self.lines(cur, goal, depth, most);
        (self.braces(&lines), ty)
    }

    /// A norm that keeps this type.
    fn norm(&mut self, ty: &Ty) -> Option<String> {
        let number = ty.last().is_some_and(Size::is_number);
        let held: Vec<String> =
            self.env.stages.iter().filter(|(_, norm)| *norm).map(|(name, _)| name.clone()).collect();
        match self.rng.below(6) {
            0 if number && !held.is_empty() => Some(self.rng.pick(&held).clone()),
            1 if number => Some("rmsnorm".into()),
            2 if number => Some("layernorm(eps = 1e-6)".into()),
            3 if number => Some("dyt".into()),
            4 if ty.rank() > 0 || ty.rest => Some("l2norm".into()),
            _ if number => Some("layernorm".into()),
            _ => None,
        }
    }

    fn residual(&mut self, cur: &Ty, depth: u32) -> Made {
        let placement = match (self.norm(cur), self.rng.below(5)) {
            (None, _) | (_, 0) => String::new(),
            (Some(norm), 1) => format!("pre {norm} "),
            (Some(norm), 2) => format!("post {norm} "),
            (Some(norm), 3) => {
                let forms = [
                    "deep",
                    "deep(layers = 3)",
                    "deep(alpha = 1.5)",
                    "deep(alpha = 2, beta = 0.5)",
                    "deep(encoder = 2, decoder = 3)",
                ];
                format!("{} {norm} ", self.rng.pick(&forms))
            }
            (Some(norm), _) => match self.env.placements.first() {
                Some(word) => format!("{word} {norm} "),
                None => format!("pre {norm} "),
            },
        };
        let wide = cur.last().is_some_and(|size| size.is_number()) && self.rng.percent(30);
        let goal = if wide { cur.ending(Size::num(self.width())) } else { cur.clone() };
        // `post` and `deep` norm the sum: their parameters have the new width.
        let (branch, _) = self.body(cur, Some(&goal), depth, 3);
        let skip = if wide { format!(" skip {}", self.body(cur, Some(&goal), 0, 1).0) } else { String::new() };
        Some((format!("residual {placement}{branch}{skip}"), goal))
    }

    fn repeat(&mut self, cur: &Ty, depth: u32) -> Made {
        let n = self.rng.below(4) as i64;
        let count = self.num(n);
        if self.rng.percent(25) && cur.last()?.is_number() && !cur.rest {
            // Each copy is twice as wide as the one before.
            let (axis, last) = (self.axis(cur, cur.rank() - 1), cur.last()?);
            let text = format!("repeat {count} {{ (it, it |> relu) |> concat(axis = {axis}) }}");
            return Some((text, cur.ending(last.times(1 << n))));
        }
        let shared = if self.rng.percent(30) { " shared" } else { "" };
        let (body, _) = self.body(cur, Some(cur), depth, 3);
        Some((format!("repeat {count}{shared} {body}"), cur.clone()))
    }

    fn for_loop(&mut self, cur: &Ty, goal: Option<&Ty>, depth: u32) -> Made {
        if self.rng.percent(40) || !cur.last()?.is_number() {
            let (name, n) = (self.name("i"), self.rng.between(1, 3));
            let (text, (body, _)) = (self.num(n), self.body(cur, Some(cur), depth, 2));
            let inner = format!("{} = it * ({name} + 1)", self.name("v"));
            let body = body.replacen("{ ", &format!("{{ {inner}; "), usize::from(body.starts_with("{ ")));
            return Some((format!("for {name} in range({text}) {body}"), cur.clone()));
        }
        let var = self.number_sym("c");
        let widths: Vec<i64> = (0..self.rng.between(1, 3)).map(|_| self.width()).collect();
        let strict = std::mem::replace(&mut self.env.strict, true);
        let inner = cur.ending(Size::of(var));
        let (lines, _) = self.lines(&inner, Some(&inner), depth, 2);
        self.env.strict = strict;
        let factor = *self.rng.pick(&[1, 1, 2]);
        let first = self.linear(cur, Size::of(var).times(factor)).0;
        // What flows in differs from copy to copy: the pinned form would be wrong.
        let first =
            if first.contains("->") { format!("linear({})", Size::of(var).times(factor).text()) } else { first };
        let back = (factor != 1).then(|| format!("linear({})", var.name));
        // It has a name, so that a value may restart the flow.
        let first = [Some(first), back].into_iter().flatten().collect::<Vec<_>>().join(" |> ");
        let first = format!("{} = {first}", self.name("v"));
        let lines: Vec<String> = std::iter::once(first).chain(lines).collect();
        let body = self.braces(&lines);
        let shown: Vec<String> = widths.iter().map(|n| self.num(*n)).collect();
        let list = match self.rng.percent(30) {
            // A pattern over pairs; what is not wanted is `_`.
            true => {
                let pairs: Vec<String> = shown.iter().map(|n| format!("({n}, 7)")).collect();
                format!("for ({}, _) in [{}] {body}", var.name, pairs.join(", "))
            }
            false => format!("for {} in [{}] {body}", var.name, shown.join(", ")),
        };
        let out = cur.ending(Size::num(*widths.last()?));
        goal.is_none_or(|goal| reaches(&out, goal)).then_some((list, out))
    }

    /// `if`, on numbers only.
    fn branch(&mut self, cur: &Ty, goal: Option<&Ty>, depth: u32) -> Made {
        let (value, text) = match self.env.nums.clone().as_slice() {
            [] => (4, "(2 + 2)".to_string()),
            nums => {
                let (name, value) = self.rng.pick(nums).clone();
                (value, name)
            }
        };
        let (cond, holds) = match self.rng.below(5) {
            0 => (format!("{text} == {value}"), true),
            1 => (format!("{text} != {value}"), false),
            2 => (format!("{text} > {}", value - 1), true),
            3 => (format!("{text} < {value}"), false),
            _ => (format!("{text} >= {value}, {text} % 1 == 0"), true),
        };
        let (then, a) = self.body(cur, goal, depth, 2);
        match self.rng.below(3) {
            0 => Some((format!("if {cond} {then}"), if holds { a } else { cur.clone() })),
            1 => {
                let (other, b) = self.body(cur, goal, depth, 2);
                Some((format!("if {cond} {then} else {other}"), if holds { a } else { b }))
            }
            _ => {
                let (other, b) = self.body(cur, goal, depth, 1);
                Some((format!("if {cond} {then} else if 1 < 2 {other}"), if holds { a } else { b }))
            }
        }
    }

    fn parallel(&mut self, cur: &Ty, depth: u32) -> Made {
        let n = self.rng.between(1, 3);
        let wide = cur.last().is_some_and(Size::is_number);
        let (join, goals, out): (String, Vec<Ty>, Ty) = match self.rng.below(5) {
            0 if wide => {
                let goals: Vec<Ty> = (0..n).map(|_| cur.ending(Size::num(self.width()))).collect();
                let sum = goals.iter().filter_map(|ty| ty.last()?.as_num()).sum();
                (
                    if cur.rest {
                        "concat(axis = -1)".into()
                    } else {
                        format!("concat(axis = {})", self.axis(cur, cur.rank() - 1))
                    },
                    goals,
                    cur.ending(Size::num(sum)),
                )
            }
            1 if !cur.rest && cur.rank() < 5 => {
                let axis = self.rng.below(cur.rank() + 1);
                let mut out = cur.clone();
                out.sizes.insert(axis, Size::num(n));
                (format!("stack(axis = {axis})"), vec![cur.clone(); n as usize], out)
            }
            2 if wide => {
                let goal = cur.ending(Size::num(self.width()));
                ("sum".into(), vec![goal.clone(); n as usize], goal)
            }
            3 if n > 1 => ("mean".into(), vec![cur.clone(); n as usize], cur.clone()),
            _ if n > 1 => ("sum".into(), vec![cur.clone(); n as usize], cur.clone()),
            _ => return None,
        };
        if n == 1 && (join == "sum" || join == "mean") {
            return None;
        }
        let flows: Vec<String> = goals.iter().map(|goal| self.flow_to(cur, goal, depth)).collect();
        if n > 1 && flows.iter().all(|flow| !flow.contains('\n')) && self.rng.percent(30) {
            return Some((format!("({}) |> {join}", flows.join(", ")), out));
        }
        let lines: Vec<String> = flows
            .into_iter()
            .map(
                |flow| {
                    if self.rng.percent(30) { format!("| {} = {flow}", self.name("b")) } else { format!("| {flow}") }
                },
            )
            .collect();
        let inner: Vec<String> = lines.iter().flat_map(|line| line.lines()).map(|line| format!("  {line}\n")).collect();
        Some((format!("parallel join {join} {{\n{}}}", inner.concat()), out))
    }

    /// A use of a declared layer.
    fn layer(&mut self, cur: &Ty) -> Made {
        let fits = |(_, from, _): &&(String, Size, Size)| Some(*from) == cur.last();
        let found: Vec<_> = self.env.layers.iter().filter(fits).cloned().collect();
        if found.is_empty() {
            return None;
        }
        let (name, _, out) = self.rng.pick(&found).clone();
        Some((name, cur.ending(out)))
    }

    /// An expression: infix signs between what flows, numbers and named values.
    fn arithmetic(&mut self, cur: &Ty) -> Made {
        if cur.dtype != DType::F32 {
            return None;
        }
        // Missing leading axes only.
        let fits =
            |(_, ty): &&(String, Ty)| ty.dtype == DType::F32 && !ty.rest && !cur.rest && cur.sizes.ends_with(&ty.sizes);
        let values: Vec<(String, Ty)> = self.env.scope.iter().filter(fits).cloned().collect();
        let other = if values.is_empty() { "(it |> relu)".into() } else { self.rng.pick(&values).0.clone() };
        let text = match self.rng.below(8) {
            0 => format!("it + {other}"),
            1 => format!("{other} - it"),
            2 => "it * 0.5".into(),
            3 => "1 - it".into(),
            4 => format!("(it + {other}) / 2"),
            5 => "(it |> sigmoid_) * it".replace("sigmoid_", "tanh_").replace("tanh_", "relu"),
            6 if cur.rank() > 0 && !cur.rest && cur.last()?.as_num().is_some() => {
                let n = self.num(cur.last()?.as_num()?);
                format!("it + parameter([{n}])")
            }
            _ => format!("it * {}^0.5 + {other}", self.rng.between(1, 9)),
        };
        Some((text, cur.clone()))
    }
}

/// Whether a linear layer, or nothing, leads from one type to another.
pub fn reaches(ty: &Ty, goal: &Ty) -> bool {
    if ty == goal {
        return true;
    }
    let (Some((a, before)), Some((b, after))) = (ty.sizes.split_last(), goal.sizes.split_last()) else { return false };
    ty.dtype == DType::F32
        && goal.dtype == DType::F32
        && ty.rest == goal.rest
        && before == after
        && a.is_number()
        && b.is_number()
}
