//! wasmtime's errors as kinds of failure that a plugin's author and a dashboard can use.
//!
//! INVARIANT (a failed plugin never permits): every error becomes a failure here; there is no
//! error that means "nothing to add". Messages carry wasmtime's reason and the guest's own
//! function names, and no value of the request.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use assent_model::{FailureKind, PluginFailure};
use wasmtime::{PoolConcurrencyLimitError, Trap};

use crate::guest::LimitReached;
use crate::v0_1;

/// What was going on when the error came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Making the instance, start functions included.
    Instantiate,
    /// Handing over the arguments, running the function, reading what it returned.
    Call,
}

/// A wasmtime error's message, on one line, at most this long. Room for eight frames.
const MESSAGE_MAX_BYTES: usize = 1_000;
/// wasmtime's words when a guest returns more than it may copy; the error has no public type.
const COPIED_TOO_MUCH: &str = "too much data is being copied";

/// The failure that this error is.
pub(crate) fn classify(error: &wasmtime::Error, phase: Phase) -> PluginFailure {
    let text = format!("{error:#}");
    let kind = if let Some(limit) = error.downcast_ref::<LimitReached>() {
        return PluginFailure::new(FailureKind::Memory, limit.to_string());
    } else if error.is::<PoolConcurrencyLimitError>() {
        return PluginFailure::new(FailureKind::Busy, "all slots of the host were in use");
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        of_trap(*trap)
    } else if text.contains(COPIED_TOO_MUCH) {
        return PluginFailure::new(
            FailureKind::OutputTooLarge,
            "the answer is larger than `copied_max_bytes`",
        );
    } else {
        match phase {
            Phase::Instantiate => FailureKind::Host,
            // Arguments are valid by type, so what is left is an answer that cannot be read.
            Phase::Call => FailureKind::BadOutput,
        }
    };
    PluginFailure::new(kind, v0_1::printable(&text, MESSAGE_MAX_BYTES))
}

fn of_trap(trap: Trap) -> FailureKind {
    match trap {
        Trap::Interrupt => FailureKind::Deadline,
        Trap::OutOfFuel => FailureKind::Fuel,
        Trap::StackOverflow => FailureKind::Stack,
        Trap::UnreachableCodeReached => FailureKind::Panic,
        Trap::InvalidChar
        | Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::InvalidDiscriminant
        | Trap::UnalignedPointer => FailureKind::BadOutput,
        // The enum is open; whatever else it is, it is a trap.
        _ => FailureKind::Trap,
    }
}

/// Runs something of wasmtime or of the host's own that should not panic, and says so if it does.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // Nothing that the closure touched is used after a panic: stores are dropped, and components
    // are immutable.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_text(panic.as_ref()))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    v0_1::printable(text.unwrap_or("panicked without a message"), MESSAGE_MAX_BYTES)
}
