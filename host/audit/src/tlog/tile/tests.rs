//! Paths, cuts and contents of tiles: the examples of the specification, and what must hold for any tree.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::tlog::merkle::{self, leaf_hash};

fn tile(content: Content, index: u64, width: u16) -> Tile {
    Tile::new(content, index, width).unwrap()
}

fn hashes(level: u8) -> Content {
    Content::Hashes { level }
}

/// Files that are not there are an error; a test that gets one has asked for a tile that does not exist.
type Files = BTreeMap<String, Vec<u8>>;

#[derive(Debug, PartialEq)]
enum Failure {
    Missing(Tile),
    Tile(TileError),
}

impl From<TileError> for Failure {
    fn from(error: TileError) -> Self {
        Failure::Tile(error)
    }
}

fn fetch(files: &Files) -> impl FnMut(Tile) -> Result<Vec<u8>, Failure> + '_ {
    |tile| files.get(&tile.to_string()).cloned().ok_or(Failure::Missing(tile))
}

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

#[test]
fn paths_are_those_of_the_specification() {
    let cases = [
        (tile(hashes(0), 1_234_067, 256), "tile/0/x001/x234/067"),
        (tile(hashes(63), 0, 256), "tile/63/000"),
        (tile(hashes(1), 273, 112), "tile/1/273.p/112"),
        (tile(Content::Entries, 1000, 1), "tile/entries/x001/000.p/1"),
        (tile(hashes(7), u64::MAX, 255), "tile/7/x018/x446/x744/x073/x709/x551/615.p/255"),
    ];
    for (tile, path) in cases {
        assert_eq!(tile.to_string(), path);
        assert_eq!(Tile::parse(path), Ok(tile));
    }
}

#[test]
fn any_other_spelling_of_a_path_is_refused() {
    let paths = [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        // The published crate `tlog_tiles` 0.2.0 stops with a failed assertion here.
        "tile/2/124/24",
        "tile/64/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/256/000",
        "tile/data/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/1234",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/0/x001/x002",
        "tile/0/x1/002",
        "tile/0/xx01/002",
        "tile/0/+01",
        "tile/0/001/",
        "tile/0//001",
        "/tile/0/001",
        "tile/0/001.p",
        "tile/0/001.p/",
        "tile/0/001.p/0",
        "tile/0/001.p/01",
        "tile/0/001.p/256",
        "tile/0/001.p/257",
        "tile/0/001.p/65536",
        "tile/0/001.p/1.p/1",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/8/0/000",
        "tile/0/../001",
        "tile/0/٠٠١",
        "TILE/0/001",
    ];
    for path in paths {
        assert_eq!(Tile::parse(path), Err(TileError::Path { path: path.to_owned() }));
    }
    let long = "tile/".to_owned() + &"x".repeat(100_000);
    assert!(matches!(Tile::parse(&long), Err(TileError::Path { path }) if path.len() == 80));
    assert_eq!(Tile::new(hashes(64), 0, 1), None);
    assert_eq!((Tile::new(hashes(0), 0, 0), Tile::new(hashes(0), 0, 257)), (None, None));
}

#[test]
fn a_tree_of_70000_has_the_tiles_that_the_specification_lists() {
    let mut tiles: Vec<_> = new_tiles(0, 70_000).collect();
    assert_eq!(tiles.len(), 273 + 1 + 1 + 1 + 1);
    tiles.retain(|tile| tile.width() < TILE_WIDTH || tile.content() != hashes(0));
    let expected =
        [tile(hashes(0), 273, 112), tile(hashes(1), 0, 256), tile(hashes(1), 1, 17), tile(hashes(2), 0, 1)];
    assert_eq!(tiles, expected);
    let exact: Vec<_> = new_tiles(0, 256).collect();
    assert_eq!(exact, [tile(hashes(0), 0, 256), tile(hashes(1), 0, 1)]);
    assert_eq!(new_bundles(256, 70_000).count(), 273);
}

#[test]
fn nothing_is_new_where_nothing_grows() {
    for (old, new) in [(0, 0), (256, 256), (5, 4), (u64::MAX, u64::MAX), (u64::MAX, 0)] {
        assert_eq!((new_tiles(old, new).count(), new_bundles(old, new).count()), (0, 0));
    }
    let last: Vec<_> = new_tiles(u64::MAX - 1, u64::MAX).map(|tile| tile.to_string()).collect();
    assert_eq!(last, ["tile/0/x072/x057/x594/x037/x927/935.p/255"]);
}

#[test]
fn a_tile_that_is_damaged_or_missing_gives_no_proof() {
    let leaves = leaves(300);
    let made = grow::<Failure>(0, &leaves, |tile| Err(Failure::Missing(tile))).unwrap();
    let mut files: Files = made.into_iter().map(|(tile, content)| (tile.to_string(), content)).collect();
    let partial = tile(hashes(0), 1, 44);
    files.get_mut("tile/0/001.p/44").unwrap().pop();
    let damaged = Failure::Tile(TileError::Length { tile: partial, found: 44 * 32 - 1, expected: 44 });
    let proof = merkle::inclusion(&mut TileReader::new(300, fetch(&files)), 299, 300);
    assert_eq!(proof, Err(merkle::ProveError::Read(damaged)));
    grow(300, &leaves, fetch(&files)).unwrap_err();
    files.remove("tile/0/001.p/44");
    let proof = merkle::inclusion(&mut TileReader::new(300, fetch(&files)), 299, 300);
    assert_eq!(proof, Err(merkle::ProveError::Read(Failure::Missing(partial))));
}

#[test]
fn hashes_that_a_tree_does_not_have_are_not_read() {
    let files = Files::new();
    let mut reader = TileReader::new(300, fetch(&files));
    for (level, index) in
        [(0, 300), (0, u64::MAX), (1, 150), (8, 1), (9, 0), (63, 0), (64, 0), (255, u64::MAX)]
    {
        match reader.hash(level, index) {
            // The only tile that exists and holds none of these hashes in whole.
            Err(Failure::Missing(tile)) => assert!((300 >> (8 * u64::from(level / 8))) > 256 * tile.index()),
            other => assert_eq!(other, Err(Failure::Tile(TileError::NoSuchHash { level, index, size: 300 }))),
        }
    }
}

#[test]
fn bundles_have_each_entry_behind_its_length() {
    let longest = vec![7; ENTRY_BYTES_MAX];
    let bundle = encode_bundle([b"ab".as_slice(), b"", &longest]).unwrap();
    assert_eq!(bundle[..8], [0, 2, b'a', b'b', 0, 0, 0xff, 0xff]);
    assert_eq!(decode_bundle(&bundle, 3).unwrap(), [b"ab".as_slice(), b"", &longest]);
    let too_long = vec![7; ENTRY_BYTES_MAX + 1];
    let found = ENTRY_BYTES_MAX + 1;
    assert_eq!(encode_bundle([too_long.as_slice()]), Err(TileError::EntryTooLong { found }));
    let wrong = |entry, expected| Err(TileError::Bundle { entry, expected });
    assert_eq!(decode_bundle(&bundle, 2), wrong(2, 2));
    assert_eq!(decode_bundle(&bundle, 4), wrong(3, 4));
    assert_eq!(decode_bundle(&bundle[..bundle.len() - 1], 3), wrong(2, 3));
    assert_eq!(decode_bundle(&[0], 1), wrong(0, 1));
    assert_eq!(decode_bundle(&[], 0), Ok(vec![]));
}

proptest! {
    #[test]
    fn every_tile_has_one_path_and_comes_back_from_it(
        level in prop::option::of(0..=LEVEL_MAX), index in any::<u64>(), shift in 0..64u32, width in 1..=TILE_WIDTH,
    ) {
        let content = level.map_or(Content::Entries, |level| Content::Hashes { level });
        let tile = tile(content, index >> shift, width);
        prop_assert_eq!(Tile::parse(&tile.to_string()), Ok(tile));
    }

    #[test]
    fn whatever_parses_as_a_path_prints_back(path in "tile/(entries|[0-9]{1,3})(/x?[0-9]{2,4}){1,8}(\\.p/[0-9]{1,3})?") {
        if let Ok(tile) = Tile::parse(&path) {
            prop_assert_eq!(tile.to_string(), path);
        }
    }

    #[test]
    fn no_text_makes_the_path_parser_panic(path in ".*") {
        prop_assert!(Tile::parse(&path).is_err());
    }

    #[test]
    fn bundles_come_back_from_their_bytes(
        entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20), cut in any::<prop::sample::Index>(),
    ) {
        let bundle = encode_bundle(entries.iter().map(Vec::as_slice)).unwrap();
        let width = entries.len() as u16;
        prop_assert_eq!(decode_bundle(&bundle, width).unwrap(), entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
        if !bundle.is_empty() {
            prop_assert!(decode_bundle(&bundle[..cut.index(bundle.len())], width).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_tree_grown_in_steps_has_the_tiles_and_proofs_of_the_whole(
        steps in prop::collection::vec(prop_oneof![0..5u64, 200..300u64, Just(256), 0..4_000u64], 1..5),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let size: u64 = steps.iter().sum();
        let leaves = leaves(size);
        let mut files = Files::new();
        let (mut old, mut frontier) = (0, Frontier::default());
        let mut trees = vec![];
        for step in steps {
            let new = &leaves[old as usize..(old + step) as usize];
            let made = grow(old, new, fetch(&files)).unwrap();
            let tiles: Vec<_> = made.iter().map(|(tile, _)| *tile).collect();
            prop_assert_eq!(tiles, new_tiles(old, old + step).collect::<Vec<_>>());
            files.extend(made.into_iter().map(|(tile, content)| (tile.to_string(), content)));
            old += step;
            new.iter().for_each(|leaf| frontier.push(*leaf));
            trees.push(frontier.tree());
            // A reader of any size so far finds its tree, though partial tiles have become wider since.
            prop_assert_eq!(merkle::root(&mut TileReader::new(old, fetch(&files)), old), Ok(frontier.root()));
        }
        let whole = *trees.last().unwrap();
        let mut reader = TileReader::new(size, fetch(&files));
        for pick in picks {
            if size > 0 {
                let index = pick.index(size as usize) as u64;
                let proof = merkle::inclusion(&mut reader, index, size).unwrap();
                prop_assert_eq!(merkle::verify_inclusion(&whole, index, &leaves[index as usize], &proof), Ok(()));
            }
            let older = trees[pick.index(trees.len())];
            let proof = merkle::consistency(&mut reader, older.size, size).unwrap();
            prop_assert_eq!(merkle::verify_consistency(&older, &whole, &proof), Ok(()));
        }
    }
}
