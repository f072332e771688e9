//! Signed notes (c2sp.org/signed-note): what text did which keys sign?
//!
//! A note is a text, an empty line, and signature lines. [`sign`] makes one, [`open`] checks one against the keys
//! that are known and hands out the text only if one of them signed it. [`Unverified::parse`] looks into a note
//! before that, for those who must read who claims to speak in order to choose the keys.
//! INVARIANT (no text without a signature): the only way to an [`Opened`] is a signature that verified, and a
//! single bad signature of a known key refuses the whole note.

use std::fmt;

use super::text;

mod key;

pub use key::{Algorithm, Cosigner, Signer, Verifier};

/// The largest note, in bytes. As in Go's `note` package, so that a note made here opens there.
pub const NOTE_BYTES_MAX: usize = 1_000_000;

/// The most signatures on a note. As in Go's `note` package; the specification requires at least 16.
pub const SIGNATURES_MAX: usize = 100;

/// What every signature line begins with: an em dash and a space.
const LINE_START: &str = "— ";

/// Why a note or a key was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More than [`NOTE_BYTES_MAX`] bytes.
    #[error("the note is {found} bytes long, more than {NOTE_BYTES_MAX}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// More than [`SIGNATURES_MAX`] signatures.
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// A control character other than a newline.
    #[error("the note has a control character in it")]
    ControlCharacter,
    /// The text to be signed does not end in a newline.
    #[error("the text of a note must end in a newline")]
    TextEnd,
    /// The signatures are missing, or not set off by an empty line.
    #[error("the note must be a text, an empty line, and signature lines that each end in a newline")]
    NoSignatures,
    /// A line below the text that is not a signature.
    #[error("signature {line} of the note must be `— <key name> <base64>`")]
    SignatureLine {
        /// Which line, counted from 1 below the empty line.
        line: usize,
    },
    /// A known key's signature does not fit the text.
    #[error(
        "the signature of `{name}` does not fit the note: one of them was changed, or the key is another"
    )]
    BadSignature {
        /// The name of the key.
        name: String,
    },
    /// None of the keys that are known signed it.
    #[error("no known key signed the note")]
    NotSigned,
    /// The name cannot be that of a key.
    #[error("a key name must not be empty and must have no space, control character or `+` in it")]
    KeyName,
    /// Not a verifier key.
    #[error("a verifier key must be `<name>+<8 hex digits>+<base64>` of an Ed25519 key or cosigner")]
    VerifierKey,
    /// Not a signer key. The message does not repeat any of it.
    #[error("a signer key must be `PRIVATE+KEY+<name>+<8 hex digits>+<base64>` of an Ed25519 key")]
    SignerKey,
}

/// A signature on a note, as its line says it; verified or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    name: String,
    key_id: u32,
    bytes: Vec<u8>,
}

impl Signature {
    /// The name of the key that is said to have signed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number that, with the name, tells which key and algorithm it is.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(LINE_START)?.split_once(' ')?;
        let decoded = text::decode(encoded)?;
        let (key_id, bytes) = decoded.split_first_chunk::<4>()?;
        if !key::is_name(name) || bytes.is_empty() {
            return None;
        }
        Some(Self { name: name.to_owned(), key_id: u32::from_be_bytes(*key_id), bytes: bytes.to_vec() })
    }
}

/// The signature line, with its newline.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id.to_be_bytes(), self.bytes.as_slice()].concat();
        writeln!(f, "{LINE_START}{} {}", self.name, text::encode(&bytes))
    }
}

/// A note of which only the form was checked. Nothing in it may be believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified {
    /// The text that was signed, with its last newline.
    pub text: String,
    /// All signatures, in the order of the note.
    pub signatures: Vec<Signature>,
}

impl Unverified {
    /// Splits a note at its last empty line.
    ///
    /// # Errors
    /// [`NoteError`] if it is too long, has control characters, or any signature line is not one.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        check_characters(note)?;
        let split = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, signatures) = note.split_at(split + 1);
        let lines = signatures.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or(NoteError::NoSignatures)?;
        let mut signatures = vec![];
        for (at, line) in lines.split('\n').enumerate() {
            if at == SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(Signature::parse(line).ok_or(NoteError::SignatureLine { line: at + 1 })?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Checks the signatures of known keys and ignores all others, as the specification requires: that is
    /// how keys are rotated and witnesses added.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] if a known key's signature does not fit, [`NoteError::NotSigned`] if there is none.
    pub fn verify(&self, verifiers: &[Verifier]) -> Result<Opened, NoteError> {
        let mut signatures: Vec<Verified> = vec![];
        for signature in &self.signatures {
            let known = |verifier: &&Verifier| {
                verifier.name() == signature.name && verifier.key_id() == signature.key_id
            };
            let Some(verifier) = verifiers.iter().find(known) else { continue };
            let time = verifier
                .check(&self.text, &signature.bytes)
                .ok_or_else(|| NoteError::BadSignature { name: signature.name.clone() })?;
            let counted = signatures.iter().any(|verified| {
                verified.signature.name == signature.name && verified.signature.key_id == signature.key_id
            });
            // A key that signs twice still counts once, so that nobody makes a quorum alone.
            if !counted {
                signatures.push(Verified { signature: signature.clone(), time });
            }
        }
        if signatures.is_empty() {
            return Err(NoteError::NotSigned);
        }
        Ok(Opened { text: self.text.clone(), signatures })
    }
}

/// A note that at least one known key has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    text: String,
    signatures: Vec<Verified>,
}

impl Opened {
    /// The text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures that verified, one for each key that is known and signed, in the order of the note.
    #[must_use]
    pub fn signatures(&self) -> &[Verified] {
        &self.signatures
    }

    /// Whether this key is one of those that signed.
    #[must_use]
    pub fn is_signed_by(&self, verifier: &Verifier) -> bool {
        let mut keys = self.signatures.iter().map(|verified| &verified.signature);
        keys.any(|signature| signature.name == verifier.name() && signature.key_id == verifier.key_id())
    }
}

/// A signature that verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    signature: Signature,
    time: Option<u64>,
}

impl Verified {
    /// The signature itself.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// For a cosignature, when it was made, in seconds since 1970, by the cosigner's clock.
    #[must_use]
    pub fn time(&self) -> Option<u64> {
        self.time
    }
}

/// Signs a text with each of the signers, in their order.
///
/// # Errors
/// [`NoteError`] if the text does not end in a newline or has control characters, if there is no signer, or if
/// the note would pass [`NOTE_BYTES_MAX`] or [`SIGNATURES_MAX`].
pub fn sign(text: &str, signers: &[&Signer]) -> Result<String, NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::TextEnd);
    }
    if signers.is_empty() {
        return Err(NoteError::NotSigned);
    }
    let signatures: Vec<_> = signers.iter().map(|signer| signer.sign(text)).collect();
    append(&format!("{text}\n"), &signatures)
}

/// Opens a note: checks it and gives its text, if one of these keys signed it.
///
/// # Errors
/// [`NoteError`] if it is malformed, no known key signed it, or a known key's signature does not fit.
pub fn open(note: &str, verifiers: &[Verifier]) -> Result<Opened, NoteError> {
    Unverified::parse(note)?.verify(verifiers)
}

/// Adds signatures to a note, such as those of witnesses, below the ones it has.
///
/// # Errors
/// [`NoteError`] if what comes out is not a note, or passes its limits.
pub fn append(note: &str, signatures: &[Signature]) -> Result<String, NoteError> {
    let mut note = note.to_owned();
    for signature in signatures {
        note.push_str(&signature.to_string());
    }
    Unverified::parse(&note)?;
    Ok(note)
}

fn check_characters(note: &str) -> Result<(), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong { found: note.len() });
    }
    if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::ControlCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
