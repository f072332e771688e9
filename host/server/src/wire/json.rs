//! Bytes to a JSON value, more strictly than a plain parser: I-JSON (RFC 7493) within limits.
//!
//! A parser that keeps the last of two members with the same name lets two readers of one body see
//! two different questions. Here duplicates are refused at every depth, in members that nobody
//! reads too, as are lone surrogates, invalid UTF-8 and numbers that a double cannot hold.
//! Integers beyond 64 bits become doubles, as RFC 7493 section 2.2 lets senders expect; whether an
//! attribute accepts one is for the schema to say.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits::Limits;
use crate::wire::error::WireError;

/// Reads one JSON value from all of these bytes.
///
/// # Errors
/// When they are not I-JSON, or exceed `json_depth_max` or `json_values_max`.
pub fn load(bytes: &[u8], limits: &Limits) -> Result<Value, WireError> {
    let state = State { values_left: Cell::new(limits.json_values_max), refusal: Cell::new(None) };
    let seed = Strict { state: &state, depth_left: limits.json_depth_max };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match state.refusal.get() {
            None => WireError::Malformed { line, column },
            Some(Refusal::Duplicate) => WireError::DuplicateName { line, column },
            Some(Refusal::Depth) => WireError::TooDeep { max: limits.json_depth_max },
            Some(Refusal::Values) => WireError::TooManyValues { max: limits.json_values_max },
        }
    })
}

#[derive(Clone, Copy)]
enum Refusal {
    Duplicate,
    Depth,
    Values,
}

struct State {
    values_left: Cell<usize>,
    /// Why the parser was told to stop; serde's errors carry text only.
    refusal: Cell<Option<Refusal>>,
}

impl State {
    fn refuse<E: Error>(&self, refusal: Refusal) -> E {
        self.refusal.set(Some(refusal));
        E::custom("refused")
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    state: &'a State,
    depth_left: usize,
}

impl Strict<'_> {
    /// For the values within an array or object, one level down.
    fn within<E: Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(self.state.refuse(Refusal::Depth)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.state.values_left.get().checked_sub(1) {
            Some(left) => self.state.values_left.set(left),
            None => return Err(self.state.refuse(Refusal::Values)),
        }
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
        let within = self.within()?;
        let mut array = vec![];
        while let Some(item) = items.next_element_seed(within)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let within = self.within()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(self.state.refuse(Refusal::Duplicate));
            }
            object.insert(name, members.next_value_seed(within)?);
        }
        Ok(Value::Object(object))
    }
}
