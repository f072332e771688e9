//! Tests of verdicts: the traps of Cedar, and the index against Cedar itself and a naive model.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::Snapshot;
use crate::testing::{host, policies, request, snapshot, snapshot_with, try_policies};

const PERMIT: &str = "permit(principal, action, resource);";

fn ask(policies: &Policies, snapshot: &Snapshot, extra: &Json) -> Verdict {
    let prepared = policies
        .prepare(snapshot, &request(("user", "nina"), "view", ("doc", "note"), extra), &host())
        .unwrap();
    let verdict = policies.evaluate(&prepared);
    assert_eq!(verdict, policies.evaluate_full(&prepared), "the index changes nothing");
    verdict
}

fn ids(verdict: &Verdict) -> Vec<&str> {
    verdict.determining.iter().map(|note| note.id.as_str()).collect()
}

#[test]
fn forbids_override_and_nothing_permits_by_default() {
    let cases: [(&[&str], VerdictEffect, &[&str]); 4] = [
        (&["permit(principal, action == Action::\"export\", resource);"], VerdictEffect::NoPolicy, &[]),
        (&[PERMIT, PERMIT], VerdictEffect::Permit, &["p1", "p2"]),
        (
            &[
                PERMIT,
                "forbid(principal in Role::\"staff\", action in Action::\"readActions\", resource is Document in Org::\"root\");",
            ],
            VerdictEffect::Forbidden,
            &["p2"],
        ),
        (
            &[PERMIT, "forbid(principal in Role::\"staff\", action, resource is Patient);"],
            VerdictEffect::Permit,
            &["p1"],
        ),
    ];
    for (texts, effect, determining) in cases {
        let policies = policies(texts);
        let verdict = ask(&policies, &snapshot(&policies), &json!({}));
        assert_eq!((&verdict.effect, ids(&verdict)), (&effect, determining.to_vec()), "{texts:?}");
    }
}

/// Validated policies can still fail: overflow is what validation cannot see.
#[test]
fn erroring_forbid_does_not_permit() {
    let forbid = "forbid(principal, action, resource is Document) when { resource has size && resource.size + 1 > 5 };";
    let policies = policies(&[PERMIT, forbid]);
    let with_size = |size: i64| {
        snapshot_with(
            &policies,
            &json!([{"uid": {"type": "Document", "id": "note"}, "attrs": {"size": size}}]),
        )
    };
    assert_eq!(ask(&policies, &with_size(4), &json!({})).effect, VerdictEffect::Permit);
    assert_eq!(ask(&policies, &with_size(5), &json!({})).effect, VerdictEffect::Forbidden);
    let verdict = ask(&policies, &with_size(i64::MAX), &json!({}));
    assert_eq!(
        verdict.effect,
        VerdictEffect::Indeterminate("a forbid could not be evaluated: `p2` (overflow)".to_owned())
    );
    let [error] = verdict.errors.as_slice() else { panic!("{verdict:?}") };
    assert_eq!((error.id.as_str(), error.permits, error.code.as_str()), ("p2", false, "overflow"));
}

#[test]
fn erroring_forbid_is_only_recorded_where_another_forbid_decides_or_nothing_permits() {
    let failing = "forbid(principal, action, resource) when { context.now.offset(duration(\"9223372036854775807ms\")) > context.now };";
    let always = "forbid(principal, action, resource is Document);";
    let denied = policies(&[PERMIT, failing, always]);
    let verdict = ask(&denied, &snapshot(&denied), &json!({}));
    assert_eq!((verdict.effect.clone(), ids(&verdict)), (VerdictEffect::Forbidden, vec!["p3"]));
    assert_eq!(verdict.errors.len(), 1);
    assert_eq!(verdict.errors[0].code, "extension");
    let nothing = policies(&[failing]);
    let verdict = ask(&nothing, &snapshot(&nothing), &json!({}));
    assert_eq!((verdict.effect, verdict.errors.len()), (VerdictEffect::NoPolicy, 1));
}

#[test]
fn erroring_permit_grants_nothing_and_takes_nothing_away() {
    let failing = "permit(principal, action, resource) when { principal is User && principal has level && principal.level * 9223372036854775807 > 0 };";
    let alone = policies(&[failing]);
    assert_eq!(ask(&alone, &snapshot(&alone), &json!({})).effect, VerdictEffect::NoPolicy);
    let beside = policies(&[failing, PERMIT]);
    let verdict = ask(&beside, &snapshot(&beside), &json!({}));
    assert_eq!((verdict.effect, verdict.errors.len()), (VerdictEffect::Permit, 1));
}

#[test]
fn absent_principal_resource_or_action_is_indeterminate_and_not_silently_false() {
    let policies = policies(&[PERMIT, "forbid(principal, action, resource in Org::\"clinic\");"]);
    let snapshot = snapshot(&policies);
    let mut prepared = policies
        .prepare(&snapshot, &request(("user", "nina"), "view", ("doc", "note"), &json!({})), &host())
        .unwrap();
    prepared.entities = cedar_policy::Entities::empty();
    let verdict = policies.evaluate(&prepared);
    assert!(matches!(verdict.effect, VerdictEffect::Indeterminate(_)), "{verdict:?}");
    assert_eq!(policies.evaluate_full(&prepared), verdict);
}

/// Cedar answers RecursionLimit below 100 kB of stack, which would disarm a forbid.
#[test]
fn a_forbid_of_the_greatest_depth_holds_on_a_small_stack() {
    let chain = |terms: usize| {
        let terms: Vec<_> = (0..terms).map(|n| format!("context.callerEnvironment == \"{n}\"")).collect();
        format!(
            "forbid(principal, action, resource) when {{ {} || context.callerEnvironment == \"production\" }};",
            terms.join(" || ")
        )
    };
    let forbid = chain(190);
    let policies = policies(&[PERMIT, &forbid]);
    let snapshot = snapshot(&policies);
    let ask = || ask(&policies, &snapshot, &json!({})).effect;
    let effect = std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, ask).unwrap().join().unwrap()
    });
    assert_eq!(effect, VerdictEffect::Forbidden);
    let too_deep = try_policies(&format!("@id(\"x\") @intent(\"y\") {}", chain(500))).unwrap_err();
    assert!(too_deep.to_string().contains("200 are allowed"), "{too_deep}");
}

#[test]
fn obligations_and_messages_come_with_the_determining_policies() {
    let policies = try_policies(
        "@id(\"a.b\") @intent(\"why\") @source(\"45 CFR 164.506\") @message(\"say so\")\n\
         @obligation(\"audit; step-up acr=mfa\") @advice(\"notify to='front desk'\")\n\
         permit(principal, action, resource);",
    )
    .unwrap();
    let verdict = ask(&policies, &snapshot(&policies), &json!({}));
    let [note] = verdict.determining.as_slice() else { panic!("{verdict:?}") };
    let expected = json!({
        "id": "a.b", "permits": true, "intent": "why", "source": "45 CFR 164.506", "message": "say so",
        "reveals": false,
        "obligations": [{"code": "audit"}, {"code": "step-up", "parameters": {"acr": {"text": "mfa"}}}],
        "advice": [{"code": "notify", "parameters": {"to": {"text": "front desk"}}}],
        "remedies": [],
    });
    assert_eq!(serde_json::to_value(note).unwrap(), expected);
}

/// Scopes and conditions from which policies are generated: all forms of scope, conditions that
/// hold, that do not, that fail, and that look up what only a slice could lack.
const PRINCIPALS: &[&str] = &[
    "principal",
    "principal == User::\"nina\"",
    "principal == User::\"omar\"",
    "principal == User::\"nobody\"",
    "principal in Role::\"staff\"",
    "principal in Role::\"nurse\"",
    "principal in Org::\"root\"",
    "principal is User",
    "principal is Patient",
    "principal is User in Org::\"root\"",
    "principal is User in Org::\"other\"",
    "principal is Patient in Org::\"clinic\"",
];
const ACTIONS: &[&str] = &[
    "action",
    "action == Action::\"view\"",
    "action == Action::\"export\"",
    "action in Action::\"readActions\"",
    "action in [Action::\"history\", Action::\"export\"]",
];
const RESOURCES: &[&str] = &[
    "resource",
    "resource == Document::\"note\"",
    "resource == Patient::\"pat\"",
    "resource in Org::\"root\"",
    "resource in Org::\"other\"",
    "resource is Document",
    "resource is DataSet",
    "resource is Document in Org::\"clinic\"",
    "resource is Patient in Org::\"other\"",
];
const CONDITIONS: &[&str] = &[
    "",
    "when { true }",
    "when { context.callerEnvironment == \"production\" }",
    "unless { context has purpose && context.purpose == \"TREAT\" }",
    "when { context has session && context.session has mfa && context.session.mfa }",
    "when { context.now.offset(duration(\"9223372036854775807ms\")) > context.now }",
    "when { context has action && context.action has count && context.action.count * 9223372036854775807 > 0 }",
    "when { context has action && context.action has soft && context.action.soft }",
    "when { resource is Document && resource has author && resource.author in Role::\"staff\" }",
    "when { resource is Document && resource.patient.org in Org::\"root\" }",
    "when { resource is Document && resource has environment && resource.environment == \"test\" }",
    "when { resource is Document && resource has reader && resource.reader.org.quarantined }",
    "when { resource is Document && resource has reader && resource.reader has desk && resource.reader.desk == \"d1\" }",
    "when { principal is User && principal has desk && principal.desk == \"d1\" }",
    "when { principal is User && principal has level && principal.level > 2 }",
    "when { principal is User && principal has friends && principal.friends.contains(User::\"omar\") }",
    "when { resource is DataSet && resource.recordCount > 10 }",
    "when { resource is DataSet && resource has patient && resource.patient.org.state == \"CA\" }",
    "when { Org::\"other\" has quarantined && Org::\"other\".quarantined }",
    "when { User::\"omar\" in Org::\"other\" }",
    "when { User::\"omar\".org has quarantined && User::\"omar\".org.quarantined }",
    "when { context has grant && context.grant.verified && context.grant.person == principal }",
    "when { context has destination && context.destination has org && context.destination.org in Org::\"root\" }",
];

/// Unguarded reads of optional attributes do not pass strict validation; guard them.
fn condition(index: usize) -> String {
    CONDITIONS[index]
        .replace(
            "resource.reader.org.quarantined",
            "resource.reader.org has quarantined && resource.reader.org.quarantined",
        )
        .replace(
            "resource.patient.org.state == \"CA\"",
            "resource.patient.org has state && resource.patient.org.state == \"CA\"",
        )
}

fn generated() -> impl Strategy<Value = Vec<String>> {
    let policy = (
        prop::bool::weighted(0.6),
        0..PRINCIPALS.len(),
        0..ACTIONS.len(),
        0..RESOURCES.len(),
        0..CONDITIONS.len(),
    )
        .prop_map(|(permits, principal, action, resource, index)| {
            let effect = if permits { "permit" } else { "forbid" };
            format!(
                "{effect}({}, {}, {}) {};",
                PRINCIPALS[principal],
                ACTIONS[action],
                RESOURCES[resource],
                condition(index)
            )
        });
    prop::collection::vec(policy, 1..12)
}

/// Policies that strict validation accepts, of those generated: a scope and a condition may
/// contradict each other, which is a load problem and not what is tested here.
fn accepted(texts: &[String]) -> Option<Policies> {
    let annotated: Vec<String> = texts
        .iter()
        .zip(1..)
        .map(|(text, number)| format!("@id(\"p{number}\") @intent(\"test\") {text}"))
        .collect();
    let Err(errors) = try_policies(&annotated.join("\n")) else {
        return Some(policies(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
    };
    let wrong: Vec<usize> = errors.0.iter().map(|problem| problem.line).collect();
    let valid: Vec<&str> = texts
        .iter()
        .zip(1..)
        .filter(|(_, line)| !wrong.contains(line))
        .map(|(text, _)| text.as_str())
        .collect();
    (!valid.is_empty()).then(|| policies(&valid))
}

fn questions() -> Vec<assent_model::Request> {
    let full = json!({
        "subject": {"desk": "d1"},
        "resource": {"environment": "test", "reader": {"type": "user", "id": "omar"}, "recordCount": 20,
                     "patient": {"type": "patient", "id": "pat"}},
        "context": {"purpose": "TREAT", "session": {"mfa": true},
                    "destination": {"org": {"type": "org", "id": "clinic"}}},
        "action": {"soft": true, "count": 2},
    });
    let mut questions = Vec::new();
    for extra in [
        json!({}),
        json!({"resource": {"recordCount": 1}}),
        full.clone(),
        json!({"context": full["context"], "resource": full["resource"]}),
    ] {
        for subject in [("user", "nina"), ("user", "omar"), ("patient", "pat")] {
            for (action, resource) in [
                ("view", ("doc", "note")),
                ("history", ("patient", "pat")),
                ("export", ("set", "new")),
                ("export", ("doc", "note")),
            ] {
                questions.push(request(subject, action, resource, &extra));
            }
        }
    }
    questions
}

/// What the outcome must be, from each policy's own outcome alone.
fn naive(policies: &Policies, prepared: &Prepared) -> VerdictEffect {
    let mut permitted = false;
    let mut forbidden = false;
    let mut failed = false;
    for policy in &policies.policies {
        let set = cedar_policy::PolicySet::from_policies([cedar_policy::Policy::from(policy.cedar.clone())])
            .unwrap();
        let response =
            cedar_policy::Authorizer::new().is_authorized(&prepared.request, &set, &prepared.entities);
        let satisfied = response.diagnostics().reason().next().is_some();
        let erred = response.diagnostics().errors().next().is_some();
        if policy.note().permits {
            permitted |= satisfied;
        } else {
            forbidden |= satisfied;
            failed |= erred;
        }
    }
    match (forbidden, permitted, failed) {
        (true, _, _) => VerdictEffect::Forbidden,
        (false, false, _) => VerdictEffect::NoPolicy,
        (false, true, false) => VerdictEffect::Permit,
        (false, true, true) => VerdictEffect::Indeterminate(String::new()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn an_erroring_policy_never_permits_and_the_index_and_the_slice_change_nothing(texts in generated()) {
        let Some(policies) = accepted(&texts) else { return Ok(()) };
        let grant = json!([{"uid": {"type": "Grant", "id": "g"}, "attrs": {
            "person": {"type": "User", "id": "nina"}, "patient": {"type": "Patient", "id": "pat"},
            "start": "2026-01-01", "verified": true}}]);
        let snapshot = snapshot_with(&policies, &grant);
        for request in questions() {
            let Ok(mut prepared) = policies.prepare(&snapshot, &request, &host()) else { continue };
            let verdict = policies.evaluate(&prepared);
            prop_assert_eq!(&verdict, &policies.evaluate_full(&prepared));
            let same = |a: &VerdictEffect, b: &VerdictEffect| std::mem::discriminant(a) == std::mem::discriminant(b);
            prop_assert!(same(&verdict.effect, &naive(&policies, &prepared)), "{:?}", verdict);
            // The slice of this request against all entities with the same replacements.
            prepared.entities = everything(&policies, &snapshot, &prepared);
            prop_assert_eq!(&verdict, &policies.evaluate_full(&prepared));
            // What was prepared is what Cedar's own check of requests accepts.
            let core: &ast::Request = prepared.request.as_ref();
            prop_assert!(revalidated(&policies, core).is_ok());
        }
    }
}

fn everything(policies: &Policies, snapshot: &Snapshot, prepared: &Prepared) -> cedar_policy::Entities {
    let sliced: &cedar_policy_core::entities::Entities = prepared.entities.as_ref();
    let stored = snapshot.facts().iter().map(|entity| snapshot.cedar(&policies.schema, entity).unwrap());
    let mut by_uid: HashMap<ast::EntityUID, ast::Entity> =
        stored.map(|entity| (entity.uid().clone(), entity.as_ref().clone())).collect();
    by_uid.extend(sliced.iter().map(|entity| (entity.uid().clone(), entity.clone())));
    cedar_policy_core::entities::Entities::from_entities(
        by_uid.into_values(),
        None::<&cedar_policy_core::entities::NoEntitiesSchema>,
        cedar_policy_core::entities::TCComputation::ComputeNow,
        Extensions::all_available(),
    )
    .unwrap()
    .into()
}

fn revalidated(policies: &Policies, request: &ast::Request) -> Result<(), String> {
    let known = |entry: &ast::EntityUIDEntry| (entry.uid().unwrap().clone(), None);
    ast::Request::new(
        known(request.principal()),
        known(request.action()),
        known(request.resource()),
        request.context().unwrap().clone(),
        Some(policies.schema.validator()),
        Extensions::all_available(),
    )
    .map(drop)
    .map_err(|error| error.to_string())
}

#[test]
fn every_generated_condition_is_one_that_validation_accepts() {
    for index in 0..CONDITIONS.len() {
        let text =
            format!("@id(\"x\") @intent(\"y\") permit(principal, action, resource) {};", condition(index));
        if let Err(errors) = try_policies(&text) {
            panic!("{text}: {errors}");
        }
    }
}
