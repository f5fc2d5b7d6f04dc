//! Types: an element type and a shape, interned.

use super::dim::{Dim, Dims};
use crate::tensor::DType;
use indexmap::IndexSet;

/// An interned list of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShapeId(u32);

/// What a value is: element type and shape. In a structured graph every float is `F32`; `expand` widens for f64 runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Type {
    /// The element type.
    pub dtype: DType,
    /// The shape.
    pub shape: ShapeId,
}

/// The interner of dims and shapes.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    /// The sizes.
    pub dims: Dims,
    shapes: IndexSet<Box<[Dim]>>,
}

impl Shapes {
    /// Interns a shape.
    pub fn shape(&mut self, dims: &[Dim]) -> ShapeId {
        if let Some(id) = self.shapes.get_index_of(dims) {
            return ShapeId(id as u32);
        }
        ShapeId(self.shapes.insert_full(dims.into()).0 as u32)
    }

    /// A type of these sizes.
    pub fn ty(&mut self, dtype: DType, dims: &[Dim]) -> Type {
        Type { dtype, shape: self.shape(dims) }
    }

    /// The sizes of a shape.
    pub fn of(&self, shape: ShapeId) -> &[Dim] {
        &self.shapes[shape.0 as usize]
    }

    /// The sizes of a type.
    pub fn dims(&self, ty: Type) -> &[Dim] {
        self.of(ty.shape)
    }

    /// The number of axes.
    pub fn rank(&self, ty: Type) -> usize {
        self.dims(ty).len()
    }

    /// The number of elements.
    pub fn count(&mut self, ty: Type) -> Dim {
        let dims = self.dims(ty).to_vec();
        self.dims.product(&dims)
    }

    /// As a user writes it: `f32[batch, 4 * d]`.
    pub fn show(&self, ty: Type) -> String {
        format!("{}{}", ty.dtype, self.show_dims(self.dims(ty)))
    }

    /// `[batch, 4 * d]`.
    pub fn show_dims(&self, dims: &[Dim]) -> String {
        format!("[{}]", dims.iter().map(|&d| self.dims.show(d)).collect::<Vec<_>>().join(", "))
    }

    /// The numbers of a shape under a binding.
    pub fn eval(&self, shape: ShapeId, bind: &dyn Fn(&str) -> Option<i64>) -> Option<Vec<usize>> {
        self.of(shape).iter().map(|&d| usize::try_from(self.dims.eval(d, bind)?).ok()).collect()
    }
}
