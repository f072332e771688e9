//! Imports: on a real service, order, repetition and what is refused; on a listener, what is too large.

use super::*;

fn user(id: &str, more: &str) -> String {
    format!(r#"{{"uid":{{"type":"User","id":"{id}"}},"attrs":{{{more}}}}}"#)
}

fn boss(id: &str) -> String {
    format!(r#""boss":{{"type":"User","id":"{id}"}}"#)
}

/// Files with these contents, and their paths.
struct Written(tempfile::TempDir, Vec<String>);

impl Written {
    fn new(contents: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let paths = contents.iter().map(|(name, _)| path(name)).collect();
        let written = Self(folder, paths);
        contents.iter().for_each(|(name, content)| written.write(name, content));
        written
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn import<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let paths = self.1.iter().map(String::as_str);
        ["entity", "import"].into_iter().chain(paths).chain(more.iter().copied()).collect()
    }
}

#[test]
fn files_in_any_order_are_imported_once_however_often_that_is_asked() {
    let (_deployment, service) = stateful();
    let url = service.url();
    // A boss comes later, in another file; two are each other's.
    let lines = format!("{}\n{}\n{}\n", user("a", &boss("e")), user("b", &boss("c")), user("c", &boss("b")));
    let list = format!("[{},\n{}]", user("d", &boss("a")), user("e", ""));
    let written = Written::new(&[("one.ndjson", &lines), ("two.json", &list)]);
    let import = written.import(&["--batch", "2"]);
    assert_eq!(well(&url, &import), "imported 5 entities in 3 changes; the state is of version 3\n");
    let again = well(&url, &import);
    assert!(
        again.starts_with("imported 5 entities in 3 changes; the state is of version 3\n5 of them"),
        "{again}"
    );
    well(&url, &["entity", "set", "User/a", "role=nurse"]);
    well(&url, &import);
    let role = |id: &str| json_of(&well(&url, &["entity", "get", id, "--json"]))["attrs"]["role"].clone();
    assert_eq!(role("User/a"), "nurse");
    let anew = written.import(&["--batch", "2", "--again", "--json"]);
    let told = json_of(&well(&url, &anew));
    assert_eq!(told, json!({ "imported": 5, "unchanged": 0, "changes": 3, "version": 7 }));
    assert_eq!(role("User/a"), Value::Null);
}

#[test]
fn the_first_batch_that_is_refused_is_said_with_its_places_and_how_to_go_on() {
    let (_deployment, service) = stateful();
    let url = service.url();
    let lines = |third: &str, last: &str| {
        [user("a", ""), user("b", ""), user("c", third), String::new(), user("d", last), user("e", "")]
            .join("\n")
    };
    let written = Written::new(&[("u.ndjson", &lines(r#""rule":"x""#, r#""role":7"#))]);
    let import = written.import(&["--batch", "2"]);
    let said = refused(&at(&url, &import));
    let told: Vec<_> = said.lines().collect();
    assert!(told[0].starts_with("the service refuses it (422 invalid-facts): "), "{said}");
    assert!(
        told[1].contains("u.ndjson:3: `User::\"c\"`: ") && told[1].contains("did you mean `role`?"),
        "{said}"
    );
    assert!(told[2].contains("u.ndjson:5: `User::\"d\"`: "), "{said}");
    assert!(told[3].starts_with("imported 2 of 5 entities; ") && told.len() == 4, "{said}");
    let place = told[3].rsplit("--resume ").next().unwrap().trim_end_matches('`');

    written.write("u.ndjson", &lines(r#""role":"x""#, r#""role":"y""#));
    let resume = written.import(&["--batch", "2", "--resume", place]);
    assert_eq!(well(&url, &resume), "imported 3 entities in 2 changes; the state is of version 3\n");
    // What was imported is not what stands there now: going on would leave it out.
    written.write("u.ndjson", &lines(r#""role":"x""#, "").replace(&user("a", ""), &user("z", "")));
    let said = refused(&at(&url, &resume));
    assert!(said.contains("from the beginning, without `--resume`"), "{said}");
    for place in ["2", "x-y", "9-1f3a9c2e"] {
        assert!(refused(&at(&url, &written.import(&["--resume", place]))).contains("`--resume"), "{place}");
    }
}

#[test]
fn in_a_list_the_place_is_the_index_and_what_is_nowhere_is_refused() {
    let (_deployment, service) = stateful();
    let list = format!("[{},{}]", user("a", ""), user("b", &boss("nobody")));
    let written = Written::new(&[("u.json", &list)]);
    let said = refused(&at(&service.url(), &written.import(&[])));
    assert!(
        said.contains("u.json: /1: `User::\"b\"`: ")
            && said.ends_with("\nnothing of 2 entities was imported\n"),
        "{said}"
    );
}

#[test]
fn nothing_is_sent_of_files_that_hold_something_else() {
    let listener = Listener::start(|_, _| None);
    let written = Written::new(&[("good.ndjson", &user("a", "")), ("bad.json", "[{}]")]);
    let said = refused(&at(&listener.url(), &written.import(&[])));
    assert!(
        said.contains("bad.json: /0: expected an entity") && said.ends_with("nothing was imported\n"),
        "{said}"
    );
    assert!(listener.asked().is_empty());
}

/// Takes this many changes at once.
fn taking(most: usize) -> Listener {
    Listener::start(move |number, asked| {
        let changes = asked.body["changes"].as_array().unwrap().len();
        Some(if changes > most {
            let problem =
                json!({ "type": "urn:assent:problem:too-large", "detail": "too large", "status": 413 });
            (413, PROBLEM, problem.to_string())
        } else {
            (200, JSON, json!({ "version": number, "changed": changes }).to_string())
        })
    })
}

#[test]
fn what_is_too_large_is_halved_in_the_same_way_each_time() {
    let lines: Vec<String> = (0..7).map(|n| user(&n.to_string(), "")).collect();
    let written = Written::new(&[("u.ndjson", &lines.join("\n"))]);
    let sent = || {
        let listener = taking(2);
        let said = well(&listener.url(), &written.import(&[]));
        assert!(said.starts_with("imported 7 entities in 4 changes; "), "{said}");
        let id = |change: &Value| change["put"]["uid"]["id"].as_str().unwrap().to_owned();
        let each = listener.asked().into_iter().map(|asked| {
            let ids: Vec<_> = asked.body["changes"].as_array().unwrap().iter().map(id).collect();
            (ids.concat(), asked.header("idempotency-key").unwrap().to_owned())
        });
        each.collect::<Vec<_>>()
    };
    let (first, second) = (sent(), sent());
    assert_eq!(first, second);
    let ids: Vec<&str> = first.iter().map(|(ids, _)| ids.as_str()).collect();
    assert_eq!(ids, ["0123456", "012", "0", "12", "3456", "34", "56"]);
    let keys: std::collections::BTreeSet<_> = first.iter().map(|(_, key)| key).collect();
    assert_eq!(keys.len(), first.len());
}

#[test]
fn a_circle_is_not_cut_and_one_that_is_too_large_is_said() {
    let lines = [user("a", ""), user("b", &boss("d")), user("c", &boss("b")), user("d", &boss("c"))];
    let written = Written::new(&[("u.ndjson", &lines.join("\n"))]);
    let listener = taking(2);
    let said = refused(&at(&listener.url(), &written.import(&[])));
    assert!(
        said.contains("u.ndjson:2: User/b: these 3 entities, which refer to one another in a circle"),
        "{said}"
    );
    assert!(said.contains("imported 1 of 4 entities"), "{said}");
    // One change holds a thousand.
    let circle = |size: usize| {
        let each = (0..size).map(|n| user(&n.to_string(), &boss(&((n + 1) % size).to_string())));
        Written::new(&[("u.ndjson", &each.collect::<Vec<_>>().join("\n"))])
    };
    let listener = taking(1000);
    let said = refused(&at(&listener.url(), &circle(1001).import(&[])));
    assert!(said.contains("u.ndjson:1: 1001 entities, ") && listener.asked().is_empty(), "{said}");
    assert!(
        well(&listener.url(), &circle(1000).import(&[])).starts_with("imported 1000 entities in 1 change;")
    );
    let single = Written::new(&[("u.ndjson", &user("a", ""))]);
    let said = refused(&at(&taking(0).url(), &single.import(&[])));
    assert!(said.contains("u.ndjson:1: User/a: this entity is larger than one change may be"), "{said}");
}

#[test]
fn a_batch_stays_below_what_the_service_takes_in_bytes_and_values() {
    let sizes = |entities: Vec<String>| {
        let written = Written::new(&[("u.ndjson", &entities.join("\n"))]);
        let listener = taking(1000);
        well(&listener.url(), &written.import(&[]));
        let asked = listener.asked().into_iter();
        asked.map(|asked| asked.body["changes"].as_array().unwrap().len()).collect::<Vec<_>>()
    };
    let of_bytes = |bytes: usize| {
        let one = |n: usize, more: usize| user(&n.to_string(), &format!(r#""role":"{}""#, "x".repeat(more)));
        let rest = bytes - one(0, 0).len() - r#"{"put":},"#.len();
        (0..3).map(|n| one(n, rest)).collect::<Vec<_>>()
    };
    assert_eq!(sizes(of_bytes((512 << 10) / 2)), [2, 1]);
    assert_eq!(sizes(of_bytes((512 << 10) / 2 + 1)), [1, 1, 1]);
    let of_values = |values: usize| {
        // The attributes, the list and the missing parents are values, as are the six around each entity.
        let list = vec!["1"; values - 9].join(",");
        (0..3).map(|n| user(&n.to_string(), &format!(r#""list":[{list}]"#))).collect::<Vec<_>>()
    };
    assert_eq!(sizes(of_values(5_000)), [2, 1]);
    assert_eq!(sizes(of_values(5_001)), [1, 1, 1]);
}
