//! The naive reading of consents for one record of which everything is known: by recursion over the nested
//! text, with the hierarchies written out by hand. Shares no code with the rule.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a mistake in a test must stop the test")]

use assent_plugin_cases::{Given, GivenProvision};

use crate::harness::Case;

/// A record of which everything is known.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) class: String,
    pub(crate) labels: Vec<String>,
    pub(crate) codes: Vec<String>,
    pub(crate) date: String,
}

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
/// it comes to a deny.
fn level<'a>(effect: &'a str, but: &'a [GivenProvision], case: &Case, item: &Item) -> &'a str {
    let mut effects = Vec::new();
    for one in but.iter().filter(|one| matches(one, case, item, true)) {
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
    // These dates are all of one form, so that they compare as texts.
    one.end.as_deref().is_none_or(|end| case.now.as_deref().unwrap() < end)
        && one.data_start.as_deref().is_none_or(|start| start <= item.date.as_str())
        && one.data_end.as_deref().is_none_or(|end| item.date.as_str() < end)
        && any(&one.actors, &|who| who == subject || who == "Organization::clinic")
        && any(&one.purposes, &|of| purpose_of(purpose, of))
        // A change may show what it changes.
        && any(&one.actions, &|of| of == action || (may && action == "correct" && of == "access"))
        && any(&one.classes, &|of| of == item.class)
        && any(&one.codes, &|of| item.codes.iter().any(|code| code == of))
        && any(&one.labels, &|of| label_of(&item.labels, of, &one.effect, may))
}

fn purpose_of(purpose: &str, of: &str) -> bool {
    purpose == of || matches!((purpose, of), ("COC", "TREAT") | ("ENROLLM", "HPAYMT"))
}

fn label_of(labels: &[String], of: &str, effect: &str, may: bool) -> bool {
    let level = |code: &str| ["U", "L", "M", "N", "R", "V"].iter().position(|known| *known == code);
    if let Some(wanted) = level(of) {
        let own = labels.iter().filter_map(|label| level(label)).max().unwrap();
        return if effect == "permit" { own <= wanted } else { own >= wanted };
    }
    let carries = |codes: &[&str]| labels.iter().any(|label| codes.contains(&label.as_str()));
    match of {
        "SUD" | "ETH" => carries(&["SUD", "ETH", "OPIOIDUD"]),
        // What is marked substance use in general may be opioids.
        "OPIOIDUD" if may => carries(&["SUD", "ETH", "OPIOIDUD"]),
        "SPI" => carries(&["SUD", "ETH", "OPIOIDUD", "PSY"]),
        code => carries(&[code]),
    }
}
