//! Rows from arrays in memory: what a program that embeds wythe hands in.

use super::{DataError, Dataset, Loaded, Port, near_or_all};
use crate::ir::training::Valid;
use crate::tensor::Tensor;

/// Matches arrays to a model's inputs and targets by name, and holds out what the train section asks for.
pub fn in_memory(
    rows: Vec<(String, Tensor)>,
    valid: Option<&Valid>,
    inputs: &[Port],
    targets: &[Port],
) -> Result<Loaded, DataError> {
    const FILE: &str = "the rows";
    let ports: Vec<&Port> = inputs.iter().chain(targets).collect();
    let wanted: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
    if let Some((name, _)) = rows.iter().find(|(name, _)| !wanted.contains(&name.as_str())) {
        let error = DataError::new("data::name", FILE, format!("the model has no input or target `{name}`"));
        return Err(error.help(near_or_all(name, &wanted)));
    }
    let mut found = vec![];
    for port in &ports {
        let tensor = rows.iter().find(|(name, _)| *name == port.name).map(|(_, tensor)| tensor.clone());
        let missing = || DataError::new("data::name", FILE, format!("`{}` ({}) is not given", port.name, port.show()));
        found.push(tensor.ok_or_else(missing)?);
    }
    let mut notes = vec![];
    let all = Dataset::new(FILE, &ports, found, vec![], &mut notes)?;
    match valid {
        None => Ok(Loaded { train: all, valid: None, notes }),
        Some(Valid::Fraction(share)) => {
            let (train, valid) = all.hold_out(*share, 0)?;
            Ok(Loaded { train, valid: Some(valid), notes })
        }
        Some(Valid::Source(_)) => {
            let error = DataError::new("data::source", FILE, "the train section holds out rows of a source of its own");
            Err(error.help("say a share, such as `valid 0.2`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;
    use ndarray::array;

    #[test]
    fn rows_are_matched_by_name_and_checked() {
        let x = Port { name: "x".into(), dtype: DType::F32, axes: vec![Some(2)], below: None, ignored: None };
        let y = Port { name: "y".into(), dtype: DType::I64, axes: vec![], below: Some(3), ignored: None };
        let (xs, ys) = (Tensor::F32(array![[1.0, 2.0], [3.0, 4.0]].into_dyn()), Tensor::I64(array![0, 2].into_dyn()));
        let load = |rows: &[(&str, &Tensor)], valid: Option<Valid>| {
            let rows = rows.iter().map(|(name, tensor)| (name.to_string(), (*tensor).clone())).collect();
            in_memory(rows, valid.as_ref(), std::slice::from_ref(&x), std::slice::from_ref(&y))
        };
        let all = load(&[("y", &ys), ("x", &xs)], None).expect("they fit");
        assert_eq!((all.train.rows, all.valid.is_none()), (2, true));
        let half = load(&[("x", &xs), ("y", &ys)], Some(Valid::Fraction(0.5))).expect("one row each");
        assert_eq!(half.valid.map(|set| set.rows), Some(1));
        let said = |rows: &[(&str, &Tensor)]| load(rows, None).expect_err("refused").to_string();
        assert!(said(&[("x", &xs)]).contains("`y` (i64[batch]) is not given"));
        assert!(said(&[("x", &xs), ("z", &ys)]).contains("no input or target `z`"));
        let far = Tensor::I64(array![0, 3].into_dyn());
        assert!(said(&[("x", &xs), ("y", &far)]).contains("`y` is 3"));
    }
}
