//! How an organization sets the rule, and what is refused as a setting.

use std::collections::BTreeMap;

use assent_plugin_sdk::prelude::*;

/// How the rule is set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The least number of characters of a justification, spaces at the ends not counted.
    #[serde(default = "justification_min_length")]
    pub justification_min_length: u32,
    /// Treatment of few records needs neither justification nor approval.
    #[serde(default)]
    pub treatment: Treatment,
    /// Who must approve how much, from few records to many. Empty: nobody must approve.
    pub approvals: Vec<Tier>,
    /// How old an approver's word may be. Later it does not count any more.
    #[serde(default = "approval_max_age")]
    pub approval_max_age: Duration,
    /// Countries (ISO 3166 alpha-2) that records may go to. Null: any.
    #[serde(default = "countries")]
    pub countries: Option<Vec<String>>,
    /// Where the rule about countries is written, such as `Tex. Health & Safety Code 183.002`.
    #[serde(default = "country_citation")]
    pub country_citation: String,
    /// Recipients that need no business associate agreement for certain purposes.
    #[serde(default = "no_agreement_needed")]
    pub no_agreement_needed: Vec<Exemption>,
    /// Channels to other systems: there, the destination's environment must be stated.
    #[serde(default = "system_channels")]
    pub system_channels: Vec<String>,
    /// What must be done with what leaves, by channel. Not with people's own records.
    #[serde(default = "channels")]
    pub channels: BTreeMap<String, Handling>,
    /// What must be done where the channel is not listed, or unknown.
    #[serde(default)]
    pub other_channels: Handling,
}

/// When treatment is exempt.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Treatment {
    /// Purposes of use that are treatment, each exactly: `TREAT` does not include `ETREAT` or `BTG`.
    #[serde(default = "treatment_purposes")]
    pub purposes: Vec<String>,
    /// The most records.
    #[serde(default)]
    pub exempt_up_to: u64,
}

/// Who must approve when more than so many records leave.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The tier begins above this number of records; 0: with the first.
    pub records_over: u64,
    /// How many different people must approve; the requester does not count.
    pub quorum: u32,
    /// Roles of which each approver must have one. Empty: any.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// Recipients that need no business associate agreement.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// The recipient's category, such as `provider`.
    pub category: String,
    /// For these purposes of use, each exactly.
    pub purposes: Vec<String>,
}

/// What must be done with what leaves.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handling {
    /// Mark it with who, when and the decision.
    #[serde(default)]
    pub watermark: bool,
    /// Encrypt it.
    #[serde(default)]
    pub encrypt: bool,
    /// The profile for data-loss prevention.
    #[serde(default)]
    pub data_loss_prevention: Option<String>,
    /// Leave out what has one of these security labels.
    #[serde(default)]
    pub redact_labels: Vec<String>,
}

/// The strictest that has no names of the organization's own in it.
impl Default for Handling {
    fn default() -> Self {
        Self { watermark: true, encrypt: true, data_loss_prevention: None, redact_labels: vec![] }
    }
}

impl Default for Treatment {
    fn default() -> Self {
        Self { purposes: treatment_purposes(), exempt_up_to: 0 }
    }
}

const fn justification_min_length() -> u32 {
    20
}

const fn approval_max_age() -> Duration {
    Duration::days(7)
}

fn treatment_purposes() -> Vec<String> {
    vec!["TREAT".to_owned()]
}

fn countries() -> Option<Vec<String>> {
    Some(vec!["US".to_owned()])
}

fn country_citation() -> String {
    "45 CFR 164.308(a)(1)(ii)(B)".to_owned()
}

fn system_channels() -> Vec<String> {
    vec!["direct".to_owned(), "fhir".to_owned()]
}

/// Paper is marked and cannot be encrypted.
fn channels() -> BTreeMap<String, Handling> {
    let mut channels = BTreeMap::new();
    channels.insert("print".to_owned(), Handling { encrypt: false, ..Handling::default() });
    channels
}

/// Treatment by another provider, payment by a plan, and public health reporting are disclosures to
/// someone who acts on their own behalf (45 CFR 164.502(e)(1)(ii); 164.506(c); 164.512(b)).
fn no_agreement_needed() -> Vec<Exemption> {
    [("provider", "TREAT"), ("payer", "HPAYMT"), ("public-health", "PUBHLTH")]
        .map(|(category, purpose)| Exemption {
            category: category.to_owned(),
            purposes: vec![purpose.to_owned()],
        })
        .into()
}

/// More than anyone writes in a form.
const JUSTIFICATION_MAX_LENGTH: u32 = 2000;
/// More approvers than any organization asks for; a greater number is a slip of the keyboard.
const QUORUM_MAX: u32 = 20;
/// An approval older than a year is about other data and other people.
const APPROVAL_MAX_AGE: Duration = Duration::days(366);

impl Settings {
    /// Everything that is wrong with them.
    pub(crate) fn check(&self) -> Problems {
        let mut problems = Problems::new();
        if self.justification_min_length > JUSTIFICATION_MAX_LENGTH {
            problems.at("/justification_min_length", format!("expected at most {JUSTIFICATION_MAX_LENGTH}"));
        }
        if self.approval_max_age <= Duration::default() || self.approval_max_age > APPROVAL_MAX_AGE {
            problems
                .at("/approval_max_age", "expected more than nothing and at most 366 days, such as `P7D`");
        }
        let mut below: Option<&Tier> = None;
        for (index, tier) in self.approvals.iter().enumerate() {
            if !(1..=QUORUM_MAX).contains(&tier.quorum) {
                problems.at(format!("/approvals/{index}/quorum"), format!("expected 1 to {QUORUM_MAX}"));
            }
            if below.is_some_and(|below| tier.records_over <= below.records_over) {
                problems.at(
                    format!("/approvals/{index}/records_over"),
                    "expected more than in the entry before: order the entries from few records to many",
                );
            }
            if below.is_some_and(|below| tier.quorum < below.quorum) {
                problems.at(
                    format!("/approvals/{index}/quorum"),
                    "expected at least as many approvers as for fewer records",
                );
            }
            names(&mut problems, &format!("/approvals/{index}/roles"), &tier.roles);
            below = Some(tier);
        }
        for (index, country) in self.countries.iter().flatten().enumerate() {
            if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
                problems.at(
                    format!("/countries/{index}"),
                    "expected two capital letters (ISO 3166), such as `US`",
                );
            }
        }
        names(&mut problems, "/treatment/purposes", &self.treatment.purposes);
        problems
    }
}

fn names(problems: &mut Problems, path: &str, names: &[String]) {
    for (index, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            problems.at(format!("{path}/{index}"), "expected a name");
        }
    }
}
