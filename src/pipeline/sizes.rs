//! What could not be decided before sizes were known, decided when they are.

use crate::exec::bind::Binding;
use crate::ir::op::Condition;
use crate::ir::structured::Structured;

/// A fact that a model needs and that these sizes break.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the model needs {fact}, and it is run with {sizes}")]
pub struct Unmet {
    /// `seq <= 512`, as a formula over dims.
    pub fact: String,
    /// `batch = 2, seq = 600`.
    pub sizes: String,
}

/// Checks the facts of `where`, and the bounds that layers need; what is still unknown passes.
pub fn check_sizes(model: &Structured, bound: &Binding) -> Result<(), Unmet> {
    let dims = &model.shapes.dims;
    let value = |dim| dims.eval(dim, &|name| bound.get(name).copied());
    for (need, _) in model.needs.iter().chain(&model.facts) {
        let (holds, fact) = match need.condition {
            Condition::Equal(a, b) => {
                (value(a).zip(value(b)).map(|(a, b)| a == b), format!("{} == {}", dims.show(a), dims.show(b)))
            }
            Condition::AtLeast(a, b) => {
                (value(a).zip(value(b)).map(|(a, b)| a >= b), format!("{} >= {}", dims.show(a), dims.show(b)))
            }
            Condition::Divides { what, by } => {
                let holds = value(what).zip(value(by)).map(|(what, by)| by != 0 && what % by == 0);
                (holds, format!("({}) % ({}) == 0", dims.show(what), dims.show(by)))
            }
        };
        if holds == Some(false) {
            let sizes = bound.iter().map(|(name, size)| format!("{name} = {size}")).collect::<Vec<_>>().join(", ");
            return Err(Unmet { fact, sizes });
        }
    }
    Ok(())
}
