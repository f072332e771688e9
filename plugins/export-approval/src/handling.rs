//! What must be done with what leaves.
//!
//! INVARIANT (unlabelled is not harmless): where the labels are not known, everything that would be
//! left out if it were there is named to be left out.

use assent_plugin_sdk::prelude::*;

use crate::Case;

/// Purposes whose disclosures need no accounting under HIPAA (45 CFR 164.528(a)(1)(i)).
const NOT_ACCOUNTED: [&str; 3] = ["TREAT", "HPAYMT", "HOPERAT"];

/// Obliges the caller to do what the settings say for the channel.
pub(crate) fn oblige(case: &Case<'_>, findings: &mut Findings) {
    // People get their own records in the form they ask for (45 CFR 164.524(c)(2)).
    if case.own_access {
        return;
    }
    let (facts, request) = (case.facts, case.request);
    let channel =
        facts.channel.as_deref().unwrap_or(if request.action == "print" { "print" } else { "file" });
    let handling = case.settings.channels.get(channel).unwrap_or(&case.settings.other_channels);
    if handling.watermark {
        findings
            .oblige(ObligationCode::Watermark)
            .with("user", request.subject.clone())
            .with("at", request.now);
    }
    if handling.encrypt {
        findings.oblige(ObligationCode::Encrypt);
    }
    if let Some(profile) = &handling.data_loss_prevention {
        findings.oblige(ObligationCode::DataLossPrevention).with("profile", profile.as_str());
    }
    let present = |label: &&String| facts.labels.known().is_none_or(|labels| labels.has(*label));
    let redacted: Set<String> = handling.redact_labels.iter().filter(present).cloned().collect();
    if !redacted.is_empty() {
        findings.oblige(ObligationCode::Redact).with("labels", redacted);
    }
    let to_another = facts.recipient.is_some() && facts.recipient != facts.owner;
    let accounted = request.purpose.as_ref().is_none_or(|purpose| !NOT_ACCOUNTED.contains(&purpose.as_str()));
    if to_another && accounted {
        findings.oblige(ObligationCode::AccountDisclosure);
    }
}
