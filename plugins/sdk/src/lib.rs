//! Write a rule for Assent in one readable page.
//!
//! A rule says what it needs to know ([`facts!`], [`relation!`]), how it can be set ([`Rule::Settings`]),
//! and judges one request ([`Rule::evaluate`]). It is built as a WebAssembly component that imports
//! nothing: no clock, no network, no state between requests. What it returns can only narrow what
//! the policies permit.
//!
//! ```
//! use assent_plugin_sdk::prelude::*;
//!
//! facts! {
//!     /// What the rule needs to know.
//!     pub struct Facts {
//!         /// Required: the rule must say what happens when it is absent.
//!         birth_date: Fact<Date> = "patient.birthDate",
//!         /// Optional: absence is an ordinary case.
//!         emancipated: Option<bool> = "patient.emancipated",
//!         labels: Fact<Set<String>> = "resource.labels",
//!     }
//! }
//!
//! /// How the rule can be set.
//! #[derive(Debug, Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! pub struct Settings {
//!     /// Below this age, adult content is withheld.
//!     adult_age: u32,
//! }
//!
//! /// The configured rule.
//! #[derive(Debug)]
//! pub struct AdultContent {
//!     adult_age: u32,
//! }
//!
//! impl Rule for AdultContent {
//!     const NAME: &'static str = "adult-content";
//!     const VERSION: &'static str = "0.1.0";
//!     const SUMMARY: &'static str = "withholds adult content from the young";
//!     type Settings = Settings;
//!     type Facts = Facts;
//!
//!     fn configure(settings: Settings) -> Result<Self, Problems> {
//!         let mut problems = Problems::new();
//!         if !(1..=25).contains(&settings.adult_age) {
//!             problems.at("/adult_age", "expected an age from 1 to 25");
//!         }
//!         problems.or(Self { adult_age: settings.adult_age })
//!     }
//!
//!     fn evaluate(&self, request: &Request, facts: &Facts) -> Result<Findings, Stop> {
//!         let mut findings = Findings::default();
//!         if facts.labels.get()?.has("ADULT") && facts.emancipated != Some(true) {
//!             let today = request.today.get()?;
//!             if facts.birth_date.get()?.age_on(*today).is_none_or(|age| age < self.adult_age) {
//!                 findings.deny("adult.young", Ground::OrganizationPolicy, "this is for adults");
//!             }
//!         }
//!         Ok(findings)
//!     }
//! }
//!
//! assent_plugin_sdk::plugin!(AdultContent);
//!
//! // A test, native and quick:
//! use assent_plugin_sdk::testing::{TestRequest, configure};
//! let rule: AdultContent = configure(json!({ "adult_age": 18 })).unwrap();
//! let findings = TestRequest::new("read")
//!     .patient("p1")
//!     .today(date("2026-03-01"))
//!     .attribute("patient.birthDate", date("2008-03-02"))
//!     .attribute("resource.labels", texts(["ADULT"]))
//!     .evaluate(&rule)
//!     .unwrap();
//! assert_eq!(findings.codes(), ["adult.young"]);
//! # use assent_plugin_sdk::testing::{json, date, texts};
//! ```

#[cfg(target_arch = "wasm32")]
mod allocator;
#[doc(hidden)]
pub mod bindings;
pub mod facts;
pub mod findings;
pub mod records;
#[doc(hidden)]
pub mod runtime;
pub mod settings;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;
pub mod values;

#[doc(hidden)]
pub use schemars;
#[doc(hidden)]
pub use serde;
#[doc(hidden)]
pub use serde_json;

use crate::facts::Sheet;
use crate::findings::{Findings, Stop};
use crate::records::Request;
use crate::settings::Problems;

/// The version of the plugin contract that this SDK builds for.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// A rule: configured once, then asked about one request after another.
pub trait Rule: Sized + Send + Sync + 'static {
    /// Kebab-case, 1 to 64 characters, such as `export-approval`.
    const NAME: &'static str;
    /// A semantic version; usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// One line that says what the rule does.
    const SUMMARY: &'static str;
    /// How an organization sets the rule. With `#[serde(deny_unknown_fields)]`, a misspelt setting
    /// is a problem that its author sees instead of a default that nobody chose.
    type Settings: serde::de::DeserializeOwned + schemars::JsonSchema;
    /// What the rule needs to know: a struct made by [`facts!`].
    type Facts: Sheet;

    /// The configured rule. Runs once, when a release is built; whatever can be computed from the
    /// settings is computed here, and every evaluation starts from the result.
    ///
    /// # Errors
    /// Everything that is wrong with the settings, all at once.
    fn configure(settings: Self::Settings) -> Result<Self, Problems>;

    /// Judges one request.
    ///
    /// # Errors
    /// [`Stop`]: a single denial that ends the evaluation (also made by `?` on an absent fact), or
    /// a failure. Each of them denies.
    fn evaluate(&self, request: &Request, facts: &Self::Facts) -> Result<Findings, Stop>;
}

/// Makes the crate a plugin: exports this [`Rule`] from the WebAssembly component.
///
/// Takes the name of the type, not a path. Does nothing in native builds, where tests call the rule.
///
/// The settings' JSON Schema comes from `settings.schema.json` beside the crate's `Cargo.toml`:
/// `testing::check_description` writes it from the settings type, and fails when the two
/// differ. So the component does not carry what makes the schema (70 KB), and a change of the
/// settings shows in a review.
#[macro_export]
macro_rules! plugin {
    ($rule:ident) => {
        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        mod __assent_plugin {
            use $crate::bindings::exports::assent::plugin::rules;

            struct Exports;
            const WRITTEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/settings.schema.json"));
            static COMPACT: [u8; $crate::runtime::compact_length(WRITTEN)] =
                $crate::runtime::compact(WRITTEN);
            static SCHEMA: &str = $crate::runtime::text(&COMPACT);
            static CONFIGURED: $crate::runtime::Configured<super::$rule> = $crate::runtime::Configured::new();

            impl rules::Guest for Exports {
                fn describe() -> rules::Description {
                    $crate::runtime::describe::<super::$rule>(SCHEMA)
                }
                fn configure(settings: String) -> Result<(), Vec<rules::Problem>> {
                    CONFIGURED.configure(&settings, SCHEMA)
                }
                fn evaluate(request: rules::Request) -> Result<rules::Findings, String> {
                    CONFIGURED.evaluate(request)
                }
            }
            $crate::bindings::__export_plugin!(Exports with_types_in $crate::bindings);

            /// The contract version, three big-endian 16-bit numbers, readable without compiling.
            #[allow(unsafe_code, reason = "a custom section must be named")]
            #[unsafe(link_section = "assent:api-version")]
            #[used]
            static API_VERSION: [u8; 6] = $crate::runtime::API_VERSION;
        }
    };
}

/// What a rule's module usually needs.
pub mod prelude {
    pub use crate::facts::{Fact, Member, Missing};
    pub use crate::findings::{
        ApprovalRemedy, ClinicianRemedy, ConsentRemedy, Denial, Findings, Ground, Obligation, ObligationCode,
        Remedy, Review, Stop,
    };
    pub use crate::records::{
        Absence, Approval, ApprovalStatus, Approver, Coding, Consent, ConsentActor, ConsentData,
        ConsentStatus, DataMeaning, Disclosure, DisclosureDecision, EntityId, Period, Provision,
        ProvisionEffect, Request, ValueSet,
    };
    pub use crate::settings::{Problem, Problems};
    pub use crate::time::{AgeBand, Date, Duration, Instant, LeapDay};
    pub use crate::values::{Decimal, Ip, Set};
    pub use crate::{Rule, facts, relation};
    pub use schemars::JsonSchema;
    pub use serde::Deserialize;
}
