//! The first look at files that are imported: where each entity is, what it is called, and what it refers to.
//!
//! Of each entity only that is kept, some hundred bytes, so a file of lines may be larger than memory. The second look
//! reads an entity by its place. INVARIANT (what was looked at is sent): the digest of its bytes must be the same then.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use assent_model::Digest;
use serde_json::{Map, Value};

use super::super::entity::{ENTITY_BYTES_MAX, NO_ENTITY, uid};
use crate::deployment::files;

/// Mistakes that are told at once; whoever mends these meets the rest.
const PROBLEMS_MAX: usize = 20;

/// Where an entity is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entity {
    file: usize,
    /// Its line, or its index in the list.
    place: usize,
    offset: u64,
    pub(super) bytes: usize,
    /// JSON values in it: the service takes so many in a request.
    pub(super) values: usize,
    pub(super) content: Digest,
}

/// The entities of some files.
#[derive(Debug, Default)]
pub(super) struct Index {
    files: Vec<Source>,
    pub(super) entities: Vec<Entity>,
    /// For each entity, those that it refers to, by index.
    pub(super) references: Vec<Box<[u32]>>,
}

#[derive(Debug)]
struct Source {
    name: String,
    file: File,
    /// One entity a line, or else a list.
    lines: bool,
}

/// Names as numbers: entities refer to others that come later, or that are in no file.
#[derive(Default)]
struct Names {
    ids: HashMap<Digest, u32>,
    /// The entity that has the name, where there is one.
    entity: Vec<Option<u32>>,
}

impl Names {
    fn id(&mut self, kind: &str, id: &str) -> anyhow::Result<u32> {
        let next = u32::try_from(self.entity.len()).context("more entities than can be imported at once")?;
        let digest = Digest::of_parts([kind.as_bytes(), id.as_bytes()]);
        let id = *self.ids.entry(digest).or_insert(next);
        if id == next {
            self.entity.push(None);
        }
        Ok(id)
    }
}

struct Reading {
    index: Index,
    names: Names,
    problems: Vec<String>,
}

impl Index {
    /// Looks through files.
    ///
    /// # Errors
    /// When one cannot be read, or holds something else than entities, with its place; nothing is sent then.
    pub(super) fn read(paths: &[impl AsRef<Path>]) -> anyhow::Result<Self> {
        let mut reading = Reading { index: Self::default(), names: Names::default(), problems: vec![] };
        for path in paths {
            reading.file(path.as_ref())?;
            if reading.problems.len() >= PROBLEMS_MAX {
                break;
            }
        }
        let Reading { mut index, names, problems } = reading;
        ensure!(problems.is_empty(), "{}\nnothing was imported", problems.join("\n"));
        for (at, references) in index.references.iter_mut().enumerate() {
            let named = references.iter().filter_map(|id| *names.entity.get(usize::try_from(*id).ok()?)?);
            let mut others: Vec<u32> = named.filter(|entity| usize::try_from(*entity) != Ok(at)).collect();
            others.sort_unstable();
            *references = others.into();
        }
        Ok(index)
    }

    /// Where an entity is, for a person.
    pub(super) fn place(&self, entity: &Entity) -> String {
        let source = self.files.get(entity.file);
        let name = source.map(|source| source.name.as_str()).unwrap_or_default();
        match source.is_some_and(|source| source.lines) {
            true => format!("{name}:{}", entity.place),
            false => format!("{name}: /{}", entity.place),
        }
    }

    /// The JSON of an entity, as it is in its file.
    ///
    /// # Errors
    /// When the file cannot be read any more, or is another one.
    pub(super) fn json(&self, entity: &Entity) -> anyhow::Result<Vec<u8>> {
        let Source { name, file, .. } = self.files.get(entity.file).context("no such file")?;
        let mut bytes = vec![0; entity.bytes];
        let mut file = file;
        let read = file.seek(SeekFrom::Start(entity.offset)).and_then(|_| file.read_exact(&mut bytes));
        let same = read.is_ok() && Digest::of(&bytes) == entity.content;
        ensure!(same, "{name} was changed while it was imported: import it again");
        Ok(bytes)
    }
}

impl Reading {
    fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let name = files::shown(path);
        ensure!(name != "-", "files are looked through twice: name a file instead of standard input");
        let metadata = std::fs::metadata(path).with_context(|| name.clone())?;
        ensure!(metadata.is_file(), "{name} is not an ordinary file");
        let file = File::open(path).with_context(|| name.clone())?;
        let mut begin = vec![];
        (&file).take(1 << 10).read_to_end(&mut begin).with_context(|| name.clone())?;
        let first = begin.strip_prefix(BOM).unwrap_or(&begin).trim_ascii_start().first();
        let lines = first != Some(&b'[');
        self.index.files.push(Source { name: name.clone(), file, lines });
        if lines { self.lines(path, &name) } else { self.list(path, &name) }
    }

    /// One entity a line; empty lines are passed over.
    fn lines(&mut self, path: &Path, name: &str) -> anyhow::Result<()> {
        let mut reader = BufReader::new(File::open(path).with_context(|| name.to_owned())?);
        let (mut offset, mut line) = (0, vec![]);
        for number in 1.. {
            line.clear();
            // One byte more than may be, so that what is longer is told.
            let read = (&mut reader).take(ENTITY_BYTES_MAX + 1).read_until(b'\n', &mut line);
            let read = read.with_context(|| name.to_owned())?;
            if read == 0 || self.problems.len() >= PROBLEMS_MAX {
                break;
            }
            if line.len() as u64 > ENTITY_BYTES_MAX {
                bail!(
                    "{name}:{number} is longer than {} MiB: expected one entity a line",
                    ENTITY_BYTES_MAX >> 20
                );
            }
            let text = line.strip_prefix(BOM).filter(|_| number == 1).unwrap_or(&line);
            let text = text.trim_ascii_start();
            let skipped = line.len() - text.len();
            let text = text.trim_ascii_end();
            if !text.is_empty() {
                match serde_json::from_slice(text) {
                    Ok(entity) => self.entity((number, offset + skipped as u64), text, &entity)?,
                    Err(error) => {
                        let column = skipped + error.column();
                        let expected = "expected one entity a line, or a list of entities";
                        self.problem(format!("{name}:{number}:{column}: {}; {expected}", bare(&error)));
                    }
                }
            }
            offset += read as u64;
        }
        Ok(())
    }

    /// A list of entities, as entity files are.
    fn list(&mut self, path: &Path, name: &str) -> anyhow::Result<()> {
        let bytes = files::read_bytes(path).map_err(|what| anyhow!("{name} {what}"))?;
        let after = |offset: usize| bytes.get(offset..).unwrap_or_default();
        let blank = |offset: usize| offset + after(offset).len() - after(offset).trim_ascii_start().len();
        let skip = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
        // Behind the bracket.
        let mut offset = blank(blank(skip) + 1);
        if after(offset).first() == Some(&b']') {
            return self.end(name, &bytes, offset + 1);
        }
        for number in 0.. {
            if self.problems.len() >= PROBLEMS_MAX {
                break;
            }
            let mut values = serde_json::Deserializer::from_slice(after(offset)).into_iter::<Value>();
            let entity = match values.next() {
                Some(Ok(entity)) => entity,
                Some(Err(error)) => {
                    let at = offset + place_of(after(offset), error.line(), error.column());
                    self.problem(format!("{}: {}", position(name, &bytes, at), bare(&error)));
                    break;
                }
                None => {
                    self.problem(format!("{}: the list does not end", position(name, &bytes, bytes.len())));
                    break;
                }
            };
            let end = offset + values.byte_offset();
            let text = bytes.get(offset..end).unwrap_or_default();
            self.entity((number, offset as u64), text, &entity)?;
            offset = blank(end);
            match after(offset).first() {
                Some(b',') => offset = blank(offset + 1),
                Some(b']') => return self.end(name, &bytes, offset + 1),
                _ => {
                    self.problem(format!("{}: expected `,` or `]`", position(name, &bytes, offset)));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Nothing follows a list.
    fn end(&mut self, name: &str, bytes: &[u8], offset: usize) -> anyhow::Result<()> {
        let rest = bytes.get(offset..).unwrap_or_default().trim_ascii_start();
        if !rest.is_empty() {
            let place = position(name, bytes, bytes.len() - rest.len());
            self.problem(format!("{place}: something follows the list"));
        }
        Ok(())
    }

    fn entity(&mut self, (place, offset): (usize, u64), text: &[u8], json: &Value) -> anyhow::Result<()> {
        let file = self.index.files.len().saturating_sub(1);
        let content = Digest::of(text);
        let mut entity = Entity { file, place, offset, bytes: text.len(), values: 0, content };
        let Some((kind, id)) = uid(json) else {
            self.problem(format!("{}: {NO_ENTITY}", self.index.place(&entity)));
            return Ok(());
        };
        let at =
            u32::try_from(self.index.entities.len()).context("more entities than can be imported at once")?;
        let own = self.names.id(kind, id)?;
        let other = self.names.entity.get_mut(usize::try_from(own)?).and_then(|known| known.replace(at));
        let other = other.and_then(|other| self.index.entities.get(usize::try_from(other).ok()?));
        if let Some(other) = other {
            let (here, there) = (self.index.place(&entity), self.index.place(other));
            self.problem(format!("{here}: `{kind}/{id}` is also at {there}"));
        }
        let mut references = vec![];
        for member in ["attrs", "parents"] {
            entity.values += self.walk(json.get(member).unwrap_or(&Value::Null), &mut references)?;
        }
        // `uid`, its members, `put` and the list's entry.
        entity.values += 6;
        self.index.entities.push(entity);
        self.index.references.push(references.into());
        Ok(())
    }

    /// Collects references, and counts values.
    fn walk(&mut self, value: &Value, found: &mut Vec<u32>) -> anyhow::Result<usize> {
        let mut count = 1;
        match value {
            Value::Object(members) => {
                if let Some((kind, id)) = reference(members) {
                    found.push(self.names.id(kind, id)?);
                }
                for value in members.values() {
                    count += self.walk(value, found)?;
                }
            }
            Value::Array(values) => {
                for value in values {
                    count += self.walk(value, found)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(count)
    }

    fn problem(&mut self, text: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(assent_audit::text::printable(&text));
        }
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What looks like a reference: a record of just these members that is none only makes the order stricter.
fn reference(members: &Map<String, Value>) -> Option<(&str, &str)> {
    let both = members.len() == 2;
    Some((members.get("type")?.as_str()?, members.get("id")?.as_str()?)).filter(|_| both)
}

/// What serde says without its place.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(bare, _)| bare.to_owned())
}

/// The offset of a line and column, both from 1 on.
fn place_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let before = bytes.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    before.map(<[u8]>::len).sum::<usize>() + column.saturating_sub(1)
}

/// `FILE:LINE:COLUMN` of an offset.
fn position(name: &str, bytes: &[u8], offset: usize) -> String {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    format!("{name}:{line}:{column}")
}

#[cfg(test)]
mod tests;
