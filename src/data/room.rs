//! Memory that is asked for before it is taken: what a file claims may be more than there is.

use super::DataError;
use std::io::Read;

/// Whether so many bytes can be had now.
pub fn room(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

/// The error of what does not fit.
pub fn no_room(file: &str, bytes: usize) -> DataError {
    let size = crate::text::size_words(bytes as u64);
    DataError::new("data::limit", file, format!("its rows take {size}, more memory than can be had"))
        .help("give fewer rows, or run where there is more memory")
}

/// So many values in a vector; none where there is no room for them.
pub fn collect<T>(count: usize, values: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let mut all = vec![];
    all.try_reserve_exact(count).ok()?;
    all.extend(values.take(count));
    Some(all)
}

/// Why something could not be unpacked.
pub enum Unpack {
    /// It is damaged.
    Damaged(std::io::Error),
    /// It is longer than it may be.
    TooLong,
    /// There is no room for it.
    NoRoom,
}

/// Everything that comes, counted while it comes: a compressed size says nothing, and a declared one is a claim.
pub fn unpack(mut from: impl Read, limit: u64) -> Result<Vec<u8>, Unpack> {
    let (mut all, mut part) = (Vec::new(), [0u8; 1 << 14]);
    loop {
        match from.read(&mut part) {
            Ok(0) => return Ok(all),
            Ok(read) if all.len() as u64 + read as u64 > limit => return Err(Unpack::TooLong),
            Ok(read) => {
                all.try_reserve(read).map_err(|_| Unpack::NoRoom)?;
                all.extend_from_slice(&part[..read]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Unpack::Damaged(error)),
        }
    }
}

/// The first bytes of what comes.
pub fn peek(from: impl Read, limit: usize) -> Result<Vec<u8>, std::io::Error> {
    let mut first = vec![];
    from.take(limit as u64).read_to_end(&mut first)?;
    Ok(first)
}
