//! What a large log costs: seconds and memory to write, open, verify, index, search and look into it.
//!
//! Each step is a process of its own, so that its memory is its own. The records are decisions, each with its own
//! ids, time, patient and practitioner. `cargo bench -p assent-audit --bench large -- 10000000` is ten million of them
//! (about 8 GB under `target`, removed afterwards; a quarter of an hour); without a number there are 100 000.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use assent_audit::index::{Order, Query};
use assent_audit::keys::MasterKey;
use assent_audit::log::verify;
use assent_audit::logs::{Logs, LogsConfig};
use assent_audit::record::Record;
use assent_audit::shelf::{Page, Place, Shelf};
use assent_model::{Effect, EntityId, OrganizationId};
use serde_json::json;
use zeroize::Zeroizing;

const RECORDS: u64 = 100_000;
const PATIENTS: u64 = 100_000;
const PRACTITIONERS: u64 = 5_000;
const PRODUCERS: u64 = 512;
const YEAR: i32 = 2026;
const START_MS: i64 = 1_790_000_000_000;
/// Between two records.
const STEP_MS: i64 = 300;
/// What a service has before it waits for anybody, with the queue and two segments being prepared, and room to spare.
const MEMORY_MAX_MIB: u64 = 512;

type Step = fn(&Path, u64) -> anyhow::Result<()>;

const STEPS: [(&str, Step); 6] = [
    ("write", write),
    ("open", open),
    ("verify", verify_all),
    ("index", index),
    ("search", search),
    ("look up", look_up),
];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, step, dir, records] = &arguments[..]
        && first == "step"
    {
        let (_, run) = STEPS.iter().find(|(name, _)| name == step).context("no such step")?;
        let start = Instant::now();
        run(Path::new(dir), records.parse()?)?;
        let mib = memory_mib()?;
        println!("  {step:<10}{:>9.2} s{mib:>8} MiB", start.elapsed().as_secs_f64());
        ensure!(mib < MEMORY_MAX_MIB, "`{step}` grows with the log");
        return Ok(());
    }
    let records = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(RECORDS);
    // A real disk: the directory for temporary files may be in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!(
        "{records} records of {} bytes; time and the most memory of each step",
        Template::new()?.record(0).len()
    );
    for (step, _) in STEPS {
        let this = std::env::current_exe()?;
        let status =
            Command::new(this).arg("step").arg(step).arg(dir.path()).arg(records.to_string()).status()?;
        ensure!(status.success(), "`{step}` failed");
    }
    Ok(())
}

/// The most memory that this process had.
fn memory_mib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? >> 10)
}

fn organization() -> anyhow::Result<OrganizationId> {
    OrganizationId::new("clinic").context("a good name")
}

fn config(dir: &Path) -> anyhow::Result<LogsConfig> {
    Ok(LogsConfig {
        directory: dir.to_owned(),
        name: "bench.test".to_owned(),
        signing_seed: Zeroizing::new([1; 32]),
        kek: Arc::new(MasterKey::from_bytes(&[2; 32]).context("a key")?),
    })
}

fn shelf(dir: &Path) -> anyhow::Result<Shelf> {
    Ok(Shelf::new(config(dir)?, organization()?))
}

fn logs(dir: &Path) -> anyhow::Result<Logs> {
    let at = assent_model::Instant::from_millis(START_MS)?;
    Ok(Logs::open(config(dir)?, [organization()?], at)?.0)
}

fn close(logs: &Logs) -> anyhow::Result<()> {
    logs.close().map_err(|failure| anyhow::anyhow!("{failure}"))
}

fn write(dir: &Path, records: u64) -> anyhow::Result<()> {
    let logs = logs(dir)?;
    let log = logs.log(&organization()?, assent_model::Instant::from_millis(START_MS)?)?;
    let template = Arc::new(Template::new()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let (log, template) = (Arc::clone(&log), Arc::clone(&template));
                tokio::spawn(async move {
                    for number in (producer..records).step_by(PRODUCERS as usize) {
                        log.append(template.record(number), Instant::now() + Duration::from_secs(60)).await?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        anyhow::Ok(())
    })?;
    close(&logs)
}

/// Recovery, the first segment and the end.
fn open(dir: &Path, _: u64) -> anyhow::Result<()> {
    let start = Instant::now();
    let logs = logs(dir)?;
    println!("    ready after {:.0} ms", ms(start));
    close(&logs)
}

fn verify_all(dir: &Path, records: u64) -> anyhow::Result<()> {
    let (start, shelf) = (Instant::now(), shelf(dir)?);
    let verified = verify(&shelf.directory(YEAR), &shelf.verifier(YEAR)?, &mut |_| {})?;
    ensure!(verified.tree.size == records, "{verified:?}");
    println!(
        "    {:.0} records a second; {} segments, {} batches, {} tiles",
        records as f64 / start.elapsed().as_secs_f64(),
        verified.segments,
        verified.batches,
        verified.tiles
    );
    Ok(())
}

/// The first search reads the whole log.
fn index(dir: &Path, records: u64) -> anyhow::Result<()> {
    let (start, shelf) = (Instant::now(), shelf(dir)?);
    let query = Query::default();
    let found = shelf.find(Page { query: &query, order: Order::OldestFirst, after: None, limit: 1 })?;
    ensure!(found.len() == 1, "nothing was found");
    let files = ["index", "index-wal"].map(|name| shelf.directory(YEAR).with_extension(name));
    let bytes: u64 = files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    println!(
        "    {:.0} records a second; {} bytes for each",
        records as f64 / start.elapsed().as_secs_f64(),
        bytes / records.max(1)
    );
    Ok(())
}

fn search(dir: &Path, records: u64) -> anyhow::Result<()> {
    let shelf = shelf(dir)?;
    let last = Template::names(records - 1);
    let text = |text: &str| Some(text.to_owned());
    let none = Query::default;
    let queries = [
        ("opening the index", none()),
        ("a patient", Query { patient: Some(EntityId::new("Patient", &last.patient)), ..none() }),
        (
            "a practitioner's permits",
            Query {
                subject: Some(EntityId::new("Practitioner", &last.practitioner)),
                effect: Some(Effect::Permit),
                ..none()
            },
        ),
        ("a request id", Query { id: text(&Template::names(records / 3).request), ..none() }),
        ("what never was", Query { patient: Some(EntityId::new("Patient", "nobody")), ..none() }),
    ];
    for (name, query) in queries {
        let start = Instant::now();
        let found = shelf.find(Page { query: &query, order: Order::NewestFirst, after: None, limit: 50 })?;
        println!("    {name}: {} in {:.1} ms", found.len(), ms(start));
    }
    Ok(())
}

fn look_up(dir: &Path, records: u64) -> anyhow::Result<()> {
    let shelf = shelf(dir)?;
    for (name, part) in [("first", 3), ("beside it", 3), ("far away", 5), ("again", 5), ("first again", 3)] {
        let place = Place { year: YEAR, position: records / part };
        let start = Instant::now();
        let found = shelf.at(place)?.context("no record")?;
        ensure!(found.0 == place, "another record");
        println!("    {name}: {:.2} ms", ms(start));
    }
    Ok(())
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

/// The names in a record.
struct Names {
    at: String,
    id: String,
    request: String,
    patient: String,
    practitioner: String,
    observation: String,
}

/// A record's canonical bytes, cut where the names stand: to encode ten million would be most of the work.
struct Template {
    pieces: Vec<String>,
    /// Which name follows each piece.
    names: Vec<usize>,
}

impl Template {
    fn new() -> anyhow::Result<Self> {
        // Names that occur nowhere else.
        let marks = Self::names(987_654_321);
        let record: Record = serde_json::from_value(decision(&marks))?;
        let text = String::from_utf8(record.encode()?)?;
        let (mut pieces, mut names, mut rest) = (vec![], vec![], text.as_str());
        loop {
            let all = marks.all();
            let next =
                all.iter().enumerate().filter_map(|(n, name)| Some((rest.find(*name)?, n, name.len())));
            let Some((at, name, len)) = next.min() else { break };
            pieces.push(rest.get(..at).unwrap_or_default().to_owned());
            names.push(name);
            rest = rest.get(at + len..).unwrap_or_default();
        }
        pieces.push(rest.to_owned());
        ensure!(names.len() >= marks.all().len(), "a name was not found: {text}");
        Ok(Self { pieces, names })
    }

    fn names(number: u64) -> Names {
        let random = mix(number + 1);
        // Never a whole hundredth of a second, so that all times have as many digits.
        let at = assent_model::Instant::from_millis(START_MS + number as i64 * STEP_MS % 8_000_000_000 + 1);
        Names {
            at: at.map_or_else(|_| String::new(), |at| at.to_string()),
            id: format!("{:032x}", u128::from(random) << 40 | u128::from(number)),
            request: format!("req-{number:010}"),
            patient: format!("pat-{:06}", random % PATIENTS),
            practitioner: format!("prac-{:06}", (random >> 17) % PRACTITIONERS),
            observation: format!("obs-{random:020}"),
        }
    }

    fn record(&self, number: u64) -> Vec<u8> {
        let names = Self::names(number);
        let mut text = String::with_capacity(2048);
        for (n, piece) in self.pieces.iter().enumerate() {
            text.push_str(piece);
            if let Some(name) = self.names.get(n).and_then(|name| names.all().get(*name).copied()) {
                text.push_str(name);
            }
        }
        text.into_bytes()
    }
}

impl Names {
    fn all(&self) -> [&str; 6] {
        [&self.at, &self.id, &self.request, &self.patient, &self.practitioner, &self.observation]
    }
}

/// A well-mixed number, so that names repeat as they do in life and nothing is sorted by chance.
const fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

fn decision(names: &Names) -> serde_json::Value {
    let Names { at, id, request, patient, practitioner, observation } = names;
    let digest = "6b".repeat(32);
    let note = |id: &str| {
        json!({ "id": id, "permits": true, "intent": "who may read", "source": "45 CFR 164.506", "message": null,
                "reveals": false, "obligations": [], "advice": [], "remedies": [] })
    };
    let plugin = json!({ "binding": "consent", "plugin": "consent-rules 0.1.0", "component": digest,
        "settings": digest, "fuel_used": 5321,
        "result": { "findings": { "obligations": [], "advice": [], "denials": [], "reviews": [], "notes": [] } } });
    json!({ "version": 1, "at": at, "event": {
        "kind": "decision", "id": id, "organization": "clinic",
        "caller": { "id": "portal", "environment": "production", "rights": ["decide"], "obligations": "all",
                    "address": "10.2.3.4" },
        "request_id": request,
        "request": { "subject": { "type": "practitioner", "id": practitioner }, "action": { "name": "read" },
                     "resource": { "type": "observation", "id": observation }, "context": { "purpose": "TREAT" } },
        "subject": { "entity": { "type": "Practitioner", "id": practitioner }, "roles": ["physician"] },
        "action": "read",
        "resource": { "entity": { "type": "Observation", "id": observation }, "labels": ["N"] },
        "patient": { "type": "Patient", "id": patient },
        "purpose": "TREAT", "release": digest, "facts": { "snapshot": digest }, "explained": false,
        "outcome": { "effect": "permit", "cause": "permit",
                     "verdict": { "effect": "permit", "determining": [note("care.1")], "errors": [],
                                  "permit_satisfied": true },
                     "plugins": [plugin] },
        "latency_us": 412 } })
}
