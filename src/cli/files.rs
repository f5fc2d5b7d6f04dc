//! The disk: the only implementation of [`Files`] that the program has.

use crate::text::{FileError, Files, size_words};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The file system, from the folder where the program runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Disk {
    /// Takes the checkpoints of an earlier run away, `best` and `step-000500`, before another begins in its place: they
    /// would pass for its own. `last` stays until the new run replaces it.
    pub fn remove_checkpoints(&self, out: &str) -> Result<(), FileError> {
        let ours = |name: &str| {
            let step =
                name.strip_prefix("step-").is_some_and(|n| n.len() >= 6 && n.bytes().all(|c| c.is_ascii_digit()));
            step || name == "best"
        };
        for entry in fs::read_dir(out).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(ours) {
                continue;
            }
            let folder = entry.path();
            for name in ["model.safetensors", "resume.safetensors"] {
                let path = folder.join(name);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(FileError { path: path.to_string_lossy().into(), reason: words(&error) });
                    }
                    Ok(()) | Err(_) => {}
                }
            }
            // What else somebody put there stays.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}

/// The most that is read of a pipe or a device.
const ENDLESS: u64 = 1 << 30;

impl Files for Disk {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FileError> {
        let fail = |reason: String| FileError { path: path.into(), reason };
        let failed = |error: io::Error| fail(words(&error));
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if about.is_dir() {
            return Err(fail("is a folder".into()));
        }
        // What has no size of its own may have no end.
        let limit = if about.is_file() { limit } else { limit.min(ENDLESS) };
        let too_large = |size: u64| fail(format!("{}, over the limit of {}", size_words(size), size_words(limit)));
        if about.len() > limit {
            return Err(too_large(about.len()));
        }
        // The size is a hint (a pipe has none): what is read is counted.
        let mut bytes = vec![];
        let no_memory = |_| fail(format!("{} do not fit into memory", size_words(about.len())));
        bytes.try_reserve_exact(about.len() as usize).map_err(no_memory)?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        replace(Path::new(path), bytes).map_err(|error| FileError { path: path.into(), reason: words(&error) })
    }

    fn append(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        let append = || OpenOptions::new().append(true).create(true).open(path)?.write_all(bytes);
        append().map_err(|error| FileError { path: path.into(), reason: words(&error) })
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }
}

/// Replaces a file as a whole: whoever opens it sees the old bytes or the new ones, also after a power cut.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_string_lossy().into_owned();
    sweep(folder, &name);
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = write_whole(&temporary, &target, bytes).and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
        return written;
    }
    sync_folder(folder)
}

fn write_whole(temporary: &Path, target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(bytes)?;
    if let Ok(old) = fs::metadata(target) {
        file.set_permissions(old.permissions())?;
    }
    file.sync_all()
}

/// Removes temporaries that killed processes have left.
fn sweep(folder: &Path, name: &str) {
    let prefix = format!(".{name}.");
    let dead = |entry: &fs::DirEntry| -> Option<PathBuf> {
        let file = entry.file_name();
        let pid = file.to_str()?.strip_prefix(&prefix)?.strip_suffix(".tmp")?.parse::<u32>().ok()?;
        // Where /proc does not tell who lives, a temporary of yesterday is a dead one's.
        let alive = if Path::new("/proc/self").exists() {
            Path::new("/proc").join(pid.to_string()).exists()
        } else {
            let age = entry.metadata().and_then(|about| about.modified()).ok()?.elapsed().unwrap_or_default();
            age.as_secs() < 86_400
        };
        (!alive).then(|| entry.path())
    };
    for path in fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| dead(&entry)) {
        let _ = fs::remove_file(path);
    }
}

/// Makes a rename last. A folder cannot be opened everywhere (Windows): there the rename must do.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        Err(_) if cfg!(windows) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The reason without the system's `(os error 2)`.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "is a folder".into(),
        io::ErrorKind::NotADirectory => "a part of this path is a file, not a folder".into(),
        io::ErrorKind::AlreadyExists => "there is a file where a folder is wanted".into(),
        io::ErrorKind::StorageFull => "no space left on the disk".into(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or(&text);
            let mut letters = text.chars();
            letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own, gone afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("wythe-files-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder for the test");
            Folder(path)
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).to_string_lossy().into_owned()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = Folder::new("whole");
        let path = folder.path("a/b/c.txt");
        Disk.write(&path, b"one").expect("folders are made");
        Disk.write(&path, b"two").expect("replaced");
        Disk.append(&path, b"!").expect("appended");
        assert_eq!(Disk.read(&path, 4).expect("within the limit"), b"two!");
        assert!(Disk.exists(&path) && Disk.exists(&folder.path("a")) && !Disk.exists(&folder.path("x")));
        let names: Vec<_> = fs::read_dir(folder.path("a/b")).expect("there").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["c.txt"], "no temporary stays");
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let folder = Folder::new("sweep");
        let mine = format!(".c.txt.{}.tmp", std::process::id());
        for name in [".c.txt.4294967295.tmp", ".c.txt.notes.tmp", ".d.txt.4294967295.tmp", &mine] {
            fs::write(folder.path(name), b"").expect("left behind");
        }
        Disk.write(&folder.path("c.txt"), b"").expect("written");
        let names =
            fs::read_dir(&folder.0).expect("there").flatten().map(|e| e.file_name().into_string().expect("text"));
        let mut names: Vec<String> = names.collect();
        names.sort();
        assert_eq!(names, [".c.txt.notes.tmp", ".d.txt.4294967295.tmp", "c.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = Folder::new("links");
        let (file, link) = (folder.path("file"), folder.path("link"));
        fs::write(&file, b"old").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
        symlink(&file, &link).expect("linked");
        Disk.write(&link, b"new").expect("replaced");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read(&file).expect("there"), b"new");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let folder = Folder::new("read");
        let path = folder.path("a");
        Disk.write(&path, b"12345").expect("written");
        let said = |path: &str, limit| Disk.read(path, limit).expect_err("refused").to_string();
        assert!(said(&path, 4).contains("5 bytes, over the limit of 4 bytes"));
        assert!(said(&folder.path("none"), 4).ends_with("none: no such file"));
        assert!(said(&folder.path(""), 4).ends_with("is a folder"));
        assert!(Disk.write(&folder.path("a/b"), b"").is_err());
        assert_eq!([size_words(999), size_words(3_200_000_000)], ["999 bytes", "3.2 GB"]);
    }
}
