//! What a rule needs to know, declared once and read by name.
//!
//! INVARIANT (declared is read): one list makes both the needs that the host is asked for and the
//! struct that the rule reads, so that the order of the values can never be wrong. Whether a fact
//! may be absent is part of its type: [`Fact`] must be decided on, [`Option`] is an ordinary case.

use std::vec::IntoIter;

use crate::bindings::exports::assent::plugin::rules as wit;
use crate::records::{Absence, Approval, Consent, DisclosureDecision, ValueSet};
use crate::values::Typed;

/// A fact that the rule cannot do without: there, or absent for a reason.
///
/// `facts.state.get()?` reads it, and denies (ground `fact-missing`, remedy `supply-fact`) where it
/// is absent; `match` it, or [`known`](Self::known), where the rule decides otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// The value.
    Known(T),
    /// There is none.
    Absent(Missing),
}

impl<T> Fact<T> {
    /// The value.
    ///
    /// # Errors
    /// That it is absent; `?` turns this into a denial.
    pub fn get(&self) -> Result<&T, Missing> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Absent(missing) => Err(*missing),
        }
    }

    /// The value, where there is one.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent(_) => None,
        }
    }

    /// Whether the value is known and equal to this one. An absent fact is equal to nothing: do not
    /// use this where the negative is what permits.
    pub fn is<Q: ?Sized>(&self, value: &Q) -> bool
    where
        T: PartialEq<Q>,
    {
        self.known().is_some_and(|known| known == value)
    }
}

impl<T: Copy> Fact<T> {
    /// A copy of the value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn copy(&self) -> Result<T, Missing> {
        self.get().copied()
    }
}

/// A fact that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its path, such as `patient.birthDate`, or `ProxyGrant.verified` in a relation.
    pub path: &'static str,
    /// Why.
    pub why: Absence,
}

/// Whether the subject is in a group, such as `Role::"privacy-officer"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member(pub bool);

impl Member {
    /// Whether the subject is in the group.
    pub const fn is_member(self) -> bool {
        self.0
    }
}

/// What the host handed over is not what was asked for: a failure, never a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(pub String);

/// A struct of facts, made by [`facts!`](crate::facts!).
pub trait Sheet: Sized {
    /// Adds what it needs, in the order of the fields.
    fn declare(needs: &mut wit::Needs);
    /// Takes the values, in the same order.
    ///
    /// # Errors
    /// The host handed over something else than was asked for.
    fn take(supply: &mut Supply) -> Result<Self, Mismatch>;
}

/// A rule that needs to know nothing but the request itself.
impl Sheet for () {
    fn declare(_: &mut wit::Needs) {}

    fn take(_: &mut Supply) -> Result<Self, Mismatch> {
        Ok(())
    }
}

/// The type of a field in a struct of facts.
pub trait Need: Sized {
    /// Adds the need; `name` is the text after `=`, empty where there is none.
    fn declare(name: &'static str, needs: &mut wit::Needs);
    /// Takes its value.
    ///
    /// # Errors
    /// The host handed over something else than was asked for.
    fn take(name: &'static str, supply: &mut Supply) -> Result<Self, Mismatch>;
}

/// The type of a field that is an attribute: [`Fact`] or [`Option`] of a typed value.
pub trait Attribute: Sized {
    /// Reads the value at this path.
    ///
    /// # Errors
    /// The value has another type, or the path can never lead to a value.
    fn read(path: &'static str, value: wit::Value) -> Result<Self, Mismatch>;
}

impl<T: Typed> Attribute for Fact<T> {
    fn read(path: &'static str, value: wit::Value) -> Result<Self, Mismatch> {
        Ok(match typed(path, value)? {
            Ok(value) => Self::Known(value),
            Err(why) => Self::Absent(Missing { path, why }),
        })
    }
}

impl<T: Typed> Attribute for Option<T> {
    fn read(path: &'static str, value: wit::Value) -> Result<Self, Mismatch> {
        Ok(typed(path, value)?.ok())
    }
}

fn typed<T: Typed>(path: &'static str, value: wit::Value) -> Result<Result<T, Absence>, Mismatch> {
    match value {
        // A path that cannot lead to a value is the author's mistake, never an ordinary absence.
        wit::Value::Absent(Absence::NotAValue) => {
            Err(Mismatch(format!("`{path}` is a record: ask for its members")))
        }
        wit::Value::Absent(Absence::NotARecord) => {
            Err(Mismatch(format!("`{path}` leads through a value that has no attributes")))
        }
        wit::Value::Absent(why @ (Absence::NotRecorded | Absence::NoPatient | Absence::UnknownEntity)) => {
            Ok(Err(why))
        }
        value @ (wit::Value::Scalar(_) | wit::Value::Set(_)) => {
            T::read(value).map(Ok).ok_or_else(|| Mismatch(format!("`{path}` is not {}", T::EXPECTED)))
        }
    }
}

macro_rules! attribute_need {
    ($($kind:ident),*) => {$(
        impl<T: Typed> Need for $kind<T> {
            fn declare(path: &'static str, needs: &mut wit::Needs) {
                needs.attributes.push(path.to_owned());
            }

            fn take(path: &'static str, supply: &mut Supply) -> Result<Self, Mismatch> {
                let value = supply.attributes.next().ok_or_else(|| too_few("attributes"))?;
                <Self as Attribute>::read(path, value)
            }
        }
    )*};
}
attribute_need!(Fact, Option);

impl Need for Member {
    fn declare(group: &'static str, needs: &mut wit::Needs) {
        needs.memberships.push(group.to_owned());
    }

    fn take(_: &'static str, supply: &mut Supply) -> Result<Self, Mismatch> {
        supply.memberships.next().map(Self).ok_or_else(|| too_few("memberships"))
    }
}

/// A relation from the subject to the patient, made by [`relation!`](crate::relation!).
pub trait Relation: Sized {
    /// The entity type that holds it, such as `ProxyGrant`.
    const KIND: &'static str;
    /// The attributes to hand over.
    const ATTRIBUTES: &'static [&'static str];
    /// Takes the attributes, in that order.
    ///
    /// # Errors
    /// The host handed over something else than was asked for.
    fn take(id: String, values: IntoIter<wit::Value>) -> Result<Self, Mismatch>;
}

/// The relations of this kind: none, one or several.
impl<R: Relation> Need for Vec<R> {
    fn declare(_: &'static str, needs: &mut wit::Needs) {
        needs.relations.push(wit::RelationNeed {
            kind: R::KIND.to_owned(),
            attributes: R::ATTRIBUTES.iter().map(|&name| name.to_owned()).collect(),
        });
    }

    fn take(_: &'static str, supply: &mut Supply) -> Result<Self, Mismatch> {
        let mine = supply.relations.extract_if(.., |relation| relation.kind == R::KIND);
        mine.map(|relation| {
            if relation.attributes.len() == R::ATTRIBUTES.len() {
                R::take(relation.id, relation.attributes.into_iter())
            } else {
                Err(too_few("attributes of a relation"))
            }
        })
        .collect()
    }
}

/// The approvals of one kind that the subject asked for: `approvals: Vec<Approval> = "export"`.
///
/// The host counts the use of an approval that makes a rule agree. So the rule is asked without any first, then with
/// those that can be used, and, once it has said no to all of them, with every one: then it can say what is amiss with
/// one that is expired, spent or pending, and permits nothing whatever it finds.
impl Need for Vec<Approval> {
    fn declare(kind: &'static str, needs: &mut wit::Needs) {
        needs.approvals.push(kind.to_owned());
    }

    fn take(kind: &'static str, supply: &mut Supply) -> Result<Self, Mismatch> {
        Ok(supply.approvals.extract_if(.., |approval| approval.kind == kind).map(Approval::from).collect())
    }
}

/// The patient's consents.
impl Need for Vec<Consent> {
    fn declare(_: &'static str, needs: &mut wit::Needs) {
        needs.consents = true;
    }

    fn take(_: &'static str, supply: &mut Supply) -> Result<Self, Mismatch> {
        Ok(std::mem::take(&mut supply.consents).into_iter().map(Consent::from).collect())
    }
}

/// The professional disclosure decisions about the patient.
impl Need for Vec<DisclosureDecision> {
    fn declare(_: &'static str, needs: &mut wit::Needs) {
        needs.disclosure_decisions = true;
    }

    fn take(_: &'static str, supply: &mut Supply) -> Result<Self, Mismatch> {
        let decisions = std::mem::take(&mut supply.disclosure_decisions);
        Ok(decisions.into_iter().map(DisclosureDecision::from).collect())
    }
}

/// A value set by name: `sensitive: ValueSet = "sensitive-codes"`.
impl Need for ValueSet {
    fn declare(name: &'static str, needs: &mut wit::Needs) {
        needs.value_sets.push(name.to_owned());
    }

    fn take(name: &'static str, supply: &mut Supply) -> Result<Self, Mismatch> {
        let value_set = supply.value_sets.next().ok_or_else(|| too_few("value sets"))?;
        if value_set.name == name {
            Ok(value_set)
        } else {
            Err(Mismatch(format!("expected the value set `{name}`")))
        }
    }
}

/// What the host handed over, taken from the front field by field.
#[derive(Debug)]
pub struct Supply {
    attributes: IntoIter<wit::Value>,
    memberships: IntoIter<bool>,
    value_sets: IntoIter<wit::ValueSet>,
    relations: Vec<wit::Relation>,
    approvals: Vec<wit::Approval>,
    consents: Vec<wit::Consent>,
    disclosure_decisions: Vec<wit::DisclosureDecision>,
}

impl Supply {
    /// The facts in a request, which are left empty behind.
    pub(crate) fn of(request: &mut wit::Request) -> Self {
        use std::mem::take;
        Self {
            attributes: take(&mut request.attributes).into_iter(),
            memberships: take(&mut request.memberships).into_iter(),
            value_sets: take(&mut request.value_sets).into_iter(),
            relations: take(&mut request.relations),
            approvals: take(&mut request.approvals),
            consents: take(&mut request.consents),
            disclosure_decisions: take(&mut request.disclosure_decisions),
        }
    }

    /// Checks that nothing is left: more than was asked for means that needs and values differ.
    pub(crate) fn finish(self) -> Result<(), Mismatch> {
        let left = self.attributes.len()
            + self.memberships.len()
            + self.value_sets.len()
            + self.relations.len()
            + self.approvals.len()
            + self.consents.len()
            + self.disclosure_decisions.len();
        // Empty by now, so there is nothing to take apart.
        std::mem::forget(self);
        if left == 0 { Ok(()) } else { Err(Mismatch(format!("the host handed over {left} facts too many"))) }
    }
}

fn too_few(what: &str) -> Mismatch {
    Mismatch(format!("the host handed over too few {what}"))
}

/// A struct of the facts that a rule needs: each field names its type and what fills it.
///
/// | type | filled by |
/// |---|---|
/// | `Fact<T> = "path"` | the attribute at the path; absent is something the rule must decide on |
/// | `Option<T> = "path"` | the same where absence is an ordinary case |
/// | `Member = "Role::\"nurse\""` | whether the subject is in the group |
/// | `Vec<R>` with `R` made by [`relation!`](crate::relation!) | relations from subject to patient |
/// | `Vec<Approval> = "export"` | approvals of this kind that the subject asked for |
/// | `Vec<Consent>` | the patient's consents |
/// | `Vec<DisclosureDecision>` | professional decisions about the patient |
/// | `ValueSet = "name"` | a set of codes that the organization maintains |
///
/// `T` is `String`, `bool`, `i64`, `Date`, `Instant`, `Duration`, `Decimal`, `Ip`, `EntityId`, or a
/// `Set` of one of these.
#[macro_export]
macro_rules! facts {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field:ident : $type:ty $(= $from:literal)?),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $($(#[$field_meta])*
            #[doc = concat!("", $("\n\nFrom `", $from, "`.")?)]
            pub $field: $type,)*
        }

        impl $crate::facts::Sheet for $name {
            fn declare(needs: &mut $crate::facts::Needs) {
                $(<$type as $crate::facts::Need>::declare(concat!("", $($from)?), needs);)*
            }

            fn take(supply: &mut $crate::facts::Supply) -> Result<Self, $crate::facts::Mismatch> {
                // Fields are taken in the order in which they are written, as they were declared.
                Ok(Self {
                    $($field: <$type as $crate::facts::Need>::take(concat!("", $($from)?), supply)?,)*
                })
            }
        }
    };
}

/// A relation between subject and patient with the attributes that a rule wants to see.
///
/// ```
/// use assent_plugin_sdk::prelude::*;
///
/// relation! {
///     /// Standing to act for a patient.
///     pub struct Proxy: "ProxyGrant" {
///         relationship: Fact<String> = "relationship",
///         revoked: Option<bool> = "revoked",
///     }
/// }
/// ```
#[macro_export]
macro_rules! relation {
    ($(#[$meta:meta])* $vis:vis struct $name:ident : $kind:literal {
        $($(#[$field_meta:meta])* $field:ident : $type:ty = $from:literal),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            /// The relation's own id.
            pub id: String,
            $($(#[$field_meta])*
            #[doc = concat!("\n\nFrom `", $kind, ".", $from, "`.")]
            pub $field: $type,)*
        }

        impl $crate::facts::Relation for $name {
            const KIND: &'static str = $kind;
            const ATTRIBUTES: &'static [&'static str] = &[$($from),*];

            #[allow(unused_mut, unused_variables, reason = "a relation without attributes")]
            fn take(
                id: String,
                mut values: ::std::vec::IntoIter<$crate::facts::RawValue>,
            ) -> Result<Self, $crate::facts::Mismatch> {
                Ok(Self {
                    id,
                    $($field: $crate::facts::next_attribute(concat!($kind, ".", $from), &mut values)?,)*
                })
            }
        }
    };
}

#[doc(hidden)]
pub use wit::{Needs, Value as RawValue};

#[doc(hidden)]
pub fn next_attribute<A: Attribute>(
    path: &'static str,
    values: &mut IntoIter<wit::Value>,
) -> Result<A, Mismatch> {
    A::read(path, values.next().ok_or_else(|| too_few("attributes of a relation"))?)
}
