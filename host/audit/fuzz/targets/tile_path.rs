//! A path of any text does not panic, and what is accepted prints back to the same path.

#![no_main]

use assent_audit::tlog::tile::Tile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    if let Ok(tile) = Tile::parse(path) {
        assert_eq!(tile.to_string(), path);
        assert_eq!(Tile::new(tile.content(), tile.index(), tile.width()), Some(tile));
    }
});
