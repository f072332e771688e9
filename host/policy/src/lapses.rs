//! What ends soon: moments that the schema marks with `@lapses`, such as the end of a role or the day by which a
//! grant must be certified anew; and the moments from which facts are older than `@fresh` lets them be.

use std::collections::{BTreeMap, BTreeSet};

use assent_model::{Entity, EntityId, Instant, Value};
use smol_str::SmolStr;

use crate::entities::Snapshot;
use crate::policies::Policies;

/// What ends where a fact becomes older than it may be (`@fresh`).
const FRESHNESS: SmolStr = SmolStr::new_static("freshness");

/// Something that ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lapse {
    /// When.
    pub at: Instant,
    /// The entity that it is an attribute of.
    pub entity: EntityId,
    /// The attribute.
    pub attribute: String,
    /// What ends, in the schema's word.
    pub what: String,
}

/// INVARIANT (no patient in logs): the type is printed.
impl std::fmt::Debug for Lapse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lapse({}, {:?}, {})", self.at, self.entity, self.attribute)
    }
}

impl Policies {
    /// What ends from one moment on and before another, in its order; at most `limit`. Goes through all entities.
    #[must_use]
    pub fn lapses(&self, snapshot: &Snapshot, (from, until): (Instant, Instant), limit: usize) -> Vec<Lapse> {
        let types = &self.schema.types;
        let marked = |entity: &Entity| {
            let attributes = types.get(entity.id.kind.as_str()).into_iter().flat_map(|of| &of.attributes);
            let ends = attributes.filter_map(|(name, attribute)| {
                let at = entity.attributes.get(name).and_then(Value::as_instant)?;
                Some((name.clone(), at, attribute.lapses.clone()?))
            });
            let ages = self.schema.fresh_until(entity);
            ends.chain(ages.map(|(name, until)| (name.clone(), until, FRESHNESS))).collect::<Vec<_>>()
        };
        // The first so many alone are kept, however many end.
        let mut found = BTreeSet::new();
        for entity in snapshot.facts().iter() {
            for (name, at, what) in marked(entity) {
                if !(from..until).contains(&at) {
                    continue;
                }
                let (attribute, what) = (name.to_string(), what.to_string());
                found.insert(Lapse { at, entity: entity.id.clone(), attribute, what });
                if found.len() > limit {
                    found.pop_last();
                }
            }
        }
        found.into_iter().collect()
    }

    /// Whether entities of this type have a fact that must be fresh.
    #[must_use]
    pub fn must_be_fresh(&self, kind: &str) -> bool {
        let attributes = self.schema.types.get(kind).into_iter().flat_map(|of| of.attributes.values());
        attributes.map(|attribute| attribute.fresh).any(|fresh| fresh.is_some())
    }

    /// How many facts are older than they may be at a moment, by entity type and attribute. Goes through all entities.
    #[must_use]
    pub fn stale_facts(&self, snapshot: &Snapshot, now: Instant) -> BTreeMap<(String, String), usize> {
        let mut counts = BTreeMap::new();
        for entity in snapshot.facts().iter() {
            if let Some(attribute) = self.schema.stale(entity, now) {
                *counts.entry((entity.id.kind.to_string(), attribute.to_string())).or_default() += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use crate::{Names, SourceFile, load};

    #[test]
    fn what_the_schema_marks_is_told_in_its_order_and_nothing_else() {
        let schema = "entity Grant = { @lapses(\"grant\") end?: datetime, @lapses(\"check\") by?: datetime,
                      other?: datetime }; action a appliesTo { principal: Grant, resource: Grant };";
        let schema = [SourceFile::new("s.cedarschema", schema)];
        let names = Names { subjects: [].into(), resources: [].into(), actions: [].into() };
        let policies = load(&schema, &[], names).unwrap_or_else(|errors| panic!("{errors}"));
        let entity = |id: &str, attrs: &str| {
            format!(
                "{{\"uid\": {{\"type\": \"Grant\", \"id\": \"{id}\"}}, \"attrs\": {attrs}, \"parents\": []}}"
            )
        };
        let entities = [
            entity("a", r#"{"end": "2026-03-01T00:00:00Z", "other": "2026-01-05T00:00:00Z"}"#),
            entity("b", r#"{"end": "2026-01-31T23:59:59Z", "by": "2026-01-01T00:00:00Z"}"#),
            entity("c", r#"{"end": "2026-02-01T00:00:00Z", "by": "2025-12-31T23:59:59Z"}"#),
            entity("d", "{}"),
        ];
        let file = SourceFile::new("e.json", format!("[{}]", entities.join(",")));
        let snapshot = policies.load_entities(&[file]).unwrap_or_else(|errors| panic!("{errors}"));
        let january = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"].map(|at| at.parse().unwrap());
        let told = |limit| {
            let found = policies.lapses(&snapshot, (january[0], january[1]), limit);
            found.iter().map(|l| format!("{} {} {}", l.entity.id, l.attribute, l.what)).collect::<Vec<_>>()
        };
        assert_eq!(told(9), ["b by check", "b end grant"]);
        assert_eq!(told(1), ["b by check"]);
    }
}
