//! What a service says in numbers of its copies and witnesses, held against what the commands say.

use super::*;

/// Gives a deployment this after the table `[audit]`.
fn configure(deployment: &Deployment, tables: &str) {
    std::fs::write(deployment.0.path().join("assent.toml"), keeping_a_log(tables)).unwrap();
}

#[test]
fn metrics_tell_how_far_the_copies_are() {
    let folder = tempfile::tempdir().unwrap();
    let deployment = keeping::two_years("");
    let path = deployment.path();
    let records = |year: &str| {
        let all = well(&["export", path, "--format", "json-lines", "--year", year]);
        all.lines().count() as f64
    };
    configure(&deployment, &format!("[audit.copy]\nto = \"file://{}\"\n", folder.path().display()));
    // Nothing can be copied: where the folder of the copies should be, there is a file.
    std::fs::write(folder.path().join("clinic"), "in the way").unwrap();
    let service = Running::start(&deployment);
    wait_for("copying fails", || service.gauge("assent_copy_failing") == Some(1.0));
    // All of 2015; of 2026 what is known of it.
    assert!(service.gauge("assent_copy_waiting_segments").unwrap() >= 1.0);
    let behind = service.gauge("assent_copy_lag_records").unwrap();
    assert!((records("2015")..=records("2015") + records("2026")).contains(&behind), "{behind}");
    assert!(service.gauge("assent_copy_lag_seconds").is_some());
    service.end("TERM");

    std::fs::remove_file(folder.path().join("clinic")).unwrap();
    let service = Running::start(&deployment);
    wait_for("all that is finished is copied", || {
        service.gauge("assent_copy_failing") == Some(0.0)
            && service.gauge("assent_copy_waiting_segments") == Some(0.0)
    });
    // What is left is in the segment that is being written, behind what the copy vouches for.
    let checkpoint = std::fs::read_to_string(folder.path().join("clinic/2026/checkpoint")).unwrap();
    let copied: f64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    let behind = service.gauge("assent_copy_lag_records").unwrap();
    assert!(copied > 0.0 && behind <= records("2026") - copied, "{behind} behind {copied}");
    assert_eq!(service.gauge("assent_copy_lag_seconds"), Some(0.0));
    service.end("TERM");
}

#[test]
fn metrics_tell_how_witnesses_stand() {
    let witnessed = witness::witnessed();
    let (deployment, server) = (&witnessed.deployment, &witnessed.server);
    let table = |url: &str| format!("[[audit.witness]]\nurl = \"{url}\"\nkey = \"{}\"\n", server.key);
    let of = |name: &str| {
        format!("{name}{{organization=\"clinic\",year=\"2026\",witness=\"witness.example/w1\"}}")
    };
    let (lag, contradicted) = (of("assent_witness_lag_seconds"), of("assent_witness_contradicted"));
    configure(deployment, &table(&server.url()));
    let old = witness::copy(deployment);
    let began = Instant::now();
    let service = Running::start(deployment);
    wait_for("it was asked", || service.gauge(&lag).is_some());
    assert!(service.gauge(&lag).unwrap() <= began.elapsed().as_secs_f64());
    assert_eq!(service.gauge(&contradicted), Some(0.0));
    assert!(service.ask(ANN).0);
    service.end("TERM");

    // Put back, with all that remembers it but the witness.
    witness::put_back(deployment, &old, "/.assent/audit");
    let service = Running::start(deployment);
    wait_for("it knows another log", || service.gauge(&contradicted) == Some(1.0));
    assert!(!service.ask(ANN).0);
}
