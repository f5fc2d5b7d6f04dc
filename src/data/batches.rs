//! Which rows a step gets: a function of (seed, step) alone, so that a run resumed at any step, mid-epoch too, sees what
//! it would have seen.

/// The order of rows over a whole run.
#[derive(Clone, Debug)]
pub struct Batches {
    rows: usize,
    batch: usize,
    shuffle: bool,
    drop_last: bool,
    seed: u64,
    /// The order of the epoch that was asked for last.
    order: Vec<u32>,
    epoch: Option<u64>,
}

impl Batches {
    /// Batches of `batch` rows out of `rows`; each epoch in an order of its own if `shuffle`.
    ///
    /// With `drop_last` a last, smaller batch is left out; if that would leave none, the whole set is one batch.
    pub fn new(rows: usize, batch: usize, shuffle: bool, drop_last: bool, seed: u64) -> Batches {
        let batch = batch.max(1);
        let drop_last = drop_last && rows >= batch;
        Batches { rows, batch, shuffle, drop_last, seed, order: vec![], epoch: None }
    }

    /// Steps of an epoch.
    pub fn per_epoch(&self) -> u64 {
        let steps = if self.drop_last { self.rows / self.batch } else { self.rows.div_ceil(self.batch) };
        steps.max(1) as u64
    }

    /// The epoch of a step, both from 0.
    pub fn epoch_of(&self, step: u64) -> u64 {
        step / self.per_epoch()
    }

    /// The sizes that batches have: the usual one, and that of a smaller last one.
    pub fn sizes(&self) -> Vec<usize> {
        let (whole, rest) = (self.rows / self.batch, self.rows % self.batch);
        match (whole, rest) {
            (0, rest) => vec![rest],
            (_, 0) => vec![self.batch],
            (_, _) if self.drop_last => vec![self.batch],
            (_, rest) => vec![self.batch, rest],
        }
    }

    /// The rows of step 0, 1, ….
    pub fn rows(&mut self, step: u64) -> &[u32] {
        let (epoch, at) = (self.epoch_of(step), (step % self.per_epoch()) as usize);
        if self.epoch != Some(epoch) && (self.shuffle || self.epoch.is_none()) {
            if self.shuffle {
                shuffle_into(&mut self.order, self.rows, self.seed, epoch);
            } else {
                self.order = (0..self.rows as u32).collect();
            }
            self.epoch = Some(epoch);
        }
        let from = at * self.batch;
        &self.order[from..(from + self.batch).min(self.rows)]
    }
}

/// The numbers 0 … n - 1 in an order drawn from (seed, stream).
pub fn permutation(n: usize, seed: u64, stream: u64) -> Vec<u32> {
    let mut order = vec![];
    shuffle_into(&mut order, n, seed, stream);
    order
}

/// A number in [0, 1) that is a function of (seed, k).
pub fn uniform(seed: u64, k: u64) -> f64 {
    let draw = Draws { key: mix(mix(seed) ^ DRAWN), count: k }.next();
    (draw >> 11) as f64 / (1u64 << 53) as f64
}

/// The stream of single draws: no epoch has this number, nor has what holds rows out.
const DRAWN: u64 = u64::MAX - 1;

/// Fisher and Yates, from the end; the k-th draw is a function of (seed, stream, k).
fn shuffle_into(order: &mut Vec<u32>, n: usize, seed: u64, stream: u64) {
    order.clear();
    order.extend(0..n as u32);
    let mut draws = Draws { key: mix(mix(seed) ^ stream), count: 0 };
    for i in (1..n).rev() {
        order.swap(i, draws.below(i as u64 + 1) as usize);
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014) as a counter-based generator: the mix of key + k times the golden gamma.
struct Draws {
    key: u64,
    count: u64,
}

impl Draws {
    fn next(&mut self) -> u64 {
        self.count += 1;
        mix(self.key.wrapping_add(self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Uniform in 0 … n - 1, without bias (Lemire 2019).
    fn below(&mut self, n: u64) -> u64 {
        loop {
            let wide = u128::from(self.next()) * u128::from(n);
            let low = wide as u64;
            if low >= n || low >= n.wrapping_neg() % n {
                return (wide >> 64) as u64;
            }
        }
    }
}

/// SplitMix64's finaliser.
fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_has_each_row_once() {
        let mut batches = Batches::new(45, 8, true, false, 3);
        assert_eq!((batches.per_epoch(), batches.sizes()), (6, vec![8, 5]));
        let mut seen = vec![];
        for epoch in 0..3 {
            let mut rows: Vec<u32> = (0..6).flat_map(|i| batches.rows(epoch * 6 + i).to_vec()).collect();
            seen.push(rows.clone());
            rows.sort_unstable();
            assert_eq!(rows, (0..45).collect::<Vec<_>>());
        }
        assert!(seen[0] != seen[1] && seen[1] != seen[2], "each epoch has its own order");
    }

    #[test]
    fn a_step_needs_no_history() {
        let mut whole = Batches::new(45, 8, true, false, 3);
        let steps: Vec<Vec<u32>> = (0..40).map(|step| whole.rows(step).to_vec()).collect();
        for step in [39, 0, 17, 18, 5] {
            assert_eq!(Batches::new(45, 8, true, false, 3).rows(step), steps[step as usize]);
            assert_eq!(whole.rows(step), steps[step as usize]);
        }
        assert_ne!(Batches::new(45, 8, true, false, 4).rows(0), steps[0]);
    }

    #[test]
    fn without_shuffle_in_order() {
        let mut batches = Batches::new(5, 2, false, true, 0);
        assert_eq!((batches.per_epoch(), batches.sizes()), (2, vec![2]));
        assert_eq!(
            [batches.rows(0).to_vec(), batches.rows(1).to_vec(), batches.rows(2).to_vec()],
            [[0, 1], [2, 3], [0, 1]]
        );
        let mut few = Batches::new(3, 8, false, true, 0);
        assert_eq!((few.per_epoch(), few.sizes(), few.rows(7)), (1, vec![3], &[0, 1, 2][..]));
    }

    #[test]
    fn the_order_never_changes_between_versions() {
        // A resume after an upgrade must see the same rows: these numbers may not change.
        assert_eq!(permutation(8, 0, 0), [1, 2, 6, 5, 4, 0, 3, 7]);
    }

    #[test]
    fn the_draw_is_fair() {
        let mut counts = [[0u32; 5]; 5];
        for seed in 0..5000 {
            for (place, &row) in permutation(5, seed, 1).iter().enumerate() {
                counts[place][row as usize] += 1;
            }
        }
        assert!(counts.iter().flatten().all(|&n| (850..1150).contains(&n)), "{counts:?}");
    }
}
