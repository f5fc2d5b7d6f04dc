//! Formulas: arithmetic on [`Var`], and the words that expansions and gradients are written in.

use super::{arithmetic, movement, reduce, source};
use crate::ir::attr::Attr;
use crate::ir::build::{Var, ints_attr, shape_attr};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::OpDef;
use crate::tensor::DType;
use std::ops::{Add, Div, Mul, Neg, Sub};

macro_rules! infix {
    ($trait:ident, $method:ident, $op:ident) => {
        impl<'g> $trait for Var<'g> {
            type Output = Var<'g>;
            fn $method(self, other: Var<'g>) -> Var<'g> {
                self.with(other, &arithmetic::$op, &[])
            }
        }
        impl<'g> $trait<f64> for Var<'g> {
            type Output = Var<'g>;
            fn $method(self, value: f64) -> Var<'g> {
                self.then(&arithmetic::$op, &[("value", Attr::Float(value))])
            }
        }
        impl<'g> $trait<Var<'g>> for f64 {
            type Output = Var<'g>;
            fn $method(self, other: Var<'g>) -> Var<'g> {
                other.then(&arithmetic::$op, &[("value", Attr::Float(self)), ("number_first", Attr::Bool(true))])
            }
        }
    };
}
infix!(Add, add, MAP_ADD);
infix!(Sub, sub, MAP_SUB);
infix!(Mul, mul, MAP_MUL);
infix!(Div, div, MAP_DIV);

impl<'g> Neg for Var<'g> {
    type Output = Var<'g>;
    fn neg(self) -> Var<'g> {
        self.then(&arithmetic::NEG, &[])
    }
}

impl<'g> Var<'g> {
    /// The product of some sizes.
    pub fn product(self, dims: &[Dim]) -> Dim {
        self.builder.graph.borrow_mut().shapes.dims.product(dims)
    }

    /// Other axes, same elements in the same order.
    pub fn reshape(self, dims: &[Dim]) -> Var<'g> {
        if self.dims() == dims { self } else { self.then(&movement::VIEW_RESHAPE, &[("shape", shape_attr(dims))]) }
    }

    /// All axes from `from` on folded into one.
    pub fn fold_from(self, from: usize) -> Var<'g> {
        let mut dims = self.dims();
        let tail = dims.split_off(from);
        dims.push(self.product(&tail));
        self.reshape(&dims)
    }

    /// All axes but the last folded into one.
    pub fn as_rows(self) -> Var<'g> {
        let dims = self.dims();
        let (last, lead) = dims.split_last().map_or((Dims::ONE, &[][..]), |(last, lead)| (*last, lead));
        let rows = self.product(lead);
        self.reshape(&[rows, last])
    }

    /// Axes in another order.
    pub fn permute(self, axes: &[usize]) -> Var<'g> {
        if axes.iter().copied().eq(0..axes.len()) {
            return self;
        }
        self.then(&movement::VIEW_PERMUTE, &[("axes", ints_attr(axes.iter().copied()))])
    }

    /// Two axes exchanged.
    pub fn swap(self, a: usize, b: usize) -> Var<'g> {
        let mut axes: Vec<usize> = (0..self.rank()).collect();
        axes.swap(a, b);
        self.permute(&axes)
    }

    /// The last two axes exchanged.
    pub fn t(self) -> Var<'g> {
        let rank = self.rank();
        self.swap(rank - 2, rank - 1)
    }

    /// This axis moved to the end (and back by `last_to`).
    pub fn axis_last(self, axis: usize) -> Var<'g> {
        let rank = self.rank();
        let axes: Vec<usize> = (0..rank).filter(|&i| i != axis).chain([axis]).collect();
        self.permute(&axes)
    }

    /// The last axis moved to this place.
    pub fn last_to(self, axis: usize) -> Var<'g> {
        let rank = self.rank();
        let mut axes: Vec<usize> = (0..rank - 1).collect();
        axes.insert(axis, rank - 1);
        self.permute(&axes)
    }

    /// Repeated along the new axes `axes` of `shape` (stride 0).
    pub fn spread(self, shape: &[Dim], axes: &[usize]) -> Var<'g> {
        if axes.is_empty() {
            return self;
        }
        let given = [("shape", shape_attr(shape)), ("axes", ints_attr(axes.iter().copied()))];
        self.then(&movement::VIEW_SPREAD, &given)
    }

    /// Summed over axes.
    pub fn sum(self, axes: &[usize], keep: bool) -> Var<'g> {
        if axes.is_empty() {
            return self;
        }
        self.then(&reduce::REDUCE_SUM, &[("axes", ints_attr(axes.iter().copied())), ("keep", Attr::Bool(keep))])
    }

    /// Summed over everything.
    pub fn sum_all(self) -> Var<'g> {
        let axes: Vec<usize> = (0..self.rank()).collect();
        self.sum(&axes, false)
    }

    /// A size as a scalar of this value's element type.
    pub fn size(self, dim: Dim) -> Var<'g> {
        let attrs = crate::ir::attr::Attrs::with(source::SIZE.attrs, &[("value", Attr::Dim(dim))]);
        let size = self.builder.apply(&source::SIZE, attrs, &[])[0];
        size.to(self.dtype())
    }

    /// Cast to an element type, where it is not of it.
    pub fn to(self, dtype: DType) -> Var<'g> {
        if self.dtype() == dtype {
            return self;
        }
        self.then(&arithmetic::MAP_CAST, &[("dtype", Attr::Str(dtype.word().into()))])
    }

    /// The mean over axes: the sum, divided by the number.
    pub fn mean(self, axes: &[usize], keep: bool) -> Var<'g> {
        let dims = self.dims();
        let count: Vec<Dim> = axes.iter().map(|&axis| dims[axis]).collect();
        let count = self.product(&count);
        self.sum(axes, keep) / self.size(count)
    }

    /// A one-operand operator with default attributes.
    pub fn op(self, op: &'static OpDef) -> Var<'g> {
        self.then(op, &[])
    }
}
