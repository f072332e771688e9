//! What a caller must do with a permit (or, for notices, with a denial).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::value::Value;

macro_rules! obligation_codes {
    ($($(#[$doc:meta])* $variant:ident => $code:literal, $hl7:expr;)*) => {
        /// What kind of thing must be done. Callers register the codes that they can honour.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ObligationCode {
            $($(#[$doc])* $variant,)*
            /// An organization's own obligation, named by its code.
            Custom(String),
        }

        impl ObligationCode {
            /// Every code but the organizations' own.
            pub const KNOWN: &[Self] = &[$(Self::$variant),*];

            /// The code as callers see it.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $code,)* Self::Custom(code) => code }
            }

            /// The code of HL7 v3 ActCode that says the same, where there is one.
            pub const fn hl7(&self) -> Option<&'static str> {
                match self { $(Self::$variant => $hl7,)* Self::Custom(_) => None }
            }

            /// The obligation that this text names: a known code, or an organization's own.
            pub fn from_code(code: &str) -> Self {
                match code { $($code => Self::$variant,)* other => Self::Custom(other.to_owned()) }
            }
        }
    };
}

obligation_codes! {
    /// Record that the access happened, in the caller's own audit trail.
    Audit => "audit", Some("AUDIT");
    /// Add to the accounting of disclosures (45 CFR 164.528; 42 CFR 2.25).
    AccountDisclosure => "account-disclosure", Some("AOD");
    /// Leave out the parts named by `categories`, `labels` or `fields`.
    Redact => "redact", Some("REDACT");
    /// Show that something is there without its content.
    Mask => "mask", Some("MASK");
    /// Hand out only the classes or fields named (minimum necessary, 45 CFR 164.502(b)).
    MinimumNecessary => "minimum-necessary", Some("MINEC");
    /// Remove identifiers (45 CFR 164.514(b)).
    Deidentify => "deidentify", Some("DEID");
    /// Replace identifiers by pseudonyms.
    Pseudonymize => "pseudonymize", Some("PSEUD");
    /// Make identification impossible.
    Anonymize => "anonymize", Some("ANONY");
    /// Mark each page or file with who, when and the decision.
    Watermark => "watermark", None;
    /// Encrypt what leaves.
    Encrypt => "encrypt", Some("ENCRYPT");
    /// Apply the named data-loss-prevention profile.
    DataLossPrevention => "data-loss-prevention", None;
    /// Attach the statement against redisclosure (42 CFR 2.32 and state laws).
    RedisclosureNotice => "redisclosure-notice", Some("NORDSCLCD");
    /// Attach a copy of the consent or a clear explanation of its scope (42 CFR 2.32).
    AttachConsent => "attach-consent", None;
    /// Keep apart from the rest of the record.
    Segregate => "segregate", None;
    /// Mark with the privacy marking named.
    PrivacyMark => "privacy-mark", Some("PRIVMARK");
    /// Do not keep beyond this use.
    NoPersist => "no-persist", Some("NOPERSISTP");
    /// Ask for stronger authentication first (`acr`), then ask again.
    StepUp => "step-up", None;
    /// Notify `to` with `body`.
    Notify => "notify", None;
    /// Send the notice of this without any health information in it.
    NotifyWithoutPhi => "notify-without-phi", None;
    /// End the session.
    SessionTermination => "session-termination", None;
    /// Put a task on the named review queue.
    HumanReview => "human-review", None;
    /// Ask a licensed professional to decide, with `question` and `category`.
    RouteToClinician => "route-to-clinician", None;
    /// Say nothing that tells a denial from an absent record.
    NeutralReason => "neutral-reason", None;
    /// Tell the person of the right to have the denial reviewed (45 CFR 164.524(a)(4)).
    ReviewRightNotice => "review-right-notice", None;
    /// Leave details out of bills, statements and explanations of benefits.
    SuppressBillingDetail => "suppress-billing-detail", None;
    /// Point to the request on paper or in person.
    PaperRequestRoute => "paper-request-route", None;
    /// Put the access on the break-glass review queue.
    BreakGlassReview => "break-glass-review", None;
}

impl fmt::Display for ObligationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// INVARIANT (no patient in logs): a code of a plugin's own making could be any text, so it is not
/// printed.
impl fmt::Debug for ObligationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom(_) => f.write_str("custom"),
            known => f.write_str(known.as_str()),
        }
    }
}

impl Serialize for ObligationCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ObligationCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_code(&String::deserialize(deserializer)?))
    }
}

impl ObligationCode {
    /// The obligation type of AuthZEN's obligations profile (draft 1) that carries this code:
    /// one of the registered types, or `custom` with the code among its properties.
    pub const fn authzen_type(&self) -> &'static str {
        match self {
            Self::StepUp => "step-up",
            Self::Notify => "notification",
            Self::SessionTermination => "session_termination",
            _ => "custom",
        }
    }
}

/// One thing to do. Two obligations with the same code and parameters are the same obligation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Obligation {
    /// What kind of thing.
    pub code: ObligationCode,
    /// With what: names and values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Value>,
}

impl Obligation {
    /// An obligation without parameters.
    pub const fn new(code: ObligationCode) -> Self {
        Self { code, parameters: BTreeMap::new() }
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: Value) -> Self {
        self.parameters.insert(name.into(), value);
        self
    }
}

/// INVARIANT (no patient in logs): parameters are counted, not printed.
impl fmt::Debug for Obligation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} parameters)", self.code, self.parameters.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_read_what_they_write() {
        let mut codes: Vec<_> = ObligationCode::KNOWN.iter().map(ObligationCode::as_str).collect();
        for code in ObligationCode::KNOWN {
            assert_eq!(ObligationCode::from_code(code.as_str()), *code);
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ObligationCode::KNOWN.len());
        assert_eq!(ObligationCode::from_code("fax"), ObligationCode::Custom("fax".into()));
    }
}
