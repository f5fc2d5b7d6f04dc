//! Blocks and their calls: some without a signature, made for one type; some with a contract, which hold for all sizes.

use super::body::{Env, Gen, Made, reaches};
use super::size::{Size, Sym, Ty};
use wythe::tensor::DType;

/// A block of the file.
#[derive(Clone)]
pub struct Block {
    pub name: String,
    pub text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// Called in one way on one type.
    Plain { call: String, from: Ty, to: Ty },
    /// Called by those who know how.
    Closed,
    /// Called on whatever fits the pattern.
    Contract {
        /// Hyperparameters in order: what the input says, or anything.
        params: Vec<Sym>,
        from: Ty,
        to: Ty,
    },
}

impl Block {
    /// A block that is not called on what happens to flow.
    pub fn closed(name: String, text: String) -> Block {
        Block { name, text, kind: Kind::Closed }
    }
}

/// Hyperparameters that do not change types, as `name`, values, whether it is a norm, a stage, a placement.
const HELD: &[(&str, &[&str])] = &[
    ("act", &["relu", "gelu", "gelu(form = \"tanh\")", "identity"]),
    ("norm_", &["layernorm", "rmsnorm", "rmsnorm(eps = 1e-6)", "dyt"]),
    ("placement", &["\"pre\"", "\"post\"", "\"deep\""]),
    ("bias", &["true", "false"]),
    ("extra", &["none"]),
    ("widths", &["[4, 8]", "[2, 2, 2]"]),
];

impl Gen {
    /// A call of a block, perhaps a new one.
    pub fn call_block(&mut self, cur: &Ty, depth: u32) -> Made {
        if self.rng.percent(50) || self.blocks.len() >= 6 {
            let known = self.blocks.clone();
            let mut found: Vec<(String, Ty)> = vec![];
            for block in &known {
                found.extend(self.call(block, cur));
            }
            if !found.is_empty() {
                return Some(self.rng.pick(&found).clone());
            }
        }
        if self.blocks.len() >= 6 {
            return None;
        }
        let open = cur.rest || cur.sizes.iter().any(|size| size.sym.is_some_and(|sym| sym.number));
        let block = match self.rng.below(3) {
            0 if !open => self.recursive(cur)?,
            1 if !open => self.plain(cur, depth),
            _ => self.contract(cur, depth)?,
        };
        let call = self.call(&block, cur);
        self.blocks.push(block);
        call
    }

    /// A call, where the block takes this type.
    fn call(&mut self, block: &Block, cur: &Ty) -> Made {
        match &block.kind {
            Kind::Plain { call, from, to } => (from == cur && !self.env.strict).then(|| (call.clone(), to.clone())),
            Kind::Closed => None,
            Kind::Contract { params, from, to } => {
                let known = bound(from, cur)?;
                let mut given = known.clone();
                let mut words = vec![];
                for param in params {
                    let size = match known.iter().find(|(sym, _)| sym == param) {
                        Some((_, size)) => *size,
                        None => Size::num(self.width()),
                    };
                    size.is_number().then_some(())?;
                    given.push((*param, size));
                    let text = self.size(size);
                    words.push(if self.rng.percent(20) { format!("{} = {text}", param.name) } else { text });
                }
                // What is named stands behind what is not.
                let named = words.iter().position(|word| word.contains('='));
                if let Some(first) = named {
                    for (word, param) in words.iter_mut().zip(params).skip(first) {
                        if !word.contains('=') {
                            *word = format!("{} = {word}", param.name);
                        }
                    }
                }
                let mut out = to.with(&given);
                if from.rest {
                    let lead = cur.rank() - from.rank();
                    out.sizes = [&cur.sizes[..lead], &out.sizes].concat();
                    out.rest = cur.rest;
                }
                let args = if words.is_empty() { String::new() } else { format!("({})", words.join(", ")) };
                Some((format!("{}{args}", block.name), out))
            }
        }
    }

    /// Hyperparameters of other kinds, and what they let the body say.
    fn held(&mut self, env: &mut Env) -> Vec<String> {
        let mut params = vec![];
        for (name, values) in HELD {
            if !self.rng.percent(25) {
                continue;
            }
            params.push(format!("{name} = {}", self.rng.pick(values)));
            match *name {
                "act" => env.stages.push(((*name).into(), false)),
                "norm_" => env.stages.push(((*name).into(), true)),
                "placement" => env.placements.push((*name).into()),
                _ => {}
            }
        }
        if self.rng.percent(50) {
            let n = self.width();
            env.nums.push(("k".into(), n));
            params.push(format!("k = {n}"));
        }
        params
    }

    /// Writes a body in an environment of its own.
    fn inside(&mut self, env: Env, cur: &Ty, goal: Option<&Ty>, depth: u32) -> (Vec<String>, Ty) {
        let outer = std::mem::replace(&mut self.env, env);
        let made = self.lines(cur, goal, depth, 4);
        self.env = outer;
        made
    }

    /// Without a signature: it names no dim.
    fn plain(&mut self, cur: &Ty, depth: u32) -> Block {
        let name = self.name("block_");
        let mut env = Env { strict: self.env.strict, ..Env::default() };
        let mut params = self.held(&mut env);
        let mut call = name.clone();
        if self.rng.percent(40) {
            // One without a default comes first, and is given.
            let n = self.width();
            env.nums.push(("m".into(), n));
            params.insert(0, "m".into());
            call = format!("{name}({n})");
        }
        let (lines, to) = self.inside(env, cur, None, depth);
        let header = if params.is_empty() { name.clone() } else { format!("{name}({})", params.join(", ")) };
        let text = format!("block {header} {}\n", self.braces(&lines));
        Block { name, text, kind: Kind::Plain { call, from: cur.clone(), to } }
    }

    /// A block that calls itself under an `if`.
    fn recursive(&mut self, cur: &Ty) -> Option<Block> {
        let d = cur.last()?.as_num()?;
        let (name, n) = (self.name("again_"), self.rng.below(4));
        let text = format!(
            "block {name}(n, d) {{\n  if n > 0 {{\n    residual {{ linear(d); relu }}\n    {name}(n - 1, d)\n  }} else {{\n    relu\n  }}\n}}\n"
        );
        let call = format!("{name}({n}, {d})");
        Some(Block { name, text, kind: Kind::Plain { call, from: cur.clone(), to: cur.clone() } })
    }

    /// With a signature: a pattern in which numbers are hyperparameters or bound dims, and dims are bound anew.
    fn contract(&mut self, cur: &Ty, depth: u32) -> Option<Block> {
        let name = self.name("block_");
        let mut env = Env { strict: true, ..Env::default() };
        let (mut params, mut seen) = (vec![], vec![]);
        let leading = cur.rest || self.rng.percent(30);
        let from_axis = if leading { cur.rank().checked_sub(1)? } else { 0 };
        let mut from = Ty { rest: leading, sizes: vec![], ..cur.clone() };
        for (i, size) in cur.sizes.iter().enumerate().skip(from_axis) {
            let last = i + 1 == cur.rank();
            let dim = size.as_sym().filter(|sym| !sym.number && !seen.contains(sym));
            let pattern = match (dim, size.as_num()) {
                (Some(sym), _) => sym,
                (None, Some(_)) if last || self.rng.percent(30) => {
                    let sym = self.number_sym("d");
                    params.push(sym);
                    sym
                }
                (None, Some(n)) => {
                    from.sizes.push(Size::num(n));
                    continue;
                }
                (None, None) if size.is_number() => {
                    let sym = self.number_sym("d");
                    params.push(sym);
                    sym
                }
                // A compound size: whatever it is.
                (None, None) => {
                    let sym = Sym { name: Box::leak(self.name("_").into_boxed_str()), number: false };
                    self.known.push(sym);
                    from.sizes.push(Size::of(sym));
                    continue;
                }
            };
            seen.push(pattern);
            if !pattern.number {
                env.dims.push(pattern);
            }
            from.sizes.push(Size::of(pattern));
        }
        let mut shown: Vec<String> = params.iter().map(|sym| sym.name.to_string()).collect();
        if self.rng.percent(30) {
            let sym = self.number_sym("c");
            params.push(sym);
            shown.push(sym.name.into());
        }
        shown.extend(self.held(&mut env));
        let goal = self.rng.percent(30).then(|| from.clone());
        let (mut lines, mut to) = self.inside(env, &from, goal.as_ref(), depth);
        if let (Some(c), Some(last)) = (params.last().filter(|sym| sym.name.starts_with('c')), to.last())
            && last.is_number()
            && to.dtype == DType::F32
            && goal.is_none()
        {
            let wide = to.ending(Size::of(*c));
            if reaches(&to, &wide) {
                lines.push(format!("if {} != {} {{ linear({}) }}", last.text(), c.name, c.name));
                to = wide;
            }
        }
        let facts = match params.first() {
            Some(sym) if self.rng.percent(30) => format!(" where {} >= 1", sym.name),
            _ => String::new(),
        };
        let shown = if shown.is_empty() { String::new() } else { format!("({})", shown.join(", ")) };
        let (ins, outs) = (pattern_text(&from), self.result_text(&to));
        let outs = if self.rng.percent(80) { format!(" -> {outs}") } else { String::new() };
        let text = format!("block {name}{shown} : {ins}{outs}{facts} {}\n", self.braces(&lines));
        Some(Block { name, text, kind: Kind::Contract { params, from, to } })
    }

    /// A type as a signature's result: some sizes are left open.
    pub fn result_text(&mut self, ty: &Ty) -> String {
        let sizes = ty.sizes.clone();
        let axes: Vec<String> = sizes
            .iter()
            .map(|size| {
                let unnamed = size.sym.is_some_and(|sym| sym.name.starts_with('_'));
                if unnamed || self.rng.percent(10) { "_".into() } else { size.text() }
            })
            .collect();
        let axes: Vec<String> = ty.rest.then(|| "...".to_string()).into_iter().chain(axes).collect();
        let dtype = if ty.dtype == DType::F32 && self.rng.percent(50) { "" } else { ty.dtype.word() };
        format!("{dtype}[{}]", axes.join(", "))
    }
}

/// A type as a signature's input.
fn pattern_text(ty: &Ty) -> String {
    let open = |size: &Size| size.sym.is_some_and(|sym| sym.name.starts_with('_'));
    let axes = ty.sizes.iter().map(|size| if open(size) { "_".into() } else { size.text() });
    let axes: Vec<String> = ty.rest.then(|| "...".to_string()).into_iter().chain(axes).collect();
    format!("{}[{}]", if ty.dtype == DType::F32 { "" } else { ty.dtype.word() }, axes.join(", "))
}

/// What the names of a pattern are for this type.
fn bound(pattern: &Ty, ty: &Ty) -> Option<Vec<(Sym, Size)>> {
    let fits = if pattern.rest { ty.rank() >= pattern.rank() } else { !ty.rest && ty.rank() == pattern.rank() };
    (fits && pattern.dtype == ty.dtype).then_some(())?;
    let mut known: Vec<(Sym, Size)> = vec![];
    for (want, have) in pattern.sizes.iter().rev().zip(ty.sizes.iter().rev()) {
        match want.as_sym() {
            None => (want == have).then_some(())?,
            Some(sym) => match known.iter().find(|(known, _)| *known == sym) {
                Some((_, size)) => (size == have).then_some(())?,
                None => known.push((sym, *have)),
            },
        }
    }
    Some(known)
}
