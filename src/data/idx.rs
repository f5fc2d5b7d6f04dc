//! IDX: the format of MNIST and its kin, plain or gzipped.

use super::error::clip_shape;
use super::room::{Unpack, collect, no_room, peek, unpack};
use super::{DataError, EXPANDED_LIMIT, FILE_LIMIT, npy};
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};

/// The array of an IDX file, and whether its elements are bytes. Integers become i64.
pub fn read(bytes: &[u8], file: &str) -> Result<(Tensor, bool), DataError> {
    let unpacked;
    let bytes = if is_packed(bytes) {
        // What comes out is compared with what the header in it claims before more than that is kept.
        let start = peek(flate2::read::MultiGzDecoder::new(bytes), 4 + 4 * 255).map_err(|e| broken(file, &e))?;
        let claimed = Header::parse(&start, file)?.length(file)?;
        unpacked = gunzip_within(bytes, file, claimed)?;
        &unpacked[..]
    } else {
        bytes
    };
    let header = Header::parse(bytes, file)?;
    let shape = header.shape.clone();
    if header.length(file)? != bytes.len() as u64 {
        return Err(header.misfit(file, (bytes.len() - header.data) as u64));
    }
    let data = &bytes[header.data..];
    fn array<T, const N: usize>(data: &[u8], shape: &[usize], of: impl Fn([u8; N]) -> T) -> Option<ArrayD<T>> {
        let cells = data.as_chunks::<N>().0;
        ArrayD::from_shape_vec(IxDyn(shape), collect(cells.len(), cells.iter().map(|&cell| of(cell)))?).ok()
    }
    let tensor = match header.kind {
        8 => array(data, &shape, |[byte]: [u8; 1]| i64::from(byte)).map(Tensor::I64),
        9 => array(data, &shape, |cell| i64::from(i8::from_be_bytes(cell))).map(Tensor::I64),
        11 => array(data, &shape, |cell| i64::from(i16::from_be_bytes(cell))).map(Tensor::I64),
        12 => array(data, &shape, |cell| i64::from(i32::from_be_bytes(cell))).map(Tensor::I64),
        13 => array(data, &shape, f32::from_be_bytes).map(Tensor::F32),
        _ => array(data, &shape, f64::from_be_bytes).map(Tensor::F64),
    };
    let tensor = tensor.ok_or_else(|| no_room(file, 8 * data.len()))?;
    Ok((tensor, header.kind == 8))
}

/// What the first bytes say.
struct Header {
    kind: u8,
    shape: Vec<usize>,
    /// Where the elements begin.
    data: usize,
}

impl Header {
    fn parse(bytes: &[u8], file: &str) -> Result<Header, DataError> {
        let Some(&[0, 0, kind, rank]) = bytes.get(..4) else {
            return Err(bad(file, "not an IDX file: it does not begin with two zero bytes".into()).at("byte 0"));
        };
        let data = 4 + 4 * usize::from(rank);
        let sizes = bytes.get(4..data).ok_or_else(|| bad(file, "cut short inside the header".into()).at("byte 4"))?;
        let shape = sizes.as_chunks::<4>().0.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
        Ok(Header { kind, shape, data })
    }

    /// How long the whole file must be.
    fn length(&self, file: &str) -> Result<u64, DataError> {
        let size = match self.kind {
            8 | 9 => 1,
            11 => 2,
            12 | 13 => 4,
            14 => 8,
            kind => return Err(bad(file, format!("elements of kind 0x{kind:02x} are not known")).at("byte 2")),
        };
        let bytes = npy::count(&self.shape).filter(|_| self.shape.len() <= 32).and_then(|n| n.checked_mul(size));
        let too_large = || bad(file, format!("the shape {} is too large", clip_shape(&self.shape))).at("byte 4");
        let bytes = bytes.filter(|&bytes| bytes as u64 <= FILE_LIMIT).ok_or_else(too_large)?;
        Ok((self.data + bytes) as u64)
    }

    fn misfit(&self, file: &str, found: u64) -> DataError {
        let reason = format!("the shape {} does not fit the {found} bytes that follow", clip_shape(&self.shape));
        bad(file, reason).at(format!("byte {}", self.data))
    }
}

fn bad(file: &str, reason: String) -> DataError {
    DataError::new("data::idx", file, reason).help("idx(images, labels) reads MNIST's files: get it again")
}

fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

fn broken(file: &str, error: &std::io::Error) -> DataError {
    DataError::new("data::gzip", file, format!("cannot be unpacked ({error})")).help("get the file again")
}

/// What a gzip stream holds, counted while it comes.
pub fn gunzip(bytes: &[u8], file: &str) -> Result<Vec<u8>, DataError> {
    gunzip_within(bytes, file, EXPANDED_LIMIT)
}

fn gunzip_within(bytes: &[u8], file: &str, limit: u64) -> Result<Vec<u8>, DataError> {
    unpack(flate2::read::MultiGzDecoder::new(bytes), limit.min(EXPANDED_LIMIT)).map_err(|why| match why {
        Unpack::Damaged(error) => broken(file, &error),
        Unpack::TooLong => DataError::new(
            "data::limit",
            file,
            format!("unpacks to more than the {limit} bytes that its header claims"),
        )
        .help("the file is damaged, or means harm: get it again"),
        Unpack::NoRoom => no_room(file, limit as usize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn images() -> Vec<u8> {
        [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[0, 255, 7, 8]].concat()
    }

    #[test]
    fn plain_and_gzipped() {
        let want = Tensor::I64(ndarray::array![[[0, 255]], [[7, 8]]].into_dyn());
        assert_eq!(read(&images(), "i"), Ok((want.clone(), true)));
        let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
        packed.write_all(&images()).expect("into memory");
        let packed = packed.finish().expect("into memory");
        assert_eq!(read(&packed, "i.gz"), Ok((want, true)));
        for cut in 2..packed.len() {
            assert!(read(&packed[..cut], "i.gz").is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn hostile_files_are_refused() {
        for cut in 0..images().len() {
            assert!(read(&images()[..cut], "i").is_err(), "cut at {cut}");
        }
        let huge = [&[0, 0, 14, 4][..], &[255; 16]].concat();
        assert!(read(&huge, "i").expect_err("huge").to_string().contains("too large"));
        assert!(read(&[0, 0, 10, 0], "i").expect_err("kind").to_string().contains("0x0a"));
        assert!(read(b"P5 28 28", "i").is_err());
    }
}
