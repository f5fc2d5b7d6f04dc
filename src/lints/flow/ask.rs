//! What lints ask a flow: neighbours of a value, what stands around a site, how many copies there are of it.

use super::{FAR, Flow, Frame, Maker, Origin, Owner, Reader, Site, Taker};
use crate::ir::dim::Dim;
use crate::ir::structured::{OpItem, Part, ScopeItem, ScopeKind, ValueId};
use crate::text::Span;

impl<'m> Flow<'m> {
    /// All sites, in order.
    pub fn sites(&self) -> impl Iterator<Item = Site> + use<> {
        (0..self.sites.len() as u32).map(Site)
    }

    /// The sites of these operators, in order.
    pub fn sites_of(&self, names: &[&str]) -> impl Iterator<Item = Site> + use<> {
        let of = |name: &&str| self.by_name.get(name).cloned().unwrap_or_default();
        let mut sites: Vec<Site> = names.iter().flat_map(of).collect();
        sites.sort_unstable();
        sites.into_iter()
    }

    /// The use of an operator that stands at a site.
    pub fn op(&self, site: Site) -> &'m OpItem {
        self.sites[site.0 as usize].op
    }

    /// Whether a site belongs to the loss.
    pub fn in_loss(&self, site: Site) -> bool {
        self.sites[site.0 as usize].in_loss
    }

    /// Where a site stands in the text.
    pub fn span(&self, site: Site) -> Span {
        self.op(site).span
    }

    /// The sizes of a value.
    pub fn dims(&self, value: ValueId) -> &'m [Dim] {
        self.model.shapes.dims(self.model.values[value.0 as usize].ty)
    }

    /// A size as a number.
    pub fn size(&self, dim: Dim) -> Option<i64> {
        self.model.shapes.dims.as_const(dim)
    }

    /// The sizes of what flows into a site; empty for a source.
    pub fn dims_in(&self, site: Site) -> &'m [Dim] {
        self.op(site).operands.first().copied().flatten().map_or(&[], |value| self.dims(value))
    }

    /// The sizes of what a site makes.
    pub fn dims_out(&self, site: Site) -> &'m [Dim] {
        self.op(site).outs.first().map_or(&[], |&value| self.dims(value))
    }

    /// What an operand of a site is, as a value.
    pub fn operand(&self, site: Site, index: usize) -> Option<ValueId> {
        self.op(site).operands.get(index).copied().flatten()
    }

    /// The value behind a value: equal for what only passes the door of a repeat.
    pub fn root(&self, value: ValueId) -> ValueId {
        self.root[value.0 as usize]
    }

    /// Who makes a value: one stage, or two where a repeat hands it from copy to copy.
    pub fn makers(&self, value: ValueId) -> Vec<Maker> {
        let mut found = vec![];
        let mut doors = vec![];
        self.behind(value, &mut found, &mut doors);
        found
    }

    fn behind(&self, value: ValueId, found: &mut Vec<Maker>, doors: &mut Vec<ValueId>) {
        let root = self.root(value);
        let maker = match self.origin[root.0 as usize] {
            Origin::Given => Maker::Input(root),
            Origin::Op(site) => Maker::Op(site),
            Origin::Carried { enters, loops } => {
                if !doors.contains(&root) && doors.len() < FAR {
                    doors.push(root);
                    self.behind(enters, found, doors);
                    self.behind(loops, found, doors);
                }
                return;
            }
        };
        if !found.contains(&maker) {
            found.push(maker);
        }
    }

    /// Who makes a value, seen through stages that let it `pass` along their first operand.
    pub fn makers_through(&self, value: ValueId, pass: impl Fn(Site) -> bool) -> Vec<Maker> {
        let (mut open, mut found, mut seen) = (self.makers(value), vec![], vec![]);
        while let Some(maker) = open.pop() {
            match maker {
                Maker::Op(site) if pass(site) && seen.len() < FAR => {
                    if !seen.contains(&site) {
                        seen.push(site);
                        open.extend(self.operand(site, 0).into_iter().flat_map(|value| self.makers(value)));
                    }
                }
                _ if found.contains(&maker) => {}
                _ => found.push(maker),
            }
        }
        found
    }

    /// The one stage that makes a value.
    pub fn maker(&self, value: ValueId) -> Option<Site> {
        match self.makers(value).as_slice() {
            [Maker::Op(site)] => Some(*site),
            _ => None,
        }
    }

    /// The one stage that makes what flows into a site.
    pub fn before(&self, site: Site) -> Option<Site> {
        self.maker(self.operand(site, 0)?)
    }

    /// Who reads a value, in whatever copy.
    pub fn readers(&self, value: ValueId) -> Vec<Reader> {
        let mut found = vec![];
        let mut doors = vec![];
        self.ahead(value, &mut found, &mut doors);
        found
    }

    fn ahead(&self, value: ValueId, found: &mut Vec<Reader>, doors: &mut Vec<ValueId>) {
        for taker in self.takers(self.root(value)) {
            let reader = match *taker {
                Taker::Op(site, operand) => Reader::Op(site, operand),
                Taker::Output => Reader::Output,
                Taker::Copy(param) => {
                    if !doors.contains(&param) && doors.len() < FAR {
                        doors.push(param);
                        self.ahead(param, found, doors);
                    }
                    continue;
                }
            };
            // The takers of one value differ; only through a door one may be met again.
            if doors.is_empty() || !found.contains(&reader) {
                found.push(reader);
            }
        }
    }

    /// Who reads what a site makes first.
    pub fn after(&self, site: Site) -> Vec<Reader> {
        self.op(site).outs.first().map_or(vec![], |&out| self.readers(out))
    }

    /// Whether what a site makes has one reader only.
    pub fn read_once(&self, site: Site) -> bool {
        self.after(site).len() == 1
    }

    /// Whether the parameters of a site serve elsewhere, too: a declared layer, a shared repeat.
    pub fn shared(&self, site: Site) -> bool {
        let op = self.op(site);
        op.path != op.application || self.owners().get(&self.owner(site)).is_some_and(|&count| count > 1)
    }

    /// What the parameters of a site are told apart by.
    pub(super) fn owner(&self, site: Site) -> Owner<'m> {
        let path: &'m [Part] = &self.op(site).path;
        let mut at = self.sites[site.0 as usize].frame;
        while let Some(index) = at {
            match self.frames[index as usize] {
                (_, Frame::Copies(repeat, _)) if path.contains(&Part::Copy(repeat.id)) => return (path, Some(index)),
                (parent, _) => at = parent,
            }
        }
        (path, None)
    }

    /// How many copies of a site there are.
    pub fn copies(&self, site: Site) -> u64 {
        let counts = self.around(site).filter_map(|frame| match frame {
            Frame::Copies(_, run) => Some(run.count),
            Frame::Scope(_) => None,
        });
        counts.fold(1, u64::saturating_mul)
    }

    /// The scope in which a site stands, if nothing stands between.
    pub fn scope(&self, site: Site) -> Option<&'m ScopeItem> {
        match self.around(site).next() {
            Some(Frame::Scope(scope)) => Some(scope),
            Some(Frame::Copies(..)) | None => None,
        }
    }

    /// What stands around a site, the innermost first.
    fn around(&self, site: Site) -> impl Iterator<Item = Frame<'m>> {
        let mut at = self.sites[site.0 as usize].frame;
        std::iter::from_fn(move || {
            let (parent, frame) = self.frames[at? as usize];
            at = parent;
            Some(frame)
        })
    }

    /// The `where:` line of a site: `mlp › blocks[0..3] › residual › ffn(d = 256)        same in all 4 copies`.
    pub fn path(&self, site: Site) -> Option<String> {
        let mut parts: Vec<String> = self.around(site).filter_map(shown).collect();
        if parts.is_empty() || self.in_loss(site) {
            return None;
        }
        parts.push(self.model.name.clone());
        parts.reverse();
        let line = parts.join(" › ");
        Some(match self.copies(site) {
            1 => line,
            copies => format!("{line}        same in all {copies} copies"),
        })
    }
}

/// What a scope or repeat adds to a `where:` line.
fn shown(frame: Frame<'_>) -> Option<String> {
    match frame {
        Frame::Scope(scope) => match scope.kind {
            ScopeKind::Block => Some(scope.label.clone()),
            ScopeKind::Residual => Some("residual".into()),
            ScopeKind::Skip | ScopeKind::Parallel | ScopeKind::Branch | ScopeKind::If | ScopeKind::Flow => None,
        },
        Frame::Copies(repeat, run) => {
            let name = repeat.path.iter().rev().find_map(|part| match part {
                Part::Name(name) => Some(name.as_str()),
                Part::Copy(_) => None,
            });
            let name = name.unwrap_or("repeat");
            Some(match (repeat.shared, run.count) {
                (true, _) => name.to_string(),
                (false, 0 | 1) => format!("{name}[{}]", run.first),
                (false, n) => format!("{name}[{}..{}]", run.first, run.first + n - 1),
            })
        }
    }
}
