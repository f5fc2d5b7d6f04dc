//! Tables: a header that names the columns, then one row a line.
//!
//! A column named like a target is that target; the others, in order, are the model's only input. Labels may be words:
//! then they are numbered in alphabetical order, and the vocabulary goes with the data.

use super::error::{clip, near_or_all};
use super::room::{no_room, room};
use super::{DataError, Dataset, Port};
use crate::tensor::{DType, Tensor};
use ndarray::{ArrayD, IxDyn};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The rows of a table. `label` renames the column of the first target; `known` words keep their numbers.
pub fn read(
    bytes: &[u8],
    file: &str,
    inputs: &[Port],
    targets: &[Port],
    label: Option<&str>,
    known: &[String],
    notes: &mut Vec<String>,
) -> Result<Dataset, DataError> {
    let [input] = inputs else {
        let names: Vec<&str> = inputs.iter().map(|port| port.name.as_str()).collect();
        let reason = format!("a table fills one input, the model has {}: {}", inputs.len(), names.join(", "));
        return Err(DataError::new("data::csv", file, reason).help("use npz(\"…\"), which has an array a name"));
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let records = scan(bytes, file)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let header = reader.byte_headers().map_err(|error| broken(file, &error))?.clone();
    if header.len() > COLUMNS {
        let error =
            DataError::new("data::limit", file, format!("{} columns, over the limit of {COLUMNS}", header.len()));
        return Err(error.at("line 1").help("use npz(\"…\") for rows so wide"));
    }
    let mut names: Vec<String> = vec![];
    for cell in &header {
        let name = std::str::from_utf8(cell).map_err(|_| {
            let error = DataError::new("data::csv", file, "the header is not UTF-8 text").at("line 1");
            error.help("save the table as UTF-8")
        })?;
        names.push(name.into());
    }
    let plan = Plan::new(file, &names, input, targets, label)?;

    let mut table = Table::new(file, records, bytes.len(), &plan)?;
    let (mut record, mut lines) = (csv::ByteRecord::new(), Lines { bytes, at: 0, line: 1 });
    while reader.read_byte_record(&mut record).map_err(|error| broken(file, &error))? {
        let line = lines.of(record.position().map_or(0, csv::Position::byte) as usize);
        table.add(file, &names, &plan, &record, line, input.dtype)?;
    }
    let rows = table.lines.len();
    let mut columns = vec![features(file, table.features, input, rows)?];
    let (mut vocabulary, mut labels): (Vec<String>, _) = (vec![], table.labels.into_iter());
    for (port, columns_of) in targets.iter().zip(&plan.targets) {
        let cells: Vec<Cells> = labels.by_ref().take(columns_of.len()).collect();
        let name = &names[columns_of[0]];
        let (tensor, words) = target(file, name, port, &cells, &table.lines, known)?;
        if !words.is_empty() {
            if !vocabulary.is_empty() {
                let reason = format!("`{name}` is the second target that holds words");
                let error = DataError::new("data::label", file, reason).at("line 1");
                return Err(error.help("number the labels of one of them in the file"));
            }
            let shown: Vec<String> =
                words.iter().take(12).enumerate().map(|(i, word)| format!("{} = {i}", clip(word))).collect();
            let more = if words.len() > 12 { ", …" } else { "" };
            if known.is_empty() {
                notes.push(format!("{file}: `{name}` holds words, numbered {}{more}", shown.join(", ")));
            }
            vocabulary = words;
        }
        columns.push(tensor);
    }
    let ports: Vec<&Port> = inputs.iter().chain(targets).collect();
    let mut set = Dataset::new(file, &ports, columns, table.lines, notes)?;
    set.vocabulary = vocabulary;
    Ok(set)
}

/// A table that is numbers only: a row of the array for each of its own.
pub fn numbers_of(bytes: &[u8], file: &str, notes: &mut Vec<String>) -> Result<Tensor, DataError> {
    let port = Port { name: "x".into(), dtype: DType::F32, axes: vec![None], below: None, ignored: None };
    let table = read(bytes, file, &[port], &[], None, &[], notes)?;
    let only = table.columns.into_iter().map(|(_, tensor)| tensor).next();
    only.ok_or_else(|| DataError::new("data::csv", file, "holds no column"))
}

/// The most columns, and the longest row in bytes: a quote that is never closed makes one row of a whole file.
const COLUMNS: usize = 1_000_000;
const ROW: usize = 16 << 20;

/// Counts the rows (blank lines among them), and refuses what would take the reader long: a quote that is never closed,
/// rows without end.
fn scan(bytes: &[u8], file: &str) -> Result<usize, DataError> {
    let bad = |code, reason: String, line: usize| DataError::new(code, file, reason).at(format!("line {line}"));
    let (mut line, mut records, mut begun, mut opened) = (1, 0, (0, 1), None);
    let mut fresh = true;
    for (at, &byte) in bytes.iter().enumerate() {
        match (byte, opened) {
            (b'"', None) if fresh => opened = Some(line),
            // A quote that is doubled closes and opens.
            (b'"', Some(_)) => opened = None,
            (b'"', None) if at > 0 && bytes[at - 1] == b'"' => opened = Some(line),
            (b'\n', None) => (records, begun) = (records + 1, (at, line + 1)),
            _ => {}
        }
        fresh = matches!(byte, b',' | b'\n' | b'\r') && opened.is_none();
        line += usize::from(byte == b'\n');
        if at - begun.0 > ROW {
            return Err(match opened {
                Some(line) => bad("data::csv", "a quote is opened that is never closed".into(), line)
                    .help("close it, or double a quote that belongs to the text"),
                None => bad("data::limit", format!("a row of more than {} MB", ROW >> 20), begun.1)
                    .help("use npz(\"…\") for rows so wide"),
            });
        }
    }
    match opened {
        Some(line) => Err(bad("data::csv", "a quote is opened that is never closed".into(), line)
            .help("close it, or double a quote that belongs to the text")),
        None => Ok(records + 1),
    }
}

/// The cells of a column, one after the other in one text.
struct Cells {
    text: String,
    ends: Vec<usize>,
}

impl Cells {
    fn get(&self, row: usize) -> &str {
        let from = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[from..self.ends[row]]
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|row| self.get(row))
    }
}

/// Counts lines up to where rows begin.
///
/// The reader's own count is that of where it stopped last, before the blank lines (and the `\n` of a `\r\n`) that it
/// still has to skip.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, start: usize) -> u64 {
        let rest = self.bytes.get(start..).unwrap_or(&[]);
        let start = start + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        while self.at < start.min(self.bytes.len()) {
            let alone = self.bytes[self.at] == b'\r' && self.bytes.get(self.at + 1) != Some(&b'\n');
            self.line += u64::from(self.bytes[self.at] == b'\n' || alone);
            self.at += 1;
        }
        self.line
    }
}

/// Which columns are what.
struct Plan {
    /// The input's columns.
    features: Vec<usize>,
    /// For each target its columns.
    targets: Vec<Vec<usize>>,
    /// The targets' columns, one after the other.
    labels: Vec<usize>,
}

impl Plan {
    fn new(
        file: &str,
        names: &[String],
        input: &Port,
        targets: &[Port],
        label: Option<&str>,
    ) -> Result<Plan, DataError> {
        let bad = |reason: String| DataError::new("data::csv", file, reason).at("line 1");
        if names.is_empty() || names.iter().all(|name| name.is_empty()) {
            return Err(DataError::new("data::empty", file, "holds no header").help("the first line names the columns"));
        }
        if names.iter().all(|name| name.parse::<f64>().is_ok()) {
            let error = bad("numbers where the names of the columns belong".into());
            return Err(error.help("put a first line that names the columns, such as a,b,c,y"));
        }
        let mut places = HashMap::new();
        for (column, name) in names.iter().enumerate() {
            if places.insert(name.as_str(), column).is_some() {
                let error = bad(format!("two columns are called `{}`", clip(name)));
                return Err(error.help("give each column a name of its own"));
            }
        }
        if let [only] = names
            && only.contains([';', '\t'])
        {
            return Err(bad("one column only".into()).help("separate the cells by commas"));
        }
        let mut plan = Plan { features: vec![], targets: vec![], labels: vec![] };
        for (i, port) in targets.iter().enumerate() {
            let name = label.filter(|_| i == 0).unwrap_or(&port.name);
            let width = port.width().unwrap_or(1);
            // A target of several numbers a row takes the columns y.0, y.1, ….
            let wanted: Vec<String> = match width {
                1 => vec![name.to_string()],
                _ => (0..width.min(100_000)).map(|k| format!("{name}.{k}")).collect(),
            };
            let mut columns = vec![];
            for wanted in &wanted {
                let Some(&column) = places.get(wanted.as_str()) else {
                    let shown: Vec<&str> = names.iter().map(String::as_str).collect();
                    let near = near_or_all(wanted, &shown);
                    let error = bad(format!("no column is called `{wanted}`, like the target"));
                    return Err(error.help(format!(
                        "{near}; another column is named in the train section: `data csv(\"…\", label = \"…\")`"
                    )));
                };
                columns.push(column);
            }
            plan.labels.extend(&columns);
            plan.targets.push(columns);
        }
        let labels: HashSet<usize> = plan.labels.iter().copied().collect();
        plan.features = (0..names.len()).filter(|column| !labels.contains(column)).collect();
        let unknown = input.axes.iter().filter(|axis| axis.is_none()).count();
        if unknown == 0 && input.width() != Some(plan.features.len())
            || unknown > 1
            || unknown == 1 && input.axes.len() > 1
        {
            let beside = if targets.is_empty() { "" } else { " beside the target" };
            let some: Vec<String> =
                plan.features.iter().take(6).map(|&column| format!("`{}`", clip(&names[column]))).collect();
            let more = if plan.features.len() > 6 { ", …" } else { "" };
            let reason = format!(
                "{} columns{beside} ({}{more}), `{}` wants {} ({})",
                plan.features.len(),
                some.join(", "),
                input.name,
                input.width().map_or("a fixed number".into(), |width| width.to_string()),
                input.show()
            );
            return Err(bad(reason).help("every column that is no target is an element of the input, in order"));
        }
        Ok(plan)
    }
}

/// What was read so far.
struct Table {
    features: Vec<f64>,
    /// One list a target column.
    labels: Vec<Cells>,
    lines: Vec<u64>,
}

impl Table {
    /// With room for all that so many rows of a file of so many bytes can hold: a cell takes two of them at least.
    fn new(file: &str, rows: usize, bytes: usize, plan: &Plan) -> Result<Table, DataError> {
        let cells = |columns: usize| rows.saturating_mul(columns).min(bytes / 2 + 1);
        let mut table = Table { features: vec![], labels: vec![], lines: vec![] };
        let fits = |done: Result<(), std::collections::TryReserveError>| done.map_err(|_| no_room(file, 8 * bytes));
        fits(table.features.try_reserve_exact(cells(plan.features.len())))?;
        fits(table.lines.try_reserve_exact(cells(1)))?;
        for _ in &plan.labels {
            let mut column = Cells { text: String::new(), ends: vec![] };
            fits(column.ends.try_reserve_exact(cells(plan.labels.len()) / plan.labels.len() + 1))?;
            table.labels.push(column);
        }
        Ok(table)
    }

    fn add(
        &mut self,
        file: &str,
        names: &[String],
        plan: &Plan,
        record: &csv::ByteRecord,
        line: u64,
        dtype: DType,
    ) -> Result<(), DataError> {
        let bad = |code, reason: String| DataError::new(code, file, reason).at(format!("line {line}"));
        if record.len() != names.len() {
            let reason = format!("{} cells, the header has {}", record.len(), names.len());
            return Err(bad("data::csv", reason).help("a cell with a comma in it needs quotes"));
        }
        if self.lines.len() >= u32::MAX as usize {
            let error = bad("data::limit", format!("more than {} rows", u32::MAX));
            return Err(error.help("split the file"));
        }
        let text = |column: usize| {
            let cell = &record[column];
            std::str::from_utf8(cell).map_err(|_| {
                let error = bad("data::csv", format!("`{}` is not UTF-8 text", names[column]));
                error.help("save the table as UTF-8")
            })
        };
        for &column in &plan.features {
            let cell = text(column)?;
            let value: Option<f64> = cell.parse().ok();
            let fits = |value: f64| match dtype {
                DType::F32 => (value as f32).is_finite(),
                DType::F64 => value.is_finite(),
                DType::I64 => value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0,
                DType::Bool => value == 0.0 || value == 1.0,
            };
            match value {
                Some(value) if fits(value) => self.features.push(value),
                _ => {
                    let name = &names[column];
                    let reason = match (cell, dtype) {
                        ("", _) => format!("`{}` is empty", clip(name)),
                        (cell, DType::F32 | DType::F64) => {
                            format!("`{}` is `{}`, not a finite number", clip(name), clip(cell))
                        }
                        (cell, DType::I64) => format!("`{}` is `{}`, not a whole number", clip(name), clip(cell)),
                        (cell, DType::Bool) => format!("`{}` is `{}`, neither 0 nor 1", clip(name), clip(cell)),
                    };
                    return Err(bad("data::value", reason).help(way_out(cell)));
                }
            }
        }
        for (cells, &column) in self.labels.iter_mut().zip(&plan.labels) {
            let cell = text(column)?;
            cells.text.try_reserve(cell.len()).map_err(|_| no_room(file, cells.text.len()))?;
            cells.text.push_str(cell);
            cells.ends.push(cells.text.len());
        }
        self.lines.push(line);
        Ok(())
    }
}

/// What to do about a cell that is no number.
fn way_out(cell: &str) -> &'static str {
    let digits = |text: &str| text.chars().any(|c| c.is_ascii_digit());
    let within = |signs: &[char]| digits(cell) && cell.chars().all(|c| c.is_ascii_digit() || signs.contains(&c));
    match cell {
        _ if cell.parse::<f64>().is_ok() || cell.is_empty() => "remove the row or fill the value in",
        _ if within(&[',', '-']) => "write the decimal sign as a point: 2.5",
        _ if within(&[',', '.', ' ', '\'', '_', '-']) => "write the digits without anything between them: 1000.5",
        _ if digits(cell) => "remove the row or mend the value",
        _ => "an input is made of numbers: take a column of words out, or number what it says",
    }
}

/// The input as a tensor.
fn features(file: &str, values: Vec<f64>, port: &Port, rows: usize) -> Result<Tensor, DataError> {
    let width = values.len().checked_div(rows).unwrap_or(0);
    let axes = port.axes.iter().map(|axis| axis.unwrap_or(width));
    let shape: Vec<usize> = std::iter::once(rows).chain(axes).collect();
    if !room(8 * values.len()) {
        return Err(no_room(file, 8 * values.len()));
    }
    Ok(numbers(values, &shape, port.dtype))
}

/// Numbers that were checked, as a tensor of this type.
fn numbers(values: Vec<f64>, shape: &[usize], dtype: DType) -> Tensor {
    fn array<T>(values: Vec<f64>, shape: &[usize], of: impl Fn(f64) -> T) -> ArrayD<T> {
        let values = values.into_iter().map(of).collect();
        ArrayD::from_shape_vec(IxDyn(shape), values).expect("rows of the header's length fill the shape")
    }
    match dtype {
        DType::F32 => Tensor::F32(array(values, shape, |v| v as f32)),
        DType::F64 => Tensor::F64(array(values, shape, |v| v)),
        DType::I64 => Tensor::I64(array(values, shape, |v| v as i64)),
        DType::Bool => Tensor::Bool(array(values, shape, |v| v != 0.0)),
    }
}

/// A target as a tensor, and the words that its numbers stand for.
fn target(
    file: &str,
    name: &str,
    port: &Port,
    columns: &[Cells],
    lines: &[u64],
    known: &[String],
) -> Result<(Tensor, Vec<String>), DataError> {
    let rows = lines.len();
    let shape: Vec<usize> = std::iter::once(rows).chain(port.axes.iter().map(|axis| axis.unwrap_or(1))).collect();
    // Words, if the first cell is one: then all must be.
    let number = |cell: &str| cell.parse::<f64>().is_ok();
    let one = || columns[0].iter().find(|cell| !cell.is_empty()).is_some_and(|cell| !number(cell));
    let words = port.dtype == DType::I64 && columns.len() == 1 && one();
    let odd = |cell: &str| cell.is_empty() || number(cell);
    if let Some(row) = columns[0].iter().position(odd).filter(|_| words) {
        let cell = columns[0].get(row);
        let what = if cell.is_empty() { "is empty".to_string() } else { format!("is the number `{}`", clip(cell)) };
        let error = DataError::new("data::label", file, format!("the target `{}` {what} among words", clip(name)));
        return Err(error.at(format!("line {}", lines[row])).help("write words in all rows, or numbers from 0"));
    }
    if words && rows > 0 {
        let found: BTreeSet<&str> = if known.is_empty() { columns[0].iter().collect() } else { BTreeSet::new() };
        let words = found.into_iter().chain(known.iter().map(String::as_str));
        let vocabulary: Vec<String> = words.map(String::from).collect();
        let places: HashMap<&str, usize> = vocabulary.iter().enumerate().map(|(i, word)| (word.as_str(), i)).collect();
        if let Some(below) = port.below.filter(|&below| vocabulary.len() as i64 > below) {
            let some: Vec<String> = vocabulary.iter().take(6).map(|word| clip(word)).collect();
            let more = if vocabulary.len() > 6 { ", …" } else { "" };
            let (count, some) = (vocabulary.len(), some.join(", "));
            let reason =
                format!("`{}` has {count} different words ({some}{more}), the model {below} classes", clip(name));
            let error = DataError::new("data::label", file, reason).at("line 1");
            return Err(error.help(format!("give the model {count} classes, or mend what is misspelt")));
        }
        let mut ids = vec![];
        for (cell, line) in columns[0].iter().zip(lines) {
            let Some(&id) = places.get(cell) else {
                let reason = format!("the target `{name}` is `{}`, which the training data did not have", clip(cell));
                let some: Vec<&str> = vocabulary.iter().map(String::as_str).collect();
                let error = DataError::new("data::label", file, reason).at(format!("line {line}"));
                return Err(error.help(near_or_all(cell, &some)));
            };
            ids.push(id as f64);
        }
        return Ok((numbers(ids, &shape, DType::I64), vocabulary));
    }
    let mut values = vec![];
    for (row, line) in lines.iter().enumerate() {
        for cells in columns {
            let cell = cells.get(row);
            let value: Option<f64> = cell.parse().ok();
            let (fits, want) = match (port.dtype, value) {
                (DType::F32, v) => (v.is_some_and(|v| (v as f32).is_finite()), "a finite number"),
                (DType::F64, v) => (v.is_some_and(f64::is_finite), "a finite number"),
                (DType::I64, v) => {
                    (v.is_some_and(|v| v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0), "a whole number")
                }
                (DType::Bool, v) => (v == Some(0.0) || v == Some(1.0), "0 or 1"),
            };
            match value {
                Some(value) if fits => values.push(value),
                _ => {
                    let reason = format!("the target `{name}` is `{}`, not {want}", clip(cell));
                    let error = DataError::new("data::label", file, reason).at(format!("line {line}"));
                    return Err(error.help("mend the value, or remove the row"));
                }
            }
        }
    }
    Ok((numbers(values, &shape, port.dtype), vec![]))
}

fn broken(file: &str, error: &csv::Error) -> DataError {
    let place = error.position().map(|position| format!("line {}", position.line()));
    let error = DataError::new("data::csv", file, format!("cannot be read as a table ({error})"));
    DataError { place, ..error }.help("save it as comma-separated UTF-8 text with a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, dtype: DType, axes: &[usize], below: Option<i64>) -> Port {
        Port { name: name.into(), dtype, axes: axes.iter().map(|&size| Some(size)).collect(), below, ignored: None }
    }

    fn table(text: &str) -> Result<(Dataset, Vec<String>), String> {
        labelled(text, None)
    }

    fn labelled(text: &str, label: Option<&str>) -> Result<(Dataset, Vec<String>), String> {
        let (x, y) = ([port("x", DType::F32, &[2], None)], [port("y", DType::I64, &[], Some(3))]);
        let mut notes = vec![];
        let set = read(text.as_bytes(), "d.csv", &x, &y, label, &[], &mut notes);
        set.map(|set| (set, notes)).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_by_name() {
        let (set, notes) = table("\u{feff}a, y ,b\r\n1,2,\"3\"\r\n\r\n4,0.0,-5e-1\r\n").expect("a table");
        assert_eq!(set.column("x"), Some(&Tensor::F32(ndarray::array![[1.0, 3.0], [4.0, -0.5]].into_dyn())));
        assert_eq!(set.column("y"), Some(&Tensor::I64(ndarray::array![2, 0].into_dyn())));
        assert_eq!((set.place(0), set.place(1), notes.len()), ("line 2".into(), "line 4".into(), 0));
    }

    #[test]
    fn words_are_numbered() {
        let (set, notes) =
            labelled("a,b,species\n1,2,virginica\n3,4,setosa\n5,6,virginica\n", Some("species")).expect("words");
        assert_eq!(set.column("y"), Some(&Tensor::I64(ndarray::array![1, 0, 1].into_dyn())));
        assert_eq!(set.vocabulary, ["setosa", "virginica"]);
        assert!(notes[0].contains("setosa = 0, virginica = 1"), "{notes:?}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let cases = [
            ("", "no header"),
            ("a,b,y\n", "no row"),
            ("1,2,3\n4,5,6\n", "numbers where the names"),
            ("a,a,y\n1,2,0\n", "two columns are called `a`"),
            ("a;b;y\n1;2;0\n", "commas"),
            ("a,b,why\n1,2,0\n", "no column is called `y`"),
            ("a,b,label\n1,2,0\n", "label = "),
            ("a,y\n1,0\n", "1 columns beside the target (`a`), `x` wants 2 (f32[batch, 2])"),
            ("a,b,y\n1,2,red\n1,2,\n", "line 3: the target `y` is empty among words"),
            ("a,b,y\n1,2,red\n1,2,7\n", "line 3: the target `y` is the number `7` among words"),
            ("a,b,y\n1,2,d\n1,2,c\n1,2,b\n1,2,a\n", "`y` has 4 different words (a, b, c, d), the model 3 classes"),
            ("a,b,y\n1,Rome,0\n", "take a column of words out"),
            ("a,b,y\n1,\"2,5\",0\n", "a point: 2.5"),
            ("a,b,y\n1,1 000,0\n", "without anything between"),
            ("a,b,y\n1,2,0\n1,2\n", "line 3: 2 cells, the header has 3"),
            ("a,b,y\n1,2,0\n1,abc,0\n", "line 3: `b` is `abc`"),
            ("a,b,y\n1,2,0\n1,nan,0\n", "line 3: `b` is `nan`"),
            ("a,b,y\n1,2,0\n1,1e400,0\n", "line 3: `b` is `1e400`"),
            ("a,b,y\n1,2,0\n1,1e39,0\n", "line 3: `b` is `1e39`"),
            ("a,b,y\n1,2,0\n1,,0\n", "line 3: `b` is empty"),
            ("a,b,y\n1,2,0\n1,2,1.5\n", "line 3: the target `y` is `1.5`, not a whole number"),
            ("a,b,y\n1,2,0\n1,2,red\n", "line 3: the target `y` is `red`"),
            ("a,b,y\n1,2,0\n1,2,\n", "line 3: the target `y` is ``"),
            ("a,b,y\n1,2,0\n1,2,3\n", "line 3: `y` is 3, the model knows 0 … 2"),
            ("a,b,y\n1,2,0\n1,2,-1\n", "line 3: `y` is -1"),
        ];
        for (text, word) in cases {
            let said = table(text).expect_err(word);
            assert!(said.contains(word) && said.starts_with("d.csv"), "{text:?}: {said}");
        }
        let said =
            read(b"a,b,y\n1,\xff,0\n", "d.csv", &[port("x", DType::F32, &[2], None)], &[], None, &[], &mut vec![]);
        assert!(said.is_err());
    }

    #[test]
    fn a_target_may_take_several_columns() {
        let (x, y) = ([port("x", DType::F64, &[1], None)], [port("y", DType::F32, &[2], None)]);
        let set = read(b"y.1,a,y.0\n1,2,3\n", "d.csv", &x, &y, None, &[], &mut vec![]).expect("two columns");
        assert_eq!(set.column("y"), Some(&Tensor::F32(ndarray::array![[3.0, 1.0]].into_dyn())));
    }
}
