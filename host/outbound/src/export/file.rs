//! A file that lines are appended to, for an agent that follows it.
//!
//! Who rotates it renames it: before each batch the name is looked at, and where it is another file by now,
//! or none, that one is opened or made. INVARIANT (at least once): lines count as delivered once they are on
//! the disk. A line that a crash or a full disk cut short is ended, and its record written again whole.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::{DefinitionError, Failure};
use super::feed::Item;

/// The receiving end.
pub(super) struct Appended {
    path: PathBuf,
    open: Option<File>,
}

impl Appended {
    /// A file at this path; made when the first record comes.
    pub(super) fn new(path: &Path) -> Result<Self, DefinitionError> {
        let refuse = |reason| DefinitionError::File { path: path.display().to_string(), reason };
        match std::fs::metadata(path) {
            Ok(found) if !found.is_file() => return Err(refuse("it is not an ordinary file")),
            Ok(_) => {
                OpenOptions::new().append(true).open(path).map_err(|_| refuse("it may not be written"))?;
            }
            Err(_) if !path.parent().is_some_and(Path::is_dir) => {
                return Err(refuse("its folder does not exist"));
            }
            Err(_) => {}
        }
        Ok(Self { path: path.to_owned(), open: None })
    }

    /// Appends a line for each, and returns once they are on the disk.
    pub(super) fn append(&mut self, items: &[Item]) -> Result<(), Failure> {
        let appended = self.try_append(items);
        if appended.is_err() {
            // What is in the file now is looked at when it is opened again.
            self.open = None;
        }
        appended.map_err(Failure::File)
    }

    fn try_append(&mut self, items: &[Item]) -> Result<(), Error> {
        let mut lines = Vec::with_capacity(items.iter().map(|item| item.text.len() + 1).sum());
        for item in items {
            lines.extend_from_slice(item.text.as_bytes());
            lines.push(b'\n');
        }
        let file = self.current()?;
        (&*file).write_all(&lines)?;
        file.sync_data()
    }

    /// The file that has the name now.
    fn current(&mut self) -> Result<&File, Error> {
        let named = match std::fs::metadata(&self.path) {
            Ok(named) if !named.is_file() => return Err(Error::other("it is not an ordinary file")),
            Ok(named) => Some(named),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let same = |a: &Metadata, b: &Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        let is_named = |open: &File| {
            named.as_ref().is_some_and(|named| open.metadata().is_ok_and(|open| same(named, &open)))
        };
        let open = match self.open.take() {
            Some(open) if is_named(&open) => open,
            Some(_) | None => open(&self.path)?,
        };
        Ok(self.open.insert(open))
    }
}

/// Opens or makes it. Only its owner may read what is new: it tells of patients.
fn open(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    match file.metadata()?.len().checked_sub(1) {
        None => {
            if let Some(folder) = path.parent() {
                File::open(folder)?.sync_all()?;
            }
        }
        Some(last) => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, last)?;
            if byte != *b"\n" {
                (&file).write_all(b"\n")?;
            }
        }
    }
    Ok(file)
}
