//! Applying a stage to a value: an operator, a block, a declared layer.

use super::Elab;
use super::bind::Called;
use super::chain::Producer;
use super::path::{Adds, PathNode, placeholder};
use super::value::{Given, Target, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::attr::{Attr, Attrs};
use crate::ir::op::{Condition, Misfit, MisfitKind, Need, OpDef, ParamCx, ParamDef, RuleCx, Why};
use crate::ir::shape::Type;
use crate::ir::structured::{Item, LayerDef, OpItem, ValueId};
use crate::text::Span;

/// A declared layer.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Its name.
    pub name: String,
    /// As the graph wants it; its path is a placeholder.
    pub def: LayerDef,
    /// What it is.
    pub target: Target,
    /// Its arguments.
    pub given: Vec<Given>,
    /// The node of its path.
    pub node: PathNode,
    /// The parameters that its first use has fixed, with the place of that use.
    pub params: Option<(Vec<ParamDef>, Span)>,
}

/// One application of a stage.
#[derive(Clone, Debug)]
pub(super) struct Application<'g> {
    /// What is applied.
    pub target: Target,
    /// Its arguments.
    pub given: &'g [Given],
    /// What flows in.
    pub incoming: Val,
    /// The word as written.
    pub word: &'g str,
    /// The whole call.
    pub span: Span,
    /// The node of its path, where it has one already.
    pub node: Option<PathNode>,
    /// The declared layer that it is a use of.
    pub layer: Option<usize>,
}

/// A use of an operator with everything bound.
pub(super) struct Use<'u> {
    /// The operator.
    pub op: &'static OpDef,
    /// Its attributes.
    pub attrs: Attrs,
    /// Its operands.
    pub operands: Vec<Option<ValueId>>,
    /// Its word.
    pub word: &'u str,
    /// Where it stands.
    pub span: Span,
    /// Its path.
    pub node: PathNode,
    /// Its arguments, for fixes.
    pub given: &'u [Given],
    /// The declared layer that it is a use of.
    pub layer: Option<usize>,
}

impl<'a> Elab<'a> {
    /// Applies a stage.
    pub(super) fn apply(&mut self, app: Application<'_>) -> Val {
        if self.limits.over {
            return Val::Unknown;
        }
        match app.target {
            Target::Op(op) => self.apply_op(op, app),
            Target::Block(block) => self.call_block(block, app),
        }
    }

    /// Applies a declared layer.
    pub(super) fn apply_layer(&mut self, index: usize, incoming: Val, span: Span) -> Val {
        let layer = self.layers[index].clone();
        let node = self.paths.applied(self.scope, &layer.name, layer.node);
        let app = Application {
            target: layer.target,
            given: &layer.given,
            incoming,
            word: &layer.name,
            span,
            node: Some(node),
            layer: Some(index),
        };
        // A declared layer does not count among the owners of a named flow.
        let (owners, calls) = (self.owners, std::mem::take(&mut self.calls));
        let parameters = self.limits.parameters;
        let result = self.apply(app);
        if self.layers[index].params.is_some() && layer.params.is_some() {
            self.limits.parameters = parameters;
        }
        (self.owners, self.calls) = (owners, calls);
        result
    }

    fn apply_op(&mut self, op: &'static OpDef, app: Application<'_>) -> Val {
        let operands = self.operands(op, &app);
        let input = operands.as_ref().and_then(|operands| operands.first().copied().flatten());
        let input = input.map(|value| self.ty(value));
        let called = Called { defs: op.attrs, word: app.word, span: app.span };
        let call = self.bind(called, app.given, input);
        let node = match (app.node, call.as_ref().and_then(|call| call.path.clone())) {
            (None, Some((path, span))) => self.paths.add(self.scope, Adds::Written(path, span)),
            (None, None) => self.paths.add(self.scope, Adds::Word(app.word.into())),
            (Some(node), Some((path, span))) if app.layer.is_none() => {
                self.paths.set(node, Adds::Written(path, span));
                node
            }
            (Some(node), _) => node,
        };
        let (Some(operands), Some(call)) = (operands, call) else {
            self.calls.push((Some(node), !op.attrs.is_empty()));
            return Val::Unknown;
        };
        let use_ = Use {
            op,
            attrs: call.attrs,
            operands,
            word: app.word,
            span: app.span,
            node,
            given: app.given,
            layer: app.layer,
        };
        let before = self.owners;
        let result = self.build(use_);
        self.calls.push((Some(node), self.owners > before));
        result
    }

    /// Builds one use of an operator: rule, requirements, parameters, item.
    pub(super) fn build(&mut self, mut use_: Use<'_>) -> Val {
        let ins: Vec<Option<Type>> = use_.operands.iter().map(|value| value.map(|value| self.ty(value))).collect();
        self.shapes.dims.overflowed();
        let mut outcome = self.run_rule(&use_, &ins);
        if let Err(misfit) = &outcome {
            if self.symbolic && self.depends_on_open(&use_, misfit) {
                return Val::Unknown;
            }
            let pinned = misfit.kind == MisfitKind::Size(Why::Pin);
            if self.with_actual(&use_, &ins).is_some_and(|outs| outs.is_ok()) {
                // It fits what the text says: only what was assumed after a mistake does not.
                return Val::Unknown;
            }
            self.report_misfit(&use_, misfit.clone());
            if !pinned {
                return Val::Unknown;
            }
            // What flows on is the declared output: one mistake, one report.
            use_.attrs = use_.attrs.replaced("in", Attr::None);
            outcome = self.run_rule(&use_, &ins);
        }
        let Ok((types, needs)) = outcome else { return Val::Unknown };
        if self.shapes.dims.overflowed() {
            self.refuse_tensor(use_.span);
            return Val::Unknown;
        }
        for need in needs {
            if !self.require(&use_, need) {
                return Val::Unknown;
            }
        }
        if let Some(need) = self.rows_for_positions(&use_)
            && !self.require(&use_, need)
        {
            return Val::Unknown;
        }
        if !types.iter().all(|&ty| self.allow_tensor(ty, use_.span)) || !self.own_parameters(&use_, &ins) {
            return Val::Unknown;
        }
        self.count_stage(use_.span);
        if self.limits.over {
            return Val::Unknown;
        }
        let actual = self.with_actual(&use_, &ins).and_then(Result::ok);
        let placed = self.place(use_, &types);
        if let (Some([actual, ..]), Some(id)) = (actual.as_deref(), placed.single())
            && *actual != types[0]
        {
            self.actual.insert(id, *actual);
        }
        placed
    }

    /// A table that is read at `range(n)` needs n rows: what would fail at the first run is told here.
    fn rows_for_positions(&mut self, use_: &Use<'_>) -> Option<Need> {
        let value = use_.operands.first().copied().flatten()?;
        let (rows, last) = match (use_.op.name, use_.attrs.get("vocab")) {
            ("embedding", Attr::Int(rows)) => {
                (self.shapes.dims.constant(*rows), *self.shapes.dims(self.ty(value)).last()?)
            }
            _ => return None,
        };
        let items = self.regions.iter().rev().flat_map(|region| region.items.iter().rev());
        let range = items.into_iter().find_map(|item| match item {
            Item::Op(op) if op.outs.contains(&value) => Some(op),
            Item::Op(_) | Item::Scope(_) | Item::Repeat(_) => None,
        })?;
        // `range(n)` counts from 0; what begins elsewhere is looked at when it runs.
        if range.op.name != "range" || *range.attrs.get("to") != Attr::None {
            return None;
        }
        let misfit = Misfit {
            operand: Some(0),
            wanted: Some(last),
            found: Some(rows),
            ..Misfit::of(MisfitKind::TooSmall(Why::Table))
        };
        Some(Need { condition: Condition::AtLeast(rows, last), misfit })
    }

    /// What the rule says where operands have the types that the text gives them, if some were assumed.
    fn with_actual(&mut self, use_: &Use<'_>, ins: &[Option<Type>]) -> Option<Result<Vec<Type>, Misfit>> {
        if self.actual.is_empty() {
            return None;
        }
        let told = |value: &Option<ValueId>| value.and_then(|id| self.actual.get(&id).copied());
        let said: Vec<Option<Type>> = use_.operands.iter().zip(ins).map(|(value, ty)| told(value).or(*ty)).collect();
        (said != ins).then(|| self.run_rule(use_, &said).map(|(outs, _)| outs))
    }

    /// While a block is checked for all sizes: whether a mistake may come from what is not known there, the rank of
    /// `...` or a hyperparameter without a number.
    fn depends_on_open(&self, use_: &Use<'_>, misfit: &Misfit) -> bool {
        let open = self.open_rank || use_.attrs.values().iter().any(|attr| matches!(attr, Attr::Dim(_)));
        match misfit.kind {
            MisfitKind::Rank { .. }
            | MisfitKind::Axis { .. }
            | MisfitKind::AxisTwice { .. }
            | MisfitKind::Missing
            | MisfitKind::Attribute(_)
            | MisfitKind::Sentence(_) => open,
            MisfitKind::Shapes | MisfitKind::Count => self.open_rank,
            MisfitKind::Size(_) | MisfitKind::Divides(_) | MisfitKind::TooSmall(_) | MisfitKind::Elements(_) => false,
        }
    }

    fn run_rule(&mut self, use_: &Use<'_>, ins: &[Option<Type>]) -> Result<(Vec<Type>, Vec<Need>), Misfit> {
        let mut cx = RuleCx::new(&mut self.shapes, &use_.attrs, ins);
        (use_.op.rule)(&mut cx)?;
        Ok((cx.outs, cx.needs))
    }

    /// What must hold: proved, refuted (an error), or left to the caller.
    fn require(&mut self, use_: &Use<'_>, need: Need) -> bool {
        match self.prover.decide(&mut self.shapes.dims, need.condition) {
            Some(true) => true,
            Some(false) => {
                self.report_misfit(use_, need.misfit);
                false
            }
            // Inside a contract it is a precondition: each call proves it for its own sizes.
            None if self.symbolic => true,
            None => match need.condition {
                Condition::AtLeast(..) => {
                    self.needs.push((need, use_.span));
                    true
                }
                Condition::Equal(..) | Condition::Divides { .. } => {
                    self.report_undecided(use_, need);
                    false
                }
            },
        }
    }

    /// Parameters: counted, refused where their sizes are symbolic, equal at each use of a layer.
    fn own_parameters(&mut self, use_: &Use<'_>, ins: &[Option<Type>]) -> bool {
        let mut cx = ParamCx { shapes: &mut self.shapes, attrs: &use_.attrs, ins, gain: None };
        let params = (use_.op.params)(&mut cx);
        if use_.op.facts.random || !params.is_empty() {
            self.paths.matters(use_.node);
        }
        if let Some(index) = use_.layer
            && !self.use_layer(index, use_, ins, &params)
        {
            return false;
        }
        if params.is_empty() {
            return true;
        }
        self.owners += 1;
        let symbolic = params.iter().flat_map(|def| &def.dims).find(|&&dim| self.shapes.dims.is_symbolic(dim));
        if let (Some(&dim), false) = (symbolic, self.symbolic) {
            let shown = self.shapes.dims.show(dim);
            let text = format!("the weights of `{}` would have the size `{shown}`, which is not a number", use_.word);
            let mut report = Diagnostic::error("type::symbolic_parameter", text, use_.span, "weights need numbers");
            let value = use_.operands.first().copied().flatten();
            let said = use_.given.iter().any(|arg| matches!(arg.value, super::value::Static::Dim(_)));
            let from = value.filter(|&value| !said && self.shapes.dims(self.ty(value)).contains(&dim));
            if let Some((value, place)) = from.and_then(|value| Some((value, self.culprit(value)?))) {
                let verb = if self.is_input(place) { "comes in as" } else { "makes it" };
                report = report.label(place, format!("{verb} {}", self.shown_type(self.ty(value))));
                report = report
                    .note(format!("`{shown}` depends on the data: pool it away, or write numbers in the signature"));
                if self.written(place).starts_with("flatten") {
                    report = report.fix(place, "avgpool_global", self.mended(place, "avgpool_global"));
                }
            } else {
                report = report.note(super::number::ONLY_IN_SHAPES);
            }
            self.report(report);
            return false;
        }
        self.allow_parameters(&params, use_.span)
    }

    /// A use of a declared layer: the first one fixes its parameters.
    fn use_layer(&mut self, index: usize, use_: &Use<'_>, ins: &[Option<Type>], params: &[ParamDef]) -> bool {
        match self.layers[index].params.clone() {
            None => {
                let layer = &mut self.layers[index];
                layer.params = Some((params.to_vec(), use_.span));
                if layer.def.op.is_some() {
                    layer.def.ins = ins.to_vec();
                    layer.def.attrs = Some(use_.attrs.clone());
                }
                true
            }
            // A block's operators have each their own parameters.
            Some(_) if self.layers[index].def.op.is_none() => true,
            Some((first, _)) if first == params => true,
            Some((first, place)) => {
                let differs = first.iter().zip(params).find(|(a, b)| a != b);
                let (old, new) = differs.map_or((String::new(), String::new()), |(a, b)| {
                    (self.shapes.show_dims(&a.dims), self.shapes.show_dims(&b.dims))
                });
                let text =
                    format!("the layer `{}` was made for another input: its weights are {old}, here {new}", use_.word);
                let report =
                    Diagnostic::error("type::layer_input", text, use_.span, "another input than at its first use");
                self.report(report.label(place, "made here"));
                false
            }
        }
    }

    /// Adds the item and its values.
    fn place(&mut self, use_: Use<'_>, types: &[Type]) -> Val {
        let from = use_.operands.first().copied().flatten();
        let mut outs = vec![];
        let block = self.enclosing();
        for (i, &ty) in types.iter().enumerate() {
            if use_.op.outputs.get(i).is_some_and(|output| output.saved) {
                continue;
            }
            let producer =
                Producer { word: use_.word.into(), from, span: use_.span, alias: false, block: block.clone() };
            outs.push(self.value(ty, Some(producer)));
        }
        self.emit(Item::Op(OpItem {
            op: use_.op,
            attrs: use_.attrs,
            operands: use_.operands,
            outs: outs.clone(),
            path: placeholder(use_.node),
            application: vec![],
            gain: None,
            word: use_.word.into(),
            span: use_.span,
        }));
        let visible = use_.op.outputs.iter().filter(|output| !output.saved).count();
        match outs.len() {
            0 => Val::Unknown,
            1 => Val::One(outs[0]),
            n if n > visible => Val::Tuple(
                outs.into_iter()
                    .map(|id| super::value::Elem { name: None, val: Val::One(id), span: use_.span })
                    .collect(),
            ),
            _ => Val::Multi(outs, use_.op),
        }
    }
}
