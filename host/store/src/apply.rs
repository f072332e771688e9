//! Applies a recorded change: its edits, the new version, the new sum and the place of its record, all or nothing.
//!
//! INVARIANT (one order): an organization's changes have versions 1, 2, 3 …, and the database gives each once. Of
//! two nodes that recorded a change for the same version one is told that it was overtaken: what it recorded never
//! happened, and it must look at the state again. INVARIANT (once): a change that is applied again, after a crash,
//! changes nothing.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;
use sqlx::Row;

use crate::database::{Backend, Store};
use crate::document::{Edit, Key};
use crate::error::StoreError;
use crate::sum::Sum;

/// Rows that are sent in one statement.
const ROWS_MAX: usize = 1000;
/// Bytes of rows that are sent in one statement, but for the last row.
const ROWS_BYTES_MAX: usize = 4 << 20;
/// The channel on which PostgreSQL tells other nodes.
pub(crate) const CHANNEL: &str = "assent_state";

/// Where something is recorded: the entry of an audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The log's origin, such as `pdp.example.org/audit/clinic/2026`.
    pub log: String,
    /// The entry's position in it, from 0.
    pub seq: u64,
    /// The entry's hash, in hexadecimal: tells this log from another of the same name.
    pub record: String,
}

/// A change that is on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The version that it makes: one more than the one it was decided on.
    pub version: u64,
    /// Where it is recorded.
    pub place: Place,
    /// What changes; each document at most once.
    pub edits: Vec<Edit>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It holds from now on; the sum of all documents.
    Now(Sum),
    /// It was applied before.
    Before,
    /// Another node made this version: this change never happened.
    Overtaken {
        /// The version there is.
        version: u64,
    },
}

impl Store {
    /// Applies a change of an organization.
    ///
    /// # Errors
    /// When the database fails, in which case nobody knows whether it was applied until it is applied again;
    /// when a later record of the same log was applied already, or a document is named twice.
    pub async fn apply(&self, organization: &str, change: &Change) -> Result<Applied, StoreError> {
        self.apply_since(organization, change.version, change).await
    }

    /// Applies a change that stands for all from version `first` to its own, of which those before it left nothing.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn apply_since(
        &self,
        organization: &str,
        first: u64,
        change: &Change,
    ) -> Result<Applied, StoreError> {
        let Change { version, place, edits } = change;
        Edit::check_once(edits)?;
        let failed = StoreError::database("apply a change");
        let mut transaction = self.begin_writing().await?;
        let found = lock(&mut transaction, organization).await?;
        if let Some(applied) = applied(&mut transaction, organization, &place.log).await? {
            if applied == place.seq {
                return Ok(Applied::Before);
            }
            if applied > place.seq {
                return Err(StoreError::Order { log: place.log.clone(), seq: place.seq, applied });
            }
        }
        if found.version >= *version {
            return Ok(Applied::Overtaken { version: found.version });
        }
        if found.version + 1 < first {
            return Err(StoreError::Behind {
                organization: organization.to_owned(),
                version: first,
                found: found.version,
            });
        }
        let mut sum = found.sum;
        for edits in pieces(edits) {
            self.subtract_old(&mut transaction, organization, edits, &mut sum).await?;
            self.write(&mut transaction, organization, *version, edits).await?;
            for Edit { key, body } in edits {
                if let Some(body) = body {
                    sum.add(key, body);
                }
            }
        }
        let update = sqlx::query("UPDATE assent_organizations SET version = $1, sum = $2 WHERE name = $3");
        let update = update.bind(*version as i64).bind(sum.to_hex()).bind(organization);
        update.execute(&mut *transaction).await.map_err(&failed)?;
        note(&mut transaction, organization, place).await?;
        if self.backend == Backend::Postgres {
            let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(organization);
            notify.execute(&mut *transaction).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(Applied::Now(sum))
    }

    /// Says that nothing up to this record is still to be applied, so that the next start need not read so far.
    ///
    /// # Errors
    /// When the database fails, or a later record was applied already.
    pub async fn reached(&self, organization: &str, place: &Place) -> Result<(), StoreError> {
        let mut transaction = self.begin_writing().await?;
        lock(&mut transaction, organization).await?;
        let applied = applied(&mut transaction, organization, &place.log).await?;
        if let Some(applied) = applied.filter(|applied| *applied > place.seq) {
            return Err(StoreError::Order { log: place.log.clone(), seq: place.seq, applied });
        }
        note(&mut transaction, organization, place).await?;
        transaction.commit().await.map_err(StoreError::database("note how far its log was read"))
    }

    /// Forgets that there were documents of a kind that are removed. Other nodes do not hear of their removal any more,
    /// so this is only for what no node keeps in memory.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_removed(&self, organization: &str, kind: &str) -> Result<(), StoreError> {
        let delete = sqlx::query(
            "DELETE FROM assent_documents WHERE organization = $1 AND kind = $2 AND body IS NULL",
        );
        let delete = delete.bind(organization).bind(kind);
        delete.execute(&self.pool).await.map_err(StoreError::database("forget what was removed"))?;
        Ok(())
    }

    async fn begin_writing(&self) -> Result<sqlx::Transaction<'static, sqlx::Any>, StoreError> {
        let begun = match self.backend {
            // A transaction that begins with reading could find another writer in its way when it writes.
            Backend::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Backend::Postgres => self.pool.begin().await,
        };
        begun.map_err(StoreError::database("begin a change"))
    }

    /// Takes the bodies that are about to be replaced out of the sum.
    async fn subtract_old(
        &self,
        connection: &mut AnyConnection,
        organization: &str,
        edits: &[Edit],
        sum: &mut Sum,
    ) -> Result<(), StoreError> {
        let query = match self.backend {
            // Its planner would go through all documents for each edit; a cross join is done in the order written.
            Backend::Sqlite => {
                "SELECT d.kind, d.id, d.body FROM json_each($2) AS e CROSS JOIN assent_documents AS d
                 WHERE d.organization = $1 AND d.kind = e.value->>'k' AND d.id = e.value->>'i'
                 AND d.body IS NOT NULL"
            }
            Backend::Postgres => {
                "SELECT d.kind, d.id, d.body FROM json_to_recordset($2::text::json) AS e(k text, i text)
                 JOIN assent_documents AS d ON d.organization = $1 AND d.kind = e.k AND d.id = e.i
                 WHERE d.body IS NOT NULL"
            }
        };
        let failed = StoreError::database("read what a change replaces");
        let rows = sqlx::query(query).bind(organization).bind(rows(edits, false));
        for row in rows.fetch_all(connection).await.map_err(&failed)? {
            let text = |column: usize| row.try_get::<String, _>(column).map_err(&failed);
            sum.subtract(&Key::new(text(0)?, text(1)?)?, &text(2)?);
        }
        Ok(())
    }

    async fn write(
        &self,
        connection: &mut AnyConnection,
        organization: &str,
        version: u64,
        edits: &[Edit],
    ) -> Result<(), StoreError> {
        let query = match self.backend {
            Backend::Sqlite => {
                "INSERT INTO assent_documents(organization, kind, id, version, body)
                 SELECT $1, e.value->>'k', e.value->>'i', $2, e.value->>'b' FROM json_each($3) AS e WHERE true
                 ON CONFLICT (organization, kind, id)
                 DO UPDATE SET version = excluded.version, body = excluded.body"
            }
            Backend::Postgres => {
                "INSERT INTO assent_documents(organization, kind, id, version, body)
                 SELECT $1, e.k, e.i, $2, e.b
                 FROM json_to_recordset($3::text::json) AS e(k text, i text, b text)
                 ON CONFLICT (organization, kind, id)
                 DO UPDATE SET version = excluded.version, body = excluded.body"
            }
        };
        let query = sqlx::query(query).bind(organization).bind(version as i64).bind(rows(edits, true));
        query.execute(connection).await.map_err(StoreError::database("write documents"))?;
        Ok(())
    }
}

/// How the state of an organization stands.
#[derive(Default)]
pub(crate) struct Standing {
    pub(crate) version: u64,
    pub(crate) sum: Sum,
}

/// How an organization stands; nobody else changes it until the transaction ends.
async fn lock(connection: &mut AnyConnection, organization: &str) -> Result<Standing, StoreError> {
    let failed = StoreError::database("lock the state");
    let insert = sqlx::query(
        "INSERT INTO assent_organizations(name, version, sum) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING",
    );
    let insert = insert.bind(organization).bind(Sum::default().to_hex());
    insert.execute(&mut *connection).await.map_err(&failed)?;
    // Both databases hold a row that was updated for whoever did it.
    let update = sqlx::query("UPDATE assent_organizations SET version = version WHERE name = $1");
    update.bind(organization).execute(&mut *connection).await.map_err(&failed)?;
    standing(connection, organization).await.map(Option::unwrap_or_default)
}

pub(crate) async fn standing(
    connection: &mut AnyConnection,
    organization: &str,
) -> Result<Option<Standing>, StoreError> {
    let failed = StoreError::database("say how the state stands");
    let query = sqlx::query("SELECT version, sum FROM assent_organizations WHERE name = $1");
    let Some(row) = query.bind(organization).fetch_optional(connection).await.map_err(&failed)? else {
        return Ok(None);
    };
    let version: i64 = row.try_get(0).map_err(&failed)?;
    let sum: String = row.try_get(1).map_err(&failed)?;
    let damaged = |what| StoreError::Damaged { organization: organization.to_owned(), what };
    let version = version.try_into().map_err(|_| damaged("its version"))?;
    Ok(Some(Standing { version, sum: Sum::from_hex(&sum).ok_or_else(|| damaged("its sum"))? }))
}

async fn applied(
    connection: &mut AnyConnection,
    organization: &str,
    log: &str,
) -> Result<Option<u64>, StoreError> {
    let failed = StoreError::database("say how far its log was applied");
    let query = sqlx::query("SELECT seq FROM assent_logs WHERE organization = $1 AND log = $2");
    let row = query.bind(organization).bind(log).fetch_optional(connection).await.map_err(&failed)?;
    let seq: Option<i64> = row.map(|row| row.try_get(0)).transpose().map_err(&failed)?;
    Ok(seq.map(|seq| seq as u64))
}

async fn note(connection: &mut AnyConnection, organization: &str, place: &Place) -> Result<(), StoreError> {
    let query = sqlx::query(
        "INSERT INTO assent_logs(organization, log, seq, record) VALUES ($1, $2, $3, $4)
         ON CONFLICT (organization, log) DO UPDATE SET seq = excluded.seq, record = excluded.record",
    );
    let query = query.bind(organization).bind(&place.log).bind(place.seq as i64).bind(&place.record);
    query.execute(connection).await.map_err(StoreError::database("note where a change is recorded"))?;
    Ok(())
}

fn rows(edits: &[Edit], bodies: bool) -> String {
    let rows: Vec<_> = edits
        .iter()
        .map(|Edit { key, body }| match bodies {
            true => json!({"k": key.kind(), "i": key.id(), "b": body}),
            false => json!({"k": key.kind(), "i": key.id()}),
        })
        .collect();
    serde_json::Value::Array(rows).to_string()
}

/// The edits in pieces that one statement can carry.
fn pieces(edits: &[Edit]) -> impl Iterator<Item = &[Edit]> {
    let mut rest = edits;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |edit: &&Edit| {
            let before = bytes;
            bytes += edit.body.as_ref().map_or(0, String::len);
            before < ROWS_BYTES_MAX
        };
        let count = rest.iter().take(ROWS_MAX).take_while(fits).count();
        let (piece, after) = rest.split_at_checked(count).filter(|(piece, _)| !piece.is_empty())?;
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_everything_in_order_within_their_limits() {
        let edit = |n: usize, bytes: usize| {
            Edit::put(Key::new("entity", n.to_string()).unwrap(), "x".repeat(bytes)).unwrap()
        };
        let edits: Vec<Edit> = (0..2500).map(|n| edit(n, if n % 100 == 0 { 1 << 20 } else { 10 })).collect();
        assert_eq!(pieces(&edits).flatten().count(), edits.len());
        assert!(pieces(&edits).flatten().eq(&edits));
        assert!(pieces(&edits).all(|piece| piece.len() <= ROWS_MAX));
        assert!(pieces(&edits).all(|piece| rows(piece, true).len() < ROWS_BYTES_MAX + (2 << 20)));
        assert_eq!(pieces(&[]).count(), 0);
    }
}
