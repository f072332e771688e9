//! What the organization's setting, the consents and their nested provisions keep back together.
//!
//! One tree, one rule: the setting is the root, consents are exceptions to it, provisions to their consent
//! or to the provision they are nested in. The deepest that matches decides; where several beside one
//! another match, one that denies is enough. So several consents permit what each of them permits.
//! INVARIANT (doubt never opens): what cannot be told counts as doubt says, in each place.
//! INVARIANT (no way around a deny): what denies treatment denies an emergency as well, except where a permit
//! nested in it or beside it names that emergency; a permit for treatment opens none.
//! The tree is worked off from its leaves, without recursion: a guest's stack is small, a patient's tree
//! as deep as it is.

use assent_plugin_sdk::prelude::*;

use crate::answer::{Answer, Doubt};
use crate::codes::Emergency;
use crate::condition::{Clause, Condition, insert};
use crate::question::Question;
use crate::record::Match;

/// Which way doubt counts, of facts and of what consents do not say.
#[derive(Clone, Copy, Debug)]
pub struct Doubts {
    /// Of facts that are not known.
    pub facts: Doubt,
    /// Of a consent that does not say what holds where no provision does.
    pub bases: Doubt,
}

/// An exception that may match: what it takes, and what is kept back where it does.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Branch {
    known: Answer,
    open: Clause,
    emergency: Emergency,
    keeps_back: Condition,
}

/// Exceptions beside one another, sorted.
type Branches = Vec<Branch>;

/// A consent with what its criteria come to, which takes most of the work and is the same for any doubts.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The consent.
    pub consent: &'a Consent,
    concerned: Match,
    /// Of each provision, the ways in which it may match.
    provisions: Vec<Vec<Match>>,
    leaves_first: Vec<usize>,
}

impl<'a> Seen<'a> {
    /// The consent as the question sees it; its provisions hang together.
    pub fn of(consent: &'a Consent, question: &Question<'_>) -> Self {
        Self {
            consent,
            concerned: question.concerned(consent),
            provisions: consent.provisions.iter().map(|provision| question.matches(provision)).collect(),
            leaves_first: leaves_first(&consent.provisions).unwrap_or_default(),
        }
    }

    /// Whether the consent may be about the request.
    pub fn is_about(&self) -> bool {
        self.concerned.known != Answer::No
    }
}

/// What all of it keeps back from the request.
pub fn keeps_back(root: ProvisionEffect, consents: &[Seen<'_>], doubts: Doubts) -> Condition {
    let mut branches = Branches::new();
    for seen in consents.iter().filter(|seen| seen.is_about()) {
        branch(&mut branches, &seen.concerned, one(seen, doubts));
    }
    level(root, &branches, doubts.facts)
}

/// What one consent keeps back where it is about the request.
pub fn one(seen: &Seen<'_>, doubts: Doubts) -> Condition {
    let consent = seen.consent;
    let mut nested: Vec<Branches> = consent.provisions.iter().map(|_| Branches::new()).collect();
    let mut top = Branches::new();
    for &at in &seen.leaves_first {
        let (Some(provision), Some(found), Some(exceptions)) =
            (consent.provisions.get(at), seen.provisions.get(at), nested.get_mut(at))
        else {
            continue;
        };
        let exceptions = std::mem::take(exceptions);
        let siblings = match provision.parent {
            _ if found.iter().all(|found| found.known == Answer::No) => continue,
            Some(parent) => nested.get_mut(parent as usize),
            None => Some(&mut top),
        };
        if let Some(siblings) = siblings {
            let keeps_back = level(provision.effect, &exceptions, doubts.facts);
            for found in found.iter().filter(|found| found.known != Answer::No) {
                branch(siblings, found, keeps_back.clone());
            }
        }
    }
    let base = consent.base.unwrap_or(match doubts.bases {
        Doubt::Against => ProvisionEffect::Deny,
        Doubt::For => ProvisionEffect::Permit,
    });
    level(base, &top, doubts.facts)
}

fn branch(siblings: &mut Branches, found: &Match, keeps_back: Condition) {
    let Match { known, ref open, emergency } = *found;
    insert(siblings, Branch { known, open: open.clone(), emergency, keeps_back });
}

/// What is kept back by an effect and the exceptions to it.
fn level(effect: ProvisionEffect, exceptions: &[Branch], doubt: Doubt) -> Condition {
    let mut kept = match effect {
        ProvisionEffect::Permit => Condition::never(),
        ProvisionEffect::Deny => unmatched(exceptions.iter(), doubt),
    };
    for exception in exceptions {
        // More than everything cannot be kept back, and work is limited.
        if kept.is_always() {
            break;
        }
        if exception.known == Answer::Unknown && doubt == Doubt::For {
            continue;
        }
        let keeps_back = exception.keeps_back.and_clause(&exception.open);
        kept.or(match exception.emergency {
            Emergency::DeniedByWider => {
                let named = exceptions.iter().filter(|beside| beside.emergency == Emergency::PermittedByName);
                keeps_back.and(&unmatched(named, doubt))
            }
            Emergency::None | Emergency::PermittedByName => keeps_back,
        });
    }
    kept
}

/// What none of the exceptions is about.
fn unmatched<'b>(exceptions: impl Iterator<Item = &'b Branch>, doubt: Doubt) -> Condition {
    let mut unmatched = Condition::always();
    for exception in exceptions {
        if !(exception.known == Answer::Unknown && doubt == Doubt::Against) {
            unmatched = unmatched.and_not(&exception.open);
            // Nothing is left; or it got too long, and is "everything" from here on.
            if unmatched.is_never() || unmatched.is_always() {
                break;
            }
        }
    }
    unmatched
}

/// The positions of the provisions, each after those nested in it; none: one names a parent that is not
/// there, or they are nested in a circle.
pub fn leaves_first(provisions: &[Provision]) -> Option<Vec<usize>> {
    let mut waiting = vec![0u32; provisions.len()];
    for parent in provisions.iter().filter_map(|provision| provision.parent) {
        *waiting.get_mut(parent as usize)? += 1;
    }
    let mut order: Vec<usize> = (0..provisions.len()).filter(|&at| waiting.get(at) == Some(&0)).collect();
    let mut next = 0;
    while let Some(&at) = order.get(next) {
        next += 1;
        let Some(parent) = provisions.get(at)?.parent.map(|parent| parent as usize) else { continue };
        let left = waiting.get_mut(parent)?;
        *left = left.checked_sub(1)?;
        if *left == 0 {
            order.push(parent);
        }
    }
    (order.len() == provisions.len()).then_some(order)
}
