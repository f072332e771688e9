//! What is part of what, among labels and purposes.
//!
//! INVARIANT (exact purposes): see the module above. Unknown codes are part of nothing but themselves.

use super::{CATEGORIES, LABELS, Label, PURPOSES, Purpose};

/// Any purpose, but machine learning: that needs a rule or consent that names it.
const ANY: &str = "*";
const MACHINE_LEARNING: &str = "MLTRAINING";
/// Emergency treatment: it, and what is part of it.
const EMERGENCY: &str = "ETREAT";

/// Whether a record's label falls under a rule's: it is the same, an equal of it (`ETH` and `SUD`), a
/// narrower one, or one so wide (`SPI`) that it may well be meant. Psychotherapy notes are only what
/// is labelled so: a wide label does not make one.
pub fn label_within(label: &str, of: &str) -> bool {
    label_is(label, of) || (of != "PSYTHPN" && label_is(of, label))
}

/// Whether a label is the other one, an equal of it or a narrower one.
pub fn label_is(label: &str, of: &str) -> bool {
    let equal = |code: &str| known_label(code).and_then(|known| known.equals);
    narrower(label, of)
        || equal(label).is_some_and(|label| narrower(label, of))
        || equal(of).is_some_and(|of| narrower(label, of))
}

/// The label of this code; none: it is not a sensitivity label.
pub fn known_label(code: &str) -> Option<&'static Label> {
    LABELS.binary_search_by(|known| known.code.cmp(code)).ok().and_then(|at| LABELS.get(at))
}

fn narrower(label: &str, of: &str) -> bool {
    let mut at = Some(label);
    // Each step follows an entry of the table, and the build refuses circles.
    while let Some(code) = at {
        if code == of {
            return true;
        }
        at = known_label(code).and_then(|known| known.broader);
    }
    false
}

/// The labels that a category of care stands for; none: the category is unknown.
pub fn labels_of(category: &str) -> Option<&'static [&'static str]> {
    CATEGORIES
        .binary_search_by(|(name, _)| (*name).cmp(category))
        .ok()
        .and_then(|at| CATEGORIES.get(at))
        .map(|(_, labels)| *labels)
}

/// Whether a purpose is one of these or part of one. `*` stands for any but machine learning.
/// Break-glass, emergency treatment and machine learning are met only by themselves.
pub fn purpose_in(purpose: &str, list: &[&str]) -> bool {
    if list.contains(&purpose) || (list.contains(&ANY) && purpose != MACHINE_LEARNING) {
        return true;
    }
    let mut at = known_purpose(purpose).filter(|known| !known.exact);
    while let Some(known) = at.and_then(|known| known.broader).and_then(known_purpose) {
        // What is part of an exact purpose (`ERTREAT` of `ETREAT`) is not met by it, but by what is wider.
        if !known.exact && list.contains(&known.code) {
            return true;
        }
        at = Some(known);
    }
    false
}

/// Whether a purpose is the other one or part of it, as HL7 has it: what is only met by itself is part of
/// what is wider as well. For what forbids; for what permits, `purpose_in`.
pub fn purpose_is(purpose: &str, of: &str) -> bool {
    let mut at = Some(purpose);
    // Each step follows an entry of the table, and the build refuses circles.
    while let Some(code) = at {
        if code == of {
            return true;
        }
        at = known_purpose(code).and_then(|known| known.broader);
    }
    false
}

/// Whether a purpose is emergency treatment (`ETREAT`) or part of it: the emergency room, break-glass.
pub fn is_emergency(purpose: &str) -> bool {
    purpose_is(purpose, EMERGENCY)
}

/// The purpose of this code; none: it is not HL7's.
pub fn known_purpose(code: &str) -> Option<&'static Purpose> {
    PURPOSES.binary_search_by(|known| known.code.cmp(code)).ok().and_then(|at| PURPOSES.get(at))
}
