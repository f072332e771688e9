//! The store on both databases: the same scenes on SQLite and on a real PostgreSQL server, and the same random
//! changes on both and on a naive model.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests may, and clippy does not see that this is one"
)]

mod equivalence;
mod scenes;
mod server;
mod watching;

use std::path::Path;

use assent_store::{Change, Edit, Key, Place, Store, Target};

const ORGANIZATION: &str = "clinic";
const DEPLOYMENT: &str = "pdp.example.org";

/// Where a scene plays.
pub(crate) struct Stage<'a> {
    target: Target,
    /// To reach the database beside the store, as somebody with other tools would.
    url: String,
    dir: &'a Path,
}

impl Stage<'_> {
    async fn open(&self) -> Store {
        Store::open(self.target.clone(), DEPLOYMENT).await.unwrap()
    }

    /// Does something to the database that no store would do.
    async fn meddle(&self, statement: &'static str) {
        sqlx::any::install_default_drivers();
        use sqlx::Connection;
        let mut connection = sqlx::AnyConnection::connect(&self.url).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

pub(crate) fn sqlite(dir: &Path) -> Stage<'_> {
    let path = dir.join("a folder/state 100%.db");
    let url = format!("sqlite://{}", path.display()).replace("100%", "100%25").replace(' ', "%20");
    Stage { target: Target::Sqlite(path), url, dir }
}

pub(crate) fn place(seq: u64) -> Place {
    Place { log: "pdp.example.org/audit/clinic/2026".to_owned(), seq, record: format!("{seq:064x}") }
}

pub(crate) fn key(id: &str) -> Key {
    Key::new("entity", id).unwrap()
}

pub(crate) fn put(id: &str, body: &str) -> Edit {
    Edit::put(key(id), body).unwrap()
}

pub(crate) fn change(version: u64, edits: Vec<Edit>) -> Change {
    Change { version, place: place(version * 10), edits }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
