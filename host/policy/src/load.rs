//! From files to [`Policies`]: everything an author can get wrong is found here, all at once, with
//! file, line, column and advice, so that nothing is left to surprise a request.

mod names;
mod notes;
mod policies;
mod shape;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assent_model::{Digest, PolicyNote};

use crate::big_stack;
use crate::error::{LoadErrors, LoadProblem};
use crate::index::Index;
use crate::policies::{Policies, Policy};
use crate::schema;
use crate::source::SourceFile;

pub use names::Names;
pub(crate) use names::ResolvedNames;
pub(crate) use shape::Shape;

/// A loaded policy, for those who list, explain or document policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyInfo {
    /// What its author wrote about it.
    pub note: Arc<PolicyNote>,
    /// The file it stands in.
    pub file: String,
    /// The line it begins on, counted from 1.
    pub line: usize,
    /// The policy itself, in Cedar.
    pub text: String,
    /// Paths of the attributes that its condition reads, such as `context.proxy.verified`.
    pub reads: BTreeSet<String>,
}

/// Loads schema files (which together make one schema), policy files and the organization's names.
///
/// # Errors
/// Every problem found: limits, syntax, annotations, ids, types, names that do not exist. Problems
/// of the schema hide those of the policies, which cannot be checked without it. A problem of the
/// names has `names.TABLE.NAME` in place of a file, such as `names.subjects.patient`.
pub fn load(schema: &[SourceFile], policies: &[SourceFile], names: Names) -> Result<Policies, LoadErrors> {
    let crashed = || {
        LoadErrors(vec![LoadProblem::of_file(
            "policies",
            "the checker itself failed; the files were not accepted",
        )])
    };
    big_stack::run(|| load_here(schema, policies, &names)).unwrap_or_else(|| Err(crashed()))
}

fn load_here(schema: &[SourceFile], files: &[SourceFile], names: &Names) -> Result<Policies, LoadErrors> {
    let mut problems = Vec::new();
    let schema_files = schema;
    let schema = match schema::load(schema_files) {
        Ok(schema) => schema,
        Err(mut found) => {
            // Policies cannot be validated without a schema, but their syntax can be.
            let parsed = policies::parse(files, &mut found);
            policies::check_ids(&parsed, &mut found);
            LoadErrors::check(found)?;
            // A failed schema has problems; were it to have none, it is refused all the same.
            return Err(LoadErrors(vec![LoadProblem::of_file("schema", "the schema could not be read")]));
        }
    };
    let parsed = policies::parse(files, &mut problems);
    policies::check_ids(&parsed, &mut problems);
    validate::validate(&schema, &parsed, &mut problems);
    let names = names::resolve(names, &schema, &mut problems);
    LoadErrors::check(problems)?;

    let digest = digest(schema_files, files, &names);
    let policies: Vec<Policy> = parsed
        .into_iter()
        .map(|parsed| {
            let info = PolicyInfo {
                line: parsed.line,
                file: parsed.file.name.clone(),
                text: parsed.text().to_owned(),
                note: Arc::new(parsed.note),
                reads: parsed.shape.reads.clone(),
            };
            Policy::new(parsed.policy, info, &parsed.shape)
        })
        .collect();
    let index = Index::new(&policies, &schema);
    Ok(Policies::new(schema, names, policies, index, digest))
}

/// The digest of the contents, whatever the order or the names of the files.
fn digest(schema: &[SourceFile], policies: &[SourceFile], names: &ResolvedNames) -> Digest {
    let sorted = |files: &[SourceFile]| {
        let mut digests: Vec<_> = files.iter().map(|file| Digest::of(file.text.as_bytes())).collect();
        digests.sort();
        digests
    };
    let mut parts: Vec<Vec<u8>> = vec![b"assent-policies-1".to_vec()];
    for digests in [sorted(schema), sorted(policies)] {
        parts.push(digests.len().to_be_bytes().to_vec());
        parts.extend(digests.iter().map(|digest| digest.as_bytes().to_vec()));
    }
    let mut table = |entries: BTreeMap<&str, String>| {
        parts.push(entries.len().to_be_bytes().to_vec());
        for (from, to) in entries {
            parts.push(from.as_bytes().to_vec());
            parts.push(to.into_bytes());
        }
    };
    table(names.subjects.iter().map(|(from, to)| (from.as_str(), to.name.to_string())).collect());
    table(names.resources.iter().map(|(from, to)| (from.as_str(), to.name.to_string())).collect());
    table(names.actions.iter().map(|(from, to)| (from.as_str(), to.uid.to_string())).collect());
    Digest::of_parts(parts.iter().map(Vec::as_slice))
}

#[cfg(test)]
mod tests;
