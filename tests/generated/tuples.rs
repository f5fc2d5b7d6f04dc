//! Several values at once: patterns, tuples that flow, blocks with several inputs and outputs, masks, tied tables.

use super::block::Block;
use super::body::{Gen, Made};
use super::size::{Size, Ty};
use wythe::tensor::DType;

impl Gen {
    /// Lines that take a value apart and put it together again.
    pub fn apart(&mut self, cur: &Ty) -> Option<(Vec<String>, Ty)> {
        if cur.dtype != DType::F32 || cur.rest || cur.rank() == 0 {
            return None;
        }
        match self.rng.below(9) {
            0 => self.halves(cur),
            1 => self.parts(cur),
            2 => self.extreme(cur),
            3 => self.sorted(cur),
            4 => self.weights(cur),
            5 => self.carried(cur),
            6 => self.masked(cur),
            7 => self.tied(cur),
            _ => self.two(cur),
        }
    }

    /// Names for the parts of a pattern.
    fn two_names(&mut self) -> (String, String) {
        (self.name("v"), self.name("v"))
    }

    /// What becomes of two values of one type.
    fn joined(&mut self, a: &str, b: &str, ty: &Ty) -> (String, Ty) {
        let last = ty.rank() - 1;
        match self.rng.below(5) {
            0 => (format!("({a}, {b}) |> sum"), ty.clone()),
            1 => (format!("{a} * {b}"), ty.clone()),
            2 => (format!("({a}, {b} |> tanh) |> mul"), ty.clone()),
            3 => (format!("({b}, {a}) |> maximum"), ty.clone()),
            _ => {
                let axis = self.axis(ty, last);
                (format!("({a}, {b}) |> concat(axis = {axis})"), ty.ending(ty.sizes[last].times(2)))
            }
        }
    }

    fn halves(&mut self, cur: &Ty) -> Option<(Vec<String>, Ty)> {
        let n = cur.last()?.as_num().filter(|n| n % 2 == 0)?;
        let (a, b) = self.two_names();
        let half = cur.ending(Size::num(n / 2));
        let first = format!("({a}, {b}) = {}", self.rng.pick(&["chunk(2)", "chunk(2, axis = -1)"]));
        let (line, ty) = self.joined(&a, &b, &half);
        Some((vec![first, line], ty))
    }

    fn parts(&mut self, cur: &Ty) -> Option<(Vec<String>, Ty)> {
        let n = cur.last()?.as_num().filter(|n| *n > 1)?;
        let (a, b) = self.two_names();
        let k = self.rng.between(1, n - 1);
        let one = self.num(k);
        let first = format!("({a}, {b}) = split([{one}, {}])", n - k);
        // One of them is not wanted, or both are layered to one width.
        if self.rng.percent(40) {
            let first = first.replace(&b, "_");
            return Some((vec![first, format!("{a} |> relu")], cur.ending(Size::num(k))));
        }
        let width = self.width();
        let line = format!("({a} |> linear({width}), {b} |> linear({width})) |> sum");
        Some((vec![first, line], cur.ending(Size::num(width))))
    }

    /// Values and where they stood: the values flow on.
    fn extreme(&mut self, cur: &Ty) -> Option<(Vec<String>, Ty)> {
        (cur.rank() > 1).then_some(())?;
        let at = self.rng.below(cur.rank());
        let (word, axis) = (*self.rng.pick(&["max", "min", "median"]), self.axis(cur, at));
        let name = self.name("v");
        let mut out = cur.clone();
        out.sizes.remove(at);
        let ids = Ty { dtype: DType::I64, ..out.clone() };
        self.env.scope.push((name.clone(), ids));
        let values = if self.rng.percent(50) { self.name("v") } else { "_".into() };
        Some((vec![format!("({values}, {name}) = {word}(axis = {axis})")], out))
    }

    fn sorted(&mut self, cur: &Ty) -> Option<(Vec<String>, Ty)> {
        let (at, name) = (self.rng.below(cur.rank()), self.name("v"));
        let axis = self.axis(cur, at);
        let mut out = cur.clone();
        let call = match cur.sizes[at].as_num() {
            Some(n) if self.rng.percent(50) => {
                let k = self.rng.between(1, n);
                out.sizes[at] = Size::num(k);
                format!("topk({}, axis = {axis})", self.num(k))
            }
            _ => format!("sort(axis = {axis})"),
        };
        self.env.scope.push((name.clone(), out.clone()));
        Some((vec![format!("({name}, _) = {call}"), format!("{name} * 2")], out))
    }

    /// Attention shows where it looked.
    fn weights(&mut self, cur: &Ty) -> Option<(Vec<String>, Ty)> {
        (cur.rank() == 3).then_some(())?;
        let d = cur.last()?.as_num()?;
        let heads = *self.rng.pick(&(1..=4).filter(|heads| d % heads == 0).collect::<Vec<i64>>());
        let (y, weights) = self.two_names();
        let seen = Ty { sizes: vec![cur.sizes[0], Size::num(heads), cur.sizes[1], cur.sizes[1]], ..cur.clone() };
        self.env.scope.push((weights.clone(), seen));
        Some((vec![format!("({y}, {weights}) = attention({heads})")], cur.clone()))
    }

    /// Two values go round together.
    fn carried(&mut self, cur: &Ty) -> Option<(Vec<String>, Ty)> {
        let d = cur.last()?;
        d.is_number().then_some(())?;
        let ((a, b), (p, q)) = (self.two_names(), self.two_names());
        let (n, width) = (self.rng.below(4), self.size(d));
        let shared = if self.rng.percent(30) { " shared" } else { "" };
        let lines = vec![
            "(it, it |> relu)".to_string(),
            format!("repeat {n}{shared} {{ ({a}, {b}) = it; ({b}, {a} |> linear({width})) }}"),
            format!("({p}, {q}) = it"),
        ];
        let (line, ty) = self.joined(&p, &q, cur);
        Some(([lines, vec![line]].concat(), ty))
    }

    /// A mask among the inputs.
    fn masked(&mut self, cur: &Ty) -> Option<(Vec<String>, Ty)> {
        let masks = self
            .env
            .scope
            .iter()
            .find(|(_, ty)| ty.dtype == DType::Bool && ty.sizes == cur.sizes[..ty.rank().min(cur.rank())]);
        let mask = masks.map(|(name, _)| name.clone())?;
        let d = cur.last()?.as_num().filter(|_| cur.rank() == 3)?;
        let call = match self.rng.below(3) {
            0 => format!("(it, mask = {mask}) |> attention({})", if d % 2 == 0 { 2 } else { 1 }),
            1 => format!("(it, {mask} |> logical_not |> unsqueeze(2) |> expand([-1, -1, {d}])) |> masked_fill(0.5)"),
            _ => format!("it * ({mask} |> cast(\"f32\") |> unsqueeze(-1) |> expand([-1, -1, {d}]))"),
        };
        Some((vec![call], cur.clone()))
    }

    /// A table that is read, and whose transpose ends in logits.
    fn tied(&mut self, cur: &Ty) -> Option<(Vec<String>, Ty)> {
        let d = cur.last()?.as_num()?;
        let found: Vec<(String, i64)> = self
            .env
            .tables
            .iter()
            .filter(|(_, width, _)| *width == d)
            .map(|(name, _, vocab)| (name.clone(), *vocab))
            .collect();
        (!found.is_empty()).then_some(())?;
        let (name, vocab) = self.rng.pick(&found).clone();
        Some((vec![format!("unembed({name})")], cur.ending(Size::num(vocab))))
    }

    /// A block of two inputs and two outputs, in one of its forms.
    fn two(&mut self, cur: &Ty) -> Option<(Vec<String>, Ty)> {
        let d = cur.last()?.as_num()?;
        let name = match self.env.twos.first().filter(|_| self.rng.percent(60)) {
            Some(name) => name.clone(),
            None => {
                let name = self.name("two_");
                let text = self.two_text(&name);
                self.blocks.push(Block::closed(name.clone(), text));
                self.env.twos.push(name.clone());
                name
            }
        };
        let (a, b) = self.two_names();
        let call = match self.rng.below(3) {
            0 => format!("(it, it |> relu) |> {name}({d})"),
            1 => format!("(y = it, x = it |> gelu) |> {name}(d = {d})"),
            _ => format!("(it, y = it * 2) |> {name}({d})"),
        };
        let (line, ty) = self.joined(&a, &b, cur);
        Some((vec![format!("({a}, {b}) = {call}"), line], ty))
    }

    fn two_text(&mut self, name: &str) -> String {
        let body = *self.rng.pick(&[
            "  s = x + y\n  t = x |> linear(d)\n  return (s, t)\n",
            "  return (x |> residual pre rmsnorm { linear(2 * d); relu; linear(d) }, y |> linear(d))\n",
            "  (x, y) |> sum\n  both = linear(d) |> relu\n  return (both - x, both * y)\n",
            "  s = x |> repeat 2 { residual deep layernorm { linear(d) } }\n  return (s |> tanh, y)\n",
        ]);
        format!("block {name}(d) : (x: [..., d], y: [..., d]) -> (a: [..., d], b: [..., d]) {{\n{body}}}\n")
    }

    /// A table that is declared, where it can be read.
    pub fn table(&mut self, cur: &Ty) -> Made {
        (cur.dtype == DType::I64 && cur.rank() <= 3 && !self.env.strict).then_some(())?;
        let (name, vocab, d) = (self.name("table_"), self.rng.between(2, 9), self.width());
        self.env.tables.push((name.clone(), d, vocab));
        let mut out = Ty { dtype: DType::F32, ..cur.clone() };
        out.sizes.push(Size::num(d));
        Some((format!("layer {name} = embedding({vocab}, {d})\n{name}"), out))
    }
}
