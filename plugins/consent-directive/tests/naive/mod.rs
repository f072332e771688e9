//! The naive reading of consents for one record of which everything is known: by recursion over the nested
//! text, with the hierarchies written out by hand. Shares no code with the rule.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a mistake in a test must stop the test")]

use assent_plugin_cases::{Given, GivenProvision};

use crate::caller::Item;
use crate::harness::Case;

/// What the reading says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Permitted,
    Denied,
}

/// The organization's setting, unless there are consents, which must all permit.
pub(crate) fn reading(case: &Case, item: &Item) -> Kept {
    let permits =
        |given: &Given| level(given.base.as_deref().unwrap(), &given.provisions, case, item) == "permit";
    if case.consents.is_empty() {
        return if case.settings["no_consent"] == "permit" { Kept::Permitted } else { Kept::Denied };
    }
    if case.consents.iter().all(permits) { Kept::Permitted } else { Kept::Denied }
}

/// The effect of a provision with the exceptions to it. An exception that only may be meant counts where
/// it comes to a deny; a deny of treatment gives way to a permit beside it that names the emergency.
fn level<'a>(effect: &'a str, but: &'a [GivenProvision], case: &Case, item: &Item) -> &'a str {
    let purpose = case.purpose.as_deref().unwrap();
    let emergency = ["ETREAT", "ERTREAT", "BTG"].contains(&purpose);
    let names = |one: &GivenProvision| one.purposes.iter().any(|of| of == purpose);
    let permitted_by_name = emergency
        && but.iter().any(|one| one.effect == "permit" && names(one) && matches(one, case, item, false));
    let mut effects = Vec::new();
    for one in but.iter().filter(|one| matches(one, case, item, true)) {
        let by_wider = emergency && one.effect == "deny" && !one.purposes.is_empty() && !names(one);
        if by_wider && permitted_by_name {
            continue;
        }
        let below = level(&one.effect, &one.but, case, item);
        if below == "deny" || matches(one, case, item, false) {
            effects.push(below);
        }
    }
    if effects.is_empty() {
        effect
    } else if effects.contains(&"deny") {
        "deny"
    } else {
        "permit"
    }
}

/// Whether the provision is about it; `may`: whether it may be meant.
fn matches(one: &GivenProvision, case: &Case, item: &Item, may: bool) -> bool {
    let any =
        |list: &[String], test: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|of| test(of));
    let subject = case.subject.as_deref().unwrap();
    let purpose = case.purpose.as_deref().unwrap();
    let action = if case.action.as_deref() == Some("update") { "correct" } else { "access" };
    let date = item.date.as_deref().unwrap();
    // To a relative every access is a disclosure; inside the organization none is.
    let disclosed = subject.starts_with("RelatedPerson");
    let own_names: &[&str] = if disclosed { &[] } else { &["Organization::clinic"] };
    // These dates are all of one form, so that they compare as texts.
    one.end.as_deref().is_none_or(|end| case.now.as_deref().unwrap() < end)
        && one.data_start.as_deref().is_none_or(|start| start <= date)
        && one.data_end.as_deref().is_none_or(|end| date < end)
        && any(&one.actors, &|who| who == subject || own_names.contains(&who))
        && any(&one.purposes, &|of| purpose_of(purpose, of, &one.effect))
        // A change may show what it changes.
        && any(&one.actions, &|of| {
            of == action || (of == "disclose" && disclosed) || (may && action == "correct" && of == "access")
        })
        && any(&one.classes, &|of| of == item.class)
        && any(&one.codes, &|of| item.codes.iter().any(|code| code == of))
        && (one.labels.is_empty() || labels_of(case, item, one, may))
}

fn purpose_of(purpose: &str, of: &str, effect: &str) -> bool {
    let denied_with = [
        ("ETREAT", "TREAT"),
        ("ERTREAT", "TREAT"),
        ("BTG", "TREAT"),
        ("ERTREAT", "ETREAT"),
        ("BTG", "ETREAT"),
    ];
    purpose == of
        || matches!((purpose, of), ("COC", "TREAT") | ("ENROLLM", "HPAYMT"))
        || (effect == "deny" && denied_with.contains(&(purpose, of)))
}

fn labels_of(case: &Case, item: &Item, one: &GivenProvision, may: bool) -> bool {
    let level = |code: &str| ["U", "L", "M", "N", "R", "V"].iter().position(|known| *known == code);
    // What its encounter carries is the record's as well; of two levels the higher counts.
    let carried: Vec<&str> = item.labels.iter().chain(&item.encounter).map(String::as_str).collect();
    let own_level = carried.iter().filter_map(|label| level(label)).max().unwrap();
    let mut sensitivity: Vec<&str> = carried.into_iter().filter(|label| level(label).is_none()).collect();
    for category in &item.categories {
        sensitivity.extend(match category.as_str() {
            "sti_hiv" => &["STD", "HIV"][..],
            "substance_use" => &["SUD"],
            _ => &[],
        });
    }
    let flags = case.facts.get("patient.privacyFlags").and_then(toml::Value::as_array);
    let mut of_patient: Vec<&str> = flags.into_iter().flatten().filter_map(toml::Value::as_str).collect();
    let entry = item.class == "Patient";
    if entry {
        of_patient.push("DEMO");
    }
    let carries = |of: &str| {
        let is = |label: &&str| narrower(of).contains(label);
        let may_be = |label: &&str| may && wider(of).contains(label);
        sensitivity.iter().chain(&of_patient).any(|label| is(label) || may_be(label))
            // A patient's own entry may hold what any demographic label is about.
            || (may && entry && ["DEMO", "GENDER"].contains(&of))
    };
    let (levels, names): (Vec<&str>, Vec<&str>) =
        one.labels.iter().map(String::as_str).partition(|label| level(label).is_some());
    let levels = levels.into_iter().filter_map(level);
    if one.effect == "deny" {
        return levels.min().is_some_and(|lowest| own_level >= lowest) || names.iter().any(|of| carries(of));
    }
    let covered = |label: &&str| {
        names.iter().any(|of| narrower(of).contains(label) || (may && wider(of).contains(label)))
    };
    levels.max().is_some_and(|highest| own_level <= highest)
        || (names.iter().any(|of| carries(of)) && sensitivity.iter().all(covered))
}

/// The labels of these tests that are a label or part of it.
fn narrower(of: &str) -> Vec<&str> {
    match of {
        "SUD" | "ETH" => vec!["SUD", "ETH", "OPIOIDUD"],
        "SPI" => vec!["SPI", "SUD", "ETH", "OPIOIDUD", "PSY"],
        of => vec![of],
    }
}

/// Those that it is part of: what is marked substance use in general may be opioids.
fn wider(of: &str) -> &'static [&'static str] {
    match of {
        "OPIOIDUD" => &["SPI", "SUD", "ETH"],
        "SUD" | "ETH" | "PSY" => &["SPI"],
        _ => &[],
    }
}
