//! A recorded decision, made again from the log alone and compared byte for byte.
//!
//! INVARIANT (a decision replays): the release and its facts are built again of what the log archived; their
//! digests must be the recorded ones; and question, caller and clock are in the record. So the answer must be
//! the recorded one, today and in years. Whatever differs is an [`Alarm`]: the log, the software or the machine
//! is not what it was. What is merely not there, or depended on how busy the machine was, is [`NotTried`], and
//! never passes for the same.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use assent_audit::archive::{Archive, ArchiveError, File};
use assent_audit::record::{DecisionEvent, Event, Outcome, Record};
use assent_audit::shelf::{self, Archived, Place, Shelf, ShelfError};
use assent_model::{Digest, Instant, OrganizationId};
use assent_store::Document;

use crate::combine::ProblemCode;
use crate::decide::{Question, judge};
use crate::describe;
use crate::release::Release;
use crate::state::{document_of, lay_over};

/// Builds a release of the files that an archive holds, in memory: patients are among them.
pub trait Rebuild: Send + Sync + fmt::Debug {
    /// The release with its facts.
    ///
    /// # Errors
    /// When this software cannot build it.
    fn rebuild(&self, files: Vec<File>) -> Result<Release, RebuildError>;
}

/// Why a release cannot be built of an archive. For the operator: it may quote what is wrong in a file, so it
/// is not for a log, and `Debug` does not print it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RebuildError(pub String);

impl fmt::Debug for RebuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RebuildError(<redacted>)")
    }
}

/// What came of a decision that was to be made again.
#[derive(Clone, Debug)]
pub enum Replayed {
    /// The same answer, byte for byte.
    Same,
    /// Something is not what it was.
    Alarm(Alarm),
    /// It was not made again, or what came out says nothing.
    NotTried(NotTried),
}

/// What is not what it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Alarm {
    /// Another answer.
    #[error("the decision comes out differently: recorded {recorded}, now {again}")]
    Decision {
        /// The digest of the recorded answer.
        recorded: Digest,
        /// The digest of the answer now.
        again: Digest,
    },
    /// The archived files make another release.
    #[error(
        "the archived release is another one: recorded {recorded}, built {built} (archived by assent {software})"
    )]
    Release {
        /// As recorded.
        recorded: Digest,
        /// As built.
        built: Digest,
        /// The version that archived it.
        software: String,
    },
    /// The archived files make other facts.
    #[error(
        "the archived facts are others: recorded {recorded}, built {built} (archived by assent {software})"
    )]
    Facts {
        /// As recorded.
        recorded: Digest,
        /// As built.
        built: Digest,
        /// The version that archived them.
        software: String,
    },
    /// The decision or the archive is another organization's.
    #[error("the {what} is of `{found}`, in the log of `{expected}`")]
    Organization {
        /// `decision` or `archive`.
        what: &'static str,
        /// Whose it is.
        found: OrganizationId,
        /// Whose log it is in.
        expected: OrganizationId,
    },
    /// The archive does not hold.
    #[error("the archive does not hold")]
    Archive(#[source] Arc<ArchiveError>),
    /// This software cannot build what another built.
    #[error("the archived release cannot be built (archived by assent {software})")]
    Unbuildable {
        /// The version that archived it.
        software: String,
        /// Why not.
        #[source]
        source: RebuildError,
    },
}

impl Alarm {
    /// What differs, as a code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Decision { .. } => "decision",
            Self::Release { .. } => "release",
            Self::Facts { .. } => "facts",
            Self::Organization { .. } => "organization",
            Self::Archive(_) => "archive",
            Self::Unbuildable { .. } => "unbuildable",
        }
    }
}

/// Why a decision was not made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotTried {
    /// The log has no archive of its release with its facts.
    #[error("the year's log has no archive of this release with these facts")]
    NoArchive,
    /// The archive was never finished.
    #[error("the year's log has only a part of the archive")]
    Incomplete,
    /// The facts were those of a state that this node's logs do not have all changes of: another node made some, or
    /// they were let go.
    #[error("the logs do not have all changes of the state that it was made on")]
    NoState,
    /// A plugin ran out of time, or had no slot: then, or now.
    #[error("the answer depended on how busy the machine was")]
    Circumstances,
}

impl NotTried {
    /// Why, as a code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoArchive => "no-archive",
            Self::Incomplete => "incomplete-archive",
            Self::NoState => "no-state",
            Self::Circumstances => "circumstances",
        }
    }
}

/// The year of a log, and the digests of the release and of the facts in its files.
type Key = (i32, Digest, Digest);

/// Releases that were built again, and what came of those that could not be; the newest few.
#[derive(Debug)]
pub struct Releases {
    kept: VecDeque<(Key, Result<Arc<Release>, Replayed>)>,
    capacity: usize,
    history: History,
}

/// The changes of the state by their versions, and the newest state that was made of them: decisions are mostly made
/// again in their order, so that each needs only what changed since the one before.
#[derive(Debug, Default)]
struct History {
    version_to_place: BTreeMap<u64, Place>,
    newest: Option<(Key, u64, Arc<Release>)>,
}

impl Releases {
    /// Keeps so many. One can hold as much memory as the facts of an organization take.
    pub fn new(capacity: usize) -> Self {
        Self { kept: VecDeque::new(), capacity, history: History::default() }
    }

    /// The release that decided, with the facts of then, from the archive in the log of that year.
    fn get(
        &mut self,
        shelf: &Shelf,
        rebuild: &dyn Rebuild,
        key: Key,
    ) -> Result<Result<Arc<Release>, Replayed>, ShelfError> {
        let (year, release, facts) = key;
        if let Some(at) = self.kept.iter().position(|(kept, _)| *kept == key)
            && let Some(found) = self.kept.remove(at)
        {
            let result = found.1.clone();
            self.kept.push_back(found);
            return Ok(result);
        }
        // Room first: two of them may not fit into memory beside the third.
        while self.kept.len() >= self.capacity.max(1) {
            self.kept.pop_front();
        }
        let result = match shelf.archived(year, release, facts)? {
            Ok(Archived::Whole(archive)) => {
                let built = build(shelf.organization(), rebuild, archive, (release, facts));
                built.map(Arc::new).map_err(Replayed::Alarm)
            }
            Ok(Archived::Incomplete) => Err(Replayed::NotTried(NotTried::Incomplete)),
            Ok(Archived::None) => Err(Replayed::NotTried(NotTried::NoArchive)),
            Err(error) => Err(Replayed::Alarm(Alarm::Archive(Arc::new(error)))),
        };
        self.kept.push_back((key, result.clone()));
        Ok(result)
    }
}

fn build(
    expected: &OrganizationId,
    rebuild: &dyn Rebuild,
    Archive { about, files }: Archive,
    (release, facts): (Digest, Digest),
) -> Result<Release, Alarm> {
    let foreign = |found: &OrganizationId| Alarm::Organization {
        what: "archive",
        found: found.clone(),
        expected: expected.clone(),
    };
    if about.organization != *expected {
        return Err(foreign(&about.organization));
    }
    let software = about.software;
    let built = match rebuild.rebuild(files) {
        Err(source) => return Err(Alarm::Unbuildable { software, source }),
        Ok(built) => built,
    };
    if built.organization() != expected {
        return Err(foreign(built.organization()));
    }
    if built.digest() != release {
        return Err(Alarm::Release { recorded: release, built: built.digest(), software });
    }
    if built.snapshot().digest() != facts {
        return Err(Alarm::Facts { recorded: facts, built: built.snapshot().digest(), software });
    }
    Ok(built)
}

/// Makes a recorded decision again with what the log of its year archived. Blocks: reads the log, may build a
/// release, and runs plugins.
///
/// # Errors
/// When the log cannot be read.
pub fn replay(
    shelf: &Shelf,
    rebuild: &dyn Rebuild,
    releases: &mut Releases,
    (place, at, event): (Place, Instant, &DecisionEvent),
) -> Result<Replayed, ShelfError> {
    if event.organization != *shelf.organization() {
        return Ok(Replayed::Alarm(Alarm::Organization {
            what: "decision",
            found: event.organization.clone(),
            expected: shelf.organization().clone(),
        }));
    }
    let seen = event.facts.state;
    let key = (place.year, event.release, seen.map_or(event.facts.snapshot, |seen| seen.base));
    let release = match (releases.get(shelf, rebuild, key)?, seen) {
        (Err(without), _) => return Ok(without),
        (Ok(release), None) => release,
        (Ok(release), Some(seen)) => match releases.history.release(shelf, (key, &release), seen.version)? {
            Some(release) => release,
            None => return Ok(Replayed::NotTried(NotTried::NoState)),
        },
    };
    // The changes lead elsewhere: one of them is another node's of the same version.
    if release.snapshot().digest() != event.facts.snapshot {
        return Ok(Replayed::NotTried(NotTried::NoState));
    }
    Ok(again(&release, at, event))
}

impl History {
    /// A release on the state of this version; `None` where the logs do not have all that led to it.
    fn release(
        &mut self,
        shelf: &Shelf,
        (key, base): (Key, &Arc<Release>),
        version: u64,
    ) -> Result<Option<Arc<Release>>, ShelfError> {
        if version > 0 && !self.version_to_place.contains_key(&version) {
            self.look(shelf)?;
        }
        let newest = self.newest.take().filter(|(of, reached, _)| *of == key && *reached <= version);
        let (reached, start) = newest.map_or_else(|| (0, Arc::clone(base)), |(_, at, release)| (at, release));
        let mut documents = BTreeMap::new();
        for version in reached + 1..=version {
            let Some(place) = self.version_to_place.get(&version) else { return Ok(None) };
            let Some(entry) = shelf.entry(*place)? else { return Ok(None) };
            let (_, record) = shelf::decoded(place.year, &entry)?;
            let Event::StateChanged(change) = record.event else { return Ok(None) };
            // What is no name was never applied.
            for document in change.items.iter().filter_map(|item| document_of(item).ok()) {
                documents.insert(document.key.clone(), document);
            }
        }
        let documents: Vec<Document> = documents.into_values().collect();
        let Ok(release) = lay_over((base, &start), &documents, version).map(Arc::new) else {
            return Ok(None);
        };
        self.newest = Some((key, version, Arc::clone(&release)));
        Ok(Some(release))
    }

    /// Where each change is, of all that there are by now.
    fn look(&mut self, shelf: &Shelf) -> Result<(), ShelfError> {
        self.version_to_place.clear();
        for year in shelf.years()? {
            for entry in shelf.reader(year)?.entries(0).map_err(ShelfError::from)? {
                let (place, record) = shelf::decoded(year, &entry.map_err(ShelfError::from)?)?;
                if let Event::StateChanged(change) = record.event
                    && !change.items.is_empty()
                {
                    self.version_to_place.insert(change.version, place);
                }
            }
        }
        Ok(())
    }
}

/// Makes a recorded decision again with this release, which must be the one that decided; `None` where its
/// digest, or that of its facts, is another.
pub fn replay_with(release: &Release, record: &Record) -> Option<Replayed> {
    let event = record.decision()?;
    let is_the_one = release.organization() == &event.organization
        && release.digest() == event.release
        && release.snapshot().digest() == event.facts.snapshot
        && release.state().map(|state| state.seen) == event.facts.state;
    is_the_one.then(|| again(release, record.at, event))
}

fn again(release: &Release, at: Instant, event: &DecisionEvent) -> Replayed {
    let question =
        Question { id: event.id.clone(), at, request: event.request.clone(), explain: event.explained };
    let decision = judge(release, &describe::caller_again(event), &question).decision;
    let outcome = describe::outcome(&decision);
    let (recorded, again) = (event.outcome.replay_bytes(), outcome.replay_bytes());
    if matches!((&recorded, &again), (Ok(recorded), Ok(again)) if recorded == again) {
        Replayed::Same
    } else if depends_on_the_machine(&event.outcome) || depends_on_the_machine(&outcome) {
        Replayed::NotTried(NotTried::Circumstances)
    } else {
        // What cannot be written was not recorded: it is another answer, with the digest of nothing.
        let digest = |bytes: Result<Vec<u8>, _>| Digest::of(&bytes.unwrap_or_default());
        Replayed::Alarm(Alarm::Decision { recorded: digest(recorded), again: digest(again) })
    }
}

/// Whether time, slots or memory of the machine are part of the answer, which is then a denial.
fn depends_on_the_machine(outcome: &Outcome) -> bool {
    let codes = [ProblemCode::Busy, ProblemCode::Stale, ProblemCode::Internal].map(ProblemCode::code);
    outcome.problems.iter().any(|problem| codes.contains(&problem.code.as_str()))
        || outcome.plugins.iter().any(|plugin| match &plugin.result {
            Ok(_) => false,
            Err(failure) => failure.kind.depends_on_the_machine(),
        })
}
