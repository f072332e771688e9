//! From what is kept back to findings: a denial, a question for a person, or what to leave out.
//!
//! INVARIANT (absent looks like forbidden): a denial that rests on what a record shows of itself, or that a
//! patient portal would show, looks like an absent record. Sentences say nothing of the patient's words.
//! INVARIANT (nothing left over): what callers cannot leave out by one criterion is left out by a wider
//! one, and where none remains all of it is denied.

use assent_plugin_sdk::prelude::*;

use crate::answer::Doubt;
use crate::codes;
use crate::condition::{Clause, Condition, Criterion, Kind, Literal, insert};
use crate::directive::{self, Doubts, Seen};
use crate::question::Question;
use crate::settings::{Configured, Redaction};

/// Redactions of one answer: more, and nobody could say what is left of it; the host takes 64 findings.
const REDACTIONS_MAX: usize = 16;
/// Consents that a note or obligation names; each name can be long, and a note has 2,000 bytes.
const NAMES_MAX: usize = 16;
/// The form of consent that would help: FHIR's scope of directives.
const FORM: &str = "patient-privacy";

const AGREED_RESTRICTION: &str = "45 CFR 164.522(a)(1)";
const CONSENT: &str = "45 CFR 164.506(b)";

/// A request without a patient, of data that are somebody's.
pub fn without_patient(configured: &Configured) -> Findings {
    let mut findings = Findings::default();
    findings
        .deny("consent.no-patient", Ground::FactMissing, "it is not known whose consents count for this")
        .remedy(Remedy::HumanReview(configured.queue.clone()));
    findings
}

/// Asks a person about consents that could not be read.
pub fn unreadable(findings: &mut Findings, configured: &Configured, code: &str, consents: &[&Consent]) {
    if !consents.is_empty() {
        let ask = "a consent on file cannot be read in full: what does the patient want here?";
        findings
            .review(code, Ground::IndividualRequest, ask, configured.queue.as_str())
            .cite(AGREED_RESTRICTION);
        findings.note(format!("{code}: {}", names(consents.iter().copied()).join(", ")));
    }
}

/// A consent that has ended, where none is in force.
pub fn expired(findings: &mut Findings, question: &Question<'_>) {
    let denial = findings.deny("consent.expired", Ground::NoConsent, "the consent on file has ended");
    finish(denial.cite(CONSENT), question.portal());
}

/// What the consents in force keep back.
pub fn judged(
    findings: &mut Findings,
    configured: &Configured,
    consents: &[&Consent],
    question: &Question<'_>,
) {
    let see = |question: &Question<'_>| -> Vec<Seen<'_>> {
        consents.iter().map(|consent| Seen::of(consent, question)).collect()
    };
    let seen = see(question);
    let kept = |seen: &[Seen<'_>], facts: Doubt, bases: Doubt| {
        directive::keeps_back(configured.root, seen, Doubts { facts, bases })
    };
    let decisive = kept(&seen, Doubt::Against, Doubt::Against);
    if decisive.is_never() {
        return;
    }
    let against = Doubts { facts: Doubt::Against, bases: Doubt::Against };
    let mine = seen.iter().filter(|seen| seen.is_about() && !directive::one(seen, against).is_never());
    let mine = mine.map(|seen| seen.consent);
    let names = names(mine);
    if !names.is_empty() {
        findings.note(format!("kept back by: {}", names.join(", ")));
    }
    if !decisive.is_always() {
        return redactions(findings, configured, question, &decisive, names);
    }
    let portal = question.portal();
    let none = !seen.iter().any(Seen::is_about);
    if none {
        let denial =
            findings.deny("consent.none", Ground::NoConsent, "no consent is on file that allows this");
        return finish(denial.cite(CONSENT), portal);
    }
    // Whose doubt is it, where doubt alone denies?
    let (facts, bases) = if !kept(&seen, Doubt::Against, Doubt::For).is_always() {
        (false, true)
    } else if !kept(&seen, Doubt::For, Doubt::Against).is_always() {
        (true, false)
    } else {
        let both = !kept(&seen, Doubt::For, Doubt::For).is_always();
        (both, both)
    };
    let rests_on_data = !kept(&see(&question.blind()), Doubt::Against, Doubt::Against).is_always();
    if bases {
        let ask = "a consent on file does not say what holds where it names no exception: what does the patient want?";
        let queue = configured.queue.as_str();
        findings
            .review("consent.indeterminate", Ground::IndividualRequest, ask, queue)
            .cite(AGREED_RESTRICTION);
    }
    if facts {
        let message = "it cannot be told whether a consent on file allows this";
        let denial = findings.deny("consent.unclear", Ground::FactMissing, message).cite(AGREED_RESTRICTION);
        if question.purpose_missing() {
            denial.remedy(Remedy::SupplyFact("context.purpose".to_owned()));
        }
        if question.record.says_too_little() {
            denial.remedy(Remedy::SupplyFact("resource.labels".to_owned()));
        }
        denial.remedy(Remedy::HumanReview(configured.queue.clone()));
        finish(denial, portal || rests_on_data);
    }
    if !facts && !bases {
        let message = "a consent on file does not allow this";
        let denial =
            findings.deny("consent.denied", Ground::IndividualRequest, message).cite(AGREED_RESTRICTION);
        finish(denial, portal || rests_on_data);
    }
}

fn finish(denial: &mut Denial, neutral: bool) {
    denial.remedy(Remedy::Consent(ConsentRemedy { form: FORM.to_owned(), category: None }));
    if neutral {
        denial.neutral();
    }
}

/// The ids, sorted, the first of them.
fn names<'a>(consents: impl Iterator<Item = &'a Consent>) -> Vec<String> {
    let mut names = Vec::new();
    consents.for_each(|consent| insert(&mut names, consent.id.clone()));
    names.truncate(NAMES_MAX);
    names
}

/// What the caller must leave out: one obligation for each clause.
fn redactions(
    findings: &mut Findings,
    configured: &Configured,
    question: &Question<'_>,
    kept: &Condition,
    names: Vec<String>,
) {
    let mut sayable = Condition::never();
    for clause in kept.clone().simplified().clauses() {
        sayable.or_clause(clause.iter().filter(|literal| can_say(configured, literal)).cloned().collect());
    }
    let sayable = sayable.simplified();
    if sayable.is_always() || sayable.clauses().len() > REDACTIONS_MAX {
        let message = "a consent on file allows parts of this only";
        let denial =
            findings.deny("consent.residual", Ground::IndividualRequest, message).cite(AGREED_RESTRICTION);
        denial.remedy(Remedy::HumanReview(configured.queue.clone()));
        return finish(denial, question.portal() || !question.record.list);
    }
    for clause in sayable.clauses() {
        redact(findings.oblige(ObligationCode::Redact), clause);
        if let (Some(obligation), false) = (findings.obligations.last_mut(), names.is_empty()) {
            obligation.with("consents", names.iter().cloned().collect::<Set<_>>());
        }
    }
}

/// Whether callers can leave out by this criterion; without it, more is left out.
fn can_say(configured: &Configured, literal: &Literal) -> bool {
    let criterion = match &literal.criterion {
        Criterion::OneOf(kind, _) => configured.redacts(*kind),
        Criterion::Besides(_) => configured.redacts(Kind::Labels),
        Criterion::Dates(..) => configured.redactions.contains(&Redaction::Dates),
    };
    criterion && (literal.met || configured.redactions.contains(&Redaction::Except))
}

/// "Leave out what is one of these, and one of those, except what is one of these."
fn redact(obligation: &mut Obligation, clause: &Clause) {
    let mut lists = 0;
    let (mut by_label, mut by_category, mut dated) = (false, false, false);
    let mut except = Except::default();
    for Literal { criterion, met } in clause {
        match (criterion, met) {
            (Criterion::OneOf(Kind::Categories, values), true) => {
                by_category = true;
                lists += 1;
                with(obligation, numbered("categories", lists), values);
            }
            (Criterion::OneOf(Kind::Categories, values), false) => {
                by_category = true;
                except.add("except-categories", values);
            }
            (Criterion::OneOf(Kind::Labels, _) | Criterion::Besides(_), _) => {
                by_label = true;
                let mut labels = labels(criterion, *met);
                // "All labels but these" has what is wider already.
                if *met && matches!(criterion, Criterion::OneOf(..)) {
                    let wider: Vec<_> = labels.iter().flat_map(|label| codes::wider(label)).collect();
                    wider.into_iter().for_each(|label| insert(&mut labels, label.to_owned()));
                }
                // A label is carried by what is of a category that stands for it.
                let categories: Vec<_> = codes::categories_of(&labels).map(str::to_owned).collect();
                if *met {
                    lists += 1;
                    with(obligation, numbered("labels", lists), &labels);
                    with(obligation, numbered("categories", lists), &categories);
                } else {
                    except.add("except-labels", &labels);
                    except.add("except-categories", &categories);
                }
            }
            (Criterion::OneOf(kind, values), true) => {
                let name = match kind {
                    Kind::Labels | Kind::Categories => continue,
                    Kind::Classes => "classes",
                    Kind::Codes => "codes",
                    Kind::Data => "data",
                };
                // Two lists of these that must both be met have no words: one leaves out more, never less.
                if obligation.parameters.iter().all(|known| known.name != name) {
                    with(obligation, name.to_owned(), values);
                }
            }
            (Criterion::OneOf(kind, values), false) => except.add(
                match kind {
                    Kind::Labels | Kind::Categories => continue,
                    Kind::Classes => "except-classes",
                    Kind::Codes => "except-codes",
                    Kind::Data => "except-data",
                },
                values,
            ),
            (Criterion::Dates(..), _) => dated = true,
        }
    }
    for (name, values) in &except.0 {
        with(obligation, (*name).to_owned(), values);
    }
    for (met, from, until) in
        [(true, "dates-from", "dates-until"), (false, "except-dates-from", "except-dates-until")]
    {
        let dates =
            clause.iter().filter(|literal| literal.met == met).find_map(|literal| match literal.criterion {
                Criterion::Dates(start, end) => Some((start, end)),
                Criterion::OneOf(..) | Criterion::Besides(_) => None,
            });
        let (start, end) = dates.unwrap_or_default();
        for (name, moment) in [(from, start), (until, end)] {
            if let Some(moment) = moment {
                obligation.with(name, moment);
            }
        }
    }
    // What does not say is left out with what is meant.
    for (said, name) in [(by_label, "unlabelled"), (by_category, "uncategorised"), (dated, "undated")] {
        if said {
            obligation.with(name, true);
        }
    }
}

/// What is not left out, by parameter.
#[derive(Default)]
struct Except(Vec<(&'static str, Vec<String>)>);

impl Except {
    fn add<'v>(&mut self, name: &'static str, values: impl IntoIterator<Item = &'v String>) {
        let at = self.0.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.0.push((name, Vec::new()));
            self.0.len() - 1
        });
        if let Some((_, known)) = self.0.get_mut(at) {
            values.into_iter().for_each(|value| insert(known, value.clone()));
        }
    }
}

/// The labels that a criterion names. What is so wide that it may well be one of those named is besides them
/// where that leaves it out, and not where it would be excepted.
fn labels(criterion: &Criterion, met: bool) -> Vec<String> {
    match criterion {
        Criterion::OneOf(_, values) => values.iter().cloned().collect(),
        Criterion::Besides(values) => {
            let so_wide = |label: &str| values.iter().any(|value| codes::is_wider(label, value));
            codes::besides(values).filter(|label| met || !so_wide(label)).map(str::to_owned).collect()
        }
        Criterion::Dates(..) => Vec::new(),
    }
}

/// `labels`, and where as many lists must be met, `labels-2`.
fn numbered(name: &str, list: usize) -> String {
    if list == 1 { name.to_owned() } else { format!("{name}-{list}") }
}

fn with<'v>(obligation: &mut Obligation, name: String, values: impl IntoIterator<Item = &'v String>) {
    let values: Set<_> = values.into_iter().cloned().collect();
    if !values.is_empty() {
        obligation.with(name, values);
    }
}
