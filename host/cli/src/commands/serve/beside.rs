//! What runs beside the service, each task by its name, and the one place that learns when one fails.
//!
//! None of them ever ends by itself; what goes wrong within is said and tried again there. So one that has ended has
//! panicked, and what it was for (segments that are sealed, holds that are recorded, witnesses that are asked) would
//! quietly be missing from then on. INVARIANT (nothing is missing in silence): then the service ends.

use std::collections::HashMap;
use std::convert::Infallible;

use tokio::task::{Id, JoinSet};

/// Tasks beside the service; they end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Beside {
    tasks: JoinSet<Infallible>,
    names: HashMap<Id, &'static str>,
}

/// A task that should have gone on has ended.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{task}`, which runs beside the service, failed where a line above says that it panicked")]
pub(super) struct Failed {
    task: &'static str,
}

impl Beside {
    /// Begins a task. The name is for people: what it does.
    pub(super) fn begin(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Infallible> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Ready when one has failed; never where there are none.
    pub(super) async fn failed(&mut self) -> Failed {
        match self.tasks.join_next().await {
            None => std::future::pending().await,
            Some(Ok(never)) => match never {},
            Some(Err(ended)) => {
                Failed { task: self.names.get(&ended.id()).copied().unwrap_or("a task without a name") }
            }
        }
    }

    /// Ends all and waits until they have.
    pub(super) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn the_one_that_fails_is_named_and_the_others_go_on_until_they_are_ended() {
        let mut beside = Beside::default();
        let held = Arc::new(());
        let task = Arc::clone(&held);
        beside.begin("goes on", async move {
            let _task = task;
            std::future::pending().await
        });
        beside.begin("fails", async { panic!("as a test wants it") });
        assert_eq!(beside.failed().await, Failed { task: "fails" });
        assert_eq!(Arc::strong_count(&held), 2);
        beside.end().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
