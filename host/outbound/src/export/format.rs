//! The formats that records leave in.

use assent_audit::export::{Source, fhir, jsonl, line, ocsf, syslog};
use assent_audit::record::Record;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The records themselves, complete, one JSON object a line.
    JsonLines,
    /// OCSF 1.8, one event a line.
    Ocsf,
    /// FHIR R4 AuditEvent, one resource a line.
    Fhir,
    /// RFC 5424 messages.
    Syslog,
}

impl Format {
    /// As it is configured.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JsonLines => "json-lines",
            Self::Ocsf => "ocsf",
            Self::Fhir => "fhir",
            Self::Syslog => "syslog",
        }
    }
}

/// Until the project has a private enterprise number: the one that RFC 5612 sets aside for documentation.
pub const ENTERPRISE: u32 = 32_473;

/// The record in this format, on one line and without its end.
pub fn render(format: Format, source: &Source, position: u64, record: &Record) -> String {
    match format {
        Format::JsonLines => jsonl(source, position, record),
        Format::Ocsf => line(&ocsf(source, position, record)),
        Format::Fhir => line(&fhir(source, position, record)),
        Format::Syslog => syslog(source, position, record),
    }
}
