//! Where a key is in a token, in the words of RFC 7512: `pkcs11:token=…;object=…?module-path=…&pin-source=file:…`.
//!
//! INVARIANT (no PIN in a configuration): a URI names the file of the PIN, never the PIN; one with `pin-value`
//! is refused, and no message repeats it.

use std::path::{Path, PathBuf};

/// The place of an AES key in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUri {
    pub(super) token: Vec<(TokenAttribute, String)>,
    pub(super) object: Option<String>,
    pub(super) id: Option<Vec<u8>>,
    pub(super) module: PathBuf,
    pub(super) pin: Option<PathBuf>,
}

/// What a token is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenAttribute {
    Label,
    Manufacturer,
    Model,
    Serial,
}

/// What is wrong with a PKCS#11 URI. Names attributes and never quotes their values.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UriError {
    /// A PIN in a configuration.
    #[error(
        "`pin-value` puts the PIN where everybody reads it: write it into a file that only the service can read, \
         name that with `pin-source=file:PATH`, and consider this PIN exposed"
    )]
    PinValue,
    /// An attribute that says nothing here.
    #[error(
        "`{name}` is not understood: expected `token`, `serial`, `manufacturer`, `model`, `object`, `id`, `type` before \
         the `?`, and `module-path`, `pin-source` after it"
    )]
    Unknown {
        /// Its name.
        name: String,
    },
    /// An attribute twice.
    #[error("`{name}` is there twice")]
    Twice {
        /// Its name.
        name: String,
    },
    /// An attribute without a proper value.
    #[error("`{name}` has no value that can be used: expected {expected}")]
    Value {
        /// Its name.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// An attribute is missing.
    #[error("{what} is missing: expected `pkcs11:token=…;object=…?module-path=/…/….so&pin-source=file:PATH`")]
    Missing {
        /// Which.
        what: &'static str,
    },
}

impl TokenUri {
    /// How such a URI begins.
    pub(crate) const SCHEME: &'static str = "pkcs11:";

    /// Reads a URI.
    ///
    /// # Errors
    /// When it does not name one key of one token, or contains a PIN.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let rest = text.strip_prefix(Self::SCHEME).unwrap_or(text);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let pairs = path.split(';').chain(query.split('&')).filter(|pair| !pair.is_empty());
        let mut seen = vec![];
        let (mut token, mut object, mut id, mut module, mut pin) = (vec![], None, None, None, None);
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if seen.contains(&name) {
                return Err(UriError::Twice { name: name.to_owned() });
            }
            seen.push(name);
            let text = |name| {
                decode(value)
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .filter(|text| !text.is_empty())
                    .ok_or(UriError::Value { name, expected: "text" })
            };
            match name {
                "token" => token.push((TokenAttribute::Label, text("token")?)),
                "manufacturer" => token.push((TokenAttribute::Manufacturer, text("manufacturer")?)),
                "model" => token.push((TokenAttribute::Model, text("model")?)),
                "serial" => token.push((TokenAttribute::Serial, text("serial")?)),
                "object" => object = Some(text("object")?),
                "id" => {
                    let bytes = decode(value).filter(|bytes| !bytes.is_empty());
                    id = Some(
                        bytes.ok_or(UriError::Value { name: "id", expected: "bytes, such as `%01%a5`" })?,
                    );
                }
                "type" if value == "secret-key" => {}
                "type" => return Err(UriError::Value { name: "type", expected: "`secret-key`" }),
                "module-path" => {
                    let path = PathBuf::from(text("module-path")?);
                    if !path.is_absolute() {
                        let expected = "the absolute path of the module, a `.so` file";
                        return Err(UriError::Value { name: "module-path", expected });
                    }
                    module = Some(path);
                }
                "pin-source" => {
                    let value = text("pin-source")?;
                    let path = value.strip_prefix("file:").filter(|path| !path.is_empty());
                    let expected = "`file:PATH`";
                    pin = Some(PathBuf::from(path.ok_or(UriError::Value { name: "pin-source", expected })?));
                }
                "pin-value" => return Err(UriError::PinValue),
                other => return Err(UriError::Unknown { name: other.to_owned() }),
            }
        }
        if !token
            .iter()
            .any(|(attribute, _)| matches!(attribute, TokenAttribute::Label | TokenAttribute::Serial))
        {
            return Err(UriError::Missing { what: "`token` or `serial`" });
        }
        if object.is_none() && id.is_none() {
            return Err(UriError::Missing { what: "`object` or `id`" });
        }
        let module = module.ok_or(UriError::Missing { what: "`module-path`" })?;
        Ok(Self { token, object, id, module, pin })
    }

    /// The same with the PIN's file relative to a directory.
    #[must_use]
    pub fn beneath(self, root: &Path) -> Self {
        Self { pin: self.pin.map(|path| root.join(path)), ..self }
    }

    /// The command that makes such a key, for whoever administers the token. It asks for the PIN.
    #[must_use]
    pub fn command(&self) -> String {
        let (label, serial) = (self.known_by(TokenAttribute::Label), self.known_by(TokenAttribute::Serial));
        let token = match (label, serial) {
            (Some(label), _) => format!("--token-label {}", quoted(label)),
            (None, Some(serial)) => {
                format!("--slot-description '' # the slot of the token with serial {serial}")
            }
            (None, None) => String::new(),
        };
        let object =
            self.object.as_deref().map(|label| format!(" --label {}", quoted(label))).unwrap_or_default();
        // A key without an id is hard to tell from one that replaces it.
        let id = self.id.as_ref().map_or_else(|| "01".to_owned(), hex::encode);
        format!(
            "pkcs11-tool --module {} --login --keygen --key-type AES:32 --sensitive --private{object} --id {id} {token}",
            quoted(&self.module.display().to_string())
        )
    }

    pub(super) fn known_by(&self, attribute: TokenAttribute) -> Option<&str> {
        self.token.iter().find(|(of, _)| *of == attribute).map(|(_, value)| value.as_str())
    }

    /// What the key is called, for messages.
    pub(super) fn key_name(&self) -> String {
        match (&self.object, &self.id) {
            (Some(object), None) => format!("`{object}`"),
            (Some(object), Some(id)) => format!("`{object}` with id {}", hex::encode(id)),
            (None, id) => format!("with id {}", hex::encode(id.as_deref().unwrap_or_default())),
        }
    }

    /// What the token is called, for messages.
    pub(super) fn token_name(&self) -> String {
        let names: Vec<_> = self.token.iter().map(|(_, value)| format!("`{value}`")).collect();
        names.join(", ")
    }
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) && !text.is_empty() {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Percent-decoding; `None` for a `%` without two digits.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        bytes.extend_from_slice(&hex::decode(digits).ok()?);
        rest = after;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "pkcs11:token=My%20token;object=sealing;id=%01%A5;type=secret-key?module-path=/usr/lib/m.so&pin-source=file:pin";

    #[test]
    fn a_uri_names_token_key_module_and_pin_file() {
        let uri = TokenUri::parse(GOOD).unwrap().beneath(Path::new("/deployment"));
        assert_eq!(uri.known_by(TokenAttribute::Label), Some("My token"));
        assert_eq!((uri.object.as_deref(), uri.id.as_deref()), (Some("sealing"), Some([1, 0xa5].as_slice())));
        assert_eq!(uri.pin.as_deref(), Some(Path::new("/deployment/pin")));
        assert!(uri.command().contains("--token-label 'My token'") && uri.command().contains("--id 01a5"));
    }

    #[test]
    fn a_pin_in_a_uri_is_refused_and_not_repeated() {
        for uri in ["pkcs11:token=t;object=o?pin-value=1234", "pkcs11:pin-value=1234"] {
            let error = TokenUri::parse(uri).unwrap_err();
            assert!(error == UriError::PinValue && !error.to_string().contains("1234"));
        }
    }

    #[test]
    fn what_does_not_name_one_key_is_refused_with_the_attribute() {
        for (uri, part) in [
            ("pkcs11:", "`token` or `serial`"),
            ("pkcs11:token=t?module-path=/m.so", "`object` or `id`"),
            ("pkcs11:token=t;object=o", "`module-path` is missing"),
            ("pkcs11:token=t;object=o?module-path=m.so", "absolute"),
            ("pkcs11:token=t;object=o?module-name=softhsm", "`module-name` is not understood"),
            ("pkcs11:token=t;token=u;object=o?module-path=/m.so", "twice"),
            ("pkcs11:token=t;object=o;type=private?module-path=/m.so", "`secret-key`"),
            ("pkcs11:token=t;id=%0?module-path=/m.so", "`id`"),
            ("pkcs11:token=;object=o?module-path=/m.so", "`token` has no value"),
            ("pkcs11:token=t;object=o?module-path=/m.so&pin-source=%7Ccommand", "`file:PATH`"),
            ("pkcs11:token=t;object=o?module-path=/m.so&pin-source=/etc/pin", "`file:PATH`"),
        ] {
            let error = TokenUri::parse(uri).unwrap_err().to_string();
            assert!(error.contains(part), "{uri}: {error}");
        }
    }
}
