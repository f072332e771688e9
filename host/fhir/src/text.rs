//! Text to a JSON value in which nothing is said twice.
//!
//! A parser that keeps one of two members with the same name lets two readers of one document see two
//! documents. Here none of them is kept: the member is missing, and reported, so that the rest can still tell
//! whose objection the document is. What is nested too deep to be a Consent is left out and reported likewise.
//! INVARIANT (nothing is passed over): whatever of the text is not in the value is among the findings.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::Unreadable;
use crate::findings::Findings;
use crate::outcome::Why;
use crate::shapes::path_to;

/// Levels of JSON. The deepest provision that is read stands 64 down, and its codings 6 more; the parser
/// itself ends at 128.
const JSON_DEPTH_MAX: usize = 100;

/// Reads one value from all of the text; where something was left out is a path from `root`.
pub(crate) fn load(text: &[u8], root: &'static str) -> Result<(Value, Findings), Unreadable> {
    let found = RefCell::new(Findings::default());
    let strict = Strict { found: &found, at: &Path::Root(root), depth_left: JSON_DEPTH_MAX };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = strict.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(value) => Ok((value, found.into_inner())),
        Err(error) => Err(Unreadable::NotJson { line: error.line(), column: error.column() }),
    }
}

/// Where a value stands: written out only for what is reported.
enum Path<'a> {
    Root(&'static str),
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// As deep as the value stands, which is limited.
    fn written(&self) -> String {
        match self {
            Self::Root(name) => (*name).to_owned(),
            Self::Member(of, name) => path_to(&of.written(), name),
            Self::Item(of, position) => format!("{}[{position}]", of.written()),
        }
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    found: &'a RefCell<Findings>,
    at: &'a Path<'a>,
    depth_left: usize,
}

impl Strict<'_> {
    fn report(&self, at: &Path<'_>, expected: &'static str) {
        self.found.borrow_mut().add(|| at.written(), Why::Malformed, Some(expected));
    }

    /// How deep values within this one may be; none: it is too deep itself, which is reported.
    fn depth_within(&self) -> Option<usize> {
        let left = self.depth_left.checked_sub(1);
        if left.is_none() {
            self.report(self.at, "at most 100 levels of JSON");
        }
        left
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Some(depth_left) = self.depth_within() else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        };
        let mut array = Vec::new();
        loop {
            let at = Path::Item(self.at, array.len());
            match items.next_element_seed(Strict { at: &at, depth_left, ..self })? {
                Some(item) => array.push(item),
                None => return Ok(Value::Array(array)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let Some(depth_left) = self.depth_within() else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        };
        let mut object = Map::new();
        let mut repeated = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let at = Path::Member(self.at, &name);
            let value = members.next_value_seed(Strict { at: &at, depth_left, ..self })?;
            if object.contains_key(&name) {
                self.report(&at, "each member once");
                repeated.insert(name);
            } else {
                object.insert(name, value);
            }
        }
        object.retain(|name, _| !repeated.contains(name));
        Ok(Value::Object(object))
    }
}
