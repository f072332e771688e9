//! Reads entity files and checks them against the schema and against each other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use assent_model::{EntityId, Value};
use serde_json::Value as Json;

use super::Snapshot;
use super::build::{build, close};
use super::overrides::overridden;
use super::unique::Unique;
use crate::big_stack;
use crate::error::{LoadErrors, LoadProblem, NOT_AMONG_ENTITIES};
use crate::policies::Policies;
use crate::schema::types::EntityType;
use crate::source::{Cursor, SourceFile, known_names};
use crate::value::{Mismatch, Reader, references, type_and_id};

/// A file of entities. 64 MiB are about 200,000 entities, which take a gigabyte once loaded.
const ENTITY_FILE_MAX_BYTES: usize = 64 << 20;

/// An entity as read: not yet checked against the others.
pub(super) struct Read {
    pub(super) entity_type: Arc<EntityType>,
    pub(super) id: EntityId,
    pub(super) attributes: BTreeMap<String, Value>,
    pub(super) parents: BTreeSet<EntityId>,
    pub(super) origin: Origin,
}

/// Where an entity stands.
#[derive(Clone)]
pub(super) struct Origin {
    file: String,
    line: usize,
    column: usize,
}

impl Origin {
    pub(super) fn problem(&self, message: impl Into<String>) -> LoadProblem {
        LoadProblem {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            message: message.into(),
            help: None,
        }
    }
}

/// Loads entity files with overrides; see [`Policies::load_entities_with`].
pub(super) fn load(
    policies: &Policies,
    files: &[SourceFile],
    overrides: &[SourceFile],
) -> Result<Snapshot, LoadErrors> {
    let crashed =
        || Err(LoadErrors(vec![LoadProblem::of_file("entities", "the entities could not be read")]));
    big_stack::run(|| load_here(policies, files, overrides)).unwrap_or_else(crashed)
}

fn load_here(
    policies: &Policies,
    files: &[SourceFile],
    overrides: &[SourceFile],
) -> Result<Snapshot, LoadErrors> {
    let mut problems = Vec::new();
    let mut items = parse_all(files, &mut problems);
    if !overrides.is_empty() {
        items = overridden(items, parse_all(overrides, &mut problems));
    }
    // What did not parse may hold any entity: whether a reference leads there cannot be said.
    let mut refused = Refused { any: !problems.is_empty(), ids: HashSet::new() };
    let read = read_all(policies, items, &mut refused, &mut problems);
    if !refused.any {
        check_references(&read, &refused.ids, &mut problems);
    }
    let ancestors = close(&read, &mut problems);
    LoadErrors::check(problems)?;
    build(policies, read, &ancestors)
}

/// Entities that are there but were not accepted. What refers to them is not wrong for that: such
/// problems would only repeat, many times over, the one that is reported.
struct Refused {
    /// Some of them cannot be told by name.
    any: bool,
    /// Their ids.
    ids: HashSet<String>,
}

const NOT_CHECKED: &str = "references between entities were not checked because of it";

fn parse_all(files: &[SourceFile], problems: &mut Vec<LoadProblem>) -> Vec<(Json, Origin)> {
    files.iter().flat_map(|file| parse(file, problems)).collect()
}

/// The entities of a file with their positions.
fn parse(file: &SourceFile, problems: &mut Vec<LoadProblem>) -> Vec<(Json, Origin)> {
    if file.text.len() > ENTITY_FILE_MAX_BYTES {
        let message = format!("the file is larger than {} MiB", ENTITY_FILE_MAX_BYTES >> 20);
        let problem = LoadProblem::of_file(&file.name, message);
        problems.push(problem.with_help(format!("split it into several files; {NOT_CHECKED}")));
        return Vec::new();
    }
    match serde_json::from_str::<Vec<Unique>>(&file.text) {
        Ok(items) => {
            let mut starts = element_starts(&file.text).into_iter();
            let mut cursor = Cursor::new(&file.text);
            let mut origin = || {
                let (line, column) = cursor.advance(starts.next().unwrap_or(0));
                Origin { file: file.name.clone(), line, column }
            };
            items.into_iter().map(|Unique(item)| (item, origin())).collect()
        }
        Err(error) => {
            // The place is said once, in front.
            let place = format!(" at line {} column {}", error.line(), error.column());
            let what = error.to_string();
            let what = what.strip_suffix(&place).unwrap_or(&what);
            let mut problem =
                LoadProblem::of_file(&file.name, format!("this is not a JSON list of entities: {what}"));
            (problem.line, problem.column) = (error.line(), error.column().max(1));
            problems.push(problem.with_help(NOT_CHECKED));
            Vec::new()
        }
    }
}

/// Byte offsets of the elements of a JSON list that is known to be well-formed.
fn element_starts(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let (mut depth, mut in_string, mut escaped, mut expecting) = (0_usize, false, false, false);
    for (offset, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        if expecting && !byte.is_ascii_whitespace() && byte != b']' {
            starts.push(offset);
            expecting = false;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth == 1 {
                    expecting = true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => expecting = true,
            _ => {}
        }
    }
    starts
}

fn read_all(
    policies: &Policies,
    items: Vec<(Json, Origin)>,
    refused: &mut Refused,
    problems: &mut Vec<LoadProblem>,
) -> Vec<Read> {
    let mut all: Vec<Read> = Vec::with_capacity(items.len());
    let mut seen: HashMap<EntityId, Origin> = HashMap::with_capacity(items.len());
    for (json, origin) in items {
        let Some(read) = read_one(policies, &json, &origin, problems) else {
            match json.get("uid").and_then(type_and_id) {
                Some((_, id)) => drop(refused.ids.insert(id.to_owned())),
                None => refused.any = true,
            }
            continue;
        };
        match seen.get(&read.id) {
            Some(earlier) => {
                let place = format!("the other is at {}:{}", earlier.file, earlier.line);
                problems.push(origin.problem(format!("`{}` appears twice", read.id)).with_help(place));
            }
            None => {
                seen.insert(read.id.clone(), origin);
                all.push(read);
            }
        }
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

fn read_one(
    policies: &Policies,
    json: &Json,
    origin: &Origin,
    problems: &mut Vec<LoadProblem>,
) -> Option<Read> {
    let Some(object) = json.as_object() else {
        problems.push(origin.problem("an entity must be an object").with_help(format!(
            "write `{{\"uid\": {{\"type\": \"...\", \"id\": \"...\"}}, \"attrs\": {{}}, \"parents\": []}}`; {NOT_CHECKED}"
        )));
        return None;
    };
    const MEMBERS: [&str; 3] = ["uid", "attrs", "parents"];
    for member in object.keys().filter(|member| !MEMBERS.contains(&member.as_str())) {
        problems.push(
            origin
                .problem(format!("an entity has no member `{member}`"))
                .with_help(known_names(member, MEMBERS)),
        );
    }
    let Some((type_name, id)) = object.get("uid").and_then(type_and_id) else {
        let message = "`uid` must be an object with `type` and `id`, both text";
        problems.push(origin.problem(message).with_help(NOT_CHECKED));
        return None;
    };
    let types = &policies.schema.types;
    let Some(entity_type) = types.get(type_name) else {
        problems.push(
            origin
                .problem(format!("uid.type: the schema has no entity type `{type_name}`"))
                .with_help(known_names(type_name, types.keys().map(AsRef::as_ref))),
        );
        return None;
    };
    let id = EntityId::new(type_name, id);
    if let Some(choices) = &entity_type.choices
        && !choices.contains(&id.id)
    {
        let help = known_names(&id.id, choices.iter().map(String::as_str));
        problems.push(origin.problem(format!("`{id}`: the schema does not list this id")).with_help(help));
    }
    let reader = Reader { type_name: &|name| name.to_owned(), ignore_unknown: false };
    let empty = serde_json::Map::new();
    let attributes = match object.get("attrs") {
        None => Some(&empty),
        Some(attributes) => attributes.as_object(),
    };
    let read = match attributes {
        Some(attributes) => reader.record(attributes, &entity_type.attributes),
        None => {
            problems.push(origin.problem(format!("`{id}`: `attrs` must be an object")));
            Ok(BTreeMap::new())
        }
    };
    let attributes = match read {
        Ok(attributes) => attributes,
        Err(mismatches) => {
            problems.extend(mismatches.into_iter().map(|mismatch| described(&id, mismatch, origin)));
            BTreeMap::new()
        }
    };
    let parents = parents(entity_type, &id, object.get("parents"), origin, problems);
    Some(Read { entity_type: Arc::clone(entity_type), id, attributes, parents, origin: origin.clone() })
}

fn described(id: &EntityId, mismatch: Mismatch, origin: &Origin) -> LoadProblem {
    match mismatch.unknown {
        None => LoadProblem {
            help: mismatch.nearest.map(|nearest| format!("did you mean `{nearest}`?")),
            ..origin.problem(format!("`{id}`: attrs{} must be {}", mismatch.path, mismatch.expected))
        },
        Some(unknown) => origin
            .problem(format!("`{id}`: attrs{} is not in the schema", mismatch.path))
            .with_help(known_names(&unknown.name, unknown.known.iter().map(String::as_str))),
    }
}

fn parents(
    entity_type: &EntityType,
    id: &EntityId,
    json: Option<&Json>,
    origin: &Origin,
    problems: &mut Vec<LoadProblem>,
) -> BTreeSet<EntityId> {
    let mut parents = BTreeSet::new();
    let items = match json {
        None => return parents,
        Some(Json::Array(items)) => items,
        Some(_) => {
            problems.push(origin.problem(format!("`{id}`: `parents` must be a list")));
            return parents;
        }
    };
    for (index, item) in items.iter().enumerate() {
        let Some((parent_type, parent_id)) = type_and_id(item) else {
            problems.push(
                origin.problem(format!("`{id}`: parents[{index}] must be an object with `type` and `id`")),
            );
            continue;
        };
        if !entity_type.parents.iter().any(|allowed| **allowed == *parent_type) {
            let help = match entity_type.parents.is_empty() {
                true => format!("a `{}` is in nothing", entity_type.name),
                false => known_names(parent_type, entity_type.parents.iter().map(AsRef::as_ref)),
            };
            problems.push(
                origin
                    .problem(format!(
                        "`{id}`: parents[{index}]: a `{}` cannot be in a `{parent_type}`",
                        entity_type.name
                    ))
                    .with_help(help),
            );
            continue;
        }
        parents.insert(EntityId::new(parent_type, parent_id));
    }
    parents
}

fn check_references(all: &[Read], refused: &HashSet<String>, problems: &mut Vec<LoadProblem>) {
    let known: HashSet<&EntityId> = all.iter().map(|read| &read.id).collect();
    for read in all {
        let mut check = |target: &EntityId, path: &str| {
            if !known.contains(target) && !refused.contains(&target.id) {
                let near = crate::source::suggestion(
                    &target.id,
                    all.iter().filter(|other| other.id.kind == target.kind).map(|other| other.id.id.as_str()),
                );
                let mut problem = read
                    .origin
                    .problem(format!("`{}`: {path} refers to `{target}`, {NOT_AMONG_ENTITIES}", read.id));
                problem.help = near;
                problems.push(problem);
            }
        };
        for parent in &read.parents {
            check(parent, "parents");
        }
        for (name, value) in &read.attributes {
            references(value, &mut |target| check(target, &format!("attrs.{name}")));
        }
    }
}
