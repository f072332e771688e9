//! From the table's decision to findings: denials with ground, citation and remedy; obligations.
//!
//! INVARIANT (absent looks like forbidden): whatever rests on a sensitive category is denied with
//! the sentence for an absent record, and its reason goes only where the full explanation goes.

use assent_law::minor_consent::TABLE;
use assent_plugin_sdk::prelude::*;

use crate::decide::{Decision, Effect, Judged};
use crate::input::{ConfidentialBasis, Input, Kind};
use crate::rules::{Duty, Rule};

/// What a person is told of anything that must look absent.
pub const NEUTRAL_MESSAGE: &str = "no such record is available to you";

/// The question that a licensed professional is asked.
pub const DISCLOSE_TO_PARENT: &str = "disclose-to-parent";

/// The findings of a decision; `queue` is where people look at what they must.
pub fn findings(input: &Input<'_>, decision: &Decision<'_>, queue: &str) -> Findings {
    let mut findings = Findings::default();
    match decision.effect {
        Effect::Deny if decision.masked.is_empty() => deny_whole(input, decision.rule, queue, &mut findings),
        Effect::Deny => deny_categories(input, &decision.masked, queue, &mut findings),
        Effect::Permit | Effect::PermitWithMask => {}
    }
    for duty in decision.duties.iter() {
        oblige(decision, duty, queue, &mut findings);
    }
    if let (Kind::List, true) = (input.resource.kind, input.resource.service_state.is_empty()) {
        leave_out_other_states(input, decision, &mut findings);
    }
    note(decision, queue, &mut findings);
    findings
}

fn deny_whole(input: &Input<'_>, rule: Rule, queue: &str, findings: &mut Findings) {
    let neutral = is_neutral(rule);
    let message = if neutral { NEUTRAL_MESSAGE } else { message(rule) };
    let denial = findings.deny(rule.code(), ground(rule, input), message);
    cite(&mut denial.citation, citation(rule), None);
    denial.neutral = neutral;
    for remedy in remedies(rule, input, None, queue) {
        denial.remedy(remedy);
    }
    if rule.duties().contains(&Duty::HumanReview) {
        review(input, rule, None, queue, findings);
    }
}

/// One denial for each rule and category: what one category needs does not help the other.
fn deny_categories(input: &Input<'_>, masked: &[Judged<'_>], queue: &str, findings: &mut Findings) {
    for judged in masked {
        let rule = judged.rule;
        let denial = findings.deny(rule.code(), ground(rule, input), NEUTRAL_MESSAGE);
        cite(&mut denial.citation, citation(rule), judged.law.map(|law| law.row.citation));
        denial.neutral();
        for remedy in remedies(rule, input, Some(judged.category.code), queue) {
            denial.remedy(remedy);
        }
    }
    for judged in masked.iter().filter(|judged| judged.rule.duties().contains(&Duty::HumanReview)) {
        let citation = judged.law.map(|law| law.row.citation);
        review(input, judged.rule, citation, queue, findings);
    }
}

fn review(input: &Input<'_>, rule: Rule, row: Option<&str>, queue: &str, findings: &mut Findings) {
    let review = findings.review(rule.code(), ground(rule, input), question(rule), queue);
    cite(&mut review.citation, citation(rule), row);
}

fn cite(to: &mut Option<String>, rule: &str, row: Option<&str>) {
    let mut citation = rule.to_owned();
    if let Some(row) = row {
        if !citation.is_empty() {
            citation.push_str("; ");
        }
        citation.push_str(row);
    }
    *to = Some(citation).filter(|citation| !citation.is_empty());
}

fn oblige(decision: &Decision<'_>, duty: Duty, queue: &str, findings: &mut Findings) {
    let list = match decision.effect {
        Effect::PermitWithMask => true,
        Effect::Permit | Effect::Deny => false,
    };
    match duty {
        Duty::Audit => {
            findings.oblige(ObligationCode::Audit);
        }
        Duty::NeutralReason => {
            findings.oblige(ObligationCode::NeutralReason);
        }
        Duty::ReviewRightNotice => {
            findings.oblige(ObligationCode::ReviewRightNotice);
        }
        Duty::SuppressBillingDetail => {
            findings.oblige(ObligationCode::SuppressBillingDetail);
        }
        Duty::PaperRequestRoute => {
            findings.oblige(ObligationCode::PaperRequestRoute);
        }
        // Of an item nothing is handed out; a review or a remedy says who must look at it.
        Duty::Redact if list => {
            let categories = decision.masked.iter().map(|judged| judged.category.code);
            findings.oblige(ObligationCode::Redact).with("categories", codes(categories));
        }
        Duty::HumanReview if list => {
            let categories = asked_of(decision, Duty::HumanReview);
            findings.oblige(ObligationCode::HumanReview).with("queue", queue).with("categories", categories);
        }
        Duty::RouteToClinician if list => {
            let categories = asked_of(decision, Duty::RouteToClinician);
            findings
                .oblige(ObligationCode::RouteToClinician)
                .with("question", DISCLOSE_TO_PARENT)
                .with("categories", categories);
        }
        Duty::Redact | Duty::HumanReview | Duty::RouteToClinician => {}
    }
}

/// The categories about which somebody must be asked: those that the request named.
fn asked_of(decision: &Decision<'_>, duty: Duty) -> Set<String> {
    let asked = decision
        .masked
        .iter()
        .filter(|judged| !judged.category.implied && judged.rule.duties().contains(&duty));
    codes(asked.map(|judged| judged.category.code))
}

fn codes<'a>(codes: impl Iterator<Item = &'a str>) -> Set<String> {
    codes.map(str::to_owned).collect()
}

/// A list may hold services of several states, and was judged by the law of residence alone: what
/// was given elsewhere must be asked for item by item.
fn leave_out_other_states(input: &Input<'_>, decision: &Decision<'_>, findings: &mut Findings) {
    let by_law = decision.masked.iter().chain(&decision.opened).filter(|judged| match judged.rule {
        Rule::P3m | Rule::P3g => false,
        _ => judged.law.is_some(),
    });
    let categories = codes(by_law.map(|judged| judged.category.code));
    if !categories.is_empty() && decision.effect != Effect::Deny {
        findings
            .oblige(ObligationCode::Redact)
            .with("categories", categories)
            .with("served-outside", input.patient.state);
    }
}

/// For the full explanation: which rows were looked at, and what is doubtful about them.
fn note(decision: &Decision<'_>, queue: &str, findings: &mut Findings) {
    findings.note(format!(
        "rule {}; table digest {} ({})",
        decision.rule.code(),
        TABLE.digest,
        TABLE.version
    ));
    if decision.effect == Effect::Deny && matches!(decision.rule, Rule::R1c | Rule::P11) {
        findings.note(
            "rests on the organization's policy alone: check against information blocking (45 CFR 171)",
        );
    }
    let mut look = false;
    for judged in decision.masked.iter().chain(&decision.opened).filter(|judged| !judged.category.implied) {
        let Some(law) = judged.law else {
            findings.note(format!("{}: no row of law", judged.rule.code()));
            continue;
        };
        let adopted = if law.adopted { ", adopted by the organization" } else { "" };
        let doubt = judged.doubt.map_or("settled", |doubt| doubt.explanation());
        let conflict = if judged.conflict { "; the states of service and residence differ" } else { "" };
        let row = law.row;
        findings.note(format!("{}: row {}{adopted}: {doubt}{conflict}", judged.rule.code(), row.id));
        // INVARIANT (no unsettled row decides silently): not even where it withholds nothing.
        look |= judged.conflict || (judged.doubt.is_some() && judged.rule == Rule::P8n);
    }
    if look {
        findings.advise(ObligationCode::HumanReview).with("queue", queue).with("question", "confirm-law");
    }
}

/// Whether a denial by this rule must look like an absent record. A confidential note that rests on
/// nothing must not be told of, either, until somebody has looked.
fn is_neutral(rule: Rule) -> bool {
    rule.duties().contains(&Duty::NeutralReason) || rule == Rule::P9r
}

fn message(rule: Rule) -> &'static str {
    match rule {
        Rule::R0 => "this cannot be decided yet: something about the patient is not on record",
        Rule::R1a => "your identity must be proofed first",
        Rule::R1h => "access is on hold; you may ask for a review",
        Rule::R1c => "you are too young for an account of your own",
        Rule::P1 => "your standing to act for this patient is not on record, or has ended",
        Rule::P1c => "you cannot be given access to this record",
        Rule::P3 => "the patient decides for themselves; ask them for an authorization",
        Rule::P5 => "your relationship to the patient does not give access to this",
        Rule::P9h => "this has been withheld by a licensed professional; you may ask for a review",
        Rule::P11 => "this part of the record is not shown online; you may ask for it on paper",
        Rule::P2
        | Rule::P3m
        | Rule::P12
        | Rule::P6
        | Rule::P6b
        | Rule::P8c
        | Rule::P8b
        | Rule::P8x
        | Rule::P8r
        | Rule::P8h
        | Rule::P8d
        | Rule::P8w
        | Rule::P8m
        | Rule::P8s
        | Rule::P9
        | Rule::P9r
        // The rest permit.
        | Rule::R1b
        | Rule::R1e
        | Rule::P3g
        | Rule::P5d
        | Rule::P6a
        | Rule::P8p
        | Rule::P8n
        | Rule::P8g
        | Rule::P8q
        | Rule::P8e
        | Rule::P8k
        | Rule::P9x
        | Rule::P11q
        | Rule::P11l
        | Rule::P7
        | Rule::P11c => NEUTRAL_MESSAGE,
    }
}

fn ground(rule: Rule, input: &Input<'_>) -> Ground {
    match rule {
        Rule::R0 => Ground::FactMissing,
        Rule::R1a => Ground::IdentityUnverified,
        Rule::R1h | Rule::P8h | Rule::P9h => Ground::Harm,
        Rule::P1 | Rule::P3 | Rule::P5 => Ground::NoAuthority,
        Rule::P1c => Ground::CourtOrder,
        Rule::P2 => Ground::Endangerment,
        Rule::P3m => Ground::NoConsent,
        Rule::P12 => Ground::IndividualRequest,
        Rule::P6 | Rule::P6b => Ground::Part2,
        Rule::P8c => Ground::ConfidentialityAgreement,
        Rule::P8b => Ground::MinorConsent,
        Rule::P8x | Rule::P8r => Ground::LawUnsettled,
        Rule::P8d => Ground::LawProhibits,
        Rule::P8w | Rule::P8m | Rule::P8s => Ground::ProfessionalJudgement,
        Rule::P9 | Rule::P9r => match input.resource.confidential_basis {
            Some(ConfidentialBasis::Harm) => Ground::Harm,
            Some(ConfidentialBasis::Agreement) => Ground::ConfidentialityAgreement,
            Some(ConfidentialBasis::Court) => Ground::CourtOrder,
            Some(ConfidentialBasis::Psychotherapy) => Ground::PsychotherapyNotes,
            Some(ConfidentialBasis::MinorConsent) => Ground::MinorConsent,
            None => Ground::FactMissing,
        },
        Rule::R1c | Rule::P11 => Ground::OrganizationPolicy,
        // The rest permit; were one of them ever to deny, it would have no ground in law.
        Rule::R1b
        | Rule::R1e
        | Rule::P3g
        | Rule::P5d
        | Rule::P6a
        | Rule::P8p
        | Rule::P8n
        | Rule::P8g
        | Rule::P8q
        | Rule::P8e
        | Rule::P8k
        | Rule::P9x
        | Rule::P11q
        | Rule::P11l
        | Rule::P7
        | Rule::P11c => Ground::OrganizationPolicy,
    }
}

/// Where the rule is written in federal law; empty: nowhere.
fn citation(rule: Rule) -> &'static str {
    match rule {
        Rule::R1a | Rule::P1 => "45 CFR 164.514(h)",
        Rule::R1h => "45 CFR 164.524(a)(3)(i)",
        Rule::R0 | Rule::P1c | Rule::P5 => "45 CFR 164.502(g)(3)",
        Rule::P2 => "45 CFR 164.502(g)(5)",
        Rule::P3 => "45 CFR 164.502(g)(3)(i)",
        Rule::P3m => "45 CFR 164.508",
        Rule::P12 => "45 CFR 171.202(e)",
        Rule::P6 => "42 CFR 2.14(b)",
        Rule::P6b => "42 CFR 2.14(c)",
        Rule::P8c => "45 CFR 164.502(g)(3)(i)(C)",
        Rule::P8b => "45 CFR 164.502(g)(3)(i)(B)",
        Rule::P8r | Rule::P8x | Rule::P9r => "45 CFR 164.502(g)(3)(i)",
        Rule::P8d => "45 CFR 164.502(g)(3)(i)(A), (ii)(B)",
        Rule::P8m => "45 CFR 164.502(g)(3)(i)(A), (ii)(A)",
        Rule::P8s | Rule::P8w => "45 CFR 164.502(g)(3)(i)(A), (ii)(C)",
        Rule::P8h | Rule::P9h => "45 CFR 164.524(a)(3)(iii)",
        Rule::P9 => "45 CFR 164.502(g)(3)(i), 164.524(a)(1)(i), (a)(3)(iii)",
        // The organization's own, or no denial at all.
        Rule::R1b
        | Rule::R1c
        | Rule::R1e
        | Rule::P3g
        | Rule::P5d
        | Rule::P6a
        | Rule::P8p
        | Rule::P8n
        | Rule::P8g
        | Rule::P8q
        | Rule::P8e
        | Rule::P8k
        | Rule::P9x
        | Rule::P11q
        | Rule::P11l
        | Rule::P11
        | Rule::P7
        | Rule::P11c => "",
    }
}

fn question(rule: Rule) -> &'static str {
    match rule {
        Rule::R0 => "complete the patient's date of birth, state, time zone or status",
        Rule::R1h => "does access still endanger the patient's life or physical safety",
        Rule::P2 => "does treating this person as representative still endanger the patient",
        Rule::P8x => "which law holds for this category of care in this state",
        Rule::P8r => "confirm the row of law, or decide on this disclosure",
        Rule::P9r => "on which legal ground is this note confidential",
        _ => "may this be disclosed to the representative",
    }
}

fn remedies(rule: Rule, input: &Input<'_>, category: Option<&str>, queue: &str) -> Vec<Remedy> {
    let category = || category.map(str::to_owned);
    let consent = |form: &str| Remedy::Consent(ConsentRemedy { form: form.to_owned(), category: category() });
    match rule {
        Rule::R0 => {
            let missing = if input.patient.age.is_none() { "patient.birthDate" } else { "patient.state" };
            vec![Remedy::SupplyFact(missing.to_owned()), Remedy::HumanReview(queue.to_owned())]
        }
        Rule::R1a => vec![Remedy::IdentityProofing("IAL2".to_owned())],
        Rule::R1c | Rule::P11 => vec![Remedy::PaperRequest],
        Rule::R1h | Rule::P8x | Rule::P8r | Rule::P8h | Rule::P9r | Rule::P9h => {
            vec![Remedy::HumanReview(queue.to_owned())]
        }
        Rule::P1 => vec![Remedy::SupplyFact("ProxyGrant.verified".to_owned())],
        Rule::P3 | Rule::P3m => vec![consent("patient-authorization")],
        Rule::P5 => vec![consent("parent-delegation")],
        Rule::P12 => vec![consent("teen-grant")],
        Rule::P6 => vec![consent("part2-minor")],
        Rule::P6b => vec![consent("part2-minor-and-parent")],
        Rule::P8d => vec![consent("minor-authorization")],
        Rule::P8m | Rule::P8s => {
            let question = DISCLOSE_TO_PARENT.to_owned();
            vec![Remedy::ClinicianDecision(ClinicianRemedy { question, category: category() })]
        }
        Rule::P1c
        | Rule::P2
        | Rule::P8c
        | Rule::P8b
        | Rule::P8w
        | Rule::P9
        | Rule::R1b
        | Rule::R1e
        | Rule::P3g
        | Rule::P5d
        | Rule::P6a
        | Rule::P8p
        | Rule::P8n
        | Rule::P8g
        | Rule::P8q
        | Rule::P8e
        | Rule::P8k
        | Rule::P9x
        | Rule::P11q
        | Rule::P11l
        | Rule::P7
        | Rule::P11c => vec![],
    }
}
