//! From boxes and edges to coordinates: first across, then down, then the lines.
//!
//! A scene becomes a [`Block`] around its spine, the line on which the main flow runs; a frame is a block in a border,
//! and a box of the scene around it.

use super::arrange::arrange;
use super::measure::width;
use super::route::{Gap, Kind, Spots, Way};
use super::scene::{Frame, FrameKind, Scene, What};
use super::shapes::{Rect, SIGN, SMALL, Shape, Size, framed, size};
use std::collections::BTreeMap;

const ARROW: f64 = 17.0;
const TRACK: f64 = 8.0;
const LABEL: f64 = 13.0;
const LANE: f64 = 15.0;
const COLUMNS: f64 = 30.0;

/// A scene that has been placed; its spine is at x = 0, its top at y = 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub left: f64,
    pub right: f64,
    pub height: f64,
    pub shapes: Vec<Shape>,
    /// Where values enter and leave.
    pub entries: Vec<f64>,
    pub exits: Vec<f64>,
}

/// Places a scene.
pub(super) fn place(scene: &Scene) -> Block {
    Placing::new(scene, false).finish()
}

/// Places what a frame holds.
pub(super) fn inside(frame: &Frame) -> Block {
    Placing::new(&frame.scene, frame.kind == FrameKind::Residual).finish()
}

struct Placing<'s> {
    scene: &'s Scene,
    sizes: Vec<Size>,
    spots: Spots,
    ways: Vec<Way>,
    /// Whether the first of two columns is the way of the main flow.
    lead: bool,
    /// For each gap its lines across: from, to, and whose they are.
    tracks: BTreeMap<Gap, Vec<Track>>,
    labelled: BTreeMap<Gap, bool>,
    /// The top of each gap.
    tops: BTreeMap<Gap, f64>,
}

#[derive(Clone, Debug)]
struct Track {
    source: (usize, usize),
    low: f64,
    high: f64,
    row: usize,
}

impl<'s> Placing<'s> {
    fn new(scene: &'s Scene, lead: bool) -> Placing<'s> {
        let exits = scene.boxes.iter().rev().take_while(|piece| scene.is_last(&piece.what)).count();
        let edges: Vec<(usize, usize)> = scene.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        // A model that hands its input out has ports in the middle of nothing.
        let exits = exits.min(scene.boxes.len());
        let tree = arrange(scene.boxes.len(), &edges, exits);
        let mut spots = Spots::new(&tree, scene.boxes.len());
        let ways = scene.edges.iter().map(|edge| spots.way(edge.from, edge.from_port, edge.to)).collect();
        let sizes = scene.boxes.iter().map(|piece| size(&piece.what)).collect();
        let (tracks, labelled, tops) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Placing { scene, sizes, spots, ways, lead, tracks, labelled, tops }
    }

    fn finish(mut self) -> Block {
        self.ports();
        self.labels();
        self.widen();
        self.extents(0);
        self.across(0, 0.0);
        self.ways.iter().for_each(|way| self.spots.join_lanes(way));
        self.extents(0);
        self.across(0, 0.0);
        self.spread();
        self.lines_across();
        self.down(0, 0.0);
        self.block()
    }

    /// A place for each output that is used.
    fn ports(&mut self) {
        for edge in &self.scene.edges {
            if self.sizes[edge.from].inside.is_none() {
                let outs = &mut self.sizes[edge.from].outs;
                while outs.len() <= edge.from_port {
                    outs.push(24.0 * outs.len() as f64);
                }
            }
            if self.sizes[edge.to].inside.is_none() {
                let ins = &mut self.sizes[edge.to].ins;
                ins.resize(ins.len().max(edge.to_port + 1), 0.0);
            }
        }
    }

    /// Makes room for the types beside lines.
    fn labels(&mut self) {
        for (edge, way) in self.scene.edges.iter().zip(&self.ways).filter(|(edge, _)| !edge.label.is_empty()) {
            let size = &mut self.sizes[edge.from];
            let at = size.outs.get(edge.from_port).copied().unwrap_or(0.0);
            size.right = size.right.max(at + 7.0 + width(&edge.label, SMALL, false));
            self.labelled.insert(way.gaps[0], true);
        }
    }

    /// Stages under each other are equally wide, and frames are.
    fn widen(&mut self) {
        for spot in self.spots.all.iter().filter(|spot| spot.kind == Kind::Series) {
            let leaf = |child: &usize| match self.spots.all[*child].kind {
                Kind::Leaf(item) => Some(item),
                Kind::Series | Kind::Parallel => None,
            };
            let leaves: Vec<usize> = spot.children.iter().filter_map(leaf).collect();
            let (mut half, mut left, mut right) = (0.0f64, 0.0f64, 0.0f64);
            for &item in &leaves {
                let size = &self.sizes[item];
                match self.scene.boxes[item].what {
                    What::Node(_) => half = half.max(size.left),
                    What::Frame(_) => (left, right) = (left.max(size.left), right.max(size.right)),
                    What::Entry | What::Exit | What::Port { .. } | What::Sign { .. } => {}
                }
            }
            for &item in &leaves {
                let size = &mut self.sizes[item];
                match self.scene.boxes[item].what {
                    What::Node(_) => (size.left, size.right) = (half, size.right.max(half)),
                    // Much smaller ones keep their own width.
                    What::Frame(_) if left + right < 1.5 * (size.left + size.right) => {
                        (size.left, size.right) = (left, right);
                    }
                    What::Frame(_) => {}
                    What::Entry | What::Exit | What::Port { .. } | What::Sign { .. } => {}
                }
            }
        }
    }

    fn extents(&mut self, spot: usize) {
        let children = self.spots.all[spot].children.clone();
        children.iter().for_each(|&child| self.extents(child));
        let (left, right) = match self.spots.all[spot].kind {
            Kind::Leaf(item) => {
                if matches!(self.scene.boxes[item].what, What::Sign { .. }) {
                    self.spots.all[spot].reach = self.sizes[item].right;
                }
                (self.sizes[item].left, self.sizes[item].right)
            }
            Kind::Series => {
                self.spots.set_lanes(spot, LANE);
                let child = |side: fn(&super::route::Spot) -> f64| {
                    children.iter().map(|&child| side(&self.spots.all[child])).fold(0.0, f64::max)
                };
                let lane = |left: bool| {
                    let lanes = self.spots.all[spot].lanes.iter().filter(|lane| lane.on_the_left == left);
                    lanes.map(|lane| lane.offset + 2.0).fold(0.0, f64::max)
                };
                (child(|spot| spot.left).max(lane(true)), child(|spot| spot.right).max(lane(false)))
            }
            Kind::Parallel => {
                let total = self.total(&children);
                let main = self.main_column(&children);
                let left = match main {
                    Some(main) => self.total(&children[..=main]) - self.spots.all[children[main]].right,
                    None => total / 2.0,
                };
                (left, total - left)
            }
        };
        (self.spots.all[spot].left, self.spots.all[spot].right) = (left, right);
    }

    fn total(&self, columns: &[usize]) -> f64 {
        let widths: f64 =
            columns.iter().map(|&column| self.spots.all[column].left + self.spots.all[column].right).sum();
        widths + COLUMNS * columns.len().saturating_sub(1) as f64
    }

    /// The column whose spine is that of all: the one that is more than a line, or the first of a residual.
    fn main_column(&self, columns: &[usize]) -> Option<usize> {
        let bare = |column: usize| match self.spots.all[column].kind {
            Kind::Leaf(item) => matches!(self.scene.boxes[item].what, What::Entry | What::Exit),
            Kind::Series | Kind::Parallel => false,
        };
        let mut real = (0..columns.len()).filter(|&index| !bare(columns[index]));
        match (real.next(), real.next()) {
            (Some(only), None) => Some(only),
            (Some(_), Some(_)) if self.lead => Some(0),
            (None, _) => Some(0),
            // The middle one, where there is one.
            _ => (columns.len() % 2 == 1).then_some(columns.len() / 2),
        }
    }

    fn across(&mut self, spot: usize, x: f64) {
        self.spots.all[spot].x = x;
        let children = self.spots.all[spot].children.clone();
        let mut edge = x - self.spots.all[spot].left;
        for child in children {
            let at = match self.spots.all[spot].kind {
                Kind::Parallel => edge + self.spots.all[child].left,
                Kind::Leaf(_) | Kind::Series => x,
            };
            self.across(child, at);
            edge += self.spots.all[child].left + self.spots.all[child].right + COLUMNS;
        }
    }

    /// Lines that come to a stage from several sides meet it side by side.
    fn spread(&mut self) {
        for item in 0..self.sizes.len() {
            if !matches!(self.scene.boxes[item].what, What::Node(_)) {
                continue;
            }
            let x = self.spots.all[self.spots.of_box[item]].x;
            let mut coming: Vec<(usize, f64)> = (0..self.scene.edges.len())
                .filter(|&edge| self.scene.edges[edge].to == item)
                .map(|edge| (self.scene.edges[edge].to_port, self.before_last(edge)))
                .collect();
            coming.sort_by(|a, b| a.1.total_cmp(&b.1));
            let straight = coming.iter().position(|(_, from)| *from == x);
            let middle = straight.map_or((coming.len() as f64 - 1.0) / 2.0, |at| at as f64);
            let apart = (1.6 * self.sizes[item].left / coming.len().max(1) as f64).min(26.0);
            for (order, (port, _)) in coming.iter().enumerate() {
                self.sizes[item].ins[*port] = (order as f64 - middle) * apart;
            }
        }
    }

    /// The x at which an edge comes down before its last move.
    fn before_last(&self, edge: usize) -> f64 {
        match self.ways[edge].lanes.last() {
            Some(&lane) => self.spots.lane_x(lane),
            None => self.start_x(edge),
        }
    }

    fn start_x(&self, edge: usize) -> f64 {
        let edge = &self.scene.edges[edge];
        self.spots.all[self.spots.of_box[edge.from]].x
            + self.sizes[edge.from].outs.get(edge.from_port).copied().unwrap_or(0.0)
    }

    fn end_x(&self, edge: usize) -> f64 {
        let edge = &self.scene.edges[edge];
        self.spots.all[self.spots.of_box[edge.to]].x + self.sizes[edge.to].ins.get(edge.to_port).copied().unwrap_or(0.0)
    }

    /// Where an edge runs down: from its source, in its lanes, to its end.
    fn columns_of(&self, edge: usize) -> Vec<f64> {
        let lanes = self.ways[edge].lanes.iter().map(|&lane| self.spots.lane_x(lane));
        std::iter::once(self.start_x(edge)).chain(lanes).chain([self.end_x(edge)]).collect()
    }

    /// Whether an edge meets a sign from the side: of two that come from one side the one from further away.
    fn meets_the_side(&self, edge: usize) -> bool {
        let to = self.scene.edges[edge].to;
        let off = |edge: usize| self.before_last(edge) - self.end_x(edge);
        let own = off(edge);
        let others = (0..self.scene.edges.len()).filter(|&other| other != edge && self.scene.edges[other].to == to);
        let further = others.map(off).any(|other| other * own > 0.0 && other.abs() > own.abs());
        matches!(self.scene.boxes[to].what, What::Sign { .. }) && own != 0.0 && !further
    }

    /// Collects the lines across of each gap, and gives each a row of its own where two would meet.
    fn lines_across(&mut self) {
        for edge in 0..self.scene.edges.len() {
            let columns = self.columns_of(edge);
            let source = (self.scene.edges[edge].from, self.scene.edges[edge].from_port);
            let side = self.meets_the_side(edge);
            for (at, &gap) in self.ways[edge].gaps.iter().enumerate() {
                let (a, b) = (columns[at], columns[at + 1]);
                if a == b || side && at + 1 == self.ways[edge].gaps.len() {
                    continue;
                }
                let tracks = self.tracks.entry(gap).or_default();
                let (low, high) = (a.min(b), a.max(b));
                match tracks.iter_mut().find(|track| track.source == source) {
                    Some(track) => (track.low, track.high) = (track.low.min(low), track.high.max(high)),
                    None => tracks.push(Track { source, low, high, row: 0 }),
                }
            }
        }
        for tracks in self.tracks.values_mut() {
            for at in 0..tracks.len() {
                let taken: Vec<usize> = tracks[..at]
                    .iter()
                    .filter(|other| other.low <= tracks[at].high && tracks[at].low <= other.high)
                    .map(|other| other.row)
                    .collect();
                tracks[at].row = (0..).find(|row| !taken.contains(row)).unwrap_or(0);
            }
        }
    }

    fn gap_height(&self, gap: Gap) -> f64 {
        let count = self.spots.all[gap.0].children.len();
        let rows = self.tracks.get(&gap).map_or(0, |tracks| tracks.iter().map(|t| t.row + 1).max().unwrap_or(0));
        let label = if self.labelled.contains_key(&gap) { LABEL } else { 0.0 };
        let tracks = if rows == 0 { 0.0 } else { TRACK * rows as f64 };
        let between = match gap.1 {
            0 => 0.0,
            last if last == count => 0.0,
            // A line that leaves a frame has no point.
            last if self.is_exit(self.spots.all[gap.0].children[last]) => 2.0,
            _ => ARROW,
        };
        label + tracks + between
    }

    fn is_exit(&self, spot: usize) -> bool {
        match (self.spots.all[spot].kind, self.spots.all[spot].children.first()) {
            (Kind::Leaf(item), _) => matches!(self.scene.boxes[item].what, What::Exit),
            (_, Some(&first)) => self.is_exit(first),
            (_, None) => false,
        }
    }

    fn down(&mut self, spot: usize, y: f64) -> f64 {
        self.spots.all[spot].y = y;
        let children = self.spots.all[spot].children.clone();
        let height = match self.spots.all[spot].kind {
            Kind::Leaf(item) => self.sizes[item].height,
            Kind::Series => {
                let mut at = y;
                for index in 0..=children.len() {
                    self.tops.insert((spot, index), at);
                    at += self.gap_height((spot, index));
                    if let Some(&child) = children.get(index) {
                        at += self.down(child, at);
                    }
                }
                at - y
            }
            Kind::Parallel => {
                let heights: Vec<f64> = children.iter().map(|&child| self.down(child, y)).collect();
                let height = heights.iter().copied().fold(0.0, f64::max);
                let hangs = children.iter().any(|&child| self.begins_with_a_port(child));
                for (&child, own) in children.iter().zip(heights).filter(|(_, own)| !hangs && *own < height) {
                    self.down(child, y + ((height - own) / 2.0).round());
                }
                height
            }
        };
        self.spots.all[spot].height = height;
        height
    }

    fn begins_with_a_port(&self, spot: usize) -> bool {
        match (self.spots.all[spot].kind, self.spots.all[spot].children.first()) {
            (Kind::Leaf(item), _) => matches!(self.scene.boxes[item].what, What::Entry | What::Port { .. }),
            (_, Some(&first)) => self.begins_with_a_port(first),
            (_, None) => false,
        }
    }

    fn block(mut self) -> Block {
        let root = &self.spots.all[0];
        let mut block = Block { left: root.left, right: root.right, height: root.height, ..Block::default() };
        let (mut lines, mut boxes) = (vec![], vec![]);
        for edge in 0..self.scene.edges.len() {
            self.line(edge, &mut lines);
        }
        for item in 0..self.scene.boxes.len() {
            let spot = &self.spots.all[self.spots.of_box[item]];
            let (x, y) = (spot.x, spot.y);
            match &self.scene.boxes[item].what {
                What::Entry => block.entries.push(x),
                What::Exit => block.exits.push(x),
                What::Frame(frame) => {
                    let size = std::mem::take(&mut self.sizes[item]);
                    framed(frame, size, &self.scene.boxes[item].tip, (x, y), &mut block.shapes);
                }
                What::Port { .. } | What::Node(_) | What::Sign { .. } => boxes.push(self.shape(item, x, y)),
            }
        }
        block.shapes.extend(lines);
        block.shapes.extend(boxes);
        block
    }

    fn shape(&self, item: usize, x: f64, y: f64) -> Shape {
        let (size, tip) = (&self.sizes[item], self.scene.boxes[item].tip.clone());
        let rect = Rect { x: x - size.left, y, w: 2.0 * size.left, h: size.height };
        match &self.scene.boxes[item].what {
            What::Port { name, ty } => Shape::Port { rect, name: name.clone(), ty: ty.clone(), tip },
            What::Sign { sign, aside } => Shape::Sign { x, y: y + SIGN, sign: sign.clone(), aside: aside.clone(), tip },
            What::Node(node) => Shape::Node { rect, node: node.clone(), tip },
            What::Entry | What::Exit | What::Frame(_) => unreachable!("these are no shapes"),
        }
    }

    fn line(&self, edge: usize, shapes: &mut Vec<Shape>) {
        let columns = self.columns_of(edge);
        let one = &self.scene.edges[edge];
        let (from, to) = (&self.spots.all[self.spots.of_box[one.from]], &self.spots.all[self.spots.of_box[one.to]]);
        let source = (one.from, one.from_port);
        let bottom = from.y + from.height;
        let mut points = vec![(columns[0], bottom)];
        let side = self.meets_the_side(edge);
        for (at, gap) in self.ways[edge].gaps.iter().enumerate() {
            let (a, b) = (columns[at], columns[at + 1]);
            if a == b || side && at + 1 == self.ways[edge].gaps.len() {
                continue;
            }
            let row = self.tracks[gap].iter().find(|track| track.source == source).map_or(0, |track| track.row);
            let label = if self.labelled.contains_key(gap) { LABEL } else { 0.0 };
            let y = self.tops[gap] + label + 5.0 + TRACK * row as f64;
            points.extend([(a, y), (b, y)]);
        }
        let end = columns[columns.len() - 1];
        if side {
            let (last, y) = (columns[columns.len() - 2], to.y + SIGN);
            points.extend([(last, y), (end + if last < end { -SIGN } else { SIGN }, y)]);
        } else {
            points.push((end, to.y));
        }
        let arrow = !matches!(self.scene.boxes[one.to].what, What::Exit | What::Frame(_));
        shapes.push(Shape::Line { points, arrow });
        if !one.label.is_empty() {
            shapes.push(Shape::Label { x: columns[0] + 7.0, y: bottom + 12.0, text: one.label.clone() });
        }
    }
}

impl Scene {
    /// Whether a box belongs to the row at the end.
    fn is_last(&self, what: &What) -> bool {
        match what {
            What::Exit => true,
            What::Port { .. } => true,
            What::Entry | What::Node(_) | What::Sign { .. } | What::Frame(_) => false,
        }
    }
}
