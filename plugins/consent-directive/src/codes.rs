//! What is part of what among the codes of consents and labels.
//!
//! The codes are `data/codes.toml`, checked and compiled by the build script. INVARIANT (exact purposes):
//! break-glass and emergency treatment are met by their own code and no other. Codes that are not known,
//! or of a system that is not known, are equal to themselves; beyond that nothing can be told of them.

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

/// A code with its place.
#[derive(Debug)]
pub struct Code {
    /// The code.
    pub code: &'static str,
    /// What it is part of.
    pub broader: Option<&'static str>,
    /// Another name of the same.
    pub equals: Option<&'static str>,
    /// What reaches it; of purposes only.
    pub reached: Reached,
}

/// What reaches a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// What it is part of.
    ByBroader,
    /// Its own code alone.
    Itself,
    /// Its own code alone, where a provision permits.
    ItselfToPermit,
}

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

fn find(list: &'static [Code], code: &str) -> Option<&'static Code> {
    list.binary_search_by(|known| known.code.cmp(code)).ok().and_then(|at| list.get(at))
}

/// Whether the code is the other one or part of it. The build refuses circles.
fn within(list: &'static [Code], code: &str, of: &str) -> bool {
    let of = find(list, of).and_then(|known| known.equals).unwrap_or(of);
    let mut at = Some(code);
    while let Some(code) = at {
        let known = find(list, code);
        let code = known.and_then(|known| known.equals).unwrap_or(code);
        if code == of {
            return true;
        }
        at = find(list, code).and_then(|known| known.broader);
    }
    false
}

/// Whether a provision for `of` is about a request for the purpose `asked`.
pub fn purpose(of: &Coding, asked: Option<&str>) -> Answer {
    let (Some(asked), true) = (asked, of.system == ACT_REASON) else { return Answer::Unknown };
    if asked == of.code {
        return Answer::Yes;
    }
    // A code that the hierarchy does not have can be part of anything, and anything of it.
    let (Some(known), Some(_)) = (find(PURPOSES, asked), find(PURPOSES, &of.code)) else {
        return Answer::Unknown;
    };
    match known.reached {
        Reached::ByBroader => Answer::of(within(PURPOSES, asked, &of.code)),
        // Whoever writes "any purpose" may have meant that one as well.
        Reached::Itself if of.code == ANY_PURPOSE => Answer::Unknown,
        Reached::Itself => Answer::No,
        Reached::ItselfToPermit if within(PURPOSES, asked, &of.code) => Answer::Unknown,
        Reached::ItselfToPermit => Answer::No,
    }
}

/// How confidential a code says that something is; none: it is no code of confidentiality.
pub fn confidentiality(code: &str) -> Option<usize> {
    CONFIDENTIALITY.iter().position(|known| *known == code)
}

/// Whether the code is a sensitivity label or a mark of privacy law.
pub fn is_sensitivity(code: &str) -> bool {
    find(SENSITIVITY, code).is_some()
}

/// A sensitivity label with its equals and all that is part of it; a code that is not known, by itself.
pub fn with_narrower(code: &str) -> impl Iterator<Item = &str> {
    let narrower =
        SENSITIVITY.iter().map(|known| known.code).filter(move |known| within(SENSITIVITY, known, code));
    narrower.chain(Some(code).filter(|code| !is_sensitivity(code)))
}

/// The labels that one is part of: so wide that it may well be meant. Psychotherapy notes are only what
/// is labelled so: a wide label does not make one.
pub fn wider(code: &str) -> impl Iterator<Item = &'static str> {
    let notes = within(SENSITIVITY, code, PSYCHOTHERAPY_NOTES);
    let wider =
        move |known: &&str| !notes && within(SENSITIVITY, code, known) && !within(SENSITIVITY, known, code);
    SENSITIVITY.iter().map(|known| known.code).filter(wider)
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
