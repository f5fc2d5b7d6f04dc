//! Some axes of a view, folded where they can be, and their offsets in row-major order.

use super::call::MAX_RANK;

/// Up to eight axes with sizes and strides. Axes of size 1 are dropped, neighbours that lie like one are one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Axes {
    /// How many are left.
    pub rank: usize,
    /// Their sizes.
    pub sizes: [usize; MAX_RANK],
    /// Their strides, in elements.
    pub strides: [isize; MAX_RANK],
}

impl Axes {
    /// Adds an axis inside the others.
    pub fn push(&mut self, size: usize, stride: isize) {
        if size == 1 {
            return;
        }
        if let Some(last) = self.rank.checked_sub(1)
            && self.strides[last] == stride * size as isize
        {
            self.sizes[last] *= size;
            self.strides[last] = stride;
            return;
        }
        self.sizes[self.rank] = size;
        self.strides[self.rank] = stride;
        self.rank += 1;
    }

    /// The innermost axis (size 1, stride 1 if there is none), and the axes around it.
    pub fn split_last(mut self) -> (Axes, usize, isize) {
        match self.rank.checked_sub(1) {
            None => (self, 1, 1),
            Some(last) => {
                self.rank = last;
                (self, self.sizes[last], self.strides[last])
            }
        }
    }

    /// The number of index combinations.
    pub fn count(&self) -> usize {
        self.sizes[..self.rank].iter().product()
    }

    /// The offset of the combination with this number in row-major order.
    pub fn offset(&self, mut number: usize) -> isize {
        if self.rank == 1 {
            return number as isize * self.strides[0];
        }
        let mut offset = 0;
        for axis in (0..self.rank).rev() {
            offset += (number % self.sizes[axis]) as isize * self.strides[axis];
            number /= self.sizes[axis];
        }
        offset
    }

    /// All offsets in row-major order.
    pub fn walk(&self) -> Walk {
        Walk { axes: *self, index: [0; MAX_RANK], offset: 0, left: self.count() }
    }
}

/// The offsets of axes in row-major order.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    axes: Axes,
    index: [usize; MAX_RANK],
    offset: isize,
    left: usize,
}

impl Iterator for Walk {
    type Item = isize;

    #[inline(always)]
    fn next(&mut self) -> Option<isize> {
        self.left = self.left.checked_sub(1)?;
        let here = self.offset;
        let mut axis = self.axes.rank;
        while axis > 0 {
            axis -= 1;
            self.index[axis] += 1;
            self.offset += self.axes.strides[axis];
            if self.index[axis] < self.axes.sizes[axis] {
                break;
            }
            self.offset -= self.axes.sizes[axis] as isize * self.axes.strides[axis];
            self.index[axis] = 0;
        }
        Some(here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_fold_and_walk() {
        let mut axes = Axes::default();
        for (size, stride) in [(2, 60), (1, 7), (3, 20), (4, 1), (2, 0), (3, 0)] {
            axes.push(size, stride);
        }
        assert_eq!((axes.rank, axes.count()), (3, 144));
        assert_eq!((axes.sizes[0], axes.strides[0]), (6, 20));
        let walked: Vec<isize> = axes.walk().collect();
        assert_eq!(walked.len(), 144);
        assert!(walked.iter().enumerate().all(|(i, &offset)| axes.offset(i) == offset));
        assert_eq!(&walked[..8], &[0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(Axes::default().walk().collect::<Vec<_>>(), [0]);
    }
}
