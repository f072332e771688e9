//! The parts of a decision that more than one crate names. The decision itself is made in
//! `assent_engine::combine` and can be made nowhere else.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::finding::Findings;

/// Permit or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The caller may go ahead, if it does what the obligations say.
    Permit,
    /// The caller must not go ahead.
    Deny,
}

/// Why the decision is what it is. "No" and "could not say" both deny, and are told apart here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Everything agreed.
    Permit,
    /// A policy or a plugin said no.
    Forbidden,
    /// Nothing permits.
    NoPolicy,
    /// It could not be said: a fact, a policy, a plugin, an obligation or the log failed.
    Indeterminate,
}

impl Cause {
    /// Every cause.
    pub const ALL: &[Self] = &[Self::Permit, Self::Forbidden, Self::NoPolicy, Self::Indeterminate];

    /// The cause as a metric label.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Forbidden => "forbidden",
            Self::NoPolicy => "no_policy",
            Self::Indeterminate => "indeterminate",
        }
    }
}

/// The id of one decision: 128 random bits as 32 hexadecimal digits, drawn at the edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(String);

impl DecisionId {
    /// The id that these random bits make.
    pub fn from_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one binding of a plugin answered to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingOutcome {
    /// The binding's id within the organization.
    pub binding: String,
    /// The plugin's name and version, such as `export-approval 0.1.0`.
    pub plugin: String,
    /// The digest of the component that ran.
    pub component: Digest,
    /// The digest of its settings.
    pub settings: Digest,
    /// What it found, or how it failed.
    #[serde(with = "answer")]
    pub result: Result<Findings, PluginFailure>,
    /// Fuel used, about ten units a nanosecond; 0 where it did not start.
    pub fuel_used: u64,
}

/// A plugin's answer is written `{"findings": …}` or `{"failure": …}`: records outlive the words of Rust.
mod answer {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Findings, PluginFailure};

    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum Written<'a> {
        Findings(&'a Findings),
        Failure(&'a PluginFailure),
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Read {
        Findings(Findings),
        Failure(PluginFailure),
    }

    pub(super) fn serialize<S: Serializer>(
        result: &Result<Findings, PluginFailure>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match result {
            Ok(findings) => Written::Findings(findings),
            Err(failure) => Written::Failure(failure),
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Result<Findings, PluginFailure>, D::Error> {
        Ok(match Read::deserialize(deserializer)? {
            Read::Findings(findings) => Ok(findings),
            Read::Failure(failure) => Err(failure),
        })
    }
}

macro_rules! plugin_failures {
    ($($(#[$doc:meta])* $variant:ident => $code:literal, $advice:literal;)*) => {
        /// How a plugin failed. INVARIANT (a failed plugin never permits): each of these denies.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FailureKind { $($(#[$doc])* #[serde(rename = $code)] $variant,)* }

        impl FailureKind {
            /// Every kind of failure.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The kind as a metric label.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What the plugin's author (or the operator) should do about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }
    };
}

impl FailureKind {
    /// Whether time, slots or memory of the machine made it, so that the same question may be answered another time.
    #[must_use]
    pub const fn depends_on_the_machine(self) -> bool {
        match self {
            Self::Deadline | Self::Busy | Self::Host => true,
            Self::Fuel
            | Self::Memory
            | Self::Stack
            | Self::Panic
            | Self::Trap
            | Self::OutputTooLarge
            | Self::BadOutput
            | Self::UngrantedNeed
            | Self::GaveUp
            | Self::Settings => false,
        }
    }
}

plugin_failures! {
    /// The wall-clock deadline passed. Fuel should have ended it first.
    Deadline => "deadline", "the call took longer than `deadline_ms`: the machine was overloaded or the deadline is too short for the fuel allowed";
    /// The fuel ran out.
    Fuel => "fuel", "the rule did more work than `fuel` allows: look for a loop over unbounded input, move work to `configure`, or raise the limit";
    /// The memory limit was reached.
    Memory => "memory", "the rule wanted more memory than `memory_max_bytes`: keep less, or raise the limit";
    /// The stack ran out.
    Stack => "stack", "the rule recursed too deeply: replace recursion over input by a loop";
    /// The guest panicked or aborted.
    Panic => "panic", "the rule panicked: run its unit tests with this request; look for an unwrap, an index out of range or an arithmetic overflow";
    /// Another trap.
    Trap => "trap", "the component executed an invalid operation: rebuild it with a current compiler and check unsafe code";
    /// The answer exceeded the limits on size or count.
    OutputTooLarge => "output-too-large", "the answer exceeded `output_max_bytes` or `findings_max`: return one finding per rule, and short messages";
    /// The answer was malformed: invalid text, an impossible date, an empty code.
    BadOutput => "bad-output", "the answer was not well-formed: codes must be 1 to 64 of `a-z A-Z 0-9 . _ -`, text must be valid, dates must exist";
    /// A need that the organization has not granted.
    UngrantedNeed => "ungranted-need", "the plugin needs a fact that the organization has not granted: add it to `grants` of the binding, or stop asking for it";
    /// The plugin itself said that it cannot decide.
    GaveUp => "gave-up", "the plugin returned an error instead of findings: its message says why";
    /// All of the organization's slots were taken.
    Busy => "busy", "all of the organization's plugin slots were in use: try again, or raise `slots`";
    /// `configure` refused the settings (components that are configured with each call).
    Settings => "settings", "`configure` refused the settings: check them with `assent check`";
    /// The host could not carry out the call.
    Host => "host", "the host could not run the plugin: see the message";
}

/// A failed call of a plugin.
///
/// INVARIANT (no patient in logs): the message may hold the guest's own words, and the guest has
/// seen the patient's facts. So neither `Debug` nor `Display` print it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginFailure {
    /// How it failed.
    pub kind: FailureKind,
    /// What exactly, for the plugin's author; part of the full explanation only.
    pub message: String,
}

impl PluginFailure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for PluginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.kind.advice())
    }
}

impl fmt::Debug for PluginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PluginFailure({})", self.kind.code())
    }
}

impl std::error::Error for PluginFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_prints_its_kind_and_not_the_guests_words() {
        for kind in FailureKind::ALL {
            let printed = format!("{0:?} {0}", PluginFailure::new(*kind, "pat-7 is HIV positive"));
            assert!(!printed.contains("pat-7") && printed.contains(kind.code()), "{printed}");
        }
    }
}
