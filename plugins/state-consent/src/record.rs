//! What a record shows of itself: the sensitivity labels it carries, implies or may carry.
//!
//! INVARIANT (unlabelled is not normal): a record without labels of its own, with a label or category that
//! nobody knows, or marked restricted without saying why, is unknown; it is never taken for general. What its
//! encounter carries counts for it, and does not make it known.

use assent_law::sensitive::{MarkedBy, Rule, known_label, label_within, labels_of};

use crate::facts::Facts;
use crate::table::Table;

/// HL7 confidentiality codes: they say how much care, not which category.
const NORMAL: [&str; 4] = ["U", "L", "M", "N"];
const RESTRICTED: [&str; 2] = ["R", "V"];

/// HL7's mark of a Part 2 record; it says `SUD`, too.
pub const PART2: &str = "42CFRPart2";

/// Labels of a record.
#[derive(Debug, Default)]
pub struct Record<'a> {
    /// Labels that the record carries, or that a fact or category of it implies.
    pub marks: Vec<&'a str>,
    /// Labels that hold for everything of this patient.
    pub of_patient: Vec<&'a str>,
    /// Categories of care, as recorded.
    pub categories: Vec<&'a str>,
    /// Whether nobody can say what is in it.
    pub unknown: bool,
    /// Whether it is known not to be a Part 2 program's.
    pub not_part2: bool,
}

/// How far a rule is about what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Not at all.
    None,
    /// About some of a list: those can be left out.
    Part,
    /// About all of it.
    Whole,
}

impl<'a> Record<'a> {
    /// What the facts say.
    pub fn of(table: &Table, facts: &'a Facts, kind: &str) -> Self {
        let mut record = Self::default();
        let mut general = false;
        let mut doubtful = false;
        let mut restricted = false;
        for label in facts.labels.iter().flatten() {
            general |= NORMAL.contains(&label.as_str());
            restricted |= RESTRICTED.contains(&label.as_str());
            doubtful |= !record.label(label);
        }
        for category in facts.categories.iter().flatten() {
            record.categories.push(category);
            match labels_of(category) {
                Some(labels) => {
                    record.marks.extend(labels);
                    general |= labels.is_empty();
                }
                None => doubtful = true,
            }
        }
        if facts.part2 == Some(true) {
            record.marks.push(PART2);
        }
        if facts.counseling_notes == Some(true) {
            record.marks.push("PSYTHPN");
        }
        // What is said of the record itself; its encounter can only add to it.
        let told = general || !record.marks.is_empty();
        let mut unexplained = restricted && record.marks.is_empty();
        let mut encounter_restricted = false;
        for label in facts.encounter_labels.iter().flatten() {
            encounter_restricted |= RESTRICTED.contains(&label.as_str());
            doubtful |= !record.label(label);
        }
        unexplained |= encounter_restricted && record.marks.is_empty();
        let marked = record.marks.contains(&PART2);
        record.not_part2 = !marked && (facts.part2 == Some(false) || table.part2_is_marked);
        if facts.self_pay == Some(true) {
            record.of_patient.push("HIPAASelfPay");
        }
        record.of_patient.extend(facts.privacy_flags.iter().flatten().map(String::as_str));
        // A patient's own entry holds names and addresses: it needs no label, and one that it has counts.
        record.unknown = doubtful || unexplained || (!told && kind != "Patient");
        record
    }

    /// Takes a label in; whether it is known.
    fn label(&mut self, label: &'a str) -> bool {
        let known = known_label(label).is_some();
        if known {
            self.marks.push(label);
        }
        known || NORMAL.contains(&label) || RESTRICTED.contains(&label)
    }

    /// How far the rule is about this record, or about a list that may hold such records.
    pub fn reach(&self, rule: &Rule<'_>, list: bool) -> Reach {
        // A list may hold records of any origin.
        if rule.unless_not_part2 && self.not_part2 && !list {
            return Reach::None;
        }
        let within = |mark: &&str| rule.labels.iter().any(|label| label_within(mark, label));
        match rule.marked_by {
            MarkedBy::AnyRecord => Reach::Whole,
            _ if self.of_patient.iter().any(within) => Reach::Whole,
            // What a list holds is not known before it is made.
            MarkedBy::AnyLabel | MarkedBy::AllLabels if list => Reach::Part,
            MarkedBy::AnyLabel => whole_if(self.marks.iter().any(within)),
            MarkedBy::AllLabels => {
                let carried = |label: &&str| self.marks.iter().any(|mark| label_within(mark, label));
                whole_if(rule.labels.iter().all(carried))
            }
        }
    }
}

fn whole_if(about: bool) -> Reach {
    if about { Reach::Whole } else { Reach::None }
}
