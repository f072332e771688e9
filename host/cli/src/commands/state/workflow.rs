//! Approvals, emergencies, disclosure decisions, holds, consents, and what ends soon: each is a collection of the
//! service, read as a list or a document, and changed by a step that the service takes or refuses.

use std::io::Write;

use anyhow::anyhow;
use assent_outbound::service::{Answer, Ask, Method};
use serde_json::Value;

use super::show::said;
use super::{Listing, Session, as_it_is, json};
use crate::deployment::files;

/// A collection of documents: its name in paths, what one is called, and what a line of its table shows: a head, and
/// where that is found.
#[derive(Clone, Copy, Debug)]
pub struct Collection {
    name: &'static str,
    noun: &'static str,
    columns: &'static [(&'static str, &'static str)],
}

/// Approvals that people ask for, such as of an export.
pub const APPROVALS: Collection = Collection {
    name: "approvals",
    noun: "approval",
    columns: &[
        ("ID", "/id"),
        ("STATUS", "/status"),
        ("KIND", "/ask/kind"),
        ("DATA SET", "/ask/dataSet"),
        ("RECORDS", "/ask/maxRecords"),
        ("BY", "/ask/requester"),
        ("AT", "/requestedAt"),
        ("ENDS", "/expiresAt"),
    ],
};

/// Emergencies in which a patient's record is opened.
pub const EMERGENCIES: Collection = Collection {
    name: "emergencies",
    noun: "emergency",
    columns: &[
        ("ID", "/id"),
        ("STATUS", "/status"),
        ("REVIEW", "/reviewState"),
        ("DUE", "/reviewDue"),
        ("PATIENT", "/patient"),
        ("REASON", "/reason"),
        ("BY", "/practitioner"),
        ("AT", "/declaredAt"),
        ("ENDS", "/lastsUntil"),
    ],
};

/// Decisions of clinicians what a patient's family sees.
pub const DISCLOSURES: Collection = Collection {
    name: "disclosure-decisions",
    noun: "disclosure decision",
    columns: &[
        ("ID", "/id"),
        ("STATUS", "/status"),
        ("PATIENT", "/statement/patient"),
        ("CATEGORY", "/statement/category"),
        ("SERVICE", "/statement/service"),
        ("RECIPIENT", "/statement/recipient"),
        ("DISCLOSURE", "/statement/disclosure"),
        ("BY", "/statement/author"),
        ("AT", "/decidedAt"),
        ("ENDS", "/expiresAt"),
    ],
};

/// What denies until two people release it.
pub const HOLDS: Collection = Collection {
    name: "holds",
    noun: "hold",
    columns: &[
        ("ID", "/id"),
        ("STATUS", "/status"),
        ("ON", "/target"),
        ("REASON", "/reason"),
        ("BY", "/placedBy"),
        ("AT", "/placedAt"),
    ],
};

/// Patients' consents, as FHIR has them.
pub const CONSENTS: Collection = Collection {
    name: "consents",
    noun: "consent",
    columns: &[
        ("ID", "/id"),
        ("STATUS", "/status"),
        ("PATIENT", "/patient"),
        ("REVISION", "/revision"),
        ("BY", "/recordedBy"),
        ("AT", "/recordedAt"),
    ],
};

/// What ends soon.
pub const LAPSES: Collection = Collection {
    name: "lapses",
    noun: "lapse",
    columns: &[("ENDS", "/at"), ("WHAT", "/what"), ("OF", "/entity"), ("ATTRIBUTE", "/attribute")],
};

const NOTHING: &str = "nothing found";

/// Prints a list.
///
/// # Errors
/// When the service does not tell.
pub fn list(
    session: &Session,
    collection: Collection,
    listing: &Listing,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let heads: Vec<&str> = collection.columns.iter().map(|(head, _)| *head).collect();
    let row = |document: &Value| {
        let cells = collection.columns.iter().map(|(_, pointer)| document.pointer(pointer).map(said));
        cells.map(Option::unwrap_or_default).collect()
    };
    session.list(collection.name, listing, (&heads, &row, NOTHING), out)
}

/// Prints a document.
///
/// # Errors
/// When there is none, or the service does not tell.
pub fn show(session: &Session, collection: Collection, id: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let ask = Ask { path: session.path([collection.name, id]), ..Ask::default() };
    let missing = format!("there is no {} `{id}`", collection.noun);
    told(session, collection, Some(id), &session.ask(&ask, &missing)?, out)
}

/// A request that changes something: the method, the steps of the path below the collection, the body.
pub type Row<'a> = (Method, &'a [&'a str], Value);

/// Does what a row says, and prints what came of it.
///
/// # Errors
/// When the service refuses it.
pub fn step(
    session: &Session,
    collection: Collection,
    (method, below, body): Row<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let body = Some(body.to_string().into_bytes());
    send(session, collection, (method, below, body), out)
}

/// Puts a FHIR Consent from a file, byte by byte as it is there.
///
/// # Errors
/// When the file cannot be read, or the service refuses it.
pub fn put_consent(
    session: &Session,
    id: &str,
    file: &std::path::Path,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let body = files::read_bytes(file).map_err(|what| anyhow!("{} {what}", files::shown(file)))?;
    send(session, CONSENTS, (Method::Put, &[id], Some(body)), out)
}

fn send(
    session: &Session,
    collection: Collection,
    (method, below, body): (Method, &[&str], Option<Vec<u8>>),
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let path = session.path(std::iter::once(collection.name).chain(below.iter().copied()));
    let answer = session.ask(&Ask { method, path, body, ..Ask::default() }, "")?;
    told(session, collection, below.first().copied(), &answer, out)
}

fn told(
    session: &Session,
    collection: Collection,
    id: Option<&str>,
    answer: &Answer,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if session.json {
        return Ok(as_it_is(answer, out)?);
    }
    let mut document = json(answer)?;
    let made = document.get("id").and_then(Value::as_str).map(str::to_owned);
    let made = made.or_else(|| Some(answer.header("location")?.rsplit('/').next()?.to_owned()));
    let id = made.or_else(|| id.map(str::to_owned)).unwrap_or_default();
    let members = document.as_object_mut().ok_or_else(|| anyhow!("what was answered is no document"))?;
    members.remove("id");
    write!(out, "{}", session.look.page(&format!("{} {id}", collection.noun), members))?;
    Ok(())
}
