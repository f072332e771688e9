//! Which approvals a rule is asked with, for any rule and any approvals.

use std::sync::Arc;

use assent_model::{Denial, EntityId, FailureKind, Ground, Record};
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;

fn stored(count: usize) -> Vec<Entity> {
    let entity = |number| Entity {
        id: EntityId::new("Approval", format!("a{number}")),
        attributes: Record::default(),
        ancestors: Arc::default(),
        provided: None,
    };
    (0..count).map(entity).collect()
}

fn answer(agrees: bool) -> Findings {
    let denial = Denial {
        code: "R1".into(),
        message: "No.".into(),
        ground: Ground::ApprovalMissing,
        citation: None,
        remedies: vec![],
        neutral: false,
    };
    Findings { denials: if agrees { vec![] } else { vec![denial] }, ..Findings::default() }
}

fn ids(approvals: &[&Entity]) -> Vec<String> {
    approvals.iter().map(|approval| approval.id.id.to_string()).collect()
}

/// Five approvals of which some are usable, and the sets of approvals that a rule agrees to.
fn any_world() -> impl Strategy<Value = (Vec<usize>, Vec<Vec<usize>>)> {
    let numbers = || subsequence((0..5).collect::<Vec<usize>>(), 0..=5);
    (numbers(), prop::collection::vec(numbers(), 0..6))
}

proptest! {
    /// INVARIANT (what a plugin agrees on because of an approval is counted), for whatever rule.
    #[test]
    fn a_rule_agrees_only_on_what_it_was_handed_and_is_handed_only_what_can_be_used(
        (usable, agrees_to) in any_world(),
    ) {
        let stored = stored(5);
        let of = |numbers: &[usize]| numbers.iter().map(|number| &stored[*number]).collect::<Vec<_>>();
        let approvals = Approvals { all: stored.iter().collect(), usable: of(&usable) };
        let agrees = |handed: &[&Entity]| agrees_to.iter().any(|set| ids(&of(set)) == ids(handed));
        let mut asked = vec![];
        let (said, used) = approvals
            .ask(|handed| {
                asked.push(ids(handed));
                Ok(answer(agrees(handed)))
            })
            .unwrap();
        if said.allows() {
            prop_assert!(agrees(used));
            prop_assert_eq!(asked.last().unwrap(), &ids(used));
            prop_assert!(used.iter().all(|approval| ids(&of(&usable)).contains(&approval.id.id.to_string())));
        } else {
            prop_assert!(used.is_empty());
            // It had its chance with none, each alone, and all together.
            let chances = usable.iter().map(|number| vec![*number]).chain([vec![], usable.clone()]);
            prop_assert!(chances.into_iter().all(|chance| !agrees(&of(&chance))));
        }
        prop_assert!(asked.len() <= usable.len() + 3);
    }
}

#[test]
fn a_rule_that_agrees_without_approvals_uses_none_and_is_asked_once() {
    let stored = stored(2);
    let approvals = Approvals { all: stored.iter().collect(), usable: stored.iter().collect() };
    let mut asked = 0;
    let rule = |_: &[&Entity]| {
        asked += 1;
        Ok(answer(true))
    };
    assert!(approvals.ask(rule).unwrap().1.is_empty());
    assert_eq!(asked, 1);
}

#[test]
fn what_cannot_be_used_is_told_of_and_cannot_make_a_rule_agree() {
    let stored = stored(1);
    let approvals = Approvals { all: stored.iter().collect(), usable: vec![] };
    let told = |notes: &str, handed: &[&Entity], agrees| {
        Ok(Findings { notes: vec![format!("{notes} {}", handed.len())], ..answer(agrees) })
    };
    let (said, _) = approvals.ask(|handed| told("expired", handed, false)).unwrap();
    assert_eq!(said.notes, ["expired 1"]);
    let (said, used) = approvals.ask(|handed| told("any will do", handed, !handed.is_empty())).unwrap();
    assert!(!said.allows() && used.is_empty());
    assert_eq!(said.notes, ["any will do 0"]);
}

#[test]
fn a_rule_that_fails_has_failed_unless_it_had_said_no_to_everything_that_counts() {
    let stored = stored(2);
    let approvals = Approvals { all: stored.iter().collect(), usable: stored.iter().take(1).collect() };
    let failing_as = |kind, count: usize| {
        let fails = || PluginFailure::new(kind, "told to");
        let rule = |handed: &[&Entity]| if handed.len() == count { Err(fails()) } else { Ok(answer(false)) };
        approvals.ask(rule).map(|(said, _)| said.allows()).map_err(|failure| failure.kind)
    };
    assert_eq!(failing_as(FailureKind::Trap, 0), Err(FailureKind::Trap));
    assert_eq!(failing_as(FailureKind::Trap, 1), Err(FailureKind::Trap));
    assert_eq!(failing_as(FailureKind::Trap, 2), Ok(false));
    // A replay has more time, and would hear what it says.
    assert_eq!(failing_as(FailureKind::Deadline, 2), Err(FailureKind::Deadline));
}
