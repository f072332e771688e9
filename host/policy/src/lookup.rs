//! Which names of a request nobody has, for those who write requests beside the policies.
//!
//! A decision is refused for the first unknown name and does not repeat it; who writes a test case
//! wants all of them, each with the nearest that exists. Messages quote the request: they are for its
//! author only.

use assent_model::{EntityId, Party, Request};

use crate::entities::Snapshot;
use crate::policies::Policies;
use crate::schema::types::EntityType;
use crate::source::{known_names, suggestion};

/// A name in a request that nobody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// Where in the request: `subject.type`, `action.name`, `resource.id`.
    pub path: &'static str,
    /// What is wrong.
    pub message: String,
    /// The nearest name, or the names there are.
    pub help: Option<String>,
}

impl Policies {
    /// The types, the action and the ids of a request that are in no table and among no entities.
    pub fn unknown_names(&self, snapshot: &Snapshot, request: &Request) -> Vec<UnknownName> {
        let mut unknown = Vec::new();
        let subjects = &self.names.subjects;
        let resources = &self.names.resources;
        let parties = [
            (&request.subject, subjects, ["subject.type", "subject.id"]),
            (&request.resource, resources, ["resource.type", "resource.id"]),
        ];
        for (party, types, [type_path, id_path]) in parties {
            match types.get(&party.kind) {
                Some(entity_type) => {
                    unknown.extend(unknown_id(snapshot, party, entity_type, id_path));
                }
                None => unknown.push(UnknownName {
                    path: type_path,
                    message: format!("the type `{}` is not mapped to an entity type", party.kind),
                    help: Some(known_names(&party.kind, types.keys().map(String::as_str))),
                }),
            }
        }
        let action = &request.action.name;
        if !self.names.actions.contains_key(action) {
            // The table also holds each action under its full name, and groups, which nobody asks for.
            let asked =
                self.names.actions.iter().filter(|(name, known)| !name.contains("::\"") && known.applies());
            unknown.push(UnknownName {
                path: "action.name",
                message: format!("the action `{action}` is not known"),
                help: Some(known_names(action, asked.map(|(name, _)| name.as_str()))),
            });
        }
        unknown
    }
}

fn unknown_id(
    snapshot: &Snapshot,
    party: &Party,
    entity_type: &EntityType,
    path: &'static str,
) -> Option<UnknownName> {
    let id = EntityId::new(&*entity_type.name, &party.id);
    if entity_type.caller_may_supply || snapshot.entity(&id).is_some() {
        return None;
    }
    let same_type = snapshot.facts().iter().filter(|other| other.id.kind == id.kind);
    Some(UnknownName {
        path,
        message: format!("`{id}` is not among the entities"),
        help: suggestion(&id.id, same_type.map(|other| other.id.id.as_str())),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{policies, request, snapshot};

    #[test]
    fn every_unknown_name_is_reported_with_the_nearest() {
        let policies = policies(&["permit(principal, action, resource);"]);
        let snapshot = snapshot(&policies);
        let cases = [
            ((("user", "nina"), "can_view", ("doc", "note")), vec![]),
            // Described by its caller: need not be stored.
            ((("user", "nina"), "export", ("set", "any")), vec![]),
            (
                (("usr", "nina"), "can_veiw", ("doc", "notes")),
                vec![
                    "subject.type: the type `usr` is not mapped to an entity type; did you mean `user`?",
                    "resource.id: `Document::\"notes\"` is not among the entities; did you mean `note`?",
                    "action.name: the action `can_veiw` is not known; did you mean `can_view`?",
                ],
            ),
            (
                (("user", "somebody-else"), "fly", ("doc", "note")),
                vec![
                    "subject.id: `User::\"somebody-else\"` is not among the entities",
                    "action.name: the action `fly` is not known; known are `can_view`, `export`, `history`, `view`",
                ],
            ),
        ];
        for ((subject, action, resource), expected) in cases {
            let request = request(subject, action, resource, &json!({}));
            let shown: Vec<String> = policies
                .unknown_names(&snapshot, &request)
                .into_iter()
                .map(|unknown| {
                    let help = unknown.help.map(|help| format!("; {help}")).unwrap_or_default();
                    format!("{}: {}{help}", unknown.path, unknown.message)
                })
                .collect();
            assert_eq!(shown, expected, "{request:?}");
        }
    }
}
