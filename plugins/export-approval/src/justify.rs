//! Has the person said why?
//!
//! Only length is measured: whether a reason is a good one is for the approvers to say.

use assent_plugin_sdk::prelude::*;

use crate::Case;

/// Denies without a justification, or with one that says too little.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    if case.own_access || case.is_exempt_treatment() {
        return;
    }
    let least = case.settings.justification_min_length;
    let length = case.facts.justification.as_deref().map_or(0, |text| text.trim().chars().count());
    if u32::try_from(length).is_ok_and(|length| length < least) {
        findings
            .deny(
                "export.justification",
                Ground::JustificationMissing,
                format!("say why you need these records, in at least {least} characters"),
            )
            .cite("45 CFR 164.502(b); 164.514(d)")
            .remedy(Remedy::Justification(least));
    }
}
