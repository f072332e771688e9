//! What a path below `/{organization}/state/v1/` names: a collection, a document of it, a step of a workflow.

use assent_model::EntityId;
use axum::http::Uri;

use super::problem::Stop;
use crate::http::refusal::Refusal;

/// A part of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    Entities,
    Consents,
    Approvals,
    Emergencies,
    Disclosures,
    Holds,
    /// What ends soon.
    Lapses,
}

/// What is named.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) collection: Collection,
    pub(super) document: Option<Document>,
    /// A step of a document's workflow.
    pub(super) step: Option<String>,
}

/// A document of a collection.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Document {
    Entity(EntityId),
    /// Of a workflow, by its id.
    Id(String),
}

impl Collection {
    const ALL: [(&'static str, Self); 7] = [
        ("entities", Self::Entities),
        ("consents", Self::Consents),
        ("approvals", Self::Approvals),
        ("emergencies", Self::Emergencies),
        ("disclosure-decisions", Self::Disclosures),
        ("holds", Self::Holds),
        ("lapses", Self::Lapses),
    ];

    /// Its name in paths.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, collection)| *collection == self).map_or("", |(name, _)| name)
    }
}

impl Named {
    /// The methods that are served there, as `Allow` lists them.
    pub(super) const fn methods(&self) -> &'static str {
        match (self.collection, &self.document, &self.step) {
            (Collection::Lapses, _, _) => "GET, HEAD",
            (Collection::Consents, None, _) => "GET, HEAD",
            (_, None, _) => "GET, HEAD, POST",
            (_, _, Some(_)) => "POST",
            (Collection::Entities, _, None) => "GET, HEAD, PUT, PATCH, DELETE",
            (Collection::Consents, _, None) => "GET, HEAD, PUT",
            (_, _, None) => "GET, HEAD",
        }
    }
}

/// What the path names.
pub(super) fn named(uri: &Uri) -> Result<Named, Stop> {
    // `/{organization}/state/v1/{collection}…`
    let mut steps = uri.path().split('/').skip(4);
    let collection = steps.next().unwrap_or_default();
    let collection = Collection::ALL.iter().find(|(name, _)| *name == collection);
    let &(_, collection) = collection.ok_or(Refusal::NotFound)?;
    let rest: Vec<String> = steps.map(decoded).collect::<Option<_>>().ok_or(Refusal::NotFound)?;
    let (document, step) = match (collection, rest.as_slice()) {
        (_, []) => (None, None),
        (Collection::Lapses, _) => return Err(Refusal::NotFound.into()),
        (Collection::Entities, [kind, id]) if is_type(kind) => {
            (Some(Document::Entity(EntityId::new(kind.as_str(), id.as_str()))), None)
        }
        (Collection::Entities, _) => return Err(Refusal::NotFound.into()),
        (_, [id]) => (Some(Document::Id(id.clone())), None),
        (_, [id, step]) => (Some(Document::Id(id.clone())), Some(step.clone())),
        _ => return Err(Refusal::NotFound.into()),
    };
    Ok(Named { collection, document, step })
}

/// Whether this can be the name of an entity type. A slash in it would make another entity's document of what is
/// asked for, and the reading be recorded under a name that nobody has.
pub(super) fn is_type(kind: &str) -> bool {
    !kind.is_empty() && !kind.contains('/')
}

/// A step of a path without its escapes (RFC 3986, section 2.1); `None` where it is empty, has a broken escape, or
/// is not text.
fn decoded(step: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(step.len());
    let mut rest = step.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_collection_a_document_or_a_step() {
        let shown = |path: &str| {
            let named = named(&path.parse().unwrap()).ok()?;
            let document = match named.document {
                None => String::new(),
                Some(Document::Entity(id)) => format!(" {}|{}", id.kind, id.id),
                Some(Document::Id(id)) => format!(" {id}"),
            };
            let step = named.step.map(|step| format!(" {step}")).unwrap_or_default();
            Some(format!("{}{document}{step}", named.collection.name()))
        };
        for (path, expected) in [
            ("/a/state/v1/entities", Some("entities")),
            ("/a/state/v1/entities/Patient/p%2F1%20%C3%A4", Some("entities Patient|p/1 ä")),
            ("/a/state/v1/approvals/x", Some("approvals x")),
            ("/a/state/v1/approvals/x/withdraw", Some("approvals x withdraw")),
            ("/a/state/v1/lapses", Some("lapses")),
            ("/a/state/v1/lapses/x", None),
            ("/a/state/v1/entities/Patient", None),
            ("/a/state/v1/entities/Patient/x/y", None),
            ("/a/state/v1/entities/Patient/", None),
            ("/a/state/v1/entities/Patient%2Fp/1", None),
            ("/a/state/v1/entities/Patient/%2", None),
            ("/a/state/v1/entities/Patient/%zz", None),
            ("/a/state/v1/entities/Patient/%ff", None),
            ("/a/state/v1/approvals/x/y/z", None),
            ("/a/state/v1/other", None),
        ] {
            assert_eq!(shown(path).as_deref(), expected, "{path}");
        }
    }
}
