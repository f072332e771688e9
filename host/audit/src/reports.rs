//! The reports that a privacy office reads daily, weekly and monthly, from records alone.
//!
//! Each is a pure function of records (in any order) and a fixed definition, which its documentation states:
//! so two people who run it over the same log get the same report. Records pass by one at a time, so that a
//! report needs memory for what it finds and not for the log. What the log cannot know (accounts that
//! never asked for anything, grants that are not used) is for reports over the stored state.
//! Source of the list and its cadence: daily validation of break-glass, weekly review of exports and new
//! accounts, monthly access reviews (45 CFR 164.308(a)(1)(ii)(D)).

mod report;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use assent_model::{Cause, DecisionId, EntityId, Instant};
use serde::Serialize;

use crate::disclosures::leaves;
use crate::record::{DecisionEvent, Event, Record, StateVerb};

pub use report::{Report, UnknownReport};

/// One hour, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
/// One day, in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// One decision in a report.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// When.
    pub at: Instant,
    /// The decision's id.
    pub decision: DecisionId,
    /// Who.
    pub subject: EntityId,
    /// What they did.
    pub action: String,
    /// To what.
    pub resource: EntityId,
    /// Whose record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<EntityId>,
    /// Where it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<EntityId>,
    /// What for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
}

/// Emergency access that nobody else has reviewed: permits under break-glass without a `reviewed` change of state
/// that names them and was made by another than the subject, made at least `grace_ms` before `now`. Daily, with a grace of a day. Oldest first.
pub fn break_glass_unreviewed<R: Borrow<Record>>(
    records: impl IntoIterator<Item = R>,
    now: Instant,
    grace_ms: i64,
) -> Vec<Item> {
    let mut open: BTreeMap<DecisionId, Item> = BTreeMap::new();
    let mut reviewers: BTreeMap<DecisionId, BTreeSet<EntityId>> = BTreeMap::new();
    for record in records {
        let record = record.borrow();
        match &record.event {
            Event::Decision(decision) if decision.is_break_glass() && age_ms(record.at, now) >= grace_ms => {
                open.insert(decision.id.clone(), item(record.at, decision));
            }
            Event::StateChanged(change)
                if change.items.iter().any(|item| item.change == StateVerb::Reviewed) =>
            {
                if let Some(decision) = &change.decision {
                    reviewers.entry(decision.clone()).or_default().insert(change.by.entity.clone());
                }
            }
            _ => {}
        }
    }
    let is_reviewed = |id: &DecisionId, item: &Item| {
        reviewers.get(id).is_some_and(|reviewers| reviewers.iter().any(|by| *by != item.subject))
    };
    open.retain(|id, item| !is_reviewed(id, item));
    by_time(open.into_values().collect())
}

/// What left: permitted exports, downloads, prints and shares from `from` on, before `until`. Weekly.
/// Oldest first.
pub fn exports<R: Borrow<Record>>(
    records: impl IntoIterator<Item = R>,
    from: Instant,
    until: Instant,
) -> Vec<Item> {
    let mut left = vec![];
    each_permit(records, |at, decision| {
        if (from..until).contains(&at) && leaves(&decision.action) {
            left.push(item(at, decision));
        }
    });
    by_time(left)
}

/// One subject's access to patients to whom no relation led.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Unrelated {
    /// Who.
    pub subject: EntityId,
    /// How many patients.
    pub patients: usize,
    /// How many of the accesses were emergencies, which need no relation and are reviewed by themselves.
    pub emergencies: usize,
    /// The accesses, oldest first.
    pub accesses: Vec<Item>,
}

/// Access without a relation: permits about somebody else's record, from `from` on, before `until`, with no
/// relation recorded that led from the subject to the patient. Monthly. By number of patients, most first.
pub fn without_relationship<R: Borrow<Record>>(
    records: impl IntoIterator<Item = R>,
    from: Instant,
    until: Instant,
) -> Vec<Unrelated> {
    let mut by_subject: BTreeMap<EntityId, (usize, Vec<Item>)> = BTreeMap::new();
    each_permit(records, |at, decision| {
        let subject = &decision.subject.entity;
        let others = decision.patient.as_ref().is_some_and(|patient| patient != subject);
        if (from..until).contains(&at) && others && decision.relations.is_empty() {
            let (emergencies, accesses) = by_subject.entry(subject.clone()).or_default();
            *emergencies += usize::from(decision.is_break_glass());
            accesses.push(item(at, decision));
        }
    });
    let mut found: Vec<Unrelated> = by_subject
        .into_iter()
        .map(|(subject, (emergencies, accesses))| Unrelated {
            subject,
            patients: distinct(&accesses),
            emergencies,
            accesses: by_time(accesses),
        })
        .collect();
    found.sort_by(|a, b| b.patients.cmp(&a.patients).then_with(|| a.subject.cmp(&b.subject)));
    found
}

/// An account, and when it was first and last seen to ask for anything.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Whose.
    pub subject: EntityId,
    /// Its first decision, or its creation where that is recorded.
    pub first: Instant,
    /// Its last decision, or the same.
    pub last: Instant,
}

/// New and dormant accounts.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Accounts {
    /// First seen at most `new_ms` ago, newest first.
    pub new: Vec<Account>,
    /// Last seen at least `dormant_ms` ago and not disabled or deleted since, longest first.
    pub dormant: Vec<Account>,
}

/// Accounts that are new (weekly: 7 days) and accounts that are dormant (monthly: 90 days), as far as the
/// records go back. An account is seen when a decision is asked for it, and by `account.create`,
/// `account.disable`, `account.enable` and `account.delete`.
pub fn accounts<R: Borrow<Record>>(
    records: impl IntoIterator<Item = R>,
    now: Instant,
    new_ms: i64,
    dormant_ms: i64,
) -> Accounts {
    let mut seen: BTreeMap<EntityId, Seen> = BTreeMap::new();
    for record in records {
        let record = record.borrow();
        if record.at > now {
            continue;
        }
        let (account, active) = match &record.event {
            Event::Decision(decision) => (&decision.subject.entity, None),
            Event::Administration(event) => match event.action.as_str() {
                "account.create" | "account.enable" => (&event.target, Some(true)),
                "account.disable" | "account.delete" => (&event.target, Some(false)),
                _ => continue,
            },
            _ => continue,
        };
        let seen = match seen.get_mut(account) {
            Some(seen) => seen,
            None => seen.entry(account.clone()).or_insert(Seen {
                first: record.at,
                last: record.at,
                active: None,
            }),
        };
        seen.first = seen.first.min(record.at);
        seen.last = seen.last.max(record.at);
        // The newest word counts, in whatever order records come.
        if let Some(active) = active
            && seen.active.is_none_or(|(at, _)| at <= record.at)
        {
            seen.active = Some((record.at, active));
        }
    }
    let account = |(subject, seen): (&EntityId, &Seen)| Account {
        subject: subject.clone(),
        first: seen.first,
        last: seen.last,
    };
    let is_active = |seen: &Seen| seen.active.is_none_or(|(_, active)| active);
    let mut new: Vec<_> =
        seen.iter().filter(|(_, seen)| age_ms(seen.first, now) <= new_ms).map(account).collect();
    let mut dormant: Vec<_> = seen
        .iter()
        .filter(|(_, seen)| is_active(seen) && age_ms(seen.last, now) >= dormant_ms)
        .map(account)
        .collect();
    new.sort_by(|a, b| b.first.cmp(&a.first).then_with(|| a.subject.cmp(&b.subject)));
    dormant.sort_by(|a, b| a.last.cmp(&b.last).then_with(|| a.subject.cmp(&b.subject)));
    Accounts { new, dormant }
}

/// What is known of an account.
struct Seen {
    first: Instant,
    last: Instant,
    /// Whether it was enabled or disabled, and when.
    active: Option<(Instant, bool)>,
}

/// Many denials of one subject in a short time.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Burst {
    /// Who.
    pub subject: EntityId,
    /// The first denial.
    pub from: Instant,
    /// The last one.
    pub until: Instant,
    /// How many different patients were asked about.
    pub patients: usize,
    /// The denials, oldest first.
    pub denials: Vec<Item>,
}

/// Denials in bursts: at least `count_min` denials of one subject within some `window_ms`, from `from` on.
/// What could not be said does not count, for it is no fault of the subject. Bursts that overlap are one.
/// Daily, ten in ten minutes. Oldest first.
pub fn denial_bursts<R: Borrow<Record>>(
    records: impl IntoIterator<Item = R>,
    from: Instant,
    window_ms: i64,
    count_min: usize,
) -> Vec<Burst> {
    let mut by_subject: BTreeMap<EntityId, Vec<Item>> = BTreeMap::new();
    for record in records {
        let record = record.borrow();
        let Some(decision) = record.decision() else { continue };
        match decision.outcome.cause {
            Cause::Forbidden | Cause::NoPolicy if record.at >= from => {
                let denials = by_subject.entry(decision.subject.entity.clone()).or_default();
                denials.push(item(record.at, decision));
            }
            _ => {}
        }
    }
    let mut bursts: Vec<Burst> = by_subject
        .into_values()
        .flat_map(|denials| bursts_of(by_time(denials), window_ms, count_min))
        .collect();
    bursts.sort_by(|a, b| a.from.cmp(&b.from).then_with(|| a.subject.cmp(&b.subject)));
    bursts
}

/// The bursts among one subject's denials, which are in order of time.
fn bursts_of(denials: Vec<Item>, window_ms: i64, count_min: usize) -> Vec<Burst> {
    let mut bursts: Vec<Burst> = vec![];
    // The denials that may still begin a burst; `taken` says how many of them are in the last one already.
    let mut window: VecDeque<Item> = VecDeque::new();
    let mut taken = 0_usize;
    for denial in denials {
        while window.front().is_some_and(|first| age_ms(first.at, denial.at) > window_ms) {
            window.pop_front();
            taken = taken.saturating_sub(1);
        }
        window.push_back(denial);
        if window.len() < count_min.max(1) {
            continue;
        }
        let Some((first, last)) = window.front().zip(window.back()) else { continue };
        let fresh = window.iter().skip(taken).cloned();
        match bursts.last_mut() {
            Some(burst) if taken > 0 => {
                burst.until = last.at;
                burst.denials.extend(fresh);
            }
            _ => bursts.push(Burst {
                subject: first.subject.clone(),
                from: first.at,
                until: last.at,
                patients: 0,
                denials: fresh.collect(),
            }),
        }
        taken = window.len();
    }
    for burst in &mut bursts {
        burst.patients = distinct(&burst.denials);
    }
    bursts
}

fn each_permit<R: Borrow<Record>>(
    records: impl IntoIterator<Item = R>,
    mut see: impl FnMut(Instant, &DecisionEvent),
) {
    for record in records {
        let record = record.borrow();
        if let Some(decision) = record.decision().filter(|decision| decision.permits()) {
            see(record.at, decision);
        }
    }
}

fn item(at: Instant, decision: &DecisionEvent) -> Item {
    Item {
        at,
        decision: decision.id.clone(),
        subject: decision.subject.entity.clone(),
        action: decision.action.clone(),
        resource: decision.resource.entity.clone(),
        patient: decision.patient.clone(),
        recipient: decision.recipient.clone(),
        purpose: decision.purpose.clone(),
        justification: decision.justification.clone(),
    }
}

fn by_time(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.decision.cmp(&b.decision)));
    items
}

fn distinct(items: &[Item]) -> usize {
    items.iter().filter_map(|item| item.patient.as_ref()).collect::<BTreeSet<_>>().len()
}

const fn age_ms(at: Instant, now: Instant) -> i64 {
    now.as_millis().saturating_sub(at.as_millis())
}

/// INVARIANT (no patient in logs): the decision's id and the action are printed.
impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({}, {})", self.decision, self.action)
    }
}

impl fmt::Debug for Unrelated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unrelated({} patients, {:?})", self.patients, self.accesses)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({:?}, {} to {})", self.subject, self.first, self.last)
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accounts({} new, {} dormant)", self.new.len(), self.dormant.len())
    }
}

impl fmt::Debug for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Burst({} denials, {} to {})", self.denials.len(), self.from, self.until)
    }
}

#[cfg(test)]
mod tests;
