//! Whether a provision that names security labels is about the record.
//!
//! A deny is met by one of the labels it names. INVARIANT (a permit covers the whole record): a permit is met
//! where it reaches the record's confidentiality, or where every sensitivity label of the record is one that
//! it names. INVARIANT (no label is passed over): a label that nobody knows, in the consent or on the record,
//! can say anything: it stands for whatever a deny means, and meets no permit.

use assent_plugin_sdk::prelude::*;

use super::{Match, PATIENT, Record};
use crate::answer::Answer;
use crate::codes::{self, ACT_CODE, CONFIDENTIALITY, CONFIDENTIALITY_SYSTEM, DEMOGRAPHICS, RESOURCE_TYPES};
use crate::condition::{Clause, Criterion, Kind, Literal, insert};

/// The labels that a provision names.
#[derive(Default)]
struct Named {
    /// Levels of confidentiality.
    levels: Vec<usize>,
    /// Sensitivity labels and marks of law, with what is part of them.
    labels: Vec<String>,
    /// Codes that nobody knows, where a record may carry the same.
    unread: Vec<String>,
    /// Whether there is one of a system that labels of records do not say.
    foreign: bool,
}

impl Named {
    fn of(codings: &[Coding]) -> Self {
        let mut named = Self::default();
        for coding in codings {
            let known = codes::is_sensitivity(&coding.code) || codes::is_mark(&coding.code);
            match codes::confidentiality(&coding.code) {
                Some(level) if coding.system == CONFIDENTIALITY_SYSTEM => insert(&mut named.levels, level),
                _ if coding.system == ACT_CODE && known => {
                    let labels = codes::with_narrower(&coding.code);
                    labels.for_each(|label| insert(&mut named.labels, label.to_owned()));
                }
                _ if coding.system == ACT_CODE => insert(&mut named.unread, coding.code.clone()),
                _ => named.foreign = true,
            }
        }
        named
    }
}

impl Record<'_> {
    /// What a deny of these labels comes to.
    pub(super) fn labels_denied(&self, codings: &[Coding]) -> Vec<Match> {
        let named = Named::of(codings);
        let mut known = if named.foreign { Answer::Unknown } else { Answer::No };
        let mut open = Vec::new();
        // A deny of R keeps back what is even more so.
        if let Some(&lowest) = named.levels.first() {
            match self.at_least(lowest) {
                Some(answer) => known = known.max(answer),
                None => {
                    CONFIDENTIALITY.iter().skip(lowest).for_each(|&code| insert(&mut open, code.to_owned()))
                }
            }
        }
        for label in &named.labels {
            match self.carries(label) {
                Some(answer) => known = known.max(answer),
                None => insert(&mut open, label.clone()),
            }
        }
        for code in &named.unread {
            let same = !self.list && self.others.contains(&code.as_str());
            known = known.max(if same { Answer::Yes } else { Answer::Unknown });
        }
        vec![match known {
            Answer::No if !open.is_empty() => met(Kind::Labels, open),
            Answer::No | Answer::Unknown | Answer::Yes => Match::known(known),
        }]
    }

    /// What a permit of these labels comes to.
    pub(super) fn labels_permitted(&self, codings: &[Coding]) -> Vec<Match> {
        let named = Named::of(codings);
        let mut ways = Vec::new();
        if named.foreign {
            ways.push(Match::known(Answer::Unknown));
        }
        // "R" means R and below to a permit.
        if let Some(&highest) = named.levels.last() {
            ways.push(self.at_most(highest));
        }
        if !(named.labels.is_empty() && named.unread.is_empty()) {
            ways.push(self.covered(&named));
        }
        ways
    }

    /// Whether it is at least as confidential; none: whoever hands it out must look.
    fn at_least(&self, level: usize) -> Option<Answer> {
        if self.confidentiality.is_some_and(|own| own >= level) {
            Some(Answer::Yes)
        } else if self.unread {
            Some(Answer::Unknown)
        } else if self.rated {
            Some(Answer::No)
        } else {
            self.labelled.then_some(Answer::Unknown)
        }
    }

    fn at_most(&self, level: usize) -> Match {
        if self.confidentiality.is_some_and(|own| own > level) {
            return Match::known(Answer::No);
        }
        if self.unread {
            return Match::known(Answer::Unknown);
        }
        if self.rated {
            return Match::known(Answer::Yes);
        }
        if self.labelled {
            return Match::known(Answer::Unknown);
        }
        let codes = |codes: &[&str]| codes.iter().map(|&code| code.to_owned()).collect::<Vec<_>>();
        let (within, above) = CONFIDENTIALITY.split_at_checked(level + 1).unwrap_or((CONFIDENTIALITY, &[]));
        // Of two codes the higher counts: not all that carries one of these is no more than that.
        met(Kind::Labels, codes(within)).and(&unmet(Kind::Labels, codes(above)))
    }

    /// Whether it carries this label; none: whoever hands it out must look.
    fn carries(&self, label: &str) -> Option<Answer> {
        let own = |of: &[&str]| of.contains(&label);
        if own(&self.sensitivity) || own(&self.of_patient) || own(&self.others) {
            return Some(Answer::Yes);
        }
        let so_wide = self.sensitivity.iter().chain(&self.of_patient).any(|own| codes::is_wider(own, label));
        let holds = self.entry && codes::is_demographic(label);
        if self.unread || self.doubtful || holds || so_wide {
            return Some(Answer::Unknown);
        }
        self.labelled.then_some(Answer::No)
    }

    /// Whether the labels named are carried, and cover all that is.
    fn covered(&self, named: &Named) -> Match {
        let has = |label: &str| {
            let same = |known: &String| known.as_str() == label;
            named.labels.iter().any(same) || named.unread.iter().any(same)
        };
        let so_wide = |label: &str| named.labels.iter().any(|named| codes::is_wider(label, named));
        let carried = || self.sensitivity.iter().chain(&self.of_patient).chain(&self.others).copied();
        let holds = self.entry && named.labels.iter().any(|label| codes::is_demographic(label));
        let unread = || self.others.iter().any(|code| !codes::is_mark(code) && !has(code));
        let unflagged = || self.of_patient.iter().any(|code| !codes::is_sensitivity(code) && !has(code));
        // Each label of the record must be named; those of the patient say nothing of what is in it.
        let mut known =
            match self.sensitivity.iter().filter(|label| !has(label)).map(|label| so_wide(label)).min() {
                None => Answer::Yes,
                Some(true) => Answer::Unknown,
                Some(false) => Answer::No,
            };
        if self.doubtful || unread() || unflagged() {
            known = known.and(Answer::Unknown);
        }
        let mut all = Match::known(known);
        if !carried().any(has) {
            if carried().any(so_wide) || self.doubtful || self.unread || holds {
                all.known = all.known.and(Answer::Unknown);
            } else if self.labelled {
                all.known = Answer::No;
            } else {
                let values = named.labels.iter().chain(&named.unread).cloned().collect();
                all = all.and(&met(Kind::Labels, values));
            }
        }
        if !self.labelled {
            all = all.and(&literal(Criterion::Besides(named.labels.iter().cloned().collect()), false));
        }
        all
    }

    /// What a deny of these labels comes to for the patients' own entries in a list, which hold what
    /// demographic labels are about, whatever they are labelled; none: it is about none of them.
    pub(super) fn entries(&self, codings: &[Coding], classes: &[Coding]) -> Option<Match> {
        let labels = Named::of(codings).labels;
        if !self.list || !labels.iter().any(|label| codes::is_demographic(label)) {
            return None;
        }
        let said =
            if labels.iter().any(|label| label == DEMOGRAPHICS) { Answer::Yes } else { Answer::Unknown };
        let of_class = Answer::one_of(classes, |of| match of.system.as_str() {
            RESOURCE_TYPES => Answer::of(of.code == PATIENT),
            _ => Answer::Unknown,
        });
        match self.type_of() {
            Some(PATIENT) => Some(Match::known(said.and(of_class))),
            Some(_) => None,
            None => Some(Match { known: said.and(of_class), ..met(Kind::Classes, vec![PATIENT.to_owned()]) }),
        }
    }
}

fn met(kind: Kind, values: Vec<String>) -> Match {
    literal(Criterion::OneOf(kind, values.into_iter().collect()), true)
}

/// None of these; of no values, nothing is asked.
fn unmet(kind: Kind, values: Vec<String>) -> Match {
    if values.is_empty() {
        return Match::known(Answer::Yes);
    }
    literal(Criterion::OneOf(kind, values.into_iter().collect()), false)
}

fn literal(criterion: Criterion, met: bool) -> Match {
    Match { open: Clause::from([Literal { criterion, met }]), ..Match::known(Answer::Yes) }
}
