//! Whether an exception applies: which facts show it, and when only a person can tell.
//!
//! INVARIANT (evidence or a person): an exception releases only where facts show it. Where none can
//! and the purpose fits, a person is asked; never the benefit of the doubt.

use assent_law::sensitive::{Evidence, Exception};

use crate::question::Question;
use crate::table::Row;

/// What the exceptions of a row make of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excepted {
    /// Facts show this one.
    Shown(&'static Exception),
    /// This one may apply; a person must tell.
    Asks(&'static Exception),
    /// None.
    No,
}

/// The first exception that facts show; else the first that a person must tell of.
pub fn excepted(row: &Row, question: &Question<'_>) -> Excepted {
    if let Some(shown) = row.exceptions.iter().find(|exception| shown(exception, question)) {
        return Excepted::Shown(shown);
    }
    let asks = |exception: &&&Exception| {
        exception.evidence == Evidence::None
            && !exception.purposes.is_empty()
            && question.purpose_in(exception.purposes)
    };
    row.exceptions.iter().find(asks).map_or(Excepted::No, |exception| Excepted::Asks(exception))
}

fn shown(exception: &Exception, question: &Question<'_>) -> bool {
    let recipient_is = |category| question.recipient.category == Some(category);
    let treats = question.purpose_in(&["TREAT"]);
    match exception.evidence {
        Evidence::Emergency => question.emergency,
        Evidence::Treating => question.emergency || (treats && question.care()),
        Evidence::CareTeam => question.inside && treats && question.care(),
        Evidence::Program => question.table.part2_program && question.ordinary_use && question.care(),
        Evidence::Payer => question.purpose_in(&["HPAYMT"]) && recipient_is("payer"),
        Evidence::PublicHealth => question.purpose_in(&["PUBHLTH"]) && recipient_is("public-health"),
        Evidence::Author => treats && question.facts.author.as_ref() == Some(&question.request.subject),
        Evidence::Organization => question.ordinary_use,
        Evidence::Relationship => question.care(),
        Evidence::None => false,
    }
}
