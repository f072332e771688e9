//! A bundle of any bytes does not panic, and what is accepted is exactly the encoding of its entries.
//! The first byte is the width.

#![no_main]

use assent_audit::tlog::tile::{Content, Tile, decode_bundle, encode_bundle};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((width, bundle)) = input.split_first() else { return };
    let width = u16::from(*width) + 1;
    if let Ok(entries) = decode_bundle(bundle, width) {
        assert_eq!(entries.len(), usize::from(width));
        assert_eq!(encode_bundle(entries).unwrap(), bundle);
    }
    let tile = Tile::new(Content::Hashes { level: 0 }, 0, width).unwrap();
    if let Ok(hashes) = tile.decode(bundle) {
        assert_eq!(hashes.concat(), bundle);
    }
});
