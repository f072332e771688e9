//! Every sequence of answers, uses and ends, against what an approval is said to be.

use proptest::prelude::*;

use super::*;
use crate::Group;
use crate::exploration::{
    Spoil, Taken, Tried, assert_garbage_is_refused, assert_prints_nothing, assert_reads_back, at, explore,
};
use crate::schema;

/// Answers until 20; lasts 10 from the last one.
const ANSWER_WITHIN: i64 = 20;
const LASTS: i64 = 10;

fn person(name: &str) -> EntityId {
    EntityId::new(PRACTITIONER, format!("{name}-secret"))
}

fn rule(quorum: u32, uses: u32) -> Rule {
    Rule {
        kind: "export".into(),
        records_over: 0,
        quorum,
        roles: vec!["head".into(), "officer".into()],
        answer_within_ms: ANSWER_WITHIN.unsigned_abs(),
        lasts_ms: LASTS.unsigned_abs(),
        uses,
    }
}

fn ask() -> Ask {
    Ask {
        requester: person("asker"),
        kind: "export".into(),
        action: "export".into(),
        purpose: String::new(),
        data_set: "set-secret".into(),
        max_records: Some(500),
        justification: "because of secret".into(),
    }
}

fn asked(quorum: u32, uses: u32) -> Approval {
    Approval::request("ap-1", &rule(quorum, uses), ask(), at(0)).unwrap().to
}

fn roles(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What each person's roles are. The requester has an approving role and may still not answer.
fn roles_of(who: &str) -> BTreeSet<String> {
    match who {
        "asker" | "ann" => roles(&["head", "nurse"]),
        "bob" => roles(&["officer"]),
        "cy" => roles(&["officer", "head"]),
        _ => roles(&["nurse"]),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Answer(&'static str, bool),
    Withdraw(&'static str),
    Revoke(&'static str),
    Spend(u128),
}

const INPUTS: [Input; 14] = [
    Input::Answer("ann", true),
    Input::Answer("ann", false),
    Input::Answer("bob", true),
    Input::Answer("cy", true),
    Input::Answer("asker", true),
    Input::Answer("asker", false),
    Input::Answer("dan", true),
    Input::Answer("dan", false),
    Input::Withdraw("asker"),
    Input::Withdraw("ann"),
    Input::Revoke("bob"),
    Input::Revoke("dan"),
    Input::Spend(1),
    Input::Spend(2),
];

fn take(approval: &Approval, input: &Input, now: Instant) -> Result<Step<Approval>, Refused> {
    match *input {
        Input::Answer(who, approves) => {
            let comment = Some("words-secret".to_owned());
            approval.answer(Answer { who: person(who), roles: &roles_of(who), approves, comment }, now)
        }
        Input::Withdraw(who) => approval.withdraw(&person(who), now),
        Input::Revoke(who) => approval.revoke(person(who), &roles_of(who), "why-secret".into(), now),
        Input::Spend(bits) => approval.spend(DecisionId::from_bits(bits), now),
    }
}

/// What an approval is, said from the list of all that happened, without any state between.
fn status_of(taken: &[Taken<Input>], quorum: usize, uses: usize, now: i64) -> Status {
    let happened: Vec<_> = taken
        .iter()
        .scan(0, |latest, (input, at)| {
            *latest = (*latest).max(*at);
            Some((*input, *latest))
        })
        .collect();
    let now = happened.last().map_or(now, |(_, latest)| now.max(*latest));
    let any = |wanted: &dyn Fn(Input) -> bool| happened.iter().any(|(input, _)| wanted(*input));
    let approvals: Vec<i64> = happened
        .iter()
        .filter(|(input, _)| matches!(input, Input::Answer(_, true)))
        .map(|(_, at)| *at)
        .collect();
    let used = happened.iter().filter(|(input, _)| matches!(input, Input::Spend(_))).count();
    if any(&|input| matches!(input, Input::Withdraw(_))) {
        Status::Withdrawn
    } else if any(&|input| matches!(input, Input::Revoke(_))) {
        Status::Revoked
    } else if any(&|input| matches!(input, Input::Answer(_, false))) {
        Status::Refused
    } else if used == uses {
        Status::Spent
    } else if approvals.len() >= quorum {
        if now < approvals[quorum - 1] + LASTS { Status::Approved } else { Status::Expired }
    } else if now < ANSWER_WITHIN {
        Status::Pending
    } else {
        Status::Expired
    }
}

/// Whether the input is to be taken.
fn may(taken: &[Taken<Input>], quorum: usize, uses: usize, input: Input, now: i64) -> bool {
    let status = status_of(taken, quorum, uses, now);
    let answered =
        |who: &str| taken.iter().any(|(input, _)| matches!(input, Input::Answer(by, _) if *by == who));
    match input {
        Input::Answer(who, _) => {
            status == Status::Pending && ["ann", "bob", "cy"].contains(&who) && !answered(who)
        }
        Input::Withdraw(who) => who == "asker" && [Status::Pending, Status::Approved].contains(&status),
        Input::Revoke(who) => who == "bob" && [Status::Pending, Status::Approved].contains(&status),
        Input::Spend(_) => {
            status == Status::Approved && taken.iter().all(|(input_before, _)| *input_before != input)
        }
    }
}

/// What holds of any approval, whatever happened to it.
fn assert_is_lawful(approval: &Approval, now: i64) {
    let approvers: BTreeSet<_> = approval.answers().iter().filter(|answer| answer.approves).collect_people();
    let everybody: BTreeSet<_> = approval.answers().iter().collect_people();
    assert_eq!(everybody.len(), approval.answers().len(), "somebody answered twice");
    assert!(!everybody.contains(&approval.ask().requester), "whoever asked answered");
    let allowed = &approval.rule().roles;
    assert!(approval.answers().iter().all(|answer| allowed.contains(&answer.role)));
    let used = u32::try_from(approval.uses().len()).unwrap();
    assert!(used <= approval.rule().uses, "used more often than it may be");
    let enough = approvers.len() >= approval.rule().quorum as usize;
    assert_eq!(approval.approved_at().is_some(), enough, "a refusal is no approval");
    if used > 0 || approval.status(at(now)) == Status::Approved {
        assert!(enough, "approved by too few");
        let approved = approval.approved_at().unwrap().as_millis();
        let last = approval.uses().iter().map(|used| used.at.as_millis()).max().unwrap_or(approved);
        assert!((approved..approved + LASTS).contains(&last), "used outside of its time");
    }
    // The entity says no more than the approval is, read as a plugin reads it.
    let entity = approval.entity().unwrap();
    let attributes = &entity["attrs"];
    let ends: Instant = attributes["expiresAt"]["__extn"]["arg"].as_str().unwrap().parse().unwrap();
    let usable = attributes["status"] == "approved" && attributes["usesLeft"] != 0 && at(now) < ends;
    if approval.status(at(now)) == Status::Approved {
        assert!(usable || approval.moment(at(now)) != at(now));
        assert_eq!(attributes["approvers"].as_array().unwrap().len(), approvers.len());
    } else if approval.moment(at(now)) == at(now) {
        assert!(!usable, "the entity of what is {:?} can be used", approval.status(at(now)));
    }
}

trait People<'a> {
    fn collect_people(self) -> BTreeSet<EntityId>;
}

impl<'a, I: Iterator<Item = &'a Answered>> People<'a> for I {
    fn collect_people(self) -> BTreeSet<EntityId> {
        self.map(|answer| answer.who.clone()).collect()
    }
}

fn is_terminal(status: Status) -> bool {
    !matches!(status, Status::Pending | Status::Approved)
}

#[test]
fn every_sequence_of_steps_is_what_an_approval_is_said_to_be() {
    // Just before and at each end; and back.
    let times = [0, 9, 10, 19, 20, 29];
    // Two who may approve are enough for a quorum of two.
    let inputs = INPUTS.into_iter().filter(|input| *input != Input::Answer("cy", true)).collect::<Vec<_>>();
    for (quorum, uses) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let start = asked(quorum, uses);
        let (quorum, uses) = (quorum as usize, uses as usize);
        let reach = |approval: &Approval, before: &[Taken<Input>]| {
            schema::assert_fits(&approval.entity().unwrap());
            for now in times {
                let expected = status_of(before, quorum, uses, now);
                assert_eq!(approval.status(at(now)), expected, "{before:?} at {now}");
                assert_is_lawful(approval, now);
            }
        };
        let check = |tried: &Tried<'_, Approval, Input>| {
            let (before, now) = (tried.before, tried.now);
            let expected = may(before, quorum, uses, *tried.input, now);
            assert_eq!(tried.result.is_ok(), expected, "{before:?} {:?} at {now}", tried.input);
            let Ok(step) = tried.result else { return };
            let (from, to) = (tried.from.status(at(now)), step.to.status(at(now)));
            assert!(!is_terminal(from), "{from:?} is no end");
            let verb = match (from, to) {
                (_, ended) if is_terminal(ended) => Verb::Ended,
                (Status::Pending, Status::Approved) => Verb::Activated,
                _ => Verb::Updated,
            };
            assert_eq!(step.verb, verb);
        };
        let (tried, reached) = explore(&start, &inputs, &times, 6, take, &reach, &check);
        assert!(tried > 5_000 && reached > 50, "hardly anything was tried: {tried}, {reached}");
    }
}

#[test]
fn what_it_covers_is_what_was_asked_for() {
    let approval = asked(1, 1);
    let requester = person("asker");
    let wanted = || Use {
        requester: &requester,
        kind: "export",
        action: "export",
        purpose: Some("TREAT"),
        data_set: "set-secret",
        records: Some(500),
    };
    assert!(approval.covers(&wanted()));
    assert!(approval.covers(&Use { purpose: None, ..wanted() }), "any purpose");
    let other = person("ann");
    assert!(!approval.covers(&Use { requester: &other, ..wanted() }));
    assert!(!approval.covers(&Use { kind: "access", ..wanted() }));
    assert!(!approval.covers(&Use { action: "print", ..wanted() }));
    assert!(!approval.covers(&Use { data_set: "set", ..wanted() }));
    assert!(!approval.covers(&Use { records: Some(501), ..wanted() }));
    assert!(!approval.covers(&Use { records: None, ..wanted() }), "an unknown number is any");
    let narrow = Ask { action: String::new(), purpose: "TREAT".into(), max_records: None, ..ask() };
    let narrow = Approval::request("ap-2", &rule(1, 1), narrow, at(0)).unwrap().to;
    assert!(narrow.covers(&Use { action: "print", records: None, ..wanted() }));
    assert!(!narrow.covers(&Use { purpose: Some("HOPERAT"), ..wanted() }));
    assert!(!narrow.covers(&Use { purpose: None, ..wanted() }));
}

#[test]
fn an_ask_that_says_too_little_is_refused() {
    let wrong: &[Spoil<Ask>] = &[
        ("requester", |ask| ask.requester = EntityId::new("Patient", "p")),
        ("requester", |ask| ask.requester.id = "".into()),
        ("kind", |ask| ask.kind.clear()),
        ("kind", |ask| ask.kind = "access".into()),
        ("action", |ask| ask.action = "\n".into()),
        ("purpose", |ask| ask.purpose = " ".into()),
        ("dataSet", |ask| ask.data_set.clear()),
        ("maxRecords", |ask| ask.max_records = Some(1 << 63)),
        ("justification", |ask| ask.justification = " ".into()),
    ];
    for (field, spoil) in wrong {
        let mut spoilt = ask();
        spoil(&mut spoilt);
        let refused = Approval::request("ap-1", &rule(1, 1), spoilt, at(0)).unwrap_err();
        assert!(
            matches!(refused, Refused::Invalid { field: is, .. } if is == *field),
            "{field}: {refused:?}"
        );
        assert_eq!(refused.group(), Group::Invalid);
    }
    assert!(Approval::request("", &rule(1, 1), ask(), at(0)).is_err());
    let refused = Approval::request("ap-1", &rule(0, 1), ask(), at(0)).unwrap_err();
    assert_eq!((refused.code(), refused.group()), ("settings-unusable", Group::Invalid));
}

#[test]
fn refusals_say_whether_it_is_the_person_or_the_state() {
    let now = at(1);
    let approval = asked(1, 1);
    let code = |input: Input, from: &Approval| {
        let refused = take(from, &input, now).unwrap_err();
        (refused.code(), refused.group())
    };
    assert_eq!(code(Input::Answer("asker", true), &approval), ("own-request", Group::Forbidden));
    assert_eq!(code(Input::Answer("dan", true), &approval), ("role-missing", Group::Forbidden));
    assert_eq!(code(Input::Withdraw("ann"), &approval), ("not-requester", Group::Forbidden));
    assert_eq!(code(Input::Revoke("dan"), &approval), ("role-missing", Group::Forbidden));
    assert_eq!(code(Input::Spend(1), &approval), ("wrong-state", Group::Conflict));
    let half = take(&asked(2, 1), &Input::Answer("ann", true), now).unwrap().to;
    assert_eq!(code(Input::Answer("ann", false), &half), ("answered-already", Group::Conflict));
    let approved = take(&asked(1, 2), &Input::Answer("ann", true), now).unwrap().to;
    let used = take(&approved, &Input::Spend(1), now).unwrap().to;
    assert_eq!(code(Input::Spend(1), &used), ("use-counted-already", Group::Conflict));
    assert_eq!(code(Input::Answer("bob", true), &approved), ("wrong-state", Group::Conflict));
}

#[test]
fn the_role_that_counted_is_the_first_of_the_rule_that_the_person_has() {
    let approved = take(&asked(1, 1), &Input::Answer("cy", true), at(1)).unwrap().to;
    assert_eq!(approved.answers()[0].role, "head");
    assert_eq!(approved.entity().unwrap()["attrs"]["approvers"][0]["role"], "head");
}

#[test]
fn the_entity_is_written_as_entity_files_take_it() {
    let approved = take(&asked(1, 3), &Input::Answer("ann", true), at(1)).unwrap().to;
    let approved = take(&approved, &Input::Spend(1), at(2)).unwrap().to;
    let expected = json!({
        "uid": {"type": "Approval", "id": "ap-1"},
        "attrs": {
            "requester": {"__entity": {"type": "Practitioner", "id": "asker-secret"}},
            "kind": "export",
            "status": "approved",
            "approvers": [{
                "who": {"__entity": {"type": "Practitioner", "id": "ann-secret"}},
                "role": "head",
                "at": {"__extn": {"fn": "datetime", "arg": "1970-01-01T00:00:00.001Z"}},
            }],
            "dataSet": "set-secret",
            "action": "export",
            "maxRecords": 500,
            "requestedAt": {"__extn": {"fn": "datetime", "arg": "1970-01-01T00:00:00Z"}},
            "expiresAt": {"__extn": {"fn": "datetime", "arg": "1970-01-01T00:00:00.011Z"}},
            "usesLeft": 2,
        },
        "parents": [],
    });
    assert_eq!(approved.entity(), Some(expected));
    let words = |inputs: &[Input]| {
        let start = asked(1, 1);
        let end = inputs.iter().fold(start, |from, input| take(&from, input, at(1)).unwrap().to);
        end.entity().unwrap()["attrs"]["status"].clone()
    };
    let yes = Input::Answer("ann", true);
    assert_eq!(words(&[]), "pending");
    assert_eq!(words(&[Input::Answer("ann", false)]), "refused");
    assert_eq!(words(&[yes, Input::Withdraw("asker")]), "withdrawn");
    assert_eq!(words(&[yes, Input::Revoke("bob")]), "withdrawn");
    assert_eq!(words(&[yes, Input::Spend(1)]), "spent");
}

/// A document with all that one can have.
fn full() -> Approval {
    let steps = [
        (Input::Answer("ann", true), 1),
        (Input::Answer("bob", true), 2),
        (Input::Spend(1), 3),
        (Input::Spend(2), 4),
        (Input::Revoke("bob"), 5),
    ];
    steps.iter().fold(asked(2, 3), |from, (input, now)| take(&from, input, at(*now)).unwrap().to)
}

#[test]
fn garbage_is_not_read() {
    assert_garbage_is_refused(&full(), &["revoked"]);
    let withdrawn = take(&asked(1, 1), &Input::Withdraw("asker"), at(1)).unwrap().to;
    assert_garbage_is_refused(&withdrawn, &["withdrawnAt"]);
}

#[test]
fn a_document_that_no_steps_make_is_not_read() {
    let whole = serde_json::to_value(full()).unwrap();
    assert!(serde_json::from_value::<Approval>(whole.clone()).is_ok());
    let forged: &[Spoil<Value>] = &[
        ("approved by whoever asked", |it| it["answers"][0]["who"]["id"] = json!("asker-secret")),
        ("approved twice by one person", |it| it["answers"][0]["who"] = it["answers"][1]["who"].clone()),
        ("approved in another role", |it| it["answers"][0]["role"] = json!("nurse")),
        ("used without approval", |it| it["answers"][1]["approves"] = json!(false)),
        ("used before approval", |it| it["uses"][0]["at"] = it["answers"][0]["at"].clone()),
        ("used after its end", |it| it["uses"][1]["at"] = json!("1970-01-01T00:00:00.012Z")),
        ("used too often", |it| it["rule"]["uses"] = json!(1)),
        ("used twice by one decision", |it| it["uses"][1] = it["uses"][0].clone()),
        ("a quorum of none", |it| it["rule"]["quorum"] = json!(0)),
        ("ended twice", |it| it["withdrawnAt"] = it["revoked"]["at"].clone()),
        ("answered out of order", |it| it["answers"].as_array_mut().unwrap().swap(0, 1)),
    ];
    for (what, forge) in forged {
        let mut document = whole.clone();
        forge(&mut document);
        assert_ne!(document, whole, "{what}");
        assert!(serde_json::from_value::<Approval>(document).is_err(), "{what}");
    }
}

#[test]
fn debug_prints_no_words_and_no_person() {
    let approval = full();
    let answer =
        Answer { who: person("ann"), roles: &roles(&[]), approves: true, comment: Some("secret".into()) };
    assert_prints_nothing(&[&approval, approval.ask(), &approval.answers(), &approval.revoked(), &answer]);
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => proptest::sample::select(INPUTS.to_vec()),
        2 => (1..6_u128).prop_map(Input::Spend),
    ]
}

proptest! {
    #[test]
    fn whenever_things_happen_an_approval_stays_lawful(
        quorum in 1..4_u32,
        uses in 1..4_u32,
        steps in proptest::collection::vec((any_input(), -5..45_i64), 0..16),
        later in proptest::collection::vec(-5..60_i64, 3),
    ) {
        let mut approval = asked(quorum, uses);
        let mut taken = vec![];
        for (input, now) in steps {
            let before = approval.clone();
            let expected = may(&taken, quorum as usize, uses as usize, input, now.max(0));
            match take(&approval, &input, at(now)) {
                Ok(step) => {
                    approval = step.to;
                    taken.push((input, now.max(0)));
                    prop_assert!(expected);
                }
                Err(_) => prop_assert!(!expected),
            }
            if is_terminal(before.status(at(now))) {
                prop_assert!(approval == before, "what has ended went on");
            }
            assert_is_lawful(&approval, now);
        }
        assert_reads_back(&approval);
        for now in later {
            assert_is_lawful(&approval, now);
            prop_assert_eq!(approval.status(at(now)), status_of(&taken, quorum as usize, uses as usize, now.max(0)));
        }
    }

    #[test]
    fn an_end_is_exclusive_to_the_millisecond(
        asked_at in -62_000_000_000_000..253_000_000_000_000_i64,
        answer_within in 1..31_622_400_000_u64,
        lasts in 1..31_622_400_000_u64,
    ) {
        let rule = Rule { answer_within_ms: answer_within, lasts_ms: lasts, ..rule(1, 1) };
        let pending = Approval::request("ap-1", &rule, ask(), at(asked_at)).unwrap().to;
        let last = asked_at + i64::try_from(answer_within).unwrap() - 1;
        prop_assert_eq!(pending.status(at(last)), Status::Pending);
        prop_assert_eq!(pending.status(at(last + 1)), Status::Expired);
        prop_assert!(take(&pending, &Input::Answer("ann", true), at(last + 1)).is_err());
        let approved = take(&pending, &Input::Answer("ann", true), at(last)).unwrap().to;
        let last = last + i64::try_from(lasts).unwrap() - 1;
        prop_assert_eq!(approved.status(at(last)), Status::Approved);
        prop_assert_eq!(approved.status(at(last + 1)), Status::Expired);
        prop_assert!(take(&approved, &Input::Spend(1), at(last + 1)).is_err());
        prop_assert!(take(&approved, &Input::Spend(1), at(last)).is_ok());
        assert_reads_back(&approved);
    }
}
