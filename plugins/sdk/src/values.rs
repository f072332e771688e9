//! Typed values: how an attribute becomes a Rust value, and a Rust value a parameter.
//!
//! INVARIANT (no silent conversion): an attribute of another type than the rule declared is a
//! failure of the evaluation, never a default.

use crate::bindings::exports::assent::plugin::rules as wit;
use crate::records::EntityId;
use crate::time::{Date, Duration, Instant};

/// A type that an attribute can have.
pub trait Typed: Sized {
    /// What was expected, with its article: `a date`.
    const EXPECTED: &'static str;
    /// The value, where it has this type.
    fn read(value: wit::Value) -> Option<Self>;
    /// The value as the contract has it.
    fn write(self) -> wit::Value;
}

/// A type of which there are sets.
pub trait Single: Typed {
    /// The value, where it has this type.
    fn read_scalar(scalar: wit::Scalar) -> Option<Self>;
    /// The value as the contract has it.
    fn write_scalar(self) -> wit::Scalar;
}

macro_rules! single {
    ($($type:ty, $expected:literal, $variant:ident, $read:expr, $write:expr;)*) => {$(
        impl Single for $type {
            fn read_scalar(scalar: wit::Scalar) -> Option<Self> {
                if let wit::Scalar::$variant(value) = scalar { Some($read(value)) } else { None }
            }

            fn write_scalar(self) -> wit::Scalar {
                wit::Scalar::$variant($write(self))
            }
        }

        impl Typed for $type {
            const EXPECTED: &'static str = $expected;

            fn read(value: wit::Value) -> Option<Self> {
                if let wit::Value::Scalar(scalar) = value { Self::read_scalar(scalar) } else { None }
            }

            fn write(self) -> wit::Value {
                wit::Value::Scalar(self.write_scalar())
            }
        }
    )*};
}

single! {
    String, "text", Text, std::convert::identity, std::convert::identity;
    i64, "an integer", Integer, std::convert::identity, std::convert::identity;
    bool, "a boolean", Boolean, std::convert::identity, std::convert::identity;
    Decimal, "a decimal", Decimal, Decimal, |decimal: Self| decimal.0;
    Instant, "an instant", Instant, Instant, |instant: Self| instant.0;
    Date, "a date", Date, std::convert::identity, std::convert::identity;
    Duration, "a duration", Duration, Duration, |duration: Self| duration.0;
    Ip, "an IP address", Ip, Ip, |ip: Self| ip.0;
    EntityId, "a reference to an entity", Entity, std::convert::identity, std::convert::identity;
}

/// A number in ten-thousandths: `Decimal(2500)` is 0.25.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(pub i64);

/// An IP address or network, such as `10.0.0.0/8`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ip(pub String);

/// A set of single values, sorted, without repetition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set<T>(Vec<T>);

impl<T> Set<T> {
    /// Whether the value is in the set.
    pub fn has<Q: ?Sized>(&self, value: &Q) -> bool
    where
        T: PartialEq<Q>,
    {
        self.0.iter().any(|member| member == value)
    }

    /// The members, sorted.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, T> IntoIterator for &'a Set<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Ord> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        // One by one: sets are small, and a sort is many times the code.
        let mut sorted: Vec<T> = Vec::new();
        for value in values {
            if let Err(position) = sorted.binary_search(&value) {
                sorted.insert(position, value);
            }
        }
        Self(sorted)
    }
}

impl<T: Single> Typed for Set<T> {
    const EXPECTED: &'static str = "a set of the declared type";

    fn read(value: wit::Value) -> Option<Self> {
        match value {
            // The host has sorted them.
            wit::Value::Set(members) => {
                members.into_iter().map(T::read_scalar).collect::<Option<_>>().map(Self)
            }
            wit::Value::Scalar(_) | wit::Value::Absent(_) => None,
        }
    }

    fn write(self) -> wit::Value {
        wit::Value::Set(self.0.into_iter().map(T::write_scalar).collect())
    }
}

/// What can be the value of a parameter (or, in tests, of an attribute).
pub trait IntoValue {
    /// The value as the contract has it.
    fn into_value(self) -> wit::Value;
}

impl<T: Typed> IntoValue for T {
    fn into_value(self) -> wit::Value {
        self.write()
    }
}

impl IntoValue for &str {
    fn into_value(self) -> wit::Value {
        self.to_owned().write()
    }
}
