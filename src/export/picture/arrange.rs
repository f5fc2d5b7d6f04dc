//! From edges to series and parallels.
//!
//! A box that comes before or after every other one is a *cut*: cuts stand under each other, and what lies between two
//! of them falls apart into columns. What neither has a cut nor falls apart (two columns with a cross between them) is
//! laid in rows, chains kept whole. Every edge then runs downwards between two children of some series, perhaps past
//! others.

/// How the boxes of a scene stand.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    /// A box.
    Leaf(usize),
    /// One under the other.
    Series(Vec<Tree>),
    /// Side by side.
    Parallel(Vec<Tree>),
}

/// Larger scenes stand in one column: what reaches what is a table of this many squared.
const MOST: usize = 4000;

/// Arranges `count` boxes, numbered so that edges lead to larger numbers; the last `exits` of them make a row of their
/// own at the end.
pub(super) fn arrange(count: usize, edges: &[(usize, usize)], exits: usize) -> Tree {
    let inner = count - exits;
    let items: Vec<usize> = (0..inner).collect();
    let reach = Reach::new(inner, edges);
    let mut rows = match reach {
        Some(reach) => match reach.arrange(&items) {
            Tree::Series(rows) => rows,
            tree @ (Tree::Leaf(_) | Tree::Parallel(_)) => vec![tree],
        },
        None => items.into_iter().map(Tree::Leaf).collect(),
    };
    let last: Vec<Tree> = (inner..count).map(Tree::Leaf).collect();
    match last.len() {
        0 => {}
        1 => rows.extend(last),
        _ => rows.push(Tree::Parallel(last)),
    }
    Tree::Series(rows)
}

/// Which box comes before which.
struct Reach {
    next: Vec<Vec<usize>>,
    previous: Vec<Vec<usize>>,
    /// For each box a bit for each box that comes before it.
    before: Vec<Vec<u64>>,
}

impl Reach {
    fn new(count: usize, edges: &[(usize, usize)]) -> Option<Reach> {
        if count > MOST {
            return None;
        }
        let (mut next, mut previous) = (vec![vec![]; count], vec![vec![]; count]);
        for &(from, to) in edges.iter().filter(|(_, to)| *to < count) {
            if !next[from].contains(&to) {
                next[from].push(to);
                previous[to].push(from);
            }
        }
        let mut before: Vec<Vec<u64>> = vec![];
        for own in &previous {
            let mut bits = vec![0u64; count.div_ceil(64)];
            for &from in own {
                bits[from / 64] |= 1 << (from % 64);
                bits.iter_mut().zip(&before[from]).for_each(|(bit, other)| *bit |= other);
            }
            before.push(bits);
        }
        Some(Reach { next, previous, before })
    }

    fn comes_before(&self, a: usize, b: usize) -> bool {
        self.before[b][a / 64] >> (a % 64) & 1 == 1
    }

    fn arrange(&self, items: &[usize]) -> Tree {
        if let [one] = items {
            return Tree::Leaf(*one);
        }
        let ordered = |a: usize, b: usize| a == b || self.comes_before(a, b) || self.comes_before(b, a);
        let cuts: Vec<usize> = items.iter().copied().filter(|&a| items.iter().all(|&b| ordered(a, b))).collect();
        let columns = self.columns(items);
        if cuts.is_empty() && columns.len() > 1 {
            return Tree::Parallel(columns.iter().map(|column| self.arrange(column)).collect());
        }
        if cuts.is_empty() {
            return self.rows(items);
        }
        let mut between: Vec<Vec<usize>> = vec![vec![]; cuts.len() + 1];
        for &item in items.iter().filter(|item| !cuts.contains(item)) {
            between[cuts.iter().filter(|&&cut| self.comes_before(cut, item)).count()].push(item);
        }
        let mut series = vec![];
        for (index, part) in between.iter().enumerate() {
            match (part.is_empty(), self.columns(part).len()) {
                (true, _) => {}
                (false, 1) => match self.arrange(part) {
                    Tree::Series(rows) => series.extend(rows),
                    tree @ (Tree::Leaf(_) | Tree::Parallel(_)) => series.push(tree),
                },
                (false, _) => series.push(self.arrange(part)),
            }
            series.extend(cuts.get(index).map(|&cut| Tree::Leaf(cut)));
        }
        Tree::Series(series)
    }

    /// What hangs together, each in order.
    fn columns(&self, items: &[usize]) -> Vec<Vec<usize>> {
        let mut left: Vec<usize> = items.to_vec();
        let mut columns = vec![];
        while !left.is_empty() {
            let (mut found, mut waiting) = (vec![], vec![left.remove(0)]);
            while let Some(item) = waiting.pop() {
                found.push(item);
                for &other in self.next[item].iter().chain(&self.previous[item]) {
                    if let Some(at) = left.iter().position(|&own| own == other) {
                        waiting.push(left.remove(at));
                    }
                }
            }
            found.sort_unstable();
            columns.push(found);
        }
        columns
    }

    /// Rows of chains: a chain is as deep as the longest way to it.
    fn rows(&self, items: &[usize]) -> Tree {
        let only = |list: &[usize]| {
            let mut own = list.iter().filter(|item| items.contains(item));
            own.next().copied().filter(|_| own.next().is_none())
        };
        let mut chains: Vec<Vec<usize>> = vec![];
        for &item in items {
            let above = only(&self.previous[item]).filter(|&from| only(&self.next[from]) == Some(item));
            match above.and_then(|from| chains.iter_mut().find(|chain| chain.last() == Some(&from))) {
                Some(chain) => chain.push(item),
                None => chains.push(vec![item]),
            }
        }
        let mut rows: Vec<Vec<Tree>> = vec![];
        let mut depth = vec![0; chains.len()];
        for index in 0..chains.len() {
            let above = chains[..index].iter().zip(&depth).filter(|(chain, _)| {
                chain.last().is_some_and(|&last| self.next[last].contains(&chains[index][0]))
                    || chain.iter().any(|&own| self.next[own].contains(&chains[index][0]))
            });
            depth[index] = above.map(|(_, depth)| depth + 1).max().unwrap_or(0);
            rows.resize_with(rows.len().max(depth[index] + 1), Vec::new);
            let chain: Vec<Tree> = chains[index].iter().map(|&item| Tree::Leaf(item)).collect();
            let tree = if chain.len() == 1 { Tree::Leaf(chains[index][0]) } else { Tree::Series(chain) };
            rows[depth[index]].push(tree);
        }
        let row = |mut row: Vec<Tree>| if row.len() == 1 { row.remove(0) } else { Tree::Parallel(row) };
        Tree::Series(rows.into_iter().map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Tree::{Leaf, Parallel, Series};
    use super::*;

    #[test]
    fn a_chain_with_a_skip_stays_one_column() {
        // 0 -> 1 -> 2 -> 3, and 0 -> 3 beside.
        let tree = arrange(4, &[(0, 1), (1, 2), (2, 3), (0, 3)], 1);
        assert_eq!(tree, Series(vec![Leaf(0), Leaf(1), Leaf(2), Leaf(3)]));
    }

    #[test]
    fn branches_stand_side_by_side() {
        let tree = arrange(6, &[(0, 1), (0, 2), (2, 3), (1, 4), (3, 4), (4, 5)], 1);
        let columns = Parallel(vec![Leaf(1), Series(vec![Leaf(2), Leaf(3)])]);
        assert_eq!(tree, Series(vec![Leaf(0), columns, Leaf(4), Leaf(5)]));
    }

    #[test]
    fn a_cross_is_laid_in_rows() {
        // Two inputs, each feeding two boxes that nothing joins.
        let tree = arrange(4, &[(0, 2), (0, 3), (1, 2), (1, 3)], 0);
        assert_eq!(tree, Series(vec![Parallel(vec![Leaf(0), Leaf(1)]), Parallel(vec![Leaf(2), Leaf(3)])]));
    }

    #[test]
    fn every_box_stands_once_and_edges_lead_down() {
        fn leaves(tree: &Tree, out: &mut Vec<usize>) {
            match tree {
                Leaf(item) => out.push(*item),
                Series(parts) | Parallel(parts) => parts.iter().for_each(|part| leaves(part, out)),
            }
        }
        // Whether `a` stands above `b`: in an earlier child of the series that holds both.
        fn above(tree: &Tree, a: usize, b: usize) -> bool {
            let holds = |tree: &Tree, item: usize| {
                let mut own = vec![];
                leaves(tree, &mut own);
                own.contains(&item)
            };
            match tree {
                Leaf(_) => false,
                Series(parts) | Parallel(parts) => {
                    let at = |item| parts.iter().position(|part| holds(part, item)).expect("it stands somewhere");
                    if at(a) == at(b) { above(&parts[at(a)], a, b) } else { matches!(tree, Series(_)) && at(a) < at(b) }
                }
            }
        }
        let mut seed = 1u64;
        let mut draw = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        for _ in 0..300 {
            let count = 2 + draw(12);
            let edges: Vec<(usize, usize)> = (0..draw(2 * count))
                .map(|_| (draw(count), draw(count)))
                .filter(|(a, b)| a != b)
                .map(|(a, b)| (a.min(b), a.max(b)))
                .collect();
            let exits = (count - 1..count).filter(|&last| edges.iter().all(|edge| edge.0 != last)).count();
            let tree = arrange(count, &edges, exits);
            let mut found = vec![];
            leaves(&tree, &mut found);
            found.sort_unstable();
            assert_eq!(found, (0..count).collect::<Vec<_>>(), "{edges:?}");
            for &(a, b) in &edges {
                assert!(above(&tree, a, b), "{a} -> {b} of {edges:?}: {tree:?}");
            }
        }
    }
}
