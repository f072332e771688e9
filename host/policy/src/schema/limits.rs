//! Bounds a schema's size once its names are followed.
//!
//! INVARIANT (no text ends the process): common types may name one another, so that a few kilobytes
//! can stand for a type with millions of attributes, or thousands of levels deep; resolved types are
//! walked recursively, also where they are dropped. Both are measured before Cedar resolves them.

use std::collections::HashMap;

use cedar_policy_core::validator::RawName;
use cedar_policy_core::validator::json_schema::{EntityTypeKind, Type, TypeVariant};

use super::ParsedFile;
use crate::error::LoadProblem;

/// Levels of records and sets. The base schema has four.
const DEPTH_MAX: usize = 32;
/// Attributes of all entities and contexts, names followed. The base schema has about 1,500.
const ATTRIBUTES_MAX: usize = 100_000;
/// Entity types, common types and actions. Hierarchies are closed, which takes the square of it.
const DECLARATIONS_MAX: usize = 2_000;
/// Combinations of principal type, action and resource type. The base schema has about 550.
const COMBINATIONS_MAX: usize = 200_000;

/// How large a type is.
#[derive(Clone, Copy, Default)]
struct Extent {
    depth: usize,
    attributes: usize,
}

/// Reports what exceeds a limit.
pub(super) fn check(parsed: &[ParsedFile<'_>], problems: &mut Vec<LoadProblem>) {
    let mut measure = Measure { common: HashMap::new(), known: HashMap::new() };
    for file in parsed {
        for (namespace, definition) in &file.fragment.0 {
            let prefix = namespace.as_ref().map(|namespace| format!("{namespace}::")).unwrap_or_default();
            for (name, common) in &definition.common_types {
                measure.common.insert(format!("{prefix}{name}"), (prefix.clone(), &common.ty));
            }
        }
    }
    let (mut declarations, mut combinations) = (0, 0_usize);
    let mut total = Extent::default();
    for file in parsed {
        for (namespace, definition) in &file.fragment.0 {
            let prefix = namespace.as_ref().map(|namespace| format!("{namespace}::")).unwrap_or_default();
            declarations +=
                definition.common_types.len() + definition.entity_types.len() + definition.actions.len();
            let mut add = |value: &Type<RawName>| {
                let extent = measure.of(value, &prefix);
                total.depth = total.depth.max(extent.depth);
                total.attributes = total.attributes.saturating_add(extent.attributes);
            };
            for common in definition.common_types.values() {
                add(&common.ty);
            }
            for entity_type in definition.entity_types.values() {
                if let EntityTypeKind::Standard(standard) = &entity_type.kind {
                    add(&standard.shape.0);
                    standard.tags.iter().for_each(&mut add);
                }
            }
            for applies in definition.actions.values().filter_map(|action| action.applies_to.as_ref()) {
                add(&applies.context.0);
                combinations = combinations.saturating_add(
                    applies.principal_types.len().saturating_mul(applies.resource_types.len()),
                );
            }
        }
    }
    let names: Vec<_> = parsed.iter().map(|file| file.file.name.as_str()).collect();
    let mut limit = |what: &str, actual: usize, most: usize| {
        if actual > most {
            let message = format!("the schema has {actual} {what}; {most} are allowed");
            problems.push(LoadProblem::of_file(&names.join(", "), message));
        }
    };
    limit("levels of records and sets", total.depth, DEPTH_MAX);
    limit("attributes", total.attributes, ATTRIBUTES_MAX);
    limit("declarations", declarations, DECLARATIONS_MAX);
    limit("combinations of principal, action and resource", combinations, COMBINATIONS_MAX);
}

struct Measure<'a> {
    common: HashMap<String, (String, &'a Type<RawName>)>,
    /// `None` while a common type is being measured: a circle, which Cedar reports.
    known: HashMap<String, Option<Extent>>,
}

impl Measure<'_> {
    fn of(&mut self, value: &Type<RawName>, prefix: &str) -> Extent {
        match value {
            Type::CommonTypeRef { type_name, .. }
            | Type::Type { ty: TypeVariant::EntityOrCommon { type_name }, .. } => {
                self.named(&type_name.to_string(), prefix)
            }
            Type::Type { ty: TypeVariant::Set { element }, .. } => {
                let inner = self.of(element, prefix);
                Extent { depth: inner.depth + 1, ..inner }
            }
            Type::Type { ty: TypeVariant::Record(record), .. } => {
                let mut extent = Extent { depth: 0, attributes: record.attributes.len() };
                for attribute in record.attributes.values() {
                    let inner = self.of(&attribute.ty, prefix);
                    extent.depth = extent.depth.max(inner.depth);
                    extent.attributes = extent.attributes.saturating_add(inner.attributes);
                }
                Extent { depth: extent.depth + 1, ..extent }
            }
            Type::Type { .. } => Extent::default(),
        }
    }

    fn named(&mut self, name: &str, prefix: &str) -> Extent {
        let local = format!("{prefix}{name}");
        let full = if self.common.contains_key(&local) { local } else { name.to_owned() };
        if let Some(known) = self.known.get(&full) {
            return known.unwrap_or_default();
        }
        let Some((prefix, value)) = self.common.get(&full).cloned() else { return Extent::default() };
        self.known.insert(full.clone(), None);
        let extent = self.of(value, &prefix);
        self.known.insert(full, Some(extent));
        extent
    }
}
