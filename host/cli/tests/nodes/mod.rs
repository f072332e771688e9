//! Two services on one PostgreSQL, as processes: what one takes back the other permits no more once the answer has
//! left; a node that is cut off from the database says so and denies; one that died is not waited for longer than it
//! may decide.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;

#[path = "../../../store/tests/store/server.rs"]
mod server;

use server::Server;

const STALENESS_S: u64 = 2;
/// Both rights; `admin-key`.
const ADMIN: &str = r#"[[caller]]
id = "admin"
organizations = ["clinic"]
environment = "production"
rights = ["read-state", "write-state", "metrics"]
obligations = []
key_sha256 = "KEY"
"#;

/// A running service with what it says in a file, so that no pipe fills.
struct Node {
    child: Child,
    address: String,
    deployment: Deployment,
}

impl Node {
    fn start(name: &str, database: &str) -> Self {
        let key: String =
            assent_server::key_digest("admin-key").iter().map(|byte| format!("{byte:02x}")).collect();
        let state = format!(
            "[state]\npostgres = \"file:url\"\nname = \"clinic.example.org\"\nstaleness_s = {STALENESS_S}\n"
        );
        let config =
            format!("{ASSENT}{}[audit]\nname = \"{name}.example.org\"\n{state}", ADMIN.replace("KEY", &key));
        let organization = format!("{ORGANIZATION}[state]\ngo_on_when_stale = [\"list\"]\n");
        let schema = SCHEMA.replace("\"read\"", "\"read\", \"list\"");
        let policies = POLICIES.replace("action == Action::\"read\"", "action");
        let deployment = Deployment::new(&[
            ("assent.toml", &config),
            ("org/organization.toml", &organization),
            ("org/clinic.cedarschema", &schema),
            ("org/clinic.cedar", &policies),
            ("url", database),
        ]);
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(deployment.0.path().join("url"), private).unwrap();
        assert!(assent(&["audit", "init", deployment.path()]).status.success());
        Self::run(deployment)
    }

    fn run(deployment: Deployment) -> Self {
        let said = deployment.0.path().join("said");
        let child = Command::new(env!("CARGO_BIN_EXE_assent"))
            .args(["serve", deployment.path(), "--listen", "127.0.0.1:0"])
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let mut node = Self { child, address: String::new(), deployment };
        let begun = Instant::now();
        while node.address.is_empty() {
            let text = std::fs::read_to_string(&said).unwrap();
            if let Some((_, rest)) = text.split_once(" at http://") {
                node.address = rest.split_once('/').unwrap().0.to_owned();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not start: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
        node
    }

    /// Ends it; what it was.
    fn end(mut self) -> Deployment {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.deployment, Deployment::new(&[]))
    }

    /// The status and the body.
    fn send(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let key = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{key}Content-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        (status.unwrap_or_else(|| panic!("no answer: {answer}")), body.to_owned())
    }

    fn permits(&self, action: &str) -> bool {
        let request = ANN.replace("\"read\"", &format!("\"{action}\""));
        let (status, body) = self.send("POST", "/clinic/access/v1/evaluation", None, &request);
        assert_eq!(status, 200, "{body}");
        body.contains("\"decision\":true")
    }

    /// Makes Ann the owner of her record, or Bob.
    fn give(&self, owner: &str) -> u16 {
        let body = format!("{{\"attrs\":{{\"owner\":{{\"type\":\"User\",\"id\":\"{owner}\"}}}}}}");
        self.send("PUT", "/clinic/state/v1/entities/Record/r1", Some("admin-key"), &body).0
    }

    fn is_ready(&self) -> bool {
        self.send("GET", "/readyz", None, "").0 == 200
    }

    fn wait_for(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !holds(self) {
            assert!(Instant::now() < end, "this did not come about: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn what_one_node_takes_back_no_node_permits_once_that_is_answered() {
    let Some(server) = Server::start() else { return };
    let url = server.database("clinic");
    let nodes = [Node::start("a", &url), Node::start("b", &url)];
    let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        // Others ask all the while.
        for node in &nodes {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    node.permits("read");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..20 {
            let (here, there) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
            assert!(matches!(here.give("bob"), 200 | 201));
            let permits = [here, there].map(|node| node.permits("read"));
            assert_eq!(permits, [false, false], "round {round}");
            assert_eq!(there.give("ann"), 200);
            assert_eq!([here, there].map(|node| node.permits("read")), [true, true], "round {round}");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 40);
}

#[test]
fn a_node_that_is_cut_off_says_so_and_denies_but_for_what_may_go_on() {
    let Some(mut server) = Server::start() else { return };
    let node = Node::start("a", &server.database("clinic"));
    assert!(node.is_ready() && node.permits("read") && node.permits("list"));
    server.stop();
    node.wait_for("it is not ready", |node| !node.is_ready());
    let metrics = node.send("GET", "/metrics", Some("admin-key"), "").1;
    assert!(metrics.contains("assent_state_stale{organization=\"clinic\"} 1"), "{metrics}");
    assert!(!node.permits("read"));
    assert!(node.permits("list"));
    assert_eq!(node.give("bob"), 503);
    server.resume();
    node.wait_for("it is ready again", Node::is_ready);
    assert!(node.permits("read"));
    assert!(matches!(node.give("bob"), 200 | 201));
    assert!(!node.permits("read"));
}

#[test]
fn a_node_that_died_is_waited_for_no_longer_than_it_may_decide() {
    let Some(server) = Server::start() else { return };
    let url = server.database("clinic");
    let (here, mut there) = (Node::start("a", &url), Node::start("b", &url));
    there.child.kill().unwrap();
    there.child.wait().unwrap();
    let begun = Instant::now();
    assert!(matches!(here.give("bob"), 200 | 201));
    // It could still have been deciding for so long; and one that ended in good order is not waited for at all.
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(!here.permits("read"));
    // It comes back to what holds now.
    let deployment = std::mem::replace(&mut there.deployment, Deployment::new(&[]));
    drop(there);
    let there = Node::run(deployment);
    assert!(!there.permits("read"));
    assert_eq!(there.give("ann"), 200);
    assert!(here.permits("read"));
}

/// Two nodes that ended after the second made a version, which the first saw, and the URL of a database without it.
fn put_back(server: &Server) -> (String, [Deployment; 2]) {
    let url = server.database("clinic");
    let nodes = ["a", "b"].map(|name| Node::start(name, &url));
    assert!(matches!(nodes[0].give("bob"), 200 | 201));
    let deployments = nodes.map(Node::end);
    let older = server.copy("clinic", "older");
    let nodes = deployments.map(Node::run);
    assert_eq!(nodes[1].give("ann"), 200);
    // By its decision the log of the first has seen it.
    assert!(nodes[0].permits("read"));
    (older, nodes.map(Node::end))
}

#[test]
fn a_database_that_was_put_back_is_not_gone_on_with_before_all_have_brought_what_they_made() {
    let Some(server) = Server::start() else { return };
    let (older, [first, second]) = put_back(&server);
    for deployment in [&first, &second] {
        std::fs::write(deployment.0.path().join("url"), &older).unwrap();
    }
    let said = first.0.path().join("said");
    std::fs::remove_file(&said).unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| Node::run(first));
        let begun = Instant::now();
        while !std::fs::read_to_string(&said).unwrap_or_default().contains("waits for other nodes") {
            assert!(begun.elapsed() < Duration::from_secs(60) && !first.is_finished(), "it does not wait");
            std::thread::sleep(Duration::from_millis(20));
        }
        let second = Node::run(second);
        let first = first.join().unwrap();
        assert!(first.permits("read") && second.permits("read"));
        assert!(matches!(first.give("bob"), 200));
        assert!(!second.permits("read"));
    });
}

#[test]
fn what_nobody_can_bring_back_two_persons_give_up() {
    let Some(server) = Server::start() else { return };
    // The second is gone for good.
    let (older, [first, _]) = put_back(&server);
    std::fs::write(first.0.path().join("url"), &older).unwrap();
    let path = first.path();
    let give_up = |arguments: &[&str]| {
        let output = assent(&[&["audit", "give-up", path], arguments].concat());
        (output.status.success(), format!("{}{}", stdout(&output), stderr(&output)))
    };
    let asking = |after| ["--after", after, "--by", "ann", "--reason", "its disk is gone"];
    let (done, said) = give_up(&asking("2"));
    assert!(!done && said.contains("has version 1 of the state, and not 2"), "{said}");
    let (done, said) = give_up(&asking("1"));
    assert!(done, "{said}");
    let request = said.split_once("request ").unwrap().1.split(';').next().unwrap();
    for (request, by, expected) in [(request, "Ann", "somebody else"), ("0000", "bob", "no request `0000`")] {
        let (done, said) = give_up(&["--confirm", request, "--by", by]);
        assert!(!done && said.contains(expected), "{said}");
    }
    let (done, said) = give_up(&["--confirm", request, "--by", "bob"]);
    assert!(done && said.contains("after version 1; start the service"), "{said}");
    let (done, said) = give_up(&["--confirm", request, "--by", "eve"]);
    assert!(!done && said.contains("`bob` has confirmed this already"), "{said}");

    let node = Node::run(first);
    assert!(!node.permits("read"), "Bob has it again");
    assert_eq!(node.give("ann"), 200);
    assert!(node.permits("read"));
    let first = node.end();
    let found = assent(&["audit", "search", first.path(), "--action", "state.given-up", "--json"]);
    let found = stdout(&found);
    assert!(found.contains("\"version\":1") && found.contains("its disk is gone"), "{found}");
}
