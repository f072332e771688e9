//! Who may consent alone as a minor, and what the parent may see: one row for each state and
//! category of care.
//!
//! The rows are `data/minor_consent/*.toml`, checked and compiled by the build script; here are
//! their types and the look-up. INVARIANT (no unsourced row decides): [`Row::unsettled`] names
//! every reason why a row must not be relied upon alone.

include!(concat!(env!("OUT_DIR"), "/minor_consent.rs"));

/// The row of a state (USPS code) and category of care (its code in the table, such as `sti_hiv`).
pub fn find(state: &str, category: &str) -> Option<&'static Row<'static>> {
    TABLE
        .rows
        .binary_search_by(|row| (row.state, row.category.code()).cmp(&(state, category)))
        .ok()
        .and_then(|at| TABLE.rows.get(at))
}

/// The age of full age in a state, and what it rests on. None: not one of the 51 jurisdictions.
pub fn majority(state: &str) -> Option<&'static Majority> {
    TABLE.majorities.binary_search_by(|m| m.state.cmp(state)).ok().and_then(|at| TABLE.majorities.get(at))
}

/// The whole table, as compiled.
#[derive(Debug)]
pub struct Table {
    /// Its version, raised by hand with every change.
    pub version: &'static str,
    /// SHA-256, in hexadecimal, of the files it was compiled from.
    pub digest: &'static str,
    /// The rows, by state and category code.
    pub rows: &'static [Row<'static>],
    /// The ages of majority, by state.
    pub majorities: &'static [Majority],
}

/// When a person is of full age in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Majority {
    /// USPS code.
    pub state: &'static str,
    /// Completed years.
    pub age: u8,
    /// Where it is written; empty: 18, the common rule.
    pub citation: &'static str,
    /// Categories of care for which full age comes earlier.
    pub earlier: &'static [(Category, u8)],
}

/// One row: the law of a state on one category of care, as far as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Such as `CA/sti_hiv`.
    pub id: &'a str,
    /// USPS code; `US`: federal.
    pub state: &'a str,
    /// The category of care.
    pub category: Category,
    /// Whether a minor may consent alone.
    pub may_consent: MayConsent,
    /// The age, in completed years, from which; none: no age is stated.
    pub min_age: Option<u8>,
    /// What the parent may see of care that the minor consented to alone and did not open.
    pub disclosure: Disclosure,
    /// Limits on what the minor may consent to.
    pub limits: Limits,
    /// The statute keeps bills and statements from the parent, too.
    pub billing_protected: bool,
    /// Where the rule is written.
    pub citation: &'a str,
    /// Since when the rule holds, if known.
    pub effective_from: Option<Day>,
    /// When the source was read: `2026`, `2026-02` or `2026-02-28`; empty: not on record.
    pub source_snapshot: &'a str,
    /// What the row rests on.
    pub basis: Basis,
    /// How sure the compilers are of the row as a whole.
    pub confidence: Confidence,
    /// The law conflicts or is moving.
    pub review_required: bool,
    /// Who answers for the row.
    pub owner: &'a str,
}

/// Limits that a state sets to a minor's own consent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most sessions.
    pub sessions_max: Option<u16>,
    /// The longest course of treatment, in days.
    pub days_max: Option<u16>,
    /// The age from which the consent covers medication, in completed years.
    pub medication_from_age: Option<u8>,
    /// A negative test result may not be disclosed.
    pub negative_result_withheld: bool,
    /// The row is about positive test results only.
    pub only_positive_result: bool,
}

/// A calendar day, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// 0 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// Why a row must not decide alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// Neither an effective date nor a dated source.
    NoSource,
    /// The law conflicts or is moving.
    UnderReview,
    /// Whether a minor may consent is unclear.
    Unclear,
    /// The row is of low confidence.
    LowConfidence,
}

impl Row<'_> {
    /// The first reason why the row must not decide alone; none: it is settled.
    pub const fn unsettled(&self) -> Option<Unsettled> {
        if self.effective_from.is_none() && self.source_snapshot.is_empty() {
            Some(Unsettled::NoSource)
        } else if self.review_required {
            Some(Unsettled::UnderReview)
        } else if matches!(self.may_consent, MayConsent::Unclear) {
            Some(Unsettled::Unclear)
        } else if matches!(self.confidence, Confidence::Low) {
            Some(Unsettled::LowConfidence)
        } else {
            None
        }
    }
}

impl Unsettled {
    /// What to tell a reviewer.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NoSource => "neither an effective date nor a dated source",
            Self::UnderReview => "the law conflicts or is moving",
            Self::Unclear => "whether a minor may consent is unclear",
            Self::LowConfidence => "low confidence",
        }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its code in the data.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Reads a code; none: there is no such code.
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// A category of care that the table knows.
    Category {
        /// Care without a category of its own.
        GeneralMedical = "general_medical",
        /// Outpatient mental health care.
        OutpatientMentalHealth = "outpatient_mental_health",
        /// Treatment of substance use.
        SubstanceUse = "substance_use",
        /// Sexually transmitted infections, HIV among them.
        StiHiv = "sti_hiv",
        /// Contraception.
        Contraception = "contraception",
        /// Care in pregnancy.
        Prenatal = "prenatal",
        /// HIV, where a state treats it apart.
        Hiv = "hiv",
        /// A positive HIV test, where a state treats it apart.
        HivPositiveResult = "hiv_positive_result",
        /// Injury by an intimate partner.
        IntimatePartnerViolence = "intimate_partner_violence",
        /// Treatment in a program under 42 CFR Part 2 (the federal row).
        Part2SudProgram = "part2_sud_program",
    }
}

words! {
    /// Whether a minor may consent alone.
    MayConsent {
        /// Yes, from the row's age.
        Yes = "yes",
        /// If the row's conditions are met.
        Conditional = "conditional",
        /// No.
        No = "no",
        /// The sources do not say, or contradict each other.
        Unclear = "unclear",
    }
}

words! {
    /// What the parent may see by state law.
    Disclosure {
        /// Nothing without the minor's consent.
        Prohibited = "prohibited",
        /// What a professional decides to disclose.
        Permitted = "permitted",
        /// All.
        Required = "required",
        /// The law is silent: a licensed professional decides (45 CFR 164.502(g)(3)(ii)(C)).
        Silent = "silent",
    }
}

words! {
    /// What a row rests on.
    Basis {
        /// The text of the law was read.
        Primary = "primary",
        /// A law firm, agency, compendium or the press.
        Secondary = "secondary",
        /// Not read again.
        Memory = "memory",
        /// Nothing was found, which is weak evidence.
        NotFound = "not_found",
    }
}

words! {
    /// How sure the compilers are.
    Confidence {
        /// Sure.
        High = "high",
        /// Fairly sure.
        Medium = "medium",
        /// Unsure.
        Low = "low",
    }
}
