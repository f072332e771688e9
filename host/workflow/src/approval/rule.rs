//! Who must approve what, as an organization sets it: rows by kind and number of records.

use serde::{Deserialize, Serialize};

use crate::checks;
use crate::refused::Unfit;

/// People who must agree: more, and nothing is ever approved.
const QUORUM_MAX: u32 = 20;
/// Uses of one approval: each is kept with its decision.
const USES_MAX: u32 = 1_000;
/// The longest that a question waits or an approval lasts, in days: what is needed for longer is a policy.
const DAYS_MAX: u64 = 366;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The kind of approval: `export`, `access`, …
    pub kind: String,
    /// The row begins above this number of records; 0: with the first.
    pub records_over: u64,
    /// How many different people must approve, 1 to 20; the requester does not count.
    pub quorum: u32,
    /// Roles of which each of them must have one. Those of the plugin that reads approvals should be the same:
    /// it counts an approver by the role that is kept, which is the first of this list that the person has.
    pub roles: Vec<String>,
    /// How long a question may be answered, in milliseconds; up to 366 days.
    pub answer_within_ms: u64,
    /// How long an approval lasts, in milliseconds; up to 366 days.
    pub lasts_ms: u64,
    /// How often it can be used, 1 to 1000.
    pub uses: u32,
}

impl Rule {
    /// What is wrong with the row, if anything is.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn check(&self) -> Result<(), Unfit> {
        const LENGTH: &str = "1 millisecond to 366 days";
        let kind = std::slice::from_ref(&self.kind);
        checks::names("kind", kind).map_err(|unfit| Unfit {
            expected: "1 to 200 characters, none of them a control character",
            ..unfit
        })?;
        if !(1..=QUORUM_MAX).contains(&self.quorum) {
            return Err(Unfit { setting: "quorum", expected: "1 to 20" });
        }
        checks::names("roles", &self.roles)?;
        checks::length("answerWithinMs", self.answer_within_ms, DAYS_MAX, LENGTH)?;
        checks::length("lastsMs", self.lasts_ms, DAYS_MAX, LENGTH)?;
        if !(1..=USES_MAX).contains(&self.uses) {
            return Err(Unfit { setting: "uses", expected: "1 to 1000" });
        }
        Ok(())
    }

    /// The row that this many records of a kind fall in: the one that begins highest below them. An unknown number
    /// falls in the highest row. None: so many need no approval, or nobody said who gives it.
    pub fn pick<'a>(rules: &'a [Self], kind: &str, records: Option<u64>) -> Option<&'a Self> {
        let of_kind = rules.iter().filter(|rule| rule.kind == kind);
        let below = of_kind.filter(|rule| records.is_none_or(|records| rule.records_over < records));
        // Of two that begin alike, the one that asks more of people counts.
        below.max_by_key(|rule| (rule.records_over, rule.quorum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exploration::Spoil;

    fn row(kind: &str, records_over: u64, quorum: u32) -> Rule {
        let roles = vec!["head".to_owned()];
        Rule { kind: kind.into(), records_over, quorum, roles, answer_within_ms: 1, lasts_ms: 1, uses: 1 }
    }

    #[test]
    fn the_row_is_the_highest_below_the_number_of_records() {
        let rules =
            [row("export", 500, 2), row("export", 0, 1), row("access", 900, 3), row("export", 500, 1)];
        let picked =
            |kind, records| Rule::pick(&rules, kind, records).map(|rule| (rule.records_over, rule.quorum));
        assert_eq!(picked("export", Some(0)), None);
        assert_eq!(picked("export", Some(1)), Some((0, 1)));
        assert_eq!(picked("export", Some(500)), Some((0, 1)));
        assert_eq!(picked("export", Some(501)), Some((500, 2)));
        assert_eq!(picked("export", None), Some((500, 2)));
        assert_eq!(picked("access", Some(900)), None);
        assert_eq!(picked("access", None), Some((900, 3)));
        assert_eq!(picked("print", None), None);
    }

    #[test]
    fn a_row_that_makes_no_sense_says_which_setting_it_is() {
        const YEAR_MS: u64 = DAYS_MAX * 86_400_000;
        let wrong: &[Spoil<Rule>] = &[
            ("kind", |rule| rule.kind = " ".into()),
            ("quorum", |rule| rule.quorum = 0),
            ("quorum", |rule| rule.quorum = QUORUM_MAX + 1),
            ("roles", |rule| rule.roles.clear()),
            ("roles", |rule| rule.roles.push("head".into())),
            ("answerWithinMs", |rule| rule.answer_within_ms = 0),
            ("answerWithinMs", |rule| rule.answer_within_ms = YEAR_MS + 1),
            ("lastsMs", |rule| rule.lasts_ms = 0),
            ("lastsMs", |rule| rule.lasts_ms = YEAR_MS + 1),
            ("uses", |rule| rule.uses = 0),
            ("uses", |rule| rule.uses = USES_MAX + 1),
        ];
        for (setting, spoil) in wrong {
            let mut rule = row("export", 0, 1);
            assert_eq!(rule.check(), Ok(()));
            spoil(&mut rule);
            assert_eq!(rule.check().unwrap_err().setting, *setting);
        }
        let most = Rule {
            answer_within_ms: YEAR_MS,
            lasts_ms: YEAR_MS,
            uses: USES_MAX,
            ..row("export", 0, QUORUM_MAX)
        };
        assert_eq!(most.check(), Ok(()));
    }
}
