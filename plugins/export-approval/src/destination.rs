//! May it go there?
//!
//! INVARIANT (the wall): production data that can identify anyone never goes to an environment that
//! is not production; own access does not lift this. Everything else here is about recipients, whom
//! patients choose for themselves.

use assent_plugin_sdk::prelude::*;

use crate::Case;

const PRODUCTION: &str = "production";

/// Denies where the place, or whoever receives it there, must not have the records.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    wall(case, findings);
    if case.own_access {
        return;
    }
    country(case, findings);
    if let Some(recipient) = &case.facts.recipient {
        if case.facts.owner.as_ref() != Some(recipient) {
            chain(case, findings);
        }
    } else if case.request.action == "share" {
        findings
            .deny("export.recipient-missing", Ground::FactMissing, "say who is to receive the records")
            .cite("45 CFR 164.514(h)")
            .remedy(Remedy::SupplyFact("context.destination.organization".to_owned()));
    }
}

fn wall(case: &Case<'_>, findings: &mut Findings) {
    let facts = case.facts;
    let harmless = facts.deidentified == Some(true) || facts.synthetic == Some(true);
    let from_production = facts.environment.as_deref().is_none_or(|environment| environment == PRODUCTION);
    if harmless || !from_production {
        return;
    }
    match &facts.destination_environment {
        Fact::Known(environment) if environment == PRODUCTION => {}
        Fact::Known(_) => {
            findings
                .deny(
                    "export.non-production",
                    Ground::Destination,
                    "records of patients do not go to test or development systems",
                )
                .cite("45 CFR 164.308(a)(4); 164.514(a)")
                .remedy(Remedy::SupplyFact("resource.deidentified".to_owned()));
        }
        Fact::Absent(missing) => {
            let to_a_system =
                facts.channel.as_ref().is_some_and(|channel| case.settings.system_channels.contains(channel));
            if to_a_system {
                findings
                    .deny(
                        "export.environment-unknown",
                        Ground::FactMissing,
                        "say to which environment it goes",
                    )
                    .cite("45 CFR 164.308(a)(4)")
                    .remedy(Remedy::SupplyFact(missing.path.to_owned()));
            }
        }
    }
}

/// Every country that is known must be allowed; with a recipient, one must be known.
fn country(case: &Case<'_>, findings: &mut Findings) {
    let Some(allowed) = &case.settings.countries else { return };
    let facts = case.facts;
    let countries = [&facts.destination_country, &facts.recipient_country];
    let citation = &case.settings.country_citation;
    if countries.iter().copied().flatten().any(|country| !allowed.contains(country)) {
        findings
            .deny("export.country", Ground::Destination, "records do not go to this country")
            .cite(citation.as_str());
    } else if facts.recipient.is_some() && countries.iter().all(|country| country.is_none()) {
        findings
            .deny("export.country-unknown", Ground::FactMissing, "say to which country it goes")
            .cite(citation.as_str())
            .remedy(Remedy::SupplyFact("context.destination.country".to_owned()));
    }
}

/// One organization in the chain from the recipient to the one that answers to us.
struct Link<'a> {
    status: &'a Option<String>,
    period: Period,
    purposes: &'a Option<Set<String>>,
    quarantined: Option<bool>,
    answerable: &'a Option<EntityId>,
}

/// The recipient, and everyone who answers for it, must have an agreement in force for the purpose
/// (45 CFR 164.308(b)(2): a business associate's subcontractor is a business associate).
fn chain(case: &Case<'_>, findings: &mut Findings) {
    let exempt = is_exempt(case);
    for (position, link) in links(case.facts).iter().enumerate() {
        let recipient = position == 0;
        if link.quarantined == Some(true) {
            findings
                .deny("export.quarantined", Ground::Security, "the recipient is suspended after an incident")
                .cite("45 CFR 164.308(a)(6)(ii)");
        }
        if exempt {
            // Whoever acts on their own behalf answers for it alone.
            return;
        }
        agreement(case, link, recipient, findings);
        if link.answerable.is_none() {
            return;
        }
    }
    // The last link that a path reaches still names someone behind it.
    findings
        .deny(
            "export.chain-too-long",
            Ground::AgreementMissing,
            "too many companies stand between us and the recipient",
        )
        .cite("45 CFR 164.502(e)(1)(ii); 164.308(b)(2)");
}

fn agreement(case: &Case<'_>, link: &Link<'_>, recipient: bool, findings: &mut Findings) {
    let in_force = link.status.as_deref() == Some("active") && link.period.contains(case.request.now);
    if !in_force {
        let (code, message, citation) = if recipient {
            (
                "export.agreement",
                "there is no business associate agreement in force with the recipient",
                "45 CFR 164.502(e); 164.504(e)",
            )
        } else {
            (
                "export.subcontractor-agreement",
                "there is no agreement in force with a company that answers for the recipient",
                "45 CFR 164.502(e)(1)(ii); 164.308(b)(2)",
            )
        };
        findings
            .deny(code, Ground::AgreementMissing, message)
            .cite(citation)
            .remedy(Remedy::Agreement("business-associate".to_owned()));
        return;
    }
    let covered = match (&case.request.purpose, link.purposes) {
        (Some(purpose), Some(purposes)) => purposes.has(purpose.as_str()),
        // An agreement that names no purposes, or a request that states none, covers nothing.
        (None, _) | (_, None) => false,
    };
    if !covered {
        findings
            .deny(
                "export.agreement-purpose",
                Ground::Purpose,
                "the agreement does not cover this purpose of use",
            )
            .cite("45 CFR 164.504(e)(2)(i)");
    }
}

/// Whether the recipient's category and the purpose need no agreement. A subcontractor always does.
fn is_exempt(case: &Case<'_>) -> bool {
    let (Some(category), Some(purpose)) = (&case.facts.recipient_category, &case.request.purpose) else {
        return false;
    };
    case.facts.answerable_0.is_none()
        && case
            .settings
            .no_agreement_needed
            .iter()
            .any(|exemption| exemption.category == *category && exemption.purposes.contains(purpose))
}

fn links(facts: &crate::Facts) -> [Link<'_>; 3] {
    let period = |start, end| Period { start, end };
    [
        Link {
            status: &facts.status_0,
            period: period(facts.from_0, facts.until_0),
            purposes: &facts.purposes_0,
            quarantined: facts.quarantined_0,
            answerable: &facts.answerable_0,
        },
        Link {
            status: &facts.status_1,
            period: period(facts.from_1, facts.until_1),
            purposes: &facts.purposes_1,
            quarantined: facts.quarantined_1,
            answerable: &facts.answerable_1,
        },
        Link {
            status: &facts.status_2,
            period: period(facts.from_2, facts.until_2),
            purposes: &facts.purposes_2,
            quarantined: facts.quarantined_2,
            answerable: &facts.answerable_2,
        },
    ]
}
