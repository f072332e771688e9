//! What the build refuses in the table of minor consent: each case changes one file of a copy of the
//! table and says which problem is shown.

#![expect(clippy::unwrap_used, reason = "a mistake in a test must stop the test")]

#[path = "../build/minor_consent.rs"]
mod minor_consent;

use std::path::{Path, PathBuf};

struct Build {
    data: PathBuf,
    out: PathBuf,
    problems: Vec<String>,
}

impl Build {
    fn problem(&mut self, file: &Path, row: &str, message: impl std::fmt::Display) {
        self.problems.push(format!("{}: {row}: {message}", file.display()));
    }
}

/// The problems of the table with the first such text of one file replaced.
fn problems(case: &str, file: &str, from: &str, to: &str) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/minor_consent");
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("minor-consent").join(case);
    let copy = root.join("minor_consent");
    std::fs::create_dir_all(&copy).unwrap();
    for entry in std::fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let text = std::fs::read_to_string(copy.join(file)).unwrap();
    assert!(text.contains(from), "{case}: `{from}` is not in {file}");
    std::fs::write(copy.join(file), text.replacen(from, to, 1)).unwrap();
    let mut build = Build { data: root.clone(), out: root, problems: vec![] };
    minor_consent::generate(&mut build);
    build.problems
}

#[test]
fn the_table_as_shipped_has_no_problem() {
    assert_eq!(problems("shipped", "table.toml", "title", "title"), Vec::<String>::new());
}

#[test]
fn a_mistake_is_named_with_file_row_and_what_is_expected() {
    for (case, file, from, to, expected) in [
        ("key", "OH.toml", "sessions_max", "sesions_max", &["OH.toml", "sesions_max", "sessions_max"][..]),
        (
            "citation",
            "CA.toml",
            "citation = \"Cal. Fam. Code 6922\"\n",
            "",
            &["CA.toml", "CA/general_medical", "`citation`"],
        ),
        (
            "owner",
            "CA.toml",
            "owner = \"law data maintainers\"\n",
            "",
            &["CA.toml", "CA/general_medical", "`owner`"],
        ),
        (
            "age",
            "CA.toml",
            "min_age = 15",
            "min_age = 22",
            &["CA.toml", "CA/general_medical", "`min_age` is above 21"],
        ),
        (
            "word",
            "CA.toml",
            "parent_disclosure = \"permitted\"",
            "parent_disclosure = \"allowed\"",
            &["CA.toml", "CA/general_medical", "`allowed`", "`permitted`"],
        ),
        (
            "category",
            "CA.toml",
            "category = \"sti_hiv\"",
            "category = \"sti\"",
            &["CA.toml", "CA/sti", "`sti_hiv`"],
        ),
        (
            "missing",
            "CA.toml",
            "category = \"sti_hiv\"",
            "category = \"hiv\"",
            &["CA.toml", "CA/sti_hiv", "no row"],
        ),
        (
            "duplicate",
            "CA.toml",
            "category = \"sti_hiv\"",
            "category = \"prenatal\"",
            &["CA.toml", "CA/prenatal", "second row"],
        ),
        ("state", "CA.toml", "state = \"CA\"", "state = \"ZZ\"", &["CA.toml", "ZZ", "unknown state"]),
        ("name", "CA.toml", "state = \"CA\"", "state = \"CO\"", &["CA.toml", "CO", "`CO.toml`"]),
        (
            "date",
            "CA.toml",
            "2024-07-01",
            "2024-02-30",
            &["CA.toml", "CA/outpatient_mental_health", "`2024-02-30`"],
        ),
        (
            "part of a date",
            "CA.toml",
            "2024-07-01",
            "2024-07",
            &["CA.toml", "CA/outpatient_mental_health", "`2024-07`"],
        ),
        (
            "snapshot",
            "CA.toml",
            "source_snapshot = \"2026-02\"",
            "source_snapshot = \"last year\"",
            &["CA.toml", "`last year`"],
        ),
        (
            "majority",
            "AL.toml",
            "citation = \"Ala. Code 26-1-1\"\n",
            "",
            &["AL.toml", "AL majority", "`citation`"],
        ),
        ("majority age", "AL.toml", "age = 19", "age = 17", &["AL.toml", "AL majority", "17"]),
        ("version", "table.toml", "version = \"2026.11.21\"", "version = \"\"", &["table.toml", "`version`"]),
        ("syntax", "TX.toml", "[[row]]", "[[row]", &["TX.toml", "line"]),
    ] {
        let problems = problems(case, file, from, to);
        let named = |problem: &String| expected.iter().all(|part| problem.contains(part));
        assert!(problems.iter().any(named), "{case}: {problems:#?}");
    }
}

#[test]
fn all_problems_are_shown_at_once() {
    let problems = problems("both", "CA.toml", "owner = \"law data maintainers\"\n", "");
    assert_eq!(problems.len(), 7, "one for each row: {problems:#?}");
}
