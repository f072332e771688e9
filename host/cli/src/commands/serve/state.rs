//! The state of a running service: brought up to what its logs say, laid over the releases, kept up with other nodes,
//! and left so that the next start is quick.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use assent_engine::AuditRecorder;
use assent_engine::state::{Keeper, LiveState, Sharing, StateError, Store, Target};
use assent_model::{Instant, OrganizationId};
use assent_server::Clock;

use crate::deployment::Deployment;
use crate::deployment::build::Built;
use crate::say::{Problems, say};
use crate::secrets;

/// The state of each organization.
pub(super) type States = BTreeMap<OrganizationId, Arc<LiveState>>;

/// Where SQLite's file is where nothing is said.
const FILE: &str = ".assent/state.db";

/// The state that a deployment keeps; none where it keeps none.
///
/// # Errors
/// When the database or a log cannot be read, they contradict each other, or what is stored does not fit the release.
pub(super) async fn open(
    (deployment, built): (&Deployment, &Built),
    recorder: &AuditRecorder,
) -> anyhow::Result<States> {
    let (Some(state), Some(store)) = (&deployment.config.state, store(deployment).await?) else {
        return Ok(States::new());
    };
    let sharing = Sharing { staleness: Duration::from_secs(state.staleness_s) };
    let mut states = States::new();
    for organization in &built.organizations {
        let id = organization.release.organization();
        let of = || format!("the state of `{id}`");
        let keeper = with_others(&store, recorder, id).await.with_context(of)?;
        let (release, rules) = (organization.release.clone(), organization.rules.clone());
        let state = LiveState::open(keeper, release, (rules, sharing)).await.with_context(of)?;
        say(&format!("the state of `{id}` is of version {}", state.version()));
        let otherwise = state.other_than_files();
        if otherwise > 0 {
            say(&format!(
                "entities in the files of `{id}` that do not count as they stand there: {otherwise}. The state has \
                 them otherwise: change them there, or take them out of the files"
            ));
        }
        states.insert(id.clone(), Arc::new(state));
    }
    Ok(states)
}

/// The state of an organization, once the database has everything that this node's log has seen. Where other nodes
/// share it, they may bring what is missing: each applies what its own log has, as often as it is tried, so that nodes
/// whose changes took turns bring each other on.
async fn with_others(
    store: &Store,
    recorder: &AuditRecorder,
    organization: &OrganizationId,
) -> Result<Keeper, StateError> {
    let begun = tokio::time::Instant::now();
    let mut is_said = false;
    loop {
        let opened = Keeper::open(store.clone(), recorder.clone(), organization.clone()).await;
        match opened {
            Err(error) if error.waits_for_others() && store.is_shared() && begun.elapsed() < OTHERS_WAIT => {
                if !is_said {
                    let seconds = OTHERS_WAIT.as_secs();
                    say(&format!(
                        "the state of `{organization}` waits for other nodes, up to {seconds} s: {error}"
                    ));
                    is_said = true;
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            opened => return opened,
        }
    }
}

/// The database of the state that a deployment keeps; none where it keeps none.
///
/// # Errors
/// When it is not there, or not this deployment's.
pub(in crate::commands) async fn store(deployment: &Deployment) -> anyhow::Result<Option<Store>> {
    let (Some(state), Some(audit)) = (&deployment.config.state, &deployment.config.audit) else {
        return Ok(None);
    };
    let target = match &state.postgres {
        Some(reference) => {
            let address = secrets::named(&deployment.root, reference).context("state.postgres")?;
            Target::Postgres(address.to_string())
        }
        None => {
            let file = state.file.clone().unwrap_or_else(|| FILE.into());
            Target::Sqlite(deployment.root.join(file))
        }
    };
    let name = state.name.as_ref().unwrap_or(&audit.name);
    Ok(Some(Store::open(target, name).await.context("the state cannot be opened")?))
}

/// How long a start waits for other nodes to bring what the database lacks: long enough to start them by hand one after
/// the other, and short enough that whoever waits for this one learns what is wrong.
const OTHERS_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked whether another node changed something, or a change is in doubt. PostgreSQL's notifications
/// make it sooner.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often what is not needed any more is forgotten, and how far logs were read is noted: a start after a crash then
/// reads an hour of them.
const TIDY_INTERVAL: Duration = Duration::from_secs(3_600);

/// Makes decisions see what other nodes changed, clears up what is in doubt, and tidies up now and then. What goes wrong
/// is said once and tried again.
pub(super) async fn watch(states: States, clock: Arc<dyn Clock>) -> Infallible {
    let Some(any) = states.values().next() else { return std::future::pending().await };
    let mut watch = any.keeper().store().watch(LOOK_INTERVAL);
    let mut problems = Problems::new();
    let mut next = tokio::time::Instant::now() + TIDY_INTERVAL;
    loop {
        // Whatever it says, each state looks for itself.
        let _versions = watch.next().await;
        let is_time = tokio::time::Instant::now() >= next;
        let mut is_tidy = is_time;
        for (organization, state) in &states {
            let mut kept_up = state.look(clock.now()).await;
            if is_time && kept_up.is_ok() {
                // One change at a time, so that a long tidying keeps nobody from looking.
                let tidied = tidy(state, clock.now()).await;
                is_tidy &= matches!(tidied, Ok(true));
                kept_up = tidied.map(drop);
            }
            let problem = kept_up.err().map(|error| {
                let why = why(error);
                format!("the state of `{organization}` cannot be kept up: {why}; it is tried again")
            });
            problems.now(organization.clone(), problem);
        }
        if is_tidy {
            next += TIDY_INTERVAL;
        }
    }
}

/// Forgets what is old, some of it at a time. Whether nothing is left, and how far the log was read is noted.
async fn tidy(state: &LiveState, at: Instant) -> Result<bool, StateError> {
    if state.forget(at).await? {
        return Ok(false);
    }
    state.keeper().note_reached(at).await?;
    Ok(true)
}

/// Why, for a log. INVARIANT (no patient in logs): what does not fit is not named, as it is at a start.
fn why(error: StateError) -> String {
    match error {
        StateError::Misfit(_) => error.to_string(),
        error => format!("{:#}", anyhow::Error::from(error)),
    }
}

/// Notes how far logs were read, so that the next start reads only what follows.
pub(super) async fn close(states: &States, clock: &dyn Clock) -> Vec<anyhow::Error> {
    let mut problems = vec![];
    for (organization, state) in states {
        let noted = state.keeper().note_reached(clock.now()).await;
        let what = || format!("how far the log of `{organization}` was read is not noted");
        problems.extend(noted.with_context(what).err());
    }
    if let Some(state) = states.values().next() {
        let what =
            "other nodes were not told that this one ended: their changes wait for it for some seconds";
        problems.extend(state.leave().await.context(what).err());
        state.keeper().store().close().await;
    }
    problems
}

#[cfg(test)]
mod tests {
    use assent_policy::{LoadErrors, LoadProblem};

    use super::*;

    #[test]
    fn what_does_not_fit_is_not_named_in_the_log() {
        let named = LoadProblem::of_file("the state", "`Patient::\"zoe\"`: attrs.born is missing");
        let misfit = StateError::Misfit(LoadErrors(vec![named]));
        assert!(!why(misfit).contains("zoe"));
        let put_back = StateError::PutBack { found: 2, known: 3 };
        assert!(why(put_back).contains("version 2"));
    }
}
