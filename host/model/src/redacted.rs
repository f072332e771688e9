//! INVARIANT (no patient in logs): a value that can identify a patient is wrapped in [`Redacted`]
//! wherever it could reach a log line, a metric or an error text.

use std::fmt;

/// A value whose `Debug` and `Display` print only what kind of thing it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Call this only on the way to the decision, the audit record or the
    /// answer, never on the way to a log.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redacted_values_print_nothing_of_themselves() {
        let value = Redacted::new("pat-7");
        assert!(!format!("{value:?} {value}").contains("pat-7"));
        assert_eq!(*value.reveal(), "pat-7");
    }
}
