//! A receiver that hospitals have: rsyslog with GnuTLS. It closes without the `close_notify` that RFC 5425 asks
//! for, so this also tests that records count as delivered all the same, and are not sent for ever.

use std::process::{Child, Command, Stdio};

use assent_outbound::export::Format;

use super::support::*;
use super::syslog::Authority;

/// Ended when dropped.
struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

const DAEMON: &str = "/usr/sbin/rsyslogd";
const DRIVERS: &[&str] =
    &["/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so", "/usr/lib/aarch64-linux-gnu/rsyslog/lmnsd_gtls.so"];

fn is_installed() -> bool {
    let installed = std::path::Path::new(DAEMON).exists()
        && DRIVERS.iter().any(|driver| std::path::Path::new(driver).exists());
    let needed = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(installed || !needed, "rsyslog with GnuTLS is missing: `apt-get install rsyslog rsyslog-gnutls`");
    if !installed {
        println!("skipped: rsyslog with GnuTLS is missing; `apt-get install rsyslog rsyslog-gnutls`");
    }
    installed
}

fn start(world: &World) -> Rsyslog {
    let folder = world.folder.path().display();
    let config = format!(
        r#"global(workDirectory="{folder}" maxMessageSize="64k"
       defaultNetstreamDriverCAFile="{folder}/ca.pem"
       defaultNetstreamDriverCertFile="{folder}/server.pem" defaultNetstreamDriverKeyFile="{folder}/server.key")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="raw" type="string" string="%rawmsg%\n")
ruleset(name="out") {{ action(type="omfile" file="{folder}/received.log" template="raw") }}
input(type="imtcp" port="0" listenPortFileName="{folder}/port" ruleset="out")
"#
    );
    std::fs::write(world.path("rsyslog.conf"), config).unwrap();
    let mut command = Command::new(DAEMON);
    command.arg("-n").arg("-f").arg(world.path("rsyslog.conf")).arg("-i").arg(world.path("rsyslog.pid"));
    let daemon = Rsyslog(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait_for("rsyslog listens", || {
        std::fs::read_to_string(world.path("port")).is_ok_and(|port| !port.trim().is_empty())
    });
    daemon
}

#[test]
fn rsyslog_takes_every_record_over_tls_and_what_a_killed_one_took_half_is_sent_again() {
    if !is_installed() {
        return;
    }
    let (world, authority) = (World::new(), Authority::new());
    let (certificate, key) = authority.certify("localhost");
    write(&world.path("ca.pem"), &authority.pem());
    write(&world.path("server.pem"), &certificate);
    write(&world.path("server.key"), &key);
    let mut daemon = start(&world);
    let port = std::fs::read_to_string(world.path("port")).unwrap();
    let to = format!("syslog+tls://localhost:{}", port.trim());
    let mut exporter = world.exporter("rsyslog", Format::Syslog, &to);
    exporter.authorities = Some(world.path("ca.pem"));
    let running = world.start(&exporter);
    let received = || {
        let text = std::fs::read_to_string(world.path("received.log")).unwrap_or_default();
        // A line that is being written is not there yet.
        let end = text.rfind('\n').map_or(0, |end| end + 1);
        text[..end].lines().map(number).collect::<Vec<_>>()
    };
    world.record(300);
    wait_until_delivered(&running);
    wait_for("rsyslog has written them", || received().len() >= 300);
    assert_at_least_once_in_order(&received(), 300);
    assert_eq!(running.state().failures, 0, "{:?}", said("rsyslog"));

    // It dies; and comes back elsewhere, since a port that was chosen for it may be taken by then.
    daemon.0.kill().unwrap();
    daemon.0.wait().unwrap();
    world.record(50);
    wait_for("it is missed", || running.state().failing);
    drop(running);
    std::fs::remove_file(world.path("port")).unwrap();
    std::fs::remove_file(world.path("rsyslog.pid")).ok();
    let daemon = start(&world);
    let port = std::fs::read_to_string(world.path("port")).unwrap();
    let to = format!("syslog+tls://localhost:{}", port.trim());
    exporter.to = assent_outbound::export::Destination::parse(&to, world.folder.path()).unwrap();
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    wait_for("rsyslog has written them", || received().last() == Some(&349));
    assert_at_least_once_in_order(&received(), 350);
    drop(daemon);
}
