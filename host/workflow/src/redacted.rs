//! `Debug` for what tells of patients or persons, or is in their words: the type's name and nothing else.
//!
//! INVARIANT (no patient in logs): whatever is printed by `{:?}` may end in a log, a panic or a test's output.

/// Prints these types by name alone.
macro_rules! debug_by_name {
    ($($type:ident $(<$life:lifetime>)?),* $(,)?) => {$(
        impl std::fmt::Debug for $type $(<$life>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(<redacted>)"))
            }
        }
    )*};
}

pub(crate) use debug_by_name;
