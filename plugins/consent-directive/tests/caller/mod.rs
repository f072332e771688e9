//! A caller that does what obligations say: from the words of the README alone, for records as it holds them.
//! Shares no code with the rule.

use assent_plugin_cases::values;
use assent_plugin_sdk::prelude::*;

/// A record as its holder has it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) class: String,
    pub(crate) labels: Vec<String>,
    /// Labels of the encounter in which it was written.
    pub(crate) encounter: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) codes: Vec<String>,
    pub(crate) date: Option<String>,
}

const CONFIDENTIALITY: &[&str] = &["U", "L", "M", "N", "R", "V"];
/// Of the labels and marks of these tests, those that HL7 has.
const SENSITIVITY: &[&str] =
    &["SUD", "ETH", "OPIOIDUD", "PSY", "HIV", "STD", "SPI", "VIP", "DEMO", "GENDER", "RACE", "PSYTHPN"];
const MARKS: &[&str] = &["HIPAAConsent"];
/// Categories of these tests that are known.
const CATEGORIES: &[&str] = &["general", "sti_hiv", "substance_use"];

/// Whether the item is handed out.
pub(crate) fn handed_out(findings: &Findings, item: &Item) -> bool {
    findings.allows() && !findings.obligations.iter().any(|obligation| left_out(obligation, item))
}

fn left_out(obligation: &Obligation, item: &Item) -> bool {
    let list = |name: &str| values(obligation, name);
    let flag = |name: &str| list(name).is_some();
    let silent = |named: &[String]| flag("unlabelled") && silent(named, item);
    let groups_met = (1..9).all(|at| {
        let numbered = |name: &str| list(&if at == 1 { name.to_owned() } else { format!("{name}-{at}") });
        match (numbered("labels"), numbered("categories")) {
            (None, None) => true,
            (Some(labels), categories) => {
                carries(item, &labels) || is_of(item, &categories.unwrap_or_default()) || silent(&labels)
            }
            (None, Some(categories)) => {
                is_of(item, &categories) || (flag("uncategorised") && item.categories.is_empty())
            }
        }
    });
    let (except_labels, except_categories) = (list("except-labels"), list("except-categories"));
    let excepted_by_label = match &except_labels {
        Some(labels) => {
            !silent(labels) && (carries(item, labels) || is_of(item, &except_categories.unwrap_or_default()))
        }
        None => is_of(item, &except_categories.unwrap_or_default()),
    };
    let own = [("classes", vec![item.class.clone()]), ("codes", item.codes.clone())];
    let hits = |name: &str, own: &[String]| list(name).map(|of| of.iter().any(|value| own.contains(value)));
    groups_met
        && !excepted_by_label
        && own.iter().all(|(name, own)| hits(name, own).unwrap_or(true))
        && own.iter().all(|(name, own)| !hits(&format!("except-{name}"), own).unwrap_or(false))
        && within(obligation, "dates", item).unwrap_or(true)
        && !within(obligation, "except-dates", item).unwrap_or(false)
}

/// Whether its own labels do not tell whether it carries some of these.
fn silent(named: &[String], item: &Item) -> bool {
    let of = |list: &'static [&str]| move |label: &String| list.contains(&label.as_str());
    let restricted = |labels: &[String]| labels.iter().any(|label| label == "R" || label == "V");
    let says_why = |labels: &[String]| labels.iter().any(of(SENSITIVITY));
    let category_says_why = item.categories.iter().any(|category| category != "general");
    let own_why = says_why(&item.labels) || category_says_why;
    let nothing = item.labels.is_empty() && item.categories.is_empty();
    let unread = item.labels.iter().chain(&item.encounter).any(|label| {
        ![CONFIDENTIALITY, SENSITIVITY, MARKS].iter().any(|known| known.contains(&label.as_str()))
    });
    let unrated = named.iter().any(of(CONFIDENTIALITY)) && !item.labels.iter().any(of(CONFIDENTIALITY));
    let unexplained = !named.iter().all(of(CONFIDENTIALITY))
        && (item.categories.iter().any(|category| !CATEGORIES.contains(&category.as_str()))
            || (restricted(&item.labels) && !own_why)
            || (restricted(&item.encounter) && !own_why && !says_why(&item.encounter))
            || (item.categories.is_empty() && item.labels.iter().all(of(MARKS))));
    nothing || unread || unrated || unexplained
}

fn carries(item: &Item, labels: &[String]) -> bool {
    item.labels.iter().chain(&item.encounter).any(|label| labels.contains(label))
}

fn is_of(item: &Item, categories: &[String]) -> bool {
    item.categories.iter().any(|category| categories.contains(category))
}

/// Whether its date is in the time that the parameters name; none: they name none.
fn within(obligation: &Obligation, name: &str, item: &Item) -> Option<bool> {
    let moment = |end: &str| {
        let value = values(obligation, &format!("{name}-{end}"))?;
        value.first()?.parse::<i64>().ok()
    };
    let (from, until) = (moment("from"), moment("until"));
    if (from, until) == (None, None) {
        return None;
    }
    let Some(date) = &item.date else {
        // What has no date is of the time named, and of none excepted.
        return Some(name == "dates" && values(obligation, "undated").is_some());
    };
    let date = assent_plugin_sdk::testing::instant(date).0;
    Some(from.is_none_or(|from| from <= date) && until.is_none_or(|until| date < until))
}
