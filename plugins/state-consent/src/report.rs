//! From judgements to findings: denials and questions for items, what to leave out of lists, and what
//! must be done with a release.
//!
//! INVARIANT (absent looks like forbidden): a denial that rests on what a record shows of itself, or
//! that a patient portal would show, looks like an absent record to the person asking.

mod words;

use assent_law::sensitive::{
    self, Default as Rule, Evidence, Ground as Why, LIMITED, Limited, MarkedBy, When,
};
use assent_plugin_sdk::prelude::*;

use crate::judge::{Ask, Judgement, Release};
use crate::minors::Doubt;
use crate::question::{Party, Question};
use crate::record::{PART2, Reach};
use crate::table::{Row, Table};

/// The code of the denial of a record that nobody labelled.
pub const UNLABELLED: &str = "unlabelled";
/// Emergency treatment, with the record that 42 CFR 2.51(c) asks for.
const EMERGENCY_RECORD: &str =
    "recipient and affiliation, who disclosed, date and time, nature of the emergency";

/// The category of care of Part 2 records.
const PART2_CATEGORY: &str = "part2_sud_program";

/// Findings as they come together.
#[derive(Debug)]
pub struct Report<'t> {
    table: &'t Table,
    findings: Findings,
    /// What a list must leave out.
    labels: Vec<&'static str>,
    categories: Vec<&'static str>,
    rules: Vec<String>,
    unlabelled: bool,
    /// Rules of a list that a person must decide on.
    asked: Vec<String>,
    /// Jurisdictions of the rows that withhold.
    withholding: Vec<&'static str>,
    /// The rows of Part 2 that withhold.
    part2: bool,
}

impl<'t> Report<'t> {
    /// Nothing found yet.
    pub fn new(table: &'t Table) -> Self {
        Self {
            table,
            findings: Findings::default(),
            labels: Vec::new(),
            categories: Vec::new(),
            rules: Vec::new(),
            unlabelled: false,
            asked: Vec::new(),
            withholding: Vec::new(),
            part2: false,
        }
    }

    /// Adds what a row made of the request.
    pub fn row(&mut self, question: &Question<'_>, row: &Row, judgement: Judgement<'_>) {
        match judgement {
            Judgement::NotConcerned | Judgement::Withheld(Reach::None) | Judgement::Asks(Reach::None, _) => {
                return;
            }
            Judgement::Released(_, release) => self.release(question, row, release),
            Judgement::Withheld(Reach::Part) => self.redact(row),
            Judgement::Withheld(Reach::Whole) => self.deny(question, row),
            Judgement::Asks(Reach::Part, _) => {
                self.redact(row);
                self.asked.push(row.law.id.to_owned());
            }
            Judgement::Asks(Reach::Whole, ask) => self.ask(row, ask),
        }
        if let Some(signed) = &row.signed {
            self.findings.note(format!("{}: {signed}", row.law.id));
        }
        if !matches!(judgement, Judgement::Released(..)) {
            self.withholding.push(row.law.jurisdiction);
            self.part2 |= row.law.ground == Why::Part2;
        }
    }

    /// Adds what a record of unknown content asks for.
    pub fn unknown(&mut self, question: &Question<'_>) {
        let treatment = question.purpose_in(&["TREAT"]) || question.emergency;
        let guarded = question.party == Party::Other && !question.ordinary_use && !treatment;
        if !guarded || !self.table.unlabelled_is_unknown {
            return;
        }
        if question.list {
            self.unlabelled = true;
        } else if question.record.unknown {
            let denial = self.findings.deny(UNLABELLED, Ground::FactMissing, words::UNLABELLED);
            denial.remedy(Remedy::SupplyFact("resource.labels".to_owned()));
            if question.portal() {
                denial.neutral();
            }
        }
    }

    /// Adds a row of minor consent that does not settle the matter.
    pub fn doubt(&mut self, question: &Question<'_>, doubt: &Doubt) {
        let code = doubt.row.id;
        if question.list {
            self.categories.push(doubt.row.category);
            self.rules.push(code.to_owned());
            self.asked.push(code.to_owned());
        } else {
            let ask = format!("{}: may this be disclosed to the representative?", doubt.why);
            self.findings
                .review(code, Ground::LawUnsettled, ask, self.table.queue.as_str())
                .cite(doubt.row.citation);
        }
    }

    /// Flags that the state of service and the state of residence differ in what they ask for.
    pub fn conflict_of_states(&mut self, question: &Question<'_>) {
        let (Some(residence), [service]) =
            (question.facts.residence.as_deref(), question.service_states.as_slice())
        else {
            return;
        };
        let (at_service, at_residence) =
            (self.withholding.contains(service), self.withholding.contains(&residence));
        if *service != residence && at_service != at_residence {
            let (stricter, other) = if at_service { (*service, residence) } else { (residence, *service) };
            self.findings.note(format!(
                "states differ: {stricter} withholds, {other} does not; the more protective holds unless a law of {other} requires the disclosure"
            ));
            let queue = self.table.queue.as_str();
            self.findings
                .advise(ObligationCode::HumanReview)
                .with("queue", queue)
                .with("reason", "states-differ");
        }
    }

    /// Says that Part 2 stands above a state that requires disclosure to the parent.
    pub fn part2_above_state(&mut self, question: &Question<'_>) {
        if !self.part2 || question.party != Party::Representative {
            return;
        }
        let required = |row: &&Limited| {
            row.requires_disclosure && row.category == "substance_use" && question.counts(row.state)
        };
        for row in LIMITED.iter().filter(required) {
            self.findings.note(format!(
                "42 CFR Part 2 stands above {}, which requires disclosure to the parent (42 CFR 2.20)",
                row.id
            ));
        }
    }

    /// The rule does not reach data without identifiers, but the data must then be so.
    pub fn deidentified(&mut self) {
        self.findings.oblige(ObligationCode::Deidentify);
    }

    /// The findings.
    pub fn finish(mut self) -> Findings {
        if !self.rules.is_empty() || self.unlabelled {
            let redact = self.findings.oblige(ObligationCode::Redact);
            redact
                .with("labels", set(&self.labels))
                .with("categories", set(&self.categories))
                .with("rules", self.rules.iter().cloned().collect::<Set<_>>());
            if self.unlabelled {
                redact.with(UNLABELLED, true);
            }
        }
        if !self.asked.is_empty() {
            let rules = self.asked.iter().cloned().collect::<Set<_>>();
            self.findings
                .oblige(ObligationCode::HumanReview)
                .with("queue", self.table.queue.as_str())
                .with("rules", rules);
        }
        let silent = self.findings.obligations.is_empty() && self.findings.allows();
        if !silent {
            self.findings.note(format!(
                "sensitive table {} sha256:{}",
                sensitive::VERSION,
                sensitive::DIGEST
            ));
        }
        self.findings
    }

    fn redact(&mut self, row: &Row) {
        self.rules.push(row.law.id.to_owned());
        if row.law.unless_not_part2 && self.table.part2_is_marked {
            self.labels.push(PART2);
            self.categories.push(PART2_CATEGORY);
        } else {
            // Whoever leaves out by label need not know what is part of what.
            let reached = |label: &&str| row.law.labels.iter().any(|of| sensitive::label_within(label, of));
            self.labels.extend(sensitive::LABELS.iter().map(|known| known.code).filter(reached));
            self.categories.extend(row.categories());
        }
    }

    fn deny(&mut self, question: &Question<'_>, row: &Row) {
        let category = category_of(row, question);
        let denial =
            self.findings.deny(row.law.id, words::ground(row.law.ground), words::message(row.default));
        denial.cite(row.law.citation);
        for form in &row.forms {
            let category = category.map(str::to_owned);
            denial.remedy(Remedy::Consent(ConsentRemedy { form: form.id.to_owned(), category }));
        }
        let opened_by_emergency = |exception: &&sensitive::Exception| {
            matches!(exception.evidence, Evidence::Emergency | Evidence::Treating)
        };
        if row.exceptions.iter().any(opened_by_emergency) && !question.portal() && question.inside {
            denial.remedy(Remedy::BreakGlass);
        }
        let listed = row.exceptions.iter().any(|e| e.evidence == Evidence::None && e.purposes.is_empty());
        let reviewed = row.law.obligations.iter().any(|obligation| obligation.code == "human-review");
        if listed || reviewed {
            denial.remedy(Remedy::HumanReview(self.table.queue.clone()));
        }
        // A row about every record says nothing of this one, to those who may know that it exists.
        if question.portal() || row.law.marked_by != MarkedBy::AnyRecord {
            denial.neutral();
        }
    }

    fn ask(&mut self, row: &Row, ask: Ask) {
        let question = words::question(row, ask);
        let ground = match ask {
            Ask::Unsettled => Ground::LawUnsettled,
            Ask::Professional => Ground::ProfessionalJudgement,
            Ask::Exception(_) | Ask::StorageAbroad => words::ground(row.law.ground),
        };
        self.findings.review(row.law.id, ground, question, self.table.queue.as_str()).cite(row.law.citation);
    }

    fn release(&mut self, question: &Question<'_>, row: &Row, release: Release<'_>) {
        // What a list may hold matters where it goes out; inside, only what it is known to hold.
        if question.list && question.inside && question.record.reach(row.law, false) == Reach::None {
            return;
        }
        for obligation in row.law.obligations {
            let due = match (obligation.when, release) {
                (When::Always, _) => true,
                (When::Consent, Release::Consent(_) | Release::MinorAgreed) => true,
                (When::Exception, Release::Exception(_)) => true,
                (When::Consent, Release::Rule | Release::Exception(_))
                | (When::Exception, Release::Rule | Release::Consent(_) | Release::MinorAgreed) => false,
            };
            // What is used by its own program is no disclosure to account for.
            let inside = question.inside && obligation.code == "account-disclosure";
            // Where the rule itself releases, the person it would ask has decided.
            let answered = matches!(release, Release::Rule) && obligation.code == "human-review";
            if due && !inside && !answered {
                let obliged = self.findings.oblige(words::obligation(obligation.code));
                obliged.with("rule", row.law.id);
                for (name, value) in obligation.parameters {
                    obliged.with(*name, *value);
                }
                if let (Release::Consent(consent), "attach-consent") = (release, obligation.code) {
                    obliged.with("consent", consent.id.as_str());
                }
                if question.list && row.default != Rule::RouteCommunications {
                    obliged
                        .with("labels", row.law.labels.iter().map(|l| (*l).to_owned()).collect::<Set<_>>());
                }
            }
        }
        if let Release::Exception(exception) = release
            && question.emergency
            && matches!(exception.evidence, Evidence::Emergency | Evidence::Treating)
        {
            self.emergency(row);
        }
    }

    fn emergency(&mut self, row: &Row) {
        let queue = self.table.queue.as_str();
        self.findings.oblige(ObligationCode::BreakGlassReview).with("rule", row.law.id).with("queue", queue);
        if row.law.ground == Why::Part2 {
            self.findings
                .oblige(ObligationCode::AccountDisclosure)
                .with("rule", row.law.id)
                .with("basis", "42 CFR 2.51(c)")
                .with("record", EMERGENCY_RECORD);
        }
    }
}

fn set(names: &[&str]) -> Set<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The category that a consent would have to name: the record's own, else the first of the row.
fn category_of<'a>(row: &Row, question: &Question<'a>) -> Option<&'a str> {
    let mut own = question.record.categories.iter().copied();
    let about = |category: &str| row.categories().any(|of| of == category);
    if row.law.marked_by == MarkedBy::AnyRecord {
        return None;
    }
    own.find(|category| about(category)).or_else(|| row.categories().next())
}
