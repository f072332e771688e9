//! The accounting of disclosures: who outside received what of a patient's record, when and why?
//!
//! A pure function over the patient's records (and those of exports that name no patient). What counts is
//! decided in one place, [`rule`]; INVARIANT (nothing is passed over in silence): every permit is listed,
//! or has a reason for not being listed that [`Scope::all`] shows. Where the record does not tell, it is
//! listed: an accounting that says too much is lawful, one that says too little is not.
//! Sources: 45 CFR 164.528; 42 CFR 2.25 (2024); "disclosure" as in 45 CFR 160.103.

mod rule;
mod words;
mod write;

use std::collections::BTreeMap;

use assent_model::{DecisionId, EntityId, Instant, ObligationCode, Value};
use serde::Serialize;

use crate::record::{DecisionEvent, Record};
pub(crate) use rule::leaves;
pub use rule::{Listing, rule};

/// Years that an accounting looks back: 164.528(a)(1).
pub const LOOK_BACK_YEARS: i32 = 6;
/// Years for records of a Part 2 program: 42 CFR 2.25(a), (b)(2).
pub const PART2_LOOK_BACK_YEARS: i32 = 3;

/// What is asked, and what the log does not know itself.
#[derive(Clone)]
pub struct Scope {
    /// Whose accounting.
    pub patient: EntityId,
    /// Who holds the records: what stays within is a use, not a disclosure.
    pub holder: EntityId,
    /// When it was asked for; the look-back ends here.
    pub requested: Instant,
    /// A later beginning than the look-back, where the patient asks for less.
    pub from: Option<Instant>,
    /// IANA name; dates are written in it. An unknown one is taken as UTC.
    pub time_zone: String,
    /// Names (and addresses, where known) of recipients, as they should be printed.
    pub names: BTreeMap<EntityId, String>,
    /// Consents that are authorizations in the sense of 164.508.
    pub authorizations: Vec<EntityId>,
    /// Agencies that asked for suspension, and until when: 164.528(a)(2).
    pub suspended: Vec<(EntityId, Instant)>,
    /// Whether to show what need not be listed too, each with its reason.
    pub all: bool,
}

/// The accounting, ready to be written.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Accounting {
    /// Whose.
    pub patient: EntityId,
    /// The first day, in the scope's time zone.
    pub from: String,
    /// The last day.
    pub until: String,
    /// By first date.
    pub rows: Vec<Row>,
}

/// One disclosure, or several to one recipient for one purpose (164.528(b)(3)).
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The day of the (first) disclosure.
    pub date: String,
    /// How many there were.
    pub count: u64,
    /// The day of the last one, where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_date: Option<String>,
    /// Who received it.
    pub recipient: String,
    /// What, in plain words.
    pub what: String,
    /// What for, in plain words.
    pub purpose: String,
    /// Whether it was a data set that names no patient, and may or may not include this one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_include: bool,
    /// Why it is listed or, with [`Scope::all`], why it need not be.
    pub listing: &'static str,
    /// Whether it must be listed.
    pub required: bool,
    /// The decisions, to find the records again.
    pub decisions: Vec<DecisionId>,
}

/// The records that an accounting is made of.
#[derive(Debug)]
pub struct Gathered {
    /// Permits about the patient, and those that name no patient and may be about this one.
    pub records: Vec<Record>,
    /// Whether any decision names the patient: nobody should take the empty accounting of a mistyped id
    /// for an answer.
    pub named: bool,
}

impl Gathered {
    /// Those among all records of an organization. All, and not those that the index knows: evidence must
    /// not rest on what can be damaged unseen.
    pub fn from(records: impl Iterator<Item = Record>, patient: &EntityId) -> Self {
        let mut gathered = Self { records: vec![], named: false };
        for record in records {
            let Some(decision) = record.decision() else { continue };
            gathered.named |= decision.patient.as_ref() == Some(patient);
            if decision.permits() && concerns(decision, patient) {
                gathered.records.push(record);
            }
        }
        gathered
    }
}

/// Makes the accounting of these records. Records that do not concern the patient are passed by; so are
/// those outside the look-back.
pub fn account<'a>(records: impl IntoIterator<Item = &'a Record>, scope: &Scope) -> Accounting {
    let look_back = years_before(scope.requested, LOOK_BACK_YEARS);
    let from = scope.from.map_or(look_back, |from| from.max(look_back));
    let mut decisions: Vec<(Instant, &DecisionEvent)> = records
        .into_iter()
        .filter(|record| (from..=scope.requested).contains(&record.at))
        .filter_map(|record| Some((record.at, record.decision()?)))
        .filter(|(_, decision)| concerns(decision, &scope.patient))
        .collect();
    decisions.sort_by(|(a, first), (b, second)| a.cmp(b).then_with(|| first.id.cmp(&second.id)));
    decisions.dedup_by(|(_, a), (_, b)| a.id == b.id);

    let mut rows: Vec<Row> = vec![];
    let mut summaries: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for (at, decision) in decisions {
        let listing = rule(at, decision, scope);
        if listing == Listing::Suspended || !(listing.is_required() || scope.all && listing.is_shown()) {
            continue;
        }
        let row = row(at, decision, listing, scope);
        if !words::may_be_summarised(decision.purpose.as_deref()) {
            rows.push(row);
            continue;
        }
        let key = (row.recipient.clone(), row.purpose.clone(), format!("{} {}", row.what, row.listing));
        let known = summaries.get(&key).and_then(|place| rows.get_mut(*place));
        match known {
            Some(first) => {
                first.count += 1;
                first.last_date = Some(row.date);
                first.decisions.extend(row.decisions);
            }
            None => {
                summaries.insert(key, rows.len());
                rows.push(row);
            }
        }
    }
    Accounting {
        patient: scope.patient.clone(),
        from: day(from, scope),
        until: day(scope.requested, scope),
        rows,
    }
}

/// A decision about the patient, or one that names none and gave out a data set, or must be accounted for.
fn concerns(decision: &DecisionEvent, patient: &EntityId) -> bool {
    match &decision.patient {
        Some(whose) => whose == patient,
        None => leaves(&decision.action) || decision.obliges(&ObligationCode::AccountDisclosure),
    }
}

fn row(at: Instant, decision: &DecisionEvent, listing: Listing, scope: &Scope) -> Row {
    Row {
        date: day(at, scope),
        count: 1,
        last_date: None,
        recipient: recipient(decision, scope),
        what: words::what(&decision.action, &decision.resource.entity.kind),
        purpose: words::purpose(decision.purpose.as_deref()),
        may_include: decision.patient.is_none(),
        listing: listing.words(),
        required: listing.is_required(),
        decisions: vec![decision.id.clone()],
    }
}

/// Who received it: the organization at the other end; else the subject, with the organization it is of.
fn recipient(decision: &DecisionEvent, scope: &Scope) -> String {
    let name = |entity: &EntityId| {
        let stored = || {
            let facts = decision.facts.entities.iter().find(|fact| fact.id == *entity)?;
            facts.attributes.get("name").and_then(Value::as_text).map(str::to_owned)
        };
        let listed = scope.names.get(entity).cloned();
        listed.or_else(stored).unwrap_or_else(|| format!("{} {}", words::who(&entity.kind), entity.id))
    };
    match (&decision.recipient, &decision.subject.organization) {
        (Some(recipient), _) => name(recipient),
        (None, Some(organization)) => {
            format!("{}, {}", name(&decision.subject.entity), name(organization))
        }
        (None, None) => name(&decision.subject.entity),
    }
}

fn day(at: Instant, scope: &Scope) -> String {
    let local = at.date_in(&scope.time_zone).or_else(|| at.date_in("UTC"));
    local.map_or_else(|| at.to_string(), |date| date.to_string())
}

/// The same moment so many years before; of a 29 February, the 28th. The text begins `YYYY-MM-DD`.
fn years_before(at: Instant, years: i32) -> Instant {
    let text = at.to_string();
    let earlier = || {
        let (year, rest) = text.split_once('-')?;
        let year = year.parse::<i32>().ok()? - years;
        let same_day = format!("{year:04}-{rest}").parse().ok();
        same_day.or_else(|| format!("{year:04}-{}", rest.replacen("02-29", "02-28", 1)).parse().ok())
    };
    earlier().unwrap_or(at)
}

/// INVARIANT (no patient in logs): names are not printed.
impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scope(requested {}, all: {})", self.requested, self.all)
    }
}

/// INVARIANT (no patient in logs): counted, not printed.
impl std::fmt::Debug for Accounting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Accounting({} rows)", self.rows.len())
    }
}

/// INVARIANT (no patient in logs): why it is listed is printed, nothing else.
impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({})", self.listing)
    }
}

#[cfg(test)]
mod tests;
