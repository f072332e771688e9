//! Holds: what was said of each, which adds up to what is held, and what must be said again before a year goes.
//!
//! What was written again counts where it stood first, so neither a hold nor its end comes back with it. INVARIANT (a
//! hold outlives the years it is said in): [`Holds::to_carry`] gives what must be written again before a year goes, so
//! that what is held is the same without that year's records.

use std::collections::{BTreeMap, BTreeSet};

use assent_model::Instant;

use crate::record::{Actor, Retention, RetentionChange};
use crate::redacted::debug_by_name;
use crate::shelf::Place;

/// Nothing of these years may be let go.
#[derive(Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its name.
    pub id: String,
    /// Which years; none: all.
    pub years: BTreeSet<i32>,
    /// Who placed it.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// Since when, and where that is recorded.
    pub placed: (Instant, Place),
    /// Until when, and where that is recorded.
    pub released: Option<(Instant, Place)>,
    /// Where somebody last placed it, also if that was written again since.
    pub(super) last_word: Place,
}

/// What somebody said of a hold, wherever that was written again.
#[derive(Clone)]
struct Word {
    by: Actor,
    reason: String,
    /// Of the newest record of it.
    at: (Instant, Place),
    said: Said,
}

#[derive(Clone)]
enum Said {
    /// That it holds, and which years each record says.
    Placed(BTreeMap<Place, BTreeSet<i32>>),
    /// That it ends, and the records that say so: a release with the request for it, or one that was written again.
    Released(Vec<BTreeSet<Place>>),
}

debug_by_name!(Hold, Word);

/// All years that these records say together; of a hold none are all. `None` where there are no records.
fn together<'a>(records: impl IntoIterator<Item = &'a BTreeSet<i32>>) -> Option<BTreeSet<i32>> {
    records.into_iter().cloned().reduce(|all, years| match all.is_empty() || years.is_empty() {
        true => BTreeSet::new(),
        false => all.union(&years).copied().collect(),
    })
}

impl Hold {
    /// Whether it holds this year.
    pub fn holds(&self, year: i32) -> bool {
        self.released.is_none() && (self.years.is_empty() || self.years.contains(&year))
    }
}

/// Where it stood first, if this was written again.
fn carried_from(event: &Retention) -> Option<Place> {
    event.carried_from.as_deref()?.parse().ok()
}

/// Whether this was written again, and it is known from where.
pub(super) fn is_carried(event: &Retention) -> bool {
    carried_from(event).is_some()
}

/// All holds, as they are and as they came about.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    holds: BTreeMap<String, Hold>,
    /// What was said of each hold, by where it was said first.
    words: BTreeMap<String, BTreeMap<Place, Word>>,
}

impl Holds {
    /// The hold with this id.
    pub(super) fn get(&self, id: &str) -> Option<&Hold> {
        self.holds.get(id)
    }

    /// All holds, also those that ended.
    pub(super) fn all(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values()
    }

    /// Takes that somebody placed one, or that this was written again.
    pub(super) fn place(&mut self, id: &str, event: &Retention, (at, here): (Instant, Place)) {
        let word = self.word(id, event, (at, here), Said::Placed(BTreeMap::new()));
        if let Said::Placed(records) = &mut word.said {
            records.insert(here, event.years.iter().copied().collect());
        }
        self.add_up(id);
    }

    /// Takes that one ended: by a record with the request that stands at `asked`, or by one that was written again.
    pub(super) fn release(
        &mut self,
        id: &str,
        event: &Retention,
        asked: Option<Place>,
        (at, here): (Instant, Place),
    ) {
        let word = self.word(id, event, (at, here), Said::Released(vec![]));
        if let Said::Released(records) = &mut word.said {
            records.push(asked.into_iter().chain([here]).collect());
        }
        self.add_up(id);
    }

    /// What was said where this event stood first; `said`, if nothing yet.
    fn word(&mut self, id: &str, event: &Retention, at: (Instant, Place), said: Said) -> &mut Word {
        let (first, by, reason) = (carried_from(event).unwrap_or(at.1), &event.by, &event.reason);
        let words = self.words.entry(id.to_owned()).or_default();
        let word =
            words.entry(first).or_insert_with(|| Word { by: by.clone(), reason: reason.clone(), at, said });
        word.at = at;
        word
    }

    /// Makes of all words of a hold what it is. One that is placed again, while it holds, holds what it did and what
    /// is new.
    fn add_up(&mut self, id: &str) {
        let mut hold: Option<Hold> = None;
        for (first, Word { by, reason, at, said }) in self.words.get(id).into_iter().flatten() {
            match said {
                Said::Placed(records) => {
                    let before = hold.take().filter(|hold| hold.released.is_none()).map(|hold| hold.years);
                    hold = Some(Hold {
                        id: id.to_owned(),
                        years: together(before.iter().chain(records.values())).unwrap_or_default(),
                        by: by.clone(),
                        reason: reason.clone(),
                        placed: *at,
                        released: None,
                        last_word: *first,
                    });
                }
                // Who ended it first ended it.
                Said::Released(_) => {
                    if let Some(hold) = hold.as_mut().filter(|hold| hold.released.is_none()) {
                        hold.released = Some(*at);
                    }
                }
            }
        }
        self.holds.extend(hold.map(|hold| (id.to_owned(), hold)));
    }

    /// What must be written again before a year's log goes, because it says something of holds that others do not: of
    /// holds that go on, and ends of those whose beginning stays, be it in a record that was written again.
    pub(super) fn to_carry(&self, year: i32) -> Vec<Retention> {
        let mut carry = vec![];
        for (id, words) in &self.words {
            let mut carried = |word: &Word, first: Place, change, years: &BTreeSet<i32>| {
                carry.push(Retention {
                    change,
                    by: word.by.clone(),
                    reason: word.reason.clone(),
                    years: years.iter().copied().collect(),
                    request: None,
                    carried_from: Some(first.to_string()),
                });
            };
            // Whether anything stays that an end must follow.
            let mut begins = false;
            // Since it ended last: the years that stay said, and the last word of this year.
            let (mut staying, mut said_here) = (vec![], None);
            for (first, word) in words {
                match &word.said {
                    Said::Placed(records) => {
                        let stays = records.iter().filter(|(place, _)| place.year != year);
                        staying.extend(stays.map(|(_, years)| years));
                        begins |= !staying.is_empty();
                        if records.keys().any(|place| place.year == year) {
                            said_here = Some((*first, word));
                        }
                    }
                    Said::Released(records) => {
                        let goes = |records: &BTreeSet<Place>| records.iter().any(|place| place.year == year);
                        if begins && records.iter().all(goes) {
                            carried(
                                word,
                                *first,
                                RetentionChange::HoldReleased(id.clone()),
                                &BTreeSet::new(),
                            );
                        }
                        (staying, said_here) = (vec![], None);
                    }
                }
            }
            if let Some((first, word)) = said_here
                && let Some(hold) = self.holds.get(id)
                && together(staying).as_ref() != Some(&hold.years)
            {
                carried(word, first, RetentionChange::HoldPlaced(id.clone()), &hold.years);
            }
        }
        carry
    }
}
