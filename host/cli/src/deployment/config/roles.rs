//! Roles that the settings of workflows name and that nobody can have.
//!
//! Whoever has none of the roles of a step cannot take it, so a slip of the pen would leave approvals that nobody can
//! give and emergencies that nobody reviews. As with what policies name: nearly the name of a role that there is refuses
//! the load; any other is a note, since roles can stand in the state alone.

use assent_model::Facts;
use assent_policy::{MissingEntities, NOT_AMONG_ENTITIES, meant};

use super::OrganizationConfig;
use crate::deployment::places::Places;

/// The type of entities that are roles.
const ROLE: &str = "Role";

/// Roles that the settings name and the files do not have.
pub(crate) fn missing_roles(config: &OrganizationConfig, places: &Places, facts: &Facts) -> MissingEntities {
    let known = || facts.iter().filter(|entity| entity.id.kind == ROLE).map(|entity| entity.id.id.as_str());
    let mut missing = MissingEntities::default();
    for (setting, roles) in settings(config) {
        for (at, role) in
            roles.iter().enumerate().filter(|(_, role)| known().all(|known| known != role.as_str()))
        {
            let message = format!("`{}` names the role `{role}`, {NOT_AMONG_ENTITIES}", in_words(&setting));
            let problem = places.problem(&format!("{setting}/{at}"), message);
            match meant(role, known()) {
                Some(meant) => missing.slips.push(problem.with_help(format!(
                    "did you mean `{meant}`? if not, add `{ROLE}::\"{role}\"` to the entities"
                ))),
                None => missing.notes.push(problem),
            }
        }
    }
    missing
}

/// Each list of roles, with its place.
fn settings(config: &OrganizationConfig) -> Vec<(String, &[String])> {
    let mut settings = vec![];
    for (row, approval) in config.approvals.iter().enumerate() {
        settings.push((format!("/approval/{row}/roles"), &*approval.roles));
    }
    if let Some(table) = &config.break_glass {
        settings.push(("/break_glass/declarers".to_owned(), &table.declarers));
        settings.push(("/break_glass/reviewers".to_owned(), &table.reviewers));
    }
    if let Some(table) = &config.disclosure_decisions {
        settings.push(("/disclosure_decisions/withdrawing_roles".to_owned(), &table.withdrawing_roles));
    }
    settings
}

/// `approval.roles`, as other messages name a setting.
fn in_words(pointer: &str) -> String {
    let steps = pointer.split('/').filter(|step| !step.is_empty() && step.parse::<usize>().is_err());
    steps.collect::<Vec<_>>().join(".")
}
