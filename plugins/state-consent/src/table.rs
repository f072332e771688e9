//! The table as this organization has it: the rows that bind it, with its overrides applied.
//!
//! Made once, when a release is built. INVARIANT (signed law): see the settings; every problem is
//! found, each with its place, and one of them is enough to refuse.

use assent_law::minor_consent;
use assent_law::sensitive::{self, Default as Rule, Exception, Form};
use assent_plugin_sdk::prelude::*;

use crate::settings::{Settings, Signed, Unlabelled, UnmarkedSud};

/// The rows that bind the organization, and what it says of itself.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Row>,
    /// Whether the organization is a Part 2 program.
    pub part2_program: bool,
    /// Whether it is a health information exchange.
    pub exchange: bool,
    /// The states in which it gives care.
    pub states: Vec<String>,
    /// The queue of people who answer what no row can decide.
    pub queue: String,
    /// Whether a record that nobody labelled is unknown.
    pub unlabelled_is_unknown: bool,
    /// Whether only marked records of substance use are Part 2 records.
    pub part2_is_marked: bool,
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// The row of the table of law.
    pub law: &'static sensitive::Rule<'static>,
    /// What holds without consent.
    pub default: Rule,
    /// The forms of consent of which one is enough.
    pub forms: Vec<&'static Form<'static>>,
    /// Whether the consent must name the recipient.
    pub names_recipient: bool,
    /// The exceptions.
    pub exceptions: Vec<&'static Exception>,
    /// Whether the row may decide alone.
    pub settled: bool,
    /// Who overrode or trusted it, and when: for the explanation.
    pub signed: Option<String>,
}

impl Table {
    /// The table with the organization's settings.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        check_kinds_and_states(&settings, &mut problems);
        let bound = |rule: &&sensitive::Rule<'_>| {
            rule.holders.is_empty() || settings.kinds.iter().any(|kind| rule.holders.contains(&kind.as_str()))
        };
        let mut rows: Vec<Row> = sensitive::RULES.iter().filter(bound).map(Row::of).collect();
        for (list, word, entries) in
            [("trusted", "trusted", &settings.trusted), ("overrides", "overridden", &settings.overrides)]
        {
            for (at, entry) in entries.iter().enumerate() {
                let place = format!("/{list}/{at}");
                let signed = signature(&place, entry, &mut problems);
                known(&place, "row", &entry.row, rule_ids(), &mut problems);
                check_changes(&place, entry, list == "overrides", &mut problems);
                if let Some(row) = rows.iter_mut().find(|row| row.law.id == entry.row) {
                    row.apply(entry);
                    row.signed = Some(format!("{word}, {signed}"));
                }
            }
        }
        rows.retain(|row| row.default != Rule::NotInForce);
        let is = |kind: &str| settings.kinds.iter().any(|known| known == kind);
        problems.or(Self {
            rows,
            part2_program: is("part2-program"),
            exchange: is("exchange"),
            states: settings.states,
            queue: settings.queue,
            part2_is_marked: settings.unmarked_sud == UnmarkedSud::NotPart2,
            unlabelled_is_unknown: settings.unlabelled == Unlabelled::Unknown,
        })
    }

    /// The rows that bind the organization, by id.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

impl Row {
    /// The categories of care that stand for a label of the row.
    pub fn categories(&self) -> impl Iterator<Item = &'static str> {
        let within = |label: &&str| self.law.labels.iter().any(|of| sensitive::label_within(label, of));
        sensitive::CATEGORIES
            .iter()
            .filter(move |(_, labels)| labels.iter().any(within))
            .map(|(name, _)| *name)
    }

    fn of(law: &'static sensitive::Rule<'static>) -> Self {
        Self {
            law,
            default: law.default,
            forms: law.forms.iter().filter_map(|id| sensitive::form(id)).collect(),
            names_recipient: law.names_recipient,
            exceptions: law.exceptions.iter().filter_map(|id| sensitive::exception(id)).collect(),
            settled: !law.unsettled(),
            signed: None,
        }
    }

    fn apply(&mut self, change: &Signed) {
        if let Some(default) = change.default_without_consent.as_deref().and_then(Rule::from_code) {
            self.default = default;
        }
        if let Some(forms) = &change.forms {
            self.forms = forms.iter().filter_map(|id| sensitive::form(id)).collect();
        }
        if let Some(exceptions) = &change.exceptions {
            self.exceptions = exceptions.iter().filter_map(|id| sensitive::exception(id)).collect();
        }
        self.names_recipient = change.names_recipient.unwrap_or(self.names_recipient);
        // Whoever signs answers for the row: it is no longer unsettled.
        self.settled = true;
    }
}

fn check_kinds_and_states(settings: &Settings, problems: &mut Problems) {
    if settings.kinds.is_empty() {
        problems.at("/kinds", "expected at least one kind, such as `provider`");
    }
    for (at, kind) in settings.kinds.iter().enumerate() {
        known(&format!("/kinds/{at}"), "", kind, sensitive::HOLDERS.iter().copied(), problems);
    }
    if settings.states.is_empty() {
        problems.at("/states", "expected at least one state (USPS code), such as `CA`");
    }
    for (at, state) in settings.states.iter().enumerate() {
        if minor_consent::majority(state).is_none() {
            problems.at(
                format!("/states/{at}"),
                format!("unknown state `{state}`: expected a USPS code, such as `CA`"),
            );
        }
    }
    if settings.queue.trim().is_empty() {
        problems.at("/queue", "expected the name of a queue, such as `privacy-office`");
    }
}

fn check_changes(place: &str, change: &Signed, changes: bool, problems: &mut Problems) {
    if let Some(default) = &change.default_without_consent {
        let codes = Rule::ALL.iter().map(|(code, _)| *code);
        known(place, "default_without_consent", default, codes, problems);
    }
    for (at, form) in change.forms.iter().flatten().enumerate() {
        let ids = sensitive::FORMS.iter().map(|form| form.id);
        known(&format!("{place}/forms/{at}"), "", form, ids, problems);
    }
    for (at, exception) in change.exceptions.iter().flatten().enumerate() {
        let ids = sensitive::EXCEPTIONS.iter().map(|exception| exception.id);
        known(&format!("{place}/exceptions/{at}"), "", exception, ids, problems);
    }
    let nothing = change.default_without_consent.is_none()
        && change.forms.is_none()
        && change.names_recipient.is_none()
        && change.exceptions.is_none();
    if changes == nothing {
        let expected = if changes {
            "expected what is to hold otherwise; to rely on the row as it is, name it in `trusted`"
        } else {
            "expected no change of the row here; to change it, name it in `overrides`"
        };
        problems.at(place, expected);
    }
}

/// Who signed, and when; what is missing is a problem.
fn signature(place: &str, entry: &Signed, problems: &mut Problems) -> String {
    for (key, text, expected) in [
        ("approved_by", &entry.approved_by, "expected the name of the person who approved this"),
        ("reason", &entry.reason, "expected why"),
    ] {
        if text.trim().is_empty() {
            problems.at(format!("{place}/{key}"), expected);
        }
    }
    let Some(date) = entry.approved_on else {
        problems
            .at(format!("{place}/approved_on"), "expected the date of the approval, such as `2026-11-21`");
        return String::new();
    };
    format!("approved by {} on {date}", entry.approved_by)
}

fn known<'a>(
    place: &str,
    key: &str,
    word: &str,
    words: impl Iterator<Item = &'a str> + Clone,
    problems: &mut Problems,
) {
    if words.clone().any(|known| known == word) {
        return;
    }
    let place = if key.is_empty() { place.to_owned() } else { format!("{place}/{key}") };
    // The nearest is the one that shares the longest beginning: enough for misspelt ids.
    let shared = |known: &str| known.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
    let nearest = words.max_by_key(|known| shared(known)).unwrap_or_default();
    problems.at(place, format!("`{word}` is not known: did you mean `{nearest}`?"));
}

fn rule_ids() -> impl Iterator<Item = &'static str> + Clone {
    sensitive::RULES.iter().map(|rule| rule.id)
}
