//! `residual`: branch and skip must have equal shapes, and nothing is ever broadcast between them.

use super::Elab;
use super::apply::Application;
use super::arith::internal;
use super::chain::{Frame, Producer};
use super::deep::Deep;
use super::path::{Adds, PathNode, placeholder};
use super::resolve::Resolved;
use super::scope::{Meaning, near};
use super::value::{Given, Static, Target, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::attr::Attrs;
use crate::ir::op::Condition;
use crate::ir::shape::Type;
use crate::ir::structured::{Item, ScopeItem, ScopeKind, ValueId};
use crate::syntax::ast::{Arg, Body, Call, Name};
use crate::text::Span;

/// A residual as it was written.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    /// `residual pre layernorm`.
    pub head: Span,
    /// pre, post, deep, or a hyperparameter that holds one.
    pub placement: Option<&'a (Name, Vec<Arg>)>,
    /// The norm.
    pub norm: Option<&'a Call>,
    /// The branch.
    pub branch: &'a Body,
    /// `skip { … }`.
    pub skip: Option<&'a Body>,
    /// All of it.
    pub span: Span,
}

/// The residual whose branch is being read.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    /// Its head.
    pub head: Span,
    /// What the skip carries.
    pub skip: Type,
}

/// Where the norm stands.
#[derive(Clone, Debug, PartialEq)]
enum Placement {
    Plain,
    Pre,
    Post,
    Deep(Deep),
}

/// The norm of a residual.
struct Norm<'a> {
    resolved: Resolved,
    call: &'a Call,
    node: PathNode,
}

impl<'a> Elab<'a> {
    /// Reads a residual.
    pub(super) fn residual(&mut self, written: Written<'a>) -> Val {
        let input = self.use_it(written.head);
        if written.placement.is_some() && written.norm.is_none() {
            // The parser has asked for the norm; what flows on is what flowed in.
            return input.single().map_or(Val::Unknown, |id| self.meant(id, written.head));
        }
        let Some(placement) = self.placement(written) else {
            // What was meant keeps the shape.
            return input.single().map_or(Val::Unknown, |id| self.meant(id, written.head));
        };
        let norm = match (&placement, written.norm) {
            (Placement::Plain, _) => None,
            (_, None) => None,
            (_, Some(call)) => {
                let node = self.paths.add(self.scope, Adds::Word("norm".into()));
                Some(Norm { resolved: self.resolve(call), call, node })
            }
        };
        if input.is_unknown() {
            return Val::Unknown;
        }
        let Some(x) = input.single() else {
            let text = "a residual carries one value, and several flow in";
            self.report(Diagnostic::error("type::residual_tuple", text, written.head, "several values flow in"));
            return Val::Unknown;
        };
        let calls = std::mem::take(&mut self.calls);
        let owners = self.owners;
        self.chain.push(Frame::Residual(x));
        self.regions.push(Default::default());
        let label = self.residual_label(&placement, norm.as_ref());
        let result = self.residual_parts(written, &placement, norm, x);
        let region = self.regions.pop().unwrap_or_default();
        self.chain.pop();
        let (kind, span, path) = (ScopeKind::Residual, written.span, placeholder(self.scope));
        self.emit(Item::Scope(ScopeItem { kind, label, path, region, span }));
        self.calls = calls;
        self.calls.push((None, self.owners > owners));
        result
    }

    /// As meant, not as written: `residual pre rmsnorm`, also where hyperparameters say so.
    fn residual_label(&self, placement: &Placement, norm: Option<&Norm<'a>>) -> String {
        let word = match placement {
            Placement::Plain => return "residual".into(),
            Placement::Pre => "pre",
            Placement::Post => "post",
            Placement::Deep(_) => "deep",
        };
        let norm = match norm.map(|norm| (&norm.resolved, norm.call)) {
            Some((Resolved::Stage(Target::Op(op), _), _)) => op.name.to_string(),
            Some((Resolved::Stage(Target::Block(block), _), _)) => self.blocks[*block].name.text.clone(),
            Some((Resolved::Layer(_) | Resolved::Value(_) | Resolved::Broken, call)) => call.name.text.clone(),
            None => String::new(),
        };
        format!("residual {word} {norm}").trim_end().to_string()
    }

    fn residual_parts(
        &mut self,
        written: Written<'a>,
        placement: &Placement,
        norm: Option<Norm<'a>>,
        x: ValueId,
    ) -> Val {
        // A boundary for the chain of shapes: it begins where the residual does.
        let ty = self.ty(x);
        let mut start = Val::One(x);
        if let (Placement::Pre, Some(norm)) = (placement, &norm) {
            start = self.apply_norm(norm, start);
        }
        let skip_ty = match written.skip {
            None => Some(ty),
            Some(_) => None,
        };
        let errors = self.mistakes;
        self.tail = skip_ty.map(|skip| Tail { head: written.head, skip });
        let branch = self.body(written.branch, Some(start), false);
        self.tail = None;
        let skip = match written.skip {
            None => Val::One(x),
            Some(body) => {
                self.regions.push(Default::default());
                let skip = self.body(body, Some(Val::One(x)), false);
                let region = self.regions.pop().unwrap_or_default();
                let (kind, path) = (ScopeKind::Skip, placeholder(self.scope));
                self.emit(Item::Scope(ScopeItem { kind, label: "skip".into(), path, region, span: body.span }));
                skip
            }
        };
        let (Some(a), Some(b)) = (skip.single(), branch.single()) else {
            self.report_residual_tuple(written, &branch, &skip);
            return skip.single().map_or(Val::Unknown, |id| self.meant(id, written.head));
        };
        // After a mistake inside, what the branch ends with was hardly meant.
        let sum = match self.mistakes == errors && self.equal_branches(written, a, b) {
            true => self.sum(written, placement, a, b),
            false => {
                let meant = self.meant(a, written.head);
                self.assume(&meant, b);
                meant
            }
        };
        match (placement, &norm) {
            (Placement::Post | Placement::Deep(_), Some(norm)) => self.apply_norm(norm, sum),
            _ => sum,
        }
    }

    fn apply_norm(&mut self, norm: &Norm<'a>, incoming: Val) -> Val {
        let (word, span) = (norm.call.name.text.as_str(), norm.call.span);
        match &norm.resolved {
            Resolved::Stage(target, given) => {
                let node = Some(norm.node);
                self.apply(Application { target: *target, given, incoming, word, span, node, layer: None })
            }
            Resolved::Layer(layer) => self.apply_layer(*layer, incoming, span),
            Resolved::Value(_) => {
                let text = format!("`{word}` is a value, and stands in the place of a norm");
                self.report(Diagnostic::error("type::norm", text, span, "a stage is wanted here"));
                Val::Unknown
            }
            Resolved::Broken => Val::Unknown,
        }
    }

    /// `alpha * skip + branch`.
    fn sum(&mut self, written: Written<'a>, placement: &Placement, skip: ValueId, branch: ValueId) -> Val {
        let Some(op) = internal("residual.add").or_else(|| internal("residual_add")) else { return Val::Unknown };
        let attrs = Attrs::with(op.attrs, &[]);
        let sum = self.internal_op(op, attrs, &[skip, branch], "residual", written.head);
        if let (Placement::Deep(deep), Some(id)) = (placement, sum.single()) {
            self.deeps.insert(id, deep.clone());
        }
        sum
    }

    /// The value that was meant, after a mistake: of the skip's type.
    pub(super) fn meant(&mut self, like: ValueId, span: Span) -> Val {
        let ty = self.ty(like);
        Val::One(
            self.value(
                ty,
                Some(Producer { word: "residual".into(), from: Some(like), span, alias: true, block: None }),
            ),
        )
    }

    /// Notes that a value's type was assumed, in the place of what the text says.
    pub(super) fn assume(&mut self, meant: &Val, said: ValueId) {
        if let Some(id) = meant.single() {
            let actual = self.actual.get(&said).copied().unwrap_or(self.ty(said));
            self.actual.insert(id, actual);
        }
    }

    fn equal_branches(&mut self, written: Written<'a>, skip: ValueId, branch: ValueId) -> bool {
        let (a, b) = (self.ty(skip), self.ty(branch));
        if a == b {
            return true;
        }
        let (x, y) = (self.shapes.dims(a).to_vec(), self.shapes.dims(b).to_vec());
        let mut equal = a.dtype == b.dtype && x.len() == y.len();
        for (&x, &y) in x.iter().zip(&y) {
            let condition = Condition::Equal(x, y);
            match self.prover.decide(&mut self.shapes.dims, condition) {
                Some(true) => {}
                None if self.symbolic => {}
                Some(false) | None => equal = false,
            }
        }
        if !equal {
            self.residual_end = written.skip.is_none().then_some(Span { start: written.span.end, ..written.span });
            self.report_branch(written.head, a, branch, b, written.skip.map(|_| skip));
            self.residual_end = None;
        }
        equal
    }

    /// The mistake of a residual: both ends are underlined.
    pub(super) fn report_branch(
        &mut self,
        head: Span,
        skip: Type,
        branch: ValueId,
        ends: Type,
        projected: Option<ValueId>,
    ) {
        let width = self.shapes.dims(skip).last() != self.shapes.dims(ends).last();
        let made = if width && self.shapes.rank(ends) == self.shapes.rank(skip) {
            self.sizer(branch)
        } else {
            self.culprit(branch)
        };
        let place = made.or_else(|| self.origin(branch)).unwrap_or(head);
        let text = "the branch of a residual must end with the shape it started with";
        let ends_as = format!("the branch ends as {}", self.shapes.show(ends));
        let carries = format!("the skip carries {}", self.shown_type(skip));
        let mut report = Diagnostic::error("shape::residual", text, place, ends_as);
        let skip_place = projected.and_then(|skip| self.culprit(skip)).unwrap_or(head);
        report = report.label(skip_place, carries);
        if projected.is_some() {
            report.message = "the branch and the skip of a residual must end with equal shapes".into();
        }
        let (wanted, found) = (self.shapes.dims(skip).to_vec(), self.shapes.dims(ends).to_vec());
        if let Some(fact) = self.deciding_fact(&wanted, &found) {
            report = report.note(format!("equal where `{fact}`"));
            report = self.with_fact_fix(report, &fact);
        } else {
            // Two layers that agree on another width meant it.
            if width && self.culprit(branch).is_some_and(|first| first != place) {
                report = self.with_projection_fix(report, place, &wanted, &found);
            }
            report = self.with_size_fix(report, place, &wanted, &found);
            report = self.with_pad_fix(report, place, &wanted, &found);
            report = self.with_projection_fix(report, place, &wanted, &found);
        }
        let block = self.made_in(branch);
        let depth = self.chain.len();
        self.chain.extend(block);
        self.report_flow(report, branch);
        self.chain.truncate(depth);
    }

    fn report_residual_tuple(&mut self, written: Written<'a>, branch: &Val, skip: &Val) {
        if branch.is_unknown() || skip.is_unknown() {
            return;
        }
        let (which, span) = if branch.single().is_none() {
            ("branch", written.branch.span)
        } else {
            ("skip", written.skip.map_or(written.head, |skip| skip.span))
        };
        let text = format!("the {which} of a residual must end with one value, and ends with several");
        let report = Diagnostic::error("type::residual_tuple", text, written.head, "adds two values");
        self.report(report.label(span, "several values"));
    }

    /// pre, post or deep: the word, or what a hyperparameter holds.
    fn placement(&mut self, written: Written<'a>) -> Option<Placement> {
        let Some((name, args)) = written.placement else { return Some(Placement::Plain) };
        let word = name.text.as_str();
        let held = match self.inst.lookup(word).map(|bound| bound.what.clone()) {
            Some(Meaning::Static(value)) => Some(value),
            _ => self.inst.hypers.get(word).map(|(value, _)| value.clone()),
        };
        let kind = match (word, held) {
            ("pre" | "post" | "deep", None) => word.to_string(),
            (_, Some(Static::Str(text) | Static::Word(text))) => text,
            (_, Some(Static::None)) => return Some(Placement::Plain),
            (_, Some(Static::Unknown)) => return None,
            (_, Some(held)) if self.is_open(&held) => return None,
            (_, held) => return self.report_placement(written, name, held),
        };
        let given = self.given(args);
        match kind.as_str() {
            "pre" => Some(Placement::Pre),
            "post" => Some(Placement::Post),
            "deep" => Some(Placement::Deep(self.deep_args(&given))),
            other => {
                let other = Static::Str(other.into());
                self.report_placement(written, name, Some(other))
            }
        }
    }

    fn report_placement(&mut self, written: Written<'a>, name: &Name, held: Option<Static>) -> Option<Placement> {
        let word = name.text.as_str();
        let text = match held {
            Some(value) => {
                format!("a placement is \"pre\", \"post\" or \"deep\", and `{word}` is {}", self.shown(&value))
            }
            None => format!("there is no placement `{word}`: it is pre, post or deep"),
        };
        let report = Diagnostic::error("name::placement", text, name.span, "unknown placement");
        let hypers = self.inst.hypers.keys().map(String::as_str);
        let turned = written.norm.filter(|norm| matches!(&*norm.name.text, "pre" | "post" | "deep"));
        let begun = ["pre", "post", "deep"].into_iter().find(|known| word.to_lowercase().starts_with(known));
        let report = match begun.or_else(|| near(word, ["pre", "post", "deep"].into_iter().chain(hypers))) {
            Some(meant) => self.meant_name(report, name.span, meant),
            None => match turned {
                Some(norm) => {
                    let span = name.span.to(norm.span);
                    let fixed = format!("{} {word}", self.written(norm.span));
                    let shown = self.mended(span, &fixed);
                    report.note("first where the norm stands, then which").fix(span, fixed, shown)
                }
                None => report,
            },
        };
        self.report(report);
        None
    }

    /// The arguments of `deep(…)`.
    fn deep_args(&mut self, given: &[Given]) -> Deep {
        let mut deep = Deep::default();
        for arg in given {
            let Some(name) = &arg.name else {
                let text = "`deep` takes named arguments: alpha, beta, layers, encoder, decoder";
                self.report(Diagnostic::error("attr::deep", text, arg.span, "name it"));
                continue;
            };
            let value = self.plain(&arg.value);
            let positive = value.float().filter(|&x| x > 0.0 && x.is_finite());
            let slot = match name.text.as_str() {
                "alpha" => &mut deep.alpha,
                "beta" => &mut deep.beta,
                "layers" => &mut deep.layers,
                "encoder" => &mut deep.encoder,
                "decoder" => &mut deep.decoder,
                other => {
                    let text = format!("`deep` has no argument `{other}`");
                    let report = Diagnostic::error("attr::deep", text, name.span, "unknown");
                    let report = match near(other, ["alpha", "beta", "layers", "encoder", "decoder"]) {
                        Some(meant) => self.meant_name(report, name.span, meant),
                        None => report.note("its arguments are alpha, beta, layers, encoder, decoder"),
                    };
                    self.report(report);
                    continue;
                }
            };
            *slot = positive;
            if positive.is_none() && !matches!(value, Static::Unknown) && !matches!(value, Static::Dim(_)) {
                let shown = self.shown(&value);
                let text = format!("`{}` of `deep` must be a number above 0, and is {shown}", name.text);
                self.report(Diagnostic::error("attr::deep", text, arg.value_span, format!("this is {shown}")));
            }
        }
        let both = |name: &str, other: &str| {
            given.iter().find(|arg| named(arg, other)).filter(|_| given.iter().any(|arg| named(arg, name)))
        };
        if let Some(arg) = both("layers", "encoder").or_else(|| both("layers", "decoder")) {
            let text =
                "`layers` says how deep one stack is, `encoder` and `decoder` how deep a pair is: one of the two";
            self.report(Diagnostic::error("attr::deep", text, arg.span, "beside `layers`"));
        }
        deep
    }
}

fn named(arg: &Given, name: &str) -> bool {
    arg.name.as_ref().is_some_and(|own| own.text == name)
}
