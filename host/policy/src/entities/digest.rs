//! The digest of one entity, of which the digest of a snapshot is the sum.

use assent_model::{Digest, Entity, EntityId};

use crate::error::{LoadErrors, LoadProblem};

/// The digest of an entity: of its name, its parents and its attributes, each preceded by its length.
/// Ancestors follow from the parents of others, so that they are not in it.
///
/// # Errors
/// Where an attribute cannot be written as JSON, which none of ours does.
pub(super) fn of<'a>(
    entity: &Entity,
    parents: impl IntoIterator<Item = &'a EntityId>,
) -> Result<Digest, LoadErrors> {
    let parents: Vec<&EntityId> = parents.into_iter().collect();
    let written = serde_json::to_vec(&entity.attributes)
        .and_then(|attributes| Ok([attributes, serde_json::to_vec(&parents)?]))
        .map_err(|error| LoadErrors(vec![LoadProblem::of_file("entities", error.to_string())]))?;
    let [attributes, parents] = &written;
    Ok(Digest::of_parts([entity.id.kind.as_bytes(), entity.id.id.as_bytes(), attributes, parents]))
}
