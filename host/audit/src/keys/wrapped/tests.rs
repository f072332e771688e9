//! Key files: what is detected with and without keys, and who can recover what is in them.

use std::fs;

use super::*;
use crate::keys::{self, MasterKey, Recovery};
use crate::log::layout;

const ORIGIN: &str = "test/audit/org/2026";

struct Keys {
    _dir: tempfile::TempDir,
    layout: Layout,
    kek: MasterKey,
    made: Vec<DataKey>,
}

fn keys(count: u64) -> Keys {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    disk::create_dir(&layout.keys()).unwrap();
    let kek = MasterKey::from_bytes(&[1; 32]).unwrap();
    let mut made = Vec::new();
    for segment in 1..=count {
        let key = DataKey::generate().unwrap();
        WrappedKey::wrap(&layout::origin_hash(ORIGIN), segment, &key, &kek).unwrap().write(&layout).unwrap();
        made.push(key);
    }
    Keys { _dir: dir, layout, kek, made }
}

impl Keys {
    fn unwrap(&self, segment: u64, kek: &MasterKey) -> Result<DataKey, KeyError> {
        let path = self.layout.key(segment);
        WrappedKey::read(&path, segment)?.unwrap(&path, &layout::origin_hash(ORIGIN), kek)
    }
}

#[test]
fn a_flipped_bit_in_a_key_file_is_found_without_a_key() {
    let keys = keys(1);
    let path = keys.layout.key(1);
    let good = fs::read(&path).unwrap();
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let file = WrappedKey::read(&path, 1)?;
        file.expect(&path, keys.made[0].commitment())
    };
    read(&good).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            // White space may become other white space.
            let harmless = good[at].is_ascii_whitespace() && bad[at].is_ascii_whitespace();
            assert_eq!(read(&bad).is_ok(), harmless, "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a_key_file_of_another_segment_or_log_does_not_open() {
    let keys = keys(2);
    fs::copy(keys.layout.key(1), keys.layout.key(2)).unwrap();
    assert!(matches!(keys.unwrap(2, &keys.kek), Err(KeyError::Damaged { .. })));
    let path = keys.layout.key(1);
    let elsewhere = layout::origin_hash("test/audit/other/2026");
    let refused = WrappedKey::read(&path, 1).unwrap().unwrap(&path, &elsewhere, &keys.kek);
    assert!(matches!(refused, Err(KeyError::Unwrap { .. })));
}

#[test]
fn a_missing_key_file_is_named() {
    let keys = keys(1);
    assert!(matches!(keys.unwrap(2, &keys.kek), Err(KeyError::Missing { .. })));
}

#[test]
fn a_recovery_wrap_is_covered_by_the_checksum() {
    let wrapped = keys(1);
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let recovery = Recovery::new(&[recipient], vec![]).unwrap();
    let kek = keys::Keys::new(std::sync::Arc::new(wrapped.kek), vec![], recovery);
    let file = WrappedKey::wrap(&layout::origin_hash(ORIGIN), 1, &wrapped.made[0], &kek).unwrap();
    assert_eq!(file.recipients(), [recipient]);
    file.write(&wrapped.layout).unwrap();
    let path = wrapped.layout.key(1);
    let text = fs::read_to_string(&path).unwrap();
    WrappedKey::read(&path, 1).unwrap();
    for (from, to) in [(recipient, "age1somebody"), ("\"age\": \"", "\"age\": \"A")] {
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        assert!(matches!(WrappedKey::read(&path, 1), Err(KeyError::Damaged { .. })), "{from}");
    }
}
