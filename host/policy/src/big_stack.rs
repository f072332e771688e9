//! Runs work whose recursion depends on somebody's text on a stack that cannot run out.
//!
//! INVARIANT (no text ends the process): Cedar's parser, validator and evaluator recurse over what
//! they are given. Parsing overflows the stack, validation then says "passed" without having looked,
//! and evaluation skips the policy. So all three run here, with limits on the text that the stack
//! is more than large enough for, and a panic becomes a value.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Stack of the threads that parse and validate. Only touched pages use memory.
const LOAD_STACK_BYTES: usize = 256 << 20;

/// Stack that an evaluation has at least. A level of a policy takes about 4.5 kB, so that the 200
/// levels that are loaded at most take 0.9 MB; the rest is for builds without optimisation.
/// Threads that decide should have 8 MiB, so that the stack need not be switched.
const EVALUATE_STACK_BYTES: usize = 4 << 20;
/// Stack that is switched to where less is left.
const EVALUATE_FRESH_STACK_BYTES: usize = 16 << 20;

/// Runs `work` on a thread with a big stack; `None` where it panicked or no thread could start.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("policy-load".to_owned())
            .stack_size(LOAD_STACK_BYTES)
            .spawn_scoped(scope, || catch_unwind(AssertUnwindSafe(work)));
        thread.ok()?.join().ok()?.ok()
    })
}

/// Threads that share the work of a load; more would wait for one another.
const LOAD_THREADS_MAX: usize = 8;

/// Applies `work` to each item on as many big-stack threads as there are processors; the results
/// are in the order of the items, `None` for an item whose work panicked.
pub(crate) fn map<I: Sync, T: Send>(items: &[I], work: impl Fn(&I) -> T + Sync) -> Vec<Option<T>> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = processors.min(LOAD_THREADS_MAX).min(items.len());
    if threads == 0 {
        return Vec::new();
    }
    let one = |item: &I| catch_unwind(AssertUnwindSafe(|| work(item))).ok();
    let chunks: Vec<&[I]> = items.chunks(items.len().div_ceil(threads)).collect();
    std::thread::scope(|scope| {
        let handles: Vec<_> = chunks
            .iter()
            .map(|chunk| {
                std::thread::Builder::new()
                    .name("policy-load".to_owned())
                    .stack_size(LOAD_STACK_BYTES)
                    .spawn_scoped(scope, || chunk.iter().map(one).collect::<Vec<_>>())
            })
            .collect();
        handles
            .into_iter()
            .zip(&chunks)
            .flat_map(|(handle, chunk)| {
                let done = handle.ok().and_then(|handle| handle.join().ok());
                done.unwrap_or_else(|| chunk.iter().map(|_| None).collect())
            })
            .collect()
    })
}

/// Runs an evaluation with enough stack, switching stacks only where too little is left.
pub(crate) fn evaluate<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(EVALUATE_STACK_BYTES, EVALUATE_FRESH_STACK_BYTES, work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_value_and_order_is_kept() {
        assert_eq!(run(|| 1), Some(1));
        assert_eq!(run(|| -> u8 { panic!("expected by this test") }), None);
        let doubled =
            map(&[1, 2, 3, 4, 5], |n| if *n == 3 { panic!("expected by this test") } else { n * 2 });
        assert_eq!(doubled, [Some(2), Some(4), None, Some(8), Some(10)]);
        assert_eq!(map(&[], |n: &u8| *n), []);
    }
}
