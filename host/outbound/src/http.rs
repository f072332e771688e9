//! The client that all of this crate speaks HTTP with.
//!
//! It speaks TLS to everybody but this machine, follows no redirects and uses no proxy, so that what is
//! sent goes where the configuration says and nowhere else; and it takes no more of an answer than asked.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client, Identity, Response, Url, redirect};
use zeroize::Zeroizing;

/// How long a connection may take to come about: the slowest that are any use do in a few seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take with its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest file of certificates: a whole system's collection is a fifth of it.
const CERTIFICATES_BYTES_MAX: u64 = 1 << 20;

/// Why there is no client, or an address is refused.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It is no URL.
    #[error("`{url}` is not a URL: expected such as `https://witness.example.org/`")]
    Malformed {
        /// As configured.
        url: String,
    },
    /// It is a URL that nothing is sent to.
    #[error(
        "`{url}` is refused: expected `https`, or `http` on this machine, without user, query or fragment"
    )]
    Refused {
        /// As configured.
        url: String,
    },
    /// The file of certificates is not one.
    #[error("{path} cannot be used: expected certificates in PEM of at most {CERTIFICATES_BYTES_MAX} bytes")]
    Certificates {
        /// Which.
        path: String,
        /// Why not, where that is known.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The certificate that the client would show, or its key, cannot be used.
    #[error(
        "{certificate} and {key} cannot be used as certificate and key: expected PEM, and the key readable by its owner alone"
    )]
    Identity {
        /// The file of the certificate.
        certificate: String,
        /// The file of the key.
        key: String,
        /// Why not, where that is known.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The client itself could not be made.
    #[error("no HTTP client could be made")]
    Client(#[source] reqwest::Error),
}

/// The files of the certificate by which a client shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, and those between it and the authority, in PEM.
    pub certificate: std::path::PathBuf,
    /// Its private key, in PEM; only its owner may be able to read it.
    pub key: std::path::PathBuf,
}

impl ClientIdentity {
    /// The bytes of both files.
    ///
    /// # Errors
    /// When one is missing or too large, or others than its owner can read the key.
    pub(crate) fn read(&self) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), ClientError> {
        let refuse = |source: std::io::Error| self.refused(Some(source.into()));
        let certificate = read_small(&self.certificate).map_err(refuse)?;
        let mode = std::fs::metadata(&self.key).map_err(refuse)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(self.refused(None));
        }
        Ok((certificate, Zeroizing::new(read_small(&self.key).map_err(refuse)?)))
    }

    pub(crate) fn refused(&self, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        let (certificate, key) = (self.certificate.display().to_string(), self.key.display().to_string());
        ClientError::Identity { certificate, key, source }
    }
}

/// The bytes of a small file, whatever its metadata says of their number.
pub(crate) fn read_small(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![];
    File::open(path)?.take(CERTIFICATES_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > CERTIFICATES_BYTES_MAX {
        return Err(std::io::Error::other("it is too large"));
    }
    Ok(bytes)
}

/// A client. With `authorities`, a file of certificates in PEM, only servers that these vouch for are
/// spoken to; without, those that the system trusts.
///
/// # Errors
/// When a file is missing or not what it should be, or TLS cannot be set up.
pub fn client(authorities: Option<&Path>) -> Result<Client, ClientError> {
    client_with(authorities, None, REQUEST_TIMEOUT)
}

/// The same, whose requests may take this long: for large bodies.
///
/// # Errors
/// As [`client`].
pub fn client_for(authorities: Option<&Path>, timeout: Duration) -> Result<Client, ClientError> {
    client_with(authorities, None, timeout)
}

/// The same, which shows a certificate.
///
/// # Errors
/// As [`client`].
pub fn client_as(
    authorities: Option<&Path>,
    identity: Option<&ClientIdentity>,
) -> Result<Client, ClientError> {
    client_with(authorities, identity, REQUEST_TIMEOUT)
}

fn client_with(
    authorities: Option<&Path>,
    identity: Option<&ClientIdentity>,
    timeout: Duration,
) -> Result<Client, ClientError> {
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("assent/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = authorities {
        builder = builder.tls_certs_only(certificates(path)?);
    }
    if let Some(files) = identity {
        let (certificate, key) = files.read()?;
        let both = Zeroizing::new([certificate.as_slice(), b"\n", key.as_slice()].concat());
        builder =
            builder.identity(Identity::from_pem(&both).map_err(|error| files.refused(Some(error.into())))?);
    }
    builder.build().map_err(ClientError::Client)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let refuse = |source| ClientError::Certificates { path: path.display().to_string(), source };
    let bytes = read_small(path).map_err(|error| refuse(Some(error.into())))?;
    let found = Certificate::from_pem_bundle(&bytes).map_err(|error| refuse(Some(error.into())))?;
    if found.is_empty() { Err(refuse(None)) } else { Ok(found) }
}

/// The URL of a server that something may be sent to.
///
/// # Errors
/// When it is none, or not `https` (or `http` on a loopback address), or carries more than a path.
pub fn address(url: &str) -> Result<Url, ClientError> {
    let parsed: Url = url.parse().map_err(|_| ClientError::Malformed { url: shown(url) })?;
    let here = parsed.host_str().is_some_and(is_this_machine);
    let plain = parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.query().is_none()
        && parsed.fragment().is_none();
    let secure = parsed.scheme() == "https" || (parsed.scheme() == "http" && here);
    if secure && plain { Ok(parsed) } else { Err(ClientError::Refused { url: shown(url) }) }
}

/// An address that is refused, as it may be said: what stands where a password or a token would is left out.
pub(crate) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("…@", rest));
    let (path, more) = rest.split_once(['?', '#']).map_or((rest, ""), |(path, _)| (path, "…"));
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{user}{path}{more}")
}

/// Whether a host of a URL is this machine, whatever a name service says.
pub(crate) fn is_this_machine(host: &str) -> bool {
    matches!(host, "localhost" | "[::1]")
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// The body of an answer, if it is at most `max` bytes long; `None` where it is longer.
///
/// # Errors
/// When the connection breaks.
pub async fn body(mut answer: Response, max: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut bytes = vec![];
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > max {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_secure_addresses_and_this_machine_are_spoken_to() {
        for (url, good) in [
            ("https://witness.example.org/", true),
            ("https://witness.example.org:8443/log", true),
            ("http://127.0.0.1:8080/", true),
            ("http://localhost/", true),
            ("http://[::1]:1/", true),
            ("http://witness.example.org/", false),
            ("http://10.0.0.1/", false),
            ("http://localhost.example.org/", false),
            ("https://user@witness.example.org/", false),
            ("https://witness.example.org/?key=1", false),
            ("https://witness.example.org/#a", false),
            ("ftp://witness.example.org/", false),
            ("witness.example.org", false),
        ] {
            assert_eq!(address(url).is_ok(), good, "{url}");
        }
    }

    #[test]
    fn an_address_that_is_refused_is_said_without_its_secrets() {
        for (url, expected) in [
            ("http://witness.example.org/log", "http://witness.example.org/log"),
            ("https://user:secret@witness.example.org/log", "https://…@witness.example.org/log"),
            ("https://user:se@cr?e#t@witness.example.org", "https://…@witness.example.org"),
            ("https://witness.example.org/in?token=secret", "https://witness.example.org/in…"),
            ("https://witness.example.org/in#secret", "https://witness.example.org/in…"),
            ("user:secret@witness.example.org", "…@witness.example.org"),
            ("https://secret@:a b", "https://…@:a b"),
            ("", ""),
        ] {
            assert_eq!(shown(url), expected);
            assert!(!address(url).unwrap_err().to_string().contains("secret"), "{url}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        assert!(client(Some(&path)).unwrap_err().to_string().contains("ca.pem"));
        std::fs::write(&path, "not a certificate").unwrap();
        assert!(client(Some(&path)).unwrap_err().to_string().contains("ca.pem"));
    }
}
