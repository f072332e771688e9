//! A small witness (c2sp.org/tlog-witness) over HTTP, for tests and for organizations that witness one another.
//!
//! Which logs it knows it is told by their keys; what it last cosigned of each is a file, written through to the
//! disk before the answer leaves. INVARIANT (a witness never goes back) holds over restarts by that file alone.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use assent_audit::tlog::checkpoint::Checkpoint;
use assent_audit::tlog::merkle::Tree;
use assent_audit::tlog::note::{Cosigner, Unverified, Verifier};
use assent_audit::tlog::witness::{REQUEST_BYTES_MAX, Request, Witness};

/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lines of a request's head, and bytes of it: far more than a client sends.
const HEAD_BYTES_MAX: u64 = 16 * 1024;

/// A running witness; it stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The key that its cosignatures are checked with.
    pub(crate) key: String,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Held from the look at the last tree until the next is on the disk: two requests never overtake one another.
    witness: Mutex<Witness>,
    directory: PathBuf,
    clock: fn() -> u64,
}

impl Server {
    /// Serves on this address. `directory` is its memory; it knows the logs with these keys.
    pub(crate) fn start(
        listen: &str,
        cosigner: Cosigner,
        directory: &Path,
        logs: &[Verifier],
        clock: fn() -> u64,
    ) -> std::io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let key = cosigner.verifier().to_string();
        let mut witness = Witness::new(cosigner);
        for log in logs {
            witness.know(log.name(), vec![log.clone()], remembered(directory, log)?);
        }
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let shared =
            Arc::new(Shared { witness: Mutex::new(witness), directory: directory.to_owned(), clock });
        let stop = Arc::clone(&stopped);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                // A client that breaks off has no answer.
                std::thread::spawn(move || drop(serve(&shared, &stream)));
            }
        });
        Ok(Self { address, key, stopped, thread: Some(thread) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Waits for ever.
    pub(crate) fn join(mut self) {
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // So that the thread wakes and looks.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(shared: &Shared, stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream).take(HEAD_BYTES_MAX);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let asked = line.trim_end().rsplit_once(' ').map_or("", |(asked, _version)| asked).to_owned();
    let mut length = 0;
    while line.trim_end() != "" {
        line.clear();
        reader.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(u64::MAX);
        }
    }
    let (status, body) = if asked != "POST /add-checkpoint" {
        ("404 Not Found", "only add-checkpoint is served here\n".to_owned())
    } else if length > REQUEST_BYTES_MAX as u64 {
        ("400 Bad Request", "the request is too long\n".to_owned())
    } else {
        let mut body = String::new();
        reader.into_inner().take(length).read_to_string(&mut body)?;
        answer(shared, &body)
    };
    let kind = if status.starts_with("409") { "text/x.tlog.size" } else { "text/plain; charset=utf-8" };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn answer(shared: &Shared, body: &str) -> (&'static str, String) {
    let mut witness = shared.witness.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = match witness.add_checkpoint(body, (shared.clock)()) {
        Ok(lines) => lines,
        Err(refusal) => {
            let status = match refusal.status() {
                403 => "403 Forbidden",
                404 => "404 Not Found",
                409 => "409 Conflict",
                422 => "422 Unprocessable Content",
                _ => "400 Bad Request",
            };
            return (status, refusal.conflict_body().unwrap_or(format!("{refusal}\n")));
        }
    };
    match remember(&shared.directory, body) {
        Ok(()) => ("200 OK", lines),
        // It may not be remembered, so it is not said.
        Err(error) => ("500 Internal Server Error", format!("{error}\n")),
    }
}

/// The file that remembers a log: its origin, in letters that every file system takes.
fn file(directory: &Path, origin: &str) -> PathBuf {
    directory.join(hex::encode(origin))
}

fn remember(directory: &Path, body: &str) -> std::io::Result<()> {
    let wrong = |_| std::io::Error::from(std::io::ErrorKind::InvalidData);
    let note = Request::parse(body).map_err(wrong)?.checkpoint;
    let text = Unverified::parse(&note).map_err(|_| std::io::ErrorKind::InvalidData)?.text;
    let checkpoint = Checkpoint::parse(&text).map_err(|_| std::io::ErrorKind::InvalidData)?;
    let path = file(directory, checkpoint.origin());
    let beside = path.with_extension("new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(note.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(beside, path)?;
    std::fs::File::open(directory)?.sync_all()
}

/// What was last cosigned of a log. A memory that cannot be read is no reason to begin anew.
fn remembered(directory: &Path, log: &Verifier) -> std::io::Result<Tree> {
    match std::fs::read_to_string(file(directory, log.name())) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Tree::EMPTY),
        note => match Checkpoint::open(&note?, log, &[]) {
            Ok((checkpoint, _)) => Ok(checkpoint.tree()),
            Err(error) => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, error)),
        },
    }
}
