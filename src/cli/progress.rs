//! How far a run is: a bar on a terminal, a line now and then elsewhere.

use super::streams::Stream;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Without a terminal a line is written no more often than this, and than each fiftieth of the time so far.
const EVERY: Duration = Duration::from_secs(2);

/// The progress of a run, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    begun: Instant,
    /// Steps that an earlier run had made.
    before: u64,
    told: Option<Instant>,
    /// The last loss on held-out rows.
    held_out: Option<f64>,
}

impl Progress {
    /// Begins at `step` of `total`.
    pub fn new(err: &Stream, step: u64, total: u64) -> Progress {
        let bar = err.terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_position(step);
            let (wide, signs) = if err.unicode { ("{bar:24}", "━╸ ") } else { ("[{bar:24}]", "=> ") };
            let style = format!("{wide} {{pos}}/{{len}}  {{msg}}, {{eta}} left");
            let style = ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars(signs));
            bar
        });
        Progress { bar, total, begun: Instant::now(), before: step, told: None, held_out: None }
    }

    /// After a step: how many are made, the loss, the learning rate.
    pub fn step(&mut self, err: &mut Stream, step: u64, loss: f64, lr: f64) {
        let now = Instant::now();
        let seconds = (now - self.begun).as_secs_f64().max(1e-9);
        let rate = (step - self.before.min(step)) as f64 / seconds;
        let held_out = self.held_out.map(|held_out| format!(", held out {held_out:.4}")).unwrap_or_default();
        if let Some(bar) = &self.bar {
            // A line of eighty columns.
            bar.set_position(step);
            bar.set_message(format!("loss {loss:.4}{held_out}  {rate:.1} steps/s"));
            return;
        }
        if step < self.total && self.told.is_some_and(|told| now - told < EVERY.max((now - self.begun) / 50)) {
            return;
        }
        self.told = Some(now);
        let left = if rate > 0.0 { (self.total.saturating_sub(step)) as f64 / rate } else { 0.0 };
        // A run goes on when nobody reads its progress any more.
        let _ = err.line(&format!(
            "step {step}/{}  loss {loss:.4}{held_out}  lr {lr:.2e}  {rate:.1} steps/s, {} left",
            self.total,
            duration(left)
        ));
    }

    /// The loss on the held-out rows was found.
    pub fn evaluated(&mut self, loss: f64) {
        self.held_out = Some(loss);
    }

    /// Removes the bar; how many seconds it was there.
    pub fn finish(self) -> f64 {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.begun.elapsed().as_secs_f64()
    }
}

/// `36 s`, `24 min 14 s`, `3 h 5 min`.
pub fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        whole @ 0..60 if seconds >= 10.0 => format!("{whole} s"),
        0..60 => format!("{seconds:.1} s"),
        whole @ 60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        whole => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations() {
        let shown = [0.04, 9.96, 36.4, 59.9, 1454.0, 11_100.0].map(duration);
        assert_eq!(shown, ["0.0 s", "10.0 s", "36 s", "1 min 0 s", "24 min 14 s", "3 h 5 min"]);
    }
}
