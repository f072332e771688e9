//! Which nodes decide on a state, and which version of it each sees: so that whoever takes something back can wait
//! until nobody decides on it any more.
//!
//! A node says every now and then which version it sees, and trusts that version for no longer than a span that all
//! nodes share, counted on its own clock from before it asked the database. Whoever made a change waits for every node
//! that either says it sees the change, or was silent for that span on the database's clock, and so denies by itself.
//! INVARIANT (nobody waits for the dead): a silent node counts no more once the span is over.
//!
//! A file of SQLite is one process's own, which sees every change that it makes.

use sqlx::Row;

use crate::database::{Backend, Store};
use crate::error::StoreError;

/// The moment by the database's clock, in milliseconds.
const NOW_MS: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

impl Store {
    /// Whether other processes may change the same state.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.backend == Backend::Postgres
    }

    /// Says that a node decides on this version of an organization's state from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_seen(&self, node: &str, organization: &str, version: u64) -> Result<(), StoreError> {
        if !self.is_shared() {
            return Ok(());
        }
        let insert = sqlx::AssertSqlSafe(format!(
            "INSERT INTO assent_nodes(node, organization, version, seen_at_ms) VALUES ($1, $2, $3, {NOW_MS})
             ON CONFLICT (node, organization)
             DO UPDATE SET version = excluded.version, seen_at_ms = excluded.seen_at_ms"
        ));
        let insert = sqlx::query(insert).bind(node).bind(organization).bind(version as i64);
        insert.execute(&self.pool).await.map_err(StoreError::database("say which version a node sees"))?;
        Ok(())
    }

    /// How many other nodes may still decide on an older version: those that did not say that they see this one, and
    /// were heard of within `span_ms`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn behind(
        &self,
        node: &str,
        organization: &str,
        (version, span_ms): (u64, u64),
    ) -> Result<u64, StoreError> {
        if !self.is_shared() {
            return Ok(0);
        }
        let failed = StoreError::database("say which nodes are behind");
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT COUNT(*) FROM assent_nodes
             WHERE organization = $1 AND node <> $2 AND version < $3 AND seen_at_ms > {NOW_MS} - $4"
        ));
        let query = sqlx::query(query).bind(organization).bind(node).bind(version as i64);
        let row = query.bind(i64::try_from(span_ms).unwrap_or(i64::MAX)).fetch_one(&self.pool).await;
        let count: i64 = row.and_then(|row| row.try_get(0)).map_err(&failed)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Forgets a node that ends in good order, so that nobody waits for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_node(&self, node: &str) -> Result<(), StoreError> {
        if !self.is_shared() {
            return Ok(());
        }
        let delete = sqlx::query("DELETE FROM assent_nodes WHERE node = $1").bind(node);
        delete.execute(&self.pool).await.map_err(StoreError::database("forget a node"))?;
        Ok(())
    }
}
