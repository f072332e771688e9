//! Have enough others agreed?
//!
//! INVARIANT (an approval covers what it names): it counts only for its requester, data set, action,
//! purpose and number of records, while it lasts, and as often as it says. Each end of time is
//! exclusive: at the very moment of expiry it has expired.

use assent_plugin_sdk::prelude::*;

use crate::Case;
use crate::settings::Tier;

const KIND: &str = "export";
const CITATION: &str = "45 CFR 164.308(a)(4)(ii)(B); 164.514(d)(3)";

/// What stands between an approval and this request, from far to near: the nearest one is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// There is none, or it was refused or withdrawn.
    Missing,
    /// Bound to another data set, action or purpose.
    Elsewhere,
    Spent,
    Expired,
    /// It covers this many records only.
    Covers(u64),
    /// Enough people approved, but too long ago.
    Stale {
        have: u32,
    },
    /// Too few people approved so far.
    Quorum {
        have: u32,
    },
    /// Enough people approved; whoever keeps approvals has not completed it.
    Pending {
        have: u32,
    },
    Sufficient,
}

/// Denies where more records leave than may without approval, and approval is missing.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    if case.own_access || case.is_exempt_treatment() {
        return;
    }
    let Some(tier) = tier(case) else { return };
    let approvals = case.facts.approvals.iter();
    let nearest = approvals.map(|approval| standing(approval, tier, case)).max().unwrap_or(Standing::Missing);
    let (code, have, message) = match nearest {
        Standing::Sufficient => return,
        Standing::Missing => ("export.approval-missing", 0, "this needs an approval by others first"),
        Standing::Elsewhere => {
            ("export.approval-scope", 0, "the approval is for other data, another action or another purpose")
        }
        Standing::Covers(_) => ("export.approval-records", 0, "the approval covers fewer records"),
        Standing::Spent => ("export.approval-spent", 0, "the approval has been used"),
        Standing::Expired => ("export.approval-expired", 0, "the approval has expired"),
        Standing::Stale { have } => ("export.approval-stale", have, "the approval was given too long ago"),
        Standing::Quorum { have } => ("export.approval-quorum", have, "more people must approve this"),
        Standing::Pending { have } => ("export.approval-pending", have, "the approval is not complete"),
    };
    let denial = findings.deny(code, Ground::ApprovalMissing, message);
    denial.cite(CITATION).remedy(Remedy::Approval(ApprovalRemedy {
        kind: KIND.to_owned(),
        quorum: tier.quorum,
        have,
        roles: tier.roles.clone(),
        data_set: Some(case.facts.data_set(case.request).to_owned()),
    }));
    if let Standing::Covers(most) = nearest {
        denial.remedy(Remedy::ReduceScope(most));
    } else if let Some(free) = case.settings.approvals.first().map(|tier| tier.records_over)
        && free > 0
    {
        denial.remedy(Remedy::ReduceScope(free));
    }
}

/// The tier that this many records fall in; an unknown number falls in the highest.
fn tier<'a>(case: &Case<'a>) -> Option<&'a Tier> {
    case.settings
        .approvals
        .iter()
        .rev()
        .find(|tier| case.records.is_none_or(|records| records > tier.records_over))
}

fn standing(approval: &Approval, tier: &Tier, case: &Case<'_>) -> Standing {
    let (request, now) = (case.request, case.request.now);
    let named = |name: &str, asked: Option<&str>| name.is_empty() || asked == Some(name);
    match approval.status {
        ApprovalStatus::Refused | ApprovalStatus::Withdrawn => return Standing::Missing,
        ApprovalStatus::Pending | ApprovalStatus::Approved | ApprovalStatus::Spent => {}
    }
    if approval.requester != request.subject || approval.requested_at > now {
        return Standing::Missing;
    }
    if approval.data_set != case.facts.data_set(request)
        || !named(&approval.action, Some(&request.action))
        || !named(&approval.purpose, request.purpose.as_deref())
    {
        return Standing::Elsewhere;
    }
    if approval.status == ApprovalStatus::Spent || approval.uses_left == 0 {
        return Standing::Spent;
    }
    if approval.expires_at.is_some_and(|end| end <= now) {
        return Standing::Expired;
    }
    if let Some(most) = approval.max_records
        && case.records.is_none_or(|records| records > most)
    {
        return Standing::Covers(most);
    }
    let fresh = approvers(approval, tier, now, Some(case.settings.approval_max_age));
    if fresh >= tier.quorum {
        return match approval.status {
            ApprovalStatus::Approved => Standing::Sufficient,
            ApprovalStatus::Pending
            | ApprovalStatus::Refused
            | ApprovalStatus::Withdrawn
            | ApprovalStatus::Spent => Standing::Pending { have: fresh },
        };
    }
    if approvers(approval, tier, now, None) >= tier.quorum {
        Standing::Stale { have: fresh }
    } else {
        Standing::Quorum { have: fresh }
    }
}

/// How many different people approved: not the requester, in a role that counts, after it was asked
/// for, and not longer ago than `max_age`.
fn approvers(approval: &Approval, tier: &Tier, now: Instant, max_age: Option<Duration>) -> u32 {
    let counts = |approver: &&Approver| {
        approver.who != approval.requester
            && (tier.roles.is_empty() || tier.roles.contains(&approver.role))
            && (approval.requested_at..=now).contains(&approver.at)
            && max_age.is_none_or(|max_age| now < approver.at + max_age)
    };
    let people: Set<&EntityId> =
        approval.approvers.iter().filter(counts).map(|approver| &approver.who).collect();
    u32::try_from(people.len()).unwrap_or(u32::MAX)
}
