//! The audit log: every decision and every change, durable before anybody is answered.
//!
//! `tlog` is the transparency log as plain mathematics and text formats; `keys` seals records;
//! `log` writes segments and recovers them; `record` is what a record says; `inbox` is how other processes get
//! records into a log; `retention` how long logs are kept and how they are let go, `releases` what two persons agreed
//! a release may change. `shelf` is an organization's logs as they are read, `known` what outlives them, `archive` what
//! releases were built from, as records, `carried` what is left of the state's changes in years that went. What
//! people ask of records is in `index` (search), `disclosures` (a patient's accounting), `export` (other systems)
//! and `reports`.
//! INVARIANT (receipt before permit): `log::Log::append` is ready only once the record is on
//! durable storage.

pub mod archive;
pub mod carried;
pub mod disclosures;
pub mod export;
pub mod inbox;
pub mod index;
pub mod keys;
pub mod known;
pub mod log;
pub mod logs;
pub mod record;
mod redacted;
pub mod releases;
pub mod reports;
pub mod retention;
pub mod shelf;
pub mod text;
pub mod tlog;
