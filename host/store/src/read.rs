//! Reads documents: all of them at the start, those that changed since a version, one, or a page.
//!
//! INVARIANT (one state): what is read together is of one version. INVARIANT (damage is seen): whoever reads all
//! documents compares their sum with the one that was kept up with each change.

use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::apply::{Place, standing};
use crate::database::{Backend, Store};
use crate::document::Key;
use crate::error::StoreError;
use crate::sum::Sum;

/// The most documents of one page.
const PAGE_MAX: u32 = 1000;

/// A stored document.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub key: Key,
    /// The version of the state in which it was last written or removed.
    pub version: u64,
    /// What it says; `None` if it was removed.
    pub body: Option<String>,
}

/// INVARIANT (no patient in logs): only its kind is printed.
impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}@{}", self.key, self.version)
    }
}

/// Which state of an organization something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// How many changes led to it.
    pub version: u64,
    /// The sum of all documents.
    pub sum: Sum,
}

/// Up to which entries of which logs all changes were applied.
pub type Reached = Vec<Place>;

impl Store {
    /// Hands out every document that was written or removed after version `since`, in the order of kind and id;
    /// from 0 that is all there are, without those removed, and their sum is checked.
    ///
    /// # Errors
    /// When the database fails, what is stored was damaged, or `each` stops it.
    pub async fn load(
        &self,
        organization: &str,
        since: u64,
        mut each: impl FnMut(Document),
    ) -> Result<Position, StoreError> {
        let failed = StoreError::database("read the state");
        let mut transaction = self.pool.begin().await.map_err(&failed)?;
        if self.backend == Backend::Postgres {
            let isolation = sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
            isolation.execute(&mut *transaction).await.map_err(&failed)?;
        }
        let Some(found) = standing(&mut transaction, organization).await? else {
            return Ok(Position::default());
        };
        let mut sum = Sum::default();
        {
            let query = sqlx::query(
                "SELECT kind, id, version, body FROM assent_documents
                 WHERE organization = $1 AND version > $2 AND (body IS NOT NULL OR $3 = 1)
                 ORDER BY kind, id",
            );
            let query = query.bind(organization).bind(since as i64).bind(i64::from(since > 0));
            let mut rows = query.fetch(&mut *transaction);
            while let Some(row) = rows.try_next().await.map_err(&failed)? {
                let document = document(organization, &row)?;
                if let Some(body) = &document.body {
                    sum.add(&document.key, body);
                }
                each(document);
            }
        }
        transaction.commit().await.map_err(&failed)?;
        if since == 0 && sum != found.sum {
            let what = "its documents are not those that were written";
            return Err(StoreError::Damaged { organization: organization.to_owned(), what });
        }
        Ok(Position { version: found.version, sum: found.sum })
    }

    /// One document; `None` if there was never one of that name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get(&self, organization: &str, key: &Key) -> Result<Option<Document>, StoreError> {
        let query = sqlx::query(
            "SELECT kind, id, version, body FROM assent_documents
             WHERE organization = $1 AND kind = $2 AND id = $3",
        );
        let query = query.bind(organization).bind(key.kind()).bind(key.id());
        let row = query.fetch_optional(&self.pool).await.map_err(StoreError::database("read a document"))?;
        row.map(|row| document(organization, &row)).transpose()
    }

    /// Documents of a kind in the order of their ids, after `after`: at most `limit`, and never more than 1000.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        organization: &str,
        kind: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Document>, StoreError> {
        let query = sqlx::query(
            "SELECT kind, id, version, body FROM assent_documents
             WHERE organization = $1 AND kind = $2 AND id > $3 AND body IS NOT NULL ORDER BY id LIMIT $4",
        );
        // No id is empty, so all come after it.
        let query = query.bind(organization).bind(kind).bind(after.unwrap_or_default());
        let rows = query.bind(i64::from(limit.min(PAGE_MAX))).fetch_all(&self.pool).await;
        let rows = rows.map_err(StoreError::database("read a page"))?;
        rows.iter().map(|row| document(organization, row)).collect()
    }

    /// Documents of a kind, those first that were not changed for longest: at most `limit`, and never more than 1000.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn oldest(
        &self,
        organization: &str,
        kind: &str,
        limit: u32,
    ) -> Result<Vec<Document>, StoreError> {
        let query = sqlx::query(
            "SELECT kind, id, version, body FROM assent_documents
             WHERE organization = $1 AND kind = $2 AND body IS NOT NULL ORDER BY version, id LIMIT $3",
        );
        let query = query.bind(organization).bind(kind).bind(i64::from(limit.min(PAGE_MAX)));
        let rows = query.fetch_all(&self.pool).await.map_err(StoreError::database("read the oldest"))?;
        rows.iter().map(|row| document(organization, row)).collect()
    }

    /// Up to where the changes of each log were applied.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn logs(&self, organization: &str) -> Result<Reached, StoreError> {
        let failed = StoreError::database("say how far logs were applied");
        let query =
            sqlx::query("SELECT log, seq, record FROM assent_logs WHERE organization = $1 ORDER BY log");
        let rows = query.bind(organization).fetch_all(&self.pool).await.map_err(&failed)?;
        let place = |row: &AnyRow| {
            let seq: i64 = row.try_get(1)?;
            Ok(Place { log: row.try_get(0)?, seq: seq as u64, record: row.try_get(2)? })
        };
        rows.iter().map(place).collect::<Result<_, sqlx::Error>>().map_err(&failed)
    }

    /// The version of each organization's state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn versions(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let failed = StoreError::database("say which versions there are");
        let rows = sqlx::query("SELECT name, version FROM assent_organizations ORDER BY name");
        let rows = rows.fetch_all(&self.pool).await.map_err(&failed)?;
        let version = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)? as u64));
        rows.iter().map(version).collect::<Result<_, sqlx::Error>>().map_err(&failed)
    }
}

fn document(organization: &str, row: &AnyRow) -> Result<Document, StoreError> {
    let failed = StoreError::database("read a document");
    let damaged = |what| StoreError::Damaged { organization: organization.to_owned(), what };
    let text = |column: usize| row.try_get::<String, _>(column).map_err(&failed);
    let key = Key::new(text(0)?, text(1)?).map_err(|_| damaged("a name that was never written"))?;
    let version: i64 = row.try_get(2).map_err(&failed)?;
    let body = row.try_get::<Option<String>, _>(3).map_err(&failed)?;
    Ok(Document { key, version: version.try_into().map_err(|_| damaged("a version"))?, body })
}
