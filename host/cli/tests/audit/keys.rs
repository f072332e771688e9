//! Keys as operators handle them: rotated beside the service, recovered when lost, kept in a token, and
//! every misuse refused.
#![expect(clippy::indexing_slicing, clippy::print_stderr, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::*;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// Far beyond any test; a test that gets there has failed.
const FOREVER: Duration = Duration::from_secs(60);

/// Whether these commands are here; they must be where tests count.
#[expect(clippy::disallowed_methods, reason = "where tests count, a missing tool is a failure")]
fn has(commands: &[&str], packages: &str) -> bool {
    let missing = commands.iter().find(|command| Command::new(command).arg("--help").output().is_err());
    let Some(missing) = missing else { return true };
    assert!(std::env::var("CI").is_err(), "`{missing}` is missing: apt-get install {packages}");
    eprintln!("skipped: `{missing}` is missing; apt-get install {packages}");
    false
}

/// Gives a deployment these lines in `[audit]`.
fn configure(deployment: &Deployment, audit: &str) {
    let text = format!("{ASSENT}[audit]\nname = \"pdp.example.org\"\n{audit}\n");
    std::fs::write(deployment.0.path().join("assent.toml"), text).unwrap();
}

fn secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// What happened to which key, as the log tells it.
fn recorded(deployment: &Deployment) -> Vec<(String, String, Option<String>)> {
    let found = well(&["search", deployment.path(), "--kind", "key", "--oldest-first", "--json"]);
    let events = found.lines().map(|line| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let event = &record["record"]["event"];
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        (text("change").unwrap(), text("key").unwrap(), text("wrapped_by"))
    });
    events.collect()
}

#[test]
fn a_sealing_key_is_replaced_beside_the_service_and_the_log_tells() {
    let (deployment, ann, _) = with_two_decisions();
    let path = deployment.path();
    let old = recorded(&deployment).remove(0);
    assert_eq!((&*old.0, &old.2), ("created", &None));
    configure(&deployment, "sealing_key = \"file:.assent/keys/new.key\"");
    assert!(refused(&audit(&["init", path])).contains("new.key does not exist, but the logs in"));
    let former = "sealing_key = \"file:.assent/keys/new.key\"\n\
                  former_sealing_keys = [\"file:.assent/keys/sealing.key\"]";
    configure(&deployment, former);
    assert!(refused(&audit(&["search", path])).contains("assent audit init"));
    assert!(well(&["init", path]).contains("sealing key: made "));

    let service = Running::start(&deployment);
    service.ask(ANN);
    let check = audit(&["rewrap", path, "--check"]);
    assert_eq!(check.status.code(), Some(1));
    let said = stdout(&check);
    assert!(said.contains("1 of 2 data keys opened with") && said.contains("a former key"), "{said}");
    let said = well(&["rewrap", path]);
    assert!(said.starts_with("clinic 2026: 1 data key wrapped anew, 1 already were\n"), "{said}");
    assert!(well(&["rewrap", path]).starts_with("clinic 2026: 0 data keys wrapped anew, 2 already were\n"));
    let said = well(&["rewrap", path, "--check"]);
    assert!(said.contains("nothing needs it") && said.contains("nothing needs a former key"), "{said}");

    // The service records it by itself.
    let deadline = Instant::now() + FOREVER;
    let rewrapped = loop {
        let changes = recorded(&deployment);
        if changes.len() > 2 {
            break changes;
        }
        assert!(Instant::now() < deadline, "{changes:?}");
    };
    let new = rewrapped[1].1.clone();
    assert_ne!(new, old.1);
    assert_eq!(rewrapped[1], ("created".into(), new.clone(), None));
    assert_eq!(rewrapped[2], ("rewrapped".into(), old.1, Some(new)));
    service.end("TERM");

    std::fs::remove_file(deployment.0.path().join(".assent/keys/sealing.key")).unwrap();
    assert!(refused(&audit(&["search", path])).contains("remove it from the list"));
    configure(&deployment, "sealing_key = \"file:.assent/keys/new.key\"");
    assert!(well(&["show", path, "--id", &ann]).contains("User::ann"));
    let service = Running::start(&deployment);
    service.ask(ANN);
    service.end("TERM");
    assert_eq!(recorded(&deployment).len(), 3, "the same key as before is no change");
    well(&["verify", path]);
}

#[test]
fn a_service_with_the_former_key_must_start_again_before_a_rewrap() {
    let deployment = logged();
    let service = Running::start(&deployment);
    configure(
        &deployment,
        "sealing_key = \"file:.assent/keys/new.key\"\nformer_sealing_keys = [\"file:.assent/keys/sealing.key\"]",
    );
    well(&["init", deployment.path()]);
    let said = refused(&audit(&["rewrap", deployment.path()]));
    assert!(said.contains("clinic 2026") && said.contains("start it again first"), "{said}");
    service.end("TERM");
    well(&["rewrap", deployment.path()]);
}

#[test]
fn a_log_whose_sealing_key_is_lost_is_recovered_and_goes_on() {
    if !has(&["age-keygen"], "age") {
        return;
    }
    let deployment = logged();
    let (path, root) = (deployment.path(), deployment.0.path());
    let made = Command::new("age-keygen").output().unwrap();
    let identity = String::from_utf8(made.stdout).unwrap();
    let public = identity.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let file = root.join("offline");
    secret(&file, &identity);
    let file = file.to_str().unwrap();
    let recipients = format!("recovery_recipients = [\"{public}\"]");
    configure(&deployment, &recipients);
    let service = Running::start(&deployment);
    let ann = service.ask(ANN).1;
    service.end("TERM");

    std::fs::remove_file(root.join(".assent/keys/sealing.key")).unwrap();
    let said = refused(&audit(&["init", path]));
    assert!(
        said.contains("restore it from a copy; if it is lost for good")
            && said.contains("--recovery-identity")
    );
    refused(&audit(&["rewrap", path, "--recovery-identity", file]));
    assert!(well(&["init", path, "--recovery-identity", file]).contains("sealing key: made "));
    assert!(refused(&assent(&["serve", path])).contains("give the key it was wrapped with"));
    let without = audit(&["rewrap", path]);
    assert!(without.status.code() == Some(1) && stdout(&without).contains("could NOT be opened"));
    let said = well(&["rewrap", path, "--recovery-identity", file]);
    assert!(said.starts_with("clinic 2026: 1 data key wrapped anew"), "{said}");

    assert!(well(&["show", path, "--id", &ann]).contains("User::ann"));
    well(&["rewrap", path, "--check"]);
    well(&["verify", path]);
    let service = Running::start(&deployment);
    service.ask(ANN);
    service.end("TERM");
    let changes = recorded(&deployment);
    assert_eq!(
        changes.iter().map(|change| &*change.0).collect::<Vec<_>>(),
        ["created", "created", "rewrapped"]
    );

    // Without us: the key of a segment, out of its file, with the tools of the trade.
    let key = std::fs::read_to_string(root.join(".assent/audit/clinic/2026/keys/0000000001.json")).unwrap();
    let key: serde_json::Value = serde_json::from_str(&key).unwrap();
    let script = "printf %s \"$1\" | base64 -d | age -d -i \"$2\" | wc -c";
    let age = key["recovery"]["age"].as_str().unwrap();
    let output = Command::new("sh").args(["-c", script, "sh", age, file]).output().unwrap();
    assert_eq!(stdout(&output).trim(), "32", "{}", stderr(&output));
}

#[test]
fn keys_that_are_named_wrongly_are_refused_with_their_line() {
    let deployment = logged();
    let path = deployment.path();
    for (lines, parts) in [
        ("sealing_key = \"hunter2secret\"", ["assent.toml:11:1: ", "expected `file:PATH`, `pkcs11:…`"]),
        (
            "sealing_key = \"pkcs11:token=t;object=o?pin-value=hunter2\"",
            ["assent.toml:11:1: ", "pin-source=file:PATH"],
        ),
        ("sealing_key = \"pkcs11:token=t\"", ["assent.toml:11:1: ", "`object` or `id` is missing"]),
        (
            "sealing_key = \"pkcs11:token=t;object=o?module-path=/nothing.so\"",
            ["audit.sealing_key", "cannot be loaded"],
        ),
        ("former_sealing_keys = [\"vault:x\"]", ["assent.toml:11:24: ", "is no place of a key"]),
        (
            "former_sealing_keys = [\"file:nothing\"]",
            ["audit.former_sealing_keys: `file:nothing`", "could not open"],
        ),
        (
            "former_sealing_keys = [\"file:.assent/keys/sealing.key\"]",
            ["is the sealing key itself", "remove it"],
        ),
        ("recovery_recipients = [\"ssh-ed25519 AAAA\"]", ["assent.toml:11:24: ", "is no recipient"]),
        (
            "recovery_recipients = [\"AGE-SECRET-KEY-1HUNTER2\"]",
            ["assent.toml:11:24: ", "consider it exposed"],
        ),
        (
            "recovery_recipients = [\"age1yubikey1qqqq\"]",
            ["assent.toml:11:24: ", "recipient of another kind"],
        ),
    ] {
        configure(&deployment, lines);
        let said = refused(&audit(&["search", path]));
        assert!(
            parts.iter().all(|part| said.contains(part)) && !said.to_lowercase().contains("hunter2"),
            "{lines}: {said}"
        );
    }
    configure(&deployment, "");
    assert!(refused(&audit(&["rewrap", path])).contains("there is no log in"));
    let (deployment, ..) = with_two_decisions();
    let path = deployment.path();
    let file = deployment.0.path().join("identity");
    for (text, mode, part) in [
        ("AGE-SECRET-KEY-1", 0o600, "there is no identity"),
        ("", 0o644, "chmod 400"),
        ("-----BEGIN AGE ENCRYPTED FILE-----", 0o600, "decrypted"),
    ] {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let said = refused(&audit(&["rewrap", path, "--recovery-identity", file.to_str().unwrap()]));
        assert!(said.contains("--recovery-identity") && said.contains(part), "{said}");
    }
    for (arguments, part) in [
        (["rewrap", path, "--organization", "clinik"], "there is no log of `clinik`"),
        (["rewrap", path, "--year", "2025"], "there is no log of 2025: it has 2026"),
    ] {
        assert!(refused(&audit(&arguments)).contains(part));
    }
}

/// A deployment beside a token in software.
struct WithToken {
    deployment: Deployment,
    configuration: PathBuf,
}

impl WithToken {
    fn new() -> Self {
        let deployment = Deployment::new(&[]);
        let root = deployment.0.path();
        let configuration = root.join("softhsm2.conf");
        std::fs::create_dir(root.join("tokens")).unwrap();
        let text = format!("directories.tokendir = {}/tokens\nlog.level = ERROR\n", root.display());
        std::fs::write(&configuration, text).unwrap();
        secret(&root.join("pin"), "4321\n");
        configure(
            &deployment,
            &format!(
                "sealing_key = \"pkcs11:token=assent;object=log;id=%01?module-path={MODULE}&pin-source=file:pin\""
            ),
        );
        let made = Self { deployment, configuration };
        let mut command = made.command("softhsm2-util");
        command.args([
            "--init-token",
            "--free",
            "--label",
            "assent",
            "--so-pin",
            "12345678",
            "--pin",
            "4321",
        ]);
        assert!(command.output().unwrap().status.success());
        made
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", &self.configuration);
        command
    }

    fn audit(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_assent"));
        command.args(["audit", arguments[0], self.deployment.path()]).args(&arguments[1..]).output().unwrap()
    }

    fn well(&self, arguments: &[&str]) -> String {
        let output = self.audit(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }
}

#[test]
fn a_sealing_key_in_a_token_is_made_used_and_missed() {
    if !has(&["softhsm2-util"], "softhsm2") {
        return;
    }
    let token = WithToken::new();
    let root = token.deployment.0.path();
    let said = token.well(&["init"]);
    for part in
        ["holds no AES key `log` with id 01", "pkcs11-tool --module", "--make-token-key", "signing key: made"]
    {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    assert!(refused(&token.audit(&["search"])).contains("tells how to make it"));
    let said = token.well(&["init", "--make-token-key"]);
    assert!(said.contains("sealing key: made token-aes256gcm:"), "{said}");
    assert!(token.well(&["init"]).contains("in its token already"));

    let service = Running::start_with(&token.deployment, DAY, &[("SOFTHSM2_CONF", &token.configuration)]);
    let ann = service.ask(ANN).1;
    service.end("TERM");
    assert!(token.well(&["show", "--id", &ann]).contains("User::ann"));
    assert!(token.well(&["search", "--kind", "key"]).contains("created"));
    assert!(token.well(&["rewrap", "--check"]).contains("1 of 1 data key opened with token-aes256gcm:"));

    secret(&root.join("pin"), "9999\n");
    let said = refused(&token.audit(&["search"]));
    assert!(said.contains("refuses the PIN in") && !said.contains("9999"), "{said}");
    secret(&root.join("pin"), "4321\n");
    std::fs::set_permissions(root.join("pin"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(&token.audit(&["search"])).contains("chmod 400"));
    secret(&root.join("pin"), "4321\n");
    std::fs::remove_dir_all(root.join("tokens")).unwrap();
    std::fs::create_dir(root.join("tokens")).unwrap();
    assert!(refused(&token.audit(&["search"])).contains("there is no token `assent`"));
}
