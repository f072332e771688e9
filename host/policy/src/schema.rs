//! The schema: Cedar's own (for validation) and ours (for reading values), made from the same files.
//!
//! Types come from Cedar's resolved schema, annotations from the parsed files beside it. Where an
//! annotation cannot be found the attribute counts as stored, never as something a caller may send.

mod annotations;
mod build;
pub(crate) mod formats;
mod limits;
pub(crate) mod types;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use assent_model::{Digest, EntityKind};
use cedar_policy_core::validator::RawName;
use cedar_policy_core::validator::ValidatorSchema;
use cedar_policy_core::validator::json_schema::Fragment;

use crate::entities::Shapes;
use crate::error::LoadProblem;
use crate::locate;
use crate::source::{SourceFile, check_schema_limits};
use types::{Action, EntityType};

/// Everything read from the schema files.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Of the texts of the files, whatever their order and names.
    pub(crate) digest: Digest,
    pub(crate) cedar: cedar_policy::Schema,
    pub(crate) types: BTreeMap<Arc<str>, Arc<EntityType>>,
    /// Actions by Cedar id; of two namespaces' actions with the same id, by full name only.
    pub(crate) actions: HashMap<String, Arc<Action>>,
    /// The entities of all actions, to which those of a request are added.
    pub(crate) action_set: cedar_policy_core::entities::Entities,
    /// Sets of attribute names that entities share.
    pub(crate) shapes: Shapes,
}

impl Schema {
    /// The entities of all actions, each once.
    pub(crate) fn action_entities(&self) -> impl Iterator<Item = &Arc<cedar_policy_core::ast::Entity>> {
        // The table also holds each action under its id alone, where that is unique.
        let by_full_name = self.actions.iter().filter(|(name, _)| name.contains("::\""));
        by_full_name.map(|(_, action)| &action.entity)
    }

    /// Cedar's resolved schema.
    pub(crate) fn validator(&self) -> &ValidatorSchema {
        self.cedar.as_ref()
    }

    /// What the host knows of entity types.
    pub(crate) fn kinds(&self) -> BTreeMap<String, EntityKind> {
        self.types
            .values()
            .filter_map(|entity_type| Some((entity_type.name.to_string(), entity_type.kind.clone()?)))
            .collect()
    }
}

fn digest(parsed: &[ParsedFile<'_>]) -> Digest {
    let mut digests: Vec<_> = parsed.iter().map(|parsed| Digest::of(parsed.file.text.as_bytes())).collect();
    digests.sort();
    Digest::of_parts(digests.iter().map(|digest| digest.as_bytes().as_slice()))
}

/// A schema file as parsed: names are not resolved yet.
struct ParsedFile<'a> {
    file: &'a SourceFile,
    fragment: Fragment<RawName>,
}

/// Reads the schema files, which together make one schema. Must run on a big stack.
///
/// # Errors
/// Every problem that can be found; unresolved names hide problems that depend on them.
pub(crate) fn load(files: &[SourceFile]) -> Result<Schema, Vec<LoadProblem>> {
    let mut problems = Vec::new();
    let mut parsed = Vec::new();
    let extensions = cedar_policy_core::extensions::Extensions::all_available();
    for file in files {
        if let Err(problem) = check_schema_limits(file) {
            problems.push(problem);
            continue;
        }
        match Fragment::from_cedarschema_str(&file.text, extensions) {
            Ok((fragment, _warnings)) => parsed.push(ParsedFile { file, fragment }),
            Err(error) => problems.extend(locate::problems(&error, file, 0)),
        }
    }
    for file in &parsed {
        annotations::check(file, &mut problems);
    }
    limits::check(&parsed, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    #[expect(clippy::result_large_err, reason = "Cedar's own error, reported at once and never passed on")]
    let fragment = |file: &ParsedFile<'_>| cedar_policy::SchemaFragment::try_from(file.fragment.clone());
    let fragments: Result<Vec<_>, _> = parsed.iter().map(fragment).collect();
    let cedar = match fragments.and_then(cedar_policy::Schema::from_schema_fragments) {
        Ok(cedar) => cedar,
        Err(error) => return Err(locate::schema_problems(&error, files)),
    };
    let schema = build::build(cedar, &parsed)?;
    if schema.types.is_empty() {
        // Every name in policies and entities would be reported as unknown.
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        let problem = LoadProblem::of_file(&names.join(", "), "the schema declares no entity type");
        return Err(vec![
            problem.with_help("begin with `policies/base/health.cedarschema`, or declare your own"),
        ]);
    }
    Ok(schema)
}
