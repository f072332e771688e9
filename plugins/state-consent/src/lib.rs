//! What federal and state law ask for before sensitive records are used or released.
//!
//! For every request by anybody but the patient: which rows of the table of sensitive categories are
//! about it, does an exception or a consent on file satisfy each of them, and if not, what is denied,
//! left out of a list, or put before a person. Codes of findings are ids of rows.
//! INVARIANT (unsettled never decides): a row that is low in confidence or under review withholds its
//! category and asks a person; it neither releases nor denies.
//! INVARIANT (most protective): the law of the state of service and of the state of residence both
//! count, and federal law with them; one row that withholds is enough.

pub mod consent;
pub mod exception;
pub mod facts;
pub mod judge;
pub mod minors;
pub mod question;
pub mod record;
pub mod report;
pub mod settings;
pub mod table;

use assent_plugin_sdk::prelude::*;

use crate::facts::Facts;
use crate::question::Question;
use crate::report::Report;
use crate::settings::Settings;
use crate::table::Table;

/// The configured rule.
#[derive(Debug)]
pub struct StateConsent {
    table: Table,
}

impl Rule for StateConsent {
    const NAME: &'static str = "state-consent";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "asks for the consent that federal and state law require before sensitive records are released";
    type Settings = Settings;
    type Facts = Facts;

    fn configure(settings: Settings) -> Result<Self, Problems> {
        Table::new(settings).map(|table| Self { table })
    }

    fn evaluate(&self, request: &Request, facts: &Facts) -> Result<Findings, Stop> {
        let mut report = Report::new(&self.table);
        if facts.deidentified == Some(true) {
            report.deidentified();
        } else if let Some(question) = Question::of(&self.table, request, facts) {
            for row in self.table.rows() {
                report.row(&question, row, judge::judge(row, &question));
            }
            report.unknown(&question);
            for doubt in minors::doubts(&question) {
                report.doubt(&question, &doubt);
            }
            report.conflict_of_states(&question);
            report.part2_above_state(&question);
        }
        Ok(report.finish())
    }
}

assent_plugin_sdk::plugin!(StateConsent);
