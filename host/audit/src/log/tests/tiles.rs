//! Tiles: derived, so they agree with the log, and come back when they are lost or damaged.

use super::*;
use crate::tlog::tile::new_tiles;

const TILES: u64 = 700;

fn log() -> Bench {
    let bench = Bench::with_segments(64 * 1024);
    grow(&bench);
    bench
}

fn grow(bench: &Bench) {
    let (log, _) = bench.open().unwrap();
    append_together(&log, &records(TILES as usize)).into_iter().for_each(|receipt| assert!(receipt.is_ok()));
    log.close().unwrap();
}

/// Of the tiles that a tree must have, those that are there.
fn there(bench: &Bench, size: u64) -> (usize, usize) {
    let tiles: Vec<_> = new_tiles(0, size).map(|tile| bench.path().join(tile.to_string())).collect();
    (tiles.iter().filter(|path| path.exists()).count(), tiles.len())
}

#[test]
fn a_closed_log_has_all_its_tiles() {
    let bench = log();
    assert_eq!(there(&bench, TILES), (4, 4));
    assert_eq!(bench.verify().unwrap().tiles, 4);
    grow(&bench);
    assert_eq!(there(&bench, 2 * TILES), (7, 7));
    assert!(bench.verify().unwrap().tiles >= 7, "partial ones of the process before may remain");
}

#[test]
fn lost_tiles_are_made_again() {
    for lost in ["tile", "tiled", "tile/0/000", "tile/0/001", "tile/0/002.p", "tile/1"] {
        let bench = log();
        let path = bench.path().join(lost);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        bench.verify().unwrap();
        grow(&bench);
        assert_eq!(there(&bench, 2 * TILES), (7, 7), "{lost}");
        bench.verify().unwrap();
    }
}

#[test]
fn a_damaged_tile_is_found_and_made_again() {
    for damaged in ["tile/0/000", "tile/0/001", "tiled"] {
        let bench = log();
        let path = bench.path().join(damaged);
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(&path, bytes).unwrap();
        let found =
            matches!(&bench.verify(), Err(VerifyError::Problems(problems)) if problems[0].file == path);
        assert_eq!(found, damaged != "tiled", "{damaged}");
        grow(&bench);
        bench.verify().unwrap();
        assert_eq!(there(&bench, 2 * TILES), (7, 7), "{damaged}");
    }
}
