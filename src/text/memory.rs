//! Files in memory: for a program that has no disk, and for tests, which make the k-th write fail.

use super::{FileError, Files};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Files by path.
///
/// ```
/// use wythe::text::{Files, memory::Memory};
///
/// let files = Memory::with("rows.csv", "x,y\n1,0\n");
/// assert_eq!(files.read("rows.csv", 1 << 20)?.len(), 8);
/// files.fail_at.set(Some(0));
/// assert!(files.write("run/log", b"step 1").is_err());
/// # Ok::<(), wythe::text::FileError>(())
/// ```
#[derive(Debug, Default)]
pub struct Memory {
    /// What each holds.
    pub files: RefCell<BTreeMap<String, Vec<u8>>>,
    /// How many writes have been asked for.
    pub writes: Cell<usize>,
    /// This write (from 0) fails, and every one after it: a disk that is full.
    pub fail_at: Cell<Option<usize>>,
}

impl Memory {
    /// One file.
    pub fn with(path: &str, bytes: impl AsRef<[u8]>) -> Memory {
        let memory = Memory::default();
        memory.put(path, bytes);
        memory
    }

    /// Puts a file there: no write of the program, so it is not counted.
    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        self.files.borrow_mut().insert(path.into(), bytes.as_ref().into());
    }

    /// What a file holds, if it is there.
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.files.borrow().get(path).cloned()
    }

    fn count(&self, path: &str) -> Result<(), FileError> {
        let k = self.writes.replace(self.writes.get() + 1);
        match self.fail_at.get() {
            Some(at) if k >= at => Err(FileError { path: path.into(), reason: "no space left on device".into() }),
            _ => Ok(()),
        }
    }
}

impl Files for Memory {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FileError> {
        let missing = FileError { path: path.into(), reason: "no such file".into() };
        let bytes = self.get(path).ok_or(missing)?;
        if bytes.len() as u64 > limit {
            return Err(FileError { path: path.into(), reason: format!("over the limit of {limit} bytes") });
        }
        Ok(bytes)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.count(path)?;
        self.put(path, bytes);
        Ok(())
    }

    fn append(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.count(path)?;
        self.files.borrow_mut().entry(path.into()).or_default().extend(bytes);
        Ok(())
    }

    fn exists(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        self.files.borrow().keys().any(|key| key == path || key.starts_with(&folder))
    }
}
