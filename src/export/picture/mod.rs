//! Pictures of a model: SVG laid out here, Graphviz and Mermaid for whoever lays out himself.
//!
//! ```text
//!   structured graph --scene--> boxes and edges, frame in frame --arrange--> series and parallels
//!                                     |                                          | place
//!                                     v                                          v
//!                                dot, mermaid                        coordinates --svg--> text
//! ```
//!
//! Repeats stay folded: one frame with `× 12`, or a frame for each run of equal copies. Nothing here knows an operator
//! by name, and the same model gives the same bytes.

mod arrange;
mod dot;
mod measure;
mod mermaid;
mod place;
mod route;
mod scene;
mod shapes;
mod svg;

use crate::ir::graph::Graph;
use crate::ir::structured::Structured;

/// A model as an SVG picture: well-formed, in light and in dark, with nothing fetched from outside.
pub fn svg(model: &Structured) -> String {
    svg::draw(&model.name, &place::place(&scene::of_model(model)))
}

/// A model as a Graphviz graph, its frames as clusters.
pub fn dot(model: &Structured) -> String {
    dot::dot(&model.name, &scene::of_model(model))
}

/// A model as a Mermaid flowchart, its frames as subgraphs.
pub fn mermaid(model: &Structured) -> String {
    mermaid::mermaid(&scene::of_model(model))
}

/// A flat graph as a Graphviz graph.
pub fn dot_flat(name: &str, graph: &Graph) -> String {
    dot::dot(name, &scene::of_graph(graph))
}

/// A flat graph as a Mermaid flowchart.
pub fn mermaid_flat(graph: &Graph) -> String {
    mermaid::mermaid(&scene::of_graph(graph))
}
