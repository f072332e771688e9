//! INVARIANT (time goes on): nothing lives longer than it was granted, and nothing that ended counts again, wherever the
//! clock is put while the service runs.

use super::*;

#[test]
fn an_emergency_that_expired_stays_so_when_the_clock_is_put_back() {
    let clinics = Clinics::open();
    let read = emergency_read();
    let path = format!("emergencies/{}", good(&declared(&clinics), 201)["id"].as_str().unwrap());
    clinics.later(4 * HOUR_MS - 1);
    assert!(clinics.permits(HOSPITAL, &read));
    clinics.later(1);
    assert!(!clinics.permits(HOSPITAL, &read));
    clinics.put_back(2 * HOUR_MS);
    assert!(!clinics.permits(HOSPITAL, &read));
    let shown = good(&clinics.state("GET", HOSPITAL, &path, OFFICER, &Value::Null), 200);
    assert_eq!(shown["status"], "expired");
    // Another one is of the moment that counts, and lasts as long as any.
    let again = good(&declared(&clinics), 201);
    assert!(again["declaredAt"].as_str() >= shown["lastsUntil"].as_str(), "{again}");
    assert!(clinics.permits(HOSPITAL, &read));
    clinics.passes(4 * HOUR_MS - 1);
    assert!(clinics.permits(HOSPITAL, &read));
    clinics.passes(1);
    assert!(!clinics.permits(HOSPITAL, &read));
}

#[test]
fn an_approval_that_expired_stays_so_when_the_clock_is_put_back() {
    let clinics = Clinics::open();
    let path = approved(&clinics, "sha256:clock");
    let export = export("sha256:clock");
    clinics.later(168 * HOUR_MS);
    assert!(!clinics.permits(HOSPITAL, &export));
    clinics.put_back(HOUR_MS);
    assert!(!clinics.permits(HOSPITAL, &export));
    let shown = good(&clinics.state("GET", HOSPITAL, &path, OFFICER, &Value::Null), 200);
    assert_eq!(shown["status"], "expired");
}

#[test]
fn a_clock_that_is_put_back_makes_nothing_last_longer() {
    let clinics = Clinics::open();
    let read = emergency_read();
    good(&declared(&clinics), 201);
    // By the clock three hours less have passed than did.
    clinics.put_back(3 * HOUR_MS);
    clinics.passes(4 * HOUR_MS - 1);
    assert!(clinics.permits(HOSPITAL, &read));
    clinics.passes(1);
    assert!(!clinics.permits(HOSPITAL, &read));
}
