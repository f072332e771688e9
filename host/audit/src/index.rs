//! Search over millions of records: which positions of the log match a query?
//!
//! The log is cut into chunks of 16 384 positions. For each chunk and each term (a field with a value) the
//! index holds the set of positions, as a list or a bitmap, in SQLite (`store`); a query is the intersection, chunk
//! by chunk from the newest or the oldest, until the page is full. A chunk is written once, when it is
//! complete; until then it is in memory, and after a restart it is read again from the log.
//!
//! INVARIANT (the log is the truth): the index is never an authority. It can be thrown away and built again
//! from the log at any time, and who needs proof reads the whole log with [`Query::matches`].
//! INVARIANT (no patient in clear): a term is 64 bits of HMAC-SHA256 under the index key. What the file
//! still shows to somebody without the key: how often terms occur and occur together, and when.

mod chunk;
mod error;
mod query;
mod store;

use std::path::{Path, PathBuf};

use assent_model::Instant;
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::log::Mark;
use crate::record::Record;
use crate::redacted::debug_by_name;
use chunk::Positions;
pub use error::IndexError;
pub use query::{EntityError, Field, Order, Query, entity, facets};
use store::{Chunk, Store};

/// Positions per chunk. Larger: fewer look-ups for a rare term; smaller: less to read again at a start.
/// With 2^14 a bitmap is 2 KiB, 100 million records are 6 104 chunks, and a start reads < 16 384 records.
pub const CHUNK: u64 = 1 << 14;

/// No page is longer: what a person or a console can take in, and a bound for memory.
pub const PAGE_MAX: usize = 1_000;

/// The key under which terms are hashed. Derived from the organization's keys; 32 bytes.
pub struct IndexKey(Zeroizing<[u8; 32]>);

impl IndexKey {
    /// The key that these bytes are.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

debug_by_name!(IndexKey);

/// The index of one log. Several owners (the service, a command) may have the same file open: each finds
/// what it has itself been given and what was complete on disk when it opened.
pub struct Index {
    store: Store,
    key: hmac::Key,
    tail: Tail,
    /// The next position that has not been added.
    next: u64,
}

/// The chunk that is not complete yet.
#[derive(Default)]
struct Tail {
    number: u32,
    /// Term and offset within the chunk, in the order of arrival.
    terms: Vec<(i64, u16)>,
    /// Offset and milliseconds.
    times: Vec<(u16, i64)>,
    /// Where the log was read, so that what is found is quickly had: see `log::marks`.
    marks: Vec<Mark>,
}

impl Index {
    /// Opens the index of this log, or begins a new one. Feed it the log from [`Index::next`] on.
    ///
    /// # Errors
    /// Where [`IndexError::is_spoilt`], [`Index::discard`] it and build it again. [`IndexError::Database`]
    /// where the file cannot be used.
    pub fn open(path: &Path, key: &IndexKey, log: &str) -> Result<Self, IndexError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*key.0);
        let check = hmac::sign(&key, b"assent audit index: key check");
        let store = Store::open(path, check.as_ref(), log)?;
        let number = store.chunks().last().map_or(0, |last| last.number.saturating_add(1));
        let tail = Tail { number, ..Tail::default() };
        Ok(Self { store, key, tail, next: u64::from(number) * CHUNK })
    }

    /// Removes an index, to build it again.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn discard(path: &Path) -> std::io::Result<()> {
        for ending in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            match std::fs::remove_file(PathBuf::from(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The position from which the log must be fed.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The last position that is on disk, and the moment of its record in milliseconds.
    ///
    /// # Errors
    /// As [`Index::page`].
    pub(crate) fn last(&self) -> Result<Option<(u64, i64)>, IndexError> {
        let Some(Chunk { number, .. }) = self.store.chunks().last() else { return Ok(None) };
        let times = self.store.times(*number)?;
        let (offset, millis) = times.last().ok_or(IndexError::Damaged { chunk: *number })?;
        Ok(Some((u64::from(*number) * CHUNK + u64::from(*offset), *millis)))
    }

    /// Adds the record at this position. Positions may be left out (let go by retention, or unreadable),
    /// but never go back.
    ///
    /// # Errors
    /// [`IndexError::OutOfOrder`]; [`IndexError::Database`] where a complete chunk cannot be written: it stays
    /// in memory, and adding can go on from [`Index::next`], which tries again.
    pub fn add(&mut self, position: u64, record: &Record) -> Result<(), IndexError> {
        if position < self.next {
            return Err(IndexError::OutOfOrder { next: self.next, position });
        }
        if chunk_of(position) != self.tail.number {
            self.seal()?;
            self.tail.number = chunk_of(position);
        }
        let offset = u16::try_from(position % CHUNK).unwrap_or(u16::MAX);
        self.tail.times.push((offset, record.at.as_millis()));
        for (field, value) in facets(record) {
            self.tail.terms.push((self.term(field, &value), offset));
        }
        self.next = position + 1;
        if self.next.is_multiple_of(CHUNK) { self.seal() } else { Ok(()) }
    }

    /// Keeps a place of the log that was come by, if it is far enough from the last one.
    pub(crate) fn mark(&mut self, mark: Mark) {
        if mark.is_apart(self.tail.marks.last()) {
            self.tail.marks.push(mark);
        }
    }

    /// Where in the log to begin to look for this position, if that is known.
    pub(crate) fn mark_before(&self, position: u64) -> Option<Mark> {
        let kept = self.tail.marks.iter().rfind(|mark| mark.seq() <= position).cloned();
        kept.or_else(|| self.store.mark_before(position))
    }

    /// The positions that match, in order, beginning behind `after`; at most `limit`, at most
    /// [`PAGE_MAX`]. For the next page pass the last position.
    ///
    /// # Errors
    /// [`IndexError::Database`]; [`IndexError::Damaged`] and other errors that [`IndexError::is_spoilt`].
    pub fn page(
        &self,
        query: &Query,
        order: Order,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<u64>, IndexError> {
        let mut page = Page { order, after, limit: limit.min(PAGE_MAX), positions: vec![] };
        let terms: Vec<i64> = query.terms().iter().map(|(field, value)| self.term(*field, value)).collect();
        match order {
            Order::NewestFirst => {
                self.search_tail(query, &terms, &mut page);
                self.search_chunks(query, &terms, &mut page)?;
            }
            Order::OldestFirst => {
                self.search_chunks(query, &terms, &mut page)?;
                self.search_tail(query, &terms, &mut page);
            }
        }
        Ok(page.positions)
    }

    fn term(&self, field: Field, value: &str) -> i64 {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[field as u8]);
        context.update(value.as_bytes());
        let tag = context.sign();
        let first: [u8; 8] = tag.as_ref().first_chunk().copied().unwrap_or_default();
        i64::from_be_bytes(first)
    }

    /// Writes the chunk in memory.
    fn seal(&mut self) -> Result<(), IndexError> {
        self.store.write(&mut self.tail)?;
        self.tail = Tail { number: self.tail.number + 1, ..Tail::default() };
        Ok(())
    }

    fn search_tail(&self, query: &Query, terms: &[i64], page: &mut Page) {
        let mut matching = Positions::of(self.tail.times.iter().map(|(offset, _)| *offset));
        for term in terms {
            let with_term = self.tail.terms.iter().filter(|(other, _)| other == term);
            matching.keep(&Positions::of(with_term.map(|(_, offset)| *offset)));
        }
        matching.keep_between(&self.tail.times, query.from, query.until);
        page.take(&matching, self.tail.number);
    }

    fn search_chunks(&self, query: &Query, terms: &[i64], page: &mut Page) -> Result<(), IndexError> {
        let from = query.from.map_or(i64::MIN, Instant::as_millis);
        let until = query.until.map_or(i64::MAX, Instant::as_millis);
        let beyond = |chunk: &&Chunk| match (page.after.map(chunk_of), page.order) {
            (Some(after), Order::NewestFirst) => chunk.number <= after,
            (Some(after), Order::OldestFirst) => chunk.number >= after,
            (None, _) => true,
        };
        let mut chunks: Vec<_> = self.store.chunks().iter().filter(beyond).collect();
        if page.order == Order::NewestFirst {
            chunks.reverse();
        }
        for Chunk { number, earliest, latest } in chunks {
            if page.positions.len() >= page.limit {
                break;
            }
            if *latest < from || *earliest >= until {
                continue;
            }
            let mut matching: Option<Positions> = None;
            for term in terms {
                let Some(found) = self.store.positions(*number, *term)? else {
                    matching = Some(Positions::none());
                    break;
                };
                match &mut matching {
                    Some(matching) => matching.keep(&found),
                    None => matching = Some(found),
                }
            }
            // Every record has a term, so a query without any asks for the one that all have.
            let mut matching = matching.ok_or(IndexError::Damaged { chunk: *number })?;
            if matching.any() && (*earliest < from || *latest >= until) {
                matching.keep_between(&self.store.times(*number)?, query.from, query.until);
            }
            page.take(&matching, *number);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("next", &self.next).finish_non_exhaustive()
    }
}

/// A page being filled.
struct Page {
    order: Order,
    after: Option<u64>,
    limit: usize,
    positions: Vec<u64>,
}

impl Page {
    /// Takes the matching positions of one chunk, in order, beyond `after`, while there is room.
    fn take(&mut self, matching: &Positions, chunk: u32) {
        let room = self.limit.saturating_sub(self.positions.len());
        let first = u64::from(chunk) * CHUNK;
        let found = matching.offsets().into_iter().map(|offset| first + u64::from(offset));
        let after = self.after;
        match self.order {
            Order::OldestFirst => {
                self.positions.extend(found.filter(|p| after.is_none_or(|after| *p > after)).take(room));
            }
            Order::NewestFirst => {
                let found = found.rev().filter(|p| after.is_none_or(|after| *p < after));
                self.positions.extend(found.take(room));
            }
        }
    }
}

/// 2^32 chunks are 70 million million positions; no log of one year gets there.
fn chunk_of(position: u64) -> u32 {
    u32::try_from(position / CHUNK).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
