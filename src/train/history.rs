//! A run's log, read back: for curves and tables.

use crate::data::DataError;
use indexmap::IndexSet;

/// What was logged: for each name (`loss`, `lr`, `terms.kl`, `valid.accuracy`) its steps and values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    names: IndexSet<String>,
    /// For each line its step, and what it has: the numbers of names, and values. A hostile log may name much on one line
    /// and nothing on a million others: what is kept is never more than what it says.
    rows: Vec<(u64, Vec<(usize, f64)>)>,
}

/// More names than a run has.
const NAMES: usize = 1000;

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
            let mut values = vec![];
            for (key, value) in object.iter().filter(|(key, _)| *key != "step") {
                match value.as_object() {
                    Some(parts) => {
                        parts.iter().for_each(|(part, value)| history.put(&mut values, format!("{key}.{part}"), value));
                    }
                    None => history.put(&mut values, key.clone(), value),
                }
            }
            if history.names.len() > NAMES {
                return Err(bad("has more values than any run logs"));
            }
            history.rows.push((step, values));
        }
        Ok(history)
    }

    fn put(&mut self, values: &mut Vec<(usize, f64)>, name: String, value: &serde_json::Value) {
        let (index, _) = self.names.insert_full(name);
        values.extend(value.as_f64().map(|value| (index, value)));
    }

    /// The names in the order in which they came, `step` not among them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// For each line its step, and its values by name.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (u64, impl Iterator<Item = (&str, f64)>)> {
        self.rows.iter().map(|(step, values)| {
            (*step, values.iter().filter_map(|(index, value)| Some((self.names.get_index(*index)?.as_str(), *value))))
        })
    }

    /// The steps and values of a name.
    pub fn curve(&self, name: &str) -> Vec<(u64, f64)> {
        let Some(index) = self.names.get_index_of(name) else { return vec![] };
        let value = |values: &[(usize, f64)]| values.iter().find(|(own, _)| *own == index).map(|(_, value)| *value);
        self.rows.iter().filter_map(|(step, values)| Some((*step, value(values)?))).collect()
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
            (history.rows().len(), history.curve("loss"), history.curve("valid.loss")),
            (2, vec![(1, 0.5)], vec![(2, 0.25)])
        );
        assert!(history.curve("other").is_empty());
        assert_eq!(history.names().collect::<Vec<_>>(), ["loss", "lr", "valid.loss"]);
        let many: String = (0..2000).map(|i| format!(",\"k{i}\":1")).collect();
        for bad in ["hello\n", "{}\n", "[1]\n", "{\"step\":-1}\n", &format!("{{\"step\":1{many}}}\n")] {
            assert!(History::read(bad.as_bytes(), "m").expect_err(bad).to_string().starts_with("m, line 1"));
        }
    }
}
