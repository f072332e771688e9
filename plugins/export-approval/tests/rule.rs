//! The rule by tables: each line is a request that differs from a good one, and what is found.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up must stop it")]

use assent_export_approval::ExportApproval;
use assent_plugin_sdk::prelude::*;
use assent_plugin_sdk::testing::{
    TestRelation, TestRequest, check_description, configure, date, duration, entity, instant, json, texts,
};

const NOW: &str = "2026-11-21T18:00:00Z";
const MILLISECOND: Duration = Duration(1);

fn rule() -> ExportApproval {
    configure(json!({
        "justification_min_length": 20,
        "treatment": { "exempt_up_to": 10 },
        "approvals": [
            { "records_over": 100, "quorum": 1, "roles": ["privacy-officer"] },
            { "records_over": 1000, "quorum": 2, "roles": ["privacy-officer", "compliance-officer"] },
        ],
        "channels": {
            "file": {
                "watermark": true,
                "encrypt": true,
                "data_loss_prevention": "outbound",
                "redact_labels": ["PSY", "SUD"],
            },
            "print": { "watermark": true },
        },
    }))
    .unwrap()
}

/// An export of 50 labelled records to a file, with a reason: nothing stands against it.
fn good() -> TestRequest {
    TestRequest::new("export")
        .resource("DataSet", "ds-1")
        .purpose("HOPERAT")
        .now(instant(NOW))
        .attribute("resource.recordCount", 50)
        .attribute("resource.digest", "sha256:d1")
        .attribute("resource.labels", texts(["N"]))
        .attribute("resource.organization", entity("Organization", "us"))
        .attribute("context.justification", "quality report for the third quarter")
        .attribute("context.destination.channel", "file")
}

fn big() -> TestRequest {
    good().attribute("resource.recordCount", 2000)
}

fn approver(id: &str, role: &str) -> Approver {
    Approver { who: entity("Practitioner", id), role: role.to_owned(), at: instant("2026-11-20T09:00:00Z") }
}

/// An approval by two that covers `big`.
fn approval() -> Approval {
    Approval {
        id: "a-1".to_owned(),
        kind: "export".to_owned(),
        status: ApprovalStatus::Approved,
        requester: entity("Practitioner", "dr-1"),
        approvers: vec![approver("po-1", "privacy-officer"), approver("co-1", "compliance-officer")],
        data_set: "sha256:d1".to_owned(),
        action: "export".to_owned(),
        purpose: "HOPERAT".to_owned(),
        max_records: Some(2000),
        requested_at: instant("2026-11-19T09:00:00Z"),
        expires_at: Some(instant("2026-11-30T00:00:00Z")),
        uses_left: 1,
    }
}

fn with(change: impl FnOnce(&mut Approval)) -> TestRequest {
    let mut approval = approval();
    change(&mut approval);
    big().approval(approval)
}

#[track_caller]
fn check(cases: Vec<(&str, TestRequest, &[&str])>) {
    for (name, request, codes) in cases {
        let findings = request.evaluate(&rule()).unwrap();
        assert_eq!(findings.codes(), codes, "{name}");
        for denial in &findings.denials {
            assert!(denial.citation.is_some() && !denial.message.is_empty(), "{name}: {}", denial.code);
        }
    }
}

#[test]
fn the_description_is_in_order() {
    check_description::<ExportApproval>();
}

#[test]
fn other_actions_are_none_of_its_business() {
    let findings = TestRequest::new("read").evaluate(&rule()).unwrap();
    assert_eq!(findings, Findings::default());
}

#[test]
fn a_justification_must_say_enough() {
    let text = |text: &str| good().attribute("context.justification", text);
    check(vec![
        ("good", good(), &[]),
        ("exactly long enough", text("12345678901234567890"), &[]),
        ("one too short", text("1234567890123456789"), &["export.justification"]),
        ("spaces at the ends do not count", text("   1234567890123456789   "), &["export.justification"]),
        ("characters, not bytes", text("äöüäöüäöüäöüäöüäöüä"), &["export.justification"]),
        ("absent", good().absent("context.justification", Absence::NotRecorded), &["export.justification"]),
        ("treatment of few records", text("").purpose("TREAT").attribute("resource.recordCount", 10), &[]),
        (
            "treatment of one more",
            text("").purpose("TREAT").attribute("resource.recordCount", 11),
            &["export.justification"],
        ),
        (
            "another kind of treatment is not named",
            text("").purpose("BTG").attribute("resource.recordCount", 1),
            &["export.justification"],
        ),
        (
            "treatment of an unknown number",
            text("").purpose("TREAT").absent("resource.recordCount", Absence::NotRecorded),
            &["export.justification", "export.approval-missing"],
        ),
    ]);
    let findings = text("").evaluate(&rule()).unwrap();
    assert_eq!(findings.denials[0].remedies, [Remedy::Justification(20)]);
}

#[test]
fn thresholds_decide_who_must_approve() {
    let count = |count: i64| good().attribute("resource.recordCount", count);
    check(vec![
        ("at the threshold", count(100), &[]),
        ("one over", count(101), &["export.approval-missing"]),
        ("no records", count(0), &[]),
        ("a negative count is unknown", count(-1), &["export.approval-missing"]),
        (
            "an unknown count",
            good().absent("resource.recordCount", Absence::NotRecorded),
            &["export.approval-missing"],
        ),
        (
            "a single document is one record",
            good().resource("DocumentReference", "d-1").absent("resource.recordCount", Absence::NotRecorded),
            &[],
        ),
        (
            "a search answers with an unknown number",
            good().resource("Bundle", "b-1").absent("resource.recordCount", Absence::NotRecorded),
            &["export.approval-missing"],
        ),
    ]);
}

#[test]
fn the_remedy_says_which_approval_is_missing() {
    let remedy = |request: TestRequest| {
        request
            .evaluate(&rule())
            .unwrap()
            .denials
            .into_iter()
            .flat_map(|denial| denial.remedies)
            .collect::<Vec<_>>()
    };
    let missing = |quorum, have, roles: &[&str], data_set: &str| {
        Remedy::Approval(ApprovalRemedy {
            kind: "export".to_owned(),
            quorum,
            have,
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            data_set: Some(data_set.to_owned()),
        })
    };
    let both = ["privacy-officer", "compliance-officer"];
    let small = good().attribute("resource.recordCount", 101);
    assert_eq!(remedy(small), [missing(1, 0, &["privacy-officer"], "sha256:d1"), Remedy::ReduceScope(100)]);
    let one = with(|approval| drop(approval.approvers.pop()));
    assert_eq!(remedy(one), [missing(2, 1, &both, "sha256:d1"), Remedy::ReduceScope(100)]);
    let without_digest = big().absent("resource.digest", Absence::NotRecorded);
    assert_eq!(remedy(without_digest), [missing(2, 0, &both, "ds-1"), Remedy::ReduceScope(100)]);
    let fewer = with(|approval| approval.max_records = Some(1999));
    assert_eq!(remedy(fewer), [missing(2, 0, &both, "sha256:d1"), Remedy::ReduceScope(1999)]);
}

#[test]
fn an_approval_counts_only_for_what_it_names() {
    let other = |change: fn(&mut Approval)| with(change);
    check(vec![
        ("covers it", other(|_| ()), &[]),
        ("another data set", other(|a| a.data_set = "sha256:d2".into()), &["export.approval-scope"]),
        ("not bound to a data set", other(|a| a.data_set.clear()), &["export.approval-scope"]),
        ("the id where there is a digest", other(|a| a.data_set = "ds-1".into()), &["export.approval-scope"]),
        ("another action", other(|a| a.action = "print".into()), &["export.approval-scope"]),
        ("any action", other(|a| a.action.clear()), &[]),
        ("another purpose", other(|a| a.purpose = "HRESCH".into()), &["export.approval-scope"]),
        ("any purpose", other(|a| a.purpose.clear()), &[]),
        ("as many records", other(|a| a.max_records = Some(2000)), &[]),
        ("one record fewer", other(|a| a.max_records = Some(1999)), &["export.approval-records"]),
        ("any number of records", other(|a| a.max_records = None), &[]),
        (
            "somebody else's",
            other(|a| a.requester = entity("Practitioner", "dr-2")),
            &["export.approval-missing"],
        ),
        ("used up", other(|a| a.uses_left = 0), &["export.approval-spent"]),
        ("marked as spent", other(|a| a.status = ApprovalStatus::Spent), &["export.approval-spent"]),
        ("refused", other(|a| a.status = ApprovalStatus::Refused), &["export.approval-missing"]),
        ("withdrawn", other(|a| a.status = ApprovalStatus::Withdrawn), &["export.approval-missing"]),
        ("pending", other(|a| a.status = ApprovalStatus::Pending), &["export.approval-pending"]),
        ("a good one beside a bad one", other(|a| a.uses_left = 0).approval(approval()), &[]),
        (
            "an unknown number of records",
            other(|_| ()).absent("resource.recordCount", Absence::NotRecorded),
            &["export.approval-records"],
        ),
        (
            "an unknown number and any number approved",
            other(|a| a.max_records = None).absent("resource.recordCount", Absence::NotRecorded),
            &[],
        ),
    ]);
}

#[test]
fn a_quorum_is_of_different_people_other_than_the_requester() {
    let by = |approvers: &[(&str, &str)]| {
        let approvers = approvers.iter().map(|(who, role)| approver(who, role)).collect();
        with(|approval| approval.approvers = approvers)
    };
    let (po, co) = ("privacy-officer", "compliance-officer");
    check(vec![
        ("two", by(&[("po-1", po), ("co-1", co)]), &[]),
        ("two in one role", by(&[("po-1", po), ("po-2", po)]), &[]),
        ("three", by(&[("po-1", po), ("po-2", po), ("co-1", co)]), &[]),
        ("one", by(&[("po-1", po)]), &["export.approval-quorum"]),
        ("one person twice", by(&[("po-1", po), ("po-1", co)]), &["export.approval-quorum"]),
        ("the requester as approver", by(&[("po-1", po), ("dr-1", co)]), &["export.approval-quorum"]),
        ("a role that does not count", by(&[("po-1", po), ("n-1", "nurse")]), &["export.approval-quorum"]),
        ("no role", by(&[("po-1", po), ("co-1", "")]), &["export.approval-quorum"]),
        ("nobody", by(&[]), &["export.approval-quorum"]),
    ]);
}

#[test]
fn two_approvals_of_one_person_each_are_not_one_of_two() {
    let one = |who: &str| {
        let mut approval = approval();
        approval.approvers = vec![approver(who, "privacy-officer")];
        approval
    };
    let request = big().approval(one("po-1")).approval(one("po-2"));
    assert_eq!(request.evaluate(&rule()).unwrap().codes(), ["export.approval-quorum"]);
}

#[test]
fn approvals_end_to_the_millisecond() {
    let now = instant(NOW);
    let age = duration("P7D");
    let old = |at: Instant| {
        with(|approval| {
            approval.requested_at = at - Duration::days(1);
            approval.approvers[0].at = at;
        })
    };
    let expires = |at: Instant| with(|approval| approval.expires_at = Some(at));
    let requested = |at: Instant| with(|approval| approval.requested_at = at);
    let approved = |at: Instant| with(|approval| approval.approvers[0].at = at);
    check(vec![
        ("expires in a millisecond", expires(now + MILLISECOND), &[]),
        ("expires now", expires(now), &["export.approval-expired"]),
        ("never expires", with(|approval| approval.expires_at = None), &[]),
        ("a millisecond before it is stale", old(now - age + MILLISECOND), &[]),
        ("stale now", old(now - age), &["export.approval-stale"]),
        ("approved now", approved(now), &[]),
        ("approved a millisecond from now", approved(now + MILLISECOND), &["export.approval-quorum"]),
        ("asked for from now on", requested(now + MILLISECOND), &["export.approval-missing"]),
        (
            "approved before it was asked for",
            requested(instant("2026-11-20T09:00:00.001Z")),
            &["export.approval-quorum"],
        ),
        ("approved when it was asked for", requested(instant("2026-11-20T09:00:00Z")), &[]),
    ]);
}

#[test]
fn the_nearest_approval_is_the_one_reported() {
    let other = |change: fn(&mut Approval)| {
        let mut approval = approval();
        change(&mut approval);
        approval
    };
    let request = big()
        .approval(other(|a| a.data_set = "sha256:d2".into()))
        .approval(other(|a| drop(a.approvers.pop())))
        .approval(other(|a| a.uses_left = 0));
    assert_eq!(request.evaluate(&rule()).unwrap().codes(), ["export.approval-quorum"]);
}

/// A share of 50 records with a vendor under agreement, in the country.
fn share() -> TestRequest {
    share_with("vendor")
}

fn share_with(category: &str) -> TestRequest {
    let at = |name: &str| format!("context.destination.organization.{name}");
    let mut request = good()
        .attribute("context.destination.organization", entity("Organization", "vendor-1"))
        .attribute("context.destination.country", "US")
        .attribute("context.destination.environment", "production")
        .attribute("context.destination.channel", "fhir");
    request = request.attribute(&at("category"), category);
    request = under_agreement(request, "context.destination.organization");
    request.attribute(&at("country"), "US")
}

fn under_agreement(request: TestRequest, path: &str) -> TestRequest {
    request
        .attribute(&format!("{path}.businessAssociateStatus"), "active")
        .attribute(&format!("{path}.businessAssociateFrom"), instant("2026-01-01T00:00:00Z"))
        .attribute(&format!("{path}.businessAssociateUntil"), instant("2027-01-01T00:00:00Z"))
        .attribute(&format!("{path}.businessAssociatePurposes"), texts(["HOPERAT"]))
}

const RECIPIENT: &str = "context.destination.organization";
const BEHIND: &str = "context.destination.organization.subcontractorOf";

#[test]
fn a_recipient_needs_an_agreement_in_force() {
    let now = instant(NOW);
    let set = |name: &str, value: Instant| share().attribute(&format!("{RECIPIENT}.{name}"), value);
    let status = |status: &str| share().attribute(&format!("{RECIPIENT}.businessAssociateStatus"), status);
    let none = |name: &str| share().absent(&format!("{RECIPIENT}.{name}"), Absence::NotRecorded);
    let only = |category: &str, purpose: &str| {
        share_with(category)
            .absent(&format!("{RECIPIENT}.businessAssociateStatus"), Absence::NotRecorded)
            .purpose(purpose)
    };
    check(vec![
        ("in force", share(), &[]),
        ("no agreement", none("businessAssociateStatus"), &["export.agreement"]),
        ("suspended", status("suspended"), &["export.agreement"]),
        ("an unknown status", status("ACTIVE"), &["export.agreement"]),
        ("begins now", set("businessAssociateFrom", now), &[]),
        ("begins in a millisecond", set("businessAssociateFrom", now + MILLISECOND), &["export.agreement"]),
        ("ends in a millisecond", set("businessAssociateUntil", now + MILLISECOND), &[]),
        ("ends now", set("businessAssociateUntil", now), &["export.agreement"]),
        ("for another purpose", share().purpose("HRESCH"), &["export.agreement-purpose"]),
        ("for no purpose", none("businessAssociatePurposes"), &["export.agreement-purpose"]),
        (
            "an organization that is not known",
            share().absent(&format!("{RECIPIENT}.businessAssociateStatus"), Absence::UnknownEntity),
            &["export.agreement"],
        ),
        ("a provider for treatment", only("provider", "TREAT"), &[]),
        ("a provider for operations", only("provider", "HOPERAT"), &["export.agreement"]),
        ("a payer for payment", only("payer", "HPAYMT"), &[]),
        ("a vendor for treatment", only("vendor", "TREAT"), &["export.agreement"]),
        (
            "ourselves",
            only("provider", "HOPERAT")
                .attribute("resource.organization", entity("Organization", "vendor-1")),
            &[],
        ),
        (
            "quarantined",
            share().attribute(&format!("{RECIPIENT}.quarantined"), true),
            &["export.quarantined"],
        ),
        (
            "quarantined, though it needs no agreement",
            only("provider", "TREAT").attribute(&format!("{RECIPIENT}.quarantined"), true),
            &["export.quarantined"],
        ),
    ]);
    let findings = none("businessAssociateStatus").evaluate(&rule()).unwrap();
    assert_eq!(findings.denials[0].remedies, [Remedy::Agreement("business-associate".to_owned())]);
}

#[test]
fn everyone_who_answers_for_the_recipient_needs_an_agreement_too() {
    let behind = || {
        let request = share().attribute(BEHIND, entity("Organization", "prime-1"));
        under_agreement(request, BEHIND)
    };
    let second = format!("{BEHIND}.subcontractorOf");
    let third = format!("{second}.subcontractorOf");
    let long = || under_agreement(behind().attribute(&second, entity("Organization", "prime-2")), &second);
    let ended = instant("2026-11-21T18:00:00Z");
    check(vec![
        ("both", behind(), &[]),
        (
            "only the recipient",
            share().attribute(BEHIND, entity("Organization", "prime-1")),
            &["export.subcontractor-agreement"],
        ),
        (
            "ended in between",
            behind().attribute(&format!("{BEHIND}.businessAssociateUntil"), ended),
            &["export.subcontractor-agreement"],
        ),
        (
            "for other purposes",
            behind().attribute(&format!("{BEHIND}.businessAssociatePurposes"), texts(["TREAT"])),
            &["export.agreement-purpose"],
        ),
        (
            "quarantined behind",
            behind().attribute(&format!("{BEHIND}.quarantined"), true),
            &["export.quarantined"],
        ),
        ("three", long(), &[]),
        (
            "the third has none",
            behind().attribute(&second, entity("Organization", "prime-2")),
            &["export.subcontractor-agreement"],
        ),
        ("four", long().attribute(&third, entity("Organization", "prime-3")), &["export.chain-too-long"]),
        (
            "a provider's subcontractor is not the provider",
            share_with("provider").purpose("TREAT").attribute(BEHIND, entity("Organization", "prime-1")),
            &["export.agreement-purpose", "export.subcontractor-agreement"],
        ),
    ]);
}

#[test]
fn the_place_must_be_allowed() {
    let country = |country: &str| share().attribute("context.destination.country", country);
    let unknown = || {
        share()
            .absent("context.destination.country", Absence::NotRecorded)
            .absent(&format!("{RECIPIENT}.country"), Absence::NotRecorded)
    };
    check(vec![
        ("allowed", country("US"), &[]),
        ("not allowed", country("DE"), &["export.country"]),
        (
            "the recipient sits elsewhere",
            share().attribute(&format!("{RECIPIENT}.country"), "IN"),
            &["export.country"],
        ),
        (
            "only the recipient's is known",
            share().absent("context.destination.country", Absence::NotRecorded),
            &[],
        ),
        ("unknown", unknown(), &["export.country-unknown"]),
        ("a file without recipient", good(), &[]),
        (
            "a file to another country",
            good().attribute("context.destination.country", "DE"),
            &["export.country"],
        ),
    ]);
}

#[test]
fn production_data_stays_in_production() {
    let environment = |name: &str| share().attribute("context.destination.environment", name);
    let not_said = || share().absent("context.destination.environment", Absence::NotRecorded);
    check(vec![
        ("production", environment("production"), &[]),
        ("test", environment("test"), &["export.non-production"]),
        ("anything else", environment("Production"), &["export.non-production"]),
        ("de-identified", environment("test").attribute("resource.deidentified", true), &[]),
        (
            "not de-identified",
            environment("test").attribute("resource.deidentified", false),
            &["export.non-production"],
        ),
        ("synthetic", environment("test").attribute("resource.synthetic", true), &[]),
        ("test data", environment("test").attribute("resource.environment", "test"), &[]),
        (
            "production data",
            environment("test").attribute("resource.environment", "production"),
            &["export.non-production"],
        ),
        ("to a system that is not said", not_said(), &["export.environment-unknown"]),
        ("to a file", not_said().attribute("context.destination.channel", "file"), &[]),
    ]);
}

#[test]
fn a_share_names_its_recipient() {
    let to_nobody = |action: &str| {
        let mut request = TestRequest::new(action);
        request = request.resource("DocumentReference", "d-1").purpose("HOPERAT");
        request.attribute("context.justification", "quality report for the third quarter")
    };
    check(vec![
        ("a share", to_nobody("share"), &["export.recipient-missing"]),
        ("a download", to_nobody("download"), &[]),
        ("a print", to_nobody("print"), &[]),
    ]);
}

/// A big share by somebody to a vendor abroad without agreement, reason or approval.
fn by(kind: &str, id: &str) -> TestRequest {
    TestRequest::new("share")
        .subject(kind, id)
        .resource("DataSet", "ds-1")
        .patient("p-1")
        .today(date("2026-11-21"))
        .now(instant(NOW))
        .purpose("PATRQT")
        .attribute("context.destination.organization", entity("Organization", "app-vendor"))
        .attribute("context.destination.country", "NZ")
}

const ALL: &[&str] =
    &["export.justification", "export.approval-missing", "export.country", "export.agreement"];

#[test]
fn own_access_is_not_held_up() {
    let grant = |kind: &str| {
        let grant = TestRelation::new(kind, "g-1").attribute("start", instant("2026-01-01T00:00:00Z"));
        if kind == "ProxyGrant" { grant.attribute("verified", true) } else { grant }
    };
    let parent = |grant: TestRelation| by("RelatedPerson", "r-1").relation(grant);
    let app = |category: &str| by("Application", "app-1").attribute("subject.category", category);
    let now = instant(NOW);
    check(vec![
        ("the patient", by("Patient", "p-1"), &[]),
        ("another patient", by("Patient", "p-2"), ALL),
        ("the workforce", by("Practitioner", "dr-1"), ALL),
        ("a proxy", parent(grant("ProxyGrant")), &[]),
        ("a relative without a grant", by("RelatedPerson", "r-1"), ALL),
        ("a proxy who is not verified", parent(grant("ProxyGrant").attribute("verified", false)), ALL),
        (
            "a proxy nobody verified",
            parent(grant("ProxyGrant").absent("verified", Absence::NotRecorded)),
            ALL,
        ),
        ("revoked", parent(grant("ProxyGrant").attribute("revoked", true)), ALL),
        ("ends in a millisecond", parent(grant("ProxyGrant").attribute("end", now + MILLISECOND)), &[]),
        ("ends now", parent(grant("ProxyGrant").attribute("end", now)), ALL),
        ("begins now", parent(grant("ProxyGrant").attribute("start", now)), &[]),
        ("begins in a millisecond", parent(grant("ProxyGrant").attribute("start", now + MILLISECOND)), ALL),
        ("the patient's own app", app("patient-directed").relation(grant("AppGrant")), &[]),
        ("the patient's own app without a grant", app("patient-directed"), ALL),
        ("a vendor's app", app("vendor").relation(grant("AppGrant")), ALL),
        (
            "the wall stands for everyone",
            by("Patient", "p-1").attribute("context.destination.environment", "test"),
            &["export.non-production"],
        ),
    ]);
    assert_eq!(by("Patient", "p-1").evaluate(&rule()).unwrap().obligations, []);
}

#[test]
fn what_leaves_is_handled_by_channel() {
    let done = |request: TestRequest| {
        let findings = request.evaluate(&rule()).unwrap();
        findings.obligations.into_iter().map(|obligation| obligation.code).collect::<Vec<_>>()
    };
    use ObligationCode::{AccountDisclosure, DataLossPrevention, Encrypt, Redact, Watermark};
    let channel = |channel: &str| good().attribute("context.destination.channel", channel);
    let unsaid = || good().absent("context.destination.channel", Absence::NotRecorded);
    assert_eq!(done(good()), [Watermark, Encrypt, DataLossPrevention]);
    assert_eq!(done(unsaid()), [Watermark, Encrypt, DataLossPrevention]);
    // The settings for paper were written without `encrypt`.
    assert_eq!(done(channel("print")), [Watermark]);
    assert_eq!(done(channel("pigeon")), [Watermark, Encrypt]);
    let labels = |labels: &[&str]| good().attribute("resource.labels", texts(labels.iter().copied()));
    assert_eq!(done(labels(&["SUD", "N"])), [Watermark, Encrypt, DataLossPrevention, Redact]);
    let of = |request: TestRequest| request.evaluate(&rule()).unwrap().obligations.pop().unwrap().parameters;
    let redact = |names: &[&str]| {
        let mut expected = Findings::default();
        expected.oblige(Redact).with("labels", texts(names.iter().copied())).parameters.clone()
    };
    assert_eq!(of(labels(&["SUD", "N"])), redact(&["SUD"]));
    assert_eq!(of(good().absent("resource.labels", Absence::NotRecorded)), redact(&["PSY", "SUD"]));
    assert_eq!(done(share().purpose("HRESCH")), [Watermark, Encrypt, AccountDisclosure]);
    assert_eq!(done(share()), [Watermark, Encrypt]);
}

#[test]
fn the_watermark_says_who_and_when() {
    let findings = good().evaluate(&rule()).unwrap();
    let mut expected = Findings::default();
    expected
        .oblige(ObligationCode::Watermark)
        .with("user", entity("Practitioner", "dr-1"))
        .with("at", instant(NOW));
    assert_eq!(findings.obligations[0], expected.obligations[0]);
}

#[test]
fn settings_that_make_no_sense_are_refused_all_at_once() {
    let problems = configure::<ExportApproval>(json!({
        "justification_min_length": 5000,
        "approval_max_age": "PT0S",
        "approvals": [
            { "records_over": 100, "quorum": 2, "roles": [""] },
            { "records_over": 100, "quorum": 1 },
            { "records_over": 200, "quorum": 0 },
        ],
        "countries": ["us"],
    }))
    .unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    let expected = [
        "/justification_min_length",
        "/approval_max_age",
        "/approvals/0/roles/0",
        "/approvals/1/records_over",
        "/approvals/1/quorum",
        "/approvals/2/quorum",
        "/approvals/2/quorum",
        "/countries/0",
    ];
    assert_eq!(paths, expected);
    let problems = configure::<ExportApproval>(json!({ "quorum": 2 })).unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["", "/quorum", ""], "`approvals` is missing, an unknown name, a note: {problems:?}");
    // A misspelt name and a wrong type hide nothing of what the rest means.
    let problems = configure::<ExportApproval>(json!({
        "justification_min_lenght": 20,
        "approval_max_age": 7,
        "approvals": [{ "records_over": "many", "quorum": 1 }, { "records_over": 200, "quorum": 0 }],
        "countries": ["us"],
    }))
    .unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    let expected = [
        "/approval_max_age",
        "/approvals/0/records_over",
        "/justification_min_lenght",
        "",
        "/approvals/1/quorum",
        "/countries/0",
    ];
    assert_eq!(paths, expected, "{problems:?}");
}
