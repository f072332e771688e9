//! The digest of one entity, of which a snapshot's digest is that of the set: what it is counted over, in which
//! order, and in which form.
//!
//! INVARIANT (a decision replays): records keep the digest of the facts for as long as their log is kept, and a
//! replay counts it again from the archived files. So the form is written down here and follows from nothing that
//! may change by itself, such as how a value is serialized or which of two values is the smaller. Everything has its
//! length before it, so no two entities have one form.

use assent_model::{Digest, Entity, EntityId, Record, Value};

/// The first part. Whoever changes the form changes its number: what was recorded before is then other facts, which
/// a replay says, and not these by chance.
const FORM: &[u8] = b"assent-entity-1";

/// The digest of an entity: the SHA-256 of these parts, each of them after its length in bytes. Lengths and numbers
/// are eight bytes, most significant first, numbers in two's complement.
/// - [`FORM`], the entity's type and id.
/// - How many parents there are, and each as one part: its type and id, each after its length. They stand in the
///   order of these parts as bytes, so in none that has a meaning.
/// - The attributes as a record: how many members there are, then of each, in the order of the names as bytes, the
///   name and the parts of the value.
/// - Where attributes must be fresh: how many have a moment at which they were provided, and of each, in the order of
///   the names as bytes, the name and the moment as a number.
///
/// A value is its kind, as named in [`Form::value`], and then: of text and an IP address the text; of an integer, a
/// decimal (ten-thousandths), an instant (milliseconds since 1970 in UTC) and a duration (milliseconds) the number;
/// of a boolean one byte, 0 or 1; of a date the text `YYYY-MM-DD`; of an entity type and id; of a set what parents
/// have, each element as one part; of a record what attributes have.
///
/// Ancestors follow from the parents of others, so that they are not in it.
pub(super) fn of<'a>(entity: &Entity, parents: impl IntoIterator<Item = &'a EntityId>) -> Digest {
    let mut form = Form(vec![]);
    form.bytes(FORM);
    form.entity(&entity.id);
    form.set(parents.into_iter().map(|parent| Form::with(|form| form.entity(parent))));
    form.record(&entity.attributes);
    if let Some(provided) = &entity.provided {
        form.count(provided.len());
        for (name, moment) in provided.iter() {
            form.bytes(name.as_bytes());
            form.number(moment.as_millis());
        }
    }
    Digest::of(&form.0)
}

/// The parts so far.
struct Form(Vec<u8>);

impl Form {
    fn with(write: impl FnOnce(&mut Self)) -> Self {
        let mut form = Self(vec![]);
        write(&mut form);
        form
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend((bytes.len() as u64).to_be_bytes());
        self.0.extend(bytes);
    }

    fn number(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    fn count(&mut self, count: usize) {
        self.bytes(&(count as u64).to_be_bytes());
    }

    fn entity(&mut self, id: &EntityId) {
        self.bytes(id.kind.as_bytes());
        self.bytes(id.id.as_bytes());
    }

    fn set(&mut self, elements: impl Iterator<Item = Self>) {
        let mut elements: Vec<Vec<u8>> = elements.map(|element| element.0).collect();
        elements.sort();
        self.count(elements.len());
        elements.iter().for_each(|element| self.bytes(element));
    }

    fn record(&mut self, record: &Record) {
        self.count(record.len());
        for (name, value) in record {
            self.bytes(name.as_bytes());
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.bytes(b"text");
                self.bytes(text.as_bytes());
            }
            Value::Integer(integer) => {
                self.bytes(b"integer");
                self.number(*integer);
            }
            Value::Decimal(decimal) => {
                self.bytes(b"decimal");
                self.number(decimal.ten_thousandths());
            }
            Value::Boolean(boolean) => {
                self.bytes(b"boolean");
                self.bytes(&[u8::from(*boolean)]);
            }
            Value::Instant(instant) => {
                self.bytes(b"instant");
                self.number(instant.as_millis());
            }
            Value::Date(date) => {
                self.bytes(b"date");
                self.bytes(date.to_string().as_bytes());
            }
            Value::Duration(milliseconds) => {
                self.bytes(b"duration");
                self.number(*milliseconds);
            }
            Value::Ip(text) => {
                self.bytes(b"ip");
                self.bytes(text.as_bytes());
            }
            Value::Entity(id) => {
                self.bytes(b"entity");
                self.entity(id);
            }
            Value::Set(elements) => {
                self.bytes(b"set");
                self.set(elements.iter().map(|element| Self::with(|form| form.value(element))));
            }
            Value::Record(record) => {
                self.bytes(b"record");
                self.record(record);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use assent_model::{Decimal, Instant};
    use smol_str::SmolStr;

    use super::*;

    const TEXT: fn(&str) -> Value = |text| Value::Text(text.into());

    fn reference(kind: &str, id: &str) -> Value {
        Value::Entity(EntityId::new(kind, id))
    }

    fn provided(moments: &[(&str, i64)]) -> Option<Arc<BTreeMap<SmolStr, Instant>>> {
        let moment = |(name, at): &(&str, i64)| (SmolStr::from(*name), Instant::from_millis(*at).unwrap());
        Some(Arc::new(moments.iter().map(moment).collect()))
    }

    /// An entity and its parents, with every kind of value.
    #[derive(Clone)]
    struct Parts {
        entity: Entity,
        parents: Vec<EntityId>,
    }

    impl Parts {
        fn new() -> Self {
            let attributes = Record::from([
                ("text", TEXT("Zoë")),
                ("integer", Value::Integer(-3)),
                ("decimal", Value::Decimal(Decimal::from_ten_thousandths(2_500))),
                ("boolean", Value::Boolean(true)),
                ("instant", Value::Instant(Instant::from_millis(1_767_323_045_006).unwrap())),
                ("date", Value::Date("2012-02-29".parse().unwrap())),
                ("duration", Value::Duration(5_400_000)),
                ("ip", Value::Ip("10.0.0.0/8".into())),
                ("entity", reference("Patient", "pat")),
                ("set", Value::set([TEXT("R"), TEXT("PSY"), TEXT("N")])),
                (
                    "record",
                    Value::Record(Record::from([("who", reference("User", "omar")), ("at", TEXT(""))])),
                ),
            ]);
            let id = EntityId::new("Document", "note");
            let parents = vec![EntityId::new("Org", "clinic"), EntityId::new("Folder", "a")];
            Self { entity: Entity { id, attributes, ancestors: Arc::default(), provided: None }, parents }
        }

        fn digest(&self) -> Digest {
            of(&self.entity, &self.parents)
        }

        fn with(&self, change: impl FnOnce(&mut Self)) -> Digest {
            let mut changed = self.clone();
            change(&mut changed);
            changed.digest()
        }

        fn with_value(&self, name: &str, value: Value) -> Digest {
            self.with(|parts| parts.entity.attributes.insert(name, value))
        }
    }

    /// Counted apart from this code, from the form as it is described. Whoever sees this fail has changed what
    /// recorded facts are called.
    #[test]
    fn the_digest_of_an_entity_stays_what_it_is() {
        let expected = "233528e3322c090af8e561959588f1b6d2065a3f8b79b33ff8b70f6cfb99c4f2";
        assert_eq!(Parts::new().digest().to_string(), expected);
    }

    #[test]
    fn each_part_of_an_entity_changes_its_digest() {
        let parts = Parts::new();
        let mut digests = vec![
            parts.digest(),
            parts.with(|p| p.entity.id.kind = "Documents".into()),
            parts.with(|p| p.entity.id.id = "notes".into()),
            parts.with(|p| p.parents.truncate(1)),
            parts.with(|p| p.parents.clear()),
            parts.with(|p| p.parents[0].kind = "Orgs".into()),
            parts.with(|p| p.parents[0].id = "clinics".into()),
            parts.with(|p| p.entity.provided = provided(&[("text", 5)])),
            parts.with(|p| p.entity.provided = provided(&[("text", 6)])),
            parts.with(|p| p.entity.provided = provided(&[("date", 5)])),
            parts.with(|p| p.entity.provided = provided(&[("date", 5), ("text", 5)])),
            parts.with_value("another", Value::Boolean(true)),
        ];
        let others = [
            ("text", TEXT("Zoe")),
            ("integer", Value::Integer(3)),
            ("decimal", Value::Decimal(Decimal::from_ten_thousandths(2_501))),
            ("boolean", Value::Boolean(false)),
            ("instant", Value::Instant(Instant::from_millis(1_767_323_045_007).unwrap())),
            ("date", Value::Date("2012-02-28".parse().unwrap())),
            ("duration", Value::Duration(5_400_001)),
            ("ip", Value::Ip("10.0.0.0/9".into())),
            ("entity", reference("Patient", "pal")),
            ("entity", reference("Person", "pat")),
            ("set", Value::set([TEXT("R"), TEXT("PSY"), TEXT("V")])),
            ("set", Value::set([TEXT("R"), TEXT("PSY")])),
            ("set", Value::set([])),
            ("record", Value::Record(Record::from([("who", reference("User", "omar")), ("at", TEXT("x"))]))),
            ("record", Value::Record(Record::from([("who", reference("User", "omar")), ("on", TEXT(""))]))),
            ("record", Value::Record(Record::from([("who", reference("User", "omar"))]))),
        ];
        let count = others.len();
        digests.extend(others.map(|(name, value)| parts.with_value(name, value)));
        let names: Vec<_> = parts.entity.attributes.iter().map(|(name, _)| name.clone()).collect();
        for name in &names {
            let without = |(other, value): (&smol_str::SmolStr, &Value)| {
                (other != name).then(|| (other.clone(), value.clone()))
            };
            let attributes = parts.entity.attributes.iter().filter_map(without).collect();
            digests.push(parts.with(|p| p.entity.attributes = attributes));
        }
        let different: BTreeSet<_> = digests.iter().copied().collect();
        assert_eq!((different.len(), digests.len()), (digests.len(), 12 + count + names.len()));
    }

    /// Values of several kinds that hold the same bytes.
    #[test]
    fn the_kind_of_a_value_and_what_moves_to_the_next_place_change_the_digest() {
        let values = [
            TEXT("2012-02-29"),
            Value::Date("2012-02-29".parse().unwrap()),
            Value::Ip("2012-02-29".into()),
            Value::Integer(5),
            Value::Decimal(Decimal::from_ten_thousandths(5)),
            Value::Instant(Instant::from_millis(5).unwrap()),
            Value::Duration(5),
            reference("ab", "c"),
            reference("a", "bc"),
            Value::set([TEXT("a"), TEXT("b")]),
            Value::set([TEXT("ab")]),
            Value::set([Value::set([TEXT("a")]), Value::set([TEXT("b")])]),
            Value::set([Value::set([TEXT("a"), TEXT("b")])]),
            Value::Record(Record::from([("a", TEXT("b"))])),
            Value::Record(Record::from([("ab", TEXT(""))])),
        ];
        let count = values.len();
        let digests = values.map(|value| Parts::new().with_value("text", value));
        assert_eq!(BTreeSet::from(digests).len(), count);
    }

    #[test]
    fn the_order_of_parents_and_elements_and_the_ancestors_do_not_matter() {
        let parts = Parts::new();
        let elements = vec![TEXT("R"), TEXT("N"), TEXT("PSY")];
        assert_eq!(parts.with(|p| p.parents.reverse()), parts.digest());
        assert_eq!(parts.with(|p| p.entity.ancestors = p.parents.clone().into()), parts.digest());
        assert_eq!(parts.with_value("set", Value::Set(elements)), parts.digest());
    }
}
