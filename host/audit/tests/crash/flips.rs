//! Rot: one bit is flipped, in any file of a log or in its search index. It is found, or nothing reads differently.

use std::path::Path;

use anyhow::{Context, ensure};
use assent_audit::index::{CHUNK, Index, IndexKey, Order, PAGE_MAX, Query};
use assent_audit::log::{Config, Log, Reader, verify};
use assent_audit::record::Record;
use assent_model::{Effect, Instant};

use super::files::Files;
use super::torn::append;
use super::{Random, Report, child};

pub(crate) fn run(cycles: u64, seed: u64) -> anyhow::Result<Report> {
    let mut random = Random::new(seed ^ 0x66_6c);
    let mut report = Report::default();
    let mut found = log(cycles * 12, &mut random, &mut report).with_context(|| format!("seed {seed}"))?;
    let of_log = report.runs;
    found += index(cycles * 12, &mut random, &mut report).with_context(|| format!("seed {seed}"))?;
    report.faults = report.runs;
    report.note = format!(
        "{of_log} in a log, {} in an index; {found} found, {} changed nothing",
        report.runs - of_log,
        report.runs - found
    );
    Ok(report)
}

/// Flips one bit of one of these files, any file as likely as any other.
fn flip<'a>(files: &[(&'a Path, &'a [u8])], random: &mut Random) -> anyhow::Result<(&'a Path, String)> {
    let (path, bytes) = files[random.below(files.len() as u64) as usize];
    let (at, bit) = (random.below(bytes.len() as u64) as usize, random.below(8));
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << bit;
    std::fs::write(path, bytes)?;
    Ok((path, format!("{} byte {at} bit {bit}", path.display())))
}

fn log(tries: u64, random: &mut Random, report: &mut Report) -> anyhow::Result<u64> {
    let files = Files::new()?;
    let config = Config { segment_bytes: 16 * 1024, ..child::config(files.path()) };
    let records: Vec<_> = (0..60).map(child::record).collect();
    for records in records.chunks(25) {
        append(&config, records)?.close().map_err(|failure| anyhow::anyhow!("{failure}"))?;
    }
    let files = files.taken()?;
    let all: Vec<_> = files.all().filter(|(_, bytes)| !bytes.is_empty()).collect();
    let mut found = 0;
    for _ in 0..tries {
        files.restore()?;
        let (path, place) = flip(&all, random)?;
        let detected = spoilt_log(&config, &records).context(place.clone())?;
        let must = path.extension().is_some_and(|name| name == "seg") || path.ends_with("checkpoint");
        ensure!(detected || !must, "{place}: not found");
        found += u64::from(detected);
        report.runs += 1;
    }
    Ok(found)
}

/// Whether anything says that this log is spoilt. Whatever is read is as it was written.
fn spoilt_log(config: &Config, records: &[Vec<u8>]) -> anyhow::Result<bool> {
    let verifier = config.signer.verifier();
    let mut found = verify(&config.dir, verifier, &mut |_| {}).is_err();
    found |= !reads(config, records)?;
    // A start may refuse; if it does not, the log goes on.
    let Ok((log, _)) = Log::open(config.clone()) else { return Ok(true) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let more = child::record(1 << 40);
    let receipt = runtime.block_on(log.append(more.clone(), deadline));
    // It may fail over the damage; then it says so.
    let closed = log.close().is_ok();
    ensure!(receipt.is_ok() || !closed, "a log that took nothing closed well");
    let grown: Vec<_> = records.iter().cloned().chain(receipt.is_ok().then_some(more)).collect();
    let reads = reads(config, &grown)?;
    let verified = verify(&config.dir, verifier, &mut |_| {});
    ensure!(verified.as_ref().is_ok_and(|found| found.tree.size == grown.len() as u64) || verified.is_err());
    Ok(found || !reads || !closed || verified.is_err())
}

/// Whether all records are read. One that is read is the right one.
fn reads(config: &Config, records: &[Vec<u8>]) -> anyhow::Result<bool> {
    let reader = Reader::new(&config.dir, config.signer.verifier(), Some(config.kek.clone()));
    let Ok(entries) = reader.entries(0) else { return Ok(false) };
    let mut read = 0;
    for entry in entries {
        let Ok(entry) = entry else { return Ok(false) };
        ensure!(entry.record.as_ref() == records.get(read), "record {read} reads differently");
        read += 1;
    }
    ensure!(read == records.len(), "only {read} of {} records are read, and nothing is said", records.len());
    Ok(true)
}

fn index(tries: u64, random: &mut Random, report: &mut Report) -> anyhow::Result<u64> {
    const LOG: &str = "crash.test/audit/org/2026";
    let key = IndexKey::new([3; 32]);
    let files = Files::new()?;
    let path = files.path().join("index");
    let records = samples(CHUNK + 100)?;
    let feed = |index: &mut Index| -> anyhow::Result<()> {
        for position in index.next()..records.len() as u64 {
            index.add(position, &records[position as usize])?;
        }
        Ok(())
    };
    let mut whole = Index::open(&path, &key, LOG)?;
    feed(&mut whole)?;
    let queries = queries(&records);
    let answer = |index: &Index| -> Result<Vec<Vec<u64>>, assent_audit::index::IndexError> {
        let pages =
            queries.iter().flat_map(|query| [(query, Order::NewestFirst), (query, Order::OldestFirst)]);
        pages.map(|(query, order)| index.page(query, order, None, PAGE_MAX)).collect()
    };
    let expected = answer(&whole)?;
    ensure!(expected.iter().all(|found| !found.is_empty()), "a query that finds nothing tests little");
    drop(whole);
    let files = files.taken()?;
    let all: Vec<_> = files.all().filter(|(_, bytes)| !bytes.is_empty()).collect();
    let mut found = 0;
    for _ in 0..tries {
        files.restore()?;
        let (_, place) = flip(&all, random)?;
        report.runs += 1;
        let answered = match Index::open(&path, &key, LOG) {
            Err(_) => None,
            Ok(mut index) => {
                // What a lost chunk held is read from the log again.
                feed(&mut index).ok().and_then(|()| answer(&index).ok())
            }
        };
        match answered {
            None => found += 1,
            Some(answered) => ensure!(answered == expected, "{place}: a search finds something else"),
        }
    }
    Ok(found)
}

/// Records of every kind, over and over, a second apart.
fn samples(count: u64) -> anyhow::Result<Vec<Record>> {
    let lines = include_str!("../data/records.jsonl").lines();
    let kinds: Vec<_> = lines.map(|line| Record::decode(line.as_bytes())).collect::<Result<_, _>>()?;
    let record = |n: u64| {
        let at = Instant::from_millis(1_790_000_000_000 + n as i64 * 1000)?;
        Ok(Record { at, ..kinds[n as usize % kinds.len()].clone() })
    };
    (0..count).map(record).collect()
}

/// Queries that meet every part of the index.
fn queries(records: &[Record]) -> Vec<Query> {
    let kinds: std::collections::BTreeSet<_> = records.iter().map(|record| record.event.kind()).collect();
    let mut queries: Vec<_> =
        kinds.into_iter().map(|kind| Query { kind: Some(kind.to_owned()), ..Query::default() }).collect();
    queries.push(Query::default());
    queries.push(Query { effect: Some(Effect::Permit), ..Query::default() });
    queries.push(Query { effect: Some(Effect::Deny), ..Query::default() });
    for from in [0, 5000, 12_000] {
        let at = |n: usize| records.get(n).map(|record| record.at);
        queries.push(Query { from: at(from), until: at(from + 700), ..Query::default() });
    }
    queries
}
