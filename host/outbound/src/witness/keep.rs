//! Round after round beside a service: which log was last seen by whom, and what the operator must hear of.
//!
//! The log that is written is sent in every round, also when it has not grown, for the time of a cosignature
//! says that somebody looked. A finished year is sent until each witness has all of it, and once at each start.
//! A contradiction stops the log that is open; see INVARIANT (a witness is believed against us).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use assent_audit::log::Reader;
use assent_audit::logs::Logs;
use assent_model::OrganizationId;

use super::Witness;
use super::round::{Log, Round, round};
use super::submit::{Contradiction, Refused, Said};

/// How a witness stands to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not yet asked, or there is nothing to be witnessed.
    Waiting,
    /// It cosigned in the last round.
    Seen,
    /// It did not cosign in the last round.
    Behind(Refused),
    /// It knows another log.
    Contradicted(Contradiction),
}

/// A log and a witness.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whose log.
    pub organization: OrganizationId,
    /// Of which year.
    pub year: i32,
    /// The witness's name.
    pub witness: String,
    /// How it stands.
    pub state: State,
    /// How many records it last cosigned in this process, and when by its clock, in seconds since 1970.
    pub cosigned: Option<(u64, u64)>,
    /// How long ago it last cosigned; if never, since it was first asked.
    pub lag: Duration,
}

/// Something that the operator should hear of: a witness stands otherwise to a log than a round before.
#[derive(Clone, Debug)]
pub struct Change {
    /// Whose log.
    pub organization: OrganizationId,
    /// Of which year.
    pub year: i32,
    /// The witness's name.
    pub witness: String,
    /// How it stands now.
    pub state: State,
}

type Key = (OrganizationId, i32, String);

#[derive(Debug)]
struct Kept {
    state: State,
    cosigned: Option<(u64, u64)>,
    /// When it last cosigned, or was first asked.
    since: Instant,
}

/// A log that a round is about.
struct Shown {
    organization: OrganizationId,
    year: i32,
    log: Log,
    /// How many records a finished year has, the most there can be where that cannot be read; `None` for the log
    /// that is open.
    finished: Option<u64>,
}

/// The logs of all years of the organizations that have one open. Blocks.
fn shown(logs: &Logs) -> Vec<Shown> {
    let config = logs.config();
    let mut shown = vec![];
    for (organization, open) in logs.open_years() {
        // Years that cannot be listed are missed by whoever opens one.
        for year in config.years(&organization).unwrap_or_default() {
            // The name was good when the log was opened.
            let Ok(signer) = config.signer(&organization, year) else { continue };
            let directory = config.directory_of(&organization, year);
            let log = Log { directory, verifier: signer.verifier().clone() };
            let finished = (year != open).then(|| {
                let checkpoint = Reader::new(&log.directory, &log.verifier, None).checkpoint();
                // What cannot be read is sent: `round` says what is wrong with it.
                checkpoint.map_or(u64::MAX, |tree| tree.size)
            });
            shown.push(Shown { organization: organization.clone(), year, log, finished });
        }
    }
    shown
}

/// The witnesses of a service's logs.
#[expect(missing_debug_implementations, reason = "holds the logs, which hold keys")]
pub struct Witnessing {
    logs: Arc<Logs>,
    witnesses: Vec<Witness>,
    /// Held for look-ups, never while somebody is waited for.
    kept: Mutex<BTreeMap<Key, Kept>>,
}

impl Witnessing {
    /// The witnesses of these logs.
    #[must_use]
    pub fn new(logs: Arc<Logs>, witnesses: Vec<Witness>) -> Self {
        Self { logs, witnesses, kept: Mutex::default() }
    }

    /// How each witness stands to each log that it was asked about. For metrics and readiness.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .map(|((organization, year, witness), kept)| Status {
                organization: organization.clone(),
                year: *year,
                witness: witness.clone(),
                state: kept.state.clone(),
                cosigned: kept.cosigned,
                lag: kept.since.elapsed(),
            })
            .collect()
    }

    /// Sends the newest checkpoint of each log to each witness, all at once. A contradiction stops the log
    /// before this returns. Gives what the operator should hear of.
    pub async fn round(&self) -> Vec<Change> {
        let logs = Arc::clone(&self.logs);
        // A listing that panicked is as one that found nothing: the next round looks again.
        let shown = tokio::task::spawn_blocking(move || shown(&logs)).await.unwrap_or_default();
        let mut under_way = tokio::task::JoinSet::new();
        for Shown { organization, year, log, finished } in shown {
            let witnesses = match finished {
                None => self.witnesses.clone(),
                Some(size) => self.behind(&organization, year, size),
            };
            let logs = Arc::clone(&self.logs);
            under_way.spawn(async move {
                let said = round(&log, &witnesses).await;
                for (witness, said) in &said {
                    if let Said::Contradicted(how) = said {
                        logs.contradicted(&organization, year, witness, &how.to_string());
                    }
                }
                (organization, year, said)
            });
        }
        let mut changes = vec![];
        while let Some(done) = under_way.join_next().await {
            if let Ok((organization, year, said)) = done {
                changes.extend(self.take(&organization, year, said));
            }
        }
        changes
    }

    /// The witnesses that have not seen all of a finished year's log, since this process began.
    fn behind(&self, organization: &OrganizationId, year: i32, size: u64) -> Vec<Witness> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let done = |witness: &&Witness| {
            let key = (organization.clone(), year, witness.name().to_owned());
            kept.get(&key).and_then(|kept| kept.cosigned).is_some_and(|(seen, _)| seen >= size)
        };
        self.witnesses.iter().filter(|witness| !done(witness)).cloned().collect()
    }

    fn take(&self, organization: &OrganizationId, year: i32, round: Round) -> Vec<Change> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = vec![];
        for (witness, said) in round {
            let key = (organization.clone(), year, witness.clone());
            let first = || Kept { state: State::Waiting, cosigned: None, since: Instant::now() };
            let entry = kept.entry(key).or_insert_with(first);
            let state = match said {
                Said::Cosigned { tree, time, .. } => {
                    entry.cosigned = Some((tree.size, time));
                    entry.since = Instant::now();
                    State::Seen
                }
                Said::Nothing => State::Waiting,
                Said::Refused(refused) => State::Behind(refused),
                Said::Contradicted(how) => State::Contradicted(how),
            };
            // That it is well from the start on needs no line.
            let quiet = matches!((&entry.state, &state), (State::Waiting, State::Seen) | (_, State::Waiting));
            let changed = entry.state != state;
            entry.state = state.clone();
            if changed && !quiet {
                changes.push(Change { organization: organization.clone(), year, witness, state });
            }
        }
        changes
    }
}
