//! The state of a running service: brought up to what its logs say, laid over the releases, kept up with other nodes,
//! and left so that the next start is quick.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use assent_engine::AuditRecorder;
use assent_engine::state::{Keeper, LiveState, Sharing, Store, Target};
use assent_model::OrganizationId;
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
    let (Some(state), Some(audit)) = (&deployment.config.state, &deployment.config.audit) else {
        return Ok(States::new());
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
    let sharing = Sharing { staleness: Duration::from_secs(state.staleness_s) };
    let name = state.name.as_ref().unwrap_or(&audit.name);
    let store = Store::open(target, name).await.context("the state cannot be opened")?;
    let mut states = States::new();
    for organization in &built.organizations {
        let id = organization.release.organization();
        let of = || format!("the state of `{id}`");
        let keeper = Keeper::open(store.clone(), recorder.clone(), id.clone()).await.with_context(of)?;
        let (release, rules) = (organization.release.clone(), organization.rules.clone());
        let state = LiveState::open(keeper, release, (rules, sharing)).await.with_context(of)?;
        say(&format!("the state of `{id}` is of version {}", state.version()));
        states.insert(id.clone(), Arc::new(state));
    }
    Ok(states)
}

/// How often it is looked whether another node changed something, or a change is in doubt. PostgreSQL's notifications
/// make it sooner.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Makes decisions see what other nodes changed, and clears up what is in doubt. What goes wrong is said once and tried
/// again.
pub(super) async fn watch(states: States, clock: Arc<dyn Clock>) -> Infallible {
    let Some(any) = states.values().next() else { return std::future::pending().await };
    let mut watch = any.keeper().store().watch(LOOK_INTERVAL);
    let mut problems = Problems::new();
    loop {
        // Whatever it says, each state looks for itself.
        let _versions = watch.next().await;
        for (organization, state) in &states {
            let problem = state.look(clock.now()).await.err().map(|error| {
                let error = anyhow::Error::from(error);
                format!("the state of `{organization}` cannot be kept up: {error:#}; it is tried again")
            });
            problems.now(organization.clone(), problem);
        }
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
