//! When the facts of an entity were provided, and whether they are still fresh enough to count.
//!
//! The schema says how old an attribute may be (`@fresh("30d")`), and the entity says beside its attributes when they
//! were provided: `"provenance": {"*": {"at": "2026-11-27T08:00:00Z"}, "licence": {"at": …, "by": …}}`, where `*` counts
//! for each attribute without a moment of its own. INVARIANT (no fact of unknown age): an attribute that must be fresh
//! and has no moment is refused where it is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use assent_model::{Entity, Instant, Record};
use serde_json::{Map, Value as Json, json};
use smol_str::SmolStr;

use crate::schema::Schema;
use crate::schema::types::EntityType;
use crate::value::instant_text;

/// The member of an entity that says who provided its facts, and when.
pub const PROVENANCE: &str = "provenance";
/// The member of it that counts for each attribute without one of its own.
pub const EVERY: &str = "*";

/// How far ahead of the host's clock a moment may be, in milliseconds: five minutes, for nodes and sources whose clocks
/// differ. What was provided later than that was not provided yet, or by a clock that nobody should believe.
const AHEAD_MAX_MS: i64 = 300_000;

/// Moments by names of attributes.
pub(super) type Moments = BTreeMap<SmolStr, Instant>;

/// A problem, and what to do about it.
pub(super) struct Found(pub(super) String, pub(super) String);

/// When the attributes that must be fresh were provided; `None` where there are none. `written` says whether an
/// attribute of this name was there to be read, whatever came of it.
///
/// # Errors
/// All that is wrong with what is said of it.
pub(super) fn read(
    entity_type: &EntityType,
    attributes: &Record,
    written: impl Fn(&str) -> bool,
    json: Option<&Json>,
) -> Result<Option<Arc<Moments>>, Vec<Found>> {
    let empty = Map::new();
    let members = match json {
        None => &empty,
        Some(Json::Object(members)) => members,
        Some(_) => return Err(vec![malformed(PROVENANCE)]),
    };
    let mut problems = vec![];
    let mut said: BTreeMap<&str, Instant> = BTreeMap::new();
    for (name, stamp) in members {
        // An attribute that is not in the schema either was told already.
        let is_known = name == EVERY || entity_type.attributes.contains_key(name.as_str()) || written(name);
        if !is_known {
            let help = format!("name an attribute, or `{EVERY}` for all without a moment of their own");
            problems.push(Found(format!("{PROVENANCE}.{name} is no attribute"), help));
        }
        match moment(stamp) {
            Some(at) => drop(said.insert(name, at)),
            None => problems.push(malformed(&format!("{PROVENANCE}.{name}"))),
        }
    }
    let mut moments = Moments::new();
    for (name, span) in must_be_fresh(entity_type) {
        if attributes.get(name).is_none() {
            continue;
        }
        match said.get(name.as_str()).or_else(|| said.get(EVERY)) {
            Some(at) => drop(moments.insert(name.clone(), *at)),
            None => problems.push(Found(
                format!("attrs.{name} may be no older than {}, and nothing says when it was provided", text(span)),
                format!("add `\"{PROVENANCE}\": {{\"{name}\": {{\"at\": \"…\"}}}}` with a moment such as `2026-11-21T18:00:00Z`"),
            )),
        }
    }
    match problems.is_empty() {
        true => Ok((!moments.is_empty()).then(|| Arc::new(moments))),
        false => Err(problems),
    }
}

fn malformed(place: &str) -> Found {
    let help = r#"write `{"*": {"at": "2026-11-21T18:00:00Z", "by": {"type": "…", "id": "…"}}}`; `by` may be left away"#;
    Found(format!("{place} must say when"), help.to_owned())
}

fn moment(stamp: &Json) -> Option<Instant> {
    let members = stamp.as_object()?;
    let is_known = |name: &String| name == "at" || name == "by";
    members.keys().all(is_known).then(|| members.get("at")?.as_str()?.parse().ok())?
}

fn must_be_fresh(entity_type: &EntityType) -> impl Iterator<Item = (&SmolStr, i64)> {
    entity_type.attributes.iter().filter_map(|(name, attribute)| Some((name, attribute.fresh?)))
}

/// A span in the form of the schema, by its largest units.
fn text(milliseconds: i64) -> String {
    const UNITS: [(&str, i64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = milliseconds;
    let mut text = String::new();
    for (unit, length) in UNITS {
        if rest >= length {
            text += &format!("{}{unit}", rest / length);
            rest %= length;
        }
    }
    text
}

/// What was read, in the form that it is read from.
pub(super) fn json(provided: &Moments) -> Json {
    let stamps = provided.iter().map(|(name, at)| (name.to_string(), json!({ "at": instant_text(*at) })));
    Json::Object(stamps.collect())
}

impl Schema {
    /// Until when each attribute of an entity counts that must be fresh.
    pub(crate) fn fresh_until<'a>(
        &'a self,
        entity: &'a Entity,
    ) -> impl Iterator<Item = (&'a SmolStr, Instant)> {
        let provided = entity.provided.iter().flat_map(|provided| provided.iter());
        provided.filter_map(|(name, at)| {
            let span = self.types.get(entity.id.kind.as_str())?.attributes.get(name)?.fresh?;
            // What would count beyond the last moment that there is is nothing to be believed: it ends at once.
            let until = Instant::from_millis(at.as_millis().saturating_add(span));
            Some((name, until.unwrap_or(*at)))
        })
    }

    /// The first attribute of an entity that must be fresh and is not, at this moment; `None` where all are.
    pub(crate) fn stale<'a>(&'a self, entity: &'a Entity, now: Instant) -> Option<&'a SmolStr> {
        let is_ahead = |at: &Instant| at.as_millis().saturating_sub(now.as_millis()) > AHEAD_MAX_MS;
        let provided = entity.provided.as_ref()?;
        let ahead = provided.iter().find(|(_, at)| is_ahead(at)).map(|(name, _)| name);
        ahead.or_else(|| self.fresh_until(entity).find(|(_, until)| *until <= now).map(|(name, _)| name))
    }
}

#[cfg(test)]
mod tests;
