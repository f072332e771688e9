//! Taking records out: downloads, prints, exports, shares.
//!
//! Three questions, each in a file of its own: has the person said why ([`justify`]), have enough
//! others agreed ([`approve`]), may it go there ([`destination`]); and what must be done with what
//! leaves ([`handling`]). INVARIANT (unknown is the worst case): a count, label or agreement that is
//! not known is treated as over every threshold, sensitive, and not in force. A person's access to
//! their own record is never held up by any of it, except where it would cross the wall around
//! production data (45 CFR 164.524; 171.103).

mod approve;
mod destination;
mod facts;
mod handling;
mod justify;
mod settings;

use assent_plugin_sdk::prelude::*;

pub use crate::facts::Facts;
pub use crate::settings::{Exemption, Handling, Settings, Tier, Treatment};

/// The actions that take records out; all others are none of this rule's business.
pub const ACTIONS: [&str; 4] = ["download", "print", "export", "share"];

/// The configured rule.
#[derive(Debug)]
pub struct ExportApproval {
    settings: Settings,
}

impl Rule for ExportApproval {
    const NAME: &'static str = "export-approval";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "records leave with a justification, enough approvals, to places that may have them";
    type Settings = Settings;
    type Facts = Facts;

    fn configure(settings: Settings) -> Result<Self, Problems> {
        let problems = settings.check();
        problems.or(Self { settings })
    }

    fn evaluate(&self, request: &Request, facts: &Facts) -> Result<Findings, Stop> {
        let mut findings = Findings::default();
        if !ACTIONS.contains(&request.action.as_str()) {
            return Ok(findings);
        }
        let case = Case {
            settings: &self.settings,
            request,
            facts,
            own_access: facts.is_own_access(request),
            records: facts.records(request),
        };
        justify::judge(&case, &mut findings);
        approve::judge(&case, &mut findings);
        destination::judge(&case, &mut findings);
        handling::oblige(&case, &mut findings);
        Ok(findings)
    }
}

/// What the judgements stand on.
struct Case<'a> {
    settings: &'a Settings,
    request: &'a Request,
    facts: &'a Facts,
    /// Whether people take out their own record, or the record of someone they stand for.
    own_access: bool,
    /// How many records leave; none: unknown.
    records: Option<u64>,
}

impl Case<'_> {
    /// Whether this is treatment of so few records that neither reason nor approval is asked for:
    /// disclosures for treatment are outside minimum necessary (45 CFR 164.502(b)(2)(i)).
    fn is_exempt_treatment(&self) -> bool {
        let treatment = &self.settings.treatment;
        let purpose = self.request.purpose.as_ref();
        purpose.is_some_and(|purpose| treatment.purposes.contains(purpose))
            && self.records.is_some_and(|records| records <= treatment.exempt_up_to)
    }
}

assent_plugin_sdk::plugin!(ExportApproval);
