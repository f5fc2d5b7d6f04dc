//! What leaves the program for others to read: weights, under PyTorch's names and layouts.

pub mod braille;
pub mod chart;
pub mod picture;
pub mod structured;
pub mod summary;
pub mod weights;
