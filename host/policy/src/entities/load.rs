//! Reads entities from files and edits, and checks each against the schema.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use assent_model::{EntityId, Record};
use serde_json::Value as Json;

use super::overrides::overridden;
use super::provenance::{self, Moments, PROVENANCE};
use super::unique::Unique;
use super::{Edit, Snapshot, change};
use crate::big_stack;
use crate::error::{LoadErrors, LoadProblem};
use crate::policies::Policies;
use crate::schema::types::EntityType;
use crate::source::{Cursor, SourceFile, known_names};
use crate::value::{Mismatch, Reader, type_and_id};

/// A file of entities: of ordinary ones some 150,000. As JSON it takes several times as much while it is read.
const ENTITY_FILE_MAX_BYTES: usize = 64 << 20;

/// An entity as read: not yet checked against the others.
pub(super) struct Read {
    pub(super) id: EntityId,
    pub(super) attributes: Record,
    pub(super) parents: BTreeSet<EntityId>,
    pub(super) provided: Option<Arc<Moments>>,
    pub(super) origin: Origin,
}

/// Where an entity stands.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) file: Arc<str>,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Origin {
    pub(super) fn problem(&self, message: impl Into<String>) -> LoadProblem {
        LoadProblem {
            file: self.file.to_string(),
            line: self.line,
            column: self.column,
            message: message.into(),
            help: None,
        }
    }
}

/// Everything that was read, each entity once.
pub(super) struct Reading<'a> {
    policies: &'a Policies,
    pub(super) puts: Vec<Read>,
    places: HashMap<EntityId, usize>,
    pub(super) removed: HashSet<EntityId>,
    pub(super) refused: Refused,
    pub(super) problems: Vec<LoadProblem>,
}

/// Entities that are there but were not accepted. What refers to them is not wrong for that: such
/// problems would only repeat, many times over, the one that is reported.
#[derive(Default)]
pub(super) struct Refused {
    /// Some of them cannot be told by name.
    pub(super) any: bool,
    /// Their ids.
    pub(super) ids: HashSet<String>,
}

/// Loads entity files with overrides; see [`Policies::load_entities_with`].
pub(super) fn load(
    policies: &Policies,
    files: &[SourceFile],
    overrides: &[SourceFile],
) -> Result<Snapshot, LoadErrors> {
    contained(|| {
        let mut reading = Reading::new(policies);
        if overrides.is_empty() {
            // File by file, so that only one of them is in memory as JSON.
            for file in files {
                let items = reading.parsed(parse(file));
                reading.read_all(items);
            }
        } else {
            let mut parse_all =
                |files: &[SourceFile]| files.iter().flat_map(|file| reading.parsed(parse(file))).collect();
            let items = overridden(parse_all(files), parse_all(overrides));
            reading.read_all(items);
        }
        change::apply(policies, &Snapshot::empty(policies), reading)
    })
}

/// Changes a snapshot; see [`Policies::change`].
pub(super) fn change(
    policies: &Policies,
    snapshot: &Snapshot,
    edits: &[Edit],
) -> Result<Snapshot, LoadErrors> {
    if !snapshot.is_of(&policies.schema) {
        let problem = LoadProblem::of_file("entities", "they were loaded with another schema");
        return Err(LoadErrors(vec![problem.with_help("load them all with these policies")]));
    }
    contained(|| {
        let mut reading = Reading::new(policies);
        for edit in edits {
            match edit {
                Edit::Put(file) => {
                    let item = reading.parsed(parse_one(file).map(|item| vec![item]));
                    reading.read_all(item);
                }
                Edit::Remove(id) => drop(reading.removed.insert(id.clone())),
            }
        }
        change::apply(policies, snapshot, reading)
    })
}

/// Parsing and Cedar's values recurse over what is read: that needs stack, and a panic becomes an error.
fn contained(work: impl FnOnce() -> Result<Snapshot, LoadErrors> + Send) -> Result<Snapshot, LoadErrors> {
    let crashed =
        || Err(LoadErrors(vec![LoadProblem::of_file("entities", "the entities could not be read")]));
    big_stack::run(work).unwrap_or_else(crashed)
}

const NOT_CHECKED: &str = "references between entities were not checked because of it";

/// Refuses a file that is too large to be read.
fn check_size(file: &SourceFile) -> Result<(), LoadProblem> {
    if file.text.len() <= ENTITY_FILE_MAX_BYTES {
        return Ok(());
    }
    let message = format!("the file is larger than {} MiB", ENTITY_FILE_MAX_BYTES >> 20);
    let help = format!("split it into several files; {NOT_CHECKED}");
    Err(LoadProblem::of_file(&file.name, message).with_help(help))
}

/// The entity of an edit with its position.
fn parse_one(file: &SourceFile) -> Result<(Json, Origin), LoadProblem> {
    check_size(file)?;
    let Unique(item) =
        serde_json::from_str(&file.text).map_err(|error| unreadable(file, "a JSON entity", &error))?;
    Ok((item, Origin { file: file.name.as_str().into(), line: 1, column: 1 }))
}

/// The entities of a file with their positions.
fn parse(file: &SourceFile) -> Result<Vec<(Json, Origin)>, LoadProblem> {
    check_size(file)?;
    let items: Vec<Unique> = serde_json::from_str(&file.text)
        .map_err(|error| unreadable(file, "a JSON list of entities", &error))?;
    let mut starts = element_starts(&file.text).into_iter();
    let mut cursor = Cursor::new(&file.text);
    let name: Arc<str> = file.name.as_str().into();
    let mut origin = || {
        let (line, column) = cursor.advance(starts.next().unwrap_or(0));
        Origin { file: Arc::clone(&name), line, column }
    };
    Ok(items.into_iter().map(|Unique(item)| (item, origin())).collect())
}

fn unreadable(file: &SourceFile, expected: &str, error: &serde_json::Error) -> LoadProblem {
    // The place is said once, in front.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = error.to_string();
    let what = what.strip_suffix(&place).unwrap_or(&what);
    let mut problem = LoadProblem::of_file(&file.name, format!("this is not {expected}: {what}"));
    (problem.line, problem.column) = (error.line(), error.column().max(1));
    problem.with_help(NOT_CHECKED)
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

impl<'a> Reading<'a> {
    fn new(policies: &'a Policies) -> Self {
        Self {
            policies,
            puts: Vec::new(),
            places: HashMap::new(),
            removed: HashSet::new(),
            refused: Refused::default(),
            problems: Vec::new(),
        }
    }

    /// What was parsed; where it was not, the problem is noted.
    fn parsed(&mut self, parsed: Result<Vec<(Json, Origin)>, LoadProblem>) -> Vec<(Json, Origin)> {
        parsed.unwrap_or_else(|problem| {
            // It may hold any entity: whether a reference leads there cannot be said.
            self.refused.any = true;
            self.problems.push(problem);
            Vec::new()
        })
    }

    fn read_all(&mut self, items: Vec<(Json, Origin)>) {
        for (json, origin) in items {
            let Some(read) = read_one(self.policies, &json, &origin, &mut self.problems) else {
                match json.get("uid").and_then(type_and_id) {
                    Some((_, id)) => drop(self.refused.ids.insert(id.to_owned())),
                    None => self.refused.any = true,
                }
                continue;
            };
            match self.places.get(&read.id).and_then(|place| self.puts.get(*place)) {
                Some(Read { origin: earlier, .. }) => {
                    let place = format!("the other is at {}:{}", earlier.file, earlier.line);
                    let problem = origin.problem(format!("`{}` appears twice", read.id));
                    self.problems.push(problem.with_help(place));
                }
                None => {
                    self.places.insert(read.id.clone(), self.puts.len());
                    self.puts.push(read);
                }
            }
        }
    }
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
    const MEMBERS: [&str; 4] = ["uid", "attrs", "parents", PROVENANCE];
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
        && !choices.iter().any(|choice| id.id == *choice)
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
            Ok(Record::default())
        }
    };
    let written = |name: &str| attributes.is_some_and(|attributes| attributes.contains_key(name));
    let attributes = match read {
        Ok(attributes) => attributes,
        Err(mismatches) => {
            problems.extend(mismatches.into_iter().map(|mismatch| described(&id, mismatch, origin)));
            Record::default()
        }
    };
    let parents = parents(entity_type, &id, object.get("parents"), origin, problems);
    let read = provenance::read(entity_type, &attributes, written, object.get(PROVENANCE));
    let provided = read.unwrap_or_else(|found| {
        problems.extend(
            found.into_iter().map(|found| origin.problem(format!("`{id}`: {}", found.0)).with_help(found.1)),
        );
        None
    });
    Some(Read { id, attributes, parents, provided, origin: origin.clone() })
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
