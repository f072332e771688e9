//! Named values: the attributes of an entity, the members of a record, a context.
//!
//! Names and values stand in two shared slices. Entities of a type have the same few names, so that one
//! slice of names serves all of them; and a copy of an entity, for one request or with other ancestors,
//! shares the values. A record is therefore cheap to keep and to clone, and changing one rewrites it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use crate::value::Value;

/// Values by name, in the order of the names, each name once.
#[derive(Clone, Default)]
pub struct Record {
    names: Arc<[SmolStr]>,
    values: Arc<[Value]>,
}

impl Record {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(self.place(name).ok()?)
    }

    /// Whether there is a value of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> std::iter::Zip<std::slice::Iter<'_, SmolStr>, std::slice::Iter<'_, Value>> {
        self.names.iter().zip(self.values.iter())
    }

    /// The values, in the order of their names.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.values.iter()
    }

    /// Sets the value of this name.
    pub fn insert(&mut self, name: impl Into<SmolStr>, value: Value) {
        let name = name.into();
        let place = self.place(&name);
        let (place, replaced) = match place {
            Ok(place) => (place, 1),
            Err(place) => {
                let mut names = self.names.to_vec();
                names.insert(place, name);
                self.names = names.into();
                (place, 0)
            }
        };
        let mut values = self.values.to_vec();
        values.splice(place..place + replaced, [value]);
        self.values = values.into();
    }

    /// The same record, with names and values as `names` and `value` hand them back: equal ones that
    /// something else holds already. A slice of other names is not taken.
    #[must_use]
    pub fn sharing(
        &self,
        names: impl FnOnce(&Arc<[SmolStr]>) -> Arc<[SmolStr]>,
        value: impl FnMut(&Value) -> Value,
    ) -> Self {
        let shared = names(&self.names);
        let names = if shared == self.names { shared } else { Arc::clone(&self.names) };
        Self { names, values: self.values.iter().map(value).collect() }
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.names.binary_search_by(|other| other.as_str().cmp(name))
    }
}

impl<N: Into<SmolStr>> FromIterator<(N, Value)> for Record {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(pairs: I) -> Self {
        // Of two values of one name the last counts, as in a map.
        let map: BTreeMap<SmolStr, Value> =
            pairs.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let (names, values): (Vec<_>, Vec<_>) = map.into_iter().unzip();
        Self { names: names.into(), values: values.into() }
    }
}

impl<N: Into<SmolStr>> From<BTreeMap<N, Value>> for Record {
    fn from(map: BTreeMap<N, Value>) -> Self {
        map.into_iter().collect()
    }
}

impl<N: Into<SmolStr>, const COUNT: usize> From<[(N, Value); COUNT]> for Record {
    fn from(pairs: [(N, Value); COUNT]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a Record {
    type Item = (&'a SmolStr, &'a Value);
    type IntoIter = std::iter::Zip<std::slice::Iter<'a, SmolStr>, std::slice::Iter<'a, Value>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        // Slices that are shared need not be compared, and names mostly are.
        (Arc::ptr_eq(&self.names, &other.names) || self.names == other.names)
            && (Arc::ptr_eq(&self.values, &other.values) || self.values == other.values)
    }
}

impl Eq for Record {}

impl PartialOrd for Record {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Record {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names.hash(state);
        self.values.hash(state);
    }
}

/// INVARIANT (no patient in logs): names are the schema's, and values print their kind alone.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<SmolStr, Value>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(pairs: &[(&str, i64)]) -> Vec<(String, Value)> {
        pairs.iter().map(|(name, number)| ((*name).to_owned(), Value::Integer(*number))).collect()
    }

    /// Whatever is done to it, a record is what a map would be, also as text.
    #[test]
    fn a_record_is_a_map() {
        let mut map: BTreeMap<String, Value> = numbers(&[("b", 2), ("a", 1), ("b", 3)]).into_iter().collect();
        let mut record: Record = numbers(&[("b", 2), ("a", 1), ("b", 3)]).into_iter().collect();
        for (name, number) in [("c", 4), ("a", 5), ("", 6), ("bb", 7)] {
            let before = record.clone();
            record.insert(name, Value::Integer(number));
            map.insert(name.to_owned(), Value::Integer(number));
            assert_eq!(record, Record::from(map.clone()));
            assert_ne!(record, before, "the copy is left as it was");
            assert_eq!(serde_json::to_string(&record).unwrap(), serde_json::to_string(&map).unwrap());
        }
        let names: Vec<&str> = record.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, map.keys().collect::<Vec<_>>());
        assert_eq!(record.get("absent"), None);
        assert_eq!(record.get("a"), Some(&Value::Integer(5)));
        assert_eq!(
            (record.len(), record.contains_key("b"), record.contains_key("d")),
            (map.len(), true, false)
        );
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn records_are_ordered_as_maps_are() {
        let all =
            [&[][..], &[("a", 1)], &[("a", 1), ("b", 0)], &[("a", 2)], &[("b", 0)], &[("b", 0), ("c", 0)]];
        for one in all {
            for other in all {
                let map = |pairs| numbers(pairs).into_iter().collect::<BTreeMap<_, _>>();
                let record = |pairs| Record::from(map(pairs));
                assert_eq!(record(one).cmp(&record(other)), map(one).cmp(&map(other)));
            }
        }
    }

    #[test]
    fn only_equal_names_are_shared() {
        let record = Record::from([("a", Value::Integer(1))]);
        let other: Arc<[SmolStr]> = ["a".into()].into();
        let shared = record.sharing(|_| Arc::clone(&other), Value::clone);
        assert!(shared == record && Arc::ptr_eq(&shared.names, &other));
        let wrong = record.sharing(|_| ["b".into()].into(), Value::clone);
        assert_eq!(wrong, record);
    }
}
