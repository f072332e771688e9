//! What goes into parts comes out of them; what was changed, cut, mixed or moved does not come out at all.

use proptest::prelude::*;

use super::*;
use crate::keys::Payload;
use crate::record::{Event, Record};

pub(crate) fn about() -> About {
    About {
        organization: OrganizationId::new("riverside").unwrap(),
        release: Digest::of(b"release"),
        facts: Digest::of(b"facts"),
        software: "0.1.0".to_owned(),
    }
}

fn cut(files: &[File]) -> Vec<ReleaseArchived> {
    parts(&about(), files.iter().map(|file| (file.name.as_str(), file.bytes.as_slice()))).unwrap()
}

fn file(name: &str, bytes: impl Into<Vec<u8>>) -> File {
    File { name: name.to_owned(), bytes: bytes.into() }
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    noise
}

/// What comes of these parts: the archives and errors, in order.
fn assemble(parts: &[ReleaseArchived]) -> Vec<Result<Archive, ArchiveError>> {
    let mut assembly = Assembly::default();
    parts.iter().filter_map(|part| assembly.push(part).transpose()).collect()
}

fn assert_fits(part: &ReleaseArchived) {
    let at = "2026-11-26T00:00:00Z".parse().unwrap();
    let record = Record::new(at, Event::ReleaseArchived(part.clone()));
    let bytes = record.encode().unwrap();
    assert_eq!(Record::decode(&bytes).unwrap(), record);
    // Even if the log could not compress it at all.
    assert!(bytes.len() + crate::keys::OVERHEAD_BYTES <= crate::keys::ENVELOPE_BYTES_MAX, "{}", bytes.len());
    Payload::new(bytes).unwrap();
}

fn any_file() -> impl Strategy<Value = File> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        (0..200_000_usize).prop_map(noise),
        (0..400_000_usize).prop_map(|n| b"{\"uid\": {}}".iter().copied().cycle().take(n).collect()),
        Just(noise(PIECE_BYTES)),
        Just(noise(PIECE_BYTES + 1)),
    ];
    let name = prop_oneof!["[a-z]{1,8}(/[a-z.]{1,8}){0,2}", Just("\u{1}".repeat(NAME_BYTES_MAX))];
    (name, bytes).prop_map(|(name, bytes)| File { name, bytes })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_was_archived_comes_back_and_each_part_fits_a_record(
        files in prop::collection::vec(any_file(), 0..6)
    ) {
        let parts = cut(&files);
        parts.iter().for_each(assert_fits);
        let [Ok(archive)] = &assemble(&parts)[..] else { panic!("{} parts", parts.len()) };
        prop_assert_eq!(&archive.about, &about());
        prop_assert_eq!(&archive.files, &files);
    }

    #[test]
    fn an_archive_without_one_of_its_parts_is_none(missing in any::<prop::sample::Index>()) {
        let mut parts = cut(&[file("a", noise(150_000)), file("b", noise(150_000))]);
        parts.remove(missing.index(parts.len()));
        prop_assert!(assemble(&parts).is_empty());
    }
}

#[test]
fn an_archive_that_was_begun_and_left_is_written_again_and_found() {
    let files = [file("a", noise(200_000))];
    let parts = cut(&files);
    assert!(parts.len() > 3);
    let again: Vec<_> = parts[..2].iter().chain(&parts).cloned().collect();
    let [Ok(archive)] = &assemble(&again)[..] else { panic!() };
    assert_eq!(archive.files, files);
    let mut assembly = Assembly::default();
    assembly.push(&parts[0]).unwrap();
    assert!(assembly.is_begun());
}

#[test]
fn parts_of_two_archives_do_not_make_one() {
    let (one, other) = (cut(&[file("a", noise(200_000))]), cut(&[file("a", noise(200_000))]));
    assert_eq!(one.len(), other.len());
    let mixed: Vec<_> = one[..2].iter().chain(&other[2..]).cloned().collect();
    assert!(assemble(&mixed).is_empty());
    // Even if they say that they are of one.
    let forged: Vec<_> =
        mixed.into_iter().map(|part| ReleaseArchived { archive: one[0].archive, ..part }).collect();
    assert!(assemble(&forged).iter().all(Result::is_err));
}

type Change = fn(&mut ReleaseArchived);

fn content(text: &[u8]) -> Option<String> {
    Some(STANDARD.encode(zstd::bulk::compress(text, 1).unwrap()))
}

#[test]
fn an_altered_archive_is_an_error_that_says_what() {
    let parts = cut(&[file("a.cedar", "permit(principal, action, resource);"), file("b.json", "[]")]);
    assert_eq!(parts.len(), 1);
    let alter = |change: Change| {
        let mut part = parts[0].clone();
        change(&mut part);
        let [Err(error)] = &assemble(&[part])[..] else { panic!("it was taken") };
        error.to_string()
    };
    let changes: [(Change, &str); 9] = [
        (|part| part.pieces[0].content = content(b"permit"), "a.cedar"),
        (|part| part.pieces[0].content = None, "no content"),
        (|part| part.pieces[0].content = Some("?".into()), "not base64"),
        (|part| part.pieces[0].content = Some(STANDARD.encode("x")), "cannot be unpacked"),
        (|part| part.pieces[0].content = content(&[0; PIECE_BYTES + 1]), "cannot be unpacked"),
        (|part| part.pieces[0].offset = 1, "begins within a file"),
        (|part| part.pieces[1].offset = 1, "does not follow"),
        (|part| drop(part.pieces.pop()), "not those that its digest names"),
        (|part| part.pieces[1].file = "c.json".into(), "not those that its digest names"),
    ];
    for (change, expected) in changes {
        let said = alter(change);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn what_is_too_large_or_too_long_is_refused() {
    let name = "n".repeat(NAME_BYTES_MAX + 1);
    assert!(matches!(parts(&about(), [(name.as_str(), &b""[..])]), Err(ArchiveError::Name { .. })));
    // One block of memory many times stands for a gigabyte.
    let block = vec![0; 1 << 20];
    let many = |count| parts(&about(), std::iter::repeat_n(("a", block.as_slice()), count));
    assert!(matches!(many(1_025), Err(ArchiveError::TooLarge { parts: 0, .. })));
    assert!(many(1).is_ok());
    // What cannot be compressed has a part for each piece.
    let block = noise(PIECE_BYTES);
    let many = |count| parts(&about(), std::iter::repeat_n(("a", block.as_slice()), count));
    assert!(matches!(many(PARTS_MAX + 1), Err(ArchiveError::TooLarge { parts: PARTS_MAX, .. })));
}

#[test]
fn debug_and_what_is_shown_hold_nothing_of_a_file() {
    let parts = cut(&[file("entities.json", "jun-park")]);
    let record =
        Record::new("2026-11-26T00:00:00Z".parse().unwrap(), Event::ReleaseArchived(parts[0].clone()));
    let content = parts[0].pieces[0].content.clone().unwrap();
    let shown = serde_json::to_string(&record.shown()).unwrap();
    assert!(shown.contains("entities.json") && serde_json::to_string(&record).unwrap().contains(&content));
    let archive = assemble(&parts).remove(0).unwrap();
    for text in [shown, format!("{record:?}"), format!("{:?}", parts[0].pieces), format!("{archive:?}")] {
        assert!(
            !text.contains(&content) && !text.contains("content") && !text.contains("jun-park"),
            "{text}"
        );
    }
}
