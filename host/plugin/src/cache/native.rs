//! The one `unsafe` of the crate: compiled code becomes a component without being compiled.
//!
//! It takes [`Authentic`] bytes, which exist only where this host's own seal was found intact.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::Authentic;

/// The component that this compiled code is.
///
/// # Errors
/// Where wasmtime finds that the code is for another engine.
#[expect(unsafe_code, reason = "wasmtime cannot check machine code; the seal stands for it")]
pub(crate) fn load(engine: &Engine, entry: &Authentic) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` requires bytes that `serialize` of this wasmtime returned, unchanged.
    // `Authentic` is made only where an HMAC under the key of this host's private directory holds
    // over the bytes and their name. The name contains the engine's full version and configuration
    // (`engine::key`), and only `admit` seals, with what `Component::serialize` returned.
    unsafe { Component::deserialize(engine, entry.code()) }
}
