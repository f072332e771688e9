//! What can go wrong with a token, in words for operators, with the code that its vendor's manual explains.

use std::path::PathBuf;

use cryptoki::error::{Error, RvError};

use super::UriError;

/// A key in a token that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The URI is wrong.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// The module is not there or is none.
    #[error("the module {} cannot be loaded ({why}); install it, or mend `module-path`", path.display())]
    Module {
        /// Its path.
        path: PathBuf,
        /// What the loader says.
        why: String,
    },
    /// No such token.
    #[error("there is no token {token}; the module sees {seen}")]
    NoToken {
        /// What it should be.
        token: String,
        /// What there is.
        seen: String,
    },
    /// More than one such token.
    #[error("{count} tokens are called {token}: name one by `serial` as well")]
    ManyTokens {
        /// What they are called.
        token: String,
        /// How many.
        count: usize,
    },
    /// The token wants a PIN and none is named.
    #[error("the token {token} wants a PIN: name its file with `pin-source=file:PATH`")]
    NoPin {
        /// The token.
        token: String,
    },
    /// The file of the PIN is missing, exposed, or no text.
    #[error("the PIN of the token {token} cannot be read")]
    PinFile {
        /// The token.
        token: String,
        /// Why.
        #[source]
        source: Box<crate::keys::KeyError>,
    },
    /// Wrong PIN.
    #[error("the token {token} refuses the PIN in {}; do not try often, for tokens lock after a few wrong ones", file.display())]
    PinRefused {
        /// The token.
        token: String,
        /// The PIN's file.
        file: PathBuf,
    },
    /// Locked, or the PIN must be changed first.
    #[error("the token {token} takes no PIN at present ({code}): its administrator must unlock it")]
    PinLocked {
        /// The token.
        token: String,
        /// The code.
        code: String,
    },
    /// No such key.
    #[error("the token {token} holds no AES key {key}")]
    NoKey {
        /// The token.
        token: String,
        /// What the key should be called.
        key: String,
    },
    /// More than one such key.
    #[error("the token {token} holds {count} AES keys {key}: name one by `id`")]
    ManyKeys {
        /// The token.
        token: String,
        /// What they are called.
        key: String,
        /// How many.
        count: usize,
    },
    /// There is such a key already.
    #[error("the token {token} holds a key {key} already; none was made")]
    KeyExists {
        /// The token.
        token: String,
        /// What it is called.
        key: String,
    },
    /// The key cannot be a sealing key.
    #[error("the key {key} of the token {token} cannot be a sealing key: {why}")]
    Unfit {
        /// The token.
        token: String,
        /// What the key is called.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another key answers to the name while this process runs.
    #[error(
        "the key {key} of the token {token} was replaced: it was `{expected}` and is `{found}`; name the old one in \
         `former_sealing_keys` and start again"
    )]
    Replaced {
        /// The token.
        token: String,
        /// What both are called.
        key: String,
        /// The id of the key that was there.
        expected: String,
        /// The id of the one that is.
        found: String,
    },
    /// The module failed.
    #[error("the token {token} failed: {function} gave {code}")]
    Call {
        /// The token.
        token: String,
        /// The PKCS#11 function.
        function: String,
        /// What it returned.
        code: String,
    },
}

/// The code as the standard and vendors' manuals write it, such as `CKR_PIN_INCORRECT`.
pub(super) fn code(value: RvError) -> String {
    let name = format!("{value:?}");
    if !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return name;
    }
    let mut code = "CKR".to_owned();
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            code.push('_');
        }
        code.push(character.to_ascii_uppercase());
    }
    code
}

impl TokenError {
    /// A failed call.
    pub(super) fn call(token: &str, error: Error) -> Self {
        let token = token.to_owned();
        match error {
            Error::Pkcs11(value, function) => {
                Self::Call { token, function: format!("C_{function:?}"), code: code(value) }
            }
            other => Self::Call { token, function: "the module".to_owned(), code: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_manuals_do() {
        assert_eq!(code(RvError::PinIncorrect), "CKR_PIN_INCORRECT");
        assert_eq!(code(RvError::TokenNotPresent), "CKR_TOKEN_NOT_PRESENT");
    }
}
