//! Every guarded setting changes its own part and no other; how it is written changes nothing.

use std::path::{Path, PathBuf};

use assent_plugin::{HostConfig, PluginHost};
use proptest::prelude::*;

use super::*;
use crate::deployment::build::build_organization;
use crate::deployment::files::Files;

const ORGANIZATION: &str = r#"id = "clinic"
name = "Clinic"
schema = ["clinic.cedarschema"]
policies = ["clinic.cedar"]
[subjects]
user = "User"
[resources]
record = "Record"
[[approval]]
kind = "export"
records_over = 100
quorum = 1
roles = ["head", "officer"]
[[approval]]
kind = "export"
records_over = 1000
quorum = 2
roles = ["head"]
[break_glass]
reasons = ["medical-emergency", "disaster"]
justification_min = 10
lasts_hours = 4
review_within_hours = 72
escalate_after_hours = 48
declarers = ["er", "icu"]
reviewers = ["officer"]
[disclosure_decisions]
expires_within_days = 90
withdrawing_roles = ["officer"]
[consents.policies]
"urn:a" = "permit"
"urn:b" = "deny"
[state]
go_on_when_stale = ["read"]
"#;
const SCHEMA: &str = r#"entity Role;
entity User in [Role];
entity Record;
entity EmergencyAccess = { user: User };
action reading;
action "read" in [reading] appliesTo { principal: [User], resource: [Record], context: { emergency?: EmergencyAccess, @supplied("caller") purpose?: String } };
action "write" appliesTo { principal: [User], resource: [Record] };
"#;
const POLICIES: &str = r#"@id("owner.write")
@intent("users write")
permit (principal, action == Action::"write", resource);
@id("emergency.read")
@intent("in an emergency everybody reads")
@obligation("audit; break-glass-review")
permit (principal, action in Action::"reading", resource) when { context has emergency };
"#;

/// A deployment's text of `[audit.retention]`, and the files of an organization.
#[derive(Clone)]
struct Texts {
    years: u32,
    organization: String,
    schema: String,
    policies: String,
}

impl Texts {
    fn new() -> Self {
        let (organization, schema, policies) = (ORGANIZATION.into(), SCHEMA.into(), POLICIES.into());
        Self { years: 6, organization, schema, policies }
    }

    fn guarded(&self) -> Guarded {
        let Self { years, organization, schema, policies } = self;
        let files =
            [("organization.toml", organization), ("clinic.cedarschema", schema), ("clinic.cedar", policies)];
        let files = Files::archived(files.map(|(name, text)| (name.to_owned(), text.clone().into_bytes())));
        let files =
            OrganizationFiles::read(PathBuf::new(), files).unwrap_or_else(|problem| panic!("{problem}"));
        let host = PluginHost::new(HostConfig { slots: 1, cache: None }).unwrap();
        let built = build_organization(&files, &host, 1).unwrap_or_else(|errors| panic!("{errors}"));
        let deployment =
            format!("organizations = []\n[audit]\nname = \"x\"\n[audit.retention]\nyears = {years}\n");
        Guarded::of_parts(&toml::from_str(&deployment).unwrap(), &files.config, &built.release)
    }

    /// The names of the parts that differ after this change.
    fn changed(&self, change: impl FnOnce(&mut Self)) -> Vec<String> {
        let mut other = self.clone();
        change(&mut other);
        let (before, after) = (self.guarded().recorded(), other.guarded().recorded());
        let changes = assent_audit::releases::changes(&before, &after);
        assert_eq!(changes.is_empty(), before.digest == after.digest);
        changes.iter().map(|change| change.name.to_owned()).collect()
    }
}

/// Replaces in `organization.toml` what must be there.
fn toml(from: &str, to: &str) -> impl FnOnce(&mut Texts) {
    move |texts| {
        assert!(texts.organization.contains(from), "{from}");
        texts.organization = texts.organization.replacen(from, to, 1);
    }
}

#[test]
fn each_guarded_setting_changes_its_own_part() {
    let texts = Texts::new();
    let changes = [
        ("approval", "records_over = 100\n", "records_over = 101\n"),
        ("approval", "quorum = 2", "quorum = 3"),
        ("approval", "kind = \"export\"", "kind = \"access\""),
        // The first role that an approver has is the one that counts.
        ("approval", "[\"head\", \"officer\"]", "[\"officer\", \"head\"]"),
        ("approval", "[\"head\"]", "[\"head\"]\nanswer_within_hours = 71"),
        ("approval", "[\"head\"]", "[\"head\"]\nlasts_hours = 25"),
        ("approval", "[\"head\"]", "[\"head\"]\nuses = 2"),
        ("break_glass", "\"disaster\"", "\"disaster\", \"haste\""),
        ("break_glass", "justification_min = 10", "justification_min = 9"),
        ("break_glass", "lasts_hours = 4\n", "lasts_hours = 5\n"),
        ("break_glass", "review_within_hours = 72", "review_within_hours = 73"),
        ("break_glass", "escalate_after_hours = 48", "escalate_after_hours = 49"),
        ("break_glass", "\"er\", ", ""),
        ("break_glass", "reviewers = [\"officer\"]", "reviewers = [\"er\"]"),
        ("disclosure_decisions", "= 90", "= 91"),
        ("disclosure_decisions", "withdrawing_roles = [\"officer\"]", ""),
        ("consents", "\"urn:b\" = \"deny\"", "\"urn:b\" = \"permit\""),
        ("consents", "[consents.policies]", "[consents]\nservers = [\"https://x\"]\n[consents.policies]"),
        ("consents", "[consents.policies]", "[consents]\nharmless_extensions = [\"u\"]\n[consents.policies]"),
        (
            "consents",
            "[consents.policies]",
            "[consents.identifiers]\n\"s|v\" = { type = \"User\", id = \"ann\" }\n[consents.policies]",
        ),
        ("state.go_on_when_stale", "[\"read\"]", "[]"),
        ("releases.two_persons", "[state]", "[releases]\ntwo_persons = false\n[state]"),
    ];
    for (part, from, to) in changes {
        assert_eq!(texts.changed(toml(from, to)), [part], "{from} → {to}");
    }
    let (from, _) = ORGANIZATION.split_once("[break_glass]").unwrap();
    let (_, rest) = ORGANIZATION
        .split_once("[disclosure_decisions]\nexpires_within_days = 90\nwithdrawing_roles = [\"officer\"]\n")
        .unwrap();
    let without = |texts: &mut Texts| texts.organization = format!("{from}{rest}");
    assert_eq!(texts.changed(without), ["break_glass", "disclosure_decisions"], "a table that is gone");
    assert_eq!(texts.changed(|texts| texts.years = 7), ["audit.retention"]);
}

#[test]
fn policies_that_open_in_an_emergency_and_their_schema_are_guarded_and_others_are_not() {
    let texts = Texts::new();
    let policy = |from: &'static str, to: &'static str| {
        move |texts: &mut Texts| {
            assert!(texts.policies.contains(from) || texts.schema.contains(from), "{from}");
            texts.policies = texts.policies.replace(from, to);
            texts.schema = texts.schema.replace(from, to);
        }
    };
    let read = ["policy:emergency.read"];
    assert_eq!(texts.changed(policy("context has emergency", "context has emergency || true")), read);
    assert_eq!(texts.changed(policy("; break-glass-review", "")), read);
    assert_eq!(
        texts.changed(policy("emergency.read", "emergency.see")),
        ["policy:emergency.read", "policy:emergency.see"]
    );
    // One that does not speak of emergencies any more is gone from the guarded parts, which is a change of them.
    let silent = texts.changed(|texts| {
        texts.policies =
            texts.policies.replace("context has emergency", "true").replace("break-glass-review", "notify");
        texts.policies =
            texts.policies.replace("emergency.read", "all.read").replace("an emergency", "all hours");
    });
    assert_eq!(silent, ["policy:emergency.read", "schema:emergencies"]);
    assert_eq!(
        texts.changed(policy("action \"write\"", "action \"write\" in [reading]")),
        ["schema:emergencies"]
    );
    assert_eq!(
        texts.changed(policy("{ emergency?", "{ @supplied(\"caller\") emergency?")),
        ["schema:emergencies"]
    );
    assert_eq!(texts.changed(policy("{ user: User }", "{ user?: User }")), ["schema:emergencies"]);
    assert_eq!(texts.changed(policy("resource);", "resource) when { true };")), [""; 0]);
    assert_eq!(texts.changed(policy("entity Record;", "entity Record = { more?: Long };")), [""; 0]);
}

#[test]
fn what_is_not_there_counts_as_its_default() {
    let texts = Texts::new();
    let spelt_out = toml("[\"head\"]", "[\"head\"]\nanswer_within_hours = 72\nlasts_hours = 24\nuses = 1");
    assert_eq!(texts.changed(spelt_out), [""; 0]);
    assert_eq!(texts.changed(toml("justification_min = 10\n", "")), [""; 0]);
    assert_eq!(texts.changed(toml("[state]", "[releases]\ntwo_persons = true\n[state]")), [""; 0]);
}

#[test]
fn the_order_in_which_things_are_written_changes_nothing() {
    let texts = Texts::new();
    let reordered = |texts: &mut Texts| {
        for (from, to) in [
            ("\"er\", \"icu\"", "\"icu\", \"er\", \"er\""),
            ("\"medical-emergency\", \"disaster\"", "\"disaster\", \"medical-emergency\""),
            ("\"urn:a\" = \"permit\"\n\"urn:b\" = \"deny\"", "\"urn:b\" = \"deny\"\n\"urn:a\" = \"permit\""),
            ("justification_min = 10\nlasts_hours = 4", "lasts_hours = 4\njustification_min = 10"),
        ] {
            toml(from, to)(texts);
        }
        let rows: Vec<_> = texts.organization.split("[[approval]]").map(str::to_owned).collect();
        let (last, rest) = rows[2].split_once("[break_glass]").unwrap();
        texts.organization =
            format!("{}[[approval]]{last}[[approval]]{}[break_glass]{rest}", rows[0], rows[1]);
        let (first, second) = POLICIES.split_once("@id(\"emergency.read\")").unwrap();
        texts.policies = format!("@id(\"emergency.read\"){second}{first}");
    };
    assert_eq!(texts.changed(reordered), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Comments and blank lines between lines, in all files.
    #[test]
    fn comments_and_blanks_change_nothing(places in prop::collection::vec((0..60_usize, 0..3_u8), 1..8)) {
        let insert = |text: &str, comment: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            for (place, what) in &places {
                let line = [comment.to_owned(), String::new(), format!("\t  {comment} break_glass = 1")];
                let at = place % (lines.len() + 1);
                lines.insert(at, line[usize::from(*what)].clone());
            }
            lines.join("\n") + "\n"
        };
        let texts = Texts::new();
        let changed = texts.changed(|texts| {
            texts.organization = insert(&texts.organization, "# emergency");
            texts.schema = insert(&texts.schema, "// emergency");
            texts.policies = insert(&texts.policies, "// emergency");
        });
        prop_assert_eq!(changed, Vec::<String>::new());
    }
}

/// The examples, with their plugins: what is bound, and how.
#[test]
fn each_part_of_a_binding_changes_the_part_of_that_plugin_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/clinics");
    let deployment = crate::deployment::read(&root).unwrap_or_else(|errors| panic!("{errors}"));
    let host =
        PluginHost::new(HostConfig { slots: 1, cache: Some(root.join(".assent/plugin-cache")) }).unwrap();
    let folder = root.join("organizations/lone-star-hospital");
    let text = std::fs::read_to_string(folder.join("organization.toml")).unwrap();
    let guarded = |text: &str| {
        let mut files = OrganizationFiles::read(folder.clone(), Files::Disk)
            .unwrap_or_else(|problem| panic!("{problem}"));
        files.config = toml::from_str(text).unwrap();
        let built = build_organization(&files, &host, 1).unwrap_or_else(|errors| panic!("{errors}"));
        Guarded::of(&deployment, &files, &built).recorded()
    };
    let before = guarded(&text);
    let exports = "id = \"exports\"";
    let other_code = "component = \"../../../../plugins/target/components/export-approval.wasm\"";
    assert!(text.contains(other_code));
    let (head, tail) = text.split_once("[[plugin]]\nid = \"exports\"").unwrap();
    let (_, after_it) = tail.split_once("\n# Who approves an export").unwrap();
    let changes = [
        ("limits", text.replace(exports, &format!("{exports}\nlimits = {{ fuel = 40000000 }}"))),
        (
            "scope",
            text.replace(
                "\"export\", \"share\",\n]\n\n[plugin.settings]\njustification",
                "\"export\",\n]\n\n[plugin.settings]\njustification",
            ),
        ),
        ("settings", text.replace("justification_min_length = 20", "justification_min_length = 19")),
        ("gone", format!("{head}\n# Who approves an export{after_it}")),
    ];
    for (what, text) in changes {
        let after = guarded(&text);
        let names: Vec<_> = assent_audit::releases::changes(&before, &after)
            .iter()
            .map(|change| change.name.to_owned())
            .collect();
        assert_eq!(names, ["plugin:exports"], "{what}");
    }
    // Which policies of the base are about emergencies: a reviewer reads what this loses.
    let policies: Vec<_> = before.parts.keys().filter_map(|name| name.strip_prefix("policy:")).collect();
    let expected = [
        "break-glass.declared",
        "break-glass.entitled",
        "break-glass.justified",
        "break-glass.read",
        "care.relationship",
        "labels.non-treatment",
        "labels.part2",
        "labels.very-restricted",
        "minimum.role-purpose",
        "session.mfa",
    ];
    assert_eq!(policies, expected);
}
