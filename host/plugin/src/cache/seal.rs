//! The seal on an entry: HMAC-SHA256, under the directory's key, over the entry's name and bytes.
//!
//! The name is part of what is sealed, so that an entry renamed to stand for other settings or
//! another engine does not open. [`Authentic`] can be made in this file only.

use std::ops::Range;

use assent_model::Digest;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// First in every entry; the number changes with the layout.
const MAGIC: &[u8] = b"assent-plugin-1\n";
const TAG_BYTES: usize = 32;
const LENGTH_BYTES: usize = 4;

/// The key that entries are sealed with.
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    pub(super) const BYTES: usize = 32;

    /// `None` unless there are exactly [`Self::BYTES`].
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == Self::BYTES).then(|| Hmac::new_from_slice(bytes).ok().map(Self)).flatten()
    }

    /// An entry: magic, tag, length of `about`, `about`, code.
    pub(super) fn seal(&self, name: &Digest, about: &[u8], code: &[u8]) -> Vec<u8> {
        let mut body = u32::try_from(about.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        body.extend_from_slice(about);
        body.extend_from_slice(code);
        let tag = self.mac(name, &body).finalize().into_bytes();
        [MAGIC, tag.as_slice(), &body].concat()
    }

    /// The entry's content, if it was sealed under this name with this key.
    pub(super) fn open(&self, name: &Digest, entry: Vec<u8>) -> Option<Authentic> {
        let (tag, body) = entry.strip_prefix(MAGIC)?.split_at_checked(TAG_BYTES)?;
        self.mac(name, body).verify_slice(tag).ok()?;
        let (length, rest) = body.split_at_checked(LENGTH_BYTES)?;
        let about_length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        if about_length > rest.len() {
            return None;
        }
        let start = MAGIC.len() + TAG_BYTES + LENGTH_BYTES;
        let about = start..start + about_length;
        let code = about.end..entry.len();
        Some(Authentic { entry, about, code })
    }

    fn mac(&self, name: &Digest, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(name.as_bytes());
        mac.update(body);
        mac
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(<redacted>)")
    }
}

/// The content of an entry that this host sealed.
pub(crate) struct Authentic {
    entry: Vec<u8>,
    about: Range<usize>,
    code: Range<usize>,
}

impl Authentic {
    /// What the host noted about the plugin.
    pub(crate) fn about(&self) -> &[u8] {
        self.entry.get(self.about.clone()).unwrap_or_default()
    }

    /// The compiled code.
    pub(super) fn code(&self) -> &[u8] {
        self.entry.get(self.code.clone()).unwrap_or_default()
    }
}
