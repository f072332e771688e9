//! The words of findings: sentences, grounds, codes.
//!
//! Sentences say what is missing, never what the record holds: a denial may be shown to anybody.

use assent_law::sensitive::{Default as Rule, Ground as Why};
use assent_plugin_sdk::prelude::*;

use crate::judge::Ask;
use crate::table::Row;

/// Of a record that nobody labelled.
pub(crate) const UNLABELLED: &str = "nobody has said yet how sensitive this record is";

/// The sentence of a denial.
pub(crate) const fn message(default: Rule) -> &'static str {
    match default {
        Rule::Deny | Rule::DenyExchange | Rule::DenyOutOfState | Rule::DenyOutsideTpo => {
            "a written consent of the required form is not on file"
        }
        Rule::DenyAlsoToPatient => "these notes need an authorization of their own",
        Rule::DenyAlways => "the law does not allow this use",
        Rule::DenyOutOfStateProcess => "the law does not allow this release to another state's process",
        Rule::DenyToPlan => "the patient asked for this to be kept from the health plan",
        Rule::DenyWithoutRelationship => "there is no treatment relationship on record",
        Rule::DenyStorageAbroad
        | Rule::MayRefuseRepresentative
        | Rule::NotInForce
        | Rule::PermitRelevantPart
        | Rule::RouteCommunications => "this needs a person's decision",
    }
}

/// What a person is asked.
pub(crate) fn question(row: &Row, ask: Ask) -> String {
    let (id, title) = (row.law.id, row.law.title);
    match ask {
        Ask::Unsettled => format!("the row `{id}` ({title}) is not settled law here: may this be released?"),
        Ask::Exception(exception) => {
            format!(
                "without consent, `{id}` ({title}) allows this only for {}: does that apply?",
                exception.words
            )
        }
        Ask::Professional => format!("`{id}` ({title}): should this person be refused as representative?"),
        Ask::StorageAbroad => {
            format!("`{id}` ({title}): would this keep the record outside the United States?")
        }
    }
}

/// The ground as the contract names it.
pub(crate) const fn ground(why: Why) -> Ground {
    match why {
        Why::Destination => Ground::Destination,
        Why::Endangerment => Ground::Endangerment,
        Why::IndividualRequest => Ground::IndividualRequest,
        Why::LawProhibits => Ground::LawProhibits,
        Why::NoConsent => Ground::NoConsent,
        Why::NoRelationship => Ground::NoRelationship,
        Why::Part2 => Ground::Part2,
        Why::PsychotherapyNotes => Ground::PsychotherapyNotes,
        Why::Purpose => Ground::Purpose,
    }
}

/// The obligation as the contract names it.
pub(crate) fn obligation(code: &str) -> ObligationCode {
    match code {
        "account-disclosure" => ObligationCode::AccountDisclosure,
        "attach-consent" => ObligationCode::AttachConsent,
        "audit" => ObligationCode::Audit,
        "human-review" => ObligationCode::HumanReview,
        "minimum-necessary" => ObligationCode::MinimumNecessary,
        "notify" => ObligationCode::Notify,
        "notify-without-phi" => ObligationCode::NotifyWithoutPhi,
        "redisclosure-notice" => ObligationCode::RedisclosureNotice,
        "segregate" => ObligationCode::Segregate,
        "suppress-billing-detail" => ObligationCode::SuppressBillingDetail,
        own => ObligationCode::Custom(own.to_owned()),
    }
}
