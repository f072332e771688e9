//! A file that an agent follows: rotated, cut short, and written by an exporter that is killed.

use super::support::*;
use assent_outbound::export::{Format, prepare};

fn numbers(path: &std::path::Path) -> Vec<u64> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(number).collect()
}

#[test]
fn every_record_is_a_line_of_the_file() {
    let world = World::new();
    for (id, format) in [
        ("lines", Format::JsonLines),
        ("lines-ocsf", Format::Ocsf),
        ("lines-fhir", Format::Fhir),
        ("lines-syslog", Format::Syslog),
    ] {
        let running = world.start(&world.exporter(id, format, &format!("file:{id}")));
        world.record(20);
        wait_until_delivered(&running);
        drop(running);
        let text = std::fs::read_to_string(world.path(id)).unwrap();
        let seen: Vec<u64> = text.lines().map(number).collect();
        assert_eq!(seen, (0..seen.len() as u64).collect::<Vec<_>>());
        assert!(
            text.ends_with('\n')
                && text.lines().all(|line| format == Format::Syslog || line.starts_with('{'))
        );
    }
    assert_eq!(numbers(&world.path("lines-syslog")).len(), 80);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(world.path("lines")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew_and_loses_nothing() {
    let world = World::new();
    let running = world.start(&world.exporter("rotated", Format::JsonLines, "file:audit.log"));
    let mut all = vec![];
    for turn in 0..5 {
        world.record(10);
        wait_until_delivered(&running);
        let moved = world.path(&format!("audit.log.{turn}"));
        std::fs::rename(world.path("audit.log"), &moved).unwrap();
        if turn % 2 == 0 {
            // As a rotation that makes the new file itself.
            std::fs::write(world.path("audit.log"), "").unwrap();
        }
        // One that was removed and not moved is another file as well.
        all.extend(numbers(&moved));
    }
    assert_eq!(all, (0..50).collect::<Vec<_>>());
}

#[test]
fn what_was_written_before_a_kill_is_written_again_and_a_cut_line_is_ended() {
    let world = World::new();
    let exporter = world.exporter("killed", Format::JsonLines, "file:audit.log");
    world.record(10);
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    drop(running);
    let before = std::fs::read(world.cursor("killed")).unwrap();
    world.record(10);
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    drop(running);
    // Killed after the lines and before the cursor, and the disk has a part of the last line only.
    std::fs::write(world.cursor("killed"), before).unwrap();
    let text = std::fs::read_to_string(world.path("audit.log")).unwrap();
    std::fs::write(world.path("audit.log"), &text[..text.len() - 100]).unwrap();

    let running = world.start(&exporter);
    wait_until_delivered(&running);
    let text = std::fs::read_to_string(world.path("audit.log")).unwrap();
    let whole: Vec<u64> = text
        .lines()
        .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
        .map(number)
        .collect();
    assert_eq!(whole, (0..19).chain(10..20).collect::<Vec<_>>());
    assert_eq!(text.lines().count(), 30);
}

#[test]
fn a_file_that_cannot_be_written_is_waited_for() {
    let world = World::new();
    std::fs::create_dir(world.path("out")).unwrap();
    let running = world.start(&world.exporter("gone", Format::Ocsf, "file:out/audit.log"));
    // A folder has the name: nothing can be appended to it.
    std::fs::create_dir(world.path("out/audit.log")).unwrap();
    world.record(3);
    wait_for("it fails and says so", || running.state().failing && !said("gone").is_empty());
    assert_eq!((lag(&running), running.state().organizations[0].oldest), (3, Some(at(DAY))));
    std::fs::remove_dir(world.path("out/audit.log")).unwrap();
    wait_until_delivered(&running);
    wait_for("it says that it works", || said("gone").last().unwrap().ends_with("it works again"));
    assert_eq!(numbers(&world.path("out/audit.log")), [0, 1, 2]);
    assert!(!running.state().failing);
}

#[test]
fn what_is_no_file_is_refused_before_anything_starts() {
    let world = World::new();
    std::fs::create_dir(world.path("folder")).unwrap();
    for (to, reason) in [("file:folder", "not an ordinary file"), ("file:none/audit.log", "does not exist")] {
        let error = prepare(world.exporter("refused", Format::Ocsf, to)).err().unwrap();
        assert!(error.to_string().contains(reason), "{error}");
    }
}
