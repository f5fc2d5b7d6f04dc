//! How far a run is: a bar on a terminal, a line now and then elsewhere.

use super::streams::Stream;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Without a terminal a line is written no more often than this.
const EVERY: Duration = Duration::from_secs(2);

/// The progress of a run, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    begun: Instant,
    /// Steps that an earlier run had made.
    before: u64,
    told: Option<Instant>,
}

impl Progress {
    /// Begins at `step` of `total`.
    pub fn new(err: &Stream, step: u64, total: u64) -> Progress {
        let bar = err.terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_position(step);
            let (wide, signs) = if err.unicode { ("{bar:24}", "━╸ ") } else { ("[{bar:24}]", "=> ") };
            let style = format!("{wide} {{pos}}/{{len}}  {{msg}}  {{eta}} left");
            let style = ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars(signs));
            bar
        });
        Progress { bar, total, begun: Instant::now(), before: step, told: None }
    }

    /// After a step: how many are made, the loss, the learning rate.
    pub fn step(&mut self, err: &mut Stream, step: u64, loss: f64, lr: f64) {
        let now = Instant::now();
        let seconds = (now - self.begun).as_secs_f64().max(1e-9);
        let rate = (step - self.before.min(step)) as f64 / seconds;
        let message = || format!("loss {loss:.4}  lr {lr:.2e}  {rate:.1} steps/s");
        if let Some(bar) = &self.bar {
            bar.set_position(step);
            bar.set_message(message());
            return;
        }
        if step < self.total && self.told.is_some_and(|told| now - told < EVERY) {
            return;
        }
        self.told = Some(now);
        let left = if rate > 0.0 { (self.total.saturating_sub(step)) as f64 / rate } else { 0.0 };
        // A run goes on when nobody reads its progress any more.
        let _ = err.line(&format!("step {step}/{}  {}  {left:.0} s left", self.total, message()));
    }

    /// Removes the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
