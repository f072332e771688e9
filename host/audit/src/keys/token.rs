//! A sealing key that never leaves its hardware module: PKCS#11 through the vendor's library.
//!
//! Data keys are wrapped by AES-256-GCM in the token, with a random nonce before the ciphertext and the context
//! as additional data, as [`super::MasterKey`] does here. The token is asked at the start, for each new segment, and
//! when records are read. A session that is gone is opened anew, once, with a new login.
//! INVARIANT (the same key or none): a key is known by an id made of what it computes, not by its label; a session
//! whose key has another id than the first one had is not used.

mod error;
mod uri;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::master::read_secret;
use super::{DataKey, KeeperError, KeyEncryption, KeyError};

pub use error::TokenError;
pub use uri::{TokenUri, UriError};

use uri::TokenAttribute;

const NONCE_BYTES: usize = 12;
const TAG_BITS: u64 = 128;
const KEY_BYTES: u64 = 32;
/// PINs are at most some dozen characters; one more than this shows that the file is another one.
const PIN_BYTES_MAX: usize = 256;
/// How many other tokens a message names.
const SEEN_MAX: usize = 5;
const ID_DOMAIN: &[u8] = b"assent token kek id";
/// Encrypted as it is to make an id. It ends as no counter block of our messages does, so that it says nothing
/// about any of them.
const ID_BLOCK: [u8; 16] = *b"assent key id\xff\xff\xff";

/// The modules of this process. The standard lets a process initialise a module once, and vendors' modules do
/// not like to be unloaded, so they stay.
static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

/// A key in a token.
pub struct TokenKey {
    uri: TokenUri,
    id: String,
    /// The session in use; none after an error. One call at a time, as the standard wants it of a session.
    open: Mutex<Option<Open>>,
}

struct Open {
    session: Session,
    key: ObjectHandle,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<key {}>", self.id)
    }
}

impl TokenKey {
    /// Finds the key, having logged in.
    ///
    /// # Errors
    /// When module, token, PIN or key are not as they should be.
    pub fn open(uri: TokenUri) -> Result<Self, TokenError> {
        let open = connect(&uri)?;
        let id = id_of(&uri, &open)?;
        Ok(Self { uri, id, open: Mutex::new(Some(open)) })
    }

    /// Makes the key in the token: AES-256, to encrypt and decrypt, and never to be taken out.
    ///
    /// # Errors
    /// When module, token or PIN are not as they should be, there is such a key, or the token makes none.
    pub fn make(uri: &TokenUri) -> Result<(), TokenError> {
        let token = uri.token_name();
        let failed = |error| TokenError::call(&token, error);
        let session = log_in(uri, true)?;
        let found = session.find_objects(&template(uri)).map_err(failed)?;
        if !found.is_empty() {
            return Err(TokenError::KeyExists { token, key: uri.key_name() });
        }
        let mut attributes = vec![
            Attribute::ValueLen(KEY_BYTES.into()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
        ];
        attributes.extend(template(uri));
        session.generate_key(&Mechanism::AesKeyGen, &attributes).map_err(failed)?;
        Ok(())
    }

    /// Does something with the session; once more with a new one, should this one be gone.
    fn with<T>(&self, what: impl Fn(&Open) -> Result<T, Error>) -> Result<T, TokenCall> {
        let mut held = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out, since nothing is known of a session after an error.
        if let Some(open) = held.take()
            && let Ok(done) = what(&open)
        {
            *held = Some(open);
            return Ok(done);
        }
        let open = connect(&self.uri).map_err(TokenCall::Token)?;
        let found = id_of(&self.uri, &open).map_err(TokenCall::Token)?;
        if found != self.id {
            let (token, key) = (self.uri.token_name(), self.uri.key_name());
            let expected = self.id.clone();
            return Err(TokenCall::Token(TokenError::Replaced { token, key, expected, found }));
        }
        match what(&open) {
            Ok(done) => {
                *held = Some(open);
                Ok(done)
            }
            Err(error) => Err(TokenCall::Call(error)),
        }
    }

    fn failed(&self, error: Error) -> KeeperError {
        TokenError::call(&self.uri.token_name(), error).into()
    }
}

/// Why the token did not do it: it cannot be reached as it was, or it answered this call with an error.
enum TokenCall {
    Token(TokenError),
    Call(Error),
}

impl KeyEncryption for TokenKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn wrap(&self, key: &DataKey, context: &[u8]) -> Result<Vec<u8>, KeeperError> {
        let wrapped = self.with(|open| {
            let mut nonce = [0; NONCE_BYTES];
            rand::fill(&mut nonce).map_err(|_| Error::InvalidValue)?;
            let params = GcmParams::new(&mut nonce, context, TAG_BITS.into())?;
            let sealed = open.session.encrypt(&Mechanism::AesGcm(params), open.key, key.reveal())?;
            // Read back, for some tokens put a nonce of their own there.
            Ok([nonce.as_slice(), &sealed].concat())
        });
        wrapped.map_err(|error| match error {
            TokenCall::Token(error) => error.into(),
            TokenCall::Call(error) => self.failed(error),
        })
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey, KeeperError> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_BYTES>().ok_or(KeeperError::Refused)?;
        let plain = self.with(|open| {
            let mut nonce = *nonce;
            let params = GcmParams::new(&mut nonce, context, TAG_BITS.into())?;
            open.session.decrypt(&Mechanism::AesGcm(params), open.key, sealed).map(Zeroizing::new)
        });
        let plain = plain.map_err(|error| match error {
            TokenCall::Token(error) => error.into(),
            // The session is new and its key computes as it should, so it is the content. Tokens differ in the
            // code they give for that.
            TokenCall::Call(Error::Pkcs11(code, Function::Decrypt)) if !is_out_of_reach(code) => {
                KeeperError::Refused
            }
            TokenCall::Call(error) => self.failed(error),
        })?;
        let bytes = <[u8; 32]>::try_from(plain.as_slice()).map_err(|_| KeeperError::Refused)?;
        Ok(DataKey::from_bytes(Zeroizing::new(bytes)))
    }
}

/// Whether a code says of the token, and not of what it was asked to open, that something is wrong with it.
const fn is_out_of_reach(code: RvError) -> bool {
    matches!(
        code,
        RvError::DeviceRemoved
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::SessionClosed
            | RvError::SessionHandleInvalid
            | RvError::UserNotLoggedIn
            | RvError::KeyHandleInvalid
            | RvError::HostMemory
            | RvError::DeviceMemory
    )
}

/// Logs in and finds the key, which must be fit to be a sealing key.
fn connect(uri: &TokenUri) -> Result<Open, TokenError> {
    let token = uri.token_name();
    let failed = |error| TokenError::call(&token, error);
    let session = log_in(uri, false)?;
    let key = match session.find_objects(&template(uri)).map_err(failed)?.as_slice() {
        [] => return Err(TokenError::NoKey { token, key: uri.key_name() }),
        [key] => *key,
        keys => return Err(TokenError::ManyKeys { token, key: uri.key_name(), count: keys.len() }),
    };
    let wanted =
        [AttributeType::ValueLen, AttributeType::Sensitive, AttributeType::Encrypt, AttributeType::Decrypt];
    let unfit = |why| TokenError::Unfit { token: token.clone(), key: uri.key_name(), why };
    for attribute in session.get_attributes(key, &wanted).map_err(failed)? {
        match attribute {
            Attribute::ValueLen(length) if *length != KEY_BYTES => {
                return Err(unfit("it is no AES key of 256 bits"));
            }
            Attribute::Sensitive(false) => {
                return Err(unfit("it can be read from the token, for it is not sensitive"));
            }
            Attribute::Encrypt(false) | Attribute::Decrypt(false) => {
                return Err(unfit("it may not be used to encrypt and decrypt"));
            }
            _ => {}
        }
    }
    Ok(Open { session, key })
}

/// What the key is found by.
fn template(uri: &TokenUri) -> Vec<Attribute> {
    let mut template = vec![Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(KeyType::AES)];
    template.extend(uri.object.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
    template.extend(uri.id.as_ref().map(|id| Attribute::Id(id.clone())));
    template
}

/// A session with the token, logged in where it wants that. One attempt: a wrong PIN counts.
fn log_in(uri: &TokenUri, to_write: bool) -> Result<Session, TokenError> {
    let token = uri.token_name();
    let failed = |error| TokenError::call(&token, error);
    let module = module(&uri.module)?;
    let (slot, info) = find(uri, &module)?;
    let session = if to_write { module.open_rw_session(slot) } else { module.open_ro_session(slot) };
    let session = session.map_err(failed)?;
    if !info.login_required() {
        return Ok(session);
    }
    let file = uri.pin.clone().ok_or_else(|| TokenError::NoPin { token: token.clone() })?;
    let pin = pin(&file)
        .map_err(|source| TokenError::PinFile { token: token.clone(), source: Box::new(source) })?;
    match session.login(UserType::User, Some(&pin)) {
        // The login is the process's, and another key of this token was first.
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
        Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
            Err(TokenError::PinRefused { token, file })
        }
        Err(Error::Pkcs11(
            value @ (RvError::PinLocked | RvError::PinExpired | RvError::UserPinNotInitialized),
            _,
        )) => Err(TokenError::PinLocked { token, code: error::code(value) }),
        Err(error) => Err(failed(error)),
    }
}

fn pin(file: &Path) -> Result<AuthPin, KeyError> {
    let bytes = read_secret(file, PIN_BYTES_MAX + 1)?;
    let damaged = |what: &str| KeyError::Damaged { path: file.to_owned(), what: what.to_owned() };
    let text = str::from_utf8(&bytes).map_err(|_| damaged("a PIN is text"))?;
    let pin = text.strip_suffix('\n').unwrap_or(text);
    if pin.is_empty() || pin.len() > PIN_BYTES_MAX || pin.contains('\n') {
        return Err(damaged("expected one line with the PIN"));
    }
    Ok(AuthPin::new(pin.into()))
}

/// The slot of the one token that a URI names.
fn find(uri: &TokenUri, module: &Pkcs11) -> Result<(Slot, TokenInfo), TokenError> {
    let token = uri.token_name();
    let slots = module.get_slots_with_token().map_err(|error| TokenError::call(&token, error))?;
    // A slot that cannot say what is in it is not the one.
    let mut tokens: Vec<_> =
        slots.into_iter().filter_map(|slot| Some((slot, module.get_token_info(slot).ok()?))).collect();
    let initialised = tokens.iter().filter(|(_, info)| info.token_initialized());
    let labels: Vec<_> =
        initialised.take(SEEN_MAX).map(|(_, info)| format!("`{}`", info.label().trim_end())).collect();
    tokens.retain(|(_, info)| {
        uri.token.iter().all(|(attribute, value)| {
            let is = match attribute {
                TokenAttribute::Label => info.label(),
                TokenAttribute::Manufacturer => info.manufacturer_id(),
                TokenAttribute::Model => info.model(),
                TokenAttribute::Serial => info.serial_number(),
            };
            is.trim_end() == value
        })
    });
    match tokens.len() {
        0 if labels.is_empty() => Err(TokenError::NoToken { token, seen: "none".to_owned() }),
        0 => Err(TokenError::NoToken { token, seen: labels.join(", ") }),
        1 => tokens.pop().ok_or(TokenError::NoToken { token, seen: labels.join(", ") }),
        count => Err(TokenError::ManyTokens { token, count }),
    }
}

/// The module at this path, loaded and initialised once.
fn module(path: &Path) -> Result<Pkcs11, TokenError> {
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let failed = |error: Error| TokenError::Module { path: path.to_owned(), why: error.to_string() };
    let module = Pkcs11::new(path).map_err(failed)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(failed(error)),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

/// The id of a key that cannot be looked at, made of what it makes of one block.
fn id_of(uri: &TokenUri, open: &Open) -> Result<String, TokenError> {
    let block = open.session.encrypt(&Mechanism::AesEcb, open.key, &ID_BLOCK);
    let block = block.map_err(|error| TokenError::call(&uri.token_name(), error))?;
    let hash = Sha256::new().chain_update(ID_DOMAIN).chain_update(block).finalize();
    Ok(format!("token-aes256gcm:{}", hex::encode(hash.get(..8).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_taken_out_says_nothing_of_what_it_was_to_open() {
        assert!(is_out_of_reach(RvError::DeviceRemoved) && is_out_of_reach(RvError::UserNotLoggedIn));
        // What tokens give for content that was changed.
        for code in [RvError::EncryptedDataInvalid, RvError::GeneralError, RvError::FunctionFailed] {
            assert!(!is_out_of_reach(code), "{code:?}");
        }
    }
}
