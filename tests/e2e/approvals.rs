//! INVARIANT (an approval is used as often as it says), with the real component: of any approvals, for any question at
//! any moment, `export-approval` agrees on exactly those on which a naive model of its rule does, and the one that it
//! agreed on is named as used.

use std::collections::BTreeSet;
use std::sync::Arc;

use assent_model::{DecisionFacts, Entity, EntityId, Ground, Instant, Record, Request, Value};
use assent_plugin::PluginPre;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::support::{CLINICS, root};

const HOUR_MS: i64 = 3_600_000;
/// As the hospital's settings say.
const MAX_AGE_HOURS: i64 = 7 * 24;
const ROLES: [&str; 2] = ["privacy-officer", "physician"];
const REQUESTER: &str = "him-ellis";
const DIGEST: &str = "sha256:registry-2026";
const ID: &str = "registry-2026";

/// Hours are counted from the question's.
#[derive(Clone, Debug)]
struct Stored {
    kind: &'static str,
    requester: &'static str,
    status: &'static str,
    /// Who, in which role, when.
    approvers: Vec<(&'static str, &'static str, i64)>,
    data_set: Option<&'static str>,
    action: Option<&'static str>,
    purpose: Option<&'static str>,
    max_records: Option<i64>,
    requested: i64,
    expires: Option<i64>,
    uses_left: i64,
}

#[derive(Clone, Debug)]
struct Asked {
    action: &'static str,
    purpose: &'static str,
    records: i64,
    has_digest: bool,
}

/// What is right is likelier than what is wrong, or nothing would ever be permitted.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    right: &[T],
    wrong: &[T],
) -> impl Strategy<Value = T> + use<T> {
    prop_oneof![12 => select(right.to_vec()), 1 => select(wrong.to_vec())]
}

fn any_stored() -> impl Strategy<Value = Stored> {
    let approver = (
        select(vec![REQUESTER, "po-whitfield", "cmo-baker", "po-whitfield", "cmo-baker"]),
        mostly(&ROLES, &["nurse"]),
        mostly(&[-1, -2, -MAX_AGE_HOURS + 1, 0], &[-MAX_AGE_HOURS, -MAX_AGE_HOURS - 1, 1]),
    );
    let bound = (
        mostly(&["export"], &["access"]),
        mostly(&[REQUESTER], &["him-reyes"]),
        mostly(&["approved"], &["pending", "refused", "withdrawn", "spent", "granted"]),
        mostly(&[Some(DIGEST), Some(ID)], &[None, Some("sha256:other"), Some("")]),
        mostly(&[None, Some("export")], &[Some("download"), Some("")]),
        mostly(&[None, Some("HOPERAT")], &[Some("TREAT"), Some("")]),
    );
    let lasting = (
        mostly(&[None, Some(1_200), Some(1_000)], &[Some(0), Some(-1), Some(10)]),
        mostly(&[-MAX_AGE_HOURS - 5, -3], &[1]),
        mostly(&[None, Some(1), Some(5)], &[Some(0), Some(-1)]),
        mostly(&[1, 2], &[0, -1]),
        prop::collection::vec(approver, 0..5),
    );
    (bound, lasting).prop_map(|(bound, lasting)| {
        let (kind, requester, status, data_set, action, purpose) = bound;
        let (max_records, requested, expires, uses_left, approvers) = lasting;
        Stored {
            kind,
            requester,
            status,
            approvers,
            data_set,
            action,
            purpose,
            max_records,
            requested,
            expires,
            uses_left,
        }
    })
}

fn any_asked() -> impl Strategy<Value = Asked> {
    (
        mostly(&["export"], &["download"]),
        mostly(&["HOPERAT"], &["TREAT"]),
        select(vec![1, 10, 100, 101, 1_000, 1_001, 1_200]),
        any::<bool>(),
    )
        .prop_map(|(action, purpose, records, has_digest)| Asked {
            action,
            purpose,
            records,
            has_digest,
        })
}

fn practitioner(id: &str) -> Value {
    Value::Entity(EntityId::new("Practitioner", id))
}

impl Stored {
    fn entity(&self, number: usize, now: Instant) -> Entity {
        let at =
            |hours: i64| Value::Instant(Instant::from_millis(now.as_millis() + hours * HOUR_MS).unwrap());
        let text = |text: &str| Value::Text(text.into());
        let approver = |(who, role, hours): &(&str, &str, i64)| {
            Value::Record(Record::from([
                ("who", practitioner(who)),
                ("role", text(role)),
                ("at", at(*hours)),
            ]))
        };
        let always = [
            ("kind", text(self.kind)),
            ("requester", practitioner(self.requester)),
            ("status", text(self.status)),
            ("approvers", Value::set(self.approvers.iter().map(approver))),
            ("requestedAt", at(self.requested)),
            ("usesLeft", Value::Integer(self.uses_left)),
        ];
        let sometimes = [
            ("dataSet", self.data_set.map(text)),
            ("action", self.action.map(text)),
            ("purpose", self.purpose.map(text)),
            ("maxRecords", self.max_records.map(Value::Integer)),
            ("expiresAt", self.expires.map(at)),
        ];
        let sometimes = sometimes.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Entity {
            id: EntityId::new("Approval", format!("random-{number}")),
            attributes: always.into_iter().chain(sometimes).collect(),
            ancestors: Arc::default(),
            provided: None,
        }
    }

    /// Whether the rule agrees to this export because of it, in the words of the rule's documentation.
    fn suffices(&self, asked: &Asked, quorum: usize) -> bool {
        let data_set = if asked.has_digest { DIGEST } else { ID };
        let people: BTreeSet<_> = self
            .approvers
            .iter()
            .filter(|(who, role, at)| {
                *who != self.requester
                    && ROLES.contains(role)
                    && (self.requested..=0).contains(at)
                    && *at > -MAX_AGE_HOURS
            })
            .map(|(who, ..)| who)
            .collect();
        self.kind == "export"
            && self.requester == REQUESTER
            && self.status == "approved"
            && self.data_set == Some(data_set)
            && self.action.is_none_or(|action| action == asked.action)
            && self.purpose.is_none_or(|purpose| purpose == asked.purpose)
            && self.max_records.is_none_or(|most| asked.records <= most)
            && self.requested <= 0
            && self.expires.is_none_or(|end| end > 0)
            && self.uses_left > 0
            && people.len() >= quorum
    }
}

/// How many must approve so much; none: nobody.
fn quorum(asked: &Asked) -> Option<usize> {
    match asked.records {
        ..=100 => None,
        101..=1_000 => Some(1),
        _ => Some(2),
    }
}

/// The hospital's rule, and the facts of its example export.
fn world() -> (&'static PluginPre, DecisionFacts, assent_plugin::OrganizationSlots) {
    let hospital = &CLINICS
        .built
        .organizations
        .iter()
        .find(|o| o.release.organization().as_str() == "lone-star-hospital");
    let release = &hospital.unwrap().release;
    let plugin = &release.bindings().iter().find(|b| b.plugin.binding() == "exports").unwrap().plugin;
    let text =
        std::fs::read_to_string(root().join("examples/clinics/requests/export-approved.json")).unwrap();
    let request: Request = serde_json::from_str(&text).unwrap();
    let caller = &CLINICS.deployment.config.callers[0];
    let caller = assent_cli::deployment::build::caller(caller);
    let host = assent_engine::host_context(&caller, "2026-11-21T18:00:00Z".parse().unwrap());
    let prepared = release.policies().prepare(release.snapshot(), &request, &host).unwrap();
    (plugin, prepared.facts, release.slots().clone())
}

fn facts_of(example: &DecisionFacts, stored: &[Stored], asked: &Asked) -> DecisionFacts {
    let mut facts = (*example.facts).clone();
    let known: Vec<EntityId> = facts.approvals(&example.subject.id).map(|known| known.id.clone()).collect();
    for id in known {
        facts.remove(&id);
    }
    for (number, stored) in stored.iter().enumerate() {
        facts.put(Arc::new(stored.entity(number, example.now)));
    }
    let resource = &example.resource;
    let others =
        resource.attributes.iter().filter(|(name, _)| !["digest", "recordCount"].contains(&name.as_str()));
    let others = others.map(|(name, value)| (name.clone(), value.clone()));
    let digest = asked.has_digest.then(|| ("digest".into(), Value::Text(DIGEST.into())));
    let attributes =
        others.chain(digest).chain([("recordCount".into(), Value::Integer(asked.records))]).collect();
    DecisionFacts {
        facts: Arc::new(facts),
        action: asked.action.into(),
        purpose: Some(asked.purpose.into()),
        resource: Arc::new(Entity { attributes, ..(**resource).clone() }),
        ..example.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn whatever_approvals_there_are_an_export_that_needs_one_is_agreed_to_on_one_that_is_used(
        stored in prop::collection::vec(any_stored(), 0..5),
        asked in any_asked(),
    ) {
        let (plugin, example, slots) = world();
        let facts = facts_of(&example, &stored, &asked);
        let answered = plugin.call(&facts, &slots);
        let findings = answered.outcome.result.unwrap();
        prop_assert!(findings.denials.iter().all(|denial| denial.ground == Ground::ApprovalMissing));
        let (stored, asked) = (&stored, &asked);
        let sufficing = |quorum| {
            let numbered = stored.iter().enumerate().filter(move |(_, stored)| stored.suffices(asked, quorum));
            // The one that ends first.
            numbered.min_by_key(|(number, stored)| (stored.expires.is_none(), stored.expires, *number))
        };
        let (agrees, uses) = match quorum(asked) {
            None => (true, vec![]),
            Some(quorum) => match sufficing(quorum) {
                Some((number, _)) => (true, vec![EntityId::new("Approval", format!("random-{number}"))]),
                None => (false, vec![]),
            },
        };
        prop_assert_eq!((findings.allows(), answered.uses), (agrees, uses));
    }
}

#[test]
fn a_denial_still_says_what_is_amiss_with_an_approval_that_cannot_be_used() {
    let (plugin, example, slots) = world();
    let asked = Asked { action: "export", purpose: "HOPERAT", records: 1_200, has_digest: true };
    let good = Stored {
        kind: "export",
        requester: REQUESTER,
        status: "approved",
        approvers: vec![("po-whitfield", "privacy-officer", -1), ("cmo-baker", "physician", -1)],
        data_set: Some(DIGEST),
        action: None,
        purpose: None,
        max_records: Some(1_200),
        requested: -2,
        expires: Some(5),
        uses_left: 1,
    };
    let one = good.approvers[..1].to_vec();
    let cases = [
        (Stored { ..good.clone() }, None),
        (Stored { status: "spent", uses_left: 0, ..good.clone() }, Some(("export.approval-spent", 0))),
        (Stored { expires: Some(0), ..good.clone() }, Some(("export.approval-expired", 0))),
        (Stored { status: "pending", approvers: one, ..good.clone() }, Some(("export.approval-quorum", 1))),
        (Stored { status: "pending", ..good.clone() }, Some(("export.approval-pending", 2))),
        (Stored { max_records: Some(5), ..good.clone() }, Some(("export.approval-records", 0))),
        (Stored { data_set: Some("sha256:other"), ..good.clone() }, Some(("export.approval-scope", 0))),
        (Stored { status: "refused", ..good }, Some(("export.approval-missing", 0))),
    ];
    for (stored, said) in cases {
        let found = plugin.call(&facts_of(&example, &[stored], &asked), &slots).outcome.result.unwrap();
        let told = found.denials.first().map(|denial| {
            let have = denial.remedies.iter().find_map(|remedy| match remedy {
                assent_model::Remedy::Approval { have, .. } => Some(*have),
                _ => None,
            });
            (denial.code.clone(), have.unwrap())
        });
        assert_eq!(
            told,
            said.map(|(code, have)| (code.to_owned(), have)),
            "{}",
            json!(said.map(|(code, _)| code))
        );
    }
}
