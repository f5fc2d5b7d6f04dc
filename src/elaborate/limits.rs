//! Limits: what would explode is refused before it is built, with a place.

use super::Elab;
use super::value::Static;
use crate::diagnostic::Diagnostic;
use crate::ir::op::ParamDef;
use crate::ir::shape::Type;
use crate::kernels::call::MAX_RANK;
use crate::syntax::ast::{Body, Expr, ExprKind, Flow, Stage, StageKind, StmtKind};
use crate::text::Span;

/// Stages of a model, all copies counted.
const NODES: u64 = 1_000_000;
/// Stages that are looked at beyond those that the text itself may hold: equal copies are looked at once.
const LOOKED_AT: u64 = 20_000;
/// The fewest bytes of a stage with what ends its line.
const BYTES: u64 = 3;
const TOO_MANY: &str = "the model grows beyond 1,000,000 stages";
/// Elements of a tensor, 2^40.
const ELEMENTS: u128 = 1 << 40;
/// Parameters of a model, 2^44.
const PARAMETERS: u128 = 1 << 44;

/// What has been counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    /// Stages in this copy, all inner copies counted.
    pub nodes: u64,
    /// Parameters in this copy.
    pub parameters: u128,
    /// Stages looked at.
    looked_at: u64,
    /// A limit was reached: nothing more is built.
    pub over: bool,
}

impl Elab<'_> {
    /// Counts a stage.
    pub(super) fn count_stage(&mut self, span: Span) {
        self.limits.nodes = self.limits.nodes.saturating_add(1);
        self.limits.looked_at += 1;
        if self.limits.looked_at > self.most_looked_at() {
            self.refuse_different(span);
        }
        self.check_stages(span);
    }

    /// What is written may be looked at, stage by stage; what blocks and loops make of it only so far.
    fn most_looked_at(&self) -> u64 {
        let written = self.sources.0.iter().map(|source| source.text.len() as u64 / BYTES).sum::<u64>();
        LOOKED_AT.saturating_add(written)
    }

    fn refuse_different(&mut self, span: Span) {
        self.refuse_stages(span, "blocks and loops make more than 20,000 different stages");
    }

    /// Counts a block that is looked at: an instance costs as much as a stage or two.
    pub(super) fn count_block(&mut self, span: Span) -> bool {
        self.limits.looked_at += 2;
        if self.limits.looked_at > self.most_looked_at() {
            self.refuse_different(span);
        }
        !self.limits.over
    }

    /// Refuses a model of too many stages.
    pub(super) fn check_stages(&mut self, span: Span) {
        if self.limits.nodes > NODES {
            self.refuse_stages(span, TOO_MANY);
        }
    }

    fn refuse_stages(&mut self, span: Span, text: &str) {
        if !self.limits.over {
            self.limits.over = true;
            self.report(Diagnostic::error("limit::stages", text, span, "too many with this"));
        }
    }

    /// Refuses a list or count that is too large.
    pub(super) fn refuse_size(&mut self, span: Span, what: &str) -> Static {
        self.report(Diagnostic::error("limit::list", format!("{what} is refused"), span, "too large"));
        Static::Unknown
    }

    /// The least number of elements: a symbolic size counts as the least that it can be.
    fn known_elements(&mut self, dims: &[crate::ir::dim::Dim]) -> u128 {
        let mut product = 1u128;
        for &dim in dims {
            let least = match self.shapes.dims.as_const(dim) {
                Some(size) => Some(size),
                None => self.prover.least(&mut self.shapes.dims, dim),
            };
            let least = least.filter(|&n| n > 0).map_or(1, |n| u128::from(n.unsigned_abs()));
            product = product.saturating_mul(least);
        }
        product
    }

    /// Whether a tensor is not too large, and has not more axes than a kernel can walk.
    pub(super) fn allow_tensor(&mut self, ty: Type, span: Span) -> bool {
        let rank = self.shapes.rank(ty);
        if rank > MAX_RANK {
            let text = format!("a tensor has at most {MAX_RANK} axes, and {} has {rank}", self.shapes.show(ty));
            self.report(Diagnostic::error("limit::tensor", text, span, "made here"));
            return false;
        }
        let dims = self.shapes.dims(ty).to_vec();
        let count = self.known_elements(&dims);
        if count <= ELEMENTS {
            return true;
        }
        let text = format!("a tensor of {} has more than 2^40 elements", self.shapes.show(ty));
        self.report(Diagnostic::error("limit::tensor", text, span, "made here"));
        false
    }

    /// A size that passes the end of the integers.
    pub(super) fn refuse_tensor(&mut self, span: Span) {
        let text = "a tensor of more than 2^63 elements";
        self.report(Diagnostic::error("limit::tensor", text, span, "made here"));
    }

    /// Whether parameters are not too many.
    pub(super) fn allow_parameters(&mut self, params: &[ParamDef], span: Span) -> bool {
        let mut count = 0u128;
        for def in params {
            let elements = self.known_elements(&def.dims);
            if elements > ELEMENTS {
                let text = format!("a parameter of {} has more than 2^40 elements", self.shapes.show_dims(&def.dims));
                self.report(Diagnostic::error("limit::tensor", text, span, "made here"));
                return false;
            }
            count = count.saturating_add(elements);
        }
        self.limits.parameters = self.limits.parameters.saturating_add(count);
        self.check_parameters(span)
    }

    /// Refuses a model of too many parameters.
    pub(super) fn check_parameters(&mut self, span: Span) -> bool {
        if self.limits.parameters <= PARAMETERS {
            return true;
        }
        if !self.limits.over {
            self.limits.over = true;
            let text = "the model grows beyond 2^44 parameters";
            self.report(Diagnostic::error("limit::parameters", text, span, "with this one"));
        }
        false
    }

    /// Whether a block can be looked at: what it surely expands to is counted before it is.
    pub(super) fn allow_block(&mut self, block: usize, span: Span) -> bool {
        let least = self.least_size(block, 0);
        if least <= NODES && !self.limits.over {
            if least > self.most_looked_at() {
                self.refuse_different(span);
                return false;
            }
            return true;
        }
        self.refuse_stages(span, TOO_MANY);
        false
    }

    /// The least number of stages that a block expands to; branches that need not be taken count as nothing.
    fn least_size(&mut self, block: usize, depth: u32) -> u64 {
        if let Some(&known) = self.least_sizes.get(&block) {
            return known;
        }
        if depth > 200 {
            return 1;
        }
        self.least_sizes.insert(block, 1);
        let body = &self.blocks[block].body;
        let size = self.least_body(body, depth + 1).max(1);
        self.least_sizes.insert(block, size);
        size
    }

    fn least_body(&mut self, body: &Body, depth: u32) -> u64 {
        body.stmts.iter().fold(0, |sum: u64, stmt| match &stmt.kind {
            StmtKind::Flow(_, flow) | StmtKind::Return(flow) => sum.saturating_add(self.least_flow(flow, depth)),
            StmtKind::Dim(..) | StmtKind::Layer(..) | StmtKind::Broken => sum,
        })
    }

    fn least_flow(&mut self, flow: &Flow, depth: u32) -> u64 {
        flow.stages.iter().fold(0, |sum: u64, stage| sum.saturating_add(self.least_stage(stage, depth)))
    }

    fn least_stage(&mut self, stage: &Stage, depth: u32) -> u64 {
        match &stage.kind {
            StageKind::Residual { branch, skip, .. } => {
                let skip = skip.as_ref().map_or(0, |skip| self.least_body(skip, depth));
                self.least_body(branch, depth).saturating_add(skip)
            }
            StageKind::Parallel { branches, .. } => {
                branches.iter().fold(0, |sum: u64, (_, flow)| sum.saturating_add(self.least_flow(flow, depth)))
            }
            StageKind::Expr(expr) => self.least_expr(expr, depth),
            // How often, and whether, only the instance knows.
            StageKind::Repeat { .. } | StageKind::For { .. } | StageKind::If { .. } => 0,
        }
    }

    fn least_expr(&mut self, expr: &Expr, depth: u32) -> u64 {
        match &expr.kind {
            ExprKind::Call(call) => match self.block_names.get(&call.name.text).copied() {
                Some(block) => self.least_size(block, depth),
                None => 1,
            },
            ExprKind::Neg(inner) => self.least_expr(inner, depth),
            ExprKind::Binary(_, a, b) => self.least_expr(a, depth).saturating_add(self.least_expr(b, depth)),
            ExprKind::Tuple(elems) => {
                elems.iter().fold(0, |sum: u64, elem| sum.saturating_add(self.least_flow(&elem.flow, depth)))
            }
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Str(_)
            | ExprKind::Index(..)
            | ExprKind::List(_)
            | ExprKind::Broken => 0,
        }
    }
}
