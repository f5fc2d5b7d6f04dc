//! A run's log, read back: for curves and tables.

use crate::data::DataError;

/// What was logged: for each name (`loss`, `lr`, `terms.kl`, `valid.accuracy`) its steps and values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The names in the order in which they came, `step` not among them.
    pub names: Vec<String>,
    /// For each line its step, and a value for each name that it has.
    pub rows: Vec<(u64, Vec<Option<f64>>)>,
}

impl History {
    /// Reads `metrics.jsonl`; a last line that a kill cut short is passed over.
    pub fn read(bytes: &[u8], file: &str) -> Result<History, DataError> {
        let mut history = History::default();
        let text = String::from_utf8_lossy(bytes);
        for (number, line) in text.split_inclusive('\n').enumerate().filter(|(_, line)| line.ends_with('\n')) {
            let bad = |reason: &str| {
                let error = DataError::new("data::log", file, reason).at(format!("line {}", number + 1));
                error.help("give the folder of a run, or its metrics.jsonl")
            };
            let row: serde_json::Value = serde_json::from_str(line).map_err(|_| bad("is no line of a run's log"))?;
            let (Some(step), Some(object)) = (row["step"].as_u64(), row.as_object()) else {
                return Err(bad("names no step"));
            };
            let mut values = vec![None; history.names.len()];
            for (key, value) in object.iter().filter(|(key, _)| *key != "step") {
                match value.as_object() {
                    Some(parts) => {
                        parts.iter().for_each(|(part, value)| history.put(&mut values, format!("{key}.{part}"), value));
                    }
                    None => history.put(&mut values, key.clone(), value),
                }
            }
            history.rows.push((step, values));
        }
        Ok(history)
    }

    fn put(&mut self, values: &mut Vec<Option<f64>>, name: String, value: &serde_json::Value) {
        let index = self.names.iter().position(|own| *own == name).unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        values.resize(values.len().max(index + 1), None);
        values[index] = value.as_f64();
    }

    /// The steps and values of a name.
    pub fn curve(&self, name: &str) -> Vec<(u64, f64)> {
        let Some(index) = self.names.iter().position(|own| own == name) else { return vec![] };
        self.rows.iter().filter_map(|(step, values)| Some((*step, (*values.get(index)?)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_back() {
        let log = b"{\"step\":1,\"loss\":0.5,\"lr\":0.1}\n{\"step\":2,\"loss\":null,\"lr\":0.1,\"valid\":{\"loss\":0.25}}\n{\"step\":3,\"lo";
        let history = History::read(log, "m").expect("two lines");
        assert_eq!(
            (history.rows.len(), history.curve("loss"), history.curve("valid.loss")),
            (2, vec![(1, 0.5)], vec![(2, 0.25)])
        );
        assert!(history.curve("other").is_empty());
        for bad in ["hello\n", "{}\n", "[1]\n", "{\"step\":-1}\n"] {
            assert!(History::read(bad.as_bytes(), "m").expect_err(bad).to_string().starts_with("m, line 1"));
        }
    }
}
