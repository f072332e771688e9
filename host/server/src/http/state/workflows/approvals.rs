//! Approvals: asked for, answered, withdrawn, revoked.

use assent_engine::state::{LiveTurn, Person};
use assent_model::Instant;
use assent_workflow::Machine;
use assent_workflow::approval::{Answer, Ask, Rule};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use assent_workflow::approval::Approval;

use super::{Asked, Asking, Collection, Shown, fresh, made, no_such_step, nothing, taken};
use crate::http::state::body::of_form;
use crate::http::state::command::Step;
use crate::http::state::problem::{Problem, Stop};

/// What is asked for.
#[derive(Clone)]
pub(in crate::http::state) enum Command {
    Request { id: String, wanted: Wanted },
    Answer { id: String, answer: Answering },
    Withdraw { id: String },
    Revoke { id: String, comment: String },
}

/// An approval that somebody asks for. Who asks is who acts.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::http::state) struct Wanted {
    kind: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    purpose: String,
    data_set: String,
    /// How many records it is about; by it the rule is chosen, and it is the most that the approval covers.
    records: Option<u64>,
    justification: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http::state) struct Answering {
    approves: bool,
    comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoking {
    comment: String,
}

impl Command {
    pub(super) fn of(asking: &Asking, asked: &Asked<'_>) -> Result<Self, Stop> {
        let limits = &asking.service.limits;
        let Some(id) = asked.id.map(str::to_owned) else {
            return Ok(Self::Request { id: fresh(asking)?, wanted: of_form(asked.body, limits)? });
        };
        Ok(match asked.step {
            Some("answer") => Self::Answer { id, answer: of_form(asked.body, limits)? },
            Some("withdraw") => {
                nothing(asked, limits)?;
                Self::Withdraw { id }
            }
            Some("revoke") => {
                let Revoking { comment } = of_form(asked.body, limits)?;
                Self::Revoke { id, comment }
            }
            _ => return Err(no_such_step("`answer`, `withdraw` or `revoke`")),
        })
    }

    pub(super) fn target(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Request { .. } => None,
            Self::Answer { id, .. } | Self::Withdraw { id } | Self::Revoke { id, .. } => {
                Some((Approval::SECTION, id.clone()))
            }
        }
    }

    pub(super) async fn step(
        self,
        turn: &LiveTurn<'_>,
        asking: &Asking,
        person: Person,
    ) -> Result<Step, Stop> {
        let at = asking.at;
        match self {
            Self::Request { id, wanted } => {
                let Wanted { kind, action, purpose, data_set, records, justification } = wanted;
                let rules = &asking.state.rules().approvals;
                let rule = Rule::pick(rules, &kind, records).ok_or_else(|| no_rule(rules))?;
                let requester = person.id;
                let ask =
                    Ask { requester, kind, action, purpose, data_set, max_records: records, justification };
                made(turn, asking, Collection::Approvals, Approval::request(&id, rule, ask, at))
            }
            Self::Answer { id, answer: Answering { approves, comment } } => {
                let Person { id: who, roles } = person;
                let answer = Answer { who, roles: &roles, approves, comment };
                taken(turn, asking, &id, |found: &Approval| found.answer(answer, at)).await
            }
            Self::Withdraw { id } => {
                taken(turn, asking, &id, |found: &Approval| found.withdraw(&person.id, at)).await
            }
            Self::Revoke { id, comment } => {
                let revoke = |found: &Approval| found.revoke(person.id, &person.roles, comment, at);
                taken(turn, asking, &id, revoke).await
            }
        }
    }
}

fn no_rule(rules: &[Rule]) -> Stop {
    let mut kinds: Vec<String> = rules.iter().map(|rule| format!("`{}`", rule.kind)).collect();
    kinds.dedup();
    let detail = match kinds.as_slice() {
        [] => "nothing can be approved here: `[[approval]]` in `organization.toml` says what can".to_owned(),
        kinds => format!(
            "nothing of this kind can be approved here, or not of so few records: expected {}",
            kinds.join(", ")
        ),
    };
    Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "no-rule", detail).into()
}

impl Shown for Approval {
    fn now(&self, at: Instant) -> Value {
        let approved = self.answers().iter().filter(|answer| answer.approves).count();
        json!({
            "status": self.status(at).code(),
            "task": { "status": self.status(at).task_status() },
            "expiresAt": self.expires_at(),
            "usesLeft": self.uses_left(),
            "approved": approved,
            "quorum": self.rule().quorum,
        })
    }
}
