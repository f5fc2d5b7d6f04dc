//! Arguments to attributes: by position and by name, checked against the operator's schema.

use super::Elab;
use super::scope::near;
use super::value::{Given, Static, Target};
use crate::diagnostic::Diagnostic;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init, LayerRef, Stage, default};
use crate::ir::shape::Type;
use crate::ops;
use crate::syntax::lex::is_keyword;
use crate::text::Span;

/// A call with its attributes.
pub(super) struct Call {
    /// In schema order.
    pub attrs: Attrs,
    /// `path = "…"`.
    pub path: Option<(String, Span)>,
}

/// Why a value does not fit an attribute.
enum Wrong {
    /// It is of another kind.
    Kind,
    /// A fraction is never a size.
    Fraction,
    /// A size is at least 1 (0 for a padding): the least.
    Small(i64),
    /// Outside its domain: what it must be.
    Domain(&'static str),
    /// Not one of the options.
    Choice(Option<String>),
    /// A symbolic size where a number is wanted.
    Symbolic,
    /// A hyperparameter's name as an axis.
    HyperAxis,
    /// A dim that does not occur once in the shape: how often it does.
    DimAxis(usize),
    /// A word that names nothing.
    Word(String),
    /// Reported already.
    Silent,
}

/// The words of the thing that is called, for reports.
#[derive(Clone, Copy)]
pub(super) struct Called<'w> {
    /// The schema.
    pub defs: &'static [AttrDef],
    /// The word as written.
    pub word: &'w str,
    /// The whole call.
    pub span: Span,
}

impl Elab<'_> {
    /// Binds arguments to a schema. `None` where a required one is missing or wrong (reported).
    pub(super) fn bind(&mut self, called: Called<'_>, given: &[Given], input: Option<Type>) -> Option<Call> {
        let mut slots: Vec<Option<Attr>> = vec![None; called.defs.len()];
        let mut seen: Vec<Option<Span>> = vec![None; called.defs.len()];
        let mut sound = true;
        let mut path = None;
        let given = self.spread(called, given);
        let mut position = 0;
        for arg in given.iter() {
            if arg.name.as_ref().is_some_and(|name| name.text == "path")
                && !called.defs.iter().any(|def| def.name == "path")
            {
                match &arg.value {
                    Static::Str(text) if !text.is_empty() => path = Some((text.clone(), arg.value_span)),
                    _ => self.report_kind(called, "path", "a string", &arg.value.clone(), arg.value_span),
                }
                continue;
            }
            let Some(slot) = self.slot(called, arg, &mut position) else { continue };
            if let Some(first) = seen[slot] {
                let text = format!("`{}` of `{}` is given twice", called.defs[slot].name, called.word);
                self.report(Diagnostic::error("attr::twice", text, arg.span, "again here").label(first, "first here"));
                continue;
            }
            seen[slot] = Some(arg.span);
            match self.coerce(&called.defs[slot], arg, input) {
                Ok(attr) => slots[slot] = Some(attr),
                Err(wrong) => {
                    sound &= called.defs[slot].default != AttrDefault::Required;
                    self.explain_wrong(called, slot, arg, wrong);
                }
            }
            if let Some(pin) = &arg.pin {
                sound &= self.bind_pin(called, arg, pin.clone(), &mut slots);
            }
        }
        self.fill_from_layer(called.defs, &mut slots);
        self.fill_defaults(called, &seen, slots, sound).map(|attrs| Call { attrs, path })
    }

    /// One attribute alone, checked; what is wrong is reported.
    pub(super) fn one_attr(&mut self, defs: &'static [AttrDef], word: &str, arg: Given) -> Option<Attr> {
        let name = arg.name.as_ref()?.text.clone();
        let slot = defs.iter().position(|def| def.name == name)?;
        match self.coerce(&defs[slot], &arg, None) {
            Ok(attr) => Some(attr),
            Err(wrong) => {
                self.explain_wrong(Called { defs, word, span: arg.span }, slot, &arg, wrong);
                None
            }
        }
    }

    /// A list that is the only positional attribute may be written without brackets.
    fn spread(&self, called: Called<'_>, given: &[Given]) -> Vec<Given> {
        let lists =
            |kind: &AttrKind| matches!(kind, AttrKind::Axes | AttrKind::Shape | AttrKind::Numbers | AttrKind::PerAxis);
        let positional = called.defs.iter().filter(|def| def.positional).count();
        let first = called.defs.iter().find(|def| def.positional);
        let unnamed = given.iter().filter(|arg| arg.name.is_none() && arg.pin.is_none()).count();
        let numbers = given.iter().filter(|arg| arg.name.is_none()).all(|arg| {
            matches!(arg.value, Static::Int(_) | Static::Dim(_) | Static::Rest | Static::Unknown | Static::Float(_))
        });
        let second = called.defs.iter().filter(|def| def.positional).nth(1);
        let flags = |def: &AttrDef| def.kinds.iter().all(|kind| matches!(kind, AttrKind::Bool | AttrKind::Choice(_)));
        let enough = unnamed > positional || second.is_none_or(flags);
        let spread = unnamed > 1 && enough && numbers && first.is_some_and(|def| def.kinds.iter().any(lists));
        if !spread {
            return given.to_vec();
        }
        let (unnamed, named): (Vec<Given>, Vec<Given>) = given.iter().cloned().partition(|arg| arg.name.is_none());
        let span = unnamed.iter().fold(unnamed[0].span, |span, arg| span.to(arg.span));
        let list = Static::List(unnamed.iter().map(|arg| arg.value.clone()).collect());
        let list = Given { name: None, value: list, pin: None, span, value_span: span, hyper: false };
        std::iter::once(list).chain(named).collect()
    }

    /// Which attribute an argument is meant for.
    fn slot(&mut self, called: Called<'_>, arg: &Given, position: &mut usize) -> Option<usize> {
        let Some(name) = &arg.name else {
            let positional: Vec<usize> = (0..called.defs.len()).filter(|&i| called.defs[i].positional).collect();
            let slot = positional.get(*position).copied();
            *position += 1;
            if slot.is_none() {
                self.report_too_many(called, positional.len(), arg);
            }
            return slot;
        };
        if let Some(slot) = called.defs.iter().position(|def| def.name == name.text) {
            return Some(slot);
        }
        self.report_unknown_attr(called, arg);
        None
    }

    fn report_too_many(&mut self, called: Called<'_>, most: usize, arg: &Given) {
        let text = match most {
            0 => format!("`{}` takes no argument by position", called.word),
            1 => format!("`{}` takes 1 argument by position, not more", called.word),
            n => format!("`{}` takes {n} arguments by position, not more", called.word),
        };
        let mut report = Diagnostic::error("attr::too_many", text, arg.span, "one too many");
        if !called.defs.is_empty() {
            report = report.note(format!("`{}` is called so: {}", called.word, call_form(called)));
        }
        self.report(report);
    }

    fn report_unknown_attr(&mut self, called: Called<'_>, arg: &Given) {
        let Some(name) = &arg.name else { return };
        if is_keyword(&name.text) {
            // The parser has told what this option is called.
            return;
        }
        let word = called.word;
        let text = format!("`{word}` has no attribute `{}`", name.text);
        let report = Diagnostic::error("attr::unknown", text, name.span, "unknown");
        let torch = called.defs.iter().find(|def| !def.torch.is_empty() && def.torch == name.text);
        let has = |attr: &str| called.defs.iter().any(|def| def.name == attr);
        let report = match name.text.as_str() {
            "momentum" if has("update") => {
                let value = arg.value.float().map(|x| shown_float(1.0 - x));
                let mut report = Diagnostic { code: "attr::momentum", ..report };
                report.message = format!("`{word}` has no `momentum`: it has `update`, the weight of the new value");
                let report =
                    report.note("PyTorch's momentum is the weight of the new value, Keras' that of the old one");
                match value {
                    Some(value) => report.fix(arg.span, format!("update = {value}"), format!("update = {value}")),
                    None => report.fix(name.span, "update", "update"),
                }
            }
            "inplace" => report.note("values never change in place: leave it out"),
            _ => match torch.map(|def| def.name).or_else(|| {
                near(&name.text, called.defs.iter().map(|def| def.name).filter(|name| !name.starts_with('.')))
            }) {
                Some("in") => report.note("the input is inferred; pin it so: `in -> out` in the first place"),
                Some(meant) => self.meant_name(report, name.span, meant),
                None if called.defs.is_empty() => report.note(format!("`{word}` has no attributes")),
                None => report.note(format!("`{word}` is called so: {}", call_form(called))),
            },
        };
        self.report(report);
    }

    /// `in -> out`: what stands before the arrow is the input, what stands behind it the attribute itself.
    fn bind_pin(&mut self, called: Called<'_>, arg: &Given, pin: Static, slots: &mut [Option<Attr>]) -> bool {
        let first = called.defs.iter().position(|def| def.positional);
        let Some((first, slot)) = first.zip(called.defs.iter().position(|def| def.name == "in")) else {
            let text = format!("`{}` has no input to pin", called.word);
            self.report(Diagnostic::error("attr::pin", text, arg.span, "`->` is for `in -> out` of layers"));
            return true;
        };
        slots[slot] = slots[first].take();
        let out = Given { value: pin, pin: None, ..arg.clone() };
        match self.coerce(&called.defs[first], &out, None) {
            Ok(attr) => slots[first] = Some(attr),
            Err(wrong) => {
                self.explain_wrong(called, first, &out, wrong);
                return false;
            }
        }
        true
    }

    /// An attribute that is a layer hands its own attributes over: `unembed(wte)` has the table's `vocab` and `d`.
    fn fill_from_layer(&self, defs: &[AttrDef], slots: &mut [Option<Attr>]) {
        let layer = slots.iter().flatten().find_map(|attr| match attr {
            Attr::Layer(layer) => Some(layer.index as usize),
            _ => None,
        });
        let Some(attrs) = layer.and_then(|layer| self.layers.get(layer)).and_then(|layer| layer.def.attrs.clone())
        else {
            return;
        };
        for (slot, def) in slots.iter_mut().zip(defs) {
            if slot.is_none() && !def.positional && attrs.defs().iter().any(|other| other.name == def.name) {
                *slot = Some(attrs.get(def.name).clone());
            }
        }
    }

    fn fill_defaults(
        &mut self,
        called: Called<'_>,
        seen: &[Option<Span>],
        slots: Vec<Option<Attr>>,
        mut sound: bool,
    ) -> Option<Attrs> {
        let mut values: Vec<Attr> = vec![];
        for (i, slot) in slots.into_iter().enumerate() {
            let def = &called.defs[i];
            if slot.is_none() && def.default == AttrDefault::Required && seen[i].is_none() {
                let text = format!("`{}` needs `{}`: {}", called.word, def.name, def.doc);
                let report =
                    Diagnostic::error("attr::missing", text, called.span, format!("`{}` is missing", def.name));
                self.report(report.note(format!("it is called so: {}", call_form(called))));
                sound = false;
            }
            let same = |name: &str| {
                called.defs.iter().position(|other| other.name == name).and_then(|at| values.get(at).cloned())
            };
            values.push(slot.unwrap_or_else(|| default(def.default, same)));
        }
        sound.then(|| Attrs::new(called.defs, values))
    }

    /// A value as an attribute of some kind.
    fn coerce(&mut self, def: &AttrDef, arg: &Given, input: Option<Type>) -> Result<Attr, Wrong> {
        let axes = def.kinds.iter().any(|kind| matches!(kind, AttrKind::Axis | AttrKind::Axes));
        if axes && arg.hyper {
            return Err(Wrong::HyperAxis);
        }
        let value = if axes { arg.value.clone() } else { self.plain(&arg.value) };
        if let Static::Unknown = value {
            return Err(Wrong::Silent);
        }
        let mut wrong = Wrong::Kind;
        for &kind in def.kinds {
            match self.coerce_kind(kind, &value, arg, input) {
                Ok(attr) => return within(def.domain, attr),
                // The most telling reason wins over "of another kind".
                Err(Wrong::Kind) => {}
                Err(other) => wrong = other,
            }
        }
        match (wrong, value) {
            (Wrong::Kind, Static::Word(word)) => Err(Wrong::Word(word)),
            (Wrong::Kind, Static::Dim(_)) if self.symbolic => Err(Wrong::Silent),
            (Wrong::Symbolic, _) if self.symbolic => Err(Wrong::Silent),
            (wrong, _) => Err(wrong),
        }
    }

    fn coerce_kind(&mut self, kind: AttrKind, value: &Static, arg: &Given, input: Option<Type>) -> Result<Attr, Wrong> {
        match (kind, value) {
            (AttrKind::Size, Static::Int(n)) if *n < 1 => Err(Wrong::Small(1)),
            (AttrKind::Size | AttrKind::Int | AttrKind::Number, Static::Int(n)) => Ok(Attr::Int(*n)),
            (AttrKind::Size, Static::Dim(dim)) => Ok(Attr::Dim(*dim)),
            (AttrKind::Size | AttrKind::Int | AttrKind::PerAxis | AttrKind::PerAxisZero, Static::Ratio(..)) => {
                Err(Wrong::Fraction)
            }
            (AttrKind::Number, Static::Ratio(..) | Static::Float(_)) => Ok(Attr::Float(value.float().unwrap_or(0.0))),
            (AttrKind::Bool, Static::Bool(value)) => Ok(Attr::Bool(*value)),
            (AttrKind::Choice(options), Static::Str(text)) => {
                if options.contains(&text.as_str()) {
                    Ok(Attr::Str(text.clone()))
                } else {
                    Err(Wrong::Choice(None))
                }
            }
            (AttrKind::Choice(options), Static::Word(word)) if options.contains(&word.as_str()) => {
                Err(Wrong::Choice(Some(word.clone())))
            }
            (AttrKind::Choice(options), Static::Stage(_) | Static::Init(_)) => {
                let written = self.written(arg.value_span);
                if options.contains(&written) { Err(Wrong::Choice(Some(written.into()))) } else { Err(Wrong::Kind) }
            }
            (AttrKind::Text, Static::Str(text)) => Ok(Attr::Str(text.clone())),
            (AttrKind::PerAxis, _) => self.per_axis(value, 1),
            (AttrKind::PerAxisZero, _) => self.per_axis(value, 0),
            (AttrKind::Axis, _) => self.axis(value, input),
            (AttrKind::Axes, Static::List(items)) => {
                let axes: Result<Vec<Attr>, Wrong> = items.iter().map(|item| self.axis(item, input)).collect();
                Ok(Attr::List(axes?))
            }
            (AttrKind::Axes, _) => self.axis(value, input),
            (AttrKind::Shape, _) => self.shape(value),
            (AttrKind::Numbers, Static::List(items)) => {
                let numbers: Result<Vec<Attr>, Wrong> = items
                    .iter()
                    .map(|item| match item {
                        Static::List(_) => self.coerce_kind(AttrKind::Numbers, item, arg, input),
                        _ => self.coerce_kind(AttrKind::Number, &self.plain(item), arg, input),
                    })
                    .collect();
                Ok(Attr::List(numbers?))
            }
            (AttrKind::Init, Static::Init(init)) => Ok(Attr::Init(init.clone())),
            (AttrKind::Init, Static::Stage(stage)) => match stage.target {
                Target::Op(op) => self.initialiser(op.name, &stage.args).map(Attr::Init).ok_or(Wrong::Kind),
                Target::Block(_) => Err(Wrong::Kind),
            },
            (AttrKind::Stage, Static::Stage(stage)) => match stage.target {
                Target::Op(op) => {
                    let called = Called { defs: op.attrs, word: op.name, span: arg.value_span };
                    let call = self.bind(called, &stage.args, None).ok_or(Wrong::Silent)?;
                    Ok(Attr::Stage(Stage { op, attrs: call.attrs }))
                }
                Target::Block(_) => Err(Wrong::Kind),
            },
            (AttrKind::Stage, Static::Init(_)) => Err(Wrong::Kind),
            (AttrKind::Layer, Static::Layer(index)) => Ok(Attr::Layer(LayerRef { index: *index as u32 })),
            (AttrKind::Nothing, Static::None) => Ok(Attr::None),
            (AttrKind::Int | AttrKind::Number, Static::Dim(_)) => Err(Wrong::Symbolic),
            (
                AttrKind::Size
                | AttrKind::Int
                | AttrKind::Number
                | AttrKind::Bool
                | AttrKind::Choice(_)
                | AttrKind::Text
                | AttrKind::Numbers
                | AttrKind::Init
                | AttrKind::Stage
                | AttrKind::Layer
                | AttrKind::Nothing,
                _,
            ) => Err(Wrong::Kind),
        }
    }

    fn per_axis(&mut self, value: &Static, least: i64) -> Result<Attr, Wrong> {
        match self.plain(value) {
            Static::Int(n) if n < least => Err(Wrong::Small(least)),
            Static::Int(n) if n > 1 << 31 => Err(Wrong::Domain("less than 2^31")),
            Static::Int(n) => Ok(Attr::Int(n)),
            Static::Ratio(..) => Err(Wrong::Fraction),
            Static::Dim(_) => Err(Wrong::Symbolic),
            Static::List(items) => {
                let list: Result<Vec<Attr>, Wrong> = items.iter().map(|item| self.per_axis(item, least)).collect();
                Ok(Attr::List(list?))
            }
            _ => Err(Wrong::Kind),
        }
    }

    /// An integer, or a dim that occurs once in the shape.
    fn axis(&mut self, value: &Static, input: Option<Type>) -> Result<Attr, Wrong> {
        match value {
            Static::Int(n) => Ok(Attr::Int(*n)),
            Static::Dim(dim) => {
                // A declared layer is bound before anything flows in; the axis is found when it is applied.
                let Some(input) = input else { return Ok(Attr::Int(-1)) };
                let dims = self.shapes.dims(input);
                let found: Vec<usize> = (0..dims.len()).filter(|&i| dims[i] == *dim).collect();
                match found[..] {
                    [one] => Ok(Attr::Int(one as i64)),
                    _ if self.symbolic && self.open_rank => Err(Wrong::Silent),
                    _ => Err(Wrong::DimAxis(found.len())),
                }
            }
            _ => Err(Wrong::Kind),
        }
    }

    fn shape(&mut self, value: &Static) -> Result<Attr, Wrong> {
        let items = match value {
            Static::List(items) => items.clone(),
            other => vec![other.clone()],
        };
        let mut sizes = vec![];
        for item in items {
            sizes.push(match self.plain(&item) {
                Static::Int(n) if n < -1 => return Err(Wrong::Small(0)),
                Static::Int(n) => Attr::Int(n),
                Static::Dim(dim) => Attr::Dim(dim),
                Static::Rest => Attr::Rest,
                Static::Ratio(..) => return Err(Wrong::Fraction),
                Static::Unknown => return Err(Wrong::Silent),
                Static::Word(word) => return Err(Wrong::Word(word)),
                _ => return Err(Wrong::Kind),
            });
        }
        Ok(Attr::List(sizes))
    }

    fn report_kind(&mut self, called: Called<'_>, attr: &str, wanted: &str, value: &Static, span: Span) {
        if matches!(value, Static::Unknown) {
            return;
        }
        let text = format!("`{attr}` of `{}` is {wanted}, not {}", called.word, value.kind());
        self.report(Diagnostic::error("attr::kind", text, span, format!("{wanted} is wanted")));
    }

    fn explain_wrong(&mut self, called: Called<'_>, slot: usize, arg: &Given, wrong: Wrong) {
        let def = &called.defs[slot];
        let (name, word, span) = (def.name, called.word, arg.value_span);
        let shown = self.shown(&arg.value);
        let written = self.written(span).to_string();
        let report = match wrong {
            Wrong::Silent => return,
            Wrong::Word(unknown) => return self.unknown_word(&unknown, span),
            Wrong::Kind => return self.report_kind(called, name, &wanted(def), &arg.value.clone(), span),
            Wrong::Fraction => {
                let text = format!("`{name}` of `{word}` is {shown}: a fraction is never a size");
                let report = Diagnostic::error("attr::fraction", text, span, format!("= {shown}"));
                report.fix(span, format!("floor({written})"), format!("floor({written})"))
            }
            Wrong::Small(least) => {
                let text = format!("`{name}` of `{word}` must be at least {least}, and is {shown}");
                Diagnostic::error("attr::positive", text, span, format!("this is {shown}"))
            }
            Wrong::Domain(must) => {
                let text = format!("`{name}` of `{word}` must be {must}, and is {shown}");
                Diagnostic::error("attr::domain", text, span, format!("this is {shown}"))
            }
            Wrong::Choice(bare) => {
                let options: Vec<&str> = choices(def).collect();
                let list: Vec<String> = options.iter().map(|option| format!("\"{option}\"")).collect();
                let text = format!("`{name}` of `{word}` is one of {}", list.join(", "));
                let report = Diagnostic::error("attr::choice", text, span, "not one of them");
                match bare {
                    Some(bare) => {
                        let quoted = format!("\"{bare}\"");
                        let report = report.note("options are strings");
                        report.fix(span, quoted.clone(), quoted)
                    }
                    None => match near(written.trim_matches('"'), options.iter().copied()) {
                        Some(meant) => report.fix(span, format!("\"{meant}\""), format!("\"{meant}\"")),
                        None => report,
                    },
                }
            }
            Wrong::Symbolic => {
                let text = format!("`{name}` of `{word}` needs a number, and `{shown}` has none yet");
                let report = Diagnostic::error("type::symbolic", text, span, "a symbolic size");
                report.note("a symbolic size may stand in shapes, size lists and facts")
            }
            Wrong::HyperAxis => {
                let text = format!("`{written}` is a hyperparameter, and cannot name an axis");
                let report = Diagnostic::error("attr::axis_name", text, span, "not an axis");
                report.note("an axis is an integer (negative from the end) or a declared dim's name")
            }
            Wrong::DimAxis(times) => {
                let text = match times {
                    0 => format!("the dim `{written}` does not occur in what flows into `{word}`"),
                    n => format!("the dim `{written}` occurs {n} times in what flows into `{word}`"),
                };
                Diagnostic::error("attr::axis_dim", text, span, "write the axis as an integer")
            }
        };
        self.report(report);
    }

    /// A value of the number world, as a user reads it.
    pub(super) fn shown(&self, value: &Static) -> String {
        match value {
            Static::Int(n) => n.to_string(),
            Static::Ratio(n, d) => {
                let text = format!("{:.2}", *n as f64 / *d as f64);
                text.trim_end_matches('0').trim_end_matches('.').to_string()
            }
            Static::Float(x) => shown_float(*x),
            Static::Bool(b) => b.to_string(),
            Static::Str(text) => format!("\"{text}\""),
            Static::None => "none".into(),
            Static::List(items) => {
                format!("[{}]", items.iter().map(|item| self.shown(item)).collect::<Vec<_>>().join(", "))
            }
            Static::Rest => "...".into(),
            Static::Dim(dim) => self.shapes.dims.show(*dim),
            Static::Stage(stage) => {
                let word = match stage.target {
                    Target::Op(op) => op.name,
                    Target::Block(block) => self.blocks[block].name.text.as_str(),
                };
                let args = stage.args.iter().map(|arg| match &arg.name {
                    Some(name) => format!("{} = {}", name.text, self.shown(&arg.value)),
                    None => self.shown(&arg.value),
                });
                let args: Vec<String> = args.collect();
                if args.is_empty() { word.into() } else { format!("{word}({})", args.join(", ")) }
            }
            Static::Init(init) => shown_init(init),
            Static::Layer(layer) => self.layers.get(*layer).map_or_else(String::new, |layer| layer.name.clone()),
            Static::Word(word) => word.clone(),
            Static::Unknown => "?".into(),
        }
    }

    /// An initialiser by name; `None` if it is none. Wrong arguments are reported.
    pub(super) fn initialiser(&mut self, word: &str, given: &[Given]) -> Option<Init> {
        let defs = init_attrs(word)?;
        if given.is_empty() && (word == "constant" || ops::find(word).is_some() && word != "zeros" && word != "ones") {
            return None;
        }
        let span = given.iter().fold(None, |span: Option<Span>, arg| Some(span.map_or(arg.span, |s| s.to(arg.span))));
        let called = Called { defs, word: static_word(word), span: span.unwrap_or_default() };
        let attrs = match self.bind(called, given, None) {
            Some(call) => call.attrs,
            None => return Some(Init::Zeros),
        };
        let number = |name: &str| attrs.float(name).unwrap_or(0.0);
        Some(match word {
            "zeros" => Init::Zeros,
            "ones" => Init::Ones,
            "constant" => Init::Constant(number("value")),
            "uniform" => Init::Uniform(number("a"), number("b")),
            "normal" => Init::Normal(number("std"), number("mean")),
            "trunc_normal" => Init::TruncNormal(number("std"), number("a"), number("b")),
            "xavier_uniform" => Init::XavierUniform(number("gain")),
            "xavier_normal" => Init::XavierNormal(number("gain")),
            "kaiming_uniform" => Init::KaimingUniform(kaiming_gain(&attrs), attrs.str("mode") == Some("fan_out")),
            "kaiming_normal" => Init::KaimingNormal(kaiming_gain(&attrs), attrs.str("mode") == Some("fan_out")),
            "lecun_normal" => Init::KaimingNormal(1.0, false),
            "lecun_uniform" => Init::KaimingUniform(1.0, false),
            "orthogonal" => Init::Orthogonal(number("gain")),
            _ => Init::Eye,
        })
    }
}

/// A number within its domain.
fn within(domain: Domain, attr: Attr) -> Result<Attr, Wrong> {
    let inside = |x: f64| match domain {
        Domain::Any => true,
        Domain::Positive => x > 0.0,
        Domain::NonNegative => x >= 0.0,
        Domain::Probability => (0.0..=1.0).contains(&x),
        Domain::HalfOpen => (0.0..1.0).contains(&x),
    };
    let must = match domain {
        Domain::Any => "a number",
        Domain::Positive => "above 0",
        Domain::NonNegative => "at least 0",
        Domain::Probability => "between 0 and 1",
        Domain::HalfOpen => "at least 0 and below 1",
    };
    let sound = match &attr {
        Attr::Int(n) => inside(*n as f64),
        Attr::Float(x) => inside(*x),
        Attr::List(items) => items.iter().all(|item| match item {
            Attr::Int(n) => inside(*n as f64),
            Attr::Float(x) => inside(*x),
            _ => true,
        }),
        _ => true,
    };
    if sound { Ok(attr) } else { Err(Wrong::Domain(must)) }
}

fn choices(def: &AttrDef) -> impl Iterator<Item = &'static str> {
    def.kinds.iter().flat_map(|kind| match kind {
        AttrKind::Choice(options) => options.iter().copied(),
        _ => [].iter().copied(),
    })
}

/// What an attribute wants, in words.
fn wanted(def: &AttrDef) -> String {
    let words: Vec<&str> = def
        .kinds
        .iter()
        .map(|kind| match kind {
            AttrKind::Size => "a size",
            AttrKind::Int => "an integer",
            AttrKind::Number => "a number",
            AttrKind::Bool => "true or false",
            AttrKind::Choice(_) | AttrKind::Text => "a string",
            AttrKind::PerAxis | AttrKind::PerAxisZero => "an integer, or one an axis",
            AttrKind::Axis => "an axis",
            AttrKind::Axes => "an axis or a list of axes",
            AttrKind::Shape => "a list of sizes",
            AttrKind::Numbers => "a list of numbers",
            AttrKind::Init => "an initialiser",
            AttrKind::Stage => "an operator",
            AttrKind::Layer => "a declared layer",
            AttrKind::Nothing => "none",
        })
        .collect();
    words.join(" or ")
}

/// How something is called: `linear(out, bias = true)`.
fn call_form(called: Called<'_>) -> String {
    let shown = |def: &AttrDef| match def.default {
        AttrDefault::Required => def.name.to_string(),
        AttrDefault::None => format!("{} = none", def.name),
        AttrDefault::Bool(value) => format!("{} = {value}", def.name),
        AttrDefault::Int(value) => format!("{} = {value}", def.name),
        AttrDefault::Float(value) => format!("{} = {}", def.name, shown_float(value)),
        AttrDefault::Str(value) => format!("{} = \"{value}\"", def.name),
        AttrDefault::Floats(values) => format!("{} = {values:?}", def.name),
        AttrDefault::Same(other) => format!("{} = {other}", def.name),
    };
    let args: Vec<String> = called.defs.iter().filter(|def| worth_showing(def)).map(shown).collect();
    format!("{}({})", called.word, args.join(", "))
}

/// Attributes that a short form of a call names: not those that are rarely wanted.
fn worth_showing(def: &AttrDef) -> bool {
    def.positional || (def.default != AttrDefault::None && !def.name.starts_with('.'))
}

/// A float as short as it reads back.
pub(super) fn shown_float(x: f64) -> String {
    if x == f64::INFINITY {
        return "inf".into();
    }
    let rounded = (x * 1e12).round() / 1e12;
    let x = if rounded != 0.0 && (rounded - x).abs() < 1e-13 { rounded } else { x };
    if x != 0.0 && !(1e-4..1e16).contains(&x.abs()) { format!("{x:e}") } else { format!("{x}") }
}

fn shown_init(init: &Init) -> String {
    match init {
        Init::Zeros => "zeros".into(),
        Init::Ones => "ones".into(),
        Init::Constant(value) => format!("constant({value})"),
        Init::Uniform(a, b) => format!("uniform({a}, {b})"),
        Init::Normal(std, mean) => format!("normal({std}, {mean})"),
        Init::TruncNormal(std, a, b) => format!("trunc_normal({std}, {a}, {b})"),
        Init::XavierUniform(gain) => format!("xavier_uniform({gain})"),
        Init::XavierNormal(gain) => format!("xavier_normal({gain})"),
        Init::KaimingUniform(..) => "kaiming_uniform".into(),
        Init::KaimingNormal(..) => "kaiming_normal".into(),
        Init::UniformFan(fan) => format!("uniform_fan({fan})"),
        Init::Orthogonal(gain) => format!("orthogonal({gain})"),
        Init::Eye => "eye".into(),
        Init::Blocks(blocks) => blocks.first().map_or_else(String::new, |(_, init)| shown_init(init)),
    }
}

fn kaiming_gain(attrs: &Attrs) -> f64 {
    use crate::kernels::float::Float;
    let a = attrs.float("a").unwrap_or(0.0);
    match attrs.str("nonlinearity") {
        Some("relu") => Float::sqrt(2.0f64),
        Some("leaky_relu") => Float::sqrt(2.0 / (1.0 + a * a)),
        Some("tanh") => 5.0 / 3.0,
        Some("selu") => 0.75,
        _ => 1.0,
    }
}

const fn number(name: &'static str, default: f64) -> AttrDef {
    AttrDef::new(name, &[AttrKind::Number], AttrDefault::Float(default), "a number")
}

const GAIN: &[AttrDef] = &[number("gain", 1.0)];

const KAIMING: &[AttrDef] = &[
    AttrDef::new(
        "nonlinearity",
        &[AttrKind::Choice(&["leaky_relu", "relu", "tanh", "selu", "linear", "sigmoid"])],
        AttrDefault::Str("leaky_relu"),
        "what follows",
    ),
    number("a", 0.0),
    AttrDef::new("mode", &[AttrKind::Choice(&["fan_in", "fan_out"])], AttrDefault::Str("fan_in"), "which fan"),
];

/// The initialisers and their arguments.
const INITS: &[(&str, &[AttrDef])] = &[
    ("zeros", &[]),
    ("ones", &[]),
    ("constant", &[AttrDef::required("value", &[AttrKind::Number], "the number")]),
    ("uniform", &[number("a", 0.0), number("b", 1.0)]),
    ("normal", &[number("std", 1.0).within(Domain::NonNegative), number("mean", 0.0)]),
    ("trunc_normal", &[number("std", 1.0).within(Domain::NonNegative), number("a", -2.0), number("b", 2.0)]),
    ("xavier_uniform", GAIN),
    ("xavier_normal", GAIN),
    ("kaiming_uniform", KAIMING),
    ("kaiming_normal", KAIMING),
    ("lecun_normal", &[]),
    ("lecun_uniform", &[]),
    ("orthogonal", GAIN),
    ("eye", &[]),
];

fn init_attrs(word: &str) -> Option<&'static [AttrDef]> {
    INITS.iter().find(|(name, _)| *name == word).map(|(_, attrs)| *attrs)
}

fn static_word(word: &str) -> &'static str {
    INITS.iter().find(|(name, _)| *name == word).map_or("", |(name, _)| name)
}
