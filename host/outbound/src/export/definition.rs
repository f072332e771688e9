//! An exporter as it is configured, checked as far as that goes without files and connections.

use std::path::{Path, PathBuf};

use assent_audit::export::Format;
use assent_model::OrganizationId;
use reqwest::Url;
use zeroize::Zeroizing;

use super::error::DefinitionError;
use crate::http::{self, ClientIdentity};

/// An id is part of file names and a label of metrics.
const ID_MAX: usize = 32;
/// Syslog over TLS (RFC 5425, section 4.1).
const SYSLOG_TLS_PORT: u16 = 6514;
/// Syslog over a plain connection, to an agent on this machine (RFC 6587; IANA: `syslog-conn`).
const SYSLOG_PORT: u16 = 601;

/// What an exporter is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExporterId(String);

impl ExporterId {
    /// This id.
    ///
    /// # Errors
    /// When it is empty, long, or has other characters than lower-case letters, digits and `-`.
    pub fn new(id: &str) -> Result<Self, DefinitionError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=ID_MAX).contains(&id.len()) && id.bytes().all(plain) {
            Ok(Self(id.to_owned()))
        } else {
            Err(DefinitionError::Id { id: id.to_owned(), max: ID_MAX })
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ExporterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file that lines are appended to.
    File(PathBuf),
    /// A syslog collector.
    Syslog {
        /// Its host: a name or an address, without brackets.
        host: String,
        /// Its port.
        port: u16,
        /// Whether over TLS (RFC 5425), or in the clear to this machine.
        tls: bool,
    },
    /// An HTTP collector.
    Http(Url),
}

impl Destination {
    /// The receiver that a configuration names; a relative path is one below `root`.
    ///
    /// # Errors
    /// When it is none, or records would leave this machine in the clear.
    pub fn parse(to: &str, root: &Path) -> Result<Self, DefinitionError> {
        let nothing = || DefinitionError::Destination { to: http::shown(to) };
        if let Some(path) = to.strip_prefix("file:") {
            return if path.is_empty() { Err(nothing()) } else { Ok(Self::File(root.join(path))) };
        }
        let url: Url = to.parse().map_err(|_| nothing())?;
        let in_the_clear = |instead| DefinitionError::InTheClear { to: http::shown(to), instead };
        match url.scheme() {
            "https" | "http" => http::address(to).map(Self::Http).map_err(|_| match url.scheme() {
                "http" if url.username().is_empty() => in_the_clear("https://HOST/PATH"),
                _ => nothing(),
            }),
            scheme @ ("syslog+tls" | "syslog+tcp") => {
                let plain = url.username().is_empty()
                    && url.password().is_none()
                    && matches!(url.path(), "" | "/")
                    && url.query().is_none()
                    && url.fragment().is_none();
                let host = url.host_str().filter(|host| plain && !host.is_empty()).ok_or_else(nothing)?;
                let tls = scheme == "syslog+tls";
                if !tls && !http::is_this_machine(host) {
                    return Err(in_the_clear("syslog+tls://HOST:PORT"));
                }
                let port = url.port().unwrap_or(if tls { SYSLOG_TLS_PORT } else { SYSLOG_PORT });
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                Ok(Self::Syslog { host, port, tls })
            }
            "syslog" | "syslog+udp" | "udp" | "tcp" => Err(in_the_clear("syslog+tls://HOST:PORT")),
            _ => Err(nothing()),
        }
    }
}

/// As it would be configured.
impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Syslog { host, port, tls } => {
                let scheme = if *tls { "syslog+tls" } else { "syslog+tcp" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
            Self::Http(url) => write!(f, "{url}"),
        }
    }
}

/// Where an exporter that was never here before begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// With the first record that there is.
    #[default]
    Beginning,
    /// With the first record after its start.
    Now,
}

/// An exporter.
#[derive(Clone)]
pub struct Exporter {
    /// What it is called; its cursors are named after it.
    pub id: ExporterId,
    /// What records look like.
    pub format: Format,
    /// Who gets them.
    pub to: Destination,
    /// The authorities that vouch for the receiver, in PEM; `None`: those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// How the exporter shows who it is.
    pub identity: Option<ClientIdentity>,
    /// A bearer token for an HTTP collector.
    pub token: Option<Zeroizing<String>>,
    /// Whose records.
    pub organizations: Vec<OrganizationId>,
    /// Whether records that it has not delivered must be kept.
    pub mandatory: bool,
    /// Where it begins.
    pub from: Start,
}

/// Not its token.
impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exporter({} to {})", self.id, self.to)
    }
}

impl Exporter {
    /// Whether its parts go together.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), DefinitionError> {
        let to = self.to.to_string();
        let expected = match (&self.to, self.format) {
            (Destination::Syslog { .. }, Format::JsonLines | Format::Ocsf | Format::Fhir) => Some("`syslog`"),
            (Destination::Http(_), Format::Syslog) => Some("`json-lines`, `ocsf` or `fhir`"),
            _ => None,
        };
        if let Some(expected) = expected {
            return Err(DefinitionError::Format { format: self.format.as_str(), to, expected });
        }
        let encrypted = match &self.to {
            Destination::File(_) => false,
            Destination::Syslog { tls, .. } => *tls,
            Destination::Http(url) => url.scheme() == "https",
        };
        let useless = |option| Err(DefinitionError::Useless { option, to: to.clone() });
        if self.authorities.is_some() && !encrypted {
            return useless("authorities");
        }
        if self.identity.is_some() && !encrypted {
            return useless("certificate");
        }
        if self.token.is_some() && !matches!(self.to, Destination::Http(_)) {
            return useless("token");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_leave_this_machine_over_tls_only() {
        let root = Path::new("/etc/assent");
        for (to, expected) in [
            ("file:audit.log", Ok("file:/etc/assent/audit.log")),
            ("file:/var/log/audit.log", Ok("file:/var/log/audit.log")),
            ("syslog+tls://siem.example.org", Ok("syslog+tls://siem.example.org:6514")),
            ("syslog+tls://[2001:db8::1]:1234", Ok("syslog+tls://[2001:db8::1]:1234")),
            ("syslog+tcp://127.0.0.1:5514", Ok("syslog+tcp://127.0.0.1:5514")),
            ("https://siem.example.org/in", Ok("https://siem.example.org/in")),
            ("http://localhost:9000/in", Ok("http://localhost:9000/in")),
            ("syslog+tcp://siem.example.org", Err("over TLS only")),
            ("syslog+tcp://localhost.example.org", Err("over TLS only")),
            ("syslog://siem.example.org", Err("over TLS only")),
            ("syslog+udp://127.0.0.1", Err("over TLS only")),
            ("http://siem.example.org/in", Err("over TLS only")),
            ("https://user@siem.example.org/", Err("no receiver")),
            ("https://siem.example.org/?token=1", Err("`https://siem.example.org/…` is no receiver")),
            ("syslog+tls://u:pass@siem.example.org", Err("`syslog+tls://…@siem.example.org` is no receiver")),
            ("syslog://u:pass@siem.example.org", Err("`syslog://…@siem.example.org` is refused")),
            ("syslog+tls://siem.example.org/path", Err("no receiver")),
            ("syslog+tls://", Err("no receiver")),
            ("kafka://siem.example.org", Err("no receiver")),
            ("siem.example.org:6514", Err("no receiver")),
            ("file:", Err("no receiver")),
            ("", Err("no receiver")),
        ] {
            match (Destination::parse(to, root), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), expected, "{to}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{to}: {error}"),
                (found, _) => panic!("{to}: {found:?}"),
            }
        }
    }

    #[test]
    fn an_id_is_short_and_plain() {
        for (id, good) in
            [("siem", true), ("siem-2", true), ("", false), ("a/b", false), ("SIEM", false), ("..", false)]
        {
            assert_eq!(ExporterId::new(id).is_ok(), good, "{id}");
        }
        assert!(ExporterId::new(&"a".repeat(ID_MAX)).is_ok());
        assert!(ExporterId::new(&"a".repeat(ID_MAX + 1)).is_err());
    }
}
