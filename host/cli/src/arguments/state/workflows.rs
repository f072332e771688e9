//! The workflows as they are typed: for each step a row of the request that it is.

use std::io::Write;
use std::path::PathBuf;

use assent_cli::commands::state::workflow::{
    APPROVALS, CONSENTS, DISCLOSURES, EMERGENCIES, HOLDS, LAPSES, Row, list, put_consent, show, step,
};
use assent_cli::commands::state::{Listing, Session};
use assent_outbound::service::Method::Post;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::Part;

/// Which part of a list of a workflow.
#[derive(Debug, Args)]
pub(crate) struct WithStatus {
    /// Only those that stand so.
    #[arg(long)]
    status: Option<String>,
    #[command(flatten)]
    part: Part,
}

impl From<WithStatus> for Listing {
    fn from(WithStatus { status, part }: WithStatus) -> Self {
        Self { filters: status.map(|status| ("status", status)).into_iter().collect(), ..part.into() }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Approval {
    /// Print approvals.
    List(WithStatus),
    /// Print one.
    Show { id: String },
    /// Ask for one.
    Request {
        /// What for, as the organization's rules name it, such as `export`.
        #[arg(long)]
        kind: String,
        /// The data that it is for.
        #[arg(long)]
        data_set: String,
        /// The action; left out: any.
        #[arg(long)]
        action: Option<String>,
        /// The purpose of use; left out: any.
        #[arg(long)]
        purpose: Option<String>,
        /// Records at most; left out: any number, which asks for those who approve most.
        #[arg(long)]
        records: Option<u64>,
        /// Why, for those who answer.
        #[arg(long, value_name = "TEXT")]
        justification: String,
    },
    /// Approve.
    Approve {
        id: String,
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
    /// Refuse.
    Refuse {
        id: String,
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
    /// Take back what you asked for.
    Withdraw { id: String },
    /// Take back what was approved.
    Revoke {
        id: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        comment: String,
    },
}

/// What a review found.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Outcome {
    Justified,
    Unjustified,
    Unclear,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BreakGlass {
    /// Print emergencies.
    List(WithStatus),
    /// Print one.
    Show { id: String },
    /// Declare an emergency of a patient.
    Declare {
        /// Such as `Patient/jun-park`.
        #[arg(long, value_name = "TYPE/ID", value_parser = named)]
        patient: Value,
        /// The reason, as the organization's rules name it.
        #[arg(long, value_name = "CODE")]
        reason: String,
        /// Why, for those who review it.
        #[arg(long, value_name = "TEXT")]
        justification: String,
    },
    /// End it before its time.
    End { id: String },
    /// Say what a review found.
    Review {
        id: String,
        #[arg(long)]
        outcome: Outcome,
        /// What was found; needed unless it was justified.
        #[arg(
            long,
            value_name = "TEXT",
            required_if_eq_any([("outcome", "unjustified"), ("outcome", "unclear")])
        )]
        comment: Option<String>,
    },
}

/// Whether it is disclosed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Disclosed {
    Disclose,
    Withhold,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Disclosure {
    /// Print decisions.
    List(WithStatus),
    /// Print one.
    Show { id: String },
    /// Decide.
    Make {
        /// Such as `Patient/jun-park`.
        #[arg(long, value_name = "TYPE/ID", value_parser = named)]
        patient: Value,
        /// Of which data.
        #[arg(long)]
        category: String,
        /// What is decided.
        #[arg(long)]
        disclosure: Disclosed,
        /// The clinician's licence.
        #[arg(long)]
        licence: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Of which service; left out: all.
        #[arg(long)]
        service: Option<String>,
        /// To whom, such as `RelatedPerson/grace-park`; left out: everybody.
        #[arg(long, value_name = "TYPE/ID", value_parser = named)]
        recipient: Option<Value>,
        /// Until when; left out: until it is withdrawn, or, where it discloses, as long as the organization lets it last.
        #[arg(long, value_name = "INSTANT")]
        expires: Option<assent_model::Instant>,
    },
    /// Take it back.
    Withdraw { id: String },
}

/// What is held.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Target {
    /// Everything about an entity, such as `Patient/jun-park`.
    #[arg(long, value_name = "TYPE/ID", value_parser = named)]
    entity: Option<Value>,
    /// Everything that a caller asks.
    #[arg(long, value_name = "ID")]
    caller: Option<String>,
    /// Everything that a plugin is asked about.
    #[arg(long, value_name = "BINDING")]
    plugin: Option<String>,
    /// Everything.
    #[arg(long)]
    organization_whole: bool,
}

impl Target {
    fn json(self) -> Value {
        match self {
            Self { entity: Some(entity), .. } => json!({ "entity": entity }),
            Self { caller: Some(caller), .. } => json!({ "caller": caller }),
            Self { plugin: Some(plugin), .. } => json!({ "plugin": plugin }),
            // Nothing else is left: one of them must be there.
            Self { .. } => json!("organization"),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Print holds.
    List(WithStatus),
    /// Print one.
    Show { id: String },
    /// Hold something.
    Place {
        #[command(flatten)]
        target: Target,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Propose that it be released; somebody else must confirm that.
    ProposeRelease {
        id: String,
        /// Why it can be released, for whoever confirms it.
        #[arg(long, value_name = "TEXT")]
        comment: String,
    },
    /// Release what somebody else proposed to release.
    ConfirmRelease { id: String },
    /// Take the proposal back.
    TakeBack { id: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Consent {
    /// Print consents.
    List(WithStatus),
    /// Print one.
    Show { id: String },
    /// Give a consent, or another text of it.
    Put {
        id: String,
        /// A FHIR Consent in JSON.
        file: PathBuf,
    },
    /// Revoke it.
    Revoke {
        id: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Lapse {
    /// Print what ends soon.
    List {
        /// Within this time, as ISO 8601 has it, such as `P30D`.
        #[arg(long, value_name = "DURATION")]
        within: Option<String>,
    },
}

/// An entity as JSON names it.
fn named(text: &str) -> Result<Value, &'static str> {
    match text.split_once('/') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok(json!({ "type": kind, "id": id })),
        _ => Err("expected an entity as TYPE/ID, such as `Patient/jun-park`"),
    }
}

/// A body of these members, without those that were left out.
fn body<const N: usize>(members: [(&str, Value); N]) -> Value {
    let there = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(there.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// A word as it is typed and sent.
fn word(value: impl ValueEnum) -> Value {
    value.to_possible_value().map(|value| json!(value.get_name())).unwrap_or_default()
}

impl Approval {
    pub(super) fn run(self, session: &Session, out: &mut dyn Write) -> anyhow::Result<()> {
        let of = APPROVALS;
        match self {
            Self::List(which) => list(session, of, &which.into(), out),
            Self::Show { id } => show(session, of, &id, out),
            Self::Request { kind, data_set, action, purpose, records, justification } => {
                let asked = body([
                    ("kind", json!(kind)),
                    ("action", json!(action)),
                    ("purpose", json!(purpose)),
                    ("dataSet", json!(data_set)),
                    ("records", json!(records)),
                    ("justification", json!(justification)),
                ]);
                step(session, of, (Post, &[], asked), out)
            }
            Self::Approve { id, comment } => step(session, of, answer(&[&id, "answer"], true, comment), out),
            Self::Refuse { id, comment } => step(session, of, answer(&[&id, "answer"], false, comment), out),
            Self::Withdraw { id } => step(session, of, (Post, &[&id, "withdraw"], json!({})), out),
            Self::Revoke { id, comment } => {
                step(session, of, (Post, &[&id, "revoke"], json!({ "comment": comment })), out)
            }
        }
    }
}

fn answer<'a>(below: &'a [&'a str], approves: bool, comment: Option<String>) -> Row<'a> {
    (Post, below, body([("approves", json!(approves)), ("comment", json!(comment))]))
}

impl BreakGlass {
    pub(super) fn run(self, session: &Session, out: &mut dyn Write) -> anyhow::Result<()> {
        let of = EMERGENCIES;
        match self {
            Self::List(which) => list(session, of, &which.into(), out),
            Self::Show { id } => show(session, of, &id, out),
            Self::Declare { patient, reason, justification } => {
                let declared =
                    json!({ "patient": patient, "reason": reason, "justification": justification });
                step(session, of, (Post, &[], declared), out)
            }
            Self::End { id } => step(session, of, (Post, &[&id, "end"], json!({})), out),
            Self::Review { id, outcome, comment } => {
                let found = body([("outcome", word(outcome)), ("comment", json!(comment))]);
                step(session, of, (Post, &[&id, "review"], found), out)
            }
        }
    }
}

impl Disclosure {
    pub(super) fn run(self, session: &Session, out: &mut dyn Write) -> anyhow::Result<()> {
        let of = DISCLOSURES;
        match self {
            Self::List(which) => list(session, of, &which.into(), out),
            Self::Show { id } => show(session, of, &id, out),
            Self::Make { patient, category, disclosure, licence, reason, service, recipient, expires } => {
                let decided = body([
                    ("patient", patient),
                    ("category", json!(category)),
                    ("service", json!(service)),
                    ("recipient", json!(recipient)),
                    ("disclosure", word(disclosure)),
                    ("licence", json!(licence)),
                    ("reason", json!(reason)),
                    ("expiresAt", json!(expires)),
                ]);
                step(session, of, (Post, &[], decided), out)
            }
            Self::Withdraw { id } => step(session, of, (Post, &[&id, "withdraw"], json!({})), out),
        }
    }
}

impl Hold {
    pub(super) fn run(self, session: &Session, out: &mut dyn Write) -> anyhow::Result<()> {
        let of = HOLDS;
        match self {
            Self::List(which) => list(session, of, &which.into(), out),
            Self::Show { id } => show(session, of, &id, out),
            Self::Place { target, reason } => {
                step(session, of, (Post, &[], json!({ "target": target.json(), "reason": reason })), out)
            }
            Self::ProposeRelease { id, comment } => {
                step(session, of, (Post, &[&id, "propose-release"], json!({ "comment": comment })), out)
            }
            Self::ConfirmRelease { id } => {
                step(session, of, (Post, &[&id, "confirm-release"], json!({})), out)
            }
            Self::TakeBack { id } => step(session, of, (Post, &[&id, "take-back"], json!({})), out),
        }
    }
}

impl Consent {
    pub(super) fn run(self, session: &Session, out: &mut dyn Write) -> anyhow::Result<()> {
        let of = CONSENTS;
        match self {
            Self::List(which) => list(session, of, &which.into(), out),
            Self::Show { id } => show(session, of, &id, out),
            Self::Put { id, file } => put_consent(session, &id, &file, out),
            Self::Revoke { id, reason } => {
                step(session, of, (Post, &[&id, "revoke"], json!({ "reason": reason })), out)
            }
        }
    }
}

impl Lapse {
    pub(super) fn run(self, session: &Session, out: &mut dyn Write) -> anyhow::Result<()> {
        let Self::List { within } = self;
        let filters = within.map(|within| ("within", within)).into_iter().collect();
        list(session, LAPSES, &Listing { filters, ..Listing::default() }, out)
    }
}
