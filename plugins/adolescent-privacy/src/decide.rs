//! The decision table: in order, the first line that holds decides.
//!
//! Three tables, read from the top: who asks (`WHO`), then each category of care in what is asked
//! for (`CARE`, for each state whose law matters), then the record as a whole (`RECORD`).
//! INVARIANT (masks are of what was asked): every masked category is one of the requested ones.
//! INVARIANT (protective facts only narrow): a court order, endangerment or a Part 2 mark never
//! turns a denial into a permit.

mod care;

use assent_law::minor_consent::{Category, Disclosure};

use crate::facts::is_representative;
use crate::input::{
    ConfidentialBasis, Function, Input, Kind, Law, MinorConsented, Posture, Requested, SubjectKind, TeenGrant,
};
use crate::law::{Doubt, disclosure, find_law, majority_age, states};
use crate::rules::{Duties, Duty, Outcome, Rule};

/// What the table decides.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// Permit, deny, or permit with the masked categories left out.
    pub effect: Effect,
    /// The line that decided; of several, the first.
    pub rule: Rule,
    /// What is asked of the caller.
    pub duties: Duties,
    /// The categories withheld, in the order in which they were asked for.
    pub masked: Vec<Judged<'a>>,
    /// The categories that a line of the table opened, likewise.
    pub opened: Vec<Judged<'a>>,
}

/// Permit, deny or in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing stands against it.
    Permit,
    /// A list without the masked categories.
    PermitWithMask,
    /// Nothing.
    Deny,
}

/// A category of care, and the line of the table that decided on it.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The category.
    pub category: Requested<'a>,
    /// The line.
    pub rule: Rule,
    /// The row of law that was looked at.
    pub law: Option<Law<'a>>,
    /// What keeps that row from deciding alone.
    pub doubt: Option<Doubt>,
    /// The laws of the states of service and of residence lead to different answers.
    pub conflict: bool,
}

type WhoLine = (Rule, fn(&Case<'_, '_>) -> bool);
type RecordLine = (Rule, fn(&Record<'_, '_, '_>) -> bool);

/// Who asks, and of whose record.
const WHO: &[WhoLine] = &[
    (Rule::R0, |c| c.age().is_none() || states(c.input).next().is_none() || c.kind().is_none()),
    (Rule::R1a, |c| c.is_own() && !c.input.subject.identity_proofed),
    (Rule::R1h, |c| c.is_own() && c.input.flags.patient_harm),
    (Rule::R1b, |c| c.is_own() && c.is_grown()),
    (Rule::R1c, |c| c.is_own() && c.is_below(c.input.organization.teen_account_min)),
    (Rule::R1e, |c| c.is_own()),
    (Rule::P1, |c| !c.has_standing()),
    (Rule::P1c, |c| c.input.flags.court_order_no_access || c.input.flags.rights_terminated),
    (Rule::P2, |c| c.input.flags.endangerment),
    (Rule::P3, |c| c.is_grown() && c.input.subject.adult_authorization.is_empty()),
    (Rule::P3g, |c| c.is_grown() && c.input.resource.categories.iter().all(|asked| c.is_authorized(asked))),
    (Rule::P3m, |c| c.is_grown()),
    (Rule::P5d, |c| !c.is_representative() && c.is_delegated()),
    (Rule::P5, |c| !c.is_representative()),
    (Rule::P12, |c| c.is_teen() && c.input.resource.teen_authored && c.grant() == TeenGrant::None),
];

/// The record as a whole, once its categories are judged.
const RECORD: &[RecordLine] = &[
    (Rule::P9, |r| r.is_confidential() && r.has_legal_basis()),
    (Rule::P9r, |r| r.is_confidential() && r.basis().is_none()),
    (Rule::P9h, |r| r.case.input.resource.harm_item),
    (Rule::P9x, |r| r.is_confidential() && r.nothing_masked && !r.is_closed()),
    (Rule::P11q, |r| r.is_limited() && r.required),
    (Rule::P11l, |r| r.is_limited() && r.has_open_function()),
    (Rule::P11, |r| r.is_limited()),
    (Rule::P7, |r| !r.case.is_teen()),
    (Rule::P11c, |_| true),
];

/// Judges one case.
pub fn decide<'a>(input: &Input<'a>) -> Decision<'a> {
    let case = Case { input, majority: majority_age(input) };
    if let Some((rule, _)) = WHO.iter().find(|(_, holds)| holds(&case)).copied() {
        return match rule.outcome() {
            Outcome::Permit => Decision::new(Effect::Permit, rule, vec![], vec![]),
            Outcome::Deny => Decision::new(Effect::Deny, rule, vec![], vec![]),
            Outcome::Mask => conclude(&case, unauthorized(&case), vec![], rule),
        };
    }
    let (mut masked, mut opened) = (vec![], vec![]);
    for judged in input.resource.categories.iter().filter_map(|asked| care::judge(&case, *asked)) {
        let pile = if judged.rule.outcome() == Outcome::Mask { &mut masked } else { &mut opened };
        pile.push(judged);
    }
    if input.resource.kind == Kind::Item && !masked.is_empty() {
        return conclude(&case, masked, opened, Rule::P11c);
    }
    let record = Record::new(&case, &masked, &opened);
    // The last line always holds; were it to go, the record would stay closed.
    let rule = RECORD.iter().find(|(_, holds)| holds(&record)).map_or(Rule::P9r, |(rule, _)| *rule);
    match rule.outcome() {
        Outcome::Deny => Decision::new(Effect::Deny, rule, vec![], vec![]),
        Outcome::Permit | Outcome::Mask => conclude(&case, masked, opened, rule),
    }
}

/// An item with a masked category is denied, a list is permitted without it; `otherwise` is the
/// line that permits where no category was judged.
fn conclude<'a>(
    case: &Case<'_, '_>,
    masked: Vec<Judged<'a>>,
    opened: Vec<Judged<'a>>,
    otherwise: Rule,
) -> Decision<'a> {
    let effect = match (masked.is_empty(), case.input.resource.kind) {
        (true, _) => Effect::Permit,
        (false, Kind::Item) => Effect::Deny,
        (false, Kind::List) => Effect::PermitWithMask,
    };
    let rule = masked.first().or(opened.first()).map_or(otherwise, |judged| judged.rule);
    let mut decision = Decision::new(effect, rule, masked, opened);
    decision.duties.extend(otherwise.duties());
    let sensitive = !(decision.masked.is_empty() && decision.opened.is_empty());
    if sensitive && case.input.resource.function == Function::Billing {
        decision.duties.insert(Duty::SuppressBillingDetail);
    }
    decision
}

fn unauthorized<'a>(case: &Case<'_, 'a>) -> Vec<Judged<'a>> {
    let asked = case.input.resource.categories.iter().filter(|asked| !case.is_authorized(asked));
    asked
        .map(|category| Judged {
            category: *category,
            rule: Rule::P3m,
            law: None,
            doubt: None,
            conflict: false,
        })
        .collect()
}

impl<'a> Decision<'a> {
    fn new(effect: Effect, rule: Rule, masked: Vec<Judged<'a>>, opened: Vec<Judged<'a>>) -> Self {
        let mut duties = Duties::default();
        if masked.is_empty() && opened.is_empty() {
            duties.extend(rule.duties());
        }
        for judged in masked.iter().chain(&opened) {
            // What nobody named may not be there: no person is asked to look at it.
            let asks = |duty: &&Duty| {
                !judged.category.implied || !matches!(duty, Duty::HumanReview | Duty::RouteToClinician)
            };
            judged.rule.duties().iter().filter(asks).for_each(|duty| duties.insert(*duty));
        }
        Self { effect, rule, duties, masked, opened }
    }
}

/// A case, with what several lines ask of it.
struct Case<'c, 'a> {
    input: &'c Input<'a>,
    majority: u32,
}

impl Case<'_, '_> {
    fn age(&self) -> Option<u32> {
        self.input.patient.age
    }

    fn kind(&self) -> Option<SubjectKind> {
        self.input.subject.kind
    }

    fn grant(&self) -> TeenGrant {
        self.input.patient.teen_grant
    }

    fn is_own(&self) -> bool {
        self.kind() == Some(SubjectKind::Own)
    }

    fn is_below(&self, age: u32) -> bool {
        self.age().is_some_and(|known| known < age)
    }

    /// Of full age, emancipated, or treated as an adult.
    fn is_grown(&self) -> bool {
        !self.is_below(self.majority) || self.input.patient.emancipated || self.input.patient.status_minor
    }

    fn is_teen(&self) -> bool {
        !self.is_below(self.input.organization.full_proxy_below)
    }

    fn has_standing(&self) -> bool {
        let subject = &self.input.subject;
        subject.relationship_verified && !subject.proxy_expired && !subject.proxy_revoked
    }

    fn is_representative(&self) -> bool {
        is_representative(self.input.subject.relationship)
    }

    fn is_authorized(&self, asked: &Requested<'_>) -> bool {
        self.input.subject.adult_authorization.contains(&asked.code)
    }

    /// What a parent can delegate: appointments and immunizations, as long as nothing in it is kept
    /// apart for any reason.
    fn is_delegated(&self) -> bool {
        let resource = &self.input.resource;
        let open = matches!(resource.function, Function::Scheduling | Function::Immunization);
        let plain = resource.categories.iter().all(is_general);
        let apart = resource.part2
            || resource.confidential_note
            || resource.confidentiality_agreement
            || resource.alternative_lawful_consent
            || resource.teen_authored
            || resource.harm_statement
            || resource.minor_consented == MinorConsented::Yes;
        self.input.subject.delegation_by_parent && open && plain && !apart
    }
}

/// Care without a category of its own.
fn is_general(asked: &Requested<'_>) -> bool {
    asked.code == "general" || asked.code == Category::GeneralMedical.code()
}

/// The record as a whole.
struct Record<'r, 'c, 'a> {
    case: &'r Case<'c, 'a>,
    nothing_masked: bool,
    /// State law requires disclosure of all that is asked for.
    required: bool,
}

impl<'r, 'c, 'a> Record<'r, 'c, 'a> {
    fn new(case: &'r Case<'c, 'a>, masked: &[Judged<'_>], opened: &[Judged<'_>]) -> Self {
        let general = states(case.input)
            .filter_map(|state| find_law(case.input, state, "general"))
            .any(|law| disclosure(case.input, &law.row) == Disclosure::Required);
        let categories = !opened.is_empty() && opened.iter().all(|judged| judged.rule == Rule::P8q);
        Self { case, nothing_masked: masked.is_empty(), required: general || categories }
    }

    fn basis(&self) -> Option<ConfidentialBasis> {
        self.case.input.resource.confidential_basis
    }

    fn is_confidential(&self) -> bool {
        self.case.input.resource.confidential_note
    }

    fn has_legal_basis(&self) -> bool {
        match self.basis() {
            Some(
                ConfidentialBasis::Harm
                | ConfidentialBasis::Agreement
                | ConfidentialBasis::Court
                | ConfidentialBasis::Psychotherapy,
            ) => true,
            Some(ConfidentialBasis::MinorConsent) | None => false,
        }
    }

    /// The organization limits what the parent of this teen sees, and the teen has not opened it.
    fn is_limited(&self) -> bool {
        let patient = &self.case.input.patient;
        let opened = match self.case.grant() {
            TeenGrant::None | TeenGrant::Messages => false,
            TeenGrant::Standard | TeenGrant::Full => true,
        };
        self.case.input.organization.posture == Posture::Limited
            && self.case.is_teen()
            && !opened
            && !patient.diminished_capacity
            && !patient.teen_requests_representative
    }

    fn has_open_function(&self) -> bool {
        match self.case.input.resource.function {
            Function::Messaging
            | Function::Scheduling
            | Function::Immunization
            | Function::Billing
            | Function::Forms => true,
            Function::Clinical | Function::ProxyAdmin => false,
        }
    }

    fn is_closed(&self) -> bool {
        self.is_limited() && !self.required && !self.has_open_function()
    }
}
