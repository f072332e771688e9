//! The rules by name: what each decides and what it asks of the caller.
//!
//! The order in which they are tried, and when each holds, is in `decide`. A rule's code is the
//! code of the findings that it makes.

/// What a rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing stands against it.
    Permit,
    /// The whole is withheld.
    Deny,
    /// The category is withheld: an item as a whole, or that part of a list.
    Mask,
}

macro_rules! flags {
    ($($(#[$doc:meta])* $variant:ident = $code:literal),* $(,)?) => {
        /// What a decision asks of the caller.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Duty { $($(#[$doc])* $variant,)* }

        impl Duty {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in cases and notes.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

flags! {
    /// Record the access.
    Audit = "audit",
    /// A person must look at it.
    HumanReview = "human_review",
    /// Say nothing that tells a denial from an absent record.
    NeutralReason = "neutral_reason",
    /// Point to the request on paper.
    PaperRequestRoute = "paper_request_route",
    /// Leave out what is masked.
    Redact = "redact",
    /// Tell of the right to a review.
    ReviewRightNotice = "review_right_notice",
    /// Ask a licensed professional.
    RouteToClinician = "route_to_clinician",
    /// Keep details out of bills.
    SuppressBillingDetail = "suppress_billing_detail",
}

/// A set of duties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duties(u16);

impl Duties {
    /// Adds one.
    pub fn insert(&mut self, duty: Duty) {
        self.0 |= 1 << duty as u16;
    }

    /// Adds all of these.
    pub fn extend(&mut self, duties: &[Duty]) {
        duties.iter().for_each(|duty| self.insert(*duty));
    }

    /// Whether it is among them.
    pub const fn contains(self, duty: Duty) -> bool {
        self.0 & (1 << duty as u16) != 0
    }

    /// All of them, in the order of [`Duty::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Duty> {
        Duty::ALL.iter().copied().filter(move |duty| self.contains(*duty))
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident $code:literal $outcome:ident [$($duty:ident)*];)*) => {
        /// A line of the decision table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its code in findings.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it decides.
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$name => Outcome::$outcome,)* }
            }

            /// What it asks of the caller.
            pub const fn duties(self) -> &'static [Duty] {
                match self { $(Self::$name => &[$(Duty::$duty),*],)* }
            }
        }
    };
}

rules! {
    /// Age, state or capacity is not known.
    R0 "R0" Deny [HumanReview];
    /// The patient, whose identity is not proofed.
    R1a "R1a" Deny [];
    /// The patient, whom access would endanger.
    R1h "R1h" Deny [HumanReview ReviewRightNotice];
    /// The patient, of full age or treated so.
    R1b "R1b" Permit [];
    /// The patient, too young for an account.
    R1c "R1c" Deny [];
    /// The patient, a minor.
    R1e "R1e" Permit [];

    /// A representative without standing.
    P1 "P1" Deny [];
    /// A court has decided otherwise.
    P1c "P1c" Deny [Audit];
    /// The representative may endanger the patient.
    P2 "P2" Deny [Audit HumanReview NeutralReason];
    /// The patient is of full age: the standing has ended.
    P3 "P3" Deny [];
    /// ... and has authorized all that is asked for.
    P3g "P3g" Permit [];
    /// ... and has not authorized this category.
    P3m "P3m" Mask [Audit NeutralReason Redact];
    /// Not a personal representative, but a parent delegated appointments and immunizations.
    P5d "P5d" Permit [];
    /// Not a personal representative.
    P5 "P5" Deny [];
    /// A message that the teen wrote and has not opened.
    P12 "P12" Deny [NeutralReason];

    /// Part 2, and the minor could consent alone: only the minor may consent to disclosure.
    P6 "P6" Mask [Audit NeutralReason Redact];
    /// Part 2, and the parent had to consent: both must sign.
    P6b "P6b" Mask [Audit NeutralReason Redact];
    /// Part 2, with the minor's written consent.
    P6a "P6a" Permit [Audit];
    /// The parent assented to confidentiality.
    P8c "P8c" Mask [Audit NeutralReason Redact];
    /// A court or another person authorized by law consented.
    P8b "P8b" Mask [Audit NeutralReason Redact];
    /// The parent's consent was the operative one.
    P8p "P8p" Permit [Audit];
    /// No row of law on the category in this state.
    P8x "P8x" Mask [Audit HumanReview NeutralReason Redact];
    /// The minor could not consent alone.
    P8n "P8n" Permit [Audit];
    /// The minor opened it to the parent.
    P8g "P8g" Permit [Audit];
    /// The row of law is unsettled.
    P8r "P8r" Mask [Audit HumanReview NeutralReason Redact];
    /// Disclosure is required, but a professional has stated substantial harm.
    P8h "P8h" Mask [Audit NeutralReason Redact ReviewRightNotice];
    /// Disclosure is required.
    P8q "P8q" Permit [Audit];
    /// Disclosure is prohibited, but an exception of the statute is recorded.
    P8e "P8e" Permit [Audit];
    /// Disclosure is prohibited.
    P8d "P8d" Mask [Audit NeutralReason Redact];
    /// A licensed professional has decided to disclose.
    P8k "P8k" Permit [Audit];
    /// A licensed professional has decided to withhold.
    P8w "P8w" Mask [Audit NeutralReason Redact];
    /// A professional may disclose, and has not decided.
    P8m "P8m" Mask [Audit NeutralReason Redact RouteToClinician];
    /// The law is silent, and no professional has decided.
    P8s "P8s" Mask [Audit NeutralReason Redact RouteToClinician];

    /// A confidential note with a legal basis.
    P9 "P9" Deny [NeutralReason];
    /// A confidential note without one.
    P9r "P9r" Deny [HumanReview];
    /// A professional has stated that this item would do substantial harm.
    P9h "P9h" Deny [Audit ReviewRightNotice];
    /// A confidential note by reason of the minor's consent, of which nothing is left.
    P9x "P9x" Permit [Audit];
    /// The organization would limit, but the state requires disclosure.
    P11q "P11q" Permit [Audit];
    /// Limited, and this part is open.
    P11l "P11l" Permit [];
    /// Limited, and this part is not open.
    P11 "P11" Deny [PaperRequestRoute];
    /// The parent of a child.
    P7 "P7" Permit [];
    /// The parent of a teen, with nothing withheld.
    P11c "P11c" Permit [];
}
