//! How long a rotation takes: the data keys of many segments wrapped anew, and opened to see that nothing needs
//! the old key; for a key in a file, with and without a recovery recipient. 1,000 segments, or as many as are asked
//! for: `cargo bench -p assent-audit --bench rewrap -- 10000`, which should take less than 5 minutes a rotation.
#![expect(clippy::print_stdout, reason = "a benchmark reports what it measured")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use assent_audit::keys::{KeyEncryption, Keys, MasterKey, Recovery, look, rewrap};
use assent_audit::log::{Config, Log};
use assent_audit::tlog::note::Signer;

const SEGMENTS: u64 = 1_000;
/// A header and one record: each record gets a segment.
const SEGMENT_BYTES: u64 = 4_200;
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn key(byte: u8) -> anyhow::Result<Arc<dyn KeyEncryption>> {
    Ok(Arc::new(MasterKey::from_bytes(&[byte; 32]).context("a key")?))
}

fn main() -> anyhow::Result<()> {
    let segments = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(SEGMENTS);
    // A real disk: the directory for temporary files may be in memory.
    let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    let signer = Arc::new(Signer::from_seed("bench.test/audit/org/2026", &[1; 32])?);
    let config = Config::new(dir.path(), Arc::clone(&signer), key(1)?);
    let (log, _) = Log::open(Config { segment_bytes: SEGMENT_BYTES, ..config })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let start = Instant::now();
    runtime.block_on(async {
        for number in 0..segments {
            log.append(number.to_be_bytes().to_vec(), Instant::now() + Duration::from_secs(30)).await?;
        }
        anyhow::Ok(())
    })?;
    log.close().map_err(|failure| anyhow::anyhow!("{failure}"))?;
    println!("{segments} segments written: {:.1} s", start.elapsed().as_secs_f64());

    for (new, old, recipients) in [(2, 1, vec![]), (3, 2, vec![RECIPIENT])] {
        let keys = Keys::new(key(new)?, vec![key(old)?], Recovery::new(&recipients, vec![])?);
        let start = Instant::now();
        let done = rewrap(dir.path(), signer.verifier(), &keys, &mut |_| {})?;
        ensure!(done.rewrapped == segments, "{done:?}");
        let (took, recipients) = (start.elapsed().as_secs_f64(), recipients.len());
        println!("{segments} data keys wrapped anew, {recipients} recipients: {took:.1} s");
        let start = Instant::now();
        ensure!(look(dir.path(), signer.verifier(), &keys, &mut |_| {})?.is_complete(), "not all");
        println!("{segments} data keys opened: {:.1} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}
