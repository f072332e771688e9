//! What the driver knows, and what it demands of a log after every end.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, ensure};
use assent_audit::log::{Log, Reader, verify};

use super::child;

/// The receipts that the driver received, by key.
pub(crate) type Receipts = HashMap<u64, u64>;

/// What a child printed so far.
pub(crate) struct Output {
    child: Child,
    bytes: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Output {
    /// Starts a child and listens to it.
    pub(crate) fn start(mut command: std::process::Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut stdout = child.stdout.take().context("no output")?;
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reading = std::thread::spawn(move || {
            let mut chunk = [0; 1 << 16];
            while let Ok(read @ 1..) = stdout.read(&mut chunk) {
                into.lock().expect("whole").extend_from_slice(&chunk[..read]);
            }
        });
        Ok(Self { child, bytes, reading })
    }

    /// The child's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says something to the child, once it listens.
    pub(crate) fn say(&mut self, what: &str) -> anyhow::Result<()> {
        let mut stdin = self.child.stdin.take().context("the child does not listen")?;
        Ok(stdin.write_all(what.as_bytes())?)
    }

    /// Waits until the child has printed this, or has ended.
    pub(crate) fn wait_for(&mut self, what: &str) -> anyhow::Result<()> {
        let printed = |bytes: &[u8]| bytes.windows(what.len()).any(|printed| printed == what.as_bytes());
        while !printed(&self.bytes.lock().expect("whole")) && self.child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// How much was received by now.
    pub(crate) fn received(&self) -> usize {
        self.bytes.lock().expect("whole").len()
    }

    /// Lets the child run for some time after it opened its log. (On a busy machine a start may take long.)
    pub(crate) fn run_for(&mut self, time: Duration) -> anyhow::Result<()> {
        while self.received() == 0 && self.child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(time);
        Ok(())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
    }

    /// Waits for the end; gives the whole lines among the first `limit` bytes, and the exit status.
    pub(crate) fn end(mut self, limit: usize) -> anyhow::Result<(Vec<String>, Option<i32>)> {
        let status = self.child.wait()?.code();
        Ok((self.lines_of(limit)?, status))
    }

    /// The whole lines of a child that has ended and was waited for.
    pub(crate) fn lines(self) -> anyhow::Result<Vec<String>> {
        self.lines_of(usize::MAX)
    }

    fn lines_of(self, limit: usize) -> anyhow::Result<Vec<String>> {
        self.reading.join().map_err(|_| anyhow::anyhow!("the listener panicked"))?;
        let bytes = self.bytes.lock().expect("whole");
        let bytes = &bytes[..limit.min(bytes.len())];
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Ok(String::from_utf8(bytes[..whole].to_vec())?.lines().map(str::to_owned).collect())
    }
}

/// Takes the receipts out of a child's lines; a child that could not open its log is an error.
pub(crate) fn take_receipts(lines: &[String], receipts: &mut Receipts) -> anyhow::Result<u64> {
    let mut taken = 0;
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["A", key, seq] => {
                receipts.insert(key.parse()?, seq.parse()?);
                taken += 1;
            }
            ["O", ..] => anyhow::bail!("the log did not open: {line}"),
            _ => {}
        }
    }
    Ok(taken)
}

/// Opens the log as the next start would, and finds every receipt in it. Gives the number of entries, and
/// how many receipts are missing or lead to another record.
pub(crate) fn missing(dir: &Path, receipts: &Receipts) -> anyhow::Result<(u64, usize)> {
    let config = child::config(dir);
    let (log, _) = Log::open(config.clone()).context("the log does not open again")?;
    log.close().map_err(|failure| anyhow::anyhow!("{failure}"))?;
    let verified = verify(dir, config.signer.verifier(), &mut |_| {}).context("the log does not verify")?;
    let reader = Reader::new(dir, config.signer.verifier(), Some(config.kek.clone()));
    let mut found = 0;
    let mut size = 0;
    for entry in reader.entries(0)? {
        let entry = entry?;
        ensure!(entry.seq == size, "entry {} stands at {size}", entry.seq);
        size += 1;
        let record = entry.record.context("no keys")?;
        let key = u64::from_be_bytes(record[..8].try_into()?);
        ensure!(record == child::record(key), "the record of {key} was changed");
        found += usize::from(receipts.get(&key) == Some(&entry.seq));
    }
    ensure!(
        verified.tree.size == size && verified.published.size == size,
        "{verified:?}, but {size} entries"
    );
    Ok((size, receipts.len() - found))
}

/// As [`missing`]; that none is missing is demanded.
pub(crate) fn all_there(dir: &Path, receipts: &Receipts) -> anyhow::Result<u64> {
    let (size, missing) = missing(dir, receipts)?;
    ensure!(missing == 0, "{missing} of {} receipts lead nowhere", receipts.len());
    Ok(size)
}

/// Whether a program ran and succeeded.
pub(crate) fn ran(program: &str, arguments: &[&std::ffi::OsStr]) -> bool {
    let quiet = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}
