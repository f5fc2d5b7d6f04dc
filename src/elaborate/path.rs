//! Paths of parameters: a tree of names that is filled in at the end, when it is known who owns what.
//!
//! Each stage gets a node while it is elaborated; a name that was written takes its place first, the others take the
//! first free one of `w`, `w_2`, … in the nearest scope, in the order of the text. A node has two readings: where its
//! parameters stand, and which application it is (they differ for declared layers and for `repeat shared`).

use crate::ir::structured::{Item, Part, Path, Region, RepeatId};
use crate::text::Span;
use indexmap::IndexMap;

/// A node of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PathNode(pub u32);

/// What a node adds to the paths below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Adds {
    /// Nothing: the root, an unnamed residual, a stage that took its flow's name.
    Nothing,
    /// A name that was written.
    Written(String, Span),
    /// The word of an unnamed call: the first free of `w`, `w_2`, ….
    Word(String),
    /// The number of the copy.
    Copy(RepeatId),
    /// The number of the copy, in applications only.
    SharedCopy(RepeatId),
    /// Parameters stand at a declared layer, the application is another node.
    Layer {
        /// The declaration.
        declared: PathNode,
        /// The application.
        applied: PathNode,
    },
}

#[derive(Clone, Debug)]
struct Node {
    parent: Option<PathNode>,
    adds: Adds,
    /// It owns parameters or draws random numbers: an equal path would be a mistake.
    matters: bool,
    /// It names an application only, and takes what the others leave.
    last: bool,
}

/// The tree.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    nodes: Vec<Node>,
}

/// Two written names that make one path.
pub(super) struct Clash {
    /// The path.
    pub path: String,
    /// The first.
    pub first: Span,
    /// The second.
    pub second: Span,
}

impl Paths {
    /// The root of a model.
    pub(super) const ROOT: PathNode = PathNode(0);

    /// A tree with its root alone.
    pub(super) fn new() -> Paths {
        Paths { nodes: vec![Node { parent: None, adds: Adds::Nothing, matters: false, last: false }] }
    }

    /// A new node.
    pub(super) fn add(&mut self, parent: PathNode, adds: Adds) -> PathNode {
        self.nodes.push(Node { parent: Some(parent), adds, matters: false, last: false });
        PathNode(self.nodes.len() as u32 - 1)
    }

    /// A new node for an application of a declared layer.
    pub(super) fn applied(&mut self, parent: PathNode, word: &str, declared: PathNode) -> PathNode {
        let applied = self.add(parent, Adds::Word(word.into()));
        self.nodes[applied.0 as usize].last = true;
        self.add(parent, Adds::Layer { declared, applied })
    }

    /// What a node adds.
    pub(super) fn adds(&self, node: PathNode) -> &Adds {
        &self.nodes[node.0 as usize].adds
    }

    /// Changes what a node adds.
    pub(super) fn set(&mut self, node: PathNode, adds: Adds) {
        self.nodes[node.0 as usize].adds = adds;
    }

    /// Parameters or randomness stand there: it and all names above it matter.
    pub(super) fn matters(&mut self, node: PathNode) {
        let mut at = Some(node);
        while let Some(node) = at {
            let node = &mut self.nodes[node.0 as usize];
            if node.matters {
                return;
            }
            node.matters = true;
            at = match node.adds {
                Adds::Layer { declared, .. } => Some(declared),
                _ => node.parent,
            };
        }
    }

    /// The nearest node at or above `node` that opens a scope of names.
    fn scope(&self, mut node: PathNode) -> PathNode {
        while matches!(self.adds(node), Adds::Nothing) {
            match self.nodes[node.0 as usize].parent {
                Some(parent) => node = parent,
                None => return node,
            }
        }
        node
    }

    /// Gives every node its name; says which written names clash.
    pub(super) fn resolve(self) -> (Resolved, Vec<Clash>) {
        let mut names: Vec<Option<String>> = vec![None; self.nodes.len()];
        let mut taken: IndexMap<PathNode, Names> = IndexMap::new();
        let mut clashes = vec![];
        for (i, node) in self.nodes.iter().enumerate() {
            let (Adds::Written(name, span), Some(parent)) = (&node.adds, node.parent) else { continue };
            let scope = taken.entry(self.scope(parent)).or_default();
            match scope.taken.get(name).map(|&first| &self.nodes[first]) {
                None => {
                    scope.taken.insert(name.clone(), i);
                    names[i] = Some(name.clone());
                }
                Some(Node { adds: Adds::Written(_, first), matters: true, .. }) if node.matters => {
                    clashes.push(Clash { path: name.clone(), first: *first, second: *span });
                }
                Some(_) if node.matters => {
                    // The one that matters keeps the name; the other only names a value.
                    let first = scope.taken.insert(name.clone(), i).unwrap_or(i);
                    names[first] = Some(scope.free(name, first));
                    names[i] = Some(name.clone());
                }
                Some(_) => names[i] = Some(scope.free(name, i)),
            }
        }
        for last in [false, true] {
            for (i, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.last == last) {
                if let (Adds::Word(word), Some(parent)) = (&node.adds, node.parent) {
                    names[i] = Some(taken.entry(self.scope(parent)).or_default().free(word, i));
                }
            }
        }
        (Resolved { tree: self, names }, clashes)
    }
}

/// The names of a scope.
#[derive(Default)]
struct Names {
    /// Which node has a name.
    taken: IndexMap<String, usize>,
    /// The last number that was tried for a word.
    tried: IndexMap<String, u64>,
}

impl Names {
    /// The first of `w`, `w_2`, … that is free; it is taken.
    fn free(&mut self, word: &str, node: usize) -> String {
        let tried = self.tried.entry(word.to_string()).or_insert(0);
        loop {
            *tried += 1;
            let name = if *tried == 1 { word.to_string() } else { format!("{word}_{tried}") };
            if !self.taken.contains_key(&name) {
                self.taken.insert(name.clone(), node);
                return name;
            }
        }
    }
}

/// The tree with every name in its place.
pub(super) struct Resolved {
    tree: Paths,
    names: Vec<Option<String>>,
}

impl Resolved {
    /// The path of a node: of its parameters, or of its application.
    pub(super) fn path(&self, node: PathNode, application: bool) -> Path {
        let mut parts = Vec::with_capacity(1);
        let mut at = Some(node);
        while let Some(id) = at {
            let node = &self.tree.nodes[id.0 as usize];
            at = node.parent;
            match node.adds {
                Adds::Nothing => {}
                Adds::Written(..) | Adds::Word(_) => {
                    if let Some(name) = &self.names[id.0 as usize] {
                        parts.push(Part::Name(name.clone()));
                    }
                }
                Adds::Copy(repeat) => parts.push(Part::Copy(repeat)),
                Adds::SharedCopy(repeat) if application => parts.push(Part::Copy(repeat)),
                Adds::SharedCopy(_) => {}
                Adds::Layer { applied, .. } if application => at = Some(applied),
                Adds::Layer { declared, .. } => at = Some(declared),
            }
        }
        parts.reverse();
        parts
    }

    /// The path of what stands behind a placeholder, and whether other uses have it too: below a declared layer, or in
    /// a copy that is shared.
    pub(super) fn owner(&self, path: &Path) -> Option<(Path, bool)> {
        let node = held(path)?;
        let mut at = Some(node);
        let mut shared = false;
        while let (Some(id), false) = (at, shared) {
            let node = &self.tree.nodes[id.0 as usize];
            shared = matches!(node.adds, Adds::Layer { .. } | Adds::SharedCopy(_));
            at = node.parent;
        }
        Some((self.path(node, false), shared))
    }

    /// The declaration's path, where a placeholder stands for a use of a declared layer.
    pub(super) fn layer(&self, path: &Path) -> Option<Path> {
        let node = held(path)?;
        match self.tree.nodes[node.0 as usize].adds {
            Adds::Layer { declared, .. } => Some(self.path(declared, false)),
            Adds::Nothing | Adds::Written(..) | Adds::Word(_) | Adds::Copy(_) | Adds::SharedCopy(_) => None,
        }
    }

    /// Fills in the paths of a region, which are placeholders until now.
    pub(super) fn fill(&self, region: &mut Region) {
        for item in &mut region.items {
            match item {
                Item::Op(op) => {
                    if let Some(node) = held(&op.path) {
                        op.path = self.path(node, false);
                        op.application = self.path(node, true);
                    }
                }
                Item::Scope(scope) => {
                    if let Some(node) = held(&scope.path) {
                        scope.path = self.path(node, true);
                    }
                    self.fill(&mut scope.region);
                }
                Item::Repeat(repeat) => {
                    if let Some(node) = held(&repeat.path) {
                        repeat.path = self.path(node, true);
                    }
                    repeat.runs.iter_mut().for_each(|run| self.fill(&mut run.region));
                }
            }
        }
    }

    /// The path behind a placeholder.
    pub(super) fn path_of(&self, path: &Path) -> Path {
        held(path).map_or_else(|| path.clone(), |node| self.path(node, false))
    }
}

/// A path that stands for a node until the tree is resolved.
pub(super) fn placeholder(node: PathNode) -> Path {
    vec![Part::Copy(RepeatId(u32::MAX - node.0))]
}

fn held(path: &[Part]) -> Option<PathNode> {
    match path {
        [Part::Copy(RepeatId(id))] if *id > u32::MAX / 2 => Some(PathNode(u32::MAX - id)),
        _ => None,
    }
}
