//! The one schedule that remembers: the rate falls when the loss does so no more.

use super::{ScheduleDef, find_schedule};
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::training::Call;

const NUMBER: &[AttrKind] = &[AttrKind::Number];

/// A drop when the loss has not fallen for a while (torch: ReduceLROnPlateau).
pub(super) static PLATEAU: ScheduleDef = ScheduleDef {
    name: "plateau",
    doc: "A drop by the factor `factor` when the validation loss (the mean training loss where no rows are held out) has \
          not become better by the share `threshold` for more than `patience` epochs; then nothing is counted for \
          `cooldown` of them. With every = \"step\" it counts steps. What is compared is the newest validation loss, and \
          nothing before there is one.",
    formula: "b * factor^drops, at least min",
    attrs: &[
        AttrDef::new("factor", NUMBER, AttrDefault::Float(0.1), "the factor of each drop").within(Domain::HalfOpen),
        AttrDef::new("patience", &[AttrKind::Int], AttrDefault::Int(10), "how many bad epochs are borne")
            .within(Domain::NonNegative),
        AttrDef::new(
            "mode",
            &[AttrKind::Choice(&["min", "max"])],
            AttrDefault::Str("min"),
            "what is better: less or more",
        )
        .named(),
        AttrDef::new("threshold", NUMBER, AttrDefault::Float(1e-4), "the share by which it must become better")
            .within(Domain::NonNegative)
            .named(),
        AttrDef::new("cooldown", &[AttrKind::Int], AttrDefault::Int(0), "how many epochs are not counted after a drop")
            .within(Domain::NonNegative)
            .named(),
        AttrDef::new("min", NUMBER, AttrDefault::Float(0.0), "the lowest rate")
            .within(Domain::NonNegative)
            .torch("min_lr")
            .named(),
        AttrDef::new(
            "every",
            &[AttrKind::Choice(&["epoch", "step"])],
            AttrDefault::Str("epoch"),
            "whether it counts epochs or steps",
        )
        .named(),
    ],
    length: |_| None,
    rate: |attrs, base, drops| {
        let (factor, min) = (attrs.float("factor").unwrap_or(0.1), attrs.float("min").unwrap_or(0.0));
        // A rate that is below the least one stays.
        let drop = |rate: f64| if rate <= min { rate } else { (rate * factor).max(min) };
        (0..drops.min(2000)).fold(base, |rate, _| drop(rate))
    },
};

/// Whether a call is the schedule that remembers.
pub(super) fn is_plateau(call: &Call) -> bool {
    find_schedule(&call.name).is_some_and(|def| std::ptr::eq(def, &PLATEAU))
}

/// What a `plateau` has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    attrs: Attrs,
    /// The step with which it begins.
    from: u64,
    /// Steps a tick.
    tick: u64,
    seen: Seen,
}

/// What must survive a resume.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    best: f64,
    bad: u64,
    cooling: u64,
    drops: u64,
    /// The newest validation loss; NaN before there is one.
    measured: f64,
    /// The training losses since the last tick, and how many.
    sum: f64,
    count: u64,
}

impl Plateau {
    /// That of a chain of schedules, if there is one; an epoch has `epoch` steps.
    pub fn new(calls: &[Call], epoch: u64) -> Option<Plateau> {
        let (last, before) = calls.split_last()?;
        if !is_plateau(last) {
            return None;
        }
        let from = super::Schedule::new(before, 0.0, epoch).length().unwrap_or(0);
        let tick = if last.attrs.str("every") == Some("step") { 1 } else { epoch.max(1) };
        let best = if last.attrs.str("mode") == Some("max") { f64::NEG_INFINITY } else { f64::INFINITY };
        let seen = Seen { best, bad: 0, cooling: 0, drops: 0, measured: f64::NAN, sum: 0.0, count: 0 };
        Some(Plateau { attrs: last.attrs.clone(), from, tick, seen })
    }

    /// How often the rate has dropped.
    pub fn drops(&self) -> u64 {
        self.seen.drops
    }

    /// A step had this training loss.
    pub fn step(&mut self, loss: f64) {
        self.seen.sum += loss;
        self.seen.count += 1;
    }

    /// The held-out rows had this loss.
    pub fn evaluated(&mut self, loss: f64) {
        self.seen.measured = loss;
    }

    /// Before step `step` (from 0): looks at what has been measured, if a tick has just ended.
    pub fn look(&mut self, step: u64, held_out: bool) {
        if step == 0 || !step.is_multiple_of(self.tick) || self.seen.count == 0 {
            return;
        }
        let mean = self.seen.sum / self.seen.count as f64;
        (self.seen.sum, self.seen.count) = (0.0, 0);
        let loss = if held_out { self.seen.measured } else { mean };
        if step > self.from && !loss.is_nan() {
            self.tick(loss);
        }
    }

    /// One measurement.
    pub fn tick(&mut self, loss: f64) {
        let count = |name: &str| self.attrs.int(name).unwrap_or(0).max(0) as u64;
        let threshold = self.attrs.float("threshold").unwrap_or(1e-4);
        let seen = &mut self.seen;
        let better = match self.attrs.str("mode") {
            Some("max") => loss > seen.best * (threshold + 1.0),
            _ => loss < seen.best * (1.0 - threshold),
        };
        if better {
            (seen.best, seen.bad) = (loss, 0);
        } else {
            seen.bad += 1;
        }
        if seen.cooling > 0 {
            (seen.cooling, seen.bad) = (seen.cooling - 1, 0);
        }
        if seen.bad > count("patience") {
            (seen.drops, seen.cooling, seen.bad) = (seen.drops + 1, count("cooldown"), 0);
        }
    }

    /// All that it has seen, as a word for a checkpoint: numbers in shortest digits that read back the same.
    pub fn word(&self) -> String {
        let Seen { best, bad, cooling, drops, measured, sum, count } = self.seen;
        format!("{best:?} {bad} {cooling} {drops} {measured:?} {sum:?} {count}")
    }

    /// Takes up what a checkpoint says; false if it cannot be read.
    pub fn resume(&mut self, word: &str) -> bool {
        let read = || {
            let [best, bad, cooling, drops, measured, sum, count] = *word.split(' ').collect::<Vec<_>>() else {
                return None;
            };
            let (float, whole) = (|text: &str| text.parse::<f64>().ok(), |text: &str| text.parse::<u64>().ok());
            let (best, measured, sum) = (float(best)?, float(measured)?, float(sum)?);
            let (bad, cooling, drops, count) = (whole(bad)?, whole(cooling)?, whole(drops)?, whole(count)?);
            Some(Seen { best, bad, cooling, drops, measured, sum, count })
        };
        let seen = read();
        self.seen = seen.unwrap_or(self.seen);
        seen.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::attr::Attr;
    use crate::text::Span;

    fn plateau(given: &[(&str, Attr)]) -> Plateau {
        let attrs = Attrs::with(PLATEAU.attrs, given);
        Plateau::new(&[Call { name: "plateau".into(), attrs, span: Span::default() }], 4).expect("one")
    }

    #[test]
    fn what_was_seen_is_taken_up_again() {
        let mut whole = plateau(&[("patience", Attr::Int(1)), ("cooldown", Attr::Int(1))]);
        let losses: Vec<f64> = (0..60).map(|i| 1.0 / f64::from(i % 9 + 1)).collect();
        let mut words = vec![];
        for (step, loss) in losses.iter().enumerate() {
            words.push(whole.word());
            whole.look(step as u64, false);
            whole.step(*loss);
        }
        assert!(whole.drops() > 1);
        for (from, word) in words.iter().enumerate() {
            let mut resumed = plateau(&[("patience", Attr::Int(1)), ("cooldown", Attr::Int(1))]);
            assert!(resumed.resume(word), "{word}");
            for (step, loss) in losses.iter().enumerate().skip(from) {
                resumed.look(step as u64, false);
                resumed.step(*loss);
            }
            assert_eq!(resumed.word(), whole.word());
        }
        assert!(!whole.resume("1.0 2") && !whole.resume(""));
    }

    #[test]
    fn nothing_is_counted_before_there_is_a_validation_loss() {
        let mut one = plateau(&[("patience", Attr::Int(0))]);
        for step in 0..12 {
            one.look(step, true);
            one.step(1.0);
        }
        assert_eq!(one.drops(), 0);
        one.evaluated(0.5);
        for step in 12..21 {
            one.look(step, true);
            one.step(1.0);
        }
        // Seen at 12, 16 and 20: better, then not, then not.
        assert_eq!(one.drops(), 2);
    }
}
