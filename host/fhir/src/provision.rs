//! Provisions of any depth as the flat list of the base schema.
//!
//! Every provision is written with a key, the positions that lead to it (`0.2`: the third in the first).
//! INVARIANT (a mark that is taken away opens nothing): one that is not read in full is written as a deny
//! without criteria, and nothing of what is nested in it. That holds wherever it could have, for whatever
//! it could have been about.

use serde_json::{Map, Value, json};

use crate::coding::{ACTIONS, CLASSES, CLINICAL, LABELS, PURPOSES, ROLES};
use crate::moment::{Span, span, written};
use crate::outcome::{Remark, Why};
use crate::reader::{At, Element, Reader};
use crate::settings::Effect;

/// Levels of provisions, with the root. IHE PCF has two, HL7's examples three; parsers of JSON stop at 128
/// levels of values, which are 63 of provisions.
pub const PROVISION_DEPTH_MAX: usize = 32;
/// Provisions of one consent, with the root. A plugin judges each with its default fuel: some hundreds
/// are as many as it can.
pub const PROVISIONS_MAX: usize = 512;

/// The key of the provision that holds the root's criteria.
pub(crate) const ROOT_KEY: &str = "root";

const PROVISION: [&str; 11] = [
    "type",
    "period",
    "actor",
    "action",
    "securityLabel",
    "purpose",
    "class",
    "code",
    "dataPeriod",
    "data",
    "provision",
];
const ACTOR: [&str; 2] = ["role", "reference"];
const DATA: [&str; 2] = ["meaning", "reference"];
const MEANINGS: [&str; 4] = ["instance", "related", "dependents", "authoredby"];
const PERIOD: [&str; 2] = ["start", "end"];

/// Where the schema puts an actor, by type.
const ACTORS: [(&str, &str); 3] =
    [("Organization", "organization"), ("Practitioner", "practitioner"), ("RelatedPerson", "person")];

/// One provision as it is read: its own criteria, and what is nested in it.
pub(crate) struct Provision<'a> {
    /// What it says it does.
    pub(crate) effect: Option<Effect>,
    /// Its criteria under the names of the base schema.
    pub(crate) criteria: Map<String, Value>,
    pub(crate) nested: Vec<At<'a>>,
}

impl Reader<'_> {
    /// A provision without what is nested in it; none: it is wrong, and reported.
    pub(crate) fn provision<'a>(&mut self, at: &At<'a>) -> Option<Provision<'a>> {
        let element = self.element(at, &PROVISION)?;
        let effect = match self.text(&element, "type") {
            Some("permit") => Some(Effect::Permit),
            Some("deny") => Some(Effect::Deny),
            Some(_) => {
                self.problem(element.path_of("type"), "`permit` or `deny`");
                None
            }
            None => None,
        };
        let criteria = self.criteria(&element);
        let nested = self.list(&element, "provision");
        Some(Provision { effect, criteria, nested })
    }

    fn criteria(&mut self, element: &Element<'_>) -> Map<String, Value> {
        let mut criteria = Map::new();
        self.period(element, "period", ["start", "end"], &mut criteria);
        self.period(element, "dataPeriod", ["dataStart", "dataEnd"], &mut criteria);
        let actors: Vec<Value> =
            self.list(element, "actor").iter().filter_map(|actor| self.actor(actor)).collect();
        if !actors.is_empty() {
            criteria.insert("actors".to_owned(), Value::Array(actors));
        }
        let items = self.list(element, "action");
        let mut actions: Vec<_> = items.iter().filter_map(|item| self.one_code(item, ACTIONS)).collect();
        actions.sort_unstable();
        actions.dedup();
        let mut put = |name: &str, codes: Vec<String>| {
            if !codes.is_empty() {
                criteria.insert(name.to_owned(), json!(codes));
            }
        };
        put("actions", actions);
        for (from, name, systems) in [
            ("purpose", "purposes", PURPOSES),
            ("class", "classes", CLASSES),
            ("securityLabel", "labels", LABELS),
        ] {
            let items = self.list(element, from);
            put(name, self.known_codings(&items, systems));
        }
        let items = self.list(element, "code");
        put("codes", self.known_concepts(&items, CLINICAL));
        for item in self.list(element, "data") {
            self.data(&item);
        }
        criteria
    }

    fn actor(&mut self, at: &At<'_>) -> Option<Value> {
        let element = self.element(at, &ACTOR)?;
        let mut actor = Map::new();
        match element.member("role") {
            Some(role) => {
                let code = self.one_code(&role, ROLES);
                actor.extend(code.map(|code| ("role".to_owned(), code.into())));
            }
            None => self.problem(element.path_of("role"), "a role"),
        }
        let Some(reference) = element.member("reference") else {
            self.problem(element.path_of("reference"), "a reference");
            return None;
        };
        let kinds = ACTORS.map(|(kind, _)| kind);
        match self.reference(&reference, &kinds)? {
            Ok(entity) => {
                let (_, name) = ACTORS.iter().find(|(kind, _)| *kind == entity.kind)?;
                actor.insert((*name).to_owned(), json!(entity));
                Some(Value::Object(actor))
            }
            Err((path, why)) => {
                self.unsupported(path, why);
                None
            }
        }
    }

    /// Named data: the contract has a place for them, the base schema does not.
    fn data(&mut self, at: &At<'_>) {
        let Some(element) = self.element(at, &DATA) else { return };
        if !self.text(&element, "meaning").is_some_and(|meaning| MEANINGS.contains(&meaning)) {
            let expected = "`instance`, `related`, `dependents` or `authoredby`";
            self.problem(element.path_of("meaning"), expected);
        }
        match element.member("reference").map(|at| (at.value.is_object(), at.path)) {
            Some((true, _)) => {}
            Some((false, path)) => self.problem(path, "a reference"),
            None => self.problem(element.path_of("reference"), "a reference"),
        }
        self.unsupported(at.path.as_str(), Why::NoPlace);
    }

    fn period(
        &mut self,
        element: &Element<'_>,
        from: &str,
        [start_name, end_name]: [&str; 2],
        criteria: &mut Map<String, Value>,
    ) {
        let Some(period) = element.member(from).and_then(|at| self.element(&at, &PERIOD)) else { return };
        let start = self.moment(&period, "start");
        let end = self.moment(&period, "end");
        if let Some(start) = start {
            if start.is_date {
                self.note(period.path_of("start"), Remark::FirstMoment);
            }
            criteria.insert(start_name.to_owned(), written(start.first).into());
        }
        match end.map(|end| (end, end.after)) {
            Some((end, Some(after))) => {
                if end.is_date {
                    self.note(period.path_of("end"), Remark::LastMoment);
                }
                criteria.insert(end_name.to_owned(), written(after).into());
            }
            Some((_, None)) => self.note(period.path_of("end"), Remark::NoEnd),
            None => {}
        }
        let ends_before = |(start, end): (Span, Span)| end.after.is_some_and(|after| after <= start.first);
        if start.zip(end).is_some_and(ends_before) {
            self.problem(period.path, "a period that does not end before it starts");
        }
    }

    /// The span that a member names; none: it is absent, or it is wrong and reported.
    pub(crate) fn moment(&mut self, element: &Element<'_>, name: &str) -> Option<Span> {
        let text = self.text(element, name)?;
        let found = span(text);
        if found.is_none() {
            let expected =
                "a year, month or day, or a time with seconds and offset, such as `2026-01-05T10:00:00Z`";
            self.problem(element.path_of(name), expected);
        }
        found
    }

    /// What is nested in the root, flat, as exceptions to the provision with this key or to the base. A
    /// stack instead of recursion; the order is that of the document.
    pub(crate) fn nested(&mut self, nested: Vec<At<'_>>, parent: Option<&str>) -> Vec<Value> {
        let mut written = Vec::new();
        let mut count = 1;
        let mut waiting = Vec::new();
        push(&mut waiting, nested, &Level { keys: "", parent, depth: 2, is_written: true });
        while let Some(Waiting { at, key, parent, depth, is_written }) = waiting.pop() {
            count += 1;
            if count > PROVISIONS_MAX {
                self.problem("Consent.provision", "at most 512 provisions");
                break;
            }
            if depth > PROVISION_DEPTH_MAX {
                self.problem(at.path, "at most 32 levels of provisions");
                continue;
            }
            let before = self.unsupported.len();
            let Some(provision) = self.provision(&at) else { continue };
            if provision.effect.is_none() {
                self.unsupported(at.path.as_str(), Why::Untyped);
            }
            let is_clean = self.is_clean_since(before);
            if is_written {
                let mut record = Map::from_iter([("key".to_owned(), key.as_str().into())]);
                record.extend(parent.map(|parent| ("parent".to_owned(), parent.into())));
                let effect = provision.effect.filter(|_| is_clean).unwrap_or(Effect::Deny);
                record.insert("effect".to_owned(), effect.as_str().into());
                record.extend(provision.criteria.into_iter().filter(|_| is_clean));
                written.push(Value::Object(record));
            }
            let is_written = is_written && is_clean;
            let level = Level { keys: &key, parent: Some(&key), depth: depth + 1, is_written };
            push(&mut waiting, provision.nested, &level);
        }
        written
    }
}

/// A provision that is still to be read.
struct Waiting<'a> {
    at: At<'a>,
    key: String,
    parent: Option<String>,
    depth: usize,
    /// Whether it is written, or read only for what is unsupported in it.
    is_written: bool,
}

/// Where provisions side by side stand.
struct Level<'k> {
    keys: &'k str,
    parent: Option<&'k str>,
    depth: usize,
    is_written: bool,
}

fn push<'a>(waiting: &mut Vec<Waiting<'a>>, items: Vec<At<'a>>, level: &Level<'_>) {
    let &Level { keys, parent, depth, is_written } = level;
    let items = items.into_iter().enumerate().rev();
    waiting.extend(items.map(|(position, at)| Waiting {
        at,
        key: if keys.is_empty() { position.to_string() } else { format!("{keys}.{position}") },
        parent: parent.map(str::to_owned),
        depth,
        is_written,
    }));
}
