//! Writes a log directory with made-up entries, so that other implementations can be tried on it:
//! `cargo run -p assent-audit --example write_log -- <directory> <size>...`, then `tests/oracle/verify_sumdb.go`.
//!
//! The log grows to each size in turn and leaves a `checkpoint.<size>` behind; `checkpoint` is the last one, and
//! `vkey` the public key. The key is a fixed one: what is written is the same every time.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use assent_audit::tlog::checkpoint::Checkpoint;
use assent_audit::tlog::merkle::{Frontier, leaf_hash};
use assent_audit::tlog::note::Signer;
use assent_audit::tlog::tile::{self, TILE_WIDTH, TileError};

const ORIGIN: &str = "assent.example/audit/made-up/2026";

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Tile(#[from] TileError),
    #[error(transparent)]
    Read(#[from] std::io::Error),
}

fn entry(number: u64) -> Vec<u8> {
    // Lengths from nothing to some hundred bytes.
    format!("entry {number} ").repeat((number % 23) as usize).into_bytes()
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("a file stands in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    std::fs::write(path, content).with_context(|| format!("cannot write `{}`", path.display()))
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().context("expected `<directory> <size>...`")?);
    let signer = Signer::from_seed(ORIGIN, &[42; 32])?;
    write(&directory.join("vkey"), signer.verifier().to_string().as_bytes())?;

    let mut grown = Frontier::default();
    for size in arguments {
        let size: u64 = size.parse().context("a size is a whole number")?;
        let old = grown.size();
        ensure!(size > old, "sizes must grow: {size} after {old}");
        let leaves: Vec<_> = (old..size).map(|number| leaf_hash(&entry(number))).collect();
        leaves.iter().for_each(|leaf| grown.push(*leaf));
        let stored = |tile: tile::Tile| Ok::<_, Failure>(std::fs::read(directory.join(tile.to_string()))?);
        for (tile, content) in tile::grow(old, &leaves, stored)? {
            write(&directory.join(tile.to_string()), &content)?;
        }
        for bundle in tile::new_bundles(old, size) {
            let first = bundle.index() * u64::from(TILE_WIDTH);
            let entries: Vec<_> = (first..first + u64::from(bundle.width())).map(entry).collect();
            let content = tile::encode_bundle(entries.iter().map(Vec::as_slice))?;
            write(&directory.join(bundle.to_string()), &content)?;
        }
        let note = Checkpoint::new(ORIGIN, grown.tree())?.sign(&signer)?;
        write(&directory.join(format!("checkpoint.{size}")), note.as_bytes())?;
        write(&directory.join("checkpoint"), note.as_bytes())?;
    }
    Ok(())
}
