//! The wasmtime engine: which features guests may use, how instances are pooled, how time passes.
//!
//! INVARIANT (a decision replays): everything that could make two runs differ is off or fixed
//! here (threads, relaxed SIMD, NaN payloads, clocks), and fuel, which counts instructions, ends a
//! runaway rule long before the wall clock does.

use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use assent_model::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::error::HostError;
use crate::limits::{
    INSTANCE_CEILING, MEMORIES_MAX, MEMORY_CEILING_BYTES, STACK_MAX_BYTES, TABLE_CEILING_ELEMENTS, TABLES_MAX,
};

/// How often deadlines are looked at. The clock is a backstop, so coarse is good enough, and an
/// idle host wakes two hundred times a second and not a thousand.
const TICK_MS: u64 = 5;
/// Memory of a slot that is wiped in place and kept: four pages, the whole memory of a Rust plugin
/// with its tables. What is above is returned to the system, at the price of page faults. Where the
/// kernel can tell dirty pages (Linux 6.7 on) only those are wiped; elsewhere all of it, some 5 µs.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;
const TABLE_KEEP_RESIDENT_BYTES: usize = 16 << 10;
/// Bookkeeping of one instance; a component with thousands of functions needs about a tenth.
const INSTANCE_MAX_BYTES: usize = 256 << 10;
/// Frames of a trap's backtrace: enough to find the line, cheap enough for a hot failure.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// An engine with this many instance slots, each of them large enough for any component that is
/// admitted. A slot reserves about 4 GiB of address space (not of memory) for each memory that a
/// component may have. Its clock ticks for as long as the engine exists.
pub(crate) fn engine(slots: u32) -> Result<Engine, HostError> {
    let engine = Engine::new(&config(slots)).map_err(|source| HostError::Engine(format!("{source:#}")))?;
    let weak = engine.weak();
    thread::Builder::new()
        .name("plugin-clock".to_owned())
        .spawn(move || {
            // The clock holds no engine while it sleeps, and so ends with it.
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(Duration::from_millis(TICK_MS));
            }
        })
        .map_err(|source| HostError::Engine(format!("cannot start the clock: {source}")))?;
    Ok(engine)
}

/// How many ticks a deadline is: rounded up, and one more because the first tick may be near.
pub(crate) const fn ticks(deadline_ms: u64) -> u64 {
    deadline_ms.div_ceil(TICK_MS) + 1
}

/// Names this exact engine: wasmtime's full version, its settings and the machine's features.
/// Compiled code is good for this engine only.
pub(crate) fn key(engine: &Engine) -> Digest {
    let mut hasher = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    Digest::from_bytes(hasher.0.finalize().into())
}

/// SHA-256 as a `Hasher`: the standard one may change its function with the compiler.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the key is the whole digest, not these first eight bytes.
    fn finish(&self) -> u64 {
        self.0.clone().finalize().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

fn config(slots: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    // INVARIANT: the pool runs out of slots before it runs out of any of their parts. One component
    // could otherwise take the memories of four calls, and fail half made.
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(INSTANCE_CEILING))
        .total_memories(slots.saturating_mul(MEMORIES_MAX))
        .total_tables(slots.saturating_mul(TABLES_MAX))
        .max_core_instances_per_component(INSTANCE_CEILING)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_tables_per_module(2)
        .max_component_instance_size(INSTANCE_MAX_BYTES)
        .max_core_instance_size(INSTANCE_MAX_BYTES)
        .table_elements(usize::try_from(TABLE_CEILING_ELEMENTS).unwrap_or(usize::MAX))
        .max_memory_size(usize::try_from(MEMORY_CEILING_BYTES).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto)
        // A memory remembers the last component in it; with fewer warm ones hot plugins would
        // evict one another. As many as there are slots, since most components have one memory.
        .max_unused_warm_slots(slots);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .wasm_component_model(true)
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .wasm_component_model_memory64(false)
        .wasm_component_model_map(false)
        .wasm_component_model_fixed_length_lists(false)
        // Scripting runtimes need `extended_const`; without `multi_memory` the compiler panics on
        // components within components.
        .wasm_extended_const(true)
        .wasm_multi_memory(true)
        .max_wasm_stack(STACK_MAX_BYTES)
        .async_stack_size(4 * STACK_MAX_BYTES)
        .async_stack_zeroing(true)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES));
    config
}

#[cfg(test)]
mod tests {
    use assent_model::FailureKind;
    use wasmtime::component::{Component, Linker};

    use super::*;
    use crate::classify::{Phase, classify};
    use crate::guest::{Guest, armed};
    use crate::limits::Limits;

    #[test]
    fn every_slot_holds_the_largest_component_and_one_more_is_busy() {
        const SLOTS: u32 = 3;
        let engine = engine(SLOTS).unwrap();
        let idle = INSTANCE_CEILING - MEMORIES_MAX - TABLES_MAX;
        let parts: String = [("memory 1", MEMORIES_MAX), ("table 1 funcref", TABLES_MAX), ("func", idle)]
            .iter()
            .flat_map(|(item, count)| {
                (0..*count).map(move |i| {
                    let name = format!("$m{}{i}", &item[..1]);
                    format!("(core module {name} ({item})) (core instance (instantiate {name}))")
                })
            })
            .collect();
        let component =
            Component::new(&engine, wat::parse_str(format!("(component {parts})")).unwrap()).unwrap();
        let pre = Linker::<Guest>::new(&engine).instantiate_pre(&component).unwrap();
        let limits = Limits { instances_max: INSTANCE_CEILING, ..Limits::default() };
        let start = || {
            let mut store = armed(&engine, &limits).unwrap();
            pre.instantiate(&mut store).map(|_| store)
        };
        let full: Vec<_> = (0..SLOTS).map(|_| start().unwrap()).collect();
        let failure = classify(&start().expect_err("no slot is left"), Phase::Instantiate);
        assert_eq!(failure.kind, FailureKind::Busy);
        drop(full);
        assert!(start().is_ok());
    }
}
