//! Trains a small network on points in memory and asks it about new ones: `cargo run --release --example embed`.
#![allow(clippy::print_stdout, reason = "an example says what it found")]

use ndarray::{Array1, Array2, array};
use wythe::{Error, Model, Options, TrainOptions};

/// Is a point inside the circle of radius 0.6?
const TEXT: &str = r#"
dim batch

model circle(d = 16) : (x: f32[batch, 2]) -> f32[batch, 2] {
  linear(d); tanh
  linear(2)
}

train circle {
  target    y: i64[batch]
  loss      cross_entropy
  optimizer adamw(lr = 1e-2)
  valid     0.2
  batch     50
  steps     600
}
"#;

/// The accuracy on the points that were held out, and what the network says of the centre and of a corner: logits, a row a point.
pub fn learn() -> Result<(f64, Array2<f32>), Error> {
    // 400 points on a grid, and which of them lie inside.
    let at = |i: usize| i as f32 / 9.5 - 1.0;
    let x = Array2::from_shape_fn((400, 2), |(row, axis)| at(if axis == 0 { row / 20 } else { row % 20 }));
    let y: Array1<i64> = x.rows().into_iter().map(|p| i64::from(p[0] * p[0] + p[1] * p[1] < 0.36)).collect();

    let model = Model::check(TEXT)?;
    let mut trainer = model.train_on(&[("x", (&x).into()), ("y", (&y).into())], &TrainOptions::default())?;
    trainer.run()?;
    let accuracy = trainer.evaluate()?["accuracy"];

    let mut session = model.session(&Options::default())?;
    session.load(&trainer.weights()?)?;
    let points = array![[0.0f32, 0.0], [0.9, 0.9]];
    let logits = session.run(&[(&points).into()])?.remove(0);
    let logits = logits.into_array::<f32>().expect("the signature says f32");
    Ok((accuracy, logits.into_dimensionality().expect("the signature says two axes")))
}

/// Says what it found. `tests/embed.rs` runs this program, too.
pub fn main() -> Result<(), Error> {
    let (accuracy, logits) = learn()?;
    println!("accuracy {:.1} %", 100.0 * accuracy);
    for (point, row) in ["centre", "corner"].iter().zip(logits.rows()) {
        println!("{point}: {}", if row[1] > row[0] { "inside" } else { "outside" });
    }
    Ok(())
}
