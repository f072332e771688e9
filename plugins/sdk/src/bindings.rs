//! The plugin contract as Rust types, generated from the WIT. Authors never need to look here: the
//! other modules wrap what is inconvenient and re-export what is not.
#![allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    unsafe_code,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::allow_attributes_without_reason,
    reason = "generated code; documented in the WIT"
)]

wit_bindgen::generate!({
    path: "../../wit/0.1.0",
    world: "plugin",
    pub_export_macro: true,
    export_macro_name: "__export_plugin",
    default_bindings_module: "assent_plugin_sdk::bindings",
    additional_derives: [PartialEq, Eq, PartialOrd, Ord, Hash, Clone],
});
