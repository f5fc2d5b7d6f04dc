//! Rows in memory: one column an input or target of the model, checked against it.

use super::DataError;
use super::error::clip_shape;
use super::room::{no_room, room};
use crate::tensor::{DType, SliceMut, Tensor};
use ndarray::{ArrayD, Axis, Slice};
use sha2::{Digest, Sha256};

/// An input or target of a model, as the data must fill it.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its element type in this run.
    pub dtype: DType,
    /// The axes after the batch; `None`: a size that the data decide.
    pub axes: Vec<Option<usize>>,
    /// For ids and labels: they must lie in 0 … below - 1.
    pub below: Option<i64>,
    /// A label beside them that the loss does not count.
    pub ignored: Option<i64>,
}

impl Port {
    /// `i64[batch, 3, _]`.
    pub fn show(&self) -> String {
        let axes = self.axes.iter().map(|axis| axis.map_or("_".into(), |size| size.to_string()));
        let axes: Vec<String> = std::iter::once("batch".to_string()).chain(axes).collect();
        format!("{}[{}]", self.dtype, axes.join(", "))
    }

    /// The number of elements of a row, if all its sizes are known.
    pub fn width(&self) -> Option<usize> {
        self.axes.iter().try_fold(1usize, |all, axis| all.checked_mul((*axis)?))
    }
}

/// Rows: for each input and target a tensor whose first axis is the row.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Where they come from, for messages.
    pub file: String,
    /// The model's inputs, then its targets.
    pub columns: Vec<(String, Tensor)>,
    /// The number of rows.
    pub rows: usize,
    /// What the ids of a text or of labels written as words stand for, in order.
    pub vocabulary: Vec<String>,
    /// For a table: the line on which each row begins.
    pub(super) lines: Vec<u64>,
}

impl Dataset {
    /// Checked rows: `found` are tensors in the order of `ports`.
    pub(super) fn new(
        file: &str,
        ports: &[&Port],
        found: Vec<Tensor>,
        lines: Vec<u64>,
        notes: &mut Vec<String>,
    ) -> Result<Dataset, DataError> {
        let mut set = Dataset { file: file.into(), columns: vec![], rows: 0, vocabulary: vec![], lines };
        let shapes: Vec<Option<Vec<usize>>> = found.iter().map(|tensor| Some(tensor.shape().to_vec())).collect();
        set.rows = Dataset::fits(file, ports, &shapes)?;
        for (i, (port, tensor)) in ports.iter().zip(found).enumerate() {
            let tensor = convert(tensor, port.dtype, file, &port.name, notes)?;
            set.columns.push((port.name.clone(), tensor));
            set.check(i, port)?;
        }
        if set.rows == 0 {
            return Err(DataError::new("data::empty", file, "holds no row").help("training needs one at least"));
        }
        Ok(set)
    }

    /// The number of rows, where the shapes (those that are known) are what the ports want.
    pub(super) fn fits(file: &str, ports: &[&Port], shapes: &[Option<Vec<usize>>]) -> Result<usize, DataError> {
        let bad = |reason: String| DataError::new("data::shape", file, reason).help("the first axis is the sample");
        let mut first: Option<(&str, usize)> = None;
        for (port, shape) in ports.iter().zip(shapes) {
            let Some(shape) = shape else { continue };
            let Some((&rows, axes)) = shape.split_first() else {
                return Err(bad(format!("`{}` is a single number, not one for each row", port.name)));
            };
            let fits = axes.len() == port.axes.len()
                && axes.iter().zip(&port.axes).all(|(size, want)| want.is_none_or(|want| want == *size));
            if !fits {
                return Err(bad(format!(
                    "`{}` has shape {}, the model wants {}",
                    port.name,
                    clip_shape(shape),
                    port.show()
                )));
            }
            match first {
                Some((name, all)) if all != rows => {
                    return Err(bad(format!("`{}` has {rows} rows, `{name}` has {all}", port.name)));
                }
                _ => first = Some((&port.name, rows)),
            }
        }
        Ok(first.map_or(0, |(_, rows)| rows))
    }

    /// Numbers finite, ids in range.
    fn check(&self, column: usize, port: &Port) -> Result<(), DataError> {
        let (name, tensor) = &self.columns[column];
        let width = tensor.len() / self.rows.max(1);
        let at = |i: usize| self.place(i / width.max(1));
        let not_finite = match tensor {
            Tensor::F32(a) => a.iter().position(|v| !v.is_finite()),
            Tensor::F64(a) => a.iter().position(|v| !v.is_finite()),
            Tensor::I64(_) | Tensor::Bool(_) => None,
        };
        if let Some(i) = not_finite {
            let error = DataError::new("data::value", &self.file, format!("`{name}` holds a value that is not finite"));
            return Err(error.at(at(i)).help("remove the row or fill the value in"));
        }
        let (Tensor::I64(ids), Some(below)) = (tensor, port.below) else {
            return Ok(());
        };
        let fits = |id: &i64| (0..below).contains(id) || Some(*id) == port.ignored;
        match ids.iter().enumerate().find(|(_, id)| !fits(id)) {
            None => Ok(()),
            Some((i, id)) => {
                let reason = format!("`{name}` is {id}, the model knows 0 … {}", below - 1);
                let help = match *id {
                    _ if port.ignored.is_none() => "ids count from 0: a larger table knows more of them".to_string(),
                    ..0 => format!(
                        "labels count from 0; a row that has none may say {}, which the loss leaves out",
                        port.ignored.unwrap_or(-100)
                    ),
                    _ => format!(
                        "labels count from 0: number them so, or give the model {} classes",
                        id.saturating_add(1)
                    ),
                };
                Err(DataError::new("data::label", &self.file, reason).at(at(i)).help(help))
            }
        }
    }

    /// Where a row stands: `line 12` of a table, else `row 11` counted from 1.
    pub fn place(&self, row: usize) -> String {
        match self.lines.get(row) {
            Some(line) => format!("line {line}"),
            None => format!("row {}", row + 1),
        }
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&Tensor> {
        self.columns.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor)
    }

    /// These rows of a column, in this order, as a tensor.
    pub fn gather(&self, column: usize, rows: &[u32]) -> Tensor {
        let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
        match &self.columns[column].1 {
            Tensor::F32(a) => Tensor::F32(a.select(Axis(0), &rows)),
            Tensor::F64(a) => Tensor::F64(a.select(Axis(0), &rows)),
            Tensor::I64(a) => Tensor::I64(a.select(Axis(0), &rows)),
            Tensor::Bool(a) => Tensor::Bool(a.select(Axis(0), &rows)),
        }
    }

    /// Copies these rows of a column into a dense buffer of its type: the step's way, without allocation.
    ///
    /// False if the buffer's type or length is another one.
    pub fn copy_rows(&self, column: usize, rows: &[u32], out: SliceMut<'_>) -> bool {
        match (&self.columns[column].1, out) {
            (Tensor::F32(a), SliceMut::F32(out)) => copy(a, rows, out, |x| x),
            (Tensor::F64(a), SliceMut::F64(out)) => copy(a, rows, out, |x| x),
            (Tensor::I64(a), SliceMut::I64(out)) => copy(a, rows, out, |x| x),
            (Tensor::Bool(a), SliceMut::Bool(out)) => copy(a, rows, out, u8::from),
            _ => false,
        }
    }

    /// These rows as a set of their own.
    pub fn subset(&self, rows: &[u32]) -> Dataset {
        Dataset {
            file: self.file.clone(),
            columns: (0..self.columns.len()).map(|i| (self.columns[i].0.clone(), self.gather(i, rows))).collect(),
            rows: rows.len(),
            vocabulary: self.vocabulary.clone(),
            lines: rows.iter().filter_map(|&row| self.lines.get(row as usize).copied()).collect(),
        }
    }

    /// What its columns take in memory.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(|(_, tensor)| tensor.len() * tensor.dtype().size()).sum()
    }

    /// Splits a share off for validation: rows drawn by the seed, both parts in the order of the file.
    pub fn hold_out(&self, share: f64, seed: u64) -> Result<(Dataset, Dataset), DataError> {
        let held = (self.rows as f64 * share).round() as usize;
        if held == 0 || held >= self.rows {
            let reason = format!("a share of {share} of {} rows leaves one part empty", self.rows);
            return Err(DataError::new("data::split", &self.file, reason).help("`valid 0.2` holds a fifth out"));
        }
        if !room(self.bytes() + 16 * self.rows) {
            return Err(no_room(&self.file, self.bytes()));
        }
        let order = super::permutation(self.rows, seed, HOLD_OUT);
        let (mut valid, mut train) = (order[..held].to_vec(), order[held..].to_vec());
        valid.sort_unstable();
        train.sort_unstable();
        Ok((self.subset(&train), self.subset(&valid)))
    }

    /// A hash of names, shapes and values: a resume on other data is refused by it.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (name, tensor) in &self.columns {
            hash.update(format!("{name}:{}{:?};", tensor.dtype(), tensor.shape()));
            match tensor {
                Tensor::F32(a) => hash_all(&mut hash, a.iter().map(|x| x.to_le_bytes())),
                Tensor::F64(a) => hash_all(&mut hash, a.iter().map(|x| x.to_le_bytes())),
                Tensor::I64(a) => hash_all(&mut hash, a.iter().map(|x| x.to_le_bytes())),
                Tensor::Bool(a) => hash_all(&mut hash, a.iter().map(|&x| [u8::from(x)])),
            }
        }
        hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The rows of a slice of a column, without gathering: for evaluation in the order of the file.
    pub fn slice(&self, column: usize, from: usize, to: usize) -> Tensor {
        let slice = Slice::from(from..to.min(self.rows));
        match &self.columns[column].1 {
            Tensor::F32(a) => Tensor::F32(a.slice_axis(Axis(0), slice).to_owned()),
            Tensor::F64(a) => Tensor::F64(a.slice_axis(Axis(0), slice).to_owned()),
            Tensor::I64(a) => Tensor::I64(a.slice_axis(Axis(0), slice).to_owned()),
            Tensor::Bool(a) => Tensor::Bool(a.slice_axis(Axis(0), slice).to_owned()),
        }
    }
}

/// Hashes elements, a few thousand at a time.
fn hash_all<const N: usize>(hash: &mut Sha256, elements: impl Iterator<Item = [u8; N]>) {
    let mut part = Vec::with_capacity(4096 * N);
    for element in elements {
        part.extend(element);
        if part.len() == 4096 * N {
            hash.update(&part);
            part.clear();
        }
    }
    hash.update(&part);
}

/// Copies rows of a dense array, one after the other; false if they do not fill `out`.
fn copy<S: Copy, T>(from: &ArrayD<S>, rows: &[u32], out: &mut [T], to: impl Fn(S) -> T) -> bool {
    let (Some(all), Some(&count)) = (from.as_slice(), from.shape().first()) else { return false };
    let width = all.len().checked_div(count).unwrap_or(0);
    if out.len() != rows.len() * width {
        return false;
    }
    if width > 0 {
        for (target, &row) in out.chunks_exact_mut(width).zip(rows) {
            let Some(source) = all.get(row as usize * width..(row as usize + 1) * width) else { return false };
            target.iter_mut().zip(source).for_each(|(target, &value)| *target = to(value));
        }
    }
    true
}

/// The stream of the permutation that holds rows out: no epoch has this number.
const HOLD_OUT: u64 = u64::MAX;

/// A tensor of another float width; anything else is never cast.
///
/// Narrowing is noted once a file; a value that f32 cannot hold is refused.
pub fn convert(
    tensor: Tensor,
    dtype: DType,
    file: &str,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<Tensor, DataError> {
    match (tensor, dtype) {
        (tensor, dtype) if tensor.dtype() == dtype => Ok(tensor),
        (Tensor::F32(a), DType::F64) if !room(8 * a.len()) => Err(no_room(file, 8 * a.len())),
        (Tensor::F64(a), DType::F32) if !room(4 * a.len()) => Err(no_room(file, 4 * a.len())),
        (Tensor::F32(a), DType::F64) => Ok(Tensor::F64(a.mapv(f64::from))),
        (Tensor::F64(a), DType::F32) => {
            if let Some(value) = a.iter().find(|v| v.is_finite() && !(**v as f32).is_finite()) {
                let reason = format!("`{name}` holds {value}, which f32 cannot hold");
                return Err(
                    DataError::new("data::value", file, reason).help("run with --dtype f64, or scale the values")
                );
            }
            let note = format!("{file}: f64 was narrowed to f32");
            if !notes.contains(&note) {
                notes.push(note);
            }
            Ok(Tensor::F32(a.mapv(|v| v as f32)))
        }
        (tensor, dtype) => {
            let found = tensor.dtype();
            let reason = format!("`{name}` holds {found}, the model wants {dtype}: nothing is cast silently");
            let numpy = match dtype {
                DType::F32 => "float32",
                DType::F64 => "float64",
                DType::I64 => "int64",
                DType::Bool => "bool",
            };
            let help = format!("save it with .astype(\"{numpy}\"), or declare `{name}: {found}[…]`");
            Err(DataError::new("data::dtype", file, reason).help(help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array;

    pub fn port(name: &str, dtype: DType, axes: &[usize], below: Option<i64>) -> Port {
        Port { name: name.into(), dtype, axes: axes.iter().map(|&size| Some(size)).collect(), below, ignored: None }
    }

    fn set(x: Vec<f32>, y: Vec<i64>) -> Result<Dataset, DataError> {
        let (px, py) = (port("x", DType::F32, &[2], None), port("y", DType::I64, &[], Some(3)));
        let rows = x.len() / 2;
        let x = Tensor::F32(Array::from_shape_vec((rows, 2), x).expect("pairs").into_dyn());
        Dataset::new("d.npz", &[&px, &py], vec![x, Tensor::I64(Array::from(y).into_dyn())], vec![], &mut vec![])
    }

    fn small() -> Dataset {
        set((0..20).map(|v| v as f32).collect(), vec![0, 1, 2, 0, 1, 2, 0, 1, 2, 0]).expect("good rows")
    }

    #[test]
    fn rows_are_gathered_and_copied() {
        let set = small();
        assert_eq!(set.gather(0, &[3, 1]), Tensor::F32(ndarray::array![[6.0, 7.0], [2.0, 3.0]].into_dyn()));
        let (mut x, mut y) = ([0.0; 4], [0; 2]);
        assert!(set.copy_rows(0, &[3, 1], SliceMut::F32(&mut x)) && set.copy_rows(1, &[2, 0], SliceMut::I64(&mut y)));
        assert_eq!((x, y), ([6.0, 7.0, 2.0, 3.0], [2, 0]));
        assert!(!set.copy_rows(0, &[3], SliceMut::F32(&mut x)), "a buffer of another length");
        assert!(!set.copy_rows(0, &[99, 1], SliceMut::F32(&mut x)), "a row that is not there");
        assert!(!set.copy_rows(1, &[1, 2], SliceMut::F32(&mut x[..2])), "a buffer of another type");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let said = |x: Vec<f32>, y: Vec<i64>| set(x, y).expect_err("refused").to_string();
        assert!(said(vec![0.0; 4], vec![0, 3]).contains("row 2: `y` is 3, the model knows 0 … 2"));
        assert!(said(vec![0.0; 4], vec![-1, 0]).contains("row 1: `y` is -1"));
        assert!(said(vec![0.0; 4], vec![0; 3]).contains("`y` has 3 rows, `x` has 2"));
        assert!(
            said(vec![0.0, 0.0, 1.0, f32::NAN], vec![0, 1]).contains("row 2: `x` holds a value that is not finite")
        );
        assert!(said(vec![], vec![]).contains("holds no row"));
    }

    #[test]
    fn floats_change_width_and_nothing_else_is_cast() {
        let mut notes = vec![];
        let wide = Tensor::F64(ndarray::array![0.5, f64::INFINITY].into_dyn());
        assert_eq!(convert(wide, DType::F32, "f", "x", &mut notes).expect("narrowed").dtype(), DType::F32);
        assert_eq!(notes.len(), 1);
        let huge = Tensor::F64(ndarray::array![1e300].into_dyn());
        assert!(
            convert(huge, DType::F32, "f", "x", &mut notes)
                .expect_err("too large")
                .to_string()
                .contains("f32 cannot hold")
        );
        let whole = Tensor::I64(ndarray::array![1].into_dyn());
        let said = convert(whole, DType::F32, "f", "x", &mut notes).expect_err("no cast").to_string();
        assert!(said.contains("i64") && said.contains("astype(\"float32\")"), "{said}");
    }

    #[test]
    fn a_share_is_held_out_by_the_seed() {
        let set = small();
        let (train, valid) = set.hold_out(0.3, 1).expect("both parts");
        assert_eq!((train.rows, valid.rows), (7, 3));
        let mut all: Vec<f32> = vec![];
        for part in [&train, &valid] {
            let Tensor::F32(x) = &part.columns[0].1 else { panic!("f32") };
            all.extend(x.iter());
        }
        all.sort_by(f32::total_cmp);
        assert_eq!(all, (0..20).map(|v| v as f32).collect::<Vec<_>>());
        assert_eq!(set.hold_out(0.3, 1).expect("again").1, valid);
        assert_ne!(set.hold_out(0.3, 2).expect("another seed").1, valid);
        assert!(set.hold_out(0.01, 1).is_err() && set.hold_out(1.0, 1).is_err());
    }

    #[test]
    fn another_value_is_another_fingerprint() {
        let mut other = small();
        if let Tensor::I64(y) = &mut other.columns[1].1 {
            y[3] = 1;
        }
        assert_eq!(small().fingerprint(), small().fingerprint());
        assert_ne!(small().fingerprint(), other.fingerprint());
        assert_eq!(small().fingerprint().len(), 32);
    }
}
