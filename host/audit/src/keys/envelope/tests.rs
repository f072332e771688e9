//! Sealing and opening: what comes back, what is refused.

use proptest::prelude::*;

use super::*;

const ORIGIN: [u8; 32] = [7; 32];

fn key() -> SealingKey {
    SealingKey::new(&DataKey::generate().unwrap(), ORIGIN).unwrap()
}

fn sealed(key: &SealingKey, seq: u64, record: &[u8]) -> Vec<u8> {
    let payload = Payload::new(record.to_vec()).unwrap();
    let mut out = Vec::new();
    key.seal(seq, &payload, &mut out).unwrap();
    assert_eq!(out.len(), payload.sealed_len());
    out
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn a_sealed_record_opens_to_itself(record in proptest::collection::vec(any::<u8>(), 0..3000), seq: u64) {
        let key = key();
        let entry = sealed(&key, seq, &record);
        let envelope = Envelope::parse(&entry).unwrap();
        prop_assert_eq!(envelope.seq, seq);
        prop_assert_eq!(key.open(&envelope).unwrap(), record);
    }

    #[test]
    fn a_changed_entry_never_opens(record in proptest::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, bit in 0..8u8) {
        let key = key();
        let mut entry = sealed(&key, 4711, &record);
        let at = at.index(entry.len());
        entry[at] ^= 1 << bit;
        prop_assert!(Envelope::parse(&entry).and_then(|envelope| key.open(&envelope)).is_err());
    }
}

/// Every entry ever written needs it, byte for byte: make another one instead.
#[test]
fn the_first_dictionary_is_what_it_always_was() {
    use sha2::Digest;
    let digest = hex::encode(sha2::Sha256::digest(DICTIONARY_1));
    assert_eq!(digest, "95e1dd471162b633bd66d2ccb067d6210f718ed54014d39df08a054fa92df7e4");
}

#[test]
fn a_decision_of_the_examples_shrinks_to_a_tenth() {
    let decision = DICTIONARY_1.split(|byte| *byte == b'\n').next_back().unwrap();
    // The same of somebody else, so that not all of it is in the dictionary.
    let decision = String::from_utf8(decision.to_vec()).unwrap().replace("stroke", "cancer");
    let decision = decision.replace("him-ellis", "him-ndiaye").into_bytes();
    let key = key();
    let entry = sealed(&key, 9, &decision);
    assert!(entry.len() * 10 < decision.len(), "{} of {}", entry.len(), decision.len());
    assert_eq!(key.open(&Envelope::parse(&entry).unwrap()).unwrap(), decision);
}

#[test]
fn an_entry_opens_in_its_own_log_only() {
    let data_key = DataKey::generate().unwrap();
    let entry = sealed(&SealingKey::new(&data_key, ORIGIN).unwrap(), 1, b"record");
    let elsewhere = SealingKey::new(&data_key, [8; 32]).unwrap();
    assert_eq!(elsewhere.open(&Envelope::parse(&entry).unwrap()), Err(RecordError::Open));
}

#[test]
fn another_key_is_named_before_it_is_tried() {
    let entry = sealed(&key(), 1, b"record");
    let refused = key().open(&Envelope::parse(&entry).unwrap());
    assert!(matches!(refused, Err(RecordError::OtherKey { .. })));
}

#[test]
fn the_largest_record_fits_and_one_byte_more_is_refused() {
    let fits = noise(ENVELOPE_BYTES_MAX - OVERHEAD_BYTES);
    let key = key();
    let entry = sealed(&key, 0, &fits);
    assert_eq!(entry.len(), ENVELOPE_BYTES_MAX);
    assert_eq!(key.open(&Envelope::parse(&entry).unwrap()).unwrap(), fits);

    let refused = Payload::new(noise(ENVELOPE_BYTES_MAX - OVERHEAD_BYTES + 1));
    assert!(matches!(refused, Err(RecordError::TooLarge { sealed: 65_536, .. })));
}

#[test]
fn a_record_that_compresses_well_is_still_limited() {
    assert!(Payload::new(vec![0; RECORD_BYTES_MAX]).is_ok());
    assert!(matches!(Payload::new(vec![0; RECORD_BYTES_MAX + 1]), Err(RecordError::TooLarge { .. })));
}
