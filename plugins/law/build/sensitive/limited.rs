//! The excerpt of the table of minor consent that rules on sensitive categories need.
//!
//! A plugin that asks only where a minor's own consent ends, or where a parent must be told in spite of Part 2, would
//! otherwise carry all rows of all states. The rows have been checked by the table's own generator;
//! here only what this excerpt shows is read.

use serde::Deserialize;

use crate::Build;
use crate::minor_consent::read;

#[derive(Deserialize)]
struct StateFile {
    state: String,
    #[serde(default)]
    row: Vec<RowEntry>,
}

#[derive(Deserialize)]
struct RowEntry {
    category: String,
    minor_may_consent: String,
    min_age: Option<u8>,
    parent_disclosure: String,
    sessions_max: Option<u16>,
    days_max: Option<u16>,
    redetermine_after_days: Option<u16>,
    medication_from_age: Option<u8>,
    #[serde(default)]
    negative_result_withheld: bool,
    #[serde(default)]
    only_positive_result: bool,
    setting_limit: Option<String>,
    subject_limit: Option<String>,
    citation: Option<String>,
}

/// The excerpt as a static.
pub(super) fn code(build: &mut Build) -> String {
    let folder = build.data.join("minor_consent");
    let mut code = String::from(
        "\n/// Rows of minor consent that limit it, or that require disclosure of treatment for\n/// substance use to the parent; by id.\npub static LIMITED: &[Limited] = &[\n",
    );
    for (name, text) in read(build, &folder) {
        if name == "table.toml" {
            continue;
        }
        // A file that cannot be read is a problem of the table itself, and shown there.
        let Ok(file) = toml::from_str::<StateFile>(&text) else { continue };
        let mut rows: Vec<_> = file.row.iter().filter(|row| row.limited()).collect();
        rows.sort_by(|a, b| a.category.cmp(&b.category));
        for row in rows {
            code.push_str(&row.code(&file.state));
        }
    }
    code.push_str("];\n");
    code
}

impl RowEntry {
    /// Whether the excerpt needs the row: the parent must be told of what Part 2 keeps from the parent,
    /// or the minor's consent ends somewhere.
    fn limited(&self) -> bool {
        (self.required() && self.category == "substance_use") || self.consent_ends()
    }

    fn required(&self) -> bool {
        self.parent_disclosure == "required"
    }

    fn consent_ends(&self) -> bool {
        self.minor_may_consent != "no"
            && (self.sessions_max.is_some()
                || self.days().is_some()
                || self.medication_from_age.is_some()
                || self.negative_result_withheld
                || self.only_positive_result
                || self.setting().is_some())
    }

    fn days(&self) -> Option<u16> {
        self.days_max.or(self.redetermine_after_days)
    }

    fn setting(&self) -> Option<&String> {
        self.setting_limit.as_ref().or(self.subject_limit.as_ref())
    }

    fn code(&self, state: &str) -> String {
        // With a dot: codes of findings have no slash.
        let id = format!("{state}.{}", self.category);
        format!(
            "    Limited {{ id: {id:?}, state: {state:?}, category: {:?}, consent_ends: {}, requires_disclosure: {}, \
             min_age: {:?}, sessions_max: {:?}, days_max: {:?}, medication_from_age: {:?}, negative_result_withheld: {}, \
             only_positive_result: {}, setting: {:?}, citation: {:?} }},\n",
            self.category,
            self.consent_ends(),
            self.required(),
            self.min_age,
            self.sessions_max,
            self.days(),
            self.medication_from_age,
            self.negative_result_withheld,
            self.only_positive_result,
            self.setting().map_or("", String::as_str),
            self.citation.as_deref().unwrap_or_default(),
        )
    }
}
