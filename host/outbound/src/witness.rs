//! Witnesses: did others see this log, and does it continue what they saw?
//!
//! `submit` is the protocol with one witness (c2sp.org/tlog-witness), `round` sends one log's newest checkpoint
//! to all of them and keeps what they cosign, [`Witnessing`] does that again and again beside a service.
//! INVARIANT (a witness is believed against us): where one knows another log than ours, the log stops, for then
//! either it or the witness was changed, and only people can find out which. A witness that is away stops nothing.

use std::path::Path;

use assent_audit::tlog::note::{Algorithm, NoteError, Verifier};
use reqwest::{Client, Url};

use crate::http::{self, ClientError};

mod keep;
mod round;
mod submit;

pub use keep::{Change, State, Status, Witnessing};
pub use round::{Log, Round, round};
pub use submit::{Contradiction, Refused, Said};

/// Why a witness cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// Its key is none.
    #[error(
        "`{key}` is not a witness's key: expected `<name>+<8 hex digits>+<base64>`, as its operator publishes it"
    )]
    Key {
        /// As configured.
        key: String,
        /// What is wrong with it.
        source: NoteError,
    },
    /// Its key is a log's.
    #[error(
        "`{key}` is the key of a log: expected that of a witness, which cosigns with the time (cosignature/v1)"
    )]
    LogKey {
        /// As configured.
        key: String,
    },
    /// Two have one name: what one said would pass for what the other did.
    #[error("`{name}` is named twice: expected each witness once, and each with a name of its own")]
    Twice {
        /// The witness's name.
        name: String,
    },
    /// It cannot be spoken to.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A witness: where it is, and the key that its cosignatures are checked with.
#[derive(Clone, Debug)]
pub struct Witness {
    verifier: Verifier,
    url: Url,
    client: Client,
}

impl Witness {
    /// A witness at `url`, the prefix that `add-checkpoint` follows, with this verifier key. `authorities` as
    /// in [`http::client`].
    ///
    /// # Errors
    /// When the key is not that of a witness, or nothing may be sent to the URL.
    pub fn new(url: &str, key: &str, authorities: Option<&Path>) -> Result<Self, WitnessError> {
        let verifier = key_of(key)?;
        let prefix = http::address(url)?;
        let url = format!("{}/add-checkpoint", prefix.as_str().trim_end_matches('/'));
        Ok(Self { verifier, url: http::address(&url)?, client: http::client(authorities)? })
    }

    /// Its name, as its key has it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// The key that its cosignatures are checked with.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// The key of a witness, of the kind that cosigns.
///
/// # Errors
/// When it is none, or a log's.
pub fn key_of(key: &str) -> Result<Verifier, WitnessError> {
    let verifier =
        Verifier::parse(key.trim()).map_err(|source| WitnessError::Key { key: key.to_owned(), source })?;
    match verifier.algorithm() {
        Algorithm::Cosignature => Ok(verifier),
        Algorithm::Ed25519 => Err(WitnessError::LogKey { key: key.to_owned() }),
    }
}

/// Refuses a witness that is named twice.
///
/// # Errors
/// The first that is.
pub fn each_once(witnesses: &[Witness]) -> Result<(), WitnessError> {
    for (at, witness) in witnesses.iter().enumerate() {
        // One key has one name, which is part of it.
        if witnesses.iter().take(at).any(|other| other.name() == witness.name()) {
            return Err(WitnessError::Twice { name: witness.name().to_owned() });
        }
    }
    Ok(())
}
