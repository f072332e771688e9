//! One client's work: steps of every workflow on documents of its own, and what it was told of them.
//!
//! Nobody else changes its documents, so that it knows each to the letter; one counter is shared by all. Between two
//! answers there is at most one request that it knows nothing of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use super::Random;
use super::service::{Answer, Client, Request};
use super::steps::counting;

/// A document: its collection and its id, which of an entity is `Type/id`.
pub(super) type Document = (&'static str, String);

pub(super) const SHARED: &str = "Patient/shared";
/// The attribute of the shared entity that counts.
pub(super) const COUNT: &str = "/attrs/identityLevel";
/// Requests with a key that are sent again after the kill.
const KEPT: usize = 4;

/// What a client knows of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Known {
    /// The answer that it had.
    There(Value),
    Gone,
}

/// What a step makes of its document, if it is taken.
#[derive(Clone, Debug)]
pub(super) enum Leads {
    To(&'static str, Value),
    Gone,
    /// The shared count is one more.
    Counted,
    /// It is refused, with this status.
    Refused(u16),
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) request: Request,
    pub(super) collection: &'static str,
    /// None: it is given one.
    pub(super) id: Option<String>,
    pub(super) leads: Leads,
}

impl Step {
    /// Whether a document is what the step makes.
    pub(super) fn made(&self, document: &Value) -> bool {
        matches!(&self.leads, Leads::To(pointer, value) if document.pointer(pointer) == Some(value))
    }
}

pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) random: Random,
    serial: u64,
    pub(super) known: BTreeMap<Document, Known>,
    /// The one request that had no answer.
    pub(super) in_flight: Option<Step>,
    /// The versions that its changes made, since they were last taken away.
    pub(super) versions: Vec<u64>,
    /// How often it was told that it counted.
    pub(super) counted: u64,
    /// Requests with a key, and what was answered.
    pub(super) keyed: Vec<(Request, Answer)>,
    pub(super) refused: u64,
    /// The kinds of steps that were answered.
    pub(super) taken: BTreeSet<&'static str>,
}

impl Worker {
    pub(super) fn new(number: usize, random: Random) -> Self {
        Self {
            number,
            random,
            serial: 0,
            known: BTreeMap::new(),
            in_flight: None,
            versions: vec![],
            counted: 0,
            keyed: vec![],
            refused: 0,
            taken: BTreeSet::new(),
        }
    }

    /// Works until it is over, or an answer does not come.
    pub(super) fn work(&mut self, address: &str, (over, done): (&AtomicBool, &AtomicU64)) {
        let mut client = Client::new(address);
        while !over.load(Ordering::Relaxed) {
            let Some(step) = self.next(&mut client) else { return };
            let Some(answer) = client.send(&step.request) else {
                // Of what is refused nothing may come, answer or not.
                self.in_flight = Some(step).filter(|step| !matches!(step.leads, Leads::Refused(_)));
                return;
            };
            done.fetch_add(1, Ordering::Relaxed);
            let again = step.request.key.is_some().then(|| step.request.clone());
            if !self.note(step, &answer) {
                continue;
            }
            let Some(again) = again else { continue };
            if self.random.below(8) == 0 {
                let Some(replayed) = client.send(&again) else { return };
                same(&replayed, &answer);
            }
            self.keyed.push((again, answer));
            if self.keyed.len() > KEPT {
                self.keyed.remove(0);
            }
        }
    }

    /// Remembers an answer; whether something changed.
    pub(super) fn note(&mut self, step: Step, answer: &Answer) -> bool {
        let Answer { status, body, .. } = answer;
        let overtaken = matches!(step.leads, Leads::Counted) && *status == 412;
        self.taken.insert(step.name);
        if let Leads::Refused(expected) = step.leads {
            assert_eq!(*status, expected, "{step:?}: {body}");
        }
        if overtaken || matches!(step.leads, Leads::Refused(_)) {
            self.refused += 1;
            return false;
        }
        assert!(matches!(status, 200 | 201) && !answer.is_replayed(), "{step:?}: {status} {body}");
        self.versions.push(answer.version());
        let known = match step.leads {
            Leads::Refused(_) => return false,
            Leads::Counted => {
                self.counted += 1;
                return true;
            }
            Leads::Gone => Known::Gone,
            Leads::To(..) => {
                assert!(step.made(body), "{step:?}: {body}");
                Known::There(body.clone())
            }
        };
        let id = step.id.unwrap_or_else(|| body["id"].as_str().unwrap().to_owned());
        self.known.insert((step.collection, id), known);
        true
    }

    /// The next step; none where the service does not answer.
    fn next(&mut self, client: &mut Client) -> Option<Step> {
        loop {
            self.serial += 1;
            let mark = format!("w{}-{}", self.number, self.serial);
            let choice = self.random.below(28);
            let step = match choice {
                0 => Some(counting(client)?),
                1..=6 => self.entity(choice, &mark),
                7..=12 => self.approval(choice, &mark),
                13..=16 => self.emergency(choice, &mark),
                17..=18 => self.disclosure(choice, &mark),
                19..=23 => self.hold(choice, &mark),
                _ => self.consent(choice, &mark),
            };
            if let Some(mut step) = step {
                step.request.key = (self.random.below(2) == 0).then_some(mark);
                return Some(step);
            }
        }
    }

    /// One of its documents of a collection for which this holds.
    pub(super) fn one(
        &mut self,
        collection: &'static str,
        fits: impl Fn(&Value) -> bool,
    ) -> Option<(String, Value)> {
        let own: Vec<(&String, &Value)> = self
            .known
            .iter()
            .filter_map(|((of, id), known)| match known {
                Known::There(document) if *of == collection && fits(document) => Some((id, document)),
                Known::There(_) | Known::Gone => None,
            })
            .collect();
        self.random.of(&own).map(|(id, document)| ((*id).clone(), (*document).clone()))
    }
}

/// What comes again is answered as before.
pub(super) fn same(replayed: &Answer, answer: &Answer) {
    assert!(replayed.is_replayed(), "{replayed:?}, first {answer:?}");
    assert_eq!((replayed.status, replayed.version()), (answer.status, answer.version()));
    assert_eq!(replayed.body, answer.body);
}
