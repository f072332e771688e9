//! Tests of the sensitive tables: look-ups, subsumption, what the build refuses.

use super::*;

#[test]
fn tables_are_sorted_for_their_look_ups() {
    assert!(RULES.is_sorted_by(|a, b| a.id < b.id));
    assert!(FORMS.is_sorted_by(|a, b| a.id < b.id));
    assert!(EXCEPTIONS.is_sorted_by(|a, b| a.id < b.id));
    assert!(CATEGORIES.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(rule("ny-hiv").unwrap().jurisdiction, "NY");
    assert_eq!(rule("ny"), None);
}

#[test]
fn labels_fall_under_wider_and_equal_ones() {
    for (label, of, expected) in [
        ("SUD", "SUD", true),
        ("OPIOIDUD", "SUD", true),
        ("ETH", "SUD", true),
        ("SUD", "ETH", true),
        ("ETHUD", "ETH", true),
        ("SPI", "SUD", true),
        ("SPI", "PSYTHPN", false),
        ("PSYTHPN", "PSYTHPN", true),
        ("HIV", "STD", false),
        ("SPI", "HIV", false),
        ("XYZ", "HIV", false),
    ] {
        assert_eq!(label_within(label, of), expected, "{label} in {of}");
    }
}

/// INVARIANT (exact purposes).
#[test]
fn exact_purposes_are_met_only_by_themselves() {
    for (purpose, list, expected) in [
        ("BTG", &["TREAT"][..], false),
        ("BTG", &["ETREAT"], false),
        ("BTG", &["BTG"], true),
        ("ETREAT", &["TREAT"], false),
        ("ERTREAT", &["ETREAT"], false),
        ("ERTREAT", &["TREAT"], true),
        ("COC", &["TREAT"], true),
        ("MLTRAINING", &["HOPERAT"], false),
        ("MLTRAINING", &["*"], false),
        ("MLTRAINING", &["MLTRAINING"], true),
        ("HTEST", &["HOPERAT"], true),
        ("BTG", &["*"], true),
        ("HLEGAL", &["HPAYMT"], false),
        ("NONSENSE", &["TREAT"], false),
    ] {
        assert_eq!(purpose_in(purpose, list), expected, "{purpose} in {list:?}");
    }
}

/// A deny is not avoided by asking for a part of what it names.
#[test]
fn what_forbids_reaches_all_that_is_part_of_it() {
    for (purpose, of, expected) in [
        ("BTG", "TREAT", true),
        ("BTG", "ETREAT", true),
        ("ERTREAT", "TREAT", true),
        ("ETREAT", "TREAT", true),
        ("MLTRAINING", "HOPERAT", true),
        ("TREAT", "ETREAT", false),
        ("TREAT", "BTG", false),
        ("ERTREAT", "BTG", false),
        ("NONSENSE", "NONSENSE", true),
        ("NONSENSE", "TREAT", false),
    ] {
        assert_eq!(purpose_is(purpose, of), expected, "{purpose} of {of}");
    }
    let emergencies = PURPOSES.iter().map(|known| known.code).filter(|code| is_emergency(code));
    assert!(emergencies.eq(["BTG", "ERTREAT", "ETREAT"]));
}

#[test]
fn a_mark_of_part_2_is_a_part_of_substance_use_and_not_all_of_it() {
    assert!(label_is("42CFRPart2", "SUD") && label_is("42CFRPart2", "ETH"));
    assert!(!label_is("SUD", "42CFRPart2"));
    // To a rule about Part 2 records, what is labelled substance use may well be one.
    assert!(label_within("SUD", "42CFRPart2"));
}

#[test]
fn holders_of_rules_are_kinds_an_organization_can_be() {
    for rule in RULES {
        assert!(rule.holders.iter().all(|holder| HOLDERS.contains(holder)), "{}", rule.id);
    }
}

#[test]
fn the_excerpt_says_what_the_table_of_minor_consent_says() {
    use crate::minor_consent::{Disclosure, Limits, find};
    for limited in LIMITED {
        let row = find(limited.state, limited.category).unwrap();
        assert!(limited.id.split('.').eq(row.id.split('/')), "{}", row.id);
        assert_eq!(limited.requires_disclosure, row.disclosure == Disclosure::Required, "{}", row.id);
        assert_eq!(limited.sessions_max, row.limits.sessions_max, "{}", row.id);
        assert_eq!(limited.medication_from_age, row.limits.medication_from_age, "{}", row.id);
        assert_eq!((limited.min_age, limited.citation), (row.min_age, row.citation), "{}", row.id);
    }
    let in_excerpt = |id: &str| LIMITED.iter().any(|limited| limited.id.split('.').eq(id.split('/')));
    for row in crate::minor_consent::TABLE.rows {
        let limited =
            row.limits != Limits::default() && row.may_consent != crate::minor_consent::MayConsent::No;
        let required = row.disclosure == Disclosure::Required
            && row.category == crate::minor_consent::Category::SubstanceUse;
        assert!(!(limited || required) || in_excerpt(row.id), "{}", row.id);
    }
    assert!(in_excerpt("NY/outpatient_mental_health") && in_excerpt("NV/substance_use"));
}
