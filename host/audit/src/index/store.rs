//! The chunks on disk: tables of SQLite, in which each row carries a checksum of what it is and says.
//!
//! SQLite sees a flipped bit only where it breaks the form of a page; what it reads over would be a record that is not
//! found. INVARIANT (nothing goes missing in silence): a chunk names the one before it, and has a row for each of 256
//! buckets of terms, be it empty. So a row that is not there, or stands in another's place, or was changed, is
//! damage, and damage is never an answer.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::log::Mark;

use super::chunk::{Positions, read_times, write_times};
use super::{IndexError, Tail};

/// The form of the file. Another form is thrown away and built again.
const FORM: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE chunk (number INTEGER PRIMARY KEY, row BLOB NOT NULL);
    CREATE TABLE times (number INTEGER PRIMARY KEY, row BLOB NOT NULL);
    CREATE TABLE bucket (number INTEGER PRIMARY KEY, row BLOB NOT NULL);
    CREATE TABLE mark (number INTEGER PRIMARY KEY, row BLOB NOT NULL);";

/// What the first chunk names as the one before it.
const NONE: u32 = u32::MAX;

/// A chunk that is on disk, and between which times (in milliseconds) its records are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) number: u32,
    pub(super) earliest: i64,
    pub(super) latest: i64,
}

/// The file of an index.
pub(super) struct Store {
    db: Connection,
    /// Those that this owner knows of, in order.
    chunks: Vec<Chunk>,
}

impl Store {
    /// Opens the file, or begins a new one. `check` shows whether the key is the one it was made with.
    pub(super) fn open(path: &Path, check: &[u8], log: &str) -> Result<Self, IndexError> {
        let db = Connection::open(path)?;
        // Two buckets fit on a page. After a crash the file is as after some commit; what is missing is read from
        // the log again.
        db.execute_batch("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
        if is_empty(&db)? {
            create(&db, check, log)?;
        }
        match db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? {
            FORM => {}
            found => return Err(IndexError::OtherForm { found, known: FORM }),
        }
        if meta(&db, "key")?.as_deref() != Some(check) {
            return Err(IndexError::OtherKey);
        }
        if meta(&db, "log")?.as_deref() != Some(log.as_bytes()) {
            return Err(IndexError::OtherLog);
        }
        let chunks = chunks(&db)?;
        Ok(Self { db, chunks })
    }

    /// The chunks, in order.
    pub(super) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Writes a chunk, unless there is nothing in it, and the marks met on the way. Another owner may have written the
    /// same one: it is made of the same log, so it is the same.
    pub(super) fn write(&mut self, tail: &mut Tail) -> Result<(), IndexError> {
        let Tail { number, terms, times, marks } = tail;
        let number = *number;
        let millis = times.iter().map(|(_, millis)| *millis);
        let (Some(earliest), Some(latest)) = (millis.clone().min(), millis.max()) else { return Ok(()) };
        terms.sort_unstable();
        terms.dedup();
        let mut buckets = vec![Vec::new(); 256];
        for group in terms.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((term, _)) = group.first() else { continue };
            let positions = Positions::write(group.iter().map(|(_, offset)| *offset));
            if let Some(bucket) = buckets.get_mut(usize::from(first_byte(*term))) {
                bucket.extend_from_slice(&term.to_be_bytes());
                bucket.extend_from_slice(&(positions.len() as u16).to_be_bytes());
                bucket.extend_from_slice(&positions);
            }
        }
        let before = self.chunks.last().map_or(NONE, |before| before.number);
        let row = [&before.to_be_bytes()[..], &earliest.to_be_bytes(), &latest.to_be_bytes()].concat();
        let transaction = self.db.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO bucket VALUES (?, ?)")?;
            for (byte, bucket) in (0..=u8::MAX).zip(buckets) {
                let of = bucket_of(number, byte);
                insert.execute(params![of, sealed("bucket", of, bucket)])?;
            }
        }
        for mark in marks {
            let of = mark.seq().cast_signed();
            transaction.execute(
                "INSERT OR REPLACE INTO mark VALUES (?, ?)",
                params![of, sealed("mark", of, mark.encode())],
            )?;
        }
        let (of, times) = (i64::from(number), write_times(times));
        transaction
            .execute("INSERT OR REPLACE INTO times VALUES (?, ?)", params![of, sealed("times", of, times)])?;
        transaction
            .execute("INSERT OR REPLACE INTO chunk VALUES (?, ?)", params![of, sealed("chunk", of, row)])?;
        transaction.commit()?;
        self.chunks.push(Chunk { number, earliest, latest });
        Ok(())
    }

    /// Where in a chunk a term occurs; nothing if it does not.
    pub(super) fn positions(&self, chunk: u32, term: i64) -> Result<Option<Positions>, IndexError> {
        let of = bucket_of(chunk, first_byte(term));
        let damaged = || IndexError::Damaged { chunk };
        let row = self.row("bucket", of)?;
        let mut rest = row.as_deref().and_then(|row| opened("bucket", of, row)).ok_or_else(damaged)?;
        while let Some((found, after)) = rest.split_first_chunk::<8>() {
            let (len, after) = after.split_first_chunk::<2>().ok_or_else(damaged)?;
            let (positions, after) =
                after.split_at_checked(u16::from_be_bytes(*len).into()).ok_or_else(damaged)?;
            if i64::from_be_bytes(*found) == term {
                return Positions::read(positions).ok_or_else(damaged).map(Some);
            }
            rest = after;
        }
        Ok(None)
    }

    /// The offsets of a chunk that have a record, and when it happened, in milliseconds.
    pub(super) fn times(&self, chunk: u32) -> Result<Vec<(u16, i64)>, IndexError> {
        let of = i64::from(chunk);
        let row = self.row("times", of)?;
        let times = row.as_deref().and_then(|row| read_times(opened("times", of, row)?));
        times.ok_or(IndexError::Damaged { chunk })
    }

    /// The last mark at or before a position. One that cannot be had is none: a mark is a hint.
    pub(super) fn mark_before(&self, position: u64) -> Option<Mark> {
        let select = "SELECT number, row FROM mark WHERE number <= ? ORDER BY number DESC LIMIT 1";
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let mut select = self.db.prepare_cached(select).ok()?;
        let (of, row): (i64, Vec<u8>) =
            select.query_row([position], |row| Ok((row.get(0)?, row.get(1)?))).ok()?;
        Mark::decode(opened("mark", of, &row)?)
    }

    fn row(&self, table: &str, number: i64) -> Result<Option<Vec<u8>>, IndexError> {
        let mut select = self.db.prepare_cached(&format!("SELECT row FROM {table} WHERE number = ?"))?;
        Ok(select.query_row([number], |row| row.get(0)).optional()?)
    }
}

/// The chunks that there are. Later ones may have been lost with the end of the file's log: they are made again.
fn chunks(db: &Connection) -> Result<Vec<Chunk>, IndexError> {
    let mut select = db.prepare("SELECT number, row FROM chunk ORDER BY number")?;
    let mut rows = select.query([])?;
    let (mut chunks, mut last) = (vec![], NONE);
    while let Some(row) = rows.next()? {
        let (of, row): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let chunk = opened("chunk", of, &row).and_then(|row| {
            let (before, row) = row.split_first_chunk()?;
            let (earliest, latest) = row.split_first_chunk()?;
            let (earliest, latest) =
                (i64::from_be_bytes(*earliest), i64::from_be_bytes(*latest.first_chunk()?));
            let number = u32::try_from(of).ok()?;
            (u32::from_be_bytes(*before) == last).then_some(Chunk { number, earliest, latest })
        });
        let chunk = chunk.ok_or(IndexError::NotAnIndex)?;
        last = chunk.number;
        chunks.push(chunk);
    }
    Ok(chunks)
}

/// Adds the checksum over what a row is and says.
fn sealed(table: &str, number: i64, mut content: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(table, number, &content);
    content.extend_from_slice(&checksum);
    content
}

fn opened<'a>(table: &str, number: i64, row: &'a [u8]) -> Option<&'a [u8]> {
    let (content, found) = row.split_last_chunk()?;
    (checksum(table, number, content) == *found).then_some(content)
}

fn checksum(table: &str, number: i64, content: &[u8]) -> [u8; 4] {
    let head = crc32c::crc32c_append(crc32c::crc32c(table.as_bytes()), &number.to_be_bytes());
    crc32c::crc32c_append(head, content).to_be_bytes()
}

/// Terms are hashes, so their first bytes are spread evenly.
const fn first_byte(term: i64) -> u8 {
    term.to_be_bytes()[0]
}

fn bucket_of(chunk: u32, byte: u8) -> i64 {
    i64::from(chunk) << 8 | i64::from(byte)
}

fn is_empty(db: &Connection) -> Result<bool, IndexError> {
    Ok(db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?)
}

fn create(db: &Connection, check: &[u8], log: &str) -> Result<(), IndexError> {
    // Two owners may begin at once: one makes them, the other waits and finds them.
    let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    if !is_empty(&transaction)? {
        return Ok(());
    }
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO meta VALUES ('key', ?), ('log', ?)", params![check, log.as_bytes()])?;
    transaction.pragma_update(None, "user_version", FORM)?;
    Ok(transaction.commit()?)
}

fn meta(db: &Connection, name: &str) -> Result<Option<Vec<u8>>, IndexError> {
    Ok(db.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| row.get(0)).optional()?)
}

#[cfg(test)]
impl Store {
    /// Spoils the file, for tests.
    pub(super) fn execute(&self, sql: &str) {
        self.db.execute_batch(sql).unwrap();
    }
}
