//! Lets an entity that will be kept share what others have as well: names of attributes, and the text of
//! ids it refers to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use assent_model::{EntityId, Record, Value};
use smol_str::SmolStr;

/// Sets of attribute names that are shared. There are as many as there are combinations of optional
/// attributes in use; if there are more than this, the rest have their own.
const SHAPES_MAX: usize = 4_096;

/// The sets of names that entities and records have.
#[derive(Debug, Default)]
pub(crate) struct Shapes(Mutex<HashSet<Arc<[SmolStr]>>>);

impl Shapes {
    fn share(&self, names: &Arc<[SmolStr]>) -> Arc<[SmolStr]> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(names) {
            Some(shared) => Arc::clone(shared),
            None => {
                if known.len() < SHAPES_MAX {
                    known.insert(Arc::clone(names));
                }
                Arc::clone(names)
            }
        }
    }
}

/// The same record, with shared names; `id` gives the shared form of an id.
pub(super) fn record(record: &Record, shapes: &Shapes, id: &dyn Fn(&EntityId) -> EntityId) -> Record {
    record.sharing(|names| shapes.share(names), |inner| value(inner, shapes, id))
}

fn value(of: &Value, shapes: &Shapes, id: &dyn Fn(&EntityId) -> EntityId) -> Value {
    match of {
        // Short ids stand in place and have nothing to share.
        Value::Entity(target) if target.id.is_heap_allocated() => Value::Entity(id(target)),
        Value::Record(inner) => Value::Record(record(inner, shapes, id)),
        Value::Set(elements) => {
            Value::Set(elements.iter().map(|element| value(element, shapes, id)).collect())
        }
        Value::Entity(_)
        | Value::Text(_)
        | Value::Date(_)
        | Value::Integer(_)
        | Value::Decimal(_)
        | Value::Boolean(_)
        | Value::Instant(_)
        | Value::Duration(_)
        | Value::Ip(_) => of.clone(),
    }
}
