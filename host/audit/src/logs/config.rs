//! Where the logs of a deployment are, under which names, and with which keys.
//!
//! `<directory>/<organization>/<year>` is a log, and `<name>/audit/<organization>/<year>` its origin. Only names of
//! four digits are years: what is beside them (an index, an inbox, what is left of a year that was let go) is no log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_model::OrganizationId;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::index::IndexKey;
use crate::keys::KeyEncryption;
use crate::tlog::note::{NoteError, Signer};

/// Keeps the index key apart from whatever else is made of the signing key.
const INDEX_DOMAIN: &[u8] = b"assent audit index key";

/// Where the logs are, under which name, and with which keys.
#[expect(missing_debug_implementations, reason = "holds keys")]
#[derive(Clone)]
pub struct LogsConfig {
    /// The directory of all logs: `<directory>/<organization>/<year>`.
    pub directory: PathBuf,
    /// The deployment's name, such as `pdp.example.org`: the first part of each log's origin.
    pub name: String,
    /// 32 random bytes: the private key that signs batches and checkpoints (RFC 8032).
    pub signing_seed: Zeroizing<[u8; 32]>,
    /// Wraps the data keys.
    pub kek: Arc<dyn KeyEncryption>,
}

impl LogsConfig {
    /// The directory of an organization's log of a year.
    pub fn directory_of(&self, organization: &OrganizationId, year: i32) -> PathBuf {
        self.directory.join(organization.as_str()).join(format!("{year:04}"))
    }

    /// The organizations that have logs here, whether or not they are still served.
    ///
    /// # Errors
    /// When the directory cannot be read; one that does not exist has none.
    pub fn organizations(&self) -> std::io::Result<Vec<OrganizationId>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            entries => entries?,
        };
        let mut organizations = vec![];
        for entry in entries {
            organizations.extend(entry?.file_name().to_str().and_then(|name| OrganizationId::new(name).ok()));
        }
        organizations.sort_unstable();
        Ok(organizations)
    }

    /// The years of which an organization has a log, oldest first.
    ///
    /// # Errors
    /// When the organization's directory cannot be read; one that does not exist has no years.
    pub fn years(&self, organization: &OrganizationId) -> std::io::Result<Vec<i32>> {
        years(&self.directory.join(organization.as_str()))
    }

    /// The signer of an organization's log of a year; its name is the log's origin.
    ///
    /// # Errors
    /// When the deployment's name cannot be part of an origin.
    pub fn signer(&self, organization: &OrganizationId, year: i32) -> Result<Signer, NoteError> {
        Signer::from_seed(&self.origin(organization, year), &self.signing_seed)
    }

    /// The name that an organization's log of a year is known by.
    pub fn origin(&self, organization: &OrganizationId, year: i32) -> String {
        format!("{}/audit/{organization}/{year:04}", self.name)
    }

    /// The key of the search index: it can be had from the signing key and from nothing else.
    pub fn index_key(&self) -> IndexKey {
        let mut hasher = Sha256::new_with_prefix(INDEX_DOMAIN);
        hasher.update(*self.signing_seed);
        IndexKey::new(hasher.finalize().into())
    }
}

/// The years of which there is something in an organization's directory, oldest first.
pub(crate) fn years(directory: &Path) -> std::io::Result<Vec<i32>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let mut years = vec![];
    for entry in entries {
        let name = entry?.file_name();
        // Neither `+123` nor `-001`, which would be numbers.
        let digits = name.to_str().filter(|name| name.len() == 4 && name.bytes().all(|b| b.is_ascii_digit()));
        years.extend(digits.and_then(|digits| digits.parse::<i32>().ok()));
    }
    years.sort_unstable();
    Ok(years)
}
