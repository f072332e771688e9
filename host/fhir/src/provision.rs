//! One provision: what it does, and all that limits it, under the names of the base schema.

use serde_json::{Map, Value, json};

use crate::coding::{ACTIONS, CLASSES, CLINICAL, LABELS, PURPOSES, ROLES};
use crate::moment::{Span, span};
use crate::outcome::{Remark, Why};
use crate::reader::{At, Element, Reader};
use crate::settings::Effect;
use crate::shapes::{ACTOR, DATA, PERIOD, PROVISION};
use crate::window::{Criteria, Window};

const MEANINGS: [&str; 4] = ["instance", "related", "dependents", "authoredby"];

/// Where the schema puts an actor, by type.
const ACTORS: [(&str, &str); 3] =
    [("Organization", "organization"), ("Practitioner", "practitioner"), ("RelatedPerson", "person")];

/// One provision as it is read: its own criteria, and what is nested in it.
pub(crate) struct Provision<'a> {
    /// What it says it does.
    pub(crate) effect: Option<Effect>,
    pub(crate) criteria: Criteria,
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
                self.malformed(element.path_of("type"), "`permit` or `deny`");
                None
            }
            None => None,
        };
        let criteria = self.criteria(&element);
        let nested = self.list(&element, "provision");
        Some(Provision { effect, criteria, nested })
    }

    fn criteria(&mut self, element: &Element<'_>) -> Criteria {
        let period = self.window(element, "period");
        let data = self.window(element, "dataPeriod");
        let mut about = Map::new();
        let actors: Vec<Value> =
            self.list(element, "actor").iter().filter_map(|actor| self.actor(actor)).collect();
        if !actors.is_empty() {
            about.insert("actors".to_owned(), Value::Array(actors));
        }
        let items = self.list(element, "action");
        let mut actions: Vec<_> = items.iter().filter_map(|item| self.one_code(item, ACTIONS)).collect();
        actions.sort_unstable();
        actions.dedup();
        let mut put = |name: &str, codes: Vec<String>| {
            if !codes.is_empty() {
                about.insert(name.to_owned(), json!(codes));
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
        Criteria { about, period, data }
    }

    fn actor(&mut self, at: &At<'_>) -> Option<Value> {
        let element = self.element(at, &ACTOR)?;
        let mut actor = Map::new();
        match element.member("role") {
            Some(role) => {
                let code = self.one_code(&role, ROLES);
                actor.extend(code.map(|code| ("role".to_owned(), code.into())));
            }
            None => self.malformed(element.path_of("role"), "a role"),
        }
        let Some(reference) = element.member("reference") else {
            self.malformed(element.path_of("reference"), "a reference");
            return None;
        };
        let kinds = ACTORS.map(|(kind, _)| kind);
        match self.reference(&reference, &kinds) {
            Ok(entity) => {
                let (_, name) = ACTORS.iter().find(|(kind, _)| *kind == entity.kind)?;
                actor.insert((*name).to_owned(), json!(entity));
                Some(Value::Object(actor))
            }
            // What is malformed is reported already.
            Err((_, Why::Malformed)) => None,
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
            self.malformed(element.path_of("meaning"), expected);
        }
        match element.member("reference") {
            Some(at) if at.value.is_object() => self.described(at),
            _ => self.malformed(element.path_of("reference"), "a reference"),
        }
        self.unsupported(at.path.as_str(), Why::NoPlace);
    }

    fn window(&mut self, element: &Element<'_>, name: &str) -> Window {
        let Some(period) = element.member(name).and_then(|at| self.element(&at, &PERIOD)) else {
            return Window::default();
        };
        let start = self.moment(&period, "start");
        let end = self.moment(&period, "end");
        for (name, found) in [("start", start), ("end", end)] {
            if name == "end" && found.is_some_and(|span| span.after.is_none()) {
                self.note(period.path_of(name), Remark::NoEnd);
            } else if found.is_some_and(|span| span.is_date) {
                self.note(period.path_of(name), Remark::AnyTimeZone);
            }
        }
        let window = Window { start: start.map(|span| span.first), end: end.and_then(|span| span.after) };
        if window.ends_before_it_starts() {
            self.malformed(period.path, "a period that does not end before it starts");
        } else if window.may_hold_never() {
            self.note(period.path, Remark::TooShort);
        }
        window
    }

    /// The span that a member names; none: it is absent, or it is wrong and reported.
    pub(crate) fn moment(&mut self, element: &Element<'_>, name: &str) -> Option<Span> {
        let text = self.text(element, name)?;
        let found = span(text);
        if found.is_none() {
            let expected =
                "a year, month or day, or a time with seconds and offset, such as `2026-01-05T10:00:00Z`";
            self.malformed(element.path_of(name), expected);
        }
        found
    }
}
