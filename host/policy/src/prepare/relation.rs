//! Which relation leads from a subject to a patient at a moment.

use assent_model::{Entity, EntityId, Facts, Instant, Value};

/// The relation of this type from `subject` to `patient` that holds at `now`: from `start` on, until
/// just before `end`, where it has these. Of several, the one that ends last (one without an end
/// never does); of those that end together, the one with the smallest id.
///
/// Whether it is verified, revoked or sufficient is for policies to say: they see its attributes.
pub(super) fn that_holds<'a>(
    facts: &'a Facts,
    relation_type: &str,
    subject: &EntityId,
    patient: &'a EntityId,
    now: Instant,
) -> Option<&'a Entity> {
    let never = i64::MAX;
    facts
        .relations(relation_type, subject, patient)
        .filter(|relation| holds(relation, now))
        // Relations come sorted by id: a later one must end strictly later to be preferred.
        .fold(None, |best: Option<&Entity>, relation| {
            let end = |relation: &Entity| moment(relation, "end").map_or(never, Instant::as_millis);
            match best {
                Some(best) if end(best) >= end(relation) => Some(best),
                _ => Some(relation),
            }
        })
}

/// Whether a relation holds at a moment.
pub(super) fn holds(relation: &Entity, now: Instant) -> bool {
    moment(relation, "start").is_none_or(|start| start <= now)
        && moment(relation, "end").is_none_or(|end| now < end)
}

fn moment(relation: &Entity, name: &str) -> Option<Instant> {
    relation.attributes.get(name).and_then(Value::as_instant)
}
