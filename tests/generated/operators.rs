//! Uses of operators. The common ones have their types worked out here, apart from the checker; every other operator of
//! the catalogue is proposed from its schema, and its own rule says what comes of it.

use super::body::{Gen, Made};
use super::size::{Size, Ty};
use wythe::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init};
use wythe::ir::op::{Condition, Elements, OpDef, ParamCx, RuleCx};
use wythe::ir::shape::{Shapes, Type};
use wythe::tensor::DType;

/// Operators that are not proposed: they take what no schema tells (a declared layer), or restart the flow.
fn proposed(op: &OpDef) -> bool {
    op.is_public() && !op.operands.is_empty() && !op.attrs.iter().any(|def| def.kinds.contains(&AttrKind::Layer))
}

/// Elementwise operators that need no argument and keep every type.
fn plain() -> Vec<&'static OpDef> {
    let keeps = |op: &&OpDef| {
        proposed(op)
            && op.shape == "[..] -> [..]"
            && op.operands.len() == 1
            && op.operands[0].dtype == Elements::Float
            && op.attrs.is_empty()
            && op.outputs.len() == 1
    };
    wythe::ops::all().filter(keeps).collect()
}

impl Gen {
    pub fn operator(&mut self, cur: &Ty, goal: Option<&Ty>) -> Made {
        match cur.dtype {
            DType::I64 if goal.is_none() => self.of_ids(cur),
            DType::Bool if goal.is_none() => Some(("cast(\"f32\")".into(), Ty { dtype: DType::F32, ..cur.clone() })),
            DType::F32 | DType::F64 => match self.rng.below(3) {
                0 if !cur.rest => self.of_catalogue(cur),
                _ => self.common(cur),
            },
            DType::I64 | DType::Bool => None,
        }
    }

    fn of_ids(&mut self, cur: &Ty) -> Made {
        if cur.rank() > 3 {
            return None;
        }
        let (vocab, d) = (self.rng.between(2, 9), self.width());
        let text = format!("embedding({}, {})", self.num(vocab), self.num(d));
        let mut out = Ty { dtype: DType::F32, ..cur.clone() };
        out.sizes.push(Size::num(d));
        Some((text, out))
    }

    /// `linear` to this width.
    pub fn linear(&mut self, cur: &Ty, out: Size) -> (String, Ty) {
        let width = self.size(out);
        let pin = cur.last().filter(|_| self.rng.percent(10)).map(|from| format!("{} -> ", self.size(from)));
        let more = match self.rng.below(12) {
            0 => ", bias = false".into(),
            1 => ", false".into(),
            2 => ", init = normal(0.02)".into(),
            3 => format!(", path = \"{}.{}\"", self.name("p"), self.name("q")),
            4 => ", gain = 1".into(),
            _ => String::new(),
        };
        (format!("linear({}{width}{more})", pin.unwrap_or_default()), cur.ending(out))
    }

    /// The operators that models are made of.
    fn common(&mut self, cur: &Ty) -> Made {
        let last = cur.last();
        let number = last.filter(|size| size.is_number());
        let closed = !cur.rest;
        let same = |text: &str| Some((text.to_string(), cur.clone()));
        match self.rng.below(20) {
            0..=3 => {
                number?;
                let width = self.width();
                let out = match number {
                    Some(size) if self.rng.percent(40) => size.times(self.rng.between(1, 2)),
                    _ => Size::num(width),
                };
                Some(self.linear(cur, out))
            }
            4..=6 => {
                let held: Vec<String> =
                    self.env.stages.iter().filter(|(_, norm)| !norm).map(|(name, _)| name.clone()).collect();
                if !held.is_empty() && self.rng.percent(40) {
                    return same(&self.rng.pick(&held).clone());
                }
                let op = *self.rng.pick(&plain());
                same(op.name)
            }
            7 => {
                number?;
                let word = *self.rng.pick(&[
                    "rmsnorm",
                    "layernorm",
                    "dyt",
                    "layernorm(affine = false)",
                    "rmsnorm(eps = 1e-6)",
                ]);
                same(word)
            }
            8 => same(self.rng.pick::<&str>(&[
                "dropout",
                "dropout(0.1)",
                "dropout(p = 0)",
                "gelu(form = \"tanh\")",
                "detach",
            ])),
            9 if closed && cur.rank() > 0 => {
                let axis = self.rng.below(cur.rank());
                let axis = self.axis(cur, axis);
                same(&format!("softmax(axis = {axis})"))
            }
            10 if closed && cur.rank() > 1 => {
                let at = self.rng.below(cur.rank());
                let (word, axis) = (*self.rng.pick(&["mean", "sum"]), self.axis(cur, at));
                let mut out = cur.clone();
                if self.rng.percent(30) {
                    out.sizes[at] = Size::num(1);
                    return Some((format!("{word}({axis}, keep = true)"), out));
                }
                out.sizes.remove(at);
                Some((format!("{word}({axis})"), out))
            }
            11 if closed && cur.rank() > 1 => {
                let (a, b) = (self.rng.below(cur.rank()), self.rng.below(cur.rank()));
                let mut out = cur.clone();
                out.sizes.swap(a, b);
                let (a, b) = (self.axis(cur, a), self.axis(cur, b));
                Some((format!("transpose({a}, {b})"), out))
            }
            12 if closed && cur.rank() > 2 => {
                // All but the first axis in one, where that is a line in one symbol.
                let mut folded = Size::num(1);
                for size in &cur.sizes[1..] {
                    folded = match (folded.as_num(), size.as_num()) {
                        (Some(k), _) => size.times(k),
                        (_, Some(k)) => folded.times(k),
                        _ => return None,
                    };
                }
                let out = Ty { sizes: vec![cur.sizes[0], folded], ..cur.clone() };
                Some(((*self.rng.pick(&["flatten", "flatten(from = 1)", "flatten(1, -1)"])).into(), out))
            }
            13 if closed && cur.rank() > 0 => {
                let at = self.rng.below(cur.rank());
                let axis = self.axis(cur, at);
                let mut out = cur.clone();
                out.sizes[at] = cur.sizes[at].times(2);
                Some((format!("(it, it) |> concat(axis = {axis})"), out))
            }
            14 if closed && cur.rank() < 5 => {
                let at = self.rng.below(cur.rank() + 1);
                let mut out = cur.clone();
                out.sizes.insert(at, Size::num(1));
                Some((format!("unsqueeze({at})"), out))
            }
            15 if closed => {
                let at = cur.sizes.iter().position(|size| *size == Size::num(1))?;
                let mut out = cur.clone();
                out.sizes.remove(at);
                Some((format!("squeeze({at})"), out))
            }
            16 if closed && cur.rank() == 3 => self.attention(cur, number?.as_num()?),
            17 | 18 if closed && (3..=5).contains(&cur.rank()) => self.window(cur),
            19 if closed && (2..=5).contains(&cur.rank()) => {
                cur.sizes[1].as_num().filter(|_| cur.sizes[0].as_num().is_none_or(|n| n > 1))?;
                let c = self.size(cur.sizes[1]);
                let word = *self.rng.pick(&["batchnorm", "batchnorm(update = 0.2)", "batchnorm(C)"]);
                same(&word.replace('C', &c))
            }
            _ => None,
        }
    }

    fn attention(&mut self, cur: &Ty, d: i64) -> Made {
        let heads: Vec<i64> = (1..=4).filter(|heads| d % heads == 0).collect();
        let heads = *self.rng.pick(&heads);
        let text = self.num(heads);
        let even = d / heads % 2 == 0;
        let more = match self.rng.below(6) {
            0 => ", causal = true",
            1 if even => ", rope = rope",
            2 if even => ", rope = rope(base = 100), causal = true",
            3 => ", bias = false",
            4 => ", kv_heads = 1",
            _ => "",
        };
        Some((format!("attention({text}{more})"), cur.clone()))
    }

    /// Convolution and pooling: `floor((n + 2 pad - dilation (kernel - 1) - 1) / stride) + 1`.
    fn window(&mut self, cur: &Ty) -> Made {
        let channels = cur.sizes[1].as_num()?;
        let (kernel, mut stride) = (self.rng.between(1, 3), self.rng.between(1, 2));
        let (pad, dilation) = (self.rng.between(0, kernel / 2), self.rng.between(1, 2));
        let open = cur.sizes[2..].iter().any(|size| size.as_num().is_none());
        if open {
            stride = 1;
        }
        let mut out = cur.clone();
        let mut needs = vec![];
        for size in &mut out.sizes[2..] {
            let less = 2 * pad - dilation * (kernel - 1) - 1;
            match size.as_num() {
                Some(n) if n + less < 0 => return None,
                Some(n) => *size = Size::num((n + less) / stride + 1),
                None => {
                    let sym = size.sym.filter(|sym| !sym.number && size.mul == 1)?;
                    *size = size.plus(Size::num(less + 1))?;
                    needs.push((sym, 1 - size.add));
                }
            }
        }
        if needs.iter().any(|(_, least)| *least > 1) {
            if self.env.strict {
                return None;
            }
            needs.iter().for_each(|(sym, least)| self.needs_least(sym.name, *least));
        }
        let window = format!("stride = {stride}, pad = {pad}, dilation = {dilation}");
        if self.rng.percent(40) {
            return Some((format!("maxpool({kernel}, {window})"), out));
        }
        let width = self.width();
        let groups: Vec<i64> = (1..=channels).filter(|g| channels % g == 0 && width % g == 0).collect();
        let groups = *self.rng.pick(&groups);
        out.sizes[1] = Size::num(width);
        let (width, kernel, groups) = (self.num(width), self.num(kernel), self.num(groups));
        Some((format!("conv({width}, {kernel}, {window}, groups = {groups})"), out))
    }

    pub fn needs_least(&mut self, name: &'static str, least: i64) {
        let known = self.least.entry(name).or_insert(1);
        *known = (*known).max(least);
    }

    /// Any operator of the catalogue, with arguments and operands from its schemas.
    fn of_catalogue(&mut self, cur: &Ty) -> Made {
        let all: Vec<&'static OpDef> = wythe::ops::all().filter(|op| proposed(op)).collect();
        for _ in 0..10 {
            let op = *self.rng.pick(&all);
            if let Some(made) = self.proposal(op, cur) {
                return Some(made);
            }
        }
        None
    }

    fn proposal(&mut self, op: &'static OpDef, cur: &Ty) -> Made {
        let mut shapes = Shapes::default();
        let (text, given) = self.arguments(op, cur, &mut shapes)?;
        let attrs = Attrs::with(op.attrs, &given);
        let (flow, types) = self.operand_flow(op, cur)?;
        let ins: Vec<Option<Type>> = types
            .iter()
            .map(|ty| {
                let ty = ty.as_ref()?;
                let dims: Vec<_> = ty.sizes.iter().map(|size| size.dim(&mut shapes)).collect();
                Some(shapes.ty(ty.dtype, &dims))
            })
            .collect();
        let mut cx = RuleCx::new(&mut shapes, &attrs, &ins);
        (op.rule)(&mut cx).ok()?;
        let (outs, needs) = (cx.outs, cx.needs);
        let mut least = vec![];
        for need in needs {
            let Condition::AtLeast(a, b) = need.condition else { return None };
            let difference = shapes.dims.sub(a, b);
            let size = Size::from_dim(difference, &shapes, &self.known)?;
            let sym = size.sym.filter(|sym| !sym.number && size.mul > 0 && !self.env.strict)?;
            least.push((sym.name, (-size.add + size.mul - 1) / size.mul));
        }
        let mut params = ParamCx { shapes: &mut shapes, attrs: &attrs, ins: &ins, gain: None };
        for dim in (op.params)(&mut params).iter().flat_map(|def| &def.dims) {
            let size = Size::from_dim(*dim, &shapes, &self.known)?;
            size.is_number().then_some(())?;
            (size.mul * 4 + size.add < 300).then_some(())?;
        }
        let visible = op.outputs.iter().filter(|output| !output.saved).count();
        // Several outputs, or as many as an argument says, are a tuple.
        (visible == 1 && outs.len() == op.outputs.len()).then_some(())?;
        // Statistics over one sample are refused when the model is trained.
        if op.facts.by_mode && op.outputs.len() > 1 {
            cur.sizes.first()?.as_num().is_none_or(|n| n > 1).then_some(())?;
        }
        let out = *outs.first()?;
        let sizes: Option<Vec<Size>> =
            shapes.dims(out).to_vec().into_iter().map(|dim| Size::from_dim(dim, &shapes, &self.known)).collect();
        let sizes = sizes?;
        sizes.iter().all(|size| size.sym.is_some() || size.add > 0).then_some(())?;
        least.into_iter().for_each(|(name, least)| self.needs_least(name, least));
        // Floats are no ids: that would be a fault of values.
        let dtype = outs[0].dtype;
        (dtype != DType::I64 || cur.dtype != DType::F32).then_some(())?;
        Some((format!("{flow}{}{text}", op.name), Ty { dtype, rest: false, sizes }))
    }

    /// Operands beside what flows: named values, or what flows once more.
    fn operand_flow(&mut self, op: &'static OpDef, cur: &Ty) -> Option<(String, Vec<Option<Ty>>)> {
        let (first, rest) = op.operands.split_first()?;
        first.dtype.allow(cur.dtype).then_some(())?;
        let (mut words, mut types, mut gap) = (vec!["it".to_string()], vec![Some(cur.clone())], false);
        for operand in rest {
            let times =
                if operand.many { self.rng.below(3) } else { usize::from(!operand.optional || self.rng.percent(20)) };
            if times == 0 {
                gap = true;
                types.push(None);
            }
            for _ in 0..times {
                let allowed = |(_, ty): &&(String, Ty)| !ty.rest && operand.dtype.allow(ty.dtype);
                let mut found: Vec<(String, Ty)> = self.env.scope.iter().filter(allowed).cloned().collect();
                if operand.dtype.allow(cur.dtype) {
                    found.push(("it".into(), cur.clone()));
                }
                (!found.is_empty()).then_some(())?;
                let (word, ty) = self.rng.pick(&found).clone();
                words.push(if gap || self.rng.percent(10) && !operand.many {
                    format!("{} = {word}", operand.name)
                } else {
                    word
                });
                types.push(Some(ty));
                gap |= words.last().is_some_and(|word| word.contains('='));
            }
        }
        while types.len() > 1 && types.last() == Some(&None) {
            types.pop();
        }
        let flow = if words.len() > 1 { format!("({}) |> ", words.join(", ")) } else { String::new() };
        Some((flow, types))
    }

    /// Arguments: those that must be there, and a few others.
    fn arguments(
        &mut self,
        op: &'static OpDef,
        cur: &Ty,
        shapes: &mut Shapes,
    ) -> Option<(String, Vec<(&'static str, Attr)>)> {
        let (mut words, mut given, mut in_order) = (vec![], vec![], true);
        for def in op.attrs {
            let required = def.default == AttrDefault::Required;
            let hidden = matches!(def.name, "in" | "flip" | "vocab" | "d" | "inverse") && !required;
            if hidden || !required && !self.rng.percent(12) {
                in_order &= !def.positional;
                continue;
            }
            let Some((text, attr)) = self.argument(def, cur, shapes) else {
                if required {
                    return None;
                }
                in_order &= !def.positional;
                continue;
            };
            let by_name = !(def.positional && in_order) || self.rng.percent(20);
            in_order &= !by_name;
            words.push(if by_name { format!("{} = {text}", def.name) } else { text });
            given.push((def.name, attr));
        }
        Some((if words.is_empty() { String::new() } else { format!("({})", words.join(", ")) }, given))
    }

    fn argument(&mut self, def: &AttrDef, cur: &Ty, shapes: &mut Shapes) -> Option<(String, Attr)> {
        let rank = cur.rank() as i64;
        let int = |n: i64| Attr::Int(n);
        let list = |items: &[i64]| Attr::List(items.iter().map(|n| Attr::Int(*n)).collect());
        match *self.rng.pick(def.kinds) {
            AttrKind::Size => {
                let n = self.width();
                Some((self.num(n), int(n)))
            }
            AttrKind::Int => {
                let n = self.rng.between(-2, 3);
                Some((n.to_string(), int(n)))
            }
            AttrKind::Number => {
                let x = *self.rng.pick(&[0.0, 0.1, 0.5, 1.5, 1e-5]);
                let sound = match def.domain {
                    Domain::Any => true,
                    Domain::Positive => x > 0.0,
                    Domain::NonNegative => x >= 0.0,
                    Domain::Probability => (0.0..=1.0).contains(&x),
                    Domain::HalfOpen => (0.0..1.0).contains(&x),
                    Domain::Unit => x == 1.0,
                };
                sound.then(|| (format!("{x:?}"), Attr::Float(x)))
            }
            AttrKind::Bool => {
                let yes = self.rng.percent(50);
                Some((yes.to_string(), Attr::Bool(yes)))
            }
            AttrKind::Choice(words) => {
                let word = *self.rng.pick(words);
                Some((format!("\"{word}\""), Attr::Str(word.into())))
            }
            AttrKind::PerAxis => self.per_axis(rank, 1),
            AttrKind::PerAxisZero => self.per_axis(rank, 0),
            AttrKind::Axis => {
                (rank > 0).then_some(())?;
                Some(self.axis_argument(cur))
            }
            AttrKind::Axes => {
                (rank > 0).then_some(())?;
                if self.rng.percent(40) {
                    return Some(self.axis_argument(cur));
                }
                let first = self.rng.between(0, rank - 1);
                let count = self.rng.between(1, rank);
                let axes: Vec<i64> = (0..count).map(|i| (first + i) % rank).collect();
                let text: Vec<String> = axes.iter().map(i64::to_string).collect();
                Some((format!("[{}]", text.join(", ")), list(&axes)))
            }
            AttrKind::Shape => self.shape_argument(cur, shapes),
            AttrKind::Init => {
                let (text, init) = match self.rng.below(3) {
                    0 => ("zeros", Init::Zeros),
                    1 => ("normal(0.02)", Init::Normal(0.02, 0.0)),
                    _ => ("xavier_uniform", Init::XavierUniform(1.0)),
                };
                Some((text.into(), Attr::Init(init)))
            }
            AttrKind::Text
            | AttrKind::Numbers
            | AttrKind::Bools
            | AttrKind::Stage
            | AttrKind::Layer
            | AttrKind::Nothing => None,
        }
    }

    /// An axis, as it is written and as the operator's rule gets it.
    fn axis_argument(&mut self, cur: &Ty) -> (String, Attr) {
        let axis = self.rng.below(cur.rank());
        let text = self.axis(cur, axis);
        let number = text.parse().unwrap_or(axis as i64);
        (text, Attr::Int(number))
    }

    fn per_axis(&mut self, rank: i64, least: i64) -> Option<(String, Attr)> {
        if self.rng.percent(60) || rank < 3 {
            let n = self.rng.between(least, 3);
            return Some((self.num(n), Attr::Int(n)));
        }
        let items: Vec<i64> = (0..rank - 2).map(|_| self.rng.between(least, 2)).collect();
        let text: Vec<String> = items.iter().map(|n| self.num(*n)).collect();
        Some((format!("[{}]", text.join(", ")), Attr::List(items.into_iter().map(Attr::Int).collect())))
    }

    /// The sizes themselves in another order, the last in two, or `-1` for one of them; only dims that may be named.
    fn shape_argument(&mut self, cur: &Ty, shapes: &mut Shapes) -> Option<(String, Attr)> {
        let mut sizes = cur.sizes.clone();
        match self.rng.below(4) {
            0 if sizes.len() > 1 => sizes.swap(0, 1),
            1 => {
                let last = sizes.pop()?.as_num().filter(|n| n % 2 == 0)?;
                sizes.extend([Size::num(2), Size::num(last / 2)]);
            }
            2 => sizes.insert(0, Size::num(self.rng.between(1, 2))),
            _ => {}
        }
        let open = self.rng.percent(30).then(|| self.rng.below(sizes.len().max(1)));
        let (mut text, mut items) = (vec![], vec![]);
        for (i, size) in sizes.into_iter().enumerate() {
            if Some(i) == open {
                text.push("-1".to_string());
                items.push(Attr::Int(-1));
                continue;
            }
            if let Some(sym) = size.sym {
                self.env.dims.contains(&sym).then_some(())?;
            }
            text.push(self.size(size));
            items.push(match size.as_num() {
                Some(n) => Attr::Int(n),
                None => Attr::Dim(size.dim(shapes)),
            });
        }
        Some((format!("[{}]", text.join(", ")), Attr::List(items)))
    }
}
