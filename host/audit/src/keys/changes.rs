//! Which changes of its keys a log has not recorded yet.
//!
//! Only the service writes records, and only commands wrap keys anew; so two notes lie beside the key files:
//! `recorded`, the id of the sealing key that the log last recorded as taken into use, and `rewrapped`, a line
//! for each former key that a rewrap replaced since. The service records what they say, at its start and while
//! it runs, and then clears them. They have no authority: a crash between record and clearing repeats the
//! record, and so does losing `recorded`. Of years that are closed, whose keys are wrapped anew as well, the log that
//! is written says it.

use std::path::{Path, PathBuf};

use super::KeyError;
use crate::log::disk::{self, DiskError};
use crate::log::layout::Layout;
use crate::record::KeyChange;

/// Some hundred rewraps; more than that lies there only when no service ever ran.
const NOTE_BYTES_MAX: usize = 64 * 1024;

/// A change that is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChanged {
    /// What happened.
    pub change: KeyChange,
    /// The id of the sealing key it happened to.
    pub key: String,
    /// The key that took its place.
    pub wrapped_by: Option<String>,
}

/// The notes of one log.
pub(crate) struct Changes {
    layout: Layout,
}

impl Changes {
    pub(crate) fn of(dir: &Path) -> Self {
        Self { layout: Layout::new(dir) }
    }

    /// What is to be recorded of the log that is written, given the sealing key in use.
    pub(crate) fn unrecorded(&self, kek: &str) -> Result<Vec<KeyChanged>, KeyError> {
        let mut changes = vec![];
        if read(&self.layout.recorded_key())?.is_none_or(|recorded| recorded.trim_end() != kek) {
            changes.push(KeyChanged { change: KeyChange::Created, key: kek.to_owned(), wrapped_by: None });
        }
        changes.extend(self.rewrapped()?);
        Ok(changes)
    }

    /// What was wrapped anew. Takes hold of the note, so that what is noted from now on waits for the next time.
    pub(crate) fn rewrapped(&self) -> Result<Vec<KeyChanged>, KeyError> {
        let mut changes = vec![];
        let (note, taken) = (self.layout.rewrapped_keys(), self.taken());
        // One that is taken already was not cleared: it comes first.
        if read(&taken)?.is_none() && read(&note)?.is_some() {
            disk::rename(&note, &taken)?;
        }
        for line in read(&taken)?.unwrap_or_default().lines() {
            let Some((key, by)) = line.split_once(' ') else { continue };
            let (key, wrapped_by) = (key.to_owned(), Some(by.to_owned()));
            changes.push(KeyChanged { change: KeyChange::Rewrapped, key, wrapped_by });
        }
        Ok(changes)
    }

    /// They are recorded.
    pub(crate) fn recorded(&self, kek: &str) -> Result<(), KeyError> {
        disk::replace(&self.layout.recorded_key(), format!("{kek}\n").as_bytes())?;
        self.rewrapped_recorded()
    }

    /// What was given by [`Self::rewrapped`] is recorded.
    pub(crate) fn rewrapped_recorded(&self) -> Result<(), KeyError> {
        Ok(disk::remove(&self.taken())?)
    }

    /// Notes that what `former` wrapped is wrapped by `kek` now. The caller holds the lock of the keys.
    pub(super) fn note_rewrapped(&self, former: &str, kek: &str) -> Result<(), KeyError> {
        let path = self.layout.rewrapped_keys();
        let mut note = read(&path)?.unwrap_or_default();
        let line = format!("{former} {kek}\n");
        if !note.contains(&line) {
            note.push_str(&line);
            disk::replace(&path, note.as_bytes())?;
        }
        Ok(())
    }

    fn taken(&self) -> PathBuf {
        self.layout.rewrapped_keys().with_extension("taken")
    }
}

fn read(path: &Path) -> Result<Option<String>, DiskError> {
    match disk::read_small(path, NOTE_BYTES_MAX) {
        Err(error) if error.is_not_found() => Ok(None),
        bytes => Ok(Some(String::from_utf8_lossy(&bytes?).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(key: &str) -> KeyChanged {
        KeyChanged { change: KeyChange::Created, key: key.into(), wrapped_by: None }
    }

    fn rewrapped(key: &str, by: &str) -> KeyChanged {
        KeyChanged { change: KeyChange::Rewrapped, key: key.into(), wrapped_by: Some(by.into()) }
    }

    #[test]
    fn each_change_is_recorded_until_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let changes = Changes::of(dir.path());
        disk::create_dir(&Layout::new(dir.path()).keys()).unwrap();
        assert_eq!(changes.unrecorded("a").unwrap(), [created("a")]);
        // A crash before it was.
        assert_eq!(changes.unrecorded("a").unwrap(), [created("a")]);
        changes.recorded("a").unwrap();
        assert_eq!(changes.unrecorded("a").unwrap(), []);
        changes.note_rewrapped("a", "b").unwrap();
        changes.note_rewrapped("a", "b").unwrap();
        assert_eq!(changes.unrecorded("b").unwrap(), [created("b"), rewrapped("a", "b")]);
        // Noted after the others were taken: it is neither lost with them nor recorded too early.
        changes.note_rewrapped("0", "b").unwrap();
        assert_eq!(changes.unrecorded("b").unwrap(), [created("b"), rewrapped("a", "b")]);
        changes.recorded("b").unwrap();
        assert_eq!(changes.unrecorded("b").unwrap(), [rewrapped("0", "b")]);
        changes.recorded("b").unwrap();
        assert_eq!(changes.unrecorded("b").unwrap(), []);
    }
}
