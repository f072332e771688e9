//! INVARIANT (recorded, then seen) under load: once it is acknowledged that something was taken back, no decision permits
//! on it that was asked for afterwards, whoever asks, while others go on asking and changing.
//!
//! Each kind of grant has one who gives and takes it back, and several who ask all the while.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::*;

/// How often each grant is given and taken back where nothing is said; `ASSENT_LOAD_ROUNDS=100` says more.
const ROUNDS: u64 = 4;
/// Who ask for each grant all the while.
const ASKERS: usize = 2;
/// Answers that were asked for after it was taken back, of each round, before it is given again.
const DENIALS: u64 = 3;

/// What is given and taken back.
struct Grant<'a> {
    name: &'static str,
    organization: &'static str,
    question: Value,
    give: Box<dyn Fn(u64) -> String + Sync + 'a>,
    /// Takes back what has this name.
    take: Box<dyn Fn(&str) + Sync + 'a>,
}

/// What askers know of a grant.
#[derive(Default)]
struct Standing {
    /// Odd while it is taken back; even from before it is given until after it is taken back.
    turns: AtomicU64,
    /// Answers that were asked for, and came, while it was taken back.
    denials: AtomicU64,
    permits: AtomicU64,
}

impl Standing {
    fn ask(&self, clinics: &Clinics, grant: &Grant<'_>) {
        let before = self.turns.load(Ordering::SeqCst);
        let permits = clinics.permits(grant.organization, &grant.question);
        let after = self.turns.load(Ordering::SeqCst);
        self.permits.fetch_add(u64::from(permits), Ordering::Relaxed);
        if before == after && before % 2 == 1 {
            assert!(!permits, "{}: permitted after it was taken back", grant.name);
            self.denials.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Says that it is over where something failed, so that nobody goes on.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.fetch_or(std::thread::panicking(), Ordering::Relaxed);
    }
}

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

/// A hold: taking it back is what places it.
fn of_hold(clinics: &Clinics) -> Grant<'_> {
    let step = |id: &str, step: &str, person: &str, body: Value| {
        good(&clinics.state("POST", HOSPITAL, &format!("holds/{id}/{step}"), person, &body), 200);
    };
    let held = Arc::new(Mutex::new(None));
    let placed = Arc::clone(&held);
    let resource = json!({ "type": "observation", "id": "emma-potassium" });
    Grant {
        name: "hold",
        organization: HOSPITAL,
        question: asked_by(("practitioner", "dr-garcia"), "read", resource, "TREAT"),
        give: Box::new(move |_| {
            let id: Option<String> = held.lock().unwrap().take();
            if let Some(id) = id {
                step(&id, "propose-release", OFFICER, json!({ "comment": "keys were changed" }));
                step(&id, "confirm-release", PHYSICIAN, json!({}));
            }
            String::new()
        }),
        take: Box::new(move |_| {
            let target = json!({ "entity": { "type": "Practitioner", "id": "dr-garcia" } });
            let body = json!({ "target": target, "reason": "credentials found in a paste" });
            let made = good(&clinics.state("POST", HOSPITAL, "holds", OFFICER, &body), 201);
            *placed.lock().unwrap() = Some(id(&made));
        }),
    }
}

fn of_emergency(clinics: &Clinics) -> Grant<'_> {
    const DOCTOR: &str = "Practitioner/dr-okafor";
    Grant {
        name: "emergency",
        organization: HOSPITAL,
        question: emergency_read(),
        give: Box::new(move |_| id(&good(&declared(clinics), 201))),
        take: Box::new(move |id| {
            let path = format!("emergencies/{id}/end");
            good(&clinics.state("POST", HOSPITAL, &path, DOCTOR, &json!({})), 200);
        }),
    }
}

fn of_consent(clinics: &Clinics) -> Grant<'_> {
    const BY: &str = "Practitioner/po-adams";
    Grant {
        name: "consent",
        organization: CLINIC,
        question: search(),
        give: Box::new(move |round| {
            let id = format!("leo-{round}");
            good(&clinics.state("PUT", CLINIC, &format!("consents/{id}"), BY, &consent(&id)), 201);
            id
        }),
        take: Box::new(move |id| {
            let body = json!({ "reason": "the family asked for it" });
            good(&clinics.state("POST", CLINIC, &format!("consents/{id}/revoke"), BY, &body), 200);
        }),
    }
}

fn of_approval(clinics: &Clinics) -> Grant<'_> {
    Grant {
        name: "approval",
        organization: HOSPITAL,
        question: export("sha256:under-load"),
        give: Box::new(move |_| approved(clinics, "sha256:under-load")),
        take: Box::new(move |path| {
            let body = json!({ "comment": "the registry closed" });
            good(&clinics.state("POST", HOSPITAL, &format!("{path}/revoke"), OFFICER, &body), 200);
        }),
    }
}

/// Gives and takes back, round by round.
fn toggle(clinics: &Clinics, grant: &Grant<'_>, standing: &Standing, (rounds, over): (u64, &AtomicBool)) {
    let permits = || clinics.permits(grant.organization, &grant.question);
    for round in 0..rounds {
        let given = (grant.give)(round);
        assert!(permits(), "{}: round {round}: not permitted once it is given", grant.name);
        (grant.take)(&given);
        standing.turns.fetch_add(1, Ordering::SeqCst);
        assert!(!permits(), "{}: round {round}: permitted after it was taken back", grant.name);
        let (wanted, end) = ((round + 1) * DENIALS, Instant::now() + Duration::from_secs(60));
        while standing.denials.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < end && !over.load(Ordering::Relaxed), "{}: nobody asks", grant.name);
            std::thread::yield_now();
        }
        standing.turns.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn what_is_taken_back_permits_nothing_from_its_acknowledgement_on_under_load() {
    let rounds = std::env::var_os("ASSENT_LOAD_ROUNDS");
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.to_str().and_then(|text| text.parse().ok()).unwrap());
    // Consents decide, and those who ask do not use an approval up before it is taken back.
    let clinics = Clinics::open_with(&[
        ("no_consent = \"permit\"", "no_consent = \"deny\""),
        ("lasts_hours = 168", "lasts_hours = 168\nuses = 1000"),
    ]);
    let grants = [of_hold(&clinics), of_emergency(&clinics), of_consent(&clinics), of_approval(&clinics)];
    let standings = [(); 4].map(|()| Standing::default());
    let (over, left) = (AtomicBool::new(false), AtomicU64::new(4));
    std::thread::scope(|scope| {
        for (grant, standing) in grants.iter().zip(&standings) {
            let (clinics, over, left) = (&clinics, &over, &left);
            scope.spawn(move || {
                let _failed = Over(over);
                toggle(clinics, grant, standing, (rounds, over));
                // The others still need those who ask.
                if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    over.store(true, Ordering::Relaxed);
                }
            });
            for _ in 0..ASKERS {
                scope.spawn(move || {
                    let _failed = Over(over);
                    while !over.load(Ordering::Relaxed) {
                        standing.ask(clinics, grant);
                    }
                });
            }
        }
    });
    for (grant, standing) in grants.iter().zip(&standings) {
        let count = |counted: &AtomicU64| counted.load(Ordering::Relaxed);
        let (permits, denials) = (count(&standing.permits), count(&standing.denials));
        println!("{}: taken back {rounds} times, {permits} permits, {denials} denials after", grant.name);
    }
}
