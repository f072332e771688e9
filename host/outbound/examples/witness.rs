//! A small witness that organizations can run for one another: `witness LISTEN NAME DIRECTORY VKEY…`.
//!
//! `NAME` is the name in its key, `DIRECTORY` its memory and its private key, made at the first start; each `VKEY`
//! is what the other side's `assent audit keys` prints. It speaks plain HTTP: put something in front that speaks
//! TLS. Losing the memory means to see nothing of what was before; giving away the key, to see nothing at all.

#![allow(clippy::print_stdout, reason = "who starts it needs its key")]

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use assent_audit::tlog::note::{Cosigner, Verifier};

#[path = "../tests/server/mod.rs"]
mod server;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, name, directory, keys @ ..] = &arguments[..] else {
        return Err(
            "expected LISTEN NAME DIRECTORY VKEY…, such as 127.0.0.1:8190 witness.example.org wit KEY".into(),
        );
    };
    let logs = keys.iter().map(|key| Verifier::parse(key)).collect::<Result<Vec<_>, _>>()?;
    let cosigner = Cosigner::from_seed(name, &seed(Path::new(directory))?)?;
    let server = server::Server::start(listen, cosigner, Path::new(directory), &logs, now)?;
    println!("url = \"{}\"\nkey = \"{}\"", server.url(), server.key);
    server.join();
    Ok(())
}

/// The private key; made where there is none.
fn seed(directory: &Path) -> Result<[u8; 32], Box<dyn std::error::Error>> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join("key");
    let mut seed = [0; 32];
    if path.exists() {
        hex::decode_to_slice(std::fs::read_to_string(path)?.trim(), &mut seed)?;
        return Ok(seed);
    }
    getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    writeln!(file, "{}", hex::encode(seed))?;
    file.sync_all()?;
    Ok(seed)
}

#[expect(clippy::disallowed_methods, reason = "a witness says when it saw a log")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
