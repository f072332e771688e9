//! What the build refuses in the table of sensitive categories: each case changes one file of a copy
//! of the table and says which problem is shown.

#![expect(clippy::unwrap_used, reason = "a mistake in a test must stop the test")]

#[path = "../build/minor_consent.rs"]
#[expect(dead_code, reason = "only the words that both tables share are used here")]
mod minor_consent;
#[path = "../build/sensitive/mod.rs"]
mod sensitive;

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

/// The problems of the table with one text of one file replaced.
fn problems(case: &str, file: &str, from: &str, to: &str) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sensitive");
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(case);
    let copy = root.join("sensitive");
    std::fs::create_dir_all(copy.join("rules")).unwrap();
    for folder in ["", "rules"] {
        for entry in std::fs::read_dir(source.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, copy.join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    let text = std::fs::read_to_string(copy.join(file)).unwrap();
    assert!(text.contains(from), "{case}: `{file}` does not contain `{from}`");
    std::fs::write(copy.join(file), text.replacen(from, to, 1)).unwrap();
    let mut build = Build { data: root.clone(), out: root, problems: Vec::new() };
    sensitive::generate(&mut build);
    build.problems
}

#[test]
fn the_table_as_it_is_has_no_problem() {
    assert_eq!(problems("unchanged", "table.toml", "title", "title"), Vec::<String>::new());
}

#[test]
fn each_problem_names_file_row_and_expectation() {
    for (case, file, from, to, expected) in [
        (
            "label",
            "rules/hiv.toml",
            "[\"HIV\"]",
            "[\"HIVV\"]",
            "data/sensitive/rules/hiv.toml: ny-hiv: unknown label `HIVV` (did you mean `HIV`?)",
        ),
        (
            "key",
            "rules/hiv.toml",
            "applies_to.what",
            "applies_to.wat",
            "data/sensitive/rules/hiv.toml: ny-hiv: unknown field `wat`",
        ),
        (
            "citation",
            "rules/federal.toml",
            "citation = \"42 CFR 2.31-2.33, 2.13, 2.14, 2.51; 89 FR 12472\"",
            "citation = \" \"",
            "data/sensitive/rules/federal.toml: us-part2: expected a `citation`",
        ),
        (
            "date",
            "rules/federal.toml",
            "2024-04-16",
            "2024-04-31",
            "us-part2: `effective_from` is `2024-04-31`: expected a date",
        ),
        (
            "snapshot",
            "rules/genetic.toml",
            "2026-11-21",
            "lately",
            "ny-gen: `source_snapshot` is `lately`: expected a date",
        ),
        ("owner", "rules/genetic.toml", "owner = \"privacy-office\"", "", "ny-gen: expected an `owner`"),
        (
            "default",
            "rules/hiv.toml",
            "\"deny\"",
            "\"denied\"",
            "ny-hiv: `default_without_consent` is `denied`: expected one of `deny`",
        ),
        (
            "form",
            "rules/hiv.toml",
            "hiv-specific",
            "hiv-specfic",
            "ny-hiv: unknown form of consent `hiv-specfic` (did you mean",
        ),
        ("exception", "rules/hiv.toml", "[\"treatment\"", "[\"treatmen\"", "unknown exception `treatmen`"),
        (
            "obligation",
            "rules/hiv.toml",
            "redisclosure-notice",
            "redisclosure",
            "ny-hiv: unknown obligation `redisclosure`",
        ),
        (
            "parameter",
            "rules/hiv.toml",
            "statement = ",
            "text = ",
            "ny-hiv: the obligation `redisclosure-notice` needs `statement`",
        ),
        (
            "holder",
            "rules/hiv.toml",
            "\"provider\"",
            "\"providers\"",
            "ny-hiv: unknown kind of holder `providers`",
        ),
        ("jurisdiction", "rules/hiv.toml", "\"NY\"", "\"XX\"", "ny-hiv: `jurisdiction` is `XX`"),
        (
            "no-form",
            "rules/hiv.toml",
            "consent.forms = [\"hiv-specific\"]",
            "",
            "ny-hiv: expected `consent.forms`",
        ),
        ("twice", "rules/genetic.toml", "[ny-gen]", "[ny-hiv]", "ny-hiv: a second row of this id"),
        (
            "circle",
            "labels.toml",
            "SPI = {",
            "SPI = { broader = \"BH\",",
            "BH: `broader` leads back to itself",
        ),
        (
            "equals",
            "labels.toml",
            "HIV = {",
            "HIV = { equals = \"ETH\",",
            "HIV: `equals` names a label that has an `equals` itself",
        ),
        (
            "equals-and-broader",
            "labels.toml",
            "HIV = {",
            "HIV = { equals = \"SPI\", broader = \"SPI\",",
            "HIV: expected `equals` or `broader`",
        ),
        (
            "purpose",
            "forms.toml",
            "\"TREAT\"",
            "\"TREET\"",
            "part2-tpo: unknown purpose `TREET` (did you mean `TREAT`?)",
        ),
        (
            "evidence",
            "exceptions.toml",
            "\"emergency\"",
            "\"siren\"",
            "medical-emergency: `evidence` is `siren`",
        ),
        ("version", "table.toml", "version = \"2026", "version = \" \" #", "the table: expected a `version`"),
    ] {
        let found = problems(case, file, from, to);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{case}: {found:#?}");
    }
}
