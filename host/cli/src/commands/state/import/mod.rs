//! `assent entity import`: many entities from files, some hundred in a change.
//!
//! The files are looked through first (`index`), so that nothing is sent where one is no list of entities, and put
//! into an order in which nothing refers to what is not there yet (`order`). INVARIANT (an import repeats): batches
//! and their idempotency keys follow from the files alone, so an import that was interrupted is repeated by the same
//! command, and what was done is not done twice.

mod index;
mod order;
mod progress;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail, ensure};
use assent_model::Digest;
use assent_outbound::service::{Ask, Method};
use serde_json::{Value, json};

use super::entity::{ENTITIES, uid};
use super::problem::Problem;
use super::{Session, json as parsed};
use index::{Entity, Index};
use order::{Order, order};
use progress::Progress;

/// Entities of a batch at most: as many as the service takes in a change.
pub const BATCH_MAX: u32 = 1_000;
/// Bytes of a batch: half of what the service takes if nobody told it otherwise.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// JSON values of a batch: half of what the service takes if nobody told it otherwise.
const BATCH_VALUES_MAX: usize = 10_000;
/// Digits of the digest that tells whether an import goes on with what it began with.
const MARK_DIGITS: usize = 8;

/// What is imported, and how.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// From which files.
    pub files: &'a [PathBuf],
    /// Entities of a batch at most.
    pub batch: u32,
    /// Go on at this place, as an import said it that was not finished.
    pub resume: Option<&'a str>,
    /// Make changes that the same import made before, too.
    pub again: bool,
}

/// An import under way.
struct Sending<'a> {
    session: &'a Session,
    index: &'a Index,
    order: &'a Order,
    /// Makes the keys others than before.
    salt: String,
    done: usize,
    /// Of these, those that the service said it had been asked for before.
    replayed: usize,
    changes: usize,
    version: u64,
}

/// Why a batch was not taken.
enum Stopped {
    Refused(Problem),
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Imports entities, and says how many.
///
/// # Errors
/// When a file cannot be read, or the service does not take a batch: what is wrong where, and how to go on.
pub fn import(session: &Session, import: &Import<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    ensure!((1..=BATCH_MAX).contains(&import.batch), "`--batch`: expected 1 to {BATCH_MAX}");
    let index = Index::read(import.files)?;
    let total = index.entities.len();
    ensure!(total > 0, "there are no entities in these files");
    let order = order(&index.references);
    ensure_circles_fit(&index, &order)?;
    let begin = import.resume.map(|place| resumed(&index, &order, place)).transpose()?.unwrap_or_default();
    let salt = if import.again { random()? } else { String::new() };
    let mut sending = Sending {
        session,
        index: &index,
        order: &order,
        salt,
        done: begin,
        replayed: 0,
        changes: 0,
        version: 0,
    };
    let mut progress = Progress::new(begin, total);
    while sending.done < total {
        let end = sending.batch_end(usize::try_from(import.batch)?);
        if let Err(stopped) = sending.send_all(end, &mut progress) {
            drop(progress);
            bail!(sending.stopped(stopped)?);
        }
    }
    drop(progress);
    sending.finished(begin, out)
}

/// A circle goes into one change, and the service takes no larger change than this.
fn ensure_circles_fit(index: &Index, order: &Order) -> anyhow::Result<()> {
    let mut from = 0;
    for end in &order.ends {
        let circle = order.entities.get(from..*end).unwrap_or_default();
        if circle.len() > BATCH_MAX as usize {
            let first = circle.first().and_then(|at| index.entities.get(*at));
            let place = first.map(|entity| index.place(entity)).unwrap_or_default();
            bail!(
                "{place}: {} entities, of which this is the first, refer to one another in a circle, and one change \
                 holds {BATCH_MAX}: import them without the references first\nnothing was imported",
                circle.len()
            );
        }
        from = *end;
    }
    Ok(())
}

impl Sending<'_> {
    fn entity(&self, position: usize) -> anyhow::Result<&Entity> {
        let at = self.order.entities.get(position);
        at.and_then(|at| self.index.entities.get(*at)).context("no such entity")
    }

    /// Where the batch ends that begins where the import is: behind as many circles as fit, or behind one.
    fn batch_end(&self, entities_max: usize) -> usize {
        let first = self.order.ends.partition_point(|end| *end <= self.done);
        let ends = self.order.ends.get(first..).unwrap_or_default();
        let (mut at, mut bytes, mut values) = (self.done, 0, 0);
        for end in ends {
            let circle = self.order.entities.get(at..*end).unwrap_or_default();
            for entity in circle.iter().filter_map(|at| self.index.entities.get(*at)) {
                bytes += entity.bytes + r#"{"put":},"#.len();
                values += entity.values;
            }
            let fits =
                end - self.done <= entities_max && bytes <= BATCH_BYTES_MAX && values <= BATCH_VALUES_MAX;
            if !fits && at > self.done {
                break;
            }
            at = *end;
        }
        at
    }

    /// Sends everything up to here, in smaller parts where the service finds it too large.
    fn send_all(&mut self, end: usize, progress: &mut Progress) -> Result<(), Stopped> {
        let mut ends = vec![end];
        while let Some(end) = ends.last().copied() {
            match self.send(end) {
                Ok(()) => drop(ends.pop()),
                Err(Stopped::Refused(problem)) if problem.status == 413 => match self.middle(end) {
                    Some(middle) => ends.push(middle),
                    None => return Err(Stopped::Refused(problem)),
                },
                Err(stopped) => return Err(stopped),
            }
            progress.show(self.done);
        }
        Ok(())
    }

    /// Where a batch can be cut nearest to its middle; `None` where it is one circle.
    fn middle(&self, end: usize) -> Option<usize> {
        let half = self.done + (end - self.done) / 2;
        let after = self.order.ends.partition_point(|cut| *cut < half);
        let near = [after.checked_sub(1), Some(after)].map(|at| self.order.ends.get(at?).copied());
        let inside = near.into_iter().flatten().filter(|cut| *cut > self.done && *cut < end);
        inside.min_by_key(|cut| cut.abs_diff(half))
    }

    /// Sends what is from here to this end as one change.
    fn send(&mut self, end: usize) -> Result<(), Stopped> {
        let mut body = br#"{"changes":["#.to_vec();
        for position in self.done..end {
            let comma = if position > self.done { "," } else { "" };
            body.extend_from_slice(format!(r#"{comma}{{"put":"#).as_bytes());
            body.extend_from_slice(&self.index.json(self.entity(position)?)?);
            body.push(b'}');
        }
        body.extend_from_slice(b"]}");
        let place = self.done.to_string();
        let key = Digest::of_parts([b"import", self.salt.as_bytes(), place.as_bytes(), &body]).to_string();
        let path = self.session.path([ENTITIES]);
        let ask = Ask { method: Method::Post, path, key: Some(key), body: Some(body), ..Ask::default() };
        let answer = self.session.try_ask(&ask)?.map_err(Stopped::Refused)?;
        self.version = parsed(&answer)?.get("version").and_then(Value::as_u64).context("no version")?;
        if answer.header("idempotent-replayed").is_some() {
            self.replayed += end - self.done;
        }
        self.changes += 1;
        self.done = end;
        Ok(())
    }

    /// What is said where a batch is not taken: what is wrong, where, how far it came, and how to go on.
    fn stopped(&self, stopped: Stopped) -> anyhow::Result<String> {
        let why = match stopped {
            Stopped::Refused(problem) if problem.status == 413 => {
                let end = self.order.ends.partition_point(|end| *end <= self.done);
                let end = self.order.ends.get(end).copied().unwrap_or(self.done);
                let what = match end - self.done {
                    1 => "this entity is".to_owned(),
                    more => format!("these {more} entities, which refer to one another in a circle, are"),
                };
                let place = self.named(self.done, "");
                format!(
                    "{}\n  {place}: {what} larger than one change may be",
                    problem.told(|pointer, _| pointer.to_owned())
                )
            }
            Stopped::Refused(problem) => problem.told(|pointer, detail| self.pointed(pointer, detail)),
            Stopped::Other(error) => format!("{error:#}"),
        };
        let total = self.order.entities.len();
        Ok(match self.done {
            0 => format!("{why}\nnothing of {total} entities was imported"),
            done => {
                let place = mark(self.index, self.order, done)?;
                format!(
                    "{why}\nimported {done} of {total} entities; when it is mended, go on by the same command with \
                     `--resume {place}`"
                )
            }
        })
    }

    /// Where in the files a pointer into the batch is; with the entity's name, unless that is said of it.
    fn pointed(&self, pointer: &str, detail: &str) -> String {
        let Some(rest) = pointer.strip_prefix("/changes/") else { return pointer.to_owned() };
        let (number, below) = rest.split_once('/').unwrap_or((rest, ""));
        let Ok(number) = number.parse::<usize>() else { return pointer.to_owned() };
        let place = self.named(self.done + number, detail);
        if below.is_empty() { place } else { format!("{place}: /{below}") }
    }

    /// The place of an entity, and its name unless this names it.
    fn named(&self, position: usize, detail: &str) -> String {
        let Ok(entity) = self.entity(position) else { return "an entity that was not sent".to_owned() };
        let place = self.index.place(entity);
        let json = self.index.json(entity).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
        match json.as_ref().and_then(uid) {
            Some((kind, id)) if !detail.contains(&format!("{kind}::\"{id}\"")) => {
                format!("{place}: {kind}/{id}")
            }
            Some(_) | None => place,
        }
    }

    fn finished(&self, begin: usize, out: &mut dyn Write) -> anyhow::Result<()> {
        let Self { done, replayed, changes, version, .. } = self;
        let imported = done - begin;
        if self.session.json {
            let told = json!({ "imported": imported, "unchanged": replayed, "changes": changes, "version": version });
            writeln!(out, "{told}")?;
            return Ok(());
        }
        let plural =
            |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
        let (entities, changes) =
            (plural(imported, "entity", "entities"), plural(*changes, "change", "changes"));
        writeln!(out, "imported {entities} in {changes}; the state is of version {version}")?;
        if *replayed > 0 {
            writeln!(
                out,
                "{replayed} of them had been imported by this import before, and were not changed again; `--again` \
                 changes them, too"
            )?;
        }
        Ok(())
    }
}

/// A place to go on at: how many entities are done, and a digest of these, so that it is noticed when the files were
/// changed before that place.
fn mark(index: &Index, order: &Order, done: usize) -> anyhow::Result<String> {
    let entities = order.entities.get(..done).context("fewer entities than that")?;
    let mut digests = String::new();
    for entity in entities.iter().filter_map(|at| index.entities.get(*at)) {
        digests.push_str(&entity.content.to_string());
    }
    let digest = Digest::of(digests.as_bytes()).to_string();
    Ok(format!("{done}-{}", digest.get(..MARK_DIGITS).unwrap_or_default()))
}

/// How many entities are done at a place that an import said.
fn resumed(index: &Index, order: &Order, place: &str) -> anyhow::Result<usize> {
    let expected =
        || format!("`--resume {place}`: expected the place as the import said it, such as 400-1f3a9c2e");
    let (done, _) = place.split_once('-').with_context(expected)?;
    let done: usize = done.parse().ok().with_context(expected)?;
    let same = done <= order.entities.len() && mark(index, order, done)? == place;
    ensure!(
        same,
        "`--resume {place}`: what was imported up to there is not what these files begin with now: import them from \
         the beginning, without `--resume`"
    );
    Ok(done)
}

fn random() -> anyhow::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| anyhow!("no random numbers: {error}"))?;
    Ok(hex::encode(random))
}
