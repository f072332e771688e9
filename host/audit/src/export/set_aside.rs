//! Records that a receiver refuses for what they are, so that they do not hold up those behind them: a small
//! file of places, replaced whole.
//!
//! INVARIANT (at least once): a place is here, durably, before the cursor passes it, and leaves when the
//! receiver took the record after all. Only so many find room: a receiver that refuses more has something
//! wrong with it, and the exporter stands still.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::cursor::CursorError;
use crate::log::disk;
use crate::shelf::Place;

/// How many places find room: far more than a few odd records, far less than what nobody would look at.
pub const SET_ASIDE_MAX: usize = 1_000;

/// The places of the records that were refused.
#[derive(Debug)]
pub struct SetAside {
    path: PathBuf,
    places: BTreeSet<Place>,
}

impl SetAside {
    /// Opens the list; empty where there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, or is not such a list.
    pub fn open(path: &Path) -> Result<Self, CursorError> {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => EMPTY.to_owned(),
            Err(source) => return Err(CursorError::File { path: path.to_owned(), source }),
        };
        let places = parse(&text).ok_or_else(|| CursorError::Damaged { path: path.to_owned() })?;
        Ok(Self { path: path.to_owned(), places })
    }

    /// The places, oldest first.
    pub fn places(&self) -> impl ExactSizeIterator<Item = Place> + '_ {
        self.places.iter().copied()
    }

    /// Whether a further one finds room.
    pub fn has_room_for(&self, count: usize) -> bool {
        self.places.len() + count <= SET_ASIDE_MAX
    }

    /// Adds these places, durably.
    ///
    /// # Errors
    /// When the file cannot be written; the list is then as it was.
    pub fn add(&mut self, places: impl IntoIterator<Item = Place>) -> Result<(), CursorError> {
        let mut all = self.places.clone();
        all.extend(places);
        self.put(all)
    }

    /// Takes a place off the list, durably.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn remove(&mut self, place: Place) -> Result<(), CursorError> {
        let mut all = self.places.clone();
        all.remove(&place);
        self.put(all)
    }

    fn put(&mut self, places: BTreeSet<Place>) -> Result<(), CursorError> {
        let lines: String = places.iter().map(|place| format!("{place}\n")).collect();
        disk::replace(&self.path, format!("{HEAD}{lines}{END}").as_bytes())?;
        self.places = places;
        Ok(())
    }
}

const HEAD: &str = "assent-set-aside 1\n";
const END: &str = "end\n";
const EMPTY: &str = "assent-set-aside 1\nend\n";

fn parse(text: &str) -> Option<BTreeSet<Place>> {
    let lines = text.strip_prefix(HEAD)?.strip_suffix(END)?;
    lines.lines().map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_is_there_again_after_a_start_and_a_cut_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("siem.refused");
        let mut list = SetAside::open(&path).unwrap();
        assert_eq!(list.places().len(), 0);
        let place = |year, position| Place { year, position };
        list.add([place(2027, 1), place(2026, 12), place(2026, 3)]).unwrap();
        list.remove(place(2026, 12)).unwrap();
        let again: Vec<_> = SetAside::open(&path).unwrap().places().collect();
        assert_eq!(again, [place(2026, 3), place(2027, 1)]);
        assert!(list.has_room_for(SET_ASIDE_MAX - 2) && !list.has_room_for(SET_ASIDE_MAX - 1));
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(SetAside::open(&path), Err(CursorError::Damaged { .. })), "{length}");
        }
    }
}
