//! Yes, no, or it cannot be told: what a criterion of a consent says of a request.
//!
//! INVARIANT (doubt never opens): whoever reads an answer says which way doubt counts. For a denial it
//! counts as a match where that denies, and as none where that would permit.

/// What a criterion says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// It does not match.
    No,
    /// It cannot be told from what is known.
    Unknown,
    /// It matches.
    Yes,
}

impl Answer {
    /// Yes if it is so, else no.
    pub const fn of(so: bool) -> Self {
        if so { Self::Yes } else { Self::No }
    }

    /// Both.
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// One of a list; an empty list limits nothing.
    pub fn one_of<T>(list: &[T], answer: impl Fn(&T) -> Self) -> Self {
        if list.is_empty() { Self::Yes } else { list.iter().map(answer).max().unwrap_or(Self::No) }
    }
}

/// Which way doubt counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Against the person asking: what decides.
    Against,
    /// For them: to find out whether doubt alone is what denies.
    For,
}
