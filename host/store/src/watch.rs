//! Hears of changes that other nodes make.
//!
//! PostgreSQL's notifications are hints: one is lost when a connection breaks, and nobody is told. So whatever
//! wakes a watch, a notification or the interval that is over, it asks the database which versions there are; a
//! notification only makes it ask sooner. INVARIANT (nobody believes silence): a watch that cannot ask says so.

use std::time::Duration;

use sqlx::postgres::PgListener;

use crate::apply::CHANNEL;
use crate::database::{Store, Target};
use crate::error::StoreError;

/// Watches the versions of all organizations.
#[derive(Debug)]
pub struct Watch {
    store: Store,
    interval: Duration,
    listener: Option<PgListener>,
    begun: bool,
}

impl Store {
    /// Watches for changes; looks at least once in each interval.
    #[must_use]
    pub fn watch(&self, interval: Duration) -> Watch {
        Watch { store: self.clone(), interval, listener: None, begun: false }
    }
}

impl Watch {
    /// Waits for a notification or until the interval is over (not the first time), and gives the version of each
    /// organization as it is then. May be dropped while it waits.
    ///
    /// # Errors
    /// When the database cannot say; the next call waits and tries again.
    pub async fn next(&mut self) -> Result<Vec<(String, u64)>, StoreError> {
        if std::mem::replace(&mut self.begun, true) {
            self.wait().await;
        }
        if self.listener.is_none() {
            // Before the look, so that no change falls between the two.
            self.listener = self.listen().await;
        }
        let versions = self.store.versions().await;
        if versions.is_err() {
            self.listener = None;
        }
        versions
    }

    async fn wait(&mut self) {
        let Some(listener) = &mut self.listener else { return tokio::time::sleep(self.interval).await };
        match tokio::time::timeout(self.interval, listener.try_recv()).await {
            // One notification more or less: what counts is asked for.
            Ok(Ok(Some(_))) | Err(_) => {}
            Ok(Ok(None) | Err(_)) => self.listener = None,
        }
    }

    async fn listen(&self) -> Option<PgListener> {
        let Target::Postgres(url) = self.store.target.as_ref() else { return None };
        let mut listener = PgListener::connect(url).await.ok()?;
        listener.listen(CHANNEL).await.ok()?;
        Some(listener)
    }
}
