//! Builds a snapshot of entities that were read and whose references were checked: the closed
//! hierarchy, Cedar's form, the facts, and the graph that slices walk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use assent_model::{Digest, Entity, EntityId, Facts};
use cedar_policy_core::ast;
use cedar_policy_core::entities::{Entities, TCComputation};
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::CoreSchema;
use smol_str::SmolStr;

use super::load::Read;
use super::{Inner, Node, Snapshot};
use crate::error::{LoadErrors, LoadProblem};
use crate::policies::Policies;
use crate::schema::types::EntityType;
use crate::value::{references, to_cedar};

/// All ancestors of each entity, in the order of `all`; reports circles.
pub(super) fn close(all: &[Read], problems: &mut Vec<LoadProblem>) -> Vec<BTreeSet<EntityId>> {
    let places: HashMap<&EntityId, usize> =
        all.iter().enumerate().map(|(place, read)| (&read.id, place)).collect();
    all.iter()
        .map(|read| {
            let mut ancestors = BTreeSet::new();
            let mut queue: Vec<&EntityId> = read.parents.iter().collect();
            while let Some(next) = queue.pop() {
                if ancestors.insert(next.clone()) {
                    let parents =
                        places.get(next).and_then(|place| all.get(*place)).map(|read| &read.parents);
                    queue.extend(parents.into_iter().flatten());
                }
            }
            if ancestors.contains(&read.id) {
                problems.push(read.origin.problem(format!("`{}` is its own ancestor", read.id)));
            }
            ancestors
        })
        .collect()
}

/// Builds the snapshot.
///
/// # Errors
/// What Cedar's own values or its own check of entities refuse.
pub(super) fn build(
    policies: &Policies,
    all: Vec<Read>,
    ancestors: &[BTreeSet<EntityId>],
) -> Result<Snapshot, LoadErrors> {
    let uids: HashMap<EntityId, Arc<ast::EntityUID>> =
        all.iter().map(|read| (read.id.clone(), Arc::new(uid(&read.entity_type, &read.id.id)))).collect();
    let nodes: HashMap<EntityId, u32> =
        all.iter().zip(0_u32..).map(|(read, place)| (read.id.clone(), place)).collect();
    let mut problems = Vec::new();
    let mut graph = Vec::with_capacity(all.len());
    for (read, ancestors) in all.into_iter().zip(ancestors) {
        let lookup = |id: &EntityId| uids.get(id).cloned();
        let mut attributes: BTreeMap<SmolStr, ast::PartialValue> = BTreeMap::new();
        for (name, value) in &read.attributes {
            match to_cedar(value, &lookup) {
                Some(value) => drop(attributes.insert(name.as_str().into(), value.into())),
                None => {
                    problems.push(read.origin.problem(format!("`{}`: attrs.{name} is out of range", read.id)))
                }
            }
        }
        let own_uid = uids.get(&read.id).cloned();
        let Some(own_uid) = own_uid else { continue };
        let to_uids = |ids: &mut dyn Iterator<Item = &EntityId>| {
            ids.filter_map(|id| uids.get(id)).map(|uid| uid.as_ref().clone()).collect()
        };
        let cedar = ast::Entity::new_with_attr_partial_value(
            own_uid.as_ref().clone(),
            attributes,
            to_uids(&mut ancestors.iter().filter(|ancestor| !read.parents.contains(*ancestor))),
            to_uids(&mut read.parents.iter()),
            [],
        );
        let mut neighbours: BTreeSet<u32> =
            ancestors.iter().filter_map(|id| nodes.get(id)).copied().collect();
        for value in read.attributes.values() {
            references(value, &mut |id| neighbours.extend(nodes.get(id)));
        }
        graph.push(Node {
            uid: own_uid,
            cedar: Arc::new(cedar),
            model: Arc::new(Entity {
                id: read.id,
                attributes: read.attributes,
                ancestors: ancestors.iter().cloned().collect(),
            }),
            neighbours: neighbours.into_iter().collect(),
        });
    }
    LoadErrors::check(problems)?;
    let actions = policies.schema.actions.values().map(|action| Arc::clone(&action.entity));
    // Actions are listed by id and by full name; `add_entities` takes equal repetitions.
    let cedar = Entities::new()
        .add_entities(
            graph.iter().map(|node| Arc::clone(&node.cedar)).chain(actions),
            // Our reader has checked all of this; Cedar's own check is a second lock.
            Some(&CoreSchema::new(policies.schema.validator())),
            TCComputation::EnforceAlreadyComputed,
            Extensions::all_available(),
        )
        .map_err(|error| LoadErrors(vec![LoadProblem::of_file("entities", error.to_string())]))?;
    let facts = Facts::new(graph.iter().map(|node| node.model.as_ref().clone()), policies.schema.kinds());
    let digest = digest(&graph)?;
    let looked_up: HashSet<&ast::EntityUID> = policies.looked_up.iter().map(AsRef::as_ref).collect();
    let roots = graph
        .iter()
        .zip(0_u32..)
        .filter(|(node, _)| looked_up.contains(node.uid.as_ref()))
        .map(|(_, place)| place)
        .collect();
    let inner = Inner { cedar: Arc::new(cedar.into()), facts: Arc::new(facts), digest, nodes, graph, roots };
    Ok(Snapshot { inner: Arc::new(inner) })
}

/// The Cedar name of an entity.
pub(crate) fn uid(entity_type: &EntityType, id: &str) -> ast::EntityUID {
    ast::EntityUID::from_components(entity_type.cedar.clone(), ast::Eid::new(id), None)
}

fn digest(graph: &[Node]) -> Result<Digest, LoadErrors> {
    let mut parts: Vec<Vec<u8>> = Vec::with_capacity(graph.len() * 2);
    for node in graph {
        let text = serde_json::to_vec(node.model.as_ref())
            .map_err(|error| LoadErrors(vec![LoadProblem::of_file("entities", error.to_string())]))?;
        parts.push(text);
    }
    Ok(Digest::of_parts(parts.iter().map(Vec::as_slice)))
}
