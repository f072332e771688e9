//! What is found in files of entities, and what is refused in them.

use super::*;

/// The entities of files with these contents, each as its place, its JSON and what it refers to.
fn read(contents: &[&str]) -> Result<Vec<(String, String, Vec<u32>)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..contents.len()).map(|number| folder.path().join(number.to_string())).collect();
    for (path, content) in paths.iter().zip(contents) {
        std::fs::write(path, content).unwrap();
    }
    let bare = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    let index = Index::read(&paths).map_err(|error| bare(format!("{error:#}")))?;
    let each = index.entities.iter().zip(&index.references).map(|(entity, references)| {
        let json = String::from_utf8(index.json(entity).unwrap()).unwrap();
        (bare(index.place(entity)), json, references.to_vec())
    });
    Ok(each.collect())
}

fn entity(id: &str, attrs: &str) -> String {
    format!(r#"{{"uid":{{"type":"User","id":"{id}"}},"attrs":{{{attrs}}}}}"#)
}

#[test]
fn entities_of_lines_and_of_lists_are_found_with_what_they_refer_to() {
    let boss = |id: &str| format!(r#""boss":{{"id":"{id}","type":"User"}}"#);
    let escaped = r#""boss":[{"__entity":{"type":"User","id":"d"}},{"type":"User","id":"x"}]"#;
    let others = r#""n":{"type":"User","id":"a","more":1},"m":{"type":"User","id":7}"#;
    let lines = format!("\u{feff}{}\r\n\n  {} ", entity("a", &boss("c")), entity("b", escaped));
    let list = format!("\u{feff} [ {},\n{}\n] \n", entity("c", &boss("c")), entity("d", others));
    assert_eq!(
        read(&[&lines, &list, "[]", ""]).unwrap(),
        [
            ("0:1".to_owned(), entity("a", &boss("c")), vec![2]),
            ("0:3".to_owned(), entity("b", escaped), vec![3]),
            ("1: /0".to_owned(), entity("c", &boss("c")), vec![]),
            ("1: /1".to_owned(), entity("d", others), vec![]),
        ]
    );
}

#[test]
fn what_is_no_file_of_entities_is_refused_at_its_place() {
    let (a, b) = (entity("a", ""), entity("b", ""));
    for (contents, expected) in [
        (&[&format!("{a}\n{{\n")[..]][..], "0:2:1: EOF while parsing an object; expected one entity a line"),
        (&[&format!("{a}\n{b} {b}")], "0:2:45: trailing characters; expected one entity a line"),
        (&["{}\n7\n"], "0:1: expected an entity: an object whose `uid`"),
        (&[&format!("{a}\n{b}"), &format!("[{a}]")], "1: /0: `User/a` is also at 0:1"),
        (&[&format!("[{a},")], "0:1:46: the list does not end"),
        (&[&format!("[\n{a},\n{{\"uid\" 7}}]")], "0:3:8: expected `:`"),
        (&[&format!("[{a} {b}]")], "0:1:46: expected `,` or `]`"),
        (&[&format!("[{a}] {b}")], "0:1:47: something follows the list"),
        (&["[7]"], "0: /0: expected an entity"),
        (&["["], "0:1:2: the list does not end"),
    ] {
        let error = read(contents).unwrap_err();
        assert!(error.contains(expected) && error.ends_with("\nnothing was imported"), "{error}");
    }
    let many = read(&[&"7\n".repeat(100)]).unwrap_err();
    assert_eq!(many.lines().count(), PROBLEMS_MAX + 1);
}

#[test]
fn a_line_that_is_too_long_is_no_entity() {
    let line = |bytes: usize| entity("a", &format!(r#""t":"{}""#, "x".repeat(bytes)));
    let most = usize::try_from(ENTITY_BYTES_MAX).unwrap() - line(0).len();
    assert!(read(&[&line(most)]).is_ok());
    assert!(read(&[&line(most + 1)]).unwrap_err().contains("0:1 is longer than 1 MiB"));
}

#[test]
fn a_file_that_was_changed_since_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, entity("a", "")).unwrap();
    let index = Index::read(&[&path]).unwrap();
    assert!(index.json(&index.entities[0]).is_ok());
    std::fs::write(&path, entity("b", "")).unwrap();
    assert!(index.json(&index.entities[0]).unwrap_err().to_string().contains("was changed while"));
}
