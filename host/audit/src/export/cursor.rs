//! How far an exporter has come: a small file, replaced whole.
//!
//! INVARIANT (at least once): the cursor moves only after delivery, and is durable before more is read. A
//! crash between the two delivers a batch again; nothing is left out. A cursor that cannot be read stops the
//! exporter, because guessing would lose records or flood the receiver. An exporter that goes from one year's
//! log to the next has one cursor, which names the log that it is in.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::log::{DiskError, disk};

/// An exporter's place in one log.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    log: String,
    next: u64,
}

/// Why a cursor cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// It cannot be read or written.
    #[error("the cursor `{path}` cannot be used")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be replaced.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is not a cursor, or was cut off.
    #[error(
        "`{path}` is not a cursor, or not a whole one: if it was one, remove it to export from the beginning again"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// It belongs to another log.
    #[error("the cursor `{path}` belongs to log `{found}`, not to `{expected}`: give each log its own")]
    OtherLog {
        /// Which file.
        path: PathBuf,
        /// The log it names.
        found: String,
        /// The log asked for.
        expected: String,
    },
}

/// Why following stopped.
#[derive(Debug, thiserror::Error)]
pub enum FollowError<E: std::error::Error + 'static> {
    /// The log could not be read on. What was read before has been delivered.
    #[error("the log could not be read beyond position {from}")]
    Reading {
        /// The first position that was not delivered.
        from: u64,
        /// Why.
        #[source]
        source: E,
    },
    /// A batch was not delivered. It will be tried again from the same place.
    #[error("records from position {from} were not delivered")]
    Delivery {
        /// The first of the batch.
        from: u64,
        /// Why.
        #[source]
        source: E,
    },
    /// A batch was delivered and could not be noted: it will be delivered again.
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

impl Cursor {
    /// Opens the cursor, or begins at position 0 where there is none.
    ///
    /// # Errors
    /// [`CursorError`].
    pub fn open(path: &Path, log: &str) -> Result<Self, CursorError> {
        match Self::resume(path)? {
            None => Ok(Self { path: path.to_owned(), log: log.to_owned(), next: 0 }),
            Some(cursor) if cursor.log == log => Ok(cursor),
            Some(Self { path, log: found, .. }) => {
                Err(CursorError::OtherLog { path, found, expected: log.to_owned() })
            }
        }
    }

    /// The cursor of somebody who goes from log to log, in whichever it stands; `None` where there is none.
    ///
    /// # Errors
    /// [`CursorError::File`] and [`CursorError::Damaged`].
    pub fn resume(path: &Path) -> Result<Option<Self>, CursorError> {
        let mut cursor = Self { path: path.to_owned(), log: String::new(), next: 0 };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(cursor.damaged()),
            Err(source) => return Err(cursor.file(source)),
        };
        let Some((log, next)) = parse(&text) else { return Err(cursor.damaged()) };
        (cursor.log, cursor.next) = (log.to_owned(), next);
        Ok(Some(cursor))
    }

    /// A new cursor at this position of this log, durable when this returns.
    ///
    /// # Errors
    /// [`CursorError::File`].
    pub fn begin(path: &Path, log: &str, next: u64) -> Result<Self, CursorError> {
        let mut cursor = Self { path: path.to_owned(), log: String::new(), next: 0 };
        cursor.moved(log, next)?;
        Ok(cursor)
    }

    /// The log that it is in.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// The first position that has not been delivered.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Notes that everything before `next` is delivered. Durable when this returns. Never goes back.
    ///
    /// # Errors
    /// [`CursorError::File`]; the cursor then stands where it was.
    pub fn delivered(&mut self, next: u64) -> Result<(), CursorError> {
        if next > self.next { self.put(&self.log.clone(), next) } else { Ok(()) }
    }

    /// As [`Self::delivered`], where the next record is in this log, which may be a later one.
    ///
    /// # Errors
    /// [`CursorError::File`]; the cursor then stands where it was.
    pub fn moved(&mut self, log: &str, next: u64) -> Result<(), CursorError> {
        if log == self.log { self.delivered(next) } else { self.put(log, next) }
    }

    fn put(&mut self, log: &str, next: u64) -> Result<(), CursorError> {
        disk::replace(&self.path, format!("assent-cursor 1\n{log}\n{next}\nend\n").as_bytes())?;
        (self.log, self.next) = (log.to_owned(), next);
        Ok(())
    }

    fn damaged(&self) -> CursorError {
        CursorError::Damaged { path: self.path.clone() }
    }

    fn file(&self, source: std::io::Error) -> CursorError {
        CursorError::File { path: self.path.clone(), source }
    }
}

/// Delivers items from the cursor on, in batches, and moves the cursor behind each. Items carry their
/// positions, ascending; those before the cursor are passed by. Returns how many were delivered.
///
/// # Errors
/// [`FollowError`]: call again to go on.
pub fn follow<T, E: std::error::Error + 'static>(
    cursor: &mut Cursor,
    items: impl IntoIterator<Item = Result<(u64, T), E>>,
    batch_max: usize,
    mut deliver: impl FnMut(&[(u64, T)]) -> Result<(), E>,
) -> Result<u64, FollowError<E>> {
    let mut items = items.into_iter();
    let mut count = 0;
    loop {
        let (mut batch, mut unread) = (vec![], None);
        while batch.len() < batch_max.max(1) {
            match items.next() {
                Some(Ok((position, item))) if position >= cursor.next => batch.push((position, item)),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    unread = Some(error);
                    break;
                }
                None => break,
            }
        }
        if let Some((last, _)) = batch.last() {
            let (from, next) = (cursor.next, last + 1);
            deliver(&batch).map_err(|source| FollowError::Delivery { from, source })?;
            // A crash here delivers this batch again.
            cursor.delivered(next)?;
            count += batch.len() as u64;
        }
        match unread {
            Some(source) => return Err(FollowError::Reading { from: cursor.next, source }),
            None if batch.is_empty() => return Ok(count),
            None => {}
        }
    }
}

/// `end` tells a whole file from one that was cut off.
fn parse(text: &str) -> Option<(&str, u64)> {
    let rest = text.strip_prefix("assent-cursor 1\n")?.strip_suffix("\nend\n")?;
    let (log, next) = rest.split_once('\n')?;
    Some((log, next.parse().ok()?))
}
