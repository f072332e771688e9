//! Which approvals a rule is handed, and which of them it agreed on.
//!
//! A rule is pure and does not say which approval made it agree. So it is asked without any first, and only where it
//! does not agree, with those that the host would count for this question: one after the other, then all of them.
//! INVARIANT (what a plugin agrees on because of an approval is counted): what it was handed when it agreed is what is
//! used, and nothing else was handed to it. An approval that cannot be used is shown to a rule only once that has said
//! no to everything else, so that it can say what is amiss (expired, spent, one more must approve): what it says then
//! can deny and nothing more.

use assent_model::{DecisionFacts, Entity, Findings, Instant, PluginFailure, Value};

use crate::needs::Needs;
use crate::v0_1;

/// The most usable approvals that a rule is asked with, those that end first. Each is for one subject, action and data
/// set, so that somebody has two at once is rare already; and each asks the rule once more, within the same limits.
const HANDED_MOST: usize = 8;

/// The approvals of a subject that a rule may know, for one question.
#[derive(Debug)]
pub(crate) struct Approvals<'a> {
    /// All of the kinds that it asks for and that can be read; by id.
    all: Vec<&'a Entity>,
    /// Those among them that the host would count, of which the first ends first.
    usable: Vec<&'a Entity>,
}

impl<'a> Approvals<'a> {
    pub(crate) fn of(needs: &Needs, facts: &'a DecisionFacts) -> Self {
        let all = v0_1::approvals(facts, &needs.approvals);
        let mut usable: Vec<_> = all.iter().copied().filter(|approval| is_usable(approval, facts)).collect();
        usable.sort_by_key(|approval| (expires(approval).is_none(), expires(approval), &approval.id));
        usable.truncate(HANDED_MOST);
        Self { all, usable }
    }

    /// Asks a rule, and gives what it says with the approvals that it said it on; none where it does not agree.
    ///
    /// # Errors
    /// When it failed, with whichever of them that could have made it agree; or when time or the machine ended it.
    pub(crate) fn ask(
        &self,
        mut rule: impl FnMut(&[&'a Entity]) -> Result<Findings, PluginFailure>,
    ) -> Result<(Findings, &[&'a Entity]), PluginFailure> {
        let mut said = rule(&[])?;
        if said.allows() {
            return Ok((said, &[]));
        }
        let together = Some(&*self.usable).filter(|usable| usable.len() > 1);
        for handed in self.usable.chunks(1).chain(together) {
            said = rule(handed)?;
            if said.allows() {
                return Ok((said, handed));
            }
        }
        if self.usable.len() < self.all.len() {
            match rule(&self.all) {
                Ok(told) if !told.allows() => said = told,
                // What it said before stands: this could only have made it clearer.
                Ok(_) => {}
                // Except where another time it would be told: INVARIANT (a decision replays).
                Err(failure) if failure.kind.depends_on_the_machine() => return Err(failure),
                Err(_) => {}
            }
        }
        Ok((said, &[]))
    }
}

fn expires(approval: &Entity) -> Option<Instant> {
    approval.attributes.get("expiresAt").and_then(Value::as_instant)
}

/// Whether the host would count a use of this approval for this question. What it does not name it does not limit.
fn is_usable(approval: &Entity, facts: &DecisionFacts) -> bool {
    let text = |name: &str| approval.attributes.get(name).and_then(Value::as_text);
    let number = |name: &str| approval.attributes.get(name).and_then(Value::as_integer);
    let of_resource = |name: &str| facts.resource.attributes.get(name);
    let digest = of_resource("digest").and_then(Value::as_text);
    // What has no count is one record, or a set of which the rule must say what it takes it for.
    let records = of_resource("recordCount").and_then(Value::as_integer);
    text("status") == Some("approved")
        && number("usesLeft").is_some_and(|left| left > 0)
        && expires(approval).is_none_or(|end| facts.now < end)
        && text("dataSet").is_none_or(|set| Some(set) == digest || set == facts.resource.id.id)
        && text("action").is_none_or(|action| action == facts.action)
        && text("purpose").is_none_or(|purpose| Some(purpose) == facts.purpose.as_deref())
        && number("maxRecords").is_none_or(|most| records.is_none_or(|records| records <= most))
}

#[cfg(test)]
mod tests;
