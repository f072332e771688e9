//! Where an organization's questions are judged: on the thread that serves the request, or apart.
//!
//! INVARIANT (nobody waits for another organization's plugins): the runtime's threads serve all
//! organizations, so what may run for long does not run there. It runs on a few threads that are
//! the organization's own, and waits for one of them without holding anything that others need.
//! Moving a question there and back costs some 10 µs, a tenth of a decision; so those that are
//! surely short stay where they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use assent_engine::{Caller, Decision, Judged, Question, Release, judge};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

/// Threads on which one organization's questions are judged at once. Four, so that one slow rule
/// does not stop an organization's other questions; and not more, because the operating system
/// shares the processors between these threads and those that serve everybody.
const THREADS_APART: usize = 4;
/// Fuel counts instructions, of which some are slow: a rule can take fifty times as long as its
/// limits lead to expect, until its deadline. So the time is looked at as well. Twice what the
/// limits allow on a serving thread, because a machine under load is no reason yet.
const TOOK_LONG: Duration = Duration::from_millis(50);
/// For how many questions an organization is judged apart once one took long: at its next slow one
/// it starts anew, so a slow rule is met on a serving thread once in so many times.
const QUESTIONS_APART: u32 = 10_000;

const BUSY: &str = "all threads for the organization's long decisions were taken";

/// One organization's threads, shared by all its requests and releases.
#[derive(Debug)]
pub(crate) struct Lane {
    threads: Arc<Semaphore>,
    questions_apart: AtomicU32,
}

impl Default for Lane {
    fn default() -> Self {
        Self { threads: Arc::new(Semaphore::new(THREADS_APART)), questions_apart: AtomicU32::new(0) }
    }
}

impl Lane {
    /// Judges a question, and gives it back with the decision. Waits at most `patience` for a
    /// thread where one of the organization's own is needed; then the decision is a denial that
    /// says `busy`.
    pub(super) async fn judge(
        &self,
        release: &Arc<Release>,
        caller: &Arc<Caller>,
        question: Question,
        patience: Duration,
    ) -> (Question, Judged) {
        if !self.is_apart(release) {
            let begun = Instant::now();
            let judged = judge(release, caller, &question);
            self.note(begun.elapsed());
            return (question, judged);
        }
        let Ok(Ok(thread)) = timeout(patience, Arc::clone(&self.threads).acquire_owned()).await else {
            return (question, Decision::busy(BUSY).into());
        };
        let question = Arc::new(question);
        let (release, caller, asked) = (Arc::clone(release), Arc::clone(caller), Arc::clone(&question));
        let judging = spawn_blocking(move || {
            let begun = Instant::now();
            let judged = judge(&release, &caller, &asked);
            drop(thread);
            (judged, begun.elapsed())
        });
        let judged = match judging.await {
            Ok((judged, took)) => {
                self.note(took);
                judged
            }
            // `judge` does not panic; a runtime that is being torn down starts no thread.
            Err(_ended) => Decision::internal_failure("the thread that judged ended early").into(),
        };
        (Arc::unwrap_or_clone(question), judged)
    }

    fn is_apart(&self, release: &Release) -> bool {
        release.may_run_long() || self.questions_apart.load(Ordering::Relaxed) > 0
    }

    /// Takes note of how long a question took.
    fn note(&self, took: Duration) {
        if took > TOOK_LONG {
            self.questions_apart.store(QUESTIONS_APART, Ordering::Relaxed);
        } else {
            // Two at once may count as one, or a slow one be missed once, which does not matter.
            let left = self.questions_apart.load(Ordering::Relaxed);
            if left > 0 {
                self.questions_apart.store(left - 1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
impl Lane {
    pub(super) fn threads_left(&self) -> usize {
        self.threads.available_permits()
    }

    /// How many hold threads, or wait for one.
    pub(super) fn at_threads(&self) -> usize {
        Arc::strong_count(&self.threads) - 1
    }

    pub(super) async fn take_all_threads(&self) -> tokio::sync::OwnedSemaphorePermit {
        Arc::clone(&self.threads).acquire_many_owned(THREADS_APART as u32).await.unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_moves_the_next_questions_apart_until_they_have_been_short_for_a_while() {
        let lane = Lane::default();
        let apart = || lane.questions_apart.load(Ordering::Relaxed);
        lane.note(TOOK_LONG);
        assert_eq!(apart(), 0);
        lane.note(TOOK_LONG + Duration::from_micros(1));
        for left in (0..QUESTIONS_APART).rev() {
            assert!(apart() > 0);
            lane.note(Duration::ZERO);
            assert_eq!(apart(), left);
        }
        lane.note(Duration::ZERO);
        assert_eq!(apart(), 0);
    }
}
