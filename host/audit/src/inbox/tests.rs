//! Letters with and without a writer, around crashes, and of strangers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use assent_model::EntityId;

use super::*;
use crate::keys::{DataKey, KeeperError, KeyEncryption, MasterKey};
use crate::record::tests::at;
use crate::record::{Actor, Retention, RetentionChange};
use crate::shelf::Shelf;

const NOW: &str = "2026-11-21T18:00:00Z";

struct Bench {
    _directory: tempfile::TempDir,
    config: LogsConfig,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = LogsConfig {
            directory: directory.path().to_owned(),
            name: "test.example".to_owned(),
            signing_seed: [7; 32].into(),
            kek: Arc::new(MasterKey::from_bytes(&[9; 32]).unwrap()),
        };
        Self { _directory: directory, config }
    }

    fn inbox(&self) -> Inbox {
        Inbox::new(self.config.clone(), organization())
    }

    fn logs(&self) -> Logs {
        Logs::open_briefly(self.config.clone(), [organization()], at(NOW)).unwrap().0
    }

    /// The letters of the records, and the holds' ids that they say.
    fn recorded(&self) -> Vec<(String, String)> {
        let shelf = Shelf::new(self.config.clone(), organization());
        let records = shelf.records().unwrap().map(|found| found.unwrap().1);
        records
            .filter_map(|record| match (record.letter, record.event) {
                (
                    Some(letter),
                    Event::Retention(Retention { change: RetentionChange::HoldPlaced(id), .. }),
                ) => Some((letter, id)),
                _ => None,
            })
            .collect()
    }
}

fn organization() -> OrganizationId {
    OrganizationId::new("riverside").unwrap()
}

fn event(id: &str) -> Event {
    Event::Retention(Retention {
        change: RetentionChange::HoldPlaced(id.to_owned()),
        by: Actor {
            entity: EntityId::new("Person", "ann"),
            caller: Some("cli".into()),
            address: None,
            account: None,
        },
        reason: "litigation".to_owned(),
        years: vec![],
        request: None,
        carried_from: None,
    })
}

fn ids(recorded: &[(String, String)]) -> Vec<&str> {
    recorded.iter().map(|(_, id)| id.as_str()).collect()
}

#[tokio::test]
async fn without_a_writer_the_command_records_by_itself() {
    let bench = Bench::new();
    for id in ["a", "b"] {
        bench.inbox().deliver(&event(id), at(NOW), DELIVERY_DEADLINE).await.unwrap();
    }
    assert_eq!(ids(&bench.recorded()), ["a", "b"]);
    assert!(bench.inbox().waiting().unwrap().is_empty());
}

#[tokio::test]
async fn with_a_writer_the_command_waits_until_it_took_the_letter() {
    let bench = Bench::new();
    let (inbox, logs) = (bench.inbox(), bench.logs());
    let announced = event("a");
    let deliver = inbox.deliver(&announced, at(NOW), DELIVERY_DEADLINE);
    let writer = async {
        while inbox.waiting().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(bench.recorded().is_empty());
        inbox.take_in(&logs, at(NOW)).await.unwrap()
    };
    let (delivered, taken) = tokio::join!(deliver, writer);
    delivered.unwrap();
    assert!(matches!(taken.as_slice(), [Taken { refused: None, .. }]));
    assert_eq!(ids(&bench.recorded()), ["a"]);
}

#[tokio::test]
async fn a_letter_that_nobody_takes_is_withdrawn_and_said_to_be_unrecorded() {
    let bench = Bench::new();
    let logs = bench.logs();
    let outcome = bench.inbox().deliver(&event("a"), at(NOW), Duration::ZERO).await;
    assert!(matches!(outcome, Err(InboxError::NotTaken { .. })));
    assert!(bench.inbox().waiting().unwrap().is_empty());
    assert!(bench.inbox().take_in(&logs, at(NOW)).await.unwrap().is_empty());
}

/// A letter that a writer has begun to record when its command gives up.
fn being_taken(bench: &Bench) -> String {
    let inbox = bench.inbox();
    let letter = inbox.post(&event("a")).unwrap();
    std::fs::rename(inbox.path(&letter, LETTER), inbox.path(&letter, TAKING)).unwrap();
    assert!(!inbox.withdraw(&letter).unwrap());
    letter
}

#[tokio::test]
async fn a_letter_that_is_being_recorded_is_waited_for_and_never_said_to_be_unrecorded() {
    let bench = Bench::new();
    let (inbox, logs) = (bench.inbox(), bench.logs());
    let given_up = || InboxError::NotTaken { seconds: 0 };
    let letter = being_taken(&bench);
    let (decided, taken) = tokio::join!(inbox.decided(&letter, given_up()), inbox.take_in(&logs, at(NOW)));
    assert_eq!(taken.unwrap().len(), 1);
    decided.unwrap();
    assert_eq!(ids(&bench.recorded()), ["a"]);

    // Whoever took it has ended: it is said that nobody knows, and whoever writes next records it.
    let letter = being_taken(&bench);
    let undecided = inbox.decided(&letter, given_up()).await;
    assert!(matches!(undecided, Err(InboxError::Undecided { .. })), "{undecided:?}");
    inbox.take_in(&logs, at(NOW)).await.unwrap();
    assert_eq!(ids(&bench.recorded()), ["a", "a"]);
}

#[tokio::test]
async fn a_crash_between_appending_and_removing_repeats_the_record_under_the_same_letter() {
    let bench = Bench::new();
    let logs = bench.logs();
    let letter = bench.inbox().post(&event("a")).unwrap();
    let path = bench.inbox().path(&letter, LETTER);
    let bytes = std::fs::read(&path).unwrap();
    bench.inbox().take_in(&logs, at(NOW)).await.unwrap();
    // As if it had not been removed yet.
    std::fs::write(&path, bytes).unwrap();
    logs.close().unwrap();
    drop(logs);
    bench.inbox().take_in(&bench.logs(), at(NOW)).await.unwrap();
    assert_eq!(bench.recorded(), [(letter.clone(), "a".to_owned()), (letter, "a".to_owned())]);
}

#[tokio::test]
async fn letters_are_taken_in_order_and_say_nothing_in_clear() {
    let bench = Bench::new();
    let logs = bench.logs();
    let mut posted = vec![];
    for n in 0..5 {
        let letter = bench.inbox().post(&event(&format!("case-{n}"))).unwrap();
        let bytes = std::fs::read(bench.inbox().path(&letter, LETTER)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("litigation"));
        posted.push(letter);
    }
    posted.sort();
    bench.inbox().take_in(&logs, at(NOW)).await.unwrap();
    let letters: Vec<_> = bench.recorded().into_iter().map(|(letter, _)| letter).collect();
    assert_eq!(letters, posted);
}

#[tokio::test]
async fn a_letter_of_a_stranger_is_set_aside_and_keeps_nobody_waiting() {
    let bench = Bench::new();
    let logs = bench.logs();
    let genuine = bench.inbox().post(&event("a")).unwrap();
    let bytes = std::fs::read(bench.inbox().path(&genuine, LETTER)).unwrap();
    let drop_in = |name: &str, bytes: &[u8]| std::fs::write(bench.inbox().path(name, LETTER), bytes).unwrap();
    // No letter; one under another name; one with a changed byte in each part; one of another key.
    drop_in("00000000000000-a", b"no letter");
    drop_in("00000000000000-b", &bytes);
    for (n, at) in (bytes.len() / 4..bytes.len() - 3).step_by(97).enumerate() {
        let mut changed = bytes.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        std::fs::write(bench.inbox().path(&genuine, ".copy"), &changed).unwrap();
        let opened = letter::open(
            &bench.inbox().origin(&genuine),
            &bench.inbox().path(&genuine, ".copy"),
            &changed,
            bench.config.kek.as_ref(),
        );
        assert!(opened.is_err(), "{n}: byte {at}");
    }
    let other =
        LogsConfig { kek: Arc::new(MasterKey::from_bytes(&[8; 32]).unwrap()), ..bench.config.clone() };
    let foreign = Inbox::new(other, organization()).post(&event("x")).unwrap();

    let taken = bench.inbox().take_in(&logs, at(NOW)).await.unwrap();
    assert_eq!(taken.iter().filter(|taken| taken.refused.is_some()).count(), 3);
    assert_eq!(bench.recorded(), [(genuine, "a".to_owned())]);
    assert!(bench.inbox().waiting().unwrap().is_empty());
    assert_eq!(bench.inbox().fate(&foreign).unwrap(), Fate::Refused);
}

#[tokio::test]
async fn an_inbox_that_is_gone_or_cannot_be_looked_at_says_nothing_of_its_letters() {
    for broken in [false, true] {
        let bench = Bench::new();
        let (inbox, _logs) = (bench.inbox(), bench.logs());
        let announced = event("a");
        let deliver = inbox.deliver(&announced, at(NOW), DELIVERY_DEADLINE);
        let breaking = async {
            while inbox.waiting().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            std::fs::remove_dir_all(inbox.directory()).unwrap();
            if broken {
                std::fs::write(inbox.directory(), "no directory").unwrap();
            }
        };
        let (delivered, ()) = tokio::join!(deliver, breaking);
        match delivered {
            Err(InboxError::NoInbox { .. }) => assert!(!broken),
            Err(InboxError::Disk(_)) => assert!(broken),
            other => panic!("{other:?}"),
        }
    }
}

/// A sealing key whose keeper is away, or is not.
struct Keeper {
    key: MasterKey,
    away: std::sync::atomic::AtomicBool,
}

impl KeyEncryption for Keeper {
    fn id(&self) -> &str {
        self.key.id()
    }

    fn wrap(&self, key: &DataKey, context: &[u8]) -> Result<Vec<u8>, KeeperError> {
        self.key.wrap(key, context)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey, KeeperError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(KeeperError::Library);
        }
        self.key.unwrap(wrapped, context)
    }
}

#[tokio::test]
async fn a_letter_waits_while_the_sealing_key_is_out_of_reach() {
    let mut bench = Bench::new();
    let key = MasterKey::from_bytes(&[9; 32]).unwrap();
    let keeper = Arc::new(Keeper { key, away: false.into() });
    bench.config.kek = Arc::clone(&keeper) as Arc<dyn KeyEncryption>;
    let logs = bench.logs();
    let letter = bench.inbox().post(&event("a")).unwrap();
    keeper.away.store(true, Ordering::SeqCst);
    let taken = bench.inbox().take_in(&logs, at(NOW)).await;
    assert!(matches!(taken, Err(InboxError::Keeper(_))));
    assert_eq!(bench.inbox().fate(&letter).unwrap(), Fate::Waiting);
    keeper.away.store(false, Ordering::SeqCst);
    bench.inbox().take_in(&logs, at(NOW)).await.unwrap();
    assert_eq!(ids(&bench.recorded()), ["a"]);
}

#[tokio::test]
async fn what_is_too_large_is_set_aside_and_keeps_nobody_waiting() {
    let bench = Bench::new();
    let logs = bench.logs();
    let mut noise = vec![0; 80_000];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    let noise = hex::encode(noise);
    // The longest event that fits a letter: with the letter's name beside it, it does not fit a record.
    let fits = |length: usize| bench.inbox().post(&event(&noise[..length]));
    let (mut low, mut high) = (0, noise.len());
    assert!(fits(high).is_err());
    while high - low > 1 {
        let middle = low.midpoint(high);
        match fits(middle) {
            Ok(letter) => {
                assert!(bench.inbox().withdraw(&letter).unwrap());
                low = middle;
            }
            Err(error) => {
                assert!(matches!(error, InboxError::Sealed(_)), "{error}");
                high = middle;
            }
        }
    }
    let large = fits(low).unwrap();
    let endless = bench.inbox().path("00000000000000-a", LETTER);
    std::fs::write(&endless, vec![b' '; letter::FILE_BYTES_MAX + 1]).unwrap();
    let small = bench.inbox().post(&event("a")).unwrap();
    bench.inbox().take_in(&logs, at(NOW)).await.unwrap();
    assert_eq!(bench.recorded(), [(small, "a".to_owned())]);
    for refused in [large.as_str(), "00000000000000-a"] {
        assert_eq!(bench.inbox().fate(refused).unwrap(), Fate::Refused);
    }
}
