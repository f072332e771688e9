//! Lets an entity that will be kept share what others have as well: names of attributes, and the text of
//! ids it refers to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use assent_model::{EntityId, Parts, Record, Value};
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
    match of.parts() {
        Parts::None => of.clone(),
        // Short ids stand in place and have nothing to share.
        Parts::Reference(target) if !target.id.is_heap_allocated() => of.clone(),
        Parts::Reference(target) => Value::Entity(id(target)),
        Parts::Elements(elements) => {
            Value::Set(elements.iter().map(|element| value(element, shapes, id)).collect())
        }
        Parts::Members(inner) => Value::Record(record(inner, shapes, id)),
    }
}
