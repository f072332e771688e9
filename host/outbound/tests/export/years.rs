//! From one year's log to the next, and where an exporter begins.

use super::support::*;
use assent_model::OrganizationId;
use assent_outbound::export::{Format, Start};

const NEXT: &str = "2027-01-01T00:00:01Z";

#[test]
fn a_year_is_left_only_when_nobody_writes_to_it_any_more() {
    let world = World::new();
    world.record(5);
    let exporter = world.exporter("years", Format::JsonLines, "file:audit.log");
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    // A request of last year is still on its way while the new year's first record is made.
    let old = world.logs.log(&clinic(), at(DAY)).unwrap();
    let late = world.decisions(DAY, 1).remove(0);
    world.record_at(NEXT, &clinic(), 3);
    wait_for("the new year is known", || lag(&running) == 3);
    world.append(&old, late);
    drop(old);
    // The service does this every few seconds: a log that nobody holds any more is closed.
    world.logs.turn(at(NEXT)).unwrap();
    wait_until_delivered(&running);
    world.record_at(NEXT, &clinic(), 3);
    wait_until_delivered(&running);
    drop(running);
    let text = std::fs::read_to_string(world.path("audit.log")).unwrap();
    let seen: Vec<u64> = text.lines().map(number).collect();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert!(
        text.lines().nth(5).unwrap().contains("clinic/2026")
            && text.lines().nth(6).unwrap().contains("clinic/2027")
    );
    let standing = world.standing("years");
    assert_eq!((standing.next.unwrap().to_string(), standing.lag), ("2027-6".to_owned(), 0));

    // And it goes on from there after a start.
    world.record_at(NEXT, &clinic(), 1);
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    assert_eq!(std::fs::read_to_string(world.path("audit.log")).unwrap().lines().count(), 13);
}

#[test]
fn one_that_begins_now_sends_nothing_older_and_keeps_its_place_all_the_same() {
    let world = World::new();
    world.record(5);
    let mut exporter = world.exporter("now", Format::JsonLines, "file:audit.log");
    exporter.from = Start::Now;
    drop(world.start(&exporter));
    // Before its next start: it was here already, so this is not older.
    world.record(2);
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    let text = std::fs::read_to_string(world.path("audit.log")).unwrap();
    assert_eq!(text.lines().map(number).collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn each_organization_has_its_own_cursor_and_only_those_named_are_sent() {
    let other = OrganizationId::new("hospital").unwrap();
    let third = OrganizationId::new("third").unwrap();
    let world = World::of(&[clinic(), other.clone(), third.clone()]);
    world.record(2);
    world.record_at(DAY, &other, 2);
    world.record_at(DAY, &third, 2);
    let mut exporter = world.exporter("two", Format::JsonLines, "file:audit.log");
    exporter.organizations.push(other);
    let running = world.start(&exporter);
    wait_for("both are sent", || running.state().organizations.iter().all(|of| of.lag == Some(0)));
    drop(running);
    let text = std::fs::read_to_string(world.path("audit.log")).unwrap();
    let mut seen: Vec<u64> = text.lines().map(number).collect();
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3]);
}

#[test]
fn the_cursor_of_another_log_stops_the_start() {
    let world = World::new();
    world.record(1);
    let exporter = world.exporter("other", Format::JsonLines, "file:audit.log");
    drop(world.start(&exporter));
    std::fs::write(world.cursor("other"), "assent-cursor 1\nelsewhere/audit/clinic/2026\n3\nend\n").unwrap();
    let prepared = assent_outbound::export::prepare(exporter).unwrap();
    let error = prepared.start(&world.logs, pace(), |_| {}).unwrap_err();
    assert!(error.to_string().contains("belongs to log `elsewhere/audit/clinic/2026`"), "{error}");
}

#[test]
fn a_year_that_is_gone_and_was_not_let_go_is_waited_for() {
    let world = World::new();
    world.record(2);
    let exporter = world.exporter("gone", Format::JsonLines, "file:audit.log");
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    drop(running);
    world.record(3);
    world.record_at(NEXT, &clinic(), 3);
    // Closes the log of the year that is over, and remembers it.
    world.logs.turn(at(NEXT)).unwrap();
    let (year, aside) = (world.path("audit/clinic/2026"), world.path("aside"));
    std::fs::rename(&year, &aside).unwrap();
    let running = world.start(&exporter);
    wait_for("it says what is gone", || said("gone").iter().any(|line| line.contains("is gone, but")));
    let text = std::fs::read_to_string(world.path("audit.log")).unwrap();
    assert_eq!(text.lines().count(), 2);
    std::fs::rename(&aside, &year).unwrap();
    wait_until_delivered(&running);
    let text = std::fs::read_to_string(world.path("audit.log")).unwrap();
    assert_eq!(text.lines().map(number).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_year_that_was_let_go_before_it_was_sent_is_told_of() {
    let world = World::new();
    world.record(2);
    let exporter = world.exporter("let-go", Format::JsonLines, "file:audit.log");
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    drop(running);
    world.record(3);
    world.record_at(NEXT, &clinic(), 3);
    std::fs::remove_dir_all(world.path("audit/clinic/2026")).unwrap();
    std::fs::write(world.path("audit/clinic/2026.let-go"), "{}").unwrap();
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    let text = std::fs::read_to_string(world.path("audit.log")).unwrap();
    assert_eq!(text.lines().map(number).collect::<Vec<_>>(), [0, 1, 5, 6, 7]);
    assert!(said("let-go")[0].contains("the log of 2026 for `clinic` was let go"), "{:?}", said("let-go"));
}
