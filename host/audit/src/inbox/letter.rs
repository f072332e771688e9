//! A letter's file: an event, sealed with a key of its own, which is wrapped with the key-encryption key.
//!
//! Events may name patients, so nothing of one is on disk in clear. INVARIANT (only who has the sealing key
//! writes letters): wrapping authenticates, and both layers are tied to the organization and the letter's
//! name, so a letter cannot be made without the key, changed, copied or moved to another inbox.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::InboxError;
use crate::keys::{
    DataKey, ENVELOPE_BYTES_MAX, Envelope, KeeperError, KeyEncryption, KeyError, Payload, SealingKey,
};
use crate::log::layout::origin_hash;
use crate::record::Event;

const VERSION: u32 = 1;
const CONTEXT_DOMAIN: &[u8] = b"assent inbox wrap v1\0";
/// An envelope in base64, and its wrapped key.
pub(super) const FILE_BYTES_MAX: usize = ENVELOPE_BYTES_MAX / 3 * 4 + 16 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Letter {
    version: u32,
    /// The key that wrapped it, which may be a former one when the letter is read.
    kek: String,
    wrapped: String,
    sealed: String,
}

/// A new id: the time, so that letters are taken in their order, and chance, so that no two are alike.
#[expect(clippy::disallowed_methods, reason = "names a file; a record's time is the writer's")]
pub(super) fn new_id() -> Result<String, InboxError> {
    let mut random = [0; 8];
    rand::fill(&mut random).map_err(|_| KeyError::Random)?;
    // A clock before 1970 only spoils the order.
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Ok(format!("{millis:014}-{}", hex::encode(random)))
}

/// The file of a letter.
pub(super) fn seal(origin: &str, event: &Event, kek: &dyn KeyEncryption) -> Result<Vec<u8>, InboxError> {
    let key = DataKey::generate()?;
    let wrapped = kek.wrap(&key, &context(origin)).map_err(InboxError::Keeper)?;
    let content = serde_json::to_vec(event).map_err(|_| InboxError::Seal)?;
    let mut sealed = vec![];
    SealingKey::new(&key, origin_hash(origin))?.seal(0, &Payload::new(content)?, &mut sealed)?;
    let (wrapped, sealed) = (STANDARD.encode(wrapped), STANDARD.encode(sealed));
    let letter = Letter { version: VERSION, kek: kek.id().to_owned(), wrapped, sealed };
    serde_json::to_vec(&letter).map_err(|_| InboxError::Seal)
}

/// What a letter says.
pub(super) fn open(
    origin: &str,
    path: &Path,
    bytes: &[u8],
    kek: &dyn KeyEncryption,
) -> Result<Event, InboxError> {
    let unreadable = |what| InboxError::Letter { path: path.to_owned(), what };
    let letter: Letter = serde_json::from_slice(bytes).map_err(|_| unreadable("it is no letter"))?;
    if letter.version != VERSION {
        return Err(unreadable("it is of another version"));
    }
    let [wrapped, sealed] = [&letter.wrapped, &letter.sealed].map(|text| STANDARD.decode(text).ok());
    let (Some(wrapped), Some(sealed)) = (wrapped, sealed) else { return Err(unreadable("it is no letter")) };
    let foreign = || unreadable("the sealing key did not write it for this inbox and name");
    let keeper = if letter.kek == kek.id() { Some(kek) } else { kek.former(&letter.kek) };
    let key =
        keeper.ok_or_else(foreign)?.unwrap(&wrapped, &context(origin)).map_err(|error| match error {
            KeeperError::Refused => foreign(),
            // The letter may be as it should.
            KeeperError::Unfaithful | KeeperError::Library | KeeperError::Token(_) => {
                InboxError::Keeper(error)
            }
        })?;
    let envelope = Envelope::parse(&sealed)?;
    let content = SealingKey::new(&key, origin_hash(origin))?.open(&envelope)?;
    serde_json::from_slice(&content).map_err(|_| unreadable("its event is of a kind that is not known here"))
}

fn context(origin: &str) -> Vec<u8> {
    [CONTEXT_DOMAIN, origin.as_bytes()].concat()
}
