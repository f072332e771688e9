//! Compiled plugins on disk, so that a restart compiles nothing and configures nothing.
//!
//! INVARIANT (never load what this host did not seal): an entry is machine code. It is used only
//! if it carries this host's seal over its own name, which stands for the component, the settings,
//! the limits and the exact engine. Anything else is as good as absent: compiled again, replaced.

mod native;
mod seal;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use assent_model::Digest;

use crate::error::HostError;
pub(crate) use native::load;
pub(crate) use seal::Authentic;
use seal::Key;

/// Entries kept. Each release of each binding has one, of 50 KB to some MB; the oldest go first.
const ENTRIES_MAX: usize = 1_024;
const ENTRY_SUFFIX: &str = "plugin";
const KEY_FILE: &str = "seal.key";

/// A directory of sealed entries that only this host's user can write.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    key: Key,
}

impl Cache {
    /// Opens the directory, making it where it is absent.
    ///
    /// # Errors
    /// Where it, or the key in it, is open to others: whoever can write there could have the host
    /// run their code.
    pub(crate) fn open(directory: &Path) -> Result<Self, HostError> {
        let refuse = |message: String| HostError::Cache { path: directory.to_owned(), message };
        if !directory.exists() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|error| refuse(error.to_string()))?;
        }
        let metadata = fs::symlink_metadata(directory).map_err(|error| refuse(error.to_string()))?;
        if !metadata.is_dir() {
            return Err(refuse("it is not a directory (a link is not followed)".to_owned()));
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(refuse(
                "it belongs to another user: choose a directory of this service's own user".to_owned(),
            ));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(refuse(
                "others can write to it: `chmod 700` it, and remove what is in it".to_owned(),
            ));
        }
        let key = key(directory).map_err(refuse)?;
        Ok(Self { directory: directory.to_owned(), key })
    }

    /// The entry of this name, if this host sealed it.
    pub(crate) fn get(&self, name: &Digest) -> Option<Authentic> {
        let mut bytes = Vec::new();
        File::open(self.path(name)).ok()?.read_to_end(&mut bytes).ok()?;
        self.key.open(name, bytes)
    }

    /// Seals an entry and puts it in place in one step: a reader sees the old, the new or none.
    pub(crate) fn put(&self, name: &Digest, about: &[u8], code: &[u8]) -> io::Result<Authentic> {
        let sealed = self.key.seal(name, about, code);
        self.write(&self.path(name), &sealed)?;
        self.forget_oldest()?;
        self.key.open(name, sealed).ok_or_else(|| io::Error::other("an entry too large to seal"))
    }

    fn path(&self, name: &Digest) -> PathBuf {
        self.directory.join(format!("{name}.{ENTRY_SUFFIX}"))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = temporary(&self.directory)?;
        let written = private_file(&temporary).and_then(|mut file| file.write_all(bytes));
        written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
            // A crash here leaves a temporary file; `forget_oldest` clears it away.
            drop(fs::remove_file(&temporary));
        })
    }

    fn forget_oldest(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name == KEY_FILE) {
                continue;
            }
            // Another host of the same user may have removed it meanwhile.
            if let Ok(metadata) = fs::symlink_metadata(&path) {
                entries.push((metadata.modified()?, path));
            }
        }
        entries.sort();
        let excess = entries.len().saturating_sub(ENTRIES_MAX);
        for (_, path) in entries.into_iter().take(excess) {
            drop(fs::remove_file(path));
        }
        Ok(())
    }
}

/// The key of the directory: read, or drawn at random where there is none.
fn key(directory: &Path) -> Result<Key, String> {
    let path = directory.join(KEY_FILE);
    if !path.exists() {
        let mut drawn = [0; Key::BYTES];
        getrandom::fill(&mut drawn).map_err(|error| format!("no random bytes for its key: {error}"))?;
        let temporary = temporary(directory).map_err(|error| error.to_string())?;
        let placed = private_file(&temporary).and_then(|mut file| file.write_all(&drawn)).and_then(|()| {
            // Linking fails where another host was faster; then its key is the key.
            match fs::hard_link(&temporary, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            }
        });
        drop(fs::remove_file(&temporary));
        placed.map_err(|error| format!("cannot write its key: {error}"))?;
    }
    let unusable = |message: &str| {
        format!("its key `{KEY_FILE}` {message}: remove the whole directory, it is made anew")
    };
    let metadata = fs::symlink_metadata(&path).map_err(|error| unusable(&error.to_string()))?;
    if !metadata.is_file()
        || metadata.uid() != rustix::process::geteuid().as_raw()
        || metadata.mode() & 0o077 != 0
    {
        return Err(unusable("can be read by others or belongs to another user"));
    }
    let bytes = fs::read(&path).map_err(|error| unusable(&error.to_string()))?;
    Key::from_bytes(&bytes).ok_or_else(|| unusable("has the wrong length"))
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn temporary(directory: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(directory.join(format!("new-{}", hex::encode(random))))
}

#[cfg(test)]
mod tests;
