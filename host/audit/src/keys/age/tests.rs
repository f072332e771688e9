//! The age format against itself, and against the `age` command, which must agree in both directions.

use std::fs;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

fn pair(seed: u8) -> (Identity, Recipient) {
    let key = PrivateKey::from_private_key(&X25519, &[seed; 32]).unwrap();
    let public = public(&key).unwrap();
    (Identity { key, public }, Recipient { key: public, text: format!("recipient {seed}") })
}

proptest! {
    #[test]
    fn each_recipient_opens_and_nobody_else(content: Vec<u8>, recipients in 1_u8..5) {
        let pairs: Vec<_> = (1..=recipients).map(pair).collect();
        let named: Vec<_> = pairs.iter().map(|(_, recipient)| recipient.clone()).collect();
        let file = seal(&named, &content).unwrap();
        for (identity, _) in pairs {
            prop_assert_eq!(open(&[identity], &file).unwrap().to_vec(), content.clone());
        }
        prop_assert!(open(&[pair(9).0], &file).is_none());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, keep in 0_usize..300) {
        let mut file = seal(&[pair(1).1], b"content").unwrap();
        file.truncate(keep);
        file.extend_from_slice(&bytes);
        drop(open(&[pair(1).0], &file));
    }
}

#[test]
fn a_changed_byte_is_noticed() {
    let (identity, recipient) = pair(1);
    let identities = [identity];
    let file = seal(&[recipient], &[7; 32]).unwrap();
    assert!(open(&identities, &file).is_some());
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut changed = file.clone();
            changed[at] ^= 1 << bit;
            assert!(open(&identities, &changed).is_none(), "byte {at} bit {bit}");
        }
        assert!(open(&identities, &file[..at]).is_none(), "cut at {at}");
    }
}

#[test]
fn what_is_no_recipient_is_refused_and_a_secret_not_repeated() {
    let good = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    assert_eq!(Recipient::parse(good).unwrap().as_str(), good);
    for text in ["", "age1", "ssh-ed25519 AAAA", &good[..60], &good.replace('q', "p")] {
        assert!(matches!(Recipient::parse(text), Err(AgeError::NoRecipient { .. })), "{text}");
    }
    for text in ["age1pq1qqqqqqqq", "age1yubikey1qqqqqqqqq"] {
        assert!(matches!(Recipient::parse(text), Err(AgeError::OtherKind { .. })), "{text}");
    }
    let error = Recipient::parse("AGE-SECRET-KEY-1QQQQ").unwrap_err();
    assert!(error == AgeError::SecretGiven && !error.to_string().contains("QQQQ"));
    assert_eq!(Identity::parse_file("# nothing\n").unwrap_err(), AgeError::NoIdentity);
    assert_eq!(Identity::parse_file(good).unwrap_err(), AgeError::NoIdentity);
}

/// Whether the `age` command is here; it must be where tests count.
#[expect(clippy::disallowed_methods, reason = "where tests count, a missing tool is a failure")]
fn has_age() -> bool {
    let found = Command::new("age").arg("--version").output().is_ok();
    assert!(found || std::env::var("CI").is_err(), "`age` is missing: apt-get install age");
    if !found {
        eprintln!("skipped: `age` is missing; apt-get install age");
    }
    found
}

#[test]
fn the_age_command_opens_what_is_sealed_here_and_the_other_way_round() {
    if !has_age() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (key_file, sealed) = (path("identity"), path("sealed"));
    let made = Command::new("age-keygen").arg("-o").arg(&key_file).stderr(Stdio::null()).status().unwrap();
    assert!(made.success());
    let text = fs::read_to_string(&key_file).unwrap();
    let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let recipient = Recipient::parse(public).unwrap();
    let identities = Identity::parse_file(&text).unwrap();
    assert!(identities[0].is_of(&recipient) && !identities[0].is_of(&pair(1).1));

    fs::write(&sealed, seal(&[pair(1).1, recipient, pair(2).1], b"ours").unwrap()).unwrap();
    let opened = Command::new("age").args(["-d", "-i"]).args([&key_file, &sealed]).output().unwrap();
    assert_eq!(opened.stdout, b"ours", "{}", String::from_utf8_lossy(&opened.stderr));

    fs::write(path("plain"), b"theirs").unwrap();
    let status =
        Command::new("age").args(["-r", public, "-o"]).args([&sealed, &path("plain")]).status().unwrap();
    assert!(status.success());
    assert_eq!(open(&identities, &fs::read(&sealed).unwrap()).unwrap().as_slice(), b"theirs");
}
