//! How a record gets into a log that another process writes: as a letter in the organization's inbox.
//!
//! A command seals its event into a durable file in `<audit dir>/<organization>/inbox/`. Whoever writes the log
//! (the service, within a second; or the command itself, where none runs) appends the record and only then
//! removes the letter; the command waits for that. INVARIANT (record before act): [`Inbox::deliver`] is ready
//! only once the record is durable in the log; what the record announces is done after that, or not at all.
//! A crash between appending and removing appends a letter again, under the same
//! [`Record::letter`], by which readers know it (at least once). A letter was taken only if it can be seen that it is
//! not there any more: an inbox that cannot be looked at, or is gone itself, says nothing. A command that gives up
//! withdraws its letter; one that is being recorded has another name, and can only be waited for. So a name of a
//! letter never comes back once it is gone, and whoever looks for them in their order misses none.

mod error;
mod letter;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Monotonic};

use assent_model::{Instant, OrganizationId};

use crate::log::{AppendError, DiskError, OpenError, disk, is_being_written};
use crate::logs::{APPEND_DEADLINE, Logs, LogsConfig, LogsError};
use crate::record::{Event, Record};

pub use error::InboxError;

/// How long a command waits for its record: the service looks twice a second and appends in milliseconds.
pub const DELIVERY_DEADLINE: Duration = Duration::from_secs(10);
/// How often the writer of a log looks into its inbox.
pub const INBOX_INTERVAL: Duration = Duration::from_millis(500);
/// How often a command asks whether its letter was taken.
const ASK_INTERVAL: Duration = Duration::from_millis(50);
/// More letters than this wait for the next look, so that one look is bounded.
const LETTERS_MAX: usize = 100;
const LETTER: &str = ".letter";
/// Being recorded, or may have been by a writer that ended.
const TAKING: &str = ".taking";
const REFUSED: &str = ".refused";

/// The inbox of an organization's log.
#[derive(Clone)]
pub struct Inbox {
    config: LogsConfig,
    organization: OrganizationId,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inbox({})", self.organization)
    }
}

/// What became of a letter.
#[derive(Debug)]
pub struct Taken {
    /// Its id.
    pub letter: String,
    /// Why it was refused and set aside, if it was not recorded: it can never be read.
    pub refused: Option<InboxError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Waiting,
    Gone,
    Refused,
}

impl Inbox {
    /// The inbox of this organization.
    pub const fn new(config: LogsConfig, organization: OrganizationId) -> Self {
        Self { config, organization }
    }

    /// Has an event recorded, by whoever writes the log, or by opening it here where nobody does. Ready once the
    /// record is durable. Needs a tokio runtime with its timer on. `now` is the record's time where it is
    /// written here; a service uses its own.
    ///
    /// # Errors
    /// When the record is not known to be in the log after `wait`: what it announces must then not happen.
    /// [`InboxError::Undecided`] where it may come to be there all the same.
    pub async fn deliver(&self, event: &Event, now: Instant, wait: Duration) -> Result<(), InboxError> {
        let letter = self.post(event)?;
        match self.delivered(&letter, now, wait).await {
            Ok(()) => Ok(()),
            // Or it would be recorded later, of something that never happened.
            Err(error) if self.withdraw(&letter)? => Err(error),
            Err(error) => self.decided(&letter, error).await,
        }
    }

    /// Takes a letter back, durably; whether it was still there to be taken back.
    fn withdraw(&self, letter: &str) -> Result<bool, DiskError> {
        let was_there = disk::remove_existing(&self.path(letter, LETTER))?;
        if was_there {
            disk::sync_dir(&self.directory())?;
        }
        Ok(was_there)
    }

    /// What became of a letter that could not be taken back any more.
    async fn decided(&self, letter: &str, error: InboxError) -> Result<(), InboxError> {
        let patience = Monotonic::now() + APPEND_DEADLINE;
        loop {
            match self.fate(letter)? {
                Fate::Gone => return Ok(()),
                Fate::Refused => return Err(error),
                Fate::Waiting if Monotonic::now() >= patience => {
                    return Err(InboxError::Undecided { path: self.path(letter, TAKING) });
                }
                Fate::Waiting => tokio::time::sleep(ASK_INTERVAL).await,
            }
        }
    }

    async fn delivered(&self, letter: &str, now: Instant, wait: Duration) -> Result<(), InboxError> {
        let deadline = Monotonic::now() + wait;
        loop {
            match self.fate(letter)? {
                Fate::Gone => return Ok(()),
                Fate::Refused => return Err(InboxError::Refused { path: self.path(letter, REFUSED) }),
                Fate::Waiting if Monotonic::now() >= deadline => {
                    return Err(InboxError::NotTaken { seconds: wait.as_secs() });
                }
                Fate::Waiting => {}
            }
            if !self.somebody_writes()? {
                match self.write_here(now).await {
                    // Somebody was faster, and will take the letter.
                    Err(InboxError::Log(LogsError::Open { source, .. }))
                        if matches!(*source, OpenError::Locked { .. }) => {}
                    other => {
                        other?;
                        continue;
                    }
                }
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    }

    /// Drops a letter, durably; its id. Most want [`Self::deliver`], which waits until it was recorded.
    ///
    /// # Errors
    /// When it cannot be sealed or written, or this user is not the one that the logs belong to.
    pub fn post(&self, event: &Event) -> Result<String, InboxError> {
        let here = rustix::process::geteuid().as_raw();
        if let Ok(metadata) = std::fs::metadata(&self.config.directory)
            && metadata.uid() != here
        {
            let (directory, owner) = (self.config.directory.clone(), metadata.uid());
            return Err(InboxError::OtherUser { directory, owner, here });
        }
        let id = letter::new_id()?;
        let sealed = letter::seal(&self.origin(&id), event, self.config.kek.as_ref())?;
        disk::create_dir(&self.directory())?;
        disk::replace(&self.path(&id, LETTER), &sealed)?;
        Ok(id)
    }

    /// Appends what waits, oldest first, and removes each letter once its record is durable. For the one that
    /// writes the log. A letter that cannot be read is set aside, so that it does not keep others waiting.
    ///
    /// # Errors
    /// When the log takes no records: the letters wait.
    pub async fn take_in(&self, logs: &Logs, now: Instant) -> Result<Vec<Taken>, InboxError> {
        let mut taken = vec![];
        for letter in self.waiting()?.into_iter().take(LETTERS_MAX) {
            let refused = match self.record(&letter, logs, now).await {
                Ok(true) => {
                    disk::remove(&self.path(&letter, TAKING))?;
                    disk::sync_dir(&self.directory())?;
                    None
                }
                // Its command has given up meanwhile.
                Ok(false) => continue,
                Err(error) if error.is_of_the_letter() => {
                    let path = self.where_it_is(&letter)?;
                    disk::rename(&path, &self.path(&letter, REFUSED))?;
                    Some(error)
                }
                Err(error) => return Err(error),
            };
            taken.push(Taken { letter, refused });
        }
        Ok(taken)
    }

    /// Appends what a letter says; `false` if it was taken back before that.
    ///
    /// 1. It is opened. A crash, or a key out of reach, leaves a letter that waits and can be taken back.
    /// 2. It gets the name of one that is being taken. From here on nobody takes it back.
    /// 3. The record is appended. A crash leaves a letter that is appended again, under the same name.
    async fn record(&self, letter: &str, logs: &Logs, now: Instant) -> Result<bool, InboxError> {
        let path = self.where_it_is(letter)?;
        let event = match self.read(letter, &path) {
            Err(InboxError::Disk(error)) if error.is_not_found() => return Ok(false),
            read => read?,
        };
        let record = Record { letter: Some(letter.to_owned()), ..Record::new(now, event) };
        let record = record.encode().map_err(InboxError::Record)?;
        let log = logs.log(&self.organization, now)?;
        if let Some(failure) = log.status().failure {
            return Err(AppendError::Failed(failure).into());
        }
        match disk::rename(&path, &self.path(letter, TAKING)) {
            Err(error) if error.is_not_found() => return Ok(false),
            renamed => renamed?,
        }
        log.append(record, Monotonic::now() + APPEND_DEADLINE).await?;
        Ok(true)
    }

    /// Opens the log, takes everything in and closes it again.
    async fn write_here(&self, now: Instant) -> Result<(), InboxError> {
        let (logs, opened) = Logs::open_briefly(self.config.clone(), [self.organization.clone()], now)?;
        for event in opened.iter().filter_map(crate::logs::Opened::tail_discarded) {
            let record = Record::new(now, event).encode().map_err(InboxError::Record)?;
            let log = logs.log(&self.organization, now)?;
            log.append(record, Monotonic::now() + APPEND_DEADLINE).await?;
        }
        self.take_in(&logs, now).await?;
        logs.close().map_err(InboxError::Close)
    }

    /// Whether a process has the newest log open, as every writer has.
    fn somebody_writes(&self) -> Result<bool, InboxError> {
        let years = self.config.years(&self.organization).map_err(|source| LogsError::Directory {
            directory: self.config.directory.join(self.organization.as_str()),
            source,
        })?;
        let Some(newest) = years.last() else { return Ok(false) };
        Ok(is_being_written(&self.config.directory_of(&self.organization, *newest))?)
    }

    /// The letters that wait, oldest first.
    fn waiting(&self) -> Result<Vec<String>, InboxError> {
        let names = disk::names(&self.directory())?;
        let id = |name: &String| {
            name.strip_suffix(LETTER).or_else(|| name.strip_suffix(TAKING)).map(str::to_owned)
        };
        let mut letters: Vec<_> = names.iter().filter_map(id).collect();
        letters.sort_unstable();
        letters.dedup();
        Ok(letters)
    }

    /// The file that holds a letter.
    fn where_it_is(&self, letter: &str) -> Result<PathBuf, DiskError> {
        let taking = self.path(letter, TAKING);
        Ok(if disk::is_there(&taking)? { taking } else { self.path(letter, LETTER) })
    }

    fn read(&self, letter: &str, path: &Path) -> Result<Event, InboxError> {
        let bytes = match disk::read_small(path, letter::FILE_BYTES_MAX) {
            Err(error) if error.is_too_large() => {
                return Err(InboxError::Letter {
                    path: path.to_owned(),
                    what: "it is longer than any letter",
                });
            }
            read => read?,
        };
        letter::open(&self.origin(letter), path, &bytes, self.config.kek.as_ref())
    }

    fn fate(&self, letter: &str) -> Result<Fate, InboxError> {
        // In this order: a letter gets these names one after the other.
        if disk::is_there(&self.path(letter, LETTER))? || disk::is_there(&self.path(letter, TAKING))? {
            Ok(Fate::Waiting)
        } else if disk::is_there(&self.path(letter, REFUSED))? {
            Ok(Fate::Refused)
        } else if disk::is_there(&self.directory())? {
            Ok(Fate::Gone)
        } else {
            // Removed with the letter in it, or on a volume that is not mounted any more.
            Err(InboxError::NoInbox { directory: self.directory() })
        }
    }

    fn directory(&self) -> PathBuf {
        self.config.directory.join(self.organization.as_str()).join("inbox")
    }

    fn path(&self, letter: &str, suffix: &str) -> PathBuf {
        self.directory().join(format!("{letter}{suffix}"))
    }

    /// Ties a letter to its inbox and its name.
    fn origin(&self, letter: &str) -> String {
        format!("{}/audit/{}/inbox/{letter}", self.config.name, self.organization)
    }
}

#[cfg(test)]
mod tests;
