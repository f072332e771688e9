//! Tests of the seal and of what the cache forgets.

use super::*;

#[test]
fn a_seal_holds_for_one_name_one_key_and_every_byte() {
    let (one, other) = (Key::from_bytes(&[1; 32]).unwrap(), Key::from_bytes(&[2; 32]).unwrap());
    let (name, wrong) = (Digest::of(b"a"), Digest::of(b"b"));
    let sealed = one.seal(&name, b"about", b"code");
    let opened = one.open(&name, sealed.clone()).unwrap();
    assert_eq!((opened.about(), opened.about().len()), (&b"about"[..], 5));
    assert!(one.open(&wrong, sealed.clone()).is_none());
    assert!(other.open(&name, sealed.clone()).is_none());
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 0x80;
        assert!(one.open(&name, changed).is_none(), "byte {at}");
        assert!(one.open(&name, sealed[..at].to_vec()).is_none(), "cut at {at}");
    }
    assert!(Key::from_bytes(&[1; 31]).is_none() && Key::from_bytes(&[1; 33]).is_none());
}

#[test]
fn the_oldest_entries_are_forgotten_and_the_key_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    for number in 0..ENTRIES_MAX + 3 {
        fs::write(directory.path().join(format!("{number}.{ENTRY_SUFFIX}")), b"").unwrap();
    }
    let name = Digest::of(b"new");
    cache.put(&name, b"", b"").unwrap();
    assert!(fs::read_dir(directory.path()).unwrap().count() <= ENTRIES_MAX + 1);
    assert!(directory.path().join(KEY_FILE).exists());
}
