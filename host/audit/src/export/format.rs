//! The formats by name, for whoever lets somebody choose.

use std::str::FromStr;

use serde::Deserialize;

use super::{Source, fhir, jsonl, line, ocsf, syslog};
use crate::record::Record;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The records themselves, complete, one JSON object a line.
    JsonLines,
    /// OCSF 1.8, one event a line.
    Ocsf,
    /// FHIR R4 AuditEvent, one resource a line.
    Fhir,
    /// RFC 5424 messages, one a line.
    Syslog,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::JsonLines, Self::Ocsf, Self::Fhir, Self::Syslog];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JsonLines => "json-lines",
            Self::Ocsf => "ocsf",
            Self::Fhir => "fhir",
            Self::Syslog => "syslog",
        }
    }

    /// The media type of lines of it.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::JsonLines | Self::Ocsf => "application/x-ndjson",
            // HL7 FHIR Bulk Data Access.
            Self::Fhir => "application/fhir+ndjson",
            Self::Syslog => "text/plain; charset=utf-8",
        }
    }

    /// A record in this format, on one line and without its end.
    pub fn render(self, source: &Source, position: u64, record: &Record) -> String {
        match self {
            Self::JsonLines => jsonl(source, position, record),
            Self::Ocsf => line(&ocsf(source, position, record)),
            Self::Fhir => line(&fhir(source, position, record)),
            Self::Syslog => syslog(source, position, record),
        }
    }
}

/// What names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a format: `json-lines`, `ocsf`, `fhir` or `syslog`")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == name).ok_or(UnknownFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name_and_the_message_names_all() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
            assert!(UnknownFormat.to_string().contains(&format!("`{}`", format.as_str())));
        }
        assert_eq!("jsonl".parse::<Format>(), Err(UnknownFormat));
    }
}
