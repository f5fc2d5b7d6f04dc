//! `.npz`: a zip of `.npy` files, as `numpy.savez` and `savez_compressed` write it.
//!
//! A zip entry's declared size is a claim: what comes out is counted while it comes.

use super::error::near_or_all;
use super::room::{Unpack, no_room, peek, unpack};
use super::{DataError, EXPANDED_LIMIT, npy};
use crate::tensor::Tensor;
use std::io::Cursor;

/// The entries of an archive: a numpy file has a handful.
const ENTRIES: usize = 10_000;

/// An open archive over bytes.
pub struct Npz<'a> {
    file: &'a str,
    zip: zip::ZipArchive<Cursor<&'a [u8]>>,
    names: Vec<String>,
}

impl<'a> Npz<'a> {
    /// Reads the directory.
    pub fn open(bytes: &'a [u8], file: &'a str) -> Result<Npz<'a>, DataError> {
        let bad = |reason: String| {
            DataError::new("data::npz", file, reason).help("write it with numpy.savez(path, x = …, y = …)")
        };
        // The directory is a claim, too: so many of its headers must stand there.
        let headers = bytes.windows(4).filter(|four| *four == b"PK\x01\x02").take(ENTRIES + 1).count();
        if headers > ENTRIES {
            return Err(bad(format!("more than {ENTRIES} entries")).at("its directory"));
        }
        let zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| bad(format!("not a .npz file ({e})")))?;
        let mut names: Vec<String> = vec![];
        for name in zip.file_names() {
            let name = name.map_err(|e| bad(format!("an entry whose name cannot be read ({e})")))?;
            names.push(name.strip_suffix(".npy").unwrap_or(&name).to_string());
        }
        if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(bad(format!("two entries are called `{}`", twice.1)).at("its directory"));
        }
        // An archive keeps one entry a name: of two equal ones it would silently be the last.
        if entries(bytes).is_some_and(|claimed| claimed != names.len()) {
            let reason = format!(
                "its directory does not list {} different entries, as it claims: a name is there twice",
                entries(bytes).unwrap_or(0)
            );
            return Err(bad(reason).at("its directory"));
        }
        Ok(Npz { file, zip, names })
    }

    /// The names of its arrays, in the order of the file.
    pub fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// The shape that an array claims, before anything is unpacked; none where it cannot be told.
    pub fn shape(&mut self, name: &str) -> Option<Vec<usize>> {
        let index = self.names.iter().position(|other| other == name)?;
        npy::shape(&peek(self.zip.by_index(index).ok()?, npy::START).ok()?)
    }

    /// One array.
    pub fn read(&mut self, name: &str, notes: &mut Vec<String>) -> Result<Tensor, DataError> {
        let file = self.file;
        let Some(index) = self.names.iter().position(|other| other == name) else {
            let error = DataError::new("data::name", file, format!("holds no array `{name}`"));
            return Err(error.help(near_or_all(name, &self.names())));
        };
        let bad = |reason: String| {
            let error = DataError::new("data::npz", file, reason).at(format!("array `{name}`"));
            error.help("get the file again, or write it with numpy.savez(path, x = …, y = …)")
        };
        let damaged = |error: std::io::Error| bad(format!("is damaged ({error})"));
        let unreadable = |e: zip::result::ZipError| bad(format!("cannot be read ({e})"));
        // What comes out is compared with what the array's own header claims before more than that is kept.
        let start = peek(self.zip.by_index(index).map_err(unreadable)?, npy::START).map_err(damaged)?;
        let inside = |error| DataError { place: Some(format!("array `{name}`")), ..error };
        let Some(limit) = npy::claimed(&start).map(|claimed| claimed.min(EXPANDED_LIMIT)) else {
            return npy::read(&start, file, notes).map_err(inside);
        };
        let bytes = unpack(self.zip.by_index(index).map_err(unreadable)?, limit).map_err(|why| match why {
            Unpack::Damaged(error) => damaged(error),
            Unpack::TooLong => bad(format!("unpacks to more than the {limit} bytes that its header claims")),
            Unpack::NoRoom => no_room(file, limit as usize),
        })?;
        npy::read(&bytes, file, notes).map_err(inside)
    }
}

/// How many entries the directory's end claims, where it can say so (up to 65,534).
fn entries(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(22).rposition(|window| window.starts_with(b"PK\x05\x06"))?;
    let claimed = u16::from_le_bytes([bytes[end + 10], bytes[end + 11]]);
    (claimed != u16::MAX).then_some(usize::from(claimed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::npy::tests::npy;
    use std::io::Write;

    fn npz(entries: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
        for (name, bytes) in entries {
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            writer.start_file(*name, options).expect("an entry");
            writer.write_all(bytes).expect("its bytes");
        }
        writer.finish().expect("a directory").into_inner()
    }

    #[test]
    fn arrays_by_name() {
        for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
            let x = npy("<i8", false, "(2,)", &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
            let bytes = npz(&[("x.npy", x), ("y.npy", npy("|b1", false, "(1,)", &[1]))], method);
            let mut archive = Npz::open(&bytes, "d.npz").expect("an archive");
            assert_eq!(archive.names(), ["x", "y"]);
            let Ok(Tensor::I64(x)) = archive.read("x", &mut vec![]) else { panic!("x") };
            assert_eq!(x.into_raw_vec_and_offset().0, [1, 2]);
            let said = archive.read("labels", &mut vec![]).expect_err("no such array").to_string();
            assert!(said.contains("d.npz") && said.contains("`labels`") && said.contains("`x`, `y`"), "{said}");
        }
    }

    #[test]
    fn damage_is_refused() {
        let x = npy("<f4", false, "(64,)", &[7; 256]);
        let whole = npz(&[("x.npy", x)], zip::CompressionMethod::Stored);
        let open = |bytes: &[u8]| Npz::open(bytes, "d.npz").and_then(|mut npz| npz.read("x", &mut vec![]));
        assert!(open(&whole).is_ok());
        for cut in 0..whole.len() {
            assert!(open(&whole[..cut]).is_err(), "cut at {cut}");
        }
        // A flipped bit of the data breaks the entry's checksum.
        for at in [200, 300] {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            let said = open(&bytes).expect_err("a flipped bit").to_string();
            assert!(said.contains("d.npz") && said.contains("array `x`"), "{said}");
        }
        // A pickle in the archive is refused as in a plain file.
        let bytes = npz(&[("x.npy", npy("|O", false, "(1,)", b"."))], zip::CompressionMethod::Deflated);
        assert!(open(&bytes).expect_err("a pickle").to_string().contains("Python objects"));
    }
}
