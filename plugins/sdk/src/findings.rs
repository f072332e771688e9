//! What a rule finds: obligations, denials with ground and remedy, calls for review, notes.
//!
//! INVARIANT (nothing to forget): whatever is added is added at once; code, ground and sentence
//! are arguments, and only what is optional is chained.

pub use crate::bindings::exports::assent::plugin::rules::{
    ApprovalRemedy, ClinicianRemedy, ConsentRemedy, Denial, Findings, Ground, Obligation, ObligationCode,
    Parameter, Remedy, Review,
};
use crate::facts::{Mismatch, Missing};
use crate::time::Instant;
use crate::values::IntoValue;

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for Findings {
    fn default() -> Self {
        Self { obligations: vec![], advice: vec![], denials: vec![], reviews: vec![], notes: vec![] }
    }
}

impl Findings {
    /// Denies: `code` names the rule (at most 64 of `a-z A-Z 0-9 . _ -`), `message` is a sentence
    /// that may be shown to the person asking.
    pub fn deny(
        &mut self,
        code: impl Into<String>,
        ground: Ground,
        message: impl Into<String>,
    ) -> &mut Denial {
        self.denials.push(Denial::new(code, ground, message));
        last(&mut self.denials)
    }

    /// Adds a denial made elsewhere.
    pub fn push(&mut self, denial: Denial) -> &mut Denial {
        self.denials.push(denial);
        last(&mut self.denials)
    }

    /// Denies until a person of this queue has answered the question.
    pub fn review(
        &mut self,
        code: impl Into<String>,
        ground: Ground,
        question: impl Into<String>,
        queue: impl Into<String>,
    ) -> &mut Review {
        self.reviews.push(Review {
            code: code.into(),
            question: question.into(),
            ground,
            citation: None,
            queue: queue.into(),
        });
        last(&mut self.reviews)
    }

    /// Obliges the caller to do this with a permit.
    pub fn oblige(&mut self, code: ObligationCode) -> &mut Obligation {
        self.obligations.push(Obligation { code, parameters: vec![] });
        last(&mut self.obligations)
    }

    /// Advises the caller, who may ignore it.
    pub fn advise(&mut self, code: ObligationCode) -> &mut Obligation {
        self.advice.push(Obligation { code, parameters: vec![] });
        last(&mut self.advice)
    }

    /// A note for the rule's author, shown in the full explanation only.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Whether nothing here stands against a permit.
    pub fn allows(&self) -> bool {
        self.denials.is_empty() && self.reviews.is_empty()
    }

    /// The codes of all denials, then of all reviews.
    pub fn codes(&self) -> Vec<&str> {
        let denials = self.denials.iter().map(|denial| denial.code.as_str());
        denials.chain(self.reviews.iter().map(|review| review.code.as_str())).collect()
    }

    /// The denial with this code.
    pub fn denial(&self, code: &str) -> Option<&Denial> {
        self.denials.iter().find(|denial| denial.code == code)
    }
}

#[expect(clippy::expect_used, reason = "something has just been pushed")]
fn last<T>(items: &mut [T]) -> &mut T {
    items.last_mut().expect("not empty")
}

impl Denial {
    /// A denial, to be returned with `?` or added with [`Findings::push`].
    pub fn new(code: impl Into<String>, ground: Ground, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            ground,
            citation: None,
            remedies: vec![],
            neutral: false,
        }
    }

    /// Where the rule is written, such as `45 CFR 164.502(b)`.
    pub fn cite(&mut self, citation: impl Into<String>) -> &mut Self {
        self.citation = Some(citation.into());
        self
    }

    /// One more thing that would turn the denial into a permit.
    pub fn remedy(&mut self, remedy: Remedy) -> &mut Self {
        self.remedies.push(remedy);
        self
    }

    /// Makes the denial look like an absent record to the person asking.
    pub fn neutral(&mut self) -> &mut Self {
        self.neutral = true;
        self
    }
}

impl Review {
    /// Where the rule is written.
    pub fn cite(&mut self, citation: impl Into<String>) -> &mut Self {
        self.citation = Some(citation.into());
        self
    }
}

impl Obligation {
    /// One more parameter.
    pub fn with(&mut self, name: impl Into<String>, value: impl IntoValue) -> &mut Self {
        self.parameters.push(Parameter { name: name.into(), value: value.into_value() });
        self
    }
}

impl Remedy {
    /// Waiting until then.
    pub const fn wait_until(instant: Instant) -> Self {
        Self::WaitUntil(instant.0)
    }
}

/// What ends an evaluation at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A denial: the rule's only finding.
    Deny(Box<Denial>),
    /// The rule cannot say; the host denies and reports a failure to the operator.
    Fail(String),
}

/// The code of the denial that an absent fact makes.
pub const FACT_MISSING: &str = "fact-missing";

impl Missing {
    /// The denial that this absence makes: ground `fact-missing`, remedy `supply-fact`.
    pub fn denial(self) -> Denial {
        let mut denial =
            Denial::new(FACT_MISSING, Ground::FactMissing, "something that must be known is not on record");
        denial.remedy(Remedy::SupplyFact(self.path.to_owned()));
        denial
    }

    /// The same, looking like an absent record to the person asking:
    /// `facts.state.get().map_err(Missing::neutral)?`.
    pub fn neutral(self) -> Stop {
        let mut denial = self.denial();
        denial.neutral();
        denial.into()
    }
}

impl From<Missing> for Stop {
    fn from(missing: Missing) -> Self {
        missing.denial().into()
    }
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Self {
        Self::Deny(Box::new(denial))
    }
}

impl From<Mismatch> for Stop {
    fn from(mismatch: Mismatch) -> Self {
        Self::Fail(mismatch.0)
    }
}
