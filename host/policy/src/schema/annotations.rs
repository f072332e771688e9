//! Which annotations a schema may carry, and where. A misspelt annotation would silently change who
//! may supply a fact, so anything unknown is a problem.

use cedar_policy_core::ast::{Annotation, AnyId};
use cedar_policy_core::est::Annotations;
use cedar_policy_core::validator::RawName;
use cedar_policy_core::validator::json_schema::{EntityTypeKind, RecordType, Type, TypeVariant};

use super::ParsedFile;
use super::formats::FORMATS;
use crate::error::LoadProblem;
use crate::source::{SourceFile, known_names};

/// Where an annotation stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    EntityType,
    EntityAttribute,
    /// An attribute of a record in an entity. What is said of it as a whole is said of the attribute that has it.
    PartOfEntity,
    ContextAttribute,
    /// A common type's attributes may end up in an entity or in a context.
    SharedAttribute,
    Elsewhere,
}

const KINDS: &[&str] = &["patient", "relation", "approval", "consent", "disclosure-decision", "value-set"];

/// The annotations that are known in a place, with the values they may have; empty: any.
fn known(place: Place) -> &'static [(&'static str, &'static [&'static str])] {
    match place {
        Place::EntityType => {
            &[("kind", KINDS), ("from", &[]), ("to", &[]), ("supplied", &["caller"]), ("doc", &[])]
        }
        Place::EntityAttribute => {
            &[("supplied", &["caller"]), ("format", FORMATS), ("lapses", &[]), ("fresh", &[]), ("doc", &[])]
        }
        Place::PartOfEntity => &[("supplied", &["caller"]), ("format", FORMATS), ("doc", &[])],
        Place::ContextAttribute | Place::SharedAttribute => {
            &[("supplied", &["caller", "host"]), ("format", FORMATS), ("doc", &[])]
        }
        Place::Elsewhere => &[("doc", &[])],
    }
}

/// Reports every unknown annotation of a file.
pub(super) fn check(parsed: &ParsedFile<'_>, problems: &mut Vec<LoadProblem>) {
    let mut check = Check { file: parsed.file, problems };
    for namespace in parsed.fragment.0.values() {
        check.annotations(&namespace.annotations, Place::Elsewhere);
        for entity_type in namespace.entity_types.values() {
            check.annotations(&entity_type.annotations, Place::EntityType);
            if let EntityTypeKind::Standard(standard) = &entity_type.kind {
                check.value_type(&standard.shape.0, Place::EntityAttribute);
                if let Some(tags) = &standard.tags {
                    check.value_type(tags, Place::EntityAttribute);
                }
            }
        }
        for common in namespace.common_types.values() {
            check.annotations(&common.annotations, Place::Elsewhere);
            check.value_type(&common.ty, Place::SharedAttribute);
        }
        for action in namespace.actions.values() {
            check.annotations(&action.annotations, Place::Elsewhere);
            if let Some(applies) = &action.applies_to {
                check.value_type(&applies.context.0, Place::ContextAttribute);
            }
        }
    }
}

struct Check<'a> {
    file: &'a SourceFile,
    problems: &'a mut Vec<LoadProblem>,
}

impl Check<'_> {
    fn value_type(&mut self, value: &Type<RawName>, place: Place) {
        match value {
            Type::Type { ty: TypeVariant::Record(record), .. } => self.record(record, place),
            Type::Type { ty: TypeVariant::Set { element }, .. } => self.value_type(element, place),
            Type::Type { .. } | Type::CommonTypeRef { .. } => {}
        }
    }

    fn record(&mut self, record: &RecordType<RawName>, place: Place) {
        for attribute in record.attributes.values() {
            self.annotations(&attribute.annotations, place);
            self.value_type(
                &attribute.ty,
                if place == Place::EntityAttribute { Place::PartOfEntity } else { place },
            );
        }
    }

    fn annotations(&mut self, annotations: &Annotations, place: Place) {
        let known = known(place);
        for (key, annotation) in &annotations.0 {
            let offset = offset(self.file, key, annotation.as_ref());
            let value = annotation.as_ref().map_or("", |annotation| annotation.val.as_str());
            match known.iter().find(|(name, _)| *name == key.as_ref()) {
                None => self.problems.push(
                    self.file
                        .problem(offset, format!("annotation `@{key}` is not known here"))
                        .with_help(known_names(key.as_ref(), known.iter().map(|(name, _)| *name))),
                ),
                Some((_, values)) if !values.is_empty() && !values.contains(&value) => self.problems.push(
                    self.file
                        .problem(
                            offset,
                            match value {
                                "" => format!("`@{key}` needs a value"),
                                value => format!("`@{key}` cannot be `{value}`"),
                            },
                        )
                        .with_help(known_names(value, values.iter().copied())),
                ),
                Some(_) => {}
            }
        }
    }
}

/// Where the annotation of this name begins.
pub(super) fn place(file: &SourceFile, annotations: &Annotations, key: &str) -> usize {
    let found = annotations.0.iter().find(|(name, _)| name.as_ref() == key);
    found.map_or(0, |(name, annotation)| offset(file, name, annotation.as_ref()))
}

fn offset(file: &SourceFile, key: &AnyId, annotation: Option<&Annotation>) -> usize {
    annotation
        .and_then(|annotation| annotation.loc.as_ref())
        // Cedar points at the value; the reader looks for the `@`.
        .map_or_else(|| first(file, key), |location| at_sign(file, location.start()))
}

fn at_sign(file: &SourceFile, offset: usize) -> usize {
    file.text.get(..offset).and_then(|before| before.rfind('@')).unwrap_or(offset)
}

/// Annotations without a value carry no position: the first of that name is close enough.
fn first(file: &SourceFile, key: &AnyId) -> usize {
    file.text.find(&format!("@{key}")).unwrap_or(0)
}
