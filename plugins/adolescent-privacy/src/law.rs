//! Which row of law holds for a category of care in a state, as the organization has adopted it.
//!
//! INVARIANT (no unsettled row decides silently): a row that is unsourced, under review, unclear,
//! of low confidence or not in force says so in [`Doubt`]; only a named approver's adoption, or the
//! organization's setting for low confidence, removes a doubt.

use assent_law::minor_consent::{
    Basis, Category, Confidence, Day, Disclosure, Limits, MayConsent, Row, Unsettled, find, majority,
};

use crate::input::{AdoptedRow, Input, Law, TestResult};

/// The common age of majority, for places that the table does not have.
const MAJORITY_ELSEWHERE: u32 = 18;

/// Why a row must not decide alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The table says so.
    Table(Unsettled),
    /// It was not in force today, or when the service was given.
    NotInForce,
    /// More sessions or days than the minor may consent to.
    CapExceeded,
    /// By the row the minor could not consent, by the record they did.
    Contradicted,
}

impl Doubt {
    /// What to tell a reviewer.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Table(unsettled) => unsettled.explanation(),
            Self::NotInForce => "not in force today or when the service was given",
            Self::CapExceeded => "more sessions or days than the minor may consent to",
            Self::Contradicted => "the record says that the minor consented, the row that they could not",
        }
    }
}

/// The code that the table uses for a requested category.
fn table_code(code: &str) -> &str {
    if code == "general" { Category::GeneralMedical.code() } else { code }
}

/// The row for a category in a state. HIV falls back to the row of sexually transmitted infections,
/// of which it is one, where the state has no row of its own for it.
pub fn find_law<'a>(input: &Input<'a>, state: &str, code: &str) -> Option<Law<'a>> {
    let code = table_code(code);
    let positive = input.resource.test_result == Some(TestResult::Positive);
    let chain: &[&str] = match code {
        "hiv" if positive => &["hiv_positive_result", "hiv", "sti_hiv"],
        "hiv" => &["hiv", "sti_hiv"],
        "hiv_positive_result" => &["hiv_positive_result", "hiv", "sti_hiv"],
        _ => &[],
    };
    if chain.is_empty() {
        return adopted(input, state, code);
    }
    chain.iter().find_map(|code| adopted(input, state, code))
}

/// The row, with what the organization adopted by today.
fn adopted<'a>(input: &Input<'a>, state: &str, code: &str) -> Option<Law<'a>> {
    let shipped = find(state, code);
    let mine = input.organization.overrides.iter().find(|adopted| {
        let id = adopted.row.split_once('/');
        id == Some((state, code)) && input.today.is_some_and(|today| adopted.approved_on <= today)
    });
    match (shipped, mine) {
        (None, None) => None,
        (Some(row), None) => Some(Law { row: *row, adopted: false }),
        (shipped, Some(adoption)) => {
            let category = Category::from_code(code)?;
            Some(Law { row: apply(shipped, adoption, category)?, adopted: true })
        }
    }
}

/// The row as adopted; none where there is no row and the adoption does not say enough for one.
fn apply<'a>(shipped: Option<&Row<'a>>, adoption: &'a AdoptedRow, category: Category) -> Option<Row<'a>> {
    let base = match shipped {
        Some(row) => *row,
        None => Row {
            id: &adoption.row,
            state: adoption.row.split_once('/')?.0,
            category,
            may_consent: adoption.may_consent?,
            min_age: None,
            disclosure: adoption.disclosure?,
            limits: Limits::default(),
            billing_protected: false,
            citation: adoption.citation.as_deref()?,
            effective_from: None,
            source_snapshot: "",
            basis: Basis::Secondary,
            confidence: Confidence::Medium,
            review_required: false,
            owner: &adoption.approved_by,
        },
    };
    Some(Row {
        may_consent: adoption.may_consent.unwrap_or(base.may_consent),
        min_age: adoption.min_age.unwrap_or(base.min_age),
        disclosure: adoption.disclosure.unwrap_or(base.disclosure),
        citation: adoption.citation.as_deref().unwrap_or(base.citation),
        owner: &adoption.approved_by,
        ..base
    })
}

/// The age of majority for this case. Of the states of service and of residence, the lower one
/// counts: a representative's standing ends when the first of them ends it.
pub fn majority_age(input: &Input<'_>) -> u32 {
    let table = |state: &str| majority(state).map_or(MAJORITY_ELSEWHERE, |found| u32::from(found.age));
    input
        .organization
        .majority_age
        .unwrap_or_else(|| states(input).map(table).min().unwrap_or(MAJORITY_ELSEWHERE))
}

/// The states whose law matters: of service first, then of residence where it differs.
pub fn states<'a>(input: &Input<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let (service, residence) = (input.resource.service_state, input.patient.state);
    let residence = if residence == service { "" } else { residence };
    [service, residence].into_iter().filter(|state| !state.is_empty())
}

/// Whether full age comes earlier for this category in this state, and has been reached.
pub fn of_age_for(state: &str, code: &str, age: u32) -> bool {
    majority(state).is_some_and(|found| {
        found
            .earlier
            .iter()
            .any(|(category, from)| category.code() == table_code(code) && age >= u32::from(*from))
    })
}

/// What keeps this row from deciding alone, for this case.
pub fn doubt(input: &Input<'_>, law: &Law<'_>) -> Option<Doubt> {
    let limits = law.row.limits;
    let over = |value: Option<i64>, most: Option<u16>| {
        value.zip(most).is_some_and(|(value, most)| value > i64::from(most))
    };
    if over(input.resource.sessions, limits.sessions_max) || over(input.resource.days, limits.days_max) {
        return Some(Doubt::CapExceeded);
    }
    if law.adopted {
        return None;
    }
    if !in_force(input, law.row.effective_from) {
        return Some(Doubt::NotInForce);
    }
    match law.row.unsettled() {
        None => None,
        Some(unsettled @ Unsettled::NoSource) => Some(Doubt::Table(unsettled)),
        Some(unsettled @ (Unsettled::UnderReview | Unsettled::Unclear | Unsettled::LowConfidence)) => {
            (!input.organization.trust_low_confidence_rows).then_some(Doubt::Table(unsettled))
        }
    }
}

fn in_force(input: &Input<'_>, from: Option<Day>) -> bool {
    let Some(from) = from else { return true };
    input.today.is_some_and(|today| today >= from)
        && input.resource.service_date.is_none_or(|service| service >= from)
}

/// Whether the minor could consent alone, by the row.
pub fn eligible(input: &Input<'_>, row: &Row<'_>, age: u32) -> bool {
    let may = match row.may_consent {
        MayConsent::Yes | MayConsent::Conditional | MayConsent::Unclear => true,
        MayConsent::No => false,
    };
    let old_enough = row.min_age.is_none_or(|min| age >= u32::from(min));
    let medication =
        input.resource.medication && row.limits.medication_from_age.is_some_and(|from| age < u32::from(from));
    may && old_enough && !medication
}

/// What the parent may see by the row: its rule, except where the statute treats a negative test
/// result apart.
pub fn disclosure(input: &Input<'_>, row: &Row<'_>) -> Disclosure {
    let negative = input.resource.test_result == Some(TestResult::Negative);
    if row.limits.negative_result_withheld && negative { Disclosure::Prohibited } else { row.disclosure }
}
