//! Nothing of the state that was acknowledged is lost, and nothing counts that was taken back, wherever the service is
//! killed: a real process under load from several clients, killed at random and started again, also while it starts,
//! without its database, and on an older copy of it.
//!
//! `cargo test` runs a few cycles, from a seed that is printed; `ASSENT_CRASH_CYCLES=200` runs more, and
//! `ASSENT_CRASH_SEED=7` others. Power cuts are for the crash tests of the log: what is lost with the database is made
//! again from the log, which is what these prove.

mod check;
mod service;
mod site;
mod steps;
mod uses;
mod work;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use super::*;

use check::{Model, all_there, resolve};
use service::Service;
use site::Site;
use work::Worker;

/// Clients that work at once.
const WORKERS: usize = 4;
/// Cycles where nothing else is said: each kind of cycle twice.
const CYCLES: u64 = 8;

/// What happens between the kill and the start that is looked at.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// Nothing.
    Start,
    /// A start that is killed too.
    KillInStart,
    /// The database is gone.
    Forget,
    /// The database is an older copy of itself.
    PutBack,
}

const KINDS: [Then; 4] = [Then::Start, Then::Forget, Then::KillInStart, Then::PutBack];

/// A number that the environment may set.
fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var_os(name);
    value.map_or(default, |value| value.to_str().and_then(|text| text.parse().ok()).unwrap())
}

/// The cycles and the seed of a test, which it prints.
#[expect(clippy::print_stdout, reason = "what failed is done again from its seed")]
fn cycles(cycles: u64) -> (u64, Random) {
    let (cycles, seed) = (setting("ASSENT_CRASH_CYCLES", cycles), setting("ASSENT_CRASH_SEED", 1));
    println!("{cycles} cycles from seed {seed}");
    (cycles, Random(seed))
}

/// Pseudo-random numbers that a seed repeats (splitmix64).
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(list.len()).unwrap();
        (count > 0).then(|| &list[usize::try_from(self.below(count)).unwrap()])
    }
}

/// Kills the service at a random moment after so much was done, or once nobody works any more.
fn kill_after(
    (service, random): (&mut Service, &mut Random),
    (done, wanted): (&AtomicU64, u64),
    workers: &[ScopedJoinHandle<'_, impl Sized>],
) {
    let end = Instant::now() + Duration::from_secs(60);
    let is_worked = || Instant::now() < end && workers.iter().any(|worker| !worker.is_finished());
    while done.load(Ordering::Relaxed) < wanted && is_worked() {
        std::thread::yield_now();
    }
    // The point of the kill is the subject: anywhere in a change, which takes some milliseconds.
    std::thread::sleep(Duration::from_micros(random.below(15_000)));
    service.kill();
}

#[test]
fn what_was_acknowledged_survives_the_kill_and_what_was_not_is_there_whole_or_not_at_all() {
    let (cycles, mut random) = cycles(CYCLES);
    let site = Site::new();
    let mut model = Model::default();
    let mut workers: Vec<Worker> =
        (0..WORKERS).map(|number| Worker::new(number, Random(random.below(u64::MAX)))).collect();
    let mut service = Service::start(&site);
    let (mut in_flight, mut there, mut refused) = (0, 0, 0);
    for cycle in 0..cycles {
        let then = KINDS[usize::try_from(cycle).unwrap() % KINDS.len()];
        let copy = site.copy_of_database(&mut service);
        let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let wanted = random.below(120);
        let address = service.address.clone();
        std::thread::scope(|scope| {
            let (address, over, done) = (&address, &over, &done);
            let working: Vec<_> = workers
                .iter_mut()
                .map(|worker| scope.spawn(move || worker.work(address, (over, done))))
                .collect();
            kill_after((&mut service, &mut random), (done, wanted), &working);
            over.store(true, Ordering::Relaxed);
        });
        match then {
            Then::Start => {}
            Then::KillInStart => {
                let mut starting = Service::spawn(&site);
                std::thread::sleep(Duration::from_micros(random.below(starting.usual_start_us(&service))));
                starting.kill();
            }
            Then::Forget => site.forget_database(),
            Then::PutBack => site.put_back(&copy),
        }
        service = Service::start(&site);
        let context = format!("cycle {cycle}: {then:?}");
        println!("{context}, after {} changes", done.load(Ordering::Relaxed));
        let found = all_there(&service, &mut model, &mut workers, &context);
        in_flight += found.in_flight;
        there += found.there;
        resolve(&service, &mut model, &mut workers, &context);
        refused = workers.iter().map(|worker| worker.refused).sum();
    }
    println!(
        "{} changes acknowledged, {refused} refused as they should be; {cycles} kills; {in_flight} requests without an \
         answer, of which {there} were done",
        model.acknowledged()
    );
    assert!(model.acknowledged() > cycles && refused > 0, "nothing was tested");
    let kinds: BTreeSet<&str> = workers.iter().flat_map(|worker| worker.taken.iter().copied()).collect();
    println!("steps: {kinds:?}");
}
