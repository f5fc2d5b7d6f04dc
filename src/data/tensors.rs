//! `.safetensors`: named tensors with a few words about them. Read by the crate, written here.
//!
//! The crate keeps its metadata in a hash map, whose order differs from run to run; the same weights must give the same
//! bytes, so the writer is ours: metadata sorted, tensors with wide elements first (alignment), else in the order given.

use super::error::{clip_shape, near_or_all};
use super::room::collect;
use super::{DataError, npy};
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use std::collections::BTreeMap;

/// What a file says beside its tensors.
pub type Metadata = BTreeMap<String, String>;

/// The longest header: it is text, and takes many times its length once it is understood.
const HEADER_LIMIT: u64 = 16 << 20;

/// An open file over bytes: nothing is copied until a tensor is asked for.
pub struct TensorFile<'a> {
    file: &'a str,
    tensors: SafeTensors<'a>,
    /// Names in the order of the file.
    names: Vec<String>,
    /// What the file says of itself.
    pub metadata: Metadata,
}

impl<'a> TensorFile<'a> {
    /// Checks the header against the bytes.
    pub fn open(bytes: &'a [u8], file: &'a str) -> Result<TensorFile<'a>, DataError> {
        let bad = |error: SafeTensorError| {
            let place = if matches!(error, SafeTensorError::MetadataIncompleteBuffer) {
                format!("byte {}", bytes.len())
            } else {
                "its header".into()
            };
            DataError::new("data::safetensors", file, explain(&error, bytes.len()))
                .at(place)
                .help("the file is damaged or no safetensors file: get it again, or write it with safetensors")
        };
        if bytes
            .first_chunk::<8>()
            .is_some_and(|length| (HEADER_LIMIT..100 << 20).contains(&u64::from_le_bytes(*length)))
        {
            let error = DataError::new("data::safetensors", file, "its header claims more than 16 MB");
            return Err(error.at("byte 0").help("split the file: that is the header of some hundred thousand tensors"));
        }
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(bad)?;
        let names = header.offset_keys();
        let metadata = header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        drop(header);
        let tensors = SafeTensors::deserialize(bytes).map_err(bad)?;
        Ok(TensorFile { file, tensors, names, metadata })
    }

    /// The names of its tensors, in the order of the file.
    pub fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// One tensor. Halves become f32, small integers i64; a note says so.
    pub fn read(&self, name: &str, notes: &mut Vec<String>) -> Result<Tensor, DataError> {
        let Ok(view) = self.tensors.tensor(name) else {
            let error = DataError::new("data::name", self.file, format!("holds no tensor `{name}`"));
            return Err(error.help(near_or_all(name, &self.names())));
        };
        tensor(&view)
            .map(|(tensor, from)| {
                if let Some(from) = from {
                    notes.push(format!("{}: `{name}` was read as {} from {from}", self.file, tensor.dtype()));
                }
                tensor
            })
            .map_err(|reason| {
                let error = DataError::new("data::safetensors", self.file, reason).at(format!("tensor `{name}`"));
                error.help("write it again, with safetensors and elements of type F32, F64, I64 or BOOL")
            })
    }
}

/// The words for what is wrong with a header.
fn explain(error: &SafeTensorError, length: usize) -> String {
    match error {
        SafeTensorError::HeaderTooSmall => format!("not a safetensors file: it has only {length} bytes"),
        SafeTensorError::HeaderTooLarge => "not a safetensors file: its header claims more than 100 MB".into(),
        SafeTensorError::InvalidHeaderLength => format!("cut short inside the header: it has only {length} bytes"),
        SafeTensorError::InvalidHeader(_) => "not a safetensors file: its header is not text".into(),
        SafeTensorError::InvalidHeaderDeserialization(error) | SafeTensorError::JsonError(error) => {
            format!("its header is malformed ({error})")
        }
        SafeTensorError::InvalidOffset(name) => format!("the tensor `{name}` overlaps another one or leaves a gap"),
        SafeTensorError::TensorInvalidInfo => "a tensor's shape does not fit the bytes it claims".into(),
        SafeTensorError::ValidationOverflow => "a tensor's shape is too large".into(),
        SafeTensorError::MetadataIncompleteBuffer => {
            format!(
                "the tensors that the header lists do not fill the file of {length} bytes: it is cut short or padded"
            )
        }
        other => format!("cannot be read ({other})"),
    }
}

/// The tensor of a view, and the type it had if that was another.
fn tensor(view: &TensorView<'_>) -> Result<(Tensor, Option<Dtype>), String> {
    let (shape, data) = (view.shape(), view.data());
    if shape.len() > 32 || npy::count(shape).is_none() {
        return Err(format!("the shape {} is too large", clip_shape(shape)));
    }
    fn array<T, const N: usize>(data: &[u8], shape: &[usize], of: impl Fn([u8; N]) -> T) -> Result<ArrayD<T>, String> {
        let (cells, _) = data.as_chunks::<N>();
        let values = collect(cells.len(), cells.iter().map(|&cell| of(cell)));
        let values = values.ok_or_else(|| format!("{} elements are more than memory can hold", cells.len()))?;
        ArrayD::from_shape_vec(IxDyn(shape), values)
            .map_err(|_| format!("the shape {} does not fit its bytes", clip_shape(shape)))
    }
    let dtype = view.dtype();
    let wide = |tensor| Ok((tensor, Some(dtype)));
    match dtype {
        Dtype::F32 => Ok((Tensor::F32(array(data, shape, f32::from_le_bytes)?), None)),
        Dtype::F64 => Ok((Tensor::F64(array(data, shape, f64::from_le_bytes)?), None)),
        Dtype::I64 => Ok((Tensor::I64(array(data, shape, i64::from_le_bytes)?), None)),
        Dtype::BOOL => match data.iter().find(|&&byte| byte > 1) {
            Some(byte) => Err(format!("{byte} is neither true (1) nor false (0)")),
            None => Ok((Tensor::Bool(array(data, shape, |[byte]| byte == 1)?), None)),
        },
        Dtype::F16 => wide(Tensor::F32(array(data, shape, |cell| npy::half(u16::from_le_bytes(cell)))?)),
        Dtype::BF16 => {
            let wider = |cell| f32::from_bits(u32::from(u16::from_le_bytes(cell)) << 16);
            wide(Tensor::F32(array(data, shape, wider)?))
        }
        Dtype::U8 => wide(Tensor::I64(array(data, shape, |[byte]: [u8; 1]| i64::from(byte))?)),
        Dtype::I8 => wide(Tensor::I64(array(data, shape, |cell| i64::from(i8::from_le_bytes(cell)))?)),
        Dtype::I16 => wide(Tensor::I64(array(data, shape, |cell| i64::from(i16::from_le_bytes(cell)))?)),
        Dtype::U16 => wide(Tensor::I64(array(data, shape, |cell| i64::from(u16::from_le_bytes(cell)))?)),
        Dtype::I32 => wide(Tensor::I64(array(data, shape, |cell| i64::from(i32::from_le_bytes(cell)))?)),
        Dtype::U32 => wide(Tensor::I64(array(data, shape, |cell| i64::from(u32::from_le_bytes(cell)))?)),
        other => Err(format!("elements of type {other} cannot be read: use F32, F64, F16, BF16, I64 or BOOL")),
    }
}

/// The bytes of a file of these tensors.
pub fn write(tensors: &[(&str, &Tensor)], metadata: &Metadata) -> Vec<u8> {
    let mut order: Vec<&(&str, &Tensor)> = tensors.iter().collect();
    order.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().size()));
    // serde_json's own maps are sorted, so the entries are joined by hand in the order of the data.
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let mut entries = vec![];
    if !metadata.is_empty() {
        let words: Vec<String> = metadata.iter().map(|(k, v)| format!("{}:{}", quote(k), quote(v))).collect();
        entries.push(format!("\"__metadata__\":{{{}}}", words.join(",")));
    }
    let mut at = 0;
    for (name, tensor) in &order {
        let sizes: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
        let (dtype, shape) = (code(tensor), sizes.join(","));
        let end = at + tensor.len() * tensor.dtype().size();
        let name = quote(name);
        entries.push(format!("{name}:{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{at},{end}]}}"));
        at = end;
    }
    let mut header = format!("{{{}}}", entries.join(","));
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    let mut bytes = Vec::with_capacity(8 + header.len() + at);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header.as_bytes());
    for (_, tensor) in order {
        extend(&mut bytes, tensor);
    }
    bytes
}

/// The format's name of an element type.
fn code(tensor: &Tensor) -> &'static str {
    match tensor {
        Tensor::F32(_) => "F32",
        Tensor::F64(_) => "F64",
        Tensor::I64(_) => "I64",
        Tensor::Bool(_) => "BOOL",
    }
}

/// Appends the elements, row-major and little-endian.
pub fn extend(bytes: &mut Vec<u8>, tensor: &Tensor) {
    match tensor {
        Tensor::F32(a) => a.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        Tensor::F64(a) => a.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        Tensor::I64(a) => a.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        Tensor::Bool(a) => a.iter().for_each(|&v| bytes.push(u8::from(v))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn file(header: &str, data: usize) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
    }

    fn first(bytes: &[u8]) -> Result<Tensor, String> {
        let said = |error: DataError| error.to_string();
        let file = TensorFile::open(bytes, "w.safetensors").map_err(said)?;
        let name = file.names()[0].to_string();
        file.read(&name, &mut vec![]).map_err(said)
    }

    #[test]
    fn what_is_written_is_read() {
        let (w, n) =
            (Tensor::F32(array![[1.0, 2.0], [3.0, f32::MIN_POSITIVE]].into_dyn()), Tensor::I64(array![7].into_dyn()));
        let (d, b) = (Tensor::F64(array![0.1].into_dyn()), Tensor::Bool(array![true, false, true].into_dyn()));
        let scalar = Tensor::F32(ndarray::arr0(2.5).into_dyn());
        let metadata = Metadata::from([("step".into(), "3".into()), ("a, \"b\"".into(), "ü, {}".into())]);
        let tensors = [("w", &w), ("mask, \"x\"", &b), ("n", &n), ("d", &d), ("s", &scalar)];
        let bytes = write(&tensors, &metadata);
        assert_eq!(bytes, write(&tensors, &metadata), "the same bytes each time");
        let file = TensorFile::open(&bytes, "w.safetensors").expect("whole");
        assert_eq!(file.metadata, metadata);
        assert_eq!(file.names(), ["n", "d", "w", "s", "mask, \"x\""]);
        for (name, tensor) in tensors {
            assert_eq!(&file.read(name, &mut vec![]).expect("as written"), tensor);
        }
        let said = file.read("m", &mut vec![]).expect_err("not there").to_string();
        assert!(said.contains("holds no tensor `m`"), "{said}");
    }

    #[test]
    fn other_element_types() {
        let mut notes = vec![];
        let mut bytes = file("{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 0);
        bytes.extend([0x80, 0x3f, 0x00, 0xc0]);
        let opened = TensorFile::open(&bytes, "w.safetensors").expect("whole");
        assert_eq!(opened.read("a", &mut notes).expect("bf16"), Tensor::F32(array![1.0, -2.0].into_dyn()));
        assert!(notes[0].contains("f32 from BF16"), "{notes:?}");
        let wide = file("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2);
        assert!(first(&wide).expect_err("f8").contains("F8_E4M3"));
    }

    #[test]
    fn hostile_headers_are_refused() {
        let whole = write(&[("w", &Tensor::F32(array![1.0, 2.0].into_dyn()))], &Metadata::new());
        for cut in 0..whole.len() {
            assert!(first(&whole[..cut]).is_err(), "cut at {cut}");
        }
        let one = |shape: &str, from: u64, to: u64| {
            format!("{{\"w\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{from},{to}]}}}}")
        };
        let cases = [
            (vec![255; 64], "100 MB"),
            ([&2u64.to_le_bytes()[..], b"[]"].concat(), "malformed"),
            (file(&one("[2]", 0, 8), 9), "do not fill"),
            (file(&one("[2]", 4, 12), 12), "overlaps another one or leaves a gap"),
            (file(&one("[3]", 0, 8), 8), "does not fit"),
            (file(&one("[4294967296,4294967296,4294967296]", 0, 8), 8), "too large"),
            (file(&one("[-1]", 0, 8), 8), "malformed"),
            (file(&one("[0,18446744073709551615,18446744073709551615]", 0, 0), 0), "too large"),
            (file("{\"w\":{\"dtype\":\"Q9\",\"shape\":[],\"data_offsets\":[0,4]}}", 4), "malformed"),
            (
                file(
                    "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\
                      \"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
                    8,
                ),
                "w",
            ),
            (file(&("[".repeat(100_000)), 0), "malformed"),
        ];
        for (bytes, word) in cases {
            let said = first(&bytes).expect_err(word);
            assert!(said.contains(word) && said.contains("w.safetensors"), "{said}");
        }
    }
}
