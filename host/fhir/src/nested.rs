//! Provisions of any depth as the flat list of the base schema.
//!
//! Every provision is written with a key, the positions that lead to it (`0.2`: the third in the first).
//! INVARIANT (a mark that is taken away opens nothing): one that is not read in full is written as a deny
//! without criteria, and nothing of what is nested in it. That holds wherever it could have, for whatever
//! it could have been about.
//! INVARIANT (a date only narrows): where days limit a provision that permits some and denies some, counting
//! them for either would widen the other. It is written twice: as a deny for what lies within them in any time
//! zone, and in that, with what is nested in it, for what lies within them in every one.

use serde_json::{Map, Value};

use crate::outcome::Why;
use crate::reader::{At, Reader};
use crate::settings::Effect;
use crate::window::{Count, Criteria, Window, when};

/// Levels of provisions, with the root. IHE PCF has two, HL7's examples three; parsers of JSON stop at 128
/// levels of values, which are 63 of provisions.
pub const PROVISION_DEPTH_MAX: usize = 32;
/// Provisions of one consent, with the root, as the document has them and as they are written. A plugin judges
/// each with its default fuel: some hundreds are as many as it can.
pub const PROVISIONS_MAX: usize = 512;

/// The key of the provision that holds the root's criteria.
const ROOT_KEY: &str = "root";
/// What the key of the inner one ends with, of a provision that is written twice.
const WITHIN: &str = ".within";

/// A provision that was read, or stands for one that could not be.
pub(crate) struct Nested {
    key: String,
    /// The position of the one that it is nested in; none: the root.
    parent: Option<usize>,
    effect: Effect,
    criteria: Criteria,
}

/// What the effects of a provision, and of all that is nested in it, are.
#[derive(Clone, Copy, Default)]
struct Effects {
    permits: bool,
    denies: bool,
}

impl Effects {
    const fn of(effect: Effect) -> Self {
        Self { permits: matches!(effect, Effect::Permit), denies: matches!(effect, Effect::Deny) }
    }

    fn add(&mut self, other: Self) {
        self.permits |= other.permits;
        self.denies |= other.denies;
    }

    /// How days count for it; none: one way for a part of it, the other way for the rest.
    const fn count(self) -> Option<Count> {
        match (self.permits, self.denies) {
            (true, true) => None,
            (true, false) => Some(Count::InEveryZone),
            (false, _) => Some(Count::InAnyZone),
        }
    }
}

impl Reader<'_> {
    /// What is nested in the root, parents first, in the order of the document; none: it is more than can
    /// be read, which is reported. A stack instead of recursion.
    pub(crate) fn nested(&mut self, nested: Vec<At<'_>>) -> Option<Vec<Nested>> {
        let mut read = Vec::new();
        let mut count = 1;
        let mut waiting = Vec::new();
        push(&mut waiting, nested, &Level { keys: "", parent: None, depth: 2, is_written: true });
        while let Some(Waiting { at, key, parent, depth, is_written }) = waiting.pop() {
            count += 1;
            if count > PROVISIONS_MAX {
                self.malformed("Consent.provision", TOO_MANY);
                return None;
            }
            if depth > PROVISION_DEPTH_MAX {
                self.malformed(at.path, "at most 32 levels of provisions");
                return None;
            }
            let before = self.found.count();
            let provision = self.provision(&at);
            if provision.as_ref().is_some_and(|provision| provision.effect.is_none()) {
                self.unsupported(at.path.as_str(), Why::Untyped);
            }
            let is_clean = self.is_clean_since(before);
            let (effect, criteria, nested) = match provision {
                Some(provision) => (provision.effect, provision.criteria, provision.nested),
                None => (None, Criteria::default(), Vec::new()),
            };
            let level = Level {
                keys: &key,
                parent: Some(read.len()),
                depth: depth + 1,
                is_written: is_written && is_clean,
            };
            push(&mut waiting, nested, &level);
            if is_written {
                let effect = effect.filter(|_| is_clean).unwrap_or(Effect::Deny);
                let criteria = if is_clean { criteria } else { Criteria::default() };
                read.push(Nested { key, parent, effect, criteria });
            }
        }
        Some(read)
    }

    /// What an entity says of a root that was read in full: its period, its base, and the provisions. None:
    /// they are more than can be judged, which is reported.
    pub(crate) fn rules(
        &mut self,
        base: Option<Effect>,
        criteria: Criteria,
        nested: &[Nested],
    ) -> Option<Rules> {
        let effects = effects(nested);
        let mut all = base.map(Effects::of).unwrap_or_default();
        effects.iter().for_each(|one| all.add(*one));
        let narrows = criteria.limit_more_than_when();
        // Under a base of deny it denies all that the root's criteria leave out.
        all.denies |= narrows;
        let splits = !criteria.is_exact() && all.count().is_none();
        let period = criteria.period;
        let within = base.filter(|_| narrows || splits);
        let mut attributes = when(period, all.count().unwrap_or(Count::InAnyZone));
        let mut provisions = Vec::new();
        if let Some(effect) = within {
            // The entity itself says when it holds, except where it denies for longer than the root permits.
            let period = if splits && !period.is_exact() { period } else { Window::default() };
            let count = all.count().unwrap_or(Count::InEveryZone);
            let own = Criteria { period, ..criteria };
            provisions.push(record(ROOT_KEY, None, effect, own.dates(count), own.about));
        }
        write(&mut provisions, nested, &effects, within.map(|_| ROOT_KEY));
        if provisions.len() >= PROVISIONS_MAX {
            self.malformed("Consent.provision", TOO_MANY);
            return None;
        }
        let base = if within.is_some() { Some(Effect::Deny) } else { base };
        attributes.extend(base.map(|base| ("base".to_owned(), base.as_str().into())));
        if !provisions.is_empty() {
            attributes.insert("provisions".to_owned(), Value::Array(provisions));
        }
        Some(Rules { attributes, is_within: within.is_some() })
    }
}

const TOO_MANY: &str =
    "at most 512 provisions; one that days limit and that both permits and denies counts twice";

/// What an entity says.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) attributes: Map<String, Value>,
    /// Whether the document's base became a provision.
    pub(crate) is_within: bool,
}

/// Of each provision, with all that is nested in it.
fn effects(nested: &[Nested]) -> Vec<Effects> {
    let mut effects: Vec<_> = nested.iter().map(|one| Effects::of(one.effect)).collect();
    for (position, one) in nested.iter().enumerate().rev() {
        let own = effects.get(position).copied().unwrap_or_default();
        if let Some(parent) = one.parent.and_then(|parent| effects.get_mut(parent)) {
            parent.add(own);
        }
    }
    effects
}

fn write(provisions: &mut Vec<Value>, nested: &[Nested], effects: &[Effects], root: Option<&str>) {
    // Under which key each has what is nested in it.
    let mut keys: Vec<String> = Vec::new();
    for (one, effects) in nested.iter().zip(effects) {
        let Nested { key, parent, effect, criteria } = one;
        let parent = match parent {
            Some(parent) => keys.get(*parent).map(String::as_str),
            None => root,
        };
        let about = criteria.about.clone();
        let (count, splits) = match effects.count() {
            Some(count) => (count, false),
            None => (Count::InAnyZone, !criteria.is_exact()),
        };
        let outer = if splits { Effect::Deny } else { *effect };
        provisions.push(record(key, parent, outer, criteria.dates(count), about));
        let mut own_key = key.clone();
        if splits {
            own_key.push_str(WITHIN);
            let dates = criteria.dates(Count::InEveryZone);
            provisions.push(record(&own_key, Some(key), *effect, dates, Map::new()));
        }
        keys.push(own_key);
    }
}

fn record(
    key: &str,
    parent: Option<&str>,
    effect: Effect,
    dates: Map<String, Value>,
    about: Map<String, Value>,
) -> Value {
    let mut record = Map::from_iter([("key".to_owned(), key.into())]);
    record.extend(parent.map(|parent| ("parent".to_owned(), parent.into())));
    record.insert("effect".to_owned(), effect.as_str().into());
    record.extend(dates);
    record.extend(about);
    Value::Object(record)
}

/// A provision that is still to be read.
struct Waiting<'a> {
    at: At<'a>,
    key: String,
    parent: Option<usize>,
    depth: usize,
    /// Whether it is written, or read only for what is unsupported in it.
    is_written: bool,
}

/// Where provisions side by side stand.
struct Level<'k> {
    keys: &'k str,
    parent: Option<usize>,
    depth: usize,
    is_written: bool,
}

fn push<'a>(waiting: &mut Vec<Waiting<'a>>, items: Vec<At<'a>>, level: &Level<'_>) {
    let &Level { keys, parent, depth, is_written } = level;
    let items = items.into_iter().enumerate().rev();
    waiting.extend(items.map(|(position, at)| Waiting {
        at,
        key: if keys.is_empty() { position.to_string() } else { format!("{keys}.{position}") },
        parent,
        depth,
        is_written,
    }));
}
