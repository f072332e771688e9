//! Sealing keys in a real PKCS#11 token (SoftHSM), with everything that can be wrong with it.
//!
//! SoftHSM finds its tokens by a variable of the environment, which a process cannot set for itself without
//! unsafe code; so this binary is its own child, with tokens in a temporary folder. One process loads a module
//! once, so the scenes run one after the other, each with a token of its own. Needs the Debian packages softhsm2 and
//! opensc; where they are missing a line says so, and where tests count (`CI`) it fails.
#![expect(clippy::print_stdout, reason = "a test of its own harness, which reports what it did")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests may, and clippy does not see that this is one"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use assent_audit::keys::{
    DataKey, KeeperError, KeyEncryption, KeyError, KeySource, Keys, MasterKey, Recovery, TokenError,
    TokenKey, TokenUri, look, rewrap,
};
use assent_audit::log::{AppendError, Config, Failure, Log, OpenError, Reader};
use assent_audit::tlog::note::Signer;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "4321";
const CONFIGURATION: &str = "SOFTHSM2_CONF";

/// What happens, in a folder and with a token of its own.
type Scene = fn(&Path);

const SCENES: [(&str, Scene); 9] = [
    ("a_log_is_sealed_closed_and_opened_again", a_log_is_sealed_closed_and_opened_again),
    ("the_printed_command_makes_such_a_key", the_printed_command_makes_such_a_key),
    ("what_is_missing_or_wrong_is_named", what_is_missing_or_wrong_is_named),
    ("a_key_that_is_unfit_is_refused", a_key_that_is_unfit_is_refused),
    ("a_wrap_opens_with_its_key_and_context_only", a_wrap_opens_with_its_key_and_context_only),
    ("a_lost_session_is_opened_again", a_lost_session_is_opened_again),
    ("a_key_replaced_under_the_same_label_is_refused", a_key_replaced_under_the_same_label_is_refused),
    ("a_log_whose_token_is_gone_stops", a_log_whose_token_is_gone_stops),
    (
        "keys_move_from_a_file_to_a_token_and_on_to_another",
        keys_move_from_a_file_to_a_token_and_on_to_another,
    ),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let scenes = || {
        SCENES.iter().filter(|(name, _)| {
            wanted.iter().all(|wanted| name.contains(wanted.as_str()) || "token".contains(wanted.as_str()))
        })
    };
    if arguments.iter().any(|argument| argument == "--list") || scenes().count() == 0 {
        return;
    }
    let missing = ["softhsm2-util", "pkcs11-tool"]
        .into_iter()
        .find(|tool| Command::new(tool).arg("--help").output().is_err());
    if let Some(tool) = missing {
        let say = format!("`{tool}` is missing: apt-get install softhsm2 opensc");
        assert!(std::env::var("CI").is_err(), "{say}");
        println!("token: skipped, {say}");
        return;
    }
    let Ok(configuration) = std::env::var(CONFIGURATION) else { return become_child(&arguments) };
    let dir = Path::new(&configuration).parent().unwrap();
    for (name, scene) in scenes() {
        let start = Instant::now();
        let own = dir.join(name);
        fs::create_dir(&own).unwrap();
        scene(&own);
        println!("token {name}: ok, {:.1} s", start.elapsed().as_secs_f64());
    }
}

fn become_child(arguments: &[String]) {
    let dir = tempfile::tempdir().unwrap();
    let configuration = dir.path().join("softhsm2.conf");
    let tokens = dir.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&configuration, text).unwrap();
    // Made before any module is loaded, which would not see them otherwise.
    for (name, _) in SCENES {
        for label in [name.to_owned(), format!("{name} second")] {
            let label: String = label.chars().rev().take(32).collect::<String>().chars().rev().collect();
            let made = Command::new("softhsm2-util")
                .args(["--init-token", "--free", "--label", &label, "--so-pin", "12345678", "--pin", PIN])
                .env(CONFIGURATION, &configuration)
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", said(&made));
        }
    }
    let this = std::env::current_exe().unwrap();
    let status = Command::new(this).args(arguments).env(CONFIGURATION, &configuration).status().unwrap();
    assert!(status.success(), "the child ended with {status}");
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The token of a scene: its label is at most 32 characters.
fn token(dir: &Path) -> String {
    let name = dir.file_name().unwrap().to_str().unwrap();
    name[name.len().saturating_sub(32)..].to_owned()
}

fn second(dir: &Path) -> String {
    let name = format!("{} second", dir.file_name().unwrap().to_str().unwrap());
    name[name.len().saturating_sub(32)..].to_owned()
}

/// A file with this text that only its owner may read.
fn secret(path: PathBuf, text: &str) -> PathBuf {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn uri_with(dir: &Path, token: &str, pin: &str, object: &str) -> TokenUri {
    let pin = secret(dir.join("pin"), pin);
    let token = token.replace(' ', "%20");
    TokenUri::parse(&format!(
        "pkcs11:token={token};{object}?module-path={MODULE}&pin-source=file:{}",
        pin.display()
    ))
    .unwrap()
}

fn uri(dir: &Path) -> TokenUri {
    uri_with(dir, &token(dir), PIN, "object=sealing;id=%01")
}

/// `pkcs11-tool` on the token of a scene.
fn tool(dir: &Path, arguments: &[&str]) -> Output {
    let token = token(dir);
    let output = Command::new("pkcs11-tool")
        .args(["--module", MODULE, "--token-label", &token, "--login", "--pin", PIN])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    output
}

fn made(dir: &Path) -> TokenKey {
    TokenKey::make(&uri(dir)).unwrap();
    TokenKey::open(uri(dir)).unwrap()
}

fn config(dir: &Path, kek: Arc<dyn KeyEncryption>) -> Config {
    let signer = Signer::from_seed("token.test/audit/org/2026", &[1; 32]).unwrap();
    Config { segment_bytes: 16 * 1024, ..Config::new(dir.join("log"), Arc::new(signer), kek) }
}

/// Appends until so many are done or one is refused.
fn append(log: &Log, count: usize) -> Result<(), AppendError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        for number in 0..count {
            let record = format!("record {number} ").repeat(1 + number % 7).into_bytes();
            log.append(record, Instant::now() + Duration::from_secs(60)).await?;
        }
        Ok(())
    })
}

fn records(config: &Config) -> usize {
    let reader = Reader::new(&config.dir, config.signer.verifier(), Some(config.kek.clone()));
    reader.entries(0).unwrap().filter(|entry| entry.as_ref().unwrap().record.is_some()).count()
}

fn refused(uri: TokenUri) -> String {
    let error = TokenKey::open(uri).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    assert!(!text.contains(PIN) && !text.contains("9999"), "a PIN in {text}");
    text
}

fn a_log_is_sealed_closed_and_opened_again(dir: &Path) {
    let key = made(dir);
    let id = key.id().to_owned();
    let config = config(dir, Arc::new(key));
    let (log, _) = Log::open(config.clone()).unwrap();
    append(&log, 300).unwrap();
    log.close().unwrap();
    drop(log);
    let again = Config { kek: Arc::new(TokenKey::open(uri(dir)).unwrap()), ..config };
    assert_eq!(again.kek.id(), id, "the same key has the same id");
    assert_eq!(records(&again), 300);
    assert!(fs::read_dir(again.dir.join("segments")).unwrap().count() > 3);
    let (log, recovered) = Log::open(again.clone()).unwrap();
    assert_eq!(recovered.size, 300);
    append(&log, 1).unwrap();
    log.close().unwrap();
    assert_eq!(records(&again), 301);
}

fn the_printed_command_makes_such_a_key(dir: &Path) {
    let uri = uri_with(dir, &token(dir), PIN, "object=a%20key%27s%20name;id=%a5");
    assert!(refused(uri.clone()).contains("holds no AES key `a key's name` with id a5"));
    let command = uri.command();
    let made = Command::new("sh").args(["-c", &format!("{command} --pin {PIN}")]).output().unwrap();
    assert!(made.status.success(), "{command}: {}", said(&made));
    TokenKey::open(uri.clone()).unwrap();
    let exists = TokenKey::make(&uri);
    assert!(matches!(exists, Err(TokenError::KeyExists { .. })), "{exists:?}");
}

fn what_is_missing_or_wrong_is_named(dir: &Path) {
    made(dir);
    let good = |change: &dyn Fn(&str) -> String| {
        let pin = dir.join("pin");
        let text = format!(
            "pkcs11:token={};object=sealing?module-path={MODULE}&pin-source=file:{}",
            token(dir),
            pin.display()
        );
        TokenUri::parse(&change(&text)).unwrap()
    };
    TokenKey::open(good(&str::to_owned)).unwrap();
    let other = |from: &'static str, to: &'static str| good(&move |text| text.replace(from, to));
    for (uri, parts) in [
        (other("object=sealing", "object=other"), ["holds no AES key `other`", ""]),
        (
            good(&|text| text.replace(&token(dir), "nobody")),
            ["there is no token `nobody`", "the module sees `"],
        ),
        (other("libsofthsm2.so", "nothing.so"), ["cannot be loaded", "mend `module-path`"]),
        (good(&|text| text.replace(MODULE, "/bin/sh")), ["the module /bin/sh cannot be loaded", ""]),
        (
            good(&|text| text.split("&pin-source").next().unwrap().to_owned()),
            ["wants a PIN", "`pin-source=file:PATH`"],
        ),
        (good(&|text| text.replace("/pin", "/nothing")), ["the PIN of the token", "could not open"]),
    ] {
        let said = refused(uri);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    secret(dir.join("pin"), "9999\n");
    let said = refused(good(&str::to_owned));
    assert!(said.contains("refuses the PIN in") && said.contains("tokens lock"), "{said}");
    secret(dir.join("pin"), "\n");
    assert!(refused(good(&str::to_owned)).contains("expected one line"));
    secret(dir.join("pin"), PIN);
    fs::set_permissions(dir.join("pin"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(good(&str::to_owned)).contains("chmod 400"));
    secret(dir.join("pin"), &format!("{PIN}\n"));
    TokenKey::open(good(&str::to_owned)).unwrap();

    tool(dir, &["--keygen", "--key-type", "AES:32", "--sensitive", "--label", "sealing", "--id", "02"]);
    assert!(refused(good(&str::to_owned)).contains("holds 2 AES keys `sealing`: name one by `id`"));
    TokenKey::open(uri(dir)).unwrap();
}

fn a_key_that_is_unfit_is_refused(dir: &Path) {
    tool(dir, &["--keygen", "--key-type", "AES:16", "--sensitive", "--label", "short"]);
    tool(dir, &["--keygen", "--key-type", "AES:32", "--private", "--label", "readable"]);
    // `pkcs11-tool` makes none that may not encrypt.
    let module = Pkcs11::new(MODULE).unwrap();
    let slots = module.get_slots_with_token().unwrap();
    let is = |slot: &Slot| module.get_token_info(*slot).unwrap().label().trim_end() == token(dir);
    let session = module.open_rw_session(slots.into_iter().find(is).unwrap()).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
    let attributes = [
        Attribute::ValueLen(32.into()),
        Attribute::Token(true),
        Attribute::Sensitive(true),
        Attribute::Encrypt(false),
        Attribute::Label(b"idle".to_vec()),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &attributes).unwrap();
    for (name, why) in
        [("short", "256 bits"), ("readable", "can be read from the token"), ("idle", "encrypt and decrypt")]
    {
        let said = refused(uri_with(dir, &token(dir), PIN, &format!("object={name}")));
        assert!(said.contains("cannot be a sealing key") && said.contains(why), "{said}");
    }
}

fn a_wrap_opens_with_its_key_and_context_only(dir: &Path) {
    let key = made(dir);
    TokenKey::make(&uri_with(dir, &token(dir), PIN, "object=other;id=%02")).unwrap();
    let other = TokenKey::open(uri_with(dir, &token(dir), PIN, "object=other")).unwrap();
    assert_ne!(key.id(), other.id());
    let data = DataKey::generate().unwrap();
    let wrapped = key.wrap(&data, b"here").unwrap();
    assert_ne!(wrapped, key.wrap(&data, b"here").unwrap(), "a nonce of its own for each wrap");
    assert_eq!(key.unwrap(&wrapped, b"here").unwrap().reveal(), data.reveal());
    let is_refused = |result: Result<DataKey, KeeperError>| {
        assert!(matches!(result, Err(KeeperError::Refused)), "{result:?}")
    };
    is_refused(key.unwrap(&wrapped, b"there"));
    is_refused(other.unwrap(&wrapped, b"here"));
    for at in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        is_refused(key.unwrap(&changed, b"here"));
    }
    is_refused(key.unwrap(&wrapped[..20], b"here"));
    is_refused(key.unwrap(&[], b"here"));
    assert_eq!(key.unwrap(&wrapped, b"here").unwrap().reveal(), data.reveal(), "and it goes on");
}

/// Ends every session with every token of this process, as when a connection breaks.
fn lose_sessions() {
    let module = Pkcs11::new(MODULE).unwrap();
    module.clone().finalize().unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
}

/// Where a token is: SoftHSM names its directory after its serial number.
fn directory(dir: &Path) -> PathBuf {
    let module = Pkcs11::new(MODULE).unwrap();
    let infos =
        module.get_slots_with_token().unwrap().into_iter().map(|slot| module.get_token_info(slot).unwrap());
    let serial = infos
        .filter(|info| info.label().trim_end() == token(dir))
        .map(|info| info.serial_number().trim_end().to_owned())
        .next()
        .unwrap();
    let tokens = fs::read_dir(dir.parent().unwrap().join("tokens")).unwrap();
    let is = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().replace('-', "").ends_with(&serial);
    tokens.map(|entry| entry.unwrap().path()).find(is).unwrap()
}

fn a_lost_session_is_opened_again(dir: &Path) {
    let key = made(dir);
    let data = DataKey::generate().unwrap();
    let wrapped = key.wrap(&data, b"").unwrap();
    lose_sessions();
    assert_eq!(key.unwrap(&wrapped, b"").unwrap().reveal(), data.reveal());
    lose_sessions();
    key.wrap(&data, b"").unwrap();
    // With another PIN since, which it reads anew.
    lose_sessions();
    secret(dir.join("pin"), "9999");
    let refused = key.wrap(&data, b"").unwrap_err();
    assert!(refused.to_string().contains("refuses the PIN"), "{refused}");
    secret(dir.join("pin"), PIN);
    key.wrap(&data, b"").unwrap();
}

fn a_key_replaced_under_the_same_label_is_refused(dir: &Path) {
    let key = made(dir);
    let config = config(dir, Arc::new(key));
    let (log, _) = Log::open(config.clone()).unwrap();
    append(&log, 10).unwrap();
    tool(dir, &["--delete-object", "--type", "secrkey", "--label", "sealing"]);
    tool(dir, &["--keygen", "--key-type", "AES:32", "--sensitive", "--label", "sealing", "--id", "01"]);
    lose_sessions();
    let AppendError::Failed(failure) = append(&log, 10_000).unwrap_err() else { panic!("another error") };
    let Failure::Key(KeyError::Wrap { source: KeeperError::Token(error), .. }) = &*failure else {
        panic!("{failure:?}")
    };
    let replaced = matches!(**error, TokenError::Replaced { .. });
    assert!(replaced, "{failure:?}");
    drop(log);
    let again = Config { kek: Arc::new(TokenKey::open(uri(dir)).unwrap()), ..config };
    let refused = Log::open(again).unwrap_err();
    assert!(matches!(refused, OpenError::Key(KeyError::OtherKek { .. })), "{refused:?}");
}

fn a_log_whose_token_is_gone_stops(dir: &Path) {
    let key = made(dir);
    let config = config(dir, Arc::new(key));
    let (log, _) = Log::open(config.clone()).unwrap();
    append(&log, 10).unwrap();
    let path = directory(dir);
    let away = dir.join("away");
    fs::rename(&path, &away).unwrap();
    let AppendError::Failed(failure) = append(&log, 10_000).unwrap_err() else { panic!("another error") };
    let Failure::Key(KeyError::Wrap { source: KeeperError::Token(error), .. }) = &*failure else {
        panic!("{failure:?}")
    };
    assert!(error.to_string().contains(&token(dir)), "{error}");
    assert!(log.close().is_err());
    drop(log);
    fs::rename(&away, &path).unwrap();
    // As for a new process: this module looks for tokens once.
    lose_sessions();
    let answered = records(&config);
    assert!(answered >= 10, "what was answered is there");
    let (log, recovered) = Log::open(config).unwrap();
    assert_eq!(recovered.size, answered as u64);
    append(&log, 1).unwrap();
    log.close().unwrap();
}

fn keys_move_from_a_file_to_a_token_and_on_to_another(dir: &Path) {
    let file = || -> Arc<dyn KeyEncryption> { Arc::new(MasterKey::from_bytes(&[7; 32]).unwrap()) };
    let start = config(dir, file());
    let (log, _) = Log::open(start.clone()).unwrap();
    append(&log, 300).unwrap();
    log.close().unwrap();
    drop(log);
    let verifier = start.signer.verifier();
    let first: Arc<dyn KeyEncryption> = Arc::new(made(dir));
    let elsewhere = uri_with(dir, &second(dir), PIN, "object=sealing");
    TokenKey::make(&elsewhere).unwrap();
    let next = KeySource::Token(elsewhere).load(|_| None).unwrap();
    for (new, old) in [(&first, file()), (&next, Arc::clone(&first))] {
        let keys = Keys::new(Arc::clone(new), vec![old], Recovery::default());
        assert_eq!(rewrap(&start.dir, verifier, &keys, &mut |_| {}).unwrap().failed, 0);
        assert!(look(&start.dir, verifier, new.as_ref(), &mut |_| {}).unwrap().is_complete());
        assert_eq!(records(&Config { kek: Arc::clone(new), ..start.clone() }), 300);
    }
}
