//! The shape of the tables `[[audit.export]]` of `assent.toml`, and what is wrong with them as written.
//!
//! What they point to (certificates, keys, tokens, the file to append to) is looked at by those who check or
//! serve: see [`crate::exporters`]. To read a log one needs none of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assent_model::OrganizationId;
use assent_outbound::export::{DefinitionError, Destination, Exporter, ExporterId, Format, Start};
use assent_outbound::http::ClientIdentity;
use assent_policy::LoadProblem;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::AuditConfig;
use crate::deployment::files;
use crate::deployment::places::Places;

/// More than anybody has receivers. Each has a thread and, when it is behind, a few megabytes.
pub const EXPORTERS_MAX: usize = 16;

/// `[[audit.export]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportConfig {
    /// What it is called; how far it came is kept under this name, so another id begins anew.
    pub id: String,
    /// What records look like: `json-lines`, `ocsf`, `fhir` or `syslog`.
    pub format: Format,
    /// Who gets them: `file:PATH`, `syslog+tls://HOST:PORT`, `https://HOST/PATH`.
    pub to: String,
    /// The authorities that vouch for the receiver, a PEM file; left out: those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// The certificate by which the exporter shows who it is: `file:PATH`, PEM. Needs `key`.
    pub certificate: Option<String>,
    /// Its private key: `file:PATH`, PEM.
    pub key: Option<String>,
    /// A bearer token for an HTTP collector: `file:PATH` or `env:NAME`.
    pub token: Option<String>,
    /// Whose records; left out: every organization's.
    pub organizations: Option<Vec<OrganizationId>>,
    /// Whether records must be kept until they are delivered.
    #[serde(default)]
    pub mandatory: bool,
    /// Where it begins the first time: with the `beginning` of the log, or `now`.
    #[serde(default)]
    pub from: Start,
}

impl ExportConfig {
    /// The exporter that this describes, given its token and the organizations that there are; else which
    /// part is wrong, and how.
    pub(crate) fn exporter(
        &self,
        root: &Path,
        known: &[OrganizationId],
        token: Option<Zeroizing<String>>,
    ) -> Result<Exporter, (&'static str, DefinitionError)> {
        let id = ExporterId::new(&self.id).map_err(|error| ("/id", error))?;
        let to = Destination::parse(&self.to, root).map_err(|error| ("/to", error))?;
        let path = |reference: &str| root.join(reference.strip_prefix("file:").unwrap_or(reference));
        let identity = self.certificate.as_deref().zip(self.key.as_deref());
        let exporter = Exporter {
            id,
            format: self.format,
            to,
            authorities: self.authorities.as_ref().map(|path| root.join(path)),
            identity: identity
                .map(|(certificate, key)| ClientIdentity { certificate: path(certificate), key: path(key) }),
            token,
            organizations: self.organizations.clone().unwrap_or_else(|| known.to_vec()),
            mandatory: self.mandatory,
            from: self.from,
        };
        match exporter.check() {
            Ok(()) => Ok(exporter),
            Err(error) => Err((part(&error), error)),
        }
    }
}

/// The part of the table that an error is about.
pub(crate) fn part(error: &DefinitionError) -> &'static str {
    match error {
        DefinitionError::Id { .. } => "/id",
        DefinitionError::Format { .. } => "/format",
        DefinitionError::Useless { option: "certificate", .. } => "/certificate",
        DefinitionError::Useless { option: "token", .. } | DefinitionError::Token => "/token",
        DefinitionError::Useless { .. } => "/authorities",
        DefinitionError::Client(error) => match error {
            assent_outbound::http::ClientError::Certificates { .. } => "/authorities",
            assent_outbound::http::ClientError::Identity { .. } => "/certificate",
            assent_outbound::http::ClientError::Malformed { .. }
            | assent_outbound::http::ClientError::Refused { .. }
            | assent_outbound::http::ClientError::Client(_) => "/to",
        },
        DefinitionError::Destination { .. }
        | DefinitionError::InTheClear { .. }
        | DefinitionError::File { .. }
        | DefinitionError::Tls(_) => "/to",
    }
}

/// What is wrong with the exporters as they are written.
pub(crate) fn check_exports(
    audit: &AuditConfig,
    root: &Path,
    organizations: &BTreeSet<&str>,
    places: &Places,
) -> Vec<LoadProblem> {
    let mut problems = vec![];
    if audit.exports.len() > EXPORTERS_MAX {
        let message =
            format!("there are {} exporters: expected {EXPORTERS_MAX} at most", audit.exports.len());
        problems.push(places.problem("/audit/export", message));
    }
    for (index, export) in audit.exports.iter().enumerate() {
        let id = &export.id;
        let mut problem = |part: &str, message: String, help: Option<String>| {
            let problem = places.problem(&format!("/audit/export/{index}{part}"), message);
            problems.push(LoadProblem { help, ..problem });
        };
        if audit.exports.iter().take(index).any(|other| other.id == *id) {
            problem("/id", format!("the exporter id `{id}` is taken twice"), None);
        }
        // Whatever the token is, it is one where one is named.
        let token = export.token.as_ref().map(|_| Zeroizing::new("token".to_owned()));
        if let Err((part, error)) = export.exporter(root, &[], token) {
            problem(part, error.to_string(), None);
        }
        match (&export.certificate, &export.key) {
            (Some(_), None) => problem("/certificate", "`certificate` needs its `key`".into(), None),
            (None, Some(_)) => problem("/key", "`key` needs its `certificate`".into(), None),
            _ => {}
        }
        for (part, reference) in [("/certificate", &export.certificate), ("/key", &export.key)] {
            if let Some(reference) = reference.as_ref().filter(|reference| !reference.starts_with("file:")) {
                problem(part, format!("`{reference}`: expected `file:PATH`"), None);
            }
        }
        if let Some(token) = &export.token
            && !token.starts_with("file:")
            && !token.starts_with("env:")
        {
            // What stands there may be the token itself.
            problem("/token", "`token` is no reference: expected `file:PATH` or `env:NAME`".into(), None);
        }
        if export.organizations.as_ref().is_some_and(Vec::is_empty) {
            let message = format!("exporter `{id}` has no organizations: name some, or leave the list out");
            problem("/organizations", message, None);
        }
        for (at, organization) in export.organizations.iter().flatten().enumerate() {
            if !organizations.contains(organization.as_str()) {
                let nearest = files::nearest(organization.as_str(), organizations.iter().copied());
                problem(
                    &format!("/organizations/{at}"),
                    format!("exporter `{id}` names the organization `{organization}`, which is not here"),
                    nearest.map(|name| format!("did you mean `{name}`?")),
                );
            }
        }
    }
    problems
}
