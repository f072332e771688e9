//! Which policies are found by words, and that their forms change with what they do and with nothing else.

use super::*;
use crate::testing::{policies, schema, try_policies};
use crate::{Names, SourceFile, load};

const WORDS: &[&str] = &["grant", "btg"];

fn found(texts: &[&str]) -> Vec<String> {
    policies(texts).mentions(WORDS).policies.into_keys().collect()
}

fn form_of(text: &str) -> Mentions {
    try_policies(text).unwrap_or_else(|errors| panic!("{errors}")).mentions(WORDS)
}

#[test]
fn a_policy_is_found_by_any_part_of_it_that_has_a_word() {
    let ways = [
        "permit (principal, action == Action::\"view\", resource) when { context has grant };",
        "permit (principal, action == Action::\"view\", resource) when { context has purpose && context.purpose == \"BTG\" };",
        // Written otherwise, it is the same text.
        "permit (principal, action == Action::\"view\", resource) when { context has purpose && context.purpose == \"\\u{42}TG\" };",
        "permit (principal, action == Action::\"view\", resource) when { context has purpose && context.purpose like \"*bTg*\" };",
        "permit (principal in Role::\"btg-nurse\", action == Action::\"view\", resource);",
        "@obligation(\"own.btg-review\") permit (principal, action == Action::\"view\", resource);",
        "permit (principal is User, action == Action::\"view\", resource is Patient) unless { [\"x\", \"btg\"].contains(resource.birthDate) };",
    ];
    for text in ways {
        assert_eq!(found(&[text]), ["p1"], "{text}");
    }
    assert_eq!(
        found(&["permit (principal, action == Action::\"view\", resource); // BTG, a grant"]),
        [""; 0]
    );
}

#[test]
fn a_form_has_no_comments_blanks_or_order_of_annotations_and_everything_else() {
    let text = "@id(\"a\") @intent(\"t\") permit (principal, action == Action::\"view\", resource) when { context has grant };";
    let same = "// why\n@intent(\"t\")\n@id(\"a\")\npermit (\n  principal, // who\n  action == Action::\"view\",\n  resource\n)\nwhen { context has grant };\n";
    assert_eq!(form_of(text), form_of(same));
    let others = [
        text.replace("has grant", "has grant && context.grant.verified"),
        text.replace("when", "unless"),
        text.replace("permit", "forbid"),
        text.replace("view", "history"),
        text.replace("principal,", "principal is User,"),
        text.replace("resource)", "resource is Patient)"),
        text.replace("@intent", "@obligation(\"audit\") @intent"),
    ];
    for other in others {
        assert_ne!(form_of(text).policies, form_of(&other).policies, "{other}");
    }
}

#[test]
fn what_the_schema_says_of_a_word_is_found_with_the_members_of_named_groups() {
    let text = "@id(\"a\") @intent(\"t\") permit (principal, action in Action::\"readActions\", resource) when { context has grant };";
    let Mentions { schema: before, .. } = form_of(text);
    assert_eq!(
        before["types"]["Grant"]["kind"],
        json!({ "relation": { "from": "person", "to": "patient" } })
    );
    assert_eq!(before["attributes"]["Action::\"view\".grant"]["supplied"], "host");
    let members = json!(["Action::\"history\"", "Action::\"readActions\"", "Action::\"view\""]);
    assert_eq!(before["groups"]["Action::\"readActions\""], members);

    let of_schema = |change: &dyn Fn(&str) -> String| {
        let schema: Vec<_> = schema().iter().map(|file| SourceFile::new("s", change(&file.text))).collect();
        let names = Names { subjects: [].into(), resources: [].into(), actions: [].into() };
        let loaded = load(&schema, &[SourceFile::new("p.cedar", text)], names);
        loaded.unwrap_or_else(|errors| panic!("{errors}")).mentions(WORDS).schema
    };
    assert_eq!(
        before,
        of_schema(&|text| format!(
            "// more\n{}",
            text.replace("action \"view\", \"history\"", "action \"history\",\n\"view\"")
        ))
    );
    let changes: [&dyn Fn(&str) -> String; 5] = [
        &|text| text.replace("@supplied(\"host\") grant?", "@supplied(\"caller\") grant?"),
        &|text| text.replace("grant?: Grant", "grant?: Grant, later?: { more?: Grant }"),
        &|text| text.replace("verified: Bool }", "verified?: Bool }"),
        &|text| text.replace("@to(\"patient\")\nentity Grant", "@to(\"patient\")\nentity Grant in [Org]"),
        &|text| text.replace("action \"export\"", "action \"export\" in [readActions]"),
    ];
    let changed: Vec<_> = changes.iter().map(|change| of_schema(change)).collect();
    for (n, one) in changed.iter().enumerate() {
        assert!(*one != before && changed.iter().skip(n + 1).all(|other| other != one), "{n}");
    }
}
