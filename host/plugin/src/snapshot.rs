//! Settings baked into a component: `configure` runs once, and its memory becomes the component's.
//!
//! Uses the two halves of `wasmtime-wizer` (instrument; read the state and rewrite) with our own
//! engine and armed store between them. Its `wasmtime` feature would do that in one call, but
//! would also turn on garbage collection, threads and an unsealed cache for the whole host.

use std::future::{Future, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use assent_model::{FailureKind, PluginFailure};
use wasmtime::component::{ComponentNamedList, Instance, Lift, WasmList};
use wasmtime::{Store, error::format_err};
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

use crate::classify::{Phase, classify, contained};
use crate::guest::Guest;
use crate::limits::{COPIED_CEILING_BYTES, MEMORIES_MAX, MEMORY_CEILING_BYTES};

const PAGE_BYTES: u64 = 64 << 10;

/// Why there is no snapshot.
#[derive(Debug)]
pub(crate) struct NoSnapshot {
    pub(crate) because: String,
    /// Whether component, settings and limits alone are the reason, so that trying again ends the
    /// same. A reason that could lie in the machine or the moment is not lasting.
    pub(crate) lasting: bool,
}

impl NoSnapshot {
    pub(crate) fn lasting(because: impl Into<String>) -> Self {
        Self { because: because.into(), lasting: true }
    }

    pub(crate) fn passing(because: impl Into<String>) -> Self {
        Self { because: because.into(), lasting: false }
    }
}

impl From<PluginFailure> for NoSnapshot {
    fn from(failure: PluginFailure) -> Self {
        let lasting = match failure.kind {
            FailureKind::Deadline | FailureKind::Busy | FailureKind::Host => false,
            FailureKind::Fuel
            | FailureKind::Memory
            | FailureKind::Stack
            | FailureKind::Panic
            | FailureKind::Trap
            | FailureKind::OutputTooLarge
            | FailureKind::BadOutput
            | FailureKind::UngrantedNeed
            | FailureKind::GaveUp
            | FailureKind::Settings => true,
        };
        Self { because: failure.message, lasting }
    }
}

/// A component whose state can be read, and what is needed to write it back.
pub(crate) struct Instrumented<'a> {
    context: ComponentContext<'a>,
    pub(crate) wasm: Vec<u8>,
}

/// The component with access to its state, or why that cannot be had: tables changed while
/// running, modules in nested components, and a few more.
pub(crate) fn instrument(component: &[u8]) -> Result<Instrumented<'_>, NoSnapshot> {
    let (context, wasm) = contained(|| wizer().instrument_component(component))
        .map_err(NoSnapshot::passing)?
        .map_err(|error| NoSnapshot::lasting(format!("{error:#}")))?;
    Ok(Instrumented { context, wasm })
}

/// The component with this instance's state as its own. The store must have fuel left.
pub(crate) fn bake(
    instrumented: &Instrumented<'_>,
    mut store: Store<Guest>,
    instance: Instance,
) -> Result<Vec<u8>, NoSnapshot> {
    // Reading a memory needs one more page of it, for the list that is returned.
    store.data_mut().grant_memory(PAGE_BYTES * u64::from(MEMORIES_MAX));
    store.set_hostcall_fuel(
        usize::try_from(MEMORY_CEILING_BYTES + COPIED_CEILING_BYTES).unwrap_or(usize::MAX),
    );
    contained(|| {
        let mut state = State { store, instance, failed: None };
        let baked = complete(wizer().snapshot_component(&instrumented.context, &mut state));
        match state.failed {
            Some(error) => Err(classify(&error, Phase::Call).into()),
            None => {
                baked.map_err(NoSnapshot::lasting)?.map_err(|error| NoSnapshot::lasting(format!("{error:#}")))
            }
        }
    })
    .map_err(NoSnapshot::passing)?
}

fn wizer() -> Wizer {
    let mut wizer = Wizer::new();
    wizer.keep_init_func(true);
    wizer
}

/// The result of a future that has nothing to wait for.
fn complete<T>(future: impl Future<Output = T>) -> Result<T, String> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Ok(result),
        Poll::Pending => Err("taking the snapshot stopped to wait".to_owned()),
    }
}

/// Reads the state of an instance through the accessors that instrumenting added. Reading cannot
/// report errors, so the first is kept.
struct State {
    store: Store<Guest>,
    instance: Instance,
    failed: Option<wasmtime::Error>,
}

impl State {
    fn call<R: Lift + 'static, T>(
        &mut self,
        interface: &str,
        function: &str,
        read: impl FnOnce(&Store<Guest>, R) -> T,
    ) -> Option<T>
    where
        (R,): ComponentNamedList + Lift,
    {
        if self.failed.is_some() {
            return None;
        }
        match self.try_call::<R>(interface, function) {
            Ok(result) => Some(read(&self.store, result)),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    fn try_call<R: Lift + 'static>(&mut self, interface: &str, function: &str) -> wasmtime::Result<R>
    where
        (R,): ComponentNamedList + Lift,
    {
        let missing = || format_err!("no accessor `{function}`");
        let (_, interface) =
            self.instance.get_export(&mut self.store, None, interface).ok_or_else(missing)?;
        let (_, accessor) =
            self.instance.get_export(&mut self.store, Some(&interface), function).ok_or_else(missing)?;
        let accessor = self.instance.get_typed_func::<(), (R,)>(&mut self.store, accessor)?;
        let (result,) = accessor.call(&mut self.store, ())?;
        Ok(result)
    }
}

impl ComponentInstanceState for State {
    fn call_func_ret_list_u8(
        &mut self,
        interface: &str,
        function: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) -> impl Future<Output = ()> + Send {
        self.call(interface, function, |store, list: WasmList<u8>| contents(list.as_le_slice(store)));
        ready(())
    }

    fn call_func_ret_s32(&mut self, interface: &str, function: &str) -> impl Future<Output = i32> + Send {
        ready(self.call(interface, function, |_, value: i32| value).unwrap_or_default())
    }

    fn call_func_ret_s64(&mut self, interface: &str, function: &str) -> impl Future<Output = i64> + Send {
        ready(self.call(interface, function, |_, value: i64| value).unwrap_or_default())
    }

    fn call_func_ret_f32(&mut self, interface: &str, function: &str) -> impl Future<Output = u32> + Send {
        ready(self.call(interface, function, |_, value: f32| value.to_bits()).unwrap_or_default())
    }

    fn call_func_ret_f64(&mut self, interface: &str, function: &str) -> impl Future<Output = u64> + Send {
        ready(self.call(interface, function, |_, value: f64| value.to_bits()).unwrap_or_default())
    }
}
