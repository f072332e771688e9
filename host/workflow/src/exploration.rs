//! Takes every sequence of inputs at every combination of times, up to a depth, and has each step checked.
//!
//! A step depends on nothing but the document, so that a document that was reached before is not gone on from
//! again, and a refused step, which changes nothing, leads nowhere. Times may go back as well as on.

use std::collections::HashSet;
use std::fmt::Debug;

use assent_model::Instant;
use serde_json::{Value, json};

use crate::{Machine, Refused, Step};

/// A moment so many milliseconds after the epoch.
pub(crate) fn at(millis: i64) -> Instant {
    Instant::from_millis(millis).unwrap()
}

/// An input that was taken, and when.
pub(crate) type Taken<I> = (I, i64);

/// How an input is given to a machine.
pub(crate) type Take<M, I> = fn(&M, &I, Instant) -> Result<Step<M>, Refused>;

/// What makes something wrong, and what is wrong then.
pub(crate) type Spoil<T> = (&'static str, fn(&mut T));

/// One step, as it was tried.
pub(crate) struct Tried<'a, M, I> {
    /// What was taken before.
    pub(crate) before: &'a [Taken<I>],
    pub(crate) from: &'a M,
    pub(crate) input: &'a I,
    pub(crate) now: i64,
    pub(crate) result: &'a Result<Step<M>, Refused>,
}

/// Explores: hands each document to `reach`, with each way that leads to it, and each step to `check`. Gives how many steps were
/// tried, and how many documents were reached.
pub(crate) fn explore<M: Machine + PartialEq + Debug, I: Clone + Debug>(
    start: &M,
    inputs: &[I],
    times: &[i64],
    depth: usize,
    take: Take<M, I>,
    reach: &dyn Fn(&M, &[Taken<I>]),
    check: &dyn Fn(&Tried<'_, M, I>),
) -> (usize, usize) {
    let mut tried = 0;
    let mut reached = HashSet::from([text(start)]);
    let mut open: Vec<(M, Vec<Taken<I>>)> = vec![(start.clone(), vec![])];
    reach(start, &[]);
    while let Some((from, before)) = open.pop() {
        assert_reads_back(&from);
        let written = text(&from);
        for input in inputs {
            for &now in times {
                let result = take(&from, input, at(now));
                tried += 1;
                check(&Tried { before: &before, from: &from, input, now, result: &result });
                let Ok(step) = result else { continue };
                let mut taken = before.clone();
                taken.push((input.clone(), now));
                // Also where it was reached before: another way to it must make it the same.
                reach(&step.to, &taken);
                if taken.len() < depth && reached.insert(text(&step.to)) {
                    open.push((step.to, taken));
                }
            }
        }
        assert_eq!(text(&from), written, "a step changed what it was taken from");
    }
    (tried, reached.len())
}

fn text<M: Machine>(machine: &M) -> String {
    serde_json::to_string(machine).unwrap()
}

/// Writing and reading is the identity.
pub(crate) fn assert_reads_back<M: Machine + PartialEq + Debug>(machine: &M) {
    let read: M = serde_json::from_str(&text(machine)).unwrap();
    assert!(read == *machine && text(&read) == text(machine), "another document was read than was written");
}

/// Whatever is missing, added or of another type in a document, it is not read. `optional` may be missing.
pub(crate) fn assert_garbage_is_refused<M: Machine>(machine: &M, optional: &[&str]) {
    let whole = serde_json::to_value(machine).unwrap();
    let refuses = |value: &Value| serde_json::from_value::<M>(value.clone()).is_err();
    for value in [json!(null), json!([]), json!({}), json!("x"), json!([whole])] {
        assert!(refuses(&value), "{value}");
    }
    let with = |name: &str, value: Value| {
        let mut changed = whole.clone();
        changed[name] = value;
        changed
    };
    assert!(refuses(&with("unknown", json!(1))), "an unknown member");
    for name in whole.as_object().unwrap().keys() {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(name);
        assert!(refuses(&without) || optional.contains(&name.as_str()), "without {name}");
        for value in [json!(7.5), json!(true), json!({"unknown": 1}), json!([[]])] {
            assert!(refuses(&with(name, value.clone())), "{name}: {value}");
        }
    }
}

/// Nothing of what people said or are called is printed; ids in these tests end in `-secret`.
pub(crate) fn assert_prints_nothing(printed: &[&dyn Debug]) {
    for value in printed {
        let text = format!("{value:?} {value:#?}");
        assert!(!text.contains("secret"), "{text}");
    }
}
