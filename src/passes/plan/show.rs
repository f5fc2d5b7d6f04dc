//! A plan as text.

use super::{PERSISTENT, Plan, SCRATCH};
use crate::ir::graph::Graph;
use crate::kernels::call::View;

impl Plan {
    /// A line a step: what `graph --stage plan` prints.
    pub fn show(&self, graph: &Graph) -> String {
        let mut text = format!(
            "scratch {} bytes, workspace {} bytes a thread, {}\n",
            self.scratch,
            self.work,
            if self.single { "one thread".into() } else { format!("rows cut at {} samples", self.group) }
        );
        for (index, step) in self.steps.iter().enumerate() {
            let list = |views: &[Option<View>]| {
                views.iter().map(|view| view.as_ref().map_or("_".into(), show_view)).collect::<Vec<_>>().join(" ")
            };
            let name = match &step.call.program {
                Some(program) => format!("{}[{}]", step.kernel.name, program.names().collect::<Vec<_>>().join(" ")),
                None => step.kernel.name.to_string(),
            };
            let meet = if step.barrier { "| " } else { "  " };
            let path = &graph.origin_of(step.node).path;
            text.push_str(&format!(
                "{meet}{index:4} {name} x{}  {} -> {}   // {path}\n",
                step.units,
                list(&step.call.ins),
                list(&step.call.outs)
            ));
        }
        text
    }
}

/// `s1024 f32[8, 64]`; strides where they are not dense.
fn show_view(view: &View) -> String {
    let at = view.ptr.as_ptr().addr();
    let place = if at >= SCRATCH { format!("s{}", at - SCRATCH) } else { format!("p{}", at - PERSISTENT) };
    let dims = view.shape().iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let strides = match view.is_dense() {
        true => String::new(),
        false => {
            let strides = view.strides[..view.rank()].iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
            format!(" by [{strides}]")
        }
    };
    format!("{place}:{}[{dims}]{strides}", view.dtype)
}
