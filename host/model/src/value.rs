//! Typed values of attributes: what Cedar can hold, plus calendar dates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::record::Record;
use crate::time::{Date, Instant};

/// The value of an attribute.
///
/// Serialized with its kind, as `{"integer": 3}`, so that a record of a decision says exactly
/// what the policies and plugins saw.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Unicode text.
    Text(SmolStr),
    /// A signed 64-bit integer.
    Integer(i64),
    /// A number with four decimal places.
    Decimal(Decimal),
    /// True or false.
    Boolean(bool),
    /// A moment in time.
    Instant(Instant),
    /// A calendar date without a time zone.
    Date(Date),
    /// A length of time in milliseconds.
    Duration(i64),
    /// An IP address or network, as Cedar writes it: `10.0.0.0/8`.
    Ip(SmolStr),
    /// A reference to an entity.
    Entity(EntityId),
    /// A set. Kept sorted and without repetition; build it with [`Value::set`].
    Set(Vec<Value>),
    /// A record of named values.
    Record(Record),
}

impl Value {
    /// A set of these values, sorted and without repetition.
    pub fn set(values: impl IntoIterator<Item = Value>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort();
        values.dedup();
        values.shrink_to_fit();
        Self::Set(values)
    }

    /// The kind of value, in the word that documents and messages use.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "integer",
            Self::Decimal(_) => "decimal",
            Self::Boolean(_) => "boolean",
            Self::Instant(_) => "instant",
            Self::Date(_) => "date",
            Self::Duration(_) => "duration",
            Self::Ip(_) => "IP address",
            Self::Entity(_) => "entity",
            Self::Set(_) => "set",
            Self::Record(_) => "record",
        }
    }

    /// What stands in it: a reference, elements or members.
    pub const fn parts(&self) -> Parts<'_> {
        match self {
            Self::Entity(id) => Parts::Reference(id),
            Self::Set(elements) => Parts::Elements(elements.as_slice()),
            Self::Record(record) => Parts::Members(record),
            Self::Text(_)
            | Self::Integer(_)
            | Self::Decimal(_)
            | Self::Boolean(_)
            | Self::Instant(_)
            | Self::Date(_)
            | Self::Duration(_)
            | Self::Ip(_) => Parts::None,
        }
    }

    /// The text, where this is text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The entity, where this is a reference.
    pub const fn as_entity(&self) -> Option<&EntityId> {
        if let Self::Entity(id) = self { Some(id) } else { None }
    }

    /// The instant, where this is one.
    pub const fn as_instant(&self) -> Option<Instant> {
        if let Self::Instant(instant) = self { Some(*instant) } else { None }
    }

    /// The boolean, where this is one.
    pub const fn as_boolean(&self) -> Option<bool> {
        if let Self::Boolean(boolean) = self { Some(*boolean) } else { None }
    }

    /// The integer, where this is one.
    pub const fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(integer) = self { Some(*integer) } else { None }
    }
}

/// What stands in a value, for those who follow references and care for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts<'a> {
    /// Nothing: text, a number, a time, an address.
    None,
    /// The entity that it refers to.
    Reference(&'a EntityId),
    /// The elements of a set, in order.
    Elements(&'a [Value]),
    /// The members of a record.
    Members(&'a Record),
}

/// INVARIANT (no patient in logs): the kind of value is printed, and nothing of the value.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.kind())
    }
}

/// A number with four decimal places, held in ten-thousandths (Cedar's `decimal`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Decimal {
    ten_thousandths: i64,
}

impl Decimal {
    /// The number that many ten-thousandths make.
    pub const fn from_ten_thousandths(ten_thousandths: i64) -> Self {
        Self { ten_thousandths }
    }

    /// How many ten-thousandths the number is.
    pub const fn ten_thousandths(self) -> i64 {
        self.ten_thousandths
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.ten_thousandths < 0 { "-" } else { "" };
        let magnitude = self.ten_thousandths.unsigned_abs();
        write!(f, "{sign}{}.{:04}", magnitude / 10_000, magnitude % 10_000)
    }
}

/// Text that is not a decimal number with one to four decimal places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number with one to four decimal places, such as `0.25`")]
pub struct DecimalError;

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').ok_or(DecimalError)?;
        let is_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 4 {
            return Err(DecimalError);
        }
        let magnitude: i128 = format!("{whole}{fraction:0<4}").parse().map_err(|_| DecimalError)?;
        let signed = if negative { -magnitude } else { magnitude };
        i64::try_from(signed).map(Self::from_ten_thousandths).map_err(|_| DecimalError)
    }
}

/// The name of an entity: its Cedar type and its id, which is unique within the type. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityId {
    /// The Cedar entity type, such as `Patient`.
    #[serde(rename = "type")]
    pub kind: SmolStr,
    /// The id within the type.
    pub id: SmolStr,
}

impl EntityId {
    /// The entity of this type with this id.
    pub fn new(kind: impl Into<SmolStr>, id: impl Into<SmolStr>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{:?}", self.kind, self.id)
    }
}

/// INVARIANT (no patient in logs): the type is printed, the id is not.
impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::<redacted>", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_read_what_they_write() {
        for (text, units) in [("0.25", 2_500), ("-1.0001", -10_001), ("12.3", 123_000)] {
            let decimal: Decimal = text.parse().unwrap();
            assert_eq!(decimal.ten_thousandths(), units);
            assert_eq!(decimal.to_string().parse::<Decimal>().unwrap(), decimal);
        }
        for text in ["1", ".5", "1.", "1.00001", "1e3", "--1.0", "99999999999999999999.0", "1.-5"] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn sets_do_not_depend_on_order_or_repetition() {
        let one = Value::set([Value::Integer(2), Value::Integer(1), Value::Integer(2)]);
        assert_eq!(one, Value::set([Value::Integer(1), Value::Integer(2)]));
    }

    #[test]
    fn debug_output_of_a_value_names_its_kind_alone() {
        let inner = Value::Record(Record::from([("name", Value::Text("Ann".into()))]));
        for value in [Value::Text("Ann".into()), Value::set([inner.clone()]), inner] {
            assert_eq!(format!("{value:?}"), format!("<{}>", value.kind()));
        }
    }

    #[test]
    fn debug_output_of_an_entity_hides_its_id() {
        assert_eq!(format!("{:?}", EntityId::new("Patient", "pat-7")), "Patient::<redacted>");
    }
}
