//! Lays the changes of one case over an organization's entities, before anything is checked, so that
//! what results passes the same checks as any other entities.

use std::collections::HashMap;

use assent_model::EntityId;
use serde_json::Value as Json;

use super::PROVENANCE;
use super::load::Origin;
use crate::value::type_and_id;

/// The entities with the changes; see [`crate::Policies::load_entities_with`].
pub(super) fn overridden(items: Vec<(Json, Origin)>, changes: Vec<(Json, Origin)>) -> Vec<(Json, Origin)> {
    let key = |json: &Json| {
        let (entity_type, id) = type_and_id(json.get("uid")?)?;
        Some(EntityId::new(entity_type, id))
    };
    let mut items: Vec<Option<(Json, Origin)>> = items.into_iter().map(Some).collect();
    let mut places: HashMap<EntityId, usize> = HashMap::new();
    for (place, item) in items.iter().enumerate() {
        if let Some(id) = item.as_ref().and_then(|(json, _)| key(json)) {
            places.entry(id).or_insert(place);
        }
    }
    for (mut change, origin) in changes {
        let id = key(&change);
        let absent = change.get("absent") == Some(&Json::Bool(true));
        if let Some(object) = change.as_object_mut() {
            object.remove("absent");
        }
        let place = id.as_ref().and_then(|id| places.get(id)).copied();
        match place.and_then(|place| items.get_mut(place)) {
            Some(slot) if absent => *slot = None,
            Some(slot) => {
                let base =
                    slot.take().map(|(json, _)| json).unwrap_or_else(|| Json::Object(serde_json::Map::new()));
                *slot = Some((merged(base, change), origin));
            }
            None if absent => {}
            None => {
                if let Some(id) = id {
                    places.insert(id, items.len());
                }
                items.push(Some((change, origin)));
            }
        }
    }
    items.into_iter().flatten().collect()
}

fn merged(mut base: Json, change: Json) -> Json {
    let (Some(base_object), Json::Object(change_object)) = (base.as_object_mut(), change) else {
        return base;
    };
    for (key, value) in change_object {
        match (base_object.get_mut(&key), value) {
            (Some(Json::Object(attributes)), Json::Object(changes))
                if key == "attrs" || key == PROVENANCE =>
            {
                for (name, value) in changes {
                    match value {
                        Json::Null => drop(attributes.shift_remove(&name)),
                        value => drop(attributes.insert(name, value)),
                    }
                }
            }
            (_, value) => drop(base_object.insert(key, value)),
        }
    }
    base
}
