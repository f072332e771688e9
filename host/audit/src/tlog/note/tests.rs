//! Notes against the vectors of the specification and of Go's `note` package, and whatever else can be wrong.

use proptest::prelude::*;

use super::*;

/// The example of the documentation of golang.org/x/mod/sumdb/note.
const PETER_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SKEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER_TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(name: &str) -> Signer {
    Signer::from_seed(name, &[name.len() as u8; 32]).unwrap()
}

fn peter_note() -> String {
    format!("{PETER_TEXT}\n{PETER_LINE}")
}

#[test]
fn keys_and_notes_are_byte_for_byte_those_of_go() {
    let signer = Signer::parse(PETER_SKEY).unwrap();
    assert_eq!(signer.skey().as_str(), PETER_SKEY);
    assert_eq!(signer.verifier().to_string(), PETER_VKEY);
    assert_eq!(sign(PETER_TEXT, &[&signer]).unwrap(), peter_note());
    let opened = open(&peter_note(), &[Verifier::parse(PETER_VKEY).unwrap()]).unwrap();
    assert_eq!(opened.text(), PETER_TEXT);
    let [verified] = opened.signatures() else { panic!("{opened:?}") };
    assert_eq!(verified.signature().to_string(), PETER_LINE);
    assert_eq!((verified.signature().name(), verified.signature().key_id()), ("PeterNeumann", 0xc74f_20a3));
    assert_eq!(verified.time(), None);
}

#[test]
fn the_example_of_the_specification_is_read() {
    let text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n";
    let line = "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let note = Unverified::parse(&format!("{text}\n{line}")).unwrap();
    assert_eq!(note.text, text);
    assert_eq!(note.signatures[0].to_string(), line);
}

#[test]
fn signatures_of_unknown_keys_are_ignored() {
    let (known, other) = (signer("known.example"), signer("other.example/x"));
    let note = sign("text\n", &[&other, &known]).unwrap();
    let opened = open(&note, std::slice::from_ref(known.verifier())).unwrap();
    assert!(opened.is_signed_by(known.verifier()) && !opened.is_signed_by(other.verifier()));
    assert_eq!(opened.signatures().len(), 1);
    // The same name with another key, and the same key under another name, are other keys.
    let same_name = Signer::from_seed("known.example", &[9; 32]).unwrap();
    let same_seed = Signer::from_seed("renamed.example", &["known.example".len() as u8; 32]).unwrap();
    for verifier in [same_name.verifier(), same_seed.verifier()] {
        assert_eq!(open(&note, std::slice::from_ref(verifier)), Err(NoteError::NotSigned));
    }
    assert_eq!(open(&note, &[]), Err(NoteError::NotSigned));
    // So is one that has the number of a known key under another name.
    let renamed = Signature { name: "renamed.example".to_owned(), ..known.sign("text\n") };
    let note = append("text\n\n", &[renamed]).unwrap();
    assert_eq!(open(&note, std::slice::from_ref(known.verifier())), Err(NoteError::NotSigned));
}

#[test]
fn one_bad_signature_of_a_known_key_refuses_the_note() {
    let (good, bad) = (signer("good.example"), signer("bad.example"));
    let note = sign("text\n", &[&good]).unwrap();
    let note = append(&note, &[bad.sign("another text\n")]).unwrap();
    let refused = open(&note, &[good.verifier().clone(), bad.verifier().clone()]);
    assert_eq!(refused, Err(NoteError::BadSignature { name: "bad.example".to_owned() }));
    open(&note, std::slice::from_ref(good.verifier())).unwrap();
}

#[test]
fn a_key_that_signs_twice_counts_once() {
    let twice = Cosigner::from_seed("w.example", &[1; 32]).unwrap();
    let note = append("text\n\n", &[twice.cosign("text\n", 5), twice.cosign("text\n", 6)]).unwrap();
    let opened = open(&note, std::slice::from_ref(twice.verifier())).unwrap();
    assert_eq!(opened.signatures().iter().map(Verified::time).collect::<Vec<_>>(), [Some(5)]);
    let second_bad = append("text\n\n", &[twice.cosign("text\n", 5), twice.cosign("other\n", 6)]).unwrap();
    open(&second_bad, std::slice::from_ref(twice.verifier())).unwrap_err();
}

#[test]
fn a_cosignature_never_counts_as_a_signature_nor_the_other_way_round() {
    let seed = [7; 32];
    let (signer, cosigner) =
        (Signer::from_seed("a.example", &seed).unwrap(), Cosigner::from_seed("a.example", &seed).unwrap());
    assert_ne!(signer.verifier().key_id(), cosigner.verifier().key_id());
    let note = sign("text\n", &[&signer]).unwrap();
    assert_eq!(open(&note, std::slice::from_ref(cosigner.verifier())), Err(NoteError::NotSigned));
    // Even with the key number of the other: what is signed differs.
    let mut forged = signer.sign("text\n");
    forged.key_id = cosigner.verifier().key_id();
    let forged = append("text\n\n", &[forged]).unwrap();
    open(&forged, std::slice::from_ref(cosigner.verifier())).unwrap_err();
}

#[test]
fn the_cosignature_of_the_specification_is_read() {
    // c2sp.org/tlog-cosignature gives the note, not the key: the form and the time can be checked.
    let line = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let note = Unverified::parse(&format!("text\n\n{line}")).unwrap();
    let (time, rest) = note.signatures[0].bytes.split_first_chunk::<8>().unwrap();
    assert_eq!((u64::from_be_bytes(*time), rest.len()), (1_679_315_147, 64));
}

#[test]
fn a_time_that_does_not_fit_is_not_signed_and_not_accepted() {
    let cosigner = Cosigner::from_seed("w.example", &[1; 32]).unwrap();
    let latest = append("text\n\n", &[cosigner.cosign("text\n", u64::MAX)]).unwrap();
    let opened = open(&latest, std::slice::from_ref(cosigner.verifier())).unwrap();
    assert_eq!(opened.signatures()[0].time(), Some(i64::MAX as u64));
    // The same key can be made to sign what a cosigner would not.
    let time = i64::MAX as u64 + 1;
    let signer = Signer::from_seed("w.example", &[1; 32]).unwrap();
    let signed = signer.sign(&format!("cosignature/v1\ntime {time}\ntext\n"));
    let bytes = [&time.to_be_bytes(), signed.bytes.as_slice()].concat();
    let late = Signature { bytes, key_id: cosigner.verifier().key_id(), ..signed };
    let late = append("text\n\n", &[late]).unwrap();
    open(&late, std::slice::from_ref(cosigner.verifier())).unwrap_err();
}

#[test]
fn malformed_notes_are_refused() {
    let line = PETER_LINE;
    let cases: &[(&str, String)] = &[
        ("empty", String::new()),
        ("no signature", PETER_TEXT.to_owned()),
        ("no signature line", format!("{PETER_TEXT}\n")),
        ("no empty line", format!("{PETER_TEXT}{line}")),
        ("no last newline", peter_note().trim_end().to_owned()),
        ("text behind the signatures", format!("{}x\n", peter_note())),
        ("an empty line behind the signatures", format!("{}\n", peter_note())),
        ("carriage return", peter_note().replace('\n', "\r\n")),
        ("tab", format!("\t{}", peter_note())),
        ("the last control character", format!("\x1f{}", peter_note())),
        ("hyphen instead of dash", peter_note().replace('—', "-")),
        ("two spaces", peter_note().replace("Neumann ", "Neumann  ")),
        ("plus in the name", peter_note().replace("PeterN", "Peter+N")),
        ("no base64", format!("{PETER_TEXT}\n— PeterNeumann \n")),
        ("broken base64", peter_note().replace("nAM=", "nAM")),
        ("stray bits in base64", peter_note().replace("nAM=", "nAN=")),
        ("only a key number", format!("{PETER_TEXT}\n— PeterNeumann x08gow==\n")),
        ("no name", format!("{PETER_TEXT}\n—  {}", line.split_once(' ').unwrap().1)),
    ];
    let peter = Verifier::parse(PETER_VKEY).unwrap();
    for (what, note) in cases {
        let outcome = open(note, std::slice::from_ref(&peter));
        assert!(
            matches!(
                outcome,
                Err(NoteError::NoSignatures | NoteError::ControlCharacter | NoteError::SignatureLine { .. })
            ),
            "{what}: {outcome:?}"
        );
    }
}

#[test]
fn the_limits_hold_one_under_and_one_over() {
    let peter = Signer::parse(PETER_SKEY).unwrap();
    let most: Vec<_> = std::iter::repeat_n(&peter, SIGNATURES_MAX).collect();
    let note = sign("text\n", &most).unwrap();
    open(&note, std::slice::from_ref(peter.verifier())).unwrap();
    assert_eq!(append(&note, &[peter.sign("text\n")]), Err(NoteError::TooManySignatures));

    let room = NOTE_BYTES_MAX - PETER_LINE.len() - 2;
    let text = "x".repeat(room) + "\n";
    let note = sign(&text, &[&peter]).unwrap();
    assert_eq!(note.len(), NOTE_BYTES_MAX);
    open(&note, std::slice::from_ref(peter.verifier())).unwrap();
    let found = NOTE_BYTES_MAX + 1;
    assert_eq!(sign(&format!("x{text}"), &[&peter]), Err(NoteError::TooLong { found }));
    assert_eq!(open(&format!("x{note}"), &[]), Err(NoteError::TooLong { found }));
}

#[test]
fn only_a_text_that_can_be_opened_again_is_signed() {
    let peter = Signer::parse(PETER_SKEY).unwrap();
    assert_eq!(sign("no newline", &[&peter]), Err(NoteError::TextEnd));
    assert_eq!(sign("", &[&peter]), Err(NoteError::TextEnd));
    assert_eq!(sign("a\tb\n", &[&peter]), Err(NoteError::ControlCharacter));
    assert_eq!(sign("text\n", &[]), Err(NoteError::NotSigned));
}

#[test]
fn keys_that_are_not_theirs_are_refused() {
    for name in ["", "a b", "a+b", "a\nb", "a\u{2003}b"] {
        assert_eq!(Signer::from_seed(name, &[1; 32]).err(), Some(NoteError::KeyName), "{name:?}");
        assert_eq!(Verifier::new(name, Algorithm::Ed25519, [1; 32]), Err(NoteError::KeyName));
    }
    // Every cut out of the text makes it another key, or none; as in Go's own tests.
    for from in 0..PETER_VKEY.len() {
        for to in from + 1..=PETER_VKEY.len() {
            let cut = format!("{}{}", &PETER_VKEY[..from], &PETER_VKEY[to..]);
            assert_eq!(Verifier::parse(&cut), Err(NoteError::VerifierKey), "{cut}");
        }
    }
    for from in 0..PETER_SKEY.len() {
        let cut = format!("{}{}", &PETER_SKEY[..from], &PETER_SKEY[from + 1..]);
        assert_eq!(Signer::parse(&cut).err(), Some(NoteError::SignerKey));
    }
    let cosigner = Cosigner::from_seed("w.example", &[1; 32]).unwrap();
    let vkey = cosigner.verifier().to_string();
    assert_eq!(Verifier::parse(&vkey).as_ref(), Ok(cosigner.verifier()));
    assert_eq!(Signer::parse(&format!("PRIVATE+KEY+{vkey}")).err(), Some(NoteError::SignerKey));
    let nine_digits = PETER_VKEY.replace("+c74", "+0c74");
    assert_eq!(Verifier::parse(&nine_digits), Err(NoteError::VerifierKey));
    // Unknown algorithm with the right key number, from Go's tests.
    let unknown = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(Verifier::parse(unknown), Err(NoteError::VerifierKey));
}

proptest! {
    #[test]
    fn what_is_signed_opens_to_the_same_text(text in "[^\0-\x1f]{0,40}(\n[^\0-\x1f]{0,20}){0,5}") {
        let peter = Signer::parse(PETER_SKEY).unwrap();
        let text = format!("{text}\n");
        let note = sign(&text, &[&peter]).unwrap();
        let opened = open(&note, std::slice::from_ref(peter.verifier())).unwrap();
        prop_assert_eq!(opened.text(), text);
    }

    #[test]
    fn a_changed_note_does_not_open(at in any::<prop::sample::Index>(), byte in 0x20u8..0x7f) {
        let mut note = peter_note().into_bytes();
        let at = at.index(note.len());
        let changed = note[at] != byte;
        note[at] = byte;
        if let Ok(note) = String::from_utf8(note) {
            let peter = Verifier::parse(PETER_VKEY).unwrap();
            prop_assert_eq!(open(&note, &[peter]).is_err(), changed);
        }
    }

    #[test]
    fn what_parses_prints_back_to_the_same_note(note in "[ab\n]{0,8}\n\n(— [ab]{1,3} [A-Za-z0-9+/]{8}\n){0,4}") {
        if let Ok(parsed) = Unverified::parse(&note) {
            let lines: String = parsed.signatures.iter().map(Signature::to_string).collect();
            prop_assert_eq!(format!("{}\n{lines}", parsed.text), note);
        }
    }
}
