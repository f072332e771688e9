//! What is known of the data that were asked for, and what that leaves open of a provision.
//!
//! INVARIANT (unlabelled is not normal): a record without labels and categories of its own leaves every label
//! open; what its encounter carries counts for it, and says of nothing that it is not there. One whose labels
//! say too little cannot be told, since whoever hands it out sees no more.
//! INVARIANT (a list shows no more than its records): of a list nothing is known but its type and its patient,
//! and what is left open of it is left out in words that reach every record that would be refused alone.

mod labels;

use assent_law::sensitive::labels_of;
use assent_plugin_sdk::prelude::*;

use crate::answer::Answer;
use crate::codes::{self, ACT_CODE, CONFIDENTIALITY_SYSTEM, Emergency, RESOURCE_TYPES};
use crate::condition::{Clause, Criterion, Kind, Literal, insert};
use crate::facts::Facts;

/// From here on a record is more than normal (`R`, `V`).
const RESTRICTED: usize = 4;
/// Resources that hold others, of which the facts name the type.
const CONTAINERS: [&str; 3] = ["Bundle", "DataSet", "NewResource"];
/// A patient's own entry: names, dates, addresses.
const PATIENT: &str = "Patient";

/// The data that were asked for.
#[derive(Debug)]
pub struct Record<'a> {
    facts: &'a Facts,
    request: &'a Request,
    /// Whether the answer is a list, whose contents are not known.
    pub list: bool,
    /// Whether it is taken for one of which nothing is known.
    blind: bool,
    /// Sensitivity labels that it or its encounter carries, or that a fact or category implies.
    sensitivity: Vec<&'a str>,
    /// Labels that hold for everything of this patient, and say nothing of what is in the record.
    of_patient: Vec<&'a str>,
    /// Marks of privacy law, and labels that nobody knows.
    others: Vec<&'a str>,
    /// The highest confidentiality that it or its encounter carries.
    confidentiality: Option<usize>,
    /// Whether it carries one of its own.
    rated: bool,
    /// Whether somebody labelled the record itself.
    labelled: bool,
    /// Whether its labels do not say which sensitive category it is of.
    doubtful: bool,
    /// Whether it carries a label that nobody knows, which can say anything.
    unread: bool,
    /// Whether it is a patient's own entry, which holds what demographic labels are about.
    entry: bool,
}

/// What a provision's criteria come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// What the known facts say.
    pub known: Answer,
    /// What they leave open; all of it must be met as well.
    pub open: Clause,
    /// How it is about an emergency.
    pub emergency: Emergency,
}

impl Match {
    /// This, with all of that.
    fn and(&self, other: &Self) -> Self {
        let mut open = self.open.clone();
        other.open.iter().for_each(|literal| insert(&mut open, literal.clone()));
        Self { known: self.known.and(other.known), open, emergency: self.emergency }
    }

    const fn known(known: Answer) -> Self {
        Self { known, open: Clause::new(), emergency: Emergency::None }
    }
}

/// What one criterion comes to.
enum Found {
    Known(Answer),
    Open(Criterion),
}

impl<'a> Record<'a> {
    /// What the facts say.
    pub fn of(request: &'a Request, facts: &'a Facts) -> Self {
        let kind = request.resource.kind.as_str();
        let list = request.action == "search"
            || matches!(kind, "Bundle" | "DataSet")
            || facts.scope.as_deref() == Some("list");
        let mut record = Self::unknown(request, facts, list);
        record.flags();
        if !list {
            record.entry = kind == PATIENT;
            record.contents();
        }
        record
    }

    const fn unknown(request: &'a Request, facts: &'a Facts, list: bool) -> Self {
        Self {
            facts,
            request,
            list,
            blind: false,
            sensitivity: Vec::new(),
            of_patient: Vec::new(),
            others: Vec::new(),
            confidentiality: None,
            rated: false,
            labelled: false,
            doubtful: false,
            unread: false,
            entry: false,
        }
    }

    /// What is said of the patient holds for every record, and for every record of a list.
    fn flags(&mut self) {
        for flag in self.facts.privacy_flags.iter().flatten() {
            self.unread |= !codes::is_sensitivity(flag);
            self.of_patient.push(flag);
        }
    }

    /// What the record, its encounter and its categories say.
    fn contents(&mut self) {
        let facts = self.facts;
        let mut restricted = false;
        for label in facts.labels.iter().flatten() {
            self.labelled = true;
            restricted |= self.label(label);
            self.rated |= codes::confidentiality(label).is_some();
        }
        for category in facts.categories.iter().flatten() {
            self.labelled = true;
            match labels_of(category) {
                Some(labels) => self.sensitivity.extend(labels),
                None => self.doubtful = true,
            }
        }
        for (said, label) in [(facts.part2, "42CFRPart2"), (facts.counseling_notes, "PSYTHPN")] {
            if said == Some(true) {
                self.labelled = true;
                self.sensitivity.push(label);
            }
        }
        let has_category = facts.categories.as_ref().is_some_and(|own| !own.is_empty());
        // Restricted without saying why; or nothing but marks of law, which say nothing of what is in it.
        let told = self.rated || has_category || self.entry;
        self.doubtful |= self.sensitivity.is_empty() && (restricted || self.labelled && !told);
        let mut encounter_restricted = false;
        for label in facts.encounter_labels.iter().flatten() {
            encounter_restricted |= self.label(label);
        }
        self.doubtful |= self.sensitivity.is_empty() && encounter_restricted;
        if self.entry {
            // Names and addresses are normal where no label says more.
            if !self.rated {
                self.confidentiality = self.confidentiality.max(codes::confidentiality("N"));
            }
            self.labelled = true;
            self.rated = true;
            self.of_patient.push(codes::DEMOGRAPHICS);
        }
    }

    /// Takes a label in; whether it says that the record is restricted.
    fn label(&mut self, label: &'a str) -> bool {
        if let Some(level) = codes::confidentiality(label) {
            self.confidentiality = self.confidentiality.max(Some(level));
            return level >= RESTRICTED;
        }
        if codes::is_sensitivity(label) {
            self.sensitivity.push(label);
        } else {
            self.unread |= !codes::is_mark(label);
            self.others.push(label);
        }
        false
    }

    /// The same as if nothing were known of the data: to find out whether a denial rests on them.
    #[must_use]
    pub fn blind(&self) -> Self {
        Self { blind: true, ..Self::unknown(self.request, self.facts, true) }
    }

    /// Whether more labels would tell more.
    pub const fn says_too_little(&self) -> bool {
        !self.list && (!self.labelled || self.doubtful || self.unread || !self.rated)
    }

    /// What the provision's criteria on data come to: the ways in which it may match.
    pub fn matches(&self, provision: &Provision) -> Vec<Match> {
        let classes = &provision.classes;
        let found = [
            (!provision.codes.is_empty()).then(|| each(Kind::Codes, &provision.codes, |of| self.code(of))),
            (!provision.data.is_empty()).then(|| each(Kind::Data, &provision.data, |of| self.datum(of))),
            (provision.data_period != Period::default()).then(|| self.dates(provision.data_period)),
        ];
        let of_any_class = all(found.into_iter().flatten());
        let of_class = (!classes.is_empty()).then(|| each(Kind::Classes, classes, |of| self.class(of)));
        let others = of_any_class.and(&all(of_class.into_iter()));
        let labels = &provision.security_labels;
        if labels.is_empty() {
            return vec![others];
        }
        let ways = match provision.effect {
            ProvisionEffect::Permit => self.labels_permitted(labels),
            ProvisionEffect::Deny => self.labels_denied(labels),
        };
        let mut ways: Vec<_> = ways.iter().map(|labels| labels.and(&others)).collect();
        if let (ProvisionEffect::Deny, Some(entries)) = (provision.effect, self.entries(labels, classes)) {
            ways.push(entries.and(&of_any_class));
        }
        ways
    }

    /// Whether the data are of one of these categories of care; none: they are not limited.
    pub fn in_categories(&self, categories: &[String]) -> Match {
        let own = self.facts.categories.as_ref().filter(|own| !own.is_empty() && !self.list);
        let found = (!categories.is_empty()).then(|| {
            each(Kind::Categories, categories, |category| match own {
                Some(own) => Ok(Answer::of(own.has(category))),
                None => Err(category.clone()),
            })
        });
        all(found.into_iter())
    }

    /// The type of the resource, or of those in it; none: of any.
    fn type_of(&self) -> Option<&str> {
        let kind = self.request.resource.kind.as_str();
        match self.list || CONTAINERS.contains(&kind) {
            _ if self.blind => None,
            true => self.facts.resource_type.as_deref(),
            false => Some(kind),
        }
    }

    fn class(&self, of: &Coding) -> Result<Answer, String> {
        match self.type_of() {
            _ if of.system != RESOURCE_TYPES => Err(shown(of)),
            Some(own) => Ok(Answer::of(own == of.code)),
            None => Err(of.code.clone()),
        }
    }

    fn code(&self, of: &Coding) -> Result<Answer, String> {
        match &self.facts.codes {
            Some(own) if !self.list => Ok(Answer::of(own.has(&shown(of)))),
            _ => Err(shown(of)),
        }
    }

    fn datum(&self, of: &ConsentData) -> Result<Answer, String> {
        let word = match of.meaning {
            DataMeaning::Instance => "instance",
            DataMeaning::Related => "related",
            DataMeaning::Dependents => "dependents",
            DataMeaning::AuthoredBy => "authored-by",
        };
        let open = || Err(format!("{word}|{}/{}", of.what.kind, of.what.id));
        let own = of.what == self.request.resource;
        let of_patient = Some(&of.what) == self.request.patient.as_ref();
        if self.blind {
            return open();
        }
        if self.list {
            return match of.meaning {
                // All of it is the patient's.
                DataMeaning::Related | DataMeaning::Dependents if of_patient => Ok(Answer::Yes),
                // Whoever names what holds the records may mean what it holds.
                _ if own && CONTAINERS.contains(&of.what.kind.as_str()) => Ok(Answer::Unknown),
                _ => open(),
            };
        }
        match of.meaning {
            DataMeaning::Instance => Ok(Answer::of(own)),
            // What belongs to the patient or to the encounter depends on it.
            DataMeaning::Related | DataMeaning::Dependents => {
                let whole = of_patient || Some(&of.what) == self.facts.encounter.as_ref();
                if own || whole { Ok(Answer::Yes) } else { open() }
            }
            DataMeaning::AuthoredBy => match &self.facts.author {
                Some(author) if *author == of.what => Ok(Answer::Yes),
                // Whom an organization's authors are is not known here.
                Some(author) if author.kind == of.what.kind => Ok(Answer::No),
                _ => open(),
            },
        }
    }

    fn dates(&self, period: Period) -> Found {
        match self.facts.service_date {
            Some(date) if !self.list => Found::Known(Answer::of(period.contains(date))),
            _ => Found::Open(Criterion::Dates(period.start, period.end)),
        }
    }
}

/// One of a list: known, or what is open of it.
fn each<T>(kind: Kind, list: &[T], answer: impl Fn(&T) -> Result<Answer, String>) -> Found {
    let mut known = Answer::No;
    let mut open = Vec::new();
    for value in list {
        match answer(value) {
            Ok(answer) => known = known.max(answer),
            Err(value) => insert(&mut open, value),
        }
    }
    if known == Answer::No && !open.is_empty() {
        Found::Open(Criterion::OneOf(kind, open.into_iter().collect()))
    } else {
        Found::Known(known)
    }
}

/// All of these criteria.
fn all(found: impl Iterator<Item = Found>) -> Match {
    let mut all = Match::known(Answer::Yes);
    for found in found {
        match found {
            Found::Known(answer) => all.known = all.known.and(answer),
            Found::Open(criterion) => insert(&mut all.open, Literal { criterion, met: true }),
        }
    }
    all
}

/// A coding as values of records and obligations write it.
fn shown(coding: &Coding) -> String {
    // A bare code, where the system is that of labels or not said.
    if coding.system.is_empty() || coding.system == ACT_CODE || coding.system == CONFIDENTIALITY_SYSTEM {
        coding.code.clone()
    } else {
        format!("{}|{}", coding.system, coding.code)
    }
}
