//! What is known of the data that were asked for, and what that leaves open of a provision.
//!
//! INVARIANT (unlabelled is not normal): a record without labels and categories leaves every label open. One
//! whose labels say too little (restricted without saying why, without confidentiality, in unknown words)
//! cannot be told, since whoever hands it out sees no more. Of a list nothing is known but its type.

use assent_law::sensitive::labels_of;
use assent_plugin_sdk::prelude::*;

use crate::answer::Answer;
use crate::codes::{self, ACT_CODE, CONFIDENTIALITY, CONFIDENTIALITY_SYSTEM, RESOURCE_TYPES};
use crate::condition::{Clause, Criterion, Kind, Literal, insert};
use crate::facts::Facts;

/// From here on a record is more than normal (`R`, `V`).
const RESTRICTED: usize = 4;
/// Resources that hold others, of which the facts name the type.
const CONTAINERS: [&str; 3] = ["Bundle", "DataSet", "NewResource"];

/// The data that were asked for.
#[derive(Debug)]
pub struct Record<'a> {
    facts: &'a Facts,
    request: &'a Request,
    /// Whether the answer is a list, whose contents are not known.
    pub list: bool,
    /// Whether it is taken for one of which nothing is known.
    blind: bool,
    /// Sensitivity labels and marks that it carries, or that a fact or category implies.
    marks: Vec<&'a str>,
    /// The highest confidentiality that it carries.
    confidentiality: Option<usize>,
    /// Whether somebody labelled it.
    labelled: bool,
    /// Whether its labels do not say which sensitive category it is of.
    doubtful: bool,
}

/// What a provision's criteria on data come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// What the known facts say.
    pub known: Answer,
    /// What they leave open; all of it must be met as well.
    pub open: Clause,
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
        // A patient's own entry holds names and addresses: there is nothing to label.
        let nothing_to_label = kind == "Patient" && !list;
        let mut record = Self {
            facts,
            request,
            list,
            blind: false,
            marks: Vec::new(),
            confidentiality: nothing_to_label.then(|| codes::confidentiality("N")).flatten(),
            labelled: nothing_to_label,
            doubtful: false,
        };
        for label in facts.labels.iter().chain(&facts.encounter_labels).flatten() {
            record.labelled = true;
            match codes::confidentiality(label) {
                Some(level) => record.confidentiality = record.confidentiality.max(Some(level)),
                None => record.mark(label),
            }
        }
        for category in facts.categories.iter().flatten() {
            record.labelled = true;
            match labels_of(category) {
                Some(labels) => labels.iter().for_each(|label| record.mark(label)),
                None => record.doubtful = true,
            }
        }
        for (said, label) in [(facts.part2, "42CFRPart2"), (facts.counseling_notes, "PSYTHPN")] {
            if said == Some(true) {
                record.labelled = true;
                record.mark(label);
            }
        }
        let restricted = record.confidentiality.is_some_and(|level| level >= RESTRICTED);
        record.doubtful |= restricted && record.marks.is_empty();
        // They are about the patient, and say nothing of what is in the record.
        record.marks.extend(facts.privacy_flags.iter().flatten().map(String::as_str));
        record
    }

    /// The same as if nothing were known of the data: to find out whether a denial rests on them.
    #[must_use]
    pub fn blind(&self) -> Self {
        Self {
            facts: self.facts,
            request: self.request,
            list: true,
            blind: true,
            marks: Vec::new(),
            confidentiality: None,
            labelled: false,
            doubtful: false,
        }
    }

    /// Whether more labels would tell more.
    pub const fn says_too_little(&self) -> bool {
        !self.list && (!self.labelled || self.doubtful || self.confidentiality.is_none())
    }

    fn mark(&mut self, label: &'a str) {
        self.doubtful |= !codes::is_sensitivity(label);
        self.marks.push(label);
    }

    /// What the provision's criteria on data come to.
    pub fn matches(&self, provision: &Provision) -> Match {
        let found = [
            (!provision.security_labels.is_empty()).then(|| self.labels(provision)),
            (!provision.classes.is_empty())
                .then(|| self.each(Kind::Classes, &provision.classes, |of| self.class(of))),
            (!provision.codes.is_empty())
                .then(|| self.each(Kind::Codes, &provision.codes, |of| self.code(of))),
            (!provision.data.is_empty()).then(|| self.each(Kind::Data, &provision.data, |of| self.datum(of))),
            (provision.data_period != Period::default()).then(|| self.dates(provision.data_period)),
        ];
        all(found.into_iter().flatten())
    }

    /// Whether the data are of one of these categories of care; none: they are not limited.
    pub fn in_categories(&self, categories: &[String]) -> Match {
        let own = self.facts.categories.as_ref().filter(|own| !own.is_empty() && !self.list);
        let found = (!categories.is_empty()).then(|| {
            self.each(Kind::Categories, categories, |category| match own {
                Some(own) => Ok(Answer::of(own.has(category))),
                None => Err(category.clone()),
            })
        });
        all(found.into_iter())
    }

    /// One of a list: known, or what is open of it.
    fn each<T>(&self, kind: Kind, list: &[T], answer: impl Fn(&T) -> Result<Answer, String>) -> Found {
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

    fn labels(&self, provision: &Provision) -> Found {
        let mut values = Vec::new();
        for coding in &provision.security_labels {
            let level =
                codes::confidentiality(&coding.code).filter(|_| coding.system == CONFIDENTIALITY_SYSTEM);
            let codes: Vec<String> = match (level, provision.effect) {
                // "R" means R and below to a permit; a deny of it keeps back what is even more so.
                (Some(level), ProvisionEffect::Permit) => {
                    CONFIDENTIALITY.iter().take(level + 1).map(|&code| code.to_owned()).collect()
                }
                (Some(level), ProvisionEffect::Deny) => {
                    CONFIDENTIALITY.iter().skip(level).map(|&code| code.to_owned()).collect()
                }
                (None, _) if coding.system == ACT_CODE => {
                    codes::with_narrower(&coding.code).map(str::to_owned).collect()
                }
                (None, _) => vec![shown(coding)],
            };
            codes.into_iter().for_each(|code| insert(&mut values, code));
        }
        self.each(Kind::Labels, &values, |value| self.label(value))
    }

    fn label(&self, value: &str) -> Result<Answer, String> {
        if self.list || !self.labelled && !self.marks.contains(&value) {
            return Err(value.to_owned());
        }
        if let Some(level) = codes::confidentiality(value) {
            return Ok(self.confidentiality.map_or(Answer::Unknown, |own| Answer::of(own == level)));
        }
        if self.marks.contains(&value) {
            return Ok(Answer::Yes);
        }
        if !codes::is_sensitivity(value) {
            // Labels of records are bare codes: one of the same code may be of another system.
            let same = value.rsplit_once('|').is_some_and(|(_, code)| self.marks.contains(&code));
            return if same { Ok(Answer::Unknown) } else { Err(value.to_owned()) };
        }
        let wide = codes::wider(value).any(|wider| self.marks.contains(&wider));
        Ok(if wide || self.doubtful { Answer::Unknown } else { Answer::No })
    }

    fn class(&self, of: &Coding) -> Result<Answer, String> {
        let kind = self.request.resource.kind.as_str();
        let own = if CONTAINERS.contains(&kind) { self.facts.resource_type.as_deref() } else { Some(kind) };
        match own {
            _ if of.system != RESOURCE_TYPES => Err(shown(of)),
            Some(own) if !self.blind => Ok(Answer::of(own == of.code)),
            _ => Err(of.code.clone()),
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
        if self.list {
            return open();
        }
        let own = of.what == self.request.resource;
        match of.meaning {
            DataMeaning::Instance => Ok(Answer::of(own)),
            // What belongs to the patient or to the encounter depends on it.
            DataMeaning::Related | DataMeaning::Dependents => {
                let whole = Some(&of.what) == self.request.patient.as_ref()
                    || Some(&of.what) == self.facts.encounter.as_ref();
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

/// All of these criteria.
fn all(found: impl Iterator<Item = Found>) -> Match {
    let mut all = Match { known: Answer::Yes, open: Clause::new() };
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
