//! What a plugin asks to know, and whether the organization has granted it.
//!
//! INVARIANT (needs are capabilities): a guest is handed the facts that it named and that were
//! granted to its binding by the same name, and nothing else. Needs are read once, when a release
//! is built; a call only follows them.

use std::collections::BTreeSet;

use assent_model::EntityId;
use serde::{Deserialize, Serialize};

use crate::error::AdmissionProblem;

/// The most needs of one kind: lowering a hundred texts costs 10 µs, and a rule that reads more
/// is better split.
pub(crate) const NEEDS_MAX: usize = 128;
/// The longest path, name or group.
const NEED_MAX_BYTES: usize = 256;
/// The most steps in a path: more would walk the entity graph.
const STEPS_MAX: usize = 8;
/// Where a path can begin.
const ROOTS: [&str; 5] = ["subject", "resource", "patient", "context", "action"];

/// A relation that the plugin wants to see between the subject and the patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationNeed {
    /// The entity type that holds it, such as `ProxyGrant`.
    pub kind: String,
    /// Its attributes to hand over, in this order.
    pub attributes: Vec<String>,
}

/// What a plugin needs to know, well-formed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Paths such as `patient.birthDate`.
    pub attributes: Vec<String>,
    /// Groups of which the plugin wants to know whether the subject is in them.
    pub memberships: Vec<EntityId>,
    /// Relations from the subject to the patient.
    pub relations: Vec<RelationNeed>,
    /// Kinds of approvals that the subject asked for.
    pub approvals: Vec<String>,
    /// The patient's consents.
    pub consents: bool,
    /// The professional disclosure decisions about the patient.
    pub disclosure_decisions: bool,
    /// Value sets by name.
    pub value_sets: Vec<String>,
}

/// Needs as a guest returned them.
pub(crate) struct RawNeeds {
    pub(crate) attributes: Vec<String>,
    pub(crate) memberships: Vec<String>,
    pub(crate) relations: Vec<RelationNeed>,
    pub(crate) approvals: Vec<String>,
    pub(crate) consents: bool,
    pub(crate) disclosure_decisions: bool,
    pub(crate) value_sets: Vec<String>,
}

impl Needs {
    /// Every need as the grant that meets it, in the order of the needs.
    pub fn grants(&self) -> Vec<String> {
        let mut grants = self.attributes.clone();
        grants.extend(self.memberships.iter().map(|group| format!("membership:{group}")));
        grants.extend(self.relations.iter().map(|relation| format!("relation:{}", relation.kind)));
        grants.extend(self.approvals.iter().map(|kind| format!("approvals:{kind}")));
        grants.extend(self.consents.then(|| "consents".to_owned()));
        grants.extend(self.disclosure_decisions.then(|| "disclosure-decisions".to_owned()));
        grants.extend(self.value_sets.iter().map(|name| format!("value-set:{name}")));
        grants
    }

    /// The needs that these are, or everything that is wrong with them.
    pub(crate) fn read(raw: RawNeeds) -> Result<Self, Vec<AdmissionProblem>> {
        let mut problems = Vec::new();
        let mut check =
            |needs: &[String], what: &'static str, well_formed: fn(&str) -> bool, expected: &str| {
                let mut seen = BTreeSet::new();
                if needs.len() > NEEDS_MAX {
                    let message =
                        format!("at most {NEEDS_MAX} {what} can be asked for, found {}", needs.len());
                    problems.push(AdmissionProblem::Description { field: "needs", message });
                    return;
                }
                for need in needs {
                    if need.len() > NEED_MAX_BYTES || !well_formed(need) {
                        let shown = need.chars().take(80).collect();
                        problems.push(AdmissionProblem::Need { need: shown, message: expected.to_owned() });
                    } else if !seen.insert(need) {
                        let message = format!("asked for twice among the {what}; once is enough");
                        problems.push(AdmissionProblem::Need { need: need.clone(), message });
                    }
                }
            };
        check(&raw.attributes, "attributes", is_path, EXPECTED_PATH);
        check(&raw.memberships, "memberships", |text| group(text).is_some(), EXPECTED_GROUP);
        let kinds: Vec<_> = raw.relations.iter().map(|relation| relation.kind.clone()).collect();
        check(&kinds, "relations", is_type, "expected the entity type of a relation, such as `ProxyGrant`");
        for relation in &raw.relations {
            let attributes = &relation.attributes;
            check(
                attributes,
                "attributes of a relation",
                is_name,
                "expected the name of an attribute of the relation",
            );
        }
        check(&raw.approvals, "approvals", is_word, "expected a kind of approval, such as `export`");
        check(&raw.value_sets, "value sets", is_word, "expected the name of a value set, without blanks");
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            attributes: raw.attributes,
            memberships: raw.memberships.iter().filter_map(|text| group(text)).collect(),
            relations: raw.relations,
            approvals: raw.approvals,
            consents: raw.consents,
            disclosure_decisions: raw.disclosure_decisions,
            value_sets: raw.value_sets,
        })
    }

    /// Everything that stands between these needs and these grants.
    pub(crate) fn check_grants(&self, grants: &BTreeSet<String>) -> Vec<AdmissionProblem> {
        let needed = self.grants();
        let missing = needed.iter().filter(|need| !grants.contains(*need));
        let ungranted = missing.map(|need| AdmissionProblem::Ungranted { need: need.clone() });
        let superfluous = grants.iter().filter(|grant| !needed.contains(grant)).map(|grant| {
            let nearest = nearest(grant, &needed);
            if is_grant(grant) {
                AdmissionProblem::UnusedGrant { grant: grant.clone(), nearest }
            } else {
                AdmissionProblem::UnknownGrant { grant: grant.clone(), nearest }
            }
        });
        ungranted.chain(superfluous).collect()
    }
}

const EXPECTED_PATH: &str = "expected a path such as `patient.birthDate`: it begins with `subject`, `resource`, `patient`, `context` or `action`, and has 2 to 8 steps";
const EXPECTED_GROUP: &str = "expected a group by its Cedar name, such as `Role::\"privacy-officer\"`";

fn is_grant(text: &str) -> bool {
    match text.split_once(':') {
        None => matches!(text, "consents" | "disclosure-decisions") || is_path(text),
        Some(("membership", rest)) => group(rest).is_some(),
        Some(("relation", rest)) => is_type(rest),
        Some(("approvals" | "value-set", rest)) => is_word(rest),
        Some(_) => false,
    }
}

fn is_path(text: &str) -> bool {
    let steps: Vec<_> = text.split('.').collect();
    (2..=STEPS_MAX).contains(&steps.len())
        && steps.first().is_some_and(|root| ROOTS.contains(root))
        && steps.iter().all(|step| is_name(step))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_type(text: &str) -> bool {
    !text.is_empty() && text.split("::").all(is_name)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control())
}

/// The entity that a name such as `Role::"nurse"` means. Escapes are not read: no group needs them.
fn group(text: &str) -> Option<EntityId> {
    let (kind, id) = text.strip_suffix('"')?.split_once("::\"")?;
    let plain = !id.is_empty() && id.chars().all(|c| c != '"' && c != '\\' && !c.is_control());
    (is_type(kind) && plain).then(|| EntityId::new(kind, id))
}

fn nearest(text: &str, candidates: &[String]) -> Option<String> {
    candidates
        .iter()
        .map(|candidate| (strsim::jaro_winkler(text, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawNeeds {
        RawNeeds {
            attributes: vec!["patient.birthDate".into(), "context.session.mfa".into()],
            memberships: vec!["Role::\"privacy-officer\"".into()],
            relations: vec![RelationNeed { kind: "ProxyGrant".into(), attributes: vec!["verified".into()] }],
            approvals: vec!["export".into()],
            consents: true,
            disclosure_decisions: true,
            value_sets: vec!["sud".into()],
        }
    }

    #[test]
    fn a_need_is_granted_by_its_own_name() {
        let needs = Needs::read(raw()).unwrap();
        let grants: BTreeSet<_> = needs.grants().into_iter().collect();
        assert_eq!(needs.check_grants(&grants), []);
        for grant in &grants {
            let mut fewer = grants.clone();
            fewer.remove(grant);
            assert_eq!(needs.check_grants(&fewer), [AdmissionProblem::Ungranted { need: grant.clone() }]);
        }
    }

    #[test]
    fn grants_that_are_unknown_or_unused_are_named_with_the_nearest_need() {
        let needs = Needs::read(raw()).unwrap();
        let mut grants: BTreeSet<_> = needs.grants().into_iter().collect();
        grants.insert("patient.birthdate".into());
        grants.insert("consent".into());
        grants.insert("subject.licence".into());
        let problems = needs.check_grants(&grants);
        let expected = [
            AdmissionProblem::UnknownGrant { grant: "consent".into(), nearest: Some("consents".into()) },
            AdmissionProblem::UnusedGrant {
                grant: "patient.birthdate".into(),
                nearest: Some("patient.birthDate".into()),
            },
            AdmissionProblem::UnusedGrant { grant: "subject.licence".into(), nearest: None },
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn malformed_needs_are_all_reported() {
        let bad = [
            "",
            "patient",
            "pat.x",
            "patient..x",
            "patient.a b",
            "patient.é",
            "a.b.c",
            "patient.x.x.x.x.x.x.x.x",
        ];
        let attributes = bad.iter().map(|text| (*text).to_owned()).collect();
        let groups = ["Role", "Role::x", "Role::\"\"", "::\"x\"", "Role::\"a\\\"b\"", "Role::\"x\"y"];
        let memberships = groups.iter().map(|text| (*text).to_owned()).collect();
        let problems = Needs::read(RawNeeds { attributes, memberships, ..raw() }).unwrap_err();
        assert_eq!(problems.len(), bad.len() + groups.len());
        let twice = vec!["patient.state".into(), "patient.state".into()];
        assert_eq!(Needs::read(RawNeeds { attributes: twice, ..raw() }).unwrap_err().len(), 1);
    }

    #[test]
    fn the_number_of_needs_is_bounded() {
        let many = |n: usize| (0..n).map(|i| format!("patient.a{i}")).collect();
        assert!(Needs::read(RawNeeds { attributes: many(NEEDS_MAX), ..raw() }).is_ok());
        assert!(Needs::read(RawNeeds { attributes: many(NEEDS_MAX + 1), ..raw() }).is_err());
    }
}
