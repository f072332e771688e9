//! What the state stands on, before a year's log goes: written again into the newest log.
//!
//! INVARIANT (the state outlives the years it is said in): what cannot be read, or not be written again, keeps the
//! year. To type the command again records nothing twice that is there whole.

use anyhow::Context;
use assent_audit::record::{Event, StateCarried};
use assent_audit::shelf::Shelf;
use assent_engine::state::to_carry;

use super::record::record;
use super::wait_for;
use crate::commands::serve::state;
use crate::deployment::Deployment;

/// What is to be recorded before a year goes; of one that is not whole, and where no state is kept, nobody can say.
///
/// # Errors
/// When not all of it can be read: then the year stays.
pub(super) fn of(
    deployment: &Deployment,
    shelf: &Shelf,
    (year, is_whole): (i32, bool),
) -> anyhow::Result<Vec<StateCarried>> {
    if deployment.config.state.is_none() && !is_whole {
        return Ok(vec![]);
    }
    let parts = wait_for(async {
        let store = state::store(deployment).await?;
        let parts = to_carry(shelf, year, store.as_ref()).await;
        if let Some(store) = store {
            store.close().await;
        }
        anyhow::Ok(parts?)
    });
    parts?.with_context(|| {
        format!("{year} stays, for what the state stands on is in it and cannot be carried on")
    })
}

/// Records it.
///
/// # Errors
/// When a part is not known to be durable in the log: then the year stays.
pub(super) fn write(shelf: &Shelf, parts: Vec<StateCarried>) -> anyhow::Result<()> {
    for part in parts {
        let (year, number, count) = (part.year, part.part, part.parts);
        record(shelf.config(), shelf.organization(), &Event::StateCarried(part))
            .with_context(|| format!("what the state stands on in {year}, part {number} of {count}"))?;
    }
    Ok(())
}
