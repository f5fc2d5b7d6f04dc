//! Tensors at the library's edge: what a user hands in and gets back.

use ndarray::ArrayD;
use serde::Serialize;

/// The type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 32-bit float: what `f32` means in a signature, unless the run is in f64.
    F32,
    /// 64-bit float: every float under `--dtype f64`.
    F64,
    /// 64-bit integer: ids, labels, indices.
    I64,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F32 => 4,
            DType::F64 | DType::I64 => 8,
            DType::Bool => 1,
        }
    }

    /// The word in a `.model` file.
    pub fn word(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I64 => "i64",
            DType::Bool => "bool",
        }
    }

    /// Whether it is a float of either width.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// An array of one of the four element types, row-major and owned.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor {
    /// f32.
    F32(ArrayD<f32>),
    /// f64.
    F64(ArrayD<f64>),
    /// i64.
    I64(ArrayD<i64>),
    /// bool.
    Bool(ArrayD<bool>),
}

impl Tensor {
    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            Tensor::F32(_) => DType::F32,
            Tensor::F64(_) => DType::F64,
            Tensor::I64(_) => DType::I64,
            Tensor::Bool(_) => DType::Bool,
        }
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &[usize] {
        match self {
            Tensor::F32(a) => a.shape(),
            Tensor::F64(a) => a.shape(),
            Tensor::I64(a) => a.shape(),
            Tensor::Bool(a) => a.shape(),
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A dense buffer to fill in place.
#[derive(Debug)]
pub enum SliceMut<'a> {
    /// f32.
    F32(&'a mut [f32]),
    /// f64.
    F64(&'a mut [f64]),
    /// i64.
    I64(&'a mut [i64]),
    /// bool: a byte each, 0 or 1.
    Bool(&'a mut [u8]),
}
