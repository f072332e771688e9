//! Wrapping for somebody who is not here: the age format, for X25519 recipients alone.
//!
//! What [`seal`] makes is a whole file of <https://age-encryption.org/v1> (C2SP `age.md`) that the `age` command
//! opens with the identity and nothing of ours; the tests let it. One stanza for each recipient, the content in
//! one chunk, since a data key is 32 bytes. The primitives are the log's own library.
//! Ephemeral keys and file keys are made anew for each file, so the zero nonces of the format never repeat.

mod bech32;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::{hkdf, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use zeroize::Zeroizing;

const VERSION_LINE: &str = "age-encryption.org/v1";
const STANZA: &str = "-> X25519 ";
const MAC: &str = "---";
const RECIPIENT_PREFIX: &str = "age";
const IDENTITY_PREFIX: &str = "age-secret-key-";
const FILE_KEY_BYTES: usize = 16;
const PAYLOAD_NONCE_BYTES: usize = 16;
/// The nonce of the first and last chunk: counter 0, flag 1.
const LAST_CHUNK: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// What one chunk of the format holds.
const CONTENT_BYTES_MAX: usize = 64 * 1024;
/// More recipients than anybody names; bounds the work of opening a file that somebody made up.
pub const RECIPIENTS_MAX: usize = 16;

/// What is no recipient or identity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AgeError {
    /// Neither of both.
    #[error("`{given}` is no recipient: expected `age1…`, as `age-keygen` prints it")]
    NoRecipient {
        /// What was given.
        given: String,
    },
    /// A recipient of another kind.
    #[error(
        "`{given}` is a recipient of another kind: expected X25519, 62 characters from `age1`, as `age-keygen` makes it"
    )]
    OtherKind {
        /// What was given.
        given: String,
    },
    /// An identity where a recipient belongs. Not quoted: it is a secret.
    #[error(
        "a secret identity stands where a recipient belongs: consider it exposed, make another with `age-keygen`, \
         and give its public key `age1…`"
    )]
    SecretGiven,
    /// More than [`RECIPIENTS_MAX`].
    #[error("{given} recipients are too many: at most {RECIPIENTS_MAX}")]
    TooMany {
        /// How many.
        given: usize,
    },
    /// No identity in the file.
    #[error("there is no identity `AGE-SECRET-KEY-1…`: expected the file that `age-keygen` wrote, decrypted")]
    NoIdentity,
    /// The library refused, or its random generator failed.
    #[error("the cryptographic library failed")]
    Library,
}

/// Who can open: a public X25519 key, written `age1…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    key: [u8; 32],
    text: String,
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Recipient {
    /// Reads `age1…`.
    ///
    /// # Errors
    /// When it is none, or one of another kind.
    pub fn parse(text: &str) -> Result<Self, AgeError> {
        let given = || text.to_owned();
        if text.to_ascii_lowercase().contains(IDENTITY_PREFIX) {
            return Err(AgeError::SecretGiven);
        }
        let Some(key) = bech32::decode(RECIPIENT_PREFIX, text) else {
            // `age1pq1…`, `age1yubikey1…` and others have a longer prefix.
            let other = text.strip_prefix("age1").is_some_and(|rest| rest.contains('1'));
            return Err(if other {
                AgeError::OtherKind { given: given() }
            } else {
                AgeError::NoRecipient { given: given() }
            });
        };
        let key = <[u8; 32]>::try_from(key.as_slice()).map_err(|_| AgeError::OtherKind { given: given() })?;
        Ok(Self { key, text: given() })
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// What opens: a private X25519 key, written `AGE-SECRET-KEY-1…`.
pub struct Identity {
    key: PrivateKey,
    public: [u8; 32],
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<identity>")
    }
}

impl Identity {
    /// The identities of a file as `age-keygen` writes it: one a line, beside comments with `#`.
    ///
    /// # Errors
    /// When a line is something else, or there is none.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, AgeError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities: Vec<_> = lines.map(Self::parse).collect::<Result<_, _>>()?;
        if identities.is_empty() { Err(AgeError::NoIdentity) } else { Ok(identities) }
    }

    fn parse(text: &str) -> Result<Self, AgeError> {
        let key = bech32::decode(IDENTITY_PREFIX, text).ok_or(AgeError::NoIdentity)?;
        let key = PrivateKey::from_private_key(&X25519, &key).map_err(|_| AgeError::NoIdentity)?;
        let public = public(&key).ok_or(AgeError::Library)?;
        Ok(Self { key, public })
    }

    /// Whether this is the other half of a recipient.
    #[must_use]
    pub fn is_of(&self, recipient: &Recipient) -> bool {
        self.public == recipient.key
    }
}

fn public(key: &PrivateKey) -> Option<[u8; 32]> {
    key.compute_public_key().ok()?.as_ref().try_into().ok()
}

/// Encrypts at most 64 KiB for each of the recipients; `None` when the library fails.
pub(super) fn seal(recipients: &[Recipient], content: &[u8]) -> Option<Vec<u8>> {
    if content.len() > CONTENT_BYTES_MAX {
        return None;
    }
    let mut file_key = Zeroizing::new([0; FILE_KEY_BYTES]);
    rand::fill(file_key.as_mut_slice()).ok()?;
    let mut header = format!("{VERSION_LINE}\n");
    for recipient in recipients {
        let ephemeral = PrivateKey::generate(&X25519).ok()?;
        let share = public(&ephemeral)?;
        let key = stanza_key(&ephemeral, &recipient.key, &share, &recipient.key)?;
        let body = encrypt(&key, [0; 12], file_key.as_slice())?;
        header.push_str(&format!("{STANZA}{}\n{}\n", BASE64.encode(share), BASE64.encode(body)));
    }
    header.push_str(MAC);
    let mac = hmac::sign(&header_key(&file_key)?, header.as_bytes());
    header.push_str(&format!(" {}\n", BASE64.encode(mac)));

    let mut nonce = [0; PAYLOAD_NONCE_BYTES];
    rand::fill(&mut nonce).ok()?;
    let mut file = header.into_bytes();
    file.extend_from_slice(&nonce);
    let key = derive(&nonce, file_key.as_slice(), b"payload")?;
    file.extend_from_slice(&encrypt(&key, LAST_CHUNK, content)?);
    Some(file)
}

/// Decrypts what is for one of the identities; `None` when it is for none of them, or was changed.
pub(super) fn open(identities: &[Identity], file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (header, mac, payload) = split(file)?;
    let mut lines = header.strip_suffix(MAC)?.lines();
    if lines.next()? != VERSION_LINE {
        return None;
    }
    let mut file_key = None;
    for _ in 0..RECIPIENTS_MAX {
        let Some(stanza) = lines.next() else { break };
        let share: [u8; 32] = BASE64.decode(stanza.strip_prefix(STANZA)?).ok()?.try_into().ok()?;
        let body = BASE64.decode(lines.next()?).ok()?;
        if file_key.is_none() {
            file_key = identities.iter().find_map(|identity| unwrap(identity, &share, &body));
        }
    }
    let file_key = file_key?;
    hmac::verify(&header_key(&file_key)?, header.as_bytes(), &mac).ok()?;
    let (nonce, sealed) = payload.split_first_chunk::<PAYLOAD_NONCE_BYTES>()?;
    let key = derive(nonce, file_key.as_slice(), b"payload")?;
    decrypt(&key, LAST_CHUNK, sealed)
}

/// The header up to its MAC, the MAC, and the rest.
fn split(file: &[u8]) -> Option<(&str, Vec<u8>, &[u8])> {
    let start = file.windows(5).position(|window| window == b"\n--- ")?;
    let (header, rest) = file.split_at_checked(start + 1 + MAC.len())?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (mac, payload) = (rest.get(1..end)?, rest.get(end + 1..)?);
    Some((str::from_utf8(header).ok()?, BASE64.decode(mac).ok()?, payload))
}

fn unwrap(identity: &Identity, share: &[u8; 32], body: &[u8]) -> Option<Zeroizing<[u8; FILE_KEY_BYTES]>> {
    let key = stanza_key(&identity.key, share, share, &identity.public)?;
    let plain = decrypt(&key, [0; 12], body)?;
    Some(Zeroizing::new(plain.as_slice().try_into().ok()?))
}

/// The key that wraps the file key in one stanza. The library refuses a shared secret of zeros.
fn stanza_key(
    mine: &PrivateKey,
    theirs: &[u8; 32],
    share: &[u8; 32],
    recipient: &[u8; 32],
) -> Option<Zeroizing<[u8; 32]>> {
    let salt = [share.as_slice(), recipient].concat();
    let theirs = UnparsedPublicKey::new(&X25519, theirs);
    agree(mine, theirs, (), |secret| derive(&salt, secret, b"age-encryption.org/v1/X25519").ok_or(())).ok()
}

fn header_key(file_key: &[u8; FILE_KEY_BYTES]) -> Option<hmac::Key> {
    Some(hmac::Key::new(hmac::HMAC_SHA256, derive(&[], file_key, b"header")?.as_slice()))
}

fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let mut out = Zeroizing::new([0; 32]);
    key.expand(&[info], hkdf::HKDF_SHA256).ok()?.fill(out.as_mut_slice()).ok()?;
    Some(out)
}

fn aead(key: &[u8; 32]) -> Option<LessSafeKey> {
    Some(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?))
}

fn encrypt(key: &[u8; 32], nonce: [u8; 12], content: &[u8]) -> Option<Vec<u8>> {
    // Room for the tag, so that the content is never left behind by a move.
    let mut sealed = Zeroizing::new(Vec::with_capacity(content.len() + 16));
    sealed.extend_from_slice(content);
    let nonce = Nonce::assume_unique_for_key(nonce);
    aead(key)?.seal_in_place_append_tag(nonce, Aad::empty(), &mut *sealed).ok()?;
    Some(std::mem::take(&mut *sealed))
}

fn decrypt(key: &[u8; 32], nonce: [u8; 12], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let len = aead(key)?.open_in_place(nonce, Aad::empty(), &mut content).ok()?.len();
    content.truncate(len);
    Some(content)
}

#[cfg(test)]
mod tests;
