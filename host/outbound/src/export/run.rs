//! The thread of an exporter: goes round its organizations, sends what there is, waits when there is nothing
//! or when something failed, and ends when the service does.
//!
//! A receiver that fails is tried again for ever, ever more rarely, and what is wrong is said and counted. One
//! that refuses records for what they are (400, 413, 422) gets smaller batches, down to one; then the records
//! behind that one are offered by themselves. If one of those is taken, the refused ones are set aside, durably,
//! said and counted, and offered again from time to time; if none is, nothing is set aside, and the exporter
//! stands still, saying so. INVARIANT (at least once): see [`Feed::delivered`].

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use assent_audit::logs::Logs;
use tokio::sync::watch;

use super::collector::{self, Answered};
use super::definition::{Destination, Exporter};
use super::error::{DefinitionError, Failure};
use super::feed::{Feed, Most};
use super::file::Appended;
use super::pace::Pace;
use super::state::{State, Told};
use super::syslog;
use super::trouble::Trouble;

/// How many records in a row are offered by themselves before a receiver is held to refuse everything.
const OFFERED_MAX: usize = 8;
/// How many records that were set aside are offered again at once.
const OFFERED_AGAIN_MAX: usize = 20;

/// What the operator is told, a line at a time.
pub type Say = fn(&str);

enum Receiver {
    File(Appended),
    Syslog(syslog::Collector),
    Http(collector::Collector),
}

/// An exporter whose files were read and found well; see [`prepare`].
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Prepared {
    exporter: Exporter,
    receiver: Receiver,
}

/// Reads what an exporter needs: certificates, keys, the file it appends to. Opens no connection.
///
/// # Errors
/// What is missing, or not what it should be.
pub fn prepare(exporter: Exporter) -> Result<Prepared, DefinitionError> {
    exporter.check()?;
    let receiver = match &exporter.to {
        Destination::File(path) => Receiver::File(Appended::new(path)?),
        Destination::Syslog { host, port, tls } => {
            Receiver::Syslog(syslog::Collector::new(&exporter, host, *port, *tls)?)
        }
        Destination::Http(url) => Receiver::Http(collector::Collector::new(&exporter, url)?),
    };
    Ok(Prepared { exporter, receiver })
}

/// An exporter that runs on a thread of its own. Ends it when dropped.
#[derive(Debug)]
pub struct Running {
    exporter: Exporter,
    told: Arc<Told>,
    logs: LogsHandle,
    stop: watch::Sender<Option<Duration>>,
    /// Gone once it was waited for.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// For `Debug`.
struct LogsHandle(Arc<Logs>);

impl std::fmt::Debug for LogsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logs")
    }
}

impl Prepared {
    /// Starts it beside the logs that it follows.
    ///
    /// # Errors
    /// When there is no thread, or its cursors cannot be read: to guess would lose records.
    pub fn start(self, logs: &Arc<Logs>, pace: Pace, say: Say) -> Result<Running, Failure> {
        let Self { exporter, receiver } = self;
        let mut feeds = vec![];
        for organization in &exporter.organizations {
            feeds.push(Feed::open(&exporter, logs, organization, pace.batch_records)?);
        }
        let told = Told {
            organizations: exporter.organizations.iter().map(|id| (id.clone(), Default::default())).collect(),
            ..Told::default()
        };
        let told = Arc::new(told);
        let (stop, stopped) = watch::channel(None);
        let pump = Pump {
            name: format!("exporter `{}`", exporter.id),
            feeds,
            receiver,
            told: Arc::clone(&told),
            pace,
            say,
            stopped,
            trouble: Trouble::default(),
            offered_again: None,
        };
        pump.tell();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::Thread)?;
        let thread = std::thread::Builder::new().name(format!("export-{}", exporter.id));
        let thread = thread.spawn(move || runtime.block_on(pump.run_until_stopped()));
        let thread = Mutex::new(Some(thread.map_err(Failure::Thread)?));
        Ok(Running { exporter, told, logs: LogsHandle(Arc::clone(logs)), stop, thread })
    }
}

impl Running {
    /// The exporter.
    pub const fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    /// How it is doing.
    pub fn state(&self) -> State {
        let mut state = self.told.state(&self.exporter.id, &self.logs.0);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // One that panicked says nothing any more; the hook said where.
        let ended = thread.as_ref().is_some_and(JoinHandle::is_finished);
        state.failing |= ended && self.stop.borrow().is_none();
        state
    }

    /// Asks it to end once all is delivered, or something fails, or this long has passed. Does not wait.
    pub fn end(&self, grace: Duration) {
        self.stop.send_replace(Some(grace));
    }

    /// Waits until it has ended.
    pub fn wait_for_end(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // One that panicked has ended too; its place is said by the hook.
            drop(thread.join());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stop.borrow().is_none() {
            self.end(Duration::ZERO);
        }
        self.wait_for_end();
    }
}

struct Pump {
    name: String,
    feeds: Vec<Feed>,
    receiver: Receiver,
    told: Arc<Told>,
    pace: Pace,
    say: Say,
    stopped: watch::Receiver<Option<Duration>>,
    trouble: Trouble,
    /// When records that were set aside were offered last.
    offered_again: Option<Instant>,
}

/// How far a round got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Round {
    /// There was nothing to do. That says nothing of a receiver that failed before.
    Idle,
    /// Records are on their way; whether they arrive is not known yet.
    Sent,
    /// Records were delivered.
    Delivered,
}

impl Pump {
    async fn run_until_stopped(mut self) {
        let mut stopped = self.stopped.clone();
        let grace = async move {
            // The sender is gone only with whoever would wait for this thread.
            let asked = stopped.wait_for(Option::is_some).await.ok().and_then(|asked| *asked);
            tokio::time::sleep(asked.unwrap_or_default()).await;
        };
        tokio::select! {
            () = self.run() => {}
            () = grace => {}
        }
    }

    async fn run(&mut self) {
        loop {
            let round = self.round().await;
            let ending = self.stopped.borrow().is_some();
            match round {
                Ok(Round::Idle) if ending => return self.tell(),
                Ok(Round::Idle) => {
                    self.tell();
                    self.pause(self.pace.look_every).await;
                }
                Ok(Round::Sent) => self.tell(),
                Ok(Round::Delivered) => {
                    let over = self.trouble.is_over();
                    self.say_if(over);
                    self.tell();
                }
                Err(failure) => {
                    self.told.failures.fetch_add(1, Ordering::Relaxed);
                    let told = self.trouble.failed(&failure, &self.pace, Instant::now());
                    self.say_if(told.as_deref());
                    self.tell();
                    if ending {
                        return;
                    }
                    self.pause(self.trouble.wait(Instant::now())).await;
                }
            }
        }
    }

    /// Waits this long, or until it is asked to end.
    async fn pause(&mut self, wait: Duration) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stopped.wait_for(Option::is_some) => {}
        }
    }

    /// Sends of each organization what there is, at most one batch.
    async fn round(&mut self) -> Result<Round, Failure> {
        let mut round = Round::Idle;
        for index in 0..self.feeds.len() {
            match self.step(index).await {
                Ok(step) => round = round.max(step),
                // The other organizations' records go on.
                Err(failure) if failure.is_of_one_organization() => self.organization_failed(index, &failure),
                Err(failure) => {
                    self.forget_sent();
                    // Nobody else is tried now; that something waits, and since when, is known all the same.
                    for feed in self.feeds.iter_mut().skip(index) {
                        // What is wrong with a log comes again when its turn comes.
                        drop(feed.fill(Most { records: 1, bytes: 1 }));
                    }
                    return Err(failure);
                }
            }
        }
        if self.confirm(round).await? {
            round = Round::Delivered;
        }
        self.offer_again().await?;
        Ok(round)
    }

    fn organization_failed(&mut self, index: usize, failure: &Failure) {
        self.told.failures.fetch_add(1, Ordering::Relaxed);
        let Some(feed) = self.feeds.get_mut(index) else { return };
        let told = feed.trouble.failed(failure, &self.pace, Instant::now());
        let told = told.map(|told| format!("records of `{}`: {told}", feed.organization()));
        self.say_if(told.as_deref());
    }

    fn most(&self) -> Most {
        let records = match self.receiver {
            Receiver::Syslog(_) => self.pace.window_records,
            Receiver::File(_) | Receiver::Http(_) => self.pace.batch_records,
        };
        // What is unconfirmed over syslog is held as well.
        let bytes = match self.receiver {
            Receiver::Syslog(_) => self.pace.batch_bytes.saturating_mul(8),
            Receiver::File(_) | Receiver::Http(_) => self.pace.batch_bytes,
        };
        Most { records, bytes }
    }

    async fn step(&mut self, index: usize) -> Result<Round, Failure> {
        let most = self.most();
        let Self { feeds, receiver, pace, say, name, .. } = self;
        let Some(feed) = feeds.get_mut(index) else { return Ok(Round::Idle) };
        if !feed.trouble.wait(Instant::now()).is_zero() {
            return Ok(Round::Idle);
        }
        feed.fill(most)?;
        if let Some(note) = feed.note.take() {
            say(&format!("{name}: {note}"));
        }
        let batch = Most { records: pace.batch_records, bytes: pace.batch_bytes };
        let items = feed.waiting(batch);
        let count = items.len();
        if count == 0 {
            return Ok(Round::Idle);
        }
        match receiver {
            Receiver::File(file) => {
                file.append(items)?;
                self.delivered(index, count, &[])?;
            }
            Receiver::Syslog(collector) => {
                collector.send(items, pace).await?;
                feed.on_their_way += count;
                return Ok(Round::Sent);
            }
            Receiver::Http(collector) => {
                let Answered { count: answered, refused, failure } = collector.send(items, pace).await;
                self.delivered(index, answered, &refused)?;
                match failure {
                    None => {}
                    Some(Failure::Refused { .. }) if count > 1 && answered < count => {
                        self.smaller_batch(index, (count - answered).div_ceil(2));
                        return Ok(if answered > 0 { Round::Delivered } else { Round::Sent });
                    }
                    Some(Failure::Refused { status }) => self.offer_each(index, status).await?,
                    Some(failure) => return Err(failure),
                }
            }
        }
        Ok(Round::Delivered)
    }

    /// Notes what was delivered; after a smaller batch, the next may be larger again.
    fn delivered(&mut self, index: usize, count: usize, refused: &[usize]) -> Result<(), Failure> {
        let Some(feed) = self.feeds.get_mut(index) else { return Ok(()) };
        if count == 0 {
            return Ok(());
        }
        feed.delivered(count, refused)?;
        feed.batch = feed.batch.saturating_mul(2).min(self.pace.batch_records);
        let organization = feed.organization().clone();
        let over = feed.trouble.is_over();
        let over = over.map(|over| format!("records of `{organization}`: {over}"));
        self.say_if(over.as_deref());
        if let Some((_, told)) = self.told.organizations.get(index) {
            told.sent.fetch_add((count - refused.len()) as u64, Ordering::Relaxed);
        }
        if !refused.is_empty() {
            self.say(&format!(
                "the receiver refuses {} records of `{organization}` and takes others; they are set aside and \
                 offered again later: `assent audit exporters` names them",
                refused.len()
            ));
        }
        Ok(())
    }

    fn smaller_batch(&mut self, index: usize, batch: usize) {
        if let Some(feed) = self.feeds.get_mut(index) {
            feed.batch = batch.max(1);
        }
    }

    /// The next record was refused by itself. Offers those behind it by themselves, until one is taken.
    async fn offer_each(&mut self, index: usize, status: u16) -> Result<(), Failure> {
        let mut taken = None;
        {
            let Self { feeds, receiver: Receiver::Http(collector), pace, .. } = self else { return Ok(()) };
            let Some(feed) = feeds.get(index) else { return Ok(()) };
            for (place, item) in feed.held().enumerate().skip(1).take(OFFERED_MAX) {
                match collector.send(std::slice::from_ref(item), pace).await.failure {
                    None => {
                        taken = Some(place);
                        break;
                    }
                    Some(Failure::Refused { .. }) => {}
                    Some(failure) => return Err(failure),
                }
            }
        }
        let Some(taken) = taken else { return Err(Failure::Refused { status }) };
        let refused: Vec<usize> = (0..taken).collect();
        self.delivered(index, taken + 1, &refused)
    }

    /// Has what is on its way over syslog confirmed, where it is time. Whether anything was.
    async fn confirm(&mut self, round: Round) -> Result<bool, Failure> {
        let most = self.most();
        let full = self.feeds.iter().any(|feed| feed.is_full(most) && feed.held().len() == feed.on_their_way);
        let ending = self.stopped.borrow().is_some() && round == Round::Idle;
        let Receiver::Syslog(collector) = &mut self.receiver else { return Ok(false) };
        if !collector.is_open() || !(full || ending || collector.is_due(self.pace.confirm_after)) {
            return Ok(false);
        }
        if let Err(failure) = collector.confirm(&self.pace).await {
            self.forget_sent();
            return Err(failure);
        }
        for index in 0..self.feeds.len() {
            let Some(feed) = self.feeds.get_mut(index) else { continue };
            let count = std::mem::take(&mut feed.on_their_way);
            if let Err(failure) = self.delivered(index, count, &[]) {
                // It arrived and could not be noted, so it is sent again. The other organizations' records go on.
                self.organization_failed(index, &failure);
            }
        }
        Ok(true)
    }

    /// Nothing on its way is known to have come through: it is sent again.
    fn forget_sent(&mut self) {
        for feed in &mut self.feeds {
            feed.on_their_way = 0;
        }
    }

    /// Offers some of what was set aside again, of each organization, where it is time.
    async fn offer_again(&mut self) -> Result<(), Failure> {
        if self.offered_again.is_some_and(|last| last.elapsed() < self.pace.offer_again_every) {
            return Ok(());
        }
        for index in 0..self.feeds.len() {
            let Self { feeds, receiver: Receiver::Http(collector), pace, .. } = self else { return Ok(()) };
            let Some(feed) = feeds.get_mut(index) else { continue };
            match offer_again(feed, collector, pace).await {
                Ok(()) => {}
                Err(failure) if failure.is_of_one_organization() => self.organization_failed(index, &failure),
                Err(failure) => return Err(failure),
            }
        }
        self.offered_again = Some(Instant::now());
        Ok(())
    }

    fn tell(&self) {
        let failing = self.trouble.lasts() || self.feeds.iter().any(|feed| feed.trouble.lasts());
        self.told.failing.store(failing, Ordering::Relaxed);
        for (feed, (_, told)) in self.feeds.iter().zip(&self.told.organizations) {
            feed.tell(told);
        }
    }

    fn say_if(&self, what: Option<&str>) {
        if let Some(what) = what {
            self.say(what);
        }
    }

    fn say(&self, what: &str) {
        (self.say)(&format!("{}: {what}", self.name));
    }
}

/// Offers some of what was set aside, those first whose turn it is.
async fn offer_again(feed: &mut Feed, collector: &collector::Collector, pace: &Pace) -> Result<(), Failure> {
    for place in feed.next_set_aside(OFFERED_AGAIN_MAX) {
        let Some(item) = feed.fetch(place)? else {
            feed.done_with(place)?;
            continue;
        };
        match collector.send(std::slice::from_ref(&item), pace).await.failure {
            None => feed.done_with(place)?,
            Some(Failure::Refused { .. }) => {}
            Some(failure) => return Err(failure),
        }
    }
    Ok(())
}
