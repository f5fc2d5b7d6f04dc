//! The way of an edge: down a column, through the gaps between two children of a series, and past others in a lane
//! beside them.

use super::arrange::Tree;

/// The spots of a tree, children after their parents; leaves hold boxes.
#[derive(Debug, Default)]
pub(super) struct Spots {
    pub all: Vec<Spot>,
    /// The spot of each box.
    pub of_box: Vec<usize>,
}

/// A part of the tree, and where it stands.
#[derive(Debug)]
pub(super) struct Spot {
    pub kind: Kind,
    pub children: Vec<usize>,
    /// The parent, and which of its children this is.
    pub parent: Option<(usize, usize)>,
    /// How far it reaches to the left and right of its spine.
    pub left: f64,
    pub right: f64,
    /// How far a lane that ends here stays away.
    pub reach: f64,
    /// Its spine.
    pub x: f64,
    pub y: f64,
    pub height: f64,
    /// Of a series: what runs beside its children.
    pub lanes: Vec<Lane>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Leaf(usize),
    Series,
    Parallel,
}

/// A line beside some children of a series; edges from one source share it.
#[derive(Debug)]
pub(super) struct Lane {
    pub source: (usize, usize),
    pub from: usize,
    pub to: usize,
    pub on_the_left: bool,
    /// Its distance from the spine.
    pub offset: f64,
    /// It stands no nearer than this.
    pub least: f64,
}

/// The gap above child `index` of a series.
pub(super) type Gap = (usize, usize);

/// The gaps in which an edge moves sideways, and the lanes between them.
#[derive(Debug, Default)]
pub(super) struct Way {
    pub gaps: Vec<Gap>,
    pub lanes: Vec<(usize, usize)>,
}

impl Spots {
    pub fn new(tree: &Tree, boxes: usize) -> Spots {
        let mut spots = Spots { all: vec![], of_box: vec![usize::MAX; boxes] };
        spots.add(tree, None);
        spots
    }

    fn add(&mut self, tree: &Tree, parent: Option<(usize, usize)>) -> usize {
        let (kind, parts): (Kind, &[Tree]) = match tree {
            Tree::Leaf(item) => (Kind::Leaf(*item), &[]),
            Tree::Series(parts) => (Kind::Series, parts),
            Tree::Parallel(parts) => (Kind::Parallel, parts),
        };
        let id = self.all.len();
        let (left, right, reach, x, y, height) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        self.all.push(Spot { kind, children: vec![], parent, left, right, reach, x, y, height, lanes: vec![] });
        if let Kind::Leaf(item) = kind {
            self.of_box[item] = id;
        }
        for (index, part) in parts.iter().enumerate() {
            let child = self.add(part, Some((id, index)));
            self.all[id].children.push(child);
        }
        id
    }

    /// The spots around a box, innermost first, each with the child that holds it.
    fn around(&self, item: usize) -> Vec<(usize, usize)> {
        let mut found = vec![];
        let mut at = self.all[self.of_box[item]].parent;
        while let Some((spot, index)) = at {
            found.push((spot, index));
            at = self.all[spot].parent;
        }
        found
    }

    /// Finds the way of an edge, and reserves its lanes.
    pub fn way(&mut self, from: usize, port: usize, to: usize) -> Way {
        let (up, down) = (self.around(from), self.around(to));
        let mut shared = 0;
        while shared < up.len() && shared < down.len() && up[up.len() - 1 - shared].0 == down[down.len() - 1 - shared].0
        {
            shared += 1;
        }
        let (meet, i) = up[up.len() - shared];
        let (_, j) = down[down.len() - shared];
        let (up, down) = (&up[..up.len() - shared], &down[..down.len() - shared]);
        let on_the_left = [up.last(), down.last()].into_iter().flatten().any(|&(spot, index)| {
            self.all[spot].kind == Kind::Parallel && 2 * index + 1 < self.all[spot].children.len()
        });
        let mut way = Way::default();
        let source = (from, port);
        let series = |spots: &Spots, spot: usize| spots.all[spot].kind == Kind::Series;
        for &(spot, index) in up {
            let last = self.all[spot].children.len() - 1;
            if series(self, spot) && index < last {
                way.gaps.push((spot, index + 1));
                let lane = self.lane(spot, source, index + 1, last, on_the_left);
                way.lanes.push((spot, lane));
            }
        }
        way.gaps.push((meet, i + 1));
        if j > i + 1 {
            let lane = self.lane(meet, source, i + 1, j - 1, on_the_left);
            way.lanes.push((meet, lane));
            way.gaps.push((meet, j));
        }
        for &(spot, index) in down.iter().rev() {
            if series(self, spot) && index > 0 {
                let lane = self.lane(spot, source, 0, index - 1, on_the_left);
                way.lanes.push((spot, lane));
                way.gaps.push((spot, index));
            }
        }
        way
    }

    fn lane(&mut self, spot: usize, source: (usize, usize), from: usize, to: usize, on_the_left: bool) -> usize {
        let lanes = &mut self.all[spot].lanes;
        let meets = |lane: &Lane| lane.from <= to + 1 && from <= lane.to + 1;
        let found = |lane: &Lane| lane.source == source && lane.on_the_left == on_the_left && meets(lane);
        if let Some(at) = lanes.iter().position(found) {
            lanes[at].from = lanes[at].from.min(from);
            lanes[at].to = lanes[at].to.max(to);
            return at;
        }
        lanes.push(Lane { source, from, to, on_the_left, offset: 0.0, least: 0.0 });
        lanes.len() - 1
    }

    /// Says how far each lane of a series stands from its spine: short ones inside.
    pub fn set_lanes(&mut self, spot: usize, apart: f64) {
        let mut order: Vec<usize> = (0..self.all[spot].lanes.len()).collect();
        order.sort_by_key(|&at| (self.all[spot].lanes[at].to - self.all[spot].lanes[at].from, at));
        let mut set: Vec<usize> = vec![];
        for at in order {
            let lane = &self.all[spot].lanes[at];
            let beside = self.all[spot].children[lane.from..=lane.to].iter().map(|&child| {
                let child = &self.all[child];
                if lane.on_the_left { child.left } else { child.right }
            });
            let others = set.iter().map(|&other| &self.all[spot].lanes[other]).filter(|other| {
                other.on_the_left == lane.on_the_left && other.from <= lane.to + 1 && lane.from <= other.to + 1
            });
            let end = self.all[spot].children.get(lane.to + 1).map_or(0.0, |&child| self.all[child].reach);
            let offset = beside.chain(others.map(|other| other.offset)).fold(end, f64::max) + apart;
            let offset = offset.max(lane.least);
            self.all[spot].lanes[at].offset = offset;
            set.push(at);
        }
    }

    /// Lanes that follow each other on one side of one spine become one line.
    pub fn join_lanes(&mut self, way: &Way) {
        for pair in way.lanes.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|(spot, lane)| (&self.all[spot], &self.all[spot].lanes[lane]));
            if a.0.x != b.0.x || a.1.on_the_left != b.1.on_the_left {
                continue;
            }
            let least = a.1.offset.max(b.1.offset);
            for &(spot, lane) in pair {
                let lane = &mut self.all[spot].lanes[lane];
                lane.least = lane.least.max(least);
            }
        }
    }

    /// Where a lane runs.
    pub fn lane_x(&self, (spot, lane): (usize, usize)) -> f64 {
        let (spot, lane) = (&self.all[spot], &self.all[spot].lanes[lane]);
        if lane.on_the_left { spot.x - lane.offset } else { spot.x + lane.offset }
    }
}
