//! Guests written by hand: the contract's three functions in the text format of WebAssembly, for tests
//! that need an answer, or a failure, to the byte.
//!
//! `describe` says `wat 0.1.0` and needs nothing. `configure` accepts any settings and keeps them in
//! `$settings` and `$settings_bytes`. `evaluate` is the test's own: it gets the address of the request
//! in `$request`, and returns the address of a `result<findings, string>` (its discriminant in the
//! first byte, what it holds from the fourth on); 2048 is free for that. Texts are laid from 4096 on.

/// Items with which it asks for approvals of the kind `export`.
#[allow(dead_code, reason = "not every test that uses this file asks for approvals")]
pub(crate) const ASKS_FOR_APPROVALS: &str = r#"
    (data (i32.const 1080) "\2c\01\00\00\01\00\00\00")
    (data (i32.const 300) "\34\01\00\00\06\00\00\00export")"#;
/// The `evaluate` that agrees to whatever approval it is handed, and to nothing else.
#[allow(dead_code, reason = "not every test that uses this file asks for approvals")]
pub(crate) const ANY_APPROVAL: &str = r#"
    (if (i32.eqz (i32.load offset=124 (local.get $request))) (then
        ;; One denial at 2200: a code, a message, and nothing else.
        (i32.store (i32.const 2068) (i32.const 2200)) (i32.store (i32.const 2072) (i32.const 1))
        (i32.store (i32.const 2200) (i32.const 0)) (i32.store (i32.const 2204) (i32.const 3))
        (i32.store (i32.const 2208) (i32.const 0)) (i32.store (i32.const 2212) (i32.const 3))))
    (i32.const 2048)"#;

/// What `evaluate` returns to find nothing: the address of memory that nobody wrote to.
pub(crate) const NOTHING: &str = "(i32.const 2048)";

/// A component with these items added, and this body of `evaluate`.
pub(crate) fn component(items: &str, evaluate: &str) -> Vec<u8> {
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&core(items, evaluate))
        .unwrap()
        .encode()
        .unwrap()
}

/// The same as a core module, which the contract's text is embedded in.
pub(crate) fn core(items: &str, evaluate: &str) -> Vec<u8> {
    // `describe` returns a pointer to a description: five texts or numbers in canonical layout.
    let text = format!(
        r#"(module
            (memory (export "memory") 1)
            (func $describe (export "assent:plugin/rules@0.1.0#describe") (result i32)
                ;; name, version, summary, settings-schema
                (i32.store offset=1024 (i32.const 0) (i32.const 0)) (i32.store offset=1028 (i32.const 0) (i32.const 3))
                (i32.store offset=1032 (i32.const 0) (i32.const 8)) (i32.store offset=1036 (i32.const 0) (i32.const 5))
                (i32.store offset=1040 (i32.const 0) (i32.const 0)) (i32.store offset=1044 (i32.const 0) (i32.const 3))
                (i32.store offset=1048 (i32.const 0) (i32.const 16)) (i32.store offset=1052 (i32.const 0) (i32.const 2))
                (i32.const 1024))
            (global $settings (mut i32) (i32.const 0))
            (global $settings_bytes (mut i32) (i32.const 0))
            (func (export "assent:plugin/rules@0.1.0#configure") (param i32 i32) (result i32)
                (global.set $settings (local.get 0)) (global.set $settings_bytes (local.get 1))
                (i32.const 2048))
            (func (export "assent:plugin/rules@0.1.0#evaluate") (param $request i32) (result i32) {evaluate})
            (global $next (mut i32) (i32.const 4096))
            (func (export "cabi_realloc") (param $old i32) (param $from i32) (param $align i32) (param $size i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and
                    (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get $align))))
                (global.set $next (i32.add (local.get $at) (local.get $size)))
                (local.get $at))
            (data (i32.const 0) "wat\00\00\00\00\000.1.0\00\00\00{{}}")
            {items})"#
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let wit = include_str!("../../wit/0.1.0/plugin.wit");
    let package = resolve.push_str("plugin.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("plugin")).unwrap();
    wit_component::embed_component_metadata(
        &mut module,
        &resolve,
        world,
        wit_component::StringEncoding::UTF8,
    )
    .unwrap();
    module
}
