//! IDX: the format of MNIST and its kin, plain or gzipped.

use super::{DataError, EXPANDED_LIMIT, npy};
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};
use std::io::Read;

/// The array of an IDX file; u8 with `scale` becomes f32 in 0 … 1, without it i64.
pub fn read(bytes: &[u8], file: &str) -> Result<Tensor, DataError> {
    let bad =
        |reason: String| DataError::new("data::idx", file, reason).help("idx(images, labels) reads MNIST's files");
    let unpacked;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        unpacked = gunzip(bytes, file)?;
        &unpacked[..]
    } else {
        bytes
    };
    let Some(&[0, 0, kind, rank]) = bytes.get(..4) else {
        return Err(bad("not an IDX file: it does not begin with two zero bytes".into()));
    };
    let sizes = bytes.get(4..4 + 4 * usize::from(rank)).ok_or_else(|| bad("cut short inside the header".into()))?;
    let shape: Vec<usize> = sizes.as_chunks::<4>().0.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    let data = &bytes[4 + sizes.len()..];
    let size = match kind {
        8 | 9 => 1,
        11 => 2,
        12 | 13 => 4,
        14 => 8,
        _ => return Err(bad(format!("elements of kind 0x{kind:02x} are not known")).at("byte 2")),
    };
    let wanted = npy::count(&shape).and_then(|count| count.checked_mul(size));
    if wanted != Some(data.len()) || shape.len() > 32 {
        let reason = format!("the shape {shape:?} does not fit the {} bytes that follow", data.len());
        return Err(bad(reason).at(format!("byte {}", 4 + sizes.len())));
    }
    fn array<T, const N: usize>(data: &[u8], shape: &[usize], of: impl Fn([u8; N]) -> T) -> Option<ArrayD<T>> {
        let values = data.as_chunks::<N>().0.iter().map(|&cell| of(cell)).collect();
        ArrayD::from_shape_vec(IxDyn(shape), values).ok()
    }
    let tensor = match kind {
        8 => array(data, &shape, |[byte]: [u8; 1]| i64::from(byte)).map(Tensor::I64),
        9 => array(data, &shape, |cell| i64::from(i8::from_be_bytes(cell))).map(Tensor::I64),
        11 => array(data, &shape, |cell| i64::from(i16::from_be_bytes(cell))).map(Tensor::I64),
        12 => array(data, &shape, |cell| i64::from(i32::from_be_bytes(cell))).map(Tensor::I64),
        13 => array(data, &shape, f32::from_be_bytes).map(Tensor::F32),
        _ => array(data, &shape, f64::from_be_bytes).map(Tensor::F64),
    };
    tensor.ok_or_else(|| bad(format!("the shape {shape:?} is too large")))
}

/// What a gzip stream holds, counted while it comes.
pub fn gunzip(bytes: &[u8], file: &str) -> Result<Vec<u8>, DataError> {
    let mut out = vec![];
    let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(EXPANDED_LIMIT + 1);
    let read = reader.read_to_end(&mut out);
    read.map_err(|e| {
        DataError::new("data::gzip", file, format!("cannot be unpacked ({e})")).help("get the file again")
    })?;
    if out.len() as u64 > EXPANDED_LIMIT {
        return Err(DataError::new("data::limit", file, format!("unpacks to more than {} GB", EXPANDED_LIMIT >> 30)));
    }
    Ok(out)
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
        assert_eq!(read(&images(), "i"), Ok(want.clone()));
        let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
        packed.write_all(&images()).expect("into memory");
        let packed = packed.finish().expect("into memory");
        assert_eq!(read(&packed, "i.gz"), Ok(want));
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
        assert!(read(&huge, "i").expect_err("huge").to_string().contains("does not fit"));
        assert!(read(&[0, 0, 10, 0], "i").expect_err("kind").to_string().contains("0x0a"));
        assert!(read(b"P5 28 28", "i").is_err());
    }
}
