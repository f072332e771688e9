//! A deployment's logs with an exporter beside them, and what the receivers have in common.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Monotonic};

use assent_audit::logs::Logs;
use assent_audit::record::{Event, Record};
use assent_model::{DecisionId, Instant, OrganizationId};
use assent_outbound::export::{
    Destination, Exporter, ExporterId, Format, Pace, Prepared, Running, Standing, Start, prepare, standing,
};

pub(crate) use super::logs::PATIENCE;

/// What patients' records hold that must reach nobody but receivers.
pub(crate) const CANARIES: &[&str] = &["pat-553", "prac-778", "obs-91"];

/// Waits until something holds.
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Monotonic::now() + PATIENCE;
    while !holds() {
        assert!(Monotonic::now() < end, "this did not come about: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// In more of a hurry than a service.
pub(crate) fn pace() -> Pace {
    Pace {
        look_every: Duration::from_millis(2),
        wait_first: Duration::from_millis(2),
        wait_most: Duration::from_millis(20),
        asked_wait_most: Duration::from_millis(50),
        exchange: Duration::from_secs(20),
        confirm_after: Duration::from_millis(5),
        offer_again_every: PATIENCE,
        batch_records: 16,
        jitter: |wait| wait,
        ..Pace::default()
    }
}

static SAID: Mutex<Vec<String>> = Mutex::new(vec![]);

fn say(line: &str) {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
}

/// What the operator was told of the exporter with this id.
pub(crate) fn said(id: &str) -> Vec<String> {
    let said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.iter().filter(|line| line.starts_with(&format!("exporter `{id}`"))).cloned().collect()
}

pub(crate) fn clinic() -> OrganizationId {
    OrganizationId::new("clinic").unwrap()
}

pub(crate) fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

pub(crate) const DAY: &str = "2026-11-21T18:00:00Z";

/// Logs, and how many records they have.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) logs: Arc<Logs>,
    runtime: tokio::runtime::Runtime,
    written: Mutex<u64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(&[clinic()])
    }

    pub(crate) fn of(organizations: &[OrganizationId]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = super::logs::config(folder.path().join("audit"));
        let (logs, _) = Logs::open(config, organizations.iter().cloned(), at(DAY)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { folder, logs: Arc::new(logs), runtime, written: Mutex::new(0) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Records so many decisions of the clinic, each with the next id.
    pub(crate) fn record(&self, count: u64) {
        self.record_at(DAY, &clinic(), count);
    }

    pub(crate) fn record_at(&self, when: &str, organization: &OrganizationId, count: u64) {
        let log = self.logs.log(organization, at(when)).unwrap();
        for bytes in self.decisions(when, count) {
            self.append(&log, bytes);
        }
    }

    /// The next decisions, not yet recorded.
    pub(crate) fn decisions(&self, when: &str, count: u64) -> Vec<Vec<u8>> {
        let mut written = self.written.lock().unwrap();
        let first = *written;
        *written += count;
        (first..*written).map(|n| decision(when, n).encode().unwrap()).collect()
    }

    pub(crate) fn append(&self, log: &assent_audit::log::Log, bytes: Vec<u8>) {
        self.runtime.block_on(super::logs::append(log, bytes)).unwrap();
    }

    /// An exporter of the clinic's records that is not started yet.
    pub(crate) fn exporter(&self, id: &str, format: Format, to: &str) -> Exporter {
        Exporter {
            id: ExporterId::new(id).unwrap(),
            format,
            to: Destination::parse(to, self.folder.path()).unwrap(),
            authorities: None,
            identity: None,
            token: None,
            organizations: vec![clinic()],
            mandatory: false,
            from: Start::Beginning,
        }
    }

    pub(crate) fn start(&self, exporter: &Exporter) -> Running {
        self.start_at(exporter, pace())
    }

    pub(crate) fn start_at(&self, exporter: &Exporter, pace: Pace) -> Running {
        let prepared: Prepared = prepare(exporter.clone()).unwrap();
        prepared.start(&self.logs, pace, say).unwrap()
    }

    pub(crate) fn cursor(&self, id: &str) -> PathBuf {
        self.path("audit/clinic/exports").join(format!("{id}.cursor"))
    }

    pub(crate) fn standing(&self, id: &str) -> Standing {
        standing(self.logs.config(), &clinic(), &ExporterId::new(id).unwrap()).unwrap()
    }
}

/// How many records of the clinic are not delivered.
pub(crate) fn lag(running: &Running) -> u64 {
    running.state().organizations[0].lag.unwrap()
}

pub(crate) fn wait_until_delivered(running: &Running) {
    wait_for("all is delivered", || lag(running) == 0);
}

/// A decision about a patient, with this number as its id.
pub(crate) fn decision(when: &str, number: u64) -> Record {
    static SAMPLE: std::sync::LazyLock<Record> = std::sync::LazyLock::new(|| {
        let samples = include_str!("../../../audit/tests/data/records.json");
        let samples: Vec<Record> = serde_json::from_str(samples).unwrap();
        samples.into_iter().find(|record| record.decision().is_some()).unwrap()
    });
    let mut record = SAMPLE.clone();
    record.at = at(when);
    if let Event::Decision(decision) = &mut record.event {
        decision.id = DecisionId::from_bits(number.into());
    }
    record
}

/// The number of the decision in a text, by its id: 32 hexadecimal digits that begin with 16 zeros.
pub(crate) fn number(text: &str) -> u64 {
    let place = text.find("0000000000000000").unwrap_or_else(|| panic!("no id in: {text}"));
    u64::from_str_radix(&text[place..place + 32], 16).unwrap()
}

/// That everything arrived: in order, but for what was sent again, which goes on without a gap.
pub(crate) fn assert_at_least_once_in_order(received: &[u64], count: u64) {
    let mut highest = None;
    for number in received {
        let next = highest.map_or(0, |highest: u64| highest + 1);
        assert!(*number <= next, "{number} came before {next}: {received:?}");
        highest = highest.max(Some(*number));
    }
    assert_eq!(received.iter().collect::<BTreeSet<_>>().len() as u64, count, "{received:?}");
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
    std::fs::set_permissions(path, mode).unwrap();
}
