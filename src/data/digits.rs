//! scikit-learn's digits, embedded: 1,797 images of 8×8 pixels in ten classes (`digits/README.md`).

use super::{DataError, Dataset, Port, idx};
use crate::tensor::{DType, Tensor};
use ndarray::{Array, IxDyn};

const PACKED: &[u8] = include_bytes!("digits/digits.gz");
const ROWS: usize = 1797;
const PIXELS: usize = 64;

/// All digits: pixels as 0 … 1, in the shape that the input has (`[batch, 64]`, `[batch, 8, 8]`, `[batch, 1, 8, 8]`).
pub fn all(inputs: &[Port], targets: &[Port]) -> Result<Dataset, DataError> {
    let bad = |reason: String| DataError::new("data::shape", "digits", reason);
    let ([input], [] | [_]) = (inputs, targets) else {
        let (inputs, targets) = (inputs.len(), targets.len());
        return Err(bad(format!("has one input and one target, the model wants {inputs} and {targets}")));
    };
    let shape = match input.axes[..] {
        [Some(64)] | [None] => vec![ROWS, 64],
        [Some(8), Some(8)] => vec![ROWS, 8, 8],
        [Some(1), Some(8), Some(8)] => vec![ROWS, 1, 8, 8],
        _ => {
            let reason = format!("an image has 8x8 pixels, `{}` is {}", input.name, input.show());
            return Err(bad(reason).help("declare f32[batch, 64], f32[batch, 8, 8] or f32[batch, 1, 8, 8]"));
        }
    };
    let bytes = idx::gunzip(PACKED, "digits")?;
    let (pixels, labels) = bytes.split_at_checked(ROWS * PIXELS).ok_or_else(|| bad("is damaged".into()))?;
    let pixels = pixels.iter().map(|&pixel| f32::from(pixel) / 16.0).collect();
    let pixels = Array::from_shape_vec(IxDyn(&shape), pixels).map_err(|error| bad(error.to_string()))?;
    let image = match input.dtype {
        DType::F64 => Tensor::F64(pixels.mapv(f64::from)),
        _ => Tensor::F32(pixels),
    };
    let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
    let mut found = vec![image];
    if !targets.is_empty() {
        found.push(Tensor::I64(Array::from(labels).into_dyn()));
    }
    let ports: Vec<&Port> = inputs.iter().chain(targets).collect();
    Dataset::new("digits", &ports, found, vec![], &mut vec![])
}

/// The rows for training, and the fifth that is held out: of every class each fifth image, in scikit-learn's order.
pub fn split() -> Result<(Vec<u32>, Vec<u32>), DataError> {
    let bytes = idx::gunzip(PACKED, "digits")?;
    let mut seen = [0u32; 10];
    let (mut train, mut held) = (vec![], vec![]);
    for (row, &label) in bytes.iter().skip(ROWS * PIXELS).enumerate() {
        let count = &mut seen[usize::from(label) % 10];
        *count += 1;
        if count.is_multiple_of(5) { held.push(row as u32) } else { train.push(row as u32) }
    }
    Ok((train, held))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(axes: &[usize]) -> ([Port; 1], [Port; 1]) {
        let axes = axes.iter().map(|&size| Some(size)).collect();
        let x = Port { name: "image".into(), dtype: DType::F32, axes, below: None, ignored: None };
        ([x], [Port { name: "y".into(), dtype: DType::I64, axes: vec![], below: Some(10), ignored: None }])
    }

    #[test]
    fn the_images_are_scikit_learns() {
        let (x, y) = ports(&[64]);
        let set = all(&x, &y).expect("the digits");
        assert_eq!(set.rows, 1797);
        let (Some(Tensor::F32(image)), Some(Tensor::I64(label))) = (set.column("image"), set.column("y")) else {
            panic!("two columns")
        };
        assert_eq!(image.iter().map(|v| f64::from(*v) * 16.0).sum::<f64>(), 561_718.0);
        assert_eq!(image.iter().take(5).copied().collect::<Vec<_>>(), [0.0, 0.0, 5.0 / 16.0, 13.0 / 16.0, 9.0 / 16.0]);
        let counts: Vec<usize> = (0..10).map(|digit| label.iter().filter(|l| **l == digit).count()).collect();
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn shapes_that_an_image_has() {
        for axes in [&[8, 8][..], &[1, 8, 8]] {
            let (x, y) = ports(axes);
            assert_eq!(all(&x, &y).expect("the digits").columns[0].1.shape()[1..], *axes);
        }
        let (x, y) = ports(&[28, 28]);
        assert!(all(&x, &y).expect_err("too large").to_string().contains("f32[batch, 1, 8, 8]"));
    }

    #[test]
    fn a_fifth_of_each_class_is_held_out() {
        let (train, held) = split().expect("the digits");
        assert_eq!((train.len(), held.len()), (1442, 355));
        let (x, y) = ports(&[64]);
        let held = all(&x, &y).expect("the digits").subset(&held);
        let Some(Tensor::I64(label)) = held.column("y") else { panic!("labels") };
        let counts: Vec<usize> = (0..10).map(|digit| label.iter().filter(|l| **l == digit).count()).collect();
        assert_eq!(counts, [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]);
    }
}
