//! The table of minor consent as compiled: what look-ups find, and that it is the table it was
//! made from.

use assent_law::minor_consent::{
    Basis, Category, Confidence, Day, Disclosure, MayConsent, TABLE, Unsettled, find, majority,
};

#[test]
fn every_jurisdiction_has_a_row_for_each_of_the_six_categories() {
    let states: Vec<_> = TABLE.majorities.iter().map(|majority| majority.state).collect();
    assert_eq!(states.len(), 51);
    for state in states {
        for category in &Category::ALL[..6] {
            let row = find(state, category.code()).unwrap();
            assert_eq!((row.state, row.category), (state, *category));
            assert_eq!(row.id, format!("{state}/{}", category.code()));
        }
    }
    assert!(TABLE.rows.is_sorted_by_key(|row| (row.state, row.category.code())), "look-ups bisect");
}

#[test]
fn a_look_up_finds_the_row_or_nothing() {
    let row = find("CA", "outpatient_mental_health").unwrap();
    assert_eq!((row.may_consent, row.min_age), (MayConsent::Yes, Some(12)));
    assert_eq!(row.disclosure, Disclosure::Prohibited);
    assert_eq!(row.effective_from, Some(Day { year: 2024, month: 7, day: 1 }));
    assert_eq!((row.basis, row.confidence), (Basis::Primary, Confidence::High));
    assert!(row.citation.contains("124260"));
    assert_eq!(row.limits.medication_from_age, Some(18));
    assert_eq!(find("US", "part2_sud_program").unwrap().disclosure, Disclosure::Prohibited);
    for (state, category) in [("PR", "sti_hiv"), ("CA", "abortion"), ("", ""), ("ca", "sti_hiv")] {
        assert_eq!(find(state, category), None);
    }
}

#[test]
fn majority_is_not_18_everywhere() {
    for (state, age) in [("CA", 18), ("AL", 19), ("NE", 19), ("MS", 21)] {
        assert_eq!(majority(state).unwrap().age, age, "{state}");
    }
    assert_eq!(majority("NE").unwrap().earlier, [(Category::OutpatientMentalHealth, 18)]);
    assert!(majority("US").is_none() && majority("PR").is_none());
}

#[test]
fn a_row_is_settled_only_with_a_source_and_without_doubt() {
    let unsettled = |state, category| find(state, category).unwrap().unsettled();
    assert_eq!(unsettled("CA", "sti_hiv"), None);
    assert_eq!(unsettled("DC", "sti_hiv"), Some(Unsettled::NoSource), "known from memory only");
    assert_eq!(unsettled("TX", "sti_hiv"), Some(Unsettled::UnderReview));
    assert_eq!(unsettled("RI", "outpatient_mental_health"), Some(Unsettled::Unclear));
    assert_eq!(unsettled("NY", "general_medical"), None);
    assert_eq!(unsettled("SD", "substance_use"), Some(Unsettled::LowConfidence));
    for row in TABLE.rows {
        let sourced = row.effective_from.is_some() || !row.source_snapshot.is_empty();
        assert!(sourced || row.unsettled() == Some(Unsettled::NoSource), "{}", row.id);
        assert!(!row.owner.is_empty() && !row.citation.is_empty(), "{}", row.id);
    }
}

#[test]
fn the_table_says_which_it_is() {
    assert_eq!(TABLE.digest.len(), 64);
    assert!(TABLE.digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(!TABLE.version.is_empty());
}

/// Compares with the research that the table was first made from. Reads `../shared` beside the
/// checkout; skips where it is not there. A row that is changed for good is listed here.
#[test]
fn the_table_is_the_shared_research_row_by_row() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/health/state_minor_consent.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared research");
        return;
    };
    const CHANGED: &[&str] = &[];
    let shared: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = shared["rows"].as_array().unwrap();
    assert_eq!(rows.len(), TABLE.rows.len());
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap();
        let id = format!("{}/{}", text("state"), text("category"));
        let ours = find(text("state"), text("category")).unwrap_or_else(|| panic!("{id} is missing"));
        if CHANGED.contains(&ours.id) {
            continue;
        }
        let found = (
            ours.may_consent.code(),
            ours.min_age.map(u64::from),
            ours.disclosure.code(),
            ours.citation,
            ours.confidence.code(),
            ours.basis.code(),
            ours.review_required,
            ours.effective_from.map(|day| format!("{:04}-{:02}-{:02}", day.year, day.month, day.day)),
        );
        let expected = (
            text("minor_may_consent"),
            row["min_age"].as_u64(),
            text("parent_disclosure"),
            text("citation"),
            text("confidence"),
            text("basis"),
            row["review_required"].as_bool().unwrap(),
            row["effective_from"].as_str().map(str::to_owned),
        );
        assert_eq!(found, expected, "{id}");
    }
}

/// Notes and conditions stay in the files, out of the compiled table: compared there.
#[test]
fn notes_and_conditions_are_kept_for_the_reader() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/health/state_minor_consent.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared research");
        return;
    };
    let shared: serde_json::Value = serde_json::from_str(&text).unwrap();
    for row in shared["rows"].as_array().unwrap() {
        let state = row["state"].as_str().unwrap();
        let file = format!("{}/data/minor_consent/{state}.toml", env!("CARGO_MANIFEST_DIR"));
        let file: toml::Table = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let rows = file["row"].as_array().unwrap();
        let ours = rows.iter().find(|ours| ours["category"].as_str() == row["category"].as_str()).unwrap();
        assert_eq!(ours["conditions"].as_str(), row["conditions"].as_str());
        assert_eq!(
            ours.get("note").and_then(|note| note.as_str()).unwrap_or_default(),
            row["note"].as_str().unwrap()
        );
    }
}
