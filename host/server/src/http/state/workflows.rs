//! stub
use super::Asking;
use super::command::Step;
use super::path::{Collection, Named};
use super::problem::Stop;
use crate::http::refusal::Refusal;
use assent_engine::state::{LiveTurn, StoredDocument};
use assent_model::Instant;
use axum::http::{Method, Uri};
use axum::response::Response;
use serde_json::Value;

#[derive(Clone)]
pub(super) struct Command;
impl Command {
    pub(super) fn of(_: &Asking, _: &Named, _: &Method, _: &[u8]) -> Result<Self, Stop> {
        Err(Refusal::NotFound.into())
    }
    pub(super) fn target(&self) -> Option<(&'static str, String)> {
        None
    }
    pub(super) async fn step(self, _: &LiveTurn<'_>, _: &Asking) -> Result<Step, Stop> {
        Err(Refusal::NotFound.into())
    }
}
pub(super) fn section(_: Collection) -> Option<&'static str> {
    None
}
pub(super) fn entity_type(_: Collection) -> &'static str {
    ""
}
pub(super) fn filters(c: Collection) -> &'static [&'static str] {
    if c == Collection::Entities { &["type"] } else { &[] }
}
pub(super) fn shown(_: Collection, _: &StoredDocument, _: Instant) -> Result<(u64, Value), Stop> {
    Err(Refusal::NotFound.into())
}
pub(super) async fn lapses(_: &Asking, _: &Uri) -> Result<Response, Stop> {
    Err(Refusal::NotFound.into())
}
