//! Which data must be kept back: a list of clauses, of which one that is met is enough.
//!
//! What a record shows decides most criteria at once; what is left open (a list's contents, a record
//! that nobody labelled) stays in clauses, which become redactions. INVARIANT (never narrower than
//! meant): where a condition gets too long it becomes "everything", and nothing here ever drops a clause.
//! INVARIANT (order never matters): clauses and criteria are sorted, without repetition, and a clause that
//! another one covers is left out, so that one condition has one form.

use assent_plugin_sdk::prelude::*;

/// Clauses that one condition may have while it comes together: twice what can be redacted in the end. A
/// consent of a dozen exceptions has as many; work grows with the square, and a guest's fuel is limited.
const CLAUSES_MAX: usize = 32;

/// What kind of data a criterion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Security labels.
    Labels,
    /// Categories of care.
    Categories,
    /// Types of resources and classes of documents.
    Classes,
    /// Clinical codes.
    Codes,
    /// Named data.
    Data,
}

/// A criterion that the known facts leave open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Criterion {
    /// One of these values.
    OneOf(Kind, Set<String>),
    /// A sensitivity label that is none of these.
    Besides(Set<String>),
    /// Of this time: from the first moment in it to the first after it.
    Dates(Option<Instant>, Option<Instant>),
}

impl Criterion {
    /// Whether it is about security labels.
    pub const fn is_of_labels(&self) -> bool {
        matches!(self, Self::OneOf(Kind::Labels, _) | Self::Besides(_))
    }
}

/// A criterion, and whether it is met.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Literal {
    /// The criterion.
    pub criterion: Criterion,
    /// Whether it is met.
    pub met: bool,
}

/// Literals that hold together, sorted, without repetition; none: everything.
pub type Clause = Vec<Literal>;

/// Clauses of which one is enough, sorted; none: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition(Vec<Clause>);

impl Condition {
    /// Nothing meets it.
    pub const fn never() -> Self {
        Self(Vec::new())
    }

    /// Everything meets it.
    pub fn always() -> Self {
        Self(vec![Clause::new()])
    }

    /// Whether nothing meets it.
    pub const fn is_never(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether everything meets it.
    pub fn is_always(&self) -> bool {
        self.0.first().is_some_and(Vec::is_empty)
    }

    /// The clauses.
    pub fn clauses(&self) -> &[Clause] {
        &self.0
    }

    /// This or one more clause.
    pub fn or_clause(&mut self, clause: Clause) {
        // Of labels both may be so: one that says too little is left out, whether it is meant or excepted.
        let contradicts = |one: &Literal| {
            let against = |other: &Literal| one.criterion == other.criterion && one.met != other.met;
            !one.criterion.is_of_labels() && clause.iter().any(against)
        };
        if clause.iter().any(contradicts) || self.0.iter().any(|known| covers(known, &clause)) {
            return;
        }
        self.0.retain(|known| !covers(&clause, known));
        insert(&mut self.0, clause);
        if self.0.len() > CLAUSES_MAX {
            *self = Self::always();
        }
    }

    /// This or that.
    pub fn or(&mut self, other: Self) {
        for clause in other.0 {
            self.or_clause(clause);
        }
    }

    /// This and that.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = Self::never();
        other.0.iter().for_each(|clause| both.or(self.and_clause(clause)));
        both
    }

    /// The same in fewer words: where everything that meets `a` is kept back, "`b` and not `a`" is `b`.
    #[must_use]
    pub fn simplified(mut self) -> Self {
        // Each turn takes a literal away, so that it ends.
        loop {
            let alone: Clause = self.0.iter().filter(|clause| clause.len() == 1).flatten().cloned().collect();
            let implied = |literal: &Literal| {
                alone.iter().any(|one| one.criterion == literal.criterion && one.met != literal.met)
            };
            if !self.0.iter().any(|clause| clause.iter().any(implied)) {
                return self;
            }
            let mut fewer = Self::never();
            for clause in self.0 {
                fewer.or_clause(clause.into_iter().filter(|literal| !implied(literal)).collect());
            }
            self = fewer;
        }
    }

    /// This and all of the clause.
    #[must_use]
    pub fn and_clause(&self, clause: &Clause) -> Self {
        let mut both = Self::never();
        for mine in &self.0 {
            let mut joined = mine.clone();
            clause.iter().for_each(|literal| insert(&mut joined, literal.clone()));
            both.or_clause(joined);
        }
        both
    }

    /// This and not all of the clause.
    #[must_use]
    pub fn and_not(&self, clause: &Clause) -> Self {
        let mut both = Self::never();
        for literal in clause {
            let unmet = Literal { met: !literal.met, ..literal.clone() };
            both.or(self.and_clause(&vec![unmet]));
        }
        both
    }
}

/// Whether whatever meets the narrower clause meets the wider one.
fn covers(wider: &Clause, narrower: &Clause) -> bool {
    wider.iter().all(|literal| narrower.binary_search(literal).is_ok())
}

/// Keeps a list sorted and without repetition. One by one: the lists are short, and a sort is much code.
pub fn insert<T: Ord>(list: &mut Vec<T>, value: T) {
    if let Err(position) = list.binary_search(&value) {
        list.insert(position, value);
    }
}
