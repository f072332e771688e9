//! Tests of the look-ups: whatever was changed, they answer as a map would, and clones stay as they were.

use proptest::prelude::*;

use super::*;

/// What facts must answer, said with a map and without an index.
type Naive = BTreeMap<EntityId, Entity>;

const TYPES: [&str; 8] = ["Patient", "Person", "Proxy", "Care", "Approval", "Consent", "Decision", "Codes"];

fn kinds() -> BTreeMap<String, EntityKind> {
    let relation = |from: &str, to: &str| EntityKind::Relation { from: from.into(), to: to.into() };
    BTreeMap::from([
        ("Patient".to_owned(), EntityKind::Patient),
        ("Proxy".to_owned(), relation("person", "patient")),
        ("Care".to_owned(), relation("requester", "patient")),
        ("Approval".to_owned(), EntityKind::Approval),
        ("Consent".to_owned(), EntityKind::Consent),
        ("Decision".to_owned(), EntityKind::DisclosureDecision),
        ("Codes".to_owned(), EntityKind::ValueSet),
    ])
}

fn ends() -> impl Iterator<Item = EntityId> {
    (0..3).map(|number| EntityId::new("Person", format!("e{number}")))
}

prop_compose! {
    fn entity()(
        kind in proptest::sample::select(&TYPES[..]),
        id in 0_u8..4,
        attributes in proptest::collection::btree_map(
            proptest::sample::select(&["person", "patient", "requester"][..]), 0_u8..3, 0..4),
        version in 0_i64..3,
    ) -> Entity {
        let end = |number: u8| Value::Entity(EntityId::new("Person", format!("e{number}")));
        let mut attributes: crate::Record =
            attributes.into_iter().map(|(name, number)| (name, end(number))).collect();
        attributes.insert("version", Value::Integer(version));
        Entity { id: EntityId::new(kind, format!("x{id}")), attributes, ancestors: Arc::default(), provided: None }
    }
}

/// Everything that can be asked, as text.
fn answers(facts: &Facts) -> Vec<String> {
    let mut answers = vec![facts.len().to_string(), facts.is_empty().to_string()];
    let mut all: Vec<_> = facts.iter().map(shown).collect();
    all.sort();
    answers.extend(all);
    let list = |found: &mut dyn Iterator<Item = &Arc<Entity>>| found.map(shown).collect::<Vec<_>>().join(" ");
    for end in ends() {
        for kind in TYPES {
            for to in ends() {
                answers.push(list(&mut facts.relations(kind, &end, &to)));
            }
        }
        answers.push(list(&mut facts.approvals(&end)));
        answers.push(list(&mut facts.consents(&end)));
        answers.push(list(&mut facts.disclosure_decisions(&end)));
    }
    for kind in TYPES {
        for number in 0..4 {
            let id = EntityId::new(kind, format!("x{number}"));
            answers.push(list(&mut facts.get(&id).into_iter()));
            answers.push(list(&mut facts.value_set(&id.id).into_iter()));
            assert_eq!(facts.number(&id).and_then(|number| facts.numbered(number)), facts.get(&id));
        }
    }
    answers
}

fn naive_answers(naive: &Naive) -> Vec<String> {
    let mut answers = vec![naive.len().to_string(), naive.is_empty().to_string()];
    let mut all: Vec<_> = naive.values().map(shown).collect();
    all.sort();
    answers.extend(all);
    let has = |entity: &Entity, name: &str, end: &EntityId| reference(entity, name) == Some(end);
    let list = |matches: &dyn Fn(&Entity) -> bool| {
        naive.values().filter(|entity| matches(entity)).map(shown).collect::<Vec<_>>().join(" ")
    };
    for end in ends() {
        for kind in TYPES {
            let from = match kind {
                "Proxy" => "person",
                "Care" => "requester",
                _ => "none",
            };
            for to in ends() {
                answers.push(list(&|entity| {
                    entity.id.kind == kind && has(entity, from, &end) && has(entity, "patient", &to)
                }));
            }
        }
        answers.push(list(&|entity| entity.id.kind == "Approval" && has(entity, "requester", &end)));
        answers.push(list(&|entity| entity.id.kind == "Consent" && has(entity, "patient", &end)));
        answers.push(list(&|entity| entity.id.kind == "Decision" && has(entity, "patient", &end)));
    }
    for kind in TYPES {
        for number in 0..4 {
            let id = EntityId::new(kind, format!("x{number}"));
            answers.push(list(&|entity| entity.id == id));
            answers.push(list(&|entity| entity.id == EntityId::new("Codes", id.id.clone())));
        }
    }
    answers
}

fn shown(entity: impl AsRef<Entity>) -> String {
    serde_json::to_string(entity.as_ref()).unwrap()
}

impl AsRef<Entity> for Entity {
    fn as_ref(&self) -> &Entity {
        self
    }
}

proptest! {
    /// After any changes facts answer as a map does, and what was cloned before answers as before.
    #[test]
    fn facts_answer_as_a_map_does_and_clones_stay_as_they_were(
        changes in proptest::collection::vec((entity(), any::<bool>()), 0..16),
    ) {
        let mut facts = Facts::new([], kinds());
        let mut naive = Naive::new();
        let mut before = vec![];
        for (entity, put) in changes {
            before.push((facts.clone(), answers(&facts)));
            if put {
                naive.insert(entity.id.clone(), entity.clone());
                facts.put(Arc::new(entity)).unwrap();
            } else {
                naive.remove(&entity.id);
                facts.remove(&entity.id);
            }
            prop_assert_eq!(answers(&facts), naive_answers(&naive));
        }
        for (clone, answered) in before {
            prop_assert_eq!(answers(&clone), answered);
        }
        let anew = Facts::new(naive.values().cloned(), kinds());
        prop_assert_eq!(answers(&anew), answers(&facts));
    }
}

#[test]
fn an_entity_keeps_its_number_until_it_is_taken_out_and_then_another_gets_it() {
    let entity = |id: &str| Entity {
        id: EntityId::new("Person", id),
        attributes: Default::default(),
        ancestors: Arc::default(),
        provided: None,
    };
    let mut facts = Facts::new([entity("a"), entity("b")], kinds());
    let number = |facts: &Facts, id: &str| facts.number(&EntityId::new("Person", id));
    assert_eq!((number(&facts, "a"), number(&facts, "b"), number(&facts, "c")), (Some(0), Some(1), None));
    assert_eq!(facts.put(Arc::new(entity("a"))), Some(0));
    facts.remove(&EntityId::new("Person", "a"));
    facts.remove(&EntityId::new("Person", "a"));
    assert_eq!((facts.put(Arc::new(entity("c"))), number(&facts, "a")), (Some(0), None));
    assert_eq!((facts.put(Arc::new(entity("d"))), facts.len()), (Some(2), 3));
}

#[test]
fn the_first_of_two_value_sets_by_type_counts() {
    let kinds = ["B", "A"].map(|kind| (kind.to_owned(), EntityKind::ValueSet));
    let entity = |kind: &str| Entity {
        id: EntityId::new(kind, "codes"),
        attributes: Default::default(),
        ancestors: Arc::default(),
        provided: None,
    };
    let mut facts = Facts::new([entity("B"), entity("A")], BTreeMap::from(kinds));
    assert_eq!(facts.value_set("codes").unwrap().id.kind, "A");
    facts.remove(&EntityId::new("A", "codes"));
    assert_eq!(facts.value_set("codes").unwrap().id.kind, "B");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// The same with as many entities as make the trees several levels deep.
    #[test]
    fn thousands_of_entities_are_found_as_in_a_map(
        changes in proptest::collection::vec((0_u16..3_000, 0_u8..3), 0..8_000),
    ) {
        let entity = |number: u16, version: usize| Entity {
            id: EntityId::new("Consent", format!("consent-with-a-long-name-{number}")),
            attributes: [
                ("patient", Value::Entity(EntityId::new("Patient", format!("p{}", number % 50)))),
                ("version", Value::Integer(version as i64)),
            ].into(),
            ancestors: Arc::default(),
            provided: None,
        };
        let (mut facts, mut naive) = (Facts::new([], kinds()), Naive::new());
        let mut copies = vec![];
        for (version, (number, remove)) in changes.into_iter().enumerate() {
            if version % 2_000 == 0 {
                copies.push((facts.clone(), naive.clone()));
            }
            let entity = entity(number, version);
            if remove == 0 {
                facts.remove(&entity.id);
                naive.remove(&entity.id);
            } else {
                naive.insert(entity.id.clone(), entity.clone());
                facts.put(Arc::new(entity)).unwrap();
            }
        }
        copies.push((facts, naive));
        for (facts, naive) in copies {
            prop_assert_eq!(facts.len(), naive.len());
            prop_assert_eq!(facts.iter().count(), naive.len());
            for (id, entity) in &naive {
                prop_assert_eq!(facts.get(id).map(AsRef::as_ref), Some(entity));
            }
            for number in 0..50 {
                let patient = EntityId::new("Patient", format!("p{number}"));
                let expected = naive.values().filter(|entity| reference(entity, PATIENT) == Some(&patient));
                prop_assert!(facts.consents(&patient).map(AsRef::as_ref).eq(expected));
            }
        }
    }
}
