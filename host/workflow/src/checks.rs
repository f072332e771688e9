//! What everything given is held against, before it is kept for ever.

use std::collections::BTreeSet;

use assent_model::{EntityId, Instant};

use crate::refused::{Refused, Unfit};

/// The longest id, in bytes: what a store takes.
pub const ID_BYTES_MAX: usize = 1024;
/// The longest free text, in characters: it is recorded with every step, and somebody has to read it.
pub const TEXT_CHARS_MAX: usize = 4_000;
/// Names of roles, reasons and the like, in characters.
const NAME_CHARS_MAX: usize = 200;
/// Roles or reasons of one rule: more, and nobody knows them.
const NAMES_MAX: usize = 100;

/// The types of the base schema that its relations and records refer to.
pub(crate) const PRACTITIONER: &str = "Practitioner";
pub(crate) const PATIENT: &str = "Patient";
pub(crate) const RELATED_PERSON: &str = "RelatedPerson";

/// A length of time in a setting: at least a millisecond, and no more than so many days.
pub(crate) fn length(
    setting: &'static str,
    ms: u64,
    days_max: u64,
    expected: &'static str,
) -> Result<(), Unfit> {
    if ms == 0 || ms > days_max * 86_400_000 { Err(Unfit { setting, expected }) } else { Ok(()) }
}

/// A list of names in a setting: some, each once, none empty.
pub(crate) fn names(setting: &'static str, names: &[String]) -> Result<(), Unfit> {
    let different: BTreeSet<_> = names.iter().collect();
    let all_fit = names.iter().all(|name| is_name(name));
    if names.is_empty() || names.len() > NAMES_MAX || different.len() != names.len() || !all_fit {
        return Err(Unfit { setting, expected: "1 to 100 names of 1 to 200 characters, each once" });
    }
    Ok(())
}

pub(crate) fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control)
}

pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.chars().any(char::is_control)
}

/// An id as a store takes it.
pub(crate) fn id(field: &'static str, id: &str) -> Result<(), Refused> {
    let expected = "an id of 1 to 1024 bytes without control characters";
    if is_id(id) { Ok(()) } else { Err(Refused::Invalid { field, expected }) }
}

/// A person or program, of whatever type.
pub(crate) fn someone(field: &'static str, entity: &EntityId) -> Result<(), Refused> {
    if is_name(&entity.kind) && is_id(&entity.id) {
        return Ok(());
    }
    Err(Refused::Invalid { field, expected: "an entity with a type and an id" })
}

/// An entity of one type, since the schema says so.
pub(crate) fn of_type(
    field: &'static str,
    entity: &EntityId,
    kind: &str,
    expected: &'static str,
) -> Result<(), Refused> {
    if entity.kind == kind && is_id(&entity.id) { Ok(()) } else { Err(Refused::Invalid { field, expected }) }
}

/// A name, such as an action or a licence.
pub(crate) fn name(field: &'static str, name: &str) -> Result<(), Refused> {
    let expected = "1 to 200 characters, none of them a control character";
    if is_name(name) { Ok(()) } else { Err(Refused::Invalid { field, expected }) }
}

/// Words of a person, which must say something.
pub(crate) fn words(field: &'static str, text: &str) -> Result<(), Refused> {
    let expected = "given in words: 1 to 4000 characters without NUL";
    let fits = !text.trim().is_empty() && text.chars().count() <= TEXT_CHARS_MAX && !text.contains('\0');
    if fits { Ok(()) } else { Err(Refused::Invalid { field, expected }) }
}

/// Words that may be left away; where they are given, they say something.
pub(crate) fn optional_words(field: &'static str, text: Option<&str>) -> Result<(), Refused> {
    text.map_or(Ok(()), |text| words(field, text))
}

/// The first of these roles that the person has: the one that counts.
pub(crate) fn counting_role(allowed: &[String], has: &BTreeSet<String>) -> Result<String, Refused> {
    let role = allowed.iter().find(|role| has.contains(*role)).cloned();
    role.ok_or_else(|| Refused::RoleMissing { roles: allowed.to_vec() })
}

/// So much later. Past the end of the calendar there is no later: then what ends there ends at once.
pub(crate) fn later(at: Instant, ms: u64) -> Instant {
    let millis = i64::try_from(ms).ok().and_then(|ms| at.as_millis().checked_add(ms));
    millis.and_then(|millis| Instant::from_millis(millis).ok()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_bounded_on_both_sides() {
        let long = |count| "a".repeat(count);
        for (fits, text) in [(true, "x"), (true, "ü\n"), (false, ""), (false, " \n"), (false, "a\0")] {
            assert_eq!(words("reason", text).is_ok(), fits, "{text:?}");
        }
        assert!(words("reason", &long(TEXT_CHARS_MAX)).is_ok());
        assert!(words("reason", &long(TEXT_CHARS_MAX + 1)).is_err());
        assert!(optional_words("comment", None).is_ok() && optional_words("comment", Some("")).is_err());
        for (fits, text) in [(true, "x"), (false, ""), (false, "a\n"), (false, "a\0")] {
            assert_eq!((id("id", text).is_ok(), name("action", text).is_ok()), (fits, fits), "{text:?}");
        }
        assert!(id("id", &long(ID_BYTES_MAX)).is_ok() && id("id", &long(ID_BYTES_MAX + 1)).is_err());
        assert!(
            name("kind", &long(NAME_CHARS_MAX)).is_ok() && name("kind", &long(NAME_CHARS_MAX + 1)).is_err()
        );
        assert!(someone("by", &EntityId::new("Practitioner", "a")).is_ok());
        assert!(someone("by", &EntityId::new("", "a")).is_err());
        assert!(someone("by", &EntityId::new("Practitioner", "")).is_err());
    }

    #[test]
    fn a_list_of_names_has_some_and_each_once() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(names("roles", &list(&["a", "b"])).is_ok());
        for wrong in [&[][..], &["a", "a"], &["a", ""]] {
            assert!(names("roles", &list(wrong)).is_err(), "{wrong:?}");
        }
        let many = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
        assert!(names("roles", &many(NAMES_MAX)).is_ok() && names("roles", &many(NAMES_MAX + 1)).is_err());
    }

    #[test]
    fn past_the_end_of_the_calendar_everything_ends_at_once() {
        let last: Instant = "9999-12-31T23:59:59.999Z".parse().unwrap();
        let before = Instant::from_millis(last.as_millis() - 5).unwrap();
        assert_eq!(later(before, 5), last);
        assert_eq!(later(before, 6), before);
        assert_eq!(later(before, u64::MAX), before);
    }
}
