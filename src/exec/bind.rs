//! The sizes of a run, from the shapes of what is handed in.

use crate::ir::graph::{Graph, Source};
use crate::ir::shape::{Shapes, Type};
use crate::tensor::DType;
use indexmap::IndexMap;

/// Sizes of dims, by name.
pub type Binding = IndexMap<String, i64>;

/// Why inputs do not fit a signature; each names the input and what was meant.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BindError {
    /// An input is not given.
    #[error("the input `{name}` ({wanted}) is not given")]
    Missing {
        /// Which.
        name: String,
        /// Its type.
        wanted: String,
    },
    /// There is no such input.
    #[error("there is no input `{name}`; the inputs are {known}")]
    Unknown {
        /// As given.
        name: String,
        /// The inputs that there are.
        known: String,
    },
    /// The elements are of the wrong type.
    #[error("the input `{name}` is {wanted}, and what is given holds {found}")]
    Elements {
        /// Which.
        name: String,
        /// Its type.
        wanted: String,
        /// What was found.
        found: DType,
    },
    /// The number of axes is wrong.
    #[error("the input `{name}` is {wanted}, and what is given has the shape {found:?}")]
    Rank {
        /// Which.
        name: String,
        /// Its type.
        wanted: String,
        /// What was found.
        found: Vec<usize>,
    },
    /// A fixed size is wrong.
    #[error("axis {axis} of the input `{name}` ({wanted}) is {size}, and what is given has {found}")]
    Size {
        /// Which.
        name: String,
        /// Its type.
        wanted: String,
        /// Which axis.
        axis: usize,
        /// What it must be.
        size: String,
        /// What was found.
        found: usize,
    },
    /// One dim has two sizes.
    #[error("`{dim}` is {first} in `{from}` and {second} in `{name}`")]
    Two {
        /// Which dim.
        dim: String,
        /// Its first size.
        first: i64,
        /// Where that came from.
        from: String,
        /// Its second size.
        second: i64,
        /// Where that came from.
        name: String,
    },
}

/// What was handed in: name, elements, shape.
pub type Given<'a> = (&'a str, DType, &'a [usize]);

/// The inputs of a graph, in order.
pub fn inputs(graph: &Graph) -> Vec<(&str, Type)> {
    let sources = graph.sources.iter().filter_map(|(node, source)| match source {
        Source::Input(name) => Some((name.as_str(), graph.outs(*node)[0])),
        _ => None,
    });
    sources.collect()
}

/// Binds the dims of a graph's inputs; sizes that are known beforehand stand in `known`.
pub fn bind(graph: &Graph, given: &[Given<'_>], known: &Binding) -> Result<Binding, BindError> {
    bind_types(&graph.shapes, &inputs(graph), given, known)
}

/// The same for any list of named types.
pub fn bind_types(
    shapes: &Shapes,
    wanted: &[(&str, Type)],
    given: &[Given<'_>],
    known: &Binding,
) -> Result<Binding, BindError> {
    let names = || wanted.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if let Some((name, ..)) = given.iter().find(|(name, ..)| wanted.iter().all(|(known, _)| known != name)) {
        return Err(BindError::Unknown { name: (*name).into(), known: names() });
    }
    let mut binding = known.clone();
    let mut origin: IndexMap<String, String> = known.keys().map(|dim| (dim.clone(), "the settings".into())).collect();
    for pass in 0..2 {
        for (name, ty) in wanted {
            let found = given.iter().find(|(known, ..)| known == name);
            let (_, dtype, shape) =
                found.ok_or_else(|| BindError::Missing { name: (*name).into(), wanted: shapes.show(*ty) })?;
            one(shapes, (name, *ty), (*dtype, shape), pass == 1, &mut binding, &mut origin)?;
        }
    }
    Ok(binding)
}

fn one(
    shapes: &Shapes,
    (name, ty): (&str, Type),
    (dtype, shape): (DType, &[usize]),
    check: bool,
    binding: &mut Binding,
    origin: &mut IndexMap<String, String>,
) -> Result<(), BindError> {
    let wanted = shapes.show(ty);
    if dtype != ty.dtype && !(dtype.is_float() && ty.dtype.is_float()) {
        return Err(BindError::Elements { name: name.into(), wanted, found: dtype });
    }
    let dims = shapes.dims(ty);
    if dims.len() != shape.len() {
        return Err(BindError::Rank { name: name.into(), wanted, found: shape.into() });
    }
    for (axis, (&dim, &size)) in dims.iter().zip(shape).enumerate() {
        let symbol = shapes.dims.show(dim);
        let symbols = shapes.dims.symbols(dim);
        if symbols.len() == 1 && symbols[0] == symbol {
            match binding.get(&symbol) {
                Some(&first) if first != size as i64 => {
                    let from = origin.get(&symbol).cloned().unwrap_or_default();
                    return Err(BindError::Two { dim: symbol, first, from, second: size as i64, name: name.into() });
                }
                Some(_) => {}
                None => {
                    origin.insert(symbol.clone(), name.into());
                    binding.insert(symbol, size as i64);
                }
            }
        } else if check || symbols.is_empty() {
            let value = shapes.dims.eval(dim, &|symbol| binding.get(symbol).copied());
            if value.is_some_and(|value| value != size as i64) {
                let shown = match (value, symbols.is_empty()) {
                    (Some(value), false) => format!("{symbol} = {value}"),
                    _ => symbol,
                };
                return Err(BindError::Size { name: name.into(), wanted, axis, size: shown, found: size });
            }
        }
    }
    Ok(())
}
