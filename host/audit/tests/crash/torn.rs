//! What a power cut may leave of the last batches: cut at every byte, and sectors of the last one lost in any order.
//!
//! What was whole before the cut is kept, to the batch. Sectors lost in a batch that a whole one follows are no trace of
//! a crash, and the log must refuse them and change nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use assent_audit::log::{Config, Log, Reader, verify};

use super::files::Files;
use super::{LONG, Random, Report, child};

/// A trailer's first bytes, and its length: see `log/batch.rs`.
const MAGIC: &[u8] = b"ASNTBAT1";
const TRAILER_BYTES: usize = 164;
const BATCHES: usize = 6;
const CLOSED: u64 = 2;

pub(crate) fn run(cycles: u64, seed: u64) -> anyhow::Result<Report> {
    let mut random = Random::new(seed ^ 0x74_6f);
    let torn = Torn::make(seed)?;
    let long = cycles >= LONG;
    let mut report = Report::default();
    let (from, to) = (torn.ends[BATCHES - 3], torn.ends[BATCHES]);
    for cut in (from..=to).filter(|cut| long || cut % 41 == 0) {
        for rest in [Rest::Gone, Rest::Zeros, Rest::Noise] {
            torn.cut(cut, rest, &mut random).with_context(|| format!("byte {cut}, {rest:?}, seed {seed}"))?;
            report.runs += 1;
        }
    }
    let cuts = report.runs;
    for n in 0..cycles * 4 {
        let sector = if random.below(2) == 0 { 512 } else { 4096 };
        torn.sectors(sector, &mut random).with_context(|| format!("subset {n} of {sector}, seed {seed}"))?;
        report.runs += 1;
    }
    report.faults = report.runs;
    report.note = format!("{cuts} cuts, {} subsets of sectors", report.runs - cuts);
    Ok(report)
}

#[derive(Clone, Copy, Debug)]
enum Rest {
    Gone,
    Zeros,
    Noise,
}

/// A log that was not closed: some records that are published, then batches of one record each.
struct Torn {
    config: Config,
    files: Files,
    segment: std::path::PathBuf,
    whole: Vec<u8>,
    /// Where batches end in it, with the header's end.
    ends: Vec<usize>,
    records: Vec<Vec<u8>>,
}

impl Torn {
    fn make(seed: u64) -> anyhow::Result<Self> {
        let files = Files::new()?;
        let checkpoint_interval = Duration::from_secs(3600);
        let config = Config { checkpoint_interval, segment_bytes: 32 * 1024, ..child::config(files.path()) };
        let records: Vec<_> = (0..CLOSED + BATCHES as u64).map(|n| child::record(seed << 8 | n)).collect();
        // The last one goes over several sectors of either size.
        let records: Vec<_> = records.iter().map(|record| record.repeat(1 + 9000 / record.len())).collect();
        append(&config, &records[..CLOSED as usize])?
            .close()
            .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let checkpoint = std::fs::read(files.path().join("checkpoint"))?;
        let log = append(&config, &records[CLOSED as usize..])?;
        let mut files = files.taken()?;
        log.close().map_err(|failure| anyhow::anyhow!("{failure}"))?;
        // The oldest checkpoint that a crash may leave.
        files.set("checkpoint", checkpoint);
        let segment = files.path().join("segments/0000000002.seg");
        let whole = files.get("segments/0000000002.seg").context("there is no second segment")?.to_vec();
        let trailers = whole.windows(MAGIC.len()).enumerate().filter(|(_, bytes)| *bytes == MAGIC);
        let ends: Vec<_> = std::iter::once(4096).chain(trailers.map(|(at, _)| at + TRAILER_BYTES)).collect();
        ensure!(ends.len() == 1 + BATCHES, "{ends:?}");
        Ok(Self { config, files, segment, whole, ends, records })
    }

    fn cut(&self, at: usize, rest: Rest, random: &mut Random) -> anyhow::Result<()> {
        let mut torn = self.whole[..at].to_vec();
        match rest {
            Rest::Gone => {}
            Rest::Zeros => torn.resize(self.whole.len(), 0),
            Rest::Noise => {
                torn.extend((at..(at + 700).min(self.whole.len())).map(|_| random.below(256) as u8));
                torn.resize(self.whole.len(), 0);
            }
        }
        // What was cut may have been the same as what came instead.
        let is_whole = |end: &&usize| torn.get(..**end) == Some(&self.whole[..**end]);
        let kept = self.ends.iter().filter(is_whole).count() as u64 - 1;
        self.opens_with(&torn, CLOSED + kept)
    }

    fn sectors(&self, sector: usize, random: &mut Random) -> anyhow::Result<()> {
        let last = random.below(4) > 0;
        let batch = if last { BATCHES } else { BATCHES - 1 - random.below(3) as usize };
        let (start, end) = (self.ends[batch - 1], self.ends[batch]);
        let mut torn = self.whole.clone();
        for first in (start / sector * sector..end).step_by(sector) {
            let lost = &mut torn[first.max(start)..(first + sector).min(end)];
            match random.below(4) {
                0 | 1 => {}
                2 => lost.fill(0),
                _ => lost.iter_mut().for_each(|byte| *byte = random.below(256) as u8),
            }
        }
        let size = CLOSED + BATCHES as u64;
        if torn == self.whole {
            return self.opens_with(&torn, size);
        }
        if last {
            return self.opens_with(&torn, size - 1);
        }
        self.files.restore()?;
        std::fs::write(&self.segment, &torn)?;
        ensure!(
            Log::open(self.config.clone()).is_err(),
            "damage before a whole batch was taken for a torn tail"
        );
        ensure!(std::fs::read(&self.segment)? == torn, "a refusal changed the log");
        Ok(())
    }

    /// Opens the log with this segment, appends to it, and reads what it then has.
    fn opens_with(&self, segment: &[u8], size: u64) -> anyhow::Result<()> {
        self.files.restore()?;
        std::fs::write(&self.segment, segment)?;
        let log = append(&self.config, &self.records[..1])?;
        log.close().map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let verifier = self.config.signer.verifier();
        let verified = verify(self.files.path(), verifier, &mut |_| {})?;
        ensure!(verified.tree.size == size + 1, "expected {size} entries and one, found {verified:?}");
        let reader = Reader::new(self.files.path(), verifier, Some(self.config.kek.clone()));
        let read: Result<Vec<_>, _> =
            reader.entries(0)?.map(|entry| entry.map(|entry| entry.record)).collect();
        let expected = self.records[..size as usize].iter().chain(&self.records[..1]);
        ensure!(read?.iter().map(Option::as_ref).eq(expected.map(Some)), "a record was changed");
        Ok(())
    }
}

/// Opens a log and appends these, each as a batch.
pub(crate) fn append(config: &Config, records: &[Vec<u8>]) -> anyhow::Result<Log> {
    let (log, _) = Log::open(config.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    for record in records {
        runtime.block_on(log.append(record.clone(), deadline))?;
    }
    Ok(log)
}
