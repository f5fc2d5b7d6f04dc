//! `.npy`: one array, as `numpy.save` writes it.
//!
//! By hand: the format is a magic, a length and a literal of three fixed keys. (npyz 0.9 allocates the header's declared
//! length, up to 4 GB, before it reads, multiplies the declared shape unchecked, and parses any Python literal.)
//! Declared sizes are claims: everything is compared with the bytes that are there before it is allocated.

use super::DataError;
use super::error::{clip, clip_shape};
use super::room::{collect, room};
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};

const MAGIC: &[u8] = b"\x93NUMPY";
/// numpy's own headers take 118 bytes for any plain array.
const HEADER_LIMIT: usize = 1 << 16;

/// The array of a `.npy` file; notes say what was converted.
pub fn read(bytes: &[u8], file: &str, notes: &mut Vec<String>) -> Result<Tensor, DataError> {
    let bad = |reason: String| DataError::new("data::npy", file, reason).help("write it with numpy.save(path, array)");
    let header = Header::parse(bytes).map_err(bad)?;
    let data = &bytes[header.data..];
    let (kind, size, big) = header.element().map_err(bad)?;
    let count =
        count(&header.shape).ok_or_else(|| bad(format!("the shape {} is too large", clip_shape(&header.shape))))?;
    let wanted =
        count.checked_mul(size).ok_or_else(|| bad(format!("the shape {} is too large", clip_shape(&header.shape))))?;
    if data.len() != wanted {
        let what = if data.len() < wanted { "cut short" } else { "too long" };
        return Err(bad(format!(
            "{what}: {} of shape {} take {wanted} bytes, the file has {}",
            clip(&header.descr),
            clip_shape(&header.shape),
            data.len()
        ))
        .at(format!("byte {}", header.data)));
    }
    let cells = data.chunks_exact(size.max(1));
    let no_room = || super::room::no_room(file, 8 * count);
    let cell = |chunk: &[u8]| {
        let mut raw = [0u8; 8];
        raw[..size].copy_from_slice(chunk);
        if big {
            raw[..size].reverse();
        }
        u64::from_le_bytes(raw)
    };
    let signed = |raw: u64| (raw << (64 - 8 * size)) as i64 >> (64 - 8 * size);
    let shape = &header.shape;
    let fortran = header.fortran;
    // In Fortran order the elements are brought in order as a copy.
    if fortran && !room(16 * count) {
        return Err(no_room());
    }
    fn all<T>(
        count: usize,
        values: impl Iterator<Item = T>,
        no_room: impl Fn() -> DataError,
    ) -> Result<Vec<T>, DataError> {
        collect(count, values).ok_or_else(no_room)
    }
    match (kind, size) {
        ('f', 4) => {
            let values = all(count, cells.map(|c| f32::from_bits(cell(c) as u32)), no_room)?;
            shaped(values, shape, fortran).map(Tensor::F32)
        }
        ('f', 8) => {
            shaped(all(count, cells.map(|c| f64::from_bits(cell(c))), no_room)?, shape, fortran).map(Tensor::F64)
        }
        ('f', _) => {
            notes.push(format!("{file}: f16 was read as f32"));
            shaped(all(count, cells.map(|c| half(cell(c) as u16)), no_room)?, shape, fortran).map(Tensor::F32)
        }
        ('b', _) => {
            if let Some(at) = data.iter().position(|&byte| byte > 1) {
                let at_byte = format!("byte {}", header.data + at);
                return Err(bad(format!("{} is neither true (1) nor false (0)", data[at])).at(at_byte));
            }
            shaped(all(count, data.iter().map(|&byte| byte == 1), no_room)?, shape, fortran).map(Tensor::Bool)
        }
        ('i', _) => shaped(all(count, cells.map(|c| signed(cell(c))), no_room)?, shape, fortran).map(Tensor::I64),
        _ => {
            if let Some((at, value)) = cells.clone().map(cell).enumerate().find(|(_, value)| *value > i64::MAX as u64) {
                let at_byte = format!("byte {}", header.data + at * size);
                return Err(bad(format!("{value} is too large for i64")).at(at_byte));
            }
            shaped(all(count, cells.map(|c| cell(c) as i64), no_room)?, shape, fortran).map(Tensor::I64)
        }
    }
    .ok_or_else(|| bad(format!("the shape {} is too large", clip_shape(&header.shape))))
}

/// How long a `.npy` file is that begins with these bytes, and the most that a header takes; none where it cannot be told.
pub(super) fn claimed(start: &[u8]) -> Option<u64> {
    Header::parse(start).ok()?.length()
}

/// The shape that a `.npy` file claims which begins with these bytes.
pub(super) fn shape(start: &[u8]) -> Option<Vec<usize>> {
    Header::parse(start).ok().map(|header| header.shape)
}

/// So much of a file tells its length.
pub(super) const START: usize = HEADER_LIMIT + 12;

/// What the header says.
struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
    /// Where the elements begin.
    data: usize,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Header, String> {
        if !bytes.starts_with(MAGIC) {
            return Err("not a .npy file: it does not begin with \\x93NUMPY".into());
        }
        let version = bytes.get(6..8).ok_or("cut short inside the header")?;
        let (from, length) = match (version, bytes.get(8..10), bytes.get(8..12)) {
            ([1, _], Some(&[a, b]), _) => (10, usize::from(u16::from_le_bytes([a, b]))),
            ([2 | 3, _], _, Some(&[a, b, c, d])) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
            ([1..=3, _], ..) => return Err("cut short inside the header".into()),
            _ => return Err(format!("version {}.{} of the format is not known", version[0], version[1])),
        };
        if length > HEADER_LIMIT {
            return Err(format!("a header of {length} bytes, over the limit of {HEADER_LIMIT}"));
        }
        let text = bytes.get(from..from + length).ok_or("cut short inside the header")?;
        let text = std::str::from_utf8(text).map_err(|_| "the header is not text".to_string())?;
        let mut words = Words { rest: text };
        let header = words.dict().ok_or_else(|| format!("the header `{}` is not that of an array", shown(text)))?;
        let (descr, fortran, shape) = header;
        Ok(Header { descr, fortran, shape, data: from + length })
    }

    /// How long the whole file must be.
    fn length(&self) -> Option<u64> {
        let (_, size, _) = self.element().ok()?;
        Some((count(&self.shape)?.checked_mul(size)?).checked_add(self.data)? as u64)
    }

    /// Kind (`f i u b`), bytes an element, whether big-endian.
    fn element(&self) -> Result<(char, usize, bool), String> {
        let known = |order: char, kind: char, size: usize| {
            let fits = match kind {
                'f' => matches!(size, 2 | 4 | 8),
                'i' | 'u' => matches!(size, 1 | 2 | 4 | 8),
                'b' => size == 1,
                _ => false,
            };
            (fits && matches!(order, '<' | '>' | '|' | '=')).then_some((kind, size, order == '>'))
        };
        let mut chars = self.descr.chars();
        let parts = (chars.next(), chars.next(), chars.as_str().parse::<usize>());
        match parts {
            (Some(order), Some(kind), Ok(size)) if known(order, kind, size).is_some() => {
                known(order, kind, size).ok_or_else(String::new)
            }
            (_, Some('O'), _) => {
                Err("holds Python objects (dtype object, a pickle), which could run code when read".into())
            }
            _ => Err(format!("elements of type `{}` cannot be read: use float, int or bool", shown(&self.descr))),
        }
    }
}

/// A reader of just the literal that numpy writes.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn eat(&mut self, sign: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(sign)?;
        Some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (word, rest) = rest[1..].split_once(quote)?;
        self.rest = rest;
        Some(word)
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        self.rest = &rest[end..];
        &rest[..end]
    }

    fn shape(&mut self) -> Option<Vec<usize>> {
        self.eat('(')?;
        let mut sizes = vec![];
        while self.eat(')').is_none() {
            // Python 2 wrote long integers as 3L.
            sizes.push(self.word().trim_end_matches('L').parse().ok()?);
            if self.eat(',').is_none() {
                self.eat(')')?;
                break;
            }
        }
        (sizes.len() <= 32).then_some(sizes)
    }

    fn dict(&mut self) -> Option<(String, bool, Vec<usize>)> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.eat('{')?;
        while self.eat('}').is_none() {
            let key = self.quoted()?;
            self.eat(':')?;
            match key {
                // A list here is a record: several values an element.
                "descr" if descr.is_none() => descr = Some(self.quoted()?.to_string()),
                "fortran_order" if fortran.is_none() => {
                    fortran = match self.word() {
                        "True" => Some(true),
                        "False" => Some(false),
                        _ => return None,
                    };
                }
                "shape" if shape.is_none() => shape = Some(self.shape()?),
                _ => return None,
            }
            if self.eat(',').is_none() {
                self.eat('}')?;
                break;
            }
        }
        self.rest.trim().is_empty().then_some(())?;
        Some((descr?, fortran?, shape?))
    }
}

/// The first characters of a text that may be anything.
fn shown(text: &str) -> String {
    let text: String = text.trim().chars().take(60).filter(|c| !c.is_control()).collect();
    text
}

/// The number of elements, with the non-zero sizes multiplied too, so that a 0 makes nothing harmless.
pub fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().filter(|&&size| size != 0).try_fold(1usize, |all, &size| all.checked_mul(size))?;
    Some(shape.iter().product())
}

/// A row-major array of elements that lie in either order.
fn shaped<T: Clone>(values: Vec<T>, shape: &[usize], fortran: bool) -> Option<ArrayD<T>> {
    if !fortran {
        return ArrayD::from_shape_vec(IxDyn(shape), values).ok();
    }
    let reversed: Vec<usize> = shape.iter().rev().copied().collect();
    let array = ArrayD::from_shape_vec(IxDyn(&reversed), values).ok()?.reversed_axes();
    Some(array.as_standard_layout().into_owned())
}

/// An f16 as f32, exactly.
pub fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, u32::from(bits >> 10) & 31, u32::from(bits) & 1023);
    match (exponent, fraction) {
        (0, _) => {
            let value = fraction as f32 * (1.0 / 16_777_216.0);
            f32::from_bits(value.to_bits() | sign)
        }
        (31, _) => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A version 1 file as numpy writes it.
    pub fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes()].concat();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn get(bytes: &[u8]) -> Result<Tensor, String> {
        read(bytes, "x.npy", &mut vec![]).map_err(|error| error.to_string())
    }

    #[test]
    fn plain_arrays() {
        let floats: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let Ok(Tensor::F32(a)) = get(&npy("<f4", false, "(2, 3)", &floats)) else { panic!("f32") };
        assert_eq!((a.shape(), a[[1, 0]]), (&[2, 3][..], 4.0));
        let Ok(Tensor::F32(a)) = get(&npy("<f4", true, "(2, 3)", &floats)) else { panic!("Fortran order") };
        assert_eq!((a[[1, 0]], a[[0, 1]]), (2.0, 3.0));
        assert!(a.is_standard_layout());
        let big: Vec<u8> = [-2i16, 300].iter().flat_map(|v| v.to_be_bytes()).collect();
        let Ok(Tensor::I64(a)) = get(&npy(">i2", false, "(2,)", &big)) else { panic!("big-endian") };
        assert_eq!(a.into_raw_vec_and_offset().0, [-2, 300]);
        let Ok(Tensor::Bool(a)) = get(&npy("|b1", false, "()", &[1])) else { panic!("a scalar") };
        assert_eq!((a.ndim(), a.first()), (0, Some(&true)));
        let Ok(Tensor::F64(a)) = get(&npy("<f8", false, "(0, 5)", &[])) else { panic!("empty") };
        assert_eq!(a.shape(), [0, 5]);
    }

    #[test]
    fn halves_are_exact() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 5.960_464_5e-8), (0x7bff, 65504.0), (0x8000, -0.0)]
        {
            assert_eq!(half(bits).to_bits(), (value as f32).to_bits());
        }
        assert!(half(0x7e00).is_nan() && half(0x7c00) == f32::INFINITY);
    }

    #[test]
    fn hostile_files_are_refused() {
        let whole = npy("<f4", false, "(2, 3)", &[0; 24]);
        for cut in 0..whole.len() {
            assert!(get(&whole[..cut]).is_err(), "cut at {cut}");
        }
        let cases: [(Vec<u8>, &str); 10] = [
            (npy("|O", false, "(2,)", b"cos\nsystem"), "Python objects"),
            (npy("<c8", false, "(2,)", &[0; 16]), "`<c8`"),
            (npy("<f4", false, "(99999999999, 99999999999)", &[]), "too large"),
            (npy("<f4", false, "(0, 99999999999, 99999999999)", &[]), "too large"),
            (npy("<f4", false, "(-1,)", &[]), "not that of an array"),
            (npy("<f4", false, "(1e9,)", &[]), "not that of an array"),
            (npy("<f4", false, "(3,)", &[0; 16]), "too long"),
            (npy("|b1", false, "(2,)", &[1, 7]), "neither true"),
            (npy("<u8", false, "(1,)", &[255; 8]), "too large for i64"),
            ([MAGIC, &[2, 0, 255, 255, 255, 255], b"{}"].concat(), "over the limit"),
        ];
        for (bytes, word) in cases {
            let said = get(&bytes).expect_err(word);
            assert!(said.contains(word) && said.contains("x.npy"), "{said}");
        }
    }
}
