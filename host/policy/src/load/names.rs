//! The organization's table from the names its callers use (AuthZEN) to Cedar's names.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::LoadProblem;
use crate::schema::Schema;
use crate::schema::types::{Action, EntityType};
use crate::source::known_names;

/// AuthZEN names to Cedar names. A type that is not listed is not known; an action that is not
/// listed has the same name in Cedar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Types of subjects to Cedar entity types.
    pub subjects: BTreeMap<String, String>,
    /// Types of resources to Cedar entity types.
    pub resources: BTreeMap<String, String>,
    /// Actions to Cedar actions: `read`, or in full `Hospital::Action::"read"`.
    pub actions: BTreeMap<String, String>,
}

/// The tables with what they name.
#[derive(Debug)]
pub(crate) struct ResolvedNames {
    pub(crate) subjects: HashMap<String, Arc<EntityType>>,
    pub(crate) resources: HashMap<String, Arc<EntityType>>,
    /// The listed actions and, by their own ids, all that no listed name hides.
    pub(crate) actions: HashMap<String, Arc<Action>>,
}

impl ResolvedNames {
    /// The Cedar entity type that a caller's type name means in a reference; else the name itself.
    pub(crate) fn type_name(&self, name: &str) -> String {
        let mapped = self.resources.get(name).or_else(|| self.subjects.get(name));
        mapped.map_or_else(|| name.to_owned(), |entity_type| entity_type.name.to_string())
    }
}

/// Resolves the tables against the schema; reports names that it does not have, each as a problem of
/// the "file" `names.TABLE.NAME`.
pub(super) fn resolve(names: &Names, schema: &Schema, problems: &mut Vec<LoadProblem>) -> ResolvedNames {
    let mut types = |table: &BTreeMap<String, String>, title: &str| {
        // Who read the tables knows their file, and finds the place by table and name.
        let mut resolved = HashMap::new();
        for (from, to) in table {
            match schema.types.get(to.as_str()) {
                Some(entity_type) => drop(resolved.insert(from.clone(), Arc::clone(entity_type))),
                None => problems.push(
                    LoadProblem::of_file(
                        &format!("{title}.{from}"),
                        format!("`{from}` is mapped to entity type `{to}`, which the schema does not have"),
                    )
                    .with_help(known_names(to, schema.types.keys().map(AsRef::as_ref))),
                ),
            }
        }
        resolved
    };
    let subjects = types(&names.subjects, "names.subjects");
    let resources = types(&names.resources, "names.resources");
    let mut actions = schema.actions.clone();
    for (from, to) in &names.actions {
        match schema.actions.get(to) {
            Some(action) => drop(actions.insert(from.clone(), Arc::clone(action))),
            None => {
                let ids = schema.actions.values().map(|action| action.id.as_str());
                problems.push(
                    LoadProblem::of_file(
                        &format!("names.actions.{from}"),
                        format!("`{from}` is mapped to action `{to}`, which the schema does not have"),
                    )
                    .with_help(known_names(to, ids)),
                );
            }
        }
    }
    ResolvedNames { subjects, resources, actions }
}
