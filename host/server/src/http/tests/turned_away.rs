//! Callers that are turned away, on a real log: one record of the first of a kind, one of all that follow.

use assent_audit::record::{CallerRefused, Event};

use super::audit::Audited;
use super::*;

const WRONG: (&str, &str) = ("authorization", "Bearer wrong-key");

fn refusals(audited: &Audited) -> Vec<CallerRefused> {
    let events = audited.written().into_iter().map(|record| record.event);
    events
        .filter_map(|event| if let Event::CallerRefused(refused) = event { Some(refused) } else { None })
        .collect()
}

/// All refusals so far; a new window begins.
async fn end_window(audited: &Audited) {
    audited.world.service.turned_away.as_ref().unwrap().end_window(Fixed.now()).await;
}

#[tokio::test]
async fn whoever_is_turned_away_is_a_record_with_the_reason_as_a_code() {
    let audited = Audited::new();
    let portal = ("authorization", PORTAL_KEY);
    for (method, path, headers, reason, caller) in [
        ("POST", SINGLE, &[WRONG][..], "unknown-credential", None),
        ("POST", SINGLE, &[("authorization", "")], "no-credential", None),
        ("GET", "/bay/audit/v1/records", &[portal], "no-right", Some("portal")),
        ("POST", "/bay/access/v1/evaluation?explain=full", &[portal], "no-right-to-explain", Some("portal")),
        ("GET", "/metrics", &[portal], "no-right-to-metrics", Some("portal")),
    ] {
        let reply = audited.world.send(request(method, path, headers, "{}")).await;
        assert!(matches!(reply.status, 401 | 403), "{reason}: {}", reply.status);
        end_window(&audited).await;
        let refused = refusals(&audited).pop().unwrap();
        assert_eq!((refused.reason.as_str(), refused.caller.as_deref()), (reason, caller));
        assert_eq!((refused.address.as_deref(), refused.times), (Some("192.0.2.1"), 1));
        assert_eq!(refused.organization, Some(organization("bay")));
    }
}

#[tokio::test]
async fn a_flood_of_one_kind_is_two_records_that_say_how_many() {
    let audited = Audited::new();
    for _ in 0..100 {
        audited.world.send(request("POST", SINGLE, &[WRONG], "{}")).await;
    }
    end_window(&audited).await;
    let times: Vec<u64> = refusals(&audited).iter().map(|refused| refused.times).collect();
    assert_eq!(times, [1, 99]);
    assert!(refusals(&audited)[1].since.is_some());
    // The next window begins anew, and one without refusals writes nothing.
    audited.world.send(request("POST", SINGLE, &[WRONG], "{}")).await;
    end_window(&audited).await;
    end_window(&audited).await;
    assert_eq!(refusals(&audited).len(), 3);
}

#[tokio::test]
async fn who_stops_the_service_waits_for_a_window_that_is_ending_already() {
    let audited = Audited::new();
    for _ in 0..3 {
        audited.world.send(request("POST", SINGLE, &[WRONG], "{}")).await;
    }
    // Begun and not driven on, as by a task that has to wait: what it took from the book is still to be written.
    let mut ending = std::pin::pin!(end_window(&audited));
    assert!(look(ending.as_mut()).await.is_pending());
    let mut last = std::pin::pin!(end_window(&audited));
    assert!(look(last.as_mut()).await.is_pending());
    ending.await;
    last.await;
    assert_eq!(refusals(&audited).iter().map(|refused| refused.times).collect::<Vec<_>>(), [1, 2]);
}

/// One look at a future.
async fn look<F: Future>(mut future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx))).await
}

#[tokio::test]
async fn who_asks_about_nobody_here_is_on_the_logs_of_its_own_organizations() {
    let audited = Audited::new();
    let nowhere = "/no-such-clinic/access/v1/evaluation";
    audited.world.send(request("POST", nowhere, &[("authorization", PORTAL_KEY)], "{}")).await;
    // A stranger asks about nobody: no organization is concerned.
    audited.world.send(request("POST", nowhere, &[WRONG], "{}")).await;
    end_window(&audited).await;
    let refused = refusals(&audited);
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].reason.as_str(), refused[0].caller.as_deref()), ("no-right", Some("portal")));
}

#[tokio::test]
async fn what_is_no_fault_of_the_caller_is_not_such_a_record() {
    let audited = Audited::new();
    let portal = ("authorization", PORTAL_KEY);
    for (method, path, body) in [("GET", SINGLE, ""), ("POST", SINGLE, "{"), ("POST", "/nothing", "{}")] {
        audited.world.send(request(method, path, &[portal], body)).await;
    }
    end_window(&audited).await;
    assert!(refusals(&audited).is_empty());
}
