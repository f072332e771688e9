//! What is part of what among the codes of consents and labels.
//!
//! Labels and purposes are those of the table of law; `data/codes.toml` has the rest, checked and compiled by
//! the build script. INVARIANT (exact emergencies): break-glass and emergency treatment are permitted by their
//! own code and no other, and denied by whatever they are part of. Codes that are not known, or of a system
//! that is not known, are equal to themselves; beyond that nothing can be told of them.

use assent_law::sensitive::{
    CATEGORIES, LABELS, is_emergency, known_label, known_purpose, label_is, purpose_is,
};
use assent_plugin_sdk::prelude::*;

use crate::answer::Answer;

/// The system of purposes of use.
pub const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
/// The system of sensitivity labels and marks.
pub const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
/// The system of confidentiality.
pub const CONFIDENTIALITY_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// The system of actions.
pub const CONSENT_ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
/// The system of roles of an actor.
pub const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
/// The system of classes of resources.
pub const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";

/// All of FHIR's consentaction.
pub const CONSENT_ACTIONS: [&str; 5] = ["access", "collect", "correct", "disclose", "use"];

const ANY_PURPOSE: &str = "PurposeOfUse";
const PSYCHOTHERAPY_NOTES: &str = "PSYTHPN";
/// All demographic information: what a patient's own entry is.
pub const DEMOGRAPHICS: &str = "DEMO";

/// An action of the policies.
#[derive(Debug)]
pub struct Action {
    /// Its name.
    pub name: &'static str,
    /// What it surely is, in the words of FHIR's consentaction.
    pub is: &'static [&'static str],
    /// What it may be.
    pub may: &'static [&'static str],
}

/// How a provision is about a request in an emergency: a deny that names only what emergency treatment is
/// part of gives way to a permit, beside it, that names the emergency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Emergency {
    /// Like any other.
    None,
    /// A deny of what it is part of.
    DeniedByWider,
    /// A permit by its own code.
    PermittedByName,
}

/// What an actor can be to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Who wrote the data.
    Author,
    /// Who holds them.
    Custodian,
    /// Who would get them.
    Recipient,
}

include!(concat!(env!("OUT_DIR"), "/codes.rs"));

/// Whether a provision of this effect for `of` is about a request for the purpose `asked`.
pub fn purpose(of: &Coding, effect: ProvisionEffect, asked: Option<&str>) -> Answer {
    let (Some(asked), true) = (asked, of.system == ACT_REASON) else { return Answer::Unknown };
    if asked == of.code {
        return Answer::Yes;
    }
    // A code that the hierarchy does not have can be part of anything, and anything of it.
    let Some(known) = known_purpose(asked) else { return Answer::Unknown };
    let exact = known.exact || is_emergency(asked);
    if of.code == ANY_PURPOSE {
        // Whoever writes "any purpose" may have meant those as well that a permit must name.
        return if exact { Answer::Unknown } else { Answer::Yes };
    }
    if known_purpose(&of.code).is_none() {
        return Answer::Unknown;
    }
    let part = Answer::of(purpose_is(asked, &of.code));
    match effect {
        _ if !exact => part,
        ProvisionEffect::Permit if is_emergency(asked) => Answer::No,
        ProvisionEffect::Deny if is_emergency(asked) => part,
        // Machine learning: a permit must name it; whether a deny of what is wider meant it, nobody knows.
        ProvisionEffect::Permit | ProvisionEffect::Deny => part.min(Answer::Unknown),
    }
}

/// How a provision's purposes are about a request in an emergency.
pub fn emergency(of: &[Coding], effect: ProvisionEffect, asked: Option<&str>) -> Emergency {
    let Some(asked) = asked.filter(|asked| is_emergency(asked)) else { return Emergency::None };
    let itself = |of: &Coding| of.system == ACT_REASON && of.code == asked;
    let wider = |of: &Coding| purpose(of, effect, Some(asked)) == Answer::Yes && !itself(of);
    match effect {
        ProvisionEffect::Permit if of.iter().any(itself) => Emergency::PermittedByName,
        // A purpose of which it cannot be told may name it.
        ProvisionEffect::Deny
            if of.iter().any(wider)
                && of.iter().all(|of| wider(of) || purpose(of, effect, Some(asked)) == Answer::No) =>
        {
            Emergency::DeniedByWider
        }
        ProvisionEffect::Permit | ProvisionEffect::Deny => Emergency::None,
    }
}

/// How confidential a code says that something is; none: it is no code of confidentiality.
pub fn confidentiality(code: &str) -> Option<usize> {
    CONFIDENTIALITY.iter().position(|known| *known == code)
}

/// Whether the code is a sensitivity label: it says what is in a record.
pub fn is_sensitivity(code: &str) -> bool {
    known_label(code).is_some()
}

/// Whether the code is a mark of privacy law: it says which law, and not what is in a record.
pub fn is_mark(code: &str) -> bool {
    MARKS.binary_search(&code).is_ok()
}

/// A sensitivity label with its equals and all that is part of it; another code, by itself.
pub fn with_narrower(code: &str) -> impl Iterator<Item = &str> {
    let all = LABELS.iter().map(|known| -> &str { known.code });
    let narrower = all.filter(move |known| label_is(known, code));
    narrower.chain(Some(code).filter(|code| !is_sensitivity(code)))
}

/// The labels that one is part of.
pub fn wider(code: &str) -> impl Iterator<Item = &'static str> {
    sensitivity().filter(move |known| is_wider(known, code))
}

/// Whether a label is so wide that another one may well be meant. Psychotherapy notes are only what is
/// labelled so: a wide label does not make one.
pub fn is_wider(label: &str, than: &str) -> bool {
    label_is(than, label) && !label_is(label, than) && !label_is(than, PSYCHOTHERAPY_NOTES)
}

/// All sensitivity labels but these.
pub fn besides(labels: &Set<String>) -> impl Iterator<Item = &'static str> {
    sensitivity().filter(|label| !labels.has(*label))
}

fn sensitivity() -> impl Iterator<Item = &'static str> {
    LABELS.iter().map(|known| known.code)
}

/// Whether the label is about what a patient's own entry holds.
pub fn is_demographic(code: &str) -> bool {
    known_label(code).is_some_and(|known| known.demographic)
}

/// The categories of care that stand for one of these labels.
pub fn categories_of(labels: &[String]) -> impl Iterator<Item = &'static str> {
    let stand = move |of: &[&str]| labels.iter().any(|label| of.contains(&label.as_str()));
    CATEGORIES.iter().filter(move |(_, of)| stand(of)).map(|(name, _)| *name)
}

/// The action of this name.
pub fn action(name: &str) -> Option<&'static Action> {
    ACTIONS.binary_search_by(|known| known.name.cmp(name)).ok().and_then(|at| ACTIONS.get(at))
}

/// What an actor of this role is; none: it cannot be told. Without a role it is who would get the data.
pub fn part(role: &Coding) -> Option<Part> {
    if role.code.is_empty() {
        return Some(Part::Recipient);
    }
    let known = ROLES.iter().find(|(code, _)| *code == role.code && role.system == PARTICIPATION);
    known.map(|(_, part)| *part)
}
