//! The files of a log, to be spoilt and put back many times: in memory, where the system has such a place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A directory, and what was in it when it was [`taken`](Self::taken).
pub(crate) struct Files {
    dir: tempfile::TempDir,
    taken: BTreeMap<PathBuf, Vec<u8>>,
}

impl Files {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
        Ok(Self { dir, taken: BTreeMap::new() })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Remembers what is there.
    pub(crate) fn taken(mut self) -> anyhow::Result<Self> {
        self.taken.clear();
        for path in below(self.path())? {
            let bytes = std::fs::read(&path)?;
            self.taken.insert(path, bytes);
        }
        Ok(self)
    }

    /// The files that are remembered, by path.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.taken.iter().map(|(path, bytes)| (path.as_path(), bytes.as_slice()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.taken.get(&self.path().join(name)).map(Vec::as_slice)
    }

    pub(crate) fn set(&mut self, name: &str, bytes: Vec<u8>) {
        self.taken.insert(self.path().join(name), bytes);
    }

    /// Puts everything back.
    pub(crate) fn restore(&self) -> anyhow::Result<()> {
        for path in below(self.path())? {
            if !self.taken.contains_key(&path) {
                std::fs::remove_file(path)?;
            }
        }
        for (path, bytes) in &self.taken {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, bytes)?;
        }
        Ok(())
    }
}

fn below(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = vec![];
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}
