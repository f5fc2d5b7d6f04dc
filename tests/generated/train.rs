//! Train sections.

use super::body::Gen;
use super::size::{Size, Ty};
use wythe::tensor::DType;

impl Gen {
    /// A train section, where the output has rows to compare.
    pub fn train(&mut self, inputs: &[(String, Ty)], outputs: &[Ty]) -> Option<String> {
        let batch = Size::of(self.dim("batch"));
        let rows = inputs.iter().all(|(_, ty)| ty.sizes.first() == Some(&batch));
        let [to] = outputs else { return None };
        // A target's rows are counted along its first axis only.
        let once = to.sizes.iter().filter(|size| size.sym == batch.sym).count() == 1;
        let float = to.dtype == DType::F32 && to.sizes.first() == Some(&batch) && once;
        if !rows || !float || !self.rng.percent(60) {
            return None;
        }
        let classes = (to.rank() == 2).then(|| to.last()?.as_num()).flatten().filter(|n| *n > 1);
        let mut lines: Vec<String> = vec![];
        match (classes, self.rng.below(3)) {
            (Some(_), 0) => lines.extend(["target y_: i64[batch]".into(), "loss cross_entropy".into()]),
            (_, 1) => lines.extend([format!("target y_: {}", to.text()), self.loss()]),
            _ => lines.extend([format!("target y_: {}", to.text()), "loss mse".into()]),
        }
        for def in wythe::optim::OPTIMIZERS {
            if self.rng.percent(30) && !lines.iter().any(|line| line.starts_with("optimizer")) {
                lines.push(format!("optimizer {}(lr = 1e-3)", def.name));
            }
        }
        for line in [
            "batch 4",
            "seed 7",
            "steps 3",
            "clip norm(1.0)",
            "shuffle false",
            "drop_last true",
            "schedule warmup(2) |> cosine(5)",
        ] {
            if self.rng.percent(30) {
                lines.push(line.into());
            }
        }
        if self.rng.percent(20) {
            let metric = if lines[0].contains("i64") { "accuracy" } else { "l1" };
            lines.push(format!("metric {metric}"));
        }
        for dim in ["seq", "h", "w"] {
            if inputs.iter().any(|(_, ty)| ty.sizes.iter().any(|size| size.sym.is_some_and(|sym| sym.name == dim)))
                && self.rng.percent(30)
            {
                // Even, for the fact that a model may state.
                let least = self.least.get(dim).copied().unwrap_or(1);
                lines.push(format!("{dim} {}", least + least % 2 + 2 * (1 - least % 2)));
            }
        }
        let inner: Vec<String> = lines.iter().flat_map(|line| line.lines()).map(|line| format!("  {line}\n")).collect();
        Some(format!("train m {{\n{}}}\n", inner.concat()))
    }

    /// A loss that is written out.
    fn loss(&mut self) -> String {
        let body = *self.rng.pick(&[
            "(out, y_) |> sub |> square |> mean",
            "near = (out, y_) |> mse\n  far = (out, y_) |> l1\n  near + far * 0.5",
            "(out, y_) |> huber(delta = 0.5)",
            "fit = (out - y_) |> square |> mean\n  size = out |> square |> mean\n  (fit, size) |> sum",
            "(out, y_) |> smooth_l1(reduction = \"none\") |> sum |> it / 8",
        ]);
        format!("loss {{\n  {body}\n}}")
    }
}
