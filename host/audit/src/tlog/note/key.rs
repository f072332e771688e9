//! The keys of notes: names, key numbers, their text forms, and Ed25519 through aws-lc-rs.
//!
//! A key is known by its name and a number that is derived from name, algorithm and public key, so that a signature
//! of one algorithm can never count as one of another. Private keys have no `Debug`, and their text form and
//! seed are wiped when dropped; aws-lc wipes its own copy when it frees it.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{NoteError, Signature};
use crate::tlog::text;

/// What a signer key begins with; as in Go's `note` package.
const PRIVATE: &str = "PRIVATE+KEY+";

/// The latest time a cosignature may state, in seconds since 1970 (c2sp.org/tlog-cosignature).
const TIME_MAX: u64 = i64::MAX as u64;

/// How a key signs; its value is the type byte of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Algorithm {
    /// Ed25519 over the text (c2sp.org/signed-note).
    Ed25519 = 0x01,
    /// A witness's Ed25519 over a time and the text (cosignature/v1 of c2sp.org/tlog-cosignature).
    Cosignature = 0x04,
}

/// A public key: who may have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key_id: u32,
    algorithm: Algorithm,
    public: [u8; 32],
}

impl Verifier {
    /// The key of this name, algorithm and public key.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] if the name is empty or has spaces, control characters or `+`.
    pub fn new(name: &str, algorithm: Algorithm, public: [u8; 32]) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::KeyName);
        }
        let id = Sha256::new().chain_update(name).chain_update([b'\n', algorithm as u8]).chain_update(public);
        let [a, b, c, d, ..] = <[u8; 32]>::from(id.finalize());
        Ok(Self { name: name.to_owned(), key_id: u32::from_be_bytes([a, b, c, d]), algorithm, public })
    }

    /// Reads `<name>+<8 hex digits>+<base64 of type byte and public key>`, as Go's `note` package writes it.
    ///
    /// # Errors
    /// [`NoteError::VerifierKey`] if it is anything else, or the digits do not belong to the key.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let (name, key_id, algorithm, public) = parse_key(vkey).ok_or(NoteError::VerifierKey)?;
        let verifier = Self::new(name, algorithm, *public).map_err(|_| NoteError::VerifierKey)?;
        if verifier.key_id == key_id { Ok(verifier) } else { Err(NoteError::VerifierKey) }
    }

    /// The name of the key; of a log, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256 over name, newline, type byte and public key.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// How the key signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this key signed bytes that are no text: see [`Signer::sign_bytes`].
    pub(crate) fn check_bytes(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        self.algorithm == Algorithm::Ed25519 && key.verify(message, signature).is_ok()
    }

    /// `Some` if the signature fits the text; inside, the time that a cosignature states.
    pub(super) fn check(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        match self.algorithm {
            Algorithm::Ed25519 => key.verify(text.as_bytes(), signature).ok().map(|()| None),
            Algorithm::Cosignature => {
                let (time, signature) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                if time > TIME_MAX {
                    return None;
                }
                key.verify(cosigned_message(text, time).as_bytes(), signature).ok().map(|()| Some(time))
            }
        }
    }
}

/// The text form that [`Verifier::parse`] reads.
impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.algorithm as u8], self.public.as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.key_id, text::encode(&key))
    }
}

/// A private key that signs texts.
#[expect(missing_debug_implementations, reason = "a private key must not get into a log")]
pub struct Signer {
    verifier: Verifier,
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// The key of this name made from 32 random bytes (the private key of RFC 8032).
    ///
    /// # Errors
    /// [`NoteError::KeyName`] if the name cannot be one.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let (verifier, pair) = key_pair(name, Algorithm::Ed25519, seed)?;
        Ok(Self { verifier, seed: Zeroizing::new(*seed), pair })
    }

    /// Reads `PRIVATE+KEY+<name>+<8 hex digits>+<base64 of type byte and seed>`, as Go's `note` package writes it.
    ///
    /// # Errors
    /// [`NoteError::SignerKey`] if it is anything else, or the digits do not belong to the key.
    pub fn parse(skey: &str) -> Result<Self, NoteError> {
        let key = skey.strip_prefix(PRIVATE).and_then(parse_key);
        let (name, key_id, algorithm, seed) = key.ok_or(NoteError::SignerKey)?;
        let signer = Self::from_seed(name, &seed).map_err(|_| NoteError::SignerKey)?;
        let belongs = algorithm == Algorithm::Ed25519 && signer.verifier.key_id == key_id;
        if belongs { Ok(signer) } else { Err(NoteError::SignerKey) }
    }

    /// The text form that [`parse`](Self::parse) reads, for a key file. It is wiped when dropped.
    #[must_use]
    pub fn skey(&self) -> Zeroizing<String> {
        let key = Zeroizing::new([&[Algorithm::Ed25519 as u8], self.seed.as_slice()].concat());
        let encoded = Zeroizing::new(text::encode(&key));
        let Verifier { name, key_id, .. } = &self.verifier;
        // As long as the result, so that no smaller, unwiped buffer is left behind while it grows.
        let mut skey = Zeroizing::new(String::with_capacity(PRIVATE.len() + name.len() + encoded.len() + 10));
        for part in [PRIVATE, name, "+", &format!("{key_id:08x}"), "+", &encoded] {
            skey.push_str(part);
        }
        skey
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Signs bytes that are no text. They must contain a NUL, so that they can never pass for a note.
    pub(crate) fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        debug_assert!(message.contains(&0), "could pass for a note");
        let mut signature = [0; 64];
        // An Ed25519 signature has 64 bytes, always.
        signature.iter_mut().zip(self.pair.sign(message).as_ref()).for_each(|(to, from)| *to = *from);
        signature
    }

    /// Signs a text, which [`super::sign`] has checked.
    pub(super) fn sign(&self, text: &str) -> Signature {
        let bytes = self.pair.sign(text.as_bytes()).as_ref().to_vec();
        Signature { name: self.verifier.name.clone(), key_id: self.verifier.key_id, bytes }
    }
}

/// A witness's private key, which signs checkpoints together with the time it saw them.
#[expect(missing_debug_implementations, reason = "a private key must not get into a log")]
pub struct Cosigner {
    verifier: Verifier,
    pair: Ed25519KeyPair,
}

impl Cosigner {
    /// The key of this name made from 32 random bytes. The specification forbids to use the same seed under
    /// two names, because the name is not part of what is signed.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] if the name cannot be one.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let (verifier, pair) = key_pair(name, Algorithm::Cosignature, seed)?;
        Ok(Self { verifier, pair })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Signs the text of a checkpoint as seen at `time`, in seconds since 1970; later than 2^63 - 1 counts as that.
    #[must_use]
    pub fn cosign(&self, checkpoint_text: &str, time: u64) -> Signature {
        let time = time.min(TIME_MAX);
        let signed = self.pair.sign(cosigned_message(checkpoint_text, time).as_bytes());
        let bytes = [&time.to_be_bytes(), signed.as_ref()].concat();
        Signature { name: self.verifier.name.clone(), key_id: self.verifier.key_id, bytes }
    }
}

/// What a cosignature signs (c2sp.org/tlog-cosignature, "Ed25519 signed message").
fn cosigned_message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

fn key_pair(
    name: &str,
    algorithm: Algorithm,
    seed: &[u8; 32],
) -> Result<(Verifier, Ed25519KeyPair), NoteError> {
    // Every 32 bytes are an Ed25519 seed, so the library refuses nothing but a wrong length.
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::SignerKey)?;
    let public = pair.public_key().as_ref().try_into().map_err(|_| NoteError::SignerKey)?;
    Ok((Verifier::new(name, algorithm, public)?, pair))
}

/// The parts of `<name>+<8 hex digits>+<base64 of type byte and 32 bytes>`.
fn parse_key(key: &str) -> Option<(&str, u32, Algorithm, Zeroizing<[u8; 32]>)> {
    let mut parts = key.splitn(3, '+');
    let (name, digits, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let decoded = Zeroizing::new(text::decode(encoded)?);
    let (kind, bytes) = decoded.split_first()?;
    let algorithm = match kind {
        0x01 => Algorithm::Ed25519,
        0x04 => Algorithm::Cosignature,
        _ => return None,
    };
    let key_id = if digits.len() == 8 { u32::from_str_radix(digits, 16).ok()? } else { return None };
    Some((name, key_id, algorithm, Zeroizing::new(bytes.try_into().ok()?)))
}

/// Whether this can be the name of a key: not empty, no Unicode space, no `+`; nor anything a note cannot hold.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |letter: char| letter >= ' ' && !letter.is_whitespace() && letter != '+';
    !name.is_empty() && name.chars().all(fits)
}
