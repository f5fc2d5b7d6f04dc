//! Tensors at the library's edge: what a user hands in and gets back.

use ndarray::{ArrayBase, ArrayD, ArrayView, ArrayViewD, Data, Dimension};
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

    /// The element type of a word.
    pub fn of_word(word: &str) -> Option<DType> {
        [DType::F32, DType::F64, DType::I64, DType::Bool].into_iter().find(|dtype| dtype.word() == word)
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

/// A borrowed array of one of the four element types: what a run takes. Any ndarray converts: `(&x).into()`.
#[derive(Clone, Debug)]
pub enum View<'a> {
    /// f32.
    F32(ArrayViewD<'a, f32>),
    /// f64.
    F64(ArrayViewD<'a, f64>),
    /// i64.
    I64(ArrayViewD<'a, i64>),
    /// bool.
    Bool(ArrayViewD<'a, bool>),
}

impl View<'_> {
    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            View::F32(_) => DType::F32,
            View::F64(_) => DType::F64,
            View::I64(_) => DType::I64,
            View::Bool(_) => DType::Bool,
        }
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &[usize] {
        match self {
            View::F32(a) => a.shape(),
            View::F64(a) => a.shape(),
            View::I64(a) => a.shape(),
            View::Bool(a) => a.shape(),
        }
    }

    /// A copy, row-major.
    pub fn to_tensor(&self) -> Tensor {
        match self {
            View::F32(a) => Tensor::F32(a.as_standard_layout().into_owned()),
            View::F64(a) => Tensor::F64(a.as_standard_layout().into_owned()),
            View::I64(a) => Tensor::I64(a.as_standard_layout().into_owned()),
            View::Bool(a) => Tensor::Bool(a.as_standard_layout().into_owned()),
        }
    }
}

impl<'a> From<&'a Tensor> for View<'a> {
    fn from(tensor: &'a Tensor) -> View<'a> {
        match tensor {
            Tensor::F32(a) => View::F32(a.view()),
            Tensor::F64(a) => View::F64(a.view()),
            Tensor::I64(a) => View::I64(a.view()),
            Tensor::Bool(a) => View::Bool(a.view()),
        }
    }
}

/// A Rust type that a tensor's elements can have.
pub trait Element: Copy + 'static {
    /// Which.
    const DTYPE: DType;
    /// A borrowed array of it.
    fn view(array: ArrayViewD<'_, Self>) -> View<'_>;
    /// The array inside a tensor of it.
    fn array(tensor: Tensor) -> Option<ArrayD<Self>>;
}

macro_rules! elements {
    ($($variant:ident $element:ty),*) => {$(
        impl Element for $element {
            const DTYPE: DType = DType::$variant;
            fn view(array: ArrayViewD<'_, Self>) -> View<'_> {
                View::$variant(array)
            }
            fn array(tensor: Tensor) -> Option<ArrayD<Self>> {
                if let Tensor::$variant(array) = tensor { Some(array) } else { None }
            }
        }
    )*};
}

elements! { F32 f32, F64 f64, I64 i64, Bool bool }

impl<'a, T: Element, S: Data<Elem = T>, D: Dimension> From<&'a ArrayBase<S, D>> for View<'a> {
    fn from(array: &'a ArrayBase<S, D>) -> View<'a> {
        T::view(array.view().into_dyn())
    }
}

impl<'a, T: Element, D: Dimension> From<ArrayView<'a, T, D>> for View<'a> {
    fn from(array: ArrayView<'a, T, D>) -> View<'a> {
        T::view(array.into_dyn())
    }
}

/// A tensor of another element type than the one that was asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the tensor holds {found}, not {wanted}")]
pub struct OtherType {
    /// Asked for.
    pub wanted: DType,
    /// There.
    pub found: DType,
}

impl Tensor {
    /// The array inside: `tensor.into_array::<f32>()?`.
    pub fn into_array<T: Element>(self) -> Result<ArrayD<T>, OtherType> {
        let found = self.dtype();
        T::array(self).ok_or(OtherType { wanted: T::DTYPE, found })
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
