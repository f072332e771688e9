//! The lines of the table that judge one category of care.
//!
//! The state of service decides. Where the patient lives in another state, its law is asked, too:
//! the more protective answer stands, unless the other one is required by law.

use assent_law::minor_consent::Disclosure;

use super::{Case, Judged, is_general};
use crate::input::{Kind, Law, MinorConsented, Requested, TeenGrant};
use crate::law::{Doubt, disclosure, doubt, eligible, find_law, of_age_for, states};
use crate::rules::{Outcome, Rule};

type CareLine = (Rule, fn(&Care<'_, '_, '_>) -> bool);

/// One category of care, under the law of one state.
const CARE: &[CareLine] = &[
    (Rule::P6, |c| c.is_part2() && !c.has_part2_consent() && c.could_consent_to_treatment()),
    (Rule::P6b, |c| c.is_part2() && !c.has_part2_consent()),
    (Rule::P6a, |c| c.is_part2()),
    (Rule::P3g, |c| c.is_of_age() && c.case.is_authorized(&c.asked)),
    (Rule::P3m, |c| c.is_of_age()),
    (Rule::P8c, |c| c.case.input.resource.confidentiality_agreement),
    (Rule::P8b, |c| c.case.input.resource.alternative_lawful_consent),
    (Rule::P8p, |c| c.case.input.resource.minor_consented == MinorConsented::No),
    (Rule::P8x, |c| c.law.is_none()),
    (Rule::P8r, |c| c.is_contradicted()),
    (Rule::P8n, |c| !c.is_eligible()),
    (Rule::P8g, |c| c.is_opened_by_minor()),
    (Rule::P8r, |c| c.doubt.is_some()),
    (Rule::P8h, |c| c.discloses(Disclosure::Required) && c.case.input.resource.harm_statement),
    (Rule::P8q, |c| c.discloses(Disclosure::Required)),
    (Rule::P8e, |c| c.discloses(Disclosure::Prohibited) && c.case.input.resource.statutory_exception),
    (Rule::P8d, |c| c.discloses(Disclosure::Prohibited)),
    (Rule::P8w, |c| c.is_decided(false)),
    (Rule::P8k, |c| c.is_decided(true)),
    (Rule::P8m, |c| c.discloses(Disclosure::Permitted)),
    (Rule::P8s, |_| true),
];

/// Judges a category; none: it is general care that nothing sets apart.
pub(super) fn judge<'a>(case: &Case<'_, 'a>, asked: Requested<'a>) -> Option<Judged<'a>> {
    let mut states = states(case.input);
    let service = Care::new(case, asked, states.next().unwrap_or_default());
    if is_general(&asked) && !service.is_set_apart() {
        return None;
    }
    match states.next() {
        None => Some(service.judge()),
        Some(residence) => Some(compare(service.judge(), Care::new(case, asked, residence).judge())),
    }
}

/// The more protective answer, unless the other one is required by law. The law of residence does
/// not lift what the state of service prohibits or leaves unsettled.
fn compare<'a>(service: Judged<'a>, residence: Judged<'a>) -> Judged<'a> {
    let masks = |judged: &Judged<'_>| judged.rule.outcome() == Outcome::Mask;
    let (chosen, conflict) = match (masks(&service), masks(&residence)) {
        (true, true) | (false, false) => (service, false),
        (false, true) if service.rule == Rule::P8q => (service, true),
        (false, true) => (residence, true),
        (true, false) if residence.rule == Rule::P8q && is_discretion(service.rule) => (residence, true),
        (true, false) => (service, true),
    };
    Judged { conflict, ..chosen }
}

/// Whether the line leaves the answer to a professional.
fn is_discretion(rule: Rule) -> bool {
    matches!(rule, Rule::P8m | Rule::P8s)
}

struct Care<'r, 'c, 'a> {
    case: &'r Case<'c, 'a>,
    asked: Requested<'a>,
    state: &'a str,
    law: Option<Law<'a>>,
    doubt: Option<Doubt>,
}

impl<'r, 'c, 'a> Care<'r, 'c, 'a> {
    fn new(case: &'r Case<'c, 'a>, asked: Requested<'a>, state: &'a str) -> Self {
        let law = find_law(case.input, state, asked.code);
        let doubt = law.and_then(|law| doubt(case.input, &law));
        Self { case, asked, state, law, doubt }
    }

    fn judge(&self) -> Judged<'a> {
        // The last line always holds; were it to go, the category would stay masked.
        let rule = CARE.iter().find(|(_, holds)| holds(self)).map_or(Rule::P8x, |(rule, _)| *rule);
        let doubt = if self.is_contradicted() { Some(Doubt::Contradicted) } else { self.doubt };
        Judged { category: self.asked, rule, law: self.law, doubt, conflict: false }
    }

    /// General care is judged only where something says that it is not the parent's to see.
    fn is_set_apart(&self) -> bool {
        let resource = &self.case.input.resource;
        self.is_part2()
            || resource.confidentiality_agreement
            || resource.alternative_lawful_consent
            || resource.minor_consented == MinorConsented::Yes
    }

    fn age(&self) -> u32 {
        self.case.age().unwrap_or(0)
    }

    /// Part 2 is about the treatment of substance use; where nothing in the request is called
    /// that, or it is a single item, the mark is on all of it.
    fn is_part2(&self) -> bool {
        let resource = &self.case.input.resource;
        let named = resource.categories.iter().any(|asked| is_substance_use(asked.code));
        let consented = self.has_part2_consent();
        resource.part2
            && (is_substance_use(self.asked.code) || !named || (resource.kind == Kind::Item && !consented))
    }

    fn has_part2_consent(&self) -> bool {
        self.case.input.patient.teen_consents_part2_disclosure
    }

    /// Whether the minor could apply for the treatment alone; where no law says so, yes.
    fn could_consent_to_treatment(&self) -> bool {
        find_law(self.case.input, self.state, "substance_use")
            .is_none_or(|law| eligible(self.case.input, &law.row, self.age()))
    }

    fn is_of_age(&self) -> bool {
        of_age_for(self.state, self.asked.code, self.age())
    }

    fn is_eligible(&self) -> bool {
        self.law.is_some_and(|law| eligible(self.case.input, &law.row, self.age()))
    }

    /// By an unsettled row the minor could not consent, by the record they did.
    fn is_contradicted(&self) -> bool {
        let consented = self.case.input.resource.minor_consented == MinorConsented::Yes;
        consented && self.law.is_some() && !self.is_eligible() && self.doubt.is_some()
    }

    fn is_opened_by_minor(&self) -> bool {
        self.case.input.patient.teen_requests_representative || self.case.grant() == TeenGrant::Full
    }

    fn discloses(&self, rule: Disclosure) -> bool {
        self.law.is_some_and(|law| disclosure(self.case.input, &law.row) == rule)
    }

    /// Whether a professional has decided this way; of several decisions, one that withholds counts.
    fn is_decided(&self, disclose: bool) -> bool {
        let decisions = &self.case.input.flags.decisions;
        decisions.iter().any(|decided| decided.category == self.asked.code && decided.disclose == disclose)
    }
}

fn is_substance_use(code: &str) -> bool {
    matches!(code, "substance_use" | "part2_sud_program")
}
