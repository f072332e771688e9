//! Every file operation of the log, so that there is one place to see which syscalls it makes.
//!
//! Plain `pwrite`, `fdatasync`, `rename`: tests inject faults into each of them. An error names the
//! operation and the file. After a failed write or sync nothing is known about what is on the disk
//! (Linux marks the pages clean), so nothing here tries again.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {}", path.display())]
pub struct DiskError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DiskError {
    /// Whether the file was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == ErrorKind::NotFound
    }

    /// Whether the file is longer than it may be.
    #[must_use]
    pub(crate) fn is_too_large(&self) -> bool {
        self.source.kind() == ErrorKind::FileTooLarge
    }

    /// Whether another process holds the lock.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.source.kind() == ErrorKind::WouldBlock
    }
}

type Result<T> = std::result::Result<T, DiskError>;

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    move |source| DiskError { operation, path: path.to_owned(), source }
}

fn refused(operation: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> DiskError {
    move |errno| failed(operation, path)(errno.into())
}

/// Makes a directory and those above it, and makes their names durable.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_dir(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        other => other.map_err(failed("create directory", path))?,
    }
    sync_dir(parent.unwrap_or(Path::new(".")))
}

pub(crate) fn open_to_read(path: &Path) -> Result<File> {
    File::open(path).map_err(failed("open", path))
}

pub(crate) fn open_to_write(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).write(true).open(path).map_err(failed("open for writing", path))
}

/// Makes an empty file; one that is already there is an error. Only its owner may read it.
pub(crate) fn create(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path).map_err(failed("create", path))
}

pub(crate) fn metadata(file: &File, path: &Path) -> Result<Metadata> {
    file.metadata().map_err(failed("look at", path))
}

pub(crate) fn len(file: &File, path: &Path) -> Result<u64> {
    metadata(file, path).map(|metadata| metadata.len())
}

/// Which file is open, whatever it is called by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

pub(crate) fn identity(file: &File, path: &Path) -> Result<Identity> {
    metadata(file, path).map(|found| Identity { device: found.dev(), inode: found.ino() })
}

/// Whether there is anything of this name. An error is not "no": see [`crate::inbox`].
pub(crate) fn is_there(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true).map_err(failed("look at", path)),
    }
}

/// Whether the path still leads to this file: it was not removed, renamed or exchanged, nor a directory
/// above it. One `stat`, of names that the kernel has in memory.
pub(crate) fn is_at(identity: Identity, path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|found| identity == Identity { device: found.dev(), inode: found.ino() })
}

/// How often a lock is tried, and the pause between: those who only look at one hold it for microseconds.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Takes the lock that says "one writer"; held until the file is closed. Does not wait for another writer, but for
/// those who look: see [`look_at_lock`].
pub(crate) fn lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(failed("open", path))?;
    let mut tries = 1;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            taken => return taken.map(|()| file).map_err(refused("lock", path)),
        }
    }
}

/// Whether the lock is free: takes it for a moment, shared, so that those who look do not disturb one another.
pub(crate) fn look_at_lock(path: &Path) -> Result<()> {
    let file = open_to_read(path)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).map_err(refused("lock", path))
}

/// Writes all bytes at an offset. One `pwrite`, unless the kernel takes less of it.
pub(crate) fn write_at(file: &File, path: &Path, mut bytes: &[u8], mut offset: u64) -> Result<()> {
    while !bytes.is_empty() {
        let written = match rustix::io::pwrite(file, bytes, offset) {
            Err(rustix::io::Errno::INTR) => 0,
            Ok(0) => return Err(failed("write to", path)(ErrorKind::WriteZero.into())),
            other => other.map_err(refused("write to", path))?,
        };
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

/// Makes the content (and, where it changed, the length) durable.
pub(crate) fn sync_data(file: &File, path: &Path) -> Result<()> {
    rustix::fs::fdatasync(file).map_err(refused("sync", path))
}

/// Cuts the file and makes its new length durable.
pub(crate) fn truncate(file: &File, path: &Path, len: u64) -> Result<()> {
    rustix::fs::ftruncate(file, len).map_err(refused("truncate", path))?;
    rustix::fs::fsync(file).map_err(refused("sync", path))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    let dir = File::open(path).map_err(failed("open", path))?;
    rustix::fs::fsync(&dir).map_err(refused("sync directory", path))
}

/// Renames within one directory, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    rustix::fs::rename(from, to).map_err(refused("rename", from))?;
    // A name without a folder is in this one.
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_dir(folder.unwrap_or(Path::new(".")))
}

/// Replaces a file as a whole: after a crash there is the old one or the new one, never a mixture.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let (file, temporary) = beside(path, bytes)?;
    sync_data(&file, &temporary)?;
    rename(&temporary, path)
}

/// As [`replace`] for readers, but durable only after [`sync_file_system`]. Makes the directories above.
pub(crate) fn replace_sometime(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed("create directory", parent))?;
    }
    let (_, temporary) = beside(path, bytes)?;
    rustix::fs::rename(&temporary, path).map_err(refused("rename", &temporary))
}

/// Writes what is to replace a file.
fn beside(path: &Path, bytes: &[u8]) -> Result<(File, PathBuf)> {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    let temporary = PathBuf::from(name);
    remove(&temporary)?;
    let file = create(&temporary)?;
    write_at(&file, &temporary, bytes, 0)?;
    Ok((file, temporary))
}

/// Makes everything durable that was written to the file system of this directory.
pub(crate) fn sync_file_system(dir: &Path) -> Result<()> {
    let file = open_to_read(dir)?;
    rustix::fs::syncfs(&file).map_err(refused("sync the file system of", dir))
}

/// What a replacement is called until it is complete.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Removes a file; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    remove_existing(path).map(drop)
}

/// The same; whether it was there.
pub(crate) fn remove_existing(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true).map_err(failed("remove", path)),
    }
}

/// Removes a directory and what is in it; one that is not there is fine.
pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", path)),
    }
}

/// Reads at an offset until `into` is full or the file ends; how much it was.
pub(crate) fn read_at(file: &File, path: &Path, into: &mut [u8], offset: u64) -> Result<usize> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed("read", path)(error)),
        }
    }
    Ok(done)
}

/// Reads a whole file that must not be longer than `max` bytes.
pub(crate) fn read_small(path: &Path, max: usize) -> Result<Vec<u8>> {
    let file = open_to_read(path)?;
    let bytes = read_up_to(&file, path, max + 1)?;
    if bytes.len() > max {
        let large = format!("it is longer than {max} bytes");
        return Err(failed("read", path)(io::Error::new(ErrorKind::FileTooLarge, large)));
    }
    Ok(bytes)
}

/// So much is read without moving it, which would leave copies of a secret behind.
const SECRET_BYTES_MAX: usize = 1024;

/// Reads at most `max` bytes from the start of a file.
pub(crate) fn read_up_to(file: &File, path: &Path, max: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(max.min(SECRET_BYTES_MAX));
    file.take(max as u64).read_to_end(&mut bytes).map_err(failed("read", path))?;
    Ok(bytes)
}

/// The names in a directory; none when it is not there. Names that are no text are left out.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed("list", path))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed("list", path))?.file_name().into_string().ok());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn those_who_only_look_at_a_lock_keep_nobody_from_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        drop(lock(&path).unwrap());
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                for _ in 0..100 {
                    drop(look_at_lock(&path));
                }
            });
            start.wait();
            let held = lock(&path).unwrap();
            assert!(look_at_lock(&path).unwrap_err().is_locked());
            assert!(lock(&path).unwrap_err().is_locked());
            drop(held);
        });
        look_at_lock(&path).unwrap();
    }
}
