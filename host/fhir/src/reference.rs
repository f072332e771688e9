//! Whom a FHIR reference means, as an entity.
//!
//! `Type/id` is the entity of that type and id; an absolute URL is the same where the server is the
//! organization's own, and an identifier where the settings know it. INVARIANT (no dangling references):
//! an entity counts only if it is stored, since a snapshot of entities refuses any other.

use assent_model::EntityId;

use crate::outcome::Why;
use crate::reader::{At, Reader};
use crate::shapes::{IDENTIFIER, REFERENCE};

/// FHIR: ids of resources have 1 to 64 letters, digits, `-` and `.`.
const ID_MAX_CHARS: usize = 64;

/// Whether this can be the id of a resource.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=ID_MAX_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

impl Reader<'_> {
    /// The entity that a reference means, of one of these types. What is malformed beside is reported.
    ///
    /// # Errors
    /// Where and why it cannot be told.
    pub(crate) fn reference(&mut self, at: &At<'_>, kinds: &[&str]) -> Result<EntityId, (String, Why)> {
        let Some(element) = self.element(at, &REFERENCE) else {
            return Err((at.path.clone(), Why::Malformed));
        };
        let literal = self.text(&element, "reference");
        let of_type = self.text(&element, "type");
        let found = match (literal, element.member("identifier")) {
            (Some(literal), beside) => {
                if let Some(beside) = beside {
                    self.described(beside);
                }
                self.literal(literal).map_err(|why| (element.path_of("reference"), why))
            }
            (None, Some(identifier)) => {
                let known = self.identified(&identifier);
                known.ok_or((identifier.path, Why::ReferenceIdentifier))
            }
            (None, None) if element.has("display") => Err((at.path.clone(), Why::ReferenceDisplay)),
            (None, None) => Err((at.path.clone(), Why::ReferenceForm)),
        };
        found.and_then(|entity| match of_type {
            Some(of_type) if of_type != entity.kind => Err((element.path_of("type"), Why::ReferenceType)),
            _ if !kinds.contains(&entity.kind.as_str()) => Err((at.path.clone(), Why::ReferenceKind)),
            _ if !(self.records.is_stored)(&entity) => Err((at.path.clone(), Why::ReferenceUnknown)),
            _ => Ok(entity),
        })
    }

    fn literal(&self, text: &str) -> Result<EntityId, Why> {
        if text.starts_with('#') {
            return Err(Why::ReferenceContained);
        }
        let own = self
            .settings
            .servers
            .iter()
            .find_map(|server| text.strip_prefix(server.trim_end_matches('/'))?.strip_prefix('/'));
        let relative = own.unwrap_or(text);
        if relative.contains(':') {
            return Err(Why::ReferenceAbsolute);
        }
        let parts: Vec<&str> = relative.split('/').collect();
        match *parts.as_slice() {
            [kind, id] if is_kind(kind) && is_id(id) => Ok(EntityId::new(kind, id)),
            [_, _, "_history", _] => Err(Why::ReferenceVersion),
            _ => Err(Why::ReferenceForm),
        }
    }

    fn identified(&mut self, at: &At<'_>) -> Option<EntityId> {
        let identifier = self.element(at, &IDENTIFIER)?;
        let (system, value) = (self.text(&identifier, "system")?, self.text(&identifier, "value")?);
        self.settings.identifiers.get(&format!("{system}|{value}")).cloned()
    }
}

fn is_kind(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}
