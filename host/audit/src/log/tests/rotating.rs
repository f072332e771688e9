//! Keys wrapped anew beside a log: nothing is lost, whenever it ends in the middle, and nobody is needed who
//! is not named.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::keys::{
    DataKey, Found, Identity, KeeperError, KeyError, Keys, Recovery, RewrapError, Rewrapped, TokenError,
    WrappedKey, look, rewrap,
};

/// `kek(new)`, with these former ones.
fn keys(new: u8, former: &[u8]) -> Arc<dyn KeyEncryption> {
    Arc::new(Keys::new(kek(new), former.iter().map(|byte| kek(*byte)).collect(), Recovery::default()))
}

impl Bench {
    /// The same log, used with another key.
    fn with_key(self, kek: Arc<dyn KeyEncryption>) -> Self {
        Self { config: Config { kek, ..self.config.clone() }, ..self }
    }

    fn rewrap(&self, kek: &dyn KeyEncryption) -> Result<Rewrapped, RewrapError> {
        rewrap(self.path(), self.verifier(), kek, &mut |_| {})
    }

    fn look(&self, kek: &dyn KeyEncryption) -> Found {
        look(self.path(), self.verifier(), kek, &mut |_| {}).unwrap()
    }

    fn segments(&self) -> u64 {
        fs::read_dir(self.path().join("segments")).unwrap().count() as u64
    }
}

/// A log of several segments, closed.
fn written() -> (Bench, Vec<Vec<u8>>) {
    let bench = Bench::new();
    let records = records(300);
    bench.write(&records);
    bench.write(&records);
    assert!(bench.segments() > 3);
    (bench, [records.clone(), records].concat())
}

#[test]
fn rewrapped_keys_open_the_same_records() {
    let (bench, records) = written();
    let before = bench.snapshot();
    let done = bench.rewrap(keys(2, &[1]).as_ref()).unwrap();
    assert_eq!((done.rewrapped, done.already, done.failed), (bench.segments(), 0, 0));
    let is_data = |path: &&PathBuf| !path.starts_with(bench.path().join("keys"));
    let after = bench.snapshot();
    assert!(before.iter().filter(|(path, _)| is_data(path)).all(|(path, bytes)| after[path] == *bytes));
    assert!(bench.look(kek(2).as_ref()).is_complete());
    bench.verify().unwrap();

    let again = bench.rewrap(keys(2, &[1]).as_ref()).unwrap();
    assert_eq!((again.rewrapped, again.already), (0, bench.segments()));
    let bench = bench.with_key(kek(2));
    assert_eq!(bench.records().unwrap(), records);
    bench.open().unwrap();
}

#[test]
fn a_log_opens_with_former_keys_and_looking_tells_who_needs_them() {
    let (bench, mut all) = written();
    let old = bench.segments();
    let bench = bench.with_key(keys(2, &[9, 1]));
    all.extend(records(3));
    bench.write(&records(3));
    assert_eq!(bench.records().unwrap(), all);
    let found = bench.look(kek(2).as_ref());
    assert_eq!((found.opened, found.is_complete()), (bench.segments() - old, false));
    assert_eq!(found.other, BTreeMap::from([(kek(1).id().to_owned(), old)]));
    assert!(bench.with_key(kek(2)).records().is_err());
}

/// Wraps so often, and is then out of reach.
#[derive(Default)]
struct Flaky {
    left: AtomicUsize,
    refused: AtomicUsize,
}

impl KeyEncryption for Flaky {
    fn id(&self) -> &str {
        "flaky"
    }

    fn wrap(&self, key: &DataKey, context: &[u8]) -> Result<Vec<u8>, KeeperError> {
        let left = self.left.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(TokenError::NoToken { token: "flaky".into(), seen: "none".into() }.into());
        }
        kek(2).wrap(key, context)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey, KeeperError> {
        kek(2).unwrap(wrapped, context)
    }
}

fn flaky(wraps: usize) -> Arc<Flaky> {
    Arc::new(Flaky { left: wraps.into(), ..Flaky::default() })
}

#[test]
fn a_rewrap_that_ended_anywhere_in_the_middle_goes_on() {
    let (bench, _) = written();
    let start = bench.snapshot();
    for wraps in 0..bench.segments() as usize {
        bench.restore(&start);
        let keys = Arc::new(Keys::new(flaky(wraps), vec![kek(1)], Recovery::default()));
        let error = bench.rewrap(keys.as_ref()).unwrap_err();
        assert!(matches!(error, RewrapError::Key(KeyError::Wrap { .. })), "{error}");
        // What a crash while a file is replaced leaves behind.
        fs::write(bench.path().join("keys/0000000002.json.tmp"), b"half").unwrap();
        assert_eq!(bench.look(keys.as_ref()).opened, wraps as u64);
        let reader = Reader::new(bench.path(), bench.verifier(), Some(keys));
        assert!(reader.entries(0).unwrap().all(|entry| entry.is_ok()), "readable in between");

        let keys = Arc::new(Keys::new(flaky(usize::MAX), vec![kek(1)], Recovery::default()));
        let done = bench.rewrap(keys.as_ref()).unwrap();
        assert_eq!((done.already, done.already + done.rewrapped), (wraps as u64, bench.segments()));
        assert!(bench.look(flaky(0).as_ref()).is_complete());
    }
}

/// A sealing key that wraps something else than it is given.
struct Unfaithful;

impl KeyEncryption for Unfaithful {
    fn id(&self) -> &str {
        "unfaithful"
    }

    fn wrap(&self, _: &DataKey, context: &[u8]) -> Result<Vec<u8>, KeeperError> {
        kek(2).wrap(&DataKey::generate().unwrap(), context)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey, KeeperError> {
        kek(2).unwrap(wrapped, context)
    }
}

#[test]
fn a_key_that_would_not_open_again_takes_the_place_of_none() {
    let (bench, all) = written();
    let keys = Keys::new(Arc::new(Unfaithful), vec![kek(1)], Recovery::default());
    let error = bench.rewrap(&keys).unwrap_err();
    let unfaithful = |error: &KeyError| {
        matches!(error, KeyError::Wrap { source: KeeperError::Unfaithful, segment: 1, .. })
    };
    assert!(matches!(&error, RewrapError::Key(error) if unfaithful(error)), "{error}");
    assert_eq!(bench.records().unwrap(), all);
}

#[test]
fn a_rewrap_beside_a_service_loses_nothing() {
    let (bench, mut all) = written();
    let bench = bench.with_key(keys(2, &[1]));
    let (log, _) = bench.open().unwrap();
    let more = records(400);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| append_each(&log, &more));
        while !writer.is_finished() {
            bench.rewrap(bench.config.kek.as_ref()).unwrap();
        }
        writer.join().unwrap();
    });
    log.close().unwrap();
    all.extend(more);
    bench.rewrap(bench.config.kek.as_ref()).unwrap();
    assert!(bench.look(kek(2).as_ref()).is_complete());
    let bench = bench.with_key(kek(2));
    assert_eq!(bench.records().unwrap(), all);
    bench.verify().unwrap();
}

#[test]
fn a_service_that_still_has_the_former_key_must_start_again_first() {
    let (bench, _) = written();
    let (log, _) = bench.open().unwrap();
    let refused = bench.rewrap(keys(2, &[1]).as_ref());
    assert!(matches!(refused, Err(RewrapError::ServiceHasFormerKey { .. })), "{refused:?}");
    log.close().unwrap();
    drop(log);
    assert_eq!(bench.rewrap(keys(2, &[1]).as_ref()).unwrap().failed, 0);
}

#[test]
fn two_rewraps_exclude_one_another() {
    let (bench, _) = written();
    let _held = disk::lock(&bench.path().join("keys/lock")).unwrap();
    assert!(matches!(bench.rewrap(keys(2, &[1]).as_ref()), Err(RewrapError::Locked { .. })));
}

#[test]
fn the_key_of_a_segment_that_never_began_is_left_alone() {
    let (bench, _) = written();
    // A service that starts now gives this number a new key; wrapping the old one anew could take its place.
    let last = bench.path().join(format!("keys/{:010}.json", bench.segments() + 1));
    let before = fs::read(&last).unwrap();
    bench.rewrap(keys(2, &[1]).as_ref()).unwrap();
    assert_eq!(fs::read(&last).unwrap(), before);
    assert!(bench.look(kek(2).as_ref()).is_complete(), "and nobody needs it");
}

#[test]
fn a_key_that_does_not_open_keeps_no_other_from_being_wrapped() {
    let (bench, _) = written();
    fs::remove_file(bench.path().join("keys/0000000001.json")).unwrap();
    fs::copy(bench.path().join("keys/0000000003.json"), bench.path().join("keys/0000000002.json")).unwrap();
    let done = bench.rewrap(keys(2, &[1]).as_ref()).unwrap();
    assert_eq!((done.rewrapped, done.failed), (bench.segments() - 2, 2));
    assert!(
        matches!(done.problems[..], [KeyError::Missing { .. }, KeyError::Damaged { .. }]),
        "{:?}",
        done.problems
    );
    let found = bench.look(kek(2).as_ref());
    assert!(found.failed == 2 && !found.is_complete());
    let refused = bench.rewrap(keys(3, &[]).as_ref()).unwrap();
    assert!(matches!(refused.problems[2], KeyError::OtherKek { .. }), "{:?}", refused.problems);
}

#[test]
fn a_segment_gets_its_key_once_its_keeper_is_back() {
    // One for the first segment; the second's fails when it is asked for ahead, and not when it is needed.
    let kek = flaky(1);
    let bench = Bench::new().with_key(kek.clone());
    let (log, _) = bench.open().unwrap();
    let deadline = Instant::now() + FOREVER;
    while kek.refused.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "nobody asked for the second key");
        std::thread::yield_now();
    }
    kek.left.store(usize::MAX, Ordering::SeqCst);
    append_each(&log, &records(300));
    assert!(bench.segments() > 2);
    log.close().unwrap();
}

#[test]
fn a_log_whose_next_segment_has_no_key_stops_and_says_why() {
    let kek = flaky(2);
    let bench = Bench::new().with_key(kek.clone());
    let (log, _) = bench.open().unwrap();
    let append = |record| runtime().block_on(log.append(record, Instant::now() + FOREVER));
    let mut receipts = 0;
    let refused = records(1000).into_iter().find_map(|record| {
        let refused = append(record).err();
        receipts += u64::from(refused.is_none());
        refused
    });
    let Some(AppendError::Failed(failure)) = refused else { panic!("{refused:?}") };
    let no_key = matches!(*failure, Failure::Key(KeyError::Wrap { source: KeeperError::Token(_), .. }));
    assert!(no_key, "{failure:?}");
    kek.left.store(usize::MAX, Ordering::SeqCst);
    assert!(append(records(1).remove(0)).is_err(), "a failed log stays failed");
    assert!(log.close().is_err());
    drop(log);
    assert_eq!(bench.open().unwrap().1.size, receipts, "all that was answered is there, and it goes on");
}

/// An identity of its own for each test, and its recipient, as the `age-keygen` command makes them.
fn age_pair() -> Option<(String, String)> {
    let made = std::process::Command::new("age-keygen").output().ok()?;
    let text = String::from_utf8(made.stdout).unwrap();
    let public = text.lines().find_map(|line| line.strip_prefix("# public key: "))?.to_owned();
    Some((text, public))
}

#[test]
fn who_has_the_recovery_identity_opens_a_log_whose_sealing_key_is_lost() {
    // Without `age-keygen` another test fails, where tests count.
    let (Some((identity, public)), Some((other, other_public))) = (age_pair(), age_pair()) else { return };
    let recovery = |recipients: &[&str], identity: Option<&str>| {
        let identities = identity.map(|text| Identity::parse_file(text).unwrap()).unwrap_or_default();
        Recovery::new(recipients, identities).unwrap()
    };
    let keys = |byte, former: &[u8], recovery| {
        Keys::new(kek(byte), former.iter().map(|byte| kek(*byte)).collect(), recovery)
    };
    // Segments from before there were recipients, and one with them.
    let (bench, mut all) = written();
    let bench = bench.with_key(Arc::new(keys(1, &[], recovery(&[&public], None))));
    bench.write(&records(2));
    all.extend(records(2));
    assert_eq!(bench.look(bench.config.kek.as_ref()).other_recipients, bench.segments() - 1);
    let lost = bench.rewrap(&keys(2, &[], recovery(&[], Some(&identity)))).unwrap();
    assert!(matches!(lost.problems[0], KeyError::NoRecovery { .. }) && lost.rewrapped == 1, "{lost:?}");

    // A rewrap gives them to all.
    bench.rewrap(&keys(1, &[2], recovery(&[&public], None))).unwrap();
    assert_eq!(bench.look(bench.config.kek.as_ref()).other_recipients, 0);

    let wrong = bench.rewrap(&keys(3, &[], recovery(&[], Some(&other)))).unwrap();
    assert!(matches!(wrong.problems[0], KeyError::Recover { .. }) && wrong.rewrapped == 0, "{wrong:?}");
    // The drill: only the identity is left. The new keys are for somebody else from now on.
    let done = bench.rewrap(&keys(3, &[], recovery(&[&other_public], Some(&identity)))).unwrap();
    assert_eq!((done.rewrapped, done.failed), (bench.segments(), 0));
    let bench = bench.with_key(kek(3));
    assert_eq!(bench.records().unwrap(), all);
    bench.verify().unwrap();
    bench.open().unwrap();
    assert_eq!(bench.rewrap(&keys(4, &[], recovery(&[], Some(&identity)))).unwrap().rewrapped, 0);
}

#[test]
fn a_key_file_names_no_former_key_by_itself() {
    let (bench, _) = written();
    let path = bench.path().join("keys/0000000001.json");
    let read = || {
        WrappedKey::read(&path, 1).unwrap().unwrap(
            &path,
            &layout::origin_hash(ORIGIN),
            keys(2, &[1]).as_ref(),
        )
    };
    let key = read().unwrap();
    bench.rewrap(keys(2, &[1]).as_ref()).unwrap();
    assert_eq!(read().unwrap().reveal(), key.reveal());
    assert!(!fs::read_to_string(&path).unwrap().contains(kek(1).id()));
}
