//! Opens the database: SQLite in a file of our own, or PostgreSQL for several nodes. The SQL of everything else
//! is the same for both, but for the three places that ask [`Backend`].
//!
//! INVARIANT (durable means durable): a database that would acknowledge what a power cut takes back is refused;
//! settings are read back, for SQLite takes a misspelt one in silence.

use std::fmt;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{AnyConnection, AnyPool, Row};

use crate::error::StoreError;

/// The format of the tables.
const FORMAT: i64 = 2;
/// How long a statement waits for a connection, or for another writer.
const WAIT: Duration = Duration::from_secs(5);
/// Reads of pages beside the one writer. SQLite has one connection: it reads at the start and for pages only.
const POSTGRES_CONNECTIONS: u32 = 4;
/// The SQLite that no longer loses commits when its write-ahead log starts anew: 3.51.3.
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);
/// Held while tables are made, so that two nodes do not make them at once.
const POSTGRES_SETUP_LOCK: i64 = 0x6173_7365_6e74;

/// Where a store is.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, made where there is none, for this process alone.
    Sqlite(PathBuf),
    /// `postgres://…`, with its password: a secret.
    Postgres(String),
}

/// A file's path, or which kind of database: an address may hold a password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
            Self::Postgres(_) => f.write_str("Postgres"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// An open store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) pool: AnyPool,
    pub(crate) backend: Backend,
    pub(crate) target: Arc<Target>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({:?})", self.target)
    }
}

impl Store {
    /// Opens the store of a deployment, and makes its tables where there are none. `deployment` is the name of
    /// its audit log: a store is never filled from another's.
    ///
    /// # Errors
    /// When the database is not there, is not durable, is newer than this version or another deployment's.
    pub async fn open(target: Target, deployment: &str) -> Result<Self, StoreError> {
        install_default_drivers();
        let (url, backend) = match &target {
            Target::Sqlite(path) => (sqlite_url(path)?, Backend::Sqlite),
            Target::Postgres(url) => (url.clone(), Backend::Postgres),
        };
        let connections = if backend == Backend::Sqlite { 1 } else { POSTGRES_CONNECTIONS };
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(WAIT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    match backend {
                        Backend::Sqlite => set_sqlite(connection).await,
                        Backend::Postgres => set_postgres(connection).await,
                    }
                })
            })
            .connect_lazy(&url)
            .map_err(|_| StoreError::Address)?;
        let store = Self { pool, backend, target: Arc::new(target) };
        store.check_durable().await?;
        store.set_up(deployment).await?;
        Ok(store)
    }

    /// Ends all connections. What was applied is durable with or without this.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn check_durable(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(StoreError::database("be reached"))?;
        let expected: &[(&str, &str, &[&str])] = match self.backend {
            Backend::Sqlite => {
                let found: String = self.one(&mut connection, "SELECT sqlite_version()").await?;
                if version(&found) < SQLITE_MIN {
                    return Err(StoreError::OldSqlite { found });
                }
                &[
                    ("journal_mode", "PRAGMA journal_mode", &["wal"]),
                    ("synchronous", "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", &["2"]),
                ]
            }
            Backend::Postgres => &[
                ("fsync", "SHOW fsync", &["on"]),
                ("full_page_writes", "SHOW full_page_writes", &["on"]),
                ("synchronous_commit", "SHOW synchronous_commit", &["on", "remote_apply"]),
            ],
        };
        for (setting, query, allowed) in expected {
            let found: String = self.one(&mut connection, query).await?;
            if !allowed.contains(&found.as_str()) {
                let expected = allowed.first().copied().unwrap_or_default();
                return Err(StoreError::Setting { setting, expected, found });
            }
        }
        Ok(())
    }

    async fn one(&self, connection: &mut AnyConnection, query: &'static str) -> Result<String, StoreError> {
        let row = sqlx::query(query).fetch_one(connection).await;
        row.and_then(|row| row.try_get(0)).map_err(StoreError::database("say how it is set"))
    }

    async fn set_up(&self, deployment: &str) -> Result<(), StoreError> {
        let failed = StoreError::database("make its tables");
        let mut transaction = self.pool.begin().await.map_err(&failed)?;
        if self.backend == Backend::Postgres {
            let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(POSTGRES_SETUP_LOCK);
            lock.execute(&mut *transaction).await.map_err(&failed)?;
        }
        // PostgreSQL would sort text by the rules of a language; pages need one order on every node.
        let text = if self.backend == Backend::Postgres { "TEXT COLLATE \"C\"" } else { "TEXT" };
        for table in TABLES {
            let table = sqlx::AssertSqlSafe(table.replace("TEXT", text));
            sqlx::query(table).execute(&mut *transaction).await.map_err(&failed)?;
        }
        let insert = sqlx::query(
            "INSERT INTO assent_store(one, format, deployment) VALUES (1, $1, $2) ON CONFLICT DO NOTHING",
        );
        insert.bind(FORMAT).bind(deployment).execute(&mut *transaction).await.map_err(&failed)?;
        let row = sqlx::query("SELECT format, deployment FROM assent_store");
        let row = row.fetch_one(&mut *transaction).await.map_err(&failed)?;
        let found: i64 = row.try_get(0).map_err(&failed)?;
        if found != FORMAT {
            return Err(StoreError::Format { found, known: FORMAT });
        }
        let found: String = row.try_get(1).map_err(&failed)?;
        if found != deployment {
            return Err(StoreError::Deployment { expected: deployment.to_owned(), found });
        }
        transaction.commit().await.map_err(&failed)
    }
}

/// `documents` keeps a row for what was removed, so that other nodes hear of it.
const TABLES: [&str; 7] = [
    "CREATE TABLE IF NOT EXISTS assent_store(
        one BIGINT PRIMARY KEY, format BIGINT NOT NULL, deployment TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS assent_organizations(
        name TEXT PRIMARY KEY, version BIGINT NOT NULL, sum TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS assent_logs(
        organization TEXT NOT NULL, log TEXT NOT NULL, seq BIGINT NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (organization, log))",
    "CREATE TABLE IF NOT EXISTS assent_documents(
        organization TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL,
        body TEXT, PRIMARY KEY (organization, kind, id))",
    "CREATE TABLE IF NOT EXISTS assent_nodes(
        node TEXT NOT NULL, organization TEXT NOT NULL, version BIGINT NOT NULL, seen_at_ms BIGINT NOT NULL,
        PRIMARY KEY (node, organization))",
    "CREATE INDEX IF NOT EXISTS assent_documents_by_version ON assent_documents(organization, version)",
    "CREATE INDEX IF NOT EXISTS assent_documents_by_age ON assent_documents(organization, kind, version, id)
        WHERE body IS NOT NULL",
];

async fn set_sqlite(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    // Small checkpoints: a large one would hold up the change that meets it.
    for pragma in [
        "PRAGMA busy_timeout = 5000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA wal_autocheckpoint = 500",
        "PRAGMA secure_delete = ON",
        "PRAGMA trusted_schema = OFF",
    ] {
        sqlx::query(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn set_postgres(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for setting in ["SET lock_timeout = '5s'", "SET statement_timeout = '60s'"] {
        sqlx::query(setting).execute(&mut *connection).await?;
    }
    Ok(())
}

fn sqlite_url(path: &Path) -> Result<String, StoreError> {
    let refused = |reason: String| StoreError::File { path: path.to_owned(), reason };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(|error| refused(error.to_string()))?;
    }
    // Before the database is made, whose other files are made as this one is: it holds what patients' records are
    // decided on.
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(|error| refused(format!("cannot be made private: {error}")))?;
    let text = path.to_str().ok_or_else(|| refused("the path must be UTF-8".to_owned()))?;
    let encoded: String = text
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    Ok(format!("sqlite://{encoded}?mode=rwc"))
}

fn version(text: &str) -> (u32, u32, u32) {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(version("3.9.12") < SQLITE_MIN && version("3.51.2") < SQLITE_MIN);
        assert!(version("3.51.3") >= SQLITE_MIN && version("3.100.0") >= SQLITE_MIN);
        assert_eq!(version("what?"), (0, 0, 0));
    }
}
