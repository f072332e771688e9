//! `assent audit …` as it is typed.

mod keeping;
pub(crate) mod release;
pub(crate) mod state;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use assent_audit::export::Format;
use assent_audit::index::{Order, Query, entity};
use assent_audit::record::Event;
use assent_audit::reports::Report;
use assent_audit::shelf::{Page, Place};
use assent_cli::commands::audit::records::{Asked, Form};
use assent_cli::commands::audit::replay::Wanted;
use assent_cli::commands::audit::{
    self, Which, export, exporters, records, replay, report, rewrap, search, verify, witness,
};
use assent_cli::{audit_keys, commands};
use assent_model::{Cause, Effect, EntityId, Instant};
use assent_server::{Clock, SystemClock};
use clap::{Args, Subcommand};

/// Which log of a deployment.
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// The deployment directory (holds `assent.toml`).
    dir: PathBuf,
    #[command(flatten)]
    of: Of,
}

/// Whose log, and of which year.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// The organization; may be left out where there is only one.
    #[arg(long, short)]
    organization: Option<String>,
    /// One year's log; left out: all years.
    #[arg(long)]
    year: Option<i32>,
}

impl Log {
    fn which(&self) -> Which<'_> {
        self.of.which()
    }
}

impl Of {
    fn which(&self) -> Which<'_> {
        Which { organization: self.organization.as_deref(), year: self.year }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Make the keys of a deployment's audit log, where it has none.
    Init {
        /// The deployment directory.
        dir: PathBuf,
        /// Make a sealing key that is to be in a PKCS#11 token there, instead of telling how.
        #[arg(long)]
        make_token_key: bool,
        /// The sealing key is lost for good; this age identity opens what it sealed, so make another.
        #[arg(long, value_name = "FILE")]
        recovery_identity: Option<PathBuf>,
    },
    /// Wrap all data keys anew with the sealing key that `assent.toml` names now. Exit code: 0 all, 1 not all.
    Rewrap {
        /// The deployment directory.
        dir: PathBuf,
        /// One organization's logs; left out: all that there are.
        #[arg(long, short)]
        organization: Option<String>,
        /// One year's logs; left out: all years.
        #[arg(long)]
        year: Option<i32>,
        /// Change nothing; tell whether anything still needs a former key. Exit code: 0 nothing, 1 something.
        #[arg(long, conflicts_with = "recovery_identity")]
        check: bool,
        /// An age identity that opens what the lost sealing key sealed.
        #[arg(long, value_name = "FILE")]
        recovery_identity: Option<PathBuf>,
    },
    /// Print the public keys that the logs are verified with, one a line.
    Keys {
        #[command(flatten)]
        log: Log,
    },
    /// Verify every byte from the first record to the signed checkpoint. Exit code: 0 whole, 1 not.
    Verify {
        /// The deployment directory; or `--log` and `--key`.
        #[arg(required_unless_present = "log")]
        dir: Option<PathBuf>,
        #[command(flatten)]
        of: Of,
        /// The directory of one log, to verify without the deployment.
        #[arg(long, requires = "key", conflicts_with_all = ["dir", "organization", "year"])]
        log: Option<PathBuf>,
        /// Its public key, as `assent audit keys` prints it.
        #[arg(long, requires = "log", conflicts_with = "dir")]
        key: Option<String>,
        /// A checkpoint that somebody kept elsewhere, cosigned or not: the log must continue it. Repeatable.
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
        /// The key of a witness: it must have cosigned a checkpoint that the log continues. Repeatable.
        #[arg(long, value_name = "VKEY")]
        witness: Vec<String>,
    },
    /// Show the logs to the witnesses of `assent.toml`, once. Exit code: 0 all cosigned, 1 not.
    Witness {
        #[command(flatten)]
        log: Log,
    },
    /// Find records.
    Search {
        #[command(flatten)]
        log: Log,
        #[command(flatten)]
        query: Box<Find>,
        /// The oldest record first, instead of the newest.
        #[arg(long)]
        oldest_first: bool,
        /// Go on after this place, such as `2026-17`.
        #[arg(long, value_name = "PLACE")]
        after: Option<Place>,
        /// How many records at most.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Print whole records as JSON, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Print one record, with everything it says.
    Show {
        #[command(flatten)]
        log: Log,
        /// The decision's id, as in the header X-Decision-ID; or a place, such as `2026-17`.
        #[arg(long, value_name = "ID")]
        id: String,
        /// Print the record as it is in the log, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// The accounting of disclosures of a patient (45 CFR 164.528; 42 CFR 2.25).
    Disclosures {
        #[command(flatten)]
        log: Log,
        /// The patient, such as `Patient::jun-park`.
        #[arg(long, value_parser = entity)]
        patient: EntityId,
        /// From this moment on; left out: six years back.
        #[arg(long, value_name = "INSTANT")]
        from: Option<Instant>,
        /// The moment of the patient's request; left out: now.
        #[arg(long, value_name = "INSTANT")]
        now: Option<Instant>,
        /// The time zone of the dates.
        #[arg(long, default_value = "UTC")]
        time_zone: String,
        /// Also disclosures that the law does not require to be listed, with the reason.
        #[arg(long)]
        all: bool,
        /// How it is written.
        #[arg(long, value_enum, default_value_t = Form::Text)]
        format: Form,
    },
    /// Write records in the format of another system.
    Export {
        #[command(flatten)]
        log: Log,
        /// `json-lines`, `ocsf`, `fhir` or `syslog`.
        #[arg(long, value_parser = str::parse::<Format>)]
        format: Format,
        /// A file that remembers how far the last export came; needs `--year`.
        #[arg(long, value_name = "FILE")]
        cursor: Option<PathBuf>,
    },
    /// How far each exporter of `[[audit.export]]` is: its next record, its lag, what its receiver refuses.
    Exporters {
        /// The deployment directory (holds `assent.toml`).
        dir: PathBuf,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make recorded decisions again from the log and compare byte for byte. Exit code: 0 all the same, 1 not.
    Replay {
        #[command(flatten)]
        log: Log,
        /// One decision, by its id or place; left out: all.
        #[arg(long)]
        id: Option<String>,
        /// From this moment on.
        #[arg(long, visible_alias = "since", value_name = "INSTANT")]
        from: Option<Instant>,
        /// Before this moment.
        #[arg(long, value_name = "INSTANT")]
        until: Option<Instant>,
        /// Print JSON, one object a line: each alarm, then the summary.
        #[arg(long)]
        json: bool,
    },
    /// Copy what is finished and not copied yet, and say what was done. Exit code: 0 all copied, 1 not.
    Copy {
        /// The deployment directory.
        dir: PathBuf,
        /// Read back what is there already, and compare every byte.
        #[arg(long)]
        compare: bool,
    },
    /// Which years have been kept for long enough; and let one go, by two persons.
    Expire(keeping::Expire),
    /// Give up versions of the state that no node can bring back after its database was put back, by two persons.
    GiveUp(keeping::GiveUp),
    /// Years that must stay, whatever their age.
    Hold {
        #[command(subcommand)]
        command: keeping::Hold,
    },
    /// A report for a review.
    Report {
        #[command(flatten)]
        log: Log,
        /// `break-glass`, `exports`, `without-relationship`, `accounts` or `denial-bursts`.
        #[arg(long, value_parser = str::parse::<Report>)]
        name: Report,
        /// The present moment; left out: now.
        #[arg(long, value_name = "INSTANT")]
        now: Option<Instant>,
    },
}

/// What to look for; all that is given must match.
#[derive(Debug, Args)]
pub(crate) struct Find {
    /// The patient concerned, such as `Patient::jun-park`.
    #[arg(long, value_parser = entity)]
    patient: Option<EntityId>,
    /// For whom it was asked, such as `RelatedPerson::grace-park`.
    #[arg(long, value_parser = entity)]
    subject: Option<EntityId>,
    /// The caller that asked.
    #[arg(long)]
    caller: Option<String>,
    /// The action, as policies name it.
    #[arg(long)]
    action: Option<String>,
    /// What was asked about, such as `Observation::jun-chlamydia`.
    #[arg(long, value_parser = entity)]
    resource: Option<EntityId>,
    /// `permit` or `deny`.
    #[arg(long, value_parser = word::<Effect>)]
    decision: Option<Effect>,
    /// `permit`, `forbidden`, `no_policy` or `indeterminate`.
    #[arg(long, value_parser = word::<Cause>)]
    cause: Option<Cause>,
    /// A policy that determined the decision, or failed.
    #[arg(long)]
    policy: Option<String>,
    /// A plugin that was asked: its binding, or its name.
    #[arg(long)]
    plugin: Option<String>,
    /// The kind of record.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Event::KINDS))]
    kind: Option<String>,
    /// A decision's id, or the caller's request id.
    #[arg(long)]
    id: Option<String>,
    /// From this moment on.
    #[arg(long, value_name = "INSTANT")]
    from: Option<Instant>,
    /// Before this moment.
    #[arg(long, value_name = "INSTANT")]
    until: Option<Instant>,
}

/// A word as records write it.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

impl From<Find> for Query {
    fn from(find: Find) -> Self {
        let Find {
            patient,
            subject,
            caller,
            action,
            resource,
            decision,
            cause,
            policy,
            plugin,
            kind,
            id,
            from,
            until,
        } = find;
        Self {
            patient,
            subject,
            caller,
            action,
            resource,
            effect: decision,
            cause,
            policy,
            plugin,
            kind,
            id,
            from,
            until,
        }
    }
}

pub(crate) fn audit(command: Audit, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let now = |given: Option<Instant>| given.unwrap_or_else(|| SystemClock.now());
    match command {
        Audit::Init { dir, make_token_key, recovery_identity } => {
            let init = audit_keys::Init { make_token_key, recovery_identity: recovery_identity.as_deref() };
            audit_keys::init(&commands::read(&dir)?, init, out)?;
        }
        Audit::Rewrap { dir, organization, year, check, recovery_identity } => {
            let which = Which { organization: organization.as_deref(), year };
            let all = if check {
                rewrap::check(&dir, &which, out)?
            } else {
                rewrap::rewrap(&dir, &which, recovery_identity.as_deref(), out)?
            };
            return Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Audit::Keys { log } => audit::keys(&log.dir, &log.which(), out)?,
        Audit::Verify { dir, of, log, key, checkpoint, witness } => {
            let against = verify::Against { checkpoints: checkpoint, witnesses: witness };
            let whole = match (dir, log, key) {
                (_, Some(log), Some(key)) => verify::directory(&log, &key, &against, out)?,
                (Some(dir), ..) => verify::deployment(&dir, &of.which(), &against, out)?,
                (None, ..) => anyhow::bail!("say what to verify: a deployment, or `--log` and `--key`"),
            };
            return Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Audit::Witness { log } => {
            let well = witness::witness(&log.dir, &log.which(), out)?;
            return Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Audit::Search { log, query, oldest_first, after, limit, json } => {
            let query = Query::from(*query);
            let order = if oldest_first { Order::OldestFirst } else { Order::NewestFirst };
            let page = Page { query: &query, order, after, limit };
            search::search(&log.dir, &log.which(), page, json, out)?;
        }
        Audit::Show { log, id, json } => records::show(&log.dir, &log.which(), &id, json, out)?,
        Audit::Disclosures { log, patient, from, now: at, time_zone, all, format } => {
            let asked = Asked { patient, from, now: now(at), time_zone: &time_zone, all, form: format };
            records::disclosures(&log.dir, &log.which(), asked, out)?;
        }
        Audit::Export { log, format, cursor } => {
            export::export(&log.dir, &log.which(), format, cursor.as_deref(), out)?;
        }
        Audit::Exporters { dir, json } => exporters::exporters(&dir, json, out)?,
        Audit::Replay { log, id, from, until, json } => {
            let wanted = Wanted { id: id.as_deref(), from, until, json };
            let same = replay::replay(&log.dir, &log.which(), &wanted, out)?;
            return Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Audit::Copy { dir, compare } => {
            let whole = audit::copy::copy(&dir, compare, out)?;
            return Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Audit::Expire(command) => command.run(out)?,
        Audit::GiveUp(command) => command.run(out)?,
        Audit::Hold { command } => command.run(out)?,
        Audit::Report { log, name, now: at } => report::report(&log.dir, &log.which(), name, now(at), out)?,
    }
    Ok(ExitCode::SUCCESS)
}
