//! The archive of a release and its facts, found in a year's log.
//!
//! INVARIANT (the log is the truth): the index says only where parts may be; each is read and checked from the
//! log. An index that does not find an archive makes a decision one that cannot be tried, never one that
//! came out the same.

use assent_model::Digest;

use super::{Page, Shelf, ShelfError};
use crate::archive::{Archive, ArchiveError, Assembly};
use crate::index::{Order, Query};
use crate::record::Event;

/// Parts that are in memory at once: at 64 KB each, 6 MB.
const PARTS_AT_ONCE: usize = 100;

/// What a year's log has of an archive.
#[derive(Debug)]
pub enum Archived {
    /// All of it.
    Whole(Archive),
    /// A part of it: the service ended while it was written.
    Incomplete,
    /// Nothing.
    None,
}

impl Shelf {
    /// The newest archive of this release: in which year's log it is, and of which facts.
    ///
    /// # Errors
    /// When a log or its index cannot be read.
    pub fn last_archive(&self, release: Digest) -> Result<Option<(i32, Digest)>, ShelfError> {
        let (id, kind) = (Some(release.to_string()), Some("release-archived".to_owned()));
        let query = Query { id, kind, ..Query::default() };
        let found = self.find(Page { query: &query, order: Order::NewestFirst, after: None, limit: 1 })?;
        Ok(found.into_iter().find_map(|(place, record)| match record.event {
            Event::ReleaseArchived(part) => Some((place.year, part.facts)),
            _ => None,
        }))
    }

    /// The first whole archive of this release and these facts in a year's log.
    ///
    /// # Errors
    /// When the log cannot be read; `Ok(Err(_))` when it can, and an archive in it does not hold.
    pub fn archived(
        &self,
        year: i32,
        release: Digest,
        facts: Digest,
    ) -> Result<Result<Archived, ArchiveError>, ShelfError> {
        // Of facts, which change more often than releases do.
        let (id, kind) = (Some(facts.to_string()), Some("release-archived".to_owned()));
        let query = Query { id, kind, ..Query::default() };
        let page = Page { query: &query, order: Order::OldestFirst, after: None, limit: PARTS_AT_ONCE };
        let (mut assembly, mut after) = (Assembly::default(), None);
        loop {
            let positions = self.positions(year, page, after, PARTS_AT_ONCE)?;
            let Some(last) = positions.last().copied() else { break };
            for (_, record) in self.fetch(year, &positions)? {
                let Event::ReleaseArchived(part) = &record.event else { continue };
                if (part.release, part.facts) != (release, facts) {
                    continue;
                }
                match assembly.push(part) {
                    Ok(None) => {}
                    Ok(Some(archive)) => return Ok(Ok(Archived::Whole(archive))),
                    Err(error) => return Ok(Err(error)),
                }
            }
            after = Some(last);
        }
        Ok(Ok(if assembly.is_begun() { Archived::Incomplete } else { Archived::None }))
    }
}
