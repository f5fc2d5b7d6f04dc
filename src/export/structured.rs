//! The structured graph as text: what `graph --stage structured` prints.

use crate::ir::graph::show_attrs;
use crate::ir::structured::{Item, OpItem, PortDef, Region, Structured, ValueId, show_path};

/// A line an item, indented as it is nested.
pub fn show(model: &Structured) -> String {
    let port = |port: &PortDef| format!("{} {}", value(port.value), typed(model, port.value));
    let list = |ports: &[PortDef]| ports.iter().map(port).collect::<Vec<_>>().join(", ");
    let mut text = format!("model {} : {}\n", model.name, list(&model.inputs));
    region(model, &model.body, 1, &mut text);
    text.push_str(&format!("-> {}\n", list(&model.outputs)));
    text
}

fn value(id: ValueId) -> String {
    format!("%{}", id.0)
}

fn typed(model: &Structured, id: ValueId) -> String {
    model.shapes.show(model.values[id.0 as usize].ty)
}

fn values(ids: &[ValueId]) -> String {
    ids.iter().map(|&id| value(id)).collect::<Vec<_>>().join(" ")
}

fn region(model: &Structured, region_: &Region, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for item in &region_.items {
        match item {
            Item::Op(item) => text.push_str(&format!("{indent}{}\n", op(model, item))),
            Item::Scope(scope) => {
                text.push_str(&format!("{indent}{} {{   // {}\n", scope.label, show_path(&scope.path)));
                region(model, &scope.region, depth + 1, text);
                text.push_str(&format!("{indent}}}\n"));
            }
            Item::Repeat(repeat) => {
                let shown = (values(&repeat.outs), &repeat.label, values(&repeat.ins), show_path(&repeat.path));
                text.push_str(&format!("{indent}{} = {} {} {{   // {}\n", shown.0, shown.1, shown.2, shown.3));
                for run in &repeat.runs {
                    let from = if run.shown.is_empty() {
                        format!("[{}..{})", run.first, run.first + run.count)
                    } else {
                        run.shown.clone()
                    };
                    text.push_str(&format!(
                        "{indent}  {from} {} -> {} {{\n",
                        values(&run.params),
                        values(&run.results)
                    ));
                    region(model, &run.region, depth + 2, text);
                    text.push_str(&format!("{indent}  }}\n"));
                }
                text.push_str(&format!("{indent}}}\n"));
            }
        }
    }
}

fn op(model: &Structured, item: &OpItem) -> String {
    let outs =
        item.outs.iter().map(|&id| format!("{}: {}", value(id), typed(model, id))).collect::<Vec<_>>().join(", ");
    let ins = item.operands.iter().map(|id| id.map_or("_".into(), value)).collect::<Vec<_>>().join(" ");
    let gain = item.gain.map(|gain| format!(" gain = {gain:.4}")).unwrap_or_default();
    format!(
        "{outs} = {}{} {ins}{gain}   // {}",
        item.word,
        show_attrs(&item.attrs, &model.shapes),
        show_path(&item.application)
    )
}
