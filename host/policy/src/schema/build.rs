//! Builds our description of the schema from Cedar's resolved one, and checks what the annotations
//! say against it: a relation names attributes that exist, a required circumstance has a source.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use assent_model::EntityKind;
use cedar_policy_core::ast;
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::est::Annotations;
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::json_schema::{self, EntityTypeKind, TypeVariant};
use cedar_policy_core::validator::types::{EntityKind as CedarEntityKind, Type as CedarType};
use cedar_policy_core::validator::{RawName, ValidatorEntityTypeKind};

use super::annotations::place;
use super::formats::Format;
use super::types::{Action, Attribute, Attributes, EntityType, Supplier, Type};
use super::{ParsedFile, Schema};
use crate::entities::Shapes;
use crate::error::LoadProblem;
use crate::source::known_names;
use crate::value::duration;

/// A type as written in a file, with the namespace its names are read in.
#[derive(Clone, Copy)]
struct Written<'a> {
    file: &'a ParsedFile<'a>,
    namespace: Option<&'a ast::Name>,
    value: &'a json_schema::Type<RawName>,
}

/// What the files declare, by full name.
#[derive(Default)]
struct Declared<'a> {
    entities:
        HashMap<String, (&'a ParsedFile<'a>, Option<&'a ast::Name>, &'a json_schema::EntityType<RawName>)>,
    common: HashMap<String, Written<'a>>,
    contexts: HashMap<String, (&'a ParsedFile<'a>, Written<'a>, Option<usize>)>,
    /// Formats of what is not text, found while attributes are described.
    misplaced: RefCell<Vec<LoadProblem>>,
}

/// Builds the schema.
///
/// # Errors
/// Annotations that contradict the schema, and forms of schema that are not supported.
pub(super) fn build(
    cedar: cedar_policy::Schema,
    parsed: &[ParsedFile<'_>],
) -> Result<Schema, Vec<LoadProblem>> {
    let declared = Declared::of(parsed);
    let mut problems = Vec::new();
    let types = entity_types(&cedar, &declared, &mut problems);
    let actions = actions(&cedar, &declared, &types, &mut problems);
    problems.extend(declared.misplaced.into_inner());
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut schema = Schema {
        digest: super::digest(parsed),
        cedar,
        types,
        actions,
        action_set: Entities::new(),
        shapes: Shapes::default(),
    };
    let entities: Vec<_> = schema.action_entities().cloned().collect();
    // Cedar has resolved the schema, so that it has no reason to refuse its actions.
    schema.action_set = Entities::new()
        .add_entities(
            entities,
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        )
        .map_err(|error| vec![LoadProblem::of_file("schema", error.to_string())])?;
    Ok(schema)
}

fn entity_types(
    cedar: &cedar_policy::Schema,
    declared: &Declared<'_>,
    problems: &mut Vec<LoadProblem>,
) -> BTreeMap<Arc<str>, Arc<EntityType>> {
    let validator: &cedar_policy_core::validator::ValidatorSchema = cedar.as_ref();
    let mut types = BTreeMap::new();
    for entity_type in validator.entity_types() {
        let name: Arc<str> = entity_type.name().to_string().into();
        let Some((file, namespace, written)) = declared.entities.get(&*name) else { continue };
        let shape = match &written.kind {
            EntityTypeKind::Standard(standard) => {
                Some(Written { file, namespace: *namespace, value: &standard.shape.0 })
            }
            EntityTypeKind::Enum { .. } => None,
        };
        let mut report = |message: String, help: Option<String>| {
            let offset = written.loc.as_ref().map_or(0, |location| location.start());
            let mut problem = file.file.problem(offset, message);
            problem.help = help;
            problems.push(problem);
        };
        let attributes = declared.attributes(entity_type.attributes(), shape);
        let kind = kind(&written.annotations, &attributes, &mut |message, help| {
            report(format!("entity type `{name}`: {message}"), help);
        });
        // Plugins are given these without a question reaching them, so that their age would be looked at by nobody.
        let not_by_age = match kind {
            Some(EntityKind::Approval | EntityKind::Consent | EntityKind::DisclosureDecision) => {
                Some("its workflow says until when it counts")
            }
            Some(EntityKind::ValueSet) => Some("a value set counts until another version of it is stored"),
            Some(EntityKind::Patient | EntityKind::Relation { .. }) | None => None,
        };
        let is_marked = || attributes.values().any(|attribute| attribute.fresh.is_some());
        if let Some(why) = not_by_age.filter(|_| is_marked()) {
            report(
                format!("entity type `{name}` has an attribute with `@fresh`, but {why}"),
                Some("take `@fresh` away".to_owned()),
            );
        }
        if entity_type.tag_type().is_some() {
            report(
                format!("entity type `{name}` has tags, which are not supported"),
                Some("use an attribute".into()),
            );
        }
        if entity_type.is_external() {
            report(format!("entity type `{name}` is external, which is not supported"), None);
        }
        let choices = match &entity_type.kind {
            ValidatorEntityTypeKind::Enum(choices) => {
                Some(choices.iter().map(|id| AsRef::<str>::as_ref(id).to_owned()).collect())
            }
            ValidatorEntityTypeKind::Standard(_) | ValidatorEntityTypeKind::External => None,
        };
        let parents = validator
            .ancestors(entity_type.name())
            .map(|names| names.map(|name| Arc::from(name.to_string())).collect())
            .unwrap_or_default();
        let built = EntityType {
            name: Arc::clone(&name),
            cedar: entity_type.name().clone(),
            attributes,
            kind,
            caller_may_supply: annotation(&written.annotations, "supplied") == Some("caller"),
            parents,
            choices,
        };
        types.insert(name, Arc::new(built));
    }
    types
}

fn kind(
    annotations: &Annotations,
    attributes: &Attributes,
    report: &mut dyn FnMut(String, Option<String>),
) -> Option<EntityKind> {
    let kind = annotation(annotations, "kind");
    if kind != Some("relation") {
        for end in ["from", "to"] {
            if annotation(annotations, end).is_some() {
                report(format!("`@{end}` belongs to `@kind(\"relation\")`"), None);
            }
        }
    }
    let mut reference = |name: &str| {
        let found = matches!(attributes.get(name), Some(Attribute { value: Type::Entity(_), .. }));
        if !found {
            let references =
                attributes.iter().filter(|(_, attribute)| matches!(attribute.value, Type::Entity(_)));
            let help = known_names(name, references.map(|(name, _)| name.as_str()));
            report(format!("its kind needs an attribute `{name}` that refers to an entity"), Some(help));
        }
    };
    match kind? {
        "patient" => Some(EntityKind::Patient),
        "relation" => {
            let (from, to) = (annotation(annotations, "from"), annotation(annotations, "to"));
            for (end, named) in [("from", from), ("to", to)] {
                match named {
                    Some(name) => reference(name),
                    None => reference(end),
                }
            }
            Some(EntityKind::Relation {
                from: from.unwrap_or("from").to_owned(),
                to: to.unwrap_or("to").to_owned(),
            })
        }
        "approval" => {
            reference("requester");
            Some(EntityKind::Approval)
        }
        "consent" => {
            reference("patient");
            Some(EntityKind::Consent)
        }
        "disclosure-decision" => {
            reference("patient");
            Some(EntityKind::DisclosureDecision)
        }
        "value-set" => Some(EntityKind::ValueSet),
        _ => None, // reported where annotations are checked
    }
}

fn actions(
    cedar: &cedar_policy::Schema,
    declared: &Declared<'_>,
    types: &BTreeMap<Arc<str>, Arc<EntityType>>,
    problems: &mut Vec<LoadProblem>,
) -> HashMap<String, Arc<Action>> {
    let validator: &cedar_policy_core::validator::ValidatorSchema = cedar.as_ref();
    let mut entities: HashMap<ast::EntityUID, Arc<ast::Entity>> = HashMap::new();
    if let Ok(all) = validator.action_entities() {
        entities.extend(all.iter().map(|entity| (entity.uid().clone(), Arc::new(entity.clone()))));
    }
    let mut actions = HashMap::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for action in validator.action_ids() {
        let uid = action.name();
        let full_name = uid.to_string();
        let (Some(CedarType::Record { attrs, .. }), Some(entity)) =
            (action.context_type(), entities.get(uid))
        else {
            continue;
        };
        let (written, location) = match declared.contexts.get(&full_name) {
            Some((file, written, offset)) => (Some(*written), Some((*file, offset.unwrap_or(0)))),
            None => (None, None),
        };
        let context = declared.attributes(attrs, written);
        for (name, attribute) in &context {
            if let (Some(message), Some((file, offset))) = (unsourced(name, attribute, types), location) {
                let id: &str = uid.eid().as_ref();
                problems.push(
                    file.file
                        .problem(offset, format!("context attribute `{name}` of action `{id}` {message}")),
                );
            }
        }
        let named = |names: &mut dyn Iterator<Item = &ast::EntityType>| {
            let mut names: Vec<Arc<str>> = names.map(|name| Arc::from(name.to_string())).collect();
            names.sort();
            names
        };
        let id: &str = uid.eid().as_ref();
        let built = Arc::new(Action {
            id: id.to_owned(),
            uid: Arc::new(uid.clone()),
            entity: Arc::clone(entity),
            subjects: named(&mut action.applies_to_principals()),
            resources: named(&mut action.applies_to_resources()),
            context,
        });
        *seen.entry(id.to_owned()).or_default() += 1;
        actions.insert(id.to_owned(), Arc::clone(&built));
        actions.insert(full_name, built);
    }
    actions.retain(|name, _| seen.get(name).is_none_or(|count| *count == 1));
    actions
}

/// Why nobody would ever provide a required context attribute; `None` where somebody does.
fn unsourced(
    name: &str,
    attribute: &Attribute,
    types: &BTreeMap<Arc<str>, Arc<EntityType>>,
) -> Option<&'static str> {
    if !attribute.required || name == "action" {
        return None;
    }
    match attribute.supplied {
        None => Some(
            "is required, but nobody supplies it: mark it `@supplied(\"caller\")` or `@supplied(\"host\")`",
        ),
        Some(Supplier::Host) => match &attribute.value {
            Type::Entity(target) => {
                let relation = types.get(target).and_then(|target| target.kind.as_ref());
                matches!(relation, Some(EntityKind::Relation { .. }))
                    .then_some("is a relation, which may not hold: it must be optional")
            }
            _ => None,
        },
        Some(Supplier::Caller) => None,
    }
}

fn annotation<'a>(annotations: &'a Annotations, key: &str) -> Option<&'a str> {
    let (_, value) = annotations.0.iter().find(|(name, _)| name.as_ref() == key)?;
    Some(value.as_ref().map_or("", |annotation| annotation.val.as_str()))
}

/// The type of text in a format, or of a set of such texts; `None` where it is no text.
fn formatted(value: &Type, format: &str) -> Option<Type> {
    match (value, format) {
        (Type::Text, "date") => Some(Type::Date),
        // Unknown formats are reported where annotations are checked.
        (Type::Text, name) => Some(Format::named(name).map_or(Type::Text, Type::Formatted)),
        (Type::Set(element), name) => Some(Type::Set(Box::new(formatted(element, name)?))),
        _ => None,
    }
}

impl<'a> Declared<'a> {
    fn of(parsed: &'a [ParsedFile<'a>]) -> Self {
        let mut declared = Self::default();
        for file in parsed {
            for (namespace, definition) in &file.fragment.0 {
                let namespace = namespace.as_ref();
                let full = |name: &str| match namespace {
                    Some(namespace) => format!("{namespace}::{name}"),
                    None => name.to_owned(),
                };
                for (name, entity_type) in &definition.entity_types {
                    declared.entities.insert(full(name.as_ref()), (file, namespace, entity_type));
                }
                for (name, common) in &definition.common_types {
                    let written = Written { file, namespace, value: &common.ty };
                    declared.common.insert(full(&name.to_string()), written);
                }
                for (id, action) in &definition.actions {
                    if let Some(applies) = &action.applies_to {
                        let written = Written { file, namespace, value: &applies.context.0 };
                        let uid = format!("{}::\"{}\"", full("Action"), id.escape_debug());
                        let offset = action.loc.as_ref().map(|location| location.start());
                        declared.contexts.insert(uid, (file, written, offset));
                    }
                }
            }
        }
        declared
    }

    fn attributes(
        &self,
        resolved: &cedar_policy_core::validator::types::Attributes,
        written: Option<Written<'a>>,
    ) -> Attributes {
        let record = written.and_then(|written| self.record(written));
        resolved
            .iter()
            .map(|(name, attribute)| {
                let as_written =
                    record.and_then(|(scope, record)| Some((scope, record.attributes.get(name)?)));
                let none = Annotations::new();
                let annotations = as_written.map_or(&none, |(_, attribute)| &attribute.annotations);
                let inner = as_written.map(|(scope, attribute)| Written { value: &attribute.ty, ..scope });
                let mut value = self.value_type(&attribute.attr_type, inner);
                if let (Some(format), Some((scope, _))) = (annotation(annotations, "format"), as_written) {
                    match formatted(&value, format) {
                        Some(formatted) => value = formatted,
                        None => self.misplaced.borrow_mut().push(
                            scope
                                .file
                                .file
                                .problem(
                                    place(scope.file.file, annotations, "format"),
                                    format!("`@format` is for text, and attribute `{name}` is none"),
                                )
                                .with_help("put it on a `String` or a `Set<String>`"),
                        ),
                    }
                }
                let supplied = match annotation(annotations, "supplied") {
                    Some("caller") => Some(Supplier::Caller),
                    Some("host") => Some(Supplier::Host),
                    _ => None,
                };
                let lapses = annotation(annotations, "lapses").map(smol_str::SmolStr::from);
                if let (Some(_), Some((scope, _)), false) = (&lapses, as_written, value == Type::Instant) {
                    let at = place(scope.file.file, annotations, "lapses");
                    let message = format!("`@lapses` is for moments, and attribute `{name}` is none");
                    let problem = scope.file.file.problem(at, message);
                    self.misplaced.borrow_mut().push(problem.with_help("put it on a `datetime`"));
                }
                let fresh = as_written.and_then(|(scope, _)| self.fresh(scope, annotations, supplied));
                (name.clone(), Attribute { value, required: attribute.is_required, supplied, lapses, fresh })
            })
            .collect()
    }

    /// How old a value may be to count, in milliseconds.
    fn fresh(
        &self,
        scope: Written<'a>,
        annotations: &Annotations,
        supplied: Option<Supplier>,
    ) -> Option<i64> {
        let span = annotation(annotations, "fresh")?;
        let problem = match duration(span).filter(|span| *span > 0) {
            Some(span) if supplied.is_none() => return Some(span),
            Some(_) => "what a caller supplies is as old as its request, so `@fresh` says nothing of it",
            None => "`@fresh` needs how old it may be, such as `@fresh(\"30d\")` or `@fresh(\"12h30m\")`",
        };
        let at = place(scope.file.file, annotations, "fresh");
        self.misplaced.borrow_mut().push(scope.file.file.problem(at, problem));
        None
    }

    fn value_type(&self, resolved: &CedarType, written: Option<Written<'a>>) -> Type {
        match resolved {
            CedarType::Bool(_) => Type::Boolean,
            CedarType::Long => Type::Integer,
            CedarType::String | CedarType::Never => Type::Text,
            CedarType::Entity(CedarEntityKind::Entity(names)) => Type::Entity(
                names.get_single_entity().map_or_else(|| Arc::from(""), |name| Arc::from(name.to_string())),
            ),
            CedarType::Entity(CedarEntityKind::AnyEntity) => Type::Entity(Arc::from("")),
            CedarType::Set { element_type } => {
                let inner = written.and_then(|written| self.element(written));
                Type::Set(Box::new(match element_type {
                    Some(element) => self.value_type(element, inner),
                    None => Type::Text,
                }))
            }
            CedarType::Record { attrs, .. } => Type::Record(self.attributes(attrs, written)),
            CedarType::ExtensionType { name } => match name.to_string().as_str() {
                "datetime" => Type::Instant,
                "duration" => Type::Duration,
                "decimal" => Type::Decimal,
                _ => Type::Ip, // the parser refuses extension types other than these four
            },
        }
    }

    /// Follows names of common types to what they stand for.
    fn resolved(&self, mut written: Written<'a>) -> Option<(Written<'a>, &'a TypeVariant<RawName>)> {
        // Cedar has refused cycles; the bound is a second lock.
        for _ in 0..64 {
            let name = match written.value {
                json_schema::Type::CommonTypeRef { type_name, .. }
                | json_schema::Type::Type { ty: TypeVariant::EntityOrCommon { type_name }, .. } => type_name,
                json_schema::Type::Type { ty, .. } => return Some((written, ty)),
            };
            let local = written.namespace.map(|namespace| format!("{namespace}::{name}"));
            written = *local
                .and_then(|local| self.common.get(&local))
                .or_else(|| self.common.get(&name.to_string()))?;
        }
        None
    }

    fn record(&self, written: Written<'a>) -> Option<(Written<'a>, &'a json_schema::RecordType<RawName>)> {
        match self.resolved(written)? {
            (scope, TypeVariant::Record(record)) => Some((scope, record)),
            _ => None,
        }
    }

    fn element(&self, written: Written<'a>) -> Option<Written<'a>> {
        match self.resolved(written)? {
            (scope, TypeVariant::Set { element }) => Some(Written { value: element, ..scope }),
            _ => None,
        }
    }
}
