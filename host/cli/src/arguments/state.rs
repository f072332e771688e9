//! `assent entity`, `approval`, `break-glass`, `disclosure`, `hold`, `consent` and `lapse` as they are typed:
//! which service is asked as whom, and what is done with entities.

mod workflows;

use std::io::Write;
use std::path::PathBuf;

use assent_cli::commands::state::entity::{self, Changes, Insist};
use assent_cli::commands::state::import::{BATCH_MAX, Import, import};
use assent_cli::commands::state::{Listing, Session, Settings};
use clap::{Args, Subcommand};

use workflows::{Approval, BreakGlass, Consent, Disclosure, Hold, Lapse};

/// Where the service is, and who asks it.
#[derive(Args)]
#[command(next_help_heading = "The service")]
pub(crate) struct Connection {
    /// Where the service is.
    #[arg(long, global = true, env = "ASSENT_URL", default_value = "http://127.0.0.1:8180")]
    url: String,
    /// The organization.
    #[arg(long, short, global = true, env = "ASSENT_ORGANIZATION", value_name = "ID")]
    organization: Option<String>,
    /// Where the caller's key is: `file:PATH`, readable by its owner alone, or `env:NAME`; never the key.
    #[arg(long, global = true, default_value = "env:ASSENT_KEY", value_name = "REFERENCE")]
    key: String,
    /// For whom the caller acts, such as `Practitioner/dr-lee`.
    #[arg(long, global = true, env = "ASSENT_PERSON", value_name = "TYPE/ID")]
    person: Option<String>,
    /// Certificates in PEM that vouch for the service; left out: those that the system trusts.
    #[arg(long, global = true, value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// Print the service's answer as it is.
    #[arg(long, global = true)]
    json: bool,
}

/// What should be a reference to the key may be the key.
impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.url)
    }
}

impl From<Connection> for Settings {
    fn from(connection: Connection) -> Self {
        let Connection { url, organization, key, person, authorities, json } = connection;
        Self { url, organization, key, person, authorities, json }
    }
}

/// Which part of a list.
#[derive(Debug, Args)]
pub(crate) struct Part {
    /// How many at most, 1 to 500.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Begin after this one.
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

impl From<Part> for Listing {
    fn from(Part { limit, after, all }: Part) -> Self {
        Self { limit, after, all, filters: vec![] }
    }
}

/// What is done with the state of a running service.
#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// People, relations, records: the facts that a running service decides on.
    Entity {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: Entity,
    },
    /// Approvals, such as of an export: ask for one, answer, take it back.
    Approval {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: Approval,
    },
    /// Emergencies: declare one, end it, review it.
    BreakGlass {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: BreakGlass,
    },
    /// Decisions of clinicians what is disclosed to a patient's family.
    Disclosure {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: Disclosure,
    },
    /// Holds: everything about something is denied until two people release it.
    Hold {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: Hold,
    },
    /// Patients' consents, as FHIR has them.
    Consent {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: Consent,
    },
    /// What ends soon: relations, consents, decisions.
    Lapse {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: Lapse,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Entity {
    /// Print an entity.
    Get {
        /// Such as `Patient/jun-park`.
        #[arg(value_name = "TYPE/ID")]
        entity: String,
    },
    /// Print the entities of a type; those of version 0 are as the release's files have them.
    List {
        /// Such as `Patient`.
        #[arg(value_name = "TYPE")]
        kind: String,
        #[command(flatten)]
        part: Part,
    },
    /// Make an entity what a file says.
    Put {
        /// One entity in Cedar's JSON; `-`: standard input.
        file: PathBuf,
        #[command(flatten)]
        version: Version,
        /// Only if there is none yet.
        #[arg(long, conflicts_with = "if_version")]
        new: bool,
    },
    /// Change attributes of an entity, and leave the others.
    Set {
        /// Such as `Patient/jun-park`.
        #[arg(value_name = "TYPE/ID")]
        entity: String,
        /// `name=TEXT` sets text, `name:=JSON` anything else, such as `active:=true`.
        #[arg(value_name = "NAME=TEXT|NAME:=JSON")]
        set: Vec<String>,
        /// Remove an attribute. Repeatable.
        #[arg(long, value_name = "NAME")]
        unset: Vec<String>,
        /// A parent, such as `Role/nurse`, instead of all that it has. Repeatable.
        #[arg(long, value_name = "TYPE/ID")]
        parent: Vec<String>,
        /// An attribute that is still so, where the schema asks for fresh facts. Repeatable.
        #[arg(long, value_name = "NAME")]
        confirm: Vec<String>,
        /// When what you say was so, such as `2026-11-20T08:00:00Z`, if earlier than now.
        #[arg(long, value_name = "MOMENT")]
        as_of: Option<String>,
        #[command(flatten)]
        version: Version,
    },
    /// Remove an entity; one that the release's files have is what they say again.
    Delete {
        /// Such as `Patient/jun-park`.
        #[arg(value_name = "TYPE/ID")]
        entity: String,
        #[command(flatten)]
        version: Version,
    },
    /// Make many entities what files say: lists as entity files are, or one entity a line (NDJSON).
    Import {
        /// The files, in any order.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Entities of one change.
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=i64::from(BATCH_MAX)))]
        batch: u32,
        /// Go on at the place that an import said which was not finished.
        #[arg(long, value_name = "PLACE")]
        resume: Option<String>,
        /// Make changes again that the same import made in the last day.
        #[arg(long)]
        again: bool,
    },
}

/// On which version a change insists.
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Only if this is the version that `get` shows.
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,
}

impl Version {
    fn insist(&self) -> Insist {
        self.if_version.map_or(Insist::No, Insist::Version)
    }
}

impl State {
    pub(crate) fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Self::Entity { connection, command } => command.run(&open(connection)?, out),
            Self::Approval { connection, command } => command.run(&open(connection)?, out),
            Self::BreakGlass { connection, command } => command.run(&open(connection)?, out),
            Self::Disclosure { connection, command } => command.run(&open(connection)?, out),
            Self::Hold { connection, command } => command.run(&open(connection)?, out),
            Self::Consent { connection, command } => command.run(&open(connection)?, out),
            Self::Lapse { connection, command } => command.run(&open(connection)?, out),
        }
    }
}

fn open(connection: Connection) -> anyhow::Result<Session> {
    Session::open(&connection.into())
}

impl Entity {
    fn run(self, session: &Session, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Self::Get { entity } => entity::get(session, &entity, out),
            Self::List { kind, part } => entity::list(session, &kind, &part.into(), out),
            Self::Put { file, version, new } => {
                let insist = if new { Insist::New } else { version.insist() };
                entity::put(session, &file, insist, out)
            }
            Self::Set { entity, set, unset, parent, confirm, as_of, version } => {
                let (insist, as_of) = (version.insist(), as_of.as_deref());
                let (parents, confirmed) = (&parent, &confirm);
                let changes = Changes { set: &set, unset: &unset, parents, confirmed, as_of, insist };
                entity::set(session, &entity, &changes, out)
            }
            Self::Delete { entity, version } => entity::delete(session, &entity, version.insist(), out),
            Self::Import { files, batch, resume, again } => {
                let what = Import { files: &files, batch, resume: resume.as_deref(), again };
                import(session, &what, out)
            }
        }
    }
}
