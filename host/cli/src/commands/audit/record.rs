//! How a command gets a record into the log, beside a running service or without one.
//!
//! INVARIANT (record before act): a command calls [`record`] first, and shows or does what the record
//! announces only after it returned well; [`note_reading`] is that for what is read.

use anyhow::{Context, ensure};
use assent_audit::inbox::{DELIVERY_DEADLINE, Inbox};
use assent_audit::log::is_being_written;
use assent_audit::logs::LogsConfig;
use assent_audit::record::{Actor, AuditRead, AuditUse, Event};
use assent_model::{EntityId, OrganizationId};
use assent_server::{Clock, SystemClock};

use super::{Opened, wait_for};

/// What the kernel says where a process belongs to no login.
const NO_LOGIN: &str = "4294967295";
/// No name is longer; and records are of bounded size.
const NAME_CHARS_MAX: usize = 200;

/// Who does something, and why, as typed.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// A person's name or id: a claim.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
}

impl Said<'_> {
    /// The reason.
    ///
    /// # Errors
    /// When none is given: whoever reads the record years later has nothing else.
    pub fn because(&self) -> anyhow::Result<String> {
        ensure!(
            !self.reason.trim().is_empty(),
            "`--reason`: expected why, for whoever reads this years later"
        );
        Ok(self.reason.to_owned())
    }
}

/// Records an event; returns once it is durable in the organization's log.
///
/// # Errors
/// When it is not known to be: what it announces must then not happen.
pub fn record(config: &LogsConfig, organization: &OrganizationId, event: &Event) -> anyhow::Result<()> {
    let inbox = Inbox::new(config.clone(), organization.clone());
    let delivered = wait_for(inbox.deliver(event, SystemClock.now(), DELIVERY_DEADLINE))?;
    delivered.context("this is not in the audit log")
}

/// Who types a command: the name that is given, which is a claim, and the account, which the kernel knows. Its
/// login stays the same through `sudo` and `su`, where the system keeps it (`/proc/self/loginuid`).
///
/// # Errors
/// When no name is given.
pub fn actor(by: &str) -> anyhow::Result<Actor> {
    let name = by.trim();
    ensure!(
        !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX,
        "`--by`: expected a person's name or id"
    );
    let (entity, caller) = (EntityId::new("Person", name), Some("cli".to_owned()));
    Ok(Actor { entity, caller, address: None, account: Some(account()) })
}

/// Records that somebody reads the log, before anything of it is shown, where a service writes it. Where none
/// does, nobody could record it: what is read may be a copy, which a record would make another log.
///
/// # Errors
/// When a service writes the log and the record is not known to be durable.
pub(super) fn note_reading(
    opened: &Opened,
    what: AuditUse,
    patient: Option<&EntityId>,
    query: serde_json::Value,
    records: usize,
) -> anyhow::Result<()> {
    let (config, organization) = (opened.shelf.config(), opened.shelf.organization());
    let years = config.years(organization).context("the logs cannot be listed")?;
    let mut is_written = false;
    for year in years {
        is_written |= is_being_written(&config.directory_of(organization, year))?;
    }
    if !is_written {
        return Ok(());
    }
    let account = account();
    let by = Actor {
        entity: EntityId::new("Account", account.as_str()),
        caller: Some("cli".to_owned()),
        address: None,
        account: Some(account),
    };
    let (patient, records) = (patient.cloned(), u64::try_from(records).unwrap_or(u64::MAX));
    let read = AuditRead { by, what, patient, query: Some(query), records, destination: None };
    record(config, organization, &Event::AuditRead(read))
}

/// The operating system's account behind this process.
fn account() -> String {
    let mut account = format!("uid {}", rustix::process::getuid().as_raw());
    // Systems without it have no logins to tell of.
    if let Ok(login) = std::fs::read_to_string("/proc/self/loginuid")
        && login.trim() != NO_LOGIN
    {
        account = format!("{account}, login {}", login.trim());
    }
    account
}

/// A short id that nobody has yet, for a person to type.
pub(in crate::commands) fn new_id() -> anyhow::Result<String> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(hex::encode(random))
}
